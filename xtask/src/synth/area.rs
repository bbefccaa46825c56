//! What a design takes on a part: cells counted by `stat -json` of Yosys.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::SynthError;

/// On Xilinx 7 series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Xc7 {
    /// LUTs that compute.
    pub(super) lut: u32,
    /// LUTs that are memory or shift registers.
    pub(super) lutram: u32,
    pub(super) ff: u32,
    /// Block RAMs of 36 Kbit.
    pub(super) bram36: f64,
}

/// On Lattice ECP5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ecp5 {
    /// LUTs of any use: logic, two for a carry cell, four for 16 by 4 bits of distributed memory.
    pub(super) lut4: u32,
}

/// The part of `stat -json` that is read.
#[derive(Deserialize)]
struct Stat {
    design: Design,
}

#[derive(Deserialize)]
struct Design {
    num_cells_by_type: BTreeMap<String, u32>,
}

/// LUTs of a SLICEM that a distributed memory takes (UG474 table 2-3).
const DISTRIBUTED: [(&str, u32); 12] = [
    ("RAM16X1D", 2),
    ("RAM16X1S", 1),
    ("RAM32X1D", 2),
    ("RAM32X1S", 1),
    ("RAM32M", 4),
    ("RAM64X1D", 2),
    ("RAM64X1S", 1),
    ("RAM64M", 4),
    ("RAM128X1D", 4),
    ("RAM256X1S", 4),
    ("SRL16E", 1),
    ("SRLC32E", 1),
];

/// Cells of a design by their type.
struct Cells(BTreeMap<String, u32>);

impl Cells {
    fn parse(text: &str) -> Result<Self, SynthError> {
        let stat: Stat = serde_json::from_str(text).map_err(|source| SynthError::Output {
            what: "stat -json of Yosys",
            source,
        })?;
        Ok(Self(stat.design.num_cells_by_type))
    }
    fn of(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or_default()
    }
    fn all(&self, names: &[&str]) -> u32 {
        names.iter().map(|name| self.of(name)).sum()
    }
}

impl Xc7 {
    /// # Errors
    /// When `text` is not what Yosys writes.
    pub(super) fn parse(text: &str) -> Result<Self, SynthError> {
        let cells = Cells::parse(text)?;
        let memory = DISTRIBUTED.iter();
        Ok(Self {
            lut: cells.all(&["LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6"]),
            lutram: memory.map(|&(name, luts)| luts * cells.of(name)).sum(),
            ff: cells.all(&[
                "FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1",
            ]),
            bram36: f64::from(cells.of("RAMB36E1")) + f64::from(cells.of("RAMB18E1")) / 2.0,
        })
    }
}

impl Ecp5 {
    /// # Errors
    /// When `text` is not what Yosys writes.
    pub(super) fn parse(text: &str) -> Result<Self, SynthError> {
        let cells = Cells::parse(text)?;
        Ok(Self {
            lut4: cells.of("LUT4") + 2 * cells.of("CCU2C") + 4 * cells.of("TRELLIS_DPR16X4"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the whole NIC, by Yosys 0.70.
    const XC7: &str = include_str!("samples/xc7.json");
    const ECP5: &str = include_str!("samples/ecp5.json");

    #[test]
    fn cells_of_series_7_are_counted() {
        let expected = Xc7 {
            lut: 2_042 + 1_215 + 1_573 + 2_377 + 1_391,
            lutram: 4 * 124 + 4 * 23,
            ff: 8 + 7_411 + 70,
            bram36: 8.0 + 4.5,
        };
        assert_eq!(Xc7::parse(XC7).expect("a stat"), expected);
    }

    #[test]
    fn carry_cells_and_distributed_memory_of_ecp5_are_luts() {
        let lut4 = 10_840 + 2 * 1_703 + 4 * 199;
        assert_eq!(Ecp5::parse(ECP5).expect("a stat"), Ecp5 { lut4 });
    }

    #[test]
    fn what_is_no_stat_is_refused_by_name() {
        for text in ["", "{}", "Warning: nothing"] {
            let error = Xc7::parse(text).expect_err(text).to_string();
            assert!(error.contains("stat -json"), "{error}");
        }
    }
}

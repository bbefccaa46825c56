//! The figures of a design: ours and a peer's by the same names.
use std::collections::BTreeMap;

use super::area::{Ecp5, Xc7};
use super::modules::{Module, Peer};
use super::timing::Critical;

/// What a figure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lut,
    LutRam,
    Ff,
    Bram36,
    /// The longest way through logic, without wires.
    Logic,
    Lut4,
    /// Of a clock, by its name.
    Fmax(String),
}

impl Kind {
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Self::Lut => "xc7 LUT",
            Self::LutRam => "xc7 LUTRAM",
            Self::Ff => "xc7 FF",
            Self::Bram36 => "xc7 BRAM36",
            Self::Logic => "xc7 ns of logic",
            Self::Lut4 => "ECP5 LUT4",
            Self::Fmax(_) => "ECP5 MHz",
        }
    }
}

/// What was measured of a module; what was not asked for is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) xc7: Option<Xc7>,
    pub(super) logic_ps: Option<u32>,
    pub(super) ecp5: Option<Ecp5>,
    /// MHz by clock, median of the seeds.
    pub(super) fmax_mhz: BTreeMap<String, f64>,
    /// The slowest path of each clock with the seed of the median.
    pub(super) critical: Vec<Critical>,
}

impl Figures {
    /// All of them that are there.
    pub(super) fn list(&self) -> Vec<(Kind, f64)> {
        let mut list = vec![];
        if let Some(xc7) = self.xc7 {
            list.push((Kind::Lut, f64::from(xc7.lut)));
            list.push((Kind::LutRam, f64::from(xc7.lutram)));
            list.push((Kind::Ff, f64::from(xc7.ff)));
            list.push((Kind::Bram36, xc7.bram36));
        }
        if let Some(ps) = self.logic_ps {
            list.push((Kind::Logic, f64::from(ps) / 1e3));
        }
        if let Some(ecp5) = self.ecp5 {
            list.push((Kind::Lut4, f64::from(ecp5.lut4)));
        }
        for (clock, &mhz) in &self.fmax_mhz {
            list.push((Kind::Fmax(clock.clone()), mhz));
        }
        list
    }

    /// Of several parts together: what they take is added, and the slowest sets the clock.
    pub(super) fn together<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let first = parts.next()?.clone();
        Some(parts.fold(first, |sum, part| {
            let mut fmax_mhz = sum.fmax_mhz;
            for (clock, &mhz) in &part.fmax_mhz {
                let slowest = fmax_mhz.entry(clock.clone()).or_insert(mhz);
                *slowest = slowest.min(mhz);
            }
            Self {
                xc7: sum.xc7.zip(part.xc7).map(|(a, b)| Xc7 {
                    lut: a.lut + b.lut,
                    lutram: a.lutram + b.lutram,
                    ff: a.ff + b.ff,
                    bram36: a.bram36 + b.bram36,
                }),
                logic_ps: sum.logic_ps.zip(part.logic_ps).map(|(a, b)| a.max(b)),
                ecp5: sum.ecp5.zip(part.ecp5).map(|(a, b)| Ecp5 {
                    lut4: a.lut4 + b.lut4,
                }),
                fmax_mhz,
                critical: vec![],
            }
        }))
    }
}

impl Peer {
    /// The peer's figure, if it is known.
    pub(super) fn figure(&self, kind: &Kind) -> Option<f64> {
        match kind {
            Kind::Lut => Some(f64::from(self.lut)),
            Kind::LutRam => Some(f64::from(self.lutram)),
            Kind::Ff => Some(f64::from(self.ff)),
            Kind::Bram36 => Some(self.bram36),
            Kind::Logic => None,
            Kind::Lut4 => Some(f64::from(self.lut4)),
            Kind::Fmax(clock) => {
                let mut clocks = self.fmax_mhz.iter();
                clocks.find(|(name, _)| name == clock).map(|&(_, mhz)| mhz)
            }
        }
    }
}

/// What is known of a module.
pub(super) struct Measured {
    pub(super) module: Module,
    pub(super) figures: Figures,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_are_as_large_as_all_and_as_slow_as_one() {
        let part = |lut: u32, mhz: f64| Figures {
            xc7: Some(Xc7 {
                lut,
                lutram: 1,
                ff: 2 * lut,
                bram36: 0.5,
            }),
            logic_ps: Some(lut),
            ecp5: Some(Ecp5 { lut4: lut }),
            fmax_mhz: [("clock".to_owned(), mhz)].into(),
            critical: vec![],
        };
        let sum = Figures::together([&part(10, 90.0), &part(5, 80.0), &part(1, 99.0)]);
        let list = sum.expect("three parts").list();
        let expected = [
            (Kind::Lut, 16.0),
            (Kind::LutRam, 3.0),
            (Kind::Ff, 32.0),
            (Kind::Bram36, 1.5),
            (Kind::Logic, 0.01),
            (Kind::Lut4, 16.0),
            (Kind::Fmax("clock".into()), 80.0),
        ];
        assert_eq!(list, expected);
        assert!(Figures::together([]).is_none());
    }
}

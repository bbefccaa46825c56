//! The register reference as Markdown, printed from the tables.
use crate::{counter, regs, Register};
use core::fmt::{Display, Formatter, Result};

/// Displays as the text of `docs/registers.md`.
pub struct Reference;

fn bank(f: &mut Formatter<'_>, title: &str, base: &str, table: &[Register]) -> Result {
    write!(f, "\n## {title}\n\n{base}\n\n")?;
    writeln!(
        f,
        "| offset | name | reset | bits | field | access | meaning |"
    )?;
    writeln!(f, "|---|---|---|---|---|---|---|")?;
    for r in table {
        write!(f, "| 0x{:03X}", r.offset)?;
        if r.count > 1 {
            write!(f, " + {}n, n < {}", r.stride, r.count)?;
        }
        writeln!(
            f,
            " | **{}** | 0x{:08X} | | | | {} |",
            r.name, r.reset, r.doc
        )?;
        for x in r.fields {
            let (lo, hi) = (x.field.lo, x.field.lo + x.field.width - 1);
            write!(f, "| | | | ")?;
            if lo == hi {
                write!(f, "{lo}")?;
            } else {
                write!(f, "{hi}:{lo}")?;
            }
            writeln!(f, " | {} | {} | {} |", x.name, x.access.name(), x.doc)?;
        }
    }
    Ok(())
}

impl Display for Reference {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "# Registers\n")?;
        writeln!(
            f,
            "Printed from the tables of the crate `ferrule-abi` by `cargo xtask docs`; do not edit. 32-bit registers, aligned, little endian; \
             a read has no side effect; reserved bits read 0; a hole or a wrong access reads all-ones and is counted in BAD_ACCESS."
        )?;
        bank(f, "Port", "Offsets from BAR0 + port x 1 MiB.", regs::PORT)?;
        bank(
            f,
            "Event queue",
            "Offsets from queue page 0 (0x10000).",
            regs::EVENT,
        )?;
        bank(
            f,
            "Transmit queue i",
            "Offsets from queue page 1 + 2i (0x10000 + (1 + 2i) x 0x1000).",
            regs::TX,
        )?;
        bank(
            f,
            "Receive queue i",
            "Offsets from queue page 2 + 2i (0x10000 + (2 + 2i) x 0x1000).",
            regs::RX,
        )?;
        writeln!(
            f,
            "\n## Counters\n\n| index | name | meaning |\n|---|---|---|"
        )?;
        for c in counter::ALL {
            writeln!(f, "| {} | {} | {} |", c.index, c.name, c.doc)?;
        }
        Ok(())
    }
}

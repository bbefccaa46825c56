//! Amounts of data as people type them: `4096`, `4KiB`, `1MiB`.
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// Unit names with their binary factor (IEC 80000-13), decimal ones beside them.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("{text:?} is not an amount of data: write a whole number, or one with KiB, MiB, GiB, kB, MB or GB")
        };
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
            .unwrap_or((text, 1));
        let number: u64 = digits.trim().parse().map_err(|_| bad())?;
        number.checked_mul(factor).map(Size).ok_or_else(bad)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{} {unit}", self.0 / factor);
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn reads_units_and_refuses_what_is_not_an_amount() {
        let read = |t: &str| t.parse::<Size>().ok().map(|s| s.0);
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(read("4KiB"), Some(4096));
        assert_eq!(read("1 MiB"), Some(1 << 20));
        assert_eq!(read("3MB"), Some(3_000_000));
        for bad in ["", "KiB", "-1", "1.5MiB", "1TiB", "x", "99999999999GiB"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn prints_whole_units() {
        assert_eq!(Size(1 << 20).to_string(), "1 MiB");
        assert_eq!(Size(4097).to_string(), "4097 B");
    }
}

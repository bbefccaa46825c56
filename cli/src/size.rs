//! Amounts of data as people type them: `4096`, `4KiB`, `1MiB`.
use std::fmt;
use std::str::FromStr;

use ferrule_sim::units::{parse_bytes, UnitError};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_bytes(text).map(Size)
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

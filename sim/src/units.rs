//! Times, rates, amounts of data and shares as people type them: `1.5ms`, `100Mbit`, `64KiB`, `0.1%`.
use std::fmt;

use thiserror::Error;

/// A text that is no amount of what it should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{text:?} is not {what}: write {how}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    how: &'static str,
}

/// Factors of a unit's names; what has a name as its ending must come before it.
type Units = [(&'static str, f64)];

const TIMES: &Units = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
];
const RATES: &Units = &[("kbit", 1e3), ("Mbit", 1e6), ("Gbit", 1e9), ("bit", 1.0)];
const SHARES: &Units = &[("%", 1e-2)];
/// A number is at most this, so that its whole part is exact: 104 days of nanoseconds, 9 Pbit/s.
const MAX: f64 = 9.0e15;

/// The number before a unit, times the unit's factor.
fn amount(text: &str, units: &Units) -> Option<f64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let digits = digits.trim_end();
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain)?;
    let value = number * factor;
    (value <= MAX).then_some(value)
}

/// A time such as `2ms`, in nanoseconds.
///
/// # Errors
/// If it is not a number with ns, us, ms or s.
pub fn parse_ns(text: &str) -> Result<u64, UnitError> {
    let ns = match text {
        "0" => Some(0.0),
        _ => amount(text, TIMES),
    };
    ns.map(|ns| ns.round() as u64).ok_or_else(|| UnitError {
        text: text.to_owned(),
        what: "a time",
        how: "a number with ns, us, ms or s, such as 2ms",
    })
}

/// A rate such as `100Mbit`, in bits a second.
///
/// # Errors
/// If it is not a number above 0 with bit, kbit, Mbit or Gbit.
pub fn parse_bits_per_s(text: &str) -> Result<u64, UnitError> {
    let text_only = text.strip_suffix("/s").unwrap_or(text);
    amount(text_only, RATES)
        .map(|bits| bits.round() as u64)
        .filter(|bits| *bits > 0)
        .ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "a rate",
            how: "a number above 0 with bit, kbit, Mbit or Gbit, such as 100Mbit",
        })
}

/// Units of data with their factors: binary (IEC 80000-13) and decimal.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// An amount of data such as `64KiB`, in bytes.
///
/// # Errors
/// If it is not a whole number, alone or with such a unit.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (digits, factor) = SIZES
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    let number: Option<u64> = digits.trim().parse().ok();
    number
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "an amount of data",
            how: "a whole number, or one with KiB, MiB, GiB, kB, MB or GB",
        })
}

/// A share such as `0.5%`, between 0 and 1.
///
/// # Errors
/// If it is not a number of per cent from 0 to 100.
pub fn parse_share(text: &str) -> Result<f64, UnitError> {
    let share = match text {
        "0" => Some(0.0),
        _ => amount(text, SHARES),
    };
    share.filter(|s| *s <= 1.0).ok_or_else(|| UnitError {
        text: text.to_owned(),
        what: "a share",
        how: "per cent from 0% to 100%, such as 0.5%",
    })
}

/// A time as people type it, in the largest unit that leaves a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanoseconds(pub u64);

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
        let whole = units
            .iter()
            .find(|(_, ns)| self.0 >= *ns && self.0.is_multiple_of(*ns));
        let (unit, ns) = whole.unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", self.0 / ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_and_nonsense_refused() {
        for (text, ns) in [
            ("0", 0),
            ("7ns", 7),
            ("1.5us", 1_500),
            ("2 ms", 2_000_000),
            ("3s", 3_000_000_000),
            ("4µs", 4_000),
        ] {
            assert_eq!(parse_ns(text), Ok(ns), "{text}");
        }
        for text in [
            "",
            "5",
            "ms",
            "-1ms",
            "1e3ms",
            "infs",
            "nans",
            "1ks",
            "1.2.3ms",
            "99999999999s",
        ] {
            assert!(parse_ns(text).is_err(), "{text}");
        }
        for (text, bits) in [
            ("100Mbit", 100_000_000),
            ("2.5Gbit/s", 2_500_000_000),
            ("9600bit", 9_600),
            ("64kbit", 64_000),
        ] {
            assert_eq!(parse_bits_per_s(text), Ok(bits), "{text}");
        }
        for text in ["", "0Mbit", "100", "1MB", "-1bit", "0.1bit"] {
            assert!(parse_bits_per_s(text).is_err(), "{text}");
        }
        assert_eq!(parse_share("50%"), Ok(0.5));
        assert_eq!((parse_share("0"), parse_share("100%")), (Ok(0.0), Ok(1.0)));
        for text in ["", "1", "0.5", "101%", "-1%", "%"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
        for (text, bytes) in [("4096", 4_096), ("1 MiB", 1 << 20), ("3MB", 3_000_000)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "1TiB", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        let said = parse_ns("soon").unwrap_err().to_string();
        assert!(said.contains("soon") && said.contains("2ms"), "{said}");
    }

    proptest! {
        #[test]
        fn a_time_printed_is_read_back(ns in 0u64..1 << 52) {
            prop_assert_eq!(parse_ns(&Nanoseconds(ns).to_string()), Ok(ns));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            let _ = (parse_ns(&text), parse_bits_per_s(&text), parse_share(&text));
        }
    }
}

//! What to do to frames, as people type it: `loss=1%,rx.delay=2ms,tx.rate=100Mbit`.
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::units::{parse_bits_per_s, parse_bytes, parse_ns, parse_share, UnitError};

/// Bytes that wait before a rate limit without `queue=`.
const QUEUE_BYTES: usize = 64 * 1024;
/// Most bits that may be flipped in one frame.
const MAX_BITS: u32 = 64;

/// What is done to the frames of one direction; nothing by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneSpec {
    /// Share of frames lost, from 0 to 1.
    pub loss: f64,
    /// Share of frames with flipped bits and an FCS that does not fit.
    pub corrupt: f64,
    /// Most bits flipped in a corrupted frame.
    pub bits: u32,
    /// Share of IPv4 packets with a flipped bit and an FCS that fits: their checksums do not.
    pub mangle: f64,
    /// Share of frames that come twice.
    pub duplicate: f64,
    /// Share of frames held back until one to three later ones have passed, or for a millisecond.
    pub reorder: f64,
    /// How long each frame takes more, in nanoseconds.
    pub delay_ns: u64,
    /// How much longer it may take at random; order is kept.
    pub jitter_ns: u64,
    /// Bits a second at most, preamble, FCS and gap included.
    pub bits_per_s: Option<u64>,
    /// Bytes that may wait before the rate limit; frames beyond are dropped.
    pub queue_bytes: usize,
}

impl Default for LaneSpec {
    fn default() -> Self {
        Self {
            loss: 0.0,
            corrupt: 0.0,
            bits: 1,
            mangle: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            delay_ns: 0,
            jitter_ns: 0,
            bits_per_s: None,
            queue_bytes: QUEUE_BYTES,
        }
    }
}

/// What is done to frames in both directions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impairments {
    /// Towards the NIC.
    pub to_nic: LaneSpec,
    /// From the NIC.
    pub from_nic: LaneSpec,
    text: String,
}

/// Why a text names no impairments.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// Not `key=value`.
    #[error("{0:?} is not an impairment: write key=value, such as loss=1%")]
    Form(String),
    /// No such key.
    #[error("there is no impairment {0:?}: choose loss, corrupt, bits, mangle, dup, reorder, delay, jitter, rate or queue, for one direction with rx. or tx. before it")]
    Key(String),
    /// A key that was given already.
    #[error("{0:?} is given twice")]
    Twice(String),
    /// A value of the wrong kind.
    #[error("{key}: {source}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        source: UnitError,
    },
    /// A number of bits that cannot be.
    #[error("bits: {0:?} is not a number of bits from 1 to {MAX_BITS}")]
    Bits(String),
    /// A key that does nothing without another.
    #[error("{0:?} does nothing without {1:?}")]
    Alone(&'static str, &'static str),
}

/// Which direction a key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Rx,
    Tx,
}

/// `rx.loss=1%` taken apart.
struct Item<'a> {
    side: Side,
    key: &'a str,
    value: &'a str,
}

impl<'a> Item<'a> {
    fn new(text: &'a str) -> Result<Self, SpecError> {
        let form = || SpecError::Form(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let (side, key) = match name.split_once('.') {
            None => (Side::Both, name),
            Some(("rx", key)) => (Side::Rx, key),
            Some(("tx", key)) => (Side::Tx, key),
            Some(_) => return Err(SpecError::Key(name.to_owned())),
        };
        Ok(Self { side, key, value })
    }

    fn apply(&self, lane: &mut LaneSpec) -> Result<(), SpecError> {
        let value = |source| SpecError::Value {
            key: self.key.to_owned(),
            source,
        };
        let share = || parse_share(self.value).map_err(value);
        let ns = || parse_ns(self.value).map_err(value);
        match self.key {
            "loss" => lane.loss = share()?,
            "corrupt" => lane.corrupt = share()?,
            "mangle" => lane.mangle = share()?,
            "dup" => lane.duplicate = share()?,
            "reorder" => lane.reorder = share()?,
            "delay" => lane.delay_ns = ns()?,
            "jitter" => lane.jitter_ns = ns()?,
            "rate" => lane.bits_per_s = Some(parse_bits_per_s(self.value).map_err(value)?),
            "queue" => {
                let bytes = parse_bytes(self.value).map_err(value)?;
                lane.queue_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
            "bits" => {
                let bits = self.value.parse().ok();
                let bits = bits.filter(|b| (1..=MAX_BITS).contains(b));
                lane.bits = bits.ok_or_else(|| SpecError::Bits(self.value.to_owned()))?;
            }
            other => return Err(SpecError::Key(other.to_owned())),
        }
        Ok(())
    }
}

impl FromStr for Impairments {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let items: Vec<Item<'_>> = text
            .split(',')
            .map(|item| Item::new(item.trim()))
            .collect::<Result<_, _>>()?;
        let mut out = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        for (n, item) in items.iter().enumerate() {
            let same = |other: &Item<'_>| (other.side == item.side) && other.key == item.key;
            if items[..n].iter().any(same) {
                return Err(SpecError::Twice(item.key.to_owned()));
            }
        }
        // What is said of one direction overrides what is said of both, whichever comes first.
        for of_both in [true, false] {
            for item in items.iter().filter(|i| (i.side == Side::Both) == of_both) {
                if item.side != Side::Tx {
                    item.apply(&mut out.to_nic)?;
                }
                if item.side != Side::Rx {
                    item.apply(&mut out.from_nic)?;
                }
            }
        }
        let has = |key: &str| items.iter().any(|i| i.key == key);
        for (key, needs) in [("queue", "rate"), ("bits", "corrupt")] {
            if has(key) && !has(needs) {
                return Err(SpecError::Alone(key, needs));
            }
        }
        Ok(out)
    }
}

impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

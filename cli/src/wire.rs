//! `--wire`: which wire the simulated NIC is plugged into.
use std::fmt;
use std::str::FromStr;

use ferrule_sim::wire::{lan::Lan, loopback::Loopback, tap::Tap, tap::TapError, Wire};

/// Longest interface name that Linux takes (IFNAMSIZ - 1).
const MAX_NAME: usize = 15;
/// Delay of the loopback wire in nanoseconds: two metres of cable and two PHYs.
const LOOP_NS: u64 = 500;

/// A parsed `--wire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireSpec {
    /// The simulated LAN.
    Lan,
    /// A loop.
    Loopback,
    /// A TAP device of the kernel's, by name.
    Tap(String),
}

impl WireSpec {
    /// Plugs the cable in.
    ///
    /// # Errors
    /// When the TAP device cannot be opened.
    pub(crate) fn open(&self, seed: u64) -> Result<Box<dyn Wire>, TapError> {
        Ok(match self {
            Self::Lan => Box::new(Lan::new(seed)),
            Self::Loopback => Box::new(Loopback::new(LOOP_NS)),
            Self::Tap(name) => Box::new(Tap::open(name)?),
        })
    }
}

impl FromStr for WireSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lan" => Ok(Self::Lan),
            "loopback" => Ok(Self::Loopback),
            _ => match text.strip_prefix("tap:") {
                Some(name) if !name.is_empty() && name.len() <= MAX_NAME && !name.contains(['/', ' ']) => {
                    Ok(Self::Tap(name.to_owned()))
                }
                Some(name) => Err(format!("{name:?} cannot be an interface's name: 1 to {MAX_NAME} characters, no slash or space")),
                None => Err(format!("there is no wire {text:?}: choose lan, loopback or tap:NAME")),
            },
        }
    }
}

impl fmt::Display for WireSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lan => f.write_str("lan"),
            Self::Loopback => f.write_str("loopback"),
            Self::Tap(name) => write!(f, "tap:{name}"),
        }
    }
}

//! `--wire`: which wire the simulated NIC is plugged into.
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use ferrule::Cidr;
use ferrule_sim::wire::lan::{self, Lan};
use ferrule_sim::wire::{loopback::Loopback, pcap::Replay, tap::Tap, Wire};

use crate::error::Error;

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
    /// A capture that is replayed towards the NIC.
    Pcap(PathBuf),
}

impl WireSpec {
    /// Plugs the cable in.
    ///
    /// # Errors
    /// When the TAP device or the capture cannot be opened.
    pub(crate) fn open(&self, seed: u64) -> Result<Box<dyn Wire>, Error> {
        Ok(match self {
            Self::Lan => Box::new(Lan::new(seed)),
            Self::Loopback => Box::new(Loopback::new(LOOP_NS)),
            Self::Tap(name) => Box::new(Tap::open(name)?),
            Self::Pcap(path) => Box::new(Replay::open(path)?),
        })
    }

    /// The router on it, if we know one and it is on a subnet of ours.
    pub(crate) fn gateway(&self, own: &[Cidr]) -> Option<Ipv4Addr> {
        let is_near = own.iter().any(|address| address.contains(lan::GATEWAY));
        (*self == Self::Lan && is_near).then_some(lan::GATEWAY)
    }

    /// Refuses a wire on which nobody answers.
    ///
    /// # Errors
    /// [`Error::Usage`] for a replayed capture.
    pub(crate) fn must_answer(&self) -> Result<(), Error> {
        match self {
            Self::Pcap(path) => Err(Error::Usage(format!(
                "nobody answers from a capture: replay it to your own driver with `ferrule serve --wire pcap:{} --socket PATH`",
                path.display()
            ))),
            Self::Lan | Self::Loopback | Self::Tap(_) => Ok(()),
        }
    }
}

impl FromStr for WireSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lan" => Ok(Self::Lan),
            "loopback" => Ok(Self::Loopback),
            _ => match text.split_once(':') {
                Some(("tap", name)) if !name.is_empty() && name.len() <= MAX_NAME && !name.contains(['/', ' ']) => {
                    Ok(Self::Tap(name.to_owned()))
                }
                Some(("tap", name)) => Err(format!("{name:?} cannot be an interface's name: 1 to {MAX_NAME} characters, no slash or space")),
                Some(("pcap", "")) => Err("pcap: needs the name of a capture: pcap:FILE".to_owned()),
                Some(("pcap", path)) => Ok(Self::Pcap(path.into())),
                _ => Err(format!("there is no wire {text:?}: choose lan, loopback, tap:NAME or pcap:FILE")),
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
            Self::Pcap(path) => write!(f, "pcap:{}", path.display()),
        }
    }
}

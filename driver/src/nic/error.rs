//! What can go wrong with a NIC.
use super::clock::ClockError;
use super::config::ConfigError;
use super::filter::FilterError;
use super::neighbours::NeighbourError;
use super::steering::SteeringError;
use super::tx::TxError;
use super::QueueName;
use crate::ring::RingFault;
use crate::DeviceError;
use ferrule_abi::regs::queue_error;
use std::fmt;

/// An error of a [`Nic`](super::Nic).
#[derive(Debug, thiserror::Error)]
pub enum NicError {
    /// The device is not there any more: it reads all-ones, or its simulator ended.
    #[error("the NIC is gone; plug it in or start its simulator again, then open it anew")]
    Gone,
    /// Access to the device failed.
    #[error(transparent)]
    Device(DeviceError),
    /// It is another device.
    #[error("this is no Ferrule NIC: MAGIC reads {0:#010x}; choose another device")]
    Magic(u32),
    /// Its register map is another one.
    #[error("the NIC has register map {}.{}, this driver knows {}; load a matching bitstream or use a matching driver", .0 >> 16, .0 & 0xFFFF, ferrule_abi::regs::VERSION >> 16)]
    Version(u32),
    /// A configuration that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A clock that cannot be so.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// It cannot do what is asked for.
    #[error(
        "this NIC has no {0} (CAPS says so); do without or use a build of the hardware that has it"
    )]
    Unsupported(&'static str),
    /// The device reads no memory.
    #[error(
        "in PUSH mode the device reads no memory, so that no frame can be sent from where it lies; use rx_batch and tx_batch"
    )]
    InPushMode,
    /// A filter that cannot be changed so.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// An entry of the ARP cache that cannot be added or deleted.
    #[error(transparent)]
    Neighbour(#[from] NeighbourError),
    /// It has no MAC address of its own and none was given.
    #[error("the NIC has no MAC address; give one")]
    NoMac,
    /// Its receiver takes no frames of that length.
    #[error("this NIC receives frames of up to {most} bytes with FCS, {asked} were asked for; choose a smaller MTU")]
    MaxFrame {
        /// The length asked for.
        asked: u16,
        /// The NIC's longest.
        most: u16,
    },
    /// No I/O virtual addresses for its memory.
    #[error("no {len} bytes of I/O virtual addresses in the configured range")]
    NoIova {
        /// Bytes wanted.
        len: usize,
    },
    /// Eventfds or the clock failed.
    #[error("{doing}: {source}")]
    Os {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It does not finish what it was told to do.
    #[error("the NIC did not finish {what} within {limit_ms} ms; open it anew, and if that does not help reset the board or the simulator")]
    Stuck {
        /// What.
        what: &'static str,
        /// The time it was given.
        limit_ms: u64,
    },
    /// A queue does not run any more; the others do. [`Nic::recover`](super::Nic::recover) lets all of them run again.
    #[error("{queue} stopped: {why}; recover the NIC, or open it anew")]
    Stopped {
        /// Which.
        queue: QueueName,
        /// Why.
        why: Stop,
    },
    /// It has fewer queue pairs.
    #[error("this NIC has {there} of the {asked} queue pairs that were asked for; set queue_pairs to what there is")]
    TooManyPairs {
        /// [`NicConfig::queue_pairs`](super::NicConfig::queue_pairs).
        asked: u8,
        /// How many there are.
        there: u8,
    },
    /// Several threads cannot have several queue pairs, as one thread alone reaches its registers.
    #[error("registers reached by {backend} are for one thread alone, and so is the NIC: set queue_pairs to 1")]
    NotShared {
        /// How the device is reached.
        backend: &'static str,
    },
    /// This queue pair is to come back to its NIC, or the NIC was closed: nothing can be done with it any more.
    #[error("the NIC wants its queue pair back: drop it")]
    Recalled,
    /// It cannot be recovered while so many of its queue pairs are with others.
    #[error("{0} of the NIC's queue pairs are away: recall them (Nic::recall), wait until they are dropped, then recover it")]
    PairsAway(usize),
    /// An indirection table that cannot be.
    #[error(transparent)]
    Steering(#[from] SteeringError),
    /// A frame that cannot be sent.
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<DeviceError> for NicError {
    fn from(e: DeviceError) -> Self {
        match e {
            DeviceError::Gone(why) => {
                tracing::debug!(why, "the device is gone");
                Self::Gone
            }
            e => Self::Device(e),
        }
    }
}

/// Why a queue stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The device broke the ring's contract; the driver quarantined the queue.
    Quarantined(RingFault),
    /// The device stopped it: a value of [`queue_error`].
    ByDevice(u32),
    /// The device runs no queue any more: it was reset, and not by this driver.
    Reset,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantined(fault) => {
                write!(f, "the device broke the contract of its ring: {fault}")
            }
            Self::ByDevice(queue_error::BAD_INDEX) => {
                f.write_str("the device saw an impossible index in a doorbell")
            }
            Self::ByDevice(queue_error::DMA) => {
                f.write_str("the device's access to the ring's memory was refused")
            }
            Self::ByDevice(queue_error::BAD_SLOT) => {
                f.write_str("the device saw a slot number that is too high")
            }
            Self::ByDevice(queue_error::BAD_SETUP) => {
                f.write_str("the device refused the ring's size or base")
            }
            Self::ByDevice(code) => write!(f, "the device reports error {code}"),
            Self::Reset => f.write_str("the device was reset by something else than this driver"),
        }
    }
}

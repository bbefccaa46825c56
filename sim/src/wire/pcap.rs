//! A recorded capture as the far end: its frames come to the NIC with the gaps they were recorded with; what the NIC sends goes nowhere.
//!
//! The first frame comes [`LEAD_NS`] after the NIC's receiver was switched on, by when the register write has arrived; whenever that happens again, the capture is played from its start.
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Arrival, Wire};

mod read;
#[cfg(test)]
mod tests;

pub use read::CaptureFault;

/// Time from the receiver being switched on to the first frame, in nanoseconds.
pub const LEAD_NS: u64 = 100_000;

/// Why a capture cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read the capture {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file does not hold what can be replayed.
    #[error("cannot replay {}: {source}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CaptureFault,
    },
}

/// A frame and when it comes, in nanoseconds after the first.
type Timed = (u64, Arrival);

/// The wire.
#[derive(Debug)]
pub struct Replay {
    frames: Vec<Timed>,
    next: usize,
    /// When the first frame comes; none while the receiver has never been on.
    start_ns: Option<u64>,
}

impl Replay {
    /// The pcap or pcapng file at `path`, read as a whole.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let bytes = std::fs::read(path).map_err(|source| ReplayError::Open {
            path: path.into(),
            source,
        })?;
        Self::of_capture(&bytes).map_err(|source| ReplayError::Capture {
            path: path.into(),
            source,
        })
    }

    /// The capture that `bytes` are. Frames marked as sent by the machine that recorded them are left out.
    ///
    /// # Errors
    /// See [`CaptureFault`].
    pub fn of_capture(bytes: &[u8]) -> Result<Self, CaptureFault> {
        Ok(Self {
            frames: read::frames(bytes)?,
            next: 0,
            start_ns: None,
        })
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none, which an opened capture never is.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Time from the first frame to the last, in nanoseconds.
    pub fn length_ns(&self) -> u64 {
        self.frames.last().map_or(0, |(at_ns, _)| *at_ns)
    }

    fn due(&self) -> Option<u64> {
        let (at_ns, _) = self.frames.get(self.next)?;
        Some(self.start_ns?.saturating_add(*at_ns))
    }
}

impl Wire for Replay {
    fn send(&mut self, _: u64, _: &[u8]) {}

    /// Only frames that a station takes; see [`Wire::arrive`] for all.
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        loop {
            let arrival = self.arrive(now_ns)?;
            if arrival.fcs.is_none() {
                return Some(arrival.frame);
            }
        }
    }

    fn arrive(&mut self, now_ns: u64) -> Option<Arrival> {
        if self.due()? > now_ns {
            return None;
        }
        let (_, arrival) = self.frames.get(self.next)?;
        self.next += 1;
        Some(arrival.clone())
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.due().map(|at| at.max(now_ns))
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.next = 0;
        self.start_ns = Some(now_ns.saturating_add(LEAD_NS));
    }
}

//! What a packet costs the driver, with a device in plain Rust on the same thread: only the driver's calls are timed, by the processor's
//! time stamp counter, in batches.
#![forbid(unsafe_code)]

mod device;

pub use device::{emulated, EmulatedNic, Hardware};

use std::sync::Arc;

use ferrule_driver::nic::{NicConfig, RxFrame, TxFrame, TxMode};
use ferrule_driver::{Nic, NicError, WallClock};
use quanta::Clock;

/// Bytes of the frames.
const FRAME: usize = 60;
/// Packets before the timing, and in each of the rounds, of which the fastest counts.
const WARM_UP: usize = 20_000;
const PACKETS: usize = 200_000;
const ROUNDS: usize = 9;

/// What is done with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// A frame is handed over, and its completion is taken.
    Send,
    /// A frame is taken from its slot, and the slot is lent again.
    Receive,
    /// Both: what comes in goes out again.
    Forward,
}

/// A NIC on an emulated device.
pub struct Bench {
    nic: Nic,
    hardware: Hardware,
    clock: Clock,
    frames: Vec<RxFrame>,
    bytes: [u8; FRAME],
    cycles: u64,
}

impl Bench {
    /// A NIC that is up.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new() -> Result<Self, NicError> {
        let (device, hardware) = emulated();
        let nic = Nic::open(Box::new(device), Arc::new(WallClock), &NicConfig::default())?;
        Ok(Self {
            nic,
            hardware,
            clock: Clock::new(),
            frames: Vec::with_capacity(256),
            bytes: std::array::from_fn(|i| i as u8),
            cycles: 0,
        })
    }

    fn timed<T>(&mut self, call: impl FnOnce(&mut Nic, &mut Vec<RxFrame>, &[u8]) -> T) -> T {
        let before = self.clock.raw();
        let result = call(&mut self.nic, &mut self.frames, &self.bytes);
        self.cycles += self.clock.raw() - before;
        result
    }

    /// Does a batch; only the driver's part is timed.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn batch(&mut self, job: Job, size: usize) -> Result<(), NicError> {
        if job != Job::Send {
            let received = self.hardware.receive(size, &self.bytes);
            debug_assert_eq!(received, size);
        }
        self.timed(|nic, frames, bytes| {
            if job != Job::Send {
                nic.rx_batch(size, frames)?;
            }
            if job != Job::Receive {
                send(nic, job, size, frames, bytes)?;
            }
            frames.clear();
            Ok::<(), NicError>(())
        })?;
        if job != Job::Receive {
            self.hardware.transmit();
            self.timed(|nic, _, _| nic.tx_completions().map(drop))?;
        }
        Ok(())
    }

    /// Cycles of a packet in batches of `size`, less those of the measuring itself.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn cycles(&mut self, job: Job, size: usize) -> Result<f64, NicError> {
        for _ in 0..WARM_UP / size {
            self.batch(job, size)?;
        }
        let calls = if job == Job::Receive { 1 } else { 2 };
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            self.cycles = 0;
            let batches = PACKETS / size;
            for _ in 0..batches {
                self.batch(job, size)?;
            }
            let cycles = self.cycles;
            self.cycles = 0;
            for _ in 0..batches * calls {
                self.timed(|_, _, _| ());
            }
            let own = cycles.saturating_sub(self.cycles);
            best = best.min(own as f64 / (batches * size) as f64);
        }
        Ok(best)
    }
}

/// Sends what was received, or else frames of these bytes.
fn send(
    nic: &mut Nic,
    job: Job,
    size: usize,
    frames: &[RxFrame],
    bytes: &[u8],
) -> Result<(), NicError> {
    let mut parts: [[&[u8]; 1]; 64] = [[bytes]; 64];
    if job == Job::Forward {
        for (part, frame) in parts.iter_mut().zip(frames) {
            *part = [&frame.head];
        }
    }
    let batch: [TxFrame<'_>; 64] = std::array::from_fn(|n| TxFrame {
        parts: &parts[n],
        mode: TxMode::Raw,
        ..TxFrame::default()
    });
    let taken = nic.tx_batch(&batch[..size])?;
    debug_assert_eq!(taken, size);
    Ok(())
}

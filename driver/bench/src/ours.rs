//! Our driver's jobs.
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use ferrule_driver::nic::{InPlaceFrame, NicConfig, RxFrame, TxFrame, TxMode, Verdict};
use ferrule_driver::{Clock, Nic, NicError};

use crate::device::{emulated, Hardware};
use crate::jobs::Job;
use crate::{Error, Meter, Work, FRAME};

/// A clock that goes on when it is looked at: nothing here waits for time, and Callgrind cannot run what reads the machine's.
#[derive(Default)]
struct Counting(AtomicU64);

impl Clock for Counting {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn wait(&self, _: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        self.0
            .fetch_max(deadline_ns.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}

/// A NIC on an emulated device, `SIZE` packets at a time.
pub(crate) struct Ours<const SIZE: usize> {
    job: Job,
    nic: Nic,
    hardware: Hardware,
    frames: Vec<RxFrame>,
    bytes: [u8; FRAME],
}

impl<const SIZE: usize> Ours<SIZE> {
    pub(crate) fn new(job: Job) -> Result<Self, Error> {
        let (device, hardware) = emulated();
        let config = NicConfig::default();
        let mut nic = Nic::open(Box::new(device), Arc::new(Counting::default()), &config)?;
        let bytes: [u8; FRAME] = std::array::from_fn(|i| i as u8);
        // The frames that are handed over where they lie.
        for _ in 0..1 << config.sq_log2 {
            nic.tx_completions()?;
            nic.tx_in_place(1, |_, buffer| {
                buffer.write(0, &bytes);
                Some(InPlaceFrame::raw(0..FRAME))
            })?;
            hardware.transmit();
        }
        Ok(Self {
            job,
            nic,
            hardware,
            frames: Vec::with_capacity(SIZE),
            bytes,
        })
    }
}

/// What a program sends: what it received, or else frames of these bytes.
fn parts<'a, const SIZE: usize>(frames: &'a [RxFrame], bytes: &'a [u8]) -> [[&'a [u8]; 1]; SIZE] {
    std::array::from_fn(|n| [frames.get(n).map_or(bytes, |frame| &frame.head)])
}

impl<const SIZE: usize> Ours<SIZE> {
    /// Sends frames that were made before, or what was received, by copies; how many were received and taken for sending.
    fn by_copies(&mut self, meter: &mut Meter) -> Result<(usize, usize), NicError> {
        let Self {
            job,
            nic,
            frames,
            bytes,
            ..
        } = self;
        let (sends, receives) = (*job != Job::Receive, *job != Job::Send);
        let received = meter.time(|| {
            // Those of the batch before.
            frames.clear();
            if sends {
                nic.tx_completions()?;
            }
            if receives {
                nic.rx_batch(SIZE, frames)
            } else {
                Ok(0)
            }
        })?;
        if !sends {
            return Ok((received, 0));
        }
        let parts = parts::<SIZE>(frames, bytes);
        let batch: [TxFrame<'_>; SIZE] = std::array::from_fn(|n| TxFrame {
            parts: &parts[n],
            mode: TxMode::Raw,
            ..TxFrame::default()
        });
        Ok((received, meter.time(|| nic.tx_batch(&batch))?))
    }

    /// As [`by_copies`](Self::by_copies), with frames that stay where they are.
    fn in_place(&mut self, meter: &mut Meter) -> Result<(usize, usize), NicError> {
        let Self {
            job,
            nic,
            frames,
            bytes,
            ..
        } = self;
        if *job == Job::Ring {
            let taken = meter.time(|| {
                nic.tx_completions()?;
                nic.tx_in_place(SIZE, |_, _| Some(InPlaceFrame::raw(0..FRAME)))
            })?;
            return Ok((0, taken));
        }
        let addresses = &bytes[..12];
        let done = meter.time(|| {
            nic.forward(SIZE, frames, |frame| {
                frame.write(0, addresses);
                Verdict::Forward(InPlaceFrame::raw(0..frame.stored_len()))
            })
        })?;
        Ok((done.taken, done.sent))
    }
}

impl<const SIZE: usize> Work for Ours<SIZE> {
    fn batch(&mut self, meter: &mut Meter) -> Result<(), Error> {
        let job = self.job;
        let sends = job != Job::Receive;
        let receives = !matches!(job, Job::Ring | Job::Send);
        if receives {
            self.hardware.receive(SIZE, &self.bytes);
        }
        let (received, taken) = match job {
            Job::Ring | Job::Forward => self.in_place(meter)?,
            _ => self.by_copies(meter)?,
        };
        let expected = |does: bool| if does { SIZE } else { 0 };
        if (received, taken) != (expected(receives), expected(sends)) {
            return Err(Error::Lost { received, taken });
        }
        if sends {
            self.hardware.transmit();
        }
        Ok(())
    }

    fn packets(&self) -> usize {
        SIZE
    }
}

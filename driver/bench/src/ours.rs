//! Our driver's jobs.
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use ferrule_driver::nic::{NicConfig, RxFrame, TxFrame, TxMode};
use ferrule_driver::{Clock, Nic};

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
        let nic = Nic::open(
            Box::new(device),
            Arc::new(Counting::default()),
            &NicConfig::default(),
        )?;
        Ok(Self {
            job,
            nic,
            hardware,
            frames: Vec::with_capacity(SIZE),
            bytes: std::array::from_fn(|i| i as u8),
        })
    }
}

/// What a program sends: what it received, or else frames of these bytes.
fn parts<'a, const SIZE: usize>(frames: &'a [RxFrame], bytes: &'a [u8]) -> [[&'a [u8]; 1]; SIZE] {
    std::array::from_fn(|n| [frames.get(n).map_or(bytes, |frame| &frame.head)])
}

impl<const SIZE: usize> Work for Ours<SIZE> {
    fn batch(&mut self, meter: &mut Meter) -> Result<(), Error> {
        let Self {
            job,
            nic,
            hardware,
            frames,
            bytes,
        } = self;
        let (sends, receives) = (*job != Job::Receive, *job != Job::Send);
        if receives {
            hardware.receive(SIZE, bytes);
        }
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
        let taken = if sends {
            let parts = parts::<SIZE>(frames, bytes);
            let batch: [TxFrame<'_>; SIZE] = std::array::from_fn(|n| TxFrame {
                parts: &parts[n],
                mode: TxMode::Raw,
                ..TxFrame::default()
            });
            meter.time(|| nic.tx_batch(&batch))?
        } else {
            0
        };
        let expected = |does: bool| if does { SIZE } else { 0 };
        if (received, taken) != (expected(receives), expected(sends)) {
            return Err(Error::Lost { received, taken });
        }
        if sends {
            hardware.transmit();
        }
        Ok(())
    }

    fn packets(&self) -> usize {
        SIZE
    }
}

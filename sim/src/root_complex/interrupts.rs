//! MSI-X vectors: the messages that the device is told to send, and whom each one wakes.
use std::os::fd::OwnedFd;

use ferrule_abi::MSIX_ENTRY_SIZE;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// Where message-signalled interrupts go, as on x86 (Intel SDM volume 3, section 11.11).
const WINDOW: std::ops::Range<u64> = 0xFEE0_0000..0xFEF0_0000;
/// Address of vector 0's message; the next ones follow a page further each.
const ADDRESS: u64 = WINDOW.start;
const ADDRESS_STEP: u64 = 0x1000;
/// Data of vector 0's message; the next ones count up.
const DATA: u32 = 0x4000;

/// Whom a vector wakes.
pub enum Interrupt {
    /// 1 is added to this eventfd.
    EventFd(OwnedFd),
    /// This is called.
    Callback(Box<dyn FnMut() + Send>),
}

impl Interrupt {
    /// Never blocks: a descriptor that takes nothing more (a client may have given a full pipe) is left alone, it is readable already.
    fn raise(&mut self) {
        match self {
            Self::Callback(call) => call(),
            Self::EventFd(fd) => {
                let mut polled = [PollFd::new(fd, PollFlags::OUT)];
                let at_once = Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                if matches!(poll(&mut polled, Some(&at_once)), Ok(1)) {
                    if let Err(e) = rustix::io::write(&*fd, &1u64.to_ne_bytes()) {
                        tracing::warn!("an interrupt's eventfd: {e}");
                    }
                }
            }
        }
    }
}

/// A write to the device's MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableWrite {
    pub(super) offset: u32,
    pub(super) value: u32,
}

/// The vectors.
pub(super) struct Vectors {
    vectors: Vec<Option<Interrupt>>,
}

impl Vectors {
    /// So many vectors, which nobody has.
    pub(super) fn new(count: u16) -> Self {
        Self {
            vectors: (0..count).map(|_| None).collect(),
        }
    }

    /// Takes all of them away; nothing is written to the table of a device that is reset.
    pub(super) fn clear(&mut self) {
        self.vectors.fill_with(|| None);
    }

    /// Whether an address takes messages instead of data.
    pub(super) fn covers(address: u64) -> bool {
        WINDOW.contains(&address)
    }

    /// Gives a vector to somebody, or takes it away; what must be written to the table for it. A vector that does not exist: nothing.
    pub(super) fn set(&mut self, vector: u16, interrupt: Option<Interrupt>) -> Vec<TableWrite> {
        let Some(slot) = self.vectors.get_mut(usize::from(vector)) else {
            return vec![];
        };
        let was = slot.is_some();
        *slot = interrupt;
        match (was, slot.is_some()) {
            (false, true) => programme(vector),
            (true, false) => vec![TableWrite {
                offset: u32::from(vector) * MSIX_ENTRY_SIZE + 12,
                value: 1,
            }],
            _ => vec![],
        }
    }

    /// What must be written after the device has forgotten its table.
    pub(super) fn reprogramme(&self) -> Vec<TableWrite> {
        let used = self.vectors.iter().zip(0u16..).filter(|(v, _)| v.is_some());
        used.flat_map(|(_, vector)| programme(vector)).collect()
    }

    pub(super) fn any(&self) -> bool {
        self.vectors.iter().any(Option::is_some)
    }

    /// Wakes whoever has the vector.
    pub(super) fn raise(&mut self, vector: u16) {
        if let Some(Some(interrupt)) = self.vectors.get_mut(usize::from(vector)) {
            interrupt.raise();
        }
    }

    /// Wakes everybody who has one.
    pub(super) fn raise_all(&mut self) {
        let used = self.vectors.iter_mut().flatten();
        used.for_each(Interrupt::raise);
    }

    /// Delivers a message; false if no vector was told to send it.
    pub(super) fn message(&mut self, address: u64, data: &[u8]) -> bool {
        let vector = (address - ADDRESS) / ADDRESS_STEP;
        let expected = DATA + vector as u32;
        let known = address == ADDRESS + vector * ADDRESS_STEP && data == expected.to_le_bytes();
        match self.vectors.get_mut(vector as usize) {
            Some(Some(interrupt)) if known => {
                interrupt.raise();
                true
            }
            // Taken away while its message was under way.
            Some(None) if known => true,
            _ => false,
        }
    }
}

/// Address, data and Vector Control of an entry (PCI 3.0, section 6.8.2), unmasked last.
fn programme(vector: u16) -> Vec<TableWrite> {
    let vector = u32::from(vector);
    let address = ADDRESS + u64::from(vector) * ADDRESS_STEP;
    let values = [address as u32, (address >> 32) as u32, DATA + vector, 0];
    (0..)
        .zip(values)
        .map(|(i, value)| TableWrite {
            offset: vector * MSIX_ENTRY_SIZE + 4 * i,
            value,
        })
        .collect()
}

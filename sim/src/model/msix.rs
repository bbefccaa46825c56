//! MSI-X: the table and the pending bits in their BAR, and the messages (PCI local bus specification 3.0, section 6.8.2).
use ferrule_abi::{counter, MSIX_PBA_OFFSET, MSIX_VECTORS};

use super::io::Io;

/// Bytes of the BAR that are looked at: addresses beyond it name the same words.
const BAR_MASK: u32 = 0xFFF;
const ENTRY_BYTES: u32 = 16;
const TABLE_BYTES: u32 = MSIX_VECTORS as u32 * ENTRY_BYTES;
/// A bit a vector.
const ALL: u8 = u8::MAX;
const _: () = assert!(MSIX_VECTORS == u8::BITS as u16);

/// Message address and data of a vector.
#[derive(Clone, Copy, Default)]
struct Message {
    address_lo: u32,
    address_hi: u32,
    data: u32,
}

/// The unit.
pub(super) struct Msix {
    table: [Message; MSIX_VECTORS as usize],
    /// One bit a vector.
    masked: u8,
    pending: u8,
}

impl Msix {
    pub(super) fn new() -> Self {
        Self {
            table: Default::default(),
            masked: ALL,
            pending: 0,
        }
    }

    /// The reset pin: all vectors masked, none pending. The table's memory keeps what it holds.
    pub(super) fn reset(&mut self) {
        (self.masked, self.pending) = (ALL, 0);
    }

    /// CTRL.RESET: nothing is pending.
    pub(super) fn clear(&mut self) {
        self.pending = 0;
    }

    /// A write within the BAR; false beyond the table.
    pub(super) fn write(&mut self, offset: u32, value: u32) -> bool {
        let offset = offset & BAR_MASK;
        if offset >= TABLE_BYTES {
            return matches!(offset & !4, MSIX_PBA_OFFSET);
        }
        let (vector, flag) = Self::vector(offset);
        let message = &mut self.table[vector];
        match offset & 0xC {
            0 => message.address_lo = value & !3,
            4 => message.address_hi = value,
            8 => message.data = value,
            _ if value & 1 == 0 => self.masked &= !flag,
            _ => self.masked |= flag,
        }
        true
    }

    /// A read within the BAR; none beyond table and pending bits.
    pub(super) fn read(&self, offset: u32) -> Option<u32> {
        let offset = offset & BAR_MASK;
        if offset >= TABLE_BYTES {
            return match offset {
                MSIX_PBA_OFFSET => Some(self.pending.into()),
                _ if offset == MSIX_PBA_OFFSET + 4 => Some(0),
                _ => None,
            };
        }
        let (vector, flag) = Self::vector(offset);
        let message = &self.table[vector];
        Some(match offset & 0xC {
            0 => message.address_lo,
            4 => message.address_hi,
            8 => message.data,
            _ => u32::from(self.masked & flag != 0),
        })
    }

    fn vector(offset: u32) -> (usize, u8) {
        let vector = offset / ENTRY_BYTES;
        (vector as usize, 1 << vector)
    }

    /// Takes in what the queues have raised, and sends what may be sent.
    pub(super) fn step(&mut self, io: &mut Io<'_>) {
        self.pending |= std::mem::take(&mut io.raised) & ALL;
        if self.pending & !self.masked == 0 || !io.bus.messages() || !io.bus.bus_master() {
            return;
        }
        // The highest vector goes first.
        for vector in (0..MSIX_VECTORS).rev() {
            let flag = 1 << vector;
            if self.pending & !self.masked & flag != 0 {
                self.pending &= !flag;
                let message = self.table[usize::from(vector)];
                let address = u64::from(message.address_lo) | u64::from(message.address_hi) << 32;
                io.write(address, &message.data.to_le_bytes(), 4);
                io.count(counter::INTERRUPTS);
            }
        }
    }
}

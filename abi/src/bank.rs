//! The banks of registers with their names and places, for what is printed from the tables.
use crate::{regs, Register};

/// A bank as the exports name it.
#[derive(Clone, Copy, Debug)]
pub struct BankInfo {
    /// Its name in capitals: `PORT`, `EVENT`, `TX`, `RX`.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Byte offset in BAR0 of the bank, of queue 0 where there is one for each.
    pub base: u32,
    /// Bytes from one queue's to the next one's; 0 where there is one bank, whatever the number of queues.
    pub stride: u32,
    /// Its length in bytes: each word in it is a register or a hole.
    pub bytes: u32,
    /// Its registers.
    pub registers: &'static [Register],
}

impl BankInfo {
    /// How many of it a NIC with `pairs` queue pairs has.
    pub const fn count(&self, pairs: u32) -> u32 {
        if self.stride == 0 {
            1
        } else {
            pairs
        }
    }

    /// Byte offset in BAR0 of queue `queue`'s; of the bank where there is one.
    pub const fn base_of(&self, queue: u32) -> u32 {
        self.base + self.stride * queue
    }
}

/// Bytes from one queue's page to that of the next one of its kind.
const PAIR_BYTES: u32 = regs::tx_page(1) - regs::tx_page(0);

/// All banks.
pub static BANKS: [BankInfo; 4] = [
    BankInfo {
        name: "PORT",
        doc: "The port's own registers.",
        base: 0,
        stride: 0,
        bytes: 0x400,
        registers: regs::PORT,
    },
    BankInfo {
        name: "EVENT",
        doc: "Page of the event queue.",
        base: regs::event_page(),
        stride: 0,
        bytes: 0x40,
        registers: regs::EVENT,
    },
    BankInfo {
        name: "TX",
        doc: "Page of a transmit queue.",
        base: regs::tx_page(0),
        stride: PAIR_BYTES,
        bytes: 0x40,
        registers: regs::TX,
    },
    BankInfo {
        name: "RX",
        doc: "Page of a receive queue.",
        base: regs::rx_page(0),
        stride: PAIR_BYTES,
        bytes: 0x40,
        registers: regs::RX,
    },
];

/// A register at its place in BAR0.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its bank.
    pub bank: &'static BankInfo,
    /// Which queue's; 0 where there is one bank.
    pub queue: u32,
    /// Its row.
    pub register: &'static Register,
    /// Which of an array.
    pub index: u32,
}

impl Place {
    /// Byte offset in BAR0.
    pub const fn offset(&self) -> u32 {
        self.bank.base_of(self.queue) + self.register.offset_of(self.index)
    }
}

/// Prints its name: `RXCTL`, `LOCAL_ADDR[3]`, `EVENT.CFG`, `TX2.CFG`.
impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Register { name, count, .. } = self.register;
        match self.bank {
            bank if bank.base == 0 => {}
            BankInfo {
                name, stride: 0, ..
            } => write!(f, "{name}.")?,
            bank => write!(f, "{}{}.", bank.name, self.queue)?,
        }
        match count {
            1 => f.write_str(name),
            _ => write!(f, "{name}[{}]", self.index),
        }
    }
}

/// The banks of a NIC with `pairs` queue pairs, each with the number of its queue: all of a kind, then all of the next.
pub fn banks(pairs: u32) -> impl Iterator<Item = (&'static BankInfo, u32)> {
    BANKS
        .iter()
        .flat_map(move |bank| (0..bank.count(pairs)).map(move |queue| (bank, queue)))
}

/// Every register of a NIC with `pairs` queue pairs, bank by bank, in the order of the tables.
pub fn places(pairs: u32) -> impl Iterator<Item = Place> {
    banks(pairs).flat_map(|(bank, queue)| {
        bank.registers.iter().flat_map(move |register| {
            (0..register.count).map(move |index| Place {
                bank,
                queue,
                register,
                index,
            })
        })
    })
}

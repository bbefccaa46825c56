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
    /// Its length in bytes: each word in it is a register or a hole.
    pub bytes: u32,
    /// Its registers.
    pub registers: &'static [Register],
}

/// All banks of a NIC with one queue pair.
pub static BANKS: [BankInfo; 4] = [
    BankInfo {
        name: "PORT",
        doc: "The port's own registers.",
        base: 0,
        bytes: 0x400,
        registers: regs::PORT,
    },
    BankInfo {
        name: "EVENT",
        doc: "Page of the event queue.",
        base: regs::event_page(),
        bytes: 0x40,
        registers: regs::EVENT,
    },
    BankInfo {
        name: "TX",
        doc: "Page of transmit queue 0.",
        base: regs::tx_page(0),
        bytes: 0x40,
        registers: regs::TX,
    },
    BankInfo {
        name: "RX",
        doc: "Page of receive queue 0.",
        base: regs::rx_page(0),
        bytes: 0x40,
        registers: regs::RX,
    },
];

/// A register at its place in BAR0.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its bank.
    pub bank: &'static BankInfo,
    /// Its row.
    pub register: &'static Register,
    /// Which of an array.
    pub index: u32,
}

impl Place {
    /// Byte offset in BAR0.
    pub const fn offset(&self) -> u32 {
        self.bank.base + self.register.offset_of(self.index)
    }
}

/// Prints its name: `RXCTL`, `LOCAL_ADDR[3]`, `TX.CFG`.
impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Register { name, count, .. } = self.register;
        if self.bank.base != 0 {
            write!(f, "{}.", self.bank.name)?;
        }
        match count {
            1 => f.write_str(name),
            _ => write!(f, "{name}[{}]", self.index),
        }
    }
}

/// Every register, bank by bank, in the order of the tables.
pub fn places() -> impl Iterator<Item = Place> {
    BANKS.iter().flat_map(|bank| {
        bank.registers.iter().flat_map(move |register| {
            (0..register.count).map(move |index| Place {
                bank,
                register,
                index,
            })
        })
    })
}

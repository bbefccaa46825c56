//! The registers of a NIC with one queue pair, each at its place in BAR0.
use ferrule_abi::{regs, Register};

/// A register at its place.
pub(crate) struct Place {
    /// Byte offset in BAR0.
    pub(crate) offset: u32,
    /// The name of its bank's page, empty for the port's own.
    pub(crate) bank: &'static str,
    /// Its row.
    pub(crate) register: &'static Register,
    /// Which of an array.
    pub(crate) index: u32,
}

impl Place {
    /// Its name: `RXCTL`, `LOCAL_ADDR[3]`, `TX0.CFG`.
    pub(crate) fn name(&self) -> String {
        let Register { name, count, .. } = self.register;
        let bank = match self.bank {
            "" => String::new(),
            bank => format!("{bank}."),
        };
        match count {
            1 => format!("{bank}{name}"),
            _ => format!("{bank}{name}[{}]", self.index),
        }
    }
}

/// All of them, bank by bank, in the order of the tables.
pub(crate) fn places() -> Vec<Place> {
    let banks = [
        ("", regs::PORT, 0),
        ("EVENT", regs::EVENT, regs::event_page()),
        ("TX0", regs::TX, regs::tx_page(0)),
        ("RX0", regs::RX, regs::rx_page(0)),
    ];
    let of_bank = |(bank, table, base): (&'static str, &'static [Register], u32)| {
        table.iter().flat_map(move |register| {
            (0..register.count).map(move |index| Place {
                offset: base + register.offset_of(index),
                bank,
                register,
                index,
            })
        })
    };
    banks.into_iter().flat_map(of_bank).collect()
}

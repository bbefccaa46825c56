//! The register tables of `ferrule_abi::regs` as the register file's memory sees them.
use ferrule_abi::{regs, Register};

/// Words of the memory: 256 for the port, then 16 for each queue page.
pub const WORDS: usize = 256 + regs::PAGES as usize * PAGE_WORDS;
/// Words kept for a queue page.
pub const PAGE_WORDS: usize = 16;

/// One register: its word, what may be written to it, its reset value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of its word.
    pub word: usize,
    /// Bits that a write stores.
    pub mask: u32,
    /// Value after reset.
    pub reset: u32,
}

/// The word of a register of the port's own bank.
pub const fn port_word(offset: u32) -> usize {
    offset as usize / 4
}

/// The word of a register at `offset` of queue page `page`.
pub const fn page_word(page: usize, offset: u32) -> usize {
    256 + page * PAGE_WORDS + offset as usize / 4
}

/// All registers of a build with `pairs` queue pairs.
///
/// # Panics
/// If a table holds what the register file cannot: a register beyond its bank's words, or one that mixes bits that are written with
/// bits that are not zero and only read.
pub fn entries(pairs: u32) -> Vec<Entry> {
    let mut banks: Vec<(&[Register], usize, usize)> = vec![
        (regs::PORT, 0, 256),
        (regs::EVENT, page_word(0, 0), PAGE_WORDS),
    ];
    for pair in 0..pairs as usize {
        banks.push((regs::TX, page_word(1 + 2 * pair, 0), PAGE_WORDS));
        banks.push((regs::RX, page_word(2 + 2 * pair, 0), PAGE_WORDS));
    }
    let mut all = Vec::new();
    for (table, first, words) in banks {
        for r in table {
            for i in 0..r.count {
                let word = r.offset_of(i) as usize / 4;
                assert!(word < words, "{} lies beyond its bank", r.name);
                let mask = r.write_mask();
                assert!(
                    mask == 0 || r.reset & !mask == 0,
                    "{} mixes constant and stored bits",
                    r.name
                );
                all.push(Entry {
                    word: first + word,
                    mask,
                    reset: r.reset,
                });
            }
        }
    }
    all
}

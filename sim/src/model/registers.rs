//! The registers of BAR0: their values, what of them may be written, what is none.
use std::sync::LazyLock;

use ferrule_abi::bank::places;
use ferrule_abi::{regs, Field};

use super::counters::{Counters, COUNT};
use super::hash::KEY_BYTES;
use super::neigh::CommandResult;

/// All-ones: what a refused access reads.
pub(super) const REFUSED: u32 = u32::MAX;
/// Bytes of the port's own bank.
const PORT_BYTES: u32 = 1 << 10;
const PORT_WORDS: usize = PORT_BYTES as usize / 4;
/// Bytes of a page that hold registers.
const PAGE_BYTES: u32 = 1 << 6;
const PAGE_WORDS: usize = PAGE_BYTES as usize / 4;
/// Words of the port, then of each page.
const WORDS: usize = PORT_WORDS + regs::PAGES as usize * PAGE_WORDS;
/// Queues of each kind.
pub(super) const QUEUES: usize = regs::QUEUE_PAIRS as usize;

/// A queue's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Event,
    /// Of this transmit queue, below [`QUEUES`].
    Tx(usize),
    /// Of this receive queue, below [`QUEUES`].
    Rx(usize),
}

impl Page {
    /// The page that a byte offset in BAR0 lies in, and the offset within it; none for the port's own bank and behind the last page.
    pub(super) fn of(offset: u32) -> Option<(Self, u32)> {
        let beyond = offset.checked_sub(regs::QUEUE_PAGES)?;
        let (number, within) = (
            beyond / regs::QUEUE_PAGE_SIZE,
            beyond % regs::QUEUE_PAGE_SIZE,
        );
        let page = match number as usize {
            0 => Self::Event,
            n if n > 2 * QUEUES => return None,
            n if n % 2 == 1 => Self::Tx(n / 2),
            n => Self::Rx(n / 2 - 1),
        };
        Some((page, within))
    }

    /// Its number, as events have it.
    pub(super) fn number(self) -> u16 {
        (match self {
            Self::Event => 0,
            Self::Tx(queue) => 1 + 2 * queue,
            Self::Rx(queue) => 2 + 2 * queue,
        }) as u16
    }
}

/// What a word of the map is: nothing for a hole.
#[derive(Clone, Copy, Default)]
struct Word {
    known: bool,
    mask: u32,
    reset: u32,
}

static MAP: LazyLock<[Word; WORDS]> = LazyLock::new(|| {
    let mut map = [Word::default(); WORDS];
    for place in places(regs::QUEUE_PAIRS) {
        if let Some(word) = word_of(place.offset()) {
            map[word] = Word {
                known: true,
                mask: place.register.write_mask(),
                reset: place.register.reset,
            };
        }
    }
    map
});

/// The word that a byte offset in BAR0 names.
fn word_of(offset: u32) -> Option<usize> {
    if offset < PORT_BYTES {
        return Some(port_word(offset));
    }
    let (page, within) = Page::of(offset)?;
    (within < PAGE_BYTES).then(|| page_word(page, within))
}

/// The word of a register of the port's own bank.
const fn port_word(offset: u32) -> usize {
    offset as usize / 4
}

/// The word of a register at `offset` of a page.
fn page_word(page: Page, offset: u32) -> usize {
    PORT_WORDS + usize::from(page.number()) * PAGE_WORDS + offset as usize / 4
}

/// The values.
pub(super) struct Registers {
    words: [u32; WORDS],
    /// A bit a VLAN.
    vlans: [u32; 1 << regs::vlan_word::NUMBER.width],
    bad_accesses: u16,
}

impl Registers {
    /// Reset values, with `mac` as the board gives it.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        let mut registers = Self {
            words: MAP.map(|w| w.reset),
            vlans: [0; 1 << regs::vlan_word::NUMBER.width],
            bad_accesses: 0,
        };
        let [a, b, c, d, e, f] = mac;
        registers.words[port_word(regs::mac_lo::OFFSET)] = u32::from_le_bytes([a, b, c, d]);
        registers.words[port_word(regs::mac_hi::OFFSET)] = u32::from_le_bytes([e, f, 0, 0]);
        registers
    }

    /// What CTRL.RESET does: everything but the MAC address.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.mac());
    }

    /// A register of the port's own bank.
    pub(super) fn port(&self, offset: u32) -> u32 {
        self.words[port_word(offset)]
    }

    /// A register of a queue's page.
    pub(super) fn page(&self, page: Page, offset: u32) -> u32 {
        self.words[page_word(page, offset)]
    }

    /// Two registers of a queue's page that hold an address, the lower half first.
    pub(super) fn address(&self, page: Page, offset: u32) -> u64 {
        u64::from(self.page(page, offset)) | u64::from(self.page(page, offset + 4)) << 32
    }

    /// A bit of FLOW.
    pub(super) fn flow(&self, bit: Field) -> bool {
        bit.get(self.port(regs::flow::OFFSET)) != 0
    }

    /// A bit of CTRL.
    pub(super) fn ctrl(&self, bit: Field) -> bool {
        bit.get(self.port(regs::ctrl::OFFSET)) != 0
    }

    /// The MAC address in force.
    pub(super) fn mac(&self) -> [u8; 6] {
        self.mac_at(regs::mac_lo::OFFSET)
    }

    /// Two registers that hold a MAC address, its first four bytes first.
    fn mac_at(&self, offset: u32) -> [u8; 6] {
        let [a, b, c, d] = self.port(offset).to_le_bytes();
        let [e, f, ..] = self.port(offset + 4).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// The key of the flow hash.
    pub(super) fn hash_key(&self) -> [u8; KEY_BYTES] {
        let first = port_word(regs::hash_key::OFFSET);
        let mut key = [0; KEY_BYTES];
        let words = self.words[first..].iter();
        for (bytes, word) in key.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        key
    }

    /// The receive queue, below [`QUEUES`], for a frame of this hash.
    pub(super) fn receive_queue(&self, hash: u32) -> usize {
        let table =
            std::array::from_fn(|n| self.port(regs::indirection::REGISTER.offset_of(n as u32)));
        regs::indirection_queue(&table, hash) as usize
    }

    /// Frames to this multicast address are wanted.
    pub(super) fn wants_group(&self, address: [u8; 6]) -> bool {
        let [a, b, c, d, e, f] = address;
        let words = [
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, 0, 0]),
        ];
        let exact = (0..regs::MULTICAST_ADDRESSES).any(|n| {
            let registers = [regs::mc_lo::REGISTER, regs::mc_hi::REGISTER];
            registers.map(|r| self.port(r.offset_of(n))) == words
        });
        let hash = regs::multicast_hash(address);
        let bits = self.port(regs::mc_hash::REGISTER.offset_of(hash / 32));
        exact || bits >> (hash % 32) & 1 == 1
    }

    /// Frames with this tag control information are wanted.
    pub(super) fn has_vlan(&self, tci: u16) -> bool {
        let id = usize::from(tci & 0xFFF);
        self.vlans[id / 32] >> (id % 32) & 1 == 1
    }

    /// Counts a refused access.
    pub(super) fn refuse(&mut self) {
        self.bad_accesses = self.bad_accesses.saturating_add(1);
    }

    /// Stores what may be written of `value`; whether there is such a register.
    pub(super) fn write(&mut self, offset: u32, value: u32) -> bool {
        let Some(word) = word_of(offset).filter(|w| MAP[*w].known) else {
            self.refuse();
            return false;
        };
        if MAP[word].mask != 0 {
            self.words[word] = value & MAP[word].mask;
        }
        if offset == regs::vlan_bits::OFFSET {
            let number = regs::vlan_word::NUMBER.get(self.port(regs::vlan_word::OFFSET));
            self.vlans[number as usize] = value;
        }
        true
    }

    /// A write that changes nothing, unless there is no such register.
    pub(super) fn leave(&mut self, offset: u32) {
        if !word_of(offset).is_some_and(|w| MAP[w].known) {
            self.refuse();
        }
    }

    /// Reads what lies in the memory of the register file, and BAD_ACCESS.
    pub(super) fn read(&mut self, offset: u32) -> u32 {
        match word_of(offset).filter(|w| MAP[*w].known) {
            Some(_) if offset == regs::bad_access::OFFSET => self.bad_accesses.into(),
            Some(word) => self.words[word],
            None => {
                self.refuse();
                REFUSED
            }
        }
    }

    /// A transfer on the management interface, to which no PHY answers.
    pub(super) fn mdio(&mut self) {
        self.words[port_word(regs::mdio::OFFSET)] = regs::mdio::DATA.mask();
    }

    /// The MAC address that ARP_CMD gives an entry.
    pub(super) fn arp_mac(&self) -> [u8; 6] {
        self.mac_at(regs::arp_mac_lo::OFFSET)
    }

    /// What became of a command for the ARP cache.
    pub(super) fn set_arp_result(&mut self, result: CommandResult) {
        use regs::{arp_entry, arp_entry_addr, arp_entry_age, arp_entry_mac};
        let entry = match result {
            CommandResult::Entry(entry) => entry,
            CommandResult::Code(code) => {
                self.words[port_word(arp_entry::OFFSET)] = arp_entry::RESULT.of(code);
                return;
            }
        };
        let (mut ip, mut age, mut rest) = (0, 0, 0);
        let mut mac = [0; 6];
        if let Some(entry) = entry {
            (ip, age) = (entry.ip, entry.age);
            rest = arp_entry::PENDING.of(entry.mac.is_none().into())
                | arp_entry::STATIC.of(entry.is_static.into());
            mac = entry.mac.unwrap_or_default();
        }
        let [a, b, c, d, e, f] = mac;
        let words = [
            (arp_entry_addr::OFFSET, ip),
            (arp_entry_age::OFFSET, age),
            (arp_entry_mac::OFFSET, u32::from_le_bytes([a, b, c, d])),
            (arp_entry::OFFSET, rest | u32::from_le_bytes([e, f, 0, 0])),
        ];
        for (offset, word) in words {
            self.words[port_word(offset)] = word;
        }
    }

    /// Copies the clock and the counters to their shadow.
    pub(super) fn snapshot(&mut self, clock_ns: u64, counters: &Counters) {
        self.words[port_word(regs::time_lo::OFFSET)] = clock_ns as u32;
        self.words[port_word(regs::time_hi::OFFSET)] = (clock_ns >> 32) as u32;
        let first = port_word(regs::counters::OFFSET);
        let shadow = self.words[first..first + 2 * COUNT].chunks_exact_mut(2);
        for (halves, value) in shadow.zip(counters.values()) {
            halves.copy_from_slice(&[*value as u32, (*value >> 32) as u32]);
        }
    }
}

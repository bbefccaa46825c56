//! Reassembly of fragmented datagrams (RFC 791 section 3.2, RFC 815), bounded in memory and time.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::fragment_ecn::EcnSeen;
use crate::incoming::Incoming;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::tcp::secrets::TableKeys;
use crate::time::Instant;
use crate::wire::ipv4::Ipv4Header;

/// What a datagram's fragments have in common (RFC 791: source, destination, protocol, identification).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
struct Name {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    ident: u16,
}

/// The header of the fragment that begins a datagram: the one the whole datagram keeps (RFC 791 section 3.2).
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) ip: Ipv4Header,
    /// As it came, options included.
    pub(crate) raw: Vec<u8>,
    /// This fragment or another of its datagram was sent to more hosts than us.
    pub(crate) to_many: bool,
}

struct Partial<B> {
    /// Fragments by offset; they never overlap.
    pieces: BTreeMap<usize, Rope<B>>,
    held: usize,
    /// Known once the last fragment came.
    total: Option<usize>,
    first: Option<First>,
    ecn: EcnSeen,
    /// Some fragment was sent to more hosts than us.
    to_many: bool,
    /// Its fragments contradicted each other: RFC 5722 section 4 asks to discard those to come as well.
    poisoned: bool,
    /// Place in the order of arrival.
    serial: u64,
    until: Instant,
}

impl<B> Partial<B> {
    fn charge(&self) -> usize {
        self.held + DATAGRAM_BYTES + self.pieces.len() * OVERHEAD_BYTES
    }
}

/// What one sender has pending.
#[derive(Default)]
struct Sender {
    charged: usize,
    order: BTreeSet<u64>,
}

/// Fragments charge this much beyond their bytes.
const OVERHEAD_BYTES: usize = 128;
/// And each datagram, of which the tables know: a flood of first fragments is many of them.
const DATAGRAM_BYTES: usize = 1024;
/// A datagram of more pieces is nobody's honest work: 65,535 bytes in fragments of 8 would be 8,192.
const MAX_PIECES: usize = 256;

/// How much may wait for how long.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of all datagrams; beyond it the oldest goes.
    pub(crate) bytes: usize,
    /// Bytes of one sender's; beyond it the oldest of that sender's goes, so that nobody crowds out the others.
    pub(crate) bytes_per_source: usize,
    pub(crate) timeout: Duration,
}

/// Datagrams that are not yet whole.
pub(crate) struct Reassembly<B> {
    partial: HashMap<Name, Partial<B>, TableKeys>,
    order: BTreeMap<u64, Name>,
    senders: HashMap<Ipv4Addr, Sender, TableKeys>,
    next_serial: u64,
    charged: usize,
    limits: Limits,
}

/// A fragment with what its packet said about it.
pub(crate) struct Fragment<'a, B> {
    pub(crate) ip: Ipv4Header,
    /// The header's bytes.
    pub(crate) raw: &'a [u8],
    pub(crate) to_many: bool,
    /// What follows the header.
    pub(crate) data: Incoming<'a, B>,
}

/// What became of a fragment.
pub(crate) enum Outcome<B> {
    /// It waits for others.
    Held,
    /// It, or what it belongs to, was dropped.
    Dropped,
    /// The datagram is whole: everything after the IPv4 header.
    Whole(First, Rope<B>),
}

/// A datagram that was given up because its time was over.
pub(crate) struct Expired<B> {
    /// Its beginning with the bytes after it, if that came, for the sender to be told.
    pub(crate) first: Option<(First, Rope<B>)>,
}

impl<B: Payload> Reassembly<B> {
    pub(crate) fn new(keys: TableKeys, limits: Limits) -> Reassembly<B> {
        Reassembly {
            partial: HashMap::with_hasher(keys.clone()),
            order: BTreeMap::new(),
            senders: HashMap::with_hasher(keys),
            next_serial: 0,
            charged: 0,
            limits,
        }
    }

    /// True if nothing is held.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// When the oldest is given up.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let name = self.order.first_key_value()?.1;
        self.partial.get(name).map(|p| p.until)
    }

    /// Gives up one datagram that has waited too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Expired<B>> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        let name = *self.order.first_key_value()?.1;
        let mut partial = self.forget(&name)?;
        let start = partial.pieces.remove(&0).unwrap_or_default();
        let first = partial.first.map(|mut first| {
            first.to_many = partial.to_many;
            (first, start)
        });
        Some(Expired { first })
    }

    fn forget(&mut self, name: &Name) -> Option<Partial<B>> {
        let partial = self.partial.remove(name)?;
        self.order.remove(&partial.serial);
        self.charged -= partial.charge();
        if let Some(sender) = self.senders.get_mut(&name.src) {
            sender.charged -= partial.charge();
            sender.order.remove(&partial.serial);
            if sender.order.is_empty() {
                self.senders.remove(&name.src);
            }
        }
        Some(partial)
    }

    fn forget_serial(&mut self, serial: Option<u64>) -> bool {
        let name = serial.and_then(|serial| self.order.get(&serial).copied());
        name.is_some_and(|name| self.forget(&name).is_some())
    }

    /// Notes that what `name` is charged grew to or shrank to what it is now.
    fn recharge(&mut self, name: &Name, before: usize) {
        let after = self.partial.get(name).map_or(0, Partial::charge);
        let serial = self.partial.get(name).map_or(0, |p| p.serial);
        self.charged = self.charged + after - before;
        let sender = self.senders.entry(name.src).or_default();
        sender.charged = sender.charged + after - before;
        sender.order.insert(serial);
    }

    /// Takes a fragment.
    pub(crate) fn insert(&mut self, now: Instant, fragment: Fragment<'_, B>) -> Outcome<B> {
        let Fragment {
            ip,
            raw,
            to_many,
            data,
        } = fragment;
        let name = Name {
            src: ip.src,
            dst: ip.dst,
            protocol: ip.protocol,
            ident: ip.ident,
        };
        let (start, end) = (ip.fragment_offset, ip.fragment_offset + data.len());
        // RFC 791: all but the last are multiples of 8 octets; a datagram is at most 65,535 octets.
        if data.is_empty()
            || ip.more_fragments && !data.len().is_multiple_of(8)
            || end + ip.header_len > 65_535
        {
            return Outcome::Dropped;
        }
        let mut before = self.partial.get(&name).map_or(0, Partial::charge);
        if !self.partial.contains_key(&name) {
            let serial = self.next_serial;
            self.next_serial += 1;
            self.order.insert(serial, name);
            let partial = Partial {
                pieces: BTreeMap::new(),
                held: 0,
                total: None,
                first: None,
                ecn: EcnSeen::default(),
                to_many: false,
                poisoned: false,
                serial,
                until: now + self.limits.timeout,
            };
            self.partial.insert(name, partial);
            before = 0;
        }
        let Some(partial) = self.partial.get_mut(&name) else {
            return Outcome::Dropped;
        };
        if partial.poisoned {
            return Outcome::Dropped;
        }
        match partial.fits(start, end, ip.more_fragments) {
            Fit::Again => return Outcome::Held,
            Fit::Contradicts => {
                // Fragments that contradict each other are an attack on whoever checked only some of them (RFC 1858,
                // RFC 5722): the whole datagram goes.
                partial.poisoned = true;
                partial.pieces.clear();
                partial.held = 0;
                partial.first = None;
                self.recharge(&name, before);
                return Outcome::Dropped;
            }
            Fit::New => {}
        }
        if !ip.more_fragments {
            partial.total = Some(end);
        }
        if start == 0 {
            let raw = raw.to_vec();
            partial.first = Some(First { ip, raw, to_many });
        }
        partial.ecn.note(ip.tos);
        partial.to_many |= to_many;
        let rope = data.into_rope();
        partial.held += rope.len();
        partial.pieces.insert(start, rope);
        let whole = partial.total == Some(partial.held);
        self.recharge(&name, before);
        if whole {
            return self.finish(&name);
        }
        self.shed(name.src)
    }

    fn finish(&mut self, name: &Name) -> Outcome<B> {
        let Some(partial) = self.forget(name) else {
            return Outcome::Dropped;
        };
        let (Some(mut first), Some(ecn)) = (partial.first, partial.ecn.combined()) else {
            return Outcome::Dropped;
        };
        first.ip.tos = first.ip.tos & !3 | ecn;
        first.to_many = partial.to_many;
        let mut whole = Rope::default();
        for piece in partial.pieces.into_values() {
            whole.append(piece);
        }
        Outcome::Whole(first, whole)
    }

    /// Keeps to the limits; what was just taken in is the last to go.
    fn shed(&mut self, src: Ipv4Addr) -> Outcome<B> {
        let mut outcome = Outcome::Held;
        let oldest = |sender: &Sender| sender.order.first().copied();
        while let Some(sender) = self.senders.get(&src) {
            if sender.charged <= self.limits.bytes_per_source || !self.forget_serial(oldest(sender))
            {
                break;
            }
            outcome = Outcome::Dropped;
        }
        while self.charged > self.limits.bytes {
            let oldest = self.order.first_key_value().map(|(serial, _)| *serial);
            if !self.forget_serial(oldest) {
                break;
            }
            outcome = Outcome::Dropped;
        }
        outcome
    }
}

/// How a fragment goes with those that are there.
enum Fit {
    New,
    /// The same range again: a duplicate, of which the first is kept.
    Again,
    /// It overlaps others, or the datagram would have two ends.
    Contradicts,
}

impl<B: Payload> Partial<B> {
    fn fits(&self, start: usize, end: usize, more: bool) -> Fit {
        let ends_differ = match (self.total, more) {
            (Some(total), false) => total != end,
            (Some(total), true) => end >= total,
            (None, false) => self
                .pieces
                .last_key_value()
                .is_some_and(|(at, p)| at + p.len() >= end),
            (None, true) => false,
        };
        let before = self
            .pieces
            .range(..=start)
            .next_back()
            .map(|(at, p)| (*at, at + p.len()));
        let same_again = before == Some((start, end)) && more == (self.total != Some(end));
        if same_again {
            return Fit::Again;
        }
        let overlaps = before.is_some_and(|(_, e)| e > start)
            || self
                .pieces
                .range(start..)
                .next()
                .is_some_and(|(at, _)| *at < end);
        if overlaps || ends_differ || self.pieces.len() >= MAX_PIECES {
            return Fit::Contradicts;
        }
        Fit::New
    }
}

#[cfg(test)]
mod tests;

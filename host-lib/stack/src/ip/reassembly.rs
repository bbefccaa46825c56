//! Reassembly of fragmented datagrams (RFC 791 section 3.2, RFC 815), bounded in memory and time.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use core::time::Duration;

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

struct Partial<B> {
    /// Fragments by offset; they never overlap.
    pieces: BTreeMap<usize, Rope<B>>,
    held: usize,
    /// Known once the last fragment came.
    total: Option<usize>,
    /// Place in the order of arrival.
    serial: u64,
    until: Instant,
}

/// Fragments charge this much beyond their bytes.
const OVERHEAD_BYTES: usize = 128;
/// A datagram of more pieces is nobody's honest work: 65,535 bytes in fragments of 8 would be 8,192.
const MAX_PIECES: usize = 256;

/// Datagrams that are not yet whole.
pub(crate) struct Reassembly<B> {
    partial: HashMap<Name, Partial<B>, TableKeys>,
    order: BTreeMap<u64, Name>,
    next_serial: u64,
    charged: usize,
    limit: usize,
    timeout: Duration,
}

/// What became of a fragment.
pub(crate) enum Outcome<B> {
    /// It waits for others.
    Held,
    /// It, or what it belongs to, was dropped.
    Dropped,
    /// The datagram is whole: everything after the IPv4 header.
    Whole(Rope<B>),
}

impl<B: Payload> Reassembly<B> {
    pub(crate) fn new(keys: TableKeys, limit: usize, timeout: Duration) -> Reassembly<B> {
        Reassembly {
            partial: HashMap::with_hasher(keys),
            order: BTreeMap::new(),
            next_serial: 0,
            charged: 0,
            limit,
            timeout,
        }
    }

    /// When the oldest is given up.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let name = self.order.first_key_value()?.1;
        self.partial.get(name).map(|p| p.until)
    }

    /// Gives up what has waited too long; returns how many datagrams that were.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let mut n = 0;
        while self.deadline().is_some_and(|at| at <= now) {
            self.drop_oldest();
            n += 1;
        }
        n
    }

    /// Bytes held and charged.
    #[cfg(test)]
    fn charged(&self) -> usize {
        self.charged
    }

    fn drop_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_first() {
            if let Some(partial) = self.partial.remove(&name) {
                self.charged -= charge(&partial);
            }
        }
    }

    fn forget(&mut self, name: &Name) -> Option<Partial<B>> {
        let partial = self.partial.remove(name)?;
        self.order.remove(&partial.serial);
        self.charged -= charge(&partial);
        Some(partial)
    }

    /// Takes a fragment.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        ip: &Ipv4Header,
        data: Incoming<'_, B>,
    ) -> Outcome<B> {
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
        let serial = self.next_serial;
        let until = now + self.timeout;
        let partial = self.partial.entry(name).or_insert_with(|| {
            self.next_serial += 1;
            self.order.insert(serial, name);
            self.charged += OVERHEAD_BYTES;
            Partial {
                pieces: BTreeMap::new(),
                held: 0,
                total: None,
                serial,
                until,
            }
        });
        let ends_differ = match (partial.total, ip.more_fragments) {
            (Some(total), false) => total != end,
            (Some(total), true) => end > total,
            (None, false) => partial
                .pieces
                .last_key_value()
                .is_some_and(|(at, p)| at + p.len() > end),
            (None, true) => false,
        };
        let before = partial
            .pieces
            .range(..=start)
            .next_back()
            .map(|(at, p)| (*at, at + p.len()));
        if before == Some((start, end)) && !ends_differ {
            // The same fragment again.
            return Outcome::Held;
        }
        let overlaps = before.is_some_and(|(_, e)| e > start)
            || partial
                .pieces
                .range(start..)
                .next()
                .is_some_and(|(at, _)| *at < end);
        if overlaps || ends_differ || partial.pieces.len() >= MAX_PIECES {
            // Fragments that contradict each other are an attack on whoever checked only some of them (RFC 1858,
            // RFC 5722): the whole datagram goes.
            self.forget(&name);
            return Outcome::Dropped;
        }
        if !ip.more_fragments {
            partial.total = Some(end);
        }
        let rope = data.into_rope();
        partial.held += rope.len();
        self.charged += rope.len() + OVERHEAD_BYTES;
        partial.pieces.insert(start, rope);
        if partial.total == Some(partial.held) {
            let Some(partial) = self.forget(&name) else {
                return Outcome::Dropped;
            };
            let mut whole = Rope::default();
            partial
                .pieces
                .into_values()
                .for_each(|piece| whole.append(piece));
            return Outcome::Whole(whole);
        }
        let mut outcome = Outcome::Held;
        while self.charged > self.limit && !self.order.is_empty() {
            self.drop_oldest();
            outcome = Outcome::Dropped;
        }
        outcome
    }
}

fn charge<B>(partial: &Partial<B>) -> usize {
    partial.held + (partial.pieces.len() + 1) * OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Bytes;
    use crate::rope::Chunk;
    use crate::tcp::secrets::Secrets;
    use proptest::prelude::*;

    fn header(ident: u16, offset: usize, more: bool) -> Ipv4Header {
        Ipv4Header {
            src: Ipv4Addr::new(192, 0, 2, 1),
            dst: Ipv4Addr::new(192, 0, 2, 2),
            protocol: 17,
            ident,
            dont_fragment: false,
            more_fragments: more,
            fragment_offset: offset,
            ttl: 64,
            tos: 0,
            header_len: 20,
            total_len: 20,
        }
    }

    fn reassembly(limit: usize) -> Reassembly<Bytes> {
        Reassembly::new(
            Secrets::new([1; 16]).table_keys(),
            limit,
            Duration::from_secs(60),
        )
    }

    fn put(r: &mut Reassembly<Bytes>, now: u64, h: Ipv4Header, data: &[u8]) -> Outcome<Bytes> {
        let rope = Rope::from(Chunk::Device(Bytes::from(data)));
        r.insert(Instant::from_millis(now), &h, Incoming::new(&[], rope))
    }

    #[test]
    fn overlapping_fragments_drop_the_datagram() {
        let mut r = reassembly(100_000);
        assert!(matches!(
            put(&mut r, 0, header(1, 0, true), &[1; 16]),
            Outcome::Held
        ));
        assert!(matches!(
            put(&mut r, 0, header(1, 8, true), &[2; 16]),
            Outcome::Dropped
        ));
        assert_eq!(r.charged(), 0);
    }

    #[test]
    fn waits_as_long_as_it_was_told_and_holds_no_more_than_its_limit() {
        let mut r = reassembly(10_000);
        put(&mut r, 0, header(0, 8, true), &[0; 8]);
        assert_eq!(r.deadline(), Some(Instant::from_millis(60_000)));
        assert_eq!(
            (
                r.expire(Instant::from_millis(59_999)),
                r.expire(Instant::from_millis(60_000))
            ),
            (0, 1)
        );
        for ident in 0..1000 {
            put(&mut r, 1, header(ident, 8, true), &[0; 800]);
            assert!(r.charged() <= 10_000);
        }
        assert_eq!(
            r.expire(Instant::from_millis(70_000)),
            r.next_serial.min(10_000 / (800 + 256))
        );
        assert_eq!((r.charged(), r.deadline()), (0, None));
    }

    proptest! {
        #[test]
        fn any_order_with_duplicates_gives_the_datagram_once(
            len in 1usize..3000, cut in 1usize..40, shuffle in proptest::collection::vec(any::<u32>(), 1..120),
        ) {
            let data: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3) as u8).collect();
            let pieces: Vec<(usize, &[u8])> = data.chunks(cut * 8).enumerate().map(|(i, p)| (i * cut * 8, p)).collect();
            prop_assume!(pieces.len() <= MAX_PIECES);
            let mut r = reassembly(1_000_000);
            let mut seen = vec![false; pieces.len()];
            let mut order: Vec<usize> = shuffle.iter().map(|s| *s as usize % pieces.len()).collect();
            order.extend(0..pieces.len());
            for i in order {
                let (at, piece) = pieces[i];
                let fresh = seen.iter().filter(|s| !**s).count();
                let out = put(&mut r, 0, header(9, at, at + piece.len() < len), piece);
                let completes = fresh == 1 && !seen[i];
                seen[i] = true;
                if completes {
                    let Outcome::Whole(rope) = out else {
                        return Err(TestCaseError::fail("not whole"));
                    };
                    prop_assert_eq!(rope.to_vec(), data);
                    prop_assert_eq!(r.charged(), 0);
                    return Ok(());
                }
                prop_assert!(matches!(out, Outcome::Held));
            }
        }
    }
}

//! Tests of reassembly against a naive model: a list of ranges, searched from end to end.

use super::*;
use crate::payload::Bytes;
use crate::rope::Chunk;
use crate::tcp::secrets::Secrets;
use proptest::prelude::*;

fn header(src: u8, ident: u16, offset: usize, more: bool, tos: u8) -> Ipv4Header {
    Ipv4Header {
        src: Ipv4Addr::new(192, 0, 2, src),
        dst: Ipv4Addr::new(192, 0, 2, 200),
        protocol: 17,
        ident,
        dont_fragment: false,
        more_fragments: more,
        fragment_offset: offset,
        ttl: 64,
        tos,
        header_len: 20,
        total_len: 20,
    }
}

fn reassembly(bytes: usize, bytes_per_source: usize) -> Reassembly<Bytes> {
    let limits = Limits {
        bytes,
        bytes_per_source,
        timeout: Duration::from_secs(60),
    };
    Reassembly::new(Secrets::new([1; 16]).table_keys(), limits)
}

fn put(r: &mut Reassembly<Bytes>, now: u64, ip: Ipv4Header, data: &[u8]) -> Outcome<Bytes> {
    let fragment = Fragment {
        raw: &ip.emit(false),
        ip,
        to_many: false,
        data: Incoming::new(&[], Rope::from(Chunk::Device(Bytes::from(data)))),
    };
    let outcome = r.insert(Instant::from_millis(now), fragment);
    // The three ways of counting agree.
    let charges: usize = r.partial.values().map(Partial::charge).sum();
    let by_sender: usize = r.senders.values().map(|s| s.charged).sum();
    assert_eq!((r.charged, by_sender), (charges, charges));
    assert_eq!(r.order.len(), r.partial.len());
    outcome
}

#[test]
fn overlapping_fragments_drop_the_datagram_and_what_comes_later_of_it() {
    let mut r = reassembly(100_000, 100_000);
    let fragment = |offset, more| header(1, 1, offset, more, 0);
    assert!(matches!(
        put(&mut r, 0, fragment(0, true), &[1; 16]),
        Outcome::Held
    ));
    assert!(matches!(
        put(&mut r, 0, fragment(8, true), &[2; 16]),
        Outcome::Dropped
    ));
    assert_eq!(r.charged, DATAGRAM_BYTES);
    // All of it once more, without contradiction: RFC 5722 still wants it dropped.
    assert!(matches!(
        put(&mut r, 0, fragment(0, true), &[1; 16]),
        Outcome::Dropped
    ));
    assert!(matches!(
        put(&mut r, 0, fragment(16, false), &[1; 16]),
        Outcome::Dropped
    ));
    let expired = r
        .expire(Instant::from_millis(60_000))
        .expect("its time is over");
    assert!(expired.first.is_none() && r.charged == 0 && r.deadline().is_none());
    // The number may be used again after that.
    put(&mut r, 60_001, fragment(0, true), &[1; 16]);
    assert!(matches!(
        put(&mut r, 60_001, fragment(16, false), &[1; 9]),
        Outcome::Whole(..)
    ));
}

#[test]
fn waits_as_long_as_it_was_told_and_hands_back_the_beginning_if_it_came() {
    let mut r = reassembly(10_000, 10_000);
    put(&mut r, 0, header(1, 0, 8, true, 0), &[0; 8]);
    put(&mut r, 5, header(1, 1, 0, true, 0), &[7; 64]);
    assert_eq!(r.deadline(), Some(Instant::from_millis(60_000)));
    assert!(r.expire(Instant::from_millis(59_999)).is_none());
    let without = r.expire(Instant::from_millis(60_005)).expect("over");
    assert!(without.first.is_none());
    let (first, data) = r
        .expire(Instant::from_millis(60_005))
        .and_then(|e| e.first)
        .expect("over, with its beginning");
    assert_eq!((first.ip.ident, data.to_vec()), (1, vec![7; 64]));
    assert_eq!(first.raw, first.ip.emit(false));
    assert!(r.expire(Instant::from_millis(70_000)).is_none() && r.senders.is_empty());
}

#[test]
fn one_sender_cannot_crowd_out_another_and_all_together_stay_below_the_limit() {
    let mut r = reassembly(20_000, 8_000);
    put(&mut r, 0, header(1, 7, 0, true, 0), &[1; 1000]);
    for ident in 0..1000 {
        put(&mut r, 1, header(2, ident, 8, true, 0), &[0; 800]);
        assert!(r.senders[&Ipv4Addr::new(192, 0, 2, 2)].charged <= 8_000);
    }
    let end = put(&mut r, 2, header(1, 7, 1000, false, 0), &[2; 3]);
    assert!(matches!(end, Outcome::Whole(..)));
    for src in 0..255 {
        put(&mut r, 3, header(src, 1, 0, true, 0), &[0; 800]);
        assert!(r.charged <= 20_000);
    }
}

#[test]
fn the_first_fragment_gives_the_header_and_any_congestion_mark_stays() {
    let mut r = reassembly(10_000, 10_000);
    let (ect_0, ce, other) = (0xb8 | 2, 0xb8 | 3, 2);
    put(&mut r, 0, header(1, 1, 8, false, ce), &[2; 8]);
    match put(&mut r, 0, header(1, 1, 0, true, ect_0), &[1; 8]) {
        Outcome::Whole(first, _) => assert_eq!(first.ip.tos, ce),
        _ => panic!("not whole"),
    }
    put(&mut r, 0, header(1, 2, 8, false, other), &[2; 8]);
    let mixed = put(&mut r, 0, header(1, 2, 0, true, 0), &[1; 8]);
    assert!(matches!(mixed, Outcome::Dropped) && r.charged == 0);
}

/// What RFC 791 and RFC 5722 say, as plainly as it can be written.
#[derive(Default)]
struct Model {
    ranges: Vec<(usize, usize, Vec<u8>)>,
    end: Option<usize>,
    poisoned: bool,
}

#[derive(PartialEq, Debug)]
enum Expected {
    Held,
    Dropped,
    Whole(Vec<u8>),
}

impl Model {
    fn put(&mut self, start: usize, data: &[u8], more: bool) -> Expected {
        let end = start + data.len();
        if data.is_empty() || more && !data.len().is_multiple_of(8) || end + 20 > 65_535 {
            return Expected::Dropped;
        }
        if self.poisoned {
            return Expected::Dropped;
        }
        let last = self.end == Some(end);
        if self.ranges.iter().any(|r| (r.0, r.1) == (start, end)) && last != more {
            return Expected::Held;
        }
        let overlaps = self.ranges.iter().any(|r| r.0 < end && start < r.1);
        let beyond = match (more, self.end) {
            (true, Some(known)) => end >= known,
            (false, Some(known)) => end != known,
            (true, None) => false,
            (false, None) => self.ranges.iter().any(|r| r.1 >= end),
        };
        if overlaps || beyond {
            self.poisoned = true;
            return Expected::Dropped;
        }
        self.ranges.push((start, end, data.to_vec()));
        if !more {
            self.end = Some(end);
        }
        let mut whole = vec![None; self.end.unwrap_or(0)];
        for (start, _, data) in &self.ranges {
            for (i, byte) in data.iter().enumerate() {
                if let Some(place) = whole.get_mut(start + i) {
                    *place = Some(*byte);
                }
            }
        }
        match whole.into_iter().collect::<Option<Vec<u8>>>() {
            Some(whole) if self.end.is_some() => {
                *self = Model::default();
                Expected::Whole(whole)
            }
            _ => Expected::Held,
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model_on_any_fragments(
        // Few places, so that fragments meet, overlap and repeat.
        fragments in prop::collection::vec((0usize..8, 1usize..5, 0usize..8, any::<bool>(), any::<u8>()), 1..40),
    ) {
        let mut r = reassembly(1_000_000, 1_000_000);
        let mut model = Model::default();
        for (at, blocks, less, more, fill) in fragments {
            let len = blocks * 8 - if more { 0 } else { less };
            let data = vec![fill; len];
            let expected = model.put(at * 8, &data, more);
            match put(&mut r, 0, header(1, 9, at * 8, more, 0), &data) {
                Outcome::Held => prop_assert_eq!(expected, Expected::Held),
                Outcome::Dropped => prop_assert_eq!(expected, Expected::Dropped),
                Outcome::Whole(first, rope) => {
                    prop_assert_eq!(expected, Expected::Whole(rope.to_vec()));
                    prop_assert_eq!(first.ip.fragment_offset, 0);
                }
            }
        }
    }

    #[test]
    fn any_order_with_duplicates_gives_the_datagram_once(
        len in 1usize..3000, cut in 1usize..40, shuffle in prop::collection::vec(any::<u32>(), 1..120),
    ) {
        let data: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3) as u8).collect();
        let pieces: Vec<(usize, &[u8])> =
            data.chunks(cut * 8).enumerate().map(|(i, p)| (i * cut * 8, p)).collect();
        prop_assume!(pieces.len() <= MAX_PIECES);
        let mut r = reassembly(1_000_000, 1_000_000);
        let mut seen = vec![false; pieces.len()];
        let mut order: Vec<usize> = shuffle.iter().map(|s| *s as usize % pieces.len()).collect();
        order.extend(0..pieces.len());
        for i in order {
            let (at, piece) = pieces[i];
            let fresh = seen.iter().filter(|s| !**s).count();
            let out = put(&mut r, 0, header(1, 9, at, at + piece.len() < len, 0), piece);
            let completes = fresh == 1 && !seen[i];
            seen[i] = true;
            if completes {
                let Outcome::Whole(_, rope) = out else {
                    return Err(TestCaseError::fail("not whole"));
                };
                prop_assert_eq!(rope.to_vec(), data);
                prop_assert_eq!(r.charged, 0);
                return Ok(());
            }
            prop_assert!(matches!(out, Outcome::Held));
        }
    }
}

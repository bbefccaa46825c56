//! Segments that arrived ahead of a gap, kept until it is filled.

use std::collections::BTreeMap;

use crate::incoming::Incoming;
use crate::payload::Payload;
use crate::rope::Rope;

/// Pieces of the stream by their position in it; they never overlap.
pub(crate) struct Reassembler<B>(
    /// Most connections never need it.
    Option<Box<Pieces<B>>>,
);

struct Pieces<B> {
    by_position: BTreeMap<u64, Rope<B>>,
    bytes: usize,
}

impl<B: Payload> Reassembler<B> {
    pub(crate) fn new() -> Reassembler<B> {
        Reassembler(None)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |pieces| pieces.bytes)
    }

    /// Pieces held.
    #[cfg(test)]
    fn pieces(&self) -> usize {
        self.0.as_ref().map_or(0, |pieces| pieces.by_position.len())
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Keeps what is new of `data` at stream position `at`, in `most` pieces together with all others; bytes held already win over later ones.
    /// What continues the stream at `next` is always kept, as it does not stay. The position up to which all bytes from `at` on are held now,
    /// as far as `data` goes.
    #[must_use]
    pub(crate) fn insert(
        &mut self,
        next: u64,
        most: usize,
        at: u64,
        data: &Incoming<'_, B>,
    ) -> u64 {
        if data.is_empty() {
            return at;
        }
        let pieces = self.0.get_or_insert_with(|| {
            Box::new(Pieces {
                by_position: BTreeMap::new(),
                bytes: 0,
            })
        });
        pieces.insert(next, most, at, data)
    }

    /// Takes out the piece that continues the stream at `at`, if there is one.
    pub(crate) fn take(&mut self, at: u64) -> Option<Rope<B>> {
        let pieces = self.0.as_mut()?;
        let rope = pieces.take(at);
        if pieces.by_position.is_empty() {
            self.0 = None;
        }
        rope
    }
}

impl<B: Payload> Pieces<B> {
    fn insert(&mut self, next: u64, most: usize, at: u64, data: &Incoming<'_, B>) -> u64 {
        let end = at + data.len() as u64;
        let mut from = at;
        if let Some((start, rope)) = self.by_position.range(..=at).next_back() {
            from = from.max(start + rope.len() as u64);
        }
        while from < end {
            let later = self
                .by_position
                .range(from..end)
                .next()
                .map(|(start, rope)| (*start, *start + rope.len() as u64));
            let (to, resume) = later.unwrap_or((end, end));
            if from < to {
                if self.by_position.len() >= most && from != next {
                    return from;
                }
                let rope = data.slice((from - at) as usize, (to - at) as usize);
                self.bytes += rope.len();
                self.by_position.insert(from, rope);
            }
            from = resume;
        }
        end
    }

    fn take(&mut self, at: u64) -> Option<Rope<B>> {
        while let Some(entry) = self.by_position.first_entry() {
            let start = *entry.key();
            if start > at {
                return None;
            }
            let rope = entry.remove();
            self.bytes -= rope.len();
            let seen = (at - start) as usize;
            if seen < rope.len() {
                return Some(if seen == 0 {
                    rope
                } else {
                    rope.slice(seen..rope.len())
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Bytes;
    use crate::rope::Chunk;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_each_byte_once_and_in_order(
            pieces in proptest::collection::vec((0usize..400, 1usize..90, 0usize..90), 1..80),
            // As many as there may be, and so few that they do not suffice.
            most in prop_oneof![Just(1_000), 0usize..6],
        ) {
            let stream: Vec<u8> = (0..500u32).map(|i| (i * 7 + i / 256) as u8).collect();
            let mut held = [false; 500];
            let mut asm: Reassembler<Bytes> = Reassembler::new();
            let mut out = Vec::new();
            for (at, len, head) in pieces {
                // As in the connection: what was delivered is cut off before it gets here.
                let (from, to) = (at.max(out.len()), (at + len).max(out.len()));
                let (a, b) = stream[from..to].split_at(head.min(to - from));
                let data = Incoming::new(a, Rope::from(Chunk::Device(Bytes::from(b))));
                let kept = asm.insert(out.len() as u64, most, from as u64, &data) as usize;
                prop_assert!((from..=to).contains(&kept));
                prop_assert!(kept == to || asm.pieces() >= most);
                prop_assert!(from > out.len() || kept > from || from == to, "the next byte is refused");
                held[from..kept].fill(true);
                while let Some(rope) = asm.take(out.len() as u64) {
                    out.extend(rope.to_vec());
                }
                let reach = held.iter().position(|h| !h).unwrap_or(500).max(out.len());
                held[..out.len()].fill(true);
                let reach = reach.max(held.iter().position(|h| !h).unwrap_or(500));
                prop_assert_eq!(&out[..], &stream[..reach]);
                prop_assert_eq!(asm.bytes(), held[reach..].iter().filter(|h| **h).count());
            }
        }
    }

    #[test]
    fn single_bytes_with_gaps_are_bounded() {
        let mut asm: Reassembler<Bytes> = Reassembler::new();
        for i in 0..10_000u64 {
            let at = 1 + i * 2;
            let kept = asm.insert(0, 1_000, at, &Incoming::new(&[0], Rope::default()));
            assert_eq!(kept, at + u64::from(i < 1_000));
        }
        assert_eq!(asm.bytes(), 1_000);
        // The gap before them all is filled nevertheless.
        assert_eq!(
            asm.insert(0, 1_000, 0, &Incoming::new(&[0], Rope::default())),
            1
        );
        let runs = std::iter::successors(asm.take(0), |_| asm.take(1));
        assert_eq!(runs.map(|run| run.len()).sum::<usize>(), 2);
    }
}

//! Entries of a slab in a line: those that wait equally long run out in the order in which they began.
//!
//! So the line needs no order of its own and only its first entry a timer; the links are eight bytes in the entry.

use crate::slab::Slab;
use crate::timers::Timer;

/// No entry.
const NIL: u32 = u32::MAX;

/// An entry's neighbours.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(crate) const NONE: Links = Links {
        prev: NIL,
        next: NIL,
    };
}

/// What can stand in a line.
pub(crate) trait Linked {
    fn links(&mut self) -> &mut Links;
}

/// A line, and the timer of its first entry.
pub(crate) struct Line {
    first: u32,
    last: u32,
    pub(crate) armed: Option<Timer>,
}

impl Line {
    pub(crate) const EMPTY: Line = Line {
        first: NIL,
        last: NIL,
        armed: None,
    };

    /// Index of the entry that has waited longest.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NIL).then_some(self.first)
    }

    /// Appends an entry that stands in no line.
    pub(crate) fn push<T: Linked>(&mut self, slab: &mut Slab<T>, index: u32) {
        if let Some(entry) = slab.at_mut(index) {
            *entry.links() = Links {
                prev: self.last,
                next: NIL,
            };
        }
        match slab.at_mut(self.last) {
            Some(last) => last.links().next = index,
            None => self.first = index,
        }
        self.last = index;
    }

    /// Takes out an entry of this line.
    pub(crate) fn remove<T: Linked>(&mut self, slab: &mut Slab<T>, index: u32) {
        let Some(entry) = slab.at_mut(index) else {
            return;
        };
        let Links { prev, next } = core::mem::replace(entry.links(), Links::NONE);
        match slab.at_mut(prev) {
            Some(entry) => entry.links().next = next,
            None => self.first = next,
        }
        match slab.at_mut(next) {
            Some(entry) => entry.links().prev = prev,
            None => self.last = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    struct Waiting(Links);

    impl Linked for Waiting {
        fn links(&mut self) -> &mut Links {
            &mut self.0
        }
    }

    proptest! {
        #[test]
        fn a_line_is_left_in_the_order_it_was_joined(steps in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut slab, mut line) = (Slab::new(), Line::EMPTY);
            let mut expected = VecDeque::new();
            for step in steps {
                if step % 3 < 2 || expected.is_empty() {
                    let key = slab.insert(Waiting(Links::NONE));
                    line.push(&mut slab, key.index);
                    expected.push_back(key);
                } else if let Some(key) = expected.remove(usize::from(step) % expected.len()) {
                    line.remove(&mut slab, key.index);
                    slab.remove(key);
                }
                prop_assert_eq!(line.first(), expected.front().map(|k| k.index));
            }
            for key in expected {
                prop_assert_eq!(line.first(), Some(key.index));
                line.remove(&mut slab, key.index);
                slab.remove(key);
            }
            prop_assert_eq!((line.first(), line.last), (None, NIL));
        }
    }
}

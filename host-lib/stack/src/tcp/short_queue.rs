//! A queue whose only entry lies in the queue itself: what has one entry at a time needs no memory elsewhere, and no cache line.

use std::collections::VecDeque;

/// Entries in order.
pub(crate) struct ShortQueue<T> {
    /// The first entry, if it came while there was no other.
    one: Option<T>,
    /// The entries after it.
    more: VecDeque<T>,
}

impl<T> ShortQueue<T> {
    pub(crate) fn new() -> ShortQueue<T> {
        ShortQueue {
            one: None,
            more: VecDeque::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.one.is_none() && self.more.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.one.is_some()) + self.more.len()
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        match &self.one {
            None => self.more.front(),
            one => one.as_ref(),
        }
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.more.back().or(self.one.as_ref())
    }

    #[inline]
    pub(crate) fn push_back(&mut self, entry: T) {
        if self.is_empty() {
            self.one = Some(entry);
        } else {
            self.more.push_back(entry);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        match self.one.take() {
            None => self.more.pop_front(),
            one => one,
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match &self.one {
            Some(one) if index == 0 => Some(one),
            Some(_) => self.more.get(index - 1),
            None => self.more.get(index),
        }
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match &mut self.one {
            Some(one) if index == 0 => Some(one),
            Some(_) => self.more.get_mut(index - 1),
            None => self.more.get_mut(index),
        }
    }

    /// Puts an entry before the one at `index`, which is at most the length.
    pub(crate) fn insert(&mut self, index: usize, entry: T) {
        match &mut self.one {
            Some(one) if index == 0 => self.more.push_front(core::mem::replace(one, entry)),
            Some(_) => self.more.insert(index - 1, entry),
            None => self.more.insert(index, entry),
        }
    }

    /// How many entries at the front are `before`, which none after them is.
    pub(crate) fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        match &self.one {
            Some(one) if !before(one) => 0,
            Some(_) => 1 + self.more.partition_point(before),
            None => self.more.partition_point(before),
        }
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.one.iter().chain(&self.more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.one.iter_mut().chain(&mut self.more)
    }

    /// The entries from `index` on.
    pub(crate) fn iter_from(&self, index: usize) -> impl Iterator<Item = &T> {
        let ones = usize::from(self.one.is_some());
        let later = index.saturating_sub(ones).min(self.more.len());
        let one = self.one.iter().skip(index);
        one.chain(self.more.range(later..))
    }
}

#[cfg(test)]
impl<T: PartialEq> PartialEq for ShortQueue<T> {
    fn eq(&self, other: &ShortQueue<T>) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Pop,
        Insert(usize, u8),
        Set(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<u8>().prop_map(Step::Push),
            4 => Just(Step::Pop),
            1 => (0usize..8, any::<u8>()).prop_map(|(i, v)| Step::Insert(i, v)),
            1 => (0usize..8, any::<u8>()).prop_map(|(i, v)| Step::Set(i, v)),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_queue(steps in proptest::collection::vec(step(), 0..200)) {
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut queue = ShortQueue::new();
            for step in steps {
                match step {
                    Step::Push(v) => {
                        queue.push_back(v);
                        model.push_back(v);
                    }
                    Step::Pop => prop_assert_eq!(queue.pop_front(), model.pop_front()),
                    Step::Insert(i, v) => {
                        let i = i.min(model.len());
                        queue.insert(i, v);
                        model.insert(i, v);
                    }
                    Step::Set(i, v) => {
                        prop_assert_eq!(queue.get_mut(i).map(|e| *e = v), model.get_mut(i).map(|e| *e = v));
                    }
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!((queue.front(), queue.back()), (model.front(), model.back()));
                prop_assert!(queue.iter().eq(&model));
                prop_assert!(queue.iter_mut().eq(&mut model));
                for i in 0..=model.len() + 1 {
                    prop_assert_eq!(queue.get(i), model.get(i));
                    prop_assert!(queue.iter_from(i).eq(model.iter().skip(i)));
                }
            }
        }

        #[test]
        fn finds_where_its_entries_are_parted(values in proptest::collection::vec(any::<u8>(), 0..9), popped in 0usize..3, limit: u8) {
            let mut sorted = values;
            sorted.sort_unstable();
            let mut queue = ShortQueue::new();
            sorted.iter().for_each(|v| queue.push_back(*v));
            for _ in 0..popped.min(sorted.len()) {
                queue.pop_front();
                sorted.remove(0);
            }
            prop_assert_eq!(queue.partition_point(|v| *v < limit), sorted.partition_point(|v| *v < limit));
            for i in 0..sorted.len() {
                prop_assert_eq!(queue.get(i), sorted.get(i));
            }
        }
    }
}

//! Deadlines in order: a hierarchical timing wheel, the only place that knows which timer runs out next.
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7, on absolute times: a deadline is eleven
//! digits of six bits each, and a timer waits at the level of the highest digit in which its deadline differs from the
//! time reached so far, in the slot of that digit. So each level's timers come before those of the levels above it, no
//! slot wraps, and setting, cancelling and expiring take time that does not depend on how many timers there are.

use crate::pages::Pages;
use crate::time::Instant;

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Eleven digits hold 66 bits: any deadline in nanoseconds.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;
/// After the slots of all levels, the list of timers whose time has come.
const DUE: usize = LEVELS * SLOTS;
const LISTS: usize = DUE + 1;
/// No node.
const NIL: u32 = u32::MAX;
/// Where a node is that no timer uses.
const UNUSED: u16 = u16::MAX;
/// Timers of one slot that [`Timers::next`] looks at: with more, the slot's beginning is told instead.
const LOOK: usize = 8;

/// A running timer, kept by its owner.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Timer(core::num::NonZeroU32);

impl Timer {
    fn new(index: u32) -> Option<Timer> {
        core::num::NonZeroU32::new(index.wrapping_add(1)).map(Timer)
    }

    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// One timer in the ring of its list.
struct Node<K> {
    deadline: u64,
    prev: u32,
    next: u32,
    key: K,
    list: u16,
}

/// Timers by key; each key has at most one deadline, and its owner the handle to it.
pub(crate) struct Timers<K> {
    nodes: Pages<Node<K>>,
    /// First of the unused nodes, linked by `next`.
    unused: u32,
    /// First node of each ring.
    heads: Box<[u32; LISTS]>,
    /// Slots in use of each level, and levels that have any.
    slots: [u64; LEVELS],
    levels: u16,
    /// The time reached: what is not due lies after it.
    reached: u64,
    /// No slot in use begins before this, and while it has not come nothing is due.
    quiet_until: u64,
}

impl<K: PartialEq + Copy> Timers<K> {
    pub(crate) fn new() -> Timers<K> {
        Timers {
            nodes: Pages::new(),
            unused: NIL,
            heads: Box::new([NIL; LISTS]),
            slots: [0; LEVELS],
            levels: 0,
            reached: 0,
            quiet_until: u64::MAX,
        }
    }

    /// Moves the deadline of `key`, whose timer is `*armed`, to `deadline`.
    #[inline]
    pub(crate) fn set(
        &mut self,
        key: impl Into<K>,
        armed: &mut Option<Timer>,
        deadline: Option<Instant>,
    ) {
        let key = key.into();
        match (*armed, deadline) {
            (None, None) => {}
            (Some(timer), Some(deadline)) if self.is_at(timer, key, deadline) => {}
            _ => self.change(key, armed, deadline),
        }
    }

    /// The timer is `key`'s and runs out at `deadline`.
    fn is_at(&self, timer: Timer, key: K, deadline: Instant) -> bool {
        let node = self.nodes.get(timer.index());
        node.is_some_and(|n| n.deadline == deadline.as_nanos() && n.key == key && n.list != UNUSED)
    }

    fn change(&mut self, key: K, armed: &mut Option<Timer>, deadline: Option<Instant>) {
        let current = armed.map(Timer::index).filter(|i| {
            // A handle that outlived its timer counts as none.
            let node = self.nodes.get(*i);
            node.is_some_and(|n| n.list != UNUSED && n.key == key)
        });
        match (current, deadline.map(Instant::as_nanos)) {
            (Some(index), Some(deadline)) => {
                // A timer that is set anew all the time mostly stays in its slot.
                let list = self.list_of(deadline);
                let node = &mut self.nodes[index];
                node.deadline = deadline;
                if usize::from(node.list) != list {
                    self.unlink(index);
                    self.place(index, list, deadline);
                }
            }
            (Some(index), None) => {
                self.release(index);
                *armed = None;
            }
            (None, Some(deadline)) => {
                let index = self.take(key, deadline);
                self.place(index, self.list_of(deadline), deadline);
                *armed = Timer::new(index);
            }
            (None, None) => *armed = None,
        }
    }

    /// The earliest deadline, or, where many lie close together, a time before it and after all that has expired.
    pub(crate) fn next(&self) -> Option<Instant> {
        let due = self.heads[DUE];
        if due != NIL {
            return Some(Instant::from_nanos(self.nodes[due].deadline));
        }
        let (list, start) = self.first_slot()?;
        Some(Instant::from_nanos(self.least(list).unwrap_or(start)))
    }

    /// Whether nothing runs out until `now`, by what is known without looking at any timer; then [`expire`](Self::expire) finds nothing either.
    #[inline]
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        now.as_nanos() < self.quiet_until
    }

    /// Takes out a key whose deadline is not after `now`; its owner must forget the timer.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) -> Option<K> {
        if self.is_quiet(now) {
            self.reached = self.reached.max(now.as_nanos());
            return None;
        }
        self.turn(now.as_nanos())
    }

    fn turn(&mut self, now: u64) -> Option<K> {
        loop {
            let due = self.heads[DUE];
            if due != NIL {
                self.release(due);
                return Some(self.nodes[due].key);
            }
            match self.first_slot() {
                Some((list, start)) if start <= now => {
                    self.reached = start;
                    self.scatter(list);
                }
                // No slot in use begins before this, so every timer stays where it is.
                later => {
                    self.reached = self.reached.max(now);
                    self.quiet_until = later.map_or(u64::MAX, |(_, start)| start);
                    return None;
                }
            }
        }
    }

    /// The list with the earliest deadlines and the time at which its slot begins.
    fn first_slot(&self) -> Option<(usize, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let slot = self.slots[level as usize].trailing_zeros();
        let shift = level * DIGIT_BITS;
        let above = u64::MAX.checked_shl(shift + DIGIT_BITS).unwrap_or(0);
        let start = self.reached & above | u64::from(slot) << shift;
        Some((level as usize * SLOTS + slot as usize, start))
    }

    /// The least deadline of a list, if it is short.
    fn least(&self, list: usize) -> Option<u64> {
        let head = self.heads[list];
        let (mut at, mut least) = (head, u64::MAX);
        for _ in 0..LOOK {
            let node = &self.nodes[at];
            least = least.min(node.deadline);
            at = node.next;
            if at == head {
                return Some(least);
            }
        }
        None
    }

    /// Moves all timers of a slot that has begun to lower levels.
    fn scatter(&mut self, list: usize) {
        let head = core::mem::replace(&mut self.heads[list], NIL);
        self.mark_empty(list);
        let mut at = head;
        loop {
            let Node { next, deadline, .. } = self.nodes[at];
            self.place(at, self.list_of(deadline), deadline);
            if next == head {
                return;
            }
            at = next;
        }
    }

    /// The list in which a timer waits until `deadline`.
    #[inline]
    fn list_of(&self, deadline: u64) -> usize {
        if deadline <= self.reached {
            return DUE;
        }
        let level = highest_digit(deadline ^ self.reached);
        level as usize * SLOTS + (deadline >> (level * DIGIT_BITS)) as usize % SLOTS
    }

    fn place(&mut self, index: u32, list: usize, deadline: u64) {
        let (level, slot) = (list / SLOTS, list % SLOTS);
        let begins = match self.slots.get_mut(level) {
            Some(slots) => {
                *slots |= 1 << slot;
                self.levels |= 1 << level;
                let shift = level as u32 * DIGIT_BITS;
                deadline >> shift << shift
            }
            None => 0,
        };
        self.quiet_until = self.quiet_until.min(begins);
        self.link(index, list);
    }

    /// Appends to the ring of a list.
    fn link(&mut self, index: u32, list: usize) {
        let head = self.heads[list];
        let (prev, next) = if head == NIL {
            self.heads[list] = index;
            (index, index)
        } else {
            let last = self.nodes[head].prev;
            self.nodes[last].next = index;
            self.nodes[head].prev = index;
            (last, head)
        };
        let node = &mut self.nodes[index];
        node.prev = prev;
        node.next = next;
        node.list = list as u16;
    }

    fn unlink(&mut self, index: u32) {
        let node = &self.nodes[index];
        let (prev, next, list) = (node.prev, node.next, usize::from(node.list));
        if next == index {
            self.heads[list] = NIL;
            self.mark_empty(list);
            return;
        }
        self.nodes[prev].next = next;
        self.nodes[next].prev = prev;
        if self.heads[list] == index {
            self.heads[list] = next;
        }
    }

    fn mark_empty(&mut self, list: usize) {
        let (level, slot) = (list / SLOTS, list % SLOTS);
        if let Some(slots) = self.slots.get_mut(level) {
            *slots &= !(1 << slot);
            if *slots == 0 {
                self.levels &= !(1 << level);
            }
        }
    }

    fn take(&mut self, key: K, deadline: u64) -> u32 {
        let node = Node {
            deadline,
            prev: NIL,
            next: NIL,
            key,
            list: UNUSED,
        };
        let index = self.unused;
        match self.nodes.get_mut(index) {
            Some(unused) => {
                self.unused = unused.next;
                *unused = node;
                index
            }
            None => self.nodes.push(node),
        }
    }

    fn release(&mut self, index: u32) {
        self.unlink(index);
        let node = &mut self.nodes[index];
        node.list = UNUSED;
        node.next = self.unused;
        self.unused = index;
    }
}

/// The place of the highest digit of `bits`, which are not all zero.
fn highest_digit(bits: u64) -> u32 {
    (u64::BITS - 1 - bits.leading_zeros()) / DIGIT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn expires_in_order_and_follows_moves() {
        let at = Instant::from_millis;
        let mut timers = Timers::new();
        let (mut a, mut b) = (None, None);
        timers.set('a', &mut a, Some(at(5)));
        timers.set('b', &mut b, Some(at(3)));
        timers.set('a', &mut a, Some(at(1)));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.expire(at(0)), None);
        assert_eq!(timers.expire(at(4)), Some('a'));
        assert_eq!(timers.expire(at(4)), Some('b'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_timer_never_expires() {
        let mut timers = Timers::<u8>::new();
        let mut armed = None;
        timers.set(1u8, &mut armed, Some(Instant::from_millis(1)));
        timers.set(1u8, &mut armed, None);
        assert_eq!(timers.expire(Instant::from_millis(9)), None);
        assert_eq!(armed, None);
    }

    #[test]
    fn a_handle_that_outlived_its_timer_touches_no_other() {
        let mut timers = Timers::new();
        let (mut stale, mut other) = (None, None);
        timers.set('s', &mut stale, Some(Instant::from_nanos(1)));
        assert_eq!(timers.expire(Instant::from_nanos(1)), Some('s'));
        timers.set('o', &mut other, Some(Instant::from_nanos(7)));
        timers.set('s', &mut stale, None);
        assert_eq!((stale, timers.next()), (None, Some(Instant::from_nanos(7))));
    }

    #[test]
    fn the_end_of_time_is_a_deadline_like_any_other() {
        let end = Instant::from_nanos(u64::MAX);
        let mut timers = Timers::new();
        timers.set((), &mut None, Some(end));
        assert_eq!(timers.next(), Some(end));
        assert_eq!(timers.expire(Instant::from_nanos(u64::MAX - 2)), None);
        assert_eq!(timers.expire(end), Some(()));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u64),
        Cancel(usize),
        Advance(u64),
    }

    /// Spans of every magnitude, so that every level is used and left.
    fn span() -> impl Strategy<Value = u64> {
        (0u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
    }

    fn step(keys: usize) -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => (0..keys, span()).prop_map(|(k, d)| Step::Set(k, d)),
            2 => (0..keys, 0u64..70).prop_map(|(k, d)| Step::Set(k, d)),
            1 => (0..keys).prop_map(Step::Cancel),
            3 => span().prop_map(Step::Advance),
            2 => (0u64..5_000).prop_map(Step::Advance),
        ]
    }

    /// The last nanosecond of time.
    const END: u64 = u64::MAX - 1;

    /// Does the same to the wheel and to an ordered set.
    fn run(keys: usize, start: u64, steps: Vec<Step>) -> Result<(), TestCaseError> {
        let mut now = start.min(END);
        let mut timers = Timers::<usize>::new();
        let mut armed = vec![None; keys];
        let mut deadlines: Vec<Option<u64>> = vec![None; keys];
        timers.expire(Instant::from_nanos(now));
        for step in steps {
            match step {
                Step::Set(key, span) => {
                    let at = now.saturating_add(span).min(END);
                    timers.set(key, &mut armed[key], Some(Instant::from_nanos(at)));
                    deadlines[key] = Some(at);
                }
                Step::Cancel(key) => {
                    timers.set(key, &mut armed[key], None);
                    deadlines[key] = None;
                }
                Step::Advance(span) => now = now.saturating_add(span).min(END),
            }
            let mut last = 0;
            let mut expected: BTreeSet<(u64, usize)> = BTreeSet::new();
            for (key, at) in deadlines.iter().enumerate() {
                expected.extend(at.filter(|at| *at <= now).map(|at| (at, key)));
            }
            while let Some(key) = timers.expire(Instant::from_nanos(now)) {
                let at = deadlines[key].take().expect("the timer was running");
                prop_assert!(expected.remove(&(at, key)), "{key} at {at} is early");
                prop_assert!(at >= last, "out of order");
                last = at;
                armed[key] = None;
            }
            prop_assert!(expected.is_empty(), "missed: {expected:?}");
            let next = timers.next().map(Instant::as_nanos);
            let least = deadlines.iter().flatten().min().copied();
            prop_assert_eq!(next.is_some(), least.is_some());
            if keys <= LOOK {
                prop_assert_eq!(next, least);
            } else {
                prop_assert!(next <= least);
                prop_assert!(next.is_none_or(|at| at > now));
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn few_timers_are_an_ordered_set(
            start in span(), steps in proptest::collection::vec(step(LOOK), 1..150),
        ) {
            run(LOOK, start, steps)?;
        }

        #[test]
        fn many_timers_are_an_ordered_set_whose_next_may_be_told_early(
            start in span(), steps in proptest::collection::vec(step(60), 1..400),
        ) {
            run(60, start, steps)?;
        }
    }
}

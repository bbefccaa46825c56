//! Deadlines in order: the only place that knows which timer runs out next.

use std::collections::BTreeSet;

use crate::time::Instant;

/// Timers by key; each key has at most one deadline, remembered by its owner.
pub(crate) struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Timers<K> {
        Timers {
            queue: BTreeSet::new(),
        }
    }

    /// Moves the deadline of `key` from `*armed` to `deadline` and notes it there.
    pub(crate) fn set(&mut self, key: K, armed: &mut Option<Instant>, deadline: Option<Instant>) {
        if *armed == deadline {
            return;
        }
        if let Some(old) = *armed {
            self.queue.remove(&(old, key));
        }
        if let Some(new) = deadline {
            self.queue.insert((new, key));
        }
        *armed = deadline;
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out a key whose deadline is not after `now`; its owner must forget the deadline.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut timers = Timers::new();
        let mut armed = None;
        timers.set(1, &mut armed, Some(Instant::from_millis(1)));
        timers.set(1, &mut armed, None);
        assert_eq!(timers.expire(Instant::from_millis(9)), None);
        assert_eq!(armed, None);
    }
}

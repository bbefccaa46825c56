//! What timers are for, and who is told when one runs out.

use super::Stack;
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Instant;
use crate::timers::{Timer, Timers};

/// What a timer is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum TimerKey {
    Socket(Key),
    /// The half-open entries whose SYN-ACK went out so many times before the last.
    HalfOpen(u8),
    TimeWait,
}

/// A timer's key as the timers keep it: the kind in the upper two bits, the index in the others. No timer outlives its
/// entry, so that the generation is the present one.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct CompactKey(u32);

impl CompactKey {
    const SOCKET: u32 = 0;
    const HALF_OPEN: u32 = 1 << 30;
    const TIME_WAIT: u32 = 2 << 30;
    const KIND: u32 = 3 << 30;
}

impl From<TimerKey> for CompactKey {
    #[inline]
    fn from(key: TimerKey) -> CompactKey {
        CompactKey(match key {
            TimerKey::Socket(key) => CompactKey::SOCKET | key.index,
            TimerKey::HalfOpen(line) => CompactKey::HALF_OPEN | u32::from(line),
            TimerKey::TimeWait => CompactKey::TIME_WAIT,
        })
    }
}

/// The timer of a connection, which runs out when something is due or before.
#[derive(Default)]
pub(super) struct Alarm {
    timer: Option<Timer>,
    at: Option<Instant>,
}

impl Alarm {
    /// Sees to it that the timer of the socket `key` runs out at `deadline` or before. A connection's deadlines move on with
    /// each packet; its timer stays, and moves when it has run out and nothing was due.
    #[inline]
    pub(super) fn set(
        &mut self,
        timers: &mut Timers<CompactKey>,
        key: Key,
        deadline: Option<Instant>,
    ) {
        let stays = match (self.at, deadline) {
            (Some(at), Some(deadline)) => at <= deadline,
            (None, None) => true,
            _ => false,
        };
        if !stays {
            timers.set(TimerKey::Socket(key), &mut self.timer, deadline);
            self.at = deadline;
        }
    }

    /// The same for a deadline in nanoseconds, the greatest of which is none; the timer is never stopped.
    #[inline]
    pub(super) fn set_before(&mut self, timers: &mut Timers<CompactKey>, key: Key, deadline: u64) {
        if deadline < self.at.map_or(u64::MAX, Instant::as_nanos) {
            self.set(timers, key, Some(Instant::from_nanos(deadline)));
        }
    }

    /// When the timer runs out.
    #[cfg(test)]
    pub(super) fn time(&self) -> Option<Instant> {
        self.at
    }
}

impl<B: Payload> Stack<B> {
    /// A timer has run out, and is no more.
    pub(super) fn on_timer(&mut self, now: Instant, key: CompactKey) {
        let index = key.0 & !CompactKey::KIND;
        match key.0 & CompactKey::KIND {
            CompactKey::SOCKET => {
                let Some(key) = self.sockets.key_at(index) else {
                    return;
                };
                let Some(entry) = self.sockets.get_mut(key) else {
                    return;
                };
                entry.alarm = Alarm::default();
                let due = entry.connection().and_then(|tcb| tcb.deadline());
                if due.is_some_and(|due| due <= now) {
                    self.with_tcb(now, key, |tcb, cx| tcb.on_timer(cx));
                } else {
                    // It has moved on since, or there is none any more.
                    entry.alarm.set(&mut self.timers, key, due);
                }
            }
            CompactKey::HALF_OPEN => self.on_half_open_timer(now, index as u8),
            _ => self.on_time_wait_timer(now),
        }
    }
}

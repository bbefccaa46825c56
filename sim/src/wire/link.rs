//! A cable between two NICs of one world.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Wire;

/// Propagation delay of [`Link::cable`] in nanoseconds: some metres and two PHYs, as on the loopback wire.
pub const DELAY_NS: u64 = 500;

/// Frames on their way one way, and when they arrive.
type Lane = Arc<Mutex<VecDeque<(u64, Vec<u8>)>>>;

/// One end of the cable. Every frame sent here arrives at the other end, in order, after the propagation delay.
pub struct Link {
    delay_ns: u64,
    out: Lane,
    back: Lane,
}

impl Link {
    /// The two ends of a cable of an ordinary length.
    pub fn cable() -> (Self, Self) {
        Self::pair(DELAY_NS)
    }

    /// The two ends of a cable that takes `delay_ns` nanoseconds.
    pub fn pair(delay_ns: u64) -> (Self, Self) {
        let (one, other) = (Lane::default(), Lane::default());
        let near = Self {
            delay_ns,
            out: Arc::clone(&one),
            back: Arc::clone(&other),
        };
        let far = Self {
            delay_ns,
            out: other,
            back: one,
        };
        (near, far)
    }
}

fn lock(lane: &Lane) -> MutexGuard<'_, VecDeque<(u64, Vec<u8>)>> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire for Link {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        lock(&self.out).push_back((now_ns + self.delay_ns, frame.to_vec()));
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        lock(&self.back)
            .pop_front_if(|(at, _)| *at <= now_ns)
            .map(|(_, frame)| frame)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        lock(&self.back).front().map(|(at, _)| (*at).max(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_at_the_other_end_in_order_and_not_before_their_time() {
        let (mut a, mut b) = Link::pair(100);
        a.send(1_000, &[1]);
        a.send(1_050, &[2]);
        b.send(1_020, &[3]);
        assert_eq!(b.next_deadline(1_060), Some(1_100));
        assert_eq!(b.poll(1_099), None);
        assert_eq!(
            (b.poll(1_160), b.poll(1_160)),
            (Some(vec![1]), Some(vec![2]))
        );
        assert_eq!((b.poll(2_000), b.next_deadline(2_000)), (None, None));
        assert_eq!(a.next_deadline(2_000), Some(2_000));
        assert_eq!(a.poll(2_000), Some(vec![3]));
    }
}

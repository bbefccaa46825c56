//! A cable from the NIC's transmitter to its own receiver.
use std::collections::VecDeque;

use super::Wire;

/// Every frame comes back, in order, after a fixed delay.
#[derive(Default)]
pub struct Loopback {
    delay_ns: u64,
    flying: VecDeque<(u64, Vec<u8>)>,
}

impl Loopback {
    /// A loop that takes `delay_ns` nanoseconds.
    pub fn new(delay_ns: u64) -> Self {
        Self {
            delay_ns,
            flying: VecDeque::new(),
        }
    }
}

impl Wire for Loopback {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.flying
            .push_back((now_ns + self.delay_ns, frame.to_vec()));
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.flying
            .pop_front_if(|(at, _)| *at <= now_ns)
            .map(|(_, frame)| frame)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.flying.front().map(|(at, _)| (*at).max(now_ns))
    }
}

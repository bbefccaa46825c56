//! The root complex for a link that carries TLPs as wholes, at its own pace, instead of beats clock by clock.
use std::cmp::Reverse;

use super::{Downstream, RootComplex};

impl RootComplex {
    /// The next TLP for the device, as DWs, and the BAR that it hits if it is a request.
    pub fn next_tlp(&mut self, now_ns: u64) -> Option<(u8, Vec<u32>)> {
        self.run_schedule(now_ns);
        self.send_next();
        let bar = self.beats.front()?.bar;
        let mut dwords = vec![];
        for beat in self.beats.drain(..) {
            dwords.push(beat.d0);
            if !beat.half {
                dwords.push(beat.d1);
            }
        }
        Some((bar, dwords))
    }

    /// Takes a TLP of the device.
    pub fn take_tlp(&mut self, now_ns: u64, dwords: &[u32]) {
        self.receive(now_ns, dwords);
    }

    /// Whether an access of the host has not left yet or has not been answered.
    pub fn awaits(&self) -> bool {
        !self.queue.is_empty() || self.reads.iter().any(Option::is_some)
    }

    /// When there is a TLP for the device that waits for its time.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.schedule.peek().map(|Reverse((due_ns, _))| *due_ns)
    }

    /// There is no device: reads are all-ones, writes go nowhere.
    pub fn discard(&mut self) {
        for item in std::mem::take(&mut self.queue) {
            if let Downstream::Read { id, .. } = item {
                self.answers.insert(id, u32::MAX);
            }
        }
        for read in self.reads.iter_mut().filter_map(Option::take) {
            self.answers.insert(read.id, u32::MAX);
        }
    }
}

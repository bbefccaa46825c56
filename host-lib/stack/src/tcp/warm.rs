//! A connection that was not heard of for a while is not in the processor's cache: its lines are asked for all at once, so that
//! they are waited for once and not one after another.

use core::hint::black_box;

use super::Tcb;
use crate::payload::Payload;
use crate::slab::Key;

impl<B: Payload> Tcb<B> {
    /// Warms the connection, which is `key`'s, unless it was the one in use last.
    #[inline]
    pub(crate) fn use_after(&self, recent: &mut Key, key: Key) {
        if recent.index != key.index {
            *recent = key;
            self.warm();
        }
    }

    /// Reads a little of each line that every packet needs. Nothing depends on what is read, nor one read on another.
    #[inline]
    fn warm(&self) {
        let words = self.snd_una.0
            ^ self.rcv_nxt.0
            ^ self.last_send.as_nanos() as u32
            ^ self.tuning.rtt().map_or(0, |rtt| rtt as u32)
            ^ self.rack.rtt() as u32
            ^ self.rto.rto_nanos() as u32
            ^ self.board.lost()
            ^ self.congestion.window()
            ^ u32::from(self.options.tos)
            ^ self.recovery.high_seq.0
            ^ self.send.len() as u32
            ^ self.recv.len() as u32;
        black_box(words);
    }
}

//! SEND and RECEIVE by handle: no byte of the payload is copied.

use super::{Cx, Tcb};
use crate::error::{Error, Result};
use crate::payload::{Bytes, Payload};
use crate::rope::Rope;

impl<B: Payload> Tcb<B> {
    /// Queues a handle to as many of the bytes as there is room for; returns how many that is.
    pub(crate) fn send_handle(&mut self, bytes: &Bytes) -> Result<usize> {
        // Whether anything may be sent at all is asked as for a copying call.
        self.send(&[])?;
        let n = self.send.push_handle(bytes);
        if n < bytes.len() {
            self.wants_room = true;
            if n == 0 {
                return Err(Error::WouldBlock);
            }
        }
        Ok(n)
    }

    /// Takes all received bytes; none means that the peer has closed.
    pub(crate) fn recv_handles(&mut self, cx: &Cx<'_>) -> Result<Rope<B>> {
        if self.recv.len() == 0 {
            // What an empty queue means is the same for every call.
            return self.peek(&mut []).map(|_| Rope::default());
        }
        let rope = self.recv.take();
        self.tune_recv_buffer(cx);
        self.after_read();
        Ok(rope)
    }
}

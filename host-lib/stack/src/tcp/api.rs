//! The user calls of RFC 9293 section 3.10: SEND, RECEIVE, CLOSE, ABORT, and what a program may ask.

use super::{Cx, Tcb, TcpOptions, TcpState};
use crate::error::{Error, Result};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::wire::tcp::Flags;

/// Which half of a connection to shut down.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// No more will be read.
    Read,
    /// No more will be sent.
    Write,
    /// Neither.
    Both,
}

impl<B: Payload> Tcb<B> {
    /// Queues bytes to send; returns how many there was room for.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.state {
            TcpState::SynSent | TcpState::SynReceived => {
                self.wants_room = true;
                return Err(if self.fin_queued {
                    Error::BrokenPipe
                } else {
                    Error::WouldBlock
                });
            }
            TcpState::Established | TcpState::CloseWait if !self.fin_queued => {}
            _ => return Err(Error::BrokenPipe),
        }
        let n = self.send.push(bytes);
        if n < bytes.len() {
            self.wants_room = true;
            if n == 0 {
                return Err(Error::WouldBlock);
            }
        }
        Ok(n)
    }

    /// Takes received bytes; 0 means that the peer has closed (or `to` is empty).
    pub(crate) fn recv(&mut self, cx: &Cx<'_>, to: &mut [u8]) -> Result<usize> {
        if self.recv.len() == 0 {
            return self.peek(to);
        }
        let n = self.recv.read(to);
        self.tune_recv_buffer(cx);
        self.after_read();
        Ok(n)
    }

    pub(super) fn tune_recv_buffer(&mut self, cx: &Cx<'_>) {
        if self.recv_buffer_locked {
            return;
        }
        let taken = self.rcv_pos - self.recv.len() as u64;
        let mss = u32::from(self.advertised_mss);
        if let Some(wanted) = self.tuning.taken(cx.now, taken, mss) {
            let most = cx.config.max_recv_buffer_bytes;
            if wanted > self.recv.capacity() {
                self.recv
                    .set_capacity(wanted.min(most).max(self.recv.capacity()));
            }
        }
    }

    /// Copies received bytes and leaves them.
    pub(crate) fn peek(&mut self, to: &mut [u8]) -> Result<usize> {
        if self.recv.len() > 0 {
            return Ok(self.recv.peek(to));
        }
        // An end that the peer has sent comes before an error, one of our own making after it, as in Linux.
        if self.fin_received {
            return Ok(0);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.state {
            _ if self.read_shutdown => Ok(0),
            TcpState::Closed => Ok(0),
            _ => Err(Error::WouldBlock),
        }
    }

    /// Bytes that can be read at once.
    pub(crate) fn unread(&self) -> usize {
        self.recv.len()
    }

    /// What the program has sent and the peer has not acknowledged, the end of the stream counted as one.
    pub(crate) fn unacknowledged(&self) -> usize {
        match self.state {
            // As Linux: nothing before there is a connection.
            TcpState::SynSent | TcpState::SynReceived => 0,
            _ => self.send.len() + usize::from(self.fin_unacked()),
        }
    }

    /// Closes one or both halves.
    pub(crate) fn shutdown(&mut self, cx: &mut Cx<'_>, how: Shutdown) -> Result<()> {
        if matches!(
            self.state,
            TcpState::Closed | TcpState::SynSent | TcpState::TimeWait
        ) {
            // An error that is pending is for another call to tell.
            return Err(Error::NotConnected);
        }
        if how != Shutdown::Write && !self.read_shutdown {
            self.read_shutdown = true;
            cx.events |= Readiness::READABLE | Readiness::READ_CLOSED;
        }
        if how != Shutdown::Read {
            self.queue_fin(cx);
        }
        Ok(())
    }

    // CLOSE (section 3.10.4): "queue this until all preceding SENDs have been segmentized, then form a FIN segment".
    fn queue_fin(&mut self, cx: &mut Cx<'_>) {
        if self.fin_queued {
            return;
        }
        match self.state {
            // Its FIN waits for the handshake.
            TcpState::SynReceived => {}
            TcpState::Established => self.state = TcpState::FinWait1,
            TcpState::CloseWait => self.state = TcpState::LastAck,
            _ => return,
        }
        self.fin_queued = true;
        if self.fin_received {
            cx.events |= Readiness::HANGUP;
        }
    }

    /// The program gives up its handle. What was sent is still delivered, unless something was left unread.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) {
        self.orphan = true;
        match self.state {
            TcpState::SynSent => self.enter_closed(cx),
            // RFC 9293 section 3.10.4, RFC 2525 section 2.17: "if ... received data are still pending in the
            // connection ... send a RST to show that data was lost".
            _ if self.recv.len() > 0 => self.abort(cx),
            _ => {
                self.queue_fin(cx);
                if self.state == TcpState::FinWait2 {
                    self.linger_at = Some(cx.now + cx.config.orphan_fin_wait_2);
                }
            }
        }
    }

    /// ABORT (section 3.10.5): "<SEQ=SND.NXT><CTL=RST>" if the peer knows of the connection.
    pub(crate) fn abort(&mut self, cx: &mut Cx<'_>) {
        let tell = matches!(
            self.state,
            TcpState::SynReceived
                | TcpState::Established
                | TcpState::FinWait1
                | TcpState::FinWait2
                | TcpState::CloseWait
                | TcpState::Closing
                | TcpState::LastAck
        );
        if tell {
            // With the ACK bit it also passes a peer's check that has just a SYN of ours.
            *cx.reply = Some(self.header(cx.now, Flags::RST | Flags::ACK, self.bare_seq()));
        }
        self.recv.clear();
        self.enter_closed(cx);
    }

    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take().or_else(|| self.soft_error.take())
    }

    pub(crate) fn set_options(&mut self, cx: &Cx<'_>, options: TcpOptions) {
        let before = self.options;
        self.options = options;
        self.congestion.set_algorithm(options.congestion);
        if options.quick_ack && !before.quick_ack && self.delayed_ack_at.take().is_some() {
            self.ack_now = true;
        }
        if options.keep_alive != before.keep_alive {
            self.restart_keep_alive(cx);
        }
        if before.cork && !options.cork && self.board.is_empty() {
            // What was held back goes by the other rules now.
            self.rto_at = None;
        }
    }

    /// Takes over what was set on the listener.
    pub(crate) fn inherit(
        &mut self,
        cx: &Cx<'_>,
        options: TcpOptions,
        send_buffer: Option<usize>,
        recv_buffer: Option<usize>,
    ) {
        self.set_options(cx, options);
        if let Some(bytes) = send_buffer {
            self.set_send_buffer(bytes);
        }
        if let Some(bytes) = recv_buffer {
            self.set_recv_buffer(bytes);
        }
    }

    pub(crate) fn send_buffer(&self) -> usize {
        self.send.capacity()
    }

    pub(crate) fn recv_buffer(&self) -> usize {
        self.recv.capacity()
    }

    pub(crate) fn set_send_buffer(&mut self, bytes: usize) {
        self.send_buffer_locked = true;
        self.send.set_capacity(bytes);
    }

    pub(crate) fn set_recv_buffer(&mut self, bytes: usize) {
        self.recv_buffer_locked = true;
        self.recv.set_capacity(bytes);
        self.after_read();
    }

    /// At least a third of the send buffer is free, so that a writer wakes to something worth doing.
    pub(crate) fn has_room(&self) -> bool {
        self.send.free() * 3 >= self.send.capacity() && self.send.free() > 0
    }

    /// What poll(2) would say.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut r = Readiness::NONE;
        let closed = self.state == TcpState::Closed;
        let no_more_in = self.fin_received || self.read_shutdown || closed;
        let no_more_out = self.fin_queued || closed;
        let can_send =
            matches!(self.state, TcpState::Established | TcpState::CloseWait) && self.has_room();
        r.set(Readiness::READABLE, self.recv.len() > 0 || no_more_in);
        r.set(Readiness::WRITABLE, can_send || no_more_out);
        r.set(Readiness::READ_CLOSED, no_more_in);
        r.set(Readiness::HANGUP, no_more_in && no_more_out);
        r.set(Readiness::ERROR, self.error.is_some());
        r
    }
}

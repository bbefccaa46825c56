//! What a slot of the socket table holds.

use super::timer_keys::Alarm;
use crate::datagram::{PingSocket, UdpSocket};
use crate::readiness::Readiness;
use crate::tcp::fresh::Fresh;
use crate::tcp::listener::Listener;
use crate::tcp::Tcb;

/// The kinds of socket.
pub(super) enum Kind<B> {
    Tcp(Box<Tcb<B>>),
    Listener(Box<Listener>),
    Fresh(Box<Fresh>),
    Udp(Box<UdpSocket<B>>),
    Ping(Box<PingSocket<B>>),
}

/// A socket with its places in the stack's queues.
pub(super) struct Entry<B> {
    pub(super) kind: Kind<B>,
    /// Readiness to report; not empty while the socket is in the queue of events.
    pub(super) pending: Readiness,
    /// In the queue of sockets with something to send.
    pub(super) queued: bool,
    pub(super) alarm: Alarm,
}

/// The program has a handle to the connection: it is accepted and not closed.
#[inline]
pub(super) fn is_handed_out<B>(tcb: &Tcb<B>) -> bool {
    !tcb.orphan && tcb.accepting.is_none()
}

impl<B> Entry<B> {
    pub(super) fn new(kind: Kind<B>) -> Entry<B> {
        Entry {
            kind,
            pending: Readiness::NONE,
            queued: false,
            alarm: Alarm::default(),
        }
    }

    /// The connection, if it is one.
    #[inline]
    pub(super) fn connection(&mut self) -> Option<&mut Tcb<B>> {
        match &mut self.kind {
            Kind::Tcp(tcb) => Some(tcb),
            _ => None,
        }
    }

    /// The program has no handle to it: closed, or not accepted yet.
    pub(super) fn is_orphan(&self) -> bool {
        match &self.kind {
            Kind::Tcp(tcb) => !is_handed_out(tcb),
            Kind::Listener(_) | Kind::Fresh(_) => false,
            Kind::Udp(udp) => udp.orphan,
            Kind::Ping(ping) => ping.orphan,
        }
    }
}

//! Ports for those who leave the choice to us (RFC 6056), and flows whose last connection is still in TIME-WAIT (RFC 6191).

use std::net::SocketAddrV4;

use super::{FlowOwner, Stack};
use crate::error::{Error, Result};
use crate::payload::Payload;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::Flow;
use crate::time::Instant;

/// Ports looked at for one that is not in TIME-WAIT either, before one that is will do.
const PICKY: u64 = 64;

/// A flow that a new connection can have.
#[derive(Copy, Clone)]
enum Vacancy {
    Free,
    /// Its last connection is in TIME-WAIT and can be told from the new one.
    Former(Key),
}

impl<B: Payload> Stack<B> {
    fn vacancy(&mut self, now: Instant, flow: &Flow) -> Option<Vacancy> {
        match self.flow_owner(flow) {
            None => Some(Vacancy::Free),
            Some(FlowOwner::TimeWait(key)) => {
                let record = self.time_wait.get(key)?;
                record.can_be_reused(now).then_some(Vacancy::Former(key))
            }
            Some(_) => None,
        }
    }

    /// Makes the flow free for a connection of ours, a local port of 0 replaced by an ephemeral one; returns the
    /// connection's initial sequence number.
    pub(super) fn claim(&mut self, now: Instant, flow: &mut Flow) -> Result<Seq> {
        let vacancy = if flow.local.port() == 0 {
            let (port, vacancy) = self.ephemeral_tcp_port(now, flow)?;
            flow.local.set_port(port);
            vacancy
        } else {
            self.vacancy(now, flow).ok_or(Error::AddrInUse)?
        };
        let last = match vacancy {
            Vacancy::Free => None,
            Vacancy::Former(key) => {
                let last = self.time_wait.get(key).map(|record| record.snd_nxt);
                self.end_time_wait(now, key);
                last
            }
        };
        Ok(self.isn_after(now, flow, last))
    }

    /// An initial sequence number, "larger than the largest sequence number it used on the previous connection" (RFC 9293
    /// MAY-2), if that is known.
    pub(super) fn isn_after(&self, now: Instant, flow: &Flow, last: Option<Seq>) -> Seq {
        let iss = self.secrets.isn(now, flow);
        match last {
            Some(last) if iss.le(last) => last + 64_000,
            _ => iss,
        }
    }

    // RFC 6056 section 3.3.3, algorithm 3: start at a keyed offset plus a counter, take the first that is free.
    fn ephemeral_tcp_port(&mut self, now: Instant, flow: &Flow) -> Result<(u16, Vacancy)> {
        let (low, high) = self.config.tcp.ephemeral_ports;
        let count = u64::from(high.saturating_sub(low)) + 1;
        let start = self.secrets.port_offset(flow).wrapping_add(self.next_port);
        let mut former = None;
        for i in 0..count {
            if i >= PICKY && former.is_some() {
                break;
            }
            let port = low + (start.wrapping_add(i) % count) as u16;
            // As in Linux, one that a program has bound stays its own: who connects to that from the same host would connect to himself.
            if self.tcp_ports.contains_key(&port) {
                continue;
            }
            let candidate = Flow {
                local: SocketAddrV4::new(*flow.local.ip(), port),
                ..*flow
            };
            match self.vacancy(now, &candidate) {
                Some(Vacancy::Free) => {
                    self.next_port = self.next_port.wrapping_add(i + 1);
                    return Ok((port, Vacancy::Free));
                }
                Some(reusable) => former = former.or(Some((i, port, reusable))),
                None => {}
            }
        }
        let (i, port, vacancy) = former.ok_or(Error::AddrNotAvailable)?;
        self.next_port = self.next_port.wrapping_add(i + 1);
        Ok((port, vacancy))
    }

    /// An ephemeral port for which `taken` is false, from a start nobody can foresee (RFC 6056 algorithm 1).
    pub(super) fn free_port(&mut self, taken: impl Fn(&Stack<B>, u16) -> bool) -> Result<u16> {
        let (low, high) = self.config.tcp.ephemeral_ports;
        let count = u64::from(high.saturating_sub(low)) + 1;
        let start = self.secrets.draw();
        (0..count)
            .map(|i| low + (start.wrapping_add(i) % count) as u16)
            .find(|port| !taken(self, *port))
            .ok_or(Error::AddrInUse)
    }
}

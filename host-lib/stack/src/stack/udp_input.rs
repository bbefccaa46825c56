//! UDP datagrams between sockets and the network: whom they are for, whose turn it is to send, who hears of errors.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::Stack;
use crate::datagram::{Message, Unsent};
use crate::error::Error;
use crate::ip::icmp_errors::Meaning;
use crate::packet::{Owner, Token, TxPacket};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::slab::Key;
use crate::tcp::Flow;
use crate::time::Instant;
use crate::wire::icmp::code;
use crate::wire::ipv4::protocol;
use crate::wire::udp::{UdpHeader, HEADER_LEN};

impl<B: Payload> Stack<B> {
    pub(super) fn udp_input(&mut self, now: Instant, mut arrival: Arrival<'_, B>) {
        let Some(header) = UdpHeader::parse(arrival.data.head, arrival.data.len()) else {
            self.stats.dropped_malformed += 1;
            return;
        };
        arrival.data.truncate(header.len);
        if header.has_checksum && !arrival.transport_intact() {
            self.stats.dropped_checksum += 1;
            return;
        }
        let flow = Flow {
            local: SocketAddrV4::new(arrival.ip.dst, header.dst_port),
            remote: SocketAddrV4::new(arrival.ip.src, header.src_port),
        };
        let to_one = self.config.is_local(*flow.local.ip());
        let found = match to_one {
            true => self.udp_find(&flow),
            false => None,
        };
        if to_one && found.is_none() {
            self.stats.dropped_no_socket += 1;
            // RFC 1122 section 4.1.3.1: "if a datagram arrives addressed to a UDP port for which there is no pending
            // LISTEN call, UDP SHOULD send an ICMP Port Unreachable message."
            self.send_unreachable(now, &arrival, code::PORT);
            return;
        }
        arrival.data.trim_front(HEADER_LEN);
        let message = Message {
            from: flow.remote,
            to: arrival.ip.dst,
            seq: 0,
            ttl: arrival.ip.ttl,
            tos: arrival.ip.tos,
            data: arrival.data.into_rope(),
        };
        match found {
            Some(key) => self.udp_deliver(key, message),
            None => {
                if !self.udp_deliver_to_many(&flow, &message) {
                    self.stats.dropped_no_socket += 1;
                }
            }
        }
    }

    fn udp_find(&self, flow: &Flow) -> Option<Key> {
        self.udp_sockets.find(flow, |key| {
            self.udp_at(key).is_some_and(|udp| udp.options.reuse_port)
        })
    }

    fn udp_deliver(&mut self, key: Key, message: Message<B>) {
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        if udp.queues.deliver(message) {
            self.stats.udp_in += 1;
            self.raise(key, Readiness::READABLE);
        } else {
            self.stats.dropped_receive_full += 1;
        }
    }

    /// A broadcast or a datagram to a group goes to every socket on its port that may hear it; false if there is none.
    fn udp_deliver_to_many(&mut self, flow: &Flow, message: &Message<B>) -> bool {
        let (group, source) = (*flow.local.ip(), *flow.remote.ip());
        let hears = |key: &Key| {
            let Some(udp) = self.udp_at(*key) else {
                return false;
            };
            let here = udp.local.ip().is_unspecified() || *udp.local.ip() == group;
            let wanted = match self.ip.members.of(group, *key) {
                _ if !group.is_multicast() => true,
                Some(filter) => filter.allows(source),
                None => udp.options.multicast_all,
            };
            here && wanted && udp.remote.is_none_or(|peer| peer == flow.remote)
        };
        let port = flow.local.port();
        let on_port = self.udp_sockets.on_port(port).iter();
        let hearing: Vec<Key> = on_port.filter(|key| hears(key)).copied().collect();
        for key in &hearing {
            let copy = Message {
                data: message.data.slice(0..message.data.len()),
                ..*message
            };
            self.udp_deliver(*key, copy);
        }
        !hearing.is_empty()
    }

    /// Members on this host get what one of its sockets sends to their group, and everyone a broadcast.
    fn udp_loop_back(&mut self, key: Key, message: &Unsent<B>) {
        let dst = *message.to.ip();
        let source = *message.from.ip();
        let wanted = match dst.is_multicast() {
            true => {
                let looped = self.udp_at(key).is_some_and(|u| u.options.multicast_loop);
                looped && self.ip.members.allows(dst, source)
            }
            false => self.config.is_broadcast(dst),
        };
        if !wanted {
            return;
        }
        let flow = Flow {
            local: message.to,
            remote: message.from,
        };
        let copy = Message {
            from: message.from,
            to: dst,
            seq: 0,
            ttl: message.params.ttl,
            tos: message.params.tos,
            data: message.data.slice(0..message.data.len()),
        };
        self.stats.packets_looped += 1;
        self.udp_deliver_to_many(&flow, &copy);
    }

    pub(super) fn next_udp(&mut self, key: Key) -> Option<TxPacket<B>> {
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return None;
        };
        let (message, wake) = udp.queues.next_unsent()?;
        let (more, orphan) = (udp.queues.has_unsent(), udp.orphan);
        self.udp_loop_back(key, &message);
        if more {
            self.make_ready(key);
        } else if orphan {
            self.sockets.remove(key);
        }
        if wake {
            self.raise(key, Readiness::WRITABLE);
        }
        self.stats.udp_out += 1;
        if message.params.ttl == 0 {
            // As in BSD and Linux such a datagram stays on this host.
            return None;
        }
        let header = UdpHeader {
            src_port: message.from.port(),
            dst_port: message.to.port(),
            len: HEADER_LEN + message.data.len(),
            has_checksum: true,
        };
        let sent = self.send_message(
            (*message.from.ip(), *message.to.ip()),
            protocol::UDP,
            &mut header.emit(),
            message.data,
            message.params,
            Token(Owner::Socket(key)),
        );
        if sent.is_err() {
            // The path MTU has shrunk since the call, and the socket wants no fragments.
            self.datagram_error(key, Error::MessageTooLong);
        }
        sent.ok()
    }

    pub(super) fn close_udp(&mut self, now: Instant, key: Key) {
        self.leave_all_groups(now, key);
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        if udp.local.port() != 0 {
            self.udp_sockets.remove(key, udp.local, udp.remote);
        }
        udp.orphan = true;
        if !udp.queues.has_unsent() {
            self.sockets.remove(key);
        }
    }

    /// Tells the sockets whose datagram an ICMP error was about.
    ///
    /// RFC 1122 section 4.1.3.3: UDP "MUST pass to the application layer all ICMP error messages". As in Linux a socket
    /// hears of final errors if it is connected, and of all if it asks for that.
    pub(super) fn udp_error(&mut self, flow: &Flow, meaning: Meaning) {
        let mut keys = self.udp_sockets.connected(flow).to_vec();
        if keys.is_empty() {
            let here = [*flow.local.ip(), Ipv4Addr::UNSPECIFIED];
            keys = self.udp_sockets.on_port(flow.local.port()).to_vec();
            keys.retain(|key| {
                self.udp_at(*key).is_some_and(|udp| {
                    udp.remote.is_none()
                        && udp.options.receive_errors
                        && here.contains(udp.local.ip())
                })
            });
        }
        for key in keys {
            let Some(udp) = self.udp_at(key) else {
                continue;
            };
            if meaning.hard || udp.options.receive_errors {
                self.datagram_error(key, meaning.error);
            }
        }
    }

    /// Whether a socket that may have sent this takes part in path MTU discovery; `None` if there is no such socket, or
    /// only such as believe nobody.
    pub(super) fn udp_discovers(&self, flow: &Flow) -> Option<bool> {
        use crate::ip::params::PathMtuDiscovery::{Dont, Interface, Omit};
        let connected = self.udp_sockets.connected(flow).iter();
        let on_port = self.udp_sockets.on_port(flow.local.port()).iter();
        let here = |key: &&Key| {
            self.udp_at(**key).is_some_and(|udp| {
                let ip = *udp.local.ip();
                udp.remote.is_none() && (ip.is_unspecified() || ip == *flow.local.ip())
            })
        };
        let discovery = connected
            .chain(on_port.filter(here))
            .filter_map(|key| self.udp_at(*key))
            .map(|udp| udp.options.discovery)
            .find(|discovery| !matches!(discovery, Interface | Omit))?;
        Some(discovery != Dont)
    }

    /// Leaves an error with a UDP or ping socket.
    pub(super) fn datagram_error(&mut self, key: Key, error: Error) {
        let queues = match self.sockets.get_mut(key).map(|e| &mut e.kind) {
            Some(Kind::Udp(udp)) => &mut udp.queues,
            Some(Kind::Ping(ping)) => &mut ping.queues,
            _ => return,
        };
        queues.error = Some(error);
        self.raise(
            key,
            Readiness::ERROR | Readiness::READABLE | Readiness::WRITABLE,
        );
    }
}

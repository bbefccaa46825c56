//! Sockets in a group, and who sends to it: for the tests of multicast and of IGMP.

use crate::common::*;
use crate::craft::*;
use ferrule_stack::{Bytes, Instant, SocketId, Stack};
use std::net::Ipv4Addr;

pub(super) const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(239, 9, 9, 9);
pub(super) const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

pub(super) fn ms(n: u64) -> Instant {
    Instant::from_millis(n)
}

pub(super) fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, n)
}

pub(super) fn member(s: &mut Stack<Bytes>) -> SocketId {
    let id = s.udp_open();
    s.set_reuse_address(id, true).expect("open");
    s.udp_bind_to(id, at(ANY, 5000)).expect("shared");
    id
}

pub(super) fn heard(s: &mut Stack<Bytes>, id: SocketId) -> bool {
    s.udp_recv_from(id, &mut [0; 16]).is_ok()
}

pub(super) fn from_to(from: Ipv4Addr, group: Ipv4Addr) -> Vec<u8> {
    udp_edited(at(from, 9), at(group, 5000), b"news", |ip| {
        ip.time_to_live = 1
    })
}

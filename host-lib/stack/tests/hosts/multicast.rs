//! Multicast: who hears what on this host (RFC 1112), and the calls that say so.

use crate::common::*;
use crate::craft::igmp::{told, ALL_HOSTS};
use crate::craft::*;
use crate::members::*;
use ferrule_stack::{Bytes, Error, FilterMode, Stack};
use std::net::Ipv4Addr;

#[test]
fn a_group_is_heard_from_joining_to_leaving_and_by_every_member() {
    let mut s = stack(A);
    let (a, b) = (member(&mut s), member(&mut s));
    feed(&mut s, ms(0), &from_to(B, GROUP));
    assert_eq!((heard(&mut s, a), s.stats().dropped_address), (false, 1));
    assert_eq!(
        (s.multicast_groups(), s.take_multicast_change()),
        (vec![ALL_HOSTS], false)
    );
    s.multicast_join(ms(0), a, GROUP).expect("a group");
    s.multicast_join(ms(0), b, GROUP).expect("a group");
    assert_eq!(s.multicast_groups(), [ALL_HOSTS, GROUP]);
    assert!(s.take_multicast_change() && !s.take_multicast_change());
    feed(&mut s, ms(0), &from_to(B, GROUP));
    for id in [a, b] {
        let got = s.udp_recv_from(id, &mut [0; 16]).expect("a datagram");
        assert_eq!((got.to, got.from, got.ttl), (GROUP, at(B, 9), 1));
    }
    s.multicast_leave(ms(0), a, GROUP).expect("a member");
    assert!(!s.take_multicast_change());
    feed(&mut s, ms(0), &from_to(B, GROUP));
    // As in Linux (IP_MULTICAST_ALL) it still hears what others here have joined for, unless it says no.
    assert_eq!((heard(&mut s, a), heard(&mut s, b)), (true, true));
    s.set_multicast_all(a, false).expect("open");
    feed(&mut s, ms(0), &from_to(B, GROUP));
    assert_eq!((heard(&mut s, a), heard(&mut s, b)), (false, true));
    // The last member's end ends the membership.
    s.close(ms(0), b).expect("open");
    assert_eq!(
        (s.multicast_groups(), s.take_multicast_change()),
        (vec![ALL_HOSTS], true)
    );
    // Nobody is told that nobody listens.
    told(&mut s, ms(0));
    feed(&mut s, ms(0), &from_to(B, GROUP));
    assert!(drain(&mut s, ms(0)).is_empty());
}

#[test]
fn calls_that_make_no_sense_fail_as_in_linux() {
    let mut s = stack(A);
    let id = member(&mut s);
    let now = ms(0);
    assert_eq!(s.multicast_join(now, id, B), Err(Error::InvalidInput));
    assert_eq!(
        s.multicast_leave(now, id, GROUP),
        Err(Error::AddrNotAvailable)
    );
    s.multicast_join(now, id, GROUP).expect("a group");
    assert_eq!(s.multicast_join(now, id, GROUP), Err(Error::AddrInUse));
    // igmp_max_memberships is 20, igmp_max_msf 10.
    for n in 1..20 {
        s.multicast_join(now, id, Ipv4Addr::new(239, 0, 0, n))
            .expect("room");
    }
    assert_eq!(s.multicast_join(now, id, OTHER), Err(Error::NoBuffers));
    let none = s.multicast_unblock_source(now, id, GROUP, source(1));
    assert_eq!(none, Err(Error::AddrNotAvailable));
    for n in 1..=10 {
        s.multicast_block_source(now, id, GROUP, source(n))
            .expect("room");
    }
    let again = s.multicast_block_source(now, id, GROUP, source(11));
    assert_eq!(again, Err(Error::NoBuffers));
    let mixed = s.multicast_join_source(now, id, GROUP, source(1));
    assert_eq!(mixed, Err(Error::InvalidInput));
    assert_eq!(
        s.multicast_block_source(now, id, OTHER, source(1)),
        Err(Error::InvalidInput)
    );
    assert_eq!(
        s.multicast_leave_source(now, id, OTHER, source(1)),
        Err(Error::InvalidInput)
    );
    assert_eq!(s.multicast_filter(id, OTHER), Err(Error::AddrNotAvailable));
    let many: Vec<Ipv4Addr> = (0..11).map(source).collect();
    let refused = s.multicast_set_filter(now, id, GROUP, FilterMode::Include, &many);
    assert_eq!(refused, Err(Error::NoBuffers));
    assert_eq!(
        s.set_multicast_source(id, Some(B)),
        Err(Error::AddrNotAvailable)
    );
    let tcp = s.tcp_listen(at(A, 80), 1).expect("free");
    assert_eq!(s.multicast_join(now, tcp, GROUP), Err(Error::Unsupported));
}

#[test]
fn source_filters_choose_per_socket_and_for_the_host() {
    let mut s = stack(A);
    let (a, b) = (member(&mut s), member(&mut s));
    let now = ms(0);
    s.multicast_join_source(now, a, GROUP, source(1))
        .expect("a group");
    s.multicast_join_source(now, b, GROUP, source(2))
        .expect("a group");
    let hears = |s: &mut Stack<Bytes>, from: u8| {
        let dropped = s.stats().dropped_address;
        feed(s, now, &from_to(source(from), GROUP));
        let ears = (heard(s, a), heard(s, b));
        (ears.0, ears.1, s.stats().dropped_address == dropped)
    };
    assert_eq!(hears(&mut s, 1), (true, false, true));
    assert_eq!(hears(&mut s, 2), (false, true, true));
    assert_eq!(hears(&mut s, 3), (false, false, false));
    s.multicast_leave_source(now, b, GROUP, source(2))
        .expect("there");
    s.multicast_join(now, b, GROUP).expect("left before");
    s.multicast_block_source(now, b, GROUP, source(1))
        .expect("open to all");
    assert_eq!(hears(&mut s, 1), (true, false, true));
    assert_eq!(hears(&mut s, 3), (false, true, true));
    assert_eq!(
        s.multicast_filter(b, GROUP),
        Ok((FilterMode::Exclude, vec![source(1)]))
    );
    s.multicast_set_filter(now, b, GROUP, FilterMode::Include, &[source(3), source(4)])
        .expect("a member");
    assert_eq!(hears(&mut s, 4), (false, true, true));
    assert_eq!(hears(&mut s, 5), (false, false, false));
    s.multicast_set_filter(now, b, GROUP, FilterMode::Include, &[])
        .expect("a member");
    assert_eq!(
        s.multicast_leave(now, b, GROUP),
        Err(Error::AddrNotAvailable)
    );
}

#[test]
fn what_a_socket_sends_to_a_group_reaches_members_here_and_the_link() {
    let mut s = stack(A);
    let (sender, listener) = (s.udp_bind(at(A, 9)).expect("free"), member(&mut s));
    let now = ms(0);
    s.multicast_join(now, listener, GROUP).expect("a group");
    told(&mut s, now);
    let send = |s: &mut Stack<Bytes>| {
        s.udp_send_to(sender, b"news", Some(at(GROUP, 5000)))
            .expect("room");
        let sent: Vec<u8> = drain(s, now)
            .iter()
            .map(|p| parse(p).0.time_to_live)
            .collect();
        (sent, heard(s, listener))
    };
    // RFC 1112 section 6.1: the default TTL is 1.
    assert_eq!(
        (s.multicast_ttl(sender), send(&mut s)),
        (Ok(1), (vec![1], true))
    );
    s.set_multicast_ttl(sender, 9).expect("open");
    s.set_multicast_loop(sender, false).expect("open");
    assert_eq!(send(&mut s), (vec![9], false));
    s.set_multicast_loop(sender, true).expect("open");
    s.set_multicast_ttl(sender, 0).expect("open");
    assert_eq!(send(&mut s), (vec![], true));
    // A second address to send from.
    let second = Ipv4Addr::new(10, 0, 0, 77);
    s.add_address(ferrule_stack::Cidr::new(second, 24).expect("valid"))
        .expect("new");
    let open = s.udp_open();
    s.set_multicast_source(open, Some(second)).expect("ours");
    s.udp_send_to(open, b"x", Some(at(OTHER, 1))).expect("room");
    assert_eq!(parse(&drain(&mut s, now)[0]).0.source, second.octets());
}

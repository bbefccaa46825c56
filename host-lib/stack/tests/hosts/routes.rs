//! Routes, addresses and what follows from them: next hop and source address.

use crate::common::*;
use crate::craft::*;
use ferrule_stack::{Bytes, Cidr, Config, Error, Instant, Route, RouteError, Stack};
use std::net::Ipv4Addr;

const SECOND: Ipv4Addr = Ipv4Addr::new(172, 16, 5, 9);
const SECOND_ROUTER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn cidr(addr: Ipv4Addr, len: u8) -> Cidr {
    Cidr::new(addr, len).expect("a valid prefix")
}

fn default_via(gateway: Ipv4Addr) -> Route {
    Route::default_route().via(gateway)
}

/// A host on two subnets, its default route through the first one's router.
fn two_homed() -> Stack<Bytes> {
    let mut config = Config::new(cidr(A, 24), [1; 16]);
    config.addrs.push(cidr(SECOND, 16));
    config.routes = vec![default_via(ROUTER)];
    Stack::new(config)
}

/// Next hop and source of a datagram to `dst`.
fn way(s: &mut Stack<Bytes>, dst: Ipv4Addr) -> (Option<Ipv4Addr>, Ipv4Addr) {
    let id = s.udp_open();
    s.set_broadcast(id, true).expect("open");
    s.udp_send_to(id, b"?", Some(at(dst, 9))).expect("a route");
    let packet = s.poll_transmit(Instant::ZERO).expect("a datagram");
    assert_eq!(packet.dst, dst);
    let next_hop = packet.next_hop;
    let source = Ipv4Addr::from(parse(&packet.to_vec()).0.source);
    s.close(Instant::ZERO, id).expect("open");
    (next_hop, source)
}

#[test]
fn a_neighbour_is_reached_directly_and_others_through_the_longest_matching_route() {
    let mut s = two_homed();
    let private = Ipv4Addr::new(192, 168, 7, 7);
    assert_eq!(way(&mut s, B), (None, A));
    assert_eq!(way(&mut s, Ipv4Addr::new(172, 16, 200, 1)), (None, SECOND));
    assert_eq!(way(&mut s, private), (Some(ROUTER), A));
    let route = Route::new(cidr(private, 16)).via(SECOND_ROUTER);
    assert_eq!(s.add_route(route), Ok(()));
    // The source lies on the subnet of the gateway.
    assert_eq!(way(&mut s, private), (Some(SECOND_ROUTER), SECOND));
    let narrow = Route::new(cidr(private, 32)).via(ROUTER).from(SECOND);
    assert_eq!(s.add_route(narrow), Ok(()));
    assert_eq!(way(&mut s, private), (Some(ROUTER), SECOND));
    assert_eq!(
        way(&mut s, Ipv4Addr::new(192, 168, 7, 8)),
        (Some(SECOND_ROUTER), SECOND)
    );
    // A host route beats the subnet it lies in.
    assert_eq!(
        s.add_route(Route::new(Cidr::host(B)).via(SECOND_ROUTER)),
        Ok(())
    );
    assert_eq!(way(&mut s, B), (Some(SECOND_ROUTER), SECOND));
    assert_eq!(s.gateways(), [ROUTER, SECOND_ROUTER]);
    assert!(s.remove_route(Cidr::host(B), 0).is_ok());
    assert_eq!(way(&mut s, B), (None, A));
}

#[test]
fn of_two_routes_to_a_prefix_the_lesser_metric_is_used_until_it_is_removed() {
    let mut s = two_homed();
    let backup = default_via(SECOND_ROUTER).metric(100);
    assert_eq!(s.add_route(backup), Ok(()));
    assert_eq!(s.add_route(backup), Err(RouteError::Exists));
    assert_eq!(way(&mut s, FAR), (Some(ROUTER), A));
    assert_eq!(s.remove_route(cidr(ANY, 0), 0), Ok(default_via(ROUTER)));
    assert_eq!(way(&mut s, FAR), (Some(SECOND_ROUTER), SECOND));
    assert_eq!(s.remove_route(cidr(ANY, 0), 0), Err(RouteError::NotFound));
}

#[test]
fn broadcasts_and_groups_have_no_gateway() {
    let mut s = two_homed();
    assert_eq!(way(&mut s, Ipv4Addr::BROADCAST), (None, A));
    assert_eq!(
        way(&mut s, Ipv4Addr::new(172, 16, 255, 255)),
        (None, SECOND)
    );
    assert_eq!(way(&mut s, Ipv4Addr::new(239, 1, 2, 3)), (None, A));
}

#[test]
fn without_a_route_the_network_is_unreachable_even_from_a_bound_socket() {
    let mut s = two_homed();
    s.remove_route(cidr(ANY, 0), 0).expect("was there");
    let id = s.udp_bind(at(A, 5)).expect("free");
    let to = Some(at(FAR, 9));
    assert_eq!(s.udp_send_to(id, b"x", to), Err(Error::NetworkUnreachable));
    assert_eq!(s.udp_connect(id, to), Err(Error::NetworkUnreachable));
    let open = s.udp_open();
    assert_eq!(
        s.udp_send_to(open, b"x", to),
        Err(Error::NetworkUnreachable)
    );
    let tcp = s.tcp_connect(Instant::ZERO, None, at(FAR, 9));
    assert_eq!(tcp, Err(Error::NetworkUnreachable));
    assert!(s.udp_send_to(id, b"x", Some(at(B, 9))).is_ok());
}

#[test]
fn tcp_segments_carry_the_next_hop_too() {
    let mut s = two_homed();
    s.tcp_connect(Instant::ZERO, None, at(FAR, 80))
        .expect("free");
    let syn = s.poll_transmit(Instant::ZERO).expect("a SYN");
    assert_eq!((syn.dst, syn.next_hop), (FAR, Some(ROUTER)));
}

#[test]
fn what_makes_no_sense_as_a_route_or_address_is_refused() {
    let mut s = two_homed();
    let to = cidr(FAR, 24);
    let add = |s: &mut Stack<Bytes>, route| s.add_route(route);
    // As `ip route add` says: "Nexthop has invalid gateway".
    for gateway in [FAR, A, Ipv4Addr::new(10, 0, 0, 255)] {
        let refused = add(&mut s, Route::new(to).via(gateway));
        assert_eq!(refused, Err(RouteError::GatewayUnreachable), "{gateway}");
    }
    assert_eq!(
        add(&mut s, Route::new(to).from(B)),
        Err(RouteError::InvalidAddress)
    );
    // The subnet's own route is there already.
    assert_eq!(
        add(&mut s, Route::new(cidr(A, 24))),
        Err(RouteError::Exists)
    );
    for addr in [
        ANY,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(224, 0, 0, 9),
        Ipv4Addr::BROADCAST,
    ] {
        let refused = s.add_address(cidr(addr, 24));
        assert_eq!(refused, Err(RouteError::InvalidAddress), "{addr}");
    }
    assert_eq!(s.add_address(cidr(A, 8)), Err(RouteError::Exists));
    assert_eq!(s.remove_address(B), Err(RouteError::NotFound));
}

#[test]
fn addresses_come_and_go_at_run_time() {
    let mut s = two_homed();
    let now = Instant::ZERO;
    let third = Ipv4Addr::new(10, 0, 0, 77);
    let server = s.udp_bind(at(ANY, 7)).expect("free");
    let to_third = udp(at(B, 1), at(third, 7), b"hello");
    feed(&mut s, now, &to_third);
    assert_eq!(s.udp_recv_from(server, &mut [0; 8]), Err(Error::WouldBlock));
    s.add_address(cidr(third, 24)).expect("new");
    feed(&mut s, now, &to_third);
    assert_eq!(
        s.udp_recv_from(server, &mut [0; 8]).map(|r| r.to),
        Ok(third)
    );
    // The first address of a subnet is the source until it goes.
    assert_eq!(way(&mut s, B), (None, A));
    let bound = s.udp_bind(at(A, 8)).expect("free");
    s.remove_address(A).expect("was there");
    assert_eq!(way(&mut s, B), (None, third));
    assert_eq!(way(&mut s, FAR), (Some(ROUTER), third));
    let gone = s.udp_send_to(bound, b"x", Some(at(B, 9)));
    assert_eq!(gone, Err(Error::NetworkUnreachable));
    let dropped = s.stats().dropped_address;
    feed(&mut s, now, &udp(at(B, 1), at(A, 8), b"late"));
    assert_eq!(s.stats().dropped_address, dropped + 1);
    s.remove_address(third).expect("was there");
    s.remove_address(SECOND).expect("was there");
    let id = s.udp_open();
    let nowhere = s.udp_send_to(id, b"x", Some(at(B, 9)));
    assert_eq!(nowhere, Err(Error::NetworkUnreachable));
}

#[test]
fn routes_that_cannot_be_are_left_out_of_a_configuration() {
    let mut config = Config::new(cidr(A, 24), [1; 16]);
    let to = cidr(FAR, 24);
    config.routes = vec![
        default_via(ROUTER),
        default_via(B),
        Route::new(to).via(FAR),
        Route::new(to).from(B),
    ];
    let s = Stack::<Bytes>::new(config);
    assert_eq!(s.route_to(FAR), Some(&default_via(ROUTER)));
    assert_eq!(s.routes().count(), 2);
}

#[test]
fn a_default_stack_leaves_every_next_hop_to_the_device() {
    let mut s = stack(A);
    assert_eq!(way(&mut s, FAR), (None, A));
    assert_eq!(s.route_to(FAR), Some(&Route::default_route()));
    assert_eq!(s.routes().count(), 2);
    assert_eq!(s.addresses(), [cidr(A, 24)]);
}

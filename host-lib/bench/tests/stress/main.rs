//! Sixteen threads on shared and separate sockets of two hosts on a cable, on the machine's time: no byte is lost or wrong, and nobody waits for ever.
//!
//! FERRULE_STRESS_SECONDS says how long for each test.
use std::net::Ipv4Addr;
use std::time::Duration;

use ferrule::{Cidr, Host};
use ferrule_socket_bench::{cable, End, CLIENT, SERVER};
use rand::rngs::StdRng;
use rand::Rng;

mod connections;
mod datagrams;
mod load;
mod race;
mod rounds;
mod streams;
mod waiting;
mod watchdog;
mod world;

use world::World;

const PREFIX: u8 = 24;
/// How long a thread looks at the rings before it sleeps, if it does.
const BUSY_POLL: Duration = Duration::from_micros(30);

/// Two hosts, with service threads or without.
fn on_a_cable(rng: &mut StdRng, has_background: bool) -> (World, ()) {
    let (near, far) = cable();
    let busy_poll = if rng.random() {
        BUSY_POLL
    } else {
        Duration::ZERO
    };
    let host = |end: End, address: Ipv4Addr, seed: u8| {
        let builder = Host::builder()
            .device(Box::new(end))
            .address(Cidr::new(address, PREFIX).expect("a prefix"))
            .seed([seed; 16])
            .busy_poll(busy_poll)
            .background(has_background);
        builder.open().expect("a host")
    };
    let world = World {
        client: host(near, CLIENT, 1),
        server: host(far, SERVER, 2),
        address: SERVER,
        has_background,
    };
    (world, ())
}

#[test]
fn sixteen_threads_and_a_service_thread_lose_nothing() {
    rounds::stress(|rng| on_a_cable(rng, true), |(), run| run());
}

#[test]
fn sixteen_threads_that_drive_the_nic_in_turn_lose_nothing() {
    rounds::stress(|rng| on_a_cable(rng, false), |(), run| run());
}

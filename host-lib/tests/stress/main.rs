//! Sixteen threads on shared and separate sockets of two hosts on models of the NIC, whose clock drives both: no byte is lost or wrong, and nobody
//! waits for ever.
//!
//! The threads are those of the same test on the machine's time: host-lib/bench/tests/stress.
use ferrule_testnet::Net;
use rand::rngs::StdRng;
use rand::Rng;

#[path = "../../bench/tests/stress/connections.rs"]
mod connections;
#[path = "../../bench/tests/stress/datagrams.rs"]
mod datagrams;
#[path = "../socket_api/keeper.rs"]
mod keeper;
#[path = "../../bench/tests/stress/load.rs"]
mod load;
#[path = "../../bench/tests/stress/rounds.rs"]
mod rounds;
#[path = "../../bench/tests/stress/streams.rs"]
mod streams;
#[path = "../../bench/tests/stress/waiting.rs"]
mod waiting;
#[path = "../../bench/tests/stress/watchdog.rs"]
mod watchdog;
#[path = "../../bench/tests/stress/world.rs"]
mod world;

use keeper::Keeper;
use world::World;

/// What simulated time is of. It belongs to the thread that started it, and is dropped in this order.
struct Simulated {
    _keeper: Keeper,
    net: Net,
}

fn of_models(rng: &mut StdRng) -> (World, Simulated) {
    let net = ferrule_testnet::new().seed(rng.random()).start();
    let net = net.expect("a net");
    let world = World {
        client: net.host(0).clone(),
        server: net.host(1).clone(),
        address: net.address(1),
        has_background: true,
    };
    let _keeper = Keeper::new(&net);
    (world, Simulated { _keeper, net })
}

#[test]
fn sixteen_threads_on_a_clock_that_drives_the_nic_lose_nothing() {
    // On threads that are not the net's.
    rounds::stress(of_models, |simulated, run| simulated.net.outside(run));
}

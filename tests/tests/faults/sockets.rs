//! Sockets on a failing device: a stream stays right through resets of the NIC, and a NIC that is gone is told of in time.
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddrV4;
use std::sync::Arc;

use ferrule::{Cidr, Host};
use ferrule_driver::Clock;
use ferrule_sim::fault_device::Faults;
use ferrule_sim::wire::host::ECHO_PORT;
use ferrule_sim::wire::lan::{Lan, NIC, PEER};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::World;

const ECHO: SocketAddrV4 = SocketAddrV4::new(PEER, ECHO_PORT);
const TRANSMIT: usize = 1;

/// A host on a NIC in the simulator's LAN.
fn world(seed: u64) -> (World, Host) {
    let (world, device) = World::new(seed, Box::new(Lan::new(seed)));
    let host = Host::builder()
        .device(device)
        .clock(Arc::new(world.clock.clone()))
        .address(Cidr::new(NIC, 24).expect("a prefix"))
        .open()
        .expect("opens");
    (world, host)
}

/// One fault for each of the next completions.
fn once(random: &mut StdRng) -> Faults {
    let none = Faults::default();
    match random.random_range(0..5) {
        0 => Faults {
            double: 1.0,
            ..none
        },
        1 => Faults { lose: 1.0, ..none },
        2 => Faults {
            bad_index: 1.0,
            ..none
        },
        3 => Faults {
            flip_phase: 1.0,
            ..none
        },
        _ => Faults {
            bad_length: 1.0,
            ..none
        },
    }
}

#[test]
fn a_stream_stays_right_through_resets_of_the_nic() {
    for seed in 0..30 {
        let (world, host) = world(seed);
        let mut random = StdRng::seed_from_u64(seed);
        let mut stream = host.connect(ECHO).expect("connects");
        let mut bytes = [0; 6_000];
        for round in 0..200 {
            random.fill(&mut bytes[..]);
            if round % 40 == 20 {
                match random.random_range(0..2) {
                    0 => world.handle.hang(TRANSMIT),
                    _ => {
                        world.handle.set(once(&mut random));
                        // The next completions are those of this message and of its echo.
                        stream.write_all(&bytes[..100]).expect("sends");
                        world.handle.set(Faults::default());
                        stream.read_exact(&mut [0; 100]).expect("comes back");
                    }
                }
            }
            let what = format!("seed {seed}, round {round}");
            stream
                .write_all(&bytes)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let mut back = [0; 6_000];
            stream
                .read_exact(&mut back)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(back == bytes, "{what}: other bytes");
        }
        assert!(world.handle.injected().completions > 0);
    }
}

#[test]
fn a_nic_that_hangs_for_good_is_given_up() {
    let (world, host) = world(1);
    let mut stream = host.connect(ECHO).expect("connects");
    let error = loop {
        // After each reset it hangs again.
        world.handle.hang(TRANSMIT);
        if let Err(e) = stream.write_all(&[1; 1_000]) {
            break e;
        }
        if let Err(e) = stream.read_exact(&mut [0; 1_000]) {
            break e;
        }
    };
    let text = error.to_string();
    assert!(
        text.contains("sending") || text.contains("stopped"),
        "{text}"
    );
}

#[test]
fn a_nic_that_is_gone_is_told_of_within_a_tenth_of_a_second() {
    let (world, host) = world(2);
    let mut stream = host.connect(ECHO).expect("connects");
    stream.write_all(b"hello").expect("sends");
    stream.read_exact(&mut [0; 5]).expect("comes back");
    world.handle.vanish();
    let since = world.clock.now();
    let error = stream
        .write_all(b"hello")
        .and_then(|()| stream.read_exact(&mut [0; 5]))
        .expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    assert!(error.to_string().contains("gone"), "{error}");
    let took = world.clock.now() - since;
    assert!(took <= 100_000_000, "{took} ns");
    // Or else the host would wait for what can never be sent.
    world.handle.revive();
}

//! A UDP socket that two threads share, each of which answers, and one that asks.
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrule::UdpSocket;
use nix::poll::PollFlags;
use rand::rngs::StdRng;

use crate::load::{Count, Stop};
use crate::waiting::{Modal, Mode, Way};
use crate::watchdog::{Place, Watchdog};
use crate::world::World;

const PORT: u16 = 53;
/// Messages that may be under way: fewer than any buffer holds, so that none is lost.
const WINDOW: usize = 32;
/// Threads that answer.
const THREADS: usize = 2;
const NUMBER_BYTES: usize = 8;
const MAX_BYTES: usize = 200;

/// Starts three threads.
pub(crate) fn start(world: &World, rng: &mut StdRng, stop: &Stop, threads: &mut Watchdog<Count>) {
    let at = world.at(PORT);
    let ping = world.client.ping().expect("a socket");
    // So that the first messages need not wait for a neighbour, of which the hardware keeps few.
    let patience = Duration::from_secs(10);
    ping.echo(*at_v4(&at), 1, b"", patience).expect("an answer");
    let server = world.server.bind_udp(at).expect("a socket");
    let mode = Mode::choose(rng, world.has_background);
    server.set(mode);
    for n in 0..THREADS {
        let shared = server.clone();
        let way = match n {
            0 => Way::first(mode, &world.server, &shared),
            _ => Way::further(mode, PollFlags::POLLIN),
        };
        threads.spawn(&format!("answering thread {n}, {mode:?}"), move |place| {
            Count::Answered(answer(&shared, &way, place))
        });
    }
    let client = world.client.bind_udp("0.0.0.0:0").expect("a socket");
    let mode = Mode::choose(rng, world.has_background);
    client.set(mode);
    let (way, stop) = (Way::first(mode, &world.client, &client), Arc::clone(stop));
    threads.spawn(&format!("asking thread, {mode:?}"), move |place| {
        Count::Asked(ask(&client, at, &way, place, &stop))
    });
}

fn at_v4(at: &SocketAddr) -> &std::net::Ipv4Addr {
    match at {
        SocketAddr::V4(at) => at.ip(),
        SocketAddr::V6(_) => unreachable!("the world is of IPv4"),
    }
}

/// Sends back what comes; an empty message ends the thread.
fn answer(socket: &UdpSocket, way: &Way, place: &Place) -> usize {
    let mut buffer = [0; MAX_BYTES];
    let mut answered = 0;
    loop {
        let received = way.call(place, "waiting for a question", socket, || {
            socket.recv_from(&mut buffer)
        });
        let (bytes, from) = received.expect("a socket");
        if bytes == 0 {
            return answered;
        }
        let answer = &buffer[..bytes];
        let sent = way.call(place, "answering", socket, || socket.send_to(answer, from));
        assert_eq!(sent.expect("a socket"), bytes);
        answered += 1;
    }
}

/// Asks until it is to stop, and waits for each answer.
fn ask(socket: &UdpSocket, at: SocketAddr, way: &Way, place: &Place, stop: &Stop) -> usize {
    let message = |number: usize| {
        let mut message = number.to_be_bytes().to_vec();
        message.resize(
            NUMBER_BYTES + number * 31 % (MAX_BYTES - NUMBER_BYTES),
            number as u8,
        );
        message
    };
    let send = |message: &[u8]| {
        let sent = way.call(place, "asking", socket, || socket.send_to(message, at));
        assert_eq!(sent.expect("a socket"), message.len());
    };
    let mut buffer = [0; MAX_BYTES];
    let mut open: HashSet<usize> = HashSet::new();
    let mut asked = 0;
    loop {
        while !stop.is_set() && open.len() < WINDOW {
            send(&message(asked));
            open.insert(asked);
            asked += 1;
        }
        if open.is_empty() {
            break;
        }
        let received = way.call(place, "waiting for an answer", socket, || {
            socket.recv(&mut buffer)
        });
        let answer = &buffer[..received.expect("a socket")];
        let number = answer.first_chunk().copied().map(usize::from_be_bytes);
        let number = number.expect("a number");
        assert!(
            open.remove(&number),
            "answer {number} came twice, or of itself"
        );
        assert_eq!(answer, message(number));
    }
    for _ in 0..THREADS {
        send(&[]);
    }
    asked
}

//! Connections that come and go: two threads connect, two others share the listener.
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use ferrule::{Host, TcpListener};
use nix::poll::PollFlags;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::load::{Count, Stop};
use crate::waiting::{Modal, Mode, Way};
use crate::watchdog::{Place, Watchdog};
use crate::world::World;

const PORT: u16 = 80;
const BACKLOG: usize = 16;
/// Threads at each side.
const THREADS: usize = 2;
const MAX_BYTES: usize = 5_000;

/// Starts four threads.
pub(crate) fn start(world: &World, rng: &mut StdRng, stop: &Stop, threads: &mut Watchdog<Count>) {
    let at = world.at(PORT);
    let listener = world.server.listen(at, BACKLOG).expect("a listener");
    let mode = Mode::choose(rng, world.has_background);
    listener.set(mode);
    for n in 0..THREADS {
        let shared = listener.clone();
        let way = match n {
            0 => Way::first(mode, &world.server, &shared),
            _ => Way::further(mode, PollFlags::POLLIN),
        };
        threads.spawn(&format!("acceptor {n}, {mode:?}"), move |place| {
            Count::Accepted(accept(&shared, &way, place))
        });
        let (host, stop, rng) = (
            world.client.clone(),
            Arc::clone(stop),
            StdRng::from_rng(rng),
        );
        threads.spawn(&format!("connector {n}"), move |place| {
            Count::Connected(connect(&host, at, place, &stop, rng))
        });
    }
}

/// Echoes what comes with its length before it, and closes first, so that the client's ports are free again; an empty request ends the thread.
fn accept(listener: &TcpListener, way: &Way, place: &Place) -> usize {
    let mut served = 0;
    loop {
        let accepted = way.call(place, "accepting", listener, || listener.accept());
        let (mut stream, _) = accepted.expect("a listener");
        place.goes_on("reading a request");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("a length");
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        if bytes.is_empty() {
            return served;
        }
        stream.read_exact(&mut bytes).expect("as many bytes");
        place.goes_on("answering");
        stream.write_all(&bytes).expect("a connection");
        served += 1;
    }
}

fn connect(host: &Host, at: SocketAddr, place: &Place, stop: &Stop, mut rng: StdRng) -> usize {
    let mut request = |length: usize| {
        place.goes_on("connecting");
        let mut stream = host.connect(at).expect("a connection");
        place.goes_on("asking");
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        stream
            .write_all(&(length as u32).to_be_bytes())
            .expect("a connection");
        stream.write_all(&bytes).expect("a connection");
        place.goes_on("reading an answer");
        let mut answer = vec![];
        stream.read_to_end(&mut answer).expect("an answer");
        assert_eq!(answer, bytes);
    };
    let mut served = 0;
    while !stop.is_set() {
        request(1 + served * 37 % MAX_BYTES);
        served += 1;
    }
    request(0);
    served
}

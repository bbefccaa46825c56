//! Connections whose ends are shared by a thread that reads and one that writes.
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use ferrule::{Host, TcpStream};
use nix::poll::PollFlags;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::load::{Count, Stop};
use crate::waiting::{Modal, Mode, Way};
use crate::watchdog::{Place, Watchdog};
use crate::world::World;

/// Buffers that are full often.
const SEND_BUFFER: usize = 20_000;
const RECEIVE_BUFFER: usize = 30_000;
/// Bytes of a call.
const MAX_PIECE: usize = 20_000;

/// The byte at a place in a stream.
fn pattern(stream: usize, at: usize) -> u8 {
    (at * 7 + at / 253 + stream * 31) as u8
}

/// Opens a connection on a port, and starts a thread for each direction of each end: four.
pub(crate) fn start(
    world: &World,
    rng: &mut StdRng,
    stop: &Stop,
    threads: &mut Watchdog<Count>,
    number: usize,
) {
    let at = world.at(1_000 + number as u16);
    let listener = world.server.listen(at, 1).expect("a listener");
    let client = world.client.clone();
    let connecting = std::thread::spawn(move || client.connect(at));
    let (far, _) = listener.accept().expect("a connection");
    let near = connecting.join().expect("no panic").expect("a connection");
    let ends: [(&Host, TcpStream); 2] = [(&world.client, near), (&world.server, far)];
    for (n, (host, end)) in ends.into_iter().enumerate() {
        end.set_send_buffer_size(SEND_BUFFER).expect("an option");
        end.set_recv_buffer_size(RECEIVE_BUFFER).expect("an option");
        let mode = Mode::choose(rng, world.has_background);
        end.set(mode);
        let (to, from) = (2 * number + n, 2 * number + (1 - n));
        let (socket, way) = (end.clone(), Way::first(mode, host, &end));
        threads.spawn(
            &format!("reader of stream {from}, {mode:?}"),
            move |place| Count::Read(from, read(socket, &way, from, place)),
        );
        let (stop, rng) = (Arc::clone(stop), StdRng::from_rng(rng));
        let way = Way::further(mode, PollFlags::POLLOUT);
        threads.spawn(&format!("writer of stream {to}, {mode:?}"), move |place| {
            Count::Written(to, write(end, &way, to, place, &stop, rng))
        });
    }
}

fn write(
    mut stream: TcpStream,
    way: &Way,
    number: usize,
    place: &Place,
    stop: &Stop,
    mut rng: StdRng,
) -> usize {
    let mut total = 0;
    let polled = stream.clone();
    while !stop.is_set() {
        let bytes = rng.random_range(1..=MAX_PIECE);
        let piece: Vec<u8> = (total..total + bytes)
            .map(|at| pattern(number, at))
            .collect();
        let written = way.call(place, "writing", &polled, || stream.write(&piece));
        total += written.expect("a connection");
    }
    stream.shutdown(Shutdown::Write).expect("a connection");
    total
}

fn read(mut stream: TcpStream, way: &Way, number: usize, place: &Place) -> usize {
    let mut buffer = [0; MAX_PIECE];
    let mut total = 0;
    let polled = stream.clone();
    loop {
        let read = way.call(place, "reading", &polled, || stream.read(&mut buffer));
        let bytes = read.expect("a connection");
        if bytes == 0 {
            return total;
        }
        for (at, byte) in (total..).zip(&buffer[..bytes]) {
            assert_eq!(*byte, pattern(number, at), "byte {at} of stream {number}");
        }
        total += bytes;
    }
}

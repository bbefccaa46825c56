//! Random lives of a connection, lived on our sockets and on the kernel's: each call gives the same, and poll says the same after it.
use std::io::{Read, Write};
use std::net::Shutdown;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ours::Ours;
use crate::readiness::bits;
use crate::side::{Kernels, Side, Stream};

/// Lives; FERRULE_CASES asks for another number.
const LIVES: u64 = 60;
/// Steps of each.
const STEPS: usize = 16;

/// What an end does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(usize),
    Read(usize),
    Peek,
    Shutdown(Shutdown),
    TakeError,
    Peer,
    Close,
    Reset,
}

/// Acts of the two ends. Writes are small: how large buffers are is not compared.
fn life(seed: u64) -> Vec<(usize, Act)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut act = |_| {
        let act = match random.random_range(0..20) {
            0..6 => Act::Write(random.random_range(0..400)),
            6..12 => Act::Read(random.random_range(0..500)),
            12 => Act::Peek,
            13 => Act::Shutdown(Shutdown::Read),
            14 => Act::Shutdown(Shutdown::Write),
            15 => Act::Shutdown(Shutdown::Both),
            16 => Act::TakeError,
            17 => Act::Peer,
            18 => Act::Close,
            _ => Act::Reset,
        };
        (random.random_range(0..2), act)
    };
    (0..STEPS).map(&mut act).collect()
}

fn told<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(e) => format!("errno {:?}", e.raw_os_error()),
    }
}

/// What happened at each step.
fn live<S: Side>(side: &S, life: &[(usize, Act)]) -> Vec<String> {
    let (near, far) = side.connection();
    let mut ends = [Some(near), Some(far)];
    let mut story = vec![];
    let mut buffer = [0; 512];
    for (end, act) in life {
        let place = &mut ends[*end];
        let Some(stream) = place else {
            continue;
        };
        let outcome = match act {
            Act::Write(n) => told(stream.write(&buffer[..*n])),
            Act::Read(n) => told(stream.read(&mut buffer[..*n])),
            Act::Peek => told(stream.peek(&mut buffer[..100])),
            Act::Shutdown(how) => told(stream.shutdown(*how)),
            Act::TakeError => {
                let error = stream.take_error();
                told(error.map(|error| error.and_then(|e| e.raw_os_error())))
            }
            // The addresses differ; whether there is one is the question.
            Act::Peer => told(stream.peer_addr().map(|_| ())),
            Act::Close => {
                *place = None;
                String::new()
            }
            Act::Reset => {
                place.take().expect("it is there").reset();
                String::new()
            }
        };
        side.settle();
        let shown = ends.each_ref().map(|end| end.as_ref().map(bits));
        story.push(format!("{end} {act:?}: {outcome} {shown:?}"));
    }
    story
}

#[test]
fn random_lives_of_connections_go_as_with_the_kernel() {
    let lives = std::env::var("FERRULE_CASES").map_or(LIVES, |n| n.parse().unwrap());
    for seed in 0..lives.min(1_000) {
        let life = life(seed);
        let ours = live(&Ours::new(seed), &life);
        if ours != live(&Kernels::hasty(), &life) {
            let kernels = live(&Kernels::patient(), &life);
            assert_eq!(ours, kernels, "seed {seed}: {life:#?}");
        }
    }
}

//! The load on one world after the other, each by a seed of its own.
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::scope;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::SeedableRng;

use crate::load;
use crate::world::World;

/// Each is on hosts of its own, with its own way to wait for each socket.
const ROUNDS: u64 = 3;

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name}: {e}")),
        Err(_) => otherwise,
    }
}

/// Says how to see a failure again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the first seed was FERRULE_FIRST_SEED={}", self.0);
        }
    }
}

/// Runs the load on worlds that `make` makes of a seed, by `run_in`, since a world may have to do with the thread that has made it.
pub(crate) fn stress<T>(
    make: impl Fn(&mut StdRng) -> (World, T),
    run_in: impl Fn(&T, &mut dyn FnMut()),
) {
    let seconds = number("FERRULE_STRESS_SECONDS", 1);
    let first = number("FERRULE_FIRST_SEED", 1);
    for seed in first..first + ROUNDS {
        let seed = Seed(seed);
        let mut rng = StdRng::seed_from_u64(seed.0);
        let (world, around) = make(&mut rng);
        let world = Arc::new(world);
        let time = Duration::from_secs(seconds) / ROUNDS as u32;
        let mut done = None;
        run_in(&around, &mut || {
            let run = || load::run(&world, &mut rng, time);
            done = Some(scope(|threads| threads.spawn(run).join()));
        });
        let done = done.expect("it has run");
        let done = done.unwrap_or_else(|panic| resume_unwind(panic));
        Arc::into_inner(world).expect("all threads ended").close();
        eprintln!("seed {}, {time:?}: {done}", seed.0);
    }
}

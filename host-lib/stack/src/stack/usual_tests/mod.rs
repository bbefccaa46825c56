//! The short way beside the long one: whatever is called and whatever arrives, both come to the same.
//!
//! Two hosts on a bad wire, each there twice: one copy free to go the short way, the other kept from it. Both get the same
//! calls and packets at the same times.

mod forge;
mod script;
mod twin;
mod wire;

use script::World;

/// What a test tells the stack about the short way, and how often it was gone.
#[derive(Default)]
pub(super) struct ShortWay {
    /// Everything goes the long way.
    pub(super) shut: bool,
    packets_in: u64,
    packets_out: u64,
}

impl ShortWay {
    pub(super) fn note_in(&mut self) {
        self.packets_in += 1;
    }

    pub(super) fn note_out(&mut self) {
        self.packets_out += 1;
    }
}

/// xorshift64*: all randomness of a run comes from its seed.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[test]
fn the_short_way_comes_to_the_same_as_the_long_one() {
    // A seed takes about as long as twenty-five of `tests/hosts/pair.rs`.
    let pairs = std::env::var("FERRULE_SEEDS").map_or(2500, |n| n.parse().expect("a number"));
    let seeds = pairs / 25;
    let (mut short_in, mut short_out, mut segments) = (0, 0, 0);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        world.run();
        for host in &world.hosts {
            let [free, long] = &host.copies;
            let shut = &long.short_way;
            assert_eq!((shut.packets_in, shut.packets_out), (0, 0));
            short_in += free.short_way.packets_in;
            short_out += free.short_way.packets_out;
            segments += free.stats.tcp_segments_in;
        }
    }
    println!("{segments} segments, the short way in {short_in} times, out {short_out} times");
    // Else nothing was compared.
    assert!(
        short_in * 10 > segments && short_out * 10 > segments,
        "of {segments} segments only {short_in} came and {short_out} went the short way"
    );
}

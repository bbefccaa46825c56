//! One direction of an impaired wire: a frame that enters gets the time at which it comes out, if it does.
use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::super::Arrival;
use super::damage;
use super::spec::LaneSpec;
use crate::phy::{GAP, MIN_FRAME};

/// Bytes that a frame takes on the line beside its own: preamble and start frame delimiter, FCS, gap.
const OVERHEAD: usize = 8 + 4 + GAP;
/// How many later frames may pass one that is held back.
const MOST_PASSING: u32 = 3;
/// A frame is held back for at most so long if none follows that could pass it, in nanoseconds.
const HOLD_NS: u64 = 1_000_000;
const PS_PER_S: u128 = 1_000_000_000_000;
const PS_PER_NS: u128 = 1_000;

/// What was done to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneStats {
    /// Frames that entered.
    pub entered: u64,
    /// Frames that came out, copies and damaged ones included.
    pub delivered: u64,
    /// Frames that the full queue before the rate limit dropped.
    pub overflowed: u64,
    /// Frames lost.
    pub lost: u64,
    /// Frames with flipped bits and an FCS that does not fit.
    pub corrupted: u64,
    /// Frames with a flipped bit behind an FCS that fits.
    pub mangled: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Frames held back so that later ones might pass.
    pub reordered: u64,
}

/// An impairment's own dice: what it does to which frame does not depend on the others.
struct Dice {
    share: f64,
    rng: StdRng,
}

impl Dice {
    fn new(share: f64, seed: u64, lane: &str, what: &str) -> Self {
        Self {
            share,
            rng: rng(seed, lane, what),
        }
    }

    fn hit(&mut self) -> bool {
        self.share > 0.0 && self.rng.random_bool(self.share)
    }
}

/// Random numbers for one purpose in one lane: FNV-1a of both and the seed starts them.
fn rng(seed: u64, lane: &str, what: &str) -> StdRng {
    let bytes = seed.to_le_bytes().into_iter().chain(lane.bytes());
    let hash = bytes
        .chain(what.bytes())
        .fold(0xCBF2_9CE4_8422_2325, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)
        });
    StdRng::seed_from_u64(hash)
}

/// When a frame comes out, and its number among those of one instant.
type Place = (u64, u64);

/// A frame under way.
struct Flight {
    arrival: Arrival,
    /// How often it comes out.
    copies: u32,
}

/// A frame that is held back.
struct Held {
    place: Place,
    /// Frames that have yet to pass it.
    to_pass: u32,
}

/// One direction.
pub(super) struct Lane {
    spec: LaneSpec,
    loss: Dice,
    corrupt: Dice,
    mangle: Dice,
    duplicate: Dice,
    reorder: Dice,
    jitter: StdRng,
    /// When the last of the queued frames is through the rate limit, in picoseconds, so that no fraction is lost.
    busy_until_ps: u128,
    /// Frames before the rate limit: when each is through, and its bytes on the line.
    queue: VecDeque<(u64, usize)>,
    queued_bytes: usize,
    flying: BTreeMap<Place, Flight>,
    held: Vec<Held>,
    /// When the last frame that was not held back comes out: jitter reorders nothing.
    last_ns: u64,
    number: u64,
    stats: LaneStats,
}

impl Lane {
    /// A lane called `name`, for the seed's sake.
    pub(super) fn new(spec: &LaneSpec, seed: u64, name: &str) -> Self {
        let dice = |share, what| Dice::new(share, seed, name, what);
        Self {
            spec: *spec,
            loss: dice(spec.loss, "loss"),
            corrupt: dice(spec.corrupt, "corrupt"),
            mangle: dice(spec.mangle, "mangle"),
            duplicate: dice(spec.duplicate, "duplicate"),
            reorder: dice(spec.reorder, "reorder"),
            jitter: rng(seed, name, "jitter"),
            busy_until_ps: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            flying: BTreeMap::new(),
            held: vec![],
            last_ns: 0,
            number: 0,
            stats: LaneStats::default(),
        }
    }

    /// A frame enters at `now_ns`, which never falls.
    pub(super) fn push(&mut self, now_ns: u64, mut arrival: Arrival) {
        self.stats.entered += 1;
        let Some(through_ns) = self.pass_limit(now_ns, arrival.frame.len()) else {
            self.stats.overflowed += 1;
            return;
        };
        // All dice are thrown for each frame, so that none depends on another's outcome.
        let lost = self.loss.hit();
        let corrupt = self.corrupt.hit();
        let mangle = self.mangle.hit();
        let duplicate = self.duplicate.hit();
        let reorder = self.reorder.hit();
        let jitter_ns = match self.spec.jitter_ns {
            0 => 0,
            most => self.jitter.random_range(0..=most),
        };
        if lost {
            self.stats.lost += 1;
            return;
        }
        if mangle && damage::mangle(&mut arrival.frame, &mut self.mangle.rng) {
            self.stats.mangled += 1;
        }
        if corrupt {
            damage::corrupt(&mut arrival, self.spec.bits, &mut self.corrupt.rng);
            self.stats.corrupted += 1;
        }
        self.stats.duplicated += u64::from(duplicate);
        let flight = Flight {
            arrival,
            copies: 1 + u32::from(duplicate),
        };
        let at_ns = through_ns + self.spec.delay_ns + jitter_ns;
        if reorder {
            self.stats.reordered += 1;
            let place = self.launch(at_ns + HOLD_NS, flight);
            let to_pass = self.reorder.rng.random_range(1..=MOST_PASSING);
            self.held.push(Held { place, to_pass });
        } else {
            self.last_ns = self.last_ns.max(at_ns);
            self.launch(self.last_ns, flight);
            self.pass_held();
        }
    }

    fn launch(&mut self, at_ns: u64, flight: Flight) -> Place {
        let place = (at_ns, self.number);
        self.number += 1;
        self.flying.insert(place, flight);
        place
    }

    /// The frame that comes out at `last_ns` passes all that are held back; one that enough have passed follows it.
    fn pass_held(&mut self) {
        for mut held in std::mem::take(&mut self.held) {
            held.to_pass -= 1;
            if held.to_pass > 0 {
                self.held.push(held);
            } else if held.place.0 > self.last_ns {
                if let Some(flight) = self.flying.remove(&held.place) {
                    self.launch(self.last_ns, flight);
                }
            }
        }
    }

    /// When a frame that enters now is through the rate limit; `None` if the queue before it is full. At least one frame always fits.
    fn pass_limit(&mut self, now_ns: u64, len: usize) -> Option<u64> {
        let Some(rate) = self.spec.bits_per_s else {
            return Some(now_ns);
        };
        while let Some((_, bytes)) = self.queue.pop_front_if(|(at_ns, _)| *at_ns <= now_ns) {
            self.queued_bytes -= bytes;
        }
        let bytes = len.max(MIN_FRAME) + OVERHEAD;
        if !self.queue.is_empty() && self.queued_bytes + bytes > self.spec.queue_bytes {
            return None;
        }
        let takes_ps = (bytes as u128 * 8 * PS_PER_S).div_ceil(rate.into());
        let starts_ps = self.busy_until_ps.max(u128::from(now_ns) * PS_PER_NS);
        self.busy_until_ps = starts_ps + takes_ps;
        let through_ns = self.busy_until_ps.div_ceil(PS_PER_NS);
        let through_ns = u64::try_from(through_ns).unwrap_or(u64::MAX);
        self.queue.push_back((through_ns, bytes));
        self.queued_bytes += bytes;
        Some(through_ns)
    }

    /// The next frame that comes out by `now_ns`.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Arrival> {
        let mut first = self.flying.first_entry()?;
        let place = *first.key();
        if place.0 > now_ns {
            return None;
        }
        self.stats.delivered += 1;
        let flight = first.get_mut();
        if flight.copies > 1 {
            flight.copies -= 1;
            return Some(flight.arrival.clone());
        }
        self.held.retain(|held| held.place != place);
        Some(first.remove().arrival)
    }

    /// When the next frame comes out.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.flying.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }

    pub(super) fn stats(&self) -> LaneStats {
        self.stats
    }
}

//! The differential bench: one seeded generator of host operations and traffic drives several implementations of the NIC, which must agree.
//!
//! A case is a seed. It sets up a host and a wire, then takes a few steps; after each step everything ends that is under way, and then the
//! subjects are compared: frames sent, host memory, interrupts, answers to register reads, the exported deadline, and at the end all
//! counters. What only cycles decide is kept out of the comparison by the way the subjects are driven, not by looking away:
//!
//! - The NIC's time stands during a step and jumps between steps, and its clock with it, so that timestamps are the same whatever time
//!   the work takes.
//! - A step rings each doorbell at most once, and operations of one step do not race: ARP packets do not come in while IP packets go out,
//!   slots are not given while frames come in, a queue is not stopped while it is held up.
//! - Where several packets go out in a step and one of them misses the ARP cache, requests and packets are merged on the wire by which of
//!   them is ready first; then each of the two sequences is compared, else their one sequence.
//! - An echo request is answered while one of two places for answers is free, which the pace of the wire decides. So a step brings two of
//!   them at most, and no packets go out in it; where ARP packets come too, the answers of either kind are compared by themselves.
//! - How many entries of a completion ring go in one write depends on which of them are there in the same few cycles. So when a step makes
//!   several, TLP_WRITES is compared with the most and the fewest writes that it can have been.
//! - FLOW.TX_PAUSE stays off: when the receive buffer passes its marks depends on how fast frames leave it.
//! - A reset in the middle of traffic may come before or after any byte of it. What had come out by then is not compared; everything after
//!   it is.
use std::collections::BTreeMap;
use std::fmt;

use ferrule_abi::counter;

mod case;
pub mod fault;
pub mod modelled;
mod packets;
pub mod rtl;
mod segments;
mod steps;
pub mod subject;
pub mod traffic;
mod view;

pub use case::Case;
pub use subject::Subject;

/// Subjects that do not agree, or one that does not settle.
#[derive(Debug)]
pub struct Disagreement {
    /// The case.
    pub seed: u64,
    /// What was different.
    pub what: String,
    /// The steps so far.
    pub steps: Vec<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case {}: {}\nafter", self.seed, self.what)?;
        self.steps.iter().try_for_each(|s| writeln!(f, "    {s}"))
    }
}

impl std::error::Error for Disagreement {}

/// What cases have led to.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counters: BTreeMap<u32, u64>,
}

impl Coverage {
    /// Takes a counter's value in.
    pub fn add(&mut self, counter: u32, value: u64) {
        *self.counters.entry(counter).or_default() += value;
    }

    /// Takes in what other cases have led to.
    pub fn merge(&mut self, other: &Self) {
        for (counter, value) in &other.counters {
            self.add(*counter, *value);
        }
    }

    /// Names of the counters that no case has raised, but for those in `never`.
    pub fn unseen(&self, never: &[u32]) -> Vec<&'static str> {
        let seen = |index| self.counters.get(&index).is_some_and(|sum| *sum > 0);
        let unseen = counter::ALL
            .iter()
            .filter(|c| !never.contains(&c.index) && !seen(c.index));
        unseen.map(|c| c.name).collect()
    }
}

/// Runs a case.
///
/// # Errors
/// If the subjects disagree.
pub fn run(
    subjects: &mut [Box<dyn Subject>],
    seed: u64,
    coverage: &mut Coverage,
) -> Result<(), Disagreement> {
    let mut case = Case::new(subjects, seed, coverage);
    case.run().map_err(|what| Disagreement {
        seed,
        what,
        steps: case.steps,
    })
}

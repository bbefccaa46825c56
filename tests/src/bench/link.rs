//! The host's end of the TLP streams: the root complex, and hand-made TLPs of a test in between.
use std::collections::VecDeque;

use ferrule_rtl::pins::{Inputs, Outputs, TlpBeat};
use ferrule_sim::root_complex::RootComplex;
use ferrule_sim::tlp::{to_beats, Tlp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Tags from this one on are a test's own; those below belong to the root complex.
pub const OWN_TAGS: u8 = 0x80;

/// How often a side of the link does nothing in a cycle, in 0..1.
pub struct Stalls {
    /// Where the stalls come from.
    pub random: StdRng,
    /// The host does not take a beat.
    pub take: f64,
    /// The host does not give the beat it has.
    pub give: f64,
}

impl Default for Stalls {
    fn default() -> Self {
        Self {
            random: StdRng::seed_from_u64(0),
            take: 0.0,
            give: 0.0,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Giver {
    RootComplex,
    Test,
}

/// State of the streams.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) stalls: Stalls,
    /// TLPs that a test sends.
    own: VecDeque<TlpBeat>,
    /// Whose TLP is under way.
    within: Option<Giver>,
    /// A beat was offered and not taken: it stays.
    offered: bool,
    giver: Option<Giver>,
    from_device: Vec<TlpBeat>,
    /// Answers to the test's own reads.
    pub(super) answers: Vec<Tlp>,
    /// Every TLP of the device, if somebody wants them.
    pub(super) tap: Option<Vec<Vec<u32>>>,
}

impl Link {
    pub(super) fn send(&mut self, dws: &[u32], bar: u8) {
        self.own.extend(to_beats(dws, bar));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.own.is_empty() && self.from_device.is_empty()
    }

    /// Decides what the host gives and whether it takes; `inputs` are as the root complex set them.
    pub(crate) fn drive(&mut self, inputs: &mut Inputs) {
        if inputs.reset {
            let (stalls, tap) = (std::mem::take(&mut self.stalls), self.tap.take());
            *self = Self {
                stalls,
                tap,
                ..Self::default()
            };
            return;
        }
        let first = if inputs.tlp_rx.is_some() {
            Some(Giver::RootComplex)
        } else {
            self.own.front().map(|_| Giver::Test)
        };
        self.giver = self.within.or(first);
        let beat = match self.giver {
            Some(Giver::RootComplex) => inputs.tlp_rx,
            Some(Giver::Test) => self.own.front().copied(),
            None => None,
        };
        let stalls = &mut self.stalls;
        let gives = self.offered || stalls.give == 0.0 || !stalls.random.random_bool(stalls.give);
        inputs.tlp_rx = beat.filter(|_| gives);
        inputs.tlp_tx_ready &= stalls.take == 0.0 || !stalls.random.random_bool(stalls.take);
    }

    /// Takes what came of it, and shows the root complex its part.
    pub(crate) fn observe(
        &mut self,
        root_complex: &mut RootComplex,
        now_ns: u64,
        inputs: &Inputs,
        outputs: &Outputs,
    ) {
        if inputs.reset {
            return;
        }
        let mut seen = *inputs;
        seen.tlp_rx = None;
        if let Some(beat) = inputs.tlp_rx {
            self.offered = !outputs.tlp_rx_ready;
            if outputs.tlp_rx_ready {
                self.within = self.giver.filter(|_| !beat.last);
                match self.giver {
                    Some(Giver::Test) => drop(self.own.pop_front()),
                    _ => seen.tlp_rx = Some(beat),
                }
            }
        }
        let nothing = Outputs {
            tlp_tx: None,
            ..*outputs
        };
        root_complex.observe(now_ns, &seen, &nothing);

        let Some(beat) = outputs.tlp_tx.filter(|_| inputs.tlp_tx_ready) else {
            return;
        };
        self.from_device.push(beat);
        if !beat.last {
            return;
        }
        let beats = std::mem::take(&mut self.from_device);
        let dws: Vec<u32> = beats
            .iter()
            .flat_map(|b| [b.d0, b.d1].into_iter().take(if b.half { 1 } else { 2 }))
            .collect();
        if let Some(tap) = &mut self.tap {
            tap.push(dws.clone());
        }
        if let Ok(answer @ Tlp::Completion { tag, .. }) = Tlp::decode(&dws) {
            if tag >= OWN_TAGS {
                self.answers.push(answer);
                return;
            }
        }
        seen.tlp_rx = None;
        for beat in beats {
            let outputs = Outputs {
                tlp_tx: Some(beat),
                ..nothing
            };
            root_complex.observe(now_ns, &seen, &outputs);
        }
    }
}

//! An engine as a subject: the hardware description, cycle by cycle.
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::Engine;
use ferrule_sim::phy::{Phy, Sent};
use rand::rngs::StdRng;
use rand::SeedableRng;

use super::subject::{Host, HostSetup, Left, Subject, BOARD_MAC};
use super::traffic::Line;
use crate::bench::link::Link;
use crate::bench::CYCLE_NS;

/// Cycles without a sign of life after which nothing moves any more, in any clock domain.
const QUIET_CYCLES: u32 = 16;
/// Cycles without any change at the pins after which what the NIC is busy with waits for its host: the rest of a frame, a slot, room in a
/// ring. A frame of 2,000 bytes in the loopback shows nothing for as many cycles.
const WAITING_CYCLES: u32 = 2_500;
/// Cycles after which something that has not ended never will.
const ENDLESS_CYCLES: u64 = 400_000;

/// The subject.
pub struct Rtl {
    engine: Box<dyn Engine>,
    host: Host,
    link: Link,
    phy: Phy,
    /// The root complex' time, which goes on.
    bus_ns: u64,
    inputs: Inputs,
    outputs: Outputs,
    sent: Vec<Left>,
}

impl Rtl {
    /// Of an engine on the whole NIC.
    pub fn new(engine: Box<dyn Engine>) -> Self {
        Self {
            engine,
            host: Host::none(),
            link: Link::default(),
            phy: Phy::new(),
            bus_ns: 0,
            inputs: Inputs::default(),
            outputs: Outputs::default(),
            sent: vec![],
        }
    }

    /// Cycles so far.
    pub fn cycles(&self) -> u64 {
        self.engine.cycles()
    }

    fn step(&mut self) {
        let mut inputs = self.inputs;
        self.host.root_complex.drive(self.bus_ns, &mut inputs);
        self.link.drive(&mut inputs);
        inputs.gmii_rx = self.phy.next_rx();
        self.outputs = self.engine.step(Clocks::ALL, &inputs);
        self.link.observe(
            &mut self.host.root_complex,
            self.bus_ns,
            &inputs,
            &self.outputs,
        );
        self.sent
            .extend(self.phy.tx(self.outputs.gmii_tx).map(|sent| match sent {
                Sent::Frame(frame) => Left::Frame(frame),
                Sent::Faulty(fault, frame) => Left::Faulty(format!("{fault:?}: {frame:02x?}")),
            }));
        self.bus_ns += CYCLE_NS;
    }

    /// Nothing is under way at the pins.
    fn is_still(&self) -> bool {
        self.outputs.tlp_tx.is_none()
            && self.host.root_complex.is_idle()
            && self.link.is_idle()
            && self.phy.receive_idle()
            && self.phy.transmit_idle()
    }
}

impl Subject for Rtl {
    fn name(&self) -> String {
        self.engine.name().to_string()
    }

    fn begin(&mut self, setup: &HostSetup) {
        self.host = Host::new(setup);
        self.link = Link::default();
        let stalls = &mut self.link.stalls;
        (stalls.take, stalls.give) = setup.stalls;
        stalls.random = StdRng::seed_from_u64(setup.memory ^ setup.iova);
        self.phy = Phy::new();
        self.inputs = Inputs {
            mac: BOARD_MAC,
            ..Inputs::default()
        };
        self.sent.clear();
    }

    fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    fn set_time(&mut self, now_ns: u64) {
        self.inputs.time_ns = now_ns;
    }

    fn set_link(&mut self, up: bool, speed: u8) {
        (self.inputs.link_up, self.inputs.link_speed) = (up, speed);
        self.phy.set_speed(speed);
    }

    fn receive(&mut self, line: &Line) {
        self.phy.receive_raw(line.byte_times.iter().copied());
    }

    fn run(&mut self, cycles: u64) {
        (0..cycles).for_each(|_| self.step());
    }

    fn settle(&mut self) -> Result<(), String> {
        let (mut quiet, mut still) = (0, 0);
        for _ in 0..ENDLESS_CYCLES {
            let before = self.outputs;
            self.step();
            still = if self.is_still() && self.outputs == before {
                still + 1
            } else {
                0
            };
            quiet = if self.outputs.busy { 0 } else { quiet + 1 };
            if still >= WAITING_CYCLES || quiet.min(still) >= QUIET_CYCLES {
                return Ok(());
            }
        }
        Err(format!(
            "still busy after {ENDLESS_CYCLES} cycles: {:?}, root complex idle {}",
            self.outputs,
            self.host.root_complex.is_idle()
        ))
    }

    fn take_sent(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.sent)
    }

    fn deadline(&self) -> Option<u32> {
        self.outputs.deadline
    }
}

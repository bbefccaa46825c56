//! A station around an RTL engine: every step is a cycle of the core's clock, and idle time is skipped.
use std::os::fd::BorrowedFd;

use ferrule_abi::TICK_NS;
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs};

use super::{Next, Station, StationStats, Step, Surroundings, LINK_SPEED_1000};
use crate::capture::{CapturePort, Direction};
use crate::engine::{Engine, EngineError};
use crate::host_side::HostSide;
use crate::phy::{Phy, Sent};
use crate::root_complex::RootComplex;
use crate::wire::{Arrival, Wire};

/// Length of a cycle: 125 MHz.
pub(crate) const CYCLE_NS: u64 = 8;
/// Cycles to run after the last sign of life, so that what has just come in shows in `busy` across all clock domains.
const GRACE_CYCLES: u32 = 16;
/// Longest step of the time from one cycle to the next: half of what the core's clock takes in one.
const STRIDE_NS: u64 = 1 << 31;

/// Engine, root complex, PHY and wire.
pub struct RtlStation {
    engine: Box<dyn Engine>,
    host: RootComplex,
    phy: Phy,
    wire: Box<dyn Wire>,
    capture: Option<CapturePort>,
    inputs: Inputs,
    outputs: Outputs,
    /// When the wire has something next.
    wire_due_ns: Option<u64>,
    /// Cycles without a sign of life.
    quiet_cycles: u32,
    /// The end of the last cycle.
    free_ns: u64,
}

impl RtlStation {
    /// A station whose NIC is in reset for the first cycles.
    pub fn new(engine: Box<dyn Engine>, around: Surroundings) -> Self {
        Self {
            engine,
            host: RootComplex::new(around.settings),
            phy: Phy::new(),
            wire: around.wire,
            capture: around.capture,
            inputs: Inputs {
                mac: around.mac,
                link_up: true,
                link_speed: LINK_SPEED_1000,
                ..Inputs::default()
            },
            outputs: Outputs::default(),
            wire_due_ns: Some(0),
            quiet_cycles: 0,
            free_ns: 0,
        }
    }

    fn has_work(&self, now_ns: u64) -> bool {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now_ns);
        self.outputs.busy
            || !self.host.is_idle()
            || !self.phy.receive_idle()
            || !self.phy.transmit_idle()
            || due(self.device_deadline_ns(now_ns))
            || due(self.wire_due_ns)
    }

    /// The device's deadline on the whole clock: its 32 bits of ticks are taken as the nearest such time.
    fn device_deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let tick = now_ns / TICK_NS;
        let ahead = self.outputs.deadline?.wrapping_sub(tick as u32) as i32;
        Some(
            tick.saturating_add_signed(ahead.into())
                .saturating_mul(TICK_NS),
        )
    }

    /// What comes after now, where the next cycle may start at `free_ns`.
    fn next(&self, now_ns: u64) -> Next {
        let at_ns = now_ns.max(self.free_ns);
        if self.quiet_cycles < GRACE_CYCLES || self.has_work(at_ns) {
            return Next::Busy(at_ns);
        }
        let deadlines = [self.device_deadline_ns(at_ns), self.wire_due_ns];
        Next::Idle(deadlines.into_iter().flatten().min())
    }

    fn record(&mut self, now_ns: u64, direction: Direction, frame: &[u8]) {
        if let Some(capture) = &self.capture {
            capture.frame(now_ns, direction, frame);
        }
    }

    /// Evaluates one cycle; whether the wire was used. Without `link`, nothing moves on PCIe in it.
    fn cycle(&mut self, now_ns: u64, link: bool) -> bool {
        let mut wire = false;
        if self.phy.receive_idle() && self.wire_due_ns.is_some_and(|at| at <= now_ns) {
            wire = true;
            if let Some(Arrival { frame, fcs }) = self.wire.arrive(now_ns) {
                let direction = fcs.map_or(Direction::Received, |_| Direction::Damaged);
                self.record(now_ns, direction, &frame);
                self.phy.receive_with(&frame, fcs);
            }
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
        if self.host.take_receiver_on() {
            self.wire.receiver_on(now_ns);
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
        let before = self.inputs;
        self.inputs.time_ns = now_ns;
        if link {
            self.host.drive(now_ns, &mut self.inputs);
        } else {
            (self.inputs.tlp_rx, self.inputs.tlp_tx_ready) = (None, false);
        }
        self.inputs.gmii_rx = self.phy.next_rx();
        let outputs = self.engine.step(Clocks::ALL, &self.inputs);
        if link {
            self.host.observe(now_ns, &self.inputs, &outputs);
        }
        match self.phy.tx(outputs.gmii_tx) {
            Some(Sent::Frame(frame)) => {
                wire = true;
                self.record(now_ns, Direction::Sent, &frame);
                self.wire.send(now_ns, &frame);
                self.wire_due_ns = self.wire.next_deadline(now_ns);
            }
            // Counted by the PHY; no station takes it.
            Some(Sent::Faulty(..)) | None => {}
        }
        self.outputs = outputs;
        let same_pins = Inputs {
            time_ns: now_ns,
            ..before
        } == self.inputs;
        if same_pins && !self.has_work(now_ns) {
            self.quiet_cycles += 1;
        } else {
            self.quiet_cycles = 0;
        }
        self.free_ns = now_ns + CYCLE_NS;
        wire
    }
}

impl Station for RtlStation {
    fn step(&mut self, now_ns: u64) -> Step {
        let mut wire = false;
        if self.engine.cycles() > 0 {
            while now_ns.saturating_sub(self.inputs.time_ns) > STRIDE_NS {
                // What the host does now, it does at the end of the jump.
                wire |= self.cycle(self.inputs.time_ns + STRIDE_NS, false);
            }
        }
        wire |= now_ns >= self.free_ns && self.cycle(now_ns, true);
        Step {
            next: self.next(now_ns),
            wire,
        }
    }

    fn refresh(&mut self, now_ns: u64) -> Next {
        self.wire_due_ns = self.wire.next_deadline(now_ns);
        self.next(now_ns)
    }

    fn host(&mut self) -> &mut dyn HostSide {
        &mut self.host
    }

    fn set_link(&mut self, up: bool) {
        self.inputs.link_up = up;
        self.quiet_cycles = 0;
    }

    fn inject(&mut self, line: Vec<Gmii>) {
        self.phy.receive_raw(line);
    }

    fn wire_fd(&self) -> Option<BorrowedFd<'_>> {
        self.wire.fd()
    }

    fn cycles(&self) -> u64 {
        self.engine.cycles()
    }

    fn stats(&self) -> StationStats {
        StationStats {
            engine: self.engine.name(),
            cycles: self.engine.cycles(),
            tlps: self.host.stats(),
            phy: self.phy.stats(),
            impairments: self.wire.impairments(),
            violation: self.host.last_violation().map(Into::into),
        }
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.engine.trace_stop()
    }
}

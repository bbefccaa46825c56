//! A station around the model: nothing happens between two events, so time goes from one to the next.
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use ferrule_rtl::pins::Gmii;

use super::{Next, Station, StationStats, Step, Surroundings, LINK_SPEED_1000};
use crate::capture::{CapturePort, Direction};
use crate::engine::EngineError;
use crate::host_side::HostSide;
use crate::model::Model;
use crate::phy::{on_the_line, PhyStats, GAP, MIN_FRAME};
use crate::root_complex::{Access, RootComplex, Settings};
use crate::wire::{Arrival, Wire};

/// The engine's name.
pub(crate) const NAME: &str = "model";
/// A byte time at 1 Gbit/s.
const BYTE_NS: u64 = 8;
/// What surrounds a frame without FCS on the wire: preamble and FCS.
const AROUND: usize = 8 + 4;

/// What is on its way on the line towards the NIC.
enum Arriving {
    Frame(Vec<u8>),
    Line(Vec<Gmii>),
}

/// Model, root complex and wire.
pub struct ModelStation {
    model: Model,
    host: RootComplex,
    wire: Box<dyn Wire>,
    capture: Option<CapturePort>,
    /// What the NIC receives next, and when the last of it is there.
    arriving: Option<(u64, Arriving)>,
    /// When the line towards the NIC is free again.
    line_free_ns: u64,
    /// Put in by hand, to go before the wire's frames.
    injected: VecDeque<Vec<Gmii>>,
    /// When the wire has something next.
    wire_due_ns: Option<u64>,
    phy: PhyStats,
}

impl ModelStation {
    /// A station whose NIC is reset by its first step.
    pub fn new(around: Surroundings) -> Self {
        let mut model = Model::new(around.mac);
        model.set_link(true, LINK_SPEED_1000);
        Self {
            model,
            // The model is one port.
            host: RootComplex::new(Settings {
                ports: 1,
                ..around.settings
            }),
            wire: around.wire,
            capture: around.capture,
            arriving: None,
            line_free_ns: 0,
            injected: VecDeque::new(),
            wire_due_ns: Some(0),
            phy: PhyStats::default(),
        }
    }

    /// Hands on the host's register accesses.
    fn accesses(&mut self, now_ns: u64) {
        if self.host.take_reset() {
            self.model.reset();
        }
        while let Some(access) = self.host.next_access() {
            match access {
                Access::Write {
                    bar,
                    offset,
                    first_be,
                    value,
                } => {
                    let bus = &mut self.host;
                    self.model
                        .write_register(bus, now_ns, bar, offset, first_be, value);
                }
                Access::Block {
                    bar,
                    offset,
                    values,
                } => {
                    let bus = &mut self.host;
                    self.model.write_block(bus, now_ns, bar, offset, &values);
                }
                Access::Read {
                    id,
                    bar,
                    offset,
                    first_be,
                } => {
                    let value = self.model.read_register(now_ns, bar, offset, first_be);
                    self.host.answer_read(id, value);
                }
            }
        }
    }

    fn record(&self, now_ns: u64, direction: Direction, frame: &[u8]) {
        if let Some(capture) = &self.capture {
            capture.frame(now_ns, direction, frame);
        }
    }

    /// Lets what has arrived by now in, and puts the next on the line; whether the wire was used.
    fn receive(&mut self, now_ns: u64) -> bool {
        let mut used = false;
        loop {
            match self.arriving.take_if(|(at_ns, _)| *at_ns <= now_ns) {
                Some((_, Arriving::Frame(frame))) => {
                    self.model.receive(&mut self.host, now_ns, &frame);
                }
                Some((_, Arriving::Line(line))) => {
                    self.model.receive_line(&mut self.host, now_ns, &line);
                }
                None => {}
            }
            if self.arriving.is_some() || self.line_free_ns > now_ns {
                return used;
            }
            if let Some(line) = self.injected.pop_front() {
                let end_ns = now_ns + line.len() as u64 * BYTE_NS;
                self.line_free_ns = end_ns;
                self.arriving = Some((end_ns, Arriving::Line(line)));
                continue;
            }
            if self.wire_due_ns.is_none_or(|at| at > now_ns) {
                return used;
            }
            used = true;
            let arrival = self.wire.arrive(now_ns);
            self.wire_due_ns = self.wire.next_deadline(now_ns);
            let Some(Arrival { frame, fcs }) = arrival else {
                return used;
            };
            let direction = fcs.map_or(Direction::Received, |_| Direction::Damaged);
            self.record(now_ns, direction, &frame);
            let bytes = frame.len().max(MIN_FRAME);
            self.phy.rx_frames += 1;
            self.phy.rx_bytes += bytes as u64;
            self.phy.rx_damaged += u64::from(fcs.is_some());
            let end_ns = now_ns + (bytes + AROUND) as u64 * BYTE_NS;
            self.line_free_ns = end_ns + GAP as u64 * BYTE_NS;
            let arriving = match fcs {
                None => Arriving::Frame(frame),
                Some(_) => {
                    // Idle before it, and the first byte time of the gap, which ends it.
                    let idle = [Gmii::default()];
                    let line = [&idle[..], &on_the_line(&frame, fcs), &idle].concat();
                    Arriving::Line(line)
                }
            };
            self.arriving = Some((end_ns, arriving));
        }
    }

    /// Takes what the NIC has sent by now; whether there was anything.
    fn transmit(&mut self, now_ns: u64) -> bool {
        let mut any = false;
        while let Some(frame) = self.model.transmit(&mut self.host, now_ns) {
            any = true;
            self.phy.tx_frames += 1;
            self.phy.tx_bytes += frame.len() as u64;
            self.record(now_ns, Direction::Sent, &frame);
            self.wire.send(now_ns, &frame);
        }
        if any {
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
        any
    }

    fn next(&self, now_ns: u64) -> Next {
        let arrives = self.arriving.as_ref().map(|(at_ns, _)| *at_ns);
        let injected = (!self.injected.is_empty()).then_some(self.line_free_ns);
        let polled = self.wire_due_ns.map(|at| at.max(self.line_free_ns));
        let deadlines = [arrives.or(injected), polled, self.model.next_deadline()];
        let first = deadlines.into_iter().flatten().min();
        let moves = arrives.or(injected).is_some() || self.model.is_sending();
        match first {
            Some(at_ns) if moves || at_ns <= now_ns => Next::Busy(at_ns.max(now_ns)),
            at_ns => Next::Idle(at_ns),
        }
    }
}

impl Station for ModelStation {
    fn step(&mut self, now_ns: u64) -> Step {
        self.accesses(now_ns);
        if self.host.take_receiver_on() {
            self.wire.receiver_on(now_ns);
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
        let received = self.receive(now_ns);
        let sent = self.transmit(now_ns);
        Step {
            next: self.next(now_ns),
            wire: received || sent,
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
        self.model.set_link(up, LINK_SPEED_1000);
    }

    fn inject(&mut self, line: Vec<Gmii>) {
        self.injected.push_back(line);
    }

    fn wire_fd(&self) -> Option<BorrowedFd<'_>> {
        self.wire.fd()
    }

    /// The model has none.
    fn cycles(&self) -> u64 {
        0
    }

    fn stats(&self) -> StationStats {
        StationStats {
            engine: NAME,
            cycles: self.cycles(),
            tlps: self.host.stats(),
            phy: self.phy,
            impairments: self.wire.impairments(),
            violation: self.host.last_violation().map(Into::into),
        }
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

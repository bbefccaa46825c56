//! The simulator's loop: a cycle, or a jump, or sleep.
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ferrule_abi::TICK_NS;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{clock_gettime, ClockId};

use super::{Command, Inbox, OpenCapture, SimulatorError, Stats};
use crate::capture::Direction;
use crate::clock::SimClock;
use crate::engine::Engine;
use crate::phy::{Phy, Sent};
use crate::root_complex::RootComplex;
use crate::vfio_user_server::VfioUserServer;
use crate::wire::Wire;

/// Length of a cycle: 125 MHz.
const CYCLE_NS: u64 = 8;
/// Cycles to run after the last sign of life, so that what has just come in shows in `busy` across all clock domains.
const GRACE_CYCLES: u32 = 16;
/// How often the sockets are looked at while cycles run, in wall time.
const LOOK_AROUND_NS: u128 = 20_000;
/// On wall time, the most by which time moves in one cycle while the device works. The slowest engine falls behind the wall by far; were
/// the device shown all of that at once, its 50 ms limit for a read would pass within a few hundred cycles. Idle, it catches up.
const WALL_STEP_NS: u64 = 8_000;
/// Cycles between two updates of the figures.
const STATS_CYCLES: u64 = 4096;
/// Cycles between two looks at the machine's clock.
const CLOCK_CYCLES: u32 = 8;

/// Everything the thread owns.
pub(super) struct World {
    pub(super) engine: Box<dyn Engine>,
    pub(super) host: RootComplex,
    pub(super) phy: Phy,
    pub(super) wire: Box<dyn Wire>,
    pub(super) server: Option<VfioUserServer>,
    pub(super) capture: Option<OpenCapture>,
    pub(super) inputs: Inputs,
    /// The host's clock on simulated time, none on wall time.
    pub(super) clock: Option<SimClock>,
    pub(super) inbox: Inbox,
    /// Readable when there is a command.
    pub(super) wake: Arc<OwnedFd>,
    pub(super) stats: Arc<Mutex<Stats>>,
    pub(super) progress: Progress,
}

/// Where the run stands.
pub(super) struct Progress {
    now_ns: u64,
    jumped_ns: u64,
    started: Instant,
    looked: Instant,
    /// When the wire has something next.
    wire_due_ns: Option<u64>,
    outputs: Outputs,
    /// Cycles without a sign of life.
    quiet_cycles: u32,
    cycles_to_look: u32,
    cycles_at_stats: u64,
    stop: bool,
    error: Option<SimulatorError>,
}

impl Default for Progress {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            now_ns: 0,
            jumped_ns: 0,
            started: now,
            looked: now,
            wire_due_ns: Some(0),
            outputs: Outputs::default(),
            quiet_cycles: 0,
            cycles_to_look: 0,
            cycles_at_stats: 0,
            stop: false,
            error: None,
        }
    }
}

/// No wait on the clock outlives the thread, even if a fault ends it.
struct StopClock(Option<SimClock>);

impl Drop for StopClock {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.stop();
        }
    }
}

impl World {
    /// Runs until told to stop.
    pub(super) fn run(mut self) -> Result<(), SimulatorError> {
        let _stop_clock = StopClock(self.clock.clone());
        self.commands();
        while !self.progress.stop {
            if self.is_active() {
                self.cycle();
                self.look_around();
            } else {
                self.rest();
            }
        }
        self.update_stats();
        if let Some((capture, path)) = &mut self.capture {
            if let Err(e) = capture.flush() {
                let error = super::capture_error(path, e);
                self.progress.error.get_or_insert(error);
            }
        }
        let traced = self.engine.trace_stop();
        match self.progress.error.take() {
            Some(error) => Err(error),
            None => Ok(traced?),
        }
    }

    /// Whether anything moves, or is due.
    fn is_active(&self) -> bool {
        self.progress.quiet_cycles < GRACE_CYCLES || self.has_work()
    }

    fn has_work(&self) -> bool {
        let now_ns = self.progress.now_ns;
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now_ns);
        self.progress.outputs.busy
            || !self.host.is_idle()
            || !self.phy.receive_idle()
            || !self.phy.transmit_idle()
            || self.server.as_ref().is_some_and(VfioUserServer::is_waiting)
            || due(self.device_deadline_ns())
            || due(self.progress.wire_due_ns)
    }

    /// The device's deadline on the whole clock: its 32 bits of ticks are taken as the nearest such time.
    fn device_deadline_ns(&self) -> Option<u64> {
        let tick = self.progress.now_ns / TICK_NS;
        let deadline = self.progress.outputs.deadline?;
        let ahead = deadline.wrapping_sub(tick as u32) as i32;
        Some(
            tick.saturating_add_signed(ahead.into())
                .saturating_mul(TICK_NS),
        )
    }

    /// Evaluates one cycle.
    fn cycle(&mut self) {
        let now_ns = self.progress.now_ns;
        if self.phy.receive_idle() && self.progress.wire_due_ns.is_some_and(|at| at <= now_ns) {
            if let Some(frame) = self.wire.poll(now_ns) {
                self.record(Direction::Received, &frame);
                self.phy.receive(&frame);
            }
            self.progress.wire_due_ns = self.wire.next_deadline(now_ns);
        }
        let before = self.inputs;
        self.inputs.time_ns = now_ns;
        self.host.drive(now_ns, &mut self.inputs);
        self.inputs.gmii_rx = self.phy.next_rx();
        let outputs = self.engine.step(Clocks::ALL, &self.inputs);
        self.host.observe(now_ns, &self.inputs, &outputs);
        match self.phy.tx(outputs.gmii_tx) {
            Some(Sent::Frame(frame)) => {
                self.record(Direction::Sent, &frame);
                self.wire.send(now_ns, &frame);
                self.progress.wire_due_ns = self.wire.next_deadline(now_ns);
            }
            // Counted by the PHY; no station takes it.
            Some(Sent::Faulty(..)) | None => {}
        }
        self.progress.outputs = outputs;
        let same_pins = Inputs {
            time_ns: now_ns,
            ..before
        } == self.inputs;
        if same_pins && !self.has_work() {
            self.progress.quiet_cycles += 1;
        } else {
            self.progress.quiet_cycles = 0;
        }
        self.pass_time();
    }

    fn pass_time(&mut self) {
        self.progress.now_ns += CYCLE_NS;
        match &self.clock {
            Some(clock) => clock.advance(self.progress.now_ns),
            None => {
                let wall_ns = self.wall_ns();
                let now_ns = self.progress.now_ns;
                self.progress.now_ns = now_ns.max(wall_ns.min(now_ns + WALL_STEP_NS - CYCLE_NS));
                if self.progress.now_ns > wall_ns {
                    // Never ahead of the wall.
                    self.sleep(Some(self.progress.now_ns));
                }
            }
        }
    }

    fn wall_ns(&self) -> u64 {
        self.progress.started.elapsed().as_nanos() as u64
    }

    /// Looks at sockets and commands now and then while cycles run.
    fn look_around(&mut self) {
        if let Some(server) = self.server.as_mut().filter(|s| s.is_waiting()) {
            // Only picks up the device's answer.
            server.poll(&mut self.host);
        }
        if self.progress.cycles_to_look > 0 {
            self.progress.cycles_to_look -= 1;
            return;
        }
        let now = Instant::now();
        if now.duration_since(self.progress.looked).as_nanos() < LOOK_AROUND_NS {
            self.progress.cycles_to_look = CLOCK_CYCLES;
            return;
        }
        self.progress.looked = now;
        self.hear();
        if self.engine.cycles() - self.progress.cycles_at_stats >= STATS_CYCLES {
            self.update_stats();
        }
    }

    /// Takes in what the world outside has sent; whether there was anything.
    fn hear(&mut self) -> bool {
        let mut any = self.commands();
        if let Some(server) = &mut self.server {
            any |= server.poll(&mut self.host);
        }
        if self.wire.fd().is_some() {
            let due = self.wire.next_deadline(self.progress.now_ns);
            any |= due.is_some_and(|at| at <= self.progress.now_ns);
            self.progress.wire_due_ns = due;
        }
        if any {
            self.progress.quiet_cycles = 0;
        }
        any
    }

    fn commands(&mut self) -> bool {
        let mut any = false;
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        while let Ok(command) = self.inbox.try_recv() {
            any = true;
            match command {
                Command::Stop => self.progress.stop = true,
                Command::Link(up) => self.inputs.link_up = up,
                Command::Line(line) => self.phy.receive_raw(line),
            }
        }
        any
    }

    /// Nothing moves: jumps to the next deadline, or sleeps until somebody speaks.
    fn rest(&mut self) {
        let Some(clock) = self.clock.clone() else {
            if !self.hear() {
                self.update_stats();
                self.sleep(self.earliest(None));
                self.progress.now_ns = self.progress.now_ns.max(self.wall_ns());
                self.hear();
            }
            return;
        };
        clock.clear_changed();
        // What a host thread sent before it went to wait is in the socket by now.
        let seen = clock.idle();
        if self.hear() {
            return;
        }
        if let Some(seen) = seen {
            if let Some(to_ns) = self.earliest(seen.deadline_ns) {
                if clock.jump(seen, to_ns) {
                    self.progress.jumped_ns += to_ns.saturating_sub(self.progress.now_ns);
                    self.progress.now_ns = self.progress.now_ns.max(to_ns);
                }
                return;
            }
        }
        self.update_stats();
        self.sleep(None);
    }

    /// The earliest deadline of device, wire and host.
    fn earliest(&self, host_ns: Option<u64>) -> Option<u64> {
        let deadlines = [
            self.device_deadline_ns(),
            self.progress.wire_due_ns,
            host_ns,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Sleeps until a socket, the host's clock or the handle has something, or the wall reaches `until_ns`.
    fn sleep(&mut self, until_ns: Option<u64>) {
        let timeout = until_ns.map(|at| {
            let left_ns = at.saturating_sub(self.wall_ns());
            Timespec {
                tv_sec: (left_ns / 1_000_000_000) as i64,
                tv_nsec: (left_ns % 1_000_000_000) as _,
            }
        });
        let fds = [
            Some(self.wake.as_fd()),
            self.clock.as_ref().map(SimClock::changed),
            self.server.as_ref().and_then(VfioUserServer::fd),
            self.wire.fd(),
        ];
        let mut polled: Vec<PollFd<'_>> = fds
            .into_iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => {
                self.progress.error = Some(SimulatorError::Io(e.into()));
                self.progress.stop = true;
            }
        }
    }

    fn record(&mut self, direction: Direction, frame: &[u8]) {
        if let Some((capture, path)) = &mut self.capture {
            if let Err(source) = capture.frame(self.progress.now_ns, direction, frame) {
                tracing::error!("the capture ends here: {source}");
                self.progress
                    .error
                    .get_or_insert(super::capture_error(path, source));
                self.capture = None;
            }
        }
    }

    fn update_stats(&mut self) {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        self.progress.cycles_at_stats = self.engine.cycles();
        let stats = Stats {
            engine: self.engine.name(),
            simulated_ns: self.progress.now_ns,
            jumped_ns: self.progress.jumped_ns,
            cycles: self.engine.cycles(),
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            tlps: self.host.stats(),
            phy: self.phy.stats(),
            violation: self.host.last_violation().map(Into::into),
        };
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

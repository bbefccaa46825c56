//! The simulator's loop: a step of the world, or a jump, or sleep.
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{clock_gettime, ClockId};

use super::{Command, Inbox, SimulatorError, Stats};
use crate::capture::SharedCapture;
use crate::clock::SimClock;
use crate::station::Next;
use crate::vfio_user_server::VfioUserServer;
use crate::world::World;

/// The station that the simulator has.
const NIC: usize = 0;
/// How often the sockets are looked at while cycles run, in wall time.
const LOOK_AROUND_NS: u128 = 20_000;
/// On wall time, the most by which time moves beyond what a step asks for while the device works. The slowest engine falls behind the wall
/// by far; were the device shown all of that at once, its 50 ms limit for a read would pass within a few hundred cycles. Idle, it catches up.
const WALL_STEP_NS: u64 = 8_000;
/// Cycles between two updates of the figures.
const STATS_CYCLES: u64 = 4096;
/// Steps between two looks at the machine's clock.
const CLOCK_STEPS: u32 = 8;

/// Everything the thread owns.
pub(super) struct Runner {
    pub(super) world: World,
    pub(super) server: Option<VfioUserServer>,
    pub(super) capture: Option<SharedCapture>,
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
    jumped_ns: u64,
    started: Instant,
    looked: Instant,
    steps_to_look: u32,
    cycles_at_stats: u64,
    stop: bool,
    error: Option<SimulatorError>,
}

impl Default for Progress {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            jumped_ns: 0,
            started: now,
            looked: now,
            steps_to_look: 0,
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

impl Runner {
    /// Runs until told to stop.
    pub(super) fn run(mut self) -> Result<(), SimulatorError> {
        let _stop_clock = StopClock(self.clock.clone());
        self.commands();
        while !self.progress.stop {
            match self.world.next() {
                Next::Busy(at_ns) => {
                    self.pass_time(at_ns);
                    self.world.step();
                    self.look_around();
                }
                Next::Idle(Some(at_ns)) if at_ns <= self.world.now_ns() => {
                    self.world.step();
                    self.look_around();
                }
                Next::Idle(_) => self.rest(),
            }
        }
        self.update_stats();
        if let Some(Err((path, e))) = self.capture.as_ref().map(SharedCapture::finish) {
            let error = super::capture_error(&path, e);
            self.progress.error.get_or_insert(error);
        }
        let traced = self.world.trace_stop();
        match self.progress.error.take() {
            Some(error) => Err(error),
            None => Ok(traced?),
        }
    }

    /// Lets the time come at which the world wants to be stepped; on wall time it may be cut short by somebody who speaks.
    fn pass_time(&mut self, at_ns: u64) {
        let now_ns = self.world.now_ns();
        match &self.clock {
            Some(clock) => {
                self.world.advance(at_ns);
                clock.advance(self.world.now_ns());
            }
            None if at_ns <= now_ns => {}
            None => {
                let wall_ns = self.wall_ns();
                let to_ns = at_ns.max(wall_ns.min(now_ns + WALL_STEP_NS));
                if to_ns > wall_ns {
                    // Never ahead of the wall.
                    self.sleep(Some(to_ns));
                }
                self.world.advance(to_ns.min(self.wall_ns()));
            }
        }
    }

    fn wall_ns(&self) -> u64 {
        self.progress.started.elapsed().as_nanos() as u64
    }

    /// Lets the server do what it can; whether that was anything.
    fn serve(&mut self) -> bool {
        let Some(server) = &mut self.server else {
            return false;
        };
        let any = server.poll(self.world.look(NIC));
        if any {
            self.world.touch(NIC);
        }
        any
    }

    /// Looks at sockets and commands now and then while cycles run.
    fn look_around(&mut self) {
        if self.server.as_ref().is_some_and(VfioUserServer::is_waiting) {
            // Only picks up the device's answer.
            self.serve();
        }
        if self.progress.steps_to_look > 0 {
            self.progress.steps_to_look -= 1;
            return;
        }
        let now = Instant::now();
        if now.duration_since(self.progress.looked).as_nanos() < LOOK_AROUND_NS {
            self.progress.steps_to_look = CLOCK_STEPS;
            return;
        }
        self.progress.looked = now;
        self.hear();
        if self.world.station(NIC).cycles() - self.progress.cycles_at_stats >= STATS_CYCLES {
            self.update_stats();
        }
    }

    /// Takes in what the world outside has sent; whether there was anything.
    fn hear(&mut self) -> bool {
        let mut any = self.commands();
        any |= self.serve();
        if self.world.station(NIC).wire_fd().is_some() {
            any |= matches!(self.world.refresh(NIC), Next::Busy(_));
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
                Command::Link(up) => self.world.station_mut(NIC).set_link(up),
                Command::Line(line) => self.world.station_mut(NIC).inject(line),
            }
        }
        any
    }

    /// Nothing moves: jumps to the next deadline, or sleeps until somebody speaks.
    fn rest(&mut self) {
        let Some(clock) = self.clock.clone() else {
            if !self.hear() {
                self.update_stats();
                self.sleep(self.world.next().at_ns());
                let wall_ns = self.wall_ns();
                self.world.advance(wall_ns);
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
            let deadlines = [self.world.next().at_ns(), seen.deadline_ns];
            if let Some(to_ns) = deadlines.into_iter().flatten().min() {
                if clock.jump(seen, to_ns) {
                    self.progress.jumped_ns += to_ns.saturating_sub(self.world.now_ns());
                    self.world.advance(to_ns);
                }
                return;
            }
        }
        self.update_stats();
        self.sleep(None);
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
            self.world.station(NIC).wire_fd(),
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

    fn update_stats(&mut self) {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let nic = self.world.station(NIC).stats();
        self.progress.cycles_at_stats = nic.cycles;
        let stats = Stats {
            engine: nic.engine,
            simulated_ns: self.world.now_ns(),
            jumped_ns: self.progress.jumped_ns,
            cycles: nic.cycles,
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            tlps: nic.tlps,
            phy: nic.phy,
            impairments: nic.impairments,
            violation: nic.violation,
        };
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

//! A station with the NIC behind a UART: root complex, USB adapter, the line at real bit times, and a simulated Arty at its pins.
use std::os::fd::BorrowedFd;

use ferrule_abi::TICK_NS;
use ferrule_rtl::pins::Gmii;

use super::{Next, Station, StationStats, Step};
use crate::arty::{AtPins, CYCLE_NS};
use crate::engine::EngineError;
use crate::host_side::HostSide;
use crate::root_complex::Settings;
use crate::uart::pins::{LineIn, LineOut};
use crate::uart::{Noise, UartHost};

/// What the adapter gives to USB at once at most: a packet of 64 bytes, two of which are its own (FTDI AN232B-04).
const PACKET_BYTES: usize = 62;
/// How long it waits for a packet to fill: the shortest of its latency timer.
const LATENCY_NS: u64 = 1_000_000;
/// The byte that it does not wait behind: `ferrule bridge` makes that the flag.
const EVENT_CHAR: u8 = 0x7E;
/// On a bad line both ends wait for their timers most of the time. A board is taken to do nothing else once it was still for so many cycles: longer than
/// between two bytes, or than either end needs to begin.
const STILL_CYCLES: u32 = 1_000;
/// What goes to USB goes with the next microframe.
const MICROFRAME_NS: u64 = 125_000;
const PS_PER_SECOND: u64 = 1_000_000_000_000;

/// What it is called among engines.
pub(super) const NAME: &str = "arty";

/// The station. Times are simulated.
pub struct ArtyStation {
    host: UartHost,
    arty: Box<dyn AtPins>,
    /// Towards the board, and from it.
    noise: Option<[Noise; 2]>,
    to_board: LineOut,
    from_board: LineIn,
    /// What the adapter holds, and when it goes to the host.
    packet: Vec<u8>,
    packet_due_ns: u64,
    free_ns: u64,
    /// Cycles for which nothing has moved at any pin.
    still_cycles: u32,
}

impl ArtyStation {
    /// A station whose UART runs at so many baud; `settings`: how the root complex answers.
    pub fn new(arty: Box<dyn AtPins>, baud: u32, settings: Settings) -> Self {
        let bit_ps = PS_PER_SECOND / u64::from(baud);
        let mut host = UartHost::new(settings, baud, 0);
        host.set_connected(0, true);
        Self {
            host,
            arty,
            noise: None,
            to_board: LineOut::new(bit_ps),
            from_board: LineIn::new(bit_ps),
            packet: vec![],
            packet_due_ns: 0,
            free_ns: 0,
            still_cycles: 0,
        }
    }

    /// With lines that damage bytes: towards the board, and from it.
    #[must_use]
    pub fn noise(mut self, lines: [Noise; 2]) -> Self {
        self.noise = Some(lines);
        self
    }

    fn packet_due_ns(&self) -> Option<u64> {
        (!self.packet.is_empty()).then_some(self.packet_due_ns)
    }

    /// What the host does at `now_ns`.
    fn host_turn(&mut self, now_ns: u64) {
        let full = self.packet.len() >= PACKET_BYTES;
        let due = self.packet_due_ns().is_some_and(|at| at <= now_ns);
        if full || due {
            self.host
                .on_bytes(now_ns, &std::mem::take(&mut self.packet));
        }
        let wanted = self.host.next_deadline().is_some_and(|at| at <= now_ns);
        if full || due || wanted || self.host.is_due() {
            let mut line = vec![];
            if let Some(broken) = self.host.poll(now_ns, &mut line) {
                tracing::warn!("the session is over: {broken}");
            }
            if let Some([noise, _]) = &mut self.noise {
                line = noise.carry(&line);
            }
            self.to_board.send(&line);
        }
        if self.host.root.take_receiver_on() {
            self.arty.receiver_on(now_ns);
        }
    }

    fn cycle(&mut self, now_ns: u64) {
        self.host_turn(now_ns);
        let now_ps = now_ns * 1_000;
        let level = self.to_board.level(now_ps);
        let level = self.arty.cycle(now_ns, level);
        if let Some(byte) = self.from_board.sample(now_ps, level) {
            match &mut self.noise {
                Some([_, noise]) => noise
                    .carry(&[byte])
                    .into_iter()
                    .for_each(|b| self.take(now_ns, b)),
                None => self.take(now_ns, byte),
            }
        }
        self.free_ns = now_ns + CYCLE_NS;
        self.still_cycles = match self.lines_idle() && self.arty.is_still() {
            true => self.still_cycles.saturating_add(1),
            false => 0,
        };
    }

    fn lines_idle(&self) -> bool {
        self.to_board.is_idle() && self.from_board.is_idle()
    }

    /// The adapter has a byte.
    fn take(&mut self, now_ns: u64, byte: u8) {
        if self.packet.is_empty() {
            self.packet_due_ns = now_ns + LATENCY_NS;
        }
        if byte == EVENT_CHAR {
            self.packet_due_ns = self.packet_due_ns.min(now_ns + MICROFRAME_NS);
        }
        self.packet.push(byte);
    }

    fn next(&self, now_ns: u64) -> Next {
        let at_ns = now_ns.max(self.free_ns);
        let still = self.still_cycles.checked_sub(STILL_CYCLES);
        // What comes of a tick comes within some cycles.
        let waits = self.noise.is_some() && still.is_some_and(|n| n.is_multiple_of(64));
        let quiet = self.arty.is_quiet() || waits;
        if !self.lines_idle() || !quiet || self.host.is_due() {
            return Next::Busy(at_ns);
        }
        let tick_ns = (now_ns / TICK_NS + 1) * TICK_NS;
        let deadlines = [
            waits.then_some(tick_ns),
            Some(self.arty.deadline_ns(now_ns)),
            self.host.next_deadline(),
            self.packet_due_ns(),
        ];
        let first = deadlines.into_iter().flatten().min();
        match first {
            Some(due) if due <= at_ns => Next::Busy(at_ns),
            // Who waits for an answer waits while the adapter and the line take their time.
            Some(due) if self.host.root.awaits() => Next::Busy(due),
            first => Next::Idle(first),
        }
    }
}

impl Station for ArtyStation {
    fn step(&mut self, now_ns: u64) -> Step {
        if now_ns >= self.free_ns {
            self.cycle(now_ns);
        }
        Step {
            next: self.next(now_ns),
            wire: false,
        }
    }

    fn refresh(&mut self, now_ns: u64) -> Next {
        self.arty.refresh(now_ns);
        self.next(now_ns)
    }

    fn host(&mut self) -> &mut dyn HostSide {
        &mut self.host.root
    }

    fn set_link(&mut self, up: bool) {
        self.arty.set_link(up);
    }

    fn inject(&mut self, line: Vec<Gmii>) {
        self.arty.inject(line);
    }

    fn wire_fd(&self) -> Option<BorrowedFd<'_>> {
        self.arty.wire().fd()
    }

    fn cycles(&self) -> u64 {
        self.arty.cycles()
    }

    fn stats(&self) -> StationStats {
        StationStats {
            engine: NAME,
            cycles: self.arty.cycles(),
            tlps: self.host.root.stats(),
            phy: self.arty.phy_stats(),
            impairments: self.arty.wire().impairments(),
            violation: self.host.root.last_violation().map(Into::into),
        }
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

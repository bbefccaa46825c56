//! An end of the link: sessions, time-outs, TLPs.
use serde::Serialize;
use thiserror::Error;

use super::stream::{Fit, Incoming, Outgoing, WINDOW};
use super::unit::{Deframer, Heard, Unit, MAX_DWORDS};

/// Each side sends a unit at least so often.
const BEAT_NS: u64 = 1 << 26;
/// The device's timer: 64 ticks of 2^20 ns.
const DEVICE_RESEND_NS: u64 = 64 << 20;
/// The host's timer, beyond what the longest units take on the line: the adapter's latency, the operating system.
const HOST_RESEND_NS: u64 = 50_000_000;
/// Between two tries to begin a session.
const OPEN_NS: u64 = 20_000_000;
/// A host that hears nothing for so long calls the link lost, if it is not told otherwise.
const LOST_NS: u64 = 500_000_000;
/// The longest time that a unit of the host may take on the line.
const HOST_UNIT_NS: u64 = 20_000_000;
/// How far ahead of the line bytes are given out.
const AHEAD_NS: u64 = 2_000_000;
/// DWs that may wait in the device.
const DEVICE_ROOM: usize = 1_023;
/// Bits of a byte on the line.
const BITS: u64 = 10;
/// A unit's bytes but for its DWs, with flags.
const AROUND_BYTES: usize = 13;
const SECOND_NS: u64 = 1_000_000_000;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Begins sessions.
    Host,
    /// Joins them: what the hardware does, in plain Rust.
    Device,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Closed,
    /// The host has asked for one.
    Opening,
    /// It goes on.
    Open,
}

/// Why a session of the host's ended.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// The device has none any more.
    #[error("the device was reset")]
    DeviceReset,
    /// The device is in another's.
    #[error("another host has begun a session with the device")]
    Taken,
    /// Nothing comes.
    #[error("nothing comes from the device any more")]
    Silent,
}

/// What an end has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UartStats {
    /// Bytes given to the line.
    pub sent_bytes: u64,
    /// Bytes taken from it.
    pub received_bytes: u64,
    /// Whole units that came.
    pub units: u64,
    /// What came and was none.
    pub damaged: u64,
    /// Units of other sessions.
    pub foreign: u64,
    /// DWs that were sent again.
    pub resent_dwords: u64,
    /// Times that the timer had them sent again.
    pub timeouts: u64,
    /// Sessions that began.
    pub sessions: u64,
    /// Sessions that broke.
    pub broken: u64,
}

/// One end. Times are nanoseconds and never go back.
#[derive(Debug)]
pub struct Endpoint {
    role: Role,
    baud: u64,
    state: State,
    session: u8,
    deframer: Deframer,
    out: Outgoing,
    incoming: Incoming,
    owes: bool,
    /// Something is missing, as a unit of this turn of the other side's has shown, and nothing was accepted since.
    missing: Option<bool>,
    /// When the line has sent all that it was given.
    line_free_ns: u64,
    /// When a unit is due whatever there is to say.
    beat_ns: u64,
    /// When something is sent again.
    resend_ns: u64,
    heard_ns: u64,
    patience_ns: u64,
    broken: Option<Broken>,
    stats: UartStats,
}

impl Endpoint {
    /// An end without session on a line of so many baud. `seed` is where the host's session numbers start.
    pub fn new(role: Role, baud: u32, seed: u8) -> Self {
        Self {
            role,
            baud: u64::from(baud.max(1)),
            state: State::Closed,
            session: match role {
                Role::Host => seed,
                Role::Device => 0,
            },
            deframer: Deframer::default(),
            out: Outgoing::new(0),
            incoming: Incoming::new(0),
            owes: false,
            missing: None,
            line_free_ns: 0,
            beat_ns: BEAT_NS,
            resend_ns: 0,
            heard_ns: 0,
            patience_ns: LOST_NS,
            broken: None,
            stats: UartStats::default(),
        }
    }

    /// How long the host hears nothing before it calls the link lost, beyond what the longest units take; half a second without it.
    pub fn set_patience(&mut self, patience_ns: u64) {
        self.patience_ns = patience_ns;
    }

    /// Begins a session, which resets the device. What was under way is forgotten.
    pub fn open(&mut self, now_ns: u64) {
        self.session = match self.session {
            u8::MAX => 1,
            n => n + 1,
        };
        self.renew(0);
        self.state = State::Opening;
        self.beat_ns = now_ns;
    }

    fn renew(&mut self, limit: u16) {
        self.out = Outgoing::new(limit);
        self.incoming = Incoming::new(match self.role {
            Role::Host => WINDOW as usize,
            Role::Device => DEVICE_ROOM,
        });
        (self.owes, self.missing) = (false, None);
    }

    /// Where the session is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the session broke, once for each that did.
    pub fn take_broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    /// What was counted.
    pub fn stats(&self) -> UartStats {
        self.stats
    }

    /// Appends a TLP, as DWs, to what goes out.
    pub fn send(&mut self, tlp: &[u32]) {
        self.out.push(tlp);
    }

    /// DWs that are not acknowledged yet: how long a queue what is sent now has before it.
    pub fn backlog(&self) -> usize {
        self.out.backlog()
    }

    /// The next TLP that came, as DWs.
    pub fn receive(&mut self) -> Option<Vec<u32>> {
        self.incoming.take_tlp()
    }

    /// Takes in bytes from the line.
    pub fn on_bytes(&mut self, now_ns: u64, bytes: &[u8]) {
        self.stats.received_bytes += bytes.len() as u64;
        for byte in bytes {
            match self.deframer.push(*byte) {
                Some(Heard::Unit(unit)) => {
                    self.stats.units += 1;
                    self.hear(now_ns, &unit);
                }
                Some(Heard::Damaged) => self.stats.damaged += 1,
                None => {}
            }
        }
    }

    fn hear(&mut self, now_ns: u64, unit: &Unit) {
        if unit.session == self.session && unit.session != 0 && !unit.open {
            match self.state {
                State::Open => {}
                State::Opening if unit.ack == 0 => {
                    self.state = State::Open;
                    self.stats.sessions += 1;
                    self.owes = true;
                }
                // The number was the device's already, by chance.
                State::Opening => return self.open(now_ns),
                State::Closed => return,
            }
            self.heard_ns = now_ns;
            return self.take_in(now_ns, unit);
        }
        match self.role {
            Role::Device => {
                let begins = unit.open && unit.session != 0 && unit.session != self.session;
                if begins {
                    self.session = unit.session;
                    self.renew(unit.limit);
                    self.state = State::Open;
                    self.stats.sessions += 1;
                } else {
                    self.stats.foreign += 1;
                }
                self.owes = true;
            }
            Role::Host => {
                self.stats.foreign += 1;
                if self.state == State::Open {
                    self.end(match unit.session {
                        0 => Broken::DeviceReset,
                        _ => Broken::Taken,
                    });
                }
            }
        }
    }

    fn end(&mut self, why: Broken) {
        self.state = State::Closed;
        self.broken = Some(why);
        self.stats.broken += 1;
    }

    fn take_in(&mut self, now_ns: u64, unit: &Unit) {
        if self.out.hear(unit) {
            self.resend_ns = now_ns.max(self.line_free_ns) + self.resend_after_ns();
        }
        if self.out.is_asked(unit) {
            self.stats.resent_dwords += self.out.go_back();
        }
        match self.incoming.hear(unit) {
            Fit::Accepted => (self.owes, self.missing) = (true, None),
            Fit::Empty => {}
            Fit::Refused => self.owes = true,
            Fit::Gap => {
                let before = self.missing.replace(unit.turn);
                self.owes |= !unit.dwords.is_empty() | (before != Some(unit.turn));
            }
        }
    }

    fn line_ns(&self, bytes: usize) -> u64 {
        bytes as u64 * BITS * SECOND_NS / self.baud
    }

    fn resend_after_ns(&self) -> u64 {
        match self.role {
            // The device's longest unit may be before the one that acknowledges.
            Role::Host => HOST_RESEND_NS + self.line_ns(4 * (4 * MAX_DWORDS + AROUND_BYTES)),
            Role::Device => DEVICE_RESEND_NS,
        }
    }

    fn lost_after_ns(&self) -> u64 {
        self.patience_ns + self.line_ns(4 * (4 * MAX_DWORDS + AROUND_BYTES))
    }

    fn most_dwords(&self) -> usize {
        let bytes = (HOST_UNIT_NS * self.baud / BITS / SECOND_NS) as usize;
        match self.role {
            // At 9,600 baud one DW at least.
            Role::Host => (bytes.saturating_sub(AROUND_BYTES) / 4).clamp(1, MAX_DWORDS),
            Role::Device => MAX_DWORDS,
        }
    }

    /// Appends to `line` what is to be written to it now.
    pub fn poll_bytes(&mut self, now_ns: u64, line: &mut Vec<u8>) {
        let open = self.state == State::Open;
        if self.role == Role::Host && open && now_ns >= self.heard_ns + self.lost_after_ns() {
            self.end(Broken::Silent);
        }
        if self.state == State::Closed && self.role == Role::Host {
            return;
        }
        if self.out.waits() && now_ns >= self.resend_ns {
            self.stats.timeouts += 1;
            self.stats.resent_dwords += self.out.go_back();
        }
        while self.line_free_ns <= now_ns + AHEAD_NS {
            let beat = now_ns >= self.beat_ns;
            let mut unit = Unit {
                session: self.session,
                ..Unit::default()
            };
            if self.state == State::Opening {
                if !beat {
                    return;
                }
                unit.open = true;
            } else {
                if !(beat || self.owes || self.out.sendable()) {
                    return;
                }
                unit.back = self.missing.is_some();
                unit.of_turn = self.missing == Some(true);
                self.out.fill(&mut unit, self.most_dwords());
            }
            self.owes = false;
            self.incoming.tell(&mut unit);
            let bytes = unit.write(line);
            self.stats.sent_bytes += bytes as u64;
            self.line_free_ns = self.line_free_ns.max(now_ns) + self.line_ns(bytes);
            self.beat_ns = now_ns
                + match self.state {
                    State::Opening => OPEN_NS.max(2 * self.line_ns(bytes)),
                    _ => BEAT_NS,
                };
            if !unit.dwords.is_empty() {
                self.resend_ns = self.line_free_ns + self.resend_after_ns();
            }
        }
    }

    /// When [`Endpoint::poll_bytes`] has something to do, if nothing comes before.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.state == State::Closed && self.role == Role::Host {
            return None;
        }
        let open = self.state == State::Open;
        let line_ns = self.line_free_ns.saturating_sub(AHEAD_NS);
        let says = self.owes || self.out.sendable();
        [
            Some(self.beat_ns.max(line_ns)),
            (says && self.state != State::Opening).then_some(line_ns),
            self.out.waits().then_some(self.resend_ns),
            (open && self.role == Role::Host).then(|| self.heard_ns + self.lost_after_ns()),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

//! A station whose NIC is a real one, at the other end of a serial line. Times are the machine's.
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrule_rtl::pins::Gmii;
use serde::Serialize;

use super::{Next, Station, StationStats, Step};
use crate::engine::EngineError;
use crate::host_side::HostSide;
use crate::phy::PhyStats;
use crate::root_complex::{Settings, TlpStats};
use crate::uart::{State, UartHost, UartStats};

/// Between two tries to open a line that is not there.
const RETRY_NS: u64 = 250_000_000;
/// What is left unwritten is tried again after this long.
const WRITE_NS: u64 = 200_000;
/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// A serial line that may go away and come back. Nothing blocks.
pub trait Line: Send {
    /// Opens it, again if it was open.
    ///
    /// # Errors
    /// Why it cannot be.
    fn open(&mut self) -> io::Result<()>;
    /// Reads what there is. No bytes at all: the other side has hung up.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; anything else: it is gone.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes what it takes.
    ///
    /// # Errors
    /// As for [`Line::read`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Readable when there is something to read, while it is open.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// What goes on, for whoever watches from another thread.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Traffic {
    /// The line is open.
    pub connected: bool,
    /// There is a session with the device.
    pub session: bool,
    /// What the link has counted.
    pub link: UartStats,
    /// TLPs by kind and direction.
    pub tlps: TlpStats,
    /// The last thing that went wrong, in words.
    pub trouble: Option<String>,
}

/// The station.
pub struct UartStation {
    line: Box<dyn Line>,
    open: bool,
    host: UartHost,
    /// What the line has not taken.
    unwritten: Vec<u8>,
    retry_ns: u64,
    traffic: Arc<Mutex<Traffic>>,
    trouble: Option<String>,
}

impl UartStation {
    /// A station on a line of so many baud. `seed` is where session numbers start: not always the same.
    pub fn new(line: Box<dyn Line>, baud: u32, seed: u8) -> Self {
        Self {
            line,
            open: false,
            host: UartHost::new(Settings::default(), baud, seed),
            unwritten: vec![],
            retry_ns: 0,
            traffic: Arc::default(),
            trouble: None,
        }
    }

    /// How long the board may be silent before it is taken for gone; half a second without it.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.host.set_patience(patience.as_nanos() as u64);
        self
    }

    /// What goes on; kept up to date.
    pub fn traffic(&self) -> Arc<Mutex<Traffic>> {
        Arc::clone(&self.traffic)
    }

    fn lost(&mut self, now_ns: u64, why: &str) {
        tracing::warn!("the line is gone: {why}");
        self.trouble = Some(format!("the line is gone: {why}"));
        self.open = false;
        self.unwritten.clear();
        self.retry_ns = now_ns + RETRY_NS;
        self.host.set_connected(now_ns, false);
    }

    fn connect(&mut self, now_ns: u64) {
        match self.line.open() {
            Ok(()) => {
                self.open = true;
                self.host.set_connected(now_ns, true);
            }
            Err(e) => {
                self.trouble = Some(format!("the line cannot be opened: {e}"));
                self.retry_ns = now_ns + RETRY_NS;
            }
        }
    }

    fn read(&mut self, now_ns: u64) {
        let mut bytes = [0; CHUNK];
        while self.open {
            match self.line.read(&mut bytes) {
                Ok(0) => self.lost(now_ns, "it hung up"),
                Ok(n) => self.host.on_bytes(now_ns, &bytes[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => self.lost(now_ns, &e.to_string()),
            }
        }
    }

    fn write(&mut self, now_ns: u64) {
        while self.open && !self.unwritten.is_empty() {
            match self.line.write(&self.unwritten) {
                Ok(n) => {
                    self.unwritten.drain(..n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => self.lost(now_ns, &e.to_string()),
            }
        }
    }

    fn next(&self, now_ns: u64) -> Next {
        let at_once = self.host.is_due() && self.unwritten.is_empty();
        let deadlines = [
            self.host.next_deadline(),
            (!self.open).then_some(self.retry_ns),
            (!self.unwritten.is_empty()).then_some(now_ns + WRITE_NS),
            at_once.then_some(now_ns),
        ];
        // Never now: the machine's time only moves on when nothing is to be done at once.
        let first = deadlines.into_iter().flatten().min();
        Next::Idle(first.map(|at| at.max(now_ns + 1)))
    }
}

impl Station for UartStation {
    fn step(&mut self, now_ns: u64) -> Step {
        if !self.open && now_ns >= self.retry_ns {
            self.connect(now_ns);
        }
        self.read(now_ns);
        if self.unwritten.is_empty() {
            if let Some(broken) = self.host.poll(now_ns, &mut self.unwritten) {
                tracing::warn!("the session is over: {broken}");
                self.trouble = Some(format!("the session is over: {broken}"));
            }
        }
        self.write(now_ns);
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        *traffic = Traffic {
            connected: self.open,
            session: self.open && self.host.endpoint().state() == State::Open,
            link: self.host.endpoint().stats(),
            tlps: self.host.root.stats(),
            trouble: self.trouble.clone(),
        };
        drop(traffic);
        Step {
            next: self.next(now_ns),
            wire: false,
        }
    }

    fn refresh(&mut self, now_ns: u64) -> Next {
        self.read(now_ns);
        self.next(now_ns)
    }

    fn host(&mut self) -> &mut dyn HostSide {
        &mut self.host.root
    }

    // The cable and what is on it are out of reach.
    fn set_link(&mut self, _: bool) {}

    fn inject(&mut self, _: Vec<Gmii>) {}

    fn wire_fd(&self) -> Option<BorrowedFd<'_>> {
        self.line.fd().filter(|_| self.open)
    }

    fn cycles(&self) -> u64 {
        0
    }

    fn stats(&self) -> StationStats {
        StationStats {
            engine: "uart",
            cycles: 0,
            tlps: self.host.root.stats(),
            phy: PhyStats::default(),
            impairments: None,
            violation: self.host.root.last_violation().map(Into::into),
        }
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

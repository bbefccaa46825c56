//! A NIC and a stack in a few lines: frames for sockets by number, an interrupt that is asked for, timers.
use std::collections::VecDeque;
use std::io;

use ferrule_stack::Instant;

use crate::shared::Driven;
use crate::sync::{Arc, AtomicBool, Fd, FdRef, Mutex, Ordering, KERNEL};
use crate::Fault;

/// Sockets there are.
pub(crate) const SOCKETS: usize = 3;

/// What the device and the driver share, and what was sent.
pub(crate) struct Wire {
    ring: Mutex<VecDeque<usize>>,
    armed: AtomicBool,
    interrupt: Fd,
    sent: Mutex<VecDeque<usize>>,
    /// Something was sent.
    sending: Fd,
    /// Readable at the end.
    ended: Fd,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            ring: Mutex::new(VecDeque::new()),
            armed: AtomicBool::new(false),
            interrupt: KERNEL.open_interrupt(),
            sent: Mutex::new(VecDeque::new()),
            sending: KERNEL.open(),
            ended: KERNEL.open(),
        }
    }

    pub(crate) fn interrupt(&self) -> Fd {
        self.interrupt
    }

    /// The device stores a frame for a socket, and then looks whether it is to interrupt.
    pub(crate) fn arrive(&self, socket: usize) {
        self.ring.lock().push_back(socket);
        if self.armed.swap(false, Ordering::SeqCst) {
            KERNEL.set(&self.interrupt, true);
        }
    }

    /// The other host answers each frame, until the end.
    pub(crate) fn answer(&self) {
        let wakes: [FdRef<'_>; 2] = [&self.sending, &self.ended];
        while KERNEL.poll(&wakes, None) & 1 == 1 {
            KERNEL.set(&self.sending, false);
            loop {
                let socket = self.sent.lock().pop_front();
                let Some(socket) = socket else { break };
                self.arrive(socket);
            }
        }
    }

    pub(crate) fn end(&self) {
        KERNEL.set(&self.ended, true);
    }
}

/// The driver with the stack.
pub(crate) struct Card {
    wire: Arc<Wire>,
    /// Frames that each socket has received and nobody has taken.
    received: [usize; SOCKETS],
    /// Whoever watches a socket is told of a frame.
    watched: [Arc<AtomicBool>; SOCKETS],
    outgoing: VecDeque<usize>,
    /// When a frame is to be sent for a socket.
    timers: Vec<(u64, usize)>,
    fault: Option<Fault>,
}

impl Card {
    pub(crate) fn new(wire: Arc<Wire>, watched: [Arc<AtomicBool>; SOCKETS]) -> Self {
        Self {
            wire,
            received: [0; SOCKETS],
            watched,
            outgoing: VecDeque::new(),
            timers: vec![],
            fault: KERNEL.fault(),
        }
    }

    /// Takes a frame that was received.
    pub(crate) fn take(&mut self, socket: usize) -> Option<io::Result<()>> {
        let one_less = self.received[socket].checked_sub(1)?;
        self.received[socket] = one_less;
        Some(Ok(()))
    }

    pub(crate) fn send(&mut self, socket: usize) {
        self.outgoing.push_back(socket);
    }

    pub(crate) fn send_at(&mut self, at: Instant, socket: usize) {
        self.timers.push((at.as_nanos(), socket));
    }

    fn transmit(&mut self) -> bool {
        if self.outgoing.is_empty() {
            return false;
        }
        self.wire.sent.lock().append(&mut self.outgoing);
        KERNEL.set(&self.wire.sending, true);
        true
    }
}

impl Driven for Card {
    fn pump(&mut self, now: Instant) -> io::Result<bool> {
        let came = std::mem::take(&mut *self.wire.ring.lock());
        for socket in &came {
            self.received[*socket] += 1;
            self.watched[*socket].store(true, Ordering::SeqCst);
        }
        let now_ns = now.as_nanos();
        let due = self.timers.extract_if(.., |(at, _)| *at <= now_ns);
        self.outgoing.extend(due.map(|(_, socket)| socket));
        Ok(self.transmit() || !came.is_empty())
    }

    fn hand_down(&mut self, _: Instant) -> io::Result<bool> {
        Ok(self.transmit())
    }

    fn next_deadline(&self) -> Option<u64> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    fn arm(&mut self) -> io::Result<bool> {
        let there_before = self.has_work();
        self.wire.armed.store(true, Ordering::SeqCst);
        Ok(match self.fault {
            Some(Fault::LooksBeforeArming) => there_before,
            _ => self.has_work(),
        })
    }

    fn has_work(&self) -> bool {
        !self.wire.ring.lock().is_empty()
    }

    fn drain_irqs(&mut self, readable: u64) -> io::Result<()> {
        if readable & 1 == 1 {
            KERNEL.set(&self.wire.interrupt, false);
        }
        Ok(())
    }

    fn check_present(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn has_left(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

//! The transmit queues, which take turns on their common way to the buffer.
use super::io::Io;
use super::registers::{Page, Registers, QUEUES};
use super::tx::{Path, TxQueue};

/// SQEs that a queue takes before it is another one's turn, if that has some; a frame is ended first.
const TURN: u32 = 8;

/// The queues.
#[derive(Default)]
pub(super) struct Transmitter {
    pub(super) queues: [TxQueue; QUEUES],
    /// Whose turn it is.
    turn: usize,
    /// SQEs that it may still take.
    left: u32,
}

impl Transmitter {
    /// Does what can be done; whether anything was.
    pub(super) fn step(&mut self, path: &mut Path<'_>, io: &mut Io<'_>) -> bool {
        let mut moved = false;
        for queue in 0..QUEUES {
            moved |= self.look(queue, path.registers);
        }
        loop {
            let mut any = false;
            for queue in &mut self.queues {
                any |= queue.tend(io);
            }
            if !any && !self.go_on(path, io) {
                break;
            }
            moved = true;
        }
        for queue in 0..QUEUES {
            if self.queues[queue].close(io) {
                self.look(queue, path.registers);
                moved = true;
            }
        }
        moved
    }

    /// Looks at a queue's registers; whether it starts.
    fn look(&mut self, queue: usize, registers: &Registers) -> bool {
        let others = self.queues.iter().enumerate().filter(|(n, _)| *n != queue);
        let running = others.filter_map(|(_, other)| other.runs());
        let (count, pushes) = running.fold((0, false), |(n, any), pushes| (n + 1, any | pushes));
        self.queues[queue].look(Page::Tx(queue), registers, count == 0, pushes)
    }

    /// Moves the frame on the way on, or takes an SQE; whether there was one.
    fn go_on(&mut self, path: &mut Path<'_>, io: &mut Io<'_>) -> bool {
        let current = &mut self.queues[self.turn];
        if current.finish(path, io) {
            return true;
        }
        if current.holds_the_way() {
            self.left = self.left.saturating_sub(1);
            return current.walk(io);
        }
        let first = match self.left {
            0 => self.turn + 1,
            _ => self.turn,
        };
        for queue in (first..first + QUEUES).map(|n| n % QUEUES) {
            if self.queues[queue].walk(io) {
                if queue != self.turn || self.left == 0 {
                    (self.turn, self.left) = (queue, TURN);
                }
                self.left -= 1;
                return true;
            }
        }
        false
    }

    /// Whether the completions of all frames that have ended are written; see [`TxQueue::is_told`].
    pub(super) fn is_told(&self, news_fit: bool) -> bool {
        self.queues.iter().all(|queue| queue.is_told(news_fit))
    }

    /// Which queues failed since the last call.
    pub(super) fn take_failed(&mut self) -> [bool; QUEUES] {
        self.queues.each_mut().map(TxQueue::take_failed)
    }
}

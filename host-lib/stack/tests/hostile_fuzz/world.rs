//! The stack under attack, its programs, its driver and its clock.

use crate::common::{config, Rng, B};
use crate::view::View;
use crate::{calls, check, packets};
use ferrule_stack::{Bytes, Instant, RxMeta, SocketId, Stack, Token};
use std::time::Duration;

/// More packets than this at one moment mean that it never ends.
const MOST_AT_ONCE: usize = 200_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct World {
    pub(crate) stack: Stack<Bytes>,
    pub(crate) sockets: Vec<SocketId>,
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    view: View,
    /// Packets that wait for an address, as the driver would have it.
    parked: Vec<Token>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut config = config(B);
        config.tcp.min_syn_queue = 4;
        config.tcp.max_time_wait = 50;
        config.tcp.max_retransmits = 8;
        config.tcp.max_syn_ack_retransmits = 3;
        config.reassembly_bytes = 100_000;
        config.reassembly_bytes_per_source = 50_000;
        config.udp_recv_buffer_bytes = 20_000;
        World {
            stack: Stack::new(config),
            sockets: Vec::new(),
            now: Instant::from_millis(1),
            rng: Rng::new(seed),
            view: View::default(),
            parked: Vec::new(),
        }
    }

    /// One packet, perhaps a call, perhaps some time.
    pub(crate) fn step(&mut self) {
        for bytes in packets::next(&mut self.rng, &self.view) {
            // Sums taken for verified let mutations through to where they hurt.
            let checked = self.rng.chance(50);
            let meta = RxMeta {
                ipv4_checksum_ok: checked,
                l4_checksum_ok: checked,
                l2_broadcast: self.rng.chance(2),
            };
            let split = if bytes.len() <= 256 { bytes.len() } else { 128 };
            let (head, body) = bytes.split_at(split);
            self.stack
                .on_packet(self.now, meta, head, Bytes::from(body));
        }
        if self.rng.chance(30) {
            calls::next(self);
        }
        if self.rng.chance(90) {
            self.transmit();
            self.pass_time();
        }
        while self.stack.next_event().is_some() {}
    }

    fn pass_time(&mut self) {
        let micros = match self.rng.below(1_000) {
            // Ten million packets fit into the 584 years that an instant can tell.
            0 if self.rng.below(20) == 0 => 40 * 24 * 3_600_000_000,
            0..3 => 3_600_000_000,
            3..20 => 1_000_000,
            20..60 => {
                // The next thing that happens, at its very moment.
                self.now = self.stack.next_deadline().unwrap_or(self.now).max(self.now);
                self.transmit();
                0
            }
            60..300 => self.rng.below(50_000),
            _ => 0,
        };
        self.now += Duration::from_micros(micros);
    }

    /// All that is to be sent now; afterwards the stack wants to be called in the future.
    fn transmit(&mut self) {
        let mtu = usize::from(self.stack.config().mtu);
        let mut most = MOST_AT_ONCE;
        while let Some(packet) = self.stack.poll_transmit(self.now) {
            most = most.checked_sub(1).expect("transmission ends");
            let token = packet.token;
            self.view.note(check::sent(&packet, mtu));
            match self.rng.below(200) {
                0 if self.parked.len() < 10 => {
                    self.stack.on_parked(self.now, token);
                    self.parked.push(token);
                }
                1 => self.release(),
                _ => {}
            }
        }
        if let Some(at) = self.stack.next_deadline() {
            // Packets to ourselves are delivered so many at a time.
            assert!(
                at > self.now || at == Instant::ZERO,
                "{at:?} at {:?}",
                self.now
            );
        }
    }

    fn release(&mut self) {
        if let Some(token) = self.parked.pop() {
            if self.rng.chance(70) {
                self.stack.on_released(self.now, token);
            } else {
                self.stack.on_unreachable(self.now, token);
            }
        }
    }

    /// Programs close all they have, and nobody sends any more: in the end nothing is left.
    pub(crate) fn close_everything(&mut self) {
        while !self.parked.is_empty() {
            self.release();
        }
        for id in std::mem::take(&mut self.sockets) {
            assert_eq!(self.stack.close(self.now, id), Ok(()));
        }
        let until = self.now + DAY;
        while let Some(at) = self.stack.next_deadline() {
            assert!(at < until, "still busy after a day");
            self.now = self.now.max(at);
            let parked = self.parked.len();
            self.transmit();
            while self.parked.len() > parked {
                self.release();
            }
        }
        while self.stack.next_event().is_some() {}
        assert!(self.stack.is_drained());
        self.view = View::default();
        self.now += DAY;
    }
}

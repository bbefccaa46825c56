//! The root complex at its end of the link.
use crate::config_space::{ConfigSpace, Way};
use crate::root_complex::{RootComplex, Settings, DEVICE_ID};

use super::endpoint::{Broken, Endpoint, Role, State};

/// CfgWr0 of one DW (PCIe 2.1 section 2.2.7) from the root complex, all bytes of it.
const CONFIG_WRITE: [u32; 2] = [0x4400_0001, 0x0000_000F];
/// Fmt and Type of completions, but for Fmt bit 1.
const COMPLETION: u32 = 0x0A;
/// A request's address below its BAR's size.
const OFFSET_BITS: u32 = ferrule_abi::BAR_REGS_SIZE - 1;
/// DWs that may wait for the line: what comes later stays with the root complex, where it can still be told from what was sent.
const MOST_WAITING: usize = 1_024;
/// Without a session for so long, accesses of registers end as if there were no device.
const ABSENT_NS: u64 = 1_000_000_000;

/// Root complex and link.
pub struct UartHost {
    /// The host's side.
    pub root: RootComplex,
    endpoint: Endpoint,
    /// The settings that the device has.
    told: Option<u32>,
    /// Since when there is no session.
    absent_since_ns: u64,
    /// The line is there.
    connected: bool,
    /// Accesses went nowhere since the last session, vectors among them perhaps.
    discarded: bool,
}

impl UartHost {
    /// A host on a line of so many baud that is not connected yet.
    pub fn new(settings: Settings, baud: u32, seed: u8) -> Self {
        // What the line reaches has one port.
        let mut root = RootComplex::new(Settings {
            ports: 1,
            ..settings
        });
        root.config = ConfigSpace::of(Way::Uart, 1);
        Self {
            root,
            endpoint: Endpoint::new(Role::Host, baud, seed),
            told: None,
            absent_since_ns: 0,
            connected: false,
            discarded: false,
        }
    }

    /// See [`Endpoint::set_patience`].
    pub fn set_patience(&mut self, patience_ns: u64) {
        self.endpoint.set_patience(patience_ns);
    }

    /// The line is there, or is not any more.
    pub fn set_connected(&mut self, now_ns: u64, connected: bool) {
        if connected && !self.connected {
            self.device_was_reset();
        } else if !connected && self.connected {
            self.absent_since_ns = now_ns;
        }
        self.connected = connected;
    }

    /// The end of the link, to look at.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes in bytes from the line.
    pub fn on_bytes(&mut self, now_ns: u64, bytes: &[u8]) {
        self.endpoint.on_bytes(now_ns, bytes);
        while let Some(tlp) = self.endpoint.receive() {
            self.root.take_tlp(now_ns, &tlp);
        }
    }

    /// Does what is due and appends to `line` what is to be written to it; why a session broke, if one did.
    pub fn poll(&mut self, now_ns: u64, line: &mut Vec<u8>) -> Option<Broken> {
        if !self.connected {
            self.discard_if_absent(now_ns);
            return None;
        }
        // A unit may have broken it, or time does.
        let before = self.take_broken(now_ns);
        self.fill(now_ns);
        self.endpoint.poll_bytes(now_ns, line);
        let now = self.take_broken(now_ns);
        if now.is_some() {
            self.fill(now_ns);
            self.endpoint.poll_bytes(now_ns, line);
        }
        now.or(before)
    }

    /// Why a session broke, if one did since the last call. To the driver it is a device that was reset: registers have their reset values, the vectors are
    /// written anew. What it asks meanwhile waits for the next session.
    fn take_broken(&mut self, now_ns: u64) -> Option<Broken> {
        let broken = self.endpoint.take_broken()?;
        self.absent_since_ns = now_ns;
        self.device_was_reset();
        Some(broken)
    }

    /// Gives the link what the root complex has for the device.
    fn fill(&mut self, now_ns: u64) {
        if self.root.take_reset() {
            self.endpoint.open(now_ns);
            self.told = None;
            self.absent_since_ns = now_ns;
        }
        if self.endpoint.state() != State::Open {
            self.discard_if_absent(now_ns);
            return;
        }
        if std::mem::take(&mut self.discarded) {
            // The device has just been reset by the session.
            self.root.reset_device();
            self.root.take_reset();
        }
        let settings = self.settings();
        if self.told.replace(settings) != Some(settings) {
            let tlp = [&CONFIG_WRITE[..], &[u32::from(DEVICE_ID) << 16, settings]].concat();
            self.endpoint.send(&tlp);
        }
        while self.endpoint.backlog() < MOST_WAITING {
            let Some((bar, mut tlp)) = self.root.next_tlp(now_ns) else {
                return;
            };
            if tlp[0] >> 24 & 0x1F != COMPLETION {
                tlp[2] = u32::from(bar) << 20 | tlp[2] & OFFSET_BITS;
            }
            self.endpoint.send(&tlp);
        }
    }

    fn discard_if_absent(&mut self, now_ns: u64) {
        if now_ns >= self.absent_since_ns + ABSENT_NS {
            self.root.discard();
            if !std::mem::replace(&mut self.discarded, true) {
                // It finds all-ones now.
                self.root.trigger_all();
            }
        }
    }

    fn device_was_reset(&mut self) {
        self.root.reset_device();
        self.root.trigger_all();
    }

    fn settings(&self) -> u32 {
        let config = &self.root.config;
        u32::from(config.bus_master())
            | u32::from(config.msix_enabled()) << 1
            | u32::from(config.msix_masked()) << 2
            | u32::from(config.max_payload()) << 3
            | u32::from(config.max_read()) << 6
    }

    /// Whether the root complex has something that the link takes at once.
    pub fn is_due(&self) -> bool {
        let open = self.endpoint.state() == State::Open;
        let waits = self.root.queued() > 0 || self.told != Some(self.settings());
        self.connected && open && waits && self.endpoint.backlog() < MOST_WAITING
    }

    /// When [`UartHost::poll`] has something to do, if nothing comes before.
    pub fn next_deadline(&self) -> Option<u64> {
        let absent = self.endpoint.state() != State::Open || !self.connected;
        [
            self.endpoint.next_deadline().filter(|_| self.connected),
            self.root.next_event_ns(),
            (absent && (self.root.queued() > 0 || !self.discarded))
                .then_some(self.absent_since_ns + ABSENT_NS),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root_complex::Interrupt;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::Arc;

    const BAUD: u32 = 3_000_000;
    const MS: u64 = 1_000_000;

    struct Bench {
        now_ns: u64,
        host: UartHost,
        device: Endpoint,
        /// How often each vector was raised.
        raised: [Arc<AtomicU32>; 3],
    }

    impl Bench {
        fn new() -> Self {
            let mut host = UartHost::new(Settings::default(), BAUD, 0);
            let raised: [Arc<AtomicU32>; 3] = Default::default();
            for (vector, count) in (0..).zip(&raised) {
                let count = Arc::clone(count);
                let raise = move || {
                    count.fetch_add(1, Ordering::Relaxed);
                };
                let call = Interrupt::Callback(Box::new(raise));
                host.root.set_vector(vector, Some(call));
            }
            host.root.config.enable_memory();
            Self {
                now_ns: 0,
                host,
                device: Endpoint::new(Role::Device, BAUD, 0),
                raised,
            }
        }

        fn run(&mut self, ns: u64) {
            let end = self.now_ns + ns;
            while self.now_ns < end {
                let mut line = vec![];
                self.host.poll(self.now_ns, &mut line);
                self.device.on_bytes(self.now_ns, &line);
                while self.device.receive().is_some() {}
                line.clear();
                self.device.poll_bytes(self.now_ns, &mut line);
                self.host.on_bytes(self.now_ns, &line);
                self.now_ns += MS;
            }
        }

        fn raised(&self) -> [u32; 3] {
            [0, 1, 2].map(|v: usize| self.raised[v].swap(0, Ordering::Relaxed))
        }
    }

    #[test]
    fn a_device_that_has_lost_its_state_or_is_away_calls_all_vectors_once() {
        let mut b = Bench::new();
        b.host.set_connected(0, true);
        b.run(100 * MS);
        assert_eq!(b.host.endpoint().state(), State::Open);
        b.raised();
        b.run(3_000 * MS);
        assert_eq!(b.raised(), [0; 3], "nothing has happened");

        // Reset by somebody else. Who is called and asks for a register then waits for the next session.
        b.device = Endpoint::new(Role::Device, BAUD, 0);
        let mut calls = [0; 3];
        while calls == [0; 3] {
            b.run(MS);
            calls = b.raised();
        }
        assert_eq!(calls, [1; 3]);
        let read = b.host.root.read_register(ferrule_abi::BAR_REGS, 0, 0xF);
        let read = read.expect("memory is decoded");
        b.run(100 * MS);
        assert_eq!(b.host.endpoint().state(), State::Open);
        assert_eq!(b.host.root.take_read(read), None);
        b.run(1_900 * MS);
        assert_eq!(b.raised(), [0; 3]);

        // Out, and in again before anybody has taken it for gone; then out for good.
        for (away, calls) in [(300 * MS, 0), (3_000 * MS, 1)] {
            b.host.set_connected(b.now_ns, false);
            let due = b.host.next_deadline().expect("a deadline");
            assert!(due <= b.now_ns + ABSENT_NS, "it is looked after");
            b.run(away);
            assert_eq!(b.raised(), [calls; 3], "away for {away} ns");
            b.host.set_connected(b.now_ns, true);
            b.run(1_000 * MS);
            assert_eq!(b.host.endpoint().state(), State::Open);
            assert_eq!(b.raised(), [1; 3], "it is as after power-up");
        }
    }
}

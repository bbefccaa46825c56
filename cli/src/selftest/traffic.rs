//! Frames looped back inside the MAC: every size, every alignment, and what clock, counters and interrupts say of them.
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use ferrule_abi::{counter, regs};
use ferrule_driver::irq::Irq;
use ferrule_driver::nic::{widen_timestamp, MacAddress, RawNic, Stats};
use ferrule_driver::{Clock, DeviceError};

use super::rings::{Returned, Rings, Sent, BATCH, LARGE_SLOT, SMALL_SLOT};
use super::{Checks, Failure};

/// Shortest and longest frame of Ethernet in bytes, without FCS (IEEE 802.3 clause 3.2.7).
const SHORTEST: usize = 60;
const LONGEST: usize = 1514;
/// Longest jumbo frame in bytes without FCS: an MTU of 9,000.
const JUMBO: usize = 9014;
/// Bytes of an FCS.
const FCS: usize = 4;
/// Local experimental EtherType 1 (IEEE 802, clause 9.2.4): no station makes anything of it.
const ETHERTYPE: [u8; 2] = 0x88B5_u16.to_be_bytes();
/// How long an interrupt may take in nanoseconds; the slowest simulator takes long.
const INTERRUPT_NS: u64 = 10_000_000_000;
/// A looped frame comes this soon after it has left, in nanoseconds.
const LOOP_NS: u64 = 1_000_000;
/// What the clock is stepped by, in nanoseconds.
const STEP_NS: u32 = 1_000_000_000;
/// How far it may have gone on its own meanwhile: less than a minute.
const MOST_NS: u64 = 60_000_000_000;

/// What the checks of this file share.
pub(super) struct Traffic {
    pub(super) rings: Rings,
    clock: Arc<dyn Clock>,
    mac: MacAddress,
    /// Only some of the sizes.
    quick: bool,
    sent: Totals,
    /// The counters when counting began.
    before: Stats,
}

/// What was sent, for the counters.
#[derive(Default)]
struct Totals {
    frames: u64,
    bytes: u64,
    interrupts: u64,
}

/// A frame from the NIC to itself, its bytes different at each place and in each frame.
fn frame(mac: &MacAddress, number: usize, len: usize) -> Vec<u8> {
    let mut bytes = [&mac[..], &mac[..], &ETHERTYPE[..]].concat();
    let mut state = (number as u32).wrapping_mul(0x9E37_79B1) | 1;
    bytes.resize_with(len, || {
        // xorshift32 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    });
    bytes
}

impl Traffic {
    pub(super) fn new(
        rings: Rings,
        clock: Arc<dyn Clock>,
        mac: MacAddress,
        quick: bool,
        before: Stats,
    ) -> Self {
        Self {
            rings,
            clock,
            mac,
            quick,
            sent: Totals::default(),
            before,
        }
    }

    /// Notes a check of this file. After one that failed the NIC is reset, so that the next ones tell of themselves, and counting begins
    /// anew.
    pub(super) fn note(
        &mut self,
        nic: &mut RawNic,
        checks: &mut Checks,
        name: &str,
        result: Result<String, Failure>,
    ) -> Result<(), Failure> {
        let failed = !matches!(result, Ok(_) | Err(Failure::Skipped(_)));
        checks.note(name, result);
        if failed {
            nic.reset()?;
            self.sent = Totals::default();
            self.before = nic.stats()?;
        }
        Ok(())
    }

    fn exchange(&mut self, nic: &mut RawNic, frames: Vec<Sent>) -> Result<Vec<Returned>, Failure> {
        let mut returned = Vec::new();
        for batch in frames.chunks(BATCH) {
            returned.extend(self.rings.exchange(nic, batch)?);
            self.sent.frames += batch.len() as u64;
            self.sent.bytes += batch.iter().map(|f| f.bytes.len() as u64).sum::<u64>();
        }
        Ok(returned)
    }

    /// Frames of these sizes, at an offset of its own each, in one to four pieces.
    fn of_sizes(&self, sizes: impl Iterator<Item = usize>) -> Vec<Sent> {
        let of_size = |(n, len): (usize, usize)| {
            let cuts = n % 4;
            let mut pieces = vec![len / (cuts + 1) + n % 7; cuts];
            pieces.push(len - pieces.iter().sum::<usize>());
            Sent {
                bytes: frame(&self.mac, n, len),
                // Odd, so that in 4096 frames each offset comes once.
                offset: n * 1_237 % 4096,
                pieces,
                timestamp: false,
            }
        };
        sizes.enumerate().map(of_size).collect()
    }

    /// Has the device read and write where it was given no memory.
    pub(super) fn isolation(&mut self, nic: &mut RawNic) -> Result<String, Failure> {
        self.rings.slots_outside(true);
        self.rings.start(nic, SMALL_SLOT, 0)?;
        self.rings.read_outside(nic)?;
        let frames = self.of_sizes([LONGEST].into_iter());
        for frame in &frames {
            self.rings.write_outside(nic, frame)?;
        }
        self.rings.stop(nic)?;
        self.rings.slots_outside(false);
        Ok("a read was refused, a write changed no byte".to_owned())
    }

    /// The step from one size to the next, coprime to alignments.
    fn step(&self, all: usize, quick: usize) -> usize {
        if self.quick {
            quick
        } else {
            all
        }
    }

    /// Every size that Ethernet has.
    pub(super) fn sizes(&mut self, nic: &mut RawNic) -> Result<String, Failure> {
        let step = self.step(1, 29);
        let sizes = (SHORTEST..LONGEST).step_by(step).chain([LONGEST]);
        let frames = self.of_sizes(sizes);
        let count = frames.len();
        self.rings.start(nic, SMALL_SLOT, 0)?;
        self.exchange(nic, frames)?;
        self.rings.stop(nic)?;
        Ok(format!(
            "{count} frames of {SHORTEST} to {LONGEST} bytes, each byte compared"
        ))
    }

    /// Jumbo frames.
    pub(super) fn jumbo(&mut self, nic: &mut RawNic) -> Result<String, Failure> {
        if !nic.caps().jumbo {
            return Err(Failure::Skipped("CAPS.JUMBO is 0".to_owned()));
        }
        let rxctl = nic.read(regs::rxctl::OFFSET)?;
        let most = (JUMBO + FCS) as u32;
        nic.write(regs::rxctl::OFFSET, regs::rxctl::MAX_FRAME.set(rxctl, most))?;
        let kept = regs::rxctl::MAX_FRAME.get(nic.read(regs::rxctl::OFFSET)?);
        if kept < most {
            return Err(Failure::Wrong(format!(
                "CAPS.JUMBO is 1, but RXCTL.MAX_FRAME keeps {kept} where {most} was written"
            )));
        }
        let step = self.step(101, 1_499);
        let sizes = (LONGEST + 1..JUMBO).step_by(step).chain([JUMBO]);
        let frames = self.of_sizes(sizes);
        let count = frames.len();
        self.rings.start(nic, LARGE_SLOT, 0)?;
        self.exchange(nic, frames)?;
        self.rings.stop(nic)?;
        nic.write(regs::rxctl::OFFSET, rxctl)?;
        Ok(format!(
            "{count} frames of {} to {JUMBO} bytes, each byte compared",
            LONGEST + 1
        ))
    }

    /// The times of frames lie where they must.
    pub(super) fn timestamps(&mut self, nic: &mut RawNic) -> Result<String, Failure> {
        if !nic.caps().timestamps {
            return Err(Failure::Skipped("CAPS.TIMESTAMPS is 0".to_owned()));
        }
        let mut frames = self.of_sizes([SHORTEST; BATCH].into_iter());
        frames.iter_mut().for_each(|f| f.timestamp = true);
        self.rings.start(nic, SMALL_SLOT, 0)?;
        let before = nic.stats()?.time_ns;
        let returned = self.exchange(nic, frames)?;
        let after = nic.stats()?.time_ns;
        self.rings.stop(nic)?;
        let (mut last_left, mut last_came) = (before, before);
        let mut most = 0;
        for (n, times) in returned.iter().enumerate() {
            let (Some(left), Some(came)) = (times.left, times.came) else {
                return Err(Failure::Wrong(format!("frame {n} came without its times")));
            };
            let left = widen_timestamp(left, last_left);
            let came = widen_timestamp(came, last_came);
            let in_order = left >= last_left && came >= last_came && came >= left;
            if !in_order || came > after || came - left > LOOP_NS {
                return Err(Failure::Wrong(format!(
                    "frame {n} left at {left} ns and came at {came} ns, the one before at {last_left} and {last_came} ns; the clock stood at {after} ns after all"
                )));
            }
            (last_left, last_came) = (left, came);
            most = most.max(came - left);
        }
        Ok(format!(
            "{} frames in their order, each at most {most} ns from leaving to coming",
            returned.len()
        ))
    }

    /// The interrupt of one vector comes when it is armed and not when it is not, and no other does.
    pub(super) fn interrupt(
        &mut self,
        nic: &mut RawNic,
        irqs: &[Irq],
        vector: usize,
    ) -> Result<String, Failure> {
        let os = |source| {
            Failure::from(DeviceError::Os {
                doing: "waiting for an interrupt",
                source,
            })
        };
        self.rings.start(nic, SMALL_SLOT, vector as u32)?;
        self.rings.arm(nic)?;
        let began = self.clock.now();
        let frame = self.of_sizes([SHORTEST].into_iter());
        self.exchange(nic, frame)?;
        self.clock
            .wait(&[irqs[vector].as_fd()], Some(began + INTERRUPT_NS))
            .map_err(os)?;
        let waited = self.clock.now() - began;
        let drain = || irqs.iter().map(Irq::drain).collect::<Result<Vec<_>, _>>();
        let wrong = |signals: &[u64], want: &str| {
            Failure::Wrong(format!(
                "the vectors were raised {signals:?} times, {want} is right"
            ))
        };
        let signals = drain().map_err(os)?;
        let once = |(n, signals): (usize, &u64)| *signals == u64::from(n == vector);
        if !signals.iter().enumerate().all(once) {
            return Err(wrong(&signals, "this one once"));
        }
        self.sent.interrupts += 1;
        let frame = self.of_sizes([SHORTEST].into_iter());
        self.exchange(nic, frame)?;
        // A register read shows that whatever the device had to send before has arrived.
        nic.link()?;
        let signals = drain().map_err(os)?;
        if signals.iter().any(|signals| *signals != 0) {
            return Err(wrong(&signals, "none without being armed"));
        }
        self.rings.stop(nic)?;
        Ok(format!(
            "raised once, {:.1?} after it was armed",
            Duration::from_nanos(waited)
        ))
    }

    /// What the counters have grown by.
    pub(super) fn counters(&self, nic: &mut RawNic) -> Result<String, Failure> {
        let after = nic.stats()?;
        let Totals {
            frames,
            bytes,
            interrupts,
        } = self.sent;
        let mut wanted = vec![
            (counter::TX_FRAMES, frames),
            (counter::TX_BYTES, bytes),
            (counter::RX_FRAMES, frames),
            (counter::RX_BYTES, bytes),
            (counter::INTERRUPTS, interrupts),
        ];
        let zero = [
            counter::RX_DROP_FCS,
            counter::RX_DROP_RUNT,
            counter::RX_DROP_OVERSIZE,
            counter::RX_DROP_LENGTH,
            counter::RX_DROP_FILTER,
            counter::RX_DROP_IP_HEADER,
            counter::RX_DROP_L4_CSUM,
            counter::RX_DROP_OVERFLOW,
            counter::RX_DROP_NO_SLOT,
            counter::RX_TRUNCATED,
            counter::TX_BAD_DESC,
            counter::TX_DMA_ERR,
            counter::TX_UNDERRUN,
            counter::TLP_UNEXPECTED,
            counter::TLP_READ_ERRORS,
        ];
        wanted.extend(zero.map(|index| (index, 0)));
        for (counter, value) in after.iter() {
            let grown = value.wrapping_sub(self.before.get(counter.index));
            let want = wanted.iter().find(|(index, _)| *index == counter.index);
            if let Some((_, want)) = want.filter(|(_, want)| *want != grown) {
                return Err(Failure::Wrong(format!(
                    "{} grew by {grown}, {want} is right",
                    counter.name
                )));
            }
        }
        Ok(format!(
            "{frames} frames of {bytes} bytes sent and received, {interrupts} interrupts, nothing dropped, no error on the bus"
        ))
    }
}

/// The clock goes on, and by what it is stepped.
pub(super) fn clock(nic: &mut RawNic, clock: &dyn Clock) -> Result<String, Failure> {
    let pause = clock.now() + 10_000_000;
    let first = nic.stats()?.time_ns;
    clock
        .wait(&[], Some(pause))
        .map_err(|e| Failure::Wrong(format!("waiting: {e}")))?;
    let second = nic.stats()?.time_ns;
    if second <= first {
        return Err(Failure::Wrong(format!(
            "it stood at {first} ns and 10 ms later at {second} ns"
        )));
    }
    if !nic.caps().timestamps {
        return Ok(format!("{} ns in 10 ms or more", second - first));
    }
    nic.write(regs::clock_step::OFFSET, STEP_NS)?;
    let third = nic.stats()?.time_ns;
    let stepped = third.wrapping_sub(second);
    if !(u64::from(STEP_NS)..MOST_NS).contains(&stepped) {
        return Err(Failure::Wrong(format!(
            "it went from {second} to {third} ns when it was stepped by {STEP_NS} ns"
        )));
    }
    Ok(format!(
        "{} ns in 10 ms or more, and a step of 1 s",
        second - first
    ))
}

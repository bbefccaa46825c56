//! The NIC as a safe object: open it, send and receive batches, sleep on its interrupts.
//!
//! No register is read while frames flow: the rings tell everything, and each batch ends in at most one doorbell a queue.
//! To sleep: [`arm`](Nic::arm), check [`has_work`](Nic::has_work), wait on [`irq_fds`](Nic::irq_fds), then
//! [`drain_irqs`](Nic::drain_irqs). Opening and closing are in `bringup`.
mod bringup;
mod clock;
mod config;
mod error;
mod event;
mod filter;
mod home;
mod in_place;
mod layout;
mod neighbours;
mod pair;
mod port;
mod queue;
mod queue_pair;
mod raw;
mod recovery;
mod rx;
mod setup;
mod stats;
mod steering;
mod tx;

pub use crate::ring::slots::RxBuf;
pub use crate::ring::RingFault;
pub use clock::{widen_timestamp, ClockError};
pub use config::{mac_text, ConfigError, LocalAddress, MacAddress, NicConfig};
pub use error::{NicError, Stop};
pub use event::NicEvent;
pub use filter::FilterError;
pub use in_place::{Forwarded, InPlace, InPlaceFrame, TxBuffer, Verdict};
pub use neighbours::{Neighbour, NeighbourError, NeighbourState};
pub use queue::QueueName;
pub use queue_pair::QueuePair;
pub use raw::RawNic;
pub use recovery::Recovery;
pub use rx::{Checksum, Head, RxFrame, Transport, HEAD_LEN, SMALL_PACKET};
pub use stats::{Caps, Link, Stats};
pub use steering::{SteeringError, INDIRECTION_ENTRIES};
pub use tx::{NextHop, Segments, TxCompletion, TxError, TxFrame, TxMode, TxOutcome};

use crate::barriers;
use crate::irq::Irq;
use crate::ring::Index;
use crate::{DmaBuf, Registers};
use event::RawEvent;
use ferrule_abi::regs;
use ferrule_abi::ring::Event;
use filter::{Multicast, Vlans, Write};
use home::Home;
use pair::Pair;
use port::Port;
use queue::Lane;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The NIC's memory and the I/O virtual address that the device knows it by.
struct Mapping {
    memory: DmaBuf,
    iova: u64,
}

/// A NIC that is up. Dropping it disables the queues, waits for the device to finish, and only then takes the memory back; received packets that
/// are still held stay readable.
pub struct Nic {
    port: Port,
    irqs: [Irq; 3],
    mapping: Option<Mapping>,
    /// The event queue; `None` while being opened, closed and recovered only.
    events: Option<Lane>,
    /// Events from before a recovery.
    salvaged: VecDeque<NicEvent>,
    /// Pair 0.
    pair: Pair,
    /// The other pairs.
    home: Arc<Home>,
    indirection: steering::Table,
    /// As it was set up, with the addresses and gateways of now.
    config: NicConfig,
    caps: Caps,
    mac: MacAddress,
    multicast: Multicast,
    vlans: Vlans,
    static_neighbours: BTreeMap<Ipv4Addr, MacAddress>,
    /// The sum of all steps of the clock.
    stepped_ns: i64,
    /// CLOCK_RATE.
    clock_rate: u32,
    /// Addresses are announced when they are set: not before the NIC is up.
    announces: bool,
}

impl Nic {
    /// Calls `each` with pair 0 and all pairs that are home.
    fn each_pair(
        &mut self,
        mut each: impl FnMut(&mut Pair, &mut dyn Registers) -> Result<(), NicError>,
    ) -> Result<(), NicError> {
        let registers = self.port.registers();
        each(&mut self.pair, registers)?;
        self.home.each(|pair| each(pair, registers))
    }

    /// Name of the kind of access to the device.
    pub fn backend(&self) -> &'static str {
        self.port.device.backend()
    }

    /// The MAC address in use.
    pub fn mac(&self) -> MacAddress {
        self.mac
    }

    /// What this build of the hardware can do.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Whether the NIC's memory is made of huge pages.
    pub fn has_huge_pages(&self) -> bool {
        let mapping = self.mapping.as_ref();
        mapping.is_some_and(|m| m.memory.is_huge())
    }

    /// Takes at most `max` received frames from the ring and appends them to `frames`; tells how many.
    ///
    /// # Errors
    /// [`NicError::Stopped`] if the receive queue does not run any more; [`NicError::Device`].
    pub fn rx_batch(&mut self, max: usize, frames: &mut Vec<RxFrame>) -> Result<usize, NicError> {
        self.pair.rx_batch(self.port.registers(), max, frames)
    }

    /// Hands frames to the device, in order, with one doorbell; tells how many were taken. Fewer than all: the ring is full until something
    /// completes, or something is wrong with the frame after them or with the NIC, which the next call reports. Frames that were taken are
    /// in the NIC's books whatever happens: [`recover`](Self::recover) sends them again if need be.
    ///
    /// # Errors
    /// [`NicError::Tx`] if the first frame cannot be sent; [`NicError::Stopped`] if the transmit queue does not run any more;
    /// [`NicError::Device`].
    pub fn tx_batch(&mut self, frames: &[TxFrame<'_>]) -> Result<usize, NicError> {
        self.pair.tx_batch(self.port.registers(), frames)
    }

    /// Hands one frame to the device; false if the ring is full until something completes.
    ///
    /// # Errors
    /// As [`tx_batch`](Self::tx_batch).
    pub fn send(&mut self, frame: &TxFrame<'_>) -> Result<bool, NicError> {
        Ok(self.tx_batch(std::slice::from_ref(frame))? == 1)
    }

    /// What became of frames since the last call: all failures, and success for those that asked for a report. In the order of sending.
    ///
    /// # Errors
    /// [`NicError::Stopped`] if the transmit queue does not run any more; what completed before is given first.
    pub fn tx_completions(&mut self) -> Result<Vec<TxCompletion>, NicError> {
        self.pair.tx_completions(self.port.registers())
    }

    /// Most bytes of TCP payload in a packet that is cut into segments by the hardware; 0 if it cannot.
    pub fn max_segmented(&self) -> usize {
        self.pair.max_segmented()
    }

    /// SQEs that the device has not completed; 0: all frames were handed to the MAC or failed.
    pub fn tx_outstanding(&self) -> usize {
        self.pair.tx_outstanding()
    }

    /// Longest frame that can be handed over, in bytes; what the wire takes is another matter.
    pub fn tx_max_frame(&self) -> usize {
        self.pair.tx_max_frame()
    }

    /// The events since the last call. The device writes a completion without a neighbour before the event that resolves it: take events
    /// first and [`tx_completions`](Self::tx_completions) second, but act on the completions first. Then no packet waits for an event that
    /// has passed.
    ///
    /// # Errors
    /// [`NicError::Stopped`] if the event queue does not run any more; [`NicError::Device`], [`NicError::Gone`].
    pub fn events(&mut self) -> Result<Vec<NicEvent>, NicError> {
        let Some(lane) = &mut self.events else {
            return Err(NicError::Gone);
        };
        let registers = self.port.registers();
        lane.check()?;
        let mut events: Vec<_> = self.salvaged.drain(..).collect();
        while let Some(words) = lane.ring.next() {
            let event = match event::decode(&Event::from_words(words), self.config.queue_pairs) {
                Ok(RawEvent::Ready(event)) => event,
                Ok(RawEvent::QueueError(queue)) => {
                    let status = registers.read(queue.page() + regs::event_status::OFFSET)?;
                    let error = regs::event_status::ERROR.get(status);
                    tracing::error!(%queue, error, "the device stopped a queue");
                    let why = Stop::ByDevice(error);
                    match queue {
                        QueueName::Events => lane.stopped_by_device(why),
                        QueueName::Transmit(0) => self.pair.stopped_by_device([Some(why), None]),
                        QueueName::Receive(0) => self.pair.stopped_by_device([None, Some(why)]),
                        other => self.home.stopped(other, why),
                    }
                    NicEvent::QueueError { queue, error }
                }
                Err(fault) => {
                    let stopped = lane.quarantine(registers, fault);
                    if events.is_empty() {
                        return Err(stopped);
                    }
                    break;
                }
            };
            events.push(event);
        }
        if lane.is_running() && lane.untold() > 0 {
            lane.ring_doorbell(registers, Index::default(), false)?;
        }
        Ok(events)
    }

    /// Asks for an interrupt at the next entry of each ring, or at once if there is one already; once only. Also tells the device of all freed
    /// slots.
    ///
    /// # Errors
    /// [`NicError::Device`].
    pub fn arm(&mut self) -> Result<(), NicError> {
        let Some(events) = &mut self.events else {
            return Err(NicError::Gone);
        };
        let registers = self.port.registers();
        if events.is_running() {
            events.arm(registers, Index::default())?;
        }
        self.pair.arm(registers)?;
        barriers::after_arm();
        Ok(())
    }

    /// Whether a ring that is in use has something to take, or completions wait to be fetched.
    pub fn has_work(&self) -> bool {
        let ready = |lane: &Lane| lane.is_running() && lane.ring.has_entry();
        let events = self.events.as_ref();
        !self.salvaged.is_empty() || self.pair.has_work() || events.is_some_and(ready)
    }

    /// Whether [`rx_batch`](Self::rx_batch), [`events`](Self::events) and [`tx_completions`](Self::tx_completions) have nothing to tell and
    /// nothing to do: no entry in a ring, no slot that came back, no queue that has stopped. Cheaper than asking them.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        let quiet = |lane: &Lane| lane.is_running() && !lane.ring.has_entry();
        let events = self.events.as_ref();
        self.salvaged.is_empty() && self.pair.is_quiet() && events.is_some_and(quiet)
    }

    /// The descriptors that become readable at an interrupt: events, transmit, receive.
    pub fn irq_fds(&self) -> [BorrowedFd<'_>; 3] {
        self.irqs.each_ref().map(|irq| irq.as_fd())
    }

    /// The descriptor that becomes readable when the device goes away, if its kind of access has one; then
    /// [`check_present`](Self::check_present) tells.
    pub fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        self.port.device.gone_fd()
    }

    /// Takes the interrupts' signals away, after waking up.
    ///
    /// All of them at once and nothing in any ring is how a link to the device tells that the device has lost its state, since a device that was reset
    /// raises no interrupt: then, and only then, registers are read, and if it is so, the next call that looks at a ring tells.
    ///
    /// # Errors
    /// [`NicError::Os`]; when registers are read, [`NicError::Gone`] and [`NicError::Device`].
    pub fn drain_irqs(&mut self) -> Result<(), NicError> {
        self.drain_some_irqs(u64::MAX)
    }

    /// As [`drain_irqs`](Self::drain_irqs), of those alone whose bits are set, as [`Clock::wait_for`](crate::Clock::wait_for) tells them of
    /// [`irq_fds`](Self::irq_fds).
    ///
    /// # Errors
    /// As those of [`drain_irqs`](Self::drain_irqs).
    pub fn drain_some_irqs(&mut self, readable: u64) -> Result<(), NicError> {
        let some = self.irqs.iter().enumerate();
        let mut signalled = 0;
        for (_, irq) in some.filter(|(n, _)| readable >> n & 1 == 1) {
            let signals = irq.drain().map_err(|source| NicError::Os {
                doing: "reading an interrupt's eventfd",
                source,
            })?;
            signalled += usize::from(signals > 0);
        }
        if signalled == self.irqs.len() && !self.has_work() {
            self.look()?;
        }
        Ok(())
    }

    /// Asks the device whether its queues still run.
    fn look(&mut self) -> Result<(), NicError> {
        let registers = self.port.registers();
        let lanes = self.pair.lanes.as_mut();
        let pair = lanes.into_iter().flat_map(|l| [&mut l.tx, &mut l.rx]);
        for lane in self.events.iter_mut().chain(pair) {
            if lane.is_running() {
                lane.look(registers)?;
            }
        }
        if self.events.is_some() {
            for n in 1..self.config.queue_pairs {
                for queue in [QueueName::Transmit(n), QueueName::Receive(n)] {
                    if let Some(why) = queue.look(registers)? {
                        self.home.stopped(queue, why);
                    }
                }
            }
        }
        Ok(())
    }

    /// Counters and clock of the hardware.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Stuck`], [`NicError::Device`].
    pub fn stats(&mut self) -> Result<Stats, NicError> {
        Stats::take(&mut self.port)
    }

    /// State of the link.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn link(&mut self) -> Result<Link, NicError> {
        let status = self.port.read(regs::status::OFFSET)?;
        Ok(Link::from_status(status))
    }

    /// Whether the device is still there; reads one register.
    ///
    /// # Errors
    /// [`NicError::Gone`] if it is not; [`NicError::Device`].
    pub fn check_present(&mut self) -> Result<(), NicError> {
        self.port.registers().check_present()
    }

    /// Receives frames to a multicast address; as often as it is joined it must be left. Sixteen are received exactly, further ones by a hash
    /// that they share with others.
    ///
    /// # Errors
    /// [`NicError::Filter`], [`NicError::Device`].
    pub fn join_multicast(&mut self, address: MacAddress) -> Result<(), NicError> {
        if !self.caps.multicast {
            return Err(NicError::Unsupported("multicast filter"));
        }
        let writes = self.multicast.join(address)?;
        self.write_all(&writes)
    }

    /// Takes back one [`join_multicast`](Self::join_multicast).
    ///
    /// # Errors
    /// [`NicError::Filter`] if there was none; [`NicError::Device`].
    pub fn leave_multicast(&mut self, address: MacAddress) -> Result<(), NicError> {
        let writes = self.multicast.leave(address)?;
        self.write_all(&writes)
    }

    /// Receives frames of a VLAN or does not, where [`NicConfig::vlans`] names those that are.
    ///
    /// # Errors
    /// [`NicError::Filter`], [`NicError::Device`].
    pub fn set_vlan(&mut self, id: u16, receive: bool) -> Result<(), NicError> {
        let writes = self.vlans.set(id, receive)?;
        self.write_all(&writes)
    }

    fn write_all(&mut self, writes: &[Write]) -> Result<(), NicError> {
        writes
            .iter()
            .try_for_each(|(offset, value)| self.port.write(*offset, *value))
    }

    /// Gives the NIC other local addresses and gateways, and announces the addresses if [`NicConfig::arp_announce`] says so.
    ///
    /// # Errors
    /// [`NicError::Config`], [`NicError::Device`]; with announcements those of [`announce`](Self::announce).
    pub fn set_addresses(
        &mut self,
        addresses: &[LocalAddress],
        gateways: &[Ipv4Addr],
    ) -> Result<(), NicError> {
        config::check_addresses(addresses, gateways)?;
        let (addr, mask) = (regs::local_addr::REGISTER, regs::local_mask::REGISTER);
        for n in 0..regs::LOCAL_ADDRESSES {
            let local = addresses.get(n as usize);
            let bits = local.map_or(0, |l| l.address.to_bits());
            // Never an address with the mask of another one: mask first while the address is 0.
            self.port.write(addr.offset_of(n), 0)?;
            let bits_of_mask = local.map_or(0, LocalAddress::mask);
            self.port.write(mask.offset_of(n), bits_of_mask)?;
            self.port.write(addr.offset_of(n), bits)?;
        }
        for n in 0..regs::GATEWAYS {
            let gateway = gateways.get(n as usize);
            let bits = gateway.map_or(0, |g| g.to_bits());
            let offset = regs::gateway::REGISTER.offset_of(n);
            self.port.write(offset, bits)?;
        }
        self.config.addresses = addresses.to_vec();
        self.config.gateways = gateways.to_vec();
        self.announce_all(addresses)
    }
}

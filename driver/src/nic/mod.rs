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
mod in_place;
mod layout;
mod neighbours;
mod port;
mod queue;
mod raw;
mod recovery;
mod rx;
mod stats;
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
pub use raw::RawNic;
pub use recovery::Recovery;
pub use rx::{Checksum, Head, RxFrame, Transport, HEAD_LEN, SMALL_PACKET};
pub use stats::{Caps, Link, Stats};
pub use tx::{NextHop, Segments, TxCompletion, TxError, TxFrame, TxMode, TxOutcome};

use crate::barriers;
use crate::irq::Irq;
use crate::ring::receive::ReceiveRing;
use crate::ring::submission::SubmissionRing;
use crate::ring::Index;
use crate::DmaBuf;
use event::RawEvent;
use ferrule_abi::regs;
use ferrule_abi::ring::{Cqe, Event};
use filter::{Multicast, Vlans, Write};
use port::Port;
use queue::Lane;
use recovery::{Progress, Salvaged};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

/// The device is told of freed slots and read completions once there are this many, or when interrupts are armed.
const DOORBELL_BATCH: u16 = 16;

/// The three queues at work.
struct Lanes {
    events: Lane,
    tx: Lane,
    rx: Lane,
    submission: SubmissionRing,
    receive: ReceiveRing,
}

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
    /// `None` while being opened and closed only.
    lanes: Option<Lanes>,
    completed: VecDeque<TxCompletion>,
    /// What a reset left of the rings, until they run again.
    salvaged: Salvaged,
    progress: Option<Progress>,
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

impl Lanes {
    /// Takes transmit completions from their ring.
    fn reap(&mut self, port: &mut Port, done: &mut VecDeque<TxCompletion>) -> Result<(), NicError> {
        self.tx.check()?;
        let submission = &mut self.submission;
        let taken = self.tx.ring.take(usize::MAX, |words| {
            submission.complete(&Cqe::from_words(words), done)
        });
        self.receive.give_back(self.submission.freed());
        taken.map_err(|fault| self.tx.quarantine(port, fault))
    }

    /// Puts a frame into the ring, if it can be sent and there is room or what has completed makes some; whether it is there.
    fn submit(
        &mut self,
        port: &mut Port,
        done: &mut VecDeque<TxCompletion>,
        caps: Caps,
        frame: &TxFrame<'_>,
        last: bool,
    ) -> Result<bool, NicError> {
        frame.check(caps)?;
        if !self.submission.push(frame, last)? {
            self.reap(port, done)?;
            if !self.submission.push(frame, last)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn receive(
        &mut self,
        port: &mut Port,
        max: usize,
        frames: &mut Vec<RxFrame>,
    ) -> Result<usize, NicError> {
        self.rx.check()?;
        let receive = &mut self.receive;
        let taken = self
            .rx
            .ring
            .take(max, |words| receive.accept(Cqe::from_words(words)));
        let count = receive.hand_out(frames);
        if let Err(fault) = taken {
            let stopped = self.rx.quarantine(port, fault);
            // What came before was right; the next call reports the fault.
            return if count > 0 { Ok(count) } else { Err(stopped) };
        }
        self.lend(port)?;
        Ok(count)
    }

    /// Tells the device of what was put into the ring. A batch of which `count` frames were taken fails only if that is none: those taken are in
    /// the books whatever happens, and the next call reports what is wrong.
    fn tell_sent(
        &mut self,
        port: &mut Port,
        count: usize,
        error: Option<NicError>,
    ) -> Result<usize, NicError> {
        let mut error = error;
        if self.tx.is_running() {
            let producer = self.submission.producer();
            if let Err(e) = self.tx.ring_doorbell(port, producer, false) {
                error.get_or_insert(e);
            }
        }
        match error {
            Some(e) if count == 0 => Err(e),
            _ => Ok(count),
        }
    }

    /// Lends free slots to the device if there are enough to be worth a doorbell.
    fn lend(&mut self, port: &mut Port) -> Result<(), NicError> {
        let due = self.receive.doorbell_due(DOORBELL_BATCH);
        if due || self.rx.untold() >= DOORBELL_BATCH {
            self.receive.refill();
            self.rx
                .ring_doorbell(port, self.receive.producer(), false)?;
        }
        Ok(())
    }
}

impl Nic {
    fn running(
        &mut self,
    ) -> Result<(&mut Lanes, &mut Port, &mut VecDeque<TxCompletion>), NicError> {
        match &mut self.lanes {
            Some(lanes) => Ok((lanes, &mut self.port, &mut self.completed)),
            None => Err(NicError::Gone),
        }
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
        if !self.salvaged.frames.is_empty() {
            let count = max.min(self.salvaged.frames.len());
            frames.extend(self.salvaged.frames.drain(..count));
            return Ok(count);
        }
        let (lanes, port, _) = self.running()?;
        lanes.receive(port, max, frames)
    }

    /// Hands frames to the device, in order, with one doorbell; tells how many were taken. Fewer than all: the ring is full until something
    /// completes, or something is wrong with the frame after them or with the NIC, which the next call reports. Frames that were taken are
    /// in the NIC's books whatever happens: [`recover`](Self::recover) sends them again if need be.
    ///
    /// # Errors
    /// [`NicError::Tx`] if the first frame cannot be sent; [`NicError::Stopped`] if the transmit queue does not run any more;
    /// [`NicError::Device`].
    pub fn tx_batch(&mut self, frames: &[TxFrame<'_>]) -> Result<usize, NicError> {
        let caps = self.caps;
        let (lanes, port, completed) = self.running()?;
        lanes.tx.check()?;
        let mut count = 0;
        let mut error = None;
        loop {
            count += lanes.submission.push_run(&frames[count..], caps);
            let Some(frame) = frames.get(count) else {
                break;
            };
            let last = count + 1 == frames.len();
            match lanes.submit(port, completed, caps, frame, last) {
                Ok(true) => count += 1,
                Ok(false) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
            if let Some(image) = lanes.submission.image() {
                if let Err(e) = port.push(image) {
                    error = Some(e);
                    break;
                }
            }
        }
        lanes.tell_sent(port, count, error)
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
        let (lanes, port, completed) = self.running()?;
        let result = lanes.reap(port, completed);
        if completed.is_empty() {
            result?;
        }
        if lanes.tx.is_running() && lanes.tx.untold() >= DOORBELL_BATCH {
            let producer = lanes.submission.producer();
            lanes.tx.ring_doorbell(port, producer, false)?;
        }
        // Mostly there is nothing to tell.
        if completed.is_empty() {
            return Ok(Vec::new());
        }
        Ok(completed.drain(..).collect())
    }

    /// Most bytes of TCP payload in a packet that is cut into segments by the hardware; 0 if it cannot.
    pub fn max_segmented(&self) -> usize {
        let lanes = self.lanes.as_ref().filter(|_| self.caps.tso);
        lanes.map_or(0, |l| l.submission.max_segmented())
    }

    /// SQEs that the device has not completed; 0: all frames were handed to the MAC or failed.
    pub fn tx_outstanding(&self) -> usize {
        let lanes = self.lanes.as_ref();
        lanes.map_or(0, |l| l.submission.outstanding().into())
    }

    /// Longest frame that can be handed over, in bytes; what the wire takes is another matter.
    pub fn tx_max_frame(&self) -> usize {
        let lanes = self.lanes.as_ref();
        lanes.map_or(0, |l| l.submission.max_frame())
    }

    /// The events since the last call. The device writes a completion without a neighbour before the event that resolves it: take events
    /// first and [`tx_completions`](Self::tx_completions) second, but act on the completions first. Then no packet waits for an event that
    /// has passed.
    ///
    /// # Errors
    /// [`NicError::Stopped`] if the event queue does not run any more; [`NicError::Device`], [`NicError::Gone`].
    pub fn events(&mut self) -> Result<Vec<NicEvent>, NicError> {
        let Some(lanes) = &mut self.lanes else {
            return Err(NicError::Gone);
        };
        let (port, salvaged) = (&mut self.port, &mut self.salvaged);
        lanes.events.check()?;
        let mut events: Vec<_> = salvaged.events.drain(..).collect();
        while let Some(words) = lanes.events.ring.next() {
            let event = match event::decode(&Event::from_words(words)) {
                Ok(RawEvent::Ready(event)) => event,
                Ok(RawEvent::QueueError(queue)) => {
                    let status = port.read(queue.page() + regs::event_status::OFFSET)?;
                    let error = regs::event_status::ERROR.get(status);
                    tracing::error!(%queue, error, "the device stopped a queue");
                    match queue {
                        QueueName::Events => lanes.events.stopped_by_device(error),
                        QueueName::Transmit => lanes.tx.stopped_by_device(error),
                        QueueName::Receive => lanes.rx.stopped_by_device(error),
                    }
                    NicEvent::QueueError { queue, error }
                }
                Err(fault) => {
                    let stopped = lanes.events.quarantine(port, fault);
                    if events.is_empty() {
                        return Err(stopped);
                    }
                    break;
                }
            };
            events.push(event);
        }
        if lanes.events.is_running() && lanes.events.untold() > 0 {
            lanes.events.ring_doorbell(port, Index::default(), false)?;
        }
        Ok(events)
    }

    /// Asks for an interrupt at the next entry of each ring, or at once if there is one already; once only. Also tells the device of all freed
    /// slots.
    ///
    /// # Errors
    /// [`NicError::Device`].
    pub fn arm(&mut self) -> Result<(), NicError> {
        let (lanes, port, _) = self.running()?;
        if lanes.events.is_running() {
            lanes.events.arm(port, Index::default())?;
        }
        if lanes.tx.is_running() && lanes.submission.outstanding() > 0 {
            lanes.tx.arm(port, lanes.submission.producer())?;
        }
        if lanes.rx.is_running() {
            lanes.receive.refill();
            lanes.rx.arm(port, lanes.receive.producer())?;
        }
        barriers::after_arm();
        Ok(())
    }

    /// Whether a ring that is in use has something to take, or completions wait to be fetched.
    pub fn has_work(&self) -> bool {
        let ready = |lane: &Lane| lane.is_running() && lane.ring.has_entry();
        self.has_left_over()
            || self
                .lanes
                .as_ref()
                .is_some_and(|l| ready(&l.rx) || ready(&l.tx) || ready(&l.events))
    }

    /// Whether there is something to take that is in no ring any more.
    #[inline]
    fn has_left_over(&self) -> bool {
        let salvaged = &self.salvaged;
        !(self.completed.is_empty() && salvaged.frames.is_empty() && salvaged.events.is_empty())
    }

    /// Whether [`rx_batch`](Self::rx_batch), [`events`](Self::events) and [`tx_completions`](Self::tx_completions) have nothing to tell and
    /// nothing to do: no entry in a ring, no slot that came back, no queue that has stopped. Cheaper than asking them.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        let quiet = |lane: &Lane| lane.is_running() && !lane.ring.has_entry();
        !self.has_left_over()
            && self.lanes.as_ref().is_some_and(|l| {
                quiet(&l.rx) && quiet(&l.tx) && quiet(&l.events) && !l.receive.has_returned()
            })
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
        let Some(lanes) = &mut self.lanes else {
            return Ok(());
        };
        for lane in [&mut lanes.events, &mut lanes.tx, &mut lanes.rx] {
            if lane.is_running() {
                lane.look(&mut self.port)?;
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
        match self.port.read(regs::magic::OFFSET)? {
            regs::MAGIC => Ok(()),
            other => Err(NicError::Magic(other)),
        }
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

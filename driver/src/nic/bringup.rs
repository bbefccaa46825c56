//! Opening a NIC, and closing it in the order that leaves no DMA behind.
use super::config::{self, MacAddress, NicConfig};
use super::error::NicError;
use super::filter::{Multicast, Vlans};
use super::layout::Layout;
use super::port::Port;
use super::queue::{Disabled, Lane, QueueName, Quiesced};
use super::recovery::{Rings, Salvaged};
use super::stats::Caps;
use super::{Lanes, Mapping, Nic};
use crate::iova::HUGE_PAGE;
use crate::irq::Irq;
use crate::pci::has_slow_link;
use crate::ring::completion::CompletionRing;
use crate::ring::receive::ReceiveRing;
use crate::ring::slots::SlotPool;
use crate::ring::submission::SubmissionRing;
use crate::{Clock, Device, DeviceError};
use ferrule_abi::regs;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Offset of the command register in configuration space, and its bits (PCI Local Bus 3.0, table 6-1).
const PCI_COMMAND: u16 = 4;
const MEMORY_SPACE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;

/// Longest frame of Ethernet in bytes, with FCS and an 802.1Q tag (IEEE 802.3 clause 3.2.7).
const USUAL_FRAME: u16 = 1_522;

/// MSI-X vectors: the order of [`Nic::irq_fds`].
const VECTOR_EVENTS: u32 = 0;
const VECTOR_TX: u32 = 1;
const VECTOR_RX: u32 = 2;

/// Offsets that all kinds of queue page share; `queue` relies on it.
const _: () = {
    assert!(regs::tx_ctrl::OFFSET == regs::event_ctrl::OFFSET);
    assert!(regs::rx_ctrl::OFFSET == regs::event_ctrl::OFFSET);
    assert!(regs::tx_status::OFFSET == regs::event_status::OFFSET);
    assert!(regs::rx_status::OFFSET == regs::event_status::OFFSET);
    assert!(regs::tx_doorbell::OFFSET == regs::event_doorbell::OFFSET);
    assert!(regs::rx_doorbell::OFFSET == regs::event_doorbell::OFFSET);
};

fn low(address: u64) -> u32 {
    address as u32
}
fn high(address: u64) -> u32 {
    (address >> 32) as u32
}

impl Port {
    /// Sets and clears bits of the PCI command register.
    fn pci_command(&mut self, set: u16, clear: u16) -> Result<(), DeviceError> {
        let mut bytes = [0; 2];
        self.device.config_read(PCI_COMMAND, &mut bytes)?;
        let command = u16::from_le_bytes(bytes) & !clear | set;
        self.device
            .config_write(PCI_COMMAND, &command.to_le_bytes())
    }

    /// Lets the device answer register accesses.
    pub(super) fn enable_memory(&mut self) -> Result<(), DeviceError> {
        self.pci_command(MEMORY_SPACE, 0)
    }

    /// Lets the device access memory of its own accord, or forbids it.
    pub(super) fn set_bus_master(&mut self, on: bool) -> Result<(), DeviceError> {
        match on {
            true => self.pci_command(BUS_MASTER, 0),
            false => self.pci_command(0, BUS_MASTER),
        }
    }

    /// CTRL.RESET, and waits until it is done.
    pub(super) fn reset(&mut self) -> Result<(), NicError> {
        self.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1))?;
        self.wait_clear(regs::status::OFFSET, regs::status::RESETTING, "its reset")
    }

    /// Is it ours, and does it speak our register map?
    pub(super) fn identify(&mut self) -> Result<Caps, NicError> {
        match self.read(regs::magic::OFFSET)? {
            regs::MAGIC => {}
            other => return Err(NicError::Magic(other)),
        }
        let version = self.read(regs::version::OFFSET)?;
        if version >> 16 != regs::VERSION >> 16 {
            return Err(NicError::Version(version));
        }
        Ok(Caps::from_register(self.read(regs::caps::OFFSET)?))
    }

    /// The MAC address in force.
    pub(super) fn mac(&mut self) -> Result<MacAddress, NicError> {
        let [a, b, c, d] = self.read(regs::mac_lo::OFFSET)?.to_le_bytes();
        let [e, f, ..] = self.read(regs::mac_hi::OFFSET)?.to_le_bytes();
        Ok([a, b, c, d, e, f])
    }
}

impl Nic {
    /// Resets the device, checks what it is, gives it memory, sets it up as `config` says and starts it.
    ///
    /// # Errors
    /// See [`NicError`]; the device is left reset, without memory.
    pub fn open(
        device: Box<dyn Device>,
        clock: Arc<dyn Clock>,
        config: &NicConfig,
    ) -> Result<Self, NicError> {
        let mut port = Port { device, clock };
        let suited = match has_slow_link(&mut *port.device)? {
            true => &config.clone().for_slow_link(),
            false => config,
        };
        Self::open_as(port, suited)
    }

    fn open_as(mut port: Port, config: &NicConfig) -> Result<Self, NicError> {
        config.check()?;
        port.enable_memory()?;
        let caps = port.identify()?;
        let pushing;
        let config = match caps.push_only && !config.push {
            true => {
                pushing = config.clone().for_slow_link();
                pushing.check()?;
                &pushing
            }
            false => config,
        };
        let vlan = config.vlan_strip || config.vlans.is_some();
        let arp = config.arp_announce || config.arp_defend;
        let pause = config.pause_receive || config.pause_send;
        // PUSH mode has a limit of its own, between the two.
        let long = config.max_frame > USUAL_FRAME && !config.push;
        for (wanted, there, what) in [
            (vlan, caps.vlan, "802.1Q support"),
            (arp, caps.arp_entries, "ARP announcements"),
            (pause, caps.pause, "flow control by PAUSE frames"),
            (long, caps.jumbo, "jumbo frames"),
            (config.push, caps.push, "PUSH mode"),
            (config.echo, caps.echo, "answers to ICMP echo requests"),
        ] {
            if wanted && !there {
                return Err(NicError::Unsupported(what));
            }
        }
        let irq = || {
            Irq::new().map_err(|source| NicError::Os {
                doing: "making an eventfd",
                source,
            })
        };
        let irqs = [irq()?, irq()?, irq()?];
        let mut vlans = Vlans::default();
        for id in config.vlans.iter().flatten() {
            vlans.set(*id, true)?;
        }
        // From here on, dropping it undoes what was done.
        let mut nic = Self {
            port,
            irqs,
            mapping: None,
            lanes: None,
            completed: VecDeque::new(),
            salvaged: Salvaged::default(),
            progress: None,
            config: config.clone(),
            caps,
            mac: [0; 6],
            multicast: Multicast::default(),
            vlans,
            static_neighbours: BTreeMap::new(),
            stepped_ns: 0,
            clock_rate: 0,
            announces: false,
        };
        nic.port.reset()?;
        nic.set_up_port()?;
        let layout = Layout::new(config);
        nic.give_memory(layout.len)?;
        nic.attach_irqs()?;
        nic.port.set_bus_master(true)?;
        nic.run()?;
        nic.announces = config.arp_announce;
        nic.announce_all(&config.addresses)?;
        tracing::info!(
            backend = nic.backend(),
            mac = config::mac_text(&nic.mac),
            huge_pages = nic.has_huge_pages(),
            "NIC up"
        );
        Ok(nic)
    }

    /// Attaches the interrupts' eventfds to their vectors.
    pub(super) fn attach_irqs(&mut self) -> Result<(), NicError> {
        let fds: Vec<_> = self.irqs.iter().map(|irq| irq.as_fd()).collect();
        Ok(self.port.device.enable_msix(&fds)?)
    }

    /// Starts the queues of a NIC that is set up, then receiver and transmitter.
    pub(super) fn run(&mut self) -> Result<(), NicError> {
        let Some(mapping) = &self.mapping else {
            return Err(NicError::Gone);
        };
        let kept = self.salvaged.rings.take();
        let mut rings = kept.unwrap_or_else(|| self.new_rings(mapping));
        match self.start_queues(&mut rings) {
            Ok([events, tx, rx]) => {
                let Rings {
                    submission,
                    receive,
                } = rings;
                self.lanes = Some(Lanes {
                    events,
                    tx,
                    rx,
                    submission,
                    receive,
                });
            }
            Err(e) => {
                self.salvaged.rings = Some(rings);
                return Err(e);
            }
        }
        let loopback = regs::ctrl::LOOPBACK.of(self.config.loopback.into());
        let enable = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1) | loopback;
        self.port.write(regs::ctrl::OFFSET, enable)?;
        // Writes are posted: a read shows that all of them have arrived.
        self.port.read(regs::ctrl::OFFSET)?;
        Ok(())
    }

    /// Programs all that the queues do not depend on, into a device that was reset.
    pub(super) fn set_up_port(&mut self) -> Result<(), NicError> {
        let config = self.config.clone();
        if let Some(mac) = config.mac {
            let [a, b, c, d, e, f] = mac;
            let lo = u32::from_le_bytes([a, b, c, d]);
            self.port.write(regs::mac_lo::OFFSET, lo)?;
            let hi = u16::from_le_bytes([e, f]);
            self.port.write(regs::mac_hi::OFFSET, hi.into())?;
        }
        self.mac = self.port.mac()?;
        if !config::is_station(&self.mac) {
            return Err(NicError::NoMac);
        }
        // A build without flow control has no such register.
        let flow = config.flow();
        if flow != 0 {
            self.port.write(regs::flow::OFFSET, flow)?;
        }
        self.port.write(regs::rxctl::OFFSET, config.rxctl())?;
        // What a build does not have reads back as it is.
        let kept = self.port.read(regs::rxctl::OFFSET)?;
        let most = regs::rxctl::MAX_FRAME.get(kept) as u16;
        if most < config.max_frame {
            let asked = config.max_frame;
            return Err(NicError::MaxFrame { asked, most });
        }
        if self.caps.hash {
            for (n, bytes) in (0..).zip(config.hash_key.chunks_exact(4)) {
                let word = bytes.try_into().map_or(0, u32::from_le_bytes);
                let offset = regs::hash_key::REGISTER.offset_of(n);
                self.port.write(offset, word)?;
            }
        }
        let mut filters = self.vlans.writes();
        filters.extend(self.multicast.writes());
        self.write_all(&filters)?;
        let arpctl = self.port.read(regs::arpctl::OFFSET)?;
        self.port
            .write(regs::arpctl::OFFSET, config.arpctl(arpctl))?;
        let times = self.port.read(regs::arptime::OFFSET)?;
        let times = config.arp_times(times)?;
        self.port.write(regs::arptime::OFFSET, times)?;
        self.set_addresses(&config.addresses, &config.gateways)
    }

    fn give_memory(&mut self, len: usize) -> Result<(), NicError> {
        let device = &mut self.port.device;
        let memory = device.dma_memory(len)?;
        let len = memory.len();
        let iova = match device.bus_address(&memory)? {
            Some(address) => address,
            // Asking for a huge page aligns the start, and with it the slots, however large they are.
            None => device
                .reserve_iova(&self.config.iova, (len as u64).max(HUGE_PAGE))
                .ok_or(NicError::NoIova { len })?,
        };
        device.dma_map(iova, &memory)?;
        self.mapping = Some(Mapping { memory, iova });
        Ok(())
    }

    /// Rings that hold nothing, in the NIC's memory.
    fn new_rings(&self, mapping: &Mapping) -> Rings {
        let (config, memory) = (&self.config, &mapping.memory);
        let layout = Layout::new(config);
        let submission = SubmissionRing::new(
            memory.clone(),
            mapping.iova,
            layout.sq,
            layout.buffers,
            config.sq_log2,
            config.push,
        );
        let pool = SlotPool::new(memory.clone(), layout.slots, config.slot_log2, config.slots);
        let receive = ReceiveRing::new(
            memory.clone(),
            layout.rxq,
            config.rxq_log2,
            Arc::new(pool),
            config.slots,
            config.push,
        );
        Rings {
            submission,
            receive,
        }
    }

    /// Sets the queues up and starts them: those for events, transmission and reception.
    fn start_queues(&mut self, rings: &mut Rings) -> Result<[Lane; 3], NicError> {
        let Some(Mapping { memory, iova }) = &self.mapping else {
            return Err(NicError::Gone);
        };
        let config = &self.config;
        let layout = Layout::new(config);
        let at = |offset: usize| iova + offset as u64;
        let ring = |offset, log2| CompletionRing::new(memory.clone(), offset, log2);
        let port = &mut self.port;

        let events = ring(layout.events, config.event_log2);
        let size = regs::event_cfg::CQ_LOG2.of(config.event_log2.into());
        let setup = [
            (
                regs::event_cfg::OFFSET,
                size | regs::event_cfg::VECTOR.of(VECTOR_EVENTS),
            ),
            (regs::event_cq_base_lo::OFFSET, low(at(layout.events))),
            (regs::event_cq_base_hi::OFFSET, high(at(layout.events))),
        ];
        let queue = Disabled(QueueName::Events).start(port, &setup)?;
        let events = Lane::new(queue, events);

        let completions = ring(layout.txcq, config.txcq_log2);
        let sizes = regs::tx_cfg::SQ_LOG2.of(config.sq_log2.into())
            | regs::tx_cfg::CQ_LOG2.of(config.txcq_log2.into());
        let setup = [
            (
                regs::tx_cfg::OFFSET,
                sizes
                    | regs::tx_cfg::VECTOR.of(VECTOR_TX)
                    | regs::tx_cfg::PUSH.of(config.push.into()),
            ),
            (regs::tx_sq_base_lo::OFFSET, low(at(layout.sq))),
            (regs::tx_sq_base_hi::OFFSET, high(at(layout.sq))),
            (regs::tx_cq_base_lo::OFFSET, low(at(layout.txcq))),
            (regs::tx_cq_base_hi::OFFSET, high(at(layout.txcq))),
        ];
        let queue = Disabled(QueueName::Transmit).start(port, &setup)?;
        let tx = Lane::new(queue, completions);

        let completions = ring(layout.rxcq, config.rxcq_log2);
        let sizes = regs::rx_cfg::RXQ_LOG2.of(config.rxq_log2.into())
            | regs::rx_cfg::CQ_LOG2.of(config.rxcq_log2.into());
        let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(config.slot_log2.into())
            | regs::rx_slot_cfg::COUNT.of(config.slots.into());
        let setup = [
            (
                regs::rx_cfg::OFFSET,
                sizes
                    | regs::rx_cfg::VECTOR.of(VECTOR_RX)
                    | regs::rx_cfg::IN_ORDER.of(config.push.into()),
            ),
            (regs::rx_rxq_base_lo::OFFSET, low(at(layout.rxq))),
            (regs::rx_rxq_base_hi::OFFSET, high(at(layout.rxq))),
            (regs::rx_cq_base_lo::OFFSET, low(at(layout.rxcq))),
            (regs::rx_cq_base_hi::OFFSET, high(at(layout.rxcq))),
            (regs::rx_slot_base_lo::OFFSET, low(at(layout.slots))),
            (regs::rx_slot_base_hi::OFFSET, high(at(layout.slots))),
            (regs::rx_slot_cfg::OFFSET, slots),
        ];
        let queue = Disabled(QueueName::Receive).start(port, &setup)?;
        let mut rx = Lane::new(queue, completions);
        rings.receive.refill();
        rx.ring_doorbell(port, rings.receive.producer(), false)?;
        Ok([events, tx, rx])
    }

    /// Stops the NIC as dropping it does, and tells what went wrong.
    ///
    /// # Errors
    /// The first error; all that could be done was done.
    pub fn close(mut self) -> Result<(), NicError> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), NicError> {
        let mut result = match self.lanes.take() {
            Some(lanes) => self.quiesce(lanes),
            // Not all queues were started: a reset ends those that were.
            None if self.mapping.is_some() => self.port.reset(),
            None => return Ok(()),
        };
        if result.is_err() {
            // Whatever still runs is ended by force; it is the first error that is reported.
            let reset = self.port.reset();
            tracing::warn!(?reset, "the NIC did not stop in order and was reset");
        }
        let device = &mut self.port.device;
        let mut note = |step: Result<(), DeviceError>| {
            if result.is_ok() {
                result = step.map_err(NicError::from);
            }
        };
        note(device.disable_msix());
        note(self.port.set_bus_master(false));
        if let Some(Mapping { memory, iova }) = self.mapping.take() {
            note(self.port.device.dma_unmap(iova, memory.len()));
        }
        result
    }

    /// Receive first, so that nothing new comes in; events last, so that they can tell of the others.
    fn quiesce(&mut self, lanes: Lanes) -> Result<(), NicError> {
        let port = &mut self.port;
        let Quiesced = lanes.rx.stop(port)?;
        let Quiesced = lanes.tx.stop(port)?;
        let Quiesced = lanes.events.stop(port)?;
        port.write(regs::ctrl::OFFSET, 0)
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        match self.shut_down() {
            Ok(()) | Err(NicError::Gone) => {}
            Err(e) => tracing::warn!(error = %e, "the NIC was not closed in order"),
        }
    }
}

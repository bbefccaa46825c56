//! Opening a NIC, and closing it in the order that leaves no DMA behind.
use super::config::{self, MacAddress, NicConfig};
use super::error::NicError;
use super::filter::{Multicast, Vlans};
use super::home::Home;
use super::layout::Layout;
use super::pair::Pair;
use super::port::Port;
use super::queue::{Lane, Quiesced};
use super::setup::Plan;
use super::stats::Caps;
use super::{steering, Mapping, Nic};
use crate::iova::HUGE_PAGE;
use crate::irq::Irq;
use crate::pci::has_slow_link;
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

fn irq() -> Result<Irq, NicError> {
    Irq::new().map_err(|source| NicError::Os {
        doing: "making an eventfd",
        source,
    })
}

impl Port {
    /// The place of all pairs but pair 0, each with its handle for the registers.
    fn home(&mut self, caps: Caps, config: &NicConfig) -> Result<Home, NicError> {
        let mut pairs = Vec::new();
        for _ in 1..config.queue_pairs {
            let Some(registers) = self.device.share_registers()? else {
                let backend = self.device.backend();
                return Err(NicError::NotShared { backend });
            };
            pairs.push((registers, irq()?));
        }
        // Nobody asks for it who has no pair.
        let gone = self.device.gone_fd().filter(|_| !pairs.is_empty());
        let clock = Arc::clone(&self.clock);
        let home = Home::new(pairs, caps, clock, config.watchdog, gone);
        home.map_err(|source| NicError::Os {
            doing: "copying a descriptor",
            source,
        })
    }

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
        let pairs = config.queue_pairs;
        if pairs > caps.queues.max(1) {
            let (asked, there) = (pairs, caps.queues);
            return Err(NicError::TooManyPairs { asked, there });
        }
        if pairs > 1 && !caps.hash {
            return Err(NicError::Unsupported("flow hash"));
        }
        let irqs = [irq()?, irq()?, irq()?];
        let home = Arc::new(port.home(caps, config)?);
        let mut vlans = Vlans::default();
        for id in config.vlans.iter().flatten() {
            vlans.set(*id, true)?;
        }
        // From here on, dropping it undoes what was done.
        let mut nic = Self {
            port,
            irqs,
            mapping: None,
            events: None,
            salvaged: VecDeque::new(),
            pair: Pair::new(0, caps),
            home,
            indirection: steering::even(pairs),
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
        nic.give_memory(Layout::new(config).len)?;
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
        let irqs = self.irqs.iter().chain(self.home.irqs());
        let fds: Vec<_> = irqs.map(|irq| irq.as_fd()).collect();
        Ok(self.port.device.enable_msix(&fds)?)
    }

    /// Starts the queues of a NIC that is set up, then receiver and transmitter.
    pub(super) fn run(&mut self) -> Result<(), NicError> {
        let started = self.start_queues();
        if started.is_err() {
            // Some may run: they are taken for none, until a reset ends them.
            self.each_pair(|pair, _| {
                pair.lay_down();
                Ok(())
            })?;
        }
        self.events = Some(started?);
        let loopback = regs::ctrl::LOOPBACK.of(self.config.loopback.into());
        let enable = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1) | loopback;
        self.port.write(regs::ctrl::OFFSET, enable)?;
        // Writes are posted: a read shows that all of them have arrived.
        self.port.read(regs::ctrl::OFFSET)?;
        Ok(())
    }

    /// Starts all queues; gives that for events.
    fn start_queues(&mut self) -> Result<Lane, NicError> {
        let Some(mapping) = &self.mapping else {
            return Err(NicError::Gone);
        };
        let plan = Plan::new(&self.config, mapping);
        let registers = self.port.registers();
        let events = plan.start_events(registers)?;
        plan.start(&mut self.pair, registers)?;
        self.home.each(|pair| plan.start(pair, registers))?;
        Ok(events)
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
        self.write_indirection()?;
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

    /// Stops the NIC as dropping it does, and tells what went wrong.
    ///
    /// # Errors
    /// The first error; all that could be done was done.
    pub fn close(mut self) -> Result<(), NicError> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), NicError> {
        if self.mapping.is_none() {
            return Ok(());
        }
        let away = self.home.recall();
        let mut result = match self.events.take() {
            Some(events) if away == 0 => self.quiesce(events),
            // Not all queues were started, or not all are here to be stopped: a reset ends those that run.
            _ => self.port.reset(),
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
    fn quiesce(&mut self, events: Lane) -> Result<(), NicError> {
        let mut all = Vec::new();
        self.each_pair(|pair, _| {
            all.extend(pair.lanes.take().map(|lanes| (lanes.rx, lanes.tx)));
            Ok(())
        })?;
        let (rx, tx): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let port = &mut self.port;
        for lane in rx.into_iter().chain(tx).chain([events]) {
            let Quiesced = lane.stop(port)?;
        }
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

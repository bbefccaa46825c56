//! A queue's registers, by its state: Disabled -> Running -> Quiesced. Only a running queue has a doorbell; memory is taken back from a quiesced one.
use super::error::{NicError, Stop};
use super::port::Port;
use crate::barriers;
use crate::ring::completion::CompletionRing;
use crate::ring::{Index, RingFault};
use crate::Registers;
use ferrule_abi::regs::{self, event_ctrl, event_doorbell, event_status, queue_error};
use ferrule_abi::ring::doorbell;
use std::fmt;

/// A queue of the NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueName {
    /// The event queue.
    Events,
    /// The transmit queue of the pair with this number.
    Transmit(u8),
    /// The receive queue of the pair with this number.
    Receive(u8),
}

impl QueueName {
    /// Byte offset of its page in BAR0.
    pub(crate) fn page(self) -> u32 {
        match self {
            Self::Events => regs::event_page(),
            Self::Transmit(pair) => regs::tx_page(pair.into()),
            Self::Receive(pair) => regs::rx_page(pair.into()),
        }
    }

    /// The queue whose page has this number, of a NIC with so many pairs.
    pub(crate) fn of_page(number: u16, pairs: u8) -> Option<Self> {
        let page = regs::queue_page(number.into());
        let of_pair = |pair| [Self::Transmit(pair), Self::Receive(pair)];
        let mut all = std::iter::once(Self::Events).chain((0..pairs).flat_map(of_pair));
        all.find(|queue| queue.page() == page)
    }

    /// Why the queue does not run, if it does not; asks the device.
    pub(crate) fn look(self, registers: &mut dyn Registers) -> Result<Option<Stop>, NicError> {
        let status = registers.read(self.page() + event_status::OFFSET)?;
        Ok(match event_status::ERROR.get(status) {
            queue_error::NONE if event_status::RUNNING.get(status) == 1 => None,
            queue_error::NONE => Some(Stop::Reset),
            error => Some(Stop::ByDevice(error)),
        })
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("event queue"),
            Self::Transmit(pair) => write!(f, "transmit queue {pair}"),
            Self::Receive(pair) => write!(f, "receive queue {pair}"),
        }
    }
}

/// A queue that is off and may be set up.
#[derive(Debug)]
pub(crate) struct Disabled(pub(crate) QueueName);

/// A queue that runs.
#[derive(Debug)]
pub(crate) struct Running {
    name: QueueName,
    /// Byte offset of its page in BAR0.
    page: u32,
}

/// A queue of which the device has said that it does nothing more.
#[derive(Debug)]
pub(crate) struct Quiesced;

impl Disabled {
    /// Writes the set-up (offsets in the page and values) and enables the queue.
    pub(crate) fn start(
        self,
        registers: &mut dyn Registers,
        setup: &[(u32, u32)],
    ) -> Result<Running, NicError> {
        let Self(name) = self;
        let page = name.page();
        for (offset, value) in setup {
            registers.write(page + offset, *value)?;
        }
        registers.write(page + event_ctrl::OFFSET, event_ctrl::ENABLE.of(1))?;
        // A set-up that the device refuses shows at once; the event queue could not tell of its own.
        let status = registers.read(page + event_status::OFFSET)?;
        match event_status::ERROR.get(status) {
            queue_error::NONE => Ok(Running { name, page }),
            error => Err(NicError::Stopped {
                queue: name,
                why: Stop::ByDevice(error),
            }),
        }
    }
}

impl Running {
    /// Disables the queue and waits until the device has finished with it.
    pub(crate) fn stop(self, port: &mut Port) -> Result<Quiesced, NicError> {
        port.write(self.page + event_ctrl::OFFSET, 0)?;
        let status = self.page + event_status::OFFSET;
        port.wait_clear(status, event_status::RUNNING, "stopping a queue")?;
        Ok(Quiesced)
    }
}

/// A running queue with its completion ring: what is common to all three kinds.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: Running,
    pub(crate) ring: CompletionRing,
    /// What the last doorbell told.
    told: (Index, Index),
    /// How far the host had read when it asked for an interrupt last.
    armed: Option<Index>,
    /// Why it is not used any more.
    stopped: Option<Stop>,
}

impl Lane {
    pub(crate) fn new(queue: Running, ring: CompletionRing) -> Self {
        Self {
            queue,
            ring,
            told: (Index::default(), Index::default()),
            armed: None,
            stopped: None,
        }
    }

    pub(crate) fn name(&self) -> QueueName {
        self.queue.name
    }

    /// # Errors
    /// [`NicError::Stopped`].
    pub(crate) fn check(&self) -> Result<(), NicError> {
        match self.stopped {
            None => Ok(()),
            Some(why) => Err(NicError::Stopped {
                queue: self.name(),
                why,
            }),
        }
    }

    /// Whether what is in its ring is to be believed, be it running or not.
    pub(crate) fn is_trusted(&self) -> bool {
        !matches!(self.stopped, Some(Stop::Quarantined(_)))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.stopped.is_none()
    }

    /// Asks the device whether the queue still runs, and remembers if it does not.
    pub(crate) fn look(&mut self, registers: &mut dyn Registers) -> Result<(), NicError> {
        if let Some(why) = self.name().look(registers)? {
            self.stopped_by_device(why);
        }
        Ok(())
    }

    /// It does not run any more, for a reason of the device's.
    pub(crate) fn stopped_by_device(&mut self, why: Stop) {
        self.stopped.get_or_insert(why);
    }

    /// Nothing more is read from its ring, and the device is told to stop.
    pub(crate) fn quarantine(
        &mut self,
        registers: &mut dyn Registers,
        fault: RingFault,
    ) -> NicError {
        let (queue, why) = (self.name(), Stop::Quarantined(fault));
        tracing::error!(%queue, %fault, "a queue is quarantined");
        self.stopped.get_or_insert(why);
        let off = registers.write(self.queue.page + event_ctrl::OFFSET, 0);
        if let Err(e) = off {
            tracing::warn!(%queue, error = %e, "a quarantined queue could not be disabled");
        }
        NicError::Stopped { queue, why }
    }

    /// How far the host has read beyond what the device was told.
    pub(crate) fn untold(&self) -> u16 {
        self.ring.consumer().since(self.told.1)
    }

    /// Tells the device of `producer` and of how far the host has read.
    pub(crate) fn ring_doorbell(
        &mut self,
        registers: &mut dyn Registers,
        producer: Index,
        arm: bool,
    ) -> Result<(), NicError> {
        let consumer = self.ring.consumer();
        if !arm && self.told == (producer, consumer) {
            return Ok(());
        }
        let word = doorbell::PRODUCER.of(producer.value())
            | doorbell::CONSUMER.of(consumer.value())
            | doorbell::ARM.of(arm.into());
        barriers::before_doorbell();
        registers.write(self.queue.page + event_doorbell::OFFSET, word)?;
        self.told = (producer, consumer);
        if arm {
            self.armed = Some(consumer);
        }
        Ok(())
    }

    /// Asks for an interrupt at the next entry, or at once if there is one. The device still owes one that nothing came for: it is not asked
    /// twice.
    pub(crate) fn arm(
        &mut self,
        registers: &mut dyn Registers,
        producer: Index,
    ) -> Result<(), NicError> {
        let consumer = self.ring.consumer();
        let is_owed = self.armed == Some(consumer) && !self.ring.has_entry();
        if is_owed && self.told == (producer, consumer) {
            return Ok(());
        }
        self.ring_doorbell(registers, producer, true)
    }

    pub(crate) fn stop(self, port: &mut Port) -> Result<Quiesced, NicError> {
        self.queue.stop(port)
    }
}

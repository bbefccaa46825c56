//! Faults planted on purpose, one kind for each that hardware and models of it are prone to: a mask that is wrong, a carry that is lost, a
//! flag that comes late. The bench must find every one of them in every implementation.
use std::path::Path;

use ferrule_abi::ring::{cqe_status, ENTRY_SIZE};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::{Engine, EngineError};
use ferrule_sim::model::{Bus, ReadOutcome};
use ferrule_sim::root_complex::Access;

use super::modelled::Between;

/// Cycles by which a flag is late.
const LATE_CYCLES: u64 = 5_000;
/// Addresses that a carry out of bit 31 has led to.
const CARRIED: std::ops::Range<u64> = 1 << 32..(1 << 32) + (1 << 20);
/// Header with four DWs, in the first DW of a TLP.
const LONG_HEADER: u32 = 1 << 29;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A bit of a register is not kept, or not shown.
    WrongMask,
    /// An address has lost the carry from its lower half to its upper one.
    LostCarry,
    /// A status is that of before.
    LateFlag,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WrongMask, Self::LostCarry, Self::LateFlag];
}

/// An engine with a fault at its pins.
pub struct FaultyEngine {
    engine: Box<dyn Engine>,
    fault: Fault,
    /// The next beat of the device is the second of a TLP with a long header.
    address_follows: bool,
    within: bool,
    link_up: bool,
    link_since: u64,
}

impl FaultyEngine {
    /// `engine` with `fault`.
    pub fn new(engine: Box<dyn Engine>, fault: Fault) -> Self {
        Self {
            engine,
            fault,
            address_follows: false,
            within: false,
            link_up: false,
            link_since: 0,
        }
    }

    fn lose_carry(&mut self, outputs: &mut Outputs, taken: bool) {
        let Some(beat) = &mut outputs.tlp_tx else {
            return;
        };
        if self.address_follows && beat.d0 == 1 && u64::from(beat.d1) + (1 << 32) < CARRIED.end {
            beat.d0 = 0;
        }
        if taken {
            self.address_follows = !self.within && beat.d0 & LONG_HEADER != 0;
            self.within = !beat.last;
        }
    }

    fn delay_link(&mut self, inputs: &mut Inputs) {
        let now = self.engine.cycles();
        if inputs.link_up == self.link_up {
            self.link_since = now;
        } else if now - self.link_since >= LATE_CYCLES {
            self.link_up = inputs.link_up;
        }
        inputs.link_up = self.link_up;
    }
}

impl Engine for FaultyEngine {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        let mut seen = *inputs;
        match self.fault {
            Fault::WrongMask => seen.link_speed &= 1,
            Fault::LateFlag => self.delay_link(&mut seen),
            Fault::LostCarry => {}
        }
        let mut outputs = self.engine.step(clocks, &seen);
        if self.fault == Fault::LostCarry {
            self.lose_carry(&mut outputs, inputs.tlp_tx_ready);
        }
        outputs
    }
    fn name(&self) -> &'static str {
        self.engine.name()
    }
    fn cycles(&self) -> u64 {
        self.engine.cycles()
    }
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.engine.trace_start(path)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.engine.trace_stop()
    }
}

/// A fault between the model and its host.
pub struct FaultyModel {
    fault: Fault,
    /// L4_OK of the completion before.
    flag: u8,
}

impl FaultyModel {
    /// With `fault`.
    pub fn new(fault: Fault) -> Self {
        Self { fault, flag: 0 }
    }
}

impl Between for FaultyModel {
    fn name(&self) -> &'static str {
        " with a fault"
    }

    fn access(&mut self, mut access: Access) -> Access {
        if let Access::Write {
            bar: BAR_REGS,
            offset: regs::rxctl::OFFSET,
            value,
            ..
        } = &mut access
        {
            if self.fault == Fault::WrongMask {
                *value &= !regs::rxctl::ALL_MULTICAST.mask();
            }
        }
        access
    }

    fn with_bus(&mut self, bus: &mut dyn Bus, call: &mut dyn FnMut(&mut dyn Bus)) {
        call(&mut FaultyBus { bus, faulty: self });
    }
}

struct FaultyBus<'a> {
    bus: &'a mut dyn Bus,
    faulty: &'a mut FaultyModel,
}

impl FaultyBus<'_> {
    fn address(&self, address: u64) -> u64 {
        let lost = self.faulty.fault == Fault::LostCarry && CARRIED.contains(&address);
        address - u64::from(lost) * CARRIED.start
    }
}

impl Bus for FaultyBus<'_> {
    fn read(&mut self, address: u64, out: &mut [u8], border: u64) -> ReadOutcome {
        self.bus.read(self.address(address), out, border)
    }

    fn write(&mut self, address: u64, data: &[u8], border: u64) -> u64 {
        let mut late = data.to_vec();
        if self.faulty.fault == Fault::LateFlag && data.len() == ENTRY_SIZE {
            let flag = cqe_status::L4_OK as u8;
            late[2] = data[2] & !flag | self.faulty.flag;
            self.faulty.flag = data[2] & flag;
        }
        self.bus.write(self.address(address), &late, border)
    }

    fn bus_master(&self) -> bool {
        self.bus.bus_master()
    }
    fn max_payload(&self) -> u64 {
        self.bus.max_payload()
    }
    fn max_read(&self) -> u64 {
        self.bus.max_read()
    }
    fn messages(&self) -> bool {
        self.bus.messages()
    }
}

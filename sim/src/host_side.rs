//! What a driver's side of the bus may ask of a simulated NIC, however the NIC is simulated.
use crate::config_space::ConfigSpace;
use crate::dma::DmaTable;
use crate::root_complex::{Interrupt, ReadId, RootComplex};

/// The host's side of a simulated NIC: configuration space, memory, registers, interrupts. Whoever offers the NIC to a driver, over a
/// socket or in process, goes through it. Nothing here takes simulated time: what was asked is done when the NIC's clock runs.
pub trait HostSide {
    /// The configuration space.
    fn config(&mut self) -> &mut ConfigSpace;
    /// The memory that the NIC may reach.
    fn dma(&mut self) -> &mut DmaTable;
    /// Starts a read of a register: the DW at `offset` of `bar`, `first_be` the bytes wanted. Nothing where the NIC does not decode
    /// memory: such a read is all-ones.
    fn read_register(&mut self, bar: u8, offset: u32, first_be: u8) -> Option<ReadId>;
    /// The value read, once it is there; all-ones if the NIC refused the read or did not answer.
    fn take_read(&mut self, id: ReadId) -> Option<u32>;
    /// Writes a register: posted, so it is done when the NIC takes it. Without memory decoding it goes nowhere.
    fn write_register(&mut self, bar: u8, offset: u32, first_be: u8, value: u32);
    /// Writes DWs to a BAR from `offset` on, in as few requests as may be: posted, too.
    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]);
    /// Gives an MSI-X vector to somebody, or takes it away.
    fn set_vector(&mut self, vector: u16, interrupt: Option<Interrupt>);
    /// Wakes whoever has a vector, as if the NIC had asked for it.
    fn trigger(&mut self, vector: u16);
    /// How many accesses wait for their way to the NIC.
    fn queued(&self) -> usize;
    /// Takes all vectors away and unmaps all memory: the program behind the NIC is gone. The NIC should be reset as well.
    fn release(&mut self);
    /// Resets the NIC: everything under way is forgotten, register reads answer all-ones. Configuration, memory and vectors stay.
    fn reset_device(&mut self);
}

impl HostSide for RootComplex {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }
    fn dma(&mut self) -> &mut DmaTable {
        &mut self.dma
    }
    fn read_register(&mut self, bar: u8, offset: u32, first_be: u8) -> Option<ReadId> {
        RootComplex::read_register(self, bar, offset, first_be)
    }
    fn take_read(&mut self, id: ReadId) -> Option<u32> {
        RootComplex::take_read(self, id)
    }
    fn write_register(&mut self, bar: u8, offset: u32, first_be: u8, value: u32) {
        RootComplex::write_register(self, bar, offset, first_be, value);
    }
    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) {
        RootComplex::write_block(self, bar, offset, values);
    }
    fn set_vector(&mut self, vector: u16, interrupt: Option<Interrupt>) {
        RootComplex::set_vector(self, vector, interrupt);
    }
    fn trigger(&mut self, vector: u16) {
        RootComplex::trigger(self, vector);
    }
    fn queued(&self) -> usize {
        RootComplex::queued(self)
    }
    fn release(&mut self) {
        RootComplex::release(self);
    }
    fn reset_device(&mut self) {
        RootComplex::reset_device(self);
    }
}

/// The program that had the NIC is gone: as after power-on, but for what the NIC has counted of time.
pub(crate) fn give_back(host: &mut dyn HostSide) {
    host.release();
    host.config().reset();
    host.reset_device();
}

/// A program has opened the NIC: its memory space is enabled, as a host's kernel does.
pub(crate) fn open(host: &mut dyn HostSide) {
    host.config().reset();
    host.config().enable_memory();
}

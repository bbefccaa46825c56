//! The registers of a device, apart from all else of it: what several threads may each have a handle for.
use crate::DeviceError;
use std::sync::Arc;

/// Registers, 32 bits wide on 4-byte boundaries.
pub trait Registers: Send {
    /// Reads the register at byte `offset` of a BAR. A device that is gone may read all-ones instead of failing.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError>;
    /// Writes a register. Writes are posted: those of one handle take effect in order, before any later read of it is answered; an error of
    /// the device's own is not reported here.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError>;
    /// Writes DWs to a BAR from byte `offset` on, in their order and in as few requests as the way to the device allows: for what takes more
    /// than registers do, as the push window. Posted too.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        for (at, value) in (offset..).step_by(4).zip(values) {
            self.write32(bar, at, *value)?;
        }
        Ok(())
    }
}

/// Registers that several threads may access at once: an [`Arc`] of them is a handle.
pub trait SharedRegisters: Send + Sync {
    /// [`Registers::read32`].
    ///
    /// # Errors
    /// As there.
    fn read32(&self, bar: u8, offset: u32) -> Result<u32, DeviceError>;
    /// [`Registers::write32`].
    ///
    /// # Errors
    /// As there.
    fn write32(&self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError>;
    /// [`Registers::write_block`].
    ///
    /// # Errors
    /// As there.
    fn write_block(&self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError>;
}

impl<T: SharedRegisters> Registers for Arc<T> {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        T::read32(self, bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        T::write32(self, bar, offset, value)
    }

    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        T::write_block(self, bar, offset, values)
    }
}

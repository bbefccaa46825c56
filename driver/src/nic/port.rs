//! The registers of BAR0: access, waiting with the clock, and telling a device that is gone.
use super::error::NicError;
use crate::{Clock, Device, Registers};
use ferrule_abi::{regs, Field, BAR_REGS};
use std::sync::Arc;

/// What a device that is gone reads.
const ALL_ONES: u32 = u32::MAX;
/// How long a reset, a snapshot or the end of a queue may take.
pub(crate) const LIMIT_NS: u64 = 1_000_000_000;

/// BAR0, for whoever has a handle.
impl dyn Registers + '_ {
    pub(crate) fn read(&mut self, offset: u32) -> Result<u32, NicError> {
        let value = self.read32(BAR_REGS, offset)?;
        if value == ALL_ONES && self.read32(BAR_REGS, regs::magic::OFFSET)? == ALL_ONES {
            return Err(NicError::Gone);
        }
        Ok(value)
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) -> Result<(), NicError> {
        Ok(self.write32(BAR_REGS, offset, value)?)
    }

    /// Writes to transmit queue 0's push window, from its first byte on.
    pub(crate) fn push(&mut self, values: &[u32]) -> Result<(), NicError> {
        let window = regs::push_window(0);
        Ok(self.write_block(BAR_REGS, window, values)?)
    }

    /// Whether the device is still there; reads one register.
    pub(crate) fn check_present(&mut self) -> Result<(), NicError> {
        match self.read(regs::magic::OFFSET)? {
            regs::MAGIC => Ok(()),
            other => Err(NicError::Magic(other)),
        }
    }
}

pub(crate) struct Port {
    pub(crate) device: Box<dyn Device>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Port {
    #[inline]
    pub(crate) fn registers(&mut self) -> &mut dyn Registers {
        &mut *self.device
    }

    pub(crate) fn read(&mut self, offset: u32) -> Result<u32, NicError> {
        self.registers().read(offset)
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) -> Result<(), NicError> {
        self.registers().write(offset, value)
    }

    /// Waits until `field` of the register is 0.
    pub(crate) fn wait_clear(
        &mut self,
        offset: u32,
        field: Field,
        what: &'static str,
    ) -> Result<(), NicError> {
        let start = self.clock.now();
        let mut pause = 10_000;
        while field.get(self.read(offset)?) != 0 {
            let now = self.clock.now();
            if now.saturating_sub(start) >= LIMIT_NS {
                let limit_ms = LIMIT_NS / 1_000_000;
                return Err(NicError::Stuck { what, limit_ms });
            }
            let waited = self.clock.wait(&[], Some(now + pause));
            waited.map_err(|source| NicError::Os {
                doing: "waiting for the NIC",
                source,
            })?;
            pause = (2 * pause).min(1_000_000);
        }
        Ok(())
    }
}

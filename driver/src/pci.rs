//! What a device's PCI configuration space says of it: its identity, its MSI-X vectors, its PCI Express link.
use crate::{Device, DeviceError};

/// Offset of the status register; its bit 4: there is a list of capabilities (PCI Local Bus 3.0 section 6.2.3).
const STATUS: u16 = 0x06;
const CAPABILITIES_LIST: u8 = 1 << 4;
/// Where the list begins (section 6.2.4).
const CAPABILITIES: u16 = 0x34;
/// Capabilities lie behind the header, on multiples of four, so that there are no more of them than this.
const MOST_CAPABILITIES: usize = (256 - 64) / 4;
/// Capability IDs (PCI Local Bus 3.0, appendix H).
const EXPRESS: u8 = 0x10;
const VENDOR_SPECIFIC: u8 = 0x09;
const MSIX: u8 = 0x11;

/// Who made a device, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Class code: class, subclass and interface in bits 23:0.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Vendor of the board.
    pub subsystem_vendor: u16,
    /// The board.
    pub subsystem: u16,
}

/// A PCI Express link's state and what a function may do on it (PCI Express Base 2.1 sections 7.8.3 to 7.8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Express {
    /// Speed of the link in units of 100 MT/s, 0 if the code is not known: 25, 50, 80, 160, 320.
    pub speed: u16,
    /// Lanes in use.
    pub width: u8,
    /// Fastest speed that the function has, in the same units.
    pub max_speed: u16,
    /// Lanes that it has.
    pub max_width: u8,
    /// Longest payload of a TLP in bytes, as it is set up.
    pub max_payload: u16,
    /// Longest that it could be set to.
    pub max_payload_supported: u16,
    /// Longest read request in bytes.
    pub max_read_request: u16,
    /// Whether it has a function-level reset.
    pub has_reset: bool,
}

fn bytes<const N: usize>(device: &mut dyn Device, at: u16) -> Result<[u8; N], DeviceError> {
    let mut bytes = [0; N];
    device.config_read(at, &mut bytes)?;
    Ok(bytes)
}

fn u16_at(device: &mut dyn Device, at: u16) -> Result<u16, DeviceError> {
    bytes(device, at).map(u16::from_le_bytes)
}

fn u32_at(device: &mut dyn Device, at: u16) -> Result<u32, DeviceError> {
    bytes(device, at).map(u32::from_le_bytes)
}

/// Reads the device's identity.
///
/// # Errors
/// See [`DeviceError`].
pub fn identity(device: &mut dyn Device) -> Result<Identity, DeviceError> {
    let class = u32_at(device, 0x08)?;
    Ok(Identity {
        vendor: u16_at(device, 0x00)?,
        device: u16_at(device, 0x02)?,
        class: class >> 8,
        revision: class as u8,
        subsystem_vendor: u16_at(device, 0x2C)?,
        subsystem: u16_at(device, 0x2E)?,
    })
}

/// Where the capability of this ID is.
fn capability(device: &mut dyn Device, id: u8) -> Result<Option<u16>, DeviceError> {
    let [status] = bytes(device, STATUS)?;
    if status & CAPABILITIES_LIST == 0 {
        return Ok(None);
    }
    let [mut at] = bytes(device, CAPABILITIES)?;
    for _ in 0..MOST_CAPABILITIES {
        at &= !3;
        if at < 0x40 {
            break;
        }
        let [found, next] = bytes(device, at.into())?;
        if found == id {
            return Ok(Some(at.into()));
        }
        at = next;
    }
    Ok(None)
}

/// How many MSI-X vectors the device has; 0 without MSI-X.
///
/// # Errors
/// See [`DeviceError`].
pub fn msix_vectors(device: &mut dyn Device) -> Result<u16, DeviceError> {
    let Some(at) = capability(device, MSIX)? else {
        return Ok(0);
    };
    // Table size less one, in bits 10:0 of message control (PCI Local Bus 3.0 section 6.8.2.3).
    Ok((u16_at(device, at + 2)? & 0x7FF) + 1)
}

/// Whether the device says that it is at the other end of a slow link ([`ferrule_abi::PCI_SLOW_LINK`]).
///
/// # Errors
/// See [`DeviceError`].
pub fn has_slow_link(device: &mut dyn Device) -> Result<bool, DeviceError> {
    let Some(at) = capability(device, VENDOR_SPECIFIC)? else {
        return Ok(false);
    };
    let [length, kind] = u16_at(device, at + 2)?.to_le_bytes();
    Ok(length >= 4 && kind == ferrule_abi::PCI_SLOW_LINK)
}

/// In units of 100 MT/s, by the code of the link registers.
fn speed(code: u32) -> u16 {
    let speeds = [0, 25, 50, 80, 160, 320];
    speeds.get(code as usize & 0xF).copied().unwrap_or(0)
}

/// Bytes by the three-bit code of payloads and read requests.
fn size(code: u32) -> u16 {
    128 << (code & 7).min(5)
}

/// Reads the state of the PCI Express link; none without that capability.
///
/// # Errors
/// See [`DeviceError`].
pub fn express(device: &mut dyn Device) -> Result<Option<Express>, DeviceError> {
    let Some(at) = capability(device, EXPRESS)? else {
        return Ok(None);
    };
    let capabilities = u32_at(device, at + 0x04)?;
    let control = u32::from(u16_at(device, at + 0x08)?);
    let link = u32_at(device, at + 0x0C)?;
    let state = u32::from(u16_at(device, at + 0x12)?);
    Ok(Some(Express {
        speed: speed(state),
        width: (state >> 4 & 0x3F) as u8,
        max_speed: speed(link),
        max_width: (link >> 4 & 0x3F) as u8,
        max_payload: size(control >> 5),
        max_payload_supported: size(capabilities),
        max_read_request: size(control >> 12),
        has_reset: capabilities >> 28 & 1 == 1,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DmaBuf, Registers};
    use std::os::fd::BorrowedFd;

    /// A configuration space and nothing else.
    struct Space([u8; 256]);

    impl Registers for Space {
        fn read32(&mut self, _: u8, offset: u32) -> Result<u32, DeviceError> {
            Err(DeviceError::Misaligned(offset))
        }
        fn write32(&mut self, _: u8, offset: u32, _: u32) -> Result<(), DeviceError> {
            Err(DeviceError::Misaligned(offset))
        }
    }

    impl Device for Space {
        fn backend(&self) -> &'static str {
            "bytes"
        }
        fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
            let at = usize::from(offset);
            data.copy_from_slice(&self.0[at..at + data.len()]);
            Ok(())
        }
        fn config_write(&mut self, offset: u16, _: &[u8]) -> Result<(), DeviceError> {
            Err(DeviceError::Misaligned(offset.into()))
        }
        fn dma_map(&mut self, _: u64, _: &DmaBuf) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
        fn dma_unmap(&mut self, _: u64, _: usize) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
        fn enable_msix(&mut self, _: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
        fn swap_vectors(&mut self, _: u16, _: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
        fn disable_msix(&mut self) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
        fn reset(&mut self) -> Result<(), DeviceError> {
            Err(DeviceError::NoReset)
        }
    }

    /// The configuration space of an Intel 82574L, as its data sheet has it (82574 GbE Controller Family Datasheet, chapter 9).
    fn intel_82574l() -> Space {
        let rows = [
            (0x00, "86 80 d3 10 07 04 10 00 00 00 00 02 10 00 00 00"),
            (0x20, "00 00 00 00 00 00 00 00 00 00 00 00 86 80 1f a0"),
            (0x30, "00 00 00 00 c8 00 00 00 00 00 00 00 0b 01 00 00"),
            (0xA0, "11 00 04 80 03 00 00 00 03 20 00 00 00 00 00 00"),
            (0xC0, "00 00 00 00 00 00 00 00 01 d0 22 c8 00 20 00 0e"),
            (0xD0, "05 e0 80 00 00 00 00 00 00 00 00 00 00 00 00 00"),
            (0xE0, "10 a0 01 00 c1 8c 00 00 10 28 10 00 11 1c 03 00"),
            (0xF0, "40 00 11 10 00 00 00 00 00 00 00 00 00 00 00 00"),
        ];
        let mut space = [0; 256];
        for (at, row) in rows {
            for (byte, text) in space[at..].iter_mut().zip(row.split(' ')) {
                *byte = u8::from_str_radix(text, 16).unwrap();
            }
        }
        Space(space)
    }

    #[test]
    fn a_known_card_is_read_as_its_data_sheet_says() {
        let mut card = intel_82574l();
        assert_eq!(
            identity(&mut card).unwrap(),
            Identity {
                vendor: 0x8086,
                device: 0x10D3,
                class: 0x02_0000,
                revision: 0,
                subsystem_vendor: 0x8086,
                subsystem: 0xA01F,
            }
        );
        // Five vectors; payloads of up to 256 bytes and 128 in use, reads of 512, one lane of 2.5 GT/s.
        assert_eq!(msix_vectors(&mut card).unwrap(), 5);
        assert_eq!(
            express(&mut card).unwrap(),
            Some(Express {
                speed: 25,
                width: 1,
                max_speed: 25,
                max_width: 1,
                max_payload: 128,
                max_payload_supported: 256,
                max_read_request: 512,
                has_reset: false,
            })
        );
    }

    #[test]
    fn a_list_that_goes_in_circles_or_nowhere_ends() {
        let mut card = intel_82574l();
        card.0[0xA1] = 0xE0;
        card.0[0xA0] = 0x09;
        assert_eq!(msix_vectors(&mut card).unwrap(), 0);
        card.0[0x34] = 0x04;
        assert_eq!(express(&mut card).unwrap(), None);
        card.0[0x34] = 0xC8;
        card.0[0x06] = 0;
        assert_eq!(express(&mut card).unwrap(), None);
    }
}

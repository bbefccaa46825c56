//! The PCI configuration space of the simulated NIC: 4 KiB with write masks, power management, MSI-X and PCI Express capabilities.
//!
//! PCI Local Bus Specification 3.0 chapter 6; PCI Express Base Specification 2.1 chapter 7; PCI Power Management 1.2 section 3.2.
use ferrule_abi::{
    port_offset, port_vector, BAR_MSIX, BAR_MSIX_SIZE, BAR_REGS, MAX_PORTS, MSIX_PBA_OFFSET,
    PCI_CLASS, PCI_DEVICE, PCI_SLOW_LINK, PCI_VENDOR,
};

/// Size in bytes.
pub const SIZE: usize = 4096;

const COMMAND: usize = 0x04;
const COMMAND_MEMORY: u8 = 1 << 1;
const COMMAND_BUS_MASTER: u8 = 1 << 2;
const BARS: usize = 0x10;
const PM: usize = 0x40;
const PM_CONTROL: usize = PM + 4;
const MSIX: usize = 0x50;
const MSIX_CONTROL_HIGH: usize = MSIX + 3;
const MSIX_ENABLE: u8 = 1 << 7;
const MSIX_MASK_ALL: u8 = 1 << 6;
const EXPRESS: usize = 0x60;
const DEVICE_CONTROL: usize = EXPRESS + 8;
/// Vendor-specific capability of a slow link.
const SLOW: usize = 0xA0;
/// Function-level reset available, role-based error reporting (section 7.8.3); beside the largest payload.
const DEVICE_CAPABILITIES: u32 = 1 << 28 | 1 << 15;
/// Largest defined read request size: 4096 bytes.
const MAX_READ_CODE: u8 = 5;
/// Relaxed ordering and no-snoop allowed, 512-byte reads, 128-byte payloads (section 7.8.4).
const DEVICE_CONTROL_RESET: u16 = 0x2810;
/// In the upper byte of Device Control: Initiate Function Level Reset.
const INITIATE_FLR: u8 = 0x80;

/// By which way the NIC is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// PCI Express: 2.5 GT/s x4 and payloads up to 256 bytes, as the PCIe boards have it.
    Express,
    /// A UART: there is no PCI Express link, which a capability says and a link width of 0; payloads have up to 2,048 bytes from the start.
    Uart,
}

impl Way {
    /// Code of the largest payload that the endpoint can be set to.
    const fn max_payload_code(self) -> u8 {
        match self {
            Self::Express => 1,
            Self::Uart => 4,
        }
    }
}

/// The registers and which of their bits the host may change.
pub struct ConfigSpace {
    way: Way,
    ports: u8,
    bytes: Box<[u8; SIZE]>,
    writable: Box<[u8; SIZE]>,
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigSpace {
    /// As after power-on, of a NIC with one port: memory space and bus mastering off.
    pub fn new() -> Self {
        Self::of(Way::Express, 1)
    }

    /// As after power-on, of a NIC that is reached in such a way and has so many ports: 1 to [`MAX_PORTS`], the nearest of these otherwise.
    pub fn of(way: Way, ports: u8) -> Self {
        let ports = ports.clamp(1, MAX_PORTS);
        let mut c = Self {
            way,
            ports,
            bytes: Box::new([0; SIZE]),
            writable: Box::new([0; SIZE]),
        };
        c.put(0x00, &PCI_VENDOR.to_le_bytes(), &[]);
        c.put(0x02, &PCI_DEVICE.to_le_bytes(), &[]);
        // Memory space, bus master, parity error response; SERR#, INTx disable.
        c.put(COMMAND, &[0, 0], &[0x46, 0x05]);
        // Capabilities list.
        c.put(0x06, &[0x10, 0], &[]);
        c.put(0x08, &(PCI_CLASS << 8 | 1).to_le_bytes(), &[]);
        c.put(0x0C, &[0], &[0xFF]);
        for bar in [BAR_REGS, BAR_MSIX] {
            // Sizing: the bits below the size stay 0 (PCI 6.2.5.1). 32-bit, not prefetchable.
            let size = c.bar_size(bar);
            c.put(
                BARS + 4 * usize::from(bar),
                &[0; 4],
                &(!(size - 1)).to_le_bytes(),
            );
        }
        c.put(0x2C, &PCI_VENDOR.to_le_bytes(), &[]);
        c.put(0x2E, &1u16.to_le_bytes(), &[]);
        c.put(0x34, &[PM as u8], &[]);
        c.put(0x3C, &[0], &[0xFF]);
        // Power management version 3, no soft reset; the power state can be written.
        c.put(
            PM,
            &[0x01, MSIX as u8, 0x03, 0x00, 0x08],
            &[0, 0, 0, 0, 0x03],
        );
        c.put(MSIX, &[0x11, EXPRESS as u8], &[]);
        c.put(
            MSIX + 2,
            &(c.vectors() - 1).to_le_bytes(),
            &[0, MSIX_ENABLE | MSIX_MASK_ALL],
        );
        c.put(MSIX + 4, &u32::from(BAR_MSIX).to_le_bytes(), &[]);
        c.put(
            MSIX + 8,
            &(MSIX_PBA_OFFSET | u32::from(BAR_MSIX)).to_le_bytes(),
            &[],
        );
        // Endpoint, capability version 2.
        c.put(EXPRESS, &[0x10, 0x00, 0x02, 0x00], &[]);
        let capabilities = DEVICE_CAPABILITIES | u32::from(way.max_payload_code());
        c.put(EXPRESS + 4, &capabilities.to_le_bytes(), &[]);
        // Bit 15 reads 0: writing it acts once.
        c.put(
            DEVICE_CONTROL,
            &DEVICE_CONTROL_RESET.to_le_bytes(),
            &[0xFF, 0x7F],
        );
        c.put(EXPRESS + 0x10, &[0, 0], &[0xC3, 0x0F]);
        match way {
            Way::Express => {
                c.put(EXPRESS + 0x0C, &0x0000_0C41u32.to_le_bytes(), &[]);
                c.put(EXPRESS + 0x12, &0x1041u16.to_le_bytes(), &[]);
            }
            Way::Uart => {
                c.bytes[DEVICE_CONTROL] |= way.max_payload_code() << 5;
                c.bytes[EXPRESS + 1] = SLOW as u8;
                c.put(SLOW, &[0x09, 0x00, 4, PCI_SLOW_LINK], &[]);
            }
        }
        c
    }

    /// Goes back to what it was after power-on.
    pub fn reset(&mut self) {
        *self = Self::of(self.way, self.ports);
    }

    /// How many ports the function has.
    pub fn ports(&self) -> u8 {
        self.ports
    }
    /// How many MSI-X vectors the function has.
    pub fn vectors(&self) -> u16 {
        port_vector(self.ports)
    }
    /// Bytes of a BAR, a power of two; 0 for one that is not there.
    pub fn bar_size(&self, bar: u8) -> u32 {
        match bar {
            BAR_REGS => port_offset(self.ports),
            BAR_MSIX => BAR_MSIX_SIZE,
            _ => 0,
        }
    }

    fn put(&mut self, at: usize, value: &[u8], writable: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
        self.writable[at..at + writable.len()].copy_from_slice(writable);
    }

    /// Reads `out.len()` bytes at `offset`; beyond the end, all-ones.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        for (i, b) in out.iter_mut().enumerate() {
            *b = offset
                .checked_add(i)
                .and_then(|at| self.bytes.get(at))
                .copied()
                .unwrap_or(0xFF);
        }
    }

    /// Writes `data` at `offset`; read-only bits and everything beyond the end are left alone.
    ///
    /// Gives whether a function-level reset was asked for; this space has gone through it then.
    #[must_use = "a function-level reset must reach the rest of the device"]
    pub fn write(&mut self, offset: usize, data: &[u8]) -> bool {
        let mut flr = false;
        for (i, value) in data.iter().enumerate() {
            let Some(at) = offset.checked_add(i).filter(|at| *at < SIZE) else {
                break;
            };
            let mask = self.writable[at];
            self.bytes[at] = (self.bytes[at] & !mask) | (value & mask);
            flr |= at == DEVICE_CONTROL + 1 && value & INITIATE_FLR != 0;
        }
        if flr {
            self.reset();
        }
        // A payload size beyond what the endpoint supports and a reserved read size have no defined meaning: the largest good one is taken.
        let [low, high] = [self.bytes[DEVICE_CONTROL], self.bytes[DEVICE_CONTROL + 1]];
        self.bytes[DEVICE_CONTROL] =
            (low & !0xE0) | (low >> 5).min(self.way.max_payload_code()) << 5;
        self.bytes[DEVICE_CONTROL + 1] = (high & !0x70) | (high >> 4 & 7).min(MAX_READ_CODE) << 4;
        flr
    }

    /// Memory Space Enable, in power state D0: the BARs answer.
    pub fn memory_enabled(&self) -> bool {
        self.bytes[COMMAND] & COMMAND_MEMORY != 0 && self.in_d0()
    }
    /// Sets Memory Space Enable, as a host does that opens the device.
    pub fn enable_memory(&mut self) {
        self.bytes[COMMAND] |= COMMAND_MEMORY;
    }
    /// Bus Master Enable, in power state D0: the device may send requests.
    pub fn bus_master(&self) -> bool {
        self.bytes[COMMAND] & COMMAND_BUS_MASTER != 0 && self.in_d0()
    }
    fn in_d0(&self) -> bool {
        self.bytes[PM_CONTROL] & 3 == 0
    }
    /// MSI-X Enable.
    pub fn msix_enabled(&self) -> bool {
        self.bytes[MSIX_CONTROL_HIGH] & MSIX_ENABLE != 0
    }
    /// MSI-X Function Mask.
    pub fn msix_masked(&self) -> bool {
        self.bytes[MSIX_CONTROL_HIGH] & MSIX_MASK_ALL != 0
    }
    /// Sets MSI-X Enable and clears Function Mask, or clears the enable, as a host's kernel does when vectors are requested and freed.
    pub fn set_msix(&mut self, enable: bool) {
        self.bytes[MSIX_CONTROL_HIGH] = if enable { MSIX_ENABLE } else { 0 };
    }
    /// Code of the largest payload: 128 bytes << code.
    pub fn max_payload(&self) -> u8 {
        self.bytes[DEVICE_CONTROL] >> 5
    }
    /// Code of the largest read request: 128 bytes << code.
    pub fn max_read(&self) -> u8 {
        self.bytes[DEVICE_CONTROL + 1] >> 4 & 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dword(c: &ConfigSpace, at: usize) -> u32 {
        let mut b = [0; 4];
        c.read(at, &mut b);
        u32::from_le_bytes(b)
    }

    #[test]
    fn identity_and_class_are_where_pci_has_them() {
        let c = ConfigSpace::new();
        assert_eq!(dword(&c, 0), 0x4645_1234);
        assert_eq!(dword(&c, 8), 0x0200_0001);
        assert_eq!(dword(&c, 0x0C) >> 16 & 0x7F, 0, "header type 0");
    }

    #[test]
    fn bars_tell_their_sizes() {
        let mut c = ConfigSpace::new();
        for (bar, size) in [(0, 1 << 20), (1, 0), (2, 4096), (3, 0), (4, 0), (5, 0)] {
            let _ = c.write(0x10 + 4 * bar, &[0xFF; 4]);
            let read = dword(&c, 0x10 + 4 * bar);
            assert_eq!(read & 0xF, 0, "32-bit memory, not prefetchable");
            assert_eq!(
                (!read).wrapping_add(1),
                if size == 0 { 0 } else { size },
                "BAR{bar}"
            );
        }
    }

    #[test]
    fn two_ports_have_twice_the_registers_and_vectors_also_after_a_reset() {
        let mut c = ConfigSpace::of(Way::Express, 2);
        for _ in 0..2 {
            for (bar, size) in [(0, 2 << 20), (2, 4096)] {
                let _ = c.write(0x10 + 4 * bar, &[0xFF; 4]);
                assert_eq!(dword(&c, 0x10 + 4 * bar).wrapping_neg(), size, "BAR{bar}");
            }
            assert_eq!(dword(&c, 0x50) >> 16 & 0x7FF, 15, "table size - 1");
            assert_eq!(dword(&c, 0x54), 2, "table at BAR2 + 0");
            assert_eq!(dword(&c, 0x58), 0x802, "PBA at BAR2 + 0x800");
            assert!(c.write(0x68, &[0x10, 0xA8]), "a function-level reset");
            assert_eq!(dword(&c, 0x10), 0);
        }
    }

    #[test]
    fn the_capability_list_holds_pm_msix_and_pcie_and_ends() {
        let c = ConfigSpace::new();
        assert_eq!(dword(&c, 4) >> 20 & 1, 1);
        let (mut at, mut ids) = (dword(&c, 0x34) as usize & 0xFF, vec![]);
        while at != 0 {
            ids.push(dword(&c, at) & 0xFF);
            at = dword(&c, at) as usize >> 8 & 0xFF;
            assert!(ids.len() < 10);
        }
        assert_eq!(ids, [0x01, 0x11, 0x10]);
        assert_eq!(dword(&c, 0x50) >> 16 & 0x7FF, 7, "table size - 1");
        assert_eq!(dword(&c, 0x54), 2, "table at BAR2 + 0");
        assert_eq!(dword(&c, 0x58), 0x802, "PBA at BAR2 + 0x800");
        assert_eq!(dword(&c, 0x100), 0, "no extended capabilities");
    }

    #[test]
    fn read_only_bits_stay_and_pins_follow_writes() {
        let mut c = ConfigSpace::new();
        assert!(!c.bus_master() && !c.memory_enabled());
        assert!(!c.write(0, &[0xFF; 0x40]));
        assert_eq!(dword(&c, 0), 0x4645_1234);
        assert_eq!(dword(&c, 4), 0x0010_0546);
        assert!(c.bus_master() && c.memory_enabled());
        assert_eq!((c.max_payload(), c.max_read()), (0, 2));
        let _ = c.write(0x68, &[0xFF, 0x7F]);
        assert_eq!(
            (c.max_payload(), c.max_read()),
            (1, 5),
            "clamped to what exists"
        );
        let _ = c.write(0x53, &[0xC0]);
        assert!(c.msix_enabled() && c.msix_masked());
        let _ = c.write(0x44, &[3]);
        assert!(!c.bus_master() && !c.memory_enabled(), "D3hot");
    }

    #[test]
    fn behind_a_uart_there_is_no_express_link_and_payloads_are_long_also_after_a_reset() {
        let mut c = ConfigSpace::of(Way::Uart, 1);
        assert_eq!(dword(&c, 0x6C), 0, "link capabilities");
        assert_eq!(dword(&c, 0x70) >> 16, 0, "link status: width 0");
        assert_eq!(dword(&c, 0x60) >> 8 & 0xFF, 0xA0, "another capability");
        assert_eq!(
            dword(&c, 0xA0),
            0x0104_0009,
            "vendor-specific, 4 bytes, and the last"
        );
        assert_eq!(c.max_payload(), 4);
        assert!(c.write(0x68, &[0x10, 0xA8]), "a function-level reset");
        assert_eq!((c.max_payload(), dword(&c, 0x64) & 7), (4, 4));
        let _ = c.write(0x68, &[0xE0, 0x28]);
        assert_eq!(c.max_payload(), 4, "no more than there is");
    }

    #[test]
    fn flr_resets_everything() {
        let mut c = ConfigSpace::new();
        assert!(!c.write(4, &[6, 0]));
        assert!(c.write(0x68, &[0x10, 0xA8]));
        assert!(!c.bus_master());
        assert_eq!(dword(&c, 0x68), 0x2810);
    }

    #[test]
    fn accesses_past_the_end_are_harmless() {
        let mut c = ConfigSpace::new();
        let mut b = [0; 8];
        c.read(SIZE - 4, &mut b);
        assert_eq!(b, [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        c.read(usize::MAX, &mut b);
        assert_eq!(b, [0xFF; 8]);
        assert!(!c.write(SIZE - 1, &[1, 2, 3]));
        assert!(!c.write(usize::MAX, &[1, 2, 3]));
    }
}

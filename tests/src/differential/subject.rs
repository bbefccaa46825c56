//! What the differential bench drives: an implementation of the NIC with a host of its own.
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use ferrule_abi::{BAR_REGS, MSIX_VECTORS};
use ferrule_sim::root_complex::{Interrupt, ReadId, RootComplex, Settings};

use super::traffic::Line;
use crate::bench::memory::{HostMemory, IOVA};
use crate::bench::MAC;

/// Where the host puts the BARs.
const BARS: [(usize, u32); 2] = [(0x10, 0xE010_0000), (0x18, 0xE000_0000)];

/// How a host is set up.
#[derive(Clone, Copy, Debug)]
pub struct HostSetup {
    /// The root complex.
    pub settings: Settings,
    /// How often the host's side of the link does nothing in a cycle: it does not take, it does not give. For a subject with pins.
    pub stalls: (f64, f64),
    /// Codes of the largest payload and of the largest read request.
    pub sizes: (u8, u8),
    /// Bytes of memory.
    pub memory: u64,
    /// Where the device sees it.
    pub iova: u64,
}

/// The host's side of a subject.
pub struct Host {
    /// PCIe.
    pub root_complex: RootComplex,
    /// Memory.
    pub memory: HostMemory,
    interrupts: [Arc<AtomicU32>; MSIX_VECTORS as usize],
}

impl Host {
    /// BARs set, bus mastering and MSI-X on, all vectors given to somebody; the device comes out of its reset.
    pub fn new(setup: &HostSetup) -> Self {
        let mut root_complex = RootComplex::new(setup.settings);
        let memory = HostMemory::new(setup.memory);
        memory.map_at(&mut root_complex.dma, setup.iova);
        for (at, address) in BARS {
            let _ = root_complex.config.write(at, &address.to_le_bytes());
        }
        // Memory space and bus master; sizes.
        let _ = root_complex.config.write(4, &[6, 0]);
        let control = [setup.sizes.0 << 5, setup.sizes.1 << 4];
        let _ = root_complex.config.write(0x68, &control);
        root_complex.config.set_msix(true);
        let interrupts: [Arc<AtomicU32>; MSIX_VECTORS as usize] = Default::default();
        for (vector, count) in (0..).zip(&interrupts) {
            let count = Arc::clone(count);
            let call = Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            root_complex.set_vector(vector, Some(Interrupt::Callback(call)));
        }
        Self {
            root_complex,
            memory,
            interrupts,
        }
    }

    /// A host that nobody uses.
    pub fn none() -> Self {
        Self::new(&HostSetup {
            settings: Settings::default(),
            stalls: (0.0, 0.0),
            sizes: (0, 0),
            memory: 4096,
            iova: IOVA,
        })
    }

    /// Interrupts of each vector so far.
    pub fn interrupts(&self) -> [u32; MSIX_VECTORS as usize] {
        std::array::from_fn(|i| self.interrupts[i].load(Ordering::Relaxed))
    }

    /// Counts from zero again.
    pub fn forget_interrupts(&mut self) {
        for count in &self.interrupts {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Writes a register of BAR0.
    pub fn write(&mut self, offset: u32, value: u32) {
        self.root_complex
            .write_register(BAR_REGS, offset, 0xF, value);
    }

    /// Writes DWs to BAR0.
    pub fn write_block(&mut self, offset: u32, values: &[u32]) {
        self.root_complex.write_block(BAR_REGS, offset, values);
    }

    /// Begins to read a register.
    ///
    /// # Panics
    /// If memory decoding is off.
    pub fn read(&mut self, bar: u8, offset: u32, first_be: u8) -> ReadId {
        self.root_complex
            .read_register(bar, offset, first_be)
            .expect("memory decoding is on")
    }
}

/// A frame that left the NIC, or what was left of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Left {
    /// Padded, without FCS.
    Frame(Vec<u8>),
    /// One that no station would accept.
    Faulty(String),
}

/// An implementation of the NIC. Its clock stands unless it is set: timestamps are then the same whatever time the work takes.
pub trait Subject {
    /// What it is.
    fn name(&self) -> String;
    /// Begins anew, with the reset pin and a new host.
    fn begin(&mut self, setup: &HostSetup);
    /// The host.
    fn host(&mut self) -> &mut Host;
    /// Sets the clock.
    fn set_time(&mut self, now_ns: u64);
    /// Sets what the PHY reports.
    fn set_link(&mut self, up: bool, speed: u8);
    /// Puts byte times on the wire, behind what is on it already.
    fn receive(&mut self, line: &Line);
    /// Lets some cycles pass, where there are any.
    fn run(&mut self, cycles: u64);
    /// Lets everything end that is under way.
    ///
    /// # Errors
    /// If it does not end.
    fn settle(&mut self) -> Result<(), String>;
    /// What has left since the last call.
    fn take_sent(&mut self) -> Vec<Left>;
    /// The exported deadline, in ticks.
    fn deadline(&self) -> Option<u32>;
}

/// The MAC address that every subject's board gives it.
pub const BOARD_MAC: [u8; 6] = MAC;

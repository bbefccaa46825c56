//! Seeded faults between the tests and a sound NIC: each is found, by the check whose matter it is and no other.
use std::os::fd::BorrowedFd;

use clap::Parser;
use ferrule_abi::{counter, regs, BAR_REGS};
use ferrule_driver::nic::RawNic;
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers};

use super::{pairs, test, Check, Checks, Verdict};
use crate::args::{Cli, Command, Selftest};
use crate::device::Nics;

/// What is wrong with the hardware.
#[derive(Clone, Copy)]
enum Fault {
    /// This register is read so.
    Reads(u32, fn(u32) -> u32),
    /// This register is written so.
    Writes(u32, fn(u32) -> u32),
    /// What is written to the first register reaches the second too.
    Shared(u32, u32),
    /// A bit of the memory that frames are read from, turned before each doorbell of the transmit queue.
    Memory(usize),
    /// These vectors have changed places.
    Vectors(usize, usize),
    /// No interrupt comes.
    Silent,
    /// There is memory for the device where none was given.
    Open,
    /// Nothing isolates it, and it sees memory at one address only.
    Bare(u64),
}

struct Faulty {
    device: Box<dyn Device>,
    fault: Fault,
    memory: Option<DmaBuf>,
}

impl Registers for Faulty {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let value = self.device.read32(bar, offset)?;
        Ok(match self.fault {
            Fault::Reads(at, change) if at == offset && bar == BAR_REGS => change(value),
            _ => value,
        })
    }
    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        let doorbell = regs::tx_page(0) + regs::tx_doorbell::OFFSET;
        match (self.fault, &self.memory) {
            (Fault::Writes(at, change), _) if at == offset => {
                return self.device.write32(bar, offset, change(value));
            }
            (Fault::Shared(from, to), _) if from == offset => {
                self.device.write32(bar, to, value)?;
            }
            (Fault::Memory(at), Some(memory)) if offset == doorbell => {
                memory.store(at, memory.load(at) ^ 1 << 9);
            }
            _ => {}
        }
        self.device.write32(bar, offset, value)
    }
}

impl Device for Faulty {
    fn backend(&self) -> &'static str {
        self.device.backend()
    }
    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        self.device.share_registers()
    }
    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.device.config_read(offset, data)
    }
    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.device.config_write(offset, data)
    }
    fn is_isolated(&self) -> bool {
        !matches!(self.fault, Fault::Bare(_))
    }
    fn bus_address(&self, buf: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        match self.fault {
            Fault::Bare(address) => Ok(Some(address)),
            _ => self.device.bus_address(buf),
        }
    }
    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        if let Fault::Bare(address) = self.fault {
            assert_eq!(iova, address);
        }
        self.memory = Some(buf.clone());
        if let Fault::Open = self.fault {
            self.device.dma_map(iova + (1 << 30), buf)?;
        }
        self.device.dma_map(iova, buf)
    }
    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        self.device.dma_unmap(iova, len)
    }
    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut fds = eventfds.to_vec();
        match self.fault {
            Fault::Vectors(a, b) => fds.swap(a, b),
            Fault::Silent => return Ok(()),
            _ => {}
        }
        self.device.enable_msix(&fds)
    }
    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        self.device.swap_vectors(first, eventfds)
    }
    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.device.disable_msix()
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        self.device.reset()
    }
}

/// The checks as they end with this fault.
fn checks(fault: Fault) -> Vec<Check> {
    with_nic(fault, |args, nics, mut nic| {
        let mut checks = Checks::default();
        test(args, nics, &mut nic, &mut checks);
        checks.0
    })
}

/// Calls `each` with a NIC that has this fault.
fn with_nic<T>(fault: Fault, each: impl FnOnce(&Selftest, &Nics, RawNic) -> T) -> T {
    let command = [
        "ferrule",
        "selftest",
        "--engine",
        "model",
        "--quick",
        "--isolation",
    ];
    let Command::Selftest(args) = Cli::parse_from(command).command else {
        panic!("another command");
    };
    let nics = Nics::find(&args.device).expect("a simulator");
    let device = nics.open().expect("its NIC");
    let faulty = Faulty {
        device,
        fault,
        memory: None,
    };
    let nic = RawNic::attach(Box::new(faulty), nics.clock()).expect("a Ferrule NIC");
    let result = each(&args, &nics, nic);
    nics.end().expect("the simulator ends well");
    result
}

/// The names of the checks that fail with this fault, and what they say.
fn failures(fault: Fault) -> Vec<(String, String)> {
    let checks = checks(fault).into_iter();
    let failed = checks.filter(|c| c.verdict == Verdict::Fail);
    failed.map(|c| (c.name, c.seen)).collect()
}

fn counter(index: u32) -> u32 {
    regs::counters::REGISTER.offset_of(2 * index)
}

#[test]
fn each_fault_is_found_by_the_check_whose_matter_it_is() {
    let tx_cfg = regs::tx_page(0) + regs::tx_cfg::OFFSET;
    let events = regs::event_page() + regs::event_cq_base_lo::OFFSET;
    let cases: [(Fault, &[&str]); 15] = [
        (Fault::Open, &["isolation"]),
        (
            Fault::Reads(regs::scratch::OFFSET, |v| v & !4),
            &["identity", "write masks"],
        ),
        (
            Fault::Reads(regs::arptime::OFFSET, |v| v ^ 8),
            &["reset values", "write masks"],
        ),
        (
            Fault::Reads(regs::arptime::OFFSET, |v| v | 1 << 31),
            &["reset values", "write masks"],
        ),
        (
            Fault::Writes(regs::local_addr::REGISTER.offset_of(3), |_| 0),
            &["write masks"],
        ),
        (Fault::Writes(events, |v| v | 1 << 20), &["write masks"]),
        (
            Fault::Shared(
                regs::gateway::REGISTER.offset_of(1),
                regs::gateway::REGISTER.offset_of(0),
            ),
            &["write masks"],
        ),
        (Fault::Reads(0x00C, |_| 0), &["holes"]),
        (
            Fault::Reads(regs::status::OFFSET, |v| v | 3 << 2),
            &["link"],
        ),
        (
            Fault::Reads(regs::time_lo::OFFSET, |_| 7),
            &["clock", "timestamps"],
        ),
        (
            Fault::Writes(regs::clock_step::OFFSET, |v| v / 2),
            &["write masks", "clock"],
        ),
        // Payload of a frame at the first place without an offset, which each check has.
        (
            Fault::Memory(0x4020),
            &[
                "DMA",
                "DMA, jumbo frames",
                "timestamps",
                "interrupt vector 0",
                "interrupt vector 1",
                "interrupt vector 2",
                "interrupt vector 3",
                "interrupt vector 4",
                "interrupt vector 5",
                "interrupt vector 6",
                "interrupt vector 7",
                // A byte of the memory changes that nobody may write.
                "isolation",
            ],
        ),
        (
            Fault::Vectors(1, 3),
            &["interrupt vector 1", "interrupt vector 3"],
        ),
        (
            Fault::Reads(counter(counter::RX_FRAMES), |v| v / 2),
            &["counters"],
        ),
        (
            Fault::Reads(counter(counter::TX_UNDERRUN), |v| v + u32::from(v == 0)),
            &["reset values"],
        ),
    ];
    for (n, (fault, checks)) in cases.into_iter().enumerate() {
        let failures = failures(fault);
        let names: Vec<_> = failures.iter().map(|(name, _)| &name[..]).collect();
        for check in checks {
            assert!(names.contains(check), "case {n}: {failures:?}");
        }
        assert_eq!(names.len(), checks.len(), "case {n}: {failures:?}");
    }
    let silent = failures(Fault::Silent);
    assert_eq!(
        silent.len(),
        usize::from(ferrule_abi::MSIX_VECTORS),
        "{silent:?}"
    );
    assert_eq!(failures(Fault::Reads(tx_cfg, |v| v)), []);
}

#[test]
fn a_frame_that_goes_to_another_pair_than_it_should_is_found() {
    let check = |fault| with_nic(fault, |_, nics, nic| pairs::check(nic, nics.clock()));
    check(Fault::Reads(0, |value| value)).expect("a sound NIC");
    let table = regs::indirection::REGISTER.offset_of(2);
    let key = regs::hash_key::REGISTER.offset_of(0);
    let vector = regs::rx_page(2) + regs::rx_cfg::OFFSET;
    for (fault, word) in [
        (Fault::Writes(table, |v| v ^ 0x5555_5555), "table"),
        (Fault::Writes(key, |v| v ^ 1), "hash"),
        (Fault::Vectors(3, 4), "interrupt"),
        (Fault::Silent, "interrupt"),
        (Fault::Writes(vector, |v| v & !(0xF << 16)), "interrupt"),
    ] {
        let error = check(fault).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_device_that_nothing_isolates_is_sent_nowhere_else() {
    let checks = checks(Fault::Bare(0x7000_0000));
    let isolation = checks.iter().find(|c| c.name == "isolation");
    let isolation = isolation.expect("it is told of");
    assert_eq!(isolation.verdict, Verdict::Skipped, "{}", isolation.seen);
    assert!(isolation.seen.contains("no IOMMU"), "{}", isolation.seen);
    // All else works at the one address.
    let failed = checks.iter().filter(|c| c.verdict == Verdict::Fail);
    assert_eq!(failed.count(), 0, "{checks:?}");
}

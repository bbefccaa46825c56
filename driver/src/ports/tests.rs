//! Two ports on a function in plain Rust: what each sees and does, and that neither ever touches the other.
use super::*;
use crate::{DmaBuf, Registers};
use ferrule_abi::{port_vector, MSIX_VECTORS};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const COMMAND: u16 = 4;
const MEMORY: u8 = 1 << 1;
const MASTER: u8 = 1 << 2;
const PARITY: u8 = 1 << 6;
/// A register that keeps what is written.
const SCRATCH: u32 = regs::hash_key::REGISTER.offset;

/// What the function has and was told.
struct World {
    config: [u8; 64],
    regs: BTreeMap<u32, u32>,
    maps: BTreeMap<u64, usize>,
    /// While MSI-X is enabled.
    vectors: Option<Vec<OwnedFd>>,
    /// The function was reset or let go of.
    is_closed: bool,
    /// The next unmap or map fails.
    fails: bool,
    /// Without an IOMMU: where it sees all memory.
    bus_address: Option<u64>,
}

#[derive(Clone)]
struct Fake {
    world: Arc<Mutex<World>>,
    bytes: u64,
}

impl Fake {
    /// A function with `ports` MAGICs in a BAR0 of `room` ports.
    fn new(room: u8, ports: u8) -> Self {
        let magic = |port| (port_offset(port) + regs::magic::OFFSET, regs::MAGIC);
        let world = World {
            config: [0; 64],
            regs: (0..ports).map(magic).collect(),
            maps: BTreeMap::new(),
            vectors: None,
            is_closed: false,
            fails: false,
            bus_address: None,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            bytes: port_offset(room).into(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    fn function(&self) -> Function {
        Function::over(Box::new(Handle(self.clone()))).unwrap()
    }
}

/// The device as a function has it.
struct Handle(Fake);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
    }
}

impl Registers for Handle {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let world = self.0.lock();
        assert!(bar == BAR_REGS && u64::from(offset) < self.0.bytes);
        Ok(match world.config[4] & MEMORY {
            0 => u32::MAX,
            _ => world.regs.get(&offset).copied().unwrap_or(0),
        })
    }
    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        let mut world = self.0.lock();
        assert!(bar == BAR_REGS && u64::from(offset) < self.0.bytes);
        let in_port = offset % BAR_REGS_SIZE;
        if in_port == regs::ctrl::OFFSET && regs::ctrl::RESET.get(value) == 1 {
            let port = offset - in_port..offset - in_port + BAR_REGS_SIZE;
            world
                .regs
                .retain(|at, value| !port.contains(at) || *value == regs::MAGIC);
        } else {
            world.regs.insert(offset, value);
        }
        Ok(())
    }
}

impl Device for Handle {
    fn backend(&self) -> &'static str {
        "fake"
    }
    fn registers_size(&self) -> u64 {
        self.0.bytes
    }
    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = usize::from(offset);
        data.copy_from_slice(&self.0.lock().config[at..at + data.len()]);
        Ok(())
    }
    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        let at = usize::from(offset);
        self.0.lock().config[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn is_isolated(&self) -> bool {
        self.0.lock().bus_address.is_none()
    }
    fn dma_memory(&mut self, len: usize) -> Result<DmaBuf, DeviceError> {
        // Told from what the trait would do.
        Ok(DmaBuf::new(4 * len)?)
    }
    fn bus_address(&self, _: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        Ok(self.0.lock().bus_address)
    }
    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let mut world = self.0.lock();
        if std::mem::take(&mut world.fails) {
            return Err(DeviceError::Gone("told to".into()));
        }
        let end = iova + buf.len() as u64;
        let overlaps = |(start, len): (&u64, &usize)| *start < end && iova < start + *len as u64;
        assert!(!world.maps.iter().any(overlaps), "the IOMMU refuses that");
        world.maps.insert(iova, buf.len());
        Ok(())
    }
    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let mut world = self.0.lock();
        if std::mem::take(&mut world.fails) {
            return Err(DeviceError::Gone("told to".into()));
        }
        assert_eq!(world.maps.remove(&iova), Some(len));
        Ok(())
    }
    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut world = self.0.lock();
        assert!(world.vectors.is_none(), "it would touch those in use");
        let own = eventfds.iter().map(|fd| fd.try_clone_to_owned().unwrap());
        world.vectors = Some(own.collect());
        Ok(())
    }
    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut world = self.0.lock();
        let vectors = world.vectors.as_mut().expect("enabled");
        for (n, fd) in (usize::from(first)..).zip(eventfds) {
            vectors[n] = fd.try_clone_to_owned().unwrap();
        }
        Ok(())
    }
    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.0.lock().vectors = None;
        Ok(())
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        panic!("no port may do that");
    }
}

fn command(device: &mut dyn Device) -> u8 {
    let mut byte = [0];
    device.config_read(COMMAND, &mut byte).unwrap();
    byte[0]
}

fn set_command(device: &mut dyn Device, set: u8, clear: u8) {
    let value = command(device) & !clear | set;
    device.config_write(COMMAND, &[value]).unwrap();
}

#[test]
fn there_are_as_many_ports_as_bar0_has_room_for_and_have_a_magic() {
    for (room, magics, ports) in [(1, 1, 1), (2, 1, 1), (2, 2, 2), (2, 0, 1), (8, 8, 2)] {
        let fake = Fake::new(room, magics);
        let function = fake.function();
        assert_eq!(function.ports(), ports, "room for {room}, {magics} there");
        let error = function.open(ports.into()).err().unwrap();
        let text = error.to_string();
        assert!(
            matches!(error, DeviceError::NoPort { port, ports: n } if (port, n) == (ports.into(), ports)),
            "{text}"
        );
        let words = ["1 port, number 0", "2 ports, numbers 0 to 1"][usize::from(ports) - 1];
        assert!(text.ends_with(words), "{text}");
        assert!(function.open(u32::MAX).is_err());
    }
}

#[test]
fn a_port_is_open_once_and_again_after_it_was_dropped() {
    let fake = Fake::new(2, 2);
    let function = fake.function();
    let (first, second) = (function.open(0).unwrap(), function.open(1).unwrap());
    let error = function.open(1).err().unwrap();
    assert!(matches!(error, DeviceError::PortOpen { port: 1, ports: 2 }));
    assert!(error.to_string().contains("2 ports"), "{error}");
    drop(second);
    drop(function.open(1).unwrap());
    let handle = function.clone();
    drop(function);
    drop(first);
    assert!(!fake.lock().is_closed, "a handle is left");
    let last = handle.open(1).unwrap();
    drop(handle);
    assert!(!fake.lock().is_closed, "a port is left");
    drop(last);
    assert!(fake.lock().is_closed);
}

#[test]
fn what_would_touch_the_other_port_is_refused() {
    let fake = Fake::new(2, 2);
    let function = fake.function();
    let mut port = function.open(1).unwrap();
    assert!(matches!(port.reset(), Err(DeviceError::NoReset)));
    for (offset, len) in [(3, 1), (3, 2), (5, 2), (6, 1), (0x10, 4), (0, 64)] {
        let write = port.config_write(offset, &vec![0xFF; len]);
        assert!(
            matches!(write, Err(DeviceError::Shared { offset: o }) if o == offset),
            "{len} bytes at {offset}"
        );
    }
    assert_eq!(fake.lock().config[..4], [0; 4]);
    let size = u64::from(BAR_REGS_SIZE);
    let refused = |result: Result<(), DeviceError>| match result {
        Err(DeviceError::OutOfRegion { size: s, .. }) => assert_eq!(s, size),
        other => panic!("{other:?}"),
    };
    refused(port.read32(0, BAR_REGS_SIZE).map(drop));
    refused(port.write32(0, BAR_REGS_SIZE, 1));
    refused(port.write32(0, u32::MAX - 3, 1));
    refused(port.write_block(0, BAR_REGS_SIZE - 8, &[1, 2, 3]));
    port.write_block(0, BAR_REGS_SIZE - 8, &[1, 2]).unwrap();
    assert_eq!(port.registers_size(), size, "it is one port");
    assert_eq!(fake.lock().regs[&(2 * BAR_REGS_SIZE - 4)], 2);
    let fds: Vec<Irq> = (0..9).map(|_| Irq::new().unwrap()).collect();
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let too_many = [port.enable_msix(&fds), port.swap_vectors(1, &fds[..8])];
    for error in too_many.map(Result::unwrap_err) {
        assert!(matches!(error, DeviceError::Vectors { have: 8, want: 9 }));
    }
}

#[test]
fn memory_that_could_not_be_mapped_or_unmapped_leaves_right_books() {
    let fake = Fake::new(2, 2);
    let function = fake.function();
    let (mut a, mut b) = (function.open(0).unwrap(), function.open(1).unwrap());
    let buf = DmaBuf::new(8192).unwrap();
    fake.lock().fails = true;
    assert!(a.dma_map(0x1000, &buf).is_err());
    b.dma_map(0x1000, &buf).unwrap();
    for (iova, port) in [(0, 1), (0x1000, 1), (0x2000, 1)] {
        let error = a.dma_map(iova, &buf).unwrap_err();
        assert!(matches!(error, DeviceError::IovaTaken { port: p, .. } if p == port));
    }
    for (iova, len) in [(0x1000, 8192), (0x2000, 4096)] {
        let error = a.dma_unmap(iova, len).unwrap_err();
        assert!(matches!(error, DeviceError::NotMapped { .. }));
    }
    assert!(b.dma_unmap(0x1000, 4096).is_err(), "half of it");
    fake.lock().fails = true;
    assert!(b.dma_unmap(0x1000, 8192).is_err());
    assert!(a.dma_map(0x1000, &buf).is_err(), "it is there still");
    b.dma_unmap(0x1000, 8192).unwrap();
    a.dma_map(0x1000, &buf).unwrap();
}

#[test]
fn both_ports_choose_the_same_range_and_never_the_same_addresses() {
    let fake = Fake::new(2, 2);
    let function = fake.function();
    let (mut a, mut b) = (function.open(0).unwrap(), function.open(1).unwrap());
    let range: Range<u64> = 1 << 32..(1 << 32) + 0x4000;
    // Neither has mapped anything yet.
    let (x, y) = (
        a.reserve_iova(&range, 0x2000).unwrap(),
        b.reserve_iova(&range, 0x2000).unwrap(),
    );
    assert_eq!((x, y), (1 << 32, (1 << 32) + 0x2000));
    assert_eq!(a.reserve_iova(&range, 0x1000), None, "no room");
    let buf = DmaBuf::new(0x1000).unwrap();
    assert!(b.dma_map(x, &buf).is_err());
    a.dma_map(x, &buf).unwrap();
    b.dma_map(y, &buf).unwrap();
    // Of a port that is gone everything is free.
    drop(b);
    assert_eq!(fake.lock().maps.keys().collect::<Vec<_>>(), [&x]);
    assert_eq!(a.reserve_iova(&range, 0x2000), Some(x + 0x1000));
}

#[test]
fn a_ports_memory_and_where_it_is_seen_are_the_functions() {
    let fake = Fake::new(2, 2);
    let function = fake.function();
    let mut port = function.open(1).unwrap();
    let memory = port.dma_memory(4096).unwrap();
    assert_eq!(memory.len(), 4 * 4096);
    assert!(port.is_isolated());
    assert_eq!(port.bus_address(&memory).unwrap(), None);
    fake.lock().bus_address = Some(0x7000_0000);
    assert!(!port.is_isolated());
    assert_eq!(port.bus_address(&memory).unwrap(), Some(0x7000_0000));
    // No address need be reserved.
    port.dma_map(0x7000_0000, &memory).unwrap();
    port.dma_unmap(0x7000_0000, memory.len()).unwrap();
}

/// A step of one of the two ports.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Close,
    Attach(usize),
    Swap(u16, usize),
    Detach,
    Reserve(u64),
    Map(u64, usize),
    MapReserved,
    Unmap(usize),
    Command(u8, u8),
    Write(u32),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let bits = prop_oneof![
        Just(MASTER),
        Just(MEMORY),
        Just(PARITY),
        Just(MASTER | MEMORY)
    ];
    prop_oneof![
        3 => Just(Step::Open),
        1 => Just(Step::Close),
        2 => (0..=usize::from(MSIX_VECTORS)).prop_map(Step::Attach),
        1 => (0..MSIX_VECTORS, 0..=usize::from(MSIX_VECTORS)).prop_map(|(first, n)| Step::Swap(first, n)),
        1 => Just(Step::Detach),
        2 => (1u64..4).prop_map(Step::Reserve),
        3 => (0u64..12, 1usize..4).prop_map(|(page, pages)| Step::Map(page, pages)),
        2 => Just(Step::MapReserved),
        2 => (0usize..4).prop_map(Step::Unmap),
        3 => (bits.clone(), any::<bool>()).prop_map(|(bits, on)| match on {
            true => Step::Command(bits, 0),
            false => Step::Command(0, bits),
        }),
        2 => any::<u32>().prop_map(Step::Write),
        1 => Just(Step::Reset),
    ]
}

/// What a port has, as if it were alone.
#[derive(Default)]
struct Alone {
    device: Option<PortDevice>,
    scratch: u32,
    /// MEMORY and MASTER, as it has set them.
    command: u8,
    /// The descriptors of its vectors, while they are attached.
    vectors: Option<[Option<Irq>; MSIX_VECTORS as usize]>,
    maps: BTreeMap<u64, DmaBuf>,
    reserved: Vec<(u64, u64)>,
}

const PAGE: u64 = 4096;
const AREA: Range<u64> = 0x10_0000..0x10_0000 + 12 * PAGE;

impl Alone {
    fn has(&self, range: &Range<u64>) -> bool {
        let maps = self.maps.iter().map(|(at, buf)| (*at, buf.len() as u64));
        let mut all = maps.chain(self.reserved.iter().copied());
        all.any(|(at, len)| at < range.end && range.start < at + len)
    }

    fn do_step(&mut self, function: &Function, port: u8, step: &Step, other: &Self) {
        let Some(device) = &mut self.device else {
            if let Step::Open = step {
                self.device = Some(function.open(port.into()).unwrap());
                self.command = MEMORY;
            }
            return;
        };
        match *step {
            Step::Open => assert!(function.open(port.into()).is_err()),
            Step::Close => *self = Self::default(),
            Step::Attach(n) => {
                let irqs: Vec<Irq> = (0..n).map(|_| Irq::new().unwrap()).collect();
                let fds: Vec<_> = irqs.iter().map(AsFd::as_fd).collect();
                device.enable_msix(&fds).unwrap();
                let mut irqs = irqs.into_iter();
                self.vectors = Some(std::array::from_fn(|_| irqs.next()));
            }
            Step::Swap(first, n) => {
                let irqs: Vec<Irq> = (0..n).map(|_| Irq::new().unwrap()).collect();
                let fds: Vec<_> = irqs.iter().map(AsFd::as_fd).collect();
                let result = device.swap_vectors(first, &fds);
                let Some(vectors) = &mut self.vectors else {
                    assert!(result.is_err());
                    return;
                };
                assert_eq!(
                    result.is_ok(),
                    usize::from(first) + n <= usize::from(MSIX_VECTORS)
                );
                if result.is_ok() {
                    for (slot, irq) in vectors[first.into()..].iter_mut().zip(irqs) {
                        *slot = Some(irq);
                    }
                }
            }
            Step::Detach => {
                device.disable_msix().unwrap();
                self.vectors = None;
            }
            Step::Reserve(pages) => {
                if let Some(iova) = device.reserve_iova(&AREA, pages * PAGE) {
                    let range = iova..iova + pages * PAGE;
                    assert!(!self.has(&range) && !other.has(&range));
                    self.reserved.push((iova, pages * PAGE));
                }
            }
            Step::Map(page, pages) => {
                let iova = AREA.start + page * PAGE;
                let range = iova..iova + pages as u64 * PAGE;
                let buf = DmaBuf::new(pages * PAGE as usize).unwrap();
                let result = device.dma_map(iova, &buf);
                let own = self
                    .reserved
                    .iter()
                    .position(|(at, len)| *at == iova && range.end <= at + len);
                match own {
                    Some(n) => {
                        result.unwrap();
                        self.reserved.remove(n);
                        self.maps.insert(iova, buf);
                    }
                    None => {
                        let is_free = !self.has(&range) && !other.has(&range);
                        assert_eq!(result.is_ok(), is_free);
                        if is_free {
                            self.maps.insert(iova, buf);
                        }
                    }
                }
            }
            Step::MapReserved => {
                if let Some((iova, len)) = self.reserved.pop() {
                    let buf = DmaBuf::new(len as usize).unwrap();
                    device.dma_map(iova, &buf).unwrap();
                    self.maps.insert(iova, buf);
                }
            }
            Step::Unmap(n) => {
                let Some(iova) = self.maps.keys().nth(n).copied() else {
                    return;
                };
                let buf = self.maps.remove(&iova).unwrap();
                device.dma_unmap(iova, buf.len()).unwrap();
            }
            Step::Command(set, clear) => {
                set_command(device, set, clear);
                self.command = self.command & !clear | set & (MEMORY | MASTER);
            }
            Step::Write(value) => {
                device.write32(BAR_REGS, SCRATCH, value).unwrap();
                self.scratch = value;
            }
            Step::Reset => assert!(device.reset().is_err()),
        }
    }

    /// It sees what it has done and nothing else.
    fn check(&mut self, memory: bool) {
        let Some(device) = &mut self.device else {
            return;
        };
        assert_eq!(command(device) & (MEMORY | MASTER), self.command);
        let scratch = if memory { self.scratch } else { u32::MAX };
        assert_eq!(device.read32(BAR_REGS, SCRATCH).unwrap(), scratch);
        for irq in self.vectors.iter().flatten().flatten() {
            assert_eq!(irq.drain().unwrap(), 1, "each vector was raised once");
        }
    }
}

proptest! {
    #[test]
    fn no_port_ever_disturbs_the_other(steps in prop::collection::vec((0u8..2, step()), 1..80)) {
        let fake = Fake::new(2, 2);
        let function = fake.function();
        let mut ports = [Alone::default(), Alone::default()];
        for (port, step) in &steps {
            let [a, b] = &mut ports;
            let (own, other) = if *port == 0 { (a, b) } else { (b, a) };
            own.do_step(&function, *port, step, other);
            // The function has what both together have.
            let world = fake.lock();
            let any = |bit: u8| ports.iter().any(|p| p.command & bit != 0);
            prop_assert_eq!(world.config[4] & MASTER != 0, any(MASTER));
            let is_open = ports.iter().any(|p| p.device.is_some());
            prop_assert!(!is_open || (world.config[4] & MEMORY != 0) == any(MEMORY));
            let maps = ports.iter().flat_map(|p| p.maps.iter());
            let maps: BTreeMap<u64, usize> = maps.map(|(at, buf)| (*at, buf.len())).collect();
            prop_assert_eq!(&world.maps, &maps);
            let has_vectors = ports.iter().any(|p| p.vectors.is_some());
            prop_assert_eq!(world.vectors.is_some(), has_vectors);
            if let Some(vectors) = &world.vectors {
                prop_assert_eq!(vectors.len(), usize::from(port_vector(2)));
                for fd in vectors {
                    rustix::io::write(fd, &1u64.to_ne_bytes()).unwrap();
                }
            }
            drop(world);
            let memory = any(MEMORY);
            ports.iter_mut().for_each(|p| p.check(memory));
        }
        drop(ports);
        let world = fake.lock();
        prop_assert!(world.maps.is_empty() && world.vectors.is_none() && world.config[4] & MASTER == 0);
        drop(world);
        drop(function);
        prop_assert!(fake.lock().is_closed);
    }
}

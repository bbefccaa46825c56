//! Two NICs on the two ports of one function: each works as if it were alone, whatever happens to the other.
use crate::fake::*;
use ferrule_abi::{port_offset, port_vector, regs, BAR_REGS_SIZE, MSIX_VECTORS};
use ferrule_driver::irq::Irq;
use ferrule_driver::nic::{Nic, NicConfig, NicError, QueuePair, RxFrame, TxFrame, TxMode};
use ferrule_driver::ports::Function;
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A function with two ports, of which each is a fake of its own; all of them see the same memory and the same configuration space.
struct Both {
    ports: [FakeDevice; 2],
    gone: Arc<Irq>,
}

impl Both {
    fn port(&mut self, offset: u32) -> (&mut FakeDevice, u32) {
        let port = (offset / BAR_REGS_SIZE) as usize;
        (&mut self.ports[port], offset % BAR_REGS_SIZE)
    }
}

impl Registers for Both {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let (port, offset) = self.port(offset);
        port.read32(bar, offset)
    }
    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        let (port, offset) = self.port(offset);
        port.write32(bar, offset, value)
    }
}

impl Device for Both {
    fn backend(&self) -> &'static str {
        "both"
    }
    fn registers_size(&self) -> u64 {
        port_offset(2).into()
    }
    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.ports[0].config_read(offset, data)
    }
    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.ports[0].config_write(offset, data)
    }
    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        self.ports.iter_mut().try_for_each(|p| p.dma_map(iova, buf))
    }
    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let mut ports = self.ports.iter_mut();
        ports.try_for_each(|p| p.dma_unmap(iova, len))
    }
    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        assert_eq!(eventfds.len(), usize::from(port_vector(2)), "all at once");
        let each = eventfds.chunks(MSIX_VECTORS.into());
        let mut ports = self.ports.iter_mut().zip(each);
        ports.try_for_each(|(port, fds)| port.enable_msix(fds))
    }
    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let port = usize::from(first / MSIX_VECTORS);
        self.ports[port].swap_vectors(first % MSIX_VECTORS, eventfds)
    }
    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.ports.iter_mut().try_for_each(Device::disable_msix)
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        panic!("a function-level reset would hit both ports");
    }
    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.gone.as_fd())
    }
}

struct World {
    fakes: [Fake; 2],
    function: Function,
    gone: Arc<Irq>,
}

impl World {
    fn new() -> Self {
        let fakes = [Fake::new(), Fake::new()];
        let gone = Arc::new(Irq::new().unwrap());
        let both = Both {
            ports: fakes.clone().map(FakeDevice),
            gone: Arc::clone(&gone),
        };
        let function = Function::over(Box::new(both)).unwrap();
        assert_eq!(function.ports(), 2);
        Self {
            fakes,
            function,
            gone,
        }
    }

    fn open(&self, port: u32) -> Nic {
        let device = Box::new(self.function.open(port).unwrap());
        Nic::open(device, Arc::new(JumpClock::default()), &config()).unwrap()
    }

    fn assert_content(&self) {
        self.fakes.iter().for_each(Fake::assert_content);
    }
}

fn config() -> NicConfig {
    NicConfig {
        slots: 16,
        rxq_log2: 4,
        ..NicConfig::default()
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
}

/// A frame each way, with the interrupt that says so, and nothing of it on the other port.
fn works(fake: &Fake, nic: &mut Nic, other: Option<&Nic>, number: u8) {
    let bytes = [number; 80];
    let frame = TxFrame {
        parts: &[&bytes],
        mode: TxMode::Raw,
        report: true,
        token: number.into(),
        ..TxFrame::default()
    };
    nic.drain_irqs().unwrap();
    assert!(nic.send(&frame).unwrap());
    nic.arm().unwrap();
    assert_eq!(fake.lock().transmit().unwrap().bytes, bytes);
    assert!(fake.lock().deliver(&[number ^ 0xFF; 90], 0));
    let raised = nic.irq_fds().map(is_readable);
    assert_eq!(raised, [false, true, true], "transmit and receive");
    if let Some(other) = other {
        assert_eq!(other.irq_fds().map(is_readable), [false; 3]);
    }
    let done = nic.tx_completions().unwrap();
    let tokens: Vec<u64> = done.iter().map(|d| d.token).collect();
    assert_eq!(tokens, [u64::from(number)]);
    let mut frames: Vec<RxFrame> = Vec::new();
    assert_eq!(nic.rx_batch(8, &mut frames).unwrap(), 1);
    assert_eq!(frames[0].to_vec(), [number ^ 0xFF; 90]);
    nic.drain_irqs().unwrap();
}

fn maps(fake: &Fake) -> Vec<(u64, u64)> {
    let ops = fake.lock().ops.clone();
    let mut maps = Vec::new();
    for op in ops {
        match op {
            Op::Map(iova, len) => maps.push((iova, iova + len as u64)),
            Op::Unmap(iova, _) => maps.retain(|(start, _)| *start != iova),
            _ => {}
        }
    }
    maps
}

#[test]
fn two_nics_work_side_by_side_and_each_alone() {
    let world = World::new();
    let [one, two] = &world.fakes;
    let mut first = world.open(0);
    works(one, &mut first, None, 1);
    let mut second = world.open(1);
    for number in 2..40 {
        works(one, &mut first, Some(&second), number);
        works(two, &mut second, Some(&first), number);
    }
    let [a, b] = maps(one)[..] else {
        panic!("the memory of two NICs");
    };
    assert!(a.1 <= b.0 || b.1 <= a.0, "{a:x?} and {b:x?}");
    second.close().unwrap();
    assert_eq!(maps(one), [a]);
    works(one, &mut first, None, 40);
    let mut second = world.open(1);
    works(two, &mut second, Some(&first), 41);
    // Not closed in order, either.
    drop(first);
    works(two, &mut second, None, 42);
    second.close().unwrap();
    assert!(maps(one).is_empty());
    let masters: Vec<Op> = one.lock().ops.clone();
    let masters = masters.iter().filter(|op| matches!(op, Op::BusMaster(_)));
    let masters: Vec<&Op> = masters.collect();
    assert_eq!(
        masters,
        [&Op::BusMaster(true), &Op::BusMaster(false)],
        "on as long as any port is up"
    );
    world.assert_content();
}

#[test]
fn a_port_recovers_by_its_own_reset_and_the_other_goes_on() {
    let world = World::new();
    let [one, two] = &world.fakes;
    let (mut first, mut second) = (world.open(0), world.open(1));
    let before = two.lock().ops.len();
    one.lock().stop_queue(RX);
    first.events().unwrap();
    assert!(matches!(
        first.rx_batch(1, &mut Vec::new()),
        Err(NicError::Stopped { .. })
    ));
    first.recover().unwrap();
    assert_eq!(two.lock().ops.len(), before, "nothing was done to port 1");
    works(one, &mut first, Some(&second), 1);
    works(two, &mut second, Some(&first), 2);
    // One that does not come out of its reset is stuck: the function is not reset for it.
    one.lock().resetting = u32::MAX;
    assert!(matches!(
        first.recover(),
        Err(NicError::Stuck {
            what: "its reset",
            ..
        })
    ));
    assert_eq!(two.lock().ops.len(), before);
    works(two, &mut second, None, 3);
    one.lock().resetting = 0;
    first.recover().unwrap();
    works(one, &mut first, Some(&second), 4);
    world.assert_content();
}

#[test]
fn both_hear_that_the_device_is_gone() {
    let world = World::new();
    let (mut first, mut second) = (world.open(0), world.open(1));
    let hears = |nic: &Nic| is_readable(nic.gone_fd().unwrap());
    assert!(!hears(&first) && !hears(&second));
    rustix::io::write(&*world.gone, &1u64.to_ne_bytes()).unwrap();
    assert!(hears(&first) && hears(&second));
    for fake in &world.fakes {
        fake.lock().gone = true;
    }
    for nic in [&mut first, &mut second] {
        assert!(matches!(nic.check_present(), Err(NicError::Gone)));
    }
}

#[test]
fn a_port_that_is_let_go_of_is_reset_and_the_other_is_not() {
    let world = World::new();
    let [one, two] = &world.fakes;
    let mut second = world.open(1);
    let resets = |fake: &Fake| {
        let ops = &fake.lock().ops;
        ops.iter().filter(|op| **op == Op::Reset).count()
    };
    assert_eq!((resets(one), resets(two)), (0, 1), "by opening it");
    let mut raw = world.function.open(0).unwrap();
    raw.write32(0, regs::hash_key::REGISTER.offset, 7).unwrap();
    drop(raw);
    assert_eq!((resets(one), resets(two)), (1, 1));
    assert_eq!(one.lock().reg(regs::hash_key::REGISTER.offset), 0);
    works(two, &mut second, None, 1);
}

#[test]
fn each_port_has_queue_pairs_of_its_own() {
    let world = World::new();
    let config = NicConfig {
        queue_pairs: 4,
        hash_key: [1; 40],
        ..config()
    };
    let mut nics = [0, 1].map(|port| {
        let device = Box::new(world.function.open(port).unwrap());
        Nic::open(device, Arc::new(JumpClock::default()), &config).unwrap()
    });
    let mut pairs = nics.each_mut().map(|nic| nic.take_pair(3).unwrap());
    for n in [0, 1, 0, 1] {
        let bytes = [n as u8; 80];
        let frame = TxFrame {
            parts: &[&bytes],
            mode: TxMode::Raw,
            report: true,
            ..TxFrame::default()
        };
        assert!(pairs[n].send(&frame).unwrap());
        pairs[n].arm().unwrap();
        let raised = |pairs: &[QueuePair; 2]| [0, 1].map(|n| is_readable(pairs[n].irq_fd()));
        assert_eq!(raised(&pairs), [false; 2]);
        assert_eq!(world.fakes[n].lock().transmit_of(3).unwrap().bytes, bytes);
        assert_eq!(raised(&pairs), [n == 0, n == 1]);
        pairs[n].drain_irq().unwrap();
        assert_eq!(pairs[n].tx_completions().unwrap().len(), 1);
    }
    // The port is let go of when the pair is, and not before.
    let [first, mut second] = nics;
    let [one, two] = pairs;
    drop(first);
    let open = |world: &World| world.function.open(0).map(drop);
    assert!(matches!(open(&world), Err(DeviceError::PortOpen { .. })));
    drop(one);
    open(&world).unwrap();
    drop(two);
    works(&world.fakes[1], &mut second, None, 7);
    world.assert_content();
}

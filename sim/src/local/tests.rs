//! The in-process simulator around a small device: who runs when, and that nobody is left asleep.
use super::*;
use crate::engine::{Engine, EngineError};
use crate::fake_device::{FakeDevice, COPY, ID, ID_VALUE, SCRATCH, SILENT, TIMER, WRITES};
use crate::wire::link::Link;
use crate::wire::loopback::Loopback;
use ferrule_abi::TICK_NS;
use ferrule_driver::clock::{Clock, Served, Service};
use ferrule_driver::ports::{Function, PortDevice};
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers};
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::Weak;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn fake() -> Core {
    Core::Rtl(Box::new(FakeDevice::new()))
}

fn nic() -> NicSetup {
    NicSetup::new(fake(), Box::new(Loopback::new(100)))
}

fn one() -> (LocalSimulator, LocalDevice, LocalClock) {
    let sim = LocalSimulator::builder().nic(nic()).start().unwrap();
    let device = sim.device(0).unwrap();
    let clock = sim.clock();
    (sim, device, clock)
}

fn fired(fd: &OwnedFd) -> bool {
    rustix::io::read(fd, &mut [0; 8]).is_ok()
}

fn with_interrupts(device: &mut LocalDevice) -> Vec<OwnedFd> {
    let events: Vec<OwnedFd> = (0..2).map(|_| new_eventfd().unwrap()).collect();
    let fds: Vec<BorrowedFd<'_>> = events.iter().map(AsFd::as_fd).collect();
    device.enable_msix(&fds).unwrap();
    device.config_write(4, &[6, 0]).unwrap();
    events
}

/// Fails if `body` hangs on the machine's clock.
fn within_reason<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || done.send(body()).is_ok());
    match result.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("hangs"),
        Err(_) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("sent before it ends"),
        },
    }
}

#[test]
fn registers_are_read_and_written_in_order_without_any_wait() {
    let (sim, mut device, clock) = one();
    let _attached = clock.attach();
    assert_eq!(device.read32(0, ID).unwrap(), ID_VALUE);
    for n in 1..=200 {
        device.write32(0, SCRATCH, n).unwrap();
    }
    assert_eq!(device.read32(0, SCRATCH).unwrap(), 200);
    assert_eq!(device.read32(0, WRITES).unwrap(), 200);
    assert_eq!(device.read32(0, SILENT).unwrap(), u32::MAX, "no answer");
    assert!(clock.now() < 200_000, "{}", clock.now());
    assert_eq!(sim.stats(0).unwrap().tlps.violations, 0);
    assert_eq!(sim.stats(1), None);
    sim.stop().unwrap();
}

#[test]
fn two_ports_have_registers_and_vectors_of_their_own_behind_one_function() {
    let core = Core::Rtl(Box::new(FakeDevice::with_ports(2)));
    let nic = NicSetup::new(core, Box::new(Loopback::new(100))).ports(2);
    let sim = LocalSimulator::builder().nic(nic).start().unwrap();
    let (mut device, clock) = (sim.device(0).unwrap(), sim.clock());
    let _attached = clock.attach();
    let port = ferrule_abi::port_offset;
    for p in 0..2 {
        device
            .write32(0, port(p) + SCRATCH, 5 + u32::from(p))
            .unwrap();
    }
    for p in 0..2 {
        assert_eq!(device.read32(0, port(p) + ID).unwrap(), ID_VALUE);
        let scratch = device.read32(0, port(p) + SCRATCH).unwrap();
        assert_eq!(scratch, 5 + u32::from(p));
    }
    assert!(matches!(
        device.read32(0, port(2)),
        Err(DeviceError::OutOfRegion {
            size: 0x20_0000,
            ..
        })
    ));
    let events: Vec<OwnedFd> = (0..17).map(|_| new_eventfd().unwrap()).collect();
    let fds: Vec<BorrowedFd<'_>> = events.iter().map(AsFd::as_fd).collect();
    assert!(matches!(
        device.enable_msix(&fds),
        Err(DeviceError::Vectors { have: 16, want: 17 })
    ));
    device.enable_msix(&fds[..16]).unwrap();
    device.config_write(4, &[6, 0]).unwrap();
    let buf = DmaBuf::new(4096).unwrap();
    device.dma_map(0x1000, &buf).unwrap();
    let fired_now = || (0..17).filter(|n| fired(&events[*n])).collect::<Vec<_>>();
    // Both at once, each on its own vector; and then each alone.
    device.write32(0, port(0) + COPY, 0x1000).unwrap();
    device.write32(0, port(1) + COPY, 0x1010).unwrap();
    clock.wait(&[], Some(clock.now() + 10_000)).unwrap();
    assert_eq!(fired_now(), [0, 8]);
    for p in [1, 0] {
        device.write32(0, port(p) + COPY, 0x1000).unwrap();
        clock.wait(&[], Some(clock.now() + 10_000)).unwrap();
        assert_eq!(fired_now(), [8 * usize::from(p)]);
        let tick = (clock.now() / TICK_NS) as u32 + 1;
        device.write32(0, port(p) + TIMER, tick).unwrap();
        let limit = clock.now() + 2 * TICK_NS;
        clock.wait(&[], Some(limit)).unwrap();
        assert_eq!(fired_now(), [8 * usize::from(p) + 1]);
    }
    device.disable_msix().unwrap();
    device.write32(0, port(1) + COPY, 0x1000).unwrap();
    clock.wait(&[], Some(clock.now() + 10_000)).unwrap();
    assert_eq!(fired_now(), [0; 0]);
    // A reset is both ports'.
    device.reset().unwrap();
    assert_eq!(device.read32(0, port(0) + SCRATCH).unwrap(), 0);
    assert_eq!(device.read32(0, port(1) + SCRATCH).unwrap(), 0);
    assert_eq!(sim.stats(0).unwrap().tlps.violations, 0);
    sim.stop().unwrap();
}

#[test]
fn ports_of_a_simulated_function_are_devices_of_their_own() {
    let core = Core::Rtl(Box::new(FakeDevice::with_ports(2)));
    let nic = NicSetup::new(core, Box::new(Loopback::new(100))).ports(2);
    let sim = LocalSimulator::builder().nic(nic).start().unwrap();
    let clock = sim.clock();
    let _attached = clock.attach();
    let function = Function::over(Box::new(sim.device(0).unwrap())).unwrap();
    assert_eq!(function.ports(), 2);
    let mut ports = [function.open(0).unwrap(), function.open(1).unwrap()];
    let events: Vec<OwnedFd> = (0..2).map(|_| new_eventfd().unwrap()).collect();
    let buf = DmaBuf::new(4096).unwrap();
    for (n, port) in ports.iter_mut().enumerate() {
        port.config_write(4, &[6, 0]).unwrap();
        port.enable_msix(&[events[n].as_fd()]).unwrap();
        let iova = port.reserve_iova(&(0x1000..0x9000), 4096).unwrap();
        assert_eq!(iova, 0x1000 * (n as u64 + 1));
        port.dma_map(iova, &buf).unwrap();
    }
    let fired_after = |port: &mut PortDevice, address: u32| {
        port.write32(0, COPY, address).unwrap();
        clock.wait(&[], Some(clock.now() + 10_000)).unwrap();
        events.iter().map(fired).collect::<Vec<_>>()
    };
    let [first, second] = &mut ports;
    assert_eq!(fired_after(first, 0x1000), [true, false]);
    assert_eq!(fired_after(second, 0x2000), [false, true]);
    first.disable_msix().unwrap();
    assert_eq!(fired_after(first, 0x1000), [false, false]);
    assert_eq!(fired_after(second, 0x2000), [false, true]);
    drop((ports, function));
    assert_eq!(sim.stats(0).unwrap().tlps.refused_reads, 0);
    let mut alone = sim.device(0).unwrap();
    assert_eq!(alone.read32(0, SCRATCH).unwrap(), 0, "and it is free again");
}

#[test]
fn a_model_has_one_port_whatever_is_asked_for() {
    let nic = NicSetup::new(Core::Model, Box::new(Loopback::new(100))).ports(2);
    let sim = LocalSimulator::builder().nic(nic).start().unwrap();
    let mut device = sim.device(0).unwrap();
    assert_eq!(
        device.read32(0, 0).unwrap(),
        ferrule_abi::regs::MAGIC,
        "the first port's"
    );
    assert!(matches!(
        device.read32(0, ferrule_abi::port_offset(1)),
        Err(DeviceError::OutOfRegion {
            size: 0x10_0000,
            ..
        })
    ));
}

#[test]
fn waiting_an_hour_takes_few_cycles_and_ends_on_time() {
    let (sim, _device, clock) = one();
    let _attached = clock.attach();
    clock.wait(&[], Some(3600 * SECOND)).unwrap();
    assert_eq!(clock.now(), 3600 * SECOND);
    assert!(sim.stats(0).unwrap().cycles < 5_000);
    assert!(sim.jumped_ns() > 3599 * SECOND);
}

#[test]
fn an_interrupt_ends_a_wait_and_memory_is_there_by_then() {
    let (sim, mut device, clock) = one();
    let _attached = clock.attach();
    let events = with_interrupts(&mut device);
    let buf = DmaBuf::new(4096).unwrap();
    device.dma_map(0x1000, &buf).unwrap();
    for round in 1..100u32 {
        let before = clock.now();
        buf.store(0, round);
        device.write32(0, COPY, 0x1000).unwrap();
        clock
            .wait(&[events[0].as_fd()], Some(before + SECOND))
            .unwrap();
        assert!(fired(&events[0]), "round {round}");
        assert_eq!(buf.load(4), round);
        assert!(clock.now() - before < 10_000, "round {round}");
    }
    for tick in [1_000u32, 1_001, 2_000] {
        device.write32(0, TIMER, tick).unwrap();
        clock.wait(&[events[1].as_fd()], None).unwrap();
        assert!(fired(&events[1]));
        let late = clock.now().checked_sub(u64::from(tick) * TICK_NS).unwrap();
        assert!(late < 10_000, "{late} ns late");
    }
    device.dma_unmap(0x1000, buf.len()).unwrap();
    device.disable_msix().unwrap();
    assert_eq!(sim.stats(0).unwrap().tlps.interrupts, 99 + 3);
}

#[test]
fn accesses_that_cannot_be_are_refused() {
    let (sim, mut device, _clock) = one();
    let out_of_region = |r| matches!(r, Err(DeviceError::OutOfRegion { .. }));
    assert!(out_of_region(device.read32(0, 0x10_0000).map(drop)));
    assert!(out_of_region(device.read32(1, 0).map(drop)));
    assert!(out_of_region(device.config_read(4095, &mut [0; 2])));
    assert!(matches!(
        device.write32(0, 2, 0),
        Err(DeviceError::Misaligned(2))
    ));
    let buf = DmaBuf::new(4096).unwrap();
    device.dma_map(0, &buf).unwrap();
    assert!(device.dma_map(0, &buf).is_err(), "taken");
    let many = [buf.file().unwrap(); 64];
    assert!(matches!(
        device.enable_msix(&many),
        Err(DeviceError::Vectors { want: 64, .. })
    ));
    assert!(sim.device(0).is_err(), "it is open");
    assert!(sim.device(1).is_err(), "there is none");
    drop(device);
    let mut again = sim.device(0).unwrap();
    again.dma_map(0, &buf).unwrap();
    again.reset().unwrap();
    sim.stop().unwrap();
    assert!(matches!(again.read32(0, ID), Err(DeviceError::Gone(_))));
}

#[test]
fn frames_cross_a_link_once_each_and_the_capture_has_them_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.pcapng");
    let (near, far) = Link::pair(700);
    // The fake device sends back what it receives: a frame put in at one end bounces between the two for ever.
    let end = |wire| NicSetup::new(fake(), Box::new(wire)).recorded(Recorded::Sent);
    let sim = LocalSimulator::builder()
        .nic(end(near))
        .nic(end(far))
        .capture(&path)
        .start()
        .unwrap();
    let frame = [0x11; 60];
    let bytes = [
        &[0x55; 7][..],
        &[0xD5],
        &frame,
        &crc32fast::hash(&frame).to_le_bytes(),
    ]
    .concat();
    let line = bytes.iter().map(|b| Gmii {
        data: *b,
        valid: true,
        error: false,
    });
    let clock = sim.clock();
    // Out of reset.
    clock.wait(&[], Some(1_000)).unwrap();
    sim.inject(0, line.chain([Gmii::default(); 12]).collect());
    clock.wait(&[], Some(101_000)).unwrap();
    let stats = [0, 1].map(|n| sim.stats(n).unwrap().phy);
    sim.stop().unwrap();
    // A hop: 72 byte times, one of the device's, 700 ns of cable.
    let hop = 73 * 8 + 700;
    for phy in stats {
        assert_eq!(phy.tx_faults, 0);
        assert!(
            phy.tx_frames.abs_diff(100_000 / hop / 2) < 5,
            "{phy:?}, a hop takes {hop} ns"
        );
    }
    let file = std::fs::File::open(path).unwrap();
    let mut reader = pcap_file::pcapng::PcapNgReader::new(file).unwrap();
    let mut seen = vec![];
    while let Some(block) = reader.next_block() {
        if let pcap_file::pcapng::Block::EnhancedPacket(p) = block.unwrap() {
            seen.push((p.timestamp.as_nanos() as u64, p.interface_id));
        }
    }
    assert_eq!(
        seen.len() as u64,
        stats[0].tx_frames + stats[1].tx_frames,
        "each once"
    );
    let alternate = seen
        .windows(2)
        .all(|w| w[0].1 != w[1].1 && (hop..hop + 40).contains(&(w[1].0 - w[0].0)));
    assert!(alternate, "{seen:?}");
}

/// Threads that sleep, write to each other's descriptors and read registers; what each did when.
fn crowd(seed: u64) -> Vec<(usize, u64, u64)> {
    const THREADS: usize = 6;
    let sim = LocalSimulator::builder()
        .nic(nic())
        .nic(nic())
        .start()
        .unwrap();
    let clock = sim.clock();
    let attached = clock.attach();
    let log = Arc::new(Mutex::new(vec![]));
    let doors: Vec<Arc<OwnedFd>> = (0..THREADS)
        .map(|_| Arc::new(new_eventfd().unwrap()))
        .collect();
    let devices = [0, 1].map(|n| Arc::new(Mutex::new(sim.device(n).unwrap())));
    let threads: Vec<JoinHandle<()>> = (0..THREADS)
        .map(|me| {
            let (inner, doors, log) = (clock.clone(), doors.clone(), Arc::clone(&log));
            let device = Arc::clone(&devices[me % 2]);
            let body = move || {
                let mut random = StdRng::seed_from_u64(seed + me as u64);
                for _ in 0..60 {
                    let deadline = inner.now() + random.random_range(1..2_000);
                    inner.wait(&[doors[me].as_fd()], Some(deadline)).unwrap();
                    clear(&doors[me]);
                    let value: u32 = random.random();
                    if value.is_multiple_of(3) {
                        device.lock().unwrap().write32(0, SCRATCH, value).unwrap();
                    }
                    let read = device.lock().unwrap().read32(0, SCRATCH).unwrap();
                    log.lock().unwrap().push((me, inner.now(), read.into()));
                    signal(&doors[random.random_range(0..THREADS)]);
                }
            };
            clock.spawn(body).unwrap()
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(attached);
    let log = log.lock().unwrap().clone();
    log
}

#[test]
fn with_all_threads_attached_a_run_is_a_function_of_its_seed() {
    within_reason(|| {
        let first = crowd(7);
        assert_eq!(first.len(), 360);
        for _ in 0..5 {
            assert_eq!(crowd(7), first);
        }
        assert_ne!(crowd(8), first);
    });
}

#[test]
fn one_attached_thread_runs_at_a_time() {
    within_reason(|| {
        let (_sim, _device, clock) = one();
        let attached = clock.attach();
        let running = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8u64)
            .map(|n| {
                let (inner, running) = (clock.clone(), Arc::clone(&running));
                let body = move || {
                    for round in 1..50 {
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        inner.wait(&[], Some(round * 100 + n % 3)).unwrap();
                    }
                };
                clock.spawn(body).unwrap()
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        drop(attached);
        assert_eq!(clock.now(), 4_902);
    });
}

#[test]
fn threads_that_are_not_attached_are_woken_too() {
    within_reason(|| {
        let (_sim, mut device, clock) = one();
        let events = with_interrupts(&mut device);
        let sleeper = std::thread::spawn({
            let clock = clock.clone();
            move || clock.wait(&[], Some(SECOND)).map(|()| clock.now())
        });
        let door = Arc::new(new_eventfd().unwrap());
        let waiter = std::thread::spawn({
            let (clock, door) = (clock.clone(), Arc::clone(&door));
            move || clock.wait(&[door.as_fd()], None)
        });
        device.write32(0, TIMER, 100).unwrap();
        clock.wait(&[events[1].as_fd()], None).unwrap();
        assert!(fired(&events[1]));
        assert!(sleeper.join().unwrap().unwrap() >= SECOND);
        // Nothing can happen any more, but somebody outside writes.
        std::thread::sleep(Duration::from_millis(5));
        signal(&door);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_descriptor_wakes_a_thread_that_is_not_attached_while_an_attached_one_works() {
    within_reason(|| {
        let (_sim, _device, clock) = one();
        let _attached = clock.attach();
        let door = Arc::new(new_eventfd().unwrap());
        let waiter = std::thread::spawn({
            let (clock, door) = (clock.clone(), Arc::clone(&door));
            move || clock.wait(&[door.as_fd()], None)
        });
        std::thread::sleep(Duration::from_millis(5));
        signal(&door);
        // Joined by the machine, not by the clock: this thread keeps the baton.
        waiter.join().unwrap().unwrap();
        assert_eq!(clock.now(), 0);
    });
}

#[test]
fn outside_time_passes_for_the_others() {
    within_reason(|| {
        let (_sim, _device, clock) = one();
        let attached = clock.attach();
        let (done, result) = channel();
        let other = clock.clone();
        let thread = clock
            .spawn(move || {
                other.wait(&[], Some(SECOND)).unwrap();
                done.send(other.now()).unwrap();
            })
            .unwrap();
        assert_eq!(attached.outside(|| result.recv().unwrap()), SECOND);
        thread.join().unwrap();
    });
}

#[test]
fn a_panic_in_one_thread_leaves_the_others_running() {
    within_reason(|| {
        let (_sim, _device, clock) = one();
        let _attached = clock.attach();
        let inner = clock.clone();
        let broken = clock.spawn(move || {
            inner.wait(&[], Some(100)).unwrap();
            panic!("on purpose");
        });
        let inner = clock.clone();
        let whole = clock.spawn(move || inner.wait(&[], Some(5_000)).map(|()| inner.now()));
        assert!(broken.unwrap().join().is_err());
        assert_eq!(whole.unwrap().join().unwrap().unwrap(), 5_000);
    });
}

/// An engine with a fault in it.
struct Faulty(u64);
impl Engine for Faulty {
    fn step(&mut self, _: Clocks, _: &Inputs) -> Outputs {
        self.0 += 1;
        assert!(self.0 < 50, "a combinational loop");
        Outputs {
            busy: true,
            ..Outputs::default()
        }
    }
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn cycles(&self) -> u64 {
        self.0
    }
    fn trace_start(&mut self, _: &Path) -> Result<(), EngineError> {
        Err(EngineError::NoTracing)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

#[test]
fn a_fault_is_reported_to_all_and_hangs_nobody() {
    within_reason(|| {
        let nic = NicSetup::new(Core::Rtl(Box::new(Faulty(0))), Box::new(Loopback::new(0)));
        let sim = LocalSimulator::builder().nic(nic).start().unwrap();
        let clock = sim.clock();
        let _attached = clock.attach();
        let mut device = sim.device(0).unwrap();
        let wait = |inner: LocalClock| move || inner.wait(&[], None).unwrap_err();
        let attached = clock.spawn(wait(clock.clone())).unwrap();
        let other = std::thread::spawn(wait(clock.clone()));
        assert!(matches!(device.read32(0, ID), Err(DeviceError::Gone(t)) if t.contains("loop")));
        for error in [attached.join().unwrap(), other.join().unwrap()] {
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert!(error.to_string().contains("combinational loop"), "{error}");
        }
        let error = sim.stop().unwrap_err();
        assert!(matches!(&error, SimulatorError::Fault(text) if text.contains("loop")));
    });
}

#[test]
fn stopping_lets_everybody_go() {
    within_reason(|| {
        let (sim, _device, clock) = one();
        let waiters: Vec<_> = (0..3)
            .map(|n| {
                let (clock, ticket) = (clock.clone(), (n == 1).then(|| clock.ticket()));
                std::thread::spawn(move || {
                    let _attached = ticket.map(Ticket::attach);
                    clock.wait(&[], None).unwrap_err().kind()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(5));
        sim.stop().unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn in_a_closed_world_a_wait_for_nothing_fails() {
    within_reason(|| {
        let sim = LocalSimulator::builder()
            .nic(nic())
            .closed(60 * SECOND)
            .start()
            .unwrap();
        let clock = sim.clock();
        let _attached = clock.attach();
        clock.wait(&[], Some(3600 * SECOND)).unwrap();
        let inner = clock.clone();
        let other = clock.spawn(move || inner.wait(&[], None).unwrap_err().kind());
        assert_eq!(
            clock.wait(&[], None).unwrap_err().kind(),
            io::ErrorKind::Deadlock
        );
        assert_eq!(other.unwrap().join().unwrap(), io::ErrorKind::Deadlock);
    });
}

#[test]
fn interrupts_take_as_long_as_they_were_told_to() {
    let sim = LocalSimulator::builder()
        .nic(nic())
        .interrupt_latency(Duration::from_micros(30))
        .start()
        .unwrap();
    let mut device = sim.device(0).unwrap();
    let clock = sim.clock();
    let _attached = clock.attach();
    let events = with_interrupts(&mut device);
    device.write32(0, TIMER, 100).unwrap();
    let raised = 100 * TICK_NS;
    clock.wait(&[events[1].as_fd()], None).unwrap();
    assert!(fired(&events[1]));
    let late = clock.now().checked_sub(raised).unwrap();
    assert!((30_000..35_000).contains(&late), "{late} ns late");
}

/// Counts how often it is run, and asks to be run again after some time.
struct Ticking {
    call: OwnedFd,
    runs: AtomicUsize,
    clock: LocalClock,
    due: AtomicBool,
}

impl Service for Ticking {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.call.as_fd()]
    }
    fn is_due(&self) -> bool {
        self.due.swap(false, Ordering::SeqCst)
    }
    fn run(&self, _called: bool) -> Served {
        clear(&self.call);
        self.runs.fetch_add(1, Ordering::SeqCst);
        // A service may use the clock like anybody.
        self.clock.wait(&[], Some(self.clock.now() + 10)).unwrap();
        Served::Until(Some(self.clock.now() + 990))
    }
}

#[test]
fn services_run_when_they_are_called_due_or_late() {
    within_reason(|| {
        let (_sim, _device, clock) = one();
        let _attached = clock.attach();
        let service = Arc::new(Ticking {
            call: new_eventfd().unwrap(),
            runs: AtomicUsize::new(0),
            clock: clock.clone(),
            due: AtomicBool::new(false),
        });
        let weak: Weak<Ticking> = Arc::downgrade(&service);
        assert!(clock.serve(weak));
        clock.wait(&[], Some(10_500)).unwrap();
        assert_eq!(service.runs.load(Ordering::SeqCst), 11, "at 0, 1000, ...");
        signal(&service.call);
        clock.wait(&[], Some(10_600)).unwrap();
        assert_eq!(service.runs.load(Ordering::SeqCst), 12);
        service.due.store(true, Ordering::SeqCst);
        clock.poke();
        clock.wait(&[], Some(10_700)).unwrap();
        assert_eq!(service.runs.load(Ordering::SeqCst), 13);
        drop(service);
        clock.wait(&[], Some(20_000)).unwrap();
    });
}

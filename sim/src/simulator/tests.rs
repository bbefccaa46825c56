//! The loop around a small device: jumps, wires, files, faults.
use super::*;
use crate::capture::{Capture, Direction};
use crate::engine::Engine;
use crate::fake_device::{FakeDevice, COPY, ID, ID_VALUE, SCRATCH, TIMER, WRITES};
use crate::phy::fcs;
use crate::wire::impair::Impaired;
use crate::wire::pcap::{Replay, LEAD_NS};
use ferrule_abi::{regs, TICK_NS};
use ferrule_driver::clock::{Clock, WallClock};
use ferrule_driver::vfio_user::VfioUser;
use ferrule_driver::{Device, DmaBuf, Registers};
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use std::os::fd::BorrowedFd;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn fake() -> Core {
    Core::Rtl(Box::new(FakeDevice::new()))
}

/// A time and a frame.
type Timed = (u64, Vec<u8>);

/// Frames due at given times, and what came back when.
#[derive(Clone, Default)]
struct TestWire {
    due: Vec<Timed>,
    got: Arc<Mutex<Vec<Timed>>>,
}

impl Wire for TestWire {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.got.lock().unwrap().push((now_ns, frame.to_vec()));
    }
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        let at = self.due.iter().position(|(due, _)| *due <= now_ns)?;
        Some(self.due.remove(at).1)
    }
    fn next_deadline(&mut self, _now_ns: u64) -> Option<u64> {
        self.due.iter().map(|(due, _)| *due).min()
    }
}

/// A simulator around a fake device, and the driver's end of its socket.
fn start(builder: Builder) -> (Simulator, VfioUser) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let sim = builder.client(ours).start(fake()).unwrap();
    let device = VfioUser::over(theirs, Duration::from_secs(30)).unwrap();
    (sim, device)
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}
fn fired(fd: &OwnedFd) -> bool {
    rustix::io::read(fd, &mut [0; 8]).is_ok()
}
fn with_interrupts(device: &mut VfioUser) -> Vec<OwnedFd> {
    let events: Vec<OwnedFd> = (0..2).map(|_| event()).collect();
    let fds: Vec<BorrowedFd<'_>> = events.iter().map(AsFd::as_fd).collect();
    device.enable_msix(&fds).unwrap();
    device.config_write(4, &[6, 0]).unwrap();
    events
}

#[test]
fn waiting_an_hour_takes_few_cycles_and_ends_on_time() {
    let (sim, mut device) = start(Simulator::builder(Box::new(TestWire::default())));
    let clock = sim.clock().unwrap();
    let _attached = clock.attach();
    assert_eq!(device.read32(0, ID).unwrap(), ID_VALUE);
    let start = clock.now();
    clock.wait(&[], Some(3600 * SECOND)).unwrap();
    assert_eq!(clock.now(), 3600 * SECOND);
    let stats = sim.stop().unwrap();
    assert!(stats.cycles < 5_000, "{stats:?}");
    assert!(start < 100_000, "{start} ns before the wait");
    assert!(stats.jumped_ns > 3599 * SECOND);
    assert_eq!((stats.tlps.violations, stats.engine), (0, "fake"));
}

#[test]
fn the_devices_timer_is_jumped_to_and_its_interrupt_wakes_the_host() {
    let (sim, mut device) = start(Simulator::builder(Box::new(TestWire::default())));
    let clock = sim.clock().unwrap();
    let _attached = clock.attach();
    let events = with_interrupts(&mut device);
    for tick in [1_000u32, 1_001, 2_000] {
        device.write32(0, TIMER, tick).unwrap();
        clock
            .wait(&[events[1].as_fd()], Some(3600 * SECOND))
            .unwrap();
        assert!(fired(&events[1]));
        let due = u64::from(tick) * TICK_NS;
        let late = clock.now().checked_sub(due).unwrap();
        assert!(late < 10_000, "{late} ns late");
    }
    assert_eq!(sim.stop().unwrap().tlps.interrupts, 3);
}

#[test]
fn a_posted_write_just_before_a_wait_is_never_jumped_over() {
    let (sim, mut device) = start(Simulator::builder(Box::new(TestWire::default())));
    let clock = sim.clock().unwrap();
    let _attached = clock.attach();
    let events = with_interrupts(&mut device);
    let buf = DmaBuf::new(4096).unwrap();
    device.dma_map(0x1000, &buf).unwrap();
    for round in 0..300 {
        let before = clock.now();
        device.write32(0, COPY, 0x1000).unwrap();
        clock
            .wait(&[events[0].as_fd()], Some(before + SECOND))
            .unwrap();
        assert!(
            fired(&events[0]),
            "round {round}: the interrupt comes before the deadline"
        );
        assert!(
            clock.now() - before < 100_000,
            "round {round}: {} ns",
            clock.now() - before
        );
    }
    let stats = sim.stop().unwrap();
    assert_eq!((stats.tlps.interrupts, stats.tlps.up.reads), (300, 300));
    assert!(stats.cycles_per_cpu_second() > 0.0);
}

#[test]
fn frames_cross_the_wire_and_the_capture_has_them_at_their_times() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.pcapng");
    let wire = TestWire {
        due: vec![
            (2_000_000, vec![0xAA; 60]),
            (2_000_000, vec![0xBB; 1514]),
            (5_000_000, vec![0xCC; 42]),
        ],
        got: Arc::default(),
    };
    let got = wire.got.clone();
    let (sim, _device) = start(Simulator::builder(Box::new(wire)).capture(&path));
    let clock = sim.clock().unwrap();
    clock.wait(&[], Some(6_000_000)).unwrap();
    let stats = sim.stop().unwrap();
    let got = got.lock().unwrap().clone();
    let mut padded = vec![0xCC; 42];
    padded.resize(60, 0);
    let frames: Vec<&[u8]> = got.iter().map(|(_, f)| &f[..]).collect();
    assert_eq!(frames, [&[0xAA; 60][..], &[0xBB; 1514], &padded]);
    // 8 bytes of preamble, 60 + 4 of frame, one of delay, 8 ns each.
    assert_eq!(got[0].0 - 2_000_000, 8 * (8 + 64 + 1));
    // The second one follows after a gap of 12.
    assert_eq!(got[1].0 - got[0].0, 8 * (12 + 8 + 1518));
    assert_eq!(
        (stats.phy.rx_frames, stats.phy.tx_frames, stats.phy.tx_bytes),
        (3, 3, 60 + 1514 + 60)
    );

    let mut reader = PcapNgReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut captured = vec![];
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap() {
            captured.push((p.timestamp.as_nanos() as u64, p.data.len()));
        }
    }
    assert_eq!(captured.len(), 6);
    assert_eq!(captured[0], (2_000_000, 60));
    assert!(
        captured.contains(&(got[1].0, 1514)) && captured.contains(&(5_000_000, 42)),
        "{captured:?}"
    );
}

#[test]
fn a_frame_that_the_wire_damaged_reaches_the_nic_with_an_fcs_that_does_not_fit_and_is_marked_in_the_capture(
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.pcapng");
    let wire = TestWire {
        due: (1..=20).map(|n| (n * 100_000, vec![n as u8; 60])).collect(),
        got: Arc::default(),
    };
    let got = wire.got.clone();
    let impairments = "rx.corrupt=50%".parse().unwrap();
    let wire = Box::new(Impaired::new(Box::new(wire), &impairments, 3));
    let (sim, _device) = start(Simulator::builder(wire).capture(&path));
    sim.clock().unwrap().wait(&[], Some(5_000_000)).unwrap();
    let stats = sim.stop().unwrap();
    let corrupted = stats.impairments.unwrap().to_nic.corrupted;
    assert!((1..20).contains(&corrupted), "{stats:?}");
    assert_eq!(stats.phy.rx_damaged, corrupted);
    // The device sends back what comes, as it comes.
    assert_eq!(stats.phy.tx_faults, corrupted);
    assert_eq!(got.lock().unwrap().len() as u64, 20 - corrupted);
    let mut reader = PcapNgReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut marked = 0;
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap() {
            let flags = EnhancedPacketOption::Flags(1 | 1 << 24);
            marked += u64::from(p.options.contains(&flags));
        }
    }
    assert_eq!(marked, corrupted);
}

#[test]
fn a_capture_is_replayed_from_when_the_receiver_is_switched_on_and_again_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (recorded, path) = (dir.path().join("r.pcapng"), dir.path().join("c.pcapng"));
    let mut capture = Capture::create(&recorded).unwrap();
    for (at, n) in [(500, 1), (3_000_500, 2), (3_000_500, 3)] {
        capture.frame(at, Direction::Received, &[n; 60]).unwrap();
    }
    capture.flush().unwrap();
    let wire = Box::new(Replay::open(&recorded).unwrap());
    let (sim, mut device) = start(Simulator::builder(wire).capture(&path));
    let clock = sim.clock().unwrap();
    let _attached = clock.attach();
    clock.wait(&[], Some(SECOND)).unwrap();
    device.config_write(4, &[6, 0]).unwrap();
    let enable = regs::ctrl::RX_EN.of(1);
    let mut on_ns = vec![];
    for value in [enable, enable, 0, enable] {
        on_ns.push(clock.now());
        device.write32(0, regs::ctrl::OFFSET, value).unwrap();
        clock.wait(&[], Some(clock.now() + SECOND)).unwrap();
    }
    let stats = sim.stop().unwrap();
    assert_eq!((stats.phy.rx_frames, stats.phy.tx_frames), (6, 6));
    let mut reader = PcapNgReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut came = vec![];
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(p) = block.unwrap() {
            if p.options.contains(&EnhancedPacketOption::Flags(1)) {
                came.push(p.timestamp.as_nanos() as u64);
            }
        }
    }
    for (frames, on_ns) in came.chunks(3).zip([on_ns[0], on_ns[3]]) {
        let late = frames[0].checked_sub(on_ns + LEAD_NS).unwrap();
        assert!(late < 100_000, "{late} ns");
        assert_eq!(frames[1] - frames[0], 3_000_000);
        // The third waits for the second to have passed: 84 byte times.
        assert_eq!(frames[2] - frames[1], 84 * 8);
    }
}

#[test]
fn a_line_put_in_by_hand_reaches_the_nic() {
    let wire = TestWire::default();
    let got = wire.got.clone();
    let (sim, _device) = start(Simulator::builder(Box::new(wire)));
    let frame = [0x11; 60];
    let mut bytes = [&[0x55; 7][..], &[0xD5], &frame, &fcs(&frame)].concat();
    let line = |b: &[u8]| -> Vec<Gmii> {
        let byte = |d: &u8| Gmii {
            data: *d,
            valid: true,
            error: false,
        };
        b.iter().map(byte).chain([Gmii::default(); 12]).collect()
    };
    let good = line(&bytes);
    bytes[30] ^= 1;
    sim.inject(line(&bytes));
    sim.inject(good);
    sim.clock().unwrap().wait(&[], Some(SECOND)).unwrap();
    let stats = sim.stop().unwrap();
    assert_eq!((stats.phy.tx_faults, stats.phy.tx_frames), (1, 1));
    assert_eq!(got.lock().unwrap().len(), 1);
}

#[test]
fn two_threads_of_a_host_share_the_clock() {
    let (sim, mut device) = start(Simulator::builder(Box::new(TestWire::default())));
    let clock = sim.clock().unwrap();
    let attached = clock.attach();
    let ticket = clock.ticket();
    let other = std::thread::spawn({
        let clock = clock.clone();
        move || {
            let _attached = ticket.attach();
            for n in 1..=50u64 {
                clock.wait(&[], Some(n * SECOND)).unwrap();
                assert_eq!(clock.now(), n * SECOND);
            }
        }
    });
    for n in 1..=20u64 {
        clock.wait(&[], Some(n * 2 * SECOND + SECOND / 2)).unwrap();
        assert_eq!(clock.now(), n * 2 * SECOND + SECOND / 2);
        if n == 10 {
            // Cycles pass while this runs, and the other thread's times stay right.
            let before = clock.now();
            device.write32(0, SCRATCH, 5).unwrap();
            assert_eq!(device.read32(0, SCRATCH).unwrap(), 5);
            assert!(clock.now() - before < SECOND / 4);
        }
    }
    drop(attached);
    other.join().unwrap();
    sim.stop().unwrap();
}

#[test]
fn stopping_lets_waiting_hosts_go() {
    let (sim, _device) = start(Simulator::builder(Box::new(TestWire::default())));
    let clock = sim.clock().unwrap();
    let waiter = std::thread::spawn(move || clock.wait(&[], None));
    sim.stop().unwrap();
    assert_eq!(
        waiter.join().unwrap().unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

/// An engine with a fault in it.
struct Faulty(u64);
impl Engine for Faulty {
    fn step(&mut self, _: Clocks, _: &Inputs) -> Outputs {
        self.0 += 1;
        assert!(self.0 < 5, "a combinational loop");
        Outputs::default()
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
fn a_fault_is_reported_and_hangs_nobody() {
    let sim = Simulator::builder(Box::new(TestWire::default()))
        .start(Core::Rtl(Box::new(Faulty(0))))
        .unwrap();
    let clock = sim.clock().unwrap();
    assert_eq!(
        clock.wait(&[], None).unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    let error = sim.stop().unwrap_err();
    assert!(
        matches!(&error, SimulatorError::Fault(text) if text.contains("combinational loop")),
        "{error}"
    );
}

#[test]
fn what_cannot_be_opened_is_said_at_the_start() {
    let new = || Simulator::builder(Box::new(TestWire::default()));
    let refused = |b: Builder| b.start(fake()).err().unwrap();
    assert!(matches!(
        refused(new().vcd("x.vcd")),
        SimulatorError::Engine(EngineError::NoTracing)
    ));
    assert!(matches!(
        refused(new().capture("/no/such/folder/c.pcapng")),
        SimulatorError::Capture { .. }
    ));
    assert!(matches!(
        refused(new().listen("/no/such/folder/s")),
        SimulatorError::Listen { .. }
    ));
    // A disk that fills up is said at the end, and the run goes on.
    let sim = new().capture("/dev/full").start(fake());
    if let Ok(sim) = sim {
        sim.clock().unwrap().wait(&[], Some(SECOND)).unwrap();
        assert!(matches!(sim.stop(), Err(SimulatorError::Capture { .. })));
    }
}

#[test]
fn on_wall_time_the_machines_clock_drives_the_timer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let sim = Simulator::builder(Box::new(TestWire::default()))
        .wall_time()
        .listen(&path)
        .start(fake())
        .unwrap();
    assert!(sim.clock().is_none());
    let mut device = VfioUser::connect(&path).unwrap();
    let events = with_interrupts(&mut device);
    let started = WallClock.now();
    device.write32(0, TIMER, 20).unwrap();
    WallClock
        .wait(&[events[1].as_fd()], Some(started + 20 * SECOND))
        .unwrap();
    assert!(fired(&events[1]));
    assert_eq!(device.read32(0, WRITES).unwrap(), 1);
    let stats = sim.stop().unwrap();
    assert!(stats.simulated_ns >= 20 * TICK_NS, "{stats:?}");
    assert!(!path.exists());
}

#[test]
fn mac_addresses_of_seeds_are_local_unicast_and_distinct() {
    let macs: std::collections::HashSet<[u8; 6]> = (0..10_000).map(mac_of_seed).collect();
    assert_eq!(macs.len(), 10_000);
    assert!(macs.iter().all(|m| m[0] & 3 == 2));
}

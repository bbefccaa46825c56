//! The server against a raw client that writes its messages byte by byte, and against the driver's own.
use super::*;
use crate::config_space::ConfigSpace;
use crate::engine::Engine;
use crate::fake_device::{FakeDevice, COPY, ID, ID_VALUE, SCRATCH, SILENT, WRITES};
use crate::root_complex::{RootComplex, Settings};
use ferrule_driver::vfio_user::VfioUser;
use ferrule_driver::{Device, DmaBuf, Registers};
use ferrule_rtl::pins::{Clocks, Inputs};
use proptest::prelude::*;
use rustix::event::{eventfd, EventfdFlags};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

mod dma_by_message;
mod owner;

const EINVAL: u32 = 22;
const ENOTSUP: u32 = 95;

/// Server, root complex and fake device.
struct World {
    server: VfioUserServer,
    host: RootComplex,
    device: FakeDevice,
    now_ns: u64,
}

impl World {
    fn with_client() -> (Self, Raw) {
        Self::with_ports(1)
    }

    fn with_ports(ports: u8) -> (Self, Raw) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut host = RootComplex::new(Settings {
            ports,
            ..Settings::default()
        });
        let server = VfioUserServer::serve(ours, &mut host).unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let world = Self {
            server,
            host,
            device: FakeDevice::with_ports(ports),
            now_ns: 0,
        };
        (
            world,
            Raw {
                socket: theirs,
                id: 0,
            },
        )
    }

    fn turn(&mut self) -> bool {
        let any = self.server.poll(&mut self.host);
        let mut inputs = Inputs::default();
        self.host.drive(self.now_ns, &mut inputs);
        inputs.time_ns = self.now_ns;
        let outputs = self.device.step(Clocks::ALL, &inputs);
        self.host.observe(self.now_ns, &inputs, &outputs);
        self.now_ns += 8;
        any || !self.host.is_idle() || self.server.is_waiting()
    }

    /// Until nothing is left to be done.
    fn settle(&mut self) {
        while self.turn() {}
    }

    /// In a thread of its own, until told to stop.
    fn run(mut self, stop: Arc<AtomicBool>) -> JoinHandle<Self> {
        thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                if !self.turn() {
                    thread::yield_now();
                }
            }
            self
        })
    }
}

/// A client that knows nothing but bytes.
struct Raw {
    socket: UnixStream,
    id: u16,
}

impl Raw {
    fn send(&mut self, command: u16, flags: u32, body: &[u8]) {
        self.id += 1;
        let mut m = vec![];
        m.extend(self.id.to_le_bytes());
        m.extend(command.to_le_bytes());
        m.extend((16 + body.len() as u32).to_le_bytes());
        m.extend(flags.to_le_bytes());
        m.extend([0; 4]);
        m.extend(body);
        self.socket.write_all(&m).unwrap();
    }
    fn reply(&mut self) -> Result<Vec<u8>, u32> {
        let mut h = [0; 16];
        self.socket.read_exact(&mut h).unwrap();
        let word = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
        assert_eq!(
            u16::from_le_bytes([h[0], h[1]]),
            self.id,
            "a reply to the last command"
        );
        assert_eq!(word(8) & 0xF, 1);
        let mut body = vec![0; word(4) as usize - 16];
        self.socket.read_exact(&mut body).unwrap();
        if word(8) & 0x20 != 0 {
            return Err(word(12));
        }
        Ok(body)
    }
    fn ask(&mut self, world: &mut World, command: u16, body: &[u8]) -> Result<Vec<u8>, u32> {
        self.send(command, 0, body);
        world.settle();
        self.reply()
    }
    fn version(&mut self, world: &mut World) {
        let json = br#"{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}"#;
        let body = [&[0, 0, 1, 0], &json[..], &[0]].concat();
        let reply = self.ask(world, 1, &body).unwrap();
        assert_eq!(reply[..4], [0, 0, 1, 0]);
        let text = std::str::from_utf8(&reply[4..reply.len() - 1]).unwrap();
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(json["capabilities"]["max_data_xfer_size"], 4096);
    }
    fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
        [
            &offset.to_le_bytes()[..],
            &region.to_le_bytes(),
            &count.to_le_bytes(),
        ]
        .concat()
    }
    fn read(
        &mut self,
        world: &mut World,
        region: u32,
        offset: u64,
        count: u32,
    ) -> Result<Vec<u8>, u32> {
        let reply = self.ask(world, 9, &Self::access(offset, region, count))?;
        assert_eq!(reply[..16], Self::access(offset, region, count));
        Ok(reply[16..].to_vec())
    }
    fn write(
        &mut self,
        world: &mut World,
        region: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<Vec<u8>, u32> {
        let body = [&Self::access(offset, region, data.len() as u32)[..], data].concat();
        self.ask(world, 10, &body)
    }
    fn in_step(&mut self, world: &mut World) {
        assert_eq!(
            self.read(world, 0, ID.into(), 4),
            Ok(ID_VALUE.to_le_bytes().to_vec())
        );
    }
}

#[test]
fn a_device_introduces_itself() {
    let (mut w, mut c) = World::with_client();
    assert_eq!(
        c.ask(
            &mut w,
            4,
            &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        ),
        Err(EINVAL),
        "VERSION first"
    );
    c.version(&mut w);
    let words = |w: &[u32]| w.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(
        c.ask(&mut w, 4, &words(&[16, 0, 0, 0])),
        Ok(words(&[16, 0b11, 9, 5]))
    );
    for (index, size) in [(0, 1 << 20), (1, 0), (2, 4096), (6, 0), (7, 4096), (8, 0)] {
        let flags = if size > 0 { 0b11 } else { 0 };
        let got = c.ask(&mut w, 5, &words(&[32, 0, index, 0, 0, 0, 0, 0]));
        assert_eq!(
            got,
            Ok(words(&[32, flags, index, 0, size, 0, 0, 0])),
            "region {index}"
        );
    }
    assert_eq!(
        c.ask(&mut w, 5, &words(&[32, 0, 9, 0, 0, 0, 0, 0])),
        Err(EINVAL)
    );
    assert_eq!(
        c.ask(&mut w, 5, &words(&[8, 0, 0, 0, 0, 0, 0, 0])),
        Err(EINVAL),
        "no room for the answer"
    );
    assert_eq!(
        c.ask(&mut w, 7, &words(&[16, 0, 2, 0])),
        Ok(words(&[16, 0b1001, 2, 8]))
    );
    for index in [0, 1, 3, 4] {
        assert_eq!(
            c.ask(&mut w, 7, &words(&[16, 0, index, 0])),
            Ok(words(&[16, 0, index, 0]))
        );
    }
    assert_eq!(c.ask(&mut w, 7, &words(&[16, 0, 5, 0])), Err(EINVAL));
    assert_eq!(c.read(&mut w, 7, 0, 4), Ok(vec![0x34, 0x12, 0x45, 0x46]));
}

#[test]
fn two_ports_share_one_function() {
    let (mut w, mut c) = World::with_ports(2);
    c.version(&mut w);
    let words = |w: &[u32]| w.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    for (index, size) in [(0, 2 << 20), (2, 4096)] {
        let got = c.ask(&mut w, 5, &words(&[32, 0, index, 0, 0, 0, 0, 0]));
        assert_eq!(got, Ok(words(&[32, 0b11, index, 0, size, 0, 0, 0])));
    }
    let vectors = c.ask(&mut w, 7, &words(&[16, 0, 2, 0]));
    assert_eq!(vectors, Ok(words(&[16, 0b1001, 2, 16])));
    for port in 0..2u32 {
        let base = u64::from(port) << 20;
        c.write(&mut w, 0, base + u64::from(SCRATCH), &words(&[port + 5]))
            .unwrap();
    }
    for port in 0..2u32 {
        let base = u64::from(port) << 20;
        let got = c.read(&mut w, 0, base + u64::from(SCRATCH), 4);
        assert_eq!(got, Ok(words(&[port + 5])));
        assert_eq!(c.read(&mut w, 0, base, 4), Ok(words(&[ID_VALUE])));
    }
    assert_eq!(c.read(&mut w, 0, 2 << 20, 4), Err(EINVAL));
    // DEVICE_SET_IRQS: argsz, flags, index, start, count; the seventeenth vector is not there.
    let trigger = |start: u32| words(&[20, 0b100001, 2, start, 1]);
    assert_eq!(c.ask(&mut w, 8, &trigger(15)), Ok(vec![]));
    assert_eq!(c.ask(&mut w, 8, &trigger(16)), Err(EINVAL));
    // The whole table is the root complex': all-ones. Behind it the device answers, and this one refuses.
    let table = c.read(&mut w, 2, 15 * 16, 16);
    assert_eq!(table, Ok(vec![0xFF; 16]));
    assert_eq!(w.host.stats().down.reads, 4, "none of the table");
    assert!(c.read(&mut w, 2, 16 * 16, 4).is_ok());
    assert_eq!(w.host.stats().down.reads, 5);
}

#[test]
fn registers_of_every_size_and_place() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    c.in_step(&mut w);
    assert_eq!(
        c.write(&mut w, 0, SCRATCH.into(), &[1, 2, 3, 4]).unwrap(),
        Raw::access(4, 0, 4)
    );
    assert_eq!(c.read(&mut w, 0, SCRATCH.into(), 4), Ok(vec![1, 2, 3, 4]));
    // 8 bytes are two registers.
    assert_eq!(
        c.read(&mut w, 0, 0, 8),
        Ok([&ID_VALUE.to_le_bytes()[..], &[1, 2, 3, 4]].concat())
    );
    // A part of a register is a request that the device refuses: all-ones, and nothing written.
    assert_eq!(c.read(&mut w, 0, 1, 1), Ok(vec![0xFF]));
    assert_eq!(c.read(&mut w, 0, 2, 4), Ok(vec![0xFF; 4]));
    c.write(&mut w, 0, 5, &[9, 9]).unwrap();
    assert_eq!(c.read(&mut w, 0, SCRATCH.into(), 4), Ok(vec![1, 2, 3, 4]));
    // A hole, and a register that never answers.
    assert_eq!(c.read(&mut w, 0, 0xFF000, 4), Ok(vec![0xFF; 4]));
    assert_eq!(c.read(&mut w, 0, SILENT.into(), 4), Ok(vec![0xFF; 4]));
    // Outside.
    assert_eq!(c.read(&mut w, 0, 1 << 20, 4), Err(EINVAL));
    assert_eq!(c.read(&mut w, 0, u64::MAX, 4), Err(EINVAL));
    assert_eq!(c.read(&mut w, 0, 0, 4097), Err(EINVAL));
    assert_eq!(c.read(&mut w, 1, 0, 4), Err(EINVAL));
    assert_eq!(c.write(&mut w, 7, 4094, &[0; 4]), Err(EINVAL));
    assert_eq!(
        c.ask(&mut w, 10, &Raw::access(0, 0, 4)),
        Err(EINVAL),
        "no data"
    );
    // The MSI-X table is not the client's.
    assert_eq!(c.read(&mut w, 2, 0, 4), Ok(vec![0xFF; 4]));
    c.write(&mut w, 2, 0, &[1; 16]).unwrap();
    c.in_step(&mut w);
}

#[test]
fn posted_writes_come_in_order_before_a_read() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    let n = 500u32;
    for value in 1..=n {
        c.send(
            10,
            0x10,
            &[&Raw::access(SCRATCH.into(), 0, 4)[..], &value.to_le_bytes()].concat(),
        );
        w.turn();
        assert!(w.host.queued() <= MAX_QUEUED);
    }
    assert_eq!(
        c.read(&mut w, 0, SCRATCH.into(), 4),
        Ok(n.to_le_bytes().to_vec())
    );
    assert_eq!(
        c.read(&mut w, 0, WRITES.into(), 4),
        Ok(n.to_le_bytes().to_vec())
    );
    // As much as a socket takes without being read.
    let more = 150u32;
    // A flood beyond what may wait holds the client up, not the memory.
    for value in 1..=more {
        c.send(
            10,
            0x10,
            &[&Raw::access(SCRATCH.into(), 0, 4)[..], &value.to_le_bytes()].concat(),
        );
    }
    w.turn();
    assert!(w.host.queued() <= MAX_QUEUED);
    assert_eq!(
        c.read(&mut w, 0, WRITES.into(), 4),
        Ok((n + more).to_le_bytes().to_vec())
    );
}

#[test]
fn a_configuration_write_does_not_overtake_register_writes() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    c.send(
        10,
        0x10,
        &[&Raw::access(SCRATCH.into(), 0, 4)[..], &[5, 0, 0, 0]].concat(),
    );
    // Memory space off: the register write before it still arrives.
    c.write(&mut w, 7, 4, &[0, 0]).unwrap();
    assert_eq!(c.read(&mut w, 0, SCRATCH.into(), 4), Ok(vec![0xFF; 4]));
    c.write(&mut w, 7, 4, &[2, 0]).unwrap();
    assert_eq!(c.read(&mut w, 0, SCRATCH.into(), 4), Ok(vec![5, 0, 0, 0]));
}

#[test]
fn resets_by_command_and_by_flr() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    for flr in [false, true] {
        c.write(&mut w, 7, 4, &[6, 0]).unwrap();
        c.write(&mut w, 0, SCRATCH.into(), &[7; 4]).unwrap();
        if flr {
            c.write(&mut w, 7, 0x68, &[0x10, 0xA8]).unwrap();
            assert_eq!(c.read(&mut w, 7, 4, 2), Ok(vec![0, 0]));
            c.write(&mut w, 7, 4, &[6, 0]).unwrap();
        } else {
            assert_eq!(c.ask(&mut w, 13, &[]), Ok(vec![]));
            assert_eq!(
                c.read(&mut w, 7, 4, 2),
                Ok(vec![6, 0]),
                "the host's settings are kept"
            );
        }
        assert_eq!(c.read(&mut w, 0, SCRATCH.into(), 4), Ok(vec![0; 4]));
    }
}

#[test]
fn what_is_not_known_is_refused_in_step() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    for command in [0, 6, 11, 12, 14, 15, 16, 17, 18, 19, 999, u16::MAX] {
        assert_eq!(
            c.ask(&mut w, command, &[0xEE; 24]),
            Err(ENOTSUP),
            "command {command}"
        );
        c.in_step(&mut w);
    }
    for command in [2, 3, 4, 5, 7, 8, 9, 10] {
        assert_eq!(
            c.ask(&mut w, command, &[1, 2, 3]),
            Err(EINVAL),
            "command {command} cut short"
        );
        c.in_step(&mut w);
    }
    assert_eq!(
        c.ask(&mut w, 1, &[0, 0, 1, 0]),
        Err(EINVAL),
        "VERSION only once"
    );
    // A reply to a command that was never given is passed over.
    c.send(9, 1, &[0; 40]);
    c.in_step(&mut w);
}

#[test]
fn a_bad_version_is_refused_and_a_better_one_may_follow() {
    let (mut w, mut c) = World::with_client();
    for body in [
        &b""[..],
        b"\0\0",
        b"\x01\0\0\0",
        b"\0\0\x01\0{\"capabilities\"",
        b"\0\0\x01\0{\"capabilities\":{\"max_msg_fds\":-1}}\0",
    ] {
        assert_eq!(c.ask(&mut w, 1, body), Err(EINVAL), "{body:?}");
    }
    c.version(&mut w);
    c.in_step(&mut w);
}

#[test]
fn interrupt_settings_that_make_no_sense_are_refused() {
    let (mut w, mut c) = World::with_client();
    c.version(&mut w);
    let words = |w: &[u32]| w.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    for (flags, index, start, count) in [
        (0b100_100, 2, 8, 1),
        (0b100_100, 2, 0, 9),
        (0b100_100, 2, u32::MAX, 2),
        (0b100_100, 0, 0, 1),
        (0b100_001, 5, 0, 0),
        (0b001_001, 2, 0, 1),
        (0b000_000, 2, 0, 1),
        (0b100_010, 2, 0, 2),
        (0b111_111, 2, 0, 1),
    ] {
        let got = c.ask(&mut w, 8, &words(&[20, flags, index, start, count]));
        assert_eq!(got, Err(EINVAL), "{flags:#b} {index} {start} {count}");
    }
    // QEMU's first one: a vector without a descriptor.
    assert_eq!(
        c.ask(&mut w, 8, &words(&[20, 0b100_100, 2, 0, 1])),
        Ok(vec![])
    );
    assert_eq!(
        c.ask(&mut w, 8, &words(&[20, 0b100_001, 2, 0, 0])),
        Ok(vec![])
    );
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
}
fn fired(fd: &OwnedFd) -> bool {
    rustix::io::read(fd, &mut [0; 8]).is_ok()
}
/// Until the eventfd fires.
fn await_event(fd: &OwnedFd) {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let limit = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit)),
        Ok(1),
        "the interrupt comes"
    );
    assert!(fired(fd));
}

/// Runs `client` against a world in another thread; gives the world back.
fn with_driver(path: &Path, ports: u8, client: impl FnOnce()) -> World {
    let host = RootComplex::new(Settings {
        ports,
        ..Settings::default()
    });
    let server = VfioUserServer::bind(path).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let world = World {
        server,
        host,
        device: FakeDevice::with_ports(ports),
        now_ns: 0,
    };
    let running = world.run(Arc::clone(&stop));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(client));
    stop.store(true, Ordering::SeqCst);
    let world = running.join().unwrap();
    if let Err(e) = result {
        std::panic::resume_unwind(e);
    }
    world
}

#[test]
fn our_driver_moves_data_and_gets_interrupts_one_client_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vfio-user.sock");
    let world = with_driver(&path, 1, || {
        for round in 0..3 {
            let mut d = VfioUser::connect(&path).unwrap();
            assert_eq!(d.read32(0, ID).unwrap(), ID_VALUE);
            assert_eq!(
                d.read32(0, SCRATCH).unwrap(),
                0,
                "round {round}: reset since the last client"
            );
            d.write32(0, SCRATCH, 77).unwrap();
            d.config_write(4, &[6, 0]).unwrap();
            let events: Vec<OwnedFd> = (0..4).map(|_| event()).collect();
            let fds: Vec<BorrowedFd<'_>> = events.iter().map(AsFd::as_fd).collect();
            d.enable_msix(&fds).unwrap();
            let buf = DmaBuf::new(4096).unwrap();
            d.dma_map(0x10_0000, &buf).unwrap();
            buf.write(0x20, &[1, 2, 3, 4]);
            d.write32(0, COPY, 0x10_0020).unwrap();
            await_event(&events[0]);
            let mut back = [0; 4];
            buf.read(0x24, &mut back);
            assert_eq!(back, [1, 2, 3, 4]);
            // Vectors survive a reset, and unmapped memory is refused without harm.
            d.reset().unwrap();
            d.dma_unmap(0x10_0000, 4096).unwrap();
            d.write32(0, COPY, 0x10_0020).unwrap();
            await_event(&events[0]);
            d.disable_msix().unwrap();
            assert!(events.iter().all(|e| !fired(e)));
            if round == 1 {
                d.dma_map(0x20_0000, &buf).unwrap();
            }
        }
    });
    let stats = world.host.stats();
    assert_eq!(
        (stats.violations, stats.interrupts, stats.refused_reads),
        (0, 6, 3)
    );
    assert!(!world.server.has_client() || world.host.dma.is_empty());
}

#[test]
fn two_ports_are_opened_by_name_and_share_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let name = |port: &str| format!("vfio-user:{}{port}", path.display());
    let world = with_driver(&path, 2, || {
        let mut first = ferrule_driver::open(&name("")).unwrap();
        // The server takes one client: another name of the same socket is the same function.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut second = ferrule_driver::open(&format!("vfio-user:{}#1", link.display())).unwrap();
        for (port, expected) in [
            (
                "",
                "port 0 is open in this process already; the device has 2 ports, numbers 0 to 1",
            ),
            (
                "#1",
                "port 1 is open in this process already; the device has 2 ports, numbers 0 to 1",
            ),
            (
                "#2",
                "there is no port 2: the device has 2 ports, numbers 0 to 1",
            ),
        ] {
            let error = ferrule_driver::open(&name(port)).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
        let events: Vec<OwnedFd> = (0..2).map(|_| event()).collect();
        let buf = DmaBuf::new(4096).unwrap();
        for (n, port) in [&mut first, &mut second].into_iter().enumerate() {
            port.write32(0, SCRATCH, 70 + n as u32).unwrap();
            port.config_write(4, &[6, 0]).unwrap();
            port.enable_msix(&[events[n].as_fd()]).unwrap();
            let iova = port.reserve_iova(&(0x10_0000..0x20_0000), 4096).unwrap();
            assert_eq!(iova, 0x10_0000 + 4096 * n as u64);
            port.dma_map(iova, &buf).unwrap();
            port.write32(0, COPY, iova as u32).unwrap();
            await_event(&events[n]);
            assert!(events.iter().all(|e| !fired(e)));
        }
        assert_eq!(first.read32(0, SCRATCH).unwrap(), 70);
        assert!(first.gone_fd().is_some() && second.gone_fd().is_some());
        // The second goes on without the first, which can be had again.
        drop(first);
        second.write32(0, COPY, 0x10_1000).unwrap();
        await_event(&events[1]);
        let mut first = ferrule_driver::open(&name("#0")).unwrap();
        first.write32(0, COPY, 0x10_1000).unwrap();
        assert_eq!(second.read32(0, SCRATCH).unwrap(), 71);
        assert!(!fired(&events[0]), "it has no vector now");
        drop((first, second));
        // With the last port the connection went: the device begins anew.
        let mut second = ferrule_driver::open(&name("#1")).unwrap();
        assert_eq!(second.read32(0, SCRATCH).unwrap(), 0);
        let mut command = [0; 2];
        second.config_read(4, &mut command).unwrap();
        assert_eq!(command, [2, 0], "memory space, and no bus mastering");
    });
    assert_eq!(world.host.stats().violations, 0);
}

#[test]
fn a_device_with_one_port_has_no_second_and_is_not_asked_for_its_magic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let name = |port: &str| format!("vfio-user:{}{port}", path.display());
    let world = with_driver(&path, 1, || {
        let error = ferrule_driver::open(&name("#1")).err().unwrap();
        let expected = "there is no port 1: the device has 1 port, number 0";
        assert_eq!(error.to_string(), expected);
        drop(ferrule_driver::open(&name("#0")).unwrap());
        drop(ferrule_driver::open(&name("")).unwrap());
    });
    assert_eq!(world.host.stats().down.reads, 0);
}

#[test]
fn a_socket_left_by_a_dead_server_is_taken_over_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let server = VfioUserServer::bind(&path).unwrap();
    let refused = VfioUserServer::bind(&path).err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_client_that_dies_within_a_message_leaves_a_clean_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut host = RootComplex::new(Settings::default());
    let server = VfioUserServer::bind(&path).unwrap();
    let mut w = World {
        server,
        host: {
            host.config = ConfigSpace::new();
            host
        },
        device: FakeDevice::new(),
        now_ns: 0,
    };
    let connect = || {
        let socket = UnixStream::connect(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Raw { socket, id: 0 }
    };
    let mut first = connect();
    first.version(&mut w);
    first.write(&mut w, 7, 4, &[6, 0]).unwrap();
    let map: Vec<u8> = [
        &32u32.to_le_bytes()[..],
        &3u32.to_le_bytes(),
        &0u64.to_le_bytes(),
        &0x1000u64.to_le_bytes(),
        &0x1000u64.to_le_bytes(),
    ]
    .concat();
    assert_eq!(first.ask(&mut w, 2, &map), Ok(vec![]));
    assert_eq!(first.ask(&mut w, 2, &map), Err(17), "EEXIST");
    // A read that is never answered is under way, and half a message behind it.
    first.send(9, 0, &Raw::access(SILENT.into(), 0, 4));
    first.socket.write_all(&[1, 2, 3]).unwrap();
    w.turn();
    assert!(w.server.is_waiting());
    drop(first);
    w.settle();
    assert!(!w.server.has_client() && w.host.dma.is_empty() && !w.host.config.bus_master());
    let mut second = connect();
    second.version(&mut w);
    second.in_step(&mut w);
    // A size that cannot be ends the connection, not the server.
    second
        .socket
        .write_all(&[0, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    w.settle();
    assert!(!w.server.has_client());
    let mut third = connect();
    third.version(&mut w);
    third.in_step(&mut w);
}

proptest! {
    /// Whatever the commands and bodies are, each gets its reply and the next one is understood.
    #[test]
    fn any_messages_leave_the_server_in_step(messages in prop::collection::vec((prop_oneof![0u16..20, any::<u16>()], prop::bool::weighted(0.2), prop::collection::vec(prop_oneof![Just(0u8), 0..8u8, any::<u8>()], 0..48)), 1..30)) {
        let (mut w, mut c) = World::with_client();
        c.version(&mut w);
        for (command, quiet, body) in messages {
            c.send(command, if quiet { 0x10 } else { 0 }, &body);
            w.settle();
            if !quiet {
                let _ = c.reply();
            }
        }
        // The messages may have turned memory decoding off, and written registers.
        prop_assert!(c.write(&mut w, 7, 4, &[2, 0]).is_ok());
        c.in_step(&mut w);
        prop_assert_eq!(w.host.stats().violations, 0);
    }

    /// Plain garbage ends the connection or waits for more; it never ends the server.
    #[test]
    fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), negotiated: bool) {
        let (mut w, mut c) = World::with_client();
        if negotiated {
            c.version(&mut w);
        }
        c.socket.write_all(&bytes).unwrap();
        w.settle();
        drop(c);
        w.settle();
        prop_assert!(!w.server.has_client());
    }
}

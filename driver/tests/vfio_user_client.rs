//! The vfio-user client against a scripted server: what it asks, and what it makes of refusals and nonsense.
use ferrule_driver::irq::Irq;
use ferrule_driver::vfio_user::proto::*;
use ferrule_driver::vfio_user::socket::{Connection, Message, SocketError};
use ferrule_driver::vfio_user::VfioUser;
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers};
use proptest::prelude::*;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{spawn, JoinHandle};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(20);

/// The server's side: what a PCI device with a 1 MiB BAR0 and four vectors answers, and whatever a test makes it say.
struct Server(Connection);

impl Server {
    fn take(&mut self, command: Command) -> Message {
        let message = self.0.recv(SECOND).unwrap();
        assert_eq!(message.header.command, command as u16);
        assert!(!message.header.is_reply());
        message
    }

    fn reply(&mut self, to: &Message, body: &[u8]) {
        self.0.send(to.header.reply(), body, &[], SECOND).unwrap();
    }

    fn greet(&mut self, max_msg_fds: u32) {
        let hello = self.take(Command::Version);
        assert_eq!(
            decode_version(&hello.body).unwrap(),
            (Version { major: 0, minor: 1 }, CAPABILITIES)
        );
        let caps = Capabilities {
            max_msg_fds,
            max_data_xfer_size: 1 << 20,
        };
        self.reply(
            &hello,
            &encode_version(Version { major: 0, minor: 1 }, caps),
        );
        let ask = self.take(Command::DeviceGetInfo);
        let mut body = Vec::new();
        DeviceInfo {
            argsz: 16,
            flags: device_flags::PCI | device_flags::RESET,
            num_regions: region::COUNT,
            num_irqs: irq::COUNT,
        }
        .encode(&mut body);
        self.reply(&ask, &body);
        for index in 0..region::COUNT {
            let ask = self.take(Command::DeviceGetRegionInfo);
            assert_eq!(RegionInfo::decode(&ask.body).unwrap().0.index, index);
            let size = match index {
                region::BAR0 => 1 << 20,
                region::CONFIG => 4096,
                _ => 0,
            };
            if index == region::VGA {
                self.0
                    .send(ask.header.error_reply(22), &[], &[], SECOND)
                    .unwrap();
                continue;
            }
            let mut body = Vec::new();
            RegionInfo {
                argsz: 32,
                flags: 3,
                index,
                cap_offset: 0,
                size,
                offset: 0,
            }
            .encode(&mut body);
            self.reply(&ask, &body);
        }
        let ask = self.take(Command::DeviceGetIrqInfo);
        assert_eq!(IrqInfo::decode(&ask.body).unwrap().0.index, irq::MSIX);
        let mut body = Vec::new();
        IrqInfo {
            argsz: 16,
            flags: irq_info_flags::EVENTFD,
            index: irq::MSIX,
            count: 4,
        }
        .encode(&mut body);
        self.reply(&ask, &body);
    }
}

/// A client connected to a server that runs `script` after the greeting.
fn client(
    max_msg_fds: u32,
    timeout: Duration,
    script: impl FnOnce(&mut Server) + Send + 'static,
) -> (VfioUser, JoinHandle<()>) {
    let (a, b) = UnixStream::pair().unwrap();
    let server = spawn(move || {
        let mut server = Server(Connection::new(b).unwrap());
        server.greet(max_msg_fds);
        script(&mut server);
    });
    (VfioUser::over(a, timeout).unwrap(), server)
}

fn access(message: &Message) -> (RegionAccess, &[u8]) {
    RegionAccess::decode(&message.body).unwrap()
}

fn read_reply(message: &Message, value: u32) -> Vec<u8> {
    let mut body = Vec::new();
    access(message).0.encode(&mut body);
    body.extend(value.to_le_bytes());
    body
}

#[test]
fn writes_are_posted_and_come_before_the_read_that_follows() {
    let (mut device, server) = client(16, SECOND, |server| {
        for i in 0..3u32 {
            let write = server.take(Command::RegionWrite);
            assert!(!write.header.wants_reply());
            let (at, data) = access(&write);
            assert_eq!(
                (at, data),
                (
                    RegionAccess {
                        offset: 0x10,
                        region: 0,
                        count: 4
                    },
                    &i.to_le_bytes()[..]
                )
            );
        }
        let read = server.take(Command::RegionRead);
        server.reply(&read, &read_reply(&read, 0x0403_0201));
    });
    for i in 0..3 {
        device.write32(0, 0x10, i).unwrap();
    }
    assert_eq!(device.read32(0, 0x18).unwrap(), 0x0403_0201);
    server.join().unwrap();
}

#[test]
fn a_refusal_is_an_error_and_the_connection_goes_on() {
    let (mut device, server) = client(16, SECOND, |server| {
        let read = server.take(Command::RegionRead);
        server
            .0
            .send(read.header.error_reply(22), &[], &[], SECOND)
            .unwrap();
        let reset = server.take(Command::DeviceReset);
        server
            .0
            .send(reset.header.error_reply(0), &[], &[], SECOND)
            .unwrap();
        let map = server.take(Command::DmaMap);
        server
            .0
            .send(map.header.error_reply(u32::MAX), &[], &[], SECOND)
            .unwrap();
        let read = server.take(Command::RegionRead);
        server.reply(&read, &read_reply(&read, 7));
    });
    match device.read32(0, 0) {
        Err(DeviceError::Refused {
            command: "REGION_READ",
            error,
        }) => assert_eq!(error.raw_os_error(), Some(22)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(device.reset(), Err(DeviceError::Refused { .. })));
    assert!(matches!(
        device.dma_map(0, &DmaBuf::new(1).unwrap()),
        Err(DeviceError::Refused { .. })
    ));
    assert_eq!(device.read32(0, 0).unwrap(), 7);
    server.join().unwrap();
}

#[test]
fn accesses_outside_or_misaligned_never_reach_the_server() {
    let (mut device, server) = client(16, SECOND, |_| {});
    assert!(matches!(
        device.read32(0, 1 << 20),
        Err(DeviceError::OutOfRegion { region: 0, .. })
    ));
    assert!(matches!(
        device.write32(1, 0, 0),
        Err(DeviceError::OutOfRegion {
            region: 1,
            size: 0,
            ..
        })
    ));
    assert!(matches!(
        device.read32(200, 0),
        Err(DeviceError::OutOfRegion { .. })
    ));
    assert!(matches!(
        device.read32(0, 2),
        Err(DeviceError::Misaligned(2))
    ));
    assert!(matches!(
        device.write32(0, 0xFFFF_FFFF, 0),
        Err(DeviceError::Misaligned(_))
    ));
    assert!(matches!(
        device.config_read(4095, &mut [0; 2]),
        Err(DeviceError::OutOfRegion { .. })
    ));
    server.join().unwrap();
}

#[test]
fn the_last_register_is_inside() {
    let (mut device, server) = client(16, SECOND, |server| {
        let read = server.take(Command::RegionRead);
        assert_eq!(access(&read).0.offset, (1 << 20) - 4);
        server.reply(&read, &read_reply(&read, 8));
    });
    assert_eq!(device.read32(0, (1 << 20) - 4).unwrap(), 8);
    server.join().unwrap();
}

#[test]
fn memory_travels_as_a_descriptor() {
    let (mut device, server) = client(16, SECOND, |server| {
        let map = server.take(Command::DmaMap);
        let (entry, rest) = DmaMap::decode(&map.body).unwrap();
        assert_eq!(
            entry,
            DmaMap {
                argsz: 32,
                flags: 3,
                offset: 0,
                address: 0x1_0000_0000,
                size: 8192
            }
        );
        assert!(rest.is_empty());
        let mut file = std::fs::File::from(map.fds[0].try_clone().unwrap());
        file.write_all(b"from the device").unwrap();
        server.reply(&map, &[]);
        let unmap = server.take(Command::DmaUnmap);
        assert_eq!(
            DmaUnmap::decode(&unmap.body).unwrap().0,
            DmaUnmap {
                argsz: 24,
                flags: 0,
                address: 0x1_0000_0000,
                size: 8192
            }
        );
        server.reply(&unmap, &unmap.body);
    });
    let buf = DmaBuf::new(8192).unwrap();
    device.dma_map(0x1_0000_0000, &buf).unwrap();
    let mut text = [0; 15];
    buf.read(0, &mut text);
    assert_eq!(&text, b"from the device");
    device.dma_unmap(0x1_0000_0000, 8192).unwrap();
    server.join().unwrap();
}

#[test]
fn interrupts_are_attached_in_pieces_the_peer_can_take() {
    let (mut device, server) = client(2, SECOND, |server| {
        let mut eventfds = Vec::new();
        for (start, count) in [(0, 2), (2, 1)] {
            let set = server.take(Command::DeviceSetIrqs);
            let (irqs, _) = IrqSet::decode(&set.body).unwrap();
            let flags = irq_set_flags::DATA_EVENTFD | irq_set_flags::ACTION_TRIGGER;
            assert_eq!(
                irqs,
                IrqSet {
                    argsz: 20,
                    flags,
                    index: irq::MSIX,
                    start,
                    count
                }
            );
            assert_eq!(set.fds.len(), count as usize);
            server.reply(&set, &[]);
            eventfds.extend(set.fds);
        }
        rustix::io::write(&eventfds[2], &5u64.to_ne_bytes()).unwrap();
        let set = server.take(Command::DeviceSetIrqs);
        let flags = irq_set_flags::DATA_NONE | irq_set_flags::ACTION_TRIGGER;
        assert_eq!(
            IrqSet::decode(&set.body).unwrap().0,
            IrqSet {
                argsz: 20,
                flags,
                index: irq::MSIX,
                start: 0,
                count: 0
            }
        );
        server.reply(&set, &[]);
    });
    let irqs: Vec<_> = (0..5).map(|_| Irq::new().unwrap()).collect();
    let fds: Vec<_> = irqs.iter().map(|i| i.as_fd()).collect();
    assert!(matches!(
        device.enable_msix(&fds),
        Err(DeviceError::Vectors { have: 4, want: 5 })
    ));
    device.enable_msix(&fds[..3]).unwrap();
    device.disable_msix().unwrap();
    assert_eq!(
        irqs.iter().map(|i| i.drain().unwrap()).collect::<Vec<_>>(),
        [0, 0, 5, 0, 0]
    );
    assert_eq!(irqs[2].drain().unwrap(), 0);
    server.join().unwrap();
}

#[test]
fn a_command_of_the_servers_is_refused_in_between() {
    let (mut device, server) = client(16, SECOND, |server| {
        for (n, command) in [Command::DmaRead, Command::DmaWrite]
            .into_iter()
            .enumerate()
        {
            let read = server.take(Command::RegionRead);
            // The client's own numbers are no others than the server's.
            let ask = Header {
                id: read.header.id,
                command: command as u16,
                ..Header::default()
            };
            // 8 bytes at 0x10_0000, where nothing is mapped without a descriptor.
            let mut body = vec![];
            DmaAccess {
                address: 0x10_0000,
                count: 8,
            }
            .encode(&mut body);
            if command == Command::DmaWrite {
                body.extend([0xEE; 8]);
            }
            server.0.send(ask, &body, &[], SECOND).unwrap();
            let quiet = Header {
                flags: flags::NO_REPLY,
                ..ask
            };
            server.0.send(quiet, &body, &[], SECOND).unwrap();
            let no = server.0.recv(SECOND).unwrap();
            let refusal = Header {
                size: 16,
                flags: flags::REPLY | flags::ERROR,
                error: 95,
                ..ask
            };
            assert_eq!((no.header, no.body), (refusal, vec![]));
            server.reply(&read, &read_reply(&read, n as u32 + 3));
        }
    });
    assert_eq!(device.read32(0, 0).unwrap(), 3);
    assert_eq!(device.read32(0, 0).unwrap(), 4);
    server.join().unwrap();
}

#[test]
fn a_reply_to_something_else_ends_the_connection() {
    type Spoil = fn(&Message) -> (Header, Vec<u8>);
    let spoils: [Spoil; 5] = [
        |m| {
            (
                Header {
                    id: m.header.id.wrapping_add(1),
                    ..m.header.reply()
                },
                read_reply(m, 0),
            )
        },
        |m| {
            (
                Header {
                    command: 1,
                    ..m.header.reply()
                },
                read_reply(m, 0),
            )
        },
        |m| (m.header.reply(), read_reply(m, 0)[..19].to_vec()),
        |m| (m.header.reply(), vec![0; 20]),
        |m| (m.header.reply(), vec![]),
    ];
    for (i, spoil) in spoils.into_iter().enumerate() {
        let (mut device, server) = client(16, SECOND, move |server| {
            let read = server.take(Command::RegionRead);
            let (header, body) = spoil(&read);
            server.0.send(header, &body, &[], SECOND).unwrap();
        });
        assert!(
            matches!(device.read32(0, 4), Err(DeviceError::Protocol(_))),
            "{i}"
        );
        assert!(
            matches!(device.read32(0, 4), Err(DeviceError::Gone(_))),
            "{i}"
        );
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_ends_is_gone_and_one_that_hangs_is_timed_out() {
    let (mut device, server) = client(16, SECOND, |_| {});
    server.join().unwrap();
    assert!(matches!(device.read32(0, 0), Err(DeviceError::Gone(_))));
    let (mut device, server) = client(16, SHORT, |server| {
        server.take(Command::RegionRead);
        // The client gives up and closes.
        assert!(matches!(
            server.0.recv(Duration::from_secs(60)),
            Err(SocketError::Closed)
        ));
    });
    assert!(matches!(
        device.read32(0, 0),
        Err(DeviceError::Socket(SocketError::Timeout(_)))
    ));
    assert!(matches!(device.read32(0, 0), Err(DeviceError::Gone(_))));
    drop(device);
    server.join().unwrap();
}

#[test]
fn another_version_is_refused() {
    let (a, b) = UnixStream::pair().unwrap();
    let server = spawn(move || {
        let mut server = Server(Connection::new(b).unwrap());
        let hello = server.take(Command::Version);
        server.reply(
            &hello,
            &encode_version(Version { major: 1, minor: 0 }, CAPABILITIES),
        );
    });
    assert!(
        matches!(VfioUser::over(a, SECOND), Err(DeviceError::Protocol(text)) if text.contains("1.0"))
    );
    server.join().unwrap();
}

#[test]
fn specs_that_name_nothing_say_what_to_write() {
    for spec in ["", "pci", "vfio-user:", "sim", "tcp:1"] {
        let error = ferrule_driver::open(spec).err().unwrap();
        assert!(matches!(error, DeviceError::Spec(_)), "{spec}: {error}");
        assert!(error.to_string().contains("vfio-user:PATH"));
    }
    let error = ferrule_driver::open("vfio-user:/no/such/socket")
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("/no/such/socket")
            && error.to_string().contains("ferrule serve")
    );
    assert!(matches!(
        ferrule_driver::open("pci:zz"),
        Err(DeviceError::Vfio(_))
    ));
}

proptest! {
    #[test]
    fn no_bytes_of_a_server_make_the_client_panic_or_hang(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(16), Just(32), any::<u8>()], 0..200)) {
        let (a, mut b) = UnixStream::pair().unwrap();
        b.write_all(&bytes).unwrap();
        b.shutdown(std::net::Shutdown::Write).unwrap();
        prop_assert!(VfioUser::over(a, SECOND).is_err());
    }
}

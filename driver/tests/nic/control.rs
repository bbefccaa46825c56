//! Opening, closing, interrupts, counters, and a device that is gone or stuck.

use crate::fake::*;
use ferrule_abi::ring::{event_code, Event};
use ferrule_abi::{counter, regs};
use ferrule_driver::nic::{
    LocalAddress, NicConfig, NicError, NicEvent, QueueName, Stop, TxFrame, TxMode,
};
use ferrule_driver::DeviceError;
use std::os::fd::{AsFd, BorrowedFd};

fn config() -> NicConfig {
    let local = |address: [u8; 4], prefix| LocalAddress {
        address: address.into(),
        prefix,
    };
    NicConfig {
        addresses: vec![local([10, 1, 2, 3], 22), local([192, 168, 0, 9], 31)],
        gateways: vec![[10, 1, 0, 1].into(), [10, 1, 0, 2].into()],
        ..NicConfig::default()
    }
}

#[test]
fn opening_sets_every_register_as_configured() {
    let fake = Fake::new();
    fake.lock().resetting = 3;
    let nic = fake
        .open(&NicConfig {
            promiscuous: true,
            max_frame: 9018,
            slot_log2: 14,
            loopback: true,
            hash_key: std::array::from_fn(|n| n as u8),
            ..config()
        })
        .unwrap();
    assert_eq!(nic.mac(), MAC);
    assert!(nic.caps().hash);
    assert!(nic.caps().ip_mode && nic.caps().queues == 4 && nic.caps().tso);
    let state = fake.lock();
    // Offsets and values as docs/registers.md has them.
    assert_eq!(state.reg(0x038), 9018 << 16 | 0b011);
    assert_eq!(
        [0x080, 0x084, 0x088, 0x08C, 0x090, 0x094].map(|o| state.reg(o)),
        [0x0A01_0203, 0xFFFF_FC00, 0xC0A8_0009, 0xFFFF_FFFE, 0, 0]
    );
    assert_eq!(
        [0x0C4, 0x0C8, 0x0CC].map(|o| state.reg(o)),
        [0x0A01_0001, 0x0A01_0002, 0]
    );
    assert_eq!(
        [0x1A0, 0x1A4, 0x1C4].map(|o| state.reg(o)),
        [0x0302_0100, 0x0706_0504, 0x2726_2524]
    );
    assert_eq!(state.reg(0x010), 0b1110);
    assert_eq!(state.reg(0x1_000C), 0x0000_0600);
    assert_eq!(state.reg(0x1_100C), 0x0001_0808);
    assert_eq!(state.reg(0x1_200C), 0x0002_0808);
    assert_eq!(state.reg(0x1_2028), 256 << 16 | 14);
    assert_eq!(
        state.reg(0x1_2020) % (1 << 14),
        0,
        "slots are aligned to their size"
    );
    assert_eq!(
        [0x1_001C, 0x1_1014, 0x1_201C].map(|o| state.reg(o)),
        [1, 1, 1],
        "above 4 GiB"
    );
    assert_eq!(state.slots_lent(), 256);
    drop(state);
    fake.assert_content();
    drop(nic);
}

#[test]
fn arp_is_left_as_the_nic_has_it_or_believes_only_what_was_asked_for() {
    for (arp_learn, arpctl) in [(true, 0b111), (false, 0b001)] {
        let fake = Fake::new();
        let config = NicConfig {
            arp_learn,
            ..config()
        };
        let mut nic = fake.open(&config).unwrap();
        assert_eq!(fake.lock().reg(0x03C), arpctl);
        nic.flush_neighbours().unwrap();
        assert_eq!(fake.lock().reg(0x03C), 0x100 | arpctl);
    }
}

#[test]
fn memory_is_given_after_the_reset_and_taken_back_after_the_queues_stopped() {
    let fake = Fake::new();
    let nic = fake.open(&config()).unwrap();
    fake.lock().lingering = 5;
    nic.close().unwrap();
    let ops = fake.lock().ops.clone();
    let Op::Map(iova, len) = ops[1] else {
        panic!("{ops:?}")
    };
    let expected = [
        Op::Reset,
        Op::Map(iova, len),
        Op::Msix(3),
        Op::BusMaster(true),
        Op::Enable(0, true),
        Op::Enable(1, true),
        Op::Enable(2, true),
        Op::PortControl(0b0110),
        Op::Enable(2, false),
        Op::Enable(1, false),
        Op::Enable(0, false),
        Op::PortControl(0),
        Op::Msix(0),
        Op::BusMaster(false),
        Op::Unmap(iova, len),
    ];
    assert_eq!(ops, expected);
    assert_eq!(fake.lock().mapped(), 0);
    fake.assert_content();
}

#[test]
fn memory_that_the_device_sees_at_one_address_is_mapped_there() {
    // Outside of what the settings allow otherwise.
    let address = 0x7_2340_0000;
    let config = NicConfig {
        iova: 0x1000_0000..0x2000_0000,
        ..config()
    };
    let fake = Fake::new();
    fake.lock().bus_address = Some(address);
    let nic = fake.open(&config).unwrap();
    let ops = fake.lock().ops.clone();
    assert!(matches!(ops[1], Op::Map(at, _) if at == address), "{ops:?}");
    nic.close().unwrap();
    let ops = fake.lock().ops.clone();
    assert!(
        matches!(ops.last(), Some(Op::Unmap(at, _)) if *at == address),
        "{ops:?}"
    );
    fake.assert_content();
}

#[test]
fn a_queue_that_does_not_stop_is_reset_and_the_memory_taken_back_all_the_same() {
    let fake = Fake::new();
    let nic = fake.open(&config()).unwrap();
    fake.lock().lingering = u32::MAX;
    assert!(matches!(nic.close(), Err(NicError::Stuck { .. })));
    let state = fake.lock();
    assert!(state.ops.iter().filter(|op| **op == Op::Reset).count() == 2);
    assert!(matches!(state.ops.last(), Some(Op::Unmap(..))));
    assert_eq!(state.mapped(), 0);
}

#[test]
fn filters_are_registers_of_the_device() {
    let fake = Fake::new();
    let vlans = NicConfig {
        vlan_strip: true,
        vlans: Some(vec![0, 100]),
        ..config()
    };
    let mut nic = fake.open(&vlans).unwrap();
    // Offsets and bits as docs/registers.md has them.
    assert_eq!(fake.lock().reg(0x038) & 0xFFFF, 0x182);
    assert_eq!([0x188, 0x18C].map(|o| fake.lock().reg(o)), [3, 1 << 4]);
    nic.set_vlan(101, true).unwrap();
    nic.set_vlan(100, false).unwrap();
    assert_eq!([0x188, 0x18C].map(|o| fake.lock().reg(o)), [3, 1 << 5]);
    nic.join_multicast([0x01, 0x00, 0x5E, 0x01, 0x02, 0x03])
        .unwrap();
    assert_eq!(
        [0x100, 0x104].map(|o| fake.lock().reg(o)),
        [0x015E_0001, 0x0302]
    );
    for n in 0..16 {
        nic.join_multicast([0x33, 0x33, 0, 0, 0, n]).unwrap();
    }
    assert_eq!(fake.lock().reg(0x178), 0x0000_3333);
    let hash = [0x180, 0x184].map(|o| fake.lock().reg(o).count_ones());
    assert_eq!(hash[0] + hash[1], 1, "the seventeenth by its hash");
    nic.leave_multicast([0x01, 0x00, 0x5E, 0x01, 0x02, 0x03])
        .unwrap();
    assert_eq!(
        [0x100, 0x104].map(|o| fake.lock().reg(o)),
        [0x0000_3333, 0x0F00]
    );
    assert_eq!([0x180, 0x184].map(|o| fake.lock().reg(o)), [0, 0]);
    let error = nic.join_multicast([2, 0, 0, 0, 0, 1]).unwrap_err();
    assert!(matches!(error, NicError::Filter(_)), "{error}");
}

#[test]
fn what_a_build_does_not_have_is_an_error_and_all_else_goes_on() {
    let fake = Fake::new();
    let caps = [
        regs::caps::VLAN,
        regs::caps::MULTICAST,
        regs::caps::JUMBO,
        regs::caps::ECHO,
    ];
    let without = caps.iter().fold(0, |bits, cap| bits | cap.mask());
    fake.lock().absent.insert(regs::caps::OFFSET, without);
    for (vlan_strip, vlans) in [(true, None), (false, Some(vec![]))] {
        let config = NicConfig {
            vlan_strip,
            vlans,
            ..config()
        };
        let error = fake.open(&config).err().unwrap();
        assert!(error.to_string().contains("802.1Q"), "{error}");
    }
    let error = fake.open(&config().with_mtu(1_505).unwrap()).err().unwrap();
    assert!(error.to_string().contains("jumbo"), "{error}");
    let echo = NicConfig {
        echo: true,
        ..config()
    };
    let error = fake.open(&echo).err().unwrap();
    assert!(matches!(error, NicError::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("echo"), "{error}");
    let mut nic = fake.open(&config()).unwrap();
    let error = nic.join_multicast([1, 0, 0x5E, 1, 2, 3]).unwrap_err();
    assert!(error.to_string().contains("multicast"), "{error}");
}

#[test]
fn pauses_are_obeyed_and_sent_as_configured_or_refused() {
    for (pause_receive, pause_send, value) in [(false, false, 0), (true, false, 1), (true, true, 3)]
    {
        let fake = Fake::new();
        let config = NicConfig {
            pause_receive,
            pause_send,
            ..config()
        };
        let _nic = fake.open(&config).unwrap();
        assert_eq!(fake.lock().reg(regs::flow::OFFSET), value);
    }
    let fake = Fake::new();
    let bit = regs::caps::PAUSE.mask();
    fake.lock().absent.insert(regs::caps::OFFSET, bit);
    let config = NicConfig {
        pause_send: true,
        ..config()
    };
    let error = fake.open(&config).err().unwrap();
    assert!(error.to_string().contains("PAUSE"), "{error}");
}

#[test]
fn a_device_with_push_mode_alone_gets_it_unasked() {
    let caps = regs::CAPS_PUSH_ONLY;
    // By docs/registers.md: 0x000F_F1FF of the whole NIC without bits 4 and 13, TSO and JUMBO, and with bit 20.
    assert_eq!(caps, 0x001F_D1EF);
    let fake = Fake::new();
    // Each reset of the fake gives it back what the whole NIC has.
    let open = |config: &NicConfig| {
        fake.lock().regs.insert(regs::caps::OFFSET, caps);
        fake.open(config)
    };
    let nic = open(&config()).unwrap();
    assert!(nic.caps().push_only && !nic.caps().tso);
    assert_eq!((nic.tx_max_frame(), nic.max_segmented()), (2_032, 0));
    let lock = fake.lock();
    let [tx, rx] = [regs::tx_page(0), regs::rx_page(0)];
    let tx = lock.reg(tx + regs::tx_cfg::OFFSET);
    assert_eq!(regs::tx_cfg::PUSH.get(tx), 1);
    let rx = lock.reg(rx + regs::rx_cfg::OFFSET);
    assert_eq!(regs::rx_cfg::IN_ORDER.get(rx), 1);
    drop(lock);
    drop(nic);
    // 2,032 bytes after the Ethernet header are no jumbo frame there.
    let most = config().with_mtu(2_032).unwrap();
    drop(open(&most).unwrap());
    // Frames that it cannot take are said when it is opened.
    let jumbo = config().with_mtu(9_000).unwrap();
    let error = open(&jumbo).err().unwrap();
    assert!(error.to_string().contains("PUSH"), "{error}");
}

#[test]
fn frames_longer_than_the_device_takes_are_an_error() {
    let fake = Fake::new();
    // A receiver whose MAX_FRAME has 13 bits: 9,018 becomes 826.
    fake.lock().absent.insert(regs::rxctl::OFFSET, 1 << 29);
    let jumbo = config().with_mtu(9_000).unwrap();
    let error = fake.open(&jumbo).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("826") && text.contains("9018"), "{text}");
    assert_eq!(fake.lock().mapped(), 0);
    fake.open(&config()).unwrap();
}

#[test]
fn other_devices_and_versions_are_refused_untouched() {
    let fake = Fake::new();
    fake.lock().regs.insert(regs::magic::OFFSET, 0x1234);
    assert!(matches!(fake.open(&config()), Err(NicError::Magic(0x1234))));
    let fake = Fake::new();
    fake.lock().regs.insert(regs::version::OFFSET, 0x0002_0001);
    assert!(matches!(
        fake.open(&config()),
        Err(NicError::Version(0x0002_0001))
    ));
    assert_eq!(fake.lock().ops, []);
    let fake = Fake::new();
    fake.lock().regs.insert(regs::mac_lo::OFFSET, 1);
    assert!(matches!(fake.open(&config()), Err(NicError::NoMac)));
    let nic = fake
        .open(&NicConfig {
            mac: Some([2, 0, 0, 0, 0, 7]),
            ..config()
        })
        .unwrap();
    assert_eq!(nic.mac(), [2, 0, 0, 0, 0, 7]);
    assert_eq!([0x030, 0x034].map(|o| fake.lock().reg(o)), [2, 0x0700]);
}

#[test]
fn a_reset_that_never_ends_is_reported_by_the_clock() {
    let fake = Fake::new();
    fake.lock().resetting = u32::MAX;
    match fake.open(&config()) {
        Err(NicError::Stuck {
            what: "its reset", ..
        }) => {}
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(fake.lock().mapped(), 0);
}

#[test]
fn a_device_that_is_gone_is_told_as_gone() {
    let fake = Fake::new();
    fake.lock().gone = true;
    assert!(matches!(fake.open(&config()), Err(NicError::Gone)));
    fake.lock().gone = false;
    let mut nic = fake.open(&config()).unwrap();
    nic.check_present().unwrap();
    fake.lock().gone = true;
    assert!(matches!(nic.check_present(), Err(NicError::Gone)));
    assert!(matches!(nic.link(), Err(NicError::Gone)));
    assert!(matches!(nic.stats(), Err(NicError::Gone)));
    drop(nic);
    assert_eq!(fake.lock().mapped(), 0);
}

#[test]
fn a_register_that_happens_to_be_all_ones_is_not_a_device_gone() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    fake.lock().counters = [(counter::RX_BYTES, u64::MAX)].into();
    assert_eq!(nic.stats().unwrap().get(counter::RX_BYTES), u64::MAX);
}

#[test]
fn counters_and_link_are_read_whole() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let last = counter::ALL[counter::ALL.len() - 1].index;
    fake.lock().counters = [(0, 0x1_0000_0002), (last, 7)].into();
    fake.lock().regs.insert(regs::time_lo::OFFSET, 5);
    fake.lock().regs.insert(regs::time_hi::OFFSET, 6);
    let stats = nic.stats().unwrap();
    assert_eq!(fake.lock().reg(regs::snapshot::OFFSET), 1);
    assert_eq!(
        (stats.get(0), stats.get(1), stats.get(last), stats.get(99)),
        (0x1_0000_0002, 0, 7, 0)
    );
    assert_eq!(stats.time_ns, 6 << 32 | 5);
    assert_eq!(stats.iter().count(), counter::ALL.len());
    assert_eq!(
        stats.iter().next().map(|(c, v)| (c.name, v)),
        Some(("rx_frames", 0x1_0000_0002))
    );
    // STATUS: bit 1 link, bits 3:2 speed.
    for (status, up, speed) in [
        (0, false, 10),
        (0b0110, true, 100),
        (0b1010, true, 1000),
        (0b1110, true, 0),
    ] {
        fake.lock().regs.insert(regs::status::OFFSET, status);
        let link = nic.link().unwrap();
        assert_eq!((link.up, link.speed_mbps), (up, speed));
    }
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(
        fd,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap() == 1
}

#[test]
fn interrupts_come_once_when_armed_and_at_once_if_something_waits() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let signals = |nic: &ferrule_driver::Nic| nic.irq_fds().map(|fd| readable(fd.as_fd()));
    assert!(fake.lock().deliver(&[7; 60], 0));
    assert_eq!(signals(&nic), [false; 3]);
    assert!(nic.has_work());
    nic.arm().unwrap();
    assert_eq!(signals(&nic), [false, false, true]);
    nic.drain_irqs().unwrap();
    assert_eq!(signals(&nic), [false; 3]);
    let mut frames = Vec::new();
    assert_eq!(nic.rx_batch(10, &mut frames).unwrap(), 1);
    assert!(!nic.has_work());
    let part: &[u8] = &[9; 60];
    assert!(nic
        .send(&TxFrame {
            parts: &[part],
            mode: TxMode::Raw,
            vlan: None,
            token: 1,
            report: true,
            ..TxFrame::default()
        })
        .unwrap());
    nic.arm().unwrap();
    assert_eq!(signals(&nic), [false; 3]);
    fake.lock().event(Event {
        code: event_code::LINK,
        detail: 1,
        ..Event::default()
    });
    fake.lock().transmit().unwrap();
    assert!(fake.lock().deliver(&[7; 60], 0));
    assert!(fake.lock().deliver(&[7; 60], 0));
    assert_eq!(signals(&nic), [true; 3]);
    assert_eq!(nic.events().unwrap(), [NicEvent::Link { up: true }]);
    assert_eq!(nic.tx_completions().unwrap().len(), 1);
    fake.assert_content();
}

#[test]
fn an_interrupt_that_the_device_owes_is_not_asked_for_again() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let receive_fires = |nic: &ferrule_driver::Nic| readable(nic.irq_fds()[2].as_fd());
    nic.arm().unwrap();
    let armed = fake.lock().doorbells;
    nic.arm().unwrap();
    nic.arm().unwrap();
    assert_eq!(fake.lock().doorbells, armed);
    for _ in 0..3 {
        assert!(fake.lock().deliver(&[7; 60], 0));
        assert!(receive_fires(&nic));
        // What is left in the ring is told of again.
        nic.drain_irqs().unwrap();
        nic.arm().unwrap();
        assert!(receive_fires(&nic));
        nic.drain_irqs().unwrap();
        assert_eq!(nic.rx_batch(10, &mut Vec::new()).unwrap(), 1);
        let before = fake.lock().doorbells;
        nic.arm().unwrap();
        assert_eq!(fake.lock().doorbells, before + 1, "the receive queue's");
        nic.arm().unwrap();
        assert_eq!(fake.lock().doorbells, before + 1);
    }
    fake.assert_content();
}

#[test]
fn a_quiet_nic_has_nothing_to_tell_and_nothing_to_do() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    assert!(nic.is_quiet());
    assert!(fake.lock().deliver(&[7; 600], 0));
    assert!(!nic.is_quiet());
    let mut frames = Vec::new();
    assert_eq!(nic.rx_batch(10, &mut frames).unwrap(), 1);
    assert!(nic.is_quiet());
    // A slot that comes back is lent again by the next call.
    assert!(frames.pop().unwrap().body.unwrap().holds_slot());
    assert!(!nic.is_quiet());
    assert_eq!(nic.rx_batch(10, &mut frames).unwrap(), 0);
    assert!(nic.is_quiet());
    fake.lock().stop_queue(TX);
    assert!(!nic.is_quiet());
    assert_eq!(nic.events().unwrap().len(), 1);
    assert!(
        !nic.is_quiet(),
        "the next call says that the queue has stopped"
    );
    fake.assert_content();
}

#[test]
fn a_queue_that_the_device_stopped_is_named_and_the_others_go_on() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    fake.lock().stop_queue(TX);
    let error = regs::queue_error::BAD_INDEX;
    assert_eq!(
        nic.events().unwrap(),
        [NicEvent::QueueError {
            queue: QueueName::Transmit(0),
            error
        }]
    );
    let part: &[u8] = &[9; 60];
    let frame = TxFrame {
        parts: &[part],
        mode: TxMode::Raw,
        vlan: None,
        token: 1,
        report: true,
        ..TxFrame::default()
    };
    match nic.send(&frame) {
        Err(NicError::Stopped {
            queue: QueueName::Transmit(0),
            why: Stop::ByDevice(code),
        }) => assert_eq!(code, error),
        other => panic!("{other:?}"),
    }
    assert!(fake.lock().deliver(&[7; 60], 0));
    assert_eq!(nic.rx_batch(9, &mut Vec::new()).unwrap(), 1);
    nic.arm().unwrap();
    fake.assert_content();
}

#[test]
fn addresses_can_be_changed_while_running() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    nic.set_addresses(
        &[LocalAddress {
            address: [172, 16, 0, 1].into(),
            prefix: 12,
        }],
        &[],
    )
    .unwrap();
    assert_eq!(
        [0x080, 0x084, 0x088, 0x08C, 0x0C4].map(|o| fake.lock().reg(o)),
        [0xAC10_0001, 0xFFF0_0000, 0, 0, 0]
    );
    let bad = LocalAddress {
        address: [224, 0, 0, 1].into(),
        prefix: 12,
    };
    assert!(matches!(
        nic.set_addresses(&[bad], &[]),
        Err(NicError::Config(_))
    ));
    assert_eq!(fake.lock().reg(0x080), 0xAC10_0001);
}

#[test]
fn a_queue_whose_set_up_is_refused_fails_the_opening_and_leaves_no_memory_behind() {
    for (q, queue) in [
        QueueName::Events,
        QueueName::Transmit(0),
        QueueName::Receive(0),
    ]
    .into_iter()
    .enumerate()
    {
        let fake = Fake::new();
        let status = PAGES[q] + regs::event_status::OFFSET;
        fake.lock().refuse = Some((status, regs::queue_error::BAD_SETUP << 4));
        match fake.open(&config()) {
            Err(NicError::Stopped {
                queue: stopped,
                why: Stop::ByDevice(4),
            }) => assert_eq!(stopped, queue),
            other => panic!("{:?}", other.err()),
        }
        let state = fake.lock();
        assert_eq!(state.mapped(), 0);
        assert_eq!(state.ops.iter().filter(|op| **op == Op::Reset).count(), 2);
    }
}

#[test]
fn a_nic_and_its_packets_can_be_given_to_other_threads() {
    fn send<T: Send>() {}
    fn share<T: Send + Sync>() {}
    send::<ferrule_driver::Nic>();
    share::<ferrule_driver::nic::RxFrame>();
    share::<ferrule_driver::DmaBuf>();
}

#[test]
fn memory_that_cannot_be_taken_back_is_reported() {
    let fake = Fake::new();
    let nic = fake.open(&config()).unwrap();
    fake.lock().keep_memory = true;
    assert!(matches!(
        nic.close(),
        Err(NicError::Device(DeviceError::NoReset))
    ));
    assert_eq!(
        fake.lock()
            .ops
            .iter()
            .filter(|op| **op == Op::Msix(0))
            .count(),
        1
    );
}

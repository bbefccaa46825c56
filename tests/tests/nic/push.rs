//! PUSH mode: packets that the host writes into the device, and slots that are used in their order.
use ferrule_abi::ring::{cqe_status, sqe_flags};
use ferrule_abi::{counter, regs};
use std::sync::Arc;

use ferrule_driver::nic::{TxError, TxFrame, TxMode, TxOutcome};
use ferrule_driver::{Clock, Nic, NicConfig, NicError};
use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::{engines, frames, latency};

/// What every SQE says here.
const WHOLE: u16 = sqe_flags::SOP | sqe_flags::EOP;

fn layout() -> Layout {
    Layout {
        push: true,
        ..Layout::default()
    }
}

/// A frame of `len` bytes for whoever wants it, as it leaves.
fn raw(len: usize) -> (Vec<u8>, Vec<u8>) {
    let mut frame: Vec<u8> = (0..len).map(|n| (n * 7 + len) as u8).collect();
    // No length of data behind it, and no EtherType that anybody looks into (IEEE 802 local experimental).
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    let mut padded = frame.clone();
    padded.resize(len.max(60), 0);
    (frame, padded)
}

#[test]
fn frames_of_all_sizes_go_both_ways_without_a_read_of_host_memory() {
    let mut b = Bench::new(engines::compiled(), &layout());
    let before = b.root_complex.stats();
    let mut last = 0;
    for len in (14..80).chain([255, 256, 1_513, 1_514, 2_031, 2_032]) {
        let (frame, padded) = raw(len);
        b.push_tx(&frame, WHOLE | sqe_flags::RAW | sqe_flags::CPL_REQ);
        let incoming = frames::udp_of_length(len.clamp(60, 1_514), len as u8);
        b.phy.receive(&incoming);
        b.settle();
        assert_eq!(b.frames(), [padded], "{len} bytes");
        let [done] = b.tx_completions()[..] else {
            panic!("no completion of {len} bytes");
        };
        assert_eq!((done.status, done.index), (0, last & 15));
        last += 1;
        let received = b.receive();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].bytes, incoming);
        assert_eq!(received[0].cqe.index, done.index, "slots in their order");
        b.ring_tx(false);
    }
    let link = b.root_complex.stats().since(&before);
    assert_eq!(link.up.reads, 0);
    assert_eq!(b.counter(counter::TX_FRAMES), u64::from(last));
    assert_eq!(b.read(regs::bad_access::OFFSET), 0);
    b.check_link();
}

#[test]
fn a_packet_gets_its_header_and_checksums_as_any_other() {
    let mut b = Bench::new(engines::compiled(), &layout());
    // To everybody: no neighbour is asked for.
    let mut frame = frames::udp_of_length(200, 3);
    frame[30..34].copy_from_slice(&[255; 4]);
    let mut packet = frame[14..].to_vec();
    packet[10..12].fill(0xAA);
    packet[26..28].fill(0x55);
    b.push_tx(&packet, WHOLE | sqe_flags::IPCS | sqe_flags::L4CS);
    b.settle();
    let [sent] = &b.frames()[..] else {
        panic!("a frame");
    };
    let parsed = etherparse::PacketHeaders::from_ethernet_slice(sent).expect("parses");
    let Some(etherparse::NetHeaders::Ipv4(ip, _)) = parsed.net else {
        panic!("IPv4");
    };
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    let udp = parsed.transport.and_then(|t| t.udp()).expect("UDP");
    let payload = parsed.payload.slice();
    assert_eq!(
        udp.checksum,
        udp.calc_checksum_ipv4(&ip, payload).expect("sum")
    );
    assert_eq!(&sent[..6], &[255; 6]);
    assert_eq!(&sent[6..12], &ferrule_tests::bench::MAC);
}

#[test]
fn what_is_no_frame_is_told_and_the_next_one_goes() {
    let mut b = Bench::new(engines::compiled(), &layout());
    let window = regs::push_window(0);
    let write = |b: &mut Bench, dw: u32, values: &[u32]| {
        b.root_complex
            .write_block(ferrule_abi::BAR_REGS, window + 4 * dw, values);
    };
    // Behind no SQE; an SQE alone, and then another; a length of 0; two thousand and thirty-three.
    write(&mut b, 9, &[1, 2, 3]);
    write(&mut b, 0, &[0, 0, 60 | 7 << 16, 0, 5]);
    for len in [0, 2_033] {
        write(&mut b, 0, &[0, 0, len | 7 << 16, 0]);
    }
    // All bytes of a DW, or none of it.
    b.root_complex
        .write_register(ferrule_abi::BAR_REGS, window, 3, 0);
    b.settle();
    let bad: Vec<u16> = b.tx_completions().iter().map(|c| c.status).collect();
    assert_eq!(bad, [cqe_status::BAD_DESC; 3]);
    assert_eq!(b.counter(counter::TX_BAD_DESC), 3);
    assert_eq!(b.read(regs::bad_access::OFFSET), 2);
    // The window cannot be read.
    assert_eq!(b.read(window), u32::MAX);
    let (frame, padded) = raw(99);
    b.push_tx(&frame, WHOLE | sqe_flags::RAW);
    b.settle();
    assert_eq!(b.frames(), [padded]);
    b.check_link();
}

#[test]
fn without_push_mode_the_window_is_not_there() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    b.push_tx(&[1; 60], WHOLE | sqe_flags::RAW);
    b.root_complex
        .write_register(ferrule_abi::BAR_REGS, regs::push_window(0), 0xF, 0);
    b.settle();
    assert!(b.frames().is_empty());
    assert_eq!(b.read(regs::bad_access::OFFSET), 2);
}

#[test]
fn a_slot_beyond_the_count_stops_the_receive_queue() {
    let layout = Layout {
        slots: 8,
        ..layout()
    };
    let mut b = Bench::new(engines::compiled(), &layout);
    // Eight are posted of an RXQ of sixteen; the ninth is not there.
    b.post_slot(0);
    b.ring_rx(false);
    for n in 0..9 {
        b.phy.receive(&frames::udp_of_length(60 + n, 1));
        b.settle();
    }
    assert_eq!(b.received().len(), 8);
    let status = b.read(regs::rx_page(0) + regs::rx_status::OFFSET);
    let error = regs::rx_status::ERROR.get(status);
    assert_eq!(error, regs::queue_error::BAD_SLOT);
}

#[test]
fn a_pushed_frame_leaves_soon() {
    let mut b = Bench::new(engines::compiled(), &layout());
    let (frame, _) = raw(60);
    let cycles = latency::push(&mut b, &frame, WHOLE | sqe_flags::RAW);
    assert!(cycles <= latency::PUSH_BUDGET, "{cycles} cycles");
    // To everybody, which needs no neighbour, in IP mode with both checksums.
    let mut packet = frames::udp_of_length(60, 1)[14..].to_vec();
    packet[16..20].copy_from_slice(&[255; 4]);
    let flags = WHOLE | sqe_flags::IPCS | sqe_flags::L4CS;
    let cycles = latency::push(&mut b, &packet, flags);
    assert!(cycles <= latency::PUSH_BUDGET, "{cycles} cycles");
    assert_eq!(b.frames().len(), 2);
}

#[test]
fn the_driver_sends_and_receives_frames_of_all_sizes() {
    for kind in [Kind::Model, Kind::Compiled] {
        let core = Core::open(kind, &Options::default()).expect("an engine");
        let setup = NicSetup::new(core, Box::new(Loopback::new(500)));
        let simulator = LocalSimulator::builder()
            .nic(setup)
            .start()
            .expect("starts");
        let clock = Arc::new(simulator.clock());
        let _attached = clock.attach();
        let config = NicConfig {
            push: true,
            promiscuous: true,
            max_frame: 2_050,
            // Few slots, which are used many times over.
            rxq_log2: 4,
            slots: 16,
            ..NicConfig::default()
        };
        let device = Box::new(simulator.device(0).expect("a device"));
        let mut nic =
            Nic::open(device, Arc::clone(&clock) as Arc<dyn Clock>, &config).expect("opens");
        assert_eq!(nic.tx_max_frame(), 2_032);
        let sizes = || {
            (60..180)
                .chain([1_514, 2_031, 2_032, 300])
                .cycle()
                .take(400)
        };
        let mut to_send = sizes().enumerate().peekable();
        let (mut received, mut told, mut frames) = (0, 0, vec![]);
        while received < 400 || told < 400 {
            // No more on their way than there are slots.
            while let Some(&(n, len)) = to_send.peek().filter(|(n, _)| n - received < 8) {
                let (bytes, _) = raw(len);
                let frame = TxFrame {
                    // In two pieces, at any place.
                    parts: &[&bytes[..n % 60], &bytes[n % 60..]],
                    mode: TxMode::Raw,
                    vlan: None,
                    token: n as u64,
                    report: true,
                    ..TxFrame::default()
                };
                if !nic.send(&frame).expect("sends") {
                    break;
                }
                to_send.next();
            }
            for frame in frames.drain(..) {
                let frame: ferrule_driver::nic::RxFrame = frame;
                let len = sizes().nth(received).expect("a size");
                assert_eq!(frame.to_vec(), raw(len).0, "frame {received}");
                received += 1;
            }
            for completion in nic.tx_completions().expect("completions") {
                assert_eq!(completion.token, told);
                assert_eq!(completion.outcome, TxOutcome::Sent { timestamp: None });
                told += 1;
            }
            if nic.rx_batch(16, &mut frames).expect("receives") == 0 {
                nic.arm().expect("arms");
                if !nic.has_work() {
                    let soon = clock.now() + 1_000_000;
                    clock.wait(&nic.irq_fds(), Some(soon)).expect("waits");
                    nic.drain_irqs().expect("drains");
                }
            }
        }
        let stats = nic.stats().expect("counters");
        assert_eq!(stats.get(counter::TLP_READS), 0);
        let long = [0; 2_033];
        let frame = TxFrame {
            parts: &[&long],
            mode: TxMode::Raw,
            vlan: None,
            token: 0,
            report: false,
            ..TxFrame::default()
        };
        let refused = nic.send(&frame);
        assert!(
            matches!(
                refused,
                Err(NicError::Tx(TxError::Length { max: 2_032, .. }))
            ),
            "{refused:?}"
        );
    }
}

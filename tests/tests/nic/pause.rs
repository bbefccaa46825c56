//! Flow control: PAUSE frames (IEEE 802.3 annex 31B) are obeyed and sent, on every engine.
use ferrule_abi::regs::{ctrl, flow};
use ferrule_abi::ring::sqe_flags::{EOP, RAW, SOP};
use ferrule_abi::{counter, TICK_NS};
use ferrule_tests::bench::{Bench, Layout, MAC};
use ferrule_tests::engines;
use ferrule_tests::frames::{self, arp_request, PEER, PEER_MAC};

const GROUP: [u8; 6] = [0x01, 0x80, 0xC2, 0x00, 0x00, 0x01];
/// Nanoseconds of a pause quantum, 512 bit times, at a gigabit.
const QUANTUM_NS: u64 = 512;
/// Preamble, the shortest frame with its FCS.
const SHORTEST_NS: u64 = (8 + 64) * 8;

/// A MAC control frame without FCS, padded.
fn control(to: [u8; 6], from: [u8; 6], opcode: u16, quanta: u16) -> Vec<u8> {
    let [a, b] = opcode.to_be_bytes();
    let [c, d] = quanta.to_be_bytes();
    let mut frame = [&to[..], &from, &[0x88, 0x08, a, b, c, d]].concat();
    frame.resize(60, 0);
    frame
}

fn pause(quanta: u16) -> Vec<u8> {
    control(GROUP, PEER_MAC, 1, quanta)
}

fn bench(value: u32) -> Bench {
    let mut b = Bench::new(engines::all(), &Layout::default());
    b.write(flow::OFFSET, value);
    b.settle();
    b
}

/// Sends a shortest frame, which the test tells from others by `n`.
fn send(b: &mut Bench, n: u8) -> Vec<u8> {
    let frame = frames::udp(&[n; 18]);
    b.post_tx(&frame, SOP | EOP | RAW);
    b.ring_tx(false);
    b.settle();
    frame
}

#[test]
fn a_pause_holds_frames_back_for_its_time_and_no_longer() {
    let mut b = bench(flow::RX_PAUSE.of(1));
    let (quanta, before) = (4_000, b.now_ns);
    b.phy.receive(&pause(quanta));
    b.settle();
    let after = b.now_ns;
    let frame = send(&mut b, 1);
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
    assert!(b.is_idle() && b.outputs.deadline.is_some());
    // Near its end.
    let asked_ns = u64::from(quanta) * QUANTUM_NS;
    b.now_ns = before + asked_ns - 2_000;
    b.until("the frame", 2_000, |b| b.has_sent().then_some(()));
    let began = b.now_ns - SHORTEST_NS;
    assert!(
        began >= before + asked_ns,
        "{} ns too soon",
        before + asked_ns - began
    );
    assert!(
        began <= after + asked_ns + 1_200,
        "{} ns late",
        began - after - asked_ns
    );
    assert_eq!(b.frames(), [frame]);
    b.settle();
    // The frame was not the host's.
    assert_eq!((b.receive(), b.counter(counter::RX_PAUSE)), (vec![], 1));
    assert_eq!(b.counter(counter::RX_DROP_FILTER), 0);
    b.check_link();
}

#[test]
fn while_time_is_skipped_a_pause_ends_within_a_tick() {
    let mut b = bench(flow::RX_PAUSE.of(1));
    let before = b.now_ns;
    b.phy.receive(&pause(4_000));
    b.settle();
    let after = b.now_ns;
    let frame = send(&mut b, 1);
    let mut sent = vec![];
    while sent.is_empty() {
        let tick = u64::from(b.skip_to_deadline()) * TICK_NS;
        sent = b.frames();
        let asked_ns = 4_000 * QUANTUM_NS;
        assert!(sent.is_empty() || tick >= before + asked_ns);
        assert!(!sent.is_empty() || tick < after + asked_ns + QUANTUM_NS);
    }
    assert_eq!(sent, [frame]);
    assert_eq!(b.outputs.deadline, None);
}

#[test]
fn a_pause_time_of_zero_and_switching_off_end_a_pause_and_arp_waits_too() {
    let mut b = bench(flow::RX_PAUSE.of(1));
    for (n, to) in [(1, MAC), (2, GROUP)] {
        b.phy.receive(&control(to, PEER_MAC, 1, 0xFFFF));
        b.settle();
        let frame = send(&mut b, n);
        assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
        b.phy.receive(&pause(0));
        b.settle();
        assert_eq!(b.frames(), [frame]);
    }
    b.phy.receive(&pause(0xFFFF));
    b.settle();
    b.phy.receive(&arp_request(
        (PEER_MAC, PEER),
        ferrule_tests::bench::ADDRESS,
    ));
    b.run(1_000);
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
    b.write(flow::OFFSET, 0);
    b.settle();
    // The answer was held back, not lost.
    assert_eq!(b.frames().len(), 1);
    assert_eq!(b.counter(counter::ARP_REPLIES), 1);
    b.check_link();
}

#[test]
fn what_is_no_good_pause_frame_holds_nothing_back() {
    let mut b = bench(flow::RX_PAUSE.of(1));
    let other = [0x02, 0, 0, 0, 0, 0x77];
    let long = pause(0xFFFF);
    let tag = [&long[..12], &[0x81, 0x00, 0x00, 0x05], &long[12..]].concat();
    let wrong = [
        ("another station's", control(other, PEER_MAC, 1, 0xFFFF)),
        (
            "another group's",
            control([0x01, 0x80, 0xC2, 0, 0, 2], PEER_MAC, 1, 0xFFFF),
        ),
        ("another opcode", control(GROUP, PEER_MAC, 0x0101, 0xFFFF)),
        ("one with a tag", tag),
    ];
    for (n, (what, frame)) in (1..).zip(wrong) {
        b.phy.receive(&frame);
        b.settle();
        let sent = send(&mut b, n);
        assert_eq!(b.frames(), [sent], "{what}");
        assert_eq!(b.counter(counter::RX_DROP_FILTER), u64::from(n), "{what}");
    }
    let mut damaged = frames::with_fcs(&long);
    damaged[17] ^= 1;
    b.phy.receive_raw(frames::line(&damaged));
    let short = [&long[..40], &crc32fast::hash(&long[..40]).to_le_bytes()].concat();
    b.phy.receive_raw(frames::line(&short));
    b.settle();
    let sent = send(&mut b, 9);
    assert_eq!(b.frames(), [sent]);
    assert_eq!(
        [
            counter::RX_DROP_FCS,
            counter::RX_DROP_RUNT,
            counter::RX_PAUSE
        ]
        .map(|c| b.counter(c)),
        [1, 1, 0]
    );
    // And none does before it is switched on.
    b.write(flow::OFFSET, 0);
    b.settle();
    b.phy.receive(&long);
    b.settle();
    let sent = send(&mut b, 10);
    assert_eq!(b.frames(), [sent]);
    b.check_link();
}

#[test]
fn the_link_partner_is_paused_while_the_buffer_is_full_and_nothing_is_lost() {
    let mut b = Bench::new(
        engines::verilated().unwrap_or_else(engines::compiled),
        &Layout::default(),
    );
    b.write(flow::OFFSET, flow::TX_PAUSE.of(1));
    b.settle();
    let frame = |n: u8| frames::udp(&[n; 1_000]);
    // 16 find a slot; of the others, of 1,042 bytes and 8 more each, twelve fill 12 KiB.
    for n in 0..27 {
        b.phy.receive(&frame(n));
    }
    let quiet = |b: &mut Bench| {
        b.until("quiet line", 100_000, |b| {
            b.phy.receive_idle().then_some(())
        });
        b.run(1_000);
    };
    quiet(&mut b);
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
    b.phy.receive(&frame(27));
    quiet(&mut b);
    assert_eq!(b.frames(), [control(GROUP, MAC, 1, 0xFFFF)]);
    // It is asked for anew, in a quarter of its time.
    for _ in 0..3 {
        b.now_ns += 8_388_608;
        b.run(1_000);
        assert_eq!(b.frames(), [control(GROUP, MAC, 1, 0xFFFF)]);
    }
    // It may send even while it is paused itself.
    b.write(flow::OFFSET, flow::TX_PAUSE.of(1) | flow::RX_PAUSE.of(1));
    b.phy.receive(&pause(0xFFFF));
    b.run(1_000);
    b.now_ns += 8_388_608;
    b.run(1_000);
    assert_eq!(b.frames(), [control(GROUP, MAC, 1, 0xFFFF)]);
    let mut got = vec![];
    b.until("all frames", 40_000, |b| {
        got.extend(b.receive());
        (got.len() == 28).then_some(())
    });
    b.settle();
    assert_eq!(b.frames(), [control(GROUP, MAC, 1, 0)]);
    for (n, r) in (0..).zip(&got) {
        assert_eq!(r.bytes, frame(n), "frame {n}");
    }
    assert_eq!(b.counter(counter::RX_DROP_OVERFLOW), 0);
    assert_ne!(b.read(ctrl::OFFSET) & ctrl::TX_EN.mask(), 0);
    b.check_link();
}

//! More than the host takes: what does not fit is dropped and told, the rest arrives whole and in order.
use ferrule_abi::counter;
use ferrule_abi::regs;
use ferrule_abi::ring::cqe_status;
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, RAW, SOP};
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::engines::{native, verilated};
use ferrule_tests::frames;

#[test]
fn frames_beyond_slots_and_buffer_are_dropped_and_the_next_one_says_so() {
    let mut b = Bench::new(verilated().unwrap_or_else(native), &Layout::default());
    let frame = |n: u8| frames::udp(&[n; 1_000]);
    for n in 0..80 {
        b.phy.receive(&frame(n));
    }
    b.until("quiet line", 100_000, |b| {
        b.phy.receive_idle().then_some(())
    });
    b.run(2_000);
    // The host comes back: 16 slots are full, and the buffer holds some more (16 KiB at least).
    let mut got = b.receive();
    assert_eq!(got.len(), 16);
    let dropped = b.counter(counter::RX_DROP_OVERFLOW);
    let kept = 80 - dropped;
    assert!((39..60).contains(&kept), "{dropped} dropped");
    b.until("the frames that were kept", 20_000, |b| {
        got.extend(b.receive());
        (got.len() as u64 == kept).then_some(())
    });
    b.settle();
    assert!(b.receive().is_empty());
    b.phy.receive(&frame(200));
    b.settle();
    got.extend(b.receive());
    for (n, r) in (0..).zip(&got) {
        let last = u64::from(n) == kept;
        assert_eq!(r.bytes, frame(if last { 200 } else { n }), "frame {n}");
    }
    // Where frames are missing, the next one that is there says so: once.
    let told = got
        .iter()
        .filter(|r| r.cqe.status & cqe_status::DROPPED_BEFORE != 0)
        .count();
    assert_eq!(told, 1);
    b.check_link();
}

#[test]
fn loopback_gives_back_what_is_sent_and_the_wire_sees_nothing() {
    let mut b = Bench::new(ferrule_tests::engines::all(), &Layout::default());
    let ctrl = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1) | regs::ctrl::LOOPBACK.of(1);
    b.write(regs::ctrl::OFFSET, ctrl);
    b.settle();
    let sent: Vec<Vec<u8>> = (0..6)
        .map(|n| frames::udp(&vec![n; 20 + 250 * usize::from(n)]))
        .collect();
    for frame in &sent {
        b.post_tx(frame, SOP | EOP | RAW | CPL_REQ);
    }
    b.ring_tx(false);
    b.settle();
    let got: Vec<Vec<u8>> = b.receive().into_iter().map(|r| r.bytes).collect();
    assert_eq!(got, sent);
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
    b.check_link();
}

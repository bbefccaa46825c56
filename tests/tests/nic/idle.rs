//! An idle NIC is one that a simulator need not evaluate: nothing in it moves until an input or the deadline does.
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, SOP};
use ferrule_abi::TICK_NS;
use ferrule_tests::bench::{Bench, Layout, CYCLE_NS};
use ferrule_tests::{engines, frames};

const PACKET: u16 = SOP | EOP | CPL_REQ;

/// A NIC that has received, and waits for an answer to an ARP request.
fn waiting(engine: Box<dyn ferrule_sim::engine::Engine>) -> Bench {
    let mut b = Bench::new(engine, &Layout::default());
    b.phy.receive(&frames::udp(&[1; 100]));
    b.settle();
    assert_eq!(b.receive().len(), 1);
    b.post_tx(&frames::udp_packet(frames::PEER, b"?"), PACKET);
    b.ring_tx(true);
    b.settle();
    b
}

#[test]
fn nothing_changes_before_the_deadline() {
    let mut b = waiting(engines::all());
    let still = b.outputs;
    assert!(!still.busy && still.tlp_tx.is_none());
    let deadline = u64::from(still.deadline.expect("a retry is due")) * TICK_NS;
    for _ in 0..2_000 {
        b.step();
        assert_eq!(b.outputs, still, "at {} ns", b.now_ns);
    }
    // Far jumps, up to the last cycle before the deadline.
    for ahead in [deadline / 2, 10 * TICK_NS, TICK_NS, 100, CYCLE_NS] {
        b.now_ns = b.now_ns.max(deadline - ahead);
        for _ in 0..(ahead / CYCLE_NS).min(50) {
            b.step();
            assert_eq!(b.outputs, still, "at {} ns", b.now_ns);
        }
    }
    b.now_ns = deadline;
    b.settle();
    assert_eq!(b.frames().len(), 2, "the request and its repetition");
    assert!(b.outputs.deadline > still.deadline);
}

#[test]
fn time_that_is_skipped_is_time_that_passes() {
    let mut stepped = waiting(engines::native());
    let mut skipped = waiting(engines::verilated().unwrap_or_else(engines::native));
    stepped.run(1_000);
    skipped.now_ns += 1_000 * CYCLE_NS;
    for b in [&mut stepped, &mut skipped] {
        b.phy
            .receive(&frames::arp_reply((frames::PEER_MAC, frames::PEER)));
        b.phy.receive(&frames::udp(&[2; 200]));
        b.post_tx(&frames::udp_packet(frames::PEER, &[3; 50]), PACKET);
        b.ring_tx(true);
    }
    for _ in 0..2_000 {
        stepped.step();
        skipped.step();
        assert_eq!(stepped.outputs, skipped.outputs, "at {} ns", stepped.now_ns);
    }
    assert_eq!(stepped.frames().len(), 2);
    assert_eq!(stepped.receive(), skipped.receive());
}

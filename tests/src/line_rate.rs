//! Frames both ways as fast as the wire takes them, with a host that rings each doorbell once in 16 packets: what the benchmarks
//! count.
use ferrule_abi::regs;
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, RAW, SOP};

use crate::bench::{Bench, Layout};
use crate::frames;

/// Packets per doorbell, and per transmit completion.
pub const BATCH: u64 = 16;
/// Bytes of the shortest frame without FCS.
pub const SHORTEST: usize = 60;
/// Bytes of the longest frame without FCS where nobody asks for more.
pub const LONGEST: usize = 1514;
/// Bytes of the longest one there is, for an MTU of 9,000.
pub const JUMBO: usize = 9014;
/// Cycles between two looks of the host at its rings: a small part of a batch.
const POLL_CYCLES: u64 = 32;
/// Byte times of the shortest frame with preamble, FCS and gap: the wire takes no more.
pub const FRAME_CYCLES: u64 = 84;
/// Byte times of the longest one.
const JUMBO_CYCLES: u64 = 9038;
const RING_LOG2: u32 = 7;

/// Rings of 128 entries; a root complex that answers after 1 us and does not split what it need not.
pub fn layout() -> Layout {
    Layout {
        tx_log2: (RING_LOG2, RING_LOG2),
        rx_log2: (RING_LOG2, RING_LOG2),
        slots: 1 << RING_LOG2,
        ..Layout::default()
    }
}

/// As [`layout`] with slots for [`JUMBO`] frames.
pub fn jumbo_layout() -> Layout {
    Layout {
        slot_log2: 14,
        ..layout()
    }
}

/// Lets the NIC receive [`JUMBO`] frames.
pub fn accept_jumbo(b: &mut Bench) {
    let with_fcs = JUMBO as u32 + 4;
    let rxctl = b.read(regs::rxctl::OFFSET);
    let rxctl = regs::rxctl::MAX_FRAME.set(rxctl, with_fcs);
    b.write(regs::rxctl::OFFSET, rxctl);
    b.settle();
}

/// Sends and receives `count` frames of 64 bytes each way, a multiple of [`BATCH`], and settles. The queues run and are idle.
///
/// # Panics
/// If not all of them arrive.
pub fn run(b: &mut Bench, count: u64) {
    run_lengths(b, count, |_| SHORTEST);
}

/// As [`run`] with frames of other lengths, by number; gives the longest gap between two frames that the NIC sent, in byte times.
///
/// # Panics
/// If not all of them arrive.
pub fn run_lengths(b: &mut Bench, count: u64, len: impl Fn(u64) -> usize) -> u64 {
    let frame = |n: u64| frames::udp_of_length(len(n), n as u8);
    let (mut gap, mut longest) = (None, 0);
    let (mut to_send, mut retired) = (count, 0);
    let (mut to_come, mut came, mut kept) = (count, 0, vec![]);
    let (sent_before, posted_before) = (b.sent.len(), b.sq.producer);
    let mut waited = 0;
    while retired < count || came < count {
        // Half the ring is in the NIC while the other half is refilled.
        while to_send > 0 && b.sq.producer - posted_before - retired + BATCH <= b.sq.size() {
            for n in 1..=BATCH {
                let last = if n == BATCH { CPL_REQ } else { 0 };
                b.post_tx(&frame(count - to_send + n - 1), SOP | EOP | RAW | last);
            }
            to_send -= BATCH;
            b.ring_tx(false);
        }
        if to_come > 0 && b.phy.receive_idle() {
            b.phy.receive(&frame(count - to_come));
            to_come -= 1;
        }
        if b.engine.cycles().is_multiple_of(POLL_CYCLES) {
            retired += BATCH * b.tx_completions().len() as u64;
            let new = b.received();
            for r in new {
                assert_eq!(r.bytes, frame(came));
                came += 1;
                kept.push(r.cqe.index);
            }
            if kept.len() as u64 >= BATCH {
                for slot in kept.drain(..BATCH as usize) {
                    b.post_slot(slot);
                }
                b.ring_rx(false);
            }
        }
        b.step();
        match b.outputs.gmii_tx.valid {
            true => longest = longest.max(gap.replace(0).unwrap_or(0)),
            false => gap = gap.map(|idle| idle + 1),
        }
        waited += 1;
        assert!(
            waited < (count + 1_000) * JUMBO_CYCLES * 4,
            "{came} of {count} frames received, {retired} sent"
        );
    }
    b.settle();
    let sent = b.frames().split_off(sent_before);
    let expected: Vec<_> = (0..count).map(frame).collect();
    assert!(sent == expected, "all were sent, in order");
    b.check_link();
    longest
}

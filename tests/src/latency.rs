//! How long the NIC keeps a frame: in cycles of the core's clock, at the pins.
use ferrule_sim::tlp::Tlp;

use crate::bench::Bench;
use crate::frames;
use crate::line_rate::{LONGEST, SHORTEST};

/// Bytes of a frame without FCS, and the most cycles of [`receive`] for it at a maximum payload of 128 bytes.
pub const BUDGET: [(usize, u64); 2] = [(SHORTEST, 32), (LONGEST, 250)];
/// The same of [`push`].
pub const PUSH_BUDGET: u64 = 40;
/// Preamble with SFD, and FCS.
const AROUND: u64 = 8 + 4;
/// A frame that takes longer is lost.
const PATIENCE: u64 = 10_000;

/// Cycles from the last byte of the FCS on the wire to the first beat of the TLP that writes the frame's completion: for a UDP frame of
/// `len` bytes without FCS, on a NIC that is idle, has slots, and whose host takes every beat.
///
/// # Panics
/// If the frame does not arrive.
pub fn receive(b: &mut Bench, len: usize) -> u64 {
    b.settle();
    let ring = b.rxcq.iova..b.rxcq.iova + (16 << b.rxcq.log2);
    let frame = frames::udp_of_length(len, 0x5A);
    let last_fcs_byte = len as u64 + AROUND;
    b.tap();
    b.phy.receive(&frame);
    let (mut starts, mut within) = (vec![], false);
    for cycle in 1..=PATIENCE {
        b.step();
        if let Some(beat) = b.outputs.tlp_tx {
            if !within {
                starts.push(cycle);
            }
            within = !beat.last;
        }
        if cycle > last_fcs_byte && b.is_idle() {
            break;
        }
    }
    assert_eq!(b.receive().len(), 1, "the frame has arrived");
    let is_completion = |dws: &Vec<u32>| matches!(Tlp::decode(dws), Ok(Tlp::MemWrite { addr, .. }) if ring.contains(&addr));
    let at = b.tap().iter().position(is_completion);
    let start = at.and_then(|n| starts.get(n)).expect("a completion");
    start - last_fcs_byte
}

/// Cycles from the last beat of the TLP by which the host pushes a packet to the first byte of its preamble on the wire, on a NIC in PUSH
/// mode that is idle.
///
/// # Panics
/// If no frame leaves.
pub fn push(b: &mut Bench, packet: &[u8], flags: u16) -> u64 {
    b.settle();
    b.push_tx(packet, flags);
    let mut written = 0;
    for cycle in 1..=PATIENCE {
        b.step();
        if b.host_ended {
            written = cycle;
        }
        if b.outputs.gmii_tx.valid {
            b.settle();
            return cycle - written;
        }
    }
    panic!("no frame leaves");
}

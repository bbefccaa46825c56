//! DMA to addresses that are not mapped: refused by the root complex, reported by the NIC, which goes on.
use ferrule_abi::counter;
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, RAW, SOP};
use ferrule_abi::ring::{cqe_status, event_code, Event, Sqe};
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::{engines, frames};

/// Nothing is mapped from here on.
const UNMAPPED: u64 = 0x7F_0000_0000;
const FRAME: u16 = SOP | EOP | RAW | CPL_REQ;

/// Clears ENABLE of a queue page and waits until the queue has come to rest.
fn stop(b: &mut Bench, page: u32) {
    b.write(page + regs::tx_ctrl::OFFSET, 0);
    while regs::tx_status::RUNNING.get(b.read(page + regs::tx_status::OFFSET)) != 0 {}
}

/// Events of queues.
fn queue_errors(b: &mut Bench) -> Vec<Event> {
    let mut events = b.take_events();
    events.retain(|e| e.code == event_code::QUEUE_ERROR);
    events
}

/// Both directions still work.
fn works(b: &mut Bench) {
    b.post_tx(&frames::udp(b"out"), FRAME);
    b.ring_tx(false);
    b.phy.receive(&frames::udp(b"in"));
    b.settle();
    assert_eq!(b.tx_completions().len(), 1);
    assert_eq!(b.frames().len(), 1);
    assert_eq!(b.receive().len(), 1);
    b.check_link();
}

#[test]
fn payload_that_cannot_be_read_is_a_completion_with_dma_err() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let good = [frames::udp(&[1; 100]), frames::udp(&[2; 700])];
    let unmapped = |flags| Sqe {
        iova: UNMAPPED + 0x123,
        len: 600,
        flags,
        ..Sqe::default()
    };
    b.post_tx(&good[0], FRAME);
    b.post_sqe(unmapped(FRAME));
    // Without CPL_REQ: an error is told all the same.
    b.post_sqe(unmapped(SOP | EOP | RAW));
    // The second half of a frame.
    b.post_tx(&good[0], SOP | RAW);
    b.post_sqe(unmapped(EOP | CPL_REQ));
    b.post_tx(&good[1], FRAME);
    b.ring_tx(false);
    b.settle();
    let got: Vec<(u16, u16)> = b
        .tx_completions()
        .iter()
        .map(|c| (c.index, c.status))
        .collect();
    let error = cqe_status::DMA_ERR;
    assert_eq!(got, [(0, 0), (1, error), (2, error), (4, error), (5, 0)]);
    assert_eq!(b.frames(), good);
    assert_eq!(b.counter(counter::TX_DMA_ERR), 3);
    assert!(b.root_complex.stats().refused_reads >= 3);
    works(&mut b);
}

#[test]
fn a_ring_that_cannot_be_read_stops_its_queue_and_no_other() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let (tx, rx) = (regs::tx_page(0), regs::rx_page(0));
    stop(&mut b, tx);
    let sq = std::mem::replace(&mut b.sq.iova, UNMAPPED);
    b.start_tx();
    b.sq.producer = 3;
    b.ring_tx(false);
    b.settle();
    let events = queue_errors(&mut b);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].detail, 1, "page of transmit queue 0");
    let status = b.read(tx + regs::tx_status::OFFSET);
    assert_eq!(regs::tx_status::ERROR.get(status), queue_error::DMA);
    b.phy.receive(&frames::udp(b"the other queue"));
    b.settle();
    assert_eq!(b.receive().len(), 1);
    stop(&mut b, tx);
    b.sq.iova = sq;
    b.start_tx();
    works(&mut b);

    stop(&mut b, rx);
    let rxq = b.rxq.iova;
    b.write(rx + regs::rx_rxq_base_hi::OFFSET, (UNMAPPED >> 32) as u32);
    b.write(rx + regs::rx_ctrl::OFFSET, 1);
    (b.rxq.producer, b.rxcq.consumer) = (8, 0);
    b.ring_rx(false);
    b.settle();
    let events = queue_errors(&mut b);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].detail, 2, "page of receive queue 0");
    let status = b.read(rx + regs::rx_status::OFFSET);
    assert_eq!(regs::rx_status::ERROR.get(status), queue_error::DMA);
    stop(&mut b, rx);
    b.rxq.iova = rxq;
    b.start_rx();
    b.settle();
    works(&mut b);
}

#[test]
fn slots_that_are_not_mapped_swallow_their_frames_and_nothing_else_is_written() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let rx = regs::rx_page(0);
    stop(&mut b, rx);
    let slots = std::mem::replace(&mut b.slots, UNMAPPED);
    b.start_rx();
    b.settle();
    let before = b.memory.snapshot();
    for n in 0..3 {
        b.phy.receive(&frames::udp(&[n; 400]));
    }
    b.settle();
    let after = b.memory.snapshot();
    let changed = (0..before.len()).filter(|i| before[*i] != after[*i]);
    let ring = (b.rxcq.iova - ferrule_tests::bench::memory::IOVA) as usize;
    for at in changed {
        assert!(
            (ring..ring + 3 * 16).contains(&at),
            "byte {at:#x} was written"
        );
    }
    assert!(b.root_complex.stats().refused_writes >= 3);
    stop(&mut b, rx);
    b.slots = slots;
    b.start_rx();
    b.settle();
    works(&mut b);
}

#[test]
fn an_index_that_cannot_be_and_a_slot_that_is_not_there_stop_their_queue() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let (tx, rx) = (regs::tx_page(0), regs::rx_page(0));
    b.sq.producer = 17;
    b.ring_tx(false);
    b.settle();
    let events = queue_errors(&mut b);
    assert_eq!(events.iter().map(|e| e.detail).collect::<Vec<_>>(), [1]);
    let status = b.read(tx + regs::tx_status::OFFSET);
    assert_eq!(regs::tx_status::ERROR.get(status), queue_error::BAD_INDEX);
    stop(&mut b, tx);
    b.start_tx();
    works(&mut b);

    stop(&mut b, rx);
    b.slot_count = 8;
    b.start_rx();
    b.post_slot(8);
    b.ring_rx(false);
    for n in 0..9 {
        b.phy.receive(&frames::udp(&[n; 10]));
    }
    b.settle();
    let events = queue_errors(&mut b);
    assert_eq!(events.iter().map(|e| e.detail).collect::<Vec<_>>(), [2]);
    let status = b.read(rx + regs::rx_status::OFFSET);
    assert_eq!(regs::rx_status::ERROR.get(status), queue_error::BAD_SLOT);
    stop(&mut b, rx);
    b.slot_count = 16;
    b.start_rx();
    b.settle();
    works(&mut b);
}

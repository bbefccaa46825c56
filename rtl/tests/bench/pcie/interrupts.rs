//! MSI-X through TLPs: table, pending bits, masks.
use super::bench::Bench;
use super::tlp::Tlp;
use ferrule_abi::{counter, BAR_MSIX, MSIX_PBA_OFFSET, MSIX_VECTORS};

fn program(b: &mut Bench) {
    for v in 0..u32::from(MSIX_VECTORS) {
        for (i, w) in [0xFEE0_0000 + 0x1000 * v, v, 0x40 + v]
            .into_iter()
            .enumerate()
        {
            b.write(BAR_MSIX, 16 * v + 4 * i as u32, w);
        }
    }
}

fn mask(b: &mut Bench, v: u32, masked: u32) {
    b.write(BAR_MSIX, 16 * v + 12, masked);
}

/// The vectors whose messages were sent, in order.
fn sent(b: &mut Bench) -> Vec<u32> {
    b.settle();
    let mut vectors = vec![];
    b.seen.retain(|t| match t {
        Tlp::Request(r) => {
            let v = r.data[0] - 0x40;
            assert_eq!(
                r.addr,
                u64::from(v) << 32 | u64::from(0xFEE0_0000 + 0x1000 * v)
            );
            assert_eq!(r.data.len(), 1);
            vectors.push(v);
            false
        }
        Tlp::Completion(_) => true,
    });
    vectors
}

fn raise(b: &mut Bench, vectors: u64) {
    b.irq = vectors;
    b.cycle();
}

#[test]
fn the_table_keeps_what_is_written() {
    let mut b = Bench::new(30, true);
    for v in 0..u32::from(MSIX_VECTORS) {
        assert_eq!(b.read(BAR_MSIX, 16 * v + 12), 1, "masked after reset");
    }
    for i in 0..4 * u32::from(MSIX_VECTORS) {
        b.write(BAR_MSIX, 4 * i, 0x8765_4320 + i);
    }
    for i in 0..4 * u32::from(MSIX_VECTORS) {
        let want = match i % 4 {
            0 => (0x8765_4320 + i) & !3,
            3 => (0x8765_4320 + i) & 1,
            _ => 0x8765_4320 + i,
        };
        assert_eq!(b.read(BAR_MSIX, 4 * i), want, "word {i}");
    }
    b.write(BAR_MSIX, MSIX_PBA_OFFSET, u32::MAX);
    assert_eq!(
        b.read(BAR_MSIX, MSIX_PBA_OFFSET),
        0,
        "the pending bits cannot be written"
    );
    assert_eq!(b.read(BAR_MSIX, MSIX_PBA_OFFSET + 4), 0);
    assert_eq!(b.refused(), 0);
    for hole in [
        16 * u32::from(MSIX_VECTORS),
        0x7FC,
        MSIX_PBA_OFFSET + 8,
        0xFFC,
    ] {
        assert_eq!(b.read(BAR_MSIX, hole), u32::MAX);
    }
    assert_eq!(b.refused(), 4);
}

#[test]
fn a_masked_vector_waits_and_is_sent_once_when_unmasked() {
    let mut b = Bench::new(31, true);
    program(&mut b);
    raise(&mut b, 0b0100_0010);
    raise(&mut b, 0b0100_0000);
    assert_eq!(sent(&mut b), []);
    assert_eq!(b.read(BAR_MSIX, MSIX_PBA_OFFSET), 0b0100_0010);
    mask(&mut b, 6, 0);
    assert_eq!(sent(&mut b), [6]);
    assert_eq!(b.read(BAR_MSIX, MSIX_PBA_OFFSET), 0b0000_0010);
    mask(&mut b, 1, 0);
    assert_eq!(sent(&mut b), [1]);
    raise(&mut b, 0b0100_0010);
    let mut both = sent(&mut b);
    both.sort_unstable();
    assert_eq!(both, [1, 6]);
    assert_eq!(b.read(BAR_MSIX, MSIX_PBA_OFFSET), 0);
    assert_eq!(b.counter(counter::INTERRUPTS), 4);
}

#[test]
fn function_mask_enable_and_bus_master_hold_messages_back() {
    let mut b = Bench::new(32, false);
    program(&mut b);
    for v in 0..u32::from(MSIX_VECTORS) {
        mask(&mut b, v, 0);
    }
    b.n.u.msix_mask.next = true;
    raise(&mut b, 1);
    assert_eq!(sent(&mut b), []);
    b.n.u.msix_mask.next = false;
    assert_eq!(sent(&mut b), [0]);
    b.n.u.msix_enable.next = false;
    raise(&mut b, 0x80);
    assert_eq!(sent(&mut b), []);
    b.n.u.msix_enable.next = true;
    assert_eq!(sent(&mut b), [7]);
    b.n.u.bus_master.next = false;
    raise(&mut b, 2);
    assert_eq!(sent(&mut b), []);
    b.n.u.bus_master.next = true;
    assert_eq!(sent(&mut b), [1]);
}

#[test]
fn after_a_mask_is_read_back_no_message_comes() {
    for delay in 0..40 {
        let mut b = Bench::new(33, false);
        program(&mut b);
        mask(&mut b, 0, 0);
        b.post(BAR_MSIX, 12, 1);
        for _ in 0..delay {
            b.cycle();
        }
        raise(&mut b, 1);
        assert_eq!(b.read(BAR_MSIX, 12), 1);
        let before = b.seen.len();
        b.settle();
        assert_eq!(
            b.seen.len(),
            before,
            "a message after the mask, delay {delay}"
        );
    }
}

#[test]
fn a_pulse_while_the_message_goes_out_is_not_lost() {
    for delay in 0..20 {
        let mut b = Bench::new(34, false);
        program(&mut b);
        mask(&mut b, 0, 0);
        raise(&mut b, 1);
        for _ in 0..delay {
            b.cycle();
        }
        let already_sent = b.seen.len();
        raise(&mut b, 1);
        let n = sent(&mut b).len();
        // Two pulses may become one message only if the first was not on its way yet.
        assert!(
            n == 2 || (n == 1 && already_sent == 0 && delay == 0),
            "delay {delay}: {n}"
        );
    }
}

#[test]
fn the_pending_bits_of_another_port_follow_the_own_ones() {
    let mut b = Bench::new(35, false);
    b.n.u.msix_others.next = 0xA5_u64.into();
    raise(&mut b, 0x42);
    assert_eq!(b.read(BAR_MSIX, MSIX_PBA_OFFSET), 0xA542);
    assert_eq!(b.n.u.msix_waits.val().to_u64(), 0x42);
}

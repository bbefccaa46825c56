//! Register accesses that are no register accesses: refused or ignored, counted, and never a hang.
use ferrule_abi::{regs, BAR_MSIX, BAR_REGS};
use ferrule_sim::tlp::{Status, Tlp};
use ferrule_tests::bench::link::OWN_TAGS;
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::{engines, frames};

/// The root complex' requester id.
const HOST: u16 = 0;
const BAR: u64 = 0xE010_0000;
const SCRATCH: u64 = BAR + regs::scratch::OFFSET as u64;

fn read(addr: u64, dwords: u16, (first_be, last_be): (u8, u8), tag: u8) -> Tlp {
    Tlp::MemRead {
        requester: HOST,
        tag,
        addr,
        dwords,
        first_be,
        last_be,
    }
}

fn write(addr: u64, dwords: usize, (first_be, last_be): (u8, u8), poisoned: bool) -> Tlp {
    Tlp::MemWrite {
        requester: HOST,
        tag: 0,
        addr,
        first_be,
        last_be,
        poisoned,
        data: vec![0xEE; dwords * 4],
    }
}

#[test]
fn what_is_no_register_access_is_refused_counted_and_survived() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    b.write(regs::scratch::OFFSET, 0x600D_F00D);
    let reads = [
        ("one byte", SCRATCH, 1, (0b0001, 0)),
        ("the upper half", SCRATCH, 1, (0b1100, 0)),
        (
            "a misaligned DW: two, three bytes of the first",
            SCRATCH,
            2,
            (0b1110, 0b0001),
        ),
        ("64 bits", SCRATCH, 2, (0xF, 0xF)),
        ("zero bytes", SCRATCH, 1, (0, 0)),
        ("a page", BAR + 0x1_0000, 1024, (0xF, 0xF)),
        (
            "64 bits of a doorbell page",
            BAR + u64::from(regs::tx_page(0)),
            2,
            (0xF, 0xF),
        ),
    ];
    let mut bad = 0;
    for (tag, (what, addr, dwords, be)) in (OWN_TAGS..).zip(reads) {
        b.send_tlp(&read(addr, dwords, be, tag).encode(), BAR_REGS);
        bad += 1;
        let answer = b.until("answer", 2_000, |b| b.answers().pop());
        let Tlp::Completion {
            status,
            tag: got,
            ref data,
            ..
        } = answer
        else {
            panic!("{what}: {answer:?}");
        };
        assert_eq!((status, got), (Status::UnsupportedRequest, tag), "{what}");
        assert!(data.is_empty(), "{what}");
        assert_eq!(b.read(regs::bad_access::OFFSET), bad, "{what}");
    }
    // The same in the other BAR, and with an address in one that is not there.
    for (bar, addr) in [(BAR_MSIX, 0xE000_0000), (4, BAR)] {
        b.send_tlp(&read(addr, 2, (0xF, 0xF), OWN_TAGS).encode(), bar);
        bad += 1;
        let answer = b.until("answer", 2_000, |b| b.answers().pop());
        assert!(
            matches!(
                answer,
                Tlp::Completion {
                    status: Status::UnsupportedRequest,
                    ..
                }
            ),
            "{answer:?}"
        );
    }
    let writes = [
        ("one byte", SCRATCH, 1, (0b0010, 0), false),
        ("three bytes", SCRATCH, 1, (0b0111, 0), false),
        ("zero bytes", SCRATCH, 1, (0, 0), false),
        ("64 bits", SCRATCH, 2, (0xF, 0xF), false),
        ("32 bytes", SCRATCH - 0x18, 8, (0xF, 0xF), false),
        ("poisoned", SCRATCH, 1, (0xF, 0), true),
    ];
    for (what, addr, dwords, be, poisoned) in writes {
        b.send_tlp(&write(addr, dwords, be, poisoned).encode(), BAR_REGS);
        bad += 1;
        b.settle();
        assert_eq!(b.read(regs::scratch::OFFSET), 0x600D_F00D, "{what}");
        assert_eq!(b.read(regs::bad_access::OFFSET), bad, "{what}");
    }
    // Holes and pages of queues that this build does not have.
    for offset in [
        0x00C,
        0x05C,
        0x0C0,
        0xFFC,
        0x300,
        regs::queue_page(regs::PAGES),
        0xF_FFFC,
        regs::tx_page(0) + 0x2C,
    ] {
        assert_eq!(b.read(offset), u32::MAX, "{offset:#x}");
        b.write(offset, 0);
        bad += 2;
        assert_eq!(b.read(regs::bad_access::OFFSET), bad, "{offset:#x}");
    }
    // Read-only registers take no harm.
    b.write(regs::magic::OFFSET, 0);
    b.write(regs::status::OFFSET, u32::MAX);
    assert_eq!(b.read(regs::magic::OFFSET), regs::MAGIC);
    b.phy.receive(&frames::udp(b"still here"));
    b.settle();
    assert_eq!(b.receive().len(), 1);
    b.check_link();
}

#[test]
fn a_reset_by_register_in_the_middle_of_everything_leaves_a_nic_that_works() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    for n in 0..4 {
        b.phy.receive(&frames::udp(&[n; 300]));
        b.post_tx(&frames::udp(&[n; 300]), RAW_FRAME);
    }
    b.ring_tx(false);
    b.run(500);
    b.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
    let mut status = 1;
    while regs::status::RESETTING.get(status) != 0 {
        status = b.read(regs::status::OFFSET);
    }
    assert_eq!(b.read(regs::tx_page(0) + regs::tx_status::OFFSET), 0);
    assert_eq!(b.read(regs::rx_page(0) + regs::rx_ctrl::OFFSET), 0);
    b.settle();
    let memory = b.memory.snapshot();
    b.phy.receive(&frames::udp(b"nobody listens"));
    b.settle();
    assert!(b.memory.snapshot() == memory);
    b.sent.clear();
    b.start();
    b.phy.receive(&frames::udp(b"after"));
    b.post_tx(&frames::udp(b"after"), RAW_FRAME);
    b.ring_tx(false);
    b.settle();
    assert_eq!(b.receive().len(), 1);
    assert_eq!(b.frames().len(), 1);
    b.check_link();
}

use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, RAW, SOP};
const RAW_FRAME: u16 = SOP | EOP | RAW | CPL_REQ;

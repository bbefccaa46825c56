//! MDIO_CMD and MDIO: a transfer asked for, under way, and its result; what is refused, and what a reset leaves.
use super::bench::Bench;
use ferrule_abi::{regs, BAR_REGS};
use regs::mdio_cmd::{DATA, PHYAD, REGAD, START, WRITE};

fn command(phy: u32, register: u32, write: Option<u16>) -> u32 {
    let data = write.map_or(0, |data| WRITE.of(1) | DATA.of(data.into()));
    START.of(1) | PHYAD.of(phy) | REGAD.of(register) | data
}

/// What is asked of the PHY's side: valid, write, address, register, data.
fn asked(b: &Bench) -> (bool, bool, u64, u64, u64) {
    let m = &b.n.u.mdio;
    (
        m.valid.val(),
        m.write.val(),
        m.phy.val().to_u64(),
        m.register.val().to_u64(),
        m.wdata.val().to_u64(),
    )
}

/// The PHY's side is done, for as long as it is asked.
fn answer(b: &mut Bench, data: u64) {
    b.n.u.mdio.done.next = true;
    b.n.u.mdio.rdata.next = data.into();
    b.until("the end of the transfer", |b| !asked(b).0);
    b.n.u.mdio.done.next = false;
    b.n.u.mdio.rdata.next = 0.into();
    b.cycle();
}

#[test]
fn a_transfer_is_busy_until_the_phys_side_is_done() {
    let mut b = Bench::new(31, true);
    b.n.u.mdio.done.next = false;
    assert!(!asked(&b).0);
    // Without START nothing begins.
    b.post(
        BAR_REGS,
        regs::mdio_cmd::OFFSET,
        command(1, 2, None) & !START.mask(),
    );
    assert_eq!(b.reg(regs::mdio::OFFSET), 0);
    b.post(
        BAR_REGS,
        regs::mdio_cmd::OFFSET,
        command(7, 30, Some(0xBEEF)),
    );
    assert_eq!(b.reg(regs::mdio::OFFSET), 1 << 31);
    assert_eq!(asked(&b), (true, true, 7, 30, 0xBEEF));
    // One at a time.
    b.post(BAR_REGS, regs::mdio_cmd::OFFSET, command(1, 2, None));
    assert_eq!(b.reg(regs::mdio::OFFSET), 1 << 31);
    assert_eq!(asked(&b), (true, true, 7, 30, 0xBEEF));
    answer(&mut b, 0x1111);
    b.post(BAR_REGS, regs::mdio_cmd::OFFSET, command(31, 1, None));
    b.until("the transfer", |b| asked(b).0);
    assert_eq!(asked(&b), (true, false, 31, 1, 0));
    answer(&mut b, 0x796D);
    assert_eq!(b.reg(regs::mdio::OFFSET), 0x796D);
    // MDIO itself cannot be written.
    b.post(BAR_REGS, regs::mdio::OFFSET, u32::MAX);
    assert_eq!(b.reg(regs::mdio::OFFSET), 0x796D);
}

#[test]
fn a_reset_does_not_cut_a_transfer_off() {
    let mut b = Bench::new(32, false);
    b.n.u.mdio.done.next = false;
    b.post(
        BAR_REGS,
        regs::mdio_cmd::OFFSET,
        command(3, 4, Some(0x0141)),
    );
    b.post(BAR_REGS, regs::ctrl::OFFSET, 1);
    b.until("the reset", |b| b.soft_resets == 32);
    for _ in 0..600 {
        assert_eq!(asked(&b), (true, true, 3, 4, 0x0141));
        b.cycle();
    }
    assert_eq!(b.reg(regs::mdio_cmd::OFFSET), 0);
    answer(&mut b, 0x4444);
    assert_eq!(b.reg(regs::mdio::OFFSET), 0x4444);
}

#[test]
fn where_no_phy_is_attached_a_read_is_over_at_once_and_all_ones() {
    let mut b = Bench::new(33, true);
    b.post(BAR_REGS, regs::mdio_cmd::OFFSET, command(0, 2, None));
    assert_eq!(b.reg(regs::mdio::OFFSET), 0xFFFF);
}

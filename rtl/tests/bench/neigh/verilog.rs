//! The exported Verilog of the neighbour block, run by Icarus Verilog, does in each cycle what the native simulation does.
use super::harness::{word, Bench, Dice};
use crate::lockstep::Trace;
use ferrule_rtl::neigh::engine::Neigh;
use std::net::Ipv4Addr;

#[test]
fn icarus_agrees_cycle_by_cycle() {
    let mut b = Bench::untouched();
    b.trace = Some(Trace::default());
    b.reset();
    // As the register file does after a reset: the memories of the Verilog hold nothing before.
    for n in 0..8 {
        b.local(n, "0.0.0.0", 0);
        b.gateway(n, "0.0.0.0");
    }
    b.local(0, "10.0.0.1", 8);
    b.local(6, "172.16.3.4", 31);
    b.gateway(4, "172.16.3.5");
    b.dut.u.arptime.next = word(60 | 20 << 16);
    b.arpctl(15);
    b.reset();
    (b.frame_ready, b.notice_ready, b.result_ready) = (60, 50, 70);
    let mut dice = Dice::new(0x5EED);
    for _ in 0..6000 {
        let ip = match dice.next() % 4 {
            0 => Ipv4Addr::from_bits(dice.next() as u32),
            1 => Ipv4Addr::new(10, 0, 0, (dice.next() % 9) as u8),
            _ => Ipv4Addr::new(10, (dice.next() % 6) as u8, 1, 7),
        };
        if !b.dut.u.lookup.valid.val() && dice.percent(10) {
            b.ask(ip, dice.next() % 8 * (dice.next() % 2));
        } else if dice.percent(8) {
            let own = Ipv4Addr::new(10, 0, 0, 1);
            b.present(super::harness::Arp {
                op: (dice.next() % 4) as u16,
                sha: [2, 0, 0, (dice.next() % 3) as u8, 0, 1],
                spa: if dice.percent(5) { own } else { ip },
                tpa: if dice.percent(70) { own } else { ip },
            });
        }
        if dice.percent(10) {
            let u = &mut b.dut.u;
            u.table_write.next = true;
            // Half of them begin a command.
            u.table_place.next = (0x38 | (dice.next() % 8) | (3 * (dice.next() % 2))).into();
            let ip = ip.to_bits();
            let op = (dice.next() % 7) as u32;
            u.table_data.next = word(if dice.percent(50) { ip } else { ip << 8 | op });
        }
        if dice.percent(10) {
            b.now = b.now.wrapping_add(if dice.percent(1) { 12_000 } else { 1 });
        }
        if dice.next().is_multiple_of(1000) {
            b.flush();
        }
        b.dut.u.event_hold.next = dice.percent(5);
        b.cycle();
    }
    let trace = b.trace.take().expect("recorded");
    trace.check::<Neigh>("neigh");
    trace.check_with_unknown_memories::<Neigh>("neigh");
    assert!(b.frames.len() > 50 && b.notices.len() > 20);
}

//! The exported Verilog passes Verilator's lint and does what the native simulation does.
use super::bench::{Bench, Job};
use super::tlp::{word_at, Completion, Rng};
use crate::common::verilator_lint;
use ferrule_abi::{regs, BAR_MSIX, BAR_REGS, TICK_NS};
use ferrule_rtl::{pcie::HostSide, verilog::emit};
use ferrule_test_tools::have;

#[test]
fn host_side_is_clean() {
    let text = emit::<HostSide>("host_side").expect("emits");
    verilator_lint("host_side", &text);
}

/// Registers, DMA, wrong completions, interrupts, timeouts and resets, all mixed, replayed in the Verilog.
#[test]
fn verilog_does_what_the_native_simulation_does() {
    if !have(&["iverilog"]) {
        return;
    }
    let mut rng = Rng(4711);
    let mut b = Bench::traced(4712, true);
    for i in 0..4 {
        b.write(BAR_MSIX, 12 + 16 * i, 0);
    }
    for round in 0..40_u32 {
        for i in 0..4 {
            let n = 1 + rng.below(9);
            b.jobs[i].push_back(Job {
                addr: (0x1000 * rng.below(4)) << (20 * rng.below(2)),
                data: (0..n).map(|k| word_at(4 * k)).collect(),
                last_be: 1 + rng.below(15) as u8,
            });
        }
        for i in 0..3 {
            let at = rng.below(32) << (28 * rng.below(2));
            b.requests[i].push_back((0x1000 + 128 * at, 1 + rng.below(32) as u32));
        }
        b.irq = rng.below(256);
        b.inc = rng.next() & 0xFFFF;
        match rng.below(6) {
            0 => b.post(
                BAR_REGS,
                4 * rng.below(0xD0 / 4) as u32,
                rng.next() as u32 & !1,
            ),
            1 => b.post(
                BAR_REGS,
                regs::rx_page(0) + 4 * rng.below(16) as u32,
                rng.next() as u32,
            ),
            2 => b.post(BAR_REGS, regs::snapshot::OFFSET, 1),
            3 => b.post(BAR_MSIX, 4 * rng.below(20) as u32, rng.next() as u32),
            _ => {
                let c = Completion {
                    completer: 8,
                    status: rng.below(8) as u8,
                    bytes: rng.below(256) as u32,
                    requester: super::bench::DEVICE,
                    tag: rng.below(9) as u8,
                    lower: 0,
                    tc: 0,
                    attr: 0,
                    poisoned: rng.chance(1, 4),
                    data: vec![5; rng.below(9) as usize],
                };
                b.send(&c.encode(), 0);
            }
        }
        for _ in 0..rng.below(120) {
            b.cycle();
        }
        for offset in [0, regs::status::OFFSET, 0x3F0, 4 * rng.below(192) as u32] {
            b.reg(offset);
        }
        if round == 20 {
            b.answering = false;
            for _ in 0..60 {
                b.time_ns += TICK_NS;
                for _ in 0..30 {
                    b.cycle();
                }
            }
            b.answering = true;
            b.post(BAR_REGS, regs::ctrl::OFFSET, 1);
            b.until("the reset", |b| b.soft_resets > 0);
            b.forget();
            b.until("its end", |b| b.soft_resets == 32);
        }
    }
    let trace = b.trace.take().expect("it was recorded");
    trace.check::<HostSide>("host_side");
}

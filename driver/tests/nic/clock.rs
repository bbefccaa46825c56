//! The clock, and times of frames.
use crate::fake::{Fake, TX};
use ferrule_abi::regs;
use ferrule_abi::ring::{cqe_status as st, sqe_flags as fl};
use ferrule_driver::nic::{ClockError, TxError, TxFrame, TxMode, TxOutcome};
use ferrule_driver::{NicConfig, NicError};

fn frame<'a>(parts: &'a [&'a [u8]], token: u64, timestamp: bool) -> TxFrame<'a> {
    TxFrame {
        parts,
        mode: TxMode::Raw,
        vlan: None,
        token,
        report: !timestamp,
        timestamp,
        ..TxFrame::default()
    }
}

#[test]
fn the_clock_is_read_stepped_and_trimmed_by_its_registers() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    fake.lock().regs.insert(regs::time_lo::OFFSET, 0xFFFF_FFFF);
    fake.lock().regs.insert(regs::time_hi::OFFSET, 7);
    assert_eq!(nic.clock_ns().unwrap(), 7 << 32 | 0xFFFF_FFFF);
    assert_eq!(fake.lock().reg(regs::snapshot::OFFSET), 1);

    nic.step_clock(-5).unwrap();
    assert_eq!(fake.lock().reg(regs::clock_step::OFFSET), 0xFFFF_FFFB);
    assert_eq!(fake.lock().reg(regs::clock_step_hi::OFFSET), 0);
    nic.step_clock(0x12_8000_0001).unwrap();
    // The lower half is signed.
    assert_eq!(fake.lock().reg(regs::clock_step::OFFSET), 0x8000_0001);
    assert_eq!(fake.lock().reg(regs::clock_step_hi::OFFSET), 0x13);

    nic.trim_clock(-1e9 / 65_536.0).unwrap();
    assert_eq!(fake.lock().reg(regs::clock_rate::OFFSET), 0xFF_0000);
    let error = nic.trim_clock(2e6).unwrap_err();
    assert!(matches!(
        error,
        NicError::Clock(ClockError::Rate { ppb: 2e6 })
    ));
    assert_eq!(fake.lock().reg(regs::clock_rate::OFFSET), 0xFF_0000);
    fake.assert_content();
}

#[test]
fn without_the_capability_the_clock_and_times_of_frames_are_refused() {
    let fake = Fake::new();
    let bit = regs::caps::TIMESTAMPS.mask();
    fake.lock().absent.insert(regs::caps::OFFSET, bit);
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    for error in [
        nic.clock_ns().unwrap_err(),
        nic.step_clock(1).unwrap_err(),
        nic.trim_clock(1.0).unwrap_err(),
    ] {
        assert!(matches!(error, NicError::Unsupported(_)), "{error}");
    }
    let parts: [&[u8]; 1] = [&[1; 60]];
    let error = nic.send(&frame(&parts, 1, true)).unwrap_err();
    assert!(matches!(error, NicError::Tx(TxError::NoTimestamps)));
    assert!(nic.send(&frame(&parts, 1, false)).unwrap());
    fake.assert_content();
}

#[test]
fn the_time_of_a_sent_frame_is_told_to_who_asked() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    let parts: [&[u8]; 1] = [&[1; 60]];
    for (token, asks) in [(1, true), (2, false), (3, true)] {
        assert!(nic.send(&frame(&parts, token, asks)).unwrap());
        let sent = fake.lock().take_frame().unwrap();
        assert_eq!(sent.flags & fl::TS_REQ != 0, asks);
        // The last one left while the hardware could not tell.
        let status = if token == 3 { 0 } else { st::TS_VALID };
        let words = [u32::from(status) << 16, 0, 77, u32::from(sent.index) << 16];
        fake.lock().complete(TX, words);
        let done = nic.tx_completions().unwrap();
        let timestamp = (token == 1).then_some(77);
        assert_eq!((done.len(), done[0].token), (1, token));
        assert_eq!(done[0].outcome, TxOutcome::Sent { timestamp });
    }
    fake.assert_content();
}

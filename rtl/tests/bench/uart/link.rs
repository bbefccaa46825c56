//! The whole link at its pins, against a host that follows `docs/uart.md` by hand.
use super::peer::{framed, Deframer, Unit};
use crate::lockstep::Trace;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::TlpBeat;
use ferrule_rtl::uart::UartLink;
use std::collections::VecDeque;

/// 12 Mbaud: 5.2 clocks a bit, the fastest there is.
const RATE: u64 = 12_583;
const CLOCKS_PER_BIT: f64 = 65536.0 / RATE as f64;
const NS_PER_CLOCK: u64 = 16;
/// The device's clock of 2^20 ns.
const TICK_NS: u64 = 1 << 20;

struct Bench {
    dut: Native<UartLink>,
    time_ns: u64,
    /// Edges of the line to the device, in clocks from the beginning of a byte.
    sending: VecDeque<bool>,
    bit_left: f64,
    level: bool,
    /// Clocks since the device's start bit, and the bits that came.
    receiving: Option<(f64, Vec<bool>)>,
    deframer: Deframer,
    heard: VecDeque<Unit>,
    down: Vec<TlpBeat>,
    up: VecDeque<TlpBeat>,
    ready: bool,
    resets: usize,
    damaged: usize,
    trace: Option<Trace>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            dut: Native::default(),
            time_ns: 0,
            sending: VecDeque::new(),
            bit_left: 0.0,
            level: true,
            receiving: None,
            deframer: Deframer::default(),
            heard: VecDeque::new(),
            down: vec![],
            up: VecDeque::new(),
            ready: true,
            resets: 0,
            damaged: 0,
            trace: None,
        };
        bench.cycle(true);
        bench.cycle(true);
        bench.cycle(false);
        bench.resets = 0;
        bench
    }

    fn cycle(&mut self, reset: bool) {
        if self.bit_left < 1.0 {
            if let Some(level) = self.sending.pop_front() {
                self.level = level;
                self.bit_left += CLOCKS_PER_BIT;
            } else {
                self.level = true;
                self.bit_left = 1.0;
            }
        }
        self.bit_left -= 1.0;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = reset;
        u.time_lo.next = (self.time_ns & 0xFFFF_FFFF).into();
        u.rate.next = RATE.into();
        u.uart_rx.next = self.level;
        u.down.ready.next = self.ready;
        let beat = self.up.front().copied();
        u.up.valid.next = beat.is_some();
        let b = beat.unwrap_or_default();
        u.up.d0.next = u64::from(b.d0).into();
        u.up.d1.next = u64::from(b.d1).into();
        u.up.half.next = b.half;
        u.up.last.next = b.last;
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        let u = &self.dut.u;
        if beat.is_some() && u.up.ready.val() {
            self.up.pop_front();
        }
        if u.down.valid.val() && self.ready {
            self.down.push(TlpBeat {
                d0: u.down.d0.val().to_u32(),
                d1: if u.down.half.val() {
                    0
                } else {
                    u.down.d1.val().to_u32()
                },
                half: u.down.half.val(),
                last: u.down.last.val(),
                bar: u.down.bar.val().to_u64() as u8,
            });
        }
        self.resets += usize::from(u.core_reset.val());
        self.damaged += usize::from(u.damaged.val());
        self.listen(self.dut.u.uart_tx.val());
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        self.time_ns += NS_PER_CLOCK;
    }

    fn listen(&mut self, level: bool) {
        let Some((clocks, bits)) = &mut self.receiving else {
            if !level {
                self.receiving = Some((0.0, vec![]));
            }
            return;
        };
        *clocks += 1.0;
        if *clocks >= (bits.len() as f64 + 0.5) * CLOCKS_PER_BIT {
            bits.push(level);
            if bits.len() == 10 {
                assert!(!bits[0] && bits[9], "start and stop bit");
                let byte = (0..8).fold(0, |b, i| b | u8::from(bits[i + 1]) << i);
                self.receiving = None;
                if let Some(bytes) = self.deframer.push(byte) {
                    self.heard
                        .push_back(Unit::decode(&bytes).expect("a whole unit"));
                }
            }
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let bits = (0..8).map(|i| byte >> i & 1 == 1);
            self.sending
                .extend([false].into_iter().chain(bits).chain([true]));
        }
    }

    fn send(&mut self, unit: &Unit) {
        self.send_bytes(&framed(&unit.encode()));
    }

    /// Until all that is on the line to the device has come, and what follows from it is over.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 70 {
            self.cycle(false);
            let busy = !self.sending.is_empty() || self.receiving.is_some();
            quiet = if busy { 0 } else { quiet + 1 };
        }
    }

    fn wait(&mut self) -> Unit {
        for _ in 0..400_000 {
            if let Some(unit) = self.heard.pop_front() {
                return unit;
            }
            self.cycle(false);
        }
        panic!("the device says nothing");
    }

    /// Lets a tick of the device's time go by.
    fn tick(&mut self) {
        self.time_ns = (self.time_ns / TICK_NS + 1) * TICK_NS;
        for _ in 0..4 {
            self.cycle(false);
        }
    }

    /// Begins a session and gives the device's answer.
    fn open(&mut self, session: u8) -> Unit {
        self.send(&Unit {
            session,
            open: true,
            limit: 2_047,
            ..Unit::default()
        });
        self.wait()
    }
}

fn beats(dwords: &[u32]) -> Vec<TlpBeat> {
    let last = dwords.len().div_ceil(2) - 1;
    let beat = |(i, pair): (usize, &[u32])| TlpBeat {
        d0: pair[0],
        d1: pair.get(1).copied().unwrap_or(0),
        half: pair.len() == 1,
        last: i == last,
        bar: 0,
    };
    dwords.chunks(2).enumerate().map(beat).collect()
}

/// A write of one DW to BAR 2.
const WRITE: [u32; 4] = [0x4000_0001, 0x0000_000F, 0x0020_0010, 0x1234_5678];
/// CfgWr0 from the root complex to 01:00.0.
const SETTINGS: [u32; 4] = [0x4400_0001, 0x0000_000F, 0x0100_0000, 0x0000_00A3];

fn data(session: u8, position: u16, dwords: &[u32]) -> Unit {
    Unit {
        session,
        position,
        limit: 2_047,
        dwords: dwords.to_vec(),
        ..Unit::default()
    }
}

#[test]
fn a_session_begins_and_tlps_and_settings_go_both_ways() {
    let mut b = Bench::new();
    b.trace = Some(Trace::default());
    assert_eq!(
        b.open(7),
        Unit {
            session: 7,
            limit: 1_023,
            ..Unit::default()
        }
    );
    assert!(b.resets >= 16, "the core is reset for {} clocks", b.resets);
    b.resets = 0;
    // The same OPEN again changes nothing.
    b.send(&data(7, 0, &[&SETTINGS[..], &WRITE].concat()));
    assert_eq!(b.wait().ack, 8);
    let again = b.open(7);
    assert_eq!((again.session, again.ack, again.limit), (7, 8, 8 + 1_023));
    assert_eq!(b.resets, 0);
    let mut want = beats(&WRITE);
    want.iter_mut().for_each(|beat| beat.bar = 2);
    assert_eq!(b.down, want);
    let u = &b.dut.u;
    assert_eq!(u.completer_id.val().to_u64(), 0x0100);
    assert!(u.bus_master.val() && u.msix_enable.val() && !u.msix_mask.val());
    assert_eq!(
        (u.max_payload.val().to_u64(), u.max_read.val().to_u64()),
        (4, 2)
    );
    // Two TLPs of the core in one unit, and nothing more once they are acknowledged.
    let tlps = [
        vec![0x4000_0003, 15, 0x1000, 1, 2, 3],
        vec![0x0A00_0000, 1, 2],
    ];
    b.up.extend(tlps.iter().flat_map(|t| beats(t)));
    let unit = b.wait();
    assert_eq!((unit.position, &unit.dwords), (0, &tlps.concat()));
    assert!(b.dut.u.busy.val());
    b.send(&Unit {
        session: 7,
        position: 8,
        ack: 9,
        limit: 2_047,
        ..Unit::default()
    });
    b.settle();
    assert!(!b.dut.u.busy.val());
    assert!(b.heard.is_empty(), "a unit without data gets no answer");
    assert_eq!(b.damaged, 0);
    b.trace.take().expect("kept").check::<UartLink>("uart_link");
}

#[test]
fn what_was_lost_is_asked_for_until_it_comes_and_sent_again() {
    let mut b = Bench::new();
    b.open(1);
    // The host's second unit comes without its first.
    let asks = |unit: Unit| (unit.back, unit.of_turn, unit.ack);
    b.send(&data(1, 4, &WRITE));
    assert_eq!(asks(b.wait()), (true, false, 0));
    // Each answer says so until it comes: one may be lost.
    b.send(&data(1, 8, &WRITE));
    assert_eq!(asks(b.wait()), (true, false, 0));
    // The first that is sent again is lost, too, as is seen by the second.
    let again = |position, dwords: &[u32]| Unit {
        turn: true,
        ..data(1, position, dwords)
    };
    b.send(&again(4, &WRITE));
    assert_eq!(asks(b.wait()), (true, true, 0));
    // One without data that says the same gets no answer.
    b.send(&again(8, &[]));
    b.settle();
    assert!(b.heard.is_empty());
    b.send(&data(1, 0, &WRITE));
    b.send(&data(1, 4, &WRITE));
    let answers = [b.wait(), b.wait()].map(|u| (u.back, u.ack));
    assert_eq!(answers, [(false, 4), (false, 8)]);
    // One that is there already is acknowledged and not taken again.
    b.send(&data(1, 4, &WRITE));
    let answer = b.wait();
    assert_eq!((answer.back, answer.ack), (false, 8));
    // An empty unit from further on tells of a loss, too.
    b.send(&data(1, 12, &[]));
    let answer = b.wait();
    assert_eq!((answer.back, answer.ack), (true, 8));
    assert_eq!(b.down.len(), 4);
    // The other way: BACK, also with what was acknowledged by then.
    b.up.extend(beats(&[0x4000_0001, 1, 2, 3]));
    assert_eq!(b.wait().position, 0);
    b.up.extend(beats(&[0x4000_0001, 4, 5, 6]));
    assert_eq!(b.wait().position, 4);
    let back = |of_turn| Unit {
        session: 1,
        position: 8,
        ack: 4,
        back: true,
        of_turn,
        limit: 2_047,
        ..Unit::default()
    };
    b.send(&back(false));
    let unit = b.wait();
    assert_eq!(
        (unit.position, &unit.dwords[..]),
        (4, &[0x4000_0001, 4, 5, 6][..])
    );
    assert!(unit.turn);
    // What asks for that once more was on its way before.
    b.send(&back(false));
    b.settle();
    assert!(b.heard.is_empty());
    b.send(&back(true));
    let unit = b.wait();
    assert_eq!((unit.position, unit.dwords.len(), unit.turn), (4, 4, false));
}

#[test]
fn after_going_back_32_units_are_short() {
    let mut b = Bench::new();
    b.open(1);
    b.up.extend(beats(&(0..1_100).collect::<Vec<_>>()));
    b.send(&Unit {
        session: 1,
        back: true,
        limit: 2_047,
        ..Unit::default()
    });
    let mut want = vec![(false, 0, 640)];
    want.extend((0..32).map(|n| (true, 32 * n, 32)));
    want.push((true, 1_024, 76));
    for want in want {
        let unit = b.wait();
        assert_eq!((unit.turn, unit.position, unit.dwords.len()), want);
        assert!((u32::from(unit.position)..)
            .zip(unit.dwords)
            .all(|(n, dw)| n == dw));
    }
}

#[test]
fn the_timer_sends_again_what_nobody_acknowledges_and_nothing_else() {
    let mut b = Bench::new();
    b.open(1);
    b.up.extend(beats(&WRITE));
    assert_eq!(b.wait().dwords, WRITE);
    b.settle();
    let mut sent = vec![];
    for tick in 0..140 {
        b.tick();
        b.settle();
        sent.extend(b.heard.drain(..).map(|unit| (tick, unit)));
    }
    let again: Vec<_> = sent.iter().filter(|(_, u)| !u.dwords.is_empty()).collect();
    assert_eq!(again.len(), 2, "{sent:?}");
    assert!(again
        .iter()
        .all(|(_, u)| u.position == 0 && u.dwords == WRITE));
    assert!((60..=66).contains(&(again[1].0 - again[0].0)), "{sent:?}");
    // Besides, a unit each 64 ticks.
    assert!((1..=3).contains(&(sent.len() - 2)), "{sent:?}");
    b.send(&Unit {
        session: 1,
        ack: 4,
        limit: 2_047,
        ..Unit::default()
    });
    for _ in 0..140 {
        b.tick();
        b.settle();
    }
    assert!(b
        .heard
        .iter()
        .all(|u| u.dwords.is_empty() && u.position == 4));
    assert!((2..=3).contains(&b.heard.len()));
    assert!(!b.dut.u.alive.val(), "nothing came for two beats");
}

#[test]
fn nothing_is_sent_beyond_the_hosts_room() {
    let mut b = Bench::new();
    b.send(&Unit {
        session: 1,
        open: true,
        limit: 3,
        ..Unit::default()
    });
    b.wait();
    b.up.extend(beats(&[10, 11, 12, 13, 14, 15, 16, 17]));
    assert_eq!(b.wait().dwords, [10, 11, 12]);
    b.settle();
    assert!(b.heard.is_empty());
    b.send(&Unit {
        session: 1,
        ack: 3,
        limit: 5,
        ..Unit::default()
    });
    let unit = b.wait();
    assert_eq!((unit.position, &unit.dwords[..]), (3, &[13, 14][..]));
    // An acknowledgement of what was never sent is none.
    b.send(&Unit {
        session: 1,
        ack: 9,
        limit: 100,
        ..Unit::default()
    });
    let unit = b.wait();
    assert_eq!((unit.position, &unit.dwords[..]), (5, &[15, 16, 17][..]));
    b.send(&Unit {
        session: 1,
        ack: 3,
        back: true,
        limit: 100,
        ..Unit::default()
    });
    let unit = b.wait();
    assert_eq!((unit.position, unit.dwords.len()), (3, 5));
}

#[test]
fn a_core_that_takes_nothing_stops_the_host_and_tells_of_room_later() {
    let mut b = Bench::new();
    b.open(1);
    b.ready = false;
    let mut position = 0u16;
    // 16 units of 64 DWs, less the place for the FCS and what the unpacker has in hand.
    let piece: Vec<u32> = WRITE.repeat(15);
    let mut limit = 1_023;
    while position + 60 <= limit {
        b.send(&data(1, position, &piece));
        let answer = b.wait();
        position += 60;
        assert_eq!(answer.ack, position);
        limit = answer.limit;
    }
    assert!(limit < 1_030);
    // Beyond the room: thrown away, and nothing of what waits is harmed.
    b.send(&data(1, position, &WRITE.repeat(60)));
    b.settle();
    assert!(b.heard.is_empty());
    assert_eq!(b.damaged, 1);
    b.ready = true;
    for _ in 0..8_000 {
        b.cycle(false);
    }
    b.settle();
    assert_eq!(b.down.len(), usize::from(position) / 2);
    assert!(b
        .down
        .chunks(2)
        .all(|t| t[0].d0 == WRITE[0] && t[1].d1 == WRITE[3]));
    let told = b.heard.pop_back().expect("room is told of");
    assert!(told.limit >= position + 1_023 - 256, "{told:?}");
}

#[test]
fn units_of_other_sessions_move_nothing_and_learn_whose_the_device_is() {
    let mut b = Bench::new();
    // Before any session.
    b.send(&data(9, 0, &WRITE));
    assert_eq!(b.wait().session, 0);
    b.send(&Unit {
        session: 0,
        open: true,
        ..Unit::default()
    });
    assert_eq!(b.wait().session, 0);
    assert_eq!(b.resets, 0);
    b.open(1);
    b.send(&data(1, 0, &SETTINGS));
    b.wait();
    b.send(&data(9, 4, &WRITE));
    let answer = b.wait();
    assert_eq!((answer.session, answer.ack), (1, 4));
    b.up.extend(beats(&[1, 2, 3, 4]));
    assert_eq!(b.wait().dwords.len(), 4);
    b.resets = 0;
    // Another host: all begins anew, what was under way is forgotten.
    assert_eq!(
        b.open(2),
        Unit {
            session: 2,
            limit: 1_023,
            ..Unit::default()
        }
    );
    assert!(b.resets >= 16);
    assert!(!b.dut.u.bus_master.val());
    assert_eq!(b.dut.u.completer_id.val().to_u64(), 0);
    b.up.extend(beats(&[5, 6]));
    let unit = b.wait();
    assert_eq!((unit.position, &unit.dwords[..]), (0, &[5, 6][..]));
}

#[test]
fn garbage_between_units_costs_none_of_them() {
    let mut b = Bench::new();
    b.open(1);
    b.send_bytes(&[0x00, 0x7E, 0x7E, 0xFF, 0x7D, 0x7E, 0x7D, 0x7D]);
    b.send(&data(1, 0, &WRITE));
    assert_eq!(b.wait().ack, 4);
    assert!(b.damaged >= 3);
    // A flipped bit: the unit is gone, and the next one tells.
    let mut line = framed(&data(1, 4, &WRITE).encode());
    line[9] ^= 4;
    b.send_bytes(&line);
    b.send(&data(1, 8, &WRITE));
    let answer = b.wait();
    assert_eq!((answer.back, answer.ack), (true, 4));
    assert_eq!(b.down.len(), 2);
}

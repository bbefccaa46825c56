//! Units taken apart and put together, against the peer's.
use super::peer::{Rng, Unit};
use ferrule_rtl::native::Native;
use ferrule_rtl::uart::unit_rx::UnitRx;
use ferrule_rtl::uart::unit_tx::UnitTx;
use proptest::prelude::*;

fn unit() -> impl Strategy<Value = Unit> {
    let position = 0u16..4096;
    (
        any::<u8>(),
        any::<[bool; 4]>(),
        position.clone(),
        position.clone(),
        position,
        proptest::collection::vec(any::<u32>(), 0..24),
    )
        .prop_map(
            |(session, [open, back, turn, of_turn], position, ack, limit, dwords)| Unit {
                session,
                open,
                back,
                turn,
                of_turn,
                position,
                ack,
                limit,
                dwords,
            },
        )
}

/// What the receiver made of a line of units.
#[derive(Default)]
struct Receiver {
    dut: Native<UnitRx>,
    buffer: Vec<u32>,
    heard: Vec<(Unit, u16)>,
    damaged: usize,
}

impl Receiver {
    fn new() -> Self {
        Self {
            buffer: vec![0; 1024],
            ..Self::default()
        }
    }

    fn cycle(
        &mut self,
        octet: Option<u8>,
        flag: Option<bool>,
        expected: u16,
        worked: u16,
        reset: bool,
    ) {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = reset;
        u.octet.next = u64::from(octet.unwrap_or(0x33)).into();
        u.octet_valid.next = octet.is_some();
        u.flag.next = flag.is_some();
        u.bad.next = flag == Some(true);
        u.expected.next = u64::from(expected).into();
        u.worked.next = u64::from(worked).into();
        self.dut.settle();
        let u = &self.dut.u;
        if u.write.val() {
            self.buffer[u.place.val().to_u64() as usize] = u.word.val().to_u32();
        }
        if u.m.valid.val() {
            let field = |s: &rust_hdl::prelude::Signal<
                rust_hdl::prelude::Out,
                rust_hdl::prelude::Bits<12>,
            >| s.val().to_u64() as u16;
            let heard = Unit {
                session: u.m.session.val().to_u64() as u8,
                open: u.m.open.val(),
                back: u.m.back.val(),
                turn: u.m.turn.val(),
                of_turn: u.m.of_turn.val(),
                position: field(&u.m.position),
                ack: field(&u.m.ack),
                limit: field(&u.m.limit),
                dwords: vec![],
            };
            self.heard.push((heard, field(&u.m.beyond)));
        }
        self.damaged += usize::from(u.damaged.val());
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    fn feed(&mut self, bytes: &[u8], bad: bool, expected: u16, worked: u16, gap: u64) {
        for byte in bytes {
            self.cycle(Some(*byte), None, expected, worked, false);
            for _ in 0..gap {
                self.cycle(None, None, expected, worked, false);
            }
        }
        self.cycle(None, Some(bad), expected, worked, false);
        self.cycle(None, None, expected, worked, false);
    }
}

proptest! {
    #![proptest_config(crate::common::cases(16))]
    #[test]
    fn what_a_whole_unit_says_is_told_and_its_dwords_are_in_their_places(
        units in proptest::collection::vec((unit(), 0u16..4096, 0u16..1024), 1..6),
        gap in 9u64..14,
    ) {
        let mut rx = Receiver::new();
        rx.cycle(None, None, 0, 0, true);
        for (unit, expected, waiting) in units {
            // As far as the buffer has room for them and the FCS.
            let worked = expected.wrapping_sub(waiting.min(1023 - unit.dwords.len() as u16)) & 0xFFF;
            rx.feed(&unit.encode(), false, expected, worked, gap);
            let (heard, end) = rx.heard.pop().expect("it is heard");
            let said = Unit { dwords: vec![], ..unit.clone() };
            prop_assert_eq!(heard, said);
            prop_assert_eq!(end, (expected + unit.dwords.len() as u16) & 0xFFF);
            for (at, dword) in (0..).zip(&unit.dwords) {
                prop_assert_eq!(rx.buffer[usize::from((expected + at) & 1023)], *dword);
            }
        }
        prop_assert_eq!((rx.heard.len(), rx.damaged), (0, 0));
    }

    #[test]
    fn nothing_damaged_is_told(unit in unit(), seed: u64) {
        let mut rx = Receiver::new();
        rx.cycle(None, None, 0, 0, true);
        let good = unit.encode();
        let mut rng = Rng(seed);
        for _ in 0..6 {
            let mut bytes = good.clone();
            let at = rng.below(bytes.len() as u64) as usize;
            let mut bad = false;
            match rng.below(6) {
                0 => bytes[at] ^= 1 << rng.below(8),
                1 => { bytes.remove(at); }
                2 => bytes.insert(at, rng.next() as u8 ^ bytes[at]),
                3 => bytes.truncate(at.max(1)),
                4 => bad = true,
                _ => {
                    // Another version, its FCS right.
                    let said = bytes.len() - 4;
                    bytes[3] ^= 0x10 << rng.below(4);
                    let fcs = crc32fast::hash(&bytes[..said]);
                    bytes[said..].copy_from_slice(&fcs.to_le_bytes());
                }
            }
            rx.feed(&bytes, bad, 100, 100, 9);
        }
        prop_assert_eq!((rx.heard.len(), rx.damaged), (0, 6));
        rx.feed(&good, false, 100, 100, 9);
        prop_assert_eq!(rx.heard.len(), 1);
    }
}

#[test]
fn what_has_no_room_is_thrown_away_and_nothing_unread_is_written_over() {
    for dwords in 0..6u16 {
        let mut rx = Receiver::new();
        rx.buffer.fill(7);
        rx.cycle(None, None, 0, 0, true);
        let unit = Unit {
            session: 1,
            dwords: vec![9; dwords.into()],
            ..Unit::default()
        };
        // Room for three and the FCS.
        rx.feed(&unit.encode(), false, 2_020, 2_020 - 1_020, 9);
        let fits = dwords <= 3;
        assert_eq!(
            (rx.heard.len(), rx.damaged),
            (usize::from(fits), usize::from(!fits)),
            "{dwords}"
        );
        assert!(
            (1_000..2_020).all(|at| rx.buffer[at & 1023] == 7),
            "{dwords}"
        );
    }
}

proptest! {
    #![proptest_config(crate::common::cases(16))]
    #[test]
    fn what_is_to_be_said_is_sent(
        jobs in proptest::collection::vec((unit(), 0u16..30, 0u16..30), 1..5),
        spread in 10u64..16,
        late in any::<bool>(),
    ) {
        let mut dut = Native::<UnitTx>::default();
        let stream: Vec<u32> = (0..4096u32).map(|n| n.wrapping_mul(0x9E37_79B9)).collect();
        let mut clock = 0u64;
        let mut place = 0;
        for (unit, written, room) in jobs {
            let from = unit.position;
            let (written, room) = ((from + written) & 0xFFF, (from + room) & 0xFFF);
            let (mut line, mut flags, mut taken) = (vec![], 0, false);
            while flags < 2 || !dut.u.s.idle.val() {
                let u = &mut dut.u;
                u.clock.next = false.into();
                u.reset.next = clock == 0;
                // What is written only once the unit is under way goes with it.
                let before = late && flags == 0;
                let s = &mut u.s;
                s.session.next = u64::from(unit.session).into();
                s.back.next = unit.back;
                s.turn.next = unit.turn;
                s.of_turn.next = unit.of_turn;
                s.ack.next = u64::from(if taken { 0 } else { unit.ack }).into();
                s.limit.next = u64::from(if taken { 0 } else { unit.limit }).into();
                s.from.next = u64::from(if taken { 1 } else { from }).into();
                s.written.next = u64::from(if before { from } else { written }).into();
                s.room.next = u64::from(room).into();
                s.valid.next = clock > 0 && !taken;
                u.word.next = u64::from(stream[place]).into();
                u.m.ready.next = clock.is_multiple_of(spread);
                dut.settle();
                let u = &dut.u;
                taken |= u.s.taken.val();
                if u.m.valid.val() && u.m.ready.val() {
                    if u.m.flag.val() {
                        flags += 1;
                    } else {
                        line.push(u.m.data.val().to_u64() as u8);
                    }
                }
                // The stream's buffer has 2,048 places; here its halves differ.
                place = u.place.val().to_u64() as usize | usize::from(from) & 0x800;
                if place + 1024 < usize::from(from) {
                    place += 0x800;
                }
                place &= 0xFFF;
                dut.u.clock.next = true.into();
                dut.settle();
                clock += 1;
                prop_assert!(clock < 100_000, "it does not end");
            }
            let distance = |to: u16| usize::from(to.wrapping_sub(from) & 0xFFF);
            let count = distance(written).min(distance(room));
            let dwords = (0..count).map(|n| stream[(usize::from(from) + n) & 0xFFF]).collect();
            let want = Unit { open: false, dwords, ..unit };
            prop_assert_eq!(Unit::decode(&line), Some(want));
            prop_assert_eq!(dut.u.s.sent.val().to_u64(), (u64::from(from) + count as u64) & 0xFFF);
        }
    }
}

#[test]
fn no_unit_is_longer_than_640_dwords_and_no_brief_one_than_32() {
    assert_eq!(bytes_of_longest(false), 7 + 640 * 4 + 4);
    assert_eq!(bytes_of_longest(true), 7 + 32 * 4 + 4);
}

/// Of a unit for which there is more data than it may have.
fn bytes_of_longest(brief: bool) -> usize {
    let mut dut = Native::<UnitTx>::default();
    let (mut bytes, mut flags) = (0, 0);
    for clock in 0..40_000u64 {
        let u = &mut dut.u;
        u.clock.next = false.into();
        u.reset.next = clock == 0;
        u.s.brief.next = brief;
        u.s.valid.next = clock == 1;
        u.s.written.next = 1_000.into();
        u.s.room.next = 2_000.into();
        u.m.ready.next = clock.is_multiple_of(10);
        dut.settle();
        if dut.u.m.valid.val() && dut.u.m.ready.val() {
            let flag = dut.u.m.flag.val();
            flags += usize::from(flag);
            bytes += usize::from(!flag);
        }
        dut.u.clock.next = true.into();
        dut.settle();
    }
    assert_eq!(flags, 2);
    assert!(dut.u.s.idle.val());
    bytes
}

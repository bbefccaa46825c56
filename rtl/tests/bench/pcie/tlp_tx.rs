//! The sender by itself: turns, quiesce, ordering of a completion behind a write, the output under stalls.
use super::tlp::{Request, Rng, Tlp};
use ferrule_rtl::{native::Native, pcie::tlp_tx::TlpTx};
use proptest::prelude::*;

struct Bench {
    n: Native<TlpTx>,
    rng: Rng,
    stalls: bool,
    partial: Vec<u32>,
    held: Option<[u64; 4]>,
    sent: Vec<Tlp>,
    /// Per write client, the beat it is at.
    at: [usize; 5],
}

const DWORDS: usize = 5;

/// The DW that client `i` writes as its `k`th.
fn data(i: usize, k: usize) -> u64 {
    0x0102_0304 + 0x1000_0000 * i as u64 + 0x10 * k as u64
}

impl Bench {
    fn new(seed: u64, stalls: bool) -> Self {
        let mut n = Native::<TlpTx>::default();
        n.u.completer_id.next = 0x100_u64.into();
        n.u.bus_master.next = true;
        n.u.reset.next = true;
        let mut b = Self {
            n,
            rng: Rng(seed),
            stalls,
            partial: vec![],
            held: None,
            sent: vec![],
            at: [0; 5],
        };
        b.cycle();
        b.n.u.reset.next = false;
        b
    }
    /// Client `i` has writes of `DWORDS` DWs without end, or none.
    fn write(&mut self, i: usize, on: bool) {
        let w = &mut self.n.u.writes[i];
        w.addr_lo.next = (0x1000 * i as u64).into();
        w.addr_hi.next = (i as u64 & 1).into();
        w.dwords.next = (DWORDS as u64).into();
        w.last_be.next = 15_u64.into();
        w.valid.next = on;
    }
    fn read(&mut self, on: bool) {
        self.n.u.read.addr_lo.next = 0x8000_u64.into();
        self.n.u.read.dwords.next = 16_u64.into();
        self.n.u.read.tag.next = 5_u64.into();
        self.n.u.read.valid.next = on;
    }
    fn reply(&mut self, on: bool) {
        self.n.u.reply.dw0.next = 0x4A00_0001_u64.into();
        self.n.u.reply.dw1.next = 4_u64.into();
        self.n.u.reply.dw2.next = 0x0008_7700_u64.into();
        self.n.u.reply.data.next = 0x1122_3344_u64.into();
        self.n.u.reply.valid.next = on;
    }
    fn cycle(&mut self) {
        self.n.u.clock.next = false.into();
        self.n.u.tlp.ready.next = !self.stalls || self.rng.chance(1, 2);
        for i in 0..5 {
            let k = self.at[i];
            let w = &mut self.n.u.writes[i];
            w.d0.next = data(i, k).into();
            w.d1.next = data(i, k + 1).into();
            w.last.next = k + 2 >= DWORDS;
        }
        self.n.settle();
        let t = &self.n.u.tlp;
        let beat = [
            u64::from(t.valid.val()),
            t.d0.val().to_u64(),
            t.d1.val().to_u64(),
            u64::from(t.last.val()) << 1 | u64::from(t.half.val()),
        ];
        if let Some(held) = self.held {
            assert_eq!(held, beat, "a beat changes before it is taken");
        }
        self.held = (t.valid.val() && !t.ready.val()).then_some(beat);
        if t.valid.val() && t.ready.val() {
            self.partial.push(beat[1] as u32);
            if !t.half.val() {
                self.partial.push(beat[2] as u32);
            }
            if t.last.val() {
                self.sent
                    .push(Tlp::decode(&std::mem::take(&mut self.partial)));
            }
        }
        for i in 0..5 {
            let w = &self.n.u.writes[i];
            if w.valid.val() && w.ready.val() {
                self.at[i] = if w.last.val() { 0 } else { self.at[i] + 2 };
            }
        }
        self.n.u.clock.next = true.into();
        self.n.settle();
    }
    /// Which source a TLP is of: 0 to 4 the writes, 5 the read, 6 the completion.
    fn source(tlp: &Tlp) -> usize {
        match tlp {
            Tlp::Completion(c) => {
                assert_eq!(
                    (c.completer, c.tag, &c.data[..]),
                    (0x100, 0x77, &[0x1122_3344][..])
                );
                6
            }
            Tlp::Request(r) if !r.write => {
                assert_eq!(*r, Request::read(0x8000, 16, 0x100, 5));
                5
            }
            Tlp::Request(r) => {
                let i = (r.addr as u32 / 0x1000) as usize;
                assert_eq!(r.addr >> 32, i as u64 & 1);
                let want: Vec<u32> = (0..DWORDS).map(|k| data(i, k) as u32).collect();
                assert_eq!(r.data, want);
                i
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    /// Whoever wants to send gets its turn within one round of all who want to.
    #[test]
    fn everybody_gets_a_turn(seed: u64, who in 1_u8..128) {
        let mut b = Bench::new(seed, true);
        for i in 0..5 {
            b.write(i, who >> i & 1 == 1);
        }
        b.read(who >> 5 & 1 == 1);
        b.reply(who >> 6 & 1 == 1);
        let many = who.count_ones() as usize;
        while b.sent.len() < 6 * many {
            b.cycle();
        }
        let sources: Vec<usize> = b.sent.iter().map(Bench::source).collect();
        for round in sources.windows(many) {
            let mut of: Vec<usize> = round.to_vec();
            of.sort_unstable();
            of.dedup();
            prop_assert_eq!(of.len(), many, "{:?}", sources);
        }
    }
}

#[test]
fn quiesce_lets_only_completions_and_interrupts_pass() {
    let mut b = Bench::new(1, false);
    for i in 0..5 {
        b.write(i, true);
    }
    b.read(true);
    b.reply(true);
    b.n.u.quiesce.next = true;
    for _ in 0..200 {
        b.cycle();
    }
    assert!(b.sent.len() > 10);
    assert!(b.sent.iter().all(|t| matches!(Bench::source(t), 4 | 6)));
    assert!(b.n.u.writes[0].valid.val() && b.at[..4] == [0; 4]);
    b.sent.clear();
    b.n.u.quiesce.next = false;
    for _ in 0..200 {
        b.cycle();
    }
    assert!((0..7).all(|s| b.sent.iter().any(|t| Bench::source(t) == s)));
}

#[test]
fn without_bus_mastering_writes_are_swallowed_and_reads_refused() {
    let mut b = Bench::new(2, false);
    for i in 0..5 {
        b.write(i, true);
    }
    b.read(true);
    b.reply(true);
    b.n.u.bus_master.next = false;
    let mut refused = false;
    let mut taken = 0;
    for _ in 0..200 {
        b.cycle();
        refused |= b.n.u.read.refuse.val();
        taken += usize::from((0..5).any(|i| b.n.u.writes[i].ready.val()));
        assert_eq!(b.n.u.events.val().to_u32(), 0);
    }
    assert!(refused && taken > 50 && !b.sent.is_empty());
    assert!(b.sent.iter().all(|t| Bench::source(t) == 6));
}

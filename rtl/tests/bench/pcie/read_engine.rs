//! The read engine by itself: every length at every split, against its buffers' alignment.
use super::tlp::{split, word_at};
use ferrule_rtl::{native::Native, pcie::read_engine::ReadEngine};

struct Bench(Native<ReadEngine>);

impl Bench {
    fn new() -> Self {
        let mut b = Self(Native::default());
        b.0.u.reset.next = true;
        b.cycle();
        b.0.u.reset.next = false;
        b.0.u.read.ready.next = true;
        b
    }
    fn low(&mut self) {
        self.0.u.clock.next = false.into();
        self.0.settle();
    }
    fn cycle(&mut self) {
        self.low();
        self.0.u.clock.next = true.into();
        self.0.settle();
    }
    /// Asks for memory and gives the tag.
    fn ask(&mut self, client: usize, addr: u64, dwords: u32) -> u64 {
        let r = &mut self.0.u.request[client];
        r.addr_lo.next = addr.into();
        r.dwords.next = u64::from(dwords).into();
        r.valid.next = true;
        self.low();
        assert!(self.0.u.request[client].ready.val());
        self.cycle();
        self.0.u.request[client].valid.next = false;
        self.low();
        let t = &self.0.u.read;
        assert!(t.valid.val());
        assert_eq!(
            (t.addr_lo.val().to_u64(), t.dwords.val().to_u32()),
            (addr, dwords)
        );
        let tag = t.tag.val().to_u64();
        self.cycle();
        tag
    }
    /// One completion, as the receiver hands it over: one DW, then pairs.
    fn complete(&mut self, tag: u64, addr: u64, dwords: u32, bytes: u32) {
        let words: Vec<u32> = (0..dwords)
            .map(|i| word_at(addr + 4 * u64::from(i)))
            .collect();
        let c = &mut self.0.u.completion;
        c.dw0.next = u64::from(0x4A00_0000 | dwords).into();
        c.dw1.next = u64::from(bytes).into();
        c.tag.next = tag.into();
        let mut at = 0;
        while at < words.len() {
            let count = if at == 0 {
                1
            } else {
                (words.len() - at).min(2)
            };
            let c = &mut self.0.u.completion;
            c.d0.next = u64::from(words[at]).into();
            c.d1.next = u64::from(words.get(at + 1).copied().unwrap_or(0)).into();
            c.count.next = (count as u64).into();
            c.last.next = at + count == words.len();
            c.valid.next = true;
            self.low();
            if self.0.u.completion.ready.val() {
                at += count;
            }
            self.cycle();
        }
        self.0.u.completion.valid.next = false;
    }
    fn answer(&mut self, client: usize, dwords: u32) -> Vec<u32> {
        let mut got = vec![];
        self.0.u.answer[client].ready.next = true;
        for _ in 0..1000 {
            self.low();
            let a = &self.0.u.answer[client];
            let (valid, last) = (a.valid.val(), a.last.val());
            if valid {
                assert!(!a.err.val());
                got.push(a.d0.val().to_u32());
                got.push(a.d1.val().to_u32());
            }
            self.cycle();
            if valid && last {
                got.truncate(dwords as usize);
                return got;
            }
        }
        panic!("no answer");
    }
}

#[test]
fn every_length_arrives_whole_however_it_is_split() {
    let mut b = Bench::new();
    for dwords in 1..=64_u32 {
        for offset in [0, 4, 36, 60] {
            let addr = 0x4_0000 + offset;
            let client = dwords as usize % 3;
            let tag = b.ask(client, addr, dwords);
            let mut left = dwords * 4;
            for (at, n) in split(addr, dwords, || true) {
                b.complete(tag, at, n, left);
                left -= 4 * n;
            }
            let want: Vec<u32> = (0..u64::from(dwords))
                .map(|i| word_at(addr + 4 * i))
                .collect();
            assert_eq!(b.answer(client, dwords), want, "{dwords} DWs at {addr:x}");
        }
    }
    assert!(!b.0.u.busy.val() && !b.0.u.outstanding.val());
}

#[test]
fn each_client_has_its_ring_of_tags() {
    let mut b = Bench::new();
    for (client, tags) in [(0, vec![0, 1]), (1, vec![2, 3]), (2, vec![4, 5, 6, 7])] {
        for &tag in &tags {
            assert_eq!(b.ask(client, 0x1000, 1), tag);
        }
        b.0.u.request[client].valid.next = true;
        b.low();
        assert!(
            !b.0.u.request[client].ready.val(),
            "more reads than buffers"
        );
        b.0.u.request[client].valid.next = false;
        // The first one's buffer is free again once its answer has gone out.
        b.complete(tags[0], 0x1000, 1, 4);
        assert_eq!(b.answer(client, 1), [word_at(0x1000)]);
        assert_eq!(b.ask(client, 0x1000, 1), tags[0]);
    }
}

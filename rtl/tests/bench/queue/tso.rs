//! Packets that the transmit queue cuts into segments, against etherparse's reading and writing of headers.
use super::host::Rng;
use super::tx_bench::{Bench, Verdict, DATA};
use crate::common::verilator_lint;
use etherparse::{IpNumber, Ipv4Header, Ipv4Options, TcpHeader};
use ferrule_abi::counter;
use ferrule_abi::ring::{cqe_status as cs, sqe_flags as sf, Sqe};
use ferrule_rtl::queue::segmenter::Segmenter;
use proptest::prelude::*;

const SQ_LOG2: u32 = 7;
/// Where payload lies, one SQE's behind the other's.
const PAYLOAD: u64 = DATA + 0x1_0000;

/// A packet that is to be cut.
struct Whole {
    headers: Vec<u8>,
    payload: Vec<u8>,
    mss: u16,
    flags: u16,
    tci: u16,
}

impl Whole {
    fn random(rng: &mut Rng, longest: u64) -> Self {
        let words = |rng: &mut Rng| match rng.percent(50) {
            true => vec![0; 4 * rng.below(11) as usize],
            false => vec![],
        };
        let mut ip = Ipv4Header::new(0, 64, IpNumber::TCP, [192, 0, 2, 1], [192, 0, 2, 2])
            .expect("a header without payload");
        ip.options = Ipv4Options::try_from(&words(rng)[..]).expect("words");
        ip.identification = match rng.percent(30) {
            true => 0xFFFE,
            false => rng.next() as u16,
        };
        ip.dont_fragment = rng.percent(50);
        // The host's values here mean nothing.
        (ip.total_len, ip.header_checksum) = (rng.next() as u16, rng.next() as u16);
        let sequence = match rng.percent(30) {
            true => u32::MAX - rng.below(1000) as u32,
            false => rng.next() as u32,
        };
        let mut tcp = TcpHeader::new(1, 2, sequence, rng.next() as u16);
        tcp.acknowledgment_number = rng.next() as u32;
        tcp.checksum = rng.next() as u16;
        (tcp.fin, tcp.psh, tcp.cwr) = (rng.percent(50), rng.percent(50), rng.percent(50));
        (tcp.ack, tcp.ece, tcp.urg) = (true, rng.percent(20), rng.percent(20));
        tcp.set_options_raw(&words(rng)).expect("words");
        let mut headers = ip.to_bytes().to_vec();
        headers.extend(tcp.to_bytes());
        let mss = match rng.below(4) {
            0 => 1 + rng.below(20),
            1 => 1460,
            _ => 100 + rng.below(1400),
        };
        let payload = 1 + rng.below(longest.min(mss * 12));
        Self {
            headers,
            payload: (0..payload).map(|_| rng.next() as u8).collect(),
            mss: mss as u16,
            flags: (rng.next() as u16) & (sf::VLAN_INS | 7 << sf::NEXT_HOP_SHIFT),
            tci: rng.next() as u16,
        }
    }

    /// The segments; checksum fields are the transmit path's matter and stay.
    fn segments(&self) -> Vec<Vec<u8>> {
        let (mut ip, rest) = Ipv4Header::from_slice(&self.headers).expect("an IPv4 header");
        let (whole, _) = TcpHeader::from_slice(rest).expect("a TCP header");
        let first_id = ip.identification;
        let chunks: Vec<_> = self.payload.chunks(self.mss.into()).collect();
        let segment = |(i, chunk): (usize, &&[u8])| {
            let mut tcp = whole.clone();
            let before = (i * usize::from(self.mss)) as u32;
            tcp.sequence_number = whole.sequence_number.wrapping_add(before);
            let is_last = i + 1 == chunks.len();
            (tcp.fin, tcp.psh) = (whole.fin && is_last, whole.psh && is_last);
            tcp.cwr = whole.cwr && i == 0;
            ip.identification = first_id.wrapping_add(i as u16);
            ip.set_payload_len(tcp.header_len() + chunk.len())
                .expect("a length");
            let mut bytes = ip.to_bytes().to_vec();
            bytes.extend(tcp.to_bytes());
            bytes.extend_from_slice(chunk);
            bytes
        };
        chunks.iter().enumerate().map(segment).collect()
    }

    /// Its SQEs, with the payload in so many pieces; headers and payload are put into memory.
    fn post(&self, b: &mut Bench, pieces: usize, at: &mut u32) -> Vec<Sqe> {
        let place = |b: &mut Bench, iova: u64, bytes: &[u8]| {
            for (i, byte) in bytes.iter().enumerate() {
                b.memory.set(iova + i as u64, *byte);
            }
        };
        let iova = DATA + 0x200 * u64::from(*at % 64) + b.rng.below(256);
        place(b, iova, &self.headers);
        let mut sqes = vec![Sqe {
            iova,
            len: self.headers.len() as u16,
            flags: sf::SOP | sf::TSO | self.flags,
            vlan_tci: self.tci,
            mss: self.mss,
        }];
        let size = self.payload.len().div_ceil(pieces);
        for (i, piece) in self.payload.chunks(size).enumerate() {
            let iova = PAYLOAD + 0x1_0000 * u64::from((*at + i as u32) % 64) + b.rng.below(300);
            place(b, iova, piece);
            sqes.push(Sqe {
                iova,
                len: piece.len() as u16,
                flags: 0,
                vlan_tci: if i == 0 { self.payload.len() as u16 } else { 0 },
                mss: 0,
            });
        }
        sqes.last_mut().expect("an SQE").flags |= sf::EOP | sf::CPL_REQ;
        for sqe in &sqes {
            b.post(*at, *sqe);
            *at += 1;
        }
        sqes
    }
}

/// What the transmit path is told of segment `i` of `n`.
fn flags(whole: &Whole, i: usize, n: usize, stamp: bool) -> (u16, Option<u16>) {
    let mut flags = whole.flags & !sf::VLAN_INS | sf::IPCS | sf::L4CS | sf::TSO;
    if i == 0 {
        flags |= sf::SOP;
    }
    if stamp && i + 1 == n {
        flags |= sf::TS_REQ;
    }
    let tag = (whole.flags & sf::VLAN_INS != 0).then_some(whole.tci);
    (flags, tag)
}

fn bench(seed: u64) -> Bench {
    let mut b = Bench::new(seed, SQ_LOG2, 7);
    b.enable(true);
    b
}

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn segments_have_the_headers_that_etherparse_writes(seed: u64) {
        let mut b = bench(seed);
        let (mut at, mut expected) = (0, vec![]);
        let mut last = vec![];
        for _ in 0..8 {
            let mut whole = Whole::random(&mut b.rng, 4000);
            let stamp = b.rng.percent(30);
            if stamp {
                whole.flags |= sf::TS_REQ;
            }
            let pieces = 1 + b.rng.below(8) as usize;
            whole.post(&mut b, pieces, &mut at);
            whole.flags &= !sf::TS_REQ;
            let segments = whole.segments();
            let n = segments.len();
            let told = |(i, s)| (s, flags(&whole, i, n, stamp));
            expected.extend(segments.into_iter().enumerate().map(told));
            last.push(((at - 1) % (1 << SQ_LOG2), stamp));
            if b.rng.percent(30) {
                // A packet as it is goes through unchanged.
                let bytes: Vec<u8> = (0..50).map(|_| b.rng.next() as u8).collect();
                for (i, byte) in bytes.iter().enumerate() {
                    b.memory.set(PAYLOAD - 64 + i as u64, *byte);
                }
                let flags = sf::SOP | sf::EOP | sf::CPL_REQ;
                b.post(at, Sqe { iova: PAYLOAD - 64, len: 50, flags, ..Sqe::default() });
                last.push((at % (1 << SQ_LOG2), false));
                at += 1;
                b.doorbell(at, 0, false);
                b.settle();
                expected.push((bytes, (0, None)));
            }
        }
        b.doorbell(at, 0, false);
        b.settle();
        b.poll();
        prop_assert_eq!(b.error(), 0);
        for (i, (got, want)) in b.packets.iter().zip(&expected).enumerate() {
            prop_assert_eq!(got, want, "segment {}", i);
        }
        prop_assert_eq!(b.packets.len(), expected.len());
        let told: Vec<_> = b.cqes.iter().map(|c| (u32::from(c.index), c.status)).collect();
        let want: Vec<_> = last.iter().map(|(i, stamp)| (*i, u16::from(*stamp) * cs::TS_VALID)).collect();
        prop_assert_eq!(told, want);
    }

    /// The host reads one completion of a packet of which segments failed, were refused or missed their neighbour, and of nothing else.
    #[test]
    fn a_packet_completes_once_whatever_becomes_of_its_segments(seed: u64) {
        let mut b = bench(seed);
        b.answer = super::tx_bench::mixed;
        b.pay
            .poison
            .push(PAYLOAD + 0x1_0000 + 700..PAYLOAD + 0x1_0000 + 704);
        let (mut at, mut last) = (0, vec![]);
        for _ in 0..10 {
            let whole = Whole::random(&mut b.rng, 2000);
            whole.post(&mut b, 3, &mut at);
            last.push((at - 1) as u16);
        }
        b.doorbell(at, 0, false);
        b.settle();
        b.poll();
        prop_assert_eq!(b.error(), 0);
        prop_assert_eq!(b.cqes.iter().map(|c| c.index).collect::<Vec<_>>(), last);
    }
}

#[test]
fn a_packet_may_total_65_535_bytes() {
    let mut b = bench(1);
    let mut whole = Whole::random(&mut b.rng, 1);
    whole.mss = 9000;
    let most = 65_535 - whole.headers.len();
    whole.payload = (0..most).map(|i| (i ^ i >> 8) as u8).collect();
    let mut at = 0;
    whole.post(&mut b, 5, &mut at);
    whole.payload.push(1);
    whole.post(&mut b, 5, &mut at);
    b.doorbell(at, 0, false);
    b.settle();
    b.poll();
    let status: Vec<u16> = b.cqes.iter().map(|c| c.status).collect();
    assert_eq!(status, [0, cs::BAD_DESC]);
    whole.payload.pop();
    let sent = whole.segments();
    let whole_ones = b.packets.iter().take(sent.len()).map(|p| &p.0);
    assert!(whole_ones.eq(&sent));
}

/// One wrong SQE, what is wrong, and how many segments go before that is seen.
type Fault = (&'static str, fn(&mut [Sqe]), usize);

#[test]
fn descriptors_that_cannot_be_are_refused() {
    let faults: [Fault; 12] = [
        ("no MSS", |s| s[0].mss = 0, 0),
        ("short headers", |s| s[0].len = 36, 0),
        ("long headers", |s| s[0].len = 124, 0),
        ("half a word of headers", |s| s[0].len += 2, 0),
        ("raw", |s| s[0].flags |= sf::RAW, 0),
        ("inline", |s| s[0].flags |= sf::INLINE, 0),
        ("headers alone", |s| s[0].flags |= sf::EOP, 0),
        ("no bytes said", |s| s[1].vlan_tci = 0, 0),
        ("no bytes", |s| s[2].len = 0, 2),
        ("less than said", |s| s[1].vlan_tci = 301, 3),
        ("more than said", |s| s[1].vlan_tci = 200, 2),
        ("more SQEs than said", |s| s[1].vlan_tci = 250, 3),
    ];
    for (what, fault, sent) in faults {
        let mut b = bench(2);
        let mut whole = Whole::random(&mut b.rng, 1);
        (whole.mss, whole.payload) = (100, vec![7; 300]);
        let mut at = 0;
        // 250 bytes and 50.
        let mut sqes = whole.post(&mut b, 1, &mut at);
        let mut second = sqes[1];
        (sqes[1].len, second.len) = (250, 50);
        second.iova += 250;
        second.vlan_tci = 0;
        sqes[1].flags = 0;
        sqes.push(second);
        fault(&mut sqes);
        for (i, sqe) in sqes.iter().enumerate() {
            b.post(i as u32, *sqe);
        }
        at = sqes.len() as u32;
        whole.post(&mut b, 1, &mut at);
        b.doorbell(at, 0, false);
        b.settle();
        b.poll();
        let mut status: Vec<u16> = b.cqes.iter().map(|c| c.status).collect();
        if what == "headers alone" {
            // What follows is payload of nothing.
            assert_eq!(status.remove(0), cs::BAD_DESC, "{what}");
        }
        assert_eq!(status, [cs::BAD_DESC, 0], "{what}");
        assert_eq!(
            b.counts[counter::TX_BAD_DESC as usize] as usize,
            b.cqes.len() - 1,
            "{what}"
        );
        assert_eq!(b.packets.len(), sent + 3, "{what}");
    }
}

#[test]
fn a_refused_read_ends_the_segments() {
    let mut b = bench(3);
    let mut whole = Whole::random(&mut b.rng, 1);
    (whole.mss, whole.payload) = (100, vec![7; 1000]);
    let mut at = 0;
    let sqes = whole.post(&mut b, 1, &mut at);
    // In the fourth segment.
    let wrong = sqes[1].iova + 350;
    b.pay.poison.push(wrong..wrong + 1);
    b.doorbell(at, 0, false);
    b.settle();
    b.poll();
    // A read of up to 256 bytes may fail with bytes of one segment only.
    assert_eq!(b.packets.len(), 3);
    assert_eq!(
        b.cqes.iter().map(|c| c.status).collect::<Vec<_>>(),
        [cs::DMA_ERR]
    );
    assert_eq!(b.counts[counter::TX_DMA_ERR as usize], 1);
}

#[test]
fn the_barrier_waits_for_the_last_segment() {
    let mut b = bench(4);
    b.answer = |_| Verdict::Miss(0x0A00_0001);
    let mut whole = Whole::random(&mut b.rng, 1);
    (whole.mss, whole.payload) = (50, vec![7; 1000]);
    let mut at = 0;
    let sqes = whole.post(&mut b, 2, &mut at);
    // The last SQE stays away for a while.
    assert_eq!(sqes.len(), 3);
    b.doorbell(2, 0, false);
    b.settle();
    assert_eq!(b.packets.len(), 10);
    b.barrier = true;
    b.settle();
    assert!(!b.dut.u.barrier_done.val());
    b.doorbell(3, 0, false);
    while !b.dut.u.barrier_done.val() {
        b.cycle();
    }
    b.poll();
    assert_eq!(
        b.cqes.iter().map(|c| c.status).collect::<Vec<_>>(),
        [cs::ARP_MISS]
    );
}

#[test]
fn exports_to_clean_verilog() {
    verilator_lint(
        "segmenter",
        &ferrule_rtl::verilog::emit::<Segmenter>("segmenter").expect("emits"),
    );
}

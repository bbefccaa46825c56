//! Hostile packets: right in most respects, so that they get far, and then wrong in one or two.

use crate::common::{at, pattern, Rng, A, B};
use crate::craft::igmp::{query_v2, query_v3, ALL_HOSTS};
use crate::craft::tcp::{sack, tcp, timestamps};
use crate::craft::{fragments, icmp, packet, parse, udp, FAR, ROUTER};
use crate::view::{Flow, View};
use etherparse::TcpHeader;
use std::net::Ipv4Addr;

pub(crate) const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// Ports on which something may listen.
pub(crate) const PORTS: std::ops::Range<u16> = 80..84;

fn some_host(rng: &mut Rng) -> Ipv4Addr {
    match rng.below(12) {
        0 => B,
        1 => Ipv4Addr::BROADCAST,
        2 => GROUP,
        3 => Ipv4Addr::from(0xc612_0000 | rng.below(1 << 10) as u32),
        4 => FAR,
        _ => A,
    }
}

/// A number near an edge of something.
fn near(rng: &mut Rng, number: u32) -> u32 {
    let far = match rng.below(12) {
        0 => 1 << 31,
        1 => rng.next() as u32,
        2 => 65_535,
        3 => 1_448,
        4 => rng.below(300_000) as u32,
        5 => (rng.below(70_000) as u32).wrapping_neg(),
        _ => 0,
    };
    let jitter = if rng.chance(70) {
        0
    } else {
        rng.below(5) as u32
    };
    number
        .wrapping_add(far)
        .wrapping_add(jitter)
        .wrapping_sub(if jitter > 0 { 2 } else { 0 })
}

fn flags(rng: &mut Rng, h: &mut TcpHeader) {
    h.ack = true;
    match rng.below(20) {
        0 => h.rst = true,
        1 => h.syn = true,
        2 | 3 => h.fin = true,
        4 => h.ack = false,
        5 => {
            let bits = rng.next();
            (h.fin, h.syn, h.rst, h.psh) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0);
            (h.ack, h.urg, h.ece, h.cwr) =
                (bits & 16 > 0, bits & 32 > 0, bits & 64 > 0, bits & 128 > 0);
        }
        6 => h.ece = true,
        _ => h.psh = true,
    }
}

fn options(rng: &mut Rng, flow: &Flow) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(echo) = flow.stamp.filter(|_| rng.chance(95)) {
        let echo = if rng.chance(90) {
            echo
        } else {
            rng.next() as u32
        };
        // Far enough ahead of what came before, now and then absurdly.
        let value = if rng.chance(98) {
            echo
        } else {
            rng.next() as u32
        };
        all.extend(timestamps(value, echo));
    }
    if rng.chance(20) {
        let edge = |rng: &mut Rng| {
            let back = rng.below(20_000) as u32;
            let base = flow.seq.wrapping_sub(back);
            if rng.chance(80) {
                base
            } else {
                near(rng, base)
            }
        };
        let blocks: Vec<(u32, u32)> = (0..1 + rng.below(3))
            .map(|_| {
                let left = edge(rng);
                (
                    left,
                    if rng.chance(90) {
                        left.wrapping_add(rng.below(3_000) as u32)
                    } else {
                        edge(rng)
                    },
                )
            })
            .collect();
        all.extend(sack(&blocks));
    }
    if rng.chance(3) {
        all.truncate(rng.below(all.len() as u64 + 1) as usize / 4 * 4);
        all.extend((0..4).map(|_| rng.next() as u8));
    }
    all.truncate(40);
    all
}

/// A segment for a flow that the stack has.
fn on_flow(rng: &mut Rng, flow: &Flow) -> Vec<u8> {
    let len = match rng.below(8) {
        0..4 => 0,
        4 => rng.below(4),
        5 => 1_400,
        _ => rng.below(600),
    };
    let opens = flow.asks && rng.chance(80);
    let completes = flow.answers && rng.chance(80);
    let mut all = options(rng, flow);
    if opens {
        all = syn_options(rng);
    }
    let (seq, ack) = (near(rng, flow.ack), near(rng, flow.seq));
    let window = [0, 1, 1_000, rng.below(65_536)][rng.below(4) as usize] as u16;
    let edit = |h: &mut TcpHeader| {
        (h.sequence_number, h.acknowledgment_number, h.window_size) = (seq, ack, window);
        flags(rng, h);
        if opens {
            (h.syn, h.ack, h.rst, h.fin) = (true, true, false, false);
            (h.sequence_number, h.acknowledgment_number) = (seq, flow.seq);
        }
        if completes {
            (h.sequence_number, h.acknowledgment_number) = (flow.ack, flow.seq);
            (h.syn, h.ack, h.rst, h.fin) = (false, true, false, false);
        }
        h.set_options_raw(&all).expect("fits");
    };
    tcp(flow.peer, flow.stack, edit, &pattern(0, len as usize))
}

fn syn_options(rng: &mut Rng) -> Vec<u8> {
    let mut all = Vec::new();
    if rng.chance(80) {
        let mss = [0, 1, 48, 536, 1_460, 65_535][rng.below(6) as usize] as u16;
        all.extend([2, 4]);
        all.extend(mss.to_be_bytes());
    }
    if rng.chance(60) {
        all.extend([1, 1, 4, 2]);
    }
    if rng.chance(60) {
        all.extend([1, 3, 3, rng.below(20) as u8]);
    }
    if rng.chance(60) {
        all.extend(timestamps(rng.next() as u32, 0));
    }
    all
}

fn syn(rng: &mut Rng) -> Vec<u8> {
    let from = at(some_host(rng), 1024 + rng.below(2_000) as u16);
    let to = at(B, PORTS.start + rng.below(5) as u16);
    let (all, seq) = (syn_options(rng), rng.next() as u32);
    tcp(
        from,
        to,
        |h| {
            (h.syn, h.sequence_number, h.window_size) = (true, seq, 10_000);
            (h.ece, h.cwr) = (seq & 1 > 0, seq & 1 > 0);
            h.set_options_raw(&all).expect("fits");
        },
        &[],
    )
}

fn icmp_about(rng: &mut Rng, view: &View) -> Option<Vec<u8>> {
    let about = view.packet(rng)?;
    let kinds = [
        (3, 0),
        (3, 1),
        (3, 2),
        (3, 3),
        (3, 4),
        (3, 4),
        (4, 0),
        (5, 1),
        (11, 0),
        (11, 1),
        (12, 0),
    ];
    let kind = if rng.chance(90) {
        kinds[rng.below(kinds.len() as u64) as usize]
    } else {
        (rng.below(20) as u8, rng.below(16) as u8)
    };
    let mtu = [0, 1, 68, 552, 576, 1_280, 1_499, 65_535][rng.below(8) as usize] as u16;
    let [high, low] = mtu.to_be_bytes();
    let (ip, _) = parse(about);
    let len = if rng.chance(80) {
        28
    } else {
        rng.below(200) as usize
    };
    let quote = &about[..about.len().min(len)];
    Some(icmp(
        ROUTER,
        Ipv4Addr::from(ip.source),
        kind,
        [0, 0, high, low],
        quote,
    ))
}

fn whole(rng: &mut Rng, view: &View) -> Vec<u8> {
    let len = if rng.chance(5) {
        rng.below(9_000)
    } else {
        rng.below(300)
    } as usize;
    match rng.below(20) {
        0 | 1 => syn(rng),
        2 => {
            let to = if rng.chance(80) { B } else { GROUP };
            udp(
                at(some_host(rng), 5_000),
                at(to, PORTS.start + rng.below(6) as u16),
                &pattern(0, len),
            )
        }
        3 => icmp(some_host(rng), B, (8, 0), [0, 1, 0, 2], &pattern(0, len)),
        4 => icmp(
            A,
            B,
            (0, 0),
            [0, rng.below(8) as u8, 0, 1],
            &pattern(0, len),
        ),
        5 => icmp_about(rng, view).unwrap_or_else(|| syn(rng)),
        6 => {
            let group = [GROUP, Ipv4Addr::UNSPECIFIED, ALL_HOSTS][rng.below(3) as usize];
            if rng.chance(50) {
                query_v2(group, rng.next() as u8)
            } else {
                query_v3(group, rng.next() as u8, &[A, FAR][..rng.below(3) as usize])
            }
        }
        _ => match view.flow(rng) {
            Some(flow) => on_flow(rng, &flow),
            None => syn(rng),
        },
    }
}

/// Fragments in some order, some of them missing, twice, or moved over one another.
fn in_pieces(rng: &mut Rng, whole: &[u8]) -> Vec<Vec<u8>> {
    let (mut ip, payload) = parse(whole);
    if payload.len() < 16 {
        return vec![whole.to_vec()];
    }
    ip.identification = rng.below(200) as u16;
    ip.dont_fragment = false;
    let step = [8, 16, 64, 512, 1_480][rng.below(5) as usize].max(payload.len() / 40);
    let mut pieces = fragments(&packet(ip, &payload), step.max(8));
    if rng.chance(40) {
        let i = rng.below(pieces.len() as u64) as usize;
        match rng.below(4) {
            0 => drop(pieces.remove(i)),
            1 => pieces.push(pieces[i].clone()),
            2 => pieces.reverse(),
            _ => {
                let (mut ip, piece) = parse(&pieces[i]);
                let offset = ip.fragment_offset.value() ^ (1 << rng.below(13));
                ip.fragment_offset = offset.try_into().expect("13 bits");
                pieces[i] = packet(ip, &piece);
            }
        }
    }
    pieces
}

/// The next packets of an attack, as they arrive.
pub(crate) fn next(rng: &mut Rng, view: &View) -> Vec<Vec<u8>> {
    let whole = whole(rng, view);
    let mut out = if whole.len() > 1_500 || rng.chance(4) {
        in_pieces(rng, &whole)
    } else {
        vec![whole]
    };
    for bytes in &mut out {
        if rng.chance(12) {
            for _ in 0..1 + rng.below(3) {
                let place = rng.below(bytes.len().min(80) as u64) as usize;
                bytes[place] ^= 1 << rng.below(8);
            }
        }
        match rng.below(50) {
            0 => bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize),
            1 => bytes.resize(bytes.len() + rng.below(30) as usize, 0),
            _ => {}
        }
    }
    out
}

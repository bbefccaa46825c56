//! Packets that the NIC cuts into TCP segments, in SQEs that are right or wrong.
use ferrule_abi::regs;
use ferrule_abi::ring::{sqe_flags, Sqe};
use rand::seq::IndexedRandom;
use rand::Rng;

use super::case::Case;
use super::traffic::{FAR, PEERS};

/// What may be wrong with a packet.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    Raw,
    Inline,
    NoMss,
    HeaderBytes,
    NoTcp,
    Fragment,
    HeaderBit,
    HeadersAlone,
    SaidMore,
    SaidLess,
    SaidNothing,
    NoEnd,
    EmptyPiece,
    WildHeaders,
    WildPiece,
}

impl Wrong {
    const ALL: [Self; 15] = [
        Self::Raw,
        Self::Inline,
        Self::NoMss,
        Self::HeaderBytes,
        Self::NoTcp,
        Self::Fragment,
        Self::HeaderBit,
        Self::HeadersAlone,
        Self::SaidMore,
        Self::SaidLess,
        Self::SaidNothing,
        Self::NoEnd,
        Self::EmptyPiece,
        Self::WildHeaders,
        Self::WildPiece,
    ];
}

impl Case<'_> {
    /// Not where frames are pushed, and not where what goes out comes in again: that is too much for the slots. At 10 Mbit/s it would take
    /// an engine very long.
    pub(super) fn may_segment(&self) -> bool {
        let is_slow = self.speed == 0;
        !self.pushes && !self.sparse && !is_slow && regs::ctrl::LOOPBACK.get(self.ctrl) == 0
    }

    /// IPv4 and TCP headers with all that the host may leave in them.
    fn headers(&mut self, wrong: Wrong) -> Vec<u8> {
        let own = self.own.ip;
        let r = &mut self.random;
        let to = match r.random_range(0..8) {
            0 => FAR,
            1 => r.random(),
            _ => PEERS.choose(r).map_or(FAR, |p| p.1),
        };
        let mut options = || match r.random_bool(0.3) {
            true => r.random_range(0..=10) * 4,
            false => 0_usize,
        };
        let (ip_bytes, tcp_bytes) = (20 + options(), 20 + options());
        let mut h: Vec<u8> = (0..ip_bytes + tcp_bytes).map(|_| r.random()).collect();
        h[0] = 0x40 | (ip_bytes / 4) as u8;
        (h[6], h[7]) = match wrong {
            Wrong::Fragment => (0x20, r.random()),
            _ => (r.random::<u8>() & 0x40, 0),
        };
        h[9] = if wrong == Wrong::NoTcp { 17 } else { 6 };
        h[12..16].copy_from_slice(&own);
        h[16..20].copy_from_slice(&to);
        if r.random_bool(0.2) {
            // Sums that go round.
            h[4..6].fill(0xFF);
            h[ip_bytes + 4..ip_bytes + 7].fill(0xFF);
        }
        h[ip_bytes + 12] = (tcp_bytes << 2) as u8;
        match wrong {
            Wrong::HeaderBytes => {
                let len = *[36, 38, 42, 124, 41, 80, 120].choose(r).unwrap_or(&36);
                h.resize(len, 0);
            }
            Wrong::HeaderBit => {
                let at = r.random_range(0..h.len());
                h[at] ^= 1 << r.random_range(0..8);
            }
            _ => {}
        }
        h
    }

    /// A packet to be cut, in two SQEs or more. Only one that is alone may lack its end: an event waits for the completion of a packet that
    /// missed its neighbour, and another packet's event may come before that miss or behind it.
    pub(super) fn post_segments(&mut self, alone: bool) {
        let wrong = match self.random.random_bool(0.3) {
            true => *Wrong::ALL.choose(&mut self.random).unwrap_or(&Wrong::Raw),
            false => Wrong::Nothing,
        };
        let wrong = match wrong {
            Wrong::NoEnd if !alone => Wrong::Nothing,
            wrong => wrong,
        };
        let headers = self.headers(wrong);
        let r = &mut self.random;
        let (mss, most) = *[(1, 5), (7, 40), (64, 300), (300, 1500), (1460, 4000)]
            .choose(r)
            .unwrap_or(&(64, 700));
        let mss = if r.random_bool(0.5) {
            mss
        } else {
            r.random_range(mss..=mss * 2)
        };
        let mut payload = vec![0; r.random_range(1..=most)];
        r.fill(&mut payload[..]);
        let mut piece = payload.len().div_ceil(r.random_range(1..=4)).min(1900);
        if r.random_bool(0.2) {
            // Pieces that are segments.
            piece = piece.next_multiple_of(mss).min(1900);
        }
        let count = payload.len().div_ceil(piece);
        if self.sq_room() < count as u64 + 3 {
            return;
        }
        let segments = payload.len().div_ceil(mss);
        self.held_bytes += payload.len() + segments * (headers.len() + 14 + 32);
        self.completions += 1;
        let r = &mut self.random;
        let report = r.random_bool(0.6);
        let said = match wrong {
            Wrong::SaidMore => payload.len() + r.random_range(1..200),
            Wrong::SaidLess => payload.len() - r.random_range(1..=payload.len()).min(200),
            Wrong::SaidNothing => 0,
            _ => payload.len(),
        };
        let mut flags = sqe_flags::SOP | sqe_flags::TSO;
        for (flag, often) in [
            (sqe_flags::IPCS, 0.5),
            (sqe_flags::L4CS, 0.5),
            (sqe_flags::TS_REQ, 0.2),
            (sqe_flags::VLAN_INS, 0.2),
            (sqe_flags::RAW, f64::from(wrong == Wrong::Raw)),
            (sqe_flags::INLINE, f64::from(wrong == Wrong::Inline)),
            (sqe_flags::EOP, f64::from(wrong == Wrong::HeadersAlone)),
        ] {
            if r.random_bool(often) {
                flags |= flag;
            }
        }
        if r.random_bool(0.15) {
            flags |= r.random_range(0..8) << sqe_flags::NEXT_HOP_SHIFT;
        }
        let head = Sqe {
            flags,
            vlan_tci: r.random(),
            mss: if wrong == Wrong::NoMss { 0 } else { mss as u16 },
            ..Sqe::default()
        };
        if wrong != Wrong::Nothing {
            // What is wrong here, and what it makes wrong of the next SQE, may complete at once.
            self.grouped = true;
            self.completions += 2;
        }
        self.post_sqe(&headers, head, wrong == Wrong::WildHeaders);
        let odd = self.random.random_range(0..count);
        for (i, bytes) in payload.chunks(piece).enumerate() {
            let mut flags = 0;
            if i + 1 == count && wrong != Wrong::NoEnd {
                flags |= sqe_flags::EOP;
            }
            if report {
                flags |= sqe_flags::CPL_REQ;
            }
            let sqe = Sqe {
                flags,
                vlan_tci: if i == 0 {
                    said as u16
                } else {
                    self.random.random()
                },
                mss: self.random.random(),
                ..Sqe::default()
            };
            let is_odd = i == odd;
            let bytes = if wrong == Wrong::EmptyPiece && is_odd {
                &[]
            } else {
                bytes
            };
            self.post_sqe(bytes, sqe, wrong == Wrong::WildPiece && is_odd);
        }
        if self.open_sqes > 8 {
            let sqe = Sqe {
                flags: sqe_flags::EOP,
                ..Sqe::default()
            };
            self.post_sqe(&[0], sqe, false);
        }
    }
}

//! What must not be guessed: initial sequence numbers (RFC 6528), ports (RFC 6056), hash keys.

use core::hash::BuildHasher;
use std::net::Ipv4Addr;

use siphasher::sip::{SipHasher13, SipHasher24};

use super::Flow;
use crate::seq::Seq;
use crate::time::Instant;

/// Words that a keyed function is of at most.
const MOST_WORDS: usize = 4;

/// Keyed functions of the stack's seed; each purpose has its own prefix.
#[derive(Clone)]
pub(crate) struct Secrets {
    seed: [u8; 16],
    draws: u64,
}

impl Secrets {
    pub(crate) fn new(seed: [u8; 16]) -> Secrets {
        Secrets { seed, draws: 0 }
    }

    /// Of at most [`MOST_WORDS`] words.
    fn hash(&self, purpose: u8, words: &[u64]) -> u64 {
        // In one run: so it takes half the time that it takes word by word.
        let mut bytes = [0; 8 * (1 + MOST_WORDS)];
        bytes[0] = purpose;
        let (_, rest) = bytes.split_at_mut(8);
        for (to, word) in rest.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        SipHasher24::new_with_key(&self.seed).hash(&bytes[..8 * (1 + words.len())])
    }

    /// RFC 6528 section 3: "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", M a 4 microsecond timer.
    pub(crate) fn isn(&self, now: Instant, flow: &Flow) -> Seq {
        let m = (now.as_nanos() / 4_000) as u32;
        Seq(m.wrapping_add(self.hash(1, &flow.words()) as u32))
    }

    /// RFC 6056 section 3.3.3: "offset = F(local_IP, remote_IP, remote_port, secret_key)".
    pub(crate) fn port_offset(&self, flow: &Flow) -> u64 {
        let [ips, ports] = flow.words();
        self.hash(2, &[ips, ports & 0xffff])
    }

    /// The offset of the timestamps sent to a host: of the addresses only, so that a reused port sees them grow (RFC 6191
    /// section 2, RFC 7323 section 7.1).
    pub(crate) fn timestamp_offset(&self, flow: &Flow) -> u32 {
        let [ips, _] = flow.words();
        self.hash(7, &[ips]) as u32
    }

    /// What all SYN cookies of a flow are offset by.
    pub(crate) fn cookie_base(&self, flow: &Flow) -> u32 {
        self.hash(8, &flow.words()) as u32
    }

    /// What makes a SYN cookie of that minute, for a SYN with that number, hard to guess.
    pub(crate) fn cookie_hash(&self, flow: &Flow, minute: u64, irs: Seq) -> u32 {
        let [ips, ports] = flow.words();
        self.hash(9, &[ips, ports, minute, u64::from(irs.0)]) as u32
    }

    /// Makes IPv4 identifications to one host tell nothing about those to others (RFC 7739's concern, in IPv4).
    pub(crate) fn ident_mask(&self, dst: Ipv4Addr) -> u16 {
        self.hash(6, &[u64::from(u32::from(dst))]) as u16
    }

    /// A number nobody outside can foresee.
    pub(crate) fn draw(&mut self) -> u64 {
        self.draws += 1;
        self.hash(3, &[self.draws])
    }

    /// Keys for a hash table, against flooding with colliding keys.
    pub(crate) fn table_keys(&self) -> TableKeys {
        TableKeys(self.hash(4, &[]), self.hash(5, &[]))
    }
}

/// Makes keyed hashers for tables whose keys come from the wire.
#[derive(Clone)]
pub(crate) struct TableKeys(u64, u64);

impl TableKeys {
    /// The hash of a flow.
    #[inline]
    pub(crate) fn hash_flow(&self, flow: &Flow) -> u64 {
        let [a, b] = flow.words();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..].copy_from_slice(&b.to_le_bytes());
        self.build_hasher().hash(&bytes)
    }
}

impl BuildHasher for TableKeys {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddrV4;

    fn flow(port: u16) -> Flow {
        let at = |n, port| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, n), port);
        Flow {
            local: at(1, port),
            remote: at(2, 80),
        }
    }

    #[test]
    fn isn_advances_every_four_microseconds_and_differs_by_flow_and_secret() {
        let s = Secrets::new([7; 16]);
        let at = |us: u64| Instant::from_nanos(us * 1000);
        let a = s.isn(at(0), &flow(1000));
        assert_eq!(s.isn(at(3), &flow(1000)), a);
        assert_eq!(s.isn(at(4), &flow(1000)), a + 1);
        assert_eq!(s.isn(at(4_000_000), &flow(1000)), a + 1_000_000);
        assert_ne!(s.isn(at(0), &flow(1001)), a);
        assert_ne!(Secrets::new([8; 16]).isn(at(0), &flow(1000)), a);
    }

    #[test]
    fn port_offset_ignores_the_local_port() {
        let s = Secrets::new([7; 16]);
        assert_eq!(s.port_offset(&flow(1)), s.port_offset(&flow(2)));
    }
}

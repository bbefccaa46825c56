//! What is known of the path MTU to each destination (RFC 1191), and for how long it is believed.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use crate::tcp::secrets::TableKeys;
use crate::time::Instant;

/// RFC 1191 section 6.3: estimates that have not shrunk for about ten minutes are dropped, so that a larger MTU is found.
const LIFETIME: Duration = Duration::from_secs(600);
/// An MTU below this is not adopted, as in Linux (`min_pmtu`): a forged message must not ask for a packet per byte.
/// Packets of this size go out without DF instead, so that a router which needs less may cut them.
const MIN_BELIEVED: u16 = 552;
/// Destinations remembered at most; then the one next to expire goes.
const MAX_ENTRIES: usize = 1024;
/// RFC 1191 table 7-1: the MTUs that are in use, for routers that do not tell theirs.
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/// The path MTU to one destination.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct PathMtu {
    pub(crate) mtu: u16,
    /// A router asked for less than we send: packets must not carry DF.
    pub(crate) must_fragment: bool,
}

struct Known {
    path: PathMtu,
    until: Instant,
}

/// Path MTUs smaller than our own link's, by destination.
pub(crate) struct PathMtus {
    link_mtu: u16,
    known: HashMap<Ipv4Addr, Known, TableKeys>,
    order: BTreeSet<(Instant, Ipv4Addr)>,
}

impl PathMtus {
    pub(crate) fn new(link_mtu: u16, keys: TableKeys) -> PathMtus {
        PathMtus {
            link_mtu,
            known: HashMap::with_hasher(keys),
            order: BTreeSet::new(),
        }
    }

    /// The path MTU to `dst` as far as it is known; our own link's otherwise.
    #[inline]
    pub(crate) fn get(&self, dst: Ipv4Addr) -> PathMtu {
        let unknown = PathMtu {
            mtu: self.link_mtu,
            must_fragment: false,
        };
        if self.known.is_empty() {
            return unknown;
        }
        self.known.get(&dst).map_or(unknown, |k| k.path)
    }

    /// A router on the way to `dst` could not pass on a packet of `packet_len` bytes and said that its MTU is `mtu`, or
    /// 0 if it is of the kind that does not say. Returns true if packets must get smaller.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        dst: Ipv4Addr,
        mtu: u16,
        packet_len: usize,
    ) -> bool {
        let before = self.get(dst);
        // RFC 1191 section 5: without a next-hop MTU, the largest plateau below the length of the packet.
        let told = match mtu {
            0 => PLATEAUS
                .into_iter()
                .find(|p| usize::from(*p) < packet_len)
                .unwrap_or(68),
            mtu => mtu,
        };
        // Section 3: such a message never makes the estimate larger.
        if told >= before.mtu {
            return false;
        }
        let path = PathMtu {
            mtu: told.max(MIN_BELIEVED).min(before.mtu),
            must_fragment: told < MIN_BELIEVED,
        };
        if path == before {
            return false;
        }
        self.forget(dst);
        if self.known.len() >= MAX_ENTRIES {
            if let Some((_, oldest)) = self.order.pop_first() {
                self.known.remove(&oldest);
            }
        }
        let until = now + LIFETIME;
        self.known.insert(dst, Known { path, until });
        self.order.insert((until, dst));
        true
    }

    /// True if nothing is known.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// When the oldest entry is forgotten.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.first().map(|(until, _)| *until)
    }

    /// Forgets what is too old to be believed; larger packets then find out whether the path has changed.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((until, dst)) = self.order.first().copied() {
            if until > now {
                break;
            }
            self.forget(dst);
        }
    }

    fn forget(&mut self, dst: Ipv4Addr) {
        if let Some(known) = self.known.remove(&dst) {
            self.order.remove(&(known.until, dst));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::secrets::Secrets;

    const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

    fn paths(link_mtu: u16) -> PathMtus {
        PathMtus::new(link_mtu, Secrets::new([1; 16]).table_keys())
    }

    fn mtu(paths: &PathMtus) -> (u16, bool) {
        let path = paths.get(FAR);
        (path.mtu, path.must_fragment)
    }

    #[test]
    fn shrinks_when_told_never_grows_and_forgets_after_ten_minutes() {
        let mut p = paths(1500);
        let at = Instant::from_millis;
        assert!(p.learn(at(0), FAR, 1400, 1500));
        assert!(!p.learn(at(1), FAR, 1450, 1500));
        assert_eq!(mtu(&p), (1400, false));
        assert!(p.learn(at(1000), FAR, 1300, 1400));
        p.expire(at(600_999));
        assert_eq!(mtu(&p), (1300, false));
        assert_eq!(p.deadline(), Some(at(601_000)));
        p.expire(at(601_000));
        assert_eq!((mtu(&p), p.deadline()), ((1500, false), None));
    }

    #[test]
    fn a_router_that_does_not_tell_leads_down_the_plateaus_of_rfc_1191() {
        let mut p = paths(1500);
        for plateau in [1492, 1006] {
            let len = usize::from(mtu(&p).0);
            assert!(p.learn(Instant::ZERO, FAR, 0, len));
            assert_eq!(mtu(&p), (plateau, false));
        }
        // The next plateau, 508, is below what is believed: 552 without DF.
        assert!(p.learn(Instant::ZERO, FAR, 0, 1006));
        assert_eq!(mtu(&p), (552, true));
        assert!(!p.learn(Instant::ZERO, FAR, 0, 552));
    }

    #[test]
    fn a_forged_tiny_mtu_only_takes_df_away() {
        let mut p = paths(1500);
        assert!(p.learn(Instant::ZERO, FAR, 68, 1500));
        assert_eq!(mtu(&p), (552, true));
        let mut small = paths(400);
        assert!(small.learn(Instant::ZERO, FAR, 68, 400));
        assert_eq!(mtu(&small), (400, true));
    }

    #[test]
    fn holds_no_more_than_its_limit() {
        let mut p = paths(1500);
        for n in 0..5000u32 {
            p.learn(
                Instant::from_millis(u64::from(n)),
                Ipv4Addr::from(n),
                1000,
                1500,
            );
            assert!(p.known.len() <= MAX_ENTRIES && p.known.len() == p.order.len());
        }
        assert_eq!(p.get(Ipv4Addr::from(4999)).mtu, 1000);
        assert_eq!(p.get(Ipv4Addr::from(0)).mtu, 1500);
    }
}

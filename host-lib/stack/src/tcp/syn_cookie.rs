//! SYN cookies (RFC 4987 section 3.6): what a SYN said, in the numbers of our answer, so that nothing is kept until an ACK
//! brings them back.
//!
//! The initial sequence number, as Linux makes it; F and G are keyed hashes, and the minute counts since the clock's origin:
//!
//! ```text
//! F(flow) + peer's ISN + minute * 2^24 + (G(flow, minute, peer's ISN) + index of the MSS) mod 2^24
//! ```
//!
//! Where both sides use timestamps, the low six bits of TSval hold the rest: window scale, SACK, ECN.

use core::time::Duration;

use super::secrets::Secrets;
use super::timestamps::clock;
use super::{Flow, MIN_MSS};
use crate::seq::Seq;
use crate::time::Instant;

/// A cookie is good in the minute it was made in and the next: two minutes at most.
pub(crate) const LIFETIME: Duration = Duration::from_secs(120);
const MINUTE_NANOS: u64 = 60_000_000_000;
/// Minutes in which a cookie is good.
const MINUTES: u32 = 2;
const HASH_BITS: u32 = 24;
const HASH_MASK: u32 = (1 << HASH_BITS) - 1;

/// What a peer's MSS is cut to: the least that any connection uses, RFC 9293's default, and the usual ones of links
/// and tunnels.
const MSS: [u16; 8] = [MIN_MSS, 256, 536, 1220, 1360, 1440, 1460, 8960];

fn minute(now: Instant) -> u64 {
    now.as_nanos() / MINUTE_NANOS
}

/// Our initial sequence number towards a peer that sent a SYN numbered `irs` and takes `peer_mss`.
pub(crate) fn make(secrets: &Secrets, now: Instant, flow: &Flow, irs: Seq, peer_mss: u16) -> Seq {
    let minute = minute(now);
    let index = MSS.iter().rposition(|m| *m <= peer_mss).unwrap_or(0) as u32;
    let hash = secrets.cookie_hash(flow, minute, irs).wrapping_add(index) & HASH_MASK;
    irs + secrets.cookie_base(flow) + ((minute as u32) << HASH_BITS) + hash
}

/// The MSS in a cookie that came back; `None` if we did not make it for this peer and SYN, or too long ago.
pub(crate) fn check(
    secrets: &Secrets,
    now: Instant,
    flow: &Flow,
    irs: Seq,
    cookie: Seq,
) -> Option<u16> {
    let rest = (cookie - irs.0).0.wrapping_sub(secrets.cookie_base(flow));
    let age = (minute(now) as u32).wrapping_sub(rest >> HASH_BITS) & (u32::MAX >> HASH_BITS);
    if age >= MINUTES {
        return None;
    }
    let made = minute(now).checked_sub(u64::from(age))?;
    let index = rest.wrapping_sub(secrets.cookie_hash(flow, made, irs)) & HASH_MASK;
    MSS.get(index as usize).copied()
}

/// What TSval tells of a SYN's other options.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    /// The peer's shift, if it offered window scaling.
    pub(crate) peer_shift: Option<u8>,
    pub(crate) sack_permitted: bool,
    pub(crate) ecn: bool,
}

/// No shift is greater than 14 (RFC 7323 section 2.3).
const NO_SHIFT: u8 = 15;
const SACK: u8 = 1 << 4;
const ECN: u8 = 1 << 5;
const OFFER_MASK: u32 = (1 << 6) - 1;

impl Offer {
    /// Without timestamps.
    pub(crate) const NOTHING: Offer = Offer {
        peer_shift: None,
        sack_permitted: false,
        ecn: false,
    };

    /// The latest timestamp not after `now` whose low bits hold the offer.
    pub(crate) fn stamp(self, now: Instant, offset: u32) -> u32 {
        let bits = u32::from(CompactOffer::from(self).0);
        let ticks = clock(now, 0);
        let early = (ticks & OFFER_MASK).wrapping_sub(bits) & OFFER_MASK;
        ticks.wrapping_sub(early).wrapping_add(offset)
    }

    /// The offer in an echoed timestamp, if we can have sent it while a cookie of then is still good.
    pub(crate) fn read(now: Instant, offset: u32, echo: u32) -> Option<Offer> {
        let ticks = echo.wrapping_sub(offset);
        let age = clock(now, 0).wrapping_sub(ticks);
        if u128::from(age) > LIFETIME.as_millis() + u128::from(OFFER_MASK) {
            return None;
        }
        Some(CompactOffer((ticks & OFFER_MASK) as u8).into())
    }
}

/// An offer in six bits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct CompactOffer(u8);

impl From<Offer> for CompactOffer {
    fn from(offer: Offer) -> CompactOffer {
        CompactOffer(
            offer.peer_shift.unwrap_or(NO_SHIFT)
                | if offer.sack_permitted { SACK } else { 0 }
                | if offer.ecn { ECN } else { 0 },
        )
    }
}

impl From<CompactOffer> for Offer {
    fn from(CompactOffer(bits): CompactOffer) -> Offer {
        let shift = bits & NO_SHIFT;
        Offer {
            peer_shift: (shift != NO_SHIFT).then_some(shift),
            sack_permitted: bits & SACK != 0,
            ecn: bits & ECN != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, SocketAddrV4};

    fn flow(host: u32, port: u16) -> Flow {
        Flow {
            local: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 80),
            remote: SocketAddrV4::new(Ipv4Addr::from(host), port),
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_cookie_is_good_in_its_minute_and_the_next() {
        let (secrets, flow) = (Secrets::new([3; 16]), flow(7, 7));
        let cookie = make(&secrets, at(59_999), &flow, Seq(5), 1460);
        let check = |millis| check(&secrets, at(millis), &flow, Seq(5), cookie);
        assert_eq!(check(59_999), Some(1460));
        assert_eq!(check(119_999), Some(1460));
        assert_eq!(check(120_000), None);
        // The counter's eight bits come round after 256 minutes, the hash does not.
        assert_eq!(check(59_999 + 256 * 60_000), None);
    }

    #[test]
    fn a_cookie_is_good_for_its_flow_and_syn_only() {
        let secrets = Secrets::new([3; 16]);
        let cookie = make(&secrets, at(0), &flow(7, 7), Seq(5), 1460);
        let other = Secrets::new([4; 16]);
        assert_eq!(check(&secrets, at(0), &flow(7, 8), Seq(5), cookie), None);
        assert_eq!(check(&secrets, at(0), &flow(8, 7), Seq(5), cookie), None);
        assert_eq!(check(&secrets, at(0), &flow(7, 7), Seq(6), cookie), None);
        assert_eq!(
            check(&secrets, at(0), &flow(7, 7), Seq(6), cookie + 1),
            None
        );
        assert_eq!(check(&other, at(0), &flow(7, 7), Seq(5), cookie), None);
    }

    proptest! {
        #[test]
        fn every_honest_cookie_is_accepted_with_an_mss_the_peer_takes(
            seed: [u8; 16], host: u32, port: u16, irs: u32, mss: u16, sent in 0..u64::MAX / 2_000_000, later in 0u64..=60_000,
        ) {
            let (secrets, flow) = (Secrets::new(seed), flow(host, port));
            let cookie = make(&secrets, at(sent), &flow, Seq(irs), mss);
            let got = check(&secrets, at(sent + later), &flow, Seq(irs), cookie);
            let got = got.expect("an honest cookie");
            prop_assert!(got <= mss.max(MIN_MSS));
            prop_assert!(got == 8960 || MSS.iter().all(|m| *m <= got || *m > mss));
        }

        // A guess is right with odds of 2 minutes * 8 sizes in 2^32.
        #[test]
        fn guesses_are_refused_but_for_the_odds_of_the_hash(seed: [u8; 16], irs: u32, guess: u32) {
            let (secrets, flow) = (Secrets::new(seed), flow(7, 7));
            let hits = (0..1000u32)
                .map(|i| Seq(guess.wrapping_add(i.wrapping_mul(0x9e37_79b9))))
                .filter(|g| check(&secrets, at(90_000), &flow, Seq(irs), *g).is_some())
                .count();
            prop_assert!(hits <= 1, "{hits}");
        }

        #[test]
        fn one_numbers_neighbours_hold_few_good_cookies(seed: [u8; 16], irs: u32) {
            let (secrets, flow) = (Secrets::new(seed), flow(7, 7));
            let cookie = make(&secrets, at(0), &flow, Seq(irs), 0);
            let good = |by: u32| check(&secrets, at(0), &flow, Seq(irs), cookie + by).is_some();
            prop_assert_eq!((0..2000).filter(|by| good(*by)).count(), MSS.len());
        }

        #[test]
        fn an_offer_survives_in_a_timestamp_that_is_not_ahead(
            sent in 0..u64::MAX / 2_000_000, later in 0u64..=120_000, offset: u32,
            shift in proptest::option::of(0u8..=14), sack_permitted: bool, ecn: bool,
        ) {
            let offer = Offer { peer_shift: shift, sack_permitted, ecn };
            let stamp = offer.stamp(at(sent), offset);
            prop_assert!(clock(at(sent), offset).wrapping_sub(stamp) <= OFFER_MASK);
            prop_assert_eq!(Offer::read(at(sent + later), offset, stamp), Some(offer));
            prop_assert_eq!(Offer::read(at(sent + 120_064), offset, stamp), None);
            prop_assert_eq!(Offer::read(at(sent), offset, clock(at(sent), offset).wrapping_add(1)), None);
        }
    }
}

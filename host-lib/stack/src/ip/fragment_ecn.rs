//! Congestion marks of fragments (RFC 3168 section 5.3): a datagram was marked if any of its fragments was.

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// The ECN codepoints of the fragments seen so far.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct EcnSeen(u8);

impl EcnSeen {
    /// Notes a fragment's TOS byte, the low two bits of which are ECN's.
    pub(super) fn note(&mut self, tos: u8) {
        self.0 |= 1 << (tos & 3);
    }

    /// The whole datagram's codepoint. `None` if fragments of a sender that knows ECN are mixed with those of one that
    /// does not: such a datagram is dropped, lest a mark be lost or invented.
    pub(super) fn combined(self) -> Option<u8> {
        let has = |codepoint: u8| self.0 & 1 << codepoint != 0;
        match (has(NOT_ECT), has(CE), has(ECT_0), has(ECT_1)) {
            (true, false, false, false) => Some(NOT_ECT),
            (true, ..) => None,
            (false, true, ..) => Some(CE),
            (false, false, true, _) => Some(ECT_0),
            (false, false, false, true) => Some(ECT_1),
            (false, false, false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_marks_all_and_a_mixture_with_not_ect_is_nothing() {
        let combined = |codepoints: &[u8]| {
            let mut seen = EcnSeen::default();
            codepoints.iter().for_each(|c| seen.note(0xb8 | c));
            seen.combined()
        };
        assert_eq!(combined(&[NOT_ECT, NOT_ECT]), Some(NOT_ECT));
        assert_eq!(combined(&[ECT_0, ECT_0]), Some(ECT_0));
        assert_eq!(combined(&[ECT_1]), Some(ECT_1));
        assert_eq!(combined(&[ECT_0, CE, ECT_0]), Some(CE));
        assert_eq!(combined(&[ECT_1, CE]), Some(CE));
        assert_eq!(combined(&[NOT_ECT, CE]), None);
        assert_eq!(combined(&[ECT_0, NOT_ECT]), None);
    }
}

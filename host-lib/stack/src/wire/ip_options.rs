//! IPv4 options (RFC 791 section 3.1): walked to know whether a packet may be taken, never obeyed.

/// The Router Alert option (RFC 2113): "Router shall examine packet", four bytes to put after the header.
pub(crate) const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NO_OPERATION: u8 = 1;
    pub(super) const LOOSE_SOURCE_ROUTE: u8 = 131;
    pub(super) const STRICT_SOURCE_ROUTE: u8 = 137;
}

/// What the options of a packet ask of us.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Options {
    /// Nothing: all of them may be ignored (RFC 1122 section 3.2.1.8).
    Ignorable,
    /// A route through us or chosen by the sender: refused, as RFC 7126 sections 4.3.5 and 4.4.5 advise.
    SourceRouted,
    /// The option at this offset of the option bytes cannot be read.
    Malformed(usize),
}

/// Walks the option bytes of a header.
pub(crate) fn inspect(options: &[u8]) -> Options {
    let mut at = 0;
    let mut found = Options::Ignorable;
    while let Some(kind) = options.get(at) {
        match *kind {
            kind::END => break,
            kind::NO_OPERATION => at += 1,
            kind => {
                // All others have a length that counts kind and length bytes too.
                let Some(len) = options.get(at + 1).map(|len| usize::from(*len)) else {
                    return Options::Malformed(at);
                };
                if len < 2 || at + len > options.len() {
                    return Options::Malformed(at);
                }
                if matches!(kind, kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE) {
                    found = Options::SourceRouted;
                }
                at += len;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_and_unknown_options_are_skipped_and_source_routes_found() {
        assert_eq!(inspect(&[]), Options::Ignorable);
        assert_eq!(inspect(&ROUTER_ALERT), Options::Ignorable);
        // Record route with one slot, then an option nobody has defined, padded.
        let record = [7, 7, 4, 0, 0, 0, 0, 99, 3, 1, 1, 0];
        assert_eq!(inspect(&record), Options::Ignorable);
        let loose = [1, 131, 7, 4, 10, 0, 0, 9];
        assert_eq!(inspect(&loose), Options::SourceRouted);
        assert_eq!(inspect(&[137, 3, 4, 0]), Options::SourceRouted);
        // After the end of the list anything may follow.
        assert_eq!(inspect(&[0, 131, 7, 4]), Options::Ignorable);
    }

    #[test]
    fn lengths_that_cannot_be_are_told_by_their_place() {
        assert_eq!(inspect(&[1, 7]), Options::Malformed(1));
        assert_eq!(inspect(&[7, 0, 0, 0]), Options::Malformed(0));
        assert_eq!(inspect(&[7, 1, 0, 0]), Options::Malformed(0));
        assert_eq!(inspect(&[1, 1, 148, 4]), Options::Malformed(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(options in prop::collection::vec(any::<u8>(), 0..41)) {
            if let Options::Malformed(at) = inspect(&options) {
                prop_assert!(at < options.len());
            }
        }
    }
}

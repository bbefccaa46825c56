//! IGMP messages: versions 1, 2 (RFC 2236 section 2) and 3 (RFC 3376 section 4).

use core::time::Duration;
use std::net::Ipv4Addr;

use super::{be16, be32};

/// Message types.
mod kind {
    pub(super) const QUERY: u8 = 0x11;
    pub(super) const REPORT_V1: u8 = 0x12;
    pub(super) const REPORT_V2: u8 = 0x16;
    pub(super) const LEAVE: u8 = 0x17;
    pub(super) const REPORT_V3: u8 = 0x22;
}

/// Group record types of a version 3 report (RFC 3376 section 4.2.12).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum RecordKind {
    IsInclude = 1,
    IsExclude = 2,
    ToInclude = 3,
    ToExclude = 4,
    Allow = 5,
    Block = 6,
}

/// A group record of a version 3 report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) group: Ipv4Addr,
    pub(crate) sources: Vec<Ipv4Addr>,
}

/// The version of a query.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// A router's question who is a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    pub(crate) version: Version,
    /// `None` asks for all groups.
    pub(crate) group: Option<Ipv4Addr>,
    /// Answers are spread over this time.
    pub(crate) max_response: Duration,
    /// Sources asked for; in version 3 only.
    pub(crate) sources: Vec<Ipv4Addr>,
    /// Querier's robustness variable and interval; in version 3 only, and only if told.
    pub(crate) robustness: Option<u8>,
    pub(crate) interval: Option<Duration>,
}

/// A message that concerns a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Query(Query),
    /// Another host's version 1 or 2 report: it answers for us too.
    Report(Ipv4Addr),
}

/// Sources read of one query at most; RFC 3376 section 9.1 advises to limit what a forged one makes us keep.
const MAX_SOURCES: usize = 64;

/// RFC 3376 sections 4.1.1 and 4.1.7: from 128 on a number is a mantissa with an exponent.
fn expand(code: u8) -> u32 {
    match code {
        0..=127 => u32::from(code),
        _ => (u32::from(code & 0x0f) | 0x10) << ((code >> 4 & 7) + 3),
    }
}

/// Reads a message whose checksum was verified; `None` for what a host ignores.
pub(crate) fn parse(message: &[u8]) -> Option<Message> {
    if message.len() < 8 {
        return None;
    }
    let group = Ipv4Addr::from(be32(message, 4));
    match message[0] {
        kind::QUERY => {
            let asked = match group {
                Ipv4Addr::UNSPECIFIED => None,
                group if group.is_multicast() => Some(group),
                _ => return None,
            };
            query(message, asked).map(Message::Query)
        }
        kind::REPORT_V1 | kind::REPORT_V2 if group.is_multicast() => Some(Message::Report(group)),
        _ => None,
    }
}

/// RFC 3376 section 7.1: the version of a query is told by its length and its maximum response code.
fn query(message: &[u8], group: Option<Ipv4Addr>) -> Option<Query> {
    let tenths = |n: u32| Duration::from_millis(u64::from(n) * 100);
    let code = message[1];
    let mut query = Query {
        version: Version::V2,
        group,
        max_response: tenths(u32::from(code)),
        sources: Vec::new(),
        robustness: None,
        interval: None,
    };
    match (message.len(), code) {
        (8, 0) => {
            // RFC 2236 section 4: a version 1 query means ten seconds.
            query.version = Version::V1;
            query.max_response = Duration::from_secs(10);
        }
        (8, _) => {}
        (len @ 12.., _) => {
            let told = usize::from(be16(message, 10));
            let there = (len - 12) / 4;
            if told > there || told > 0 && group.is_none() {
                return None;
            }
            query.version = Version::V3;
            query.max_response = tenths(expand(code));
            query.robustness = Some(message[8] & 7).filter(|qrv| *qrv > 0);
            query.interval = Some(message[9])
                .filter(|qqic| *qqic > 0)
                .map(|qqic| Duration::from_secs(u64::from(expand(qqic))));
            query.sources = message[12..12 + told * 4]
                .chunks_exact(4)
                .map(|s| Ipv4Addr::from(be32(s, 0)))
                .collect();
            // More than we keep: as if it had asked for the whole group.
            if query.sources.len() > MAX_SOURCES {
                query.sources.clear();
            }
        }
        _ => return None,
    }
    Some(query)
}

/// A report of version 1 or 2; its checksum field is 0.
pub(crate) fn report(version: Version, group: Ipv4Addr) -> Vec<u8> {
    let kind = match version {
        Version::V1 => kind::REPORT_V1,
        Version::V2 | Version::V3 => kind::REPORT_V2,
    };
    short(kind, group)
}

/// A version 2 leave message; its checksum field is 0.
pub(crate) fn leave(group: Ipv4Addr) -> Vec<u8> {
    short(kind::LEAVE, group)
}

fn short(kind: u8, group: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&group.octets());
    message
}

/// Bytes of a record in a report.
pub(crate) fn record_len(sources: usize) -> usize {
    8 + 4 * sources
}

/// Bytes of a version 3 report before its records.
pub(crate) const REPORT_HEADER_LEN: usize = 8;

/// A version 3 report (RFC 3376 section 4.2); its checksum field is 0.
pub(crate) fn report_v3(records: &[Record]) -> Vec<u8> {
    let mut message = vec![kind::REPORT_V3, 0, 0, 0, 0, 0];
    message.extend_from_slice(&(records.len() as u16).to_be_bytes());
    for record in records {
        message.extend_from_slice(&[record.kind as u8, 0]);
        message.extend_from_slice(&(record.sources.len() as u16).to_be_bytes());
        message.extend_from_slice(&record.group.octets());
        for source in &record.sources {
            message.extend_from_slice(&source.octets());
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed_query(message: &[u8]) -> Query {
        match parse(message) {
            Some(Message::Query(query)) => query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn floating_point_codes_follow_rfc_3376() {
        // Section 4.1.1: Max Resp Time = (mant | 0x10) << (exp + 3).
        assert_eq!((expand(0), expand(127)), (0, 127));
        assert_eq!((expand(0x80), expand(0x8f)), (128, 248));
        assert_eq!(expand(0xff), 31_744);
    }

    #[test]
    fn the_version_of_a_query_is_told_by_length_and_code() {
        let all = [0x11, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parsed_query(&all).version, Version::V1);
        assert_eq!(parsed_query(&all).max_response, Duration::from_secs(10));
        let group = [0x11, 10, 0, 0, 239, 1, 2, 3];
        let q = parsed_query(&group);
        assert_eq!(
            (q.version, q.max_response),
            (Version::V2, Duration::from_secs(1))
        );
        assert_eq!(q.group, Some(Ipv4Addr::new(239, 1, 2, 3)));
        let v3 = [0x11, 0x80, 0, 0, 239, 1, 2, 3, 3, 60, 0, 1, 192, 0, 2, 9];
        let q = parsed_query(&v3);
        assert_eq!(
            (q.version, q.max_response),
            (Version::V3, Duration::from_millis(12_800))
        );
        assert_eq!(
            (q.robustness, q.interval),
            (Some(3), Some(Duration::from_secs(60)))
        );
        assert_eq!(q.sources, [Ipv4Addr::new(192, 0, 2, 9)]);
        // Between 8 and 12 bytes "MUST be silently ignored"; so is a source count beyond the end.
        assert_eq!(parse(&v3[..10]), None);
        assert_eq!(parse(&v3[..12]), None);
        assert_eq!(parse(&[0x11, 1, 0, 0, 10, 0, 0, 1]), None);
    }

    #[test]
    fn a_version_3_report_is_as_a_captured_one() {
        // Windows joining 239.255.255.250 (SSDP), checksum 0xea03 left out.
        let record = Record {
            kind: RecordKind::ToExclude,
            group: Ipv4Addr::new(239, 255, 255, 250),
            sources: Vec::new(),
        };
        assert_eq!(
            report_v3(&[record]),
            [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0xef, 0xff, 0xff, 0xfa]
        );
        // RFC 3376 sections 4.2.4 to 4.2.10: lengths in 32-bit words, sources after the group.
        let record = Record {
            kind: RecordKind::Allow,
            group: Ipv4Addr::new(232, 1, 1, 1),
            sources: vec![Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)],
        };
        assert_eq!(
            report_v3(&[record])[8..],
            [5, 0, 0, 2, 232, 1, 1, 1, 192, 0, 2, 1, 192, 0, 2, 2]
        );
        assert_eq!(record_len(2), 16);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(mut message in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..8) {
            if let Some(first) = message.first_mut() {
                *first = [0x11, 0x11, 0x12, 0x16, 0x17, 0x22, 0x13, *first][usize::from(kind)];
            }
            if let Some(Message::Query(query)) = parse(&message) {
                prop_assert!(query.sources.len() <= MAX_SOURCES);
            }
        }

        #[test]
        fn short_messages_are_read_alike_by_smoltcp(code: u8, group in 0xe000_0000u32..0xf000_0000, kind in 0usize..3) {
            use smoltcp::wire::{IgmpPacket, IgmpRepr, IgmpVersion};
            let group = Ipv4Addr::from(group);
            let mut bytes = match kind {
                0 => report(Version::V2, group),
                1 => leave(group),
                _ => [&[0x11, code, 0, 0][..], &group.octets()].concat(),
            };
            IgmpPacket::new_unchecked(&mut bytes[..]).fill_checksum();
            let theirs = IgmpRepr::parse(&IgmpPacket::new_checked(&bytes[..]).expect("a message")).expect("a message");
            match (theirs, parse(&bytes)) {
                (IgmpRepr::MembershipReport { group_addr, version: IgmpVersion::Version2 }, Some(Message::Report(ours))) => {
                    prop_assert_eq!((group_addr, ours, kind), (group, group, 0));
                }
                (IgmpRepr::LeaveGroup { group_addr }, None) => prop_assert_eq!((group_addr, kind), (group, 1)),
                (IgmpRepr::MembershipQuery { group_addr, version, .. }, Some(Message::Query(ours))) => {
                    prop_assert_eq!(ours.group, Some(group_addr));
                    prop_assert_eq!(ours.version == Version::V1, version == IgmpVersion::Version1);
                }
                (theirs, ours) => prop_assert!(false, "{:?} {:?}", theirs, ours),
            }
        }
    }
}

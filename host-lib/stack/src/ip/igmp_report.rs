//! What a version 3 report says: group records for the state of a filter or its changes, cut to fit into packets
//! (RFC 3376 sections 4.2.12 to 4.2.16 and 5.1).

use std::net::Ipv4Addr;

use super::filter::{Filter, FilterMode};
use crate::wire::igmp::{record_len, report_v3, Record, RecordKind, REPORT_HEADER_LEN};

fn record(kind: RecordKind, group: Ipv4Addr, sources: Vec<Ipv4Addr>) -> Record {
    Record {
        kind,
        group,
        sources,
    }
}

/// The current-state record of a group.
pub(super) fn current_state(group: Ipv4Addr, filter: &Filter) -> Record {
    let kind = match filter.mode {
        FilterMode::Include => RecordKind::IsInclude,
        FilterMode::Exclude => RecordKind::IsExclude,
    };
    record(kind, group, filter.sources.iter().copied().collect())
}

/// The records of a state-change report: the `whole` filter, or of the `changed` sources those that are wanted now and
/// those that are not.
pub(super) fn state_change<'a>(
    group: Ipv4Addr,
    filter: &Filter,
    whole: bool,
    changed: impl Iterator<Item = &'a Ipv4Addr>,
) -> Vec<Record> {
    if whole {
        let kind = match filter.mode {
            FilterMode::Include => RecordKind::ToInclude,
            FilterMode::Exclude => RecordKind::ToExclude,
        };
        return vec![record(
            kind,
            group,
            filter.sources.iter().copied().collect(),
        )];
    }
    let (allow, block): (Vec<Ipv4Addr>, Vec<Ipv4Addr>) = changed.partition(|s| filter.allows(**s));
    [(RecordKind::Allow, allow), (RecordKind::Block, block)]
        .into_iter()
        .filter(|(_, sources)| !sources.is_empty())
        .map(|(kind, sources)| record(kind, group, sources))
        .collect()
}

/// Puts records into as few reports as hold them, none longer than `room` bytes.
///
/// RFC 3376 section 4.2.16: what is too long for one report goes in several, but of an excluding record only as many
/// sources as fit are told, for a second record would undo the first.
pub(super) fn pack(records: impl Iterator<Item = Record>, room: usize) -> Vec<Vec<u8>> {
    let most = (room.saturating_sub(REPORT_HEADER_LEN + record_len(0)) / 4).max(1);
    let mut reports = Vec::new();
    let (mut batch, mut used) = (Vec::new(), REPORT_HEADER_LEN);
    for record in records {
        let excludes = matches!(record.kind, RecordKind::IsExclude | RecordKind::ToExclude);
        let mut pieces: Vec<&[Ipv4Addr]> = record.sources.chunks(most).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        if excludes {
            pieces.truncate(1);
        }
        for piece in pieces {
            let len = record_len(piece.len());
            if used + len > room && !batch.is_empty() {
                reports.push(report_v3(&batch));
                batch.clear();
                used = REPORT_HEADER_LEN;
            }
            used += len;
            batch.push(Record {
                sources: piece.to_vec(),
                ..record
            });
        }
    }
    if !batch.is_empty() {
        reports.push(report_v3(&batch));
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(mode: FilterMode, n: u8) -> Filter {
        Filter {
            mode,
            sources: (1..=n).map(|n| Ipv4Addr::new(192, 0, 2, n)).collect(),
        }
    }

    proptest! {
        #[test]
        fn reports_fit_and_lose_no_included_source(
            groups in prop::collection::vec((any::<bool>(), any::<u8>()), 0..40), room in 40usize..1476,
        ) {
            let records: Vec<Record> = groups.iter().enumerate().map(|(i, (include, n))| {
                let mode = if *include { FilterMode::Include } else { FilterMode::Exclude };
                current_state(Ipv4Addr::new(239, 0, 0, i as u8), &filter(mode, *n))
            }).collect();
            let reports = pack(records.into_iter(), room);
            let mut told = vec![None; groups.len()];
            for report in &reports {
                prop_assert!(report.len() <= room);
                let count = u16::from_be_bytes([report[6], report[7]]);
                let mut rest = &report[8..];
                for _ in 0..count {
                    let sources = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
                    *told[usize::from(rest[7])].get_or_insert(0) += sources;
                    rest = &rest[8 + 4 * sources..];
                }
                prop_assert!(rest.is_empty());
            }
            for ((include, n), told) in groups.iter().zip(told) {
                let all = usize::from(*n);
                let fits = (room - 16) / 4;
                prop_assert_eq!(told, Some(if *include { all } else { all.min(fits) }));
            }
        }
    }
}

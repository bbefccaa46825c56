//! What routers are told of multicast groups (RFC 2236, RFC 3376), and what hostile ones can do.

use crate::common::*;
use crate::craft::igmp::*;
use crate::craft::*;
use crate::members::*;
use ferrule_stack::{Bytes, Instant, Stack};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Moves to the next deadline, which must come within `limit` of `now`.
fn next(s: &Stack<Bytes>, now: Instant, limit: Duration) -> Instant {
    let at = s.next_deadline().expect("something is to come");
    assert!(at > now && at <= now + limit, "{at:?} after {now:?}");
    at
}

#[test]
fn version_3_tells_changes_at_once_and_once_more_within_a_second() {
    let mut s = stack(A);
    let id = member(&mut s);
    let second = Duration::from_secs(1);
    s.multicast_join(ms(0), id, GROUP).expect("a group");
    let join = vec![(TO_EX, GROUP, vec![])];
    assert_eq!(told(&mut s, ms(0)), join);
    let now = next(&s, ms(0), second);
    assert_eq!(told(&mut s, now), join);
    assert_eq!(s.next_deadline(), None);
    s.multicast_block_source(now, id, GROUP, source(1))
        .expect("a member");
    assert_eq!(told(&mut s, now), [(BLOCK, GROUP, vec![source(1)])]);
    // A change before the repetition is told with what is still to be told (RFC 3376 section 5.1).
    s.multicast_block_source(now, id, GROUP, source(2))
        .expect("a member");
    assert_eq!(
        told(&mut s, now),
        [(BLOCK, GROUP, vec![source(1), source(2)])]
    );
    s.multicast_unblock_source(now, id, GROUP, source(1))
        .expect("blocked");
    let both = [
        (ALLOW, GROUP, vec![source(1)]),
        (BLOCK, GROUP, vec![source(2)]),
    ];
    assert_eq!(told(&mut s, now), both);
    let now = next(&s, now, second);
    assert_eq!(told(&mut s, now), [(ALLOW, GROUP, vec![source(1)])]);
    assert_eq!(s.next_deadline(), None);
    s.multicast_leave(now, id, GROUP).expect("a member");
    let leave = vec![(TO_IN, GROUP, vec![])];
    assert_eq!(told(&mut s, now), leave);
    let now = next(&s, now, second);
    assert_eq!(told(&mut s, now), leave);
    assert_eq!(s.next_deadline(), None);
}

#[test]
fn version_3_answers_queries_after_a_random_time_with_what_was_asked() {
    let mut s = stack(A);
    let id = member(&mut s);
    s.multicast_join(ms(0), id, GROUP).expect("a group");
    s.multicast_join_source(ms(0), id, OTHER, source(1))
        .expect("a group");
    s.multicast_join_source(ms(0), id, OTHER, source(2))
        .expect("a group");
    drain(&mut s, ms(0));
    // After the unsolicited reports.
    let mut now = ms(5_000);
    drain(&mut s, now);
    assert_eq!(s.next_deadline(), None);
    let mut ask = |s: &mut Stack<Bytes>, query: &[u8]| {
        feed(s, now, query);
        assert!(drain(s, now).is_empty(), "answered at once");
        now = next(s, now, Duration::from_secs(10));
        told(s, now)
    };
    let mut all = ask(&mut s, &query_v3(ANY, 100, &[]));
    all.sort();
    let other = vec![source(1), source(2)];
    assert_eq!(all, [(IS_IN, OTHER, other.clone()), (IS_EX, GROUP, vec![])]);
    assert_eq!(
        ask(&mut s, &query_v3(GROUP, 100, &[])),
        [(IS_EX, GROUP, vec![])]
    );
    let asked = [source(2), source(3)];
    // RFC 3376 section 5.2: INCLUDE(A) answers A*B, EXCLUDE(A) answers B-A.
    assert_eq!(
        ask(&mut s, &query_v3(OTHER, 100, &asked)),
        [(IS_IN, OTHER, vec![source(2)])]
    );
    assert_eq!(
        ask(&mut s, &query_v3(GROUP, 100, &asked)),
        [(IS_IN, GROUP, asked.to_vec())]
    );
    assert!(ask(&mut s, &query_v3(OTHER, 100, &[source(9)])).is_empty());
    // Two queries are answered together (rule 5), whole if either asked for the whole group (rule 4).
    let mut twice = |s: &mut Stack<Bytes>, second: &[u8]| {
        feed(s, now, &query_v3(OTHER, 100, &[source(1)]));
        feed(s, now, second);
        now = next(s, now, Duration::from_secs(10));
        let told = told(s, now);
        assert_eq!(s.next_deadline(), None);
        told
    };
    let more = query_v3(OTHER, 100, &[source(2)]);
    assert_eq!(twice(&mut s, &more), [(IS_IN, OTHER, other.clone())]);
    assert_eq!(
        twice(&mut s, &query_v3(OTHER, 100, &[])),
        [(IS_IN, OTHER, other)]
    );
    // A group that nobody here is in, no address of a group, and a corrupt query.
    let mut corrupt = query_v3(ANY, 100, &[]);
    corrupt[25] ^= 1;
    for query in [query_v3(Ipv4Addr::new(239, 4, 4, 4), 10, &[]), corrupt] {
        feed(&mut s, now, &query);
        assert_eq!(s.next_deadline(), None);
    }
}

#[test]
fn with_a_version_2_router_reports_are_its_own_and_one_host_answers_for_all() {
    let mut s = stack(A);
    let id = member(&mut s);
    feed(&mut s, ms(0), &query_v2(ANY, 100));
    s.multicast_join(ms(1), id, GROUP).expect("a group");
    let report = vec![(GROUP, 0x16, GROUP)];
    assert_eq!(told_v2(&mut s, ms(1)), report);
    // RFC 2236 section 8.10: again within ten seconds.
    let now = next(&s, ms(1), Duration::from_secs(10));
    assert_eq!(told_v2(&mut s, now), report);
    feed(&mut s, now, &query_v2(ANY, 50));
    let now = next(&s, now, Duration::from_secs(5));
    assert_eq!(told_v2(&mut s, now), report);
    // Who was the last to report leaves with a message, to all routers.
    s.multicast_leave(now, id, GROUP).expect("a member");
    assert_eq!(told_v2(&mut s, now), [(ALL_ROUTERS, 0x17, GROUP)]);
    s.multicast_join(now, id, GROUP).expect("a group");
    assert_eq!(told_v2(&mut s, now), report);
    feed(&mut s, now, &query_v2(GROUP, 10));
    // Another host is faster: nothing is left to be said, not even on leaving.
    let (mut ip, message) = parse(&igmp(
        GROUP,
        [&[0x16, 0, 0, 0][..], &GROUP.octets()].concat(),
    ));
    ip.source = B.octets();
    feed(&mut s, now, &packet(ip, &message));
    let later = now + Duration::from_secs(20);
    assert!(told_v2(&mut s, later).is_empty());
    s.multicast_leave(later, id, GROUP).expect("a member");
    assert!(told_v2(&mut s, later).is_empty());
}

#[test]
fn the_oldest_router_present_sets_the_version_until_it_has_been_silent() {
    let mut s = stack(A);
    let id = member(&mut s);
    // A version 1 query has no response time; it counts as present for 2 x 125 s + 10 s (RFC 3376 section 8.12).
    feed(&mut s, ms(0), &query_v2(ANY, 0));
    feed(&mut s, ms(0), &query_v2(ANY, 100));
    s.multicast_join(ms(0), id, GROUP).expect("a group");
    assert_eq!(told_v2(&mut s, ms(0)), [(GROUP, 0x12, GROUP)]);
    // Version 1 has no leave message.
    s.multicast_leave(ms(0), id, GROUP).expect("a member");
    assert!(told_v2(&mut s, ms(0)).is_empty());
    feed(&mut s, ms(200_000), &query_v2(ANY, 100));
    s.multicast_join(ms(260_000), id, GROUP).expect("a group");
    assert_eq!(told_v2(&mut s, ms(260_000)), [(GROUP, 0x16, GROUP)]);
    let silent = ms(460_000);
    while s.next_deadline().is_some_and(|at| at < silent) {
        let at = s.next_deadline().expect("there is one");
        told_v2(&mut s, at);
    }
    assert_eq!(s.next_deadline(), Some(silent));
    assert!(drain(&mut s, silent).is_empty());
    s.multicast_leave(silent, id, GROUP).expect("a member");
    assert_eq!(told(&mut s, silent), [(TO_IN, GROUP, vec![])]);
}

#[test]
fn all_hosts_is_heard_without_joining_and_never_reported() {
    let mut s = stack(A);
    let id = member(&mut s);
    feed(&mut s, ms(0), &from_to(B, ALL_HOSTS));
    assert!(heard(&mut s, id));
    s.multicast_join(ms(0), id, ALL_HOSTS).expect("a group");
    feed(&mut s, ms(0), &query_v3(ANY, 10, &[]));
    assert!(drain(&mut s, ms(60_000)).is_empty());
    feed(&mut s, ms(60_000), &query_v2(ANY, 10));
    assert!(drain(&mut s, ms(120_000)).is_empty());
}

#[test]
fn a_flood_of_queries_makes_few_reports_and_holds_no_memory() {
    let mut s = stack(A);
    let id = member(&mut s);
    s.multicast_join(ms(0), id, GROUP).expect("a group");
    drain(&mut s, ms(5_000));
    for n in 0..100_000u32 {
        let asked: Vec<Ipv4Addr> = (0..9).map(|i| Ipv4Addr::from(n * 9 + i)).collect();
        feed(&mut s, ms(5_000), &query_v3(GROUP, 100, &asked));
    }
    assert!(s.stats().rate_limited > 90_000);
    let at = next(&s, ms(5_000), Duration::from_secs(10));
    // So many sources were asked for that the whole group is the answer.
    assert_eq!(told(&mut s, at), [(IS_EX, GROUP, vec![])]);
    assert_eq!(s.next_deadline(), None);
}

#[test]
fn random_delays_are_spread_and_differ_between_hosts() {
    let delays = |seed| {
        let mut config = config(A);
        config.seed = [seed; 16];
        let mut s = Stack::<Bytes>::new(config);
        let id = member(&mut s);
        s.multicast_join(ms(0), id, GROUP).expect("a group");
        drain(&mut s, ms(2_000));
        let mut now = ms(2_000);
        (0..200)
            .map(|_| {
                feed(&mut s, now, &query_v3(ANY, 100, &[]));
                let at = next(&s, now, Duration::from_secs(10));
                let delay = (at - now).as_millis();
                drain(&mut s, at);
                now = at;
                delay
            })
            .collect::<Vec<_>>()
    };
    let (one, two) = (delays(1), delays(2));
    assert_ne!(one, two);
    let mean = one.iter().sum::<u128>() / 200;
    // Uniform over 10 s: the mean of 200 is within five standard errors of 5 s.
    assert!((3_980..6_020).contains(&mean), "{mean}");
}

proptest! {
    #[test]
    fn any_igmp_message_leaves_the_stack_standing(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 8..80), 0usize..7, any::<bool>()), 1..30),
    ) {
        let mut s = stack(A);
        let id = member(&mut s);
        s.multicast_join_source(ms(0), id, GROUP, source(1)).expect("a group");
        let mut now = ms(0);
        for (mut message, kind, ours) in messages {
            message[0] = [0x11, 0x11, 0x11, 0x12, 0x16, 0x17, 0x22][kind];
            if ours {
                message[4..8].copy_from_slice(&GROUP.octets());
            }
            message[2..4].fill(0);
            feed(&mut s, now, &igmp(ALL_HOSTS, message));
            drain(&mut s, now);
            now += Duration::from_millis(700);
        }
        // Everything that was set going comes to an end.
        for _ in 0..200 {
            let Some(at) = s.next_deadline() else {
                return Ok(());
            };
            now = now.max(at);
            drain(&mut s, now);
        }
        prop_assert!(false, "timers without end");
    }
}

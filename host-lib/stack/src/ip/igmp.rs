//! The host's side of IGMP: telling multicast routers what is wanted, in version 3 (RFC 3376) or in that of the oldest
//! router heard (RFC 2236, RFC 1112).

use core::hash::BuildHasher;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::filter::{Filter, FilterMode};
use super::igmp_report::{current_state, pack, state_change};
use super::membership::{Memberships, ALL_HOSTS};
use crate::tcp::secrets::TableKeys;
use crate::time::Instant;
use crate::wire::igmp::{self, Query, Version};

/// RFC 3376 section 8.1: the robustness variable until a querier tells its own.
const ROBUSTNESS: u8 = 2;
/// RFC 3376 section 8.2.
const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// RFC 3376 section 8.11, between state-change reports.
const UNSOLICITED_V3: Duration = Duration::from_secs(1);
/// RFC 2236 section 8.10, between the first reports of a group.
const UNSOLICITED_V2: Duration = Duration::from_secs(10);
/// Sources that are kept of queries for one group at most (RFC 3376 section 9.1).
const MAX_ASKED: usize = 64;
/// Where leave messages go (RFC 2236 section 9).
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// Where version 3 reports go (RFC 3376 section 4.2.14).
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// A message to send, its checksum still 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: Ipv4Addr,
    pub(crate) message: Vec<u8>,
}

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// An old querier has been silent long enough to be forgotten.
    Version,
    /// The answer to a general query is due.
    General,
    /// The answer to a query for this group is due.
    Response(Ipv4Addr),
    /// A change of this group is told once more.
    Repeat(Ipv4Addr),
}

/// What is still to be told of a group.
#[derive(Default)]
struct Pending {
    response: Option<Instant>,
    /// Sources asked for; empty asks for the whole group.
    asked: BTreeSet<Ipv4Addr>,
    repeat: Option<Instant>,
    /// Reports left that tell the filter mode with all sources; in versions 1 and 2, reports of membership left.
    mode_left: u8,
    /// Reports left that tell whether each of these sources is wanted.
    sources_left: BTreeMap<Ipv4Addr, u8>,
    /// Nobody else has reported the group since we did (RFC 2236 section 3).
    last_reporter: bool,
}

/// The state of IGMP on the link.
pub(crate) struct Igmp {
    pending: HashMap<Ipv4Addr, Pending, TableKeys>,
    timers: BTreeSet<(Instant, Timer)>,
    general: Option<Instant>,
    version: Version,
    version_check: Option<Instant>,
    v1_until: Instant,
    v2_until: Instant,
    robustness: u8,
    query_interval: Duration,
    keys: TableKeys,
    draws: u64,
    /// Bytes of a message that fit into one packet.
    room: usize,
    out: Vec<Outgoing>,
}

impl Igmp {
    /// `room` is how long a message may be.
    pub(crate) fn new(keys: TableKeys, room: usize) -> Igmp {
        Igmp {
            pending: HashMap::with_hasher(keys.clone()),
            timers: BTreeSet::new(),
            general: None,
            version: Version::V3,
            version_check: None,
            v1_until: Instant::ZERO,
            v2_until: Instant::ZERO,
            robustness: ROBUSTNESS,
            query_interval: QUERY_INTERVAL,
            keys,
            draws: 0,
            room,
            out: Vec::new(),
        }
    }

    /// Messages made since the last call.
    pub(crate) fn take_out(&mut self) -> Vec<Outgoing> {
        core::mem::take(&mut self.out)
    }

    /// Neither anything to say nor a timer.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_empty() && self.timers.is_empty()
    }

    /// When [`Igmp::on_time`] must be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What is received of a group has changed.
    pub(crate) fn on_change(
        &mut self,
        now: Instant,
        group: Ipv4Addr,
        before: &Filter,
        after: &Filter,
    ) {
        // RFC 3376 section 5: "No IGMP messages are ever sent regarding the all-systems multicast address."
        if group == ALL_HOSTS || before == after {
            return;
        }
        self.follow_version(now);
        let robustness = self.robustness;
        if self.version == Version::V3 {
            let pending = self.pending.entry(group).or_default();
            // Section 5.1: a change of mode is told with all sources, a change of the list with those that changed.
            if before.mode != after.mode {
                pending.mode_left = robustness;
                pending.sources_left.clear();
            } else {
                for source in before.sources.symmetric_difference(&after.sources) {
                    pending.sources_left.insert(*source, robustness);
                }
            }
            self.tell_change(now, group, after);
        } else if before.is_none() {
            // RFC 2236 section 3: a report at once, and again in case that one is lost.
            let pending = self.pending.entry(group).or_default();
            pending.mode_left = robustness;
            self.report_membership(now, group);
        } else if after.is_none() {
            let last = self.forget(group);
            if self.version == Version::V2 && last {
                self.out.push(Outgoing {
                    to: ALL_ROUTERS,
                    message: igmp::leave(group),
                });
            }
        }
    }

    /// A router asks.
    pub(crate) fn on_query(&mut self, now: Instant, query: &Query, members: &Memberships) {
        if let Some(robustness) = query.robustness {
            self.robustness = robustness;
        }
        if let Some(interval) = query.interval {
            self.query_interval = interval;
        }
        if query.group.is_none() {
            // RFC 3376 section 8.12: an old querier counts as present for this long after its last general query.
            let until = now + self.query_interval * u32::from(self.robustness) + query.max_response;
            match query.version {
                Version::V1 => self.v1_until = until,
                Version::V2 => self.v2_until = until,
                Version::V3 => {}
            }
        }
        self.follow_version(now);
        let delay = self.random_delay(query.max_response);
        let at = now + delay;
        match query.group {
            None if self.version == Version::V3 => self.answer_general(at),
            None => {
                for group in members.groups() {
                    let at = now + self.random_delay(query.max_response);
                    self.answer_group(at, group, &[]);
                }
            }
            Some(group) if members.merged(group).is_some() => {
                self.answer_group(at, group, &query.sources);
            }
            Some(_) => {}
        }
    }

    /// Another host has reported a group: in versions 1 and 2 one report is enough (RFC 2236 section 3).
    pub(crate) fn on_report(&mut self, now: Instant, group: Ipv4Addr) {
        self.follow_version(now);
        if self.version != Version::V3 {
            self.forget(group);
        }
    }

    /// Does what is due.
    pub(crate) fn on_time(&mut self, now: Instant, members: &Memberships) {
        while let Some((at, timer)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Version => {
                    self.version_check = None;
                    self.follow_version(now);
                }
                Timer::General => {
                    self.general = None;
                    let records = members
                        .groups()
                        .into_iter()
                        .filter(|group| *group != ALL_HOSTS)
                        .filter_map(|group| Some(current_state(group, members.merged(group)?)));
                    let messages = pack(records, self.room);
                    self.send_v3(messages);
                }
                Timer::Response(group) => self.respond(group, members.merged(group)),
                Timer::Repeat(group) => {
                    if let Some(pending) = self.pending.get_mut(&group) {
                        pending.repeat = None;
                    }
                    if self.version == Version::V3 {
                        self.tell_change(
                            now,
                            group,
                            members.merged(group).unwrap_or(&Filter::NONE),
                        );
                    } else {
                        self.report_membership(now, group);
                    }
                }
            }
        }
    }

    // RFC 3376 section 5.2, rules 1 and 2.
    fn answer_general(&mut self, at: Instant) {
        if self.general.is_none_or(|pending| pending > at) {
            set(
                &mut self.timers,
                &mut self.general,
                Timer::General,
                Some(at),
            );
        }
    }

    // RFC 3376 section 5.2, rules 3 to 5; without sources RFC 2236 section 3.
    fn answer_group(&mut self, at: Instant, group: Ipv4Addr, sources: &[Ipv4Addr]) {
        if group == ALL_HOSTS {
            return;
        }
        if self.general.is_some_and(|pending| pending <= at) {
            return;
        }
        let pending = self.pending.entry(group).or_default();
        match pending.response {
            // What waits to be told is the whole group already.
            Some(_) if pending.asked.is_empty() => {}
            Some(_) if sources.is_empty() => pending.asked.clear(),
            _ => pending.asked.extend(sources),
        }
        if pending.asked.len() > MAX_ASKED {
            pending.asked.clear();
        }
        let at = pending.response.map_or(at, |earlier| earlier.min(at));
        set(
            &mut self.timers,
            &mut pending.response,
            Timer::Response(group),
            Some(at),
        );
    }

    fn respond(&mut self, group: Ipv4Addr, filter: Option<&Filter>) {
        let Some(pending) = self.pending.get_mut(&group) else {
            return;
        };
        pending.response = None;
        let asked = core::mem::take(&mut pending.asked);
        let Some(filter) = filter else {
            self.tidy(group);
            return;
        };
        if self.version != Version::V3 {
            pending.last_reporter = true;
            self.out.push(Outgoing {
                to: group,
                message: igmp::report(self.version, group),
            });
            return;
        }
        self.tidy(group);
        if asked.is_empty() {
            let messages = pack([current_state(group, filter)].into_iter(), self.room);
            self.send_v3(messages);
            return;
        }
        // Section 5.2: of the sources asked for, those that are wanted, if there are any.
        let wanted = Filter {
            mode: FilterMode::Include,
            sources: asked.into_iter().filter(|s| filter.allows(*s)).collect(),
        };
        if !wanted.is_none() {
            let messages = pack([current_state(group, &wanted)].into_iter(), self.room);
            self.send_v3(messages);
        }
    }

    /// Sends a state-change report and arranges for the next, until all have been sent (RFC 3376 section 5.1).
    fn tell_change(&mut self, now: Instant, group: Ipv4Addr, filter: &Filter) {
        let delay = self.random_delay(UNSOLICITED_V3);
        let Some(pending) = self.pending.get_mut(&group) else {
            return;
        };
        let whole = pending.mode_left > 0;
        let records = state_change(group, filter, whole, pending.sources_left.keys());
        pending.mode_left = pending.mode_left.saturating_sub(1);
        pending.sources_left.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        let again = pending.mode_left > 0 || !pending.sources_left.is_empty();
        set(
            &mut self.timers,
            &mut pending.repeat,
            Timer::Repeat(group),
            again.then_some(now + delay),
        );
        self.tidy(group);
        let messages = pack(records.into_iter(), self.room);
        self.send_v3(messages);
    }

    /// Sends a report of version 1 or 2 and arranges for the next while there are any left.
    fn report_membership(&mut self, now: Instant, group: Ipv4Addr) {
        let delay = self.random_delay(UNSOLICITED_V2);
        let Some(pending) = self.pending.get_mut(&group) else {
            return;
        };
        pending.mode_left = pending.mode_left.saturating_sub(1);
        pending.last_reporter = true;
        set(
            &mut self.timers,
            &mut pending.repeat,
            Timer::Repeat(group),
            (pending.mode_left > 0).then_some(now + delay),
        );
        self.out.push(Outgoing {
            to: group,
            message: igmp::report(self.version, group),
        });
    }

    fn send_v3(&mut self, messages: Vec<Vec<u8>>) {
        self.out
            .extend(messages.into_iter().map(|message| Outgoing {
                to: ALL_V3_ROUTERS,
                message,
            }));
    }

    /// RFC 3376 section 7.2.1: the version spoken is that of the oldest querier present, and "whenever a host changes
    /// its compatibility mode, it cancels all its pending response and retransmission timers".
    fn follow_version(&mut self, now: Instant) {
        let (version, until) = if self.v1_until > now {
            (Version::V1, Some(self.v1_until))
        } else if self.v2_until > now {
            (Version::V2, Some(self.v2_until))
        } else {
            (Version::V3, None)
        };
        set(
            &mut self.timers,
            &mut self.version_check,
            Timer::Version,
            until,
        );
        if version != self.version {
            self.version = version;
            self.pending.clear();
            self.general = None;
            self.timers.retain(|(_, timer)| *timer == Timer::Version);
        }
    }

    /// Drops what is pending for a group; true if we were the last to report it.
    fn forget(&mut self, group: Ipv4Addr) -> bool {
        let Some(mut pending) = self.pending.remove(&group) else {
            return false;
        };
        let timers = &mut self.timers;
        set(timers, &mut pending.response, Timer::Response(group), None);
        set(timers, &mut pending.repeat, Timer::Repeat(group), None);
        pending.last_reporter
    }

    /// Drops the entry of a group of which nothing is left to be told.
    fn tidy(&mut self, group: Ipv4Addr) {
        if let Some(pending) = self.pending.get(&group) {
            if pending.response.is_none() && pending.repeat.is_none() && !pending.last_reporter {
                self.pending.remove(&group);
            }
        }
    }

    /// A delay in (0, `max`] that nobody outside can foresee; none if there is no time.
    fn random_delay(&mut self, max: Duration) -> Duration {
        self.draws += 1;
        let draw = self.keys.hash_one(("igmp", self.draws));
        match u64::try_from(max.as_nanos()) {
            Ok(0) => Duration::ZERO,
            Ok(nanos) => Duration::from_nanos(draw % nanos + 1),
            Err(_) => max,
        }
    }
}

/// Moves a timer from `*armed` to `at`.
fn set(
    timers: &mut BTreeSet<(Instant, Timer)>,
    armed: &mut Option<Instant>,
    timer: Timer,
    at: Option<Instant>,
) {
    if let Some(old) = armed.take() {
        timers.remove(&(old, timer));
    }
    if let Some(at) = at {
        timers.insert((at, timer));
    }
    *armed = at;
}

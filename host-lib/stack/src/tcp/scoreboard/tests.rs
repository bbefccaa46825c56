//! The scoreboard against a model that knows of each octet by itself.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Copy, Clone, Default)]
struct Octet {
    sacked: bool,
    lost: bool,
    again: bool,
    retransmitted: bool,
}

/// Octet `i` of the model has sequence number `base + i`.
struct Model {
    base: Seq,
    una: usize,
    octets: Vec<Octet>,
    /// Where segments end.
    ends: BTreeSet<usize>,
}

impl Model {
    fn head_end(&self) -> Option<usize> {
        self.ends.range(self.una + 1..).next().copied()
    }

    fn count(&self, f: impl Fn(&Octet) -> bool) -> u32 {
        self.octets[self.una..].iter().filter(|o| f(o)).count() as u32
    }

    /// A block: of each segment all of it, or a part that leaves no short rest. Returns the octets that are news.
    fn report(&mut self, from: usize, to: usize) -> u32 {
        let (mut start, mut news) = (self.una, 0);
        let ends: Vec<usize> = self.ends.range(self.una + 1..).copied().collect();
        for end in ends {
            let least = LEAST_PART as usize;
            let first = if from > start {
                from.max(start + least)
            } else {
                start
            };
            let last = if to < end {
                to.min(end.saturating_sub(least))
            } else {
                end
            };
            if first < last && !self.octets[start].sacked {
                news += (last - first) as u32;
                for o in &mut self.octets[first..last] {
                    *o = Octet {
                        sacked: true,
                        retransmitted: o.retransmitted,
                        ..Octet::default()
                    };
                }
                // A segment is cut only where what is known of its octets differs.
                self.ends.extend([first, last]);
            }
            start = end;
        }
        news
    }

    fn mark_lost(&mut self, from: usize, to: usize) {
        for o in &mut self.octets[from..to] {
            if !o.sacked {
                (o.lost, o.again) = (true, false);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Acknowledge(usize, Vec<(usize, usize)>),
    SendLostAgain(u32),
    SendLastAgain,
    HeadLost,
    AllLost,
    NothingLost,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u32..300).prop_map(Step::Push),
        4 => (0usize..400, proptest::collection::vec((0usize..1200, 1usize..500), 0..4)).prop_map(|(a, b)| Step::Acknowledge(a, b)),
        3 => (1u32..300).prop_map(Step::SendLostAgain),
        1 => Just(Step::SendLastAgain),
        1 => Just(Step::HeadLost),
        1 => Just(Step::AllLost),
        1 => Just(Step::NothingLost),
    ]
}

proptest! {
    #[test]
    fn counts_every_octet_as_the_model_does(
        base: u32, steps in proptest::collection::vec(step(), 1..80),
    ) {
        let base = Seq(base);
        let mut board = Scoreboard::new(base);
        let mut model = Model { base, una: 0, octets: Vec::new(), ends: BTreeSet::new() };
        for (time, step) in steps.into_iter().enumerate() {
            let now = Instant::from_millis(time as u64);
            match step {
                Step::Push(len) => {
                    model.octets.resize(model.octets.len() + len as usize, Octet::default());
                    model.ends.insert(model.octets.len());
                    board.push(model.base + model.octets.len() as u32, now);
                }
                Step::Acknowledge(n, blocks) => {
                    let ack = (model.una + n).min(model.octets.len());
                    let mut blocks: Vec<(usize, usize)> = blocks.iter().map(|(at, n)| (model.una + at, model.una + at + n))
                        .filter(|(_, to)| *to <= model.octets.len()).collect();
                    let seqs: Vec<(Seq, Seq)> = blocks.iter().map(|(l, r)| (base + *l as u32, base + *r as u32)).collect();
                    // In ascending order, whatever order they are reported in.
                    blocks.sort_by_key(|(l, _)| *l);
                    let mut expected = 0;
                    for o in &mut model.octets[model.una..ack] {
                        expected += u32::from(!o.sacked);
                    }
                    model.una = ack;
                    let mut sacked = 0;
                    for (from, to) in &blocks {
                        sacked += model.report((*from).max(ack), *to);
                    }
                    let mut arrivals = 0;
                    let told = board.acknowledge(base + ack as u32, &seqs, |_| arrivals += 1);
                    prop_assert_eq!((told.delivered, told.sacked), (expected + sacked, sacked));
                    prop_assert!(arrivals <= told.delivered);
                }
                Step::SendLostAgain(most) => {
                    let first = (model.una..model.octets.len()).find(|i| model.octets[*i].lost && !model.octets[*i].again);
                    let named = board.next_lost(most);
                    prop_assert_eq!(named.map(|(at, _)| at), first.map(|i| base + i as u32));
                    if let (Some((at, len)), Some(i)) = (named, first) {
                        let run = model.octets[i..].iter().take_while(|o| o.lost && !o.again).count();
                        prop_assert_eq!(len, most.min(run as u32));
                        board.sent_again(at, len, now);
                        model.ends.insert(i + len as usize);
                        for o in &mut model.octets[i..i + len as usize] {
                            (o.again, o.retransmitted) = (true, true);
                        }
                    }
                }
                Step::SendLastAgain => {
                    if let Some((at, len)) = board.last() {
                        let i = at.distance_from(base) as usize;
                        prop_assert_eq!(i + len as usize, model.octets.len());
                        // A probe is sent only while the last segment has not been reported.
                        if !model.octets[i].sacked {
                            board.sent_again(at, len, now);
                            for o in &mut model.octets[i..] {
                                (o.again, o.retransmitted) = (true, true);
                            }
                        }
                    }
                }
                Step::HeadLost => {
                    board.mark_head_lost();
                    if let Some(end) = model.head_end() {
                        model.mark_lost(model.una, end);
                    }
                }
                Step::AllLost => {
                    if model.octets.get(model.una).is_some_and(|o| o.sacked) {
                        model.octets.iter_mut().for_each(|o| o.sacked = false);
                    }
                    board.mark_old_lost(|_| true);
                    model.mark_lost(model.una, model.octets.len());
                }
                Step::NothingLost => {
                    board.unmark_lost();
                    model.octets.iter_mut().for_each(|o| o.lost = false);
                }
            }
            let out = (model.octets.len() - model.una) as u32;
            let (sacked, lost, again) = (model.count(|o| o.sacked), model.count(|o| o.lost), model.count(|o| o.again));
            prop_assert_eq!((board.sacked(), board.lost()), (sacked, lost));
            prop_assert_eq!(board.pipe(), (out + again).saturating_sub(sacked + lost));
            prop_assert_eq!(board.end(), base + model.octets.len() as u32);
        }
    }

    #[test]
    fn judging_by_time_takes_all_for_lost_that_a_full_search_would(
        sends in proptest::collection::vec((1u32..5, 0u64..4), 1..40),
        again in proptest::collection::vec(0usize..40, 0..10), limit in 0u64..120,
    ) {
        let mut board = Scoreboard::new(Seq(7));
        let (mut at, mut end) = (0, Seq(7));
        let mut last_sent = Vec::new();
        for (len, wait) in sends {
            at += wait;
            end += len;
            board.push(end, Instant::from_millis(at));
            last_sent.push((end, at, len));
        }
        board.mark_old_lost(|_| true);
        board.unmark_lost();
        for i in again {
            let i = i % last_sent.len();
            at += 1;
            let (end, _, len) = last_sent[i];
            board.sent_again(end - len, len, Instant::from_millis(at));
            last_sent[i].1 = at;
        }
        // Everything last sent before the limit is lost.
        let old = |at: Instant| at < Instant::from_millis(limit);
        board.judge(|at, _| old(at).then_some(0));
        let expected: u32 = last_sent.iter().filter(|(_, at, _)| old(Instant::from_millis(*at))).map(|(_, _, len)| len).sum();
        prop_assert_eq!(board.lost(), expected);
    }
}

#[test]
fn a_partly_reported_segment_is_cut() {
    let mut board = Scoreboard::new(Seq(0));
    board.push(Seq(1000), Instant::ZERO);
    let told = board.acknowledge(Seq(0), &[(Seq(400), Seq(600))], |_| {});
    assert_eq!((told.sacked, board.pipe()), (200, 800));
    assert!(board.mark_head_lost());
    assert_eq!(board.next_lost(1000), Some((Seq(0), 400)));
}

#[test]
fn no_rest_shorter_than_the_least_mss_is_cut_off() {
    let mut board = Scoreboard::new(Seq(0));
    board.push(Seq(1000), Instant::ZERO);
    for at in (1..1000).step_by(2) {
        board.acknowledge(Seq(0), &[(Seq(at), Seq(at + 1))], |_| {});
    }
    // Between single octets, here and there, at least 48 are left.
    assert!(board.segments() <= 2 * 1000 / LEAST_PART + 1);
    board.acknowledge(Seq(0), &[(Seq(0), Seq(1000))], |_| {});
    assert_eq!((board.sacked(), board.pipe()), (1000, 0));
}

#[test]
fn a_report_of_what_was_never_sent_is_ignored() {
    let mut board = Scoreboard::new(Seq(0));
    board.push(Seq(100), Instant::ZERO);
    let told = board.acknowledge(Seq(0), &[(Seq(90), Seq(110))], |_| {});
    assert_eq!((told.sacked, board.sacked()), (0, 0));
    let told = board.acknowledge(Seq(0), &[(Seq(50), Seq(100))], |_| {});
    assert_eq!(told.sacked, 50);
}

#[test]
fn a_loss_is_seen_after_any_number_of_octets_without_one() {
    for by_blocks in [false, true] {
        let mut board = Scoreboard::new(Seq(7));
        // More than half the sequence space, so that its ends can no longer be compared.
        for _ in 0..3 {
            let end = board.end() + (1 << 30);
            board.push(end, Instant::ZERO);
            match by_blocks {
                true => assert_eq!(board.acknowledge(end, &[], |_| {}).delivered, 1 << 30),
                false => assert!(board.pass(end).last.is_some()),
            }
        }
        let una = board.end();
        board.push(una + 1000, Instant::ZERO);
        board.push(una + 2000, Instant::ZERO);
        board.acknowledge(una, &[(una + 1000, una + 2000)], |_| {});
        assert_eq!(board.judge(|_, _| Some(0)), (true, None));
        assert_eq!(board.next_lost(1000), Some((una, 1000)));
    }
}

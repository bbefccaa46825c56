//! Promises of an impaired wire, on a wire that plays and records.
use super::*;
use crate::phy::fcs;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A time and a frame.
type Timed = (u64, Vec<u8>);

/// Plays frames towards the NIC at given times and notes what comes from it.
#[derive(Default)]
struct Script {
    due: VecDeque<Timed>,
    got: Arc<Mutex<Vec<Timed>>>,
}

impl Wire for Script {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.got.lock().unwrap().push((now_ns, frame.to_vec()));
    }
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.due
            .pop_front_if(|(at, _)| *at <= now_ns)
            .map(|(_, f)| f)
    }
    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.due.front().map(|(at, _)| (*at).max(now_ns))
    }
}

/// A frame that says its number, as long as `len` says.
fn numbered(n: usize, len: usize) -> Vec<u8> {
    let mut frame = vec![0x5A; len];
    frame[..8].copy_from_slice(&(n as u64).to_be_bytes());
    frame
}

/// Everything that `frames` become on their way to the NIC, as the simulator would see it: woken at each deadline and never between.
fn to_nic(text: &str, seed: u64, frames: &[Timed]) -> (Vec<(u64, Arrival)>, LaneStats) {
    let script = Script {
        due: frames.to_vec().into(),
        ..Script::default()
    };
    let mut wire = Impaired::new(Box::new(script), &text.parse().unwrap(), seed);
    let (mut now, mut out, mut idle) = (0, vec![], 0);
    while let Some(at) = wire.next_deadline(now) {
        assert!(at >= now, "a deadline in the past");
        now = at;
        let before = out.len();
        while let Some(arrival) = wire.arrive(now) {
            out.push((now, arrival));
        }
        // A deadline may be that of a frame which is lost or delayed further, but each one moves something.
        idle = if out.len() > before { 0 } else { idle + 1 };
        assert!(idle <= frames.len() + 1, "spins at {now}");
    }
    (out, wire.impairments().unwrap().to_nic)
}

/// The same from the NIC: what the inner wire gets.
fn from_nic(text: &str, seed: u64, frames: &[Timed]) -> (Vec<Timed>, LaneStats) {
    let script = Script::default();
    let got = script.got.clone();
    let mut wire = Impaired::new(Box::new(script), &text.parse().unwrap(), seed);
    let mut now = 0;
    let mut frames = frames.iter().peekable();
    loop {
        let sends = frames.peek().map(|(at, _)| *at);
        let due = wire.next_deadline(now);
        let Some(at) = [sends, due].into_iter().flatten().min() else {
            break;
        };
        now = at;
        if sends == Some(at) {
            if let Some((_, frame)) = frames.next() {
                wire.send(now, frame);
            }
        }
        assert_eq!(wire.arrive(now), None);
    }
    let stats = wire.impairments().unwrap().from_nic;
    let got = got.lock().unwrap().clone();
    (got, stats)
}

/// Frames a fixed time apart.
fn paced(count: usize, gap_ns: u64, len: usize) -> Vec<Timed> {
    (0..count)
        .map(|n| (n as u64 * gap_ns, numbered(n, len)))
        .collect()
}

/// Frames at random times, in order.
fn traffic() -> impl Strategy<Value = Vec<Timed>> {
    prop::collection::vec((0..50_000u64, 60..1_514usize), 0..60).prop_map(|steps| {
        let mut at = 0;
        let timed = |(n, (gap, len)): (usize, (u64, usize))| {
            at += gap;
            (at, numbered(n, len))
        };
        steps.into_iter().enumerate().map(timed).collect()
    })
}

fn frames(out: &[(u64, Arrival)]) -> Vec<Vec<u8>> {
    out.iter().map(|(_, a)| a.frame.clone()).collect()
}

/// Whether `share` of `n` throws may give `hits`: within five standard deviations.
fn is_plausible(hits: u64, n: u64, share: f64) -> bool {
    let n = n as f64;
    let deviation = (n * share * (1.0 - share)).sqrt();
    (hits as f64 - n * share).abs() <= 5.0 * deviation + 1.0
}

const EVERYTHING: &str =
    "loss=5%,corrupt=5%,bits=3,mangle=5%,dup=5%,reorder=5%,delay=30us,jitter=20us,rate=200Mbit,queue=20kB";

proptest! {
    #[test]
    fn nothing_asked_for_is_nothing_done(frames in traffic(), seed: u64) {
        let (out, stats) = to_nic("loss=0%", seed, &frames);
        let arrived: Vec<Timed> = out.into_iter().map(|(at, a)| (at, a.frame)).collect();
        prop_assert_eq!(&arrived, &frames);
        let (out, _) = from_nic("loss=0%", seed, &frames);
        prop_assert_eq!(&out, &frames);
        let n = frames.len() as u64;
        prop_assert_eq!(stats, LaneStats { entered: n, delivered: n, ..LaneStats::default() });
    }

    #[test]
    fn the_same_seed_and_traffic_give_the_same_result(frames in traffic(), seed: u64) {
        prop_assert_eq!(to_nic(EVERYTHING, seed, &frames), to_nic(EVERYTHING, seed, &frames));
        prop_assert_eq!(from_nic(EVERYTHING, seed, &frames), from_nic(EVERYTHING, seed, &frames));
    }

    #[test]
    fn nothing_is_invented_and_all_is_accounted_for(frames in traffic(), seed: u64) {
        let (out, stats) = to_nic(EVERYTHING, seed, &frames);
        prop_assert_eq!(stats.entered, frames.len() as u64);
        prop_assert_eq!(stats.delivered, out.len() as u64);
        prop_assert_eq!(
            stats.delivered,
            stats.entered + stats.duplicated - stats.lost - stats.overflowed
        );
        for (at, arrival) in &out {
            if arrival.fcs.is_none() {
                let sent = frames.iter().find(|(_, f)| *f == arrival.frame);
                let Some((entered, _)) = sent else {
                    return Err(TestCaseError::fail("a good frame that nobody sent"));
                };
                prop_assert!(at - entered >= 30_000, "delayed by {}", at - entered);
            }
        }
        let damaged = out.iter().filter(|(_, a)| a.fcs.is_some()).count() as u64;
        prop_assert!(damaged >= stats.corrupted && damaged <= 2 * stats.corrupted);
    }

    #[test]
    fn order_is_kept_whatever_else_is_done_unless_reordering_is_asked_for(frames in traffic(), seed: u64) {
        let all_but = EVERYTHING.replace("reorder=5%,", "").replace("corrupt=5%,bits=3,mangle=5%,", "");
        let (out, _) = to_nic(&all_but, seed, &frames);
        let numbers: Vec<Vec<u8>> = out.iter().map(|(_, a)| a.frame[..8].to_vec()).collect();
        prop_assert!(numbers.is_sorted());
        prop_assert!(out.iter().map(|(at, _)| at).is_sorted());
    }

    #[test]
    fn delay_and_jitter_stay_within_their_bounds(frames in traffic(), seed: u64) {
        let (out, _) = to_nic("rx.delay=2ms,rx.jitter=500us", seed, &frames);
        prop_assert_eq!(out.len(), frames.len());
        let mut latest = 0;
        for ((at, _), (entered, _)) in out.iter().zip(&frames) {
            // A frame waits for the one before it at most.
            latest = latest.max(entered + 2_500_000);
            prop_assert!(*at >= entered + 2_000_000 && *at <= latest, "{at} for {entered}");
        }
        let (out, _) = from_nic("delay=2ms", seed, &frames);
        let shifted: Vec<Timed> = frames.iter().map(|(at, f)| (at + 2_000_000, f.clone())).collect();
        prop_assert_eq!(out, shifted);
    }

    #[test]
    fn the_rate_is_never_exceeded_and_not_wasted(frames in traffic(), mbit in 1..1_000u64) {
        let (out, stats) = to_nic(&format!("rate={mbit}Mbit,queue=1MiB"), 1, &frames);
        prop_assert_eq!((stats.overflowed, out.len()), (0, frames.len()));
        // On the line a frame takes 24 bytes more: preamble, FCS and gap.
        let ns = |frame: &[u8]| (frame.len() as u64 + 24) * 8_000 / mbit;
        let mut free = 0u64;
        for ((at, arrival), (entered, _)) in out.iter().zip(&frames) {
            let earliest = free.max(*entered) + ns(&arrival.frame);
            prop_assert!(*at >= earliest && *at <= earliest + 2, "{at}, not {earliest}");
            free = *at;
        }
    }

    #[test]
    fn what_waits_never_exceeds_the_queue(len in 60..1_514usize, queue in 2_000..20_000usize) {
        // All at once: what is taken is what fits, and the rest is dropped from the tail.
        let frames = paced(50, 0, len);
        let (out, stats) = to_nic(&format!("rate=10Mbit,queue={queue}"), 1, &frames);
        let fit = (queue / (len + 24)).min(50);
        prop_assert_eq!((out.len(), stats.overflowed), (fit, 50 - fit as u64));
        let kept: Vec<Vec<u8>> = frames.into_iter().take(fit).map(|(_, f)| f).collect();
        prop_assert_eq!(super::tests::frames(&out), kept);
    }

    #[test]
    fn a_corrupted_frame_differs_by_as_many_bits_as_asked_and_its_fcs_does_not_fit(
        len in 60..1_514usize, bits in 1..4u32, seed: u64,
    ) {
        let sent = paced(20, 1_000, len);
        let (out, _) = to_nic(&format!("corrupt=100%,bits={bits}"), seed, &sent);
        prop_assert_eq!(out.len(), 20);
        for ((_, arrival), (_, frame)) in out.iter().zip(&sent) {
            let sum = arrival.fcs.expect("up to three bits are always found");
            prop_assert_ne!(sum, fcs(&arrival.frame));
            let line = |f: &[u8], sum: [u8; 4]| [f, &sum].concat();
            let (was, is) = (line(frame, fcs(frame)), line(&arrival.frame, sum));
            let flipped: u32 = was.iter().zip(&is).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert!((1..=bits).contains(&flipped), "{flipped} bits");
        }
        // From the NIC, the far end drops it.
        let (got, stats) = from_nic("corrupt=100%", seed, &sent);
        prop_assert_eq!((got.len(), stats.corrupted), (0, 20));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text: String, key in "[a-z.]{1,8}", value in "[0-9a-zA-Z%.]{0,8}") {
        let _ = (text.parse::<Impairments>(), format!("{key}={value}").parse::<Impairments>());
    }
}

#[test]
fn shares_are_what_was_asked_for_and_one_does_not_change_another() {
    let sent = paced(20_000, 20_000, 60);
    let n = sent.len() as u64;
    let (_, alone) = to_nic("loss=1%", 7, &sent);
    let (_, all) = to_nic("loss=1%,corrupt=2%,dup=3%,reorder=4%", 7, &sent);
    assert_eq!(alone.lost, all.lost, "the same frames are lost");
    let through = n - all.lost;
    for (what, hits, share) in [
        ("lost", all.lost, 0.01),
        ("corrupted", all.corrupted, 0.02),
        ("duplicated", all.duplicated, 0.03),
        ("reordered", all.reordered, 0.04),
    ] {
        assert!(
            is_plausible(hits, through, share),
            "{what}: {hits} of {through}"
        );
    }
    let (_, other) = to_nic("loss=1%", 8, &sent);
    let (_, back) = from_nic("loss=1%", 7, &sent);
    assert!(
        alone.lost != other.lost || alone.lost != back.lost,
        "seeds and directions differ"
    );
}

#[test]
fn a_held_frame_is_passed_by_one_to_three_or_comes_a_millisecond_later() {
    let sent = paced(3_000, 2_000, 60);
    let (out, stats) = to_nic("reorder=5%", 3, &sent);
    assert_eq!(out.len(), 3_000);
    let number = |a: &Arrival| u64::from_be_bytes(a.frame[..8].try_into().unwrap());
    let numbers: Vec<u64> = out.iter().map(|(_, a)| number(a)).collect();
    let mut late = 0;
    for (position, number) in numbers.iter().enumerate() {
        let passed_by = numbers[..position].iter().filter(|n| *n > number).count();
        late += u64::from(passed_by > 0);
        // Those that were let go before it at the same place have passed it, too.
        assert!(passed_by <= 6, "{number} was passed by {passed_by}");
    }
    assert!(
        late > 100 && late <= stats.reordered,
        "{late} of {}",
        stats.reordered
    );
    let (alone, _) = to_nic("reorder=100%", 3, &paced(1, 0, 60));
    assert_eq!(
        alone.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [1_000_000]
    );
}

#[test]
fn a_mangled_packet_has_a_good_fcs_and_a_flipped_bit_within_the_packet() {
    let mut frame = vec![0; 60];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&30u16.to_be_bytes());
    let sent: Vec<Timed> = (0..500).map(|n| (n, frame.clone())).collect();
    let (out, stats) = to_nic("mangle=100%", 1, &sent);
    assert_eq!((out.len(), stats.mangled), (500, 500));
    for (_, arrival) in out {
        assert_eq!(arrival.fcs, None);
        let differ: Vec<usize> = (0..60).filter(|i| arrival.frame[*i] != frame[*i]).collect();
        assert!(
            matches!(differ[..], [at] if (14..44).contains(&at)),
            "{differ:?}"
        );
    }
    let many: Vec<Timed> = (0..20_000).map(|n| (n, frame.clone())).collect();
    let (_, stats) = to_nic("mangle=6%", 1, &many);
    assert!(is_plausible(stats.mangled, 20_000, 0.06), "{stats:?}");
    let (out, stats) = to_nic("mangle=100%", 1, &paced(50, 1_000, 60));
    assert_eq!(
        (stats.mangled, frames(&out).len()),
        (0, 50),
        "no packets of IPv4"
    );
    // A length that cannot be is left alone.
    for (len, bytes) in [(9u16, 60), (47, 60), (0xFFFF, 60), (30, 15)] {
        let mut odd = frame[..bytes].to_vec();
        if bytes > 18 {
            odd[16..18].copy_from_slice(&len.to_be_bytes());
        }
        assert_eq!(
            to_nic("mangle=100%", 1, &[(0, odd)]).1.mangled,
            0,
            "{len} {bytes}"
        );
    }
}

#[test]
fn poll_gives_only_what_a_station_takes() {
    let script = Script {
        due: paced(1_000, 10, 60).into(),
        ..Script::default()
    };
    let mut wire = Impaired::new(Box::new(script), &"corrupt=50%".parse().unwrap(), 1);
    let good = std::iter::from_fn(|| wire.poll(1_000_000)).count() as u64;
    let stats = wire.impairments().unwrap().to_nic;
    assert_eq!((good, stats.delivered), (1_000 - stats.corrupted, 1_000));
}

/// A wire from outside, with frames of no known time.
struct Outside(std::os::unix::net::UnixDatagram, Option<Vec<u8>>);

impl Wire for Outside {
    fn send(&mut self, _: u64, _: &[u8]) {}
    fn poll(&mut self, _: u64) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2_000];
        let next = || self.0.recv(&mut frame).ok().map(|n| frame[..n].to_vec());
        self.1.take().or_else(next)
    }
    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.1 = self.poll(now_ns);
        self.1.is_some().then_some(now_ns)
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        Some(self.0.as_fd())
    }
}

#[test]
fn frames_from_outside_are_delayed_from_when_they_are_found_and_the_descriptor_shows() {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut wire = Impaired::new(
        Box::new(Outside(ours, None)),
        &"delay=1ms".parse().unwrap(),
        1,
    );
    assert!(wire.fd().is_some());
    assert_eq!(
        (wire.next_deadline(5_000), wire.arrive(5_000)),
        (None, None)
    );
    theirs.send(&[1; 60]).unwrap();
    theirs.send(&[2; 60]).unwrap();
    assert_eq!(
        wire.next_deadline(9_000_000),
        Some(9_000_000),
        "to be fetched"
    );
    assert_eq!(wire.arrive(9_000_000), None);
    assert_eq!(wire.next_deadline(9_000_000), Some(10_000_000));
    assert_eq!(wire.arrive(10_000_000).unwrap().frame, [1; 60]);
    assert_eq!(wire.next_deadline(10_000_000), Some(10_000_000));
    assert_eq!(wire.poll(10_000_000).unwrap(), [2; 60]);
    assert_eq!(wire.next_deadline(10_000_000), None);
}

#[test]
fn directions_are_told_apart_and_the_special_overrides_the_general() {
    let spec: Impairments =
        "rx.loss=2%,loss=1%,tx.rate=100Mbit,tx.queue=9kB,delay=3us,corrupt=1%,bits=4"
            .parse()
            .unwrap();
    assert_eq!((spec.to_nic.loss, spec.from_nic.loss), (0.02, 0.01));
    assert_eq!(
        (spec.to_nic.bits_per_s, spec.from_nic.bits_per_s),
        (None, Some(100_000_000))
    );
    assert_eq!(
        (
            spec.from_nic.queue_bytes,
            spec.to_nic.delay_ns,
            spec.to_nic.bits
        ),
        (9_000, 3_000, 4)
    );
    assert!(spec.to_string().starts_with("rx.loss=2%"));
    for (text, hint) in [
        ("", "key=value"),
        ("loss", "key=value"),
        ("loss=1%,", "key=value"),
        ("lose=1%", "choose loss"),
        ("up.loss=1%", "up.loss"),
        ("loss=1", "loss: \"1\" is not a share"),
        ("loss=101%", "share"),
        ("delay=2", "2ms"),
        ("rate=0Mbit", "100Mbit"),
        ("loss=1%,loss=2%", "twice"),
        ("queue=9kB", "without \"rate\""),
        ("bits=2", "without \"corrupt\""),
        ("corrupt=1%,bits=0", "from 1 to 64"),
    ] {
        let error = text.parse::<Impairments>().unwrap_err().to_string();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

//! The clock's promises to waiting threads, raced.
use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::AtomicBool;
use std::thread;

/// Jumps from deadline to deadline until told to stop, as the simulator does when the device is idle.
fn simulate(clock: &SimClock, stop: &AtomicBool, mut before_jump: impl FnMut()) {
    while !stop.load(Ordering::SeqCst) {
        clock.clear_changed();
        match clock.idle() {
            Some(Idle {
                deadline_ns: Some(to),
                ..
            }) => {
                let seen = clock.idle();
                before_jump();
                if let Some(seen) = seen {
                    clock.jump(seen, to);
                }
            }
            _ => {
                let at_most = Timespec {
                    tv_sec: 0,
                    tv_nsec: 1_000_000,
                };
                poll(
                    &mut [PollFd::from_borrowed_fd(clock.changed(), PollFlags::IN)],
                    Some(&at_most),
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn a_deadline_that_is_past_returns_at_once() {
    let clock = SimClock::new();
    clock.advance(100);
    clock.wait(&[], Some(100)).unwrap();
    clock.wait(&[], Some(0)).unwrap();
    assert_eq!(clock.now(), 100);
    clock.advance(50);
    assert_eq!(clock.now(), 100, "never back");
}

#[test]
fn time_does_not_jump_while_an_attached_thread_works_or_is_expected() {
    let clock = SimClock::new();
    let working = clock.attach();
    let ticket = clock.ticket();
    let waiting = clock.clone();
    let waiter = thread::spawn(move || waiting.wait(&[], Some(1_000)));
    while clock.state().waiters.is_empty() {
        thread::yield_now();
    }
    assert_eq!(clock.idle(), None);
    drop(working);
    assert_eq!(clock.idle(), None);
    drop(ticket);
    let seen = clock.idle().unwrap();
    assert_eq!(seen.deadline_ns, Some(1_000));
    let again = clock.attach();
    assert!(!clock.jump(seen, 1_000), "somebody came in between");
    drop(again);
    assert!(clock.jump(clock.idle().unwrap(), 1_000));
    waiter.join().unwrap().unwrap();
    assert_eq!(clock.now(), 1_000);
}

#[test]
fn a_ready_descriptor_means_awake() {
    let clock = SimClock::new();
    let event = Arc::new(new_eventfd().unwrap());
    let (c, e) = (clock.clone(), Arc::clone(&event));
    let waiter = thread::spawn(move || {
        let _attached = c.attach();
        c.wait(&[e.as_fd()], Some(5_000)).unwrap();
        c.now()
    });
    let seen = loop {
        match clock.idle() {
            Some(seen) => break seen,
            None => thread::yield_now(),
        }
    };
    signal(&event);
    assert!(!clock.jump(seen, 5_000), "the interrupt came first");
    assert_eq!(waiter.join().unwrap(), 0);
}

#[test]
fn advancing_wakes_whom_it_passes() {
    let clock = SimClock::new();
    let c = clock.clone();
    let waiter = thread::spawn(move || c.wait(&[], Some(800)).map(|()| c.now()));
    while !waiter.is_finished() {
        let now = clock.now();
        if now < 800 || !clock.state().waiters.is_empty() {
            clock.advance(now + 8);
        }
    }
    assert!(waiter.join().unwrap().unwrap() >= 800);
}

#[test]
fn a_stopped_clock_lets_nobody_hang() {
    let clock = SimClock::new();
    let c = clock.clone();
    let waiter = thread::spawn(move || c.wait(&[], None));
    while clock.state().waiters.is_empty() {
        thread::yield_now();
    }
    clock.stop();
    assert_eq!(
        waiter.join().unwrap().unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    assert_eq!(
        clock.wait(&[], None).unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

/// Threads sleep on deadlines and send each other messages through descriptors. A message is always taken at the time it was sent:
/// were the clock to jump over a thread that has something to do, the times would differ.
#[test]
fn no_jump_over_a_thread_that_has_something_to_do() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 150;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let clock = SimClock::new();
    let stop = Arc::new(AtomicBool::new(false));
    let simulator = thread::spawn({
        let (clock, stop) = (clock.clone(), Arc::clone(&stop));
        move || simulate(&clock, &stop, thread::yield_now)
    });
    let doors: Vec<Arc<OwnedFd>> = (0..THREADS)
        .map(|_| Arc::new(new_eventfd().unwrap()))
        .collect();
    let boxes: Arc<Vec<Mutex<Vec<u64>>>> =
        Arc::new((0..THREADS).map(|_| Mutex::default()).collect());
    // All before the first thread: time passes over one that is not spoken for, and it may have a message already.
    let tickets: Vec<_> = (0..THREADS).map(|_| clock.ticket()).collect();
    let threads: Vec<_> = tickets
        .into_iter()
        .enumerate()
        .map(|(me, ticket)| {
            let (clock, doors, boxes) = (clock.clone(), doors.clone(), Arc::clone(&boxes));
            thread::spawn(move || {
                let _attached = ticket.attach();
                let mut random = StdRng::seed_from_u64(seed + me as u64);
                for round in 0..ROUNDS {
                    let deadline = clock.now() + random.random_range(1..1_000);
                    while clock.now() < deadline {
                        clock.wait(&[doors[me].as_fd()], Some(deadline)).unwrap();
                        assert!(
                            clock.now() <= deadline,
                            "thread {me} round {round}: woken at {} instead of {deadline}",
                            clock.now()
                        );
                        clear(&doors[me]);
                        for sent in boxes[me].lock().unwrap().drain(..) {
                            assert_eq!(
                                clock.now(),
                                sent,
                                "thread {me} round {round}: a message was jumped over"
                            );
                        }
                    }
                    let other = random.random_range(0..THREADS);
                    boxes[other].lock().unwrap().push(clock.now());
                    signal(&doors[other]);
                    if other == me {
                        // The door first: a message that comes between the two is announced, at worst for nothing.
                        clear(&doors[me]);
                        boxes[me].lock().unwrap().clear();
                    }
                }
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
    stop.store(true, Ordering::SeqCst);
    simulator.join().unwrap();
    assert!(results.iter().all(Result::is_ok), "seed {seed}");
}

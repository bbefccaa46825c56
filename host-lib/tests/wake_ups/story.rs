//! A run: some threads that wait in calls, one that sends, one from which frames come at any moment, time, and who drives; all by chance.
use std::io::ErrorKind;
use std::time::Duration;

use shuttle::rand::{thread_rng, Rng};
use shuttle::thread::{spawn, JoinHandle};

use crate::card::{Card, Wire, SOCKETS};
use crate::clock::{Serving, Wall};
use crate::shared::{NicClock, Shared};
use crate::sync::{is_readable, Arc, AtomicBool, Clock, Fd, Ordering, KERNEL};
use crate::Fault;

/// How long a thread looks before it sleeps, where it does.
const BUSY_POLL: Duration = Duration::from_nanos(20);
/// Short enough to be over before what is waited for comes.
const SOME_TIME: Duration = Duration::from_nanos(60);
/// Longer than any run.
const FLUSH: Duration = Duration::from_secs(1);

/// Who drives while no thread waits in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Background {
    Nobody,
    Thread,
    Clock,
}

/// What a thread does; each comes to its end whatever the others do.
#[derive(Clone, Copy)]
enum Call {
    /// Waits for a frame.
    Receive(usize),
    /// Sends one, and waits for the answer.
    Ask(usize),
    /// Waits for the answer to one that is sent after a while, which nothing but a timer tells of.
    AskLater(usize),
    /// Waits for a frame for a while.
    Try(usize, Duration),
    /// Waits until something has happened to a socket, for some time at first.
    Watch(usize, Option<Duration>),
    /// Waits for a descriptor, for some time at first.
    Beside(Fd, Option<Duration>),
    /// Waits for the NIC itself.
    Register(Duration),
}

/// What comes from outside.
#[derive(Clone, Copy)]
enum Arrival {
    Frame(usize),
    Readable(Fd),
}

struct World {
    shared: Arc<Shared<Card>>,
    clock: NicClock,
    wire: Arc<Wire>,
    /// A frame has come to a socket that is watched.
    watched: [Arc<AtomicBool>; SOCKETS],
}

impl World {
    fn make(&self, call: Call) {
        match call {
            Call::Receive(socket) => self.receive(socket),
            Call::Ask(socket) => {
                let sent = self.shared.with(|card, _| card.send(socket));
                sent.expect("a NIC that works");
                self.receive(socket);
            }
            Call::AskLater(socket) => {
                let mut asked = false;
                let received = self.shared.block_on(None, |state, now| {
                    if !std::mem::replace(&mut asked, true) {
                        state.core.send_at(now + Duration::from_nanos(40), socket);
                    }
                    state.core.take(socket)
                });
                received.expect("a NIC that works");
            }
            Call::Try(socket, timeout) => {
                let received =
                    (self.shared).block_on(Some(timeout), |state, _| state.core.take(socket));
                if let Err(e) = received {
                    assert_eq!(e.kind(), ErrorKind::TimedOut);
                }
            }
            Call::Watch(socket, mut time) => {
                let any = || self.watched[socket].load(Ordering::SeqCst);
                while !any() {
                    let waited = self.shared.wait_beside(&[], time.take(), any);
                    waited.expect("a NIC that works");
                }
            }
            Call::Beside(fd, mut time) => {
                while !is_readable(&fd).expect("a descriptor") {
                    let waited = self.shared.wait_beside(&[&fd], time.take(), || false);
                    waited.expect("a NIC that works");
                }
            }
            Call::Register(time) => {
                let waited = self.shared.with_waiting(|_| {
                    let until = self.clock.now() + time.as_nanos() as u64;
                    self.clock.wait(&[], Some(until))
                });
                waited.and_then(|w| w).expect("a NIC that works");
            }
        }
    }

    fn receive(&self, socket: usize) {
        let received = self
            .shared
            .block_on(None, |state, _| state.core.take(socket));
        received.expect("a NIC that works");
    }

    fn arrive(&self, arrival: Arrival) {
        match arrival {
            Arrival::Frame(socket) => self.wire.arrive(socket),
            Arrival::Readable(fd) => KERNEL.set(&fd, true),
        }
    }
}

/// Chooses a call, and sees to it that what it waits for comes.
fn choose(arrivals: &mut Vec<Arrival>) -> Call {
    let mut rng = thread_rng();
    let socket = rng.gen_range(0..SOCKETS);
    let some_time = rng.gen_bool(0.5).then_some(SOME_TIME);
    let mut comes = |arrival| arrivals.push(arrival);
    match rng.gen_range(0..7) {
        0 => {
            comes(Arrival::Frame(socket));
            Call::Receive(socket)
        }
        1 => Call::Ask(socket),
        2 => Call::AskLater(socket),
        3 => {
            // In time or not; nobody else's is taken.
            comes(Arrival::Frame(socket));
            Call::Try(socket, Duration::from_nanos(rng.gen_range(1..100)))
        }
        4 => {
            comes(Arrival::Frame(socket));
            Call::Watch(socket, some_time)
        }
        5 => {
            let fd = KERNEL.open();
            comes(Arrival::Readable(fd));
            Call::Beside(fd, some_time)
        }
        _ => Call::Register(Duration::from_nanos(rng.gen_range(1..50))),
    }
}

/// One run.
pub(crate) fn tell(fault: Option<Fault>) {
    KERNEL.begin(fault);
    let mut rng = thread_rng();
    let background = match rng.gen_range(0..3) {
        0 => Background::Nobody,
        1 => Background::Thread,
        _ => Background::Clock,
    };
    let passes = background != Background::Clock && rng.gen_bool(0.3);
    let serving = Arc::new(Serving::new());
    let clock: Arc<dyn Clock> = match background {
        Background::Clock => serving.clone(),
        _ => Arc::new(Wall { passes }),
    };
    let clock = NicClock::new(clock);
    let wire = Arc::new(Wire::new());
    let watched: [Arc<AtomicBool>; SOCKETS] = Default::default();
    let card = Card::new(Arc::clone(&wire), watched.clone());
    let irqs = vec![wire.interrupt()];
    let shared = Shared::new(card, clock.clone(), irqs, None, BUSY_POLL).expect("a host");
    let world = Arc::new(World {
        shared: Arc::new(shared),
        clock,
        wire,
        watched,
    });
    let taken = background == Background::Nobody || world.shared.leave_to_clock();
    assert_eq!(taken, background != Background::Thread);

    let mut helpers: Vec<JoinHandle<()>> = vec![spawn(|| KERNEL.pass_time())];
    let of_world = |body: fn(&World)| {
        let world = Arc::clone(&world);
        spawn(move || body(&world))
    };
    helpers.push(of_world(|world| world.wire.answer()));
    let service = (background == Background::Thread).then(|| {
        of_world(|world| {
            let closed = |closing: bool| closing.then_some(Ok(()));
            let served = (world.shared).block_on(None, |state, _| closed(state.closing));
            served.expect("a NIC that works");
        })
    });
    if background == Background::Clock {
        helpers.push(spawn(move || serving.run()));
    }

    let mut arrivals = vec![];
    let mut threads: Vec<JoinHandle<()>> = vec![];
    let calls: Vec<Vec<Call>> = (0..rng.gen_range(2..=4))
        .map(|_| {
            let calls = 0..rng.gen_range(1..=3);
            calls.map(|_| choose(&mut arrivals)).collect()
        })
        .collect();
    for calls in calls {
        let world = Arc::clone(&world);
        threads.push(spawn(move || {
            for call in calls {
                world.make(call);
            }
        }));
    }
    let world_of_arrivals = Arc::clone(&world);
    threads.push(spawn(move || {
        while !arrivals.is_empty() {
            let any = thread_rng().gen_range(0..arrivals.len());
            world_of_arrivals.arrive(arrivals.swap_remove(any));
        }
    }));
    for thread in threads {
        thread.join().expect("no thread has panicked");
    }
    // As a host that is dropped.
    world.shared.close();
    if let Some(service) = service {
        service.join().expect("no thread has panicked");
    }
    world.shared.flush(FLUSH).expect("a NIC that works");
    world.wire.end();
    KERNEL.end();
    for helper in helpers {
        helper.join().expect("no thread has panicked");
    }
}

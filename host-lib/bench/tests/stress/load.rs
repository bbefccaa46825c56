//! What the sixteen threads do, and what their counts must come to.
use std::collections::HashMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule::{Host, TcpStream};
use rand::rngs::StdRng;

use crate::watchdog::{Place, Watchdog};
use crate::world::World;
use crate::{connections, datagrams, streams};

/// Threads that work.
const THREADS: usize = 16;
/// Connections of which reader and writer share each end.
const STREAMS: usize = 2;
const OWN_PORT: u16 = 7;
/// Bytes that a connection takes whatever its congestion window.
const OWN_BYTES: usize = 4_000;
/// What a wait takes that has to look at another host too.
const GLANCE: Duration = Duration::from_millis(1);
/// A port that nobody sends to, and how long its reader waits at a time.
const ATTENDED: u16 = 9;
const ATTENTION: Duration = Duration::from_millis(20);

/// When it is set threads come to their end.
pub(crate) type Stop = Arc<Flag>;

#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a thread has done.
pub(crate) enum Count {
    /// Bytes of a stream, by its number.
    Written(usize, usize),
    Read(usize, usize),
    /// Connections.
    Connected(usize),
    Accepted(usize),
    /// Messages.
    Asked(usize),
    Answered(usize),
    /// Bytes there and back on a connection of a thread's own.
    Own(usize),
}

/// What all have done.
#[derive(Default)]
pub(crate) struct Done {
    bytes: usize,
    connections: usize,
    messages: usize,
    own_bytes: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            connections,
            messages,
            own_bytes,
        } = self;
        write!(
            f,
            "{bytes} bytes of shared streams, {connections} connections, {messages} messages, {own_bytes} bytes of an own stream"
        )
    }
}

/// Runs all threads for `time`.
pub(crate) fn run(world: &Arc<World>, rng: &mut StdRng, time: Duration) -> Done {
    let stop = Stop::default();
    let mut threads = Watchdog::new();
    for number in 0..STREAMS {
        streams::start(world, rng, &stop, &mut threads, number);
    }
    connections::start(world, rng, &stop, &mut threads);
    datagrams::start(world, rng, &stop, &mut threads);
    let (own_world, own_stop) = (Arc::clone(world), Arc::clone(&stop));
    threads.spawn("thread with both ends of a stream", move |place| {
        Count::Own(own(&own_world, place, &own_stop))
    });
    assert_eq!(threads.len(), THREADS);
    threads.watch(Some(Instant::now() + time));
    stop.set();
    let attendants = (!world.has_background).then(|| Attendants::start(world));
    let counts = threads.join();
    if let Some(attendants) = attendants {
        attendants.end();
    }
    add_up(&counts)
}

fn add_up(counts: &[Count]) -> Done {
    let mut done = Done::default();
    let mut streams: HashMap<usize, [usize; 2]> = HashMap::new();
    let (mut accepted, mut answered) = (0, 0);
    for count in counts {
        match *count {
            Count::Written(stream, bytes) => streams.entry(stream).or_default()[0] = bytes,
            Count::Read(stream, bytes) => streams.entry(stream).or_default()[1] = bytes,
            Count::Connected(connections) => done.connections += connections,
            Count::Accepted(connections) => accepted += connections,
            Count::Asked(messages) => done.messages += messages,
            Count::Answered(messages) => answered += messages,
            Count::Own(bytes) => done.own_bytes += bytes,
        }
    }
    assert_eq!(streams.len(), 2 * STREAMS);
    for (stream, [written, read]) in streams {
        assert_eq!(read, written, "bytes of stream {stream}");
        assert!(written > 0, "stream {stream} stood still");
        done.bytes += written;
    }
    assert_eq!((accepted, answered), (done.connections, done.messages));
    assert!(done.connections > 0 && done.messages > 0 && done.own_bytes > 0);
    done
}

/// Writes at one end of a connection of its own and reads at the other, and looks at both hosts' events meanwhile.
fn own(world: &World, place: &Place, stop: &Stop) -> usize {
    let at = world.at(OWN_PORT);
    let listener = world.server.listen(at, 1).expect("a listener");
    let mut near = world.client.connect(at).expect("a connection");
    let (mut far, _) = listener.accept().expect("a connection");
    let (near_events, far_events) = (world.client.events(), world.server.events());
    for (stream, events) in [(&near, &near_events), (&far, &far_events)] {
        stream.set_nonblocking(true).expect("an option");
        events.watch(stream, 0).expect("a watch");
    }
    let glance = || {
        for events in [&near_events, &far_events] {
            events.wait(&[], Some(GLANCE)).expect("a NIC that works");
            events.take(&mut vec![]);
        }
    };
    let carry = |from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]| {
        let (mut rest, mut came) = (bytes, vec![]);
        while came.len() < bytes.len() {
            place.goes_on("carrying");
            match from.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
            let mut buffer = [0; OWN_BYTES];
            match to.read(&mut buffer) {
                Ok(read) => came.extend_from_slice(&buffer[..read]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => glance(),
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!(came, bytes);
    };
    let mut total = 0;
    while !stop.is_set() {
        let bytes: Vec<u8> = (total..total + OWN_BYTES)
            .map(|at| (at / 3) as u8)
            .collect();
        carry(&mut near, &mut far, &bytes);
        carry(&mut far, &mut near, &bytes);
        total += bytes.len();
    }
    total
}

/// Threads that wait while the others come to their end, one on each host: where there is no service thread, what a thread has written and left
/// goes on only while another one waits.
struct Attendants {
    over: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Attendants {
    fn start(world: &World) -> Self {
        let over = Stop::default();
        let attend = |host: &Host| {
            let socket = host.bind_udp(("0.0.0.0", ATTENDED)).expect("a socket");
            socket.set_read_timeout(Some(ATTENTION)).expect("an option");
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.is_set() {
                    match socket.recv(&mut [0]) {
                        Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                        other => panic!("nobody sends here: {other:?}"),
                    }
                }
            })
        };
        let threads = [&world.client, &world.server].map(attend).into();
        Self { over, threads }
    }

    fn end(self) {
        self.over.set();
        for thread in self.threads {
            thread.join().expect("no panic");
        }
    }
}

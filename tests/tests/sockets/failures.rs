//! The NIC dies while threads sleep on it: every one of them gets an error, none hangs.
use std::io::Read;
use std::sync::mpsc::channel;

use ferrule::Host;
use ferrule_sim::clock::SimClock;

use crate::lan::{wall_clock_world, within_reason, world, ECHO, NIC};

/// Threads that sleep in different calls, each without a time-out; they end when `kill` has run.
fn sleepers_end(host: &Host, clock: Option<&SimClock>, kill: impl FnOnce()) {
    let (asleep, awake) = channel();
    let stream = host.connect(ECHO).unwrap();
    let listener = host.listen((NIC, 0), 1).unwrap();
    let socket = host.bind_udp((NIC, 0)).unwrap();
    type Sleep = Box<dyn FnOnce() -> std::io::Error + Send>;
    let calls: [Sleep; 3] = [
        Box::new(move || (&stream).read(&mut [0; 1]).unwrap_err()),
        Box::new(move || listener.accept().unwrap_err()),
        Box::new(move || socket.recv(&mut [0; 1]).unwrap_err()),
    ];
    let threads = calls.map(|call| {
        let (asleep, ticket) = (asleep.clone(), clock.map(SimClock::ticket));
        std::thread::spawn(move || {
            let _attached = ticket.map(|ticket| ticket.attach());
            asleep.send(()).unwrap();
            call()
        })
    });
    for _ in &threads {
        awake.recv().unwrap();
    }
    kill();
    for thread in threads {
        // Which error depends on who noticed; that it is no time-out and no success is the promise.
        let error = thread.join().unwrap();
        assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    let error = host.connect(ECHO).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected, "{error}");
}

#[test]
fn a_simulator_that_ends_wakes_every_sleeper_on_the_machines_time() {
    within_reason(|| {
        let (host, simulator) = wall_clock_world();
        sleepers_end(&host, None, || drop(simulator));
    });
}

#[test]
fn a_simulator_that_ends_wakes_every_sleeper_on_simulated_time() {
    within_reason(|| {
        let world = world();
        let (host, clock) = (world.host.clone(), world.clock.clone());
        sleepers_end(&host, Some(&clock), || drop(world));
    });
}

//! Several threads on one host, on simulated time and on the machine's: nobody is left asleep.
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use ferrule::{Host, TcpListener};
use ferrule_sim::clock::SimClock;

use crate::lan::{
    assert_took, busy_world, wall_clock_world, within_reason, world, ECHO, NIC, PEER,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Accepts `connections` and sends back what comes on each.
fn serve(listener: &TcpListener, connections: usize) {
    for _ in 0..connections {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => break,
                n => stream.write_all(&buffer[..n]).unwrap(),
            }
        }
    }
}

/// Sends `text` to `to`, the end after it, and expects it back.
fn converse(host: &Host, to: std::net::SocketAddr, text: &str) {
    let mut stream = host.connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, text);
}

/// Runs a server and clients of three kinds in threads of their own; `attach` holds simulated time for each.
fn crowd(host: &Host, clock: Option<&SimClock>) {
    let listener = host.listen((NIC, 0), 8).unwrap();
    let own = listener.local_addr().unwrap();
    let spawn = |body: Box<dyn FnOnce() + Send>| {
        let ticket = clock.map(SimClock::ticket);
        std::thread::spawn(move || {
            let _attached = ticket.map(|ticket| ticket.attach());
            body();
        })
    };
    let mut threads = vec![spawn(Box::new(move || serve(&listener, 4)))];
    for n in 0..2 {
        let host = host.clone();
        threads.push(spawn(Box::new(move || {
            for round in 0..2 {
                converse(&host, own, &format!("client {n} in round {round}"));
            }
        })));
    }
    let far = host.clone();
    threads.push(spawn(Box::new(move || {
        converse(&far, ECHO.into(), "over the wire");
    })));
    let pinger = host.clone();
    threads.push(spawn(Box::new(move || {
        let reply = pinger.ping().unwrap().echo(PEER, 1, b"?", PATIENCE);
        assert_eq!(reply.unwrap().payload, b"?");
    })));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn threads_share_a_host_on_simulated_time() {
    within_reason(|| {
        let mut world = world();
        world.release();
        crowd(&world.host, Some(&world.clock));
    });
}

#[test]
fn threads_share_a_host_on_the_machines_time() {
    within_reason(|| {
        let (host, simulator) = wall_clock_world();
        crowd(&host, None);
        drop(host);
        drop(simulator);
    });
}

/// Briefly, so that both happen, and for longer than anything takes, so that nobody ever sleeps on the NIC.
#[test]
fn threads_share_a_host_that_looks_before_it_sleeps() {
    for busy_poll in [Duration::from_micros(50), Duration::from_secs(2)] {
        within_reason(move || {
            let (host, simulator) = busy_world(busy_poll);
            crowd(&host, None);
            let socket = host.bind_udp((NIC, 0)).unwrap();
            let timeout = Duration::from_millis(20);
            socket.set_read_timeout(Some(timeout)).unwrap();
            let start = host.now_ns();
            let error = socket.recv(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(Duration::from_nanos(host.now_ns() - start) >= timeout);
            drop(host);
            drop(simulator);
        });
    }
}

#[test]
fn each_sleeper_has_its_own_deadline_whoever_drives() {
    within_reason(|| {
        let mut world = world();
        let timeouts = [900, 50, 400].map(Duration::from_millis);
        let threads = timeouts.map(|timeout| {
            let (host, ticket) = (world.host.clone(), world.clock.ticket());
            std::thread::spawn(move || {
                let _attached = ticket.attach();
                let socket = host.bind_udp((NIC, 0)).unwrap();
                socket.set_read_timeout(Some(timeout)).unwrap();
                let start = host.now_ns();
                let error = socket.recv(&mut [0; 1]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                Duration::from_nanos(host.now_ns() - start)
            })
        });
        world.release();
        for (thread, timeout) in threads.into_iter().zip(timeouts) {
            assert_took(thread.join().unwrap(), timeout);
        }
    });
}

//! What the net itself promises.
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::Duration;

use ferrule_testnet::{Kind, Net, NetError};

/// What several threads did, and when.
fn story(net: &Net) -> Vec<(Duration, SocketAddr, usize)> {
    let to = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(to, 4).unwrap();
    let clients: Vec<_> = (1..4)
        .map(|n| {
            let host = net.host(0).clone();
            net.spawn(move || {
                let mut stream = host.connect(to).unwrap();
                stream.write_all(&vec![n as u8; n * 10_000]).unwrap();
            })
        })
        .collect();
    let mut story = vec![];
    for _ in 1..4 {
        let (mut stream, from) = listener.accept().unwrap();
        let mut buffer = [0; 4_096];
        loop {
            let n = stream.read(&mut buffer).unwrap();
            story.push((net.now(), from, n));
            if n == 0 {
                break;
            }
        }
    }
    clients.into_iter().for_each(|c| c.join().unwrap());
    story
}

#[test]
fn the_same_seed_gives_the_same_run_however_many_threads_there_are() {
    let run = |seed| story(&ferrule_testnet::new().seed(seed).start().unwrap());
    let first = run(60);
    for _ in 0..3 {
        assert_eq!(run(60), first);
    }
    assert_ne!(run(61), first, "ports at least");
}

#[test]
fn a_day_of_sleep_takes_no_time() {
    let net = ferrule_testnet::new().start().unwrap();
    let day = Duration::from_secs(86_400);
    let start = net.now();
    net.sleep(day).unwrap();
    assert_eq!(net.now() - start, day);
}

#[test]
fn a_wait_that_can_never_end_fails() {
    let net = ferrule_testnet::new().seed(62).start().unwrap();
    let to = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(to, 1).unwrap();
    let server = net.spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read(&mut [0; 1]).unwrap_err().kind()
    });
    let mut stream = net.host(0).connect(to).unwrap();
    // Each waits for the other to begin.
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadlock);
    assert_eq!(server.join().unwrap(), ErrorKind::Deadlock);
}

#[test]
fn a_channel_may_be_waited_for_outside() {
    let net = ferrule_testnet::new().start().unwrap();
    let (sender, receiver) = channel();
    let clock = net.clock();
    let thread = net.spawn(move || {
        use ferrule_testnet::Clock;
        clock.wait(&[], Some(5_000_000_000)).unwrap();
        sender.send(clock.now()).unwrap();
    });
    assert_eq!(net.outside(|| receiver.recv().unwrap()), 5_000_000_000);
    thread.join().unwrap();
}

#[test]
fn too_many_hosts_are_refused() {
    let refused = ferrule_testnet::new().hosts(201).start().err().unwrap();
    assert!(matches!(refused, NetError::TooMany(201)));
}

#[test]
fn the_hardware_description_itself_answers_too() {
    let net = ferrule_testnet::new().engine(Kind::Native).start().unwrap();
    let ping = net.host(0).ping().unwrap();
    let time = Duration::from_secs(1);
    let reply = ping.echo(net.address(1), 1, b"through gates", time);
    assert_eq!(reply.unwrap().payload, b"through gates");
}

#[test]
fn a_test_that_panics_leaves_its_capture_and_one_that_passes_does_not() {
    let folder = std::env::temp_dir().join(format!("testnet-user-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let left = || std::fs::read_dir(&folder).unwrap().count();
    let conversation = {
        let folder = folder.clone();
        move |fails: bool| {
            let net = ferrule_testnet::new().captures(&folder).start().unwrap();
            let ping = net.host(0).ping().unwrap();
            let time = Duration::from_secs(1);
            ping.echo(net.address(1), 1, b"?", time).unwrap();
            assert!(!fails, "on purpose");
        }
    };
    let (passing, failing) = (conversation.clone(), conversation);
    std::thread::spawn(move || passing(false)).join().unwrap();
    assert_eq!(left(), 0);
    assert!(std::thread::spawn(move || failing(true)).join().is_err());
    assert_eq!(left(), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}

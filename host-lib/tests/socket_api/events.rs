//! Many sockets watched at once: whatever happens to one is told by its key, and whatever the program may have seen already is not lost.
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use ferrule::TcpStream;

/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there are keys.
#[track_caller]
fn keys(events: &ferrule::Events) -> Vec<u64> {
    let mut keys = vec![];
    for _ in 0..1_000 {
        events.take(&mut keys);
        if !keys.is_empty() {
            return keys;
        }
        events.wait(&[], Some(PATIENCE)).unwrap();
    }
    panic!("nothing happens");
}

/// One thread serves a hundred connections and a UDP socket by their keys; every byte comes back.
#[test]
fn one_thread_serves_many_sockets_by_their_keys() {
    const LISTENER: u64 = 1_000;
    const DATAGRAMS: u64 = 1_001;
    const CONNECTIONS: usize = 100;
    let net = ferrule_testnet::new().seed(11).start().unwrap();
    let (host, to) = (net.host(1).clone(), net.address(1));
    let listener = host.listen((to, 7), CONNECTIONS).unwrap();
    let udp = host.bind_udp((to, 7)).unwrap();
    let server = net.spawn(move || {
        listener.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        let events = host.events();
        events.watch(&listener, LISTENER).unwrap();
        events.watch(&udp, DATAGRAMS).unwrap();
        let mut streams: HashMap<u64, TcpStream> = HashMap::new();
        let (mut accepted, mut datagrams) = (0, 0);
        let mut buffer = [0; 4_096];
        while accepted < CONNECTIONS || !streams.is_empty() || datagrams == 0 {
            for key in keys(&events) {
                if key == LISTENER {
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(true).unwrap();
                        events.watch(&stream, accepted as u64).unwrap();
                        streams.insert(accepted as u64, stream);
                        accepted += 1;
                    }
                } else if key == DATAGRAMS {
                    while let Ok((n, from)) = udp.recv_from(&mut buffer) {
                        udp.send_to(&buffer[..n], from).unwrap();
                        datagrams += 1;
                    }
                } else if let Some(mut stream) = streams.get(&key) {
                    loop {
                        match stream.read(&mut buffer) {
                            // Its watch goes with it.
                            Ok(0) => {
                                streams.remove(&key);
                                break;
                            }
                            Ok(n) => stream.write_all(&buffer[..n]).unwrap(),
                            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                            Err(e) => panic!("{e}"),
                        }
                    }
                }
            }
        }
    });
    let mut streams: Vec<_> = (0..CONNECTIONS)
        .map(|_| net.host(0).connect((to, 7)).unwrap())
        .collect();
    for (n, stream) in streams.iter_mut().enumerate() {
        write!(stream, "{n:04}").unwrap();
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, format!("{n:04}").as_bytes());
    }
    let udp = net.host(0).bind_udp("0.0.0.0:0").unwrap();
    udp.send_to(b"", (to, 7)).unwrap();
    assert_eq!(udp.recv(&mut [0; 8]).unwrap(), 0);
    drop(streams);
    server.join().unwrap();
}

#[test]
fn a_descriptor_of_the_kernels_ends_a_wait_too() {
    let net = ferrule_testnet::new().seed(12).start().unwrap();
    let events = net.host(0).events();
    let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    events.wait(&[near.as_fd()], None).unwrap();
    let mut keys = vec![];
    events.take(&mut keys);
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn another_hosts_socket_is_refused() {
    let net = ferrule_testnet::new().seed(13).start().unwrap();
    let socket = net.host(0).tcp_socket().unwrap();
    let refused = net.host(1).events().watch(&socket, 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

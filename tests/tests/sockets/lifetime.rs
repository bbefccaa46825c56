//! Handles: what the last one's end means for the connection, and the last host's for what is under way.
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use ferrule_sim::wire::host::HTTP_PORT;

use crate::lan::{assert_same_error, world, ECHO, NIC, PEER};

#[test]
fn a_clone_is_the_same_connection_and_the_last_handle_ends_it() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 1).unwrap();
    let client = world.host.connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut clone = client.try_clone().unwrap();
    drop(client);
    clone.write_all(b"alive").unwrap();
    let mut buffer = [0; 5];
    server.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"alive");
    drop(clone);
    assert_eq!(server.read(&mut buffer).unwrap(), 0, "FIN");
}

#[test]
fn dropping_a_connection_with_unread_data_resets_it() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 1).unwrap();
    let mut client = world.host.connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"never read").unwrap();
    server.peek(&mut [0; 1]).unwrap();
    drop(server);

    let std_listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut std_client = TcpStream::connect(std_listener.local_addr().unwrap()).unwrap();
    let (std_server, _) = std_listener.accept().unwrap();
    std_client.write_all(b"never read").unwrap();
    std_server.peek(&mut [0; 1]).unwrap();
    drop(std_server);
    assert_same_error(
        client.read(&mut [0; 8]),
        std_client.read(&mut [0; 8]),
        ErrorKind::ConnectionReset,
    );
}

#[test]
fn dropping_a_connection_with_unread_data_resets_it_on_the_wire() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    stream.write_all(b"comes back and is not read").unwrap();
    stream.peek(&mut [0; 1]).unwrap();
    drop(stream);
    let record = world.end();
    let segments = record.tcp(ECHO);
    let last = segments.iter().rfind(|(from_nic, ..)| *from_nic).unwrap();
    assert!(last.1.rst, "{:?}", last.1);
}

#[test]
fn dropping_a_listener_ends_the_connections_that_nobody_accepted() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 4).unwrap();
    let to = listener.local_addr().unwrap();
    let mut client = world.host.connect(to).unwrap();
    drop(listener);
    let std_listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let std_to = std_listener.local_addr().unwrap();
    let mut std_client = TcpStream::connect(std_to).unwrap();
    drop(std_listener);
    assert_same_error(
        client.read(&mut [0; 8]),
        std_client.read(&mut [0; 8]),
        ErrorKind::ConnectionReset,
    );
    assert_same_error(
        world.host.connect(to),
        TcpStream::connect(std_to),
        ErrorKind::ConnectionRefused,
    );
}

#[test]
fn what_was_written_reaches_the_peer_though_stream_and_host_are_dropped_at_once() {
    // A service that reads on and answers only a whole request.
    let http = SocketAddrV4::new(PEER, HTTP_PORT);
    let request = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; 6_000]].concat();
    let world = world();
    let mut stream = world.host.connect(http).unwrap();
    stream.write_all(&request).unwrap();
    drop(stream);
    let record = world.end();
    let segments = record.tcp(http);
    let syn = segments
        .iter()
        .find(|(from_nic, tcp, _)| *from_nic && tcp.syn)
        .unwrap();
    // The peer, an independent stack, has acknowledged SYN, every byte and FIN.
    let acknowledged = segments
        .iter()
        .filter(|(from_nic, ..)| !from_nic)
        .map(|(_, tcp, _)| {
            tcp.acknowledgment_number
                .wrapping_sub(syn.1.sequence_number)
        })
        .max();
    assert_eq!(acknowledged, Some(request.len() as u32 + 2));
}

#[test]
fn a_message_that_waits_for_its_neighbour_is_sent_though_socket_and_host_are_dropped_at_once() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    socket.send_to(b"last words", (PEER, 9)).unwrap();
    drop(socket);
    let record = world.end();
    assert_eq!(record.messages(), [b"last words"]);
}

#[test]
fn messages_that_the_hardware_still_holds_are_sent_though_socket_and_host_are_dropped_at_once() {
    const MESSAGES: u8 = 120;
    let world = world();
    let ping = world.host.ping().unwrap();
    ping.echo(PEER, 1, b"", Duration::from_secs(1)).unwrap();
    drop(ping);
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    for n in 0..MESSAGES {
        socket.send_to(&[n], (PEER, 9)).unwrap();
    }
    drop(socket);
    let record = world.end();
    let sent: Vec<_> = (0..MESSAGES).map(|n| vec![n]).collect();
    assert_eq!(record.messages(), sent);
}

//! The examples, each run between simulated hosts, with what it is to show.
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use ferrule_testnet::Net;
use nix::sys::epoll::EpollTimeout;

#[path = "../../examples/backlog.rs"]
mod backlog;
#[path = "../../examples/chat_server.rs"]
mod chat_server;
#[path = "../../examples/file_transfer.rs"]
mod file_transfer;
#[path = "../../examples/http_server.rs"]
mod http_server;
#[path = "../../examples/message_borders.rs"]
mod message_borders;
#[path = "../../examples/near_and_far.rs"]
mod near_and_far;
#[path = "../../examples/short_buffers.rs"]
mod short_buffers;
#[path = "../../examples/small_sends.rs"]
mod small_sends;
#[path = "../../examples/tcp_echo_client.rs"]
mod tcp_echo_client;
#[path = "../../examples/tcp_echo_server.rs"]
mod tcp_echo_server;
#[path = "../../examples/udp_echo.rs"]
mod udp_echo;

fn net(seed: u64) -> Net {
    ferrule_testnet::new().seed(seed).start().unwrap()
}

#[test]
fn tcp_echo_sends_everything_back() {
    let net = net(399);
    let at = SocketAddr::from((net.address(1), 7));
    let listener = net.host(1).listen(at, 1).unwrap();
    let server = net.spawn(move || tcp_echo_server::echo(listener.accept().unwrap().0).unwrap());
    let stream = net.host(0).connect(at).unwrap();
    let writer = stream.try_clone().unwrap();
    let sender = net.spawn(move || tcp_echo_client::send(writer, 300_000).unwrap());
    tcp_echo_client::check(&stream, 300_000).unwrap();
    sender.join().unwrap();
    assert_eq!(server.join().unwrap(), 300_000);
}

#[test]
fn the_http_server_has_a_page_and_says_what_it_has_not() {
    let net = net(398);
    let at = SocketAddr::from((net.address(1), 80));
    for (request, status, body) in [
        (
            "GET / HTTP/1.1\r\nHost: nic\r\n\r\n",
            "200 OK",
            http_server::PAGE,
        ),
        ("GET /x HTTP/1.1\r\n\r\n", "404 Not Found", "not found\n"),
        (
            "PUT / HTTP/1.1\r\n\r\n",
            "405 Method Not Allowed",
            "GET only\n",
        ),
    ] {
        let listener = net.host(1).listen(at, 1).unwrap();
        let server = net.spawn(move || http_server::answer(listener.accept().unwrap().0).unwrap());
        let mut stream = net.host(0).connect(at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        server.join().unwrap();
        let (head, got) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{head}"
        );
        assert_eq!(got, body);
    }
}

#[test]
fn udp_echo_sends_every_message_back() {
    let net = net(400);
    let at = SocketAddr::from((net.address(1), 7));
    let server = net.host(1).bind_udp(at).unwrap();
    let messages = [&b"hello"[..], b"", &[7; 20_000]];
    let thread = net.spawn(move || udp_echo::serve(&server, 3).unwrap());
    for message in messages {
        let answer = udp_echo::ask(net.host(0), at, message).unwrap();
        assert!(answer == message);
    }
    thread.join().unwrap();
    let refused = udp_echo::ask(net.host(0), at, b"still there?").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_chat_passes_lines_on_to_all_others_and_shows_the_noisy_the_door() {
    let net = ferrule_testnet::new().hosts(3).seed(401).start().unwrap();
    let at = SocketAddr::from((net.address(2), 6_667));
    let listener = net.host(2).listen(at, 8).unwrap();
    let clock = net.clock();
    let server = net.spawn(move || {
        use ferrule_testnet::Clock;
        let mut chat = chat_server::Chat::new(listener).unwrap();
        let mut came = false;
        // Until everybody has left.
        loop {
            clock.wait(&[chat.as_fd()], None).unwrap();
            let there = chat.turn(EpollTimeout::ZERO).unwrap();
            came |= there > 0;
            if came && there == 0 {
                return;
            }
        }
    });
    let client = |host: usize| {
        let stream = net.host(host).connect(at).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // They are welcomed in this order.
        net.sleep(Duration::from_millis(10)).unwrap();
        stream
    };
    let (mut one, mut two, mut three) = (client(0), client(1), client(0));
    let hears = |stream: &mut ferrule::TcpStream, want: &str| {
        let mut heard = vec![0; want.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), want);
    };
    one.write_all(b"hello, ").unwrap();
    net.sleep(Duration::from_millis(10)).unwrap();
    one.write_all(b"all\nanybody?\n").unwrap();
    for other in [&mut two, &mut three] {
        hears(other, "1: hello, all\n1: anybody?\n");
    }
    two.write_all(b"me\n").unwrap();
    hears(&mut one, "2: me\n");
    hears(&mut three, "2: me\n");
    // A line without an end.
    three.write_all(&[b'x'; 2_000]).unwrap();
    let mut rest = vec![];
    let ended = three.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.unwrap_err().kind() == ErrorKind::ConnectionReset);
    assert!(rest.is_empty());
    drop(two);
    // The others go on.
    let mut four = client(1);
    four.write_all(b"late\n").unwrap();
    hears(&mut one, "4: late\n");
    drop((one, four));
    server.join().unwrap();
}

#[test]
fn a_file_is_stored_whole_or_not_at_all() {
    let net = net(402);
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let at = SocketAddr::from((net.address(1), 9_000));
    let listener = net.host(1).listen(at, 1).unwrap();
    for length in [0, 1, 3_000_000] {
        let bytes: Vec<u8> = (0..length).map(|i: u32| (i % 253) as u8).collect();
        std::fs::write(&from, &bytes).unwrap();
        let (listener, to) = (listener.try_clone().unwrap(), to.clone());
        let there = to.clone();
        let receiver = net
            .spawn(move || file_transfer::receive(listener.accept().unwrap().0, &there).unwrap());
        let stream = net.host(0).connect(at).unwrap();
        let sent = file_transfer::send(stream, &from).unwrap();
        assert_eq!(
            (sent, receiver.join().unwrap()),
            (length.into(), length.into())
        );
        assert!(std::fs::read(&to).unwrap() == bytes);
    }
    // The sender gives up.
    let mut stream = net.host(0).connect(at).unwrap();
    stream.write_all(&100u64.to_be_bytes()).unwrap();
    stream.write_all(b"not a hundred bytes").unwrap();
    drop(stream);
    let error = file_transfer::receive(listener.accept().unwrap().0, &to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(!to.exists());
}

#[test]
fn a_stream_loses_message_borders_and_framing_keeps_them() {
    let seen = message_borders::lesson().unwrap();
    let messages = message_borders::MESSAGES;
    assert_eq!(seen.reads, [messages.concat()], "all in one");
    assert_eq!(seen.short_reads.concat(), messages.concat());
    assert!(seen.short_reads.len() > messages.len(), "cut anywhere");
    assert_eq!(seen.framed, messages);
    assert_eq!(seen.lines, messages);
}

#[test]
fn a_short_buffer_loses_a_datagrams_rest_and_nothing_of_a_stream() {
    let seen = short_buffers::lesson().unwrap();
    assert_eq!(seen.messages, ["one ", "two"]);
    assert_eq!(seen.told, (14, true));
    assert_eq!(seen.stream.concat(), "one and moretwo");
    assert_eq!(seen.stream[0], "one ");
    // The last write that had room took less than it was given.
    let last = *seen.taken.last().unwrap();
    assert!(
        last > 0 && last < short_buffers::OFFERED,
        "{:?}",
        seen.taken
    );
    assert_eq!(seen.taken.iter().sum::<usize>(), short_buffers::ROOM);
    let (sent, received) = seen.sent_and_received;
    assert!(sent >= 10 * short_buffers::OFFERED);
    assert_eq!(sent, received);
}

#[test]
fn small_sends_are_nothing_a_message_joined_or_apart() {
    let want = small_sends::Seen {
        of_an_empty_write: 0,
        of_an_empty_message: (1, 0),
        with_nagle: 2,
        with_nodelay: 3,
    };
    assert_eq!(small_sends::lesson().unwrap(), want);
}

#[test]
fn connections_are_open_before_they_are_accepted_and_their_queues_are_bounded() {
    let seen = backlog::lesson().unwrap();
    assert_eq!(seen.before_accept, backlog::BACKLOG + 1);
    assert_eq!(seen.full.waiting, backlog::BACKLOG + 1);
    assert_eq!(seen.full.backlog, backlog::BACKLOG);
    assert_eq!(seen.one_too_many, ErrorKind::TimedOut);
    assert_eq!(seen.waiting, "client 0");
    assert_eq!(seen.half_open, 3);
}

#[test]
fn a_server_behind_the_gateway_is_reached_by_the_same_client() {
    let seen = near_and_far::lesson().unwrap();
    assert!(
        seen.near.0.starts_with("192.0.2.11:80 to 192.0.2.10:"),
        "{seen:?}"
    );
    assert!(
        seen.far.0.starts_with("198.51.100.10:80 to 192.0.2.10:"),
        "{seen:?}"
    );
    assert_eq!((seen.near.1, seen.far.1), (64, 63));
}

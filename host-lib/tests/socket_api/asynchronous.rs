//! mio and tokio over the sockets' descriptors, and hyper over tokio.
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ferrule::tokio::{TcpListener, TcpStream, UdpSocket};
use ferrule_testnet::Net;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use mio::{Events, Interest, Poll, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::keeper::Keeper;

#[path = "../../examples/http_hyper.rs"]
mod http_hyper;

fn net(seed: u64) -> Net {
    ferrule_testnet::new().seed(seed).start().unwrap()
}

/// How long anything may take on the machine's clock before a test says that it hangs.
const HANGS: Duration = Duration::from_secs(240);

/// Runs a future on tokio, outside simulated time.
fn on_tokio<T>(net: &Net, future: impl Future<Output = T>) -> T {
    let _keeper = Keeper::new(net);
    net.outside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        let limited = async { tokio::time::timeout(HANGS, future).await };
        runtime.block_on(local.run_until(limited)).expect("hangs")
    })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn a_stream_of_tokios_carries_megabytes_both_ways_at_once() {
    let net = net(100);
    let at = SocketAddr::from((net.address(1), 80));
    on_tokio(&net, async {
        let listener = TcpListener::bind_on(net.host(1), at).unwrap();
        let echo = async {
            let (mut stream, from) = listener.accept().await.unwrap();
            assert_eq!(from, stream.peer_addr().unwrap());
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let copied = tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
            copied
        };
        let client = async {
            let stream = TcpStream::connect_on(net.host(0), at).await.unwrap();
            let (mut read, mut write) = tokio::io::split(stream);
            let sent = pattern(3 << 20);
            let (send, mut received) = (sent.clone(), vec![]);
            let sending = async {
                write.write_all(&send).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let receiving = read.read_to_end(&mut received);
            let ((), result) = tokio::join!(sending, receiving);
            result.unwrap();
            assert!(received == sent);
        };
        let (copied, ()) = tokio::join!(echo, client);
        assert_eq!(copied, 3 << 20);
    });
}

#[test]
fn many_tasks_of_tokios_share_one_host() {
    let net = net(101);
    let at = SocketAddr::from((net.address(1), 80));
    on_tokio(&net, async {
        let listener = TcpListener::bind_on(net.host(1), at).unwrap();
        let server = async {
            for _ in 0..30 {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(async move {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await.unwrap();
                    stream
                        .write_all(text.to_uppercase().as_bytes())
                        .await
                        .unwrap();
                });
            }
        };
        let clients: Vec<_> = (0..30)
            .map(|n| {
                let host = net.host(0).clone();
                tokio::task::spawn_local(async move {
                    let mut stream = TcpStream::connect_on(&host, at).await.unwrap();
                    stream
                        .write_all(format!("client {n}").as_bytes())
                        .await
                        .unwrap();
                    stream.shutdown().await.unwrap();
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await.unwrap();
                    assert_eq!(text, format!("CLIENT {n}"));
                })
            })
            .collect();
        server.await;
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn a_connect_of_tokios_that_is_refused_says_so() {
    let net = net(102);
    let at = SocketAddr::from((net.address(1), 80));
    let connected = on_tokio(&net, TcpStream::connect_on(net.host(0), at));
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_reset_ends_a_read_of_tokios() {
    let net = net(103);
    let at = SocketAddr::from((net.address(1), 80));
    on_tokio(&net, async {
        let listener = TcpListener::bind_on(net.host(1), at).unwrap();
        let mut near = TcpStream::connect_on(net.host(0), at).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        far.get_ref().set_linger(Some(Duration::ZERO)).unwrap();
        let reader = tokio::task::spawn_local(async move { near.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        drop(far);
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn messages_of_tokios_keep_their_borders() {
    let net = net(104);
    on_tokio(&net, async {
        let [a, b] =
            [0, 1].map(|n| UdpSocket::bind_on(net.host(n), (net.address(n), 53).into()).unwrap());
        b.connect(a.local_addr().unwrap()).unwrap();
        let server = async {
            let mut buffer = [0; 100];
            for _ in 0..3 {
                let (n, from) = a.recv_from(&mut buffer).await.unwrap();
                a.send_to(&buffer[..n], from).await.unwrap();
            }
        };
        let client = async {
            let mut buffer = [0; 100];
            for message in [&b"one"[..], b"", b"three"] {
                b.send(message).await.unwrap();
                let n = b.recv(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..n], message);
            }
        };
        tokio::join!(server, client);
    });
}

#[test]
fn hyper_serves_and_asks_over_the_nic() {
    let net = net(105);
    let at = SocketAddr::from((net.address(1), 80));
    on_tokio(&net, async {
        let listener = TcpListener::bind_on(net.host(1), at).unwrap();
        tokio::task::spawn_local(http_hyper::serve(listener));
        let stream = TcpStream::connect_on(net.host(0), at).await.unwrap();
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::task::spawn_local(connection);
        let large = pattern(200_000);
        let asked = [
            (
                "GET",
                "/",
                vec![],
                StatusCode::OK,
                http_hyper::PAGE.as_bytes().to_vec(),
            ),
            ("POST", "/echo", large.clone(), StatusCode::OK, large),
            (
                "GET",
                "/nowhere",
                vec![],
                StatusCode::NOT_FOUND,
                b"not here\n".to_vec(),
            ),
        ];
        // One connection, kept alive.
        for (method, path, body, status, want) in asked {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "nic")
                .body(Full::new(Bytes::from(body)))
                .unwrap();
            let response = client.send_request(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body == want, "{path}");
        }
    });
}

#[test]
fn mio_waits_for_a_listener_its_connections_and_a_waker_of_its_own() {
    const LISTENER: Token = Token(0);
    const WAKER: Token = Token(1);
    const STREAM: Token = Token(2);
    let net = net(106);
    let at = SocketAddr::from((net.address(1), 80));
    let mut poll = Poll::new().unwrap();
    let mut listener = net.host(1).listen(at, 4).unwrap();
    listener.set_nonblocking(true).unwrap();
    let registry = poll.registry().try_clone().unwrap();
    registry
        .register(&mut listener, LISTENER, Interest::READABLE)
        .unwrap();
    let waker = mio::Waker::new(&registry, WAKER).unwrap();
    let _keeper = Keeper::new(&net);
    let mut events = Events::with_capacity(8);
    let mut wait = |poll: &mut Poll| {
        net.outside(|| poll.poll(&mut events, Some(HANGS))).unwrap();
        let seen: Vec<_> = events
            .iter()
            .map(|e| {
                (
                    e.token(),
                    e.is_readable(),
                    e.is_writable(),
                    e.is_read_closed(),
                )
            })
            .collect();
        seen
    };
    let mut client = net.host(0).connect(at).unwrap();
    assert_eq!(wait(&mut poll), [(LISTENER, true, false, false)]);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(true).unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut stream, STREAM, both).unwrap();
    assert_eq!(wait(&mut poll), [(STREAM, false, true, false)]);
    waker.wake().unwrap();
    assert_eq!(wait(&mut poll), [(WAKER, true, false, false)]);
    client.write_all(b"hello").unwrap();
    assert_eq!(wait(&mut poll), [(STREAM, true, true, false)]);
    let mut buffer = [0; 8];
    assert_eq!(stream.read(&mut buffer).unwrap(), 5);
    let again = stream.read(&mut buffer).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::WouldBlock);
    drop(client);
    assert_eq!(wait(&mut poll), [(STREAM, true, true, true)]);
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    registry.deregister(&mut stream).unwrap();
    registry
        .reregister(&mut listener, STREAM, Interest::READABLE)
        .unwrap();
    let _client = net.host(0).connect(at).unwrap();
    assert_eq!(wait(&mut poll), [(STREAM, true, false, false)]);
}

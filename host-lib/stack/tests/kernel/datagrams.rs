//! UDP and ICMP both ways.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use ferrule_kernel_wire::Wire;
use ferrule_stack::Error;
use ferrule_test_tools::have;

use crate::lab::{kernel, ours, run, Setup, HANGS, KERNEL, OURS};
use crate::streams::pattern;

/// Nothing, one byte, the most that fits a packet of 1,500, one more, and the most there can be.
const SIZES: [usize; 5] = [0, 1, 1_472, 1_473, 65_507];

fn kernel_socket(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(kernel(port)).expect("a free port");
    socket.set_read_timeout(Some(HANGS)).expect("a socket");
    socket
}

fn setup(seed: u64) -> Setup {
    let wire = Wire {
        delay: Duration::from_millis(1),
        duplicate: 0,
        // Fragments overtake one another.
        reorder: 2_000,
        reorder_by: Duration::from_micros(500),
        ..Wire::default()
    };
    Setup {
        seed,
        wire,
        ..Setup::default()
    }
}

#[test]
fn the_kernel_echoes_our_datagrams_of_all_sizes() {
    run(setup(61), |lab| {
        let socket = kernel_socket(9);
        let peer = std::thread::spawn(move || {
            let mut buf = vec![0; 65_536];
            for _ in SIZES {
                let (n, from) = socket.recv_from(&mut buf).expect("a datagram");
                assert_eq!(socket.send_to(&buf[..n], from).expect("sends"), n);
            }
        });
        let id = lab.stack.udp_bind(ours(0)).expect("a free port");
        let mut buf = vec![0; 65_536];
        for size in SIZES {
            let bytes = pattern(size as u8, 0, size);
            let sent = lab.stack.udp_send_to(id, &bytes, Some(kernel(9)));
            assert_eq!(sent, Ok(size));
            let got = lab.until("the echo", |stack, _| {
                match stack.udp_recv_from(id, &mut buf) {
                    Err(Error::WouldBlock) => None,
                    other => Some(other),
                }
            });
            let got = got.expect("a datagram");
            assert_eq!((got.len, got.from, got.to), (size, kernel(9), OURS));
            assert!(buf[..size] == bytes, "{size} bytes differ");
        }
        lab.join(peer);
    });
}

#[test]
fn we_echo_the_kernels_datagrams_of_all_sizes() {
    run(setup(62), |lab| {
        let id = lab.stack.udp_bind(ours(9)).expect("a free port");
        let peer = std::thread::spawn(|| {
            let socket = kernel_socket(0);
            let mut buf = vec![0; 65_536];
            for size in SIZES {
                let bytes = pattern(size as u8, 0, size);
                let sent = socket.send_to(&bytes, ours(9)).expect("sends");
                assert_eq!(sent, size);
                let (n, from) = socket.recv_from(&mut buf).expect("the echo");
                assert_eq!((n, from), (size, ours(9).into()));
                assert!(buf[..n] == bytes, "{size} bytes differ");
            }
        });
        let mut buf = vec![0; 65_536];
        lab.until("the kernel's side ends", |stack, _| {
            while let Ok(got) = stack.udp_recv_from(id, &mut buf) {
                assert!(!got.is_truncated());
                let echo = stack.udp_send_to(id, &buf[..got.len], Some(got.from));
                assert_eq!(echo, Ok(got.len));
            }
            peer.is_finished().then_some(())
        });
        lab.join(peer);
    });
}

#[test]
fn a_port_nobody_has_is_connection_refused_both_ways() {
    run(setup(63), |lab| {
        let peer = std::thread::spawn(|| {
            let socket = kernel_socket(0);
            socket.connect(ours(99)).expect("a route");
            socket.send(b"anybody?").expect("sends");
            socket.recv(&mut [0; 16]).map_err(|e| e.kind())
        });
        assert_eq!(lab.join(peer), Err(ErrorKind::ConnectionRefused));
        let id = lab.stack.udp_bind(ours(0)).expect("a free port");
        let connected = lab.stack.udp_connect(id, Some(kernel(99)));
        connected.expect("a route");
        assert_eq!(lab.stack.udp_send_to(id, b"anybody?", None), Ok(8));
        let error = lab.until("the answer", |stack, _| {
            match stack.udp_recv_from(id, &mut [0; 16]) {
                Err(Error::WouldBlock) => None,
                other => Some(other),
            }
        });
        assert_eq!(error, Err(Error::ConnectionRefused));
    });
}

#[test]
fn the_kernel_pings_us() {
    if !have(&["ping"]) {
        return;
    }
    run(setup(64), |lab| {
        for size in SIZES {
            let (size, to) = (size.to_string(), OURS.to_string());
            let peer = std::thread::spawn(move || {
                let args = ["-c", "3", "-i", "0.2", "-W", "10", "-s", &size, &to];
                Command::new("ping").args(args).output().expect("runs")
            });
            let output = lab.join(peer);
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            assert!(said.contains(" 0% packet loss"), "{said}");
            assert!(!said.contains("wrong data"), "{said}");
        }
    });
}

#[test]
fn we_ping_the_kernel() {
    run(setup(65), |lab| {
        let id = lab.stack.ping_open().expect("a free identifier");
        let mut buf = vec![0; 65_536];
        for (seq, size) in SIZES.into_iter().enumerate() {
            let bytes = pattern(9, 0, size);
            let sent = lab.stack.ping_send(id, KERNEL, seq as u16, &bytes);
            assert_eq!(sent, Ok(()));
            let reply = lab.until("the reply", |stack, _| {
                match stack.ping_recv(id, &mut buf) {
                    Err(Error::WouldBlock) => None,
                    other => Some(other),
                }
            });
            let reply = reply.expect("a reply");
            assert_eq!(
                (reply.from, reply.seq, reply.len),
                (KERNEL, seq as u16, size)
            );
            assert!(buf[..size] == bytes, "{size} bytes differ");
        }
    });
}

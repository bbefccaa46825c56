//! Flow control: readers that pause, and writes of a few bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use ferrule_kernel_wire::Wire;
use ferrule_stack::Error;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::lab::{kernel, ours, run, Lab, Setup, HANGS};
use crate::streams::pattern;

const LEN: usize = 600_000;

/// Whether the kernel, or we, said that there is no room, and then that there is again.
fn window_closed_and_opened(lab: &Lab, from_kernel: bool) -> bool {
    let segments = lab.segments();
    let mut windows = segments
        .iter()
        .filter(|(p, _, tcp)| p.from_kernel == from_kernel && tcp.ack && !tcp.rst)
        .map(|(_, _, tcp)| tcp.window_size);
    windows.any(|w| w == 0) && windows.any(|w| w > 0)
}

/// A kernel that reads nothing for a while, over `wire`.
fn kernel_pauses(seed: u64, wire: Wire) {
    let setup = Setup {
        seed,
        wire,
        ..Setup::default()
    };
    run(setup, |lab| {
        let listener = TcpListener::bind(kernel(80)).expect("a free port");
        set_socket_recv_buffer_size(&listener, 16_384).expect("a socket");
        let (go, goes) = channel();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(HANGS)).expect("a socket");
            goes.recv().expect("the word to read");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("reads");
            all
        });
        let id = lab.connect(80);
        let bytes = pattern(3, 0, LEN);
        let mut sent = 0;
        lab.until("probes of the closed window", |stack, now| {
            match stack.tcp_send(now, id, &bytes[sent..]) {
                Ok(n) => sent += n,
                Err(Error::WouldBlock) => {}
                Err(error) => panic!("send: {error}"),
            }
            (stack.stats().tcp_zero_window_probes >= 2).then_some(())
        });
        assert!(sent < LEN, "the window never held us back");
        go.send(()).expect("the peer waits");
        lab.send_all(id, &bytes[sent..]);
        let now = lab.now();
        lab.stack.close(now, id).expect("open");
        assert!(lab.join(peer) == bytes);
        assert!(window_closed_and_opened(lab, true), "{:?}", lab.setup);
    });
}

#[test]
fn a_kernel_reader_that_pauses_is_probed_and_then_gets_all() {
    kernel_pauses(41, Wire::default());
}

#[test]
fn a_kernel_reader_that_pauses_gets_all_over_a_wire_that_loses() {
    let wire = Wire {
        delay: Duration::from_millis(1),
        loss: 500,
        ..Wire::default()
    };
    kernel_pauses(42, wire);
}

/// Our program reads nothing for a while.
fn we_pause(seed: u64, wire: Wire) {
    let setup = Setup {
        seed,
        wire,
        config: |config| config.tcp.recv_buffer_bytes = 16_384,
        ..Setup::default()
    };
    run(setup, |lab| {
        let listener = lab.stack.tcp_listen(ours(80), 4).expect("a free port");
        let peer = std::thread::spawn(|| {
            let mut stream = TcpStream::connect_timeout(&ours(80).into(), HANGS).expect("connects");
            stream.set_write_timeout(Some(HANGS)).expect("a socket");
            stream.write_all(&pattern(4, 0, LEN)).expect("sends");
            stream.shutdown(Shutdown::Write).expect("connected");
        });
        let id = lab.accept(listener);
        lab.run_for(Duration::from_millis(700));
        let unread = lab.stack.tcp_unread(id).expect("open");
        assert!((1..=16_384).contains(&unread), "{unread} bytes are held");
        assert!(lab.read_to_end(id) == pattern(4, 0, LEN));
        let now = lab.now();
        lab.stack.close(now, id).expect("open");
        lab.join(peer);
        assert!(window_closed_and_opened(lab, false), "{:?}", lab.setup);
    });
}

#[test]
fn our_reader_pauses_and_then_gets_all() {
    we_pause(43, Wire::default());
}

#[test]
fn our_reader_pauses_and_then_gets_all_over_a_wire_that_loses() {
    let wire = Wire {
        delay: Duration::from_millis(1),
        loss: 500,
        ..Wire::default()
    };
    we_pause(44, wire);
}

#[test]
fn many_small_writes_arrive_whole_with_and_without_nagle() {
    for nodelay in [false, true] {
        let wire = Wire {
            delay: Duration::from_millis(1),
            ..Wire::default()
        };
        let setup = Setup {
            seed: 45 + u64::from(nodelay),
            wire,
            ..Setup::default()
        };
        run(setup, move |lab| {
            const WRITES: usize = 3_000;
            let listener = TcpListener::bind(kernel(80)).expect("a free port");
            let peer = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection");
                stream.set_nodelay(nodelay).expect("a socket");
                stream.set_read_timeout(Some(HANGS)).expect("a socket");
                let mut writer = stream.try_clone().expect("a socket");
                let sender = std::thread::spawn(move || {
                    for i in 0..WRITES {
                        writer.write_all(&pattern(6, i * 7, 7)).expect("sends");
                    }
                    writer.shutdown(Shutdown::Write).expect("connected");
                });
                let mut all = Vec::new();
                stream.read_to_end(&mut all).expect("reads");
                sender.join().expect("sends");
                all
            });
            let id = lab.connect(80);
            let mut options = lab.stack.tcp_options(id).expect("open");
            options.nodelay = nodelay;
            let now = lab.now();
            lab.stack
                .tcp_set_options(now, id, options)
                .expect("sensible");
            for i in 0..WRITES {
                lab.send_all(id, &pattern(5, i * 5, 5));
                if i % 4 == 0 {
                    lab.turn();
                }
            }
            let now = lab.now();
            let how = ferrule_stack::Shutdown::Write;
            lab.stack.tcp_shutdown(now, id, how).expect("connected");
            assert!(lab.read_to_end(id) == pattern(6, 0, WRITES * 7));
            assert!(lab.join(peer) == pattern(5, 0, WRITES * 5));
        });
    }
}

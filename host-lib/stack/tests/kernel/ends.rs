//! How connections end, and how they fail to begin.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;

use ferrule_stack::{Error, TcpState};
use nix::sys::socket::{send, MsgFlags};

use crate::lab::{kernel, ours, run, Lab, Setup, HANGS};
use crate::streams::pattern;

fn setup(seed: u64) -> Setup {
    Setup {
        seed,
        ..Setup::default()
    }
}

fn connect_kernel(port: u16) -> TcpStream {
    let stream = TcpStream::connect_timeout(&ours(port).into(), HANGS).expect("connects");
    stream.set_read_timeout(Some(HANGS)).expect("a socket");
    stream
}

#[test]
fn the_kernel_closes_its_half_and_still_receives() {
    run(setup(31), |lab| {
        let listener = lab.stack.tcp_listen(ours(80), 4).expect("a free port");
        let peer = std::thread::spawn(|| {
            let mut stream = connect_kernel(80);
            stream.write_all(b"question").expect("sends");
            stream.shutdown(Shutdown::Write).expect("connected");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("reads");
            answer
        });
        let id = lab.accept(listener);
        assert_eq!(lab.read_to_end(id), b"question");
        assert_eq!(lab.stack.tcp_state(id), Ok(TcpState::CloseWait));
        let answer = pattern(1, 0, 300_000);
        lab.send_all(id, &answer);
        let now = lab.now();
        lab.stack.close(now, id).expect("open");
        assert!(lab.join(peer) == answer);
    });
}

#[test]
fn we_close_our_half_and_still_receive() {
    run(setup(32), |lab| {
        let listener = TcpListener::bind(kernel(80)).expect("a free port");
        let answer = pattern(2, 0, 300_000);
        let expected = answer.clone();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(HANGS)).expect("a socket");
            let mut question = Vec::new();
            stream.read_to_end(&mut question).expect("reads");
            stream.write_all(&answer).expect("sends");
            question
        });
        let id = lab.connect(80);
        lab.send_all(id, b"question");
        let now = lab.now();
        let how = ferrule_stack::Shutdown::Write;
        lab.stack.tcp_shutdown(now, id, how).expect("connected");
        assert!(lab.read_to_end(id) == expected);
        assert_eq!(lab.join(peer), b"question");
        assert_eq!(lab.stack.tcp_state(id), Ok(TcpState::TimeWait));
    });
}

fn resets(lab: &Lab, from_kernel: bool) -> usize {
    let segments = lab.segments();
    let resets = segments.iter().filter(|(_, _, tcp)| tcp.rst);
    resets
        .filter(|(p, ..)| p.from_kernel == from_kernel)
        .count()
}

#[test]
fn a_kernel_that_closes_with_unread_data_resets_and_we_see_it() {
    run(setup(33), |lab| {
        let listener = TcpListener::bind(kernel(80)).expect("a free port");
        let (close, closes) = channel();
        let peer = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            closes.recv().expect("the word to close");
            // It has data by now: peek waits for it.
            assert_eq!(stream.peek(&mut [0]).expect("data"), 1);
        });
        let id = lab.connect(80);
        lab.send_all(id, b"never read");
        close.send(()).expect("the peer waits");
        lab.join(peer);
        let error = lab.until("the reset", |stack, now| {
            match stack.tcp_recv(now, id, &mut [0; 16]) {
                Err(Error::WouldBlock) => None,
                other => Some(other),
            }
        });
        assert_eq!(error, Err(Error::ConnectionReset));
        assert_eq!(resets(lab, true), 1);
        let now = lab.now();
        assert_eq!(lab.stack.tcp_send(now, id, b"more"), Err(Error::BrokenPipe));
    });
}

#[test]
fn we_reset_when_we_close_with_unread_data_and_the_kernel_sees_it() {
    run(setup(34), |lab| {
        let listener = lab.stack.tcp_listen(ours(80), 4).expect("a free port");
        let peer = std::thread::spawn(|| {
            let mut stream = connect_kernel(80);
            stream.write_all(b"never read").expect("sends");
            stream.read(&mut [0]).map_err(|e| e.kind())
        });
        let id = lab.accept(listener);
        lab.until("the data", |stack, _| {
            (stack.tcp_unread(id) == Ok(10)).then_some(())
        });
        let now = lab.now();
        lab.stack.close(now, id).expect("open");
        assert_eq!(lab.join(peer), Err(ErrorKind::ConnectionReset));
        assert_eq!(resets(lab, false), 1);
    });
}

#[test]
fn nobody_listening_is_connection_refused_both_ways() {
    run(setup(35), |lab| {
        let peer = std::thread::spawn(|| {
            let stream = TcpStream::connect_timeout(&ours(81).into(), HANGS);
            stream.map(|_| ()).map_err(|e| e.kind())
        });
        assert_eq!(lab.join(peer), Err(ErrorKind::ConnectionRefused));
        let now = lab.now();
        let id = lab
            .stack
            .tcp_connect(now, None, kernel(81))
            .expect("a port");
        let error = lab.until("the answer", |stack, _| {
            stack.take_error(id).expect("open until closed")
        });
        assert_eq!(error, Error::ConnectionRefused);
        assert_eq!((resets(lab, true), resets(lab, false)), (1, 1));
    });
}

#[test]
fn urgent_data_of_the_kernel_stays_in_the_stream() {
    run(setup(36), |lab| {
        let listener = lab.stack.tcp_listen(ours(80), 4).expect("a free port");
        let peer = std::thread::spawn(|| {
            let mut stream = connect_kernel(80);
            for (before, urgent) in [("one", "!"), ("two", "more!"), ("", "?")] {
                stream.write_all(before.as_bytes()).expect("sends");
                let sent = send(stream.as_raw_fd(), urgent.as_bytes(), MsgFlags::MSG_OOB);
                assert_eq!(sent, Ok(urgent.len()));
            }
            stream.write_all(b"end").expect("sends");
            stream.shutdown(Shutdown::Write).expect("connected");
            let mut back = Vec::new();
            stream.read_to_end(&mut back).expect("reads");
            back
        });
        let id = lab.accept(listener);
        // RFC 6093 section 6: urgent data are delivered in the stream.
        assert_eq!(lab.read_to_end(id), b"one!twomore!?end");
        lab.send_all(id, b"all there");
        let now = lab.now();
        lab.stack.close(now, id).expect("open");
        assert_eq!(lab.join(peer), b"all there");
        let urgent = lab.segments().iter().filter(|(_, _, tcp)| tcp.urg).count();
        assert!(urgent > 0, "the kernel sent nothing urgent");
    });
}

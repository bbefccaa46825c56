//! Bytes both ways between a kernel socket and ours; every byte compared, FINs both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use ferrule_kernel_wire::Wire;
use ferrule_stack::{Bytes, Error, Instant, SocketId, Stack, TcpInfo, TcpState};

use rustix::net::sockopt::set_tcp_congestion;

use crate::lab::{kernel, ours, run, Lab, Setup, HANGS};

/// Bytes that tell their position, so that a shift or swap shows.
pub(crate) fn pattern(salt: u8, from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[i % 3] ^ salt)
        .collect()
}

/// Each direction's bytes differ.
const TO_KERNEL: u8 = 0x55;
const TO_US: u8 = 0;

/// The kernel's program: sends and reads at once, and closes its half when it has sent all.
fn kernel_side(mut stream: TcpStream, len: usize) {
    // As most hosts have it; this machine's default may be another.
    set_tcp_congestion(&stream, "cubic").expect("every kernel has it");
    stream.set_read_timeout(Some(HANGS)).expect("a socket");
    stream.set_write_timeout(Some(HANGS)).expect("a socket");
    let mut writer = stream.try_clone().expect("a socket");
    let sender = std::thread::spawn(move || {
        writer.write_all(&pattern(TO_US, 0, len)).expect("sends");
        writer.shutdown(Shutdown::Write).expect("connected");
    });
    let (mut got, mut buf) = (0, vec![0; 65_536]);
    loop {
        let n = stream.read(&mut buf).expect("reads");
        if n == 0 {
            break;
        }
        assert!(
            buf[..n] == pattern(TO_KERNEL, got, n),
            "bytes {got}.. differ"
        );
        got += n;
    }
    assert_eq!(got, len, "the stream of ours ends early");
    sender.join().expect("sends");
}

/// Our program, the same; a step of it.
struct OurSide {
    id: SocketId,
    len: usize,
    sent: usize,
    got: usize,
    closed: bool,
    ended: bool,
}

impl OurSide {
    fn step(&mut self, stack: &mut Stack<Bytes>, now: Instant) -> Option<()> {
        while self.sent < self.len {
            let bytes = pattern(TO_KERNEL, self.sent, (self.len - self.sent).min(32_768));
            match stack.tcp_send(now, self.id, &bytes) {
                Ok(n) => self.sent += n,
                Err(Error::WouldBlock) => break,
                Err(error) => panic!("send: {error}"),
            }
        }
        if self.sent == self.len && !self.closed {
            let how = ferrule_stack::Shutdown::Write;
            stack.tcp_shutdown(now, self.id, how).expect("connected");
            self.closed = true;
        }
        let mut buf = vec![0; 65_536];
        while !self.ended {
            match stack.tcp_recv(now, self.id, &mut buf) {
                Ok(0) => {
                    assert_eq!(self.got, self.len, "the kernel's stream ends early");
                    self.ended = true;
                }
                Ok(n) => {
                    let right = buf[..n] == pattern(TO_US, self.got, n);
                    assert!(right, "bytes {}.. differ", self.got);
                    self.got += n;
                }
                Err(Error::WouldBlock) => break,
                Err(error) => panic!("recv: {error}"),
            }
        }
        let over = matches!(
            stack.tcp_state(self.id),
            Ok(TcpState::TimeWait | TcpState::Closed)
        );
        (self.closed && self.ended && over).then_some(())
    }
}

/// A connection opened by one of the sides, and the kernel's program on it.
pub(crate) fn open(lab: &mut Lab, we_connect: bool, len: usize) -> (SocketId, JoinHandle<()>) {
    if we_connect {
        let listener = TcpListener::bind(kernel(7)).expect("a free port");
        let peer = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            kernel_side(stream, len);
        });
        (lab.connect(7), peer)
    } else {
        let listener = lab.stack.tcp_listen(ours(7), 4).expect("a free port");
        let peer = std::thread::spawn(move || {
            let stream = TcpStream::connect_timeout(&ours(7).into(), HANGS);
            kernel_side(stream.expect("connects"), len);
        });
        (lab.accept(listener), peer)
    }
}

/// Exchanges `len` bytes each way; what our side knows of the connection when all has arrived.
pub(crate) fn exchange(lab: &mut Lab, we_connect: bool, len: usize) -> TcpInfo {
    let (id, peer) = open(lab, we_connect, len);
    let now = lab.now();
    let info = lab.stack.tcp_info(now, id).expect("open");
    let mut side = OurSide {
        id,
        len,
        sent: 0,
        got: 0,
        closed: false,
        ended: false,
    };
    lab.until("bytes and FINs both ways", |stack, now| {
        side.step(stack, now)
    });
    lab.join(peer);
    let now = lab.now();
    lab.stack.close(now, id).expect("open");
    // What a wire that reorders brings late may find the connection over: the answer is a RST without an ACK (RFC 9293 section
    // 3.10.7.1).
    let late = lab.setup.wire.reorder > 0;
    let resets = lab
        .segments()
        .iter()
        .filter(|(_, _, tcp)| tcp.rst && (tcp.ack || !late))
        .count();
    assert_eq!(
        resets, 0,
        "a RST where both sides closed well, {:?}",
        lab.setup
    );
    info
}

const MIB: usize = 1 << 20;

fn over(wire: Wire, seeds: std::ops::Range<u64>, len: usize) {
    for seed in seeds {
        for we_connect in [true, false] {
            let setup = Setup {
                seed,
                wire,
                ..Setup::default()
            };
            run(setup, move |lab| {
                exchange(lab, we_connect, len);
                if wire.loss > 0 {
                    let stats = lab.stack.stats();
                    assert!(lab.lost() > 0, "the wire lost nothing, seed {seed}");
                    assert!(stats.tcp_retransmits > 0, "seed {seed}: {stats:?}");
                }
            });
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn bytes_pass_both_ways_over_a_clean_wire() {
    over(Wire::default(), 1..2, 8 * MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_long_wire_of_limited_rate() {
    let wire = Wire {
        delay: ms(10),
        rate_bits: 50_000_000,
        queue_bytes: 50_000,
        ..Wire::default()
    };
    over(wire, 1..2, 2 * MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_wire_that_loses_1_percent() {
    let wire = Wire {
        delay: ms(1),
        loss: 100,
        ..Wire::default()
    };
    over(wire, 1..4, 2 * MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_wire_that_loses_5_percent() {
    let wire = Wire {
        delay: ms(1),
        loss: 500,
        ..Wire::default()
    };
    over(wire, 1..3, MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_wire_that_duplicates() {
    let wire = Wire {
        delay: ms(1),
        duplicate: 500,
        ..Wire::default()
    };
    over(wire, 1..3, 2 * MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_wire_that_reorders() {
    let wire = Wire {
        delay: ms(2),
        reorder: 500,
        reorder_by: ms(2),
        ..Wire::default()
    };
    over(wire, 1..3, 2 * MIB);
}

#[test]
fn bytes_pass_both_ways_over_a_wire_with_all_faults() {
    let wire = Wire {
        delay: ms(2),
        loss: 200,
        duplicate: 200,
        reorder: 200,
        reorder_by: ms(5),
        ..Wire::default()
    };
    over(wire, 1..4, MIB);
}

//! Hundreds of connections that live for one question and its answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use ferrule_kernel_wire::Wire;
use ferrule_stack::{Bytes, Error, Instant, SocketId, Stack};

use crate::lab::{kernel, ours, run, Setup, HANGS};
use crate::streams::pattern;

const COUNT: usize = 200;
const LEN: usize = 2_000;

/// A wire that makes handshakes and ends fail now and then.
fn wires() -> [Wire; 2] {
    let lossy = Wire {
        delay: Duration::from_millis(1),
        loss: 100,
        ..Wire::default()
    };
    [Wire::default(), lossy]
}

fn question(n: usize) -> Vec<u8> {
    pattern(7, n * LEN, LEN)
}

/// A connection of ours of which question and answer are one after the other.
struct Talk {
    id: SocketId,
    sent: usize,
    got: Vec<u8>,
    say: Vec<u8>,
}

impl Talk {
    fn new(id: SocketId, say: Vec<u8>) -> Talk {
        Talk {
            id,
            sent: 0,
            got: Vec::new(),
            say,
        }
    }

    /// True once all is said and the peer has said all.
    fn step(&mut self, stack: &mut Stack<Bytes>, now: Instant) -> bool {
        while self.sent < self.say.len() {
            match stack.tcp_send(now, self.id, &self.say[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(Error::WouldBlock) => return false,
                Err(error) => panic!("send: {error}"),
            }
            if self.sent == self.say.len() {
                let how = ferrule_stack::Shutdown::Write;
                stack.tcp_shutdown(now, self.id, how).expect("connected");
            }
        }
        let mut buf = [0; 4_096];
        loop {
            match stack.tcp_recv(now, self.id, &mut buf) {
                Ok(0) => return true,
                Ok(n) => self.got.extend_from_slice(&buf[..n]),
                Err(Error::WouldBlock) => return false,
                Err(error) => panic!("recv: {error}"),
            }
        }
    }
}

#[test]
fn two_hundred_short_connections_of_ours_are_answered() {
    for (seed, wire) in [51, 52].into_iter().zip(wires()) {
        let setup = Setup {
            seed,
            wire,
            ..Setup::default()
        };
        run(setup, |lab| {
            let listener = TcpListener::bind(kernel(80)).expect("a free port");
            let peer = std::thread::spawn(move || {
                for _ in 0..COUNT {
                    let (mut stream, _) = listener.accept().expect("a connection");
                    stream.set_read_timeout(Some(HANGS)).expect("a socket");
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).expect("reads");
                    stream.write_all(&all).expect("sends");
                }
            });
            let (mut begun, mut done, mut talks) = (0, 0, Vec::new());
            lab.until("all are answered", |stack, now| {
                while begun < COUNT && talks.len() < 8 {
                    let id = stack.tcp_connect(now, None, kernel(80));
                    talks.push(Talk::new(id.expect("a free port"), question(begun)));
                    begun += 1;
                }
                talks.retain_mut(|talk| {
                    let over = talk.step(stack, now);
                    if over {
                        assert!(talk.got == talk.say);
                        stack.close(now, talk.id).expect("open");
                        done += 1;
                    }
                    !over
                });
                (done == COUNT).then_some(())
            });
            lab.join(peer);
            lab.until("the sockets end", |stack, _| {
                stack.is_drained().then_some(())
            });
        });
    }
}

#[test]
fn two_hundred_short_connections_of_the_kernel_are_answered() {
    for (seed, wire) in [53, 54].into_iter().zip(wires()) {
        let setup = Setup {
            seed,
            wire,
            ..Setup::default()
        };
        run(setup, |lab| {
            let listener = lab.stack.tcp_listen(ours(80), 64).expect("a free port");
            let peers: Vec<_> = (0..4)
                .map(|part| {
                    std::thread::spawn(move || {
                        for n in part * COUNT / 4..(part + 1) * COUNT / 4 {
                            let stream = TcpStream::connect_timeout(&ours(80).into(), HANGS);
                            let mut stream = stream.expect("connects");
                            stream.set_read_timeout(Some(HANGS)).expect("a socket");
                            stream.write_all(&question(n)).expect("sends");
                            stream.shutdown(Shutdown::Write).expect("connected");
                            let mut answer = Vec::new();
                            stream.read_to_end(&mut answer).expect("reads");
                            assert!(answer == question(n), "answer {n}");
                        }
                    })
                })
                .collect();
            let (mut done, mut talks) = (0, Vec::<(SocketId, Vec<u8>, Option<Talk>)>::new());
            lab.until("all are answered", |stack, now| {
                while let Ok((id, _)) = stack.tcp_accept(listener) {
                    talks.push((id, Vec::new(), None));
                }
                talks.retain_mut(|(id, heard, answer)| {
                    let mut buf = [0; 4_096];
                    while answer.is_none() {
                        match stack.tcp_recv(now, *id, &mut buf) {
                            Ok(0) => *answer = Some(Talk::new(*id, std::mem::take(heard))),
                            Ok(n) => heard.extend_from_slice(&buf[..n]),
                            Err(Error::WouldBlock) => return true,
                            Err(error) => panic!("recv: {error}"),
                        }
                    }
                    let over = answer.as_mut().is_some_and(|talk| talk.step(stack, now));
                    if over {
                        stack.close(now, *id).expect("open");
                        done += 1;
                    }
                    !over
                });
                (done == COUNT).then_some(())
            });
            for peer in peers {
                lab.join(peer);
            }
            let now = lab.now();
            lab.stack.close(now, listener).expect("open");
            lab.until("the sockets end", |stack, _| {
                stack.is_drained().then_some(())
            });
        });
    }
}

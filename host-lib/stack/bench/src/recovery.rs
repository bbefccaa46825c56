//! Goodput over a wire that loses: a kernel receiver fed by our stack, and by the kernel.
//!
//! Both senders use CUBIC, and the wire decides the fate of the n-th packet by seed, whoever sends it. Wall time; root.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule_kernel_wire::{namespace, wait, Direction, Tun, Wire};
use ferrule_stack::{Bytes, Cidr, Config, Instant as StackInstant, RxMeta, Stack};
use rustix::net::sockopt::set_tcp_congestion;
use rustix::net::{connect, socket, AddressFamily, SocketType};

use crate::error::{Error, Result};

const SENDER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const PORT: u16 = 5001;
const TO: SocketAddrV4 = SocketAddrV4::new(RECEIVER, PORT);
/// Until the connection must be open; on a wire that loses, a handshake may need several SYNs.
const OPENS: Duration = Duration::from_secs(60);

/// Who sends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Sender {
    /// ferrule-stack.
    Ours,
    /// The kernel.
    Kernel,
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Io {
        what: what.to_owned(),
        source,
    }
}

/// The receiving program in a namespace of its own.
struct Sink {
    tun: Tun,
    bytes: Arc<AtomicU64>,
    accepted: Receiver<()>,
}

/// Opens a TUN device for `address` in a new thread's namespace and goes on with `program` there.
fn in_namespace(
    address: Ipv4Addr,
    program: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(Tun, JoinHandle<std::io::Result<()>>)> {
    let (give, taken) = channel();
    let thread = std::thread::spawn(move || {
        let tun = namespace::enter().and_then(|()| Tun::open(address, 24));
        let opened = tun.is_ok();
        // If nobody takes it, there is nothing to go on with either.
        if give.send(tun).is_err() || !opened {
            return Ok(());
        }
        program()
    });
    let tun = taken.recv().map_err(|_| Error::Stuck("no namespace"))?;
    Ok((tun.map_err(io("a TUN device in a namespace"))?, thread))
}

/// Starts a kernel receiver that counts what it reads.
fn sink() -> Result<Sink> {
    let bytes = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&bytes);
    let (tell, accepted) = channel();
    let (ready, listens) = channel();
    // It ends with the connection's reset or, at the latest, with the program.
    let (tun, _) = in_namespace(RECEIVER, move || {
        let listener = TcpListener::bind(TO)?;
        // Whoever waits for these has given up if they cannot be sent.
        let _ = ready.send(());
        let (mut stream, _) = listener.accept()?;
        let _ = tell.send(());
        let mut buf = vec![0; 1 << 18];
        loop {
            match stream.read(&mut buf)? {
                0 => return Ok(()),
                n => counter.fetch_add(n as u64, Ordering::Relaxed),
            };
        }
    })?;
    listens
        .recv()
        .map_err(|_| Error::Stuck("the receiver cannot listen"))?;
    Ok(Sink {
        tun,
        bytes,
        accepted,
    })
}

/// Sends as fast as it goes until the connection breaks.
fn kernel_sender() -> std::io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    // Before it is connected: another algorithm would leave its pacing behind.
    set_tcp_congestion(&socket, "cubic")?;
    connect(&socket, &TO)?;
    let mut stream = TcpStream::from(socket);
    let bytes = vec![0x5a; 1 << 18];
    loop {
        stream.write_all(&bytes)?;
    }
}

/// Whatever sends: packets from and to it.
trait End {
    fn next(&mut self, now: Duration) -> Result<Option<Vec<u8>>>;
    fn give(&mut self, now: Duration, packet: Vec<u8>) -> Result<()>;
    fn deadline(&self) -> Option<Duration>;
    fn tun(&self) -> Option<&Tun>;
}

impl End for Tun {
    fn next(&mut self, _: Duration) -> Result<Option<Vec<u8>>> {
        self.recv().map_err(io("the sender's TUN device"))
    }

    fn give(&mut self, _: Duration, packet: Vec<u8>) -> Result<()> {
        self.send(&packet).map_err(io("the sender's TUN device"))
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn tun(&self) -> Option<&Tun> {
        Some(self)
    }
}

/// Our stack with a program that always has something to send.
struct Ours {
    stack: Stack<Bytes>,
    id: ferrule_stack::SocketId,
    bytes: Bytes,
}

impl Ours {
    fn new(seed: u64) -> Result<Ours> {
        let cidr = Cidr::new(SENDER, 24).ok_or(Error::Stuck("a prefix of 24"))?;
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        let mut stack = Stack::new(Config::new(cidr, secret));
        let id = stack.tcp_connect(StackInstant::ZERO, None, TO)?;
        let bytes = Bytes::from(vec![0x5a; 1 << 18]);
        Ok(Ours { stack, id, bytes })
    }
}

fn instant(now: Duration) -> StackInstant {
    StackInstant::ZERO + now
}

impl End for Ours {
    fn next(&mut self, now: Duration) -> Result<Option<Vec<u8>>> {
        use ferrule_stack::Error::WouldBlock;
        loop {
            match self
                .stack
                .tcp_send_bytes(instant(now), self.id, &self.bytes)
            {
                Ok(_) => {}
                Err(WouldBlock) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let packet = self.stack.poll_transmit(instant(now));
        Ok(packet.map(|packet| packet.to_vec()))
    }

    fn give(&mut self, now: Duration, packet: Vec<u8>) -> Result<()> {
        let head = packet.len().min(128);
        let body = Bytes::from(&packet[head..]);
        self.stack
            .on_packet(instant(now), RxMeta::default(), &packet[..head], body);
        Ok(())
    }

    fn deadline(&self) -> Option<Duration> {
        let at = self.stack.next_deadline()?;
        Some(Duration::from_nanos(at.as_nanos()))
    }

    fn tun(&self) -> Option<&Tun> {
        None
    }
}

/// Megabits a second that arrive at the receiver's program in `time` from the handshake on.
///
/// # Errors
/// When there can be no namespaces, or the connection does not open or breaks.
pub fn goodput(sender: Sender, wire: Wire, seed: u64, time: Duration) -> Result<f64> {
    let sink = sink()?;
    match sender {
        Sender::Ours => carry(&mut Ours::new(seed)?, sink, wire, seed, time),
        Sender::Kernel => {
            let (go, goes) = channel::<()>();
            let (mut tun, _) = in_namespace(SENDER, move || match goes.recv() {
                Ok(()) => kernel_sender(),
                Err(_) => Ok(()),
            })?;
            go.send(())
                .map_err(|_| Error::Stuck("the sender is gone"))?;
            carry(&mut tun, sink, wire, seed, time)
        }
    }
}

/// Carries packets between the two ends until the time is over.
fn carry(end: &mut impl End, mut sink: Sink, wire: Wire, seed: u64, time: Duration) -> Result<f64> {
    let mut there = Direction::new(wire, seed);
    let mut back = Direction::new(wire, !seed);
    let start = Instant::now();
    let mut begun = None;
    let device = "the receiver's TUN device";
    loop {
        let now = start.elapsed();
        if begun.is_none() && sink.accepted.try_recv().is_ok() {
            begun = Some(now);
        }
        match begun {
            Some(begun) if now >= begun + time => {
                let bits = sink.bytes.load(Ordering::Relaxed) as f64 * 8.0;
                return Ok(bits / (now - begun).as_secs_f64() / 1e6);
            }
            None if now > OPENS => return Err(Error::Stuck("the connection never opened")),
            _ => {}
        }
        while let Some(packet) = end.next(start.elapsed())? {
            there.send(start.elapsed(), packet);
        }
        while let Some(packet) = sink.tun.recv().map_err(io(device))? {
            back.send(start.elapsed(), packet);
        }
        while let Some(packet) = there.take(start.elapsed()) {
            sink.tun.send(&packet).map_err(io(device))?;
        }
        while let Some(packet) = back.take(start.elapsed()) {
            let at = start.elapsed();
            end.give(at, packet)?;
            // An ACK may let something out at once.
            while let Some(packet) = end.next(at)? {
                there.send(at, packet);
            }
        }
        let next = [end.deadline(), there.next_at(), back.next_at()];
        let most = Duration::from_millis(5);
        let next = next.into_iter().flatten().min();
        let pause = next.map_or(most, |at| at.saturating_sub(start.elapsed()).min(most));
        let devices: Vec<&Tun> = [end.tun(), Some(&sink.tun)].into_iter().flatten().collect();
        wait(&devices, pause).map_err(io("poll"))?;
    }
}

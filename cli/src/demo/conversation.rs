//! What the demo says through the NIC, and the comparison of every byte that comes back.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4};
use std::time::Duration;

use ferrule::Host;
use ferrule_driver::nic::{TxFrame, TxMode};
use ferrule_driver::{Clock, Nic};
use ferrule_sim::wire::host::{page, ECHO_PORT, HTTP_PORT};

use crate::error::Error;

/// How long any one answer may take, in the host's time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where frames are lost on purpose, how long to wait before asking again, and how often to ask.
const RETRY_AFTER: Duration = Duration::from_secs(3);
const TRIES: u16 = 8;
/// Sizes of the UDP messages: none, the smallest, an odd one, the largest that fits one frame.
const MESSAGES: [usize; 4] = [0, 1, 333, 1_472];
/// Sizes of the looped frames: the shortest and longest of Ethernet, less the FCS, and some between.
const FRAMES: [usize; 6] = [60, 61, 64, 333, 1_000, 1_514];
/// EtherType for local experiments (IEEE 802, 88B5).
const EXPERIMENTAL: [u8; 2] = [0x88, 0xB5];
/// Pings per host.
const PINGS: u16 = 3;
/// How far sending may run ahead of what came back, in bytes.
const AHEAD: usize = 64 * 1024;
/// Bytes handed to one `write`.
const CHUNK: usize = 16 * 1024;

/// What a step found, for the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// One line.
    pub(crate) text: String,
    /// Median round trip, where the step measured one.
    pub(crate) round_trip: Option<Duration>,
}

impl Finding {
    fn text(text: String) -> Self {
        Self {
            text,
            round_trip: None,
        }
    }
}

/// How often a request without retransmission of its own is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    count: u16,
    wait: Duration,
}

impl Tries {
    /// Once on a wire that loses nothing, a few times on one that may.
    pub(crate) fn on(is_impaired: bool) -> Self {
        if is_impaired {
            Self {
                count: TRIES,
                wait: RETRY_AFTER,
            }
        } else {
            Self {
                count: 1,
                wait: PATIENCE,
            }
        }
    }

    /// Calls with the number of the try until there is an answer; gives it and how many tries were in vain.
    fn ask<T>(self, mut call: impl FnMut(u16) -> io::Result<T>) -> io::Result<(T, u16)> {
        let unanswered = |e: &io::Error| {
            use io::ErrorKind::{HostUnreachable, TimedOut, WouldBlock};
            matches!(e.kind(), TimedOut | WouldBlock | HostUnreachable)
        };
        let mut lost = 0;
        loop {
            match call(lost) {
                Ok(answer) => return Ok((answer, lost)),
                Err(e) if lost + 1 < self.count && unanswered(&e) => lost += 1,
                Err(e) => return Err(e),
            }
        }
    }
}

/// Words for tries in vain.
fn after(lost: u16) -> String {
    match lost {
        0 => String::new(),
        n => format!(", after {n} lost"),
    }
}

/// Sends whole Ethernet frames to ourselves over a wire that loops, and compares each as it comes back.
///
/// # Errors
/// When a frame is lost or changed.
pub(crate) fn frames(host: &Host, clock: &dyn Clock, tries: Tries) -> Result<Finding, Error> {
    let doing = |size| format!("looping a frame of {size} bytes");
    let mut lost = 0;
    for size in FRAMES {
        let once = |_| {
            host.with_nic(|nic| loop_frame(nic, clock, size, tries.wait))
                .and_then(|result| result)
        };
        let (back, in_vain) = tries.ask(once).map_err(Error::doing(doing(size)))?;
        lost += in_vain;
        if !back {
            return Err(Error::Wrong(format!(
                "the frame of {size} bytes came back changed"
            )));
        }
    }
    Ok(Finding::text(format!(
        "frames of {FRAMES:?} bytes came back as they were sent{}",
        after(lost)
    )))
}

/// Sends one frame and waits for it; whether it is the same.
fn loop_frame(nic: &mut Nic, clock: &dyn Clock, size: usize, wait: Duration) -> io::Result<bool> {
    let mac = nic.mac();
    let mut frame = [mac, mac].concat();
    frame.extend(EXPERIMENTAL);
    frame.extend(Pattern::new(size as u64).bytes(0, size - frame.len()));
    nic.send(&TxFrame {
        parts: &[&frame],
        mode: TxMode::Raw,
        vlan: None,
        token: 0,
        report: false,
        ..TxFrame::default()
    })
    .map_err(io::Error::other)?;
    let deadline = clock.now() + wait.as_nanos() as u64;
    let mut received = Vec::new();
    loop {
        while nic.rx_batch(1, &mut received).map_err(io::Error::other)? == 0 {
            if clock.now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // What is not taken counts as work that is there, and would keep this thread from waiting.
            nic.tx_completions().map_err(io::Error::other)?;
            nic.events().map_err(io::Error::other)?;
            nic.arm().map_err(io::Error::other)?;
            if !nic.has_work() {
                clock.wait(&nic.irq_fds(), Some(deadline))?;
                nic.drain_irqs().map_err(io::Error::other)?;
            }
        }
        for back in received.drain(..) {
            let back = back.to_vec();
            // A late copy of an earlier frame is none of this one.
            if back.len() == size || !FRAMES.contains(&back.len()) {
                return Ok(back == frame);
            }
        }
    }
}

/// A pattern that repeats late and differs by seed, so that a lost, doubled or moved byte shows.
pub(crate) struct Pattern(u64);

impl Pattern {
    /// The pattern of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Byte number `i` (SplitMix64's output function over the byte's number).
    fn byte(&self, i: usize) -> u8 {
        let mut z = self
            .0
            .wrapping_add((i as u64 / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()[i % 8]
    }

    /// Bytes `from` to `from + len`.
    fn bytes(&self, from: usize, len: usize) -> Vec<u8> {
        (from..from + len).map(|i| self.byte(i)).collect()
    }

    /// The number of the first byte of `got`, taken as bytes from `from` on, that is not the pattern's.
    fn mismatch(&self, from: usize, got: &[u8]) -> Option<usize> {
        (0..got.len())
            .find(|&i| got[i] != self.byte(from + i))
            .map(|i| from + i)
    }
}

/// Sends the first packet to `peer`, for which the hardware must ask who has its address.
///
/// # Errors
/// When nobody answers, or the hardware did not ask.
pub(crate) fn resolve(host: &Host, peer: Ipv4Addr, tries: Tries) -> Result<Finding, Error> {
    let doing = || format!("resolving {peer}");
    let before = stats(host)?;
    let ping = host.ping().map_err(Error::doing(doing()))?;
    tries
        .ask(|n| ping.echo(peer, n, b"first packet", tries.wait))
        .map_err(Error::doing(doing()))?;
    let after = stats(host)?;
    let requests = after.get(ferrule_abi::counter::ARP_REQUESTS)
        - before.get(ferrule_abi::counter::ARP_REQUESTS);
    let misses =
        after.get(ferrule_abi::counter::ARP_MISSES) - before.get(ferrule_abi::counter::ARP_MISSES);
    if requests == 0 || misses == 0 {
        return Err(Error::Wrong(format!(
            "{peer} answered, but the hardware counted {requests} ARP requests and {misses} misses"
        )));
    }
    Ok(Finding::text(format!("{peer} resolved by the hardware: {requests} ARP request(s), {misses} packet(s) parked meanwhile")))
}

/// Pings `peer` a few times.
///
/// # Errors
/// When an answer is missing or not what was sent.
pub(crate) fn ping(host: &Host, peer: Ipv4Addr, tries: Tries) -> Result<Finding, Error> {
    let doing = || format!("pinging {peer}");
    let socket = host.ping().map_err(Error::doing(doing()))?;
    let mut times = Vec::new();
    let (mut ttl, mut lost) = (0, 0);
    for sequence in 1..=PINGS {
        let payload = Pattern::new(u64::from(sequence)).bytes(0, 56);
        // Each try has a number of its own, so that a late answer is not taken for another's.
        let (reply, in_vain) = tries
            .ask(|n| socket.echo(peer, n * PINGS + sequence, &payload, tries.wait))
            .map_err(Error::doing(doing()))?;
        lost += in_vain;
        if reply.payload != payload {
            return Err(Error::Wrong(format!(
                "the ping reply {sequence} from {peer} holds other bytes than were sent"
            )));
        }
        ttl = reply.ttl;
        times.push(reply.round_trip);
    }
    times.sort();
    let median = times[times.len() / 2];
    Ok(Finding {
        text: format!(
            "{PINGS} of {PINGS} answered by {peer}, ttl {ttl}, round trip {median:.1?}{}",
            after(lost)
        ),
        round_trip: Some(median),
    })
}

/// Echoes messages over UDP, the empty one included.
///
/// # Errors
/// When a message is missing, cut or changed.
pub(crate) fn udp(host: &Host, peer: Ipv4Addr, tries: Tries) -> Result<Finding, Error> {
    let doing = || format!("echoing UDP to {peer}");
    let to = SocketAddrV4::new(peer, ECHO_PORT);
    let socket = host.bind_udp("0.0.0.0:0").map_err(Error::doing(doing()))?;
    socket
        .set_read_timeout(Some(tries.wait))
        .map_err(Error::doing(doing()))?;
    socket.connect(to).map_err(Error::doing(doing()))?;
    let mut buffer = vec![0; 2_048];
    let mut lost = 0;
    for size in MESSAGES {
        let message = Pattern::new(size as u64).bytes(0, size);
        let once = |_| {
            socket.send(&message)?;
            loop {
                let n = socket.recv(&mut buffer)?;
                // A late copy of an earlier message is none of this one.
                if n == size || !MESSAGES.contains(&n) {
                    return Ok(n);
                }
            }
        };
        let (n, in_vain) = tries.ask(once).map_err(Error::doing(doing()))?;
        lost += in_vain;
        if buffer[..n] != message[..] {
            return Err(Error::Wrong(format!(
                "a UDP message of {size} bytes came back as {n} bytes, or changed"
            )));
        }
    }
    Ok(Finding::text(format!(
        "{} messages of {MESSAGES:?} bytes came back whole{}",
        MESSAGES.len(),
        after(lost)
    )))
}

/// Fetches a page over HTTP and compares it with what the host serves.
///
/// # Errors
/// When the response is not the page.
pub(crate) fn http(host: &Host, peer: Ipv4Addr, name: &str) -> Result<Finding, Error> {
    let doing = || format!("fetching http://{peer}/");
    let mut stream = host
        .connect(SocketAddrV4::new(peer, HTTP_PORT))
        .map_err(Error::doing(doing()))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(Error::doing(doing()))?;
    let request = format!("GET / HTTP/1.1\r\nHost: {peer}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .map_err(Error::doing(doing()))?;
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .map_err(Error::doing(doing()))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    if !head.starts_with("HTTP/1.1 200 ") || body != page(name) {
        return Err(Error::Wrong(format!(
            "http://{peer}/ is not the page that {name} serves: {head}"
        )));
    }
    Ok(Finding::text(format!(
        "GET http://{peer}/: 200, {} bytes of page as served",
        body.len()
    )))
}

/// Echoes `total` bytes over one TCP connection; `progress` is told how many have come back.
///
/// # Errors
/// When a byte is lost, doubled, moved or changed, or the connection does not end in order.
pub(crate) fn tcp(
    host: &Host,
    peer: Ipv4Addr,
    total: usize,
    seed: u64,
    mut progress: impl FnMut(usize),
) -> Result<(), Error> {
    let doing = || format!("echoing TCP to {peer}");
    let pattern = Pattern::new(seed);
    let mut stream = host
        .connect(SocketAddrV4::new(peer, ECHO_PORT))
        .map_err(Error::doing(doing()))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(Error::doing(doing()))?;
    stream.set_nodelay(true).map_err(Error::doing(doing()))?;
    let (mut sent, mut back, mut ended) = (0, 0, false);
    let mut buffer = vec![0; CHUNK];
    loop {
        while sent < total && sent - back < AHEAD {
            let chunk = pattern.bytes(sent, CHUNK.min(total - sent));
            stream.write_all(&chunk).map_err(Error::doing(doing()))?;
            sent += chunk.len();
        }
        if sent == total && !ended {
            // The end of our stream goes out with the last bytes, as a program would do it.
            stream
                .shutdown(Shutdown::Write)
                .map_err(Error::doing(doing()))?;
            ended = true;
        }
        let n = stream.read(&mut buffer).map_err(Error::doing(doing()))?;
        if n == 0 {
            break;
        }
        if let Some(at) = pattern.mismatch(back, &buffer[..n]) {
            return Err(Error::Wrong(format!(
                "byte {at} of the TCP echo is not what was sent"
            )));
        }
        back += n;
        progress(back);
    }
    if back != total {
        return Err(Error::Wrong(format!(
            "the echo ended after {back} bytes, {total} were sent"
        )));
    }
    Ok(())
}

fn stats(host: &Host) -> Result<ferrule_driver::nic::Stats, Error> {
    host.with_nic(ferrule_driver::Nic::stats)
        .and_then(|s| s.map_err(std::io::Error::other))
        .map_err(Error::doing("reading the NIC's counters"))
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_moved_lost_or_changed_byte_shows() {
        let pattern = Pattern::new(7);
        let good = pattern.bytes(1_000, 500);
        assert_eq!(pattern.mismatch(1_000, &good), None);
        let mut changed = good.clone();
        changed[77] ^= 1;
        assert_eq!(pattern.mismatch(1_000, &changed), Some(1_077));
        let mut lost = good.clone();
        lost.remove(10);
        assert!(pattern.mismatch(1_000, &lost).is_some());
        assert!(pattern.mismatch(1_001, &good).is_some(), "moved by one");
        assert!(
            pattern.mismatch(1_000 + 65_536, &good).is_some(),
            "moved by a power of two"
        );
        assert_ne!(Pattern::new(8).bytes(1_000, 500), good);
    }
}

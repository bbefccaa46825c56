//! The queue pairs: frames looped back inside the MAC arrive at the pair that their hash and the indirection table say, and each pair's interrupt comes.
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use ferrule_driver::nic::{
    Nic, NicConfig, QueuePair, RawNic, RxFrame, TxFrame, TxMode, INDIRECTION_ENTRIES,
};
use ferrule_driver::Clock;

use super::Failure;

/// Flows of each kind, one for each pair to send in turn.
const FLOWS: u16 = 32;
/// How long a batch may be under way in nanoseconds; the slowest simulator takes long.
const LIMIT_NS: u64 = 30_000_000_000;
/// IP protocols (RFC 768, RFC 9293).
const UDP: u8 = 17;
const TCP: u8 = 6;
/// The key of Microsoft's examples of the hash ("RSS Hashing Functions").
const KEY: [u8; 40] = [
    0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67, 0x25, 0x3D, 0x43, 0xA3, 0x8F, 0xB0,
    0xD0, 0xCA, 0x2B, 0xCB, 0xAE, 0x7B, 0x30, 0xB4, 0x77, 0xCB, 0x2D, 0xA3, 0x80, 0x30, 0xF2, 0x0C,
    0x6A, 0x42, 0xB7, 0x3B, 0xBE, 0xAC, 0x01, 0xFA,
];

/// The hash of `input`: each bit that is set adds the 32 bits of the key that begin at its place.
fn toeplitz(input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
    let from_key = |at: usize| (at..at + 32).fold(0, |key, at| key << 1 | u32::from(bit(&KEY, at)));
    let set = (0..8 * input.len()).filter(|at| bit(input, *at));
    set.fold(0, |hash, at| hash ^ from_key(at))
}

/// A frame of a flow, and its hash.
struct Flow {
    frame: Vec<u8>,
    hash: u32,
}

impl Flow {
    fn ipv4(number: u16, protocol: u8, mac: &[u8; 6]) -> Self {
        let [high, low] = number.to_be_bytes();
        let addresses = [198, 18, high, low, 198, 19, low, protocol];
        let l4 = l4(number, protocol, &addresses);
        let mut header = vec![0x45, 0];
        header.extend((20 + l4.len() as u16).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        header.extend(addresses);
        let checksum = checksum([&header]);
        header[10..12].copy_from_slice(&checksum);
        Self::new([0x08, 0x00], header, &addresses, &l4, mac)
    }

    fn ipv6(number: u16, protocol: u8, mac: &[u8; 6]) -> Self {
        // RFC 5180 section 8: 2001:2::/48 is for benchmarks.
        let mut addresses = [0; 32];
        addresses[..4].copy_from_slice(&[0x20, 0x01, 0x00, 0x02]);
        addresses.copy_within(..4, 16);
        addresses[14..16].copy_from_slice(&number.to_be_bytes());
        addresses[31] = protocol;
        let l4 = l4(number, protocol, &addresses);
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((l4.len() as u16).to_be_bytes());
        header.extend([protocol, 64]);
        header.extend(addresses);
        Self::new([0x86, 0xDD], header, &addresses, &l4, mac)
    }

    fn new(kind: [u8; 2], header: Vec<u8>, addresses: &[u8], l4: &[u8], mac: &[u8; 6]) -> Self {
        let hash = toeplitz(&[addresses, &l4[..4]].concat());
        let frame = [mac, mac, &kind[..], &header, l4].concat();
        Self { frame, hash }
    }
}

/// The ones' complement of the ones' complement sum (RFC 1071) of all bytes; each part has an even number of them.
fn checksum<const N: usize>(parts: [&[u8]; N]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let sum = (sum & 0xFFFF) + (sum >> 16);
    (!(sum + (sum >> 16)) as u16).to_be_bytes()
}

/// A UDP datagram or a TCP segment of the flow, its checksum over the pseudo-header of these addresses.
fn l4(number: u16, protocol: u8, addresses: &[u8]) -> Vec<u8> {
    let mut bytes = [(49_152 + number).to_be_bytes(), [0x13, 0x88]].concat();
    let at = match protocol {
        UDP => {
            bytes.extend([0, 0, 0, 0]);
            6
        }
        _ => {
            // Sequence numbers, a header of five words with ACK, a window.
            bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0]);
            16
        }
    };
    bytes.extend((0..64 + 2 * number).map(|n| (n ^ number) as u8));
    let len = (bytes.len() as u16).to_be_bytes();
    if protocol == UDP {
        bytes[4..6].copy_from_slice(&len);
    }
    let sum = checksum([addresses, &[0, protocol], &len, &bytes]);
    bytes[at..at + 2].copy_from_slice(&sum);
    bytes
}

/// All queue pairs: the NIC itself is pair 0.
struct Pairs {
    nic: Nic,
    others: Vec<QueuePair>,
}

impl Pairs {
    fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// What has come to each pair.
    fn receive(&mut self, received: &mut [Vec<RxFrame>]) -> Result<usize, Failure> {
        let mut count = self.nic.rx_batch(usize::MAX, &mut received[0])?;
        for (pair, frames) in self.others.iter_mut().zip(&mut received[1..]) {
            count += pair.rx_batch(usize::MAX, frames)?;
        }
        Ok(count)
    }

    /// Has a pair send these frames.
    fn send(&mut self, from: usize, flows: &[Flow]) -> Result<(), Failure> {
        let parts: Vec<[&[u8]; 1]> = flows.iter().map(|flow| [&flow.frame[..]]).collect();
        let whole = |parts| TxFrame {
            parts,
            mode: TxMode::Raw,
            report: true,
            ..TxFrame::default()
        };
        let frames: Vec<_> = parts.iter().map(|parts| whole(&parts[..])).collect();
        let taken = match from.checked_sub(1) {
            Some(n) => self.others[n].tx_batch(&frames)?,
            None => self.nic.tx_batch(&frames)?,
        };
        match taken == frames.len() {
            true => Ok(()),
            false => Err(Failure::Wrong(format!(
                "pair {from} has taken {taken} of {} frames",
                frames.len()
            ))),
        }
    }

    /// How many frames of a pair have left since it was asked last.
    fn left(&mut self, from: usize) -> Result<usize, Failure> {
        let done = match from.checked_sub(1) {
            Some(n) => self.others[n].tx_completions()?,
            None => self.nic.tx_completions()?,
        };
        Ok(done.len())
    }

    /// Has a pair send these frames, waits until all have left and as many have come, and gives what came to each pair.
    fn exchange(
        &mut self,
        clock: &dyn Clock,
        from: usize,
        flows: &[Flow],
    ) -> Result<Vec<Vec<RxFrame>>, Failure> {
        self.send(from, flows)?;
        let until = clock.now() + LIMIT_NS;
        let mut pause = 5_000;
        let mut received = vec![Vec::new(); self.count()];
        let (mut came, mut left) = (0, 0);
        loop {
            came += self.receive(&mut received)?;
            left += self.left(from)?;
            if came >= flows.len() && left >= flows.len() {
                return Ok(received);
            }
            if clock.now() >= until {
                let (sent, seconds) = (flows.len(), LIMIT_NS / 1_000_000_000);
                return Err(Failure::Wrong(format!(
                    "of {sent} frames from pair {from} {left} have left and {came} have come in {seconds} s"
                )));
            }
            wait(clock, &[], clock.now() + pause)?;
            pause = (2 * pause).min(1_000_000);
        }
    }

    /// Has pair 0 send a frame to a pair that sleeps.
    fn interrupt(&mut self, clock: &dyn Clock, pair: usize, flow: Flow) -> Result<(), Failure> {
        let fd = match pair.checked_sub(1) {
            Some(n) => {
                self.others[n].arm()?;
                self.others[n].drain_irq()?;
                self.others[n].irq_fd().try_clone_to_owned()
            }
            None => {
                self.nic.arm()?;
                self.nic.drain_irqs()?;
                let [_events, _tx, rx] = self.nic.irq_fds();
                rx.try_clone_to_owned()
            }
        };
        let fd = fd.map_err(|e| Failure::Wrong(format!("copying a descriptor: {e}")))?;
        self.send(0, &[flow])?;
        let until = clock.now() + LIMIT_NS;
        wait(clock, &[fd.as_fd()], until)?;
        if clock.now() >= until {
            let seconds = LIMIT_NS / 1_000_000_000;
            return Err(Failure::Wrong(format!(
                "pair {pair} has had no interrupt for a frame in {seconds} s"
            )));
        }
        let mut received = vec![Vec::new(); self.count()];
        self.receive(&mut received)?;
        match received[pair].len() {
            1 => Ok(()),
            n => Err(Failure::Wrong(format!(
                "pair {pair} has had an interrupt for one frame, and there are {n}"
            ))),
        }
    }
}

fn wait(clock: &dyn Clock, fds: &[BorrowedFd<'_>], until: u64) -> Result<(), Failure> {
    let waited = clock.wait(fds, Some(until));
    waited.map_err(|e| Failure::Wrong(format!("waiting: {e}")))
}

/// Opens the NIC with all of its queue pairs.
pub(super) fn check(nic: RawNic, clock: Arc<dyn Clock>) -> Result<String, Failure> {
    let caps = nic.caps();
    if caps.queues < 2 || !caps.hash {
        let (queues, hash) = (caps.queues, u8::from(caps.hash));
        let why = format!("CAPS.QUEUES is {queues}, CAPS.HASH is {hash}");
        return Err(Failure::Skipped(why));
    }
    let config = NicConfig {
        queue_pairs: caps.queues.min(ferrule_abi::regs::QUEUE_PAIRS as u8),
        hash_key: KEY,
        loopback: true,
        ..NicConfig::default()
    };
    let mut nic = Nic::open(nic.into_device(), Arc::clone(&clock), &config)?;
    let others = (1..config.queue_pairs).filter_map(|n| nic.take_pair(n));
    let others = others.collect();
    let mut pairs = Pairs { nic, others };
    let mac = pairs.nic.mac();
    let mut count = 0;
    for from in 0..pairs.count() {
        let numbers = (from as u16..).step_by(pairs.count()).take(FLOWS.into());
        let mut flows: Vec<Flow> = Vec::new();
        for number in numbers {
            for protocol in [UDP, TCP] {
                flows.push(Flow::ipv4(number, protocol, &mac));
                if caps.ipv6 {
                    flows.push(Flow::ipv6(number, protocol, &mac));
                }
            }
        }
        let received = pairs.exchange(&*clock, from, &flows)?;
        let table = *pairs.nic.indirection();
        compare(&flows, &received, &table)?;
        count += flows.len();
    }
    for pair in 0..pairs.count() {
        let table = *pairs.nic.indirection();
        let mut flows = (0..1_000).map(|number| Flow::ipv4(number, UDP, &mac));
        let to_it = flows.find(|flow| pair_of(&table, flow) == pair);
        let Some(flow) = to_it else {
            continue;
        };
        pairs.interrupt(&*clock, pair, flow)?;
    }
    let n = pairs.count();
    let Pairs { nic, others } = pairs;
    drop(others);
    nic.close()?;
    Ok(format!(
        "{count} flows sent by {n} pairs, each received by the pair that its hash and the table name; each pair's interrupt raised"
    ))
}

fn pair_of(table: &[u8; INDIRECTION_ENTRIES], flow: &Flow) -> usize {
    table[flow.hash as usize % INDIRECTION_ENTRIES].into()
}

/// What came to each pair must be what was sent and is for it, in its order.
fn compare(
    flows: &[Flow],
    received: &[Vec<RxFrame>],
    table: &[u8; INDIRECTION_ENTRIES],
) -> Result<(), Failure> {
    for (pair, frames) in received.iter().enumerate() {
        let mut wanted = flows.iter().filter(|flow| pair_of(table, flow) == pair);
        for frame in frames {
            let bytes = frame.to_vec();
            let Some(sent) = flows.iter().find(|flow| flow.frame == bytes) else {
                return Err(Failure::Wrong(format!(
                    "pair {pair} received {} bytes that were not sent",
                    bytes.len()
                )));
            };
            if frame.hash != sent.hash {
                return Err(Failure::Wrong(format!(
                    "a frame came with hash {:#010x}, {:#010x} is right",
                    frame.hash, sent.hash
                )));
            }
            if pair_of(table, sent) != pair {
                return Err(Failure::Wrong(format!(
                    "a frame of hash {:#010x} came to pair {pair}, the table says {}",
                    sent.hash,
                    pair_of(table, sent)
                )));
            }
            if wanted.next().is_none_or(|flow| flow.frame != bytes) {
                return Err(Failure::Wrong(format!(
                    "frames came to pair {pair} in another order than they were sent"
                )));
            }
        }
        if wanted.next().is_some() {
            return Err(Failure::Wrong(format!(
                "frames for pair {pair} are missing"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_published_examples() {
        // Microsoft, "Verifying the RSS Hash Calculation": 66.9.149.187:2794 to 161.142.100.80:1766.
        let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6];
        assert_eq!(toeplitz(&input), 0x51CC_C178);
    }
}

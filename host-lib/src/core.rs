//! NIC and stack joined: what arrived goes up, what is to be sent goes down.
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use ferrule_abi::counter;
use ferrule_driver::nic::{
    mac_text, Checksum, InPlaceFrame, NextHop, NicEvent, RxBuf, RxFrame, Segments, TxBuffer,
    TxFrame, TxMode, TxOutcome,
};
use ferrule_driver::{Nic, NicError};
use ferrule_stack::{Instant, Payload, RxMeta, Stack, Token, TxPacket};
use smallvec::SmallVec;

use crate::exports::Exports;
use crate::shared::Driven;

/// Frames taken from a ring, or handed to it, at a time.
const BATCH: usize = 16;
/// Packets that wait for one next hop's MAC address at most; RFC 1122 section 2.3.2.2 asks for at least one.
const MAX_PARKED: usize = 64;
/// Bytes of a packet that the stack parses: the longest IPv4 header and the longest TCP header, and some.
const HEAD: usize = 128;
/// Length of an Ethernet header.
const ETHERNET: usize = 14;
/// EtherType of IPv4, at bytes 12 and 13 of a frame.
const IPV4: [u8; 2] = [0x08, 0x00];
/// Rounds of one pump at most, so that a flood of packets keeps no call waiting.
const ROUNDS: usize = 8;
/// How often the NIC may be reset within [`RECOVERY_WINDOW`]; one that needs it more often does not work.
const RECOVERIES: usize = 6;
const RECOVERY_WINDOW: Duration = Duration::from_secs(60);
/// Tokens of the frames that the NIC may still report on; more than any transmit ring has entries.
const TOKENS: usize = 1 << 15;

/// Received payload as the stack takes it: nothing, or bytes that may still lie in a receive slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(Option<RxBuf>);

impl Payload for Body {
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, RxBuf::len)
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self(
            self.0
                .as_ref()
                .filter(|_| start < end)
                .map(|b| b.slice(start..end)),
        )
    }

    fn copy_to(&self, to: &mut [u8]) {
        if let Some(body) = &self.0 {
            body.copy_to(0, to);
        }
    }
}

/// A packet that waits for its next hop's MAC address.
struct Parked {
    packet: Vec<u8>,
    mode: TxMode,
    segments: Option<Segments>,
    token: Token,
}

/// A NIC with its stack.
pub(crate) struct Core {
    pub(crate) nic: Nic,
    pub(crate) stack: Stack<Body>,
    /// The gateways that the NIC knows, in its order.
    gateways: Vec<Ipv4Addr>,
    /// The sockets that programs poll.
    pub(crate) exports: Exports,
    parked: HashMap<Ipv4Addr, VecDeque<Parked>>,
    /// Resolved, to be sent again before anything new.
    released: VecDeque<Parked>,
    /// Packets of the stack's that are not made in the NIC's buffers, or found the transmit ring full.
    held: VecDeque<TxPacket<Body>>,
    /// Where the stack makes the next one: mostly there is none.
    next: TxPacket<Body>,
    /// Bytes of those that must be copied, while they are handed over.
    bytes: Vec<u8>,
    /// The stack's tokens by the NIC's, modulo its size.
    tokens: Vec<Option<Token>>,
    next_token: u64,
    /// Packets that the NIC did not send, among those it was handed, or sent before it was reset.
    unsent: u64,
    /// When to look whether the NIC gets on with what it was handed.
    watch: Option<Instant>,
    /// When the NIC was reset, the last [`RECOVERIES`] times.
    recoveries: VecDeque<Instant>,
    frames: Vec<RxFrame>,
    /// The NIC was found to be gone.
    gone: bool,
    /// The groups that the NIC receives; none before it was told of them.
    groups: Option<BTreeSet<Ipv4Addr>>,
}

/// The Ethernet address of a multicast group (RFC 1112 section 6.4).
fn group_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5E, b & 0x7F, c, d]
}

/// An error of the NIC's as a socket call reports it.
fn io_error(error: NicError) -> io::Error {
    let kind = match error {
        NicError::Gone => io::ErrorKind::NotConnected,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Whether a reset of the NIC mends what this error is about.
fn can_recover(error: &io::Error) -> bool {
    let nic = error.get_ref().and_then(|e| e.downcast_ref::<NicError>());
    matches!(nic, Some(NicError::Stopped { .. } | NicError::Stuck { .. }))
}

impl Core {
    pub(crate) fn new(nic: Nic, stack: Stack<Body>, gateways: Vec<Ipv4Addr>) -> Self {
        Self {
            nic,
            stack,
            gateways,
            exports: Exports::default(),
            parked: HashMap::new(),
            released: VecDeque::new(),
            held: VecDeque::new(),
            next: TxPacket::default(),
            bytes: Vec::new(),
            tokens: vec![None; TOKENS],
            next_token: 0,
            unsent: 0,
            watch: None,
            recoveries: VecDeque::new(),
            frames: Vec::new(),
            gone: false,
            groups: None,
        }
    }

    /// Whether there is neither anything to be sent nor anything to be told, whatever has arrived.
    #[inline]
    fn has_nothing_to_do(&self, now: Instant) -> bool {
        self.stack.is_quiet(now)
            && self.exports.is_untouched()
            && self.held.is_empty()
            && self.released.is_empty()
            && self.groups.is_some()
            && match self.watch {
                Some(watch) => watch > now,
                None => self.nic.tx_outstanding() == 0,
            }
            && !self.gone
    }

    fn move_with(
        &mut self,
        now: Instant,
        packets: impl FnOnce(&mut Self, Instant) -> io::Result<bool>,
    ) -> io::Result<bool> {
        if self.gone {
            return Err(io_error(NicError::Gone));
        }
        let moved = match packets(self, now) {
            Err(e) if can_recover(&e) => {
                let recovered = self.recover(now, e);
                recovered.and_then(|()| self.move_packets(now).map(|_| true))
            }
            result => result,
        };
        match moved {
            // A timer may end a connection without a packet.
            Ok(moved) => Ok(self.exports.follow(&mut self.stack) || moved),
            Err(e) => {
                self.fail(&e);
                Err(e)
            }
        }
    }

    /// The NIC does not work any more: whoever polls a socket finds out, and if the NIC is gone, every call does. Rings alone do not tell.
    fn fail(&mut self, error: &io::Error) {
        self.gone |= error.kind() == io::ErrorKind::NotConnected;
        self.exports.fail();
    }

    fn move_packets(&mut self, now: Instant) -> io::Result<bool> {
        self.watch(now)?;
        self.follow_groups()?;
        let mut moved = false;
        for _ in 0..ROUNDS {
            let came = !self.nic.is_quiet() && self.take_in(now)?;
            let sent = self.transmit(now)?;
            moved |= came || sent;
            // What is sent makes no more to be sent.
            if !came {
                break;
            }
        }
        Ok(moved)
    }

    /// Looks now and then whether the NIC gets on, while it has something to send.
    fn watch(&mut self, now: Instant) -> io::Result<()> {
        let due = match self.watch {
            Some(watch) => watch <= now,
            None => self.nic.tx_outstanding() > 0,
        };
        if due {
            let again = self.nic.watchdog().map_err(io_error)?;
            self.watch = again.map(Instant::from_nanos);
        }
        Ok(())
    }

    /// Resets the NIC, which `why` says is needed. What waits for a neighbour is sent again: the NIC has forgotten that it asks for it.
    fn recover(&mut self, now: Instant, why: io::Error) -> io::Result<()> {
        self.recoveries.retain(|past| now - *past < RECOVERY_WINDOW);
        if self.recoveries.len() == RECOVERIES {
            return Err(why);
        }
        tracing::error!("the NIC is reset: {why}");
        self.recoveries.push_back(now);
        self.watch = None;
        let recovery = self.nic.recover().map_err(io_error)?;
        // Its counters begin anew with what it is to send again; what it has failed to send is heard of now.
        self.unsent = self.next_token - (recovery.sent_again + recovery.failed) as u64;
        self.hear(now)?;
        self.released
            .extend(self.parked.drain().flat_map(|(_, parked)| parked));
        Ok(())
    }

    /// Has the NIC receive the groups that sockets are in, and no others.
    fn follow_groups(&mut self) -> io::Result<()> {
        if !self.stack.take_multicast_change() && self.groups.is_some() {
            return Ok(());
        }
        let wanted: BTreeSet<Ipv4Addr> = self.stack.multicast_groups().into_iter().collect();
        if !self.nic.caps().multicast {
            tracing::warn!("this NIC has no multicast filter: no group is received");
            self.groups = Some(wanted);
            return Ok(());
        }
        let known = self.groups.take().unwrap_or_default();
        for group in wanted.difference(&known) {
            self.nic
                .join_multicast(group_mac(*group))
                .map_err(io_error)?;
        }
        for group in known.difference(&wanted) {
            self.nic
                .leave_multicast(group_mac(*group))
                .map_err(io_error)?;
        }
        self.groups = Some(wanted);
        Ok(())
    }

    /// Whether nothing waits to be sent or acknowledged on behalf of sockets that are closed.
    pub(crate) fn is_drained(&self) -> bool {
        self.held.is_empty()
            && self.released.is_empty()
            && self.parked.is_empty()
            && self.nic.tx_outstanding() == 0
            && self.stack.is_drained()
    }

    fn take_in(&mut self, now: Instant) -> io::Result<bool> {
        let received = self.receive(now)?;
        Ok(self.hear(now)? || received)
    }

    fn receive(&mut self, now: Instant) -> io::Result<bool> {
        let mut frames = std::mem::take(&mut self.frames);
        let taken = self.nic.rx_batch(BATCH, &mut frames).map_err(io_error);
        for frame in frames.drain(..) {
            self.deliver(now, frame);
        }
        self.frames = frames;
        Ok(taken? > 0)
    }

    /// Hands an IPv4 packet to the stack; other frames are nobody's here.
    fn deliver(&mut self, now: Instant, frame: RxFrame) {
        if frame.truncated || frame.bad_fcs || frame.head.get(12..ETHERNET) != Some(&IPV4) {
            return;
        }
        let meta = RxMeta {
            ipv4_checksum_ok: frame.ip_header_ok,
            l4_checksum_ok: frame.checksum == Checksum::Good,
            l2_broadcast: frame.head[0] & 1 == 1,
        };
        let ip = &frame.head[ETHERNET..];
        match frame.body {
            None => self.stack.on_packet(now, meta, ip, Body(None)),
            Some(body) => {
                // The NIC's head counts from the Ethernet header; the longest IPv4 and TCP headers need its bytes again.
                let more = body.len().min(HEAD.saturating_sub(ip.len()));
                let mut head = [0; HEAD];
                head[..ip.len()].copy_from_slice(ip);
                body.copy_to(0, &mut head[ip.len()..ip.len() + more]);
                let rest = Body(Some(body.slice(more..body.len())));
                self.stack
                    .on_packet(now, meta, &head[..ip.len() + more], rest);
            }
        }
    }

    /// What became of packets, and what the NIC tells of neighbours; completions first, as the design orders them.
    fn hear(&mut self, now: Instant) -> io::Result<bool> {
        // Events are taken first: whatever completion belongs to one has been written then.
        let events = self.nic.events().map_err(io_error)?;
        let completions = self.nic.tx_completions().map_err(io_error)?;
        let any = !completions.is_empty() || !events.is_empty();
        for completion in completions {
            let token = self.tokens[slot(completion.token)].take();
            match completion.outcome {
                TxOutcome::NoNeighbour {
                    next_hop,
                    packet,
                    mode,
                    vlan: _,
                    segments,
                } => {
                    self.unsent += 1;
                    if let Some(token) = token {
                        self.park(
                            now,
                            next_hop,
                            Parked {
                                packet,
                                mode,
                                segments,
                                token,
                            },
                        );
                    }
                }
                TxOutcome::Sent { .. } => {}
                TxOutcome::DmaError | TxOutcome::BadDescriptor => {
                    self.unsent += 1;
                    tracing::error!("the NIC could not send a packet: {:?}", completion.outcome);
                }
            }
        }
        for event in events {
            match event {
                NicEvent::NeighbourResolved(addr) => {
                    self.released
                        .extend(self.parked.remove(&addr).unwrap_or_default());
                }
                NicEvent::NeighbourFailed(addr) => {
                    for parked in self.parked.remove(&addr).unwrap_or_default() {
                        self.stack.on_unreachable(now, parked.token);
                    }
                }
                NicEvent::AddressConflict { address, mac } => {
                    tracing::error!("{} claims the local address {address} too", mac_text(&mac));
                }
                NicEvent::Link { up } => tracing::info!("link {}", if up { "up" } else { "down" }),
                NicEvent::QueueError { queue, error } => {
                    tracing::error!("the NIC stopped its {queue} queue: error {error}");
                }
            }
        }
        Ok(any)
    }

    fn park(&mut self, now: Instant, next_hop: Ipv4Addr, parked: Parked) {
        self.stack.on_parked(now, parked.token);
        let queue = self.parked.entry(next_hop).or_default();
        if queue.len() == MAX_PARKED {
            // The oldest goes: its connection sends it again, as after any loss.
            if let Some(oldest) = queue.pop_front() {
                self.stack.on_released(now, oldest.token);
            }
        }
        queue.push_back(parked);
    }

    fn transmit(&mut self, now: Instant) -> io::Result<bool> {
        let mut moved = false;
        while let Some(parked) = self.released.pop_front() {
            if !self.send(&parked)? {
                self.released.push_front(parked);
                return Ok(moved);
            }
            self.stack.on_released(now, parked.token);
            moved = true;
        }
        loop {
            if self.held.is_empty() {
                if !self.stack.transmit_to(now, &mut self.next) {
                    return Ok(moved);
                }
                moved |= self.send_next(now)?;
                if self.held.is_empty() {
                    continue;
                }
            }
            while self.held.len() < BATCH && self.stack.transmit_to(now, &mut self.next) {
                self.held.push_back(std::mem::take(&mut self.next));
            }
            moved |= self.send_held()? > 0;
            if !self.held.is_empty() {
                return Ok(moved);
            }
        }
    }

    /// Hands the next packet and those that follow it to the NIC, with one doorbell, as long as each can be made in one of its buffers; whether it
    /// took any. One that cannot be, or that the ring has no room for, is held.
    fn send_next(&mut self, now: Instant) -> io::Result<bool> {
        let Self {
            nic,
            stack,
            gateways,
            held,
            next,
            tokens,
            next_token,
            ..
        } = self;
        let mut made = 0;
        // The next packet is not made yet.
        let mut waits = true;
        let taken = nic.tx_in_place(BATCH, |n, buffer| {
            if n > 0 && !stack.transmit_to(now, next) {
                return None;
            }
            waits = true;
            let len = write_to(buffer, next)?;
            waits = false;
            let token = *next_token + n as u64;
            tokens[slot(token)] = Some(next.token);
            made = n + 1;
            Some(InPlaceFrame {
                range: 0..len,
                mode: mode(gateways, next),
                token,
                ..InPlaceFrame::raw(0..0)
            })
        });
        let taken = match taken {
            // Nothing is made in PUSH mode.
            Err(NicError::InPushMode) => Ok(0),
            taken => taken.map_err(io_error),
        };
        // One that is refused behind others is tried once more, for the error that it gives when it is the first.
        if waits || taken.as_ref().is_ok_and(|taken| *taken < made) {
            held.push_back(std::mem::take(next));
        }
        next.payload.clear();
        let taken = taken?;
        *next_token += taken as u64;
        Ok(taken > 0)
    }

    /// Hands the packets that wait for the NIC to it, with one doorbell; how many its ring had room for.
    fn send_held(&mut self) -> io::Result<usize> {
        // What lies in a receive slot can only be copied out of it.
        self.bytes.clear();
        for packet in &self.held {
            if packet.payload.slices().is_none() {
                packet.append_to(&mut self.bytes);
            }
        }
        let taken = hand_over(
            &mut self.nic,
            &self.gateways,
            &self.held,
            &self.bytes,
            self.next_token,
        );
        let taken = taken.map_err(io_error);
        // The first is what an error is about.
        let gone = *taken.as_ref().unwrap_or(&1);
        for packet in self.held.drain(..gone) {
            if taken.is_ok() {
                self.tokens[slot(self.next_token)] = Some(packet.token);
                self.next_token += 1;
            }
        }
        taken
    }

    /// Hands a packet to the NIC; false while its ring is full.
    fn send(&mut self, parked: &Parked) -> io::Result<bool> {
        let number = self.next_token;
        let frame = TxFrame {
            parts: &[&parked.packet],
            mode: parked.mode,
            token: number,
            segments: parked.segments,
            ..TxFrame::default()
        };
        let taken = self.nic.send(&frame).map_err(io_error)?;
        if taken {
            self.tokens[slot(number)] = Some(parked.token);
            self.next_token += 1;
        }
        Ok(taken)
    }
}

impl Driven for Core {
    fn pump(&mut self, now: Instant) -> io::Result<bool> {
        if self.nic.is_quiet() && self.has_nothing_to_do(now) {
            return Ok(false);
        }
        self.move_with(now, Self::move_packets)
    }

    fn hand_down(&mut self, now: Instant) -> io::Result<bool> {
        if self.has_nothing_to_do(now) {
            return Ok(false);
        }
        self.move_with(now, |core, now| {
            core.follow_groups()?;
            core.transmit(now)
        })
    }

    fn next_deadline(&self) -> Option<u64> {
        // While the transmit ring is full only a completion helps, whatever the stack has to send.
        let timer = match self.held.is_empty() && self.released.is_empty() {
            true => self.stack.next_deadline(),
            false => None,
        };
        let deadlines = [timer, self.watch];
        let first = deadlines.into_iter().flatten().min();
        first.map(Instant::as_nanos)
    }

    fn arm(&mut self) -> io::Result<bool> {
        let armed = self.nic.arm().map_err(io_error);
        armed.inspect_err(|e| self.fail(e))?;
        Ok(self.has_work())
    }

    fn has_work(&self) -> bool {
        self.nic.has_work()
    }

    fn drain_irqs(&mut self, readable: u64) -> io::Result<()> {
        let drained = self.nic.drain_some_irqs(readable).map_err(io_error);
        drained.inspect_err(|e| self.fail(e))
    }

    fn check_present(&mut self) -> io::Result<()> {
        let present = self.nic.check_present().map_err(io_error);
        present.inspect_err(|e| self.fail(e))
    }

    fn has_left(&mut self) -> io::Result<bool> {
        let stats = self.nic.stats().map_err(io_error)?;
        let arp = stats.get(counter::ARP_REQUESTS) + stats.get(counter::ARP_REPLIES);
        let packets = stats.get(counter::TX_FRAMES).saturating_sub(arp);
        Ok(packets >= self.next_token - self.unsent)
    }
}

/// Hands packets to the NIC, with tokens from `first_token` on; how many it has taken. `copied` are all bytes of those of which not all lie in
/// ordinary memory.
fn hand_over(
    nic: &mut Nic,
    gateways: &[Ipv4Addr],
    packets: &VecDeque<TxPacket<Body>>,
    mut copied: &[u8],
    first_token: u64,
) -> Result<usize, NicError> {
    let mut parts: SmallVec<[&[u8]; 2 * BATCH]> = SmallVec::new();
    let mut ends: SmallVec<[usize; BATCH]> = SmallVec::new();
    for packet in packets {
        match packet.payload.slices() {
            Some(slices) => {
                parts.push(packet.head.as_slice());
                parts.extend(slices);
            }
            None => {
                let (one, others) = copied.split_at(packet.len());
                parts.push(one);
                copied = others;
            }
        }
        ends.push(parts.len());
    }
    let mut begin = 0;
    let frames: SmallVec<[TxFrame<'_>; BATCH]> = (packets.iter().zip(ends))
        .zip(first_token..)
        .map(|((packet, end), token)| TxFrame {
            parts: &parts[std::mem::replace(&mut begin, end)..end],
            mode: mode(gateways, packet),
            token,
            segments: segments(packet.segment_bytes, packet.head.as_slice()),
            ..TxFrame::default()
        })
        .collect();
    nic.tx_batch(&frames)
}

/// Copies a packet to the buffer that it is sent from; its length, or nothing if it is longer, is to be cut, or lies in a receive slot in part.
#[inline]
fn write_to(buffer: &mut TxBuffer<'_>, packet: &TxPacket<Body>) -> Option<usize> {
    if packet.segment_bytes != 0 || packet.len() > TxBuffer::LEN {
        return None;
    }
    let head = packet.head.as_slice();
    let slices = packet.payload.slices()?;
    buffer.write(0, head);
    let mut len = head.len();
    for bytes in slices {
        buffer.write(len, bytes);
        len += bytes.len();
    }
    Some(len)
}

/// What the NIC is to add to a packet.
fn mode(gateways: &[Ipv4Addr], packet: &TxPacket<Body>) -> TxMode {
    TxMode::Ip {
        next_hop: next_hop(gateways, packet.next_hop),
        ip_checksum: packet.insert_ipv4_checksum,
        l4_checksum: packet.insert_l4_checksum,
    }
}

/// How the NIC is told of a gateway that the stack has chosen.
fn next_hop(gateways: &[Ipv4Addr], gateway: Option<Ipv4Addr>) -> NextHop {
    let known = gateway.and_then(|gateway| gateways.iter().position(|g| *g == gateway));
    match known.and_then(|n| u8::try_from(n + 1).ok()) {
        Some(n) => NextHop::Gateway(n),
        None => NextHop::Automatic,
    }
}

/// How a packet of the stack's is to be cut, if it is one: its head begins with the headers of IPv4 and TCP.
fn segments(mss: u16, packet: &[u8]) -> Option<Segments> {
    let bytes_of_words = |at: usize, shift: u8| usize::from(packet[at] >> shift & 15) * 4;
    (mss != 0).then(|| {
        let ip = bytes_of_words(0, 0);
        let header_bytes = (ip + bytes_of_words(ip + 12, 4)) as u16;
        Segments { header_bytes, mss }
    })
}

fn slot(token: u64) -> usize {
    (token % TOKENS as u64) as usize
}

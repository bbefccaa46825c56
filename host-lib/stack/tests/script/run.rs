//! Runs a script: moves virtual time, feeds packets in, compares what comes out.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use ferrule_stack::{Bytes, Instant, RxMeta, Stack, Token};

use crate::build;
use crate::check;
use crate::flow::{Flow, Stamps, Usual};
use crate::packet::{Ends, Packet};
use crate::script::{Action, Script, Step};
use crate::seen::{self, Body, Seen};
use crate::sockets::Sockets;
use crate::source::Trouble;

/// Steps of the story so far that a failure tells.
const STORY: usize = 14;

/// Bytes that a driver copies for the stack to parse; the rest is handed over as a buffer.
const HEAD_BYTES: usize = 128;

/// Both ends of a connection: ours, the peer's.
type Ports = (SocketAddrV4, SocketAddrV4);

/// The world of one script.
pub(crate) struct Run {
    pub(crate) stack: Stack<Bytes>,
    pub(crate) now: Instant,
    pub(crate) sockets: Sockets,
    pub(crate) usual: Usual,
    pub(crate) last_token: Option<Token>,
    began: Instant,
    flows: HashMap<Ports, Flow>,
    stamps: Stamps,
    isn: u32,
    /// Sent and not yet expected.
    sent: VecDeque<(Instant, Seen)>,
    last_in: Vec<u8>,
    last_out: Vec<u8>,
    /// Payload of fragments of one datagram so far.
    fragments: Vec<u8>,
    story: VecDeque<String>,
}

/// Runs a script to its end, or to its first failure.
pub(crate) fn run(script: &Script) -> Result<(), Trouble> {
    let mut run = Run::new(script);
    for step in &script.steps {
        run.step(step).map_err(|what| run.trouble(step, what))?;
    }
    let Some(last) = script.steps.last() else {
        return Ok(());
    };
    run.settle(run.now)
        .and_then(|()| run.nothing_sent())
        .map_err(|what| run.trouble(last, what))
}

impl Run {
    fn new(script: &Script) -> Run {
        // Not at zero, so that a time before the first packet exists.
        let began = Instant::from_millis(1_000_000);
        Run {
            stack: Stack::new(script.setup.config.clone()),
            now: began,
            sockets: Sockets::default(),
            usual: Usual::new(),
            last_token: None,
            began,
            flows: HashMap::new(),
            stamps: Stamps::default(),
            isn: script.setup.peer_isn,
            sent: VecDeque::new(),
            last_in: Vec::new(),
            last_out: Vec::new(),
            fragments: Vec::new(),
            story: VecDeque::new(),
        }
    }

    fn trouble(&self, step: &Step, what: String) -> Trouble {
        let story: Vec<String> = self.story.iter().map(|l| format!("\n      {l}")).collect();
        Trouble {
            place: step.place.clone(),
            what: format!("{what}\n    at: {}{}", step.text, story.concat()),
        }
    }

    fn tell(&mut self, what: &str) {
        let time = self.now - self.began;
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story
            .push_back(format!("{:>10.6} {what}", time.as_secs_f64()));
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let (low, high) = step.after;
        let (from, to) = (self.now + low, self.now + high);
        match &step.action {
            Action::Out(packet) => return self.expect(packet, from, to),
            Action::In(packet) => {
                self.pass(from)?;
                self.tell(&step.text);
                self.arrive(packet)?;
            }
            Action::Perhaps(packet) => {
                self.settle(from)?;
                let held = (self.sent.clone(), self.flows.clone(), self.stamps.clone());
                if self.expect(packet, from, to).is_err() {
                    (self.sent, self.flows, self.stamps) = held;
                }
            }
            Action::Quiet => self.pass(from)?,
            Action::Drain => {
                self.settle(from)?;
                while !self.sent.is_empty() {
                    self.sent.clear();
                    self.settle(from)?;
                }
                self.now = from;
            }
            Action::Call(call) => {
                self.pass(from)?;
                self.tell(&step.text);
                self.call(call)?;
            }
        }
        self.settle(self.now)
    }

    /// Moves on to `until`, within which nothing may be sent.
    fn pass(&mut self, until: Instant) -> Result<(), String> {
        self.settle(until)?;
        self.nothing_sent()?;
        self.now = until;
        Ok(())
    }

    fn nothing_sent(&mut self) -> Result<(), String> {
        let Some((at, seen)) = self.sent.front() else {
            return Ok(());
        };
        let late = (*at - self.began).as_secs_f64();
        Err(format!(
            "nothing expected, came at {late:.6}: {}",
            self.describe(seen)
        ))
    }

    fn describe(&self, seen: &Seen) -> String {
        match self.flows.get(&seen.ends()) {
            Some(flow) => seen.describe(flow),
            None => seen.describe(&Flow::new(0)),
        }
    }

    /// Polls the stack now and at each of its deadlines up to `until`, or until something is sent.
    fn settle(&mut self, until: Instant) -> Result<(), String> {
        let mut turns = 0;
        loop {
            let mut at = self.now;
            while let Some(packet) = self.stack.poll_transmit(at) {
                self.last_token = Some(packet.token);
                let bytes = packet.to_vec();
                if bytes.len() > usize::from(self.stack.config().mtu) {
                    return Err(format!("{} bytes were sent over the MTU", bytes.len()));
                }
                let seen = seen::parse(bytes)?;
                self.sent.push_back((at, seen));
                if self.sent.len() > 10_000 {
                    return Err("the stack never stops sending".into());
                }
            }
            if !self.sent.is_empty() {
                return Ok(());
            }
            match self.stack.next_deadline() {
                Some(deadline) if deadline <= until => {
                    at = at.max(deadline);
                    turns = if at == self.now { turns + 1 } else { 0 };
                    if turns > 1000 {
                        return Err("a deadline stays due however often it is polled".into());
                    }
                    self.now = at;
                }
                _ => return Ok(()),
            }
        }
    }

    fn flow(&mut self, ends: &Ends) -> (Ports, Flow) {
        let ports = self.usual.with(ends);
        let isn = self.isn;
        let flow = self.flows.entry(ports).or_insert_with(|| Flow::new(isn));
        (ports, flow.clone())
    }

    fn arrive(&mut self, packet: &Packet) -> Result<(), String> {
        let (ports, mut flow) = self.flow(&packet.ends);
        let bytes = build::build(
            packet,
            &mut build::Context {
                local: ports.0,
                peer: ports.1,
                flow: &mut flow,
                stamps: &self.stamps,
                last_out: &self.last_out,
            },
        )?;
        self.flows.insert(ports, flow);
        let meta = RxMeta {
            l2_broadcast: packet.link_broadcast,
            ..RxMeta::default()
        };
        let split = match bytes.len() {
            len if len <= 2 * HEAD_BYTES => len,
            _ => HEAD_BYTES,
        };
        let body = Bytes::from(&bytes[split..]);
        self.stack.on_packet(self.now, meta, &bytes[..split], body);
        self.last_in = bytes;
        Ok(())
    }

    /// The next packet sent must be this one, and in time.
    fn expect(&mut self, packet: &Packet, from: Instant, to: Instant) -> Result<(), String> {
        self.settle(to)?;
        let Some((at, seen)) = self.sent.pop_front() else {
            return Err("nothing came".into());
        };
        let described = self.describe(&seen);
        if at < from || at > to {
            let (early, want) = match at < from {
                true => ("early", from),
                false => ("late", to),
            };
            let off = match at < from {
                true => want - at,
                false => at - want,
            };
            return Err(format!("came {off:?} too {early}: {described}"));
        }
        self.now = at;
        let (ports, mut flow) = self.flow(&packet.ends);
        let mut compared = check::compare(
            packet,
            &seen,
            &mut check::Context {
                local: ports.0,
                peer: ports.1,
                flow: &mut flow,
                stamps: &mut self.stamps,
                last_in: &self.last_in,
            },
        );
        if let Body::Tcp(tcp) = &seen.body {
            let octets = tcp.data.len() as u32 + u32::from(tcp.flags & 3 != 0);
            let end = tcp.seq.wrapping_add(octets);
            if end.wrapping_sub(flow.highest) < 1 << 31 {
                flow.highest = end;
            }
            if compared.is_ok() {
                compared = flow.always.sends(tcp);
            }
        }
        self.flows.insert(ports, flow);
        // Described anew: a SYN has just begun the numbering.
        let described = self.describe(&seen);
        compared.map_err(|why| format!("{why}; came: {described}"))?;
        self.tell(&described);
        self.last_out = seen.bytes.clone();
        self.whole(&seen)
    }

    /// The last fragment of a datagram makes it whole, and its transport checksum can be verified.
    fn whole(&mut self, seen: &Seen) -> Result<(), String> {
        let Body::Fragment(data) = &seen.body else {
            return Ok(());
        };
        if seen.offset == 0 {
            self.fragments.clear();
        }
        if seen.offset != self.fragments.len() {
            return Err("a gap between fragments".into());
        }
        self.fragments.extend(data);
        match seen.more_fragments {
            true => Ok(()),
            false => {
                seen::transport(seen.src, seen.dst, seen.protocol, &self.fragments).map(|_| ())
            }
        }
    }

    /// Time since the script began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.began
    }
}

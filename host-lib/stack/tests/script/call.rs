//! Calls of a program, and what it asks of the stack: how a script writes them.

use std::net::{Ipv4Addr, SocketAddrV4};

use ferrule_stack::{Readiness, Shutdown};

use crate::flow::Usual;
use crate::option::Change;
use crate::words::{Want, Words};

/// A call with its expected result.
#[derive(Debug)]
pub(crate) struct Call {
    /// The socket it is made on.
    pub(crate) on: String,
    pub(crate) what: What,
    /// What stands after `=`, if anything does.
    pub(crate) result: Option<String>,
}

/// The calls.
#[derive(Debug)]
pub(crate) enum What {
    Listen {
        at: SocketAddrV4,
        backlog: usize,
    },
    Accept,
    Connect {
        from: Option<SocketAddrV4>,
        to: SocketAddrV4,
    },
    Send(usize),
    /// Bytes at most, and the text that is expected.
    Recv {
        len: usize,
        peek: bool,
        text: Option<Vec<u8>>,
    },
    Unread,
    Shutdown(Shutdown),
    Close,
    Abort,
    SendBuffer(usize),
    RecvBuffer(usize),
    State,
    /// Conditions that hold, and those that do not.
    Ready {
        set: Readiness,
        clear: Readiness,
    },
    /// The next change of readiness is this socket's and has these conditions.
    Event(Readiness),
    TakeError,
    RoundTripTime,
    Peer,
    Counter {
        name: String,
        want: Want,
    },
    Drained,
    UdpBind(SocketAddrV4),
    UdpConnect(Option<SocketAddrV4>),
    UdpSend {
        len: usize,
        to: Option<SocketAddrV4>,
    },
    UdpRecv {
        len: usize,
        peek: bool,
        from: Option<SocketAddrV4>,
        to: Option<Ipv4Addr>,
    },
    UdpDrops,
    PingOpen,
    PingSend {
        to: Ipv4Addr,
        seq: u16,
        len: usize,
    },
    PingRecv(usize),
    /// What the device says about the packet sent last.
    Park,
    Release,
    Unreachable,
    /// Any other option of a socket, by name.
    Option(Change),
}

/// Names of errors, as results.
const ERRORS: [&str; 19] = [
    "WouldBlock",
    "InProgress",
    "Stale",
    "Unsupported",
    "InvalidInput",
    "NotConnected",
    "ConnectionRefused",
    "ConnectionReset",
    "ConnectionAborted",
    "BrokenPipe",
    "TimedOut",
    "AddrInUse",
    "AddrNotAvailable",
    "HostUnreachable",
    "NetworkUnreachable",
    "MessageTooLong",
    "DestinationRequired",
    "ProtocolUnavailable",
    "none",
];

const STATES: [&str; 11] = [
    "Closed",
    "Listen",
    "SynSent",
    "SynReceived",
    "Established",
    "FinWait1",
    "FinWait2",
    "CloseWait",
    "Closing",
    "LastAck",
    "TimeWait",
];

/// Reads a call.
pub(crate) fn parse(words: &mut Words) -> Result<Call, String> {
    let verb = words.next("a packet or call")?;
    let on = match verb.as_str() {
        "stats" | "drained" | "park" | "release" | "unreachable" => String::new(),
        _ => words.next("a socket's name")?,
    };
    let mut what = arguments(&verb, words)?;
    let mut result = None;
    if words.take("=") {
        result = Some(expected(&mut what, words)?);
    }
    if let What::UdpRecv { from, to, .. } = &mut what {
        if words.take("from") {
            *from = Some(words.number("ADDRESS:PORT")?);
        }
        if words.take("to") {
            *to = Some(words.number("an address")?);
        }
    }
    Ok(Call { on, what, result })
}

fn arguments(verb: &str, words: &mut Words) -> Result<What, String> {
    Ok(match verb {
        "listen" => {
            let at = local(words)?;
            let backlog = match words.take("backlog") {
                true => words.number("a backlog")?,
                false => 4,
            };
            What::Listen { at, backlog }
        }
        "accept" => What::Accept,
        "connect" => {
            let usual = Usual::new();
            let (mut from, mut to) = (Some(usual.local), usual.peer);
            if words.take("to") {
                to = words.number("ADDRESS:PORT")?;
            }
            if words.take("from") {
                from = Some(words.number("ADDRESS:PORT")?);
            } else if words.take("ephemeral") {
                from = None;
            }
            What::Connect { from, to }
        }
        "send" => What::Send(words.number("a length")?),
        "recv" | "peek" => What::Recv {
            len: words.number("a length")?,
            peek: verb == "peek",
            text: None,
        },
        "unread" => What::Unread,
        "shutdown" => What::Shutdown(match words.next("read, write or both")?.as_str() {
            "read" => Shutdown::Read,
            "write" => Shutdown::Write,
            "both" => Shutdown::Both,
            other => return Err(format!("`{other}` is not read, write or both")),
        }),
        "close" => What::Close,
        "abort" => What::Abort,
        "nodelay" => What::Option(Change::NoDelay(!words.take("off"))),
        "sndbuf" => What::SendBuffer(words.number("bytes")?),
        "rcvbuf" => What::RecvBuffer(words.number("bytes")?),
        "state" => What::State,
        "ready" => {
            let (mut set, mut clear) = (Readiness::NONE, Readiness::NONE);
            while let Some(word) = words.peek().map(str::to_string) {
                words.next("")?;
                match word.strip_prefix('!') {
                    Some(not) => clear |= condition(not)?,
                    None => set |= condition(&word)?,
                }
            }
            What::Ready { set, clear }
        }
        "event" => {
            let mut set = Readiness::NONE;
            while let Some(word) = words.peek().map(str::to_string) {
                words.next("")?;
                set |= condition(&word)?;
            }
            What::Event(set)
        }
        "error" => What::TakeError,
        "srtt" => What::RoundTripTime,
        "peer" => What::Peer,
        "stats" => What::Counter {
            name: words.next("a counter")?,
            want: Want::ANY,
        },
        "drained" => What::Drained,
        "udp" => What::UdpBind(local(words)?),
        "udpconnect" => What::UdpConnect(match words.take("nobody") {
            true => None,
            false => Some(words.number("ADDRESS:PORT")?),
        }),
        "sendto" => {
            let len = words.number("a length")?;
            let to = match words.take("to") {
                true => Some(words.number("ADDRESS:PORT")?),
                false => None,
            };
            What::UdpSend { len, to }
        }
        "recvfrom" | "peekfrom" => What::UdpRecv {
            len: words.number("a length")?,
            peek: verb == "peekfrom",
            from: None,
            to: None,
        },
        "drops" => What::UdpDrops,
        "ping" => What::PingOpen,
        "pingsend" => What::PingSend {
            to: words.number("an address")?,
            seq: words.number("a sequence number")?,
            len: words.number("a length")?,
        },
        "pingrecv" => What::PingRecv(words.number("a length")?),
        "park" => What::Park,
        "release" => What::Release,
        "unreachable" => What::Unreachable,
        "option" => {
            let name = words.next("an option")?;
            let mut values = Vec::new();
            while words.peek().is_some_and(|w| w != "=") {
                values.push(words.next("a value")?);
            }
            What::Option(Change::parse(&name, &values)?)
        }
        other => return Err(format!("`{other}` is not understood")),
    })
}

/// What stands after `=`: it must be something the call can give.
fn expected(what: &mut What, words: &mut Words) -> Result<String, String> {
    let word = words.next("a result")?;
    // One of several errors where the standards leave the choice.
    let known = word.split('|').all(|w| ERRORS.contains(&w));
    let error = known && word != "none";
    let number = word.parse::<u64>().is_ok();
    let fits = match what {
        What::Counter { want, .. } => {
            *want = Want::parse(&word)?;
            true
        }
        What::Recv { text, .. } => {
            if word.starts_with('"') {
                *text = Some(word.trim_matches('"').as_bytes().to_vec());
            }
            text.is_some() || error || number
        }
        What::State => STATES.contains(&word.as_str()) || word == "Stale",
        What::TakeError => known,
        What::Drained => word == "yes" || word == "no",
        What::RoundTripTime => word == "none" || crate::script::duration(&word).is_ok(),
        What::Peer => word.parse::<SocketAddrV4>().is_ok(),
        What::Send(_) | What::Unread | What::UdpSend { .. } | What::UdpRecv { .. } => {
            error || number
        }
        What::UdpDrops | What::PingRecv(_) => error || number,
        What::Accept | What::Listen { .. } | What::UdpBind(_) | What::PingOpen => true,
        _ => error,
    };
    match fits {
        true => Ok(word),
        false => Err(format!("`{word}` is nothing this call can give")),
    }
}

fn condition(name: &str) -> Result<Readiness, String> {
    Ok(match name {
        "IN" => Readiness::READABLE,
        "OUT" => Readiness::WRITABLE,
        "RDHUP" => Readiness::READ_CLOSED,
        "HUP" => Readiness::HANGUP,
        "ERR" => Readiness::ERROR,
        other => return Err(format!("`{other}` is not a condition")),
    })
}

/// `PORT` on any address, or `ADDRESS:PORT`.
fn local(words: &mut Words) -> Result<SocketAddrV4, String> {
    let word = words.next("PORT or ADDRESS:PORT")?;
    match word.parse() {
        Ok(port) => Ok(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        Err(_) => word
            .parse()
            .map_err(|_| format!("`{word}` is not PORT or ADDRESS:PORT")),
    }
}

//! `ferrule ping`: ICMP echo through a NIC.
use std::io::ErrorKind;
use std::time::Duration;

use serde::Serialize;

use crate::args::{Access, Ping};
use crate::device;
use crate::error::Error;
use crate::output;
use crate::session::{self, Session, SessionConfig};
use ferrule::Host;

/// One request as it ended.
#[derive(Serialize)]
struct Answer {
    sequence: u16,
    /// Round trip in nanoseconds; none without an answer.
    ns: Option<u64>,
    ttl: Option<u8>,
    /// Why there was no answer.
    error: Option<String>,
}

/// The whole run, for `--json`.
#[derive(Serialize)]
struct Summary {
    host: String,
    sent: usize,
    received: usize,
    answers: Vec<Answer>,
}

/// Pings and prints.
///
/// # Errors
/// When there is no NIC, or not every request was answered.
pub(crate) fn run(args: &Ping) -> Result<(), Error> {
    let session = match args.device.as_deref() {
        None => Some(simulated(args, Access::VfioUser)?),
        Some(spec) if device::is_simulated(spec) => Some(simulated(args, Access::Sim)?),
        Some(_) => None,
    };
    let host = match (&session, &args.device) {
        (Some(session), _) => session.host(),
        (None, device) => session::attach(
            device.as_deref().unwrap_or_default(),
            args.address.address,
            args.address.gateway,
        )?,
    };
    let clock = if session.as_ref().is_some_and(Session::is_simulated_time) {
        " simulated"
    } else {
        ""
    };
    if !args.json {
        println!("PING {}: {} bytes of payload{clock}", args.host, args.size);
    }
    let answers = ping(args, &host, clock)?;
    drop(host);
    if let Some(session) = session {
        session.end()?;
    }
    report(args, answers)
}

/// Sends the requests one after the other.
fn ping(args: &Ping, host: &Host, clock: &str) -> Result<Vec<Answer>, Error> {
    let socket = host.ping().map_err(Error::doing("opening a ping socket"))?;
    let payload: Vec<u8> = (0..args.size).map(|i| i as u8).collect();
    let mut answers = Vec::new();
    for sequence in 1..=args.count {
        let answer = match socket.echo(
            args.host,
            sequence,
            &payload,
            Duration::from_secs(args.timeout),
        ) {
            Ok(reply) if reply.payload == payload => Answer {
                sequence,
                ns: u64::try_from(reply.round_trip.as_nanos()).ok(),
                ttl: Some(reply.ttl),
                error: None,
            },
            Ok(_) => Answer {
                sequence,
                ns: None,
                ttl: None,
                error: Some("the answer holds other bytes than were sent".to_owned()),
            },
            // Without a NIC there is nothing to wait for.
            Err(e) if e.kind() == ErrorKind::NotConnected => {
                return Err(Error::doing("sending a request")(e));
            }
            Err(e) => Answer {
                sequence,
                ns: None,
                ttl: None,
                error: Some(e.to_string()),
            },
        };
        if !args.json {
            match (&answer.error, answer.ns) {
                (None, Some(ns)) => println!(
                    "{} bytes from {}: seq={sequence} ttl={} time={:.1?}{clock}",
                    args.size,
                    args.host,
                    answer.ttl.unwrap_or(0),
                    Duration::from_nanos(ns)
                ),
                (error, _) => println!(
                    "seq={sequence}: {}",
                    error.as_deref().unwrap_or("no answer")
                ),
            }
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn report(args: &Ping, answers: Vec<Answer>) -> Result<(), Error> {
    let sent = answers.len();
    let received = answers.iter().filter(|a| a.error.is_none()).count();
    if args.json {
        let summary = Summary {
            host: args.host.to_string(),
            sent,
            received,
            answers,
        };
        output::json(&summary)?;
    } else {
        println!("{sent} sent, {received} received");
    }
    if received == sent {
        Ok(())
    } else {
        Err(Error::Wrong(format!(
            "{} of {sent} requests to {} were not answered",
            sent - received,
            args.host
        )))
    }
}

/// A NIC of our own on the wire that the arguments name.
fn simulated(args: &Ping, access: Access) -> Result<Session, Error> {
    args.sim.wire.must_answer()?;
    Session::start(&SessionConfig {
        sim: args.sim.clone(),
        access,
        address: args.address.address,
        gateway: args.address.gateway_on(&args.sim.wire),
        pcap: None,
        vcd: None,
    })
}

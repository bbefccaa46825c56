//! Options of a TCP socket: how a script writes them, and setting them.

use std::time::Duration;

use ferrule_stack::{Algorithm, KeepAlive, TcpOptions};

use crate::script::duration;

/// What one option is set to.
#[derive(Debug)]
pub(crate) enum Change {
    NoDelay(bool),
    Cork(bool),
    QuickAck(bool),
    KeepAlive(Option<KeepAlive>),
    UserTimeout(Option<Duration>),
    Congestion(Algorithm),
}

impl Change {
    /// `NAME [off|VALUES]`; keep-alive takes idle time, interval and count, or the stack's.
    pub(crate) fn parse(name: &str, values: &[String]) -> Result<Change, String> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let on = || match values[..] {
            [] | ["on"] => Ok(true),
            ["off"] => Ok(false),
            _ => Err(format!("{name} is on or off")),
        };
        Ok(match (name, &values[..]) {
            ("nodelay", _) => Change::NoDelay(on()?),
            ("cork", _) => Change::Cork(on()?),
            ("quick_ack", _) => Change::QuickAck(on()?),
            ("keepalive", ["off"]) => Change::KeepAlive(None),
            ("keepalive", []) => Change::KeepAlive(Some(KeepAlive::default())),
            ("keepalive", [idle, interval, probes]) => Change::KeepAlive(Some(KeepAlive {
                idle: duration(idle)?,
                interval: duration(interval)?,
                probes: probes.parse().map_err(|e| format!("`{probes}`: {e}"))?,
            })),
            ("user_timeout", ["off"]) => Change::UserTimeout(None),
            ("user_timeout", [time]) => Change::UserTimeout(Some(duration(time)?)),
            ("congestion", ["cubic"]) => Change::Congestion(Algorithm::Cubic),
            ("congestion", ["newreno"]) => Change::Congestion(Algorithm::NewReno),
            _ => return Err(format!("there is no option {name} {}", values.join(" "))),
        })
    }

    pub(crate) fn apply(&self, options: &mut TcpOptions) {
        match *self {
            Change::NoDelay(on) => options.nodelay = on,
            Change::Cork(on) => options.cork = on,
            Change::QuickAck(on) => options.quick_ack = on,
            Change::KeepAlive(times) => options.keep_alive = times,
            Change::UserTimeout(time) => options.user_timeout = time,
            Change::Congestion(algorithm) => options.congestion = algorithm,
        }
    }
}

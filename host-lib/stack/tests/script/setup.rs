//! `config` lines: what the stack is told when it is made.

use std::time::Duration;

use ferrule_stack::{Cidr, Config};

use crate::flow::Usual;
use crate::script::duration;
use crate::words::Words;

/// The stack's configuration, and the peer's initial sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) peer_isn: u32,
}

impl Setup {
    /// The usual address with defaults.
    pub(crate) fn new() -> Result<Setup, String> {
        let cidr = Cidr::new(Usual::LOCAL, 24).ok_or("24 is a valid prefix length")?;
        Ok(Setup {
            config: Config::new(cidr, [7; 16]),
            peer_isn: 5_000_000,
        })
    }

    /// Reads the rest of a `config` line.
    pub(crate) fn apply(&mut self, words: &mut Words) -> Result<(), String> {
        let name = words.next("a setting")?;
        let tcp = &mut self.config.tcp;
        match name.as_str() {
            "mtu" => self.config.mtu = words.number("bytes")?,
            "ttl" => self.config.ttl = words.number("a time to live")?,
            "seed" => self.config.seed = [words.number("a byte")?; 16],
            "peer_isn" => self.peer_isn = words.number("a sequence number")?,
            "address" => {
                let text = words.next("ADDRESS/PREFIX")?;
                let cidr = text
                    .split_once('/')
                    .and_then(|(a, p)| Cidr::new(a.parse().ok()?, p.parse().ok()?));
                self.config
                    .addrs
                    .push(cidr.ok_or_else(|| format!("`{text}` is not ADDRESS/PREFIX"))?);
            }
            "initial_rto" => tcp.initial_rto = time(words)?,
            "min_rto" => tcp.min_rto = time(words)?,
            "max_rto" => tcp.max_rto = time(words)?,
            "max_retransmits" => tcp.max_retransmits = words.number("a count")?,
            "max_syn_retransmits" => tcp.max_syn_retransmits = words.number("a count")?,
            "max_syn_ack_retransmits" => tcp.max_syn_ack_retransmits = words.number("a count")?,
            "delayed_ack" => tcp.delayed_ack = time(words)?,
            "msl" => tcp.msl = time(words)?,
            "orphan_fin_wait_2" => tcp.orphan_fin_wait_2 = time(words)?,
            "send_buffer" => tcp.send_buffer_bytes = words.number("bytes")?,
            "recv_buffer" => tcp.recv_buffer_bytes = words.number("bytes")?,
            "min_syn_queue" => tcp.min_syn_queue = words.number("a count")?,
            "max_backlog" => tcp.max_backlog = words.number("a count")?,
            "max_time_wait" => tcp.max_time_wait = words.number("a count")?,
            "ephemeral_ports" => {
                tcp.ephemeral_ports = (words.number("a port")?, words.number("a port")?);
            }
            "udp_recv_buffer" => self.config.udp_recv_buffer_bytes = words.number("bytes")?,
            "udp_send_buffer" => self.config.udp_send_buffer_bytes = words.number("bytes")?,
            "reassembly_timeout" => self.config.reassembly_timeout = time(words)?,
            "reassembly_bytes" => self.config.reassembly_bytes = words.number("bytes")?,
            "error_rate" => self.config.error_replies_per_second = words.number("a rate")?,
            other => return Err(format!("there is no setting {other}")),
        }
        Ok(())
    }
}

fn time(words: &mut Words) -> Result<Duration, String> {
    duration(&words.next("a time")?)
}

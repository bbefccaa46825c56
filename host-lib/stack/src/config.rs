//! What a stack is told when it is made: addresses, secrets, timers, limits, offloads.

use core::time::Duration;
use std::net::Ipv4Addr;

use crate::ip::prefix::Cidr;
use crate::ip::routes::{Route, RouteError};
use crate::tcp::Algorithm;

/// Which checksums the device fills in on transmission. ICMP and fragments are always summed in software.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// The device inserts the IPv4 header checksum.
    pub tx_ipv4_checksum: bool,
    /// The device inserts TCP and UDP checksums, pseudo header included.
    pub tx_l4_checksum: bool,
    /// Bytes of TCP data in a packet that the device cuts into segments itself (TSO), of which 65,455 are used at most; 0 if
    /// it does not. It must insert the TCP checksum then. Each segment has the packet's headers but for its own length and
    /// sequence number; FIN and PSH are the last one's, CWR the first one's.
    pub tx_segmentation_bytes: usize,
}

/// Whether explicit congestion notification (RFC 3168) is used.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Ecn {
    /// Neither asked for nor agreed to.
    Never,
    /// Agreed to where the peer asks, as in the common kernels.
    #[default]
    WhenAsked,
    /// Asked for with each connection.
    Always,
}

/// TCP's timers and limits. The defaults are fit for real networks; a simulator raises `initial_rto`.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// RTO before the first round-trip sample (RFC 6298 section 2.1: 1 s).
    pub initial_rto: Duration,
    /// Least RTO. RFC 6298 (2.4) says 1 s; like the common kernels the default is 200 ms.
    pub min_rto: Duration,
    /// Greatest RTO (RFC 6298 section 2.5: at least 60 s).
    pub max_rto: Duration,
    /// Retransmissions of one segment before the connection is given up.
    pub max_retransmits: u8,
    /// Retransmissions of a SYN before the connection attempt is given up.
    pub max_syn_retransmits: u8,
    /// Retransmissions of a SYN-ACK before the half-open entry is dropped.
    pub max_syn_ack_retransmits: u8,
    /// Longest time an ACK is held back (RFC 9293 section 3.8.6.3: less than 0.5 s).
    pub delayed_ack: Duration,
    /// Maximum segment lifetime; TIME-WAIT lasts twice as long.
    pub msl: Duration,
    /// How long a connection that the program has closed waits for the peer's FIN in FIN-WAIT-2.
    pub orphan_fin_wait_2: Duration,
    /// Bytes a new connection's send buffer holds.
    pub send_buffer_bytes: usize,
    /// Bytes the send buffer grows to with the congestion window, unless the program sets its size.
    pub max_send_buffer_bytes: usize,
    /// Bytes a new connection's receive buffer holds.
    pub recv_buffer_bytes: usize,
    /// Bytes the receive buffer grows to with what the program takes in a round trip, unless it sets the size.
    pub max_recv_buffer_bytes: usize,
    /// Timestamps (RFC 7323) are offered and agreed to.
    pub timestamps: bool,
    /// SACK (RFC 2018) is offered and agreed to.
    pub sack: bool,
    /// Explicit congestion notification.
    pub ecn: Ecn,
    /// Congestion control of a new connection.
    pub congestion: Algorithm,
    /// Half-open entries a listener keeps at least, however small its backlog.
    pub min_syn_queue: usize,
    /// Largest accept backlog; greater ones are cut to it.
    pub max_backlog: usize,
    /// TIME-WAIT records kept at most; beyond that connections end without one.
    pub max_time_wait: usize,
    /// Lowest and highest ephemeral port (RFC 6056 section 3.2 allows 1024 to 65535).
    pub ephemeral_ports: (u16, u16),
}

impl Default for TcpConfig {
    fn default() -> TcpConfig {
        TcpConfig {
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(60),
            max_retransmits: 15,
            max_syn_retransmits: 7,
            max_syn_ack_retransmits: 5,
            delayed_ack: Duration::from_millis(40),
            msl: Duration::from_secs(30),
            orphan_fin_wait_2: Duration::from_secs(60),
            send_buffer_bytes: 256 * 1024,
            max_send_buffer_bytes: 4 * 1024 * 1024,
            recv_buffer_bytes: 256 * 1024,
            max_recv_buffer_bytes: 6 * 1024 * 1024,
            timestamps: true,
            sack: true,
            ecn: Ecn::default(),
            congestion: Algorithm::default(),
            min_syn_queue: 128,
            max_backlog: 4096,
            max_time_wait: 65_536,
            ephemeral_ports: (32_768, 60_999),
        }
    }
}

/// Everything a [`Stack`](crate::Stack) is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Local addresses with their subnets; the first is the source where no subnet matches.
    pub addrs: Vec<Cidr>,
    /// Routes beyond those subnets. By default one to everywhere that leaves the next hop to the device. Those that
    /// [`Stack::add_route`](crate::Stack::add_route) would refuse are left out.
    pub routes: Vec<Route>,
    /// Largest IPv4 packet in bytes; at least 68 (RFC 791).
    pub mtu: u16,
    /// Secret from which sequence numbers, ports, identifications and hash keys are derived.
    pub seed: [u8; 16],
    /// What the device does for us on transmission.
    pub offload: Offload,
    /// Time to live of packets sent.
    pub ttl: u8,
    /// TCP's own.
    pub tcp: TcpConfig,
    /// Bytes of datagrams a UDP or ping socket holds unread, each charged 64 bytes more; beyond it they are dropped.
    pub udp_recv_buffer_bytes: usize,
    /// Bytes of datagrams a UDP or ping socket holds unsent.
    pub udp_send_buffer_bytes: usize,
    /// How long fragments wait for the rest of their datagram (RFC 1122 section 3.3.2: 60 to 120 s).
    pub reassembly_timeout: Duration,
    /// Bytes held for datagrams that are not yet whole; beyond it the oldest goes.
    pub reassembly_bytes: usize,
    /// Bytes held for those of one sender; beyond it the oldest of that sender goes.
    pub reassembly_bytes_per_source: usize,
    /// ICMP errors and RSTs without a connection, together, sent per second at most.
    pub error_replies_per_second: u32,
}

impl Config {
    /// The defaults for one address, with `seed` as the secret.
    pub fn new(addr: Cidr, seed: [u8; 16]) -> Config {
        Config {
            addrs: vec![addr],
            routes: vec![Route::default_route()],
            mtu: 1500,
            seed,
            offload: Offload::default(),
            ttl: 64,
            tcp: TcpConfig::default(),
            udp_recv_buffer_bytes: 256 * 1024,
            udp_send_buffer_bytes: 256 * 1024,
            reassembly_timeout: Duration::from_secs(60),
            reassembly_bytes: 4 * 1024 * 1024,
            reassembly_bytes_per_source: 1024 * 1024,
            error_replies_per_second: 1000,
        }
    }

    /// True if `addr` is one of ours.
    #[inline]
    pub(crate) fn is_local(&self, addr: Ipv4Addr) -> bool {
        self.addrs.iter().any(|c| c.addr() == addr)
    }

    /// True if a packet to `addr` goes to everyone: limited or directed broadcast (RFC 1122 section 3.2.1.3).
    #[inline]
    pub(crate) fn is_broadcast(&self, addr: Ipv4Addr) -> bool {
        addr == Ipv4Addr::BROADCAST || self.addrs.iter().any(|c| c.broadcast() == Some(addr))
    }

    /// True if a packet that has come from `src` for `dst` goes from another host to us alone.
    #[inline]
    pub(crate) fn is_from_one_to_us(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        let mut ours = false;
        for cidr in &self.addrs {
            let to_all = cidr.broadcast();
            if cidr.addr() == src || to_all == Some(src) || to_all == Some(dst) {
                return false;
            }
            ours |= cidr.addr() == dst;
        }
        ours
    }

    /// Whether a route can be: its gateway a neighbour, its source one of our addresses.
    pub(crate) fn check_route(&self, route: &Route) -> Result<(), RouteError> {
        if let Some(gateway) = route.gateway {
            let neighbour = self.addrs.iter().any(|c| c.contains(gateway));
            if !neighbour || self.is_local(gateway) || self.is_broadcast(gateway) {
                return Err(RouteError::GatewayUnreachable);
            }
        }
        match route.source {
            Some(ip) if !self.is_local(ip) => Err(RouteError::InvalidAddress),
            _ => Ok(()),
        }
    }

    /// Largest packet our own link takes.
    pub(crate) fn link_mtu(&self) -> u16 {
        self.mtu.max(68)
    }
}

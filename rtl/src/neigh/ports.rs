//! Interfaces of the neighbour block.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Asks for the MAC address that a packet to `ip` goes to. `valid` and the question stay until `done`.
#[derive(LogicInterface, Default)]
#[join = "LookupSink"]
pub struct LookupSource {
    /// Destination IPv4 address of the packet.
    pub ip: Signal<Out, Bits<32>>,
    /// 0 automatic, n gateway n.
    pub next_hop: Signal<Out, Bits<3>>,
    /// A question is there.
    pub valid: Signal<Out, Bit>,
    /// High for one cycle with the answer.
    pub done: Signal<In, Bit>,
    /// With `done`: the address is known.
    pub hit: Signal<In, Bit>,
    /// With `hit`: bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// With `hit`: bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// With `done` and not `hit`: the next hop that is being asked for.
    pub address: Signal<In, Bits<32>>,
}

/// Consumer side; see [`LookupSource`].
#[derive(LogicInterface, Default)]
#[join = "LookupSource"]
pub struct LookupSink {
    /// Destination IPv4 address of the packet.
    pub ip: Signal<In, Bits<32>>,
    /// 0 automatic, n gateway n.
    pub next_hop: Signal<In, Bits<3>>,
    /// A question is there.
    pub valid: Signal<In, Bit>,
    /// High for one cycle with the answer.
    pub done: Signal<Out, Bit>,
    /// With `done`: the address is known.
    pub hit: Signal<Out, Bit>,
    /// With `hit`: bytes 0 to 3.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// With `hit`: bytes 4 and 5.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// With `done` and not `hit`: the next hop that is being asked for.
    pub address: Signal<Out, Bits<32>>,
}

/// A neighbour was resolved or given up, or another station claims a local address.
#[derive(LogicInterface, Default)]
#[join = "NeighEventSink"]
pub struct NeighEventSource {
    /// 0: NEIGH_RESOLVED, 1: NEIGH_FAILED.
    pub failed: Signal<Out, Bit>,
    /// ADDRESS_CONFLICT instead.
    pub conflict: Signal<Out, Bit>,
    /// With `conflict`: MAC address of the other station, bytes 0 to 3.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// With `conflict`: bytes 4 and 5.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// Its IPv4 address.
    pub address: Signal<Out, Bits<32>>,
    /// The event is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`NeighEventSource`].
#[derive(LogicInterface, Default)]
#[join = "NeighEventSource"]
pub struct NeighEventSink {
    /// 0: NEIGH_RESOLVED, 1: NEIGH_FAILED.
    pub failed: Signal<In, Bit>,
    /// ADDRESS_CONFLICT instead.
    pub conflict: Signal<In, Bit>,
    /// With `conflict`: MAC address of the other station, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// With `conflict`: bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// Its IPv4 address.
    pub address: Signal<In, Bits<32>>,
    /// The event is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}

/// A word of the result of a command of the host's.
#[derive(LogicInterface, Default)]
#[join = "EntrySink"]
pub struct EntrySource {
    /// Which: 0 ARP_ENTRY_ADDR to 3 ARP_ENTRY.
    pub word: Signal<Out, Bits<2>>,
    /// The word.
    pub data: Signal<Out, Bits<32>>,
    /// It is there.
    pub valid: Signal<Out, Bit>,
    /// The register file takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`EntrySource`].
#[derive(LogicInterface, Default)]
#[join = "EntrySource"]
pub struct EntrySink {
    /// Which: 0 ARP_ENTRY_ADDR to 3 ARP_ENTRY.
    pub word: Signal<In, Bits<2>>,
    /// The word.
    pub data: Signal<In, Bits<32>>,
    /// It is there.
    pub valid: Signal<In, Bit>,
    /// The register file takes it.
    pub ready: Signal<Out, Bit>,
}

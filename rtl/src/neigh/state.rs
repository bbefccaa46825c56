//! States of the neighbour block's sequencer.
#![allow(missing_docs, reason = "LogicState derives methods without docs")]
use rust_hdl::prelude::*;

/// What the sequencer is doing.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum State {
    /// After reset: every entry is being freed.
    Clear,
    /// Nothing.
    Idle,
    /// FLUSH: waiting for the first entry.
    FlushFill,
    /// FLUSH: the first entry is loaded.
    FlushLoad,
    /// FLUSH: freeing the resolved entries, while the next one is loaded.
    Flush,
    /// Timer queue: its head is being read.
    HeadRead,
    /// Timer queue: waiting for the entry it points to.
    HeadFill,
    /// Timer queue: that entry is loaded.
    HeadLoad,
    /// Timer queue: is that entry still waiting for an answer to that request?
    HeadCheck,
    /// A pending entry is given up.
    GiveUp,
    /// Lookup: the destination is being classified.
    Destination,
    /// ARP packet: is its target a local address?
    Target,
    /// ARP packet: is its sender in a local subnet?
    Sender,
    /// The set of `key` is chosen.
    Choose,
    /// Waiting for the first way.
    ProbeFill,
    /// A way is loaded.
    ProbeLoad,
    /// How old it is.
    ProbeAge,
    /// Comparing it.
    Probe,
    /// Lookup: an entry was found.
    LookupFound,
    /// Lookup: no entry was found.
    LookupAbsent,
    /// ARP packet: an entry for its sender was found.
    ArpFound,
    /// ARP packet: no entry for its sender was found.
    ArpAbsent,
    /// ARP packet: its sender goes into the cache.
    Learn,
    /// ARP packet: answer it if it asks for us, and be done with it.
    Respond,
    /// An entry becomes, or stays, pending.
    Pend,
    /// Its request is sent as soon as the source address is known.
    Ask,
    /// Lookup: the answer.
    Answer,
    /// Command: an entry for its address was found.
    HostFound,
    /// Command: no entry for its address was found, or a new one is needed.
    HostAbsent,
    /// Command: an announcement or a probe is sent.
    HostSend,
    /// Command: its result.
    Tell,
}

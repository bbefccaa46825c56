//! What the root complex counts: TLPs by kind and direction, bytes, refusals.
use serde::Serialize;

use crate::tlp::Tlp;

/// Bytes around each TLP on a Gen1 or Gen2 link: STP, sequence number, LCRC and END.
pub const FRAMING_BYTES: u64 = 8;

const COMPLETION_HEADER_BYTES: u64 = 12;

/// Section 2.2.4.1: addresses from 4 GiB on take a 4-DW header.
fn request_header_bytes(address: u64) -> u64 {
    if address >> 32 == 0 {
        12
    } else {
        16
    }
}

/// TLPs of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Memory read requests.
    pub reads: u64,
    /// Memory write requests, MSI-X messages included.
    pub writes: u64,
    /// Completions with data.
    pub data_completions: u64,
    /// Completions without data: refusals.
    pub completions: u64,
    /// Bytes of payload.
    pub payload_bytes: u64,
    /// All bytes on the link: headers, payload and [`FRAMING_BYTES`].
    pub link_bytes: u64,
}

impl Flow {
    pub(super) fn count(&mut self, tlp: &Tlp, dwords: usize) {
        match tlp {
            Tlp::MemRead { .. } => self.reads += 1,
            Tlp::MemWrite { .. } => self.writes += 1,
            Tlp::Completion { data, .. } if data.is_empty() => self.completions += 1,
            Tlp::Completion { .. } => self.data_completions += 1,
        }
        self.payload_bytes += tlp.payload_len() as u64;
        self.link_bytes += 4 * dwords as u64 + FRAMING_BYTES;
    }

    /// Counts memory read requests to `address`.
    pub(super) fn add_reads(&mut self, count: u64, address: u64) {
        self.reads += count;
        self.link_bytes += count * (request_header_bytes(address) + FRAMING_BYTES);
    }

    /// Counts memory write requests to `address`, with so many DWs of payload in all.
    pub(super) fn add_writes(&mut self, count: u64, address: u64, dwords: u64) {
        self.writes += count;
        self.payload_bytes += 4 * dwords;
        self.link_bytes += count * (request_header_bytes(address) + FRAMING_BYTES) + 4 * dwords;
    }

    /// Counts completions, with so many DWs of payload in all; without any they are refusals.
    pub(super) fn add_completions(&mut self, count: u64, dwords: u64) {
        match dwords {
            0 => self.completions += count,
            _ => self.data_completions += count,
        }
        self.payload_bytes += 4 * dwords;
        self.link_bytes += count * (COMPLETION_HEADER_BYTES + FRAMING_BYTES) + 4 * dwords;
    }

    /// All TLPs.
    pub fn total(&self) -> u64 {
        self.reads + self.writes + self.data_completions + self.completions
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            data_completions: self.data_completions - earlier.data_completions,
            completions: self.completions - earlier.completions,
            payload_bytes: self.payload_bytes - earlier.payload_bytes,
            link_bytes: self.link_bytes - earlier.link_bytes,
        }
    }
}

/// Everything counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlpStats {
    /// From the device to the host.
    pub up: Flow,
    /// From the host to the device.
    pub down: Flow,
    /// MSI-X messages that reached their vector.
    pub interrupts: u64,
    /// Reads of the device that were answered with Unsupported Request: not mapped, no right, no bus mastering, or refused
    /// by who owns the memory.
    pub refused_reads: u64,
    /// Writes of the device that were dropped for the same reasons.
    pub refused_writes: u64,
    /// TLPs of the device that break the protocol; always 0 with right hardware.
    pub violations: u64,
    /// Register reads that the device never answered.
    pub register_timeouts: u64,
}

impl TlpStats {
    /// What was counted since `earlier`, an older copy of these.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            up: self.up.since(&earlier.up),
            down: self.down.since(&earlier.down),
            interrupts: self.interrupts - earlier.interrupts,
            refused_reads: self.refused_reads - earlier.refused_reads,
            refused_writes: self.refused_writes - earlier.refused_writes,
            violations: self.violations - earlier.violations,
            register_timeouts: self.register_timeouts - earlier.register_timeouts,
        }
    }

    /// TLPs of both directions for each of `packets`; 0 for none.
    pub fn per_packet(&self, packets: u64) -> f64 {
        if packets == 0 {
            return 0.0;
        }
        (self.up.total() + self.down.total()) as f64 / packets as f64
    }
}

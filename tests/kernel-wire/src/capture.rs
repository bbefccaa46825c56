//! What was put on a wire, to be looked at by a test and, where one fails, by tshark.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Bytes of each packet that are kept: headers with all options.
const SNAP: usize = 160;
/// Packets that are kept.
const MOST: usize = 200_000;

/// A packet as its sender put it on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// When.
    pub at: Duration,
    /// Whether the kernel sent it.
    pub from_kernel: bool,
    /// How long it is.
    pub len: usize,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// The first packets of a run.
#[derive(Default)]
pub struct Capture {
    packets: Vec<Captured>,
}

impl Capture {
    /// Notes a packet.
    pub fn add(&mut self, at: Duration, from_kernel: bool, packet: &[u8]) {
        if self.packets.len() < MOST {
            self.packets.push(Captured {
                at,
                from_kernel,
                len: packet.len(),
                head: packet[..packet.len().min(SNAP)].to_vec(),
            });
        }
    }

    /// All packets so far.
    pub fn packets(&self) -> &[Captured] {
        &self.packets
    }

    /// Writes the packets to a file as libpcap does, with the link type of bare IPv4.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        const LINKTYPE_IPV4: u32 = 228;
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        // Magic of nanosecond times, version 2.4, no time zone, no accuracy.
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, LINKTYPE_IPV4] {
            file.write_all(&u32::to_le_bytes(word))?;
        }
        for packet in &self.packets {
            let words = [
                packet.at.as_secs() as u32,
                packet.at.subsec_nanos(),
                packet.head.len() as u32,
                packet.len as u32,
            ];
            for word in words {
                file.write_all(&word.to_le_bytes())?;
            }
            file.write_all(&packet.head)?;
        }
        file.flush()
    }
}

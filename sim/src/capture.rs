//! pcapng capture of what crosses the NIC's Ethernet port, its timestamps in simulated time.
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::{DataLink, PcapError};

/// if_tsresol: timestamps count 10^-9 s (pcapng, section 4.2).
const TS_RESOLUTION_NS: u8 = 9;
/// Frames are never cut.
const SNAP_LEN: u32 = 0x4_0000;
/// epb_flags of a frame towards the NIC, and of one from it (pcapng, section 4.3.1).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Which way a frame went, as the NIC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the NIC.
    Received,
    /// From the NIC.
    Sent,
}

/// What the operating system said; the crate's own words for it are "Error reading bytes".
fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(e) => e,
        other => io::Error::other(other),
    }
}

/// An open capture file.
pub struct Capture {
    writer: PcapNgWriter<BufWriter<File>>,
}

impl Capture {
    /// Starts the file at `path` anew.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut writer =
            PcapNgWriter::new(BufWriter::new(File::create(path)?)).map_err(io_error)?;
        writer
            .write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: SNAP_LEN,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed("ferrule0")),
                    InterfaceDescriptionOption::IfDescription(Cow::Borrowed(
                        "Ethernet port of the simulated NIC; times are simulated",
                    )),
                    InterfaceDescriptionOption::IfTsResol(TS_RESOLUTION_NS),
                ],
            })
            .map_err(io_error)?;
        Ok(Self { writer })
    }

    /// Adds a frame, without FCS, that passed at `time_ns`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn frame(&mut self, time_ns: u64, direction: Direction, frame: &[u8]) -> io::Result<()> {
        let flags = match direction {
            Direction::Received => INBOUND,
            Direction::Sent => OUTBOUND,
        };
        self.writer
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::from_nanos(time_ns),
                original_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
                data: Cow::Borrowed(frame),
                options: vec![EnhancedPacketOption::Flags(flags)],
            })
            .map(drop)
            .map_err(io_error)
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(self.writer.get_mut())
    }
}

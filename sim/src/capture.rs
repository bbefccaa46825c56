//! pcapng captures of what crosses a NIC's Ethernet port; of a simulated one, with times in simulated time.
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::{DataLink, PcapError};

use crate::write_behind::WriteBehind;

/// if_tsresol: timestamps count 10^-9 s (pcapng, section 4.2).
const TS_RESOLUTION_NS: u8 = 9;
/// Frames are never cut.
const SNAP_LEN: u32 = 0x4_0000;
/// epb_flags of a frame towards the NIC, and of one from it (pcapng, section 4.3.1).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// epb_flags of a frame whose FCS does not fit: bit 24, CRC error (pcapng, section 4.3.1).
const CRC_ERROR: u32 = 1 << 24;

/// Which way a frame went, as the NIC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the NIC.
    Received,
    /// Towards the NIC, damaged: its FCS does not fit.
    Damaged,
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

/// An interface that frames of a capture passed.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is, and what its times are.
    pub description: String,
}

/// A pcapng stream, wherever it goes.
pub struct PcapNg<W: io::Write>(PcapNgWriter<W>);

impl<W: io::Write> PcapNg<W> {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(writer: W, interfaces: &[Interface]) -> io::Result<Self> {
        let mut writer = PcapNgWriter::new(writer).map_err(io_error)?;
        for interface in interfaces {
            writer
                .write_pcapng_block(InterfaceDescriptionBlock {
                    linktype: DataLink::ETHERNET,
                    snaplen: SNAP_LEN,
                    options: vec![
                        InterfaceDescriptionOption::IfName(Cow::Borrowed(&interface.name)),
                        InterfaceDescriptionOption::IfDescription(Cow::Borrowed(
                            &interface.description,
                        )),
                        InterfaceDescriptionOption::IfTsResol(TS_RESOLUTION_NS),
                    ],
                })
                .map_err(io_error)?;
        }
        Ok(Self(writer))
    }

    /// Adds a frame, without FCS, that passed this interface, counted from 0, at `time_ns`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn frame(
        &mut self,
        interface: u32,
        time_ns: u64,
        direction: Direction,
        frame: &[u8],
    ) -> io::Result<()> {
        let flags = match direction {
            Direction::Received => INBOUND,
            Direction::Damaged => INBOUND | CRC_ERROR,
            Direction::Sent => OUTBOUND,
        };
        self.0
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: interface,
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
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// An open capture file of simulated NICs.
pub struct Capture(PcapNg<WriteBehind>);

impl Capture {
    /// Starts the file at `path` anew, for one NIC.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::of_nics(path, 1)
    }

    /// Starts the file at `path` anew, with an interface for each of `nics` NICs: `ferrule0`, `ferrule1`, ...
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn of_nics(path: &Path, nics: usize) -> io::Result<Self> {
        let interface = |nic| Interface {
            name: format!("ferrule{nic}"),
            description: "Ethernet port of the simulated NIC; times are simulated".to_owned(),
        };
        let interfaces: Vec<_> = (0..nics).map(interface).collect();
        let file = WriteBehind::new(File::create(path)?)?;
        Ok(Self(PcapNg::new(file, &interfaces)?))
    }

    /// Adds a frame, without FCS, that passed the first NIC's port at `time_ns`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn frame(&mut self, time_ns: u64, direction: Direction, frame: &[u8]) -> io::Result<()> {
        self.frame_at(0, time_ns, direction, frame)
    }

    /// Adds a frame, without FCS, that passed the port of this NIC at `time_ns`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn frame_at(
        &mut self,
        nic: u32,
        time_ns: u64,
        direction: Direction,
        frame: &[u8],
    ) -> io::Result<()> {
        self.0.frame(nic, time_ns, direction, frame)
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A capture that several stations write to. The first error ends it and is kept.
#[derive(Clone)]
pub struct SharedCapture {
    file: Arc<Mutex<CaptureFile>>,
}

struct CaptureFile {
    path: PathBuf,
    capture: Option<Capture>,
    error: Option<io::Error>,
}

/// Which frames of a station are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// All that pass its port.
    All,
    /// Those that its NIC sends: where the other end of the cable is recorded too, each frame is there once.
    Sent,
}

/// Where one station records its frames.
#[derive(Clone)]
pub struct CapturePort {
    shared: SharedCapture,
    nic: u32,
    recorded: Recorded,
}

impl SharedCapture {
    /// Starts the file at `path` anew, with an interface for each of `nics` NICs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, nics: usize) -> io::Result<Self> {
        let file = CaptureFile {
            path: path.to_owned(),
            capture: Some(Capture::of_nics(path, nics)?),
            error: None,
        };
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// The port of a NIC, counted from 0.
    pub fn port(&self, nic: u32, recorded: Recorded) -> CapturePort {
        CapturePort {
            shared: self.clone(),
            nic,
            recorded,
        }
    }

    fn file(&self) -> MutexGuard<'_, CaptureFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// The file and the first error there was.
    pub fn finish(&self) -> Result<(), (PathBuf, io::Error)> {
        let mut file = self.file();
        let flushed = match &mut file.capture {
            Some(capture) => capture.flush(),
            None => Ok(()),
        };
        match file.error.take().map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(e) => Err((file.path.clone(), e)),
        }
    }
}

impl CapturePort {
    /// Adds a frame, without FCS, that passed at `time_ns`.
    pub fn frame(&self, time_ns: u64, direction: Direction, frame: &[u8]) {
        if self.recorded == Recorded::Sent && direction != Direction::Sent {
            return;
        }
        let mut file = self.shared.file();
        let Some(capture) = &mut file.capture else {
            return;
        };
        if let Err(e) = capture.frame_at(self.nic, time_ns, direction, frame) {
            tracing::error!("the capture ends here: {e}");
            file.error = Some(e);
            file.capture = None;
        }
    }
}

//! A serial port: raw, at any rate, and open again after it was unplugged.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ferrule_sim::station::Line;
use rustix::fs::OFlags;
use rustix::termios::{
    tcflush, tcgetattr, tcsetattr, ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex,
};

/// What an FTDI adapter is told by files that its driver has in sysfs: it waits a millisecond for a packet to fill instead of 16, and does not wait
/// behind a flag (bit 8: there is such a byte).
const ADAPTER: [(&str, &str); 2] = [("latency_timer", "1"), ("event_char", "0x17e")];

/// The port.
pub(crate) struct SerialPort {
    path: PathBuf,
    baud: u32,
    file: Option<File>,
}

impl SerialPort {
    /// A port that is not open yet.
    pub(crate) fn new(path: &Path, baud: u32) -> Self {
        Self {
            path: path.into(),
            baud,
            file: None,
        }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Raw bytes, 8N1, no flow control, no hang-up on close.
fn set_up(file: &File, baud: u32) -> io::Result<()> {
    let mut termios = tcgetattr(file)?;
    termios.make_raw();
    termios.control_modes &= !(ControlModes::CSTOPB
        | ControlModes::PARENB
        | ControlModes::CRTSCTS
        | ControlModes::HUPCL);
    termios.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    // A read gives what there is.
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    // Any number: Linux takes rates that have no name as well (BOTHER, ioctl_tty(2)).
    termios.set_speed(baud)?;
    tcsetattr(file, OptionalActions::Now, &termios)?;
    // What an earlier program left behind.
    tcflush(file, QueueSelector::IOFlush)?;
    Ok(())
}

/// Tells the adapter behind a port, where it is one that can be told.
fn set_up_adapter(port: &Path) {
    let real = fs::canonicalize(port).ok();
    let Some(name) = real.as_deref().and_then(Path::file_name) else {
        return;
    };
    let device = Path::new("/sys/bus/usb-serial/devices").join(name);
    for (file, value) in ADAPTER {
        let file = device.join(file);
        if file.exists() {
            if let Err(e) = fs::write(&file, value) {
                tracing::warn!(
                    "{}: {e}; with {value} in it (as root) answers come sooner",
                    file.display()
                );
            }
        }
    }
}

impl Line for SerialPort {
    fn open(&mut self) -> io::Result<()> {
        self.file = None;
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(&self.path)?;
        set_up(&file, self.baud)?;
        set_up_adapter(&self.path);
        self.file = Some(file);
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file()?.read(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }
}

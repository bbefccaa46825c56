//! A TAP device: the Linux kernel as the peer. Runs on wall time.
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};

use thiserror::Error;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::Wire;

/// Largest frame taken from the kernel: an MTU of 9,000, Ethernet header and a VLAN tag.
const MAX_FRAME: usize = 9_018;

/// Why a TAP device could not be opened.
#[derive(Debug, Error)]
pub enum TapError {
    /// Not allowed.
    #[error("may not open TAP device {name}: run as root, or give this program CAP_NET_ADMIN (sudo setcap cap_net_admin+ep), or have root create it for you (ip tuntap add {name} mode tap user $USER)")]
    Permission {
        /// The device's name.
        name: String,
    },
    /// The kernel has no TUN/TAP.
    #[error("this machine has no /dev/net/tun: load the kernel module (modprobe tun), or use --wire lan")]
    NoTun,
    /// Anything else.
    #[error("cannot open TAP device {name}: {source}")]
    Other {
        /// The device's name.
        name: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// An open TAP device.
pub struct Tap {
    device: SyncDevice,
    buffer: Vec<u8>,
    /// A frame that was looked for and found.
    next: Option<Vec<u8>>,
}

impl Tap {
    /// Opens the TAP device `name`, creating it where it does not exist. Its address and state are left as they are.
    ///
    /// # Errors
    /// When the kernel refuses; the error says what to do.
    pub fn open(name: &str) -> Result<Self, TapError> {
        let fail = |source: std::io::Error| match source.kind() {
            ErrorKind::PermissionDenied => TapError::Permission {
                name: name.to_owned(),
            },
            ErrorKind::NotFound => TapError::NoTun,
            _ => TapError::Other {
                name: name.to_owned(),
                source,
            },
        };
        let device = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L2)
            .packet_information(false)
            .inherit_enable_state()
            .build_sync()
            .map_err(fail)?;
        device.set_nonblocking(true).map_err(fail)?;
        Ok(Self {
            device,
            buffer: vec![0; MAX_FRAME],
            next: None,
        })
    }
}

impl Tap {
    /// The kernel's next frame.
    fn take(&mut self) -> Option<Vec<u8>> {
        match self.device.recv(&mut self.buffer) {
            Ok(n) => Some(self.buffer[..n].to_vec()),
            Err(e) => {
                if e.kind() != ErrorKind::WouldBlock {
                    tracing::warn!("TAP: {e}");
                }
                None
            }
        }
    }
}

impl Wire for Tap {
    fn send(&mut self, _: u64, frame: &[u8]) {
        // The kernel drops when its queue is full or the device is down, as a cable would.
        if let Err(e) = self.device.send(frame) {
            tracing::debug!("TAP: frame of {} bytes not taken: {e}", frame.len());
        }
    }

    fn poll(&mut self, _: u64) -> Option<Vec<u8>> {
        self.next.take().or_else(|| self.take())
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        if self.next.is_none() {
            self.next = self.take();
        }
        self.next.is_some().then_some(now_ns)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.device.as_fd())
    }
}

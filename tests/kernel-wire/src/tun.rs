//! A TUN device: the kernel's IPv4 packets, without a link layer.

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Packets the kernel may queue for us while we are not scheduled; with its 500 a busy machine loses some.
const QUEUE: u32 = 10_000;

/// An open TUN device with an MTU of 1,500. It ends when this is dropped.
pub struct Tun {
    device: SyncDevice,
    buffer: Vec<u8>,
}

impl Tun {
    /// Makes a device in the calling thread's namespace, where the kernel has `address` on it; every thread may use it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(address: Ipv4Addr, prefix: u8) -> io::Result<Tun> {
        let device = DeviceBuilder::new()
            .name("wire0")
            .layer(Layer::L3)
            .packet_information(false)
            .with(|opt| {
                opt.tx_queue_len(QUEUE);
            })
            .ipv4(address, prefix, None)
            .build_sync()?;
        device.set_nonblocking(true)?;
        Ok(Tun {
            device,
            buffer: vec![0; 65_536],
        })
    }

    /// The kernel's next packet, if there is one.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.device.recv(&mut self.buffer) {
                // Router solicitations and the like, which a namespace sends by itself.
                Ok(n) if n == 0 || self.buffer[0] >> 4 != 4 => {}
                Ok(n) => return Ok(Some(self.buffer[..n].to_vec())),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Gives the kernel a packet.
    ///
    /// # Errors
    /// When the kernel takes it for no packet at all, or has no memory.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.device.send(packet).map(|_| ())
    }
}

/// Waits until one of the devices has a packet, but not longer than `time`.
///
/// # Errors
/// What poll(2) said.
pub fn wait(devices: &[&Tun], time: Duration) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> = devices
        .iter()
        .map(|tun| PollFd::from_borrowed_fd(tun.device.as_fd(), PollFlags::IN))
        .collect();
    let time = Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

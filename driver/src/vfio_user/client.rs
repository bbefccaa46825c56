//! The client's side of vfio-user: a [`Device`] behind a unix socket.
//!
//! Register writes are posted (no reply is asked for); everything else waits for its reply, for a bounded time. An error reply is an error and
//! leaves the connection in step. A reply that is not what was asked for, or none in time, ends the connection.
use super::proto::{
    self, decode_version, device_flags, dma_flags, encode_version, flags, irq, irq_set_flags,
    region, Command, DeviceInfo, DmaMap, DmaUnmap, Header, IrqInfo, IrqSet, ProtoError,
    RegionAccess, RegionInfo, Version,
};
use super::socket::{Connection, Message, SocketError};
use crate::lock::Mutex;
use crate::{Device, DeviceError, DmaBuf, Registers, SharedRegisters};
use ferrule_abi::BAR_REGS;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a reply may take: a simulator may have much to do before it answers a register read.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// A device behind a vfio-user socket.
#[derive(Debug)]
pub struct VfioUser {
    client: Arc<Mutex<Client>>,
    /// The socket once more, to be waited for without the lock.
    socket: OwnedFd,
}

/// The connection, and what was learnt over it.
#[derive(Debug)]
struct Client {
    connection: Connection,
    timeout: Duration,
    next_id: u16,
    /// Why the connection is of no more use.
    broken: Option<String>,
    /// Sizes of the regions, 0 for one that is not there.
    region_sizes: [u64; region::COUNT as usize],
    /// Number of MSI-X vectors.
    vectors: u32,
    resettable: bool,
    peer_max_fds: usize,
}

impl VfioUser {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`DeviceError::Connect`] if nobody listens there; otherwise as [`over`](Self::over).
    pub fn connect(path: &Path) -> Result<Self, DeviceError> {
        let socket = UnixStream::connect(path).map_err(|source| DeviceError::Connect {
            path: path.into(),
            source,
        })?;
        Self::over(socket, REPLY_TIMEOUT)
    }

    /// Takes over a connected socket, agrees on the version and learns what the device has. `timeout` is for each reply.
    ///
    /// # Errors
    /// What goes wrong on the socket, and [`DeviceError::Protocol`] if the peer is no PCI device that speaks this version.
    pub fn over(socket: UnixStream, timeout: Duration) -> Result<Self, DeviceError> {
        let own = socket.try_clone();
        let own = own.map_err(DeviceError::os("copying a descriptor"))?;
        let client = Client::over(socket, timeout)?;
        Ok(Self {
            client: Arc::new(Mutex::new(client)),
            socket: own.into(),
        })
    }
}

impl Client {
    fn over(socket: UnixStream, timeout: Duration) -> Result<Self, DeviceError> {
        let connection = Connection::new(socket).map_err(DeviceError::os("vfio-user socket"))?;
        let mut device = Self {
            connection,
            timeout,
            next_id: 0,
            broken: None,
            region_sizes: [0; region::COUNT as usize],
            vectors: 0,
            resettable: false,
            peer_max_fds: 1,
        };
        device.negotiate()?;
        device.learn()?;
        Ok(device)
    }

    fn negotiate(&mut self) -> Result<(), DeviceError> {
        let ours = Version {
            major: proto::VERSION_MAJOR,
            minor: proto::VERSION_MINOR,
        };
        let body = encode_version(ours, proto::CAPABILITIES);
        let reply = self.command(Command::Version, "VERSION", &body, &[])?;
        let (theirs, caps) = decode_version(&reply).map_err(|e| self.malformed(e))?;
        if theirs.major != ours.major || theirs.minor > ours.minor {
            return Err(self.protocol(format!(
                "it speaks version {}.{}, this driver {}.{}",
                theirs.major, theirs.minor, ours.major, ours.minor
            )));
        }
        self.peer_max_fds = (caps.max_msg_fds as usize).min(proto::MAX_FDS);
        Ok(())
    }

    fn learn(&mut self) -> Result<(), DeviceError> {
        let mut body = Vec::new();
        DeviceInfo {
            argsz: DeviceInfo::SIZE as u32,
            ..DeviceInfo::default()
        }
        .encode(&mut body);
        let reply = self.command(Command::DeviceGetInfo, "DEVICE_GET_INFO", &body, &[])?;
        let (info, _) = DeviceInfo::decode(&reply).map_err(|e| self.malformed(e))?;
        if info.flags & device_flags::PCI == 0 || info.num_regions <= region::CONFIG {
            return Err(self.protocol("the device behind it is no PCI device".into()));
        }
        self.resettable = info.flags & device_flags::RESET != 0;
        for index in 0..info.num_regions.min(region::COUNT) {
            let mut body = Vec::new();
            RegionInfo {
                argsz: RegionInfo::SIZE as u32,
                index,
                ..RegionInfo::default()
            }
            .encode(&mut body);
            let (command, name) = (Command::DeviceGetRegionInfo, "DEVICE_GET_REGION_INFO");
            let reply = match self.command(command, name, &body, &[]) {
                // A region that a server does not know is one that is not there.
                Err(DeviceError::Refused { .. }) => continue,
                other => other?,
            };
            let (info, _) = RegionInfo::decode(&reply).map_err(|e| self.malformed(e))?;
            self.region_sizes[index as usize] = info.size;
        }
        if info.num_irqs > irq::MSIX {
            let mut body = Vec::new();
            IrqInfo {
                argsz: IrqInfo::SIZE as u32,
                index: irq::MSIX,
                ..IrqInfo::default()
            }
            .encode(&mut body);
            let reply =
                self.command(Command::DeviceGetIrqInfo, "DEVICE_GET_IRQ_INFO", &body, &[])?;
            let (info, _) = IrqInfo::decode(&reply).map_err(|e| self.malformed(e))?;
            self.vectors = info.count;
        }
        Ok(())
    }

    /// Ends the connection because of what the peer did.
    fn protocol(&mut self, what: String) -> DeviceError {
        self.broken = Some(what.clone());
        DeviceError::Protocol(what)
    }

    fn malformed(&mut self, e: ProtoError) -> DeviceError {
        self.protocol(e.to_string())
    }

    /// Keeps the books on an error of the socket.
    fn failed(&mut self, e: SocketError) -> DeviceError {
        if matches!(e, SocketError::TooBig { .. }) {
            return e.into();
        }
        self.broken = Some(e.to_string());
        match e {
            SocketError::Closed | SocketError::Cut { .. } => DeviceError::Gone(e.to_string()),
            e => e.into(),
        }
    }

    fn send(
        &mut self,
        command: Command,
        flags: u32,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<u16, DeviceError> {
        if let Some(why) = &self.broken {
            return Err(DeviceError::Gone(why.clone()));
        }
        self.next_id = self.next_id.wrapping_add(1);
        let header = Header {
            id: self.next_id,
            command: command as u16,
            flags,
            ..Header::default()
        };
        self.connection
            .send(header, body, fds, self.timeout)
            .map_err(|e| self.failed(e))?;
        Ok(header.id)
    }

    /// Sends a command and gives the body of its reply.
    fn command(
        &mut self,
        command: Command,
        name: &'static str,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, DeviceError> {
        let id = self.send(command, flags::COMMAND, body, fds)?;
        loop {
            let message = self
                .connection
                .recv(self.timeout)
                .map_err(|e| self.failed(e))?;
            if !message.header.is_reply() {
                self.refuse(&message)?;
                continue;
            }
            let header = message.header;
            if header.id != id || header.command != command as u16 {
                return Err(self.protocol(format!(
                    "the reply to {name} number {id} is to command {} number {}",
                    header.command, header.id
                )));
            }
            if header.flags & flags::ERROR != 0 {
                let error = match i32::try_from(header.error) {
                    Ok(errno) if errno > 0 => io::Error::from_raw_os_error(errno),
                    _ => io::Error::other("no reason given"),
                };
                return Err(DeviceError::Refused {
                    command: name,
                    error,
                });
            }
            return Ok(message.body);
        }
    }

    /// Answers a command of the server's: all our memory comes with a descriptor, so that there is none it may send.
    fn refuse(&mut self, message: &Message) -> Result<(), DeviceError> {
        if !message.header.wants_reply() {
            return Ok(());
        }
        let reply = message
            .header
            .error_reply(Errno::OPNOTSUPP.raw_os_error() as u32);
        self.connection
            .send(reply, &[], &[], self.timeout)
            .map_err(|e| self.failed(e))
    }

    fn check(&self, region: u32, offset: u64, len: usize) -> Result<(), DeviceError> {
        let size = *self.region_sizes.get(region as usize).unwrap_or(&0);
        match offset.checked_add(len as u64) {
            Some(end) if end <= size => Ok(()),
            _ => Err(DeviceError::OutOfRegion {
                region,
                size,
                offset,
                len,
            }),
        }
    }

    fn region_read(
        &mut self,
        region: u32,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), DeviceError> {
        self.check(region, offset, data.len())?;
        let access = RegionAccess {
            offset,
            region,
            count: data.len() as u32,
        };
        let mut body = Vec::with_capacity(RegionAccess::SIZE);
        access.encode(&mut body);
        let reply = self.command(Command::RegionRead, "REGION_READ", &body, &[])?;
        let (echo, bytes) = RegionAccess::decode(&reply).map_err(|e| self.malformed(e))?;
        if echo != access || bytes.len() != data.len() {
            return Err(self.protocol(format!(
                "the reply to a read of {access:?} has {} bytes of {echo:?}",
                bytes.len()
            )));
        }
        data.copy_from_slice(bytes);
        Ok(())
    }

    fn region_write(
        &mut self,
        region: u32,
        offset: u64,
        data: &[u8],
        posted: bool,
    ) -> Result<(), DeviceError> {
        self.check(region, offset, data.len())?;
        let mut body = Vec::with_capacity(RegionAccess::SIZE + data.len());
        RegionAccess {
            offset,
            region,
            count: data.len() as u32,
        }
        .encode(&mut body);
        body.extend_from_slice(data);
        if posted {
            self.send(Command::RegionWrite, flags::NO_REPLY, &body, &[])?;
        } else {
            self.command(Command::RegionWrite, "REGION_WRITE", &body, &[])?;
        }
        Ok(())
    }

    fn set_irqs(
        &mut self,
        flags: u32,
        start: u32,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), DeviceError> {
        let mut body = Vec::new();
        IrqSet {
            argsz: IrqSet::SIZE as u32,
            flags: flags | irq_set_flags::ACTION_TRIGGER,
            index: irq::MSIX,
            start,
            count: fds.len() as u32,
        }
        .encode(&mut body);
        self.command(Command::DeviceSetIrqs, "DEVICE_SET_IRQS", &body, fds)?;
        Ok(())
    }

    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let mut bytes = [0; 4];
        self.region_read(bar.into(), aligned(offset)?, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.region_write(bar.into(), aligned(offset)?, &value.to_le_bytes(), true)
    }

    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.region_write(bar.into(), aligned(offset)?, &bytes, true)
    }
}

/// A register's offset, checked for alignment.
fn aligned(offset: u32) -> Result<u64, DeviceError> {
    if offset.is_multiple_of(4) {
        Ok(offset.into())
    } else {
        Err(DeviceError::Misaligned(offset))
    }
}

impl Registers for VfioUser {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        self.client.read32(bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.client.write32(bar, offset, value)
    }

    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        self.client.write_block(bar, offset, values)
    }
}

/// An access waits for its turn: a message is whole on the socket, and a reply is that of the command before it.
impl SharedRegisters for Mutex<Client> {
    fn read32(&self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        self.lock().read32(bar, offset)
    }

    fn write32(&self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.lock().write32(bar, offset, value)
    }

    fn write_block(&self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        self.lock().write_block(bar, offset, values)
    }
}

impl Device for VfioUser {
    fn backend(&self) -> &'static str {
        "vfio-user"
    }

    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(Some(Box::new(Arc::clone(&self.client))))
    }

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.client
            .lock()
            .region_read(region::CONFIG, offset.into(), data)
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.client
            .lock()
            .region_write(region::CONFIG, offset.into(), data, false)
    }

    fn registers_size(&self) -> u64 {
        self.client.lock().region_sizes[BAR_REGS as usize]
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let mut body = Vec::new();
        DmaMap {
            argsz: DmaMap::SIZE as u32,
            flags: dma_flags::READ | dma_flags::WRITE,
            offset: 0,
            address: iova,
            size: buf.len() as u64,
        }
        .encode(&mut body);
        self.client
            .lock()
            .command(Command::DmaMap, "DMA_MAP", &body, &[buf.file()?])?;
        Ok(())
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let unmap = DmaUnmap {
            argsz: DmaUnmap::SIZE as u32,
            flags: 0,
            address: iova,
            size: len as u64,
        };
        let mut body = Vec::new();
        unmap.encode(&mut body);
        self.client
            .lock()
            .command(Command::DmaUnmap, "DMA_UNMAP", &body, &[])?;
        Ok(())
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        self.swap_vectors(0, eventfds)
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut client = self.client.lock();
        let want = usize::from(first) + eventfds.len();
        if want > client.vectors as usize {
            return Err(DeviceError::Vectors {
                have: client.vectors,
                want: want as u32,
            });
        }
        let at_once = client.peer_max_fds.max(1);
        for (i, fds) in eventfds.chunks(at_once).enumerate() {
            let start = u32::from(first) + (i * at_once) as u32;
            client.set_irqs(irq_set_flags::DATA_EVENTFD, start, fds)?;
        }
        Ok(())
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.client
            .lock()
            .set_irqs(irq_set_flags::DATA_NONE, 0, &[])
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        let mut client = self.client.lock();
        if !client.resettable {
            return Err(DeviceError::NoReset);
        }
        client.command(Command::DeviceReset, "DEVICE_RESET", &[], &[])?;
        Ok(())
    }

    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        // Between two calls all replies have come: what is readable is the end of the connection, or a command of the server's.
        Some(self.socket.as_fd())
    }
}

//! A vfio-user server for the simulated NIC, driven by polling from the simulator's loop; one client after the other.
//!
//! Messages are handled in order. A register read holds up what follows it until the device has answered; so does a full queue of register
//! writes, and a configuration write that must not overtake them. What comes while the device awaits memory of the client's
//! (`dma_by_message`) is handled after that.
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferrule_abi::{regs, BAR_MSIX, BAR_REGS, BAR_REGS_SIZE, MSIX_ENTRY_SIZE};
use ferrule_driver::vfio_user::proto::{region, Command, Header, RegionAccess};
use ferrule_driver::vfio_user::socket::{Message, SocketError};
use rustix::io::Errno;

use crate::host_side::{self, HostSide};
use crate::root_complex::ReadId;

mod commands;
mod dma_by_message;
#[cfg(test)]
mod tests;

use commands::{Answer, MAX_ACCESS};
use dma_by_message::{Link, LinkError};

/// A client that does not take its replies for this long is gone.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// Register writes that may wait for the device before the client has to.
const MAX_QUEUED: usize = 64;

/// The server.
pub struct VfioUserServer {
    listener: Option<(UnixListener, PathBuf)>,
    client: Option<Client>,
}

struct Client {
    /// The connection; ranges that are mapped without a descriptor have it too.
    link: Arc<Link>,
    /// The same socket, to be polled.
    socket: OwnedFd,
    negotiated: bool,
    reading: Option<RegisterRead>,
    /// A configuration write that waits for the register writes before it.
    deferred: Option<Message>,
}

/// A read of registers that the device has not answered yet.
struct RegisterRead {
    header: Header,
    access: RegionAccess,
    data: Vec<u8>,
    words: VecDeque<Word>,
}

/// One DW of an access: which of its bytes, and where in the data they are.
#[derive(Clone, Copy)]
struct Word {
    offset: u32,
    first_byte: usize,
    len: usize,
    at: usize,
    id: Option<ReadId>,
}

impl Word {
    fn byte_enables(&self) -> u8 {
        (((1u8 << self.len) - 1) << self.first_byte) & 0xF
    }
}

/// The DWs that `count` bytes at `offset` touch.
fn words(offset: u64, count: u32) -> impl Iterator<Item = Word> {
    let end = offset + u64::from(count);
    (offset / 4..end.div_ceil(4)).map(move |n| {
        let (from, to) = ((n * 4).max(offset), (n * 4 + 4).min(end));
        Word {
            offset: (n * 4) as u32,
            first_byte: (from % 4) as usize,
            len: (to - from) as usize,
            at: (from - offset) as usize,
            id: None,
        }
    })
}

/// What a message leads to.
enum Outcome {
    Answered(Answer),
    Reading(RegisterRead),
    Deferred,
}

impl VfioUserServer {
    /// Listens at `path`. A socket that a dead server left there is removed.
    ///
    /// # Errors
    /// What bind(2) reports; `AddrInUse` if a server lives there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                match UnixStream::connect(path) {
                    Err(dead) if dead.kind() == io::ErrorKind::ConnectionRefused => {
                        std::fs::remove_file(path)?
                    }
                    _ => return Err(e),
                }
                UnixListener::bind(path)?
            }
            result => result?,
        };
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: Some((listener, path.into())),
            client: None,
        })
    }

    /// Serves one client that is connected already, and no other.
    ///
    /// # Errors
    /// What fcntl(2) reports.
    pub fn serve(socket: UnixStream, host: &mut dyn HostSide) -> io::Result<Self> {
        let mut server = Self {
            listener: None,
            client: None,
        };
        server.welcome(socket, host)?;
        Ok(server)
    }

    /// Readable when [`VfioUserServer::poll`] has something to do, unless [`VfioUserServer::is_waiting`]; none once the only client is gone.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match (&self.client, &self.listener) {
            (Some(client), _) => Some(client.socket.as_fd()),
            (None, Some((listener, _))) => Some(listener.as_fd()),
            (None, None) => None,
        }
    }

    /// Whether a client is there.
    pub fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the client waits for the device, or has said something while the device waited for it.
    pub fn is_waiting(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|c| c.reading.is_some() || c.deferred.is_some() || c.link.has_more())
    }

    fn welcome(&mut self, socket: UnixStream, host: &mut dyn HostSide) -> io::Result<()> {
        self.client = Some(Client {
            socket: socket.try_clone()?.into(),
            link: Arc::new(Link::new(socket)?),
            negotiated: false,
            reading: None,
            deferred: None,
        });
        host_side::open(host);
        Ok(())
    }

    /// Handles everything that came and can be handled now, without blocking; says whether there was anything.
    pub fn poll(&mut self, host: &mut dyn HostSide) -> bool {
        let mut any = false;
        loop {
            let Some(client) = &mut self.client else {
                let Some((listener, path)) = &self.listener else {
                    return any;
                };
                match listener.accept() {
                    Ok((socket, _)) => match self.welcome(socket, host) {
                        Ok(()) => any = true,
                        Err(e) => tracing::warn!("a vfio-user client: {e}"),
                    },
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return any,
                    Err(e) => {
                        tracing::warn!("accepting at {}: {e}", path.display());
                        return any;
                    }
                }
                continue;
            };
            match client.step(host) {
                Ok(true) => any = true,
                Ok(false) => return any,
                Err(e) => {
                    match e {
                        LinkError::Socket(SocketError::Closed) => {
                            tracing::info!("the vfio-user client has left")
                        }
                        e => tracing::warn!("the vfio-user client is dropped: {e}"),
                    }
                    self.client = None;
                    host_side::give_back(host);
                    any = true;
                }
            }
        }
    }
}

impl Drop for VfioUserServer {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.listener {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Client {
    /// Does one thing; false if nothing can be done now.
    fn step(&mut self, host: &mut dyn HostSide) -> Result<bool, LinkError> {
        if self.link.has_more() {
            self.link.check()?;
        }
        if let Some(mut reading) = self.reading.take() {
            if !reading.collect(host) {
                self.reading = Some(reading);
                return Ok(false);
            }
            let mut body = vec![];
            reading.access.encode(&mut body);
            body.extend(reading.data);
            self.reply(reading.header, Ok(body))?;
            return Ok(true);
        }
        if host.queued() >= MAX_QUEUED {
            return Ok(false);
        }
        let message = match self.deferred.take() {
            Some(message) if host.queued() > 0 => {
                self.deferred = Some(message);
                return Ok(false);
            }
            Some(message) => message,
            None => match self.link.next()? {
                Some(message) => message,
                None => return Ok(false),
            },
        };
        // The device awaits the replies to its commands, so this one answers nothing.
        if message.header.is_reply() {
            return Ok(true);
        }
        let header = message.header;
        match self.handle(message, host) {
            Outcome::Answered(answer) => self.reply(header, answer)?,
            Outcome::Reading(reading) => self.reading = Some(reading),
            Outcome::Deferred => {}
        }
        Ok(true)
    }

    fn reply(&mut self, command: Header, answer: Answer) -> Result<(), LinkError> {
        if !command.wants_reply() {
            return Ok(());
        }
        match answer {
            Ok(body) => self.link.send(command.reply(), &body),
            Err(e) => {
                tracing::debug!("vfio-user command {} refused: {e}", command.command);
                let header = command.error_reply(e.raw_os_error().unsigned_abs());
                self.link.send(header, &[])
            }
        }
    }

    fn handle(&mut self, message: Message, host: &mut dyn HostSide) -> Outcome {
        let Some(command) = Command::from_number(message.header.command) else {
            return Outcome::Answered(Err(Errno::NOTSUP));
        };
        // VERSION comes first, and once.
        if (command == Command::Version) == self.negotiated {
            return Outcome::Answered(Err(Errno::INVAL));
        }
        let body = &message.body[..];
        Outcome::Answered(match command {
            Command::Version => commands::version(body).map(|(reply, theirs)| {
                self.negotiated = true;
                self.link.set_max_transfer(theirs.max_data_xfer_size);
                reply
            }),
            Command::DeviceGetInfo => commands::device_info(body),
            Command::DeviceGetRegionInfo => commands::region_info(host, body),
            Command::DeviceGetIrqInfo => commands::irq_info(host, body),
            Command::DeviceSetIrqs => commands::set_irqs(host, body, message.fds),
            Command::DmaMap => commands::dma_map(host, body, message.fds, &self.link),
            Command::DmaUnmap => commands::dma_unmap(host, body),
            Command::DeviceReset => {
                host.reset_device();
                Ok(vec![])
            }
            Command::RegionRead => match access(host, body) {
                Ok((access, _)) => return start_read(message.header, access, host),
                Err(e) => Err(e),
            },
            Command::RegionWrite => match access(host, body) {
                Ok((access, _)) if access.region == region::CONFIG && host.queued() > 0 => {
                    self.deferred = Some(message);
                    return Outcome::Deferred;
                }
                Ok((access, data)) => write(&access, data, host),
                Err(e) => Err(e),
            },
            Command::DeviceGetRegionIoFds
            | Command::DmaRead
            | Command::DmaWrite
            | Command::DirtyPages
            | Command::RegionWriteMulti
            | Command::DeviceFeature
            | Command::MigDataRead
            | Command::MigDataWrite => Err(Errno::NOTSUP),
        })
    }
}

/// An access that lies within its region, and the data behind it.
fn access<'a>(host: &mut dyn HostSide, body: &'a [u8]) -> Result<(RegionAccess, &'a [u8]), Errno> {
    let (access, data) = RegionAccess::decode(body).map_err(|_| Errno::INVAL)?;
    let size = commands::region_size(host, access.region);
    let end = access.offset.checked_add(access.count.into());
    if access.count > MAX_ACCESS || end.is_none_or(|end| end > size) {
        return Err(Errno::INVAL);
    }
    Ok((access, data))
}

/// The MSI-X table belongs to the root complex: as with the kernel's VFIO, the client reads all-ones there and writes nothing.
fn in_msix_table(host: &mut dyn HostSide, access: &RegionAccess, word: &Word) -> bool {
    access.region == region::BAR0 + u32::from(BAR_MSIX)
        && word.offset < u32::from(host.config().vectors()) * MSIX_ENTRY_SIZE
}

fn start_read(header: Header, access: RegionAccess, host: &mut dyn HostSide) -> Outcome {
    let mut data = vec![0xFF; access.count as usize];
    let words = match access.region {
        region::CONFIG => {
            host.config().read(access.offset as usize, &mut data);
            VecDeque::new()
        }
        bar => words(access.offset, access.count)
            .map(|word| Word {
                id: match in_msix_table(host, &access, &word) {
                    true => None,
                    false => host.read_register(bar as u8, word.offset, word.byte_enables()),
                },
                ..word
            })
            .collect(),
    };
    Outcome::Reading(RegisterRead {
        header,
        access,
        data,
        words,
    })
}

impl RegisterRead {
    /// Takes the answers that are there; true once all are.
    fn collect(&mut self, host: &mut dyn HostSide) -> bool {
        while let Some(word) = self.words.front() {
            if let Some(id) = word.id {
                let Some(value) = host.take_read(id) else {
                    return false;
                };
                let bytes = &value.to_le_bytes()[word.first_byte..word.first_byte + word.len];
                self.data[word.at..word.at + word.len].copy_from_slice(bytes);
            }
            self.words.pop_front();
        }
        true
    }
}

/// A write of whole DWs to a port's push window, which takes several at once; registers are written one by one.
fn is_push(access: &RegionAccess) -> bool {
    let window = u64::from(regs::push_window(0));
    let window = window..window + u64::from(regs::PUSH_WINDOW_BYTES);
    access.region == u32::from(BAR_REGS)
        && window.contains(&(access.offset % u64::from(BAR_REGS_SIZE)))
        && access.offset.is_multiple_of(4)
        && access.count.is_multiple_of(4)
}

fn write(access: &RegionAccess, data: &[u8], host: &mut dyn HostSide) -> Answer {
    if data.len() != access.count as usize {
        return Err(Errno::INVAL);
    }
    if access.region == region::CONFIG {
        if host.config().write(access.offset as usize, data) {
            host.reset_device();
        }
    } else if is_push(access) {
        let dw = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values: Vec<u32> = data.chunks_exact(4).map(dw).collect();
        host.write_block(access.region as u8, access.offset as u32, &values);
    } else {
        for word in words(access.offset, access.count) {
            if !in_msix_table(host, access, &word) {
                let mut bytes = [0; 4];
                bytes[word.first_byte..word.first_byte + word.len]
                    .copy_from_slice(&data[word.at..word.at + word.len]);
                host.write_register(
                    access.region as u8,
                    word.offset,
                    word.byte_enables(),
                    u32::from_le_bytes(bytes),
                );
            }
        }
    }
    let mut out = vec![];
    access.encode(&mut out);
    Ok(out)
}

//! Memory that the client has mapped without a descriptor: an access of the device is a DMA_READ or DMA_WRITE to the client, whose reply is
//! awaited.
//!
//! The device stands still meanwhile, as a bus does that waits for its memory. Commands of the client that come before the reply are kept, and
//! served after it in their order: a DMA_UNMAP among them is answered when the access is over, as the protocol wants it. A client that answers
//! something else, or nothing in time, is given up: what is left of the connection could not be trusted to be in step.
use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferrule_driver::lock::Mutex;
use ferrule_driver::vfio_user::proto::{flags, Command, DmaAccess, Header, HEADER_LEN};
use ferrule_driver::vfio_user::socket::{Connection, Message, SocketError};
use thiserror::Error;

use super::commands::MAX_ACCESS;
use super::REPLY_TIMEOUT;
use crate::dma::{Refused, Remote};

/// A client that owes the reply to a DMA command for this long is gone.
pub(super) const DMA_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of commands that are kept while a reply is awaited. A client that posts register writes without a pause has sent some thousand
/// by the time it looks at its own socket.
pub(super) const MAX_KEPT_BYTES: usize = 4 << 20;
/// Most descriptors that are kept with them.
pub(super) const MAX_KEPT_FDS: usize = 256;
/// What a kept command costs beside its body.
const KEPT_OVERHEAD: usize = size_of::<Message>() + HEADER_LEN;

/// Why a client is given up.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The reply to a DMA command did not come in time.
    #[error("no reply to {0} within {1:?}")]
    NoReply(Asked, Duration),
    /// It is a reply, but not to what was asked.
    #[error("the reply to {0} {1}")]
    WrongReply(Asked, String),
    /// The client sends commands without end instead of its reply.
    #[error("more than {MAX_KEPT_BYTES} bytes or {MAX_KEPT_FDS} descriptors of commands came before the reply to {0}")]
    Flood(Asked),
    /// It has been given up.
    #[error("the connection has been given up")]
    GivenUp,
}

/// A DMA command under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    command: Command,
    id: u16,
    access: DmaAccess,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.command {
            Command::DmaWrite => "DMA_WRITE",
            _ => "DMA_READ",
        };
        let DmaAccess { address, count } = self.access;
        write!(
            f,
            "{name} number {} of {count} bytes at {address:#x}",
            self.id
        )
    }
}

/// Why an access failed.
enum Failure {
    /// The client says no; the connection is as good as before.
    Refused(u32),
    Link(LinkError),
}

impl From<LinkError> for Failure {
    fn from(e: LinkError) -> Self {
        Self::Link(e)
    }
}

/// The connection, which server and device share.
pub(super) struct Link {
    state: Mutex<State>,
    /// Whether there is something that the socket does not show: a kept command, or an error.
    has_more: AtomicBool,
}

struct State {
    connection: Connection,
    kept: Kept,
    next_id: u16,
    /// Most bytes of a DMA command.
    max_transfer: usize,
    timeout: Duration,
    health: Health,
}

/// Whether the connection can be used.
enum Health {
    Good,
    /// Not any more, and the server does not know yet.
    Failed(LinkError),
    GivenUp,
}

/// Commands that came while a reply was awaited, the oldest first.
#[derive(Default)]
struct Kept {
    messages: VecDeque<Message>,
    bytes: usize,
    fds: usize,
}

impl Kept {
    /// False if that is too many.
    fn push(&mut self, message: Message) -> bool {
        self.bytes += message.body.len() + KEPT_OVERHEAD;
        self.fds += message.fds.len();
        self.messages.push_back(message);
        self.bytes <= MAX_KEPT_BYTES && self.fds <= MAX_KEPT_FDS
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.body.len() + KEPT_OVERHEAD;
        self.fds -= message.fds.len();
        Some(message)
    }
}

impl Link {
    /// A connection to a client that has said nothing yet.
    ///
    /// # Errors
    /// What fcntl(2) reports.
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                connection: Connection::new(socket)?,
                kept: Kept::default(),
                next_id: 0,
                max_transfer: 0,
                timeout: DMA_TIMEOUT,
                health: Health::Good,
            }),
            has_more: AtomicBool::new(false),
        })
    }

    /// The client takes data of so many bytes. Whether the bound on a transfer is the asking side's own or its peer's is read both ways by
    /// clients there are, so neither's is exceeded.
    pub(super) fn set_max_transfer(&self, bytes: u32) {
        self.state.lock().max_transfer = bytes.min(MAX_ACCESS) as usize;
    }

    #[cfg(test)]
    pub(super) fn set_timeout(&self, timeout: Duration) {
        self.state.lock().timeout = timeout;
    }

    /// Whether [`Link::next`] has something although the socket is not readable.
    pub(super) fn has_more(&self) -> bool {
        self.has_more.load(Ordering::Acquire)
    }

    /// The client's next message, if one is there.
    ///
    /// # Errors
    /// Why the client is to be given up, also if that showed in an access of the device.
    pub(super) fn next(&self) -> Result<Option<Message>, LinkError> {
        self.with(|state| {
            state.check()?;
            Ok(match state.kept.pop() {
                Some(message) => Some(message),
                None => state.connection.try_recv()?,
            })
        })
    }

    /// An error that showed in an access of the device.
    ///
    /// # Errors
    /// That one.
    pub(super) fn check(&self) -> Result<(), LinkError> {
        self.with(State::check)
    }

    /// Sends a reply.
    ///
    /// # Errors
    /// Why the client is to be given up.
    pub(super) fn send(&self, header: Header, body: &[u8]) -> Result<(), LinkError> {
        self.with(|state| {
            state.check()?;
            Ok(state.connection.send(header, body, &[], REPLY_TIMEOUT)?)
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = f(&mut state);
        let has_more = !state.kept.messages.is_empty() || !matches!(state.health, Health::Good);
        self.has_more.store(has_more, Ordering::Release);
        result
    }

    /// Moves all of an access, in commands no larger than may be; `each` moves one, which starts at this offset.
    fn transfer(
        &self,
        address: u64,
        len: usize,
        mut each: impl FnMut(&mut State, usize, DmaAccess) -> Result<(), Failure>,
    ) -> Result<(), Refused> {
        self.with(|state| {
            let mut at = 0;
            while at < len {
                // The range was checked: it does not leave the address space.
                let address = address + at as u64;
                let count = state.max_transfer.min(len - at);
                let access = DmaAccess {
                    address,
                    count: count as u64,
                };
                if !state.can_ask() {
                    return Err(Refused { address });
                }
                if let Err(failure) = each(state, at, access) {
                    match failure {
                        Failure::Refused(errno) => tracing::debug!(
                            "the vfio-user client refuses {count} bytes at {address:#x}: {}",
                            io::Error::from_raw_os_error(errno as i32)
                        ),
                        Failure::Link(e) => state.health = Health::Failed(e),
                    }
                    return Err(Refused { address });
                }
                at += count;
            }
            Ok(())
        })
    }
}

impl Remote for Link {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Refused> {
        self.transfer(address, out.len(), |state, at, access| {
            let (asked, body) = state.ask(Command::DmaRead, access, &[])?;
            let out = &mut out[at..at + access.count as usize];
            out.copy_from_slice(read_reply(asked, &body)?);
            Ok(())
        })
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), Refused> {
        self.transfer(address, data.len(), |state, at, access| {
            let data = &data[at..at + access.count as usize];
            let (asked, body) = state.ask(Command::DmaWrite, access, data)?;
            Ok(check_write_reply(asked, &body)?)
        })
    }
}

impl State {
    fn check(&mut self) -> Result<(), LinkError> {
        match std::mem::replace(&mut self.health, Health::GivenUp) {
            Health::Good => {
                self.health = Health::Good;
                Ok(())
            }
            Health::Failed(e) => Err(e),
            Health::GivenUp => Err(LinkError::GivenUp),
        }
    }

    /// Whether a DMA command can be sent at all.
    fn can_ask(&self) -> bool {
        matches!(self.health, Health::Good) && self.max_transfer > 0
    }

    /// Sends a DMA command; the body of its reply.
    fn ask(
        &mut self,
        command: Command,
        access: DmaAccess,
        data: &[u8],
    ) -> Result<(Asked, Vec<u8>), Failure> {
        self.next_id = self.next_id.wrapping_add(1);
        let asked = Asked {
            command,
            id: self.next_id,
            access,
        };
        let header = Header {
            id: asked.id,
            command: command as u16,
            flags: flags::COMMAND,
            ..Header::default()
        };
        let mut body = Vec::with_capacity(DmaAccess::SIZE + data.len());
        access.encode(&mut body);
        body.extend_from_slice(data);
        let sent = self.connection.send(header, &body, &[], self.timeout);
        sent.map_err(|e| self.failed(asked, e))?;
        let reply = self.reply_to(asked)?;
        if reply.header.flags & flags::ERROR != 0 {
            return Err(Failure::Refused(reply.header.error));
        }
        Ok((asked, reply.body))
    }

    fn failed(&self, asked: Asked, e: SocketError) -> LinkError {
        match e {
            SocketError::Timeout(_) => LinkError::NoReply(asked, self.timeout),
            e => LinkError::Socket(e),
        }
    }

    fn reply_to(&mut self, asked: Asked) -> Result<Message, LinkError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let received = self.connection.recv(left);
            let message = received.map_err(|e| self.failed(asked, e))?;
            let header = message.header;
            if !header.is_reply() {
                if !self.kept.push(message) {
                    return Err(LinkError::Flood(asked));
                }
            } else if (header.id, header.command) == (asked.id, asked.command as u16) {
                return Ok(message);
            } else {
                let what = format!("is to command {} number {}", header.command, header.id);
                return Err(LinkError::WrongReply(asked, what));
            }
        }
    }
}

/// The data of a reply to DMA_READ: the access again, and all of its bytes.
fn read_reply(asked: Asked, body: &[u8]) -> Result<&[u8], LinkError> {
    match DmaAccess::decode(body) {
        Ok((echo, data)) if echo == asked.access && data.len() as u64 == echo.count => Ok(data),
        _ => Err(wrong_body(asked, body)),
    }
}

/// The reply to DMA_WRITE is the access again. The specification's table gives its count four bytes where the same field has eight in every
/// other message, and QEMU leaves the whole body out: neither says anything else than that all was written.
fn check_write_reply(asked: Asked, body: &[u8]) -> Result<(), LinkError> {
    let DmaAccess { address, count } = asked.access;
    let mut full = vec![];
    asked.access.encode(&mut full);
    let short = [&address.to_le_bytes()[..], &(count as u32).to_le_bytes()].concat();
    match body.is_empty() || body == full || body == short {
        true => Ok(()),
        false => Err(wrong_body(asked, body)),
    }
}

fn wrong_body(asked: Asked, body: &[u8]) -> LinkError {
    let DmaAccess { count: wanted, .. } = asked.access;
    let what = match DmaAccess::decode(body) {
        // The structure VFIOUserDMARW of QEMU's hw/vfio-user/protocol.h is such a one.
        Ok((DmaAccess { count, .. }, _)) if count != wanted && count as u32 == wanted as u32 => {
            format!("names {count:#x} bytes: is its count a field of four bytes, not of eight?")
        }
        Ok((DmaAccess { address, count }, data)) => format!(
            "names {count} bytes at {address:#x} and carries {} bytes of data",
            data.len()
        ),
        Err(e) => format!("is cut short: {e}"),
    };
    LinkError::WrongReply(asked, what)
}

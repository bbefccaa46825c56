//! A client that keeps its memory to itself: it maps ranges without descriptors, and serves DMA_READ and DMA_WRITE from plain vectors. It knows
//! nothing but the bytes of the specification (vfio-user.rst, sections VFIO_USER_DMA_MAP, VFIO_USER_DMA_READ and VFIO_USER_DMA_WRITE).
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ferrule_driver::vfio_user::socket::Connection;
use std::os::fd::{AsFd, OwnedFd};

pub(super) const VERSION: u16 = 1;
pub(super) const DMA_MAP: u16 = 2;
pub(super) const DMA_UNMAP: u16 = 3;
pub(super) const SET_IRQS: u16 = 8;
pub(super) const REGION_READ: u16 = 9;
pub(super) const REGION_WRITE: u16 = 10;
pub(super) const DMA_READ: u16 = 11;
pub(super) const DMA_WRITE: u16 = 12;
pub(super) const REPLY: u32 = 1;
pub(super) const NO_REPLY: u32 = 0x10;
pub(super) const ERROR: u32 = 0x20;
pub(super) const EFAULT: u32 = 14;

pub(super) struct Range {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// A message that has come.
pub(super) struct Taken {
    pub(super) id: u16,
    pub(super) command: u16,
    pub(super) flags: u32,
    pub(super) error: u32,
    pub(super) body: Vec<u8>,
}

impl Taken {
    /// Address and count of a DMA command.
    pub(super) fn access(&self) -> (u64, u64) {
        let number = |at: usize| u64::from_le_bytes(self.body[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    }
}

pub(super) struct Owner {
    pub(super) socket: UnixStream,
    id: u16,
    pub(super) ranges: Vec<Range>,
    /// Command, address and count of the DMA commands served so far.
    pub(super) served: Vec<(u16, u64, u64)>,
}

pub(super) fn message(id: u16, command: u16, flags: u32, error: u32, body: &[u8]) -> Vec<u8> {
    let size = 16 + body.len() as u32;
    [
        &id.to_le_bytes()[..],
        &command.to_le_bytes(),
        &size.to_le_bytes(),
        &flags.to_le_bytes(),
        &error.to_le_bytes(),
        body,
    ]
    .concat()
}

/// A reply's body: the access, and data.
pub(super) fn dma(address: u64, count: u64, data: &[u8]) -> Vec<u8> {
    [&address.to_le_bytes()[..], &count.to_le_bytes(), data].concat()
}

impl Owner {
    pub(super) fn new(socket: UnixStream) -> Self {
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            socket,
            id: 0,
            ranges: vec![],
            served: vec![],
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next message, none once the server has closed the connection.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let mut h = [0; 16];
        match self.socket.read_exact(&mut h) {
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            result => result.unwrap(),
        }
        let half = |at: usize| u16::from_le_bytes([h[at], h[at + 1]]);
        let word = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
        let mut body = vec![0; word(4) as usize - 16];
        self.socket.read_exact(&mut body).unwrap();
        Some(Taken {
            id: half(0),
            command: half(2),
            flags: word(8),
            error: word(12),
            body,
        })
    }

    /// The next message, which is this command.
    pub(super) fn expect(&mut self, command: u16) -> Taken {
        let taken = self.take().expect("the server is there");
        assert_eq!((taken.command, taken.flags), (command, 0));
        taken
    }

    /// Sends a command; its number.
    pub(super) fn send(&mut self, command: u16, flags: u32, body: &[u8]) -> u16 {
        self.id += 1;
        self.put(&message(self.id, command, flags, 0, body));
        self.id
    }

    /// The reply to a command; the server's commands before it are served.
    pub(super) fn reply(&mut self, id: u16) -> Result<Vec<u8>, u32> {
        loop {
            let taken = self.take().expect("the server is there");
            if taken.flags & 0xF != REPLY {
                self.serve(&taken);
                continue;
            }
            assert_eq!(taken.id, id, "replies come in the order of the commands");
            return match taken.flags & ERROR {
                0 => Ok(taken.body),
                _ => Err(taken.error),
            };
        }
    }

    pub(super) fn ask(&mut self, command: u16, body: &[u8]) -> Result<Vec<u8>, u32> {
        let id = self.send(command, 0, body);
        self.reply(id)
    }

    /// Proposes a version; the capabilities that come back.
    pub(super) fn version(&mut self, capabilities: &str) -> Result<serde_json::Value, u32> {
        let json = format!(r#"{{"capabilities":{capabilities}}}"#);
        let reply = self.ask(
            VERSION,
            &[&[0, 0, 1, 0], json.as_bytes(), &[0][..]].concat(),
        )?;
        let json: serde_json::Value = serde_json::from_slice(&reply[4..reply.len() - 1]).unwrap();
        Ok(json["capabilities"].clone())
    }

    pub(super) fn map(&mut self, range: Range) {
        let flags = u32::from(range.read) | u32::from(range.write) << 1;
        let body = [
            &32u32.to_le_bytes()[..],
            &flags.to_le_bytes(),
            &[0; 8],
            &range.at.to_le_bytes(),
            &(range.bytes.len() as u64).to_le_bytes(),
        ]
        .concat();
        // It may be used before the reply is there.
        self.ranges.push(range);
        assert_eq!(self.ask(DMA_MAP, &body), Ok(vec![]));
    }

    pub(super) fn unmap_body(address: u64, size: u64) -> Vec<u8> {
        let words = [24u64, address, size].map(u64::to_le_bytes);
        words.concat()
    }

    pub(super) fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
        [
            &offset.to_le_bytes()[..],
            &region.to_le_bytes(),
            &count.to_le_bytes(),
        ]
        .concat()
    }

    /// Posts a register write in BAR0.
    pub(super) fn post(&mut self, offset: u32, value: u32) {
        let body = [&Self::access(offset.into(), 0, 4)[..], &value.to_le_bytes()];
        self.send(REGION_WRITE, NO_REPLY, &body.concat());
    }

    /// Asks for a register in BAR0; the command's number.
    pub(super) fn send_read(&mut self, offset: u32) -> u16 {
        self.send(REGION_READ, 0, &Self::access(offset.into(), 0, 4))
    }

    pub(super) fn value(&mut self, id: u16) -> u32 {
        let body = self.reply(id).unwrap();
        u32::from_le_bytes(body[16..].try_into().unwrap())
    }

    /// Memory space and bus mastering, and an eventfd for each of these vectors.
    pub(super) fn start(&mut self, vectors: &[OwnedFd]) {
        let command = [&Self::access(4, 7, 2)[..], &[6, 0]].concat();
        self.ask(REGION_WRITE, &command).unwrap();
        // Descriptors are no part of what is tested here.
        self.id += 1;
        let mut connection = Connection::new(self.socket.try_clone().unwrap()).unwrap();
        let words = [20u32, 0b10_0100, 2, 0, vectors.len() as u32].map(u32::to_le_bytes);
        let fds: Vec<_> = vectors.iter().map(AsFd::as_fd).collect();
        let header = ferrule_driver::vfio_user::proto::Header {
            id: self.id,
            command: SET_IRQS,
            ..Default::default()
        };
        connection
            .send(header, &words.concat(), &fds, Duration::from_secs(20))
            .unwrap();
        self.socket.set_nonblocking(false).unwrap();
        self.reply(self.id).unwrap();
    }

    /// Does what a DMA command says and replies.
    pub(super) fn serve(&mut self, taken: &Taken) {
        assert_eq!(taken.flags, 0, "a command that wants a reply");
        let (address, count) = taken.access();
        self.served.push((taken.command, address, count));
        let mut within = self.ranges.iter_mut().filter(|range| {
            range.at <= address && address - range.at + count <= range.bytes.len() as u64
        });
        let range = within.next();
        let range = range.unwrap_or_else(|| panic!("{count} bytes at {address:#x} are mapped"));
        let at = (address - range.at) as usize;
        let bytes = &mut range.bytes[at..at + count as usize];
        let reply = match taken.command {
            DMA_READ => {
                assert!(range.read && taken.body.len() == 16);
                dma(address, count, bytes)
            }
            DMA_WRITE => {
                assert!(range.write);
                bytes.copy_from_slice(&taken.body[16..]);
                dma(address, count, &[])
            }
            other => panic!("command {other} of the server's"),
        };
        self.put(&message(taken.id, taken.command, REPLY, 0, &reply));
    }

    /// Serves DMA commands until the server is gone.
    pub(super) fn serve_all(mut self) -> Self {
        while let Some(taken) = self.take() {
            self.serve(&taken);
        }
        self
    }
}

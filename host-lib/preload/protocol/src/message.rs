//! Requests of a preloaded program and their replies: one each way over a SEQPACKET connection.

/// The longest request or reply: the longest value of an option and then some.
pub const MAX_MESSAGE: usize = 4_096;

const REQUEST_HEADER: usize = 48;
const REPLY_HEADER: usize = 8;

/// What a program wants; `a` and `b` are the request's two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A new socket, of domain `a` and type `b`; with a cookie, one with the options of that socket. The reply brings its descriptor.
    Socket = 1,
    /// What the socket is: the reply's value is a [`SocketState`](crate::SocketState) as a number.
    State = 2,
    /// bind(2); the data is the address.
    Bind = 3,
    /// connect(2); the data is the address, or nothing to have no peer any more; the program has sent `a` bytes that are to be thrown away, so that poll(2) shows no room
    /// while it connects. [`EINPROGRESS`](Verdict::Errno) if there is a connection to wait for.
    Connect = 4,
    /// listen(2) with backlog `a`.
    Listen = 5,
    /// getsockname(2).
    Name = 6,
    /// getpeername(2).
    Peer = 7,
    /// getsockopt(2) of level `a`, name `b`.
    GetOption = 8,
    /// setsockopt(2) of level `a`, name `b`; the data is the value.
    SetOption = 9,
    /// Whether shutdown(2) in direction `a` may be.
    Shutdown = 10,
    /// Takes the pending error: the reply's value is an errno, or 0.
    TakeError = 11,
    /// The socket becomes one of the kernel's: the reply's value is its domain and, 16 bits higher, its type; the data are the options that were set: level, name, length (4 bytes each)
    /// and value.
    ToKernel = 12,
    /// How much there is to read that is not in the program's end of the pair yet: the reply's value is a number of bytes.
    Unread = 13,
    /// How much was sent that the peer has not acknowledged, what lies in the pair included: the reply's value is a number of bytes.
    Unacknowledged = 14,
    /// Asked for when the program has closed its end: the reply comes when the peer has acknowledged all that was sent, or nobody waits for that any more.
    Linger = 15,
    /// Where datagrams can be sent: the reply's data is a [`Reach`](crate::Reach).
    Reach = 16,
}

impl Op {
    const ALL: [Self; 16] = [
        Self::Socket,
        Self::State,
        Self::Bind,
        Self::Connect,
        Self::Listen,
        Self::Name,
        Self::Peer,
        Self::GetOption,
        Self::SetOption,
        Self::Shutdown,
        Self::TakeError,
        Self::ToKernel,
        Self::Unread,
        Self::Unacknowledged,
        Self::Linger,
        Self::Reach,
    ];
}

/// What a program asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What it wants.
    pub op: Op,
    /// The socket's SO_COOKIE.
    pub cookie: u64,
    /// See [`Op`].
    pub a: i32,
    /// See [`Op`].
    pub b: i32,
    /// The secret of [`Address`](crate::Address).
    pub secret: [u8; 16],
    /// See [`Op`].
    pub data: &'a [u8],
}

impl<'a> Request<'a> {
    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend((self.op as u32).to_ne_bytes());
        out.extend([0; 4]);
        out.extend(self.cookie.to_ne_bytes());
        out.extend(self.a.to_ne_bytes());
        out.extend(self.b.to_ne_bytes());
        out.extend([0; 8]);
        out.extend(self.secret);
        out.extend(self.data);
    }

    /// Reads one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, data) = bytes.split_at_checked(REQUEST_HEADER)?;
        let op = word(head, 0)?;
        Some(Self {
            op: Op::ALL.into_iter().find(|o| *o as u32 == op as u32)?,
            cookie: u64::from_ne_bytes(head[8..16].try_into().ok()?),
            a: word(head, 16)?,
            b: word(head, 20)?,
            secret: head[32..48].try_into().ok()?,
            data,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should, with a value.
    Done(i32),
    /// It fails with this errno.
    Errno(i32),
    /// The socket has failed for good and the kernel cannot use its descriptor again: a new one is to take its place ([`Op::Socket`] with its cookie).
    Replace,
}

/// What stackd answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// How it ended.
    pub verdict: Verdict,
    /// See [`Op`].
    pub data: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, value) = match self.verdict {
            Verdict::Done(value) => (0u32, value),
            Verdict::Errno(errno) => (1, errno),
            Verdict::Replace => (2, 0),
        };
        out.extend(kind.to_ne_bytes());
        out.extend(value.to_ne_bytes());
        out.extend(self.data);
    }

    /// Reads one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, data) = bytes.split_at_checked(REPLY_HEADER)?;
        let value = word(head, 4)?;
        let verdict = match word(head, 0)? {
            0 => Verdict::Done(value),
            1 => Verdict::Errno(value),
            2 => Verdict::Replace,
            _ => return None,
        };
        Some(Self { verdict, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_survive_the_way(op in prop::sample::select(&Op::ALL[..]), cookie: u64, a: i32, b: i32, secret: [u8; 16], data in prop::collection::vec(any::<u8>(), 0..50)) {
            let request = Request { op, cookie, a, b, secret, data: &data };
            let mut bytes = vec![];
            request.write(&mut bytes);
            prop_assert_eq!(Request::read(&bytes), Some(request));
            for verdict in [Verdict::Done(a), Verdict::Errno(b), Verdict::Replace] {
                let reply = Reply { verdict, data: &data };
                bytes.clear();
                reply.write(&mut bytes);
                prop_assert_eq!(Reply::read(&bytes), Some(reply));
            }
        }

        #[test]
        fn any_bytes_are_a_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(request) = Request::read(&bytes) {
                prop_assert_eq!(request.data.len() + REQUEST_HEADER, bytes.len());
            }
            if let Some(reply) = Reply::read(&bytes) {
                prop_assert_eq!(reply.data.len() + REPLY_HEADER, bytes.len());
            }
        }
    }
}

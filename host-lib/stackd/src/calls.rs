//! The calls of a program that are not bytes, one function each.
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

use ferrule::{Host, TcpSocket};
use ferrule_preload_protocol::{Op, Reach, Request, SocketState, Verdict};

use crate::datagram::Datagrams;
use crate::kernel;
use crate::listener::Listening;
use crate::name::{self, Name};
use crate::server::Server;
use crate::socket::{Fresh, Kind, Socket};
use crate::{errno, options, pair};

/// The longest queue of a listener, as the stack has it (and Linux, by somaxconn).
const MAX_BACKLOG: usize = 4_096;
/// Free ports that are tried until one is free on the kernel's loopback too.
const PORTS_TRIED: usize = 16;

/// An answer.
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) data: Vec<u8>,
    pub(crate) fd: Option<OwnedFd>,
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            data: vec![],
            fd: None,
        }
    }
}

/// A call's success with what it gives, or an errno.
type Called<T> = Result<T, i32>;

fn checked<T>(result: std::io::Result<T>) -> Called<T> {
    result.map_err(|e| errno::of(&e))
}

fn done(result: Called<i32>) -> Answer {
    match result {
        Ok(value) => Verdict::Done(value).into(),
        Err(errno) => Verdict::Errno(errno).into(),
    }
}

fn bytes(result: Called<Vec<u8>>) -> Answer {
    match result {
        Ok(data) => Answer {
            verdict: Verdict::Done(0),
            data,
            fd: None,
        },
        Err(errno) => Verdict::Errno(errno).into(),
    }
}

/// A new TCP socket.
fn fresh_on(host: &Host) -> Called<Fresh> {
    Ok(Fresh {
        socket: checked(host.tcp_socket())?,
        loopback: vec![],
    })
}

/// A new UDP socket.
fn datagrams_on(host: &Host) -> Called<Datagrams> {
    let socket = checked(host.udp_socket())?;
    checked(socket.set_nonblocking(true))?;
    Ok(Datagrams::new(socket))
}

impl Server {
    /// Does what a program asks for.
    pub(crate) fn call(&mut self, request: &Request<'_>) -> Answer {
        match request.op {
            Op::Socket => return self.open(request),
            Op::Reach => return bytes(self.reach()),
            _ => {}
        }
        let cookie = request.cookie;
        // What the program has sent before comes before.
        self.serve(cookie);
        let Some(socket) = self.sockets.get_mut(&cookie) else {
            return match request.op {
                Op::State => Verdict::Done(SocketState::Foreign.to_number(false)).into(),
                _ => Verdict::Errno(libc::EBADF).into(),
            };
        };
        match request.op {
            Op::Socket | Op::Reach => Verdict::Errno(libc::EINVAL).into(),
            Op::State => Verdict::Done(socket.state().to_number(socket.v6)).into(),
            Op::Name => bytes(checked(socket.local()).map(|a| name::write(a, socket.v6))),
            Op::Peer => bytes(checked(socket.peer()).map(|a| name::write(a, socket.v6))),
            Op::GetOption => bytes(options::get(socket, request.a, request.b)),
            Op::SetOption => {
                let set = options::set(socket, request.a, request.b, request.data);
                done(set.map(|()| 0))
            }
            Op::Shutdown => done(shut_down(socket, request.a)),
            Op::TakeError => Verdict::Done(take_error(socket)).into(),
            Op::Bind => done(self.bind(cookie, request.data)),
            Op::Listen => done(self.listen(cookie, request.a)),
            Op::Connect => self.connect(cookie, request.data, request.a),
            Op::ToKernel => self.give_to_kernel(cookie),
            Op::Unread => done(unread(socket)),
            Op::Unacknowledged => done(unacknowledged(socket)),
            // Answered later, by another way.
            Op::Linger => done(Ok(0)),
        }
    }

    /// Where datagrams can be sent. It fits into a message: there are eight addresses and a few routes.
    fn reach(&self) -> Called<Vec<u8>> {
        let own = checked(self.host.addresses())?;
        let reached = checked(self.host.reached())?;
        let subnets = reached.iter().map(|to| (to.addr(), to.prefix_len()));
        let reach = Reach {
            subnets: subnets.collect(),
            broadcasts: own.iter().filter_map(|own| own.broadcast()).collect(),
        };
        Ok(reach.to_bytes())
    }

    /// socket(2).
    fn open(&mut self, request: &Request<'_>) -> Answer {
        let opened = self.make(request.a, request.b, request.cookie);
        match opened {
            Ok(theirs) => Answer {
                verdict: Verdict::Done(0),
                data: vec![],
                fd: Some(theirs),
            },
            Err(errno) => Verdict::Errno(errno).into(),
        }
    }

    fn make(&mut self, domain: i32, kind: i32, like: u64) -> Called<OwnedFd> {
        let v6 = match domain {
            libc::AF_INET => false,
            libc::AF_INET6 => true,
            _ => return Err(libc::EAFNOSUPPORT),
        };
        let kind = match kind {
            libc::SOCK_STREAM => Kind::Fresh(fresh_on(&self.host)?),
            libc::SOCK_DGRAM => Kind::Datagrams(datagrams_on(&self.host)?),
            _ => return Err(libc::ESOCKTNOSUPPORT),
        };
        let pair = pair::make(matches!(kind, Kind::Datagrams(_))).map_err(|e| e.raw_os_error())?;
        let like = self.sockets.get(&like);
        if let Some(like) = like {
            let linger = pair.set_linger(like.settings.linger());
            linger.map_err(|e| e.raw_os_error())?;
        }
        let mut socket = Socket::new(pair.ours, v6, kind);
        if let Some(like) = like {
            let settings: Vec<_> = like.settings.all().cloned().collect();
            for (level, name, value) in settings {
                options::set(&mut socket, level, name, &value)?;
            }
        }
        if let Kind::Datagrams(datagrams) = &socket.kind {
            checked(self.events.watch(datagrams.socket(), pair.cookie))?;
        }
        self.insert(pair.cookie, socket)
            .map_err(|e| e.raw_os_error())?;
        Ok(pair.theirs)
    }

    /// bind(2): on all addresses it is also on the kernel's loopback, or nowhere.
    fn bind(&mut self, cookie: u64, addr: &[u8]) -> Called<i32> {
        for _ in 0..PORTS_TRIED {
            let (wanted, bound) = self.bind_once(cookie, addr)?;
            if bound {
                return Ok(0);
            }
            if wanted.port() != 0 {
                break;
            }
        }
        Err(libc::EADDRINUSE)
    }

    /// Whether the port was to be had on the loopback too; if not, it is given back.
    fn bind_once(&mut self, cookie: u64, addr: &[u8]) -> Called<(SocketAddrV4, bool)> {
        let own = checked(self.host.addresses())?;
        let socket = self.sockets.get_mut(&cookie).ok_or(libc::EBADF)?;
        let addr = match name::read(addr, socket.v6)? {
            Name::V4(addr) => addr,
            // As Linux, for programs that leave the family away.
            Name::Unspecified if !socket.v6 => {
                let family = (libc::AF_INET as u16).to_ne_bytes();
                let named = [&family[..], addr.get(2..).unwrap_or(&[])].concat();
                match name::read(&named, false)? {
                    Name::V4(any) if any.ip().is_unspecified() => any,
                    _ => return Err(libc::EAFNOSUPPORT),
                }
            }
            Name::Unspecified => return Err(libc::EAFNOSUPPORT),
        };
        let ip = addr.ip();
        let nobodys = !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast());
        let is_own = own
            .iter()
            .any(|own| own.addr() == *ip || own.broadcast() == Some(*ip));
        if nobodys && !is_own {
            return Err(libc::EADDRNOTAVAIL);
        }
        let everywhere = addr.ip().is_unspecified();
        let reuse = socket.settings.reuse;
        match &mut socket.kind {
            Kind::Fresh(fresh) => {
                checked(fresh.socket.bind(addr))?;
                let port = checked(fresh.socket.local_addr())?.port();
                if everywhere {
                    match kernel::take_loopback(port, socket.v6, reuse) {
                        Ok(taken) => fresh.loopback = taken,
                        Err(e) => {
                            tracing::debug!("port {port} on the kernel's loopback: {e}");
                            socket.kind = Kind::Fresh(fresh_on(&self.host)?);
                            set_again(socket);
                            return Ok((addr, false));
                        }
                    }
                }
            }
            Kind::Datagrams(datagrams) => {
                checked(datagrams.socket().bind_to(addr))?;
                let port = checked(datagrams.socket().local_addr())?.port();
                if everywhere {
                    if let Err(e) = datagrams.take_loopback(port, reuse) {
                        tracing::debug!("port {port} on the kernel's loopback: {e}");
                        let again = datagrams_on(&self.host)?;
                        checked(self.events.watch(again.socket(), cookie))?;
                        socket.kind = Kind::Datagrams(again);
                        set_again(socket);
                        return Ok((addr, false));
                    }
                    self.watch_loopback(cookie);
                }
            }
            _ => return Err(libc::EINVAL),
        }
        Ok((addr, true))
    }

    /// listen(2).
    fn listen(&mut self, cookie: u64, backlog: i32) -> Called<i32> {
        let backlog = usize::try_from(backlog)
            .unwrap_or(MAX_BACKLOG)
            .min(MAX_BACKLOG);
        let waiting = backlog.saturating_sub(Listening::ahead_of(backlog));
        let socket = self.sockets.get_mut(&cookie).ok_or(libc::EBADF)?;
        let fresh = match &mut socket.kind {
            Kind::Fresh(fresh) => fresh,
            Kind::Listening(listening) => {
                listening.set_backlog(backlog);
                return checked(listening.listener().set_backlog(waiting)).map(|()| 0);
            }
            _ => return Err(libc::EINVAL),
        };
        let handle: TcpSocket = checked(fresh.socket.try_clone())?;
        let listener = checked(handle.listen(waiting))?;
        checked(listener.set_nonblocking(true))?;
        for fd in &fresh.loopback {
            rustix::net::listen(fd, backlog as i32).map_err(|e| e.raw_os_error())?;
        }
        let loopback = std::mem::take(&mut fresh.loopback);
        checked(self.events.watch(&listener, cookie))?;
        let listening = Listening::new(listener, loopback, backlog, socket.v6);
        socket.kind = Kind::Listening(listening);
        self.watch_loopback(cookie);
        Ok(0)
    }

    /// connect(2).
    fn connect(&mut self, cookie: u64, addr: &[u8], filler: i32) -> Answer {
        let Some(socket) = self.sockets.get_mut(&cookie) else {
            return Verdict::Errno(libc::EBADF).into();
        };
        let name = name::read(addr, socket.v6);
        let filler = usize::try_from(filler).unwrap_or(0);
        let connected = match (&mut socket.kind, name) {
            (Kind::Datagrams(datagrams), Ok(Name::Unspecified)) => {
                checked(datagrams.socket().disconnect())
            }
            (Kind::Datagrams(datagrams), name) => {
                // Of IPv6, it may be connected to IPv4's own addresses.
                let name = name.or_else(|errno| match (socket.v6, name::read(addr, false)) {
                    (true, Ok(name)) => Ok(name),
                    _ => Err(errno),
                });
                name.and_then(|name| match name {
                    Name::V4(addr) => checked(datagrams.socket().connect(addr)),
                    Name::Unspecified => Err(libc::EAFNOSUPPORT),
                })
            }
            (Kind::Fresh(fresh), Ok(Name::V4(addr))) => {
                let begun = fresh
                    .socket
                    .try_clone()
                    .and_then(|s| s.connect_nonblocking(SocketAddr::V4(addr)));
                match begun {
                    Ok(stream) => {
                        if let Err(e) = self.events.watch(&stream, cookie) {
                            return Verdict::Errno(errno::of(&e)).into();
                        }
                        socket.kind = Kind::Connecting { stream, filler };
                        Err(libc::EINPROGRESS)
                    }
                    Err(e) => Err(errno::of(&e)),
                }
            }
            (Kind::Fresh(_), Ok(Name::Unspecified)) => Ok(()),
            (Kind::Fresh(_), Err(errno)) => Err(errno),
            (Kind::Connecting { .. }, _) => Err(libc::EALREADY),
            (Kind::Stream { told, .. }, _) if !*told => {
                *told = true;
                Ok(())
            }
            (Kind::Stream { .. } | Kind::Listening(_), _) => Err(libc::EISCONN),
            (Kind::Ended { refused, .. }, _) if *refused => {
                *refused = false;
                Err(socket.error.take().unwrap_or(libc::ECONNABORTED))
            }
            (Kind::Ended { connected, .. }, Ok(Name::V4(_)) | Err(_)) if *connected => {
                Err(libc::EISCONN)
            }
            (Kind::Ended { .. }, _) => return Verdict::Replace.into(),
        };
        // What the program has sent for poll(2)'s sake, if there is nothing to wait for.
        if let (Kind::Fresh(_), Some(end)) = (&socket.kind, &socket.end) {
            throw_away(end, filler);
        }
        done(connected.map(|()| 0))
    }

    /// Lets go of a socket that is to be one of the kernel's, with its port.
    fn give_to_kernel(&mut self, cookie: u64) -> Answer {
        let Some(socket) = self.sockets.remove(&cookie) else {
            return Verdict::Errno(libc::EBADF).into();
        };
        let domain = if socket.v6 {
            libc::AF_INET6
        } else {
            libc::AF_INET
        };
        let kind = match socket.kind {
            Kind::Datagrams(_) => libc::SOCK_DGRAM,
            _ => libc::SOCK_STREAM,
        };
        let mut data = vec![];
        for (level, name, value) in socket.settings.all() {
            for word in [*level, *name, value.len() as i32] {
                data.extend(word.to_ne_bytes());
            }
            data.extend(value);
        }
        Answer {
            verdict: Verdict::Done(domain | kind << 16),
            data,
            fd: None,
        }
    }
}

/// Sets the options of a socket's predecessor once more. They were right once.
fn set_again(socket: &mut Socket) {
    let settings: Vec<_> = socket.settings.all().cloned().collect();
    for (level, name, value) in settings {
        if let Err(errno) = options::set(socket, level, name, &value) {
            tracing::debug!("setting option {level}/{name} again: errno {errno}");
        }
    }
}

/// Whether shutdown(2) may be; the program does it itself then.
fn shut_down(socket: &mut Socket, how: i32) -> Called<i32> {
    match &socket.kind {
        Kind::Ended { peer: Some(_), .. } => Ok(0),
        Kind::Fresh(_) | Kind::Connecting { .. } | Kind::Ended { .. } => Err(libc::ENOTCONN),
        Kind::Datagrams(datagrams) if datagrams.socket().peer_addr().is_err() => {
            Err(libc::ENOTCONN)
        }
        _ => {
            socket.shut[0] |= how != libc::SHUT_WR;
            socket.shut[1] |= how != libc::SHUT_RD;
            Ok(0)
        }
    }
}

fn bytes_of(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn unread(socket: &Socket) -> Called<i32> {
    match &socket.kind {
        Kind::Stream { relay, .. } => checked(relay.unread()).map(bytes_of),
        _ => Ok(0),
    }
}

fn unacknowledged(socket: &Socket) -> Called<i32> {
    match (&socket.kind, &socket.end) {
        (Kind::Stream { relay, .. }, Some(end)) => {
            checked(relay.unacknowledged(end.as_fd())).map(bytes_of)
        }
        _ => Ok(0),
    }
}

/// SO_ERROR.
fn take_error(socket: &mut Socket) -> i32 {
    if let Some(errno) = socket.error.take() {
        return errno;
    }
    let error = match &socket.kind {
        Kind::Datagrams(datagrams) => datagrams.socket().take_error(),
        _ => Ok(None),
    };
    match error {
        Ok(error) => error.map_or(0, |e| errno::of(&e)),
        Err(e) => errno::of(&e),
    }
}

/// Reads what a program has sent for poll(2)'s sake.
pub(crate) fn throw_away(end: &OwnedFd, mut filler: usize) {
    let mut scratch = [0; 16_384];
    while filler > 0 {
        let most = filler.min(scratch.len());
        match pair::recv(end.as_fd(), &mut scratch[..most]) {
            Ok(n) if n > 0 => filler -= n,
            _ => return,
        }
    }
}

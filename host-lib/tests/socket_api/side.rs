//! The same story told of several kinds of socket, and the C library's as one of them: the kernel's, or whatever a preloaded library makes of them.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::sys::socket::sockopt::{Linger, RcvBuf, SndBuf};
use nix::sys::socket::{
    bind, connect, listen, setsockopt, socket, AddressFamily, Backlog, SockFlag, SockType,
    SockaddrIn,
};

/// A connection's end, of either kind.
pub(crate) trait Stream: AsFd + AsRawFd + Read + Write {
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    fn set_nodelay(&self, nodelay: bool) -> io::Result<()>;
    fn take_error(&self) -> io::Result<Option<io::Error>>;
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    fn peek(&self, to: &mut [u8]) -> io::Result<usize>;
    /// Closes it with a reset.
    fn reset(self);
}

pub(crate) trait Listener: AsFd + AsRawFd {
    type Stream: Stream;
    fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

pub(crate) trait Datagrams: AsFd + AsRawFd {
    fn connect(&self, to: SocketAddr) -> io::Result<()>;
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize>;
    fn recv(&self, to: &mut [u8]) -> io::Result<usize>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    fn take_error(&self) -> io::Result<Option<io::Error>>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    fn set_broadcast(&self, on: bool) -> io::Result<()>;
    fn set_ttl(&self, ttl: u32) -> io::Result<()>;
    fn join(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;
    fn leave(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;
}

/// Where sockets come from.
pub(crate) trait Side {
    type Stream: Stream;
    type Listener: Listener<Stream = Self::Stream>;
    type Datagrams: Datagrams;
    /// The address of those who listen.
    fn there(&self) -> Ipv4Addr;
    /// The address of those who connect.
    fn here(&self) -> Ipv4Addr;
    fn listen(&self, at: SocketAddr, backlog: usize) -> io::Result<Self::Listener>;
    fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream>;
    /// Connects without waiting; the local address may be given.
    fn begin_connect(&self, from: Option<SocketAddr>, to: SocketAddr) -> io::Result<Self::Stream>;
    /// A UDP socket of those who connect.
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Self::Datagrams>;
    /// A UDP socket of those who listen.
    fn bind_udp_there(&self, at: SocketAddr) -> io::Result<Self::Datagrams>;
    /// Lets everything that is under way arrive.
    fn settle(&self);

    /// A connection whose buffers are small: the connecting and the accepted end.
    fn connection(&self) -> (Self::Stream, Self::Stream) {
        let listener = self.listen((self.there(), 0).into(), 4).unwrap();
        let near = self.connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        for end in [&near, &far] {
            end.set_nonblocking(true).unwrap();
            // Else what is under way would depend on delayed acknowledgments.
            end.set_nodelay(true).unwrap();
        }
        (near, far)
    }
}

macro_rules! streams {
    ($stream:ty, $listener:ty, $datagrams:ty, $reset:expr) => {
        impl Stream for $stream {
            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                <$stream>::shutdown(self, how)
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                <$stream>::set_nonblocking(self, nonblocking)
            }
            fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
                <$stream>::set_nodelay(self, nodelay)
            }
            fn take_error(&self) -> io::Result<Option<io::Error>> {
                <$stream>::take_error(self)
            }
            fn peer_addr(&self) -> io::Result<SocketAddr> {
                <$stream>::peer_addr(self)
            }
            fn peek(&self, to: &mut [u8]) -> io::Result<usize> {
                <$stream>::peek(self, to)
            }
            fn reset(self) {
                let make_it_reset: fn(&$stream) = $reset;
                make_it_reset(&self);
            }
        }

        impl Listener for $listener {
            type Stream = $stream;
            fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
                <$listener>::accept(self)
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                <$listener>::set_nonblocking(self, nonblocking)
            }
            fn local_addr(&self) -> io::Result<SocketAddr> {
                <$listener>::local_addr(self)
            }
        }

        impl Datagrams for $datagrams {
            fn connect(&self, to: SocketAddr) -> io::Result<()> {
                <$datagrams>::connect(self, to)
            }
            fn send(&self, bytes: &[u8]) -> io::Result<usize> {
                <$datagrams>::send(self, bytes)
            }
            fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
                <$datagrams>::send_to(self, bytes, to)
            }
            fn recv(&self, to: &mut [u8]) -> io::Result<usize> {
                <$datagrams>::recv(self, to)
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                <$datagrams>::set_nonblocking(self, nonblocking)
            }
            fn take_error(&self) -> io::Result<Option<io::Error>> {
                <$datagrams>::take_error(self)
            }
            fn local_addr(&self) -> io::Result<SocketAddr> {
                <$datagrams>::local_addr(self)
            }
            fn peer_addr(&self) -> io::Result<SocketAddr> {
                <$datagrams>::peer_addr(self)
            }
            fn set_broadcast(&self, on: bool) -> io::Result<()> {
                <$datagrams>::set_broadcast(self, on)
            }
            fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                <$datagrams>::set_ttl(self, ttl)
            }
            fn join(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
                self.join_multicast_v4(&group, &interface)
            }
            fn leave(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
                self.leave_multicast_v4(&group, &interface)
            }
        }
    };
}
#[allow(
    unused_imports,
    reason = "those who have but the C library's need no other"
)]
pub(crate) use streams;

streams!(
    std::net::TcpStream,
    std::net::TcpListener,
    std::net::UdpSocket,
    |stream| {
        let cut_off = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(stream, Linger, &cut_off).unwrap();
    }
);

/// Bytes of the buffers of both kinds.
pub(crate) const BUFFER: usize = 16 * 1024;

/// The C library's sockets, which are the kernel's where nothing is preloaded.
pub(crate) struct Kernels {
    address: Ipv4Addr,
    /// What is under way is there after this time, which is the machine's.
    settles_in: Duration,
}

impl Kernels {
    /// On an address of the machine's.
    pub(crate) fn on(address: Ipv4Addr, settles_in: Duration) -> Self {
        Self {
            address,
            settles_in,
        }
    }

    /// On the loopback, with longer than a loaded machine takes, too.
    pub(crate) fn patient() -> Self {
        Self::on(Ipv4Addr::LOCALHOST, Duration::from_millis(20))
    }

    /// On the loopback, with long enough as a rule: what seems to differ is to be looked at with patience.
    pub(crate) fn hasty() -> Self {
        Self::on(Ipv4Addr::LOCALHOST, Duration::from_millis(2))
    }
}

fn kernel_socket(kind: SockType, flags: SockFlag) -> io::Result<std::os::fd::OwnedFd> {
    Ok(socket(
        AddressFamily::Inet,
        kind,
        flags | SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

fn sockaddr(addr: SocketAddr) -> SockaddrIn {
    match addr {
        SocketAddr::V4(addr) => addr.into(),
        SocketAddr::V6(_) => unreachable!("the stories are of IPv4"),
    }
}

impl Side for Kernels {
    type Stream = std::net::TcpStream;
    type Listener = std::net::TcpListener;
    type Datagrams = std::net::UdpSocket;

    fn there(&self) -> Ipv4Addr {
        self.address
    }
    fn here(&self) -> Ipv4Addr {
        self.address
    }
    fn listen(&self, at: SocketAddr, backlog: usize) -> io::Result<Self::Listener> {
        let fd = kernel_socket(SockType::Stream, SockFlag::empty())?;
        setsockopt(&fd, nix::sys::socket::sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, RcvBuf, &BUFFER)?;
        bind(fd.as_raw_fd(), &sockaddr(at))?;
        listen(&fd, Backlog::new(backlog as i32)?)?;
        Ok(fd.into())
    }
    fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        let stream = std::net::TcpStream::connect(to)?;
        setsockopt(&stream, SndBuf, &BUFFER)?;
        Ok(stream)
    }
    fn begin_connect(&self, from: Option<SocketAddr>, to: SocketAddr) -> io::Result<Self::Stream> {
        let fd = kernel_socket(SockType::Stream, SockFlag::SOCK_NONBLOCK)?;
        if let Some(from) = from {
            bind(fd.as_raw_fd(), &sockaddr(from))?;
        }
        match connect(fd.as_raw_fd(), &sockaddr(to)) {
            Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => Ok(fd.into()),
            Err(e) => Err(e.into()),
        }
    }
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Self::Datagrams> {
        std::net::UdpSocket::bind(at)
    }
    fn bind_udp_there(&self, at: SocketAddr) -> io::Result<Self::Datagrams> {
        std::net::UdpSocket::bind(at)
    }
    fn settle(&self) {
        std::thread::sleep(self.settles_in);
    }
}

//! Our sockets as a side of a story: two hosts on a cable, on simulated time.
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use ferrule_testnet::Net;

use crate::side::{streams, Datagrams, Listener, Side, Stream, BUFFER};

streams!(
    ferrule::TcpStream,
    ferrule::TcpListener,
    ferrule::UdpSocket,
    |stream| stream.set_linger(Some(Duration::ZERO)).unwrap()
);
/// Ours: two hosts on a cable.
pub(crate) struct Ours(pub(crate) Net);

impl Ours {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ferrule_testnet::new().seed(seed).start().unwrap())
    }
}

impl Side for Ours {
    type Stream = ferrule::TcpStream;
    type Listener = ferrule::TcpListener;
    type Datagrams = ferrule::UdpSocket;

    fn there(&self) -> Ipv4Addr {
        self.0.address(1)
    }
    fn here(&self) -> Ipv4Addr {
        self.0.address(0)
    }
    fn listen(&self, at: SocketAddr, backlog: usize) -> io::Result<Self::Listener> {
        let listener = self.0.host(1).listen(at, backlog)?;
        listener.set_recv_buffer_size(BUFFER)?;
        Ok(listener)
    }
    fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        let stream = self.0.host(0).connect(to)?;
        stream.set_send_buffer_size(BUFFER)?;
        Ok(stream)
    }
    fn begin_connect(&self, from: Option<SocketAddr>, to: SocketAddr) -> io::Result<Self::Stream> {
        let socket = self.0.host(0).tcp_socket()?;
        if let Some(from) = from {
            socket.bind(from)?;
        }
        socket.connect_nonblocking(to)
    }
    fn bind_udp(&self, at: SocketAddr) -> io::Result<Self::Datagrams> {
        self.0.host(0).bind_udp(at)
    }
    fn bind_udp_there(&self, at: SocketAddr) -> io::Result<Self::Datagrams> {
        self.0.host(1).bind_udp(at)
    }
    fn settle(&self) {
        self.0.sleep(Duration::from_millis(300)).unwrap();
    }
}

//! smoltcp as a [`Host`].

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::host::{Buffers, Host};
use crate::wire::{Frame, Wire};
use crate::{Error, Result};

/// smoltcp with its sockets.
pub struct Theirs {
    interface: Interface,
    sockets: SocketSet<'static>,
    buffers: Buffers,
    mtu: u16,
    /// Sockets that have ended, to be used again: smoltcp has one per connection and the program keeps them.
    spare: Vec<SocketHandle>,
    /// Where it composes a frame before the wire copies it.
    compose: Vec<u8>,
}

/// The two wires as smoltcp's device.
struct Link<'a> {
    rx: &'a mut Wire,
    tx: &'a mut Wire,
    most: usize,
    compose: &'a mut Vec<u8>,
    mtu: u16,
}

struct Rx(Frame);

struct Tx<'a> {
    wire: &'a mut Wire,
    compose: &'a mut Vec<u8>,
}

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0.as_slice())
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.compose[..len];
        let result = f(frame);
        self.wire.send(len, |to| {
            to.copy_from_slice(frame);
            to.len()
        });
        result
    }
}

impl Device for Link<'_> {
    type RxToken<'a>
        = Rx
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        self.most = self.most.checked_sub(1)?;
        let frame = self.rx.take()?;
        let tx = Tx {
            wire: self.tx,
            compose: self.compose,
        };
        Some((Rx(frame), tx))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        self.tx.has_room().then_some(Tx {
            wire: self.tx,
            compose: self.compose,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(self.mtu);
        // The device does them all, as it does for us.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

fn instant(now: u64) -> Instant {
    Instant::from_micros((now / 1_000) as i64)
}

impl Theirs {
    fn fresh(&mut self) -> SocketHandle {
        self.spare.pop().unwrap_or_else(|| {
            let buffer = |bytes| tcp::SocketBuffer::new(vec![0; bytes]);
            self.sockets.add(tcp::Socket::new(
                buffer(self.buffers.recv),
                buffer(self.buffers.send),
            ))
        })
    }
}

impl Host for Theirs {
    type Socket = SocketHandle;

    // Its TIME-WAIT lasts 10 s and keeps the whole socket: over before the next, so that there is none.
    const BETWEEN_CONNECTIONS_NS: u64 = 11_000_000_000;

    fn new(last: u8, mtu: u16, buffers: Buffers) -> Result<Theirs> {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(last);
        let (mut a, mut b) = (Wire::new(mtu, 1), Wire::new(mtu, 1));
        let mut compose = vec![0; usize::from(mtu)];
        let mut link = Link {
            rx: &mut a,
            tx: &mut b,
            most: 0,
            compose: &mut compose,
            mtu,
        };
        let mut interface = Interface::new(config, &mut link, instant(0));
        let mut added = false;
        interface.update_ip_addrs(|addresses| {
            let own = IpCidr::new(IpAddress::v4(10, 0, 0, last), 24);
            added = addresses.push(own).is_ok();
        });
        if !added {
            return Err(Error::Theirs("take an address"));
        }
        Ok(Theirs {
            interface,
            sockets: SocketSet::new(Vec::new()),
            buffers,
            mtu,
            spare: Vec::new(),
            compose,
        })
    }

    fn expect(&mut self, port: u16) -> Result<SocketHandle> {
        let handle = self.fresh();
        self.sockets
            .get_mut::<tcp::Socket<'_>>(handle)
            .listen(port)
            .map_err(|_| Error::Theirs("listen"))?;
        Ok(handle)
    }

    fn connect(&mut self, _: u64, from_port: u16, to: u8, port: u16) -> Result<SocketHandle> {
        let handle = self.fresh();
        self.sockets
            .get_mut::<tcp::Socket<'_>>(handle)
            .connect(
                self.interface.context(),
                (IpAddress::v4(10, 0, 0, to), port),
                from_port,
            )
            .map_err(|_| Error::Theirs("connect"))?;
        Ok(handle)
    }

    fn accept(&mut self, _: u64, expected: SocketHandle) -> Result<SocketHandle> {
        let socket = self.sockets.get::<tcp::Socket<'_>>(expected);
        match socket.state() {
            tcp::State::Established => Ok(expected),
            _ => Err(Error::Theirs("accept")),
        }
    }

    fn send(&mut self, _: u64, socket: SocketHandle, bytes: &[u8]) -> Result<usize> {
        self.sockets
            .get_mut::<tcp::Socket<'_>>(socket)
            .send_slice(bytes)
            .map_err(|_| Error::Theirs("send"))
    }

    fn recv(&mut self, _: u64, socket: SocketHandle, to: &mut [u8]) -> Result<usize> {
        match self
            .sockets
            .get_mut::<tcp::Socket<'_>>(socket)
            .recv_slice(to)
        {
            Ok(n) => Ok(n),
            Err(tcp::RecvError::Finished) => Ok(0),
            Err(tcp::RecvError::InvalidState) => Err(Error::Theirs("receive")),
        }
    }

    fn close(&mut self, _: u64, socket: SocketHandle) -> Result<()> {
        self.sockets.get_mut::<tcp::Socket<'_>>(socket).close();
        Ok(())
    }

    fn ended(&mut self, socket: SocketHandle) {
        self.spare.push(socket);
    }

    fn poll(&mut self, now: u64, rx: &mut Wire, tx: &mut Wire, most: usize) {
        let mut link = Link {
            rx,
            tx,
            most,
            compose: &mut self.compose,
            mtu: self.mtu,
        };
        self.interface
            .poll(instant(now), &mut link, &mut self.sockets);
    }

    fn next_deadline(&mut self, now: u64) -> Option<u64> {
        self.interface
            .poll_at(instant(now), &self.sockets)
            .map(|at| at.total_micros().max(0) as u64 * 1_000)
    }
}

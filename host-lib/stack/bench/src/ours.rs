//! `ferrule-stack` as a [`Host`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use ferrule_stack::{
    Cidr, Config, Error as StackError, Instant, Offload, Payload, RxMeta, SocketId, Stack, TxPacket,
};

use crate::host::{Buffers, Host};
use crate::wire::{Frame, Wire};
use crate::{Error, Result};

/// The device has verified both checksums.
const VERIFIED: RxMeta = RxMeta {
    ipv4_checksum_ok: true,
    l4_checksum_ok: true,
    l2_broadcast: false,
};
/// As the driver hands packets over: whole up to this length,
const WHOLE_BYTES: usize = 256;
/// and otherwise this many bytes beside a handle to the rest.
const HEAD_BYTES: usize = 128;

/// Our stack.
pub struct Ours {
    /// The stack itself.
    pub stack: Stack<Frame>,
    /// The packet that is being sent.
    packet: TxPacket<Frame>,
    address: Ipv4Addr,
    listeners: HashMap<u16, SocketId>,
    buffers: Buffers,
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn none_if_would_block(result: ferrule_stack::Result<usize>) -> Result<usize> {
    match result {
        Err(StackError::WouldBlock) => Ok(0),
        other => Ok(other?),
    }
}

impl Ours {
    /// Like [`Host::new`], with changes to the stack's configuration.
    pub fn with(
        last: u8,
        mtu: u16,
        buffers: Buffers,
        change: impl FnOnce(&mut Config),
    ) -> Result<Ours> {
        let cidr = Cidr::new(address(last), 24).ok_or(Error::Stuck("no such subnet"))?;
        let mut config = Config::new(cidr, [last; 16]);
        config.mtu = mtu;
        config.offload = Offload {
            tx_segmentation_bytes: 0,
            tx_ipv4_checksum: true,
            tx_l4_checksum: true,
        };
        config.tcp.send_buffer_bytes = buffers.send;
        config.tcp.recv_buffer_bytes = buffers.recv;
        // As smoltcp's: buffers of one size, and segments of the whole MSS.
        config.tcp.max_send_buffer_bytes = buffers.send;
        config.tcp.max_recv_buffer_bytes = buffers.recv;
        config.tcp.timestamps = false;
        change(&mut config);
        Ok(Ours {
            stack: Stack::new(config),
            packet: TxPacket::default(),
            address: address(last),
            listeners: HashMap::new(),
            buffers,
        })
    }

    /// Buffers that never grow, as smoltcp's are.
    fn fix_buffers(&mut self, now: u64, socket: SocketId) -> Result<()> {
        let now = Instant::from_nanos(now);
        self.stack.set_send_buffer(socket, self.buffers.send)?;
        Ok(self.stack.set_recv_buffer(now, socket, self.buffers.recv)?)
    }

    /// Gives one packet to the stack as the driver does.
    pub fn receive(&mut self, now: u64, frame: &Frame) {
        let bytes = frame.as_slice();
        let split = match bytes.len() {
            n if n <= WHOLE_BYTES => n,
            _ => HEAD_BYTES,
        };
        let body = frame.slice(split..bytes.len());
        self.stack
            .on_packet(Instant::from_nanos(now), VERIFIED, &bytes[..split], body);
    }
}

impl Host for Ours {
    type Socket = SocketId;

    // TIME-WAIT lasts 60 s: 20,000 of them at any time.
    const BETWEEN_CONNECTIONS_NS: u64 = 3_000_000;

    fn new(last: u8, mtu: u16, buffers: Buffers) -> Result<Ours> {
        Ours::with(last, mtu, buffers, |_| {})
    }

    fn expect(&mut self, port: u16) -> Result<SocketId> {
        if let Some(listener) = self.listeners.get(&port) {
            return Ok(*listener);
        }
        let listener = self
            .stack
            .tcp_listen(SocketAddrV4::new(self.address, port), 128)?;
        self.listeners.insert(port, listener);
        Ok(listener)
    }

    fn connect(&mut self, now: u64, from_port: u16, to: u8, port: u16) -> Result<SocketId> {
        let socket = self.stack.tcp_connect(
            Instant::from_nanos(now),
            Some(SocketAddrV4::new(self.address, from_port)),
            SocketAddrV4::new(address(to), port),
        )?;
        self.fix_buffers(now, socket)?;
        Ok(socket)
    }

    fn accept(&mut self, now: u64, expected: SocketId) -> Result<SocketId> {
        let (socket, _) = self.stack.tcp_accept(expected)?;
        self.fix_buffers(now, socket)?;
        Ok(socket)
    }

    fn send(&mut self, now: u64, socket: SocketId, bytes: &[u8]) -> Result<usize> {
        none_if_would_block(self.stack.tcp_send(Instant::from_nanos(now), socket, bytes))
    }

    fn recv(&mut self, now: u64, socket: SocketId, to: &mut [u8]) -> Result<usize> {
        none_if_would_block(self.stack.tcp_recv(Instant::from_nanos(now), socket, to))
    }

    fn close(&mut self, now: u64, socket: SocketId) -> Result<()> {
        Ok(self.stack.close(Instant::from_nanos(now), socket)?)
    }

    fn ended(&mut self, _: SocketId) {}

    fn poll(&mut self, now: u64, rx: &mut Wire, tx: &mut Wire, most: usize) {
        for _ in 0..most {
            let Some(frame) = rx.take() else {
                break;
            };
            self.receive(now, &frame);
        }
        while tx.has_room() {
            let packet = &mut self.packet;
            if !self.stack.transmit_to(Instant::from_nanos(now), packet) {
                break;
            }
            tx.send(packet.len(), |to| {
                let head = packet.head.as_slice();
                to[..head.len()].copy_from_slice(head);
                head.len() + packet.payload.copy_to(&mut to[head.len()..])
            });
            // As a ring does once the device has read it.
            packet.payload.clear();
        }
        // A program learns from these which sockets to serve.
        while self.stack.next_event().is_some() {}
    }

    fn next_deadline(&mut self, _: u64) -> Option<u64> {
        self.stack.next_deadline().map(Instant::as_nanos)
    }
}

//! A host of the simulated LAN: smoltcp, an independent TCP/IP stack, with the services a test wants to talk to.
//!
//! It answers ping, echoes UDP and TCP on port 7 (RFC 862), and serves one page over HTTP/1.1 on port 80.
use std::collections::VecDeque;
use std::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

/// Port of the UDP and TCP echo services (RFC 862).
pub const ECHO_PORT: u16 = 7;
/// Port of the HTTP service.
pub const HTTP_PORT: u16 = 80;

const TCP_BUFFER: usize = 64 * 1024;
const UDP_BUFFER: usize = 64 * 1024;
const UDP_PACKETS: usize = 64;
/// Sockets listening per TCP service: that many connections at a time.
const BACKLOG: usize = 8;
/// Largest request head that the HTTP service reads.
const MAX_REQUEST: usize = 8 * 1024;
const NS_PER_US: u64 = 1_000;

/// The page that [`HTTP_PORT`] serves at `/`.
pub fn page(host: &str) -> String {
    let mut body = format!("<!doctype html>\n<title>{host}</title>\n<h1>{host}</h1>\n<p>Served through simulated hardware.</p>\n<ol>\n");
    for line in 1..=16 {
        body.push_str(&format!(
            "<li>line {line} of a page that spans more than one segment only if it must</li>\n"
        ));
    }
    body.push_str("</ol>\n");
    body
}

/// Frames on their way between the host's stack and its port.
#[derive(Default)]
struct Port {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);
struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.rx.pop_front()?;
        Some((Received(frame), Sending(&mut self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        caps
    }
}

/// One TCP connection's share of a service.
enum Service {
    Echo,
    Http {
        request: Vec<u8>,
        response: Option<Vec<u8>>,
    },
}

/// What a host is called and where it lives.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Name, for its web page.
    pub name: String,
    /// MAC address.
    pub mac: [u8; 6],
    /// IPv4 address.
    pub addr: Ipv4Addr,
    /// Prefix length of its subnet.
    pub prefix: u8,
    /// Default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Seed of its ports and sequence numbers.
    pub seed: u64,
}

/// A running host.
pub struct Host {
    name: String,
    interface: Interface,
    sockets: SocketSet<'static>,
    port: Port,
    udp_echo: SocketHandle,
    tcp: Vec<(SocketHandle, Service)>,
    polled_ns: u64,
}

impl Host {
    /// A host that is up from the start.
    pub fn new(config: &HostConfig) -> Self {
        let mut port = Port::default();
        let mut settings = Config::new(HardwareAddress::Ethernet(EthernetAddress(config.mac)));
        settings.random_seed = config.seed;
        let mut interface = Interface::new(settings, &mut port, Instant::ZERO);
        let cidr = IpCidr::Ipv4(Ipv4Cidr::new(config.addr, config.prefix));
        interface.update_ip_addrs(|addrs| {
            // One address fits: the list is new and holds at least two.
            let _ = addrs.push(cidr);
        });
        if let Some(gateway) = config.gateway {
            // The table is new and has room.
            let _ = interface.routes_mut().add_default_ipv4_route(gateway);
        }
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || {
            udp::PacketBuffer::new(
                vec![udp::PacketMetadata::EMPTY; UDP_PACKETS],
                vec![0; UDP_BUFFER],
            )
        };
        let mut echo = udp::Socket::new(buffer(), buffer());
        // Binding a new socket to a port other than 0 cannot fail.
        let _ = echo.bind(ECHO_PORT);
        let udp_echo = sockets.add(echo);
        let mut tcp = Vec::new();
        for _ in 0..BACKLOG {
            tcp.push((sockets.add(new_tcp()), Service::Echo));
            let http = Service::Http {
                request: Vec::new(),
                response: None,
            };
            tcp.push((sockets.add(new_tcp()), http));
        }
        Self {
            name: config.name.clone(),
            interface,
            sockets,
            port,
            udp_echo,
            tcp,
            polled_ns: 0,
        }
    }

    /// Hands the host a frame that arrived at its port.
    pub fn receive(&mut self, frame: Vec<u8>) {
        self.port.rx.push_back(frame);
    }

    /// Lets the host work at `now_ns`; gives the frames it sends.
    pub fn poll(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        self.polled_ns = now_ns;
        let now = instant(now_ns);
        loop {
            self.interface.poll(now, &mut self.port, &mut self.sockets);
            if !self.serve() && self.port.rx.is_empty() {
                break;
            }
        }
        self.port.tx.drain(..).collect()
    }

    /// When the host has something to do without a new frame.
    pub fn next_deadline(&mut self) -> Option<u64> {
        let at = self
            .interface
            .poll_at(instant(self.polled_ns), &self.sockets)?;
        let at_ns = u64::try_from(at.total_micros()).unwrap_or(0) * NS_PER_US;
        // smoltcp counts whole microseconds: never the same one again, or time would stand still.
        Some(at_ns.max(self.polled_ns + NS_PER_US))
    }

    /// Lets each service do what it can; whether anything moved.
    fn serve(&mut self) -> bool {
        let mut moved = false;
        let udp = self.sockets.get_mut::<udp::Socket<'_>>(self.udp_echo);
        while udp.can_recv() && udp.can_send() {
            let Ok((data, from)) = udp.recv() else { break };
            let data = data.to_vec();
            // An answer that does not fit is lost, as UDP may.
            let _ = udp.send_slice(&data, from);
            moved = true;
        }
        for (handle, service) in &mut self.tcp {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if !socket.is_open() {
                let port = match service {
                    Service::Echo => ECHO_PORT,
                    Service::Http { request, response } => {
                        request.clear();
                        *response = None;
                        HTTP_PORT
                    }
                };
                // A closed socket can always listen on a port other than 0.
                moved |= socket.listen(port).is_ok();
                continue;
            }
            moved |= match service {
                Service::Echo => echo(socket),
                Service::Http { request, response } => http(socket, request, response, &self.name),
            };
        }
        moved
    }
}

fn new_tcp() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    // An echo that waited for acknowledgements (Nagle) would add the peer's delayed ACK to every odd end.
    socket.set_nagle_enabled(false);
    socket
}

fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / NS_PER_US).unwrap_or(i64::MAX))
}

/// Sends back what came, as much as fits; closes after the peer has and all is sent back.
fn echo(socket: &mut tcp::Socket<'_>) -> bool {
    let room = socket.send_capacity() - socket.send_queue();
    let take = room.min(socket.recv_queue());
    if take > 0 && socket.can_send() {
        let mut data = vec![0; take];
        if let Ok(n) = socket.recv_slice(&mut data) {
            return socket.send_slice(&data[..n]).is_ok();
        }
    }
    let done = !socket.may_recv() && socket.recv_queue() == 0 && socket.may_send();
    if done && socket.state() == tcp::State::CloseWait {
        socket.close();
        return true;
    }
    false
}

/// Reads one request, answers it, closes.
fn http(
    socket: &mut tcp::Socket<'_>,
    request: &mut Vec<u8>,
    response: &mut Option<Vec<u8>>,
    name: &str,
) -> bool {
    let mut moved = false;
    if response.is_none() && socket.can_recv() {
        let room = MAX_REQUEST.saturating_sub(request.len());
        let mut data = vec![0; room.min(socket.recv_queue())];
        if let Ok(n) = socket.recv_slice(&mut data) {
            request.extend_from_slice(&data[..n]);
            moved |= n > 0;
        }
        let complete = request.windows(4).any(|w| w == b"\r\n\r\n");
        if complete || request.len() >= MAX_REQUEST {
            *response = Some(answer(request, name));
        }
    }
    if let Some(rest) = response {
        if !rest.is_empty() && socket.can_send() {
            if let Ok(n) = socket.send_slice(rest) {
                rest.drain(..n);
                moved |= n > 0;
            }
        }
        if rest.is_empty() && socket.may_send() {
            socket.close();
            moved = true;
        }
    } else if !socket.may_recv() && socket.may_send() {
        // The peer closed without asking for anything.
        socket.close();
        moved = true;
    }
    moved
}

/// The response to a request head (RFC 9112).
fn answer(request: &[u8], name: &str) -> Vec<u8> {
    let line = request.split(|&b| b == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (status, body) = match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some("/"), Some("HTTP/1.1" | "HTTP/1.0")) => ("200 OK", page(name)),
        (Some("GET"), Some(_), Some("HTTP/1.1" | "HTTP/1.0")) => {
            ("404 Not Found", "not found\n".to_owned())
        }
        (Some(_), Some(_), Some("HTTP/1.1" | "HTTP/1.0")) => {
            ("405 Method Not Allowed", "GET only\n".to_owned())
        }
        _ => ("400 Bad Request", "not HTTP/1.1\n".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

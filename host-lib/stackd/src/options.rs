//! getsockopt(2) and setsockopt(2) as the library's calls.
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use ferrule::{Algorithm, KeepAlive, PathMtuDiscovery, TcpSocket};

use crate::errno;
use crate::kernel::Reuse;
use crate::listener::Listening;
use crate::socket::{Kind, Socket};

/// The longest value of an option that is kept.
const MAX_VALUE: usize = 64;
/// Options kept of a socket at most.
const MAX_KEPT: usize = 64;

/// What was set, for what the library does not keep, and to set it again on another socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// In the order of the calls; the last of a kind alone.
    kept: Vec<(i32, i32, Vec<u8>)>,
    pub(crate) reuse: Reuse,
    keep_alive: bool,
    times: KeepAlive,
    /// SO_LINGER as it was set: on, seconds.
    linger: (i32, i32),
    pub(crate) v6_only: bool,
}

impl Settings {
    fn keep(&mut self, level: i32, name: i32, value: &[u8]) {
        self.kept.retain(|(l, n, _)| (*l, *n) != (level, name));
        if self.kept.len() < MAX_KEPT && value.len() <= MAX_VALUE {
            self.kept.push((level, name, value.to_vec()));
        }
    }

    /// The value of an option that nothing but the program looks at.
    fn kept(&self, level: i32, name: i32) -> Option<&[u8]> {
        let mut found = self
            .kept
            .iter()
            .filter(|(l, n, _)| (*l, *n) == (level, name));
        found.next().map(|(_, _, value)| value.as_slice())
    }

    /// The options that were set.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(i32, i32, Vec<u8>)> {
        self.kept.iter()
    }

    /// SO_LINGER, if it is on.
    pub(crate) fn linger(&self) -> Option<Duration> {
        let (on, seconds) = self.linger;
        (on != 0).then(|| Duration::from_secs(u64::from(seconds.unsigned_abs())))
    }

    /// Whether closing waits for the peer.
    pub(crate) fn lingers(&self) -> bool {
        self.linger().is_some_and(|time| !time.is_zero())
    }

    /// Whether closing cuts the connection off.
    pub(crate) fn cuts_off(&self) -> bool {
        self.linger().is_some_and(|time| time.is_zero())
    }
}

/// No errno: there is no connection any more whose option it could be.
const ENDED: i32 = -1;

/// Calls a method that several kinds of socket have on whichever this one is.
macro_rules! on {
    ($kind:expr, tcp, $socket:ident => $call:expr) => {
        match $kind {
            Kind::Fresh(fresh) => { let $socket = &fresh.socket; $call }
            Kind::Connecting { stream: $socket, .. } => $call,
            Kind::Stream { relay, .. } => { let $socket = relay.stream(); $call }
            Kind::Listening(listening) => { let $socket = Listening::listener(listening); $call }
            Kind::Datagrams(_) => Err(libc::EOPNOTSUPP),
            Kind::Ended { .. } => Err(ENDED),
        }
    };
    ($kind:expr, any, $socket:ident => $call:expr) => {
        match $kind {
            Kind::Datagrams(datagrams) => { let $socket = datagrams.socket(); $call }
            kind => on!(kind, tcp, $socket => $call),
        }
    };
    ($kind:expr, udp, $socket:ident => $call:expr) => {
        match $kind {
            Kind::Datagrams(datagrams) => { let $socket = datagrams.socket(); $call }
            _ => Err(libc::ENOPROTOOPT),
        }
    };
}

fn checked<T>(result: io::Result<T>) -> Result<T, i32> {
    result.map_err(|e| errno::of(&e))
}

/// An int; some options of IPPROTO_IP are also taken as a byte.
fn int(level: i32, value: &[u8]) -> Result<i32, i32> {
    match value {
        [a, b, c, d, ..] => Ok(i32::from_ne_bytes([*a, *b, *c, *d])),
        [byte, ..] if level == libc::IPPROTO_IP => Ok(i32::from(*byte)),
        _ => Err(libc::EINVAL),
    }
}

/// Seconds of keep-alive, as Linux limits them (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL).
fn keep_alive_time(value: i32) -> Result<Duration, i32> {
    let seconds = u64::try_from(value)
        .ok()
        .filter(|v| (1..=32_767).contains(v));
    seconds.map(Duration::from_secs).ok_or(libc::EINVAL)
}

/// An IPv4 address at an offset of a structure.
fn ip(value: &[u8], at: usize) -> Result<Ipv4Addr, i32> {
    let octets: [u8; 4] = (value.get(at..at + 4).ok_or(libc::EINVAL)?)
        .try_into()
        .map_err(|_| libc::EINVAL)?;
    Ok(octets.into())
}

/// setsockopt(2).
///
/// # Errors
/// The errno that Linux gives.
pub(crate) fn set(socket: &mut Socket, level: i32, name: i32, value: &[u8]) -> Result<(), i32> {
    let set = match level {
        libc::SOL_SOCKET => set_socket(socket, name, value),
        libc::IPPROTO_IP => set_ip(socket, name, value),
        libc::IPPROTO_IPV6 if socket.v6 => set_ipv6(socket, name, value),
        libc::IPPROTO_TCP if !matches!(socket.kind, Kind::Datagrams(_)) => {
            set_tcp(socket, name, value)
        }
        _ => Err(libc::ENOPROTOOPT),
    };
    match set {
        // As with Linux: it does not matter any more.
        Ok(()) | Err(ENDED) => socket.settings.keep(level, name, value),
        Err(errno) => return Err(errno),
    }
    Ok(())
}

fn set_socket(socket: &mut Socket, name: i32, value: &[u8]) -> Result<(), i32> {
    let kind = &socket.kind;
    let settings = &mut socket.settings;
    if name == libc::SO_LINGER {
        let (on, seconds) = value.split_at_checked(4).ok_or(libc::EINVAL)?;
        let (on, seconds) = (int(0, on)?, int(libc::SOL_SOCKET, seconds)?);
        settings.linger = (i32::from(on != 0), seconds);
        let cuts_off = settings.cuts_off();
        if let Kind::Stream { relay, .. } = &mut socket.kind {
            relay.set_abort(cuts_off);
        }
        return Ok(());
    }
    let number = int(libc::SOL_SOCKET, value)?;
    let on = number != 0;
    match name {
        libc::SO_REUSEADDR | libc::SO_REUSEPORT => {
            if name == libc::SO_REUSEADDR {
                settings.reuse.address = on;
            } else {
                settings.reuse.port = on;
            }
            let shared = |socket: &TcpSocket| match name {
                libc::SO_REUSEADDR => checked(socket.set_reuse_address(on)),
                _ => checked(socket.set_reuse_port(on)),
            };
            match kind {
                Kind::Fresh(fresh) => shared(&fresh.socket),
                Kind::Datagrams(d) if name == libc::SO_REUSEADDR => {
                    checked(d.socket().set_reuse_address(on))
                }
                Kind::Datagrams(d) => checked(d.socket().set_reuse_port(on)),
                // Too late for the port, as with the kernel, and no error.
                _ => Ok(()),
            }
        }
        libc::SO_KEEPALIVE => {
            settings.keep_alive = on;
            set_keep_alive(socket)
        }
        libc::SO_BROADCAST => match kind {
            Kind::Datagrams(datagrams) => checked(datagrams.socket().set_broadcast(on)),
            _ => Ok(()),
        },
        libc::SO_SNDBUF | libc::SO_SNDBUFFORCE => {
            let bytes = usize::try_from(number).unwrap_or(0);
            on!(kind, any, s => checked(s.set_send_buffer_size(bytes)))
        }
        libc::SO_RCVBUF | libc::SO_RCVBUFFORCE => {
            let bytes = usize::try_from(number).unwrap_or(0);
            on!(kind, any, s => checked(s.set_recv_buffer_size(bytes)))
        }
        // Nothing here depends on them.
        libc::SO_OOBINLINE
        | libc::SO_PRIORITY
        | libc::SO_RCVLOWAT
        | libc::SO_INCOMING_CPU
        | libc::SO_BUSY_POLL
        | libc::SO_DEBUG => Ok(()),
        libc::SO_TYPE
        | libc::SO_PROTOCOL
        | libc::SO_DOMAIN
        | libc::SO_ERROR
        | libc::SO_ACCEPTCONN => Err(libc::ENOPROTOOPT),
        _ => Err(libc::ENOPROTOOPT),
    }
}

fn set_keep_alive(socket: &Socket) -> Result<(), i32> {
    let Settings {
        keep_alive, times, ..
    } = &socket.settings;
    let times = keep_alive.then(|| *times);
    match &socket.kind {
        Kind::Datagrams(_) => Ok(()),
        kind => on!(kind, tcp, s => checked(s.set_keep_alive(times))),
    }
}

fn set_ip(socket: &mut Socket, name: i32, value: &[u8]) -> Result<(), i32> {
    let kind = &socket.kind;
    let stream = !matches!(kind, Kind::Datagrams(_));
    match name {
        // Of groups a stream knows nothing, in Linux' words.
        libc::IP_ADD_MEMBERSHIP
        | libc::IP_DROP_MEMBERSHIP
        | libc::IP_ADD_SOURCE_MEMBERSHIP
        | libc::IP_DROP_SOURCE_MEMBERSHIP
            if stream =>
        {
            return Err(libc::EPROTO);
        }
        libc::IP_MULTICAST_IF | libc::IP_MULTICAST_TTL if stream => return Err(libc::EINVAL),
        libc::IP_MULTICAST_LOOP | libc::IP_MULTICAST_ALL if stream => return Ok(()),
        libc::IP_ADD_MEMBERSHIP | libc::IP_DROP_MEMBERSHIP => {
            // ip_mreq, or ip_mreqn, which has an index behind it.
            let (group, interface) = (ip(value, 0)?, ip(value, 4)?);
            return on!(kind, udp, s => checked(match name {
                libc::IP_ADD_MEMBERSHIP => s.join_multicast_v4(&group, &interface),
                _ => s.leave_multicast_v4(&group, &interface),
            }));
        }
        libc::IP_ADD_SOURCE_MEMBERSHIP | libc::IP_DROP_SOURCE_MEMBERSHIP => {
            let (group, interface, source) = (ip(value, 0)?, ip(value, 4)?, ip(value, 8)?);
            return on!(kind, udp, s => checked(match name {
                libc::IP_ADD_SOURCE_MEMBERSHIP => {
                    s.join_multicast_source_v4(&group, &interface, &source)
                }
                _ => s.leave_multicast_source_v4(&group, &interface, &source),
            }));
        }
        libc::IP_MULTICAST_IF => {
            // in_addr; ip_mreq and ip_mreqn have the interface second.
            let interface = ip(value, if value.len() >= 8 { 4 } else { 0 })?;
            let interface = Some(interface).filter(|i| !i.is_unspecified());
            return on!(kind, udp, s => checked(s.set_multicast_if_v4(interface)));
        }
        _ => {}
    }
    let number = int(libc::IPPROTO_IP, value)?;
    let on = number != 0;
    if let libc::IP_PKTINFO | libc::IP_RECVTTL | libc::IP_RECVTOS = name {
        // Of a stream there is nothing to tell, and no error.
        if let Kind::Datagrams(datagrams) = &mut socket.kind {
            let tell = &mut datagrams.tell;
            match name {
                libc::IP_PKTINFO => tell.to = on,
                libc::IP_RECVTTL => tell.ttl = on,
                _ => tell.tos = on,
            }
        }
        return Ok(());
    }
    match name {
        libc::IP_TTL => {
            let ttl = match number {
                -1 => 64,
                ttl => u32::try_from(ttl).map_err(|_| libc::EINVAL)?,
            };
            if !(1..=255).contains(&ttl) {
                return Err(libc::EINVAL);
            }
            on!(kind, any, s => checked(s.set_ttl(ttl)))
        }
        libc::IP_TOS => on!(kind, any, s => checked(s.set_tos(number as u8))),
        libc::IP_MULTICAST_TTL => {
            let ttl = match number {
                -1 => 1,
                ttl => u32::try_from(ttl).map_err(|_| libc::EINVAL)?,
            };
            on!(kind, udp, s => checked(s.set_multicast_ttl_v4(ttl)))
        }
        libc::IP_MULTICAST_LOOP => on!(kind, udp, s => checked(s.set_multicast_loop_v4(on))),
        libc::IP_MULTICAST_ALL => on!(kind, udp, s => checked(s.set_multicast_all_v4(on))),
        libc::IP_MTU_DISCOVER => {
            let discovery = discovery(number).ok_or(libc::EINVAL)?;
            match kind {
                Kind::Datagrams(datagrams) => {
                    checked(datagrams.socket().set_mtu_discovery(discovery))
                }
                // TCP does its own.
                _ => Ok(()),
            }
        }
        // A TCP socket binds without a port only when it connects, as this stack does anyway.
        libc::IP_BIND_ADDRESS_NO_PORT => Ok(()),
        _ => Err(libc::ENOPROTOOPT),
    }
}

fn discovery(number: i32) -> Option<PathMtuDiscovery> {
    Some(match number {
        libc::IP_PMTUDISC_DONT => PathMtuDiscovery::Dont,
        libc::IP_PMTUDISC_WANT => PathMtuDiscovery::Want,
        libc::IP_PMTUDISC_DO => PathMtuDiscovery::Do,
        libc::IP_PMTUDISC_PROBE => PathMtuDiscovery::Probe,
        libc::IP_PMTUDISC_INTERFACE => PathMtuDiscovery::Interface,
        libc::IP_PMTUDISC_OMIT => PathMtuDiscovery::Omit,
        _ => return None,
    })
}

fn set_ipv6(socket: &mut Socket, name: i32, value: &[u8]) -> Result<(), i32> {
    let number = int(libc::IPPROTO_IPV6, value)?;
    match name {
        libc::IPV6_V6ONLY => {
            socket.settings.v6_only = number != 0;
            Ok(())
        }
        libc::IPV6_UNICAST_HOPS => set_ip(socket, libc::IP_TTL, value),
        libc::IPV6_TCLASS => set_ip(socket, libc::IP_TOS, value),
        libc::IPV6_RECVPKTINFO => set_ip(socket, libc::IP_PKTINFO, value),
        libc::IPV6_MTU_DISCOVER | libc::IPV6_RECVTCLASS | libc::IPV6_RECVERR => Ok(()),
        _ => Err(libc::ENOPROTOOPT),
    }
}

fn set_tcp(socket: &mut Socket, name: i32, value: &[u8]) -> Result<(), i32> {
    let kind = &socket.kind;
    if name == libc::TCP_CONGESTION {
        let name = String::from_utf8_lossy(value);
        let algorithm = match name.trim_end_matches('\0') {
            "cubic" => Algorithm::Cubic,
            "reno" => Algorithm::NewReno,
            _ => return Err(libc::ENOENT),
        };
        return on!(kind, tcp, s => checked(s.set_congestion(algorithm)));
    }
    let number = int(libc::IPPROTO_TCP, value)?;
    let on = number != 0;
    match name {
        libc::TCP_NODELAY => on!(kind, tcp, s => checked(s.set_nodelay(on))),
        libc::TCP_CORK => on!(kind, tcp, s => checked(s.set_cork(on))),
        libc::TCP_QUICKACK => on!(kind, tcp, s => checked(s.set_quick_ack(on))),
        libc::TCP_KEEPIDLE => {
            socket.settings.times.idle = keep_alive_time(number)?;
            set_keep_alive(socket)
        }
        libc::TCP_KEEPINTVL => {
            socket.settings.times.interval = keep_alive_time(number)?;
            set_keep_alive(socket)
        }
        libc::TCP_KEEPCNT => {
            // MAX_TCP_KEEPCNT.
            let probes = u8::try_from(number).ok().filter(|n| (1..=127).contains(n));
            let probes = probes.ok_or(libc::EINVAL)?;
            socket.settings.times.probes = probes;
            set_keep_alive(socket)
        }
        libc::TCP_USER_TIMEOUT => {
            let timeout = match u64::try_from(number).map_err(|_| libc::EINVAL)? {
                0 => None,
                ms => Some(Duration::from_millis(ms)),
            };
            on!(kind, tcp, s => checked(s.set_user_timeout(timeout)))
        }
        libc::TCP_SYNCNT => {
            let most = u8::try_from(number).ok().filter(|n| (1..=127).contains(n));
            let most = most.ok_or(libc::EINVAL)?;
            on!(kind, tcp, s => checked(s.set_syn_retransmits(Some(most))))
        }
        // TCP_MIN_MSS and MAX_TCP_WINDOW; a right one cannot be had.
        libc::TCP_MAXSEG if number != 0 && !(88..=32_767).contains(&number) => Err(libc::EINVAL),
        // Hints that change when a call returns or a segment is cut, not what arrives.
        libc::TCP_DEFER_ACCEPT
        | libc::TCP_LINGER2
        | libc::TCP_WINDOW_CLAMP
        | libc::TCP_NOTSENT_LOWAT
        | libc::TCP_THIN_LINEAR_TIMEOUTS => Ok(()),
        _ => Err(libc::ENOPROTOOPT),
    }
}

/// getsockopt(2): the value's bytes.
///
/// # Errors
/// The errno that Linux gives.
pub(crate) fn get(socket: &Socket, level: i32, name: i32) -> Result<Vec<u8>, i32> {
    let found = find(socket, level, name);
    found.map_err(|errno| if errno == ENDED { libc::EINVAL } else { errno })
}

fn find(socket: &Socket, level: i32, name: i32) -> Result<Vec<u8>, i32> {
    let udp = matches!(socket.kind, Kind::Datagrams(_));
    let known = match level {
        libc::SOL_SOCKET | libc::IPPROTO_IP => true,
        libc::IPPROTO_IPV6 => socket.v6,
        libc::IPPROTO_TCP => !udp,
        libc::IPPROTO_UDP => udp,
        _ => false,
    };
    if !known {
        return Err(match socket.v6 {
            true => libc::ENOPROTOOPT,
            false => libc::EOPNOTSUPP,
        });
    }
    if level == libc::IPPROTO_TCP {
        match name {
            libc::TCP_INFO => {
                return match &socket.kind {
                    Kind::Connecting { stream, .. } => info(stream),
                    Kind::Stream { relay, .. } => info(relay.stream()),
                    // What Linux says of a socket without a connection: a state and zeros.
                    kind => {
                        let mut out = vec![0; ferrule::TcpInfo::LINUX_LEN];
                        out[0] = match kind {
                            Kind::Listening(_) => 10,
                            _ => 7,
                        };
                        Ok(out)
                    }
                };
            }
            libc::TCP_CONGESTION => {
                let algorithm = on!(&socket.kind, tcp, s => checked(s.congestion()))?;
                let name: &[u8] = match algorithm {
                    Algorithm::NewReno => b"reno\0",
                    _ => b"cubic\0",
                };
                let mut out = vec![0; 16];
                out[..name.len()].copy_from_slice(name);
                return Ok(out);
            }
            _ => {}
        }
    }
    if (level, name) == (libc::SOL_SOCKET, libc::SO_LINGER) {
        let (on, seconds) = socket.settings.linger;
        return Ok([on.to_ne_bytes(), seconds.to_ne_bytes()].concat());
    }
    number(socket, level, name).map(|n| n.to_ne_bytes().to_vec())
}

fn info(stream: &ferrule::TcpStream) -> Result<Vec<u8>, i32> {
    Ok(checked(stream.info())?.to_linux().to_vec())
}

/// Options whose value is a number.
fn number(socket: &Socket, level: i32, name: i32) -> Result<i32, i32> {
    let kind = &socket.kind;
    let settings = &socket.settings;
    let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
    let doubled = |bytes: usize| i32::try_from(bytes.saturating_mul(2)).unwrap_or(i32::MAX);
    let udp = matches!(kind, Kind::Datagrams(_));
    let found = match (level, name) {
        (libc::SOL_SOCKET, libc::SO_TYPE) if udp => libc::SOCK_DGRAM,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) if socket.v6 => libc::AF_INET6,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => libc::AF_INET,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if udp => libc::IPPROTO_UDP,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => i32::from(matches!(kind, Kind::Listening(_))),
        (libc::SOL_SOCKET, libc::SO_REUSEADDR) => i32::from(settings.reuse.address),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT) => i32::from(settings.reuse.port),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => i32::from(settings.keep_alive),
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => {
            doubled(on!(kind, any, s => checked(s.send_buffer_size()))?)
        }
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => {
            doubled(on!(kind, any, s => checked(s.recv_buffer_size()))?)
        }
        (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => 1,
        (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS) => {
            on!(kind, any, s => checked(s.ttl()))? as i32
        }
        (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
            i32::from(on!(kind, any, s => checked(s.tos()))?)
        }
        (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL) => {
            on!(kind, udp, s => checked(s.multicast_ttl_v4()))? as i32
        }
        (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP) => {
            i32::from(on!(kind, udp, s => checked(s.multicast_loop_v4()))?)
        }
        (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) if socket.v6 => i32::from(settings.v6_only),
        (libc::IPPROTO_TCP, libc::TCP_NODELAY) => {
            i32::from(on!(kind, tcp, s => checked(s.nodelay()))?)
        }
        (libc::IPPROTO_TCP, libc::TCP_CORK) => i32::from(on!(kind, tcp, s => checked(s.cork()))?),
        (libc::IPPROTO_TCP, libc::TCP_QUICKACK) => {
            i32::from(on!(kind, tcp, s => checked(s.quick_ack()))?)
        }
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE) => seconds(settings.times.idle),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL) => seconds(settings.times.interval),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT) => i32::from(settings.times.probes),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
            let timeout = on!(kind, tcp, s => checked(s.user_timeout()))?.unwrap_or_default();
            i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
        }
        (libc::IPPROTO_TCP, libc::TCP_SYNCNT) => {
            i32::from(on!(kind, tcp, s => checked(s.syn_retransmits()))?.unwrap_or(6))
        }
        (libc::IPPROTO_TCP, libc::TCP_MAXSEG) => match kind {
            Kind::Stream { relay, .. } => checked(relay.stream().info())?.send_mss as i32,
            _ => 536,
        },
        // What was set and is kept for the program alone; zero before.
        (
            libc::SOL_SOCKET,
            libc::SO_OOBINLINE | libc::SO_PRIORITY | libc::SO_BROADCAST | libc::SO_DEBUG,
        )
        | (libc::IPPROTO_IP, libc::IP_PKTINFO | libc::IP_RECVTTL | libc::IP_RECVTOS)
        | (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
        | (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT | libc::TCP_WINDOW_CLAMP) => settings
            .kept(level, name)
            .map_or(Ok(0), |v| int(level, v))?,
        _ => return Err(libc::ENOPROTOOPT),
    };
    Ok(found)
}

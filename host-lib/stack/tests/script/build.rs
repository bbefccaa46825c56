//! From a packet as a script writes it to the bytes that arrive.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::flow::{Flow, Stamps};
use crate::packet::{
    flag, pattern_run, Content, Damage, Icmp, IpPart, Kind, Number, Opt, Packet, Quoted, Tcp,
};

/// What making a packet needs to know beyond what its line says.
pub(crate) struct Context<'a> {
    pub(crate) local: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
    pub(crate) flow: &'a mut Flow,
    pub(crate) stamps: &'a Stamps,
    /// The packet we sent last.
    pub(crate) last_out: &'a [u8],
}

/// The Internet checksum (RFC 1071): the complement of the one's complement sum of 16-bit words.
pub(crate) fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let joined: Vec<u8> = parts.concat();
    let mut sum: u32 = 0;
    for word in joined.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// RFC 9293 section 3.1: source, destination, zero, protocol, length.
pub(crate) fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: usize) -> Vec<u8> {
    let mut out = [src.octets(), dst.octets()].concat();
    out.extend([0, protocol]);
    out.extend((len as u16).to_be_bytes());
    out
}

/// Makes the packet.
pub(crate) fn build(packet: &Packet, cx: &mut Context<'_>) -> Result<Vec<u8>, String> {
    let len = packet
        .len
        .ok_or("a packet to be made needs an exact length")?;
    let (protocol, header, sum_at, position) = match &packet.kind {
        Kind::Tcp(tcp) => {
            let header = tcp_header(tcp, !packet.damage.is_empty(), cx)?;
            let position = match tcp.seq {
                // The first byte of the stream follows the SYN, which has number 0.
                Number::Relative(n) if tcp.flags[0] & flag::SYN == 0 => n.wrapping_sub(1),
                _ => 0,
            };
            (6, header, Some(16), position as usize)
        }
        Kind::Udp => {
            let mut header = Vec::new();
            header.extend(cx.peer.port().to_be_bytes());
            header.extend(cx.local.port().to_be_bytes());
            header.extend((8 + len as u16).to_be_bytes());
            header.extend([0, 0]);
            (17, header, Some(6), 0)
        }
        Kind::Icmp(icmp) => (1, icmp_header(icmp, cx)?, Some(2), 0),
        Kind::Other(protocol) => (*protocol, Vec::new(), None, 0),
        Kind::Fragment(_) => return Err("write the whole packet with `frag` instead".into()),
    };
    let mut message = header;
    match &packet.content {
        Content::Pattern => message.extend(pattern_run(position, len)),
        Content::Fill(byte) => message.extend(vec![*byte; len]),
        Content::Text(text) => message.extend(text),
    }
    let head_len = 20 + packet.ip.options.len().next_multiple_of(4);
    for damage in &packet.damage {
        if let Damage::Byte(at, value) = damage {
            if let Some(byte) = at.checked_sub(head_len).and_then(|at| message.get_mut(at)) {
                *byte = *value;
            }
        }
    }
    if let Some(at) = sum_at {
        put_checksum(packet, protocol, at, &mut message, cx);
    }
    let mut offset = 0;
    if let Some(f) = packet.fragment {
        offset = f.from;
        message = message
            .get(f.from..f.to.min(message.len()))
            .ok_or("the fragment lies outside the packet")?
            .to_vec();
    }
    let mut whole = ip_header(packet, cx, protocol, offset, message.len());
    whole.extend(message);
    for damage in &packet.damage {
        match damage {
            Damage::Cut(n) => whole.truncate(*n),
            Damage::Pad(n) => whole.extend(vec![0; *n]),
            _ => {}
        }
    }
    Ok(whole)
}

fn put_checksum(packet: &Packet, protocol: u8, at: usize, message: &mut [u8], cx: &Context<'_>) {
    let pseudo = match protocol {
        1 => Vec::new(),
        _ => pseudo_header(*cx.peer.ip(), *cx.local.ip(), protocol, message.len()),
    };
    let mut sum = internet_checksum(&[&pseudo, message]);
    if protocol == 17 && sum == 0 {
        // RFC 768: a computed 0 is sent as all ones.
        sum = 0xffff;
    }
    for damage in &packet.damage {
        match damage {
            Damage::Checksum => sum ^= 0x0100,
            Damage::NoChecksum => sum = 0,
            _ => {}
        }
    }
    message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn ip_header(
    packet: &Packet,
    cx: &Context<'_>,
    protocol: u8,
    offset: usize,
    len: usize,
) -> Vec<u8> {
    let IpPart {
        ttl,
        dscp,
        ecn,
        dont_fragment,
        ident,
        options,
    } = &packet.ip;
    let mut options = options.clone();
    options.resize(options.len().next_multiple_of(4), 0);
    let head_len = 20 + options.len();
    let fragment = packet.fragment;
    let more = fragment.is_some_and(|f| f.more);
    let ident = fragment.map(|f| f.ident).or(*ident).unwrap_or(1);
    let flags = u16::from(dont_fragment.unwrap_or(false)) << 14 | u16::from(more) << 13;
    let mut h = vec![
        0x40 | (head_len / 4) as u8,
        dscp.unwrap_or(0) << 2 | ecn,
        0,
        0,
    ];
    h[2..4].copy_from_slice(&((head_len + len) as u16).to_be_bytes());
    h.extend(ident.to_be_bytes());
    h.extend((flags | (offset / 8) as u16).to_be_bytes());
    h.extend([ttl.unwrap_or(64), protocol, 0, 0]);
    h.extend(cx.peer.ip().octets());
    h.extend(cx.local.ip().octets());
    h.extend(options);
    for damage in &packet.damage {
        if let Damage::Byte(at, value) = damage {
            if let Some(byte) = h.get_mut(*at) {
                *byte = *value;
            }
        }
    }
    let mut sum = internet_checksum(&[&h]);
    if packet
        .damage
        .iter()
        .any(|d| matches!(d, Damage::IpChecksum))
    {
        sum ^= 0x0100;
    }
    h[10..12].copy_from_slice(&sum.to_be_bytes());
    h
}

fn tcp_header(tcp: &Tcp, packet_is_damaged: bool, cx: &mut Context<'_>) -> Result<Vec<u8>, String> {
    let [flags] = tcp.flags[..] else {
        return Err("a packet to be made has one set of flags".into());
    };
    if let Some(isn) = tcp.isn {
        cx.flow.isn = isn;
    }
    if let Some(window) = tcp.window {
        cx.flow.window = u16::try_from(window.exact()?).map_err(|_| "the window has 16 bits")?;
    }
    let options = tcp_options(tcp, cx)?;
    let ack = match flags & flag::ACK {
        0 => 0,
        _ => cx.flow.ours(tcp.ack)?,
    };
    if !packet_is_damaged {
        let scale = tcp.options.list.iter().find_map(|option| match option {
            Opt::WindowScale(value) => value.exact().ok().map(|s| s as u8),
            _ => None,
        });
        let window = cx.flow.window;
        cx.flow.always.arrives(flags, ack, window, scale);
    }
    let mut h = Vec::with_capacity(60);
    h.extend(cx.peer.port().to_be_bytes());
    h.extend(cx.local.port().to_be_bytes());
    h.extend(cx.flow.theirs(tcp.seq)?.to_be_bytes());
    h.extend(ack.to_be_bytes());
    h.extend([(((20 + options.len()) / 4) << 4) as u8, flags]);
    h.extend(cx.flow.window.to_be_bytes());
    h.extend([0, 0]);
    h.extend(tcp.urgent.to_be_bytes());
    h.extend(options);
    Ok(h)
}

fn tcp_options(tcp: &Tcp, cx: &Context<'_>) -> Result<Vec<u8>, String> {
    if tcp.options.open {
        return Err("a packet to be made needs all its options".into());
    }
    let mut out = Vec::new();
    for option in &tcp.options.list {
        match option {
            Opt::End => out.push(0),
            Opt::Nop => out.push(1),
            Opt::Mss(value) => {
                out.extend([2, 4]);
                out.extend((value.exact()? as u16).to_be_bytes());
            }
            Opt::WindowScale(value) => out.extend([3, 3, value.exact()? as u8]),
            Opt::SackPermitted => out.extend([4, 2]),
            Opt::Sack(blocks) => {
                let blocks = blocks.as_ref().ok_or("which blocks?")?;
                out.extend([5, (2 + 8 * blocks.len()) as u8]);
                for (from, to) in blocks {
                    out.extend(cx.flow.ours(Number::Relative(*from))?.to_be_bytes());
                    out.extend(cx.flow.ours(Number::Relative(*to))?.to_be_bytes());
                }
            }
            Opt::Timestamps { value, echo } => {
                out.extend([8, 10]);
                out.extend(cx.stamps.to_send(value, cx.flow)?.to_be_bytes());
                out.extend(cx.stamps.to_send(echo, cx.flow)?.to_be_bytes());
            }
            Opt::Raw(bytes) => out.extend(bytes),
        }
    }
    out.resize(out.len().next_multiple_of(4), 0);
    if out.len() > 40 {
        return Err("options have at most 40 bytes".into());
    }
    Ok(out)
}

fn icmp_header(icmp: &Icmp, cx: &Context<'_>) -> Result<Vec<u8>, String> {
    let mut out = vec![icmp.kind, icmp.code, 0, 0];
    // Without an identifier a reply has that of the request sent last.
    let asked = match (icmp.kind, cx.last_out.get(24..26)) {
        (0, Some(ident)) => u16::from_be_bytes([ident[0], ident[1]]),
        _ => 0,
    };
    out.extend(icmp.rest[0].unwrap_or(asked).to_be_bytes());
    out.extend(icmp.rest[1].unwrap_or(0).to_be_bytes());
    let Some(quote) = &icmp.quote else {
        return Ok(out);
    };
    let (protocol, l4) = match &quote.of {
        Quoted::Last => {
            let end = quote.len.min(cx.last_out.len());
            out.extend(&cx.last_out[..end]);
            return Ok(out);
        }
        Quoted::Tcp(seq) => (6, ports_and(cx, cx.flow.ours(*seq)?)),
        // Length 108, no checksum.
        Quoted::Udp => (17, ports_and(cx, 108 << 16)),
        Quoted::Echo(ident) => {
            let mut l4 = vec![8, 0, 0, 0];
            l4.extend(ident.to_be_bytes());
            l4.extend([0, 1]);
            (1, l4)
        }
    };
    let mut quoted = vec![0x45, 0, 0, 128, 0, 7, 0x40, 0, 63, protocol, 0, 0];
    quoted.extend(cx.local.ip().octets());
    quoted.extend(cx.peer.ip().octets());
    let sum = internet_checksum(&[&quoted]);
    quoted[10..12].copy_from_slice(&sum.to_be_bytes());
    quoted.extend(l4);
    quoted.truncate(quote.len);
    out.extend(quoted);
    Ok(out)
}

/// The first eight bytes of a TCP or UDP header of ours.
fn ports_and(cx: &Context<'_>, word: u32) -> Vec<u8> {
    let mut l4 = cx.local.port().to_be_bytes().to_vec();
    l4.extend(cx.peer.port().to_be_bytes());
    l4.extend(word.to_be_bytes());
    l4
}

#[test]
fn the_checksum_is_rfc_1071_section_3s() {
    let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(internet_checksum(&[&example]), !0xddf2);
}

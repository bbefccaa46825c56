//! A packet that the stack sent, taken apart and its checksums verified.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::build::{internet_checksum, pseudo_header};
use crate::flow::Flow;
use crate::packet::LETTERS;

/// A packet that the stack sent.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) ident: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    pub(crate) offset: usize,
    pub(crate) protocol: u8,
    pub(crate) body: Body,
}

/// What it carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp(SeenTcp),
    Udp {
        src_port: u16,
        dst_port: u16,
        data: Vec<u8>,
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: [u16; 2],
        data: Vec<u8>,
    },
    Fragment(Vec<u8>),
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub(crate) struct SeenTcp {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) options: Vec<SeenOption>,
    pub(crate) data: Vec<u8>,
}

/// A TCP option: its kind and what follows its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenOption {
    pub(crate) kind: u8,
    pub(crate) value: Vec<u8>,
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
}

fn sure(ok: bool, what: &str) -> Result<(), String> {
    match ok {
        true => Ok(()),
        false => Err(format!("a malformed packet was sent: {what}")),
    }
}

/// Takes a packet apart.
pub(crate) fn parse(bytes: Vec<u8>) -> Result<Seen, String> {
    sure(bytes.len() >= 20 && bytes[0] == 0x45, "IPv4 header")?;
    sure(usize::from(be16(&bytes, 2)) == bytes.len(), "IPv4 length")?;
    sure(internet_checksum(&[&bytes[..20]]) == 0, "IPv4 checksum")?;
    let address = |at: usize| Ipv4Addr::from(be32(&bytes, at));
    let fragment = be16(&bytes, 6);
    sure(fragment & 0x8000 == 0, "reserved flag")?;
    let (src, dst, protocol) = (address(12), address(16), bytes[9]);
    let (more, offset) = (fragment & 0x2000 != 0, usize::from(fragment & 0x1fff) * 8);
    let body = match more || offset > 0 {
        true => Body::Fragment(bytes[20..].to_vec()),
        false => transport(src, dst, protocol, &bytes[20..])?,
    };
    Ok(Seen {
        src,
        dst,
        ttl: bytes[8],
        tos: bytes[1],
        ident: be16(&bytes, 4),
        dont_fragment: fragment & 0x4000 != 0,
        more_fragments: more,
        offset,
        protocol,
        body,
        bytes,
    })
}

/// Takes a whole transport message apart.
pub(crate) fn transport(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    l4: &[u8],
) -> Result<Body, String> {
    let pseudo = pseudo_header(src, dst, protocol, l4.len());
    match protocol {
        6 => {
            sure(l4.len() >= 20, "TCP header")?;
            sure(internet_checksum(&[&pseudo, l4]) == 0, "TCP checksum")?;
            tcp(l4).map(Body::Tcp)
        }
        17 => {
            sure(l4.len() >= 8, "UDP header")?;
            sure(usize::from(be16(l4, 4)) == l4.len(), "UDP length")?;
            // RFC 1122 section 4.1.3.4: generated unless the program asks otherwise.
            sure(be16(l4, 6) != 0, "no UDP checksum")?;
            sure(internet_checksum(&[&pseudo, l4]) == 0, "UDP checksum")?;
            Ok(Body::Udp {
                src_port: be16(l4, 0),
                dst_port: be16(l4, 2),
                data: l4[8..].to_vec(),
            })
        }
        1 => {
            sure(l4.len() >= 8, "ICMP header")?;
            sure(internet_checksum(&[l4]) == 0, "ICMP checksum")?;
            Ok(Body::Icmp {
                kind: l4[0],
                code: l4[1],
                rest: [be16(l4, 4), be16(l4, 6)],
                data: l4[8..].to_vec(),
            })
        }
        _ => Err(format!("a packet of protocol {protocol} was sent")),
    }
}

fn tcp(l4: &[u8]) -> Result<SeenTcp, String> {
    let header_len = usize::from(l4[12] >> 4) * 4;
    sure((20..=l4.len()).contains(&header_len), "TCP data offset")?;
    sure(l4[12] & 0x0f == 0, "TCP reserved bits")?;
    let mut options = Vec::new();
    let mut rest = &l4[20..header_len];
    while let [kind, tail @ ..] = rest {
        if *kind < 2 {
            options.push(SeenOption {
                kind: *kind,
                value: Vec::new(),
            });
            rest = tail;
            if *kind == 0 {
                // RFC 9293 MUST-69: padding is zeros.
                sure(tail.iter().all(|b| *b == 0), "TCP option padding")?;
                break;
            }
            continue;
        }
        let len = usize::from(tail.first().copied().unwrap_or(0));
        sure((2..=rest.len()).contains(&len), "TCP option length")?;
        options.push(SeenOption {
            kind: *kind,
            value: rest[2..len].to_vec(),
        });
        rest = &rest[len..];
    }
    Ok(SeenTcp {
        src_port: be16(l4, 0),
        dst_port: be16(l4, 2),
        seq: be32(l4, 4),
        ack: be32(l4, 8),
        flags: l4[13],
        window: be16(l4, 14),
        urgent: be16(l4, 18),
        options,
        data: l4[header_len..].to_vec(),
    })
}

impl Seen {
    /// Our end and the peer's; ports are 0 where there are none.
    pub(crate) fn ends(&self) -> (SocketAddrV4, SocketAddrV4) {
        let (from, to) = match &self.body {
            Body::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
            Body::Udp {
                src_port, dst_port, ..
            } => (*src_port, *dst_port),
            _ => (0, 0),
        };
        (
            SocketAddrV4::new(self.src, from),
            SocketAddrV4::new(self.dst, to),
        )
    }

    /// As a script would write it.
    pub(crate) fn describe(&self, flow: &Flow) -> String {
        let (local, peer) = self.ends();
        let ends = format!("[{local} -> {peer}]");
        match &self.body {
            Body::Tcp(tcp) => format!("> {} {ends}", tcp.describe(flow)),
            Body::Udp { data, .. } => format!("> udp ({}) {ends}", data.len()),
            Body::Icmp {
                kind,
                code,
                rest: [a, b],
                data,
            } => format!(
                "> icmp {kind} {code} id {a} seq {b} ({}) {ends}",
                data.len()
            ),
            Body::Fragment(data) => format!(
                "> fragment of protocol {} frag {} {}..{}{} {ends}",
                self.protocol,
                self.ident,
                self.offset,
                self.offset + data.len(),
                if self.more_fragments { " more" } else { "" },
            ),
        }
    }
}

impl SeenTcp {
    /// As a script would write it.
    pub(crate) fn describe(&self, flow: &Flow) -> String {
        let flags: String = LETTERS
            .iter()
            .filter(|(_, bit)| self.flags & bit != 0)
            .map(|(letter, _)| *letter)
            .collect();
        let seq = self.seq.wrapping_sub(flow.iss.unwrap_or(0));
        let ack = self.ack.wrapping_sub(flow.isn);
        let len = self.data.len();
        let end = seq.wrapping_add(len as u32);
        let options: Vec<String> = self.options.iter().map(|o| o.describe(flow)).collect();
        format!(
            "{flags} {seq}:{end}({len}) ack {ack} win {} <{}>",
            self.window,
            options.join(",")
        )
    }
}

impl SeenOption {
    fn describe(&self, flow: &Flow) -> String {
        let v = &self.value;
        match (self.kind, v.len()) {
            (0, _) => "eol".into(),
            (1, _) => "nop".into(),
            (2, 2) => format!("mss {}", be16(v, 0)),
            (3, 1) => format!("wscale {}", v[0]),
            (4, 0) => "sackOK".into(),
            (5, _) => {
                let edges: Vec<String> = v
                    .chunks_exact(8)
                    .map(|b| {
                        let edge = |at| be32(b, at).wrapping_sub(flow.isn);
                        format!(" {}:{}", edge(0), edge(4))
                    })
                    .collect();
                format!("sack{}", edges.concat())
            }
            (8, 8) => format!("TS val {} ecr {}", be32(v, 0), be32(v, 4)),
            (kind, _) => format!("kind {kind} {v:02x?}"),
        }
    }
}

//! Compares a packet that the stack sent with what a script expects.

use std::net::SocketAddrV4;

use crate::flow::{Flow, Stamps};
use crate::packet::{
    flag, pattern_run, Content, Kind, Number, Opt, Options, Packet, Renumber, Tcp,
};
use crate::seen::{be16, be32, Body, Seen, SeenOption, SeenTcp};

/// What comparing needs to know beyond the two packets.
pub(crate) struct Context<'a> {
    pub(crate) local: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
    pub(crate) flow: &'a mut Flow,
    pub(crate) stamps: &'a mut Stamps,
    /// The packet that arrived last.
    pub(crate) last_in: &'a [u8],
}

fn same<T: PartialEq + core::fmt::Display>(what: &str, want: T, came: T) -> Result<(), String> {
    match want == came {
        true => Ok(()),
        false => Err(format!("{what} {want} expected, {came} came")),
    }
}

/// Says what is different.
pub(crate) fn compare(want: &Packet, came: &Seen, cx: &mut Context<'_>) -> Result<(), String> {
    ip(want, came)?;
    let (local, peer) = came.ends();
    same("source", *cx.local.ip(), came.src)?;
    same("destination", *cx.peer.ip(), came.dst)?;
    if local.port() != 0 || peer.port() != 0 {
        same("source port", cx.local.port(), local.port())?;
        same("destination port", cx.peer.port(), peer.port())?;
    }
    match (&want.kind, &came.body) {
        (Kind::Tcp(tcp), Body::Tcp(seen)) => {
            compare_tcp(tcp, seen, cx)?;
            let position = seen.seq.wrapping_sub(cx.flow.iss.unwrap_or(0));
            payload(want, &seen.data, position.wrapping_sub(1) as usize)
        }
        (Kind::Udp, Body::Udp { data, .. }) => payload(want, data, 0),
        (
            Kind::Icmp(icmp),
            Body::Icmp {
                kind,
                code,
                rest,
                data,
            },
        ) => {
            same("ICMP type", icmp.kind, *kind)?;
            same("ICMP code", icmp.code, *code)?;
            for (want, came) in icmp.rest.iter().zip(rest) {
                same("ICMP word", want.unwrap_or(*came), *came)?;
            }
            match icmp.kind {
                3 | 11 | 12 => quotes(data, cx.last_in),
                _ => payload(want, data, 0),
            }
        }
        (Kind::Fragment(protocol), Body::Fragment(data)) => {
            same("protocol", *protocol, came.protocol)?;
            let f = want
                .fragment
                .ok_or("expected: fragment PROTOCOL frag * FROM..TO")?;
            same("fragment start", f.from, came.offset)?;
            same("fragment end", f.to, came.offset + data.len())?;
            same("more fragments", f.more, came.more_fragments)
        }
        _ => Err("another kind of packet expected".into()),
    }
}

fn ip(want: &Packet, came: &Seen) -> Result<(), String> {
    same("ECN bits", want.ip.ecn, came.tos & 3)?;
    if let Some(dscp) = want.ip.dscp {
        same("DSCP", dscp, came.tos >> 2)?;
    }
    if let Some(ttl) = want.ip.ttl {
        same("time to live", ttl, came.ttl)?;
    }
    if let Some(df) = want.ip.dont_fragment {
        same("don't fragment", df, came.dont_fragment)?;
    }
    Ok(())
}

fn payload(want: &Packet, came: &[u8], position: usize) -> Result<(), String> {
    if let Some(len) = want.len {
        same("payload length", len, came.len())?;
    }
    let right = match &want.content {
        Content::Pattern => came == pattern_run(position, came.len()),
        Content::Fill(byte) => came.iter().all(|b| b == byte),
        Content::Text(text) => came == text,
    };
    right
        .then_some(())
        .ok_or_else(|| "other bytes expected".into())
}

/// RFC 1122 section 3.2.2: an error holds the IP header and at least 8 octets of what caused it, unchanged.
fn quotes(data: &[u8], cause: &[u8]) -> Result<(), String> {
    if cause.len() > 20 && be16(cause, 6) & 0x3fff != 0 {
        // Of a datagram made whole: its addresses must be right.
        let addresses = data.get(12..20) == Some(&cause[12..20]);
        return addresses
            .then_some(())
            .ok_or_else(|| "the quotation is of another packet".into());
    }
    let header_len = usize::from(cause.first().copied().unwrap_or(0) & 15) * 4;
    let least = (header_len + 8).min(cause.len());
    if data.len() < least {
        return Err(format!(
            "a quotation of {least} bytes expected, {} came",
            data.len()
        ));
    }
    let n = data.len().min(cause.len());
    (data[..n] == cause[..n])
        .then_some(())
        .ok_or_else(|| "the quotation is not what arrived".into())
}

fn compare_tcp(want: &Tcp, came: &SeenTcp, cx: &mut Context<'_>) -> Result<(), String> {
    // PSH counts only where the script has it: when to push is the sender's choice.
    let flags_fit = want.flags.iter().any(|flags| {
        let ignored = match flags & flag::PSH == 0 && !want.no_push {
            true => flag::PSH,
            false => 0,
        };
        came.flags & !ignored == *flags
    });
    if !flags_fit {
        return Err("other flags expected".into());
    }
    if came.flags & flag::SYN != 0 {
        number_syn(want, came, cx)?;
    }
    let seq_counts = want.renumber == Renumber::No && want.seq != Number::Any;
    if seq_counts && cx.flow.ours(want.seq)? != came.seq {
        return Err("another sequence number expected".into());
    }
    let ack_counts = came.flags & flag::ACK != 0 && want.ack != Number::Any;
    if ack_counts && cx.flow.theirs(want.ack)? != came.ack {
        return Err("another acknowledgment number expected".into());
    }
    if want.window.is_some_and(|w| !w.has(came.window)) {
        return Err(format!("another window expected, {} came", came.window));
    }
    if came.flags & flag::URG != 0 {
        same("urgent pointer", want.urgent, came.urgent)?;
    }
    options(&want.options, &came.options, cx)?;
    if let Some(stamp) = came.options.iter().find(|o| o.kind == 8) {
        if stamp.value.len() == 8 {
            cx.flow.last_stamp = Some(be32(&stamp.value, 0));
        }
    }
    Ok(())
}

/// Our SYN begins the numbering of a connection.
fn number_syn(want: &Tcp, came: &SeenTcp, cx: &mut Context<'_>) -> Result<(), String> {
    let newer = came.seq.wrapping_sub(cx.flow.highest);
    if want.renumber == Renumber::Newer && !(1..1 << 31).contains(&newer) {
        return Err("the new initial sequence number is not beyond the old connection".into());
    }
    if want.renumber != Renumber::No || cx.flow.iss.is_none() {
        cx.flow.iss = Some(came.seq);
        cx.flow.highest = came.seq;
    }
    Ok(())
}

fn options(want: &Options, came: &[SeenOption], cx: &mut Context<'_>) -> Result<(), String> {
    let mut rest = came.iter();
    for option in &want.list {
        loop {
            let Some(next) = rest.next() else {
                return Err(format!("option {option:?} expected"));
            };
            if option_fits(option, next, cx)? {
                break;
            }
            if !want.open {
                return Err(format!("option {option:?} expected"));
            }
        }
    }
    match want.open || rest.next().is_none() {
        true => Ok(()),
        false => Err("no further options expected".into()),
    }
}

fn option_fits(want: &Opt, came: &SeenOption, cx: &mut Context<'_>) -> Result<bool, String> {
    let v = &came.value;
    Ok(match (want, came.kind, v.len()) {
        (Opt::End, 0, _) | (Opt::Nop, 1, _) | (Opt::SackPermitted, 4, 0) => true,
        (Opt::Mss(value), 2, 2) => value.has(be16(v, 0)),
        (Opt::WindowScale(value), 3, 1) => value.has(v[0]),
        (Opt::Sack(None), 5, _) => true,
        (Opt::Sack(Some(blocks)), 5, len) if len == 8 * blocks.len() => {
            blocks.iter().zip(v.chunks_exact(8)).all(|(want, b)| {
                let edge = |at| be32(b, at).wrapping_sub(cx.flow.isn);
                *want == (edge(0), edge(4))
            })
        }
        (Opt::Timestamps { value, echo }, 8, 8) => {
            cx.stamps.expect(value, be32(v, 0), cx.flow)?
                && cx.stamps.expect(echo, be32(v, 4), cx.flow)?
        }
        (Opt::Raw(bytes), kind, len) => {
            bytes.len() == len + 2 && bytes[0] == kind && bytes[2..] == v[..]
        }
        _ => false,
    })
}

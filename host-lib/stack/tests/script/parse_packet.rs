//! From words to a packet.

use std::net::Ipv4Addr;

use crate::packet::{
    flag, Content, Damage, Ends, Fragment, Icmp, IpPart, Kind, Number, Opt, Options, Packet, Quote,
    Quoted, Renumber, Stamp, Tcp, LETTERS,
};
use crate::words::{Want, Words};

/// Reads the rest of a line that begins with `<` or `>`.
pub(crate) fn packet(words: &mut Words) -> Result<Packet, String> {
    let mut packet = Packet {
        kind: Kind::Udp,
        ends: Ends::default(),
        ip: IpPart::default(),
        len: Some(0),
        content: Content::Pattern,
        fragment: None,
        damage: Vec::new(),
        link_broadcast: false,
    };
    let first = words.next("a packet")?;
    packet.kind = match first.as_str() {
        "udp" => Kind::Udp,
        "icmp" => Kind::Icmp(icmp(words)?),
        "proto" => Kind::Other(words.number("a protocol number")?),
        "fragment" => Kind::Fragment(match words.next("a protocol")?.as_str() {
            "udp" => 17,
            "icmp" => 1,
            other => return Err(format!("`{other}` is not udp or icmp")),
        }),
        flags => Kind::Tcp(tcp(flags, words, &mut packet.len)?),
    };
    while let Some(word) = words.peek().map(str::to_string) {
        words.next("")?;
        modifier(&mut packet, &word, words)?;
    }
    if let Kind::Tcp(tcp) = &packet.kind {
        let acks = tcp.flags.iter().any(|f| f & flag::ACK != 0);
        if acks && tcp.ack == Number::Absolute(0) {
            return Err("a segment with ACK needs `ack N`".into());
        }
    }
    Ok(packet)
}

fn modifier(packet: &mut Packet, word: &str, words: &mut Words) -> Result<(), String> {
    let ends = &mut packet.ends;
    match word {
        "host" => ends.peer = Some(words.number("an address")?),
        "port" => ends.peer_port = Some(words.number("a port")?),
        "at" => ends.local = Some(words.number::<Ipv4Addr>("an address")?),
        "lport" => ends.local_port = Some(words.number("a port")?),
        "ttl" => packet.ip.ttl = Some(words.number("a time to live")?),
        "dscp" => packet.ip.dscp = Some(words.number("a code point")?),
        "[NECT]" => packet.ip.ecn = 0,
        "[ECT1]" => packet.ip.ecn = 1,
        "[ECT0]" => packet.ip.ecn = 2,
        "[CE]" => packet.ip.ecn = 3,
        "df" => packet.ip.dont_fragment = Some(true),
        "nodf" => packet.ip.dont_fragment = Some(false),
        "ident" => packet.ip.ident = Some(words.number("an identification")?),
        "ipopt" => packet.ip.options = hex(&words.next("bytes")?)?,
        "fill" => packet.content = Content::Fill(words.number("a byte")?),
        "text" => {
            let text = words.next("a text")?.trim_matches('"').as_bytes().to_vec();
            packet.len = Some(text.len());
            packet.content = Content::Text(text);
        }
        "frag" => {
            let ident = words.number("an identification")?;
            let (from, to) = span(&words.next("FROM..TO")?)?;
            let more = words.take("more");
            packet.fragment = Some(Fragment {
                ident,
                from,
                to,
                more,
            });
        }
        "linkcast" => packet.link_broadcast = true,
        "bad" => packet
            .damage
            .push(match words.next("what is bad")?.as_str() {
                "ipsum" => Damage::IpChecksum,
                "sum" => Damage::Checksum,
                other => return Err(format!("`{other}` cannot be bad")),
            }),
        "nosum" => packet.damage.push(Damage::NoChecksum),
        "byte" => packet.damage.push(Damage::Byte(
            words.number("a position")?,
            words.number("a byte")?,
        )),
        "cut" => packet.damage.push(Damage::Cut(words.number("a length")?)),
        "pad" => packet.damage.push(Damage::Pad(words.number("a length")?)),
        "(*)" => packet.len = None,
        _ if word.starts_with('(') => {
            let inner = word.strip_prefix('(').and_then(|w| w.strip_suffix(')'));
            packet.len = Some(
                inner
                    .and_then(|n| n.parse().ok())
                    .ok_or_else(|| format!("`{word}` is not a length"))?,
            );
        }
        _ => {
            let Kind::Tcp(tcp) = &mut packet.kind else {
                return Err(format!("`{word}` is not understood here"));
            };
            tcp_modifier(tcp, word, words)?;
        }
    }
    Ok(())
}

fn tcp(flags: &str, words: &mut Words, len: &mut Option<usize>) -> Result<Tcp, String> {
    let flags = flags
        .split('|')
        .map(control_bits)
        .collect::<Result<Vec<u8>, String>>()?;
    let (seq, payload) = sequence(&words.next("a sequence number")?)?;
    *len = payload;
    Ok(Tcp {
        flags,
        no_push: false,
        seq,
        ack: Number::Absolute(0),
        window: None,
        urgent: 0,
        options: Options::default(),
        isn: None,
        renumber: Renumber::No,
    })
}

fn tcp_modifier(tcp: &mut Tcp, word: &str, words: &mut Words) -> Result<(), String> {
    match word {
        "ack" => tcp.ack = number(&words.next("an acknowledgment number")?)?,
        "win" => tcp.window = Some(Want::parse(&words.next("a window")?)?),
        "urg" => tcp.urgent = words.number("an urgent pointer")?,
        "isn" => tcp.isn = Some(words.number("a sequence number")?),
        "nopush" => tcp.no_push = true,
        "new" => tcp.renumber = Renumber::New,
        "newer" => tcp.renumber = Renumber::Newer,
        _ => {
            let inner = word.strip_prefix('<').and_then(|w| w.strip_suffix('>'));
            let inner = inner.ok_or_else(|| format!("`{word}` is not understood here"))?;
            tcp.options = options(inner)?;
        }
    }
    Ok(())
}

fn control_bits(text: &str) -> Result<u8, String> {
    if text == "-" {
        return Ok(0);
    }
    text.chars().try_fold(0, |all, c| {
        LETTERS
            .iter()
            .find(|(letter, _)| *letter == c)
            .map(|(_, bit)| all | bit)
            .ok_or_else(|| format!("`{text}` is no packet: `{c}` is not a TCP flag"))
    })
}

fn number(word: &str) -> Result<Number, String> {
    let wrong = |_| format!("expected a sequence number, not `{word}`");
    match word.strip_prefix('@') {
        _ if word == "*" => Ok(Number::Any),
        Some(rest) => rest.parse().map(Number::Absolute).map_err(wrong),
        None => word.parse().map(Number::Relative).map_err(wrong),
    }
}

/// `N`, `N:END` or `N:END(LEN)`, END exclusive; `*` for any with any payload.
fn sequence(word: &str) -> Result<(Number, Option<usize>), String> {
    let (start, end) = match word.split_once(':') {
        None => {
            let seq = number(word)?;
            return Ok((seq, (seq != Number::Any).then_some(0)));
        }
        Some(parts) => parts,
    };
    let (end, len) = match end.split_once('(') {
        None => (end, None),
        Some((end, len)) => (end, Some(len.trim_end_matches(')'))),
    };
    let (start, end) = (number(start)?, number(end)?);
    let spanned = match (start, end) {
        (Number::Relative(a), Number::Relative(b)) | (Number::Absolute(a), Number::Absolute(b)) => {
            b.wrapping_sub(a)
        }
        _ => return Err(format!("`{word}` mixes relative and absolute numbers")),
    };
    if len.is_some_and(|l| l.parse() != Ok(spanned)) || spanned > 70_000 {
        return Err(format!("`{word}` does not add up"));
    }
    Ok((start, Some(spanned as usize)))
}

fn options(text: &str) -> Result<Options, String> {
    let mut all = Options::default();
    for part in text.split(',').map(str::trim) {
        let words: Vec<&str> = part.split_whitespace().collect();
        all.list.push(match words[..] {
            ["..."] => {
                all.open = true;
                continue;
            }
            ["eol"] => Opt::End,
            ["nop"] => Opt::Nop,
            ["mss", value] => Opt::Mss(Want::parse(value)?),
            ["wscale", value] => Opt::WindowScale(Want::parse(value)?),
            ["sackOK"] => Opt::SackPermitted,
            ["sack", "*"] => Opt::Sack(None),
            ["sack", ref blocks @ ..] => {
                let block = |b: &&str| {
                    let (from, to) = b.split_once(':')?;
                    Some((from.parse().ok()?, to.parse().ok()?))
                };
                let blocks: Option<Vec<(u32, u32)>> = blocks.iter().map(block).collect();
                Opt::Sack(Some(
                    blocks.ok_or_else(|| format!("`{part}`: expected FROM:TO"))?,
                ))
            }
            ["TS", "val", value, "ecr", echo] => Opt::Timestamps {
                value: stamp(value),
                echo: stamp(echo),
            },
            ["raw", bytes] => Opt::Raw(hex(bytes)?),
            _ => return Err(format!("`{part}` is not a TCP option")),
        });
    }
    Ok(all)
}

fn stamp(word: &str) -> Stamp {
    if let Ok(value) = word.parse() {
        return Stamp::Exact(value);
    }
    if let Some(name) = word.strip_prefix('*') {
        return Stamp::Any((!name.is_empty()).then(|| name.to_string()));
    }
    match word.strip_prefix(">=") {
        Some(name) => Stamp::NotBefore(name.to_string()),
        None if word == "last" => Stamp::Last,
        None => Stamp::Named(word.to_string()),
    }
}

fn icmp(words: &mut Words) -> Result<Icmp, String> {
    let name = words.next("an ICMP message")?;
    let codes: &[(&str, u8)] = match name.as_str() {
        "unreachable" => &[
            ("net", 0),
            ("host", 1),
            ("protocol", 2),
            ("port", 3),
            ("frag", 4),
        ],
        "exceeded" => &[("ttl", 0), ("reassembly", 1)],
        _ => &[],
    };
    let mut code = 0;
    if let Some((_, value)) = codes.iter().find(|(n, _)| words.take(n)) {
        code = *value;
    } else if let Some(value) = words.optional_number() {
        code = value;
    }
    let kind = match name.as_str() {
        "reply" => 0,
        "unreachable" => 3,
        "quench" => 4,
        "echo" => 8,
        "exceeded" => 11,
        "problem" => 12,
        "timestamp" => 13,
        number => number
            .parse()
            .map_err(|_| format!("`{number}` is not an ICMP message"))?,
    };
    let mut icmp = Icmp {
        kind,
        code,
        rest: [None; 2],
        quote: None,
    };
    loop {
        if words.take("id") {
            icmp.rest[0] = Some(words.number("an identifier")?);
        } else if words.take("seq") || words.take("mtu") {
            icmp.rest[1] = Some(words.number("a number")?);
        } else if words.take("quote") {
            icmp.quote = Some(quote(words)?);
        } else {
            return Ok(icmp);
        }
    }
}

fn quote(words: &mut Words) -> Result<Quote, String> {
    let of = match words.next("what is quoted")?.as_str() {
        "last" => Quoted::Last,
        "tcp" => Quoted::Tcp(number(&words.next("a sequence number")?)?),
        "udp" => Quoted::Udp,
        "echo" => Quoted::Echo(words.number("an identifier")?),
        other => return Err(format!("`{other}` cannot be quoted")),
    };
    let len = words.optional_number().unwrap_or(28);
    Ok(Quote { of, len })
}

fn span(word: &str) -> Result<(usize, usize), String> {
    word.split_once("..")
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .filter(|(a, b)| a <= b)
        .ok_or_else(|| format!("expected FROM..TO, not `{word}`"))
}

fn hex(word: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("expected hexadecimal bytes, not `{word}`");
    if !word.is_ascii() || !word.len().is_multiple_of(2) {
        return Err(wrong());
    }
    (0..word.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&word[i..i + 2], 16).map_err(|_| wrong()))
        .collect()
}

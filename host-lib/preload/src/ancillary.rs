//! Control messages of datagrams (cmsg(3), ip(7), ipv6(7)): where one came to, its TTL and TOS, and the same of one that is sent.
use std::ffi::{c_int, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};

use ferrule_preload_protocol::{Choices, Tell};
use libc::size_t;

/// A message's length, level and type.
const HEAD: usize = size_of::<libc::cmsghdr>();
const LENGTH: usize = size_of::<size_t>();
/// Each begins at a multiple of this.
const ALIGNMENT: usize = size_of::<size_t>();

/// Control messages as they lie in memory.
#[derive(Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Messages {
    /// What a program wants to be told of a datagram.
    pub(crate) fn of(tell: Tell, to: Ipv4Addr, ttl: u8, tos: u8, v6: bool) -> Self {
        let mut out = Self::default();
        // The NIC is no interface of the kernel's: it has no index.
        let index = [0; 4];
        if tell.to && v6 {
            // struct in6_pktinfo
            let to = to.to_ipv6_mapped().octets();
            let value = [&to[..], &index].concat();
            out.add(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &value);
        } else if tell.to {
            // struct in_pktinfo: the address to answer from, and the one in the header.
            let from = match to.is_multicast() || to.is_broadcast() {
                true => Ipv4Addr::UNSPECIFIED,
                false => to,
            };
            let value = [index, from.octets(), to.octets()].concat();
            out.add(libc::IPPROTO_IP, libc::IP_PKTINFO, &value);
        }
        if tell.ttl {
            let value = c_int::from(ttl).to_ne_bytes();
            out.add(libc::IPPROTO_IP, libc::IP_TTL, &value);
        }
        if tell.tos {
            out.add(libc::IPPROTO_IP, libc::IP_TOS, &[tos]);
        }
        out
    }

    fn add(&mut self, level: c_int, kind: c_int, value: &[u8]) {
        self.bytes.extend((HEAD + value.len()).to_ne_bytes());
        self.bytes.extend(level.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        let end = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(end, 0);
        self.ends.push(end);
    }

    /// Writes as many as there is room for; how many bytes, and MSG_CTRUNC if not all.
    ///
    /// # Safety
    /// `room` bytes at `at` can be written, or it is null.
    pub(crate) unsafe fn write(&self, at: *mut c_void, room: size_t) -> (size_t, c_int) {
        let room = if at.is_null() { 0 } else { room };
        let fits = self.ends.iter().rev().find(|end| **end <= room);
        let fits = fits.copied().unwrap_or(0);
        if fits > 0 {
            // SAFETY: there is room for so many, and a program's memory is not ours.
            unsafe { std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), at.cast(), fits) };
        }
        let cut = match fits < self.bytes.len() {
            true => libc::MSG_CTRUNC,
            false => 0,
        };
        (fits, cut)
    }
}

/// What a program's control messages choose for a datagram.
///
/// # Errors
/// EINVAL for a message that is none, or asks for what cannot be, as Linux has it.
pub(crate) fn choices(mut control: &[u8]) -> Result<Choices, c_int> {
    let mut choices = Choices::default();
    while let Some((head, _)) = control.split_at_checked(HEAD) {
        let word = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, c_int::from_ne_bytes)
        };
        let len = head[..LENGTH].try_into().map_or(0, usize::from_ne_bytes);
        let value = control.get(HEAD..len).ok_or(libc::EINVAL)?;
        choose(&mut choices, word(LENGTH), word(LENGTH + 4), value)?;
        control = control
            .get(len.next_multiple_of(ALIGNMENT)..)
            .unwrap_or(&[]);
    }
    Ok(choices)
}

fn choose(choices: &mut Choices, level: c_int, kind: c_int, value: &[u8]) -> Result<(), c_int> {
    let int = || {
        let bytes = value.get(..4).and_then(|b| b.try_into().ok());
        bytes.map(c_int::from_ne_bytes).ok_or(libc::EINVAL)
    };
    match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let source: [u8; 4] = (value.get(4..8).and_then(|b| b.try_into().ok()))
                .filter(|_| value.len() == size_of::<libc::in_pktinfo>())
                .ok_or(libc::EINVAL)?;
            choices.source = Some(source.into()).filter(|s: &Ipv4Addr| !s.is_unspecified());
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let source: [u8; 16] = (value.get(..16).and_then(|b| b.try_into().ok()))
                .filter(|_| value.len() >= size_of::<libc::in6_pktinfo>())
                .ok_or(libc::EINVAL)?;
            choices.source = match Ipv6Addr::from(source) {
                source if source.is_unspecified() => None,
                source => Some(source.to_ipv4_mapped().ok_or(libc::EINVAL)?),
            };
        }
        (libc::IPPROTO_IP, libc::IP_TTL) => {
            let ttl = u8::try_from(int()?).ok().filter(|ttl| *ttl > 0);
            choices.ttl = Some(ttl.ok_or(libc::EINVAL)?);
        }
        (libc::IPPROTO_IP, libc::IP_TOS) => {
            let tos = match value {
                [tos] => Some(*tos),
                _ => u8::try_from(int()?).ok(),
            };
            choices.tos = Some(tos.ok_or(libc::EINVAL)?);
        }
        // Of these Linux takes no notice either with UDP.
        (libc::SOL_SOCKET, libc::SCM_RIGHTS | libc::SCM_CREDENTIALS) => {}
        _ => return Err(libc::EINVAL),
    }
    Ok(())
}

//! What this process knows of its descriptors.
//!
//! A descriptor may be closed and made anew by calls that nobody sees (the C library's own), so what is known is checked where an error would do harm: before a
//! header goes in front of a message. What is not known is asked for once.
use std::ffi::c_int;
use std::sync::atomic::{AtomicU8, Ordering};

use ferrule_preload_protocol::{Op, SocketState};
use rustix::net::{sockopt, AddressFamily, SocketType};

use crate::{stackd, sys};

/// Descriptors that are known; of higher ones each call asks.
const KNOWN: usize = 1 << 16;

/// States as numbers; 0 is not known.
static STATES: [AtomicU8; KNOWN] = [const { AtomicU8::new(0) }; KNOWN];

fn entry(fd: c_int) -> Option<&'static AtomicU8> {
    STATES.get(usize::try_from(fd).ok()?)
}

/// Says what a descriptor is.
pub(crate) fn set(fd: c_int, state: SocketState, v6: bool) {
    if let Some(entry) = entry(fd) {
        entry.store(state.to_number(v6) as u8, Ordering::Relaxed);
    }
}

/// A descriptor may be another thing than it was.
pub(crate) fn forget(fd: c_int) {
    if let Some(entry) = entry(fd) {
        entry.store(0, Ordering::Relaxed);
    }
}

/// As [`forget`], for all from `first` to `last`.
pub(crate) fn forget_range(first: usize, last: usize) {
    for entry in STATES.iter().take(last.saturating_add(1)).skip(first) {
        entry.store(0, Ordering::Relaxed);
    }
}

/// The descriptors from `first` to `last` that are known as connections.
pub(crate) fn streams(first: usize, last: usize) -> impl Iterator<Item = c_int> {
    let entries = STATES.iter().enumerate();
    let entries = entries.take(last.saturating_add(1)).skip(first);
    entries.filter_map(|(fd, entry)| {
        let known = SocketState::from_number(i32::from(entry.load(Ordering::Relaxed)));
        let is_stream = matches!(known, Some((SocketState::Stream, _)));
        c_int::try_from(fd).ok().filter(|_| is_stream)
    })
}

/// What a descriptor is, and whether it is of AF_INET6.
pub(crate) fn state(fd: c_int) -> (SocketState, bool) {
    if !stackd::is_there() {
        return (SocketState::Foreign, false);
    }
    let known = entry(fd).map_or(0, |entry| entry.load(Ordering::Relaxed));
    match SocketState::from_number(i32::from(known)) {
        // It may have changed in another process, and costs nothing but a call that fails anyway.
        Some((SocketState::Fresh, _)) | None => ask(fd),
        Some((state @ (SocketState::Datagram | SocketState::ConnectedDatagram), v6)) => {
            match is_message_socket(fd) {
                true => (state, v6),
                false => ask(fd),
            }
        }
        Some(known) => known,
    }
}

fn is_message_socket(fd: c_int) -> bool {
    sys::fd(fd).is_some_and(|fd| sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET))
}

/// Asks stackd, if the descriptor is of a kind that may be its.
fn ask(fd: c_int) -> (SocketState, bool) {
    let foreign = (SocketState::Foreign, false);
    let may_be_ours = sys::fd(fd).is_some_and(|fd| {
        sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
            && matches!(
                sockopt::socket_type(fd),
                Ok(SocketType::STREAM | SocketType::SEQPACKET)
            )
    });
    let found = match may_be_ours {
        false => foreign,
        true => match stackd::call(fd, Op::State, 0, 0, &[]) {
            Ok(reply) => SocketState::from_number(reply.value).unwrap_or(foreign),
            // Not to be taken for granted: stackd may not be there for the moment.
            Err(_) => return foreign,
        },
    };
    set(fd, found.0, found.1);
    found
}

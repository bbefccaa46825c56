//! What an ICMP error means to the socket whose packet it is about (RFC 1122 section 3.2.2, errors as Linux names them).

use crate::error::Error;
use crate::wire::icmp::{code, kind};

/// The error, and whether it is final.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meaning {
    pub(crate) error: Error,
    /// Trying again is of no use. Soft errors may pass: RFC 1122 section 4.2.3.9.
    pub(crate) hard: bool,
}

/// What a message of this type and code means; `None` if a host ignores it: source quench (RFC 6633), time exceeded
/// during reassembly, which only says that fragments were lost, and whatever nobody has defined.
pub(crate) fn meaning(kind: u8, code: u8) -> Option<Meaning> {
    let soft = |error| Some(Meaning { error, hard: false });
    let hard = |error| Some(Meaning { error, hard: true });
    match (kind, code) {
        (kind::UNREACHABLE, code::NET | code::NET_TOS) => soft(Error::NetworkUnreachable),
        (kind::UNREACHABLE, code::HOST | code::HOST_TOS) => soft(Error::HostUnreachable),
        (kind::UNREACHABLE, code::PROTOCOL) => hard(Error::ProtocolUnavailable),
        (kind::UNREACHABLE, code::PORT) => hard(Error::ConnectionRefused),
        (kind::UNREACHABLE, code::FRAGMENTATION_NEEDED) => hard(Error::MessageTooLong),
        (kind::UNREACHABLE, code::SOURCE_ROUTE_FAILED) => soft(Error::Unsupported),
        (kind::UNREACHABLE, code::NET_UNKNOWN | code::NET_PROHIBITED) => {
            hard(Error::NetworkUnreachable)
        }
        (kind::UNREACHABLE, code::HOST_UNKNOWN) => hard(Error::HostDown),
        (kind::UNREACHABLE, code::HOST_ISOLATED) => hard(Error::NotOnNetwork),
        (
            kind::UNREACHABLE,
            code::HOST_PROHIBITED
            | code::FILTERED
            | code::PRECEDENCE_VIOLATION
            | code::PRECEDENCE_CUTOFF,
        ) => hard(Error::HostUnreachable),
        (kind::TIME_EXCEEDED, code::TTL) => soft(Error::HostUnreachable),
        (kind::PARAMETER_PROBLEM, _) => hard(Error::Protocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// net/ipv4/icmp.c, `icmp_err_convert`, in order of the codes: errno and whether it is fatal.
    const LINUX: [(Error, bool); 16] = [
        (Error::NetworkUnreachable, false),
        (Error::HostUnreachable, false),
        (Error::ProtocolUnavailable, true),
        (Error::ConnectionRefused, true),
        // Linux says false there and true where datagram sockets meet it.
        (Error::MessageTooLong, true),
        (Error::Unsupported, false),
        (Error::NetworkUnreachable, true),
        (Error::HostDown, true),
        (Error::NotOnNetwork, true),
        (Error::NetworkUnreachable, true),
        (Error::HostUnreachable, true),
        (Error::NetworkUnreachable, false),
        (Error::HostUnreachable, false),
        (Error::HostUnreachable, true),
        (Error::HostUnreachable, true),
        (Error::HostUnreachable, true),
    ];

    #[test]
    fn every_code_means_what_it_means_to_linux() {
        for (code, (error, hard)) in (0..).zip(LINUX) {
            let expected = Some(Meaning { error, hard });
            assert_eq!(meaning(kind::UNREACHABLE, code), expected, "code {code}");
        }
        assert_eq!(meaning(kind::UNREACHABLE, 16), None);
        assert_eq!(meaning(kind::TIME_EXCEEDED, 1), None);
        // Source quench and redirect.
        assert_eq!((meaning(4, 0), meaning(5, 1)), (None, None));
    }
}

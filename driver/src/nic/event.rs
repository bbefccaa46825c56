//! What the NIC tells of its own accord.
use super::{MacAddress, QueueName};
use crate::ring::RingFault;
use ferrule_abi::ring::{event_code, Event};
use std::net::Ipv4Addr;

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicEvent {
    /// A next hop's MAC address is known now: send again what waits for it.
    NeighbourResolved(Ipv4Addr),
    /// A next hop did not answer, or was evicted: what waits for it cannot be sent.
    NeighbourFailed(Ipv4Addr),
    /// Another station claims a local address. Further conflicts are told of after 11 s only, though counted; whether to go on using the
    /// address is the host's decision (RFC 5227 section 2.4).
    AddressConflict {
        /// The address.
        address: Ipv4Addr,
        /// The other station.
        mac: MacAddress,
    },
    /// The link came up or went down.
    Link {
        /// Whether it is up.
        up: bool,
    },
    /// The device stopped a queue; the others go on.
    QueueError {
        /// Which.
        queue: QueueName,
        /// A value of [`ferrule_abi::regs::queue_error`].
        error: u32,
    },
}

/// An event before its queue's status is read.
pub(crate) enum RawEvent {
    Ready(NicEvent),
    QueueError(QueueName),
}

/// Checks an entry of the event ring of a NIC with so many queue pairs.
pub(crate) fn decode(event: &Event, pairs: u8) -> Result<RawEvent, RingFault> {
    let address = Ipv4Addr::from_bits(event.address);
    let queue = QueueName::of_page(event.detail, pairs);
    let ready = match (event.code, event.detail, queue) {
        (event_code::NEIGH_RESOLVED, 0, _) => NicEvent::NeighbourResolved(address),
        (event_code::NEIGH_FAILED, 0, _) => NicEvent::NeighbourFailed(address),
        (event_code::ADDRESS_CONFLICT, ..) => NicEvent::AddressConflict {
            address,
            mac: event.conflict_mac(),
        },
        (event_code::LINK, up @ 0..=1, _) => NicEvent::Link { up: up == 1 },
        (event_code::QUEUE_ERROR, _, Some(queue)) => return Ok(RawEvent::QueueError(queue)),
        (code, detail, _) => return Err(RingFault::Event { code, detail }),
    };
    Ok(RawEvent::Ready(ready))
}

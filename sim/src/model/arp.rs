//! ARP packets for Ethernet and IPv4 (RFC 826).

const ETHERNET_HEADER: usize = 14;
/// EtherType, hardware type 1, protocol type 0x0800, address lengths 6 and 4.
const TYPES: [u8; 8] = [0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4];
const TYPES_AT: usize = 12;
/// A frame with the packet, without padding.
const FRAME_BYTES: usize = ETHERNET_HEADER + 28;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// A received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArpPacket {
    pub(super) operation: u16,
    pub(super) sender_mac: [u8; 6],
    pub(super) sender: u32,
    pub(super) target: u32,
}

impl ArpPacket {
    /// The packet in a frame, if the frame holds one.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        if frame.len() < FRAME_BYTES || frame[TYPES_AT..TYPES_AT + TYPES.len()] != TYPES {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| frame[at + i]));
        Some(Self {
            operation: u16::from_be_bytes([frame[20], frame[21]]),
            sender_mac: [22, 23, 24, 25, 26, 27].map(|at| frame[at]),
            sender: word(28),
            target: word(38),
        })
    }

    /// Whether it asks.
    pub(super) fn is_request(&self) -> bool {
        self.operation == REQUEST
    }

    /// Whether it asks or answers.
    pub(super) fn is_known(&self) -> bool {
        [REQUEST, REPLY].contains(&self.operation)
    }
}

/// A frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArpFrame {
    pub(super) mac: [u8; 6],
    pub(super) sender: u32,
    pub(super) target: u32,
    /// A reply goes to this address; none is a request, which is broadcast.
    pub(super) reply_to: Option<[u8; 6]>,
}

impl ArpFrame {
    /// Its bytes, without padding.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let operation = if self.reply_to.is_some() {
            REPLY
        } else {
            REQUEST
        };
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        frame.extend(self.reply_to.unwrap_or([0xFF; 6]));
        frame.extend(self.mac);
        frame.extend(TYPES);
        frame.extend(operation.to_be_bytes());
        frame.extend(self.mac);
        frame.extend(self.sender.to_be_bytes());
        // RFC 5227 section 1.1: a request has zeros here.
        frame.extend(self.reply_to.unwrap_or([0; 6]));
        frame.extend(self.target.to_be_bytes());
        frame
    }
}

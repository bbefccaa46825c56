//! Units as bytes, and their framing on the line (RFC 1662 section 4 and appendix C).
use crate::phy::fcs;

/// Most DWs in a unit.
pub const MAX_DWORDS: usize = 640;
/// Bytes of a unit without DWs and framing.
const HEAD_BYTES: usize = 7;
const FCS_BYTES: usize = 4;
/// Most bytes of a unit.
const MAX_BYTES: usize = HEAD_BYTES + 4 * MAX_DWORDS + FCS_BYTES;
const FLAG: u8 = 0x7E;
const ESCAPE: u8 = 0x7D;
/// What an escape turns over.
const TURNED: u8 = 0x20;
const VERSION: u16 = 1;
const OPEN: u16 = 1 << 15;
const BACK: u16 = 1 << 14;
const TURN: u16 = 1 << 13;
const OF_TURN: u16 = 1 << 12;
/// Positions are numbers of this many.
pub const POSITIONS: u64 = 1 << 12;
const POSITION_BITS: u16 = (POSITIONS - 1) as u16;

/// What a unit says. Positions are modulo [`POSITIONS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The session; 0 for none.
    pub session: u8,
    /// The host begins it.
    pub open: bool,
    /// Send again from `ack` on.
    pub back: bool,
    /// Another one each time that the sender goes back.
    pub turn: bool,
    /// With `back`: the turn of the other side in which something was missing.
    pub of_turn: bool,
    /// Of the first DW.
    pub position: u16,
    /// What is expected next.
    pub ack: u16,
    /// Before which there is room.
    pub limit: u16,
    /// The piece of the stream.
    pub dwords: Vec<u32>,
}

impl Unit {
    /// Appends the unit to `line`, framed; how many bytes that is.
    pub fn write(&self, line: &mut Vec<u8>) -> usize {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 4 * self.dwords.len() + FCS_BYTES);
        let flags = [
            (self.open, OPEN),
            (self.back, BACK),
            (self.turn, TURN),
            (self.of_turn, OF_TURN),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
        let flags = flags.fold(0, |all, flag| all | flag);
        bytes.push(self.session);
        bytes.extend((flags | self.position & POSITION_BITS).to_be_bytes());
        bytes.extend((VERSION << 12 | self.ack & POSITION_BITS).to_be_bytes());
        bytes.extend((self.limit & POSITION_BITS).to_be_bytes());
        bytes.extend(self.dwords.iter().flat_map(|dw| dw.to_be_bytes()));
        bytes.extend(fcs(&bytes));
        let before = line.len();
        line.push(FLAG);
        for byte in bytes {
            match byte {
                FLAG | ESCAPE => line.extend([ESCAPE, byte ^ TURNED]),
                _ => line.push(byte),
            }
        }
        line.push(FLAG);
        line.len() - before
    }

    /// What the bytes between two flags say; nothing if they are no whole unit.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (said, check) = bytes.split_at_checked(bytes.len().checked_sub(FCS_BYTES)?)?;
        let (head, data) = said.split_at_checked(HEAD_BYTES)?;
        let [session, p1, p0, a1, a0, l1, l0] = *head else {
            return None;
        };
        let [position, ack, limit] = [[p1, p0], [a1, a0], [l1, l0]].map(u16::from_be_bytes);
        if fcs(said) != check || !data.len().is_multiple_of(4) || ack >> 12 != VERSION {
            return None;
        }
        let dword = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        Some(Self {
            session,
            open: position & OPEN != 0,
            back: position & BACK != 0,
            turn: position & TURN != 0,
            of_turn: position & OF_TURN != 0,
            position: position & POSITION_BITS,
            ack: ack & POSITION_BITS,
            limit: limit & POSITION_BITS,
            dwords: data.chunks_exact(4).map(dword).collect(),
        })
    }
}

/// What came to its end on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole unit.
    Unit(Unit),
    /// Bytes that are none.
    Damaged,
}

/// Finds units in bytes.
#[derive(Debug, Default)]
pub struct Deframer {
    bytes: Vec<u8>,
    escaped: bool,
    /// Longer than any unit.
    over: bool,
}

impl Deframer {
    /// Takes the next byte of the line.
    pub fn push(&mut self, byte: u8) -> Option<Heard> {
        match byte {
            FLAG => {
                let aborted = std::mem::take(&mut self.escaped) | std::mem::take(&mut self.over);
                let heard = match Unit::parse(&self.bytes) {
                    Some(unit) if !aborted => Some(Heard::Unit(unit)),
                    // Nothing between two flags is nothing.
                    None if self.bytes.is_empty() && !aborted => None,
                    _ => Some(Heard::Damaged),
                };
                self.bytes.clear();
                return heard;
            }
            ESCAPE if !self.escaped => self.escaped = true,
            _ if self.bytes.len() < MAX_BYTES => {
                let turned = if std::mem::take(&mut self.escaped) {
                    TURNED
                } else {
                    0
                };
                self.bytes.push(byte ^ turned);
            }
            _ => self.over = true,
        }
        None
    }
}

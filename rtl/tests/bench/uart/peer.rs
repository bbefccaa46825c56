//! What stands at the other end in the testbenches: units and their framing after `docs/uart.md` and RFC 1662, with crc32fast for the FCS.

/// Everything a unit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) session: u8,
    pub(super) open: bool,
    pub(super) back: bool,
    pub(super) turn: bool,
    pub(super) of_turn: bool,
    pub(super) position: u16,
    pub(super) ack: u16,
    pub(super) limit: u16,
    pub(super) dwords: Vec<u32>,
}

impl Unit {
    /// Its bytes, FCS included.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.session];
        let flags = [self.open, self.back, self.turn, self.of_turn];
        let flags = flags
            .iter()
            .fold(0, |all, flag| all << 1 | u16::from(*flag))
            << 12;
        bytes.extend((flags | self.position).to_be_bytes());
        bytes.extend((0x1000 | self.ack).to_be_bytes());
        bytes.extend(self.limit.to_be_bytes());
        bytes.extend(self.dwords.iter().flat_map(|d| d.to_be_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// What whole bytes say; nothing if they are no unit.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (said, fcs) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        let (head, data) = said.split_at_checked(7)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let good = crc32fast::hash(said).to_le_bytes() == fcs
            && data.len().is_multiple_of(4)
            && word(3) >> 12 == 1;
        good.then(|| Self {
            session: head[0],
            open: word(1) & 0x8000 != 0,
            back: word(1) & 0x4000 != 0,
            turn: word(1) & 0x2000 != 0,
            of_turn: word(1) & 0x1000 != 0,
            position: word(1) & 0xFFF,
            ack: word(3) & 0xFFF,
            limit: word(5) & 0xFFF,
            dwords: data
                .chunks_exact(4)
                .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        })
    }
}

/// Stuffed, with a flag before and after.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut line = vec![0x7E];
    for byte in bytes {
        match byte {
            0x7D | 0x7E => line.extend([0x7D, byte ^ 0x20]),
            _ => line.push(*byte),
        }
    }
    line.push(0x7E);
    line
}

/// Takes what is between flags apart.
#[derive(Default)]
pub(super) struct Deframer {
    bytes: Vec<u8>,
    escaped: bool,
}

impl Deframer {
    /// With the flag at its end: the bytes since the last one, if there are any.
    pub(super) fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        match byte {
            0x7E => {
                self.escaped = false;
                let bytes = std::mem::take(&mut self.bytes);
                return (!bytes.is_empty()).then_some(bytes);
            }
            0x7D => self.escaped = true,
            _ => {
                self.bytes
                    .push(if self.escaped { byte ^ 0x20 } else { byte });
                self.escaped = false;
            }
        }
        None
    }
}

/// A small generator of numbers.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    /// Any number (splitmix64).
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

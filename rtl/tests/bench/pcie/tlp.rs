//! TLPs as DWs, written from PCIe base specification 2.1, section 2.2; it shares nothing with the design.
use ferrule_rtl::pins::TlpBeat;

/// A memory request. Data in memory order: the byte with the lowest address in bits 7:0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) write: bool,
    pub(crate) addr: u64,
    pub(crate) dwords: u32,
    pub(crate) requester: u16,
    pub(crate) tag: u8,
    pub(crate) first_be: u8,
    pub(crate) last_be: u8,
    pub(crate) tc: u8,
    pub(crate) attr: u8,
    pub(crate) poisoned: bool,
    pub(crate) data: Vec<u32>,
}

/// A completion, with data if there is some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) completer: u16,
    pub(crate) status: u8,
    pub(crate) bytes: u32,
    pub(crate) requester: u16,
    pub(crate) tag: u8,
    pub(crate) lower: u8,
    pub(crate) tc: u8,
    pub(crate) attr: u8,
    pub(crate) poisoned: bool,
    pub(crate) data: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tlp {
    Request(Request),
    Completion(Completion),
}

/// Status codes, table 2-29.
pub(crate) const SUCCESS: u8 = 0b000;
pub(crate) const UNSUPPORTED: u8 = 0b001;
pub(crate) const ABORT: u8 = 0b100;

impl Request {
    /// A read of whole DWs.
    pub(crate) fn read(addr: u64, dwords: u32, requester: u16, tag: u8) -> Self {
        Self {
            write: false,
            addr,
            dwords,
            requester,
            tag,
            first_be: 0xF,
            last_be: if dwords > 1 { 0xF } else { 0 },
            tc: 0,
            attr: 0,
            poisoned: false,
            data: vec![],
        }
    }
    /// A write of whole DWs.
    pub(crate) fn write(addr: u64, data: Vec<u32>, requester: u16) -> Self {
        Self {
            write: true,
            dwords: data.len() as u32,
            data,
            ..Self::read(addr, 1, requester, 0)
        }
        .with_last_be()
    }
    fn with_last_be(mut self) -> Self {
        self.last_be = if self.dwords > 1 { 0xF } else { 0 };
        self
    }
    /// Header and payload. `four` asks for a 4-DW header even below 4 GiB.
    pub(crate) fn encode(&self, four: bool) -> Vec<u32> {
        let four = four || self.addr >> 32 != 0;
        let format = u32::from(self.write) << 1 | u32::from(four);
        let mut d = vec![
            format << 29
                | u32::from(self.tc) << 20
                | u32::from(self.poisoned) << 14
                | u32::from(self.attr) << 12
                | (self.dwords & 0x3FF),
            u32::from(self.requester) << 16
                | u32::from(self.tag) << 8
                | u32::from(self.last_be) << 4
                | u32::from(self.first_be),
        ];
        if four {
            d.push((self.addr >> 32) as u32);
        }
        d.push(self.addr as u32);
        d.extend(self.data.iter().map(|w| w.swap_bytes()));
        d
    }
    /// What Byte Count and Lower Address of a completion with Unsupported Request are, from the tables 2-34 and 2-35.
    pub(crate) fn span(&self) -> (u32, u8) {
        let enabled: Vec<u32> = (0..self.dwords * 4)
            .filter(|b| {
                let be = match b / 4 {
                    0 => self.first_be,
                    w if w == self.dwords - 1 => self.last_be,
                    _ => 0xF,
                };
                be >> (b % 4) & 1 == 1
            })
            .collect();
        let lowest_of_first = (0..4).find(|b| self.first_be >> b & 1 == 1).unwrap_or(0) as u8;
        let bytes = match (enabled.first(), enabled.last()) {
            (Some(a), Some(b)) => b - a + 1,
            _ => 1,
        };
        (bytes & 0xFFF, (self.addr as u8 & 0x7C) + lowest_of_first)
    }
}

impl Completion {
    pub(crate) fn encode(&self) -> Vec<u32> {
        let format = u32::from(!self.data.is_empty()) << 1;
        let mut d = vec![
            format << 29
                | 0b0_1010 << 24
                | u32::from(self.tc) << 20
                | u32::from(self.poisoned) << 14
                | u32::from(self.attr) << 12
                | (self.data.len() as u32 & 0x3FF),
            u32::from(self.completer) << 16 | u32::from(self.status) << 13 | (self.bytes & 0xFFF),
            u32::from(self.requester) << 16 | u32::from(self.tag) << 8 | u32::from(self.lower),
        ];
        d.extend(self.data.iter().map(|w| w.swap_bytes()));
        d
    }
}

impl Tlp {
    /// Takes apart what the device sent; anything a PCIe device may not send fails the test.
    pub(crate) fn decode(d: &[u32]) -> Self {
        assert!(d.len() >= 3, "a TLP of {} DWs", d.len());
        let (format, kind) = (d[0] >> 29, d[0] >> 24 & 0x1F);
        assert!(format < 4, "format {format}");
        // Reserved bits, and those of features we do not use: TH, TD, AT, attribute 2.
        assert_eq!(d[0] & 0x008F_8C00, 0, "reserved bits in {:08x}", d[0]);
        let header = if format & 1 == 1 { 4 } else { 3 };
        let length = if d[0] & 0x3FF == 0 {
            1024
        } else {
            d[0] & 0x3FF
        };
        let payload = if format & 2 == 2 { length as usize } else { 0 };
        assert_eq!(d.len(), header + payload, "length of {d:08x?}");
        let data: Vec<u32> = d[header..].iter().map(|w| w.swap_bytes()).collect();
        let (tc, attr, poisoned) = (
            (d[0] >> 20 & 7) as u8,
            (d[0] >> 12 & 3) as u8,
            d[0] >> 14 & 1 == 1,
        );
        match kind {
            0 => {
                let addr = if header == 4 {
                    u64::from(d[2]) << 32 | u64::from(d[3])
                } else {
                    u64::from(d[2])
                };
                assert_eq!(addr & 3, 0, "address bits 1:0");
                assert_eq!(header == 4, addr >> 32 != 0, "header size for {addr:x}");
                assert!(
                    addr % 4096 + u64::from(length) * 4 <= 4096,
                    "crosses 4 KiB: {addr:x} + {length}"
                );
                let (first_be, last_be) = ((d[1] & 0xF) as u8, (d[1] >> 4 & 0xF) as u8);
                assert_eq!(length == 1, last_be == 0, "last byte enables");
                assert_ne!(first_be, 0, "first byte enables");
                Self::Request(Request {
                    write: format & 2 == 2,
                    addr,
                    dwords: length,
                    requester: (d[1] >> 16) as u16,
                    tag: (d[1] >> 8) as u8,
                    first_be,
                    last_be,
                    tc,
                    attr,
                    poisoned,
                    data,
                })
            }
            0b0_1010 => {
                assert_eq!(header, 3);
                Self::Completion(Completion {
                    completer: (d[1] >> 16) as u16,
                    status: (d[1] >> 13 & 7) as u8,
                    bytes: d[1] & 0xFFF,
                    requester: (d[2] >> 16) as u16,
                    tag: (d[2] >> 8) as u8,
                    lower: (d[2] & 0x7F) as u8,
                    tc,
                    attr,
                    poisoned,
                    data,
                })
            }
            _ => panic!("type {kind:05b}"),
        }
    }
}

/// The DWs of a TLP as beats (PG054, 64-bit interface).
pub(crate) fn beats(dws: &[u32], bar: u8) -> Vec<TlpBeat> {
    let n = dws.len().div_ceil(2);
    dws.chunks(2)
        .enumerate()
        .map(|(i, c)| TlpBeat {
            d0: c[0],
            d1: c.get(1).copied().unwrap_or(0xDEAD_BEEF),
            half: c.len() == 1,
            last: i + 1 == n,
            bar,
        })
        .collect()
}

/// Splits the answer to a read of `dwords` DWs at `addr` as a completer may: at 64-byte borders (Read Completion Boundary), anywhere
/// among them that `cut` likes.
pub(crate) fn split(addr: u64, dwords: u32, mut cut: impl FnMut() -> bool) -> Vec<(u64, u32)> {
    let mut parts = vec![];
    let (mut at, end) = (addr, addr + u64::from(dwords) * 4);
    while at < end {
        let mut to = (at / 64 + 1) * 64;
        while to < end && !cut() {
            to += 64;
        }
        let to = to.min(end);
        parts.push((at, ((to - at) / 4) as u32));
        at = to;
    }
    parts
}

/// Seeded random numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// True in `n` of `of` cases.
    pub(crate) fn chance(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }
}

/// What memory holds at a DW address before anything is written.
pub(crate) fn word_at(addr: u64) -> u32 {
    Rng(addr & !3).next() as u32
}

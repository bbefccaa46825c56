//! GMII and MII symbols, frames, and clocks for the testbenches of the MAC; FCS by crc32fast.
use ferrule_rtl::pins::Gmii;

/// `len` bytes that differ from `seed` to `seed`.
pub(super) fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut x = seed | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            (x >> 11) as u8
        })
        .collect()
}

/// A UDP packet in an Ethernet frame, without FCS.
pub(super) fn udp_frame(payload: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(4000, 7);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("fits");
    frame
}

/// `frame` with its FCS.
pub(super) fn with_fcs(frame: &[u8]) -> Vec<u8> {
    let mut out = frame.to_vec();
    out.extend(crc32fast::hash(frame).to_le_bytes());
    out
}

/// `n` clocks without a carrier.
pub(super) fn gap(n: usize) -> impl Iterator<Item = Gmii> {
    std::iter::repeat_n(Gmii::default(), n)
}

/// A carrier: `preamble` bytes 55, the SFD, `bytes`.
pub(super) fn carrier(preamble: usize, bytes: &[u8]) -> Vec<Gmii> {
    let sfd = [0xD5];
    std::iter::repeat_n(&0x55, preamble)
        .chain(&sfd)
        .chain(bytes)
        .map(|&data| Gmii {
            data,
            valid: true,
            error: false,
        })
        .collect()
}

/// The same on an MII: two clocks a byte, bits 3:0 first (IEEE 802.3 figure 22-11). What MII has no pins for is not zero.
pub(super) fn nibbles(symbols: impl IntoIterator<Item = Gmii>) -> Vec<Gmii> {
    let half = |s: &Gmii, nibble: u8| Gmii {
        data: nibble & 0x0F | 0xA0,
        ..*s
    };
    let halves = symbols
        .into_iter()
        .map(|s| [half(&s, s.data), half(&s, s.data >> 4)]);
    halves.flatten().collect()
}

/// The bytes of one carrier on an MII.
fn from_nibbles(symbols: &[Gmii]) -> Vec<Gmii> {
    let pairs = symbols.chunks(2).map(|pair| {
        let [low, high] = pair else {
            panic!("half a byte");
        };
        Gmii {
            data: low.data & 0x0F | high.data << 4,
            valid: true,
            error: low.error | high.error,
        }
    });
    pairs.collect()
}

/// What is between two gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carrier {
    /// Clocks without TX_EN before it.
    pub(super) gap: usize,
    /// Its bytes, preamble and all.
    pub(super) bytes: Vec<u8>,
    /// TX_ER was high.
    pub(super) error: bool,
}

impl Carrier {
    /// The frame, if preamble, SFD, length and FCS are as IEEE 802.3 wants them.
    pub(super) fn frame(&self) -> &[u8] {
        assert_eq!(
            self.bytes[..8],
            [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5]
        );
        assert!(!self.error);
        let (frame, fcs) = self.bytes[8..].split_at(self.bytes.len() - 12);
        assert_eq!(fcs, crc32fast::hash(frame).to_le_bytes());
        assert!(frame.len() >= 60, "{} bytes", frame.len());
        frame
    }
}

/// Splits what a transmitter did; a carrier that is not over is left out.
pub(super) fn carriers(symbols: &[Gmii]) -> Vec<Carrier> {
    let mut out = Vec::new();
    let mut now = Carrier {
        gap: 0,
        bytes: Vec::new(),
        error: false,
    };
    for s in symbols {
        if s.valid {
            now.bytes.push(s.data);
            now.error |= s.error;
        } else {
            if !now.bytes.is_empty() {
                out.push(std::mem::replace(
                    &mut now,
                    Carrier {
                        gap: 0,
                        bytes: Vec::new(),
                        error: false,
                    },
                ));
            }
            now.gap += 1;
        }
    }
    out
}

/// Carriers of a transmitter that changes between GMII and MII; gaps in clocks. The SFD is the eighth byte, or the fifteenth and sixteenth nibble.
pub(super) fn mixed(symbols: &[Gmii]) -> Vec<Carrier> {
    let each = symbols.chunk_by(|a, b| a.valid == b.valid);
    let mut gap = 0;
    let mut out = Vec::new();
    for part in each {
        if part[0].valid {
            let of_mii = part.get(7).is_some_and(|s| s.data != 0xD5);
            let bytes = if of_mii {
                from_nibbles(part)
            } else {
                part.to_vec()
            };
            out.push(Carrier {
                gap,
                bytes: bytes.iter().map(|s| s.data).collect(),
                error: bytes.iter().any(|s| s.error),
            });
        } else {
            gap = part.len();
        }
    }
    out
}

/// A frame as the core gets it: bytes and `bad`.
pub(super) type Received = (Vec<u8>, u64);

/// `frame` padded with zeros to what the wire carries at least.
pub(super) fn padded(frame: &[u8]) -> Vec<u8> {
    let mut out = frame.to_vec();
    out.resize(out.len().max(60), 0);
    out
}

/// Three clocks of any period and phase: says which rise next.
#[derive(Debug, Clone)]
pub(super) struct Rising<const N: usize> {
    period: [u64; N],
    next: [u64; N],
}

impl<const N: usize> Rising<N> {
    /// Periods and phases in the same unit.
    pub(super) fn new(period: [u64; N], phase: [u64; N]) -> Self {
        Self {
            period,
            next: phase,
        }
    }

    /// The clocks that will rise at the next instant at which one does.
    pub(super) fn peek(&self) -> [bool; N] {
        let now = self.next.iter().min().expect("a clock");
        self.next.map(|n| n == *now)
    }

    /// Goes there.
    pub(super) fn step(&mut self) -> [bool; N] {
        let rises = self.peek();
        for ((next, period), rises) in self.next.iter_mut().zip(self.period).zip(rises) {
            *next += if rises { period } else { 0 };
        }
        rises
    }
}

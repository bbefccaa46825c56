//! PCIe transaction-layer packets as DWs and as beats of the core's stream (PCI Express Base Specification 2.1, section 2.2).
use ferrule_rtl::pins::TlpBeat;
use thiserror::Error;

/// Most DWs of payload a TLP can carry.
pub const MAX_DWORDS: usize = 1024;
/// Most DWs of a whole TLP: four of header, the payload and a digest.
const MAX_TLP_DWORDS: usize = 4 + MAX_DWORDS + 1;

/// Completion status (table 2-28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Successful Completion.
    Success,
    /// Unsupported Request.
    UnsupportedRequest,
    /// Configuration Request Retry Status.
    Retry,
    /// Completer Abort.
    CompleterAbort,
}

impl Status {
    const fn code(self) -> u32 {
        match self {
            Self::Success => 0b000,
            Self::UnsupportedRequest => 0b001,
            Self::Retry => 0b010,
            Self::CompleterAbort => 0b100,
        }
    }
    /// Section 2.2.9: a reserved value is handled as Unsupported Request.
    const fn from_code(code: u32) -> Self {
        match code {
            0b000 => Self::Success,
            0b010 => Self::Retry,
            0b100 => Self::CompleterAbort,
            _ => Self::UnsupportedRequest,
        }
    }
}

/// A TLP of the kinds that a NIC and a root complex exchange. Payloads are bytes in memory order, whole DWs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlp {
    /// Memory Read Request.
    MemRead {
        /// Bus, device, function of the requester.
        requester: u16,
        /// Transaction tag.
        tag: u8,
        /// Address of the first DW, a multiple of 4.
        addr: u64,
        /// DWs asked for, 1 to 1024.
        dwords: u16,
        /// Byte enables of the first DW.
        first_be: u8,
        /// Byte enables of the last DW; 0 with one DW.
        last_be: u8,
    },
    /// Memory Write Request.
    MemWrite {
        /// Bus, device, function of the requester.
        requester: u16,
        /// Transaction tag; of no meaning here.
        tag: u8,
        /// Address of the first DW, a multiple of 4.
        addr: u64,
        /// Byte enables of the first DW.
        first_be: u8,
        /// Byte enables of the last DW; 0 with one DW.
        last_be: u8,
        /// The EP bit: the payload is known to be bad.
        poisoned: bool,
        /// Payload.
        data: Vec<u8>,
    },
    /// Completion, with data or without.
    Completion {
        /// Bus, device, function of the completer.
        completer: u16,
        /// Outcome.
        status: Status,
        /// Bytes still missing of the whole answer, this completion's included: 1 to 4096.
        byte_count: u16,
        /// Bus, device, function of the requester.
        requester: u16,
        /// Tag of the request.
        tag: u8,
        /// Low seven bits of the address of the first enabled byte in this completion.
        lower_addr: u8,
        /// The EP bit: the payload is known to be bad.
        poisoned: bool,
        /// Payload; empty means Cpl, otherwise CplD.
        data: Vec<u8>,
    },
}

/// Why DWs are no TLP that this side understands.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TlpError {
    /// Fewer DWs than the header says, or more.
    #[error("malformed TLP: {got} DWs where the header says {want}")]
    Length {
        /// DWs there are.
        got: usize,
        /// DWs there should be.
        want: usize,
    },
    /// Byte enables against section 2.2.5.
    #[error("malformed TLP: byte enables first {first:#06b} last {last:#06b} with {dwords} DWs")]
    ByteEnables {
        /// First DW BE.
        first: u8,
        /// Last DW BE.
        last: u8,
        /// Length field.
        dwords: u16,
    },
    /// Address and length cross a 4 KiB border (section 2.2.7).
    #[error("malformed TLP: {dwords} DWs from {addr:#x} cross a 4 KiB border")]
    Crosses4K {
        /// Address of the first DW.
        addr: u64,
        /// Length field.
        dwords: u16,
    },
    /// The 64-bit format for an address below 4 GiB (section 2.2.4.1).
    #[error("4-DW header for the address {0:#x} below 4 GiB")]
    LongHeader(u64),
    /// A Fmt and Type that is well-formed PCIe, but nothing that a NIC sends or takes.
    #[error("unsupported TLP: Fmt and Type {0:#04x}")]
    Unsupported(u8),
}

const FMT_DATA: u32 = 0b010 << 29;
const FMT_4DW: u32 = 0b001 << 29;
const TYPE_CPL: u32 = 0b01010 << 24;
const TD: u32 = 1 << 15;
const EP: u32 = 1 << 14;

impl Tlp {
    /// The TLP as DWs: header fields in their natural bit positions, payload bytes with the lowest address in bits 31:24.
    ///
    /// Addresses below 4 GiB take the 3-DW header. Traffic class 0, no attributes, no digest.
    pub fn encode(&self) -> Vec<u32> {
        let request =
            |fmt: u32, ep: bool, dwords: usize, id: u16, tag: u8, be: (u8, u8), addr: u64| {
                let high = (addr >> 32) as u32;
                let fmt = if high == 0 { fmt } else { fmt | FMT_4DW };
                let mut dws = vec![
                    fmt | if ep { EP } else { 0 } | (dwords as u32 & 0x3FF),
                    u32::from(id) << 16
                        | u32::from(tag) << 8
                        | u32::from(be.1 & 15) << 4
                        | u32::from(be.0 & 15),
                ];
                if high != 0 {
                    dws.push(high);
                }
                dws.push(addr as u32 & !3);
                dws
            };
        let (mut dws, data) = match self {
            Self::MemRead {
                requester,
                tag,
                addr,
                dwords,
                first_be,
                last_be,
            } => (
                request(
                    0,
                    false,
                    usize::from(*dwords),
                    *requester,
                    *tag,
                    (*first_be, *last_be),
                    *addr,
                ),
                &[][..],
            ),
            Self::MemWrite {
                requester,
                tag,
                addr,
                first_be,
                last_be,
                poisoned,
                data,
            } => (
                request(
                    FMT_DATA,
                    *poisoned,
                    data.len() / 4,
                    *requester,
                    *tag,
                    (*first_be, *last_be),
                    *addr,
                ),
                &data[..],
            ),
            Self::Completion {
                completer,
                status,
                byte_count,
                requester,
                tag,
                lower_addr,
                poisoned,
                data,
            } => {
                let fmt = if data.is_empty() { 0 } else { FMT_DATA };
                let dws = vec![
                    fmt | TYPE_CPL
                        | if *poisoned { EP } else { 0 }
                        | ((data.len() / 4) as u32 & 0x3FF),
                    u32::from(*completer) << 16
                        | status.code() << 13
                        | u32::from(byte_count & 0xFFF),
                    u32::from(*requester) << 16
                        | u32::from(*tag) << 8
                        | u32::from(lower_addr & 0x7F),
                ];
                (dws, &data[..])
            }
        };
        dws.extend(
            data.chunks_exact(4)
                .map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]])),
        );
        dws
    }

    /// Parses and checks a whole TLP.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it may be acted upon then.
    pub fn decode(dws: &[u32]) -> Result<Self, TlpError> {
        let &[dw0, ..] = dws else {
            return Err(TlpError::Length { got: 0, want: 3 });
        };
        let fmt_type = (dw0 >> 24) as u8;
        let with_data = dw0 & FMT_DATA != 0;
        let header = if dw0 & FMT_4DW == 0 { 3 } else { 4 };
        let dwords = match dw0 & 0x3FF {
            0 => 1024,
            n => n as u16,
        };
        let payload = if with_data { usize::from(dwords) } else { 0 };
        let want = header + payload + usize::from(dw0 & TD != 0);
        if dws.len() != want {
            return Err(TlpError::Length {
                got: dws.len(),
                want,
            });
        }
        let data = || {
            dws[header..header + payload]
                .iter()
                .flat_map(|d| d.to_be_bytes())
                .collect()
        };
        let poisoned = dw0 & EP != 0;
        let (id, low) = ((dws[1] >> 16) as u16, dws[1] as u16);
        match fmt_type {
            0x00 | 0x20 | 0x40 | 0x60 => {
                let addr = match header {
                    3 => u64::from(dws[2] & !3),
                    _ => u64::from(dws[2]) << 32 | u64::from(dws[3] & !3),
                };
                let tag = (low >> 8) as u8;
                let (first_be, last_be) = (low as u8 & 15, (low as u8) >> 4);
                check_request(addr, dwords, first_be, last_be, header == 4)?;
                Ok(if with_data {
                    Self::MemWrite {
                        requester: id,
                        tag,
                        addr,
                        first_be,
                        last_be,
                        poisoned,
                        data: data(),
                    }
                } else {
                    Self::MemRead {
                        requester: id,
                        tag,
                        addr,
                        dwords,
                        first_be,
                        last_be,
                    }
                })
            }
            0x0A | 0x4A => Ok(Self::Completion {
                completer: id,
                status: Status::from_code(u32::from(low >> 13)),
                byte_count: match low & 0xFFF {
                    0 => 4096,
                    n => n,
                },
                requester: (dws[2] >> 16) as u16,
                tag: (dws[2] >> 8) as u8,
                lower_addr: dws[2] as u8 & 0x7F,
                poisoned,
                data: data(),
            }),
            other => Err(TlpError::Unsupported(other)),
        }
    }

    /// Payload bytes.
    pub fn payload_len(&self) -> usize {
        match self {
            Self::MemRead { .. } => 0,
            Self::MemWrite { data, .. } | Self::Completion { data, .. } => data.len(),
        }
    }
}

fn check_request(addr: u64, dwords: u16, first: u8, last: u8, long: bool) -> Result<(), TlpError> {
    // Section 2.2.5: gaps are allowed only within one DW or one aligned QW.
    let gaps_allowed = dwords == 1 || (dwords == 2 && addr & 4 == 0);
    let contiguous = matches!(first, 0b1111 | 0b1110 | 0b1100 | 0b1000)
        && matches!(last, 0b1111 | 0b0111 | 0b0011 | 0b0001);
    let ok = match dwords {
        1 => last == 0,
        _ => first != 0 && last != 0 && (gaps_allowed || contiguous),
    };
    if !ok {
        return Err(TlpError::ByteEnables {
            first,
            last,
            dwords,
        });
    }
    if (addr & 0xFFF) + u64::from(dwords) * 4 > 0x1000 {
        return Err(TlpError::Crosses4K { addr, dwords });
    }
    if long && addr >> 32 == 0 {
        return Err(TlpError::LongHeader(addr));
    }
    Ok(())
}

/// The byte enables of a request for the bytes `offset..offset + len`, its address and its number of DWs. `len` is at least 1.
pub fn byte_enables(offset: u64, len: u64) -> (u64, u16, u8, u8) {
    let end = offset + len;
    let dwords = (end.div_ceil(4) - offset / 4) as u16;
    let first = (0xF << (offset % 4)) & 0xF;
    let last = 0xF >> ((4 - end % 4) % 4);
    let (first, last) = if dwords == 1 {
        (first & last, 0)
    } else {
        (first, last)
    };
    (offset & !3, dwords, first as u8, last as u8)
}

/// Ranges of bytes that the byte enables select, relative to the address of the first DW, in order; adjacent ones joined.
pub fn enabled_ranges(dwords: usize, first_be: u8, last_be: u8) -> Vec<std::ops::Range<usize>> {
    let mut ranges: Vec<std::ops::Range<usize>> = vec![];
    let mut add = |start: usize, end: usize| match ranges.last_mut() {
        Some(r) if r.end == start => r.end = end,
        _ => ranges.push(start..end),
    };
    let bits = |be: u8| (0..4).filter(move |b| be >> b & 1 != 0);
    bits(first_be).for_each(|b| add(b, b + 1));
    if dwords > 2 {
        add(4, (dwords - 1) * 4);
    }
    if dwords > 1 {
        let at = (dwords - 1) * 4;
        bits(last_be).for_each(|b| add(at + b, at + b + 1));
    }
    ranges
}

/// Cuts DWs into beats of two, each tagged with the BAR that a request hits.
pub fn to_beats(dws: &[u32], bar: u8) -> impl Iterator<Item = TlpBeat> + '_ {
    let count = dws.len().div_ceil(2);
    dws.chunks(2).enumerate().map(move |(i, pair)| TlpBeat {
        d0: pair[0],
        d1: pair.get(1).copied().unwrap_or(0),
        half: pair.len() == 1,
        last: i + 1 == count,
        bar,
    })
}

/// Puts beats together to TLPs.
#[derive(Debug, Default)]
pub struct Assembler {
    dws: Vec<u32>,
}

impl Assembler {
    /// Takes a beat; with the last one, gives the DWs. A TLP beyond the longest possible is cut there, so that its length is found wrong.
    pub fn push(&mut self, beat: TlpBeat) -> Option<Vec<u32>> {
        if self.dws.len() < MAX_TLP_DWORDS {
            self.dws.push(beat.d0);
            if !(beat.last && beat.half) {
                self.dws.push(beat.d1);
            }
        }
        beat.last.then(|| std::mem::take(&mut self.dws))
    }
    /// Whether a TLP has begun and not ended.
    pub fn in_tlp(&self) -> bool {
        !self.dws.is_empty()
    }
}

#[cfg(test)]
mod tests;

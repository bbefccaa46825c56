//! The root complex for a device without pins: register accesses are taken whole, DMA is done at once, and the TLPs that all of it would
//! have been are counted by arithmetic.
use super::{Downstream, ReadId, RootComplex, Split, Vectors, RCB_BYTES};
use crate::model::{Bus, ReadOutcome};
use crate::tlp::Tlp;

/// An access of the host to a BAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Posted: several DWs, all bytes of them.
    Block {
        /// BAR.
        bar: u8,
        /// Byte offset of the first.
        offset: u32,
        /// Their values.
        values: Vec<u32>,
    },
    /// Posted.
    Write {
        /// BAR.
        bar: u8,
        /// Byte offset in it.
        offset: u32,
        /// Byte enables.
        first_be: u8,
        /// Value.
        value: u32,
    },
    /// To be answered through [`RootComplex::answer_read`].
    Read {
        /// Which read.
        id: ReadId,
        /// BAR.
        bar: u8,
        /// Byte offset in it.
        offset: u32,
        /// Byte enables.
        first_be: u8,
    },
}

impl RootComplex {
    /// Whether the device is to be reset now; the reset is over with this call.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset_cycles) > 0
    }

    /// The next register access, in the order in which they arose.
    pub fn next_access(&mut self) -> Option<Access> {
        loop {
            match self.queue.pop_front()? {
                Downstream::Write { bar, tlp } => {
                    let Tlp::MemWrite {
                        addr,
                        first_be,
                        ref data,
                        ..
                    } = tlp
                    else {
                        continue;
                    };
                    let offset = self.bar_offset(bar, addr);
                    let dw = |d: &[u8]| u32::from_le_bytes([d[0], d[1], d[2], d[3]]);
                    let values: Vec<u32> = data.chunks_exact(4).map(dw).collect();
                    self.stats.down.add_writes(1, addr, values.len() as u64);
                    return Some(match values[..] {
                        [value] => Access::Write {
                            bar,
                            offset,
                            first_be,
                            value,
                        },
                        _ => Access::Block {
                            bar,
                            offset,
                            values,
                        },
                    });
                }
                Downstream::Read {
                    bar,
                    id,
                    addr,
                    first_be,
                } => {
                    self.stats.down.add_reads(1, addr);
                    return Some(Access::Read {
                        id,
                        bar,
                        offset: self.bar_offset(bar, addr),
                        first_be,
                    });
                }
                // An answer to a device with pins, which this one is not.
                Downstream::Completion(_) => {}
            }
        }
    }

    /// Where in its BAR a register is.
    fn bar_offset(&self, bar: u8, addr: u64) -> u32 {
        addr as u32 & self.config.bar_size(bar).saturating_sub(1)
    }

    /// Answers a read; without a value the device has refused it.
    pub fn answer_read(&mut self, id: ReadId, value: Option<u32>) {
        match value {
            Some(_) => self.stats.up.add_completions(1, 1),
            None => self.stats.up.add_completions(1, 0),
        }
        self.answers.insert(id, value.unwrap_or(u32::MAX));
    }

    /// Reads the whole DWs of one request; none if it is refused, else how many completions it takes.
    fn read_request(&mut self, address: u64, out: &mut [u8]) -> Option<u64> {
        let first = address & !3;
        let dwords = ((address & 3) + out.len() as u64).div_ceil(4);
        self.stats.up.add_reads(1, first);
        if Vectors::covers(first) || self.dma.read(address, out).is_err() {
            self.stats.refused_reads += 1;
            self.stats.down.add_completions(1, 0);
            return None;
        }
        let completions = self.completions(first, 4 * dwords);
        self.stats.down.add_completions(completions, dwords);
        Some(completions)
    }

    /// How many completions the answer to a request takes (section 2.3.1.1).
    fn completions(&self, address: u64, bytes: u64) -> u64 {
        let step = match self.settings.split {
            Split::Largest => 128 << self.config.max_payload(),
            Split::Cacheline | Split::Random { .. } => RCB_BYTES,
        };
        (address + (bytes - 1)) / step - address / step + 1
    }
}

/// The stretches of `len` bytes from `address` that end at multiples of `border`: offset and length of each.
fn stretches(address: u64, len: usize, border: u64) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let here = address.wrapping_add(at as u64);
        let room = (border - here % border) as usize;
        let step = room.min(len - at);
        let stretch = (step > 0).then_some((at, step));
        at += step;
        stretch
    })
}

impl Bus for RootComplex {
    fn read(&mut self, address: u64, out: &mut [u8], border: u64) -> ReadOutcome {
        let mut outcome = ReadOutcome::default();
        let may = self.config.bus_master();
        for (at, len) in stretches(address, out.len(), border) {
            if !may {
                outcome.errors += 1;
                continue;
            }
            outcome.requests += 1;
            let here = address.wrapping_add(at as u64);
            match self.read_request(here, &mut out[at..at + len]) {
                Some(completions) => outcome.completions += completions,
                None => {
                    outcome.completions += 1;
                    outcome.errors += 1;
                }
            }
        }
        outcome
    }

    fn write(&mut self, address: u64, data: &[u8], border: u64) -> u64 {
        if !self.config.bus_master() {
            return 0;
        }
        let mut sent = 0;
        for (at, len) in stretches(address, data.len(), border) {
            sent += 1;
            let here = address.wrapping_add(at as u64);
            let data = &data[at..at + len];
            self.stats.up.add_writes(1, here, len.div_ceil(4) as u64);
            if Vectors::covers(here) {
                if len == 4 && self.vectors.message(here, data) {
                    self.stats.interrupts += 1;
                } else {
                    self.violation(format!(
                        "a message {data:02x?} to {here:#x}, which no vector sends"
                    ));
                }
            } else if let Err(e) = self.dma.write(here, data) {
                tracing::debug!("a write of the device to {here:#x} is refused: {e}");
                self.stats.refused_writes += 1;
            }
        }
        sent
    }

    fn bus_master(&self) -> bool {
        self.config.bus_master()
    }

    fn max_payload(&self) -> u64 {
        128 << self.config.max_payload()
    }

    fn max_read(&self) -> u64 {
        128 << self.config.max_read()
    }

    fn messages(&self) -> bool {
        self.config.msix_enabled() && !self.config.msix_masked()
    }
}

//! A small device in plain Rust behind the pins of the NIC, to test what is around it: registers, DMA, MSI-X, a timer, an echo on the wire.
use std::collections::VecDeque;
use std::path::Path;

use ferrule_abi::{BAR_MSIX, BAR_REGS};
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};

use crate::engine::{Engine, EngineError};
use crate::tlp::{to_beats, Assembler, Status, Tlp};

/// Register: identity.
pub(crate) const ID: u32 = 0x00;
/// Value of [`ID`].
pub(crate) const ID_VALUE: u32 = 0x4C55_5246;
/// Register: keeps what is written.
pub(crate) const SCRATCH: u32 = 0x04;
/// Register: a write copies 4 bytes from this address to the next 4 and sends vector 0.
pub(crate) const COPY: u32 = 0x08;
/// Register: a write arms the timer for this tick; then vector 1 is sent.
pub(crate) const TIMER: u32 = 0x0C;
/// Register: how many writes came.
pub(crate) const WRITES: u32 = 0x10;
/// Register: reading it is never answered.
pub(crate) const SILENT: u32 = 0x14;

pub(crate) struct FakeDevice {
    assembler: Assembler,
    out: VecDeque<TlpBeat>,
    registers: [u32; 8],
    table: [u32; 16],
    /// Address of a copy whose data is awaited.
    copying: Option<u64>,
    timer: Option<u32>,
    /// What was received, to be sent in the next byte time.
    echo: Gmii,
    id: u16,
    cycles: u64,
}

impl FakeDevice {
    pub(crate) fn new() -> Self {
        Self {
            assembler: Assembler::default(),
            out: VecDeque::new(),
            registers: [ID_VALUE, 0, 0, 0, 0, 0, 0, 0],
            table: [0; 16],
            copying: None,
            timer: None,
            echo: Gmii::default(),
            id: 0,
            cycles: 0,
        }
    }

    fn send(&mut self, tlp: &Tlp) {
        self.out.extend(to_beats(&tlp.encode(), 0));
    }

    fn write(&mut self, addr: u64, value: u32) {
        self.send(&Tlp::MemWrite {
            requester: self.id,
            tag: 0,
            addr,
            first_be: 0xF,
            last_be: 0,
            poisoned: false,
            data: value.to_le_bytes().to_vec(),
        });
    }

    fn interrupt(&mut self, vector: usize) {
        let entry = &self.table[vector * 4..vector * 4 + 4];
        if entry[3] & 1 == 0 && entry[0] != 0 {
            self.write(u64::from(entry[0]), entry[2]);
        }
    }

    fn receive(&mut self, bar: u8, tlp: Tlp) {
        match tlp {
            Tlp::MemRead {
                requester,
                tag,
                addr,
                dwords: 1,
                first_be,
                ..
            } => {
                let at = (addr & 0xF_FFFF) as u32;
                let value = self
                    .registers
                    .get(at as usize / 4)
                    .filter(|_| bar == BAR_REGS);
                let (status, data) = match value {
                    _ if bar == BAR_REGS && at == SILENT => return,
                    Some(value) if first_be == 0xF => {
                        (Status::Success, value.to_le_bytes().to_vec())
                    }
                    _ => (Status::UnsupportedRequest, vec![]),
                };
                self.send(&Tlp::Completion {
                    completer: self.id,
                    status,
                    byte_count: 4,
                    requester,
                    tag,
                    lower_addr: (addr & 0x7F) as u8,
                    poisoned: false,
                    data,
                });
            }
            Tlp::MemWrite {
                addr,
                first_be: 0xF,
                data,
                ..
            } => {
                let at = (addr & 0xF_FFFF) as u32;
                let value = u32::from_le_bytes([data[0], data[1], data[2], data[3]]);
                if bar == BAR_MSIX {
                    if let Some(entry) = self.table.get_mut(at as usize / 4) {
                        *entry = value;
                    }
                    return;
                }
                self.registers[WRITES as usize / 4] += 1;
                match at {
                    SCRATCH => self.registers[SCRATCH as usize / 4] = value,
                    TIMER => self.timer = Some(value),
                    COPY => {
                        self.copying = Some(value.into());
                        self.send(&Tlp::MemRead {
                            requester: self.id,
                            tag: 1,
                            addr: value.into(),
                            dwords: 1,
                            first_be: 0xF,
                            last_be: 0,
                        });
                    }
                    _ => {}
                }
            }
            Tlp::Completion { data, .. } => {
                if let Some(from) = self.copying.take() {
                    if let Ok(data) = <[u8; 4]>::try_from(&data[..]) {
                        self.write(from + 4, u32::from_le_bytes(data));
                    }
                    self.interrupt(0);
                }
            }
            Tlp::MemRead { .. } | Tlp::MemWrite { .. } => {}
        }
    }
}

impl Engine for FakeDevice {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.id = inputs.completer_id;
        let outputs = Outputs {
            tlp_rx_ready: true,
            tlp_tx: self.out.front().copied(),
            gmii_tx: self.echo,
            busy: !self.out.is_empty() || self.copying.is_some() || self.echo.valid,
            deadline: self.timer,
        };
        self.cycles += u64::from(clocks.core);
        if clocks.rx && clocks.tx {
            self.echo = inputs.gmii_rx;
        }
        if !clocks.core {
            return outputs;
        }
        if inputs.reset {
            *self = Self {
                cycles: self.cycles,
                ..Self::new()
            };
            return outputs;
        }
        if inputs.tlp_tx_ready {
            self.out.pop_front();
        }
        let tick = (inputs.time_ns / ferrule_abi::TICK_NS) as u32;
        if self.timer.is_some_and(|t| t <= tick) {
            self.timer = None;
            self.interrupt(1);
        }
        if let Some(beat) = inputs.tlp_rx {
            if let Some(dws) = self.assembler.push(beat) {
                let tlp = Tlp::decode(&dws).expect("the root complex sends good TLPs");
                self.receive(beat.bar, tlp);
            }
        }
        outputs
    }
    fn name(&self) -> &'static str {
        "fake"
    }
    fn cycles(&self) -> u64 {
        self.cycles
    }
    fn trace_start(&mut self, _: &Path) -> Result<(), EngineError> {
        Err(EngineError::NoTracing)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

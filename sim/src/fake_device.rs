//! A small device in plain Rust behind the pins of the NIC, to test what is around it: registers, DMA, MSI-X, a timer, an echo on the wire. Each of
//! its ports has its own registers and vectors.
use std::collections::VecDeque;
use std::path::Path;

use ferrule_abi::{port_vector, BAR_MSIX, BAR_REGS, BAR_REGS_SIZE, MSIX_ENTRY_SIZE};
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};

use crate::engine::{Engine, EngineError};
use crate::tlp::{to_beats, Assembler, Status, Tlp};

/// Register: identity.
pub(crate) const ID: u32 = 0x00;
/// Value of [`ID`].
pub(crate) const ID_VALUE: u32 = 0x4C55_5246;
/// Register: keeps what is written.
pub(crate) const SCRATCH: u32 = 0x04;
/// Register: a write copies 4 bytes from this address to the next 4 and sends the port's vector 0.
pub(crate) const COPY: u32 = 0x08;
/// Register: a write arms the timer for this tick; then the port's vector 1 is sent.
pub(crate) const TIMER: u32 = 0x0C;
/// Register: how many writes came.
pub(crate) const WRITES: u32 = 0x10;
/// Register: reading it is never answered.
pub(crate) const SILENT: u32 = 0x14;

pub(crate) struct FakeDevice {
    assembler: Assembler,
    out: VecDeque<TlpBeat>,
    ports: Vec<Port>,
    table: Vec<u32>,
    /// What was received, to be sent in the next byte time.
    echo: Gmii,
    id: u16,
    cycles: u64,
}

#[derive(Clone, Copy)]
struct Port {
    registers: [u32; 8],
    /// Address of a copy whose data is awaited.
    copying: Option<u64>,
    timer: Option<u32>,
}

/// Words of an entry of the MSI-X table.
const ENTRY_WORDS: usize = MSIX_ENTRY_SIZE as usize / 4;

impl FakeDevice {
    pub(crate) fn new() -> Self {
        Self::with_ports(1)
    }

    pub(crate) fn with_ports(ports: u8) -> Self {
        let port = Port {
            registers: [ID_VALUE, 0, 0, 0, 0, 0, 0, 0],
            copying: None,
            timer: None,
        };
        Self {
            assembler: Assembler::default(),
            out: VecDeque::new(),
            ports: vec![port; ports.into()],
            table: vec![0; usize::from(port_vector(ports)) * ENTRY_WORDS],
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

    fn interrupt(&mut self, port: usize, vector: usize) {
        let first = (usize::from(port_vector(1)) * port + vector) * ENTRY_WORDS;
        let entry = &self.table[first..first + ENTRY_WORDS];
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
                let (port, at) = place(addr);
                let value = self
                    .ports
                    .get(port)
                    .and_then(|port| port.registers.get(at as usize / 4))
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
                let (port, at) = place(addr);
                let value = u32::from_le_bytes([data[0], data[1], data[2], data[3]]);
                if bar == BAR_MSIX {
                    if let Some(entry) = self.table.get_mut(at as usize / 4) {
                        *entry = value;
                    }
                    return;
                }
                let Some(state) = self.ports.get_mut(port) else {
                    return;
                };
                state.registers[WRITES as usize / 4] += 1;
                match at {
                    SCRATCH => state.registers[SCRATCH as usize / 4] = value,
                    TIMER => state.timer = Some(value),
                    COPY => {
                        state.copying = Some(value.into());
                        self.send(&Tlp::MemRead {
                            requester: self.id,
                            tag: tag_of(port),
                            addr: value.into(),
                            dwords: 1,
                            first_be: 0xF,
                            last_be: 0,
                        });
                    }
                    _ => {}
                }
            }
            Tlp::Completion { tag, data, .. } => {
                let waits =
                    |port: &usize| tag_of(*port) == tag && self.ports[*port].copying.is_some();
                let Some(port) = (0..self.ports.len()).find(waits) else {
                    return;
                };
                if let Some(from) = self.ports[port].copying.take() {
                    if let Ok(data) = <[u8; 4]>::try_from(&data[..]) {
                        self.write(from + 4, u32::from_le_bytes(data));
                    }
                    self.interrupt(port, 0);
                }
            }
            Tlp::MemRead { .. } | Tlp::MemWrite { .. } => {}
        }
    }
}

/// The port and the offset in its registers that an address means.
fn place(addr: u64) -> (usize, u32) {
    let offset = addr as u32;
    ((offset / BAR_REGS_SIZE) as usize, offset % BAR_REGS_SIZE)
}

/// Tag of a port's reads: the second port's have bit 3 set, as the board's NIC has it.
fn tag_of(port: usize) -> u8 {
    1 | (port as u8) << 3
}

impl Engine for FakeDevice {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.id = inputs.completer_id;
        let outputs = Outputs {
            tlp_rx_ready: true,
            tlp_tx: self.out.front().copied(),
            gmii_tx: self.echo,
            busy: !self.out.is_empty()
                || self.ports.iter().any(|p| p.copying.is_some())
                || self.echo.valid,
            deadline: self.ports.iter().filter_map(|p| p.timer).min(),
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
                ..Self::with_ports(self.ports.len() as u8)
            };
            return outputs;
        }
        if inputs.tlp_tx_ready {
            self.out.pop_front();
        }
        let tick = (inputs.time_ns / ferrule_abi::TICK_NS) as u32;
        for port in 0..self.ports.len() {
            if self.ports[port].timer.is_some_and(|t| t <= tick) {
                self.ports[port].timer = None;
                self.interrupt(port, 1);
            }
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

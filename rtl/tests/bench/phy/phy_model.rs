//! A PHY as the standard has it: a slave on the management interface, bit by bit (IEEE 802.3 clause 22.2.4.5), and its registers with a link partner.

/// What the other end of the cable advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partner {
    /// A base page, and bits 15:10 of GBSR.
    Negotiates { base: u16, gigabit: u16 },
    /// Sends 100BASE-TX idle without negotiating: parallel detection (clause 28.2.3.1) gives half duplex.
    Fixed100,
}

/// BMSR and the partner's registers, as negotiation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Negotiation {
    /// So many clocks until it is complete.
    Running(u64),
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serial {
    /// Ones so far.
    Preamble(u32),
    /// The first zero of ST came; bits of ST, OP, PHYAD, REGAD so far.
    Header {
        bits: u32,
        value: u16,
    },
    /// Bits of TA and data so far.
    Read {
        register: u8,
        bits: u32,
        value: u16,
    },
    Write {
        register: u8,
        bits: u32,
        value: u32,
    },
}

/// The PHY.
pub(super) struct PhyModel {
    pub(super) address: u8,
    pub(super) partner: Option<Partner>,
    /// Clocks from a rise of MDC to what this side drives: 300 ns at most (clause 22.3.4).
    pub(super) delay: u64,
    /// Clocks that negotiation takes.
    pub(super) negotiation_takes: u64,
    /// In reset: it hears nothing.
    pub(super) held: bool,
    /// Writes that came: register and value.
    pub(super) written: Vec<(u8, u16)>,
    /// Transfers for this address.
    pub(super) transfers: u64,
    registers: [u16; 32],
    negotiation: Negotiation,
    link_was_down: bool,
    serial: Serial,
    drives: Option<bool>,
    /// What it will drive, and when.
    turn: Option<(u64, Option<bool>)>,
    now: u64,
    mdc: bool,
    mdc_since: u64,
    mdio: bool,
    mdio_since: u64,
    risen: Option<u64>,
}

impl PhyModel {
    pub(super) fn new(address: u8) -> Self {
        let mut phy = Self {
            address,
            partner: None,
            delay: 0,
            negotiation_takes: 20_000,
            held: false,
            written: vec![],
            transfers: 0,
            registers: [0; 32],
            negotiation: Negotiation::Complete,
            link_was_down: true,
            serial: Serial::Preamble(0),
            drives: None,
            turn: None,
            now: 1_000,
            mdc: false,
            mdc_since: 0,
            mdio: true,
            mdio_since: 0,
            risen: None,
        };
        phy.reset();
        phy
    }

    /// Registers as after a reset: everything is advertised; nothing is driven.
    pub(super) fn reset(&mut self) {
        (self.drives, self.turn) = (None, None);
        self.registers = [0; 32];
        self.registers[0] = 0x1000;
        self.registers[2] = 0x0141;
        self.registers[3] = 0x0DD0;
        self.registers[4] = 0x01E1;
        self.registers[9] = 0x0300;
        self.registers[15] = 0x3000;
        self.restart();
        self.serial = Serial::Preamble(0);
    }

    /// The cable is pulled out or put in.
    pub(super) fn connect(&mut self, partner: Option<Partner>) {
        self.partner = partner;
        self.restart();
    }

    pub(super) fn register(&self, register: u8) -> u16 {
        self.registers[usize::from(register)]
    }

    fn restart(&mut self) {
        self.link_was_down = true;
        self.negotiation = Negotiation::Running(self.negotiation_takes);
    }

    fn base(&self) -> u16 {
        match self.partner {
            Some(Partner::Negotiates { base, .. }) => base,
            Some(Partner::Fixed100) => 0x0080,
            None => 0,
        }
    }

    fn gigabit(&self) -> u16 {
        match self.partner {
            Some(Partner::Negotiates { gigabit, .. }) => gigabit,
            _ => 0,
        }
    }

    /// The speed that negotiation came to, as STATUS.SPEED has it: the best one that both sides have (IEEE 802.3 clause 28B.3), by bits 9:5 of the base pages
    /// and 1000BASE-T; 100 Mbit/s where it was found in parallel.
    pub(super) fn speed(&self) -> Option<u8> {
        if self.negotiation != Negotiation::Complete {
            return None;
        }
        match self.partner? {
            Partner::Fixed100 => Some(1),
            Partner::Negotiates { base, gigabit } => {
                let common = self.registers[4] & base;
                match common & 0x03E0 {
                    _ if self.registers[9] & 0x0300 & (gigabit >> 2) != 0 => Some(2),
                    0 => None,
                    common => Some(u8::from(common & 0x0380 != 0)),
                }
            }
        }
    }

    fn linked(&self) -> bool {
        self.speed().is_some()
    }

    fn read(&mut self, register: u8) -> u16 {
        let complete = self.negotiation == Negotiation::Complete && self.partner.is_some();
        match register {
            1 => {
                // Link status latches low until it is read (clause 22.2.4.2.13).
                let linked = self.linked();
                let was_down = std::mem::replace(&mut self.link_was_down, !linked);
                0x7949 | u16::from(linked && !was_down) << 2 | u16::from(complete) << 5
            }
            5 if complete => self.base(),
            10 if complete => self.gigabit(),
            5 | 10 => 0,
            r => self.registers[usize::from(r)],
        }
    }

    fn write(&mut self, register: u8, value: u16) {
        self.written.push((register, value));
        if matches!(register, 0 | 4 | 9) {
            self.registers[usize::from(register)] = value;
        }
        if register == 0 && value & 0x0200 != 0 {
            // Restart clears itself.
            self.registers[0] &= !0x0200;
            self.restart();
        }
    }

    /// One clock of 8 ns: what the station drives; gives the level of MDIO.
    pub(super) fn clock(&mut self, mdc: bool, driven: Option<bool>) -> bool {
        self.now += 1;
        if self.held {
            return driven.unwrap_or(true);
        }
        if let Negotiation::Running(left) = &mut self.negotiation {
            *left = left.saturating_sub(u64::from(self.partner.is_some()));
            if *left == 0 && self.partner.is_some() {
                self.negotiation = Negotiation::Complete;
            }
        }
        if let Some((at, value)) = self.turn {
            if at <= self.now {
                self.drives = value;
                self.turn = None;
            }
        }
        assert!(
            driven.is_none() || self.drives.is_none(),
            "two drivers on MDIO"
        );
        let mdio = driven.or(self.drives).unwrap_or(true);
        self.watch(mdc, driven);
        let rises = mdc && !self.mdc;
        if mdc != self.mdc {
            (self.mdc, self.mdc_since) = (mdc, self.now);
        }
        if rises {
            let next = self.rise(mdio);
            if next != self.drives {
                self.turn = Some((self.now + self.delay, next));
            }
        }
        mdio
    }

    /// The times of clause 22.3.4 and 22.2.2.13: MDC 160 ns high and low, 400 ns long; MDIO stands 10 ns before and after its rise.
    fn watch(&mut self, mdc: bool, driven: Option<bool>) {
        let level = driven.unwrap_or(true);
        if level != self.mdio {
            let after = self.risen.map_or(u64::MAX, |at| self.now - at);
            assert!(after >= 2, "MDIO changes {after} clocks after a rise");
            (self.mdio, self.mdio_since) = (level, self.now);
        }
        if mdc != self.mdc {
            assert!(
                self.now - self.mdc_since >= 20,
                "MDC stood for less than 160 ns"
            );
            if mdc {
                assert!(
                    self.now - self.mdio_since >= 2,
                    "MDIO changes just before a rise"
                );
                let period = self.risen.map_or(u64::MAX, |at| self.now - at);
                assert!(period >= 50, "MDC takes {period} clocks");
                self.risen = Some(self.now);
            }
        }
    }

    /// A bit is read; what this side drives next.
    fn rise(&mut self, bit: bool) -> Option<bool> {
        let one = u16::from(bit);
        self.serial = match self.serial {
            Serial::Preamble(ones) if bit => Serial::Preamble(ones + 1),
            Serial::Preamble(ones) if ones >= 32 => Serial::Header { bits: 1, value: 0 },
            Serial::Preamble(_) => Serial::Preamble(0),
            Serial::Header { bits: 13, value } => {
                let value = value << 1 | one;
                let (start, operation) = (value >> 12, value >> 10 & 3);
                let (phy, register) = ((value >> 5 & 31) as u8, (value & 31) as u8);
                assert_eq!(start, 1, "ST");
                match (phy == self.address, operation) {
                    (true, 2) => Serial::Read {
                        register,
                        bits: 0,
                        value: 0,
                    },
                    (true, 1) => Serial::Write {
                        register,
                        bits: 0,
                        value: 0,
                    },
                    (_, 1 | 2) => Serial::Preamble(0),
                    _ => panic!("OP {operation}"),
                }
            }
            Serial::Header { bits, value } => Serial::Header {
                bits: bits + 1,
                value: value << 1 | one,
            },
            Serial::Read {
                register,
                bits,
                value,
            } => {
                // The first bit of TA is nobody's, the second one and the data are this side's.
                let value = if bits == 0 {
                    self.read(register)
                } else {
                    value
                };
                if bits == 17 {
                    self.transfers += 1;
                    self.serial = Serial::Preamble(0);
                    return None;
                }
                self.serial = Serial::Read {
                    register,
                    bits: bits + 1,
                    value,
                };
                return Some(bits > 0 && value >> (16 - bits) & 1 != 0);
            }
            Serial::Write {
                register,
                bits,
                value,
            } => {
                let value = value << 1 | u32::from(bit);
                if bits == 17 {
                    assert_eq!(value >> 16, 2, "TA");
                    self.transfers += 1;
                    self.write(register, value as u16);
                    Serial::Preamble(0)
                } else {
                    Serial::Write {
                        register,
                        bits: bits + 1,
                        value,
                    }
                }
            }
        };
        None
    }
}

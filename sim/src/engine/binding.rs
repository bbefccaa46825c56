//! How the plain values of [`ferrule_rtl::pins`] meet the ports of a core: natively by field, in a model of the Verilog by name.
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};

/// A core whose ports are those of [`ferrule_rtl::pins`]; implemented with [`bind_top!`](crate::bind_top).
pub trait Top {
    /// Drives all inputs but the clocks.
    fn drive(&mut self, inputs: &Inputs);
    /// Reads all outputs.
    fn sample(&self) -> Outputs;
    /// Sets each clock: high if it is in the mask, else low.
    fn clocks(&mut self, high: Clocks);
}

/// The upper and lower word of what the core takes as two ports.
pub fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

/// A MAC address as `mac_hi` and `mac_lo`: the first byte on the wire in bits 7:0 of `mac_lo`.
pub fn mac_halves(mac: [u8; 6]) -> (u16, u32) {
    let [a, b, c, d, e, f] = mac;
    (u16::from_le_bytes([e, f]), u32::from_le_bytes([a, b, c, d]))
}

/// Implements [`Top`](crate::engine::Top) for a core with the NIC's port names.
#[macro_export]
macro_rules! bind_top {
    ($top:ty) => {
        impl $crate::engine::Top for $top {
            fn drive(&mut self, inputs: &::ferrule_rtl::pins::Inputs) {
                let (time_hi, time_lo) = $crate::engine::binding::halves(inputs.time_ns);
                let (mac_hi, mac_lo) = $crate::engine::binding::mac_halves(inputs.mac);
                let beat = inputs.tlp_rx.unwrap_or_default();
                self.reset.next = inputs.reset;
                self.time_lo.next = u64::from(time_lo).into();
                self.time_hi.next = u64::from(time_hi).into();
                self.mac_lo.next = u64::from(mac_lo).into();
                self.mac_hi.next = u64::from(mac_hi).into();
                self.link_up.next = inputs.link_up;
                self.link_speed.next = u64::from(inputs.link_speed & 3).into();
                // No PHY is attached: a transfer is over at once, and what it reads is all ones.
                self.mdio.done.next = true;
                self.mdio.rdata.next = 0xFFFF_u64.into();
                self.completer_id.next = u64::from(inputs.completer_id).into();
                self.bus_master.next = inputs.bus_master;
                self.max_payload.next = u64::from(inputs.max_payload & 7).into();
                self.max_read.next = u64::from(inputs.max_read & 7).into();
                self.msix_enable.next = inputs.msix_enable;
                self.msix_mask.next = inputs.msix_mask;
                self.tlp_rx.d0.next = u64::from(beat.d0).into();
                self.tlp_rx.d1.next = u64::from(beat.d1).into();
                self.tlp_rx.half.next = beat.half;
                self.tlp_rx.last.next = beat.last;
                self.tlp_rx.bar.next = u64::from(beat.bar & 7).into();
                self.tlp_rx.valid.next = inputs.tlp_rx.is_some();
                self.tlp_tx.ready.next = inputs.tlp_tx_ready;
                self.gmii_rxd.next = u64::from(inputs.gmii_rx.data).into();
                self.gmii_rx_dv.next = inputs.gmii_rx.valid;
                self.gmii_rx_er.next = inputs.gmii_rx.error;
            }

            fn sample(&self) -> ::ferrule_rtl::pins::Outputs {
                let tx = &self.tlp_tx;
                ::ferrule_rtl::pins::Outputs {
                    tlp_rx_ready: self.tlp_rx.ready.val(),
                    tlp_tx: tx.valid.val().then(|| ::ferrule_rtl::pins::TlpBeat {
                        d0: tx.d0.val().to_u32(),
                        d1: tx.d1.val().to_u32(),
                        half: tx.half.val(),
                        last: tx.last.val(),
                        bar: tx.bar.val().to_u8(),
                    }),
                    gmii_tx: ::ferrule_rtl::pins::Gmii {
                        data: self.gmii_txd.val().to_u8(),
                        valid: self.gmii_tx_en.val(),
                        error: self.gmii_tx_er.val(),
                    },
                    busy: self.busy.val(),
                    deadline: self
                        .deadline_valid
                        .val()
                        .then(|| self.deadline.val().to_u32()),
                }
            }

            fn clocks(&mut self, high: ::ferrule_rtl::pins::Clocks) {
                self.clock.next = high.core.into();
                self.gmii_rx_clk.next = high.rx.into();
                self.gmii_tx_clk.next = high.tx.into();
            }
        }
    };
}

/// Where the ports of a model of the Verilog are: made once by name, `P` is whatever reaches a port.
pub(super) struct Ports<P> {
    clock: P,
    gmii_rx_clk: P,
    gmii_tx_clk: P,
    reset: P,
    time_lo: P,
    time_hi: P,
    mac_lo: P,
    mac_hi: P,
    link_up: P,
    link_speed: P,
    mdio_done: P,
    mdio_rdata: P,
    completer_id: P,
    bus_master: P,
    max_payload: P,
    max_read: P,
    msix_enable: P,
    msix_mask: P,
    rx_d0: P,
    rx_d1: P,
    rx_half: P,
    rx_last: P,
    rx_bar: P,
    rx_valid: P,
    rx_ready: P,
    tx_d0: P,
    tx_d1: P,
    tx_half: P,
    tx_last: P,
    tx_bar: P,
    tx_valid: P,
    tx_ready: P,
    gmii_rxd: P,
    gmii_rx_dv: P,
    gmii_rx_er: P,
    gmii_txd: P,
    gmii_tx_en: P,
    gmii_tx_er: P,
    busy: P,
    deadline: P,
    deadline_valid: P,
}

/// A model's values at its ports, each at most 32 bits wide.
pub(super) trait Access<P> {
    fn set(&mut self, port: &P, value: u32);
    fn get(&self, port: &P) -> u32;
}

impl<P> Ports<P> {
    /// Finds each port by name and width in bits.
    pub(super) fn find<E>(mut port: impl FnMut(&str, u32) -> Result<P, E>) -> Result<Self, E> {
        Ok(Self {
            clock: port("clock", 1)?,
            gmii_rx_clk: port("gmii_rx_clk", 1)?,
            gmii_tx_clk: port("gmii_tx_clk", 1)?,
            reset: port("reset", 1)?,
            time_lo: port("time_lo", 32)?,
            time_hi: port("time_hi", 32)?,
            mac_lo: port("mac_lo", 32)?,
            mac_hi: port("mac_hi", 16)?,
            link_up: port("link_up", 1)?,
            link_speed: port("link_speed", 2)?,
            mdio_done: port("mdio$done", 1)?,
            mdio_rdata: port("mdio$rdata", 16)?,
            completer_id: port("completer_id", 16)?,
            bus_master: port("bus_master", 1)?,
            max_payload: port("max_payload", 3)?,
            max_read: port("max_read", 3)?,
            msix_enable: port("msix_enable", 1)?,
            msix_mask: port("msix_mask", 1)?,
            rx_d0: port("tlp_rx$d0", 32)?,
            rx_d1: port("tlp_rx$d1", 32)?,
            rx_half: port("tlp_rx$half", 1)?,
            rx_last: port("tlp_rx$last", 1)?,
            rx_bar: port("tlp_rx$bar", 3)?,
            rx_valid: port("tlp_rx$valid", 1)?,
            rx_ready: port("tlp_rx$ready", 1)?,
            tx_d0: port("tlp_tx$d0", 32)?,
            tx_d1: port("tlp_tx$d1", 32)?,
            tx_half: port("tlp_tx$half", 1)?,
            tx_last: port("tlp_tx$last", 1)?,
            tx_bar: port("tlp_tx$bar", 3)?,
            tx_valid: port("tlp_tx$valid", 1)?,
            tx_ready: port("tlp_tx$ready", 1)?,
            gmii_rxd: port("gmii_rxd", 8)?,
            gmii_rx_dv: port("gmii_rx_dv", 1)?,
            gmii_rx_er: port("gmii_rx_er", 1)?,
            gmii_txd: port("gmii_txd", 8)?,
            gmii_tx_en: port("gmii_tx_en", 1)?,
            gmii_tx_er: port("gmii_tx_er", 1)?,
            busy: port("busy", 1)?,
            deadline: port("deadline", 32)?,
            deadline_valid: port("deadline_valid", 1)?,
        })
    }

    /// As [`Top::drive`].
    pub(super) fn drive(&self, to: &mut impl Access<P>, inputs: &Inputs) {
        let (time_hi, time_lo) = halves(inputs.time_ns);
        let (mac_hi, mac_lo) = mac_halves(inputs.mac);
        let beat = inputs.tlp_rx.unwrap_or_default();
        to.set(&self.reset, inputs.reset.into());
        to.set(&self.time_lo, time_lo);
        to.set(&self.time_hi, time_hi);
        to.set(&self.mac_lo, mac_lo);
        to.set(&self.mac_hi, mac_hi.into());
        to.set(&self.link_up, inputs.link_up.into());
        to.set(&self.link_speed, (inputs.link_speed & 3).into());
        to.set(&self.mdio_done, 1);
        to.set(&self.mdio_rdata, 0xFFFF);
        to.set(&self.completer_id, inputs.completer_id.into());
        to.set(&self.bus_master, inputs.bus_master.into());
        to.set(&self.max_payload, (inputs.max_payload & 7).into());
        to.set(&self.max_read, (inputs.max_read & 7).into());
        to.set(&self.msix_enable, inputs.msix_enable.into());
        to.set(&self.msix_mask, inputs.msix_mask.into());
        to.set(&self.rx_d0, beat.d0);
        to.set(&self.rx_d1, beat.d1);
        to.set(&self.rx_half, beat.half.into());
        to.set(&self.rx_last, beat.last.into());
        to.set(&self.rx_bar, (beat.bar & 7).into());
        to.set(&self.rx_valid, inputs.tlp_rx.is_some().into());
        to.set(&self.tx_ready, inputs.tlp_tx_ready.into());
        to.set(&self.gmii_rxd, inputs.gmii_rx.data.into());
        to.set(&self.gmii_rx_dv, inputs.gmii_rx.valid.into());
        to.set(&self.gmii_rx_er, inputs.gmii_rx.error.into());
    }

    /// As [`Top::sample`].
    pub(super) fn sample(&self, of: &impl Access<P>) -> Outputs {
        let bit = |p: &P| of.get(p) != 0;
        Outputs {
            tlp_rx_ready: bit(&self.rx_ready),
            tlp_tx: bit(&self.tx_valid).then(|| ferrule_rtl::pins::TlpBeat {
                d0: of.get(&self.tx_d0),
                d1: of.get(&self.tx_d1),
                half: bit(&self.tx_half),
                last: bit(&self.tx_last),
                bar: of.get(&self.tx_bar) as u8,
            }),
            gmii_tx: ferrule_rtl::pins::Gmii {
                data: of.get(&self.gmii_txd) as u8,
                valid: bit(&self.gmii_tx_en),
                error: bit(&self.gmii_tx_er),
            },
            busy: bit(&self.busy),
            deadline: bit(&self.deadline_valid).then(|| of.get(&self.deadline)),
        }
    }

    /// As [`Top::clocks`].
    pub(super) fn clocks(&self, to: &mut impl Access<P>, high: Clocks) {
        to.set(&self.clock, high.core.into());
        to.set(&self.gmii_rx_clk, high.rx.into());
        to.set(&self.gmii_tx_clk, high.tx.into());
    }
}

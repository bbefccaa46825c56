//! The pins of the whole NIC core as plain values, for whatever drives it cycle by cycle.

/// One beat of a TLP stream; see [`crate::pcie::ports::TlpSource`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlpBeat {
    /// First DW.
    pub d0: u32,
    /// Second DW.
    pub d1: u32,
    /// With `last`: only `d0` counts.
    pub half: bool,
    /// Last beat of the TLP.
    pub last: bool,
    /// BAR that was hit (requests from the host only).
    pub bar: u8,
}

/// One clock's worth of GMII signals, either direction (IEEE 802.3 clause 35).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gmii {
    /// RXD or TXD.
    pub data: u8,
    /// RX_DV or TX_EN.
    pub valid: bool,
    /// RX_ER or TX_ER.
    pub error: bool,
}

/// Which clocks rise in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The core's clock.
    pub core: bool,
    /// GMII receive clock.
    pub rx: bool,
    /// GMII transmit clock.
    pub tx: bool,
}

impl Clocks {
    /// All three: 1 Gbit/s with a 125 MHz core.
    pub const ALL: Self = Self {
        core: true,
        rx: true,
        tx: true,
    };
}

/// Everything that goes into the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Synchronous reset of the core's clock domain, active high.
    pub reset: bool,
    /// The clock, in nanoseconds.
    pub time_ns: u64,
    /// The MAC address the core starts with, in the order of the wire.
    pub mac: [u8; 6],
    /// The PHY reports a link.
    pub link_up: bool,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s.
    pub link_speed: u8,
    /// Bus, device, function of this endpoint, as in a TLP.
    pub completer_id: u16,
    /// Command register: bus master enable.
    pub bus_master: bool,
    /// Device control: maximum payload size code (0: 128 bytes, each step doubles).
    pub max_payload: u8,
    /// Device control: maximum read request size code (0: 128 bytes, each step doubles).
    pub max_read: u8,
    /// MSI-X enable of the MSI-X capability.
    pub msix_enable: bool,
    /// MSI-X function mask.
    pub msix_mask: bool,
    /// Beat towards the core, if there is one.
    pub tlp_rx: Option<TlpBeat>,
    /// The other side takes a beat from the core.
    pub tlp_tx_ready: bool,
    /// What the PHY receives.
    pub gmii_rx: Gmii,
}

/// Everything that comes out of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// The core takes the beat of `tlp_rx`.
    pub tlp_rx_ready: bool,
    /// Beat from the core, if there is one.
    pub tlp_tx: Option<TlpBeat>,
    /// What the PHY is to send.
    pub gmii_tx: Gmii,
    /// Something moves or waits inside: the clock must go on. When low with all inputs idle, nothing changes until `deadline`.
    pub busy: bool,
    /// The earliest timer inside, in ticks of `ferrule_abi::TICK_NS`, if one runs.
    pub deadline: Option<u32>,
}

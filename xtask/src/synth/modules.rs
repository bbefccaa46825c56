//! What is synthesised: the whole NIC, its parts, and for each the peers that do most nearly the same.
use clap::ValueEnum;
use ferrule_rtl::mac::Mac;
use ferrule_rtl::neigh::engine::Neigh;
use ferrule_rtl::nic::Nic;
use ferrule_rtl::pcie::HostSide;
use ferrule_rtl::queue::queues::Queues;
use ferrule_rtl::rx::RxPath;
use ferrule_rtl::tx::TxPath;
use ferrule_rtl::uart::UartLink;
use ferrule_rtl::verilog::emit;

/// A design that is synthesised on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Module {
    /// GMII MAC with FCS, clock crossings and width conversion
    Mac,
    /// Receive path: filter, IPv4 and L4 checks, buffer
    Rx,
    /// Transmit path: buffer, checksums, Ethernet header, multiplexer
    Tx,
    /// ARP: responder, cache, requester, next hop
    Neigh,
    /// Queue engines
    Queues,
    /// PCIe host side: TLPs, read engine, registers, counters, MSI-X
    Host,
    /// TLPs over a UART, in the place of a PCIe block
    Uart,
    /// The whole NIC
    Nic,
}

impl Module {
    /// Its name on the command line and in the budget.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Rx => "rx",
            Self::Tx => "tx",
            Self::Neigh => "neigh",
            Self::Queues => "queues",
            Self::Host => "host",
            Self::Uart => "uart",
            Self::Nic => "nic",
        }
    }

    /// Its Verilog; the top module has its name.
    ///
    /// # Errors
    /// What the checks of the design found.
    pub(super) fn verilog(self) -> Result<String, String> {
        match self {
            Self::Mac => emit::<Mac>(self.name()),
            Self::Rx => emit::<RxPath>(self.name()),
            Self::Tx => emit::<TxPath>(self.name()),
            Self::Neigh => emit::<Neigh>(self.name()),
            Self::Queues => emit::<Queues>(self.name()),
            Self::Host => emit::<HostSide>(self.name()),
            Self::Uart => emit::<UartLink>(self.name()),
            Self::Nic => emit::<Nic>(self.name()),
        }
    }

    /// Who does most nearly the same.
    pub(super) fn peer(self) -> Option<&'static Peer> {
        match self {
            Self::Mac => Some(&MAC),
            Self::Neigh => Some(&ARP),
            Self::Queues => Some(&QUEUE_MANAGERS),
            Self::Host => Some(&DMA),
            Self::Nic => Some(&ALL),
            Self::Rx | Self::Tx | Self::Uart => None,
        }
    }
}

/// Parts that only together do what a peer does.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) parts: &'static [Module],
    pub(super) peer: Peer,
}

/// A design of somebody else, measured with the commands of `flow`.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) lut: u32,
    pub(super) lutram: u32,
    pub(super) ff: u32,
    pub(super) bram36: f64,
    pub(super) lut4: u32,
    /// Median of three seeds, of its slowest clock where it has several and nothing is said.
    pub(super) fmax_mhz: &'static [(&'static str, f64)],
}

/// Yosys 0.70, nextpnr-ecp5 0.11, as ours.
const MAC: Peer = Peer {
    name: "verilog-ethernet eth_mac_1g_gmii_fifo",
    lut: 586,
    lutram: 0,
    ff: 548,
    bram36: 3.0,
    lut4: 1_047,
    fmax_mhz: &[
        ("clock", 134.0),
        ("gmii_rx_clk", 129.0),
        ("gmii_tx_clk", 225.0),
    ],
};
const ARP: Peer = Peer {
    name: "verilog-ethernet arp, 512 entries",
    lut: 863,
    lutram: 384,
    ff: 1_041,
    bram36: 1.0,
    lut4: 3_234,
    fmax_mhz: &[("clock", 72.0)],
};
const DMA: Peer = Peer {
    name: "verilog-pcie dma_if_pcie, 64 bit (no registers, no MSI-X)",
    lut: 1_800,
    lutram: 320,
    ff: 1_587,
    bram36: 0.0,
    lut4: 4_320,
    fmax_mhz: &[("clock", 86.0)],
};
const QUEUE_MANAGERS: Peer = Peer {
    name: "Corundum queue_manager and cpl_queue_manager (no descriptor or payload reads)",
    lut: 1_016,
    lutram: 80,
    ff: 868,
    bram36: 4.0,
    lut4: 1_768,
    fmax_mhz: &[("clock", 73.0)],
};
const IP: Peer = Peer {
    name: "verilog-ethernet udp_complete_64 and eth_mac_1g_gmii_fifo",
    lut: 3_144 + MAC.lut,
    lutram: 496,
    ff: 4_244 + MAC.ff,
    bram36: 2.5 + MAC.bram36,
    lut4: 6_371 + MAC.lut4,
    fmax_mhz: &[("clock", 81.0)],
};
const ALL: Peer = Peer {
    name: "those two, dma_if_pcie and the queue managers",
    lut: IP.lut + DMA.lut + QUEUE_MANAGERS.lut,
    lutram: IP.lutram + DMA.lutram + QUEUE_MANAGERS.lutram,
    ff: IP.ff + DMA.ff + QUEUE_MANAGERS.ff,
    bram36: IP.bram36 + DMA.bram36 + QUEUE_MANAGERS.bram36,
    lut4: IP.lut4 + DMA.lut4 + QUEUE_MANAGERS.lut4,
    fmax_mhz: &[("clock", 73.0)],
};

/// The groups.
pub(super) const GROUPS: &[Group] = &[Group {
    name: "mac, rx, tx and neigh",
    parts: &[Module::Mac, Module::Rx, Module::Tx, Module::Neigh],
    peer: IP,
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_the_same_name_everywhere() {
        for module in Module::value_variants() {
            let value = module.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), module.name());
        }
    }
}

//! The modules under test, exported as the NIC's Verilog is.
use std::fmt;

use ferrule_rtl::verilog::emit;
use ferrule_rtl::{icmp, mac, neigh, pcie, queue, rx, store, tx};

use super::error::FormalError;

macro_rules! modules {
    ($($variant:ident, $name:literal, $path:ty;)*) => {
        /// A module of the hardware.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(super) enum Module {
            $($variant,)*
        }

        impl Module {
            /// Its file in `rtl/src`, without the ending.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Its Verilog; the top module is [`TOP`].
            pub(super) fn export(self) -> Result<String, FormalError> {
                let text = match self {
                    $(Self::$variant => emit::<$path>(TOP),)*
                };
                let module = self.name();
                text.map_err(|reason| FormalError::Export { module, reason })
            }
        }
    };
}

/// Name of the exported module.
pub(super) const TOP: &str = "dut";

modules! {
    QueueFifo, "queue/fifo", queue::fifo::Fifo;
    AsyncFifo, "mac/fifo", mac::fifo::AsyncFifo;
    Inbox, "neigh/inbox", neigh::inbox::Inbox;
    Outbox, "neigh/outbox", neigh::outbox::Outbox;
    EchoReply, "icmp/reply", icmp::reply::EchoReply;
    ArpFrame, "neigh/frame", neigh::frame::ArpFrame;
    FrameStore, "store", store::FrameStore;
    RxBuffer, "rx/buffer", rx::buffer::RxBuffer;
    RxVerdict, "rx/verdict", rx::verdict::RxVerdict;
    TxAlign, "tx/align", tx::align::TxAlign;
    TxFinish, "tx/finish", tx::finish::TxFinish;
    TxBuffer, "tx/buffer", tx::buffer::TxBuffer;
    TxMux, "tx/mux", tx::mux::TxMux;
    Tagger, "tx/tagger", tx::tagger::Tagger;
    Narrow, "mac/narrow", mac::narrow::Narrow;
    Widen, "mac/widen", mac::widen::Widen;
    Loopback, "mac/loopback", mac::loopback::Loopback;
    MacRx, "mac/rx", mac::rx::MacRx;
    MacTx, "mac/tx", mac::tx::MacTx;
    CqWriter, "queue/cq_writer", queue::cq_writer::CqWriter;
    FrameWriter, "queue/frame_writer", queue::frame_writer::FrameWriter;
    SlotFetcher, "queue/slot_fetcher", queue::slot_fetcher::SlotFetcher;
    SqeFetcher, "queue/sqe_fetcher", queue::sqe_fetcher::SqeFetcher;
    PayloadReader, "queue/payload_reader", queue::payload_reader::PayloadReader;
    Realigner, "queue/realigner", queue::realigner::Realigner;
    Push, "queue/push", queue::push::Push;
    TlpTx, "pcie/tlp_tx", pcie::tlp_tx::TlpTx;
    TlpRx, "pcie/tlp_rx", pcie::tlp_rx::TlpRx;
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

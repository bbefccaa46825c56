//! The transmit path from a packet of the host to frames for the MAC.
use super::align::TxAlign;
use super::buffer::TxBuffer;
use super::finish::TxFinish;
use super::mux::TxMux;
use super::ports::{TxPacketSink, TxVerdictSource};
use crate::neigh::ports::LookupSource;
use crate::rx::ipv4::Ipv4Parse;
use crate::stream::{FrameSink, FrameSource};
use rust_hdl::prelude::*;

/// Stores each packet, inserts Ethernet header and checksums, and sends it when it is complete.
///
/// - A raw frame (14 to 9018 bytes) goes out as it came; IPCS means nothing for it. L4CS inserts the checksum of TCP or UDP right behind the
///   header of an IPv6 packet that follows the MAC addresses, as it does over IPv4; any other raw frame, another version and a frame that
///   ends within the header are left alone.
/// - An IPv4 packet gets its header from the neighbour's answer; where that is a miss, nothing is sent and the verdict holds the
///   next hop. Bytes behind the packet's total length are sent too, and in no sum.
/// - IPCS inserts the header checksum; L4CS that of unfragmented TCP or UDP, over the length that UDP's header says. Any other
///   protocol and fragments are left alone. What the host left in a checksum field does not matter.
/// - Bad is: a frame longer than 9018 bytes; an IPv4 packet with another version, IHL below 5, or a total length shorter than its
///   header or longer than the packet; with L4CS: TCP shorter than 20 bytes, a UDP length below 8 or beyond the packet,
///   an IPv6 payload length beyond the frame.
/// - A packet with `tag` gets an 802.1Q tag behind its source address, raw or not; its checks and its largest length are those
///   of the frame without it.
/// - A packet with `segment` is bad if it is no unfragmented TCP. One that `follows` another which was bad or missed its next hop has the same
///   verdict, and is not sent.
/// - A good verdict means that the frame is on its way. That of a packet with `stamp` that is complete while `enable` is set comes when it
///   has left, with the time, and no other packet is finished meanwhile; without `enable` it comes at once, without a time.
/// - ARP frames and answers to echo requests go between data frames, taking turns, and PAUSE frames before all of them.
#[derive(LogicBlock, Default)]
pub struct TxPath {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Frames may start (CTRL.TX_EN); without it they wait in the buffer.
    pub enable: Signal<In, Bit>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// From the transmit queue.
    pub packet: TxPacketSink,
    /// To the transmit queue.
    pub verdict: TxVerdictSource,
    /// Bits 31:0 of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// High for one cycle: the SFD of the marked frame has left.
    pub left: Signal<In, Bit>,
    /// The frame at `frame` is marked: `left` is to follow. Counts at its first beat.
    pub mark: Signal<Out, Bit>,
    /// To the neighbour block.
    pub lookup: LookupSource,
    /// From the neighbour block.
    pub arp: FrameSink,
    /// The link partner asked for a pause: what is not under way waits, but for PAUSE frames.
    pub hold: Signal<In, Bit>,
    /// PAUSE frames of our own.
    pub pause: FrameSink,
    /// Answers to echo requests, from the receive path.
    pub echo: FrameSink,
    /// To the MAC; no gaps in a frame.
    pub frame: FrameSource,
    /// Counters to raise, bits in the positions of [`ferrule_abi::counter`].
    pub events: Signal<Out, Bits<32>>,
    /// With event TX_FRAMES: the frame's length in bytes.
    pub tx_bytes: Signal<Out, Bits<16>>,
    /// Something is under way; frames that wait for `enable` or the end of `hold` are not.
    pub busy: Signal<Out, Bit>,
    align: TxAlign,
    parse: Ipv4Parse,
    finish: TxFinish,
    buffer: TxBuffer,
    mux: TxMux,
}

impl Logic for TxPath {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, align, parse, finish, buffer, mux);
        self.align.reset.next = self.reset.val();
        self.align.mac_lo.next = self.mac_lo.val();
        self.align.mac_hi.next = self.mac_hi.val();
        self.align.room.next = self.buffer.room.val();
        self.align.restart.next = self.finish.restart.val();
        TxPacketSink::link(&mut self.packet, &mut self.align.packet);

        self.parse.skip_checksums.next = true;
        self.parse.d0.next = self.align.d0.val();
        self.parse.d1.next = self.align.d1.val();
        self.parse.beat.next = self.align.beat.val();
        self.parse.valid.next = self.align.valid.val();

        self.finish.reset.next = self.reset.val();
        self.finish.mac_lo.next = self.mac_lo.val();
        self.finish.d0.next = self.align.d0.val();
        self.finish.d1.next = self.align.d1.val();
        self.finish.beat.next = self.align.beat.val();
        self.finish.valid.next = self.align.valid.val();
        self.finish.ended.next = self.align.ended.val();
        self.finish.forget.next = self.align.forget.val();
        self.finish.len.next = self.align.len.val();
        self.finish.too_long.next = self.align.too_long.val();
        self.finish.raw.next = self.align.raw.val();
        self.finish.ipcs.next = self.align.ipcs.val();
        self.finish.l4cs.next = self.align.l4cs.val();
        self.finish.next_hop.next = self.align.next_hop.val();
        self.finish.stamp.next = self.align.stamp.val();
        self.finish.segment.next = self.align.segment.val();
        self.finish.follows.next = self.align.follows.val();
        self.finish.enable.next = self.enable.val();
        self.finish.left.next = self.left.val();
        self.finish.now_lo.next = self.now_lo.val();
        self.finish.ipv6.next = self.parse.ipv6.val();
        self.finish.version_ok.next = self.parse.version_ok.val();
        self.finish.ihl.next = self.parse.ihl.val();
        self.finish.total.next = self.parse.total.val();
        self.finish.fragment.next = self.parse.fragment.val();
        self.finish.protocol.next = self.parse.protocol.val();
        self.finish.tcp.next = self.parse.tcp.val();
        self.finish.udp.next = self.parse.udp.val();
        self.finish.udp_len.next = self.parse.udp_len.val();
        self.finish.l4_beat.next = self.parse.l4_beat.val();
        self.finish.header_sum.next = self.parse.header_sum.val();
        self.finish.l4_sum.next = self.parse.l4_sum.val();
        LookupSource::link(&mut self.lookup, &mut self.finish.lookup);
        TxVerdictSource::link(&mut self.verdict, &mut self.finish.verdict);

        self.buffer.reset.next = self.reset.val();
        self.buffer.d0.next = self.finish.store0.val();
        self.buffer.d1.next = self.finish.store1.val();
        self.buffer.beat.next = self.finish.store_beat.val();
        self.buffer.write0.next = self.finish.write0.val();
        self.buffer.write1.next = self.finish.write1.val();
        self.buffer.commit.next = self.finish.commit.val();
        self.buffer.len.next = self.align.len.val();
        self.buffer.tag.next = self.align.tag.val();
        self.buffer.tci.next = self.align.tci.val();
        self.buffer.stamp.next = self.finish.mark.val();

        self.mux.reset.next = self.reset.val();
        self.mux.enable.next = self.enable.val();
        self.mux.data_mark.next = self.buffer.mark.val();
        self.mark.next = self.mux.mark.val();
        FrameSource::join(&mut self.buffer.frame, &mut self.mux.data);
        FrameSink::link(&mut self.arp, &mut self.mux.arp);
        self.mux.hold.next = self.hold.val();
        FrameSink::link(&mut self.pause, &mut self.mux.pause);
        FrameSink::link(&mut self.echo, &mut self.mux.echo);
        FrameSource::link(&mut self.frame, &mut self.mux.frame);

        self.events.next = self.finish.events.val() | self.mux.events.val();
        self.tx_bytes.next = self.mux.tx_bytes.val();
        self.busy.next = self.align.busy.val()
            | self.finish.busy.val()
            | self.mux.busy.val()
            | (self.enable.val() & !self.hold.val() & self.buffer.busy.val());
    }
}

//! The receive path from the MAC's beats to whole, checked frames.
use super::arp::ArpDecode;
use super::buffer::RxBuffer;
use super::filter::MacFilter;
use super::hash::RxHash;
use super::ipv4::Ipv4Parse;
use super::ports::{ArpPacketSource, RxBeatSink, RxPacketSource};
use super::untag::Untag;
use super::verdict::RxVerdict;
use super::vlan::VlanFilter;
use crate::flow::decode::PauseDecode;
use crate::icmp::reply::EchoReply;
use crate::icmp::request::EchoRequest;
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// Filters, checks and stores received frames.
///
/// - A good frame for this station comes out of `packet`, 32 KiB of them are held; one that is not is counted by its reason in
///   `events` (see [`RxVerdict`] for the order of reasons) and leaves no trace.
/// - ARP packets with Ethernet and IPv4 addresses go to `arp`, and to `packet` only if RXCTL.DELIVER_ARP is set; other ARP
///   frames are delivered like any frame.
/// - With `pauses`, a PAUSE frame without a tag is for the transmitter alone.
/// - Frames that are neither IPv4, IPv6 nor ARP are delivered with neither IPV4 nor IPV6 in their status.
/// - An IPv6 packet has IPV6 where an IPv4 packet has IPV4. Its header is right if the version is 6 and the frame holds the payload; TCP and UDP
///   right behind it are checked as over IPv4, but that a UDP checksum of zero is wrong (RFC 8200 section 8.1). Behind extension headers
///   nothing is looked at: no CSUM_VALID, no L4 offset, and FRAG if the first is a Fragment header.
/// - An 802.1Q tag is looked behind: what follows is checked as in a frame without one, but ARP behind a tag is for the host alone, since
///   the ARP engine knows no VLANs. RXCTL.VLAN_STRIP takes the tag out of what is stored, whatever else is wrong with the frame.
/// - A fragment has FRAG, TCP or UDP by its protocol number, no CSUM_VALID and no L4 offset.
/// - A frame kept by KEEP_BAD_FCS has FCS_ERR alone; one kept by KEEP_BAD_IP, which includes a wrong total length, IPV4 or IPV6
///   alone; one kept by KEEP_BAD_L4, which includes a wrong UDP length, everything but L4_OK.
/// - An IPv4 or IPv6 frame with a right header has a flow hash (see [`RxHash`]), any other frame 0.
/// - With RXCTL.ECHO, an ICMP echo request to a local address is answered ([`EchoRequest`] says which ones are) and not delivered; where two
///   answers wait already, it is delivered like any frame.
/// - A frame's time is that of its first beat.
/// - A frame may begin eight cycles after the last beat of the one before, nine if that had a tag; if that was a short one whose beats came
///   less than eight cycles apart, 43 cycles after its first, 40, 38, 30, 22 and 14 after its third to seventh beat too.
#[derive(LogicBlock, Default)]
pub struct RxPath {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Receive is enabled; looked at when a frame ends.
    pub enable: Signal<In, Bit>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// RXCTL.
    pub rxctl: Signal<In, Bits<32>>,
    /// FLOW.RX_PAUSE.
    pub pauses: Signal<In, Bit>,
    /// Low half of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// The host writes a word of the tables of filters and hash; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Its place.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// The host writes a word of the local addresses and masks: bits 3:0 of `table_place` say which.
    pub local_write: Signal<In, Bit>,
    /// The host writes a word of the indirection table: bits 2:0 of `table_place` say which.
    pub steer_write: Signal<In, Bit>,
    /// From the MAC.
    pub rx: RxBeatSink,
    /// To the receive queue.
    pub packet: RxPacketSource,
    /// To the ARP engine.
    pub arp: ArpPacketSource,
    /// A PAUSE frame came.
    pub pause: Signal<Out, Bit>,
    /// Its pause time in quanta.
    pub quanta: Signal<Out, Bits<16>>,
    /// The buffer fills; see [`RxBuffer`].
    pub high: Signal<Out, Bit>,
    /// The buffer has been emptied far enough.
    pub low: Signal<Out, Bit>,
    /// Answers to echo requests, to the transmit path.
    pub reply: FrameSource,
    /// Counters to raise, bits in the positions of [`ferrule_abi::counter`].
    pub events: Signal<Out, Bits<32>>,
    /// With event RX_FRAMES: the frame's length in bytes.
    pub rx_bytes: Signal<Out, Bits<16>>,
    /// A stored frame is not read to its end.
    pub waiting: Signal<Out, Bit>,
    /// Something is under way or stored.
    pub busy: Signal<Out, Bit>,
    untag: Untag,
    verdict: RxVerdict,
    filter: MacFilter,
    vlan: VlanFilter,
    decode: ArpDecode,
    flow: PauseDecode,
    parse: Ipv4Parse,
    toeplitz: RxHash,
    buffer: RxBuffer,
    request: EchoRequest,
    echo: EchoReply,
    strips: DFF<Bit>,
}

impl Logic for RxPath {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(
            self, clock, untag, verdict, filter, vlan, decode, flow, parse, toeplitz, buffer,
            request, echo
        );
        self.untag.reset.next = self.reset.val();
        RxBeatSink::link(&mut self.rx, &mut self.untag.s);
        // RXCTL.VLAN_STRIP holds for whole frames, whenever it is written.
        dff_setup!(self, clock, strips);
        if self.verdict.open.val() & (self.verdict.beat.val() == 0) & !self.rx.valid.val() {
            self.strips.d.next = self.rxctl.val().get_bit(7);
        }
        self.verdict.reset.next = self.reset.val();
        self.verdict.enable.next = self.enable.val();
        self.verdict.rxctl.next = self.rxctl.val();
        self.verdict.now_lo.next = self.now_lo.val();
        self.verdict.valid.next = self.untag.m.valid.val();
        self.verdict.last.next = self.untag.m.last.val();
        self.verdict.keep.next = self.untag.m.keep.val();
        self.verdict.bad.next = self.untag.m.bad.val();
        self.verdict.has_tag.next = self.untag.has_tag.val();
        self.verdict.keep_tag.next = !self.strips.q.val();
        // RXCTL.VLAN_FILTER
        self.verdict.pass.next = self.filter.pass.val()
            & (!self.rxctl.val().get_bit(8) | !self.untag.has_tag.val() | self.vlan.member.val());
        self.verdict.is_arp.next = self.decode.is_arp.val() & !self.untag.has_tag.val();
        self.verdict.is_pause.next =
            self.flow.is_pause.val() & self.pauses.val() & !self.untag.has_tag.val();
        self.pause.next = self.verdict.pause.val();
        self.quanta.next = self.flow.quanta.val();
        self.high.next = self.buffer.high.val();
        self.low.next = self.buffer.low.val();
        self.verdict.ether_type.next = self.parse.ether_type.val();
        self.verdict.ipv6.next = self.parse.ipv6.val();
        self.verdict.version_ok.next = self.parse.version_ok.val();
        self.verdict.ihl.next = self.parse.ihl.val();
        self.verdict.total.next = self.parse.total.val();
        self.verdict.fragment.next = self.parse.fragment.val();
        self.verdict.protocol.next = self.parse.protocol.val();
        self.verdict.icmp.next = self.parse.icmp.val();
        self.verdict.tcp.next = self.parse.tcp.val();
        self.verdict.udp.next = self.parse.udp.val();
        self.verdict.udp_len.next = self.parse.udp_len.val();
        self.verdict.udp_zero.next = self.parse.udp_zero.val();
        self.verdict.l4_beat.next = self.parse.l4_beat.val();
        self.verdict.header_sum.next = self.parse.header_sum.val();
        self.verdict.l4_sum.next = self.parse.l4_sum.val();
        self.verdict.lost.next = self.buffer.lost.val();
        self.verdict.hashing.next = self.toeplitz.busy.val() | self.request.busy.val();
        self.verdict.echo_fits.next = self.request.fits.val() & self.echo.captured.val();
        self.events.next = self.verdict.events.val();
        self.rx_bytes.next = self.verdict.rx_bytes.val();
        self.waiting.next = self.buffer.busy.val();
        self.busy.next = self.untag.busy.val()
            | self.verdict.busy.val()
            | self.toeplitz.busy.val()
            | self.request.busy.val()
            | self.echo.busy.val()
            | self.buffer.busy.val();

        self.filter.mac_lo.next = self.mac_lo.val();
        self.filter.mac_hi.next = self.mac_hi.val();
        self.filter.promiscuous.next = self.rxctl.val().get_bit(0);
        self.filter.broadcast.next = self.rxctl.val().get_bit(1);
        self.filter.all_multicast.next = self.rxctl.val().get_bit(2);
        self.filter.table_write.next = self.table_write.val();
        self.filter.table_place.next = self.table_place.val();
        self.filter.table_data.next = self.table_data.val();
        self.filter.d0.next = self.untag.m.d0.val();
        self.filter.d1.next = self.untag.m.d1.val();
        self.filter.first.next = self.verdict.take.val() & (self.verdict.beat.val() == 0);

        self.vlan.reset.next = self.reset.val();
        self.vlan.tci.next = self.untag.tci.val();
        self.vlan.table_write.next = self.table_write.val();
        self.vlan.table_place.next = self.table_place.val();
        self.vlan.table_data.next = self.table_data.val();

        self.decode.d0.next = self.untag.m.d0.val();
        self.decode.d1.next = self.untag.m.d1.val();
        self.decode.beat.next = self.verdict.beat.val();
        self.decode.valid.next = self.verdict.take.val();
        self.decode.fire.next = self.verdict.arp.val();
        ArpPacketSource::link(&mut self.arp, &mut self.decode.packet);

        self.flow.own.next = self.filter.own.val();
        self.flow.d0.next = self.untag.m.d0.val();
        self.flow.d1.next = self.untag.m.d1.val();
        self.flow.beat.next = self.verdict.beat.val();
        self.flow.valid.next = self.verdict.take.val();

        self.parse.skip_checksums.next = false;
        self.parse.d0.next = self.untag.m.d0.val();
        self.parse.d1.next = self.untag.m.d1.val();
        self.parse.beat.next = self.verdict.beat.val();
        self.parse.valid.next = self.verdict.take.val();

        self.toeplitz.reset.next = self.reset.val();
        self.toeplitz.table_write.next = self.table_write.val();
        self.toeplitz.table_place.next = self.table_place.val();
        self.toeplitz.table_data.next = self.table_data.val();
        self.toeplitz.d0.next = self.untag.m.d0.val();
        self.toeplitz.d1.next = self.untag.m.d1.val();
        self.toeplitz.beat.next = self.verdict.beat.val();
        self.toeplitz.valid.next = self.verdict.take.val();
        self.toeplitz.ipv6.next = self.parse.ipv6.val();
        self.toeplitz.ihl.next = self.parse.ihl.val();
        self.toeplitz.total.next = self.parse.total.val();
        self.toeplitz.fragment.next = self.parse.fragment.val();
        self.toeplitz.tcp.next = self.parse.tcp.val();
        self.toeplitz.udp.next = self.parse.udp.val();
        self.toeplitz.l4_start.next = self.parse.l4_start.val();

        // RXCTL.ECHO
        self.request.reset.next = self.reset.val();
        self.request.enable.next = self.rxctl.val().get_bit(9);
        self.request.local_write.next = self.local_write.val();
        self.request.local_place.next = self.table_place.val().get_bits::<4>(0);
        self.request.local_data.next = self.table_data.val();
        self.request.d0.next = self.untag.m.d0.val();
        self.request.d1.next = self.untag.m.d1.val();
        self.request.beat.next = self.verdict.beat.val();
        self.request.valid.next = self.verdict.take.val();
        self.request.own.next = self.filter.own.val();
        self.request.ihl.next = self.parse.ihl.val();
        self.request.total.next = self.parse.total.val();
        self.request.icmp.next = self.parse.icmp.val();
        self.request.source.next = self.parse.source.val();
        self.request.target.next = self.parse.target.val();

        self.echo.reset.next = self.reset.val();
        self.echo.enable.next = self.rxctl.val().get_bit(9);
        self.echo.mac_lo.next = self.mac_lo.val();
        self.echo.mac_hi.next = self.mac_hi.val();
        self.echo.d0.next = self.untag.m.d0.val();
        self.echo.d1.next = self.untag.m.d1.val();
        self.echo.beat.next = self.verdict.beat.val();
        self.echo.valid.next = self.verdict.take.val();
        self.echo.last.next = self.untag.m.last.val();
        self.echo.before0.next = self.parse.before0.val();
        self.echo.before1.next = self.parse.before1.val();
        self.echo.source.next = self.parse.source.val();
        self.echo.commit.next = self.verdict.echo.val();
        self.echo.len.next = bit_cast::<11, 16>(self.parse.total.val()) + 14;
        FrameSource::link(&mut self.reply, &mut self.echo.frame);

        self.buffer.reset.next = self.reset.val();
        self.buffer.d0.next = self.rx.d0.val();
        self.buffer.d1.next = self.rx.d1.val();
        self.buffer.write.next = self.rx.valid.val() & self.verdict.open.val();
        self.buffer.has_tag.next = self.untag.has_tag.val();
        self.buffer.stripped.next = self.strips.q.val();
        self.buffer.tci.next = self.untag.tci.val();
        if self.strips.q.val() {
            self.buffer.d0.next = self.untag.m.d0.val();
            self.buffer.d1.next = self.untag.m.d1.val();
            self.buffer.write.next = self.verdict.take.val();
        }
        self.buffer.commit.next = self.verdict.commit.val();
        self.buffer.rollback.next = self.verdict.rollback.val();
        self.buffer.len.next = self.verdict.len.val();
        self.buffer.status.next = self.verdict.status.val();
        self.buffer.fcs_err.next = self.verdict.fcs_err.val();
        self.buffer.is_ipv6.next = self.verdict.is_ipv6.val();
        self.buffer.l4_offset.next = self.verdict.l4_offset.val();
        self.buffer.hash.next = self.toeplitz.hash.val();
        self.buffer.steer_write.next = self.steer_write.val();
        self.buffer.steer_place.next = self.table_place.val().get_bits::<3>(0);
        self.buffer.steer_data.next = self.table_data.val();
        self.buffer.timestamp.next = self.verdict.timestamp.val();
        RxPacketSource::link(&mut self.packet, &mut self.buffer.packet);
    }
}

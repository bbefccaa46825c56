//! Fields and sums of an IPv4 or IPv6 packet in an Ethernet frame, for the checks on receive and the checksums on transmit.
use super::fields::Ipv4Fields;
use super::lanes::Ipv4Lanes;
use super::sum::LaneSum;
use rust_hdl::prelude::*;

/// [`Ipv4Fields`], [`Ipv4Lanes`] and the two sums in a row.
///
/// The fields hold from the cycle after the last beat, the sums from the fourth cycle after it, both until the next frame's first beat.
#[derive(LogicBlock, Default)]
pub struct Ipv4Parse {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// The sums leave out the checksum fields (transmit).
    pub skip_checksums: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// See [`Ipv4Fields`].
    pub ether_type: Signal<Out, Bits<16>>,
    /// See [`Ipv4Fields`].
    pub ipv6: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub version_ok: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub ihl: Signal<Out, Bits<4>>,
    /// See [`Ipv4Fields`].
    pub total: Signal<Out, Bits<16>>,
    /// See [`Ipv4Fields`].
    pub fragment: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub protocol: Signal<Out, Bits<8>>,
    /// See [`Ipv4Fields`].
    pub icmp: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub tcp: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub udp: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub udp_len: Signal<Out, Bits<16>>,
    /// See [`Ipv4Fields`].
    pub udp_zero: Signal<Out, Bit>,
    /// See [`Ipv4Fields`].
    pub l4_beat: Signal<Out, Bits<4>>,
    /// See [`Ipv4Fields`].
    pub l4_start: Signal<Out, Bits<7>>,
    /// See [`Ipv4Fields`].
    pub source: Signal<Out, Bits<32>>,
    /// See [`Ipv4Fields`].
    pub target: Signal<Out, Bits<32>>,
    /// Sum of the IPv4 header; see [`LaneSum`].
    pub header_sum: Signal<Out, Bits<20>>,
    /// Sum of L4, and of the addresses but for ICMP.
    pub l4_sum: Signal<Out, Bits<20>>,
    /// The beat before: its bytes 0 to 3.
    pub before0: Signal<Out, Bits<32>>,
    /// Its bytes 4 to 7.
    pub before1: Signal<Out, Bits<32>>,
    fields: Ipv4Fields,
    lanes: Ipv4Lanes,
    header: LaneSum,
    l4: LaneSum,
    r0: DFF<Bits<32>>,
    r1: DFF<Bits<32>>,
    r_beat: DFF<Bits<11>>,
    r_valid: DFF<Bit>,
}

impl Logic for Ipv4Parse {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, r0, r1, r_beat, r_valid);
        clock!(self, clock, fields, lanes, header, l4);
        self.fields.d0.next = self.d0.val();
        self.fields.d1.next = self.d1.val();
        self.fields.beat.next = self.beat.val();
        self.fields.valid.next = self.valid.val();
        self.ether_type.next = self.fields.ether_type.val();
        self.ipv6.next = self.fields.ipv6.val();
        self.version_ok.next = self.fields.version_ok.val();
        self.ihl.next = self.fields.ihl.val();
        self.total.next = self.fields.total.val();
        self.fragment.next = self.fields.fragment.val();
        self.protocol.next = self.fields.protocol.val();
        self.icmp.next = self.fields.icmp.val();
        self.tcp.next = self.fields.tcp.val();
        self.udp.next = self.fields.udp.val();
        self.udp_len.next = self.fields.udp_len.val();
        self.udp_zero.next = self.fields.udp_zero.val();
        self.l4_beat.next = self.fields.l4_beat.val();
        self.l4_start.next = self.fields.l4_start.val();
        self.source.next = self.fields.source.val();
        self.target.next = self.fields.target.val();
        self.r_valid.d.next = self.valid.val();
        if self.valid.val() {
            self.r0.d.next = self.d0.val();
            self.r1.d.next = self.d1.val();
            self.r_beat.d.next = self.beat.val();
        }
        self.lanes.skip_checksums.next = self.skip_checksums.val();
        self.lanes.d0.next = self.r0.q.val();
        self.lanes.d1.next = self.r1.q.val();
        self.lanes.beat.next = self.r_beat.q.val();
        self.lanes.valid.next = self.r_valid.q.val();
        self.lanes.ipv6.next = self.fields.ipv6.val();
        self.lanes.ihl_odd.next = self.fields.ihl.val().get_bit(0);
        self.lanes.icmp.next = self.fields.icmp.val();
        self.lanes.udp.next = self.fields.udp.val();
        self.lanes.l4_beat.next = self.fields.l4_beat.val();
        self.lanes.end_beat.next = self.fields.end_beat.val();
        self.lanes.end_rest.next = self.fields.end_rest.val();
        self.header.d0.next = self.lanes.q0.val();
        self.header.d1.next = self.lanes.q1.val();
        self.header.mask.next = self.lanes.header_mask.val();
        self.header.first.next = self.lanes.first.val();
        self.header.valid.next = self.lanes.q_valid.val();
        self.l4.d0.next = self.lanes.q0.val();
        self.l4.d1.next = self.lanes.q1.val();
        self.l4.mask.next = self.lanes.l4_mask.val();
        self.l4.first.next = self.lanes.first.val();
        self.l4.valid.next = self.lanes.q_valid.val();
        self.header_sum.next = self.header.sum.val();
        self.l4_sum.next = self.l4.sum.val();
        self.before0.next = self.r0.q.val();
        self.before1.next = self.r1.q.val();
    }
}

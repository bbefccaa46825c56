//! Header fields of an IPv4 or IPv6 packet in an Ethernet frame, picked out of the stream of beats.
//!
//! Half-word h of a frame is lane h mod 4 of beat h / 4: EtherType is 6, the IPv4 header 7 to 6 + 2 IHL, L4 begins at 7 + 2 IHL. The 40 bytes of
//! an IPv6 header (RFC 8200 section 3) are half-words 7 to 26, so that what is behind them lies as behind an IPv4 header with an IHL of 10.
use rust_hdl::prelude::*;

/// Collects the fields while the frame goes by; each is steady from the cycle after its beat until the next frame. Beat 0
/// may be left out.
///
/// The fields of a frame that is neither IPv4 nor IPv6, or too short for them, hold anything.
#[derive(LogicBlock)]
pub struct Ipv4Fields {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// EtherType, or length of an 802.3 frame.
    pub ether_type: Signal<Out, Bits<16>>,
    /// The EtherType is that of IPv6.
    pub ipv6: Signal<Out, Bit>,
    /// Version 4 and a header of at least five words; IPv6: version 6.
    pub version_ok: Signal<Out, Bit>,
    /// Header length in 32-bit words; IPv6: 0, as its length does not count the header.
    pub ihl: Signal<Out, Bits<4>>,
    /// Total length in bytes; IPv6: payload length.
    pub total: Signal<Out, Bits<16>>,
    /// More fragments follow, or it is not the first; IPv6: a Fragment header follows.
    pub fragment: Signal<Out, Bit>,
    /// Protocol number; IPv6: what header follows.
    pub protocol: Signal<Out, Bits<8>>,
    /// ICMP.
    pub icmp: Signal<Out, Bit>,
    /// TCP.
    pub tcp: Signal<Out, Bit>,
    /// UDP.
    pub udp: Signal<Out, Bit>,
    /// UDP length field in bytes.
    pub udp_len: Signal<Out, Bits<16>>,
    /// The UDP checksum field is zero: the sender did not compute it (RFC 768).
    pub udp_zero: Signal<Out, Bit>,
    /// Beat in which L4 begins: in lane 1 if IHL is odd, else in lane 3.
    pub l4_beat: Signal<Out, Bits<4>>,
    /// Bytes before L4.
    pub l4_start: Signal<Out, Bits<7>>,
    /// IPv4 source address as it lies in the packet, the first byte in bits 7:0.
    pub source: Signal<Out, Bits<32>>,
    /// IPv4 destination address, likewise.
    pub target: Signal<Out, Bits<32>>,
    /// Beat that holds the first byte behind L4, as far as known; all ones before the total length is.
    pub end_beat: Signal<Out, Bits<14>>,
    /// Number of bytes of L4 in that beat.
    pub end_rest: Signal<Out, Bits<3>>,
    r_type: DFF<Bits<16>>,
    r_ipv6: DFF<Bit>,
    r_version_ok: DFF<Bit>,
    /// Version 6.
    r_six: DFF<Bit>,
    r_ihl: DFF<Bits<4>>,
    r_l4_beat: DFF<Bits<4>>,
    /// Bytes before L4: 14 + 4 IHL; IPv6: 54.
    r_l4_start: DFF<Bits<17>>,
    source_lo: DFF<Bits<16>>,
    source_hi: DFF<Bits<16>>,
    target_lo: DFF<Bits<16>>,
    target_hi: DFF<Bits<16>>,
    r_total: DFF<Bits<16>>,
    r_fragment: DFF<Bit>,
    r_protocol: DFF<Bits<8>>,
    r_icmp: DFF<Bit>,
    r_tcp: DFF<Bit>,
    r_udp: DFF<Bit>,
    r_udp_len: DFF<Bits<16>>,
    r_udp_zero: DFF<Bit>,
    r_end_beat: DFF<Bits<14>>,
    r_end_rest: DFF<Bits<3>>,
    /// The beat before was the one in which L4 begins.
    after_l4: DFF<Bit>,
    new_ihl: Signal<Local, Bits<4>>,
    new_words: Signal<Local, Bits<4>>,
    new_version: Signal<Local, Bits<4>>,
    number: Signal<Local, Bits<16>>,
    low: Signal<Local, Bits<16>>,
    /// Total or payload length as it lies in the beat.
    length: Signal<Local, Bits<16>>,
    protocol_here: Signal<Local, Bits<8>>,
    fragment_here: Signal<Local, Bit>,
    before_l4: Signal<Local, Bits<17>>,
    at_l4: Signal<Local, Bit>,
    take_udp: Signal<Local, Bit>,
    l4_end: Signal<Local, Bits<17>>,
    udp_number: Signal<Local, Bits<16>>,
    udp_end: Signal<Local, Bits<17>>,
    type_ipv6: Constant<Bits<16>>,
    fragment_bits: Constant<Bits<32>>,
    protocol_icmp: Constant<Bits<8>>,
    protocol_tcp: Constant<Bits<8>>,
    protocol_udp: Constant<Bits<8>>,
    next_fragment: Constant<Bits<8>>,
    before_ipv4: Constant<Bits<17>>,
    before_ipv6: Constant<Bits<17>>,
    words_ipv6: Constant<Bits<4>>,
    never: Constant<Bits<14>>,
}

impl Default for Ipv4Fields {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            ether_type: Default::default(),
            ipv6: Default::default(),
            version_ok: Default::default(),
            ihl: Default::default(),
            total: Default::default(),
            fragment: Default::default(),
            protocol: Default::default(),
            icmp: Default::default(),
            tcp: Default::default(),
            udp: Default::default(),
            udp_len: Default::default(),
            udp_zero: Default::default(),
            l4_beat: Default::default(),
            l4_start: Default::default(),
            source: Default::default(),
            target: Default::default(),
            end_beat: Default::default(),
            end_rest: Default::default(),
            r_type: Default::default(),
            r_ipv6: Default::default(),
            r_version_ok: Default::default(),
            r_six: Default::default(),
            r_ihl: Default::default(),
            r_l4_beat: Default::default(),
            r_l4_start: Default::default(),
            source_lo: Default::default(),
            source_hi: Default::default(),
            target_lo: Default::default(),
            target_hi: Default::default(),
            r_total: Default::default(),
            r_fragment: Default::default(),
            r_protocol: Default::default(),
            r_icmp: Default::default(),
            r_tcp: Default::default(),
            r_udp: Default::default(),
            r_udp_len: Default::default(),
            r_udp_zero: Default::default(),
            r_end_beat: Default::default(),
            r_end_rest: Default::default(),
            after_l4: Default::default(),
            new_ihl: Default::default(),
            new_words: Default::default(),
            new_version: Default::default(),
            number: Default::default(),
            low: Default::default(),
            length: Default::default(),
            protocol_here: Default::default(),
            fragment_here: Default::default(),
            before_l4: Default::default(),
            at_l4: Default::default(),
            take_udp: Default::default(),
            l4_end: Default::default(),
            udp_number: Default::default(),
            udp_end: Default::default(),
            // 0x86DD as it lies in the word.
            type_ipv6: Constant::new(0xDD86.into()),
            fragment_bits: Constant::new(0x0000_FF3F.into()),
            protocol_icmp: Constant::new(1.into()),
            protocol_tcp: Constant::new(6.into()),
            protocol_udp: Constant::new(17.into()),
            next_fragment: Constant::new(44.into()),
            before_ipv4: Constant::new(14.into()),
            before_ipv6: Constant::new(54.into()),
            words_ipv6: Constant::new(6.into()),
            never: Constant::new(0x3FFF.into()),
        }
    }
}

impl Logic for Ipv4Fields {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            r_type,
            r_ipv6,
            r_version_ok,
            r_six,
            r_ihl,
            r_l4_beat,
            r_l4_start,
            source_lo,
            source_hi,
            target_lo,
            target_hi,
            r_total,
            r_fragment,
            r_protocol,
            r_icmp,
            r_tcp,
            r_udp,
            r_udp_len,
            r_udp_zero,
            r_end_beat,
            r_end_rest,
            after_l4
        );
        self.ether_type.next = self.r_type.q.val();
        self.ipv6.next = self.r_ipv6.q.val();
        self.version_ok.next = self.r_version_ok.q.val();
        self.ihl.next = self.r_ihl.q.val();
        self.total.next = self.r_total.q.val();
        self.fragment.next = self.r_fragment.q.val();
        self.protocol.next = self.r_protocol.q.val();
        self.icmp.next = self.r_icmp.q.val();
        self.tcp.next = self.r_tcp.q.val();
        self.udp.next = self.r_udp.q.val();
        self.udp_len.next = self.r_udp_len.q.val();
        self.udp_zero.next = self.r_udp_zero.q.val();
        self.l4_beat.next = self.r_l4_beat.q.val();
        self.l4_start.next = self.r_l4_start.q.val().get_bits::<7>(0);
        self.source.next = bit_cast::<32, 16>(self.source_lo.q.val())
            | (bit_cast::<32, 16>(self.source_hi.q.val()) << 16);
        self.target.next = bit_cast::<32, 16>(self.target_lo.q.val())
            | (bit_cast::<32, 16>(self.target_hi.q.val()) << 16);
        self.end_beat.next = self.r_end_beat.q.val();
        self.end_rest.next = self.r_end_rest.q.val();
        self.new_ihl.next = 0.into();
        self.new_words.next = 0.into();
        self.new_version.next = 0.into();
        self.number.next = 0.into();
        self.low.next = 0.into();
        self.length.next = self.d0.val().get_bits::<16>(0);
        self.protocol_here.next = self.d1.val().get_bits::<8>(24);
        self.fragment_here.next = (self.d1.val() & self.fragment_bits.val()) != 0;
        self.before_l4.next = self.before_ipv4.val();
        if self.r_ipv6.q.val() {
            self.length.next = self.d0.val().get_bits::<16>(16);
            self.protocol_here.next = self.d1.val().get_bits::<8>(0);
            self.fragment_here.next = self.d1.val().get_bits::<8>(0) == self.next_fragment.val();
            self.before_l4.next = self.before_ipv6.val();
        }
        self.l4_end.next = 0.into();
        self.udp_number.next = 0.into();
        self.udp_end.next = 0.into();
        // Beats 0 and 1 still see the frame before, and L4 of a good header begins in beat 4 at the earliest.
        self.at_l4.next =
            (self.beat.val() > 3) & (self.beat.val() == bit_cast::<11, 4>(self.r_l4_beat.q.val()));
        self.take_udp.next = false;
        if self.valid.val() {
            self.after_l4.d.next = self.at_l4.val();
            if self.beat.val() == 0 {
                self.r_end_beat.d.next = self.never.val();
            }
            if self.beat.val() == 1 {
                self.r_end_beat.d.next = self.never.val();
                self.r_type.d.next = (bit_cast::<16, 8>(self.d1.val().get_bits::<8>(0)) << 8)
                    | bit_cast::<16, 8>(self.d1.val().get_bits::<8>(8));
                self.new_ihl.next = self.d1.val().get_bits::<4>(16);
                self.new_version.next = self.d1.val().get_bits::<4>(20);
                self.r_ihl.d.next = self.new_ihl.val();
                self.r_ipv6.d.next = self.d1.val().get_bits::<16>(0) == self.type_ipv6.val();
                self.r_version_ok.d.next =
                    (self.new_version.val() == 4) & (self.new_ihl.val() >= 5);
                self.r_six.d.next = self.new_version.val() == 6;
                // (IHL + 1) / 2, without a fifth bit.
                self.new_words.next = (self.new_ihl.val() >> 1) + (self.new_ihl.val() & 1);
                self.r_l4_beat.d.next = self.new_words.val() + 1;
                self.r_l4_start.d.next = (bit_cast::<17, 4>(self.new_ihl.val()) << 2) + 14;
            }
            if self.beat.val() == 2 {
                // An IPv6 header has one length, and no IHL.
                if self.r_ipv6.q.val() {
                    self.r_version_ok.d.next = self.r_six.q.val();
                    self.r_ihl.d.next = 0.into();
                    self.r_l4_beat.d.next = self.words_ipv6.val();
                    self.r_l4_start.d.next = self.before_ipv6.val();
                }
                self.number.next = (bit_cast::<16, 8>(self.length.val().get_bits::<8>(0)) << 8)
                    | bit_cast::<16, 8>(self.length.val().get_bits::<8>(8));
                self.r_total.d.next = self.number.val();
                self.l4_end.next = bit_cast::<17, 16>(self.number.val()) + self.before_l4.val();
                self.r_end_beat.d.next = self.l4_end.val().get_bits::<14>(3);
                self.r_end_rest.d.next = self.l4_end.val().get_bits::<3>(0);
                self.r_fragment.d.next = self.fragment_here.val();
                self.r_protocol.d.next = self.protocol_here.val();
                self.r_icmp.d.next = self.protocol_here.val() == self.protocol_icmp.val();
                self.r_tcp.d.next = self.protocol_here.val() == self.protocol_tcp.val();
                self.r_udp.d.next = self.protocol_here.val() == self.protocol_udp.val();
            }
            if self.beat.val() == 3 {
                self.source_lo.d.next = self.d0.val().get_bits::<16>(16);
                self.source_hi.d.next = self.d1.val().get_bits::<16>(0);
                self.target_lo.d.next = self.d1.val().get_bits::<16>(16);
            }
            if self.beat.val() == 4 {
                self.target_hi.d.next = self.d0.val().get_bits::<16>(0);
            }
            // UDP length is the third half-word of L4, its checksum the fourth.
            if self.r_ihl.q.val().get_bit(0) {
                if self.at_l4.val() {
                    self.low.next = self.d1.val().get_bits::<16>(16);
                    self.take_udp.next = true;
                }
                if self.after_l4.q.val() {
                    self.r_udp_zero.d.next = self.d0.val().get_bits::<16>(0) == 0;
                }
            } else if self.after_l4.q.val() {
                self.low.next = self.d0.val().get_bits::<16>(16);
                self.take_udp.next = true;
                self.r_udp_zero.d.next = self.d1.val().get_bits::<16>(0) == 0;
            }
            if self.take_udp.val() {
                self.udp_number.next = (bit_cast::<16, 8>(self.low.val().get_bits::<8>(0)) << 8)
                    | bit_cast::<16, 8>(self.low.val().get_bits::<8>(8));
                self.r_udp_len.d.next = self.udp_number.val();
                if self.r_udp.q.val() & !self.r_fragment.q.val() {
                    self.udp_end.next =
                        self.r_l4_start.q.val() + bit_cast::<17, 16>(self.udp_number.val());
                    self.r_end_beat.d.next = self.udp_end.val().get_bits::<14>(3);
                    self.r_end_rest.d.next = self.udp_end.val().get_bits::<3>(0);
                }
            }
        }
    }
}

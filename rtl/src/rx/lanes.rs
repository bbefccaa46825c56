//! Which half-words of a beat belong to the IPv4 header sum and to the TCP, UDP or ICMP sum.
use rust_hdl::prelude::*;

/// One pipeline stage behind [`super::fields::Ipv4Fields`]: takes each beat one cycle after the fields have seen it, and gives it,
/// cut off behind the end of L4, with a mask for either sum.
///
/// The L4 sum takes in the addresses of the pseudo-header, which are half-words 13 to 16; ICMP has none (RFC 792). In IPv6 they are half-words
/// 11 to 26 (RFC 8200 section 8.1), right before L4. The header sum of an IPv6 packet is anything: the header has no checksum.
#[derive(LogicBlock, Default)]
pub struct Ipv4Lanes {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Leave out the checksum fields: they hold nothing of worth (transmit).
    pub skip_checksums: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// IPv6.
    pub ipv6: Signal<In, Bit>,
    /// IHL is odd.
    pub ihl_odd: Signal<In, Bit>,
    /// ICMP.
    pub icmp: Signal<In, Bit>,
    /// UDP, not TCP.
    pub udp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub l4_beat: Signal<In, Bits<4>>,
    /// See [`super::fields::Ipv4Fields`].
    pub end_beat: Signal<In, Bits<14>>,
    /// See [`super::fields::Ipv4Fields`].
    pub end_rest: Signal<In, Bits<3>>,
    /// The beat, zero behind the end of L4.
    pub q0: Signal<Out, Bits<32>>,
    /// Its bytes 4 to 7.
    pub q1: Signal<Out, Bits<32>>,
    /// Half-words of the header sum.
    pub header_mask: Signal<Out, Bits<4>>,
    /// Half-words of the L4 sum.
    pub l4_mask: Signal<Out, Bits<4>>,
    /// The sums start anew with this beat.
    pub first: Signal<Out, Bit>,
    /// The beat is there.
    pub q_valid: Signal<Out, Bit>,
    r0: DFF<Bits<32>>,
    r1: DFF<Bits<32>>,
    r_header: DFF<Bits<4>>,
    r_l4: DFF<Bits<4>>,
    r_first: DFF<Bit>,
    r_valid: DFF<Bit>,
    l4_here: Signal<Local, Bits<11>>,
    checksum_beat: Signal<Local, Bits<11>>,
    wide_beat: Signal<Local, Bits<14>>,
    header: Signal<Local, Bits<4>>,
    l4: Signal<Local, Bits<4>>,
    addresses: Signal<Local, Bits<4>>,
    hole: Signal<Local, Bits<4>>,
    m0: Signal<Local, Bits<32>>,
    m1: Signal<Local, Bits<32>>,
}

impl Logic for Ipv4Lanes {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, r0, r1, r_header, r_l4, r_first, r_valid);
        self.q0.next = self.r0.q.val();
        self.q1.next = self.r1.q.val();
        self.header_mask.next = self.r_header.q.val();
        self.l4_mask.next = self.r_l4.q.val();
        self.first.next = self.r_first.q.val();
        self.q_valid.next = self.r_valid.q.val();
        self.r_valid.d.next = self.valid.val();
        self.l4_here.next = bit_cast::<11, 4>(self.l4_beat.val());
        self.checksum_beat.next = self.l4_here.val() + 2;
        self.wide_beat.next = bit_cast::<14, 11>(self.beat.val());
        self.header.next = 0.into();
        self.l4.next = 0.into();
        self.addresses.next = 0.into();
        self.hole.next = 0.into();
        self.m0.next = 0.into();
        self.m1.next = 0.into();
        if self.valid.val() {
            // Beat 0 is in neither sum, and transmit leaves it out.
            self.r_first.d.next = self.beat.val() < 2;
            // Half-words of the header: from lane 3 of beat 1 to the one before L4.
            if self.beat.val() == 1 {
                self.header.next = 8.into();
            } else if (self.beat.val() != 0) & (self.beat.val() < self.l4_here.val()) {
                self.header.next = 15.into();
            }
            // Half-words of L4, from lane 1 or 3 of its first beat, and the addresses.
            if self.beat.val() < 4 {
                self.l4.next = 0.into();
            } else if self.beat.val() == self.l4_here.val() {
                if self.ihl_odd.val() {
                    self.header.next = 1.into();
                    self.l4.next = 14.into();
                } else {
                    self.header.next = 7.into();
                    self.l4.next = 8.into();
                }
            } else if self.beat.val() > self.l4_here.val() {
                self.l4.next = 15.into();
            }
            if self.ipv6.val() {
                if self.beat.val() == 2 {
                    self.addresses.next = 8.into();
                } else if (self.beat.val() == 3) | (self.beat.val().get_bits::<9>(2) == 1) {
                    // Up to beat 6; beat 7 is all L4 anyhow.
                    self.addresses.next = 15.into();
                }
            } else if (self.beat.val() == 3) & !self.icmp.val() {
                self.addresses.next = 14.into();
            } else if (self.beat.val() == 4) & !self.icmp.val() {
                self.addresses.next = 1.into();
            }
            if self.skip_checksums.val() {
                if self.beat.val() == 3 {
                    self.header.next = 14.into();
                }
                // TCP: half-word 8 of L4; UDP: half-word 3.
                if self.udp.val() {
                    self.checksum_beat.next = self.l4_here.val() + 1;
                }
                if self.beat.val() == self.checksum_beat.val() {
                    if self.udp.val() & self.ihl_odd.val() {
                        self.hole.next = 1.into();
                    } else if self.udp.val() {
                        self.hole.next = 4.into();
                    } else if self.ihl_odd.val() {
                        self.hole.next = 2.into();
                    } else {
                        self.hole.next = 8.into();
                    }
                }
            }
            self.r_header.d.next = self.header.val();
            self.r_l4.d.next = (self.l4.val() | self.addresses.val()) & (self.hole.val() ^ 15);
            // Bytes behind L4 are padding and count as zero, as does the pad of an odd last byte (RFC 1071).
            if self.wide_beat.val() < self.end_beat.val() {
                self.m0.next = self.d0.val();
                self.m1.next = self.d1.val();
            } else if self.wide_beat.val() == self.end_beat.val() {
                if self.end_rest.val().get_bit(2) {
                    self.m0.next = self.d0.val();
                    if self.end_rest.val() == 5 {
                        self.m1.next = self.d1.val() & 0xFF;
                    }
                    if self.end_rest.val() == 6 {
                        self.m1.next = self.d1.val() & 0xFFFF;
                    }
                    if self.end_rest.val() == 7 {
                        self.m1.next = self.d1.val() & 0xFF_FFFF;
                    }
                } else {
                    if self.end_rest.val() == 1 {
                        self.m0.next = self.d0.val() & 0xFF;
                    }
                    if self.end_rest.val() == 2 {
                        self.m0.next = self.d0.val() & 0xFFFF;
                    }
                    if self.end_rest.val() == 3 {
                        self.m0.next = self.d0.val() & 0xFF_FFFF;
                    }
                }
            }
            self.r0.d.next = self.m0.val();
            self.r1.d.next = self.m1.val();
        }
    }
}

//! ARP packets (RFC 826) picked out of the stream of beats.
use super::ports::ArpPacketSource;
use rust_hdl::prelude::*;

/// Collects the fields of an Ethernet/IPv4 ARP packet while its frame goes by.
#[derive(LogicBlock)]
pub struct ArpDecode {
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
    /// The frame is good: hands the packet on, if it is one.
    pub fire: Signal<In, Bit>,
    /// The frame seen last holds an ARP packet with Ethernet and IPv4 addresses; steady from its beat 3 on.
    pub is_arp: Signal<Out, Bit>,
    /// The packet, in the cycle of `fire`.
    pub packet: ArpPacketSource,
    ok: DFF<Bit>,
    op: DFF<Bits<16>>,
    sha_lo: DFF<Bits<32>>,
    sha_hi: DFF<Bits<16>>,
    spa: DFF<Bits<32>>,
    tpa: DFF<Bits<32>>,
    /// EtherType 0x0806 and hardware type 1, as they lie in the word.
    type_word: Constant<Bits<32>>,
    /// Protocol type 0x0800, address lengths 6 and 4.
    length_word: Constant<Bits<32>>,
}

impl Default for ArpDecode {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            fire: Default::default(),
            is_arp: Default::default(),
            packet: Default::default(),
            ok: Default::default(),
            op: Default::default(),
            sha_lo: Default::default(),
            sha_hi: Default::default(),
            spa: Default::default(),
            tpa: Default::default(),
            type_word: Constant::new(0x0100_0608.into()),
            length_word: Constant::new(0x0406_0008.into()),
        }
    }
}

impl Logic for ArpDecode {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, ok, op, sha_lo, sha_hi, spa, tpa);
        self.is_arp.next = self.ok.q.val();
        self.packet.valid.next = self.fire.val() & self.ok.q.val();
        self.packet.op.next = self.op.q.val();
        self.packet.sha_lo.next = self.sha_lo.q.val();
        self.packet.sha_hi.next = self.sha_hi.q.val();
        self.packet.spa.next = self.spa.q.val();
        self.packet.tpa.next = self.tpa.q.val();
        if self.valid.val() {
            if self.beat.val() == 0 {
                self.ok.d.next = false;
            }
            if self.beat.val() == 1 {
                self.ok.d.next = self.d1.val() == self.type_word.val();
            }
            // No other frame needs the fields, so that they only toggle for ARP.
            if self.ok.q.val() {
                if self.beat.val() == 2 {
                    self.ok.d.next = self.d0.val() == self.length_word.val();
                    self.op.d.next = (bit_cast::<16, 8>(self.d1.val().get_bits::<8>(0)) << 8)
                        | bit_cast::<16, 8>(self.d1.val().get_bits::<8>(8));
                    self.sha_lo.d.next = bit_cast::<32, 16>(self.d1.val().get_bits::<16>(16));
                }
                if self.beat.val() == 3 {
                    self.sha_lo.d.next = self.sha_lo.q.val()
                        | (bit_cast::<32, 16>(self.d0.val().get_bits::<16>(0)) << 16);
                    self.sha_hi.d.next = self.d0.val().get_bits::<16>(16);
                    self.spa.d.next = (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(0)) << 24)
                        | (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(8)) << 16)
                        | (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(16)) << 8)
                        | bit_cast::<32, 8>(self.d1.val().get_bits::<8>(24));
                }
                if self.beat.val() == 4 {
                    self.tpa.d.next = (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(16)) << 24)
                        | (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(24)) << 16);
                }
                if self.beat.val() == 5 {
                    self.tpa.d.next = self.tpa.q.val()
                        | (bit_cast::<32, 8>(self.d0.val().get_bits::<8>(0)) << 8)
                        | bit_cast::<32, 8>(self.d0.val().get_bits::<8>(8));
                }
            }
        }
    }
}

//! Makes the Ethernet frame of an ARP packet (RFC 826), 42 bytes without padding and FCS.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// ARP frame builder: takes one order at a time.
#[derive(LogicBlock)]
pub struct ArpFrame {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Own MAC address, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own MAC address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// High for one cycle, only while `free`: send what the ports below say.
    pub start: Signal<In, Bit>,
    /// A reply to `target`; otherwise a request, which is broadcast and has a zero target hardware address (RFC 5227 section 1.1).
    pub reply: Signal<In, Bit>,
    /// Reply: hardware address it goes to, bytes 0 to 3.
    pub target_lo: Signal<In, Bits<32>>,
    /// Reply: hardware address it goes to, bytes 4 and 5.
    pub target_hi: Signal<In, Bits<16>>,
    /// Sender protocol address.
    pub spa: Signal<In, Bits<32>>,
    /// Target protocol address.
    pub tpa: Signal<In, Bits<32>>,
    /// Takes an order.
    pub free: Signal<Out, Bit>,
    /// The frame.
    pub frame: FrameSource,
    /// High for one cycle: the last beat of a reply was taken.
    pub sent_reply: Signal<Out, Bit>,
    /// High for one cycle: the last beat of a request was taken.
    pub sent_request: Signal<Out, Bit>,
    beat: DFF<Bits<3>>,
    is_reply: DFF<Bit>,
    tha_lo: DFF<Bits<32>>,
    tha_hi: DFF<Bits<16>>,
    // Protocol addresses in the order of the wire: first byte in bits 7:0.
    spa_wire: DFF<Bits<32>>,
    tpa_wire: DFF<Bits<32>>,
    ones: Constant<Bits<32>>,
    half_ones: Constant<Bits<32>>,
    types: Constant<Bits<32>>,
    sizes: Constant<Bits<32>>,
    op_request: Constant<Bits<32>>,
    op_reply: Constant<Bits<32>>,
    all_bytes: Constant<Bits<8>>,
    two_bytes: Constant<Bits<8>>,
}

impl Default for ArpFrame {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            start: Default::default(),
            reply: Default::default(),
            target_lo: Default::default(),
            target_hi: Default::default(),
            spa: Default::default(),
            tpa: Default::default(),
            free: Default::default(),
            frame: Default::default(),
            sent_reply: Default::default(),
            sent_request: Default::default(),
            beat: Default::default(),
            is_reply: Default::default(),
            tha_lo: Default::default(),
            tha_hi: Default::default(),
            spa_wire: Default::default(),
            tpa_wire: Default::default(),
            ones: Constant::new(0xFFFF_FFFF_u64.into()),
            half_ones: Constant::new(0xFFFF_u64.into()),
            // EtherType 0806, hardware type 1 | protocol 0800, lengths 6 and 4 | operation in bytes 0 and 1.
            types: Constant::new(u64::from(u32::from_le_bytes([0x08, 0x06, 0x00, 0x01])).into()),
            sizes: Constant::new(u64::from(u32::from_le_bytes([0x08, 0x00, 6, 4])).into()),
            op_request: Constant::new(u64::from(u32::from_le_bytes([0, 1, 0, 0])).into()),
            op_reply: Constant::new(u64::from(u32::from_le_bytes([0, 2, 0, 0])).into()),
            all_bytes: Constant::new(0xFF_u64.into()),
            two_bytes: Constant::new(0x03_u64.into()),
        }
    }
}

impl Logic for ArpFrame {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, beat, is_reply, tha_lo, tha_hi, spa_wire, tpa_wire);
        self.free.next = self.beat.q.val() == 0;
        self.frame.valid.next = self.beat.q.val() != 0;
        self.frame.d0.next = 0.into();
        self.frame.d1.next = 0.into();
        self.frame.keep.next = self.all_bytes.val();
        self.frame.last.next = false;
        self.sent_reply.next = false;
        self.sent_request.next = false;

        if self.beat.q.val() == 1 {
            self.frame.d0.next = self.ones.val();
            self.frame.d1.next = (self.mac_lo.val() << 16) | self.half_ones.val();
            if self.is_reply.q.val() {
                self.frame.d0.next = self.tha_lo.q.val();
                self.frame.d1.next =
                    (self.mac_lo.val() << 16) | bit_cast::<32, 16>(self.tha_hi.q.val());
            }
        } else if self.beat.q.val() == 2 {
            self.frame.d0.next =
                (bit_cast::<32, 16>(self.mac_hi.val()) << 16) | (self.mac_lo.val() >> 16);
            self.frame.d1.next = self.types.val();
        } else if self.beat.q.val() == 3 {
            self.frame.d0.next = self.sizes.val();
            self.frame.d1.next = (self.mac_lo.val() << 16) | self.op_request.val();
            if self.is_reply.q.val() {
                self.frame.d1.next = (self.mac_lo.val() << 16) | self.op_reply.val();
            }
        } else if self.beat.q.val() == 4 {
            self.frame.d0.next =
                (bit_cast::<32, 16>(self.mac_hi.val()) << 16) | (self.mac_lo.val() >> 16);
            self.frame.d1.next = self.spa_wire.q.val();
        } else if self.beat.q.val() == 5 {
            self.frame.d0.next = self.tha_lo.q.val();
            self.frame.d1.next =
                (self.tpa_wire.q.val() << 16) | bit_cast::<32, 16>(self.tha_hi.q.val());
        } else if self.beat.q.val() == 6 {
            self.frame.d0.next = self.tpa_wire.q.val() >> 16;
            self.frame.keep.next = self.two_bytes.val();
            self.frame.last.next = true;
            if self.frame.ready.val() {
                self.sent_reply.next = self.is_reply.q.val();
                self.sent_request.next = !self.is_reply.q.val();
            }
        }
        if (self.beat.q.val() != 0) & self.frame.ready.val() {
            self.beat.d.next = self.beat.q.val() + 1;
            if self.beat.q.val() == 6 {
                self.beat.d.next = 0.into();
            }
        }
        if self.start.val() {
            self.beat.d.next = 1.into();
            self.is_reply.d.next = self.reply.val();
            self.tha_lo.d.next = 0.into();
            self.tha_hi.d.next = 0.into();
            if self.reply.val() {
                self.tha_lo.d.next = self.target_lo.val();
                self.tha_hi.d.next = self.target_hi.val();
            }
            self.spa_wire.d.next = (bit_cast::<32, 8>(self.spa.val().get_bits::<8>(0)) << 24)
                | (bit_cast::<32, 8>(self.spa.val().get_bits::<8>(8)) << 16)
                | (bit_cast::<32, 8>(self.spa.val().get_bits::<8>(16)) << 8)
                | bit_cast::<32, 8>(self.spa.val().get_bits::<8>(24));
            self.tpa_wire.d.next = (bit_cast::<32, 8>(self.tpa.val().get_bits::<8>(0)) << 24)
                | (bit_cast::<32, 8>(self.tpa.val().get_bits::<8>(8)) << 16)
                | (bit_cast::<32, 8>(self.tpa.val().get_bits::<8>(16)) << 8)
                | bit_cast::<32, 8>(self.tpa.val().get_bits::<8>(24));
        }
        if self.reset.val() {
            self.beat.d.next = 0.into();
        }
    }
}

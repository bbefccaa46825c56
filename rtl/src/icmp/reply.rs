//! Makes answers of ICMP echo requests and sends them; two of at most 2 KiB are held.
//!
//! Each frame is written into a free place as it comes in, with its headers turned round already, a beat later than it comes: the answer's
//! first half-words are further back in the request. Source and destination of both layers change places, as RFC 1122 section 3.2.2.6 and
//! 3.2.1.6 want; type of service, identification and flags stay, so that an answer may be fragmented where its request might. TTL becomes 64.
//! What lies behind the packet in its frame is not sent back.
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// The maker of answers. A frame that comes while both places are taken is not answered.
#[derive(LogicBlock)]
pub struct EchoReply {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: forgets all answers.
    pub reset: Signal<In, Bit>,
    /// Requests are to be answered; looked at when a frame begins.
    pub enable: Signal<In, Bit>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0; from the cycle after the last beat on, of them all.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// With `valid`: it is the frame's last. The next frame begins no sooner than in the second cycle after it.
    pub last: Signal<In, Bit>,
    /// The beat before: its bytes 0 to 3.
    pub before0: Signal<In, Bits<32>>,
    /// Its bytes 4 to 7.
    pub before1: Signal<In, Bits<32>>,
    /// Source address as it lies in the frame, the first byte in bits 7:0; steady from the cycle after the fifth beat on.
    pub source: Signal<In, Bits<32>>,
    /// The frame is a request that is to be answered; not before the second cycle after its last beat, and only if `captured`.
    pub commit: Signal<In, Bit>,
    /// With `commit`: bytes of the frame without its padding, 42 to 1,514.
    pub len: Signal<In, Bits<11>>,
    /// The frame has found a place; steady from the cycle after its first beat on.
    pub captured: Signal<Out, Bit>,
    /// Answers; no gaps in a frame.
    pub frame: FrameSource,
    /// An answer is held.
    pub busy: Signal<Out, Bit>,
    ram0: RAM<Bits<32>, 9>,
    ram1: RAM<Bits<32>, 9>,
    /// Lengths of the answers in the two places.
    len_a: DFF<Bits<11>>,
    len_b: DFF<Bits<11>>,
    /// Places that hold answers.
    held_a: DFF<Bit>,
    held_b: DFF<Bit>,
    /// The place that is written: 1 for the second one.
    side_in: DFF<Bit>,
    /// The place that is read.
    side_out: DFF<Bit>,
    captures: DFF<Bit>,
    /// The last beat is still to be written.
    flush: DFF<Bit>,
    /// Complement of the answer's header checksum, its carry in bit 16.
    header: DFF<Bits<17>>,
    /// An answer is being sent.
    sends: DFF<Bit>,
    /// The beat that is read.
    rd: DFF<Bits<8>>,
    number: Signal<Local, Bits<11>>,
    w0: Signal<Local, Bits<32>>,
    w1: Signal<Local, Bits<32>>,
    ttl: Signal<Local, Bits<16>>,
    least: Signal<Local, Bits<16>>,
    shorter: Signal<Local, Bits<16>>,
    old_header: Signal<Local, Bits<16>>,
    new_header: Signal<Local, Bits<16>>,
    old_sum: Signal<Local, Bits<16>>,
    new_sum: Signal<Local, Bits<16>>,
    rd_after: Signal<Local, Bits<8>>,
    rd_next: Signal<Local, Bits<8>>,
    len_out: Signal<Local, Bits<11>>,
    missing: Signal<Local, Bits<3>>,
    is_last: Signal<Local, Bit>,
    bytes: Signal<Local, Bits<8>>,
    held_out: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    all_bytes: Constant<Bits<8>>,
    high_half: Constant<Bits<32>>,
    without_ttl: Constant<Bits<32>>,
    new_ttl: Constant<Bits<32>>,
}

impl Default for EchoReply {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            last: Default::default(),
            before0: Default::default(),
            before1: Default::default(),
            source: Default::default(),
            commit: Default::default(),
            len: Default::default(),
            captured: Default::default(),
            frame: Default::default(),
            busy: Default::default(),
            ram0: Default::default(),
            ram1: Default::default(),
            len_a: Default::default(),
            len_b: Default::default(),
            held_a: Default::default(),
            held_b: Default::default(),
            side_in: Default::default(),
            side_out: Default::default(),
            captures: Default::default(),
            flush: Default::default(),
            header: Default::default(),
            sends: Default::default(),
            rd: Default::default(),
            number: Default::default(),
            w0: Default::default(),
            w1: Default::default(),
            ttl: Default::default(),
            least: Default::default(),
            shorter: Default::default(),
            old_header: Default::default(),
            new_header: Default::default(),
            old_sum: Default::default(),
            new_sum: Default::default(),
            rd_after: Default::default(),
            rd_next: Default::default(),
            len_out: Default::default(),
            missing: Default::default(),
            is_last: Default::default(),
            bytes: Default::default(),
            held_out: Default::default(),
            write: Default::default(),
            all_bytes: Constant::new(0xFF.into()),
            high_half: Constant::new(0xFFFF_0000_u64.into()),
            without_ttl: Constant::new(0xFF00_FFFF_u64.into()),
            new_ttl: Constant::new(0x0040_0000.into()),
        }
    }
}

impl Logic for EchoReply {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, len_a, len_b, held_a, held_b, side_in, side_out, captures, flush, header,
            sends, rd
        );
        self.ram0.read_clock.next = self.clock.val();
        self.ram0.write_clock.next = self.clock.val();
        self.ram1.read_clock.next = self.clock.val();
        self.ram1.write_clock.next = self.clock.val();
        self.captured.next = self.captures.q.val();
        self.busy.next = self.held_a.q.val() | self.held_b.q.val();

        // Sums are of half-words as they lie in the words: RFC 1071 section 2 (B).
        // RFC 1624 equation 3, of which the complement is kept: the old complement, less the old TTL, and 64. None of the terms is zero
        // unless the checksum was 0xFFFF, so neither is the sum, and the checksum never is 0xFFFF, as a fresh one never is.
        self.ttl.next = bit_cast::<16, 8>(self.before1.val().get_bits::<8>(16));
        self.least.next = 64.into();
        if self.ttl.val() > 63 {
            // Less a carry that goes round, so that 64 less 64 is 0xFFFF.
            self.least.next = 63.into();
        }
        self.shorter.next = self.least.val() - self.ttl.val();
        self.old_header.next = !self.d0.val().get_bits::<16>(0);
        self.new_header.next = self.header.q.val().get_bits::<16>(0)
            + bit_cast::<16, 1>(self.header.q.val().get_bits::<1>(16));
        if self.valid.val() & (self.beat.val() == 3) {
            self.header.d.next =
                bit_cast::<17, 16>(self.old_header.val()) + bit_cast::<17, 16>(self.shorter.val());
        }
        // The answer's type is 0, the request's 8: so much more is the checksum, with the carry that goes round.
        self.old_sum.next = self.before1.val().get_bits::<16>(0);
        self.new_sum.next = self.old_sum.val() + 8;
        if self.old_sum.val() > 0xFFF7 {
            self.new_sum.next = self.old_sum.val() + 9;
        }

        // Beat n - 1 is written while beat n is there, the last one in the cycle after it.
        self.w0.next = self.before0.val();
        self.w1.next = self.before1.val();
        if self.beat.val() == 1 {
            self.w0.next = (self.before1.val() >> 16) | (self.d0.val() << 16);
            self.w1.next = (self.d0.val() >> 16) | (self.mac_lo.val() << 16);
        }
        if self.beat.val() == 2 {
            self.w0.next =
                (self.mac_lo.val() >> 16) | (bit_cast::<32, 16>(self.mac_hi.val()) << 16);
        }
        if self.beat.val() == 3 {
            self.w1.next = (self.before1.val() & self.without_ttl.val()) | self.new_ttl.val();
        }
        if self.beat.val() == 4 {
            self.w0.next = (bit_cast::<32, 16>(self.new_header.val()) ^ 0xFFFF)
                | (self.before1.val() & self.high_half.val());
            self.w1.next = bit_cast::<32, 16>(self.d0.val().get_bits::<16>(0))
                | (self.before0.val() & self.high_half.val());
        }
        if self.beat.val() == 5 {
            self.w0.next = self.source.val() >> 16;
            self.w1.next = bit_cast::<32, 16>(self.new_sum.val())
                | (self.before1.val() & self.high_half.val());
        }
        self.number.next = self.beat.val() - 1;
        self.flush.d.next = self.valid.val() & self.last.val();
        self.write.next = (self.valid.val() | self.flush.q.val())
            & self.captures.q.val()
            & (self.beat.val() != 0)
            & (self.number.val() < 256);
        self.ram0.write_address.next = bit_cast::<9, 8>(self.number.val().get_bits::<8>(0))
            | (bit_cast::<9, 1>(self.side_in.q.val().into()) << 8);
        self.ram1.write_address.next = bit_cast::<9, 8>(self.number.val().get_bits::<8>(0))
            | (bit_cast::<9, 1>(self.side_in.q.val().into()) << 8);
        self.ram0.write_data.next = self.w0.val();
        self.ram1.write_data.next = self.w1.val();
        self.ram0.write_enable.next = self.write.val();
        self.ram1.write_enable.next = self.write.val();
        if self.valid.val() & (self.beat.val() == 0) {
            self.captures.d.next = self.enable.val() & !(self.held_a.q.val() & self.held_b.q.val());
        }

        // The memory's output belongs to the address of the cycle before, so the address runs ahead of `rd`.
        self.held_out.next = self.held_a.q.val();
        self.len_out.next = self.len_a.q.val();
        if self.side_out.q.val() {
            self.held_out.next = self.held_b.q.val();
            self.len_out.next = self.len_b.q.val();
        }
        self.rd_after.next = self.rd.q.val() + 1;
        self.rd_next.next = 0.into();
        self.is_last.next = ((self.len_out.val().get_bits::<8>(3) == self.rd_after.val())
            & (self.len_out.val().get_bits::<3>(0) == 0))
            | (self.len_out.val().get_bits::<8>(3) == self.rd.q.val());
        self.bytes.next = self.all_bytes.val();
        self.missing.next = (self.len_out.val().get_bits::<3>(0) ^ 7) + 1;
        if self.is_last.val() {
            self.bytes.next = self.all_bytes.val() >> self.missing.val();
        }
        self.frame.d0.next = self.ram0.read_data.val();
        self.frame.d1.next = self.ram1.read_data.val();
        self.frame.keep.next = self.bytes.val();
        self.frame.last.next = self.is_last.val();
        self.frame.valid.next = self.sends.q.val();
        self.sends.d.next = self.held_out.val();
        if self.sends.q.val() {
            self.rd_next.next = self.rd.q.val();
            if self.frame.ready.val() {
                self.rd_next.next = self.rd_after.val();
                if self.is_last.val() {
                    self.rd_next.next = 0.into();
                    self.sends.d.next = false;
                    self.side_out.d.next = !self.side_out.q.val();
                    if self.side_out.q.val() {
                        self.held_b.d.next = false;
                    } else {
                        self.held_a.d.next = false;
                    }
                }
            }
        }
        self.rd.d.next = self.rd_next.val();
        self.ram0.read_address.next = bit_cast::<9, 8>(self.rd_next.val())
            | (bit_cast::<9, 1>(self.side_out.q.val().into()) << 8);
        self.ram1.read_address.next = bit_cast::<9, 8>(self.rd_next.val())
            | (bit_cast::<9, 1>(self.side_out.q.val().into()) << 8);

        if self.commit.val() {
            self.side_in.d.next = !self.side_in.q.val();
            if self.side_in.q.val() {
                self.held_b.d.next = true;
                self.len_b.d.next = self.len.val();
            } else {
                self.held_a.d.next = true;
                self.len_a.d.next = self.len.val();
            }
        }
        if self.reset.val() {
            self.held_a.d.next = false;
            self.held_b.d.next = false;
            self.side_in.d.next = false;
            self.side_out.d.next = false;
            self.captures.d.next = false;
            self.flush.d.next = false;
            self.sends.d.next = false;
        }
    }
}

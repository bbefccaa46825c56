//! Writes a received frame into its slot, in TLPs of the negotiated payload.
use crate::pcie::ports::WriteSource;
use crate::rx::ports::RxPacketSink;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum FrameState {
    Idle,
    Place,
    Size,
    Beat,
    Skip,
}

/// On `go` writes the frame at the sink to its slot, as far as that reaches, and swallows the rest; on `skip` swallows all of it.
///
/// Slots are 2 KiB aligned and TLPs end at multiples of the payload size (at most 2,048 bytes), so none crosses a 4 KiB border.
#[derive(LogicBlock, Default)]
pub struct FrameWriter {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Negotiated payload as PCIe encodes it: 0 is 128 bytes; more than 2,048 is not used.
    pub max_payload: Signal<In, Bits<3>>,
    /// IOVA of slot 0, low half, 2 KiB aligned.
    pub base_lo: Signal<In, Bits<32>>,
    /// High half.
    pub base_hi: Signal<In, Bits<32>>,
    /// Size of a slot, log2 of bytes, 11 to 14.
    pub stride_log2: Signal<In, Bits<4>>,
    /// Number of the slot, with `go`.
    pub slot: Signal<In, Bits<15>>,
    /// High for one cycle while `idle` and a frame is at the sink: write it.
    pub go: Signal<In, Bit>,
    /// High for one cycle while `idle` and a frame is at the sink: forget it.
    pub skip: Signal<In, Bit>,
    /// The frames.
    pub s: RxPacketSink,
    /// Writes to host memory.
    pub m: WriteSource,
    /// The last frame begun is longer than a slot.
    pub truncated: Signal<Out, Bit>,
    /// No frame is under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way (`go` and `skip` are the caller's).
    pub busy: Signal<Out, Bit>,
    state: DFF<FrameState>,
    slot_q: DFF<Bits<15>>,
    cut: DFF<Bit>,
    addr_lo: DFF<Bits<32>>,
    addr_hi: DFF<Bits<32>>,
    /// Bytes after those of the TLP under way.
    left: DFF<Bits<16>>,
    bytes: DFF<Bits<12>>,
    dwords: DFF<Bits<10>>,
    beats: DFF<Bits<9>>,
    last_be: DFF<Bits<4>>,
    capacity: Signal<Local, Bits<16>>,
    limit: Signal<Local, Bits<12>>,
    amount: Signal<Local, Bits<12>>,
    span: Signal<Local, Bits<12>>,
    round: Signal<Local, Bits<12>>,
    /// The next TLP is measured.
    measure: Signal<Local, Bit>,
    long: Signal<Local, Bit>,
    wide: Signal<Local, Bits<32>>,
    place: Signal<Local, Bits<32>>,
    step: Signal<Local, Bits<32>>,
    more: Signal<Local, Bits<32>>,
    sum: Signal<Local, Bits<32>>,
    over: Signal<Local, Bits<32>>,
    sum_hi: Signal<Local, Bits<32>>,
    wraps: Signal<Local, Bit>,
}

impl Logic for FrameWriter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, slot_q, cut, addr_lo, addr_hi, left, bytes, dwords, beats, last_be
        );
        self.capacity.next = 2048.into();
        if self.stride_log2.val() == 12 {
            self.capacity.next = 4096.into();
        } else if self.stride_log2.val() == 13 {
            self.capacity.next = 8192.into();
        } else if self.stride_log2.val() == 14 {
            self.capacity.next = 16384.into();
        }
        self.long.next = self.s.len.val() > self.capacity.val();
        self.truncated.next = self.cut.q.val();
        self.limit.next = 2048.into();
        if self.max_payload.val() == 0 {
            self.limit.next = 128.into();
        } else if self.max_payload.val() == 1 {
            self.limit.next = 256.into();
        } else if self.max_payload.val() == 2 {
            self.limit.next = 512.into();
        } else if self.max_payload.val() == 3 {
            self.limit.next = 1024.into();
        }
        self.amount.next = self.limit.val();
        if self.left.q.val() < bit_cast::<16, 12>(self.limit.val()) {
            self.amount.next = bit_cast::<12, 16>(self.left.q.val());
        }
        self.span.next = self.amount.val() + 3;
        self.round.next = self.amount.val() + 7;
        self.wide.next = bit_cast::<32, 15>(self.slot_q.q.val());
        // 11 to 14 differ in their two low bits.
        self.place.next = self.wide.val() << 11;
        if (self.stride_log2.val() & 3) == 0 {
            self.place.next = self.wide.val() << 12;
        } else if (self.stride_log2.val() & 3) == 1 {
            self.place.next = self.wide.val() << 13;
        } else if (self.stride_log2.val() & 3) == 2 {
            self.place.next = self.wide.val() << 14;
        }
        // One adder for both: the slot's address, and the next TLP's. What is added is small: the sum wraps where its top bit falls.
        self.step.next = self.addr_lo.q.val();
        self.over.next = self.addr_hi.q.val();
        self.more.next = bit_cast::<32, 12>(self.bytes.q.val());
        if self.state.q.val() == FrameState::Place {
            self.step.next = self.base_lo.val();
            self.over.next = self.base_hi.val();
            self.more.next = self.place.val();
        }
        self.sum.next = self.step.val() + self.more.val();
        self.wraps.next = self.step.val().get_bit(31) & !self.sum.val().get_bit(31);
        self.sum_hi.next = self.over.val() + bit_cast::<32, 1>(self.wraps.val().into());

        self.m.addr_lo.next = self.addr_lo.q.val();
        self.m.addr_hi.next = self.addr_hi.q.val();
        self.m.dwords.next = self.dwords.q.val();
        self.m.last_be.next = self.last_be.q.val();
        self.m.d0.next = self.s.d0.val();
        self.m.d1.next = self.s.d1.val();
        self.m.last.next = self.beats.q.val() == 1;
        self.m.valid.next = false;
        self.measure.next = self.state.q.val() == FrameState::Size;
        self.s.ready.next = false;
        self.idle.next = self.state.q.val() == FrameState::Idle;
        self.busy.next = (self.state.q.val() == FrameState::Place)
            | (self.state.q.val() == FrameState::Size)
            | ((self.state.q.val() != FrameState::Idle) & self.s.valid.val());
        match self.state.q.val() {
            FrameState::Idle => {
                if self.go.val() {
                    self.slot_q.d.next = self.slot.val();
                    self.cut.d.next = self.long.val();
                    self.left.d.next = self.s.len.val();
                    if self.long.val() {
                        self.left.d.next = self.capacity.val();
                    }
                    self.state.d.next = FrameState::Place;
                } else if self.skip.val() {
                    self.state.d.next = FrameState::Skip;
                }
            }
            FrameState::Place => {
                self.addr_lo.d.next = self.sum.val();
                self.addr_hi.d.next = self.sum_hi.val();
                self.state.d.next = FrameState::Size;
            }
            FrameState::Size => {
                self.state.d.next = FrameState::Beat;
            }
            FrameState::Beat => {
                self.m.valid.next = self.s.valid.val();
                self.s.ready.next = self.m.ready.val();
                if self.s.valid.val() & self.m.ready.val() {
                    self.beats.d.next = self.beats.q.val() - 1;
                    if self.beats.q.val() == 1 {
                        self.addr_lo.d.next = self.sum.val();
                        self.addr_hi.d.next = self.sum_hi.val();
                        // A TLP with another one after it has many beats: what is left has been known since its first.
                        self.measure.next = true;
                        if !self.left.q.val().any() {
                            self.state.d.next = FrameState::Skip;
                        }
                    }
                    if self.s.last.val() {
                        self.state.d.next = FrameState::Idle;
                    }
                }
            }
            FrameState::Skip => {
                self.s.ready.next = true;
                if self.s.valid.val() & self.s.last.val() {
                    self.state.d.next = FrameState::Idle;
                }
            }
            _ => {
                self.state.d.next = FrameState::Idle;
            }
        }
        if self.measure.val() {
            self.left.d.next = self.left.q.val() - bit_cast::<16, 12>(self.amount.val());
            self.bytes.d.next = self.amount.val();
            self.dwords.d.next = self.span.val().get_bits::<10>(2);
            self.beats.d.next = self.round.val().get_bits::<9>(3);
            self.last_be.d.next = 15.into();
            if (self.amount.val() & 3) == 1 {
                self.last_be.d.next = 1.into();
            } else if (self.amount.val() & 3) == 2 {
                self.last_be.d.next = 3.into();
            } else if (self.amount.val() & 3) == 3 {
                self.last_be.d.next = 7.into();
            }
        }
        if self.reset.val() {
            self.state.d.next = FrameState::Idle;
        }
    }
}

//! Turns the answers to payload reads, at any byte alignment, into packets that are contiguous from byte 0.
use crate::pcie::ports::ReadDataSink;
use crate::tx::ports::TxPacketSource;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum AlignState {
    Item,
    Beat,
    Merge,
    Close,
}

/// Takes the list of the [`payload_reader`](super::payload_reader) and the answers, in the same order. Eight bytes take two cycles.
///
/// Of each frame that ended it hands on a word
/// `index[14:0] | bad << 15 | completion << 16 | dma_err << 17 | more segments << 18 | queue << 19 | forget << 21`, at the latest in the cycle in which the last beat appears.
/// A frame that is bad, failed or to be forgotten is aborted if anything of it has been sent. When a segment has failed, so have those behind it.
#[derive(LogicBlock, Default)]
pub struct Realigner {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Oldest word of the list.
    pub item: Signal<In, Bits<32>>,
    /// `item` is there.
    pub item_valid: Signal<In, Bit>,
    /// Remove `item`.
    pub item_pop: Signal<Out, Bit>,
    /// Answers to the reads.
    pub data: ReadDataSink,
    /// Packets; those that are segments still have the headers of the whole, and are not told as such.
    pub m: TxPacketSource,
    /// Word about a frame that has ended.
    pub done: Signal<Out, Bits<32>>,
    /// Append `done`.
    pub done_push: Signal<Out, Bit>,
    /// There is no room for `done`.
    pub done_full: Signal<In, Bit>,
    /// Between frames, nothing under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<AlignState>,
    flags: DFF<Bits<7>>,
    tag: DFF<Bit>,
    tci: DFF<Bits<16>>,
    /// Bytes of the frame that wait in `acc`.
    waiting: DFF<Bits<4>>,
    acc: [DFF<Bits<8>>; 8],
    /// The beat's, each in the place that it is for.
    rot: [DFF<Bits<8>>; 8],
    turn: DFF<Bits<3>>,
    skip: DFF<Bits<4>>,
    left: DFF<Bits<9>>,
    amount: DFF<Bits<4>>,
    last_beat: DFF<Bit>,
    began: DFF<Bit>,
    sent: DFF<Bit>,
    failed: DFF<Bit>,
    out: [DFF<Bits<8>>; 8],
    out_keep: DFF<Bits<8>>,
    out_last: DFF<Bit>,
    out_abort: DFF<Bit>,
    out_valid: DFF<Bit>,
    free: Signal<Local, Bit>,
    avail: Signal<Local, Bits<4>>,
    below: Signal<Local, Bits<8>>,
    four0: Signal<Local, Bits<32>>,
    four1: Signal<Local, Bits<32>>,
    two0: Signal<Local, Bits<32>>,
    two1: Signal<Local, Bits<32>>,
    one0: Signal<Local, Bits<32>>,
    one1: Signal<Local, Bits<32>>,
    turned: Signal<Local, Bits<64>>,
    over: Signal<Local, Bit>,
    merges: Signal<Local, Bit>,
    fills: Signal<Local, Bit>,
    total: Signal<Local, Bits<5>>,
    closing: Signal<Local, Bit>,
    poor: Signal<Local, Bit>,
}

impl Logic for Realigner {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, flags, tag, tci, waiting, turn, skip, left, amount, last_beat,
            began, sent, failed, out_keep, out_last, out_abort, out_valid
        );
        self.m.d0.next = bit_cast::<32, 8>(self.out[0].q.val())
            | (bit_cast::<32, 8>(self.out[1].q.val()) << 8)
            | (bit_cast::<32, 8>(self.out[2].q.val()) << 16)
            | (bit_cast::<32, 8>(self.out[3].q.val()) << 24);
        self.m.d1.next = bit_cast::<32, 8>(self.out[4].q.val())
            | (bit_cast::<32, 8>(self.out[5].q.val()) << 8)
            | (bit_cast::<32, 8>(self.out[6].q.val()) << 16)
            | (bit_cast::<32, 8>(self.out[7].q.val()) << 24);
        self.m.keep.next = self.out_keep.q.val();
        self.m.last.next = self.out_last.q.val();
        self.m.abort.next = self.out_abort.q.val();
        self.m.raw.next = self.flags.q.val().get_bit(0);
        self.m.ipcs.next = self.flags.q.val().get_bit(1);
        self.m.l4cs.next = self.flags.q.val().get_bit(2);
        self.m.next_hop.next = 0.into();
        if self.out_valid.q.val() {
            self.m.next_hop.next = self.flags.q.val().get_bits::<3>(3);
        }
        self.m.stamp.next = self.flags.q.val().get_bit(6);
        self.m.segment.next = false;
        self.m.follows.next = false;
        self.m.tag.next = self.tag.q.val();
        self.m.tci.next = self.tci.q.val();
        self.m.valid.next = self.out_valid.q.val();
        self.item_pop.next = false;
        self.data.ready.next = false;
        self.done.next = 0.into();
        self.done_push.next = false;

        self.free.next = !self.out_valid.q.val() | self.m.ready.val();
        self.idle.next = (self.state.q.val() == AlignState::Item)
            & !self.began.q.val()
            & !self.out_valid.q.val();
        self.busy.next = (self.out_valid.q.val() & self.m.ready.val())
            | ((self.state.q.val() == AlignState::Merge) & (self.free.val() | self.failed.q.val()))
            | ((self.state.q.val() == AlignState::Close) & self.free.val() & !self.done_full.val())
            | ((self.state.q.val() == AlignState::Item)
                & self.item_valid.val()
                & (self.item.val().get_bit(31) | self.began.q.val() | !self.out_valid.q.val()))
            | ((self.state.q.val() == AlignState::Beat) & self.data.valid.val());
        self.avail.next = 8.into();
        if self.skip.q.val().any() {
            self.avail.next = self.skip.q.val();
        }
        self.total.next =
            bit_cast::<5, 4>(self.waiting.q.val()) + bit_cast::<5, 4>(self.amount.q.val());
        self.poor.next =
            self.failed.q.val() | self.item.val().get_bit(15) | self.item.val().get_bit(17);
        self.closing.next = false;

        // Bit i: place i is one of a byte that waits; the others are for the beat's.
        self.below.next = 255.into();
        if self.waiting.q.val() == 0 {
            self.below.next = 0.into();
        } else if self.waiting.q.val() == 1 {
            self.below.next = 1.into();
        } else if self.waiting.q.val() == 2 {
            self.below.next = 3.into();
        } else if self.waiting.q.val() == 3 {
            self.below.next = 7.into();
        } else if self.waiting.q.val() == 4 {
            self.below.next = 15.into();
        } else if self.waiting.q.val() == 5 {
            self.below.next = 31.into();
        } else if self.waiting.q.val() == 6 {
            self.below.next = 63.into();
        } else if self.waiting.q.val() == 7 {
            self.below.next = 127.into();
        }
        // Byte i of the beat goes to place (i + turn) modulo 8: by four, by two, by one.
        self.four0.next = self.data.d0.val();
        self.four1.next = self.data.d1.val();
        if self.turn.q.val().get_bit(2) {
            self.four0.next = self.data.d1.val();
            self.four1.next = self.data.d0.val();
        }
        self.two0.next = self.four0.val();
        self.two1.next = self.four1.val();
        if self.turn.q.val().get_bit(1) {
            self.two0.next = (self.four0.val() << 16) | (self.four1.val() >> 16);
            self.two1.next = (self.four1.val() << 16) | (self.four0.val() >> 16);
        }
        self.one0.next = self.two0.val();
        self.one1.next = self.two1.val();
        if self.turn.q.val().get_bit(0) {
            self.one0.next = (self.two0.val() << 8) | (self.two1.val() >> 24);
            self.one1.next = (self.two1.val() << 8) | (self.two0.val() >> 24);
        }
        self.turned.next =
            bit_cast::<64, 32>(self.one0.val()) | (bit_cast::<64, 32>(self.one1.val()) << 32);
        self.over.next = self.total.val() > 8;
        self.merges.next =
            (self.state.q.val() == AlignState::Merge) & self.free.val() & !self.failed.q.val();
        self.fills.next = (self.merges.val() & self.over.val())
            | ((self.state.q.val() == AlignState::Close) & self.free.val() & !self.done_full.val());
        // A byte that waits stays in its place until eight are there; all others are the beat's.
        for i in 0..8 {
            self.rot[i].clock.next = self.clock.val();
            self.acc[i].clock.next = self.clock.val();
            self.out[i].clock.next = self.clock.val();
            self.rot[i].d.next = self.rot[i].q.val();
            if (self.state.q.val() == AlignState::Beat) & self.data.valid.val() {
                self.rot[i].d.next = self.turned.val().get_bits::<8>(8 * i);
            }
            self.acc[i].d.next = self.acc[i].q.val();
            if self.merges.val() & (self.over.val() | !self.below.val().get_bit(i)) {
                self.acc[i].d.next = self.rot[i].q.val();
            }
            self.out[i].d.next = self.out[i].q.val();
            if self.fills.val() {
                self.out[i].d.next = self.acc[i].q.val();
                if (self.state.q.val() == AlignState::Merge) & !self.below.val().get_bit(i) {
                    self.out[i].d.next = self.rot[i].q.val();
                }
            }
        }

        if self.m.ready.val() {
            self.out_valid.d.next = false;
        }
        match self.state.q.val() {
            AlignState::Item => {
                if self.item_valid.val() {
                    if self.item.val().get_bit(31) {
                        self.state.d.next = AlignState::Close;
                    } else if self.began.q.val() | !self.out_valid.q.val() {
                        // The flags are on the port: those of the next frame wait for the last beat of this one.
                        self.item_pop.next = true;
                        if !self.began.q.val() {
                            self.flags.d.next = self.item.val().get_bits::<7>(11);
                            self.tag.d.next = false;
                            if self.item.val().get_bit(30) {
                                self.flags.d.next = self.item.val().get_bits::<7>(16);
                                self.tag.d.next = self.item.val().get_bit(23);
                                self.tci.d.next = bit_cast::<16, 32>(self.item.val());
                            }
                        }
                        self.began.d.next = true;
                        self.left.d.next = self.item.val().get_bits::<9>(2);
                        self.turn.d.next = bit_cast::<3, 4>(self.waiting.q.val())
                            - bit_cast::<3, 32>(self.item.val() & 3);
                        self.skip.d.next = 0.into();
                        if (self.item.val() & 3) == 1 {
                            self.skip.d.next = 7.into();
                        } else if (self.item.val() & 3) == 2 {
                            self.skip.d.next = 6.into();
                        } else if (self.item.val() & 3) == 3 {
                            self.skip.d.next = 5.into();
                        }
                        if !self.item.val().get_bit(30) {
                            self.state.d.next = AlignState::Beat;
                        }
                    }
                }
            }
            AlignState::Beat => {
                self.data.ready.next = true;
                if self.data.valid.val() {
                    self.last_beat.d.next = self.data.last.val();
                    if self.data.last.val() & self.data.err.val() {
                        self.failed.d.next = true;
                    }
                    self.amount.d.next = self.avail.val();
                    if self.left.q.val() < bit_cast::<9, 4>(self.avail.val()) {
                        self.amount.d.next = bit_cast::<4, 9>(self.left.q.val());
                    }
                    self.state.d.next = AlignState::Merge;
                }
            }
            AlignState::Merge => {
                if self.free.val() | self.failed.q.val() {
                    self.left.d.next = self.left.q.val() - bit_cast::<9, 4>(self.amount.q.val());
                    self.skip.d.next = 0.into();
                    self.state.d.next = AlignState::Beat;
                    if self.last_beat.q.val() {
                        self.state.d.next = AlignState::Item;
                    }
                    if !self.failed.q.val() {
                        self.waiting.d.next = bit_cast::<4, 5>(self.total.val());
                        if self.over.val() {
                            self.waiting.d.next = bit_cast::<4, 5>(self.total.val()) - 8;
                            self.out_keep.d.next = 255.into();
                            self.out_last.d.next = false;
                            self.out_abort.d.next = false;
                            self.out_valid.d.next = true;
                            self.sent.d.next = true;
                        }
                    }
                }
            }
            AlignState::Close => {
                if self.free.val() & !self.done_full.val() {
                    self.closing.next = true;
                    self.item_pop.next = true;
                    self.done_push.next = true;
                    self.done.next = self.item.val() & 0x1D_FFFF;
                    if self.item.val().get_bit(17) {
                        self.done.next = (self.item.val() & 0x1D_FFFF) | 0x20_0000;
                    } else if self.failed.q.val() {
                        self.done.next = (self.item.val() & 0x1D_FFFF) | 0x2_0000;
                    }
                    self.out_last.d.next = true;
                    self.out_abort.d.next = self.poor.val();
                    self.out_valid.d.next = !self.poor.val() | self.sent.q.val();
                    self.out_keep.d.next = self.below.val();
                    if !self.below.val().any() {
                        self.out_keep.d.next = 255.into();
                    }
                    self.state.d.next = AlignState::Item;
                }
            }
            _ => {
                self.state.d.next = AlignState::Item;
            }
        }
        if self.closing.val() | self.reset.val() {
            self.waiting.d.next = 0.into();
            self.began.d.next = false;
            self.sent.d.next = false;
        }
        if (self.closing.val() & !self.item.val().get_bit(18)) | self.reset.val() {
            self.failed.d.next = false;
        }
        if self.reset.val() {
            self.state.d.next = AlignState::Item;
            self.out_valid.d.next = false;
        }
    }
}

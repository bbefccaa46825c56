//! Walks SQEs frame by frame, checks them, and asks for the bytes that they point at.
//!
//! What it asks for, and where frames end, goes into a list of words for the [`realigner`](super::realigner):
//! the head of a frame that gets a tag or is a segment is `1 << 30 | tag << 23 | flags << 16 (RAW, IPCS, L4CS, NEXT_HOP[2:0], TS_REQ) | TCI`,
//! before the frame's reads; behind it that of a segment has `3 << 29 | first << 28 | last << 27 | bytes of headers << 16 | bytes of payload`;
//! a read is `offset[1:0] of its first byte | bytes << 2 (9 bits) | flags << 11`;
//! a frame's end is `1 << 31 | index[14:0] of its last SQE | bad << 15 | completion << 16 | forget << 17 | more segments << 18 |
//! queue << 19`.
use crate::pcie::ports::ReadReqSource;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum WalkState {
    Entry,
    Segment,
    Head,
    Numbers,
    Split,
    Ask,
    Piece,
    Finish,
}

/// Splits each SQE at 256-byte borders (or the read size, if that is smaller), so that no read crosses 4 KiB.
///
/// A frame is bad if an SQE has length 0, if its first SQE lacks SOP or asks for what this build cannot do (INLINE),
/// if its bytes exceed 65,535, or if another SOP comes before its EOP (then it ends before that SQE). From the bad SQE on nothing is read.
///
/// Of a frame with TSO each segment is read as a frame of its own: the headers, which are read again each time, and its share of the payload.
/// It is bad, too, if it is RAW, if its headers have not 40 to 120 bytes in words of four or are all there is of it, if the MSS is 0, or if the payload
/// is not as long as the second SQE says; segments that came before that was seen go out.
#[derive(LogicBlock, Default)]
pub struct PayloadReader {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The queue runs; when it falls, a frame under way is ended with `forget`.
    pub run: Signal<In, Bit>,
    /// MRRS as PCIe encodes it: 0 is 128 bytes.
    pub max_read: Signal<In, Bits<3>>,
    /// The SQE: IOVA, low half.
    pub addr_lo: Signal<In, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<In, Bits<32>>,
    /// Length in bits 15:0, flags in bits 31:16.
    pub len_flags: Signal<In, Bits<32>>,
    /// First SQE: VLAN tag control information in bits 15:0, MSS in bits 31:16. Second with TSO: bytes of payload in bits 15:0.
    pub options: Signal<In, Bits<32>>,
    /// Its free-running index.
    pub index: Signal<In, Bits<15>>,
    /// Whose it is; steady within a frame.
    pub owner: Signal<In, Bits<2>>,
    /// The SQE is there.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// Reads of the payload.
    pub req: ReadReqSource,
    /// Word for the list.
    pub word: Signal<Out, Bits<32>>,
    /// Append `word`.
    pub push: Signal<Out, Bit>,
    /// The list has no room.
    pub full: Signal<In, Bit>,
    /// Between frames, nothing under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<WalkState>,
    lo: DFF<Bits<32>>,
    hi: DFF<Bits<32>>,
    left: DFF<Bits<16>>,
    total: DFF<Bits<17>>,
    flags: DFF<Bits<7>>,
    has_tag: DFF<Bit>,
    r_tci: DFF<Bits<16>>,
    /// TSO: the frame is cut into segments.
    tso: DFF<Bit>,
    /// The first segment is not begun.
    first: DFF<Bit>,
    mss: DFF<Bits<16>>,
    /// Where the headers are.
    head_lo: DFF<Bits<32>>,
    head_hi: DFF<Bits<32>>,
    head_bytes: DFF<Bits<7>>,
    /// They are read now.
    heading: DFF<Bit>,
    /// Where the payload goes on behind them.
    next_lo: DFF<Bits<32>>,
    next_hi: DFF<Bits<32>>,
    /// Bytes of payload that belong to no segment yet.
    todo: DFF<Bits<16>>,
    /// Of the segment, behind the piece that is read.
    segment: DFF<Bits<16>>,
    /// Of the SQE, behind the piece that is read.
    behind: DFF<Bits<16>>,
    /// Another segment follows, or an SQE that should not be there.
    more: DFF<Bit>,
    last_index: DFF<Bits<15>>,
    midframe: DFF<Bit>,
    bad: DFF<Bit>,
    report: DFF<Bit>,
    forget: DFF<Bit>,
    final_sqe: DFF<Bit>,
    bytes: DFF<Bits<9>>,
    dwords: DFF<Bits<7>>,
    sum: Signal<Local, Bits<17>>,
    headers: Signal<Local, Bits<7>>,
    headers_bad: Signal<Local, Bit>,
    /// `todo` less a segment, and `behind` less `segment`; the top bit says that it is too little.
    rest: Signal<Local, Bits<17>>,
    over: Signal<Local, Bits<17>>,
    /// The flags of the segment, or the frame.
    shown: Signal<Local, Bits<7>>,
    /// The segment is the last.
    final_one: Signal<Local, Bit>,
    fresh: Signal<Local, Bit>,
    wrong: Signal<Local, Bit>,
    start_bad: Signal<Local, Bit>,
    block: Signal<Local, Bits<9>>,
    past: Signal<Local, Bits<9>>,
    room: Signal<Local, Bits<9>>,
    amount: Signal<Local, Bits<9>>,
    span: Signal<Local, Bits<9>>,
    after: Signal<Local, Bits<32>>,
}

impl Logic for PayloadReader {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, lo, hi, left, total, flags, has_tag, r_tci, tso, first, mss,
            head_lo, head_hi, head_bytes, heading, next_lo, next_hi, todo, segment, behind, more,
            last_index, midframe, bad, report, forget, final_sqe, bytes, dwords
        );
        self.ready.next = false;
        self.push.next = false;
        self.word.next = 0.into();
        self.req.addr_lo.next = self.lo.q.val() & 0xFFFF_FFFC_u64;
        self.req.addr_hi.next = self.hi.q.val();
        self.req.dwords.next = self.dwords.q.val();
        self.req.valid.next = false;
        self.idle.next = (self.state.q.val() == WalkState::Entry) & !self.midframe.q.val();
        self.busy.next = (self.state.q.val() == WalkState::Split)
            | (self.state.q.val() == WalkState::Segment)
            | (self.state.q.val() == WalkState::Piece)
            | ((self.state.q.val() == WalkState::Ask) & !self.full.val() & self.req.ready.val())
            | (((self.state.q.val() == WalkState::Head)
                | (self.state.q.val() == WalkState::Numbers)
                | (self.state.q.val() == WalkState::Finish))
                & !self.full.val())
            | ((self.state.q.val() == WalkState::Entry) & self.valid.val())
            | (self.midframe.q.val() & !self.run.val());

        // The SQE against the rules. Flag bit n is bit 16 + n.
        self.fresh.next = !self.midframe.q.val();
        self.sum.next = self.total.q.val() + bit_cast::<17, 32>(self.len_flags.val() & 0xFFFF);
        self.headers.next = bit_cast::<7, 32>(self.len_flags.val());
        self.headers_bad.next = (self.len_flags.val() & 0xFF83).any()
            | (self.headers.val() < 40)
            | (self.headers.val() > 120)
            | self.len_flags.val().get_bit(17)
            | self.len_flags.val().get_bit(18)
            | !(self.options.val() & 0xFFFF_0000_u64).any();
        self.start_bad.next = self.fresh.val()
            & (!self.len_flags.val().get_bit(16)
                | (self.len_flags.val().get_bit(21) & self.headers_bad.val())
                | self.len_flags.val().get_bit(23));
        self.wrong.next = self.bad.q.val()
            | self.start_bad.val()
            | !(self.len_flags.val() & 0xFFFF).any()
            | (self.tso.q.val() & self.first.q.val() & !(self.options.val() & 0xFFFF).any())
            | self.sum.val().get_bit(16);
        self.rest.next =
            bit_cast::<17, 16>(self.todo.q.val()) - bit_cast::<17, 16>(self.mss.q.val());
        self.over.next =
            bit_cast::<17, 16>(self.behind.q.val()) - bit_cast::<17, 16>(self.segment.q.val());

        // The next read of the SQE.
        self.block.next = 256.into();
        self.past.next = bit_cast::<9, 32>(self.lo.q.val()) & 255;
        if !self.max_read.val().any() {
            self.block.next = 128.into();
            self.past.next = bit_cast::<9, 32>(self.lo.q.val()) & 127;
        }
        self.room.next = self.block.val() - self.past.val();
        self.amount.next = self.room.val();
        if self.left.q.val() < bit_cast::<16, 9>(self.room.val()) {
            self.amount.next = bit_cast::<9, 16>(self.left.q.val());
        }
        self.span.next = self.amount.val() + (bit_cast::<9, 32>(self.lo.q.val()) & 3) + 3;
        self.after.next = self.lo.q.val() + bit_cast::<32, 9>(self.bytes.q.val());

        self.final_one.next = !self.todo.q.val().any();
        self.shown.next = self.flags.q.val();
        // Segments have IPCS and L4CS, and the last one's time is told.
        if self.tso.q.val() {
            self.shown.next = self.flags.q.val() | 6;
            if !self.final_one.val() {
                self.shown.next = (self.flags.q.val() & 0x3F) | 6;
            }
        }

        match self.state.q.val() {
            WalkState::Entry => {
                if !self.run.val() {
                    if self.midframe.q.val() {
                        self.forget.d.next = true;
                        self.state.d.next = WalkState::Finish;
                    }
                } else if self.valid.val() {
                    if self.midframe.q.val() & self.len_flags.val().get_bit(16) {
                        self.bad.d.next = true;
                        self.state.d.next = WalkState::Finish;
                    } else {
                        self.ready.next = true;
                        self.midframe.d.next = true;
                        self.last_index.d.next = self.index.val();
                        self.lo.d.next = self.addr_lo.val();
                        self.hi.d.next = self.addr_hi.val();
                        self.left.d.next = bit_cast::<16, 32>(self.len_flags.val());
                        self.behind.d.next = bit_cast::<16, 32>(self.len_flags.val());
                        self.final_sqe.d.next = self.len_flags.val().get_bit(17);
                        self.total.d.next = self.sum.val();
                        if self.fresh.val() {
                            // RAW, IPCS, L4CS, the three bits of NEXT_HOP, TS_REQ.
                            self.flags.d.next =
                                (bit_cast::<7, 1>(self.len_flags.val().get_bits::<1>(24)) << 6)
                                    | (bit_cast::<7, 3>(self.len_flags.val().get_bits::<3>(26))
                                        << 3)
                                    | bit_cast::<7, 3>(self.len_flags.val().get_bits::<3>(18));
                            self.has_tag.d.next = self.len_flags.val().get_bit(22);
                            self.r_tci.d.next = bit_cast::<16, 32>(self.options.val());
                            self.mss.d.next = self.options.val().get_bits::<16>(16);
                            self.head_lo.d.next = self.addr_lo.val();
                            self.head_hi.d.next = self.addr_hi.val();
                            self.head_bytes.d.next = self.headers.val();
                            self.segment.d.next = 0.into();
                            self.report.d.next = self.len_flags.val().get_bit(24);
                        }
                        if self.len_flags.val().get_bit(25) & self.len_flags.val().get_bit(17) {
                            self.report.d.next = true;
                        }
                        if self.wrong.val() {
                            self.bad.d.next = true;
                            if self.len_flags.val().get_bit(17) {
                                self.state.d.next = WalkState::Finish;
                            }
                        } else if self.fresh.val() & self.len_flags.val().get_bit(21) {
                            // The headers are read when it is known that there is payload.
                            self.tso.d.next = true;
                            self.first.d.next = true;
                        } else if self.tso.q.val() {
                            if self.first.q.val() {
                                self.todo.d.next = bit_cast::<16, 32>(self.options.val());
                            }
                            self.state.d.next = WalkState::Segment;
                            if self.segment.q.val().any() {
                                self.state.d.next = WalkState::Piece;
                            }
                        } else {
                            self.state.d.next = WalkState::Split;
                            if self.fresh.val() & self.len_flags.val().get_bit(22) {
                                self.state.d.next = WalkState::Head;
                            }
                        }
                    }
                }
            }
            WalkState::Segment => {
                self.next_lo.d.next = self.lo.q.val();
                self.next_hi.d.next = self.hi.q.val();
                self.lo.d.next = self.head_lo.q.val();
                self.hi.d.next = self.head_hi.q.val();
                self.left.d.next = bit_cast::<16, 7>(self.head_bytes.q.val());
                self.heading.d.next = true;
                self.segment.d.next = self.mss.q.val();
                self.todo.d.next = bit_cast::<16, 17>(self.rest.val());
                if self.rest.val().get_bit(16) {
                    self.segment.d.next = self.todo.q.val();
                    self.todo.d.next = 0.into();
                }
                self.state.d.next = WalkState::Head;
            }
            WalkState::Head => {
                self.word.next = (bit_cast::<32, 1>(self.has_tag.q.val().into()) << 23)
                    | (bit_cast::<32, 7>(self.shown.val()) << 16)
                    | bit_cast::<32, 16>(self.r_tci.q.val())
                    | 0x4000_0000_u64;
                if !self.full.val() {
                    self.push.next = true;
                    self.state.d.next = WalkState::Split;
                    if self.tso.q.val() {
                        self.state.d.next = WalkState::Numbers;
                    }
                }
            }
            WalkState::Numbers => {
                self.word.next = (bit_cast::<32, 1>(self.first.q.val().into()) << 28)
                    | (bit_cast::<32, 1>(self.final_one.val().into()) << 27)
                    | (bit_cast::<32, 7>(self.head_bytes.q.val()) << 16)
                    | bit_cast::<32, 16>(self.segment.q.val())
                    | 0x6000_0000_u64;
                if !self.full.val() {
                    self.push.next = true;
                    self.first.d.next = false;
                    self.state.d.next = WalkState::Split;
                }
            }
            WalkState::Split => {
                self.bytes.d.next = self.amount.val();
                self.dwords.d.next = self.span.val().get_bits::<7>(2);
                self.state.d.next = WalkState::Ask;
                if !self.run.val() {
                    self.forget.d.next = true;
                    self.state.d.next = WalkState::Finish;
                }
            }
            WalkState::Ask => {
                self.word.next = (bit_cast::<32, 7>(self.flags.q.val()) << 11)
                    | (bit_cast::<32, 9>(self.bytes.q.val()) << 2)
                    | (self.lo.q.val() & 3);
                self.req.valid.next = !self.full.val();
                if !self.full.val() & self.req.ready.val() {
                    self.push.next = true;
                    self.lo.d.next = self.after.val();
                    // The top bit falls where the address wraps.
                    if self.lo.q.val().get_bit(31) & !self.after.val().get_bit(31) {
                        self.hi.d.next = self.hi.q.val() + 1;
                    }
                    self.left.d.next = self.left.q.val() - bit_cast::<16, 9>(self.bytes.q.val());
                    self.state.d.next = WalkState::Split;
                    if self.left.q.val() == bit_cast::<16, 9>(self.bytes.q.val()) {
                        self.state.d.next = WalkState::Entry;
                        if self.tso.q.val() & self.heading.q.val() {
                            self.heading.d.next = false;
                            self.lo.d.next = self.next_lo.q.val();
                            self.hi.d.next = self.next_hi.q.val();
                            self.state.d.next = WalkState::Piece;
                        } else if self.tso.q.val() & !self.segment.q.val().any() {
                            self.more.d.next = self.todo.q.val().any()
                                | self.behind.q.val().any()
                                | !self.final_sqe.q.val();
                            self.state.d.next = WalkState::Finish;
                        } else if self.final_sqe.q.val() {
                            // A segment that lacks bytes.
                            self.bad.d.next = self.tso.q.val();
                            self.state.d.next = WalkState::Finish;
                        }
                    }
                }
            }
            WalkState::Piece => {
                self.left.d.next = self.segment.q.val();
                self.behind.d.next = bit_cast::<16, 17>(self.over.val());
                self.segment.d.next = 0.into();
                if self.over.val().get_bit(16) {
                    self.left.d.next = self.behind.q.val();
                    self.behind.d.next = 0.into();
                    self.segment.d.next = self.segment.q.val() - self.behind.q.val();
                }
                self.state.d.next = WalkState::Split;
            }
            WalkState::Finish => {
                self.word.next = bit_cast::<32, 15>(self.last_index.q.val())
                    | (bit_cast::<32, 1>(self.bad.q.val().into()) << 15)
                    | (bit_cast::<32, 1>(self.report.q.val().into()) << 16)
                    | (bit_cast::<32, 1>(self.forget.q.val().into()) << 17)
                    | (bit_cast::<32, 1>(self.more.q.val().into()) << 18)
                    | (bit_cast::<32, 2>(self.owner.val()) << 19)
                    | 0x8000_0000_u64;
                if !self.full.val() {
                    self.push.next = true;
                    self.more.d.next = false;
                    self.state.d.next = WalkState::Entry;
                    if self.more.q.val() {
                        if self.todo.q.val().any() & self.behind.q.val().any() {
                            self.state.d.next = WalkState::Segment;
                        } else {
                            // More SQEs than payload, or less.
                            self.bad.d.next = !self.todo.q.val().any() | self.final_sqe.q.val();
                            if self.final_sqe.q.val() {
                                self.state.d.next = WalkState::Finish;
                            }
                        }
                    } else {
                        self.midframe.d.next = false;
                        self.tso.d.next = false;
                        self.bad.d.next = false;
                        self.forget.d.next = false;
                        self.report.d.next = false;
                        self.total.d.next = 0.into();
                    }
                }
            }
            _ => {
                self.state.d.next = WalkState::Entry;
            }
        }
        if self.reset.val() {
            self.state.d.next = WalkState::Entry;
            self.midframe.d.next = false;
            self.tso.d.next = false;
            self.more.d.next = false;
            self.bad.d.next = false;
            self.forget.d.next = false;
            self.report.d.next = false;
            self.total.d.next = 0.into();
        }
    }
}

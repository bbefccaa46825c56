//! The push window's writer: what the host writes there becomes entries of a list, frame by frame.
//!
//! An entry is a pair of DWs with a mark: 0 a word pair of a frame, 1 its last one, 2 the frame has ended badly, 3 it is forgotten. A
//! frame's first entry is DWs 2 and 3 of its SQE; then come its bytes.
use crate::pcie::ports::PushSink;
use ferrule_abi::regs::PUSH_MAX_PACKET;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PushState {
    Closed,
    Address,
    Flags,
    Bytes,
}

/// Pairs of bytes that fit behind the SQE.
const MOST_PAIRS: u64 = PUSH_MAX_PACKET as u64 / 8;

/// Takes the writes in their order, at the offset where the last one ended or at 0, where a frame begins.
///
/// A frame ends badly if its SQE lacks SOP or EOP, asks for what this build cannot do (TSO, INLINE) or has a length of 0 or
/// beyond the window; if a write is not where the last one ended, or is malformed; or if the list is full. What is then written to
/// the window is nothing until a frame begins; a write there that belongs to no frame pulses `stray`.
#[derive(LogicBlock)]
pub struct PushWindow {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The queue runs in PUSH mode; when it falls, a frame under way is forgotten.
    pub run: Signal<In, Bit>,
    /// Writes of the host.
    pub writes: PushSink,
    /// At least two more entries fit into the list.
    pub room: Signal<In, Bit>,
    /// At least one more does.
    pub space: Signal<In, Bit>,
    /// Entry: the DW at the lower address, the first byte in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// The next one.
    pub d1: Signal<Out, Bits<32>>,
    /// See above.
    pub mark: Signal<Out, Bits<2>>,
    /// Append the entry.
    pub push: Signal<Out, Bit>,
    /// Pulse: a write was for nothing.
    pub stray: Signal<Out, Bit>,
    /// Between frames.
    pub idle: Signal<Out, Bit>,
    state: DFF<PushState>,
    /// DW of the window that comes next.
    place: DFF<Bits<10>>,
    /// A DW whose partner has not come.
    held: DFF<Bits<32>>,
    holds: DFF<Bit>,
    /// Pairs of the frame that come still.
    left: DFF<Bits<9>>,
    begins: Signal<Local, Bit>,
    fits: Signal<Local, Bit>,
    had: Signal<Local, Bit>,
    taken: Signal<Local, Bit>,
    pair: Signal<Local, Bit>,
    broken: Signal<Local, Bit>,
    first: Signal<Local, Bits<32>>,
    second: Signal<Local, Bits<32>>,
    rounded: Signal<Local, Bits<17>>,
    pairs: Signal<Local, Bits<14>>,
    most_pairs: Constant<Bits<14>>,
    wrong: Signal<Local, Bit>,
    failed: Signal<Local, Bit>,
}

impl Default for PushWindow {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            run: Default::default(),
            writes: Default::default(),
            room: Default::default(),
            space: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            mark: Default::default(),
            push: Default::default(),
            stray: Default::default(),
            idle: Default::default(),
            state: Default::default(),
            place: Default::default(),
            held: Default::default(),
            holds: Default::default(),
            left: Default::default(),
            begins: Default::default(),
            fits: Default::default(),
            had: Default::default(),
            taken: Default::default(),
            pair: Default::default(),
            broken: Default::default(),
            first: Default::default(),
            second: Default::default(),
            rounded: Default::default(),
            pairs: Default::default(),
            most_pairs: Constant::new(MOST_PAIRS.into()),
            wrong: Default::default(),
            failed: Default::default(),
        }
    }
}

impl Logic for PushWindow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, place, held, holds, left);
        self.idle.next = self.state.q.val() == PushState::Closed;
        self.writes.open.next = self.run.val();
        self.push.next = false;
        self.mark.next = 0.into();
        self.stray.next = false;

        // Does the write belong to the frame under way, and does a pair become complete?
        self.begins.next =
            self.writes.valid.val() & self.writes.first.val() & !self.writes.offset.val().any();
        self.fits.next = !self.writes.first.val()
            | (bit_cast::<10, 9>(self.writes.offset.val()) == self.place.q.val());
        self.had.next = self.state.q.val() != PushState::Closed;
        self.taken.next = self.run.val()
            & self.writes.valid.val()
            & (self.begins.val() | (self.had.val() & self.fits.val()));
        self.broken.next = self.writes.valid.val() & self.writes.bad.val() & self.writes.last.val();
        self.pair.next = self.taken.val()
            & !self.begins.val()
            & (self.writes.count.val().get_bit(1)
                | (self.writes.count.val().get_bit(0) & self.holds.q.val()));
        self.first.next = self.writes.d0.val();
        self.second.next = self.writes.d1.val();
        if self.holds.q.val() {
            self.first.next = self.held.q.val();
            self.second.next = self.writes.d0.val();
        }
        self.d0.next = self.first.val();
        self.d1.next = self.second.val();

        // What DW 2 of the SQE says. Flag bit n is bit 16 + n.
        self.rounded.next = (bit_cast::<17, 32>(self.first.val() & 0xFFFF)) + 7;
        self.pairs.next = self.rounded.val().get_bits::<14>(3);
        self.wrong.next = !self.first.val().get_bit(16)
            | !self.first.val().get_bit(17)
            | self.first.val().get_bit(21)
            | self.first.val().get_bit(23)
            | (self.pairs.val() == 0)
            | (self.pairs.val() > self.most_pairs.val());

        self.failed.next = false;
        if self.taken.val() {
            self.holds.d.next = self.holds.q.val() ^ self.writes.count.val().get_bit(0);
            // What waits stays where a beat brings nothing.
            if self.writes.count.val().get_bit(1) {
                self.held.d.next = self.writes.d1.val();
            } else if self.writes.count.val().get_bit(0) {
                self.held.d.next = self.writes.d0.val();
            }
            self.place.d.next = self.place.q.val() + bit_cast::<10, 2>(self.writes.count.val());
        }
        if self.begins.val() & self.run.val() {
            // A beat that begins a frame brings one DW at most: there is no pair.
            self.failed.next = self.had.val();
            self.holds.d.next = self.writes.count.val().get_bit(0);
            self.place.d.next = bit_cast::<10, 2>(self.writes.count.val());
            self.state.d.next = PushState::Address;
            if self.broken.val() {
                self.state.d.next = PushState::Closed;
            }
        } else if self.writes.valid.val() & !self.taken.val() {
            if self.had.val() {
                self.failed.next = true;
                self.state.d.next = PushState::Closed;
            }
            self.stray.next = self.run.val() & self.writes.first.val();
        } else if self.broken.val() & self.had.val() {
            self.failed.next = true;
            self.state.d.next = PushState::Closed;
        } else if self.pair.val() {
            match self.state.q.val() {
                PushState::Address => {
                    self.state.d.next = PushState::Flags;
                }
                PushState::Flags => {
                    self.left.d.next = bit_cast::<9, 14>(self.pairs.val());
                    self.state.d.next = PushState::Bytes;
                    if self.wrong.val() | !self.room.val() {
                        self.failed.next = true;
                        self.state.d.next = PushState::Closed;
                    } else {
                        self.push.next = true;
                    }
                }
                PushState::Bytes => {
                    self.left.d.next = self.left.q.val() - 1;
                    if !self.room.val() {
                        self.failed.next = true;
                        self.state.d.next = PushState::Closed;
                    } else {
                        self.push.next = true;
                        if self.left.q.val() == 1 {
                            self.mark.next = 1.into();
                            self.state.d.next = PushState::Closed;
                        }
                    }
                }
                _ => {
                    self.state.d.next = PushState::Closed;
                }
            }
        }
        if self.failed.val() {
            // The last entry of the list is kept for this.
            self.mark.next = 2.into();
            self.push.next = self.space.val();
            self.stray.next = !self.space.val();
        }
        if self.had.val() & !self.run.val() {
            self.mark.next = 3.into();
            self.push.next = self.state.q.val() == PushState::Bytes;
            self.state.d.next = PushState::Closed;
        }
        if self.reset.val() {
            self.state.d.next = PushState::Closed;
            self.push.next = false;
        }
    }
}

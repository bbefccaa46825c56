//! Loopback inside the core's clock: what is to be sent is received.
use super::word::*;
use rust_hdl::prelude::*;

/// Gives the words of `s` to `m` as they would come back from a wire: padded to 60 bytes and no faster than 1 byte a clock, with the time of
/// FCS, gap and preamble between frames. It never marks a frame as bad; the length is not checked.
#[derive(LogicBlock)]
pub struct Loopback {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// Words to be sent.
    pub s: WordSink,
    /// Words received; `ready` is not looked at.
    pub m: WordSource,
    /// Within a frame or the gap after it.
    pub busy: Signal<Out, Bit>,
    /// Clocks until the next word.
    pace: DFF<Bits<5>>,
    /// Words of this frame, up to 15.
    words: DFF<Bits<4>>,
    padding: DFF<Bit>,
    /// Valid bits of a word by its `count`.
    mask: [Constant<Bits<32>>; 3],
    word_pace: Constant<Bits<5>>,
    frame_pace: Constant<Bits<5>>,
}

impl Default for Loopback {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            s: Default::default(),
            m: Default::default(),
            busy: Default::default(),
            pace: Default::default(),
            words: Default::default(),
            padding: Default::default(),
            mask: [
                Constant::new(0xFF.into()),
                Constant::new(0xFFFF.into()),
                Constant::new(0x00FF_FFFF.into()),
            ],
            word_pace: Constant::new(3.into()),
            frame_pace: Constant::new((3 + 4 + 12 + 8).into()),
        }
    }
}

impl Logic for Loopback {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, pace, words, padding);
        self.s.ready.next = (self.pace.q.val() == 0) & !self.padding.q.val();
        self.m.data.next = self.s.data.val();
        self.m.last.next = false;
        self.m.count.next = 3.into();
        self.m.bad.next = 0.into();
        self.m.valid.next = false;
        self.busy.next = (self.pace.q.val() != 0) | (self.words.q.val() != 0);
        if self.pace.q.val() != 0 {
            self.pace.d.next = self.pace.q.val() - 1;
        } else if self.s.valid.val() | self.padding.q.val() {
            self.m.valid.next = true;
            self.pace.d.next = self.word_pace.val();
            if self.words.q.val() != 15 {
                self.words.d.next = self.words.q.val() + 1;
            }
            if self.padding.q.val() {
                self.m.data.next = 0.into();
            } else if self.s.last.val() {
                self.padding.d.next = true;
                if self.s.count.val() == 0 {
                    self.m.data.next = self.s.data.val() & self.mask[0].val();
                }
                if self.s.count.val() == 1 {
                    self.m.data.next = self.s.data.val() & self.mask[1].val();
                }
                if self.s.count.val() == 2 {
                    self.m.data.next = self.s.data.val() & self.mask[2].val();
                }
                if self.words.q.val() == 15 {
                    self.m.count.next = self.s.count.val();
                }
            }
            if (self.s.last.val() | self.padding.q.val()) & (self.words.q.val() >= 14) {
                self.m.last.next = true;
                self.padding.d.next = false;
                self.words.d.next = 0.into();
                self.pace.d.next = self.frame_pace.val();
            }
        }
        if self.reset.val() {
            self.pace.d.next = 0.into();
            self.words.d.next = 0.into();
            self.padding.d.next = false;
        }
    }
}

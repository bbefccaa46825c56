//! A register for each of four queues, of which two are seen at a time.
use array_init::array_init;
use rust_hdl::prelude::*;

/// Four registers of `N` bits: one is written, the ones of two queues are shown.
#[derive(LogicBlock)]
pub struct Bank<const N: usize> {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Bit i: register i becomes 0, whatever is written.
    pub clear: Signal<In, Bits<4>>,
    /// Whose register `q` shows.
    pub place: Signal<In, Bits<2>>,
    /// It.
    pub q: Signal<Out, Bits<N>>,
    /// Whose register `other_q` shows.
    pub other: Signal<In, Bits<2>>,
    /// It.
    pub other_q: Signal<Out, Bits<N>>,
    /// Whose register is written.
    pub target: Signal<In, Bits<2>>,
    /// What is written.
    pub d: Signal<In, Bits<N>>,
    /// It is written now.
    pub write: Signal<In, Bit>,
    word: [DFF<Bits<N>>; 4],
    number: [Constant<Bits<2>>; 4],
}

impl<const N: usize> Default for Bank<N> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            place: Default::default(),
            q: Default::default(),
            other: Default::default(),
            other_q: Default::default(),
            target: Default::default(),
            d: Default::default(),
            write: Default::default(),
            word: array_init(|_| Default::default()),
            number: array_init(|i| Constant::new((i as u64).into())),
        }
    }
}

impl<const N: usize> Logic for Bank<N> {
    #[hdl_gen]
    fn update(&mut self) {
        self.q.next = self.word[0].q.val();
        self.other_q.next = self.word[0].q.val();
        for i in 0..4 {
            self.word[i].clock.next = self.clock.val();
            self.word[i].d.next = self.word[i].q.val();
            if self.place.val() == self.number[i].val() {
                self.q.next = self.word[i].q.val();
            }
            if self.other.val() == self.number[i].val() {
                self.other_q.next = self.word[i].q.val();
            }
            if self.write.val() & (self.target.val() == self.number[i].val()) {
                self.word[i].d.next = self.d.val();
            }
            if self.clear.val().get_bit(i) {
                self.word[i].d.next = 0.into();
            }
        }
    }
}

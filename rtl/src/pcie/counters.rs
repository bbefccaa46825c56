//! The 64-bit hardware counters.
//!
//! Pulses are gathered in a 5-bit sum per counter, kept as five bit planes so that one addition serves all counters at once; while a sum is
//! not zero, a lap over the counters adds the sums to the totals, which live in memory. A lap takes 32 cycles (a snapshot 64), in which a
//! counter can take 31 pulses: each kind of TLP takes at least three cycles, a frame far more.
use array_init::array_init;
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// State of [`Counters`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CountState {
    /// Clears the totals after reset.
    Clear,
    /// No sum is waiting.
    Idle,
    /// The sum of a counter is added to its total; in a snapshot the low half goes to the shadow.
    Add,
    /// The high half goes to the shadow.
    High,
}

/// The counters.
#[derive(LogicBlock)]
pub struct Counters {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset; clears all counters.
    pub reset: Signal<In, Bit>,
    /// One pulse bit a counter, in the positions of `ferrule_abi::counter`.
    pub inc: Signal<In, Bits<32>>,
    /// With the pulse of RX_FRAMES: the frame's bytes.
    pub rx_bytes: Signal<In, Bits<16>>,
    /// With the pulse of TX_FRAMES: the frame's bytes.
    pub tx_bytes: Signal<In, Bits<16>>,
    /// Copy all counters; stays high until `snapshot_done`.
    pub snapshot: Signal<In, Bit>,
    /// A word of the copy is there.
    pub snapshot_valid: Signal<Out, Bit>,
    /// Its number: 2n the low half of counter n, 2n + 1 the high half.
    pub snapshot_index: Signal<Out, Bits<6>>,
    /// The word.
    pub snapshot_data: Signal<Out, Bits<32>>,
    /// With the last word.
    pub snapshot_done: Signal<Out, Bit>,
    /// Sums are waiting or being added.
    pub busy: Signal<Out, Bit>,
    state: DFF<CountState>,
    plane: [DFF<Bits<32>>; 5],
    rx_sum: DFF<Bits<20>>,
    tx_sum: DFF<Bits<20>>,
    lane: DFF<Bits<5>>,
    lane_mask: DFF<Bits<32>>,
    copying: DFF<Bit>,
    total_hi: DFF<Bits<32>>,
    low: RAM<Bits<32>, 5>,
    high: RAM<Bits<32>, 5>,
    carry: Signal<Local, Bits<32>>,
    kept: Signal<Local, Bits<32>>,
    keep: Signal<Local, Bits<32>>,
    lane_next: Signal<Local, Bits<5>>,
    rx_keep: Signal<Local, Bits<20>>,
    tx_keep: Signal<Local, Bits<20>>,
    add: Signal<Local, Bits<32>>,
    new_lo: Signal<Local, Bits<32>>,
    new_hi: Signal<Local, Bits<32>>,
    waiting: Signal<Local, Bit>,
    weight: [Constant<Bits<32>>; 5],
    rx_frames: Constant<Bits<32>>,
    tx_frames: Constant<Bits<32>>,
    rx_lane: Constant<Bits<5>>,
    tx_lane: Constant<Bits<5>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            inc: Default::default(),
            rx_bytes: Default::default(),
            tx_bytes: Default::default(),
            snapshot: Default::default(),
            snapshot_valid: Default::default(),
            snapshot_index: Default::default(),
            snapshot_data: Default::default(),
            snapshot_done: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            plane: array_init(|_| Default::default()),
            rx_sum: Default::default(),
            tx_sum: Default::default(),
            lane: Default::default(),
            lane_mask: Default::default(),
            copying: Default::default(),
            total_hi: Default::default(),
            low: Default::default(),
            high: Default::default(),
            carry: Default::default(),
            kept: Default::default(),
            keep: Default::default(),
            lane_next: Default::default(),
            rx_keep: Default::default(),
            tx_keep: Default::default(),
            add: Default::default(),
            new_lo: Default::default(),
            new_hi: Default::default(),
            waiting: Default::default(),
            weight: array_init(|i| Constant::new((1_u64 << i).into())),
            rx_frames: Constant::new((1_u64 << counter::RX_FRAMES).into()),
            tx_frames: Constant::new((1_u64 << counter::TX_FRAMES).into()),
            rx_lane: Constant::new(u64::from(counter::RX_BYTES).into()),
            tx_lane: Constant::new(u64::from(counter::TX_BYTES).into()),
        }
    }
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, rx_sum, tx_sum, lane, lane_mask, copying, total_hi);
        for i in 0..5 {
            self.plane[i].clock.next = self.clock.val();
        }
        self.low.read_clock.next = self.clock.val();
        self.low.write_clock.next = self.clock.val();
        self.high.read_clock.next = self.clock.val();
        self.high.write_clock.next = self.clock.val();
        self.snapshot_valid.next = false;
        self.snapshot_index.next = 0.into();
        self.snapshot_data.next = self.total_hi.q.val();
        self.snapshot_done.next = false;

        // What the lane's sum adds.
        self.add.next = 0.into();
        self.waiting.next = false;
        for i in 0..5 {
            if self.plane[i].q.val() != 0 {
                self.waiting.next = true;
                if (self.plane[i].q.val() & self.lane_mask.q.val()) != 0 {
                    self.add.next = self.add.val() + self.weight[i].val();
                }
            }
        }
        self.rx_keep.next = self.rx_sum.q.val();
        self.tx_keep.next = self.tx_sum.q.val();
        self.keep.next = 0xFFFF_FFFF_u64.into();
        self.lane_next.next = self.lane.q.val();
        if self.state.q.val() == CountState::Add {
            self.keep.next = !self.lane_mask.q.val();
            if self.lane.q.val() == self.rx_lane.val() {
                self.add.next = bit_cast::<32, 20>(self.rx_sum.q.val());
                self.rx_keep.next = 0.into();
            }
            if self.lane.q.val() == self.tx_lane.val() {
                self.add.next = bit_cast::<32, 20>(self.tx_sum.q.val());
                self.tx_keep.next = 0.into();
            }
        }
        self.new_lo.next = self.low.read_data.val() + self.add.val();
        self.new_hi.next = self.high.read_data.val();
        if self.new_lo.val() < self.add.val() {
            self.new_hi.next = self.high.read_data.val() + 1;
        }
        self.low.write_address.next = self.lane.q.val();
        self.low.write_data.next = self.new_lo.val();
        self.low.write_enable.next = self.state.q.val() == CountState::Add;
        self.high.write_address.next = self.lane.q.val();
        self.high.write_data.next = self.new_hi.val();
        self.high.write_enable.next = self.state.q.val() == CountState::Add;

        match self.state.q.val() {
            CountState::Clear => {
                self.low.write_data.next = 0.into();
                self.low.write_enable.next = true;
                self.high.write_data.next = 0.into();
                self.high.write_enable.next = true;
                self.lane_next.next = self.lane.q.val() + 1;
                if self.lane.q.val() == 31 {
                    self.state.d.next = CountState::Idle;
                }
            }
            CountState::Idle => {
                self.copying.d.next = self.snapshot.val();
                if self.snapshot.val() | self.waiting.val() {
                    self.lane_mask.d.next = 1.into();
                    self.state.d.next = CountState::Add;
                }
            }
            CountState::Add => {
                if self.copying.q.val() {
                    self.snapshot_valid.next = true;
                    self.snapshot_index.next = bit_cast::<6, 5>(self.lane.q.val()) << 1;
                    self.snapshot_data.next = self.new_lo.val();
                    self.total_hi.d.next = self.new_hi.val();
                    self.state.d.next = CountState::High;
                } else {
                    self.lane_next.next = self.lane.q.val() + 1;
                    self.lane_mask.d.next = self.lane_mask.q.val() + self.lane_mask.q.val();
                    if self.lane.q.val() == 31 {
                        self.state.d.next = CountState::Idle;
                    }
                }
            }
            CountState::High => {
                self.snapshot_valid.next = true;
                self.snapshot_index.next = (bit_cast::<6, 5>(self.lane.q.val()) << 1) | 1;
                self.lane_next.next = self.lane.q.val() + 1;
                self.lane_mask.d.next = self.lane_mask.q.val() + self.lane_mask.q.val();
                self.state.d.next = CountState::Add;
                if self.lane.q.val() == 31 {
                    self.snapshot_done.next = true;
                    self.state.d.next = CountState::Idle;
                }
            }
            _ => {
                self.state.d.next = CountState::Clear;
            }
        }
        self.lane.d.next = self.lane_next.val();
        self.low.read_address.next = self.lane_next.val();
        self.high.read_address.next = self.lane_next.val();

        // Pulses enter the planes, with carries.
        self.carry.next = self.inc.val();
        for i in 0..5 {
            self.kept.next = self.plane[i].q.val() & self.keep.val();
            self.plane[i].d.next = self.kept.val() ^ self.carry.val();
            self.carry.next = self.kept.val() & self.carry.val();
        }
        self.rx_sum.d.next = self.rx_keep.val();
        if (self.inc.val() & self.rx_frames.val()) != 0 {
            self.rx_sum.d.next = self.rx_keep.val() + bit_cast::<20, 16>(self.rx_bytes.val());
        }
        self.tx_sum.d.next = self.tx_keep.val();
        if (self.inc.val() & self.tx_frames.val()) != 0 {
            self.tx_sum.d.next = self.tx_keep.val() + bit_cast::<20, 16>(self.tx_bytes.val());
        }
        self.busy.next = (self.state.q.val() != CountState::Idle) | self.waiting.val();
        if self.reset.val() {
            self.state.d.next = CountState::Clear;
            self.lane.d.next = 0.into();
            self.lane_mask.d.next = 0.into();
            self.copying.d.next = false;
            self.rx_sum.d.next = 0.into();
            self.tx_sum.d.next = 0.into();
            for i in 0..5 {
                self.plane[i].d.next = 0.into();
            }
        }
    }
}

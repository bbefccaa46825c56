//! The 64-bit hardware counters.
//!
//! Pulses are gathered in a 5-bit sum per counter, kept as five bit planes so that one addition serves all counters at once; while a sum is
//! not zero, a lap over the counters takes the sums, and adds each to its total, which lives in memory, a cycle later. A lap takes 32
//! cycles (a snapshot 65), in which a counter can take 31 pulses: each kind of TLP takes at least three cycles, a frame far more.
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
    /// The sum of a counter is taken; in a snapshot the high half of the one before goes to the shadow.
    Take,
    /// In a snapshot: the low half goes to the shadow.
    Low,
    /// In a snapshot: the last high half goes to the shadow.
    Last,
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
    /// The inputs, a cycle later.
    came: DFF<Bits<32>>,
    came_rx: DFF<Bits<16>>,
    came_tx: DFF<Bits<16>>,
    plane: [DFF<Bits<32>>; 5],
    rx_sum: DFF<Bits<20>>,
    tx_sum: DFF<Bits<20>>,
    lane: DFF<Bits<5>>,
    lane_mask: DFF<Bits<32>>,
    copying: DFF<Bit>,
    /// A sum that was taken, and the counter it goes to.
    sum: DFF<Bits<20>>,
    target: DFF<Bits<5>>,
    adding: DFF<Bit>,
    total_hi: DFF<Bits<32>>,
    low: RAM<Bits<32>, 5>,
    high: RAM<Bits<32>, 5>,
    carry: Signal<Local, Bits<32>>,
    kept: Signal<Local, Bits<32>>,
    keep: Signal<Local, Bits<32>>,
    lane_next: Signal<Local, Bits<5>>,
    rx_keep: Signal<Local, Bits<20>>,
    tx_keep: Signal<Local, Bits<20>>,
    pulses: Signal<Local, Bits<20>>,
    old_lo: Signal<Local, Bits<32>>,
    old_hi: Signal<Local, Bits<32>>,
    new_lo: Signal<Local, Bits<33>>,
    new_hi: Signal<Local, Bits<32>>,
    waiting: Signal<Local, Bit>,
    weight: [Constant<Bits<20>>; 5],
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
            came: Default::default(),
            came_rx: Default::default(),
            came_tx: Default::default(),
            plane: array_init(|_| Default::default()),
            rx_sum: Default::default(),
            tx_sum: Default::default(),
            lane: Default::default(),
            lane_mask: Default::default(),
            copying: Default::default(),
            sum: Default::default(),
            target: Default::default(),
            adding: Default::default(),
            total_hi: Default::default(),
            low: Default::default(),
            high: Default::default(),
            carry: Default::default(),
            kept: Default::default(),
            keep: Default::default(),
            lane_next: Default::default(),
            rx_keep: Default::default(),
            tx_keep: Default::default(),
            pulses: Default::default(),
            old_lo: Default::default(),
            old_hi: Default::default(),
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
        dff_setup!(
            self, clock, state, came, came_rx, came_tx, rx_sum, tx_sum, lane, lane_mask, copying,
            sum, target, adding, total_hi
        );
        for i in 0..5 {
            self.plane[i].clock.next = self.clock.val();
        }
        self.low.read_clock.next = self.clock.val();
        self.low.write_clock.next = self.clock.val();
        self.high.read_clock.next = self.clock.val();
        self.high.write_clock.next = self.clock.val();
        self.snapshot_valid.next = false;
        self.snapshot_index.next = bit_cast::<6, 5>(self.lane.q.val()) << 1;
        self.snapshot_data.next = self.total_hi.q.val();
        self.snapshot_done.next = false;

        // The lane's sum.
        self.pulses.next = 0.into();
        self.waiting.next = false;
        for i in 0..5 {
            if self.plane[i].q.val() != 0 {
                self.waiting.next = true;
            }
            if (self.plane[i].q.val() & self.lane_mask.q.val()) != 0 {
                self.pulses.next = self.pulses.val() | self.weight[i].val();
            }
        }
        self.rx_keep.next = self.rx_sum.q.val();
        self.tx_keep.next = self.tx_sum.q.val();
        self.keep.next = 0xFFFF_FFFF_u64.into();
        self.lane_next.next = self.lane.q.val();
        self.sum.d.next = self.pulses.val();
        self.target.d.next = self.lane.q.val();
        self.adding.d.next = self.state.q.val() == CountState::Take;
        if self.lane.q.val() == self.rx_lane.val() {
            self.sum.d.next = self.rx_sum.q.val();
        }
        if self.lane.q.val() == self.tx_lane.val() {
            self.sum.d.next = self.tx_sum.q.val();
        }

        // Clearing is adding nothing to nothing: it takes no LUTs of its own.
        self.old_lo.next = 0.into();
        self.old_hi.next = 0.into();
        if self.state.q.val() != CountState::Clear {
            self.old_lo.next = self.low.read_data.val();
            self.old_hi.next = self.high.read_data.val();
        }
        self.new_lo.next =
            bit_cast::<33, 20>(self.sum.q.val()) + bit_cast::<33, 32>(self.old_lo.val());
        self.new_hi.next =
            bit_cast::<32, 1>(self.new_lo.val().get_bits::<1>(32)) + self.old_hi.val();
        self.low.read_address.next = self.lane.q.val();
        self.high.read_address.next = self.lane.q.val();
        self.low.write_address.next = self.target.q.val();
        self.low.write_data.next = self.new_lo.val().get_bits::<32>(0);
        self.low.write_enable.next = self.adding.q.val();
        self.high.write_address.next = self.target.q.val();
        self.high.write_data.next = self.new_hi.val();
        self.high.write_enable.next = self.adding.q.val();

        match self.state.q.val() {
            CountState::Clear => {
                self.sum.d.next = 0.into();
                self.low.write_address.next = self.lane.q.val();
                self.low.write_enable.next = true;
                self.high.write_address.next = self.lane.q.val();
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
                    self.state.d.next = CountState::Take;
                }
            }
            CountState::Take => {
                self.keep.next = !self.lane_mask.q.val();
                if self.lane.q.val() == self.rx_lane.val() {
                    self.rx_keep.next = 0.into();
                }
                if self.lane.q.val() == self.tx_lane.val() {
                    self.tx_keep.next = 0.into();
                }
                if self.copying.q.val() {
                    self.snapshot_valid.next = self.lane.q.val() != 0;
                    self.snapshot_index.next = (bit_cast::<6, 5>(self.lane.q.val()) << 1) - 1;
                    self.state.d.next = CountState::Low;
                } else {
                    self.lane_next.next = self.lane.q.val() + 1;
                    self.lane_mask.d.next = self.lane_mask.q.val() << 1;
                    if self.lane.q.val() == 31 {
                        self.state.d.next = CountState::Idle;
                    }
                }
            }
            CountState::Low => {
                self.snapshot_valid.next = true;
                self.snapshot_data.next = self.new_lo.val().get_bits::<32>(0);
                self.total_hi.d.next = self.new_hi.val();
                self.lane_next.next = self.lane.q.val() + 1;
                self.lane_mask.d.next = self.lane_mask.q.val() << 1;
                self.state.d.next = CountState::Take;
                if self.lane.q.val() == 31 {
                    self.state.d.next = CountState::Last;
                }
            }
            CountState::Last => {
                self.snapshot_valid.next = true;
                self.snapshot_index.next = 63.into();
                self.snapshot_done.next = true;
                self.state.d.next = CountState::Idle;
            }
            _ => {
                self.state.d.next = CountState::Clear;
            }
        }
        self.lane.d.next = self.lane_next.val();

        // Pulses enter the planes, with carries.
        self.came.d.next = self.inc.val();
        self.came_rx.d.next = 0.into();
        if (self.inc.val() & self.rx_frames.val()) != 0 {
            self.came_rx.d.next = self.rx_bytes.val();
        }
        self.came_tx.d.next = 0.into();
        if (self.inc.val() & self.tx_frames.val()) != 0 {
            self.came_tx.d.next = self.tx_bytes.val();
        }
        self.carry.next = self.came.q.val();
        for i in 0..5 {
            self.kept.next = self.plane[i].q.val() & self.keep.val();
            self.plane[i].d.next = self.kept.val() ^ self.carry.val();
            self.carry.next = self.kept.val() & self.carry.val();
        }
        self.rx_sum.d.next = bit_cast::<20, 16>(self.came_rx.q.val()) + self.rx_keep.val();
        self.tx_sum.d.next = bit_cast::<20, 16>(self.came_tx.q.val()) + self.tx_keep.val();
        self.busy.next = (self.state.q.val() != CountState::Idle)
            | self.came.q.val().any()
            | self.waiting.val()
            | self.adding.q.val();
        if self.reset.val() {
            self.state.d.next = CountState::Clear;
            self.lane.d.next = 0.into();
            self.lane_mask.d.next = 0.into();
            self.came.d.next = 0.into();
            self.came_rx.d.next = 0.into();
            self.came_tx.d.next = 0.into();
            self.sum.d.next = 0.into();
            self.copying.d.next = false;
            self.adding.d.next = false;
            self.rx_sum.d.next = 0.into();
            self.tx_sum.d.next = 0.into();
            for i in 0..5 {
                self.plane[i].d.next = 0.into();
            }
        }
    }
}

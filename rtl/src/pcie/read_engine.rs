//! Reads host memory for three clients: tags, buffers, completions in any legal split and order, errors, timeouts.
//!
//! Each client owns a fixed ring of tags, so its answers come in the order of its requests without a reorder queue: client 0 (SQE
//! fetch) tags 0 and 1, client 1 (RXQ fetch) 2 and 3, client 2 (transmit payload) 4 to 7. Each tag has 64 DWs of the buffer.
//!
//! PCIe base specification 2.1: section 2.2.9 (byte count), 2.3.1.1 (splits), 2.3.2 (completion handling), 2.8 (timeout).
use super::internal::{CompletionSink, ReadTlpSource};
use super::ports::{ReadDataSource, ReadReqSink};
use array_init::array_init;
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// A read that is not answered within this many ticks (of 2^20 ns) has failed: at least 50 ms.
pub const TIMEOUT_TICKS: u32 = 49;

/// State of the completion side of [`ReadEngine`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ReadState {
    /// Nothing comes in; ages may be checked.
    Idle,
    /// The state of a completion's tag has been read.
    Judge,
    /// Its payload is stored.
    Store,
    /// It is thrown away.
    Drop,
    /// The age of a tag has been read.
    Age,
}

/// The engine.
///
/// A completion must announce exactly the bytes that are missing of its read; one that does not, or whose tag is not in use, is thrown away
/// and counted. The read then goes on waiting, as the specification has it.
#[derive(LogicBlock)]
pub struct ReadEngine {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The clock in ticks of 2^20 ns.
    pub ticks: Signal<In, Bits<32>>,
    /// No new request is to be taken.
    pub quiesce: Signal<In, Bit>,
    /// What the clients ask for.
    pub request: [ReadReqSink; 3],
    /// What they get.
    pub answer: [ReadDataSource; 3],
    /// The reads, to be sent.
    pub read: ReadTlpSource,
    /// Completions for reads of ours.
    pub completion: CompletionSink,
    /// A read is sent or waiting to be sent, and not answered.
    pub outstanding: Signal<Out, Bit>,
    /// Pulses for TLP_COMPLETIONS, TLP_UNEXPECTED and TLP_READ_ERRORS.
    pub events: Signal<Out, Bits<32>>,
    /// Something moves, or a read was sent less than two ticks ago.
    pub busy: Signal<Out, Bit>,
    /// When ages are to be checked next, in ticks.
    pub deadline: Signal<Out, Bits<32>>,
    /// `deadline` counts.
    pub deadline_valid: Signal<Out, Bit>,
    state: DFF<ReadState>,
    /// One bit a tag: waiting for completions.
    pending: DFF<Bits<8>>,
    /// One bit a tag: complete or failed, and not yet delivered.
    done: DFF<Bits<8>>,
    /// One bit a tag: failed.
    failed: DFF<Bits<8>>,
    /// Tags in use, per client.
    used: [DFF<Bits<3>>; 3],
    /// The tag a client gets next.
    tail: [DFF<Bits<3>>; 3],
    /// Position of the DW that a client gets next: tag x 64 + index.
    head: [DFF<Bits<9>>; 3],
    hold_lo: DFF<Bits<32>>,
    hold_hi: DFF<Bits<32>>,
    hold_dwords: DFF<Bits<7>>,
    hold_tag: DFF<Bits<3>>,
    hold_valid: DFF<Bit>,
    /// Position at which the next DW of the completion is stored.
    place: DFF<Bits<9>>,
    /// DWs missing of the read.
    left: DFF<Bits<7>>,
    poisoned: DFF<Bit>,
    /// The tick at which ages were checked last.
    checked: DFF<Bits<32>>,
    /// Ticks since something happened, up to 2.
    silent: DFF<Bits<2>>,
    age_tag: DFF<Bits<3>>,
    ageing: DFF<Bit>,
    /// The client whose turn it is to get a beat.
    turn: DFF<Bits<2>>,
    fetched: DFF<Bit>,
    fetched_client: DFF<Bits<2>>,
    fetched_place: DFF<Bits<9>>,
    out0: [DFF<Bits<32>>; 3],
    out1: [DFF<Bits<32>>; 3],
    out_last: [DFF<Bit>; 3],
    out_err: [DFF<Bit>; 3],
    out_valid: [DFF<Bit>; 3],
    even: RAM<Bits<32>, 8>,
    odd: RAM<Bits<32>, 8>,
    /// Per tag: `place` and `left` between completions, and size and time of the request.
    places: RAM<Bits<9>, 3>,
    lefts: RAM<Bits<7>, 3>,
    sizes: RAM<Bits<7>, 3>,
    times: RAM<Bits<16>, 3>,
    accept: Signal<Local, Bit>,
    chosen: [Signal<Local, Bit>; 3],
    new_tag: Signal<Local, Bits<3>>,
    new_place: Signal<Local, Bits<9>>,
    new_dwords: Signal<Local, Bits<7>>,
    new_mask: Signal<Local, Bits<8>>,
    finish: Signal<Local, Bit>,
    fail: Signal<Local, Bit>,
    subject: Signal<Local, Bits<3>>,
    subject_mask: Signal<Local, Bits<8>>,
    finish_mask: Signal<Local, Bits<8>>,
    fail_mask: Signal<Local, Bits<8>>,
    waiting: Signal<Local, Bit>,
    bytes_left: Signal<Local, Bits<12>>,
    quad: Signal<Local, Bits<12>>,
    place_next: Signal<Local, Bits<9>>,
    place_up: Signal<Local, Bits<9>>,
    left_next: Signal<Local, Bits<7>>,
    age: Signal<Local, Bits<16>>,
    now: Signal<Local, Bits<16>>,
    stored: Signal<Local, Bit>,
    at: Signal<Local, Bits<9>>,
    at_tag: Signal<Local, Bits<3>>,
    at_mask: Signal<Local, Bits<8>>,
    blocked: Signal<Local, Bit>,
    deliver_mask: Signal<Local, Bits<8>>,
    index: Signal<Local, Bits<7>>,
    is_last: Signal<Local, Bit>,
    is_failed: Signal<Local, Bit>,
    count_up: [Signal<Local, Bit>; 3],
    count_down: [Signal<Local, Bit>; 3],
    step: [Signal<Local, Bits<3>>; 3],
    tag: [Constant<Bits<3>>; 8],
    mask: [Constant<Bits<8>>; 8],
    base: [Constant<Bits<9>>; 8],
    client: [Constant<Bits<2>>; 3],
    limit: [Constant<Bits<3>>; 3],
    ring_first: [Constant<Bits<3>>; 3],
    ring_mask: [Constant<Bits<3>>; 3],
    timeout: Constant<Bits<16>>,
    pulse_completion: Constant<Bits<32>>,
    pulse_unexpected: Constant<Bits<32>>,
    pulse_error: Constant<Bits<32>>,
}

/// First tag and number of tags of each client.
const RINGS: [(u64, u64); 3] = [(0, 2), (2, 2), (4, 4)];

impl Default for ReadEngine {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            ticks: Default::default(),
            quiesce: Default::default(),
            request: array_init(|_| Default::default()),
            answer: array_init(|_| Default::default()),
            read: Default::default(),
            completion: Default::default(),
            outstanding: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            deadline: Default::default(),
            deadline_valid: Default::default(),
            state: Default::default(),
            pending: Default::default(),
            done: Default::default(),
            failed: Default::default(),
            used: array_init(|_| Default::default()),
            tail: array_init(|_| Default::default()),
            head: array_init(|_| Default::default()),
            hold_lo: Default::default(),
            hold_hi: Default::default(),
            hold_dwords: Default::default(),
            hold_tag: Default::default(),
            hold_valid: Default::default(),
            place: Default::default(),
            left: Default::default(),
            poisoned: Default::default(),
            checked: Default::default(),
            silent: Default::default(),
            age_tag: Default::default(),
            ageing: Default::default(),
            turn: Default::default(),
            fetched: Default::default(),
            fetched_client: Default::default(),
            fetched_place: Default::default(),
            out0: array_init(|_| Default::default()),
            out1: array_init(|_| Default::default()),
            out_last: array_init(|_| Default::default()),
            out_err: array_init(|_| Default::default()),
            out_valid: array_init(|_| Default::default()),
            even: Default::default(),
            odd: Default::default(),
            places: Default::default(),
            lefts: Default::default(),
            sizes: Default::default(),
            times: Default::default(),
            accept: Default::default(),
            chosen: array_init(|_| Default::default()),
            new_tag: Default::default(),
            new_place: Default::default(),
            new_dwords: Default::default(),
            new_mask: Default::default(),
            finish: Default::default(),
            fail: Default::default(),
            subject: Default::default(),
            subject_mask: Default::default(),
            finish_mask: Default::default(),
            fail_mask: Default::default(),
            waiting: Default::default(),
            bytes_left: Default::default(),
            quad: Default::default(),
            place_next: Default::default(),
            place_up: Default::default(),
            left_next: Default::default(),
            age: Default::default(),
            now: Default::default(),
            stored: Default::default(),
            at: Default::default(),
            at_tag: Default::default(),
            at_mask: Default::default(),
            blocked: Default::default(),
            deliver_mask: Default::default(),
            index: Default::default(),
            is_last: Default::default(),
            is_failed: Default::default(),
            count_up: array_init(|_| Default::default()),
            count_down: array_init(|_| Default::default()),
            step: array_init(|_| Default::default()),
            tag: array_init(|i| Constant::new((i as u64).into())),
            mask: array_init(|i| Constant::new((1_u64 << i).into())),
            base: array_init(|i| Constant::new((64 * i as u64).into())),
            client: array_init(|i| Constant::new((i as u64).into())),
            limit: array_init(|i| Constant::new(RINGS[i].1.into())),
            ring_first: array_init(|i| Constant::new(RINGS[i].0.into())),
            ring_mask: array_init(|i| Constant::new((RINGS[i].1 - 1).into())),
            timeout: Constant::new(u64::from(TIMEOUT_TICKS).into()),
            pulse_completion: Constant::new((1_u64 << counter::TLP_COMPLETIONS).into()),
            pulse_unexpected: Constant::new((1_u64 << counter::TLP_UNEXPECTED).into()),
            pulse_error: Constant::new((1_u64 << counter::TLP_READ_ERRORS).into()),
        }
    }
}

impl Logic for ReadEngine {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            pending,
            done,
            failed,
            hold_lo,
            hold_hi,
            hold_dwords,
            hold_tag,
            hold_valid,
            place,
            left,
            poisoned,
            checked,
            silent,
            age_tag,
            ageing,
            turn,
            fetched,
            fetched_client,
            fetched_place
        );
        for i in 0..3 {
            self.used[i].clock.next = self.clock.val();
            self.used[i].d.next = self.used[i].q.val();
            self.tail[i].clock.next = self.clock.val();
            self.tail[i].d.next = self.tail[i].q.val();
            self.head[i].clock.next = self.clock.val();
            self.head[i].d.next = self.head[i].q.val();
            self.out0[i].clock.next = self.clock.val();
            self.out0[i].d.next = self.out0[i].q.val();
            self.out1[i].clock.next = self.clock.val();
            self.out1[i].d.next = self.out1[i].q.val();
            self.out_last[i].clock.next = self.clock.val();
            self.out_last[i].d.next = self.out_last[i].q.val();
            self.out_err[i].clock.next = self.clock.val();
            self.out_err[i].d.next = self.out_err[i].q.val();
            self.out_valid[i].clock.next = self.clock.val();
            self.out_valid[i].d.next = self.out_valid[i].q.val();
            self.answer[i].d0.next = self.out0[i].q.val();
            self.answer[i].d1.next = self.out1[i].q.val();
            self.answer[i].last.next = self.out_last[i].q.val();
            self.answer[i].err.next = self.out_err[i].q.val();
            self.answer[i].valid.next = self.out_valid[i].q.val();
            if self.answer[i].ready.val() {
                self.out_valid[i].d.next = false;
            }
            self.count_up[i].next = false;
            self.count_down[i].next = false;
            self.step[i].next = self.tail[i].q.val() + 1;
        }
        self.even.read_clock.next = self.clock.val();
        self.even.write_clock.next = self.clock.val();
        self.odd.read_clock.next = self.clock.val();
        self.odd.write_clock.next = self.clock.val();
        self.places.read_clock.next = self.clock.val();
        self.places.write_clock.next = self.clock.val();
        self.lefts.read_clock.next = self.clock.val();
        self.lefts.write_clock.next = self.clock.val();
        self.sizes.read_clock.next = self.clock.val();
        self.sizes.write_clock.next = self.clock.val();
        self.times.read_clock.next = self.clock.val();
        self.times.write_clock.next = self.clock.val();
        self.events.next = 0.into();
        self.completion.ready.next = false;
        self.finish.next = false;
        self.fail.next = false;
        self.stored.next = false;
        self.now.next = bit_cast::<16, 32>(self.ticks.val());

        // A client's request gets the next tag of its ring, and waits in `hold` to be sent. The lowest client number comes first.
        self.accept.next = false;
        self.new_tag.next = 0.into();
        self.new_dwords.next = 0.into();
        for i in 0..3 {
            self.chosen[i].next = false;
        }
        if !self.hold_valid.q.val() & !self.quiesce.val() & (self.state.q.val() != ReadState::Store)
        {
            for i in 0..3 {
                if self.request[i].valid.val()
                    & (self.used[i].q.val() != self.limit[i].val())
                    & !self.accept.val()
                {
                    self.accept.next = true;
                    self.chosen[i].next = true;
                    self.new_tag.next = self.tail[i].q.val();
                    self.hold_lo.d.next = self.request[i].addr_lo.val();
                    self.hold_hi.d.next = self.request[i].addr_hi.val();
                    self.new_dwords.next = self.request[i].dwords.val();
                    self.hold_dwords.d.next = self.request[i].dwords.val();
                    self.hold_tag.d.next = self.tail[i].q.val();
                    self.hold_valid.d.next = true;
                    self.tail[i].d.next =
                        (self.step[i].val() & self.ring_mask[i].val()) | self.ring_first[i].val();
                    self.count_up[i].next = true;
                    self.silent.d.next = 0.into();
                }
            }
        }
        self.new_mask.next = 0.into();
        self.new_place.next = 0.into();
        if self.accept.val() {
            for i in 0..8 {
                if self.new_tag.val() == self.tag[i].val() {
                    self.new_mask.next = self.mask[i].val();
                    self.new_place.next = self.base[i].val();
                }
            }
        }
        for i in 0..3 {
            self.request[i].ready.next = self.chosen[i].val();
        }
        self.read.addr_lo.next = self.hold_lo.q.val();
        self.read.addr_hi.next = self.hold_hi.q.val();
        self.read.dwords.next = self.hold_dwords.q.val();
        self.read.tag.next = self.hold_tag.q.val();
        self.read.valid.next = self.hold_valid.q.val();
        if self.read.ready.val() & self.hold_valid.q.val() {
            self.hold_valid.d.next = false;
        }

        // The tag in question: that of a completion, of a read that cannot be sent, or the one whose age is checked.
        self.subject.next = self.completion.tag.val();
        if self.state.q.val() == ReadState::Age {
            self.subject.next = self.age_tag.q.val();
        }
        if (self.state.q.val() == ReadState::Idle)
            & self.hold_valid.q.val()
            & self.read.refuse.val()
        {
            self.subject.next = self.hold_tag.q.val();
        }
        self.subject_mask.next = 0.into();
        for i in 0..8 {
            if self.subject.val() == self.tag[i].val() {
                self.subject_mask.next = self.mask[i].val();
            }
        }
        self.waiting.next = ((self.pending.q.val() & self.subject_mask.val()) != 0)
            & !(self.hold_valid.q.val() & (self.hold_tag.q.val() == self.subject.val()));

        // Completions.
        self.bytes_left.next = bit_cast::<12, 32>(self.completion.dw1.val());
        self.quad.next = 0.into();
        self.place_up.next = self.place.q.val() + 1;
        self.place_next.next = self.place.q.val() + bit_cast::<9, 2>(self.completion.count.val());
        self.left_next.next = self.left.q.val() - bit_cast::<7, 2>(self.completion.count.val());
        self.age.next = self.now.val() - self.times.read_data.val();
        self.places.read_address.next = self.completion.tag.val();
        self.lefts.read_address.next = self.completion.tag.val();
        self.times.read_address.next = self.age_tag.q.val();
        match self.state.q.val() {
            ReadState::Idle => {
                if self.hold_valid.q.val() & self.read.refuse.val() {
                    self.hold_valid.d.next = false;
                    self.finish.next = true;
                    self.fail.next = true;
                } else if self.completion.valid.val() {
                    self.silent.d.next = 0.into();
                    self.state.d.next = ReadState::Judge;
                } else if self.ageing.q.val() {
                    self.state.d.next = ReadState::Age;
                } else if self.pending.q.val().any() & (self.ticks.val() != self.checked.q.val()) {
                    self.ageing.d.next = true;
                    self.age_tag.d.next = 0.into();
                    self.checked.d.next = self.ticks.val();
                    if self.silent.q.val() != 2 {
                        self.silent.d.next = self.silent.q.val() + 1;
                    }
                }
            }
            ReadState::Judge => {
                self.place.d.next = self.places.read_data.val();
                self.left.d.next = self.lefts.read_data.val();
                self.poisoned.d.next = self.completion.dw0.val().get_bit(14);
                self.quad.next = bit_cast::<12, 7>(self.lefts.read_data.val()) << 2;
                self.state.d.next = ReadState::Drop;
                if !self.waiting.val() {
                    self.events.next = self.pulse_unexpected.val();
                } else if (self.completion.dw1.val() & 0xE000) != 0 {
                    // Unsupported Request, Completer Abort or a reserved status: nothing more will come.
                    self.events.next = self.pulse_completion.val();
                    self.finish.next = true;
                    self.fail.next = true;
                } else if self.completion.dw0.val().get_bit(30)
                    & (self.bytes_left.val() == self.quad.val())
                    & ((self.completion.dw0.val() & 0x3FF) != 0)
                    & ((self.completion.dw0.val() & 0x3FF)
                        <= bit_cast::<32, 7>(self.lefts.read_data.val()))
                {
                    self.state.d.next = ReadState::Store;
                } else {
                    self.events.next = self.pulse_unexpected.val();
                }
            }
            ReadState::Store => {
                self.completion.ready.next = true;
                if self.completion.valid.val() {
                    self.place.d.next = self.place_next.val();
                    self.left.d.next = self.left_next.val();
                    if self.completion.last.val() {
                        self.state.d.next = ReadState::Idle;
                        if self.completion.bad.val() {
                            self.events.next = self.pulse_unexpected.val();
                        } else {
                            self.events.next = self.pulse_completion.val();
                            self.stored.next = true;
                            self.fail.next = self.poisoned.q.val();
                            self.finish.next =
                                self.left.q.val() == bit_cast::<7, 2>(self.completion.count.val());
                        }
                    }
                }
            }
            ReadState::Drop => {
                self.completion.ready.next = true;
                if self.completion.valid.val() & self.completion.last.val() {
                    self.state.d.next = ReadState::Idle;
                }
            }
            ReadState::Age => {
                self.age_tag.d.next = self.age_tag.q.val() + 1;
                if self.age_tag.q.val() == 7 {
                    self.ageing.d.next = false;
                }
                self.state.d.next = ReadState::Idle;
                if self.waiting.val() & (self.age.val() >= self.timeout.val()) {
                    self.finish.next = true;
                    self.fail.next = true;
                }
            }
            _ => {
                self.state.d.next = ReadState::Idle;
            }
        }
        self.finish_mask.next = 0.into();
        self.fail_mask.next = 0.into();
        if self.finish.val() {
            self.finish_mask.next = self.subject_mask.val();
        }
        if self.fail.val() {
            self.fail_mask.next = self.subject_mask.val();
        }
        if self.finish.val()
            & (self.fail.val() | ((self.failed.q.val() & self.subject_mask.val()) != 0))
        {
            self.events.next = self.events.val() | self.pulse_error.val();
        }

        // The buffer: DW n of a read lies in `even` or `odd` by n's lowest bit.
        self.even.write_data.next = self.completion.d0.val();
        self.even.write_address.next = 0.into();
        self.even.write_enable.next = false;
        self.odd.write_data.next = self.completion.d1.val();
        self.odd.write_address.next = 0.into();
        self.odd.write_enable.next = false;
        if self.place.q.val().get_bit(0) {
            self.even.write_data.next = self.completion.d1.val();
            self.odd.write_data.next = self.completion.d0.val();
        }
        if (self.state.q.val() == ReadState::Store) & self.completion.valid.val() {
            self.odd.write_address.next = self.place.q.val().get_bits::<8>(1);
            self.even.write_address.next = self.place_up.val().get_bits::<8>(1);
            if self.place.q.val().get_bit(0) {
                self.odd.write_enable.next = self.completion.count.val() != 0;
                self.even.write_enable.next = self.completion.count.val() == 2;
            } else {
                self.even.write_enable.next = self.completion.count.val() != 0;
                self.odd.write_enable.next = self.completion.count.val() == 2;
            }
        }
        self.places.write_address.next = self.completion.tag.val();
        self.places.write_data.next = self.place_next.val();
        self.places.write_enable.next = self.stored.val() | self.accept.val();
        self.lefts.write_address.next = self.completion.tag.val();
        self.lefts.write_data.next = self.left_next.val();
        self.lefts.write_enable.next = self.stored.val() | self.accept.val();
        if self.accept.val() {
            self.places.write_address.next = self.new_tag.val();
            self.places.write_data.next = self.new_place.val();
            self.lefts.write_address.next = self.new_tag.val();
            self.lefts.write_data.next = self.new_dwords.val();
        }
        self.sizes.write_address.next = self.new_tag.val();
        self.sizes.write_data.next = self.new_dwords.val();
        self.sizes.write_enable.next = self.accept.val();
        self.times.write_address.next = self.new_tag.val();
        self.times.write_data.next = self.now.val();
        self.times.write_enable.next = self.accept.val();

        // Delivery: the clients take turns; a beat is fetched in one cycle and put into the client's register in the next.
        self.at.next = self.head[0].q.val();
        self.blocked.next = self.out_valid[0].q.val();
        for i in 1..3 {
            if self.turn.q.val() == self.client[i].val() {
                self.at.next = self.head[i].q.val();
                self.blocked.next = self.out_valid[i].q.val();
            }
        }
        self.at_tag.next = 0.into();
        self.at_mask.next = 0.into();
        self.even.read_address.next = 0.into();
        self.odd.read_address.next = 0.into();
        self.fetched.d.next = false;
        if self.done.q.val().any() {
            self.at_tag.next = self.at.val().get_bits::<3>(6);
            self.even.read_address.next = self.at.val().get_bits::<8>(1);
            self.odd.read_address.next = self.at.val().get_bits::<8>(1);
            for i in 0..8 {
                if self.at_tag.val() == self.tag[i].val() {
                    self.at_mask.next = self.mask[i].val();
                }
            }
            self.turn.d.next = self.turn.q.val() + 1;
            if self.turn.q.val() == 2 {
                self.turn.d.next = 0.into();
            }
            self.fetched.d.next =
                !self.blocked.val() & ((self.done.q.val() & self.at_mask.val()) != 0);
            self.fetched_client.d.next = self.turn.q.val();
            self.fetched_place.d.next = self.at.val();
        }
        self.sizes.read_address.next = self.at_tag.val();
        self.deliver_mask.next = 0.into();
        self.index.next = 0.into();
        self.is_last.next = false;
        self.is_failed.next = false;
        if self.fetched.q.val() {
            self.index.next = bit_cast::<7, 9>(self.fetched_place.q.val()) & 0x3F;
            self.index.next = self.index.val() + 2;
            for i in 0..8 {
                if (self.fetched_place.q.val() & 0x1C0) == self.base[i].val() {
                    self.is_failed.next = (self.failed.q.val() & self.mask[i].val()) != 0;
                    self.deliver_mask.next = self.mask[i].val();
                }
            }
            self.is_last.next =
                self.is_failed.val() | (self.index.val() >= self.sizes.read_data.val());
            for i in 0..3 {
                if self.fetched_client.q.val() == self.client[i].val() {
                    self.out0[i].d.next = self.even.read_data.val();
                    self.out1[i].d.next = self.odd.read_data.val();
                    self.out_last[i].d.next = self.is_last.val();
                    self.out_err[i].d.next = self.is_failed.val();
                    self.out_valid[i].d.next = true;
                    self.head[i].d.next = self.head[i].q.val() + 2;
                    if self.is_last.val() {
                        self.count_down[i].next = true;
                    }
                }
            }
            if !self.is_last.val() {
                self.deliver_mask.next = 0.into();
            }
        }
        // The next answer of the client starts at the next tag of its ring.
        for i in 0..2 {
            if self.count_down[i].val() {
                self.head[i].d.next = (self.head[i].q.val() & 0x1C0) ^ 0x40;
            }
        }
        if self.count_down[2].val() {
            self.head[2].d.next = ((self.head[2].q.val() & 0x1C0) + 0x40) | 0x100;
        }
        for i in 0..3 {
            if self.count_up[i].val() & !self.count_down[i].val() {
                self.used[i].d.next = self.used[i].q.val() + 1;
            }
            if self.count_down[i].val() & !self.count_up[i].val() {
                self.used[i].d.next = self.used[i].q.val() - 1;
            }
        }
        self.pending.d.next = (self.pending.q.val() ^ self.new_mask.val()) ^ self.finish_mask.val();
        self.done.d.next = (self.done.q.val() ^ self.finish_mask.val()) ^ self.deliver_mask.val();
        self.failed.d.next = (self.failed.q.val() | self.fail_mask.val() | self.deliver_mask.val())
            ^ self.deliver_mask.val();

        self.outstanding.next = self.pending.q.val().any();
        self.deadline.next = self.checked.q.val() + 1;
        self.deadline_valid.next = self.pending.q.val().any();
        self.busy.next = self.hold_valid.q.val()
            | self.done.q.val().any()
            | self.fetched.q.val()
            | self.out_valid[0].q.val()
            | self.out_valid[1].q.val()
            | self.out_valid[2].q.val()
            | self.ageing.q.val()
            | (self.state.q.val() != ReadState::Idle)
            | (self.pending.q.val().any()
                & ((self.silent.q.val() != 2) | (self.ticks.val() != self.checked.q.val())));
        if self.reset.val() {
            self.state.d.next = ReadState::Idle;
            self.pending.d.next = 0.into();
            self.done.d.next = 0.into();
            self.failed.d.next = 0.into();
            self.hold_valid.d.next = false;
            self.ageing.d.next = false;
            self.turn.d.next = 0.into();
            self.fetched.d.next = false;
            for i in 0..3 {
                self.used[i].d.next = 0.into();
                self.out_valid[i].d.next = false;
            }
            self.tail[0].d.next = self.ring_first[0].val();
            self.tail[1].d.next = self.ring_first[1].val();
            self.tail[2].d.next = self.ring_first[2].val();
            self.head[0].d.next = self.base[0].val();
            self.head[1].d.next = self.base[2].val();
            self.head[2].d.next = self.base[4].val();
        }
    }
}

//! The export is, to the byte, what rust-hdl's own writer makes of the same design.
use ferrule_rtl::verilog::emit;
use ferrule_rtl::{board, clock, icmp, mac, neigh, nic, pcie, phy, queue, rx, store, tx, uart};
use rust_hdl::prelude::*;

// For the test in it: the library is not compiled for tests of its own.
#[path = "../../src/verilog/indices.rs"]
#[expect(dead_code, reason = "all but what that test asks is for the library")]
mod indices;

/// The Verilog of a fresh `B` by rust-hdl.
fn by_rust_hdl<B: Block + Default>(top: &str) -> String {
    let mut design = Box::<B>::default();
    design.connect_all();
    let mut modules = ModuleDefines::default();
    design.accept(top, &mut modules);
    modules.defines()
}

/// Compares both and gives the text.
fn both<B: Block + Default>() -> String {
    let ours = emit::<B>("dut").expect("emits");
    let theirs = by_rust_hdl::<B>("dut");
    let name = std::any::type_name::<B>();
    for (number, (a, b)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(a, b, "{name}, line {}", number + 1);
    }
    assert!(ours == theirs, "{name}: one text is longer");
    ours
}

#[test]
fn the_whole_nic_is_written_as_by_rust_hdl() {
    both::<nic::Nic>();
}

#[test]
fn the_parts_of_the_mac_are_written_as_by_rust_hdl() {
    both::<mac::Mac>();
    both::<mac::fcs::Fcs>();
    both::<mac::fifo::AsyncFifo>();
    both::<mac::loopback::Loopback>();
    both::<mac::mii::MiiRx>();
    both::<mac::narrow::Narrow>();
    both::<mac::reset::ResetSync>();
    both::<mac::rx::MacRx>();
    both::<mac::sync::Sync<5>>();
    both::<mac::tx::MacTx>();
    both::<mac::widen::Widen>();
}

#[test]
fn the_phys_side_is_written_as_by_rust_hdl() {
    both::<phy::mdio::Mdio>();
    both::<phy::manager::PhyManager>();
    both::<phy::rgmii::Rgmii<12>>();
    both::<phy::search::PhySearch>();
}

#[test]
fn what_is_around_the_nic_on_a_board_is_written_as_by_rust_hdl() {
    both::<pcie::axi::PcieAxi>();
    both::<pcie::slice::TlpSlice>();
    both::<board::services::Services<16>>();
    // They are made on the stack.
    for whole in [
        both::<board::pcie_nic::PcieNic>,
        both::<board::uart_board::UartBoard>,
    ] {
        let large = std::thread::Builder::new().stack_size(64 << 20);
        let thread = large.spawn(whole).expect("a thread");
        thread.join().expect("they are the same");
    }
}

#[test]
fn the_parts_of_the_data_paths_are_written_as_by_rust_hdl() {
    both::<clock::adjust::AdjustableClock>();
    both::<clock::sum::ClockSum>();
    both::<store::FrameStore>();
    both::<icmp::reply::EchoReply>();
    both::<icmp::request::EchoRequest>();
    both::<rx::RxPath>();
    both::<rx::arp::ArpDecode>();
    both::<rx::buffer::RxBuffer>();
    both::<rx::fields::Ipv4Fields>();
    both::<rx::filter::MacFilter>();
    both::<rx::ipv4::Ipv4Parse>();
    both::<rx::lanes::Ipv4Lanes>();
    both::<rx::multicast::MulticastFilter>();
    both::<rx::sum::LaneSum>();
    both::<rx::untag::Untag>();
    both::<rx::verdict::RxVerdict>();
    both::<rx::vlan::VlanFilter>();
    both::<tx::TxPath>();
    both::<tx::align::TxAlign>();
    both::<tx::buffer::TxBuffer>();
    both::<tx::finish::TxFinish>();
    both::<tx::mux::TxMux>();
    both::<neigh::engine::Neigh>();
    both::<neigh::frame::ArpFrame>();
    both::<neigh::inbox::Inbox>();
    both::<neigh::outbox::Outbox>();
    both::<neigh::route::Route>();
}

#[test]
fn the_parts_of_the_host_side_are_written_as_by_rust_hdl() {
    both::<pcie::HostSide>();
    both::<pcie::port_switch::PortSwitch>();
    both::<queue::queues::Queues>();
    both::<queue::cq_writer::CqWriter>();
    both::<queue::event::EventQueue>();
    both::<queue::fifo::Fifo>();
    both::<queue::frame_writer::FrameWriter>();
    both::<queue::payload_reader::PayloadReader>();
    both::<queue::realigner::Realigner>();
    both::<queue::rx::RxQueues>();
    both::<queue::slot_fetcher::SlotFetcher>();
    both::<queue::sqe_fetcher::SqeFetcher>();
    both::<queue::tx::TxQueues>();
}

#[test]
fn the_parts_of_the_link_over_a_uart_are_written_as_by_rust_hdl() {
    both::<uart::UartLink>();
    both::<uart::line_rx::LineRx>();
    both::<uart::line_tx::LineTx>();
    both::<uart::fcs::SerialFcs>();
    both::<uart::stuff::Stuff>();
    both::<uart::stuff::Unstuff>();
    both::<uart::unit_rx::UnitRx>();
    both::<uart::unit_tx::UnitTx>();
    both::<uart::session::Session>();
    both::<uart::packer::Packer>();
    both::<uart::unpacker::Unpacker>();
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Mood {
    Calm,
    Busy,
    Angry,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
struct Report {
    mood: Mood,
    level: Bits<6>,
}

#[derive(LogicInterface, Default)]
#[join = "Taker"]
struct Giver {
    word: Signal<Out, Bits<8>>,
    ready: Signal<In, Bit>,
}

#[derive(LogicInterface, Default)]
#[join = "Giver"]
struct Taker {
    word: Signal<In, Bits<8>>,
    ready: Signal<Out, Bit>,
}

/// A cell from elsewhere.
#[derive(LogicBlock, Default)]
struct Pad {
    i: Signal<In, Bit>,
    o: Signal<Out, Bit>,
    io: Signal<InOut, Bits<2>>,
}

impl Logic for Pad {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.o.connect();
        self.io.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Blackbox(BlackBox {
            code: "(* blackbox *)\nmodule PAD(input i, output o, inout [1:0] io);\nendmodule"
                .into(),
            name: "PAD".into(),
        })
    }
}

/// Foreign code around a cell, with a constant, an enumeration and an inside that must not be written.
#[derive(LogicBlock)]
struct Wrapped {
    mood: Signal<In, Mood>,
    both: Signal<Out, Bits<2>>,
    depth: Constant<Bits<7>>,
    hidden: Signal<Local, Bit>,
}

impl Default for Wrapped {
    fn default() -> Self {
        Self {
            mood: Signal::default(),
            both: Signal::default(),
            depth: Constant::new(77.into()),
            hidden: Signal::default(),
        }
    }
}

impl Logic for Wrapped {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.both.connect();
        self.hidden.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Wrapper(Wrapper {
            code: "\nCELL cell_inst(.a(mood),\n  .b(both));\n\n".into(),
            cores: "(* blackbox *)\nmodule CELL(input [1:0] a, output [1:0] b);\nendmodule\n"
                .into(),
        })
    }
}

/// Code of its own.
#[derive(LogicBlock, Default)]
struct Negate {
    x: Signal<In, Signed<9>>,
    y: Signal<Out, Signed<9>>,
}

impl Logic for Negate {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.y.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom("always @(*) y = -x;".into())
    }
}

/// Nothing at all.
#[derive(LogicBlock, Default)]
struct Nothing {}

impl Logic for Nothing {
    fn update(&mut self) {}
}

/// Both ends of a word stream.
#[derive(LogicBlock)]
struct Stage {
    s: Taker,
    m: Giver,
    masks: [Constant<Bits<8>>; 2],
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            s: Taker::default(),
            m: Giver::default(),
            masks: [0x0f, 0x35].map(|mask: u64| Constant::new(mask.into())),
        }
    }
}

impl Logic for Stage {
    #[hdl_gen]
    fn update(&mut self) {
        self.m.word.next = self.s.word.val();
        for i in 0..2 {
            self.m.word.next = self.m.word.val() ^ self.masks[i].val();
        }
        self.s.ready.next = self.m.ready.val();
    }
}

/// A module in which an inner one passes its ports on.
#[derive(LogicBlock, Default)]
struct Outer {
    s: Taker,
    m: Giver,
    io: Signal<InOut, Bits<2>>,
    i: Signal<In, Bit>,
    o: Signal<Out, Bit>,
    first: Stage,
    second: Stage,
    pad: Pad,
}

impl Logic for Outer {
    #[hdl_gen]
    fn update(&mut self) {
        Taker::link(&mut self.s, &mut self.first.s);
        Giver::join(&mut self.first.m, &mut self.second.s);
        Giver::link(&mut self.m, &mut self.second.m);
        Signal::<InOut, Bits<2>>::link(&mut self.io, &mut self.pad.io);
        self.pad.i.next = self.i.val();
        self.o.next = self.pad.o.val();
    }
}

/// A wide number.
#[derive(LogicBlock)]
struct Number {
    value: Signal<Out, Bits<70>>,
    long: Constant<Bits<70>>,
}

impl Default for Number {
    fn default() -> Self {
        Self {
            value: Signal::default(),
            long: Constant::new(0xfeed_0000_beef.into()),
        }
    }
}

impl Logic for Number {
    #[hdl_gen]
    fn update(&mut self) {
        self.value.next = self.long.val();
    }
}

/// A bit of everything that a design may hold.
#[derive(LogicBlock, Default)]
struct Everything {
    clock: Signal<In, Clock>,
    select: Signal<In, Bits<2>>,
    report: Signal<Out, Report>,
    level: Signal<Out, Signed<9>>,
    all: Signal<Out, Bits<8>>,
    io: Signal<InOut, Bits<2>>,
    bit: Signal<Local, Bit>,
    wide: Signal<Local, Bits<70>>,
    number: Number,
    state: DFF<Mood>,
    bits: [DFF<Bits<8>>; 4],
    stages: [Stage; 3],
    outer: Outer,
    wrapped: Wrapped,
    negate: Negate,
    nothing: Nothing,
}

impl Logic for Everything {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state);
        self.bit.next = self.select.val().any();
        for i in 0..4 {
            self.bits[i].clock.next = self.clock.val();
            self.bits[i].d.next = self.bits[i].q.val();
        }
        self.all.next = bit_cast::<8, 2>(self.select.val());
        // A loop within a loop, an index that is more than a variable, and a variable as a number.
        for i in 0..2 {
            self.bits[i + 1].d.next = self.bits[i].q.val();
            for j in 0..3 {
                if self.select.val().get_bit(i) {
                    self.bits[j].d.next = self.all.val();
                }
            }
        }
        Giver::join(&mut self.stages[0].m, &mut self.stages[1].s);
        Giver::join(&mut self.stages[1].m, &mut self.stages[2].s);
        self.stages[0].s.word.next = 3.into();
        self.stages[2].m.ready.next = true;
        self.outer.s.word.next = self.stages[2].m.word.val();
        self.outer.m.ready.next = !self.bit.val();
        self.outer.i.next = self.bit.val();
        Signal::<InOut, Bits<2>>::link(&mut self.io, &mut self.outer.io);
        self.wide.next = self.number.value.val();
        self.wrapped.mood.next = self.state.q.val();
        self.negate.x.next = signed_cast(bit_cast::<9, 8>(self.all.val()));
        self.level.next = self.negate.y.val();
        self.report.next.mood = self.state.q.val();
        self.report.next.level = 5.into();
        match self.state.q.val() {
            Mood::Calm => {
                self.state.d.next = Mood::Busy;
            }
            Mood::Busy => {
                if self.select.val() == 1 {
                    self.state.d.next = Mood::Angry;
                } else if self.select.val() == 2 {
                    self.state.d.next = Mood::Busy;
                } else {
                    self.state.d.next = Mood::Calm;
                }
            }
            Mood::Angry => {}
        }
    }
}

#[test]
fn a_bit_of_everything_is_written_as_by_rust_hdl() {
    let text = both::<Everything>();
    // What the comparison is about is there.
    for part in [
        "PAD pad(",
        "CELL cell_inst(",
        "output wire",
        "inout wire",
        "localparam Mood$Angry = 2;",
        "localparam  long = 70'h",
        "signed [8:0]",
        "always @(*) y = -x;",
        "always @(*) stages$1$s$word = stages$0$m$word;",
        "bits$2$d = bits$1$q;",
        "reg  [69:0] wide;",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn an_open_input_is_refused() {
    #[derive(LogicBlock, Default)]
    struct Open {
        negate: Negate,
    }
    impl Logic for Open {
        #[hdl_gen]
        fn update(&mut self) {}
    }
    let error = emit::<Open>("open").expect_err("an open input");
    assert!(error.contains("OpenSignal"), "{error}");
}

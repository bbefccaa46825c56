//! TLPs at the block's AXI4-Stream of a whole board: what is no register access is refused there as it is at the core, and a hot reset cuts off whatever is under way.
use crate::engine::{BoardEngine, Gaps};
use crate::open;
use ferrule_abi::{regs, BAR_MSIX, BAR_REGS, BAR_REGS_SIZE};
use ferrule_rtl::board::{ax7203, kc705};
use ferrule_rtl::pins::{Clocks, Inputs, TlpBeat};
use ferrule_sim::engine::Engine;
use ferrule_sim::tlp::{to_beats, Assembler, Status, Tlp};

const DEVICE: u16 = 0x0300;
const HOST: u16 = 0x0008;
/// Cycles that an answer may take.
const PATIENCE: u32 = 2_000;

struct Bench {
    engine: BoardEngine,
    inputs: Inputs,
    assembler: Assembler,
}

impl Bench {
    fn new(engine: BoardEngine) -> Self {
        let inputs = Inputs {
            completer_id: DEVICE,
            bus_master: true,
            max_payload: 1,
            max_read: 2,
            tlp_tx_ready: true,
            ..Inputs::default()
        };
        let mut bench = Self {
            engine,
            inputs,
            assembler: Assembler::default(),
        };
        bench.reset();
        bench
    }

    /// As the block shows a hot reset, and the time that the number takes which the MAC address is made of.
    fn reset(&mut self) {
        self.inputs.reset = true;
        self.inputs.tlp_rx = None;
        self.run(16);
        self.inputs.reset = false;
        self.assembler = Assembler::default();
        self.run(1_200);
    }

    fn run(&mut self, cycles: u32) -> Option<Tlp> {
        let mut answer = None;
        for _ in 0..cycles {
            answer = answer.or(self.cycle());
        }
        answer
    }

    /// A cycle; the TLP that ended in it. A beat that was taken is gone from the inputs.
    fn cycle(&mut self) -> Option<Tlp> {
        let outputs = self.engine.step(Clocks::ALL, &self.inputs);
        if outputs.tlp_rx_ready {
            self.inputs.tlp_rx = None;
        }
        let dws = self.assembler.push(outputs.tlp_tx?)?;
        Some(Tlp::decode(&dws).expect("a TLP"))
    }

    /// Sends beats, and gives the answer, if one comes.
    fn send(&mut self, beats: impl IntoIterator<Item = TlpBeat>) -> Option<Tlp> {
        let mut answer = None;
        for beat in beats {
            self.inputs.tlp_rx = Some(beat);
            let mut left = PATIENCE;
            while self.inputs.tlp_rx.is_some() {
                answer = answer.or(self.cycle());
                left -= 1;
                assert!(left > 0, "a beat is not taken");
            }
        }
        answer.or(self.run(PATIENCE / 4))
    }

    fn tlp(&mut self, tlp: &Tlp) -> Option<Tlp> {
        self.tlp_at(BAR_REGS, tlp)
    }

    fn tlp_at(&mut self, bar: u8, tlp: &Tlp) -> Option<Tlp> {
        self.send(to_beats(&tlp.encode(), bar))
    }

    fn read(&mut self, offset: u32) -> (Status, Option<u32>) {
        self.read_at(BAR_REGS, offset)
    }

    fn read_at(&mut self, bar: u8, offset: u32) -> (Status, Option<u32>) {
        match self.tlp_at(bar, &read(offset, 1)) {
            Some(Tlp::Completion {
                status,
                data,
                completer,
                requester,
                tag,
                ..
            }) => {
                assert_eq!((completer, requester, tag), (DEVICE, HOST, 0x2A));
                let word = data.try_into().ok().map(u32::from_le_bytes);
                (status, word)
            }
            other => panic!("{other:?}"),
        }
    }

    fn scratch(&mut self, value: u32, poisoned: bool) {
        self.write(BAR_REGS, regs::scratch::OFFSET, value, poisoned);
    }

    fn write(&mut self, bar: u8, offset: u32, value: u32, poisoned: bool) {
        let write = Tlp::MemWrite {
            requester: HOST,
            tag: 0,
            addr: offset.into(),
            first_be: 0xF,
            last_be: 0,
            poisoned,
            data: value.to_le_bytes().to_vec(),
        };
        let answer = self.tlp_at(bar, &write);
        assert_eq!(answer, None, "a write is not answered");
    }
}

fn read(offset: u32, dwords: u16) -> Tlp {
    Tlp::MemRead {
        requester: HOST,
        tag: 0x2A,
        addr: offset.into(),
        dwords,
        first_be: 0xF,
        last_be: if dwords > 1 { 0xF } else { 0 },
    }
}

#[test]
fn a_board_answers_refuses_and_comes_out_of_a_hot_reset_at_any_moment() {
    let gaps = Gaps {
        seed: 11,
        of_eight: 4,
    };
    let Some(engine) = open(&kc705::BOARD, 7, gaps) else {
        return;
    };
    let mut b = Bench::new(engine);
    let good = |value| (Status::Success, Some(value));
    assert_eq!(b.read(regs::magic::OFFSET), good(regs::MAGIC));
    b.scratch(0x1234_5678, false);
    assert_eq!(b.read(regs::scratch::OFFSET), good(0x1234_5678));

    // Poisoned by its header, and by what the block says beside it.
    b.scratch(1, true);
    b.engine.poison = true;
    b.scratch(2, false);
    b.engine.poison = false;
    assert_eq!(b.read(regs::scratch::OFFSET), good(0x1234_5678));

    // Two DWs are no register, and neither is what hit another BAR, the expansion ROM or none.
    let refused = |answer| {
        matches!(
            answer,
            Some(Tlp::Completion {
                status: Status::UnsupportedRequest,
                ..
            })
        )
    };
    assert!(refused(b.tlp(&read(regs::magic::OFFSET, 2))));
    for hit in [0, 1 << 1, 1 << 6] {
        b.engine.hit = Some(hit);
        assert_eq!(
            b.read(regs::magic::OFFSET),
            (Status::UnsupportedRequest, None),
            "{hit}"
        );
    }
    b.engine.hit = None;

    // Cut short: less payload than the header says, and a header alone.
    let whole = Tlp::MemWrite {
        requester: HOST,
        tag: 0,
        addr: regs::scratch::OFFSET.into(),
        first_be: 0xF,
        last_be: 0xF,
        poisoned: false,
        data: vec![0xEE; 16],
    };
    let whole: Vec<TlpBeat> = to_beats(&whole.encode(), BAR_REGS).collect();
    for beats in 1..whole.len() {
        let mut cut = whole[..beats].to_vec();
        cut[beats - 1].last = true;
        assert_eq!(b.send(cut), None, "{beats} beats");
        assert_eq!(
            b.read(regs::scratch::OFFSET),
            good(0x1234_5678),
            "{beats} beats"
        );
    }

    // A hot reset after each beat of a TLP: nothing of it is left, nor of what was in the registers.
    for beats in 1..=whole.len() {
        b.scratch(beats as u32, false);
        for beat in &whole[..beats] {
            b.inputs.tlp_rx = Some(TlpBeat {
                last: false,
                ..*beat
            });
            b.run(8);
        }
        b.reset();
        assert_eq!(
            b.read(regs::magic::OFFSET),
            good(regs::MAGIC),
            "{beats} beats"
        );
        assert_eq!(b.read(regs::scratch::OFFSET), good(0), "{beats} beats");
    }

    // No cable was there all the time: the link's LED is dark; nothing went wrong.
    assert_eq!(b.engine.leds() & 0b101, 0);
}

#[test]
fn each_port_of_an_ax7203_has_its_registers_its_vectors_and_its_reset() {
    let gaps = Gaps {
        seed: 12,
        of_eight: 5,
    };
    let Some(engine) = open(&ax7203::BOARD, 1, gaps) else {
        return;
    };
    let mut b = Bench::new(engine);
    let good = |value| (Status::Success, Some(value));
    let second = BAR_REGS_SIZE;
    let scratch = regs::scratch::OFFSET;
    for (port, value) in [(0, 0x1111_0000), (second, 0x2222_0001)] {
        assert_eq!(b.read(port + regs::magic::OFFSET), good(regs::MAGIC));
        b.write(BAR_REGS, port + scratch, value, false);
    }
    assert_eq!(b.read(scratch), good(0x1111_0000));
    assert_eq!(b.read(second + scratch), good(0x2222_0001));

    // Local addresses of one board: 02 and 06 before the same 40 bits.
    let [first, other] = [0, second].map(|port| {
        let [lo, hi] = [regs::mac_lo::OFFSET, regs::mac_hi::OFFSET]
            .map(|offset| b.read(port + offset).1.expect("a value"));
        (lo, hi)
    });
    assert_eq!((first.0 & 0xFF, other.0 & 0xFF), (2, 6));
    assert_eq!((first.0 | 4, first.1), other);

    // Sixteen vectors (PCI 3.0, section 6.8.2): address, data and mask of each, and nothing behind them.
    for vector in 0..16_u32 {
        for (word, value) in [0x1000_0000 | vector << 8, vector, 0xA0 + vector, 0]
            .into_iter()
            .enumerate()
        {
            b.write(BAR_MSIX, 16 * vector + 4 * word as u32, value, false);
        }
    }
    for vector in 0..16_u32 {
        let row = [0, 4, 8, 12].map(|at| b.read_at(BAR_MSIX, 16 * vector + at));
        let expected = [0x1000_0000 | vector << 8, vector, 0xA0 + vector, 0].map(good);
        assert_eq!(row, expected, "vector {vector}");
    }
    assert_eq!(b.read_at(BAR_MSIX, 16 * 16), good(u32::MAX));
    assert_eq!(b.read_at(BAR_MSIX, 0x800), good(0));

    // A reset of one port is none of the other.
    b.write(BAR_REGS, second + regs::ctrl::OFFSET, 1, false);
    b.run(4_000);
    assert_eq!(b.read(second + scratch), good(0));
    assert_eq!(b.read(scratch), good(0x1111_0000));
}

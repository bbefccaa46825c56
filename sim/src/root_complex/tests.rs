//! The root complex against TLPs made by hand, DW by DW, from the PCI Express Base Specification.
use super::*;
use crate::dma::{Backing, Rights};
use proptest::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

const BASE: u64 = 0x1_0000;
const LATENCY: u64 = 1_000;

/// A root complex with 64 KiB of memory at [`BASE`], out of reset, and what plays the device.
struct Bench {
    rc: RootComplex,
    memory: File,
    now: u64,
}

impl Bench {
    fn new(split: Split) -> Self {
        let mut rc = RootComplex::new(Settings {
            read_latency_ns: LATENCY,
            split,
            ports: 1,
        });
        let memory = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..0x1_0000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        memory.write_all_at(&data, 0).unwrap();
        let rights = Rights {
            read: true,
            write: true,
        };
        rc.dma
            .map(
                BASE,
                0x1_0000,
                rights,
                Backing::File(memory.try_clone().unwrap().into(), 0),
            )
            .unwrap();
        assert!(!rc.config.write(4, &[6, 0]));
        let mut bench = Self { rc, memory, now: 0 };
        assert_eq!(bench.run(RESET_CYCLES as usize, &[]), []);
        bench
    }

    /// One cycle: the device sends a beat or not; the beat it took.
    fn cycle(&mut self, beat: Option<TlpBeat>) -> Option<TlpBeat> {
        let mut inputs = Inputs::default();
        self.rc.drive(self.now, &mut inputs);
        let outputs = Outputs {
            tlp_rx_ready: true,
            tlp_tx: beat,
            ..Outputs::default()
        };
        self.rc.observe(self.now, &inputs, &outputs);
        self.now += 8;
        inputs.tlp_rx
    }

    /// The device sends TLPs and then waits; what it got within `cycles`, with the BAR.
    fn run(&mut self, cycles: usize, send: &[&[u32]]) -> Vec<(u8, Vec<u32>)> {
        let beats: Vec<TlpBeat> = send
            .iter()
            .flat_map(|dws| to_beats(dws, 0).collect::<Vec<_>>())
            .collect();
        let (mut got, mut assembler) = (vec![], Assembler::default());
        for n in 0..cycles.max(beats.len()) {
            if let Some(beat) = self.cycle(beats.get(n).copied()) {
                got.extend(assembler.push(beat).map(|dws| (beat.bar, dws)));
            }
        }
        assert!(!assembler.in_tlp());
        got
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut b = vec![0; len];
        self.memory.read_exact_at(&mut b, at).unwrap();
        b
    }

    fn dw(&self, at: u64) -> u32 {
        u32::from_be_bytes(self.bytes(at, 4).try_into().unwrap())
    }
}

#[test]
fn a_read_is_answered_after_the_latency_with_the_bytes_in_memory() {
    let mut b = Bench::new(Split::Largest);
    // MRd, 2 DWs, requester 01:00.0, tag 5, address BASE + 0x104.
    let early = b.run(100, &[&[0x0000_0002, 0x0100_05FF, 0x0001_0104]]);
    assert_eq!(early, [], "nothing before 1 us");
    assert!(!b.rc.is_idle());
    let got = b.run(100, &[]);
    // CplD, 2 DWs, completer 0, SC, byte count 8; requester 01:00.0, tag 5, lower address 0x04.
    assert_eq!(
        got,
        [(
            0,
            vec![
                0x4A00_0002,
                0x0000_0008,
                0x0100_0504,
                b.dw(0x104),
                b.dw(0x108)
            ]
        )]
    );
    assert!(b.rc.is_idle());
    let s = b.rc.stats();
    assert_eq!(
        (s.up.reads, s.down.data_completions, s.violations),
        (1, 1, 0)
    );
    assert_eq!(
        (s.up.link_bytes, s.down.link_bytes, s.down.payload_bytes),
        (12 + 8, 20 + 8, 8)
    );
    assert_eq!(s.per_packet(2), 1.0);
}

/// Byte counts and lower addresses of the completions for one read.
fn pieces(split: Split, header: [u32; 3], cycles: usize) -> Vec<(u32, u32, usize)> {
    let mut b = Bench::new(split);
    let got = b.run(cycles, &[&header]);
    got.iter()
        .map(|(_, d)| (d[1] & 0xFFF, d[2] & 0x7F, d.len() - 3))
        .collect()
}

/// The examples of section 2.3.1.1 for a root complex with a read completion boundary of 64 bytes.
#[test]
fn completions_are_split_where_the_specification_allows() {
    // Address 1 0000h, length C0h.
    let read = [0x0000_0030, 0x0100_00FF, 0x0001_0000];
    assert_eq!(
        pieces(Split::Cacheline, read, 400),
        [(192, 0, 16), (128, 0x40, 16), (64, 0, 16)]
    );
    assert_eq!(
        pieces(Split::Largest, read, 400),
        [(192, 0, 32), (64, 0, 16)]
    );
    // Address 1 0020h, length 100h: 32, 64, 64, 64, 32.
    let read = [0x0000_0040, 0x0100_00FF, 0x0001_0020];
    let want = [
        (256, 0x20, 8),
        (224, 0x40, 16),
        (160, 0, 16),
        (96, 0x40, 16),
        (32, 0, 8),
    ];
    assert_eq!(pieces(Split::Cacheline, read, 400), want);
    assert_eq!(
        pieces(Split::Largest, read, 400),
        [(256, 0x20, 24), (160, 0, 32), (32, 0, 8)]
    );
    // An aligned read of 128 bytes is answered whole.
    assert_eq!(
        pieces(Split::Largest, [0x0000_0020, 0x0100_00FF, 0x0001_0080], 400),
        [(128, 0, 32)]
    );
}

/// Table 2-37: byte count from length and byte enables; table 2-38: lower address.
#[test]
fn byte_enables_of_a_read_show_in_its_completion() {
    for (first, last, dwords, count, lower) in [
        (0b1111, 0, 1, 4, 0),
        (0b1001, 0, 1, 4, 0),
        (0b0110, 0, 1, 2, 1),
        (0b1000, 0, 1, 1, 3),
        (0b0000, 0, 1, 1, 0),
        (0b1111, 0b1111, 2, 8, 0),
        (0b1100, 0b0001, 3, 7, 2),
        (0b1000, 0b0011, 4, 11, 3),
    ] {
        let got = pieces(
            Split::Largest,
            [dwords, 0x0100_0000 | last << 4 | first, 0x0001_0000],
            200,
        );
        assert_eq!(
            got,
            [(count, lower, dwords as usize)],
            "BE {first:04b} {last:04b}"
        );
    }
}

#[test]
fn what_is_not_mapped_is_refused_and_counted() {
    let mut b = Bench::new(Split::Largest);
    let got = b.run(200, &[&[0x0000_0004, 0x0100_07FF, 0x0004_0000]]);
    // Cpl, Unsupported Request, byte count 16.
    assert_eq!(got, [(0, vec![0x0A00_0000, 0x0000_2010, 0x0100_0700])]);
    // 4 DWs of which the last two lie beyond the mapping.
    let rights = Rights {
        read: true,
        write: true,
    };
    let fd = b.memory.try_clone().unwrap().into();
    b.rc.dma
        .map(0x3_0000, 0x808, rights, Backing::File(fd, 0))
        .unwrap();
    let before = b.bytes(0x800, 16);
    let got = b.run(
        200,
        &[
            &[0x4000_0004, 0x0100_00FF, 0x0003_0800, 1, 2, 3, 4],
            &[0x0000_0004, 0x0100_07FF, 0x0003_0800],
        ],
    );
    assert_eq!(got.len(), 1, "{got:x?}");
    assert_eq!(b.bytes(0x800, 16), before);
    let s = b.rc.stats();
    assert_eq!((s.refused_reads, s.refused_writes, s.violations), (2, 1, 0));
}

#[test]
fn without_bus_mastering_nothing_moves() {
    let mut b = Bench::new(Split::Largest);
    assert!(!b.rc.config.write(4, &[2, 0]));
    let before = b.bytes(0, 16);
    let got = b.run(
        200,
        &[
            &[0x4000_0001, 0x0100_000F, 0x0001_0000, 0xFFFF_FFFF],
            &[0x0000_0001, 0x0100_010F, 0x0001_0000],
        ],
    );
    assert_eq!(got, [(0, vec![0x0A00_0000, 0x0000_2004, 0x0100_0100])]);
    assert_eq!(b.bytes(0, 16), before);
    assert_eq!(
        (b.rc.stats().refused_reads, b.rc.stats().refused_writes),
        (1, 1)
    );
}

#[test]
fn writes_touch_the_enabled_bytes_and_no_others() {
    let mut b = Bench::new(Split::Largest);
    let before = b.bytes(0x200, 16);
    b.run(
        10,
        &[
            // First BE 1100, last BE 0001.
            &[
                0x4000_0003,
                0x0100_001C,
                0x0001_0200,
                0xA0A1_A2A3,
                0xA4A5_A6A7,
                0xA8A9_AAAB,
            ],
            // A poisoned one.
            &[0x4000_4001, 0x0100_000F, 0x0001_020C, 0x0000_0000],
        ],
    );
    let after = b.bytes(0x200, 16);
    assert_eq!(after[2..9], [0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8]);
    assert_eq!((&after[..2], &after[9..]), (&before[..2], &before[9..]));
    assert_eq!(b.rc.stats().refused_writes, 1);
}

#[test]
fn registers_are_read_and_written_in_order() {
    let mut b = Bench::new(Split::Largest);
    assert!(!b.rc.config.write(0x10, &0xE010_0000u32.to_le_bytes()));
    b.rc.write_register(0, 0x18, 0xF, 0x1122_3344);
    let id = b.rc.read_register(0, 0x1C, 0xF).unwrap();
    let got = b.run(20, &[]);
    assert_eq!(
        got,
        [
            (0, vec![0x4000_0001, 0x0000_000F, 0xE010_0018, 0x4433_2211]),
            (0, vec![0x0000_0001, 0x0000_000F, 0xE010_001C]),
        ]
    );
    assert_eq!(b.rc.take_read(id), None);
    // The device writes memory, then answers: the write is there when the answer is.
    b.run(
        10,
        &[
            &[0x4000_0001, 0x0100_000F, 0x0001_0000, 0x0BAD_CAFE],
            &[0x4A00_0001, 0x0100_0004, 0x0000_001C, 0x7856_3412],
        ],
    );
    assert_eq!(b.rc.take_read(id), Some(0x1234_5678));
    assert_eq!(b.dw(0), 0x0BAD_CAFE);
    assert_eq!(b.rc.take_read(id), None, "handed out once");
    assert_eq!(b.rc.stats().violations, 0);
}

#[test]
fn many_register_reads_wait_for_tags_and_writes_pass_them() {
    let mut b = Bench::new(Split::Largest);
    let ids: Vec<ReadId> = (0..TAGS as u32 + 2)
        .map(|n| b.rc.read_register(0, n * 4, 0xF).unwrap())
        .collect();
    b.rc.write_register(0, 0x300, 0xF, 1);
    let got = b.run(200, &[]);
    assert_eq!(got.len(), TAGS as usize + 1);
    assert_eq!(
        got.last().unwrap().1[0],
        0x4000_0001,
        "the write overtook the waiting reads"
    );
    // Tag 3 is answered: one more read leaves, with that tag.
    let got = b.run(20, &[&[0x4A00_0001, 0x0100_0004, 0x0000_0300, 0x0100_0000]]);
    assert_eq!(got, [(0, vec![0x0000_0001, 0x0000_030F, TAGS as u32 * 4])]);
    assert_eq!(b.rc.take_read(ids[3]), Some(1));
}

#[test]
fn refused_unanswered_and_undecoded_register_reads_are_all_ones() {
    let mut b = Bench::new(Split::Largest);
    let refused = b.rc.read_register(0, 0, 0b0010).unwrap();
    assert_eq!(b.run(4, &[])[0].1[1], 0x0000_0002);
    b.run(4, &[&[0x0A00_0000, 0x0100_2004, 0x0000_0000]]);
    assert_eq!(b.rc.take_read(refused), Some(u32::MAX));
    let silent = b.rc.read_register(0, 0, 0xF).unwrap();
    b.run(REGISTER_TIMEOUT_CYCLES as usize + 10, &[]);
    assert_eq!(b.rc.take_read(silent), Some(u32::MAX));
    assert_eq!(b.rc.stats().register_timeouts, 1);
    assert!(!b.rc.config.write(4, &[0, 0]));
    assert_eq!(b.rc.read_register(0, 0, 0xF), None);
    b.rc.write_register(0, 0, 0xF, 1);
    assert_eq!(b.run(10, &[]), []);
}

#[test]
fn vectors_are_programmed_and_their_messages_wake() {
    let mut b = Bench::new(Split::Largest);
    let fired = Arc::new(AtomicU32::new(0));
    let count = fired.clone();
    let call = Interrupt::Callback(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    b.rc.set_vector(2, Some(call));
    let table: Vec<(u8, u32, u32)> = b
        .run(40, &[])
        .iter()
        .map(|(bar, d)| (*bar, d[2], d[3].swap_bytes()))
        .collect();
    // PCI 3.0 section 6.8.2: message address, upper address, data, vector control.
    let [(2, 0x20, address), (2, 0x24, 0), (2, 0x28, data), (2, 0x2C, 0)] = table[..] else {
        panic!("{table:x?}");
    };
    b.run(
        4,
        &[&[0x4000_0001, 0x0100_000F, address, data.swap_bytes()]],
    );
    assert_eq!(
        (fired.load(Ordering::SeqCst), b.rc.stats().interrupts),
        (1, 1)
    );
    // Wrong data, and a vector nobody has, do not.
    b.run(
        4,
        &[
            &[0x4000_0001, 0x0100_000F, address, (data + 1).swap_bytes()],
            &[0x4000_0001, 0x0100_000F, address + 0x10, data.swap_bytes()],
            &[
                0x4000_0001,
                0x0100_000F,
                address + 0x9000,
                data.swap_bytes(),
            ],
        ],
    );
    assert_eq!(
        (fired.load(Ordering::SeqCst), b.rc.stats().violations),
        (1, 3)
    );
    // After a reset the device is told again; taken away, the vector is masked.
    b.rc.reset_device();
    assert_eq!(b.run(60, &[]).len(), 4);
    b.rc.set_vector(2, None);
    let got = b.run(10, &[]);
    assert_eq!(
        got,
        [(2, vec![0x4000_0001, 0x0000_000F, 0x2C, 0x0100_0000])]
    );
}

#[test]
fn a_full_descriptor_does_not_stop_the_simulator() {
    let mut b = Bench::new(Split::Largest);
    let (reader, writer) = std::io::pipe().unwrap();
    b.rc.set_vector(0, Some(Interrupt::EventFd(writer.into())));
    b.run(40, &[]);
    let message: &[u32] = &[0x4000_0001, 0x0100_000F, 0xFEE0_0000, 0x0040_0000];
    for _ in 0..10_000 {
        b.run(2, &[message]);
    }
    assert_eq!(b.rc.stats().interrupts, 10_000);
    drop(reader);
    b.run(2, &[message]);
}

#[test]
fn a_reset_answers_register_reads_and_forgets_the_rest() {
    let mut b = Bench::new(Split::Largest);
    let sent = b.rc.read_register(0, 0, 0xF).unwrap();
    b.run(4, &[&[0x0000_0001, 0x0100_000F, 0x0001_0000]]);
    let queued = b.rc.read_register(0, 4, 0xF).unwrap();
    b.rc.reset_device();
    assert_eq!(
        (b.rc.take_read(sent), b.rc.take_read(queued)),
        (Some(u32::MAX), Some(u32::MAX))
    );
    let mut inputs = Inputs::default();
    b.rc.drive(b.now, &mut inputs);
    assert!(inputs.reset && inputs.tlp_rx.is_none());
    assert_eq!(b.run(300, &[]), []);
    assert!(b.rc.is_idle());
}

#[test]
fn the_devices_faults_are_found() {
    let mut b = Bench::new(Split::Largest);
    let faults: [(&[u32], &str); 7] = [
        (
            &[0x0000_0001, 0x0200_000F, 0x0001_0000],
            "requester id 0x0200",
        ),
        (
            &[0x0000_0100, 0x0100_01FF, 0x0001_0000],
            "512 bytes is the most",
        ),
        (&[0x0000_0002, 0x0100_02FF, 0x0001_0FFC], "4 KiB"),
        (
            &[0x4A00_0001, 0x0100_0004, 0x0000_0900, 0],
            "nothing waits for",
        ),
        (
            &[0x4000_0002, 0x0100_00FF, 0x0001_0000, 1],
            "4 DWs where the header says 5",
        ),
        (&[0x7400_0001, 0x0100_0000, 0, 0, 0], "unsupported"),
        (&[0x0000_0001, 0x0100_010F, 0x0001_0000], "in use"),
    ];
    for (n, (dws, words)) in faults.into_iter().enumerate() {
        b.run(3, &[dws]);
        assert_eq!(b.rc.stats().violations, n as u64 + 1, "{words}");
        let said = b.rc.last_violation().unwrap();
        assert!(said.contains(words), "{said}");
    }
    // A write of 132 bytes where 128 is the most moves nothing.
    let mut long = vec![0x4000_0021, 0x0100_00FF, 0x0001_0000];
    let before = b.bytes(0, 132);
    long.extend([0u32; 33]);
    b.run(2, &[&long]);
    assert_eq!((b.bytes(0, 132), b.rc.stats().violations), (before, 8));
}

proptest! {
    /// Completions in any legal split and order put together again are the memory that was asked for.
    #[test]
    fn random_splits_add_up(seed: u64, reads in prop::collection::vec((0u64..0xFF, 1u64..=512), 1..8)) {
        let mut b = Bench::new(Split::Random { seed });
        let asked: Vec<(u64, u64)> = reads.iter().zip(0u64..).map(|((at, len), n)| (n * 0x1000 + at, *len)).collect();
        let requests: Vec<Vec<u32>> = asked.iter().zip(0u8..).map(|((at, len), tag)| {
            let (addr, dwords, first_be, last_be) = crate::tlp::byte_enables(BASE + at, *len);
            // An unaligned 512 bytes are one DW more than may be asked for.
            Tlp::MemRead { requester: DEVICE_ID, tag, addr, dwords: dwords.min(128), first_be, last_be: if dwords > 128 { 0xF } else { last_be } }.encode()
        }).collect();
        let requests: Vec<&[u32]> = requests.iter().map(Vec::as_slice).collect();
        let got = b.run(2_000, &requests);
        let mut found: HashMap<u8, Vec<u8>> = HashMap::new();
        for (_, dws) in &got {
            let Ok(Tlp::Completion { status: Status::Success, byte_count, tag, lower_addr, data, .. }) = Tlp::decode(dws) else {
                return Err(TestCaseError::fail(format!("{dws:x?}")));
            };
            prop_assert!(data.len() <= 128);
            let so_far = found.entry(tag).or_default();
            let (at, len) = asked[usize::from(tag)];
            let len = len.min(512 - at % 4);
            let here = at + so_far.len() as u64;
            prop_assert_eq!(u64::from(lower_addr), (BASE + here) & 0x7F);
            prop_assert_eq!(u64::from(byte_count), len - so_far.len() as u64);
            let lead = (here % 4) as usize;
            let carried = (data.len() - lead).min(usize::from(byte_count));
            so_far.extend(&data[lead..lead + carried]);
            let end = here + carried as u64;
            prop_assert!(end == at + len || end.is_multiple_of(64), "a border at {:#x}", end);
        }
        for (tag, (at, len)) in (0u8..).zip(asked) {
            let want = b.bytes(at, len.min(512 - at % 4) as usize);
            prop_assert_eq!(found.get(&tag), Some(&want), "tag {}", tag);
        }
        prop_assert!(b.rc.is_idle());
        prop_assert_eq!(b.rc.stats().violations, 0, "{:?}", b.rc.last_violation());
    }

    #[test]
    fn garbage_from_the_device_is_survived(beats in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>(), prop::bool::weighted(0.3)), 0..60)) {
        let mut b = Bench::new(Split::Largest);
        let id = b.rc.read_register(0, 0, 0xF).unwrap();
        for (d0, d1, half, last) in beats {
            b.cycle(Some(TlpBeat { d0, d1, half, last, bar: 0 }));
        }
        // End whatever was begun; the host side still works.
        b.cycle(Some(TlpBeat { last: true, ..TlpBeat::default() }));
        b.run(400, &[]);
        b.run(4, &[&[0x4A00_0001, 0x0100_0004, 0x0000_0000, 0x0100_0000]]);
        prop_assert!(b.rc.take_read(id).is_some());
    }
}

//! Memory without descriptors: what the device asks of a client for it, and what becomes of clients that answer badly.
use super::super::dma_by_message::{MAX_KEPT_BYTES, MAX_KEPT_FDS};
use super::owner::*;
use super::*;
use crate::dma::{Backing, Refused, Rights};
use crate::simulator::Simulator;
use crate::station::Core;
use crate::wire::loopback::Loopback;
use ferrule_abi::regs::{self, ctrl};
use ferrule_abi::ring::{doorbell, sqe_flags, Cqe, Sqe};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

const BASE: u64 = 0x10_0000;
const USUAL: &str = r#"{"max_msg_fds":8,"max_data_xfer_size":1048576}"#;

fn range(at: u64, bytes: Vec<u8>) -> Range {
    Range {
        at,
        bytes,
        read: true,
        write: true,
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// A world that waits for `mappings` of an owner that runs in another thread.
fn with_owner<T: Send + 'static>(
    mappings: usize,
    owner: impl FnOnce(Owner) -> T + Send + 'static,
) -> (World, JoinHandle<T>) {
    let (mut w, raw) = World::with_client();
    let owner = thread::spawn(move || owner(Owner::new(raw.socket)));
    let since = Instant::now();
    let ready = |w: &World| {
        let negotiated = w.server.client.as_ref().is_some_and(|c| c.negotiated);
        negotiated && w.host.dma.len() == mappings
    };
    while !ready(&w) {
        assert!(since.elapsed() < Duration::from_secs(20), "no mapping");
        w.server.poll(&mut w.host);
        thread::yield_now();
    }
    (w, owner)
}

/// A world in a thread of its own, and what stops it.
fn running() -> (Owner, impl FnOnce() -> World) {
    let (w, raw) = World::with_client();
    let stop = Arc::new(AtomicBool::new(false));
    let world = w.run(Arc::clone(&stop));
    let end = move || {
        stop.store(true, Ordering::SeqCst);
        world.join().unwrap()
    };
    (Owner::new(raw.socket), end)
}

/// As [`running`], with a range at `BASE` and the interrupt of a device that works.
fn started() -> (Owner, OwnedFd, impl FnOnce() -> World) {
    let (mut c, end) = running();
    c.version(USUAL).unwrap();
    c.map(range(BASE, pattern(0x1000)));
    let irq = event();
    c.start(std::slice::from_ref(&irq));
    (c, irq, end)
}

#[test]
fn an_access_is_a_command_with_its_bytes_and_over_with_its_reply() {
    let (mut c, irq, end) = started();
    c.post(COPY, BASE as u32 + 0x20);
    let read = c.expect(DMA_READ);
    assert_eq!(read.body, dma(BASE + 0x20, 4, &[]));
    // A slow client's reply, byte by byte.
    let data = [0xA1, 0xB2, 0xC3, 0xD4];
    for byte in message(read.id, DMA_READ, REPLY, 0, &dma(BASE + 0x20, 4, &data)) {
        c.put(&[byte]);
        thread::sleep(Duration::from_micros(100));
    }
    let write = c.expect(DMA_WRITE);
    assert_eq!(write.body, dma(BASE + 0x24, 4, &data));
    assert_ne!(write.id, read.id);
    // The interrupt does not overtake what was written before it.
    thread::sleep(Duration::from_millis(20));
    assert!(!fired(&irq));
    c.serve(&write);
    await_event(&irq);
    drop(c);
    let stats = end().host.stats();
    assert_eq!((stats.refused_reads, stats.refused_writes), (0, 0));
}

#[test]
fn commands_that_come_before_the_reply_are_served_after_it_in_their_order() {
    let (mut c, irq, end) = started();
    let mut expected = 0;
    for round in 1..=5 {
        c.post(COPY, BASE as u32);
        let read = c.expect(DMA_READ);
        let before = c.send_read(SCRATCH);
        for value in 1..=200 {
            c.post(SCRATCH, round * 1_000 + value);
        }
        let [scratch, writes] = [SCRATCH, WRITES].map(|at| c.send_read(at));
        c.serve(&read);
        assert_eq!(c.value(before), expected);
        expected = round * 1_000 + 200;
        assert_eq!(c.value(scratch), expected);
        assert_eq!(c.value(writes), round * 201);
        assert_eq!(c.ranges[0].bytes[4..8], pattern(4), "round {round}");
        await_event(&irq);
        c.ranges[0].bytes[4..8].fill(0);
    }
    end();
}

#[test]
fn a_range_taken_back_in_the_middle_of_an_access_is_left_alone_once_that_is_answered() {
    let (mut c, irq, end) = started();
    c.post(COPY, BASE as u32);
    let read = c.expect(DMA_READ);
    let unmap = Owner::unmap_body(BASE, 0x1000);
    let id = c.send(DMA_UNMAP, 0, &unmap);
    c.serve(&read);
    // What the device does before that is answered is served.
    assert_eq!(c.reply(id), Ok(unmap));
    c.ranges.clear();
    await_event(&irq);
    c.post(COPY, BASE as u32);
    await_event(&irq);
    let id = c.send_read(ID);
    assert_eq!(c.value(id), ID_VALUE);
    let stats = end().host.stats();
    assert_eq!(stats.refused_reads, 1);
}

#[test]
fn a_client_that_refuses_an_access_is_as_good_as_before() {
    let (mut c, irq, end) = started();
    // The read: nothing is written then.
    c.post(COPY, BASE as u32);
    let read = c.expect(DMA_READ);
    c.put(&message(read.id, DMA_READ, REPLY | ERROR, EFAULT, &[]));
    await_event(&irq);
    // The write, without a reason.
    c.post(COPY, BASE as u32);
    let read = c.expect(DMA_READ);
    c.serve(&read);
    let write = c.expect(DMA_WRITE);
    c.put(&message(write.id, DMA_WRITE, REPLY | ERROR, 0, &[]));
    await_event(&irq);
    // Neither.
    c.post(COPY, BASE as u32);
    let id = c.send_read(ID);
    assert_eq!(c.value(id), ID_VALUE);
    while c.served.last() != Some(&(DMA_WRITE, BASE + 4, 4)) {
        let taken = c.take().unwrap();
        c.serve(&taken);
    }
    await_event(&irq);
    let stats = end().host.stats();
    assert_eq!((stats.refused_reads, stats.refused_writes), (1, 1));
    assert_eq!(stats.violations, 0);
}

#[test]
fn no_command_moves_more_than_either_side_takes() {
    for (capabilities, most) in [
        (r#"{"max_data_xfer_size":5}"#, 5),
        (r#"{"max_data_xfer_size":1}"#, 1),
        (r#"{"max_data_xfer_size":1000}"#, 1_000),
        // The server's own bound.
        (USUAL, 4_096),
        ("{}", 4_096),
    ] {
        let (w, owner) = with_owner(1, move |mut c| {
            c.version(capabilities).unwrap();
            c.map(range(BASE, pattern(10_001)));
            c.serve_all()
        });
        let data: Vec<u8> = pattern(10_001).iter().map(|b| !b).collect();
        let mut got = vec![0; 10_001];
        w.host.dma.read(BASE, &mut got).unwrap();
        assert_eq!(got, pattern(10_001));
        w.host.dma.write(BASE, &data).unwrap();
        assert_eq!(w.host.dma.write(BASE, &[]), Ok(()));
        drop(w);
        let owner = owner.join().unwrap();
        assert_eq!(owner.ranges[0].bytes, data);
        let pieces: Vec<(u64, u64)> = (0..10_001u64)
            .step_by(most)
            .map(|at| (BASE + at, (10_001 - at).min(most as u64)))
            .collect();
        let of = |command| pieces.iter().map(move |&(at, n)| (command, at, n));
        let expected: Vec<_> = of(DMA_READ).chain(of(DMA_WRITE)).collect();
        assert_eq!(owner.served, expected, "{capabilities}");
    }
}

#[test]
fn a_twin_socket_is_not_taken_up_and_a_client_that_takes_no_data_is_refused() {
    let (mut c, end) = running();
    assert_eq!(c.version(r#"{"max_data_xfer_size":0}"#), Err(EINVAL));
    let offered = r#"{"max_msg_fds":1,"twin_socket":{"supported":true}}"#;
    let answer = c.version(offered).unwrap();
    assert_eq!(answer["max_data_xfer_size"], 4_096);
    assert!(answer.get("twin_socket").is_none());
    end();
}

#[test]
fn rights_hold_without_a_word_to_the_client() {
    let (w, owner) = with_owner(2, |mut c| {
        c.version(USUAL).unwrap();
        c.map(Range {
            write: false,
            ..range(BASE, pattern(0x100))
        });
        c.map(Range {
            read: false,
            ..range(BASE + 0x100, pattern(0x100))
        });
        c.serve_all()
    });
    let mut got = [0xEE; 8];
    let refused = |address| Err(Refused { address });
    let dma = &w.host.dma;
    assert_eq!(dma.write(BASE + 0xFC, &[1; 8]), refused(BASE + 0xFC));
    assert_eq!(dma.read(BASE + 0xFC, &mut got), refused(BASE + 0x100));
    assert_eq!(dma.write(BASE + 0x1FC, &[1; 8]), refused(BASE + 0x200));
    assert_eq!(got, [0xEE; 8]);
    dma.read(BASE + 0xF8, &mut got).unwrap();
    dma.write(BASE + 0x1F8, &got).unwrap();
    drop(w);
    let owner = owner.join().unwrap();
    let expected = [(DMA_READ, BASE + 0xF8, 8), (DMA_WRITE, BASE + 0x1F8, 8)];
    assert_eq!(owner.served, expected);
    assert_eq!(owner.ranges[1].bytes[0xF8..], pattern(0x100)[0xF8..]);
}

/// What a client does instead of a reply to a DMA command of 8 bytes at `BASE`, and what is said of it.
type Bad = (fn(&mut Owner, &Taken), &'static str);

/// Sends a reply with this body.
fn body(c: &mut Owner, asked: &Taken, body: &[u8]) {
    c.put(&message(asked.id, asked.command, REPLY, 0, body));
}

fn bad_replies() -> Vec<Bad> {
    vec![
        (
            |c, a| {
                c.put(&message(
                    a.id + 1,
                    a.command,
                    REPLY,
                    0,
                    &dma(BASE, 8, &[1; 8]),
                ))
            },
            "is to command",
        ),
        (
            |c, a| {
                c.put(&message(
                    a.id,
                    REGION_READ,
                    REPLY,
                    0,
                    &dma(BASE, 8, &[1; 8]),
                ))
            },
            "is to command 9 number",
        ),
        // An error, but of something else.
        (
            |c, a| c.put(&message(a.id + 1, a.command, REPLY | ERROR, 5, &[])),
            "is to command",
        ),
        (
            |c, a| body(c, a, &dma(BASE + 1, 8, &[1; 8])),
            "names 8 bytes at 0x100001",
        ),
        (
            |c, a| body(c, a, &dma(BASE, 7, &[1; 8])),
            "names 7 bytes at",
        ),
        (
            |c, a| body(c, a, &dma(BASE, u64::MAX, &[1; 8])),
            "names 18446744073709551615 bytes",
        ),
        // A count of four bytes, the data behind it, and four bytes to fill up.
        (
            |c, a| body(c, a, &[&dma(BASE, 8, &[])[..12], &[1; 8], &[0; 4]].concat()),
            "names 0x101010100000008 bytes: is its count a field of four bytes",
        ),
        (|c, a| body(c, a, &dma(BASE, 8, &[1; 7])), "carries 7 bytes"),
        (|c, a| body(c, a, &dma(BASE, 8, &[1; 9])), "carries 9 bytes"),
        (|c, a| body(c, a, &dma(BASE, 8, &[])[..15]), "is cut short"),
        (|c, a| body(c, a, &[0; 3]), "is cut short"),
        // A size below the header's; a type that is none.
        (
            |c, _| c.put(&[1, 0, 11, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            "malformed",
        ),
        (
            |c, a| c.put(&message(a.id, a.command, 2, 0, &[])),
            "malformed",
        ),
        (|c, _| c.put(&[0xFF; 16]), "malformed"),
        // Death: at once, within the header, within the body.
        (
            |c, _| c.socket.shutdown(std::net::Shutdown::Both).unwrap(),
            "closed the connection",
        ),
        (
            |c, a| {
                c.put(&message(a.id, a.command, REPLY, 0, &[])[..9]);
                c.socket.shutdown(std::net::Shutdown::Both).unwrap();
            },
            "within a message (9 bytes",
        ),
        (
            |c, a| {
                c.put(&message(a.id, a.command, REPLY, 0, &dma(BASE, 8, &[1; 8]))[..35]);
                c.socket.shutdown(std::net::Shutdown::Both).unwrap();
            },
            "within a message (35 bytes",
        ),
        // Silence, also in the middle.
        (|_, _| (), "no reply to DMA_"),
        (
            |c, a| c.put(&message(a.id, a.command, REPLY, 0, &dma(BASE, 8, &[1; 8]))[..31]),
            "no reply to DMA_",
        ),
        // Anything but the reply.
        (
            |c, _| {
                let much = message(1, REGION_WRITE, NO_REPLY, 0, &vec![0; 1 << 20]);
                for _ in 0..=MAX_KEPT_BYTES >> 20 {
                    // The server may have had enough in the middle of it.
                    let _ = c.socket.write_all(&much);
                }
            },
            "of commands came before the reply to DMA_",
        ),
    ]
}

#[test]
fn a_client_that_answers_something_else_or_not_at_all_is_given_up() {
    for write in [false, true] {
        for (n, (bad, said)) in bad_replies().into_iter().enumerate() {
            let (mut w, owner) = with_owner(1, move |mut c| {
                c.version(USUAL).unwrap();
                c.map(range(BASE, pattern(0x1000)));
                let asked = c.expect(if write { DMA_WRITE } else { DMA_READ });
                bad(&mut c, &asked);
                // The server asks no more, and goes.
                assert!(c.take().is_none());
            });
            let at = format!("case {n} ({said}), write: {write}");
            let link = Arc::clone(&w.server.client.as_ref().unwrap().link);
            if said.starts_with("no reply") {
                link.set_timeout(Duration::from_millis(30));
            }
            let since = Instant::now();
            for _ in 0..3 {
                let mut got = [0xEE; 8];
                let done = match write {
                    true => w.host.dma.write(BASE, &[1; 8]),
                    false => w.host.dma.read(BASE, &mut got),
                };
                assert_eq!(done, Err(Refused { address: BASE }), "{at}");
                assert_eq!(got, [0xEE; 8], "{at}");
            }
            assert!(since.elapsed() < Duration::from_secs(8), "{at}");
            assert!(w.server.is_waiting(), "{at}");
            let error = link.check().unwrap_err().to_string();
            assert!(error.contains(said), "{at}: {error}");
            drop(link);
            w.settle();
            assert!(!w.server.has_client() && w.host.dma.is_empty(), "{at}");
            owner.join().unwrap();
        }
    }
}

#[test]
fn descriptors_without_end_are_no_reply() {
    let (mut w, owner) = with_owner(1, |mut c| {
        c.version(USUAL).unwrap();
        c.map(range(BASE, vec![0; 8]));
        c.expect(DMA_READ);
        let fd = event();
        let mut connection =
            ferrule_driver::vfio_user::socket::Connection::new(c.socket.try_clone().unwrap())
                .unwrap();
        let header = Header {
            command: DMA_MAP,
            ..Header::default()
        };
        for _ in 0..=MAX_KEPT_FDS / 16 {
            let _ = connection.send(header, &[], &[fd.as_fd(); 16], Duration::from_secs(5));
        }
        c.socket.set_nonblocking(false).unwrap();
        assert!(c.take().is_none());
    });
    assert!(w.host.dma.read(BASE, &mut [0; 8]).is_err());
    w.settle();
    assert!(!w.server.has_client());
    owner.join().unwrap();
}

#[test]
fn a_write_is_done_whichever_way_that_is_said() {
    let replies: [fn(u64) -> Vec<u8>; 3] = [
        |at| dma(at, 8, &[]),
        // The count of the specification's table, four bytes.
        |at| dma(at, 8, &[])[..12].to_vec(),
        // The header alone, as QEMU's hw/vfio-user/pci.c has it.
        |_| vec![],
    ];
    let (w, owner) = with_owner(1, move |mut c| {
        c.version(USUAL).unwrap();
        c.map(range(BASE, vec![0; 0x1000]));
        for reply in replies {
            let write = c.expect(DMA_WRITE);
            let (at, _) = write.access();
            body(&mut c, &write, &reply(at));
        }
        assert!(c.take().is_none());
    });
    for at in [BASE, BASE + 0x10, BASE + 0xFF8] {
        assert_eq!(w.host.dma.write(at, &[1; 8]), Ok(()));
    }
    drop(w);
    owner.join().unwrap();
}

const SQ: usize = 0;
const TXCQ: usize = 0x400;
const RXQ: usize = 0x800;
const RXCQ: usize = 0xC00;
const FRAME: usize = 0x1000;
const SLOTS: usize = 0x2000;

#[test]
fn the_nic_sends_and_receives_a_frame_in_memory_without_a_descriptor() {
    const IOVA: u64 = 0x12_3400_0000;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mac = [2, 0, 0, 0, 0, 1];
    let simulator = Simulator::builder(Box::new(Loopback::new(1_000)))
        .mac(mac)
        .client(ours)
        .wall_time()
        .start(Core::Model)
        .unwrap();
    let mut c = Owner::new(theirs);
    // Smaller than a frame and than the NIC's requests.
    c.version(r#"{"max_data_xfer_size":100}"#).unwrap();
    let frame: Vec<u8> = [&mac[..], &[2, 0, 0, 0, 0, 9, 0x88, 0xB5], &pattern(1_000)].concat();
    let mut memory = vec![0; SLOTS + 2 * 2_048];
    let sqe = Sqe {
        iova: IOVA + FRAME as u64,
        len: frame.len() as u16,
        flags: sqe_flags::SOP | sqe_flags::EOP | sqe_flags::RAW | sqe_flags::CPL_REQ,
        ..Sqe::default()
    };
    let words = sqe.to_words().map(u32::to_le_bytes);
    memory[SQ..SQ + 16].copy_from_slice(words.as_flattened());
    memory[RXQ..RXQ + 2].copy_from_slice(&1u16.to_le_bytes());
    memory[FRAME..FRAME + frame.len()].copy_from_slice(&frame);
    let before = memory.clone();
    c.map(range(IOVA, memory));
    let vectors = [event(), event()];
    c.start(&vectors);
    let (tx, rx) = (regs::tx_page(0), regs::rx_page(0));
    let at = |place: usize| IOVA as u32 + place as u32;
    let high = (IOVA >> 32) as u32;
    let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(11) | regs::rx_slot_cfg::COUNT.of(2);
    let sent = regs::tx_cfg::SQ_LOG2.of(4) | regs::tx_cfg::CQ_LOG2.of(4);
    let received = regs::rx_cfg::RXQ_LOG2.of(4) | regs::rx_cfg::CQ_LOG2.of(4);
    for (offset, value) in [
        (tx + regs::tx_cfg::OFFSET, sent | regs::tx_cfg::VECTOR.of(0)),
        (tx + regs::tx_sq_base_lo::OFFSET, at(SQ)),
        (tx + regs::tx_sq_base_hi::OFFSET, high),
        (tx + regs::tx_cq_base_lo::OFFSET, at(TXCQ)),
        (tx + regs::tx_cq_base_hi::OFFSET, high),
        (tx + regs::tx_ctrl::OFFSET, 1),
        (
            rx + regs::rx_cfg::OFFSET,
            received | regs::rx_cfg::VECTOR.of(1),
        ),
        (rx + regs::rx_rxq_base_lo::OFFSET, at(RXQ)),
        (rx + regs::rx_rxq_base_hi::OFFSET, high),
        (rx + regs::rx_cq_base_lo::OFFSET, at(RXCQ)),
        (rx + regs::rx_cq_base_hi::OFFSET, high),
        (rx + regs::rx_slot_base_lo::OFFSET, at(SLOTS)),
        (rx + regs::rx_slot_base_hi::OFFSET, high),
        (rx + regs::rx_slot_cfg::OFFSET, slots),
        (rx + regs::rx_ctrl::OFFSET, 1),
        (ctrl::OFFSET, ctrl::TX_EN.of(1) | ctrl::RX_EN.of(1)),
        (
            rx + regs::rx_doorbell::OFFSET,
            doorbell::PRODUCER.of(1) | doorbell::ARM.of(1),
        ),
        (
            tx + regs::tx_doorbell::OFFSET,
            doorbell::PRODUCER.of(1) | doorbell::ARM.of(1),
        ),
    ] {
        c.post(offset, value);
    }
    // Registers are read while the NIC works; it waits for its memory as often as not.
    let since = Instant::now();
    let mut waiting = vec![&vectors[0], &vectors[1]];
    while !waiting.is_empty() {
        assert!(since.elapsed() < Duration::from_secs(20), "no interrupt");
        let id = c.send_read(regs::magic::OFFSET);
        assert_eq!(c.value(id), regs::MAGIC);
        waiting.retain(|vector| !fired(vector));
    }
    let memory = &c.ranges[0].bytes;
    let cqe = |place: usize| {
        let word = |n: usize| {
            u32::from_le_bytes(memory[place + 4 * n..place + 4 * n + 4].try_into().unwrap())
        };
        Cqe::from_words([word(0), word(1), word(2), word(3)])
    };
    let sent = cqe(TXCQ);
    assert_eq!((sent.status, sent.index, sent.phase), (0, 0, true));
    let received = cqe(RXCQ);
    assert_eq!(usize::from(received.len), frame.len());
    assert_eq!((received.index, received.phase), (1, true));
    let slot = SLOTS + 2_048;
    assert_eq!(memory[slot..slot + frame.len()], frame);
    // Nothing else was written.
    assert_eq!(memory[..TXCQ], before[..TXCQ]);
    assert_eq!(memory[RXQ..RXCQ], before[RXQ..RXCQ]);
    assert_eq!(memory[FRAME..slot], before[FRAME..slot]);
    assert!(c.served.iter().all(|(_, _, count)| *count <= 100));
    drop(c);
    let stats = simulator.stop().unwrap();
    assert_eq!(
        (stats.tlps.refused_reads, stats.tlps.refused_writes),
        (0, 0)
    );
    assert_eq!((stats.phy.tx_frames, stats.phy.rx_frames), (1, 1));
}

/// A range of the property: what lies before it, how long it is, whether it has a descriptor, and its rights.
type Placed = (usize, usize, bool, bool, bool);
/// An access: whether it writes, where, how long, with what.
type Op = (bool, usize, usize, u8);

fn memories() -> impl Strategy<Value = (Vec<Placed>, Vec<Op>)> {
    let gap = prop_oneof![4 => Just(0usize), 1 => 1..4usize];
    let right = || prop::bool::weighted(0.9);
    let placed = (gap, 1..24usize, any::<bool>(), right(), right());
    let op = (any::<bool>(), 0..120usize, 0..48usize, any::<u8>());
    (
        prop::collection::vec(placed, 1..7),
        prop::collection::vec(op, 1..40),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Memory with and without descriptors, side by side, against a plain table of bytes.
    #[test]
    fn both_kinds_of_memory_behave_like_one_table_of_bytes((ranges, ops) in memories(), most in 1..20u32) {
        let file: File = tempfile::tempfile().unwrap();
        // The reference: rights and value of each byte from BASE on.
        let mut cells: Vec<Option<(bool, bool, u8)>> = vec![];
        let (mut remote, mut mapped) = (vec![], vec![]);
        for (gap, len, descriptor, read, write) in ranges {
            cells.resize(cells.len() + gap, None);
            let start = cells.len();
            let bytes: Vec<u8> = (start..start + len).map(|i| (i * 31) as u8).collect();
            cells.extend(bytes.iter().map(|b| Some((read, write, *b))));
            let at = BASE + start as u64;
            if descriptor {
                file.write_all_at(&bytes, start as u64).unwrap();
                mapped.push((at, len, start, Rights { read, write }));
            } else {
                remote.push(Range { at, bytes, read, write });
            }
        }
        file.set_len(cells.len() as u64).unwrap();
        let end = cells.len();
        cells.resize(200, None);
        let (mut w, owner) = with_owner(remote.len(), move |mut c| {
            c.version(&format!(r#"{{"max_data_xfer_size":{most}}}"#)).unwrap();
            remote.into_iter().for_each(|r| c.map(r));
            c.serve_all()
        });
        for &(at, len, start, rights) in &mapped {
            let fd = file.try_clone().unwrap().into();
            w.host.dma.map(at, len as u64, rights, Backing::File(fd, start as u64)).unwrap();
        }
        for (write, at, len, value) in ops {
            let here = &mut cells[at..at + len];
            let address = BASE + at as u64;
            if write {
                let data: Vec<u8> = (0..len).map(|i| value.wrapping_add(i as u8)).collect();
                let done = w.host.dma.write(address, &data);
                let may = here.iter().all(|c| c.is_some_and(|(_, write, _)| write));
                prop_assert_eq!(done.is_ok(), may);
                if may {
                    here.iter_mut().flatten().zip(data).for_each(|(c, b)| c.2 = b);
                }
            } else {
                let mut got = vec![0xEE; len];
                let done = w.host.dma.read(address, &mut got);
                let may = here.iter().all(|c| c.is_some_and(|(read, _, _)| read));
                prop_assert_eq!(done.is_ok(), may);
                let expected: Vec<u8> = match may {
                    true => here.iter().flatten().map(|c| c.2).collect(),
                    false => vec![0xEE; len],
                };
                prop_assert_eq!(got, expected);
            }
        }
        drop(w);
        let owner = owner.join().unwrap();
        let mut contents = vec![0; end];
        file.read_exact_at(&mut contents, 0).unwrap();
        for range in &owner.ranges {
            let start = (range.at - BASE) as usize;
            contents[start..start + range.bytes.len()].copy_from_slice(&range.bytes);
        }
        for (i, cell) in cells.iter().take(end).enumerate() {
            if let Some((_, _, value)) = cell {
                prop_assert_eq!(contents[i], *value, "byte {}", i);
            }
        }
        prop_assert!(owner.served.iter().all(|(_, _, count)| *count <= u64::from(most)));
    }
}

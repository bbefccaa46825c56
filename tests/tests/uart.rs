//! The NIC behind a UART, in simulated time: sockets, driver, root complex, line at real bit times, hardware description, MII and a smoltcp host; and
//! frames both ways while that line damages bytes.
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use ferrule::{Cidr, Host};
use ferrule_abi::counter;
use ferrule_driver::nic::{NicConfig, RxFrame, TxCompletion, TxFrame, TxMode, TxOutcome};
use ferrule_driver::{Clock, Nic};
use ferrule_sim::arty::{Arty, Design};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::{ArtyStation, Core, Station, Surroundings};
use ferrule_sim::uart::Noise;
use ferrule_sim::wire::lan::{Lan, NIC, PEER, PREFIX};
use ferrule_sim::wire::Wire;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The port on which the LAN's peer echoes.
const ECHO: u16 = 7;
const BYTES: usize = 3_000;
/// The fastest UART of an Arty's adapter.
const BAUD: u32 = 12_000_000;
/// How often the driver's watchdog may look whether the NIC is still there.
const WATCHDOG_NS: u64 = 50_000_000;

#[test]
fn tcp_goes_over_a_uart_without_a_read_on_the_data_path() {
    let core = Core::arty(BAUD).expect("compiles");
    let nic = NicSetup::new(core, Box::new(Lan::new(3)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    // Nothing is said of PUSH mode: the device says that its link is slow.
    let host = Host::builder()
        .device(Box::new(simulator.device(0).expect("a device")))
        .clock(Arc::new(clock.clone()))
        .address(Cidr::new(NIC, PREFIX).expect("an address"))
        .seed([7; 16])
        .open()
        .expect("the NIC comes up");
    let longest = host.with_nic(|nic| nic.tx_max_frame()).expect("a NIC");
    assert_eq!(longest, 2_032, "PUSH mode");
    let caps = host.with_nic(|nic| nic.caps()).expect("a NIC");
    assert!(
        caps.push && caps.push_only && !caps.tso && !caps.jumbo,
        "what it does, and nothing else: {caps:?}"
    );
    let begun_ns = clock.now();
    let before = simulator.stats(0).expect("a NIC").tlps;
    let mut stream = host.connect((PEER, ECHO)).expect("connects");
    let data: Vec<u8> = (0..BYTES as u32).map(|n| ((n * 37) >> 3) as u8).collect();
    stream.write_all(&data).expect("writes");
    let mut back = vec![0; BYTES];
    stream.read_exact(&mut back).expect("reads");
    assert!(back == data);
    let tlps = simulator.stats(0).expect("a NIC").tlps.since(&before);
    assert_eq!(tlps.up.reads, 0, "{tlps:?}");
    let looks = (clock.now() - begun_ns) / WATCHDOG_NS + 1;
    assert!(tlps.down.reads <= looks, "{tlps:?}, {looks}");
    assert_eq!((tlps.violations, tlps.refused_writes), (0, 0), "{tlps:?}");
    // Three segments or so, each with its headers, came as one write each, and their completions.
    assert!(tlps.up.writes < 60, "{tlps:?}");
    assert!(tlps.up.payload_bytes > BYTES as u64, "{tlps:?}");
}

/// Of a million bytes on the line, how many are damaged.
const DAMAGED: u32 = 1_000;
/// Frames each way at a pace that the line carries.
const FRAMES: usize = 60;
/// Frames that come back to back then, at 100 Mbit/s: more than the NIC can keep.
const BURST: usize = 32;
const FRAME_NS: u64 = 1_000_000;
/// Long enough for the timers of both ends, several times.
const PATIENCE_NS: u64 = 5_000_000_000;

/// The far end of the cable: frames that come, each with the time since the one before, and those that went.
struct Cable {
    coming: VecDeque<(u64, Vec<u8>)>,
    next_ns: Option<u64>,
    went: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Cable {
    fn set_next(&mut self, from_ns: u64) {
        self.next_ns = self.coming.front().map(|(gap_ns, _)| from_ns + gap_ns);
    }
}

impl Wire for Cable {
    fn send(&mut self, _: u64, frame: &[u8]) {
        self.went.lock().expect("a lock").push(frame.to_vec());
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.next_ns.filter(|at| *at <= now_ns)?;
        let (_, frame) = self.coming.pop_front()?;
        self.set_next(now_ns);
        Some(frame)
    }

    fn next_deadline(&mut self, _: u64) -> Option<u64> {
        self.next_ns
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.set_next(now_ns);
    }
}

/// A frame with bytes of its own, in which flags and escapes of the line's framing are frequent.
fn frame(length: usize, random: &mut StdRng) -> Vec<u8> {
    let palette = [0x7E, 0x7D, 0x5E, 0, random.random()];
    let mut frame: Vec<u8> = (0..length)
        .map(|_| palette[random.random_range(0..palette.len())])
        .collect();
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8]);
    // For experiments (IEEE 802: 88B5); and what makes it another one than all before.
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    random.fill(&mut frame[14..22]);
    frame
}

/// Frames of mostly small sizes.
fn frames(random: &mut StdRng) -> Vec<Vec<u8>> {
    let length = |random: &mut StdRng| match random.random_range(0..10) {
        0 => random.random_range(60..=1_514),
        _ => random.random_range(60..200),
    };
    (0..FRAMES).map(|_| frame(length(random), random)).collect()
}

#[test]
fn on_a_bad_line_each_frame_arrives_once_and_in_order_or_is_counted() {
    const SEED: u64 = 8;
    let mut random = StdRng::seed_from_u64(SEED);
    let (to_send, mut coming) = (frames(&mut random), frames(&mut random));
    let mut gaps: Vec<u64> = coming
        .iter()
        .map(|_| random.random_range(0..2 * FRAME_NS))
        .collect();
    coming.extend((0..BURST).map(|_| frame(1_514, &mut random)));
    gaps.resize(coming.len(), 0);
    let went = Arc::default();
    let cable = Cable {
        coming: gaps.into_iter().zip(coming.iter().cloned()).collect(),
        next_ns: None,
        went: Arc::clone(&went),
    };
    let lines = [1, 2].map(|n| Noise::new(SEED << 8 | n, DAMAGED));
    let faults = [0, 1].map(|n: usize| lines[n].done());
    let design = Design::compile().expect("compiles");
    let make = move |around: Surroundings| {
        let arty = Arty::new(&design, BAUD, around.mac, around.wire, around.capture);
        let station = ArtyStation::new(Box::new(arty), BAUD, around.settings).noise(lines);
        Box::new(station) as Box<dyn Station>
    };
    let core = Core::Other("arty", Box::new(make));
    let nic = NicSetup::new(core, Box::new(cable));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    let config = NicConfig {
        promiscuous: true,
        ..NicConfig::default()
    };
    let device = Box::new(simulator.device(0).expect("opens"));
    let mut nic = Nic::open(device, Arc::new(clock.clone()), &config).expect("opens");

    let (mut sent, mut completed, mut received) = (0, vec![], vec![]);
    let mut progress_ns = clock.now();
    let lost = loop {
        clock
            .wait(
                &[],
                Some(clock.now() + random.random_range(0..2 * FRAME_NS)),
            )
            .expect("time passes");
        let before = (completed.len(), received.len());
        if let Some(frame) = to_send.get(sent) {
            let out = TxFrame {
                parts: &[frame],
                mode: TxMode::Raw,
                token: sent as u64,
                report: true,
                ..TxFrame::default()
            };
            sent += usize::from(nic.send(&out).expect("sends"));
        }
        completed.extend(nic.tx_completions().expect("completions"));
        nic.rx_batch(64, &mut received).expect("receives");
        nic.events().expect("events");
        if before != (completed.len(), received.len()) {
            progress_ns = clock.now();
            continue;
        }
        let waited_ns = clock.now() - progress_ns;
        if waited_ns > 200_000_000 && nic.tx_outstanding() == 0 && sent == to_send.len() {
            let stats = nic.stats().expect("counters");
            let [overflow, no_slot] =
                [counter::RX_DROP_OVERFLOW, counter::RX_DROP_NO_SLOT].map(|c| stats.get(c));
            let (kept, lost) = (received.len() as u64 + no_slot, overflow + no_slot);
            let lost = lost as usize;
            if received.len() + lost >= coming.len() {
                assert_eq!(stats.get(counter::RX_FRAMES), kept, "seed {SEED}");
                assert_eq!(stats.get(counter::TX_FRAMES), sent as u64, "seed {SEED}");
                break lost;
            }
        }
        assert!(
            waited_ns < PATIENCE_NS,
            "seed {SEED}: stuck with {sent} sent, {} completed, {} received",
            completed.len(),
            received.len()
        );
    };
    let faults: Vec<u64> = faults.iter().map(|f| f.load(Ordering::Relaxed)).collect();
    assert!(faults.iter().all(|f| *f >= 25), "seed {SEED}: {faults:?}");

    // Towards the wire: all of them, in their order; each completed once.
    assert!(*went.lock().expect("a lock") == to_send, "seed {SEED}");
    let tokens: Vec<u64> = completed.iter().map(|c| c.token).collect();
    assert_eq!(tokens, (0..sent as u64).collect::<Vec<_>>(), "seed {SEED}");
    let done = |c: &TxCompletion| matches!(c.outcome, TxOutcome::Sent { .. });
    assert!(completed.iter().all(done), "seed {SEED}");

    // Towards the host: what is missing of them is counted, and only the burst was too much.
    let mut left = coming.iter();
    for (n, frame) in received.iter().map(RxFrame::to_vec).enumerate() {
        assert!(
            left.any(|came| *came == frame),
            "seed {SEED}: frame {n} of those received did not come, or not then"
        );
    }
    assert_eq!(received.len() + lost, coming.len(), "seed {SEED}");
    assert!((1..BURST).contains(&lost), "seed {SEED}: {lost}");
    let tlps = simulator.stats(0).expect("a NIC").tlps;
    assert_eq!(
        (tlps.violations, tlps.up.reads),
        (0, 0),
        "seed {SEED}: {tlps:?}"
    );
}

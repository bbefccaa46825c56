//! Traffic through simulated NICs in this process, by driver and by sockets.
use std::error::Error;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule::{Cidr, Host};
use ferrule_driver::nic::{TxFrame, TxMode};
use ferrule_driver::{Clock, Nic, NicConfig};
use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::lan::{Lan, PEER, PREFIX};
use ferrule_sim::wire::loopback::Loopback;

use super::thread_cpu_seconds;

/// Bytes of a frame without FCS.
const FRAME_BYTES: usize = 60;
/// Delay of the loop: two metres of cable and two PHYs.
const LOOP_NS: u64 = 500;
/// Frames handed over at once.
const BATCH: usize = 16;
/// Frames on their way at most: the rings have room for all of them.
const WINDOW: usize = 128;
/// Frames between two looks at the clock.
const LOOK_FRAMES: u64 = 512;
/// How long frames are looped, and data is sent.
const SPAN_SECONDS: f64 = 2.0;
const PINGS: u16 = 101;
const SEED: u64 = 1;
/// A host of the simulated LAN that it has not.
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// From an interrupt until its host hears of it, in simulated time: as drivers moderate interrupts under load.
pub(super) const MODERATION: Duration = Duration::from_micros(400);
/// The same for frames of 64 bytes: half the time that a window of them takes on the wire.
const FRAME_MODERATION: Duration = Duration::from_micros(40);
const CHUNK: usize = 1 << 16;

/// Frames of 64 bytes that a driver sends and gets back, per second of CPU time.
///
/// # Errors
/// What the NIC, the simulator or the clock reports; a frame that comes back changed.
pub(super) fn looped(kind: Kind) -> Result<f64, Box<dyn Error>> {
    let core = Core::open(kind, &Options::default())?;
    let nic = NicSetup::new(core, Box::new(Loopback::new(LOOP_NS)));
    let simulator = LocalSimulator::builder()
        .nic(nic)
        .interrupt_latency(FRAME_MODERATION)
        .start()?;
    let clock = Arc::new(simulator.clock());
    let _attached = clock.attach();
    let mut nic = Nic::open(
        Box::new(simulator.device(0)?),
        Arc::clone(&clock) as Arc<dyn Clock>,
        &NicConfig::default(),
    )?;
    let mut bytes = [0x5A; FRAME_BYTES];
    bytes[..6].copy_from_slice(&nic.mac());
    // No EtherType that anybody looks into (IEEE 802 local experimental).
    bytes[12..14].copy_from_slice(&[0x88, 0xB5]);
    let frame = TxFrame {
        parts: &[&bytes],
        mode: TxMode::Raw,
        vlan: None,
        token: 0,
        report: false,
        ..TxFrame::default()
    };
    let batch = [frame; BATCH];
    let (mut flying, mut came, mut next_look, mut frames) = (0, 0, 0, vec![]);
    let start = thread_cpu_seconds();
    loop {
        if came >= next_look {
            next_look = came + LOOK_FRAMES;
            let spent = thread_cpu_seconds() - start;
            if spent >= SPAN_SECONDS {
                return Ok(came as f64 / spent);
            }
        }
        while flying + BATCH <= WINDOW {
            match nic.tx_batch(&batch)? {
                0 => break,
                n => flying += n,
            }
        }
        let received = nic.rx_batch(WINDOW, &mut frames)?;
        for frame in frames.drain(..) {
            if frame.head[..] != bytes || frame.body.is_some() {
                return Err("a frame came back changed".into());
            }
        }
        flying -= received;
        came += received as u64;
        nic.tx_completions()?;
        if received == 0 {
            nic.arm()?;
            if !nic.has_work() {
                clock.wait(&nic.irq_fds(), None)?;
                nic.drain_irqs()?;
            }
        }
    }
}

/// Median round trip of pings from a host over one simulated NIC to a host of the simulated LAN, in milliseconds of wall time.
///
/// # Errors
/// What the simulator or the host reports.
pub(super) fn ping_ms(kind: Kind) -> Result<f64, Box<dyn Error>> {
    let core = Core::open(kind, &Options::default())?;
    let nic = NicSetup::new(core, Box::new(Lan::new(SEED)));
    let simulator = LocalSimulator::builder().nic(nic).start()?;
    let clock = simulator.clock();
    let _attached = clock.attach();
    let address = Cidr::new(OURS, PREFIX).ok_or("no address")?;
    let host = Host::builder()
        .device(Box::new(simulator.device(0)?))
        .clock(Arc::new(clock))
        .address(address)
        .open()?;
    let ping = host.ping()?;
    let mut trips = vec![];
    for sequence in 0..PINGS {
        let start = Instant::now();
        ping.echo(PEER, sequence, &[0x5A; 56], Duration::from_secs(5))?;
        trips.push(start.elapsed().as_secs_f64() * 1e3);
    }
    trips.sort_by(f64::total_cmp);
    Ok(trips[trips.len() / 2])
}

/// What TCP carries between two hosts on a cable, in Mbit/s of wall time.
///
/// # Errors
/// What the net or a host reports.
pub(super) fn tcp_mbit_per_s(kind: Kind) -> Result<f64, Box<dyn Error>> {
    let net = ferrule_testnet::new()
        .engine(kind)
        .interrupt_latency(MODERATION)
        .start()?;
    let to = (net.address(1), 5_001);
    let listener = net.host(1).listen(to, 1)?;
    let host = net.host(0).clone();
    let sender = net.spawn(move || -> std::io::Result<()> {
        let mut stream = host.connect(to)?;
        let chunk = vec![0x5A; CHUNK];
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < SPAN_SECONDS {
            stream.write_all(&chunk)?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let start = Instant::now();
    let (mut buffer, mut received) = (vec![0; CHUNK], 0u64);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => received += n as u64,
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(8e-6 * received as f64 / seconds)
}

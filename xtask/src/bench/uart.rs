//! What a UART carries: frames through a simulated Arty at 3 Mbaud, by simulated time, between driver and cable.
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_driver::nic::{TxFrame, TxMode};
use ferrule_driver::{Clock, Nic, NicConfig};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::root_complex::TlpStats;
use ferrule_sim::station::Core;
use ferrule_sim::wire::Wire;

use crate::row::Row;

const BAUD: u32 = 3_000_000;
/// Bytes of a frame without FCS, the longest and the shortest, and how many are measured.
const LONG: (usize, usize) = (1_514, 30);
const SHORT: (usize, usize) = (60, 300);
/// Frames before those that are measured: queues fill and the first acknowledgements come.
const BEFORE: usize = 6;
const LEAST_MBIT_PER_S: f64 = 2.2;
const LEAST_FRAMES_PER_S: f64 = 2_500.0;
/// Between two looks of the driver, in nanoseconds.
const LOOK_NS: u64 = 200_000;

/// When each frame was on the cable.
type Times = Arc<Mutex<Vec<u64>>>;

/// A cable from which one frame comes again and again, at a pace that the UART does not reach (the NIC drops what it has no room for), and on which others end.
struct Cable {
    frame: Option<Vec<u8>>,
    pace_ns: u64,
    next_ns: u64,
    sent: Times,
}

impl Wire for Cable {
    fn send(&mut self, now_ns: u64, _: &[u8]) {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(now_ns);
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        if now_ns < self.next_ns {
            return None;
        }
        self.next_ns = now_ns + self.pace_ns;
        self.frame.clone()
    }

    fn next_deadline(&mut self, _: u64) -> Option<u64> {
        (self.frame.is_some() && self.next_ns != u64::MAX).then_some(self.next_ns)
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.next_ns = now_ns;
    }
}

fn frame(bytes: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..bytes as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    frame[..6].copy_from_slice(&[0xFF; 6]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    // IEEE 802 local experimental.
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame
}

/// Frames a second one way, and the TLPs of the measured part.
fn measure_one(
    (bytes, count): (usize, usize),
    to_host: bool,
) -> Result<(f64, TlpStats), Box<dyn Error>> {
    let total = count + BEFORE;
    let sent = Times::default();
    let cable = Cable {
        frame: to_host.then(|| frame(bytes)),
        // Ten per cent faster than the UART's bits.
        pace_ns: (bytes as u64 * 8 + 160) * 900_000_000 / u64::from(BAUD),
        next_ns: u64::MAX,
        sent: Arc::clone(&sent),
    };
    let nic = NicSetup::new(Core::arty(BAUD)?, Box::new(cable));
    let simulator = LocalSimulator::builder().nic(nic).start()?;
    let clock = Arc::new(simulator.clock());
    let _attached = clock.attach();
    let mut nic = Nic::open(
        Box::new(simulator.device(0)?),
        Arc::clone(&clock) as Arc<dyn Clock>,
        &NicConfig::default(),
    )?;
    let bytes_out = frame(bytes);
    let out = TxFrame {
        parts: &[&bytes_out],
        mode: TxMode::Raw,
        ..TxFrame::default()
    };
    let tlps = || simulator.stats(0).map(|s| s.tlps).unwrap_or_default();
    let (mut given, mut came, mut frames) = (0, vec![], vec![]);
    let mut before = None;
    let done = |came: &Vec<u64>| match to_host {
        true => came.len(),
        false => sent.lock().unwrap_or_else(PoisonError::into_inner).len(),
    };
    while done(&came) < total {
        while !to_host && given < total && nic.send(&out)? {
            given += 1;
        }
        nic.rx_batch(64, &mut frames)?;
        came.extend(frames.drain(..).map(|_| clock.now()));
        nic.tx_completions()?;
        if before.is_none() && done(&came) >= BEFORE {
            before = Some(tlps());
        }
        nic.arm()?;
        if !nic.has_work() {
            let until = clock.now() + LOOK_NS;
            clock.wait(&nic.irq_fds(), Some(until))?;
            nic.drain_irqs()?;
        }
    }
    let times = match to_host {
        true => came,
        false => sent.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    };
    let span_ns = times[total - 1] - times[BEFORE - 1];
    let rate = count as f64 * 1e9 / span_ns as f64;
    Ok((rate, tlps().since(&before.unwrap_or_default())))
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = vec![];
    let mut reads = 0;
    for (to_host, way) in [(true, "to the host"), (false, "from the host")] {
        let (rate, tlps) = measure_one(LONG, to_host)?;
        reads += tlps.up.reads + tlps.down.reads;
        let mbit_per_s = rate * LONG.0 as f64 * 8e-6;
        rows.push(
            Row::new(format!("frames of 1,514 bytes {way}"), mbit_per_s, "Mbit/s")
                .at_least(LEAST_MBIT_PER_S),
        );
        let (rate, tlps) = measure_one(SHORT, to_host)?;
        reads += tlps.up.reads + tlps.down.reads;
        rows.push(
            Row::new(format!("frames of 64 bytes {way}"), rate, "frames/s")
                .at_least(LEAST_FRAMES_PER_S),
        );
    }
    rows.push(Row::new("MRd of either side meanwhile", reads as f64, "TLPs").at_most(0.0));
    Ok(rows)
}

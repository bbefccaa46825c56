//! `ferrule capture`: what a NIC receives, as a pcapng file.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ferrule_abi::counter;
use ferrule_driver::nic::{widen_timestamp, Caps, NicConfig, RxFrame};
use ferrule_driver::{Clock, Nic};
use ferrule_sim::capture::{Direction, Interface, PcapNg};

use crate::args::Capture;
use crate::device::Nics;
use crate::error::Error;
use crate::signal::Interrupt;

/// Frames that are taken at a time.
const BATCH: usize = 256;
/// The MTU of a NIC that can do jumbo frames.
const JUMBO_MTU: u16 = 9_000;
/// The NIC's clock is compared to the machine's this often, in nanoseconds: before their crystals are apart by what matters.
const COMPARE_NS: u64 = 1_000_000_000;

/// Makes the time of day of a frame's timestamp.
struct Times {
    clock: Arc<dyn Clock>,
    /// The clock's zero in nanoseconds since 1970.
    epoch_ns: u64,
    /// A moment by the clock and by the NIC's; none if the NIC has no timestamps.
    anchor: Option<(u64, u64)>,
}

impl Times {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let now_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        let epoch_ns = now_ns.saturating_sub(clock.now());
        Self {
            clock,
            epoch_ns,
            anchor: None,
        }
    }

    /// Compares the clocks, if that is due.
    fn compare(&mut self, nic: &mut Nic) -> Result<(), Error> {
        let before = self.clock.now();
        let is_due = self
            .anchor
            .is_none_or(|(at, _)| before.saturating_sub(at) >= COMPARE_NS);
        if nic.caps().timestamps && is_due {
            let theirs = nic.clock_ns()?;
            let ours = before.midpoint(self.clock.now());
            self.anchor = Some((ours, theirs));
        }
        Ok(())
    }

    /// When the frame came, in nanoseconds since 1970.
    fn of(&self, frame: &RxFrame) -> u64 {
        let now = self.clock.now();
        let at = match (self.anchor, frame.timestamp) {
            (Some((ours, theirs)), Some(timestamp)) => {
                let nic_now = theirs.wrapping_add(now.wrapping_sub(ours));
                let came = widen_timestamp(timestamp, nic_now);
                ours.wrapping_add(came.wrapping_sub(theirs))
            }
            _ => now,
        };
        self.epoch_ns.wrapping_add(at)
    }
}

/// Captures until the end that was asked for, or Ctrl-C.
///
/// # Errors
/// When there is no NIC, it fails, or the file cannot be written.
pub(crate) fn run(args: &Capture) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let nics = Nics::find(&args.device)?;
    let caps = nics.raw()?.caps();
    let mut nic = Nic::open(nics.open()?, nics.clock(), &config(args, caps)?)?;
    let result = capture(args, &nics, &mut nic, &interrupt);
    let lost = nic
        .stats()
        .ok()
        .map(|stats| stats.get(counter::RX_DROP_NO_SLOT) + stats.get(counter::RX_DROP_OVERFLOW));
    let closed = nic.close();
    let count = result?;
    closed?;
    nics.end()?;
    let lost = match lost {
        Some(0) => "none lost".to_owned(),
        Some(n) => format!("{n} lost: the machine was too slow"),
        None => "the NIC cannot say whether some were lost".to_owned(),
    };
    eprintln!("{count} frames captured, {lost}");
    Ok(())
}

/// Everything is received that is asked for; nobody is answered.
fn config(args: &Capture, caps: Caps) -> Result<NicConfig, Error> {
    let config = NicConfig {
        promiscuous: args.promiscuous,
        all_multicast: args.promiscuous,
        deliver_arp: true,
        keep_bad_fcs: args.bad_frames,
        keep_bad_ip: args.bad_frames,
        keep_bad_l4: args.bad_frames,
        arp_learn: false,
        ..NicConfig::default()
    };
    Ok(match caps.jumbo {
        true => config
            .with_mtu(JUMBO_MTU)
            .map_err(ferrule_driver::NicError::from)?,
        false => config,
    })
}

/// The file, or standard output.
fn open(path: &Path) -> io::Result<Box<dyn Write>> {
    Ok(match path.as_os_str() == "-" {
        true => Box::new(BufWriter::new(io::stdout())),
        false => Box::new(BufWriter::new(File::create(path)?)),
    })
}

fn capture(
    args: &Capture,
    nics: &Nics,
    nic: &mut Nic,
    interrupt: &Interrupt,
) -> Result<u64, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::BrokenPipe => Error::NoReader,
        _ => Error::Write {
            path: args.file.clone(),
            source,
        },
    };
    let interface = Interface {
        name: args.device.device.clone(),
        description: "Ferrule NIC".to_owned(),
    };
    let mut file = open(&args.file)
        .and_then(|writer| PcapNg::new(writer, &[interface]))
        .map_err(failed)?;
    file.flush().map_err(failed)?;
    let clock = nics.clock();
    let length = args.duration.map_or(u64::MAX, nanoseconds);
    let end = clock.now().saturating_add(length);
    let most = args.count.unwrap_or(u64::MAX);
    let mut times = Times::new(Arc::clone(&clock));
    let mut count = 0;
    while count < most && clock.now() < end && !interrupt.is_raised() {
        times.compare(nic)?;
        let mut frames = Vec::new();
        nic.rx_batch(BATCH, &mut frames)?;
        nic.events()?;
        if frames.is_empty() {
            sleep(nic, &*clock, end, interrupt)?;
            continue;
        }
        for frame in &frames[..frames.len().min((most - count) as usize)] {
            let direction = match frame.bad_fcs {
                true => Direction::Damaged,
                false => Direction::Received,
            };
            file.frame(0, times.of(frame), direction, &frame.to_vec())
                .map_err(failed)?;
            count += 1;
        }
        // Who reads along sees them now.
        file.flush().map_err(failed)?;
    }
    Ok(count)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits for a frame, a comparison of the clocks, or the end.
fn sleep(nic: &mut Nic, clock: &dyn Clock, end: u64, interrupt: &Interrupt) -> Result<(), Error> {
    nic.arm()?;
    if nic.has_work() {
        return Ok(());
    }
    let mut fds = nic.irq_fds().to_vec();
    fds.push(interrupt.fd());
    fds.extend(nic.gone_fd());
    let until = end.min(clock.now().saturating_add(COMPARE_NS));
    clock
        .wait(&fds, Some(until))
        .map_err(Error::doing("waiting for frames"))?;
    Ok(nic.drain_irqs()?)
}

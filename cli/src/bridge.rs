//! `ferrule bridge`: a board on a serial port as a vfio-user device.
use std::io::Write;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use ferrule_sim::station::{Station, Traffic, UartStation};
use ferrule_sim::Simulator;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::args::Bridge;
use crate::error::Error;
use crate::serial::SerialPort;
use crate::signal::Interrupt;

/// Between two looks at what goes on.
const LOOK: Duration = Duration::from_secs(1);

/// What is told each second.
#[derive(Serialize)]
struct Told<'a> {
    /// Since the last one, in bit/s on the line.
    up_bit_per_s: u64,
    /// The other way.
    down_bit_per_s: u64,
    #[serde(flatten)]
    traffic: &'a Traffic,
}

impl Told<'_> {
    /// As one line.
    fn text(&self) -> String {
        let Traffic {
            connected,
            session,
            link,
            trouble,
            ..
        } = self.traffic;
        let state = match (connected, session) {
            (false, _) => "no line",
            (true, false) => "no answer from the board",
            (true, true) => "board",
        };
        let last = trouble
            .as_ref()
            .map_or(String::new(), |t| format!("; last: {t}"));
        format!(
            "{state}: {:.1} kbit/s up, {:.1} down; {} damaged, {} words sent again, {} sessions{last}",
            self.up_bit_per_s as f64 / 1e3,
            self.down_bit_per_s as f64 / 1e3,
            link.damaged,
            link.resent_dwords,
            link.sessions,
        )
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the socket cannot be had.
pub(crate) fn run(args: &Bridge) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let port = SerialPort::new(&args.uart, args.baud);
    let station = UartStation::new(Box::new(port), args.baud, seed()).patience(args.patience);
    let traffic = station.traffic();
    let station: Box<dyn Station> = Box::new(station);
    let simulator = Simulator::serve(station, &args.listen)?;
    let bar = if args.json {
        ProgressBar::hidden()
    } else {
        println!(
            "{} at {} baud; attach a driver to vfio-user:{} (Ctrl-C ends it)",
            args.uart.display(),
            args.baud,
            args.listen.display()
        );
        let style = ProgressStyle::with_template("{spinner} {msg}");
        ProgressBar::new_spinner()
            .with_style(style.map_err(|e| Error::Wrong(format!("the progress line: {e}")))?)
    };
    let look = || {
        traffic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let (mut before, mut then) = (look(), Instant::now());
    let mut out = std::io::stdout().lock();
    while simulator.is_running() && !interrupt.wait(LOOK)? {
        let (now, here) = (look(), Instant::now());
        let seconds = here.duration_since(then).as_secs_f64();
        let rate = |bytes: u64| (bytes as f64 * 8.0 / seconds) as u64;
        let told = Told {
            up_bit_per_s: rate(now.link.received_bytes - before.link.received_bytes),
            down_bit_per_s: rate(now.link.sent_bytes - before.link.sent_bytes),
            traffic: &now,
        };
        if args.json {
            let line = serde_json::to_string(&told)
                .map_err(|e| Error::Wrong(format!("what goes on as JSON: {e}")))?;
            writeln!(out, "{line}").map_err(|_| Error::NoReader)?;
        } else {
            bar.set_message(told.text());
            bar.tick();
        }
        (before, then) = (now, here);
    }
    bar.finish_and_clear();
    simulator.stop()?;
    let end = look();
    eprintln!(
        "{} TLPs up, {} down; {} bytes up, {} down; {} damaged, {} words sent again, {} sessions, {} of them broken",
        end.tlps.up.total(),
        end.tlps.down.total(),
        end.link.received_bytes,
        end.link.sent_bytes,
        end.link.damaged,
        end.link.resent_dwords,
        end.link.sessions,
        end.link.broken,
    );
    Ok(())
}

/// Where session numbers start: from the machine's clock, so that two runs hardly share one.
fn seed() -> u8 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |t| (t.as_micros() >> 8) as u8)
}

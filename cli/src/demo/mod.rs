//! `ferrule demo`: a conversation through the whole path, measured.
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ferrule::Host;
use ferrule_sim::wire::lan;

use crate::args::{Access, Demo};
use crate::error::Error;
use crate::output;
use crate::session::{Session, SessionConfig, Waveform};
use crate::wire::WireSpec;

mod conversation;
mod progress;
mod report;

use conversation::{Finding, Tries};
use progress::Progress;
use report::{Report, Run, Step};

const PCAP: &str = "ferrule-demo.pcapng";
const VCD: &str = "ferrule-demo.vcd";
/// Echoed over TCP on the native engine, which simulates a few thousand cycles a second.
const NATIVE_BYTES: u64 = 4 * 1024;
/// Echoed over TCP on a compiled engine.
const FAST_BYTES: u64 = 1024 * 1024;

/// Runs the demo and prints what it found.
///
/// # Errors
/// When the simulator cannot be started, or not all of it was right.
pub(crate) fn run(args: &Demo) -> Result<(), Error> {
    args.sim.wire.must_answer()?;
    let started = Instant::now();
    let mut files = vec![PathBuf::from(PCAP)];
    let vcd = (args.vcd || args.trace_window.is_some()).then(|| Waveform {
        path: PathBuf::from(VCD),
        window: args.trace_window,
    });
    files.extend(vcd.as_ref().map(|vcd| vcd.path.clone()));
    let progress = Progress::new(!args.json);
    let line = progress.start("simulator", None);
    let session = Session::start(&SessionConfig {
        sim: args.sim.clone(),
        access: args.device,
        address: args.address.address,
        gateway: args.address.gateway_on(&args.sim.wire),
        pcap: Some(PathBuf::from(PCAP)),
        vcd,
    })?;
    let engine = session.engine();
    line.end(
        true,
        &format!(
            "{engine} engine, NIC {} {}, wire {}",
            session.mac()?,
            match args.device {
                Access::VfioUser => "on a vfio-user socket",
                Access::Sim => "in process",
            },
            args.sim.wire_text()
        ),
    );
    let default = if engine == "native" {
        NATIVE_BYTES
    } else {
        FAST_BYTES
    };
    let bytes = args.bytes.map_or(default, |s| s.0);

    let tries = Tries::on(args.sim.impair.is_some());
    let mut conversation = Conversation {
        host: session.host(),
        tries,
        progress,
        steps: Vec::new(),
        ping: None,
    };
    let tcp_time = match args.sim.wire {
        WireSpec::Lan if conversation.small_talk() => conversation.echo(bytes, args.sim.seed)?,
        WireSpec::Lan => None,
        WireSpec::Loopback => {
            let clock = session.clock();
            conversation.step("frames", |h| conversation::frames(h, &*clock, tries));
            None
        }
        WireSpec::Tap(_) | WireSpec::Pcap(_) => {
            let peer = args.peer;
            if conversation.step("ARP", |h| conversation::resolve(h, peer, tries)) {
                conversation.step("ping", |h| conversation::ping(h, peer, tries));
            }
            None
        }
    };
    let Conversation {
        steps, ping, host, ..
    } = conversation;
    drop(host);
    let ended = session.end()?;
    let report = Report::new(
        &engine,
        &args.sim.wire_text(),
        args.sim.seed,
        Run {
            steps,
            tcp_bytes: if tcp_time.is_some() { bytes } else { 0 },
            tcp_time,
            ping,
            counters: ended.counters,
            sim: ended.simulator,
            wall: started.elapsed(),
            files,
        },
    );
    if args.json {
        output::json(&report)?;
    } else {
        print!("{}", report.text());
    }
    if report.ok {
        Ok(())
    } else {
        Err(Error::Wrong(
            "not all of the conversation was right; see above".to_owned(),
        ))
    }
}

/// The conversation as it goes.
struct Conversation {
    host: Host,
    tries: Tries,
    progress: Progress,
    steps: Vec<Step>,
    ping: Option<Duration>,
}

impl Conversation {
    /// All that comes before the bulk; whether it was right.
    fn small_talk(&mut self) -> bool {
        let tries = self.tries;
        self.step("ARP", |h| conversation::resolve(h, lan::PEER, tries))
            && self.step("ping", |h| conversation::ping(h, lan::PEER, tries))
            && self.step("UDP", |h| conversation::udp(h, lan::PEER, tries))
            && self.step("HTTP", |h| conversation::http(h, lan::PEER, "peer"))
            && self.step("second subnet", |h| {
                conversation::ping(h, lan::FAR_HOST, tries)
            })
    }

    /// Does one step; whether it was right.
    fn step(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Host) -> Result<Finding, Error>,
    ) -> bool {
        let line = self.progress.start(name, None);
        let (ok, detail) = match call(&self.host) {
            Ok(finding) => {
                self.ping = self.ping.or(finding.round_trip);
                (true, finding.text)
            }
            Err(e) => (false, e.to_string()),
        };
        line.end(ok, &detail);
        self.steps.push(Step { name, ok, detail });
        ok
    }

    /// Echoes the stream; how long it took on the host's clock, if it was right.
    fn echo(&mut self, bytes: u64, seed: u64) -> Result<Option<Duration>, Error> {
        let total = usize::try_from(bytes)
            .map_err(|_| Error::Usage(format!("{bytes} bytes are too many for this machine")))?;
        let line = self.progress.start("TCP echo", Some(bytes));
        let start = self.host.now_ns();
        let result = conversation::tcp(&self.host, lan::PEER, total, seed, |n| line.at(n as u64));
        let took = Duration::from_nanos(self.host.now_ns() - start);
        let (ok, detail) = match result {
            Ok(()) => (true, format!("{bytes} bytes there and back, every one compared, in {took:.1?} of simulated time")),
            Err(e) => (false, e.to_string()),
        };
        line.end(ok, &detail);
        self.steps.push(Step {
            name: "TCP echo",
            ok,
            detail,
        });
        Ok(ok.then_some(took))
    }
}

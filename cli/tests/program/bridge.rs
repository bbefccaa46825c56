//! `ferrule bridge` on a pseudo-terminal, at whose other end is a simulated Arty at its pins, with the embedded LAN on its MII.
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrule::{Cidr, Host};
use ferrule_abi::counter;
use ferrule_sim::arty::{Arty, AtPins, Design, CYCLE_NS};
use ferrule_sim::simulator::mac_of_seed;
use ferrule_sim::uart::pins::{LineIn, LineOut};
use ferrule_sim::wire::lan::{Lan, NIC, PEER, PREFIX};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_setfl, OFlags};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions};

use crate::common::{ferrule, stdout};

/// At the board's pins: the fastest, so that a byte takes few cycles.
const PINS_BAUD: u32 = 12_000_000;
/// As the bridge has it: what the simulated board comes to on the machine's time is some ten kilobytes a second.
const BRIDGE_BAUD: &str = "115200";
/// The port on which the LAN's peer echoes.
const ECHO: u16 = 7;
/// Cycles between two looks at the terminal.
const STRIDE: u32 = 500;
/// How much simulated time a millisecond of the machine's is, while nothing moves.
const REST_NS: u64 = 1_000_000;

/// What happens to the board.
enum Mishap {
    /// Its reset button is pressed.
    Reset,
    /// These bytes appear on the line to the host.
    Noise(Vec<u8>),
    /// It is plugged out, and in again as another terminal.
    Replug,
}

/// The board, in a thread of its own.
struct Board {
    stop: Arc<AtomicBool>,
    mishaps: Sender<Mishap>,
    thread: Option<JoinHandle<()>>,
}

/// A terminal whose path `link` is made to point to.
fn terminal(link: &Path) -> OwnedFd {
    let master =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("a name");
    // Raw from the start: what comes before the bridge opens it is not echoed.
    let mut termios = tcgetattr(&master).expect("modes");
    termios.make_raw();
    tcsetattr(&master, OptionalActions::Now, &termios).expect("raw");
    fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).expect("does not block");
    // The symbolic link is replaced at once, as udev's are.
    let new = link.with_extension("new");
    symlink(name.to_str().expect("a path"), &new).expect("a link");
    std::fs::rename(&new, link).expect("in its place");
    master
}

impl Board {
    fn start(link: PathBuf) -> Self {
        let (mishaps, told) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let design = Design::compile().expect("compiles");
        let master = terminal(&link);
        let thread = std::thread::spawn(move || run(&design, &link, master, &told, &stopped));
        Self {
            stop,
            mishaps,
            thread: Some(thread),
        }
    }

    fn suffer(&self, mishap: Mishap) {
        self.mishaps.send(mishap).expect("the board lives");
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been printed.
            let _ = thread.join();
        }
    }
}

fn run(design: &Design, link: &Path, master: OwnedFd, told: &Receiver<Mishap>, stop: &AtomicBool) {
    let mut arty = Arty::new(
        design,
        PINS_BAUD,
        mac_of_seed(5),
        Box::new(Lan::new(5)),
        None,
    );
    let bit_ps = 1_000_000_000_000 / u64::from(PINS_BAUD);
    // The board's clock is 1 % off.
    let mut to_board = LineOut::new(bit_ps * 101 / 100);
    let mut from_board = LineIn::new(bit_ps * 101 / 100);
    let mut terminal_file = File::from(master);
    let (mut now_ns, mut out, mut bytes) = (0, vec![], [0; 512]);
    while !stop.load(Ordering::Acquire) {
        match told.try_recv() {
            Ok(Mishap::Reset) => arty.press_reset(),
            Ok(Mishap::Noise(noise)) => out.extend(noise),
            Ok(Mishap::Replug) => {
                // The old one hangs up when it is closed.
                terminal_file = File::from(terminal(link));
                out.clear();
            }
            Err(_) => {}
        }
        if to_board.waiting() < bytes.len() {
            if let Ok(n) = terminal_file.read(&mut bytes) {
                to_board.send(&bytes[..n]);
            }
        }
        for _ in 0..STRIDE {
            let level = arty.cycle(now_ns, to_board.level(now_ns * 1_000));
            out.extend(from_board.sample(now_ns * 1_000, level));
            now_ns += CYCLE_NS;
        }
        if !out.is_empty() {
            // Nobody there, or no room: bytes get lost, as on a real line.
            let _ = terminal_file.write(&out);
            out.clear();
        }
        if arty.is_quiet() && to_board.is_idle() && from_board.is_idle() {
            let rest = Timespec {
                tv_sec: 0,
                tv_nsec: REST_NS as _,
            };
            let _ = poll(
                &mut [PollFd::new(&terminal_file, PollFlags::IN)],
                Some(&rest),
            );
            now_ns = arty.deadline_ns(now_ns).clamp(now_ns, now_ns + REST_NS);
        }
    }
}

/// The bridge, ended when it is dropped.
struct Bridge {
    child: Child,
    /// What it told last.
    last: Arc<Mutex<serde_json::Value>>,
}

impl Bridge {
    fn start(dir: &Path, uart: &Path, listen: &Path) -> Self {
        let mut child = ferrule(dir)
            .args(["bridge", "--json", "--baud", BRIDGE_BAUD])
            // The simulated board is as slow as the machine is busy.
            .args(["--patience", "30", "--uart"])
            .arg(uart)
            .arg("--listen")
            .arg(listen)
            .stdout(Stdio::piped())
            .spawn()
            .expect("ferrule bridge starts");
        let out = BufReader::new(child.stdout.take().expect("standard output"));
        let last = Arc::new(Mutex::new(serde_json::Value::Null));
        let told = Arc::clone(&last);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
                *told.lock().expect("not poisoned") = value;
            }
        });
        Self { child, last }
    }

    /// What it tells once `what` is so.
    fn until(&self, what: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let told = self.last.lock().expect("not poisoned").clone();
            if what(&told) {
                return told;
            }
            assert!(Instant::now() < end, "still {told}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sessions so far.
    fn sessions(&self) -> u64 {
        sessions(&self.until(|_| true))
    }

    /// Waits for a session after that many.
    fn next_session(&self, before: u64) {
        self.until(|t| sessions(t) > before && t["session"] == true);
    }
}

fn sessions(told: &serde_json::Value) -> u64 {
    told["link"]["sessions"].as_u64().unwrap_or(0)
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn host(socket: &Path) -> Host {
    Host::builder()
        .device_spec(&format!("vfio-user:{}", socket.display()))
        .address(Cidr::new(NIC, PREFIX).expect("an address"))
        .initial_rto(Duration::from_secs(10))
        .open()
        .expect("the NIC comes up")
}

/// Echoes `bytes` over TCP through the board.
fn echo(host: &Host, bytes: usize, seed: u32) {
    let mut stream = host.connect((PEER, ECHO)).expect("connects");
    let data: Vec<u8> = (0..bytes as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) ^ seed) as u8)
        .collect();
    stream.write_all(&data).expect("writes");
    let mut back = vec![0; bytes];
    stream.read_exact(&mut back).expect("reads");
    assert!(back == data, "what comes back is what was sent");
}

#[test]
fn tcp_goes_from_our_sockets_through_the_pins_of_a_board_and_back_whatever_happens_to_the_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let (uart, socket) = (dir.path().join("ttyUSB"), dir.path().join("nic.sock"));
    let board = Board::start(uart.clone());
    let bridge = Bridge::start(dir.path(), &uart, &socket);
    bridge.until(|t| t["session"] == true);
    let nic = host(&socket);
    let begun = bridge.sessions();
    echo(&nic, 3_000, 1);
    let stats = nic
        .with_nic(ferrule_driver::Nic::stats)
        .expect("a NIC")
        .expect("counters");
    assert_eq!(
        stats.get(counter::TLP_READS),
        0,
        "the device reads no memory"
    );
    let told = bridge.until(|t| t["tlps"]["up"]["writes"].as_u64() > Some(0));
    let none = serde_json::Value::from(0);
    assert_eq!(
        (&told["tlps"]["violations"], &told["link"]["broken"]),
        (&none, &none),
        "{told}"
    );

    // Noise costs nothing.
    board.suffer(Mishap::Noise((0..300u32).map(|n| (n * 37) as u8).collect()));
    echo(&nic, 500, 2);
    bridge.until(|t| t["link"]["damaged"].as_u64() > Some(0));
    drop(nic);
    // Who lets go of the NIC leaves it reset, and that is a session.
    bridge.next_session(begun);

    // A board that was reset, and one that was plugged out and in, is a NIC to be brought up again.
    for mishap in [Mishap::Reset, Mishap::Replug] {
        let before = bridge.sessions();
        board.suffer(mishap);
        bridge.next_session(before);
        let nic = host(&socket);
        echo(&nic, 500, 3);
        let before = bridge.sessions();
        drop(nic);
        bridge.next_session(before);
    }
    // The tools work on it, too.
    let spec = format!("vfio-user:{}", socket.display());
    let info = stdout(ferrule(dir.path()).args(["info", "--json", "--device", &spec]));
    assert!(info.contains("\"max_payload_bytes\": 2048"), "{info}");
    assert!(info.contains("\"speed_mbps\": 100"), "{info}");
}

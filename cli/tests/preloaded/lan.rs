//! A NIC, the stackd that has it, and the kernel as the other host of its wire: all in a namespace that ends with the test, and everything in it.
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ferrule_test_tools::{have, missing};
use rustix::process::{kill_process, Pid, Signal};
use tempfile::TempDir;

/// The kernel's address on the wire.
pub(crate) const KERNEL: &str = "10.9.0.1";
/// The NIC's.
pub(crate) const NIC: &str = "10.9.0.2";
/// Debian's Python: what PATH has first may be a shell script that looks for one.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// No program of a test takes as long, on however slow a machine; then it is ended.
const LONGEST: Duration = Duration::from_secs(120);
/// How often to look at what has no event.
const LOOK: Duration = Duration::from_millis(20);

/// The namespace with the programs that make it a network.
pub(crate) struct Lan {
    namespace: String,
    dir: TempDir,
    /// As `--stackd` takes it.
    address: String,
    /// The simulator and stackd, which comes last.
    network: Vec<Child>,
}

/// Whose sockets a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Nic,
    Kernel,
}

impl On {
    /// Where the programs of this side are found.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Self::Nic => NIC,
            Self::Kernel => KERNEL,
        }
    }
}

/// A program that runs beside the test.
pub(crate) struct Started {
    child: Child,
    log: PathBuf,
}

impl Lan {
    /// None, and said so, where it cannot be made or a tool is not there.
    pub(crate) fn new(name: &str, tools: &[&str]) -> Option<Self> {
        let root = nix::unistd::geteuid().is_root() && Path::new("/dev/net/tun").exists();
        if !(root || missing("it needs root and /dev/net/tun")) {
            return None;
        }
        if !(have(&["ip", "timeout", PYTHON]) && have(tools)) {
            return None;
        }
        let mut lan = Self {
            namespace: format!("ferrule-{name}-{}", std::process::id()),
            dir: tempfile::tempdir().expect("temporary folder"),
            address: String::new(),
            network: vec![],
        };
        let ns = &lan.namespace;
        ip(&["netns", "add", ns]);
        ip(&["-n", ns, "link", "set", "lo", "up"]);
        ip(&["-n", ns, "tuntap", "add", "tap0", "mode", "tap"]);
        let address = format!("{KERNEL}/24");
        ip(&["-n", ns, "addr", "add", &address, "dev", "tap0"]);
        ip(&["-n", ns, "link", "set", "tap0", "up"]);
        let socket = lan.path("nic.sock");
        let mut serve = lan.inside(env!("CARGO_BIN_EXE_ferrule"));
        serve.args(["serve", "--engine", "model", "--wire", "tap:tap0"]);
        serve.arg("--socket").arg(&socket);
        let line = lan.begin(serve);
        assert!(line.contains("nic.sock"), "ferrule serve says {line:?}");
        let mut stackd = lan.inside(env!("CARGO_BIN_EXE_ferrule"));
        stackd.args(["stackd", "--address", &format!("{NIC}/24"), "--device"]);
        stackd.arg(format!("vfio-user:{}", socket.display()));
        let line = lan.begin(stackd);
        let address = line.trim().strip_prefix("export FERRULE_STACKD='");
        let address = address.and_then(|a| a.strip_suffix('\''));
        lan.address = address.expect("an address of stackd").to_owned();
        Some(lan)
    }

    /// Starts a program of the network; the first line that it prints.
    fn begin(&mut self, mut command: Command) -> String {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let stdout = child.stdout.take().expect("piped");
        self.network.push(child);
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("a line");
        line
    }

    /// A program in the namespace.
    fn inside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]);
        command.arg(program).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// A program on one of the two hosts, ended when it takes too long.
    pub(crate) fn program(&self, on: On, program: impl AsRef<OsStr>) -> Command {
        if on == On::Nic {
            return self.program_with(&[], program);
        }
        let mut command = self.timed();
        command.arg(program);
        command
    }

    /// What ends a program that takes too long.
    fn timed(&self) -> Command {
        let mut command = self.inside("timeout");
        command.args(["--kill-after=1", &LONGEST.as_secs().to_string()]);
        command
    }

    /// As [`Lan::program`] on the NIC, with more options of `ferrule run`.
    pub(crate) fn program_with(&self, options: &[&str], program: impl AsRef<OsStr>) -> Command {
        let mut command = self.timed();
        command.arg(env!("CARGO_BIN_EXE_ferrule"));
        command
            .args(["run", "--stackd", &self.address])
            .args(options);
        command.arg("--").arg(program);
        command
    }

    /// As [`Lan::program`], with a Python script of this folder.
    pub(crate) fn script(&self, on: On, name: &str) -> Command {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preloaded/programs");
        let mut command = self.program(on, PYTHON);
        command.arg("-u").arg(scripts.join(name));
        command
    }

    /// Runs it beside the test.
    pub(crate) fn start(&self, name: &str, mut command: Command) -> Started {
        let log = self.path(name);
        let out = File::create(&log).expect("a log");
        let err = out.try_clone().expect("the log");
        let child = command.stdout(out).stderr(err).spawn().expect("starts");
        Started { child, log }
    }

    /// A file of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a file with bytes of which no two parts are alike.
    pub(crate) fn file(&self, name: &str, len: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift64*, Vigna 2016.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
        })
        .take(len)
        .collect();
        fs::write(self.path(name), &bytes).expect("writes a file");
        bytes
    }

    /// stackd's process.
    pub(crate) fn stackd(&self) -> u32 {
        self.network.last().expect("it runs").id()
    }

    /// Waits until somebody listens on a TCP port: on the NIC's addresses, stackd also does on the kernel's loopback.
    pub(crate) fn wait_for_tcp(&self, port: u16) {
        const LISTEN: &str = "0A";
        self.wait(&["tcp", "tcp6"], port, Some(LISTEN));
    }

    /// As [`Lan::wait_for_tcp`], for UDP.
    pub(crate) fn wait_for_udp(&self, port: u16) {
        self.wait(&["udp", "udp6"], port, None);
    }

    fn wait(&self, tables: &[&str], port: u16, state: Option<&str>) {
        let local = format!(":{port:04X}");
        let stackd = self.stackd();
        let is_there = || {
            tables.iter().any(|table| {
                // proc(5): a number, the local and the remote address, the state, and more.
                let table = fs::read_to_string(format!("/proc/{stackd}/net/{table}"));
                table.unwrap_or_default().lines().any(|line| {
                    let mut words = line.split_whitespace().skip(1);
                    let here = words.next().is_some_and(|a| a.ends_with(&local));
                    here && state.is_none_or(|state| words.nth(1) == Some(state))
                })
            })
        };
        let begun = Instant::now();
        while !is_there() {
            assert!(begun.elapsed() < LONGEST, "nobody has port {port}");
            std::thread::sleep(LOOK);
        }
    }

    /// All processes of the namespace.
    fn pids(&self) -> Vec<i32> {
        let listed = Command::new("ip")
            .args(["netns", "pids", &self.namespace])
            .output();
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed);
        listed
            .lines()
            .filter_map(|pid| pid.trim().parse().ok())
            .collect()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // A process may be made while others are ended.
        for _ in 0..50 {
            let pids = self.pids();
            if pids.is_empty() {
                break;
            }
            for pid in pids {
                // It may have ended by itself.
                let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
            }
            std::thread::sleep(LOOK);
        }
        for child in &mut self.network {
            // It was killed.
            let _ = child.wait();
        }
        // The test's verdict stands whether or not the namespace can be removed.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.namespace])
            .status();
    }
}

impl Started {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> Output {
        let status = self.child.wait().expect("ends");
        let stdout = fs::read(&self.log).expect("its log");
        Output {
            status,
            stdout,
            stderr: vec![],
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The namespace's end ends it, and this its entry in the table of processes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip runs");
    assert!(output.status.success(), "ip {args:?}: {}", said(&output));
}

/// What a program wrote, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a program that ends well writes.
pub(crate) fn stdout(mut command: Command) -> Vec<u8> {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output.stdout
}

/// Bytes are the same; a message does not print them.
pub(crate) fn assert_same(got: &[u8], sent: &[u8], what: &str) {
    let same = got.iter().zip(sent).take_while(|(a, b)| a == b).count();
    assert!(
        got == sent,
        "{what}: {} bytes of {}, the first {same} of them right",
        got.len(),
        sent.len()
    );
}

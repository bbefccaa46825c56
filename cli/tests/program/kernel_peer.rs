//! The Linux kernel as the peer: a TAP device in a network namespace that the test makes itself. Needs root.
use crate::common::said;
use ferrule_test_tools::{have, missing};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ferrule::{Cidr, Host};

const KERNEL: &str = "10.77.0.1";
const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PREFIX: u8 = 24;

/// A namespace with a TAP device that has the kernel's address; gone when dropped.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let ns = Self(format!("ferrule-{name}-{}", std::process::id()));
        ns.ip(&["netns", "add", &ns.0]);
        ns.ip(&["-n", &ns.0, "link", "set", "lo", "up"]);
        ns.ip(&["-n", &ns.0, "tuntap", "add", "tap0", "mode", "tap"]);
        ns.ip(&[
            "-n",
            &ns.0,
            "addr",
            "add",
            &format!("{KERNEL}/{PREFIX}"),
            "dev",
            "tap0",
        ]);
        ns.ip(&["-n", &ns.0, "link", "set", "tap0", "up"]);
        ns
    }

    fn ip(&self, args: &[&str]) {
        let output = Command::new("ip").args(args).output().expect("ip runs");
        assert!(output.status.success(), "ip {args:?}: {}", said(&output));
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().expect("runs")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Best effort: the test's verdict stands whether or not the namespace can be removed.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command` and waits for the first line it prints.
fn start(mut command: Command) -> (Running, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
    let stdout = child.stdout.take().expect("piped");
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("prints a line");
    (running, line)
}

/// The simulated NIC on the namespace's TAP device.
fn serve(ns: &Namespace, dir: &Path) -> (Running, PathBuf) {
    let socket = dir.join("nic.sock");
    let mut command = ns.command(env!("CARGO_BIN_EXE_ferrule"));
    command
        .args(["serve", "--wire", "tap:tap0", "--socket"])
        .arg(&socket);
    let (running, line) = start(command);
    assert!(line.contains("nic.sock"), "{line}");
    (running, socket)
}

fn device(socket: &Path) -> String {
    format!("vfio-user:{}", socket.display())
}

fn host(socket: &Path) -> Host {
    Host::builder()
        .device_spec(&device(socket))
        .address(Cidr::new(OURS, PREFIX).expect("a prefix"))
        .initial_rto(Duration::from_secs(10))
        .open()
        .expect("opens")
}

fn possible() -> bool {
    if !have(&["ip", "ping", "curl", "python3"]) {
        return false;
    }
    let root = nix::unistd::geteuid().is_root() && Path::new("/dev/net/tun").exists();
    root || missing("it needs root and /dev/net/tun")
}

#[test]
fn we_and_the_kernel_ping_each_other() {
    if !possible() {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let ns = Namespace::new("ping");
    let (_serve, socket) = serve(&ns, dir.path());
    let output = Command::new(env!("CARGO_BIN_EXE_ferrule"))
        .args([
            "ping",
            "--device",
            &device(&socket),
            "--address",
            &format!("{OURS}/{PREFIX}"),
        ])
        .args(["-c", "3", "-W", "30", KERNEL])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    let host = host(&socket);
    let output = ns.run("ping", &["-c", "3", "-W", "30", &OURS.to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    drop(host);
}

#[test]
fn the_demo_resolves_and_pings_the_kernel() {
    if !possible() {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let ns = Namespace::new("demo");
    let output = ns
        .command(env!("CARGO_BIN_EXE_ferrule"))
        .current_dir(dir.path())
        .args(["demo", "--wire", "tap:tap0", "--peer", KERNEL, "--address"])
        .arg(format!("{OURS}/{PREFIX}"))
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn curl_fetches_from_our_listener() {
    if !possible() {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let ns = Namespace::new("curl");
    let (_serve, socket) = serve(&ns, dir.path());
    let host = host(&socket);
    let listener = host.listen("0.0.0.0:80", 8).expect("listens");
    let body: String = (0..2_000)
        .map(|i| format!("line {i} of the body\n"))
        .collect();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, peer) = listener.accept().expect("accepts");
            assert_eq!(peer.ip().to_string(), KERNEL);
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                assert_eq!(
                    stream.read(&mut byte).expect("reads"),
                    1,
                    "the request ends early"
                );
                request.extend(byte);
            }
            stream.write_all(response.as_bytes()).expect("writes");
        }
    });
    for _ in 0..3 {
        let output = ns.run(
            "curl",
            &["-sS", "--max-time", "120", &format!("http://{OURS}/")],
        );
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), body);
    }
    server.join().expect("the server ends well");
}

#[test]
fn our_client_echoes_through_a_python_socket_server() {
    if !possible() {
        return;
    }
    const SERVER: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('10.77.0.1', 7777))
s.listen(4)
print('listening', flush=True)
c, peer = s.accept()
while True:
    data = c.recv(4096)
    if not data:
        break
    c.sendall(data)
c.shutdown(socket.SHUT_WR)
c.close()
";
    let dir = tempfile::tempdir().expect("temporary folder");
    let ns = Namespace::new("python");
    let (_serve, socket) = serve(&ns, dir.path());
    let mut python = ns.command("python3");
    python.args(["-u", "-c", SERVER]);
    let (_python, line) = start(python);
    assert_eq!(line.trim(), "listening");
    let host = host(&socket);
    let sent: Vec<u8> = (0..100_000u32).map(|i| (i * 7 + i / 253) as u8).collect();
    let mut stream = host.connect((KERNEL, 7777)).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .expect("sets");
    let mut writer = stream.try_clone().expect("clones");
    let outgoing = sent.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&outgoing).expect("writes");
        writer.shutdown(Shutdown::Write).expect("shuts down");
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("reads to the end");
    sender.join().expect("sends");
    assert_eq!(back.len(), sent.len());
    assert!(back == sent, "the bytes that came back are not those sent");
}

//! What the program's tests share: the program itself, and a NIC that it serves.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program under test, run in `dir`.
pub(crate) fn ferrule(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrule"));
    command.current_dir(dir);
    command
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

/// `ferrule serve` on a socket in `dir`, ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    spec: String,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let socket = dir.join("nic.sock");
        let mut child = ferrule(dir)
            .args(["serve", "--socket"])
            .arg(&socket)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ferrule serve starts");
        // It says so on standard output.
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("standard output"));
        out.read_line(&mut line).expect("a line");
        assert!(line.contains("vfio-user:"), "ferrule serve says {line:?}");
        Self {
            child,
            spec: format!("vfio-user:{}", socket.display()),
        }
    }

    /// Its NIC, for `--device`.
    pub(crate) fn spec(&self) -> &str {
        &self.spec
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(e) = ended {
            eprintln!("ferrule serve did not end: {e}");
        }
    }
}

/// What a program that ends well writes on standard output.
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

//! The same jobs by programs that use the kernel's sockets and are preloaded: each side with a stackd of its own.
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use ferrule_stackd::{Address, Handle, Server, ServerError};

use crate::jobs::{Job, Spent};
use crate::net::{Kernel, Net};
use crate::{cable, open, Error, CLIENT, PORT, SERVER};

/// What the server's program says when it listens.
const READY: &str = "ready";

/// Two stackds on a cable.
pub struct Preloaded {
    program: PathBuf,
    library: PathBuf,
    client: (Address, Handle),
    server: (Address, Handle),
    threads: Vec<JoinHandle<Result<(), ServerError>>>,
    port: u16,
}

impl Preloaded {
    /// Starts them; `program` is this benchmark's, and runs itself again.
    ///
    /// # Errors
    /// When there is no stackd.
    pub fn start(program: &Path, library: &Path) -> Result<Self, Error> {
        let (a, b) = cable();
        let client = Server::new(open(a, CLIENT, 3, Duration::ZERO)?, None)?;
        let server = Server::new(open(b, SERVER, 4, Duration::ZERO)?, None)?;
        let known = |server: &Server| (server.address().clone(), server.handle());
        Ok(Self {
            program: program.to_owned(),
            library: library.to_owned(),
            client: known(&client),
            server: known(&server),
            threads: [client, server]
                .map(|server| std::thread::spawn(move || server.run()))
                .into(),
            port: PORT,
        })
    }

    fn side(&self, side: &str, address: &Address, job: Job, units: usize) -> io::Result<Child> {
        Command::new(&self.program)
            .args(["side", side, job.name()])
            .args([self.port.to_string(), units.to_string()])
            .env("LD_PRELOAD", &self.library)
            .env(Address::VARIABLE, address.to_setting())
            .stdout(Stdio::piped())
            .spawn()
    }

    /// Does a job.
    ///
    /// # Errors
    /// When a program fails.
    pub fn run(&mut self, job: Job, units: usize) -> Result<Spent, Error> {
        self.port += 1;
        let mut server = self.side("serve", &self.server.0, job, units)?;
        let mut said = String::new();
        if let Some(out) = server.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        if said.trim() != READY {
            return Err(Error::Ended);
        }
        let client = self
            .side("ask", &self.client.0, job, units)?
            .wait_with_output()?;
        if !client.status.success() || !server.wait()?.success() {
            return Err(Error::Ended);
        }
        serde_json::from_slice(&client.stdout).map_err(|e| Error::Io(e.into()))
    }
}

impl Drop for Preloaded {
    fn drop(&mut self) {
        self.client.1.stop();
        self.server.1.stop();
        for thread in self.threads.drain(..) {
            // Its NIC is in memory, and nobody is left to be told.
            let _ = thread.join();
        }
    }
}

/// What one of the programs does.
///
/// # Errors
/// What a socket call reports.
pub fn side(side: &str, job: Job, port: u16, units: usize) -> Result<(), Error> {
    if side == "serve" {
        let net = Kernel { peer: CLIENT };
        let listener = net.listen(port)?;
        println!("{READY}");
        job.serve(&net, &listener, units)?;
    } else {
        let net = Kernel { peer: SERVER };
        let spent = job.ask(&net, port, units)?;
        println!(
            "{}",
            serde_json::to_string(&spent).map_err(|e| Error::Io(e.into()))?
        );
    }
    Ok(())
}

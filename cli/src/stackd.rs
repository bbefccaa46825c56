//! `ferrule stackd`: owns a NIC for preloaded programs.
use std::io::Write;
use std::thread::JoinHandle;
use std::time::Duration;

use ferrule_stackd::{Address, Handle, Rules, Server, ServerError};

use crate::args::Stackd;
use crate::error::Error;
use crate::session::{self, WallSimulator};
use crate::settings::Said;
use crate::signal::Interrupt;

/// A server in a thread of its own.
pub(crate) struct Running {
    address: Address,
    server: Handle,
    thread: JoinHandle<Result<(), ServerError>>,
    simulator: Option<WallSimulator>,
}

impl Running {
    /// Starts one on a NIC.
    ///
    /// # Errors
    /// When there is no NIC, or no server.
    pub(crate) fn start(said: &Said<'_>, name: Option<&str>) -> Result<Self, Error> {
        let (host, simulator) = session::on_wall_time(&said.settings()?, said.sim())?;
        let server = Server::new(host, name)?;
        let (address, handle) = (server.address().clone(), server.handle());
        let thread = std::thread::Builder::new()
            .name("stackd".to_owned())
            .spawn(move || {
                // At once: its programs go on, and wonder.
                server.run().inspect_err(|e| eprintln!("ferrule: {e}"))
            })
            .map_err(Error::doing("starting a thread"))?;
        Ok(Self {
            address,
            server: handle,
            thread,
            simulator,
        })
    }

    /// Where programs find it.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether programs have sockets open.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_serving() && self.server.open_sockets() > 0
    }

    /// Whether it still serves.
    pub(crate) fn is_serving(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends it, once what its programs have sent is delivered.
    ///
    /// # Errors
    /// When the NIC has failed.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.server.stop();
        let served = self.thread.join();
        if let Some(simulator) = self.simulator {
            simulator.stop()?;
        }
        match served {
            Ok(served) => Ok(served?),
            Err(_) => Err(Error::Wrong("the server of programs panicked".to_owned())),
        }
    }
}

/// Serves until it is told to stop by SIGINT or SIGTERM.
///
/// # Errors
/// When there is no NIC, or it fails.
pub(crate) fn run(args: &Stackd) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let said = Said::read(&args.host)?;
    let rules = said.rules()?;
    let running = Running::start(&said, args.name.as_deref())?;
    let mut exports = export(Address::VARIABLE, &running.address().to_setting());
    if !rules.is_empty() {
        exports += &export(Rules::VARIABLE, &rules.to_setting());
    }
    let mut out = std::io::stdout().lock();
    let told = out.write_all(exports.as_bytes()).and_then(|()| out.flush());
    told.map_err(Error::doing("saying where programs find it"))?;
    drop(out);
    // A NIC that fails ends it as well.
    while running.is_serving() && !interrupt.wait(LOOK)? {}
    running.end()
}

/// A variable as a shell takes it. In a program's name there may be a quote.
fn export(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

/// How often to look whether the server still runs.
const LOOK: Duration = Duration::from_millis(200);

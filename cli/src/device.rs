//! `--device`: the NIC that a tool looks at, opened as often as the tool needs it.
use std::sync::Arc;

use ferrule_driver::nic::RawNic;
use ferrule_driver::{Clock, Device, WallClock};
use ferrule_sim::local::{Attached, LocalSimulator};

use crate::args::DeviceArgs;
use crate::error::Error;
use crate::session;

/// A NIC that can be opened.
pub(crate) struct Nics {
    clock: Arc<dyn Clock>,
    source: Source,
}

enum Source {
    /// One that is there already, by its name.
    Named(String),
    /// One of our own, driven by this thread.
    Simulated {
        attached: Attached,
        simulator: LocalSimulator,
    },
}

/// Whether this names a simulated NIC in this process.
pub(crate) fn is_simulated(spec: &str) -> bool {
    matches!(spec, "sim:" | "sim")
}

impl Nics {
    /// Finds the NIC, or makes a simulated one.
    ///
    /// # Errors
    /// When a simulator cannot be started, or the options contradict each other.
    pub(crate) fn find(args: &DeviceArgs) -> Result<Self, Error> {
        if is_simulated(&args.device) {
            let simulator = session::local(&args.sim, None, None)?;
            let clock = simulator.clock();
            return Ok(Self {
                source: Source::Simulated {
                    attached: clock.attach(),
                    simulator,
                },
                clock: Arc::new(clock),
            });
        }
        if args.sim.impair.is_some() {
            return Err(Error::Usage(format!(
                "--impair cannot be used with --device {}: it is for a simulated NIC of this command's own, or for `ferrule serve`",
                args.device
            )));
        }
        Ok(Self {
            clock: Arc::new(WallClock),
            source: Source::Named(args.device.clone()),
        })
    }

    /// The clock that it runs on.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Opens it; one at a time.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn open(&self) -> Result<Box<dyn Device>, Error> {
        Ok(match &self.source {
            Source::Named(spec) => ferrule_driver::open(spec)?,
            Source::Simulated { simulator, .. } => Box::new(simulator.device(0)?),
        })
    }

    /// Opens it to be looked at as it is.
    ///
    /// # Errors
    /// When it cannot be had, or is no Ferrule NIC.
    pub(crate) fn raw(&self) -> Result<RawNic, Error> {
        Ok(RawNic::attach(self.open()?, self.clock())?)
    }

    /// Ends a simulator of our own.
    ///
    /// # Errors
    /// When it had failed.
    pub(crate) fn end(self) -> Result<(), Error> {
        match self.source {
            Source::Named(_) => Ok(()),
            Source::Simulated {
                attached,
                simulator,
            } => {
                drop(attached);
                Ok(simulator.stop()?)
            }
        }
    }
}

//! The native engine: rust-hdl's own evaluation, nothing to install.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_rtl::native::Native;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use rust_hdl::core::vcd_probe::VCDProbe;
use rust_hdl::prelude::{write_vcd_change, write_vcd_dump, write_vcd_header, Block};

use super::{Engine, EngineError, Top, TraceTime};

const LOW: Clocks = Clocks {
    core: false,
    rx: false,
    tx: false,
};

/// A core evaluated by rust-hdl.
pub struct NativeEngine<T: Top + Block> {
    core: Native<T>,
    cycles: u64,
    trace: Option<Trace>,
}

impl<T: Top + Block + Default> Default for NativeEngine<T> {
    fn default() -> Self {
        Self::new(Box::default())
    }
}

impl<T: Top + Block> NativeEngine<T> {
    /// An engine for a core that is not connected yet.
    ///
    /// # Panics
    /// If the design does not pass rust-hdl's checks.
    pub fn new(core: Box<T>) -> Self {
        Self {
            core: Native::new(core),
            cycles: 0,
            trace: None,
        }
    }

    /// The core, for what a test wants to see inside.
    pub fn core(&self) -> &T {
        &self.core.u
    }
}

impl<T: Top + Block + Send> Engine for NativeEngine<T> {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.core.u.clocks(LOW);
        self.core.u.drive(inputs);
        self.core.settle();
        let outputs = self.core.u.sample();
        if let Some(trace) = &mut self.trace {
            let at = trace.time.low(inputs.time_ns);
            trace.change(at, &*self.core.u);
        }
        self.core.u.clocks(clocks);
        self.core.settle();
        if let Some(trace) = &mut self.trace {
            let at = trace.time.high();
            trace.change(at, &*self.core.u);
        }
        self.cycles += u64::from(clocks.core);
        outputs
    }

    fn name(&self) -> &'static str {
        "native"
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.trace_stop()?;
        self.trace = Some(Trace::start(path, &*self.core.u)?);
        Ok(())
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.trace.take().map_or(Ok(()), Trace::stop)
    }
}

/// A waveform under way.
struct Trace {
    path: PathBuf,
    /// Taken and put back around each change, as rust-hdl wants it by value.
    probe: Option<VCDProbe<Quiet>>,
    error: Arc<Mutex<Option<io::Error>>>,
    time: TraceTime,
}

impl Trace {
    fn start(path: &Path, design: &dyn Block) -> Result<Self, EngineError> {
        let file = File::create(path).map_err(|source| EngineError::Trace {
            path: path.into(),
            source,
        })?;
        let error = Arc::default();
        let writer = Quiet {
            file: BufWriter::new(file),
            error: Arc::clone(&error),
        };
        let probe = write_vcd_dump(write_vcd_header(writer, design), design);
        Ok(Self {
            path: path.into(),
            probe: Some(probe),
            error,
            time: TraceTime::default(),
        })
    }

    fn change(&mut self, at_ps: u64, design: &dyn Block) {
        if let Some(mut probe) = self.probe.take() {
            // `Quiet` reports no error here; it keeps it for `stop`.
            let _ = probe.timestamp(at_ps);
            self.probe = Some(write_vcd_change(probe, design));
        }
    }

    fn stop(mut self) -> Result<(), EngineError> {
        drop(self.probe.take());
        match self
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            None => Ok(()),
            Some(source) => Err(EngineError::Trace {
                path: self.path,
                source,
            }),
        }
    }
}

/// A file whose first error is kept for later: rust-hdl's waveform writer panics on one.
struct Quiet {
    file: BufWriter<File>,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl Quiet {
    fn keep(&self, result: io::Result<()>) {
        if let Err(e) = result {
            self.error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(e);
        }
    }
}

impl Write for Quiet {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let result = self.file.write_all(data);
        self.keep(result);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.keep(result);
        Ok(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let result = self.file.flush();
        self.keep(result);
    }
}

//! The verilated engine: loads the shared object that [`super::verilator`] builds and drives its ports through pointers.
#![allow(
    unsafe_code,
    reason = "calls and pointers into the model's shared object"
)]
use std::ffi::{c_char, c_uint, c_ulonglong, c_void, CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use libloading::Library;

use super::binding::{Access, Ports};
use super::vcd::relay::Relay;
use super::verilator::{self, Extras};
use super::{Engine, EngineError, Options, TraceTime, LOW};

type New = unsafe extern "C" fn() -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);
type Eval = unsafe extern "C" fn(*mut c_void);
type GetPort = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    *mut *const c_char,
    *mut c_uint,
    *mut c_uint,
) -> *mut u8;
type TraceWrite = unsafe extern "C" fn(*mut c_void, *const c_char, usize);
type TraceOpen = unsafe extern "C" fn(*mut c_void, TraceWrite, *mut c_void);
type TraceDump = unsafe extern "C" fn(*mut c_void, c_ulonglong);
type TraceClose = unsafe extern "C" fn(*mut c_void);
type Coverage = unsafe extern "C" fn(*mut c_void, *const c_char);

/// A port within the model's object.
#[derive(Clone, Copy)]
enum ModelPort {
    Byte(NonNull<u8>),
    Half(NonNull<u16>),
    Word(NonNull<u32>),
}

impl Access<ModelPort> for Model {
    #[inline]
    fn set(&mut self, port: &ModelPort, value: u32) {
        match *port {
            // SAFETY: the pointer was given by the model for a port of this size, and the model lives as long as its `Ports`; nothing
            // else accesses it while the engine is borrowed for a step.
            ModelPort::Byte(p) => unsafe { p.write(value as u8) },
            // SAFETY: as above.
            ModelPort::Half(p) => unsafe { p.write(value as u16) },
            // SAFETY: as above.
            ModelPort::Word(p) => unsafe { p.write(value) },
        }
    }
    #[inline]
    fn get(&self, port: &ModelPort) -> u32 {
        match *port {
            // SAFETY: as in `set`.
            ModelPort::Byte(p) => unsafe { p.read() }.into(),
            // SAFETY: as above.
            ModelPort::Half(p) => unsafe { p.read() }.into(),
            // SAFETY: as above.
            ModelPort::Word(p) => unsafe { p.read() },
        }
    }
}

/// A port, as the model names it.
struct Known {
    name: String,
    bits: u32,
    port: ModelPort,
}

/// A model and the library whose code it runs.
struct Model {
    object: *mut c_void,
    eval: Eval,
    free: Free,
    trace_open: TraceOpen,
    trace_dump: TraceDump,
    trace_close: TraceClose,
    coverage: Coverage,
    /// Unloaded after the object is freed.
    _library: Library,
}

impl Model {
    /// The model in a shared object, and its ports.
    fn load(path: &Path) -> Result<(Self, Vec<Known>), EngineError> {
        let failed = |reason: String| EngineError::Load {
            path: path.into(),
            reason,
        };
        // SAFETY: the object is one that `verilator::build` made; its initialisers are those of Verilator's run-time library.
        let library = unsafe { Library::new(path) }.map_err(|e| failed(e.to_string()))?;
        macro_rules! symbol {
            ($name:literal, $ty:ty) => {
                // SAFETY: the shim declares the symbol with this very type, and `_library` outlives the copied pointer.
                *unsafe { library.get::<$ty>($name) }.map_err(|e| failed(e.to_string()))?
            };
        }
        let new = symbol!(b"dut_new\0", New);
        let get_port = symbol!(b"dut_port\0", GetPort);
        let (eval, free) = (symbol!(b"dut_eval\0", Eval), symbol!(b"dut_free\0", Free));
        let trace_open = symbol!(b"dut_trace_open\0", TraceOpen);
        let trace_dump = symbol!(b"dut_trace_dump\0", TraceDump);
        let trace_close = symbol!(b"dut_trace_close\0", TraceClose);
        let coverage = symbol!(b"dut_coverage\0", Coverage);
        // SAFETY: no arguments, no preconditions.
        let object = unsafe { new() };
        let model = Self {
            object,
            eval,
            free,
            trace_open,
            trace_dump,
            trace_close,
            coverage,
            _library: library,
        };
        let mut known = vec![];
        for number in 0.. {
            let (mut name, mut bits, mut bytes) = (ptr::null(), 0, 0);
            // SAFETY: `object` is live, and the three pointers are to locals of the types that the shim writes.
            let Some(at) =
                NonNull::new(unsafe { get_port(object, number, &mut name, &mut bits, &mut bytes) })
            else {
                break;
            };
            // SAFETY: the shim sets `name` to a string literal whenever it gives a port.
            let name = unsafe { CStr::from_ptr(name) }
                .to_string_lossy()
                .replace("__024", "$");
            let port = match bytes {
                1 => ModelPort::Byte(at),
                2 => ModelPort::Half(at.cast()),
                4 => ModelPort::Word(at.cast()),
                _ => return Err(failed(format!("port {name} has {bytes} bytes"))),
            };
            known.push(Known { name, bits, port });
        }
        Ok((model, known))
    }

    #[inline]
    fn eval(&mut self) {
        // SAFETY: `object` is the live model that this library made.
        unsafe { (self.eval)(self.object) }
    }
    /// Starts a waveform whose text goes to `relay`, which must stay there until [`Model::trace_close`].
    fn trace_open(&mut self, relay: NonNull<Relay>) {
        // SAFETY: as in `eval`; the model hands `relay` to `relay_text` only until it is closed.
        unsafe { (self.trace_open)(self.object, relay_text, relay.as_ptr().cast()) }
    }
    fn trace_dump(&mut self, time_ps: u64) {
        // SAFETY: as in `eval`.
        unsafe { (self.trace_dump)(self.object, time_ps) }
    }
    fn trace_close(&mut self) {
        // SAFETY: as in `eval`.
        unsafe { (self.trace_close)(self.object) }
    }
    /// Writes what the model has counted, if it was built to count.
    fn write_coverage(&mut self, path: &CStr) {
        // SAFETY: as in `eval`; the model only reads the text.
        unsafe { (self.coverage)(self.object, path.as_ptr()) }
    }
}

/// Takes a piece of a waveform's text from the model.
unsafe extern "C" fn relay_text(relay: *mut c_void, text: *const c_char, bytes: usize) {
    // SAFETY: the pointer is the one given to `trace_open`, and the engine touches what it points to only after `trace_close`.
    let relay = unsafe { &mut *relay.cast::<Relay>() };
    // SAFETY: the model's writer gives this many bytes of its buffer.
    relay.write(unsafe { std::slice::from_raw_parts(text.cast(), bytes) });
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: `object` is live and is not used after this.
        unsafe { (self.free)(self.object) }
    }
}

/// Any module, evaluated by Verilator's model of it, its ports by name: for what is no NIC by itself, such as a board around one.
pub struct Module {
    known: Vec<Known>,
    model: Model,
}

/// A port of a [`Module`].
#[derive(Clone, Copy, Debug)]
pub struct Pin(usize);

impl Module {
    /// Builds `verilog` if the cache does not hold it, and loads module `top`, whose ports have 32 bits at most.
    ///
    /// # Errors
    /// See [`verilator::build`]; [`EngineError::Load`] if a port is wider.
    pub fn build(verilog: &str, top: &str, cache: &Path) -> Result<Self, EngineError> {
        let object = verilator::build(verilog, top, Extras::default(), cache)?;
        let (model, known) = Model::load(&object)?;
        Ok(Self { known, model })
    }

    /// A port by name.
    pub fn pin(&self, name: &str) -> Option<Pin> {
        self.known.iter().position(|k| k.name == name).map(Pin)
    }

    /// Sets an input; it counts from the next [`Module::settle`] on.
    pub fn set(&mut self, pin: Pin, value: u32) {
        let Known { bits, port, .. } = &self.known[pin.0];
        let (bits, port) = (*bits, *port);
        self.model.set(&port, value & u32::MAX >> (32 - bits));
    }

    /// The value of a port.
    pub fn get(&self, pin: Pin) -> u32 {
        self.model.get(&self.known[pin.0].port)
    }

    /// Evaluates what follows from the inputs.
    pub fn settle(&mut self) {
        self.model.eval();
    }
}

/// A core evaluated by Verilator's model of it.
pub struct Verilated {
    ports: Ports<ModelPort>,
    model: Model,
    cycles: u64,
    can_trace: bool,
    /// Where to write what was covered.
    coverage: Option<PathBuf>,
    top: String,
    trace: Option<Trace>,
}

/// A waveform under way.
struct Trace {
    /// From `Box::into_raw`; the model's until the waveform is closed.
    relay: NonNull<Relay>,
    time: TraceTime,
}

// SAFETY: the model has no thread affinity (it is made with a context of its own), the pointers in `ports` are into it, and `Trace` owns
// what it points to; `&mut self` is needed for every access, so it is only ever used by one thread at a time.
unsafe impl Send for Verilated {}
// SAFETY: as above.
unsafe impl Send for Module {}

impl Verilated {
    /// Builds `verilog` if the cache does not hold it, and loads module `top`.
    ///
    /// # Errors
    /// See [`verilator::build`]; [`EngineError::Load`] if the module's ports are not those of the NIC.
    pub fn build(verilog: &str, top: &str, options: &Options) -> Result<Self, EngineError> {
        let cache: PathBuf = options.cache.clone().unwrap_or_else(verilator::cache_dir);
        let extras = Extras {
            tracing: options.tracing,
            coverage: options.coverage.is_some(),
        };
        let object = verilator::build(verilog, top, extras, &cache)?;
        let (model, known) = Model::load(&object)?;
        let failed = |reason: String| EngineError::Load {
            path: object.clone(),
            reason,
        };
        let ports = Ports::find(|name, want| {
            let found = known.iter().find(|k| k.name == name);
            let known = found.ok_or_else(|| failed(format!("the core has no port {name}")))?;
            match known.bits {
                bits if bits == want => Ok(known.port),
                bits => Err(failed(format!("port {name} has {bits} bits, not {want}"))),
            }
        })?;
        Ok(Self {
            ports,
            model,
            cycles: 0,
            can_trace: options.tracing,
            coverage: options.coverage.as_deref().map(coverage_file),
            top: top.to_owned(),
            trace: None,
        })
    }
}

/// A name in `folder` that no other engine has.
fn coverage_file(folder: &Path) -> PathBuf {
    static ENGINES: AtomicU64 = AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{}-{number}.dat", std::process::id()))
}

impl Engine for Verilated {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.ports.clocks(&mut self.model, LOW);
        self.ports.drive(&mut self.model, inputs);
        self.model.eval();
        let outputs = self.ports.sample(&self.model);
        if let Some(trace) = &mut self.trace {
            let at = trace.time.low(inputs.time_ns);
            self.model.trace_dump(at);
        }
        self.ports.clocks(&mut self.model, clocks);
        self.model.eval();
        if let Some(trace) = &mut self.trace {
            let at = trace.time.high();
            self.model.trace_dump(at);
        }
        self.cycles += u64::from(clocks.core);
        outputs
    }

    fn name(&self) -> &'static str {
        "verilated"
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        if !self.can_trace {
            return Err(EngineError::NoTracing);
        }
        self.trace_stop()?;
        let relay = Box::new(Relay::create(path, &self.top)?);
        let relay = NonNull::from(Box::leak(relay));
        self.model.trace_open(relay);
        self.trace = Some(Trace {
            relay,
            time: TraceTime::default(),
        });
        Ok(())
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        let Some(Trace { relay, .. }) = self.trace.take() else {
            return Ok(());
        };
        self.model.trace_close();
        // SAFETY: the pointer is from a box and nobody else has it any more: the model gave it up just now.
        unsafe { Box::from_raw(relay.as_ptr()) }.finish()
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        if let Err(e) = self.trace_stop() {
            tracing::error!("{e}");
        }
        // A path with a zero byte is no file's.
        let path = self.coverage.take();
        if let Some(path) = path.and_then(|p| CString::new(p.as_os_str().as_bytes()).ok()) {
            self.model.write_coverage(&path);
        }
    }
}

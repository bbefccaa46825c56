//! Builds the exported Verilog into a shared object with Verilator and g++, once per content, in a cache folder.
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::EngineError;

/// How a model is built: another way means another cache entry.
const RECIPE: &str = include_str!("verilator.rs");
/// The shared object's name in its folder.
const OBJECT: &str = "model.so";
/// Prefix of the classes that Verilator makes.
const PREFIX: &str = "Vdut";

/// Where built models are kept: `$FERRULE_CACHE`, else `$XDG_CACHE_HOME/ferrule`, else `~/.cache/ferrule`, else a folder for temporary files.
pub fn cache_dir() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("FERRULE_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|d| d.join("ferrule")))
        .or_else(|| var("HOME").map(|d| d.join(".cache/ferrule")))
        .unwrap_or_else(|| std::env::temp_dir().join("ferrule"))
}

/// What the installed Verilator calls itself.
///
/// # Errors
/// [`EngineError::ToolMissing`], [`EngineError::ToolFailed`].
pub fn version() -> Result<String, EngineError> {
    run("verilator", Command::new("verilator").arg("--version"))
}

/// What a model can do beside being evaluated; each makes it slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extras {
    /// Waveforms.
    pub tracing: bool,
    /// Counts how often each line was reached and each bit changed.
    pub coverage: bool,
}

/// The shared object of module `top` of `verilog`, with these extras; built if it is not in `cache` yet.
///
/// A build happens in a folder of its own and is renamed into place, so that processes that build the same at once do not disturb each other.
///
/// # Errors
/// [`EngineError::ToolMissing`], [`EngineError::ToolFailed`], [`EngineError::Cache`].
pub fn build(
    verilog: &str,
    top: &str,
    extras: Extras,
    cache: &Path,
) -> Result<PathBuf, EngineError> {
    let version = version()?;
    let done = cache.join(format!(
        "{top}-{}",
        key(&(verilog, top, extras, RECIPE, version))
    ));
    let object = done.join(OBJECT);
    if object.exists() {
        return Ok(object);
    }
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| EngineError::Cache { path, source }
    };
    fs::create_dir_all(cache).map_err(at(cache))?;
    let work = tempfile::Builder::new()
        .prefix(".build-")
        .tempdir_in(cache)
        .map_err(at(cache))?;
    compile(verilog, top, extras, work.path())?;
    // What is kept is the object and the Verilog it came from.
    let keep = work.path().join("keep");
    fs::create_dir(&keep).map_err(at(&keep))?;
    for name in [OBJECT, &format!("{top}.v")] {
        fs::rename(work.path().join(name), keep.join(name)).map_err(at(&keep))?;
    }
    match fs::rename(&keep, &done) {
        // Another process may have been faster.
        Err(_) if object.exists() => Ok(object),
        result => result.map(|()| object).map_err(at(&done)),
    }
}

/// 128 bits of a content, as hexadecimal.
fn key(content: &impl Hash) -> String {
    (0..2u8).fold(String::new(), |mut text, half| {
        let mut hasher = DefaultHasher::new();
        half.hash(&mut hasher);
        content.hash(&mut hasher);
        let _ = write!(text, "{:016x}", hasher.finish());
        text
    })
}

fn compile(verilog: &str, top: &str, extras: Extras, dir: &Path) -> Result<(), EngineError> {
    let Extras { tracing, coverage } = extras;
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| EngineError::Cache { path, source }
    };
    let source = dir.join(format!("{top}.v"));
    fs::write(&source, verilog).map_err(at(&source))?;
    let mut verilator = Command::new("verilator");
    verilator
        .args([
            "--cc",
            "-O3",
            "--x-assign",
            "fast",
            "--x-initial",
            "fast",
            "--noassert",
        ])
        // The export's own lint is a test of its own; here only errors count.
        .args(["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-UNOPTFLAT"])
        .args(["--prefix", PREFIX, "--top-module", top, "--Mdir"])
        .arg(dir)
        // The names of an enumeration's values are no signals.
        .args(
            tracing
                .then_some(["--trace", "--no-trace-params"])
                .into_iter()
                .flatten(),
        )
        .args(
            coverage
                .then_some(["--coverage-line", "--coverage-toggle"])
                .into_iter()
                .flatten(),
        )
        .arg(&source);
    run("verilator", &mut verilator)?;
    let header = dir.join(format!("{PREFIX}.h"));
    let header = fs::read_to_string(&header).map_err(at(&header))?;
    let shim_file = dir.join("shim.cpp");
    fs::write(&shim_file, shim(&header, extras)?).map_err(at(&shim_file))?;
    let root = run(
        "verilator",
        Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]),
    )?;
    let include = Path::new(root.trim()).join("include");

    let mut sources = vec![include.join("verilated.cpp")];
    // Versions differ in what the run-time library is made of.
    let threads = include.join("verilated_threads.cpp");
    sources.extend(threads.exists().then_some(threads));
    sources.extend(tracing.then(|| include.join("verilated_vcd_c.cpp")));
    sources.extend(coverage.then(|| include.join("verilated_cov.cpp")));
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        if path.extension() == Some(OsStr::new("cpp")) {
            sources.push(path);
        }
    }
    // Largest first, then dealt out, so that the compilers end at about the same time.
    sources.sort_by_key(|p| std::cmp::Reverse(fs::metadata(p).map_or(0, |m| m.len())));
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(sources.len());
    for (level, sources) in optimised(&sources, coverage) {
        let mut children: Vec<(Command, Child)> = vec![];
        for worker in 0..workers.min(sources.len()) {
            let mut gxx = Command::new("g++");
            gxx.args(["-std=c++17", level, "-fPIC", "-fno-strict-aliasing"])
                .args(["-w", "-c"])
                .args(tracing.then_some("-DVM_TRACE=1"))
                .args(coverage.then_some("-DVM_COVERAGE=1"))
                .arg("-I")
                .arg(&include)
                .arg("-I")
                .arg(include.join("vltstd"))
                .arg("-I")
                .arg(dir)
                .args(sources.iter().skip(worker).step_by(workers))
                .current_dir(dir)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let child = gxx.spawn().map_err(|source| EngineError::ToolMissing {
                tool: "g++",
                source,
            })?;
            children.push((gxx, child));
        }
        let results: Vec<_> = children
            .into_iter()
            .map(|(command, child)| finished("g++", &command, child.wait_with_output()))
            .collect();
        results.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let mut link = Command::new("g++");
    link.args(["-shared", "-o"]).arg(dir.join(OBJECT));
    for source in &sources {
        if let Some(stem) = source.file_stem() {
            link.arg(dir.join(stem).with_extension("o"));
        }
    }
    link.arg("-lpthread");
    run("g++", &mut link).map(drop)
}

/// The sources by how they are to be optimised. A model that counts is many times as much C++ as one that does not, most of it run once,
/// which Verilator puts into files of its own.
fn optimised(sources: &[PathBuf], coverage: bool) -> Vec<(&'static str, Vec<&PathBuf>)> {
    if !coverage {
        return vec![("-O2", sources.iter().collect())];
    }
    let is_slow = |path: &&PathBuf| path.to_string_lossy().ends_with("__Slow.cpp");
    let (slow, fast) = sources.iter().partition(is_slow);
    vec![("-O1", fast), ("-O0", slow)]
}

/// Runs a tool to its end and gives what it printed.
fn run(tool: &'static str, command: &mut Command) -> Result<String, EngineError> {
    let output = command.stdin(Stdio::null()).output();
    finished(tool, command, output)
}

fn finished(
    tool: &'static str,
    command: &Command,
    output: std::io::Result<std::process::Output>,
) -> Result<String, EngineError> {
    let output = output.map_err(|source| EngineError::ToolMissing { tool, source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(text.into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(EngineError::ToolFailed {
        tool,
        log: format!("{command:?}: {}\n{text}{errors}", output.status),
    })
}

/// The C interface of the model: make, evaluate, free, its ports by number, waveforms and coverage. Ports are the members that Verilator's header
/// declares with `VL_IN8(&name,msb,lsb);` and its like.
fn shim(header: &str, extras: Extras) -> Result<String, EngineError> {
    let Extras { tracing, coverage } = extras;
    let mut cases = String::new();
    let ports = header.lines().filter_map(|line| {
        let line = line.trim();
        let rest = line
            .strip_prefix("VL_IN")
            .or_else(|| line.strip_prefix("VL_OUT"))?;
        let (_, arguments) = rest.split_once("(&")?;
        let mut arguments = arguments.split([',', ')']);
        Some((
            arguments.next()?,
            arguments.next()?.trim().parse::<u32>().ok()?,
        ))
    });
    for (number, (name, msb)) in ports.enumerate() {
        let _ = writeln!(
            cases,
            "    case {number}: *name = \"{name}\"; *bits = {}; *bytes = sizeof(d->{name}); return (uint8_t*)&d->{name};",
            msb + 1
        );
    }
    if cases.is_empty() {
        return Err(EngineError::ToolFailed {
            tool: "verilator",
            log: "its header declares no port".into(),
        });
    }
    // The waveform's text goes to a function of ours rather than to a file of Verilator's.
    let (include, sink, open, dump, close) = if tracing {
        (
            "#include \"verilated_vcd_c.h\"\n",
            "struct Sink final : VerilatedVcdFile {\n  Write to; void* context;\n  Sink(Write t, void* c) : to(t), context(c) {}\n  \
             bool open(const std::string&) override { return true; }\n  void close() override {}\n  \
             ssize_t write(const char* text, ssize_t n) override { if (n > 0) to(context, text, n); return n; }\n};\n",
            "d->sink = new Sink(to, context); d->vcd = new VerilatedVcdC(d->sink); d->top->trace(d->vcd, 99); \
             d->vcd->set_time_unit(\"1ps\"); d->vcd->set_time_resolution(\"1ps\"); d->vcd->open(\"\");",
            "if (d->vcd) d->vcd->dump((uint64_t)time);",
            "if (d->vcd) { d->vcd->close(); delete d->vcd; d->vcd = nullptr; delete d->sink; d->sink = nullptr; }",
        )
    } else {
        (
            "struct VerilatedVcdC;\n",
            "struct Sink;\n",
            "(void)to; (void)context;",
            "(void)time;",
            "",
        )
    };
    let (include_coverage, write_coverage) = if coverage {
        (
            "#include \"verilated_cov.h\"\n",
            "((Dut*)p)->ctx.coveragep()->write(path);",
        )
    } else {
        ("", "(void)p; (void)path;")
    };
    Ok(format!(
        "#include \"{PREFIX}.h\"\n#include \"verilated.h\"\n{include}{include_coverage}\
typedef void (*Write)(void*, const char*, size_t);\n{sink}\
struct Dut {{ VerilatedContext ctx; {PREFIX}* top; VerilatedVcdC* vcd; Sink* sink; }};\n\
extern \"C\" {{\n\
void* dut_new() {{ Dut* d = new Dut; d->vcd = nullptr; d->sink = nullptr; d->ctx.traceEverOn({trace}); d->top = new {PREFIX}(&d->ctx); return d; }}\n\
void dut_trace_open(void* p, Write to, void* context) {{ Dut* d = (Dut*)p; {open} (void)d; }}\n\
void dut_trace_dump(void* p, unsigned long long time) {{ Dut* d = (Dut*)p; {dump} (void)d; }}\n\
void dut_trace_close(void* p) {{ Dut* d = (Dut*)p; {close} (void)d; }}\n\
void dut_coverage(void* p, const char* path) {{ {write_coverage} }}\n\
void dut_free(void* p) {{ Dut* d = (Dut*)p; dut_trace_close(p); d->top->final(); delete d->top; delete d; }}\n\
void dut_eval(void* p) {{ ((Dut*)p)->top->eval(); }}\n\
uint8_t* dut_port(void* p, unsigned n, const char** name, unsigned* bits, unsigned* bytes) {{\n\
  {PREFIX}* d = ((Dut*)p)->top;\n  switch (n) {{\n{cases}    default: return nullptr; }}\n}}\n}}\n",
        trace = u8::from(tracing),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_depends_on_all_of_the_content() {
        let base = key(&("module a", "a", false));
        assert_eq!(base.len(), 32);
        assert_eq!(base, key(&("module a", "a", false)));
        assert_ne!(base, key(&("module b", "a", false)));
        assert_ne!(base, key(&("module a", "a", true)));
    }

    #[test]
    fn ports_are_read_from_the_header() {
        let text = shim(
            "  VL_IN8(&clock,0,0);\n VL_OUT(&tlp_tx__024d0,31,0);\n int x;",
            Extras::default(),
        )
        .unwrap();
        assert!(
            text.contains("case 0: *name = \"clock\"; *bits = 1;"),
            "{text}"
        );
        assert!(
            text.contains("case 1: *name = \"tlp_tx__024d0\"; *bits = 32;"),
            "{text}"
        );
        assert!(shim("class Vdut {};", Extras::default()).is_err());
    }
}

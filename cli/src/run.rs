//! `ferrule run`: a program whose sockets are a NIC's.
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule_stackd::{Address, Rules};
use rustix::process::{kill_process, Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::iterator::SignalsInfo;
use signal_hook::low_level::siginfo::Cause;

use crate::args::Run;
use crate::error::Error;
use crate::settings::Said;
use crate::stackd::Running;

/// How often to look whether sockets are still in use.
const LOOK: Duration = Duration::from_millis(20);

/// The library's file.
const LIBRARY: &str = "libferrule_preload.so";
/// What the dynamic loader reads.
const LD_PRELOAD: &str = "LD_PRELOAD";
/// Added to a signal's number, as shells do it.
const BY_SIGNAL: u8 = 128;
/// Bytes of a program's file that are looked at for its headers.
const HEAD: usize = 64 * 1024;

/// Runs the program; gives its exit status.
///
/// # Errors
/// When it cannot be run so, or the NIC cannot be had.
pub(crate) fn run(args: &Run) -> Result<ExitCode, Error> {
    let Some((program, rest)) = args.program.split_first() else {
        return Err(Error::Usage("which program is to be run?".to_owned()));
    };
    let library = library(args.preload.as_deref())?;
    check(program)?;
    let said = Said::read(&args.host)?;
    let rules = said.rules()?;
    let command = |address: &Address| {
        let mut command = Command::new(program);
        match rules.is_empty() {
            true => command.env_remove(Rules::VARIABLE),
            false => command.env(Rules::VARIABLE, rules.to_setting()),
        };
        command
            .args(rest)
            .env(LD_PRELOAD, before(&library, env::var_os(LD_PRELOAD)))
            .env(Address::VARIABLE, address.to_setting());
        command
    };
    let running_it = || format!("running {}", program.display());
    if let Some(address) = &args.stackd {
        // From here on this process is the program.
        return Err(Error::doing(running_it())(command(address).exec()));
    }
    let running = Running::start(&said, None)?;
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT])
        .map_err(Error::doing("catching signals"))?;
    let mut child = command(running.address())
        .spawn()
        .map_err(Error::doing(running_it()))?;
    let pid = Pid::from_child(&child);
    let ended = Arc::new(AtomicBool::new(false));
    let after = Arc::clone(&ended);
    let handle = signals.handle();
    let forwarding = std::thread::spawn(move || {
        for signal in &mut signals {
            if after.load(Ordering::SeqCst) {
                break;
            }
            // A terminal sends its own to the program too.
            if signal.cause != Cause::Kernel {
                if let Some(signal) = Signal::from_named_raw(signal.signal) {
                    // It may have ended meanwhile.
                    let _ = kill_process(pid, signal);
                }
            }
        }
    });
    let status = child.wait().map_err(Error::doing(running_it()));
    ended.store(true, Ordering::SeqCst);
    // A program that has left others behind (a daemon) needs its NIC until they have closed their sockets, or until a signal comes.
    while running.is_in_use() && !forwarding.is_finished() {
        std::thread::sleep(LOOK);
    }
    handle.close();
    running.end()?;
    Ok(exit_code(status?))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
    match (code, signal) {
        (Some(code), _) => ExitCode::from(code),
        (None, Some(signal)) => ExitCode::from(BY_SIGNAL.saturating_add(signal)),
        (None, None) => ExitCode::FAILURE,
    }
}

/// A library before those that are preloaded already.
fn before(library: &Path, others: Option<OsString>) -> OsString {
    let mut all = library.as_os_str().to_owned();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    all
}

/// The library to preload: beside this program, where cargo leaves it, or where packages have it.
fn library(given: Option<&Path>) -> Result<PathBuf, Error> {
    let here = env::current_exe().map_err(Error::doing("finding this program's folder"))?;
    let here = here.parent().unwrap_or(Path::new("/"));
    let places = match given {
        Some(given) => vec![given.to_owned()],
        None => vec![
            here.join(LIBRARY),
            here.join("deps").join(LIBRARY),
            here.join("../lib/ferrule").join(LIBRARY),
        ],
    };
    let found = places.iter().find_map(|place| place.canonicalize().ok());
    let found = found.ok_or_else(|| {
        let places: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
        Error::Usage(format!(
            "no {LIBRARY} at {}; `cargo build` makes it beside this program, --preload says where else it is",
            places.join(", ")
        ))
    })?;
    if found
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|b| b" :".contains(b))
    {
        return Err(Error::Usage(format!(
            "{}: the dynamic loader takes no library whose path has a space or a colon",
            found.display()
        )));
    }
    Ok(found)
}

/// What kind of program a file is, as far as preloading is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Dynamically linked, or a script.
    Preloadable,
    /// It has no dynamic loader that could preload anything.
    Static,
    /// Linked dynamically, but its sockets are its own system calls.
    Go,
}

/// Says what cannot work, and refuses what certainly cannot.
fn check(program: &OsStr) -> Result<(), Error> {
    let Some(path) = find(program) else {
        // Whoever runs it says so better.
        return Ok(());
    };
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|f| f.take(HEAD as u64).read_to_end(&mut head));
    if read.is_err() {
        return Ok(());
    }
    match kind(&head) {
        Kind::Preloadable => {}
        Kind::Static => {
            return Err(Error::Usage(format!(
                "{} is linked statically: nothing can be preloaded into it, and its sockets would be the kernel's",
                path.display()
            )));
        }
        Kind::Go => eprintln!(
            "ferrule: warning: {} is a Go program: what its runtime does by system calls of its own goes to the kernel",
            path.display()
        ),
    }
    let mode = path.metadata().map_or(0, |m| m.permissions().mode());
    if mode & 0o6000 != 0 {
        eprintln!(
            "ferrule: warning: {} has set-user-ID or set-group-ID: the loader preloads nothing into it unless you are that user",
            path.display()
        );
    }
    Ok(())
}

/// The file that a shell would run.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Reads the ELF header (System V ABI, chapters 4 and 5) as far as it is needed; anything else is left to whoever runs it.
fn kind(head: &[u8]) -> Kind {
    /// The segment that holds the loader's name.
    const PT_INTERP: u32 = 3;
    const CLASS_64: u8 = 2;
    let half = |at: usize| {
        head.get(at..at + 2)
            .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    };
    if head.get(..4) != Some(b"\x7fELF") || head.get(4) != Some(&CLASS_64) {
        return Kind::Preloadable;
    }
    let offset = head
        .get(32..40)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u64::from_le_bytes);
    let (size, count) = (usize::from(half(54)), usize::from(half(56)));
    let segments = (0..count).filter_map(|i| {
        let at = usize::try_from(offset).ok()?.checked_add(i * size)?;
        let word = head.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    });
    let types: Vec<u32> = segments.collect();
    if types.len() < count {
        return Kind::Preloadable;
    }
    // A static position-independent program has dynamic linking information and no loader.
    if !types.contains(&PT_INTERP) {
        return Kind::Static;
    }
    if head.windows(16).any(is_go_note) {
        return Kind::Go;
    }
    Kind::Preloadable
}

/// The head of the note in which Go's linker leaves the build's name: a name of four bytes, the type 4, "Go".
fn is_go_note(bytes: &[u8]) -> bool {
    bytes.starts_with(&[4, 0, 0, 0]) && bytes.ends_with(b"\x04\0\0\0Go\0\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit ELF header with segments of these types.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..5].copy_from_slice(b"\x7fELF\x02");
        head[32] = 64;
        head[54] = 56;
        head[56] = types.len() as u8;
        for kind in types {
            let mut segment = vec![0; 56];
            segment[..4].copy_from_slice(&kind.to_le_bytes());
            head.extend(segment);
        }
        head
    }

    #[test]
    fn a_program_without_a_loader_is_told_from_one_with_it() {
        assert_eq!(kind(&elf(&[6, 3, 1, 2])), Kind::Preloadable);
        assert_eq!(kind(&elf(&[1, 1, 7])), Kind::Static);
        assert_eq!(kind(&elf(&[1, 2])), Kind::Static);
        let mut go = elf(&[6, 3, 1, 2]);
        // As `readelf -n` shows it of a program of Go's.
        go.extend(b"\x04\0\0\0\x53\0\0\0\x04\0\0\0Go\0\0vx1B");
        assert_eq!(kind(&go), Kind::Go);
        for other in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &elf(&[1])[..66]] {
            assert_eq!(kind(other), Kind::Preloadable);
        }
    }

    #[test]
    fn this_very_test_can_be_preloaded_into() {
        let test = env::current_exe().unwrap();
        let mut head = Vec::new();
        let file = File::open(test).unwrap();
        file.take(HEAD as u64).read_to_end(&mut head).unwrap();
        assert_eq!(kind(&head), Kind::Preloadable);
    }

    #[test]
    fn what_was_preloaded_stays_so() {
        let library = Path::new("/a.so");
        assert_eq!(before(library, None), "/a.so");
        assert_eq!(before(library, Some("".into())), "/a.so");
        assert_eq!(
            before(library, Some("/b.so /c.so".into())),
            "/a.so:/b.so /c.so"
        );
    }
}

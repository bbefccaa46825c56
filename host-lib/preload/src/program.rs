//! The names by which people know the program that this is loaded into.
use rustix::fs::{Mode, OFlags};

/// Bytes of a command line that are looked at: its first word.
const WORD: usize = 4_096;

/// The name of its file, the one that it was started by, and the one that ps(1) shows, which for a script is the script's. Read by system calls: the C library's
/// are ours already, and ask who this is.
pub(crate) fn names() -> Vec<String> {
    let exe = rustix::fs::readlink("/proc/self/exe", vec![]);
    let exe = exe.map(|path| path.into_bytes()).unwrap_or_default();
    let names = [
        exe,
        first_word("/proc/self/cmdline"),
        first_word("/proc/self/comm"),
    ];
    names.iter().filter_map(|path| file_name(path)).collect()
}

/// What a file holds before a NUL or the end of the line.
fn first_word(path: &str) -> Vec<u8> {
    let mut bytes = vec![0; WORD];
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let read = file.and_then(|file| rustix::io::read(&file, &mut bytes));
    bytes.truncate(read.unwrap_or(0));
    let end = bytes.iter().position(|b| matches!(b, 0 | b'\n'));
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

fn file_name(path: &[u8]) -> Option<String> {
    let name = path.rsplit(|b| *b == b'/').next()?;
    let name = String::from_utf8(name.to_vec()).ok();
    name.filter(|name| !name.is_empty())
}

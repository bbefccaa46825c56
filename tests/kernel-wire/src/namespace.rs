//! A network namespace of a thread's own: threads and processes it starts are in it, and it ends with the last of them.

use std::io;
use std::path::Path;

use nix::sched::CloneFlags;

/// What is missing for a thread to enter a namespace of its own and open a TUN device there; `None` if nothing is.
pub fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("it needs root for a network namespace");
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("it needs /dev/net/tun (modprobe tun)");
    }
    None
}

/// Moves the calling thread to a new network namespace. Use a thread started for the purpose: there is no way back.
///
/// # Errors
/// What unshare(2) said.
pub fn enter() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
}

/// Sets `name`, such as `net.ipv4.tcp_ecn`, in the calling thread's namespace.
///
/// # Errors
/// When there is no such setting or it may not be set.
pub fn sysctl(name: &str, value: &str) -> io::Result<()> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    std::fs::write(&path, value).map_err(|e| {
        let what = format!("sysctl {name}={value}: {e}");
        io::Error::new(e.kind(), what)
    })
}

/// A counter of the calling thread's namespace: `group` and `name` as in `/proc/net/snmp` and `/proc/net/netstat`.
///
/// # Errors
/// When there is no such counter.
pub fn counter(group: &str, name: &str) -> io::Result<i64> {
    // Not /proc/net, which is the namespace of the process's first thread.
    for file in ["snmp", "netstat"] {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{file}"))?;
        let mut rows = text.lines().filter_map(|l| l.split_once(": "));
        // Names and values are in two rows of the same group.
        while let Some((of, names)) = rows.next() {
            let Some((_, values)) = rows.next() else {
                break;
            };
            let at = names.split(' ').position(|n| n == name);
            if let (true, Some(at)) = (of == group, at) {
                let value = values.split(' ').nth(at).and_then(|v| v.parse().ok());
                return value.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
    }
    let what = format!("no counter {group} {name}");
    Err(io::Error::new(io::ErrorKind::NotFound, what))
}

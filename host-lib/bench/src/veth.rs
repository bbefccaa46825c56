//! Two network namespaces, one for each side's thread, joined by a veth pair that offloads nothing.
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::mpsc;

use ferrule_kernel_wire::namespace;

use crate::net::Kernel;

/// What keeps a veth pair from doing in the end what a NIC would have to be asked for.
const OFFLOADS: [&str; 6] = ["rx", "tx", "sg", "tso", "gso", "gro"];

fn run(program: &str, args: &[&str]) -> io::Result<()> {
    let done = Command::new(program).args(args).output();
    let done = done.map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!(
        "{program} {}: {said}",
        args.join(" ")
    )))
}

fn configure(name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    for offload in OFFLOADS {
        run("ethtool", &["-K", name, offload, "off"])?;
    }
    run(
        "ip",
        &["addr", "add", &format!("{address}/{prefix}"), "dev", name],
    )?;
    run("ip", &["link", "set", name, "up"])
}

/// What makes the server's and the client's side, each in the thread that is to be it.
pub(crate) fn pair(
    server: Ipv4Addr,
    client: Ipv4Addr,
    prefix: u8,
) -> (
    impl FnOnce() -> io::Result<Kernel> + Send,
    impl FnOnce() -> io::Result<Kernel> + Send,
) {
    let (tell_thread, thread) = mpsc::channel();
    let (tell_made, made) = mpsc::channel();
    let ended = || io::Error::other("the other side has ended early");
    let serve = move || {
        namespace::enter()?;
        let me = rustix::thread::gettid().as_raw_nonzero();
        tell_thread.send(me).map_err(|_| ended())?;
        made.recv().map_err(|_| ended())?;
        configure("server", server, prefix)?;
        Ok(Kernel { peer: client })
    };
    let ask = move || {
        namespace::enter()?;
        let thread = thread.recv().map_err(|_| ended())?.to_string();
        let peer = [
            "link", "add", "client", "type", "veth", "peer", "name", "server", "netns",
        ];
        run("ip", &[&peer[..], &[&thread]].concat())?;
        configure("client", client, prefix)?;
        tell_made.send(()).map_err(|_| ended())?;
        Ok(Kernel { peer: server })
    };
    (serve, ask)
}

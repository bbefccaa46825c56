//! Programs and ports that are set to stay with the kernel do, and others do not: the address that a peer sees tells.
use std::fs;

use crate::lan::{stdout, Lan, On, Started, KERNEL, NIC, PYTHON};

/// Connects to each port, or sends there with UDP, and prints which of its addresses it does it from.
const VISIT: &str = "import socket, sys
for port in sys.argv[2:]:
    number, _, kind = port.partition('/')
    s = socket.socket(type=socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
    to = (sys.argv[1], int(number))
    if kind == 'udp':
        s.sendto(b'x', to)
    else:
        s.connect(to)
    s.settimeout(60)
    print(port, s.recv(100).decode())";
/// Tells each caller its address, with TCP and UDP on the ports given.
const TELL: &str = "import selectors, socket, sys
waiting = selectors.DefaultSelector()
for port in sys.argv[2:]:
    for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
        s = socket.socket(type=kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((sys.argv[1], int(port)))
        waiting.register(s, selectors.EVENT_READ)
        if kind == socket.SOCK_STREAM:
            s.listen()
while True:
    for key, _ in waiting.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            c, peer = key.fileobj.accept()
            c.sendall(peer[0].encode())
            c.close()
        else:
            _, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(peer[0].encode(), peer)";

/// A server of the kernel's that tells addresses.
fn tell(lan: &Lan, ports: &[&str]) -> Started {
    let mut server = lan.program(On::Kernel, PYTHON);
    server.args(["-c", TELL, KERNEL]).args(ports);
    let server = lan.start("tell", server);
    for port in ports {
        lan.wait_for_tcp(port.parse().expect("a port"));
    }
    server
}

/// What somebody with these options sees of himself at each port.
fn visit(lan: &Lan, options: &[&str], ports: &[&str]) -> String {
    let mut python = lan.program_with(options, PYTHON);
    python.args(["-c", VISIT, KERNEL]).args(ports);
    String::from_utf8(stdout(python)).expect("text")
}

#[test]
fn ports_decide_where_a_socket_goes() {
    let Some(lan) = Lan::new("ports", &[]) else {
        return;
    };
    let _server = tell(&lan, &["8001", "8002"]);
    let ports = ["8001", "8002", "8001/udp", "8002/udp"];
    let expected = |seen: [&str; 4]| {
        let lines = ports.iter().zip(seen);
        lines
            .map(|(port, seen)| format!("{port} {seen}\n"))
            .collect::<String>()
    };
    fs::write(
        lan.path("ports.toml"),
        "[ports]\nkernel = [8001, \"8002/udp\"]\n",
    )
    .expect("a file");
    for (options, seen) in [
        (&[][..], [NIC, NIC, NIC, NIC]),
        (&["--kernel-ports", "8001"], [KERNEL, NIC, KERNEL, NIC]),
        (
            &["--kernel-ports", "8000-8001/tcp"],
            [KERNEL, NIC, NIC, NIC],
        ),
        (&["--nic-ports", "8001/udp,8002"], [KERNEL, NIC, NIC, NIC]),
        (&["--config", "ports.toml"], [KERNEL, NIC, KERNEL, KERNEL]),
        // The command line goes before the file.
        (
            &["--config", "ports.toml", "--kernel-ports", "9"],
            [NIC, NIC, NIC, NIC],
        ),
    ] {
        assert_eq!(visit(&lan, options, &ports), expected(seen), "{options:?}");
    }
    // Those that listen.
    let mut server = lan.program_with(&["--kernel-ports", "8003"], PYTHON);
    server.args(["-c", TELL, "", "8003", "8004"]);
    let _server = lan.start("listen", server);
    lan.wait_for_tcp(8004);
    let mut visit = lan.program(On::Kernel, PYTHON);
    visit.args(["-c", VISIT, KERNEL, "8003", "8003/udp"]);
    let seen = String::from_utf8(stdout(visit)).expect("text");
    assert_eq!(seen, format!("8003 {KERNEL}\n8003/udp {KERNEL}\n"));
    let mut visit = lan.program(On::Kernel, PYTHON);
    visit.args(["-c", VISIT, NIC, "8004", "8004/udp"]);
    let seen = String::from_utf8(stdout(visit)).expect("text");
    assert_eq!(seen, format!("8004 {KERNEL}\n8004/udp {KERNEL}\n"));
}

#[test]
fn a_programs_name_decides_where_its_sockets_go() {
    let Some(lan) = Lan::new("programs", &["sh"]) else {
        return;
    };
    let _server = tell(&lan, &["8001"]);
    fs::write(lan.path("visit.py"), VISIT).expect("a script");
    let here = lan.path("").display().to_string();
    // The same by another name, and as a script with a name of its own.
    std::os::unix::fs::symlink(PYTHON, lan.path("other")).expect("a link");
    let script = format!("#!{PYTHON}\n{VISIT}");
    fs::write(lan.path("script"), script).expect("a script");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(lan.path("script"), executable).expect("a mode");
    let all = format!(
        "{PYTHON} visit.py {KERNEL} 8001; {here}other visit.py {KERNEL} 8001; ./script {KERNEL} 8001"
    );
    for (options, seen) in [
        (&[][..], [NIC, NIC, NIC]),
        (&["--kernel-programs", "other"], [NIC, KERNEL, NIC]),
        (&["--kernel-programs", "script"], [NIC, NIC, KERNEL]),
        (&["--nic-programs", "curl,other,script"], [KERNEL, NIC, NIC]),
        (&["--kernel-programs", "sh"], [NIC, NIC, NIC]),
    ] {
        let mut sh = lan.program_with(options, "sh");
        sh.args(["-c", &all]);
        let said = String::from_utf8(stdout(sh)).expect("text");
        let expected: String = seen.iter().map(|seen| format!("8001 {seen}\n")).collect();
        assert_eq!(said, expected, "{options:?}");
    }
}

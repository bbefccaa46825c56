//! Python programs of a textbook, and such as share their sockets with other processes, against themselves over the kernel's sockets.
use crate::lan::{said, stdout, Lan, On};

/// Who serves and who calls; the last shows that what the programs expect is what Linux does.
const SIDES: [(On, On); 4] = [
    (On::Nic, On::Kernel),
    (On::Kernel, On::Nic),
    (On::Nic, On::Nic),
    (On::Kernel, On::Kernel),
];

#[test]
fn the_lessons_of_a_textbook_end_as_over_the_kernels_sockets() {
    let Some(lan) = Lan::new("textbook", &[]) else {
        return;
    };
    for (server, caller) in SIDES {
        let mut serve = lan.script(server, "textbook.py");
        serve.arg("serve");
        let serving = lan.start("textbook", serve);
        lan.wait_for_tcp(7001);
        let mut visit = lan.script(caller, "textbook.py");
        visit.args(["visit", server.address(), caller.address()]);
        let visited = visit.output().expect("python runs");
        let ends = format!("{server:?} {caller:?}: {}{}", said(&visited), serving.log());
        assert!(visited.status.success(), "{ends}");
        let served = serving.end();
        assert!(served.status.success(), "{ends}{}", said(&served));
    }
}

#[test]
fn sockets_are_shared_between_processes_and_survive_them() {
    let Some(lan) = Lan::new("processes", &["tr"]) else {
        return;
    };
    let lessons = stdout({
        let mut list = lan.script(On::Kernel, "processes.py");
        list.arg("list");
        list
    });
    let lessons = String::from_utf8(lessons).expect("text");
    assert!(lessons.split_whitespace().count() > 10, "{lessons}");
    for lesson in lessons.split_whitespace() {
        for (server, caller) in SIDES {
            // Once for each side is enough: the callers do little.
            if (server, caller) == (On::Kernel, On::Nic) && lesson != "visitor_killed" {
                continue;
            }
            let mut serve = lan.script(server, "processes.py");
            serve.args(["serve", lesson]);
            let serving = lan.start("processes", serve);
            match lesson {
                "passed_datagrams" => lan.wait_for_udp(7100),
                _ => lan.wait_for_tcp(7100),
            }
            let mut visit = lan.script(caller, "processes.py");
            visit.args(["visit", lesson, server.address()]);
            let visited = visit.output().expect("python runs");
            let log = serving.log();
            let ends = format!("{lesson} {server:?} {caller:?}: {}{log}", said(&visited));
            assert!(visited.status.success(), "{ends}");
            let served = serving.end();
            assert!(served.status.success(), "{ends}{}", said(&served));
        }
    }
}

#[test]
fn calls_do_what_the_manual_pages_say() {
    let Some(lan) = Lan::new("calls", &["echo"]) else {
        return;
    };
    for on in [On::Kernel, On::Nic] {
        let mut calls = lan.script(on, "calls.py");
        stdout({
            calls.arg(on.address());
            calls
        });
    }
}

//! A program that is killed at work: whatever it left, the next one finds a NIC that works, again and again.
use std::process::Stdio;
use std::time::Duration;

use crate::common::{ferrule, said, Server};

/// How often, unless FERRULE_KILLS says.
const KILLS: u64 = 1_000;
/// A program takes some milliseconds to come up, and is at work then.
const LIFE_US: u64 = 20_000;

#[test]
fn a_thousand_programs_killed_in_a_row_leave_a_nic_that_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(dir.path(), &["--engine", "model"]);
    let kills = std::env::var("FERRULE_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    let ping = |count: &str| {
        let mut command = ferrule(dir.path());
        command.args(["ping", "192.0.2.2", "--device", server.spec()]);
        command.args(["--count", count]);
        command
    };
    let mut state = 1_u64;
    for n in 0..kills {
        // Knuth's MMIX generator, its upper bits.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_micros((state >> 33) % LIFE_US);
        let mut victim = ping("65535")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        std::thread::sleep(life);
        victim.kill().expect("it is at work");
        victim.wait().expect("it ends");
        let output = ping("1").output().expect("runs");
        assert!(
            output.status.success(),
            "after {} kills, the last one after {life:?}: {}",
            n + 1,
            said(&output)
        );
    }
}

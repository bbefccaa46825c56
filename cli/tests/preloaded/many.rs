//! A server that holds as many connections at once as a busy one of the world's.
use std::env;

use crate::lan::{said, Lan, On};

/// Connections, without FERRULE_CONNECTIONS.
const CONNECTIONS: &str = "10000";

#[test]
fn ten_thousand_connections_at_once_are_all_answered() {
    let Some(lan) = Lan::new("many", &[]) else {
        return;
    };
    let count = env::var("FERRULE_CONNECTIONS").unwrap_or(CONNECTIONS.to_owned());
    let mut serve = lan.script(On::Nic, "many.py");
    serve.args(["serve", &count]);
    let serving = lan.start("many", serve);
    lan.wait_for_tcp(7200);
    let mut visit = lan.script(On::Kernel, "many.py");
    visit.args(["visit", &count, On::Nic.address()]);
    visit.arg(lan.stackd().to_string());
    let visited = visit.output().expect("python runs");
    let ends = format!("{}{}", said(&visited), serving.log());
    assert!(visited.status.success(), "{ends}");
    let served = serving.end();
    assert!(served.status.success(), "{ends}{}", said(&served));
}

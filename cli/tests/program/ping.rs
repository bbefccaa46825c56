//! Pings through a NIC of each kind are answered by the simulated LAN's host.
use crate::common::{ferrule, stdout, Server};

#[test]
fn every_request_is_answered_whichever_way_the_nic_is_reached() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = Server::start(dir.path(), &["--engine", "model"]);
    let sim: [&str; 4] = ["--device", "sim:", "--engine", "model"];
    let own = ["--engine", "model"];
    for device in [&sim[..], &own, &["--device", server.spec()]] {
        let mut command = ferrule(dir.path());
        command.args(["ping", "192.0.2.2", "--count", "2", "--json"]);
        let text = stdout(command.args(device));
        let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&told["sent"], &told["received"]),
            (&2.into(), &2.into()),
            "{text}"
        );
        let answers = told["answers"].as_array().expect("answers");
        // The peer is in the same subnet: its TTL, RFC 1700's 64, has not been counted down.
        assert!(answers.iter().all(|answer| answer["ttl"] == 64), "{text}");
    }
}

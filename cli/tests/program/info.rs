//! What the program tells of a NIC is what its registers and its configuration space say.
use crate::common::{ferrule, stdout, Server};
use ferrule_abi::regs;

#[test]
fn a_nic_tells_what_it_is() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = Server::start(dir.path(), &["--engine", "model"]);
    let info = |more: &[&str]| {
        let mut command = ferrule(dir.path());
        command.args(["info", "--device", server.spec()]);
        stdout(command.args(more))
    };
    let told: serde_json::Value = serde_json::from_str(&info(&["--json"])).expect("JSON");
    assert_eq!(told["pci_id"], "1234:4645");
    assert_eq!(told["class"], "020000");
    assert_eq!(told["register_map"], "1.0");
    assert_eq!(told["mac"], "02:b9:7f:4a:7c:15");
    assert_eq!(
        (&told["link_up"], &told["speed_mbps"]),
        (&true.into(), &1000.into())
    );
    assert_eq!(told["msix_vectors"], 8);
    assert_eq!(told["queue_pairs"], 4);
    // The simulated root port: 2.5 GT/s x4.
    let pcie = &told["pcie"];
    assert_eq!(
        (&pcie["speed_gt_per_s"], &pcie["width"]),
        (&2.5.into(), &4.into())
    );
    assert_eq!(
        (
            &pcie["max_payload_bytes"],
            &pcie["max_payload_supported_bytes"]
        ),
        (&128.into(), &256.into())
    );
    assert_eq!(
        (
            &pcie["max_read_request_bytes"],
            &pcie["function_level_reset"]
        ),
        (&512.into(), &true.into())
    );
    let flags = told["capabilities"].as_array().expect("capabilities");
    let there: u32 = flags.iter().filter(|c| c["there"] == true).count() as u32;
    // CAPS of docs/registers.md, without the four bits of QUEUES.
    assert_eq!(
        there,
        (regs::caps::REGISTER.reset & !regs::caps::QUEUES.mask()).count_ones()
    );
    let text = info(&[]);
    for part in [
        "up, 1000 Mbit/s",
        "2.5 GT/s x4",
        "✓ JUMBO",
        "16 to 16384 entries",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

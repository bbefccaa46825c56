//! The NIC behind a UART, in simulated time: sockets, driver, root complex, line at real bit times, hardware description, MII and a smoltcp host.
use std::io::{Read, Write};
use std::sync::Arc;

use ferrule::{Cidr, Host};
use ferrule_driver::Clock;
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::lan::{Lan, NIC, PEER, PREFIX};

/// The port on which the LAN's peer echoes.
const ECHO: u16 = 7;
const BYTES: usize = 3_000;
/// How often the driver's watchdog may look whether the NIC is still there.
const WATCHDOG_NS: u64 = 50_000_000;

#[test]
fn tcp_goes_over_a_uart_without_a_read_on_the_data_path() {
    let core = Core::arty(12_000_000).expect("compiles");
    let nic = NicSetup::new(core, Box::new(Lan::new(3)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    // Nothing is said of PUSH mode: the device says that its link is slow.
    let host = Host::builder()
        .device(Box::new(simulator.device(0).expect("a device")))
        .clock(Arc::new(clock.clone()))
        .address(Cidr::new(NIC, PREFIX).expect("an address"))
        .seed([7; 16])
        .open()
        .expect("the NIC comes up");
    let longest = host.with_nic(|nic| nic.tx_max_frame()).expect("a NIC");
    assert_eq!(longest, 2_032, "PUSH mode");
    let caps = host.with_nic(|nic| nic.caps()).expect("a NIC");
    assert!(
        caps.push && caps.push_only && !caps.tso && !caps.jumbo,
        "what it does, and nothing else: {caps:?}"
    );
    let begun_ns = clock.now();
    let before = simulator.stats(0).expect("a NIC").tlps;
    let mut stream = host.connect((PEER, ECHO)).expect("connects");
    let data: Vec<u8> = (0..BYTES as u32).map(|n| ((n * 37) >> 3) as u8).collect();
    stream.write_all(&data).expect("writes");
    let mut back = vec![0; BYTES];
    stream.read_exact(&mut back).expect("reads");
    assert!(back == data);
    let tlps = simulator.stats(0).expect("a NIC").tlps.since(&before);
    assert_eq!(tlps.up.reads, 0, "{tlps:?}");
    let looks = (clock.now() - begun_ns) / WATCHDOG_NS + 1;
    assert!(tlps.down.reads <= looks, "{tlps:?}, {looks}");
    assert_eq!((tlps.violations, tlps.refused_writes), (0, 0), "{tlps:?}");
    // Three segments or so, each with its headers, came as one write each, and their completions.
    assert!(tlps.up.writes < 60, "{tlps:?}");
    assert!(tlps.up.payload_bytes > BYTES as u64, "{tlps:?}");
}

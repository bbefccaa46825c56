//! The ARP cache of the hardware: what the driver writes for a command, and what it makes of the answer.
use crate::fake::*;
use ferrule_abi::regs;
use ferrule_abi::ring::Event;
use ferrule_driver::nic::{
    LocalAddress, Neighbour, NeighbourError, NeighbourState, NicConfig, NicError, NicEvent,
};
use std::net::Ipv4Addr;
use std::time::Duration;

const PEER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);
const PEER_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0xAB, 0xCD, 0xEF];

fn refused(result: Result<(), NicError>) -> NeighbourError {
    match result {
        Err(NicError::Neighbour(e)) => e,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_are_read_one_after_the_other() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    // Words as docs/registers.md has them.
    let words = [
        (3, [0x0A01_0009, 7, 0xAB00_5452, 0xEFCD]),
        (200, [0x0A01_000A, 0, 0xAB00_5452, 0x2_EFCD]),
        (255, [0xC0A8_0001, u32::MAX, 0, 0x1_0000]),
    ];
    fake.lock().arp_entries.extend(words);
    fake.lock().arp_busy = 3;
    let neighbour = |address: [u8; 4], state, ticks: u64| Neighbour {
        address: address.into(),
        state,
        age: Duration::from_nanos(ticks << 20),
    };
    assert_eq!(
        nic.neighbours().unwrap(),
        [
            neighbour([10, 1, 0, 9], NeighbourState::Learned(PEER_MAC), 7),
            neighbour([10, 1, 0, 10], NeighbourState::Static(PEER_MAC), 0),
            neighbour([192, 168, 0, 1], NeighbourState::Pending, 0xFFFF_FFFF),
        ]
    );
    assert_eq!(fake.lock().arp_commands.len(), 256);
}

#[test]
fn an_entry_is_added_and_deleted_as_the_registers_say() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    nic.add_neighbour(PEER, PEER_MAC).unwrap();
    let state = fake.lock();
    assert_eq!(
        [0x1E0, 0x1E4, 0x1E8, 0x1EC].map(|o| state.reg(o)),
        [0x0A01_0009, 0xAB00_5452, 0xEFCD, 2]
    );
    drop(state);
    nic.delete_neighbour(Ipv4Addr::new(10, 1, 0, 10)).unwrap();
    assert_eq!([0x1E0, 0x1EC].map(|o| fake.lock().reg(o)), [0x0A01_000A, 3]);
    nic.flush_neighbours().unwrap();
    assert_eq!(fake.lock().reg(0x03C), 0x107);
    fake.assert_content();
}

#[test]
fn what_cannot_be_added_or_deleted_is_told() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    for bad in [[0; 4], [224, 0, 0, 1], [255; 4]].map(Ipv4Addr::from) {
        assert_eq!(
            refused(nic.add_neighbour(bad, PEER_MAC)),
            NeighbourError::Address(bad)
        );
        assert_eq!(
            refused(nic.delete_neighbour(bad)),
            NeighbourError::Address(bad)
        );
    }
    for bad in [[0; 6], [0xFF; 6], [1, 0, 0x5E, 0, 0, 1]] {
        assert_eq!(
            refused(nic.add_neighbour(PEER, bad)),
            NeighbourError::Mac(bad)
        );
    }
    assert!(fake.lock().arp_commands.is_empty());
    fake.lock().arp_result = 2;
    let full = refused(nic.add_neighbour(PEER, PEER_MAC));
    assert_eq!(full, NeighbourError::Full(PEER));
    assert!(full.to_string().contains("10.1.0.9"));
    fake.lock().arp_result = 1;
    assert_eq!(
        refused(nic.delete_neighbour(PEER)),
        NeighbourError::Absent(PEER)
    );
}

#[test]
fn a_command_that_does_not_end_is_an_error_and_so_is_a_nic_that_has_none() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    fake.lock().arp_busy = u32::MAX;
    assert!(matches!(nic.neighbours(), Err(NicError::Stuck { .. })));
    fake.lock().gone = true;
    assert!(matches!(nic.neighbours(), Err(NicError::Gone)));
    drop(nic);

    let fake = Fake::new();
    let bit = regs::caps::ARP_ENTRIES.mask();
    fake.lock().absent.insert(regs::caps::OFFSET, bit);
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    assert!(matches!(nic.neighbours(), Err(NicError::Unsupported(_))));
    let added = nic.add_neighbour(PEER, PEER_MAC);
    assert!(matches!(added, Err(NicError::Unsupported(_))));
    let deleted = nic.delete_neighbour(PEER);
    assert!(matches!(deleted, Err(NicError::Unsupported(_))));
}

#[test]
fn addresses_are_announced_and_probed_for_when_that_is_wanted() {
    let local = LocalAddress {
        address: PEER,
        prefix: 16,
    };
    for arp_announce in [false, true] {
        let fake = Fake::new();
        let config = NicConfig {
            addresses: vec![local],
            arp_announce,
            arp_defend: arp_announce,
            ..NicConfig::default()
        };
        let mut nic = fake.open(&config).unwrap();
        let times = usize::from(arp_announce);
        assert_eq!(fake.lock().arp_commands, vec![4; times]);
        assert_eq!(
            fake.lock().reg(0x03C),
            0b0111 | (8 * u32::from(arp_announce))
        );
        nic.set_addresses(&[local], &[]).unwrap();
        assert_eq!(fake.lock().arp_commands, vec![4; 2 * times]);
        nic.probe(Ipv4Addr::new(10, 1, 0, 10)).unwrap();
        assert_eq!([0x1E0, 0x1EC].map(|o| fake.lock().reg(o)), [0x0A01_000A, 5]);
        nic.announce(PEER).unwrap();
        assert_eq!([0x1E0, 0x1EC].map(|o| fake.lock().reg(o)), [0x0A01_0009, 4]);
        let nobody = Ipv4Addr::UNSPECIFIED;
        assert_eq!(
            refused(nic.announce(nobody)),
            NeighbourError::Address(nobody)
        );
    }
}

#[test]
fn a_conflict_is_told_with_who_claims_the_address() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    // Words as docs/registers.md has them.
    fake.lock().event(Event {
        code: 5,
        detail: 0xEFCD,
        address: 0x0A01_0009,
        timestamp: 0xAB00_5452,
        phase: false,
    });
    assert_eq!(
        nic.events().unwrap(),
        [NicEvent::AddressConflict {
            address: PEER,
            mac: PEER_MAC
        }]
    );
}

//! A NIC that is looked at stays as it is.
use crate::fake::*;
use ferrule_abi::{counter, regs};
use ferrule_driver::nic::{LocalAddress, NeighbourState, NicConfig, RawNic};
use ferrule_driver::NicError;
use std::sync::Arc;

fn attach(fake: &Fake) -> Result<RawNic, NicError> {
    let clock = Arc::new(JumpClock::default());
    RawNic::attach(Box::new(FakeDevice(fake.clone())), clock)
}

/// A NIC that someone has set up and left, as a device without a reset of its own is found.
fn set_up() -> Fake {
    let fake = Fake::new();
    let mut state = fake.lock();
    state.regs.insert(regs::rxctl::OFFSET, 0x2346_0043);
    state.regs.insert(regs::local_addr::OFFSET, 0x0A01_0002);
    let words = [0x0A01_0009, 7, 0xAB00_5452, 0x2_EFCD];
    state.arp_entries.insert(3, words);
    state.counters.insert(counter::RX_FRAMES, 1 << 33 | 5);
    drop(state);
    fake
}

#[test]
fn looking_changes_no_register_but_those_that_one_looks_by() {
    let fake = set_up();
    let before = fake.lock().regs.clone();
    let mut nic = attach(&fake).unwrap();
    assert_eq!(nic.mac().unwrap(), MAC);
    assert!(nic.caps().jumbo);
    assert_eq!(nic.read(regs::rxctl::OFFSET).unwrap(), 0x2346_0043);
    let stats = nic.stats().unwrap();
    assert_eq!(stats.get(counter::RX_FRAMES), 1 << 33 | 5);
    let neighbours = nic.neighbours().unwrap();
    assert_eq!(neighbours.len(), 1);
    let mac = [0x52, 0x54, 0x00, 0xAB, 0xCD, 0xEF];
    assert_eq!(neighbours[0].state, NeighbourState::Static(mac));
    nic.link().unwrap();
    drop(nic);
    let mut after = fake.lock().regs.clone();
    let looked_by = [
        regs::snapshot::OFFSET,
        regs::arp_cmd::OFFSET,
        regs::arp_entry::OFFSET,
        regs::arp_entry_addr::OFFSET,
        regs::arp_entry_age::OFFSET,
        regs::arp_entry_mac::OFFSET,
    ];
    let counters = regs::counters::REGISTER;
    after.retain(|offset, _| before.contains_key(offset) && !looked_by.contains(offset));
    let counter_words = counters.offset..counters.offset_of(counters.count);
    let mut before = before;
    before.retain(|offset, _| !looked_by.contains(offset));
    for map in [&mut before, &mut after] {
        map.retain(|offset, _| !counter_words.contains(offset));
    }
    assert_eq!(after, before);
    // No reset, no memory, no interrupt, no queue.
    assert_eq!(fake.lock().ops, []);
}

#[test]
fn what_is_no_ferrule_nic_is_refused_and_bus_mastering_is_only_what_is_asked_for() {
    let fake = set_up();
    let mut nic = attach(&fake).unwrap();
    nic.set_bus_master(true).unwrap();
    nic.set_bus_master(false).unwrap();
    nic.reset().unwrap();
    drop(nic);
    let ops = [Op::BusMaster(true), Op::BusMaster(false), Op::Reset];
    assert_eq!(fake.lock().ops, ops);
    fake.lock().regs.insert(regs::magic::OFFSET, 0x10D3_8086);
    assert!(matches!(attach(&fake), Err(NicError::Magic(0x10D3_8086))));
    fake.lock().regs.insert(regs::magic::OFFSET, regs::MAGIC);
    fake.lock().regs.insert(regs::version::OFFSET, 2 << 16);
    assert!(matches!(attach(&fake), Err(NicError::Version(0x2_0000))));
    fake.lock().gone = true;
    assert!(matches!(attach(&fake), Err(NicError::Gone)));
}

#[test]
fn entries_change_by_it_as_by_a_nic_that_is_up() {
    let (raw, up) = (Fake::new(), Fake::new());
    let mut nic = attach(&raw).unwrap();
    let local = LocalAddress {
        address: [10, 1, 0, 2].into(),
        prefix: 24,
    };
    let config = NicConfig {
        addresses: vec![local],
        ..NicConfig::default()
    };
    let mut other = up.open(&config).unwrap();
    let (peer, mac) = ([10, 1, 0, 9].into(), [0x52, 0x54, 0, 0xAB, 0xCD, 0xEF]);
    nic.add_neighbour(peer, mac).unwrap();
    other.add_neighbour(peer, mac).unwrap();
    nic.delete_neighbour(peer).unwrap();
    other.delete_neighbour(peer).unwrap();
    assert_eq!(raw.lock().arp_commands, up.lock().arp_commands);
    assert_eq!(raw.lock().arp_commands.len(), 2);
    nic.flush_neighbours().unwrap();
    assert_eq!(raw.lock().reg(regs::arpctl::OFFSET), 0x107);
}

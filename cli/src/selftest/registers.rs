//! The registers: reset values, write masks, holes.
use ferrule_abi::bank::{banks, places};
use ferrule_abi::{regs, Bank, Register};
use ferrule_driver::nic::RawNic;

use super::Failure;

/// What each register is written with, one after the other; a value of its own comes last.
const PATTERNS: [u32; 4] = [u32::MAX, 0x5555_5555, 0xAAAA_AAAA, 0];

/// Registers whose reset value is the board's or the wire's, not the table's.
fn has_own_reset(r: &Register) -> bool {
    let names = [
        "VERSION", "CAPS", "STATUS", "MAC_LO", "MAC_HI", "MDIO", "TIME_LO", "TIME_HI",
    ];
    r.bank == Bank::Port && (names.contains(&r.name) || r.name == "BAD_ACCESS")
}

/// Bits that a write may change without anything else happening, in a NIC that is reset.
fn safe_mask(r: &Register) -> u32 {
    let mask = r.write_mask();
    match (r.bank, r.name) {
        // Nothing is to be received or sent.
        (Bank::Port, "CTRL") => regs::ctrl::LOOPBACK.mask(),
        // Commands that change or read an entry, or send; the others do nothing.
        (Bank::Port, "ARP_CMD") => regs::arp_cmd::PLACE.mask(),
        // A queue runs when it is enabled.
        (Bank::Event | Bank::Tx | Bank::Rx, "CTRL") => 0,
        _ => mask,
    }
}

/// A pattern that is different for each register, so that two that share storage show.
fn own_pattern(offset: u32) -> u32 {
    offset.wrapping_add(1).wrapping_mul(0x9E37_79B1)
}

fn expect(name: &str, what: &str, got: u32, want: u32) -> Result<(), Failure> {
    match got == want {
        true => Ok(()),
        false => Err(Failure::Wrong(format!(
            "{name} reads {got:#010x} {what}, {want:#010x} is right"
        ))),
    }
}

/// Identity, version and the register for tests.
pub(super) fn identity(nic: &mut RawNic) -> Result<String, Failure> {
    // MAGIC and the major version were looked at when the NIC was attached to.
    let version = nic.read(regs::version::OFFSET)?;
    for value in PATTERNS {
        nic.write(regs::scratch::OFFSET, value)?;
        expect(
            "SCRATCH",
            "after a write",
            nic.read(regs::scratch::OFFSET)?,
            value,
        )?;
    }
    Ok(format!(
        "register map {}.{}",
        regs::version::MAJOR.get(version),
        regs::version::MINOR.get(version)
    ))
}

/// CTRL.RESET: it ends, and the MAC address stays.
pub(super) fn reset(nic: &mut RawNic) -> Result<String, Failure> {
    let mac = nic.mac()?;
    nic.write(regs::scratch::OFFSET, 0xFFFF_0000)?;
    nic.reset()?;
    expect(
        "SCRATCH",
        "after the reset",
        nic.read(regs::scratch::OFFSET)?,
        0,
    )?;
    let after = nic.mac()?;
    if after != mac {
        return Err(Failure::Wrong("the MAC address did not stay".to_owned()));
    }
    Ok("done; the MAC address stayed".to_owned())
}

/// How many queue pairs there are.
fn pairs(nic: &mut RawNic) -> Result<u32, Failure> {
    Ok(regs::caps::QUEUES.get(nic.read(regs::caps::OFFSET)?))
}

/// What each register reads after a reset.
pub(super) fn reset_values(nic: &mut RawNic) -> Result<String, Failure> {
    let mut count = 0;
    for place in places(pairs(nic)?) {
        if !has_own_reset(place.register) {
            let value = nic.read(place.offset())?;
            expect(
                &place.to_string(),
                "after a reset",
                value,
                place.register.reset,
            )?;
            count += 1;
        }
    }
    Ok(format!("{count} registers"))
}

/// What each register keeps of what is written to it. Restores the MAC address; a reset must follow.
pub(super) fn write_masks(nic: &mut RawNic) -> Result<String, Failure> {
    let mac = [
        nic.read(regs::mac_lo::OFFSET)?,
        nic.read(regs::mac_hi::OFFSET)?,
    ];
    let result = patterns(nic);
    nic.write(regs::mac_lo::OFFSET, mac[0])?;
    nic.write(regs::mac_hi::OFFSET, mac[1])?;
    result
}

fn patterns(nic: &mut RawNic) -> Result<String, Failure> {
    let places: Vec<_> = places(pairs(nic)?)
        .filter(|p| safe_mask(p.register) != 0)
        .collect();
    let patterns = PATTERNS.map(Some).into_iter().chain([None]);
    for pattern in patterns {
        let value = |offset| pattern.unwrap_or_else(|| own_pattern(offset));
        for place in &places {
            // Reserved bits are written too, bits that act or must not change are not.
            let register = place.register;
            let untouched = register.action_mask() | (register.write_mask() & !safe_mask(register));
            nic.write(place.offset(), value(place.offset()) & !untouched)?;
        }
        for place in &places {
            let want = value(place.offset()) & safe_mask(place.register);
            let what = format!("after {:#010x} was written", value(place.offset()));
            expect(&place.to_string(), &what, nic.read(place.offset())?, want)?;
        }
    }
    Ok(format!(
        "{} registers, {} patterns each",
        places.len(),
        PATTERNS.len() + 1
    ))
}

/// Holes read all-ones, and each access is counted.
pub(super) fn holes(nic: &mut RawNic) -> Result<String, Failure> {
    let pairs = pairs(nic)?;
    let known: Vec<u32> = places(pairs).map(|p| p.offset()).collect();
    let words = banks(pairs).flat_map(|(bank, queue)| {
        let base = bank.base_of(queue);
        (base..base + bank.bytes).step_by(4)
    });
    let before = regs::bad_access::COUNT.get(nic.read(regs::bad_access::OFFSET)?);
    let mut count = 0;
    for offset in words.filter(|offset| !known.contains(offset)) {
        expect(
            &format!("the hole at {offset:#07x}"),
            "",
            nic.read(offset)?,
            u32::MAX,
        )?;
        count += 1;
    }
    let after = regs::bad_access::COUNT.get(nic.read(regs::bad_access::OFFSET)?);
    let most = regs::bad_access::COUNT.mask();
    expect(
        "BAD_ACCESS",
        "after reads of holes",
        after,
        (before + count).min(most),
    )?;
    Ok(format!("{count} holes read all-ones and were counted"))
}

//! Flow control by PAUSE frames: what they say, and when the NIC sends some of its own.
use super::wire::Wire;

/// EtherType of MAC control, and the opcode of PAUSE (IEEE 802.3 annexes 31A and 31B).
const TYPE_AND_OPCODE: [u8; 4] = [0x88, 0x08, 0x00, 0x01];
/// The group address of PAUSE frames.
const GROUP: [u8; 6] = [0x01, 0x80, 0xC2, 0x00, 0x00, 0x01];
/// Pause time of the frames that ask for one.
const LONGEST: u16 = 0xFFFF;
/// Places of the receive buffer of which a pause is asked for, and below which it is ended.
const HIGH: usize = 1536;
const LOW: usize = 512;
/// A pause is asked for anew when this bit of the time has changed.
const AGAIN_NS: u64 = 1 << 23;

/// The pause time of a PAUSE frame to `mac` or to the group, in quanta.
pub(super) fn pause_time(frame: &[u8], mac: [u8; 6]) -> Option<u16> {
    let to_us = [GROUP, mac].iter().any(|a| frame.starts_with(a));
    let time = frame.get(16..18)?;
    (to_us && frame[12..16] == TYPE_AND_OPCODE).then(|| u16::from_be_bytes([time[0], time[1]]))
}

/// When a pause of so many quanta of 512 bit times ends that begins at `now_ns`; none if it is none.
pub(super) fn pause_end_ns(quanta: u16, link_speed: u8, now_ns: u64) -> Option<u64> {
    /// A quantum at a gigabit, the unit of the hardware's timer.
    const UNIT_NS: u64 = 512;
    let units = u64::from(quanta)
        * match link_speed {
            0 => 100,
            1 => 10,
            _ => 1,
        };
    (units != 0).then(|| (now_ns / UNIT_NS + 1 + units) * UNIT_NS)
}

/// A PAUSE frame of our own.
pub(super) fn pause_frame(mac: [u8; 6], quanta: u16) -> Vec<u8> {
    [&GROUP[..], &mac, &TYPE_AND_OPCODE, &quanta.to_be_bytes()].concat()
}

/// Asks the link partner for pauses.
#[derive(Default)]
pub(super) struct PauseSender {
    /// When a pause was asked for last, if it was not ended.
    asked_ns: Option<u64>,
}

impl PauseSender {
    /// Sends what is due, `used` places of the receive buffer being taken; whether anything was.
    pub(super) fn step(
        &mut self,
        enabled: bool,
        used: usize,
        wire: &mut Wire,
        now_ns: u64,
    ) -> bool {
        if !wire.takes_pause() {
            return false;
        }
        let quanta = match self.asked_ns {
            None if enabled && used >= HIGH => LONGEST,
            Some(_) if !enabled || used < LOW => 0,
            Some(at) if at / AGAIN_NS != now_ns / AGAIN_NS => LONGEST,
            _ => return false,
        };
        self.asked_ns = (quanta != 0).then_some(now_ns);
        wire.send_pause(quanta, now_ns);
        true
    }

    /// When a pause is to be asked for anew.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        Some((self.asked_ns? / AGAIN_NS + 1) * AGAIN_NS)
    }
}

//! The Ethernet PHY of the simulator: frames to GMII or MII with preamble, FCS and gap, and back to checked frames (IEEE 802.3 clauses 3, 4, 22, 35).
use std::collections::VecDeque;

use ferrule_rtl::pins::Gmii;
use serde::Serialize;

use crate::station::LINK_SPEED_1000;

/// Preamble of a frame, ending with the start frame delimiter.
const PREAMBLE: [u8; 8] = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5];
const SFD: u8 = 0xD5;
/// Smallest gap between frames, in byte times.
pub const GAP: usize = 12;
/// Shortest frame without FCS.
pub const MIN_FRAME: usize = 60;
const FCS_BYTES: usize = 4;
/// A frame of the NIC is cut here: nothing it may send is longer.
const MAX_COLLECTED: usize = 1 << 16;

/// The frame check sequence as it is sent, first byte first (IEEE 802.3, section 3.2.9).
pub fn fcs(frame: &[u8]) -> [u8; FCS_BYTES] {
    let mut crc = u32::MAX;
    for byte in frame {
        crc = (crc >> 8) ^ CRC_TABLE[usize::from(crc as u8 ^ byte)];
    }
    (!crc).to_le_bytes()
}

/// Remainders of each byte for the polynomial 0x04C11DB7, bits reversed.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

/// The byte times of a frame, padded to 60 bytes, with its own FCS or another.
pub fn on_the_line(frame: &[u8], check: Option<[u8; FCS_BYTES]>) -> Vec<Gmii> {
    let mut bytes = frame.to_vec();
    bytes.resize(bytes.len().max(MIN_FRAME), 0);
    bytes.extend(check.unwrap_or_else(|| fcs(&bytes)));
    let valid = |b: &u8| Gmii {
        data: *b,
        valid: true,
        error: false,
    };
    PREAMBLE.iter().chain(&bytes).map(valid).collect()
}

/// What a PHY counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PhyStats {
    /// Frames towards the NIC.
    pub rx_frames: u64,
    /// Their bytes, without FCS.
    pub rx_bytes: u64,
    /// Those whose FCS does not fit, as the wire damaged them.
    pub rx_damaged: u64,
    /// Good frames from the NIC.
    pub tx_frames: u64,
    /// Their bytes, padding included, without FCS.
    pub tx_bytes: u64,
    /// Frames of the NIC that no station would accept: see [`TxFault`]. Always 0 with right hardware.
    pub tx_faults: u64,
}

/// What is wrong with a frame that the NIC sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxFault {
    /// The preamble is not seven times 0x55 and the start frame delimiter.
    Preamble,
    /// The frame check sequence is wrong.
    Fcs,
    /// Fewer than 64 bytes with FCS.
    Short,
    /// TX_ER during the frame.
    Error,
    /// Half a byte at the end of a frame on the MII.
    HalfByte,
    /// The gap before the frame had fewer byte times than this standard's 12.
    Gap(usize),
}

/// What came to its end on the transmit side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A good frame, without FCS.
    Frame(Vec<u8>),
    /// A bad one, from its destination address on if it has one, with whatever came last.
    Faulty(TxFault, Vec<u8>),
}

/// The PHY.
#[derive(Debug)]
pub struct Phy {
    towards_nic: VecDeque<Gmii>,
    from_nic: Vec<u8>,
    error: bool,
    /// Clocks of a byte: 2 on the MII.
    clocks: usize,
    /// The second nibble of the byte that goes to the NIC.
    second: Option<Gmii>,
    /// The first nibble of the byte that comes from the NIC.
    first: Option<u8>,
    half_byte: bool,
    /// Idle clocks since the last frame of the NIC, up to [`GAP`] byte times.
    idle: usize,
    /// Byte times.
    gap_before: usize,
    stats: PhyStats,
}

impl Default for Phy {
    fn default() -> Self {
        Self::new()
    }
}

impl Phy {
    /// An idle line.
    pub fn new() -> Self {
        Self {
            towards_nic: VecDeque::new(),
            from_nic: vec![],
            error: false,
            clocks: 1,
            second: None,
            first: None,
            half_byte: false,
            idle: GAP,
            gap_before: GAP,
            stats: PhyStats::default(),
        }
    }

    /// As STATUS.SPEED has it: 2 is GMII, all else MII. To be set while nothing is under way.
    pub fn set_speed(&mut self, speed: u8) {
        let clocks = if speed == LINK_SPEED_1000 { 1 } else { 2 };
        self.idle = self.idle / self.clocks * clocks;
        self.clocks = clocks;
    }

    /// Puts a frame without FCS on the line towards the NIC, padded to 60 bytes, followed by a gap.
    pub fn receive(&mut self, frame: &[u8]) {
        self.receive_with(frame, None);
    }

    /// As [`Phy::receive`], with an FCS other than the frame's own where there is one.
    pub fn receive_with(&mut self, frame: &[u8], check: Option<[u8; FCS_BYTES]>) {
        self.stats.rx_frames += 1;
        self.stats.rx_bytes += frame.len().max(MIN_FRAME) as u64;
        self.stats.rx_damaged += u64::from(check.is_some());
        self.towards_nic.extend(on_the_line(frame, check));
        self.towards_nic.extend([Gmii::default(); GAP]);
    }

    /// Puts byte times on the line towards the NIC as they are: bad preambles and FCS, runts, RX_ER, short gaps.
    pub fn receive_raw(&mut self, line: impl IntoIterator<Item = Gmii>) {
        self.towards_nic.extend(line);
    }

    /// Whether everything put on the line has reached the NIC.
    pub fn receive_idle(&self) -> bool {
        self.towards_nic.is_empty() && self.second.is_none()
    }

    /// Whether a frame of the NIC is under way.
    pub fn transmit_idle(&self) -> bool {
        self.from_nic.is_empty() && self.first.is_none() && !self.half_byte
    }

    /// What the NIC receives in this clock; to be called once per rise of its receive clock.
    pub fn next_rx(&mut self) -> Gmii {
        if let Some(second) = self.second.take() {
            return second;
        }
        let Some(byte) = self.towards_nic.pop_front() else {
            return Gmii::default();
        };
        if self.clocks == 1 {
            return byte;
        }
        let nibble = |data: u8| Gmii {
            data: data & 0xF,
            ..byte
        };
        self.second = Some(nibble(byte.data >> 4));
        nibble(byte.data)
    }

    /// Takes what the NIC sends in this clock; gives the frame that ended before it, if one did.
    pub fn tx(&mut self, line: Gmii) -> Option<Sent> {
        if line.valid {
            if self.idle > 0 {
                self.gap_before = self.idle / self.clocks;
            }
            self.idle = 0;
            self.error |= line.error;
            let byte = if self.clocks == 1 {
                line.data
            } else {
                let Some(first) = self.first.take() else {
                    self.first = Some(line.data & 0xF);
                    return None;
                };
                first | line.data << 4
            };
            if self.from_nic.len() < MAX_COLLECTED {
                self.from_nic.push(byte);
            }
            return None;
        }
        self.half_byte |= self.first.take().is_some();
        self.idle = (GAP * self.clocks).min(self.idle + 1);
        if self.transmit_idle() {
            return None;
        }
        let sent = self.judge();
        self.error = false;
        self.half_byte = false;
        match &sent {
            Sent::Frame(frame) => {
                self.stats.tx_frames += 1;
                self.stats.tx_bytes += frame.len() as u64;
            }
            Sent::Faulty(fault, _) => {
                self.stats.tx_faults += 1;
                tracing::warn!("a frame from the NIC: {fault:?}");
            }
        }
        Some(sent)
    }

    fn judge(&mut self) -> Sent {
        let mut frame = std::mem::take(&mut self.from_nic);
        if !frame.starts_with(&PREAMBLE) {
            if let Some(at) = frame.iter().position(|b| *b == SFD) {
                frame.drain(..=at);
            }
            return Sent::Faulty(TxFault::Preamble, frame);
        }
        frame.drain(..PREAMBLE.len());
        if self.error {
            return Sent::Faulty(TxFault::Error, frame);
        }
        if self.half_byte {
            return Sent::Faulty(TxFault::HalfByte, frame);
        }
        if frame.len() < MIN_FRAME + FCS_BYTES {
            return Sent::Faulty(TxFault::Short, frame);
        }
        let data = frame.len() - FCS_BYTES;
        if fcs(&frame[..data]) != frame[data..] {
            return Sent::Faulty(TxFault::Fcs, frame);
        }
        if self.gap_before < GAP {
            return Sent::Faulty(TxFault::Gap(self.gap_before), frame);
        }
        frame.truncate(data);
        Sent::Frame(frame)
    }

    /// What was counted so far.
    pub fn stats(&self) -> PhyStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(bytes: &[u8]) -> Vec<Gmii> {
        let valid = |b: &u8| Gmii {
            data: *b,
            valid: true,
            error: false,
        };
        bytes.iter().map(valid).collect()
    }
    /// A frame as crc32fast, not we, completes it.
    fn on_the_wire(frame: &[u8]) -> Vec<u8> {
        [&PREAMBLE[..], frame, &crc32fast::hash(frame).to_le_bytes()].concat()
    }
    fn send(phy: &mut Phy, line: &[Gmii], gap: usize) -> Vec<Sent> {
        let idle = std::iter::repeat_n(Gmii::default(), gap);
        line.iter()
            .copied()
            .chain(idle)
            .filter_map(|g| phy.tx(g))
            .collect()
    }

    #[test]
    fn the_check_value_of_the_crc_catalogue() {
        assert_eq!(fcs(b"123456789"), 0xCBF4_3926u32.to_le_bytes());
    }

    #[test]
    fn a_short_frame_is_padded_on_its_way_to_the_nic() {
        let mut phy = Phy::new();
        assert!(phy.receive_idle());
        phy.receive(&[0xAB; 42]);
        let out: Vec<Gmii> = (0..8 + 64 + GAP + 3).map(|_| phy.next_rx()).collect();
        let mut frame = vec![0xAB; 42];
        frame.resize(60, 0);
        assert_eq!(out[..72], line(&on_the_wire(&frame)));
        assert_eq!(out[72..], [Gmii::default(); GAP + 3]);
        assert!(phy.receive_idle());
    }

    #[test]
    fn faults_of_the_nic_are_told_apart() {
        let good = on_the_wire(&[1; 60]);
        let mut bad_fcs = good.clone();
        bad_fcs[20] ^= 1;
        let mut error = line(&good);
        error[30].error = true;
        let short_preamble = good[1..].to_vec();
        let cases = [
            (line(&bad_fcs), TxFault::Fcs),
            (error, TxFault::Error),
            (line(&short_preamble), TxFault::Preamble),
            (line(&on_the_wire(&[1; 59])), TxFault::Short),
        ];
        let mut phy = Phy::new();
        for (line, fault) in cases {
            let got = send(&mut phy, &line, GAP);
            assert!(
                matches!(&got[..], [Sent::Faulty(f, _)] if *f == fault),
                "{fault:?}: {got:?}"
            );
        }
        assert_eq!(
            send(&mut phy, &line(&good), GAP - 1),
            [Sent::Frame(vec![1; 60])]
        );
        let got = send(&mut phy, &line(&good), GAP);
        assert!(
            matches!(&got[..], [Sent::Faulty(TxFault::Gap(11), _)]),
            "{got:?}"
        );
        assert_eq!((phy.stats().tx_frames, phy.stats().tx_faults), (1, 5));
    }

    #[test]
    fn raw_byte_times_pass_as_they_are() {
        let mut phy = Phy::new();
        let odd = Gmii {
            data: 0x0F,
            valid: false,
            error: true,
        };
        phy.receive_raw([odd]);
        assert_eq!((phy.next_rx(), phy.next_rx()), (odd, Gmii::default()));
    }

    #[test]
    fn on_the_mii_a_byte_is_two_clocks_low_nibble_first() {
        let mut phy = Phy::new();
        phy.set_speed(1);
        phy.receive(&[0xAB; 60]);
        let out: Vec<Gmii> = (0..2 * (8 + 64 + GAP)).map(|_| phy.next_rx()).collect();
        assert!(phy.receive_idle());
        // The SFD is nibbles 5 and D (IEEE 802.3 table 22-3); then the first byte.
        let data: Vec<u8> = out.iter().map(|g| g.data).collect();
        assert_eq!(data[..18], [&[5; 15][..], &[0xD, 0xB, 0xA]].concat());
        assert_eq!(
            send(&mut phy, &out[..144], GAP),
            [Sent::Frame(vec![0xAB; 60])]
        );
        // Twelve clocks are a gap of six bytes; a nibble too much is half a byte.
        let got = send(&mut phy, &out[..144], 2 * GAP);
        assert!(
            matches!(&got[..], [Sent::Faulty(TxFault::Gap(6), _)]),
            "{got:?}"
        );
        let longer = [&out[..144], &out[..1]].concat();
        let got = send(&mut phy, &longer, 2 * GAP);
        assert!(
            matches!(&got[..], [Sent::Faulty(TxFault::HalfByte, _)]),
            "{got:?}"
        );
        assert_eq!(
            send(&mut phy, &out[..144], GAP),
            [Sent::Frame(vec![0xAB; 60])]
        );
    }

    #[test]
    fn a_nibble_alone_is_a_bad_frame_and_spoils_no_other() {
        let mut phy = Phy::new();
        phy.set_speed(1);
        assert_eq!(phy.tx(line(&[5])[0]), None);
        assert!(!phy.transmit_idle());
        assert_eq!(
            send(&mut phy, &[], 2 * GAP),
            [Sent::Faulty(TxFault::Preamble, vec![])]
        );
        assert!(phy.transmit_idle());
        phy.receive(&[0xAB; 60]);
        let out: Vec<Gmii> = (0..144).map(|_| phy.next_rx()).collect();
        assert_eq!(send(&mut phy, &out, 2 * GAP), [Sent::Frame(vec![0xAB; 60])]);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 60..200), 1..5),
            speed in 0u8..3,
        ) {
            let (mut one, mut other) = (Phy::new(), Phy::new());
            one.set_speed(speed);
            other.set_speed(speed);
            frames.iter().for_each(|f| one.receive(f));
            let mut got = vec![];
            while !one.receive_idle() {
                got.extend(other.tx(one.next_rx()));
            }
            prop_assert_eq!(got, frames.iter().cloned().map(Sent::Frame).collect::<Vec<_>>());
            prop_assert_eq!(one.stats().rx_bytes, other.stats().tx_bytes);
        }

        #[test]
        fn our_fcs_is_crc32fasts(data: Vec<u8>) {
            prop_assert_eq!(fcs(&data), crc32fast::hash(&data).to_le_bytes());
        }
    }
}

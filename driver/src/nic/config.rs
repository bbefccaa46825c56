//! How a NIC is to be set up.
use ferrule_abi::regs::{
    self, GATEWAYS, HASH_KEY_WORDS, LOCAL_ADDRESSES, PUSH_MAX_PACKET, QUEUE_PAIRS, RING_LOG2_MAX,
    RING_LOG2_MIN,
};
use ferrule_abi::TICK_NS;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

/// An Ethernet address; byte 0 is the first on the wire.
pub type MacAddress = [u8; 6];

/// A local IPv4 address and the length of its subnet's prefix in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of the prefix, 0 to 32.
    pub prefix: u8,
}

impl LocalAddress {
    /// The subnet mask.
    pub fn mask(&self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix.min(32)))
            .unwrap_or(0)
    }
}

/// How a NIC is to be set up. The default suits a host with one address; give addresses and gateways.
#[derive(Clone, Debug)]
pub struct NicConfig {
    /// Number of queue pairs, 1 to 4 and at most [`Caps::queues`](super::Caps::queues). Pair 0 is [`Nic`](super::Nic)'s own; the others are
    /// [taken](super::Nic::take_pair) from it, for threads of their own. With more than one, a received frame goes to one by its flow hash, so
    /// that there must be a [`hash_key`](Self::hash_key); and what comes for a pair whose slots are all out is lost, so that it does not hold up what
    /// comes for others. Ring sizes and slots are those of each pair.
    pub queue_pairs: u8,
    /// SQ size, log2 of entries, 4 to 14. Each entry has a buffer of 2 KiB.
    pub sq_log2: u8,
    /// Size of the TX completion ring, log2 of entries; at least the SQ's.
    pub txcq_log2: u8,
    /// RXQ size, log2 of entries.
    pub rxq_log2: u8,
    /// Size of the RX completion ring, log2 of entries.
    pub rxcq_log2: u8,
    /// Size of the event ring, log2 of entries.
    pub event_log2: u8,
    /// Number of receive slots, at most as many as the RXQ has entries.
    pub slots: u16,
    /// Size of a receive slot, log2 of bytes, 11 to 14. A longer frame is cut; see [`NicConfig::with_mtu`].
    pub slot_log2: u8,
    /// MAC address; `None`: the NIC's own.
    pub mac: Option<MacAddress>,
    /// Up to eight local addresses.
    pub addresses: Vec<LocalAddress>,
    /// Up to seven gateways; the first is the default one.
    pub gateways: Vec<Ipv4Addr>,
    /// Receive what is addressed to others.
    pub promiscuous: bool,
    /// Receive every multicast.
    pub all_multicast: bool,
    /// Deliver ARP frames to the host too.
    pub deliver_arp: bool,
    /// Deliver TCP and UDP packets with a bad checksum, marked so.
    pub keep_bad_l4: bool,
    /// Deliver frames with a bad IPv4 or IPv6 header, marked so.
    pub keep_bad_ip: bool,
    /// Deliver frames with a bad FCS, marked so.
    pub keep_bad_fcs: bool,
    /// Take the outermost 802.1Q tag out of received frames and tell it apart.
    pub vlan_strip: bool,
    /// The VLANs of which frames are received, by their identifiers; `None`: all. Frames without a tag always are.
    pub vlans: Option<Vec<u16>>,
    /// Longest frame received, in bytes with FCS and tag, 64 to 16,383.
    pub max_frame: u16,
    /// Key of the flow hash that received IPv4 packets come with, if [`Caps::hash`](super::Caps::hash), and IPv6 packets, if [`Caps::ipv6`](super::Caps::ipv6); all zeros: each hash is 0.
    /// Who may choose addresses and ports and knows the key can make flows collide.
    pub hash_key: [u8; HASH_KEY_WORDS as usize * 4],
    /// What is sent is received, inside the NIC; nothing reaches the wire.
    pub loopback: bool,
    /// PUSH mode, for slow links: the driver writes packets into the device, at most 2,032 bytes each, and copies what is received out of
    /// its slot at once, so that the device reads no memory. Needs [`Caps::push`](super::Caps::push), and as many slots as the RXQ has entries.
    /// Of itself where the device says that its link is slow, as `ferrule bridge` does, or that it has nothing else; then slots and `iova` are changed to suit as well.
    pub push: bool,
    /// ICMP echo requests to a local address are answered by the NIC, and this host does not see them but where the NIC leaves them to it:
    /// with IP options, fragments, tagged ones, of more than 1,500 bytes, or more of them than it has room for. Needs [`Caps::echo`](super::Caps::echo).
    pub echo: bool,
    /// Learn neighbours from their requests for a local address, and let any ARP packet refresh or change what is known (RFC 826). Without,
    /// only the reply to a request of the NIC's own is believed: who tells what nobody asked for changes nothing, and each neighbour is
    /// asked anew when [`arp_age`](Self::arp_age) is over.
    pub arp_learn: bool,
    /// Announce local addresses when they are set (RFC 5227 section 2.3), once each; see [`Nic::announce`](super::Nic::announce).
    pub arp_announce: bool,
    /// Defend local addresses: with each [`NicEvent::AddressConflict`](super::NicEvent::AddressConflict) the NIC announces the address
    /// once (RFC 5227 section 2.4 (b)).
    pub arp_defend: bool,
    /// Obey PAUSE frames (IEEE 802.3 annex 31B): send nothing for as long as the link partner asks for. As the PHY has negotiated it.
    pub pause_receive: bool,
    /// Send PAUSE frames when the receive buffer fills, so that the link partner waits where frames would be lost.
    pub pause_send: bool,
    /// When a neighbour that was not heard of is forgotten; `None`: the NIC's own (60 s).
    pub arp_age: Option<Duration>,
    /// Time between ARP requests; `None`: the NIC's own (1 s).
    pub arp_retry: Option<Duration>,
    /// How long frames may wait while the link is up without any of them being done, before [`Nic::watchdog`](super::Nic::watchdog) takes the
    /// transmit queue for stuck. Longer than a neighbour may hold the NIC up by PAUSE frames, if it may.
    pub watchdog: Duration,
    /// I/O virtual addresses for the NIC's memory. They do not count where the device can see it at one address only
    /// ([`Device::bus_address`](crate::Device::bus_address)).
    pub iova: Range<u64>,
}

impl Default for NicConfig {
    fn default() -> Self {
        Self {
            queue_pairs: 1,
            sq_log2: 8,
            txcq_log2: 8,
            rxq_log2: 8,
            rxcq_log2: 8,
            event_log2: 6,
            slots: 256,
            slot_log2: 11,
            mac: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            promiscuous: false,
            all_multicast: false,
            deliver_arp: false,
            keep_bad_l4: false,
            keep_bad_ip: false,
            keep_bad_fcs: false,
            vlan_strip: false,
            vlans: None,
            max_frame: 1518,
            hash_key: [0; HASH_KEY_WORDS as usize * 4],
            loopback: false,
            push: false,
            echo: false,
            arp_learn: true,
            arp_announce: false,
            arp_defend: false,
            pause_receive: false,
            pause_send: false,
            arp_age: None,
            arp_retry: None,
            watchdog: Duration::from_secs(5),
            iova: 1 << 32..1 << 39,
        }
    }
}

/// What makes no sense in a [`NicConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{what} is {value}, it must be {min} to {max}")]
    Range {
        /// Which.
        what: &'static str,
        /// What was given.
        value: u64,
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Several queue pairs, of which all but pair 0 would receive nothing.
    #[error("with {pairs} queue pairs hash_key must not be all zeros: each flow's hash would be 0, and all frames would go to one pair; give 40 random bytes")]
    NoHashKey {
        /// How many.
        pairs: u8,
    },
    /// Not an address of a single host.
    #[error("{0} is not the address of a host")]
    Address(Ipv4Addr),
    /// Not a MAC address of a single station.
    #[error("{} is not the MAC address of a station: it is zero or a group's", mac_text(.0))]
    Mac(MacAddress),
}

/// A MAC address as people write it: six bytes in hexadecimal, the first on the wire first, with colons between them.
pub fn mac_text(mac: &MacAddress) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

/// Whether it can be a station's address.
pub(crate) fn is_station(mac: &MacAddress) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}

fn range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Range {
            what,
            value,
            min,
            max,
        })
    }
}

/// Checks addresses and gateways for the registers.
pub(crate) fn check_addresses(
    addresses: &[LocalAddress],
    gateways: &[Ipv4Addr],
) -> Result<(), ConfigError> {
    let (most, count) = (LOCAL_ADDRESSES.into(), addresses.len() as u64);
    range("the number of local addresses", count, 0, most)?;
    let (most, count) = (GATEWAYS.into(), gateways.len() as u64);
    range("the number of gateways", count, 0, most)?;
    for local in addresses {
        range("the length of a prefix", local.prefix.into(), 0, 32)?;
    }
    let hosts = addresses.iter().map(|a| a.address).chain(gateways.to_vec());
    for address in hosts {
        if !is_host(address) {
            return Err(ConfigError::Address(address));
        }
    }
    Ok(())
}

/// Whether a single host can have the address.
pub(crate) fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}

/// A time in ticks of the hardware, rounded, to fit `bits` bits.
pub(crate) fn ticks(what: &'static str, time: Duration, bits: u32) -> Result<u32, ConfigError> {
    let ticks = (time.as_nanos() + u128::from(TICK_NS) / 2) / u128::from(TICK_NS);
    let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
    range(what, ticks, 1, (1 << bits) - 1)?;
    Ok(ticks as u32)
}

/// Addresses that take a header of three DWs, with interrupt messages behind them.
const LOW_IOVA: Range<u64> = 1 << 20..crate::iova::MSI_WINDOW.start;
/// Bytes of a frame around an IP packet: Ethernet header and FCS.
const AROUND_PACKET: u16 = 14 + 4;
/// Smallest and largest MTU in bytes: RFC 791 section 3.2, and what the NIC's buffers are made for.
const MTU: std::ops::RangeInclusive<u16> = 68..=9_000;
/// Size of the smallest and of the largest receive slot, log2 of bytes.
const SLOT_LOG2: std::ops::RangeInclusive<u8> = 11..=14;

impl NicConfig {
    /// With frames and receive slots for IP packets of up to `mtu` bytes, 68 to 9,000.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for another one.
    pub fn with_mtu(self, mtu: u16) -> Result<Self, ConfigError> {
        range(
            "the MTU",
            mtu.into(),
            (*MTU.start()).into(),
            (*MTU.end()).into(),
        )?;
        let max_frame = (mtu + AROUND_PACKET).max(Self::default().max_frame);
        let slot_log2 = u32::from(max_frame).next_power_of_two().ilog2() as u8;
        Ok(Self {
            max_frame,
            slot_log2: slot_log2.max(*SLOT_LOG2.start()),
            ..self
        })
    }

    /// In PUSH mode, with as many slots as that needs, and with addresses below 4 GiB where others are not asked for: their TLPs are shorter.
    pub(crate) fn for_slow_link(self) -> Self {
        let anywhere = self.iova == Self::default().iova;
        Self {
            push: true,
            slots: 1 << self.rxq_log2,
            iova: if anywhere { LOW_IOVA } else { self.iova },
            ..self
        }
    }

    /// # Errors
    /// The first thing that makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let pairs = self.queue_pairs;
        range("queue_pairs", pairs.into(), 1, QUEUE_PAIRS.into())?;
        let (min, max) = (RING_LOG2_MIN.into(), RING_LOG2_MAX.into());
        range("sq_log2", self.sq_log2.into(), min, max)?;
        range("txcq_log2", self.txcq_log2.into(), self.sq_log2.into(), max)?;
        range("rxq_log2", self.rxq_log2.into(), min, max)?;
        range("rxcq_log2", self.rxcq_log2.into(), min, max)?;
        range("event_log2", self.event_log2.into(), min, max)?;
        let (least, most) = (*SLOT_LOG2.start(), *SLOT_LOG2.end());
        range(
            "slot_log2",
            self.slot_log2.into(),
            least.into(),
            most.into(),
        )?;
        let entries = 1 << self.rxq_log2;
        if self.push {
            range("queue_pairs in PUSH mode", pairs.into(), 1, 1)?;
            range("slots in PUSH mode", self.slots.into(), entries, entries)?;
            let most = u64::from(PUSH_MAX_PACKET) + u64::from(AROUND_PACKET);
            range("max_frame in PUSH mode", self.max_frame.into(), 64, most)?;
        }
        if pairs > 1 && self.hash_key.iter().all(|byte| *byte == 0) {
            return Err(ConfigError::NoHashKey { pairs });
        }
        range("slots", self.slots.into(), 1, entries)?;
        range("max_frame", self.max_frame.into(), 64, (1 << 14) - 1)?;
        if let Some(mac) = self.mac.filter(|mac| !is_station(mac)) {
            return Err(ConfigError::Mac(mac));
        }
        check_addresses(&self.addresses, &self.gateways)?;
        self.arp_times(regs::arptime::REGISTER.reset)?;
        Ok(())
    }

    /// ARPTIME with these times over `current`.
    pub(crate) fn arp_times(&self, current: u32) -> Result<u32, ConfigError> {
        use regs::arptime::{AGE, RETRY};
        let mut value = current;
        if let Some(age) = self.arp_age {
            let age = ticks("arp_age in units of 2^20 ns", age, AGE.width.into())?;
            value = AGE.set(value, age);
        }
        if let Some(retry) = self.arp_retry {
            let retry = ticks("arp_retry in units of 2^20 ns", retry, RETRY.width.into())?;
            value = RETRY.set(value, retry);
        }
        Ok(value)
    }

    /// ARPCTL with these switches over `current`.
    pub(crate) fn arpctl(&self, current: u32) -> u32 {
        use regs::arpctl::{ANSWER, DEFEND};
        let base = if self.arp_learn {
            current
        } else {
            ANSWER.of(1)
        };
        DEFEND.set(base, self.arp_defend.into())
    }

    /// The value of FLOW.
    pub(crate) fn flow(&self) -> u32 {
        use regs::flow::{RX_PAUSE, TX_PAUSE};
        RX_PAUSE.of(self.pause_receive.into()) | TX_PAUSE.of(self.pause_send.into())
    }

    /// The value of RXCTL.
    pub(crate) fn rxctl(&self) -> u32 {
        use regs::rxctl as r;
        let bits = [
            (r::PROMISC, self.promiscuous),
            (r::BROADCAST, true),
            (r::ALL_MULTICAST, self.all_multicast),
            (r::KEEP_BAD_FCS, self.keep_bad_fcs),
            (r::KEEP_BAD_L4, self.keep_bad_l4),
            (r::KEEP_BAD_IP, self.keep_bad_ip),
            (r::DELIVER_ARP, self.deliver_arp),
            (r::VLAN_STRIP, self.vlan_strip),
            (r::VLAN_FILTER, self.vlans.is_some()),
            (r::ECHO, self.echo),
        ];
        let frame = r::MAX_FRAME.of(self.max_frame.into());
        bits.iter()
            .fold(frame, |v, (field, on)| field.set(v, (*on).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_cidr() {
        for (prefix, mask) in [
            (0, [0, 0, 0, 0]),
            (8, [255, 0, 0, 0]),
            (22, [255, 255, 252, 0]),
            (31, [255, 255, 255, 254]),
            (32, [255; 4]),
        ] {
            let address = Ipv4Addr::LOCALHOST;
            assert_eq!(
                LocalAddress { address, prefix }.mask(),
                u32::from_be_bytes(mask)
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        let local = |address: [u8; 4], prefix| LocalAddress {
            address: address.into(),
            prefix,
        };
        type Change = fn(&mut NicConfig);
        let changes: [(Change, &str); 13] = [
            (|c| c.sq_log2 = 15, "sq_log2"),
            (|c| c.txcq_log2 = 7, "txcq_log2"),
            (|c| c.queue_pairs = 0, "queue_pairs"),
            (|c| c.queue_pairs = 5, "queue_pairs"),
            (|c| c.queue_pairs = 2, "hash_key"),
            (
                |c| (c.queue_pairs, c.push) = (2, true),
                "queue_pairs in PUSH mode",
            ),
            (|c| c.slots = 257, "slots"),
            (|c| c.slots = 0, "slots"),
            (|c| c.slot_log2 = 10, "slot_log2"),
            (|c| c.max_frame = 63, "max_frame"),
            (|c| c.mac = Some([1, 0, 0, 0, 0, 0]), "01:00:00:00:00:00"),
            (|c| c.gateways = vec![[10, 0, 0, 1].into(); 8], "gateways"),
            (|c| c.arp_retry = Some(Duration::from_secs(5)), "arp_retry"),
        ];
        for (change, word) in changes {
            let mut config = NicConfig::default();
            config.check().unwrap();
            change(&mut config);
            let text = config.check().unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        }
        for bad in [
            local([0; 4], 8),
            local([224, 0, 0, 1], 8),
            local([255; 4], 8),
            local([10, 0, 0, 1], 33),
        ] {
            check_addresses(&[bad], &[]).unwrap_err();
        }
    }

    #[test]
    fn an_mtu_has_frames_and_slots_that_hold_it() {
        for (mtu, frame, slot_log2) in [
            (68, 1_518, 11),
            (1_500, 1_518, 11),
            (2_030, 2_048, 11),
            (2_031, 2_049, 12),
            (4_078, 4_096, 12),
            (9_000, 9_018, 14),
        ] {
            let config = NicConfig::default().with_mtu(mtu).unwrap();
            assert_eq!((config.max_frame, config.slot_log2), (frame, slot_log2));
            config.check().unwrap();
        }
        for bad in [0, 67, 9_001, u16::MAX] {
            let error = NicConfig::default().with_mtu(bad).unwrap_err();
            assert!(error.to_string().contains("the MTU"), "{error}");
        }
    }

    #[test]
    fn times_become_ticks() {
        assert_eq!(ticks("", Duration::from_nanos(TICK_NS * 7), 16), Ok(7));
        assert_eq!(ticks("", Duration::from_secs(1), 16), Ok(954));
        ticks("", Duration::ZERO, 16).unwrap_err();
        ticks("", Duration::MAX, 16).unwrap_err();
    }
}

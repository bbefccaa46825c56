//! Counters, link and capabilities.
use super::clock;
use super::error::NicError;
use super::port::Port;
use ferrule_abi::counter::{self, Counter};
use ferrule_abi::regs;

/// The hardware's counters and clock at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The NIC's clock in nanoseconds; see [`Nic::clock_ns`](super::Nic::clock_ns).
    pub time_ns: u64,
    values: [u64; counter::ALL.len()],
}

impl Stats {
    /// The counter with this index, one of [`ferrule_abi::counter`]; 0 if there is none.
    pub fn get(&self, index: u32) -> u64 {
        let mut found = self.iter().filter(|(counter, _)| counter.index == index);
        found.next().map_or(0, |(_, value)| value)
    }

    /// All counters with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Counter, u64)> + '_ {
        counter::ALL.iter().zip(self.values)
    }

    /// Takes a snapshot.
    pub(crate) fn take(port: &mut Port) -> Result<Self, NicError> {
        let time_ns = clock::snapshot(port)?;
        let mut read64 = |low: u32, high: u32| -> Result<u64, NicError> {
            let low = port.read(low)?;
            Ok(u64::from(port.read(high)?) << 32 | u64::from(low))
        };
        let mut values = [0; counter::ALL.len()];
        for (value, counter) in values.iter_mut().zip(counter::ALL) {
            let low = regs::counters::REGISTER.offset_of(2 * counter.index);
            *value = read64(low, low + 4)?;
        }
        Ok(Self { time_ns, values })
    }
}

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Speed in Mbit/s, 0 if the hardware names one that is not defined.
    pub speed_mbps: u32,
}

impl Link {
    pub(crate) fn from_status(status: u32) -> Self {
        let speeds = [10, 100, 1000];
        let speed = regs::status::SPEED.get(status) as usize;
        Self {
            up: regs::status::LINK_UP.get(status) == 1,
            speed_mbps: speeds.get(speed).copied().unwrap_or(0),
        }
    }
}

/// What this build of the hardware can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// IPv4 header checksums checked and inserted.
    pub ip_checksum: bool,
    /// TCP and UDP checksums checked and inserted.
    pub l4_checksum: bool,
    /// IP packets sent with an Ethernet header made by the hardware, ARP included.
    pub ip_mode: bool,
    /// Received and sent frames with timestamps from a clock that can be stepped and trimmed.
    pub timestamps: bool,
    /// TCP segmentation.
    pub tso: bool,
    /// 802.1Q tags of received frames looked behind, taken out and filtered.
    pub vlan: bool,
    /// Received IPv4 packets come with a Toeplitz hash.
    pub hash: bool,
    /// 802.1Q tags inserted.
    pub vlan_insert: bool,
    /// Multicast addresses filtered.
    pub multicast: bool,
    /// Entries of the ARP cache read, added and deleted.
    pub arp_entries: bool,
    /// Flow control by PAUSE frames.
    pub pause: bool,
    /// MTU of 9,000.
    pub jumbo: bool,
    /// PUSH mode.
    pub push: bool,
    /// Nothing but PUSH mode: the driver takes it whatever the configuration says.
    pub push_only: bool,
    /// ICMP echo requests answered.
    pub echo: bool,
    /// TCP and UDP checksums of IPv6 packets without extension headers checked, and inserted in raw frames; IPv6 frames hashed.
    pub ipv6: bool,
    /// Number of queue pairs.
    pub queues: u8,
}

impl Caps {
    pub(crate) fn from_register(value: u32) -> Self {
        use regs::caps as c;
        let has = |field: ferrule_abi::Field| field.get(value) == 1;
        Self {
            ip_checksum: has(c::IP_CSUM),
            l4_checksum: has(c::L4_CSUM),
            ip_mode: has(c::IP_MODE) && has(c::ARP),
            timestamps: has(c::TIMESTAMPS),
            tso: has(c::TSO),
            vlan: has(c::VLAN),
            hash: has(c::HASH),
            vlan_insert: has(c::VLAN_INSERT),
            multicast: has(c::MULTICAST),
            arp_entries: has(c::ARP_ENTRIES),
            pause: has(c::PAUSE),
            jumbo: has(c::JUMBO),
            push: has(c::PUSH),
            push_only: has(c::PUSH_ONLY),
            echo: has(c::ECHO),
            ipv6: has(c::IPV6),
            queues: c::QUEUES.get(value) as u8,
        }
    }
}

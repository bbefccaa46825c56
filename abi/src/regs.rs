//! The register map of one port: 32-bit registers, aligned, little endian, no side effect on read.
//!
//! Port p starts at BAR0 + p x 1 MiB. The port's own registers come first; each queue has a 4 KiB page of its own, so that a doorbell
//! can be given to a process without the rest: page [`queue_page`]`(0)` is the event queue, `queue_page(1 + 2i)` transmit queue i,
//! `queue_page(2 + 2i)` receive queue i.
use crate::table::regs;

/// What [`magic`] reads: never all-ones, so that a removed device is told from a busy one ("FRUL" as bytes in memory).
pub const MAGIC: u32 = 0x4C55_5246;
/// Version of this register map: major in the upper half, minor in the lower. A driver refuses another major.
pub const VERSION: u32 = 0x0001_0000;
/// What [`caps`] reads of a build that has PUSH mode alone; its reset value in the table is that of the whole NIC.
pub const CAPS_PUSH_ONLY: u32 = caps::REGISTER.reset
    & !(caps::TSO.mask() | caps::JUMBO.mask() | caps::QUEUES.mask())
    | caps::PUSH_ONLY.mask()
    | 1 << caps::QUEUES.lo;
/// Byte offset in BAR0 of the first queue page.
pub const QUEUE_PAGES: u32 = 0x1_0000;
/// Bytes from one queue page to the next.
pub const QUEUE_PAGE_SIZE: u32 = 0x1000;
/// How many local addresses a port has.
pub const LOCAL_ADDRESSES: u32 = 8;
/// How many gateways a port has; NEXT_HOP n of an SQE means gateway n, 1 to 7.
pub const GATEWAYS: u32 = 7;
/// Queue pairs of the whole NIC; how many a build has, CAPS.QUEUES tells.
pub const QUEUE_PAIRS: u32 = 4;
/// Queue pages of the whole NIC: the event queue's and two for each pair.
pub const PAGES: u32 = 1 + 2 * QUEUE_PAIRS;
/// Entries of the indirection table.
pub const INDIRECTION_ENTRIES: u32 = 128;
/// Words of the key of the Toeplitz hash; IPv4 reaches the first four, IPv6 all.
pub const HASH_KEY_WORDS: u32 = 10;
/// Bytes of a push window.
pub const PUSH_WINDOW_BYTES: u32 = 2048;
/// Longest packet in PUSH mode: what its SQE leaves of the window.
pub const PUSH_MAX_PACKET: u32 = PUSH_WINDOW_BYTES - crate::ring::ENTRY_SIZE as u32;
/// Bytes of frames in PUSH mode that the device keeps, of each [`push_bytes`]: what does not fit when it is written ends as BAD_DESC, so
/// the host waits for completions.
pub const PUSH_BUFFER_BYTES: u32 = 4088;
/// Smallest ring, log2 of its entries.
pub const RING_LOG2_MIN: u32 = 4;
/// Largest ring, log2 of its entries.
pub const RING_LOG2_MAX: u32 = 14;

/// How many multicast addresses are received exactly; further ones by their hash.
pub const MULTICAST_ADDRESSES: u32 = 16;

/// The hash of a multicast address, 0 to 63: the upper six bits of the CRC-32 over its six bytes with the register as IEEE 802.3 clause
/// 3.2.9 has it (polynomial 0x04C11DB7, all ones first, each byte from bit 0 on), not complemented.
pub const fn multicast_hash(address: [u8; 6]) -> u32 {
    let mut crc = u32::MAX;
    let mut bit = 0;
    while bit < 48 {
        let data = (address[bit / 8] >> (bit % 8)) as u32 & 1;
        let feedback = crc >> 31 ^ data;
        crc = crc << 1 ^ if feedback != 0 { 0x04C1_1DB7 } else { 0 };
        bit += 1;
    }
    crc >> 26
}

/// Byte offset in BAR0 of queue page `page`.
pub const fn queue_page(page: u32) -> u32 {
    QUEUE_PAGES + page * QUEUE_PAGE_SIZE
}
/// Byte offset in BAR0 of the event queue's page.
pub const fn event_page() -> u32 {
    queue_page(0)
}
/// Byte offset in BAR0 of transmit queue `queue`'s page.
pub const fn tx_page(queue: u32) -> u32 {
    queue_page(1 + 2 * queue)
}
/// Byte offset in BAR0 of receive queue `queue`'s page.
pub const fn rx_page(queue: u32) -> u32 {
    queue_page(2 + 2 * queue)
}

/// Byte offset in BAR0 of transmit queue `queue`'s push window, in the upper half of its page: in PUSH mode the host writes an SQE there,
/// from the window's first byte on, and behind it the packet, filled up to a multiple of eight bytes.
pub const fn push_window(queue: u32) -> u32 {
    tx_page(queue) + PUSH_WINDOW_BYTES
}

/// The receive queue that the indirection table's words `table` have for a frame of hash `hash`.
pub const fn indirection_queue(table: &[u32; INDIRECTION_ENTRIES as usize / 16], hash: u32) -> u32 {
    let entry = hash % INDIRECTION_ENTRIES;
    table[entry as usize / 16] >> (2 * (entry % 16)) & 3
}

/// Values of a queue STATUS register's ERROR field.
pub mod queue_error {
    /// No error.
    pub const NONE: u32 = 0;
    /// A doorbell with an index that cannot be: the producer passes the consumer by more than the ring, or the consumer passes the producer.
    pub const BAD_INDEX: u32 = 1;
    /// A ring fetch or a completion write was refused on the bus.
    pub const DMA: u32 = 2;
    /// A receive slot number beyond SLOT_CFG.COUNT.
    pub const BAD_SLOT: u32 = 3;
    /// The queue was enabled with a ring size outside 2^4 to 2^14, a slot size outside 2^11 to 2^14, or a transmit queue with PUSH beside another
    /// one, or beside one with PUSH.
    pub const BAD_SETUP: u32 = 4;
}

/// Bytes that a packet of `len` bytes takes of [`PUSH_BUFFER_BYTES`]: filled up to a multiple of eight, and eight more.
pub const fn push_bytes(len: u32) -> u32 {
    8 + len.next_multiple_of(8)
}

/// Values of ARP_CMD's field OP; others do nothing.
pub mod arp_op {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// Reads the entry at PLACE to the registers ARP_ENTRY_ADDR to ARP_ENTRY.
    pub const READ: u32 = 1;
    /// Adds a static entry for ARP_ADDR, or makes the one there is static: it does not age, FLUSH leaves it, and no packet changes it. The
    /// last way of each set stays free of them. A request under way for the address is answered by it (NEIGH_RESOLVED).
    pub const ADD: u32 = 2;
    /// Deletes the entry of ARP_ADDR, static or not. A request under way for it has failed (NEIGH_FAILED).
    pub const DELETE: u32 = 3;
    /// Sends one ARP announcement: a request from ARP_ADDR for ARP_ADDR (RFC 5227 section 2.3). While CTRL.TX_EN is clear, nothing.
    pub const ANNOUNCE: u32 = 4;
    /// Sends one ARP probe: a request from 0.0.0.0 for ARP_ADDR (RFC 5227 section 2.1.1). While CTRL.TX_EN is clear, nothing.
    pub const PROBE: u32 = 5;
}

/// Values of ARP_ENTRY's field RESULT.
pub mod arp_result {
    /// It is done.
    pub const DONE: u32 = 0;
    /// DELETE: there is no such entry.
    pub const ABSENT: u32 = 1;
    /// ADD: the ways of its set that may hold static entries are static or being asked for; or the address is 0.
    pub const FULL: u32 = 2;
}

regs! {
    bank Port PORT "The port's own registers." {
        magic "MAGIC" @ 0x000 [1; 4] reset 0x4C55_5246, "Identity of the device; never all-ones." { VALUE [0; 32] Ro "The value [`super::MAGIC`]." }
        version "VERSION" @ 0x004 [1; 4] reset 0x0001_0000, "Version of the register map." { MINOR [0; 16] Ro "Minor: additions only.", MAJOR [16; 16] Ro "Major: a driver refuses another one." }
        caps "CAPS" @ 0x008 [1; 4] reset 0x000F_F4FF, "What this build of the hardware can do." {
            IP_CSUM [0; 1] Ro "IPv4 header checksum checked and inserted.",
            L4_CSUM [1; 1] Ro "TCP and UDP checksum checked and inserted.",
            ARP [2; 1] Ro "ARP answered, cached and requested; IP-mode transmit.",
            IP_MODE [3; 1] Ro "Ethernet header made by the hardware.",
            TSO [4; 1] Ro "TCP segmentation: SQEs with TSO.",
            PUSH [5; 1] Ro "PUSH mode for slow links: frames without a read of host memory, TX_CFG.PUSH and RX_CFG.IN_ORDER.",
            TIMESTAMPS [6; 1] Ro "Receive and transmit timestamps from a clock that can be stepped and trimmed.",
            VLAN [7; 1] Ro "802.1Q tags looked behind, stripped and filtered on receive.",
            QUEUES [8; 4] Ro "Number of queue pairs.",
            MULTICAST [12; 1] Ro "Multicast filter: exact addresses and a hash.",
            JUMBO [13; 1] Ro "Frames of 9,018 bytes with FCS at line rate, 9,022 with a tag.",
            VLAN_INSERT [14; 1] Ro "802.1Q tags inserted on transmit.",
            HASH [15; 1] Ro "Toeplitz hash of received IPv4 frames.",
            ARP_ENTRIES [16; 1] Ro "Entries of the ARP cache are read, added and deleted by command.",
            PAUSE [17; 1] Ro "Flow control by PAUSE frames, both ways.",
            ECHO [18; 1] Ro "ICMP echo requests answered, RXCTL.ECHO.",
            IPV6 [19; 1] Ro "TCP and UDP checksum of IPv6 packets without extension headers checked and inserted, Toeplitz hash of received IPv6 frames.",
            PUSH_ONLY [20; 1] Ro "PUSH mode and slots in their order alone, whatever TX_CFG.PUSH and RX_CFG.IN_ORDER say: such a build reads no memory, and has neither TSO nor JUMBO.",
        }
        ctrl "CTRL" @ 0x010 [1; 4] reset 0x0000_0000, "Control of the port." {
            RESET [0; 1] Wo "Write 1: stop, wait for outstanding reads (or 50 ms), clear everything but the MAC address, the clock's rate and steps included; STATUS.RESETTING tells when it is done.",
            RX_EN [1; 1] Rw "Frames from the wire are accepted.",
            TX_EN [2; 1] Rw "Frames are sent, ARP and echo answers included.",
            LOOPBACK [3; 1] Rw "What is sent is received, inside the MAC; nothing reaches the wire.",
        }
        status "STATUS" @ 0x014 [1; 4] reset 0x0000_0000, "State of the port." {
            RESETTING [0; 1] Ro "A reset is under way.",
            LINK_UP [1; 1] Ro "The PHY reports a link.",
            SPEED [2; 2] Ro "0: 10, 1: 100, 2: 1000 Mbit/s.",
            SNAPSHOT_BUSY [4; 1] Ro "Counters are being copied.",
        }
        scratch "SCRATCH" @ 0x018 [1; 4] reset 0x0000_0000, "For tests: keeps what is written." { VALUE [0; 32] Rw "Any value." }
        snapshot "SNAPSHOT" @ 0x01C [1; 4] reset 0x0000_0000, "Copies all counters and the clock to their shadow registers." { TAKE [0; 1] Wo "Write 1 to copy; STATUS.SNAPSHOT_BUSY clears when it is done." }
        time_lo "TIME_LO" @ 0x020 [1; 4] reset 0x0000_0000, "Shadow of the clock as CLOCK_STEP and CLOCK_RATE have set it, low half." { NS [0; 32] Ro "Nanoseconds, bits 31:0, at the last SNAPSHOT." }
        time_hi "TIME_HI" @ 0x024 [1; 4] reset 0x0000_0000, "Shadow of the clock as CLOCK_STEP and CLOCK_RATE have set it, high half." { NS [0; 32] Ro "Nanoseconds, bits 63:32, at the last SNAPSHOT." }
        bad_access "BAD_ACCESS" @ 0x028 [1; 4] reset 0x0000_0000, "Register accesses that were refused: wrong size, misaligned, or outside." { COUNT [0; 16] Ro "How many, saturating." }
        mac_lo "MAC_LO" @ 0x030 [1; 4] reset 0x0000_0000, "MAC address, first four bytes; its reset value comes from the board (EEPROM, DNA or seed)." { BYTES [0; 32] Rw "Byte 0 of the address (the first on the wire) in bits 7:0." }
        mac_hi "MAC_HI" @ 0x034 [1; 4] reset 0x0000_0000, "MAC address, last two bytes." { BYTES [0; 16] Rw "Byte 4 in bits 7:0, byte 5 in bits 15:8." }
        rxctl "RXCTL" @ 0x038 [1; 4] reset 0x05EE_0002, "What the receiver accepts." {
            PROMISC [0; 1] Rw "Every destination address.",
            BROADCAST [1; 1] Rw "The broadcast address.",
            ALL_MULTICAST [2; 1] Rw "Every multicast address.",
            KEEP_BAD_FCS [3; 1] Rw "Deliver frames with a bad FCS, marked FCS_ERR.",
            KEEP_BAD_L4 [4; 1] Rw "Deliver TCP/UDP packets with a bad checksum (CSUM_VALID set, L4_OK clear).",
            KEEP_BAD_IP [5; 1] Rw "Deliver frames with a bad IPv4 or IPv6 header (IPV4 or IPV6 set, IP_OK clear).",
            DELIVER_ARP [6; 1] Rw "Deliver ARP frames to the host too.",
            VLAN_STRIP [7; 1] Rw "Take the outermost 802.1Q tag (EtherType 0x8100) out of a frame; its completion says VLAN and holds the TCI.",
            VLAN_FILTER [8; 1] Rw "Of frames with an 802.1Q tag only those of VLANs that are in the VLAN table; frames without one pass.",
            ECHO [9; 1] Rw "Answer ICMP echo requests to a LOCAL_ADDR; the host does not see those that are answered. Others go the usual way, as do those that find both places for answers taken.",
            MAX_FRAME [16; 14] Rw "Longest frame accepted in bytes, with FCS; 1518 after reset.",
        }
        arpctl "ARPCTL" @ 0x03C [1; 4] reset 0x0000_0007, "Control of the ARP engine." {
            ANSWER [0; 1] Rw "Answer requests for a local address.",
            LEARN [1; 1] Rw "Learn the sender of a request addressed to a local address.",
            REFRESH [2; 1] Rw "Refresh an entry that is in the cache from any ARP packet (RFC 826 merge). With LEARN and REFRESH clear, nothing but the reply to a request of the NIC's own changes the cache.",
            DEFEND [3; 1] Rw "With an ADDRESS_CONFLICT event, send one announcement of the address (RFC 5227 section 2.4 (b)).",
            FLUSH [8; 1] Wo "Write 1 to forget all entries but static ones and those being asked for.",
        }
        arptime "ARPTIME" @ 0x040 [1; 4] reset 0x03BA_DF60, "Times of the ARP engine, in ticks of 2^20 ns." {
            AGE [0; 16] Rw "An entry that is not static is forgotten this many ticks after it was last confirmed; 57184 (60 s) after reset.",
            RETRY [16; 12] Rw "A request is repeated after this many ticks; 954 (1 s) after reset. After three it has failed.",
        }
        mdio_cmd "MDIO_CMD" @ 0x060 [1; 4] reset 0x0000_0000, "Asks for a transfer on the PHY's management interface (IEEE 802.3 clause 22)." {
            DATA [0; 16] Rw "What to write.",
            REGAD [16; 5] Rw "Register.",
            PHYAD [21; 5] Rw "Address of the PHY.",
            WRITE [26; 1] Rw "1: write; 0: read.",
            START [31; 1] Wo "Write 1 to begin; ignored while MDIO.BUSY is set.",
        }
        mdio "MDIO" @ 0x064 [1; 4] reset 0x0000_0000, "Result of the transfer that MDIO_CMD began." {
            DATA [0; 16] Ro "What was read, 0xFFFF where no PHY answers; after a write without meaning.",
            BUSY [31; 1] Ro "The transfer is under way; CTRL.RESET does not end it.",
        }
        local_addr "LOCAL_ADDR" @ 0x080 [8; 8] reset 0x0000_0000, "Local IPv4 address n." { ADDR [0; 32] Rw "a.b.c.d with a in bits 31:24; 0.0.0.0 means unused." }
        local_mask "LOCAL_MASK" @ 0x084 [8; 8] reset 0x0000_0000, "Subnet mask of local address n." { MASK [0; 32] Rw "Contiguous ones from bit 31." }
        gateway "GATEWAY" @ 0x0C4 [7; 4] reset 0x0000_0000, "Gateway n, 1 to 7 (gateway 1 is the default one)." { ADDR [0; 32] Rw "a.b.c.d with a in bits 31:24; 0.0.0.0 means none." }
        indirection "INDIRECTION" @ 0x0E0 [8; 4] reset 0x0000_0000, "Indirection table: which receive queue a frame goes to, by bits 6:0 of its hash; one without a hash goes by entry 0." { QUEUES [0; 32] Rw "Entry 16n + i in bits 2i + 1 to 2i: the receive queue's number; with CAPS.QUEUES 1 without effect." }
        mc_lo "MC_LO" @ 0x100 [16; 8] reset 0x0000_0000, "Multicast address n that is received, first four bytes; 0: none." { BYTES [0; 32] Rw "Byte 0 of the address (the first on the wire) in bits 7:0." }
        mc_hi "MC_HI" @ 0x104 [16; 8] reset 0x0000_0000, "Multicast address n, last two bytes." { BYTES [0; 16] Rw "Byte 4 in bits 7:0, byte 5 in bits 15:8." }
        mc_hash "MC_HASH" @ 0x180 [2; 4] reset 0x0000_0000, "Multicast addresses that are received by their hash h: the upper six bits of the CRC-32 (IEEE 802.3 clause 3.2.9) over the address, not complemented." { BITS [0; 32] Rw "Bit h mod 32 of register h / 32." }
        vlan_word "VLAN_WORD" @ 0x188 [1; 4] reset 0x0000_0000, "Which word of the VLAN table VLAN_BITS is." { NUMBER [0; 7] Rw "Identifiers 32 n to 32 n + 31." }
        vlan_bits "VLAN_BITS" @ 0x18C [1; 4] reset 0x0000_0000, "A word of the VLAN table, which a reset empties. Reads what was written last." { MEMBERS [0; 32] Rw "Bit i: frames of VLAN 32 n + i are received." }
        flow "FLOW" @ 0x190 [1; 4] reset 0x0000_0000, "Flow control by PAUSE frames (IEEE 802.3 annex 31B), as the autonegotiation of pause has it." {
            RX_PAUSE [0; 1] Rw "A PAUSE frame to 01-80-C2-00-00-01 or the MAC address keeps frames from starting for its pause time; it is not delivered.",
            TX_PAUSE [1; 1] Rw "A PAUSE frame of 65,535 quanta is sent when 12 KiB of the receive buffer are full, again about every 8 ms, and one of 0 when less than 4 KiB are.",
        }
        hash_key "HASH_KEY" @ 0x1A0 [10; 4] reset 0x0000_0000, "Bytes 4n to 4n + 3 of the Toeplitz hash's key; with a key of zeros each hash is 0." { BYTES [0; 32] Rw "Byte 4n of the key in bits 7:0; written while CTRL.RX_EN is clear." }
        clock_rate "CLOCK_RATE" @ 0x1C8 [1; 4] reset 0x0000_0000, "Rate of the clock against the device's time." { RATE [0; 24] Rw "Signed: 2^-32 ns (0.23 parts in 10^9) that the clock gains in each nanosecond; up to 1,953 parts in 10^6." }
        clock_step "CLOCK_STEP" @ 0x1CC [1; 4] reset 0x0000_0000, "A write adds to the clock. Reads what was written last." { NS [0; 32] Rw "Nanoseconds, signed." }
        clock_step_hi "CLOCK_STEP_HI" @ 0x1D0 [1; 4] reset 0x0000_0000, "A write adds to the upper half of the clock. Reads what was written last." { WORD [0; 32] Rw "Units of 2^32 ns, modulo 2^32." }
        arp_addr "ARP_ADDR" @ 0x1E0 [1; 4] reset 0x0000_0000, "Whose entry ARP_CMD adds or deletes, or what it announces or probes for." { ADDR [0; 32] Rw "a.b.c.d with a in bits 31:24; written while ARP_ENTRY.BUSY is clear." }
        arp_mac_lo "ARP_MAC_LO" @ 0x1E4 [1; 4] reset 0x0000_0000, "MAC address of the entry that ARP_CMD adds, first four bytes." { BYTES [0; 32] Rw "Byte 0 of the address (the first on the wire) in bits 7:0; written while ARP_ENTRY.BUSY is clear." }
        arp_mac_hi "ARP_MAC_HI" @ 0x1E8 [1; 4] reset 0x0000_0000, "MAC address of the entry that ARP_CMD adds, last two bytes." { BYTES [0; 16] Rw "Byte 4 in bits 7:0, byte 5 in bits 15:8." }
        arp_cmd "ARP_CMD" @ 0x1EC [1; 4] reset 0x0000_0000, "A write begins a command for the ARP cache; ignored while ARP_ENTRY.BUSY is set." {
            OP [0; 3] Rw "1 READ: shows the entry at PLACE; 2 ADD: adds a static entry for ARP_ADDR, or makes the one there is static; 3 DELETE: deletes the entry of ARP_ADDR; 4 ANNOUNCE, 5 PROBE: sends an ARP announcement of ARP_ADDR or a probe for it; see `arp_op`. Others do nothing.",
            PLACE [8; 8] Rw "Which entry READ shows: 4s to 4s + 3 are the ways of set s, for addresses a.b.c.d with (c xor d) and 63 = s; of these, the last is never static.",
        }
        arp_entry_addr "ARP_ENTRY_ADDR" @ 0x1F0 [1; 4] reset 0x0000_0000, "The entry that was read last: its IPv4 address." { ADDR [0; 32] Ro "a.b.c.d with a in bits 31:24; 0: the entry is free, and the other words are 0 too." }
        arp_entry_age "ARP_ENTRY_AGE" @ 0x1F4 [1; 4] reset 0x0000_0000, "The entry that was read last: its age." { TICKS [0; 32] Ro "Ticks of 2^20 ns since it was confirmed, asked for or added last, modulo 2^32." }
        arp_entry_mac "ARP_ENTRY_MAC" @ 0x1F8 [1; 4] reset 0x0000_0000, "The entry that was read last: its MAC address, first four bytes." { BYTES [0; 32] Ro "Byte 0 of the address in bits 7:0; 0 while it is asked for." }
        arp_entry "ARP_ENTRY" @ 0x1FC [1; 4] reset 0x0000_0000, "What became of the last command; for READ, the rest of the entry." {
            MAC_HI [0; 16] Ro "Byte 4 of its MAC address in bits 7:0, byte 5 in bits 15:8; 0 while it is asked for, and after ADD and DELETE.",
            PENDING [16; 1] Ro "It is being asked for. 0 after ADD and DELETE.",
            STATIC [17; 1] Ro "It is static. 0 after ADD and DELETE.",
            RESULT [24; 2] Ro "0: done; 1: there is no entry to be deleted; 2: no way of the set can take a static entry now, or the address is 0.",
            BUSY [31; 1] Ro "The command is under way.",
        }
        counters "COUNTER" @ 0x200 [64; 4] reset 0x0000_0000, "Shadow of the counters: counter n's low half at 0x200 + 8n, its high half 4 bytes further." { VALUE [0; 32] Ro "Half of a 64-bit counter at the last SNAPSHOT." }
    }
    bank Event EVENT "A page of the event queue." {
        event_doorbell "DOORBELL" @ 0x000 [1; 4] reset 0x0000_0000, "Tells the device how far the host has read; see `ring::Doorbell`." { PRODUCER [0; 15] Wo "Ignored.", CONSUMER [16; 15] Wo "Event ring consumer, free running modulo 2^15.", ARM [31; 1] Wo "Raise the vector at the next entry beyond CONSUMER." }
        event_ctrl "CTRL" @ 0x004 [1; 4] reset 0x0000_0000, "Control of the queue." { ENABLE [0; 1] Rw "1: run. Setting it from 0 starts with all indices 0 and clears the error." }
        event_status "STATUS" @ 0x008 [1; 4] reset 0x0000_0000, "State of the queue. While RUNNING is set, writes to CFG and the registers behind it are ignored." { RUNNING [0; 1] Ro "The queue runs, or is still finishing after ENABLE was cleared.", ERROR [4; 4] Ro "A value of `queue_error`." }
        event_cfg "CFG" @ 0x00C [1; 4] reset 0x0000_0000, "Ring size and vector; set while disabled." { CQ_LOG2 [8; 4] Rw "Event ring size, log2 of entries.", VECTOR [16; 4] Rw "MSI-X vector." }
        event_cq_base_lo "CQ_BASE_LO" @ 0x018 [1; 4] reset 0x0000_0000, "IOVA of the event ring, low half." { ADDR [6; 26] Rw "Bits 31:6; 64-byte aligned." }
        event_cq_base_hi "CQ_BASE_HI" @ 0x01C [1; 4] reset 0x0000_0000, "IOVA of the event ring, high half." { ADDR [0; 32] Rw "Bits 63:32." }
    }
    bank Tx TX "A page of a transmit queue." {
        tx_doorbell "DOORBELL" @ 0x000 [1; 4] reset 0x0000_0000, "Tells the device of new SQEs and how far the host has read the TXCQ; see `ring::Doorbell`." { PRODUCER [0; 15] Wo "SQ producer, free running modulo 2^15.", CONSUMER [16; 15] Wo "TXCQ consumer, free running modulo 2^15.", ARM [31; 1] Wo "Raise the vector at the next entry beyond CONSUMER." }
        tx_ctrl "CTRL" @ 0x004 [1; 4] reset 0x0000_0000, "Control of the queue." { ENABLE [0; 1] Rw "1: run. Setting it from 0 starts with all indices 0 and clears the error." }
        tx_status "STATUS" @ 0x008 [1; 4] reset 0x0000_0000, "State of the queue. While RUNNING is set, writes to CFG and the registers behind it are ignored." { RUNNING [0; 1] Ro "The queue runs, or is still finishing after ENABLE was cleared.", ERROR [4; 4] Ro "A value of `queue_error`." }
        tx_cfg "CFG" @ 0x00C [1; 4] reset 0x0000_0000, "Ring sizes and vector; set while disabled." { SQ_LOG2 [0; 4] Rw "SQ size, log2 of entries.", CQ_LOG2 [8; 4] Rw "TXCQ size, log2 of entries.", VECTOR [16; 4] Rw "MSI-X vector.", PUSH [24; 1] Rw "No SQ: the host writes each SQE and its packet into the push window, the upper half of the page. Transmit queue 0 alone has it, and while it runs so no other one may run (BAD_SETUP)." }
        tx_sq_base_lo "SQ_BASE_LO" @ 0x010 [1; 4] reset 0x0000_0000, "IOVA of the SQ, low half." { ADDR [7; 25] Rw "Bits 31:7; 128-byte aligned." }
        tx_sq_base_hi "SQ_BASE_HI" @ 0x014 [1; 4] reset 0x0000_0000, "IOVA of the SQ, high half." { ADDR [0; 32] Rw "Bits 63:32." }
        tx_cq_base_lo "CQ_BASE_LO" @ 0x018 [1; 4] reset 0x0000_0000, "IOVA of the TXCQ, low half." { ADDR [6; 26] Rw "Bits 31:6; 64-byte aligned." }
        tx_cq_base_hi "CQ_BASE_HI" @ 0x01C [1; 4] reset 0x0000_0000, "IOVA of the TXCQ, high half." { ADDR [0; 32] Rw "Bits 63:32." }
    }
    bank Rx RX "A page of a receive queue." {
        rx_doorbell "DOORBELL" @ 0x000 [1; 4] reset 0x0000_0000, "Tells the device of new slots and how far the host has read the RXCQ; see `ring::Doorbell`." { PRODUCER [0; 15] Wo "RXQ producer, free running modulo 2^15.", CONSUMER [16; 15] Wo "RXCQ consumer, free running modulo 2^15.", ARM [31; 1] Wo "Raise the vector at the next entry beyond CONSUMER." }
        rx_ctrl "CTRL" @ 0x004 [1; 4] reset 0x0000_0000, "Control of the queue." { ENABLE [0; 1] Rw "1: run. Setting it from 0 starts with all indices 0 and clears the error." }
        rx_status "STATUS" @ 0x008 [1; 4] reset 0x0000_0000, "State of the queue. While RUNNING is set, writes to CFG and the registers behind it are ignored." { RUNNING [0; 1] Ro "The queue runs, or is still finishing after ENABLE was cleared.", ERROR [4; 4] Ro "A value of `queue_error`." }
        rx_cfg "CFG" @ 0x00C [1; 4] reset 0x0000_0000, "Ring sizes and vector; set while disabled." { RXQ_LOG2 [0; 4] Rw "RXQ size, log2 of entries.", CQ_LOG2 [8; 4] Rw "RXCQ size, log2 of entries.", VECTOR [16; 4] Rw "MSI-X vector.", IN_ORDER [24; 1] Rw "No RXQ: slots are used in their order, index modulo RXQ size.", DROP [25; 1] Rw "A frame for which the host has given no slot, or left no room in the RXCQ, is forgotten (RX_DROP_NO_SLOT, and DROPPED_BEFORE in the queue's next completion). Otherwise it waits in the receive buffer, and with it what follows for other queues." }
        rx_rxq_base_lo "RXQ_BASE_LO" @ 0x010 [1; 4] reset 0x0000_0000, "IOVA of the RXQ (a ring of u16 slot numbers), low half." { ADDR [7; 25] Rw "Bits 31:7; 128-byte aligned." }
        rx_rxq_base_hi "RXQ_BASE_HI" @ 0x014 [1; 4] reset 0x0000_0000, "IOVA of the RXQ, high half." { ADDR [0; 32] Rw "Bits 63:32." }
        rx_cq_base_lo "CQ_BASE_LO" @ 0x018 [1; 4] reset 0x0000_0000, "IOVA of the RXCQ, low half." { ADDR [6; 26] Rw "Bits 31:6; 64-byte aligned." }
        rx_cq_base_hi "CQ_BASE_HI" @ 0x01C [1; 4] reset 0x0000_0000, "IOVA of the RXCQ, high half." { ADDR [0; 32] Rw "Bits 63:32." }
        rx_slot_base_lo "SLOT_BASE_LO" @ 0x020 [1; 4] reset 0x0000_0000, "IOVA of receive slot 0, low half." { ADDR [11; 21] Rw "Bits 31:11; 2 KiB aligned." }
        rx_slot_base_hi "SLOT_BASE_HI" @ 0x024 [1; 4] reset 0x0000_0000, "IOVA of receive slot 0, high half." { ADDR [0; 32] Rw "Bits 63:32." }
        rx_slot_cfg "SLOT_CFG" @ 0x028 [1; 4] reset 0x0000_000B, "Receive slots." { STRIDE_LOG2 [0; 4] Rw "Distance between slots and size of one, log2 of bytes: 11 (2 KiB) to 14.", COUNT [16; 15] Rw "Number of slots." }
    }
}

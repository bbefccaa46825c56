//! The contract as a C header, printed from the tables: for drivers and firmware in C99 and C++.
use crate::bank::{BankInfo, BANKS};
use crate::ring::{cqe_status, doorbell, event_code, sqe_flags, ENTRY_SIZE};
use crate::{counter, regs, Field};
use core::fmt::{Display, Formatter, Result, Write};

/// Displays as the text of a header `ferrule.h`.
pub struct CHeader;

/// A name in capitals.
struct Capitals(&'static str);

impl Display for Capitals {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0
            .chars()
            .try_for_each(|c| f.write_char(c.to_ascii_uppercase()))
    }
}

/// Writes names with the values that the crate's constants of the same names have.
macro_rules! values {
    ($f:ident, $prefix:literal, $module:ident: $($name:ident)*) => {
        $( writeln!($f, concat!("#define FERRULE_", $prefix, "_", stringify!($name), " 0x{:X}u"), $module::$name)?; )*
    };
}

fn field(f: &mut Formatter<'_>, prefix: &str, name: &str, field: Field) -> Result {
    writeln!(f, "#define FERRULE_{prefix}_{name}_SHIFT {}", field.lo)?;
    writeln!(
        f,
        "#define FERRULE_{prefix}_{name}_MASK 0x{:08X}u",
        field.mask()
    )
}

fn bank(f: &mut Formatter<'_>, bank: &BankInfo) -> Result {
    let page = if bank.base == 0 {
        "BAR0"
    } else {
        "the queue's page"
    };
    writeln!(f, "\n/* {} Offsets from {page}. */", bank.doc)?;
    for r in bank.registers {
        writeln!(f, "\n/* {} */", r.doc)?;
        if r.count == 1 {
            writeln!(
                f,
                "#define FERRULE_{}_{} 0x{:03X}u",
                bank.name, r.name, r.offset
            )?;
        } else {
            writeln!(
                f,
                "#define FERRULE_{}_{}(n) (0x{:03X}u + {}u * (n))",
                bank.name, r.name, r.offset, r.stride
            )?;
            writeln!(
                f,
                "#define FERRULE_{}_{}_COUNT {}u",
                bank.name, r.name, r.count
            )?;
        }
        writeln!(
            f,
            "#define FERRULE_{}_{}_RESET 0x{:08X}u",
            bank.name, r.name, r.reset
        )?;
        for x in r.fields {
            writeln!(f, "/* {} */", x.doc)?;
            write!(f, "#define FERRULE_{}_{}", bank.name, r.name)?;
            writeln!(f, "_{}_SHIFT {}", x.name, x.field.lo)?;
            write!(f, "#define FERRULE_{}_{}", bank.name, r.name)?;
            writeln!(f, "_{}_MASK 0x{:08X}u", x.name, x.field.mask())?;
        }
    }
    Ok(())
}

/// The entries of rings, each with a check of its size and of where its members are.
const ENTRIES: &str = "
/* Entries of rings: little endian. */
struct ferrule_sqe {
    uint64_t iova;     /* IOVA of the data, any alignment */
    uint16_t len;      /* bytes, 1 to 65535 */
    uint16_t flags;    /* FERRULE_SQE_ */
    uint16_t vlan_tci; /* tag for VLAN_INS */
    uint16_t mss;      /* payload bytes of a segment for TSO */
};
struct ferrule_cqe {
    uint16_t len;       /* receive: bytes without FCS */
    uint16_t status;    /* FERRULE_CQE_ */
    uint32_t hash;      /* receive: flow hash; ARP_MISS: the next hop's address */
    uint32_t timestamp; /* if TS_VALID: clock in nanoseconds, low 32 bits */
    uint16_t offsets;   /* TCI if VLAN; else those of L3 and L4 in half-words */
    uint16_t index;     /* bits 14:0: slot or SQ index; bit 15: the phase */
};
struct ferrule_event {
    uint16_t code;      /* FERRULE_EVENT_ */
    uint16_t detail;
    uint32_t address;   /* IPv4, a.b.c.d with a in bits 31:24 */
    uint32_t timestamp;
    uint32_t phase;     /* bit 31 */
};
";

impl Display for CHeader {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "/* The Ferrule NIC: registers, ring entries, counters. Printed from the tables of the crate ferrule-abi by")?;
        writeln!(f, " * `ferrule regs export --format c`; do not edit. 32-bit registers, aligned, little endian; a read has no side effect. */")?;
        writeln!(
            f,
            "#ifndef FERRULE_H\n#define FERRULE_H\n\n#include <stddef.h>\n#include <stdint.h>\n"
        )?;
        for (name, value) in [
            ("PCI_VENDOR", crate::PCI_VENDOR.into()),
            ("PCI_DEVICE", crate::PCI_DEVICE.into()),
            ("BAR_REGS", crate::BAR_REGS.into()),
            ("BAR_MSIX", crate::BAR_MSIX.into()),
            ("MAX_PORTS", crate::MAX_PORTS.into()),
            ("MSIX_VECTORS", crate::MSIX_VECTORS.into()),
            ("MAGIC", regs::MAGIC),
            ("VERSION", regs::VERSION),
            ("QUEUE_PAIRS", regs::QUEUE_PAIRS),
            ("INDIRECTION_ENTRIES", regs::INDIRECTION_ENTRIES),
            ("RING_LOG2_MIN", regs::RING_LOG2_MIN),
            ("RING_LOG2_MAX", regs::RING_LOG2_MAX),
            ("EVENT_PAGE", regs::event_page()),
            ("INDEX_MODULUS", crate::ring::INDEX_MODULUS),
        ] {
            writeln!(f, "#define FERRULE_{name} 0x{value:X}u")?;
        }
        let (port, vectors) = (crate::port_offset(1), crate::port_vector(1));
        writeln!(
            f,
            "\n/* Where in BAR0 the registers of port p are, and its first MSI-X vector. */"
        )?;
        writeln!(f, "#define FERRULE_PORT_OFFSET(p) (0x{port:X}u * (p))")?;
        writeln!(f, "#define FERRULE_PORT_VECTOR(p) ({vectors}u * (p))")?;
        let (tx, rx) = (regs::tx_page(0), regs::rx_page(0));
        let stride = regs::tx_page(1) - tx;
        writeln!(
            f,
            "\n/* Pages of transmit and receive queue i, from the port on; PORT_CAPS_QUEUES says how many pairs there are. */"
        )?;
        writeln!(
            f,
            "#define FERRULE_TX_PAGE(i) (0x{tx:X}u + 0x{stride:X}u * (i))"
        )?;
        writeln!(
            f,
            "#define FERRULE_RX_PAGE(i) (0x{rx:X}u + 0x{stride:X}u * (i))"
        )?;
        for info in &BANKS {
            bank(f, info)?;
        }
        writeln!(f, "\n/* The doorbell word of every queue. */")?;
        field(f, "DOORBELL", "PRODUCER", doorbell::PRODUCER)?;
        field(f, "DOORBELL", "CONSUMER", doorbell::CONSUMER)?;
        field(f, "DOORBELL", "ARM", doorbell::ARM)?;
        f.write_str(ENTRIES)?;
        for entry in ["sqe", "cqe", "event"] {
            writeln!(
                f,
                "typedef char ferrule_{entry}_has_its_size[sizeof(struct ferrule_{entry}) == {ENTRY_SIZE} ? 1 : -1];"
            )?;
        }
        for (entry, member, offset) in [
            ("sqe", "flags", 10),
            ("sqe", "mss", 14),
            ("cqe", "timestamp", 8),
            ("cqe", "index", 14),
            ("event", "address", 4),
        ] {
            writeln!(
                f,
                "typedef char ferrule_{entry}_{member}_is_in_its_place[offsetof(struct ferrule_{entry}, {member}) == {offset} ? 1 : -1];"
            )?;
        }
        writeln!(f, "\n/* Flags of an SQE. */")?;
        values!(f, "SQE", sqe_flags: SOP EOP RAW IPCS L4CS TSO VLAN_INS INLINE TS_REQ CPL_REQ NEXT_HOP_SHIFT);
        writeln!(f, "\n/* Status of a CQE. */")?;
        values!(f, "CQE", cqe_status: IP_OK L4_OK CSUM_VALID IPV4 TCP UDP FRAG VLAN FCS_ERR TRUNC ARP_MISS DMA_ERR BAD_DESC DROPPED_BEFORE TS_VALID IPV6);
        writeln!(f, "\n/* Codes of events. */")?;
        values!(f, "EVENT_CODE", event_code: NEIGH_RESOLVED NEIGH_FAILED LINK QUEUE_ERROR ADDRESS_CONFLICT);
        writeln!(
            f,
            "\n/* Indices of counters: PORT_COUNTER(2 n) is the low half of counter n. */"
        )?;
        for c in counter::ALL {
            writeln!(f, "/* {} */", c.doc)?;
            writeln!(
                f,
                "#define FERRULE_COUNTER_{} {}u",
                Capitals(c.name),
                c.index
            )?;
        }
        writeln!(f, "\n#endif")
    }
}

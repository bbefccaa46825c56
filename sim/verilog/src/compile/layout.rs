//! Where nets and memories live in the state of a model.
use std::collections::{BTreeMap, BTreeSet};

use cranelift_codegen::ir::types::{I16, I32, I64, I8};
use cranelift_codegen::ir::Type;

use crate::netlist::{Design, MemoryId, NetId};
use crate::value::{limbs, Bits};

/// Most bits of a net that is one 32-bit word of the state.
pub(crate) const WORD: u32 = 32;

/// Type of the limbs that hold `width` bits in a register of the machine.
pub(crate) fn limb_type(width: u32) -> Type {
    if width <= WORD {
        I32
    } else {
        I64
    }
}

/// Type of what holds a memory's word, or each limb of it.
pub(crate) fn stored_type(width: u32) -> Type {
    match width {
        ..=8 => I8,
        9..=16 => I16,
        17..=32 => I32,
        _ => I64,
    }
}

/// Byte offsets into the state.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) nets: BTreeMap<NetId, i32>,
    /// Where results are put aside.
    pub(crate) aside: BTreeMap<NetId, i32>,
    pub(crate) memories: BTreeMap<MemoryId, i32>,
    pub(crate) bytes: usize,
}

impl Layout {
    /// Places the nets and memories. Nothing if they exceed what an offset reaches.
    pub(crate) fn new(
        design: &Design,
        nets: &BTreeSet<NetId>,
        aside: &BTreeSet<NetId>,
    ) -> Option<Self> {
        let mut layout = Self::default();
        let width = |net: &NetId| design.nets[*net].width;
        for net in nets {
            let at = layout.place(net_bytes(width(net)), 1)?;
            layout.nets.insert(*net, at);
        }
        for net in aside {
            let at = layout.place(net_bytes(width(net)), 1)?;
            layout.aside.insert(*net, at);
        }
        for (id, memory) in design.memories.iter().enumerate() {
            let at = layout.place(word_bytes(memory.width), memory.words)?;
            layout.memories.insert(id, at);
        }
        Some(layout)
    }

    fn place(&mut self, bytes: usize, count: u64) -> Option<i32> {
        let align = bytes.min(8);
        let at = self.bytes.next_multiple_of(align);
        self.bytes = at.checked_add(bytes.checked_mul(usize::try_from(count).ok()?)?)?;
        i32::try_from(self.bytes).ok()?;
        i32::try_from(at).ok()
    }

    /// The state before anything runs.
    pub(crate) fn initial(&self, design: &Design) -> Vec<u64> {
        let mut bytes = vec![0u8; self.bytes.next_multiple_of(8)];
        let mut put = |at: usize, value: &Bits, size: usize| {
            let all: Vec<u8> = value.limbs().iter().flat_map(|l| l.to_le_bytes()).collect();
            bytes[at..at + size].copy_from_slice(&all[..size]);
        };
        for (net, at) in &self.nets {
            if let Some(init) = &design.nets[*net].init {
                put(*at as usize, init, net_bytes(init.width()));
            }
        }
        for (id, at) in &self.memories {
            let memory = &design.memories[*id];
            let size = word_bytes(memory.width);
            for (index, value) in &memory.init {
                put(*at as usize + *index as usize * size, value, size);
            }
        }
        bytes
            .chunks_exact(8)
            .map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()))
            .collect()
    }
}

fn net_bytes(width: u32) -> usize {
    if width <= WORD {
        4
    } else {
        8 * limbs(width)
    }
}

pub(crate) fn word_bytes(width: u32) -> usize {
    match stored_type(width) {
        I64 => 8 * limbs(width),
        narrow => narrow.bytes() as usize,
    }
}

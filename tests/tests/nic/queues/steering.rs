//! Which receive queue a frame is for, worked out from its bytes.
use ferrule_abi::regs;
use ferrule_test_tools::toeplitz::toeplitz;
use rand::rngs::StdRng;
use rand::Rng;

const TAG_AT: usize = 12;
const TAG: [u8; 2] = [0x81, 0x00];
const L3_AT: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Key and table.
pub(super) struct Steering {
    pub(super) key: [u8; 40],
    /// The queue of each entry.
    pub(super) table: [u32; regs::INDIRECTION_ENTRIES as usize],
}

impl Steering {
    /// Some key; entries of all queues, of few, or of one.
    pub(super) fn new(random: &mut StdRng) -> Self {
        let key = match random.random_bool(0.9) {
            true => random.random(),
            false => [0; 40],
        };
        Self {
            key,
            table: Self::table(random),
        }
    }

    pub(super) fn table(random: &mut StdRng) -> [u32; regs::INDIRECTION_ENTRIES as usize] {
        let some: [u32; 4] = std::array::from_fn(|_| random.random_range(0..regs::QUEUE_PAIRS));
        let choice = random.random_range(1..=4);
        std::array::from_fn(|_| some[random.random_range(0..choice)])
    }

    /// The registers of the key, then those of the table.
    pub(super) fn registers(&self) -> Vec<(u32, u32)> {
        let key = self.key.chunks_exact(4).zip(0..).map(|(bytes, n)| {
            let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            (regs::hash_key::REGISTER.offset_of(n), word)
        });
        key.chain(self.table_registers()).collect()
    }

    pub(super) fn table_registers(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        // Sixteen entries of two bits a register, the first in the lowest.
        self.table.chunks_exact(16).zip(0..).map(|(entries, n)| {
            let word = entries
                .iter()
                .rev()
                .fold(0, |word, queue| word << 2 | queue);
            (regs::indirection::REGISTER.offset_of(n), word)
        })
    }

    /// The hash of a frame with right headers.
    pub(super) fn hash(&self, frame: &[u8]) -> u32 {
        let mut frame = frame.to_vec();
        if frame[TAG_AT..][..2] == TAG {
            frame.drain(TAG_AT..TAG_AT + 4);
        }
        let half = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let l3 = &frame[L3_AT..];
        let (mut input, protocol, l4) = match half(TAG_AT) {
            0x0800 => {
                let header = usize::from(l3[0] & 15) * 4;
                // More fragments, or an offset.
                let is_fragment = half(L3_AT + 6) & 0x3FFF != 0;
                let l4 = (!is_fragment).then_some(&l3[header..]);
                (l3[12..20].to_vec(), l3[9], l4)
            }
            0x86DD => (l3[8..40].to_vec(), l3[6], Some(&l3[40..])),
            _ => return 0,
        };
        if let Some(l4) = l4.filter(|_| matches!(protocol, TCP | UDP)) {
            input.extend(&l4[..4]);
        }
        toeplitz(&self.key, &input)
    }

    /// Its queue.
    pub(super) fn queue(&self, frame: &[u8]) -> u32 {
        self.table[(self.hash(frame) % regs::INDIRECTION_ENTRIES) as usize]
    }
}

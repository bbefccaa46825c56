//! Frame check sequence (IEEE 802.3 clause 3.2.9), a byte a clock.
use rust_hdl::prelude::*;

/// CRC-32 of the bytes since `clear`.
///
/// The register holds the complement, so that its power-up value 0 is the seed and its value is the FCS itself.
#[derive(LogicBlock)]
pub struct Fcs {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Start anew; wins over `enable`.
    pub clear: Signal<In, Bit>,
    /// `data` counts.
    pub enable: Signal<In, Bit>,
    /// The next byte.
    pub data: Signal<In, Bits<8>>,
    /// FCS of the bytes so far; bits 7:0 go first on the wire.
    pub value: Signal<Out, Bits<32>>,
    /// The bytes so far end in their right FCS.
    pub good: Signal<Out, Bit>,
    complement: DFF<Bits<32>>,
    term: [Signal<Local, Bits<32>>; 8],
    mask: [Constant<Bits<32>>; 8],
    offset: Constant<Bits<32>>,
    residue: Constant<Bits<32>>,
}

/// What a byte with only `byte`'s bits leaves in a cleared reflected CRC-32 register.
fn remainder(byte: u32) -> u32 {
    (0..8).fold(byte, |crc, _| (crc >> 1) ^ ((crc & 1) * 0xEDB8_8320))
}

impl Default for Fcs {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            enable: Default::default(),
            data: Default::default(),
            value: Default::default(),
            good: Default::default(),
            complement: Default::default(),
            term: Default::default(),
            mask: array_init::array_init(|bit| {
                Constant::new(u64::from(remainder(1 << bit)).into())
            }),
            // With n = !c: !((c >> 8) ^ T[c ^ d]) = (n >> 8) ^ T[n ^ d] ^ T[FF] ^ FF000000, T being linear.
            offset: Constant::new(u64::from(remainder(0xFF) ^ 0xFF00_0000).into()),
            // Complement of the register after a frame with its FCS, C704DD7B in the bit order of IEEE 802.3 clause 3.2.9.
            residue: Constant::new(u64::from(!0xC704_DD7B_u32.reverse_bits()).into()),
        }
    }
}

impl Logic for Fcs {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, complement);
        self.value.next = self.complement.q.val();
        self.good.next = self.complement.q.val() == self.residue.val();
        for i in 0..8 {
            self.term[i].next = 0.into();
            if self.complement.q.val().get_bit(i) ^ self.data.val().get_bit(i) {
                self.term[i].next = self.mask[i].val();
            }
        }
        if self.enable.val() {
            self.complement.d.next = (self.complement.q.val() >> 8)
                ^ self.offset.val()
                ^ self.term[0].val()
                ^ self.term[1].val()
                ^ self.term[2].val()
                ^ self.term[3].val()
                ^ self.term[4].val()
                ^ self.term[5].val()
                ^ self.term[6].val()
                ^ self.term[7].val();
        }
        if self.clear.val() {
            self.complement.d.next = 0.into();
        }
    }
}

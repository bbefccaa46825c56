//! The 32-bit FCS of RFC 1662 section C.3, which is that of Ethernet, a bit a clock.
use rust_hdl::prelude::*;

/// FCS of the bytes since `clear`; each takes eight clocks after the one with `enable`, in which no other may come.
///
/// The register holds the complement, as that of `mac::fcs` does.
#[derive(LogicBlock)]
pub struct SerialFcs {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Start anew, also in the middle of a byte; wins over `enable`.
    pub clear: Signal<In, Bit>,
    /// `data` counts.
    pub enable: Signal<In, Bit>,
    /// The next byte.
    pub data: Signal<In, Bits<8>>,
    /// The FCS, bits 7:0 first on the line.
    pub value: Signal<Out, Bits<32>>,
    /// The bytes so far end in their right FCS.
    pub good: Signal<Out, Bit>,
    complement: DFF<Bits<32>>,
    /// The bits that are left of the byte, and a one above them.
    shift: DFF<Bits<9>>,
    working: Signal<Local, Bit>,
    moved: Signal<Local, Bits<32>>,
    polynomial: Constant<Bits<32>>,
    residue: Constant<Bits<32>>,
}

impl Default for SerialFcs {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            enable: Default::default(),
            data: Default::default(),
            value: Default::default(),
            good: Default::default(),
            complement: Default::default(),
            shift: Default::default(),
            working: Default::default(),
            moved: Default::default(),
            polynomial: Constant::new(0xEDB8_8320_u64.into()),
            // Complement of RFC 1662's PPPGOODFCS32.
            residue: Constant::new(u64::from(!0xDEBB_20E3_u32).into()),
        }
    }
}

impl Logic for SerialFcs {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, complement, shift);
        self.value.next = self.complement.q.val();
        self.good.next = self.complement.q.val() == self.residue.val();
        // Only the mark is left once all bits are in.
        self.working.next = (self.shift.q.val() >> 1).any();
        self.moved.next = (self.complement.q.val() >> 1) | 0x8000_0000_u64;
        if self.working.val() {
            self.shift.d.next = self.shift.q.val() >> 1;
            self.complement.d.next = self.moved.val();
            if self.complement.q.val().get_bit(0) == self.shift.q.val().get_bit(0) {
                self.complement.d.next = self.moved.val() ^ self.polynomial.val();
            }
        }
        if self.enable.val() {
            self.shift.d.next = bit_cast::<9, 8>(self.data.val()) | 0x100;
        }
        if self.clear.val() {
            self.complement.d.next = 0.into();
            self.shift.d.next = 0.into();
        }
    }
}

//! The types that describe a register and the macro that states one.

/// What a read or write of a register or field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only; writes are ignored.
    Ro,
    /// Read and write.
    Rw,
    /// Writing acts once and is not stored; reads 0.
    Wo,
}

impl Access {
    /// As documents write it: `ro`, `rw`, `wo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Rw => "rw",
            Self::Wo => "wo",
        }
    }
}

/// Where a register lives: an offset is relative to the base of its bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// Registers of the whole port, at BAR0 + 0.
    Port,
    /// Page of the event queue.
    Event,
    /// Page of a transmit queue (SQ and TXCQ).
    Tx,
    /// Page of a receive queue (RXQ and RXCQ).
    Rx,
}

/// A bit field: `width` bits from bit `lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Number of the lowest bit.
    pub lo: u8,
    /// Width in bits, 1 to 32.
    pub width: u8,
}

impl Field {
    /// The field's bits within the register.
    pub const fn mask(self) -> u32 {
        (((1u64 << self.width) - 1) as u32) << self.lo
    }
    /// The field's value in the register value `reg`.
    pub const fn get(self, reg: u32) -> u32 {
        (reg & self.mask()) >> self.lo
    }
    /// `reg` with this field set to `value`; bits beyond the width are cut off.
    pub const fn set(self, reg: u32, value: u32) -> u32 {
        (reg & !self.mask()) | ((value << self.lo) & self.mask())
    }
    /// A register value in which only this field is set, to `value`.
    pub const fn of(self, value: u32) -> u32 {
        self.set(0, value)
    }
}

/// A field with its name, access and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// The field's name.
    pub name: &'static str,
    /// Its bits.
    pub field: Field,
    /// Its access.
    pub access: Access,
    /// One sentence.
    pub doc: &'static str,
}

/// One register, or an array of `count` registers `stride` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Where it lives.
    pub bank: Bank,
    /// The register's name.
    pub name: &'static str,
    /// Byte offset in the bank of the (first) register.
    pub offset: u32,
    /// How many there are.
    pub count: u32,
    /// Distance in bytes between two of them.
    pub stride: u32,
    /// Value after reset.
    pub reset: u32,
    /// The fields, lowest first.
    pub fields: &'static [FieldInfo],
    /// One sentence.
    pub doc: &'static str,
}

impl Register {
    const fn mask(&self, access: Access) -> u32 {
        let mut mask = 0;
        let mut i = 0;
        while i < self.fields.len() {
            if self.fields[i].access as u8 == access as u8 {
                mask |= self.fields[i].field.mask();
            }
            i += 1;
        }
        mask
    }
    /// The bits that a write stores; all others are ignored or act once.
    pub const fn write_mask(&self) -> u32 {
        self.mask(Access::Rw)
    }
    /// The bits that act when written with 1 and read 0.
    pub const fn action_mask(&self) -> u32 {
        self.mask(Access::Wo)
    }
    /// Byte offset in the bank of register `index` of an array.
    pub const fn offset_of(&self, index: u32) -> u32 {
        self.offset + index * self.stride
    }
}

/// States registers once: for each, a module with `OFFSET`, `REGISTER` and a [`Field`] constant per field; for each bank, a table.
macro_rules! regs {
    ($( bank $bank:ident $table:ident $tabledoc:literal { $(
        $module:ident $name:literal @ $offset:literal [ $count:literal ; $stride:literal ] reset $reset:literal, $doc:literal {
            $( $field:ident [ $lo:literal ; $width:literal ] $access:ident $fielddoc:literal ),* $(,)?
        }
    )* } )*) => { $(
        $(
            #[doc = $doc]
            pub mod $module {
                /// Byte offset of the (first) register in its bank.
                pub const OFFSET: u32 = $offset;
                $(
                    #[doc = $fielddoc]
                    pub const $field: $crate::Field = $crate::Field { lo: $lo, width: $width };
                )*
                /// The register's row of the table.
                pub const REGISTER: $crate::Register = $crate::Register {
                    bank: $crate::Bank::$bank,
                    name: $name,
                    offset: $offset,
                    count: $count,
                    stride: $stride,
                    reset: $reset,
                    fields: &[ $( $crate::FieldInfo {
                        name: stringify!($field),
                        field: $field,
                        access: $crate::Access::$access,
                        doc: $fielddoc,
                    } ),* ],
                    doc: $doc,
                };
            }
        )*
        #[doc = $tabledoc]
        pub const $table: &[$crate::Register] = &[ $( $module::REGISTER ),* ];
    )* };
}
pub(crate) use regs;

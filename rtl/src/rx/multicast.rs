//! Multicast filter: sixteen exact addresses, looked through one a cycle, and a hash of 64 bits.
use array_init::array_init;
use ferrule_abi::regs::multicast_hash;
use rust_hdl::prelude::*;

/// Looks a multicast address up in the tables that the host has written.
///
/// The search takes 18 cycles from the first beat of a frame: the shortest frame takes 26 from its first beat to its last, even at half the
/// GMII's clock. A frame that comes sooner ends it.
#[derive(LogicBlock)]
pub struct MulticastFilter {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 and 5.
    pub high: Signal<In, Bits<16>>,
    /// The first beat of a frame is there.
    pub first: Signal<In, Bit>,
    /// With `first`: it goes to a multicast address.
    pub group: Signal<In, Bit>,
    /// The host writes a word of the tables; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Which: 0 to 31 the addresses, 32 and 33 the hash.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// High in a cycle in which the address is found.
    pub hit: Signal<Out, Bit>,
    address_lo: DFF<Bits<32>>,
    address_hi: DFF<Bits<16>>,
    low: RAM<Bits<32>, 4>,
    high_ram: RAM<Bits<16>, 4>,
    /// The place that is read, and whether there is one.
    place: DFF<Bits<4>>,
    searches: DFF<Bit>,
    /// What is read belongs to the search.
    looks: DFF<Bit>,
    /// The address is there for its hash; then the hash is there.
    fresh: DFF<Bit>,
    hashed: DFF<Bit>,
    hash: DFF<Bits<6>>,
    hash_lo: DFF<Bits<32>>,
    hash_hi: DFF<Bits<32>>,
    word: Signal<Local, Bits<32>>,
    chosen: Signal<Local, Bits<32>>,
    parity: [Signal<Local, Bit>; 6],
    sum: Signal<Local, Bits<6>>,
    /// The bits of the address whose parity is a bit of the hash, but for its complement.
    mask_lo: [Constant<Bits<32>>; 6],
    mask_hi: [Constant<Bits<16>>; 6],
    /// Hash of the address of zeros.
    offset: Constant<Bits<6>>,
    weight: [Constant<Bits<6>>; 6],
}

/// The bits of an address, in the order of the wire, that reach bit `bit` of the hash: it is linear but for a constant.
fn reach(bit: usize) -> u64 {
    let zero = multicast_hash([0; 6]);
    (0..48)
        .filter(|i| {
            let mut address = [0; 6];
            address[i / 8] = 1 << (i % 8);
            (multicast_hash(address) ^ zero) >> bit & 1 == 1
        })
        .fold(0, |mask, i| mask | 1 << i)
}

impl Default for MulticastFilter {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            d0: Default::default(),
            high: Default::default(),
            first: Default::default(),
            group: Default::default(),
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            hit: Default::default(),
            address_lo: Default::default(),
            address_hi: Default::default(),
            low: Default::default(),
            high_ram: Default::default(),
            place: Default::default(),
            searches: Default::default(),
            looks: Default::default(),
            fresh: Default::default(),
            hashed: Default::default(),
            hash: Default::default(),
            hash_lo: Default::default(),
            hash_hi: Default::default(),
            word: Default::default(),
            chosen: Default::default(),
            parity: array_init(|_| Default::default()),
            sum: Default::default(),
            mask_lo: array_init(|i| Constant::new((reach(i) & 0xFFFF_FFFF).into())),
            mask_hi: array_init(|i| Constant::new((reach(i) >> 32).into())),
            offset: Constant::new(u64::from(multicast_hash([0; 6])).into()),
            weight: array_init(|i| Constant::new((1_u64 << i).into())),
        }
    }
}

impl Logic for MulticastFilter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, address_lo, address_hi, place, searches, looks, fresh, hashed, hash,
            hash_lo, hash_hi
        );
        self.low.read_clock.next = self.clock.val();
        self.low.write_clock.next = self.clock.val();
        self.high_ram.read_clock.next = self.clock.val();
        self.high_ram.write_clock.next = self.clock.val();

        // Tables.
        self.low.write_address.next = self.table_place.val().get_bits::<4>(1);
        self.high_ram.write_address.next = self.table_place.val().get_bits::<4>(1);
        self.low.write_data.next = self.table_data.val();
        self.high_ram.write_data.next = bit_cast::<16, 32>(self.table_data.val());
        self.low.write_enable.next = self.table_write.val()
            & !self.table_place.val().get_bit(5)
            & !self.table_place.val().get_bit(0);
        self.high_ram.write_enable.next = self.table_write.val()
            & !self.table_place.val().get_bit(5)
            & self.table_place.val().get_bit(0);
        if self.table_write.val() & (self.table_place.val() == 32) {
            self.hash_lo.d.next = self.table_data.val();
        }
        if self.table_write.val() & (self.table_place.val() == 33) {
            self.hash_hi.d.next = self.table_data.val();
        }

        // The search. What the memories show belongs to the place of the cycle before.
        self.low.read_address.next = self.place.q.val();
        self.high_ram.read_address.next = self.place.q.val();
        self.looks.d.next = self.searches.q.val();
        if self.searches.q.val() {
            self.place.d.next = self.place.q.val() + 1;
            if self.place.q.val() == 15 {
                self.searches.d.next = false;
            }
        }
        self.hit.next = self.looks.q.val()
            & (self.low.read_data.val() == self.address_lo.q.val())
            & (self.high_ram.read_data.val() == self.address_hi.q.val());

        // The hash.
        self.fresh.d.next = self.first.val() & self.group.val();
        self.hashed.d.next = self.fresh.q.val();
        for i in 0..6 {
            self.parity[i].next = false;
        }
        self.sum.next = 0.into();
        if self.fresh.q.val() {
            for i in 0..6 {
                self.parity[i].next = (self.address_lo.q.val() & self.mask_lo[i].val()).xor()
                    ^ (self.address_hi.q.val() & self.mask_hi[i].val()).xor();
            }
            self.sum.next = self.offset.val();
            for i in 0..6 {
                if self.parity[i].val() {
                    self.sum.next = self.sum.val() ^ self.weight[i].val();
                }
            }
            self.hash.d.next = self.sum.val();
        }
        self.word.next = self.hash_lo.q.val();
        self.chosen.next = 0.into();
        if self.hashed.q.val() {
            if self.hash.q.val().get_bit(5) {
                self.word.next = self.hash_hi.q.val();
            }
            self.chosen.next =
                self.word.val() >> bit_cast::<32, 5>(self.hash.q.val().get_bits::<5>(0));
            if self.chosen.val().get_bit(0) {
                self.hit.next = true;
            }
        }

        if self.first.val() {
            self.address_lo.d.next = self.d0.val();
            self.address_hi.d.next = self.high.val();
            self.place.d.next = 0.into();
            self.searches.d.next = self.group.val();
            self.looks.d.next = false;
            self.hashed.d.next = false;
        }
    }
}

//! Finishes a stored frame: checks it, asks for the next hop, writes addresses and checksums into it, and tells its fate.
use super::ports::TxVerdictSource;
use crate::neigh::ports::LookupSource;
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// Steps for each frame; the sums arrive in the fourth cycle after the last beat.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum FinishState {
    /// Beats are stored.
    Store,
    /// Lengths are subtracted.
    Lengths,
    /// Lengths are compared.
    Compare,
    /// The length of the pseudo-header is chosen.
    Pseudo,
    /// The sums are folded.
    Fold,
    /// The L4 sum is folded once more.
    FoldAgain,
    /// The checksums come out; a wrong frame goes no further.
    Checksums,
    /// The neighbour block is asked.
    Lookup,
    /// Destination address.
    WriteAddress,
    /// IPv4 header checksum.
    WriteIp,
    /// L4 checksum.
    WriteL4,
    /// The frame is given to the sending side.
    Commit,
    /// It is to leave before its fate is told.
    Leave,
    /// The verdict waits to be taken.
    Tell,
}

/// Writes each beat to the buffer as it comes, and keeps the words that hold a checksum, to write them again.
#[derive(LogicBlock)]
pub struct TxFinish {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// See [`super::align::TxAlign`].
    pub d0: Signal<In, Bits<32>>,
    /// See [`super::align::TxAlign`].
    pub d1: Signal<In, Bits<32>>,
    /// See [`super::align::TxAlign`].
    pub beat: Signal<In, Bits<11>>,
    /// See [`super::align::TxAlign`].
    pub valid: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub ended: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub forget: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub len: Signal<In, Bits<15>>,
    /// See [`super::align::TxAlign`].
    pub too_long: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub raw: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub ipcs: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub l4cs: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub next_hop: Signal<In, Bits<3>>,
    /// See [`super::align::TxAlign`].
    pub stamp: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub segment: Signal<In, Bit>,
    /// See [`super::align::TxAlign`].
    pub follows: Signal<In, Bit>,
    /// Frames may start: one that is complete while they may not is not waited for.
    pub enable: Signal<In, Bit>,
    /// High for one cycle: the frame that was to be marked leaves.
    pub left: Signal<In, Bit>,
    /// Bits 31:0 of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub ipv6: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub version_ok: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub ihl: Signal<In, Bits<4>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub total: Signal<In, Bits<16>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub fragment: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub protocol: Signal<In, Bits<8>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub tcp: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub udp: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub udp_len: Signal<In, Bits<16>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub l4_beat: Signal<In, Bits<4>>,
    /// See [`crate::rx::ipv4::Ipv4Parse`].
    pub header_sum: Signal<In, Bits<20>>,
    /// See [`crate::rx::ipv4::Ipv4Parse`].
    pub l4_sum: Signal<In, Bits<20>>,
    /// To the neighbour block.
    pub lookup: LookupSource,
    /// To the transmit queue.
    pub verdict: TxVerdictSource,
    /// To the buffer: bytes 0 to 3.
    pub store0: Signal<Out, Bits<32>>,
    /// To the buffer: bytes 4 to 7.
    pub store1: Signal<Out, Bits<32>>,
    /// To the buffer: number of the beat.
    pub store_beat: Signal<Out, Bits<11>>,
    /// To the buffer: store bytes 0 to 3.
    pub write0: Signal<Out, Bit>,
    /// To the buffer: store bytes 4 to 7.
    pub write1: Signal<Out, Bit>,
    /// To the buffer: the frame is complete.
    pub commit: Signal<Out, Bit>,
    /// With `commit`: the frame is to be marked.
    pub mark: Signal<Out, Bit>,
    /// The next packet may come.
    pub restart: Signal<Out, Bit>,
    /// Counters to raise, bits in the positions of [`ferrule_abi::counter`].
    pub events: Signal<Out, Bits<32>>,
    /// A frame is being finished; one that is to leave is not.
    pub busy: Signal<Out, Bit>,
    state: DFF<FinishState>,
    destination: DFF<Bits<32>>,
    /// The word that holds the header checksum, then the one with it inserted.
    ip_word: DFF<Bits<32>>,
    /// The same for L4.
    l4_word: DFF<Bits<32>>,
    checksum_beat: DFF<Bits<4>>,
    payload: DFF<Bits<16>>,
    l4_len: DFF<Bits<16>>,
    pseudo: DFF<Bits<18>>,
    insert_l4: DFF<Bit>,
    bad_frame: DFF<Bit>,
    bad_ip: DFF<Bit>,
    bad_l4: DFF<Bit>,
    header_fold: DFF<Bits<17>>,
    l4_fold: DFF<Bits<18>>,
    l4_fold2: DFF<Bits<17>>,
    dst_lo: DFF<Bits<32>>,
    dst_hi: DFF<Bits<16>>,
    r_bad: DFF<Bit>,
    r_miss: DFF<Bit>,
    r_stamped: DFF<Bit>,
    /// See [`TxVerdictSource`].
    r_address: DFF<Bits<32>>,
    header_bytes: Signal<Local, Bits<16>>,
    /// Bytes before what total length and payload length count.
    ahead: Signal<Local, Bits<16>>,
    too_much: Signal<Local, Bit>,
    checksum_here: Signal<Local, Bits<4>>,
    chosen_len: Signal<Local, Bits<16>>,
    swapped_len: Signal<Local, Bits<18>>,
    ip_folded: Signal<Local, Bits<16>>,
    l4_folded: Signal<Local, Bits<16>>,
    ip_checksum: Signal<Local, Bits<16>>,
    l4_checksum: Signal<Local, Bits<16>>,
    l4_inserted: Signal<Local, Bits<16>>,
    before_ipv4: Constant<Bits<16>>,
    before_ipv6: Constant<Bits<16>>,
    least_raw: Constant<Bits<15>>,
    least_ip: Constant<Bits<15>>,
    most: Constant<Bits<15>>,
    upper_half: Constant<Bits<32>>,
    lower_half: Constant<Bits<32>>,
    minus_zero: Constant<Bits<16>>,
    ev_miss: Constant<Bits<32>>,
}

impl Default for TxFinish {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            mac_lo: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            ended: Default::default(),
            forget: Default::default(),
            len: Default::default(),
            too_long: Default::default(),
            raw: Default::default(),
            ipcs: Default::default(),
            l4cs: Default::default(),
            next_hop: Default::default(),
            stamp: Default::default(),
            segment: Default::default(),
            follows: Default::default(),
            enable: Default::default(),
            left: Default::default(),
            now_lo: Default::default(),
            ipv6: Default::default(),
            version_ok: Default::default(),
            ihl: Default::default(),
            total: Default::default(),
            fragment: Default::default(),
            protocol: Default::default(),
            tcp: Default::default(),
            udp: Default::default(),
            udp_len: Default::default(),
            l4_beat: Default::default(),
            header_sum: Default::default(),
            l4_sum: Default::default(),
            lookup: Default::default(),
            verdict: Default::default(),
            store0: Default::default(),
            store1: Default::default(),
            store_beat: Default::default(),
            write0: Default::default(),
            write1: Default::default(),
            commit: Default::default(),
            mark: Default::default(),
            restart: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            destination: Default::default(),
            ip_word: Default::default(),
            l4_word: Default::default(),
            checksum_beat: Default::default(),
            payload: Default::default(),
            l4_len: Default::default(),
            pseudo: Default::default(),
            insert_l4: Default::default(),
            bad_frame: Default::default(),
            bad_ip: Default::default(),
            bad_l4: Default::default(),
            header_fold: Default::default(),
            l4_fold: Default::default(),
            l4_fold2: Default::default(),
            dst_lo: Default::default(),
            dst_hi: Default::default(),
            r_bad: Default::default(),
            r_miss: Default::default(),
            r_stamped: Default::default(),
            r_address: Default::default(),
            header_bytes: Default::default(),
            ahead: Default::default(),
            too_much: Default::default(),
            checksum_here: Default::default(),
            chosen_len: Default::default(),
            swapped_len: Default::default(),
            ip_folded: Default::default(),
            l4_folded: Default::default(),
            ip_checksum: Default::default(),
            l4_checksum: Default::default(),
            l4_inserted: Default::default(),
            before_ipv4: Constant::new(14.into()),
            before_ipv6: Constant::new(54.into()),
            least_raw: Constant::new(14.into()),
            least_ip: Constant::new(34.into()),
            // A 9000-byte IP packet or as much behind an 802.1Q tag, without FCS.
            most: Constant::new(9018.into()),
            upper_half: Constant::new(0xFFFF_0000_u64.into()),
            lower_half: Constant::new(0x0000_FFFF.into()),
            minus_zero: Constant::new(0xFFFF.into()),
            ev_miss: Constant::new((1_u64 << counter::ARP_MISSES).into()),
        }
    }
}

impl Logic for TxFinish {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            destination,
            ip_word,
            l4_word,
            checksum_beat,
            payload,
            l4_len,
            pseudo,
            insert_l4,
            bad_frame,
            bad_ip,
            bad_l4,
            header_fold,
            l4_fold,
            l4_fold2,
            dst_lo,
            dst_hi,
            r_bad,
            r_miss,
            r_stamped,
            r_address
        );
        self.store0.next = self.d0.val();
        self.store1.next = self.d1.val();
        self.store_beat.next = self.beat.val();
        self.write0.next = self.valid.val();
        self.write1.next = self.valid.val();
        self.commit.next = false;
        self.mark.next = self.stamp.val() & self.enable.val();
        self.restart.next = false;
        self.events.next = 0.into();
        self.busy.next =
            (self.state.q.val() != FinishState::Store) & (self.state.q.val() != FinishState::Leave);
        self.lookup.ip.next = self.destination.q.val();
        self.lookup.next_hop.next = self.next_hop.val();
        self.lookup.valid.next = self.state.q.val() == FinishState::Lookup;
        self.verdict.valid.next = self.state.q.val() == FinishState::Tell;
        self.verdict.bad.next = self.r_bad.q.val();
        self.verdict.arp_miss.next = self.r_miss.q.val();
        self.verdict.stamped.next = self.r_stamped.q.val();
        self.verdict.address.next = self.r_address.q.val();
        self.header_bytes.next = bit_cast::<16, 4>(self.ihl.val()) << 2;
        self.ahead.next = self.before_ipv4.val();
        if self.ipv6.val() {
            self.ahead.next = self.before_ipv6.val();
        }
        self.too_much.next = self.total.val() > self.payload.q.val();
        self.checksum_here.next = 0.into();
        self.chosen_len.next = 0.into();
        self.swapped_len.next = 0.into();
        self.ip_folded.next = 0.into();
        self.l4_folded.next = 0.into();
        self.ip_checksum.next = 0.into();
        self.l4_checksum.next = 0.into();
        self.l4_inserted.next = 0.into();

        match self.state.q.val() {
            FinishState::Store => {
                if self.valid.val() {
                    // Destination address: half-words 15 and 16.
                    if self.beat.val() == 3 {
                        self.ip_word.d.next = self.d0.val();
                        self.destination.d.next =
                            (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(16)) << 24)
                                | (bit_cast::<32, 8>(self.d1.val().get_bits::<8>(24)) << 16);
                    }
                    if self.beat.val() == 4 {
                        self.destination.d.next = self.destination.q.val()
                            | (bit_cast::<32, 8>(self.d0.val().get_bits::<8>(0)) << 8)
                            | bit_cast::<32, 8>(self.d0.val().get_bits::<8>(8));
                    }
                    // TCP: half-word 8 of L4; UDP: half-word 3. L4 begins in lane 1 or 3.
                    self.checksum_here.next = self.l4_beat.val() + 2;
                    if self.udp.val() {
                        self.checksum_here.next = self.l4_beat.val() + 1;
                    }
                    if self.beat.val() == bit_cast::<11, 4>(self.checksum_here.val()) {
                        self.checksum_beat.d.next = self.checksum_here.val();
                        self.l4_word.d.next = self.d1.val();
                        if self.ihl.val().get_bit(0) {
                            self.l4_word.d.next = self.d0.val();
                        }
                    }
                }
                if self.ended.val() {
                    if self.forget.val() {
                        self.restart.next = true;
                    } else {
                        self.state.d.next = FinishState::Lengths;
                    }
                }
            }
            FinishState::Lengths => {
                // The fate of a segment is that of those behind it too.
                if !self.follows.val() {
                    self.r_bad.d.next = false;
                    self.r_miss.d.next = false;
                }
                self.r_stamped.d.next = false;
                self.payload.d.next = bit_cast::<16, 15>(self.len.val()) - self.ahead.val();
                self.l4_len.d.next = self.total.val() - self.header_bytes.val();
                self.insert_l4.d.next = self.l4cs.val()
                    & (self.tcp.val() | self.udp.val())
                    & !self.fragment.val()
                    & (!self.raw.val() | (self.ipv6.val() & self.version_ok.val()));
                self.state.d.next = FinishState::Compare;
            }
            FinishState::Compare => {
                self.bad_frame.d.next = self.too_long.val()
                    | (self.len.val() > self.most.val())
                    | (self.len.val() < self.least_raw.val());
                self.bad_ip.d.next = !self.raw.val()
                    & (!self.version_ok.val()
                        | (self.len.val() < self.least_ip.val())
                        | (self.total.val() < self.header_bytes.val())
                        | self.too_much.val());
                self.bad_l4.d.next = (self.insert_l4.q.val()
                    & (self.too_much.val()
                        | (self.tcp.val() & (self.l4_len.q.val() < 20))
                        | (self.udp.val()
                            & ((self.udp_len.val() < 8)
                                | (self.udp_len.val() > self.l4_len.q.val())))))
                    | (self.segment.val() & !(self.insert_l4.q.val() & self.tcp.val()));
                // A frame that ends in what would be an IPv6 header: less than none is left.
                if self.raw.val() & self.payload.q.val().get_bit(15) {
                    self.insert_l4.d.next = false;
                    self.bad_l4.d.next = false;
                }
                self.state.d.next = FinishState::Pseudo;
            }
            FinishState::Pseudo => {
                self.chosen_len.next = self.l4_len.q.val();
                if self.udp.val() {
                    self.chosen_len.next = self.udp_len.val();
                }
                self.swapped_len.next = (bit_cast::<18, 8>(self.chosen_len.val().get_bits::<8>(0))
                    << 8)
                    | bit_cast::<18, 8>(self.chosen_len.val().get_bits::<8>(8));
                self.pseudo.d.next =
                    self.swapped_len.val() + (bit_cast::<18, 8>(self.protocol.val()) << 8);
                self.state.d.next = FinishState::Fold;
            }
            FinishState::Fold => {
                self.l4_fold.d.next = bit_cast::<18, 16>(self.l4_sum.val().get_bits::<16>(0))
                    + bit_cast::<18, 4>(self.l4_sum.val().get_bits::<4>(16))
                    + self.pseudo.q.val();
                self.header_fold.d.next =
                    bit_cast::<17, 16>(self.header_sum.val().get_bits::<16>(0))
                        + bit_cast::<17, 4>(self.header_sum.val().get_bits::<4>(16));
                self.state.d.next = FinishState::FoldAgain;
            }
            FinishState::FoldAgain => {
                self.l4_fold2.d.next = bit_cast::<17, 16>(self.l4_fold.q.val().get_bits::<16>(0))
                    + bit_cast::<17, 2>(self.l4_fold.q.val().get_bits::<2>(16));
                self.state.d.next = FinishState::Checksums;
            }
            FinishState::Checksums => {
                self.ip_folded.next = self.header_fold.q.val().get_bits::<16>(0)
                    + bit_cast::<16, 1>(self.header_fold.q.val().get_bits::<1>(16));
                self.l4_folded.next = self.l4_fold2.q.val().get_bits::<16>(0)
                    + bit_cast::<16, 1>(self.l4_fold2.q.val().get_bits::<1>(16));
                self.ip_checksum.next = !self.ip_folded.val();
                self.l4_checksum.next = !self.l4_folded.val();
                self.l4_inserted.next = self.l4_checksum.val();
                // RFC 768: zero would mean that there is none.
                if self.udp.val() & !self.l4_checksum.val().any() {
                    self.l4_inserted.next = self.minus_zero.val();
                }
                self.ip_word.d.next = (self.ip_word.q.val() & self.upper_half.val())
                    | bit_cast::<32, 16>(self.ip_checksum.val());
                if self.udp.val() {
                    self.l4_word.d.next = (self.l4_word.q.val() & self.upper_half.val())
                        | bit_cast::<32, 16>(self.l4_inserted.val());
                } else {
                    self.l4_word.d.next = (self.l4_word.q.val() & self.lower_half.val())
                        | (bit_cast::<32, 16>(self.l4_inserted.val()) << 16);
                }
                if self.follows.val() & (self.r_bad.q.val() | self.r_miss.q.val()) {
                    self.state.d.next = FinishState::Tell;
                } else if self.bad_frame.q.val() | self.bad_ip.q.val() | self.bad_l4.q.val() {
                    self.r_bad.d.next = true;
                    self.state.d.next = FinishState::Tell;
                } else if self.raw.val() & self.insert_l4.q.val() {
                    self.state.d.next = FinishState::WriteL4;
                } else if self.raw.val() {
                    self.state.d.next = FinishState::Commit;
                } else {
                    self.state.d.next = FinishState::Lookup;
                }
            }
            FinishState::Lookup => {
                if self.lookup.done.val() {
                    self.dst_lo.d.next = self.lookup.mac_lo.val();
                    self.dst_hi.d.next = self.lookup.mac_hi.val();
                    self.r_address.d.next = self.lookup.address.val();
                    if self.lookup.hit.val() {
                        self.state.d.next = FinishState::WriteAddress;
                    } else {
                        self.r_miss.d.next = true;
                        self.events.next = self.ev_miss.val();
                        self.state.d.next = FinishState::Tell;
                    }
                }
            }
            FinishState::WriteAddress => {
                self.store0.next = self.dst_lo.q.val();
                self.store1.next = bit_cast::<32, 16>(self.dst_hi.q.val())
                    | (bit_cast::<32, 16>(self.mac_lo.val().get_bits::<16>(0)) << 16);
                self.store_beat.next = 0.into();
                self.write0.next = true;
                self.write1.next = true;
                self.state.d.next = FinishState::WriteIp;
            }
            FinishState::WriteIp => {
                self.store0.next = self.ip_word.q.val();
                self.store_beat.next = 3.into();
                self.write0.next = self.ipcs.val();
                self.state.d.next = FinishState::WriteL4;
            }
            FinishState::WriteL4 => {
                self.store0.next = self.l4_word.q.val();
                self.store1.next = self.l4_word.q.val();
                self.store_beat.next = bit_cast::<11, 4>(self.checksum_beat.q.val());
                self.write0.next = self.insert_l4.q.val() & self.ihl.val().get_bit(0);
                self.write1.next = self.insert_l4.q.val() & !self.ihl.val().get_bit(0);
                self.state.d.next = FinishState::Commit;
            }
            FinishState::Commit => {
                self.commit.next = true;
                self.state.d.next = FinishState::Tell;
                if self.stamp.val() & self.enable.val() {
                    self.state.d.next = FinishState::Leave;
                }
            }
            FinishState::Leave => {
                if self.left.val() {
                    self.r_stamped.d.next = true;
                    self.r_address.d.next = self.now_lo.val();
                    self.state.d.next = FinishState::Tell;
                }
            }
            FinishState::Tell => {
                if self.verdict.ready.val() {
                    self.restart.next = true;
                    self.state.d.next = FinishState::Store;
                }
            }
            _ => {
                self.state.d.next = FinishState::Store;
            }
        }
        if self.reset.val() {
            self.state.d.next = FinishState::Store;
            self.r_bad.d.next = false;
            self.r_miss.d.next = false;
        }
    }
}

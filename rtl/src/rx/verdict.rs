//! Decides what becomes of each received frame, and counts it.
//!
//! The first reason that holds is the one that is counted, in this order: receive disabled; oversize; runt; bad FCS; a PAUSE frame,
//! which is acted on; not for this station; 802.3 length; IP version or IHL; IPv4 total or IPv6 payload length; IPv4 header checksum; UDP length; L4
//! checksum; buffer full. An echo request that is answered is counted as that alone, and needs no room in the buffer.
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// Steps of a verdict, one a cycle; the sums arrive in the fourth cycle after the last beat.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum JudgeState {
    /// Beats are taken.
    Receive,
    /// Lengths are subtracted.
    Lengths,
    /// Lengths are compared.
    Compare,
    /// The length of the pseudo-header is chosen.
    Pseudo,
    /// The sums are folded.
    Fold,
    /// The reasons are put in order.
    Decide,
    /// The frame is committed or rolled back.
    Act,
}

/// Judges a frame in the six cycles after its last beat, ten where its hash takes so long.
///
/// A frame whose first beat comes in that time is dropped as if the buffer were full: the MAC's gap between frames
/// (8 byte times, preamble and FCS) is longer.
#[derive(LogicBlock)]
pub struct RxVerdict {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Receive is enabled; looked at when a frame ends.
    pub enable: Signal<In, Bit>,
    /// RXCTL.
    pub rxctl: Signal<In, Bits<32>>,
    /// Low half of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// A beat is there.
    pub valid: Signal<In, Bit>,
    /// It is the frame's last.
    pub last: Signal<In, Bit>,
    /// Its bytes.
    pub keep: Signal<In, Bits<8>>,
    /// With `last`: FCS, RX_ER, runt, oversize.
    pub bad: Signal<In, Bits<4>>,
    /// The frame had an 802.1Q tag, which is not among the beats.
    pub has_tag: Signal<In, Bit>,
    /// The tag is stored with the frame all the same.
    pub keep_tag: Signal<In, Bit>,
    /// The filters' word.
    pub pass: Signal<In, Bit>,
    /// A well-formed ARP packet.
    pub is_arp: Signal<In, Bit>,
    /// A PAUSE frame that is to be acted on.
    pub is_pause: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub ether_type: Signal<In, Bits<16>>,
    /// See [`super::fields::Ipv4Fields`].
    pub ipv6: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub version_ok: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub ihl: Signal<In, Bits<4>>,
    /// See [`super::fields::Ipv4Fields`].
    pub total: Signal<In, Bits<16>>,
    /// See [`super::fields::Ipv4Fields`].
    pub fragment: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub protocol: Signal<In, Bits<8>>,
    /// See [`super::fields::Ipv4Fields`].
    pub icmp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub tcp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub udp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub udp_len: Signal<In, Bits<16>>,
    /// See [`super::fields::Ipv4Fields`].
    pub udp_zero: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub l4_beat: Signal<In, Bits<4>>,
    /// See [`super::ipv4::Ipv4Parse`].
    pub header_sum: Signal<In, Bits<20>>,
    /// See [`super::ipv4::Ipv4Parse`].
    pub l4_sum: Signal<In, Bits<20>>,
    /// The frame did not fit the buffer.
    pub lost: Signal<In, Bit>,
    /// The flow hash is still being computed, or the local addresses are looked through.
    pub hashing: Signal<In, Bit>,
    /// It is an ICMP echo request over IPv4 that will be answered, if it is unfragmented, its checksums are right and it has no tag.
    pub echo_fits: Signal<In, Bit>,
    /// A beat would be taken.
    pub open: Signal<Out, Bit>,
    /// The beat is taken: parsers and buffer see it.
    pub take: Signal<Out, Bit>,
    /// Its number in the frame, from 0; stays at 2047 in a frame that is longer than any allowed one.
    pub beat: Signal<Out, Bits<11>>,
    /// The buffer gives the frame to its reader.
    pub commit: Signal<Out, Bit>,
    /// The buffer forgets the frame.
    pub rollback: Signal<Out, Bit>,
    /// The ARP packet is handed on.
    pub arp: Signal<Out, Bit>,
    /// The PAUSE frame is good.
    pub pause: Signal<Out, Bit>,
    /// The frame is answered: with `rollback`.
    pub echo: Signal<Out, Bit>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub len: Signal<Out, Bits<15>>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub status: Signal<Out, Bits<7>>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub fcs_err: Signal<Out, Bit>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub is_ipv6: Signal<Out, Bit>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub l4_offset: Signal<Out, Bits<6>>,
    /// With `commit`: see [`super::buffer::RxBuffer`].
    pub timestamp: Signal<Out, Bits<32>>,
    /// Counters to raise, bits in the positions of [`ferrule_abi::counter`].
    pub events: Signal<Out, Bits<32>>,
    /// With event RX_FRAMES: the frame's length in bytes.
    pub rx_bytes: Signal<Out, Bits<16>>,
    /// A frame is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<JudgeState>,
    /// In the middle of a frame that began too early.
    skip: DFF<Bit>,
    number: DFF<Bits<11>>,
    r_len: DFF<Bits<15>>,
    r_bad: DFF<Bits<4>>,
    r_timestamp: DFF<Bits<32>>,
    payload: DFF<Bits<16>>,
    l4_len: DFF<Bits<16>>,
    pseudo: DFF<Bits<18>>,
    ip: DFF<Bit>,
    length_8023: DFF<Bit>,
    bad_8023: DFF<Bit>,
    bad_total: DFF<Bit>,
    bad_udp: DFF<Bit>,
    l4_fold: DFF<Bits<18>>,
    header_fold: DFF<Bits<17>>,
    reason: DFF<Bits<32>>,
    deliver: DFF<Bit>,
    give_arp: DFF<Bit>,
    /// An IP packet without a tag that is no fragment, and right in all its checksums if it is ICMP over IPv4.
    sound: DFF<Bit>,
    r_status: DFF<Bits<7>>,
    r_fcs_err: DFF<Bit>,
    r_ipv6: DFF<Bit>,
    r_l4_offset: DFF<Bits<6>>,
    r_events: DFF<Bits<32>>,
    skipped_last: Signal<Local, Bit>,
    count: Signal<Local, Bits<15>>,
    number_bytes: Signal<Local, Bits<15>>,
    header_bytes: Signal<Local, Bits<16>>,
    chosen_len: Signal<Local, Bits<16>>,
    swapped_len: Signal<Local, Bits<18>>,
    l4_final: Signal<Local, Bits<17>>,
    l4_right: Signal<Local, Bit>,
    header_right: Signal<Local, Bit>,
    damaged: Signal<Local, Bit>,
    is_l4: Signal<Local, Bit>,
    l4_offset_here: Signal<Local, Bits<6>>,
    ahead: Signal<Local, Bits<16>>,
    ip_reason: Signal<Local, Bits<32>>,
    l4_reason: Signal<Local, Bits<32>>,
    flags: Signal<Local, Bits<7>>,
    /// The same without IPV4 for an IPv6 packet.
    marks: Signal<Local, Bits<7>>,
    skip_event: Signal<Local, Bits<32>>,
    act_event: Signal<Local, Bits<32>>,
    runt_beats: Constant<Bits<11>>,
    last_number: Constant<Bits<11>>,
    type_ipv4: Constant<Bits<16>>,
    before_ipv4: Constant<Bits<16>>,
    before_ipv6: Constant<Bits<16>>,
    first_type: Constant<Bits<16>>,
    all_ones: Constant<Bits<17>>,
    ev_frames: Constant<Bits<32>>,
    ev_fcs: Constant<Bits<32>>,
    ev_runt: Constant<Bits<32>>,
    ev_oversize: Constant<Bits<32>>,
    ev_length: Constant<Bits<32>>,
    ev_filter: Constant<Bits<32>>,
    ev_ip_header: Constant<Bits<32>>,
    ev_l4: Constant<Bits<32>>,
    ev_overflow: Constant<Bits<32>>,
    ev_arp: Constant<Bits<32>>,
    ev_disabled: Constant<Bits<32>>,
    ev_pause: Constant<Bits<32>>,
    ev_echo: Constant<Bits<32>>,
}

/// The bit of counter `index` in an event word.
fn event(index: u32) -> Constant<Bits<32>> {
    Constant::new((1_u64 << index).into())
}

impl Default for RxVerdict {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            rxctl: Default::default(),
            now_lo: Default::default(),
            valid: Default::default(),
            last: Default::default(),
            keep: Default::default(),
            bad: Default::default(),
            has_tag: Default::default(),
            keep_tag: Default::default(),
            pass: Default::default(),
            is_arp: Default::default(),
            is_pause: Default::default(),
            ether_type: Default::default(),
            ipv6: Default::default(),
            version_ok: Default::default(),
            ihl: Default::default(),
            total: Default::default(),
            fragment: Default::default(),
            protocol: Default::default(),
            icmp: Default::default(),
            tcp: Default::default(),
            udp: Default::default(),
            udp_len: Default::default(),
            udp_zero: Default::default(),
            l4_beat: Default::default(),
            header_sum: Default::default(),
            l4_sum: Default::default(),
            lost: Default::default(),
            hashing: Default::default(),
            echo_fits: Default::default(),
            open: Default::default(),
            take: Default::default(),
            beat: Default::default(),
            commit: Default::default(),
            rollback: Default::default(),
            arp: Default::default(),
            pause: Default::default(),
            echo: Default::default(),
            len: Default::default(),
            status: Default::default(),
            fcs_err: Default::default(),
            is_ipv6: Default::default(),
            l4_offset: Default::default(),
            timestamp: Default::default(),
            events: Default::default(),
            rx_bytes: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            skip: Default::default(),
            number: Default::default(),
            r_len: Default::default(),
            r_bad: Default::default(),
            r_timestamp: Default::default(),
            payload: Default::default(),
            l4_len: Default::default(),
            pseudo: Default::default(),
            ip: Default::default(),
            length_8023: Default::default(),
            bad_8023: Default::default(),
            bad_total: Default::default(),
            bad_udp: Default::default(),
            l4_fold: Default::default(),
            header_fold: Default::default(),
            reason: Default::default(),
            deliver: Default::default(),
            give_arp: Default::default(),
            sound: Default::default(),
            r_status: Default::default(),
            r_fcs_err: Default::default(),
            r_ipv6: Default::default(),
            r_l4_offset: Default::default(),
            r_events: Default::default(),
            skipped_last: Default::default(),
            count: Default::default(),
            number_bytes: Default::default(),
            header_bytes: Default::default(),
            chosen_len: Default::default(),
            swapped_len: Default::default(),
            l4_final: Default::default(),
            l4_right: Default::default(),
            header_right: Default::default(),
            damaged: Default::default(),
            is_l4: Default::default(),
            l4_offset_here: Default::default(),
            ahead: Default::default(),
            ip_reason: Default::default(),
            l4_reason: Default::default(),
            flags: Default::default(),
            marks: Default::default(),
            skip_event: Default::default(),
            act_event: Default::default(),
            // 60 bytes need eight beats; without a tag 56 are left.
            runt_beats: Constant::new(7.into()),
            last_number: Constant::new(2047.into()),
            type_ipv4: Constant::new(0x0800.into()),
            before_ipv4: Constant::new(14.into()),
            before_ipv6: Constant::new(54.into()),
            // IEEE 802.3 clause 3.2.6: below it is a length.
            first_type: Constant::new(0x0600.into()),
            all_ones: Constant::new(0xFFFF.into()),
            ev_frames: event(counter::RX_FRAMES),
            ev_fcs: event(counter::RX_DROP_FCS),
            ev_runt: event(counter::RX_DROP_RUNT),
            ev_oversize: event(counter::RX_DROP_OVERSIZE),
            ev_length: event(counter::RX_DROP_LENGTH),
            ev_filter: event(counter::RX_DROP_FILTER),
            ev_ip_header: event(counter::RX_DROP_IP_HEADER),
            ev_l4: event(counter::RX_DROP_L4_CSUM),
            ev_overflow: event(counter::RX_DROP_OVERFLOW),
            ev_arp: event(counter::RX_ARP),
            ev_disabled: event(counter::RX_DROP_DISABLED),
            ev_pause: event(counter::RX_PAUSE),
            ev_echo: event(counter::ICMP_ECHOES),
        }
    }
}

impl Logic for RxVerdict {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            skip,
            number,
            r_len,
            r_bad,
            r_timestamp,
            payload,
            l4_len,
            pseudo,
            ip,
            length_8023,
            bad_8023,
            bad_total,
            bad_udp,
            l4_fold,
            header_fold,
            reason,
            deliver,
            give_arp,
            sound,
            r_status,
            r_fcs_err,
            r_ipv6,
            r_l4_offset,
            r_events
        );
        self.beat.next = self.number.q.val();
        self.len.next = self.r_len.q.val();
        self.status.next = self.r_status.q.val();
        self.fcs_err.next = self.r_fcs_err.q.val();
        self.is_ipv6.next = self.r_ipv6.q.val();
        self.l4_offset.next = self.r_l4_offset.q.val();
        self.timestamp.next = self.r_timestamp.q.val();
        self.events.next = self.r_events.q.val();
        self.rx_bytes.next = bit_cast::<16, 15>(self.r_len.q.val());
        self.busy.next = (self.state.q.val() != JudgeState::Receive)
            | (self.number.q.val() != 0)
            | self.skip.q.val()
            | self.r_events.q.val().any();
        self.open.next = !self.skip.q.val() & (self.state.q.val() == JudgeState::Receive);
        self.take.next = self.valid.val() & self.open.val();
        self.commit.next = false;
        self.rollback.next = false;
        self.arp.next = false;
        self.pause.next = false;
        self.echo.next = false;
        self.count.next = 0.into();
        self.number_bytes.next = bit_cast::<15, 11>(self.number.q.val()) << 3;
        self.header_bytes.next = bit_cast::<16, 4>(self.ihl.val()) << 2;
        self.chosen_len.next = 0.into();
        self.swapped_len.next = 0.into();
        self.l4_final.next = 0.into();
        self.l4_right.next = false;
        self.header_right.next = false;
        self.damaged.next = self.r_bad.q.val().get_bit(0) | self.r_bad.q.val().get_bit(1);
        self.is_l4.next = false;
        // L4 begins in lane 1 or 3.
        self.l4_offset_here.next = (bit_cast::<6, 4>(self.l4_beat.val()) << 2) | 3;
        if self.ihl.val().get_bit(0) {
            self.l4_offset_here.next = (bit_cast::<6, 4>(self.l4_beat.val()) << 2) | 1;
        }
        // What is behind these bytes, total length and payload length count.
        self.ahead.next = self.before_ipv4.val();
        if self.ipv6.val() {
            self.ahead.next = self.before_ipv6.val();
        }
        self.ip_reason.next = 0.into();
        self.l4_reason.next = 0.into();
        self.flags.next = 0.into();
        self.marks.next = 0.into();
        self.skip_event.next = 0.into();
        self.act_event.next = 0.into();

        // A frame that comes while the one before is judged is let go by; its fate is told at its end.
        self.skipped_last.next = self.valid.val() & !self.take.val() & self.last.val();
        if self.valid.val() & !self.take.val() {
            self.skip.d.next = !self.last.val();
            if self.last.val() {
                if !self.enable.val() {
                    self.skip_event.next = self.ev_disabled.val();
                } else if self.bad.val().get_bit(3) {
                    self.skip_event.next = self.ev_oversize.val();
                } else if self.bad.val().get_bit(2) {
                    self.skip_event.next = self.ev_runt.val();
                } else if self.bad.val().any() {
                    self.skip_event.next = self.ev_fcs.val();
                } else {
                    self.skip_event.next = self.ev_overflow.val();
                }
            }
        }

        match self.state.q.val() {
            JudgeState::Receive => {
                if self.take.val() {
                    // As long after the SFD as the way here takes: see `RxPath`.
                    if self.number.q.val() == 0 {
                        self.r_timestamp.d.next = self.now_lo.val();
                    }
                    if self.number.q.val() != self.last_number.val() {
                        self.number.d.next = self.number.q.val() + 1;
                    }
                    if self.last.val() {
                        self.count.next = 8.into();
                        if !self.keep.val().get_bit(7) {
                            self.count.next = 7.into();
                        }
                        if !self.keep.val().get_bit(6) {
                            self.count.next = 6.into();
                        }
                        if !self.keep.val().get_bit(5) {
                            self.count.next = 5.into();
                        }
                        if !self.keep.val().get_bit(4) {
                            self.count.next = 4.into();
                        }
                        if !self.keep.val().get_bit(3) {
                            self.count.next = 3.into();
                        }
                        if !self.keep.val().get_bit(2) {
                            self.count.next = 2.into();
                        }
                        if !self.keep.val().get_bit(1) {
                            self.count.next = 1.into();
                        }
                        if !self.keep.val().get_bit(0) {
                            self.count.next = 0.into();
                        }
                        self.r_len.d.next = self.number_bytes.val() + self.count.val();
                        self.r_bad.d.next = self.bad.val();
                        if (self.number.q.val() < self.runt_beats.val())
                            & !(self.has_tag.val() & (self.number.q.val() == 6))
                        {
                            self.r_bad.d.next = self.bad.val() | 4;
                        }
                        self.state.d.next = JudgeState::Lengths;
                    }
                }
            }
            JudgeState::Lengths => {
                self.payload.d.next = bit_cast::<16, 15>(self.r_len.q.val()) - self.ahead.val();
                self.l4_len.d.next = self.total.val() - self.header_bytes.val();
                self.ip.d.next = self.ipv6.val() | (self.ether_type.val() == self.type_ipv4.val());
                self.length_8023.d.next = self.ether_type.val() < self.first_type.val();
                self.state.d.next = JudgeState::Compare;
            }
            JudgeState::Compare => {
                self.bad_8023.d.next = self.ether_type.val() > self.payload.q.val();
                self.bad_total.d.next = (self.total.val() < self.header_bytes.val())
                    | (self.total.val() > self.payload.q.val());
                if self.has_tag.val() & self.keep_tag.val() {
                    self.r_len.d.next = self.r_len.q.val() + 4;
                }
                self.bad_udp.d.next = self.udp.val()
                    & ((self.udp_len.val() < 8) | (self.udp_len.val() > self.l4_len.q.val()));
                self.state.d.next = JudgeState::Pseudo;
            }
            JudgeState::Pseudo => {
                // RFC 768, RFC 9293 section 3.1: the addresses are in the sum already; protocol and length are missing.
                self.chosen_len.next = self.l4_len.q.val();
                if self.udp.val() {
                    self.chosen_len.next = self.udp_len.val();
                }
                self.swapped_len.next = (bit_cast::<18, 8>(self.chosen_len.val().get_bits::<8>(0))
                    << 8)
                    | bit_cast::<18, 8>(self.chosen_len.val().get_bits::<8>(8));
                self.pseudo.d.next =
                    self.swapped_len.val() + (bit_cast::<18, 8>(self.protocol.val()) << 8);
                if self.icmp.val() {
                    self.pseudo.d.next = 0.into();
                }
                self.state.d.next = JudgeState::Fold;
            }
            JudgeState::Fold => {
                self.l4_fold.d.next = bit_cast::<18, 16>(self.l4_sum.val().get_bits::<16>(0))
                    + bit_cast::<18, 4>(self.l4_sum.val().get_bits::<4>(16))
                    + self.pseudo.q.val();
                self.header_fold.d.next =
                    bit_cast::<17, 16>(self.header_sum.val().get_bits::<16>(0))
                        + bit_cast::<17, 4>(self.header_sum.val().get_bits::<4>(16));
                self.state.d.next = JudgeState::Decide;
            }
            JudgeState::Decide => {
                self.l4_final.next = bit_cast::<17, 16>(self.l4_fold.q.val().get_bits::<16>(0))
                    + bit_cast::<17, 2>(self.l4_fold.q.val().get_bits::<2>(16));
                self.l4_right.next = self.l4_final.val() == self.all_ones.val();
                self.header_right.next = self.header_fold.q.val() == self.all_ones.val();
                self.is_l4.next = (self.tcp.val() | self.udp.val()) & !self.fragment.val();

                if !self.version_ok.val() {
                    self.ip_reason.next = self.ev_ip_header.val();
                } else if self.bad_total.q.val() {
                    self.ip_reason.next = self.ev_length.val();
                } else if !self.header_right.val() & !self.ipv6.val() {
                    self.ip_reason.next = self.ev_ip_header.val();
                }
                if self.is_l4.val() {
                    if self.bad_udp.q.val() {
                        self.l4_reason.next = self.ev_length.val();
                    } else if self.udp.val() & self.udp_zero.val() {
                        // Zero means that there is no checksum; IPv6 demands one (RFC 8200 section 8.1).
                        if self.ipv6.val() {
                            self.l4_reason.next = self.ev_l4.val();
                        }
                    } else if !self.l4_right.val() {
                        self.l4_reason.next = self.ev_l4.val();
                    }
                }

                self.reason.d.next = 0.into();
                self.sound.d.next = false;
                self.r_fcs_err.d.next = false;
                self.r_ipv6.d.next = false;
                self.r_l4_offset.d.next = 0.into();
                if !self.enable.val() {
                    self.reason.d.next = self.ev_disabled.val();
                } else if self.r_bad.q.val().get_bit(3) {
                    self.reason.d.next = self.ev_oversize.val();
                } else if self.r_bad.q.val().get_bit(2) {
                    self.reason.d.next = self.ev_runt.val();
                } else if self.damaged.val() & !self.rxctl.val().get_bit(3) {
                    self.reason.d.next = self.ev_fcs.val();
                } else if self.is_pause.val() & !self.damaged.val() {
                    self.reason.d.next = self.ev_pause.val();
                } else if !self.pass.val() {
                    self.reason.d.next = self.ev_filter.val();
                } else if self.damaged.val() {
                    // Delivered on request; nothing in it is to be believed.
                    self.r_fcs_err.d.next = true;
                } else if self.length_8023.q.val() {
                    if self.bad_8023.q.val() {
                        self.reason.d.next = self.ev_length.val();
                    }
                } else if self.ip.q.val() {
                    self.flags.next = 8.into();
                    self.r_ipv6.d.next = self.ipv6.val();
                    if self.ip_reason.val().any() {
                        if !self.rxctl.val().get_bit(5) {
                            self.reason.d.next = self.ip_reason.val();
                        }
                    } else {
                        self.flags.next = 9.into();
                        self.sound.d.next =
                            self.l4_right.val() & !self.fragment.val() & !self.has_tag.val();
                        if self.fragment.val() {
                            self.flags.next = 73.into();
                        } else if !self.ipv6.val() | self.is_l4.val() {
                            // Behind an IPv6 header that names another one, L4 is none knows where.
                            self.r_l4_offset.d.next = self.l4_offset_here.val();
                            if self.has_tag.val() {
                                self.r_l4_offset.d.next = self.l4_offset_here.val() + 2;
                            }
                        }
                        if self.is_l4.val() {
                            if self.l4_reason.val().any() {
                                self.flags.next = 13.into();
                                if !self.rxctl.val().get_bit(4) {
                                    self.reason.d.next = self.l4_reason.val();
                                }
                            } else {
                                self.flags.next = 15.into();
                            }
                        }
                    }
                }
                self.marks.next = self.flags.val();
                if self.ipv6.val() {
                    self.marks.next = self.flags.val() & 0x77;
                }
                self.r_status.d.next = self.marks.val();
                if self.flags.val().get_bit(0) {
                    if self.tcp.val() {
                        self.r_status.d.next = self.marks.val() | 16;
                    }
                    if self.udp.val() {
                        self.r_status.d.next = self.marks.val() | 32;
                    }
                }
                self.give_arp.d.next = self.is_arp.val() & !self.damaged.val();
                self.deliver.d.next =
                    !self.is_arp.val() | self.damaged.val() | self.rxctl.val().get_bit(6);
                self.state.d.next = JudgeState::Act;
            }
            JudgeState::Act => {
                // Waits for the hash, and for the cycle to be free of another event, so that none is lost.
                if !self.skipped_last.val() & !self.hashing.val() {
                    if self.reason.q.val().any() {
                        self.act_event.next = self.reason.q.val();
                        self.rollback.next = true;
                        self.pause.next = (self.reason.q.val() & self.ev_pause.val()).any();
                    } else if self.sound.q.val() & self.echo_fits.val() {
                        self.act_event.next = self.ev_echo.val();
                        self.rollback.next = true;
                        self.echo.next = true;
                    } else {
                        self.arp.next = self.give_arp.q.val();
                        if !self.deliver.q.val() {
                            self.rollback.next = true;
                            self.act_event.next = self.ev_arp.val();
                        } else {
                            self.commit.next = true;
                            if self.lost.val() & self.give_arp.q.val() {
                                self.act_event.next = self.ev_overflow.val() | self.ev_arp.val();
                            } else if self.lost.val() {
                                self.act_event.next = self.ev_overflow.val();
                            } else if self.give_arp.q.val() {
                                self.act_event.next = self.ev_frames.val() | self.ev_arp.val();
                            } else {
                                self.act_event.next = self.ev_frames.val();
                            }
                        }
                    }
                    self.number.d.next = 0.into();
                    self.state.d.next = JudgeState::Receive;
                }
            }
            _ => {
                self.state.d.next = JudgeState::Receive;
            }
        }
        self.r_events.d.next = self.skip_event.val() | self.act_event.val();
        if self.reset.val() {
            self.state.d.next = JudgeState::Receive;
            self.skip.d.next = false;
            self.number.d.next = 0.into();
            self.r_events.d.next = 0.into();
        }
    }
}

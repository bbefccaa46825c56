//! `TxFinish`: order and number of its steps. What it writes is tested with the whole path.
use ferrule_abi::counter;
use ferrule_rtl::{native::Native, tx::finish::TxFinish};

/// What one frame made the module do, in order.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Deed {
    Ask { ip: u32, next_hop: u8 },
    Write { beat: u32, words: [Option<u32>; 2] },
    Commit,
    Miss,
    Verdict { bad: bool, miss: bool, address: u32 },
    Restart,
}

struct Case {
    raw: bool,
    abort: bool,
    ipcs: bool,
    l4cs: bool,
    hit: bool,
    version_ok: bool,
}

/// A UDP packet of 8 bytes and no options, 50 bytes in the frame with 8 of padding, all sums 0xFFFF.
fn run(case: &Case) -> Vec<Deed> {
    let mut dut = Native::<TxFinish>::default();
    let mut deeds = vec![];
    let (mut asked, mut told) = (0, 0);
    for cycle in 0..60 {
        let u = &mut dut.u;
        u.clock.next = false.into();
        u.reset.next = cycle == 0;
        u.mac_lo.next = 0x4433_2211_u64.into();
        let beat = cycle - 1;
        u.valid.next = (0..7).contains(&beat);
        u.beat.next = (beat.clamp(0, 6) as u64).into();
        // Half-word 15 is 10.1, half-word 16 is 2.3.
        u.d0.next = (if beat == 4 {
            0x0000_0302_u64
        } else {
            0xAAAA_0000 | beat as u64 & 7
        })
        .into();
        u.d1.next = (if beat == 3 {
            0x010A_0000_u64
        } else {
            0xBBBB_0000
        })
        .into();
        u.ended.next = beat == 6;
        u.forget.next = case.abort;
        u.len.next = 50.into();
        u.raw.next = case.raw;
        u.ipcs.next = case.ipcs;
        u.l4cs.next = case.l4cs;
        u.next_hop.next = 3.into();
        u.version_ok.next = case.version_ok;
        u.ihl.next = 5.into();
        u.total.next = 28.into();
        u.protocol.next = 17.into();
        u.udp.next = true;
        u.udp_len.next = 8.into();
        u.l4_beat.next = 4.into();
        u.header_sum.next = 0x1234.into();
        // Protocol and length make up the rest to 0xFFFF: 0xFFFF - 0x1100 - 0x0800.
        u.l4_sum.next = 0xE6FF.into();
        u.lookup.hit.next = case.hit;
        u.lookup.mac_lo.next = 0x0D0C_0B0A_u64.into();
        u.lookup.mac_hi.next = 0x0F0E.into();
        u.lookup.address.next = 0x0A01_0203.into();
        u.lookup.done.next = false;
        if u.lookup.valid.val() {
            asked += 1;
            u.lookup.done.next = asked == 3;
        }
        u.verdict.ready.next = false;
        if u.verdict.valid.val() {
            told += 1;
            u.verdict.ready.next = told == 3;
        }
        dut.settle();
        let u = &dut.u;
        if u.lookup.valid.val() && u.lookup.done.val() {
            deeds.push(Deed::Ask {
                ip: u.lookup.ip.val().to_u32(),
                next_hop: u.lookup.next_hop.val().to_u8(),
            });
        }
        if !u.valid.val() && (u.write0.val() || u.write1.val()) {
            deeds.push(Deed::Write {
                beat: u.store_beat.val().to_u32(),
                words: [
                    u.write0.val().then(|| u.store0.val().to_u32()),
                    u.write1.val().then(|| u.store1.val().to_u32()),
                ],
            });
        }
        if u.commit.val() {
            deeds.push(Deed::Commit);
        }
        if u.events.val().to_u32() == 1 << counter::ARP_MISSES {
            deeds.push(Deed::Miss);
        }
        if u.verdict.valid.val() && u.verdict.ready.val() {
            deeds.push(Deed::Verdict {
                bad: u.verdict.bad.val(),
                miss: u.verdict.arp_miss.val(),
                address: u.verdict.address.val().to_u32(),
            });
        }
        if u.restart.val() {
            deeds.push(Deed::Restart);
        }
        let busy = u.busy.val();
        dut.u.clock.next = true.into();
        dut.settle();
        if cycle > 20 && !busy {
            break;
        }
    }
    deeds
}

const GOOD: Case = Case {
    raw: false,
    abort: false,
    ipcs: true,
    l4cs: true,
    hit: true,
    version_ok: true,
};
const ASK: Deed = Deed::Ask {
    ip: 0x0A01_0203,
    next_hop: 3,
};

fn verdict(bad: bool, miss: bool) -> Deed {
    Deed::Verdict {
        bad,
        miss,
        address: if miss { 0x0A01_0203 } else { 0 },
    }
}

/// The verdict without its address, which only counts for a miss.
fn told(mut deeds: Vec<Deed>) -> Vec<Deed> {
    for deed in &mut deeds {
        if let Deed::Verdict {
            miss: false,
            address,
            ..
        } = deed
        {
            *address = 0;
        }
    }
    deeds
}

#[test]
fn a_good_packet_is_asked_for_edited_committed_and_told() {
    let address = Deed::Write {
        beat: 0,
        words: [Some(0x0D0C_0B0A), Some(0x2211_0F0E)],
    };
    let ip = Deed::Write {
        beat: 3,
        words: [Some(0xAAAA_EDCB), None],
    };
    // A sum of 0xFFFF would give zero, which UDP sends as all ones (RFC 768).
    let l4 = Deed::Write {
        beat: 5,
        words: [Some(0xAAAA_FFFF), None],
    };
    let end = [Deed::Commit, verdict(false, false), Deed::Restart];
    let all = [vec![ASK, address.clone(), ip, l4], end.to_vec()].concat();
    assert_eq!(told(run(&GOOD)), all);
    let none = [vec![ASK, address], end.to_vec()].concat();
    assert_eq!(
        told(run(&Case {
            ipcs: false,
            l4cs: false,
            ..GOOD
        })),
        none
    );
}

#[test]
fn a_miss_writes_nothing_and_names_the_next_hop() {
    let want = vec![ASK, Deed::Miss, verdict(false, true), Deed::Restart];
    assert_eq!(told(run(&Case { hit: false, ..GOOD })), want);
}

#[test]
fn bad_raw_and_aborted_packets_ask_nobody() {
    let bad = vec![verdict(true, false), Deed::Restart];
    assert_eq!(
        told(run(&Case {
            version_ok: false,
            ..GOOD
        })),
        bad
    );
    let raw = vec![Deed::Commit, verdict(false, false), Deed::Restart];
    assert_eq!(
        told(run(&Case {
            raw: true,
            version_ok: false,
            ..GOOD
        })),
        raw
    );
    assert_eq!(
        run(&Case {
            abort: true,
            ..GOOD
        }),
        vec![Deed::Restart]
    );
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxFinish>("tx_finish").expect("emits");
    crate::common::verilator_lint("tx_finish", &text);
}

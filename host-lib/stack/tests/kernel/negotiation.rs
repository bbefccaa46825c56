//! What both sides agree on in the handshake, read from the SYNs on the wire.

use ferrule_kernel_wire::Wire;
use ferrule_stack::{Config, Ecn};

use crate::lab::{run, Lab, Setup};
use crate::streams::exchange;

/// What a SYN offers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Offer {
    mss: Option<u16>,
    timestamps: bool,
    sack: bool,
    scaling: bool,
}

const ALL: Offer = Offer {
    mss: Some(1460),
    timestamps: true,
    sack: true,
    scaling: true,
};

/// The offers of the SYN and of the SYN-ACK.
fn offers(lab: &Lab) -> [Offer; 2] {
    [false, true].map(|ack| {
        let segments = lab.segments();
        let syn = segments
            .iter()
            .find(|(_, _, tcp)| tcp.syn && tcp.ack == ack);
        let (_, _, tcp) = syn.expect("a handshake");
        let mut offer = Offer {
            mss: None,
            timestamps: false,
            sack: false,
            scaling: false,
        };
        use etherparse::TcpOptionElement::*;
        for option in tcp.options_iterator() {
            match option.expect("well formed") {
                MaximumSegmentSize(mss) => offer.mss = Some(mss),
                Timestamp(..) => offer.timestamps = true,
                SelectiveAcknowledgementPermitted => offer.sack = true,
                WindowScale(_) => offer.scaling = true,
                Noop | SelectiveAcknowledgement(..) => {}
            }
        }
        offer
    })
}

/// Both ways round, what the kernel refuses is refused, and what it offers agreed to; our client offers all. The offers
/// are looked at on a clean wire, which has each SYN once; what the agreement is good for shows where segments are lost.
fn agree(sysctls: &'static [(&'static str, &'static str)], theirs: Offer) {
    for we_connect in [true, false] {
        let wire = Wire {
            loss: 100,
            ..Wire::default()
        };
        let setup = Setup {
            seed: 11,
            wire: Wire::default(),
            sysctls,
            ..Setup::default()
        };
        run(setup, move |lab| {
            exchange(lab, we_connect, 1_000);
            let [syn, syn_ack] = offers(lab);
            let first = if we_connect { ALL } else { theirs };
            assert_eq!(syn, first, "the SYN, we connect: {we_connect}");
            assert_eq!(syn_ack, theirs, "the SYN-ACK, we connect: {we_connect}");
            every_segment_keeps_to_it(lab, theirs);
        });
        let setup = Setup {
            seed: 12,
            wire,
            sysctls,
            ..Setup::default()
        };
        run(setup, move |lab| {
            let info = exchange(lab, we_connect, 1 << 20);
            assert_eq!(info.timestamps, theirs.timestamps);
            assert_eq!(info.sack, theirs.sack);
            assert_eq!(info.window_scale.is_some(), theirs.scaling);
            every_segment_keeps_to_it(lab, theirs);
        });
    }
}

/// RFC 7323 section 3.2: timestamps in every segment but RSTs once agreed, in none otherwise; no SACK without leave.
fn every_segment_keeps_to_it(lab: &Lab, agreed: Offer) {
    use etherparse::TcpOptionElement::{SelectiveAcknowledgement, Timestamp};
    let mut sacks = 0;
    for (packet, _, tcp) in lab.segments() {
        if tcp.syn {
            continue;
        }
        let options: Vec<_> = tcp.options_iterator().collect();
        let has = |f: fn(&etherparse::TcpOptionElement) -> bool| {
            options.iter().any(|o| f(o.as_ref().expect("well formed")))
        };
        let stamped = has(|o| matches!(o, Timestamp(..)));
        assert_eq!(stamped, agreed.timestamps, "{packet:?}");
        sacks += usize::from(has(|o| matches!(o, SelectiveAcknowledgement(..))));
    }
    if !agreed.sack {
        assert_eq!(sacks, 0, "SACK without leave");
    } else if lab.setup.wire.loss > 0 {
        assert!(sacks > 0, "no SACK though segments were lost");
    }
}

#[test]
fn timestamps_sack_and_window_scaling_are_agreed_on() {
    agree(&[], ALL);
}

#[test]
fn a_kernel_without_timestamps_is_spoken_to_without() {
    let theirs = Offer {
        timestamps: false,
        ..ALL
    };
    agree(&[("net.ipv4.tcp_timestamps", "0")], theirs);
}

#[test]
fn a_kernel_without_sack_is_spoken_to_without() {
    let theirs = Offer { sack: false, ..ALL };
    agree(&[("net.ipv4.tcp_sack", "0")], theirs);
}

#[test]
fn a_kernel_without_window_scaling_is_spoken_to_without() {
    let theirs = Offer {
        scaling: false,
        ..ALL
    };
    agree(&[("net.ipv4.tcp_window_scaling", "0")], theirs);
}

#[test]
fn a_kernel_without_any_option_is_spoken_to_without() {
    let theirs = Offer {
        mss: Some(1460),
        timestamps: false,
        sack: false,
        scaling: false,
    };
    const SYSCTLS: &[(&str, &str)] = &[
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.ipv4.tcp_sack", "0"),
        ("net.ipv4.tcp_window_scaling", "0"),
    ];
    agree(SYSCTLS, theirs);
}

fn always(config: &mut Config) {
    config.tcp.ecn = Ecn::Always;
}

fn never(config: &mut Config) {
    config.tcp.ecn = Ecn::Never;
}

/// Whether SYN and SYN-ACK ask for ECN and agree (RFC 3168 section 6.1.1).
fn ecn_setup(lab: &Lab) -> (bool, bool) {
    let segments = lab.segments();
    let of = |ack| {
        let syn = segments
            .iter()
            .find(|(_, _, tcp)| tcp.syn && tcp.ack == ack);
        let (_, ip, tcp) = syn.expect("a handshake");
        assert_eq!(ip.ecn.value(), 0, "a SYN must not be ECN-capable");
        (tcp.ece, tcp.cwr)
    };
    let (syn, syn_ack) = (of(false), of(true));
    (syn == (true, true), syn_ack == (true, false))
}

#[test]
fn congestion_marks_are_echoed_and_answered_both_ways() {
    for (seed, we_connect) in [(21, true), (22, false)] {
        let wire = Wire {
            delay: std::time::Duration::from_millis(1),
            mark: 200,
            ..Wire::default()
        };
        let setup = Setup {
            seed,
            wire,
            sysctls: &[("net.ipv4.tcp_ecn", "1")],
            config: if we_connect { always } else { |_| {} },
        };
        run(setup, move |lab| {
            let info = exchange(lab, we_connect, 2 << 20);
            assert!(info.ecn, "seed {seed}");
            assert_eq!(ecn_setup(lab), (true, true), "seed {seed}");
            for from_kernel in [true, false] {
                let segments = lab.segments();
                let mut sent = segments
                    .iter()
                    .filter(|(packet, ..)| packet.from_kernel == from_kernel);
                let (mut capable, mut echoes, mut reductions) = (0, 0, 0);
                for (_, ip, tcp) in sent.by_ref().filter(|(_, _, tcp)| !tcp.syn) {
                    capable += usize::from(ip.ecn.value() == 2);
                    echoes += usize::from(tcp.ece);
                    reductions += usize::from(tcp.cwr);
                }
                let seen = (capable > 500, echoes > 0, reductions > 0);
                let all = (true, true, true);
                assert_eq!(seen, all, "seed {seed}, the kernel sent: {from_kernel}");
            }
        });
    }
}

#[test]
fn ecn_is_not_used_where_one_side_does_not_agree() {
    for (seed, we_connect, kernel_setting) in [
        (23, true, &[("net.ipv4.tcp_ecn", "0")]),
        (24, false, &[("net.ipv4.tcp_ecn", "1")]),
    ] {
        let setup = Setup {
            seed,
            sysctls: kernel_setting,
            config: if we_connect { always } else { never },
            ..Setup::default()
        };
        run(setup, move |lab| {
            let info = exchange(lab, we_connect, 100_000);
            assert!(!info.ecn, "seed {seed}");
            assert_eq!(ecn_setup(lab), (true, false), "seed {seed}");
            let capable = lab.segments().iter().any(|(_, ip, _)| ip.ecn.value() != 0);
            assert!(!capable, "seed {seed}");
        });
    }
}

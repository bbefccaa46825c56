//! Native and verilated are the same machine: every output in every cycle, whatever comes in.
use ferrule_abi::ring::sqe_flags;
use ferrule_abi::ring::Sqe;
use ferrule_abi::{regs, TICK_NS};
use ferrule_rtl::pins::Gmii;
use ferrule_sim::root_complex::{Settings, Split};
use ferrule_sim::tlp::Tlp;
use ferrule_tests::bench::link::OWN_TAGS;
use ferrule_tests::bench::{Bench, Layout, ADDRESS, GATEWAY, TX_BUFFER};
use ferrule_tests::{engines, frames};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// After so many, a reset and a sensible set-up: random register writes may have silenced the NIC.
const PERIOD_CYCLES: u32 = 3_000;
const PERIODS: u32 = 6;

/// Something that may arrive from the wire.
fn wire(random: &mut StdRng, b: &mut Bench) {
    let payload: Vec<u8> = (0..random.random_range(0..200))
        .map(|_| random.random())
        .collect();
    let peer = (frames::PEER_MAC, frames::PEER);
    let gateway = ([2, 0, 0, 0, 0, 9], GATEWAY);
    match random.random_range(0..10) {
        0 | 1 => b.phy.receive(&frames::udp(&payload)),
        2 | 3 => b.phy.receive(&frames::tcp(&payload)),
        4 => b.phy.receive(&frames::arp_request(peer, ADDRESS)),
        5 => b.phy.receive(&frames::arp_reply(peer)),
        6 => b.phy.receive(&frames::arp_reply(gateway)),
        7 => {
            // One bit of a good frame is not what it was.
            let mut frame = frames::with_fcs(&frames::udp(&payload));
            let at = random.random_range(0..frame.len());
            frame[at] ^= 1 << random.random_range(0..8);
            b.phy.receive_raw(frames::line(&frame));
        }
        8 => {
            // A good FCS around something that is not as it should be.
            let mut frame = frames::udp(&payload);
            let at = random.random_range(12..42);
            frame[at] = random.random();
            b.phy.receive(&frame);
        }
        _ => {
            let length = random.random_range(1..120);
            b.phy.receive_raw(
                (0..length)
                    .map(|_| Gmii {
                        data: *[0x55, 0xD5, random.random()]
                            .get(random.random_range(0..3))
                            .unwrap_or(&0),
                        valid: random.random_bool(0.9),
                        error: random.random_bool(0.02),
                    })
                    .collect::<Vec<_>>(),
            );
            b.phy.receive_raw([Gmii::default(); 8]);
        }
    }
}

/// Something that a host may do to its transmit queue.
fn transmit(random: &mut StdRng, b: &mut Bench) {
    b.tx_completions();
    for _ in 0..random.random_range(1..4) {
        let payload: Vec<u8> = (0..random.random_range(0..250))
            .map(|_| random.random())
            .collect();
        let to = [
            frames::PEER,
            [198, 51, 100, 1],
            [192, 0, 2, 255],
            [192, 0, 2, random.random()],
        ];
        let packet = frames::udp_packet(to[random.random_range(0..4)], &payload);
        let offset = random.random_range(0..9);
        let buffer = b.buffers + b.sq.slot() * TX_BUFFER + offset;
        b.memory.write(buffer, &packet);
        let mut flags = 0;
        for (flag, often) in [
            (sqe_flags::SOP, 0.95),
            (sqe_flags::EOP, 0.95),
            (sqe_flags::RAW, 0.4),
            (sqe_flags::IPCS, 0.7),
            (sqe_flags::L4CS, 0.7),
            (sqe_flags::CPL_REQ, 0.5),
            (1 << sqe_flags::NEXT_HOP_SHIFT, 0.1),
        ] {
            if random.random_bool(often) {
                flags |= flag;
            }
        }
        let bad_address = if random.random_bool(0.05) { 1 << 41 } else { 0 };
        b.post_sqe(Sqe {
            iova: buffer | bad_address,
            len: if random.random_bool(0.03) {
                0
            } else {
                packet.len() as u16
            },
            flags,
            ..Sqe::default()
        });
    }
    b.ring_tx(random.random_bool(0.5));
}

/// Some register access, sensible or not.
fn access(random: &mut StdRng, b: &mut Bench) {
    let pages = [
        0,
        regs::tx_page(0),
        regs::rx_page(0),
        regs::queue_page(random.random_range(0..regs::PAGES)),
        random.random_range(0..1 << 18) * 4,
    ];
    let offset = pages[random.random_range(0..5)] + random.random_range(0..0x60) * 4;
    match random.random_range(0..8) {
        0..4 => {
            let _ = b.root_complex.read_register(0, offset, 0xF);
        }
        4 => b.write(regs::snapshot::OFFSET, 1),
        5 => b.write(offset, random.random()),
        6 => b.write(regs::arpctl::OFFSET, random.random_range(0..8) | 0x100),
        _ => {
            let dwords = random.random_range(1..4);
            let be = if dwords == 1 { 0 } else { 0xF };
            let read = Tlp::MemRead {
                requester: 0,
                tag: OWN_TAGS,
                addr: u64::from(offset),
                dwords,
                first_be: 0xF,
                last_be: be,
            };
            b.send_tlp(&read.encode(), random.random_range(0..3));
        }
    }
}

fn traffic(seed: u64) {
    let Some(_) = engines::verilated() else {
        return;
    };
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let settings = Settings {
        split: Split::Random { seed },
        read_latency_ns: random.random_range(50..1_500),
        ports: 1,
    };
    let layout = Layout {
        settings,
        ..Layout::default()
    };
    let mut b = Bench::new(engines::all(), &layout);
    b.stalls().random = StdRng::seed_from_u64(!seed);
    (b.stalls().take, b.stalls().give) =
        (random.random_range(0.0..0.6), random.random_range(0.0..0.6));
    for cycle in 0..PERIODS * PERIOD_CYCLES {
        b.step();
        if cycle % PERIOD_CYCLES == PERIOD_CYCLES - 1 {
            let _ = b.root_complex.config.write(4, &[6, 0]);
            b.root_complex.reset_device();
            b.run(40);
            b.start_again();
        }
        match random.random_range(0..1_000) {
            0..8 => wire(&mut random, &mut b),
            8..16 => transmit(&mut random, &mut b),
            16..20 => access(&mut random, &mut b),
            20..24 => drop(b.receive()),
            24..26 => b.ring_rx(true),
            26..28 => drop(b.take_events()),
            28 => b.now_ns += random.random_range(0..2_000) * TICK_NS,
            29 => b.inputs.link_up ^= true,
            30 if random.random_bool(0.3) => {
                b.write(regs::ctrl::OFFSET, 1);
                b.run(600);
                b.start_again();
            }
            31 if random.random_bool(0.3) => {
                let command = [[2, 6][random.random_range(0..2)], 0];
                let _ = b.root_complex.config.write(4, &command);
            }
            32..40 => transmit(&mut random, &mut b),
            _ => {}
        }
        b.answers();
    }
    let stats = b.root_complex.stats();
    let moved = [
        stats.up.reads,
        stats.up.writes,
        stats.down.data_completions,
        b.sent.len() as u64,
    ];
    assert!(
        moved.iter().all(|n| *n > 5),
        "hardly any traffic: {moved:?}"
    );
    assert_eq!(
        b.root_complex.stats().violations,
        0,
        "{:?}",
        b.root_complex.last_violation()
    );
}

#[test]
fn random_traffic_1() {
    traffic(1);
}
#[test]
fn random_traffic_2() {
    traffic(2);
}
#[test]
fn random_traffic_3() {
    traffic(3);
}
#[test]
fn random_traffic_4() {
    traffic(4);
}

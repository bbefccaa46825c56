//! Neighbours: what the host, the wire and the ARP engine say to each other.
use etherparse::ArpOperation;
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, IPCS, L4CS, NEXT_HOP_SHIFT, SOP};
use ferrule_abi::ring::{cqe_status, event_code, Event};
use ferrule_abi::{counter, regs};
use ferrule_tests::bench::{Bench, Layout, ADDRESS, GATEWAY, MAC};
use ferrule_tests::engines;
use ferrule_tests::frames::{
    arp_reply, arp_request, checked_packet, parse_arp, tcp_packet, udp_packet, without_checksums,
    Arp, PEER, PEER_MAC,
};

const PACKET: u16 = SOP | EOP | IPCS | L4CS | CPL_REQ;
const GATEWAY_MAC: [u8; 6] = [0x02, 0x6A, 0x7E, 0, 0, 1];
const EVERYBODY: [u8; 6] = [0xFF; 6];

/// Sends a packet and gives its completion's status and hash word.
fn send(b: &mut Bench, packet: &[u8], flags: u16) -> (u16, u32) {
    b.post_tx(packet, flags);
    b.ring_tx(false);
    b.settle();
    let completions = b.tx_completions();
    assert_eq!(completions.len(), 1);
    (completions[0].status, completions[0].hash)
}

/// The one frame sent since the last call, which must be a request of the NIC; whom it asks for.
fn asked(b: &mut Bench) -> [u8; 4] {
    let frames = b.frames();
    assert_eq!(frames.len(), 1, "{frames:x?}");
    let arp = parse_arp(&frames[0]).expect("ARP");
    let want = Arp {
        destination: EVERYBODY,
        source: MAC,
        operation: ArpOperation::REQUEST,
        sender: (MAC, ADDRESS),
        target: ([0; 6], arp.target.1),
    };
    assert_eq!(arp, want);
    arp.target.1
}

/// Events about neighbours: code and address.
fn notices(b: &mut Bench) -> Vec<(u16, [u8; 4])> {
    let neighbours = [event_code::NEIGH_RESOLVED, event_code::NEIGH_FAILED];
    let mut events: Vec<Event> = b.take_events();
    events.retain(|e| neighbours.contains(&e.code));
    events
        .iter()
        .map(|e| (e.code, e.address.to_be_bytes()))
        .collect()
}

/// Sends a packet to a next hop that is not known, answers the request, sends it again and gives the frame that goes out.
fn miss_then_send(b: &mut Bench, packet: &[u8], flags: u16, hop: ([u8; 6], [u8; 4])) -> Vec<u8> {
    let miss = (cqe_status::ARP_MISS, u32::from_be_bytes(hop.1));
    assert_eq!(send(b, packet, flags), miss);
    assert_eq!(asked(b), hop.1);
    assert_eq!(notices(b), []);
    b.phy.receive(&arp_reply(hop));
    b.settle();
    assert_eq!(notices(b), [(event_code::NEIGH_RESOLVED, hop.1)]);
    assert_eq!(send(b, packet, flags), (0, 0));
    let mut frames = b.frames();
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

#[test]
fn a_packet_to_an_unknown_neighbour_comes_back_and_goes_out_once_it_is_known() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let packet = udp_packet(PEER, b"is anybody there?");
    let spoilt = without_checksums(packet.clone());
    let frame = miss_then_send(&mut b, &spoilt, PACKET, (PEER_MAC, PEER));
    assert_eq!(checked_packet(&frame), (PEER_MAC, MAC, packet));
    for packet in [tcp_packet(PEER, &[5; 1001]), tcp_packet(PEER, &[])] {
        let spoilt = without_checksums(packet.clone());
        assert_eq!(send(&mut b, &spoilt, PACKET), (0, 0));
        let frames = b.frames();
        assert_eq!(frames.len(), 1);
        assert_eq!(checked_packet(&frames[0]), (PEER_MAC, MAC, packet));
    }
    assert_eq!(b.counter(counter::ARP_MISSES), 1);
    assert_eq!(b.counter(counter::TX_FRAMES), 4, "with the request");
    b.check_link();
}

#[test]
fn other_subnets_go_to_the_gateway_and_broadcasts_to_everybody() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let second = ([0x02, 0x6A, 0x7E, 0, 0, 2], [192, 0, 2, 253]);
    b.write(regs::gateway::OFFSET + 4, u32::from_be_bytes(second.1));
    let far = udp_packet([198, 51, 100, 9], b"far away");
    let frame = miss_then_send(&mut b, &far, PACKET, (GATEWAY_MAC, GATEWAY));
    assert_eq!(checked_packet(&frame), (GATEWAY_MAC, MAC, far.clone()));
    // Gateway 2 on request, even for the next house.
    let near = udp_packet(PEER, b"the long way round");
    let frame = miss_then_send(&mut b, &near, PACKET | 2 << NEXT_HOP_SHIFT, second);
    assert_eq!(checked_packet(&frame), (second.0, MAC, near));
    for (to, mac) in [
        ([255, 255, 255, 255], EVERYBODY),
        ([192, 0, 2, 255], EVERYBODY),
        ([224, 0, 0, 251], [0x01, 0x00, 0x5E, 0, 0, 251]),
        // RFC 1112 section 6.4: the low 23 bits.
        ([239, 129, 2, 3], [0x01, 0x00, 0x5E, 1, 2, 3]),
    ] {
        let packet = udp_packet(to, b"hello all");
        assert_eq!(send(&mut b, &packet, PACKET), (0, 0), "{to:?}");
        let frames = b.frames();
        assert_eq!(checked_packet(&frames[0]), (mac, MAC, packet), "{to:?}");
    }
    b.check_link();
}

#[test]
fn three_unanswered_requests_are_a_failure() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let packet = udp_packet(PEER, b"?");
    for round in 1..=2 {
        let sent_at = b.now_ns / ferrule_abi::TICK_NS;
        let miss = (cqe_status::ARP_MISS, u32::from_be_bytes(PEER));
        assert_eq!(send(&mut b, &packet, PACKET), miss);
        assert_eq!(asked(&mut b), PEER);
        // A second packet to it is a miss as well, and no further request.
        assert_eq!(send(&mut b, &packet, PACKET), miss);
        assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
        let retry = u64::from(regs::arptime::RETRY.get(regs::arptime::REGISTER.reset));
        for again in 1..=2 {
            let deadline = u64::from(b.skip_to_deadline());
            let late = deadline - sent_at - again * retry;
            assert!(late <= 1, "request {again} is {late} ticks late");
            assert_eq!(asked(&mut b), PEER);
            assert_eq!(notices(&mut b), []);
        }
        b.skip_to_deadline();
        assert_eq!(notices(&mut b), [(event_code::NEIGH_FAILED, PEER)]);
        assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
        assert_eq!(b.counter(counter::ARP_REQUESTS), 3 * round);
        assert_eq!(b.counter(counter::ARP_FAILURES), round);
        assert_eq!(b.outputs.deadline, None, "nothing more to do");
    }
    // One silent neighbour is in nobody's way, and may answer later after all.
    miss_then_send(&mut b, &packet, PACKET, (PEER_MAC, PEER));
    b.check_link();
}

#[test]
fn requests_for_the_address_are_answered_and_teach_who_asks() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    b.phy
        .receive(&arp_request((PEER_MAC, PEER), [192, 0, 2, 77]));
    b.settle();
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new(), "not ours");
    b.phy.receive(&arp_request((PEER_MAC, PEER), ADDRESS));
    b.settle();
    let frames = b.frames();
    assert_eq!(frames.len(), 1);
    let want = Arp {
        destination: PEER_MAC,
        source: MAC,
        operation: ArpOperation::REPLY,
        sender: (MAC, ADDRESS),
        target: (PEER_MAC, PEER),
    };
    assert_eq!(parse_arp(&frames[0]), Some(want));
    assert_eq!(
        send(&mut b, &udp_packet(PEER, b"we have met"), PACKET),
        (0, 0)
    );
    assert_eq!(checked_packet(&b.frames()[0]).0, PEER_MAC);
    assert_eq!(b.receive(), [], "ARP is not the host's business");
    b.check_link();
}

/// A host that parks a packet at its ARP_MISS must find the news of that address after it: else it would wait for ever.
#[test]
fn a_miss_is_written_before_the_news_whenever_the_answer_comes() {
    let engine = engines::verilated();
    let step = if engine.is_some() { 1 } else { 11 };
    let mut b = Bench::new(engine.unwrap_or_else(engines::native), &Layout::default());
    let packet = udp_packet(PEER, b"!");
    let (mut misses, mut hits) = (0, 0);
    for delay in (0..330).step_by(step) {
        send(&mut b, &packet, PACKET);
        b.frames();
        // A second packet and the answer to the first one's request arrive at nearly the same time.
        b.post_tx(&packet, PACKET);
        b.ring_tx(false);
        b.run(delay);
        b.phy.receive(&arp_reply((PEER_MAC, PEER)));
        let first = b.until("news or completion", 10_000, |b| {
            let completion = b.txcq.clone().pop(&b.memory).is_some();
            let mut ring = b.events.clone();
            let news = std::iter::from_fn(|| ring.pop(&b.memory))
                .map(Event::from_words)
                .any(|e| e.code == event_code::NEIGH_RESOLVED);
            (completion || news).then_some((completion, news))
        });
        b.settle();
        let completion = b.tx_completions()[0];
        match completion.status {
            cqe_status::ARP_MISS => {
                assert!(first.0, "delay {delay}: the news came before the miss");
                misses += 1;
            }
            status => {
                assert_eq!(status, 0);
                hits += 1;
            }
        }
        assert_eq!(
            notices(&mut b),
            [(event_code::NEIGH_RESOLVED, PEER)],
            "delay {delay}"
        );
        b.frames();
        b.write(
            regs::arpctl::OFFSET,
            regs::arpctl::REGISTER.reset | regs::arpctl::FLUSH.of(1),
        );
        b.settle();
    }
    assert!(
        misses > 0 && hits > 0,
        "{misses} misses, {hits} hits: the race was not met"
    );
    b.check_link();
}

/// The news of the first misses fill ring and engine, so that lookups wait for room: they must not be waited for by the very news that
/// would make it.
#[test]
fn more_misses_at_once_than_news_fit_all_end() {
    const PACKETS: usize = 48;
    let layout = Layout {
        tx_log2: (6, 6),
        ..Layout::default()
    };
    let mut b = Bench::new(engines::compiled(), &layout);
    // By a gateway that there is not: a miss, and its failure at once.
    let flags = PACKET | 5 << NEXT_HOP_SHIFT;
    let packet = udp_packet([198, 51, 100, 7], b"!");
    (0..PACKETS).for_each(|_| b.post_tx(&packet, flags));
    b.ring_tx(false);
    let (mut misses, mut failures) = (0, 0);
    // A lookup that waits is tried again and again: the NIC is not idle meanwhile.
    for _ in 0..PACKETS {
        b.run(2_000);
        misses += b.tx_completions().len();
        failures += notices(&mut b).len();
    }
    assert_eq!((misses, failures), (PACKETS, PACKETS));
}

/// Gives a command for the cache and waits until it is done; ARP_ENTRY_ADDR to ARP_ENTRY.
fn command(b: &mut Bench, value: u32) -> [u32; 4] {
    b.write(regs::arp_cmd::OFFSET, value);
    for _ in 0..10 {
        let first = regs::arp_entry_addr::OFFSET;
        let words = [12, 0, 4, 8].map(|at| b.read(first + at));
        if regs::arp_entry::BUSY.get(words[0]) == 0 {
            return [words[1], words[2], words[3], words[0]];
        }
    }
    panic!("the command does not end");
}

#[test]
fn the_host_reads_adds_and_deletes_entries_of_the_cache() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let ip = u32::from_be_bytes(PEER);
    let set = (u32::from(PEER[2] ^ PEER[3]) & 63) * 4;
    let packet = udp_packet(PEER, b"by the host's word");
    let other = [0x02, 0xFA, 0xCE, 0, 0, 7];
    b.write(regs::arp_addr::OFFSET, ip);
    b.write(regs::arp_mac_lo::OFFSET, 0x00CE_FA02);
    b.write(regs::arp_mac_hi::OFFSET, 0x0700);
    assert_eq!(command(&mut b, 2)[3], 0);
    // Nobody is asked, and who claims the address is not believed.
    b.phy.receive(&arp_reply((PEER_MAC, PEER)));
    b.settle();
    assert_eq!(send(&mut b, &packet, PACKET), (0, 0));
    let frames = b.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(checked_packet(&frames[0]), (other, MAC, packet.clone()));
    let entries: Vec<_> = (set..set + 4)
        .map(|place| command(&mut b, 1 | place << 8))
        .filter(|words| *words != [0; 4])
        .collect();
    assert_eq!(entries, [[ip, 0, 0x00CE_FA02, 0x0002_0700]]);
    assert_eq!(command(&mut b, 3)[3], 0);
    assert_eq!(command(&mut b, 3)[3] >> 24, 1, "there is none any more");
    miss_then_send(&mut b, &packet, PACKET, (PEER_MAC, PEER));
    b.check_link();
}

/// RFC 5227 section 2.4: the event says who claims the address; with DEFEND it is announced.
#[test]
fn who_claims_our_address_is_told_of_counted_and_answered() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    b.write(regs::arpctl::OFFSET, 0b1111);
    for _ in 0..2 {
        b.phy.receive(&arp_reply((PEER_MAC, ADDRESS)));
        b.settle();
    }
    let mut events = b.take_events();
    events.retain(|e| e.code == event_code::ADDRESS_CONFLICT);
    let [event] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(event.address, u32::from_be_bytes(ADDRESS));
    assert_eq!(event.conflict_mac(), PEER_MAC);
    assert_eq!(asked(&mut b), ADDRESS, "an announcement");
    assert_eq!(b.counter(counter::ARP_CONFLICTS), 2);
    // An announcement and a probe by command.
    b.write(regs::arp_addr::OFFSET, u32::from_be_bytes(PEER));
    for (op, sender) in [(4, PEER), (5, [0; 4])] {
        assert_eq!(command(&mut b, op)[3], 0);
        b.settle();
        let frames = b.frames();
        assert_eq!(frames.len(), 1);
        let want = Arp {
            destination: EVERYBODY,
            source: MAC,
            operation: ArpOperation::REQUEST,
            sender: (MAC, sender),
            target: ([0; 6], PEER),
        };
        assert_eq!(parse_arp(&frames[0]), Some(want));
    }
    b.check_link();
}

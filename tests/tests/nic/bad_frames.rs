//! Frames that no station may accept: dropped, counted by reason, and the pipeline is clean for the next frame.
use etherparse::{Ipv4Header, PacketBuilder};
use ferrule_abi::counter;
use ferrule_abi::ring::cqe_status;
use ferrule_rtl::pins::Gmii;
use ferrule_tests::bench::{Bench, Layout, MAC};
use ferrule_tests::engines;
use ferrule_tests::frames::{line, tcp, udp, with_fcs, PEER_MAC};
use ferrule_tests::line_rate;

/// Where the IPv4 header is.
const IP: usize = 14;
/// Where TCP or UDP is.
const L4: usize = IP + 20;

/// A frame as it is on the line, and the counter that it raises.
struct Bad {
    name: &'static str,
    line: Vec<Gmii>,
    reason: u32,
}

/// `frame` with the bytes at `at` replaced and, if asked for, its IPv4 header checksum made right again by etherparse.
fn altered(mut frame: Vec<u8>, at: usize, bytes: &[u8], sum: bool) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    if sum {
        let (header, _) = Ipv4Header::from_slice(&frame[IP..]).expect("a header");
        let sum = header.calc_header_checksum().to_be_bytes();
        frame[IP + 10..IP + 12].copy_from_slice(&sum);
    }
    with_fcs(&frame)
}

/// A frame with a type or length field and that many bytes after it.
fn raw(type_or_length: u16, data: usize) -> Vec<u8> {
    let mut frame = [&PEER_MAC[..], &PEER_MAC].concat();
    frame[..6].copy_from_slice(&MAC);
    frame.extend(type_or_length.to_be_bytes());
    frame.extend((0..data).map(|i| i as u8));
    frame
}

fn bad_frames() -> Vec<Bad> {
    let mut list = vec![];
    let mut bad = |name, line, reason| list.push(Bad { name, line, reason });
    let good = with_fcs(&udp(&[7; 40]));

    let mut fcs = good.clone();
    fcs[30] ^= 0x10;
    bad("bad FCS", line(&fcs), counter::RX_DROP_FCS);
    let mut error = line(&good);
    error[40].error = true;
    bad("RX_ER", error, counter::RX_DROP_FCS);

    let mut runt = raw(0x88B5, 45);
    runt.extend(crc32fast::hash(&runt).to_le_bytes());
    assert_eq!(runt.len(), 63);
    bad("63 bytes", line(&runt), counter::RX_DROP_RUNT);
    bad("10 bytes", line(&runt[..10]), counter::RX_DROP_RUNT);
    let long = with_fcs(&raw(0x88B5, 1501));
    assert_eq!(long.len(), 1519);
    bad("1519 bytes", line(&long), counter::RX_DROP_OVERSIZE);

    let short = with_fcs(&raw(100, 99));
    bad("802.3 length", line(&short), counter::RX_DROP_LENGTH);
    let total = altered(udp(&[1; 60]), IP + 2, &[0, 20 + 8 + 61], true);
    bad(
        "IPv4 total length beyond the frame",
        line(&total),
        counter::RX_DROP_LENGTH,
    );
    let total = altered(udp(&[1; 60]), IP + 2, &[0, 19], true);
    bad(
        "IPv4 total length within the header",
        line(&total),
        counter::RX_DROP_LENGTH,
    );
    let length = altered(udp(&[1; 60]), L4 + 4, &[0, 8 + 61], false);
    bad(
        "UDP length beyond the packet",
        line(&length),
        counter::RX_DROP_LENGTH,
    );
    let length = altered(udp(&[1; 60]), L4 + 4, &[0, 7], false);
    bad(
        "UDP length within the header",
        line(&length),
        counter::RX_DROP_LENGTH,
    );

    let sum = altered(tcp(&[1; 20]), IP + 8, &[63], false);
    bad(
        "IPv4 header checksum",
        line(&sum),
        counter::RX_DROP_IP_HEADER,
    );
    let version = altered(tcp(&[1; 20]), IP, &[0x65], false);
    bad("IP version", line(&version), counter::RX_DROP_IP_HEADER);
    let ihl = altered(tcp(&[1; 20]), IP, &[0x44], false);
    bad("IHL", line(&ihl), counter::RX_DROP_IP_HEADER);

    let sum = altered(tcp(&[1; 21]), L4 + 30, &[2], false);
    bad("TCP checksum", line(&sum), counter::RX_DROP_L4_CSUM);
    let sum = altered(udp(&[1; 33]), L4 + 40, &[2], false);
    bad("UDP checksum", line(&sum), counter::RX_DROP_L4_CSUM);

    let other = altered(udp(&[1; 33]), 0, &PEER_MAC, false);
    bad("another station's", line(&other), counter::RX_DROP_FILTER);
    list
}

/// Frames that are good, at the borders of what is.
fn good_frames() -> Vec<(Vec<u8>, u16)> {
    let mut option = vec![];
    let mut header = etherparse::Ipv4Header::new(
        8 + 5,
        64,
        etherparse::IpNumber::UDP,
        [192, 0, 2, 2],
        [192, 0, 2, 1],
    )
    .expect("a header");
    header.options = [1; 8].into();
    PacketBuilder::ethernet2(PEER_MAC, MAC)
        .ip(etherparse::IpHeaders::Ipv4(header, Default::default()))
        .udp(9, 10)
        .write(&mut option, b"hello")
        .expect("a frame");
    let ip = cqe_status::IPV4 | cqe_status::IP_OK | cqe_status::CSUM_VALID | cqe_status::L4_OK;
    vec![
        (udp(&[]), ip | cqe_status::UDP),
        (tcp(&[3; 1460]), ip | cqe_status::TCP),
        (udp(&[9; 1472]), ip | cqe_status::UDP),
        (option, ip | cqe_status::UDP),
        (raw(46, 46), 0),
        (raw(0x88B5, 1500), 0),
    ]
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

#[test]
fn each_is_dropped_and_counted_and_the_next_one_arrives() {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let next = udp(b"the next one");
    for bad in bad_frames() {
        let (before, memory) = (b.counter(bad.reason), b.memory.snapshot());
        b.phy.receive_raw(bad.line);
        b.settle();
        assert!(
            b.memory.snapshot() == memory,
            "{}: memory was written",
            bad.name
        );
        assert_eq!(b.counter(bad.reason), before + 1, "{}", bad.name);
        b.phy.receive(&next);
        b.settle();
        let got = b.receive();
        assert_eq!(got.len(), 1, "after {}", bad.name);
        assert_eq!(got[0].bytes, padded(next.clone()), "after {}", bad.name);
    }
    let counters = b.counters();
    let cases = bad_frames();
    for c in counter::ALL
        .iter()
        .filter(|c| c.name.starts_with("rx_drop"))
    {
        let want = cases.iter().filter(|b| b.reason == c.index).count() as u64;
        assert_eq!(counters[c.index as usize], want, "{}", c.name);
    }
    let frames = cases.len() as u64;
    assert_eq!(counters[counter::RX_FRAMES as usize], frames);
    assert_eq!(counters[counter::RX_BYTES as usize], frames * 60);
    b.check_link();
}

#[test]
fn jumbo_frames_end_where_rxctl_says_and_where_a_slot_does() {
    for slot_log2 in [11, 14] {
        let layout = Layout {
            slot_log2,
            ..Layout::default()
        };
        let mut b = Bench::new(engines::compiled(), &layout);
        line_rate::accept_jumbo(&mut b);
        let longest = raw(0x88B5, 9_000);
        b.phy.receive_raw(line(&with_fcs(&raw(0x88B5, 9_001))));
        b.phy.receive(&longest);
        b.settle();
        assert_eq!(b.counter(counter::RX_DROP_OVERSIZE), 1);
        let got = b.receive();
        assert_eq!(got.len(), 1);
        let stored = longest.len().min(1 << slot_log2);
        let truncated = stored < longest.len();
        assert_eq!(usize::from(got[0].cqe.len), longest.len());
        assert_eq!(got[0].bytes, &longest[..stored]);
        assert_eq!(got[0].cqe.status & cqe_status::TRUNC != 0, truncated);
        assert_eq!(b.counter(counter::RX_TRUNCATED), u64::from(truncated));
        // Nothing of it lies in the slot behind.
        let next = b.slots + (u64::from(got[0].cqe.index + 1) << slot_log2);
        assert_eq!(b.memory.read(next, 1 << slot_log2), vec![0; 1 << slot_log2]);
        b.check_link();
    }
}

#[test]
fn good_ones_between_bad_ones_without_a_pause_arrive_whole_and_in_order() {
    let layout = Layout {
        rx_log2: (5, 5),
        slots: 32,
        ..Layout::default()
    };
    let mut b = Bench::new(engines::all(), &layout);
    let mut want = vec![];
    for (bad, good) in bad_frames()
        .into_iter()
        .zip(good_frames().into_iter().cycle())
    {
        b.phy.receive_raw(bad.line);
        b.phy.receive(&good.0);
        want.push((padded(good.0), good.1));
    }
    b.settle();
    let got: Vec<(Vec<u8>, u16)> = b
        .receive()
        .into_iter()
        .map(|r| (r.bytes, r.cqe.status))
        .collect();
    assert_eq!(got.len(), want.len());
    for (n, (got, (bytes, status))) in got.into_iter().zip(want).enumerate() {
        assert_eq!(got, (bytes, status | cqe_status::TS_VALID), "frame {n}");
    }
    b.check_link();
}

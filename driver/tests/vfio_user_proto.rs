//! vfio-user messages: round trips, hostile bytes, descriptors and messages that come in pieces.
use ferrule_driver::vfio_user::proto::*;
use ferrule_driver::vfio_user::socket::{Connection, SocketError};
use proptest::prelude::*;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (Connection, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    (Connection::new(a).unwrap(), b)
}

#[test]
fn a_region_read_has_the_bytes_of_the_specification() {
    // Field by field from "VFIO_USER_REGION_READ": offset 8 bytes, region 4, count 4, little endian.
    let mut body = Vec::new();
    RegionAccess {
        offset: 0x1_0000_0014,
        region: region::CONFIG,
        count: 4,
    }
    .encode(&mut body);
    assert_eq!(body, [0x14, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0]);
    let (mut ours, mut theirs) = pair();
    let header = Header {
        id: 0x0201,
        command: Command::RegionRead as u16,
        ..Header::default()
    };
    ours.send(header, &body, &[], SECOND).unwrap();
    let mut bytes = [0; 32];
    theirs.read_exact(&mut bytes).unwrap();
    assert_eq!(
        bytes[..16],
        [1, 2, 9, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(bytes[16..], body[..]);
}

#[test]
fn structure_lengths_are_those_of_the_specification() {
    let lengths = [
        Header::SIZE,
        DeviceInfo::SIZE,
        RegionInfo::SIZE,
        IrqInfo::SIZE,
        IrqSet::SIZE,
        RegionAccess::SIZE,
        DmaMap::SIZE,
        DmaUnmap::SIZE,
        DmaAccess::SIZE,
    ];
    assert_eq!(lengths, [16, 16, 32, 16, 20, 16, 32, 24, 16]);
}

#[test]
fn command_numbers_go_both_ways_and_unknown_ones_are_told() {
    for number in 1..=18 {
        assert_eq!(Command::from_number(number).map(|c| c as u16), Some(number));
    }
    for number in [0, 19, 255, u16::MAX] {
        assert_eq!(Command::from_number(number), None);
    }
}

#[test]
fn version_data_are_optional_and_garbage_is_refused() {
    let version = Version { major: 0, minor: 1 };
    assert_eq!(
        decode_version(&encode_version(version, CAPABILITIES)),
        Ok((version, CAPABILITIES))
    );
    let defaults = Capabilities {
        max_msg_fds: 1,
        max_data_xfer_size: 1 << 20,
    };
    for (json, expected) in [
        (&b""[..], Some(defaults)),
        (b"{}\0", Some(defaults)),
        (
            b"{\"capabilities\":{\"max_msg_fds\":8,\"migration\":{\"pgsize\":4096}}}\0",
            Some(Capabilities {
                max_msg_fds: 8,
                ..defaults
            }),
        ),
        (b"{}", None),
        (b"{\"capabilities\":\0", None),
        (b"{\"capabilities\":{\"max_msg_fds\":-1}}\0", None),
        (b"\xFF\xFF\0", None),
        (b"\0", None),
    ] {
        let mut body = vec![0, 0, 1, 0];
        body.extend_from_slice(json);
        assert_eq!(
            decode_version(&body).ok().map(|v| v.1),
            expected,
            "{:?}",
            String::from_utf8_lossy(json)
        );
    }
}

#[test]
fn descriptors_stay_with_their_message() {
    let (a, b) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (Connection::new(a).unwrap(), Connection::new(b).unwrap());
    let (read, write) = std::io::pipe().unwrap();
    let header = Header {
        command: Command::DmaMap as u16,
        ..Header::default()
    };
    ours.send(Header { id: 1, ..header }, b"one", &[], SECOND)
        .unwrap();
    ours.send(
        Header { id: 2, ..header },
        b"",
        &[read.as_fd(), write.as_fd()],
        SECOND,
    )
    .unwrap();
    ours.send(Header { id: 3, ..header }, b"three", &[], SECOND)
        .unwrap();
    let messages: Vec<_> = (0..3).map(|_| theirs.recv(SECOND).unwrap()).collect();
    assert_eq!(
        messages.iter().map(|m| m.header.id).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(
        messages.iter().map(|m| m.fds.len()).collect::<Vec<_>>(),
        [0, 2, 0]
    );
    assert_eq!(messages[2].body, b"three");
    drop(read);
    let mut far = std::fs::File::from(messages[1].fds[1].try_clone().unwrap());
    far.write_all(b"through").unwrap();
    drop((far, write));
    let mut near = std::fs::File::from(messages[1].fds[0].try_clone().unwrap());
    let mut text = [0; 7];
    near.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"through");
}

#[test]
fn a_message_that_is_sent_in_pieces_carries_its_descriptors_once() {
    let (a, b) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (Connection::new(a).unwrap(), Connection::new(b).unwrap());
    let body: Vec<u8> = (0..1usize << 20).map(|i| (i ^ i >> 8) as u8).collect();
    let expected = body.clone();
    let sender = std::thread::spawn(move || {
        let (read, _) = std::io::pipe().unwrap();
        let header = Header {
            id: 1,
            ..Header::default()
        };
        ours.send(header, &body, &[read.as_fd()], 60 * SECOND)
            .unwrap();
        ours.send(Header { id: 2, ..header }, b"", &[], 60 * SECOND)
            .unwrap();
    });
    let first = theirs.recv(60 * SECOND).unwrap();
    assert!(first.body == expected);
    assert_eq!(first.fds.len(), 1);
    let second = theirs.recv(60 * SECOND).unwrap();
    assert_eq!((second.header.id, second.fds.len()), (2, 0));
    sender.join().unwrap();
}

#[test]
fn too_many_descriptors_and_too_long_messages_are_refused_before_sending() {
    let (mut ours, theirs) = pair();
    let fds = vec![theirs.as_fd(); MAX_FDS + 1];
    assert!(matches!(
        ours.send(Header::default(), b"", &fds, SECOND),
        Err(SocketError::TooBig { .. })
    ));
    let long = vec![0; MAX_MESSAGE];
    assert!(matches!(
        ours.send(Header::default(), &long, &[], SECOND),
        Err(SocketError::TooBig { .. })
    ));
}

#[test]
fn a_closed_peer_is_told_from_one_that_broke_off() {
    let (mut ours, theirs) = pair();
    drop(theirs);
    assert!(matches!(ours.recv(SECOND), Err(SocketError::Closed)));
    let (mut ours, mut theirs) = pair();
    theirs.write_all(&[1, 0, 9, 0, 32, 0, 0]).unwrap();
    drop(theirs);
    assert!(matches!(
        ours.recv(SECOND),
        Err(SocketError::Cut { got: 7 })
    ));
}

#[test]
fn silence_ends_in_a_time_out_both_ways() {
    let short = Duration::from_millis(5);
    let (mut ours, _theirs) = pair();
    assert!(matches!(ours.recv(short), Err(SocketError::Timeout(_))));
    let body = vec![0; MAX_MESSAGE - HEADER_LEN];
    let full = (0..100).find_map(|_| ours.send(Header::default(), &body, &[], short).err());
    assert!(matches!(full, Some(SocketError::Timeout(_))));
}

proptest! {
    #[test]
    fn messages_arrive_whole_whatever_the_pieces(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6), cuts in prop::collection::vec(1..40usize, 1..20)) {
        let (mut ours, mut theirs) = pair();
        let mut bytes = Vec::new();
        for (id, body) in bodies.iter().enumerate() {
            Header { id: id as u16, command: 2, size: (HEADER_LEN + body.len()) as u32, flags: flags::REPLY, error: 0 }.encode(&mut bytes);
            bytes.extend_from_slice(body);
        }
        let mut got = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            theirs.write_all(piece).unwrap();
            rest = tail;
            while let Some(message) = ours.try_recv().unwrap() {
                prop_assert_eq!(message.header.id as usize, got.len());
                got.push(message.body);
            }
        }
        prop_assert_eq!(got, bodies);
    }

    #[test]
    fn any_bytes_are_messages_or_an_error_but_never_a_panic(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(16), any::<u8>()], 0..300)) {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&bytes).unwrap();
        drop(theirs);
        let mut taken = 0;
        let end = loop {
            match ours.recv(SECOND) {
                Ok(message) => taken += HEADER_LEN + message.body.len(),
                Err(e) => break e,
            }
        };
        prop_assert!(taken <= bytes.len());
        prop_assert!(!matches!(end, SocketError::Timeout(_)));
    }

    #[test]
    fn payloads_survive_a_round_trip_and_short_ones_are_refused(offset: u64, index: u32, count: u32, tail in prop::collection::vec(any::<u8>(), 0..8)) {
        let access = RegionAccess { offset, region: index, count };
        let mut bytes = Vec::new();
        access.encode(&mut bytes);
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(RegionAccess::decode(&bytes), Ok((access, &tail[..])));
        let map = DmaMap { argsz: count, flags: index, offset, address: !offset, size: offset.rotate_left(7) };
        let mut bytes = Vec::new();
        map.encode(&mut bytes);
        for cut in 0..bytes.len() {
            let refused = ProtoError::TooShort { what: "DmaMap", got: cut, need: DmaMap::SIZE };
            prop_assert_eq!(DmaMap::decode(&bytes[..cut]), Err(refused));
        }
        prop_assert_eq!(DmaMap::decode(&bytes), Ok((map, &[][..])));
    }
}

//! TLPs against headers worked out by hand from the specification.
use super::*;
use proptest::prelude::*;

/// Worked by hand from figures 2-4, 2-13 to 2-15 and 2-29 of the specification.
#[test]
fn headers_are_as_the_specification_draws_them() {
    let read = Tlp::MemRead {
        requester: 0x0100,
        tag: 0x0C,
        addr: 0xFDAF_F040,
        dwords: 1,
        first_be: 0xF,
        last_be: 0,
    };
    assert_eq!(read.encode(), [0x0000_0001, 0x0100_0C0F, 0xFDAF_F040]);
    let write = Tlp::MemWrite {
        requester: 0x0100,
        tag: 0,
        addr: 0x0000_0012_3456_7880,
        first_be: 0xF,
        last_be: 0x3,
        poisoned: false,
        data: (1..=8).collect(),
    };
    assert_eq!(
        write.encode(),
        [
            0x6000_0002,
            0x0100_003F,
            0x0000_0012,
            0x3456_7880,
            0x0102_0304,
            0x0506_0708
        ]
    );
    let completion = Tlp::Completion {
        completer: 0x0100,
        status: Status::Success,
        byte_count: 4,
        requester: 0,
        tag: 0x0C,
        lower_addr: 0x40,
        poisoned: false,
        data: vec![0x12, 0x34, 0x56, 0x78],
    };
    assert_eq!(
        completion.encode(),
        [0x4A00_0001, 0x0100_0004, 0x0000_0C40, 0x1234_5678]
    );
    let refused = Tlp::Completion {
        completer: 0x0100,
        status: Status::UnsupportedRequest,
        byte_count: 4,
        requester: 0,
        tag: 1,
        lower_addr: 0,
        poisoned: false,
        data: vec![],
    };
    assert_eq!(refused.encode(), [0x0A00_0000, 0x0100_2004, 0x0000_0100]);
    for tlp in [read, write, completion, refused] {
        assert_eq!(Tlp::decode(&tlp.encode()), Ok(tlp));
    }
}

#[test]
fn length_zero_means_1024_and_byte_count_zero_means_4096() {
    let read = Tlp::decode(&[0x0000_0000, 0x0100_00FF, 0x1000]);
    assert!(
        matches!(read, Ok(Tlp::MemRead { dwords: 1024, .. })),
        "{read:?}"
    );
    let cpl = Tlp::decode(&[0x4A00_0001, 0x0100_0000, 0x0000_0000, 7]);
    assert!(
        matches!(
            cpl,
            Ok(Tlp::Completion {
                byte_count: 4096,
                ..
            })
        ),
        "{cpl:?}"
    );
}

#[test]
fn malformed_tlps_are_refused() {
    let cases: [(&[u32], TlpError); 9] = [
        (&[], TlpError::Length { got: 0, want: 3 }),
        (&[0x0000_0001, 0xF], TlpError::Length { got: 2, want: 3 }),
        (
            &[0x4000_0002, 0xFF, 0x1000, 1],
            TlpError::Length { got: 4, want: 5 },
        ),
        (
            &[0x0000_0001, 0xFF, 0x1000],
            TlpError::ByteEnables {
                first: 15,
                last: 15,
                dwords: 1,
            },
        ),
        (
            &[0x0000_0002, 0x0F, 0x1000],
            TlpError::ByteEnables {
                first: 15,
                last: 0,
                dwords: 2,
            },
        ),
        (
            &[0x0000_0003, 0x7F, 0x1000].map(|d: u32| if d == 0x7F { 0x75 } else { d }),
            TlpError::ByteEnables {
                first: 5,
                last: 7,
                dwords: 3,
            },
        ),
        (
            &[0x0000_0002, 0xFF, 0x0FFC],
            TlpError::Crosses4K {
                addr: 0xFFC,
                dwords: 2,
            },
        ),
        (
            &[0x2000_0001, 0x0F, 0, 0x1000],
            TlpError::LongHeader(0x1000),
        ),
        (&[0x3400_0000, 0x0F, 0, 0], TlpError::Unsupported(0x34)),
    ];
    for (dws, error) in cases {
        assert_eq!(Tlp::decode(dws), Err(error), "{dws:x?}");
    }
}

#[test]
fn a_digest_is_skipped() {
    let tlp = Tlp::decode(&[0x4000_8001, 0x0F, 0x1000, 0x0102_0304, 0xDEAD_BEEF]);
    assert!(
        matches!(tlp, Ok(Tlp::MemWrite { ref data, .. }) if data == &[1, 2, 3, 4]),
        "{tlp:?}"
    );
}

#[test]
fn byte_enables_select_what_was_asked_for() {
    for offset in 0..12u64 {
        for len in 1..16u64 {
            let (addr, dwords, first, last) = byte_enables(offset, len);
            let ranges = enabled_ranges(usize::from(dwords), first, last);
            let start = (offset - addr) as usize;
            let bytes: Vec<usize> = ranges.into_iter().flatten().collect();
            let want: Vec<usize> = (start..start + len as usize).collect();
            assert_eq!(bytes, want, "offset {offset} length {len}");
            assert!(check_request(addr, dwords, first, last, false).is_ok());
        }
    }
    assert_eq!(enabled_ranges(2, 0b0101, 0b1000), [0..1, 2..3, 7..8]);
    assert!(enabled_ranges(1, 0, 0).is_empty());
}

proptest! {
    #[test]
    fn any_dws_decode_or_are_refused(dws in prop::collection::vec(any::<u32>(), 0..12)) {
        if let Ok(tlp) = Tlp::decode(&dws) {
            // What was understood means the same after a round trip.
            prop_assert_eq!(Tlp::decode(&tlp.encode()), Ok(tlp));
        }
    }

    #[test]
    fn beats_carry_a_tlp_whole(dws in prop::collection::vec(any::<u32>(), 1..40)) {
        let mut assembler = Assembler::default();
        let mut whole = None;
        for beat in to_beats(&dws, 2) {
            prop_assert!(whole.is_none());
            whole = assembler.push(beat);
        }
        prop_assert_eq!(whole, Some(dws));
        prop_assert!(!assembler.in_tlp());
    }
}

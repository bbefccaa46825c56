//! The table against a plain model of bytes, and its borders.
use super::*;
use ferrule_driver::lock::Mutex;
use proptest::prelude::*;
use std::io::{Read, Seek, SeekFrom, Write};

const RW: Rights = Rights {
    read: true,
    write: true,
};

fn memory(size: usize) -> File {
    let mut f = tempfile::tempfile().unwrap();
    f.write_all(&vec![0; size]).unwrap();
    f
}
fn contents(f: &File) -> Vec<u8> {
    let (mut f, mut all) = (f.try_clone().unwrap(), vec![]);
    f.seek(SeekFrom::Start(0)).unwrap();
    f.read_to_end(&mut all).unwrap();
    all
}
fn fd(f: &File) -> OwnedFd {
    f.try_clone().unwrap().into()
}

#[test]
fn an_access_over_neighbouring_mappings_is_one_access() {
    let (a, b) = (memory(0x3000), memory(0x1000));
    let mut t = DmaTable::default();
    t.map(0x1_0000, 0x1000, RW, Backing::File(fd(&a), 0x2000))
        .unwrap();
    t.map(0x1_1000, 0x1000, RW, Backing::File(fd(&b), 0))
        .unwrap();
    let data: Vec<u8> = (1..=21).collect();
    t.write(0x1_0FF5, &data).unwrap();
    assert_eq!(contents(&a)[0x2FF5..], data[..11]);
    assert_eq!(contents(&b)[..10], data[11..]);
    let mut back = vec![0; 21];
    t.read(0x1_0FF5, &mut back).unwrap();
    assert_eq!(back, data);
}

#[test]
fn a_refused_access_moves_no_byte() {
    let a = memory(0x2000);
    let mut t = DmaTable::default();
    t.map(0x1000, 0x1000, RW, Backing::File(fd(&a), 0)).unwrap();
    t.map(
        0x2000,
        0x1000,
        Rights {
            read: true,
            write: false,
        },
        Backing::File(fd(&a), 0x1000),
    )
    .unwrap();
    assert_eq!(t.write(0x1FFC, &[1; 8]), Err(Refused { address: 0x2000 }));
    assert_eq!(t.write(0x0FFC, &[1; 8]), Err(Refused { address: 0x0FFC }));
    assert_eq!(
        t.read(0x2FFC, &mut [0; 8]),
        Err(Refused { address: 0x3000 })
    );
    assert!(contents(&a).iter().all(|b| *b == 0));
    assert_eq!(t.write(0x5000, &[]), Ok(()));
}

#[test]
fn the_borders_of_a_file_and_the_top_of_the_address_space() {
    let a = memory(0x1000);
    let mut t = DmaTable::default();
    t.map(u64::MAX - 0xFFF, 0x1000, RW, Backing::File(fd(&a), 0))
        .unwrap();
    t.write(u64::MAX - 3, &[7; 4]).unwrap();
    assert!(t.write(u64::MAX - 3, &[7; 5]).is_err());
    assert!(matches!(
        t.map(u64::MAX, 2, RW, Backing::File(fd(&a), 0)),
        Err(MapError::BadRange { .. })
    ));
    assert!(matches!(
        t.map(0, 0, RW, Backing::File(fd(&a), 0)),
        Err(MapError::BadRange { .. })
    ));
    assert!(matches!(
        t.map(0x8000, 0x2000, RW, Backing::File(fd(&a), 0)),
        Err(MapError::BeyondFile {
            have: 0x1000,
            need: 0x2000
        })
    ));
    assert!(matches!(
        t.map(0x8000, 0x1000, RW, Backing::File(fd(&a), u64::MAX)),
        Err(MapError::BadRange { .. })
    ));
    assert_eq!(t.len(), 1);
}

/// 0x100 bytes of somebody else's from `BASE` on, of which the last 0x10 are never given or taken; and what was asked.
#[derive(Default)]
struct Owner {
    bytes: Mutex<Vec<u8>>,
    asked: Mutex<Vec<(u64, usize)>>,
}
impl Owner {
    const BASE: u64 = 0x1_1000;

    fn at(&self, address: u64, len: usize) -> Result<std::ops::Range<usize>, Refused> {
        self.asked.lock().push((address, len));
        let at = (address - Self::BASE) as usize;
        match at + len <= 0xF0 {
            true => Ok(at..at + len),
            false => Err(Refused { address }),
        }
    }
}
impl Remote for Owner {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Refused> {
        let at = self.at(address, out.len())?;
        out.copy_from_slice(&self.bytes.lock()[at]);
        Ok(())
    }
    fn write(&self, address: u64, data: &[u8]) -> Result<(), Refused> {
        let at = self.at(address, data.len())?;
        self.bytes.lock()[at].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn an_owner_of_remote_memory_is_asked_for_its_part_and_may_refuse_it() {
    let file = memory(0x2000);
    let owner = Arc::new(Owner::default());
    *owner.bytes.lock() = (0..=255).collect();
    let mut t = DmaTable::default();
    t.map(0x1_0000, 0x1000, RW, Backing::File(fd(&file), 0))
        .unwrap();
    t.map(Owner::BASE, 0x100, RW, Backing::Remote(owner.clone()))
        .unwrap();
    t.map(0x1_1100, 0x1000, RW, Backing::File(fd(&file), 0x1000))
        .unwrap();
    // Over the border from the file, both ways.
    t.write(0x1_0FFE, &[9, 8, 7]).unwrap();
    assert_eq!(contents(&file)[0xFFE..0x1000], [9, 8]);
    let mut back = [0; 5];
    t.read(0x1_0FFE, &mut back).unwrap();
    assert_eq!(back, [9, 8, 7, 1, 2]);
    let asked = std::mem::take(&mut *owner.asked.lock());
    assert_eq!(asked, [(Owner::BASE, 1), (Owner::BASE, 3)]);
    // What the owner refuses leaves the reader's bytes alone, those of the file before it too.
    let mut back = [0xEE; 0x120];
    let refused = Err(Refused {
        address: Owner::BASE,
    });
    assert_eq!(t.read(0x1_0FF0, &mut back), refused);
    assert_eq!(back, [0xEE; 0x120]);
    assert_eq!(t.write(Owner::BASE, &[0; 0x100]), refused);
    // Nobody is asked about what the table refuses.
    owner.asked.lock().clear();
    assert!(t.read(Owner::BASE, &mut [0; 0x1101]).is_err());
    t.unmap(Owner::BASE, 0x100).unwrap();
    assert!(t.read(Owner::BASE, &mut [0]).is_err());
    assert!(owner.asked.lock().is_empty());
    assert_eq!(Arc::strong_count(&owner), 1, "the table has let go of it");
}

#[test]
fn a_file_that_grew_is_mapped_anew() {
    let mut a = memory(0x1000);
    let mut t = DmaTable::default();
    t.map(0, 0x1000, RW, Backing::File(fd(&a), 0)).unwrap();
    a.write_all(&[0; 0x1000]).unwrap();
    t.map(0x1000, 0x1000, RW, Backing::File(fd(&a), 0x1000))
        .unwrap();
    t.write(0xFFE, &[1, 2, 3, 4]).unwrap();
    assert_eq!(contents(&a)[0xFFE..0x1002], [1, 2, 3, 4]);
}

/// The plain model: a byte of address space is nothing, or rights and a byte of the file.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Cell {
    mapping: usize,
    read: bool,
    write: bool,
    at: usize,
}
const SPACE: usize = 96;

#[derive(Clone, Debug)]
enum Op {
    Map {
        at: usize,
        len: usize,
        read: bool,
        write: bool,
        offset: usize,
    },
    Unmap {
        at: usize,
        len: usize,
    },
    Read {
        at: usize,
        len: usize,
    },
    Write {
        at: usize,
        len: usize,
        value: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let (at, len) = (0..SPACE, 0..24usize);
    prop_oneof![
        (
            at.clone(),
            len.clone(),
            any::<bool>(),
            any::<bool>(),
            0..SPACE
        )
            .prop_map(|(at, len, read, write, offset)| Op::Map {
                at,
                len,
                read,
                write,
                offset
            }),
        (at.clone(), 0..64usize).prop_map(|(at, len)| Op::Unmap { at, len }),
        (at.clone(), len.clone()).prop_map(|(at, len)| Op::Read { at, len }),
        (at, len, any::<u8>()).prop_map(|(at, len, value)| Op::Write { at, len, value }),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_table_of_bytes(base in prop_oneof![Just(0u64), Just(0x1_0000_0FF3), Just(u64::MAX - 300)], ops in prop::collection::vec(op(), 1..80)) {
        let file = memory(SPACE + 24);
        let mut bytes = vec![0u8; SPACE + 24];
        let mut cells: Vec<Option<Cell>> = vec![None; SPACE + 100];
        let mut t = DmaTable::default();
        for (n, op) in ops.into_iter().enumerate() {
            match op {
                Op::Map { at, len, read, write, offset } => {
                    let free = len > 0 && cells[at..at + len].iter().all(Option::is_none);
                    let done = t.map(base + at as u64, len as u64, Rights { read, write }, Backing::File(fd(&file), offset as u64));
                    prop_assert_eq!(done.is_ok(), free, "{:?}", done);
                    if free {
                        for i in 0..len { cells[at + i] = Some(Cell { mapping: n, read, write, at: offset + i }); }
                    }
                }
                Op::Unmap { at, len } => {
                    let same = |a: usize, b: usize| matches!((cells[a], cells[b]), (Some(x), Some(y)) if x.mapping == y.mapping);
                    let whole = len > 0 && !(at > 0 && same(at - 1, at)) && !same(at + len - 1, at + len);
                    let done = t.unmap(base + at as u64, len as u64);
                    prop_assert_eq!(done.is_ok(), whole, "{:?}", done);
                    if whole {
                        let gone = cells[at..at + len].iter_mut().filter_map(Option::take).count();
                        prop_assert_eq!(done.unwrap(), gone as u64);
                    }
                }
                Op::Read { at, len } => {
                    let mut got = vec![0xEE; len];
                    let done = t.read(base + at as u64, &mut got);
                    match cells[at..at + len].iter().position(|c| !c.is_some_and(|c| c.read)) {
                        Some(_) => { prop_assert!(done.is_err()); prop_assert!(got.iter().all(|b| *b == 0xEE)); }
                        None => {
                            prop_assert_eq!(done, Ok(()));
                            let want: Vec<u8> = cells[at..at + len].iter().flatten().map(|c| bytes[c.at]).collect();
                            prop_assert_eq!(got, want);
                        }
                    }
                }
                Op::Write { at, len, value } => {
                    let data: Vec<u8> = (0..len).map(|i| value.wrapping_add(i as u8)).collect();
                    let done = t.write(base + at as u64, &data);
                    let ok = cells[at..at + len].iter().all(|c| c.is_some_and(|c| c.write));
                    prop_assert_eq!(done.is_ok(), ok);
                    if ok {
                        // Two mappings may show the same byte of the file: the later address wins.
                        for (c, d) in cells[at..at + len].iter().flatten().zip(&data) { bytes[c.at] = *d; }
                    }
                }
            }
            prop_assert_eq!(&contents(&file), &bytes);
        }
    }
}

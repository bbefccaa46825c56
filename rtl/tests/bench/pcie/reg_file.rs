//! The register file by itself.
use ferrule_abi::regs;
use ferrule_rtl::{native::Native, pcie::reg_file::RegFile};

struct Bench(Native<RegFile>);

impl Bench {
    fn new() -> Self {
        let mut b = Self(Native::default());
        b.0.u.reset.next = true;
        b.cycle();
        b.0.u.reset.next = false;
        b
    }
    fn cycle(&mut self) {
        self.0.u.clock.next = false.into();
        self.0.settle();
        self.0.u.clock.next = true.into();
        self.0.settle();
    }
    /// Settles with the clock low, to look at outputs.
    fn look(&mut self) -> &mut RegFile {
        self.0.u.clock.next = false.into();
        self.0.settle();
        &mut self.0.u
    }
    fn access(&mut self, addr: u32, write: Option<u32>) -> u32 {
        let a = &mut self.0.u.access;
        a.addr.next = u64::from(addr).into();
        a.write.next = write.is_some();
        a.wdata.next = u64::from(write.unwrap_or(0)).into();
        a.valid.next = true;
        for _ in 0..1000 {
            if self.look().access.done.val() {
                let value = self.0.u.access.rdata.val().to_u32();
                self.cycle();
                self.0.u.access.valid.next = false;
                self.cycle();
                return value;
            }
            self.cycle();
        }
        panic!("no answer to an access of {addr:x}");
    }
}

#[test]
fn the_count_of_refused_accesses_saturates() {
    let mut b = Bench::new();
    b.0.u.bad_access.next = true;
    for _ in 0..0xFFFE {
        b.cycle();
    }
    b.0.u.bad_access.next = false;
    assert_eq!(b.access(regs::bad_access::OFFSET, None), 0xFFFE);
    for _ in 0..3 {
        b.access(0x3FC, None);
    }
    assert_eq!(b.access(regs::bad_access::OFFSET, None), 0xFFFF);
}

#[test]
fn an_access_during_the_walk_after_reset_waits_for_it() {
    let mut b = Bench::new();
    assert_eq!(b.access(regs::rxctl::OFFSET, Some(0x0100_0001)), 0);
    assert_eq!(b.access(regs::rxctl::OFFSET, None), 0x0100_0001);
    assert_eq!(b.look().rxctl.val().to_u32(), 0x0100_0001);
}

#[test]
fn reset_holds_until_dma_is_quiet_and_pulses_32_cycles() {
    let mut b = Bench::new();
    b.access(regs::scratch::OFFSET, Some(7));
    b.access(regs::ctrl::OFFSET, Some(regs::ctrl::RESET.of(1)));
    for _ in 0..50 {
        assert!(b.look().quiesce.val() && !b.0.u.soft_reset.val());
        b.cycle();
    }
    assert_eq!(b.access(regs::status::OFFSET, None), 1);
    b.0.u.dma_quiet.next = true;
    let mut high = 0;
    for _ in 0..500 {
        high += u32::from(b.look().soft_reset.val());
        b.cycle();
    }
    assert_eq!(high, 32);
    assert!(!b.look().quiesce.val() && !b.0.u.busy.val());
    assert_eq!(b.access(regs::status::OFFSET, None), 0);
    assert_eq!(b.access(regs::scratch::OFFSET, None), 0);
}

/// Whenever its last word comes while ARP_ENTRY is being read: with BUSY clear, the result is there.
#[test]
fn a_result_of_the_arp_cache_is_not_told_before_it_can_be_read() {
    for delay in 0..8 {
        let mut b = Bench::new();
        b.0.u.entry_busy.next = true;
        let busy = regs::arp_entry::BUSY.mask();
        assert_eq!(b.access(regs::arp_entry::OFFSET, None), busy);
        for word in 0..3_u64 {
            b.0.u.entry.word.next = word.into();
            b.0.u.entry.data.next = (0x1000 + word).into();
            b.0.u.entry.valid.next = true;
            assert!(b.look().entry.ready.val());
            b.cycle();
        }
        b.0.u.entry.valid.next = false;
        let a = &mut b.0.u.access;
        a.addr.next = u64::from(regs::arp_entry::OFFSET).into();
        a.write.next = false;
        a.valid.next = true;
        let mut read = None;
        for cycle in 0..20 {
            if cycle == delay {
                b.0.u.entry.word.next = 3.into();
                b.0.u.entry.data.next = 0x0100_0000_u64.into();
                b.0.u.entry.valid.next = true;
            }
            let u = b.look();
            let taken = u.entry.valid.val() && u.entry.ready.val();
            if u.access.done.val() {
                read = Some(u.access.rdata.val().to_u32());
            }
            b.cycle();
            if read.is_some() {
                b.0.u.access.valid.next = false;
            }
            if taken {
                b.0.u.entry.valid.next = false;
                b.0.u.entry_busy.next = false;
            }
        }
        assert!(
            [Some(busy), Some(0x0100_0000)].contains(&read),
            "{delay}: {read:x?}"
        );
        for word in 0..3 {
            let offset = regs::arp_entry_addr::OFFSET + 4 * word;
            assert_eq!(b.access(offset, None), 0x1000 + word);
        }
        assert_eq!(b.access(regs::arp_entry::OFFSET, None), 0x0100_0000);
    }
}

//! The steps of a case: what a host, a wire and an administrator may do next.
use ferrule_abi::ring::doorbell;
use ferrule_abi::{counter, regs, BAR_MSIX, BAR_REGS, MSIX_PBA_OFFSET, TICK_NS};
use rand::seq::IndexedRandom;
use rand::Rng;

use super::case::{index, Case, Queue, RXCTL_BITS};
use super::traffic::{self, Line};

/// Bytes that the receive buffer holds, and some.
const BUFFER: usize = 33_000;

/// Counters that say how the work was divided rather than what was done.
const PACE_COUNTERS: [u32; 2] = [counter::TLP_WRITES, counter::TLP_COMPLETIONS];

impl Case<'_> {
    /// Takes a step.
    pub(super) fn step(&mut self) -> Result<(), String> {
        match self.random.random_range(0..100) {
            0..29 => self.wire(),
            29 => self.flood(),
            30..58 => self.transmit(),
            58..62 if !self.sparse => self.both_ways(),
            58..72 => self.host_reads(),
            72..78 => self.registers()?,
            78..84 => self.time()?,
            84..86 => self.link(),
            86..89 => self.control(),
            89..91 => self.command()?,
            91..93 => self.wrong_doorbell()?,
            93..95 => self.restart()?,
            95..97 => self.reset()?,
            97 => self.reset_in_traffic()?,
            98 => self.vectors()?,
            _ => self.pause()?,
        }
        self.settle()?;
        self.compare()
    }

    pub(super) fn log(&mut self, step: String) {
        self.steps.push(step);
    }

    pub(super) fn receive(&mut self, line: &Line) {
        self.completions += 1;
        self.each(|s| s.receive(line));
    }

    /// Frames come in.
    fn wire(&mut self) {
        let r = &mut self.random;
        let count = if self.sparse {
            1
        } else {
            r.random_range(1..=4)
        };
        let most = self.max_frame - 4;
        let mut places = 2;
        let lines: Vec<Line> = (0..count)
            .map(|_| match r.random_range(0..12) {
                0..2 => traffic::arp(r, self.own),
                2..4 => traffic::noise(r, self.own),
                10.. if places > 0 => {
                    places -= 1;
                    traffic::echo(r, self.own, most)
                }
                4 if r.random_bool(0.3) => traffic::frame(r, self.own, most + 20),
                _ => traffic::frame(r, self.own, most),
            })
            .collect();
        self.log(format!("receive {lines:?}"));
        lines.iter().for_each(|l| self.receive(l));
        // Completions of frames that came close together may share a line.
        self.grouped |= count > 1;
        // Answers of the ARP engine and to echo requests may go out in either order.
        self.merged |= places < 2 && count > 1;
    }

    /// More frames come in than there is room for, and then there may be room again.
    fn flood(&mut self) {
        let r = &mut self.random;
        let most = self.max_frame - 4;
        let count = BUFFER / most + r.random_range(2..10);
        self.log(format!("{count} long frames"));
        for _ in 0..count {
            let line = traffic::long(&mut self.random, self.own, most);
            self.receive(&line);
        }
        self.grouped = true;
    }

    /// The host reads completions and gives slots.
    pub(super) fn host_reads(&mut self) {
        // What the transmit queue holds back comes at once then.
        let held_up = self.is_held_up();
        for queue in Queue::ALL {
            let unread = self.unread(queue);
            let count = self.random.random_range(0..=unread);
            self.consume(queue, count);
            if queue == Queue::Rx {
                let slots = self.random.random_range(0..=16);
                self.give_slots(slots);
            }
            if count > 0 || self.random.random_bool(0.5) {
                let arm = self.random.random_bool(0.4);
                self.log(format!("{queue:?}: {count} of {unread} read, arm {arm}"));
                self.ring(queue, arm);
            }
        }
        self.grouped |= held_up;
        self.merged = true;
    }

    /// Register accesses, sensible or not, that change nothing for the queues.
    fn registers(&mut self) -> Result<(), String> {
        let r = &mut self.random;
        let scratch = r.random::<u32>();
        let mut writes = vec![(regs::scratch::OFFSET, scratch)];
        for _ in 0..r.random_range(0..4) {
            let port = [
                regs::arpctl::OFFSET,
                regs::arptime::OFFSET,
                regs::mac_lo::OFFSET,
                regs::mac_hi::OFFSET,
                regs::local_addr::REGISTER.offset_of(r.random_range(0..8)),
                regs::local_mask::REGISTER.offset_of(r.random_range(0..8)),
                regs::gateway::REGISTER.offset_of(r.random_range(0..7)),
                // Read only, holes, other pages.
                regs::magic::OFFSET,
                r.random_range(0x300..0x10000) * 4,
                regs::queue_page(r.random_range(3..16)),
            ];
            let offset = *port.choose(r).unwrap_or(&0);
            let mut value = match r.random_range(0..3) {
                0 => r.random(),
                1 => u32::from_be_bytes(self.own.ip),
                _ => 0xFFFF_FFFF << r.random_range(0..32),
            };
            if offset == regs::arptime::OFFSET {
                // With none, requests are repeated while others are made, in an order that cycles decide.
                value |= regs::arptime::RETRY.of(1);
            }
            writes.push((offset, value));
        }
        self.log(format!("write {writes:x?}"));
        for (offset, value) in writes {
            self.write(offset, value);
        }
        if self.random.random_bool(0.3) {
            self.set_rxctl();
        }
        if self.random.random_bool(0.3) {
            self.write_filter();
        }
        if self.random.random_bool(0.5) {
            self.set_clock()?;
        }
        if self.random.random_bool(0.5) {
            self.command_cache()?;
        }
        self.settle()?;
        self.look()
    }

    /// A command for the ARP cache, mostly about the set that the stations' entries are in.
    fn command_cache(&mut self) -> Result<(), String> {
        use regs::{arp_addr, arp_cmd, arp_entry_addr, arp_mac_hi, arp_mac_lo, arp_op};
        let r = &mut self.random;
        let (mac, peer) = *traffic::PEERS.choose(r).unwrap_or(&traffic::PEERS[0]);
        let address = match r.random_range(0..8) {
            0 => r.random(),
            1 => 0,
            _ => u32::from_be_bytes(peer),
        };
        let [a, b, c, d, e, f] = if r.random_bool(0.2) { r.random() } else { mac };
        let place = if r.random_bool(0.2) {
            r.random_range(0..256)
        } else {
            r.random_range(0..4)
        };
        let op = *[
            arp_op::READ,
            arp_op::READ,
            arp_op::ADD,
            arp_op::DELETE,
            r.random_range(0..8),
        ]
        .choose(r)
        .unwrap_or(&arp_op::NONE);
        let command = arp_cmd::OP.of(op) | arp_cmd::PLACE.of(place);
        self.log(format!("ARP cache: {command:#x} for {address:#x}"));
        let writes = [
            (arp_addr::OFFSET, address),
            (arp_mac_lo::OFFSET, u32::from_le_bytes([a, b, c, d])),
            (arp_mac_hi::OFFSET, u32::from_le_bytes([e, f, 0, 0])),
            (arp_cmd::OFFSET, command),
        ];
        for (offset, value) in writes {
            self.write(offset, value);
        }
        self.settle()?;
        let words = [0, 4, 8, 12].map(|at| (BAR_REGS, arp_entry_addr::OFFSET + at, 0xF));
        self.read(&words).map(drop)
    }

    fn set_rxctl(&mut self) {
        let r = &mut self.random;
        let mut rxctl = r.random::<u32>() & RXCTL_BITS;
        if r.random_bool(0.6) {
            // With it, no other filter matters.
            rxctl &= !regs::rxctl::PROMISC.mask();
        }
        self.max_frame = r.random_range(600..4_000);
        let rxctl = regs::rxctl::MAX_FRAME.set(rxctl, self.max_frame as u32);
        self.log(format!("RXCTL {rxctl:#x}"));
        self.write(regs::rxctl::OFFSET, rxctl);
    }

    /// Reads some registers, among them those that are not just memory.
    fn look(&mut self) -> Result<(), String> {
        let r = &mut self.random;
        let mut reads = vec![
            (BAR_REGS, regs::status::OFFSET, 0xF),
            (BAR_REGS, regs::bad_access::OFFSET, 0xF),
            (BAR_MSIX, MSIX_PBA_OFFSET, 0xF),
        ];
        for queue in Queue::ALL {
            reads.push((BAR_REGS, queue.page() + regs::tx_status::OFFSET, 0xF));
        }
        for _ in 0..r.random_range(1..6) {
            let pages = [
                0,
                regs::event_page(),
                regs::tx_page(0),
                regs::rx_page(0),
                r.random_range(0..1 << 18) * 4,
            ];
            let page = *pages.choose(r).unwrap_or(&0);
            let within = if page == 0 { 0x100 } else { 0x14 };
            let offset = page + r.random_range(0..within) * 4;
            let bar = if r.random_bool(0.05) { 1 } else { BAR_REGS };
            let be = if r.random_bool(0.05) {
                r.random_range(1..16)
            } else {
                0xF
            };
            // STATUS of a reset that is under way depends on the cycle; here none is. How many writes there were, and completions of reads
            // however they are split, is compared in the end.
            let is_of = |n: &u32| offset & 0xF_FFF8 == regs::counters::REGISTER.offset_of(2 * n);
            if !PACE_COUNTERS.iter().any(is_of) {
                reads.push((bar, offset & 0xF_FFFC, be));
            }
            reads.push((BAR_MSIX, r.random_range(0..0x210) * 4, 0xF));
        }
        self.log(format!("read {reads:x?}"));
        self.read(&reads).map(drop)
    }

    /// Time passes: to the NIC's deadline, or by any amount. The clock goes on with it.
    fn time(&mut self) -> Result<(), String> {
        let deadline = self.subjects[0].deadline();
        let ahead = deadline.map_or(0, |d| {
            i64::from(d.wrapping_sub((self.now_ns / TICK_NS) as u32) as i32)
        });
        let r = &mut self.random;
        self.now_ns = if ahead > 0 && r.random_bool(0.7) {
            (self.now_ns / TICK_NS + ahead as u64) * TICK_NS - u64::from(r.random_bool(0.2))
        } else {
            self.now_ns + r.random_range(0..3_000) * TICK_NS / 2
        };
        let now_ns = self.now_ns;
        self.log(format!("the time is {now_ns:#x}"));
        self.each(|s| s.set_time(now_ns));
        self.merged = true;
        self.settle()?;
        self.read_clock()
    }

    /// Steps and trims the clock.
    fn set_clock(&mut self) -> Result<(), String> {
        let r = &mut self.random;
        let mut writes = vec![];
        for offset in [
            regs::clock_rate::OFFSET,
            regs::clock_step::OFFSET,
            regs::clock_step_hi::OFFSET,
        ] {
            if r.random_bool(0.5) {
                writes.push((offset, r.random()));
            }
        }
        self.log(format!("the clock: {writes:x?}"));
        for (offset, value) in writes {
            self.write(offset, value);
        }
        self.settle()?;
        self.read_clock()
    }

    /// Reads the clock.
    fn read_clock(&mut self) -> Result<(), String> {
        self.write(regs::snapshot::OFFSET, 1);
        let halves = [regs::time_lo::OFFSET, regs::time_hi::OFFSET];
        self.read(&halves.map(|at| (BAR_REGS, at, 0xF))).map(drop)
    }

    fn link(&mut self) {
        self.link_up = self.random.random_bool(0.5);
        self.speed = self.random.random_range(0..4);
        let (up, speed) = (self.link_up, self.speed);
        self.log(format!("link {up}, speed {speed}"));
        self.each(|s| s.set_link(up, speed));
    }

    /// CTRL: both directions, loopback.
    fn control(&mut self) {
        let r = &mut self.random;
        self.ctrl = regs::ctrl::RX_EN.of(r.random_bool(0.8).into())
            | regs::ctrl::TX_EN.of(r.random_bool(0.8).into())
            | regs::ctrl::LOOPBACK.of(r.random_bool(0.4).into());
        let ctrl = self.ctrl;
        self.log(format!("CTRL {ctrl:#x}"));
        self.write(regs::ctrl::OFFSET, ctrl);
        self.merged = true;
    }

    /// The transmit queue comes to rest: the host reads what it has, and frames may go.
    fn let_go(&mut self) -> Result<(), String> {
        self.ctrl |= regs::ctrl::TX_EN.of(1);
        self.write(regs::ctrl::OFFSET, self.ctrl);
        self.held_bytes = 0;
        self.grouped |= self.is_held_up();
        for _ in 0..40 {
            let unread = self.unread(Queue::Tx);
            self.consume(Queue::Tx, unread);
            self.ring(Queue::Tx, false);
            self.settle()?;
            if unread == 0 {
                break;
            }
        }
        self.merged = true;
        self.compare()
    }

    /// Bus mastering, MSI-X enable and function mask come and go.
    fn command(&mut self) -> Result<(), String> {
        self.let_go()?;
        let r = &mut self.random;
        let master = r.random_bool(0.6);
        let (enable, mask) = (r.random_bool(0.8), r.random_bool(0.3));
        self.log(format!(
            "bus master {master}, MSI-X enable {enable}, mask {mask}"
        ));
        self.each(|s| {
            let config = &mut s.host().root_complex.config;
            let _ = config.write(4, &[if master { 6 } else { 2 }, 0]);
            let _ = config.write(0x53, &[u8::from(enable) << 7 | u8::from(mask) << 6]);
        });
        Ok(())
    }

    /// A doorbell with indices that may be impossible.
    fn wrong_doorbell(&mut self) -> Result<(), String> {
        self.let_go()?;
        let r = &mut self.random;
        let queue = *Queue::ALL.choose(r).unwrap_or(&Queue::Tx);
        let (producer, consumer) = match queue {
            Queue::Event => (r.random(), self.events.consumer),
            Queue::Tx => (self.sq.producer, self.txcq.consumer),
            Queue::Rx => (self.rxq.producer, self.rxcq.consumer),
        };
        let wrong = |r: &mut rand::rngs::StdRng, right: u64| match r.random_range(0..4) {
            0 => right,
            1 => right.wrapping_sub(1),
            2 => right + r.random_range(0..20),
            _ => r.random(),
        };
        let mut producer = producer;
        let consumer = wrong(r, consumer);
        if queue != Queue::Tx {
            // SQEs that nobody has written would be fetched.
            producer = wrong(r, producer);
        }
        let value = doorbell::PRODUCER.of(index(producer))
            | doorbell::CONSUMER.of(index(consumer))
            | doorbell::ARM.of(r.random_bool(0.3).into());
        self.log(format!("{queue:?}: doorbell {value:#x}"));
        self.write(queue.page() + regs::tx_doorbell::OFFSET, value);
        self.settle()?;
        self.look()
    }

    /// A queue is stopped and, mostly, started again.
    fn restart(&mut self) -> Result<(), String> {
        self.let_go()?;
        let queue = *Queue::ALL.choose(&mut self.random).unwrap_or(&Queue::Tx);
        self.log(format!("{queue:?} stops"));
        self.write(queue.page() + regs::tx_ctrl::OFFSET, 0);
        self.settle()?;
        self.compare()?;
        self.look()?;
        if self.random.random_bool(0.9) {
            self.log(format!("{queue:?} starts"));
            self.start(queue);
            if queue == Queue::Rx {
                self.give_slots(u16::MAX);
                self.ring(Queue::Rx, false);
            }
        }
        Ok(())
    }

    /// A reset while nothing is under way.
    fn reset(&mut self) -> Result<(), String> {
        let pin = self.random.random_bool(0.5);
        self.log(format!("reset, pin {pin}"));
        self.reset_now(pin);
        self.settle()?;
        self.compare()?;
        self.look()?;
        self.compare_counters()?;
        self.configure();
        Ok(())
    }

    fn reset_now(&mut self, pin: bool) {
        if pin {
            self.each(|s| s.host().root_complex.reset_device());
        } else {
            self.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
        }
        self.open_sqes = 0;
        self.held_bytes = 0;
        self.ctrl = 0;
    }

    /// A reset in the middle of traffic, another one when all is quiet, and everything begins anew.
    fn reset_in_traffic(&mut self) -> Result<(), String> {
        let pin = self.random.random_bool(0.5);
        let cycles = self.random.random_range(0..1_500);
        self.wire();
        if !self.is_held_up() {
            for _ in 0..3 {
                let raw = self.random.random_bool(0.5);
                self.post_frame(raw);
            }
            self.ring(Queue::Tx, true);
        }
        self.log(format!("reset after {cycles} cycles, pin {pin}"));
        self.each(|s| s.run(cycles));
        self.reset_now(pin);
        self.cut = true;
        self.settle()?;
        self.reset_now(false);
        self.settle()?;
        // Nobody knows what had come out by then.
        let from = crate::bench::memory::IOVA;
        let zeros = vec![0; (self.memory_end - from) as usize];
        self.store(from, &zeros);
        self.each(|s| {
            s.take_sent();
            s.host().forget_interrupts();
        });
        self.compare()?;
        self.compare_counters()?;
        self.configure();
        Ok(())
    }

    /// The link partner wants a pause; frames of the host's wait for its end.
    fn pause(&mut self) -> Result<(), String> {
        self.let_go()?;
        let r = &mut self.random;
        let enable = r.random_bool(0.8);
        let quanta = *[0, 1, 900, r.random_range(0..1_000), 0xFFFF, r.random()]
            .choose(r)
            .unwrap_or(&0);
        let line = traffic::pause(r, self.own, quanta);
        let ends_alone = quanta < 1_000 && r.random_bool(0.7);
        self.log(format!("pause of {quanta}, obeyed {enable}: {line:?}"));
        self.write(regs::flow::OFFSET, regs::flow::RX_PAUSE.of(enable.into()));
        self.settle()?;
        self.receive(&line);
        self.settle()?;
        self.compare()?;
        for _ in 0..self.random.random_range(0..3) {
            // Not IP: ARP frames would wait as well, which only ends with the pause.
            self.post_frame(true);
        }
        self.ring(Queue::Tx, false);
        // Their completions may share a line.
        self.grouped = true;
        self.settle()?;
        self.compare()?;
        if ends_alone {
            // To its end: in units of 512 ns, of which one has begun.
            let bit_times = [100, 10][..].get(usize::from(self.speed)).unwrap_or(&1);
            let units = u64::from(quanta) * bit_times;
            self.now_ns = (self.now_ns / 512 + 1 + units) * 512;
            let now_ns = self.now_ns;
            self.each(|s| s.set_time(now_ns));
        } else {
            self.write(regs::flow::OFFSET, 0);
        }
        self.merged = true;
        Ok(())
    }

    /// The MSI-X table: masks, and now and then a message that goes to memory.
    fn vectors(&mut self) -> Result<(), String> {
        let r = &mut self.random;
        let vector = r.random_range(0..4);
        let mask = r.random_bool(0.5);
        self.log(format!("vector {vector} masked {mask}"));
        self.each(|s| {
            s.host()
                .root_complex
                .write_register(BAR_MSIX, vector * 16 + 12, 0xF, mask.into());
        });
        self.settle()?;
        self.look()
    }
}

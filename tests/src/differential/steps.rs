//! The steps of a case: what a host, a wire and an administrator may do next.
use ferrule_abi::ring::{doorbell, sqe_flags, Sqe};
use ferrule_abi::{regs, BAR_MSIX, BAR_REGS, MSIX_PBA_OFFSET, TICK_NS};
use rand::seq::IndexedRandom;
use rand::Rng;

use super::case::{index, Case, Queue, TX_BUFFER};
use super::traffic::{self, Line, FAR, PEERS};

/// Frames that wait for CTRL.TX_EN: fewer bytes than the transmit buffer holds, since what is prefetched while a frame waits for room is
/// nobody's promise.
const MOST_HELD: usize = 12_000;

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
            78..84 => self.time(),
            84..86 => self.link(),
            86..89 => self.control(),
            89..91 => self.command()?,
            91..93 => self.wrong_doorbell()?,
            93..95 => self.restart()?,
            95..97 => self.reset()?,
            97 => self.reset_in_traffic()?,
            _ => self.vectors()?,
        }
        self.settle()?;
        self.compare()
    }

    fn log(&mut self, step: String) {
        self.steps.push(step);
    }

    fn receive(&mut self, line: &Line) {
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
        let lines: Vec<Line> = (0..count)
            .map(|_| match r.random_range(0..10) {
                0..2 => traffic::arp(r, self.own),
                2..4 => traffic::noise(r, self.own),
                4 if r.random_bool(0.3) => traffic::frame(r, self.own, most + 20),
                _ => traffic::frame(r, self.own, most),
            })
            .collect();
        self.log(format!("receive {lines:?}"));
        lines.iter().for_each(|l| self.receive(l));
        // Completions of frames that came close together may share a line.
        self.grouped |= count > 1;
    }

    /// More frames come in than there is room for, and then there may be room again.
    fn flood(&mut self) {
        let r = &mut self.random;
        let count = r.random_range(10..18);
        let most = self.max_frame.min(1_518) - 4;
        self.log(format!("{count} long frames"));
        for _ in 0..count {
            let line = traffic::long(&mut self.random, self.own, most);
            self.receive(&line);
        }
        self.grouped = true;
    }

    /// An SQE and its data, which lie in the buffer of its place in the ring.
    fn post(&mut self, data: &[u8], flags: u16, wild: bool) {
        let offset = self.random.random_range(0..16);
        let buffer = self.buffers + self.sq.slot() * TX_BUFFER + offset;
        self.store(buffer, data);
        let iova = if wild { self.memory_end + 4096 } else { buffer };
        let sqe = Sqe {
            iova: iova.wrapping_add(self.shift),
            len: data.len() as u16,
            flags,
            vlan_tci: self.random.random(),
            mss: self.random.random(),
        };
        let words = sqe.to_words();
        let at = self.sq.iova + self.sq.slot() * 16;
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.store(at, &bytes);
        self.sq.producer += 1;
        self.unseen += u64::from(self.wild);
        self.open_sqes = if flags & sqe_flags::EOP != 0 {
            0
        } else {
            self.open_sqes + 1
        };
        self.log(format!("    {sqe:x?} {:02x?}", &data[..data.len().min(60)]));
    }

    /// SQEs that fit the ring.
    fn sq_room(&mut self) -> u64 {
        self.sq.size() - self.open_sqes
    }

    fn packet(&mut self, raw: bool) -> (Vec<u8>, u16) {
        let r = &mut self.random;
        let mut flags = 0;
        let data = if raw {
            flags |= sqe_flags::RAW;
            let len = match r.random_range(0..12) {
                0 => r.random_range(1..20),
                1 => r.random_range(1_000..2_000),
                2 => r.random_range(52..66),
                _ => r.random_range(14..200),
            };
            let mut frame: Vec<u8> = (0..len).map(|_| r.random()).collect();
            if let Some(to) = frame.get_mut(..6) {
                to.copy_from_slice(&self.own.mac);
            }
            if let Some(ether_type) = frame.get_mut(12..14) {
                // ARP frames of the host could not be told from the NIC's own.
                ether_type.copy_from_slice(&[0x08, 0x00]);
            }
            frame
        } else {
            let to = match r.random_range(0..10) {
                0 => FAR,
                1 => [255; 4],
                2 => [224, 1, 2, 3],
                3 => self.own.ip,
                4 => [192, 0, 255, 255],
                5 => r.random(),
                _ => PEERS.choose(r).map_or(FAR, |p| p.1),
            };
            let most = if r.random_bool(0.05) { 1_900 } else { 300 };
            let mut packet = traffic::ipv4(r, self.own.ip, to, most);
            if r.random_bool(0.1) {
                let within = packet.len().min(44);
                packet[r.random_range(0..within)] ^= 1 << r.random_range(0..8);
            }
            if r.random_bool(0.05) {
                packet.truncate(r.random_range(1..=packet.len()));
            }
            packet
        };
        for (flag, often) in [
            (sqe_flags::IPCS, 0.7),
            (sqe_flags::L4CS, 0.7),
            (sqe_flags::TS_REQ, 0.1),
            (sqe_flags::TSO, 0.01),
            (sqe_flags::VLAN_INS, 0.01),
            (sqe_flags::INLINE, 0.01),
        ] {
            if r.random_bool(often) {
                flags |= flag;
            }
        }
        if r.random_bool(0.15) {
            flags |= r.random_range(0..8) << sqe_flags::NEXT_HOP_SHIFT;
        }
        (data, flags)
    }

    /// A frame in one SQE or several, some of them wrong.
    fn post_frame(&mut self, raw: bool) {
        let (data, flags) = self.packet(raw);
        let pieces = match self.random.random_range(0..5) {
            0 => self.random.random_range(1..=3usize).min(data.len()),
            _ => 1,
        };
        if self.sq_room() < pieces as u64 + 1 {
            return;
        }
        self.held_bytes += data.len() + 32;
        self.completions += 1;
        let report = self.random.random_bool(0.6);
        let size = data.len().div_ceil(pieces);
        let count = data.chunks(size).count();
        for (i, piece) in data.chunks(size).enumerate() {
            let r = &mut self.random;
            let mut f = flags;
            if i == 0 && r.random_bool(0.97) || r.random_bool(0.01) {
                f |= sqe_flags::SOP;
            }
            if i + 1 == count && r.random_bool(0.97) {
                f |= sqe_flags::EOP;
            }
            if report {
                f |= sqe_flags::CPL_REQ;
            }
            let piece = if r.random_bool(0.02) { &[] } else { piece };
            let wild = r.random_bool(0.02);
            self.post(piece, f, wild);
        }
        if self.open_sqes > 8 {
            self.post(&[0], sqe_flags::EOP, false);
        }
    }

    /// The host may give the transmit queue work: nothing of it is held up that the host does not know of.
    fn may_transmit(&mut self) -> bool {
        if self.is_held_up() {
            return false;
        }
        if self.held_bytes > MOST_HELD {
            self.ctrl |= regs::ctrl::TX_EN.of(1);
        }
        self.write(regs::ctrl::OFFSET, self.ctrl);
        if regs::ctrl::TX_EN.get(self.ctrl) != 0 {
            self.held_bytes = 0;
        }
        true
    }

    /// Packets go out.
    fn transmit(&mut self) {
        if !self.may_transmit() {
            self.host_reads();
            return;
        }
        let mut count = *[1, 1, 1, 2, 3, 5].choose(&mut self.random).unwrap_or(&1);
        if self.sparse || regs::ctrl::LOOPBACK.get(self.ctrl) != 0 {
            // What comes back must come in one order.
            count = 1;
        }
        self.log(format!("transmit {count}"));
        for _ in 0..count {
            let raw = self.random.random_bool(0.4);
            self.post_frame(raw);
        }
        let unread = self.unread(Queue::Tx);
        let consume = self.random.random_range(0..=unread);
        self.consume(Queue::Tx, consume);
        let arm = self.random.random_bool(0.3);
        self.ring(Queue::Tx, arm);
        self.merged = count > 1;
        self.grouped |= count > 1;
    }

    /// Frames come in and raw frames go out, which have nothing to do with each other.
    fn both_ways(&mut self) {
        if !self.may_transmit() {
            return;
        }
        self.log("both ways".into());
        for _ in 0..self.random.random_range(1..4) {
            let most = self.max_frame - 4;
            let line = traffic::frame(&mut self.random, self.own, most);
            self.log(format!("    receive {line:?}"));
            self.receive(&line);
            if regs::ctrl::LOOPBACK.get(self.ctrl) == 0 {
                self.post_frame(true);
            }
        }
        self.ring(Queue::Tx, false);
        self.grouped = true;
    }

    /// The host reads completions and gives slots.
    fn host_reads(&mut self) {
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
        self.settle()?;
        self.look()
    }

    fn set_rxctl(&mut self) {
        let r = &mut self.random;
        let rxctl = r.random::<u32>() & 0x7F;
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
            // STATUS of a reset that is under way depends on the cycle; here none is.
            reads.push((bar, offset & 0xF_FFFC, be));
            reads.push((BAR_MSIX, r.random_range(0..0x210) * 4, 0xF));
        }
        self.log(format!("read {reads:x?}"));
        self.read(&reads).map(drop)
    }

    /// Time passes: to the NIC's deadline, or by any amount.
    fn time(&mut self) {
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
    }

    fn link(&mut self) {
        self.link_up = self.random.random_bool(0.5);
        let (up, speed) = (self.link_up, self.random.random_range(0..4));
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

//! Queues that fail, each by itself, and are told with the number of their page; whom PUSH mode leaves alone.
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::{doorbell, event_code, Event};
use ferrule_abi::BAR_REGS;
use ferrule_sim::root_complex::Settings;
use ferrule_tests::bench::memory::{HostMemory, IOVA, PAGE};
use ferrule_tests::bench::rings::CompletionRing;
use ferrule_tests::differential::subject::HostSetup;
use ferrule_tests::differential::Subject;

const LOG2: u32 = 4;

/// A subject whose event queue runs; the other queues' rings share a page that nobody reads.
struct Bench<'a> {
    subject: &'a mut dyn Subject,
    events: CompletionRing,
    rings: u32,
}

impl<'a> Bench<'a> {
    fn new(subject: &'a mut dyn Subject) -> Self {
        let memory = 16 * PAGE;
        // Below 4 GiB, so that the upper halves of addresses stay 0.
        let iova = 1 << 30;
        subject.begin(&HostSetup {
            settings: Settings::default(),
            stalls: (0.0, 0.0),
            sizes: (0, 0),
            memory,
            iova,
        });
        subject.set_time(1_000_000_000);
        subject.set_link(true, 2);
        let mut layout = HostMemory::new(memory);
        let events = CompletionRing::new(&mut layout, LOG2);
        let place = |at: u64| (iova + at - IOVA) as u32;
        let mut bench = Self {
            subject,
            rings: place(layout.take(2 * PAGE)),
            events,
        };
        bench.settle();
        let page = regs::event_page();
        let ring = place(bench.events.iova);
        for (offset, value) in [
            (regs::event_cfg::OFFSET, regs::event_cfg::CQ_LOG2.of(LOG2)),
            (regs::event_cq_base_lo::OFFSET, ring),
            (regs::event_ctrl::OFFSET, 1),
        ] {
            bench.write(page + offset, value);
        }
        bench.settle();
        bench
    }

    fn settle(&mut self) {
        let settled = self.subject.settle();
        settled.unwrap_or_else(|e| panic!("{}: {e}", self.subject.name()));
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.subject.host().write(offset, value);
    }

    fn read(&mut self, offset: u32) -> u32 {
        let id = self.subject.host().read(BAR_REGS, offset, 0xF);
        self.settle();
        let value = self.subject.host().root_complex.take_read(id);
        value.expect("an answer")
    }

    /// Enables the transmit or the receive queue of `page`, all of whose rings have the same size.
    fn start(&mut self, page: u32, more_cfg: u32) {
        use regs::{rx_slot_cfg, tx_cfg};
        let cfg = tx_cfg::SQ_LOG2.of(LOG2) | tx_cfg::CQ_LOG2.of(LOG2);
        let rings = self.rings;
        self.write(page + tx_cfg::OFFSET, cfg | more_cfg);
        self.write(page + regs::tx_sq_base_lo::OFFSET, rings);
        self.write(page + regs::tx_cq_base_lo::OFFSET, rings + PAGE as u32);
        if (0..regs::QUEUE_PAIRS).any(|queue| page == regs::rx_page(queue)) {
            let slots = rx_slot_cfg::STRIDE_LOG2.of(11) | rx_slot_cfg::COUNT.of(1 << LOG2);
            self.write(page + rx_slot_cfg::OFFSET, slots);
        }
        self.write(page + regs::tx_ctrl::OFFSET, 1);
        self.settle();
    }

    fn stop(&mut self, page: u32) {
        self.write(page + regs::tx_ctrl::OFFSET, 0);
        self.settle();
    }

    fn expect_error(&mut self, page: u32, error: u32) {
        let status = self.read(page + regs::tx_status::OFFSET);
        let running = u32::from(error == queue_error::NONE);
        let expected = regs::tx_status::ERROR.of(error) | regs::tx_status::RUNNING.of(running);
        assert_eq!(status, expected, "{}: {page:#x}", self.subject.name());
    }

    /// Pages of the queues that have failed, in the order in which that was told.
    fn failed_pages(&mut self) -> Vec<u16> {
        let memory = &self.subject.host().memory;
        let events = std::iter::from_fn(|| self.events.pop(memory)).map(Event::from_words);
        events
            .filter(|event| event.code == event_code::QUEUE_ERROR)
            .map(|event| event.detail)
            .collect()
    }
}

/// An index that cannot be stops its queue alone.
pub(super) fn stop_their_queue_alone(subject: &mut dyn Subject) {
    let mut b = Bench::new(subject);
    for page in (1..regs::PAGES).map(regs::queue_page) {
        b.start(page, 0);
    }
    let impossible = doorbell::PRODUCER.of((1 << LOG2) + 1);
    for (n, page) in [5, 8, 1].into_iter().enumerate() {
        b.write(regs::queue_page(page), impossible);
        b.settle();
        assert_eq!(b.failed_pages(), [page as u16], "{n}: {}", b.subject.name());
    }
    for page in 1..regs::PAGES {
        let error = match page {
            5 | 8 | 1 => queue_error::BAD_INDEX,
            _ => queue_error::NONE,
        };
        b.expect_error(regs::queue_page(page), error);
    }
}

/// PUSH mode is for transmit queue 0, while no other one runs.
pub(super) fn push_beside_others(subject: &mut dyn Subject) {
    let push = regs::tx_cfg::PUSH.of(1);
    let [zero, one, two] = [0, 1, 2].map(regs::tx_page);
    let mut b = Bench::new(subject);
    b.start(one, push);
    b.expect_error(one, queue_error::BAD_SETUP);
    b.stop(one);
    b.start(two, 0);
    b.start(zero, push);
    b.expect_error(zero, queue_error::BAD_SETUP);
    b.expect_error(two, queue_error::NONE);
    b.stop(zero);
    b.stop(two);
    b.start(zero, push);
    b.expect_error(zero, queue_error::NONE);
    b.start(two, 0);
    b.expect_error(two, queue_error::BAD_SETUP);
    b.expect_error(zero, queue_error::NONE);
    b.stop(two);
    b.stop(zero);
    b.start(two, 0);
    b.expect_error(two, queue_error::NONE);
    assert_eq!(b.failed_pages(), [3, 1, 5], "{}", b.subject.name());
    // The windows of other queues are strays.
    let before = b.read(regs::bad_access::OFFSET);
    b.write(regs::push_window(1), 0);
    assert_eq!(b.read(regs::bad_access::OFFSET), before + 1);
}

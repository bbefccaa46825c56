//! The ARP cache: 64 sets of 4 ways, and the queue of requests that wait for an answer.
//!
//! Since all retries are the same time apart, deadlines come in the order in which requests were sent: the queue is all the timer there
//! is. An element whose entry does not wait in that place any more is skipped. Its places are numbered modulo 256, as the hardware's are.
//! Way 3 of a set is never static.

const ENTRIES: usize = 256;
const WAYS: u8 = 4;
const LAST_WAY: u8 = WAYS - 1;

/// The first entry of the set of `ip`.
fn set_of(ip: u32) -> u8 {
    let [low, next, ..] = ip.to_le_bytes();
    (low ^ next) << 2
}

/// Of an entry.
#[derive(Clone, Copy)]
enum State {
    /// The MAC address is known, if the entry is in use.
    Resolved([u8; 6]),
    /// The host has said it.
    Static([u8; 6]),
    /// Asked for.
    Pending {
        /// In the timer queue.
        place: u8,
        /// Requests sent.
        tries: u8,
    },
}

#[derive(Clone, Copy)]
struct Entry {
    /// 0: free.
    ip: u32,
    /// Tick of the last confirmation or request.
    stamp: u32,
    state: State,
}

/// What is known of an entry.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// 0: it is free, and the rest means nothing.
    pub(super) ip: u32,
    /// Ticks since it was confirmed, asked for or given.
    pub(super) age: u32,
    /// None: it is being asked for.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) is_static: bool,
}

const FREE: Entry = Entry {
    ip: 0,
    stamp: 0,
    state: State::Resolved([0; 6]),
};

/// A pending entry at the head of the timer queue.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) slot: u8,
    pub(super) ip: u32,
    pub(super) tries: u8,
    due: u32,
}

/// What a search finds.
#[derive(Clone, Copy)]
pub(super) enum Probe {
    /// The entry of the address.
    Found {
        /// Its number.
        slot: u8,
    },
    /// None.
    Absent {
        /// A free entry of its set, or the resolved one that was confirmed longest ago.
        spare: Option<u8>,
        /// The last entry of its set.
        last: u8,
    },
}

/// The cache.
pub(super) struct Cache {
    entries: [Entry; ENTRIES],
    timer: [u8; ENTRIES],
    head: u8,
    tail: u8,
    /// The live element at `head`, once it has been looked at.
    front: Option<Pending>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            entries: [FREE; ENTRIES],
            timer: [0; ENTRIES],
            head: 0,
            tail: 0,
            front: None,
        }
    }

    fn entry(&mut self, slot: u8) -> &mut Entry {
        &mut self.entries[usize::from(slot)]
    }

    /// The address of an entry.
    fn ip(&self, slot: u8) -> u32 {
        self.entries[usize::from(slot)].ip
    }

    /// An entry.
    pub(super) fn show(&self, slot: u8, now: u32) -> Shown {
        let entry = &self.entries[usize::from(slot)];
        let (mac, is_static) = match entry.state {
            State::Resolved(mac) => (Some(mac), false),
            State::Static(mac) => (Some(mac), true),
            State::Pending { .. } => (None, false),
        };
        Shown {
            ip: entry.ip,
            age: now.wrapping_sub(entry.stamp),
            mac,
            is_static,
        }
    }

    /// Searches the set of `ip`, which is not 0.
    pub(super) fn probe(&self, ip: u32, now: u32) -> Probe {
        let first = set_of(ip);
        for slot in (0..WAYS).map(|way| first + way) {
            if self.ip(slot) == ip {
                return Probe::Found { slot };
            }
        }
        Probe::Absent {
            spare: self.spare(first, WAYS, now),
            last: first + LAST_WAY,
        }
    }

    /// Where a static entry for `ip` can go: a place for a new one in the ways that may hold static ones.
    pub(super) fn spare_for_static(&self, ip: u32, now: u32) -> Option<u8> {
        self.spare(set_of(ip), LAST_WAY, now)
    }

    /// Whether an entry lies in the way that holds no static ones.
    pub(super) fn is_last_way(slot: u8) -> bool {
        slot % WAYS == LAST_WAY
    }

    /// A place for a new entry among the first `ways` of a set.
    fn spare(&self, first: u8, ways: u8, now: u32) -> Option<u8> {
        let (mut free, mut oldest) = (None, None::<(u32, u8)>);
        for slot in (0..ways).map(|way| first + way) {
            let entry = &self.entries[usize::from(slot)];
            let age = now.wrapping_sub(entry.stamp);
            if entry.ip == 0 {
                free = Some(slot);
            } else if matches!(entry.state, State::Resolved(_))
                && oldest.is_none_or(|(oldest, _)| age > oldest)
            {
                oldest = Some((age, slot));
            }
        }
        free.or(oldest.map(|(_, slot)| slot))
    }

    /// Frees an entry.
    pub(super) fn free(&mut self, slot: u8) {
        *self.entry(slot) = FREE;
    }

    /// Frees all resolved entries.
    pub(super) fn forget_resolved(&mut self) {
        for entry in &mut self.entries {
            if matches!(entry.state, State::Resolved(_)) {
                entry.ip = 0;
            }
        }
    }

    /// An entry is confirmed.
    pub(super) fn resolve(&mut self, slot: u8, ip: u32, mac: [u8; 6], now: u32) {
        *self.entry(slot) = Entry {
            ip,
            stamp: now,
            state: State::Resolved(mac),
        };
    }

    /// The host gives an entry.
    pub(super) fn fix(&mut self, slot: u8, ip: u32, mac: [u8; 6], now: u32) {
        *self.entry(slot) = Entry {
            ip,
            stamp: now,
            state: State::Static(mac),
        };
    }

    /// A request was sent for an entry.
    pub(super) fn pend(&mut self, slot: u8, ip: u32, tries: u8, now: u32) {
        let place = self.tail;
        *self.entry(slot) = Entry {
            ip,
            stamp: now,
            state: State::Pending { place, tries },
        };
        self.timer[usize::from(place)] = slot;
        self.tail = place.wrapping_add(1);
    }

    /// No further request can wait.
    pub(super) fn is_timer_full(&self) -> bool {
        self.tail.wrapping_add(1) == self.head
    }

    /// Looks at the head of the timer queue, if that has not been done.
    pub(super) fn load_timer(&mut self, retry_ticks: u32) {
        while self.front.is_none() && self.head != self.tail {
            let slot = self.timer[usize::from(self.head)];
            let entry = *self.entry(slot);
            match entry.state {
                State::Pending { place, tries } if place == self.head => {
                    self.front = Some(Pending {
                        slot,
                        ip: entry.ip,
                        tries,
                        due: entry.stamp.wrapping_add(retry_ticks),
                    });
                }
                _ => self.head = self.head.wrapping_add(1),
            }
        }
    }

    /// Tick at which the head of the timer queue is due.
    pub(super) fn due(&self) -> Option<u32> {
        self.front.map(|f| f.due)
    }

    /// Takes the head of the timer queue if it is due, or if the queue is full.
    pub(super) fn take_due(&mut self, now: u32) -> Option<Pending> {
        let full = self.is_timer_full();
        // Ticks wrap: the difference is negative as long as the deadline is ahead.
        let is_due = |f: &mut Pending| now.wrapping_sub(f.due) as i32 >= 0 || full;
        let front = self.front.take_if(is_due)?;
        self.head = self.head.wrapping_add(1);
        Some(front)
    }

    /// The element at the head must be looked at again if it is this entry's.
    pub(super) fn drop_timer_of(&mut self, slot: u8) {
        self.front.take_if(|f| f.slot == slot);
    }
}

//! How a thread waits: it drives the world, or sleeps while another one does or runs.
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::schedule::{Bell, Told, Turn};
use super::services::{Due, ServiceId};
use super::{clear, unwound, Failure, Shared, State};
use crate::station::Next;

/// How often, on the machine's clock, a driving thread looks at the descriptors of the waiting ones: somebody unknown may have written to
/// them. What the world and its threads do themselves is seen at once.
const LOOK_AROUND: Duration = Duration::from_micros(50);
/// Steps of the world between two looks at the machine's clock.
const CLOCK_STEPS: u32 = 16;

type Guard<'a> = MutexGuard<'a, State>;

/// What comes next for the driving thread.
enum Called {
    /// A waiting thread.
    Thread(Turn),
    /// Services have been called.
    Services,
    Nobody,
}

/// Why time stopped passing.
enum Passed {
    /// There is something to look at.
    Look,
    /// Nothing will happen by itself.
    Nothing,
}

impl Shared {
    /// Waits in the turn that was entered until it is called, or one of `fds` is readable.
    pub(super) fn wait_in_turn<'a>(
        &'a self,
        state: Guard<'a>,
        turn: Turn,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let (mut state, result) = self.until_called(state, turn, fds);
        state.schedule.leave(turn);
        result
    }

    fn until_called<'a>(
        &'a self,
        mut state: Guard<'a>,
        turn: Turn,
        fds: &[BorrowedFd<'_>],
    ) -> (Guard<'a>, io::Result<()>) {
        loop {
            if let Err(e) = state.check() {
                return (state, Err(e));
            }
            let schedule = &mut state.schedule;
            let may_drive = schedule.baton.is_none() && schedule.driver.is_none_or(|d| d == turn);
            let called = match schedule.waiter(turn) {
                Some(waiter) if waiter.told != Told::Run => {
                    waiter.told = if may_drive { Told::Drive } else { Told::Wait };
                    false
                }
                _ => true,
            };
            let result;
            (state, result) = if called {
                return (state, Ok(()));
            } else if may_drive {
                state.schedule.driver = Some(turn);
                self.drive(state, turn, fds)
            } else {
                self.sleep_until_told(state, turn, fds)
            };
            match result {
                Ok(false) => {}
                Ok(true) => return (state, Ok(())),
                Err(e) => return (state, Err(e)),
            }
        }
    }

    /// Sleeps until told something; true if one of `fds` is readable.
    fn sleep_until_told<'a>(
        &'a self,
        mut state: Guard<'a>,
        turn: Turn,
        fds: &[BorrowedFd<'_>],
    ) -> (Guard<'a>, io::Result<bool>) {
        let Some(waiter) = state.schedule.waiter(turn) else {
            return (state, Ok(true));
        };
        match waiter.bell.clone() {
            Bell::Condition(condition) => {
                if waiter.fds.is_none() && !fds.is_empty() {
                    match fds.iter().map(|fd| fd.try_clone_to_owned()).collect() {
                        Ok(own) => waiter.fds = Some(Arc::new(own)),
                        Err(e) => return (state, Err(e)),
                    }
                }
                let waits = |state: &mut State| {
                    let told = state.schedule.waiter(turn).map(|w| w.told);
                    told == Some(Told::Wait)
                };
                let state = condition.wait_while(state, waits);
                (
                    state.unwrap_or_else(std::sync::PoisonError::into_inner),
                    Ok(false),
                )
            }
            Bell::Descriptor(bell) => {
                drop(state);
                let mut polled = polled(fds.iter().copied().chain([bell.as_fd()]));
                let result = poll_for(&mut polled, None);
                let ready = polled[..fds.len()].iter().any(is_ready);
                clear(&bell);
                (self.contend(), result.map(|()| ready))
            }
        }
    }

    /// Drives the world until some thread is called; true if it is this one.
    fn drive<'a>(
        &'a self,
        mut state: Guard<'a>,
        turn: Turn,
        fds: &[BorrowedFd<'_>],
    ) -> (Guard<'a>, io::Result<bool>) {
        // Whoever ran until now may have done anything.
        self.look.store(true, Ordering::SeqCst);
        state.ask_services = true;
        loop {
            while self.contenders.load(Ordering::SeqCst) > 0 {
                state.makes_room = true;
                let waited = self.uncontended.wait(state);
                state = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
                state.makes_room = false;
            }
            if let Err(e) = state.check() {
                return (state, Err(e));
            }
            if !state.schedule.tickets.is_empty() {
                state = self.sleep(state, &[], false);
                continue;
            }
            let now_ns = state.world.now_ns();
            self.deliver_interrupts(&mut state);
            if self.look.swap(false, Ordering::SeqCst)
                || state.services.deadline_ns().is_some_and(|at| at <= now_ns)
            {
                if let Some(due) = state.services.take_due(now_ns) {
                    self.look.store(true, Ordering::SeqCst);
                    let still_driving;
                    (state, still_driving) = self.serve(state, turn, due);
                    if still_driving {
                        continue;
                    }
                    return (state, Ok(false));
                }
                match self.look(&mut state, turn, fds) {
                    Ok(Called::Nobody) => {}
                    Ok(Called::Services) => {
                        self.look.store(true, Ordering::SeqCst);
                        continue;
                    }
                    Ok(Called::Thread(called)) => {
                        if let Some(mine) = self.call(&mut state, turn, called) {
                            return (state, Ok(mine));
                        }
                        continue;
                    }
                    Err(e) => return (state, Err(e)),
                }
            }
            if let Some(called) = state.schedule.due(now_ns) {
                if let Some(mine) = self.call(&mut state, turn, called) {
                    return (state, Ok(mine));
                }
                continue;
            }
            if state.services.are_busy() {
                state = self.sleep(state, &[], false);
                continue;
            }
            match unwound(|| self.pass_time(&mut state)) {
                Ok(Passed::Look) => {}
                Ok(Passed::Nothing) if state.is_dead() => state.fail(Failure::Deadlock),
                Ok(Passed::Nothing) => state = self.sleep(state, fds, true),
                Err(text) => state.fail(Failure::Fault(text)),
            }
        }
    }

    /// Writes the eventfds of interrupts whose time has come.
    fn deliver_interrupts(&self, state: &mut State) {
        let now_ns = state.world.now_ns();
        if self.interrupts.are_raised() && state.interrupts_ns.is_none() {
            state.interrupts_ns = Some(now_ns.saturating_add(state.interrupt_latency_ns));
        }
        if state.interrupts_ns.take_if(|at| *at <= now_ns).is_some() {
            self.interrupts.deliver();
            state.ask_services = true;
            self.look.store(true, Ordering::SeqCst);
        }
    }

    /// Calls a thread; whether it is the driving one, if that ends driving.
    fn call(&self, state: &mut State, turn: Turn, called: Turn) -> Option<bool> {
        state.called_ns = state.world.now_ns();
        if called == turn {
            return Some(true);
        }
        state.schedule.call(called);
        // There may be more that are ready.
        self.look.store(true, Ordering::SeqCst);
        (state.schedule.driver != Some(turn)).then_some(false)
    }

    /// Runs a service on this thread, which holds the baton meanwhile; whether it still drives.
    fn serve<'a>(&'a self, mut state: Guard<'a>, turn: Turn, due: Due) -> (Guard<'a>, bool) {
        let me = std::thread::current().id();
        let schedule = &mut state.schedule;
        (schedule.baton, schedule.driver) = (Some(me), None);
        // Nobody calls it now. What the service does may wait on this clock in a turn of its own.
        if let Some(waiter) = schedule.waiter(turn) {
            waiter.told = Told::Run;
        }
        drop(state);
        let ran = unwound(|| due.service.run(due.called));
        // The last handle, maybe: what it takes with it may need the clock.
        drop(due.service);
        let mut state = self.contend();
        match ran {
            Ok(served) => state.services.ran(due.id, served),
            Err(text) => state.fail(Failure::Fault(text)),
        }
        let schedule = &mut state.schedule;
        let drives = schedule.baton == Some(me) && schedule.driver.is_none();
        if drives {
            (schedule.baton, schedule.driver) = (None, Some(turn));
        }
        if let Some(waiter) = schedule.waiter(turn) {
            waiter.told = if drives { Told::Drive } else { Told::Wait };
        }
        (state, drives)
    }

    /// Asks all descriptors at once. The thread that has waited longest is called.
    fn look(&self, state: &mut State, turn: Turn, fds: &[BorrowedFd<'_>]) -> io::Result<Called> {
        let waiters = || state.schedule.sleeping().filter(|w| w.turn != turn);
        let of_waiters = waiters().filter_map(|w| Some((w.turn, w.fds.as_deref()?)));
        // It is known when a NIC or a thread of the simulation may have written to those of a service.
        let asked = if state.ask_services { usize::MAX } else { 0 };
        let of_services = || state.services.fds().take(asked);
        let all = fds.iter().copied().chain(
            of_waiters
                .clone()
                .flat_map(|(_, fds)| fds)
                .chain(of_services().flat_map(|(_, fds)| &**fds))
                .map(AsFd::as_fd),
        );
        let mut polled = polled(all);
        if polled.is_empty() {
            return Ok(Called::Nobody);
        }
        poll_for(&mut polled, Some(&Timespec::default()))?;
        let mut ready = polled.iter().map(is_ready);
        let mut any = |count: usize| ready.by_ref().take(count).filter(|r| *r).count() > 0;
        let mut called = any(fds.len()).then_some(turn);
        for (waiter, fds) in of_waiters {
            if any(fds.len()) {
                called = Some(called.map_or(waiter, |first| first.min(waiter)));
            }
        }
        let services: Vec<ServiceId> = of_services()
            .filter(|(_, fds)| any(fds.len()))
            .map(|(id, _)| id)
            .collect();
        state.ask_services = false;
        for id in &services {
            state.services.call(*id);
        }
        Ok(match called {
            _ if !services.is_empty() => Called::Services,
            Some(turn) => Called::Thread(turn),
            None => Called::Nobody,
        })
    }

    /// Lets time pass until there is something to look at.
    fn pass_time(&self, state: &mut State) -> Passed {
        let threads_ns = state.schedule.deadline_ns();
        let deadlines = [
            threads_ns,
            state.services.deadline_ns(),
            state.interrupts_ns,
        ];
        let horizon = deadlines.into_iter().flatten().min();
        let delivering = state.interrupts_ns.is_some();
        let started = Instant::now();
        let mut steps = 0;
        loop {
            let next = state.world.next();
            let Some(to_ns) = [next.at_ns(), horizon].into_iter().flatten().min() else {
                return Passed::Nothing;
            };
            let now_ns = state.world.now_ns();
            if let Next::Idle(_) = next {
                if threads_ns.is_none() && state.is_out_of_patience(to_ns) {
                    return Passed::Nothing;
                }
                state.jumped_ns += to_ns.saturating_sub(now_ns);
            }
            state.world.advance(to_ns);
            self.now_ns.store(state.world.now_ns(), Ordering::Release);
            state.world.step();
            let late = horizon.is_some_and(|at| at <= to_ns);
            // Once their time is set, more of them wait for it too.
            let raised = !delivering && self.interrupts.are_raised();
            if late
                || raised
                || self.look.load(Ordering::Relaxed)
                || self.contenders.load(Ordering::Relaxed) > 0
            {
                return Passed::Look;
            }
            steps += 1;
            if steps % CLOCK_STEPS == 0 && started.elapsed() > LOOK_AROUND {
                state.ask_services = true;
                self.look.store(true, Ordering::SeqCst);
                return Passed::Look;
            }
        }
    }

    /// Sleeps until somebody else does something; with `all`, descriptors are looked at too.
    fn sleep<'a>(&'a self, state: Guard<'a>, fds: &[BorrowedFd<'_>], all: bool) -> Guard<'a> {
        self.asleep.store(true, Ordering::SeqCst);
        // Pairs with `stir`, which sets the flag and then looks whether we sleep.
        if !self.look.load(Ordering::SeqCst) {
            let others: Vec<Arc<Vec<OwnedFd>>> = match all {
                true => {
                    let waiters = state.schedule.sleeping().filter_map(|w| w.fds.clone());
                    let services = state.services.fds().map(|(_, fds)| Arc::clone(fds));
                    waiters.chain(services).collect()
                }
                false => vec![],
            };
            drop(state);
            let others = others.iter().flat_map(|fds| fds.iter()).map(AsFd::as_fd);
            let changed = [self.changed.as_fd()];
            let mut polled = polled(changed.into_iter().chain(fds.iter().copied()).chain(others));
            if let Err(e) = poll_for(&mut polled, None) {
                tracing::error!("waiting for the hosts of a simulated NIC: {e}");
            }
            self.asleep.store(false, Ordering::SeqCst);
            clear(&self.changed);
            self.look.store(true, Ordering::SeqCst);
            let mut state = self.lock();
            state.ask_services = true;
            return state;
        }
        self.asleep.store(false, Ordering::SeqCst);
        state
    }
}

impl State {
    /// Whether all who could ever do something wait for each other.
    fn is_dead(&self) -> bool {
        let all_attached = self.schedule.waiters.iter().all(|w| w.attached);
        self.patience_ns.is_some() && all_attached && self.schedule.outside == 0
    }

    /// Whether it is not worth while to go on to `to_ns`.
    fn is_out_of_patience(&self, to_ns: u64) -> bool {
        let over = |patience_ns| to_ns.saturating_sub(self.called_ns) > patience_ns;
        self.patience_ns.is_some_and(over) && self.is_dead()
    }
}

fn polled<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<PollFd<'a>> {
    fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect()
}

/// What cannot be asked counts as ready: the thread finds out itself.
fn is_ready(polled: &PollFd<'_>) -> bool {
    !polled.revents().is_empty()
}

fn poll_for(polled: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> io::Result<()> {
    loop {
        match poll(polled, timeout) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

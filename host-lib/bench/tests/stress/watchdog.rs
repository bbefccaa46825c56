//! Threads of which it is known where they are: one that gets nowhere fails the test, which says what each does.
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than any wait that ends, on a loaded machine and under ThreadSanitizer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Where a thread is.
pub(crate) struct Place {
    doing: Mutex<&'static str>,
    steps: AtomicU64,
}

impl Place {
    /// Something was done, and this is next.
    pub(crate) fn goes_on(&self, doing: &'static str) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = doing;
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

enum State<T> {
    Runs(JoinHandle<T>),
    Ended(T),
    Failed,
}

struct Watched<T> {
    name: String,
    place: Arc<Place>,
    state: State<T>,
    steps: u64,
    last_step: Instant,
}

/// Threads that are watched, each with what it counts.
pub(crate) struct Watchdog<T>(Vec<Watched<T>>);

impl<T: Send + 'static> Watchdog<T> {
    pub(crate) fn new() -> Self {
        Self(vec![])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Starts a thread.
    pub(crate) fn spawn(&mut self, name: &str, body: impl FnOnce(&Place) -> T + Send + 'static) {
        let place = Arc::new(Place {
            doing: Mutex::new("beginning"),
            steps: AtomicU64::new(0),
        });
        let its_place = Arc::clone(&place);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || body(&its_place));
        self.0.push(Watched {
            name: name.to_owned(),
            place,
            state: State::Runs(thread.expect("a thread")),
            steps: 0,
            last_step: Instant::now(),
        });
    }

    /// Watches until `end`, or until all have ended.
    ///
    /// # Panics
    /// As soon as one has failed, or has got nowhere for long.
    pub(crate) fn watch(&mut self, end: Option<Instant>) {
        while end.is_none_or(|end| Instant::now() < end) {
            let mut all_ended = true;
            for watched in &mut self.0 {
                all_ended &= watched.look();
            }
            let stuck = |w: &&Watched<T>| match w.state {
                State::Runs(_) => w.last_step.elapsed() > PATIENCE,
                State::Ended(_) => false,
                State::Failed => true,
            };
            if let Some(stuck) = self.0.iter().find(stuck) {
                panic!("{} gets nowhere:\n{}", stuck.name, self.dump());
            }
            if all_ended {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What each has counted.
    pub(crate) fn join(mut self) -> Vec<T> {
        self.watch(None);
        let counted = self.0.into_iter().map(|watched| match watched.state {
            State::Ended(counted) => counted,
            State::Runs(_) | State::Failed => unreachable!("watched to its end"),
        });
        counted.collect()
    }

    /// Where each thread is.
    fn dump(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, w| {
            let doing = match w.state {
                State::Runs(_) => *w.place.doing.lock().unwrap_or_else(PoisonError::into_inner),
                State::Ended(_) => "has ended",
                State::Failed => "has panicked",
            };
            let _ = writeln!(
                text,
                "  {}: {doing}; {} steps, the last {:?} ago",
                w.name,
                w.steps,
                w.last_step.elapsed()
            );
            text
        })
    }
}

impl<T> Watched<T> {
    /// Looks where it is; whether it has ended.
    fn look(&mut self) -> bool {
        let steps = self.place.steps.load(Ordering::Relaxed);
        if steps != self.steps {
            (self.steps, self.last_step) = (steps, Instant::now());
        }
        let state = std::mem::replace(&mut self.state, State::Failed);
        self.state = match state {
            State::Runs(thread) if thread.is_finished() => match thread.join() {
                Ok(counted) => State::Ended(counted),
                Err(_) => State::Failed,
            },
            state => state,
        };
        !matches!(self.state, State::Runs(_))
    }
}

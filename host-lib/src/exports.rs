//! Sockets as descriptors: what poll(2), epoll and select say of a socket of ours.
//!
//! The descriptor is one end of an AF_UNIX stream pair whose other end we hold, since nothing else can say all that a socket says: bytes
//! towards the program mean IN, a send buffer that we have filled means not OUT, shutdown means RDHUP and HUP, and closing our end with
//! something unread means ERR as well. What a call or a packet changes is shown before the state is unlocked (level), and each
//! arrival is a byte more (edge). The program never reads or writes it.
use std::collections::hash_map::{Entry, HashMap};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use ferrule_stack::{Readiness, SocketId, Stack};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use crate::core::Body;
use crate::events::Watch;

/// Arrivals that are shown at a time; the next takes the place of the oldest.
const MAX_SIGNALS: usize = 16;
/// More than half of the smallest send buffer that Linux gives (SOCK_MIN_SNDBUF), which is what it takes to be no longer writable; less than
/// what it takes at once.
const FILLING: [u8; 2_000] = [0; 2_000];
/// Pieces of it until the buffer is full, however large the kernel has made it.
const MAX_PIECES: usize = 1_024;

/// A descriptor that a handle has been lent.
#[derive(Debug)]
pub(crate) enum Lent {
    /// The first handle's is the pair's own.
    Own(Arc<UnixStream>),
    /// The further ones' are duplicates, as those of dup(2): an epoll can hold each.
    Duplicate(OwnedFd),
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Lent::Own(stream) => stream.as_fd(),
            Lent::Duplicate(fd) => fd.as_fd(),
        }
    }
}

/// The descriptors of a host's sockets, of those that have one.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    by_id: HashMap<SocketId, Export>,
    /// Sockets of which somebody wants to be told when something has happened to them.
    watches: HashMap<SocketId, Watch>,
    /// A call has changed what these are ready for.
    touched: Vec<SocketId>,
}

/// A socket's pair, and what it shows.
#[derive(Debug)]
struct Export {
    /// The end that the program polls.
    theirs: Arc<UnixStream>,
    /// Ours; none once it was closed to show an error.
    ours: Option<UnixStream>,
    lent: bool,
    /// Bytes on the way to their end.
    signals: usize,
    filled: bool,
    read_closed: bool,
    hung_up: bool,
    error: bool,
}

impl Exports {
    /// Lends a socket's descriptor, and makes it at the first time.
    ///
    /// # Errors
    /// When the process has as many descriptors as it may.
    pub(crate) fn lend(&mut self, stack: &Stack<Body>, id: SocketId) -> io::Result<Lent> {
        let export = match self.by_id.entry(id) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let mut export = Export::new()?;
                export.show(level(stack, id), Readiness::NONE)?;
                place.insert(export)
            }
        };
        if std::mem::replace(&mut export.lent, true) {
            return Ok(Lent::Duplicate(export.theirs.as_fd().try_clone_to_owned()?));
        }
        Ok(Lent::Own(Arc::clone(&export.theirs)))
    }

    /// A call has been made on a socket.
    pub(crate) fn touch(&mut self, id: SocketId) {
        if !self.by_id.is_empty() && self.by_id.contains_key(&id) {
            self.touched.push(id);
        }
    }

    /// A socket was closed.
    pub(crate) fn close(&mut self, id: SocketId) {
        self.by_id.remove(&id);
        self.watches.remove(&id);
    }

    /// Has whatever happens to a socket told, beginning with what it is now.
    pub(crate) fn watch(&mut self, id: SocketId, watch: Watch) {
        watch.tell();
        self.watches.insert(id, watch);
    }

    /// Whether no call has changed anything since [`follow`](Self::follow).
    #[inline]
    pub(crate) fn is_untouched(&self) -> bool {
        self.touched.is_empty()
    }

    /// Shows what has changed since the last time; whether anything has happened to a socket, be it one without a descriptor.
    pub(crate) fn follow(&mut self, stack: &mut Stack<Body>) -> bool {
        let mut happened = false;
        while let Some((id, events)) = stack.next_event() {
            happened = true;
            if let Some(watch) = self.watches.get(&id) {
                watch.tell();
            }
            if let Some(export) = self.by_id.get_mut(&id) {
                tell(export.show(level(stack, id), events));
            }
        }
        while let Some(id) = self.touched.pop() {
            if let Some(export) = self.by_id.get_mut(&id) {
                tell(export.show(level(stack, id), Readiness::NONE));
            }
        }
        happened
    }

    /// The NIC has failed, and all sockets with it: whoever polls one finds out by the next call.
    pub(crate) fn fail(&mut self) {
        let all = Readiness::READABLE
            | Readiness::WRITABLE
            | Readiness::READ_CLOSED
            | Readiness::HANGUP
            | Readiness::ERROR;
        for export in self.by_id.values_mut() {
            tell(export.show(all, Readiness::NONE));
        }
        for watch in self.watches.values() {
            watch.tell();
        }
    }
}

/// What a socket is ready for; nothing any more if it is gone.
fn level(stack: &Stack<Body>, id: SocketId) -> Readiness {
    stack.readiness(id).unwrap_or(Readiness::HANGUP)
}

fn tell(shown: io::Result<()>) {
    if let Err(e) = shown {
        tracing::error!("showing what a socket is ready for: {e}");
    }
}

impl Export {
    fn new() -> io::Result<Self> {
        let (theirs, ours) = UnixStream::pair()?;
        for end in [&theirs, &ours] {
            end.set_nonblocking(true)?;
        }
        // The kernel raises it to the smallest it gives: little is to be filled.
        setsockopt(&theirs, sockopt::SndBuf, &0)?;
        Ok(Self {
            theirs: Arc::new(theirs),
            ours: Some(ours),
            lent: false,
            signals: 0,
            filled: false,
            read_closed: false,
            hung_up: false,
            error: false,
        })
    }

    /// Shows what the socket is ready for, and that `events` have happened, be it so before or not.
    fn show(&mut self, level: Readiness, events: Readiness) -> io::Result<()> {
        let error = level.contains(Readiness::ERROR);
        if self.error && !error {
            // The program was told: SO_ERROR takes what poll shows as ERR away.
            getsockopt(&*self.theirs, sockopt::SocketError)?;
            self.error = false;
        }
        let Some(ours) = self.ours.take() else {
            return Ok(());
        };
        if self.hung_up {
            self.error = error;
            self.ours = (!error).then_some(ours);
            return Ok(());
        }
        let hung_up = level.contains(Readiness::HANGUP);
        self.show_room(
            &ours,
            hung_up || level.contains(Readiness::WRITABLE),
            events,
        )?;
        if hung_up {
            self.hung_up = true;
            // What lies unread when an end is closed makes an error of it at the other, now or later.
            (&*self.theirs).write_all(&[0])?;
            self.error = error;
            if !error {
                ours.shutdown(Shutdown::Both)?;
                self.ours = Some(ours);
            }
            return Ok(());
        }
        if level.contains(Readiness::READ_CLOSED) {
            // IN comes and stays with it, in one event.
            if !std::mem::replace(&mut self.read_closed, true) {
                ours.shutdown(Shutdown::Write)?;
            }
        } else {
            self.show_arrivals(&ours, level.contains(Readiness::READABLE), events)?;
        }
        self.ours = Some(ours);
        Ok(())
    }

    fn show_arrivals(
        &mut self,
        mut ours: &UnixStream,
        readable: bool,
        events: Readiness,
    ) -> io::Result<()> {
        let mut taken = [0; MAX_SIGNALS];
        if !readable && self.signals > 0 {
            self.signals = 0;
            return empty((&*self.theirs).read(&mut taken));
        }
        if readable && (self.signals == 0 || events.contains(Readiness::READABLE)) {
            if self.signals == MAX_SIGNALS {
                // One stays: at no time does it look as if there were nothing.
                empty((&*self.theirs).read(&mut taken[1..]))?;
                self.signals = 1;
            }
            ours.write_all(&[0])?;
            self.signals += 1;
        }
        Ok(())
    }

    fn show_room(
        &mut self,
        mut ours: &UnixStream,
        writable: bool,
        events: Readiness,
    ) -> io::Result<()> {
        let mut theirs = &*self.theirs;
        let mut taken = FILLING;
        if writable && self.filled {
            self.filled = false;
            loop {
                match ours.read(&mut taken) {
                    Ok(n) if n > 0 => {}
                    end => return empty(end),
                }
            }
        }
        if writable && events.contains(Readiness::WRITABLE) {
            // What leaves the buffer is an edge, be there room already.
            theirs.write_all(&[0])?;
            return empty(ours.read(&mut taken));
        }
        if !writable && !self.filled {
            self.filled = true;
            for _ in 0..MAX_PIECES {
                empty(theirs.write(&FILLING))?;
                if !is_writable(&self.theirs)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// That there was nothing to read, or no room, is no error.
fn empty(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
        _ => Ok(()),
    }
}

fn is_writable(stream: &UnixStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0]
        .revents()
        .is_some_and(|r| r.contains(PollFlags::POLLOUT)))
}

//! Many sockets watched at once, without a descriptor for each: which of them something has happened to.
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule_driver::lock::Mutex;

use crate::host::Host;
use crate::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Watches any number of one host's sockets, and waits for them and for descriptors of the kernel's.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// # let host = ferrule::Host::default_host()?;
/// let listener = host.listen("0.0.0.0:7", 128)?;
/// listener.set_nonblocking(true)?;
/// let events = host.events();
/// events.watch(&listener, 0)?;
/// let mut keys = vec![];
/// loop {
///     events.wait(&[], None)?;
///     keys.clear();
///     events.take(&mut keys);
///     for key in &keys {
///         // Use the socket of this key until it would block.
///     }
/// }
/// # }
/// ```
/// It is edge-triggered, as epoll with EPOLLET: a key tells that something has happened since it was last taken, and a socket is to be used until
/// it says [`WouldBlock`](io::ErrorKind::WouldBlock). A key may also come for nothing. A socket that is closed is watched no more.
#[derive(Debug)]
pub struct Events {
    host: Host,
    queue: Arc<Queue>,
}

/// The sockets to which something has happened.
#[derive(Debug, Default)]
struct Queue {
    told: Mutex<Vec<Arc<Key>>>,
    any: AtomicBool,
}

/// A socket's key.
#[derive(Debug)]
struct Key {
    key: u64,
    /// It is in the queue.
    queued: AtomicBool,
}

/// What is to be told of a socket, and to whom.
#[derive(Debug)]
pub(crate) struct Watch {
    key: Arc<Key>,
    queue: Arc<Queue>,
}

impl Watch {
    /// Tells that something has happened.
    pub(crate) fn tell(&self) {
        if !self.key.queued.swap(true, Ordering::SeqCst) {
            self.queue.told.lock().push(Arc::clone(&self.key));
            self.queue.any.store(true, Ordering::SeqCst);
        }
    }
}

/// A socket that [`Events`] can watch.
pub trait Watched: sealed::Socket {}

impl Watched for TcpListener {}
impl Watched for TcpSocket {}
impl Watched for TcpStream {}
impl Watched for UdpSocket {}

mod sealed {
    use crate::socket::Handle;

    pub trait Socket {
        #[allow(private_interfaces, reason = "nobody outside can name this trait")]
        fn handle(&self) -> &Handle;
    }

    macro_rules! socket {
        ($($type:ident),*) => {
            $(impl Socket for crate::$type {
                #[allow(private_interfaces, reason = "nobody outside can name this trait")]
                fn handle(&self) -> &Handle {
                    &self.socket
                }
            })*
        };
    }
    socket!(TcpListener, TcpSocket, TcpStream, UdpSocket);
}

impl Events {
    pub(crate) fn on(host: &Host) -> Self {
        Self {
            host: host.clone(),
            queue: Arc::default(),
        }
    }

    /// Has `key` told whenever something has happened to a socket, and once at first. A socket has one watch; a later takes its place.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for another host's socket; when the NIC fails.
    pub fn watch(&self, socket: &impl Watched, key: u64) -> io::Result<()> {
        let handle = socket.handle();
        if !std::ptr::eq(handle.host().shared(), self.host.shared()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the socket is on another host than the one that these events are of",
            ));
        }
        let watch = Watch {
            key: Arc::new(Key {
                key,
                queued: AtomicBool::new(false),
            }),
            queue: Arc::clone(&self.queue),
        };
        handle.once(|core, _, id| {
            core.exports.watch(id, watch);
            Ok(())
        })
    }

    /// Appends the keys of all sockets to which something has happened since they were last taken; each once.
    pub fn take(&self, keys: &mut Vec<u64>) {
        let mut told = self.queue.told.lock();
        self.queue.any.store(false, Ordering::SeqCst);
        keys.extend(told.drain(..).map(|key| {
            key.queued.store(false, Ordering::SeqCst);
            key.key
        }));
    }

    /// Waits until there is a key to take, one of `fds` is readable, or the time is over; it may also return for none of these. The thread drives the NIC
    /// meanwhile if no other does.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn wait(&self, fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
        let any = || self.queue.any.load(Ordering::SeqCst);
        self.host.shared().wait_beside(fds, timeout, any)
    }
}

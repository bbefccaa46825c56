//! The loop: programs on one side, the stack's sockets on the other.
use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule::{Events, Host, TcpState, TcpStream};
use ferrule_preload_protocol::{Address, Op, Reply, Request, Verdict, MAX_MESSAGE};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{getrlimit, setrlimit, Resource};

use crate::calls::{throw_away, Answer};
use crate::options::Settings;
use crate::relay::{Progress, Relay};
use crate::socket::{Kind, Socket};
use crate::{errno, listener, pair};

/// Bytes that are moved at a time; more than the longest datagram with its header.
const SCRATCH: usize = 128 * 1024;
/// Calls of programs that have been begun and not been said.
const MAX_CLIENTS: usize = 1_024;
/// Connections that have failed, of which the program may still ask why.
const MAX_ENDED: usize = 4_096;
/// Programs that may wait to be answered.
const BACKLOG: i32 = 4_096;

/// What a descriptor in the epoll is; a socket's own is its cookie alone.
const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const CLIENT: u64 = 1 << 62;
const LOOPBACK: u64 = 1 << 61;
/// What a key of [`Events`] is for: a connection that lingers; a socket's own is its cookie alone.
const LINGERS: u64 = 1 << 60;

/// A server for preloaded programs.
pub struct Server {
    pub(crate) host: Host,
    pub(crate) events: Events,
    pub(crate) sockets: HashMap<u64, Socket>,
    epoll: OwnedFd,
    listener: OwnedFd,
    handle: Handle,
    address: Address,
    clients: HashMap<u64, OwnedFd>,
    next_client: u64,
    /// Sockets that have more to do.
    again: Vec<u64>,
    /// Sockets that have failed, the oldest first.
    ended: VecDeque<u64>,
    scratch: Vec<u8>,
    /// Connections that were closed with SO_LINGER and a time, until the peer has acknowledged everything.
    lingering: HashMap<u64, TcpStream>,
    /// Who waits for a connection to have lingered.
    mourners: HashMap<u64, Vec<OwnedFd>>,
}

/// What other threads can do with a [`Server`] that runs.
#[derive(Clone, Debug)]
pub struct Handle {
    stop: Arc<OwnedFd>,
    open: Arc<AtomicUsize>,
}

impl Handle {
    /// Ends its run.
    pub fn stop(&self) {
        if let Err(e) = rustix::io::write(&*self.stop, &1u64.to_ne_bytes()) {
            tracing::error!("stopping: {e}");
        }
    }

    /// How many sockets programs have open.
    pub fn open_sockets(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its address.
    #[error("cannot listen at @{name}: {source}; another stackd may have that name")]
    Listen {
        /// The abstract name.
        name: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel.
    #[error("{doing}: {source}")]
    Os {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The NIC.
    #[error("the NIC failed, and all sockets with it: {0}")]
    Nic(io::Error),
}

fn doing(doing: &'static str) -> impl Fn(Errno) -> ServerError {
    move |e| ServerError::Os {
        doing,
        source: e.into(),
    }
}

impl Server {
    /// A server at an abstract address; a random one without a name.
    ///
    /// # Errors
    /// When the name is taken or no name, or descriptors are missing.
    pub fn new(host: Host, name: Option<&str>) -> Result<Self, ServerError> {
        raise_descriptors();
        let name = match name {
            Some(name) => name.to_owned(),
            None => format!("ferrule-stackd-{:016x}", rand::random::<u64>()),
        };
        let listen = |e: Errno| ServerError::Listen {
            name: name.clone(),
            source: e.into(),
        };
        let addr = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(listen)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .map_err(listen)?;
        rustix::net::bind(&listener, &addr).map_err(listen)?;
        rustix::net::listen(&listener, BACKLOG).map_err(listen)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(doing("making an epoll"))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(doing("making an eventfd"))?;
        for (fd, tag) in [(&listener, LISTENER), (&stop, STOP)] {
            epoll::add(&epoll, fd, EventData::new_u64(tag), EventFlags::IN)
                .map_err(doing("filling an epoll"))?;
        }
        let secret = rand::random();
        Ok(Self {
            events: host.events(),
            host,
            sockets: HashMap::new(),
            epoll,
            listener,
            handle: Handle {
                stop: Arc::new(stop),
                open: Arc::default(),
            },
            address: Address { name, secret },
            clients: HashMap::new(),
            next_client: 0,
            again: vec![],
            ended: VecDeque::new(),
            scratch: vec![0; SCRATCH],
            lingering: HashMap::new(),
            mourners: HashMap::new(),
        })
    }

    /// Where programs find it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// For other threads, while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until it is stopped. Sockets that programs still have are closed then.
    ///
    /// # Errors
    /// When the NIC fails: programs see that their connections have.
    pub fn run(mut self) -> Result<(), ServerError> {
        let mut keys = vec![];
        loop {
            let open = self.sockets.len().saturating_sub(self.ended.len());
            self.handle.open.store(open, Ordering::Relaxed);
            let at_once = (!self.again.is_empty()).then_some(Duration::ZERO);
            (self.events.wait(&[self.epoll.as_fd()], at_once)).map_err(ServerError::Nic)?;
            keys.append(&mut self.again);
            self.events.take(&mut keys);
            for key in keys.drain(..) {
                match key & LINGERS {
                    0 => self.serve(key),
                    _ => self.see_off(key & !LINGERS),
                }
            }
            for tag in self.look().map_err(doing("waiting for programs"))? {
                match tag {
                    STOP => return Ok(()),
                    LISTENER => self.let_in(),
                    tag => self.hear(tag),
                }
            }
        }
    }

    /// Serves the sockets that programs have done something to; gives the tags of what else is ready, which stays so until it is looked after.
    fn look(&mut self) -> Result<Vec<u64>, Errno> {
        let mut ready = [MaybeUninit::uninit(); 256];
        let now = Timespec::default();
        let (ready, _) = match epoll::wait(&self.epoll, &mut ready[..], Some(&now)) {
            Err(Errno::INTR) => return Ok(vec![]),
            ready => ready?,
        };
        let mut others = vec![];
        for event in ready.iter() {
            match event.data.u64() {
                tag if tag & CLIENT != 0 => others.push(tag),
                tag => self.serve(tag & !LOOPBACK),
            }
        }
        Ok(others)
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// When the kernel watches no more descriptors.
    pub(crate) fn insert(&mut self, cookie: u64, socket: Socket) -> Result<(), Errno> {
        if let Some(end) = &socket.end {
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, end, EventData::new_u64(cookie), flags)?;
        }
        self.sockets.insert(cookie, socket);
        Ok(())
    }

    /// Watches what a socket has on the kernel's loopback.
    pub(crate) fn watch_loopback(&mut self, cookie: u64) {
        let fds = match self.sockets.get_mut(&cookie).map(|s| &mut s.kind) {
            Some(Kind::Listening(listening)) => {
                listening.loopback.iter().map(AsFd::as_fd).collect()
            }
            Some(Kind::Datagrams(datagrams)) => datagrams.new_loopback().into_iter().collect(),
            _ => vec![],
        };
        for fd in fds {
            let flags = EventFlags::IN | EventFlags::ET;
            let tag = EventData::new_u64(LOOPBACK | cookie);
            if let Err(e) = epoll::add(&self.epoll, fd, tag, flags) {
                tracing::error!("the kernel's loopback is not watched: {e}");
            }
        }
    }

    /// Takes new callers in.
    fn let_in(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            match rustix::net::accept_with(&self.listener, flags) {
                Ok(client) => {
                    if self.clients.len() == MAX_CLIENTS {
                        tracing::warn!("{MAX_CLIENTS} callers say nothing; one more is refused");
                        continue;
                    }
                    if let Some(client) = self.answer(client) {
                        let tag = CLIENT | self.next_client;
                        self.next_client = (self.next_client + 1) % LOOPBACK;
                        let added = epoll::add(
                            &self.epoll,
                            &client,
                            EventData::new_u64(tag),
                            EventFlags::IN,
                        );
                        match added {
                            Ok(()) => {
                                self.clients.insert(tag, client);
                            }
                            Err(e) => tracing::error!("a caller is not heard: {e}"),
                        }
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(e) => {
                    tracing::error!("a caller is not let in: {e}");
                    return;
                }
            }
        }
    }

    fn hear(&mut self, tag: u64) {
        if let Some(client) = self.clients.remove(&tag) {
            if let Some(client) = self.answer(client) {
                self.clients.insert(tag, client);
            }
        }
    }

    /// Answers a caller; gives it back if it has not said anything yet.
    fn answer(&mut self, client: OwnedFd) -> Option<OwnedFd> {
        let mut message = [0; MAX_MESSAGE];
        let n = match pair::recv(client.as_fd(), &mut message) {
            Ok(n) => n,
            Err(Errno::AGAIN | Errno::INTR) => return Some(client),
            Err(_) => return None,
        };
        let request = Request::read(&message[..n])?;
        if request.secret != self.address.secret {
            tracing::warn!("a caller that does not know the secret is sent away");
            return None;
        }
        // What a program has closed before it calls is to be closed.
        if matches!(request.op, Op::Bind | Op::Listen | Op::Connect) {
            if let Err(e) = self.look() {
                tracing::debug!("looking at sockets before a call: {e}");
            }
        }
        let answer = self.call(&request);
        if request.op == Op::Linger && self.is_closing(request.cookie) {
            let mourners = self.mourners.entry(request.cookie);
            mourners.or_default().push(client);
            return None;
        }
        reply(&client, &answer);
        None
    }

    /// Whether a program has closed a connection of which not everything is acknowledged yet.
    fn is_closing(&self, cookie: u64) -> bool {
        let socket = self.sockets.get(&cookie);
        let end = socket.and_then(|socket| match socket.kind {
            Kind::Stream { .. } => socket.end.as_ref(),
            _ => None,
        });
        self.lingering.contains_key(&cookie) || end.is_some_and(|end| pair::is_hung_up(end.as_fd()))
    }

    /// Looks after a connection that its program has closed: nothing of it is left to be moved.
    fn closed(&mut self, cookie: u64, kind: Kind, settings: &Settings) {
        if let (Kind::Stream { relay, .. }, true) = (kind, settings.lingers()) {
            if let Err(e) = self.linger(cookie, relay.into_stream()) {
                tracing::debug!("a connection does not linger: {e}");
            }
        }
        self.see_off(cookie);
    }

    fn linger(&mut self, cookie: u64, stream: TcpStream) -> io::Result<()> {
        // One that is cut off has nothing to wait for, be it because something was not read.
        if stream.linger()? != Some(Duration::ZERO) && stream.unread()? == 0 {
            if stream.state()? != TcpState::LastAck {
                stream.shutdown(Shutdown::Write)?;
            }
            self.events.watch(&stream, LINGERS | cookie)?;
            self.lingering.insert(cookie, stream);
        }
        Ok(())
    }

    /// Lets go of a connection that has lingered long enough, and tells those who wait for it.
    fn see_off(&mut self, cookie: u64) {
        let waits = self.lingering.get(&cookie).is_some_and(|stream| {
            use TcpState::{Closing, FinWait1, LastAck};
            matches!(stream.state(), Ok(FinWait1 | Closing | LastAck))
        });
        if waits {
            return;
        }
        self.lingering.remove(&cookie);
        for client in self.mourners.remove(&cookie).unwrap_or_default() {
            reply(&client, &Verdict::Done(0).into());
        }
    }

    /// Moves what there is to move for a socket.
    pub(crate) fn serve(&mut self, cookie: u64) {
        let Some(socket) = self.sockets.get_mut(&cookie) else {
            return;
        };
        let Some(end) = &socket.end else { return };
        let progress = match &mut socket.kind {
            Kind::Fresh(_) | Kind::Ended { .. } => match pair::is_hung_up(end.as_fd()) {
                true => Progress::Closed,
                false => Progress::Waits,
            },
            Kind::Connecting { stream, filler } => match connecting(stream) {
                None if pair::is_hung_up(end.as_fd()) => Progress::Closed,
                None => Progress::Waits,
                Some(Ok(())) => {
                    throw_away(end, *filler);
                    let mut relay = Relay::new(stream.clone());
                    relay.set_abort(socket.settings.cuts_off());
                    socket.kind = Kind::Stream { relay, told: false };
                    Progress::More
                }
                Some(Err(errno)) => Progress::Failed(errno),
            },
            Kind::Stream { relay, .. } => relay.run(end, &mut self.scratch),
            Kind::Datagrams(datagrams) => datagrams.run(end.as_fd(), &mut self.scratch),
            Kind::Listening(_) => {
                self.serve_listener(cookie);
                return;
            }
        };
        match progress {
            Progress::Waits => {
                // A datagram to the loopback may have opened a socket there.
                if let Kind::Datagrams(_) = socket.kind {
                    self.watch_loopback(cookie);
                }
            }
            Progress::More => self.again.push(cookie),
            Progress::Closed if socket.shut == [true; 2] => self.end(cookie, None),
            Progress::Closed => {
                if let Some(socket) = self.sockets.remove(&cookie) {
                    self.closed(cookie, socket.kind, &socket.settings);
                }
            }
            Progress::Finished => self.end(cookie, None),
            Progress::Failed(errno) => self.end(cookie, Some(errno)),
        }
    }

    /// A connection is over while the program still has its end: closing ours shows it.
    fn end(&mut self, cookie: u64, error: Option<i32>) {
        let Some(socket) = self.sockets.get_mut(&cookie) else {
            return;
        };
        let local: Option<SocketAddrV4> = socket.local().ok();
        let by_program = socket.shut == [true; 2] && error.is_none();
        let ended = Kind::Ended {
            local,
            peer: socket.peer().ok().filter(|_| by_program),
            refused: matches!(socket.kind, Kind::Connecting { .. }),
            connected: matches!(socket.kind, Kind::Stream { .. }),
        };
        let kind = std::mem::replace(&mut socket.kind, ended);
        socket.error = error;
        socket.end = None;
        let settings = socket.settings.clone();
        self.closed(cookie, kind, &settings);
        self.ended.push_back(cookie);
        if self.ended.len() > MAX_ENDED {
            if let Some(oldest) = self.ended.pop_front() {
                self.sockets.remove(&oldest);
            }
        }
    }

    fn serve_listener(&mut self, cookie: u64) {
        loop {
            let Some(socket) = self.sockets.get_mut(&cookie) else {
                return;
            };
            let (Kind::Listening(listening), Some(end)) = (&mut socket.kind, &socket.end) else {
                return;
            };
            if listening.accepted(end.as_fd()) == listener::End::Closed {
                self.sockets.remove(&cookie);
                return;
            }
            let linger = socket.settings.linger();
            let Some(arrived) = listening.next(end.as_fd(), linger) else {
                return;
            };
            let (v6, settings) = (socket.v6, socket.settings.clone());
            let mut relay = Relay::new(arrived.stream);
            relay.set_abort(settings.cuts_off());
            if let Err(e) = self.adopt(arrived.pair, relay, v6, settings) {
                tracing::error!("a connection is closed again: {e}");
            }
        }
    }

    /// Takes charge of a connection that was accepted.
    fn adopt(
        &mut self,
        pair: pair::Pair,
        relay: Relay,
        v6: bool,
        settings: Settings,
    ) -> io::Result<()> {
        relay.stream().set_nonblocking(true)?;
        self.events.watch(relay.stream(), pair.cookie)?;
        let mut accepted = Socket::new(pair.ours, v6, Kind::Stream { relay, told: true });
        accepted.settings = settings;
        Ok(self.insert(pair.cookie, accepted)?)
    }
}

fn reply(client: &OwnedFd, answer: &Answer) {
    let mut out = vec![];
    Reply {
        verdict: answer.verdict,
        data: &answer.data,
    }
    .write(&mut out);
    let sent = match &answer.fd {
        Some(fd) => pair::send_with(client.as_fd(), &out, fd.as_fd()),
        None => pair::send(client.as_fd(), &[io::IoSlice::new(&out)]).map(|_| ()),
    };
    if let Err(e) = sent {
        tracing::debug!("a caller has gone before its answer: {e}");
    }
}

/// How an attempt to connect ended; none while it goes on.
fn connecting(stream: &TcpStream) -> Option<Result<(), i32>> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(e)) | Err(e) => return Some(Err(errno::of(&e))),
    }
    match stream.state() {
        Ok(TcpState::SynSent | TcpState::SynReceived) => None,
        Ok(_) => Some(Ok(())),
        Err(e) => Some(Err(errno::of(&e))),
    }
}

/// As many descriptors as the system lets us have: two for each connection.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("raising the limit of descriptors: {e}");
    }
}

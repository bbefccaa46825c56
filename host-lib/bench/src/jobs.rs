//! What is measured: each job has a client's and a server's part, which run in a thread each.
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use clap::ValueEnum;
use rustix::time::{clock_gettime, ClockId};
use serde::{Deserialize, Serialize};

use crate::net::Net;

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Job {
    /// A byte there and back; both sides ask again and again.
    Spinning,
    /// A byte there and back; both sides sleep.
    Sleeping,
    /// Bytes one way, in calls of 64 KiB.
    Bulk,
    /// Connections one after the other; the server closes first.
    Connections,
}

/// Bytes of a call in [`Job::Bulk`].
const CHUNK: usize = 64 * 1024;

/// What a job has taken, both sides together.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Time on the wall, in nanoseconds.
    pub wall_ns: f64,
    /// CPU time of the process, in nanoseconds: service threads' too, as the kernel's work is in its callers'.
    pub cpu_ns: f64,
}

/// Measures what happens until it is asked.
struct Watch {
    begun: Instant,
    cpu_ns: f64,
}

fn cpu_ns() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

impl Watch {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            cpu_ns: cpu_ns(),
        }
    }

    fn end(self) -> Spent {
        Spent {
            wall_ns: self.begun.elapsed().as_nanos() as f64,
            cpu_ns: cpu_ns() - self.cpu_ns,
        }
    }
}

fn read_exact(stream: &mut impl Read, to: &mut [u8], waits: bool) -> io::Result<()> {
    if waits {
        return stream.read_exact(to);
    }
    let mut at = 0;
    while at < to.len() {
        match stream.read(&mut to[at..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => at += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl Job {
    fn waits(self) -> bool {
        self != Job::Spinning
    }

    /// Its name on a command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Job::Spinning => "spinning",
            Job::Sleeping => "sleeping",
            Job::Bulk => "bulk",
            Job::Connections => "connections",
        }
    }

    /// How many of its units are counted as one: segments of 1,460 bytes, where it is bytes that go one way.
    pub fn per_unit(self) -> f64 {
        match self {
            Job::Bulk => CHUNK as f64 / 1_460.0,
            _ => 1.0,
        }
    }

    /// The server's part.
    ///
    /// # Errors
    /// What a socket call reports.
    pub fn serve<N: Net>(self, net: &N, listener: &N::Listener, units: usize) -> io::Result<()> {
        if self == Job::Connections {
            for _ in 0..units {
                drop(net.accept(listener)?);
            }
            return Ok(());
        }
        let mut stream = net.accept(listener)?;
        net.set(&stream, self.waits())?;
        if self == Job::Bulk {
            let mut buffer = vec![0; CHUNK];
            let mut left = units * CHUNK;
            while left > 0 {
                match stream.read(&mut buffer)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    n => left -= n,
                }
            }
            return stream.write_all(&[0]);
        }
        let mut byte = [0];
        for _ in 0..units {
            read_exact(&mut stream, &mut byte, self.waits())?;
            stream.write_all(&byte)?;
        }
        Ok(())
    }

    /// The client's part.
    ///
    /// # Errors
    /// What a socket call reports.
    pub fn ask<N: Net>(self, net: &N, port: u16, units: usize) -> io::Result<Spent> {
        if self == Job::Connections {
            let watch = Watch::begin();
            for _ in 0..units {
                let mut stream = net.connect(port)?;
                let mut nothing = [0];
                if stream.read(&mut nothing)? != 0 {
                    return Err(ErrorKind::InvalidData.into());
                }
            }
            return Ok(watch.end());
        }
        let mut stream = net.connect(port)?;
        net.set(&stream, self.waits())?;
        let watch = Watch::begin();
        if self == Job::Bulk {
            let chunk = vec![0x5A; CHUNK];
            for _ in 0..units {
                stream.write_all(&chunk)?;
            }
            stream.read_exact(&mut [0])?;
        } else {
            let mut byte = [0];
            for n in 0..units {
                stream.write_all(&[n as u8])?;
                read_exact(&mut stream, &mut byte, self.waits())?;
                if byte[0] != n as u8 {
                    return Err(ErrorKind::InvalidData.into());
                }
            }
        }
        Ok(watch.end())
    }
}

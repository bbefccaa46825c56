//! `ferrule-stack` beside smoltcp in one run: the same work, the same wire, both ends on one thread.
//!
//! [`Host`] is what a benchmark asks of a stack; [`Ours`] and [`Theirs`] answer. A [`Wire`] joins two hosts and copies
//! each frame once, whichever stack sends it. A [`Job`] is set up on a pair of hosts and then repeated while it is timed
//! ([`cpu_ns`]) or counted by Callgrind ([`callgrind`]).

#![forbid(unsafe_code)]

pub mod callgrind;
mod error;
mod host;
mod jobs;
pub mod memory;
mod ours;
mod pair;
mod record;
pub mod recovery;
mod table;
mod theirs;
mod timing;
mod wire;

pub use error::{Error, Result};
pub use host::{Buffers, Host};
pub use jobs::{prepare, Counts, Job, JobKind, StackKind};
pub use ours::Ours;
pub use pair::Pair;
pub use record::{Limit, Record};
pub use table::measure;
pub use theirs::Theirs;
pub use timing::{cpu_ns, medians};
pub use wire::{Frame, Wire};

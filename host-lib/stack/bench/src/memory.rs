//! What a stack holds for a connection: idle, half open, in TIME-WAIT; tables and timers included.

use ferrule_stack::{Config, Stats};

use crate::host::{Buffers, Host};
use crate::ours::Ours;
use crate::pair::Pair;
use crate::record::{Limit, Record};
use crate::wire::{Frame, Wire};
use crate::{Error, Result};

const MTU: u16 = 1_500;
const BUFFERS: Buffers = Buffers {
    send: 256 << 10,
    recv: 256 << 10,
};
/// Connections of each kind.
const N: usize = 100_000;
const UNIT: &str = "bytes";
const CONNECTION_BYTES: f64 = 1_024.0;
const SYN_QUEUE_BYTES: f64 = 64.0;
const TIME_WAIT_BYTES: f64 = 96.0;

/// Room in the queues for all of them.
fn roomy(config: &mut Config) {
    config.tcp.max_backlog = N;
    config.tcp.min_syn_queue = N;
    config.tcp.max_time_wait = N;
}

fn pair() -> Result<Pair<Ours>> {
    let host = |last| Ours::with(last, MTU, BUFFERS, roomy);
    Ok(Pair::of(host(1)?, host(2)?, MTU))
}

/// Both ends' stacks, halved: each connection has one end on each.
fn connection(in_use: &dyn Fn() -> usize) -> Result<Record> {
    let mut pair = pair()?;
    // The wire's buffers and the like are there before the counting.
    pair.open(N)?;
    let before = in_use();
    for i in 0..N {
        pair.open(i)?;
    }
    let bytes = (in_use() - before) as f64 / (2 * N) as f64;
    Ok(Record::new(
        format!("an idle connection of {N}, in its stack"),
        bytes,
        UNIT,
    )
    .limit(Limit::AtMost(CONNECTION_BYTES)))
}

/// SYNs whose answers never arrive.
fn half_open(in_use: &dyn Fn() -> usize) -> Result<Record> {
    let mut pair = pair()?;
    let mut syns: Vec<Frame> = Vec::with_capacity(N);
    let mut wire = Wire::new(MTU, 1);
    for i in 0..N {
        pair.client(i)?;
        pair.a.poll(pair.now, &mut pair.ba, &mut wire, 0);
        syns.push(wire.take().ok_or(Error::Stuck("no SYN"))?);
    }
    let (now, mut server) = (pair.now, pair.b);
    let (mut none, mut answers) = (Wire::new(MTU, 1), Wire::new(MTU, 1));
    let before = in_use();
    for (i, syn) in syns.iter().enumerate() {
        server.expect(Pair::<Ours>::server_port(i))?;
        server.receive(now, syn);
        server.poll(now, &mut none, &mut answers, 0);
        answers.take().ok_or(Error::Stuck("no SYN-ACK"))?;
    }
    let bytes = (in_use() - before) as f64 / N as f64;
    refuse_drops(&server.stack.stats())?;
    Ok(
        Record::new(format!("an entry of the SYN queue, of {N}"), bytes, UNIT)
            .limit(Limit::AtMost(SYN_QUEUE_BYTES)),
    )
}

/// The client's stack after it has closed first.
fn time_wait(in_use: &dyn Fn() -> usize) -> Result<Record> {
    let mut pair = pair()?;
    let fresh_server = || Ours::with(2, MTU, BUFFERS, roomy);
    let close = |pair: &mut Pair<Ours>, i| {
        let (client, server) = pair.open(i)?;
        pair.a.close(pair.now, client)?;
        pair.settle()?;
        pair.b.close(pair.now, server)?;
        pair.settle()
    };
    close(&mut pair, N)?;
    pair.b = fresh_server()?;
    let before = in_use();
    for i in 0..N {
        close(&mut pair, i)?;
    }
    // What the server's stack has grown by is not counted.
    pair.b = fresh_server()?;
    let bytes = (in_use() - before) as f64 / N as f64;
    Ok(Record::new(format!("a TIME-WAIT of {N}"), bytes, UNIT)
        .limit(Limit::AtMost(TIME_WAIT_BYTES)))
}

fn refuse_drops(stats: &Stats) -> Result<()> {
    match stats.tcp_syn_cookies_sent + stats.dropped_syn_queue_full {
        0 => Ok(()),
        _ => Err(Error::Stuck("the SYN queue was full")),
    }
}

/// Measures all three; `in_use` tells the bytes allocated now.
pub fn measure(in_use: &dyn Fn() -> usize) -> Result<[Record; 3]> {
    Ok([connection(in_use)?, half_open(in_use)?, time_wait(in_use)?])
}

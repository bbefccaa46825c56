//! What programs do meanwhile: every kind of call, in any order, also with ids that are stale.

use crate::common::{at, pattern, A, B};
use crate::craft::FAR;
use crate::packets::{GROUP, PORTS};
use crate::world::World;
use ferrule_stack::{Algorithm, KeepAlive, Shutdown, SocketId};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Sockets open at once at most.
const SOCKETS: usize = 48;

fn port(world: &mut World) -> u16 {
    PORTS.start + world.rng.below(5) as u16
}

fn open(world: &mut World) {
    if world.sockets.len() >= SOCKETS {
        return;
    }
    let (now, port) = (world.now, port(world));
    let far = if world.rng.chance(70) { A } else { FAR };
    let opened = match world.rng.below(8) {
        0 | 1 => world
            .stack
            .tcp_listen(at(B, port), world.rng.below(4) as usize),
        2..5 => world.stack.tcp_connect(now, None, at(far, port)),
        5 => world.stack.udp_bind(at(Ipv4Addr::UNSPECIFIED, port)),
        6 => world.stack.ping_open(),
        // To ourselves.
        _ => world.stack.tcp_connect(now, None, at(B, port)),
    };
    world.sockets.extend(opened);
}

fn shape(world: &mut World, id: SocketId) {
    let now = world.now;
    if let Ok(mut options) = world.stack.tcp_options(id) {
        let rng = &mut world.rng;
        options.nodelay = rng.chance(50);
        options.cork = rng.chance(10);
        options.user_timeout = rng
            .chance(30)
            .then(|| Duration::from_secs(1 + rng.below(100)));
        options.keep_alive = rng.chance(30).then(KeepAlive::default);
        options.congestion = [Algorithm::Cubic, Algorithm::NewReno][rng.below(2) as usize];
        let set = world.stack.tcp_set_options(now, id, options);
        assert_eq!(set, Ok(()));
    }
    let bytes = 1 + world.rng.below(300_000) as usize;
    if world.rng.chance(50) {
        world.stack.set_recv_buffer(now, id, bytes).expect("open");
    } else {
        world.stack.set_send_buffer(id, bytes).expect("open");
    }
}

/// Calls that may fail for any reason: what they say is of no interest, that they come back is.
fn try_all(world: &mut World, id: SocketId) {
    let (now, stack) = (world.now, &mut world.stack);
    let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][world.rng.below(3) as usize];
    let far = [A, B, FAR, GROUP][world.rng.below(4) as usize];
    let text = pattern(0, world.rng.below(6_000) as usize);
    let mut buf = vec![0; 1 + world.rng.below(9_000) as usize];
    match world.rng.below(16) {
        0..4 => drop(stack.tcp_send(now, id, &text)),
        4..6 => drop(stack.tcp_recv(now, id, &mut buf)),
        6 => drop(stack.tcp_recv_chunks(now, id)),
        7 => drop(stack.tcp_peek(id, &mut buf)),
        8 => drop(stack.udp_send_to(id, &text, Some(at(far, 5_000)))),
        9 => drop(stack.udp_recv_from(id, &mut buf)),
        10 => drop(stack.ping_send(id, far, 1, &text)),
        11 => drop(stack.ping_recv(id, &mut buf)),
        12 => drop(stack.multicast_join(now, id, GROUP)),
        13 => drop(stack.multicast_leave(now, id, GROUP)),
        14 => drop(
            stack
                .tcp_shutdown(now, id, how)
                .or_else(|_| stack.udp_shutdown(id, how)),
        ),
        _ => drop(stack.udp_connect(id, Some(at(far, 5_000)))),
    }
}

/// One call of some program.
pub(crate) fn next(world: &mut World) {
    let n = world.sockets.len() as u64;
    if n == 0 || world.rng.chance(20) {
        return open(world);
    }
    let i = world.rng.below(n) as usize;
    let (now, id) = (world.now, world.sockets[i]);
    match world.rng.below(20) {
        0 => {
            world.sockets.swap_remove(i);
            assert_eq!(world.stack.close(now, id), Ok(()));
        }
        1 if world.rng.chance(20) => {
            if world.stack.tcp_abort(now, id).is_ok() {
                world.sockets.swap_remove(i);
            }
        }
        2..6 => {
            if let Ok((child, _)) = world.stack.tcp_accept(id) {
                world.sockets.push(child);
            }
        }
        6 => shape(world, id),
        7 => {
            world.stack.readiness(id).expect("open");
            world.stack.take_error(id).expect("open");
            world.stack.local_addr(id).expect("open");
            world.stack.tcp_info(now, id).ok();
        }
        _ => try_all(world, id),
    }
}

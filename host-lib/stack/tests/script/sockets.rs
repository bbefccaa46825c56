//! Makes a script's calls and compares what they give.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use ferrule_stack::{Error, Readiness, SocketId};

use crate::call::{Call, What};
use crate::packet::pattern_run;
use crate::run::Run;
use crate::words::Want;

/// The sockets of a script by their names, and how far each has been written and read.
#[derive(Default)]
pub(crate) struct Sockets {
    ids: HashMap<String, SocketId>,
    written: HashMap<String, usize>,
    read: HashMap<String, usize>,
    events: HashMap<SocketId, Readiness>,
}

type Outcome<T> = Result<T, Error>;

/// The result a call gave, as a script writes it, or what was expected of it.
fn settled(got: Outcome<String>, want: Option<&str>, usual: &str) -> Result<(), String> {
    let got = got.unwrap_or_else(|error| format!("{error:?}"));
    let want = want.unwrap_or(usual);
    match want.split('|').any(|w| w == got) {
        true => Ok(()),
        false => Err(format!("{want} expected, the call gave {got}")),
    }
}

fn nothing<T>(outcome: Outcome<T>) -> Outcome<String> {
    outcome.map(|_| "success".to_string())
}

impl Run {
    fn id(&self, name: &str) -> Result<SocketId, String> {
        self.sockets
            .ids
            .get(name)
            .copied()
            .ok_or_else(|| format!("no socket is called {name}"))
    }

    fn opened(&mut self, call: &Call, outcome: Outcome<SocketId>) -> Result<(), String> {
        if let Ok(id) = outcome {
            self.named(&call.on, id);
        }
        settled(nothing(outcome), call.result.as_deref(), "success")
    }

    fn named(&mut self, name: &str, id: SocketId) {
        self.sockets.ids.insert(name.to_string(), id);
        self.sockets.written.remove(name);
        self.sockets.read.remove(name);
    }

    /// Makes a call.
    pub(crate) fn call(&mut self, call: &Call) -> Result<(), String> {
        let want = call.result.as_deref();
        let now = self.now;
        match &call.what {
            What::Listen { at, backlog } => {
                let outcome = self.stack.tcp_listen(*at, *backlog);
                return self.opened(call, outcome);
            }
            What::Connect { from, to } => {
                let outcome = self.stack.tcp_connect(now, *from, *to);
                if let (None, Ok(id)) = (from, outcome) {
                    // The packets that follow have the port that was drawn.
                    self.usual.local = self.stack.local_addr(id).map_err(|e| e.to_string())?;
                }
                return self.opened(call, outcome);
            }
            What::UdpBind(at) => {
                let outcome = self.stack.udp_bind(*at);
                return self.opened(call, outcome);
            }
            What::PingOpen => {
                let outcome = self.stack.ping_open();
                return self.opened(call, outcome);
            }
            What::Counter { name, want } => return self.counter(name, *want),
            What::Drained => {
                let drained = if self.stack.is_drained() { "yes" } else { "no" };
                return settled(Ok(drained.into()), want, "yes");
            }
            What::Park | What::Release | What::Unreachable => {
                let token = self.last_token.ok_or("nothing was sent yet")?;
                match call.what {
                    What::Park => self.stack.on_parked(now, token),
                    What::Release => self.stack.on_released(now, token),
                    _ => self.stack.on_unreachable(now, token),
                }
                return Ok(());
            }
            _ => {}
        }
        let id = self.id(&call.on)?;
        match &call.what {
            What::UdpSend { .. } | What::UdpRecv { .. } | What::UdpConnect(_) | What::UdpDrops => {
                self.udp_call(id, call)
            }
            What::PingSend { .. } | What::PingRecv(_) => self.ping_call(id, call),
            What::Ready { set, clear } => {
                let ready = self.stack.readiness(id).map_err(|e| e.to_string())?;
                let fits = ready.contains(*set) && !ready.intersects(*clear);
                fits.then_some(())
                    .ok_or_else(|| format!("the socket is ready for {ready:?}"))
            }
            What::Event(set) => self.event(id, *set),
            _ => self.tcp_call(id, call),
        }
    }

    fn tcp_call(&mut self, id: SocketId, call: &Call) -> Result<(), String> {
        let (now, want) = (self.now, call.result.as_deref());
        let stack = &mut self.stack;
        match &call.what {
            What::Accept => {
                let outcome = stack.tcp_accept(id);
                match (outcome, want) {
                    (Ok((child, _)), Some(name)) => {
                        self.named(name, child);
                        Ok(())
                    }
                    (Ok(_), None) => Err("`accept` needs `= NAME` or an error".into()),
                    (Err(error), _) => settled(Err(error), want, "a connection"),
                }
            }
            What::Send(len) => {
                let at = self.sockets.written.entry(call.on.clone()).or_default();
                let outcome = stack.tcp_send(now, id, &pattern_run(*at, *len));
                *at += outcome.unwrap_or(0);
                settled(outcome.map(|n| n.to_string()), want, &len.to_string())
            }
            What::Recv { len, peek, text } => {
                let mut to = vec![0; *len];
                let outcome = match peek {
                    true => stack.tcp_peek(id, &mut to),
                    false => stack.tcp_recv(now, id, &mut to),
                };
                let got = outcome.unwrap_or(0);
                let at = self.sockets.read.entry(call.on.clone()).or_default();
                let right = text.clone().unwrap_or_else(|| pattern_run(*at, got));
                *at += if *peek { 0 } else { got };
                if outcome.is_ok() && to[..got] != right {
                    return Err(format!("{got} other bytes expected"));
                }
                let usual = text.as_ref().map_or(*len, Vec::len).to_string();
                let want = want.filter(|_| text.is_none());
                settled(outcome.map(|n| n.to_string()), want, &usual)
            }
            What::Unread => settled(stack.tcp_unread(id).map(|n| n.to_string()), want, "0"),
            What::Shutdown(how) => {
                let outcome = stack.tcp_shutdown(now, id, *how);
                settled(nothing(outcome), want, "success")
            }
            What::Close => settled(nothing(stack.close(now, id)), want, "success"),
            What::Abort => settled(nothing(stack.tcp_abort(now, id)), want, "success"),
            What::Option(change) => {
                let outcome = stack.tcp_options(id).and_then(|mut options| {
                    change.apply(&mut options);
                    stack.tcp_set_options(now, id, options)
                });
                settled(nothing(outcome), want, "success")
            }
            What::SendBuffer(bytes) => {
                settled(nothing(stack.set_send_buffer(id, *bytes)), want, "success")
            }
            What::RecvBuffer(bytes) => {
                let outcome = stack.set_recv_buffer(now, id, *bytes);
                settled(nothing(outcome), want, "success")
            }
            What::State => {
                let state = stack.tcp_state(id);
                settled(state.map(|s| format!("{s:?}")), want, "a state")
            }
            What::TakeError => {
                let error = stack.take_error(id);
                let name = |e: Option<Error>| e.map_or("none".into(), |e| format!("{e:?}"));
                settled(error.map(name), want, "none")
            }
            What::RoundTripTime => {
                let came = stack.tcp_round_trip_time(id).map_err(|e| e.to_string())?;
                let expected = want.filter(|w| *w != "none").map(crate::script::duration);
                match came == expected.transpose()? {
                    true => Ok(()),
                    false => Err(format!("the smoothed round-trip time is {came:?}")),
                }
            }
            What::Peer => settled(
                stack.peer_addr(id).map(|a| a.to_string()),
                want,
                "an address",
            ),
            other => Err(format!("{other:?} is not a call on a connection")),
        }
    }

    fn udp_call(&mut self, id: SocketId, call: &Call) -> Result<(), String> {
        let (want, stack) = (call.result.as_deref(), &mut self.stack);
        match &call.what {
            What::UdpConnect(to) => settled(nothing(stack.udp_connect(id, *to)), want, "success"),
            What::UdpSend { len, to } => {
                let outcome = stack.udp_send_to(id, &pattern_run(0, *len), *to);
                settled(outcome.map(|n| n.to_string()), want, &len.to_string())
            }
            What::UdpRecv {
                len,
                peek,
                from,
                to,
            } => {
                let mut buf = vec![0; *len];
                let outcome = match peek {
                    true => stack.udp_peek_from(id, &mut buf),
                    false => stack.udp_recv_from(id, &mut buf),
                };
                if let Ok(got) = outcome {
                    if buf[..got.copied] != pattern_run(0, got.copied) {
                        return Err("other bytes expected".into());
                    }
                    let differs = |want: Option<SocketAddrV4>| want.is_some_and(|w| w != got.from);
                    let elsewhere = |want: Option<Ipv4Addr>| want.is_some_and(|w| w != got.to);
                    if differs(*from) || elsewhere(*to) {
                        return Err(format!("it came from {} to {}", got.from, got.to));
                    }
                }
                settled(outcome.map(|r| r.len.to_string()), want, &len.to_string())
            }
            _ => settled(stack.udp_drops(id).map(|n| n.to_string()), want, "0"),
        }
    }

    fn ping_call(&mut self, id: SocketId, call: &Call) -> Result<(), String> {
        let (want, stack) = (call.result.as_deref(), &mut self.stack);
        match &call.what {
            What::PingSend { to, seq, len } => {
                let outcome = stack.ping_send(id, *to, *seq, &pattern_run(0, *len));
                settled(nothing(outcome), want, "success")
            }
            What::PingRecv(len) => {
                let outcome = stack.ping_recv(id, &mut vec![0; *len]);
                settled(outcome.map(|r| r.len.to_string()), want, &len.to_string())
            }
            other => Err(format!("{other:?} is not a call on a ping socket")),
        }
    }

    /// All changes so far are taken; this socket's must have these conditions.
    fn event(&mut self, id: SocketId, set: Readiness) -> Result<(), String> {
        let events = &mut self.sockets.events;
        while let Some((id, what)) = self.stack.next_event() {
            *events.entry(id).or_insert(Readiness::NONE) |= what;
        }
        let seen = events.remove(&id).unwrap_or(Readiness::NONE);
        seen.contains(set)
            .then_some(())
            .ok_or_else(|| format!("the socket reported {seen:?}"))
    }

    /// Counters are found by the names that their printed form has.
    fn counter(&mut self, name: &str, want: Want) -> Result<(), String> {
        let printed = format!("{:?}", self.stack.stats());
        let value: Option<u64> = printed
            .split(['{', ',', '}'])
            .filter_map(|part| part.trim().split_once(": "))
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| value.parse().ok());
        match value {
            None => Err(format!("there is no counter {name}")),
            Some(value) if want.has(value) => Ok(()),
            Some(value) => Err(format!("{name} is {value} after {:?}", self.elapsed())),
        }
    }
}

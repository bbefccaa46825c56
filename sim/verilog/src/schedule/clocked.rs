//! The order in which registers and memories change at a rising edge.
//!
//! All of them change at once, from what there was before. So whoever reads a register or memory goes before whoever changes it; where
//! that leads in a circle, one of the circle is evaluated before all others and its result put aside until the end.
use std::collections::{BTreeMap, BTreeSet};

use crate::error::{At, Fault, Pos, Result};
use crate::netlist::{each_expr, each_target, Design, MemoryId, NetId, Stmt, Target};

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Register(NetId),
    Memory(MemoryId),
}

/// The statements that change one register or memory.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) clock: NetId,
    pub(crate) reset: Option<NetId>,
    pub(crate) state: State,
    pub(crate) body: Vec<Stmt>,
    pos: Pos,
}

/// The changes of an edge, in order.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    /// Put aside.
    pub(crate) early: Vec<Change>,
    /// Done in place, after that.
    pub(crate) in_place: Vec<Change>,
}

pub(crate) fn order(design: &Design) -> Result<Edge> {
    let mut changes = vec![];
    for process in &design.processes {
        let mut states = BTreeSet::new();
        each_target(&process.body, &mut |target| {
            states.insert(match target {
                Target::Word { memory, .. } => State::Memory(*memory),
                _ => State::Register(target.net().unwrap_or_default()),
            });
        });
        for state in states {
            changes.push(Change {
                clock: process.clock,
                reset: process.reset.as_ref().map(|r| r.net),
                state,
                body: only(&process.body, state),
                pos: process.pos,
            });
        }
    }
    sort(changes, design)
}

/// The statements that change `state`.
fn only(body: &[Stmt], state: State) -> Vec<Stmt> {
    let keep = |body: &[Stmt]| only(body, state);
    let mut kept = vec![];
    for stmt in body {
        match stmt {
            Stmt::Assign { target, .. } => {
                let is = match (target, state) {
                    (Target::Word { memory, .. }, State::Memory(m)) => *memory == m,
                    (target, State::Register(net)) => target.net() == Some(net),
                    _ => false,
                };
                if is {
                    kept.push(stmt.clone());
                }
            }
            Stmt::If {
                condition,
                then,
                otherwise,
            } => {
                let (then, otherwise) = (keep(then), keep(otherwise));
                if !then.is_empty() || !otherwise.is_empty() {
                    kept.push(Stmt::If {
                        condition: condition.clone(),
                        then,
                        otherwise,
                    });
                }
            }
            Stmt::Case {
                subject,
                arms,
                default,
            } => {
                let arms: Vec<_> = arms
                    .iter()
                    .map(|(items, body)| (items.clone(), keep(body)))
                    .collect();
                let default = default.as_deref().map(keep);
                if arms.iter().any(|a| !a.1.is_empty())
                    || default.as_ref().is_some_and(|d| !d.is_empty())
                {
                    kept.push(Stmt::Case {
                        subject: subject.clone(),
                        arms,
                        default,
                    });
                }
            }
        }
    }
    kept
}

fn reads(change: &Change) -> BTreeSet<State> {
    let mut states = BTreeSet::new();
    each_expr(&change.body, &mut |e| {
        e.each_net(&mut |net| {
            states.insert(State::Register(net));
        });
        e.each_memory(&mut |memory| {
            states.insert(State::Memory(memory));
        });
    });
    states.extend(change.reset.map(State::Register));
    states
}

fn sort(changes: Vec<Change>, design: &Design) -> Result<Edge> {
    let mut changer: BTreeMap<State, usize> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        if let Some(other) = changer.insert(change.state, index) {
            // Registers were checked with the drivers.
            let name = match change.state {
                State::Memory(memory) => &design.memories[memory].name,
                State::Register(net) => &design.nets[net].name,
            };
            return Err(At::new(
                change.pos,
                Fault::TwoDrivers {
                    name: name.clone(),
                    other: changes[other].pos,
                },
            ));
        }
    }
    // For each change: how many readers must go before it, and whom it waits for itself.
    let mut waiting = vec![0usize; changes.len()];
    let mut releases: Vec<Vec<usize>> = vec![vec![]; changes.len()];
    for (reader, change) in changes.iter().enumerate() {
        for state in reads(change) {
            if let Some(writer) = changer.get(&state).filter(|w| **w != reader) {
                waiting[*writer] += 1;
                releases[reader].push(*writer);
            }
        }
    }
    let mut left: BTreeSet<usize> = (0..changes.len()).collect();
    let (mut early, mut in_place): (Vec<usize>, Vec<usize>) = (vec![], vec![]);
    let mut clock = None;
    while !left.is_empty() {
        // As long as possible on one clock.
        let free = |index: &&usize| waiting[**index] == 0;
        let same = |index: &&usize| clock == Some(changes[**index].clock);
        let next = left
            .iter()
            .filter(free)
            .find(same)
            .or_else(|| left.iter().find(free));
        let (next, list) = match next {
            Some(next) => (*next, &mut in_place),
            None => {
                let aside = |index: &&usize| matches!(changes[**index].state, State::Register(_));
                match left.iter().find(aside) {
                    Some(next) => (*next, &mut early),
                    None => {
                        let pos = left
                            .iter()
                            .next()
                            .map_or_else(Default::default, |i| changes[*i].pos);
                        return Err(At::outside(pos, "a memory whose new words depend on another memory's, and the other way round,"));
                    }
                }
            }
        };
        clock = Some(changes[next].clock);
        list.push(next);
        left.remove(&next);
        for writer in &releases[next] {
            waiting[*writer] -= 1;
        }
    }
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    let mut take = |list: Vec<usize>| list.into_iter().filter_map(|i| changes[i].take()).collect();
    Ok(Edge {
        early: take(early),
        in_place: take(in_place),
    })
}

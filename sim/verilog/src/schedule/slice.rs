//! What each net of a combinational block needs.
//!
//! A block assigns many nets and reads others that depend on those very nets, through modules below it. So a block is not evaluated as a
//! whole but in slices: the statements that make some of its nets. A net that the block reads while it is still to change it in this
//! block (a default, then exceptions) is made again in each slice that reads it so.
use std::collections::{BTreeMap, BTreeSet};

use crate::error::{At, Fault, Result};
use crate::netlist::{Block, Expr, Net, NetId, Stmt, Target};

/// What a net needs before it can be evaluated.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Nets that must be there before the slice begins.
    pub(super) before: BTreeSet<NetId>,
    /// Nets of the same block that the same slice may make.
    pub(super) with: BTreeSet<NetId>,
    /// Nets that are made in every slice that makes this one.
    pub(super) inside: BTreeSet<NetId>,
}

/// The needs of every net that a block assigns.
pub(super) fn needs(block: &Block, nets: &[Net]) -> Result<BTreeMap<NetId, Needs>> {
    let mut walk = Walk::default();
    walk.statements(&block.body, &[]);
    for net in walk.assigns.keys() {
        if !always_assigns(&block.body, *net) {
            return Err(At::new(block.pos, Fault::Latch(nets[*net].name.clone())));
        }
    }
    Ok(walk
        .assigns
        .keys()
        .map(|net| (*net, walk.needs(*net)))
        .collect())
}

/// Reads come at even times, the assignments that follow them at odd ones.
type Time = usize;

#[derive(Default)]
struct Assigns {
    first: Time,
    last: Time,
    reads: Vec<(NetId, Time)>,
}

#[derive(Default)]
struct Walk {
    now: Time,
    assigns: BTreeMap<NetId, Assigns>,
}

fn reads(expr: &Expr, now: Time, into: &mut Vec<(NetId, Time)>) {
    expr.each_net(&mut |net| into.push((net, now)));
}

impl Walk {
    /// `conditions`: what decided that these statements run.
    fn statements(&mut self, body: &[Stmt], conditions: &[(NetId, Time)]) {
        for stmt in body {
            self.now += 2;
            let now = self.now;
            match stmt {
                Stmt::Assign { target, value } => {
                    let Some(net) = target.net() else {
                        continue;
                    };
                    let assigns = self.assigns.entry(net).or_insert(Assigns {
                        first: now + 1,
                        ..Assigns::default()
                    });
                    assigns.last = now + 1;
                    assigns.reads.extend(conditions);
                    if let Some(index) = target.index() {
                        reads(index, now, &mut assigns.reads);
                    }
                    reads(value, now, &mut assigns.reads);
                }
                Stmt::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let mut inner = conditions.to_vec();
                    reads(condition, now, &mut inner);
                    self.statements(then, &inner);
                    self.statements(otherwise, &inner);
                }
                Stmt::Case {
                    subject,
                    arms,
                    default,
                } => {
                    let mut inner = conditions.to_vec();
                    reads(subject, now, &mut inner);
                    for item in arms.iter().flat_map(|arm| &arm.0) {
                        reads(item, now, &mut inner);
                    }
                    for (_, body) in arms {
                        self.statements(body, &inner);
                    }
                    self.statements(default.as_deref().unwrap_or_default(), &inner);
                }
            }
        }
    }

    fn needs(&self, net: NetId) -> Needs {
        let mut needs = Needs::default();
        let mut inside = BTreeSet::from([net]);
        let mut to_do = vec![net];
        while let Some(made) = to_do.pop() {
            for (read, at) in &self.assigns[&made].reads {
                match self.assigns.get(read) {
                    Some(own) if own.first < *at && *at < own.last => {
                        if inside.insert(*read) {
                            to_do.push(*read);
                        }
                    }
                    Some(own) if own.last < *at => {
                        needs.with.insert(*read);
                    }
                    _ => {
                        needs.before.insert(*read);
                    }
                }
            }
        }
        // What is made in the slice anyway need not be there.
        needs.with.retain(|n| !inside.contains(n));
        inside.remove(&net);
        needs.inside = inside;
        needs
    }
}

/// Whether every path through the statements assigns all of the net.
fn always_assigns(body: &[Stmt], net: NetId) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Assign { target, .. } => matches!(target, Target::Net(n) if *n == net),
        Stmt::If {
            then, otherwise, ..
        } => always_assigns(then, net) && always_assigns(otherwise, net),
        Stmt::Case {
            subject,
            arms,
            default,
        } => {
            let complete = match default {
                Some(body) => always_assigns(body, net),
                None => is_full(subject, arms),
            };
            complete && arms.iter().all(|(_, body)| always_assigns(body, net))
        }
    })
}

/// Whether the items are all values that the subject can have.
fn is_full(subject: &Expr, arms: &[(Vec<Expr>, Vec<Stmt>)]) -> bool {
    let items: BTreeSet<_> = arms
        .iter()
        .flat_map(|arm| &arm.0)
        .filter_map(|item| item.as_const()?.to_u64())
        .collect();
    subject.width < 20 && items.len() == 1 << subject.width
}

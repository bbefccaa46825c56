//! Nets that are one net: ports and what they are connected to, and plain copies. And who drives each.
use std::collections::{BTreeSet, HashMap};

use crate::error::{At, Fault, Pos, Result};
use crate::netlist::{assigned, each_target, rename, Design, Kind, NetId, Stmt, Target};

/// Sets of nets that are one; each set goes by the net that was declared first.
#[derive(Debug, Default)]
pub(super) struct Union {
    parents: HashMap<NetId, NetId>,
}

impl Union {
    fn find(&self, mut net: NetId) -> NetId {
        while let Some(parent) = self.parents.get(&net) {
            net = *parent;
        }
        net
    }

    /// Makes two nets one; says whether they were two.
    pub(super) fn join(&mut self, a: NetId, b: NetId) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a != b {
            self.parents.insert(a.max(b), a.min(b));
        }
        a != b
    }
}

/// Replaces every net by the one it is known by.
pub(super) fn resolve(mut design: Design, mut union: Union) -> Result<Design> {
    apply(&mut design, &union);
    check_drivers(&design)?;
    join_copies(&mut design, &mut union)?;
    apply(&mut design, &union);
    let inputs: BTreeSet<NetId> = design.inputs.iter().map(|i| i.1).collect();
    for process in &design.processes {
        if !inputs.contains(&process.clock) {
            let name = design.nets[process.clock].name.clone();
            return Err(At::new(process.pos, Fault::DerivedClock(name)));
        }
    }
    Ok(design)
}

fn apply(design: &mut Design, union: &Union) {
    let name = |net| union.find(net);
    for block in &mut design.blocks {
        rename(&mut block.body, &name);
    }
    for process in &mut design.processes {
        process.clock = name(process.clock);
        rename(&mut process.body, &name);
        if let Some(reset) = &mut process.reset {
            reset.net = name(reset.net);
            for (register, _) in &mut reset.values {
                *register = name(*register);
            }
        }
    }
    let ports = design.inputs.iter_mut().chain(&mut design.outputs);
    let declared = design.scopes.iter_mut().flat_map(|s| &mut s.nets);
    for (_, net) in ports.chain(declared) {
        let known_as = name(*net);
        if known_as != *net && design.nets[known_as].init.is_none() {
            design.nets[known_as].init = design.nets[*net].init.take();
        }
        *net = known_as;
    }
}

/// One driver a net: an input of the top, a block or a process.
fn check_drivers(design: &Design) -> Result<()> {
    let mut drivers: HashMap<NetId, Pos> = HashMap::new();
    let mut drive = |net: NetId, pos: Pos| match drivers.insert(net, pos) {
        None => Ok(()),
        Some(other) => {
            let name = design.nets[net].name.clone();
            Err(At::new(pos, Fault::TwoDrivers { name, other }))
        }
    };
    for (_, net) in &design.inputs {
        drive(*net, design.nets[*net].pos)?;
    }
    for block in &design.blocks {
        for net in assigned(&block.body) {
            drive(net, block.pos)?;
        }
    }
    for process in &design.processes {
        let mut registers = assigned(&process.body);
        registers.extend(
            process
                .reset
                .iter()
                .flat_map(|r| r.values.iter().map(|v| v.0)),
        );
        for net in registers {
            drive(net, process.pos)?;
        }
    }
    Ok(())
}

/// Where a block does nothing to a net but copy another as a whole, the two become one.
fn join_copies(design: &mut Design, union: &mut Union) -> Result<()> {
    let nets = &mut design.nets;
    for block in &mut design.blocks {
        let mut times: HashMap<NetId, u32> = HashMap::new();
        each_target(&block.body, &mut |target| {
            if let Some(net) = target.net() {
                *times.entry(net).or_default() += 1;
            }
        });
        let mut looped = None;
        block.body.retain(|stmt| {
            let Stmt::Assign {
                target: Target::Net(copy),
                value,
            } = stmt
            else {
                return true;
            };
            let Kind::Net(of) = value.kind else {
                return true;
            };
            if times[copy] != 1 || times.contains_key(&of) {
                return true;
            }
            // What is driven gives the name.
            let name = nets[union.find(of)].name.clone();
            if union.join(of, *copy) {
                nets[union.find(of)].name = name;
            } else {
                looped = Some((of, *copy));
            }
            false
        });
        if let Some((of, copy)) = looped {
            let name = |net: NetId| nets[net].name.clone();
            return Err(At::new(
                block.pos,
                Fault::Loop(vec![name(of), name(copy), name(of)]),
            ));
        }
    }
    Ok(())
}

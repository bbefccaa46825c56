//! The order of slices and asynchronous resets in one pass over the combinational logic.
use std::collections::{BTreeMap, BTreeSet};

use super::slice::{needs, Needs};
use crate::error::{At, Fault, Result};
use crate::netlist::{each_expr, Design, Expr, NetId};

/// A step of the pass.
#[derive(Debug)]
pub(crate) enum Step {
    /// The statements of a block that make these nets; some may be made more than once, as others read them half-made.
    Slice { block: usize, nets: BTreeSet<NetId> },
    /// The asynchronous reset of a process.
    Reset { process: usize },
}

/// The pass, and what is known of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) steps: Vec<Step>,
    /// Nets that are evaluated or driven: all others are never read.
    pub(crate) live: BTreeSet<NetId>,
    /// An asynchronous reset depends on an input of the top, so that it may come and go between two passes.
    pub(crate) reset_by_input: bool,
}

/// Who makes a net in the pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Maker {
    Block(usize),
    Reset(usize),
}

struct Node {
    maker: Maker,
    needs: Needs,
}

/// Orders the pass. `keep_all`: also what nobody reads, for a waveform.
pub(crate) fn order(design: &Design, keep_all: bool) -> Result<Order> {
    let nodes = nodes(design)?;
    let live = live(design, &nodes, keep_all);
    let steps = Sorter::new(design, &nodes, &live).run()?;
    let inputs: BTreeSet<NetId> = design.inputs.iter().map(|i| i.1).collect();
    let resets = design.processes.iter().filter_map(|p| p.reset.as_ref());
    let cone = closure(&nodes, resets.map(|r| r.net).collect());
    Ok(Order {
        steps,
        live,
        reset_by_input: cone.iter().any(|net| inputs.contains(net)),
    })
}

fn nodes(design: &Design) -> Result<BTreeMap<NetId, Node>> {
    let mut nodes = BTreeMap::new();
    for (index, block) in design.blocks.iter().enumerate() {
        for (net, needs) in needs(block, &design.nets)? {
            let maker = Maker::Block(index);
            nodes.insert(net, Node { maker, needs });
        }
    }
    for (index, process) in design.processes.iter().enumerate() {
        let Some(reset) = &process.reset else {
            continue;
        };
        for (register, _) in &reset.values {
            let needs = Needs {
                before: BTreeSet::from([reset.net]),
                ..Needs::default()
            };
            let maker = Maker::Reset(index);
            nodes.insert(*register, Node { maker, needs });
        }
    }
    Ok(nodes)
}

/// `nets`, and all that they depend on in the pass.
fn closure(nodes: &BTreeMap<NetId, Node>, mut nets: Vec<NetId>) -> BTreeSet<NetId> {
    let mut all = BTreeSet::new();
    while let Some(net) = nets.pop() {
        if all.insert(net) {
            if let Some(node) = nodes.get(&net) {
                nets.extend(&node.needs.before);
                nets.extend(&node.needs.with);
            }
        }
    }
    all
}

fn live(design: &Design, nodes: &BTreeMap<NetId, Node>, keep_all: bool) -> BTreeSet<NetId> {
    let mut roots: Vec<NetId> = design.outputs.iter().map(|o| o.1).collect();
    for process in &design.processes {
        let mut see = |e: &Expr| e.each_net(&mut |net| roots.push(net));
        each_expr(&process.body, &mut see);
        roots.extend(process.reset.iter().map(|r| r.net));
    }
    if keep_all {
        roots.extend(nodes.keys());
    }
    closure(nodes, roots)
}

/// Takes, again and again, a block some of whose nets have all they need, and makes as many of them as can be made at once.
struct Sorter<'a> {
    design: &'a Design,
    nodes: &'a BTreeMap<NetId, Node>,
    /// How many needs of a net are not met.
    missing: BTreeMap<NetId, usize>,
    /// Who needs a net, and whether it may be made in the same slice.
    users: BTreeMap<NetId, Vec<(NetId, bool)>>,
    ready: BTreeMap<Maker, Vec<NetId>>,
    /// Nets of a block that are to be made.
    left: BTreeMap<Maker, usize>,
    /// Nets that are made.
    done: BTreeSet<NetId>,
}

impl<'a> Sorter<'a> {
    fn new(design: &'a Design, nodes: &'a BTreeMap<NetId, Node>, live: &BTreeSet<NetId>) -> Self {
        let mut sorter = Self {
            design,
            nodes,
            missing: BTreeMap::new(),
            users: BTreeMap::new(),
            ready: BTreeMap::new(),
            left: BTreeMap::new(),
            done: BTreeSet::new(),
        };
        for (net, node) in nodes.iter().filter(|(net, _)| live.contains(net)) {
            let needs = &node.needs;
            let mut missing = 0;
            let with = needs.with.difference(&needs.before).map(|n| (n, true));
            for (need, same) in needs.before.iter().map(|n| (n, false)).chain(with) {
                if nodes.contains_key(need) {
                    missing += 1;
                    sorter.users.entry(*need).or_default().push((*net, same));
                }
            }
            *sorter.left.entry(node.maker).or_default() += 1;
            sorter.missing.insert(*net, missing);
            if missing == 0 {
                sorter.ready.entry(node.maker).or_default().push(*net);
            }
        }
        sorter
    }

    fn run(mut self) -> Result<Vec<Step>> {
        let mut steps = vec![];
        loop {
            // Best is one that is then done with: each further slice repeats conditions.
            let unready = |maker: &Maker, ready: &Vec<NetId>| self.left[maker] - ready.len();
            let best = self
                .ready
                .iter()
                .min_by_key(|(maker, ready)| unready(maker, ready));
            let Some(maker) = best.map(|(maker, _)| *maker).or_else(|| self.together()) else {
                break;
            };
            let mut nets = self.make(maker);
            let again: Vec<NetId> = nets
                .iter()
                .flat_map(|net| &self.nodes[net].needs.inside)
                .copied()
                .collect();
            nets.extend(again);
            steps.push(match maker {
                Maker::Block(block) => Step::Slice { block, nets },
                Maker::Reset(process) => Step::Reset { process },
            });
        }
        match self.left.values().any(|left| *left > 0) {
            true => Err(self.found_loop()),
            false => Ok(steps),
        }
    }

    /// Where nothing is ready: nets of one block that need only each other, and these in the same slice. They are ready
    /// together.
    fn together(&mut self) -> Option<Maker> {
        let waits = |net: &NetId| self.missing.contains_key(net) && !self.done.contains(net);
        let makers = self.left.iter().filter(|(_, left)| **left > 0);
        let (maker, nets) = makers.map(|(maker, _)| *maker).find_map(|maker| {
            let of_maker = self.nodes.iter().filter(|(_, node)| node.maker == maker);
            let mut nets: BTreeSet<NetId> = of_maker.map(|n| *n.0).filter(waits).collect();
            loop {
                let count = nets.len();
                let all = nets.clone();
                nets.retain(|net| {
                    let needs = &self.nodes[net].needs;
                    let there = |need: &NetId| !waits(need);
                    needs.before.iter().all(there)
                        && needs.with.iter().all(|n| there(n) || all.contains(n))
                });
                if nets.len() == count {
                    break;
                }
            }
            (!nets.is_empty()).then_some((maker, nets))
        })?;
        self.ready.insert(maker, nets.into_iter().collect());
        Some(maker)
    }

    /// Makes what is ready of a maker, and what becomes ready by that in the same slice.
    fn make(&mut self, maker: Maker) -> BTreeSet<NetId> {
        let mut to_do = self.ready.remove(&maker).unwrap_or_default();
        let mut made = BTreeSet::new();
        let mut later = vec![];
        while let Some(net) = to_do.pop() {
            made.insert(net);
            for (user, same) in self.users.remove(&net).unwrap_or_default() {
                if same && self.nodes[&user].maker == maker {
                    if self.meet(user) {
                        to_do.push(user);
                    }
                } else {
                    later.push(user);
                }
            }
        }
        if let Some(left) = self.left.get_mut(&maker) {
            *left -= made.len();
        }
        self.done.extend(&made);
        for user in later {
            if self.meet(user) {
                let maker = self.nodes[&user].maker;
                self.ready.entry(maker).or_default().push(user);
            }
        }
        made
    }

    /// One need of a net is met; says whether it was the last.
    fn meet(&mut self, net: NetId) -> bool {
        match self.missing.get_mut(&net) {
            Some(missing) => {
                *missing -= 1;
                *missing == 0
            }
            None => false,
        }
    }

    /// Follows unmet needs until one comes again.
    fn found_loop(&self) -> At {
        let stuck = |net: &NetId| self.missing.get(net).is_some_and(|m| *m > 0);
        let mut path: Vec<NetId> = vec![];
        let mut next = self.missing.keys().copied().find(stuck);
        while let Some(net) = next {
            if let Some(start) = path.iter().position(|n| *n == net) {
                path.drain(..start);
                break;
            }
            path.push(net);
            let needs = &self.nodes[&net].needs;
            next = needs.before.iter().chain(&needs.with).copied().find(stuck);
        }
        // From cause to effect, and back to where it began.
        path.reverse();
        path.extend(path.first().copied());
        let names = path.iter().map(|net| self.design.nets[*net].name.clone());
        let pos = path
            .first()
            .map_or_else(Default::default, |net| self.design.nets[*net].pos);
        At::new(pos, Fault::Loop(names.collect()))
    }
}

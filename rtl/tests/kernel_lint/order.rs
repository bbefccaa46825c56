//! Reads of a signal that stand before its last write in the same kernel.
//!
//! `val()` of a `Signal<Local>` or `Signal<Out>` is what was written last, natively and in the Verilog: a write further down comes too late
//! for it. Both agree on the older value, so no comparison of the two finds it.
use proc_macro2::Span;
use std::collections::HashMap;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Member};

/// The signals of each block of a file that read as they were written last.
pub(crate) fn signals(file: &syn::File) -> HashMap<String, Vec<String>> {
    let mut of = HashMap::new();
    for item in &file.items {
        let syn::Item::Struct(item) = item else {
            continue;
        };
        let mut names = vec![];
        for field in &item.fields {
            let ty = super::rules::text(&field.ty);
            let ty = ty.trim_start_matches('[');
            if ty.starts_with("Signal<Local,") || ty.starts_with("Signal<Out,") {
                names.extend(field.ident.as_ref().map(ToString::to_string));
            }
        }
        of.insert(item.ident.to_string(), names);
    }
    of
}

/// Where `kernel` reads one of `signals` too early.
pub(crate) fn early_reads(kernel: &syn::Block, signals: &[String]) -> Vec<Span> {
    let mut walk = Walk {
        signals,
        ..Walk::default()
    };
    walk.visit_block(kernel);
    let late = |read: &Access| walk.writes.iter().any(|write| read.misses(write));
    let early = walk.reads.iter().filter(|read| late(read));
    early.map(|read| read.span).collect()
}

/// A read or a write.
struct Access {
    signal: String,
    /// What stands between the brackets, for an array.
    index: Option<String>,
    span: Span,
    /// Its place in the order in which the kernel runs.
    at: usize,
    /// Which arm of which branches it stands in.
    arms: Vec<(usize, usize)>,
    /// The outermost loop around it.
    around: Option<usize>,
}

impl Access {
    /// Whether `write` changes what this read should have seen.
    fn misses(&self, write: &Access) -> bool {
        let excluded = self
            .arms
            .iter()
            .any(|(branch, arm)| write.arms.iter().any(|(b, a)| b == branch && a != arm));
        self.signal == write.signal && self.at < write.at && !excluded && self.may_be(write)
    }

    /// Whether both may mean the same. Within one loop, an array may be built up from its earlier elements, and a signal may go
    /// through the rounds as a carry does.
    fn may_be(&self, write: &Access) -> bool {
        let together = self.around.is_some() && self.around == write.around;
        let (Some(r), Some(w)) = (&self.index, &write.index) else {
            return !together;
        };
        let decimal = |index: &str| index.chars().all(|c| c.is_ascii_digit());
        r == w || !(together || decimal(r) && decimal(w))
    }
}

#[derive(Default)]
struct Walk<'k> {
    signals: &'k [String],
    reads: Vec<Access>,
    writes: Vec<Access>,
    clock: usize,
    branches: usize,
    arms: Vec<(usize, usize)>,
    loops: usize,
    around: Option<usize>,
    /// What the assignment around changes: a signal may be brought up to date from itself.
    target: Option<String>,
}

impl Walk<'_> {
    /// `e` as one of the signals, with its index.
    fn signal(&self, e: &Expr) -> Option<(String, Option<String>)> {
        match e {
            Expr::Index(i) => {
                let (signal, _) = self.signal(&i.expr)?;
                Some((signal, Some(super::rules::text(&i.index))))
            }
            Expr::Field(f) if super::rules::text(&f.base) == "self" => {
                let Member::Named(name) = &f.member else {
                    return None;
                };
                let name = name.to_string();
                self.signals.contains(&name).then_some((name, None))
            }
            _ => None,
        }
    }

    fn access(&mut self, (signal, index): (String, Option<String>), span: Span) -> Access {
        self.clock += 1;
        Access {
            signal,
            index,
            span,
            at: self.clock,
            arms: self.arms.clone(),
            around: self.around,
        }
    }

    fn arm(&mut self, branch: usize, arm: usize, body: impl FnOnce(&mut Self)) {
        self.arms.push((branch, arm));
        body(self);
        self.arms.pop();
    }
}

impl<'a> Visit<'a> for Walk<'_> {
    fn visit_expr_assign(&mut self, a: &'a syn::ExprAssign) {
        let written = match &*a.left {
            Expr::Field(f) if super::rules::text(&f.member) == "next" => self.signal(&f.base),
            _ => None,
        };
        let known = |w: &&(String, _)| self.writes.iter().any(|before| before.signal == w.0);
        self.target = written.as_ref().filter(known).map(|w| w.0.clone());
        self.visit_expr(&a.right);
        self.target = None;
        if let Some(written) = written {
            let write = self.access(written, a.left.span());
            self.writes.push(write);
        }
    }

    fn visit_expr_method_call(&mut self, m: &'a syn::ExprMethodCall) {
        if m.method == "val" {
            if let Some(read) = self.signal(&m.receiver) {
                if self.target.as_ref() != Some(&read.0) {
                    let read = self.access(read, m.receiver.span());
                    self.reads.push(read);
                }
            }
        }
        visit::visit_expr_method_call(self, m);
    }

    fn visit_expr_if(&mut self, i: &'a syn::ExprIf) {
        self.visit_expr(&i.cond);
        self.branches += 1;
        let branch = self.branches;
        self.arm(branch, 0, |s| s.visit_block(&i.then_branch));
        if let Some((_, otherwise)) = &i.else_branch {
            self.arm(branch, 1, |s| s.visit_expr(otherwise));
        }
    }

    fn visit_expr_match(&mut self, m: &'a syn::ExprMatch) {
        self.visit_expr(&m.expr);
        self.branches += 1;
        let branch = self.branches;
        for (n, arm) in m.arms.iter().enumerate() {
            self.arm(branch, n, |s| s.visit_expr(&arm.body));
        }
    }

    fn visit_expr_for_loop(&mut self, f: &'a syn::ExprForLoop) {
        let outer = self.around;
        self.loops += 1;
        self.around = outer.or(Some(self.loops));
        self.visit_block(&f.body);
        self.around = outer;
    }
}

//! The rules: what rust-hdl 0.46 compiles and simulates, but writes as Verilog that means something else or nothing at all.
use quote::ToTokens;
use std::collections::HashMap;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Pat, RangeLimits, UnOp};

/// A class of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The guard of a match arm is dropped.
    MatchGuard,
    /// `A | B` in a pattern.
    OrPattern,
    /// A match literal that is not plain decimal.
    MatchLiteral,
    /// A match without `_`: a latch.
    NoDefaultArm,
    /// `a..=b` becomes `a..b`.
    ClosedRange,
    /// `&`, `|`, `^` next to a comparison bind differently.
    Precedence,
    /// Arithmetic, `!` or `<<` under a comparison: Verilog computes it wider.
    WideCompare,
    /// The same left of `>>`.
    WideShift,
    /// The same under a cast: carries and inverted upper bits survive.
    WideCast,
    /// A cast of something with a loop index.
    CastOfIndexed,
    /// A function call; one whose name starts with `bits` becomes a cast.
    Call,
    /// `get_bit`, `get_bits`, `replace_bit` of something that is no signal.
    SliceOfExpression,
    /// `all()` of something that is no signal.
    AllOfExpression,
    /// A constant or const generic as a value: an undeclared name.
    FreeName,
    /// An enum path with more than two parts.
    LongPath,
    /// An array index other than loop variables and decimal literals.
    Index,
    /// A second array index.
    DoubleIndex,
    /// A macro other than `dff_setup!` and `clock!`.
    Macro,
    /// A field with the name of a (System)Verilog keyword.
    Keyword,
    /// A signal is read before its last write.
    EarlyRead,
}

/// A mistake and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) class: Class,
}

/// What is wrong in the kernels (`#[hdl_gen]`) and blocks of a source file.
///
/// # Errors
/// The file is no Rust.
pub(crate) fn check(source: &str) -> syn::Result<Vec<Finding>> {
    let file = syn::parse_file(source)?;
    let mut lint = Lint {
        signals: crate::order::signals(&file),
        ..Lint::default()
    };
    lint.visit_file(&file);
    Ok(lint.kernel.findings)
}

/// Walks a file for kernels and blocks.
#[derive(Default)]
struct Lint {
    kernel: Kernel,
    /// Of each block, the signals whose order of reads and writes counts.
    signals: HashMap<String, Vec<String>>,
    /// The block whose `impl` is being walked.
    block: String,
}

impl<'a> Visit<'a> for Lint {
    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if item.attrs.iter().any(|a| a.path().is_ident("hdl_gen")) {
            self.kernel.visit_block(&item.block);
            if let Some(signals) = self.signals.get(&self.block) {
                for at in crate::order::early_reads(&item.block, signals) {
                    self.kernel.report(&at, Class::EarlyRead);
                }
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        let name = text(&item.self_ty);
        self.block = name.split('<').next().unwrap_or_default().to_owned();
        visit::visit_item_impl(self, item);
    }

    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        let derives = item.attrs.iter().map(text).collect::<String>();
        if ["LogicBlock", "LogicInterface", "LogicStruct"]
            .iter()
            .any(|d| derives.contains(d))
        {
            for name in item.fields.iter().filter_map(|f| f.ident.as_ref()) {
                if crate::keywords::is_keyword(&name.to_string()) {
                    self.kernel.report(name, Class::Keyword);
                }
            }
        }
    }
}

/// Walks a kernel.
#[derive(Default)]
struct Kernel {
    findings: Vec<Finding>,
    loop_variables: Vec<String>,
}

/// The tokens without blanks.
pub(crate) fn text(t: &impl ToTokens) -> String {
    t.to_token_stream().to_string().replace(' ', "")
}

fn inner(e: &Expr) -> &Expr {
    match e {
        Expr::Paren(p) => inner(&p.expr),
        Expr::Group(g) => inner(&g.expr),
        _ => e,
    }
}

fn compares(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_)
    )
}

fn bitwise(op: &BinOp) -> bool {
    matches!(op, BinOp::BitAnd(_) | BinOp::BitOr(_) | BinOp::BitXor(_))
}

/// Whether Verilog may compute `e` wider than Rust does: its width comes from around it.
fn wide(e: &Expr) -> bool {
    match inner(e) {
        Expr::Binary(b) => match &b.op {
            BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Shl(_) => true,
            BinOp::Shr(_) => wide(&b.left),
            op if bitwise(op) => wide(&b.left) || wide(&b.right),
            _ => false,
        },
        Expr::Unary(u) => matches!(u.op, UnOp::Not(_) | UnOp::Neg(_)),
        Expr::MethodCall(m) if m.method == "into" => wide(&m.receiver),
        _ => false,
    }
}

fn is_signal(e: &Expr) -> bool {
    let t = text(inner(e));
    t.starts_with("self.") && t.ends_with(".val()") && t.matches('(').count() == 1
}

impl Kernel {
    fn report(&mut self, at: &impl Spanned, class: Class) {
        let start = at.span().start();
        self.findings.push(Finding {
            line: start.line,
            column: start.column + 1,
            class,
        });
    }

    fn is_loop_variable(&self, name: &str) -> bool {
        self.loop_variables.iter().any(|v| v == name)
    }
}

impl<'a> Visit<'a> for Kernel {
    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        if arm.guard.is_some() {
            self.report(arm, Class::MatchGuard);
        }
        match &arm.pat {
            Pat::Or(p) => self.report(p, Class::OrPattern),
            Pat::Lit(l) if !text(l).chars().all(|c| c.is_ascii_digit()) => {
                self.report(l, Class::MatchLiteral)
            }
            Pat::Path(p) => self.visit_expr_path(p),
            _ => {}
        }
        self.visit_expr(&arm.body);
    }

    fn visit_expr_match(&mut self, m: &'a syn::ExprMatch) {
        if !m.arms.iter().any(|a| matches!(a.pat, Pat::Wild(_))) {
            self.report(m, Class::NoDefaultArm);
        }
        visit::visit_expr_match(self, m);
    }

    fn visit_expr_for_loop(&mut self, f: &'a syn::ExprForLoop) {
        if let Expr::Range(r) = &*f.expr {
            if matches!(r.limits, RangeLimits::Closed(_)) {
                self.report(r, Class::ClosedRange);
            }
        }
        self.loop_variables.push(text(&f.pat));
        self.visit_block(&f.body);
        self.loop_variables.pop();
    }

    fn visit_expr_binary(&mut self, b: &'a syn::ExprBinary) {
        for side in [&b.left, &b.right] {
            if let Expr::Binary(c) = &**side {
                if (compares(&b.op) && bitwise(&c.op)) || (bitwise(&b.op) && compares(&c.op)) {
                    self.report(c, Class::Precedence);
                }
            }
            if compares(&b.op) && wide(side) {
                self.report(side, Class::WideCompare);
            }
        }
        if matches!(b.op, BinOp::Shr(_)) && wide(&b.left) {
            self.report(&b.left, Class::WideShift);
        }
        visit::visit_expr_binary(self, b);
    }

    fn visit_expr_call(&mut self, c: &'a syn::ExprCall) {
        let function = text(&c.func);
        if function.ends_with("::join") || function.ends_with("::link") {
            return;
        }
        match function.split("::<").next().unwrap_or_default() {
            "bit_cast" | "bits" | "Bits" | "signed_cast" | "unsigned_cast" | "signed_bit_cast"
            | "unsigned_bit_cast" => {
                for arg in &c.args {
                    if wide(arg) {
                        self.report(arg, Class::WideCast);
                    }
                    let t = text(arg);
                    if self
                        .loop_variables
                        .iter()
                        .any(|v| t.contains(&format!("[{v}")) || t.contains(&format!("({v}")))
                    {
                        self.report(arg, Class::CastOfIndexed);
                    }
                    self.visit_expr(arg);
                }
            }
            _ => self.report(c, Class::Call),
        }
    }

    fn visit_expr_method_call(&mut self, m: &'a syn::ExprMethodCall) {
        if !is_signal(&m.receiver) {
            match m.method.to_string().as_str() {
                "get_bit" | "get_bits" | "replace_bit" => {
                    self.report(&m.receiver, Class::SliceOfExpression)
                }
                "all" => self.report(&m.receiver, Class::AllOfExpression),
                _ => {}
            }
        }
        self.visit_expr(&m.receiver);
        m.args.iter().for_each(|a| self.visit_expr(a));
    }

    fn visit_expr_path(&mut self, p: &'a syn::ExprPath) {
        let t = text(p);
        match t.matches("::").count() {
            0 if t != "self" && !self.is_loop_variable(&t) => self.report(p, Class::FreeName),
            0 | 1 => {}
            _ => self.report(p, Class::LongPath),
        }
    }

    fn visit_expr_index(&mut self, i: &'a syn::ExprIndex) {
        let good = text(&i.index)
            .split(|c: char| "+-*()".contains(c))
            .all(|w| w.chars().all(|c| c.is_ascii_digit()) || self.is_loop_variable(w));
        if !good {
            self.report(&i.index, Class::Index);
        }
        if text(&i.expr).contains('[') {
            self.report(i, Class::DoubleIndex);
        }
    }

    fn visit_macro(&mut self, m: &'a syn::Macro) {
        if !m.path.is_ident("dff_setup") && !m.path.is_ident("clock") {
            self.report(m, Class::Macro);
        }
    }
}

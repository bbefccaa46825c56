//! Checks properties and their seeded faults, several at a time: models by yosys, verdicts by yosys-smtbmc.
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{kill_process_group, Pid, Signal};
use serde::Serialize;

use super::bind::bind;
use super::error::FormalError;
use super::modules::TOP;
use super::mutant;
use super::property::{Mode, Mutant, Property, Reach};
use super::smtbmc::{verdict, Verdict};

/// The model of a module and its checker, and the same of one assertion.
const MODEL: &str = "model.smt2";
const PART: &str = "part.smt2";

/// How often it is looked whether a tool has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How to check.
pub(super) struct Options<'a> {
    pub(super) solver: &'a str,
    /// Of a run of the solver.
    pub(super) seconds: u64,
    pub(super) jobs: usize,
    pub(super) folder: &'a Path,
    /// Progress is shown.
    pub(super) shown: bool,
}

/// What came out of one check: a property on the module as it is, or on one with a seeded fault.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    pub(super) property: &'static str,
    pub(super) module: String,
    pub(super) mutant: Option<&'static str>,
    pub(super) result: String,
    /// It is as it must be: the property holds, or the fault breaks it.
    pub(super) holds: bool,
    /// Waveform of a violation.
    pub(super) trace: Option<PathBuf>,
    pub(super) seconds: f64,
}

/// Checks `properties`, each on the module as it is and with each of its faults; the records in that order.
pub(super) fn check(
    properties: &[&'static Property],
    options: &Options<'_>,
) -> Result<Vec<Record>, FormalError> {
    need_solver(options.solver)?;
    let checks: Vec<(&'static Property, Option<&'static Mutant>)> = properties
        .iter()
        .flat_map(|p| std::iter::once((*p, None)).chain(p.mutants.iter().map(|m| (*p, Some(m)))))
        .collect();
    let bar = match options.shown {
        true => ProgressBar::new(checks.len() as u64),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:32} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((property, mutant)) = checks.get(number) else {
                    break;
                };
                bar.set_message(property.name);
                let record = one(property, *mutant, options);
                bar.inc(1);
                let failed = record.is_err();
                if let Ok(mut done) = done.lock() {
                    done.push((number, record));
                }
                if failed {
                    next.store(checks.len(), Ordering::Relaxed);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, record)| record).collect()
}

/// One check.
fn one(
    property: &'static Property,
    mutant: Option<&'static Mutant>,
    options: &Options<'_>,
) -> Result<Record, FormalError> {
    let start = Instant::now();
    let what = match mutant {
        None => property.name.to_owned(),
        Some(mutant) => format!("{}.{}", property.name, mutant.name),
    };
    let folder = options.folder.join(&what);
    model(property, mutant, &what, &folder)?;
    let (holds, result, trace) = match mutant {
        None => proof(property, &what, &folder, options)?,
        Some(mutant) => fault(property, mutant, &what, &folder, options)?,
    };
    Ok(Record {
        property: property.name,
        module: property.module.to_string(),
        mutant: mutant.map(|m| m.name),
        result,
        holds,
        trace,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Writes the model of the module and its checker into `folder`.
fn model(
    property: &'static Property,
    mutant: Option<&'static Mutant>,
    what: &str,
    folder: &Path,
) -> Result<(), FormalError> {
    let mut design = property.module.export()?;
    if let Some(mutant) = mutant {
        design = mutant::apply(&design, property.name, mutant)?;
    }
    let bound = bind(&design, TOP, property.name, property.checker)?;
    fs::create_dir_all(folder).map_err(|source| FormalError::File {
        path: folder.into(),
        source,
    })?;
    // The invariants serve the induction. Seen from reset a fault is to break a promise, and would often break an invariant first.
    let define = match mutant.map(|m| m.reach) {
        None | Some(Reach::Step) => "-D INVARIANTS",
        Some(Reach::Reset(_)) => "",
    };
    let clocks = match property.several_clocks {
        true => "clk2fflogic",
        false => "async2sync",
    };
    // Without its outputs only what the checker looks at is left of the design.
    let script = format!(
        "read_verilog -formal {TOP}.v\n\
         read_verilog -sv -formal {define} checker.sv\n\
         prep -flatten -top {TOP}\n\
         select -assert-none w:* a:hierconn %i\n\
         delete -output w:*\n\
         opt_clean -purge\n\
         {clocks}\n\
         opt -full\n\
         dffunmap\n\
         opt_clean -purge\n\
         write_smt2 -wires {MODEL}\n"
    );
    for (name, text) in [
        ("dut.v", &*bound),
        ("checker.sv", property.checker),
        ("model.ys", &script),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| FormalError::File { path, source })?;
    }
    let log = folder.join("yosys.log");
    let done = tool("yosys", &["-q", "model.ys"], folder, &log, None)?;
    match done {
        Ended::Code(0) => Ok(()),
        _ => Err(FormalError::ToolFailed {
            tool: "yosys",
            what: what.into(),
            log: text(&log)?,
        }),
    }
}

type Outcome = (bool, String, Option<PathBuf>);

/// The property on the module as it is.
fn proof(
    property: &'static Property,
    what: &str,
    folder: &Path,
    options: &Options<'_>,
) -> Result<Outcome, FormalError> {
    let (mode, depth) = (property.mode, property.mode.depth());
    let mut run = "bounded";
    let mut found = smtbmc(&["--presat", MODEL], depth, run, what, folder, options)?;
    if matches!(found, Some(Verdict::Passed)) {
        match mode {
            Mode::Bounded(_) => (),
            Mode::Induction(_) => {
                run = "induction";
                found = smtbmc(&["-i", MODEL], depth, run, what, folder, options)?;
            }
            Mode::Parts(_) => {
                run = "induction";
                for part in in_parts(property, what, folder)? {
                    found = part.check(&["-i"], depth, "induction", what, folder, options)?;
                    if !matches!(found, Some(Verdict::Passed)) {
                        break;
                    }
                }
            }
        }
    }
    Ok(match found {
        Some(Verdict::Passed) => (true, mode.success(), None),
        Some(Verdict::Failed { step, labels }) => {
            let trace = folder.join(format!("{run}.vcd"));
            let at = match run {
                "induction" => "by induction".into(),
                _ => format!("at step {step}"),
            };
            let labels = labels.join(", ");
            (
                false,
                format!("fails {at}: {labels}; {}", trace.display()),
                Some(trace),
            )
        }
        other => no_verdict(other.as_ref(), options),
    })
}

/// The checks that say nothing about the property.
fn no_verdict(found: Option<&Verdict>, options: &Options<'_>) -> Outcome {
    let why = match found {
        Some(_) => "the assumptions cannot all be met".into(),
        None => format!("no answer in {} s", options.seconds),
    };
    (false, why, None)
}

/// The property on a module with a seeded fault.
fn fault(
    property: &'static Property,
    mutant: &'static Mutant,
    what: &str,
    folder: &Path,
    options: &Options<'_>,
) -> Result<Outcome, FormalError> {
    let found = match mutant.reach {
        Reach::Reset(depth) => {
            // Alone: which of several assertions a fault breaks first is the solver's choice.
            let model = text(&folder.join(MODEL))?;
            match alone(&model, mutant.breaks) {
                Some(model) => {
                    let label = mutant.breaks.into();
                    let part = Part { label, model };
                    part.check(&[], depth, "bounded", what, folder, options)?
                }
                None => Some(Verdict::Passed),
            }
        }
        Reach::Step => match property.mode {
            Mode::Parts(depth) => {
                let parts = in_parts(property, what, folder)?;
                let part = parts.iter().find(|part| part.label == mutant.breaks);
                match part {
                    Some(part) => part.check(&["-i"], depth, "induction", what, folder, options)?,
                    None => Some(Verdict::Passed),
                }
            }
            mode => smtbmc(
                &["-i", MODEL],
                mode.depth(),
                "induction",
                what,
                folder,
                options,
            )?,
        },
    };
    Ok(match (found, mutant.reach) {
        (Some(Verdict::Failed { step, labels }), reach) => {
            let hit = labels.iter().any(|label| label == mutant.breaks);
            let labels = labels.join(", ");
            match reach {
                Reach::Reset(_) => {
                    let trace = Some(folder.join("bounded.vcd"));
                    (hit, format!("caught at step {step}: {labels}"), trace)
                }
                Reach::Step => {
                    let trace = Some(folder.join("induction.vcd"));
                    (hit, format!("caught by induction: {labels}"), trace)
                }
            }
        }
        (Some(Verdict::Passed), _) => (false, "not caught".into(), None),
        (other, _) => no_verdict(other.as_ref(), options),
    })
}

/// One assertion of a property, to be looked at by itself.
struct Part {
    label: String,
    model: String,
}

impl Part {
    fn check(
        &self,
        how: &[&str],
        depth: u32,
        run: &str,
        what: &str,
        folder: &Path,
        options: &Options<'_>,
    ) -> Result<Option<Verdict>, FormalError> {
        let path = folder.join(PART);
        fs::write(&path, &self.model).map_err(|source| FormalError::File { path, source })?;
        let how = [how, &[PART]].concat();
        let found = smtbmc(&how, depth, run, what, folder, options)?;
        // The tool names others that do not hold in the trace, or none at all, though it was asked for this one.
        Ok(found.map(|verdict| match verdict {
            Verdict::Failed { step, .. } => Verdict::Failed {
                step,
                labels: vec![self.label.clone()],
            },
            other => other,
        }))
    }
}

/// The assertions of `property` as its model has them, the invariants first, each kind in the checker's order.
fn in_parts(
    property: &'static Property,
    what: &str,
    folder: &Path,
) -> Result<Vec<Part>, FormalError> {
    let model = text(&folder.join(MODEL))?;
    split(&model, property.checker)
        .ok_or_else(|| FormalError::ToolFailed {
            tool: "yosys",
            what: what.into(),
            log: "its model is not written as it was when this program was made: it cannot be taken apart".into(),
        })
}

/// The assertions of `model`: number and label.
fn assertions(model: &str) -> impl Iterator<Item = (&str, &str)> {
    model.lines().filter_map(|line| {
        let (number, path) = line.strip_prefix("; yosys-smt2-assert ")?.split_once(' ')?;
        let label = path.split_whitespace().next()?.rsplit('.').next()?;
        Some((number, label))
    })
}

/// Where `model` says what all assertions together are.
fn all_assertions() -> String {
    format!("(define-fun |{TOP}_a| (")
}

/// `model` with the assertion `label` alone.
fn alone(model: &str, label: &str) -> Option<String> {
    let (before, after) = model.split_once(&all_assertions())?;
    let (number, _) = assertions(model).find(|(_, of)| *of == label)?;
    Some(format!(
        "{before}(define-fun |{TOP}_a| ((state |{TOP}_s|)) Bool (|{TOP}_a {number}| state))\n\
         (define-fun |{TOP}_all| ({after}"
    ))
}

/// `model`, of which each step is to keep all assertions but the last one, to break only one there.
fn split(model: &str, checker: &str) -> Option<Vec<Part>> {
    let step =
        format!("(define-fun |{TOP}_t| ((state |{TOP}_s|) (next_state |{TOP}_s|)) Bool (and");
    let (before, after) = model.split_once(&all_assertions())?;
    let (between, after) = after.split_once(&step)?;
    let mut goals: Vec<(bool, usize, &str, &str)> = vec![];
    for (number, label) in assertions(model) {
        let place = checker.find(&format!(" {label}: assert ("))?;
        goals.push((!label.starts_with("inv_"), place, label, number));
    }
    goals.sort_unstable();
    let mut known = String::new();
    let parts = goals.iter().map(|(_, _, label, number)| {
        let part = Part {
            label: (*label).into(),
            model: format!(
                "{before}(define-fun |{TOP}_a| ((state |{TOP}_s|)) Bool (or {known}(|{TOP}_a {number}| state)))\n\
                 (define-fun |{TOP}_all| ({between}{step} (|{TOP}_all| state){after}"
            ),
        };
        known += &format!("(not (|{TOP}_a {number}| state)) ");
        part
    });
    Some(parts.collect())
}

/// Runs yosys-smtbmc to `depth`; none if it was given up.
fn smtbmc(
    how: &[&str],
    depth: u32,
    name: &str,
    what: &str,
    folder: &Path,
    options: &Options<'_>,
) -> Result<Option<Verdict>, FormalError> {
    let log = folder.join(format!("{name}.log"));
    let (depth, vcd) = (depth.to_string(), format!("{name}.vcd"));
    // Unrolled, a model takes the solvers seconds, and else forever.
    let mut args = vec![
        "--noprogress",
        "--unroll",
        "-s",
        options.solver,
        "-t",
        &depth,
    ];
    args.extend(["--dump-vcd", &vcd]);
    args.extend(how);
    let limit = Some(Duration::from_secs(options.seconds));
    let ended = tool("yosys-smtbmc", &args, folder, &log, limit)?;
    if matches!(ended, Ended::GivenUp) {
        return Ok(None);
    }
    let said = text(&log)?;
    match verdict(&said) {
        Some(verdict) => Ok(Some(verdict)),
        None => Err(FormalError::ToolFailed {
            tool: "yosys-smtbmc",
            what: what.into(),
            log: said,
        }),
    }
}

/// How a program ended.
enum Ended {
    /// By itself; -1 if by a signal.
    Code(i32),
    /// It took longer than it may.
    GivenUp,
}

/// Runs `program` in `folder`, what it prints into `log`.
fn tool(
    program: &str,
    args: &[&str],
    folder: &Path,
    log: &Path,
    limit: Option<Duration>,
) -> Result<Ended, FormalError> {
    let file = |source| FormalError::File {
        path: log.into(),
        source,
    };
    let out = File::create(log).map_err(file)?;
    let err = out.try_clone().map_err(file)?;
    // A group of its own: the solver is a child of the program, and both are to end.
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(|source| missing(program, source))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(file)? {
            return Ok(Ended::Code(status.code().unwrap_or(-1)));
        }
        if limit.is_some_and(|limit| start.elapsed() > limit) {
            if let Some(group) = Pid::from_raw(child.id() as i32) {
                // If it has just ended there is nothing to end.
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait().map_err(file)?;
            return Ok(Ended::GivenUp);
        }
        std::thread::sleep(LOOK);
    }
}

fn missing(program: &str, source: io::Error) -> FormalError {
    FormalError::ToolMissing {
        tool: program.into(),
        remedy: "apt-get install yosys brings it",
        source,
    }
}

/// That the solver can be run, which yosys-smtbmc would say less clearly.
fn need_solver(solver: &str) -> Result<(), FormalError> {
    // What yosys-smtbmc starts for the solvers that have another name.
    let program = match solver {
        "yices" => "yices-smt2",
        other => other,
    };
    Command::new(program)
        .arg("--version")
        .output()
        .map(drop)
        .map_err(|source| FormalError::ToolMissing {
            tool: program.into(),
            remedy: match solver {
                "z3" => "apt-get install z3 brings it",
                _ => "install it, or use --solver z3",
            },
            source,
        })
}

fn text(path: &Path) -> Result<String, FormalError> {
    fs::read_to_string(path).map_err(|source| FormalError::File {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_breaks_one_assertion_and_keeps_all_before_the_last_step() {
        let model = "; yosys-smt2-assert 0 bound.x (checker.sv:2)\n\
            ; yosys-smt2-assert 1 bound.inv_y\n\
            (define-fun |dut_a| ((state |dut_s|)) Bool (and\n  (|dut_a 0| state)\n  (|dut_a 1| state)\n))\n\
            (define-fun |dut_t| ((state |dut_s|) (next_state |dut_s|)) Bool (and\n  (= 1 1)\n))\n";
        let checker = "  x: assert (1);\n  inv_y: assert (1);\n";
        let parts = split(model, checker).expect("splits");
        let labels: Vec<_> = parts.iter().map(|part| part.label.as_str()).collect();
        assert_eq!(labels, ["inv_y", "x"]);
        let last = &parts[1].model;
        assert!(last.contains(
            "Bool (or (not (|dut_a 1| state)) (|dut_a 0| state)))\n(define-fun |dut_all| ((state"
        ));
        assert!(last.contains("Bool (and (|dut_all| state)\n  (= 1 1)"));
        assert!(split("", checker).is_none());

        let one = alone(model, "x").expect("is there");
        assert!(one.contains("Bool (|dut_a 0| state))\n(define-fun |dut_all| ((state"));
        assert!(alone(model, "z").is_none());
    }
}

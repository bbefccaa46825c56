//! From Verilog to figures: Yosys and nextpnr in steps, each of which is not done again while nothing that it depends on has changed.
use std::fs;
use std::path::{Path, PathBuf};

use super::area::{Ecp5, Xc7};
use super::error::SynthError;
use super::figures::{Figures, Measured};
use super::modules::Module;
use super::timing::{self, Report};
use super::tools::{Run, Tool};

const SOURCE: &str = "design.v";
const NETLIST: &str = "netlist.json";

/// What is done with each module.
pub(super) struct Plan {
    pub(super) yosys: Tool,
    /// For place and route, if it is wanted.
    pub(super) nextpnr: Option<Tool>,
    pub(super) xc7: bool,
    pub(super) ecp5: bool,
    pub(super) seeds: Vec<u32>,
    /// What nextpnr aims at.
    pub(super) mhz: u32,
    /// Each module has a folder in it.
    pub(super) folder: PathBuf,
    /// Nothing of earlier runs is used.
    pub(super) fresh: bool,
}

impl Plan {
    /// Steps for one module.
    pub(super) fn steps(&self) -> usize {
        let seeds = self.nextpnr.as_ref().map_or(0, |_| self.seeds.len());
        usize::from(self.xc7) + usize::from(self.ecp5) * (1 + seeds)
    }

    /// Does everything for `module`; `at` is told each step before it starts.
    ///
    /// # Errors
    /// When the design is not exported, or a tool fails or writes what is not understood.
    pub(super) fn measure(
        &self,
        module: Module,
        mut at: impl FnMut(String),
    ) -> Result<Measured, SynthError> {
        let name = module.name();
        let text = module.verilog().map_err(|reason| SynthError::Export {
            module: name,
            reason,
        })?;
        let place = Place::prepare(name, self.folder.join(name), &text, self.fresh)?;
        let mut figures = Figures::default();
        if self.xc7 {
            at(format!("{name}: synth_xilinx"));
            let args = yosys_args(&xc7_script(name));
            place.step("xc7", &self.yosys, &args, "")?;
            figures.xc7 = Some(Xc7::parse(&place.read("xc7.json")?)?);
            figures.logic_ps = timing::logic_ps(&place.read("xc7.sta")?);
        }
        if self.ecp5 {
            at(format!("{name}: synth_ecp5"));
            let args = yosys_args(&ecp5_script(name));
            let netlist = place.step("ecp5", &self.yosys, &args, "")?;
            figures.ecp5 = Some(Ecp5::parse(&place.read("ecp5.json")?)?);
            if let Some(nextpnr) = &self.nextpnr {
                let mut reports = vec![];
                for &seed in &self.seeds {
                    at(format!("{name}: nextpnr-ecp5, seed {seed}"));
                    let stage = format!("seed{seed}");
                    place.step(&stage, nextpnr, &self.nextpnr_args(seed), &netlist)?;
                    reports.push(Report::parse(&place.read(&report_name(seed))?)?);
                }
                (figures.fmax_mhz, figures.critical) = timing::medians(&reports);
            }
        }
        Ok(Measured { module, figures })
    }

    fn nextpnr_args(&self, seed: u32) -> Vec<String> {
        let fixed = "--85k --speed 6 --package CABGA756 --out-of-context --timing-allow-fail";
        let mut args: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
        for (option, value) in [
            ("--json", NETLIST.to_owned()),
            ("--freq", self.mhz.to_string()),
            ("--seed", seed.to_string()),
            ("--report", report_name(seed)),
        ] {
            args.extend([option.to_owned(), value]);
        }
        args
    }
}

fn report_name(seed: u32) -> String {
    format!("seed{seed}.json")
}

pub(super) fn yosys_args(script: &str) -> Vec<String> {
    vec!["-p".into(), script.into()]
}

/// Out of context, like the peers: no buffers at pins and clocks. `sta` adds up the delays of the mapped cells, without wires.
fn xc7_script(top: &str) -> String {
    format!(
        "read_verilog {SOURCE}; hierarchy -top {top}; \
         synth_xilinx -family xc7 -top {top} -flatten -noiopad -noclkbuf; tee -q -o xc7.json stat -json; \
         read_verilog -lib -specify +/xilinx/cells_sim.v; tee -q -o xc7.sta sta"
    )
}

fn ecp5_script(top: &str) -> String {
    format!(
        "read_verilog {SOURCE}; hierarchy -top {top}; \
         synth_ecp5 -top {top} -json {NETLIST}; tee -q -o ecp5.json stat -json"
    )
}

/// The folder of a module.
pub(super) struct Place {
    module: &'static str,
    folder: PathBuf,
}

impl Place {
    /// With `text` as the source, and without anything that came from another one.
    pub(super) fn prepare(
        module: &'static str,
        folder: PathBuf,
        text: &str,
        fresh: bool,
    ) -> Result<Self, SynthError> {
        let place = Self { module, folder };
        let source = place.folder.join(SOURCE);
        if !fresh && fs::read_to_string(&source).is_ok_and(|known| known == text) {
            return Ok(place);
        }
        if place.folder.exists() {
            fs::remove_dir_all(&place.folder).map_err(file(&place.folder))?;
        }
        fs::create_dir_all(&place.folder).map_err(file(&place.folder))?;
        fs::write(&source, text).map_err(file(&source))?;
        Ok(place)
    }

    /// Runs `tool`, unless it has run like this before on the same files. `from` tells what made those that it reads; returned is
    /// the same for those that it writes.
    pub(super) fn step(
        &self,
        stage: &str,
        tool: &Tool,
        args: &[String],
        from: &str,
    ) -> Result<String, SynthError> {
        let key = format!("{from}{} {}\n", tool.version, args.join(" "));
        let path = self.folder.join(format!("{stage}.key"));
        if fs::read_to_string(&path).is_ok_and(|known| known == key) {
            return Ok(key);
        }
        // What an interrupted run leaves must not pass for what the last one wrote.
        if path.exists() {
            fs::remove_file(&path).map_err(file(&path))?;
        }
        tool.run(&Run {
            module: self.module,
            stage,
            folder: &self.folder,
            args,
        })?;
        fs::write(&path, &key).map_err(file(&path))?;
        Ok(key)
    }

    pub(super) fn read(&self, name: &str) -> Result<String, SynthError> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).map_err(file(&path))
    }
}

/// For `map_err`: which file it was.
pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> SynthError {
    let path = path.to_owned();
    move |source| SynthError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tool that adds a line to a file.
    fn counter(version: &str) -> Tool {
        Tool {
            program: "sh".into(),
            version: version.into(),
        }
    }

    fn args(word: &str) -> Vec<String> {
        vec!["-c".into(), format!("echo {word} >> out")]
    }

    #[test]
    fn a_step_is_done_again_only_when_something_it_depends_on_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("mac");
        let place = |text: &str, fresh| {
            Place::prepare("mac", at.clone(), text, fresh).expect("a place to work in")
        };
        let mac = place("module mac;", false);
        let step = |place: &Place, version: &str, word: &str, from: &str| {
            let made = place.step("xc7", &counter(version), &args(word), from);
            made.expect("it runs");
            place.read("out").expect("a file").lines().count()
        };
        assert_eq!(step(&mac, "1", "a", ""), 1);
        assert_eq!(step(&mac, "1", "a", ""), 1, "all is the same");
        assert_eq!(step(&mac, "2", "a", ""), 2, "another version");
        assert_eq!(step(&mac, "2", "b", ""), 3, "other arguments");
        assert_eq!(step(&mac, "2", "b", "netlist"), 4, "another input");
        let same = place("module mac;", false);
        assert_eq!(step(&same, "2", "b", "netlist"), 4, "the same source");
        let other = place("module mac; // other", false);
        assert_eq!(step(&other, "2", "b", "netlist"), 1, "another source");
        let anew = place("module mac; // other", true);
        assert_eq!(step(&anew, "2", "b", "netlist"), 1, "nothing is kept");
    }

    #[test]
    fn what_a_failed_step_leaves_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::prepare("mac", folder.path().join("mac"), "", false);
        let place = place.expect("a place to work in");
        let tool = counter("1");
        place.step("xc7", &tool, &args("a"), "").expect("it runs");
        let fails = vec!["-c".into(), "echo half > out; false".into()];
        place.step("xc7", &tool, &fails, "").expect_err("it fails");
        place.step("xc7", &tool, &args("a"), "").expect("it runs");
        assert_eq!(place.read("out").expect("a file"), "half\na\n");
    }
}

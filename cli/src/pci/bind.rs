//! `ferrule bind` and `ferrule unbind`: a device given to programs, and back to the kernel.
use ferrule_driver::vfio::{BindError, BindOptions, Plan, Sysfs};

use super::sysfs;
use crate::args::{Bind, Unbind};
use crate::error::Error;
use crate::output;

/// Gives a device to vfio-pci.
///
/// # Errors
/// Why that must not or cannot be; then all is as it was.
pub(crate) fn bind(args: &Bind) -> Result<(), Error> {
    let sysfs = sysfs(&args.machine);
    let options = BindOptions {
        force: args.force,
        no_iommu: args.no_iommu,
    };
    let plan = sysfs.plan_bind(&args.address, options)?;
    if plan.steps().next().is_none() {
        output::line(&format!("{} is bound to vfio-pci already", args.address))?;
    } else {
        carry_out(&sysfs, &plan, &args.address, args.dry_run)?;
    }
    if args.dry_run {
        return Ok(());
    }
    // Bound is not all: the rest of the group, and permission.
    let address = sysfs
        .inspect(&args.address)
        .map_err(BindError::from)?
        .address;
    let (checked, kind) = match args.no_iommu {
        true => (sysfs.check_no_iommu(&address), "pci-no-iommu"),
        false => (sysfs.check(&address), "pci"),
    };
    match checked {
        Ok(_) => output::line(&format!("it can be used: --device {kind}:{address}")),
        Err(problem) => output::line(&format!("before it can be used: {problem}")),
    }
}

/// Gives a device back to the kernel.
///
/// # Errors
/// Why that must not or cannot be; then all is as it was.
pub(crate) fn unbind(args: &Unbind) -> Result<(), Error> {
    let sysfs = sysfs(&args.machine);
    let plan = sysfs.plan_unbind(&args.address)?;
    carry_out(&sysfs, &plan, &args.address, args.dry_run)
}

/// Prints the plan and, unless it is a dry run, carries it out.
fn carry_out(sysfs: &Sysfs, plan: &Plan, address: &str, dry_run: bool) -> Result<(), Error> {
    for step in plan.steps() {
        output::line(&step.to_string())?;
    }
    if dry_run {
        return output::line("nothing was written: it is a dry run");
    }
    let driver = sysfs.carry_out(plan, |step| tracing::info!(%step, "sysfs"))?;
    output::line(&match driver {
        Some(driver) => format!("{address} is bound to {driver}"),
        None => format!("{address} is bound to no driver: the kernel has none for it"),
    })
}

//! The machine's PCI devices: `ferrule list`, `ferrule bind`, `ferrule unbind`.
mod bind;
mod list;

pub(crate) use bind::{bind, unbind};
pub(crate) use list::run as list;

use ferrule_driver::vfio::Sysfs;

use crate::args::Machine;

/// The machine to look at.
fn sysfs(machine: &Machine) -> Sysfs {
    match &machine.root {
        None => Sysfs::default(),
        Some(root) => Sysfs::at(root),
    }
}

//! VFIO's modules for the guest's kernel, made anew: Debian's are made without the no-IOMMU mode, and everything else of them is as they are.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::output;
use super::error::{file, GuestError};
use super::packages::Packages;

/// Tools of the kernel's build whose C library may be newer than this machine's.
const TOOLS: [&str; 2] = [
    "scripts/mod/modpost.real-lsb-64",
    "tools/objtool/objtool.real-x86",
];
/// What the kernel was made with and the modules need not be: an option that only newer compilers have, and type information for tracing.
const WITHOUT: [&str; 2] = [
    "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=",
    "CONFIG_DEBUG_INFO_BTF_MODULES=",
];
/// The mode, as the kernel's configuration would have it.
const MODE: &str = "KCFLAGS=-DCONFIG_VFIO_NOIOMMU=1";

/// The folder with the modules, by their paths below the source's drivers/vfio; made in `packages_folder` if they are not there yet.
///
/// # Errors
/// When source, headers or tools cannot be had, or the source does not compile.
pub(super) fn make(packages: &Packages, packages_folder: &Path) -> Result<PathBuf, GuestError> {
    let folder = packages_folder.join("no-iommu");
    let vfio = folder.join("vfio");
    // Written last, so that what an interrupted run has left is not taken for the whole.
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(vfio);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(file(&folder))?;
    }
    fs::create_dir_all(&vfio).map_err(file(&vfio))?;
    let release = packages.fetch_kernel_source(&folder)?;
    unpack_source(&folder, &vfio)?;
    let headers = folder.join(format!("usr/src/linux-headers-{release}"));
    let common = include_below(&headers, &folder)?;
    for tool in TOOLS {
        run_with_loader(packages, &common.join(tool))?;
    }
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = Command::new("make");
    make.arg("-C").arg(&headers);
    make.arg(format!("M={}", vfio.display()));
    make.args(["CC=gcc", MODE]).args(WITHOUT);
    make.arg(format!("-j{jobs}")).arg("modules");
    output(&mut make, "the guest's modules are made with make and gcc")?;
    fs::write(&complete, "").map_err(file(&complete))?;
    Ok(vfio)
}

/// The kernel's source comes as an archive in a package; of it only VFIO's is needed.
fn unpack_source(folder: &Path, vfio: &Path) -> Result<(), GuestError> {
    let sources = folder.join("usr/src");
    let entries = fs::read_dir(&sources).map_err(file(&sources))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let archive = paths.find(|path| path.extension().is_some_and(|e| e == "xz"));
    let archive = archive.ok_or_else(|| GuestError::NotInPackages {
        what: "the kernel's source".into(),
        folder: sources.clone(),
    })?;
    let mut tar = Command::new("tar");
    tar.arg("-xJf").arg(&archive).arg("-C").arg(vfio);
    tar.args(["--strip-components=3", "--wildcards", "*/drivers/vfio"]);
    output(&mut tar, "the source is unpacked with tar and xz").map(drop)
}

/// The headers name those of all flavours by a path from the root: here they are below `folder`. Gives the path of the latter.
fn include_below(headers: &Path, folder: &Path) -> Result<PathBuf, GuestError> {
    let makefile = headers.join("Makefile");
    let text = fs::read_to_string(&makefile).map_err(file(&makefile))?;
    let common = text.trim().strip_prefix("include /");
    let common = common.ok_or_else(|| GuestError::NotInPackages {
        what: "what the headers of all flavours are included from".into(),
        folder: headers.to_owned(),
    })?;
    let common = folder.join(common);
    fs::write(&makefile, format!("include {}\n", common.display())).map_err(file(&makefile))?;
    Ok(common.parent().unwrap_or(folder).to_owned())
}

/// Puts a script in a tool's place that runs it with the loader and the libraries that came with QEMU.
fn run_with_loader(packages: &Packages, tool: &Path) -> Result<(), GuestError> {
    let mut packaged = tool.as_os_str().to_owned();
    packaged.push(".packaged");
    fs::rename(tool, &packaged).map_err(file(tool))?;
    let [loader, libraries] = packages.loader();
    let script = format!(
        "#!/bin/sh\nexec '{loader}' --library-path '{libraries}' '{}' \"$@\"\n",
        packaged.to_string_lossy()
    );
    fs::write(tool, script).map_err(file(tool))?;
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).map_err(file(tool))
}

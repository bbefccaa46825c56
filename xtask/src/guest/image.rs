//! The guest's file system: busybox, the modules of VFIO, the programs under test with their libraries, and the script that is its init.
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::output;
use super::error::{file, GuestError};
use super::packages::Packages;

/// How each guest begins and ends; between is a script of its own.
const INIT: &str = include_str!("init.sh");
/// Commands of busybox that the script uses.
const APPLETS: [&str; 10] = [
    "sh", "mount", "insmod", "cat", "poweroff", "grep", "sleep", "dmesg", "seq", "tail",
];
/// The folder of the kernel's source whose modules may be made anew.
const VFIO: &str = "drivers/vfio/";
/// In the order in which they are loaded.
const MODULES: [&str; 5] = [
    "virt/lib/irqbypass",
    "drivers/vfio/vfio",
    "drivers/vfio/vfio_iommu_type1",
    "drivers/vfio/pci/vfio-pci-core",
    "drivers/vfio/pci/vfio-pci",
];
const BINUTILS: &str = "it comes with binutils";
const BUSYBOX: &str = "busybox-static comes with the packages; this machine cannot run it";

/// What a guest has.
pub(super) struct Image<'a> {
    pub(super) packages: &'a Packages,
    /// Programs that its script runs.
    pub(super) programs: &'a [PathBuf],
    pub(super) script: &'a str,
    /// Where VFIO's modules are if they are not the packages' own.
    pub(super) vfio: Option<&'a Path>,
}

/// Makes the image in `folder`; gives its path.
///
/// # Errors
/// When a file or a tool is missing.
pub(super) fn make(image: &Image<'_>, folder: &Path) -> Result<PathBuf, GuestError> {
    let packages = image.packages;
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(file(&root))?;
    }
    for name in ["bin", "proc", "sys", "dev", "modules", "tmp"] {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(file(&path))?;
    }
    let busybox = root.join("bin/busybox");
    copy(&packages.busybox(), &busybox)?;
    for applet in APPLETS {
        let link = root.join("bin").join(applet);
        symlink("busybox", &link).map_err(file(&link))?;
    }
    let (_, modules) = packages.kernel()?;
    for (n, module) in MODULES.iter().enumerate() {
        let name = module.rsplit('/').next().unwrap_or(module);
        let path = root.join(format!("modules/{n}-{name}.ko"));
        if let (Some(vfio), Some(module)) = (image.vfio, module.strip_prefix(VFIO)) {
            let mut strip = Command::new("strip");
            strip.arg("--strip-debug").arg("-o").arg(&path);
            strip.arg(vfio.join(format!("{module}.ko")));
            output(&mut strip, BINUTILS)?;
            continue;
        }
        let packed = modules.join(format!("{module}.ko.xz"));
        let mut unpack = Command::new(&busybox);
        let from = fs::File::open(&packed).map_err(file(&packed))?;
        let to = fs::File::create(&path).map_err(file(&path))?;
        output(unpack.arg("xzcat").stdin(from).stdout(to), BUSYBOX)?;
    }
    for program in image.programs {
        add_program(program, &root)?;
    }
    let steps = root.join("steps");
    fs::write(&steps, image.script).map_err(file(&steps))?;
    let init = root.join("init");
    fs::write(&init, INIT).map_err(file(&init))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(file(&init))?;
    pack(&busybox, &root, folder)
}

/// Copies a program, without its debugging information, and the libraries that it is linked with.
fn add_program(program: &Path, root: &Path) -> Result<(), GuestError> {
    let name = program.file_name().unwrap_or_default();
    let to = root.join("bin").join(name);
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&to).arg(program);
    output(&mut strip, BINUTILS)?;
    let libraries = output(
        Command::new("ldd").arg(program),
        "it comes with the C library",
    )?;
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, or the loader's path alone.
    for word in libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let to = root.join(word.trim_start_matches('/'));
        if let (false, Some(folder)) = (to.exists(), to.parent()) {
            fs::create_dir_all(folder).map_err(file(folder))?;
            copy(Path::new(word), &to)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), GuestError> {
    fs::copy(from, to).map(drop).map_err(file(from))
}

/// The folder as the kernel takes it: a cpio archive, compressed.
fn pack(busybox: &Path, root: &Path, folder: &Path) -> Result<PathBuf, GuestError> {
    let path = folder.join("initramfs.gz");
    let to = fs::File::create(&path).map_err(file(&path))?;
    let mut shell = Command::new(busybox);
    shell
        .args(["sh", "-c"])
        .arg("set -o pipefail; find . | \"$0\" cpio -o -H newc 2>/dev/null | \"$0\" gzip -1")
        .arg(busybox)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(to);
    output(&mut shell, BUSYBOX)?;
    Ok(path)
}

//! QEMU, a kernel and busybox from Debian's archive, unpacked into a folder of their own: nothing of the machine's own packages or apt set-up
//! changes. QEMU has `vfio-user-pci` since 10.1, which Debian 13 has in its backports.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::output;
use super::error::{file, GuestError};

/// Where packages come from: the suite, and the one that goes before it.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
/// Whoever uses Debian has one of these in its apt set-up; a mirror named there is used.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";
const ARCHIVE: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Names the kernel's package of the day.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Where the kernel's package is kept, packed.
const GUEST: &str = "guest";
/// What QEMU's package asks for and its running does not need: packages with scripts that set up a system.
const SYSTEM_PACKAGES: [&str; 6] = [
    "adduser",
    "base-passwd",
    "debconf",
    "passwd",
    "login.defs",
    "ipxe",
];
const NEEDS_APT: &str =
    "QEMU and the guest's kernel come from Debian's archive, through apt and dpkg-deb";

/// Unpacked packages.
pub(super) struct Packages {
    /// What apt keeps.
    apt: PathBuf,
    /// QEMU's tree.
    qemu: PathBuf,
    /// The kernel's and busybox's tree.
    guest: PathBuf,
}

/// An apt that lives in a folder of its own.
struct Apt {
    root: PathBuf,
}

impl Apt {
    fn new(root: PathBuf) -> Result<Self, GuestError> {
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(file(&folder))?;
        }
        let sources = fs::read_to_string(SOURCES).unwrap_or_default();
        let field = |name: &str, default: &str| {
            let value = sources.lines().find_map(|line| line.strip_prefix(name));
            value.map_or(default.to_owned(), |value| value.trim().to_owned())
        };
        let (archive, keyring) = (field("URIs:", ARCHIVE), field("Signed-By:", KEYRING));
        let list: String = SUITES
            .iter()
            .map(|suite| format!("deb [signed-by={keyring}] {archive} {suite} main\n"))
            .collect();
        for (name, text) in [("sources.list", list.as_str()), ("status", "")] {
            let path = root.join(name);
            fs::write(&path, text).map_err(file(&path))?;
        }
        Ok(Self { root })
    }

    /// `apt-get` or `apt-cache` that knows this folder only.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, path) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::State", "state"),
            ("Dir::State::Lists", "state/lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Cache::archives", "cache/archives"),
        ] {
            let path = self.root.join(path);
            command
                .arg("-o")
                .arg(format!("{option}={}", path.display()));
        }
        for option in [
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::Etc::Preferences=/dev/null",
            "Dir::Etc::PreferencesParts=/dev/null",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "APT::Sandbox::User=root",
            "APT::Architecture=amd64",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-q").env("LC_ALL", "C");
        command
    }

    fn update(&self) -> Result<(), GuestError> {
        output(self.command("apt-get").arg("update"), NEEDS_APT).map(drop)
    }

    /// The package that the metapackage `name` stands for today.
    fn stands_for(&self, name: &str) -> Result<String, GuestError> {
        let text = output(self.command("apt-cache").args(["depends", name]), NEEDS_APT)?;
        let depends = text
            .lines()
            .find_map(|l| l.trim().strip_prefix("Depends: "));
        depends
            .map(str::to_owned)
            .ok_or_else(|| GuestError::NotInPackages {
                what: format!("what {name} depends on"),
                folder: self.root.clone(),
            })
    }

    /// Fetches a package with all that it depends on.
    fn fetch_with_dependencies(&self, name: &str) -> Result<Vec<PathBuf>, GuestError> {
        let mut command = self.command("apt-get");
        command.args(["-y", "--download-only", "--no-install-recommends"]);
        command.args(["-t", SUITES[1], "install", name]);
        output(&mut command, NEEDS_APT)?;
        packages_in(&self.root.join("cache/archives"))
    }

    /// Fetches packages alone, into a folder of this name.
    fn fetch(&self, folder: &str, names: &[&str]) -> Result<Vec<PathBuf>, GuestError> {
        let folder = self.root.join(folder);
        fs::create_dir_all(&folder).map_err(file(&folder))?;
        let mut command = self.command("apt-get");
        command.arg("download").args(names).current_dir(&folder);
        output(&mut command, NEEDS_APT)?;
        packages_in(&folder)
    }
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>, GuestError> {
    let entries = fs::read_dir(folder).map_err(file(folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        .collect())
}

fn unpack(packages: &[PathBuf], to: &Path) -> Result<(), GuestError> {
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        output(command.arg("-x").arg(package).arg(to), NEEDS_APT)?;
    }
    Ok(())
}

fn is_system_package(package: &Path) -> bool {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    SYSTEM_PACKAGES
        .iter()
        .any(|system| name.starts_with(system))
}

impl Packages {
    /// The packages in `folder`, fetched into it if they are not there yet.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(super) fn fetch(folder: &Path) -> Result<Self, GuestError> {
        let this = Self {
            apt: folder.join("apt"),
            qemu: folder.join("qemu"),
            guest: folder.join("guest"),
        };
        // Written last, so that what an interrupted run has left is not taken for the whole.
        let complete = folder.join("complete");
        if complete.exists() {
            return Ok(this);
        }
        let apt = Apt::new(this.apt.clone())?;
        apt.update()?;
        let mut qemu = apt.fetch_with_dependencies("qemu-system-x86")?;
        qemu.retain(|package| !is_system_package(package));
        unpack(&qemu, &this.qemu)?;
        let kernel = apt.stands_for(KERNEL)?;
        let guest = apt.fetch(GUEST, &[&kernel, "busybox-static"])?;
        unpack(&guest, &this.guest)?;
        fs::write(&complete, "").map_err(file(&complete))?;
        Ok(this)
    }

    /// Fetches what modules of the guest's kernel are made with, that of exactly its version, and unpacks it into `folder`; gives the kernel's release.
    ///
    /// # Errors
    /// When that cannot be had (any more).
    pub(super) fn fetch_kernel_source(&self, folder: &Path) -> Result<String, GuestError> {
        let not_there = |what: &str| GuestError::NotInPackages {
            what: what.into(),
            folder: self.apt.clone(),
        };
        let release = self.release()?;
        let packed = packages_in(&self.apt.join(GUEST))?;
        let is_image = |package: &&PathBuf| {
            let name = package.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("linux-image-")
        };
        let image = packed.iter().find(is_image);
        let image = image.ok_or_else(|| not_there("the kernel's package"))?;
        let mut field = Command::new("dpkg-deb");
        field.arg("-f").arg(image).arg("Version");
        let version = output(&mut field, NEEDS_APT)?;
        // 6.12.117+deb13-cloud-amd64: the headers of all flavours of 6.12.117+deb13, and the source of 6.12.
        let common = release.split('-').next().unwrap_or_default();
        let series: Vec<_> = release.splitn(3, '.').take(2).collect();
        let apt = Apt::new(self.apt.clone())?;
        apt.update()?;
        let packages = [
            format!("linux-headers-{release}"),
            format!("linux-headers-{common}-common"),
            format!("linux-kbuild-{common}"),
            format!("linux-source-{}={}", series.join("."), version.trim()),
        ];
        let packages = packages.each_ref().map(String::as_str);
        unpack(&apt.fetch("source", &packages)?, folder)?;
        Ok(release)
    }

    /// QEMU, run with the loader and the libraries that came with it.
    pub(super) fn qemu(&self) -> Command {
        let at = |path: &str| self.qemu.join(path).display().to_string();
        let [loader, libraries] = self.loader();
        let mut command = Command::new(loader);
        command.arg("--library-path").arg(libraries);
        command.args(["--argv0", "qemu-system-x86_64"]);
        command.arg(at("usr/bin/qemu-system-x86_64"));
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(at(folder));
        }
        command
    }

    /// The loader for programs of the packages, and the path of libraries that it is to be told.
    pub(super) fn loader(&self) -> [String; 2] {
        let at = |path: &str| self.qemu.join(path).display().to_string();
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        [
            at("usr/lib64/ld-linux-x86-64.so.2"),
            libraries.map(at).join(":"),
        ]
    }

    /// What the kernel calls itself.
    fn release(&self) -> Result<String, GuestError> {
        let modules = self.guest.join("usr/lib/modules");
        let version = fs::read_dir(&modules)
            .map_err(file(&modules))?
            .flatten()
            .next();
        let version = version.ok_or_else(|| GuestError::NotInPackages {
            what: "a kernel".into(),
            folder: self.guest.clone(),
        })?;
        Ok(version.file_name().to_string_lossy().into_owned())
    }

    /// The kernel and the folder of its modules.
    ///
    /// # Errors
    /// When the package holds none.
    pub(super) fn kernel(&self) -> Result<(PathBuf, PathBuf), GuestError> {
        let release = self.release()?;
        let modules = format!("usr/lib/modules/{release}/kernel");
        let image = format!("boot/vmlinuz-{release}");
        Ok((self.guest.join(image), self.guest.join(modules)))
    }

    /// A busybox without libraries.
    pub(super) fn busybox(&self) -> PathBuf {
        self.guest.join("usr/bin/busybox")
    }
}

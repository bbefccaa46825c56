//! Why the kernel's VFIO does not give a device, and what mends it.
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows its devices. Tests look elsewhere.
#[derive(Clone, Debug)]
pub struct Sysfs {
    /// Normally `/sys`.
    pub sys: PathBuf,
    /// Normally `/dev`.
    pub dev: PathBuf,
    /// Normally `/proc`.
    pub proc: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
            proc: "/proc".into(),
        }
    }
}

/// A device that shares an IOMMU group, and who drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its PCI address.
    pub address: String,
    /// Its driver, if it has one.
    pub driver: Option<String>,
}

impl fmt::Display for GroupMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.driver {
            Some(driver) => write!(f, "{}, bound to {driver}", self.address),
            None => write!(f, "{}, bound to no driver", self.address),
        }
    }
}

/// Why the kernel's VFIO does not give a device.
#[derive(Debug, thiserror::Error)]
pub enum VfioProblem {
    /// No PCI address.
    #[error(
        "{0:?} is no PCI address; write domain:bus:device.function in hexadecimal, as 0000:01:00.0"
    )]
    Address(String),
    /// No such device.
    #[error("there is no PCI device {0}; `lspci -D` lists those there are")]
    Missing(String),
    /// No IOMMU works on it.
    #[error("PCI device {0} is in no IOMMU group: turn the IOMMU on in the firmware (VT-d, AMD-Vi, SMMU) and, on Intel, boot with intel_iommu=on; `ferrule bind --no-iommu {0}` does without one, and then {NOTHING_GUARDS}")]
    NoGroup(String),
    /// No IOMMU works on it, and that was not agreed to.
    #[error("PCI device {0} is behind no IOMMU: {NOTHING_GUARDS}; name it pci-no-iommu:{0} if that may be")]
    NotGuarded(String),
    /// An IOMMU works on it, so that nothing need be given up.
    #[error("PCI device {0} is in IOMMU group {1}: name it pci:{0}, and bind it without --no-iommu, so that it reaches no memory but what it is given")]
    Guarded(String, String),
    /// The kernel cannot do without an IOMMU.
    #[error("this kernel has no VFIO without an IOMMU (CONFIG_VFIO_NOIOMMU is not set, as in Debian's): {0} is not there; an IOMMU or another kernel is needed")]
    NoUnsafeMode(PathBuf),
    /// The kernel's VFIO is not to do without an IOMMU.
    #[error("the kernel's VFIO is not to do without an IOMMU: as root, echo Y > {0}")]
    UnsafeModeOff(PathBuf),
    /// Only the most privileged may have a device that no IOMMU guards.
    #[error(
        "no permission for {0}: a device that no IOMMU guards is for root alone (CAP_SYS_RAWIO)"
    )]
    RawIo(PathBuf),
    /// The kernel does not say where memory is.
    #[error("{0} does not say where memory is: only root may know (CAP_SYS_ADMIN), and a device without an IOMMU must be told")]
    Hidden(PathBuf),
    /// No huge pages that follow each other in physical memory.
    #[error("{wanted} huge page(s) of 2 MiB in a row are needed where no IOMMU puts memory together, and there is no such row among the {had} that could be had: echo {more} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, best while booting (hugepages={more}), before memory is in pieces")]
    HugePages {
        /// How many must follow each other.
        wanted: usize,
        /// How many could be had.
        had: usize,
        /// How many the machine should set aside.
        more: usize,
    },
    /// Not where the device would look.
    #[error("without an IOMMU the device sees this memory at {address:#x}, not at {iova:#x}")]
    NotThere {
        /// What was asked for.
        iova: u64,
        /// Where it is in physical memory.
        address: u64,
    },
    /// Memory that may be anywhere.
    #[error("without an IOMMU the device needs memory in one piece that stays where it is; this is not of its own making (Device::dma_memory)")]
    InPieces,
    /// Another driver has it, or none.
    #[error("{member}; VFIO needs vfio-pci: `ferrule bind {address}`, or modprobe vfio-pci; {unbind}echo vfio-pci > /sys/bus/pci/devices/{address}/driver_override; echo {address} > /sys/bus/pci/drivers_probe", address = member.address, unbind = unbind_command(member))]
    Driver {
        /// The device and its driver.
        member: GroupMember,
    },
    /// `/dev/vfio/vfio` is not there.
    #[error("{0} is not there: modprobe vfio-pci (in a container, pass /dev/vfio in)")]
    NoVfio(PathBuf),
    /// No permission for a file of VFIO's.
    #[error("no permission for {0}: as root, chown it to the user that runs this")]
    Permission(PathBuf),
    /// The group is open elsewhere.
    #[error("{0} is in use by another process: end it first (`fuser {0}` tells which)")]
    Busy(PathBuf),
    /// Other devices of the group are driven by the kernel.
    #[error("IOMMU group {group} also holds {}; unbind what is not on vfio-pci, or move the card to a slot with a group of its own", list(others))]
    NotViable {
        /// The group's number.
        group: String,
        /// Its other devices that are not on vfio-pci.
        others: Vec<GroupMember>,
    },
    /// Locked memory is limited.
    #[error("DMA memory of {len} bytes cannot be locked: the limit is {limit} bytes; raise it with `ulimit -l unlimited`, LimitMEMLOCK= in systemd, or memlock in /etc/security/limits.conf")]
    Memlock {
        /// Bytes asked for.
        len: usize,
        /// RLIMIT_MEMLOCK.
        limit: u64,
    },
    /// Something else.
    #[error("VFIO on {address}: {text}")]
    Other {
        /// The device.
        address: String,
        /// What the kernel's interface said.
        text: String,
    },
}

/// What no IOMMU means.
const NOTHING_GUARDS: &str = "nothing keeps it from reading and writing all of memory";
/// What the kernel calls a group that it has made for a device without an IOMMU (vfio/group.c).
const NO_IOMMU_GROUP: &str = "vfio-noiommu";

fn unbind_command(member: &GroupMember) -> String {
    match &member.driver {
        Some(_) => format!(
            "echo {0} > /sys/bus/pci/devices/{0}/driver/unbind; ",
            member.address
        ),
        None => String::new(),
    }
}

fn list(members: &[GroupMember]) -> String {
    let texts: Vec<_> = members.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// `address` in full (`01:00.0` is in domain 0000), lower case.
///
/// # Errors
/// [`VfioProblem::Address`].
pub fn parse_address(address: &str) -> Result<String, VfioProblem> {
    let bad = || VfioProblem::Address(address.into());
    let hex = |text: &str, digits: usize, most: u32| {
        let ok = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        ok && u32::from_str_radix(text, 16).is_ok_and(|n| n <= most)
    };
    let full = match address.matches(':').count() {
        1 => format!("0000:{address}"),
        _ => address.to_string(),
    };
    let (domain, rest) = full.split_once(':').ok_or_else(bad)?;
    let (bus, rest) = rest.split_once(':').ok_or_else(bad)?;
    let (device, function) = rest.split_once('.').ok_or_else(bad)?;
    let fine =
        hex(domain, 4, 0xFFFF) && hex(bus, 2, 0xFF) && hex(device, 2, 0x1F) && hex(function, 1, 7);
    fine.then(|| full.to_ascii_lowercase()).ok_or_else(bad)
}

pub(super) fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_str()?.to_string())
}

impl Sysfs {
    /// A machine whose `sys`, `dev` and `proc` are folders of `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
        }
    }

    /// The device's folder.
    pub fn device(&self, address: &str) -> PathBuf {
        self.sys.join("bus/pci/devices").join(address)
    }

    fn member(&self, address: &str) -> GroupMember {
        GroupMember {
            address: address.into(),
            driver: link_name(&self.device(address).join("driver")),
        }
    }

    /// Looks at all that must be right before VFIO can be opened; gives the number of the device's IOMMU group.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, address: &str) -> Result<String, VfioProblem> {
        let group = self.group(address)?;
        let member = self.member(address);
        if member.driver.as_deref() != Some("vfio-pci") {
            return Err(VfioProblem::Driver { member });
        }
        if self.is_no_iommu(&group) {
            return Err(VfioProblem::NotGuarded(address.into()));
        }
        let others = self.others(&group, address);
        if !others.is_empty() {
            return Err(VfioProblem::NotViable { group, others });
        }
        self.check_files(address, &group)?;
        Ok(group)
    }

    /// As [`check`](Self::check), for a device that no IOMMU is in front of: a group of its own that the kernel has made for it.
    ///
    /// # Errors
    /// The first thing that is wrong; [`VfioProblem::Guarded`] if there is an IOMMU.
    pub fn check_no_iommu(&self, address: &str) -> Result<String, VfioProblem> {
        let group = self.group(address)?;
        if !self.is_no_iommu(&group) {
            return Err(VfioProblem::Guarded(address.into(), group));
        }
        let member = self.member(address);
        if member.driver.as_deref() != Some("vfio-pci") {
            return Err(VfioProblem::Driver { member });
        }
        self.check_files(address, &group)?;
        Ok(group)
    }

    fn group(&self, address: &str) -> Result<String, VfioProblem> {
        let device = self.device(address);
        if !device.exists() {
            return Err(VfioProblem::Missing(address.into()));
        }
        link_name(&device.join("iommu_group")).ok_or_else(|| VfioProblem::NoGroup(address.into()))
    }

    /// Whether the kernel has made this group for a device without an IOMMU.
    pub(super) fn is_no_iommu(&self, group: &str) -> bool {
        let name = self.sys.join("kernel/iommu_groups").join(group);
        fs::read_to_string(name.join("name")).is_ok_and(|name| name.trim() == NO_IOMMU_GROUP)
    }

    /// The file by which a program has a group.
    pub(super) fn group_file(&self, group: &str) -> PathBuf {
        let name = match self.is_no_iommu(group) {
            true => format!("noiommu-{group}"),
            false => group.to_owned(),
        };
        self.dev.join("vfio").join(name)
    }

    /// Whether VFIO does without an IOMMU: a parameter of its module.
    pub(super) fn unsafe_mode(&self) -> PathBuf {
        self.sys
            .join("module/vfio/parameters/enable_unsafe_noiommu_mode")
    }

    /// Whether container and group can be opened.
    fn check_files(&self, address: &str, group: &str) -> Result<(), VfioProblem> {
        for path in [self.dev.join("vfio/vfio"), self.group_file(group)] {
            if let Err(e) = fs::OpenOptions::new().read(true).write(true).open(&path) {
                let is_raw = self.is_no_iommu(group) && path != self.dev.join("vfio/vfio");
                return Err(match e.kind() {
                    io::ErrorKind::PermissionDenied if is_raw => VfioProblem::RawIo(path),
                    _ => Self::file(address, path, &e),
                });
            }
        }
        Ok(())
    }

    pub(super) fn file(address: &str, path: PathBuf, e: &io::Error) -> VfioProblem {
        match e.kind() {
            io::ErrorKind::NotFound => VfioProblem::NoVfio(path),
            io::ErrorKind::PermissionDenied => VfioProblem::Permission(path),
            io::ErrorKind::ResourceBusy => VfioProblem::Busy(path),
            _ => VfioProblem::Other {
                address: address.into(),
                text: format!("{}: {e}", path.display()),
            },
        }
    }

    /// Members of the group, other than `address`, that make it not viable: driven by something else than vfio-pci, PCI bridges
    /// (pcieport) excepted, as the kernel does.
    fn others(&self, group: &str, address: &str) -> Vec<GroupMember> {
        let mut others = self.group_of(group, address);
        others.retain(|m| {
            let harmless = ["vfio-pci", "pcieport", "pci-stub"];
            m.driver.as_deref().is_some_and(|d| !harmless.contains(&d))
        });
        others
    }

    /// All members of the group, other than `address`.
    pub(super) fn group_of(&self, group: &str, address: &str) -> Vec<GroupMember> {
        let folder = self
            .sys
            .join("kernel/iommu_groups")
            .join(group)
            .join("devices");
        let mut others: Vec<_> = names(&folder)
            .filter(|name| name != address)
            .map(|name| self.member(&name))
            .collect();
        others.sort_by(|a, b| a.address.cmp(&b.address));
        others
    }
}

/// Names in a folder; none if it is not there.
pub(super) fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine with the devices given (address, driver, group).
    fn machine(devices: &[(&str, &str, &str)]) -> (tempfile::TempDir, Sysfs) {
        let dir = tempfile::tempdir().unwrap();
        let at = Sysfs::at(dir.path());
        fs::create_dir_all(at.dev.join("vfio")).unwrap();
        for (address, driver, group) in devices {
            let device = at.device(address);
            fs::create_dir_all(&device).unwrap();
            if !driver.is_empty() {
                symlink(
                    format!("../../../bus/pci/drivers/{driver}"),
                    device.join("driver"),
                )
                .unwrap();
            }
            if !group.is_empty() {
                symlink(
                    format!("../../../kernel/iommu_groups/{group}"),
                    device.join("iommu_group"),
                )
                .unwrap();
                let members = at
                    .sys
                    .join("kernel/iommu_groups")
                    .join(group)
                    .join("devices");
                fs::create_dir_all(members.join(address)).unwrap();
            }
        }
        (dir, at)
    }

    const NIC: &str = "0000:01:00.0";

    fn text(at: &Sysfs) -> String {
        at.check(NIC).unwrap_err().to_string()
    }

    #[test]
    fn addresses_are_checked_and_completed() {
        for (given, full) in [
            ("0000:01:00.0", "0000:01:00.0"),
            ("01:1f.7", "0000:01:1f.7"),
            ("ABCD:Ef:00.0", "abcd:ef:00.0"),
        ] {
            assert_eq!(parse_address(given).unwrap(), full);
        }
        for bad in [
            "",
            "01:00",
            "1:00.0",
            "01:20.0",
            "01:00.8",
            "0000:01:00.0/../..",
            "00000:01:00.0",
            "0:0:0.0",
            "+001:00.0",
            "0000:01:00.00",
        ] {
            assert!(parse_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn each_obstacle_is_named_with_what_mends_it() {
        let (_dir, at) = machine(&[]);
        assert!(matches!(at.check(NIC), Err(VfioProblem::Missing(_))));
        let (_dir, at) = machine(&[(NIC, "vfio-pci", "")]);
        assert!(text(&at).contains("intel_iommu=on"));
        let (_dir, at) = machine(&[(NIC, "e1000e", "12")]);
        assert!(text(&at).contains("bound to e1000e") && text(&at).contains("driver/unbind"));
        let (_dir, at) = machine(&[(NIC, "", "12")]);
        assert!(text(&at).contains("bound to no driver") && !text(&at).contains("unbind"));
        let (_dir, at) = machine(&[(NIC, "vfio-pci", "12")]);
        assert!(
            matches!(at.check(NIC), Err(VfioProblem::NoVfio(p)) if p.ends_with("dev/vfio/vfio"))
        );
        fs::write(at.dev.join("vfio/vfio"), "").unwrap();
        assert!(matches!(at.check(NIC), Err(VfioProblem::NoVfio(p)) if p.ends_with("dev/vfio/12")));
        fs::write(at.dev.join("vfio/12"), "").unwrap();
        assert_eq!(at.check(NIC).unwrap(), "12");
    }

    /// As the kernel names the group that it makes.
    fn name_no_iommu(at: &Sysfs, group: &str) {
        let name = at.sys.join("kernel/iommu_groups").join(group).join("name");
        fs::write(name, "vfio-noiommu\n").unwrap();
    }

    #[test]
    fn a_device_without_an_iommu_is_had_by_its_own_name_alone() {
        let (_dir, at) = machine(&[(NIC, "vfio-pci", "3")]);
        name_no_iommu(&at, "3");
        let error = text(&at);
        assert!(error.contains("all of memory"), "{error}");
        assert!(
            error.contains("pci-no-iommu:0000:01:00.0 if that may be"),
            "{error}"
        );
        fs::write(at.dev.join("vfio/vfio"), "").unwrap();
        // The kernel's name for the group's file.
        assert!(
            matches!(at.check_no_iommu(NIC), Err(VfioProblem::NoVfio(p)) if p.ends_with("dev/vfio/noiommu-3"))
        );
        fs::write(at.dev.join("vfio/noiommu-3"), "").unwrap();
        assert_eq!(at.check_no_iommu(NIC).unwrap(), "3");
        assert!(matches!(at.check(NIC), Err(VfioProblem::NotGuarded(_))));
    }

    #[test]
    fn a_device_behind_an_iommu_is_not_had_without() {
        let (_dir, at) = machine(&[(NIC, "vfio-pci", "3")]);
        for file in ["vfio", "3", "noiommu-3"] {
            fs::write(at.dev.join("vfio").join(file), "").unwrap();
        }
        let error = at.check_no_iommu(NIC).unwrap_err().to_string();
        assert!(
            error.contains("IOMMU group 3: name it pci:0000:01:00.0"),
            "{error}"
        );
        assert_eq!(at.check(NIC).unwrap(), "3");
        // A group may have a name that means something else.
        let name = at.sys.join("kernel/iommu_groups/3/name");
        fs::write(name, "other\n").unwrap();
        assert_eq!(at.check(NIC).unwrap(), "3");
    }

    #[test]
    fn what_is_not_bound_or_not_there_is_said_without_an_iommu_too() {
        let (_dir, at) = machine(&[]);
        assert!(matches!(
            at.check_no_iommu(NIC),
            Err(VfioProblem::Missing(_))
        ));
        let (_dir, at) = machine(&[(NIC, "e1000e", "")]);
        let error = at.check_no_iommu(NIC).unwrap_err().to_string();
        assert!(
            error.contains("ferrule bind --no-iommu 0000:01:00.0"),
            "{error}"
        );
    }

    #[test]
    fn a_group_with_others_names_who_they_are() {
        let (_dir, at) = machine(&[
            (NIC, "vfio-pci", "12"),
            ("0000:00:1c.0", "pcieport", "12"),
            ("0000:01:00.1", "xhci_hcd", "12"),
            ("0000:01:00.2", "", "12"),
            ("0000:02:00.0", "nvme", "13"),
        ]);
        match at.check(NIC) {
            Err(VfioProblem::NotViable { group, others }) => {
                assert_eq!(group, "12");
                let other = GroupMember {
                    address: "0000:01:00.1".into(),
                    driver: Some("xhci_hcd".into()),
                };
                assert_eq!(others, [other]);
            }
            other => panic!("{other:?}"),
        }
        assert!(text(&at).contains("IOMMU group 12 also holds 0000:01:00.1, bound to xhci_hcd;"));
    }
}

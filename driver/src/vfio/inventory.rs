//! The PCI devices of a machine: what they are, who drives them, who holds them.
use super::diagnose::{link_name, names};
use super::{parse_address, GroupMember, Sysfs, VfioProblem};
use crate::ports::room;
use ferrule_abi::{BAR_REGS, PCI_DEVICE, PCI_VENDOR};
use std::fs;
use std::path::Path;

/// Class 02h in bits 23:16 of the class code: a network controller (PCI Code and ID Assignment).
const NETWORK: u32 = 0x02;
/// IFF_UP of an interface's flags (linux/if.h).
const IFF_UP: u32 = 1;
/// RTF_UP of a route's flags (linux/route.h).
const RTF_UP: u32 = 1;

/// A process that has a VFIO group open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel cuts it.
    pub name: String,
}

/// A network interface that the kernel has on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub is_up: bool,
    /// Whether a default route goes out there.
    pub has_default_route: bool,
}

/// A PCI device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Its address in full.
    pub address: String,
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
    /// Class code: class, subclass and interface in bits 23:0.
    pub class: u32,
    /// Its driver, if it has one.
    pub driver: Option<String>,
    /// The only driver that may have it, if that is said.
    pub driver_override: Option<String>,
    /// Its IOMMU group, if it has one.
    pub group: Option<String>,
    /// Whether that group is one that the kernel has made for a device without an IOMMU.
    pub no_iommu: bool,
    /// The group's other devices.
    pub others: Vec<GroupMember>,
    /// Who has the group open, as far as one may see.
    pub holders: Vec<Holder>,
    /// The kernel's network interfaces on it.
    pub interfaces: Vec<Interface>,
    /// How many ports of a Ferrule NIC its BAR0 has room for; what is there shows when it is opened.
    pub ports: u8,
}

impl PciDevice {
    /// Whether it has the ids of a Ferrule NIC whose board does not give it its own.
    pub fn is_ferrule(&self) -> bool {
        (self.vendor, self.device) == (PCI_VENDOR, PCI_DEVICE)
    }

    /// Whether it is a network controller.
    pub fn is_network(&self) -> bool {
        self.class >> 16 == NETWORK
    }
}

fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// A hexadecimal number as sysfs writes it.
fn number(path: &Path) -> Option<u32> {
    let text = text(path)?;
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Bytes of a BAR by the file `resource`, whose line n has BAR n's first and last address and its flags; 0 if it has none.
fn bar_size(path: &Path, bar: u8) -> u64 {
    let size = |line: &str| {
        let hex = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        let mut words = line.split_whitespace().map(hex);
        let (first, last) = (words.next()??, words.next()??);
        // One that is not there has zeros.
        last.checked_sub(first).filter(|_| last > 0)?.checked_add(1)
    };
    let lines = text(path).unwrap_or_default();
    lines.lines().nth(bar.into()).and_then(size).unwrap_or(0)
}

impl Sysfs {
    /// All PCI devices, by their address. One that goes away meanwhile is left out.
    pub fn devices(&self) -> Vec<PciDevice> {
        let mut addresses: Vec<_> = names(&self.sys.join("bus/pci/devices")).collect();
        addresses.sort();
        addresses
            .iter()
            .filter_map(|address| self.inspect(address).ok())
            .collect()
    }

    /// The device at this address, with or without its domain.
    ///
    /// # Errors
    /// [`VfioProblem::Address`], [`VfioProblem::Missing`].
    pub fn inspect(&self, address: &str) -> Result<PciDevice, VfioProblem> {
        let address = parse_address(address)?;
        let folder = self.device(&address);
        let ids = ["vendor", "device", "class"].map(|name| number(&folder.join(name)));
        let [Some(vendor), Some(device), Some(class)] = ids else {
            return Err(VfioProblem::Missing(address));
        };
        let group = link_name(&folder.join("iommu_group"));
        let others = group.as_ref().map(|group| self.group_of(group, &address));
        let holders = group.as_ref().map(|group| self.holders(group));
        // Without one the kernel writes "(null)".
        let driver_override = text(&folder.join("driver_override"));
        Ok(PciDevice {
            vendor: vendor as u16,
            device: device as u16,
            class,
            driver: link_name(&folder.join("driver")),
            driver_override: driver_override.filter(|d| !d.is_empty() && d != "(null)"),
            others: others.unwrap_or_default(),
            holders: holders.unwrap_or_default(),
            interfaces: self.interfaces(&folder.join("net")),
            no_iommu: group.as_ref().is_some_and(|group| self.is_no_iommu(group)),
            ports: room(bar_size(&folder.join("resource"), BAR_REGS)),
            group,
            address,
        })
    }

    /// The processes that have the group's file open; those of others show to root only.
    fn holders(&self, group: &str) -> Vec<Holder> {
        let file = self.group_file(group);
        let has_it = |pid: &u32| {
            let folder = self.proc.join(pid.to_string()).join("fd");
            let mut fds = names(&folder);
            fds.any(|fd| fs::read_link(folder.join(fd)).is_ok_and(|target| target == file))
        };
        let mut pids: Vec<u32> = names(&self.proc).filter_map(|n| n.parse().ok()).collect();
        pids.sort_unstable();
        let holder = |pid: u32| Holder {
            pid,
            name: text(&self.proc.join(pid.to_string()).join("comm")).unwrap_or_default(),
        };
        pids.into_iter().filter(has_it).map(holder).collect()
    }

    fn interfaces(&self, folder: &Path) -> Vec<Interface> {
        let mut interfaces: Vec<_> = names(folder)
            .map(|name| Interface {
                is_up: number(&folder.join(&name).join("flags")).is_some_and(|f| f & IFF_UP != 0),
                has_default_route: self.has_default_route(&name),
                name,
            })
            .collect();
        interfaces.sort_by(|a, b| a.name.cmp(&b.name));
        interfaces
    }

    /// Whether a default route goes out by the interface, of IPv4 or IPv6 (proc_net(5)).
    fn has_default_route(&self, interface: &str) -> bool {
        let lines = |name: &str| text(&self.proc.join("net").join(name)).unwrap_or_default();
        let hex = |word: &str| u32::from_str_radix(word, 16).ok();
        let ipv4 = lines("route").lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            matches!(words[..], [name, to, _, flags, _, _, _, mask, ..]
                if name == interface
                    && hex(to) == Some(0)
                    && hex(mask) == Some(0)
                    && hex(flags).is_some_and(|f| f & RTF_UP != 0))
        });
        let ipv6 = lines("ipv6_route").lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            matches!(words[..], [to, prefix, _, _, _, _, _, _, flags, name]
                if name == interface
                    && to.bytes().all(|b| b == b'0')
                    && prefix == "00"
                    && hex(flags).is_some_and(|f| f & RTF_UP != 0))
        });
        ipv4 || ipv6
    }
}

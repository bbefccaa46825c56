//! Devices by their names, and the functions with several ports that this process has open.
use super::{count_ports, Function, Shared};
use crate::lock::Mutex;
use crate::vfio::{parse_address, KernelVfio};
use crate::vfio_user::VfioUser;
use crate::{Device, DeviceError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

/// Opens the device that `spec` names: `pci:0000:01:00.0` through the kernel's VFIO, `vfio-user:PATH` over a unix socket. `#1` at the end names the second
/// of several ports behind it, `#0` or nothing the first; those that a process opens share the function. A path that ends in `#` and digits of its own
/// is to be followed by `#0`.
///
/// `pci-no-iommu:0000:01:00.0` is a PCI device that no IOMMU is in front of, through the kernel's VFIO in its no-IOMMU mode. Nothing keeps such a device
/// from reading and writing all of memory: a fault of its hardware, or a wrong address in one of its registers, is one of the whole machine. So it is never
/// taken for a `pci:` device, nor one behind an IOMMU for this.
///
/// # Errors
/// [`DeviceError::Spec`] for anything else; [`DeviceError::NoPort`], [`DeviceError::PortOpen`]; otherwise why the device cannot be had.
pub fn open(spec: &str) -> Result<Box<dyn Device>, DeviceError> {
    let (place, port) = Place::parse(spec)?;
    let slot = slot(&place);
    let mut function = slot.lock();
    if let Some(open) = function.upgrade().and_then(Function::again) {
        return Ok(Box::new(open.open(port)?));
    }
    let mut device = place.open()?;
    let ports = count_ports(&mut *device)?;
    if port >= u32::from(ports) {
        return Err(DeviceError::NoPort { port, ports });
    }
    if ports == 1 {
        // It has nobody to share with.
        return Ok(device);
    }
    let opened = Function::with_ports(device, ports)?;
    *function = Arc::downgrade(&opened.0);
    Ok(Box::new(opened.open(port)?))
}

/// Where a function is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Its address, with the domain.
    Pci(String),
    /// Its address, with the domain; no IOMMU is in front of it.
    PciNoIommu(String),
    /// Its socket.
    Socket(PathBuf),
}

impl Place {
    /// The place and the number of the port.
    fn parse(spec: &str) -> Result<(Self, u32), DeviceError> {
        let unknown = || DeviceError::Spec(spec.into());
        let (kind, name) = spec.split_once(':').ok_or_else(unknown)?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (name, port) = match name.rsplit_once('#') {
            Some((name, port)) if is_number(port) => (name, port.parse().map_err(|_| unknown())?),
            _ => (name, 0),
        };
        let place = match kind {
            "pci" => Self::Pci(parse_address(name)?),
            "pci-no-iommu" => Self::PciNoIommu(parse_address(name)?),
            "vfio-user" if !name.is_empty() => Self::Socket(name.into()),
            _ => return Err(unknown()),
        };
        Ok((place, port))
    }

    fn open(&self) -> Result<Box<dyn Device>, DeviceError> {
        Ok(match self {
            Self::Pci(address) => Box::new(KernelVfio::open(address)?),
            Self::PciNoIommu(address) => Box::new(KernelVfio::open_no_iommu(address)?),
            Self::Socket(path) => Box::new(VfioUser::connect(path)?),
        })
    }

    /// The same for all names of one function.
    fn real(&self) -> Self {
        match self {
            Self::Socket(path) => {
                // Without a file there is nothing to connect to either.
                Self::Socket(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            pci => pci.clone(),
        }
    }
}

/// A function with several ports, as long as any of them is open; locked while one is being opened.
type Slot = Arc<Mutex<Weak<Shared>>>;

/// The functions of this process.
static FUNCTIONS: Mutex<BTreeMap<Place, Slot>> = Mutex::new(BTreeMap::new());

/// The slot of what is at a place; those that are of no more use are thrown away.
fn slot(place: &Place) -> Slot {
    let mut functions = FUNCTIONS.lock();
    let is_in_use = |slot: &Slot| {
        let is_open = slot.try_lock().is_none_or(|f| f.strong_count() > 0);
        is_open || Arc::strong_count(slot) > 1
    };
    functions.retain(|_, slot| is_in_use(slot));
    Arc::clone(functions.entry(place.real()).or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_at_the_last_hash_before_digits() {
        let pci = |address: &str| Place::Pci(address.into());
        let bare = |address: &str| Place::PciNoIommu(address.into());
        let socket = |path: &str| Place::Socket(path.into());
        for (spec, place, port) in [
            ("pci:0000:01:00.0", pci("0000:01:00.0"), 0),
            ("pci:01:00.0#1", pci("0000:01:00.0"), 1),
            ("pci:0000:01:00.0#0", pci("0000:01:00.0"), 0),
            ("pci:0000:01:00.0#70000", pci("0000:01:00.0"), 70_000),
            ("pci-no-iommu:0000:01:00.0", bare("0000:01:00.0"), 0),
            ("pci-no-iommu:01:00.0#1", bare("0000:01:00.0"), 1),
            ("vfio-user:/tmp/nic.sock", socket("/tmp/nic.sock"), 0),
            ("vfio-user:/tmp/nic.sock#1", socket("/tmp/nic.sock"), 1),
            ("vfio-user:/tmp/nic#1#0", socket("/tmp/nic#1"), 0),
            ("vfio-user:/tmp/nic#", socket("/tmp/nic#"), 0),
            ("vfio-user:/tmp/nic#a1", socket("/tmp/nic#a1"), 0),
        ] {
            assert_eq!(Place::parse(spec).unwrap(), (place, port), "{spec}");
        }
        for spec in [
            "",
            "pci",
            "sim:",
            "noiommu:01:00.0",
            "vfio-user:",
            "vfio-user:#1",
            "vfio-user:s#4294967296",
        ] {
            let error = Place::parse(spec).unwrap_err();
            assert!(
                matches!(&error, DeviceError::Spec(s) if s == spec),
                "{error}"
            );
        }
        for spec in [
            "pci:01:00.0#",
            "pci:01:00.0#x",
            "pci:zz#1",
            "pci-no-iommu:",
            "pci-no-iommu:zz",
        ] {
            let error = Place::parse(spec).unwrap_err();
            assert!(matches!(error, DeviceError::Vfio(_)), "{error}");
        }
    }
}

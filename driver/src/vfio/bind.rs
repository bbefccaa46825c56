//! Giving a device to vfio-pci, and back to the kernel: as a plan of writes to sysfs that is shown, carried out, and undone if it fails.
use super::diagnose::link_name;
use super::{PciDevice, Sysfs, VfioProblem};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The driver that gives devices to programs.
const VFIO: &str = "vfio-pci";
/// How long the kernel may take until a driver has a device or has let go of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look.
const LOOK: Duration = Duration::from_millis(5);

/// How a device may be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// Even if it is the machine's network.
    pub force: bool,
    /// It is behind no IOMMU, and the kernel is to give it to programs nevertheless: nothing keeps it from reading and writing all of memory then.
    pub no_iommu: bool,
}

/// A write to sysfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The file.
    pub path: PathBuf,
    /// What is written; the kernel takes a new line for nothing.
    pub value: String,
}

/// As a shell would do it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.trim();
        let space = if value.is_empty() { "" } else { " " };
        write!(f, "echo{space}{value} > {}", self.path.display())
    }
}

/// What became of the attempt to undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// All is as it was.
    Done,
    /// These writes failed, with the reason of the first; the rest was done.
    Failed(Vec<Step>, String),
}

impl fmt::Display for PutBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("all was put back as it was"),
            Self::Failed(steps, why) => {
                let steps: Vec<_> = steps.iter().map(Step::to_string).collect();
                let steps = steps.join("; ");
                write!(f, "it could not all be put back ({why}): {steps}")
            }
        }
    }
}

/// Why a device cannot be given away or back.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The device is not there, or VFIO can never have it.
    #[error(transparent)]
    Vfio(#[from] VfioProblem),
    /// vfio-pci is not loaded.
    #[error("the kernel has no driver {VFIO}: modprobe {VFIO}")]
    NoModule,
    /// The machine uses it as a network interface.
    #[error("{address} is the network interface {interface}, which {use_}: `ip link set {interface} down` if the machine can do without it, or --force", use_ = if *.default_route { "carries the default route" } else { "is up" })]
    InUse {
        /// The device.
        address: String,
        /// The interface's name.
        interface: String,
        /// A default route goes out there.
        default_route: bool,
    },
    /// A program has it.
    #[error("{address} is held by {holders}: end that first")]
    Held {
        /// The device.
        address: String,
        /// Which.
        holders: String,
    },
    /// There is nothing to give back.
    #[error("{address} is bound to {driver}, not to {VFIO}: there is nothing to give back")]
    NotVfio {
        /// The device.
        address: String,
        /// Its driver.
        driver: String,
    },
    /// A write failed.
    #[error("`{step}`: {source}{hint}; {put_back}", hint = if source.kind() == io::ErrorKind::PermissionDenied { " (run this as root)" } else { "" })]
    Write {
        /// Which.
        step: Step,
        /// Why.
        source: io::Error,
        /// What became of those before.
        put_back: PutBack,
    },
    /// All was written, but the kernel did something else.
    #[error("the kernel left {address} with {}, see `dmesg`; {put_back}", driver.as_deref().unwrap_or("no driver"))]
    NotTaken {
        /// The device.
        address: String,
        /// Its driver now.
        driver: Option<String>,
        /// What became of what was written.
        put_back: PutBack,
    },
}

/// What is to be written, in its order, and what undoes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    address: String,
    steps: Vec<(Step, Option<Step>)>,
    gives_to_vfio: bool,
}

impl Plan {
    /// The writes; none if all is as it should be.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(step, _)| step)
    }
}

fn write(step: &Step) -> io::Result<()> {
    // Not made where it is missing: it is the kernel's.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&step.path)?;
    file.write_all(step.value.as_bytes())
}

impl Sysfs {
    fn step(path: PathBuf, value: &str) -> Step {
        Step {
            path,
            value: value.to_owned(),
        }
    }

    fn driver(&self, address: &str) -> Option<String> {
        link_name(&self.device(address).join("driver"))
    }

    /// Takes the device from a driver or gives it to it, by the driver's `unbind` and `bind`.
    fn to_driver(&self, driver: &str, file: &str, address: &str) -> Step {
        let folder = self.sys.join("bus/pci/drivers").join(driver);
        Self::step(folder.join(file), address)
    }

    fn set_override(&self, address: &str, driver: Option<&str>) -> Step {
        let path = self.device(address).join("driver_override");
        Self::step(path, driver.unwrap_or("\n"))
    }

    /// Lets VFIO do without an IOMMU, and what undoes that; nothing if it does.
    fn allow_no_iommu(&self) -> Result<Option<(Step, Option<Step>)>, VfioProblem> {
        let path = self.unsafe_mode();
        let Ok(text) = fs::read_to_string(&path) else {
            return Err(VfioProblem::NoUnsafeMode(path));
        };
        Ok((text.trim() != "Y").then(|| {
            let undo = Self::step(path.clone(), "N");
            (Self::step(path, "Y"), Some(undo))
        }))
    }

    fn probe(&self, address: &str) -> Step {
        Self::step(self.sys.join("bus/pci/drivers_probe"), address)
    }

    fn held(device: &PciDevice) -> Result<(), BindError> {
        if device.holders.is_empty() {
            return Ok(());
        }
        let holders = device.holders.iter();
        let names: Vec<_> = holders
            .map(|h| format!("process {} ({})", h.pid, h.name))
            .collect();
        Err(BindError::Held {
            address: device.address.clone(),
            holders: names.join(", "),
        })
    }

    /// How to give a device to vfio-pci.
    ///
    /// # Errors
    /// Why that must not or cannot be.
    pub fn plan_bind(&self, address: &str, options: BindOptions) -> Result<Plan, BindError> {
        let device = self.inspect(address)?;
        let address = device.address.clone();
        let mut plan = Plan {
            address: address.clone(),
            steps: Vec::new(),
            gives_to_vfio: true,
        };
        match device.group {
            Some(group) if options.no_iommu && !device.no_iommu => {
                return Err(VfioProblem::Guarded(address, group).into());
            }
            None if !options.no_iommu => return Err(VfioProblem::NoGroup(address).into()),
            _ => {}
        }
        if device.driver.as_deref() == Some(VFIO) {
            return Ok(plan);
        }
        let used = device.interfaces.iter();
        let mut used = used.filter(|i| i.is_up || i.has_default_route);
        if let (Some(interface), false) = (used.next(), options.force) {
            return Err(BindError::InUse {
                address,
                interface: interface.name.clone(),
                default_route: interface.has_default_route,
            });
        }
        if !self.sys.join("bus/pci/drivers").join(VFIO).exists() {
            return Err(BindError::NoModule);
        }
        if options.no_iommu {
            // Other devices may need it longer than this one: `plan_unbind` leaves it.
            plan.steps.extend(self.allow_no_iommu()?);
        }
        let before = device.driver_override.as_deref();
        plan.steps.push((
            self.set_override(&address, Some(VFIO)),
            Some(self.set_override(&address, before)),
        ));
        if let Some(driver) = &device.driver {
            plan.steps.push((
                self.to_driver(driver, "unbind", &address),
                Some(self.to_driver(driver, "bind", &address)),
            ));
        }
        plan.steps.push((self.probe(&address), None));
        Ok(plan)
    }

    /// How to give a device back to the kernel: to whichever driver is for it.
    ///
    /// # Errors
    /// Why that must not or cannot be.
    pub fn plan_unbind(&self, address: &str) -> Result<Plan, BindError> {
        let device = self.inspect(address)?;
        let address = device.address.clone();
        Self::held(&device)?;
        let mut plan = Plan {
            address: address.clone(),
            steps: Vec::new(),
            gives_to_vfio: false,
        };
        let is_vfio = match device.driver {
            Some(driver) if driver != VFIO => return Err(BindError::NotVfio { address, driver }),
            driver => driver.is_some(),
        };
        let before = device.driver_override.as_deref();
        plan.steps.push((
            self.set_override(&address, None),
            Some(self.set_override(&address, before)),
        ));
        if is_vfio {
            plan.steps.push((
                self.to_driver(VFIO, "unbind", &address),
                Some(self.to_driver(VFIO, "bind", &address)),
            ));
        }
        plan.steps.push((self.probe(&address), None));
        Ok(plan)
    }

    /// Carries a plan out, telling of each write before it is made; gives the driver that has the device then. If one fails, or the kernel
    /// does something else, those before are undone.
    ///
    /// # Errors
    /// [`BindError::Write`], [`BindError::NotTaken`].
    pub fn carry_out(
        &self,
        plan: &Plan,
        mut tell: impl FnMut(&Step),
    ) -> Result<Option<String>, BindError> {
        for (n, (step, _)) in plan.steps.iter().enumerate() {
            tell(step);
            if let Err(source) = write(step) {
                let put_back = self.put_back(plan, n);
                return Err(BindError::Write {
                    step: step.clone(),
                    source,
                    put_back,
                });
            }
        }
        let driver = self.wait(plan);
        let is_vfio = driver.as_deref() == Some(VFIO);
        if plan.steps.is_empty() || is_vfio == plan.gives_to_vfio {
            return Ok(driver);
        }
        Err(BindError::NotTaken {
            address: plan.address.clone(),
            driver,
            put_back: self.put_back(plan, plan.steps.len()),
        })
    }

    /// The device's driver, once it is the right one, or for good.
    fn wait(&self, plan: &Plan) -> Option<String> {
        let began = Instant::now();
        loop {
            let driver = self.driver(&plan.address);
            let is_right = match &driver {
                Some(driver) => (driver == VFIO) == plan.gives_to_vfio,
                // There may be none for it.
                None => false,
            };
            if is_right || began.elapsed() >= PATIENCE {
                return driver;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Undoes the first `count` steps, in their order: no driver is bound against driver_override, so that comes first here too.
    fn put_back(&self, plan: &Plan, count: usize) -> PutBack {
        let mut failed = Vec::new();
        let mut why = String::new();
        for undo in plan.steps[..count].iter().filter_map(|(_, u)| u.as_ref()) {
            // A device that never left its driver need not come back.
            let driver = self.driver(&plan.address);
            if driver.is_some_and(|d| *undo == self.to_driver(&d, "bind", &plan.address)) {
                continue;
            }
            if let Err(e) = write(undo) {
                if failed.is_empty() {
                    why = e.to_string();
                }
                failed.push(undo.clone());
            }
        }
        match failed.is_empty() {
            true => PutBack::Done,
            false => PutBack::Failed(failed, why),
        }
    }
}

#[cfg(test)]
mod tests;

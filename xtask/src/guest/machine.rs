//! The machine: QEMU without hardware virtualisation, with a virtual IOMMU or none and the simulated NIC behind `vfio-user-pci`.
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::simulator::{Simulator, Stats};
use ferrule_sim::station::Core;
use ferrule_sim::wire::lan::Lan;

use super::error::{file, GuestError};
use super::packages::Packages;

/// How long a guest may take. It works some twenty seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

/// What a guest is started with.
pub(super) struct Machine<'a> {
    pub(super) packages: &'a Packages,
    pub(super) image: &'a Path,
    pub(super) engine: Kind,
    /// Huge pages of 2 MiB that the guest sets aside.
    pub(super) huge_pages: u32,
    /// Whether there is a virtual IOMMU.
    pub(super) iommu: bool,
    /// Where console and socket go.
    pub(super) folder: &'a Path,
}

/// What is left of a guest that has ended.
pub(super) struct Ended {
    /// All that it wrote on its console.
    pub(super) console: String,
    /// The simulator's figures.
    pub(super) simulator: Stats,
    /// Whether it had to be ended.
    pub(super) overdue: bool,
}

/// A child that does not outlive the run.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    fn command(&self, socket: &Path) -> Result<Command, GuestError> {
        let (kernel, _) = self.packages.kernel()?;
        let mut command = self.packages.qemu();
        // Guest memory must have a descriptor, which the simulator maps.
        command.args(["-M", "q35", "-accel", "tcg", "-m", "512M"]);
        command.args(["-object", "memory-backend-memfd,id=m0,size=512M,share=on"]);
        command.args(["-machine", "memory-backend=m0"]);
        let mut options = "console=ttyS0 panic=-1 quiet mitigations=off".to_owned();
        if self.iommu {
            // Without caching-mode no mapping of the guest's would reach the simulator; VFIO wants interrupt remapping.
            command.args(["-device", "intel-iommu,caching-mode=on,intremap=on"]);
            options += " intel_iommu=on";
        }
        command.args(["-device", "pcie-root-port,id=rp0,chassis=1,slot=1"]);
        // A slow engine may take longer for a register than QEMU's five seconds, after which it gives up for good.
        let nic = serde_json::json!({
            "driver": "vfio-user-pci", "bus": "rp0", "x-msg-timeout": 60_000,
            "socket": { "type": "unix", "path": socket },
        });
        command.arg("-device").arg(nic.to_string());
        command.args([
            "-nodefaults",
            "-nographic",
            "-no-reboot",
            "-serial",
            "stdio",
        ]);
        command.arg("-kernel").arg(kernel);
        command.arg("-initrd").arg(self.image);
        // no_timer_check: on a loaded machine the kernel would take a late timer for a broken one.
        command.arg("-append").arg(format!(
            "{options} no_timer_check huge_pages={}",
            self.huge_pages
        ));
        Ok(command)
    }

    /// Runs the guest until it switches itself off.
    ///
    /// # Errors
    /// When simulator or QEMU cannot be started, or the simulator fails.
    pub(super) fn run(&self) -> Result<Ended, GuestError> {
        let socket = self.folder.join("nic.sock");
        let console = self.folder.join("console.log");
        let core = Core::open(self.engine, &Options::default())?;
        let simulator = Simulator::builder(Box::new(Lan::new(1)))
            .listen(&socket)
            .wall_time()
            .start(core)?;
        let out = fs::File::create(&console).map_err(file(&console))?;
        let errors = out.try_clone().map_err(file(&console))?;
        let mut command = self.command(&socket)?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let child = command.spawn().map_err(|source| GuestError::Program {
            program: "qemu-system-x86_64".into(),
            source,
            mend: "remove the folder of packages, so that it is fetched anew",
        })?;
        let mut qemu = Running(child);
        let overdue = !self.wait(&mut qemu, &simulator).map_err(file(&console))?;
        drop(qemu);
        let bytes = fs::read(&console).map_err(file(&console))?;
        Ok(Ended {
            console: String::from_utf8_lossy(&bytes).replace('\r', ""),
            simulator: simulator.stop()?,
            overdue,
        })
    }

    /// Whether QEMU ends by itself. Without its simulator it would run for ever.
    fn wait(&self, qemu: &mut Running, simulator: &Simulator) -> io::Result<bool> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE && simulator.is_running() {
            if qemu.0.try_wait()?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(LOOK);
        }
        Ok(false)
    }
}

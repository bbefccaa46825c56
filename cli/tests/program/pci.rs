//! list, bind and unbind on a made-up machine, whose sysfs does what Linux' does with what is written to it.
use crate::common::{ferrule, said};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

const NIC: &str = "0000:01:00.0";
const MODE: &str = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/// The machine: a Ferrule NIC and an e1000e card in groups of their own, an audio controller, and a bridge in the NIC's group.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("temporary folder"));
        for (address, id, class, driver, group) in [
            (NIC, "0x1234 0x4645", "0x020000", "ferrule_kernel", "12"),
            (
                "0000:00:1c.0",
                "0x8086 0x9d10",
                "0x060400",
                "pcieport",
                "12",
            ),
            ("0000:02:00.0", "0x8086 0x10d3", "0x020000", "e1000e", "13"),
            (
                "0000:03:00.0",
                "0x8086 0xa348",
                "0x040300",
                "snd_hda_intel",
                "14",
            ),
        ] {
            let device = format!("sys/bus/pci/devices/{address}");
            let (vendor, device_id) = id.split_once(' ').expect("two ids");
            machine.put(&format!("{device}/vendor"), vendor);
            machine.put(&format!("{device}/device"), device_id);
            machine.put(&format!("{device}/class"), class);
            machine.put(&format!("{device}/driver_override"), "(null)\n");
            let members = format!("sys/kernel/iommu_groups/{group}/devices/{address}/x");
            machine.put(&members, "");
            let at = |name: &str| machine.path(&format!("{device}/{name}"));
            symlink(
                format!("../../../kernel/iommu_groups/{group}"),
                at("iommu_group"),
            )
            .expect("a link");
            symlink(format!("../../../bus/pci/drivers/{driver}"), at("driver")).expect("a link");
        }
        machine.put(
            &format!("sys/bus/pci/devices/{NIC}/net/eth7/flags"),
            "0x1002\n",
        );
        machine.put(
            "sys/bus/pci/devices/0000:02:00.0/net/eth0/flags",
            "0x1003\n",
        );
        machine.put("dev/vfio/vfio", "");
        machine.put("dev/vfio/12", "");
        machine.put("proc/net/route", "");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// Its kernel: drivers `vfio-pci` and `ferrule_kernel`, the latter for the NIC.
    fn boot(&self) {
        self.boot_without_probe();
        self.probe();
    }

    /// Its drivers alone.
    fn boot_without_probe(&self) {
        let link = self.path(&format!("sys/bus/pci/devices/{NIC}/driver"));
        for driver in ["vfio-pci", "ferrule_kernel"] {
            let (link, target) = (link.clone(), format!("../../../bus/pci/drivers/{driver}"));
            self.obey(&format!("sys/bus/pci/drivers/{driver}/unbind"), move || {
                fs::remove_file(&link).expect("it was bound");
            });
            let link = self.path(&format!("sys/bus/pci/devices/{NIC}/driver"));
            self.obey(&format!("sys/bus/pci/drivers/{driver}/bind"), move || {
                symlink(&target, &link).expect("it was not bound");
            });
        }
    }

    /// As the kernel does what is written to `drivers_probe`.
    fn probe(&self) {
        let link = self.path(&format!("sys/bus/pci/devices/{NIC}/driver"));
        let rule = self.path(&format!("sys/bus/pci/devices/{NIC}/driver_override"));
        self.obey("sys/bus/pci/drivers_probe", move || {
            // What was written before has been acted on in a real kernel.
            let began = Instant::now();
            while fs::symlink_metadata(&link).is_ok() && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let rule = fs::read_to_string(&rule).expect("driver_override");
            let driver = match rule.trim() {
                "" | "(null)" => "ferrule_kernel",
                driver => driver,
            };
            symlink(format!("../../../bus/pci/drivers/{driver}"), &link).expect("bound");
        });
    }

    /// A file of sysfs that does something when the NIC's address is written to it.
    fn obey(&self, path: &str, act: impl Fn() + Send + 'static) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        mkfifo(&path, Mode::from_bits_truncate(0o600)).expect("a FIFO");
        std::thread::spawn(move || loop {
            // It ends with the test's process, or when the machine is gone.
            match fs::read_to_string(&path) {
                Ok(written) if written == NIC => act(),
                Ok(written) => assert_eq!(written, "", "another address"),
                Err(_) => return,
            }
        });
    }

    /// No IOMMU is in front of the NIC; its kernel gives it a group when vfio-pci has it, by the mode that allows that.
    fn without_iommu(&self, mode: &str) {
        let group = self.path(&format!("sys/bus/pci/devices/{NIC}/iommu_group"));
        fs::remove_file(&group).expect("it had one");
        self.put(MODE, mode);
        self.put("sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
        self.put("dev/vfio/noiommu-0", "");
        let link = self.path(&format!("sys/bus/pci/devices/{NIC}/driver"));
        let mode = self.path(MODE);
        fs::remove_file(&link).expect("it had a driver");
        self.obey("sys/bus/pci/drivers_probe", move || {
            if fs::read_to_string(&mode).expect("the mode").trim() == "Y" {
                symlink("../../../kernel/iommu_groups/0", &group).expect("a link");
                symlink("../../../bus/pci/drivers/vfio-pci", &link).expect("bound");
            }
        });
        let folder = self.path("sys/bus/pci/drivers/vfio-pci");
        fs::create_dir_all(folder).expect("made");
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = ferrule(self.0.path());
        command.args(args).arg("--root").arg(self.0.path());
        command.output().expect("runs")
    }

    fn driver(&self) -> Option<String> {
        let link = fs::read_link(self.path(&format!("sys/bus/pci/devices/{NIC}/driver"))).ok()?;
        Some(link.file_name()?.to_str()?.to_owned())
    }

    fn list(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let output = self.run(&[&["list", "--json"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).expect("a JSON array")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_list_shows_ours_and_with_all_every_network_controller() {
    let machine = Machine::new();
    let rows = machine.list(&[]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    let nic = &rows[0];
    assert_eq!(
        (&nic["address"], &nic["id"]),
        (&NIC.into(), &"1234:4645".into())
    );
    assert_eq!(
        (&nic["driver"], &nic["ready"]),
        (&"ferrule_kernel".into(), &false.into())
    );
    assert_eq!(nic["iommu_group"], "12");
    assert_eq!(nic["group_others"][0]["address"], "0000:00:1c.0");
    let missing = nic["missing"].as_str().expect("something is missing");
    assert!(
        missing.contains(&format!("ferrule bind {NIC}")),
        "{missing}"
    );
    let all = machine.list(&["--all"]);
    let addresses: Vec<_> = all.iter().map(|row| &row["address"]).collect();
    assert_eq!(addresses, [NIC, "0000:02:00.0"]);
    let output = text(&machine.run(&["list"]));
    for part in [NIC, "Ferrule NIC", "not ready", "12 and 1 other(s)"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let empty = tempfile::tempdir().expect("temporary folder");
    let mut command = ferrule(empty.path());
    command.args(["list", "--root"]).arg(empty.path());
    let output = text(&command.output().expect("runs"));
    assert!(output.contains("no Ferrule NIC on PCI"), "{output}");
}

#[test]
fn a_list_says_how_many_ports_a_nic_has_room_for() {
    let machine = Machine::new();
    let ports = |machine: &Machine| machine.list(&[])[0]["ports"].clone();
    assert_eq!(ports(&machine), 1, "as far as one knows");
    // First and last address and flags of each BAR, as Documentation/PCI/sysfs-pci.rst of the kernel has them: BAR0 2 MiB, BAR1 none, BAR2 4 KiB.
    let resource = |last: &str| {
        let none = "0x0000000000000000 0x0000000000000000 0x0000000000000000";
        format!(
            "0x00000000f7000000 {last} 0x0000000000040200\n{none}\n0x00000000f7200000 0x00000000f7200fff 0x0000000000040200\n{none}\n"
        )
    };
    let file = format!("sys/bus/pci/devices/{NIC}/resource");
    for (last, there) in [
        ("0x00000000f71fffff", 2),
        ("0x00000000f70fffff", 1),
        ("0x00000000f6ffffff", 1),
        ("0xffffffffffffffff", 2),
        ("nonsense", 1),
    ] {
        machine.put(&file, &resource(last));
        assert_eq!(ports(&machine), there, "{last}");
        let table = text(&machine.run(&["list"]));
        assert_eq!(
            table.contains("Ferrule NIC, 2 ports"),
            there == 2,
            "{table}"
        );
    }
    let all = machine.list(&["--all"]);
    assert!(all.iter().any(|row| row.get("ports").is_none()), "others'");
}

#[test]
fn a_device_goes_to_vfio_and_back_to_its_driver() {
    let machine = Machine::new();
    machine.boot();
    let root = format!("{}/", machine.0.path().display());
    let plan = |output: &Output| text(output).replace(&root, "");
    let writes = format!(
        "echo vfio-pci > sys/bus/pci/devices/{NIC}/driver_override\n\
         echo {NIC} > sys/bus/pci/drivers/ferrule_kernel/unbind\n\
         echo {NIC} > sys/bus/pci/drivers_probe\n"
    );
    let dry = machine.run(&["bind", "01:00.0", "--dry-run"]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert_eq!(
        plan(&dry),
        format!("{writes}nothing was written: it is a dry run\n")
    );
    assert_eq!(machine.driver().as_deref(), Some("ferrule_kernel"));

    let bound = machine.run(&["bind", NIC]);
    assert!(bound.status.success(), "{}", said(&bound));
    assert_eq!(
        plan(&bound),
        format!("{writes}{NIC} is bound to vfio-pci\nit can be used: --device pci:{NIC}\n")
    );
    assert_eq!(machine.driver().as_deref(), Some("vfio-pci"));
    assert_eq!(machine.list(&[])[0]["ready"], true);
    let again = machine.run(&["bind", NIC]);
    assert!(
        text(&again).contains("already") && again.status.success(),
        "{}",
        said(&again)
    );

    // A process has it.
    let fds = machine.path("proc/4711/fd");
    fs::create_dir_all(&fds).expect("made");
    machine.put("proc/4711/comm", "http_server\n");
    symlink(machine.path("dev/vfio/12"), fds.join("9")).expect("a link");
    let held = machine.run(&["unbind", NIC]);
    assert_eq!(held.status.code(), Some(1), "{}", said(&held));
    assert!(
        said(&held).contains("process 4711 (http_server)"),
        "{}",
        said(&held)
    );
    let row = &machine.list(&[])[0];
    assert_eq!(
        (&row["held_by"][0]["pid"], &row["ready"]),
        (&4711.into(), &false.into())
    );
    fs::remove_dir_all(machine.path("proc/4711")).expect("it ends");

    let back = machine.run(&["unbind", NIC]);
    assert!(back.status.success(), "{}", said(&back));
    assert!(
        text(&back).ends_with("0000:01:00.0 is bound to ferrule_kernel\n"),
        "{}",
        said(&back)
    );
    assert_eq!(machine.driver().as_deref(), Some("ferrule_kernel"));
    let rule = machine.path(&format!("sys/bus/pci/devices/{NIC}/driver_override"));
    assert_eq!(fs::read_to_string(rule).expect("driver_override"), "\n");
}

#[test]
fn the_machines_own_network_is_left_alone() {
    let machine = Machine::new();
    machine.boot();
    let output = machine.run(&["bind", "0000:02:00.0"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("eth0, which is up"),
        "{}",
        said(&output)
    );
    assert!(output.stdout.is_empty(), "{}", said(&output));
    let forced = machine.run(&["bind", "0000:02:00.0", "--force", "--dry-run"]);
    assert!(forced.status.success(), "{}", said(&forced));
}

#[test]
fn a_kernel_whose_vfio_refuses_the_device_has_it_back_at_its_driver() {
    let machine = Machine::new();
    machine.boot_without_probe();
    machine.obey("sys/bus/pci/drivers_probe", || ());
    let output = machine.run(&["bind", NIC]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("with no driver, see `dmesg`; all was put back as it was"),
        "{}",
        said(&output)
    );
    wait_for(|| machine.driver().as_deref() == Some("ferrule_kernel"));
    let rule = machine.path(&format!("sys/bus/pci/devices/{NIC}/driver_override"));
    assert_eq!(fs::read_to_string(rule).expect("driver_override"), "\n");
}

/// The made-up kernel has threads of its own.
fn wait_for(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let machine = Machine::new();
    for (args, hint) in [
        (
            ["bind", "0000:09:00.0"],
            "there is no PCI device 0000:09:00.0",
        ),
        (["unbind", "eth0"], "no PCI address"),
        (["unbind", NIC], "nothing to give back"),
        (["bind", NIC], "modprobe vfio-pci"),
    ] {
        let output = machine.run(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(hint), "{args:?}: {}", said(&output));
    }
}

#[test]
fn a_device_without_an_iommu_goes_to_vfio_when_that_is_asked_for() {
    let machine = Machine::new();
    machine.without_iommu("N\n");
    let mode = || fs::read_to_string(machine.path(MODE)).expect("the mode");
    let refused = machine.run(&["bind", NIC]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let error = said(&refused);
    assert!(
        error.contains(&format!("ferrule bind --no-iommu {NIC}"))
            && error.contains("all of memory"),
        "{error}"
    );
    let dry = machine.run(&["bind", "--no-iommu", "--dry-run", NIC]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert!(text(&dry).contains(MODE), "{}", said(&dry));
    assert_eq!(mode(), "N\n");
    let bound = machine.run(&["bind", "--no-iommu", NIC]);
    assert!(bound.status.success(), "{}", said(&bound));
    let use_it = format!("it can be used: --device pci-no-iommu:{NIC}\n");
    assert!(text(&bound).ends_with(&use_it), "{}", said(&bound));
    assert_eq!(mode(), "Y");
    let row = &machine.list(&[])[0];
    assert_eq!(
        (&row["no_iommu"], &row["ready"], &row["iommu_group"]),
        (&true.into(), &true.into(), &"0".into())
    );
    let table = text(&machine.run(&["list"]));
    assert!(table.contains("0, no IOMMU"), "{table}");
    // It is not taken for a device behind an IOMMU.
    let again = machine.run(&["bind", NIC]);
    let name = format!("name it pci-no-iommu:{NIC} if that may be");
    assert!(text(&again).contains(&name), "{}", said(&again));
    // Others are behind one still.
    let other = machine.run(&["bind", "--no-iommu", "0000:02:00.0"]);
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));
    assert!(
        said(&other).contains("without --no-iommu"),
        "{}",
        said(&other)
    );
}

#[test]
fn a_kernel_that_cannot_do_without_an_iommu_says_so() {
    let machine = Machine::new();
    machine.without_iommu("N\n");
    fs::remove_file(machine.path(MODE)).expect("it was there");
    let output = machine.run(&["bind", "--no-iommu", NIC]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("CONFIG_VFIO_NOIOMMU is not set"),
        "{}",
        said(&output)
    );
    assert_eq!(machine.driver(), None);
}

//! Plans on a made-up machine of plain files, where nothing acts on what is written: what is planned, refused, and put back.
use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

const NIC: &str = "0000:01:00.0";
const OVERRIDE: &str = "sys/bus/pci/devices/0000:01:00.0/driver_override";
const BIND: &str = "sys/bus/pci/drivers/e1000e/bind";
const UNBIND: &str = "sys/bus/pci/drivers/e1000e/unbind";

const GENTLY: BindOptions = BindOptions {
    force: false,
    no_iommu: false,
};
const BY_FORCE: BindOptions = BindOptions {
    force: true,
    no_iommu: false,
};
const NO_IOMMU: BindOptions = BindOptions {
    force: false,
    no_iommu: true,
};
const UNSAFE_MODE: &str = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/// A machine with a network card in IOMMU group 12, bound to `driver`.
fn machine(driver: &str) -> (tempfile::TempDir, Sysfs) {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let device = "sys/bus/pci/devices/0000:01:00.0";
    for (file, text) in [
        ("vendor", "0x1234\n"),
        ("device", "0x4645\n"),
        ("class", "0x020000\n"),
        ("driver_override", "(null)\n"),
    ] {
        put(&format!("{device}/{file}"), text);
    }
    for file in ["bind", "unbind"] {
        for driver in ["vfio-pci", "e1000e"] {
            put(&format!("sys/bus/pci/drivers/{driver}/{file}"), "");
        }
    }
    put("sys/bus/pci/drivers_probe", "");
    put(&format!("{device}/net/eth0/flags"), "0x1002\n");
    put("proc/net/route", "Iface\tDestination\tGateway\n");
    let device = dir.path().join(device);
    symlink(
        "../../../kernel/iommu_groups/12",
        device.join("iommu_group"),
    )
    .unwrap();
    if !driver.is_empty() {
        let target = format!("../../../bus/pci/drivers/{driver}");
        symlink(target, device.join("driver")).unwrap();
    }
    let at = Sysfs::at(dir.path());
    (dir, at)
}

fn read(dir: &Path, path: &str) -> String {
    fs::read_to_string(dir.join(path)).unwrap()
}

/// The writes, with paths below the machine's root.
fn texts(plan: &Plan, dir: &Path) -> Vec<String> {
    let root = format!("{}/", dir.display());
    plan.steps()
        .map(|s| s.to_string().replace(&root, ""))
        .collect()
}

#[test]
fn a_plan_overrides_takes_away_and_probes() {
    let (dir, at) = machine("e1000e");
    let plan = at.plan_bind("01:00.0", GENTLY).unwrap();
    assert_eq!(
        texts(&plan, dir.path()),
        [
            format!("echo vfio-pci > {OVERRIDE}"),
            format!("echo {NIC} > {UNBIND}"),
            format!("echo {NIC} > sys/bus/pci/drivers_probe"),
        ]
    );
    let (dir, at) = machine("");
    let plan = at.plan_bind(NIC, GENTLY).unwrap();
    assert_eq!(texts(&plan, dir.path()).len(), 2);
    let (dir, at) = machine("vfio-pci");
    assert_eq!(at.plan_bind(NIC, GENTLY).unwrap().steps().count(), 0);
    fs::write(dir.path().join(OVERRIDE), "vfio-pci\n").unwrap();
    assert_eq!(
        texts(&at.plan_unbind(NIC).unwrap(), dir.path()),
        [
            format!("echo > {OVERRIDE}"),
            format!("echo {NIC} > sys/bus/pci/drivers/vfio-pci/unbind"),
            format!("echo {NIC} > sys/bus/pci/drivers_probe"),
        ]
    );
}

#[test]
fn what_the_machine_uses_is_not_taken_but_by_force() {
    let (dir, at) = machine("e1000e");
    let at_root = |path: &str| dir.path().join(path);
    let flags = at_root("sys/bus/pci/devices/0000:01:00.0/net/eth0/flags");
    fs::write(&flags, "0x1003\n").unwrap();
    let error = at.plan_bind(NIC, GENTLY).unwrap_err().to_string();
    assert!(error.contains("eth0, which is up") && error.contains("ip link set eth0 down"));
    assert_eq!(at.plan_bind(NIC, BY_FORCE).unwrap().steps().count(), 3);
    fs::write(&flags, "0x1002\n").unwrap();
    // As the kernel prints them: 10.0.0.0/8, and 0.0.0.0/0 by 10.0.0.1.
    let routes = [
        (
            "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n",
            false,
        ),
        (
            "eth1\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
            false,
        ),
        (
            "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
            true,
        ),
    ];
    for (route, is_default) in routes {
        let table = format!("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n{route}");
        fs::write(at_root("proc/net/route"), table).unwrap();
        match at.plan_bind(NIC, GENTLY) {
            Err(BindError::InUse {
                default_route: true,
                ..
            }) if is_default => {}
            Ok(_) if !is_default => {}
            other => panic!("{route}: {other:?}"),
        }
    }
    fs::write(at_root("proc/net/route"), "").unwrap();
    let zeros = "0".repeat(32);
    let route = format!("{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000000 00000000 00000003     eth0\n");
    fs::write(at_root("proc/net/ipv6_route"), route).unwrap();
    let error = at.plan_bind(NIC, GENTLY).unwrap_err().to_string();
    assert!(error.contains("carries the default route"), "{error}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_written() {
    let (dir, at) = machine("e1000e");
    assert!(matches!(
        at.plan_unbind(NIC),
        Err(BindError::NotVfio { .. })
    ));
    assert!(matches!(
        at.plan_bind("02:00.0", GENTLY),
        Err(BindError::Vfio(VfioProblem::Missing(_)))
    ));
    fs::remove_dir_all(dir.path().join("sys/bus/pci/drivers/vfio-pci")).unwrap();
    let error = at.plan_bind(NIC, GENTLY).unwrap_err().to_string();
    assert!(error.contains("modprobe vfio-pci"), "{error}");
    fs::remove_file(at.device(NIC).join("iommu_group")).unwrap();
    let error = at.plan_bind(NIC, GENTLY).unwrap_err().to_string();
    assert!(error.contains("intel_iommu=on"), "{error}");
    // A process that has the group's file open.
    let (dir, at) = machine("vfio-pci");
    let fds = dir.path().join("proc/4711/fd");
    fs::create_dir_all(&fds).unwrap();
    fs::write(dir.path().join("proc/4711/comm"), "qemu-system-x86\n").unwrap();
    symlink(at.dev.join("vfio/12"), fds.join("30")).unwrap();
    let error = at.plan_unbind(NIC).unwrap_err().to_string();
    assert!(error.contains("process 4711 (qemu-system-x86)"), "{error}");
}

#[test]
fn a_kernel_that_does_something_else_gets_all_back() {
    let (dir, at) = machine("e1000e");
    let plan = at.plan_bind(NIC, GENTLY).unwrap();
    let mut told = 0;
    // Nothing here acts on the writes, so e1000e keeps it.
    match at.carry_out(&plan, |_| told += 1) {
        Err(BindError::NotTaken {
            driver, put_back, ..
        }) => {
            assert_eq!(
                (driver.as_deref(), put_back),
                (Some("e1000e"), PutBack::Done)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told, 3);
    assert_eq!(read(dir.path(), OVERRIDE), "\n");
    // It never left its driver.
    assert_eq!(read(dir.path(), BIND), "");
}

#[test]
fn a_write_that_fails_undoes_those_before() {
    let (dir, at) = machine("e1000e");
    fs::write(dir.path().join(OVERRIDE), "other\n").unwrap();
    let plan = at.plan_bind(NIC, GENTLY).unwrap();
    fs::remove_file(dir.path().join("sys/bus/pci/drivers_probe")).unwrap();
    fs::remove_file(at.device(NIC).join("driver")).unwrap();
    let error = at.carry_out(&plan, |_| {}).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("drivers_probe") && text.contains("put back as it was"),
        "{text}"
    );
    assert_eq!(read(dir.path(), OVERRIDE), "other");
    assert_eq!(read(dir.path(), BIND), NIC);
    // And if that fails too, it is said what is left to do.
    fs::remove_file(dir.path().join(BIND)).unwrap();
    let text = at.carry_out(&plan, |_| {}).unwrap_err().to_string();
    assert!(
        text.contains("could not all be put back") && text.contains(BIND),
        "{text}"
    );
}

/// A machine without an IOMMU, whose VFIO has the mode that does without.
fn without_iommu(driver: &str, mode: &str) -> (tempfile::TempDir, Sysfs) {
    let (dir, at) = machine(driver);
    fs::remove_file(at.device(NIC).join("iommu_group")).unwrap();
    fs::create_dir_all(at.unsafe_mode().parent().unwrap()).unwrap();
    fs::write(at.unsafe_mode(), mode).unwrap();
    (dir, at)
}

#[test]
fn without_an_iommu_a_device_is_taken_if_that_is_said() {
    let (dir, at) = without_iommu("e1000e", "N\n");
    let error = at.plan_bind(NIC, GENTLY).unwrap_err().to_string();
    assert!(
        error.contains("`ferrule bind --no-iommu 0000:01:00.0`") && error.contains("all of memory"),
        "{error}"
    );
    let plan = at.plan_bind(NIC, NO_IOMMU).unwrap();
    assert_eq!(
        texts(&plan, dir.path()),
        [
            format!("echo Y > {UNSAFE_MODE}"),
            format!("echo vfio-pci > {OVERRIDE}"),
            format!("echo {NIC} > {UNBIND}"),
            format!("echo {NIC} > sys/bus/pci/drivers_probe"),
        ]
    );
    // The mode is another device's already.
    let (dir, at) = without_iommu("e1000e", "Y\n");
    let plan = at.plan_bind(NIC, NO_IOMMU).unwrap();
    assert!(!texts(&plan, dir.path()).concat().contains(UNSAFE_MODE));
    assert_eq!(plan.steps().count(), 3);
}

#[test]
fn a_plan_without_an_iommu_that_fails_leaves_the_mode_as_it_was() {
    let (dir, at) = without_iommu("e1000e", "N\n");
    let plan = at.plan_bind(NIC, NO_IOMMU).unwrap();
    // Nothing here acts on the writes, so e1000e keeps it.
    let error = at.carry_out(&plan, |_| {}).unwrap_err();
    assert!(matches!(error, BindError::NotTaken { .. }), "{error}");
    assert_eq!(read(dir.path(), UNSAFE_MODE), "N");
    assert_eq!(read(dir.path(), OVERRIDE), "\n");
}

#[test]
fn what_an_iommu_guards_is_not_taken_without_one() {
    for driver in ["e1000e", "vfio-pci"] {
        let (dir, at) = machine(driver);
        let error = at.plan_bind(NIC, NO_IOMMU).unwrap_err().to_string();
        assert!(
            error.contains("IOMMU group 12") && error.contains("without --no-iommu"),
            "{error}"
        );
        // Nor has a kernel without the mode a device that it could not guard.
        fs::remove_file(at.device(NIC).join("iommu_group")).unwrap();
        fs::remove_file(dir.path().join("sys/bus/pci/devices/0000:01:00.0/driver")).unwrap();
        let error = at.plan_bind(NIC, NO_IOMMU).unwrap_err().to_string();
        assert!(error.contains("CONFIG_VFIO_NOIOMMU is not set"), "{error}");
    }
}

#[test]
fn a_device_without_an_iommu_shows_its_group_and_who_has_it() {
    let (dir, at) = machine("vfio-pci");
    let group = dir.path().join("sys/kernel/iommu_groups/12");
    fs::create_dir_all(&group).unwrap();
    assert!(!at.inspect(NIC).unwrap().no_iommu);
    fs::write(group.join("name"), "vfio-noiommu\n").unwrap();
    let fds = dir.path().join("proc/4711/fd");
    fs::create_dir_all(&fds).unwrap();
    // The file of a group with an IOMMU would be another.
    symlink(at.dev.join("vfio/12"), fds.join("30")).unwrap();
    let device = at.inspect(NIC).unwrap();
    assert!(device.no_iommu && device.holders.is_empty());
    symlink(at.dev.join("vfio/noiommu-12"), fds.join("31")).unwrap();
    assert_eq!(at.inspect(NIC).unwrap().holders[0].pid, 4711);
    // It is bound already, whoever asks how.
    for options in [GENTLY, NO_IOMMU] {
        assert_eq!(at.plan_bind(NIC, options).unwrap().steps().count(), 0);
    }
}

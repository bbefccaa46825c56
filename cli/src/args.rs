//! The command line.
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use ferrule_driver::nic::MacAddress;
use ferrule_rtl::board::description::Board;
use ferrule_sim::engine::window::TraceWindow;
use ferrule_sim::wire::impair::Impairments;
use ferrule_stackd::{Ports, Program};

use crate::size::Size;
use crate::wire::WireSpec;

/// The end of the help of commands that read a file of settings.
macro_rules! settings_help {
    () => {
        "A file of settings (--config), all of which may be left away:\n\n  \
        device = \"pci:0000:01:00.0\"\n  \
        addresses = [\"10.0.0.2/24\"]\n  \
        gateway = \"10.0.0.1\"\n  \
        mtu = 1500\n  \
        busy-poll = 50\n  \
        [[routes]]\n  \
        to = \"172.16.0.0/12\"\n  \
        via = \"10.0.0.254\"\n  \
        [programs]          # nic: only these go to the NIC; kernel: these stay with the kernel\n  \
        kernel = [\"ssh\"]\n  \
        [ports]\n  \
        nic = [80, \"8000-8999\"]\n  \
        kernel = [\"53/udp\"]\n\n\
        What is said on the command line goes before FERRULE_DEVICE, FERRULE_ADDRESS, FERRULE_GATEWAY and FERRULE_RULES, and these before the file."
    };
}

/// `ferrule`: an Ethernet NIC in Rust, from the FPGA to the socket, and its simulator.
#[derive(Debug, Parser)]
#[command(
    name = "ferrule",
    version,
    about = "An FPGA NIC with its driver, TCP/IP stack and sockets, in Rust - and a simulator to run it all without a board.",
    after_help = "Example: ferrule demo        a TCP conversation through simulated hardware\n\
                  More:    ferrule help demo"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring up a simulated NIC and hold a conversation through it: ARP, ping, UDP, HTTP and TCP, every byte compared.
    #[command(
        after_help = "Examples:\n  ferrule demo\n  ferrule demo --engine verilated --bytes 1MiB\n  ferrule demo --json | jq .goodput_bits_per_s\n  ferrule demo --device sim: --seed 7\n  ferrule demo --wire loopback\n  ferrule demo --impair loss=1%,reorder=1%,delay=200us\n  ferrule demo --trace-window 100us..120us\n  sudo ferrule demo --wire tap:tap0 --address 10.0.0.2/24 --peer 10.0.0.1\n\n\
        Files: ferrule-demo.pcapng (open it in Wireshark) and, with --vcd or --trace-window, ferrule-demo.vcd (GTKWave).\n\
        Exit status: 0 if everything was right, 1 if not, 2 for a command line that makes no sense."
    )]
    Demo(Demo),
    /// Run the simulated NIC as a vfio-user device on a unix socket, for a driver in another process.
    #[command(
        after_help = "Examples:\n  ferrule serve --socket /tmp/nic.sock &\n  ferrule ping --device vfio-user:/tmp/nic.sock 192.0.2.2\n  ferrule serve --socket /tmp/nic.sock --wire pcap:recorded.pcapng"
    )]
    Serve(Serve),
    /// Make a board on a serial port, such as an Arty, a vfio-user device on a unix socket: the driver and all tools work on it.
    #[command(
        after_help = "Examples:\n  ferrule bridge --uart /dev/ttyUSB1 --listen /tmp/nic.sock &\n  ferrule ping --device vfio-user:/tmp/nic.sock --address 10.0.0.2/24 10.0.0.1\n  ferrule bridge --uart /dev/ttyUSB1 --baud 12000000 --listen /tmp/nic.sock --json\n\n\
        The board may be reset, unplugged and plugged in again: to the driver it is a NIC that was reset. What the line damages is sent again.\n\
        It tells an FTDI adapter not to wait for its packets to fill where it may (latency_timer and event_char in\n\
        /sys/bus/usb-serial/devices/*). Ctrl-C ends it."
    )]
    Bridge(Bridge),
    /// Ping a host through a NIC: one that is there already, or a simulated one made for it.
    #[command(
        after_help = "Examples:\n  ferrule ping 192.0.2.2\n  ferrule ping --impair delay=10ms,jitter=2ms 192.0.2.2\n  ferrule ping --wire tap:tap0 --address 10.0.0.2/24 10.0.0.1\n  ferrule ping --device vfio-user:/tmp/nic.sock 192.0.2.2"
    )]
    Ping(Ping),
    /// Test a NIC's hardware: registers, DMA, interrupts, clock and counters. It is reset and loops frames back inside its MAC: nothing reaches the wire.
    #[command(
        after_help = "Examples:\n  ferrule selftest\n  ferrule selftest --device vfio-user:/tmp/nic.sock --quick\n  sudo ferrule selftest --device pci:0000:01:00.0 --json | jq .failed\n\n\
        What it does to the device: it takes it from whoever configured it, resets it before and after, and leaves it with the MAC address that it had.\n\
        Exit status: 0 if no check failed, 1 if one did, 2 for a command line that makes no sense."
    )]
    Selftest(Selftest),
    /// List the NICs on the machine's PCI bus: who drives them, who holds them, and what is missing to use them.
    #[command(
        after_help = "Examples:\n  ferrule list\n  ferrule list --all\n  sudo ferrule list --json | jq '.[] | select(.ready) | .address'\n\n\
        It reads what the kernel shows and changes nothing. Which processes of others hold a device shows to root only."
    )]
    List(List),
    /// Give a PCI device to vfio-pci, so that a program can use it.
    #[command(
        after_help = "Examples:\n  sudo ferrule bind 0000:01:00.0 --dry-run\n  sudo ferrule bind 0000:01:00.0\n\n\
        It prints what it writes to sysfs, as a shell would. If a write fails, or the kernel does something else, all is put back as it was.\n\
        A device that is a network interface which is up, or which carries the default route, is left alone without --force."
    )]
    Bind(Bind),
    /// Give a PCI device that vfio-pci has back to the kernel's driver for it.
    #[command(after_help = "Example:\n  sudo ferrule unbind 0000:01:00.0\n\n\
        It prints what it writes to sysfs, as a shell would, and puts it back if it fails. A device that a process holds is left alone.")]
    Unbind(Unbind),
    /// Tell what a NIC is: its identity, its capabilities, its MAC address, its link and its place on the bus.
    #[command(
        after_help = "Examples:\n  ferrule info --device vfio-user:/tmp/nic.sock\n  sudo ferrule info --device pci:0000:01:00.0 --json | jq .capabilities\n\n\
        What it does to the device: it reads registers. The kernel's VFIO and `ferrule serve` reset a device when it is let go of."
    )]
    Info(Look),
    /// Show a NIC's registers, or write down what they are.
    #[command(
        after_help = "Examples:\n  ferrule regs dump --device vfio-user:/tmp/nic.sock\n  ferrule regs export --format c > ferrule.h"
    )]
    Regs(Regs),
    /// Show a NIC's counters, once or again and again.
    #[command(
        after_help = "Examples:\n  ferrule stats --device vfio-user:/tmp/nic.sock\n  sudo ferrule stats --device pci:0000:01:00.0 --up --watch 1\n  ferrule stats --device vfio-user:/tmp/nic.sock --prometheus\n\n\
        What it does to the device: it takes a snapshot of the counters, which changes nothing else. With --up it resets the NIC, receives all\n\
        frames and throws them away. A device has one holder at a time, and the kernel's VFIO and `ferrule serve` reset it when it is let go of,\n\
        counters included: without --up, and unless the device cannot be reset, they count from when this command began."
    )]
    Stats(Stats),
    /// Capture what a NIC receives to a pcapng file, with the times at which it came.
    #[command(
        after_help = "Examples:\n  sudo ferrule capture --device pci:0000:01:00.0 --promiscuous -w eth.pcapng\n  ferrule capture --device vfio-user:/tmp/nic.sock -w - --count 100 | tshark -r -\n\n\
        What it does to the device: it takes it from whoever configured it, resets it, brings it up without an address, so that it answers\n\
        nobody, and stops it at the end. Ctrl-C ends it."
    )]
    Capture(Capture),
    /// Show and change the ARP cache in a NIC's hardware.
    #[command(
        after_help = "Examples:\n  ferrule neigh show --device vfio-user:/tmp/nic.sock\n  sudo ferrule neigh add 192.0.2.1 02:00:00:00:00:01 --device pci:0000:01:00.0\n  ferrule neigh ask 192.0.2.2\n\n\
        Each command prints what the cache holds then. A device has one holder at a time, and the kernel's VFIO and `ferrule serve` reset it,\n\
        its ARP cache included, when it is let go of: entries last only on a device that cannot be reset. A program changes those of the NIC\n\
        that it holds by the library: Nic::add_neighbour of the crate ferrule-driver."
    )]
    Neigh(Neigh),
    /// Run a program on a NIC: its TCP and UDP sockets are the NIC's, unchanged as it is.
    #[command(
        after_help = concat!(
            "Examples:\n  ferrule run -- curl http://192.0.2.2/\n  ferrule run --device vfio-user:/tmp/nic.sock --address 10.0.0.2/24 -- python3 -m http.server\n  ferrule run --stackd \"$FERRULE_STACKD\" -- nginx\n  ferrule run --config ferrule.toml --kernel-ports 22 -- sh\n\n\
        Without --device and --stackd there is a simulated NIC on the machine's time. 127.0.0.0/8, IPv6 that does not stand for IPv4, and names (the C\n\
        library's resolver) stay with the kernel. Programs that do not call the C library cannot be helped: static ones are refused, of Go ones it warns;\n\
        so does io_uring go past it.\n\
        Exit status: the program's own; 128 and the signal's number if one ended it; 2 for a command line that makes no sense.\n\n",
            settings_help!()
        )
    )]
    Run(Run),
    /// Own a NIC and its stack for the programs of several `ferrule run`.
    #[command(
        after_help = concat!(
            "Example:\n  ferrule stackd --device vfio-user:/tmp/nic.sock --address 10.0.0.2/24 > stackd.env &\n  . ./stackd.env; ferrule run --stackd \"$FERRULE_STACKD\" -- redis-server\n\n\
        What it prints is the environment for `ferrule run`: where it listens, and the secret without which it serves nobody. Ctrl-C ends it.\n\n",
            settings_help!()
        )
    )]
    Stackd(Stackd),
    /// Write the NIC as Verilog, alone or with all that a board's bitstream is made of.
    #[command(
        after_help = "Examples:\n  ferrule verilog -o out && verilator --lint-only -Wno-WIDTH out/ferrule_nic.v\n  ferrule verilog --board arty-a7-35 -o out && make -C out\n  ferrule verilog --board ac701 -o out && cd out && vivado -mode batch -source ac701.tcl\n\n\
        With --board it writes the Verilog of core and top, the constraints (.xdc), a script for Vivado (.tcl) and, for boards without PCI\n\
        Express, a Makefile for open tools. `ferrule boards` lists the boards."
    )]
    Verilog(Verilog),
    /// List the boards: what each is, what makes its bitstream, and what was tested how.
    #[command(
        after_help = "Examples:\n  ferrule boards\n  ferrule boards --json | jq -r '.[].name'"
    )]
    Boards(Boards),
}

/// How to simulate.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimArgs {
    /// What simulates the hardware: compiled (the Verilog as machine code, nothing to install), native (rust-hdl, slow), verilated (Verilator and g++), model (plain Rust, fastest), auto (compiled).
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: ferrule_sim::engine::Kind,
    /// What the NIC is plugged into: lan (simulated hosts and a router), loopback, tap:NAME (the Linux kernel; needs CAP_NET_ADMIN), or
    /// pcap:FILE (a pcap or pcapng capture, replayed towards the NIC from when its receiver is switched on; for serve).
    #[arg(long, value_name = "WIRE", default_value = "lan")]
    pub(crate) wire: WireSpec,
    /// What the wire does to frames: key=value, separated by commas, each with rx. or tx. before it for frames towards or from the NIC only.
    /// loss, dup, reorder, corrupt (the FCS finds it; bits=N flips up to N) and mangle (only the checksums do) in per cent; delay and
    /// jitter; rate, with queue=BYTES.
    #[arg(long, value_name = "IMPAIRMENTS")]
    pub(crate) impair: Option<Impairments>,
    /// Seed of the MAC address and of all that looks random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Which NIC a tool is for.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArgs {
    /// The NIC: pci:0000:01:00.0 through the kernel's VFIO, pci-no-iommu:0000:01:00.0 where no IOMMU guards memory from it (`ferrule bind --help`),
    /// vfio-user:PATH on a socket (`ferrule serve`), or sim:, a simulated one in this process. With #1 behind it the second port of any but the last.
    #[arg(long, value_name = "DEVICE", default_value = "sim:")]
    pub(crate) device: String,
    /// How to simulate, with sim:.
    #[command(flatten)]
    pub(crate) sim: SimArgs,
}

/// The address of the NIC's host.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddressArgs {
    /// Our IPv4 address and prefix length.
    #[arg(long, value_parser = parse_address, value_name = "ADDR/LEN", default_value = "192.0.2.10/24")]
    pub(crate) address: ferrule::Cidr,
    /// Our default gateway.
    #[arg(long, value_name = "ADDR")]
    pub(crate) gateway: Option<Ipv4Addr>,
}

impl SimArgs {
    /// The wire, for people.
    pub(crate) fn wire_text(&self) -> String {
        match &self.impair {
            None => self.wire.to_string(),
            Some(impairments) => format!("{} with {impairments}", self.wire),
        }
    }
}

impl AddressArgs {
    /// The gateway that was named; without one, that of the simulated LAN where this is the wire, and our address on its subnet.
    pub(crate) fn gateway_on(&self, wire: &WireSpec) -> Option<Ipv4Addr> {
        self.gateway.or(wire.gateway(&[self.address]))
    }
}

/// `ferrule demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// How to simulate.
    #[command(flatten)]
    pub(crate) sim: SimArgs,
    /// Who we are, on a tap wire.
    #[command(flatten)]
    pub(crate) address: AddressArgs,
    /// Whom to talk to on a tap wire.
    #[arg(long, value_name = "ADDR", default_value_t = ferrule_sim::wire::lan::PEER)]
    pub(crate) peer: Ipv4Addr,
    /// How the driver reaches the simulated NIC: vfio-user, a simulator thread behind a socket; sim:, in process, where the same seed gives
    /// the same capture byte for byte.
    #[arg(long, value_name = "DEVICE", default_value = "vfio-user", value_parser = parse_access)]
    pub(crate) device: Access,
    /// How much to echo over TCP; without it 4KiB on the native engine and 1MiB on the others.
    #[arg(long, value_name = "SIZE")]
    pub(crate) bytes: Option<Size>,
    /// Write a waveform too: slower, and some hundred megabytes.
    #[arg(long)]
    pub(crate) vcd: bool,
    /// Write a waveform of this part of simulated time only, such as 10us..20us, 10us.. or ..20us.
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) trace_window: Option<TraceWindow>,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Where to listen; the socket is made anew.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// How to simulate.
    #[command(flatten)]
    pub(crate) sim: SimArgs,
    /// Capture every frame to this pcapng file.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
}

/// `ferrule bridge`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bridge {
    /// The serial port.
    #[arg(long, value_name = "PATH")]
    pub(crate) uart: PathBuf,
    /// Its rate: that of the board's design.
    #[arg(long, value_name = "N", default_value_t = 3_000_000, value_parser = clap::value_parser!(u32).range(115_200..=12_000_000))]
    pub(crate) baud: u32,
    /// Where to listen; the socket is made anew.
    #[arg(long, value_name = "PATH")]
    pub(crate) listen: PathBuf,
    /// Seconds of silence after which the board is taken for gone.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "0.5")]
    pub(crate) patience: Duration,
    /// Print one JSON object a second, with all counters, instead of the line of progress.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule ping`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ping {
    /// The host to ping.
    pub(crate) host: Ipv4Addr,
    /// The NIC to use: vfio-user:PATH, pci:0000:01:00.0, pci-no-iommu:0000:01:00.0, each with #1 behind it for a second port, or sim:, a simulated one in this process.
    /// Without it a simulated one is made behind a socket.
    #[arg(long, value_name = "DEVICE", conflicts_with = "impair")]
    pub(crate) device: Option<String>,
    /// How to simulate, without --device.
    #[command(flatten)]
    pub(crate) sim: SimArgs,
    /// Who we are.
    #[command(flatten)]
    pub(crate) address: AddressArgs,
    /// How many requests.
    #[arg(short = 'c', long, value_name = "N", default_value_t = 4)]
    pub(crate) count: u16,
    /// Bytes of payload in each.
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 56, value_parser = clap::value_parser!(u16).range(0..=1472))]
    pub(crate) size: u16,
    /// Seconds to wait for each answer.
    #[arg(short = 'W', long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A NIC with an address: one that is there, or a simulated one on the machine's time. What is left away here may be in the environment, or else in a file.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostArgs {
    /// A file of settings in TOML, by default the one that FERRULE_CONFIG names. Options here go before the environment, and that before the file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The NIC to use: vfio-user:PATH, pci:0000:01:00.0 or pci-no-iommu:0000:01:00.0, with #1 behind it for a second port; or FERRULE_DEVICE. Without any a simulated one is
    /// made.
    #[arg(long, value_name = "DEVICE", conflicts_with = "impair")]
    pub(crate) device: Option<String>,
    /// How to simulate, without --device.
    #[command(flatten)]
    pub(crate) sim: SimArgs,
    /// Our IPv4 addresses and prefix lengths, up to eight, with commas; or FERRULE_ADDRESS. Without any 192.0.2.10/24.
    #[arg(long = "address", value_parser = parse_address, value_delimiter = ',', value_name = "ADDR/LEN")]
    pub(crate) addresses: Vec<ferrule::Cidr>,
    /// Our default gateway; or FERRULE_GATEWAY.
    #[arg(long, value_name = "ADDR")]
    pub(crate) gateway: Option<Ipv4Addr>,
    /// What goes by way of another gateway, which is on a subnet of ours; several with commas.
    #[arg(long = "route", value_parser = parse_route, value_delimiter = ',', value_name = "ADDR/LEN=GATEWAY")]
    pub(crate) routes: Vec<RouteSpec>,
    /// The largest IP packet; 1500 without it.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(68..=9000))]
    pub(crate) mtu: Option<u16>,
    /// Microseconds to look at the NIC's rings before sleeping until an interrupt: answers come sooner, and a processor is busy meanwhile.
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) busy_poll: Option<u64>,
    /// What goes to the NIC.
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

/// Which programs and ports go to the NIC, and which stay with the kernel.
#[derive(Debug, Clone, Args)]
pub(crate) struct RuleArgs {
    /// Only programs of these names go to the NIC, children included; with commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) nic_programs: Vec<Program>,
    /// Programs of these names stay with the kernel.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) kernel_programs: Vec<Program>,
    /// Only these ports go to the NIC, such as 80,8000-8999,53/udp: the port that a socket connects or sends to, or else the one that it is bound to.
    #[arg(long, value_delimiter = ',', value_name = "PORTS")]
    pub(crate) nic_ports: Vec<Ports>,
    /// These ports stay with the kernel.
    #[arg(long, value_delimiter = ',', value_name = "PORTS")]
    pub(crate) kernel_ports: Vec<Ports>,
}

/// A route: where to, by way of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteSpec {
    pub(crate) to: ferrule::Cidr,
    pub(crate) via: Ipv4Addr,
}

/// `ferrule run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// The NIC.
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// Use the NIC of a `ferrule stackd`: what it has printed after FERRULE_STACKD=.
    #[arg(long, value_name = "NAME#SECRET", conflicts_with_all = ["device", "impair", "addresses", "gateway", "routes", "mtu", "busy_poll"])]
    pub(crate) stackd: Option<ferrule_stackd::Address>,
    /// The library to preload; without it the one beside this program.
    #[arg(long, value_name = "FILE", env = "FERRULE_PRELOAD")]
    pub(crate) preload: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

/// `ferrule stackd`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Stackd {
    /// The NIC.
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// The abstract name to listen at; a random one without it.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `ferrule selftest`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selftest {
    /// Which NIC.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Frames of some sizes only instead of all.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Read where there are no registers, on a real bus too.
    #[arg(long)]
    pub(crate) holes: bool,
    /// Have the device access memory that it was not given: the IOMMU must refuse it.
    #[arg(long)]
    pub(crate) isolation: bool,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the kernel shows its devices.
#[derive(Debug, Clone, Args)]
pub(crate) struct Machine {
    /// A folder with sys, dev and proc of another machine, or of a made-up one.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) root: Option<PathBuf>,
}

/// `ferrule list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct List {
    /// Which machine.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Every network controller, not only Ferrule NICs and what vfio-pci has.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON array instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule bind`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bind {
    /// The device's PCI address, as 0000:01:00.0 or 01:00.0.
    pub(crate) address: String,
    /// Which machine.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Print what would be written and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take it even from a network interface that is up or carries the default route.
    #[arg(long)]
    pub(crate) force: bool,
    /// Take a device that no IOMMU is in front of, by the no-IOMMU mode of the kernel's VFIO; its name is pci-no-iommu:ADDRESS then. That gives the guard
    /// of memory up: nothing keeps the device, or a program that may open it, from reading and writing all of it, and the kernel marks itself
    /// tainted. The mode stays on for all devices until N is written to where Y is written here.
    #[arg(long)]
    pub(crate) no_iommu: bool,
}

/// `ferrule unbind`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Unbind {
    /// The device's PCI address, as 0000:01:00.0 or 01:00.0.
    pub(crate) address: String,
    /// Which machine.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Print what would be written and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What only looks at a NIC.
#[derive(Debug, Clone, Args)]
pub(crate) struct Look {
    /// Which NIC.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule regs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Regs {
    /// What to do with them.
    #[command(subcommand)]
    pub(crate) command: RegsCommand,
}

/// What to do with registers.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RegsCommand {
    /// Show what each register of a NIC holds, field by field.
    #[command(
        after_help = "Examples:\n  ferrule regs dump --device vfio-user:/tmp/nic.sock\n  sudo ferrule regs dump --device pci:0000:01:00.0 --all --json | jq '.[] | select(.name == \"RXCTL\")'\n\n\
        What it does to the device: it reads registers, which has no side effect. The kernel's VFIO and `ferrule serve` reset a device when it is let go of."
    )]
    Dump(Box<RegsDump>),
    /// Write the description of the registers, from the tables that hardware and driver are built from.
    #[command(
        after_help = "Examples:\n  ferrule regs export --format c > ferrule.h\n  ferrule regs export --format svd > ferrule.svd"
    )]
    Export(RegsExport),
}

/// `ferrule regs dump`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegsDump {
    /// Which NIC.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Show those elements of arrays too that hold their reset value.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON array instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule regs export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegsExport {
    /// As what: a C header (C99 and C++), JSON, CMSIS-SVD 1.3, or Markdown as docs/registers.md.
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
}

/// What the registers are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A C header.
    C,
    /// JSON.
    Json,
    /// CMSIS-SVD.
    Svd,
    /// Markdown.
    Md,
}

/// `ferrule stats`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Stats {
    /// Which NIC.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Bring the NIC up first: receive every frame and throw it away, so that there is something to count.
    #[arg(long)]
    pub(crate) up: bool,
    /// Show them again every so many seconds, with what they grow by in one; Ctrl-C ends it.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) watch: Option<Duration>,
    /// End after so many times.
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Leave out counters that are 0.
    #[arg(long)]
    pub(crate) nonzero: bool,
    /// Print one JSON object instead of the table, with --watch one a line.
    #[arg(long, conflicts_with = "prometheus")]
    pub(crate) json: bool,
    /// Print Prometheus' text format instead of the table.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) prometheus: bool,
}

/// `ferrule capture`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Capture {
    /// Which NIC.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// The file to write; - is standard output.
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// End after so many frames.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) duration: Option<Duration>,
    /// Frames to others too, and all multicast.
    #[arg(long)]
    pub(crate) promiscuous: bool,
    /// Frames too whose FCS, IP header or TCP or UDP checksum is wrong; those with a wrong FCS are marked.
    #[arg(long)]
    pub(crate) bad_frames: bool,
}

/// `ferrule neigh`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Neigh {
    /// What to do with them.
    #[command(subcommand)]
    pub(crate) command: NeighCommand,
}

/// What to do with neighbours.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum NeighCommand {
    /// Show the entries.
    #[command(
        after_help = "Example:\n  ferrule neigh show --device vfio-user:/tmp/nic.sock --json"
    )]
    Show(Look),
    /// Add a static entry, which no packet changes and which does not age.
    #[command(
        after_help = "Example:\n  sudo ferrule neigh add 192.0.2.1 02:00:00:00:00:01 --device pci:0000:01:00.0"
    )]
    Add {
        /// The neighbour's IPv4 address.
        address: Ipv4Addr,
        /// Its MAC address.
        #[arg(value_parser = parse_mac)]
        mac: MacAddress,
        /// Where, and how to print.
        #[command(flatten)]
        look: Look,
    },
    /// Delete an entry, static or not.
    #[command(
        after_help = "Example:\n  sudo ferrule neigh del 192.0.2.1 --device pci:0000:01:00.0"
    )]
    Del {
        /// The neighbour's IPv4 address.
        address: Ipv4Addr,
        /// Where, and how to print.
        #[command(flatten)]
        look: Look,
    },
    /// Delete all entries but static ones and those being asked for.
    #[command(after_help = "Example:\n  sudo ferrule neigh flush --device pci:0000:01:00.0")]
    Flush(Look),
    /// Bring the NIC up with an address and let its hardware ask who has another one: who answers is shown as learned.
    #[command(
        after_help = "Examples:\n  ferrule neigh ask 192.0.2.2\n  ferrule neigh ask 10.0.0.1 --address 10.0.0.2/24 --device vfio-user:/tmp/nic.sock\n\n\
        What it does to the device: it resets it, brings it up, sends up to three ARP requests and stops it. Exit status 1 if nobody answers."
    )]
    Ask {
        /// Whose MAC address is asked for.
        host: Ipv4Addr,
        /// Our IPv4 address and prefix length.
        #[arg(long, value_parser = parse_address, value_name = "ADDR/LEN", default_value = "192.0.2.10/24")]
        address: ferrule::Cidr,
        /// Where, and how to print.
        #[command(flatten)]
        look: Look,
    },
}

/// `ferrule verilog`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Verilog {
    /// Folder to write to; made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// For this board, with its pins and clocks; `ferrule boards` lists them.
    #[arg(long, value_name = "NAME", value_parser = parse_board)]
    pub(crate) board: Option<&'static Board>,
}

/// `ferrule boards`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Boards {
    /// Print one JSON array instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a simulated NIC of our own is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// By a vfio-user socket; the simulator has a thread.
    VfioUser,
    /// In process.
    Sim,
}

fn parse_access(text: &str) -> Result<Access, String> {
    match text {
        "vfio-user" => Ok(Access::VfioUser),
        "sim:" | "sim" => Ok(Access::Sim),
        _ => Err(format!(
            "{text:?} is no way to reach a NIC that the demo makes itself: choose vfio-user or sim:"
        )),
    }
}

/// A board's name.
fn parse_board(name: &str) -> Result<&'static Board, String> {
    let names = || {
        let all = ferrule_rtl::board::BOARDS.into_iter();
        all.map(|b| b.name).collect::<Vec<_>>().join(", ")
    };
    ferrule_rtl::board::find(name)
        .ok_or_else(|| format!("there is no board {name:?}: choose from {}", names()))
}

/// A MAC address, as `02:00:00:00:00:01`.
fn parse_mac(text: &str) -> Result<MacAddress, String> {
    let bad = || format!("{text:?} is no MAC address, such as 02:00:00:00:00:01");
    let byte = |part: &str| match part.len() {
        2 if part.bytes().all(|b| b.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    bytes.and_then(|b| b.try_into().ok()).ok_or_else(bad)
}

/// Seconds, with a fraction, of which there must be some.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|s| *s >= 0.001);
    let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    time.ok_or_else(|| format!("{text:?} is no time in seconds, such as 1 or 0.5"))
}

/// An address with its prefix length, as `192.0.2.10/24`.
pub(crate) fn parse_address(text: &str) -> Result<ferrule::Cidr, String> {
    let bad = || format!("{text:?} is not an address with a prefix length, such as 192.0.2.10/24");
    let (addr, prefix) = text.split_once('/').ok_or_else(bad)?;
    let addr = addr.parse().map_err(|_| bad())?;
    let prefix = prefix.parse().map_err(|_| bad())?;
    ferrule::Cidr::new(addr, prefix)
        .filter(|_| prefix > 0)
        .ok_or_else(bad)
}

/// A route, as `172.16.0.0/12=192.0.2.254`.
fn parse_route(text: &str) -> Result<RouteSpec, String> {
    let bad = || format!("{text:?} is no route, such as 172.16.0.0/12=192.0.2.254");
    let (to, via) = text.split_once('=').ok_or_else(bad)?;
    let to = parse_address(to).map_err(|_| bad())?;
    let via = via.parse().map_err(|_| bad())?;
    Ok(RouteSpec { to, via })
}

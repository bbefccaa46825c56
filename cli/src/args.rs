//! The command line.
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use ferrule_sim::engine::window::TraceWindow;
use ferrule_sim::wire::impair::Impairments;

use crate::size::Size;
use crate::wire::WireSpec;

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
    /// Write the NIC as Verilog.
    #[command(
        after_help = "Example:\n  ferrule verilog -o out && verilator --lint-only -Wno-WIDTH out/ferrule_nic.v"
    )]
    Verilog(Verilog),
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
    /// The NIC: pci:0000:01:00.0 through the kernel's VFIO, vfio-user:PATH on a socket (`ferrule serve`), or sim:, a simulated one in this
    /// process.
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
    /// The gateway that was named; without one, that of the simulated LAN where this is the wire.
    pub(crate) fn gateway_on(&self, wire: &WireSpec) -> Option<Ipv4Addr> {
        let lan = (*wire == WireSpec::Lan).then_some(ferrule_sim::wire::lan::GATEWAY);
        self.gateway.or(lan)
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

/// `ferrule ping`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ping {
    /// The host to ping.
    pub(crate) host: Ipv4Addr,
    /// The NIC to use: vfio-user:PATH or pci:0000:01:00.0. Without it a simulated one is made.
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
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ferrule verilog`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Verilog {
    /// Folder to write to; made where it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
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

/// An address with its prefix length, as `192.0.2.10/24`.
fn parse_address(text: &str) -> Result<ferrule::Cidr, String> {
    let bad = || format!("{text:?} is not an address with a prefix length, such as 192.0.2.10/24");
    let (addr, prefix) = text.split_once('/').ok_or_else(bad)?;
    let addr = addr.parse().map_err(|_| bad())?;
    let prefix = prefix.parse().map_err(|_| bad())?;
    ferrule::Cidr::new(addr, prefix)
        .filter(|_| prefix > 0)
        .ok_or_else(bad)
}

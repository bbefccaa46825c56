//! What `ferrule run` and `ferrule stackd` are told, wherever it is said: on the command line, or else in the environment, or else in a file.
use std::env;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ferrule::Cidr;
use ferrule_stackd::{Lists, Ports, Program, Rules};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::args::{parse_address, HostArgs, RouteSpec, RuleArgs, SimArgs};
use crate::device;
use crate::error::Error;

/// Who we are where nobody says it: a host of the simulated LAN.
const ADDRESS: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 0, 2, 10), 24);

/// The NIC's host, as it is to be.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The NIC; none for a simulated one.
    pub(crate) device: Option<String>,
    pub(crate) addresses: Vec<Cidr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) routes: Vec<RouteSpec>,
    /// In bytes.
    pub(crate) mtu: Option<u16>,
    pub(crate) busy_poll: Duration,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    device: Option<String>,
    #[serde(deserialize_with = "addresses")]
    addresses: Vec<Cidr>,
    gateway: Option<Ipv4Addr>,
    routes: Vec<FileRoute>,
    #[serde(deserialize_with = "mtu")]
    mtu: Option<u16>,
    /// Microseconds.
    busy_poll: Option<u64>,
    programs: Programs,
    ports: PortLists,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRoute {
    #[serde(deserialize_with = "subnet")]
    to: Cidr,
    via: Ipv4Addr,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Programs {
    nic: Vec<Text<Program>>,
    kernel: Vec<Text<Program>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PortLists {
    nic: Vec<Text<Ports>>,
    kernel: Vec<Text<Ports>>,
}

/// What is written as a text, or, like a port, as a number.
#[derive(Debug)]
struct Text<T>(T);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a number")]
enum Written {
    Text(String),
    Number(i64),
}

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match Written::deserialize(from)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// An address with its prefix length.
struct Address(Cidr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        parse_address(&text).map(Self).map_err(D::Error::custom)
    }
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Cidr>, D::Error> {
    let all = Vec::<Address>::deserialize(from)?;
    Ok(all.into_iter().map(|address| address.0).collect())
}

fn subnet<'de, D: Deserializer<'de>>(from: D) -> Result<Cidr, D::Error> {
    Address::deserialize(from).map(|address| address.0)
}

fn mtu<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    let bytes = i64::deserialize(from)?;
    let mtu = u16::try_from(bytes)
        .ok()
        .filter(|mtu| (68..=9_000).contains(mtu));
    let wrong = || D::Error::custom(format!("{bytes} is no MTU: it is 68 to 9000 bytes"));
    mtu.map(Some).ok_or_else(wrong)
}

/// Reads the file that the command line names, or else FERRULE_CONFIG.
fn file(named: Option<&Path>) -> Result<File, Error> {
    let variable = env::var_os("FERRULE_CONFIG").filter(|path| !path.is_empty());
    let Some(path) = named.map(PathBuf::from).or(variable.map(PathBuf::from)) else {
        return Ok(File::default());
    };
    let name = path.display();
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Error::Usage(format!(
            "cannot read {name}: {e}; --config, or else FERRULE_CONFIG, names the file of settings"
        ))
    })?;
    toml::from_str(&text).map_err(|e| Error::Usage(format!("{name}: {}", e.to_string().trim_end())))
}

/// A variable of the environment.
fn variable<T, E: std::fmt::Display>(
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Error> {
    let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    let parsed = parse(&value);
    parsed
        .map(Some)
        .map_err(|e| Error::Usage(format!("{name}: {e}")))
}

/// The first list in which there is something.
fn first<T: Clone>(lists: [&[T]; 3]) -> Vec<T> {
    let mut lists = lists.into_iter();
    let found = lists.find(|list| !list.is_empty());
    found.unwrap_or_default().to_vec()
}

fn inner<T: Clone>(texts: &[Text<T>]) -> Vec<T> {
    texts.iter().map(|text| text.0.clone()).collect()
}

/// What the command line says and what the file says, which is read once.
pub(crate) struct Said<'a> {
    args: &'a HostArgs,
    file: File,
}

impl<'a> Said<'a> {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(args: &'a HostArgs) -> Result<Self, Error> {
        let file = file(args.config.as_deref())?;
        Ok(Self { args, file })
    }

    /// How a NIC of this command's own is simulated.
    pub(crate) fn sim(&self) -> &SimArgs {
        &self.args.sim
    }

    /// Puts the host's settings together.
    ///
    /// # Errors
    /// When a variable cannot be read, or makes no sense with an option.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let Self { args, file } = self;
        let device = variable("FERRULE_DEVICE", |text| Ok::<_, String>(text.to_owned()))?;
        let addresses = variable("FERRULE_ADDRESS", |text| {
            text.split(',')
                .map(|one| parse_address(one.trim()))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let gateway = variable("FERRULE_GATEWAY", |text| {
            let gateway = text.parse::<Ipv4Addr>();
            gateway.map_err(|_| format!("{text:?} is no address, such as 192.0.2.1"))
        })?;
        let device = args.device.clone().or(device).or(file.device.clone());
        if let (Some(device), Some(_)) = (&device, &args.sim.impair) {
            return Err(Error::Usage(format!(
                "--impair cannot be used with the device {device}: it is for a simulated NIC of this command's own, or for `ferrule serve`"
            )));
        }
        let mut addresses = first([
            &args.addresses,
            addresses.as_deref().unwrap_or_default(),
            &file.addresses,
        ]);
        if addresses.is_empty() {
            addresses.extend(Cidr::new(ADDRESS.0, ADDRESS.1));
        }
        let lan = device.is_none().then(|| args.sim.wire.gateway(&addresses));
        let in_file: Vec<_> = (file.routes.iter())
            .map(|route| RouteSpec {
                to: route.to,
                via: route.via,
            })
            .collect();
        Ok(Settings {
            gateway: args.gateway.or(gateway).or(file.gateway).or(lan.flatten()),
            routes: first([&args.routes, &[], &in_file]),
            mtu: args.mtu.or(file.mtu),
            busy_poll: Duration::from_micros(args.busy_poll.or(file.busy_poll).unwrap_or(0)),
            device,
            addresses,
        })
    }

    /// Which programs and ports go to the NIC.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub(crate) fn rules(&self) -> Result<Rules, Error> {
        let Self { args, file } = self;
        let variable = variable(Rules::VARIABLE, str::parse::<Rules>)?.unwrap_or_default();
        let RuleArgs {
            nic_programs,
            kernel_programs,
            nic_ports,
            kernel_ports,
        } = &args.rules;
        Ok(Rules {
            programs: Lists {
                nic: first([
                    nic_programs,
                    &variable.programs.nic,
                    &inner(&file.programs.nic),
                ]),
                kernel: first([
                    kernel_programs,
                    &variable.programs.kernel,
                    &inner(&file.programs.kernel),
                ]),
            },
            ports: Lists {
                nic: first([nic_ports, &variable.ports.nic, &inner(&file.ports.nic)]),
                kernel: first([
                    kernel_ports,
                    &variable.ports.kernel,
                    &inner(&file.ports.kernel),
                ]),
            },
        })
    }
}

impl Settings {
    /// Whether the NIC is a simulated one on simulated time, where no program lives.
    pub(crate) fn simulated_time(&self) -> Option<&str> {
        self.device
            .as_deref()
            .filter(|spec| device::is_simulated(spec))
    }
}

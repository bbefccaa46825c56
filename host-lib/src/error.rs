//! Why a host cannot be opened.
use std::net::Ipv4Addr;

use ferrule_driver::{DeviceError, NicError};
use ferrule_stack::{Cidr, RouteError};

/// An error of [`HostBuilder::open`](crate::HostBuilder::open).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody said which NIC to use.
    #[error("no NIC to use: set FERRULE_DEVICE to vfio-user:PATH (a simulator started with `ferrule serve --socket PATH`) or to pci:0000:01:00.0, or name one with Host::open")]
    NoDevice,
    /// Nobody said who we are.
    #[error("no address of our own: set FERRULE_ADDRESS to one with its prefix length, such as 192.0.2.10/24, or give one to Host::builder")]
    NoAddress,
    /// A setting that cannot be read.
    #[error(
        "{name} is {value:?}, which makes no sense there; see the documentation of Host::open"
    )]
    Setting {
        /// The environment variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// A route that cannot be.
    #[error("no route to {destination} by way of {gateway}: {why}")]
    Route {
        /// Where to.
        destination: Cidr,
        /// By way of whom.
        gateway: Ipv4Addr,
        /// Why not.
        why: RouteError,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The NIC on it.
    #[error(transparent)]
    Nic(#[from] NicError),
    /// The operating system.
    #[error("cannot start the host: {0}")]
    Os(#[from] std::io::Error),
}

//! The process's settings: FERRULE_DEVICE, FERRULE_ADDRESS, FERRULE_GATEWAY.
use std::env;
use std::net::Ipv4Addr;

use ferrule_stack::Cidr;

use crate::error::OpenError;

fn setting(name: &'static str) -> Result<Option<String>, OpenError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(value)) => Err(OpenError::Setting {
            name,
            value: value.to_string_lossy().into_owned(),
        }),
    }
}

/// The device to use.
pub(crate) fn device() -> Result<String, OpenError> {
    setting("FERRULE_DEVICE")?.ok_or(OpenError::NoDevice)
}

/// Our address with its prefix length.
pub(crate) fn address() -> Result<Cidr, OpenError> {
    let value = setting("FERRULE_ADDRESS")?.ok_or(OpenError::NoAddress)?;
    parse_cidr(&value).ok_or(OpenError::Setting {
        name: "FERRULE_ADDRESS",
        value,
    })
}

/// The default gateway, if there is one.
pub(crate) fn gateway() -> Result<Option<Ipv4Addr>, OpenError> {
    let Some(value) = setting("FERRULE_GATEWAY")? else {
        return Ok(None);
    };
    match value.parse() {
        Ok(gateway) => Ok(Some(gateway)),
        Err(_) => Err(OpenError::Setting {
            name: "FERRULE_GATEWAY",
            value,
        }),
    }
}

/// `192.0.2.10/24`.
fn parse_cidr(text: &str) -> Option<Cidr> {
    let (addr, prefix) = text.split_once('/')?;
    Cidr::new(addr.parse().ok()?, prefix.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse_cidr;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_needs_its_prefix_length() {
        let cidr = parse_cidr("192.0.2.10/24").map(|c| (c.addr(), c.prefix_len()));
        assert_eq!(cidr, Some((Ipv4Addr::new(192, 0, 2, 10), 24)));
        for bad in ["192.0.2.10", "192.0.2.10/33", "192.0.2/24", "x/8", ""] {
            assert_eq!(parse_cidr(bad), None, "{bad}");
        }
    }
}

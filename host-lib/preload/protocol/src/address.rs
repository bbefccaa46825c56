//! Where stackd listens, as the environment of a preloaded program says it.
use std::fmt;
use std::str::FromStr;

/// The abstract AF_UNIX address of a stackd, and the secret by which it knows whom it has let in: an abstract address has no permissions.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The name, without the NUL that makes it abstract.
    pub name: String,
    /// The secret.
    pub secret: [u8; 16],
}

impl Address {
    /// The variable of the environment that holds it.
    pub const VARIABLE: &'static str = "FERRULE_STACKD";

    /// The longest name: a `sun_path` less its NUL.
    pub const MAX_NAME: usize = 107;
}

/// Without the secret: that is for the environment alone.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.name)
    }
}

impl Address {
    /// As the environment holds it: `NAME#SECRET`, the secret in 32 hexadecimal digits.
    pub fn to_setting(&self) -> String {
        let digits: String = self.secret.iter().map(|b| format!("{b:02x}")).collect();
        format!("{}#{digits}", self.name)
    }
}

/// Why a setting is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not NAME#SECRET, as `ferrule stackd` prints it")
    }
}

impl std::error::Error for NoAddress {}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (name, digits) = text.rsplit_once('#').ok_or(NoAddress)?;
        if name.is_empty() || name.len() > Self::MAX_NAME || digits.len() != 32 {
            return Err(NoAddress);
        }
        let mut secret = [0; 16];
        for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoAddress)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoAddress)?;
        }
        Ok(Self {
            name: name.to_owned(),
            secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}#{}", "n".repeat(108), "0".repeat(32));
        let odd = format!("n#{}", "é".repeat(16));
        for bad in ["", "name", "#", "name#12", &long, &odd] {
            assert_eq!(bad.parse::<Address>(), Err(NoAddress), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_address_survives_the_environment(name in "[a-z#-]{1,107}", secret: [u8; 16]) {
            let address = Address { name, secret };
            prop_assert_eq!(address.to_setting().parse(), Ok(address.clone()));
            let shown = format!("{address:?}");
            prop_assert!(!shown.contains(&address.to_setting()));
        }
    }
}

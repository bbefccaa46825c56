//! Testbenches of `icmp`, within the receive path.
mod oracle;
mod path;

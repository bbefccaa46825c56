//! User-space driver of the Ferrule NIC.

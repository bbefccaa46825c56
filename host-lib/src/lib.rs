//! TCP and UDP sockets over a Ferrule NIC.

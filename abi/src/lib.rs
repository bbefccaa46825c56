//! Register map and ring entries of the Ferrule NIC, stated once.

//! Sans-IO TCP/UDP/IPv4/ICMP core.

//! One host or two on a wire in virtual time, a file for each matter: one binary, since each binary compiles the whole stack once more.

#[path = "../common/mod.rs"]
mod common;
#[path = "../craft/mod.rs"]
mod craft;

mod datagrams;
mod fast_path;
mod fragments;
mod goodput;
mod hostile;
mod igmp;
mod ip_rules;
#[cfg(target_os = "linux")]
mod linux_sockets;
mod members;
mod multicast;
mod pair;
mod path_mtu;
mod routes;
mod rules;
mod segmentation;
mod smoltcp_peer;
mod tcp_options;
mod time_wait_storm;
mod udp_sockets;

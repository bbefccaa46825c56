//! Peers that mean harm: whatever a stranger or the other end sends, good connections work on and new ones open.
//!
//! Single rules of the same RFCs are scripts in `tests/script/cases` (`challenge`, `reset`, `syncookies`, `tcp_icmp`, `pmtu`,
//! `sack`, `cwnd`, `timewait`); contradicting and missing fragments are in `hosts/fragments.rs`, forged path MTUs of datagrams in
//! `hosts/path_mtu.rs`, how much memory strangers can take is in `hostile_memory.rs`, mutated packets by the million in
//! `hostile_fuzz`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../craft/mod.rs"]
mod craft;
mod peer;
mod scene;

mod acks;
mod blind;
mod floods;
mod icmp;
mod options;
mod overlaps;
mod sack;
mod syn_flood;
mod windows;

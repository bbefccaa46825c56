//! Calls at the wrong time or with wrong arguments: each gives the errno that Linux gives.
use std::net::Ipv4Addr;

use crate::calls::{datagrams, opening, streams, Outcome, Table};
use crate::ours::Ours;
use crate::side::Kernels;

/// Differs only in what is listed: what was tried, our outcome, the kernel's.
#[track_caller]
fn compare(ours: Table, kernels: Table, known: &[(&'static str, Outcome, Outcome)]) {
    let differences: Vec<_> = (ours.0.into_iter().zip(kernels.0))
        .filter(|(ours, kernels)| ours != kernels)
        .map(|((tried, ours), (also_tried, kernels))| {
            assert_eq!(tried, also_tried);
            (tried, ours, kernels)
        })
        .collect();
    assert_eq!(differences, known);
}

#[test]
fn calls_on_connections_fail_as_the_kernels() {
    compare(streams(&Ours::new(300)), streams(&Kernels::patient()), &[]);
}

#[test]
fn calls_that_open_connections_fail_as_the_kernels() {
    compare(opening(&Ours::new(301)), opening(&Kernels::patient()), &[]);
}

#[test]
fn calls_on_udp_sockets_fail_as_the_kernels() {
    let all = Ipv4Addr::new(192, 0, 2, 255);
    let ours = datagrams(&Ours::new(302), all);
    let kernels = datagrams(&Kernels::patient(), Ipv4Addr::new(127, 255, 255, 255));
    compare(ours, kernels, &[]);
}

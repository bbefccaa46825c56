//! The service itself.
use std::net::SocketAddr;

use ferrule_testnet::{JoinHandle, Net};
use testnet_user::{serve, serve_all, Client};

const PORT: u16 = 4_000;

/// The service on a host, for so many clients one after the other.
fn service(net: &Net, host: usize, clients: usize) -> (SocketAddr, JoinHandle<()>) {
    let address = SocketAddr::from((net.address(host), PORT));
    let listener = net.host(host).listen(address, 8).unwrap();
    let thread = net.spawn(move || serve_all(&listener, clients).unwrap());
    (address, thread)
}

#[test]
fn a_line_comes_back_in_capitals() {
    let net = ferrule_testnet::new().start().unwrap();
    let (address, thread) = service(&net, 1, 1);
    let mut client = Client::connect(net.host(0), address).unwrap();
    assert_eq!(client.shout("quietly").unwrap(), "QUIETLY");
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_client_may_ask_often() {
    let net = ferrule_testnet::new().seed(2).start().unwrap();
    let (address, thread) = service(&net, 1, 1);
    let mut client = Client::connect(net.host(0), address).unwrap();
    for n in 0..50 {
        let answer = client.shout(&format!("line {n}")).unwrap();
        assert_eq!(answer, format!("LINE {n}"));
    }
    drop(client);
    thread.join().unwrap();
}

#[test]
fn clients_are_served_one_after_the_other() {
    let net = ferrule_testnet::new().seed(3).start().unwrap();
    let (address, thread) = service(&net, 1, 5);
    for n in 0..5 {
        let mut client = Client::connect(net.host(0), address).unwrap();
        assert_eq!(client.shout(&format!("x{n}")).unwrap(), format!("X{n}"));
    }
    thread.join().unwrap();
}

#[test]
fn clients_are_served_at_the_same_time_by_threads() {
    let net = ferrule_testnet::new().seed(4).start().unwrap();
    let address = SocketAddr::from((net.address(1), PORT));
    let listener = net.host(1).listen(address, 8).unwrap();
    let clients: Vec<JoinHandle<String>> = (0..8)
        .map(|n| {
            let host = net.host(0).clone();
            net.spawn(move || {
                let mut client = Client::connect(&host, address).unwrap();
                client.shout(&format!("client {n}")).unwrap()
            })
        })
        .collect();
    let servers: Vec<JoinHandle<()>> = (0..8)
        .map(|_| {
            let (stream, _) = listener.accept().unwrap();
            net.spawn(move || serve(stream).unwrap())
        })
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), format!("CLIENT {n}"));
    }
    for server in servers {
        server.join().unwrap();
    }
}

#[test]
fn four_hosts_use_the_service_of_a_fifth() {
    let net = ferrule_testnet::new().hosts(5).seed(5).start().unwrap();
    let (address, thread) = service(&net, 4, 4);
    let clients: Vec<JoinHandle<String>> = (0..4)
        .map(|n| {
            let host = net.host(n).clone();
            net.spawn(move || {
                let mut client = Client::connect(&host, address).unwrap();
                client.shout(&format!("host {n}")).unwrap()
            })
        })
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), format!("HOST {n}"));
    }
    thread.join().unwrap();
}

#[test]
fn the_service_is_reached_through_a_router() {
    let net = ferrule_testnet::new()
        .hosts(1)
        .far_hosts(1)
        .start()
        .unwrap();
    let (address, thread) = service(&net, 1, 1);
    let mut client = Client::connect(net.host(0), address).unwrap();
    assert_eq!(client.shout("far away").unwrap(), "FAR AWAY");
    drop(client);
    thread.join().unwrap();
}

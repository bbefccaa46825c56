//! The same client to a server on its own subnet and to one behind the gateway: to the program nothing differs. The packets of the second
//! have one hop less left, and go to the router's Ethernet address.
//!
//!     cargo run --example near_and_far
use std::error::Error;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use ferrule::{Host, TcpListener};

/// What the client got from each server, and with what TTL its datagram came there.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) near: (String, u8),
    pub(crate) far: (String, u8),
}

/// The client, which knows nothing of subnets.
fn ask(host: &Host, server: SocketAddr) -> io::Result<String> {
    let mut stream = host.connect(server)?;
    stream.write_all(b"who are you?\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    io::read_to_string(stream)
}

fn answer(listener: &TcpListener) -> io::Result<()> {
    let (mut stream, client) = listener.accept()?;
    io::copy(&mut (&stream).take(13), &mut io::sink())?;
    write!(stream, "{} to {client}", stream.local_addr()?)
}

/// Asks both servers.
pub(crate) fn lesson() -> Result<Seen, Box<dyn Error>> {
    let net = ferrule_testnet::new().hosts(2).far_hosts(1).start()?;
    let mut seen = vec![];
    for server in [1, 2] {
        let at = SocketAddr::from((net.address(server), 80));
        let listener = net.host(server).listen(at, 1)?;
        let serving = net.spawn(move || answer(&listener));
        let text = ask(net.host(0), at)?;
        serving.join().map_err(|_| "the server panicked")??;
        let receiver = net.host(server).bind_udp(at)?;
        let sender = net.host(0).bind_udp((Ipv4Addr::UNSPECIFIED, 0))?;
        sender.send_to(b"how far?", at)?;
        let got = receiver.recv_message(&mut [IoSliceMut::new(&mut [0; 8])])?;
        seen.push((text, got.ttl));
    }
    let far = seen.pop().ok_or("no answer")?;
    let near = seen.pop().ok_or("no answer")?;
    Ok(Seen { near, far })
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> Result<(), Box<dyn Error>> {
    let seen = lesson()?;
    println!("own subnet, TTL:          {:?}", seen.near);
    println!("behind the gateway, TTL:  {:?}", seen.far);
    Ok(())
}

//! Two hosts on a cable.
use std::net::{Ipv4Addr, SocketAddr};

use ferrule::Host;

pub(crate) struct World {
    pub(crate) client: Host,
    pub(crate) server: Host,
    /// The server's.
    pub(crate) address: Ipv4Addr,
    /// Descriptors of sockets show what has come, whoever calls.
    pub(crate) has_background: bool,
}

impl World {
    /// Closes both hosts at once: each sends what the other still waits for.
    pub(crate) fn close(self) {
        let Self { client, server, .. } = self;
        let client = std::thread::spawn(move || drop(client));
        drop(server);
        client.join().expect("no panic");
    }

    /// A port of the server's.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }
}

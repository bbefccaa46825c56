//! UDP sockets by what datagrams name: port, local address, peer.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::slab::Key;
use crate::tcp::secrets::TableKeys;
use crate::tcp::Flow;

/// The bound UDP sockets. Several may share an address and port; the newest comes last.
pub(crate) struct UdpTable {
    keys: TableKeys,
    ports: HashMap<u16, Vec<Key>, TableKeys>,
    unconnected: HashMap<(Ipv4Addr, u16), Vec<Key>, TableKeys>,
    connected: HashMap<Flow, Vec<Key>, TableKeys>,
}

impl UdpTable {
    pub(crate) fn new(keys: &TableKeys) -> UdpTable {
        UdpTable {
            keys: keys.clone(),
            ports: HashMap::with_hasher(keys.clone()),
            unconnected: HashMap::with_hasher(keys.clone()),
            connected: HashMap::with_hasher(keys.clone()),
        }
    }

    pub(crate) fn insert(&mut self, key: Key, local: SocketAddrV4, remote: Option<SocketAddrV4>) {
        self.ports.entry(local.port()).or_default().push(key);
        match remote {
            Some(remote) => self.connected.entry(Flow { local, remote }).or_default(),
            None => self
                .unconnected
                .entry((*local.ip(), local.port()))
                .or_default(),
        }
        .push(key);
    }

    pub(crate) fn remove(&mut self, key: Key, local: SocketAddrV4, remote: Option<SocketAddrV4>) {
        take(&mut self.ports, &local.port(), key);
        match remote {
            Some(remote) => take(&mut self.connected, &Flow { local, remote }, key),
            None => take(&mut self.unconnected, &(*local.ip(), local.port()), key),
        }
    }

    /// All sockets on a port.
    pub(crate) fn on_port(&self, port: u16) -> &[Key] {
        self.ports.get(&port).map_or(&[], Vec::as_slice)
    }

    /// The sockets connected so.
    pub(crate) fn connected(&self, flow: &Flow) -> &[Key] {
        self.connected.get(flow).map_or(&[], Vec::as_slice)
    }

    /// The socket for a datagram to one host: connected before others, an exact address before all. Of several the
    /// newest, unless they share the port deliberately (`shares`): then each peer has one of them, by a keyed hash.
    pub(crate) fn find(&self, flow: &Flow, shares: impl Fn(Key) -> bool) -> Option<Key> {
        let port = flow.local.port();
        let candidates = [
            self.connected.get(flow),
            self.unconnected.get(&(*flow.local.ip(), port)),
            self.unconnected.get(&(Ipv4Addr::UNSPECIFIED, port)),
        ];
        let all = candidates.into_iter().flatten().next()?;
        let newest = *all.last()?;
        if all.len() == 1 || !shares(newest) {
            return Some(newest);
        }
        let sharing = all.iter().filter(|key| shares(**key));
        let n = (self.keys.hash_flow(flow) % sharing.clone().count().max(1) as u64) as usize;
        sharing.copied().nth(n)
    }
}

fn take<K: Eq + Hash>(map: &mut HashMap<K, Vec<Key>, TableKeys>, at: &K, key: Key) {
    if let Some(keys) = map.get_mut(at) {
        keys.retain(|k| *k != key);
        if keys.is_empty() {
            map.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::secrets::Secrets;

    fn key(index: u32) -> Key {
        Key {
            index,
            generation: 0,
        }
    }

    fn at(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), port)
    }

    #[test]
    fn the_most_particular_socket_is_found_and_of_equals_the_newest() {
        let mut table = UdpTable::new(&Secrets::new([1; 16]).table_keys());
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 53);
        table.insert(key(1), any, None);
        table.insert(key(2), at(1, 53), None);
        table.insert(key(3), at(1, 53), None);
        table.insert(key(4), at(1, 53), Some(at(9, 7)));
        let find = |table: &UdpTable, local, remote| table.find(&Flow { local, remote }, |_| false);
        assert_eq!(find(&table, at(1, 53), at(9, 7)), Some(key(4)));
        assert_eq!(find(&table, at(1, 53), at(9, 8)), Some(key(3)));
        assert_eq!(find(&table, at(2, 53), at(9, 7)), Some(key(1)));
        assert_eq!(find(&table, at(2, 54), at(9, 7)), None);
        table.remove(key(3), at(1, 53), None);
        table.remove(key(4), at(1, 53), Some(at(9, 7)));
        assert_eq!(find(&table, at(1, 53), at(9, 7)), Some(key(2)));
        assert_eq!(table.on_port(53), [key(1), key(2)]);
    }

    #[test]
    fn sockets_that_share_a_port_each_get_some_peers_for_good() {
        let mut table = UdpTable::new(&Secrets::new([1; 16]).table_keys());
        for n in 0..4 {
            table.insert(key(n), at(1, 53), None);
        }
        let find = |port| {
            let flow = Flow {
                local: at(1, 53),
                remote: at(9, port),
            };
            table.find(&flow, |_| true).expect("one of them").index as usize
        };
        let mut got = [0u32; 4];
        for port in 1..=4000 {
            got[find(port)] += 1;
            assert_eq!(find(port), find(port));
        }
        // 1,000 each on average; ten standard deviations are 274.
        assert!(got.iter().all(|n| (726..1274).contains(n)), "{got:?}");
    }
}

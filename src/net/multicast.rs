//! [`Groups`]: multicast groups that were joined, and the interfaces that lead to them (BEP 14).
//!
//! What a group is sent leaves by the one UDP port, so that it comes from the address at which we
//! listen; only hearing takes a socket of its own. That is bound to the group and not to every
//! address: other programs that listen at its port still get what is theirs.

use super::datagram::{bind, receive};
use super::{Facts, LocalAddrs, reason};
use socket2::{InterfaceIndexOrAddress, SockRef, Socket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Groups that guests may have joined, each a socket.
const GROUPS_MAX: usize = 16;
/// Interfaces that are joined: a machine with many containers may have hundreds.
const INTERFACES_MAX: usize = 64;
/// Routers that a datagram to a group may pass and one: it stays in the local network.
const HOPS: u32 = 1;

/// Groups that were joined; dropping it leaves them.
#[derive(Debug)]
pub(super) struct Groups {
    /// Our own addresses; by an unspecified one every interface is meant.
    local: LocalAddrs,
    facts: Facts,
    joined: BTreeMap<SocketAddr, Group>,
}

#[derive(Debug)]
struct Group {
    hearing: AbortHandle,
    interfaces: Vec<Interface>,
}

/// A way to a group.
#[derive(Clone, Copy, Debug)]
struct Interface {
    index: u32,
    /// One of its addresses.
    ip: IpAddr,
}

impl Groups {
    pub(super) const fn new(local: LocalAddrs, facts: Facts) -> Self {
        Self { local, facts, joined: BTreeMap::new() }
    }

    /// Hears what is sent to `group` from now on, on every interface that takes it.
    ///
    /// # Errors
    /// Why nothing can be heard: there is no such family here, say.
    pub(super) fn join(&mut self, group: SocketAddr) -> Result<(), String> {
        if self.joined.contains_key(&group) {
            return Ok(());
        }
        if self.joined.len() >= GROUPS_MAX || !group.ip().is_multicast() {
            return Err(format!("`{group}` is no group, or one too many"));
        }
        let (socket, interfaces) = self.hear(group).map_err(|why| reason(&why))?;
        if interfaces.is_empty() {
            return Err(format!("no interface leads to `{group}`"));
        }
        let facts = self.facts.clone();
        let hearing = tokio::spawn(receive(Arc::new(socket), facts)).abort_handle();
        self.joined.insert(group, Group { hearing, interfaces });
        Ok(())
    }

    /// Sends to `group` from `socket` on every interface, if it was joined.
    pub(super) fn send(&self, socket: SockRef<'_>, group: SocketAddr, bytes: &[u8]) {
        let Some(Group { interfaces, .. }) = self.joined.get(&group) else { return };
        for interface in interfaces {
            if interface.becomes_way_out(&socket).is_ok() {
                let _ = socket.send_to(bytes, &group.into());
            }
        }
    }

    fn hear(&self, group: SocketAddr) -> io::Result<(UdpSocket, Vec<Interface>)> {
        let socket = bind(group, true)?;
        let mut interfaces = self.interfaces(group)?;
        interfaces.retain(|interface| interface.join(&SockRef::from(&socket), group).is_ok());
        Ok((socket, interfaces))
    }

    /// The interfaces that are up and have an address of the group's family: our own, if the user
    /// named one.
    fn interfaces(&self, group: SocketAddr) -> io::Result<Vec<Interface>> {
        let mut found = BTreeMap::new();
        for interface in if_addrs::get_if_addrs()?.into_iter().filter(|i| i.is_oper_up()) {
            let (ip, index) = (interface.ip(), interface.index.unwrap_or(0));
            let local = self.local.of_family(ip.is_ipv6());
            let ours = local.is_some_and(|local| local.is_unspecified() || local == ip);
            if ours && index != 0 && ip.is_ipv4() == group.is_ipv4() {
                found.entry(index).or_insert(Interface { index, ip });
            }
        }
        Ok(found.into_values().take(INTERFACES_MAX).collect())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.joined.values().for_each(|group| group.hearing.abort());
    }
}

impl Interface {
    fn join(&self, socket: &Socket, group: SocketAddr) -> io::Result<()> {
        match group.ip() {
            IpAddr::V4(ip) => {
                socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(self.index))
            }
            IpAddr::V6(ip) => socket.join_multicast_v6(&ip, self.index),
        }
    }

    /// What `socket` sends to a group from now on goes here, and to whoever listens on this
    /// machine too.
    fn becomes_way_out(&self, socket: &Socket) -> io::Result<()> {
        match self.ip {
            IpAddr::V4(ip) => {
                socket.set_multicast_if_v4(&ip)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_multicast_loop_v4(true)
            }
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(self.index)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_multicast_loop_v6(true)
            }
        }
    }
}

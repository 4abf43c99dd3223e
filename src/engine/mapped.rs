//! A router passes ports on to us (UPnP, NAT-PMP, PCP): then others reach us at those, and are told so.
//!
//! Who is on our own network goes past the router, and is told where we listen.

use super::output::Output;
use super::time::Time;
use super::{Engine, PeerId};
use rtor_plugin::Addr;
use rtor_plugin::discovery::Fact;
use std::net::{IpAddr, SocketAddr};

impl Engine {
    /// Guests announce the new ports, and peers that are here already are told of them.
    pub(super) fn mapped(
        &mut self,
        now: Time,
        addr: SocketAddr,
        udp_port: u16,
        out: &mut Vec<Output>,
    ) {
        if self.stopping {
            return;
        }
        let told = self.mapped.unwrap_or((self.port, self.udp_port)).0;
        self.mapped = Some((addr.port(), udp_port));
        let fact = Fact::Mapped { addr: Addr::from(addr), udp_port };
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        if told == addr.port() {
            return;
        }
        // BEP 10: a handshake may follow the first, and says only what is new.
        let outside = self
            .sessions
            .iter()
            .filter(|(_, session)| is_outside(session.addr) && session.speaks_extensions());
        let outside: Vec<PeerId> = outside.map(|(peer, _)| *peer).collect();
        for peer in outside {
            let handshake = self.extension_handshake(addr);
            out.push(Output::Send(peer, handshake));
        }
    }

    /// Where a peer at `addr` reaches us with TCP and with UDP; 0: nowhere.
    pub(super) fn ports_for(&self, addr: SocketAddr) -> (u16, u16) {
        let own = (self.port, self.udp_port);
        self.mapped.filter(|_| is_outside(addr)).unwrap_or(own)
    }
}

/// Whether the router lies between us: it maps IPv4 alone.
fn is_outside(addr: SocketAddr) -> bool {
    match addr.ip() {
        IpAddr::V4(ip) => !ip.is_private() && !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(_) => false,
    }
}

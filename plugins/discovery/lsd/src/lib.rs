//! The LSD guest: announces the torrent on the local network and hears who else has it there
//! (BEP 14).
//!
//! A pure guest: facts in, wishes out; the host joins the two groups, and everything that comes to
//! them is a datagram like any other. Reading order: `search` is the format, `neighbours` bounds
//! what is believed.
//!
//! Not here: peers at link-local addresses, which an address without a scope cannot name, and
//! several torrents in one datagram, since one instance serves one torrent.

mod neighbours;
#[cfg(test)]
mod scripted;
mod search;

use neighbours::Neighbours;
use rtor_plugin::discovery::{Answer, Discovery, Fact, Wish, Wishes};
use rtor_plugin::{Addr, Chance, HostHandle, Options, export_plugin};
use search::Search;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A second, in microseconds.
const SECOND: u64 = 1_000_000;
/// The groups that everybody joins, one a family.
const GROUPS: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), 6771),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)), 6771),
];
/// From one announce to the next.
const INTERVAL_US: u64 = 5 * 60 * SECOND;
/// No announce is sent sooner than this after the last, even if the download is stopped and
/// started again: a network may have thousands of listeners.
const INTERVAL_US_MIN: u64 = 60 * SECOND;
/// What people read as the source of such peers.
const SOURCE: &str = "the local network";

/// The discovery guest `lsd`.
#[derive(Default)]
pub struct Lsd {
    run: Option<Run>,
    /// Nothing is announced before.
    quiet_until_us: u64,
}

/// A download under way.
struct Run {
    /// In hexadecimal digits.
    info_hash: String,
    /// Where we accept TCP; 0: nowhere, and then nothing is announced.
    port: u16,
    /// What tells our own announces, which come back to us, from others.
    cookie: String,
    announce_us: u64,
    neighbours: Neighbours,
}

impl Discovery for Lsd {
    const ID: &'static str = "lsd";
    const ABOUT: &'static str = "finds peers on the local network";
    const ON_PRIVATE: bool = false;

    fn create(_host: HostHandle, options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self::default())
    }

    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        match *fact {
            Fact::Started { info_hash, seed, port, private, .. } => {
                // On a private torrent peers come from its trackers alone (BEP 27), whoever asks.
                let announce_us = now_us.max(self.quiet_until_us);
                self.run = (!private).then(|| Run::new(info_hash, seed, port, announce_us));
                if !private {
                    for group in GROUPS {
                        wishes.push(Wish::JoinMulticast { group: group.into() });
                    }
                }
            }
            Fact::Deadline if self.run.is_some() => {}
            Fact::Datagram { from, bytes } => {
                return match &mut self.run {
                    Some(run) if Search::is_one(bytes) => {
                        run.heard(now_us, from, bytes, wishes);
                        Answer::Mine
                    }
                    Some(_) | None => Answer::Declined,
                };
            }
            Fact::Stopped(_) => {
                self.run = None;
                wishes.push(Wish::Finished);
            }
            _ => return Answer::Declined,
        }
        self.announce(now_us, wishes);
        Answer::Mine
    }

    fn deadline(&self) -> Option<u64> {
        self.run.as_ref().filter(|run| run.port != 0).map(|run| run.announce_us)
    }
}

impl Lsd {
    /// Sends the announce that is due.
    fn announce(&mut self, now_us: u64, wishes: &mut dyn Wishes) {
        let Some(run) = self.run.as_mut().filter(|run| run.port != 0) else { return };
        if now_us < run.announce_us {
            return;
        }
        run.announce_us = now_us.saturating_add(INTERVAL_US);
        self.quiet_until_us = now_us.saturating_add(INTERVAL_US_MIN);
        for group in GROUPS {
            let bytes = search::announce(group, run.port, &run.info_hash, &run.cookie);
            let (to, bytes) = (group.into(), bytes.into_bytes().into());
            wishes.push(Wish::SendDatagram { to, bytes });
        }
    }
}

impl Run {
    fn new(info_hash: &[u8], seed: u64, port: u16, announce_us: u64) -> Self {
        // A v2 hash is cut to 20 bytes here as it is for trackers (BEP 52).
        let info_hash = info_hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        // Half of what is drawn, so that nobody on the network can work back to the seed.
        let cookie = format!("{:08x}", Chance::new(seed).word());
        Self { info_hash, port, cookie, announce_us, neighbours: Neighbours::default() }
    }

    fn heard(&mut self, now_us: u64, from: Addr, bytes: &[u8], wishes: &mut dyn Wishes) {
        let Some(search) = Search::parse(bytes) else { return };
        let ours = search.cookie == Some(self.cookie.as_bytes());
        if ours || !search.is_for(&self.info_hash) {
            return;
        }
        let Some(from) = from.socket() else { return };
        // Only the sender's own address is believed: nobody sends us to somebody else.
        let peer = SocketAddr::new(from.ip().to_canonical(), search.port);
        if self.neighbours.believes(now_us, peer) {
            let addrs = vec![Addr::from(peer)].into();
            wishes.push(Wish::Found { source: SOURCE.into(), addrs });
        }
    }
}

export_plugin!(Discovery: Lsd);

//! The PEX guest: connected peers tell each other of peers (`ut_pex`, BEP 11).
//!
//! A pure guest: facts in, wishes out. Every peer is sent what changed since its last message;
//! the host drops what is meant for one that does not speak it. Others are told only of peers
//! that we dialled: where one listens that came to us, the host does not tell. Reading order:
//! `telling` is what one peer is told, `hearing` what we believe of what it says, `message` the
//! format of both, `address` which addresses can be a peer's.
//!
//! Not here: the flags for encryption, uTP and holepunching, which the host does not tell either,
//! and lists filled up with peers that were here lately, which BEP 11 allows in small swarms.

mod address;
mod hearing;
mod message;
#[cfg(test)]
mod scripted;
mod telling;

use hearing::{Heard, Hearing};
use message::{Contact, flag};
use rtor_plugin::discovery::{Answer, Discovery, Fact, Wish, Wishes};
use rtor_plugin::{Addr, Chance, HostHandle, Lent, Level, Options, export_plugin};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use telling::Telling;

/// The extension's name in the handshake of BEP 10.
const NAME: &str = "ut_pex";
/// A second, in microseconds.
const SECOND: u64 = 1_000_000;
/// Peers of whom others are told, those that are here longest: more than any client connects to,
/// and a host may have thousands.
const SHARED_MAX: usize = 200;
/// Messages that leave in one call, the others in the next: a host takes a few thousand wishes.
const MESSAGES_MAX: usize = 1000;

/// The discovery guest `pex`.
#[derive(Default)]
pub struct Pex {
    run: Option<Run>,
}

/// A download under way.
struct Run {
    /// Where we accept TCP; 0: nowhere.
    port: u16,
    chance: Chance,
    /// Nothing is left to fetch, so that seeds are of no use.
    complete: bool,
    /// By the host's numbers, which grow. Their count is the host's to limit.
    peers: BTreeMap<u32, Peer>,
    /// When the first of them is to be told something: the host asks more often than it changes.
    due_us: Option<u64>,
}

/// A connected peer.
struct Peer {
    addr: SocketAddr,
    /// What others are told of it; `None`: nothing.
    flags: Option<u8>,
    telling: Telling,
    hearing: Hearing,
}

impl Discovery for Pex {
    const ID: &'static str = "pex";
    const ABOUT: &'static str = "peers tell each other of peers";
    const ON_PRIVATE: bool = false;
    const EXTENSIONS: &'static [Lent<'static>] = &[Lent::text(NAME)];

    fn create(_host: HostHandle, options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self::default())
    }

    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        match *fact {
            // On a private torrent peers come from its trackers alone (BEP 27), whoever asks.
            Fact::Started { private, seed, port, totals, .. } => {
                self.run = (!private).then(|| Run {
                    port,
                    chance: Chance::new(seed),
                    complete: totals.left == 0,
                    peers: BTreeMap::new(),
                    due_us: None,
                });
                Answer::Mine
            }
            Fact::Stopped(_) => {
                self.run = None;
                wishes.push(Wish::Finished);
                Answer::Mine
            }
            _ => match &mut self.run {
                Some(run) => run.handle(now_us, fact, wishes),
                None => Answer::Declined,
            },
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.run.as_ref()?.due_us
    }
}

impl Run {
    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        match *fact {
            Fact::Deadline => {}
            Fact::Progress(totals) | Fact::Completed(totals) => self.complete = totals.left == 0,
            Fact::PeerJoined { peer, addr, came_to_us, seed } => {
                let seed = if seed { flag::SEED } else { 0 };
                self.joined(now_us, peer, addr, (!came_to_us).then_some(flag::REACHABLE | seed));
            }
            Fact::PeerLeft { peer, .. } => {
                self.peers.remove(&peer);
                self.changed(now_us);
            }
            Fact::Extension { peer, name: NAME, payload } => {
                self.heard(now_us, peer, payload, wishes);
            }
            Fact::Started { .. }
            | Fact::Stopped(_)
            | Fact::Extension { .. }
            | Fact::Datagram { .. }
            | Fact::HttpReply { .. }
            | Fact::Resolved { .. }
            | Fact::Node { .. }
            | Fact::State { .. }
            | Fact::Woken
            | Fact::Scrape { .. }
            | Fact::Mapped { .. } => return Answer::Declined,
        }
        self.tell(now_us, wishes);
        Answer::Mine
    }

    fn joined(&mut self, now_us: u64, number: u32, addr: Addr, flags: Option<u8>) {
        let Some(addr) = addr.socket().map(address::canonical) else { return };
        self.peers.entry(number).or_insert_with(|| Peer {
            addr,
            flags,
            telling: Telling::default(),
            hearing: Hearing::default(),
        });
        self.changed(now_us);
    }

    /// There may be something to tell.
    fn changed(&mut self, now_us: u64) {
        self.peers.values_mut().for_each(|peer| peer.telling.changed(now_us));
        self.due_us = self.first_due_us();
    }

    fn heard(&mut self, now_us: u64, number: u32, payload: &[u8], wishes: &mut dyn Wishes) {
        let Self { port, complete, ref mut peers, .. } = *self;
        let Some(peer) = peers.get_mut(&number) else { return };
        let from = peer.addr.ip();
        let welcome = |contact: &Contact| {
            let ourselves = contact.addr.ip().is_loopback() && contact.addr.port() == port;
            let of_use = !complete || contact.flags & flag::SEED == 0;
            !ourselves && of_use && address::can_be_peer(contact.addr, from)
        };
        let source = peer.addr.to_string();
        match peer.hearing.message(now_us, payload, welcome) {
            Heard::Nothing => {}
            Heard::Peers(addrs) => {
                let addrs: Vec<Addr> = addrs.into_iter().map(Addr::from).collect();
                wishes.push(Wish::Found { source: source.into(), addrs: addrs.into() });
            }
            Heard::Enough(why) => {
                let text = format!("it is not listened to any more: {why}");
                let (level, subject) = (Level::Info, source.into());
                wishes.push(Wish::Report { level, subject, text: text.into() });
            }
        }
    }

    /// Sends the messages that are due.
    fn tell(&mut self, now_us: u64, wishes: &mut dyn Wishes) {
        if self.due_us.is_none_or(|due_us| due_us > now_us) {
            return;
        }
        let Self { chance, peers, .. } = self;
        let shared = peers.values().filter_map(|peer| Some((peer.addr, peer.flags?)));
        let present: BTreeMap<SocketAddr, u8> = shared.take(SHARED_MAX).collect();
        let messages = peers.iter_mut().filter_map(|(number, peer)| {
            Some((*number, peer.telling.due(now_us, peer.addr, &present, chance)?))
        });
        for (peer, message) in messages.take(MESSAGES_MAX) {
            let payload = message.encode().into();
            wishes.push(Wish::SendExtension { peer, name: NAME.into(), payload });
        }
        self.due_us = self.first_due_us();
    }

    fn first_due_us(&self) -> Option<u64> {
        self.peers.values().filter_map(|peer| peer.telling.due_us()).min()
    }
}

export_plugin!(Discovery: Pex);

//! Deeds: what the engine wants done, done.

use super::outcome::Watch;
use super::{Driver, Storage, conn};
use crate::disk::DiskError;
use crate::engine::{Call, Event, Input, Output, PeerId};
use crate::net::{self, Mapped, PortNews, dial};
use crate::torrent::PieceIndex;
use crate::wire::{BlockSpec, Message};
use bytes::Bytes;
use rtor_plugin::Level;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

/// Blocks that are read for peers.
#[derive(Debug, Default)]
pub(super) struct Loads {
    asked: u64,
    /// For whom, by the ticket that the disk was given.
    waiting: BTreeMap<u64, (PeerId, BlockSpec)>,
    /// Those that were there when they were asked for: the engine hears of them at once.
    pub(super) there: Vec<Input>,
    /// A read failed, and that was told.
    failed: bool,
}

impl Driver {
    pub(super) fn act(&mut self, output: Output, watch: &mut dyn Watch) {
        match output {
            Output::Dial(peer, to, Call { race, offer }) => {
                let call = net::Call { to, race, offer };
                let connection = dial(conn(peer), &self.means, &self.origin, call);
                self.connections.insert(peer, connection);
            }
            Output::Greet(peer, handshake) => {
                self.outgoing.entry(peer).or_default().greet(&handshake);
            }
            Output::Send(peer, message) => self.say(peer, &message),
            Output::HangUp(peer) => {
                self.outgoing.remove(&peer);
                self.connections.remove(&peer);
            }
            Output::Keep(..)
            | Output::Check(..)
            | Output::Forget(_)
            | Output::Discard(_)
            | Output::Load(..) => self.act_on_disk(output),
            Output::Learned(info) => self.learned = Some(info),
            Output::Layers(info) => self.layers = Some(info),
            Output::Datagram(to, bytes) => self.datagrams.send(to, &bytes),
            Output::HttpGet(guest, ticket, url, family) => {
                self.errands.http_get(guest, ticket, url, family);
            }
            Output::Resolve(guest, ticket, host, port) => {
                let look_up = self.datagrams.look_up(host, port);
                self.errands.resolve(guest, ticket, look_up);
            }
            Output::FindNode(host, port) => {
                self.errands.find_node(self.datagrams.look_up(host, port));
            }
            Output::KeepState(guest, bytes) => self.keep_state(guest, &bytes, watch),
            Output::JoinMulticast(group) => self.join(group, watch),
            Output::Tell(event) => self.told(&event, watch),
        }
    }

    fn act_on_disk(&mut self, output: Output) {
        // Without a disk nothing is known of the torrent, and nothing of it is here.
        let Some(Storage { disk, .. }) = &mut self.storage else { return };
        match output {
            Output::Keep(block, data) => {
                self.last_arrival = Instant::now();
                disk.keep(block, data);
            }
            Output::Check(piece, tell_blocks) => disk.check(piece, tell_blocks),
            Output::Forget(piece) => disk.forget(piece),
            Output::Discard(block) => disk.discard(block),
            Output::Load(peer, piece, spec) => {
                self.loads.asked += 1;
                let BlockSpec { offset, length, .. } = spec;
                match disk.load(self.loads.asked, piece, offset, length) {
                    Some(data) => self.loads.there.push(Input::Loaded(peer, spec, Some(data))),
                    None => drop(self.loads.waiting.insert(self.loads.asked, (peer, spec))),
                }
            }
            _ => {}
        }
    }

    /// A part of a stored piece was read for those who asked for blocks of it.
    pub(super) fn read(
        &mut self,
        piece: PieceIndex,
        offset: u32,
        length: u32,
        result: Result<Bytes, DiskError>,
        watch: &mut dyn Watch,
    ) {
        let Some(Storage { disk, .. }) = &mut self.storage else { return };
        let failed = result.as_ref().err().map(ToString::to_string);
        let blocks = disk.loaded(piece, offset, length, result);
        let asked = blocks.into_iter().filter_map(|(ticket, data)| {
            let (peer, spec) = self.loads.waiting.remove(&ticket)?;
            Some(Input::Loaded(peer, spec, data))
        });
        let inputs: Vec<Input> = asked.collect();
        self.feed_all(inputs, watch);
        if let Some(text) = failed.filter(|_| !std::mem::replace(&mut self.loads.failed, true)) {
            let text = format!("{text}: it is not sent to peers");
            let (level, guest, subject) = (Level::Warning, "disk".to_owned(), String::new());
            self.told(&Event::Report { level, guest, subject, text }, watch);
        }
    }

    fn keep_state(&mut self, guest: String, bytes: &[u8], watch: &mut dyn Watch) {
        let kept = self.states.as_ref().map_or(Ok(()), |states| states.keep(&guest, bytes));
        if let Err(text) = kept {
            let (level, subject) = (Level::Warning, String::new());
            self.told(&Event::Report { level, guest, subject, text }, watch);
        }
    }

    /// A machine without one of the families is as common as one with both.
    fn join(&mut self, group: SocketAddr, watch: &mut dyn Watch) {
        if let Err(text) = self.datagrams.join(group) {
            let (level, guest) = (Level::Debug, "multicast".to_owned());
            let subject = group.to_string();
            self.told(&Event::Report { level, guest, subject, text }, watch);
        }
    }

    /// What a router says about our ports; with what the engine is to hear of it.
    pub(super) fn port_news(&mut self, news: PortNews, watch: &mut dyn Watch) -> Option<Input> {
        let (level, subject, text, input) = match news {
            PortNews::Mapped(Mapped { by, addr, udp_port }) => {
                self.external = Some(addr);
                let text = format!("a router passes this on to us, asked by {by}");
                (Level::Info, addr.to_string(), text, Some(Input::Mapped(addr, udp_port)))
            }
            PortNews::Failed(why) => {
                let text = format!("no router passes ports on to us: {why}");
                (Level::Warning, String::new(), text, None)
            }
            PortNews::Released => {
                self.port_map = None;
                return None;
            }
        };
        let guest = "port map".to_owned();
        self.told(&Event::Report { level, guest, subject, text }, watch);
        input
    }

    fn told(&mut self, event: &Event, watch: &mut dyn Watch) {
        self.farewell |= *event == Event::Farewell;
        if let Event::Joined { .. } | Event::Heard { .. } | Event::Found { new: 1.., .. } = event {
            self.news_at = Instant::now();
        }
        watch.told(self.began.elapsed().as_secs_f64(), event);
    }

    fn say(&mut self, peer: PeerId, message: &Message) {
        self.outgoing.entry(peer).or_default().say(message);
    }

    /// Hands each peer's bytes of this turn to its connection.
    pub(super) fn flush(&mut self) {
        while let Some((peer, outgoing)) = self.outgoing.pop_first() {
            let Some(connection) = self.connections.get(&peer) else { continue };
            if !outgoing.is_empty() && !connection.send(outgoing) {
                self.connections.remove(&peer);
                let why = "it does not read what we send".to_owned();
                // The loop hears of it as of any other loss.
                self.errands.answer(Input::Lost(peer, why));
            }
        }
    }
}

//! Deeds: what the engine wants done, done.

use super::outcome::Watch;
use super::{Driver, Storage, conn};
use crate::engine::{Event, Input, Output, PeerId};
use crate::net::{dial, http};
use crate::wire::{BlockSpec, Message};
use rtor_plugin::Level;
use std::net::SocketAddr;
use std::time::Instant;

/// Addresses of one name that are taken for nodes: a torrent may name anybody.
const NODE_ADDRS_MAX: usize = 4;

impl Driver {
    pub(super) fn act(&mut self, output: Output, watch: &mut dyn Watch) {
        match output {
            Output::Dial(peer, to) => {
                let connection = dial(conn(peer), &self.facts_from, &self.buffers, to, self.from);
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
            Output::Datagram(to, bytes) => self.datagrams.send(to, &bytes),
            Output::HttpGet(guest, ticket, url) => self.http_get(guest, ticket, url),
            Output::Resolve(guest, ticket, host, port) => self.resolve(guest, ticket, host, port),
            Output::FindNode(host, port) => self.find_node(host, port),
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
                self.loads_asked += 1;
                let BlockSpec { offset, length, .. } = spec;
                self.loads.insert(self.loads_asked, (peer, spec));
                disk.load(self.loads_asked, piece, offset, length);
            }
            _ => {}
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
                let _ = self.answers_from.send(Input::Lost(peer, why));
            }
        }
    }

    fn http_get(&self, guest: usize, ticket: u64, url: String) {
        let (http, answers) = (self.http.clone(), self.answers_from.clone());
        tokio::spawn(async move {
            let reply = http.fetch(&url, http::TRACKER_BYTES_MAX).await;
            let reply = reply.map(|(status, body)| (u32::from(status), body));
            let reply = reply.map_err(|error| error.to_string());
            // A loop that is gone needs no answer.
            let _ = answers.send(Input::HttpReplied(guest, ticket, reply));
        });
    }

    fn resolve(&self, guest: usize, ticket: u64, host: String, port: u16) {
        let answers = self.answers_from.clone();
        tokio::spawn(async move {
            let _ = answers.send(Input::Resolved(guest, ticket, look_up(&host, port).await));
        });
    }

    /// Nobody waits for a node: one whose name is unknown is no news.
    fn find_node(&self, host: String, port: u16) {
        let answers = self.answers_from.clone();
        tokio::spawn(async move {
            let found = look_up(&host, port).await.unwrap_or_default();
            for addr in found.into_iter().take(NODE_ADDRS_MAX) {
                let _ = answers.send(Input::NodeFound(addr));
            }
        });
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    found.map(Iterator::collect).map_err(|error| error.to_string())
}

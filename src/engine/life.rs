//! How a torrent begins, completes and ends: what guests and peers are told then.

use super::output::{Event, Output, Why};
use super::time::Time;
use super::{Engine, PeerId};
use crate::torrent::BLOCK_LENGTH;
use rtor_plugin::discovery::{Fact, Totals, Tracker};

/// What is said to be to come of a torrent of which nothing is known: to trackers, 0 would be a
/// seed.
const LEFT_BYTES_UNKNOWN: u64 = BLOCK_LENGTH as u64;

impl Engine {
    pub(super) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        self.started = true;
        self.resume_partial(out);
        self.with_guests(now, out, |guests, wished| guests.tell_states(now, wished));
        let trackers = std::mem::take(&mut self.trackers);
        let tiers = (0..).zip(&trackers);
        let fact = Fact::Started {
            info_hash: &self.handshake.info_hash.clone(),
            peer_id: &self.handshake.peer_id.clone(),
            trackers: tiers
                .flat_map(|(tier, urls)| urls.iter().map(move |url| Tracker { url, tier }))
                .collect(),
            seed: self.seed,
            port: self.port,
            udp_port: self.udp_port,
            private: self.info.private,
            totals: self.totals(),
        };
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
    }

    /// Blocks of an earlier run are taken up.
    pub(super) fn resume_partial(&mut self, out: &mut Vec<Output>) {
        for (piece, blocks) in std::mem::take(&mut self.partial) {
            if self.picker.resumed(piece, &blocks) {
                out.push(Output::Check(piece, false));
            }
        }
    }

    pub(super) fn stop(&mut self, now: Time, out: &mut Vec<Output>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        let fact = Fact::Stopped(self.totals());
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        let everyone: Vec<PeerId> =
            self.sessions.keys().chain(self.pending.keys()).copied().collect();
        for peer in everyone {
            self.hang_up(now, peer, Why::Stopped, out);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let left = self.picker.absent_bytes();
        Totals {
            uploaded: self.tally.uploaded_bytes,
            downloaded: self.tally.downloaded_bytes,
            left: if self.knows_metadata() { left } else { LEFT_BYTES_UNKNOWN },
            peers: self.sessions.len() as u32,
            peers_wanted: self.peers_wanted() as u32,
        }
    }

    pub(super) fn peers_wanted(&self) -> usize {
        let here = self.sessions.len() + self.pending.len() + self.pool.idle_count();
        if self.stopping { 0 } else { self.peers_max.saturating_sub(here) }
    }

    pub(super) fn tell_completion(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.started || !self.is_complete() || self.completed_told {
            return;
        }
        self.completed_told = true;
        out.push(Output::Tell(Event::Completed));
        // We want nothing any more (BEP 21).
        for (peer, session) in self.sessions.iter().filter(|(_, s)| s.speaks_extensions()) {
            out.push(Output::Send(*peer, self.extension_handshake(session.addr)));
        }
        // Trackers count downloads of the whole torrent that they saw begin (BEP 3, `completed`).
        if self.picker.have().is_full() && !self.complete_at_start {
            let fact = Fact::Completed(self.totals());
            self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        }
    }
}

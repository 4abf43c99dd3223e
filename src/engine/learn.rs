//! How a magnet becomes a torrent, and how others learn it from us (BEP 9). One of v2 alone is not
//! known before its piece layers are: see [`hashes`](super::hashes).
//!
//! Until the info dictionary is known, peers are found, dialled and talked to as always; what they
//! say of their pieces is kept by each [`Session`](super::session::Session). When it is known and
//! [`Input::Learned`](super::Input::Learned) says what is to be had of it, all of that is made up
//! for, and the download begins with the peers that are here.

use super::layers::Layers;
use super::metadata::{Came, Metadata};
use super::output::{Event, Output, Why};
use super::picker::Picker;
use super::time::Time;
use super::{Content, Engine, PeerId};
use crate::torrent::Info;
use crate::wire::metadata::METADATA_PIECE_BYTES;
use crate::wire::{Fault, Message, MetadataMessage};
use bytes::Bytes;
use std::sync::Arc;

/// The extended message id under which we want `ut_metadata`; guests' follow.
pub(super) const METADATA_ID: u8 = 1;
/// How often a peer may have all of the info dictionary from us.
const SERVED_TIMES_MAX: usize = 4;

impl Engine {
    /// Whether the info dictionary is known, and what is to be had of it.
    #[must_use]
    pub const fn knows_metadata(&self) -> bool {
        self.metadata.is_none()
    }

    /// Pieces of the info dictionary and of its layers that came, while it is not known.
    #[must_use]
    pub fn metadata_taken(&self) -> u64 {
        let layers = self.layers.as_ref().map_or(0, Layers::taken);
        self.metadata.as_ref().map_or(0, Metadata::taken) + layers as u64
    }

    /// Bytes of the info dictionary, for those who may have it from us: not of a private torrent,
    /// whose peers have it from their tracker's site.
    pub(super) fn metadata_size(&self) -> Option<u32> {
        let size = self.info.raw.len() as u32;
        (size > 0 && !self.info.private).then_some(size)
    }

    /// The peer said which extensions it speaks.
    pub(super) fn offered_metadata(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let (Some(metadata), Some(session)) = (&mut self.metadata, self.sessions.get(&peer)) else {
            return;
        };
        if session.metadata_id().is_some()
            && let Some(size) = session.metadata_size
        {
            metadata.offered(now, peer, size);
            self.ask_metadata(now, out);
        }
    }

    /// Asks for what is missing.
    pub(super) fn ask_metadata(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(metadata) = self.metadata.as_mut().filter(|_| !self.stopping) else { return };
        for (peer, piece) in metadata.questions(now) {
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            session.last_said = now;
            out.extend(session.metadata_id().map(|id| {
                let payload = MetadataMessage::Request(piece).encode();
                Output::Send(peer, Message::Extended { id, payload })
            }));
        }
    }

    /// Peers that were silent for too long are let alone, others asked.
    pub(super) fn mind_metadata(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(metadata) = &mut self.metadata {
            metadata.look(now);
            self.ask_metadata(now, out);
        }
    }

    /// A message of `ut_metadata`.
    pub(super) fn heard_metadata(
        &mut self,
        now: Time,
        peer: PeerId,
        payload: &Bytes,
        out: &mut Vec<Output>,
    ) {
        let message = match MetadataMessage::decode(payload) {
            Ok(message) => message,
            Err(fault) => return self.offends(now, peer, fault, out),
        };
        match message {
            MetadataMessage::Unknown => {}
            MetadataMessage::Request(piece) => self.serve_metadata(now, peer, piece, out),
            MetadataMessage::Reject(piece) => {
                if let Some(metadata) = &mut self.metadata {
                    metadata.refused(now, peer, piece);
                    self.ask_metadata(now, out);
                }
            }
            MetadataMessage::Data { piece, total_size, data } => {
                let Some(metadata) = &mut self.metadata else { return };
                let came = metadata.came(now, peer, piece, total_size, &data);
                self.metadata_came(now, peer, came, out);
            }
        }
    }

    fn metadata_came(&mut self, now: Time, peer: PeerId, came: Came, out: &mut Vec<Output>) {
        match came {
            Came::Taken => self.ask_metadata(now, out),
            Came::Wrong => self.offends(now, peer, Fault::Extension, out),
            Came::Bad(liars) => {
                liars.into_iter().for_each(|liar| self.condemn(now, liar, out));
                self.ask_metadata(now, out);
            }
            Came::Whole(raw, liars) => {
                liars.into_iter().for_each(|liar| self.condemn(now, liar, out));
                out.push(Output::Tell(Event::Metadata(raw.len())));
                self.metadata_whole(now, raw, out);
            }
        }
    }

    /// The info dictionary is whole, and its hash is right.
    fn metadata_whole(&mut self, now: Time, raw: Bytes, out: &mut Vec<Output>) {
        let due = match Info::layers_due(&raw) {
            Ok(due) => due,
            Err(why) => return out.push(Output::Learned(Err(why))),
        };
        let needs_layers = due.needed && !due.files.is_empty();
        if due.private {
            // Layers may take a while, and whoever makes the store, and nobody else is to be asked
            // meanwhile.
            Arc::make_mut(&mut self.info).private = true;
            self.keep_private(now, out);
        }
        match needs_layers {
            true => self.seek_layers(now, raw, &due, out),
            false => out.push(Output::Learned(Info::parse(raw, None).map(Arc::new))),
        }
    }

    /// Sends a piece of the info dictionary, if we have it and the peer has not had too much.
    fn serve_metadata(&mut self, now: Time, peer: PeerId, piece: u32, out: &mut Vec<Output>) {
        let size = self.metadata_size();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let start = piece as usize * METADATA_PIECE_BYTES;
        let total = size.unwrap_or(0) as usize;
        let served_max = total.div_ceil(METADATA_PIECE_BYTES) * SERVED_TIMES_MAX;
        let answer = if start < total && session.metadata_served < served_max {
            session.metadata_served += 1;
            let data = self.info.raw.slice(start..total.min(start + METADATA_PIECE_BYTES));
            MetadataMessage::Data { piece, total_size: total as u32, data }
        } else {
            MetadataMessage::Reject(piece)
        };
        session.last_said = now;
        let message = |id| Message::Extended { id, payload: answer.encode() };
        out.extend(session.metadata_id().map(|id| Output::Send(peer, message(id))));
    }

    /// The info dictionary is known, and so is what there is and what is to be had of it: the
    /// download begins.
    pub(super) fn learned(&mut self, now: Time, content: Content, out: &mut Vec<Output>) {
        if self.stopping || self.metadata.take().is_none() {
            return;
        }
        let Content { info, have, wanted, partial } = content;
        self.complete_at_start = have.is_full();
        self.picker = Picker::new(Arc::clone(&info), have, &wanted, self.seed);
        self.wanted_at_start = self.picker.wanted_left();
        self.wanted_bytes = self.picker.left_bytes();
        self.partial = partial;
        self.info = info;
        if self.info.private {
            self.keep_private(now, out);
        }
        let peers: Vec<PeerId> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.make_up(now, peer, out);
        }
        self.resume_partial(out);
        self.all_hungry();
        let due = Info::layers_due(&self.info.raw).unwrap_or_default();
        if self.info.layers.is_empty() && !due.files.is_empty() {
            self.seek_layers(now, self.info.raw.clone(), &due, out);
        }
    }

    /// What a peer said of its pieces is understood now, and it is told of ours.
    fn make_up(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match session.learned(&self.info.layout) {
            Err(fault) => return self.offends(now, peer, fault, out),
            Ok(pieces) => self.picker.joined(&pieces),
        }
        let session = self.sessions.get(&peer).filter(|session| session.metadata_id().is_some());
        if let Some(session) = session {
            // Others may want the info dictionary too (BEP 10: a handshake may follow the first).
            out.push(Output::Send(peer, self.extension_handshake(session.addr)));
        }
        let haves = self.picker.have().iter().map(|piece| Message::Have(piece as u32));
        out.extend(haves.map(|message| Output::Send(peer, message)));
        self.mind_interest(now, peer, out);
    }

    /// Nobody else than guests for private torrents may find peers (BEP 27): whom the others found
    /// is left.
    fn keep_private(&mut self, now: Time, out: &mut Vec<Output>) {
        self.handshake = self.handshake.without_dht();
        let silenced = self.guests.keep_private();
        let by_others = |finders: &[String]| {
            !finders.is_empty() && finders.iter().all(|finder| silenced.contains(finder))
        };
        let found = self.sessions.iter().filter(|(_, s)| by_others(self.pool.finders(s.known_as)));
        let found: Vec<PeerId> = found.map(|(peer, _)| *peer).collect();
        for peer in found {
            self.hang_up(now, peer, Why::Private, out);
        }
        let dialled = self.pending.iter().filter(|(_, pending)| {
            !pending.came_to_us && by_others(self.pool.finders(pending.addr))
        });
        let dialled: Vec<PeerId> = dialled.map(|(peer, _)| *peer).collect();
        for peer in dialled {
            self.hang_up(now, peer, Why::Private, out);
        }
        self.pool.forget(by_others);
    }

    /// A magnet that was not resolved yet.
    pub(super) fn metadata_of(info: &Info) -> Option<Metadata> {
        (!info.is_known()).then(|| Metadata::new(info.hashes))
    }
}

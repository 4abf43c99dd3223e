//! Hashes of the files' trees (BEP 52): sought for a magnet, and given to whoever asks.
//!
//! Only with peers that we speak v2 with. We give what we know without reading a piece: the layers of
//! pieces. A request for leaves is refused, and its sender checks whole pieces.

use super::layers::{Came, Layers};
use super::output::Output;
use super::time::Time;
use super::{Engine, PeerId};
use crate::torrent::layer_tree::{LayerTree, PART_MAX};
use crate::torrent::piece_layers::{filler, height};
use crate::torrent::{Info, LayersDue};
use crate::wire::{HashRange, Message};
use bytes::Bytes;
use std::sync::Arc;

/// How often a peer may have all hashes from us, in parts of the usual length.
const SERVED_TIMES_MAX: usize = 4;

impl Engine {
    /// These layers of the info dictionary `raw` are not known: without them it is of no use, or
    /// they could be given to others.
    pub(super) fn seek_layers(
        &mut self,
        now: Time,
        raw: Bytes,
        due: &LayersDue,
        out: &mut Vec<Output>,
    ) {
        let mut layers = Layers::new(raw, due);
        let speakers = self.sessions.iter().filter(|(_, session)| session.v2);
        speakers.for_each(|(peer, _)| layers.joined(now, *peer));
        self.layers = Some(layers);
        self.ask_hashes(now, out);
    }

    /// A peer is here that we speak v2 with.
    pub(super) fn may_have_hashes(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        if let Some(layers) = &mut self.layers {
            layers.joined(now, peer);
            self.ask_hashes(now, out);
        }
    }

    /// Asks for what is missing.
    fn ask_hashes(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(layers) = self.layers.as_mut().filter(|_| !self.stopping) else { return };
        for (peer, range) in layers.questions(now) {
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.last_said = now;
                out.push(Output::Send(peer, Message::HashRequest(range.into())));
            }
        }
    }

    /// Peers that were silent for too long are let alone, others asked.
    pub(super) fn mind_hashes(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(layers) = &mut self.layers {
            layers.look(now);
            self.ask_hashes(now, out);
        }
    }

    /// A peer will not send these.
    pub(super) fn hashes_refused(
        &mut self,
        now: Time,
        peer: PeerId,
        range: &HashRange,
        out: &mut Vec<Output>,
    ) {
        if let Some(layers) = &mut self.layers {
            layers.refused(now, peer, range);
            self.ask_hashes(now, out);
        }
    }

    /// A peer sent these.
    pub(super) fn hashes_came(
        &mut self,
        now: Time,
        peer: PeerId,
        range: &HashRange,
        hashes: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Some(layers) = &mut self.layers else { return };
        match layers.came(now, peer, range, hashes) {
            Came::Taken => {}
            Came::Lie => self.condemn(now, peer, out),
            Came::Whole(known) => {
                let info = Info::parse(layers.raw().clone(), Some(&known.encode()));
                self.layers = None;
                match info {
                    // It is in use already, by its v1 half.
                    Ok(info) if self.info.is_known() => {
                        Arc::make_mut(&mut self.info).layers = info.layers.clone();
                        out.push(Output::Layers(Arc::new(info)));
                    }
                    info => out.push(Output::Learned(info.map(Arc::new))),
                }
            }
        }
        self.ask_hashes(now, out);
    }

    /// Sends what a peer asks for, if it is known and the peer has not had too much.
    pub(super) fn serve_hashes(
        &mut self,
        now: Time,
        peer: PeerId,
        range: Box<HashRange>,
        out: &mut Vec<Output>,
    ) {
        let most = (self.info.layout.piece_count() / PART_MAX + self.info.roots.len() + 1)
            * SERVED_TIMES_MAX;
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.last_said = now;
        let may_have = session.hashes_served < most;
        session.hashes_served += usize::from(may_have);
        let answer = match may_have.then(|| self.part(&range)).flatten() {
            Some(hashes) => Message::Hashes(range, hashes.concat().into()),
            None => Message::HashReject(range),
        };
        out.push(Output::Send(peer, answer));
    }

    fn part(&mut self, range: &HashRange) -> Option<Vec<[u8; 32]>> {
        let piece_length = self.info.layout.piece_length();
        let layer = self.info.layers.layer(&range.root)?;
        if range.base_layer != height(piece_length) {
            return None;
        }
        let filler = filler(piece_length);
        let tree = self.layer_trees.entry(range.root);
        let tree = tree.or_insert_with(|| LayerTree::new(layer, filler));
        let [index, length, proof_layers] =
            [range.index, range.length, range.proof_layers].map(|number| number as usize);
        tree.part(layer, index, length, proof_layers)
    }
}

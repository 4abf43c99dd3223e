//! What follows from each thing that a peer says.

use super::session::Said;
use super::{Engine, Output, PeerId, Time, Why, learn};
use crate::wire::{Fault, Message};

impl Engine {
    pub(super) fn received(
        &mut self,
        now: Time,
        peer: PeerId,
        message: Message,
        out: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match session.hear(now, message, &self.info.layout) {
            Err(fault) => self.offends(now, peer, fault, out),
            Ok(said) => self.heard(now, peer, said, out),
        }
    }

    /// The peer broke the protocol.
    pub(super) fn offends(&mut self, now: Time, peer: PeerId, fault: Fault, out: &mut Vec<Output>) {
        if let Some(session) = self.sessions.get(&peer) {
            self.pool.offended(session.known_as);
        }
        self.hang_up(now, peer, Why::Fault(fault), out);
    }

    fn heard(&mut self, now: Time, peer: PeerId, said: Said, out: &mut Vec<Output>) {
        match said {
            Said::Nothing | Said::NotInterested => {}
            Said::Extensions => {
                self.heard_where(now, peer);
                self.offered_metadata(now, peer, out);
            }
            Said::Pieces(new) => {
                self.picker.joined(&new);
                if self.super_seed.is_some() {
                    for piece in new
                        .iter()
                        .filter_map(|at| self.info.layout.piece(at as u32))
                        .collect::<Vec<_>>()
                    {
                        self.seen_with(now, piece, peer, out);
                    }
                }
                self.mind_interest(now, peer, out);
            }
            Said::Piece(piece) => {
                self.picker.has(piece);
                self.seen_with(now, piece, peer, out);
                if self.picker.is_missing(piece) {
                    self.has_wanted(now, peer, out);
                }
            }
            Said::Unchoked => {
                self.hungry.insert(peer);
            }
            Said::Choked(owed) => {
                owed.into_iter().for_each(|block| self.refused(peer, block, out));
                self.all_hungry();
            }
            Said::Rejected(block) => {
                self.refused(peer, block, out);
                self.all_hungry();
            }
            Said::Spared => self.asked_twice = self.asked_twice.saturating_sub(1),
            Said::Refused(spec) => out.push(Output::Send(peer, Message::Reject(spec))),
            Said::Interested => {
                self.fill_slots(now, out);
                self.allow_fast(now, peer, out);
            }
            Said::Allowed => self.ask_allowed(now, peer, out),
            Said::Block(block, asked, data) => self.block_came(now, peer, block, asked, data, out),
            Said::LateBlock(block, data) => self.late_block_came(now, peer, block, data, out),
            Said::Node(addr) => self.heard_of_node(now, addr, out),
            Said::HashRequest(range) => self.serve_hashes(now, peer, range, out),
            Said::Hashes(range, hashes) => self.hashes_came(now, peer, &range, &hashes, out),
            Said::HashReject(range) => self.hashes_refused(now, peer, &range, out),
            Said::Request => self.load_requests(now, peer, out),
            Said::Extension(learn::METADATA_ID, payload) => {
                self.heard_metadata(now, peer, &payload, out);
            }
            Said::Extension(id, payload) => {
                self.with_guests(now, out, |guests, wished| {
                    guests.extension(now, peer.0, id, &payload, wished);
                });
            }
        }
    }
}

//! What each message of a peer means, by what both sides have said before: [`Said`], or a fault.

use super::Session;
use crate::engine::time::Time;
use crate::torrent::{Bitfield, Block, Layout, PieceIndex};
use crate::wire::extension::{ExtensionHandshake, HANDSHAKE_ID};
use crate::wire::{BlockSpec, Fault, HashRange, Message};
use bytes::Bytes;
use std::net::SocketAddr;

/// Bytes that a peer may ask for at once (BEP 3: clients hang up above 16 KiB; some ask 32).
const REQUEST_BYTES_MAX: u32 = 128 << 10;

/// What a message meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Said {
    /// Nothing that matters to anyone else.
    Nothing,
    /// It has these pieces too.
    Pieces(Bitfield),
    /// It has one more piece.
    Piece(PieceIndex),
    /// It will answer requests.
    Unchoked,
    /// It will not; these blocks are owed no more.
    Choked(Vec<Block>),
    /// It wants pieces of ours.
    Interested,
    /// It wants none.
    NotInterested,
    /// A block that it owed, asked at this time.
    Block(Block, Time, Bytes),
    /// A block that it no longer owed: asked once, then given up.
    LateBlock(Block, Bytes),
    /// A block that it owed and will not send (BEP 6).
    Rejected(Block),
    /// A block that another sent meanwhile, and that it will not send too (BEP 6).
    Spared,
    /// It allows us a piece although it chokes us (BEP 6).
    Allowed,
    /// It asked in vain, and speaks BEP 6: it must be told.
    Refused(BlockSpec),
    /// It wants a block: the queue has grown.
    Request,
    /// Its extension handshake.
    Extensions,
    /// Its node of the DHT listens there.
    Node(SocketAddr),
    /// It wants these hashes.
    HashRequest(Box<HashRange>),
    /// Hashes.
    Hashes(Box<HashRange>, Bytes),
    /// It will not send these hashes.
    HashReject(Box<HashRange>),
    /// A message of an extension that we announced under this id.
    Extension(u8, Bytes),
}

impl Session {
    /// What `message` means now.
    pub(in crate::engine) fn hear(
        &mut self,
        now: Time,
        message: Message,
        layout: &Layout,
    ) -> Result<Said, Fault> {
        self.last_heard = now;
        if layout.piece_count() == 0 {
            return self.hear_early(now, message, layout);
        }
        self.hear_known(now, message, layout)
    }

    /// What `message` means while nothing is known of the torrent.
    fn hear_early(&mut self, now: Time, message: Message, layout: &Layout) -> Result<Said, Fault> {
        match message {
            Message::HaveAll if self.fast => self.early.has_all(),
            Message::Have(piece) => self.early.has(piece)?,
            Message::Bitfield(bits) => self.early.has_these(&bits),
            Message::Suggest(_) | Message::AllowedFast(_) if self.fast => {}
            // Blocks that nobody asked for, and requests for what nobody has, are faults.
            _ => return self.hear_known(now, message, layout),
        }
        Ok(Said::Nothing)
    }

    fn hear_known(&mut self, now: Time, message: Message, layout: &Layout) -> Result<Said, Fault> {
        match message {
            Message::KeepAlive | Message::Unknown(_) => Ok(Said::Nothing),
            Message::Port(port) => Ok(self.hear_port(port)),
            Message::Choke => Ok(self.hear_choke(now)),
            Message::Unchoke => {
                self.chokes_us = false;
                self.choke_changed = now;
                Ok(Said::Unchoked)
            }
            Message::Interested => {
                self.is_interested = true;
                Ok(Said::Interested)
            }
            Message::NotInterested => {
                self.is_interested = false;
                Ok(Said::NotInterested)
            }
            Message::Have(index) => {
                let piece = layout.piece(index).ok_or(Fault::Piece(index))?;
                Ok(if self.theirs.insert(piece.at()) { Said::Piece(piece) } else { Said::Nothing })
            }
            Message::Bitfield(bits) => {
                Ok(self.hear_pieces(&Bitfield::from_wire(&bits, layout.piece_count())?))
            }
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::Suggest(_)
            | Message::AllowedFast(_)
                if !self.fast =>
            {
                Err(Fault::NotFast)
            }
            Message::Suggest(index) => {
                self.suggested.add(layout.piece(index).ok_or(Fault::Piece(index))?);
                Ok(Said::Nothing)
            }
            Message::AllowedFast(index) => {
                self.allowed.add(layout.piece(index).ok_or(Fault::Piece(index))?);
                Ok(Said::Allowed)
            }
            Message::HaveAll => Ok(self.hear_pieces(&Bitfield::full(layout.piece_count()))),
            Message::HaveNone => Ok(Said::Nothing),
            Message::Reject(spec) => Ok(self.hear_reject(spec, layout)),
            Message::Request(spec) => self.hear_request(spec, layout),
            Message::Cancel(spec) => Ok(self.hear_cancel(spec)),
            Message::Piece { index, offset, data } => {
                self.hear_block(now, index, offset, data, layout)
            }
            Message::HashRequest(_) | Message::Hashes(..) | Message::HashReject(_) if !self.v2 => {
                Ok(Said::Nothing)
            }
            Message::HashRequest(range) => Ok(Said::HashRequest(range)),
            Message::Hashes(range, hashes) => Ok(Said::Hashes(range, hashes)),
            Message::HashReject(range) => Ok(Said::HashReject(range)),
            Message::Extended { id: HANDSHAKE_ID, payload } => self.hear_extensions(&payload),
            Message::Extended { id, payload } => Ok(Said::Extension(id, payload)),
        }
    }

    /// Only the first counts: a peer has one node, and would else send our guests anywhere.
    fn hear_port(&mut self, port: u16) -> Said {
        if port == 0 || std::mem::replace(&mut self.node_told, true) {
            return Said::Nothing;
        }
        Said::Node(SocketAddr::new(self.addr.ip(), port))
    }

    /// BEP 3 has the bitfield first and once; aria2 sends more of them in place of many `have`s,
    /// so a later one adds what is new in it.
    fn hear_pieces(&mut self, pieces: &Bitfield) -> Said {
        let mut new = Bitfield::new(pieces.len());
        for piece in pieces.iter().filter(|piece| self.theirs.insert(*piece)) {
            new.insert(piece);
        }
        Said::Pieces(new)
    }

    fn hear_reject(&mut self, spec: BlockSpec, layout: &Layout) -> Said {
        let block = layout.block_at(spec.index, spec.offset, spec.length);
        let Some(block) = block else { return Said::Nothing };
        if self.take_asked(block).is_some() {
            return Said::Rejected(block);
        }
        // Of a block that was given up: it will not come late either.
        match self.let_go.take(block) {
            Some(true) => Said::Spared,
            _ => Said::Nothing,
        }
    }

    fn hear_cancel(&mut self, spec: BlockSpec) -> Said {
        let dropped = self.upload.cancelled(spec);
        if dropped && self.fast { Said::Refused(spec) } else { Said::Nothing }
    }

    fn hear_choke(&mut self, now: Time) -> Said {
        self.chokes_us = true;
        self.choke_changed = now;
        if self.fast {
            // BEP 6: a choke drops nothing; what will not come is rejected.
            return Said::Choked(Vec::new());
        }
        // What was already on its way when the choke was sent may still arrive.
        Said::Choked(self.give_up_beyond(now, 0))
    }

    fn hear_request(&mut self, spec: BlockSpec, layout: &Layout) -> Result<Said, Fault> {
        let BlockSpec { index, offset, length } = spec;
        let fault = Fault::Request { index, offset, length };
        let piece = layout
            .lies_inside(index, offset, length)
            .filter(|_| length <= REQUEST_BYTES_MAX)
            .ok_or(fault)?;
        if self.choked_by_us && !self.upload.spends(piece, length) {
            // It was on its way when our choke was; without BEP 6 there is nothing to answer.
            return Ok(if self.fast { Said::Refused(spec) } else { Said::Nothing });
        }
        self.upload.asked(piece, spec)?;
        Ok(Said::Request)
    }

    fn hear_block(
        &mut self,
        now: Time,
        index: u32,
        offset: u32,
        data: Bytes,
        layout: &Layout,
    ) -> Result<Said, Fault> {
        let unrequested = Fault::Unrequested { index, offset };
        let block =
            layout.block_at(index, offset, data.len() as u32).ok_or_else(|| unrequested.clone())?;
        let asked = self.take_asked(block);
        if asked.is_none() && self.let_go.take(block).is_none() {
            return Err(unrequested);
        }
        self.last_block = now;
        self.stalled_since = None;
        Ok(match asked {
            Some(asked) => {
                self.let_go.passed(asked.at);
                Said::Block(block, asked.at, data)
            }
            None => Said::LateBlock(block, data),
        })
    }

    fn hear_extensions(&mut self, payload: &[u8]) -> Result<Said, Fault> {
        let handshake = ExtensionHandshake::decode(payload)?;
        if let Some(reqq) = handshake.reqq {
            self.pace.announced(reqq);
        }
        self.client = handshake.client.or_else(|| self.client.take());
        self.listens_on = handshake.port.or(self.listens_on);
        self.metadata_size = handshake.metadata_size.or(self.metadata_size);
        self.upload_only = handshake.upload_only.unwrap_or(self.upload_only);
        for (name, id) in handshake.ids {
            // An id of 0 switches the extension off.
            if id == 0 {
                self.extension_ids.remove(&name);
            } else {
                self.extension_ids.insert(name, id);
            }
        }
        Ok(Said::Extensions)
    }
}

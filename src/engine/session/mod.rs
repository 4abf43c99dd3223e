//! [`Session`]: one peer's conversation, from the first byte to the last.
//!
//! It holds what both sides have said and what each owes the other, turns messages into
//! [`Said`], and knows what is out of order. It does not choose: which block, whom to unchoke
//! and whether to hang up are the engine's.

mod hear;
mod span;

pub(super) use hear::Said;
pub(super) use span::Span;

use super::choker::Standing;
use super::early::Early;
use super::let_go::LetGo;
use super::named::NamedPieces;
use super::pace::Pace;
use super::time::{SECOND_US, Time};
use super::upload::Upload;
use crate::torrent::{BLOCK_LENGTH, Bitfield, Block, Layout};
use crate::wire::metadata::METADATA_NAME;
use crate::wire::mse::Method;
use crate::wire::{BlockSpec, Fault, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// What a peer may send before a piece with a block of it was verified, or two pieces if that is
/// more: so much a liar can spoil.
const UNPROVEN_BYTES_MAX: u64 = 1 << 20;
/// To a peer this far away a round trip more would cost more than what it could spoil.
const FAR_US: u64 = SECOND_US / 8;
/// Requests that it may have under way beyond that: others may hold up the pieces that would
/// prove it.
const UNPROVEN_WINDOW: usize = 4;

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) block: Block,
    pub(super) at: Time,
    /// When the block should be here, as far as was known when it was asked.
    pub(super) expected: Option<Time>,
}

/// One peer's conversation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) addr: SocketAddr,
    /// Where the pool has it: where it listens, once that is known.
    pub(super) known_as: SocketAddr,
    pub(super) came_to_us: bool,
    /// What carries its connection.
    pub(super) transport: Transport,
    /// What its connection goes on with, if it is encrypted.
    pub(super) method: Option<Method>,
    pub(super) joined: Time,
    pub(super) peer_id: [u8; 20],
    pub(super) client: Option<String>,
    /// Both sides speak BEP 6: every request is answered, with its block or a reject.
    pub(super) fast: bool,
    /// Both sides named the torrent by its v2 info hash (BEP 52).
    pub(super) v2: bool,
    pub(super) theirs: Bitfield,
    /// What it said of its pieces while we knew none.
    early: Early,
    pub(super) chokes_us: bool,
    pub(super) choked_by_us: bool,
    pub(super) is_interested: bool,
    pub(super) we_are_interested: bool,
    /// It was told that we are before we knew what it has; it will hear again.
    pub(super) interest_guessed: bool,
    pub(super) pace: Pace,
    pub(super) last_heard: Time,
    pub(super) last_block: Time,
    pub(super) last_said: Time,
    /// Requests under way, oldest first.
    pub(super) asked: VecDeque<Asked>,
    asked_bytes: u64,
    let_go: LetGo,
    /// Pieces that it gives although it chokes us, and that it suggests (BEP 6).
    pub(super) allowed: NamedPieces,
    pub(super) suggested: NamedPieces,
    /// It said that it wants nothing any more (BEP 21).
    pub(super) upload_only: bool,
    /// What it asked of us.
    pub(super) upload: Upload,
    extension_ids: BTreeMap<String, u8>,
    /// Where it listens, if it said (`p`, BEP 10).
    pub(super) listens_on: Option<u16>,
    /// Bytes of the info dictionary, if it has that (BEP 9).
    pub(super) metadata_size: Option<u32>,
    /// Pieces of the info dictionary that it had from us.
    pub(super) metadata_served: usize,
    /// Parts of piece layers that it had from us.
    pub(super) hashes_served: usize,
    /// It said where its node of the DHT listens.
    node_told: bool,
    pub(super) downloaded_bytes: u64,
    pub(super) uploaded_bytes: u64,
    /// What passed between us of late.
    pub(super) standing: Standing,
    /// A block of it arrived.
    pub(super) served: bool,
    /// A piece with a block of it was verified.
    pub(super) is_proven: bool,
    /// Bytes that it may send before that.
    unproven_bytes_max: u64,
    /// Since when it stalls.
    pub(super) stalled_since: Option<Time>,
    /// Since when it chokes us, or does not.
    pub(super) choke_changed: Time,
    /// How long it owed us something.
    pub(super) busy: Span,
    /// How long it could have been asked and was not.
    pub(super) idle: Span,
}

impl Session {
    pub(super) fn new(now: Time, addr: SocketAddr, came_to_us: bool, layout: &Layout) -> Self {
        Self {
            addr,
            known_as: addr,
            came_to_us,
            transport: Transport::Tcp,
            method: None,
            joined: now,
            peer_id: [0; 20],
            client: None,
            fast: false,
            v2: false,
            theirs: Bitfield::new(layout.piece_count()),
            early: Early::default(),
            chokes_us: true,
            choked_by_us: true,
            is_interested: false,
            we_are_interested: false,
            interest_guessed: false,
            pace: Pace::new(now),
            last_heard: now,
            last_block: now,
            last_said: now,
            asked: VecDeque::new(),
            asked_bytes: 0,
            let_go: LetGo::default(),
            allowed: NamedPieces::default(),
            suggested: NamedPieces::default(),
            upload_only: false,
            upload: Upload::new(now),
            extension_ids: BTreeMap::new(),
            listens_on: None,
            metadata_size: None,
            metadata_served: 0,
            hashes_served: 0,
            node_told: false,
            downloaded_bytes: 0,
            uploaded_bytes: 0,
            standing: Standing::default(),
            served: false,
            is_proven: false,
            unproven_bytes_max: unproven_bytes_max(layout),
            stalled_since: None,
            choke_changed: now,
            busy: Span::default(),
            idle: Span::default(),
        }
    }

    /// Whether it said which extensions it speaks (BEP 10).
    pub(super) fn speaks_extensions(&self) -> bool {
        !self.extension_ids.is_empty()
    }

    /// The id under which it wants messages of the extension `name`, if it speaks it.
    pub(super) fn extension_id(&self, name: &str) -> Option<u8> {
        self.extension_ids.get(name).copied()
    }

    /// The id under which it wants pieces of the info dictionary, and questions for them.
    pub(super) fn metadata_id(&self) -> Option<u8> {
        self.extension_id(METADATA_NAME)
    }

    /// The torrent is known now: the pieces that it has of it.
    pub(super) fn learned(&mut self, layout: &Layout) -> Result<Bitfield, Fault> {
        self.theirs = std::mem::take(&mut self.early).pieces(layout.piece_count())?;
        self.unproven_bytes_max = self.unproven_bytes_max.max(unproven_bytes_max(layout));
        Ok(self.theirs.clone())
    }

    /// Its handshake came so long after ours was sent. Who is far may send as much as it is asked
    /// for at first before a piece of it was verified.
    pub(super) fn greeted_after(&mut self, us: u64) {
        self.pace.greeted_after(us);
        if us >= FAR_US {
            let first_bytes = self.pace.window() as u64 * u64::from(BLOCK_LENGTH);
            self.unproven_bytes_max = self.unproven_bytes_max.max(first_bytes);
        }
    }

    /// Whether it can be asked for blocks.
    pub(super) const fn is_ready(&self) -> bool {
        !self.chokes_us && self.we_are_interested
    }

    /// Whether it may be asked for more.
    pub(super) fn has_room(&self) -> bool {
        self.is_ready() && self.asked.len() < self.window()
    }

    /// How many requests may be under way.
    pub(super) fn window(&self) -> usize {
        let window = self.pace.window();
        if self.is_proven {
            return window;
        }
        let room = self.unproven_bytes_max.saturating_sub(self.downloaded_bytes);
        window.min((room / u64::from(BLOCK_LENGTH)) as usize).max(window.min(UNPROVEN_WINDOW))
    }

    /// The block was asked of it.
    pub(super) fn ask(&mut self, now: Time, block: Block) {
        if self.asked.is_empty() {
            self.pace.resumed(now);
            self.last_block = now;
        }
        let expected = self.next_expected_us().map(|us| now + us);
        self.asked_bytes += u64::from(block.length());
        self.asked.push_back(Asked { block, at: now, expected });
    }

    /// Bytes that it owes.
    pub(super) const fn asked_bytes(&self) -> u64 {
        self.asked_bytes
    }

    /// Bytes of blocks that were given up and are on their way all the same. Of a peer that does
    /// not speak BEP 6 none are counted: it does not say what it dropped.
    fn stale_bytes(&self) -> u64 {
        if self.fast { self.let_go.bytes() } else { 0 }
    }

    /// How many blocks will come before the next one that it is asked for.
    pub(super) fn blocks_ahead(&self) -> usize {
        self.asked.len() + (self.stale_bytes() / u64::from(BLOCK_LENGTH)) as usize
    }

    /// How long one more block would take, if anything is known.
    pub(super) fn next_expected_us(&self) -> Option<u64> {
        let ahead = self.asked_bytes + self.stale_bytes();
        self.pace.expected_us(ahead + u64::from(BLOCK_LENGTH))
    }

    /// How long the last of the first `queued` bytes that it owes will take. The later its next
    /// block is already, the longer; of a peer of which nothing is known, as long as it has been
    /// silent.
    pub(super) fn expected_from(&self, now: Time, queued: u64) -> u64 {
        let silent_us = || now.since_us(self.last_block);
        let expected_us = self.pace.expected_us(queued).unwrap_or_else(silent_us);
        let due = self.asked.front().and_then(|asked| asked.expected);
        expected_us.saturating_add(due.map_or(0, |due| now.since_us(due)))
    }

    /// It need not send the block any more. Whether it was owed.
    pub(super) fn give_up(&mut self, now: Time, block: Block, sent_by_another: bool) -> bool {
        let owed = self.take_asked(block).is_some();
        if owed {
            self.let_go.add(now, block, sent_by_another);
        }
        owed
    }

    /// It need not send the blocks that it was asked for last, beyond the first `count`.
    pub(super) fn give_up_beyond(&mut self, now: Time, count: usize) -> Vec<Block> {
        let last = self.asked.split_off(count.min(self.asked.len()));
        let blocks: Vec<Block> = last.into_iter().map(|asked| asked.block).collect();
        for block in &blocks {
            self.asked_bytes -= u64::from(block.length());
            self.let_go.add(now, *block, false);
        }
        blocks
    }

    /// It owes blocks and is silent.
    pub(super) fn stalled(&mut self, now: Time) {
        self.pace.stalled();
        self.stalled_since.get_or_insert(now);
    }

    /// Notes whether it owes something now, or could be asked and is not.
    pub(super) fn mind_idle(&mut self, now: Time) {
        let busy = !self.asked.is_empty();
        self.busy.set(now, busy);
        self.idle.set(now, self.is_ready() && !busy);
    }

    /// When it must have sent something, if it owes anything; sooner if that is `wanted` by
    /// another that has nothing to do.
    pub(super) fn patience_ends(&self, wanted: bool) -> Option<Time> {
        self.asked.front().map(|_| self.last_block + self.pace.patience_us(wanted))
    }

    /// Whether it could be asked for blocks, is no staller, and owes none.
    pub(super) fn has_nothing_to_do(&self) -> bool {
        self.is_ready() && self.asked.is_empty() && !self.pace.is_stalled()
    }

    /// Whether it has every piece.
    pub(super) fn is_seed(&self) -> bool {
        self.theirs.is_full()
    }

    /// Forgets its requests, as a choke does; those that must be rejected.
    pub(super) fn choke(&mut self, now: Time) -> Vec<BlockSpec> {
        self.choked_by_us = true;
        self.standing.serve(now, false);
        let dropped = self.upload.choked();
        if self.fast { dropped } else { Vec::new() }
    }

    /// Its requests are answered from now on.
    pub(super) fn unchoke(&mut self, now: Time) {
        self.choked_by_us = false;
        self.standing.serve(now, true);
    }

    fn take_asked(&mut self, block: Block) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.block == block)?;
        let asked = self.asked.remove(at)?;
        self.asked_bytes -= u64::from(block.length());
        Some(asked)
    }
}

/// What a peer may send before a piece with a block of it was verified.
fn unproven_bytes_max(layout: &Layout) -> u64 {
    UNPROVEN_BYTES_MAX.max(2 * u64::from(layout.piece_length()))
}

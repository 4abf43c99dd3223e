//! [`Tally`]: what was moved, wasted and by whom; [`Report`]: the same for the result.

use super::output::Why;
use super::session::Session;
use super::time::{SECOND_US, Time};
use crate::wire::Transport;
use crate::wire::mse::Method;
use std::net::SocketAddr;

/// Peers that a report lists; of the rest only the sums are known.
const PEERS_REPORTED_MAX: usize = 1000;

/// What a download was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of blocks received, duplicates among them.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Bytes of blocks that were here already.
    pub duplicate_bytes: u64,
    /// Bytes of pieces that failed their check.
    pub wasted_bytes: u64,
    /// Pieces that failed their check.
    pub hash_failures: u64,
    /// From 99 % of the wanted pieces to all of them, once there.
    pub t_99_to_100_us: Option<u64>,
    /// Those that finished a handshake.
    pub peers: Vec<PeerReport>,
}

/// What one peer was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its address.
    pub addr: SocketAddr,
    /// Client and version, if it said.
    pub client: Option<String>,
    /// Who found it, the first of them first: a guest, `user`, or `incoming`. Never empty.
    pub found_by: Vec<String>,
    /// What carried its connection.
    pub transport: Transport,
    /// What its connection went on with, if it was encrypted.
    pub method: Option<Method>,
    /// Pieces that it had, as far as it said.
    pub pieces: usize,
    /// Bytes of blocks received from it.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent to it.
    pub uploaded_bytes: u64,
    /// How long it was here.
    pub connected_us: u64,
    /// Bytes a second that it delivered while it owed us something.
    pub rate: u64,
    /// How long it would have sent more, but was asked for nothing.
    pub idle_us: u64,
    /// Why it left, if it did.
    pub left: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) downloaded_bytes: u64,
    pub(super) uploaded_bytes: u64,
    pub(super) duplicate_bytes: u64,
    pub(super) wasted_bytes: u64,
    pub(super) hash_failures: u64,
    pub(super) at_99: Option<Time>,
    pub(super) at_100: Option<Time>,
    ended: Vec<PeerReport>,
}

impl Tally {
    /// `left` of `all` wanted pieces are still to come.
    pub(super) fn progressed(&mut self, now: Time, left: usize, all: usize) {
        if left * 100 <= all {
            self.at_99.get_or_insert(now);
        }
        if left == 0 {
            self.at_100.get_or_insert(now);
        }
    }

    pub(super) fn ended(&mut self, now: Time, session: &Session, found_by: Vec<String>, why: &Why) {
        if self.ended.len() < PEERS_REPORTED_MAX {
            self.ended.push(report_of(now, session, found_by, Some(why.to_string())));
        }
    }

    pub(super) fn report<'a>(
        &self,
        now: Time,
        here: impl Iterator<Item = (&'a Session, Vec<String>)>,
    ) -> Report {
        let mut peers = self.ended.clone();
        let room = PEERS_REPORTED_MAX.saturating_sub(peers.len());
        peers.extend(
            here.take(room).map(|(session, found_by)| report_of(now, session, found_by, None)),
        );
        Report {
            downloaded_bytes: self.downloaded_bytes,
            uploaded_bytes: self.uploaded_bytes,
            duplicate_bytes: self.duplicate_bytes,
            wasted_bytes: self.wasted_bytes,
            hash_failures: self.hash_failures,
            t_99_to_100_us: self.at_100.zip(self.at_99).map(|(end, from)| end.since_us(from)),
            peers,
        }
    }
}

fn report_of(
    now: Time,
    session: &Session,
    found_by: Vec<String>,
    left: Option<String>,
) -> PeerReport {
    let busy_us = session.busy.total_us(now).max(1);
    PeerReport {
        addr: session.addr,
        client: session.client.clone(),
        found_by,
        transport: session.transport,
        method: session.method,
        pieces: session.theirs.count(),
        downloaded_bytes: session.downloaded_bytes,
        uploaded_bytes: session.uploaded_bytes,
        connected_us: now.since_us(session.joined),
        rate: session.downloaded_bytes.saturating_mul(SECOND_US) / busy_us,
        idle_us: session.idle.total_us(now),
        left,
    }
}

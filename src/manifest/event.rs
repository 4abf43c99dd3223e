//! [`EventLine`]: one line of `--events`: an object with `t`, seconds since the beginning, and
//! `event`, its kind.

use super::line::line;
use serde::Serialize;

/// What happened, as NDJSON says it.
///
/// ```
/// use rtor::manifest::event::EventLine;
/// let line = EventLine::PieceVerified { t: 1.5, piece: 7 };
/// assert_eq!(line.to_bytes(), b"{\"event\":\"piece_verified\",\"t\":1.5,\"piece\":7}\n");
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields say what the variant's sentence does not")]
pub enum EventLine<'a> {
    /// How far it is, a few times a second.
    Progress {
        t: f64,
        have: usize,
        left_bytes: u64,
        downloaded_bytes: u64,
        uploaded_bytes: u64,
        peers: usize,
    },
    /// A peer finished its handshake.
    PeerJoined {
        t: f64,
        addr: String,
        came_to_us: bool,
        /// What carries its connection: `tcp` or `utp`.
        transport: &'static str,
        encrypted: bool,
        /// What it goes on with, if it is: `rc4` or `plaintext`.
        encryption: Option<&'static str>,
    },
    /// A peer is gone, or a dial failed, and why.
    PeerLeft { t: f64, addr: String, why: String },
    /// A peer is proven to have sent wrong bytes, and not talked to any more.
    PeerBanned { t: f64, addr: String },
    /// A piece was verified and stored.
    PieceVerified { t: f64, piece: u32 },
    /// A piece failed its check.
    PieceFailed { t: f64, piece: u32 },
    /// Every wanted piece is verified.
    Completed { t: f64 },
    /// The info dictionary of a magnet is whole.
    Metadata { t: f64, bytes: usize },
    /// A plugin found peers; `new` of `told` were not known.
    PeersFound { t: f64, by: &'a str, source: &'a str, new: usize, told: usize },
    /// What a source said of the swarm; what it did not say is null.
    Swarm {
        t: f64,
        source: &'a str,
        seeds: Option<u64>,
        leeches: Option<u64>,
        downloads: Option<u64>,
        interval_s: u32,
    },
    /// A plugin has something to say.
    Report { t: f64, level: &'a str, by: &'a str, subject: &'a str, text: &'a str },
}

impl EventLine<'_> {
    /// The line, its line break too.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line(self)
    }
}

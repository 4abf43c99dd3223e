//! [`Exchange`]: one announce or scrape over UDP (BEP 15), from its first datagram to its reply.
//!
//! A tracker first gives a connection id, good for a minute; every request that is not answered
//! within 15 * 2^n seconds is sent again, n growing from 0 to 8. A reply counts only if it comes
//! from the address that was asked and carries the transaction id that was drawn for the
//! question, which nobody can guess who does not see it, not even another tracker. The path of the
//! tracker's URL stands behind an announce (BEP 41); a tracker that does not know that does not
//! look there.

use crate::announce::{Announce, Event, Failure, Purpose, Reply, words};
use crate::turn::Turn;
use rtor_plugin::Addr;
use std::net::{IpAddr, SocketAddr};

/// The connection id of a request for one.
const PROTOCOL: u64 = 0x0417_2710_1980;
/// What `n` of the schedule multiplies.
const RETRY_S: u64 = 15;
/// The last `n`: after 15 * 2^8 seconds more the tracker counts as dead.
const RETRIES_MAX: u32 = 8;
/// How long a connection id may be used by us (the tracker keeps it for two minutes).
const CONNECTION_S: u64 = 60;
/// Addresses of one tracker that are tried in turn.
pub(crate) const ADDRS_MAX: usize = 8;
/// Bytes of a URL's path that are sent along, so that the datagram stays whole on its way. None
/// of a longer one.
const PATH_BYTES_MAX: usize = 1024;
/// The option `URLData` of BEP 41, and the bytes that one may carry.
const URL_DATA: u8 = 2;
const URL_DATA_BYTES_MAX: usize = 255;

/// The actions of BEP 15.
mod action {
    pub(super) const CONNECT: u32 = 0;
    pub(super) const ANNOUNCE: u32 = 1;
    pub(super) const SCRAPE: u32 = 2;
    pub(super) const ERROR: u32 = 3;
}

/// A tracker's leave to ask it something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    to: Addr,
    id: u64,
    until_us: u64,
}

/// What a datagram meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is no answer to this exchange's question.
    NotOurs,
    /// The next question is on its way.
    GoingOn,
    /// The end, and the tracker's answer or its error.
    Ended(Result<Reply, Failure>),
}

/// One announce or scrape under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    purpose: Purpose,
    /// What stands behind an announce (BEP 41).
    options: Vec<u8>,
    /// Not empty.
    addrs: Vec<Addr>,
    at: usize,
    question: Option<Question>,
    /// `n` of the schedule.
    unanswered: u32,
    /// Whether more than a request for a connection was sent: from then on `n` only grows.
    asked: bool,
    due_us: u64,
}

/// What was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    action: u32,
    to: Addr,
    transaction: u32,
}

impl Exchange {
    /// Sends the first datagram: the question itself if `connection` still holds, else a request
    /// for one. `None` if there is no address.
    pub(crate) fn begun(
        mut addrs: Vec<Addr>,
        path: &str,
        connection: Option<Connection>,
        purpose: Purpose,
        turn: &mut Turn<'_>,
    ) -> Option<Self> {
        addrs.truncate(ADDRS_MAX);
        let connected = connection.and_then(|c| addrs.iter().position(|addr| *addr == c.to));
        let at = connected.unwrap_or(0);
        addrs.get(at)?;
        let mut exchange = Self {
            purpose,
            options: url_data(path),
            addrs,
            at,
            question: None,
            unanswered: 0,
            asked: false,
            due_us: 0,
        };
        exchange.ask(connection, turn);
        Some(exchange)
    }

    /// When the next datagram goes out, or the tracker is given up.
    pub(crate) const fn due_us(&self) -> u64 {
        self.due_us
    }

    /// Whether nothing was heard for longer than the first wait.
    pub(crate) const fn is_slow(&self) -> bool {
        self.unanswered > 0
    }

    /// Whether the announce itself was sent last, and not a request for a connection.
    pub(crate) fn is_announcing(&self) -> bool {
        self.question.is_some_and(|question| question.action == action::ANNOUNCE)
    }

    /// No answer came in time: asks again, at the next address if there are several.
    ///
    /// # Errors
    /// The schedule is over.
    pub(crate) fn overdue(
        &mut self,
        connection: Option<Connection>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Failure> {
        if self.unanswered >= RETRIES_MAX {
            return Err("the tracker does not answer".into());
        }
        self.unanswered += 1;
        if self.question.is_some_and(|question| question.action == action::CONNECT) {
            self.at = (self.at + 1) % self.addrs.len();
        }
        self.ask(connection, turn);
        Ok(())
    }

    /// A datagram came in; `connection` is the tracker's, and kept up to date.
    pub(crate) fn received(
        &mut self,
        from: Addr,
        bytes: &[u8],
        connection: &mut Option<Connection>,
        turn: &mut Turn<'_>,
    ) -> Heard {
        let mut fields = Fields(bytes);
        let (Some(action), Some(transaction)) = (fields.word(), fields.word()) else {
            return Heard::NotOurs;
        };
        let asked = self.question.filter(|question| {
            question.transaction == transaction && canonical(question.to) == canonical(from)
        });
        let Some(asked) = asked else {
            return Heard::NotOurs;
        };
        match action {
            action::ERROR => {
                // It may be the connection id that it does not like.
                *connection = None;
                Heard::Ended(Err(words(fields.0).into()))
            }
            action::CONNECT if asked.action == action::CONNECT => {
                let Some(id) = fields.long() else {
                    return Heard::Ended(Err(malformed()));
                };
                let until_us = turn.after_s(CONNECTION_S);
                *connection = Some(Connection { to: asked.to, id, until_us });
                if !self.asked {
                    self.unanswered = 0;
                }
                self.ask(*connection, turn);
                Heard::GoingOn
            }
            action::ANNOUNCE if asked.action == action::ANNOUNCE => {
                Heard::Ended(announced(fields, asked.to).ok_or_else(malformed))
            }
            action::SCRAPE if asked.action == action::SCRAPE => {
                Heard::Ended(scraped(fields).ok_or_else(malformed))
            }
            _ => Heard::Ended(Err(malformed())),
        }
    }

    /// Sends what is to be asked now, and waits as long as the schedule says.
    fn ask(&mut self, connection: Option<Connection>, turn: &mut Turn<'_>) {
        let Some(&to) = self.addrs.get(self.at) else {
            return;
        };
        let connection = connection.filter(|c| c.to == to && turn.now_us < c.until_us);
        let action = match (connection, self.purpose) {
            (None, _) => action::CONNECT,
            (Some(_), Purpose::Announce(_)) => action::ANNOUNCE,
            (Some(_), Purpose::Scrape) => action::SCRAPE,
        };
        // The same question again keeps its id, so that an answer to either datagram counts.
        let question = match self.question {
            Some(question) if question.action == action && question.to == to => question,
            _ => Question { action, to, transaction: turn.chance.word() },
        };
        self.asked |= connection.is_some();
        let mut datagram = [
            &connection.map_or(PROTOCOL, |connection| connection.id).to_be_bytes()[..],
            &action.to_be_bytes(),
            &question.transaction.to_be_bytes(),
        ]
        .concat();
        match (connection, self.purpose) {
            (None, _) => {}
            (Some(_), Purpose::Announce(event)) => {
                datagram.extend(request(&turn.announce(event, b"", to.family)));
                datagram.extend(&self.options);
            }
            (Some(_), Purpose::Scrape) => datagram.extend(turn.identity.info_hash),
        }
        turn.send(to, &datagram);
        self.question = Some(question);
        self.due_us = turn.after_s(RETRY_S << self.unanswered.min(RETRIES_MAX));
    }
}

/// An announce, behind the 16 bytes with which every question begins: 82 more.
fn request(announce: &Announce<'_>) -> Vec<u8> {
    let Announce { identity, port, totals, event, .. } = announce;
    let event: u32 = match event {
        Event::None => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
    };
    // Where a tracker wants our IP address, it takes the datagram's.
    let ip: u32 = 0;
    [
        &identity.info_hash[..],
        &identity.peer_id,
        &totals.downloaded.to_be_bytes(),
        &totals.left.to_be_bytes(),
        &totals.uploaded.to_be_bytes(),
        &event.to_be_bytes(),
        &ip.to_be_bytes(),
        &identity.key.to_be_bytes(),
        &announce.numwant().to_be_bytes(),
        &port.to_be_bytes(),
    ]
    .concat()
}

/// The options that carry a URL's path and query (BEP 41, `URLData`).
fn url_data(path: &str) -> Vec<u8> {
    if path.len() > PATH_BYTES_MAX {
        return Vec::new();
    }
    let chunks = path.as_bytes().chunks(URL_DATA_BYTES_MAX);
    chunks.flat_map(|chunk| [&[URL_DATA, chunk.len() as u8], chunk].concat()).collect()
}

/// The rest of a scrape's reply.
fn scraped(mut fields: Fields<'_>) -> Option<Reply> {
    let seeds = Some(u64::from(fields.word()?));
    let downloads = Some(u64::from(fields.word()?));
    let leeches = Some(u64::from(fields.word()?));
    Some(Reply { seeds, downloads, leeches, ..Reply::default() })
}

/// The rest of an announce's reply. Peers are of the family over which it came.
fn announced(mut fields: Fields<'_>, from: Addr) -> Option<Reply> {
    let interval_s = Some(i64::from(fields.word()?));
    let leeches = Some(u64::from(fields.word()?));
    let seeds = Some(u64::from(fields.word()?));
    let mut reply = Reply { interval_s, leeches, seeds, ..Reply::default() };
    let family = if canonical(from).is_some_and(|s| s.is_ipv6()) { 6 } else { 4 };
    reply.push_compact(fields.0, family);
    Some(reply)
}

fn malformed() -> Failure {
    "the tracker's reply is malformed".into()
}

/// An address as it is compared: a mapped one is the IPv4 address that it stands for.
fn canonical(addr: Addr) -> Option<SocketAddr> {
    let socket = addr.socket()?;
    Some(SocketAddr::new(IpAddr::to_canonical(&socket.ip()), socket.port()))
}

/// Big-endian fields, read from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn word(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }

    fn long(&mut self) -> Option<u64> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*field))
    }
}

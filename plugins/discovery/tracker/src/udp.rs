//! [`Exchange`]: one announce over UDP (BEP 15), from its first datagram to its reply.
//!
//! A tracker first gives a connection id, good for a minute; every request that is not answered
//! within 15 * 2^n seconds is sent again, n growing from 0 to 8. A reply counts only if it comes
//! from the address that was asked and carries the transaction id that was drawn for the
//! question.

use crate::announce::{Announce, Event, Reply, words};
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

/// The actions of BEP 15.
mod action {
    pub(super) const CONNECT: u32 = 0;
    pub(super) const ANNOUNCE: u32 = 1;
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
    Ended(Result<Reply, String>),
}

/// One announce under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Not empty.
    addrs: Vec<Addr>,
    at: usize,
    question: Option<Question>,
    /// `n` of the schedule.
    unanswered: u32,
    /// Whether the announce itself was sent: from then on `n` only grows.
    announced: bool,
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
    /// Sends the first datagram: an announce if `connection` still holds, else a request for
    /// one. `None` if there is no address.
    pub(crate) fn begun(
        mut addrs: Vec<Addr>,
        connection: Option<Connection>,
        event: Event,
        turn: &mut Turn<'_>,
    ) -> Option<Self> {
        addrs.truncate(ADDRS_MAX);
        let connected = connection.and_then(|c| addrs.iter().position(|addr| *addr == c.to));
        let at = connected.unwrap_or(0);
        addrs.get(at)?;
        let mut exchange =
            Self { addrs, at, question: None, unanswered: 0, announced: false, due_us: 0 };
        exchange.ask(connection, event, turn);
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
        event: Event,
        turn: &mut Turn<'_>,
    ) -> Result<(), String> {
        if self.unanswered >= RETRIES_MAX {
            return Err("the tracker does not answer".to_owned());
        }
        self.unanswered += 1;
        if self.question.is_some_and(|question| question.action == action::CONNECT) {
            self.at = (self.at + 1) % self.addrs.len();
        }
        self.ask(connection, event, turn);
        Ok(())
    }

    /// A datagram came in; `connection` is the tracker's, and kept up to date.
    pub(crate) fn received(
        &mut self,
        from: Addr,
        bytes: &[u8],
        connection: &mut Option<Connection>,
        event: Event,
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
                Heard::Ended(Err(words(fields.0)))
            }
            action::CONNECT if asked.action == action::CONNECT => {
                let Some(id) = fields.long() else {
                    return Heard::Ended(Err(malformed()));
                };
                let until_us = turn.after_s(CONNECTION_S);
                *connection = Some(Connection { to: asked.to, id, until_us });
                if !self.announced {
                    self.unanswered = 0;
                }
                self.ask(*connection, event, turn);
                Heard::GoingOn
            }
            action::ANNOUNCE if asked.action == action::ANNOUNCE => {
                Heard::Ended(announced(fields, asked.to).ok_or_else(malformed))
            }
            _ => Heard::Ended(Err(malformed())),
        }
    }

    /// Sends what is to be asked now, and waits as long as the schedule says.
    fn ask(&mut self, connection: Option<Connection>, event: Event, turn: &mut Turn<'_>) {
        let Some(&to) = self.addrs.get(self.at) else {
            return;
        };
        let connection = connection.filter(|c| c.to == to && turn.now_us < c.until_us);
        let action = if connection.is_some() { action::ANNOUNCE } else { action::CONNECT };
        // The same question again keeps its id, so that an answer to either datagram counts.
        let question = match self.question {
            Some(question) if question.action == action && question.to == to => question,
            _ => Question { action, to, transaction: turn.chance.word() },
        };
        let datagram = match connection {
            Some(connection) => {
                self.announced = true;
                request(connection.id, question.transaction, &turn.announce(event, b""))
            }
            None => [
                &PROTOCOL.to_be_bytes()[..],
                &action::CONNECT.to_be_bytes(),
                &question.transaction.to_be_bytes(),
            ]
            .concat(),
        };
        turn.send(to, &datagram);
        self.question = Some(question);
        self.due_us = turn.after_s(RETRY_S << self.unanswered.min(RETRIES_MAX));
    }
}

/// An announce, 98 bytes.
fn request(connection: u64, transaction: u32, announce: &Announce<'_>) -> Vec<u8> {
    let Announce { identity, totals, event, .. } = announce;
    let event: u32 = match event {
        Event::None => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
    };
    // Where a tracker wants our IP address, it takes the datagram's.
    let ip: u32 = 0;
    [
        &connection.to_be_bytes()[..],
        &action::ANNOUNCE.to_be_bytes(),
        &transaction.to_be_bytes(),
        &identity.info_hash,
        &identity.peer_id,
        &totals.downloaded.to_be_bytes(),
        &totals.left.to_be_bytes(),
        &totals.uploaded.to_be_bytes(),
        &event.to_be_bytes(),
        &ip.to_be_bytes(),
        &identity.key.to_be_bytes(),
        &announce.numwant().to_be_bytes(),
        &identity.port.to_be_bytes(),
    ]
    .concat()
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

fn malformed() -> String {
    "the tracker's reply is malformed".to_owned()
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

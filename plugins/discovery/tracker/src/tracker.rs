//! [`Tracker`]: what is known of one tracker over one address family, and the one announce (or
//! scrape) that is under way.
//!
//! Which tracker is asked, and when, is [`tiers`](crate::tiers)' business; a tracker knows when
//! it *may* be asked again: not before its min interval is over (for a hungry host neither), and
//! after a failure not before a pause that doubles, or that it asked for (BEP 31). What is to be
//! said of it waits as a [`Complaint`]: whether it matters depends on the other family.

use crate::announce::{Event, Failure, Purpose, Reply, Retry};
use crate::turn::Turn;
use crate::udp::{Connection, Exchange, Heard};
use crate::url::{Endpoint, Family};
use crate::{http, scrape};
use rtor_plugin::Addr;
use rtor_plugin::discovery::{self, Wish};
use std::net::{IpAddr, SocketAddr};

/// The pause after one failure; it doubles with each that follows.
const PAUSE_S: u64 = 5;
/// The longest pause.
const PAUSE_S_MAX: u64 = 30 * 60;
/// The longest pause that a tracker may ask for, in minutes.
const RETRY_MINUTES_MAX: u64 = 24 * 60;
/// The interval of a tracker that does not say any.
const INTERVAL_S: i64 = 30 * 60;
/// No tracker makes us ask more often (0 and negative intervals were seen in the wild) ...
const INTERVAL_S_MIN: i64 = 30;
/// ... or wait longer.
const INTERVAL_S_MAX: i64 = 4 * 60 * 60;
/// What a tracker that says no min interval is spared by a hungry host.
const HUNGRY_S_MIN: i64 = 5 * 60;
/// The host answers every wish; if it should not, we do not wait for ever.
const HOST_S_MAX: u64 = 120;

/// How long an announce that is under way when we leave may take: `stopped` must not overtake
/// it, or the tracker would list us again.
const LEAVE_US: u64 = 500_000;

/// How an announce stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on.
    GoingOn,
    /// The tracker answered.
    Answered,
    /// It refused, or could not be reached.
    Failed,
}

/// Something that a person may want to know of a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) text: String,
    /// It is the tracker's own warning, and not that it cannot be reached over this family.
    pub(crate) is_its_own: bool,
}

/// An announce or scrape under way.
#[derive(Debug)]
struct Flight {
    purpose: Purpose,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The host looks the name up.
    Resolving { ticket: u64, until_us: u64 },
    /// The host fetches the URL.
    Fetching { ticket: u64, until_us: u64 },
    /// Datagrams go to and fro.
    Exchanging(Exchange),
}

/// One tracker.
#[derive(Debug)]
pub(crate) struct Tracker {
    url: String,
    endpoint: Endpoint,
    /// If it has a choice.
    family: Option<Family>,
    flight: Option<Flight>,
    /// UDP: where it was found last.
    addrs: Vec<Addr>,
    connection: Option<Connection>,
    tracker_id: Vec<u8>,
    failures: u32,
    /// The pause after a failure.
    paused_until_us: u64,
    /// The min interval after an answer.
    spared_until_us: u64,
    /// The interval after an answer.
    regular_us: u64,
    /// It has answered `started`.
    knows_us: bool,
    owes_completed: bool,
    /// It knows another port than the one that others reach us at.
    owes_port: bool,
    /// We leave once the announce under way has ended, at the latest then.
    leaving_us: Option<u64>,
    /// What was last said of it: the same is not said twice.
    said: Option<String>,
    complaint: Option<Complaint>,
}

impl Tracker {
    /// The tracker at `url`, to be reached over `family`, or over any.
    pub(crate) fn new(url: &str, endpoint: Endpoint, family: Option<Family>) -> Self {
        Self {
            url: url.to_owned(),
            endpoint,
            family,
            flight: None,
            addrs: Vec::new(),
            connection: None,
            tracker_id: Vec::new(),
            failures: 0,
            paused_until_us: 0,
            spared_until_us: 0,
            regular_us: 0,
            knows_us: false,
            owes_completed: false,
            owes_port: false,
            leaving_us: None,
            said: None,
            complaint: None,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Over which family it is reached, 4 or 6.
    pub(crate) fn family(&self) -> u8 {
        let family = self.family.or_else(|| self.endpoint.families().first().copied());
        family.map_or(0, Family::number)
    }

    /// Whether an announce is under way.
    pub(crate) const fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether its last announce was answered.
    pub(crate) const fn is_well(&self) -> bool {
        self.failures == 0 && self.regular_us > 0
    }

    /// Whether it did not answer the last time, or not yet where it should have.
    pub(crate) fn is_failing(&self) -> bool {
        let slow = self.flight.as_ref().is_some_and(|flight| match &flight.stage {
            Stage::Exchanging(exchange) => exchange.is_slow(),
            Stage::Resolving { .. } | Stage::Fetching { .. } => false,
        });
        slow || self.failures > 0
    }

    /// What is to be said of it since this was last asked.
    pub(crate) const fn complaint(&mut self) -> Option<Complaint> {
        self.complaint.take()
    }

    /// The first moment at which it may be asked.
    pub(crate) fn free_us(&self) -> u64 {
        match self.next_event() {
            // News may break the min interval, which is about asking for peers.
            Event::Completed => self.paused_until_us,
            _ if self.owes_port => self.paused_until_us,
            Event::None | Event::Started | Event::Stopped => {
                self.paused_until_us.max(self.spared_until_us)
            }
        }
    }

    /// When it is to be asked again after an answer.
    pub(crate) fn next_us(&self) -> u64 {
        match self.next_event() {
            Event::Completed => self.paused_until_us,
            _ if self.owes_port => self.paused_until_us,
            Event::None | Event::Started | Event::Stopped => self.regular_us,
        }
    }

    /// When something is to be done about the announce under way.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let stage = self.flight.as_ref().map(|flight| match &flight.stage {
            Stage::Resolving { until_us, .. } | Stage::Fetching { until_us, .. } => *until_us,
            Stage::Exchanging(exchange) => exchange.due_us(),
        });
        stage.into_iter().chain(self.leaving_us).min()
    }

    /// The download is complete: a tracker that knew us as a leech is to be told.
    pub(crate) fn completed(&mut self) {
        let started = Purpose::Announce(Event::Started);
        let introducing = self.flight.as_ref().is_some_and(|f| f.purpose == started);
        self.owes_completed = self.knows_us || introducing;
    }

    /// Others reach us at another port. An announce under way has the one before.
    pub(crate) fn moved(&mut self) {
        self.owes_port = self.knows_us || self.is_busy();
    }

    /// Announces: `started` to a tracker that does not know us, else what is new.
    pub(crate) fn ask(&mut self, turn: &mut Turn<'_>) {
        self.begin(Purpose::Announce(self.next_event()), turn);
    }

    /// Asks for the counts of the swarm, and nothing else.
    pub(crate) fn scrape(&mut self, turn: &mut Turn<'_>) {
        self.begin(Purpose::Scrape, turn);
    }

    /// A scrape that is under way has taken too long.
    pub(crate) fn give_up(&mut self, turn: &Turn<'_>) {
        if self.flight.as_ref().is_some_and(|flight| flight.purpose == Purpose::Scrape) {
            self.failed("the tracker does not answer".into(), turn);
        }
    }

    /// Leaves: says so to a tracker that knows us, and is done with any other. An announce that
    /// it may have heard gets a moment to end first.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>) {
        let heard = self.flight.as_ref().is_some_and(|flight| match &flight.stage {
            Stage::Resolving { .. } => false,
            Stage::Fetching { .. } => true,
            Stage::Exchanging(exchange) => exchange.is_announcing(),
        });
        if heard {
            self.leaving_us = Some(turn.now_us.saturating_add(LEAVE_US));
        } else {
            self.say_good_bye(turn);
        }
    }

    /// Gives the announce under way up, since another tracker of the tier answered: a UDP
    /// tracker would be asked for two hours. An HTTP request cannot be called back.
    pub(crate) fn abandon(&mut self, turn: &Turn<'_>) {
        let fetching =
            self.flight.as_ref().is_some_and(|f| matches!(f.stage, Stage::Fetching { .. }));
        if self.is_busy() && !fetching {
            self.flight = None;
            self.pause(turn);
        }
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>) -> Outcome {
        if self.leaving_us.is_some_and(|us| us <= turn.now_us) {
            self.say_good_bye(turn);
        }
        let Some(flight) = &mut self.flight else {
            return Outcome::GoingOn;
        };
        match &mut flight.stage {
            Stage::Resolving { until_us, .. } | Stage::Fetching { until_us, .. } => {
                if turn.now_us < *until_us {
                    return Outcome::GoingOn;
                }
                self.failed("the tracker does not answer".into(), turn)
            }
            Stage::Exchanging(exchange) => {
                if turn.now_us < exchange.due_us() {
                    return Outcome::GoingOn;
                }
                let was_slow = exchange.is_slow();
                match exchange.overdue(self.connection, turn) {
                    Ok(()) => {
                        if !was_slow {
                            self.complain("the tracker does not answer yet".to_owned(), false);
                        }
                        Outcome::GoingOn
                    }
                    Err(why) => self.failed(why, turn),
                }
            }
        }
    }

    /// The host fetched a URL. `None` if it was not this tracker's.
    pub(crate) fn fetched(
        &mut self,
        ticket: u64,
        reply: discovery::Reply<'_>,
        turn: &mut Turn<'_>,
    ) -> Option<Outcome> {
        let flight = self.flight.as_ref()?;
        let purpose = flight.purpose;
        if !matches!(flight.stage, Stage::Fetching { ticket: ours, .. } if ours == ticket) {
            return None;
        }
        let reply = match (reply, purpose) {
            (discovery::Reply::Unreachable(why), _) => Err(why.into()),
            (discovery::Reply::Answered(status, body), Purpose::Announce(_)) => {
                http::reply(status, body)
            }
            (discovery::Reply::Answered(status, body), Purpose::Scrape) => {
                scrape::reply(status, body, &turn.identity.info_hash)
            }
        };
        Some(self.ended(purpose, reply, turn))
    }

    /// The host looked a name up. `None` if it was not this tracker's.
    pub(crate) fn resolved(
        &mut self,
        ticket: u64,
        addrs: &[Addr],
        problem: &str,
        turn: &mut Turn<'_>,
    ) -> Option<Outcome> {
        let flight = self.flight.as_ref()?;
        let purpose = flight.purpose;
        if !matches!(flight.stage, Stage::Resolving { ticket: ours, .. } if ours == ticket) {
            return None;
        }
        let ours = |addr: &&Addr| self.family.is_none_or(|f| f.number() == addr.family);
        let found: Vec<Addr> = addrs.iter().filter(ours).copied().collect();
        if !found.is_empty() {
            self.addrs = found;
            // `localhost` is two addresses, and most trackers listen on IPv4.
            self.addrs.sort_by_key(|addr| addr.family);
        }
        Some(self.exchange(purpose, problem, turn))
    }

    /// A datagram arrived. `None` if it was not from this tracker.
    pub(crate) fn received(
        &mut self,
        from: Addr,
        bytes: &[u8],
        turn: &mut Turn<'_>,
    ) -> Option<Outcome> {
        let flight = self.flight.as_mut()?;
        let purpose = flight.purpose;
        let Stage::Exchanging(exchange) = &mut flight.stage else {
            return None;
        };
        match exchange.received(from, bytes, &mut self.connection, turn) {
            Heard::NotOurs => None,
            Heard::GoingOn => Some(Outcome::GoingOn),
            Heard::Ended(reply) => Some(self.ended(purpose, reply, turn)),
        }
    }

    const fn next_event(&self) -> Event {
        match (self.knows_us, self.owes_completed) {
            (false, _) => Event::Started,
            (true, true) => Event::Completed,
            (true, false) => Event::None,
        }
    }

    fn begin(&mut self, purpose: Purpose, turn: &mut Turn<'_>) {
        self.owes_port = false;
        let until_us = turn.after_s(HOST_S_MAX);
        match &self.endpoint {
            Endpoint::Http { .. } => {
                let url = match purpose {
                    Purpose::Announce(event) => Some(http::url(
                        &self.url,
                        &turn.announce(event, &self.tracker_id, self.family()),
                    )),
                    Purpose::Scrape => scrape::url(&self.url, &turn.identity.info_hash),
                };
                let Some(url) = url else {
                    self.failed("by its URL the tracker cannot be scraped".into(), turn);
                    return;
                };
                let (ticket, family) = (turn.ticket(), self.family.map(Family::number));
                turn.wishes.push(Wish::HttpGet { ticket, url: url.into(), family });
                let stage = Stage::Fetching { ticket, until_us };
                self.flight = Some(Flight { purpose, stage });
            }
            Endpoint::Udp { host, port, .. } => {
                let leaving = purpose == Purpose::Announce(Event::Stopped);
                if let Ok(ip) = host.parse::<IpAddr>() {
                    self.addrs = vec![SocketAddr::new(ip, *port).into()];
                    self.exchange(purpose, "", turn);
                } else if leaving && !self.addrs.is_empty() {
                    // There is no time to look a name up again.
                    self.exchange(purpose, "", turn);
                } else {
                    let ticket = turn.ticket();
                    turn.wishes.push(Wish::Resolve { ticket, host: host.into(), port: *port });
                    let stage = Stage::Resolving { ticket, until_us };
                    self.flight = Some(Flight { purpose, stage });
                }
            }
        }
    }

    fn exchange(&mut self, purpose: Purpose, problem: &str, turn: &mut Turn<'_>) -> Outcome {
        let path = match &self.endpoint {
            Endpoint::Udp { path, .. } => path.as_str(),
            Endpoint::Http { .. } => "",
        };
        match Exchange::begun(self.addrs.clone(), path, self.connection, purpose, turn) {
            Some(exchange) => {
                self.flight = Some(Flight { purpose, stage: Stage::Exchanging(exchange) });
                Outcome::GoingOn
            }
            None if !problem.is_empty() => self.failed(problem.into(), turn),
            None => {
                let which = match self.family {
                    None => "",
                    Some(Family::V4) => "IPv4 ",
                    Some(Family::V6) => "IPv6 ",
                };
                self.failed(format!("the tracker's name has no {which}address").into(), turn)
            }
        }
    }

    fn ended(
        &mut self,
        purpose: Purpose,
        reply: Result<Reply, Failure>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let outcome = match (reply, purpose) {
            (Ok(reply), Purpose::Announce(event)) => self.answered(event, reply, turn),
            (Ok(reply), Purpose::Scrape) => {
                self.flight = None;
                self.tell(&reply, 0, turn);
                Outcome::Answered
            }
            (Err(why), _) => self.failed(why, turn),
        };
        if self.leaving_us.is_some() {
            self.say_good_bye(turn);
        }
        outcome
    }

    /// Whatever is under way is forgotten.
    fn say_good_bye(&mut self, turn: &mut Turn<'_>) {
        (self.flight, self.leaving_us) = (None, None);
        if self.knows_us {
            self.begin(Purpose::Announce(Event::Stopped), turn);
        }
    }

    fn answered(&mut self, event: Event, mut reply: Reply, turn: &mut Turn<'_>) -> Outcome {
        self.flight = None;
        self.failures = 0;
        self.paused_until_us = 0;
        self.knows_us = event != Event::Stopped;
        self.owes_completed &= event != Event::Completed;
        let interval_s = reply.interval_s.unwrap_or(INTERVAL_S);
        let interval_s = interval_s.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
        let spared_s = reply.interval_s_min.unwrap_or_else(|| interval_s.min(HUNGRY_S_MIN));
        let spared_s = spared_s.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
        let interval_s = interval_s.max(spared_s).unsigned_abs();
        self.spared_until_us = turn.after_s(spared_s.unsigned_abs());
        self.regular_us = turn.after_s(interval_s);
        if !reply.tracker_id.is_empty() {
            self.tracker_id = std::mem::take(&mut reply.tracker_id);
        }
        match reply.warning.take() {
            Some(warning) => self.complain(warning, true),
            None => self.said = None,
        }
        if event != Event::Stopped {
            reply.forget_us(turn.identity.port_over(self.family()));
            self.tell(&reply, interval_s, turn);
        }
        Outcome::Answered
    }

    fn tell(&self, reply: &Reply, interval_s: u64, turn: &mut Turn<'_>) {
        let source = self.url.as_str();
        let &Reply { seeds, leeches, downloads, .. } = reply;
        turn.wishes.push(Wish::Heard {
            source: source.into(),
            seeds,
            leeches,
            downloads,
            interval_s: u32::try_from(interval_s).unwrap_or(u32::MAX),
        });
        if !reply.peers.is_empty() {
            let addrs = reply.peers.as_slice().into();
            turn.wishes.push(Wish::Found { source: source.into(), addrs });
        }
    }

    fn failed(&mut self, failure: Failure, turn: &Turn<'_>) -> Outcome {
        self.flight = None;
        self.connection = None;
        self.owes_completed &= self.knows_us;
        self.pause(turn);
        match failure.retry {
            None => {}
            Some(Retry::Never) => self.paused_until_us = u64::MAX,
            Some(Retry::AfterMinutes(minutes)) => {
                let asked_us = turn.after_s(minutes.min(RETRY_MINUTES_MAX) * 60);
                self.paused_until_us = self.paused_until_us.max(asked_us);
            }
        }
        self.complain(failure.why, false);
        Outcome::Failed
    }

    fn pause(&mut self, turn: &Turn<'_>) {
        let pause_s = PAUSE_S.checked_shl(self.failures).unwrap_or(PAUSE_S_MAX).min(PAUSE_S_MAX);
        self.failures = self.failures.saturating_add(1).min(u64::BITS - 1);
        self.paused_until_us = turn.after_s(pause_s);
    }

    fn complain(&mut self, text: String, is_its_own: bool) {
        if self.said.as_ref() != Some(&text) {
            self.said = Some(text.clone());
            self.complaint = Some(Complaint { text, is_its_own });
        }
    }
}

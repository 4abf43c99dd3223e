//! The tracker guest: asks the torrent's UDP (BEP 15, 41) and HTTP (BEP 3, 7, 23, 24, 31)
//! trackers, as one of the swarm, or only for its counts (BEP 48).
//!
//! A pure guest: facts in, wishes out; the host looks names up, fetches URLs and sends
//! datagrams. Reading order: `tiers` decides whom to ask when, `tracker` is one tracker with
//! the announce that is under way, `udp`, `http` and `scrape` are the languages.

mod announce;
mod http;
mod scrape;
#[cfg(test)]
mod scripted;
mod tiers;
mod tracker;
mod turn;
mod udp;
mod url;

use announce::Identity;
use rtor_plugin::discovery::{Answer, Discovery, Fact, Totals, Tracker as Listed, Wish, Wishes};
use rtor_plugin::{HostHandle, Level, Options, SecretChance, export_plugin};
use std::collections::BTreeSet;
use tiers::{TRACKERS_MAX, Tiers, Usable};
use turn::Turn;
use url::Endpoint;

/// How long trackers get to hear that we leave; the host waits little longer.
const GOODBYE_US: u64 = 1_500_000;
/// How long a scrape may take: over UDP a second datagram, if the first was lost, and its answer.
const SCRAPE_US: u64 = 20_000_000;

/// The discovery guest `tracker`.
#[derive(Default)]
pub struct Trackers {
    run: Option<Run>,
}

/// A download under way.
struct Run {
    identity: Identity,
    totals: Totals,
    chance: SecretChance,
    tickets: u64,
    tiers: Tiers,
    leaving: Leaving,
}

/// Whether this comes to an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// Trackers are told, or scraped, until then.
    Until(u64),
    Done,
}

impl Discovery for Trackers {
    const ID: &'static str = "tracker";
    const ABOUT: &'static str = "asks the torrent's UDP and HTTP trackers";
    const ON_PRIVATE: bool = true;

    fn create(_host: HostHandle, options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self::default())
    }

    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        match fact {
            Fact::Started { .. } => self.run = Run::started(now_us, fact, wishes),
            Fact::Scrape { .. } => self.run = Run::scraping(now_us, fact, wishes),
            _ => {}
        }
        match &mut self.run {
            Some(run) => run.handle(now_us, fact, wishes),
            // Without a start there is nobody to say good-bye to, and nobody to wait for.
            None if matches!(fact, Fact::Stopped(_) | Fact::Scrape { .. }) => {
                wishes.push(Wish::Finished);
                Answer::Mine
            }
            None => Answer::Declined,
        }
    }

    fn deadline(&self) -> Option<u64> {
        let run = self.run.as_ref()?;
        match run.leaving {
            Leaving::No => run.tiers.deadline(),
            Leaving::Until(us) => Some(run.tiers.deadline().map_or(us, |tiers| tiers.min(us))),
            Leaving::Done => None,
        }
    }
}

impl Run {
    /// `None`, and a report, if the host's start makes no sense.
    fn started(now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Option<Self> {
        let Fact::Started { info_hash, peer_id, trackers, seed, port, totals, .. } = fact else {
            return None;
        };
        // A v2 hash is cut to 20 bytes for trackers (BEP 52).
        let (Some(&info_hash), Ok(peer_id)) = (info_hash.first_chunk(), (*peer_id).try_into())
        else {
            wrong_length(wishes);
            return None;
        };
        let mut chance = SecretChance::new(*seed);
        let identity =
            Identity { info_hash, peer_id, key: chance.word(), port: *port, mapped: None };
        let mut run = Self::of(identity, *totals, chance);
        let (tiers, mut turn) = run.turn(now_us, wishes);
        let usable = usable(trackers, &mut turn);
        *tiers = Tiers::new(usable, &mut turn);
        Some(run)
    }

    /// `None`, and a report, if what the host asks makes no sense.
    fn scraping(now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Option<Self> {
        let Fact::Scrape { info_hash, trackers, seed, .. } = fact else {
            return None;
        };
        let Some(&info_hash) = info_hash.first_chunk() else {
            wrong_length(wishes);
            return None;
        };
        // A scrape says nothing of who asks.
        let identity = Identity { info_hash, peer_id: [0; 20], key: 0, port: 0, mapped: None };
        let mut run = Self::of(identity, Totals::default(), SecretChance::new(*seed));
        run.leaving = Leaving::Until(now_us.saturating_add(SCRAPE_US));
        let (tiers, mut turn) = run.turn(now_us, wishes);
        let usable = usable(trackers, &mut turn);
        *tiers = Tiers::scraped(usable, &mut turn);
        Some(run)
    }

    fn of(identity: Identity, totals: Totals, chance: SecretChance) -> Self {
        let (tiers, leaving) = (Tiers::default(), Leaving::No);
        Self { identity, totals, chance, tickets: 0, tiers, leaving }
    }

    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        if let Fact::Progress(totals) | Fact::Completed(totals) | Fact::Stopped(totals) = fact {
            self.totals = *totals;
        }
        let leaving = self.leaving;
        let (tiers, mut turn) = self.turn(now_us, wishes);
        let turn = &mut turn;
        match *fact {
            Fact::Started { .. } | Fact::Scrape { .. } | Fact::Deadline => {}
            Fact::Progress(_) if leaving == Leaving::No => tiers.hurry(turn),
            Fact::Completed(_) if leaving == Leaving::No => tiers.completed(),
            Fact::Stopped(_) if leaving == Leaving::No => {
                tiers.leave(turn);
                self.leaving = Leaving::Until(now_us.saturating_add(GOODBYE_US));
            }
            Fact::Progress(_) | Fact::Completed(_) | Fact::Stopped(_) => {}
            Fact::Mapped { addr, .. } if leaving == Leaving::No => {
                if turn.identity.port_over(addr.family) != addr.port {
                    tiers.moved(addr.family);
                }
                self.identity.mapped = Some(addr);
            }
            Fact::Mapped { .. } => {}
            Fact::HttpReply { ticket, reply } => {
                tiers.route(turn, |tracker, turn| tracker.fetched(ticket, reply, turn));
            }
            Fact::Resolved { ticket, addrs, problem } => {
                tiers.route(turn, |tracker, turn| tracker.resolved(ticket, addrs, problem, turn));
            }
            Fact::Datagram { from, bytes } => {
                let ours = tiers.route(turn, |tracker, turn| tracker.received(from, bytes, turn));
                if !ours {
                    return Answer::Declined;
                }
            }
            Fact::PeerJoined { .. }
            | Fact::PeerLeft { .. }
            | Fact::Extension { .. }
            | Fact::Node { .. }
            | Fact::State { .. }
            | Fact::Woken => return Answer::Declined,
        }
        self.go_on(now_us, wishes);
        Answer::Mine
    }

    /// What is due by now, and the end of the good-byes.
    fn go_on(&mut self, now_us: u64, wishes: &mut dyn Wishes) {
        let leaving = self.leaving;
        if leaving == Leaving::Done {
            return;
        }
        let (tiers, mut turn) = self.turn(now_us, wishes);
        tiers.tick(&mut turn);
        let over = matches!(leaving, Leaving::Until(us) if now_us >= us);
        if over {
            tiers.give_up(&mut turn);
        }
        if over || leaving != Leaving::No && !tiers.is_busy() {
            self.leaving = Leaving::Done;
            wishes.push(Wish::Finished);
        }
    }

    fn turn<'a>(
        &'a mut self,
        now_us: u64,
        wishes: &'a mut dyn Wishes,
    ) -> (&'a mut Tiers, Turn<'a>) {
        let Self { identity, totals, chance, tickets, tiers, .. } = self;
        (tiers, Turn { now_us, identity, totals: *totals, chance, tickets, wishes })
    }
}

fn wrong_length(wishes: &mut dyn Wishes) {
    let text = "the info hash or the peer id has the wrong length".into();
    wishes.push(Wish::Report { level: Level::Error, subject: "tracker".into(), text });
}

/// The trackers that can be asked, each once; why another one cannot is reported.
fn usable<'a>(listed: &[Listed<'a>], turn: &mut Turn<'_>) -> Vec<Usable<'a>> {
    let mut seen = BTreeSet::new();
    let mut usable = Vec::new();
    for &Listed { url, tier } in listed {
        let url = url.trim();
        if !seen.insert(url) {
            continue;
        }
        match Endpoint::parse(url) {
            Ok(endpoint) if usable.len() < TRACKERS_MAX => {
                usable.push(Usable { tier, url, endpoint });
            }
            Ok(_) => {
                let text = format!("the torrent names more than {TRACKERS_MAX} trackers");
                turn.report(Level::Warning, url, &text);
                break;
            }
            Err(why) => turn.report(Level::Warning, url, &why),
        }
    }
    usable
}

export_plugin!(Discovery: Trackers);

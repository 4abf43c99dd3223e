//! `rtor analyze --swarm`: who is there and what they have, without a byte of the content.

use super::globals::Globals;
use super::network::Network;
use super::progress::Show;
use super::signals::Signals;
use super::swarm::{self, STRATEGY_OF_NOTHING};
use crate::driver::{
    self, Answers, Driver, End, Goal, Learned, Progress, Scrape, Scraped, Seen, Stop, Watch,
};
use crate::engine::{Event, Report};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::manifest::swarm::{Found, Heard, Reached, Swarm};
use crate::table;
use crate::torrent::{Bitfield, piece_list};
use rtor_plugin::Level;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of buffers: nobody sends much.
const MEMORY_MAX: u64 = 64 << 20;
/// How long it looks if the user does not say.
const LOOK: Duration = Duration::from_secs(10);
/// Peers that a table shows; JSON has all.
const PEERS_SHOWN: usize = 20;

/// What a look at a swarm gave.
pub(super) enum Surveyed {
    /// This.
    Swarm(Swarm),
    /// Nothing, and that was the end.
    Ended(Exit),
}

/// Looks at the swarm of a torrent; of a magnet, the metadata is fetched first.
///
/// # Errors
/// If a plugin or the port can't be had.
pub(super) fn run(
    globals: &Globals,
    env: &mut Env,
    manifest: &mut Manifest,
    network: &Network,
) -> Result<Surveyed, Error> {
    let mut signals = Signals::hear()?;
    let most = network.timeout.unwrap_or(LOOK);
    let torrent = manifest.torrent();
    // What can be warned of is said once.
    let quiet = Globals { quiet: true, ..globals.clone() };
    let scrape = swarm::Swarm::make(&quiet, env, torrent, STRATEGY_OF_NOTHING, network)?;
    let setup = swarm::Swarm::make(globals, env, torrent, STRATEGY_OF_NOTHING, network)?;
    let known = torrent.info.clone();
    let content = match &known {
        Some(info) => swarm::everything(info),
        None => swarm::unknown(torrent),
    };
    let setup = setup.only_to_look().for_at_most(most).setup(
        content,
        None,
        MEMORY_MAX,
        Some(Goal::default()),
    )?;
    let mut ears = Ears::new(swarm::shown(globals, env)?);
    let runtime = swarm::runtime()?;
    let stop = &mut signals.heard;
    let seen = runtime.block_on(async {
        let mut driver = Driver::open(setup, &mut ears)?;
        if known.is_none() {
            match driver.learn(stop, &mut ears).await {
                Ok(Learned::Ended(end)) => {
                    driver.finish(end, stop, &mut ears).await?;
                    return Ok(Err(end));
                }
                Err(why) => {
                    driver.finish(End::Stopped, stop, &mut ears).await?;
                    return Err(why.into());
                }
                Ok(Learned::Info(info)) => {
                    driver.begin(None, swarm::everything(&info));
                    manifest.learned(info);
                }
            }
        }
        let ask = scrape.scrape(manifest.torrent(), most)?;
        let (seen, scraped) = looked(&mut driver, ask, most, stop, &mut ears).await;
        ears.scraped(scraped);
        driver.finish(End::Stopped, stop, &mut ears).await?;
        Ok::<_, Error>(seen.ok_or(End::Stopped))
    });
    runtime.shutdown_background();
    ears.show.finish();
    Ok(match seen? {
        Ok(seen) => Surveyed::Swarm(ears.swarm(&seen)),
        Err(End::NothingArrived) => {
            let most = humantime::format_duration(most);
            env.say(&format!("no peer sent the metadata within {most}: --timeout waits longer"));
            Surveyed::Ended(Exit::No)
        }
        Err(_) => {
            env.say("interrupted");
            Surveyed::Ended(Exit::Interrupted)
        }
    })
}

/// Looks at peers and scrapes trackers at the same time. Who stops the look stops both.
async fn looked(
    driver: &mut Driver,
    ask: Scrape,
    most: Duration,
    stop: &mut Stop,
    ears: &mut Ears,
) -> (Option<Seen>, Answers) {
    let mut scrape = std::pin::pin!(driver::scrape(ask));
    let mut scraped = None;
    let seen = {
        let mut look = std::pin::pin!(driver.look(most, stop, ears));
        loop {
            tokio::select! {
                seen = &mut look => break seen,
                found = &mut scrape, if scraped.is_none() => scraped = Some(found),
            }
        }
    };
    let scraped = match (&seen, scraped) {
        (_, Some(scraped)) => scraped,
        (None, None) => Answers::default(),
        (Some(_), None) => tokio::select! {
            scraped = &mut scrape => scraped,
            _ = stop.recv() => Answers::default(),
        },
    };
    (seen, scraped)
}

/// Hears what is told of the swarm, and passes it on.
struct Ears {
    show: Show,
    trackers: BTreeMap<String, Heard>,
    found: BTreeMap<String, usize>,
}

impl Ears {
    const fn new(show: Show) -> Self {
        Self { show, trackers: BTreeMap::new(), found: BTreeMap::new() }
    }

    fn of(&mut self, source: &str) -> &mut Heard {
        self.trackers.entry(source.to_owned()).or_insert_with(|| Heard {
            url: source.to_owned(),
            seeds: None,
            leeches: None,
            downloads: None,
            problem: None,
        })
    }

    /// A scrape says what an announce does not, and counts nobody who only looks.
    fn scraped(&mut self, answers: Answers) {
        let Answers { scraped, broken } = answers;
        for guest in broken {
            let (level, subject) = (Level::Warning, String::new());
            let text = "it broke while it scraped, and is left out".to_owned();
            self.show.told(0.0, &Event::Report { level, guest, subject, text });
        }
        for Scraped { source, seeds, leeches, downloads, problem } in scraped {
            let heard = self.of(&source);
            heard.seeds = seeds.or(heard.seeds);
            heard.leeches = leeches.or(heard.leeches);
            heard.downloads = downloads.or(heard.downloads);
            heard.problem = problem.filter(|_| heard.seeds.is_none());
        }
    }

    fn swarm(self, seen: &Seen) -> Swarm {
        let Seen { report, availability } = seen;
        let least = availability.iter().copied().min().unwrap_or(0);
        let mut rarest = Bitfield::new(availability.len());
        for (piece, holders) in availability.iter().enumerate() {
            if *holders == least {
                rarest.insert(piece);
            }
        }
        let rarest_count = rarest.count();
        let more = (availability.len() - rarest_count) as f64 / availability.len().max(1) as f64;
        let of = availability.len();
        let found = self.found.into_iter();
        Swarm {
            trackers: self.trackers.into_values().collect(),
            found: found.map(|(by, peers)| Found { by, peers }).collect(),
            seeds: report.peers.iter().filter(|peer| peer.pieces == of).count(),
            peers: peers(report, of),
            distributed_copies: f64::from(least) + more,
            rarest_availability: least,
            rarest_count,
            rarest_pieces: piece_list::format(&rarest),
        }
    }
}

impl Watch for Ears {
    fn told(&mut self, seconds: f64, event: &Event) {
        match event {
            Event::Heard { source, seeds, leeches, downloads, .. } => {
                let heard = self.of(source);
                heard.seeds = seeds.or(heard.seeds);
                heard.leeches = leeches.or(heard.leeches);
                heard.downloads = downloads.or(heard.downloads);
            }
            Event::Found { guest, new, .. } => {
                *self.found.entry(guest.clone()).or_default() += new;
            }
            _ => {}
        }
        self.show.told(seconds, event);
    }

    fn progressed(&mut self, progress: &Progress) {
        self.show.progressed(progress);
    }
}

fn peers(report: &Report, of: usize) -> Vec<Reached> {
    let peer = |peer: &crate::engine::PeerReport| Reached {
        addr: peer.addr.to_string(),
        client: peer.client.clone(),
        source: peer.found_by.first().cloned().unwrap_or_default(),
        found_by: peer.found_by.clone(),
        pieces: peer.pieces,
        percent: peer.pieces as f64 * 100.0 / of.max(1) as f64,
    };
    report.peers.iter().map(peer).collect()
}

/// For people.
pub(super) fn described(swarm: &Swarm, width: usize) -> String {
    let found = swarm.found.iter().map(|found| format!("{} by {}", found.peers, found.by));
    let facts = [
        (
            "reached",
            format!(
                "{} of {}",
                table::counted(swarm.seeds, "seed"),
                table::counted(swarm.peers.len(), "peer")
            ),
        ),
        ("found", found.collect::<Vec<_>>().join(", ")),
        ("copies", format!("{:.3}", swarm.distributed_copies)),
        (
            "rarest",
            format!(
                "{} at {}: {}",
                table::counted(swarm.rarest_count, "piece"),
                table::counted(usize::from(swarm.rarest_availability), "peer"),
                swarm.rarest_pieces
            ),
        ),
    ];
    let mut text = table::facts(width, facts);
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
    if !swarm.trackers.is_empty() {
        let rows = swarm.trackers.iter().map(|heard| {
            let Heard { url, seeds, leeches, downloads, problem } = heard;
            let problem = problem.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let tracker = format!("{url}{problem}");
            vec![count(*seeds), count(*leeches), count(*downloads), tracker]
        });
        text.push('\n');
        let heads = ["seeds", "leeches", "downloads", "tracker"];
        text.push_str(&table::list(width, &heads, &[0, 1, 2], rows));
    }
    if !swarm.peers.is_empty() {
        let rows = swarm.peers.iter().take(PEERS_SHOWN).map(|peer| {
            let client = peer.client.clone().unwrap_or_else(|| "?".to_owned());
            vec![
                format!("{:.1} %", peer.percent),
                peer.found_by.join(", "),
                client,
                peer.addr.clone(),
            ]
        });
        text.push('\n');
        text.push_str(&table::list(width, &["has", "found by", "client", "peer"], &[0], rows));
        let more = swarm.peers.len().saturating_sub(PEERS_SHOWN);
        if more > 0 {
            text.push_str(&format!("    and {more} more\n"));
        }
    }
    text
}

//! `rtor sim SCENARIO`: a swarm on virtual time, with the same engine and the same plugins.

use super::globals::{Form, Globals};
use crate::disk::{DiskError, named_file};
use crate::engine::Guest;
use crate::engine::picker::Rank;
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::host::{HostError, Registry};
use crate::manifest::scenario::{self, Role, Scenario};
use crate::manifest::sim as document;
use crate::sim::{
    self, End, Figures, Going, Leaves, Link, Manner, NodeId, Outcome, Plan, TrackerPlan,
};
use crate::table;
use rtor_plugin::{Level, Services};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

/// Play a swarm of simulated peers, described in a file, on virtual time
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "A scenario is a TOML or JSON file: docs/SIM.md says what stands in it, \
    and scenarios/ has some. The same scenario, seed and plugins print the same bytes. \
    Exit 0: everybody who should have everything has it; 1: somebody has not.")]
pub struct Args {
    /// The scenario, TOML or JSON; `-`: stdin
    #[arg(value_name = "SCENARIO")]
    scenario: OsString,
    /// The order of pieces for all leeches, instead of the scenario's
    #[arg(long, value_name = "NAME[:key=value,..]")]
    strategy: Option<String>,
    /// Draw everything from this number instead of the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// If the scenario is none, or names a strategy that there is not.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let named = Path::new(&args.scenario);
    let scenario = read(named, env)?;
    let plan = plan(args, &scenario);
    let registry = super::swarm::registry(globals, env)?;
    let services: Arc<dyn Services> = Arc::new(Quiet);
    // Whether every strategy is there is asked before the play begins.
    for group in &plan.groups {
        registry.ranker(&group.strategy, Arc::clone(&services))?;
    }
    let discover = &scenario.swarm.discover;
    guests(discover, &registry, &services)?;
    let outcome = play(&plan, discover, &registry, &services);
    let name = scenario.name.unwrap_or_else(|| {
        let stem = named.file_stem().unwrap_or(&args.scenario);
        stem.to_string_lossy().into_owned()
    });
    let result = written(name, &plan, &outcome);
    match globals.form(env) {
        Form::Json => env.write(&result.to_bytes())?,
        Form::Table => env.write(show(env.width(), &result).as_bytes())?,
    }
    if result.complete {
        return Ok(Exit::Done);
    }
    if !globals.quiet {
        env.say(&shortfall(&result));
    }
    Ok(Exit::No)
}

fn read(named: &Path, env: &mut Env) -> Result<Scenario, Error> {
    let most = scenario::SCENARIO_BYTES_MAX;
    let bytes = match named.to_str() {
        Some("-") => env.read_stdin(most)?,
        _ => named_file::read(&env.path(named), most).map_err(|why| match why {
            DiskError::Absent(_) => Error::input(format!("no file `{}`", named.display())),
            why => why.into(),
        })?,
    };
    let shown = named.display();
    if bytes.len() as u64 > most {
        return Err(Error::input(format!("`{shown}` has more than {most} bytes")));
    }
    Scenario::parse(&bytes).map_err(|why| {
        Error::input(format!("`{shown}` is no scenario: {why}"))
            .hint("docs/SIM.md says what a scenario is")
    })
}

fn plan(args: &Args, scenario: &Scenario) -> Plan {
    Plan {
        seed: args.seed.unwrap_or(scenario.seed),
        pieces: scenario.torrent.pieces.0 as u32,
        piece_length: scenario.torrent.piece_length.0 as u32,
        limit_us: scenario.run.limit.0,
        idle_us: scenario.run.idle.0,
        connections: scenario.swarm.connections.0 as usize,
        tracker: TrackerPlan {
            told: scenario.swarm.told.0 as usize,
            every_us: scenario.swarm.announce.0,
        },
        has_guests: !scenario.swarm.discover.is_empty(),
        groups: scenario.groups.iter().map(|g| group(g, args.strategy.as_deref())).collect(),
    }
}

fn group(group: &scenario::Group, strategy: Option<&str>) -> sim::Group {
    let is_seed = group.role == Role::Seed;
    sim::Group {
        name: group.name.clone(),
        count: group.count.0 as u32,
        have_ppm: if is_seed { sim::ALWAYS } else { group.have.0 },
        link: Link {
            up: group.up.0,
            down: group.down.0,
            latency_us: group.latency.0,
            loss_ppm: group.loss.0,
        },
        manner: match group.manner {
            scenario::Manner::Honest => Manner::Honest,
            scenario::Manner::Liar(share) => Manner::Liar(share.0),
            scenario::Manner::Staller(blocks) => Manner::Staller(blocks.0),
            scenario::Manner::FreeRider => Manner::FreeRider,
            scenario::Manner::SuperSeed => Manner::SuperSeed,
        },
        strategy: strategy.filter(|_| !is_seed).unwrap_or(&group.strategy).to_owned(),
        joins_us: (group.joins.first, group.joins.last),
        leaves: match (group.churn, group.leaves) {
            (Some(churn), _) => Leaves::Churn { stays_us: churn.stays.0, away_us: churn.away.0 },
            (None, scenario::Leaves::Never) => Leaves::Never,
            (None, scenario::Leaves::After(us)) => Leaves::After(us),
            (None, scenario::Leaves::Complete(us)) => Leaves::Complete(us),
        },
        going: if group.vanishes { Going::Vanishing } else { Going::Closing },
    }
}

fn play(
    plan: &Plan,
    discover: &[String],
    registry: &Registry,
    services: &Arc<dyn Services>,
) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut rank_of = |group: usize| -> Box<dyn Rank> {
        let strategy = &plan.groups[group].strategy;
        let ranker = registry.ranker(strategy, Arc::clone(services));
        Box::new(ranker.expect("it could be made a moment ago"))
    };
    let mut guests_of =
        || guests(discover, registry, services).expect("they could be made a moment ago");
    sim::run(plan, cores.min(plan.threads_max()), &mut rank_of, &mut guests_of)
}

/// The guests of one node; the first two nodes of all are where the DHT begins.
fn guests(
    discover: &[String],
    registry: &Registry,
    services: &Arc<dyn Services>,
) -> Result<Vec<Guest>, HostError> {
    if discover.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = [NodeId(0), NodeId(1)].map(|node| node.addr().to_string());
    let more = BTreeMap::from([("dht", format!("bootstrap={}", nodes.join("+")))]);
    let guests = registry.discoveries(discover, &[], false, &more, &|_| Arc::clone(services))?;
    let guests = guests.into_iter();
    Ok(guests.map(|g| Guest { id: g.id.to_owned(), instance: g.instance, state: None }).collect())
}

/// What plugins say is not part of the play: thousands of instances would all say it.
struct Quiet;

impl Services for Quiet {
    fn log(&self, _level: Level, _text: &str) {}
}

fn written(name: String, plan: &Plan, outcome: &Outcome) -> document::Sim {
    let all = outcome.groups.iter().flat_map(|group| &group.nodes);
    let total = Figures::of(all);
    let uploaded = total.moved.uploaded_bytes;
    let mut honest_banned = 0;
    let mut found = BTreeMap::<String, u64>::new();
    for (guest, count) in outcome.groups.iter().flat_map(|group| &group.found) {
        *found.entry(guest.clone()).or_default() += count;
    }
    let groups: Vec<document::Group> = plan
        .groups
        .iter()
        .zip(&outcome.groups)
        .map(|(group, came)| {
            let figures = Figures::of(came.nodes.iter());
            let lies = matches!(group.manner, Manner::Liar(_));
            let wronged = if lies { 0 } else { figures.banned };
            honest_banned += wronged;
            document::Group {
                name: group.name.clone(),
                strategy: group.strategy.clone(),
                figures: shown(&figures, wronged, uploaded, came.found.clone()),
            }
        })
        .collect();
    document::Sim {
        scenario: name,
        seed: plan.seed,
        complete: outcome.end == End::Complete,
        ended: match outcome.end {
            End::Complete => "complete",
            End::Limit => "limit",
            End::Idle => "idle",
        },
        seconds: seconds(outcome.at.0),
        ideal_seconds: seconds(outcome.ideal_us),
        pieces_nowhere: outcome.pieces_nowhere,
        total: shown(&total, honest_banned, uploaded, found),
        groups,
    }
}

fn shown(
    figures: &Figures,
    honest_banned: usize,
    all_uploaded: u64,
    peers_found: BTreeMap<String, u64>,
) -> document::Figures {
    let moved = &figures.moved;
    let spread = |spread: sim::Spread, unit_us: u64| document::Spread {
        first: spread.first as f64 / unit_us as f64,
        median: spread.median as f64 / unit_us as f64,
        last: spread.last as f64 / unit_us as f64,
    };
    let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    // Four places of a percent: the rest is noise.
    let rounded = |share: f64| (share * 1e6).round() / 1e6;
    document::Figures {
        nodes: figures.count,
        awaited: figures.awaited,
        awaited_completed: figures.awaited_completed,
        completed: figures.completed,
        completion_seconds: figures.completion_us.map(|s| spread(s, 1_000_000)),
        t_99_to_100_ms: figures.t_99_to_100_us.map(|s| spread(s, 1_000)),
        downloaded_bytes: moved.downloaded_bytes,
        uploaded_bytes: moved.uploaded_bytes,
        upload_share: rounded(ratio(moved.uploaded_bytes, all_uploaded)),
        duplicate_bytes: moved.duplicate_bytes,
        duplicate_percent: rounded(ratio(moved.duplicate_bytes, moved.downloaded_bytes)) * 100.0,
        wasted_bytes: moved.wasted_bytes,
        hash_failures: moved.hash_failures,
        banned: figures.banned,
        honest_banned,
        broke_protocol: figures.faulty,
        peers_found,
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn shortfall(result: &document::Sim) -> String {
    let document::Figures { awaited, awaited_completed, .. } = result.total;
    let short = awaited - awaited_completed;
    let why = match result.ended {
        "idle" => "nobody got anything any more",
        _ => "the time was over",
    };
    let nowhere = match result.pieces_nowhere {
        0 => String::new(),
        pieces => format!("; {pieces} pieces are nowhere in the swarm"),
    };
    format!("{short} of {awaited} did not complete: {why}{nowhere}")
}

fn show(width: usize, result: &document::Sim) -> String {
    let header = [
        "group", "strategy", "nodes", "done", "median", "last", "99-100 %", "up", "twice",
        "wasted", "banned",
    ];
    let all = std::iter::once(("all", "", &result.total));
    let groups = result.groups.iter().map(|g| (g.name.as_str(), g.strategy.as_str(), &g.figures));
    let rows = groups.chain(all).map(|(name, strategy, f)| {
        let time = |s: Option<f64>| s.map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        vec![
            name.to_owned(),
            strategy.to_owned(),
            f.nodes.to_string(),
            format!("{}/{}", f.awaited_completed, f.awaited),
            time(f.completion_seconds.map(|s| s.median)),
            time(f.completion_seconds.map(|s| s.last)),
            time(f.t_99_to_100_ms.map(|s| s.median / 1e3)),
            format!("{:.1} %", f.upload_share * 100.0),
            format!("{:.2} %", f.duplicate_percent),
            table::size(f.wasted_bytes),
            f.banned.to_string(),
        ]
    });
    let numbers: Vec<usize> = (2..header.len()).collect();
    let mut text = table::list(width, &header, &numbers, rows);
    let ideal = result.seconds / result.ideal_seconds.max(1e-6);
    text.push_str(&format!(
        "\n{:.1} s of virtual time, {ideal:.2} times the least possible; seed {}\n",
        result.seconds, result.seed
    ));
    let wronged = result.total.honest_banned;
    if wronged > 0 {
        text.push_str(&format!("{wronged} honest nodes were banned\n"));
    }
    text
}

//! Swarms on several threads: what comes of them is the same, to the microsecond and the byte.

use super::Order;
use rtor::engine::picker::Rank;
use rtor::engine::time::SECOND_US;
use rtor::engine::{Guest, Time};
use rtor::host::{Places, Registry};
use rtor::sim::{
    ALWAYS, End, Going, Group, Leaves, Link, Manner, NodeId, Outcome, Plan, TrackerPlan, World,
    run, torrent_of,
};
use rtor::torrent::Bitfield;
use rtor_plugin::strategy::Swarm;
use rtor_plugin::{Level, Services};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What guests have to say is not looked at.
struct Quiet;

impl Services for Quiet {
    fn log(&self, _: Level, _: &str) {}
}

const HOME: Link = Link { up: 500_000, down: 2_000_000, latency_us: 20_000, loss_ppm: 0 };

fn leeches(name: &str, count: u32, link: Link) -> Group {
    Group {
        name: name.to_owned(),
        count,
        have_ppm: 0,
        link,
        manner: Manner::Honest,
        strategy: "rarest".to_owned(),
        joins_us: (0, 3 * SECOND_US),
        leaves: Leaves::Never,
        going: Going::Closing,
    }
}

fn seeds(name: &str, count: u32, link: Link) -> Group {
    Group { have_ppm: ALWAYS, ..leeches(name, count, link) }
}

fn plan(seed: u64, groups: Vec<Group>) -> Plan {
    Plan {
        seed,
        pieces: 40,
        piece_length: 64 << 10,
        limit_us: 600 * SECOND_US,
        idle_us: 60 * SECOND_US,
        connections: 20,
        tracker: TrackerPlan { told: 10, every_us: 20 * SECOND_US },
        has_guests: false,
        groups,
    }
}

fn played(plan: &Plan, threads: usize) -> Outcome {
    let registry = Registry::open(&Places::BUNDLED).expect("the bundled plugins");
    let services: Arc<dyn Services> = Arc::new(Quiet);
    let bootstrap = BTreeMap::from([("dht", format!("bootstrap={}", NodeId(0).addr()))]);
    let mut guests_of = || -> Vec<Guest> {
        if !plan.has_guests {
            return Vec::new();
        }
        let made = registry.discoveries(&[], &[], false, &bootstrap, &|_| Arc::clone(&services));
        let guests = made.expect("the bundled guests").into_iter();
        guests.map(|g| Guest { id: g.id.to_owned(), instance: g.instance, state: None }).collect()
    };
    run(plan, threads, &mut |_| Box::new(Order::Rarest), &mut guests_of)
}

/// Plays `groups` on one, two and three threads; what came of it.
fn played_alike(groups: &[Group]) -> Vec<Outcome> {
    alike(|seed| plan(seed, groups.to_vec()))
}

fn alike(plan_of: impl Fn(u64) -> Plan) -> Vec<Outcome> {
    let play = |seed| {
        let plan = plan_of(seed);
        let one = played(&plan, 1);
        for threads in [2, 3] {
            assert_eq!(played(&plan, threads), one, "seed {seed} on {threads} threads");
        }
        one
    };
    [1, 2].map(play).into()
}

fn moved_bytes(outcome: &Outcome, group: usize) -> u64 {
    outcome.groups[group].nodes.iter().map(|node| node.moved.uploaded_bytes).sum()
}

#[test]
fn honest_peers_on_any_number_of_threads() {
    let plays = played_alike(&[seeds("seed", 1, HOME), leeches("home", 19, HOME)]);
    assert_ne!(plays[0], plays[1], "another seed is another swarm");
    assert!(plays.iter().all(|play| moved_bytes(play, 1) > 0));
}

#[test]
fn loss_and_unequal_latencies_on_any_number_of_threads() {
    let lossy = Link { loss_ppm: 10_000, latency_us: 70_000, ..HOME };
    let near = Link { latency_us: 1_000, up: 2_000_000, ..HOME };
    let groups = [seeds("seed", 2, near), leeches("lossy", 8, lossy), leeches("home", 7, HOME)];
    played_alike(&groups);
}

#[test]
fn no_latency_at_all_on_any_number_of_threads() {
    let here = Link { latency_us: 0, ..HOME };
    played_alike(&[seeds("seed", 1, here), leeches("home", 4, here)]);
}

#[test]
fn liars_and_stallers_on_any_number_of_threads() {
    let liars = Group { manner: Manner::Liar(300_000), ..seeds("liars", 2, HOME) };
    let stallers = Group { manner: Manner::Staller(20), ..seeds("stallers", 2, HOME) };
    let plays = played_alike(&[seeds("seed", 1, HOME), liars, stallers, leeches("home", 9, HOME)]);
    for play in plays {
        assert!(play.groups[1].nodes.iter().any(|node| node.banned > 0), "{play:?}");
        assert!(play.groups[0].nodes.iter().all(|node| node.banned == 0), "{play:?}");
    }
}

#[test]
fn who_comes_and_goes_on_any_number_of_threads() {
    let churn = Leaves::Churn { stays_us: 8 * SECOND_US, away_us: 2 * SECOND_US };
    let lossy = Link { loss_ppm: 5_000, ..HOME };
    let silent = Group { leaves: churn, going: Going::Vanishing, ..leeches("silent", 6, lossy) };
    let polite = Group { leaves: churn, ..leeches("polite", 6, HOME) };
    let gone = Group { leaves: Leaves::Complete(0), ..leeches("gone", 4, HOME) };
    let riders = Group { manner: Manner::FreeRider, ..leeches("riders", 2, HOME) };
    let brief = Group { leaves: Leaves::After(5 * SECOND_US), ..seeds("brief", 1, HOME) };
    played_alike(&[seeds("seed", 1, HOME), silent, polite, gone, riders, brief]);
}

#[test]
fn discovery_guests_on_any_number_of_threads() {
    let churn = Leaves::Churn { stays_us: 8 * SECOND_US, away_us: 2 * SECOND_US };
    let lossy = Link { loss_ppm: 5_000, ..HOME };
    let groups = [
        seeds("seed", 2, HOME),
        leeches("home", 10, HOME),
        Group { leaves: churn, ..leeches("restless", 6, lossy) },
    ];
    let plays = alike(|seed| Plan { has_guests: true, ..plan(seed, groups.to_vec()) });
    for play in plays {
        assert_eq!(play.end, End::Complete);
        let found = |guest: &str| {
            play.groups.iter().map(|g| g.found.get(guest).copied().unwrap_or(0)).sum::<u64>()
        };
        assert!(found("tracker") + found("dht") + found("lsd") > 0, "{play:?}");
    }
}

/// An order that breaks when it is first asked for.
struct Broken;

impl Rank for Broken {
    fn epoch(&mut self, _swarm: &Swarm<'_>) -> u64 {
        0
    }

    fn rank(&mut self, _swarm: &Swarm<'_>, _pieces: &[u32], _keys: &mut [u64]) {
        panic!("this order is broken");
    }
}

#[test]
#[should_panic(expected = "this order is broken")]
fn what_breaks_on_another_thread_breaks_the_run() {
    let mut world = World::on_threads(torrent_of(4, 64 << 10), 1, 2);
    let all = Bitfield::full(4);
    let seed = world.node(HOME, Manner::Honest, all, Box::new(Order::Rarest), Vec::new());
    let none = Bitfield::new(4);
    let leech = world.node(HOME, Manner::Honest, none, Box::new(Broken), Vec::new());
    world.introduce(leech, seed);
    world.run_until(Time(60 * SECOND_US), |_| false);
}

//! The node among thousands, on virtual time: whether a lookup finds who was announced, and what
//! it costs.

mod swarm;

use crate::id::NodeId;
use swarm::Swarm;

/// The seed of all that is drawn; a failure says it.
const SEED: u64 = 20_260_301;
/// The port of whoever is announced.
const PORT: u16 = 4711;

/// What many lookups came to.
#[derive(Debug)]
struct Figures {
    found_percent: f64,
    /// Medians: nodes asked until the peer was found, and in all; and the time in all.
    asked_until_found: u32,
    asked: u32,
    took_ms: u64,
}

/// Announces `torrents` from as many nodes, and looks each up from `searchers` others.
fn figures(swarm: &mut Swarm, torrents: usize, searchers: usize) -> Figures {
    let (mut until_found, mut asked, mut took, mut found) = (vec![], vec![], vec![], 0);
    for _ in 0..torrents {
        let info_hash = NodeId::drawn(&mut swarm.chance);
        let owner = swarm.somebody();
        let mut peer = swarm.addr(owner);
        peer.set_port(PORT);
        swarm.lookup(owner, info_hash, Some(PORT));
        for _ in 0..searchers {
            let searcher = swarm.somebody();
            let outcome = swarm.lookup(searcher, info_hash, None);
            let hit = outcome.found.iter().find(|(addr, _)| *addr == peer);
            until_found.extend(hit.map(|(_, asked)| *asked));
            found += usize::from(hit.is_some());
            asked.push(outcome.asked);
            took.push(outcome.took_us);
        }
    }
    let median = |figures: &mut Vec<u32>| {
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    took.sort_unstable();
    Figures {
        found_percent: 100.0 * found as f64 / (torrents * searchers) as f64,
        asked_until_found: median(&mut until_found),
        asked: median(&mut asked),
        took_ms: took[took.len() / 2] / 1000,
    }
}

#[test]
fn of_ten_thousand_nodes_a_lookup_asks_twenty_and_finds_who_was_announced() {
    let mut swarm = Swarm::new(SEED, 10_000, 0, 0);
    let figures = figures(&mut swarm, 50, 4);
    println!("seed {SEED}: {figures:?}");
    assert!(figures.found_percent >= 99.0, "seed {SEED}: {figures:?}");
    assert!(figures.asked <= 20, "seed {SEED}: {figures:?}");
}

#[test]
fn with_a_fifth_dead_and_a_tenth_liars_it_still_does() {
    let mut swarm = Swarm::new(SEED, 10_000, 20, 10);
    let figures = figures(&mut swarm, 50, 4);
    println!("seed {SEED}: {figures:?}");
    assert!(figures.found_percent >= 99.0, "seed {SEED}: {figures:?}");
    assert!(figures.asked_until_found <= figures.asked, "seed {SEED}: {figures:?}");
    assert!(figures.asked <= 20, "seed {SEED}: {figures:?}");
    assert!(figures.took_ms <= 5000, "seed {SEED}: {figures:?}");
}

#[test]
fn two_hundred_nodes_that_know_one_of_them_come_to_know_each_other() {
    let mut swarm = Swarm::new(SEED, 200, 0, 0);
    swarm.is_settled = false;
    swarm.joins(0, &[]);
    for who in 1..200 {
        swarm.joins(who, &[0]);
        swarm.pass(swarm.now_us + 100_000);
    }
    swarm.pass(swarm.now_us + 40_000_000);
    for who in 0..200 {
        let nodes = swarm.node(who).nodes();
        assert!(nodes >= 20, "seed {SEED}: node {who} knows {nodes}");
    }
    let figures = figures(&mut swarm, 10, 5);
    println!("seed {SEED}: {figures:?}");
    assert!(figures.found_percent >= 99.0, "seed {SEED}: {figures:?}");
}

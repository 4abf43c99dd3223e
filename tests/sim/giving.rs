//! Who gives gets: the choker in small swarms, played by the binary. The times are virtual, so a
//! bound is exact.

use super::scenarios::{Small, group, number};
use super::{LINK, MINUTE, Order, PIECE_LENGTH, PIECES, Play};
use rtor::engine::Time;
use rtor::engine::time::SECOND_US;
use rtor::sim::{Link, Manner, NodeId, World};
use serde_json::Value;

const SEEDS: [u64; 2] = [1, 2];

/// So many who are alike, of 32 MiB, and a seed that sends `up` a second; under each of `seeds`.
fn crowd(seeds: &[u64], count: usize, up: &str) -> Vec<Value> {
    let swarm = Small::written(&format!(
        r#"
        [torrent]
        pieces = 128
        piece_length = "256KiB"
        [[group]]
        name = "seed"
        role = "seed"
        up = "{up}"
        down = "{up}"
        [[group]]
        name = "alike"
        count = {count}
        role = "leech"
        up = "500kB"
        down = "5M"
        latency = "30ms"
        "#
    ));
    let play = |seed: &u64| swarm.run(&["--seed", &seed.to_string()]).run().exited(0).json();
    seeds.iter().map(play).collect()
}

#[test]
fn who_gives_nothing_gets_a_quarter_at_most_while_others_compete_and_ends_last() {
    for seed in SEEDS {
        let mut play = Play::new(384, seed);
        let line = Link { up: 500_000, down: 5_000_000, ..LINK };
        let source = play.seed(Link { up: 1_000_000, ..line }, Manner::Honest);
        let fair: Vec<NodeId> = (0..30).map(|_| play.leech(line, Order::Rarest)).collect();
        let free: Vec<NodeId> = (0..3).map(|_| play.free_rider(line)).collect();
        let all: Vec<NodeId> = [vec![source], fair.clone(), free.clone()].concat();
        for (nth, node) in all.iter().enumerate() {
            all[..nth].iter().for_each(|other| play.world.introduce(*node, *other));
        }
        let mean = |world: &World, nodes: &[NodeId]| {
            let got = nodes.iter().map(|node| world.have(*node).count() as f64);
            got.sum::<f64>() / nodes.len() as f64
        };
        let so_far = |world: &World| [mean(world, &fair), mean(world, &free)];
        // Until then nobody knows of anybody what he gives.
        play.world.run_until(Time(30 * SECOND_US), |_| false);
        let early = so_far(&play.world);
        let done = |world: &World, node: &NodeId| world.completed_at(*node).is_some();
        assert!(play.world.run_until(Time(10 * MINUTE), |w| fair.iter().any(|node| done(w, node))));
        let late = so_far(&play.world);
        let [fair_rate, free_rate] = [0, 1].map(|at| late[at] - early[at]);
        assert!(free_rate < fair_rate / 4.0, "seed {seed}: {free_rate} of {fair_rate} pieces");
        assert!(play.world.run_until(Time(10 * MINUTE), |w| fair.iter().all(|node| done(w, node))));
        assert!(!free.iter().any(|node| done(&play.world, node)), "seed {seed}");
    }
}

#[test]
fn a_hundred_from_one_seed_take_little_longer_than_they_must() {
    for play in crowd(&SEEDS[..1], 100, "2M") {
        let size = 128.0 * 256.0 * 1024.0;
        // Once through the seed's line, and once from one to another.
        let bound = 1.25 * (size / 2e6 + size / 5e5);
        assert!(number(&play["seconds"]) < bound, "more than {bound} s: {play}");
    }
}

#[test]
fn equals_have_equal_shares_of_a_seed() {
    for seed in SEEDS {
        let mut play = Play::new(256, seed);
        let source = play.seed(Link { up: 4_000_000, ..LINK }, Manner::Honest);
        let leeches: Vec<NodeId> = (0..40).map(|_| play.leech(LINK, Order::Rarest)).collect();
        leeches.iter().for_each(|leech| play.world.introduce(*leech, source));
        // About half of everything for everybody, and everybody had some turns.
        play.world.run_until(Time(3 * MINUTE), |_| false);
        let got = |leech: &NodeId| play.world.have(*leech).count() as f64;
        let mean = leeches.iter().map(got).sum::<f64>() / leeches.len() as f64;
        let (least, most) =
            leeches.iter().map(got).fold((f64::MAX, 0.0_f64), |(l, m), n| (l.min(n), m.max(n)));
        assert!(least > mean * 0.8 && most < mean * 1.2, "{least} to {most} pieces, mean {mean}");
    }
}

#[test]
fn equals_complete_at_about_the_same_time() {
    for play in crowd(&SEEDS, 30, "500kB") {
        let times = &group(&play, "alike")["completion_seconds"];
        let [first, median, last] = ["first", "median", "last"].map(|at| number(&times[at]));
        assert!(first > median * 0.8 && last < median * 1.2, "{play}");
    }
}

#[test]
fn a_super_seed_sends_each_piece_little_more_than_once() {
    let given = |super_seed: bool| {
        let mut play = Play::new(PIECES, 1);
        let line = Link { up: 300_000, ..LINK };
        let source = play.seed(line, if super_seed { Manner::SuperSeed } else { Manner::Honest });
        let leeches: Vec<NodeId> = (0..10).map(|_| play.leech(LINK, Order::Rarest)).collect();
        for leech in &leeches {
            play.world.introduce(*leech, source);
            leeches.iter().filter(|o| *o < leech).for_each(|o| play.world.introduce(*leech, *o));
        }
        let done = |world: &World| leeches.iter().all(|leech| world.completed_at(*leech).is_some());
        assert!(play.world.run_until(Time(10 * MINUTE), done), "not everybody completed");
        let size = f64::from(PIECES) * f64::from(PIECE_LENGTH);
        play.world.report(source).uploaded_bytes as f64 / size
    };
    let (once, plain) = (given(true), given(false));
    assert!(once < 1.25 && once < plain, "{once} times, and {plain} without");
}

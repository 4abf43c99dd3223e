//! Row 23: simulated swarms: the same seed plays the same, and no swarm of faulty nodes breaks what must
//! hold in all of them.

use super::{Row, scale};
use crate::harness::{Chance, Ran, Rtor};
use rtor::torrent::InfoHashV2;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

/// A small swarm in which every kind of fault has its part, drawn from `seed`.
fn scenario(seed: u64) -> String {
    let mut chance = Chance(seed);
    let mut text = format!(
        "name = \"s{seed}\"\nseed = {seed}\n[torrent]\npieces = {}\npiece_length = \"{}KiB\"\n\
         [run]\nlimit = \"3h\"\nidle = \"20m\"\n[swarm]\nconnections = {}\n",
        5 + chance.below(25),
        16 << chance.below(4),
        3 + chance.below(10),
    );
    // An honest seed stays, so that everybody can have everything.
    let mut group = |name: &str, role: &str, count: u64, more: &str| {
        let up = 20 + chance.below(500);
        let _ = write!(
            text,
            "[[group]]\nname = \"{name}\"\nrole = \"{role}\"\ncount = {count}\nup = \"{up}kB\"\n\
             down = \"{}kB\"\nlatency = \"{}ms\"\nloss = \"{}%\"\n{more}",
            4 * up,
            1 + chance.below(150),
            chance.below(4),
        );
    };
    let mut chance = Chance(seed ^ 23);
    group("seed", "seed", 1, "");
    group("home", "leech", 2 + chance.below(6), "have = \"20%\"\njoins = \"0s..20s\"\n");
    let some = |chance: &mut Chance| chance.below(3);
    let share = 20 + chance.below(81);
    group("liars", "seed", some(&mut chance), &format!("manner = {{ liar = \"{share}%\" }}\n"));
    let few = chance.below(30);
    group("stallers", "seed", some(&mut chance), &format!("manner = {{ staller = {few} }}\n"));
    let after = 1 + chance.below(40);
    group(
        "leaving",
        "seed",
        some(&mut chance),
        &format!("leaves = \"after {after}s\"\nvanishes = true\n"),
    );
    group("riders", "leech", some(&mut chance), "manner = \"free_rider\"\n");
    let churn = "churn = { stays = \"30s\", away = \"10s\" }\nvanishes = true\n";
    group("restless", "leech", some(&mut chance), churn);
    without_empty_groups(&text)
}

/// A group of nobody is none.
fn without_empty_groups(text: &str) -> String {
    let mut parts = text.split("[[group]]");
    let head = parts.next().unwrap_or_default().to_owned();
    parts
        .filter(|part| !part.contains("count = 0\n"))
        .fold(head, |all, part| all + "[[group]]" + part)
}

/// What must hold, and does not.
fn broken(ran: &Ran) -> Vec<String> {
    let (Some(0), true) = (ran.code, ran.stderr.is_empty()) else {
        return vec![format!("ended with {:?}: {}", ran.code, ran.stderr)];
    };
    let outcome = ran.json();
    let total = &outcome["total"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let group = |name: &str| {
        let groups = outcome["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        groups.iter().find(|group| group["name"] == name)
    };
    let (got, sent) = (number(&total["downloaded_bytes"]), number(&total["uploaded_bytes"]));
    let has_liars = group("liars").is_some();
    let holds = [
        ("all have everything", outcome["complete"] == true && outcome["ended"] == "complete"),
        ("all that are awaited", total["awaited"] == total["awaited_completed"]),
        ("every piece is somewhere", outcome["pieces_nowhere"] == 0),
        ("nobody honest is banned", total["honest_banned"] == 0),
        ("nobody breaks the protocol", total["broke_protocol"] == 0),
        ("no more arrived than was sent", got <= sent),
        ("only liars spoil pieces", has_liars || total["hash_failures"] == 0),
        ("only liars waste", has_liars || total["wasted_bytes"] == 0),
        (
            "not faster than the lines",
            number(&outcome["seconds"]) >= number(&outcome["ideal_seconds"]),
        ),
        ("groups sum up", {
            let groups = outcome["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
            let sum: f64 = groups.iter().map(|group| number(&group["downloaded_bytes"])).sum();
            (sum - got).abs() < 1.0
        }),
        ("seeds get nothing", group("seed").is_some_and(|seed| seed["downloaded_bytes"] == 0)),
    ];
    let broken = holds.iter().filter(|(_, holds)| !holds);
    broken.map(|(what, _)| format!("not so: {what}: {outcome}")).collect()
}

#[test]
fn no_faulty_swarm_breaks_an_invariant() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seeds = scale(60, 2_000);
    let mut wrong = Vec::new();
    for seed in 1..=seeds {
        fs::write(folder.path().join("s.toml"), scenario(seed)).expect("a folder takes a file");
        let ran = Rtor::new(folder.path(), ["sim", "s.toml", "--json"]).run();
        wrong.extend(broken(&ran).into_iter().map(|broken| (seed, broken)));
    }
    for (seed, broken) in wrong.iter().take(5) {
        eprintln!("seed {seed}: {broken}\n{}", scenario(*seed));
    }
    let seeds_of: Vec<_> = wrong.iter().map(|(seed, _)| seed).take(20).collect();
    let figure = format!("{seeds} seeds, {} broken invariants {seeds_of:?}", wrong.len());
    let target = "2,000 seeds of small faulty swarms, 0 broken invariants";
    Row::new(23, "simulated faults", target).saw(figure, wrong.is_empty());
}

#[test]
fn a_seed_plays_the_same_every_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runs = scale(10, 100);
    // With enough nodes for several threads.
    let crowd = scenario(7).replace(
        "name = \"home\"\nrole = \"leech\"\ncount = ",
        "name = \"home\"\nrole = \"leech\"\ncount = 9",
    );
    fs::write(folder.path().join("s.toml"), crowd).expect("a folder takes a file");
    let trace = |_| {
        let ran = Rtor::new(folder.path(), ["sim", "s.toml", "--json", "--seed", "7"]).run();
        InfoHashV2::of(&ran.exited(0).stdout).to_string()
    };
    let traces: BTreeSet<String> = (0..runs).map(trace).collect();
    let figure = format!("{runs} runs, {} different", traces.len());
    Row::new(23, "a seed is a swarm", "100 runs of a seed, 1 trace").saw(figure, traces.len() == 1);
}

//! The scenarios that rtor ships, made small, played by the binary: what each promises holds under
//! several seeds. The times are virtual, so a bound is exact: it is a little above what the
//! slowest of eight seeds takes.

use crate::harness::parts::project;
use crate::harness::run::Rtor;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const SEEDS: [u64; 2] = [1, 2];

/// A scenario of ours with some of its text replaced.
pub(super) struct Small {
    folder: TempDir,
}

impl Small {
    fn of(name: &str, changes: &[(&str, &str)]) -> Self {
        let path = project(&format!("scenarios/{name}.toml"));
        let mut text = fs::read_to_string(path).expect("a scenario can be read");
        for (from, to) in changes {
            assert!(text.contains(from), "`{name}` has no `{from}`");
            text = text.replacen(from, to, 1);
        }
        Self::written(&text)
    }

    pub(super) fn written(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("scenario.toml"), text).expect("a folder takes a file");
        Self { folder }
    }

    pub(super) fn run(&self, args: &[&str]) -> Rtor {
        Rtor::new(self.folder.path(), ["sim", "scenario.toml", "--json"]).args(args)
    }

    /// What comes of it under each seed, after it exited with `code`.
    fn plays(&self, code: i32) -> Vec<Value> {
        let play = |seed: u64| {
            let ran = self.run(&["--seed", &seed.to_string()]).run().exited(code);
            eprintln!("--seed {seed}: {}", ran.text());
            ran.json()
        };
        SEEDS.into_iter().map(play).collect()
    }
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("`{value}` is a number"))
}

/// How many times longer than the least possible it took.
fn slowness(play: &Value) -> f64 {
    number(&play["seconds"]) / number(&play["ideal_seconds"])
}

pub(super) fn group<'a>(play: &'a Value, name: &str) -> &'a Value {
    let groups = play["groups"].as_array().expect("groups");
    groups.iter().find(|group| group["name"] == name).expect("a group of that name")
}

fn nobody_is_blamed(play: &Value) {
    let total = &play["total"];
    assert_eq!((&total["banned"], &total["broke_protocol"]), (&0.into(), &0.into()), "{play}");
    assert_eq!((&total["hash_failures"], &total["wasted_bytes"]), (&0.into(), &0.into()), "{play}");
}

#[test]
fn uneven_peers_are_used_up_to_the_last_block() {
    for play in Small::of("uneven-peers", &[]).plays(0) {
        nobody_is_blamed(&play);
        assert!(slowness(&play) < 1.1, "{play}");
        assert!(number(&play["total"]["t_99_to_100_ms"]["last"]) < 1000.0, "{play}");
        assert!(number(&play["total"]["duplicate_percent"]) < 1.0, "{play}");
        // Each gives what its line carries, or nearly.
        assert!(number(&group(&play, "fast")["upload_share"]) > 0.7, "{play}");
        assert!(number(&group(&play, "slow")["upload_share"]) > 0.03, "{play}");
    }
}

#[test]
fn a_flash_crowd_feeds_itself() {
    let small = [("count = 100", "count = 20"), ("pieces = 256", "pieces = 64")];
    for play in Small::of("flash-crowd", &small).plays(0) {
        nobody_is_blamed(&play);
        assert_eq!(play["total"]["awaited_completed"], 20);
        assert!(slowness(&play) < 1.5, "{play}");
        assert!(number(&group(&play, "crowd")["upload_share"]) > 0.7, "{play}");
        assert!(number(&play["total"]["duplicate_percent"]) < 2.0, "{play}");
    }
}

#[test]
fn a_long_fat_link_fills() {
    let play = &Small::of("long-fat-link", &[("pieces = 512", "pieces = 256")]).plays(0)[0];
    nobody_is_blamed(play);
    assert!(slowness(play) < 1.3, "{play}");
    assert_eq!(play["total"]["duplicate_bytes"], 0);
}

#[test]
fn stallers_hold_nobody_up() {
    for play in Small::of("stallers", &[("pieces = 200", "pieces = 80")]).plays(0) {
        nobody_is_blamed(&play);
        assert!(slowness(&play) < 1.75, "{play}");
        assert!(number(&play["total"]["duplicate_percent"]) < 1.0, "{play}");
    }
}

#[test]
fn poisoners_are_found_and_nobody_else_is() {
    for play in Small::of("poisoners", &[("pieces = 200", "pieces = 100")]).plays(0) {
        assert_eq!(group(&play, "always")["banned"], 3, "{play}");
        assert_eq!(group(&play, "sometimes")["banned"], 3, "{play}");
        assert_eq!(play["total"]["honest_banned"], 0, "{play}");
        assert_eq!(play["total"]["broke_protocol"], 0, "{play}");
        assert!(number(&play["total"]["hash_failures"]) > 0.0, "{play}");
        assert!(slowness(&play) < 1.7, "{play}");
        assert!(number(&play["total"]["duplicate_percent"]) < 1.0, "{play}");
    }
}

#[test]
fn when_the_last_seed_leaves_the_rest_finish_if_they_hold_everything() {
    let small = ("pieces = 200", "pieces = 60");
    for play in Small::of("last-seed-leaves", &[small, ("after 140s", "after 36s")]).plays(0) {
        assert_eq!(play["pieces_nowhere"], 0);
        // It could not have waited for their end.
        assert!(number(&play["ideal_seconds"]) > 36.0, "{play}");
        assert_eq!(play["total"]["awaited_completed"], 20);
    }
    let early = Small::of("last-seed-leaves", &[small, ("after 140s", "after 4s")]);
    for play in early.plays(1) {
        assert_eq!((&play["ended"], &play["complete"]), (&"idle".into(), &false.into()));
        assert_eq!(play["total"]["awaited_completed"], 0);
        assert!(number(&play["pieces_nowhere"]) > 0.0, "{play}");
    }
    let said = early.run(&[]).run().exited(1).stderr;
    assert!(said.contains("20 of 20 did not complete: nobody got anything any more;"), "{said}");
    assert!(said.contains("pieces are nowhere in the swarm"), "{said}");
}

#[test]
fn who_comes_and_goes_completes_in_the_end() {
    let small = [("pieces = 200", "pieces = 60"), ("count = 30", "count = 12")];
    for play in Small::of("coming-and-going", &small).plays(0) {
        assert_eq!(group(&play, "home")["awaited_completed"], 12, "{play}");
        assert_eq!(group(&play, "free riders")["uploaded_bytes"], 0, "{play}");
        assert_eq!(play["total"]["broke_protocol"], 0, "{play}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let small = [("pieces = 1000", "pieces = 60"), ("count = 999", "count = 40")];
    let swarm = Small::of("big-swarm", &small);
    let bytes = |seed: &str| swarm.run(&["--seed", seed]).run().exited(0).stdout;
    assert_eq!(bytes("7"), bytes("7"));
    assert_ne!(bytes("7"), bytes("8"));
    let said = swarm.run(&["--seed", "7"]).run().exited(0).json();
    assert_eq!((&said["seed"], &said["scenario"]), (&7.into(), &"big swarm".into()));
}

#[test]
fn strategies_are_compared_side_by_side() {
    let small = [("count = 100", "count = 20"), ("pieces = 256", "pieces = 64")];
    let crowd = Small::of("flash-crowd", &small);
    let seconds = |strategy: &str| {
        let play = crowd.run(&["--strategy", strategy]).run().exited(0).json();
        assert_eq!(group(&play, "crowd")["strategy"], strategy);
        assert_eq!(group(&play, "seed")["strategy"], "rarest");
        number(&play["seconds"])
    };
    // Who all want the same piece next have nothing to give each other.
    let (rarest, sequential) = (seconds("rarest"), seconds("sequential"));
    assert!(sequential > rarest, "rarest {rarest} s, sequential {sequential} s");

    let said = crowd.run(&["--strategy", "rares"]).run().refused();
    assert!(said.contains("`rares`"), "{said}");
}

#[test]
fn a_table_is_for_people() {
    let swarm = Small::of("stallers", &[("pieces = 200", "pieces = 40")]);
    let folder = swarm.folder.path();
    let said = Rtor::new(folder, ["sim", "scenario.toml", "--table"]).run().exited(0).text();
    assert!(said.lines().next().is_some_and(|line| line.contains("group")), "{said}");
    assert!(said.lines().any(|line| line.contains("leeches") && line.contains("3/3")), "{said}");
    assert!(said.contains("s of virtual time,"), "{said}");
}

#[test]
fn a_bad_scenario_is_refused_in_one_sentence() {
    let text = fs::read_to_string(project("scenarios/stallers.toml")).expect("a scenario");
    let cases = [
        ("pieces = 200", "pieces = 0", "line 6: `0` is too little: at least `1`"),
        ("pieces = 200", "peices = 200", "line 6: unknown field `peices`, expected `pieces` or"),
        ("\"500kB\"", "\"fast\"", "`fast` is not a number of bytes like `64KiB` or `10M`"),
        ("count = 5", "count = 20001", "`20001` is too much: at most `20000`"),
        ("count = 5", "count = 19999", "`20007` nodes in all groups, where at most 20000 may be"),
        ("\"stallers\"\ncount", "\"honest\"\ncount", "two groups are called `honest`"),
        ("[torrent]", "[torrent", "line 5: "),
    ];
    for (from, to, wanted) in cases {
        assert!(text.contains(from), "{from}");
        let said = Small::written(&text.replacen(from, to, 1)).run(&[]).run().refused();
        assert!(said.starts_with("error: `scenario.toml` is no scenario: "), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = Rtor::new(folder.path(), ["sim", "nowhere.toml"]).run().refused();
    assert_eq!(said, "error: no file `nowhere.toml`");
}

#[test]
fn json_from_stdin_is_a_scenario_too() {
    let json = r#"{"torrent": {"pieces": 8, "piece_length": "64KiB"}, "group": [
        {"name": "seed", "role": "seed", "up": "1M", "down": "1M"},
        {"name": "leech", "role": "leech", "up": "1M", "down": "1M"}]}"#;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let play = Rtor::new(folder.path(), ["sim", "-"]).stdin(json).run().exited(0).json();
    assert_eq!((&play["complete"], &play["total"]["nodes"]), (&true.into(), &2.into()));
    assert_eq!(play["total"]["downloaded_bytes"], 8 * 65_536);
}

#[test]
fn every_scenario_that_is_shipped_can_be_read() {
    let folder = fs::read_dir(project("scenarios")).expect("the scenarios");
    let paths: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    assert!(paths.len() >= 7, "{paths:?}");
    for path in paths {
        let bytes = fs::read(&path).expect("a scenario can be read");
        assert!(bytes.starts_with(b"# "), "{path:?} does not begin with what it shows");
        let read = rtor::manifest::scenario::Scenario::parse(&bytes);
        assert!(read.is_ok(), "{path:?}: {read:?}");
    }
}

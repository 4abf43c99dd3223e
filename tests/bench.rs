//! `scripts/bench` and its like at work on a few megabytes: that they measure, and can't be fooled.
//!
//! What it measures is not held here to any figure: a busy machine proves nothing.

use crate::harness::MIB;
use crate::harness::parts::project;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A fast peer, one that hangs up and one that is not there.
const CASE: &str = "odd:peers=1x16MiB@4ms+1x8MiB^1MiB+1x8MiB?,size=8MiB,piece=256KiB,files=9";

fn bench(rtor: &Path, more: &[&str]) -> Output {
    let [relay, sink] = ["rtor-relay", "rtor-sink"].map(|name| {
        let path = Path::new(env!("CARGO_BIN_EXE_rtor")).with_file_name(name);
        assert!(path.exists(), "`{}` is missing: cargo build --workspace", path.display());
        path
    });
    Command::new(project("scripts/bench"))
        .arg("--no-build")
        .arg("--rtor")
        .arg(rtor)
        .arg("--relay")
        .arg(relay)
        .arg("--sink")
        .arg(sink)
        .args(more)
        .output()
        .expect("the script starts")
}

/// `scripts/bench-limits` for so little time that its figures are none.
fn limits(rtor: &Path, rows: &str, json: &Path) -> Output {
    Command::new(project("scripts/bench-limits"))
        .args([
            "--no-build",
            "--clients",
            "rtor",
            "--rates",
            "2M",
            "--seconds",
            "1",
            "--run-in",
            "0.5",
        ])
        .args(["--rows", rows, "--json"])
        .arg(json)
        .arg("--rtor")
        .arg(rtor)
        .output()
        .expect("the script starts")
}

/// `scripts/bench-swarm` with one leech of each kind.
fn swarm(rtor: &Path, json: &Path) -> Output {
    Command::new(project("scripts/bench-swarm"))
        .args(["--no-build", "--rtor", "1", "--libtorrent", "1"])
        .args(["--size", "8MiB", "--piece", "256KiB", "--rate", "4MiB", "--json"])
        .arg(json)
        .arg("--program")
        .arg(rtor)
        .output()
        .expect("the script starts")
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// A program that claims to be rtor and does `deed` instead, in a folder that it goes with.
fn impostor(deed: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("rtor");
    fs::write(&path, format!("#!/bin/sh\n{deed}\n")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    (folder, path)
}

#[test]
fn a_run_has_every_figure() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (json, page) = (folder.path().join("bench.json"), folder.path().join("bench.md"));
    let outputs = ["--json", json.to_str().expect("UTF-8"), "--markdown"];
    let rtor = Path::new(env!("CARGO_BIN_EXE_rtor"));
    let chosen = ["--clients", "rtor,libtorrent", "--rounds", "2", "--case", CASE];
    let ran = bench(rtor, &[&outputs[..], &[page.to_str().expect("UTF-8")], &chosen].concat());
    assert!(ran.status.success(), "{}", said(&ran));

    let document: Value =
        serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    let case = &document["cases"][0];
    // 1 of the 8 MiB comes from the one that ends, in an eighth of a second; the rest takes 7/16 s.
    let ideal = case["ideal_s"].as_f64().expect("it has one");
    assert!((ideal - 0.4375).abs() < 1e-9, "{ideal}");
    let rounds = case["rounds"].as_array().expect("rounds");
    let who: Vec<&str> = rounds.iter().filter_map(|round| round["client"].as_str()).collect();
    assert_eq!(who, ["rtor", "libtorrent", "libtorrent", "rtor"], "another begins each round");
    for round in rounds {
        assert_eq!(round["fault"], Value::Null, "{round}");
        for figure in ["wall_s", "cpu_s", "rss_mib"] {
            assert!(round[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure}: {round}");
        }
        let wall_ideal = round["wall_ideal"].as_f64().expect("there is an ideal");
        assert!(wall_ideal >= 1.0, "faster than can be: {round}");
        assert!(round["sent_bytes"].as_u64() >= Some(8 * MIB), "{round}");
    }
    assert_eq!(rounds[0]["rtor"]["complete"], true, "its own manifest is in there");
    let page = fs::read_to_string(page).expect("it was written");
    assert!(page.contains("| client | wall s |"), "{page}");
}

#[test]
fn a_seeder_is_measured_with_busy_leeches_and_with_idle_ones() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let json = folder.path().join("bench.json");
    let busy = "busy:leeches=3,size=8MiB,piece=256KiB,takes=24MiB";
    let idle = "idle:leeches=20,size=8MiB,piece=256KiB,idle=300ms";
    let cases = ["--case", busy, "--case", idle, "--json", json.to_str().expect("UTF-8")];
    let rtor = Path::new(env!("CARGO_BIN_EXE_rtor"));
    let chosen = ["--clients", "rtor,libtorrent", "--rounds", "1"];
    let ran = bench(rtor, &[&cases[..], &chosen].concat());
    assert!(ran.status.success(), "{}", said(&ran));
    let document: Value =
        serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    let rounds = |case: usize| document["cases"][case]["rounds"].as_array().expect("rounds");
    let has = |round: &Value, figures: &[&str]| {
        assert_eq!(round["fault"], Value::Null, "{round}");
        for figure in figures {
            assert!(round[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure}: {round}");
        }
    };
    assert_eq!((rounds(0).len(), rounds(1).len()), (2, 2));
    for round in rounds(0) {
        has(round, &["wall_s_per_gib", "cpu_s_per_gib", "rss_mib"]);
        let leeches = &round["leeches"];
        assert!(leeches["taken_bytes"].as_u64() >= Some(24 * MIB), "{round}");
        let odd = ["stray_blocks", "wrong_parts"].map(|key| leeches[key].as_u64());
        assert_eq!((&leeches["served"], odd), (&3.into(), [Some(0); 2]), "{round}");
    }
    for round in rounds(1) {
        has(round, &["rss_mib"]);
        // Whoever wakes twice a second may have slept all the while.
        assert!(round["cpu_ms_per_s"].as_f64().is_some(), "{round}");
        let leeches = &round["leeches"];
        assert_eq!((&leeches["ready"], &leeches["taken_bytes"]), (&20.into(), &0.into()));
    }
}

#[test]
fn a_client_is_measured_with_rtor_as_its_seeder() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let json = folder.path().join("bench.json");
    let case = "given:peers=1xmax,size=8MiB,piece=256KiB,seeder=rtor";
    let chosen = ["--clients", "libtorrent,aria2", "--rounds", "1", "--case", case, "--json"];
    let rtor = Path::new(env!("CARGO_BIN_EXE_rtor"));
    let ran = bench(rtor, &[&chosen[..], &[json.to_str().expect("UTF-8")]].concat());
    assert!(ran.status.success(), "{}", said(&ran));
    let document: Value =
        serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    let rounds = document["cases"][0]["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(round["fault"], Value::Null, "{round}");
        assert!(round["sent_bytes"].as_u64() >= Some(8 * MIB), "{round}");
    }
}

#[test]
fn a_swarm_of_two_kinds_is_measured_and_each_says_what_it_gave() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let json = folder.path().join("swarm.json");
    let ran = swarm(Path::new(env!("CARGO_BIN_EXE_rtor")), &json);
    let told: Value = serde_json::from_slice(&fs::read(json).unwrap_or_default())
        .unwrap_or_else(|why| panic!("no figures: {why}; {}", said(&ran)));
    let leeches = told["leeches"].as_array().expect("leeches");
    let who: Vec<&str> = leeches.iter().filter_map(|leech| leech["client"].as_str()).collect();
    assert_eq!(who, ["rtor", "libtorrent"]);
    assert!(leeches.iter().all(|leech| leech["took_s"].as_f64() > Some(0.0)), "{told}");
    // Both together have the content twice, from the seed and from each other.
    let gave: u64 = leeches.iter().filter_map(|leech| leech["gave_bytes"].as_u64()).sum();
    let sent = told["seed_sent_bytes"].as_u64().expect("a number");
    assert!(sent >= 8 * MIB && sent + gave >= 16 * MIB, "{told}");
}

#[test]
fn a_result_that_differs_ends_the_bench() {
    let (_folder, nothing) = impostor(r#"echo "rtor 1.0""#);
    let ran = bench(&nothing, &["--clients", "rtor", "--rounds", "1", "--case", CASE]);
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    assert!(said(&ran).contains("rtor says it is done, but"), "{}", said(&ran));
}

#[test]
fn a_client_that_hangs_has_that_in_its_row() {
    let (_folder, hanging) =
        impostor(r#"[ "$1" = --version ] && echo "rtor 1.0" || exec sleep 1000"#);
    let chosen = ["--clients", "rtor", "--rounds", "1", "--timeout", "1", "--case", CASE];
    let ran = bench(&hanging, &chosen);
    assert!(ran.status.success(), "{}", said(&ran));
    let table = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(table.contains("rtor (1 of 1 timed out after 1 s)"), "{table}");
}

#[test]
fn a_case_that_is_none_is_refused_in_one_sentence() {
    for (case, why) in [
        ("x", "`x` is no case"),
        ("x:peers=2x1MiB,sise=1MiB", "`sise=1MiB` is nothing that a case has"),
        ("x:peers=1MiB", "`1MiB` is no group of peers"),
        ("x:peers=1x1MiB!1MiB,size=2MiB", "the peers of `x` can't send all of it"),
        ("x:peers=1x0MiB", "`0mib` is no rate"),
        ("x:peers=1x1MiB,piece=3MiB", "`piece=3MiB`: a power of two"),
        ("x:peers=1x1MiB,size=5,files=6", "`files=6` of 5 bytes"),
        ("x:leeches=1,peers=1xmax", "with `leeches`, `peers` means nothing"),
        ("x:leeches=0", "`leeches=0`: 1 to 1000"),
        ("x:leeches=1,takes=1MiB,idle=1s", "who is idle takes nothing"),
    ] {
        let ran = bench(Path::new("/nowhere"), &["--list", "--case", case]);
        assert_eq!(ran.status.code(), Some(1), "{case}");
        let said = said(&ran);
        assert!(said.starts_with("bench: ") && said.contains(why), "{case}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn every_row_of_limits_has_what_went_through_each_socket() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let json = folder.path().join("limits.json");
    let ran = limits(Path::new(env!("CARGO_BIN_EXE_rtor")), "down,up,fair-down,peer-up", &json);
    let rows: Value =
        serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    let rows = rows.as_array().expect("rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["row"].as_str()).collect();
    assert_eq!(names, ["down", "up", "fair-down", "peer-up"], "{}", said(&ran));
    for (row, peers) in rows.iter().zip([1, 1, 5, 5]) {
        assert_eq!(row["fault"], Value::Null, "{row}");
        let rates = row["bytes_per_second"].as_array().expect("rates");
        assert_eq!(rates.len(), peers, "{row}");
        assert!(rates.iter().all(|rate| rate.as_f64() > Some(0.0)), "{row}");
        assert!(row["cpu_s"].as_f64().is_some_and(f64::is_finite), "{row}");
    }
    let missed = rows.iter().any(|row| row["verdict"] != "PASS");
    assert_eq!(ran.status.code(), Some(i32::from(missed)), "{}", said(&ran));
}

#[test]
fn a_limit_that_is_not_kept_is_missed() {
    let rtor = env!("CARGO_BIN_EXE_rtor");
    let (folder, twice) = impostor(&format!(
        r#"for word; do [ "$word" = 2000000 ] && word=4000000; set -- "$@" "$word"; shift; done
exec {rtor} "$@""#
    ));
    let ran = limits(&twice, "up", &folder.path().join("limits.json"));
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    let table = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(table.contains("up 2 MB/s") && table.contains("FAIL"), "{table}");
}

/// `scripts/bench-verify` with rtor alone, on three files.
fn verify(rtor: &Path, json: &Path) -> Output {
    Command::new(project("scripts/bench-verify"))
        .args(["--no-build", "--others", "", "--size", "3MiB", "--files", "3", "--rounds", "2"])
        .args(["--piece", "256KiB", "--json"])
        .arg(json)
        .arg("--rtor")
        .arg(rtor)
        .output()
        .expect("the script starts")
}

#[test]
fn verifying_is_measured_in_rounds() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let json = folder.path().join("verify.json");
    let ran = verify(Path::new(env!("CARGO_BIN_EXE_rtor")), &json);
    assert!(ran.status.success(), "{}", said(&ran));
    let document: Value =
        serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    let rounds = document["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2, "{document}");
    assert!(rounds.iter().all(|round| round["rtor"]["wall_s"].as_f64() > Some(0.0)), "{document}");
}

#[test]
fn who_says_that_all_is_well_without_a_look_ends_the_bench() {
    let rtor = env!("CARGO_BIN_EXE_rtor");
    let (folder, blind) = impostor(&format!(r#"[ "$1" = verify ] || exec {rtor} "$@""#));
    let ran = verify(&blind, &folder.path().join("verify.json"));
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    assert!(said(&ran).contains("rtor did not find a changed byte"), "{}", said(&ran));
}

//! Row 1: a corpus of hostile torrents, each read by the real binary.

use super::corpus::{self, Case, Verdict};
use super::{Row, scale};
use crate::harness::{MIB, Ran, Rtor, Tree};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Component, Path};
use std::time::Duration;

/// Of one core: how long the wall clock shows is the machine's business.
const CPU_MAX: Duration = Duration::from_millis(500);
/// The same beside other tests and builds, which make a build that is not optimised slower still.
const CPU_MAX_BUSY: Duration = Duration::from_millis(1_000);
const PEAK_MAX: u64 = 64 * MIB;
/// Letters of talk on stderr, however long what it is about.
const TALK_MAX: usize = 10_000;

/// What is wrong with a run that should have exited with one of `codes`.
fn faults(ran: &Ran, codes: &[i32]) -> Vec<String> {
    let mut faults = Vec::new();
    if ran.code.is_none_or(|code| !codes.contains(&code)) {
        faults.push(format!("ended with {:?}, signal {:?}", ran.code, ran.signal));
    }
    if ran.stderr.contains("panicked") || ran.stderr.chars().count() > TALK_MAX {
        faults.push(format!("said {}..", ran.stderr.chars().take(300).collect::<String>()));
    }
    if ran.stderr.chars().any(|letter| letter.is_control() && letter != '\n') {
        faults.push("said a control character".to_owned());
    }
    if ran.code == Some(2) && (!ran.stdout.is_empty() || ran.stderr.is_empty()) {
        faults.push("refused with data, or without a word".to_owned());
    }
    if ran.cpu >= scale(CPU_MAX_BUSY, CPU_MAX) || ran.peak_bytes >= PEAK_MAX {
        faults.push(format!("took {:?} and {} MiB", ran.cpu, ran.peak_bytes / MIB));
    }
    faults
}

/// What is wrong with the manifest of a torrent that was taken.
fn false_claims(manifest: &Value) -> Vec<String> {
    let torrent = &manifest["torrent"];
    let files = torrent["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut faults = Vec::new();
    for path in files.iter().map(|file| file["path"].as_str().unwrap_or_default()) {
        let plain = |part| matches!(part, Component::Normal(_));
        if path.is_empty() || !Path::new(path).components().all(plain) || path.contains('\0') {
            faults.push(format!("a path `{path}`"));
        }
    }
    let sum =
        files.iter().map(|file| u128::from(file["length"].as_u64().unwrap_or(0))).sum::<u128>();
    if torrent["total_length"].as_u64().map(u128::from) != Some(sum) {
        faults.push(format!("{} bytes, and {sum} of files", torrent["total_length"]));
    }
    faults
}

/// Everything that goes wrong with `case` in `run`, a folder of its own; and whether it was taken.
fn tried(case: &Case, run: &Path) -> (Vec<String>, bool) {
    fs::create_dir_all(run.join("inner")).expect("a folder");
    fs::write(run.join("x.torrent"), &case.bytes).expect("a file");
    let rtor = |args: &[&str]| Rtor::new(&run.join("inner"), args).run();
    let codes: &[i32] = match case.verdict {
        Verdict::Refused => &[2],
        Verdict::Taken => &[0],
        Verdict::Either => &[0, 2],
    };
    let decoded = rtor(&["decode", "../x.torrent"]);
    let taken = decoded.code == Some(0);
    let mut faults = faults(&decoded, codes);
    let codes = [if taken { 0 } else { 2 }];
    if taken {
        faults.extend(false_claims(&decoded.json()));
        let table = rtor(&["decode", "../x.torrent", "--table"]);
        faults.extend(self::faults(&table, &codes));
        let steers = |letter: char| letter.is_control() && letter != '\n';
        if table.text().chars().any(steers) {
            faults.push("a table with a control character".to_owned());
        }
    }
    faults.extend(self::faults(&rtor(&["analyze", "../x.torrent"]), &codes));
    // Nothing of it lies there. What is no torrent for one verb is none for another.
    if taken || scale(false, true) {
        let codes: &[i32] = if taken { &[1, 2] } else { &[2] };
        let verified = rtor(&["verify", "../x.torrent", "--data", "."]);
        faults.extend(self::faults(&verified, codes));
    }
    fs::remove_dir_all(run.join("inner/.home")).expect("the harness made it");
    if !Tree::at(run).paths().eq(["x.torrent"]) {
        faults.push("it left files".to_owned());
    }
    (faults, taken)
}

/// Tries `cases`, which are to be so many at least.
fn row(cases: &[Case], due: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for case in cases {
        let (faults, taken) = tried(case, &folder.path().join("run"));
        fs::remove_dir_all(folder.path().join("run")).expect("a folder of ours");
        refused += usize::from(!taken);
        wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", case.name)));
    }
    eprintln!("{}", wrong.join("\n"));
    let target = "0 crashes, all that must be refused exit with 2, each < 0.5 s and < 64 MiB";
    let class = cases.first().map_or("", |case| case.class);
    let figure =
        format!("{class}: {} files, {refused} refused, {} wrong", cases.len(), wrong.len());
    let reached = cases.len() >= due && wrong.is_empty();
    Row::new(1, "hostile torrents", target).saw(figure, reached);
}

// At least 300 together.

#[test]
fn torrents_of_no_structure_do_no_harm() {
    row(&corpus::structure::cases(), 120);
}

#[test]
fn torrents_of_impossible_numbers_do_no_harm() {
    row(&corpus::numbers::cases(), 50);
}

#[test]
fn torrents_of_hostile_paths_do_no_harm() {
    row(&corpus::paths::cases(), 90);
}

#[test]
fn torrents_that_cost_dearly_do_no_harm() {
    row(&corpus::bombs::cases(), 40);
}

/// A file of 10 GiB and a pipe without an end, read as a torrent.
#[test]
fn what_has_no_end_is_refused_at_its_beginning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = File::create(folder.path().join("huge.torrent")).expect("a file");
    file.set_len(10 << 30).expect("a hole of 10 GiB");
    let runs = [
        Rtor::new(folder.path(), ["decode", "huge.torrent"]),
        Rtor::new(folder.path(), ["decode", "/dev/zero"]),
        Rtor::new(folder.path(), ["analyze", "/dev/zero"]),
    ];
    let wrong: Vec<_> = runs.iter().flat_map(|run| faults(&run.run(), &[2])).collect();
    drop(file);
    let row = Row::new(1, "torrents without an end", "refused with 2 in < 0.5 s and < 64 MiB");
    row.saw(format!("{} runs, {} wrong: {wrong:?}", runs.len(), wrong.len()), wrong.is_empty());
}

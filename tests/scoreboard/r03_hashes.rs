//! Row 3: what rtor and libtorrent call mutants of torrents that both of them accept.

use super::{Row, mutant, scale};
use crate::harness::Chance;
use crate::harness::parts::{fixtures, project, python, script};
use crate::harness::process::mortal;
use rtor::torrent::Metainfo;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::Stdio;

const SEED: u64 = 3;
/// What is bent: each version, of one file and of several, and what nobody here made.
const MADE: [&str; 6] = ["one-v1", "tree-v1", "one-v2", "tree-v2", "one-hybrid", "tree-hybrid"];
const FOUND: [&str; 4] = ["leaves", "numbers", "lots-of-numbers", "folder"];

fn originals() -> Vec<Vec<u8>> {
    let made = MADE.map(|name| project("tests/fixtures/metainfo").join(format!("{name}.torrent")));
    let found = FOUND.map(|name| fixtures().join(format!("{name}.torrent")));
    made.into_iter().chain(found).map(|path| fs::read(path).expect("a torrent")).collect()
}

fn mutants(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let (originals, mut chance) = (originals(), Chance(SEED));
    (0..count).map(move |_| {
        mutant::of(&originals[chance.below(originals.len() as u64) as usize], &mut chance)
    })
}

/// As `info_hashes.py` says it.
fn said_by_us(file: Vec<u8>) -> String {
    let Ok(Metainfo { torrent, .. }) = Metainfo::parse(file.into()) else { return "-".to_owned() };
    let hex = |hash: Option<String>| hash.unwrap_or_else(|| "-".to_owned());
    let v1 = torrent.hashes.v1.map(|hash| hash.to_string());
    let v2 = torrent.hashes.v2.map(|hash| hash.to_string());
    format!("{} {}", hex(v1), hex(v2))
}

#[test]
fn mutants_have_the_info_hashes_that_libtorrent_says() {
    let count = scale(5_000, 100_000);
    let mut process = mortal(python())
        .arg(script("info_hashes.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs: scripts/parts brings it");
    let mut stdin = BufWriter::new(process.stdin.take().expect("a pipe"));
    // Apart from the reading, so that no pipe is ever full on both ends.
    let writer = std::thread::spawn(move || {
        for file in mutants(count) {
            let length = (file.len() as u32).to_be_bytes();
            stdin.write_all(&[&length, &file[..]].concat()).expect("the script reads all");
        }
    });
    let theirs = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let (mut both, mut ours_alone, mut theirs_alone, mut differ) = (0, 0, 0, Vec::new());
    let mut seen = 0;
    for (file, theirs) in mutants(count).zip(theirs) {
        seen += 1;
        let (ours, theirs) = (said_by_us(file.clone()), theirs.expect("text"));
        match (&*ours, &*theirs) {
            ("-", "-") => {}
            ("-", _) => theirs_alone += 1,
            (_, "-") => ours_alone += 1,
            _ => {
                both += 1;
                if ours != theirs {
                    differ.push(format!("{ours} and {theirs}: {}", file.escape_ascii()));
                }
            }
        }
    }
    writer.join().expect("it wrote all");
    assert!(process.wait().expect("a child").success(), "the script broke");
    differ.iter().take(5).for_each(|differ| eprintln!("{differ}"));
    let target = "0 disagreements of mutants that both accept";
    let figure = format!(
        "{seen} mutants, {both} accepted by both (rtor alone {ours_alone}, libtorrent alone \
         {theirs_alone}), {} disagree",
        differ.len()
    );
    let reached = seen == count && both > count / 10 && differ.is_empty();
    Row::new(3, "info hashes beside libtorrent", target).saw(figure, reached);
}

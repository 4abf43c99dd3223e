//! Row 17: bits that rot on the disk, with nothing in the file's dates to tell of it.

use super::{Row, scale};
use crate::harness::{Chance, Client, Content, Job, KIB, Net, Rtor, Torrent, tree, until};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

const PIECE_LENGTH: u64 = 16 * KIB;
const PATIENCE: Duration = Duration::from_secs(120);
const SEED: u64 = 17;

/// A torrent of one file, and a copy of it in which so many pieces have a bit the other way round.
struct Rotten {
    net: Net,
    content: Content,
    torrent: Torrent,
    bad: BTreeSet<u64>,
}

impl Rotten {
    fn new() -> Self {
        let flips = scale(100, 1000);
        let net = Net::new();
        let pieces = 4 * flips as u64;
        let content = Content::file(&net.folder("source"), "x.bin", pieces * PIECE_LENGTH - 77, 17);
        let file = net.folder("torrents").join("x.torrent");
        let torrent = Torrent::of(&content).piece_length(PIECE_LENGTH).make(&file);
        let copy = net.folder("run").join("x.bin");
        fs::copy(content.path(), &copy).expect("a folder takes a file");
        let mut chance = Chance(SEED);
        let bad = chance.some_below(flips, pieces);
        let length = fs::metadata(&copy).expect("a copy").len();
        for piece in &bad {
            let start = piece * PIECE_LENGTH;
            rot(&copy, start + chance.below(PIECE_LENGTH.min(length - start)), &mut chance);
        }
        Self { net, content, torrent, bad }
    }

    fn rtor<'a>(&'a self, args: impl IntoIterator<Item = &'a str>) -> Rtor {
        Rtor::new(&self.net.folder("run"), args).within(&self.net)
    }

    fn good_bytes(&self) -> u64 {
        let lost: u64 =
            self.bad.iter().map(|&piece| self.piece(piece).end - self.piece(piece).start).sum();
        self.torrent.total_length() - lost
    }

    fn piece(&self, piece: u64) -> std::ops::Range<u64> {
        piece * PIECE_LENGTH..self.torrent.total_length().min((piece + 1) * PIECE_LENGTH)
    }
}

/// Turns one bit of the byte at `at`, and leaves the dates as they were.
fn rot(path: &Path, at: u64, chance: &mut Chance) {
    let file = File::options().read(true).write(true).open(path).expect("a file");
    let modified = file.metadata().and_then(|facts| facts.modified()).expect("a date");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1 << chance.below(8)], at).expect("a byte");
    file.set_modified(modified).expect("a date");
}

/// The numbers of a list such as `1,4-6`.
fn listed(pieces: &Value) -> BTreeSet<u64> {
    let ranges = pieces.as_str().expect("a list").split(',').filter(|range| !range.is_empty());
    let numbers = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let [first, last] = [first, last].map(|text| text.parse::<u64>().expect("a number"));
        first..=last
    };
    ranges.flat_map(numbers).collect()
}

#[test]
fn verify_finds_every_flip() {
    let rotten = Rotten::new();
    let ran = rotten.rtor(["verify", rotten.torrent.arg(), "--data", "x.bin"]).run().exited(1);
    let found = listed(&ran.json()["verify"]["bad_pieces"]);
    let row = Row::new(17, "bit rot: verify", "every flip found, and nothing else");
    let figure =
        format!("{} of {} found", found.intersection(&rotten.bad).count(), rotten.bad.len());
    row.saw(figure, found == rotten.bad);
}

#[test]
fn a_seed_gives_no_bad_block() {
    let rotten = Rotten::new();
    let args = ["seed", rotten.torrent.arg(), "--listen", "10.77.0.9:6881", "--data", "x.bin"];
    let mut seed = rotten.rtor(args).start();
    let into = rotten.net.folder("leech");
    let addr = "10.77.0.9:6881".parse().expect("an address");
    let job = Job { peers: vec![addr], ..Job::leech(&rotten.torrent, &into) };
    let leech = Client::Libtorrent.start(&rotten.net, "10.77.0.7", &job);
    let good = rotten.good_bytes();
    until("the leech has what is whole", PATIENCE, || {
        (leech.progress().downloaded_bytes >= good).then_some(())
    });
    seed.send(Signal::INT);
    let ran = seed.wait(PATIENCE).exited(0);
    let sent = ran.json()["seed"]["uploaded_bytes"].as_u64().expect("a number");
    drop(leech);
    let row = Row::new(17, "bit rot: seed", "0 bad blocks sent");
    row.saw(format!("{sent} bytes sent, {good} are good"), sent == good);
}

#[test]
fn assemble_refuses_what_rotted() {
    let rotten = Rotten::new();
    let run = rotten.net.folder("run");
    fs::create_dir(run.join("pieces")).expect("a folder");
    let bytes = fs::read(run.join("x.bin")).expect("a file");
    for (index, piece) in bytes.chunks(PIECE_LENGTH as usize).enumerate() {
        fs::write(run.join(format!("pieces/piece_{index}_complete.bin")), piece).expect("a file");
    }
    let args = ["assemble", rotten.torrent.arg(), "--pieces", "pieces", "--output", "out"];
    rotten.rtor(args).run().exited(1);
    let made = tree::Tree::at(&run.join("out")).paths().count();
    let ran = rotten.rtor(args.into_iter().chain(["--fill-missing"])).run().exited(0);
    let filled = &ran.json()["assemble"]["files"][0]["filled_ranges"];
    let mut due = fs::read(rotten.content.path()).expect("the content");
    for &piece in &rotten.bad {
        let range = rotten.piece(piece);
        due[range.start as usize..range.end as usize].fill(0);
    }
    let there = fs::read(run.join("out/x.bin")).expect("a file");
    let told: u64 = filled.as_array().expect("ranges").iter().map(length).sum();
    let row = Row::new(17, "bit rot: assemble", "no rotten byte in what it makes");
    let figure = format!("{made} files without --fill-missing; with it {told} bytes are holes");
    let whole = there == due && told == rotten.torrent.total_length() - rotten.good_bytes();
    row.saw(figure, made == 0 && whole);
}

fn length(range: &Value) -> u64 {
    range[1].as_u64().expect("an end") - range[0].as_u64().expect("a start")
}

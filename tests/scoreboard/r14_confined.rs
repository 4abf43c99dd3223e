//! Row 14: nothing is written, and nothing read, outside the folder that the user chose: not by what a
//! torrent calls its files, not by what already lies in the folder, not by what is swapped under it.

use super::{Row, scale};
use crate::harness::{Chance, Net, Rtor, until};
use sha1::Digest as _;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PIECE_LENGTH: usize = 16_384;
const LENGTHS: [usize; 3] = [40_000, 20_000, 10_000];
const PATIENCE: Duration = Duration::from_secs(30);

/// What lies in the folder before rtor comes: a path below the run's folder, and what it is.
enum Plant {
    /// A link to this.
    Link(&'static str, &'static str),
    /// A pipe that nobody writes to.
    Pipe(&'static str),
    /// A folder where a file belongs.
    Folder(&'static str),
    /// A file where a folder belongs.
    File(&'static str),
}

use Plant::{File, Folder, Link, Pipe};

/// Paths of the first file, as a torrent may call it, joined with `/`; a NUL byte is `%`.
const NAMES: [&str; 26] = [
    "..",
    ".",
    "../x",
    "../../outside/secret",
    "d/../../../outside/secret",
    "d/..",
    "d/./x",
    "/etc/rtor",
    "//x",
    "d//x",
    "d/",
    "%",
    "d%/x",
    "x%",
    "..%",
    "~/x",
    "~",
    "$HOME/x",
    "..\\..\\outside\\secret",
    "C:\\x",
    "con",
    "nul.txt",
    " ",
    "...",
    "x ",
    "-rf",
];

/// What lies there for the torrent `top` of `a`, `d/b` and `d/deep/c`.
const PLANTS: [Plant; 36] = [
    Link("out/top", "../outside"),
    Link("out/top", "../outside/new"),
    Link("out/top", "."),
    Link("out/top", "top"),
    Link("out/top/a", "../../outside/secret"),
    Link("out/top/a", "../../outside/new"),
    Link("out/top/a", "b"),
    Link("out/top/a", "a"),
    Link("out/top/a", "/dev/null"),
    Link("out/top/a", "/dev/zero"),
    Link("out/top/a", "/proc/self/mem"),
    Link("out/top/a", "/proc/self/fd/1"),
    Link("out/top/d", "../../outside"),
    Link("out/top/d", "../../outside/new"),
    Link("out/top/d", "."),
    Link("out/top/d", "/proc/self/cwd"),
    Link("out/top/d/b", "../../../outside/secret"),
    Link("out/top/d/b", "../a"),
    Link("out/top/d/deep", "../../../outside"),
    Link("out/top/d/deep", ".."),
    Link("out/top/d/deep/c", "../../../../outside/secret"),
    Link("out/top/d/deep/c", "../../../../outside/new"),
    Link("out/.rtor", "../outside"),
    Link("out/.rtor", "../outside/new"),
    Link("pieces/manifest.json", "../outside/secret"),
    Link("pieces/manifest.json", "../outside/new"),
    Link("pieces/manifest.json.tmp", "../outside/secret"),
    Link("pieces/piece_0_complete.bin", "../outside/secret"),
    Link("pieces/piece_0_complete.bin", "../outside/new"),
    Link("pieces/piece_0_partial.bin", "../outside/secret"),
    Pipe("out/top/a"),
    Pipe("out/top/d"),
    Folder("out/top/a"),
    Folder("pieces/piece_0_complete.bin"),
    File("out/top/d"),
    File("out/top"),
];

/// A network with a folder to run in, one beside it that is nobody's business, and the content.
struct Place {
    net: Net,
    content: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let mut chance = Chance(14);
        let content = (0..LENGTHS.iter().sum()).map(|_| chance.word() as u8).collect();
        Self { net: Net::new(), content }
    }

    /// The torrent whose first file has this path, below `top`; with `links` as BEP 47 has them.
    fn torrent(&self, first: &str, links: &[(&str, &str)]) -> Vec<u8> {
        let paths = [first, "d/b", "d/deep/c"];
        let text = |text: &str| [format!("{}:", text.len()).as_bytes(), text.as_bytes()].concat();
        let list = |path: &str| {
            let parts: Vec<u8> =
                path.replace('%', "\0").split('/').flat_map(text).collect::<Vec<u8>>();
            [b"l", &parts[..], b"e"].concat()
        };
        let mut files = Vec::new();
        for (path, length) in paths.iter().zip(LENGTHS) {
            files.extend(format!("d6:lengthi{length}e4:path").bytes());
            files.extend([&list(path)[..], b"e"].concat());
        }
        for (path, to) in links {
            files.extend(b"d4:attr1:l6:lengthi0e4:path");
            files.extend([&list(path)[..], b"12:symlink path", &list(to), b"e"].concat());
        }
        let hashes: Vec<u8> =
            self.content.chunks(PIECE_LENGTH).flat_map(sha1::Sha1::digest).collect();
        let mut info = [b"d5:filesl", &files[..], b"e4:name3:top"].concat();
        info.extend(format!("12:piece lengthi{PIECE_LENGTH}e6:pieces{}:", hashes.len()).bytes());
        info.extend(hashes);
        [b"d4:info", &info[..], b"ee"].concat()
    }

    /// A new folder to run in, with the torrent, the store of a friend, and things outside `out`.
    fn folder(&self, name: &str, torrent: &[u8]) -> PathBuf {
        let run = self.net.folder(name);
        for folder in ["out", "pieces", "outside", "friend"] {
            fs::create_dir(run.join(folder)).expect("a folder");
        }
        fs::write(run.join("x.torrent"), torrent).expect("a file");
        fs::write(run.join("outside/secret"), b"nobody's business").expect("a file");
        for (index, piece) in self.content.chunks(PIECE_LENGTH).enumerate() {
            let name = format!("friend/piece_{index}_complete.bin");
            fs::write(run.join(name), piece).expect("a file");
        }
        run
    }

    /// The files of the torrent whose first one is `a`.
    fn files(&self, top: &Path) {
        fs::create_dir_all(top.join("d/deep")).expect("a folder");
        let mut rest = &self.content[..];
        for (path, length) in ["a", "d/b", "d/deep/c"].iter().zip(LENGTHS) {
            let content = rest.split_off(..length).expect("so long");
            fs::write(top.join(path), content).expect("a file");
        }
    }

    /// Runs all that writes, and what reads for others, and says what changed or ran wild.
    fn hurts(&self, name: &str, torrent: &[u8], plant: Option<&Plant>) -> Vec<String> {
        let mut hurts = Vec::new();
        let deeds: [(&str, &[&str]); 5] = [
            ("assemble", &["assemble", "x.torrent", "--pieces", "friend", "--output", "out"]),
            (
                "force",
                &["assemble", "x.torrent", "--pieces", "friend", "--output", "out", "--force"],
            ),
            ("get", &["get", "x.torrent", "--output", "out", "--from", "friend"]),
            ("fetch", &["fetch", "x.torrent", "--pieces", "pieces", "--from", "friend"]),
            ("seed", &["seed", "x.torrent", "--data", "out/top", "--for", "1ms"]),
        ];
        for (deed, args) in deeds {
            let run = self.folder(&format!("{name}-{deed}"), torrent);
            if deed == "seed" {
                self.files(&run.join("out/top"));
            }
            if let Some(plant) = plant {
                put(&run, plant);
            }
            let before = outside(&run);
            // Nobody has it but the friend's store: whoever can't write gives up at once.
            let alone = ["--no-trackers", "--timeout", "2s", "--discover", "pex"];
            let swarm = if matches!(deed, "get" | "fetch") { &alone[..] } else { &[] };
            let ran = Rtor::new(&run, args).args(swarm).within(&self.net).patience(PATIENCE).run();
            // With nothing in its way each does its work, so that a refusal means something.
            let works = plant.is_some() || name != "plain" || ran.code == Some(0);
            if !matches!(ran.code, Some(0..=3)) || !works {
                hurts.push(format!("{name}: {deed} ended with {:?}: {}", ran.code, ran.stderr));
            }
            if outside(&run) != before {
                hurts.push(format!("{name}: {deed} changed something outside"));
            }
            if ran.stderr.contains("nobody's business") {
                hurts.push(format!("{name}: {deed} told what is outside"));
            }
        }
        hurts
    }
}

fn put(run: &Path, plant: &Plant) {
    let (Link(path, _) | Pipe(path) | Folder(path) | File(path)) = plant;
    let at = run.join(path);
    fs::create_dir_all(at.parent().expect("it is in a folder")).expect("a folder");
    // What was there, if anything was.
    let _ = fs::remove_file(&at);
    let _ = fs::remove_dir_all(&at);
    match plant {
        Link(_, to) => symlink(to, &at).expect("a link"),
        Pipe(_) => {
            let made = std::process::Command::new("mkfifo").arg(&at).status();
            assert!(made.is_ok_and(|status| status.success()), "a pipe");
        }
        Folder(_) => fs::create_dir(&at).expect("a folder"),
        File(_) => fs::write(&at, b"mine").expect("a file"),
    }
}

/// Everything below `run` that rtor has no business with: what it is, and what is in it.
fn outside(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(at: &Path, skip: &[PathBuf], found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(at).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            let facts = entry.metadata().expect("it is there");
            if skip.contains(&path) {
                continue;
            }
            let content =
                if facts.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
            let dates = format!("{:?} {}", facts.modified(), facts.nlink());
            found.insert(path.clone(), [dates.as_bytes(), &content].concat());
            if facts.is_dir() {
                walk(&path, skip, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(run, &["out", "pieces", ".home"].map(|name| run.join(name)), &mut found);
    found
}

/// Every so many of them, for the short form.
fn some<T>(all: &[T]) -> impl Iterator<Item = (usize, &T)> {
    all.iter().enumerate().step_by(scale(5, 1))
}

#[test]
fn no_name_and_no_link_leads_outside() {
    let place = Place::new();
    let mut hurts = place.hurts("plain", &place.torrent("a", &[]), None);
    let mut layouts = 1;
    for (nth, name) in some(&NAMES) {
        hurts.extend(place.hurts(&format!("name{nth}"), &place.torrent(name, &[]), None));
        layouts += 1;
    }
    for (nth, plant) in some(&PLANTS) {
        let torrent = place.torrent("a", &[]);
        hurts.extend(place.hurts(&format!("plant{nth}"), &torrent, Some(plant)));
        layouts += 1;
    }
    // BEP 47: links that the torrent itself has.
    for (nth, to) in ["../../outside/secret", "/etc/passwd", "a"].iter().enumerate() {
        let torrent = place.torrent("a", &[("link", to), ("d/link", to)]);
        hurts.extend(place.hurts(&format!("bep47-{nth}"), &torrent, None));
        let made = place.net.folder(&format!("bep47-{nth}-get")).join("out/top/link");
        if fs::symlink_metadata(&made).is_ok_and(|facts| facts.is_symlink()) {
            hurts.push(format!("bep47-{nth}: get made the torrent's link"));
        }
        layouts += 1;
    }
    let row = Row::new(14, "path confinement", "0 bytes outside; BEP 47 links not followed");
    let figure = format!("{} of {layouts} layouts x 5 verbs did harm", hurts.len());
    hurts.iter().for_each(|hurt| eprintln!("{hurt}"));
    row.saw(figure, hurts.is_empty());
}

/// A folder of the target is swapped for a link to elsewhere and back, as fast as it goes.
#[test]
fn a_racing_renamer_wins_nothing() {
    let place = Place::new();
    let torrent = place.torrent("a", &[]);
    let run = place.folder("race", &torrent);
    let rounds = scale(20, 300);
    let (over, swaps) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    let before = outside(&run);
    let (top, aside) = (run.join("out/top"), run.join("out/aside"));
    let completed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Either may fail when rtor is between: that is the race.
                let _ = fs::rename(&top, &aside);
                let _ = symlink("../outside", &top);
                swaps.fetch_add(1, Ordering::Relaxed);
                let _ = fs::remove_file(&top);
                let _ = fs::rename(&aside, &top);
            }
        });
        until("it races", PATIENCE, || (swaps.load(Ordering::Relaxed) > 10).then_some(()));
        let deed = ["assemble", "x.torrent", "--pieces", "friend", "--output", "out", "--force"];
        let ended = (0..rounds).filter(|_| {
            let ran = Rtor::new(&run, deed).within(&place.net).patience(PATIENCE).run();
            assert!(matches!(ran.code, Some(0..=3)), "{:?}: {}", ran.code, ran.stderr);
            ran.code == Some(0)
        });
        let completed = ended.count();
        over.store(true, Ordering::Relaxed);
        completed
    });
    let unhurt = outside(&run) == before;
    let row = Row::new(14, "path confinement: a racing renamer", "0 bytes outside");
    let swaps = swaps.into_inner();
    let figure = format!(
        "{swaps} swaps beside {rounds} runs, {completed} of them complete; outside {}",
        if unhurt { "as it was" } else { "CHANGED" }
    );
    row.saw(figure, unhurt);
}

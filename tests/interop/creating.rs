//! What `rtor create` makes, beside what others make of the same content, and in their hands.

use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{Client, Content, Job, KIB, MIB, Net, Rtor, Torrent, Version};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const SEEDER: &str = "10.77.0.3";
const LEECH: &str = "10.77.0.4";

/// A format as rtor's options say it.
const FORMATS: [(Version, &[&str]); 4] = [
    (Version::V1, &[]),
    (Version::Padded, &["--pad"]),
    (Version::V2, &["--format", "v2"]),
    (Version::Hybrid, &["--format", "hybrid"]),
];

/// Has rtor make the torrent of `content` in `folder`, with pieces of 32 KiB.
#[track_caller]
fn create(folder: &Path, content: &Content, args: &[&str]) -> (PathBuf, Value) {
    let file = folder.join("ours.torrent");
    let path = content.path();
    let run = Rtor::new(folder, ["create", "--piece-length", "32KiB", "--force", "-o"]);
    let run = run.args([&file, &path]).args(args).run().exited(0);
    (file, run.json()["torrent"].clone())
}

#[track_caller]
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|why| panic!("{program}: {why}: run scripts/parts"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text}{said}");
    text
}

/// The v1 info hash of somebody's file.
#[track_caller]
fn hash_of(folder: &Path, file: &Path) -> Value {
    let run = Rtor::new(folder, [Path::new("decode"), file]);
    run.run().exited(0).json()["torrent"]["info_hash_v1"].clone()
}

#[test]
fn libtorrent_makes_the_same_torrent_in_each_format() {
    let net = Net::new();
    let folder = net.folder("source");
    let files =
        |name: &str, files: &[(&str, u64)]| Content::files(&folder, name, files.iter().copied(), 3);
    let contents = [
        Content::odd_files(&folder),
        Content::file(&folder, "one block.bin", 1, 1),
        Content::file(&folder, "one piece.bin", 32 * KIB, 1),
        Content::file(&folder, "one.bin", 70_001, 1),
        files("alone", &[("a", 70_001)]),
        files("beside nothing", &[("a", 70_001), ("b", 0)]),
        files("behind nothing", &[("a", 0), ("b", 70_001), ("c/d", 0), ("c/e", 32 * KIB)]),
        files("all whole", &[("a", 32 * KIB), ("b", 64 * KIB)]),
        files("wide", &[("a", MIB), ("b", 33 * 32 * KIB), ("c", 31 * 32 * KIB + 16_385)]),
    ];
    for content in &contents {
        for (version, args) in FORMATS {
            let theirs = Torrent::of(content).version(version).make(&folder.join("theirs.torrent"));
            let (_, ours) = create(&folder, content, args);
            let hashes = [ours["info_hash_v1"].as_str(), ours["info_hash_v2"].as_str()];
            let due = [theirs.info_hash_v1(), theirs.info_hash_v2()];
            assert_eq!(hashes, due, "{} {version:?}", content.name());
        }
    }
}

/// libtorrent 2.1 makes a hybrid of these names that it refuses itself: its lists are in two orders.
#[test]
fn names_that_sort_between_a_folder_and_what_is_in_it_make_a_hybrid_that_libtorrent_loads() {
    let net = Net::new();
    let folder = net.folder("source");
    let names = [("d/a", 100), ("d-1/q", 200), ("d.x", 300), ("B", 40_000), ("d/e", 0)];
    let content = Content::files(&folder, "between", names, 5);
    for (version, args) in FORMATS {
        let (file, ours) = create(&folder, &content, args);
        let again = Torrent::like(&file).make(&folder.join("again.torrent"));
        assert_eq!(again.info_hash_v1(), ours["info_hash_v1"].as_str(), "{version:?}");
        assert_eq!(again.info_hash_v2(), ours["info_hash_v2"].as_str(), "{version:?}");
    }
}

#[test]
fn mktorrent_makes_the_same_torrent() {
    let net = Net::new();
    let folder = net.folder("source");
    let contents = [
        Content::file(&folder, "one.bin", 3 * MIB + 1, 1),
        Content::files(&folder, "d", [("a b", 70_000), ("b/c/d", 5), ("e", 0), ("z", 33_000)], 2),
    ];
    for content in &contents {
        for (theirs, ours) in [
            (&[][..], &[][..]),
            (
                &["-p", "-s", "SRC", "-n", "other"],
                &["--private", "--source", "SRC", "--name", "other"],
            ),
        ] {
            let file = folder.join("theirs.torrent");
            let _ = std::fs::remove_file(&file);
            let path = content.path();
            let (to, from) = (file.to_str().expect("UTF-8"), path.to_str().expect("UTF-8"));
            let plain = ["-a", "http://t/announce", "-l", "15", "-d", "-o", to];
            output("mktorrent", &[&plain[..], theirs, &[from]].concat());
            let (_, made) = create(&folder, content, ours);
            assert_eq!(
                made["info_hash_v1"],
                hash_of(&folder, &file),
                "{} {ours:?}",
                content.name()
            );
        }
    }
}

/// Only private ones: in others it says that they are not, which nobody else does. And only names
/// that sort alike with case and without.
#[test]
fn transmission_makes_the_same_torrent() {
    let net = Net::new();
    let folder = net.folder("source");
    let contents = [
        Content::file(&folder, "one.bin", 3 * MIB + 1, 1),
        Content::files(&folder, "d", [("a b", 70_000), ("b/c/d", 5), ("e", 9), ("z", 33_000)], 2),
    ];
    for content in &contents {
        let file = folder.join("theirs.torrent");
        let path = content.path();
        let (to, from) = (file.to_str().expect("UTF-8"), path.to_str().expect("UTF-8"));
        output("transmission-create", &["-p", "-s", "32", "-t", "http://t/a", "-o", to, from]);
        let (_, made) = create(&folder, content, &["--private"]);
        assert_eq!(made["info_hash_v1"], hash_of(&folder, &file), "{}", content.name());
    }
}

#[test]
fn transmission_aria2_and_libtorrent_read_what_was_made() {
    let net = Net::new();
    let folder = net.folder("source");
    let content = Content::odd_files(&folder);
    let options = [
        "--tracker",
        "http://t.example/announce,udp://u.example:1",
        "--tracker",
        "http://second.example/announce",
        "--web-seed",
        "http://w.example/",
        "--comment",
        "a comment",
        "--source",
        "S",
        "--date",
        "1700000000",
        "--node",
        "n.example:6881",
    ];
    for (version, args) in FORMATS {
        let (file, ours) = create(&folder, &content, &[args, &options].concat());
        let path = file.to_str().expect("UTF-8");
        let again = Torrent::like(&file).make(&folder.join("again.torrent"));
        assert_eq!(again.info_hash_v1(), ours["info_hash_v1"].as_str());
        assert_eq!(again.info_hash_v2(), ours["info_hash_v2"].as_str());
        // Debian's two know nothing of v2. Nor does a hybrid keep its hash in aria2, which encodes it
        // again, or get into Transmission 3.00; libtorrent's do not either.
        let Some(hash) = ours["info_hash_v1"].as_str().filter(|_| version != Version::Hybrid)
        else {
            continue;
        };
        let shown = output("transmission-show", &[path]);
        for part in [hash, "http://t.example/announce", "a comment", "Piece Count"] {
            assert!(shown.contains(part), "{version:?}: `{part}` in {shown}");
        }
        let shown = output("aria2c", &["--no-conf", "--show-files", path]);
        for part in [hash, "second.example", "000 söng.mp3"] {
            assert!(shown.contains(part), "{version:?}: `{part}` in {shown}");
        }
    }
}

/// `seeder` seeds what was made, and `leech` gets it from there alone.
#[track_caller]
fn carries(args: &[&str], seeder: Client, leech: Client) {
    let net = Net::new();
    let content = Content::odd_files(&net.folder("source"));
    let (file, _) = create(&net.folder("torrents"), &content, args);
    let torrent = Torrent::like(&file).make(&file.with_file_name("x.torrent"));
    let seeder = seeder.start(&net, SEEDER, &Job::seed(&torrent, &content));
    let into = net.folder("leech");
    let leech = leech.start(&net, LEECH, &Job::leech(&torrent, &into).peer(seeder.addr()));
    complete(&*leech, PATIENCE);
    drop(leech);
    same(&content.path(), &into.join(content.name()));
}

#[test]
fn transmission_seeds_what_was_made_to_libtorrent() {
    carries(&[], Client::Transmission, Client::Libtorrent);
}

#[test]
fn libtorrent_seeds_a_v2_torrent_to_libtorrent() {
    carries(&["--format", "v2"], Client::Libtorrent, Client::Libtorrent);
}

#[test]
fn libtorrent_seeds_a_hybrid_to_libtorrent() {
    carries(&["--format", "hybrid"], Client::Libtorrent, Client::Libtorrent);
}

#[test]
fn rtor_gets_a_hybrid_of_its_own_from_libtorrent() {
    let net = Net::new();
    let content = Content::odd_files(&net.folder("source"));
    let (file, ours) = create(&net.folder("torrents"), &content, &["--format", "hybrid"]);
    let torrent = Torrent::like(&file).make(&file.with_file_name("x.torrent"));
    let seeder = Client::Libtorrent.start(&net, SEEDER, &Job::seed(&torrent, &content));
    let run = net.folder("run");
    let peer = seeder.addr().to_string();
    let args = ["get", file.to_str().expect("UTF-8"), "--output", "out", "--peer", &peer];
    let ran = Rtor::new(&run, args).within(&net).run().exited(0);
    assert_eq!(ran.json()["fetch"]["of"], ours["piece_count"]);
    same(&content.path(), &run.join("out").join(content.name()));
}

//! `rtor create`: the same torrent that libtorrent makes, and the same one each time.

use crate::harness::parts::fixtures;
use crate::harness::{Content, Rtor, Torrent};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// The content of `fixtures/metainfo/make.py`.
fn content() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, length, seed) in [
        ("tree/a.bin", 70000_usize, 1),
        ("tree/b/c.bin", 20000, 2),
        ("tree/b/empty", 0, 3),
        ("tree/run.sh", 300, 6),
        ("tree/z.bin", 16384, 4),
        ("one.bin", 50000, 5),
    ] {
        let bytes: Vec<u8> =
            (0..length).map(|i| ((i * 31 + seed + (i >> 8) * 7) % 256) as u8).collect();
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, bytes).expect("a file");
        let mode = if path.extension().is_some_and(|end| end == "sh") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    }
    folder
}

fn create(folder: &Path, args: &[&str]) -> Rtor {
    Rtor::new(folder, ["create"]).args(args)
}

#[track_caller]
fn hash(run: &Rtor) -> String {
    run.run().exited(0).json()["torrent"]["info_hash_v1"].as_str().expect("v1").to_owned()
}

#[test]
fn info_hashes_are_those_of_libtorrent_for_the_same_content() {
    // As make.py printed them for tree-v1.torrent and one-v1.torrent.
    let content = content();
    for (path, due) in [
        ("tree", "a47495c1ec45b6e0e066912924c85271be36f883"),
        ("one.bin", "fb2def5ef5a512f9d192cd2b786e39f12d852534"),
    ] {
        let run = create(content.path(), &[path, "-o", "made.torrent", "--piece-length", "32KiB"]);
        assert_eq!(hash(&run), due, "{path}");
    }
}

#[test]
fn torrents_that_nobody_here_made_are_made_again_from_their_content() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, due) in [
        ("numbers", "89d97c2261a21b040cf11caa661a3ba7233bb7e6"),
        ("folder", "b88da2caac6648e6c7d7687e3f89085f7e230e6b"),
        ("lots-of-numbers", "114ead6243792ba56297edbb9a78dfba84d4fc00"),
    ] {
        let content = fixtures().join(name);
        let content = content.to_str().expect("a plain path");
        let run = create(folder.path(), &[content, "-o", "made.torrent"]);
        assert_eq!(hash(&run), due, "{name}");
    }
}

#[test]
fn two_hundred_odd_files_and_odd_names_make_libtorrents_torrent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let content = Content::odd_files(folder.path());
    let theirs = Torrent::of(&content).piece_length(65536).make(&folder.path().join("l.torrent"));
    let args = [content.name(), "-o", "made.torrent", "--piece-length", "64KiB"];
    let ours = hash(&create(folder.path(), &args));
    assert_eq!(Some(&*ours), theirs.info_hash_v1());
    let verified = Rtor::new(folder.path(), ["verify", "made.torrent", "--data", content.name()]);
    assert_eq!(verified.run().exited(0).json()["verify"]["bad"], 0);
}

#[test]
fn what_is_made_is_the_same_bytes_each_time_and_has_no_date() {
    let content = content();
    let run = create(content.path(), &["tree", "-o", "-"]);
    let first = run.run().exited(0).stdout;
    assert_eq!(run.run().exited(0).stdout, first);
    let find = |what: &[u8]| first.windows(what.len()).any(|window| window == what);
    assert!(!find(b"creation date"));
    let dated = create(content.path(), &["tree", "-o", "-", "--date", "1970-01-02T00:00:00Z"]);
    let dated = Rtor::new(content.path(), ["decode"]).stdin(dated.run().exited(0).stdout);
    assert_eq!(dated.run().exited(0).json()["torrent"]["creation_date"], 86400);
}

#[test]
fn options_reach_the_torrent() {
    let content = content();
    let run = create(
        content.path(),
        &[
            "one.bin",
            "-o",
            "x.torrent",
            "--tracker",
            "http://a/,http://b/",
            "--tracker",
            "udp://c:1",
            "--private",
            "--comment",
            "c",
            "--source",
            "S",
            "--web-seed",
            "http://w/",
        ],
    );
    let printed = run.run().exited(0).json();
    let read = Rtor::new(content.path(), ["decode", "x.torrent"]).run().exited(0).json();
    assert_eq!(printed, read, "the manifest that create prints is that of the file");
    let torrent = &read["torrent"];
    assert_eq!(torrent["trackers"], serde_json::json!([["http://a/", "http://b/"], ["udp://c:1"]]));
    assert_eq!(torrent["private"], true);
    assert_eq!(torrent["comment"], "c");
    assert_eq!(torrent["source"], "S");
    assert_eq!(torrent["web_seeds"], serde_json::json!(["http://w/"]));
    let plain = create(content.path(), &["one.bin", "-o", "y.torrent", "--private"]);
    assert_ne!(torrent["info_hash_v1"], hash(&plain), "a source makes it another torrent");
}

#[test]
fn files_are_chosen_by_name_path_and_folder() {
    let content = content();
    for (args, due) in [
        (&["--include", "*.bin"][..], &["tree/a.bin", "tree/b/c.bin", "tree/z.bin"][..]),
        (&["--include", "b/*.bin"], &["tree/b/c.bin"]),
        (&["--exclude", "b"], &["tree/a.bin", "tree/run.sh", "tree/z.bin"]),
        (&["--include", "*.bin", "--exclude", "a.*"], &["tree/b/c.bin", "tree/z.bin"]),
    ] {
        let run = create(content.path(), &["tree", "-o", "x.torrent"]).args(args);
        let made = run.run().exited(0).json();
        let files = made["torrent"]["files"].as_array().expect("a list").iter();
        let paths: Vec<&str> = files.map(|file| file["path"].as_str().expect("a path")).collect();
        assert_eq!(paths, due, "{args:?}");
    }
}

#[test]
fn a_torrent_inside_the_folder_is_not_a_part_of_it() {
    let content = content();
    let run = create(content.path(), &["tree", "-o", "tree/tree.torrent"]);
    assert_eq!(hash(&run), hash(&run));
}

#[test]
fn nothing_is_overwritten_unless_it_is_named() {
    let content = content();
    let run = create(content.path(), &["one.bin"]);
    run.run().exited(0);
    let made = fs::read(content.path().join("one.bin.torrent")).expect("it was written");
    let why = run.run().refused();
    assert!(why.contains("exists already"), "{why}");
    create(content.path(), &["one.bin", "-o", "one.bin.torrent", "--private"]).run().exited(0);
    assert_ne!(fs::read(content.path().join("one.bin.torrent")).expect("it is there"), made);
}

#[test]
fn what_can_not_be_a_torrent_is_refused() {
    let content = content();
    for (args, part) in [
        (&["nowhere"][..], "there is no"),
        (&["tree/b/empty"], "no content"),
        (&["tree", "--include", "*.mkv"], "no content"),
        (&["tree", "--include", "["], "no pattern"),
        (&["tree", "--piece-length", "16K"], "`16000`"),
        (&["tree", "--piece-length", "1GiB"], "`1073741824`"),
        (&["tree", "--piece-length", "8KiB"], "`8192`"),
    ] {
        let why = create(content.path(), args).run().refused();
        assert!(why.contains(part), "{args:?}: {why}");
    }
    let left = fs::read_dir(content.path()).expect("a folder").map(|e| e.expect("an entry"));
    let torrents = left.filter(|e| e.path().extension().is_some_and(|end| end == "torrent"));
    assert_eq!(torrents.count(), 0, "nothing was written");
}

//! `rtor create`: the same torrent that libtorrent makes, and the same one each time.

use crate::harness::parts::{fixtures, project};
use crate::harness::{Content, Rtor, Torrent};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
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
        let run = create(content.path(), &[path, "--dry-run", "--piece-length", "32KiB"]);
        assert_eq!(hash(&run), due, "{path}");
    }
}

#[test]
fn in_each_format_it_is_what_libtorrent_made_of_the_same_content() {
    let content = content();
    for (path, format) in
        [("tree", "v2"), ("tree", "hybrid"), ("one.bin", "v2"), ("one.bin", "hybrid")]
    {
        let theirs = format!("{}-{format}.torrent", path.trim_end_matches(".bin"));
        let theirs = fs::read(project("tests/fixtures/metainfo").join(theirs)).expect("a fixture");
        let theirs = Rtor::new(content.path(), ["decode"]).stdin(theirs).run().exited(0).json();
        let args = [path, "--dry-run", "--piece-length", "32KiB", "--format", format];
        let ours = create(content.path(), &args).run().exited(0).json();
        for part in ["info", "piece_layers", "info_hash_v1", "info_hash_v2", "files"] {
            assert_eq!(ours["torrent"][part], theirs["torrent"][part], "{path} {format}: {part}");
        }
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
        let run = create(folder.path(), &[content, "--dry-run"]);
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
            "--name",
            "other name",
        ],
    );
    let printed = run.run().exited(0).json();
    let read = Rtor::new(content.path(), ["decode", "x.torrent"]).run().exited(0).json();
    assert_eq!(printed, read, "the manifest that create prints is that of the file");
    let torrent = &read["torrent"];
    assert_eq!(torrent["trackers"], serde_json::json!([["http://a/", "http://b/"], ["udp://c:1"]]));
    assert_eq!(torrent["private"], true);
    assert_eq!(torrent["name"], "other name");
    assert_eq!(torrent["files"][0]["path"], "other name");
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
        let run = create(content.path(), &["tree", "--dry-run"]).args(args);
        let made = run.run().exited(0).json();
        let files = made["torrent"]["files"].as_array().expect("a list").iter();
        let paths: Vec<&str> = files.map(|file| file["path"].as_str().expect("a path")).collect();
        assert_eq!(paths, due, "{args:?}");
    }
}

#[test]
fn a_torrent_inside_the_folder_is_not_a_part_of_it() {
    let content = content();
    let run = create(content.path(), &["tree", "-o", "tree/tree.torrent", "--force"]);
    assert_eq!(hash(&run), hash(&run));
}

#[test]
fn nothing_is_replaced_unless_that_is_said() {
    let content = content();
    let at = |name: &str| content.path().join(name);
    create(content.path(), &["one.bin"]).run().exited(0);
    let made = fs::read(at("one.bin.torrent")).expect("it was written");
    for args in [&["one.bin"][..], &["tree", "-o", "one.bin.torrent"]] {
        let why = create(content.path(), args).run().refused();
        assert!(why.contains("/one.bin.torrent` exists already"), "{why}");
        assert!(why.contains("--force"), "{why}");
        assert_eq!(fs::read(at("one.bin.torrent")).expect("it is there"), made);
    }
    create(content.path(), &["one.bin", "--private", "--force"]).run().exited(0);
    assert_ne!(fs::read(at("one.bin.torrent")).expect("it is there"), made);
    // As `mktemp` leaves it: nothing is lost.
    fs::write(at("empty"), b"").expect("a file");
    create(content.path(), &["one.bin", "-o", "empty"]).run().exited(0);
    assert_eq!(fs::read(at("empty")).expect("it is there"), made);
    for (output, part) in [("tree", "is a folder"), ("nowhere/x.torrent", "there is no folder `")] {
        let why = create(content.path(), &["one.bin", "-o", output, "--force"]).run().refused();
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn a_dry_run_tells_all_and_writes_nothing() {
    let content = content();
    let dry = create(content.path(), &["one.bin", "--dry-run"]).run().exited(0).json();
    assert!(!content.path().join("one.bin.torrent").exists());
    assert_eq!(dry, create(content.path(), &["one.bin"]).run().exited(0).json());
}

#[test]
fn what_can_not_be_a_torrent_is_refused() {
    let content = content();
    fs::create_dir_all(content.path().join("hollow/inside")).expect("folders");
    fs::create_dir(content.path().join("same")).expect("a folder");
    fs::write(content.path().join("same/same"), b"1").expect("a file");
    for (args, part) in [
        (&["nowhere"][..], "there is no"),
        (&["tree/b/empty"], "no content"),
        (&["tree", "--include", "*.mkv"], "no content"),
        (&["tree", "--include", "["], "no pattern"),
        (&["tree", "--piece-length", "16K"], "`16000`"),
        (&["tree", "--piece-length", "1GiB"], "`1073741824`"),
        (&["tree", "--piece-length", "8KiB"], "`8192`"),
        (&["tree", "--piece-length", "48KiB"], "`49152`"),
        (&["hollow"], "no content"),
        (&["tree", "--name", "a/b"], "no name of a file"),
        (&["tree", "--name", ".."], "no name of a file"),
        (&["same", "--format", "v2"], "`same/same`"),
    ] {
        let why = create(content.path(), args).run().refused();
        assert!(why.contains(part), "{args:?}: {why}");
    }
    let left = fs::read_dir(content.path()).expect("a folder").map(|e| e.expect("an entry"));
    let torrents = left.filter(|e| e.path().extension().is_some_and(|end| end == "torrent"));
    assert_eq!(torrents.count(), 0, "nothing was written");
}

#[test]
fn words_that_mean_nothing_are_refused() {
    let content = content();
    for (args, part) in [
        (&["tree", "--tracker", "tracker.example"][..], "`tracker.example` is no URL"),
        (&["tree", "--tracker", ","], "no tracker in it"),
        (&["tree", "--web-seed", "udp://w:1"], "`udp://w:1` is no URL"),
        (&["tree", "--node", "node.example"], "no host with a port"),
        (&["tree", "--node", "a:1", "--private"], "--private"),
        (&["tree", "--format", "v3"], "'v3'"),
        (&["tree", "--threads", "0"], "'0'"),
        (&["tree", "--date", "yesterday"], "`yesterday`"),
    ] {
        let ran = create(content.path(), args).run().exited(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn nodes_and_the_maker_stand_in_it_if_they_are_to() {
    let content = content();
    let nodes = ["--node", "router.example:6881", "--node", "[2001:db8::1]:80"];
    let made = create(content.path(), &["one.bin", "--dry-run"]).args(nodes).run().exited(0).json();
    let due = serde_json::json!([["router.example", 6881], ["2001:db8::1", 80]]);
    assert_eq!(made["torrent"]["nodes"], due);
    assert_eq!(made["torrent"]["created_by"], concat!("rtor/", env!("CARGO_PKG_VERSION")));
    let silent = create(content.path(), &["one.bin", "-o", "-", "--no-created-by"]).run().exited(0);
    assert!(silent.stdout.starts_with(b"d4:infod"));
}

#[test]
fn it_is_the_same_bytes_from_any_number_of_threads_and_any_order_on_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files: Vec<(String, Vec<u8>)> =
        (0..60_usize).map(|i| (format!("{}/{i}.bin", i % 7), vec![i as u8; i * i * 211])).collect();
    for copy in ["a", "b"] {
        for (path, bytes) in &files {
            let path = folder.path().join(copy).join("top").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, bytes).expect("a file");
        }
        files.reverse();
    }
    for format in ["v1", "v2", "hybrid"] {
        let of = |path: &str, threads: &str| {
            let args = [path, "-o", "-", "--format", format, "--threads", threads];
            create(folder.path(), &args).run().exited(0).stdout
        };
        let first = of("a/top", "1");
        for (path, threads) in [("a/top", "2"), ("a/top", "7"), ("b/top", "3")] {
            assert!(of(path, threads) == first, "{format}: {path} on {threads} threads");
        }
    }
}

#[test]
fn hidden_files_are_files_and_links_are_what_they_lead_to() {
    let content = content();
    let at = |name: &str| content.path().join("tree").join(name);
    fs::create_dir(at(".git")).expect("a folder");
    fs::write(at(".git/config"), b"c").expect("a file");
    fs::write(at("b/.hidden"), b"h").expect("a file");
    std::os::unix::fs::symlink("../one.bin", at("link")).expect("a link");
    let paths = |args: &[&str]| -> Vec<String> {
        let made = create(content.path(), &["tree", "--dry-run"]).args(args).run().exited(0).json();
        let files = made["torrent"]["files"].as_array().expect("a list").iter();
        files.map(|file| file["path"].as_str().expect("a path")[5..].to_owned()).collect()
    };
    let all =
        [".git/config", "a.bin", "b/.hidden", "b/c.bin", "b/empty", "link", "run.sh", "z.bin"];
    assert_eq!(paths(&[]), all);
    let shown = ["a.bin", "b/c.bin", "b/empty", "link", "run.sh", "z.bin"];
    assert_eq!(paths(&["--exclude", ".*"]), shown);
    // Nor is what is left out looked at.
    std::os::unix::fs::symlink("nowhere", at(".git/broken")).expect("a link");
    assert_eq!(paths(&["--exclude", ".*"]), shown);
    let said = create(content.path(), &["tree", "--dry-run"]).run().exited(3).stderr;
    assert!(said.contains("tree/.git/broken`: No such file"), "{said}");
}

#[test]
fn names_that_are_not_utf8_stay_as_they_are_and_are_warned_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    fs::create_dir(folder.path().join("top")).expect("a folder");
    fs::write(folder.path().join("top").join(name), b"1").expect("a file");
    for format in ["v1", "v2", "hybrid"] {
        let ran = create(folder.path(), &["top", "--dry-run", "--format", format]).run().exited(0);
        let file = &ran.json()["torrent"]["files"][0];
        assert_eq!(file["path"], "top/caf\u{fffd}.txt");
        assert_eq!(file["path_bytes"], "dG9wL2NhZukudHh0");
        assert!(
            ran.stderr.starts_with("warning: `top/caf\u{fffd}.txt` has a name"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        let quiet = create(folder.path(), &["top", "--dry-run", "-q"]).run().exited(0);
        assert_eq!(quiet.stderr, "");
    }
}

/// A file of the kernel's says it has a page, and gives less.
#[test]
fn a_file_that_is_not_what_it_was_is_the_world_s_failure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("top")).expect("a folder");
    std::os::unix::fs::symlink("/sys/devices/system/cpu/online", folder.path().join("top/cpus"))
        .expect("a link");
    let ran = create(folder.path(), &["top"]).run().exited(3);
    let said = "/top/cpus`: it changed while it was hashed\n";
    assert!(ran.stderr.ends_with(said) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    assert!(ran.stdout.is_empty() && !folder.path().join("top.torrent").exists());
}

#[test]
fn a_hundred_thousand_files_are_no_trouble() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for i in 0..100_000_usize {
        let path = folder.path().join(format!("top/{:03}/{i}", i % 500));
        if i < 500 {
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        }
        fs::write(path, &i.to_le_bytes()[..i % 9]).expect("a file");
    }
    let made = create(folder.path(), &["top"]).run().exited(0);
    assert_eq!(made.json()["torrent"]["files"].as_array().expect("a list").len(), 100_000);
    let verified = Rtor::new(folder.path(), ["verify", "top.torrent", "--data", "top"]);
    assert_eq!(verified.run().exited(0).json()["verify"]["bad"], 0);
}

/// The table of docs/CREATE.md: up to so much content, pieces of so many bytes.
#[test]
fn the_table_of_piece_lengths_is_true() {
    let text = fs::read_to_string(project("docs/CREATE.md")).expect("a document");
    let rows: Vec<(f64, u64)> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| up to ")?.split(" | ");
            Some((bytes(cells.next()?), bytes(cells.next()?) as u64))
        })
        .collect();
    assert_eq!(rows.len(), 10);
    for (most, length) in rows {
        let suited = |total: f64| u64::from(rtor::torrent::piece_length::suited(total as u64));
        assert_eq!(suited(most * 0.99), length, "just below {most}");
        assert_eq!(suited(most * 1.01), 2 * length, "just above {most}");
    }
}

fn bytes(text: &str) -> f64 {
    let (number, unit) = text.trim().split_once(' ').expect("a number and its unit");
    let power = ["KiB", "MiB", "GiB", "TiB"].iter().position(|known| *known == unit);
    let power = power.expect("a unit") as i32 + 1;
    number.replace(',', "").parse::<f64>().expect("a number") * 1024_f64.powi(power)
}

//! `rtor decode`, and `rtor magnet`, which says the same in one line.
//!
//! What libtorrent made (`fixtures/metainfo`, hashes as it printed them) and what nobody here
//! made (`webtorrent-fixtures`) is held against what we read out of it.

use crate::harness::parts::{fixtures, project};
use crate::harness::{Ran, Rtor};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn made(name: &str) -> PathBuf {
    project("tests/fixtures/metainfo").join(name)
}

fn decode(source: impl AsRef<Path>) -> Ran {
    Rtor::new(folder().path(), [Path::new("decode"), source.as_ref()]).run()
}

fn torrent(source: impl AsRef<Path>) -> Value {
    decode(source).exited(0).json()["torrent"].take()
}

#[test]
fn info_hashes_are_those_that_libtorrent_says() {
    let cases = [
        ("one-v1", Some("fb2def5ef5a512f9d192cd2b786e39f12d852534"), None),
        ("tree-v1", Some("a47495c1ec45b6e0e066912924c85271be36f883"), None),
        ("one-v2", None, Some("e98f532a4a311316fcf481d051db9bf3fee990d7819d55ab83619027800d4417")),
        ("tree-v2", None, Some("8d3fde1eb40e468fe7b8de6c3389230c973042b2f5f4eb7026e92e1deeb62247")),
        (
            "one-hybrid",
            Some("86b036240cd9d2c45131b1277849c4b5244b613b"),
            Some("148b86f982cf56f16e024c84587f8ce5355b028b6a27678d994cd497526869fc"),
        ),
        (
            "tree-hybrid",
            Some("860cd95791b9e56f058882159d4979f2559d8dec"),
            Some("65749312c8d3bd8bd66ba359ebd3d7f88d48f6548f348604f896bf7a219fb3f1"),
        ),
    ];
    for (name, v1, v2) in cases {
        let torrent = torrent(made(&format!("{name}.torrent")));
        assert_eq!(torrent["info_hash_v1"], json!(v1), "{name}");
        assert_eq!(torrent["info_hash_v2"], json!(v2), "{name}");
    }
}

/// Paths, lengths, offsets and padding of the files.
fn files(torrent: &Value) -> Vec<(String, u64, u64, bool)> {
    let number = |value: &Value| value.as_u64().expect("a number");
    let file = |file: &Value| {
        let path = file["path"].as_str().expect("a path").to_owned();
        (path, number(&file["length"]), number(&file["offset"]), file["pad"] == true)
    };
    torrent["files"].as_array().expect("a list").iter().map(file).collect()
}

#[track_caller]
fn laid_out(name: &str, pieces: u64, due: &[(&str, u64, u64, bool)]) {
    let torrent = torrent(made(name));
    let due: Vec<_> = due.iter().map(|(p, l, o, pad)| ((*p).to_owned(), *l, *o, *pad)).collect();
    assert_eq!(files(&torrent), due);
    assert_eq!(torrent["piece_count"], pieces);
    assert_eq!(torrent["total_length"], due.iter().map(|file| file.1).sum::<u64>());
}

#[test]
fn v1_files_follow_each_other() {
    laid_out(
        "tree-v1.torrent",
        4,
        &[
            ("tree/a.bin", 70000, 0, false),
            ("tree/b/c.bin", 20000, 70000, false),
            ("tree/b/empty", 0, 90000, false),
            ("tree/run.sh", 300, 90000, false),
            ("tree/z.bin", 16384, 90300, false),
        ],
    );
    laid_out("one-v1.torrent", 2, &[("one.bin", 50000, 0, false)]);
}

#[test]
fn v2_files_begin_at_pieces() {
    laid_out(
        "tree-v2.torrent",
        6,
        &[
            ("tree/a.bin", 70000, 0, false),
            ("tree/b/c.bin", 20000, 98304, false),
            ("tree/b/empty", 0, 131_072, false),
            ("tree/run.sh", 300, 131_072, false),
            ("tree/z.bin", 16384, 163_840, false),
        ],
    );
    laid_out("one-v2.torrent", 2, &[("one.bin", 50000, 0, false)]);
}

#[test]
fn a_hybrid_is_laid_out_as_v1_with_its_padding() {
    laid_out(
        "tree-hybrid.torrent",
        6,
        &[
            ("tree/a.bin", 70000, 0, false),
            ("tree/.pad/28304", 28304, 70000, true),
            ("tree/b/c.bin", 20000, 98304, false),
            ("tree/.pad/12768", 12768, 118_304, true),
            ("tree/b/empty", 0, 131_072, false),
            ("tree/run.sh", 300, 131_072, false),
            ("tree/.pad/32468", 32468, 131_372, true),
            ("tree/z.bin", 16384, 163_840, false),
            ("tree/.pad/16384", 16384, 180_224, true),
        ],
    );
}

#[test]
fn every_field_of_the_contract_is_there() {
    let torrent = torrent(made("tree-v1.torrent"));
    let keys: Vec<&str> = torrent.as_object().expect("an object").keys().map(|k| &**k).collect();
    assert_eq!(
        keys,
        [
            "name",
            "info_hash_v1",
            "info_hash_v2",
            "piece_length",
            "piece_count",
            "total_length",
            "private",
            "files",
            "trackers",
            "web_seeds",
            "nodes",
            "peers",
            "comment",
            "created_by",
            "creation_date",
            "source",
            "info",
            "piece_layers",
        ]
    );
    for (key, value) in [
        ("name", json!("tree")),
        ("piece_length", json!(32768)),
        ("private", json!(false)),
        ("trackers", json!([["udp://one.example:6969"], ["http://two.example/announce"]])),
        ("web_seeds", json!(["http://seed.example/"])),
        ("nodes", json!([["node.example", 6881]])),
        ("peers", json!([])),
        ("comment", json!("a comment")),
        ("created_by", json!("libtorrent")),
        ("creation_date", json!(1_700_000_000)),
        ("source", json!(null)),
        ("piece_layers", json!(null)),
    ] {
        assert_eq!(torrent[key], value, "{key}");
    }
    assert_eq!(torrent["files"][3]["executable"], true);
}

#[test]
fn torrents_that_nobody_here_made_have_the_hashes_they_are_known_by() {
    for (name, hash, pieces, files) in [
        ("alice", "722fe65b2aa26d14f35b4ad627d20236e481d924", 10, 1),
        ("bunny", "af8f10f30bf9aefecf3686922bfa0d5bd290a395", 830, 1),
        ("folder", "b88da2caac6648e6c7d7687e3f89085f7e230e6b", 1, 1),
        ("leaves", "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36", 23, 1),
        ("leaves-metadata", "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36", 23, 1),
        ("lots-of-numbers", "114ead6243792ba56297edbb9a78dfba84d4fc00", 1, 6),
        ("numbers", "89d97c2261a21b040cf11caa661a3ba7233bb7e6", 1, 3),
        ("sintel", "c334138ef5bfc2d568ea7324e0e2a3a7ec229bdd", 1310, 1),
    ] {
        let torrent = torrent(fixtures().join(format!("{name}.torrent")));
        assert_eq!(torrent["info_hash_v1"], hash, "{name}");
        assert_eq!(torrent["piece_count"], pieces, "{name}");
        assert_eq!(torrent["files"].as_array().map(Vec::len), Some(files), "{name}");
    }
}

#[test]
fn a_source_is_told_by_its_content_wherever_it_comes_from() {
    let folder = folder();
    let path = folder.path();
    let bytes = fs::read(made("tree-hybrid.torrent")).expect("a fixture");
    let whole = decode(made("tree-hybrid.torrent")).exited(0).stdout;
    fs::write(path.join("a.txt"), &bytes).expect("a file");
    fs::write(path.join("b.torrent"), &whole).expect("a file");
    let same = |run: Rtor| assert_eq!(run.run().exited(0).stdout, whole);
    same(Rtor::new(path, ["decode", "a.txt"]));
    same(Rtor::new(path, ["decode", "b.torrent"]));
    same(Rtor::new(path, ["decode", "-"]).stdin(bytes.clone()));
    same(Rtor::new(path, ["decode"]).stdin(bytes));
    same(Rtor::new(path, ["decode"]).stdin(whole.clone()));
    same(Rtor::new(path, ["decode"]).stdin([b"\xef\xbb\xbf \n".to_vec(), whole.clone()].concat()));
    // Without a pipe it is the store's manifest.
    fs::create_dir(path.join("pieces")).expect("a folder");
    fs::write(path.join("pieces/manifest.json"), &whole).expect("a file");
    same(Rtor::new(path, ["decode"]));
    same(Rtor::new(path, ["decode", "pieces"]));
}

#[test]
fn an_empty_pipe_is_not_the_stores_manifest() {
    let folder = folder();
    fs::create_dir(folder.path().join("pieces")).expect("a folder");
    let manifest = decode(made("one-v1.torrent")).exited(0).stdout;
    fs::write(folder.path().join("pieces/manifest.json"), manifest).expect("a file");
    let why = Rtor::new(folder.path(), ["decode"]).stdin("").run().refused();
    assert!(why.contains("stdin is empty"), "{why}");
}

#[test]
fn a_url_is_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x.torrent?key=1", listener.local_addr().expect("an address"));
    let body = fs::read(made("one-v1.torrent")).expect("a fixture");
    let served = std::thread::spawn(move || {
        let statuses = ["200 OK", "404 Not Found"];
        statuses.map(|status| {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 2048];
            let size = stream.read(&mut request).expect("a request");
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), &body].concat()).expect("a reply");
            String::from_utf8_lossy(&request[..size]).lines().next().unwrap_or_default().to_owned()
        })
    });
    assert_eq!(torrent(&url)["info_hash_v1"], "fb2def5ef5a512f9d192cd2b786e39f12d852534");
    let gone = decode(&url).exited(3);
    assert!(gone.stdout.is_empty());
    assert!(gone.stderr.contains("`404`"), "{}", gone.stderr);
    assert_eq!(served.join().expect("no panic")[0], "GET /x.torrent?key=1 HTTP/1.1");
}

#[test]
fn a_magnet_is_a_torrent_whose_info_is_not_known_yet() {
    let line = Rtor::new(folder().path(), [Path::new("magnet"), &made("tree-hybrid.torrent")]);
    let line = line.run().exited(0).text();
    assert_eq!(
        line,
        "magnet:?xt=urn:btih:860cd95791b9e56f058882159d4979f2559d8dec\
         &xt=urn:btmh:122065749312c8d3bd8bd66ba359ebd3d7f88d48f6548f348604f896bf7a219fb3f1\
         &dn=tree&tr=udp%3A%2F%2Fone.example%3A6969&tr=http%3A%2F%2Ftwo.example%2Fannounce\
         &ws=http%3A%2F%2Fseed.example%2F\n"
    );
    let torrent = torrent(line.trim());
    assert_eq!(torrent["info"], Value::Null);
    assert_eq!(torrent["piece_count"], Value::Null);
    assert_eq!(torrent["name"], "tree");
    assert_eq!(torrent["info_hash_v1"], "860cd95791b9e56f058882159d4979f2559d8dec");
    assert_eq!(torrent["trackers"].as_array().map(Vec::len), Some(2));
    let piped = Rtor::new(folder().path(), ["decode"]).stdin(line).run().exited(0).json();
    assert_eq!(piped["torrent"], torrent);
}

#[test]
fn a_bare_hash_is_a_source() {
    let v2 = "8d3fde1eb40e468fe7b8de6c3389230c973042b2f5f4eb7026e92e1deeb62247";
    assert_eq!(torrent(v2)["info_hash_v2"], v2);
    assert_eq!(torrent(v2.to_uppercase())["info_hash_v1"], Value::Null);
}

/// `d` + the pairs + `e`, keys and values as they stand.
fn dictionary(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"d".to_vec();
    for (key, value) in pairs {
        bytes.extend(format!("{}:{key}", key.len()).bytes());
        bytes.extend_from_slice(value);
    }
    bytes.push(b'e');
    bytes
}

#[test]
fn a_name_that_is_not_utf8_is_shown_with_its_bytes_beside_it() {
    let info = dictionary(&[
        ("files", b"ld6:lengthi3e4:pathl4:a\xffbceed6:lengthi3e4:pathl2:okeee"),
        ("name", b"1:x"),
        ("piece length", b"i16384e"),
        ("pieces", &[b"20:".as_slice(), &[b'h'; 20]].concat()),
    ]);
    let file = dictionary(&[("info", &info)]);
    let manifest = Rtor::new(folder().path(), ["decode"]).stdin(file).run().exited(0).json();
    let files = &manifest["torrent"]["files"];
    assert_eq!(files[0]["path"], "x/a\u{fffd}bc");
    assert_eq!(files[0]["path_bytes"], "eC9h/2Jj", "the base64 of x/a\\xffbc");
    assert_eq!(files[1].get("path_bytes"), None);
}

#[test]
fn a_hostile_name_reaches_no_terminal_raw() {
    let info = dictionary(&[
        ("length", b"i3e"),
        ("name", "11:a\u{1b}[2J\u{202e}b\u{9b}".as_bytes()),
        ("piece length", b"i16384e"),
        ("pieces", &[b"20:".as_slice(), &[b'h'; 20]].concat()),
    ]);
    let file = dictionary(&[("info", &info)]);
    for form in ["--table", "--json"] {
        let shown = Rtor::new(folder().path(), ["decode", form]).stdin(file.clone()).run();
        let shown = shown.exited(0).text();
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(steers), "{shown:?}");
        assert!(shown.contains("202e"), "{shown}");
    }
}

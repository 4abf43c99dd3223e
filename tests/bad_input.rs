//! Torrents, magnets and manifests that are none: each is refused with exit code 2, one sentence
//! that names what and where, nothing on stdout, in under a second and 100 MiB.

use crate::harness::parts::project;
use crate::harness::{MIB, Rtor};
use std::fs;
use std::path::Path;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The sentence with which `bytes` are refused.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    Rtor::new(folder().path(), ["decode"]).stdin(bytes).run().refused()
}

/// Checks that each of `cases` is refused with all parts of its sentence.
#[track_caller]
fn all_refused(cases: &[(Vec<u8>, &str, Option<usize>)]) {
    for (bytes, part, offset) in cases {
        let sentence = refused(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert!(sentence.starts_with("error: stdin: "), "{sentence}");
        assert!(sentence.contains(part), "{sentence}\nis not about {part}: {shown}");
        if let Some(offset) = offset {
            let place = format!(" at byte {offset}");
            assert!(sentence.ends_with(&place), "{sentence}\nis not{place}: {shown}");
        }
    }
}

/// A v1 torrent around an info dictionary that is said as it stands.
fn around(info: &str) -> Vec<u8> {
    format!("d4:infod{info}ee").into_bytes()
}

/// The byte of `around(info)` at which the last `part` begins.
fn place(info: &str, part: &str) -> Option<usize> {
    Some("d4:infod".len() + info.rfind(part).expect("the part is in it"))
}

const HASH: &str = "aaaaaaaaaaaaaaaaaaaa";

#[test]
fn what_is_no_bencode_is_refused_where_it_stops_being_some() {
    let sound = fs::read(project("tests/fixtures/metainfo/tree-v1.torrent")).expect("a fixture");
    let cut = |at: usize| sound[..at].to_vec();
    let middle = sound.len() / 2;
    all_refused(&[
        (b"x".to_vec(), "`x` where a value should begin", Some(0)),
        (b"<!DOCTYPE html>".to_vec(), "`<` where a value should begin", Some(0)),
        (vec![0; 100], "`\\x00` where a value should begin", Some(0)),
        (vec![0xff; 100], "`\\xff` where a value should begin", Some(0)),
        (cut(1), "the dictionary that begins at byte 0 does not end", Some(1)),
        (cut(middle), "truncated", None),
        (
            cut(sound.len() - 1),
            "the dictionary that begins at byte 0 does not end",
            Some(sound.len() - 1),
        ),
        (b"d4:infod4:name".to_vec(), "the dictionary that begins at byte 7 does not end", Some(14)),
        (b"d4:info".to_vec(), "the dictionary that begins at byte 0 does not end", Some(7)),
        (b"d4:infoe".to_vec(), "a key without a value", Some(7)),
        (b"di1ei2ee".to_vec(), "`i` where a key should begin", Some(1)),
        (b"d4:infoi--5ee".to_vec(), "a malformed integer", Some(7)),
        (b"d4:infoi1.5ee".to_vec(), "a malformed integer", Some(7)),
        (b"d4:infoiee".to_vec(), "a malformed integer", Some(7)),
        (b"d4:info3x:abce".to_vec(), "a malformed string length", Some(7)),
        (b"d-4:infodee".to_vec(), "`-` where a key should begin", Some(1)),
    ]);
}

#[test]
fn depths_and_lengths_beyond_all_measure_are_refused() {
    let digits = |n: usize| format!("d4:infoi{}ee", "9".repeat(n)).into_bytes();
    all_refused(&[
        (b"l".repeat(200_000), "nested deeper than 64 levels", Some(64)),
        (b"d1:a".repeat(200_000), "nested deeper than 64 levels", Some(256)),
        ([b"d4:info".to_vec(), b"l".repeat(200_000)].concat(), "nested deeper", Some(70)),
        (b"99999999999:abc".to_vec(), "a string of `99999999999` bytes with 3 left", Some(0)),
        (b"d4:info18446744073709551615:abc".to_vec(), "`18446744073709551615`", Some(7)),
        (b"d4:info18446744073709551616:abc".to_vec(), "`18446744073709551616`", Some(7)),
        (b"d4:info99999999999999999999999:abc".to_vec(), "malformed string length", Some(7)),
        (digits(65), "more than 64 digits", Some(7)),
        ([b"l".to_vec(), b"0:".repeat(3_000_000)].concat(), "more than 2097152 values", None),
    ]);
}

#[test]
fn bencode_that_is_no_torrent_is_refused() {
    all_refused(&[
        (b"le".to_vec(), "`a torrent` is a list, not a dictionary", Some(0)),
        (b"i42e".to_vec(), "`a torrent` is an integer, not a dictionary", Some(0)),
        (b"4:spam".to_vec(), "`a torrent` is a string, not a dictionary", Some(0)),
        (b"de".to_vec(), "no `info` in the torrent", Some(0)),
        (b"d8:announce3:u:/e".to_vec(), "no `info` in the torrent", Some(0)),
        (b"d4:infolee".to_vec(), "`info` is a list, not a dictionary", Some(7)),
        (b"d4:info2:dee".to_vec(), "`info` is a string, not a dictionary", Some(7)),
        (b"d4:infode4:infodee".to_vec(), "`info` stands twice", Some(15)),
        (around(""), "no `pieces`", Some(7)),
    ]);
}

#[test]
fn pieces_that_do_not_fit_are_refused() {
    let cases = [
        (
            "6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces19:aaaaaaaaaaaaaaaaaaa",
            "`pieces` has 19 bytes, no multiple of 20",
            "19:",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces0:",
            "`pieces` has 0 hashes for 1 pieces",
            "0:",
        ),
        (
            "6:lengthi16385e4:name1:x12:piece lengthi16384e6:pieces20:HASH",
            "`pieces` has 1 hashes for 2 pieces",
            "20:",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces40:HASHHASH",
            "`pieces` has 2 hashes for 1 pieces",
            "40:",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi16384e6:piecesle",
            "`pieces` is a list, not a string",
            "le",
        ),
        ("6:lengthi3e4:name1:x6:pieces20:HASH", "no `piece length` in the info dictionary", ""),
        (
            "6:lengthi3e4:name1:x12:piece length1:x6:pieces20:HASH",
            "`piece length` is a string, not an integer",
            "1:x6:pie",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi0e6:pieces20:HASH",
            "a piece length of 0 bytes",
            "i0e",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi-5e6:pieces20:HASH",
            "`piece length` is `-5`, below zero",
            "i-5e",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi4294967296e6:pieces20:HASH",
            "a piece length of 4294967296 bytes",
            "i4294967296e",
        ),
        (
            "6:lengthi3e4:name1:x12:piece lengthi99999999999999999999e6:pieces20:HASH",
            "`99999999999999999999`, beyond 64 bits",
            "i99999",
        ),
    ];
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(info, part, at)| {
            let info = info.replace("HASH", HASH);
            // No key, no place: the dictionary's own.
            let offset = if at.is_empty() { Some(7) } else { place(&info, at) };
            (around(&info), part, offset)
        })
        .collect();
    all_refused(&cases);
}

#[test]
fn lengths_that_can_not_be_are_refused() {
    let rest = format!("4:name1:x12:piece lengthi16384e6:pieces20:{HASH}");
    let cases = [
        ("", "neither `length` nor `files`", None),
        ("6:lengthi-1e", "`length` is `-1`, below zero", Some("i-1e")),
        ("6:length1:3", "`length` is a string, not an integer", Some("1:3")),
        ("6:lengthi0e", "no content", Some("i0e")),
        ("6:lengthi9223372036854775807e", "more than 4194304 pieces", Some("i9223")),
        ("6:lengthi9223372036854775808e", "`9223372036854775808`, beyond 64 bits", Some("i9223")),
        ("5:filesle", "the torrent lists no file", None),
        ("5:filesi1e", "`files` is an integer, not a list", Some("i1e")),
        ("5:filesli1ee", "`files` is an integer, not a dictionary", Some("i1e")),
        ("5:filesld6:lengthi1eee", "no `path` in a file's dictionary", Some("d6:length")),
        ("5:filesld4:pathl1:aeee", "no `length` in a file's dictionary", Some("d4:path")),
        ("5:filesld6:lengthi1e4:path1:aee", "`path` is a string, not a list", Some("1:aee")),
        ("5:filesld6:lengthi1e4:pathli1eeee", "`path` is an integer, not a string", Some("i1eeee")),
        (
            "5:filesld6:lengthi9223372036854775807e4:pathl1:aeed6:lengthi9223372036854775807e4:pathl1:beee",
            "more than 4194304 pieces",
            Some("ld6:"),
        ),
    ];
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(info, part, at)| {
            let info = format!("{info}{rest}");
            (around(&info), part, at.map_or(Some(7), |at| place(&info, at)))
        })
        .collect();
    all_refused(&cases);
}

#[test]
fn paths_that_climb_or_hide_are_refused() {
    let file = |path: &str| {
        format!(
            "5:filesld6:lengthi1e4:pathl{path}eee4:name1:x12:piece lengthi16384e6:pieces20:{HASH}"
        )
    };
    let named = |name: &str| {
        let name = format!("{}:{name}", name.len());
        format!("6:lengthi1e4:name{name}12:piece lengthi16384e6:pieces20:{HASH}")
    };
    let mut cases: Vec<(Vec<u8>, &str, Option<usize>)> = Vec::new();
    for (path, part) in [
        ("2:..", "unsafe path component `..`"),
        ("1:a2:..6:passwd", "unsafe path component `..`"),
        ("1:.", "unsafe path component `.`"),
        ("0:", "unsafe path component ``"),
        ("1:a0:1:b", "unsafe path component ``"),
        ("4:/etc", "unsafe path component `/etc`"),
        ("6:../../", "unsafe path component `../../`"),
        ("3:a/b", "unsafe path component `a/b`"),
        ("3:a\0b", "unsafe path component `a\\0b`"),
        ("", "an empty path"),
    ] {
        let info = file(path);
        cases.push((around(&info), part, place(&info, &format!("l{path}eee4:name"))));
    }
    for name in ["..", ".", "/etc/passwd", "a/../b"] {
        let info = named(name);
        let at = place(&info, &format!("{}:{name}", name.len()));
        cases.push((around(&info), "as the torrent's name", at));
    }
    let deep = "1:d".repeat(257);
    cases.push((around(&file(&deep)), "more than 256 components", None));
    all_refused(&cases);
}

#[test]
fn keys_that_stand_twice_in_the_info_dictionary_are_refused() {
    let info = format!("6:lengthi1e6:lengthi9e4:name1:x12:piece lengthi16384e6:pieces20:{HASH}");
    all_refused(&[(around(&info), "a key of `info` stands twice", Some(8 + 11))]);
}

/// `bytes` with the first `from` as `to`, of any length.
fn changed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn v2_that_contradicts_itself_is_refused() {
    let fixture =
        |name: &str| fs::read(project("tests/fixtures/metainfo").join(name)).expect("a fixture");
    let (v2, hybrid) = (fixture("tree-v2.torrent"), fixture("tree-hybrid.torrent"));
    let layers = v2.windows(14).position(|w| w == b"12:piece layer").expect("layers") + 15;
    let mut bent = v2.clone();
    // The last byte of the first layer: behind the dictionary's `d`, `32:`, the root, `96:`.
    let last = layers + 1 + 3 + 32 + 3 + 95;
    bent[last] ^= 1;
    let without_layers = [&v2[..layers - 15], b"e".as_slice()].concat();
    all_refused(&[
        (bent, "the piece layer of `tree/a.bin` does not hash to its root", Some(layers + 36)),
        (without_layers, "no `piece layers` for `tree/a.bin`", None),
        (
            changed(&v2, b"12:meta versioni2e", b"12:meta versioni3e"),
            "`meta version` is `i3e`",
            None,
        ),
        (changed(&v2, b"lengthi32768e", b"lengthi32769e"), "a power of two from 16384 on", None),
        (changed(&v2, b"11:pieces root32:", b"11:pieces roos32:"), "no `pieces root`", None),
        (changed(&v2, b"9:file tree", b"9:file tred"), "no `file tree`", None),
        (changed(&hybrid, b"lengthi16384e", b"lengthi16383e"), "different files", None),
        (changed(&hybrid, b"6:pieces", b"6:piecez"), "`files` of v1 without `pieces`", None),
    ]);
}

#[test]
fn magnets_that_name_no_torrent_are_refused() {
    for (uri, part) in [
        ("magnet:", "does not begin with `magnet:?`"),
        ("magnet:?dn=x", "without `xt="),
        ("magnet:?xt=urn:btih:xyz", "`urn:btih:xyz` is no info hash"),
        ("magnet:?xt=urn:btmh:1220abcd", "`urn:btmh:1220abcd` is no info hash"),
        ("0123456789abcdef", "no file"),
        ("nothing.torrent", "no file `nothing.torrent`"),
    ] {
        let sentence = Rtor::new(folder().path(), ["decode", uri]).run().refused();
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn manifests_that_are_none_are_refused() {
    let deep = format!("{{\"rtor\":1,\"x\":{}", "[".repeat(200_000));
    for (json, part) in [
        ("{", "no JSON"),
        ("{}", "no `\"rtor\": 1`"),
        ("{\"rtor\":1}", "`torrent` is malformed"),
        ("{\"rtor\":1,\"torrent\":{\"info_hash_v1\":\"x\"}}", "40 hexadecimal digits"),
        (&deep, "no JSON"),
    ] {
        let sentence = refused(json.as_bytes());
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn a_file_beyond_all_measure_is_refused_in_bounded_memory() {
    let folder = folder();
    let file = fs::File::create(folder.path().join("huge.torrent")).expect("a file");
    file.set_len(10 << 30).expect("a hole of 10 GiB");
    drop(file);
    let sentence = Rtor::new(folder.path(), ["decode", "huge.torrent"]).run().refused();
    assert!(sentence.contains("`huge.torrent`: "), "{sentence}");
    // As much as is read at all, and as many values as are counted.
    let mut most = b"d1:a".to_vec();
    most.extend(format!("{}:", 60 * MIB).bytes());
    most.resize(most.len() + 60 * MIB as usize, b'x');
    most.extend(b"1:bl");
    most.extend(b"le".repeat(3_000_000 / 2));
    fs::write(folder.path().join("most.torrent"), most).expect("a file");
    let sentence = Rtor::new(folder.path(), ["decode", "most.torrent"]).run().refused();
    assert!(sentence.contains("truncated"), "{sentence}");
}

#[test]
fn a_torrent_that_can_not_be_written_can_still_be_shown() {
    let info = format!(
        "5:filesld6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:aeee4:name1:x12:piece lengthi16384e6:pieces20:{HASH}"
    );
    let folder = folder();
    fs::write(folder.path().join("x.torrent"), around(&info)).expect("a file");
    let run = |args: &[&str]| Rtor::new(folder.path(), args).run();
    run(&["decode", "x.torrent"]).exited(0);
    fs::create_dir(folder.path().join("pieces")).expect("a folder");
    let sentence = run(&["assemble", "x.torrent", "--fill-missing"]).refused();
    assert!(sentence.contains("x/a"), "{sentence}");
    assert!(!Path::exists(&folder.path().join("x")), "nothing was written");
}

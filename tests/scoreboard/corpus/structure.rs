//! Files that are no bencode, or bencode that is no torrent.

use super::{Case, Verdict, around, changed, dictionary, fixture, integer, list, of, string, with};
use crate::harness::Chance;

const CLASS: &str = "structure";
const SEED: u64 = 1;

pub fn cases() -> Vec<Case> {
    let mut cases = cut();
    cases.extend(flipped());
    cases.extend(no_bencode());
    cases.extend(malformed());
    cases.extend(of(CLASS, Verdict::Refused, no_torrent()));
    cases.extend(odd());
    cases
}

/// Torrents that end too early.
fn cut() -> Vec<Case> {
    let cuts = |name: &'static str| {
        let whole = fixture(name);
        let at = move |part: usize| {
            let end = (whole.len() - 1) * part / 12;
            (format!("{name} cut at {end}"), whole[..end].to_vec())
        };
        (1..=12).map(at)
    };
    of(CLASS, Verdict::Refused, ["tree-v1", "tree-v2", "tree-hybrid"].into_iter().flat_map(cuts))
}

/// Torrents of which a byte is another: anything may come of it, but no harm.
fn flipped() -> Vec<Case> {
    let mut chance = Chance(SEED);
    let names = ["tree-v1", "tree-v2", "tree-hybrid", "one-v2"];
    let flip = |number: usize| {
        let name = names[number % names.len()];
        let mut bytes = fixture(name);
        let at = chance.below(bytes.len() as u64) as usize;
        bytes[at] = chance.below(256) as u8;
        (format!("{name} with another byte {at} ({number})"), bytes)
    };
    of(CLASS, Verdict::Either, (0..32).map(flip))
}

fn no_bencode() -> Vec<Case> {
    let files: [(&str, &[u8]); 16] = [
        ("nothing", b""),
        ("a blank", b" "),
        ("an end", b"e"),
        ("a page", b"<!DOCTYPE html><html><body>404</body></html>"),
        ("a gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03d4:infodee"),
        ("an ELF", b"\x7fELF\x02\x01\x01\x00"),
        ("zeros", &[0; 4096]),
        ("ones", &[0xff; 4096]),
        ("UTF-16", b"\xff\xfed\x004\x00:\x00i\x00n\x00f\x00o\x00"),
        ("39 digits", b"0123456789012345678901234567890123456789\xc3"),
        ("broken JSON", b"{\"rtor\": 1, \"torrent\": "),
        ("JSON", b"{\"info\": {}}"),
        ("a JSON list", b"[1, 2, 3]"),
        ("a magnet of nothing", b"magnet:?dn=x"),
        ("a mark and a torrent", b"\xef\xbb\xbfd4:infodee"),
        ("a shell script", b"#!/bin/sh\nrm -rf \"$HOME\"\n"),
    ];
    of(CLASS, Verdict::Refused, files.map(|(name, bytes)| (name, bytes.to_vec())))
}

/// Values that are none, each as `comment`, and others that end the dictionary wrongly.
fn malformed() -> Vec<Case> {
    let values = [
        "ie",
        "i-e",
        "i+1e",
        "i 1e",
        "i1 e",
        "i1.5e",
        "i1",
        "i--1e",
        "i0x10e",
        "i1e5e",
        "-1:a",
        "+1:a",
        "1a:a",
        "5:abc",
        "99999999999999999999:a",
        "18446744073709551615:a",
        "9223372036854775807:a",
        "4294967296:a",
        ":a",
        "l",
        "d",
        "d1:ae",
        "di1ei2ee",
        "dl1:aei1ee",
        "x",
        "\0",
        "li1e",
        "d1:a",
    ];
    let refused = values.map(|value| {
        let file = [b"d7:comment", value.as_bytes(), b"4:info", &with("", None), b"e"].concat();
        (format!("`{}` as a value", value.escape_debug()), file)
    });
    of(CLASS, Verdict::Refused, refused)
}

fn no_torrent() -> Vec<(&'static str, Vec<u8>)> {
    let sound = around(with("", None));
    vec![
        ("an empty dictionary", b"de".to_vec()),
        ("an empty list", b"le".to_vec()),
        ("an integer", b"i42e".to_vec()),
        ("a string", b"4:spam".to_vec()),
        ("a torrent in a list", list([sound.clone()])),
        ("a torrent in a string", string(&sound)),
        ("no info", dictionary([("announce", string("http://a.example/"))])),
        ("info is a list", around(list([]))),
        ("info is a string", around(string("info"))),
        ("info is a number", around(integer(1))),
        ("info is empty", around(dictionary([]))),
        ("info stands twice in itself", around(dictionary([("info", with("", None))]))),
        ("no pieces", around(with("pieces", None))),
        ("no piece length", around(with("piece length", None))),
        ("no length and no files", around(with("length", None))),
        ("a piece length twice", {
            let twice = b"12:piece lengthi16384e12:piece lengthi32768e";
            around(changed(&with("", None), b"12:piece lengthi16384e", twice))
        }),
        ("two names", around(changed(&with("", None), b"4:name1:x", b"4:name1:x4:name1:y"))),
        ("pieces is a number", around(with("pieces", Some(integer(20))))),
        ("pieces is a list", around(with("pieces", Some(list([]))))),
        ("name is a number", around(with("name", Some(integer(1))))),
        ("name is a dictionary", around(with("name", Some(dictionary([]))))),
        ("length is a string", around(with("length", Some(string("3"))))),
        ("length is a list", around(with("length", Some(list([integer(3)]))))),
        ("files is a dictionary", around(with("files", Some(dictionary([]))))),
    ]
}

/// Torrents that can be used in spite of what is odd about them.
fn odd() -> Vec<Case> {
    let beside = |key: &'static str, value: Vec<u8>| {
        let mut entries = vec![("info", with("", None)), (key, value)];
        entries.sort_by_key(|(name, _)| *name);
        dictionary(entries)
    };
    let unsorted = dictionary([
        ("pieces", super::hashes(1)),
        ("piece length", integer(16384)),
        ("name", string("x")),
        ("length", integer(3)),
    ]);
    let taken = vec![
        ("announce is a number", beside("announce", integer(1))),
        ("announce is no URL", beside("announce", string("\x1b[2J\r\nHost: evil"))),
        (
            "announce-list of numbers",
            beside("announce-list", list([integer(1), list([integer(2)])])),
        ),
        ("announce-list is a string", beside("announce-list", string("http://a.example/"))),
        ("creation date is a string", beside("creation date", string("yesterday"))),
        ("creation date is beyond time", beside("creation date", integer(i64::MAX))),
        ("creation date before time", beside("creation date", integer(i64::MIN))),
        ("nodes of nothing", beside("nodes", list([list([]), string("x"), integer(1)]))),
        (
            "a node at port 99999",
            beside("nodes", list([list([string("a.example"), integer(99999)])])),
        ),
        ("url-list is a dictionary", beside("url-list", dictionary([("a", integer(1))]))),
        ("keys without order", around(unsorted)),
        ("a comment of controls", beside("comment", string("\x1b]0;evil\x07\x1b[31m\u{202e}txt"))),
    ];
    let sound = around(with("", None));
    let either = vec![
        ("two torrents in one file", [&sound[..], &sound[..]].concat()),
        ("a torrent and a letter", [&sound[..], b"x"].concat()),
        (
            "a comment twice",
            dictionary([
                ("comment", string("a")),
                ("comment", string("b")),
                ("info", with("", None)),
            ]),
        ),
        (
            "two info dictionaries",
            dictionary([("info", with("", None)), ("info", with("name", Some(string("y"))))]),
        ),
        ("`i-0e`", beside("creation date", integer("-0"))),
        ("`i007e`", beside("creation date", integer("007"))),
        ("`07:comment`", changed(&beside("comment", string("a")), b"7:comment", b"07:comment")),
        ("an integer of 400 digits", beside("creation date", integer("9".repeat(400)))),
        ("an empty key", beside("", integer(1))),
    ];
    [of(CLASS, Verdict::Taken, taken), of(CLASS, Verdict::Either, either)]
        .into_iter()
        .flatten()
        .collect()
}

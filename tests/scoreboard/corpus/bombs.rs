//! Small effort for who sends it, much for who reads it: depth, counts, sizes.

use super::{
    Case, Verdict, around, dictionary, files, hashes, integer, list, of, path, string, with,
};

const CLASS: &str = "bombs";
const MIB: usize = 1 << 20;

pub fn cases() -> Vec<Case> {
    let mut cases = of(CLASS, Verdict::Refused, deep());
    cases.extend(of(CLASS, Verdict::Refused, many_for_nothing()));
    cases.extend(of(CLASS, Verdict::Either, large()));
    cases
}

/// Lists in lists, and the like.
fn deep() -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    for depth in [65, 1_000, 5_000, 1_000_000] {
        let nest = |open: &str, close: &str| {
            [open.repeat(depth).into_bytes(), close.repeat(depth).into_bytes()].concat()
        };
        let beside = |value| dictionary([("a", value), ("info", with("", None))]);
        cases.push((format!("{depth} lists in each other"), nest("l", "e")));
        cases.push((format!("{depth} lists beside the info"), beside(nest("l", "e"))));
        cases.push((format!("{depth} lists without an end"), "l".repeat(depth).into_bytes()));
        cases.push((format!("{depth} dictionaries in each other"), nest("d1:a", "e")));
        let tree = [
            "d1:a".repeat(depth).into_bytes(),
            dictionary([("", dictionary([("length", integer(0))]))]),
            "e".repeat(depth).into_bytes(),
        ];
        cases.push((format!("a file tree of {depth} folders"), v2(tree.concat())));
    }
    cases
}

/// A v2 torrent of this file tree.
fn v2(tree: Vec<u8>) -> Vec<u8> {
    around(dictionary([
        ("file tree", tree),
        ("meta version", integer(2)),
        ("name", string("x")),
        ("piece length", integer(16384)),
    ]))
}

/// Much that is no torrent in the end.
fn many_for_nothing() -> Vec<(String, Vec<u8>)> {
    let short = |count: usize| "0:".repeat(count);
    let info = |length: &str, piece_length: &str| {
        let info = with("length", Some(integer(length)));
        around(super::changed(&info, b"i16384e", integer(piece_length).as_slice()))
    };
    let comment = |text: &[u8]| [b"d7:comment", text, b"4:infodee"].concat();
    vec![
        ("a million empty strings".to_owned(), list([short(MIB).into_bytes()])),
        ("a million empty lists".to_owned(), list(["le".repeat(MIB).into_bytes()])),
        ("a million integers".to_owned(), list(["i0e".repeat(MIB).into_bytes()])),
        ("200000 keys".to_owned(), [b"d", "0:0:".repeat(200_000).as_bytes(), b"e"].concat()),
        ("an integer of a million digits".to_owned(), comment(&integer("9".repeat(MIB)))),
        ("a string length of a million digits".to_owned(), comment("9".repeat(MIB).as_bytes())),
        (
            "a million zeros before a length".to_owned(),
            comment(["0".repeat(MIB), "1:a".to_owned()].concat().as_bytes()),
        ),
        ("4 EiB in pieces of a byte".to_owned(), info("4611686018427387904", "1")),
        ("64 GiB in pieces of 16 KiB".to_owned(), info("68719476736", "16384")),
        ("8 MiB of a path that climbs".to_owned(), {
            let component = [b"../".repeat(8 * MIB / 3), b"x".to_vec()].concat();
            around(files([(path([component]), "3".to_owned())], 1))
        }),
        (
            "8 MiB of a name of NULs".to_owned(),
            around(with("name", Some(string(vec![0; 8 * MIB])))),
        ),
        ("8 MiB of a wrong meta version".to_owned(), {
            let mut info = with("", None);
            info.splice(1..1, [string("meta version"), string("x".repeat(8 * MIB))].concat());
            around(info)
        }),
        (
            "8 MiB of hashes for nothing".to_owned(),
            around(with("pieces", Some(hashes(8 * MIB / 20)))),
        ),
    ]
}

/// Large, and perhaps a torrent.
fn large() -> Vec<(String, Vec<u8>)> {
    let beside = |key: &str, value: Vec<u8>| {
        let mut entries = vec![("info", with("", None)), (key, value)];
        entries.sort_by_key(|(name, _)| *name);
        dictionary(entries)
    };
    let file = |number: usize| (path([format!("{number:06}")]), "1".to_owned());
    let urls = |count: usize| {
        list((0..count).map(|n| list([string(format!("http://t{n}.example/announce"))])))
    };
    let leaf = || dictionary([("", dictionary([("length", integer(0))]))]);
    let names: Vec<String> = (0..30_000).map(|number| format!("{number:05}")).collect();
    let tree = dictionary(names.iter().map(|name| (name.as_str(), leaf())));
    vec![
        ("5000 files of a byte".to_owned(), around(files((0..5_000).map(file), 2))),
        ("5000 files of one path".to_owned(), around(files((0..5_000).map(|_| file(0)), 2))),
        ("5000 empty files".to_owned(), {
            let empty = (0..5_000).map(|n| (path([format!("{n}")]), "0".to_owned()));
            around(files(empty.chain([file(5_000)]), 1))
        }),
        ("200 files of 200 components".to_owned(), {
            let deep = |n: usize| {
                (path([vec!["d".to_owned(); 200], vec![n.to_string()]].concat()), "1".to_owned())
            };
            around(files((0..200).map(deep), 1))
        }),
        ("a file tree of 30000 empty files".to_owned(), v2(tree)),
        ("30000 trackers".to_owned(), beside("announce-list", urls(30_000))),
        (
            "30000 web seeds".to_owned(),
            beside("url-list", list((0..30_000).map(|n| string(format!("http://w{n}.example/"))))),
        ),
        (
            "30000 nodes".to_owned(),
            beside("nodes", list((0..30_000).map(|_| list([string("a.example"), integer(1)])))),
        ),
        ("a comment of 2 MiB".to_owned(), beside("comment", string("x".repeat(2 * MIB)))),
        (
            "a comment of 512 KiB of controls".to_owned(),
            beside("comment", string("\x1b".repeat(MIB / 2))),
        ),
        ("a name of 512 KiB".to_owned(), around(with("name", Some(string("x".repeat(MIB / 2)))))),
        ("300000 nodes that are none".to_owned(), beside("nodes", list((0..300_000).map(integer)))),
        ("a key of 8 MiB".to_owned(), beside(&"k".repeat(8 * MIB), integer(1))),
        (
            "a source of 512 KiB of bytes that are no text".to_owned(),
            around(with("source", Some(string(vec![0xff; MIB / 2])))),
        ),
        ("40000 pieces".to_owned(), {
            let info = with("pieces", Some(hashes(40_000)));
            around(super::changed(
                &info,
                b"6:lengthi3e",
                format!("6:lengthi{}e", 40_000_u64 << 14).as_bytes(),
            ))
        }),
    ]
}

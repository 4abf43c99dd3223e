//! Lengths, counts and hashes that can't be, or only just.

use super::{
    Case, Verdict, around, changed, dictionary, files, fixture, hashes, integer, of, path, string,
    with,
};

const CLASS: &str = "numbers";
/// What no count may be.
const NO_COUNTS: [&str; 5] =
    ["-1", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "1e9"];

pub fn cases() -> Vec<Case> {
    let refused = [lengths(), piece_lengths(), counts(), in_files(), v2()];
    let mut cases: Vec<_> =
        refused.into_iter().flat_map(|files| of(CLASS, Verdict::Refused, files)).collect();
    cases.extend(of(CLASS, Verdict::Taken, just_right()));
    cases
}

fn lengths() -> Vec<(String, Vec<u8>)> {
    let more = ["0", "9223372036854775807", "4611686018427387904", "16385", "68719476737"];
    let file =
        |text: &str| (format!("a length of {text}"), around(with("length", Some(integer(text)))));
    NO_COUNTS.into_iter().chain(more).map(file).collect()
}

fn piece_lengths() -> Vec<(String, Vec<u8>)> {
    let more = ["0", "1", "2", "4294967296", "9223372036854775807"];
    let file = |text: &str| {
        let info = with("piece length", Some(integer(text)));
        (format!("a piece length of {text}"), around(info))
    };
    NO_COUNTS.into_iter().chain(more).map(file).collect()
}

/// Hashes that are not as many as pieces.
fn counts() -> Vec<(String, Vec<u8>)> {
    let of_bytes = |bytes: usize| {
        let info = with("pieces", Some(string("a".repeat(bytes))));
        (format!("{bytes} bytes of hashes for one piece"), around(info))
    };
    [0, 1, 19, 21, 39, 40, 400].into_iter().map(of_bytes).collect()
}

fn in_files() -> Vec<(String, Vec<u8>)> {
    let one = |text: &str| {
        let info = files([(path(["a"]), text.to_owned()), (path(["b"]), "1".to_owned())], 1);
        (format!("a file of {text} bytes"), around(info))
    };
    let mut cases: Vec<_> = NO_COUNTS.into_iter().chain(["9223372036854775807"]).map(one).collect();
    let most = || "9223372036854775807".to_owned();
    for count in [2, 3, 4] {
        let names = (0..count).map(|number| (path([format!("{number}")]), most()));
        cases.push((format!("{count} files whose sum overflows"), around(files(names, 1))));
    }
    let empty = [(path(["a"]), "0".to_owned()), (path(["b"]), "0".to_owned())];
    cases.push(("empty files alone".to_owned(), around(files(empty, 0))));
    cases.push(("no files".to_owned(), around(files([], 1))));
    cases
}

/// What BEP 52 does not allow.
fn v2() -> Vec<(String, Vec<u8>)> {
    let tree = fixture("tree-v2");
    let hybrid = fixture("tree-hybrid");
    let change = |name: &str, of: &[u8], from: &str, to: &str| {
        (name.to_owned(), changed(of, from.as_bytes(), to.as_bytes()))
    };
    let mut cases = Vec::new();
    for length in ["0", "1", "16383", "8192", "32769", "49152", "-32768", "4294967296"] {
        let from = "12:piece lengthi32768e";
        let to = format!("12:piece lengthi{length}e");
        cases.push(change(&format!("v2 in pieces of {length}"), &tree, from, &to));
    }
    for version in ["0", "3", "-2", "9223372036854775808"] {
        let to = format!("12:meta versioni{version}e");
        cases.push(change(&format!("meta version {version}"), &tree, "12:meta versioni2e", &to));
    }
    cases.push(change("a root of 31 bytes", &tree, "11:pieces root32:", "11:pieces root31:"));
    cases.push(change("no root", &tree, "11:pieces root", "11:pieces roos"));
    cases.push(change("a file of v2 of -1 bytes", &tree, "6:lengthi70000e", "6:lengthi-1e"));
    cases.push(change("a longer file of v2", &tree, "6:lengthi70000e", "6:lengthi170000e"));
    cases.push(change(
        "a file of v2 beyond measure",
        &tree,
        "6:lengthi70000e",
        "6:lengthi9223372036854775807e",
    ));
    cases.push(change("halves that differ", &hybrid, "6:lengthi70000e", "6:lengthi70001e"));
    cases.push(change("no file tree", &tree, "9:file tree", "9:file tred"));
    cases.push(change("no piece layers", &tree, "12:piece layers", "12:piece layerz"));
    let mut bent = tree.clone();
    let layer = tree.windows(15).position(|part| part == b"12:piece layers").expect("layers");
    bent[layer + 15 + 1 + 3 + 32 + 3] ^= 1;
    cases.push(("a layer with a bit the other way".to_owned(), bent));
    cases
}

/// The last values that can be.
fn just_right() -> Vec<(String, Vec<u8>)> {
    let info = |length: u64, piece_length: u64| {
        let count = length.div_ceil(piece_length) as usize;
        let entries = [
            ("length", integer(length)),
            ("name", string("x")),
            ("piece length", integer(piece_length)),
            ("pieces", hashes(count)),
        ];
        (format!("{length} bytes in pieces of {piece_length}"), around(dictionary(entries)))
    };
    vec![
        info(1, 1),
        info(1, 16384),
        info(16384, 16384),
        info(16385, 16384),
        info(100, 7),
        info(5 << 29, 1 << 29),
        info(1 << 40, 1 << 29),
    ]
}

//! Names and paths that climb, hide, collide, or steer a terminal.

use super::{
    Case, Verdict, around, changed, dictionary, files, fixture, integer, of, path, string, with,
};

const CLASS: &str = "paths";

pub fn cases() -> Vec<Case> {
    let mut cases = of(CLASS, Verdict::Refused, climbing());
    cases.extend(of(CLASS, Verdict::Taken, strange()));
    cases.extend(of(CLASS, Verdict::Taken, colliding()));
    cases.extend(of(CLASS, Verdict::Refused, malformed()));
    cases
}

/// Each as a component, as the torrent's name, and in a file tree.
fn climbing() -> Vec<(String, Vec<u8>)> {
    let components: [&[u8]; 11] = [
        b"..",
        b".",
        b"/",
        b"/etc/passwd",
        b"../../x",
        b"a/../../b",
        b"a/b",
        b"a\0b",
        b"\0",
        b"a/",
        b"//",
    ];
    let mut cases = Vec::new();
    for component in components {
        let shown = component.escape_ascii();
        let in_files = [(path([b"a", component, b"b"]), "3".to_owned())];
        cases.push((format!("`{shown}` in a path"), around(files(in_files, 1))));
        cases.push((
            format!("`{shown}` as the name"),
            around(with("name", Some(string(component)))),
        ));
        let from = [b"d5:a.bin".as_slice()].concat();
        let to = [b"d".as_slice(), &string(component)].concat();
        let tree = changed(&fixture("tree-v2"), &from, &to);
        cases.push((format!("`{shown}` in a file tree"), tree));
    }
    cases
}

fn malformed() -> Vec<(String, Vec<u8>)> {
    let one = |name: &str, path| (name.to_owned(), around(files([(path, "3".to_owned())], 1)));
    vec![
        one("an empty path", path::<&str>([])),
        one("an empty component", path(["a", "", "b"])),
        one("a path that is a string", string("a/b")),
        one("a path that is a number", integer(1)),
        one("a component that is a number", super::list([integer(1)])),
        one("257 components", path(vec!["d"; 257])),
        one("10000 components", path(vec!["d"; 10_000])),
        ("a folder that is a file too".to_owned(), {
            let tree = fixture("tree-v2");
            changed(&tree, b"9:file treed", b"9:file treed0:i1e")
        }),
    ]
}

/// What may stand in a name, and has to be shown with care.
fn strange() -> Vec<(String, Vec<u8>)> {
    let components: [&[u8]; 24] = [
        b"CON",
        b"nul.txt",
        b"COM1",
        b"a\\b",
        b"C:\\x",
        b"..\\..\\x",
        b"a:b",
        b"a*?<>|\"",
        b"trailing.",
        b"trailing ",
        b" ",
        b"...",
        b"-rf",
        b"~",
        b"$HOME",
        b"`id`",
        b"\x1b[2J\x1b[31m",
        b"\r\n\x08\x7f",
        b"\xff\xfe\xfd",
        b"\xc0\xae\xc0\xae",
        b"\xe2\x80\xae\xe2\x81\xa6txt.exe",
        b"\xef\xbb\xbfx",
        b"\xed\xa0\x80",
        b"%2e%2e%2f",
    ];
    let mut cases = Vec::new();
    for component in components {
        let shown = component.escape_ascii();
        let in_files = [(path([component, b"b"]), "3".to_owned())];
        cases.push((format!("`{shown}` in a path"), around(files(in_files, 1))));
        cases.push((
            format!("`{shown}` as the name"),
            around(with("name", Some(string(component)))),
        ));
    }
    cases.push((
        "a name of 300 bytes".to_owned(),
        around(with("name", Some(string("x".repeat(300))))),
    ));
    cases.push((
        "256 components".to_owned(),
        around(files([(path(vec!["d"; 255]), "3".to_owned())], 1)),
    ));
    let link = |attr: &str, target: &[&str]| {
        let file = dictionary([
            ("attr", string(attr)),
            ("length", integer(0)),
            ("path", path(["link"])),
            ("symlink path", path(target)),
        ]);
        let data = dictionary([("length", integer(3)), ("path", path(["a"]))]);
        around(with("length", None).splice_files(super::list([file, data])))
    };
    cases.push(("a link that climbs".to_owned(), link("l", &["..", "..", "etc", "passwd"])));
    cases.push(("a link to the root".to_owned(), link("l", &["/"])));
    cases.push(("a link to itself".to_owned(), link("l", &["link"])));
    cases
}

trait SpliceFiles {
    fn splice_files(self, files: Vec<u8>) -> Vec<u8>;
}

impl SpliceFiles for Vec<u8> {
    /// An info dictionary with `files`, which sorts before all of its other keys.
    fn splice_files(self, files: Vec<u8>) -> Vec<u8> {
        [b"d5:files".as_slice(), &files, &self[1..]].concat()
    }
}

/// Paths that can't be on one disk together: to be shown, not to be written.
fn colliding() -> Vec<(String, Vec<u8>)> {
    let two = |name: &str, a: &[&str], b: &[&str]| {
        let both = [(path(a), "1".to_owned()), (path(b), "2".to_owned())];
        (name.to_owned(), around(files(both, 1)))
    };
    vec![
        two("one path twice", &["a"], &["a"]),
        two("a file in a file", &["a"], &["a", "b"]),
        two("a file that is a folder", &["a", "b"], &["a"]),
        two("a path in other letters", &["Readme"], &["README"]),
        two("one name in two forms", &["\u{e9}"], &["e\u{301}"]),
    ]
}

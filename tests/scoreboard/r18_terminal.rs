//! Row 18: text of a torrent, a magnet, a tracker, a peer or a file's name steers no terminal, whatever the
//! verb and wherever its output goes.

use super::Row;
use crate::harness::process::mortal;
use sha1::Digest as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::thread;

/// Sets a title, rings, goes back to the margin, deletes, clears by one byte, turns the text around.
const HOSTILE: &str = "a\u{1b}]0;own\u{7}\rown\u{8}\u{7f}\u{85}\u{9b}2J\u{202e}\u{2066}\u{2028}z";
const PIECE: &[u8] = b"abc";

/// What of `shown` a terminal would obey that is not rtor's own: it colours, and redraws lines.
fn unsafe_chars(shown: &str) -> usize {
    let hostile = |c: char| {
        matches!(c, '\u{7}' | '\u{8}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
    };
    shown.chars().filter(|&c| hostile(c)).count()
        + ["\u{1b}]", "\rown"].iter().map(|text| shown.matches(text).count()).sum::<usize>()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// A torrent in which everything that is text is hostile, its tracker at `tracker`.
fn torrent(tracker: SocketAddr) -> Vec<u8> {
    let hostile = text(HOSTILE.as_bytes());
    let hash = sha1::Sha1::digest(PIECE);
    let announce = text(format!("http://{tracker}/{HOSTILE}").as_bytes());
    let seed = text(format!("http://127.0.0.1:1/{HOSTILE}").as_bytes());
    let info = [
        &b"d5:filesld6:lengthi3e4:pathl"[..],
        &hostile,
        b"eee4:name",
        &hostile,
        b"12:piece lengthi16384e6:pieces",
        &text(&hash),
        b"6:source",
        &hostile,
        b"e",
    ];
    let outer = [
        &b"d8:announce"[..],
        &announce,
        b"7:comment",
        &hostile,
        b"10:created by",
        &hostile,
        b"4:info",
        &info.concat(),
        b"5:nodesll",
        &hostile,
        b"i6881eee8:url-list",
        &seed,
        b"e",
    ];
    outer.concat()
}

/// A tracker that fails, with a reason and a warning. It ends with the test's process.
fn tracker() -> SocketAddr {
    serve(|mut asked| {
        let _ = asked.read(&mut [0; 4096]);
        let reason = text(HOSTILE.as_bytes());
        let body =
            [b"d14:failure reason", &reason[..], b"15:warning message", &reason, b"e"].concat();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = asked.write_all(&[head.as_bytes(), &body].concat());
    })
}

/// A peer whose client has such a name, and that has nothing.
fn peer() -> SocketAddr {
    serve(|mut called| {
        let mut theirs = [0; 68];
        if called.read_exact(&mut theirs).is_err() {
            return;
        }
        let name = text(HOSTILE.as_bytes());
        let extended = [&b"\x14\x00d1:mde1:v"[..], &name, b"e"].concat();
        let mut ours =
            [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0"[..], &theirs[28..48]].concat();
        ours.extend(b"-\x1b]\x07\x9b00-abcdefghijkl");
        ours.extend((extended.len() as u32).to_be_bytes());
        ours.extend(extended);
        let _ = called.write_all(&ours);
        // Until it is hung up on.
        let _ = called.read_to_end(&mut Vec::new());
    })
}

fn serve(each: impl Fn(std::net::TcpStream) + Send + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || each(stream));
        }
    });
    addr
}

/// What `args` say through pipes, and to a terminal, stdout and stderr together.
fn shown(folder: &Path, args: &[&str]) -> [String; 2] {
    let rtor = env!("CARGO_BIN_EXE_rtor");
    let said = |program: &str, args: &[&str]| {
        let ran = mortal(program)
            .args(args)
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
    };
    let quoted: Vec<String> =
        args.iter().map(|arg| format!("'{}'", arg.replace('\'', r"'\''"))).collect();
    let line = format!("{rtor} {}", quoted.join(" "));
    [said(rtor, args), said("script", &["-q", "-e", "-c", &line, "/dev/null"])]
}

#[test]
fn no_verb_lets_hostile_text_through() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (tracker, peer) = (tracker(), peer().to_string());
    let at = |name: &str| folder.path().join(name);
    fs::write(at("x.torrent"), torrent(tracker)).expect("a file");
    fs::create_dir_all(at("attic")).expect("a folder");
    fs::write(at("attic").join(HOSTILE), PIECE).expect("a file");
    let hash = "11f6ad8ec52a2984abaafd7c3b516503785c2072";
    let magnet = format!(
        "magnet:?xt=urn:btih:{hash}&dn={HOSTILE}&tr=http://{tracker}/{HOSTILE}&ws=x{HOSTILE}"
    );
    let alone =
        ["--discover", "tracker", "--timeout", "1s", "--peer", &peer, "--events", "-", "-vv"];
    let verbs: [&[&str]; 14] = [
        &["decode", "x.torrent"],
        &["decode", &magnet],
        &["decode", HOSTILE],
        &["analyze", "x.torrent"],
        &["analyze", "x.torrent", "--swarm", "--for", "1s"],
        &["magnet", "x.torrent"],
        &["fetch", "x.torrent"],
        &["get", "x.torrent", "--output", "out"],
        &["get", &magnet, "--output", "out"],
        &["verify", "x.torrent", "--data", "attic"],
        &["assemble", "x.torrent", "--pieces", "attic", "--from", "attic", "--output", "made"],
        &["seed", "x.torrent", "--data", "attic", "--for", "1s"],
        &["create", "attic", "-o", "-", "--comment", HOSTILE],
        &["create", "attic", "-o", HOSTILE, "--tracker", HOSTILE],
    ];
    let (mut runs, mut worst) = (0, Vec::new());
    for verb in verbs {
        let swarm = matches!(verb[0], "fetch" | "get");
        for form in ["--table", "--json", "-vv"] {
            let more = if swarm { &alone[..] } else { &[] };
            // Events go where the document would.
            let form = if swarm && form == "-vv" { "--json" } else { form };
            let args = [verb, &[form], more].concat();
            for shown in shown(folder.path(), &args) {
                runs += 1;
                let raw = verb[0] == "create" && verb.contains(&"-");
                if !raw && unsafe_chars(&shown) > 0 {
                    worst.push(format!("{args:?}: {shown:?}"));
                }
                assert!(!shown.is_empty(), "{args:?} said nothing");
            }
        }
    }
    for line in &worst {
        eprintln!("{line}");
    }
    let row = Row::new(18, "terminal safety: 12 kinds of text, every verb", "0 unsafe bytes");
    row.saw(
        format!("{} of {runs} runs, to pipes and terminals, had some", worst.len()),
        worst.is_empty(),
    );
}

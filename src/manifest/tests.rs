//! Manifests that are whole, odd and forged.

use super::*;
use crate::torrent::Metainfo;

const FILE: &[u8] = b"d8:announce3:u:/4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";

fn manifest() -> Manifest {
    Manifest::of(Metainfo::parse(FILE.into()).expect("a torrent").torrent)
}

fn json() -> Value {
    serde_json::from_slice(&manifest().to_bytes()).expect("JSON")
}

fn parse(value: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(value.to_string().as_bytes())
}

#[test]
fn a_manifest_comes_back_as_it_went() {
    let bytes = manifest().to_bytes();
    assert_eq!(Manifest::parse(&bytes).expect("ours").to_bytes(), bytes);
}

#[test]
fn unknown_keys_travel_on_everywhere() {
    let mut value = json();
    value["mine"] = serde_json::json!({ "deep": [1, 2] });
    value["torrent"]["theirs"] = serde_json::json!("kept");
    let back = parse(&value).expect("still a manifest").to_bytes();
    let back: Value = serde_json::from_slice(&back).expect("JSON");
    assert_eq!(back["mine"], value["mine"]);
    assert_eq!(back["torrent"]["theirs"], value["torrent"]["theirs"]);
}

#[test]
fn what_stands_beside_a_file_stays_with_its_path() {
    let mut value = json();
    value["torrent"]["files"][0]["wanted"] = true.into();
    value["torrent"]["files"][0]["length"] = 99.into();
    let back: Value =
        serde_json::from_slice(&parse(&value).expect("a manifest").to_bytes()).expect("JSON");
    let mut due = json()["torrent"]["files"][0].clone();
    due["wanted"] = true.into();
    assert_eq!(back["torrent"]["files"][0], due);
    value["torrent"]["files"][0]["path"] = "other".into();
    let back = parse(&value).expect("a manifest").to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&back).expect("JSON"), json());
}

#[test]
fn json_can_not_steer_a_terminal_and_says_the_same() {
    let mut value = json();
    let hostile = "a\u{9b}31m\u{7f}\u{202e}b\u{1b}[2J";
    value["torrent"]["comment"] = hostile.into();
    let bytes = parse(&value).expect("a manifest").to_bytes();
    let text = std::str::from_utf8(&bytes).expect("UTF-8");
    let (line, rest) = text.split_at(text.len() - 1);
    assert_eq!(rest, "\n");
    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
    let back: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(back["torrent"]["comment"], hostile);
}

#[test]
fn readable_fields_that_lie_are_written_anew() {
    let mut value = json();
    value["torrent"]["name"] = "../../etc".into();
    value["torrent"]["total_length"] = 1.into();
    value["torrent"]["files"] = serde_json::json!([{ "path": "/etc/passwd" }]);
    let back: Value = serde_json::from_slice(&parse(&value).expect("the info is whole").to_bytes())
        .expect("JSON");
    assert_eq!(back, json());
}

#[test]
fn what_the_hash_does_not_cover_may_be_edited() {
    let mut value = json();
    value["torrent"]["trackers"] = serde_json::json!([["http://a/"], ["udp://b:1"]]);
    value["torrent"]["nodes"] = serde_json::json!([["h", 1]]);
    let back = parse(&value).expect("edited");
    assert_eq!(back.torrent().trackers, [["http://a/"], ["udp://b:1"]]);
    assert_eq!(back.torrent().nodes, [("h".to_owned(), 1)]);
}

#[test]
fn a_forged_manifest_is_refused() {
    let mut hash = json();
    hash["torrent"]["info_hash_v1"] = "00".repeat(20).into();
    let mut info = json();
    let text = info["torrent"]["info"].as_str().expect("base64").replacen("ZDY6", "ZDY7", 1);
    info["torrent"]["info"] = text.into();
    let mut other = json();
    other["torrent"]["info_hash_v2"] = "11".repeat(32).into();
    assert!(matches!(parse(&hash), Err(ManifestError::Forged { field: "info_hash_v1", .. })));
    assert!(matches!(parse(&info), Err(ManifestError::Info(_))));
    assert!(matches!(parse(&other), Err(ManifestError::Forged { field: "info_hash_v2", .. })));
}

#[test]
fn what_is_no_manifest_is_said_in_a_sentence() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"[]", "it is no manifest"),
        (b"{}", "it is no manifest"),
        (br#"{"rtor":2}"#, "format `2`"),
        (br#"{"rtor":"1"}"#, "format `\"1\"`"),
        (br#"{"rtor":1}"#, "`torrent` is malformed"),
        (br#"{"rtor":1,"torrent":[]}"#, "`torrent` is malformed"),
        (br#"{"rtor":1,"torrent":{}}"#, "`torrent.info_hash_v1` is not given"),
        (br#"{"rtor":1,"torrent":{"info_hash_v1":"xx"}}"#, "40 hexadecimal digits"),
        (br#"{"rtor":1,"torrent":{"info_hash_v1":7}}"#, "`torrent.info_hash_v1` is not a string"),
    ];
    for (bytes, part) in cases {
        let why = Manifest::parse(bytes).expect_err(part).to_string();
        assert!(why.contains(part), "{why}");
    }
    let deep = [b"{\"rtor\":1,\"x\":".to_vec(), vec![b'['; 200_000]].concat();
    assert!(Manifest::parse(&deep).is_err());
}

#[test]
fn a_magnet_has_no_info_yet() {
    let torrent = Torrent::from_hex(&"ab".repeat(20)).expect("a hash");
    let manifest = Manifest::of(torrent);
    let back = Manifest::parse(&manifest.to_bytes()).expect("ours");
    assert!(back.torrent().info.is_none());
    assert_eq!(back.to_bytes(), manifest.to_bytes());
}

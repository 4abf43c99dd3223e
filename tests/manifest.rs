//! The manifest on its way from verb to verb.

use crate::harness::parts::project;
use crate::harness::{Rtor, pipeline};
use serde_json::{Value, json};
use std::path::Path;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn manifest() -> Value {
    let file = project("tests/fixtures/metainfo/tree-hybrid.torrent");
    Rtor::new(folder().path(), [Path::new("decode"), &file]).run().exited(0).json()
}

fn analyze(manifest: &Value) -> Rtor {
    Rtor::new(folder().path(), ["analyze"]).stdin(manifest.to_string())
}

#[test]
fn unknown_keys_are_passed_on_everywhere() {
    let mut manifest = manifest();
    manifest["mine"] = json!({ "a": [1, { "b": null }] });
    manifest["torrent"]["rating"] = json!(5);
    manifest["torrent"]["files"][2]["wanted"] = json!(true);
    let passed = analyze(&manifest).run().exited(0).json();
    for pointer in ["/mine", "/torrent/rating", "/torrent/files/2/wanted"] {
        assert_eq!(passed.pointer(pointer), manifest.pointer(pointer), "{pointer}");
    }
    assert!(passed["analysis"].is_object());
}

#[test]
fn verbs_add_their_sections_to_one_document() {
    let folder = folder();
    let file = std::fs::read(project("tests/fixtures/metainfo/one-v1.torrent")).expect("a file");
    let [decoded, analyzed] = pipeline([
        Rtor::new(folder.path(), ["decode"]).stdin(file),
        Rtor::new(folder.path(), ["analyze"]),
    ]);
    decoded.exited(0);
    let document = analyzed.exited(0).json();
    let keys: Vec<&String> = document.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["rtor", "torrent", "analysis"]);
}

#[test]
fn a_forged_info_is_refused() {
    // A manifest whose bytes are another torrent's than its hashes.
    let mut forged = manifest();
    let file = project("tests/fixtures/metainfo/one-v1.torrent");
    let other = Rtor::new(folder().path(), [Path::new("decode"), &file]).run().exited(0).json();
    forged["torrent"]["info"] = other["torrent"]["info"].clone();
    forged["torrent"]["piece_layers"] = Value::Null;
    let why = analyze(&forged).run().refused();
    assert!(why.contains("hashes to `fb2def5ef5a512f9d192cd2b786e39f12d852534`"), "{why}");
    // One whose second hash alone is wrong.
    let mut forged = manifest();
    forged["torrent"]["info_hash_v2"] = "00".repeat(32).into();
    let why = analyze(&forged).run().refused();
    assert!(why.contains("`torrent.info_hash_v2` is `0000"), "{why}");
    // One whose layers are not those of the roots.
    let mut forged = manifest();
    let layers = forged["torrent"]["piece_layers"].as_str().expect("a hybrid").to_owned();
    let wrong = format!("{}{}ZQ==", &layers[..layers.len() - 8], "AAAA");
    forged["torrent"]["piece_layers"] = wrong.into();
    let why = analyze(&forged).run().refused();
    assert!(why.contains("of `piece layers`"), "{why}");
}

#[test]
fn readable_fields_can_not_lie() {
    let honest = manifest();
    let mut lying = honest.clone();
    lying["torrent"]["total_length"] = 1.into();
    lying["torrent"]["files"] = json!([{ "path": "../../etc/passwd", "length": 1 }]);
    let passed = analyze(&lying).run().exited(0).json();
    assert_eq!(passed["torrent"], honest["torrent"]);
}

#[test]
fn another_format_is_refused() {
    let mut newer = manifest();
    newer["rtor"] = 2.into();
    let why = analyze(&newer).run().refused();
    assert!(why.contains("format `2`"), "{why}");
}

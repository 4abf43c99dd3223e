//! Row 19: manifests that somebody bent between two verbs.
//!
//! What the info hash covers can't be bent: the output says what the original said, or the verb refused.
//! What it does not cover, as trackers or where a store is said to lie, may be anything, and then no file
//! is touched but those that the command line names.

use super::{Row, mutant, scale};
use crate::harness::{Chance, Content, KIB, Net, Ran, Rtor, Torrent, Tree, Version};
use base64::Engine as _;
use rtor::torrent::{InfoHashV1, InfoHashV2};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const SEED: u64 = 19;
const PIECE_LENGTH: u64 = 16 * KIB;
/// Fields of `torrent` that are read out of its info dictionary.
const BOUND: [&str; 6] =
    ["name", "piece_length", "piece_count", "total_length", "private", "source"];

/// All that there may be in the folder of a run, and around it.
const PLACES: [&str; 5] = ["run", "outside", "pieces", "out", ".home"];

/// A store that has everything, and the manifest of a pipeline over it.
struct Pipeline {
    net: Net,
    run: PathBuf,
    content: Tree,
    outside: Tree,
    manifest: Value,
    chance: Chance,
}

impl Pipeline {
    fn new() -> Self {
        let net = Net::new();
        let names = [("a.bin", 3 * PIECE_LENGTH), ("b/c.bin", PIECE_LENGTH), ("d", 100)];
        let content = Content::files(&net.folder("source"), "x", names, 19);
        let file = net.folder("torrents").join("x.torrent");
        let made = Torrent::of(&content).version(Version::Hybrid).piece_length(PIECE_LENGTH);
        let torrent = made.tracker("http://10.77.0.2:1/announce").make(&file);
        let run = net.folder("base").join("run");
        fs::create_dir(&run).expect("a folder");
        fs::create_dir(run.join("outside")).expect("a folder");
        fs::write(run.join("outside/keep"), "me").expect("a file");
        let mut pipeline = Self {
            content: Tree::at(&net.folder("source")),
            outside: Tree::at(&run.join("outside")),
            net,
            run,
            manifest: Value::Null,
            chance: Chance(SEED),
        };
        let source = pipeline.net.folder("source");
        let from = source.to_str().expect("a path of ours");
        let fetched = pipeline.rtor(["fetch", torrent.arg(), "--from", from, "--no-trackers"]);
        pipeline.manifest = fetched.run().exited(0).json();
        for stage in ["analyze", "verify", "assemble"] {
            pipeline.manifest =
                pipeline.stage(stage, pipeline.manifest.to_string().into()).exited(0).json();
        }
        pipeline
    }

    fn rtor<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Rtor {
        Rtor::new(&self.run, args).within(&self.net)
    }

    fn stage(&self, stage: &str, manifest: Vec<u8>) -> Ran {
        let more: &[&str] = match stage {
            "fetch" => &["--no-trackers", "--timeout", "1s", "--pieces", "pieces"],
            "assemble" => &["--pieces", "pieces", "--output", "out"],
            "verify" => &["-", "--pieces", "pieces"],
            _ => &[],
        };
        self.rtor([stage].into_iter().chain(more.iter().copied())).stdin(manifest).run()
    }

    fn mutant(&mut self) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        for _ in 0..=self.chance.below(3) {
            bend(&mut manifest, &mut self.chance);
        }
        let mut bytes = manifest.to_string().into_bytes();
        if self.chance.below(4) == 0 {
            mutant::bend(&mut bytes, &mut self.chance);
        }
        bytes
    }

    /// What went wrong.
    fn faults(&self, ran: &Ran) -> Vec<String> {
        let mut faults = Vec::new();
        if !matches!(ran.code, Some(0..=3)) || ran.stderr.contains("panicked") {
            faults.push(format!("ended with {:?}, {:?}: {}", ran.code, ran.signal, ran.stderr));
        }
        if ran.code == Some(2) && (ran.stderr.is_empty() || !ran.stdout.is_empty()) {
            faults.push("refused with data, or without a sentence".to_owned());
        }
        if !ran.stdout.is_empty() {
            faults.extend(self.unbound(&ran.json()));
        }
        faults.extend(Tree::at(&self.run.join("outside")).difference(&self.outside));
        let here = names(&self.net.folder("base")).chain(names(&self.run));
        let foreign = here.filter(|name| !PLACES.contains(&&**name));
        faults.extend(foreign.map(|name| format!("it made `{name}`")));
        if self.run.join("out").exists() {
            let made = Tree::at(&self.run.join("out"));
            let foreign = made.paths().find(|path| !self.content.paths().any(|due| due == *path));
            faults.extend(foreign.map(|path| format!("it made `{path}` of no file")));
            if ran.code == Some(0) && made.paths().count() == self.content.paths().count() {
                faults.extend(made.difference(&self.content));
            }
        }
        faults
    }

    /// What a manifest says that its info dictionary does not.
    fn unbound(&self, manifest: &Value) -> Vec<String> {
        let (said, due) = (&manifest["torrent"], &self.manifest["torrent"]);
        let mut faults = Vec::new();
        if let Some(info) = said["info"].as_str() {
            let raw = base64::engine::general_purpose::STANDARD.decode(info).expect("base64");
            let names = [InfoHashV1::of(&raw).to_string(), InfoHashV2::of(&raw).to_string()];
            for (field, name) in ["info_hash_v1", "info_hash_v2"].into_iter().zip(names) {
                if said[field] != json!(null) && said[field] != json!(name) {
                    faults.push(format!("`{field}` is {} and not {name}", said[field]));
                }
            }
            let bound = BOUND
                .iter()
                .filter(|field| said["info"] == due["info"] && said[**field] != due[**field]);
            faults.extend(bound.map(|field| format!("`{field}` is {}", said[*field])));
            let shape = |torrent: &Value| -> Vec<(Value, Value, Value)> {
                let files = torrent["files"].as_array().cloned().unwrap_or_default();
                files
                    .iter()
                    .map(|f| (f["path"].clone(), f["length"].clone(), f["offset"].clone()))
                    .collect()
            };
            if said["info"] == due["info"] && shape(said) != shape(due) {
                faults.push(format!("`files` is {}", said["files"]));
            }
        }
        faults
    }
}

/// What is in a folder.
fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
}

/// Makes something in it another thing.
fn bend(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            let at = chance.below(object.len() as u64) as usize;
            let key = object.keys().nth(at).expect("it is there").clone();
            match chance.below(10) {
                0 => drop(object.remove(&key)),
                1 => drop(object.insert(key, hostile(chance))),
                2 => {
                    let other = chance.below(object.len() as u64) as usize;
                    let other = object.values().nth(other).expect("it is there").clone();
                    object.insert(key, other);
                }
                _ => bend(&mut object[&key], chance),
            }
        }
        Value::Array(array) if !array.is_empty() => {
            let at = chance.below(array.len() as u64) as usize;
            match chance.below(6) {
                0 => drop(array.remove(at)),
                1 => array.insert(at, array[at].clone()),
                2 => array.insert(at, hostile(chance)),
                _ => bend(&mut array[at], chance),
            }
        }
        Value::String(text) if chance.below(2) == 0 && text.is_ascii() && !text.is_empty() => {
            let mut bytes = std::mem::take(text).into_bytes();
            let at = chance.below(bytes.len() as u64) as usize;
            bytes[at] = *chance.one_of(b"A0/.f-");
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        other => *other = hostile(chance),
    }
}

fn hostile(chance: &mut Chance) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!([]),
        json!({}),
        json!("../outside"),
        json!("/etc/passwd"),
        json!("\u{1b}[2J\u{202e}"),
        json!("0-4294967295"),
        json!("9-0"),
        json!("pieces"),
        json!("files"),
        json!([["x", 70000]]),
        json!("ZGU="),
        json!("10.77.0.5:1"),
        json!("0".repeat(40)),
        json!("x".repeat(100_000)),
        json!([[[[[[[[]]]]]]]]),
    ];
    chance.one_of(&values).clone()
}

#[test]
fn a_bent_manifest_is_refused_or_harmless() {
    let mut pipeline = Pipeline::new();
    let count = scale(50, 200);
    let (mut wrong, mut refused, mut tried) = (Vec::new(), 0, 0);
    for stage in ["decode", "analyze", "fetch", "verify", "assemble"] {
        for number in 0..count {
            let mutant = pipeline.mutant();
            let out = pipeline.run.join("out");
            if out.exists() {
                fs::remove_dir_all(&out).expect("a folder of ours");
            }
            let ran = pipeline.stage(stage, mutant);
            tried += 1;
            refused += usize::from(ran.code == Some(2));
            let faults = pipeline.faults(&ran);
            wrong.extend(
                faults.into_iter().map(|fault| format!("{stage} of mutant {number}: {fault}")),
            );
        }
    }
    wrong.iter().for_each(|fault| eprintln!("{}", fault.chars().take(500).collect::<String>()));
    let figure = format!("{tried} mutants, {refused} refused, {} wrong", wrong.len());
    let target = "200 mutants a stage: refused, or harmless; the info hash binds everything";
    Row::new(19, "hostile manifests", target).saw(figure, refused > tried / 20 && wrong.is_empty());
}

//! Plugins through both doors: linked in and loaded from a file, in Rust and in C, good and bad.

use crate::abi::cc;
use rtor::engine::Time;
use rtor::host::{HostError, Origin, Places, Registry};
use rtor::sim::{Link, Manner, World, torrent_of};
use rtor::torrent::Bitfield;
use rtor_plugin::discovery::{Fact, Totals, Tracker, Wish};
use rtor_plugin::strategy::host::{Instance, Poisoned};
use rtor_plugin::strategy::{Strategy, Swarm};
use rtor_plugin::{Entry, Level, Options, Services, Status};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use tempfile::TempDir;

/// What guests said.
#[derive(Default)]
struct Heard(Mutex<Vec<(Level, String)>>);

impl Heard {
    fn said(&self) -> Vec<(Level, String)> {
        self.0.lock().expect("no thread panicked").clone()
    }
}

impl Services for Heard {
    fn log(&self, level: Level, text: &str) {
        self.0.lock().expect("no thread panicked").push((level, text.to_owned()));
    }
}

pub fn silent() -> Arc<dyn Services> {
    Arc::new(Heard::default())
}

/// A folder with a copy of `file` that nobody else may write, whatever the umask was when it was
/// built.
fn private_copy(file: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join(file.file_name().expect("a file"));
    std::fs::copy(file, &copy).expect("a copy");
    chmod(&copy, 0o644);
    (folder, copy)
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

/// The file of one of rtor's own plugins: cargo makes it beside the program that runs this test.
pub fn own(name: &str) -> (TempDir, PathBuf) {
    let program = std::env::current_exe().expect("this program has a path");
    private_copy(&program.with_file_name(format!("lib{name}.so")))
}

/// The file of the strategy in `plugins/examples/evens`, built once.
pub fn external() -> (TempDir, PathBuf) {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evens");
        let done = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--manifest-path"])
            .arg(source("plugins/examples/evens/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            // Flags that were meant for this build are not meant for that one.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        target.join("debug/libevens.so")
    });
    private_copy(&BUILT)
}

/// A file of the project.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A plugin made from a source in C.
pub fn compiled(path: &str, flags: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = source(path);
    let name = source.file_stem().and_then(OsStr::to_str).expect("a plain name");
    let file = folder.path().join(format!("lib{name}.so"));
    let flags: Vec<&str> = ["-shared", "-fPIC"].iter().chain(flags).copied().collect();
    cc(&source, &file, &flags);
    chmod(&file, 0o644);
    (folder, file)
}

fn open(files: &[PathBuf]) -> Result<Registry, HostError> {
    Registry::open(&Places { files, ..Places::BUNDLED })
}

pub fn opened(file: &Path) -> Registry {
    open(&[file.to_owned()]).unwrap_or_else(|error| panic!("{error}"))
}

/// What is said about a file, with its folder left out.
fn complaint(file: &Path) -> String {
    let error = open(&[file.to_owned()]).expect_err("it is refused").to_string();
    let folder = file.parent().expect("in a folder").to_str().expect("UTF-8");
    error.replace(&format!("{folder}/"), "")
}

/// Columns of a swarm of `count` pieces, drawn from `seed`.
struct Columns {
    availability: Vec<u16>,
    priority: Vec<u8>,
    have: Vec<u64>,
    seed: u64,
}

impl Columns {
    fn new(count: u32, seed: u64) -> Self {
        let plain = Swarm::new(&[], &[], &[], seed, 0, 0);
        let draw = |piece: u32, below: u32| plain.shuffle(piece) % below;
        Self {
            availability: (0..count).map(|piece| draw(piece, 5) as u16).collect(),
            priority: (0..count).map(|piece| draw(piece, 8) as u8).collect(),
            have: (0..count.div_ceil(64)).map(|word| u64::from(draw(word, u32::MAX))).collect(),
            seed,
        }
    }

    fn swarm(&self, have_count: u32, playhead: u32) -> Swarm<'_> {
        let Self { availability, priority, have, seed } = self;
        Swarm::new(availability, priority, have, *seed, have_count, playhead)
    }
}

#[test]
fn each_bundled_strategy_answers_the_same_through_both_doors() {
    for id in ["rarest", "sequential", "random", "streaming"] {
        let (_folder, file) = own(&format!("rtor_strategy_{id}"));
        let loaded = opened(&file);
        let plugin = loaded.find(id).expect("it is listed");
        assert_eq!(plugin.origin, Origin::File(file.canonicalize().expect("it is there")));
        assert_eq!(plugin.overrides, Some(Origin::Bundled), "and says so");
        let instance = |registry: &Registry| registry.strategy(id, silent()).expect("it starts");
        let (mut linked, mut loaded) = (instance(&Registry::bundled()), instance(&loaded));
        let pieces: Vec<u32> = (0..1000).collect();
        for seed in 0..8 {
            let columns = Columns::new(1000, seed);
            for swarm in [columns.swarm(0, 0), columns.swarm(4, 0), columns.swarm(500, 77)] {
                let mut answers = [&mut linked, &mut loaded].map(|instance| {
                    let mut keys = vec![0; pieces.len()];
                    instance.rank(&swarm, &pieces, &mut keys).expect("it does not break");
                    (instance.epoch(&swarm).expect("it does not break"), keys)
                });
                let [linked, loaded] = &mut answers;
                assert_eq!(linked, loaded, "{id} with seed {seed}");
                loaded.1.sort_unstable();
                loaded.1.dedup();
                assert!(loaded.1.len() > 900, "{id} tells pieces apart");
            }
        }
    }
}

/// What the guest `id` wishes after each of these facts, told when it asks for them.
fn wishes(registry: &Registry, id: &str, private: bool, facts: &[Fact<'_>]) -> Vec<Wish<'static>> {
    let guests =
        registry.discoveries(&[id.to_owned()], &[], private, &BTreeMap::new(), &|_| silent());
    let mut guest = guests.expect("it starts").pop().expect("there is one").instance;
    let mut wishes = Vec::new();
    for fact in facts {
        let now_us = guest.deadline().unwrap_or(0);
        guest.handle(now_us, fact, &mut wishes).expect("it does not break");
    }
    wishes
}

#[test]
fn each_bundled_guest_wishes_the_same_through_both_doors() {
    let totals = Totals { left: 5, peers_wanted: 30, ..Totals::default() };
    let trackers = ["udp://10.0.0.1:80", "http://t.example/a", "udp://t.example:1", "wss://x"];
    let started = |private| Fact::Started {
        info_hash: &[7; 20],
        peer_id: &[8; 20],
        trackers: (0..).zip(trackers).map(|(tier, url)| Tracker { url, tier }).collect(),
        seed: 99,
        port: 1,
        udp_port: 1,
        private,
        totals,
    };
    let joined = |peer: u32| {
        let addr = SocketAddr::from(([10, 0, 0, peer as u8], 80)).into();
        Fact::PeerJoined { peer, addr, came_to_us: false, seed: false }
    };
    let payload = b"d5:added6:\x0a\0\0\x09\0\x50e";
    let said = Fact::Extension { peer: 1, name: "ut_pex", payload };
    let (progress, stopped) = (Fact::Progress(totals), Fact::Stopped(totals));
    let node = Fact::Node { addr: SocketAddr::from(([10, 0, 0, 9], 6881)).into() };
    let state = Fact::State { bytes: b"of another run" };
    let facts =
        [joined(1), joined(2), said, node, progress, Fact::Deadline, stopped, Fact::Deadline];
    for (id, private) in [("tracker", true), ("pex", false), ("lsd", false), ("dht", false)] {
        let (_folder, file) = own(&format!("rtor_discovery_{id}"));
        let facts = [&[state.clone(), started(private)][..], &facts].concat();
        let of = |registry: &Registry| wishes(registry, id, private, &facts);
        let (linked, loaded) = (of(&Registry::bundled()), of(&opened(&file)));
        assert_eq!(linked, loaded, "{id}");
        assert!(linked.len() > 3, "{linked:?}");
        assert_eq!(linked.last(), Some(&Wish::Finished));
    }
}

/// The order in which a leech gets pieces of one block each from one seed: that in which it
/// asks for them.
fn order(registry: &Registry, spec: &str, pieces: u32) -> Vec<u32> {
    const LINK: Link = Link { up: 1_000_000, down: 1_000_000, latency_us: 1000, loss_ppm: 0 };
    let mut world = World::new(torrent_of(pieces, 16 << 10), 1);
    let mut node = |have: Bitfield, spec| {
        let rank = registry.ranker(spec, silent()).expect("it starts");
        world.node(LINK, Manner::Honest, have, Box::new(rank), Vec::new())
    };
    let seed = node(Bitfield::full(pieces as usize), "sequential");
    let leech = node(Bitfield::new(pieces as usize), spec);
    world.introduce(leech, seed);
    world.run_until(Time(60_000_000), |world| world.completed_at(leech).is_some());
    world.verified(leech).map(|(_, piece)| piece).collect()
}

#[test]
fn a_strategy_from_outside_decides_in_which_order_pieces_are_asked_for() {
    let (_folder, file) = external();
    let registry = opened(&file);
    let plugin = registry.find("evens").expect("it is listed");
    assert_eq!((plugin.version, plugin.about), ("3.2.1", "even pieces first"));
    assert_eq!(
        (plugin.interfaces.as_slice(), &plugin.overrides),
        (&["rtor.strategy/1"][..], &None)
    );
    let expected: Vec<u32> = (0..50).step_by(2).chain((1..50).step_by(2)).collect();
    assert_eq!(order(&registry, "evens", 50), expected);
    assert_eq!(order(&registry, "sequential", 50), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_plugin_in_plain_c_decides_as_well() {
    let (_folder, file) = compiled("plugins/examples/backwards.c", &[]);
    let registry = opened(&file);
    assert_eq!(order(&registry, "backwards", 50), (0..50).rev().collect::<Vec<_>>());
    assert_eq!(
        registry.strategy("backwards:x", silent()).err().expect("it is refused").to_string(),
        "the strategy `backwards` cannot start: I take no options"
    );
}

#[test]
fn a_download_goes_on_when_its_strategy_breaks() {
    let (_folder, file) = external();
    let registry = opened(&file);
    let mut pieces = order(&registry, "evens:break-after=1", 50);
    pieces.sort_unstable();
    assert_eq!(pieces, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_a_loaded_guest_poisons_it_and_the_host_lives_on() {
    let heard = Arc::new(Heard::default());
    let (_folder, file) = external();
    let registry = opened(&file);
    let spec = "evens:break-after=1";
    let columns = Columns::new(3, 1);
    let swarm = columns.swarm(0, 0);
    let mut keys = [0; 3];

    let mut instance = registry.strategy(spec, silent()).expect("it starts");
    assert_eq!(instance.rank(&swarm, &[0, 1, 2], &mut keys), Ok(()));
    assert_eq!(instance.rank(&swarm, &[0, 1, 2], &mut keys), Err(Poisoned));
    assert_eq!(instance.epoch(&swarm), Err(Poisoned), "it is never asked again");

    let services: Arc<dyn Services> = Arc::<Heard>::clone(&heard);
    let mut ranker = registry.ranker(spec, services).expect("it starts");
    for _ in 0..3 {
        ranker.rank(&swarm, &[0, 1, 2], &mut keys);
    }
    let mut rarest = [0; 3];
    let mut bundled = registry.strategy("rarest", silent()).expect("it starts");
    bundled.rank(&swarm, &[0, 1, 2], &mut rarest).expect("it does not break");
    assert_eq!(keys, rarest);
    let file = file.canonicalize().expect("it is there");
    let warning = format!(
        "the strategy `{}` broke and is not asked again: `rarest` takes over",
        file.display()
    );
    assert_eq!(heard.said(), [(Level::Warning, warning)]);
}

/// Panics when it is made, or when it is asked.
struct Linked;

impl Strategy for Linked {
    const ID: &'static str = "linked";
    const ABOUT: &'static str = "breaks";

    fn create(options: Options<'_>) -> Result<Self, String> {
        assert!(options.value("now").is_none(), "broken on purpose");
        Ok(Self)
    }

    fn rank(&mut self, _swarm: &Swarm<'_>, _pieces: &[u32], keys: &mut [u64]) {
        let beyond = keys.len();
        keys[beyond] = 0;
    }
}

#[test]
fn a_panic_in_a_linked_guest_poisons_it_and_the_host_lives_on() {
    static ENTRY: Entry = rtor_plugin::strategy::entry::<Linked>("0");
    let mut instance = Instance::create(&ENTRY, "", silent()).expect("it starts");
    let columns = Columns::new(1, 1);
    assert_eq!(instance.rank(&columns.swarm(0, 0), &[0], &mut [0]), Err(Poisoned));
    assert_eq!(Instance::create(&ENTRY, "now", silent()).err(), Some(Status::POISONED));
}

#[test]
fn a_guest_in_c_that_gives_up_is_poisoned_too() {
    let (_folder, file) = compiled("tests/fixtures/broken.c", &[]);
    let mut instance = opened(&file).strategy("broken", silent()).expect("it starts");
    let columns = Columns::new(1, 1);
    assert_eq!(instance.rank(&columns.swarm(0, 0), &[0], &mut [0]), Err(Poisoned));
}

#[test]
fn a_plugin_that_breaks_a_rule_is_told_which() {
    let malformed = |what: &str| format!("the {what} of the plugin `libbroken.so` is malformed");
    for (flags, expected) in [
        (
            &["-DABI=2"][..],
            "the plugin `libbroken.so` was built for version 2 of the boundary, and this is 1"
                .to_owned(),
        ),
        (
            &["-DENTRY_SIZE=8"],
            "the entry of the plugin `libbroken.so` has 8 bytes, and needs 64".to_owned(),
        ),
        (
            &["-DTABLE_SIZE=16"],
            "the strategy table of the plugin `libbroken.so` has 16 bytes, and needs 40".to_owned(),
        ),
        (
            &["-DSYMBOL=other_plugin"],
            "the plugin `libbroken.so` does not export `broken_plugin`".to_owned(),
        ),
        (
            &["-DTABLE=NULL"],
            "the plugin `libbroken.so` offers no interface that is known here".to_owned(),
        ),
        (&["-DRANK=NULL"], malformed("strategy table")),
        (&["-DINTERFACE=NULL"], malformed("entry")),
        (&["-DID=\"a b\""], malformed("id")),
        (&["-DID=\"\""], malformed("id")),
        (&["-DID=\"\\377\""], malformed("id")),
    ] {
        let (_folder, file) = compiled("tests/fixtures/broken.c", flags);
        assert_eq!(complaint(&file), expected, "{flags:?}");
    }
}

#[test]
fn a_file_that_is_no_plugin_is_told_so() {
    let (folder, file) = compiled("tests/fixtures/broken.c", &[]);
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("it can be written");
        chmod(&file, 0o644);
        file
    };
    let text = write("libtext.so", b"#!/bin/sh\n");
    assert_eq!(complaint(&text), "the plugin `libtext.so` is not a shared library (ELF)");
    let empty = write("libempty.so", b"");
    assert_eq!(complaint(&empty), "the plugin `libempty.so` is not a shared library (ELF)");
    let torn = write("libtorn.so", b"\x7fELF and nothing more");
    assert_eq!(complaint(&torn), "the plugin `libtorn.so` cannot be loaded: file too short");
    let named = folder.path().join("lib.so");
    std::fs::copy(&file, &named).expect("a copy");
    assert_eq!(complaint(&named), "the plugin `lib.so` has a name that cannot name a symbol");
    assert_eq!(complaint(&folder.path().join("libnone.so")), {
        "the plugin `libnone.so` cannot be read: No such file or directory (os error 2)"
    });
    let inside = folder.path().join("libfolder.so");
    std::fs::create_dir(&inside).expect("a folder");
    assert_eq!(complaint(&inside), "the plugin `libfolder.so` is not a file");
}

#[test]
fn what_everybody_could_have_written_is_not_loaded() {
    let (folder, file) = compiled("tests/fixtures/broken.c", &[]);
    chmod(&file, 0o666);
    assert_eq!(complaint(&file), "the plugin `libbroken.so` is writable by everybody");
    chmod(&file, 0o644);
    chmod(folder.path(), 0o777);
    let real = folder.path().canonicalize().expect("it is there");
    assert_eq!(
        open(std::slice::from_ref(&file)).expect_err("it is refused").to_string(),
        format!(
            "the plugin `{}` lies in `{}`, in which everybody may replace it",
            file.display(),
            real.display()
        )
    );
    // A link from a safe place changes nothing.
    let safe = tempfile::tempdir().expect("a temporary folder");
    let link = safe.path().join("libbroken.so");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert!(matches!(open(&[link]), Err(HostError::UnsafeFolder { .. })));
    // In a sticky folder only the owner may replace a file.
    chmod(folder.path(), 0o1777);
    assert!(open(&[file]).is_ok());
}

#[test]
fn of_two_files_with_one_id_the_first_is_used() {
    let (_a, first) = compiled("tests/fixtures/broken.c", &[]);
    let (b, second) = compiled("tests/fixtures/broken.c", &[]);
    let real = |file: &Path| file.canonicalize().expect("it is there").display().to_string();
    let sentence = format!(
        "the plugins `{}` and `{}` both have the id `broken`: the first is used",
        real(&first),
        real(&second)
    );
    let both = [first.clone(), second];
    assert_eq!(open(&both).expect_err("asked for by name").to_string(), sentence);
    // One that was merely found is a warning, and the same file twice is nothing at all.
    let files = [first.clone(), first];
    let plugin_path = b.path().as_os_str();
    let places = Places { files: &files, plugin_path: Some(plugin_path), ..Places::BUNDLED };
    let registry = Registry::open(&places).expect("it opens");
    assert_eq!(registry.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(), [sentence]);
    assert_eq!(registry.plugins().iter().filter(|plugin| plugin.id == "broken").count(), 1);
}

#[test]
fn a_bad_file_that_was_merely_found_is_a_warning() {
    let (folder, _file) = compiled("tests/fixtures/broken.c", &["-DABI=7"]);
    let home = tempfile::tempdir().expect("a temporary folder");
    let places = Places {
        plugin_path: Some(folder.path().as_os_str()),
        home: Some(home.path().as_os_str()),
        exe: Some(Path::new("/nowhere/bin/rtor")),
        data_home: Some(OsStr::new("")),
        ..Places::BUNDLED
    };
    let registry = Registry::open(&places).expect("it opens");
    assert_eq!(registry.plugins().len(), Registry::bundled().plugins().len());
    assert!(matches!(registry.warnings(), [HostError::WrongAbi { found: 7, .. }]));
}

#[test]
fn without_bundled_plugins_there_are_only_files() {
    let (_folder, file) = compiled("plugins/examples/backwards.c", &[]);
    let places = Places { files: &[file], bundled: false, ..Places::BUNDLED };
    let registry = Registry::open(&places).expect("it opens");
    assert_eq!(
        registry.plugins().iter().map(|plugin| plugin.id).collect::<Vec<_>>(),
        ["backwards"]
    );
    assert!(registry.strategy("rarest", silent()).is_err());
    assert!(registry.ranker("backwards", silent()).is_ok());
}

/// What `rtor plugins` with these arguments answers: its exit code, stdout and stderr.
fn verb(args: &[&str]) -> (u8, String, String) {
    let args: Vec<&str> = ["rtor", "plugins"].iter().chain(args).copied().collect();
    let (env, written) = rtor::env::Env::in_memory(Path::new("/"), &args, None);
    let code = rtor::run(env).code();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (code, text(written.stdout.take()), text(written.stderr.take()))
}

#[test]
fn the_verb_lists_plugins_for_people_and_for_programs() {
    let (_folder, file) = own("rtor_strategy_rarest");
    let real = file.canonicalize().expect("it is there").display().to_string();
    let (code, json, said) = verb(&["--plugin", &real]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(json.starts_with("{\"plugins\":[{\"id\":\"rarest\","), "{json}");
    assert!(json.contains(&format!("\"file\":\"{real}\",\"overrides_bundled\":true")), "{json}");
    assert!(json.contains("\"file\":null,\"overrides_bundled\":false"), "{json}");
    let (_, table, _) = verb(&["list", "--table"]);
    let words: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    let version = env!("CARGO_PKG_VERSION");
    assert!(words.contains(&vec!["rarest", "strategy", version, "bundled"]), "{table}");
    assert!(words.contains(&vec!["tracker", "discovery", version, "bundled"]), "{table}");
}

#[test]
fn the_verb_refuses_a_named_file_that_is_no_plugin() {
    let (_folder, file) = compiled("tests/fixtures/broken.c", &[]);
    chmod(&file, 0o666);
    let path = file.display();
    let sentence =
        format!("error: the plugin `{path}` is writable by everybody\nhint: chmod o-w {path}\n");
    assert_eq!(verb(&["--plugin", &path.to_string()]), (2, String::new(), sentence));
}

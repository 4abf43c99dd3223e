//! Finds peers by one way alone, with no tracker in the torrent, and is found by it: DHT, PEX and
//! LSD with other people's clients. On a private torrent it goes none of these ways.

use super::one_file;
use crate::harness::aria2::DHT_PORT;
use crate::harness::tree::same;
use crate::harness::watch::Watch;
use crate::harness::{
    Client, Content, Dht, Job, KIB, MIB, Net, Peer, Ran, Rtor, Started, Torrent, peer, tracker,
    until,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where rtor is.
const OURS: &str = "10.77.0.6";
/// Where rtor listens.
const LISTEN: &str = "10.77.0.6:6881";
/// Where seeders and leeches are.
const OTHERS: [&str; 2] = ["10.77.0.3", "10.77.0.4"];
/// For a peer to be found by whatever way: some announce once in a while only.
const PATIENCE: Duration = Duration::from_secs(90);

/// A torrent without a tracker, and where rtor runs.
struct Quiet {
    content: Content,
    torrent: Torrent,
    run: PathBuf,
    net: Net,
}

impl Quiet {
    fn new(length: u64) -> Self {
        let net = Net::new();
        let (content, recipe) = one_file(length, 64 * KIB)(&net.folder("source"));
        let torrent = recipe.make(&net.folder("torrents").join("quiet.torrent"));
        let run = net.folder("run");
        Self { content, torrent, run, net }
    }

    fn seed(&self) -> Job {
        Job::seed(&self.torrent, &self.content)
    }

    /// `rtor get` into `out`.
    fn get(&self, args: &[&str]) -> Rtor {
        self.rtor("out", args)
    }

    /// `rtor get` with the info hash alone into `again`, compared with the source.
    #[track_caller]
    fn gets_info_hash(&self, args: &[&str]) {
        let info_hash = self.torrent.info_hash_v1().expect("it is v1");
        let get = Rtor::new(&self.run, ["get", info_hash, "--output", "again", "--timeout", "90s"]);
        get.args(args).within(&self.net).run().exited(0);
        same(&self.content.path(), &self.run.join("again").join(self.content.name()));
    }

    /// rtor with everything, until it is told to end.
    fn seeds(&self, args: &[&str]) -> Started {
        let folder = self.content.folder().to_string_lossy();
        let started = self.rtor(&folder, args).args(["--seed"]).start();
        until("rtor listens", PATIENCE, || {
            self.net.accepts(LISTEN.parse().expect("an address")).then_some(())
        });
        started
    }

    fn rtor(&self, output: &str, args: &[&str]) -> Rtor {
        let get = ["get", self.torrent.arg(), "--output", output, "--timeout", "90s"];
        Rtor::new(&self.run, get).args(args).within(&self.net)
    }

    /// Waits until the leech got everything from us, and ends us.
    #[track_caller]
    fn got(&self, leech: &dyn Peer, folder: &Path, mut ours: Started) {
        peer::complete(leech, PATIENCE);
        same(&self.content.path(), &folder.join(self.content.name()));
        ours.send(Signal::INT);
        ours.wait(PATIENCE).exited(0);
    }

    /// Checks what is in `out`, and gives the peer at `addr` of the result.
    #[track_caller]
    fn found(&self, ran: &Ran, addr: &str) -> Value {
        same(&self.content.path(), &self.run.join("out").join(self.content.name()));
        let fetch = &ran.json()["fetch"];
        let peers = fetch["peers"].as_array().expect("a list");
        let peer = peers.iter().find(|peer| peer["addr"] == addr);
        peer.unwrap_or_else(|| panic!("`{addr}` is not among the peers: {fetch}")).clone()
    }
}

/// rtor finds `client` by the DHT alone: with the torrent, and with nothing but its info hash.
#[track_caller]
fn found_through_the_dht(client: Client) {
    let quiet = Quiet::new(MIB);
    let dht = Dht::start(&quiet.net, false);
    let watch = Watch::start(&quiet.net);
    let seeder = client.start(&quiet.net, OTHERS[0], &quiet.seed().dht(dht.node));
    // Whoever looks us up calls us, and then it was not we who found.
    until("it has announced itself", PATIENCE, || watch.announced(OTHERS[0]).then_some(()));
    let node = dht.node.to_string();
    let args = ["--discover", "dht", "--dht-bootstrap", &node, "--listen", LISTEN];
    let ran = quiet.get(&args).run().exited(0);
    let peer = quiet.found(&ran, &seeder.addr().to_string());
    assert_eq!(peer["found_by"], json!(["dht"]), "{peer}");
    quiet.gets_info_hash(&args);
}

#[test]
fn a_libtorrent_seeder_is_found_through_the_dht() {
    found_through_the_dht(Client::Libtorrent);
}

#[test]
fn an_aria2_seeder_is_found_through_the_dht() {
    found_through_the_dht(Client::Aria2);
}

#[test]
fn a_transmission_seeder_is_found_through_the_dht() {
    found_through_the_dht(Client::Transmission);
}

#[test]
fn a_seeder_is_found_through_the_dht_of_ipv6() {
    let quiet = Quiet::new(MIB);
    let dht = Dht::start(&quiet.net, true);
    let seeder = Client::Libtorrent.start(&quiet.net, "fd77::3", &quiet.seed().dht(dht.node));
    let node = dht.node.to_string();
    let args = ["--discover", "dht", "--dht-bootstrap", &node, "--listen", "[fd77::6]:6881"];
    let ran = quiet.get(&args).run().exited(0);
    let peer = quiet.found(&ran, &seeder.addr().to_string());
    assert_eq!(peer["found_by"], json!(["dht"]), "{peer}");
    quiet.gets_info_hash(&args);
}

/// `client` downloads from rtor, which it finds by the DHT alone.
#[track_caller]
fn finds_us_through_the_dht(client: Client) {
    let quiet = Quiet::new(MIB);
    let dht = Dht::start(&quiet.net, false);
    let watch = Watch::start(&quiet.net);
    let node = dht.node.to_string();
    let args = ["--discover", "dht", "--dht-bootstrap", &node, "--listen", LISTEN];
    let ours = quiet.seeds(&args);
    until("rtor has announced itself", PATIENCE, || watch.announced(OURS).then_some(()));
    let folder = quiet.net.folder("leech");
    let job = Job::leech(&quiet.torrent, &folder).dht(dht.node);
    let leech = client.start(&quiet.net, OTHERS[0], &job);
    quiet.got(&*leech, &folder, ours);
}

#[test]
fn a_libtorrent_leech_finds_us_through_the_dht() {
    finds_us_through_the_dht(Client::Libtorrent);
}

#[test]
fn an_aria2_leech_finds_us_through_the_dht() {
    finds_us_through_the_dht(Client::Aria2);
}

#[test]
fn a_transmission_leech_finds_us_through_the_dht() {
    finds_us_through_the_dht(Client::Transmission);
}

#[test]
fn the_nodes_of_a_torrent_are_where_the_dht_begins() {
    let mut quiet = Quiet::new(MIB);
    let dht = Dht::start(&quiet.net, false);
    let file = quiet.net.folder("torrents").join("nodes.torrent");
    quiet.torrent = Torrent::like(quiet.torrent.path()).node(dht.node).make(&file);
    let seeder = Client::Libtorrent.start(&quiet.net, OTHERS[0], &quiet.seed().dht(dht.node));
    let args = ["--discover", "dht", "--listen", LISTEN];
    let ran = quiet.get(&args).run().exited(0);
    let peer = quiet.found(&ran, &seeder.addr().to_string());
    assert_eq!(peer["found_by"], json!(["dht"]), "{peer}");
}

/// Whether a node at 10.77.0.`host` is among those that the run in `folder` kept.
fn kept(folder: &Path, host: u8, port: u16) -> bool {
    let state = std::fs::read(folder.join("dht.state")).unwrap_or_default();
    let [high, low] = port.to_be_bytes();
    state.windows(6).any(|bytes| bytes == [10, 77, 0, host, high, low])
}

#[test]
fn a_peer_says_where_its_node_is_and_the_next_run_begins_there() {
    let quiet = Quiet::new(4 * MIB);
    let dht = Dht::start(&quiet.net, false);
    // Slow, so that there is time to ask the node.
    let job = quiet.seed().dht(dht.node).max_up(MIB);
    let seeder = Client::Aria2.start(&quiet.net, OTHERS[0], &job);
    let addr = seeder.addr().to_string();
    let args = ["--listen", LISTEN, "--peer", &addr, "--state-dir", "state"];
    let nobody = ["--discover", "dht", "--dht-bootstrap", "10.77.0.29:1"];
    quiet.get(&nobody).args(args).run().exited(0);
    assert!(kept(&quiet.run.join("state"), 3, DHT_PORT), "aria2 said PORT, and its node answered");
    // The state is all that the second run begins with.
    std::fs::remove_dir_all(quiet.run.join("out")).expect("it is there");
    let args = ["--listen", LISTEN, "--state-dir", "state"];
    let ran = quiet.get(&nobody).args(args).run().exited(0);
    let peer = quiet.found(&ran, &addr);
    assert_eq!(peer["found_by"], json!(["dht"]), "{peer}");
}

#[test]
fn a_broken_state_is_ignored_with_a_warning() {
    let quiet = Quiet::new(MIB);
    let seeder = Client::Libtorrent.start(&quiet.net, OTHERS[0], &quiet.seed());
    let state = quiet.run.join("state");
    std::fs::create_dir(&state).expect("a folder");
    let args = ["--peer", &seeder.addr().to_string(), "--state-dir", "state"];
    for (broken, said) in [(b"x".to_vec(), "cannot be read"), (vec![b'x'; 70_000], "more than")] {
        std::fs::write(state.join("dht.state"), broken).expect("a file");
        let ran = quiet.get(&args).run().exited(0);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        std::fs::remove_dir_all(quiet.run.join("out")).expect("it is there");
    }
}

#[test]
fn a_second_seeder_is_found_through_pex() {
    let quiet = Quiet::new(4 * MIB);
    let second = Client::Libtorrent.start(&quiet.net, OTHERS[1], &quiet.seed().pex());
    // It gets from the second, and so slowly that we need that too.
    let folder = quiet.net.folder("leech");
    let job = Job::leech(&quiet.torrent, &folder).pex().peer(second.addr());
    let first = Client::Libtorrent.start(&quiet.net, OTHERS[0], &job.max_down(50 * KIB));
    let addr = first.addr().to_string();
    let args = ["--discover", "pex", "--peer", &addr, "--listen", LISTEN];
    let ran = quiet.get(&args).run().exited(0);
    let peer = quiet.found(&ran, &second.addr().to_string());
    assert_eq!(peer["found_by"], json!(["pex"]), "{peer}");
    let named = quiet.found(&ran, &addr);
    assert_eq!(named["found_by"][0], "user", "{named}");
}

/// rtor tells one peer of another: they have no other way to each other.
#[test]
fn a_libtorrent_leech_hears_of_a_seeder_through_our_pex() {
    let quiet = Quiet::new(16 * MIB);
    // So slow that rtor stays with it until the leech has come too.
    let seeder = Client::Libtorrent.start(&quiet.net, OTHERS[1], &quiet.seed().max_up(100 * KIB));
    let addr = seeder.addr().to_string();
    let _ours = quiet.get(&["--discover", "pex", "--peer", &addr, "--listen", LISTEN]).start();
    let ours = LISTEN.parse().expect("an address");
    until("rtor listens", PATIENCE, || quiet.net.accepts(ours).then_some(()));
    let folder = quiet.net.folder("leech");
    let job = Job::leech(&quiet.torrent, &folder).pex().peer(ours);
    let leech = Client::Libtorrent.start(&quiet.net, OTHERS[0], &job);
    until("the leech is with both", PATIENCE, || (leech.progress().peers >= 2).then_some(()));
}

/// rtor finds `client`, which announces itself when it comes, some also later.
#[track_caller]
fn found_on_the_local_network(client: Client) {
    let quiet = Quiet::new(MIB);
    // Some send to the group from no address in particular.
    let mut route = quiet.net.command("ip");
    route.args(["route", "add", "239.192.152.143", "dev", "lo", "src", OTHERS[0]]);
    assert!(route.status().expect("`ip` runs").success(), "the network takes a route");
    let ours = quiet.get(&["--discover", "lsd", "--listen", LISTEN]).start();
    until("rtor listens", PATIENCE, || {
        quiet.net.accepts(LISTEN.parse().expect("an address")).then_some(())
    });
    let seeder = client.start(&quiet.net, OTHERS[0], &quiet.seed().lsd());
    let ran = ours.wait(PATIENCE).exited(0);
    let peer = quiet.found(&ran, &seeder.addr().to_string());
    assert_eq!(peer["found_by"], json!(["lsd"]), "{peer}");
}

#[test]
fn a_libtorrent_seeder_is_found_on_the_local_network() {
    found_on_the_local_network(Client::Libtorrent);
}

#[test]
fn an_aria2_seeder_is_found_on_the_local_network() {
    found_on_the_local_network(Client::Aria2);
}

#[test]
fn a_transmission_seeder_is_found_on_the_local_network() {
    found_on_the_local_network(Client::Transmission);
}

#[test]
fn a_libtorrent_seeder_is_found_on_the_local_network_of_ipv6() {
    let quiet = Quiet::new(MIB);
    quiet.net.link();
    let ours = quiet.get(&["--discover", "lsd", "--listen", "[fd78::1]:6881"]).start();
    // It announces itself from the newest address of its interface, wherever it listens.
    let seeder = Client::Libtorrent.start(&quiet.net, "fd78::4", &quiet.seed().lsd());
    let ran = ours.wait(PATIENCE).exited(0);
    let peer = quiet.found(&ran, &seeder.addr().to_string());
    assert_eq!(peer["found_by"], json!(["lsd"]), "{peer}");
}

#[test]
fn a_libtorrent_leech_finds_us_on_the_local_network() {
    let quiet = Quiet::new(MIB);
    let folder = quiet.net.folder("leech");
    let job = Job::leech(&quiet.torrent, &folder).lsd();
    let leech = Client::Libtorrent.start(&quiet.net, OTHERS[0], &job);
    let ours = quiet.seeds(&["--discover", "lsd", "--listen", LISTEN]);
    quiet.got(&*leech, &folder, ours);
}

/// What rtor showed of itself while it got a torrent from a seeder that a tracker or the user told
/// it of, with every way asked for.
#[track_caller]
fn shown(private: bool) -> Vec<String> {
    let net = Net::new();
    let (content, recipe) = one_file(MIB, 64 * KIB)(&net.folder("source"));
    let recipe = if private { recipe.private() } else { recipe };
    let torrent = recipe.make(&net.folder("torrents").join("one.torrent"));
    let dht = Dht::start(&net, false);
    let seeder = Client::Libtorrent.start(&net, OTHERS[0], &Job::seed(&torrent, &content));
    let watch = Watch::start(&net);
    let (node, peer) = (dht.node.to_string(), seeder.addr().to_string());
    let run = net.folder("run");
    let args = ["get", torrent.arg(), "--output", "out", "--peer", &peer, "--listen", LISTEN];
    let ways = ["--discover", "tracker,pex,lsd,dht", "--dht-bootstrap", &node];
    // It seeds when it is complete: its look-up in the DHT may end later than the download.
    let more = ["--seed", "--events", "events"];
    let mut ours = Rtor::new(&run, args).args(ways).args(more).within(&net).start();
    // The end of a handshake is the last that can be seen of a private one.
    let saw = until("the handshake was seen, and what follows it", PATIENCE, || {
        let events = std::fs::read_to_string(run.join("events")).unwrap_or_default();
        let saw = watch.saw(OURS);
        let told = |what: &str| saw.iter().any(|saw| saw == what);
        let all = told("no ut_pex") || (told("ut_pex") && told("announce"));
        (all && events.contains("\"completed\"")).then_some(saw)
    });
    ours.send(Signal::INT);
    ours.wait(PATIENCE).exited(0);
    same(&content.path(), &run.join("out").join(content.name()));
    let decoded = Rtor::new(&run, ["decode", torrent.arg()]).run().exited(0).json();
    assert_eq!(decoded["torrent"]["private"], private);
    saw
}

#[test]
fn a_private_torrent_goes_no_other_way_than_its_trackers() {
    assert_eq!(shown(true), ["no dht bit", "no ut_pex"]);
}

#[test]
fn a_torrent_that_is_not_private_goes_every_way() {
    assert_eq!(shown(false), ["announce", "dht", "dht bit", "lsd", "ut_pex"]);
}

#[test]
fn names_that_nobody_knows_are_no_reason_to_warn_while_there_are_peers() {
    let quiet = Quiet::new(MIB);
    let seeder = Client::Libtorrent.start(&quiet.net, OTHERS[0], &quiet.seed());
    let peer = seeder.addr().to_string();
    let ran = quiet.get(&["--peer", &peer]).run().exited(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn ways_are_chosen_and_left_out_by_name() {
    let quiet = Quiet::new(MIB);
    let said = quiet.get(&["--discover", "dht,gossip"]).run().refused();
    assert!(said.contains("there is no discovery guest `gossip`"), "{said}");
    assert!(said.contains("`tracker`, `pex`, `lsd`, `dht`"), "{said}");
    let said = quiet.get(&["--no-discover", "trakcer"]).run().refused();
    assert!(said.contains("did you mean `tracker`?"), "{said}");
    let said = quiet.get(&["--dht-bootstrap", "nobody"]).run().refused();
    assert!(said.contains("`nobody` is no node"), "{said}");
    for left_out in [["--no-discover", "dht"], ["--discover", "tracker,pex"]] {
        let said =
            quiet.get(&["--dht-bootstrap", "10.77.0.11:6881"]).args(left_out).run().refused();
        assert!(
            said.contains("`--dht-bootstrap` is for the guest `dht`, which is left out"),
            "{said}"
        );
    }
    let tracked = Torrent::like(quiet.torrent.path())
        .tracker(tracker::http("10.77.0.28"))
        .make(&quiet.net.folder("torrents").join("tracked.torrent"));
    let seeder = Client::Libtorrent.start(&quiet.net, OTHERS[0], &quiet.seed());
    let args = ["get", tracked.arg(), "--output", "out", "--peer", &seeder.addr().to_string()];
    for left_out in [["--no-trackers", "-v"], ["--no-discover=tracker", "-v"], ["-v", "-v"]] {
        let ran = Rtor::new(&quiet.run, args).args(left_out).within(&quiet.net).run().exited(0);
        let asked = ran.stderr.contains("10.77.0.28");
        assert_eq!(asked, left_out == ["-v", "-v"], "{left_out:?}: {}", ran.stderr);
        std::fs::remove_dir_all(quiet.run.join("out")).expect("it is there");
    }
}

//! `--map-port`, with a real router: the world comes in through it, and nothing stays behind.

use super::one_file;
use crate::harness::peer::complete;
use crate::harness::router::{HOME, OTHER, OUTSIDE, Router, Speaks, WORLD, run};
use crate::harness::tree::same;
use crate::harness::{
    Client, Content, Job, KIB, MIB, Net, Opentracker, Rtor, Started, Torrent, tracker, until,
};
use rustix::process::Signal;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const LEASE_S: u32 = 600;

/// A torrent that only somebody at home has, and a tracker in the world.
struct Home {
    run: Started,
    tracker: Opentracker,
    torrent: Torrent,
    content: Content,
    router: Router,
}

impl Home {
    /// rtor seeds at home, at port 7000, with `args`.
    fn seeds(router: Router, args: &[&str]) -> Self {
        let folder = router.home.folder("source");
        let (content, recipe) = one_file(2 * MIB + 1, 64 * KIB)(&folder);
        let file = folder.join("x.torrent");
        let torrent = recipe.tracker(tracker::http(WORLD[0])).make(&file);
        let tracker = Opentracker::start(&router.world, WORLD[0], &[&torrent]);
        let source = folder.to_str().expect("UTF-8");
        let seed = ["seed", torrent.arg(), "--data", source, "--map-port", "-vv"];
        let run = Rtor::new(&router.home.folder("run"), seed)
            .args(["--listen", "0.0.0.0:7000", "--discover", "tracker"])
            .args(args)
            .within(&router.home)
            .start();
        Self { run, tracker, torrent, content, router }
    }

    /// Somebody in the world gets all of it, and came in to do so; then rtor ends, and the router passes
    /// on no more than the ports `left`. What rtor says.
    #[track_caller]
    fn ends_reached(self, left: usize) -> (serde_json::Value, String, Router) {
        let Self { mut run, tracker, torrent, content, router } = self;
        let into = router.world.folder("leech");
        let job = Job::leech(&torrent, &into);
        let leech = Client::Libtorrent.start(&router.world, WORLD[1], &job);
        complete(&*leech, PATIENCE);
        same(&content.path(), &into.join(content.name()));
        run.send(Signal::INT);
        let ran = run.wait(PATIENCE).exited(0);
        assert_eq!(router.mapped().len(), left, "{}", router.log());
        drop((leech, tracker));
        let seed = ran.json()["seed"].clone();
        let peer = &seed["peers"][0];
        assert!(peer["addr"].as_str().expect("an address").starts_with(WORLD[1]), "{seed}");
        assert_eq!(peer["source"], "incoming", "{seed}");
        (seed, ran.stderr, router)
    }
}

/// The rules of the kernel for the ports of who is at home.
#[track_caller]
fn passes_on(router: &Router, port: u16) {
    let rules = router.maps(2);
    let home = format!("th dport {port} dnat ip to {HOME}:7000");
    assert!(rules.iter().all(|rule| rule.contains(&home)), "{rules:?}");
    let is_for = |number: &str| rules.iter().any(|rule| rule.contains(number));
    assert!(is_for("0x6") && is_for("0x11"), "TCP and UDP: {rules:?}");
}

#[track_caller]
fn is_reached_by(speaks: Speaks, name: &str) {
    let home = Home::seeds(Router::start(speaks, LEASE_S), &[]);
    passes_on(&home.router, 7000);
    let (seed, said, _router) = home.ends_reached(0);
    assert_eq!(seed["external_addr"], format!("{OUTSIDE}:7000"));
    let note = format!("note: {OUTSIDE}:7000: a router passes this on to us, asked by {name}\n");
    assert!(said.contains(&note), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn the_world_comes_in_by_pcp() {
    is_reached_by(Speaks::Pcp, "PCP");
}

#[test]
fn the_world_comes_in_by_upnp() {
    is_reached_by(Speaks::Upnp, "UPnP");
}

/// Somebody else at home has our port on the router: the tracker hears of the one that we get instead.
#[track_caller]
fn is_reached_at_another_port(speaks: Speaks, take: impl FnOnce(&Router)) {
    let router = Router::start(speaks, LEASE_S);
    take(&router);
    router.maps(1);
    let home = Home::seeds(router, &[]);
    let rules = home.router.maps(3);
    let ours: Vec<&String> = rules.iter().filter(|rule| rule.contains(HOME)).collect();
    assert!(ours.iter().any(|rule| !rule.contains("dport 7000 ")), "{rules:?}");
    // It is told at once, and not when the tracker's interval is over.
    let (seed, _, _router) = home.ends_reached(1);
    assert_ne!(seed["external_addr"], format!("{OUTSIDE}:7000"), "{rules:?}");
}

#[test]
fn what_the_tracker_hears_is_the_port_on_the_router_by_pcp() {
    is_reached_at_another_port(Speaks::Pcp, |router| {
        let map = include_str!("../harness/pcp_map.py");
        run(&router.home, "python3", &["-c", map, OTHER, "7999", "7000", "6"]);
    });
}

#[test]
fn what_the_tracker_hears_is_the_port_on_the_router_by_upnp() {
    is_reached_at_another_port(Speaks::Upnp, |router| {
        run(&router.home, "upnpc", &["-a", OTHER, "7999", "7000", "TCP", "600"]);
    });
}

#[test]
fn a_lease_is_renewed_before_it_ends() {
    // So short that it would be over several times before the leech is done.
    let home = Home::seeds(Router::start(Speaks::Pcp, 4), &[]);
    passes_on(&home.router, 7000);
    until("it was renewed twice", PATIENCE, || {
        let granted = home.router.log().matches("added mapping TCP 7000->10.78.0.2:7000").count();
        (granted >= 3).then_some(())
    });
    passes_on(&home.router, 7000);
    home.ends_reached(0);
}

#[test]
fn without_a_router_that_maps_there_is_one_warning_and_the_same_result() {
    let router = Router::start(Speaks::Nothing, LEASE_S);
    let folder = router.world.folder("source");
    let (content, recipe) = one_file(MIB, 64 * KIB)(&folder);
    let torrent = recipe.make(&folder.join("x.torrent"));
    // Not at the port that the router lets nobody call.
    let seeder = Rtor::new(&router.world.folder("run"), ["get", torrent.arg(), "--output"])
        .args([folder.to_str().expect("UTF-8"), "--seed", "--listen", "11.77.0.9:7001"])
        .args(["--discover", "tracker"])
        .within(&router.world)
        .start();
    until("the seeder listens", PATIENCE, || {
        router.world.accepts("11.77.0.9:7001".parse().expect("literal")).then_some(())
    });
    let run = router.home.folder("run");
    let args = ["get", torrent.arg(), "--output", "out", "--map-port", "--peer", "11.77.0.9:7001"];
    let mut ran = Rtor::new(&run, args)
        .args(["--discover", "tracker", "--seed", "--listen", "0.0.0.0:7000"])
        .within(&router.home)
        .start();
    let warning = "warning: port map: no router passes ports on to us: by PCP and NAT-PMP ";
    until("it has the content, and has said why", PATIENCE, || {
        let whole = std::fs::read(run.join("out").join(content.name())).ok()
            == std::fs::read(content.path()).ok();
        (whole && ran.stderr().contains(warning)).then_some(())
    });
    ran.send(Signal::INT);
    let ran = ran.wait(PATIENCE).exited(0);
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
    let fetch = &ran.json()["fetch"];
    assert_eq!((&fetch["complete"], &fetch["external_addr"]), (&true.into(), &().into()));
    drop(seeder);
}

#[test]
fn a_port_that_is_this_machine_s_alone_is_not_mapped_and_a_proxy_has_none() {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", MIB, 1);
    let torrent = Torrent::of(&content).make(&net.folder("torrents").join("x.torrent"));
    let source = net.folder("source");
    let source = source.to_str().expect("UTF-8");
    let get = ["get", torrent.arg(), "--output", source, "--map-port", "--seed"];
    let mut run = Rtor::new(&net.folder("run"), get)
        .args(["--listen", "127.0.0.1:7000", "--discover", "tracker"])
        .within(&net)
        .start();
    let why =
        "warning: port map: no router passes ports on to us: `127.0.0.1` is this machine's alone";
    until("it says why", PATIENCE, || run.stderr().contains(why).then_some(()));
    run.send(Signal::INT);
    run.wait(PATIENCE).exited(0);
    let proxied = ["get", torrent.arg(), "--map-port", "--proxy", "socks5://10.77.0.9:1080"];
    let said = Rtor::new(&net.folder("run"), proxied).run().exited(2).stderr;
    assert!(said.contains("--map-port") && said.contains("--proxy"), "{said}");
}

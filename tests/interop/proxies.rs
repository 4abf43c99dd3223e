//! `--proxy`, with real proxies: everything goes through them, and nothing past them.

use super::{SEEDERS, Swarm, TRACKER, one_file, trackers::with_trackers};
use crate::harness::proxy::{Flow, PASSWORD, ProxyServer, Sniffer, USER};
use crate::harness::{Client, KIB, MIB, Ran, tracker};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

/// Where the proxies are.
const PROXY: &str = "10.77.0.20";
/// For rtor to say good-bye.
const PATIENCE: Duration = Duration::from_secs(20);

/// A swarm whose torrent names a UDP tracker, and an HTTP one by a name that the proxy alone knows.
fn swarm() -> Swarm {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let urls = [tracker::udp(TRACKER), tracker::http("tracker.example")];
    swarm.torrent = with_trackers(&swarm, &urls);
    swarm
}

/// What was seen of somebody who is neither the proxy nor one of those behind it.
fn past(flows: &[Flow], proxy: &ProxyServer) -> Vec<Flow> {
    let known = [PROXY, TRACKER, SEEDERS[0]];
    let own = flows.iter().filter(|(_, from, ..)| !known.contains(&from.as_str()));
    // Its relay of datagrams is at any port.
    let to_proxy = |(protocol, _, to, port): &&Flow| {
        let port_is_its_own = protocol == "udp" || *port == u64::from(proxy.addr().port());
        to == PROXY && port_is_its_own
    };
    own.filter(|flow| !to_proxy(flow)).cloned().collect()
}

fn says_no_secret(ran: &Ran) {
    let stdout = String::from_utf8_lossy(&ran.stdout);
    for secret in [USER, PASSWORD] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
        assert!(!stdout.contains(secret), "{stdout}");
    }
}

#[track_caller]
fn nothing_goes_past(start: fn(&crate::harness::Net, &str) -> ProxyServer) {
    let swarm = swarm();
    let proxy = start(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let args = ["get", swarm.torrent.arg(), "--output", "out"];
    let ran = swarm.rtor(args).args(["--proxy", &proxy.url()]).run().exited(0);
    let flows = sniffer.flows();
    assert_eq!(past(&flows, &proxy), [], "{flows:?}");
    let through = |to: &str| flows.iter().any(|(_, from, at, _)| from == PROXY && at == to);
    assert!(through(TRACKER) && through(SEEDERS[0]), "{flows:?}");
    assert_eq!(
        ran.stderr.matches("warning: UDP trackers are not asked").count(),
        1,
        "{}",
        ran.stderr
    );
    says_no_secret(&ran);
    let fetch = swarm.arrived(ran);
    assert_eq!(fetch["peers"][0]["addr"], swarm.seeders[0].addr().to_string(), "{fetch}");

    // The sniffer would have seen it.
    let args = ["get", swarm.torrent.arg(), "--output", "direct"];
    swarm.rtor(args).run().exited(0);
    let flows = past(&sniffer.flows(), &proxy);
    assert!(flows.iter().any(|(_, _, to, _)| to == SEEDERS[0]), "{flows:?}");
}

/// A torrent whose trackers are asked over UDP alone: one by a name that the proxy alone knows, one by
/// its address.
fn udp_swarm(clients: &[Client]) -> Swarm {
    let mut swarm = Swarm::new(clients, one_file(MIB + 1, 64 * KIB));
    let urls = ["tracker.example", TRACKER].map(tracker::udp);
    swarm.torrent = with_trackers(&swarm, &urls);
    swarm
}

/// Whether a datagram of `by`'s went to the tracker.
fn asked_by(flows: &[Flow], by: impl Fn(&str) -> bool) -> bool {
    flows.iter().any(|(kind, from, to, _)| kind == "udp" && by(from) && to == TRACKER)
}

#[test]
fn udp_trackers_are_asked_through_a_proxy_that_relays_datagrams() {
    let swarm = udp_swarm(&[Client::Libtorrent]);
    let proxy = ProxyServer::relaying(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let args = ["get", swarm.torrent.arg(), "--output", "out", "-v"];
    let ran = swarm.rtor(args).args(["--proxy", &proxy.url()]).run().exited(0);
    let flows = sniffer.flows();
    assert_eq!(past(&flows, &proxy), [], "{flows:?}");
    assert!(asked_by(&flows, |by| by == PROXY), "{flows:?}");
    assert!(!asked_by(&flows, |by| by != PROXY), "{flows:?}");
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let fetch = swarm.arrived(ran);
    assert_eq!(fetch["peers"][0]["found_by"], json!(["tracker"]), "{fetch}");
    assert_eq!(swarm.tracker.scrape(&swarm.torrent).downloads, 1, "it heard of the end");
    swarm.tracker.knows(&swarm.torrent, 1, 0);

    // The sniffer would have seen it, and without the proxy nobody knows the name.
    let args = ["get", swarm.torrent.arg(), "--output", "direct"];
    swarm.rtor(args).run().exited(0);
    assert!(asked_by(&sniffer.flows(), |by| by != PROXY), "{:?}", sniffer.flows());
}

#[test]
fn trackers_are_scraped_through_a_proxy_that_relays_datagrams() {
    let swarm = udp_swarm(&[Client::Libtorrent]);
    let proxy = ProxyServer::relaying(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let args = ["analyze", swarm.torrent.arg(), "--swarm", "--proxy", &proxy.url()];
    let seen = swarm.rtor(args).run().exited(0).json()["analysis"]["swarm"].clone();
    assert_eq!(past(&sniffer.flows(), &proxy), []);
    for tracker in seen["trackers"].as_array().expect("two trackers") {
        assert_eq!((&tracker["seeds"], &tracker["downloads"]), (&json!(1), &json!(0)), "{seen}");
    }
}

#[test]
fn an_association_that_ended_with_its_proxy_is_opened_anew() {
    let swarm = udp_swarm(&[]);
    let mut proxy = ProxyServer::relaying(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let args = ["get", swarm.torrent.arg(), "--output", "out", "--proxy", &proxy.url()];
    let mut ours = swarm.rtor(args).start();
    swarm.tracker.knows(&swarm.torrent, 0, 1);
    proxy.restart(&swarm.net);
    ours.send(Signal::INT);
    ours.wait(PATIENCE).exited(130);
    // It said good-bye through the new one.
    swarm.tracker.knows(&swarm.torrent, 0, 0);
    let flows = sniffer.flows();
    assert!(!asked_by(&flows, |by| by != PROXY), "{flows:?}");
}

#[test]
fn ways_that_lead_round_a_proxy_are_refused_with_it() {
    let swarm = Swarm::new(&[], one_file(KIB, 16 * KIB));
    let with = |args: [&str; 2]| {
        let get = ["get", swarm.torrent.arg(), "--proxy", "socks5://10.77.0.29:1"];
        swarm.rtor(get).args(args).run().exited(2).stderr
    };
    for way in ["dht", "lsd"] {
        let said = with(["--discover", way]);
        let why = format!("`--discover {way}` finds nobody through a `--proxy`");
        assert!(said.contains(&why), "{said}");
    }
    let said = with(["--dht-bootstrap", "10.77.0.29:1"]);
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn nothing_goes_past_a_socks_proxy() {
    nothing_goes_past(ProxyServer::socks);
}

#[test]
fn nothing_goes_past_an_http_proxy() {
    nothing_goes_past(ProxyServer::http);
}

#[test]
fn a_proxy_that_refuses_us_is_not_gone_round() {
    let swarm = swarm();
    let proxy = ProxyServer::socks(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let peer = swarm.seeders[0].addr().to_string();
    let url = proxy.url().replace(PASSWORD, "another");
    let args = ["get", swarm.torrent.arg(), "--output", "out", "--timeout", "3s"];
    let ran = swarm.rtor(args).args(["--peer", &peer, "--proxy", &url]).run().exited(1);
    assert_eq!(past(&sniffer.flows(), &proxy), []);
    assert_eq!(ran.json()["fetch"]["have"], 0);
    says_no_secret(&ran);
}

#[test]
fn an_http_tracker_is_asked_through_the_proxy_of_the_environment() {
    let mut swarm = swarm();
    swarm.torrent = with_trackers(&swarm, &[tracker::http(TRACKER)]);
    let proxy = ProxyServer::http(&swarm.net, PROXY);
    let sniffer = Sniffer::start(&swarm.net);
    let args = ["get", swarm.torrent.arg(), "--output", "out"];
    let ran = swarm.rtor(args).env("http_proxy", proxy.url()).run().exited(0);
    let asked = |from: fn(&str) -> bool| {
        let flows = sniffer.flows();
        flows.iter().any(|(_, by, to, port)| from(by) && to == TRACKER && *port == 6969)
    };
    assert!(asked(|by| by == PROXY) && !asked(|by| by != PROXY), "{:?}", sniffer.flows());
    swarm.arrived(ran);
    let args = ["get", swarm.torrent.arg(), "--output", "direct"];
    let rtor = swarm.rtor(args).env("http_proxy", proxy.url()).env("NO_PROXY", TRACKER);
    rtor.run().exited(0);
    assert!(asked(|by| by != PROXY), "{:?}", sniffer.flows());
}

#[test]
fn a_proxy_that_is_none_is_refused_without_its_password() {
    let swarm = Swarm::new(&[], one_file(KIB, 16 * KIB));
    for url in ["socks4://someone:s3cret-word@h:1", "ftp://someone:s3cret-word@h", "socks5://"] {
        let ran = swarm.rtor(["get", swarm.torrent.arg(), "--proxy", url]).run();
        says_no_secret(&ran);
        let sentence = ran.refused();
        assert!(sentence.starts_with("error: `--proxy` is no proxy: "), "{sentence}");
    }
    let rtor = swarm.rtor(["get", swarm.torrent.arg()]);
    let sentence = rtor.env("ALL_PROXY", "ftp://someone:s3cret-word@h").run().refused();
    assert!(sentence.starts_with("error: `$ALL_PROXY` is no proxy: `ftp`"), "{sentence}");
}

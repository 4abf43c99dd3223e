//! `--proxy`, with real proxies: everything goes through them, and nothing past them.

use super::{SEEDERS, Swarm, TRACKER, one_file, trackers::with_trackers};
use crate::harness::proxy::{Flow, PASSWORD, ProxyServer, Sniffer, USER};
use crate::harness::{Client, KIB, MIB, Ran, tracker};

/// Where the proxies are.
const PROXY: &str = "10.77.0.20";

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
    let to_proxy = |(protocol, _, to, port): &&Flow| {
        protocol == "tcp" && to == PROXY && *port == u64::from(proxy.addr().port())
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

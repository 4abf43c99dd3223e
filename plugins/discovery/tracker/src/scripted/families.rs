//! A tracker with a name is asked over both address families, each a swarm of its own (BEP 7).

use super::world::World;
use super::{GOOD, TOTALS};
use rtor_plugin::discovery::Fact;

const UDP: &str = "udp://t.example:80";
const HTTP: &str = "http://t.example/a";

#[test]
fn an_http_tracker_with_a_name_is_asked_over_each_family_once() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered("http://t.example/a over 4", 200, GOOD);
    world.get_answered("http://t.example/a over 6", 200, b"d8:intervali900e5:peers0:e");
    world.pass(900);
    world.get_answered("http://t.example/a over 6", 200, b"d8:intervali3600e5:peers0:e");
    world.pass(1800);
    world.expect(&[
        "0 get http://t.example/a over 4 started",
        "0 get http://t.example/a over 6 started",
        "0 heard 1+2 at http://t.example/a, again in 1800",
        "0 found 1 at http://t.example/a, first 10.0.0.9:6881",
        "0 heard ?+? at http://t.example/a, again in 900",
        "900 get http://t.example/a over 6 -",
        "900 heard ?+? at http://t.example/a, again in 3600",
        "1800 get http://t.example/a over 4 -",
    ]);
    // One key, by which the tracker knows that it is one client (BEP 7).
    let keys: Vec<_> = world.urls.iter().map(|url| url.split("&key=").nth(1)).collect();
    assert_eq!(keys[0].map(|key| &key[..8]), keys[1].map(|key| &key[..8]));
    assert!(!world.urls.iter().any(|url| url.contains("ipv6=")), "{:?}", world.urls);
}

#[test]
fn a_udp_tracker_with_a_name_is_asked_over_each_family_once() {
    let mut world = World::new(&[&[UDP]]);
    let both = ["[2001:db8::1]:80", "10.0.0.1:80"];
    world.resolved(&both);
    world.connected(4);
    world.announced(1800, &[10, 0, 0, 9, 0, 80]);
    world.resolved(&both);
    world.connected(6);
    world.announced(1800, &[&[0x20, 1][..], &[0; 13], &[9, 0, 80]].concat());
    world.expect(&[
        "0 resolve t.example:80",
        "0 resolve t.example:80",
        "0 connect 10.0.0.1:80",
        "0 announce 10.0.0.1:80 started with 4",
        "0 heard 4+3 at udp://t.example:80, again in 1800",
        "0 found 1 at udp://t.example:80, first 10.0.0.9:80",
        "0 connect [2001:db8::1]:80",
        "0 announce [2001:db8::1]:80 started with 6",
        "0 heard 4+3 at udp://t.example:80, again in 1800",
        "0 found 1 at udp://t.example:80, first [2001::9]:80",
    ]);
}

#[test]
fn addresses_of_one_family_are_tried_in_turn() {
    let mut world = World::new(&[&[UDP]]);
    world.resolved(&["10.0.0.1:80", "10.0.0.2:80"]);
    world.resolved(&["10.0.0.1:80", "10.0.0.2:80"]);
    world.pass(15);
    world.expect(&[
        "0 resolve t.example:80",
        "0 resolve t.example:80",
        "0 connect 10.0.0.1:80",
        "0 mutter udp://t.example:80: the tracker's name has no IPv6 address",
        "5 resolve t.example:80",
        "15 connect 10.0.0.2:80",
        "15 report udp://t.example:80: the tracker does not answer yet",
    ]);
}

#[test]
fn a_family_that_fails_is_a_warning_only_if_the_other_fails_too() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_failed("http://t.example/a over 6");
    world.get_answered("http://t.example/a over 4", 200, GOOD);
    world.pass(1800);
    world.get_failed("http://t.example/a over 4");
    let lines = std::mem::take(&mut world.transcript);
    let said: Vec<_> = lines.iter().filter(|line| line.ends_with("refused")).collect();
    assert_eq!(
        said,
        [
            "0 mutter http://t.example/a: connection refused",
            "1800 report http://t.example/a: connection refused",
        ]
    );
}

#[test]
fn a_tracker_s_own_warning_is_one_over_any_family() {
    let mut world = World::new(&[&[HTTP]]).quiet();
    let body = b"d8:intervali60e5:peers0:15:warning message4:slowe";
    world.get_answered("http://t.example/a over 6", 200, body);
    assert_eq!(world.transcript[1], "0 report http://t.example/a: slow");
}

#[test]
fn a_tracker_of_one_family_does_not_take_another_s_turn_of_the_other() {
    let mut world = World::new(&[&["http://10.0.0.2/a", "http://[2001:db8::2]/a"]]);
    world.expect(&["0 get http://10.0.0.2/a started", "0 get http://[2001:db8::2]/a started"]);
}

#[test]
fn both_families_hear_that_we_leave() {
    let mut world = World::new(&[&[HTTP]]);
    for over in ["http://t.example/a over 4", "http://t.example/a over 6"] {
        world.get_answered(over, 200, b"d8:intervali900e5:peers0:e");
    }
    let mut world = world.quiet();
    world.fact(&Fact::Stopped(TOTALS));
    world.expect(&[
        "0 get http://t.example/a over 4 stopped",
        "0 get http://t.example/a over 6 stopped",
    ]);
}

#[test]
fn we_are_no_peer_of_ours_where_the_tracker_says_who_we_are() {
    let mut world = World::new(&[&["http://10.0.0.2/a"]]).quiet();
    let body = b"d11:external ip4:\x05\x06\x07\x088:intervali1800e\
        5:peers12:\x05\x06\x07\x08\x1a\xe1\x05\x06\x07\x08\x1a\xe2e";
    world.get_answered("http://10.0.0.2/a", 200, body);
    world.expect(&[
        "0 heard ?+? at http://10.0.0.2/a, again in 1800",
        "0 found 1 at http://10.0.0.2/a, first 5.6.7.8:6882",
    ]);
}

#[test]
fn a_name_that_is_not_found_is_a_failure_with_the_host_s_words() {
    let mut world = World::new(&[&[UDP]]);
    world.resolved(&[]);
    world.resolved(&[]);
    world.pass(5);
    world.expect(&[
        "0 resolve t.example:80",
        "0 resolve t.example:80",
        "0 mutter udp://t.example:80: no such host",
        "0 report udp://t.example:80: no such host",
        "5 resolve t.example:80",
        "5 resolve t.example:80",
    ]);
}

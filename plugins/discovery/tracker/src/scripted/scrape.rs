//! The guest asked for the counts of a swarm, and for nothing else (BEP 48, BEP 15).

use super::world::World;
use super::{HTTP, UDP};
use rtor_plugin::discovery::{Answer, Fact};

const SCRAPED: &[u8] = b"d5:filesd20:\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\
    \xab\xab\xab\xab\xab\xabd8:completei5e10:downloadedi50e10:incompletei10eeee";

#[test]
fn all_trackers_are_scraped_at_once_and_then_it_is_over() {
    let mut world = World::scraping(&[&[HTTP, UDP]]);
    world.get_answered("http://10.0.0.2/scrape", 200, SCRAPED);
    world.connected(7);
    assert_eq!(world.datagram(2, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]), Answer::Mine);
    world.pass(10_000);
    world.expect(&[
        "0 get http://10.0.0.2/scrape -",
        "0 connect 10.0.0.1:80",
        "0 scraped 5+10, 50 at http://10.0.0.2/announce",
        "0 scrape 10.0.0.1:80 with 7",
        "0 scraped 1+3, 2 at udp://10.0.0.1:80/announce",
        "0 finished",
    ]);
    let datagram = world.datagrams.pop().expect("it was sent");
    assert_eq!(datagram[16..], [0xab; 20]);
}

#[test]
fn a_scrape_says_nothing_of_who_asks() {
    let world = World::scraping(&[&["http://t.example/announce?k=1"]]);
    let hash = "%AB".repeat(20);
    assert_eq!(world.urls, [format!("http://t.example/scrape?k=1&info_hash={hash}")]);
    assert_eq!(world.transcript, ["0 get http://t.example/scrape -"], "it has no choice to make");
}

#[test]
fn why_there_are_no_counts_is_said_of_each_tracker() {
    let mut world = World::scraping(&[&[HTTP], &["http://10.0.0.3/a"], &[UDP], &["wss://t"]]);
    world.get_answered("http://10.0.0.2/scrape", 200, b"d5:filesdee");
    world.pass(10_000);
    world.expect(&[
        "0 report wss://t: `wss` trackers are not supported",
        "0 get http://10.0.0.2/scrape -",
        "0 report http://10.0.0.3/a: by its URL the tracker cannot be scraped",
        "0 connect 10.0.0.1:80",
        "0 report http://10.0.0.2/announce: the tracker does not know this torrent",
        "15 connect 10.0.0.1:80",
        "15 report udp://10.0.0.1:80/announce: the tracker does not answer yet",
        "20 report udp://10.0.0.1:80/announce: the tracker does not answer",
        "20 finished",
    ]);
}

#[test]
fn a_scraped_name_is_looked_up_and_any_of_its_addresses_will_do() {
    let mut world = World::scraping(&[&["udp://t.example:80"]]);
    world.resolved(&["[2001:db8::1]:80"]);
    world.connected(7);
    world.datagram(2, &[0; 12]);
    world.expect(&[
        "0 resolve t.example:80",
        "0 connect [2001:db8::1]:80",
        "0 scrape [2001:db8::1]:80 with 7",
        "0 scraped 0+0, 0 at udp://t.example:80",
        "0 finished",
    ]);
}

#[test]
fn a_scrape_s_reply_that_is_too_short_is_a_failure() {
    let mut world = World::scraping(&[&[UDP]]).quiet();
    world.connected(7);
    world.datagram(2, &[0; 11]);
    world.expect(&[
        "0 scrape 10.0.0.1:80 with 7",
        "0 report udp://10.0.0.1:80/announce: the tracker's reply is malformed",
        "0 finished",
    ]);
}

#[test]
fn without_trackers_a_scrape_is_over_at_once() {
    World::scraping(&[]).expect(&["0 finished"]);
    let mut world = World::scraping(&[&[UDP]]).quiet();
    let fact = Fact::Scrape { info_hash: &[1; 3], trackers: vec![], seed: 1, private: false };
    world.fact(&fact);
    world.expect(&[
        "0 report tracker: the info hash or the peer id has the wrong length",
        "0 finished",
    ]);
}

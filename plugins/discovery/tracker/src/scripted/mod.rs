//! The guest against scripted trackers, on virtual time, through its C table.

mod families;
mod mapped;
mod scrape;
mod world;

use proptest::prelude::*;
use rtor_plugin::discovery::{Answer, Fact, Reply, Totals};
use world::{TOTALS, World, addr};

const UDP: &str = "udp://10.0.0.1:80/announce";
const HTTP: &str = "http://10.0.0.2/announce";
const PEER: [u8; 6] = [10, 0, 0, 9, 0x1a, 0xe1];
const GOOD: &[u8] = b"d8:completei1e10:incompletei2e8:intervali1800e5:peers6:\x0a\0\0\x09\x1a\xe1e";

#[test]
fn a_udp_tracker_is_asked_on_the_schedule_of_bep_15_and_no_other() {
    let mut world = World::new(&[&[UDP]]);
    world.pass(7670);
    world.expect(&[
        "0 connect 10.0.0.1:80",
        "15 connect 10.0.0.1:80",
        "15 report udp://10.0.0.1:80/announce: the tracker does not answer yet",
        "45 connect 10.0.0.1:80",
        "105 connect 10.0.0.1:80",
        "225 connect 10.0.0.1:80",
        "465 connect 10.0.0.1:80",
        "945 connect 10.0.0.1:80",
        "1905 connect 10.0.0.1:80",
        "3825 connect 10.0.0.1:80",
        "7665 report udp://10.0.0.1:80/announce: the tracker does not answer",
        "7670 connect 10.0.0.1:80",
    ]);
}

/// The example "announce times out" of BEP 15.
#[test]
fn an_unanswered_announce_asks_for_a_new_connection_when_the_old_one_is_a_minute_old() {
    let mut world = World::new(&[&[UDP]]);
    world.pass(1);
    world.connected(0xaa);
    world.pass(300);
    world.expect(&[
        "0 connect 10.0.0.1:80",
        "1 announce 10.0.0.1:80 started with aa",
        "16 announce 10.0.0.1:80 started with aa",
        "16 report udp://10.0.0.1:80/announce: the tracker does not answer yet",
        "46 announce 10.0.0.1:80 started with aa",
        "106 connect 10.0.0.1:80",
        "226 connect 10.0.0.1:80",
    ]);
    // The schedule goes on where it was: a tracker that only connects is given up some day.
    world.connected(0xbb);
    world.pass(540);
    world.expect(&["300 announce 10.0.0.1:80 started with bb", "540 connect 10.0.0.1:80"]);
}

#[test]
fn a_connection_serves_for_a_minute_and_then_a_new_one_is_made() {
    let mut world = World::new(&[&[UDP]]);
    world.connected(0xaa);
    world.announced(1800, &PEER);
    world.pass(59);
    world.fact(&Fact::Completed(Totals { left: 0, ..TOTALS }));
    world.announced(1800, &[]);
    world.pass(1860);
    world.expect(&[
        "0 connect 10.0.0.1:80",
        "0 announce 10.0.0.1:80 started with aa",
        "0 heard 4+3 at udp://10.0.0.1:80/announce, again in 1800",
        "0 found 1 at udp://10.0.0.1:80/announce, first 10.0.0.9:6881",
        "59 announce 10.0.0.1:80 completed with aa",
        "59 heard 4+3 at udp://10.0.0.1:80/announce, again in 1800",
        "1859 connect 10.0.0.1:80",
    ]);
}

#[test]
fn an_announce_over_udp_has_every_field_in_its_place() {
    let mut world = World::new(&[&[UDP]]);
    world.connected(0x0102_0304_0506_0708);
    let datagram = world.datagrams.pop().expect("it was sent");
    let (_, transaction) = world.asked.expect("it was sent");
    let expected = [
        &[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1][..],
        &transaction.to_be_bytes(),
        &[0xab; 20],
        b"-RT0100-abcdefghijkl",
        &[0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 11],
        &[0, 0, 0, 2, 0, 0, 0, 0],
        &datagram[88..92],
        &[0, 0, 0, 50, 0x1a, 0xe1],
        b"\x02\x09/announce",
    ]
    .concat();
    assert_eq!(datagram, expected);
    assert_ne!(datagram[88..92], [0; 4], "the key is drawn by chance");
}

#[test]
fn only_the_asked_address_with_the_drawn_transaction_is_believed() {
    let mut world = World::new(&[&[UDP]]).quiet();
    let (to, transaction) = world.asked.expect("it asked");
    let reply = |transaction: u32| [&[0; 4], &transaction.to_be_bytes(), &[7; 8][..]].concat();
    for (from, transaction) in [
        (to, transaction ^ 1),
        (addr("10.0.0.2:80"), transaction),
        (addr("10.0.0.1:81"), transaction),
    ] {
        let bytes = reply(transaction);
        assert_eq!(world.fact(&Fact::Datagram { from, bytes: &bytes }), Answer::Declined);
    }
    world.expect(&[]);
    // A socket of both families says the same address in its own way.
    let from = addr("[::ffff:10.0.0.1]:80");
    assert_eq!(world.fact(&Fact::Datagram { from, bytes: &reply(transaction) }), Answer::Mine);
    world.expect(&["0 announce 10.0.0.1:80 started with 7070707"]);
    // The old transaction is no answer to the new question.
    let late = Fact::Datagram { from: to, bytes: &reply(transaction) };
    assert_eq!(world.fact(&late), Answer::Declined);
}

#[test]
fn an_error_over_udp_is_the_tracker_s_own_sentence() {
    let mut world = World::new(&[&[UDP]]).quiet();
    world.connected(1);
    world.datagram(3, b"not registered");
    world.pass(5);
    world.expect(&[
        "0 announce 10.0.0.1:80 started with 1",
        "0 report udp://10.0.0.1:80/announce: not registered",
        "5 connect 10.0.0.1:80",
    ]);
}

#[test]
fn a_udp_reply_that_is_too_short_is_a_failure() {
    for (action, body) in [(0, &[1; 7][..]), (1, &[1; 16]), (2, &[1; 16])] {
        let mut world = World::new(&[&[UDP]]).quiet();
        world.datagram(action, body);
        world.expect(&["0 report udp://10.0.0.1:80/announce: the tracker's reply is malformed"]);
    }
}

#[test]
fn an_http_tracker_is_asked_again_after_its_interval() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    world.pass(1800);
    world.expect(&[
        "0 get http://10.0.0.2/announce started",
        "0 heard 1+2 at http://10.0.0.2/announce, again in 1800",
        "0 found 1 at http://10.0.0.2/announce, first 10.0.0.9:6881",
        "1800 get http://10.0.0.2/announce -",
    ]);
    assert!(world.urls[0].ends_with("&event=started"), "{}", world.urls[0]);
}

#[test]
fn failures_pause_twice_as_long_each_time_and_are_reported_once() {
    let mut world = World::new(&[&[HTTP]]);
    let mut at = vec![];
    for _ in 0..12 {
        world.get_failed(HTTP);
        let due = world.guest.deadline().expect("it goes on") / 1_000_000;
        at.push(due - world.now_us / 1_000_000);
        world.pass(due);
    }
    assert_eq!(at, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]);
    let reports = world.transcript.iter().filter(|line| line.contains("report")).count();
    assert_eq!(reports, 1);
    // Another problem is news, and so is the same one after an answer.
    world.transcript.clear();
    world.get_answered(HTTP, 404, b"");
    assert!(world.transcript[0].ends_with("the tracker answered with HTTP status 404"));
}

/// BEP 31.
#[test]
fn a_tracker_that_says_when_to_come_again_is_not_asked_before() {
    for (said, next_s) in [("i3e", 180), ("i0e", 5), ("i999999999999e", 86400)] {
        let mut world = World::new(&[&[HTTP]]).quiet();
        let body = format!("d14:failure reason4:busy8:retry in{said}e");
        world.get_answered(HTTP, 200, body.as_bytes());
        world.fact(&Fact::Progress(TOTALS));
        world.pass(next_s);
        let again = format!("{next_s} get {HTTP} started");
        world.expect(&[&format!("0 report {HTTP}: busy"), &again]);
    }
    let mut world = World::new(&[&[HTTP]]).quiet();
    world.get_answered(HTTP, 200, b"d14:failure reason4:gone8:retry in5:nevere");
    world.pass(1_000_000);
    world.expect(&[&format!("0 report {HTTP}: gone")]);
}

/// BEP 41.
#[test]
fn a_long_path_is_sent_in_parts_of_255_bytes() {
    let url = format!("udp://10.0.0.1:80/{}?k=1", "x".repeat(300));
    let mut world = World::new(&[&[&url]]);
    world.connected(1);
    let options = world.datagrams.pop().expect("it was sent").split_off(98);
    let path = [&[b'/'][..], &[b'x'; 254]].concat();
    let rest = [&[b'x'; 46][..], b"?k=1"].concat();
    assert_eq!(options, [&[2, 255], &path[..], &[2, 50], &rest[..]].concat());
}

#[test]
fn a_refusal_is_shown_and_a_warning_too() {
    let mut world = World::new(&[&[HTTP]]).quiet();
    world.get_answered(HTTP, 200, b"d14:failure reason12:unregisterede");
    world.pass(5);
    world.get_answered(HTTP, 200, b"d8:intervali60e5:peers0:15:warning message4:slowe");
    world.expect(&[
        "0 report http://10.0.0.2/announce: unregistered",
        "5 get http://10.0.0.2/announce started",
        "5 heard ?+? at http://10.0.0.2/announce, again in 60",
        "5 report http://10.0.0.2/announce: slow",
    ]);
}

#[test]
fn a_hungry_host_is_served_early_but_never_before_the_min_interval() {
    for (said, early_s) in [("12:min intervali120e", 120), ("", 300)] {
        let mut world = World::new(&[&[HTTP]]);
        let body = format!("d8:intervali1800e{said}5:peers0:e");
        world.get_answered(HTTP, 200, body.as_bytes());
        let mut world = world.quiet();
        for second in 1..early_s {
            world.pass(second);
            world.fact(&Fact::Progress(TOTALS));
        }
        world.expect(&[]);
        world.pass(early_s);
        world.expect(&[&format!("{early_s} get http://10.0.0.2/announce -")]);
    }
}

#[test]
fn a_host_with_enough_peers_waits_for_the_interval() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    let mut world = world.quiet();
    for totals in [Totals { peers: 8, ..TOTALS }, Totals { peers_wanted: 0, ..TOTALS }] {
        world.fact(&Fact::Progress(totals));
    }
    world.pass(1799);
    world.expect(&[]);
}

#[test]
fn hunger_does_not_shorten_the_pause_after_a_failure() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_failed(HTTP);
    world.pass(5);
    world.get_failed(HTTP);
    let mut world = world.quiet();
    world.fact(&Fact::Progress(TOTALS));
    world.pass(14);
    world.expect(&[]);
}

#[test]
fn absurd_intervals_are_clamped() {
    for (interval, expected) in
        [("-5", 30), ("0", 30), ("99999999999999999999", 14400), ("2147483647", 14400)]
    {
        let mut world = World::new(&[&[HTTP]]).quiet();
        let body = format!("d8:intervali{interval}e12:min intervali-1e5:peers0:e");
        world.get_answered(HTTP, 200, body.as_bytes());
        let heard = format!("0 heard ?+? at http://10.0.0.2/announce, again in {expected}");
        world.expect(&[&heard]);
    }
}

#[test]
fn stopped_goes_to_those_that_know_us_with_the_last_counters() {
    let (a, b, c) = ("http://10.0.1.1/", "http://10.0.1.2/", UDP);
    let mut world = World::new(&[&[a], &[b], &[c]]);
    world.get_answered(a, 200, b"d8:intervali1800e5:peers0:10:tracker id3:xyze");
    world.get_failed(b);
    world.connected(7);
    world.announced(1800, &[]);
    world.pass(3);
    let mut world = world.quiet();
    let last = Totals { uploaded: 1, downloaded: 2, left: 0, peers: 9, peers_wanted: 50 };
    world.fact(&Fact::Stopped(last));
    world.expect(&["3 get http://10.0.1.1/ stopped", "3 announce 10.0.0.1:80 stopped with 7"]);
    let url = world.urls.last().expect("it was asked");
    for part in ["&uploaded=1&downloaded=2&left=0&", "&numwant=0&", "&trackerid=xyz"] {
        assert!(url.contains(part), "{part} in {url}");
    }
    world.announced(1800, &PEER);
    world.expect(&[]);
    world.get_answered(a, 200, GOOD);
    world.expect(&["3 finished"]);
    world.pass(100_000);
    world.fact(&Fact::Progress(TOTALS));
    world.expect(&[]);
}

#[test]
fn a_good_bye_waits_no_longer_than_the_host_does() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    let mut world = world.quiet();
    world.fact(&Fact::Stopped(TOTALS));
    world.pass(60);
    world.expect(&["0 get http://10.0.0.2/announce stopped", "1.5 finished"]);
}

#[test]
fn who_was_never_heard_of_leaves_without_a_word() {
    for tiers in [&[&[UDP][..]][..], &[&["udp://t.example:80"]], &[&["wss://t.example"]], &[]] {
        let mut world = World::new(tiers).quiet();
        world.fact(&Fact::Stopped(TOTALS));
        world.expect(&["0 finished"]);
    }
}

#[test]
fn a_good_bye_does_not_overtake_the_announce_before_it() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    let mut world = world.quiet();
    let whole = Totals { left: 0, ..TOTALS };
    world.fact(&Fact::Completed(whole));
    world.fact(&Fact::Stopped(whole));
    world.expect(&["0 get http://10.0.0.2/announce completed"]);
    world.get_answered(HTTP, 200, b"d8:intervali1800e5:peers0:e");
    world.expect(&[
        "0 heard ?+? at http://10.0.0.2/announce, again in 1800",
        "0 get http://10.0.0.2/announce stopped",
    ]);
    world.get_answered(HTTP, 200, b"d8:intervali1800e5:peers0:e");
    world.expect(&["0 finished"]);
}

#[test]
fn a_good_bye_waits_only_a_moment_for_the_announce_before_it() {
    // One that knows us is told anyway; one that may never have heard of us is not.
    let mut world = World::new(&[&[HTTP], &["http://10.0.1.2/"]]);
    world.get_answered(HTTP, 200, GOOD);
    world.fact(&Fact::Completed(TOTALS));
    let mut world = world.quiet();
    world.fact(&Fact::Stopped(TOTALS));
    world.pass(60);
    world.expect(&["0.5 get http://10.0.0.2/announce stopped", "1.5 finished"]);
}

#[test]
fn completed_is_said_once_and_breaks_the_min_interval() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    world.pass(2);
    let mut world = world.quiet();
    world.fact(&Fact::Completed(Totals { left: 0, ..TOTALS }));
    world.expect(&["2 get http://10.0.0.2/announce completed"]);
    assert!(world.urls.last().expect("it was asked").contains("&left=0&"));
    world.get_answered(HTTP, 200, GOOD);
    world.pass(1802);
    assert_eq!(world.transcript.last().expect("it goes on"), "1802 get http://10.0.0.2/announce -");
}

#[test]
fn completed_waits_for_a_started_that_is_under_way() {
    let mut world = World::new(&[&[HTTP]]).quiet();
    world.fact(&Fact::Completed(Totals { left: 0, ..TOTALS }));
    world.expect(&[]);
    world.get_answered(HTTP, 200, b"d8:intervali1800e5:peers0:e");
    world.expect(&[
        "0 heard ?+? at http://10.0.0.2/announce, again in 1800",
        "0 get http://10.0.0.2/announce completed",
    ]);
}

/// A seed with which the tier is asked in the order in which it stands there.
fn in_order(tiers: &[&[&str]]) -> World {
    let first = format!("0 get {} started", tiers[0][0]);
    (0..)
        .map(|seed| World::seeded(tiers, seed))
        .find(|world| world.transcript[0] == first)
        .expect("some seed does it")
        .quiet()
}

#[test]
fn a_tier_falls_to_the_next_on_failure_and_promotes_who_answered() {
    let (a, b) = ("http://10.0.1.1/", "http://10.0.1.2/");
    let mut world = in_order(&[&[a, b]]);
    world.get_failed(a);
    world.get_answered(b, 200, b"d8:intervali1800e5:peers0:e");
    world.pass(1800);
    world.get_failed(b);
    world.expect(&[
        "0 report http://10.0.1.1/: connection refused",
        "0 get http://10.0.1.2/ started",
        "0 heard ?+? at http://10.0.1.2/, again in 1800",
        "1800 get http://10.0.1.2/ -",
        "1800 report http://10.0.1.2/: connection refused",
        "1800 get http://10.0.1.1/ started",
    ]);
}

#[test]
fn a_tier_is_shuffled_once_by_chance() {
    let urls = ["http://10.0.1.1/", "http://10.0.1.2/", "http://10.0.1.3/"];
    let firsts: std::collections::BTreeSet<String> =
        (0..50).map(|seed| World::seeded(&[&urls], seed).transcript[0].clone()).collect();
    assert_eq!(firsts.len(), 3, "each is first for some seed");
}

#[test]
fn a_silent_tracker_is_not_waited_for_and_may_still_answer() {
    let (a, b) = ("http://10.0.1.1/", "http://10.0.1.2/");
    let mut world = in_order(&[&[a, b]]);
    world.pass(5);
    world.get_answered(b, 200, b"d8:intervali1800e5:peers0:e");
    world.pass(20);
    world.get_answered(a, 200, GOOD);
    world.pass(1805);
    world.expect(&[
        "5 get http://10.0.1.2/ started",
        "5 heard ?+? at http://10.0.1.2/, again in 1800",
        "20 heard 1+2 at http://10.0.1.1/, again in 1800",
        "20 found 1 at http://10.0.1.1/, first 10.0.0.9:6881",
        "1805 get http://10.0.1.2/ -",
    ]);
}

#[test]
fn a_silent_udp_tracker_is_given_up_when_another_of_its_tier_answers() {
    let mut world = (0..)
        .map(|seed| World::seeded(&[&[UDP, HTTP]], seed))
        .find(|world| world.transcript[0].contains("connect"))
        .expect("some seed does it")
        .quiet();
    world.pass(15);
    world.get_answered(HTTP, 200, b"d8:intervali1800e5:peers0:e");
    world.pass(1799);
    world.expect(&[
        "5 get http://10.0.0.2/announce started",
        "15 connect 10.0.0.1:80",
        "15 report udp://10.0.0.1:80/announce: the tracker does not answer yet",
        "15 heard ?+? at http://10.0.0.2/announce, again in 1800",
    ]);
}

#[test]
fn a_silent_tracker_does_not_keep_a_failed_one_from_being_asked_again() {
    let mut world = in_order(&[&[HTTP, UDP]]);
    world.get_failed(HTTP);
    world.pass(16);
    world.get_failed(HTTP);
    world.pass(27);
    world.expect(&[
        "0 report http://10.0.0.2/announce: connection refused",
        "0 connect 10.0.0.1:80",
        "5 get http://10.0.0.2/announce started",
        "15 connect 10.0.0.1:80",
        "15 report udp://10.0.0.1:80/announce: the tracker does not answer yet",
        "26 get http://10.0.0.2/announce started",
    ]);
}

#[test]
fn no_tier_waits_for_another() {
    let (a, b) = ("http://10.0.1.1/", "http://10.0.1.2/");
    let mut world = World::new(&[&[UDP], &[a], &[b, a]]);
    world.get_failed(a);
    world.get_answered(b, 200, b"d8:intervali1800e5:peers0:e");
    world.pass(5);
    world.expect(&[
        "0 connect 10.0.0.1:80",
        "0 get http://10.0.1.1/ started",
        "0 get http://10.0.1.2/ started",
        "0 report http://10.0.1.1/: connection refused",
        "0 heard ?+? at http://10.0.1.2/, again in 1800",
        "5 get http://10.0.1.1/ started",
    ]);
}

#[test]
fn a_url_that_cannot_be_used_is_reported_once_and_the_others_are_asked() {
    let mut world = World::new(&[&["wss://t.example"], &["udp://t.example/announce"], &[UDP]]);
    world.pass(1);
    world.expect(&[
        "0 report wss://t.example: `wss` trackers are not supported",
        "0 report udp://t.example/announce: the URL has no port, which a UDP tracker needs",
        "0 connect 10.0.0.1:80",
    ]);
}

#[test]
fn a_reply_of_100_000_peers_brings_3_000() {
    let mut body = b"d8:intervali1800e5:peers600000:".to_vec();
    body.extend(std::iter::repeat_n(PEER, 100_000).flatten());
    body.push(b'e');
    let mut world = World::new(&[&[HTTP]]).quiet();
    world.get_answered(HTTP, 200, &body);
    world.expect(&[
        "0 heard ?+? at http://10.0.0.2/announce, again in 1800",
        "0 found 3000 at http://10.0.0.2/announce, first 10.0.0.9:6881",
    ]);
}

#[test]
fn a_torrent_with_thousands_of_trackers_asks_some() {
    let urls: Vec<String> =
        (0..2000).map(|i| format!("http://10.1.{}.{}/", i / 250, i % 250)).collect();
    let tiers: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(<[&str; 1]>::as_slice).collect();
    let world = World::new(&tiers);
    assert_eq!(world.urls.len(), 256);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the world says, in whatever order: it never breaks, and never asks for a
    /// deadline that has passed (`World` checks both).
    #[test]
    fn no_world_makes_it_panic(
        seed: u64,
        steps in proptest::collection::vec((0_u8..9, 0_u64..4000, any::<Vec<u8>>()), 1..40),
    ) {
        let mut world = World::seeded(&[&[UDP, HTTP], &["udp://t.example:80"]], seed);
        for (step, seconds, bytes) in steps {
            let ticket = seconds % 16;
            let number = bytes.iter().fold(0, |n: u64, &b| n << 8 | u64::from(b));
            let totals = Totals { left: number, uploaded: number, ..TOTALS };
            match step {
                0 => world.pass(world.now_us / 1_000_000 + seconds),
                1 => { world.fact(&Fact::HttpReply { ticket, reply: Reply::Answered(200, &bytes) }); }
                2 => { world.fact(&Fact::HttpReply { ticket, reply: Reply::Answered(200, GOOD) }); }
                3 => { world.fact(&Fact::Resolved { ticket, addrs: &[addr("[::2]:80")], problem: "" }); }
                4 => { world.datagram_if_asked((seconds % 5) as u32, &bytes); }
                5 => { world.datagram_if_asked((seconds % 2) as u32, &[bytes.as_slice(), &[1; 24]].concat()); }
                6 => { world.fact(&Fact::Progress(totals)); }
                7 => { world.fact(&Fact::Completed(totals)); }
                _ => { world.fact(&Fact::HttpReply { ticket, reply: Reply::Unreachable("gone") }); }
            }
            if seconds == 3999 {
                world.fact(&Fact::Stopped(totals));
            }
        }
    }
}

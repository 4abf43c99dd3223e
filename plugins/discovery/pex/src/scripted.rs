//! The guest among scripted peers, on virtual time, through its C table.

use crate::message::{Contact, Message};
use crate::{PLUGIN, SECOND, SHARED_MAX, hearing, telling};
use proptest::prelude::*;
use rtor_plugin::discovery::host::Instance;
use rtor_plugin::discovery::virtual_time::OnVirtualTime;
use rtor_plugin::discovery::{Answer, Fact, Totals, Wish};
use rtor_plugin::{Addr, Level, Services};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

struct Silent;

impl Services for Silent {
    fn log(&self, _level: Level, _text: &str) {}
}

/// Where we accept TCP.
const PORT: u16 = 6881;
const TOTALS: Totals = Totals { uploaded: 0, downloaded: 0, left: 9, peers: 0, peers_wanted: 50 };

/// A guest, the time, and what it wished.
struct World {
    guest: Instance,
    now_us: u64,
    transcript: Vec<String>,
    /// Every message: when, and to whom.
    sent: Vec<(u64, u32, Message)>,
}

impl World {
    /// A guest that was told of the start.
    fn new() -> Self {
        Self::started(7, false)
    }

    fn started(seed: u64, private: bool) -> Self {
        let guest = Instance::create(&PLUGIN, "", Arc::new(Silent)).expect("it can be made");
        let mut world = Self { guest, now_us: 0, transcript: Vec::new(), sent: Vec::new() };
        world.fact(&Fact::Started {
            info_hash: &[0xab; 20],
            peer_id: b"-RT0100-abcdefghijkl",
            trackers: Vec::new(),
            seed,
            port: PORT,
            udp_port: PORT,
            private,
            totals: TOTALS,
        });
        world
    }

    fn fact(&mut self, fact: &Fact<'_>) -> Answer {
        let mut wishes = Vec::new();
        let answer = self.guest.handle(self.now_us, fact, &mut wishes).expect("it never breaks");
        for wish in wishes {
            let line = self.line(wish);
            self.transcript.push(format!("{} {line}", self.now_us as f64 / 1e6));
        }
        answer
    }

    fn line(&mut self, wish: Wish<'static>) -> String {
        match wish {
            Wish::SendExtension { peer, name, payload } => {
                assert_eq!(name, "ut_pex");
                let message = Message::decode(&payload).expect("it writes what it reads");
                let added = message.added.iter().map(|c| format!(" +{}/{:02x}", c.addr, c.flags));
                let dropped = message.dropped.iter().map(|addr| format!(" -{addr}"));
                let line = format!("to {peer}:{}", added.chain(dropped).collect::<String>());
                self.sent.push((self.now_us, peer, message));
                line
            }
            Wish::Found { source, addrs } => {
                assert!(addrs.len() <= hearing::CONTACTS_MAX_FIRST);
                let addrs = addrs.iter().map(|addr| addr.socket().expect("a family").to_string());
                format!("found by {source}: {}", addrs.collect::<Vec<_>>().join(" "))
            }
            Wish::Report { subject, text, .. } => format!("report {subject}: {text}"),
            Wish::Finished => "finished".to_owned(),
            other => panic!("a wish that PEX has no need of: {other:?}"),
        }
    }

    /// We dialled a peer.
    fn dialled(&mut self, peer: u32, addr: &str) {
        self.joined(peer, socket(addr), false, false);
    }

    /// A peer dialled us.
    fn came(&mut self, peer: u32, addr: &str) {
        self.joined(peer, socket(addr), true, false);
    }

    fn joined(&mut self, peer: u32, addr: SocketAddr, came_to_us: bool, seed: bool) {
        self.fact(&Fact::PeerJoined { peer, addr: addr.into(), came_to_us, seed });
    }

    fn left(&mut self, peer: u32) {
        // The number says who: the address is for people.
        self.fact(&Fact::PeerLeft { peer, addr: Addr::from(socket("10.9.9.9:9")) });
    }

    fn says(&mut self, peer: u32, payload: &[u8]) -> Answer {
        self.fact(&Fact::Extension { peer, name: "ut_pex", payload })
    }

    /// A message that adds and drops these.
    fn tells(&mut self, peer: u32, added: &[&str], dropped: &[&str]) {
        let added = added.iter().map(|addr| Contact { addr: socket(addr), flags: 0 }).collect();
        let dropped = dropped.iter().map(|addr| socket(addr)).collect();
        self.says(peer, &Message { added, dropped }.encode());
    }

    /// Lets time pass, with a deadline fact whenever the guest asked for one.
    fn pass(&mut self, until_s: u64) {
        self.pass_until(until_s * SECOND);
    }

    /// What was wished since the last time.
    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        assert_eq!(std::mem::take(&mut self.transcript), lines);
    }
}

impl OnVirtualTime for World {
    fn guest_and_time(&mut self) -> (&mut Instance, &mut u64) {
        (&mut self.guest, &mut self.now_us)
    }

    fn tell_deadline(&mut self) {
        self.fact(&Fact::Deadline);
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

/// The address of number `n`.
fn numbered(n: u32) -> SocketAddr {
    SocketAddr::from(((0x0a00_0000 | n).to_be_bytes(), 80))
}

#[test]
fn everybody_is_told_soon_of_those_that_we_dialled() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.dialled(2, "[2001::2]:82");
    world.came(3, "10.0.0.3:50000");
    world.pass(300);
    world.expect(&[
        "5 to 1: +[2001::2]:82/10",
        "5 to 2: +10.0.0.1:81/10",
        "5 to 3: +10.0.0.1:81/10 +[2001::2]:82/10",
    ]);
}

#[test]
fn a_message_is_these_bytes() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.now_us = 5 * SECOND;
    let mut wishes = Vec::new();
    world.guest.handle(world.now_us, &Fact::Deadline, &mut wishes).expect("it does not break");
    let payload = b"d5:added6:\x0a\0\0\x01\0\x517:added.f1:\x10e".into();
    let message = Wish::SendExtension { peer: 2, name: "ut_pex".into(), payload };
    assert_eq!(wishes, [message]);
}

#[test]
fn afterwards_they_are_told_what_changed_and_once_a_minute_at_most() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.pass(10);
    world.dialled(3, "10.0.0.3:83");
    world.pass(20);
    world.left(1);
    world.pass(64);
    world.expect(&[
        "5 to 2: +10.0.0.1:81/10",
        "15 to 1: +10.0.0.3:83/10",
        "15 to 3: +10.0.0.1:81/10",
    ]);
    world.pass(600);
    world.expect(&["65 to 2: +10.0.0.3:83/10 -10.0.0.1:81", "75 to 3: -10.0.0.1:81"]);
    // Long after the last message news wait only for more news.
    world.dialled(4, "10.0.0.4:84");
    world.pass(602);
    world.left(4);
    world.pass(900);
    world.expect(&[]);
}

#[test]
fn who_came_and_went_between_two_messages_is_not_spoken_of() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.pass(10);
    world.dialled(3, "10.0.0.3:83");
    world.left(1);
    world.dialled(4, "10.0.0.1:81");
    world.pass(30);
    world.left(3);
    world.pass(300);
    world.expect(&[
        "5 to 2: +10.0.0.1:81/10",
        "15 to 3: +10.0.0.1:81/10",
        "15 to 4: +10.0.0.3:83/10",
        "75 to 4: -10.0.0.3:83",
    ]);
}

#[test]
fn a_peer_that_returns_is_told_anew() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.pass(10);
    world.left(2);
    world.came(3, "10.0.0.2:50001");
    world.pass(300);
    world.expect(&["5 to 2: +10.0.0.1:81/10", "15 to 3: +10.0.0.1:81/10"]);
}

#[test]
fn a_seed_is_said_to_be_one() {
    let mut world = World::new();
    world.joined(1, socket("10.0.0.1:81"), false, true);
    world.came(2, "10.0.0.2:50000");
    world.pass(5);
    world.expect(&["5 to 2: +10.0.0.1:81/12"]);
}

#[test]
fn what_loops_back_is_told_on_this_machine_only() {
    let mut world = World::new();
    world.dialled(1, "127.0.0.1:81");
    world.dialled(2, "[::1]:82");
    world.came(3, "[::ffff:127.0.0.1]:50000");
    world.came(4, "10.0.0.4:50000");
    world.pass(300);
    world.expect(&[
        "5 to 1: +[::1]:82/10",
        "5 to 2: +127.0.0.1:81/10",
        "5 to 3: +127.0.0.1:81/10 +[::1]:82/10",
    ]);
}

#[test]
fn fifty_at_a_time_are_added_and_fifty_dropped_over_many_joins() {
    let mut world = World::new();
    world.came(1, "10.9.0.1:50000");
    for n in 0..120 {
        world.joined(1000 + n, numbered(n), false, false);
    }
    world.pass(300);
    for n in 0..120 {
        world.left(1000 + n);
    }
    for n in 200..250 {
        world.joined(1000 + n, numbered(n), false, false);
    }
    world.pass(900);
    let to_first = world.sent.iter().filter(|(_, peer, _)| *peer == 1);
    let counts: Vec<(u64, usize, usize)> = to_first
        .map(|(us, _, message)| (us / SECOND, message.added.len(), message.dropped.len()))
        .collect();
    assert_eq!(
        counts,
        [(5, 50, 0), (65, 50, 0), (125, 20, 0), (305, 50, 50), (365, 0, 50), (425, 0, 20)]
    );
}

#[test]
fn not_everybody_is_told_the_same_fifty_first() {
    let mut world = World::new();
    for n in 0..150 {
        world.joined(n, numbered(n), false, false);
    }
    world.pass(5);
    assert_eq!(world.sent.len(), 150);
    let times = |n| {
        let told = |message: &Message| message.added.iter().any(|c| c.addr == numbered(n));
        world.sent.iter().filter(|(.., message)| told(message)).count()
    };
    assert!((0..150).all(|n| times(n) > 20), "each of them is told to many");
}

#[test]
fn thousands_of_peers_are_told_in_several_calls_of_those_that_are_here_longest() {
    let mut world = World::new();
    for n in 0..1500 {
        world.joined(n, numbered(n), false, false);
    }
    world.now_us = 5 * SECOND;
    world.fact(&Fact::Deadline);
    assert_eq!(world.sent.len(), 1000);
    world.fact(&Fact::Deadline);
    assert_eq!(world.sent.len(), 1500);
    assert!(world.guest.deadline().is_some_and(|due_us| due_us > world.now_us));
    let mut added = world.sent.iter().flat_map(|(.., message)| &message.added);
    assert!(added.all(|contact| contact.addr < numbered(200)));
}

#[test]
fn peers_that_a_peer_tells_of_are_found() {
    let mut world = World::new();
    world.came(1, "10.0.0.1:50000");
    let payload = b"d5:added12:\x0a\0\0\x07\x1a\xe1\x0a\0\0\x08\x1a\xe17:added.f2:\x10\x02\
        6:added618:\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\x507:dropped6:\x0a\0\0\x06\0\x50etail";
    assert_eq!(world.says(1, payload), Answer::Mine);
    let found = "0 found by 10.0.0.1:50000: 10.0.0.7:6881 10.0.0.8:6881 [2001::9]:80";
    world.expect(&[found]);
    // Once is enough.
    world.pass(60);
    world.says(1, payload);
    world.expect(&[]);
}

#[test]
fn addresses_that_are_never_a_peer_s_are_left_out() {
    let never = ["10.0.0.1:0", "0.0.0.0:80", "224.0.0.1:80", "[ff15::1]:80", "[::]:80"];
    let loops = ["127.0.0.1:80", "[::1]:80", "127.0.0.1:6881", "[::1]:6881"];
    let mut world = World::new();
    world.came(1, "10.0.0.1:50000");
    world.came(2, "127.0.0.1:50000");
    for peer in [1, 2] {
        world.tells(peer, &never, &[]);
        world.tells(peer, &loops, &["10.0.0.9:80"]);
    }
    // On this machine it is our own port that is left out.
    world.expect(&["0 found by 127.0.0.1:50000: 127.0.0.1:80 [::1]:80"]);
}

#[test]
fn seeds_are_of_no_use_to_who_has_everything() {
    let seeds = b"d5:added12:\x0a\0\0\x07\0\x50\x0a\0\0\x08\0\x507:added.f2:\x12\x10e";
    let mut world = World::new();
    world.came(1, "10.0.0.1:50000");
    world.fact(&Fact::Completed(Totals { left: 0, ..TOTALS }));
    world.says(1, seeds);
    world.fact(&Fact::Progress(TOTALS));
    world.says(1, seeds);
    world.expect(&[
        "0 found by 10.0.0.1:50000: 10.0.0.8:80",
        "0 found by 10.0.0.1:50000: 10.0.0.7:80",
    ]);
}

#[test]
fn who_floods_is_not_listened_to_any_more_and_is_told_all_the_same() {
    let mut world = World::new();
    world.came(1, "10.0.0.1:50000");
    world.came(2, "10.0.0.2:50000");
    for n in 101..110 {
        world.tells(1, &[&format!("10.0.0.{n}:80")], &[]);
    }
    world.tells(2, &["10.0.0.9:80"], &[]);
    world.dialled(3, "10.0.0.3:83");
    world.pass(5);
    world.expect(&[
        "0 found by 10.0.0.1:50000: 10.0.0.101:80",
        "0 found by 10.0.0.1:50000: 10.0.0.102:80",
        "0 found by 10.0.0.1:50000: 10.0.0.103:80",
        "0 found by 10.0.0.1:50000: 10.0.0.104:80",
        "0 report 10.0.0.1:50000: it is not listened to any more: it sends messages too often",
        "0 found by 10.0.0.2:50000: 10.0.0.9:80",
        "5 to 1: +10.0.0.3:83/10",
        "5 to 2: +10.0.0.3:83/10",
    ]);
}

#[test]
fn garbage_is_ignored_until_it_is_too_much() {
    let mut world = World::new();
    world.came(1, "10.0.0.1:50000");
    for minute in 0..20 {
        world.pass(minute * 60);
        world.says(1, b"d5:added5:12345e");
    }
    world.tells(1, &["10.0.0.9:80"], &[]);
    world.expect(&["600 report 10.0.0.1:50000: it is not listened to any more: \
        its messages are malformed or too long"]);
}

#[test]
fn on_a_private_torrent_nothing_is_said_or_believed() {
    let mut world = World::started(7, true);
    assert!(!world.guest.on_private());
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.tells(1, &["10.0.0.9:80"], &[]);
    world.pass(600);
    world.expect(&[]);
    world.fact(&Fact::Stopped(TOTALS));
    world.expect(&["600 finished"]);
}

#[test]
fn after_the_end_nothing_is_said() {
    let mut world = World::new();
    world.dialled(1, "10.0.0.1:81");
    world.came(2, "10.0.0.2:50000");
    world.fact(&Fact::Stopped(TOTALS));
    world.left(1);
    world.pass(600);
    world.expect(&["0 finished"]);
}

#[test]
fn what_is_for_others_is_declined() {
    let mut world = World::new();
    let names: Vec<_> = world.guest.extensions().collect();
    assert_eq!(names, ["ut_pex"]);
    world.came(1, "10.0.0.1:50000");
    let other = Fact::Extension { peer: 1, name: "ut_metadata", payload: b"de" };
    assert_eq!(world.fact(&other), Answer::Declined);
    let datagram = Fact::Datagram { from: numbered(1).into(), bytes: b"d5:added0:e" };
    assert_eq!(world.fact(&datagram), Answer::Declined);
    // A peer that is not here, or not any more.
    world.tells(5, &["10.0.0.9:80"], &[]);
    world.expect(&[]);
}

#[test]
fn an_option_is_refused() {
    assert!(Instance::create(&PLUGIN, "interval=1", Arc::new(Silent)).is_err());
}

/// A swarm as the peers see it that are told of it.
#[derive(Default)]
struct Views {
    /// Who is here: the address, and whether others may be told of it.
    here: BTreeMap<u32, (SocketAddr, bool)>,
    /// Whom each of them was told to be here.
    views: BTreeMap<u32, BTreeSet<SocketAddr>>,
    last_us: BTreeMap<u32, u64>,
}

impl Views {
    /// Holds what was sent against the rules, and lets the peers believe it.
    fn hear(&mut self, sent: Vec<(u64, u32, Message)>) {
        for (us, peer, message) in sent {
            let Message { added, dropped } = message;
            assert!(added.len() <= telling::CONTACTS_MAX && dropped.len() <= telling::CONTACTS_MAX);
            assert!(added.len() + dropped.len() > 0, "it says something");
            let last_us = self.last_us.insert(peer, us);
            assert!(last_us.is_none_or(|last_us| us >= last_us + telling::INTERVAL_US), "{us}");
            let view = self.views.entry(peer).or_default();
            for addr in dropped {
                assert!(view.remove(&addr), "{addr} was told before");
            }
            for Contact { addr, .. } in added {
                assert_ne!(addr, self.here[&peer].0, "nobody is told of itself");
                assert!(view.insert(addr), "{addr} is told once");
            }
        }
    }

    /// What a peer should know in the end.
    fn others(&self, peer: u32) -> BTreeSet<SocketAddr> {
        let shared = self.here.iter().filter(|(_, (_, told))| *told).take(SHARED_MAX);
        shared.filter(|(other, _)| **other != peer).map(|(_, (addr, _))| *addr).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever comes and goes: no message breaks a rule, and when it is quiet again everybody
    /// knows who is here.
    #[test]
    fn whoever_listens_knows_the_swarm_in_the_end(
        seed: u64,
        steps in proptest::collection::vec((0_u32..4, 0_u64..40, 1_u32..60), 1..12),
    ) {
        let mut world = World::started(seed, false);
        let mut views = Views::default();
        let mut number = 0;
        for (step, seconds, count) in steps {
            world.pass(world.now_us / SECOND + seconds);
            views.hear(std::mem::take(&mut world.sent));
            for _ in 0..count {
                if step == 0 {
                    let Some((peer, _)) = views.here.pop_first() else { break };
                    views.views.remove(&peer);
                    world.left(peer);
                } else {
                    number += 1;
                    views.here.insert(number, (numbered(number), step > 1));
                    world.joined(number, numbered(number), step < 2, false);
                }
            }
        }
        // As many minutes as it takes to tell of everybody, fifty at a time.
        world.pass(world.now_us / SECOND + 60 * 30);
        views.hear(std::mem::take(&mut world.sent));
        for peer in views.here.keys() {
            let view = views.views.get(peer).cloned().unwrap_or_default();
            prop_assert_eq!(view, views.others(*peer), "peer {}", peer);
        }
    }

    /// Whatever peers say, and when: it never breaks, and never wishes more than one message to
    /// each peer and one thing about the sender.
    #[test]
    fn no_world_makes_it_panic(
        steps in proptest::collection::vec((0_u32..8, 0_u64..90, any::<Vec<u8>>()), 1..60),
    ) {
        let mut world = World::new();
        for (step, seconds, bytes) in steps {
            world.pass(world.now_us / SECOND + seconds);
            world.transcript.clear();
            let peer = seconds as u32 % 8;
            let number = bytes.iter().fold(0, |n: u32, &b| n << 8 | u32::from(b));
            let mut compact = bytes.clone();
            compact.truncate(bytes.len() / 6 * 6);
            let list = [format!("d5:added{}:", compact.len()).as_bytes(), &compact, b"e"].concat();
            match step {
                0 => { world.says(peer, &bytes); }
                1 | 2 => { world.says(peer, &list); }
                3 => world.joined(peer, numbered(number & 0xffff), number % 2 == 0, false),
                4 => world.left(peer),
                5 => { world.fact(&Fact::Progress(Totals { left: u64::from(number), ..TOTALS })); }
                6 => world.tells(peer, &["10.0.0.7:80", "[::7]:80"], &["10.0.0.7:80"]),
                _ => { world.fact(&Fact::Deadline); }
            }
            prop_assert!(world.transcript.len() <= 9, "{:?}", world.transcript);
        }
    }
}

//! The guest on a scripted network, on virtual time, through its C table.

use crate::{PLUGIN, SECOND, neighbours};
use proptest::prelude::*;
use rtor_plugin::discovery::host::Instance;
use rtor_plugin::discovery::virtual_time::OnVirtualTime;
use rtor_plugin::discovery::{Answer, Fact, Totals, Wish};
use rtor_plugin::{Chance, Level, Services};
use std::net::SocketAddr;
use std::sync::Arc;

struct Silent;

impl Services for Silent {
    fn log(&self, _level: Level, _text: &str) {}
}

const HASH: &str = "abababababababababababababababababababab";
const TOTALS: Totals = Totals { uploaded: 0, downloaded: 0, left: 9, peers: 0, peers_wanted: 50 };

/// A guest, the time, and what it wished.
struct World {
    guest: Instance,
    now_us: u64,
    transcript: Vec<String>,
    /// Every datagram that it sent.
    sent: Vec<String>,
}

impl World {
    /// A guest that was told of the start.
    fn new() -> Self {
        let mut world = Self::unstarted();
        world.start(6881, false);
        world
    }

    fn unstarted() -> Self {
        let guest = Instance::create(&PLUGIN, "", Arc::new(Silent)).expect("it can be made");
        Self { guest, now_us: 0, transcript: Vec::new(), sent: Vec::new() }
    }

    fn start(&mut self, port: u16, private: bool) {
        self.fact(&Fact::Started {
            info_hash: &[0xab; 20],
            peer_id: b"-RT0100-abcdefghijkl",
            trackers: Vec::new(),
            seed: 7,
            port,
            udp_port: port,
            private,
            totals: TOTALS,
        });
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
            Wish::JoinMulticast { group } => {
                format!("join {}", group.socket().expect("a family"))
            }
            Wish::SendDatagram { to, bytes } => {
                self.sent.push(String::from_utf8(bytes.into_owned()).expect("it is text"));
                format!("announce to {}", to.socket().expect("a family"))
            }
            Wish::Found { source, addrs } => {
                assert_eq!((&*source, addrs.len()), ("the local network", 1));
                format!("found {}", addrs[0].socket().expect("a family"))
            }
            Wish::Finished => "finished".to_owned(),
            other => panic!("a wish that LSD has no need of: {other:?}"),
        }
    }

    fn hears(&mut self, from: &str, text: &str) -> Answer {
        let from: SocketAddr = from.parse().expect("a literal address");
        self.fact(&Fact::Datagram { from: from.into(), bytes: text.as_bytes() })
    }

    /// An announce of this torrent.
    fn announced(&mut self, from: &str, port: u16) {
        let text = format!("BT-SEARCH * HTTP/1.1\r\nPort: {port}\r\nInfohash: {HASH}\r\n\r\n\r\n");
        assert_eq!(self.hears(from, &text), Answer::Mine);
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

    fn quiet(mut self) -> Self {
        self.transcript.clear();
        self
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

const JOIN_4: &str = "0 join 239.192.152.143:6771";
const JOIN_6: &str = "0 join [ff15::efc0:988f]:6771";

#[test]
fn it_joins_both_groups_and_announces_every_five_minutes() {
    let mut world = World::new();
    world.pass(899);
    world.expect(&[
        JOIN_4,
        JOIN_6,
        "0 announce to 239.192.152.143:6771",
        "0 announce to [ff15::efc0:988f]:6771",
        "300 announce to 239.192.152.143:6771",
        "300 announce to [ff15::efc0:988f]:6771",
        "600 announce to 239.192.152.143:6771",
        "600 announce to [ff15::efc0:988f]:6771",
    ]);
}

#[test]
fn an_announce_is_this_text() {
    let world = World::new();
    let cookie = format!("{:08x}", Chance::new(7).word());
    let texts = ["239.192.152.143:6771", "[ff15::efc0:988f]:6771"].map(|group| {
        format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: 6881\r\nInfohash: {HASH}\r\n\
            cookie: {cookie}\r\n\r\n\r\n"
        )
    });
    assert_eq!(world.sent, texts);
}

#[test]
fn who_cannot_be_called_listens_only() {
    let mut world = World::unstarted();
    world.start(0, false);
    world.announced("10.0.0.2:6771", 80);
    world.pass(1000);
    world.expect(&[JOIN_4, JOIN_6, "0 found 10.0.0.2:80"]);
}

#[test]
fn however_often_it_starts_it_announces_once_a_minute() {
    let mut world = World::new();
    for second in 0..150 {
        world.pass(second);
        world.fact(&Fact::Stopped(TOTALS));
        world.start(6881, false);
    }
    let announces = world.transcript.iter().filter(|line| line.contains("announce to 239"));
    let announces: Vec<&String> = announces.collect();
    assert_eq!(
        announces,
        [
            "0 announce to 239.192.152.143:6771",
            "60 announce to 239.192.152.143:6771",
            "120 announce to 239.192.152.143:6771"
        ]
    );
}

#[test]
fn a_neighbour_is_found_at_its_own_address_once_a_period() {
    let mut world = World::new().quiet();
    let text = format!(
        "BT-SEARCH * HTTP/1.1\r\nHost: 10.9.9.9:1\r\nPort: 51413\r\nInfohash: {HASH}\r\n\
        cookie: x\r\n\r\n\r\n"
    );
    for second in [0, 1, 299, 301] {
        world.now_us = second * SECOND;
        assert_eq!(world.hears("10.0.0.2:6771", &text), Answer::Mine);
    }
    world.announced("[::ffff:10.0.0.3]:50000", 80);
    world.announced("[2001:db8::4]:6771", 80);
    world.expect(&[
        "0 found 10.0.0.2:51413",
        "301 found 10.0.0.2:51413",
        "301 found 10.0.0.3:80",
        "301 found [2001:db8::4]:80",
    ]);
}

#[test]
fn our_own_announces_are_ignored() {
    let mut world = World::new().quiet();
    for text in world.sent.clone() {
        assert_eq!(world.hears("10.0.0.1:6881", &text), Answer::Mine);
    }
    world.expect(&[]);
}

#[test]
fn other_torrents_and_addresses_that_nobody_can_call_are_ignored() {
    let mut world = World::new().quiet();
    let other = HASH.replace('a', "c");
    let text = format!("BT-SEARCH * HTTP/1.1\r\nPort: 80\r\nInfohash: {other}\r\n\r\n\r\n");
    assert_eq!(world.hears("10.0.0.2:6771", &text), Answer::Mine);
    assert_eq!(world.hears("10.0.0.2:6771", "BT-SEARCH garbage"), Answer::Mine);
    for from in ["0.0.0.0:1", "239.192.152.143:6771", "[fe80::1]:6771", "[ff15::1]:1", "[::]:1"] {
        world.announced(from, 80);
    }
    world.expect(&[]);
}

#[test]
fn what_is_for_others_is_declined() {
    let mut world = World::new().quiet();
    for text in ["d1:ad2:id20:", "", "M-SEARCH * HTTP/1.1\r\n", "BT-SEARC"] {
        assert_eq!(world.hears("10.0.0.2:6771", text), Answer::Declined, "{text}");
    }
    assert_eq!(world.fact(&Fact::Progress(TOTALS)), Answer::Declined);
    world.expect(&[]);
}

#[test]
fn a_flood_brings_so_many_peers_and_no_more() {
    let mut world = World::new().quiet();
    for port in 1..1000 {
        world.announced("10.0.0.2:6771", port);
    }
    assert_eq!(world.transcript.len(), neighbours::PORTS_MAX);
    for n in 0..10_000_u32 {
        let from = SocketAddr::from(((0x0a01_0000 | n).to_be_bytes(), 6771));
        world.announced(&from.to_string(), 80);
    }
    assert_eq!(world.transcript.len(), neighbours::PEERS_MAX);
    // The next period has room again.
    world.now_us = 300 * SECOND;
    world.transcript.clear();
    world.announced("10.0.0.9:6771", 80);
    world.expect(&["300 found 10.0.0.9:80"]);
}

#[test]
fn on_a_private_torrent_nothing_is_said_or_believed() {
    let mut world = World::unstarted();
    assert!(!world.guest.on_private());
    world.start(6881, true);
    let text = format!("BT-SEARCH * HTTP/1.1\r\nPort: 80\r\nInfohash: {HASH}\r\n");
    assert_eq!(world.hears("10.0.0.2:6771", &text), Answer::Declined);
    world.pass(1000);
    world.expect(&[]);
    world.fact(&Fact::Stopped(TOTALS));
    world.expect(&["1000 finished"]);
}

#[test]
fn after_the_end_nothing_is_said() {
    let mut world = World::new().quiet();
    world.fact(&Fact::Stopped(TOTALS));
    world.pass(1000);
    world.expect(&["0 finished"]);
}

#[test]
fn an_option_is_refused() {
    assert!(Instance::create(&PLUGIN, "port=1", Arc::new(Silent)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the network says, and when: it never breaks, a datagram brings one peer at most,
    /// and no two announces are closer than a minute.
    #[test]
    fn no_network_makes_it_panic(
        steps in proptest::collection::vec((0_u8..5, 0_u64..400, any::<Vec<u8>>()), 1..40),
    ) {
        let mut world = World::new();
        for (step, seconds, bytes) in steps {
            world.pass(world.now_us / SECOND + seconds);
            let before = world.transcript.len();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let port = seconds as u16;
            let from = "10.0.0.2:6771";
            match step {
                0 => { world.hears(from, &text); }
                1 => { world.hears(from, &format!("BT-SEARCH {text}")); }
                2 => {
                    let head = format!("BT-SEARCH\nPort:{port}\nInfohash:{HASH}\n");
                    world.hears(from, &(head + &text));
                }
                3 => world.start(port, false),
                _ => { world.fact(&Fact::Deadline); }
            }
            let wishes_max = if step == 3 { 4 } else { 1 };
            prop_assert!(world.transcript.len() <= before + wishes_max);
        }
        let announces = world.transcript.iter().filter(|line| line.contains("announce to 239"));
        let times: Vec<f64> = announces
            .map(|line| line.split(' ').next().and_then(|t| t.parse().ok()).expect("a time"))
            .collect();
        prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 60.0), "{:?}", times);
    }
}

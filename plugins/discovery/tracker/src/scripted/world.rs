//! [`World`]: a guest, virtual time, and a transcript of what it wished.

use crate::PLUGIN;
use rtor_plugin::discovery::host::Instance;
use rtor_plugin::discovery::virtual_time::OnVirtualTime;
use rtor_plugin::discovery::{Answer, Fact, Reply, Totals, Tracker, Wish};
use rtor_plugin::{Addr, Level, Services};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

struct Silent;

impl Services for Silent {
    fn log(&self, _level: Level, _text: &str) {}
}

/// A guest, the time, and what it wished.
pub(super) struct World {
    pub(super) guest: Instance,
    pub(super) now_us: u64,
    pub(super) transcript: Vec<String>,
    /// Where the last datagram went, and its transaction.
    pub(super) asked: Option<(Addr, u32)>,
    /// The last ticket for a URL's first part (before the query) and a family.
    tickets: BTreeMap<String, u64>,
    /// Tickets of look-ups that were not answered, the first one first.
    look_ups: Vec<u64>,
    pub(super) urls: Vec<String>,
    pub(super) datagrams: Vec<Vec<u8>>,
}

pub(super) const TOTALS: Totals =
    Totals { uploaded: 11, downloaded: 22, left: 33, peers: 0, peers_wanted: 50 };

impl World {
    /// A started guest with these tiers.
    pub(super) fn new(tiers: &[&[&str]]) -> Self {
        Self::seeded(tiers, 7)
    }

    pub(super) fn seeded(tiers: &[&[&str]], seed: u64) -> Self {
        let mut world = Self::empty();
        world.fact(&Fact::Started {
            info_hash: &[0xab; 20],
            peer_id: b"-RT0100-abcdefghijkl",
            trackers: listed(tiers),
            seed,
            port: 6881,
            udp_port: 6881,
            private: false,
            totals: TOTALS,
        });
        world
    }

    /// A guest that was asked for the counts of the swarm.
    pub(super) fn scraping(tiers: &[&[&str]]) -> Self {
        let (info_hash, trackers) = (&[0xab; 20], listed(tiers));
        let mut world = Self::empty();
        world.fact(&Fact::Scrape { info_hash, trackers, seed: 7, private: false });
        world
    }

    fn empty() -> Self {
        Self {
            guest: Instance::create(&PLUGIN, "", Arc::new(Silent)).expect("it can be made"),
            now_us: 0,
            transcript: Vec::new(),
            asked: None,
            tickets: BTreeMap::new(),
            look_ups: Vec::new(),
            urls: Vec::new(),
            datagrams: Vec::new(),
        }
    }

    pub(super) fn fact(&mut self, fact: &Fact<'_>) -> Answer {
        let mut wishes = Vec::new();
        let answer = self.guest.handle(self.now_us, fact, &mut wishes).expect("it never breaks");
        for wish in wishes {
            let line = self.line(wish);
            self.transcript.push(format!("{} {line}", self.now_us as f64 / 1e6));
        }
        answer
    }

    pub(super) fn line(&mut self, wish: Wish<'static>) -> String {
        match wish {
            Wish::HttpGet { ticket, url, family } => {
                let (base, query) = url.split_once('?').unwrap_or((&url, ""));
                let over = family.map(|family| format!(" over {family}")).unwrap_or_default();
                self.tickets.insert(format!("{base}{over}"), ticket);
                let event = query.split('&').find_map(|p| p.strip_prefix("event="));
                let line = format!("get {base}{over} {}", event.unwrap_or("-"));
                self.urls.push(url.into_owned());
                line
            }
            Wish::Resolve { ticket, host, port } => {
                self.look_ups.push(ticket);
                format!("resolve {host}:{port}")
            }
            Wish::SendDatagram { to, bytes } => {
                let word = |at: usize| {
                    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
                };
                self.asked = Some((to, word(12)));
                let to = to.socket().expect("a family");
                let line = match (word(8), bytes.len()) {
                    (0, 16) => {
                        assert_eq!(bytes[..8], 0x0417_2710_1980_u64.to_be_bytes());
                        format!("connect {to}")
                    }
                    (1, 98..) => {
                        let event = ["-", "completed", "started", "stopped"][word(80) as usize];
                        format!("announce {to} {event} with {:x}", word(4))
                    }
                    (2, 36) => format!("scrape {to} with {:x}", word(4)),
                    other => panic!("a datagram of {other:?}"),
                };
                self.datagrams.push(bytes.into_owned());
                line
            }
            Wish::Found { source, addrs } => {
                let first = addrs[0].socket().expect("a family");
                format!("found {} at {source}, first {first}", addrs.len())
            }
            Wish::Heard { source, seeds, leeches, downloads, interval_s } => {
                let count = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
                let (seeds, leeches) = (count(seeds), count(leeches));
                if interval_s == 0 {
                    return format!("scraped {seeds}+{leeches}, {} at {source}", count(downloads));
                }
                format!("heard {seeds}+{leeches} at {source}, again in {interval_s}")
            }
            Wish::Report { level: Level::Debug, subject, text } => {
                format!("mutter {subject}: {text}")
            }
            Wish::Report { subject, text, .. } => format!("report {subject}: {text}"),
            Wish::Finished => "finished".to_owned(),
            other => panic!("a wish that no tracker needs: {other:?}"),
        }
    }

    /// Lets time pass, with a deadline fact whenever the guest asked for one.
    pub(super) fn pass(&mut self, until_s: u64) {
        self.pass_until(until_s * 1_000_000);
    }

    pub(super) fn get_answered(&mut self, base: &str, status: u32, body: &[u8]) {
        let ticket = self.tickets[base];
        self.fact(&Fact::HttpReply { ticket, reply: Reply::Answered(status, body) });
    }

    pub(super) fn get_failed(&mut self, base: &str) {
        let ticket = self.tickets[base];
        let reply = Reply::Unreachable("connection refused");
        self.fact(&Fact::HttpReply { ticket, reply });
    }

    /// Answers the first look-up that was not answered.
    pub(super) fn resolved(&mut self, addrs: &[&str]) {
        let ticket = self.look_ups.remove(0);
        let addrs: Vec<Addr> = addrs.iter().copied().map(addr).collect();
        let problem = if addrs.is_empty() { "no such host" } else { "" };
        self.fact(&Fact::Resolved { ticket, addrs: &addrs, problem });
    }

    /// A datagram from where the last one went, with its transaction.
    pub(super) fn datagram(&mut self, action: u32, body: &[u8]) -> Answer {
        let (from, transaction) = self.asked.expect("something was asked");
        let bytes = [&action.to_be_bytes(), &transaction.to_be_bytes(), body].concat();
        self.fact(&Fact::Datagram { from, bytes: &bytes })
    }

    pub(super) fn connected(&mut self, id: u64) {
        assert_eq!(self.datagram(0, &id.to_be_bytes()), Answer::Mine);
    }

    /// An announce's answer: interval, leeches, seeds, and compact peers.
    pub(super) fn announced(&mut self, interval_s: u32, peers: &[u8]) {
        let words = [interval_s, 3, 4].map(u32::to_be_bytes).concat();
        assert_eq!(self.datagram(1, &[&words, peers].concat()), Answer::Mine);
    }

    /// What was wished since the last time.
    #[track_caller]
    pub(super) fn expect(&mut self, lines: &[&str]) {
        assert_eq!(std::mem::take(&mut self.transcript), lines);
    }

    pub(super) fn quiet(mut self) -> Self {
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

fn listed<'a>(tiers: &[&[&'a str]]) -> Vec<Tracker<'a>> {
    let tiers = (0..).zip(tiers);
    tiers.flat_map(|(tier, urls)| urls.iter().map(move |&url| Tracker { url, tier })).collect()
}

pub(super) fn addr(text: &str) -> Addr {
    text.parse::<SocketAddr>().expect("a literal address").into()
}

impl World {
    pub(super) fn datagram_if_asked(&mut self, action: u32, body: &[u8]) {
        if self.asked.is_some() {
            self.datagram(action, body);
        }
    }
}

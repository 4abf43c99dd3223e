//! [`scrape`]: asks trackers for the counts of a swarm, without taking part in it.

use super::errands::Errands;
use crate::engine::{Guest, Guests, Input, Time, Wished};
use crate::net::http::Http;
use crate::net::{Datagrams, FACTS_WAITING_MAX, Fact as Socket, LocalAddrs, Proxy};
use rtor_plugin::Level;
use rtor_plugin::discovery::{Fact, Tracker, Wish};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a scrape is asked with.
pub struct Scrape {
    /// 20 bytes (v1) or 32 (v2).
    pub info_hash: Vec<u8>,
    /// Announce URLs, tier by tier.
    pub trackers: Vec<Vec<String>>,
    /// Whether the torrent is private (BEP 27): then only guests that say so are asked.
    pub private: bool,
    /// Chance for the guests.
    pub seed: u64,
    /// Who asks: `tracker`, and any other that knows what a scrape is.
    pub guests: Vec<Guest>,
    /// For HTTP trackers.
    pub http: Http,
    /// Where datagrams leave from.
    pub from: LocalAddrs,
    /// Through which everything goes; then no name is looked up here.
    pub proxy: Option<Proxy>,
    /// How long guests may take; the bundled one takes 20 seconds at most.
    pub wait: Duration,
}

/// What came of one tracker, or of another source that a guest asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scraped {
    /// Its announce URL.
    pub source: String,
    /// Peers that have everything, if it said.
    pub seeds: Option<u64>,
    /// Peers that do not.
    pub leeches: Option<u64>,
    /// How often it was completed.
    pub downloads: Option<u64>,
    /// Why there are no counts.
    pub problem: Option<String>,
}

/// What came of a scrape.
#[derive(Debug, Default)]
pub struct Answers {
    /// One entry a tracker, in the order of the list, then what else guests know.
    pub scraped: Vec<Scraped>,
    /// Guests that broke.
    pub broken: Vec<String>,
}

/// Asks all guests at once.
pub async fn scrape(ask: Scrape) -> Answers {
    let Scrape { info_hash, trackers, private, seed, guests, http, from, proxy, wait } = ask;
    let (facts_from, mut facts) = mpsc::channel(FACTS_WAITING_MAX);
    let datagrams = match &proxy {
        None => Datagrams::open(from, 0, None, &facts_from),
        Some(proxy) => Datagrams::through(proxy, &facts_from),
    };
    let (errands, mut replies) = Errands::new(http);
    let mut scraped = Vec::new();
    for url in trackers.iter().flatten() {
        entry(&mut scraped, url.trim());
    }
    let guests = Guests::new(guests, private);
    let mut asking = Asking { guests, errands, datagrams, scraped, began: Instant::now() };
    let tiers = (0..).zip(&trackers);
    let trackers =
        tiers.flat_map(|(tier, urls)| urls.iter().map(move |url| Tracker { url, tier })).collect();
    let fact = Fact::Scrape { info_hash: &info_hash, trackers, seed, private };
    asking.with_guests(|guests, now, wished| guests.ask(now, &fact, wished));
    while !asking.guests.all_finished() {
        let until = asking.deadline(wait);
        tokio::select! {
            Some(input) = replies.recv() => asking.replied(&input),
            Some(Socket::Datagram(from, bytes)) = facts.recv() => {
                let fact = Fact::Datagram { from: from.into(), bytes: &bytes };
                asking.with_guests(|guests, now, wished| guests.offer(now, &fact, wished));
            }
            () = tokio::time::sleep_until(until.into()) => {
                if asking.began.elapsed() >= wait {
                    asking.give_up();
                    break;
                }
                asking.with_guests(|guests, now, wished| guests.deadline_passed(now, wished));
            }
        }
    }
    Answers { broken: asking.guests.newly_poisoned(), scraped: asking.scraped }
}

/// A scrape under way.
struct Asking {
    guests: Guests,
    errands: Errands,
    datagrams: Datagrams,
    scraped: Vec<Scraped>,
    began: Instant,
}

impl Asking {
    /// Who has said nothing by now will not.
    fn give_up(&mut self) {
        for scraped in &mut self.scraped {
            let counts = [scraped.seeds, scraped.leeches, scraped.downloads];
            if counts.iter().all(Option::is_none) {
                scraped.problem.get_or_insert_with(|| "no answer in time".to_owned());
            }
        }
    }

    /// When something is to be done at the latest: within `wait` of the beginning.
    fn deadline(&mut self, wait: Duration) -> Instant {
        let due = self.guests.deadline().map_or(wait, |due| Duration::from_micros(due.0));
        self.began + due.min(wait)
    }

    fn replied(&mut self, input: &Input) {
        self.with_guests(|guests, now, wished| match input {
            Input::HttpReplied(guest, ticket, reply) => {
                guests.http_replied(now, *guest, *ticket, reply, wished);
            }
            Input::Resolved(guest, ticket, found) => {
                guests.resolved(now, *guest, *ticket, found, wished);
            }
            // Errands bring nothing else.
            _ => {}
        });
    }

    /// Lets `f` talk to the guests and does what they wish.
    fn with_guests(&mut self, f: impl FnOnce(&mut Guests, Time, &mut Vec<Wished>)) {
        let now = Time(self.began.elapsed().as_micros() as u64);
        let mut wished = Vec::new();
        f(&mut self.guests, now, &mut wished);
        wished.into_iter().for_each(|(guest, wish)| self.act(guest, wish));
    }

    fn act(&mut self, guest: usize, wish: Wish<'static>) {
        match wish {
            Wish::HttpGet { ticket, url, family } => {
                self.errands.http_get(guest, ticket, url.into_owned(), family);
            }
            Wish::Resolve { ticket, host, port } => {
                let look_up = self.datagrams.look_up(host.into_owned(), port);
                self.errands.resolve(guest, ticket, look_up);
            }
            Wish::SendDatagram { to, bytes } => {
                if let Some(to) = to.socket() {
                    self.datagrams.send(to, &bytes);
                }
            }
            Wish::Heard { source, seeds, leeches, downloads, .. } => {
                let result = entry(&mut self.scraped, &source);
                let source = std::mem::take(&mut result.source);
                *result = Scraped { source, seeds, leeches, downloads, problem: None };
            }
            Wish::Report { level, subject, text } if level >= Level::Warning => {
                entry(&mut self.scraped, &subject).problem = Some(text.into_owned());
            }
            // Who only asks meets no peers.
            _ => {}
        }
    }
}

/// The entry of `source`, made if there is none.
fn entry<'a>(results: &'a mut Vec<Scraped>, source: &str) -> &'a mut Scraped {
    let at = results.iter().position(|result| result.source == source).unwrap_or_else(|| {
        let (seeds, leeches, downloads, problem) = (None, None, None, None);
        results.push(Scraped { source: source.to_owned(), seeds, leeches, downloads, problem });
        results.len() - 1
    });
    &mut results[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Proxies;
    use rtor_plugin::Services;
    use rtor_plugin::discovery::host::Instance;
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    const HASH: [u8; 20] = *b"aaaaaaaaaaaaaaaaaaaa";

    struct Silent;

    impl Services for Silent {
        fn log(&self, _level: Level, _text: &str) {}
    }

    fn ask(trackers: &[&str], proxy: Option<Proxy>) -> Vec<Scraped> {
        let instance = Instance::create(&rtor_discovery_tracker::PLUGIN, "", Arc::new(Silent));
        let instance = instance.expect("a guest");
        let guest = Guest { id: "tracker".to_owned(), instance, state: None };
        let proxies = proxy.clone().map(Proxies::only).unwrap_or_default();
        let ask = Scrape {
            info_hash: HASH.to_vec(),
            trackers: trackers.iter().map(|url| vec![(*url).to_owned()]).collect(),
            private: false,
            seed: 7,
            guests: vec![guest],
            http: Http::new(LocalAddrs::ANY, None, &proxies).expect("a client"),
            from: LocalAddrs::ANY,
            proxy,
            wait: Duration::from_secs(30),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(scrape(ask)).scraped
    }

    /// Answers one scrape over HTTP.
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "a tracker of the test's own"
    )]
    fn http_tracker() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/announce", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut asked = vec![0; 4096];
            let size = stream.read(&mut asked).expect("a request");
            let asked = String::from_utf8_lossy(&asked[..size]).into_owned();
            assert!(
                asked.starts_with("GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP"),
                "{asked}"
            );
            let counts = "d8:completei5e10:downloadedi50e10:incompletei10ee";
            let body = format!("d5:filesd20:aaaaaaaaaaaaaaaaaaaa{counts}ee");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).expect("it is read");
        });
        url
    }

    /// Answers one scrape over UDP (BEP 15).
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "a tracker of the test's own"
    )]
    fn udp_tracker() -> String {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let url = format!("udp://{}/announce", socket.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let mut asked = [0; 100];
            for reply in [
                &[&[0; 4][..], &[9; 8]],
                &[&[0, 0, 0, 2][..], &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]],
            ] {
                let (_, from) = socket.recv_from(&mut asked).expect("a question");
                let bytes = [reply[0], &asked[12..16], reply[1]].concat();
                socket.send_to(&bytes, from).expect("it leaves");
            }
            assert_eq!(asked[16..36], HASH);
        });
        url
    }

    fn counts(scraped: &Scraped) -> [Option<u64>; 3] {
        [scraped.seeds, scraped.leeches, scraped.downloads]
    }

    #[test]
    fn every_tracker_has_its_counts_or_why_there_are_none() {
        let (http, udp) = (http_tracker(), udp_tracker());
        let trackers = [http.as_str(), "http://127.0.0.1:1/announce", &udp, "wss://t"];
        let results = ask(&trackers, None);
        let sources: Vec<&str> = results.iter().map(|result| result.source.as_str()).collect();
        assert_eq!(sources, trackers);
        assert_eq!(counts(&results[0]), [Some(5), Some(10), Some(50)]);
        assert_eq!(counts(&results[2]), [Some(1), Some(3), Some(2)]);
        let problems: Vec<_> = results.iter().map(|result| result.problem.as_deref()).collect();
        let unsupported = "`wss` trackers are not supported";
        assert_eq!(problems, [None, Some("connection refused"), None, Some(unsupported)]);
    }

    #[test]
    fn through_a_proxy_no_name_is_looked_up() {
        let proxy = "socks5://127.0.0.1:1".parse().expect("a proxy");
        let results = ask(&["udp://localhost:80"], Some(proxy));
        let why = "through the proxy: connection refused";
        assert_eq!(results[0].problem.as_deref(), Some(why));
    }
}

//! [`OddTracker`]: an HTTP tracker of our own that is wrong in one way, through `odd_tracker.py`;
//! [`LossyRelay`]: a way to a UDP tracker on which datagrams are lost.

use super::net::Net;
use super::parts::script;
use super::process::Running;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// For a script to listen.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// The port of all of them.
const PORT: u16 = 6971;

/// What an [`OddTracker`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing wrong: it tells of the peers it was given.
    Honest,
    /// Answers with a web page.
    Garbage,
    /// Answers with 1 MiB that unpacks to 1 GiB.
    GzipBomb,
    /// Sends us from itself to itself.
    RedirectLoop,
    /// Tells of 100,000 peers that are not there.
    Crowd,
    /// Takes the question and never answers.
    Silent,
}

impl Oddity {
    fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Garbage => "garbage",
            Self::GzipBomb => "gzip-bomb",
            Self::RedirectLoop => "redirect-loop",
            Self::Crowd => "crowd",
            Self::Silent => "silent",
        }
    }
}

/// One of them, listening.
pub struct OddTracker {
    running: Running,
    addr: SocketAddr,
}

impl OddTracker {
    /// Starts it at `host`; an honest one tells of `peers`.
    pub fn start(net: &Net, host: &str, oddity: Oddity, peers: &[SocketAddr]) -> Self {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), PORT);
        let peers: Vec<Value> = peers.iter().map(|p| json!([p.ip(), p.port()])).collect();
        let told = json!({ "listen": [host, PORT], "trick": oddity.name(), "peers": peers });
        let folder = net.folder(&format!("odd-tracker-{}", host.replace(':', "-")));
        let mut command = net.command("python3");
        command.arg(script("odd_tracker.py")).arg(told.to_string());
        let mut running = net.start("odd tracker", &folder, &mut command);
        running.until("listens", START_PATIENCE, |running| {
            running.stdout().contains("listening").then_some(())
        });
        Self { running, addr }
    }

    /// Its announce URL.
    pub fn url(&self) -> String {
        format!("http://{}/announce", self.addr)
    }

    /// The announces that it got: `query` and `client`.
    pub fn announces(&self) -> Vec<Value> {
        let said = self.running.stdout();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|seen| seen["event"] == "announce").collect()
    }
}

/// A relay before a UDP tracker.
pub struct LossyRelay {
    running: Running,
    addr: SocketAddr,
}

impl LossyRelay {
    /// Starts it at `host` before `tracker`; the first `lost` datagrams do not arrive.
    pub fn start(net: &Net, host: &str, tracker: SocketAddr, lost: usize) -> Self {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), PORT);
        let mut command = net.command("python3");
        command.arg(script("lossy_relay.py")).args([
            host.to_owned(),
            PORT.to_string(),
            tracker.ip().to_string(),
            tracker.port().to_string(),
            lost.to_string(),
        ]);
        let mut running = net.start("lossy relay", &net.folder("lossy-relay"), &mut command);
        running.until("listens", START_PATIENCE, |running| {
            running.stdout().contains("listening").then_some(())
        });
        Self { running, addr }
    }

    /// The announce URL that leads through it.
    pub fn url(&self) -> String {
        format!("udp://{}/announce", self.addr)
    }

    /// How many datagrams of clients were `lost` or `passed`.
    pub fn count(&self, what: &str) -> usize {
        self.running.stdout().lines().filter(|line| *line == what).count()
    }
}

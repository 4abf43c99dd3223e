//! [`Opentracker`]: a real tracker, for UDP and HTTP on one port.
//!
//! Debian's build serves only the info hashes of a whitelist, so it is started with the torrents
//! it is for.

use super::net::Net;
use super::process::{Running, until};
use super::torrents::Torrent;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The port of all trackers here.
pub const PORT: u16 = 6969;
/// For the tracker to start, and for a client to announce itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The HTTP announce URL of a tracker at `host`.
pub fn http(host: &str) -> String {
    format!("http://{host}:{PORT}/announce")
}

/// The UDP announce URL of a tracker at `host`.
pub fn udp(host: &str) -> String {
    format!("udp://{host}:{PORT}/announce")
}

/// What a tracker knows of one torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// Peers that have everything.
    pub seeds: u64,
    /// Peers that do not.
    pub leeches: u64,
    /// `completed` announces since it started.
    pub downloads: u64,
}

/// One opentracker.
pub struct Opentracker {
    running: Running,
    net: Net,
    addr: SocketAddr,
}

impl Opentracker {
    /// Starts it at `host` for `torrents`, and waits until it answers.
    pub fn start(net: &Net, host: &str, torrents: &[&Torrent]) -> Self {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), PORT);
        let folder = net.folder(&format!("opentracker-{host}"));
        // As root it shuts itself into the folder as `nobody`, and reads the list from there.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let hashes: Vec<String> =
            torrents.iter().flat_map(|torrent| torrent.tracker_hashes()).collect();
        fs::write(folder.join("whitelist"), hashes.join("\n") + "\n").expect("it takes a file");
        let mut command = net.command("opentracker");
        command.arg("-d").arg(&folder).args(["-w", "whitelist", "-i", host]).args([
            "-p",
            &PORT.to_string(),
            "-P",
            &PORT.to_string(),
        ]);
        let running = net.start("opentracker", &folder, &mut command);
        let mut tracker = Self { running, net: net.clone(), addr };
        let asked = torrents.first().map(|torrent| torrent.tracker_hash()).unwrap_or_default();
        let door = net.clone();
        let [start, stop] = ["started", "stopped"].map(|event| announce_url(addr, &asked, event));
        tracker.running.until("serves what is on its list", PATIENCE, |_| {
            let reply = door.http(&start, &json!({}), None);
            let served = reply.status == 200 && find(&reply.body, b"14:failure reason").is_none();
            // The question leaves no trace.
            served.then(|| door.http(&stop, &json!({}), None)).map(|_| ())
        });
        tracker
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The process, to stop it.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// What it knows of `torrent` now.
    pub fn scrape(&self, torrent: &Torrent) -> Scrape {
        let url =
            format!("http://{}/scrape?info_hash={}", self.addr, escaped(&torrent.tracker_hash()));
        let body = self.net.http(&url, &json!({}), None).body;
        let number = |key: &[u8]| {
            let digits = &body[find(&body, key)? + key.len()..];
            let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
            std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
        };
        Scrape {
            seeds: number(b"8:completei").unwrap_or(0),
            leeches: number(b"10:incompletei").unwrap_or(0),
            downloads: number(b"10:downloadedi").unwrap_or(0),
        }
    }

    /// Waits until it knows so many seeds and leeches of `torrent`.
    ///
    /// # Panics
    /// If they do not announce themselves in time.
    #[track_caller]
    pub fn knows(&self, torrent: &Torrent, seeds: u64, leeches: u64) {
        let mut seen = Scrape::default();
        until(&format!("the tracker knows {seeds} seeds, {leeches} leeches"), PATIENCE, || {
            seen = self.scrape(torrent);
            (seen.seeds == seeds && seen.leeches == leeches).then_some(())
        });
    }
}

/// An announce by a peer that is none.
fn announce_url(addr: SocketAddr, hash: &str, event: &str) -> String {
    format!(
        "http://{addr}/announce?info_hash={}&peer_id=-TEST-00000000000000&port=1&uploaded=0\
         &downloaded=0&left=1&compact=1&event={event}",
        escaped(hash)
    )
}

/// `%xx` for every byte of a hash in hex.
fn escaped(hex: &str) -> String {
    hex.as_bytes().chunks(2).fold(String::new(), |mut url, digits| {
        url.push('%');
        url.push_str(&String::from_utf8_lossy(digits));
        url
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

//! [`MseTrickster`]: who breaks the rules of encrypted connections (MSE) in one way, through
//! `mse_trickster.py`, which speaks them by a few lines of its own.

use super::net::Net;
use super::parts::script;
use super::peer;
use super::process::{Running, until};
use super::torrents::Torrent;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// For the script to listen.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MseTrick {
    /// Sends its key, and then padding without end.
    EndlessPad,
    /// Sends what it should, but for a VC that is none.
    WrongVc,
    /// Announces, or chooses, no method that there is.
    WrongMethod,
    /// Hangs up after its key.
    ClosesMidway,
    /// Asks for a torrent that nobody has. Only as a caller.
    OtherTorrent,
    /// Announces an initial payload of 64 KiB. Only as a caller.
    LongPayload,
    /// Does not encrypt. Only as a caller.
    Plain,
    /// None: encrypts with RC4, says its handshake, and hears the other's. Only as a caller.
    Nothing,
}

impl MseTrick {
    fn name(self) -> &'static str {
        match self {
            Self::EndlessPad => "endless-pad",
            Self::WrongVc => "wrong-vc",
            Self::WrongMethod => "wrong-method",
            Self::ClosesMidway => "closes-midway",
            Self::OtherTorrent => "other-torrent",
            Self::LongPayload => "long-payload",
            Self::Plain => "plain",
            Self::Nothing => "nothing",
        }
    }
}

/// One of them, at work.
pub struct MseTrickster {
    running: Running,
    addr: SocketAddr,
    trick: MseTrick,
}

impl MseTrickster {
    /// Waits at `host` for somebody to call; it listens when this returns.
    pub fn listen(net: &Net, host: &str, trick: MseTrick, torrent: &Torrent) -> Self {
        let mut listening = Self::start(net, host, trick, torrent, None);
        listening.running.until("listens", START_PATIENCE, |running| {
            running.stdout().contains(r#""listening""#).then_some(())
        });
        listening
    }

    /// Calls `to` once, from `host`.
    pub fn call(net: &Net, host: &str, trick: MseTrick, torrent: &Torrent, to: SocketAddr) -> Self {
        Self::start(net, host, trick, torrent, Some(to))
    }

    fn start(
        net: &Net,
        host: &str,
        trick: MseTrick,
        torrent: &Torrent,
        to: Option<SocketAddr>,
    ) -> Self {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), peer::PORT);
        let told = json!({
            "host": host,
            "port": addr.port(),
            "call": to.map(|to| (to.ip().to_string(), to.port())),
            "trick": trick.name(),
            "info_hash": torrent.tracker_hash(),
        });
        let folder = net.folder(&format!("trickster-{host}"));
        let mut command = net.command("python3");
        command.arg(script("mse_trickster.py")).arg(told.to_string());
        let running = net.start("MSE trickster", &folder, &mut command);
        Self { running, addr, trick }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What happened to it so far.
    pub fn events(&self) -> Vec<Value> {
        self.running.events()
    }

    /// How often something of that name happened.
    pub fn count(&self, event: &str) -> usize {
        self.running.count(event)
    }

    /// Waits until something of that name happened.
    ///
    /// # Panics
    /// If it does not within `patience`.
    #[track_caller]
    pub fn seen(&self, event: &str, patience: Duration) -> Value {
        until(&format!("{:?} sees `{event}`", self.trick), patience, || {
            self.events().into_iter().find(|seen| seen["event"] == event)
        })
    }
}

//! libtorrent as a peer, through `libtorrent_peer.py`.

use super::net::Net;
use super::parts::{python, script};
use super::peer::{Crypto, Job, Peer, Progress, START_PATIENCE};
use super::process::Running;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// One libtorrent session with one torrent.
pub struct Libtorrent {
    running: Running,
    addr: SocketAddr,
}

impl Libtorrent {
    /// Starts it and waits until it is ready.
    pub fn start(net: &Net, addr: SocketAddr, job: &Job) -> Self {
        Self::told(net, addr, job, None)
    }

    /// Downloads a magnet from `peers` into `folder`.
    pub fn magnet(
        net: &Net,
        addr: SocketAddr,
        uri: &str,
        folder: &Path,
        peers: &[SocketAddr],
    ) -> Self {
        let job = Job { peers: peers.to_vec(), ..Job::of(Path::new(""), folder, false) };
        Self::told(net, addr, &job, Some(uri))
    }

    fn told(net: &Net, addr: SocketAddr, job: &Job, magnet: Option<&str>) -> Self {
        let told = json!({
            "listen": addr.to_string(),
            "torrent": job.torrent,
            "magnet": magnet,
            "data": job.data,
            "trackers": null,
            "max_up": job.up_bytes_per_second,
            "max_down": job.down_bytes_per_second,
            "peers": job.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "tcp": job.tcp,
            "utp": job.utp,
            "encryption": match job.crypto {
                Crypto::Usual => None,
                Crypto::Off => Some("off"),
                Crypto::Rc4 => Some("rc4"),
                Crypto::Plaintext => Some("plaintext"),
                Crypto::Either => Some("either"),
                Crypto::PlainFirst => panic!("libtorrent has no setting for it"),
            },
            "dht_node": job.dht_node.map(|node| node.to_string()),
            "pex": job.pex,
            "lsd": job.lsd,
            "sequential": false,
            "until_complete": false,
        });
        let folder = net.folder(&format!("libtorrent-{}", addr.ip()));
        let mut command = net.command(python());
        command.arg(script("libtorrent_peer.py")).arg(told.to_string());
        let mut running = net.start("libtorrent", &folder, &mut command);
        running.until("listens and has checked its content", START_PATIENCE, |running| {
            let state = state(running)?;
            assert_eq!(state["error"], Value::Null, "libtorrent reports an error");
            let ready = state["ready"] == true && (!job.seeds || state["complete"] == true);
            (ready && net.accepts(addr)).then_some(())
        });
        Self { running, addr }
    }
}

impl Peer for Libtorrent {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn progress(&self) -> Progress {
        let state = state(&self.running).unwrap_or_default();
        Progress {
            complete: state["complete"] == true,
            uploaded_bytes: state["uploaded"].as_u64().unwrap_or(0),
            downloaded_bytes: state["downloaded"].as_u64().unwrap_or(0),
            peers: state["peers"].as_u64().unwrap_or(0),
        }
    }

    fn process(&mut self) -> &mut Running {
        &mut self.running
    }
}

/// The last whole line that the script printed.
fn state(running: &Running) -> Option<Value> {
    let said = running.stdout();
    let whole = &said[..=said.rfind('\n')?];
    serde_json::from_str(whole.lines().last()?).ok()
}

//! transmission-daemon as a peer, driven through its RPC.
//!
//! It refuses peers on loopback addresses, which is why tests have a network of their own.

use super::net::Net;
use super::peer::{Crypto, Job, Peer, Progress, START_PATIENCE};
use super::process::Running;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;

/// Where its RPC listens, on the address it peers from.
const RPC_PORT: u16 = 9091;
/// `status` of a torrent that seeds (Transmission's rpc-spec, 3.2).
const SEEDING: u64 = 6;
/// `status` of a torrent that downloads.
const DOWNLOADING: u64 = 4;

/// One transmission-daemon with one torrent.
pub struct Transmission {
    running: Running,
    addr: SocketAddr,
    rpc: Rpc,
}

impl Transmission {
    /// Starts it, adds the torrent, and waits until it is ready.
    pub fn start(net: &Net, addr: SocketAddr, job: &Job) -> Self {
        // A test that needs it to call somebody names a tracker.
        assert!(job.peers.is_empty(), "Transmission can't be told whom to call");
        let folder = net.folder(&format!("transmission-{}", addr.ip()));
        fs::write(folder.join("settings.json"), settings(addr, job).to_string())
            .expect("the test's folder takes a file");
        if let Some(node) = job.dht_node {
            let bootstrap = format!("{} {}\n", node.ip(), node.port());
            fs::write(folder.join("dht.bootstrap"), bootstrap).expect("as above");
        }
        let mut command = net.command("transmission-daemon");
        command.args(["--foreground", "--config-dir"]).arg(&folder);
        // It reads these before its own settings.
        command.env_remove("TRANSMISSION_HOME").env("HOME", &folder);
        let mut running = net.start("transmission", &folder, &mut command);

        let rpc = Rpc {
            net: net.clone(),
            url: format!("http://{}:{RPC_PORT}/transmission/rpc", addr.ip()),
            session: RefCell::new(String::new()),
        };
        running.until("answers its RPC", START_PATIENCE, |_| rpc.call("session-get", &json!({})));
        let metainfo = fs::read(&job.torrent).expect("the torrent is there");
        let added = rpc
            .call(
                "torrent-add",
                &json!({
                    "metainfo": BASE64_STANDARD.encode(metainfo),
                    "download-dir": job.data,
                    "paused": false,
                }),
            )
            .expect("Transmission takes a torrent");
        assert!(added["torrent-added"].is_object(), "Transmission did not add it: {added}");
        running.until("has checked its content", START_PATIENCE, |_| {
            let torrent = rpc.torrent()?;
            assert_eq!(torrent["error"].as_u64().unwrap_or(0) / 3, 0, "local error: {torrent}");
            let status = torrent["status"].as_u64()?;
            let ready = if job.seeds {
                status == SEEDING
            } else {
                [SEEDING, DOWNLOADING].contains(&status)
            };
            (ready && net.accepts(addr)).then_some(())
        });
        Self { running, addr, rpc }
    }
}

impl Peer for Transmission {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn progress(&self) -> Progress {
        let torrent = self.rpc.torrent().unwrap_or_default();
        Progress {
            complete: torrent["percentDone"].as_f64() == Some(1.0),
            uploaded_bytes: torrent["uploadedEver"].as_u64().unwrap_or(0),
            downloaded_bytes: torrent["downloadedEver"].as_u64().unwrap_or(0),
            peers: torrent["peersConnected"].as_u64().unwrap_or(0),
        }
    }

    fn process(&mut self) -> &mut Running {
        &mut self.running
    }
}

/// The daemon's settings: nothing but TCP, trackers and the one folder.
fn settings(addr: SocketAddr, job: &Job) -> Value {
    // `TR_CLEAR_PREFERRED`, `TR_ENCRYPTION_PREFERRED` and `_REQUIRED`.
    let encryption = match job.crypto {
        Crypto::PlainFirst => 0,
        Crypto::Usual => 1,
        Crypto::Rc4 => 2,
        other => panic!("Transmission has no setting for {other:?}"),
    };
    let kilobytes = |bytes: u64| bytes.div_ceil(1000);
    json!({
        "bind-address-ipv4": addr.ip().to_string(),
        "peer-port": addr.port(),
        "peer-port-random-on-start": false,
        "rpc-bind-address": addr.ip().to_string(),
        "rpc-port": RPC_PORT,
        "rpc-enabled": true,
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "dht-enabled": job.dht_node.is_some(),
        "lpd-enabled": job.lsd,
        "pex-enabled": job.pex,
        "utp-enabled": job.utp,
        "encryption": encryption,
        "port-forwarding-enabled": false,
        "blocklist-enabled": false,
        "download-dir": job.data,
        "incomplete-dir-enabled": false,
        "rename-partial-files": false,
        "watch-dir-enabled": false,
        "ratio-limit-enabled": false,
        "idle-seeding-limit-enabled": false,
        "speed-limit-up": kilobytes(job.up_bytes_per_second),
        "speed-limit-up-enabled": job.up_bytes_per_second > 0,
        "speed-limit-down": kilobytes(job.down_bytes_per_second),
        "speed-limit-down-enabled": job.down_bytes_per_second > 0,
        "message-level": 3,
    })
}

/// Its RPC (rpc-spec 2.3): JSON in a POST, with a session id that the first refusal brings.
struct Rpc {
    net: Net,
    url: String,
    session: RefCell<String>,
}

impl Rpc {
    fn call(&self, method: &str, arguments: &Value) -> Option<Value> {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        let ask = || {
            let session = json!({ "X-Transmission-Session-Id": *self.session.borrow() });
            self.net.http(&self.url, &session, Some(&body))
        };
        let mut reply = ask();
        if reply.status == 409 {
            *self.session.borrow_mut() =
                reply.headers["X-Transmission-Session-Id"].as_str()?.to_owned();
            reply = ask();
        }
        let answer: Value = serde_json::from_slice(&reply.body).ok()?;
        (answer["result"] == "success").then(|| answer["arguments"].clone())
    }

    fn torrent(&self) -> Option<Value> {
        let fields = [
            "status",
            "percentDone",
            "uploadedEver",
            "downloadedEver",
            "peersConnected",
            "error",
            "errorString",
        ];
        let answer = self.call("torrent-get", &json!({ "fields": fields }))?;
        answer["torrents"].get(0).cloned()
    }
}

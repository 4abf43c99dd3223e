//! aria2 as a peer, watched through its RPC.

use super::net::Net;
use super::peer::{Crypto, Job, Peer, Progress, START_PATIENCE};
use super::process::Running;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Where its RPC listens, on every address of the network: one aria2 an address needs its own.
const RPC_PORT_BASE: u16 = 6800;

/// Where its node of the DHT listens: not where it takes peers.
pub const DHT_PORT: u16 = 51500;

/// One aria2 with one torrent.
pub struct Aria2 {
    running: Running,
    addr: SocketAddr,
    rpc: Rpc,
}

impl Aria2 {
    /// Starts it and waits until it is ready.
    pub fn start(net: &Net, addr: SocketAddr, job: &Job) -> Self {
        assert!(job.peers.is_empty(), "aria2 can't be told whom to call");
        let rpc_port = RPC_PORT_BASE + host_number(addr);
        let folder = net.folder(&format!("aria2-{}", addr.ip()));
        let mut command = net.command("aria2c");
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let crypto: &[&str] = match job.crypto {
            Crypto::Usual => &[],
            Crypto::Rc4 => &["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"],
            Crypto::Either => &["--bt-require-crypto=true", "--bt-min-crypto-level=plain"],
            other => panic!("aria2 has no option for {other:?}"),
        };
        command
            .arg("--no-conf")
            .arg(flag("dir", &job.data.to_string_lossy()))
            .arg(flag("interface", &addr.ip().to_string()))
            .arg(flag("listen-port", &addr.port().to_string()))
            .arg(flag("enable-dht", yes(job.dht_node.is_some())))
            .args(job.dht_node.map(|node| flag("dht-entry-point", &node.to_string())))
            .arg(flag("dht-listen-port", &DHT_PORT.to_string()))
            .arg(flag("dht-file-path", &folder.join("dht.dat").to_string_lossy()))
            .arg(flag("bt-enable-lpd", yes(job.lsd)))
            .arg(flag("enable-peer-exchange", yes(job.pex)))
            .args(["--enable-dht6=false", "--disable-ipv6=true"])
            .args(crypto)
            .args(["--enable-rpc=true", "--rpc-listen-all=true"])
            .arg(flag("rpc-listen-port", &rpc_port.to_string()))
            // Seeds until it is stopped.
            .args(["--seed-ratio=0.0", "--file-allocation=none", "--follow-torrent=mem"])
            .arg(flag("check-integrity", yes(job.seeds)))
            .arg(flag("max-overall-upload-limit", &job.up_bytes_per_second.to_string()))
            .arg(flag("max-overall-download-limit", &job.down_bytes_per_second.to_string()))
            .args(["--console-log-level=notice", "--summary-interval=0"])
            .arg(&job.torrent)
            .env("HOME", &folder);
        let mut running = net.start("aria2", &folder, &mut command);
        let rpc = Rpc { net: net.clone(), url: format!("http://{}:{rpc_port}/jsonrpc", addr.ip()) };
        running.until("listens and has checked its content", START_PATIENCE, |_| {
            let torrent = rpc.torrent()?;
            let ready = !job.seeds || torrent["seeder"] == "true";
            (ready && net.accepts(addr)).then_some(())
        });
        Self { running, addr, rpc }
    }
}

impl Peer for Aria2 {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn progress(&self) -> Progress {
        let torrent = self.rpc.torrent().unwrap_or_default();
        // Its RPC writes numbers as strings.
        let number = |key: &str| torrent[key].as_str().and_then(|text| text.parse().ok());
        Progress {
            complete: torrent["seeder"] == "true",
            uploaded_bytes: number("uploadLength").unwrap_or(0),
            downloaded_bytes: number("completedLength").unwrap_or(0),
            peers: number("connections").unwrap_or(0),
        }
    }

    fn process(&mut self) -> &mut Running {
        &mut self.running
    }
}

struct Rpc {
    net: Net,
    url: String,
}

impl Rpc {
    fn torrent(&self) -> Option<Value> {
        let call = json!({ "jsonrpc": "2.0", "id": "", "method": "aria2.tellActive" }).to_string();
        let reply = self.net.http(&self.url, &json!({}), Some(&call));
        let answer: Value = serde_json::from_slice(&reply.body).ok()?;
        answer["result"].get(0).cloned()
    }
}

const fn yes(so: bool) -> &'static str {
    if so { "true" } else { "false" }
}

/// The last octet, or the last byte of a v6 address.
fn host_number(addr: SocketAddr) -> u16 {
    match addr {
        SocketAddr::V4(addr) => u16::from(addr.ip().octets()[3]),
        SocketAddr::V6(addr) => u16::from(addr.ip().octets()[15]),
    }
}

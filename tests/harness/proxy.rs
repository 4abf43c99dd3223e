//! [`ProxyServer`]: a real proxy, microsocks, dante or tinyproxy, at an address of its own;
//! [`Sniffer`]: sees whether anything goes past it.

use super::net::Net;
use super::parts::script;
use super::process::{Running, WITH_HOSTS};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// For a proxy or the sniffer to start.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The login of those that want one.
pub const USER: &str = "someone";
/// Its password.
pub const PASSWORD: &str = "s3cret-word";

/// A proxy that connects from the address where it listens. It alone knows the names in
/// [`ProxyServer::HOSTS`].
pub struct ProxyServer {
    running: Running,
    scheme: &'static str,
    /// Whether it wants a login.
    guarded: bool,
    addr: SocketAddr,
}

impl ProxyServer {
    /// Its names, as in `/etc/hosts`.
    pub const HOSTS: &str = "10.77.0.2 tracker.example\n";

    fn command(net: &Net, program: &str) -> Command {
        let hosts = net.folder(program).join("hosts");
        fs::write(&hosts, Self::HOSTS).expect("the test's folder takes a file");
        let mut command = net.command("unshare");
        command.args(["--mount", "sh", "-c", WITH_HOSTS]).arg(hosts).arg(program);
        command
    }

    /// microsocks, SOCKS 5, at `host`.
    pub fn socks(net: &Net, host: &str) -> Self {
        let mut command = Self::command(net, "microsocks");
        command.args(["-i", host, "-p", "1080", "-b", host, "-u", USER, "-P", PASSWORD]);
        Self::started(net, "socks5", &format!("{host}:1080"), "microsocks", &mut command)
    }

    /// dante, SOCKS 5 that relays datagrams, at `host`. It wants no login: its would be users of the
    /// machine.
    pub fn relaying(net: &Net, host: &str) -> Self {
        let mut command = Self::relay(net, host);
        let proxy = Self::started(net, "socks5", &format!("{host}:1080"), "danted", &mut command);
        Self { guarded: false, ..proxy }
    }

    fn relay(net: &Net, host: &str) -> Command {
        let config = net.folder("danted").join("danted.conf");
        let lines = format!(
            "logoutput: stderr\ninternal: {host} port = 1080\nexternal: {host}\n\
             clientmethod: none\nsocksmethod: none\n\
             client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
             socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n"
        );
        fs::write(&config, lines).expect("the test's folder takes a file");
        let mut command = Self::command(net, "danted");
        command.arg("-f").arg(config);
        command
    }

    /// A [`relaying`](Self::relaying) one ends, and with it all that goes through it; another begins.
    pub fn restart(&mut self, net: &Net) {
        self.running.stop();
        let host = self.addr.ip().to_string();
        *self = Self::relaying(net, &host);
    }

    /// tinyproxy, HTTP, at `host`.
    pub fn http(net: &Net, host: &str) -> Self {
        let config = net.folder("tinyproxy").join("tinyproxy.conf");
        let lines = format!(
            "Listen {host}\nPort 8888\nBind {host}\nMaxClients 100\nTimeout 60\nLogLevel Info\n\
             BasicAuth {USER} {PASSWORD}\n"
        );
        fs::write(&config, lines).expect("the test's folder takes a file");
        let mut command = Self::command(net, "tinyproxy");
        command.args(["-d", "-c"]).arg(config);
        Self::started(net, "http", &format!("{host}:8888"), "tinyproxy", &mut command)
    }

    fn started(
        net: &Net,
        scheme: &'static str,
        addr: &str,
        name: &str,
        command: &mut Command,
    ) -> Self {
        let addr = addr.parse().expect("a test's address");
        let mut running = net.start(name, &net.folder(name), command);
        running.until("listens", START_PATIENCE, |_| net.accepts(addr).then_some(()));
        Self { running, scheme, guarded: true, addr }
    }

    /// Its URL, with the login if it wants one.
    pub fn url(&self) -> String {
        let login = if self.guarded { format!("{USER}:{PASSWORD}@") } else { String::new() };
        format!("{}://{login}{}", self.scheme, self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Everything that goes over a network.
pub struct Sniffer(Running);

/// One kind of packet: protocol, from, to, and the port there.
pub type Flow = (String, String, String, u64);

impl Sniffer {
    /// Starts it. From then on what has no way out of the network stays in it, to be seen.
    pub fn start(net: &Net) -> Self {
        for family in ["-4", "-6"] {
            let mut route = net.command("ip");
            let done = route.args([family, "route", "add", "default", "dev", "lo"]).status();
            assert!(done.expect("`ip` runs").success(), "the network takes a route");
        }
        let mut command = net.command("python3");
        command.arg(script("sniffer.py"));
        let mut running = net.start("sniffer", &net.folder("sniffer"), &mut command);
        running.until("listens", START_PATIENCE, |running| {
            running.stdout().contains("listening").then_some(())
        });
        Self(running)
    }

    /// What it has seen so far.
    pub fn flows(&self) -> Vec<Flow> {
        let said = self.0.stdout();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |seen: &Value, key: &str| seen[key].as_str().unwrap_or_default().to_owned();
        lines
            .filter(|seen| seen["protocol"].is_string())
            .map(|seen| {
                let port = seen["port"].as_u64().unwrap_or_default();
                (text(&seen, "protocol"), text(&seen, "from"), text(&seen, "to"), port)
            })
            .collect()
    }
}

//! [`Net`]: a network namespace of a test's own, and the way in.
//!
//! Transmission refuses loopback peers, and two tests must be able to use one port: so each test
//! has its own namespace, whose `lo` carries 10.77.0.1 to 10.77.0.30 and fd77::1 to fd77::1e. The
//! namespace lives as long as its holder, `net.py`, which also connects and speaks HTTP in there
//! for the test, and ends when its stdin does. Needs root, or a kernel that lets users have
//! namespaces; nothing in it reaches any other network.

use super::parts::script;
use super::process::{Running, mortal};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A network of the test's own. Clones are the same network; it goes with the last of them.
#[derive(Clone)]
pub struct Net(Arc<Holder>);

/// What an HTTP server in the network answered.
pub struct Reply {
    /// 200, or 0 when nothing answered.
    pub status: u16,
    /// Name and value.
    pub headers: Value,
    /// As it came.
    pub body: Vec<u8>,
}

struct Holder {
    holder: Child,
    wires: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    entry: Vec<String>,
    folder: tempfile::TempDir,
}

/// How to make a namespace and how to enter it: as root, and as a user. A user keeps its own id
/// in there: opentracker refuses to run as a root that it cannot stop being.
const WAYS: [(&[&str], &[&str]); 2] = [
    (&["--net"], &["--net"]),
    (
        &["--net", "--map-current-user", "--keep-caps"],
        &["--user", "--preserve-credentials", "--net"],
    ),
];

impl Net {
    /// Makes a network.
    ///
    /// # Panics
    /// If the kernel lets us make none.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("net-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("the target folder takes a folder");
        let mut said = Vec::new();
        for (make, enter) in WAYS {
            let mut holder = Command::new("unshare")
                .args(make)
                .arg("python3")
                .arg(script("net.py"))
                .env("PATH", path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("`unshare` runs: scripts/parts brings it");
            let stdin = holder.stdin.take().expect("it is piped");
            let mut stdout = BufReader::new(holder.stdout.take().expect("it is piped"));
            let mut ready = String::new();
            stdout.read_line(&mut ready).expect("a pipe can be read");
            if ready.contains("ready") {
                let target = format!("--target={}", holder.id());
                let enter = enter.iter().map(|&flag| flag.to_owned());
                return Self(Arc::new(Holder {
                    holder,
                    wires: Mutex::new(Some((stdin, stdout))),
                    entry: std::iter::once(target).chain(enter).collect(),
                    folder,
                }));
            }
            drop(stdin);
            let output = holder.wait_with_output().expect("a child can be waited for");
            said.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        panic!("this kernel gives us no network namespace: {}", said.join("; "));
    }

    /// Adds an interface beside `lo`, `link0`, with 10.78.0.1 to 10.78.0.4 and fd78::1 to fd78::4: one
    /// that passes multicasts of IPv6, which `lo` does not.
    pub fn link(&self) {
        let mut lines = vec![
            "link add link0 type veth peer name link1".to_owned(),
            "link set link0 up".to_owned(),
            "link set link1 up".to_owned(),
        ];
        for host in 1..=4 {
            lines.push(format!("addr add 10.78.0.{host}/24 dev link0"));
            lines.push(format!("addr add fd78::{host}/64 dev link0 nodad"));
        }
        // Else what is sent to a group from no interface in particular may leave by the other end.
        lines.push("route add multicast ff00::/8 dev link0 table local metric 1".to_owned());
        let batch = self.folder("link").join("batch");
        fs::write(&batch, lines.join("\n") + "\n").expect("the test's folder takes a file");
        let done = self.command("ip").arg("-batch").arg(batch).status().expect("`ip` runs");
        assert!(done.success(), "the network takes an interface");
    }

    /// From now on nothing that is sent to `port` by TCP arrives, and nobody hears why.
    pub fn drops_tcp(&self, port: u16) {
        let lines = [
            "table inet drops {",
            "chain input {",
            "type filter hook input priority 0; policy accept;",
            &format!("tcp dport {port} drop"),
            "}",
            "}\n",
        ];
        let file = self.folder("drops").join("rules");
        fs::write(&file, lines.join("\n")).expect("the test's folder takes a file");
        let done = self.command("nft").arg("-f").arg(file).status().expect("`nft` runs");
        assert!(done.success(), "the network takes rules");
    }

    /// `program`, to be started inside, from the test's own thread: it dies with that thread. Its
    /// pid is the program's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let inside = mortal(program);
        command.args(&self.0.entry).arg("--").arg(inside.get_program()).args(inside.get_args());
        command.env("PATH", path());
        command
    }

    /// Starts `command`, which [`command`](Self::command) made, logging into `folder`. It ends
    /// with the network at the latest.
    pub fn start(&self, name: &str, folder: &Path, command: &mut Command) -> Running {
        let running = Running::start(name, folder, command);
        self.ask(&json!({ "do": "adopt", "pid": running.pid() }));
        running
    }

    /// A folder of that name that goes with the network. Made on first use.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.folder.path().join(name);
        fs::create_dir_all(&folder).expect("the test's folder takes a folder");
        folder
    }

    /// Whether something in the network listens there for TCP.
    pub fn accepts(&self, addr: SocketAddr) -> bool {
        let asked = json!({ "do": "accepts", "host": addr.ip().to_string(), "port": addr.port() });
        self.ask(&asked)["accepts"] == true
    }

    /// GETs `url`, or POSTs `body` to it, inside.
    pub fn http(&self, url: &str, headers: &Value, body: Option<&str>) -> Reply {
        let reply =
            self.ask(&json!({ "do": "http", "url": url, "headers": headers, "body": body }));
        let hex = reply["body"].as_str().expect("the holder sends hex");
        Reply {
            status: u16::try_from(reply["status"].as_u64().expect("a number")).expect("a status"),
            headers: reply["headers"].clone(),
            body: (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("the holder sends hex"))
                .collect(),
        }
    }

    /// The pid of a process inside, for tools that name a namespace by one.
    pub fn holder(&self) -> u32 {
        self.0.holder.id()
    }

    fn ask(&self, asked: &Value) -> Value {
        let mut wires = self.0.wires.lock().expect("nobody panics with the lock");
        let (stdin, stdout) = wires.as_mut().expect("they are there until the drop");
        writeln!(stdin, "{asked}").expect("the holder listens");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the holder answers");
        serde_json::from_str(&line).expect("the holder answers with JSON")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The holder ends when its stdin does.
        if let Ok(wires) = self.wires.get_mut() {
            drop(wires.take());
        }
        let _ = self.holder.wait();
    }
}

/// Debian keeps `ip` and the daemons out of a plain user's path.
fn path() -> String {
    let given = std::env::var("PATH").unwrap_or_default();
    format!("{given}:/usr/sbin:/sbin:/usr/bin:/bin")
}

#[test]
fn two_networks_have_the_same_port() {
    let nets = [Net::new(), Net::new()];
    let addr: SocketAddr = "10.77.0.9:7000".parse().expect("an address");
    let listen =
        "import socket, time; s = socket.create_server(('10.77.0.9', 7000)); time.sleep(60)";
    let _listeners = nets.each_ref().map(|net| {
        let folder = net.folder("listener");
        let mut command = net.command("python3");
        let mut listener = net.start("listener", &folder, command.args(["-c", listen]));
        listener.until("listens", std::time::Duration::from_secs(10), |_| {
            net.accepts(addr).then_some(())
        });
        listener
    });
    assert!(!nets[0].accepts("10.77.0.9:7001".parse().expect("an address")));
}

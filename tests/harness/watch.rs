//! [`Watch`]: what goes over a test's network that finds peers, through `watch.py`.

use super::net::Net;
use super::parts::script;
use super::process::Running;
use serde_json::Value;
use std::time::Duration;

/// For it to look.
const PATIENCE: Duration = Duration::from_secs(10);

/// A look at every packet.
pub struct Watch(Running);

impl Watch {
    /// Begins to look; nothing that happens after this is missed.
    pub fn start(net: &Net) -> Self {
        let folder = net.folder("watch");
        let mut command = net.command("python3");
        let mut running = net.start("watch", &folder, command.arg(script("watch.py")));
        running
            .until("looks", PATIENCE, |running| running.stdout().contains("ready").then_some(()));
        Self(running)
    }

    /// What was seen of the sender at `host`, each once, sorted: `dht`, `lsd`, `ut_pex`, ..
    pub fn saw(&self, host: &str) -> Vec<String> {
        let said = self.0.stdout();
        let seen = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut seen: Vec<String> = seen
            .filter(|sight| sight["from"] == host)
            .filter_map(|sight| Some(sight["saw"].as_str()?.to_owned()))
            .collect();
        seen.sort();
        seen
    }

    /// Whether the sender at `host` announced itself in the DHT.
    pub fn announced(&self, host: &str) -> bool {
        self.saw(host).iter().any(|saw| saw == "announce")
    }
}

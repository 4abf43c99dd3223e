//! rtor against other people's clients and trackers: what a user meets in a
//! real swarm, in a network of the test's own.
//!
//! Every test ends with the same check: what arrived is what was seeded, byte for byte.

mod creating;
mod discovery;
mod encryption;
mod hostile;
mod interfaces;
mod limits;
mod magnets;
mod pipeline;
mod port_map;
mod proxies;
mod resume;
mod seeders;
mod seeding;
mod shapes;
mod strategies;
mod survey;
mod trackers;
mod utp;
mod v2;

use crate::harness::torrents::Recipe;
use crate::harness::tree::same;
use crate::harness::{
    Client, Content, Job, Net, Opentracker, Peer, Ran, Rtor, Torrent, tracker, until,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the tracker is.
const TRACKER: &str = "10.77.0.2";
/// Where the first, second and third seeder are.
const SEEDERS: [&str; 3] = ["10.77.0.3", "10.77.0.4", "10.77.0.5"];

/// For a client to count what it sent.
const COUNT_PATIENCE: Duration = Duration::from_secs(10);

/// A torrent, a tracker, seeders that it knows, and a folder for rtor to run in.
struct Swarm {
    // First, so that they end before their network does.
    seeders: Vec<Box<dyn Peer>>,
    tracker: Opentracker,
    content: Content,
    /// With the tracker's HTTP URL.
    torrent: Torrent,
    run: PathBuf,
    net: Net,
}

impl Swarm {
    /// `clients` seed what `make` makes in a folder; the tracker knows them all.
    fn new(clients: &[Client], make: impl FnOnce(&Path) -> (Content, Recipe)) -> Self {
        let jobs: Vec<_> = clients.iter().map(|&client| (client, 0)).collect();
        Self::limited(&jobs, make)
    }

    /// The same, each seeder with its upload limit in bytes a second.
    fn limited(clients: &[(Client, u64)], make: impl FnOnce(&Path) -> (Content, Recipe)) -> Self {
        Self::shaped(clients, make, |job| job)
    }

    /// The same, and the job of each is `shape`d.
    fn shaped(
        clients: &[(Client, u64)],
        make: impl FnOnce(&Path) -> (Content, Recipe),
        shape: impl Fn(Job) -> Job,
    ) -> Self {
        let net = Net::new();
        let (content, recipe) = make(&net.folder("source"));
        let file = net.folder("torrents").join("http.torrent");
        let torrent = recipe.tracker(tracker::http(TRACKER)).make(&file);
        let tracker = Opentracker::start(&net, TRACKER, &[&torrent]);
        let seeders: Vec<_> = clients
            .iter()
            .zip(SEEDERS)
            .map(|(&(client, rate), host)| {
                client.start(&net, host, &shape(Job::seed(&torrent, &content).max_up(rate)))
            })
            .collect();
        tracker.knows(&torrent, seeders.len() as u64, 0);
        let run = net.folder("run");
        Self { seeders, tracker, content, torrent, run, net }
    }

    /// rtor in the folder and the network.
    fn rtor<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Rtor {
        Rtor::new(&self.run, args).within(&self.net)
    }

    /// `rtor get` into `out`, compared with the source.
    #[track_caller]
    fn gets(&self, args: &[&str]) -> Value {
        let ran = self.rtor(["get", self.torrent.arg(), "--output", "out"]).args(args).run();
        self.arrived(ran.exited(0))
    }

    /// `rtor fetch` into `pieces`, assembled into `out`, compared with the source.
    #[track_caller]
    fn fetches(&self, args: &[&str]) -> Value {
        let ran = self.rtor(["fetch", self.torrent.arg()]).args(args).run().exited(0);
        self.rtor(["assemble", "--output", "out"]).run().exited(0);
        self.arrived(ran)
    }

    /// Checks what is in `out` against the source, and that the result says so; gives `fetch`.
    #[track_caller]
    fn arrived(&self, ran: Ran) -> Value {
        same(&self.content.path(), &self.run.join("out").join(self.content.name()));
        let fetch = ran.json()["fetch"].clone();
        assert_eq!(fetch["complete"], true, "{fetch}");
        assert_eq!(fetch["have"], fetch["of"], "{fetch}");
        assert_eq!(fetch["of"], self.torrent.piece_count(), "{fetch}");
        fetch
    }

    /// Waits until the seeders say that they sent so many bytes: they count a little later.
    #[track_caller]
    fn sent(&self, bytes: u64) {
        until(&format!("the seeders say they sent {bytes} bytes"), COUNT_PATIENCE, || {
            (self.uploaded_bytes() >= bytes).then_some(())
        });
    }

    /// The sum of what the seeders say they sent.
    fn uploaded_bytes(&self) -> u64 {
        self.seeders.iter().map(|seeder| seeder.progress().uploaded_bytes).sum()
    }
}

/// One file of `length` bytes, and its torrent.
fn one_file(length: u64, piece_length: u64) -> impl FnOnce(&Path) -> (Content, Recipe) {
    move |folder| {
        let content = Content::file(folder, "one file.bin", length, 11);
        let recipe = Torrent::of(&content).piece_length(piece_length);
        (content, recipe)
    }
}

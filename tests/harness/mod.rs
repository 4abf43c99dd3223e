//! The harness: other people's clients and trackers, each test's own network, torrents made on
//! the spot, and rtor's binary, for tests that are worlds in a literal plus one check.
//!
//! Nothing is mocked and nothing is shared: a test has its own network namespace, so that equal
//! addresses and ports never meet, and whatever it starts ends with it, on a panic too. Nothing
//! waits by sleeping for a time that seems enough; [`until`] looks at a condition, with a deadline.
//!
//! ```ignore
//! let net = Net::new();
//! let content = Content::file(&net.folder("source"), "one.bin", 3 * MIB, 7);
//! let file = net.folder("torrents").join("one.torrent");
//! let torrent = Torrent::of(&content).tracker(tracker::http("10.77.0.2")).make(&file);
//! let tracker = Opentracker::start(&net, "10.77.0.2", &[&torrent]);
//! let seeder = Client::Aria2.start(&net, "10.77.0.3", &Job::seed(&torrent, &content));
//! tracker.knows(&torrent, 1, 0);
//! let run = net.folder("run");
//! Rtor::new(&run, ["get", torrent.arg(), "--output", "out"]).within(&net).run().exited(0);
//! tree::same(&content.path(), &run.join("out/one.bin"));
//! ```

pub mod aria2;
pub mod chance;
pub mod dht;
pub mod evil;
pub mod libtorrent;
pub mod mse;
pub mod net;
pub mod odd_tracker;
pub mod parts;
pub mod peer;
pub mod process;
pub mod proxy;
pub mod router;
pub mod run;
pub mod torrents;
pub mod tracker;
pub mod transmission;
pub mod tree;
pub mod watch;

pub use chance::Chance;
pub use dht::Dht;
pub use evil::{EvilPeer, Trick};
pub use mse::{MseTrick, MseTrickster};
pub use net::Net;
pub use odd_tracker::{LossyRelay, OddTracker, Oddity};
pub use peer::{Client, Crypto, Job, Peer, Progress};
pub use process::{Running, until};
pub use run::{Ran, Rtor, Started, pipeline};
pub use torrents::{Content, Torrent, Version};
pub use tracker::{Opentracker, Scrape};
pub use tree::Tree;

/// 1024 bytes.
pub const KIB: u64 = 1024;
/// 1024 KiB.
pub const MIB: u64 = 1024 * KIB;
/// 1024 MiB.
pub const GIB: u64 = 1024 * MIB;

//! The DHT guest: finds peers through the nodes of the mainline DHT, and is one of them.
//!
//! [`Node`] is the whole of it: a node without a clock or a socket (BEP 5, 32, 42, 43). The guest
//! around it turns facts into calls and what follows into wishes, and looks its torrent up. Reading
//! order: `krpc` is what is said, `id` and `table` who is known, `lookup` the way to a torrent,
//! `server` what others get, `side` one address family, `node` all of them together, `upkeep` what
//! it does unasked; `run` is the guest.
//!
//! Not here: mutable and immutable items (BEP 44), scrape (BEP 33), sampling (BEP 51).

mod address;
mod asked;
mod bencode;
mod given;
mod id;
mod krpc;
mod lookup;
mod node;
mod round_trip;
mod run;
#[cfg(test)]
mod scripted;
mod server;
mod side;
#[cfg(test)]
mod simulated;
mod snapshot;
mod store;
mod table;
mod throttle;
mod tokens;
mod upkeep;
mod votes;

pub use id::NodeId;
pub use krpc::Port;
pub use node::{Node, Out};

use given::Given;
use rtor_plugin::discovery::{Answer, Discovery, Fact, Wish, Wishes};
use rtor_plugin::{HostHandle, Options, export_plugin};
use run::Run;

/// The discovery guest `dht`.
pub struct Dht {
    given: Given,
    /// The node of an earlier run.
    snapshot: Vec<u8>,
    run: Option<Run>,
    /// The newest time that was told.
    now_us: u64,
}

impl Discovery for Dht {
    const ID: &'static str = "dht";
    const ABOUT: &'static str = "finds peers through the distributed hash table";
    const ON_PRIVATE: bool = false;

    fn create(_host: HostHandle, options: Options<'_>) -> Result<Self, String> {
        let given = Given::read(options)?;
        Ok(Self { given, snapshot: Vec::new(), run: None, now_us: 0 })
    }

    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer {
        self.now_us = now_us;
        match fact {
            Fact::State { bytes } => {
                self.snapshot = bytes.to_vec();
                return Answer::Mine;
            }
            Fact::Started { .. } => {
                let snapshot = std::mem::take(&mut self.snapshot);
                self.run = Run::started(&self.given, &snapshot, now_us, fact, wishes);
            }
            // Others forget us by themselves: there is no good-bye in the DHT.
            Fact::Stopped(_) => {
                if let Some(run) = self.run.take() {
                    run.keep(now_us, wishes);
                }
                wishes.push(Wish::Finished);
                return Answer::Mine;
            }
            _ => {}
        }
        self.run.as_mut().map_or(Answer::Declined, |run| run.handle(now_us, fact, wishes))
    }

    fn deadline(&self) -> Option<u64> {
        self.run.as_ref()?.deadline(self.now_us)
    }
}

export_plugin!(Discovery: Dht);

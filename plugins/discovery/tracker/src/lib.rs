//! The tracker guest: announces to UDP (BEP 15) and HTTP (BEP 3, 23) trackers.

use rtor_plugin::discovery::{Answer, Discovery, Fact, Wishes};
use rtor_plugin::{HostHandle, Options, export_plugin};

/// The discovery guest `tracker`.
pub struct Tracker;

impl Discovery for Tracker {
    const ID: &'static str = "tracker";
    const ABOUT: &'static str = "asks the torrent's UDP and HTTP trackers";
    const ON_PRIVATE: bool = true;

    fn create(_host: HostHandle, options: Options<'_>) -> Result<Self, String> {
        options.only(&[]).map(|()| Self)
    }

    fn handle(&mut self, _now_us: u64, _fact: &Fact<'_>, _wishes: &mut dyn Wishes) -> Answer {
        Answer::Declined
    }

    fn deadline(&self) -> Option<u64> {
        None
    }
}

export_plugin!(Discovery: Tracker);

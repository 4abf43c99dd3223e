//! `--interface`: nothing leaves from, or is listened to at, any other address.

use super::{SEEDERS, Swarm, TRACKER, one_file, trackers::with_trackers};
use crate::harness::proxy::Sniffer;
use crate::harness::{Client, KIB, MIB, Rtor, tracker, until};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Who spoke to the tracker, the seeder, and a peer of IPv6 that is not there, while rtor got a
/// torrent with `args`.
fn seen(args: &[&str]) -> BTreeSet<String> {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    swarm.torrent = with_trackers(&swarm, &[tracker::udp(TRACKER), tracker::http(TRACKER)]);
    swarm.net.link();
    let sniffer = Sniffer::start(&swarm.net);
    let get = ["get", swarm.torrent.arg(), "--output", "out", "--peer", "[fd77::9]:1"];
    let ran = swarm.rtor(get).args(args).run().exited(0);
    swarm.arrived(ran);
    let to = [TRACKER, SEEDERS[0], "fd77::9"];
    let flows = sniffer.flows().into_iter();
    let flows = flows.filter(|(_, from, at, _)| to.contains(&&**at) && !to.contains(&&**from));
    flows.map(|(_, from, ..)| from).collect()
}

#[test]
fn all_leaves_from_the_addresses_of_the_interface() {
    assert_eq!(seen(&["--interface", "link0"]), ["10.78.0.1", "fd78::1"].map(String::from).into());
}

#[test]
fn all_leaves_from_the_address_and_nothing_of_another_family() {
    assert_eq!(seen(&["--interface", "10.77.0.9"]), ["10.77.0.9".to_owned()].into());
}

#[test]
fn only_the_interface_is_listened_at() {
    let swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    swarm.net.link();
    let folder = swarm.net.folder("source");
    for (args, port) in [(&[][..], 6881), (&["--listen", "0.0.0.0:7001"], 7001)] {
        let seed = ["get", swarm.torrent.arg(), "--output", ".", "--seed", "--interface", "link0"];
        let seeding = Rtor::new(&folder, seed).args(args).within(&swarm.net).start();
        let accepts =
            |host: &str| swarm.net.accepts(format!("{host}:{port}").parse().expect("an address"));
        until("it listens", PATIENCE, || accepts("10.78.0.1").then_some(()));
        assert!(!accepts("10.78.0.2") && !accepts("127.0.0.1") && !accepts("[fd78::2]"));
        assert_eq!(accepts("[fd78::1]"), args.is_empty(), "of IPv6 nothing was said: {args:?}");
        drop(seeding);
    }
}

#[test]
fn an_interface_that_is_not_there_is_refused_in_a_sentence() {
    let swarm = Swarm::new(&[], one_file(KIB, 16 * KIB));
    let get = |args: &[&str]| swarm.rtor(["get", swarm.torrent.arg()]).args(args).run().refused();
    for name in ["nothing0", "10.99.0.1"] {
        let why = format!("`{name}` is neither an interface nor an address of this machine");
        let said = get(&["--interface", name]);
        assert!(said.contains(&why), "{said}");
    }
    let said = get(&["--interface", "10.77.0.9", "--listen", "10.77.0.8:6881"]);
    assert!(said.contains("`--listen 10.77.0.8:6881` is not at `--interface 10.77.0.9`"), "{said}");
}

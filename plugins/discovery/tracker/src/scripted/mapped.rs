//! A router passes a port on to us: trackers are told of that port, and soon.

use super::world::{World, addr};
use super::{GOOD, HTTP, TOTALS};
use rtor_plugin::discovery::Fact;

fn mapped(at: &str) -> Fact<'static> {
    Fact::Mapped { addr: addr(at), udp_port: 0 }
}

/// The port in each URL that was asked for.
fn ports(world: &World) -> Vec<&str> {
    let port = |url: &str| url.find("&port=").map(|at| at + "&port=".len());
    let ports = world.urls.iter().filter_map(|url| url[port(url)?..].split('&').next());
    ports.collect()
}

#[test]
fn a_port_that_is_another_is_told_before_the_min_interval() {
    let mut world = World::new(&[&[HTTP]]);
    world.get_answered(HTTP, 200, GOOD);
    world.pass(2);
    world.fact(&mapped("11.0.0.1:6881"));
    assert_eq!(ports(&world), ["6881"], "it is the one that was announced");
    world.fact(&mapped("11.0.0.1:7000"));
    assert_eq!(ports(&world), ["6881", "7000"]);
    world.get_answered(HTTP, 200, GOOD);
    world.pass(60);
    assert_eq!(ports(&world), ["6881", "7000"]);
    world.fact(&Fact::Stopped(TOTALS));
    assert_eq!(ports(&world), ["6881", "7000", "7000"]);
}

#[test]
fn a_port_that_is_known_while_the_first_announce_is_under_way_follows_it() {
    let mut world = World::new(&[&[HTTP]]);
    world.fact(&mapped("11.0.0.1:7000"));
    assert_eq!(ports(&world), ["6881"]);
    world.get_answered(HTTP, 200, GOOD);
    assert_eq!(ports(&world), ["6881", "7000"]);
}

#[test]
fn a_port_of_the_router_is_told_over_the_router_s_family_alone() {
    let (four, six) = ("http://t.example/a over 4", "http://t.example/a over 6");
    let mut world = World::new(&[&["http://t.example/a"]]);
    world.get_answered(four, 200, GOOD);
    world.get_answered(six, 200, GOOD);
    let mut world = world.quiet();
    world.fact(&mapped("11.0.0.1:7000"));
    world.expect(&["0 get http://t.example/a over 4 -"]);
    assert_eq!(ports(&world), ["6881", "6881", "7000"]);
    world.get_answered(four, 200, GOOD);
    world.fact(&Fact::Stopped(TOTALS));
    assert_eq!(ports(&world)[3..], ["7000", "6881"]);
}

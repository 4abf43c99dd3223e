//! The boundary's layout, three times: as Rust has it, as a C compiler reads `rtor.h`, and as
//! numbers in `fixtures/abi.txt`, which plugins were built against and which may only grow.
//!
//! The header is written by hand and not generated: it is the document that an author of a
//! plugin in C reads, so its words, order and names are chosen, and no generator has to be
//! installed. What a generator would give, that the two sides cannot drift apart, is what this
//! test gives; it also catches a change on both sides at once, which breaks old plugins and
//! which no generator notices.

use rtor_plugin::discovery::Table as DiscoveryTable;
use rtor_plugin::discovery::{
    RawDatagram, RawDht, RawExtension, RawFact, RawFactBody, RawFound, RawHeard, RawHttpGet,
    RawHttpGetOver, RawHttpReply, RawMapped, RawMulticast, RawNode, RawPeer, RawReport, RawResolve,
    RawResolved, RawSink, RawStarted, RawState, RawTracker, RawWish, RawWishBody, Totals,
    fact_kind, wish_kind,
};
use rtor_plugin::strategy::Table as StrategyTable;
use rtor_plugin::strategy::{RawSwarm, RawUrgent};
use rtor_plugin::{ABI, Addr, Entry, Host, Lent, Level, Status, Version};
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// A number of the boundary: what C calls it, and what it is in Rust.
struct Number {
    /// An expression of C.
    c: String,
    rust: usize,
}

/// Adds the size of a type and the offset of each of its fields. All fields of a struct must be
/// named, or the pattern does not compile.
macro_rules! layout {
    ($out:ident, $c:literal, struct $rust:ident { $($field:ident),+ $(,)? }) => {
        let _ = |all: $rust| { let $rust { $($field: _),+ } = all; };
        layout!($out, $c, union $rust { $($field),+ });
    };
    ($out:ident, $c:literal, union $rust:ident { $($field:ident),+ $(,)? }) => {
        $out.push(Number { c: format!("sizeof({})", $c), rust: size_of::<$rust>() });
        $($out.push(Number {
            c: format!("offsetof({}, {})", $c, stringify!($field)),
            rust: offset_of!($rust, $field),
        });)+
    };
}

/// The types that [`numbers`] lists, and `Lent`, whose fields are private.
fn types() -> Vec<Number> {
    let mut out = Vec::new();
    let word = size_of::<usize>();
    for (c, rust) in [
        ("sizeof(rtor_lent)", size_of::<Lent<'_>>()),
        ("offsetof(rtor_lent, data)", 0),
        ("offsetof(rtor_lent, size)", word),
    ] {
        out.push(Number { c: c.to_owned(), rust });
    }
    layout!(out, "rtor_version", struct Version { major, minor });
    layout!(out, "rtor_addr", struct Addr { ip, port, family, reserved });
    layout!(out, "rtor_host", struct Host { size, reserved, context, log, wake });
    layout!(out, "rtor_entry", struct Entry { abi, size, id, version, about, interface });
    layout!(out, "rtor_swarm", struct RawSwarm {
        size, piece_count, availability, priority, have, seed, have_count, playhead,
        piece_length, read_end,
    });
    layout!(out, "rtor_urgent", struct RawUrgent { piece, reserved, within_us });
    layout!(out, "rtor_strategy_table", struct StrategyTable {
        size, reserved, create, destroy, epoch, rank, urgent,
    });
    layout!(out, "rtor_totals", struct Totals { uploaded, downloaded, left, peers, peers_wanted });
    layout!(out, "rtor_tracker", struct RawTracker { url, tier, reserved });
    layout!(out, "rtor_started", struct RawStarted {
        info_hash, peer_id, trackers, tracker_count, seed, totals, port, is_private, reserved,
        udp_port, reserved_too,
    });
    layout!(out, "rtor_peer", struct RawPeer { addr, peer, flags });
    layout!(out, "rtor_extension", struct RawExtension { name, payload, peer, reserved });
    layout!(out, "rtor_datagram", struct RawDatagram { addr, bytes });
    layout!(out, "rtor_http_get", struct RawHttpGet { ticket, url });
    layout!(out, "rtor_http_get_over", struct RawHttpGetOver { ticket, url, family, reserved });
    layout!(out, "rtor_http_reply", struct RawHttpReply {
        ticket, body, problem, status, reserved,
    });
    layout!(out, "rtor_resolve", struct RawResolve { ticket, host, port, reserved });
    layout!(out, "rtor_resolved", struct RawResolved { ticket, addrs, addr_count, problem });
    layout!(out, "rtor_found", struct RawFound { source, addrs, addr_count });
    layout!(out, "rtor_multicast", struct RawMulticast { group });
    layout!(out, "rtor_report", struct RawReport { subject, text, level, reserved });
    layout!(out, "rtor_heard", struct RawHeard {
        source, seeds, leeches, downloads, interval_s, reserved,
    });
    layout!(out, "rtor_node", struct RawNode { addr });
    layout!(out, "rtor_state", struct RawState { bytes });
    layout!(out, "rtor_dht", struct RawDht { answers, reserved });
    layout!(out, "rtor_mapped", struct RawMapped { addr, udp_port, reserved });
    layout!(out, "rtor_fact", struct RawFact { size, kind, body });
    layout!(out, "rtor_fact_body", union RawFactBody {
        started, totals, peer, extension, datagram, http_reply, resolved, nothing, node, state,
        mapped,
    });
    layout!(out, "rtor_wish", struct RawWish { size, kind, body });
    layout!(out, "rtor_wish_body", union RawWishBody {
        found, extension, datagram, http_get, resolve, multicast, report, heard, http_get_over, nothing, state, dht,
    });
    layout!(out, "rtor_sink", struct RawSink { size, reserved, context, push });
    layout!(out, "rtor_discovery_table", struct DiscoveryTable {
        size, on_private, extensions, extension_count, create, destroy, handle, deadline,
    });
    out
}

/// The numbers that have names.
fn constants() -> Vec<Number> {
    let constants = [
        ("ABI_MAJOR", u32::from(ABI.major)),
        ("ABI_MINOR", u32::from(ABI.minor)),
        ("OK", Status::OK.0),
        ("DECLINED", Status::DECLINED.0),
        ("FAILED", Status::FAILED.0),
        ("POISONED", Status::POISONED.0),
        ("LEVEL_DEBUG", Level::Debug.raw()),
        ("LEVEL_INFO", Level::Info.raw()),
        ("LEVEL_WARNING", Level::Warning.raw()),
        ("LEVEL_ERROR", Level::Error.raw()),
        ("FACT_STARTED", fact_kind::STARTED),
        ("FACT_PROGRESS", fact_kind::PROGRESS),
        ("FACT_COMPLETED", fact_kind::COMPLETED),
        ("FACT_STOPPED", fact_kind::STOPPED),
        ("FACT_PEER_JOINED", fact_kind::PEER_JOINED),
        ("FACT_PEER_LEFT", fact_kind::PEER_LEFT),
        ("FACT_EXTENSION", fact_kind::EXTENSION),
        ("FACT_DATAGRAM", fact_kind::DATAGRAM),
        ("FACT_HTTP_REPLY", fact_kind::HTTP_REPLY),
        ("FACT_RESOLVED", fact_kind::RESOLVED),
        ("FACT_DEADLINE", fact_kind::DEADLINE),
        ("FACT_WOKEN", fact_kind::WOKEN),
        ("FACT_NODE", fact_kind::NODE),
        ("FACT_STATE", fact_kind::STATE),
        ("FACT_SCRAPE", fact_kind::SCRAPE),
        ("FACT_MAPPED", fact_kind::MAPPED),
        ("WISH_FOUND", wish_kind::FOUND),
        ("WISH_SEND_EXTENSION", wish_kind::SEND_EXTENSION),
        ("WISH_SEND_DATAGRAM", wish_kind::SEND_DATAGRAM),
        ("WISH_HTTP_GET", wish_kind::HTTP_GET),
        ("WISH_RESOLVE", wish_kind::RESOLVE),
        ("WISH_JOIN_MULTICAST", wish_kind::JOIN_MULTICAST),
        ("WISH_REPORT", wish_kind::REPORT),
        ("WISH_HEARD", wish_kind::HEARD),
        ("WISH_FINISHED", wish_kind::FINISHED),
        ("WISH_KEEP", wish_kind::KEEP),
        ("WISH_JOIN_DHT", wish_kind::JOIN_DHT),
        ("WISH_HTTP_GET_OVER", wish_kind::HTTP_GET_OVER),
    ];
    constants
        .iter()
        .map(|&(name, rust)| Number { c: format!("RTOR_{name}"), rust: rust as usize })
        .collect()
}

fn rust() -> String {
    let numbers = types().into_iter().chain(constants());
    numbers.map(|Number { c, rust }| format!("{c} {rust}\n")).collect()
}

/// What a program in C that includes `rtor.h` says of the same expressions.
fn c() -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, program) = (folder.path().join("abi.c"), folder.path().join("abi"));
    let lines: String = types()
        .iter()
        .chain(&constants())
        .map(|Number { c, .. }| {
            format!("    printf(\"%s %lu\\n\", \"{c}\", (unsigned long){c});\n")
        })
        .collect();
    let text = format!(
        "#include <stdio.h>\n#include \"rtor.h\"\nint main(void) {{\n{lines}    return 0;\n}}\n"
    );
    std::fs::write(&source, text).expect("the source can be written");
    cc(&source, &program, &[]);
    let output = Command::new(&program).output().expect("the program runs");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Compiles C as strictly as can be.
pub(crate) fn cc(source: &Path, output: &Path, more: &[&str]) {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/api/include");
    let done = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include)
        .args(more)
        .arg("-o")
        .args([output, source])
        .output()
        .expect("there is a C compiler");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn c_and_rust_and_the_recorded_numbers_agree() {
    let (rust, c, recorded) = (rust(), c(), include_str!("fixtures/abi.txt"));
    for ((rust, c), recorded) in rust.lines().zip(c.lines()).zip(recorded.lines()) {
        assert_eq!([rust, c], [recorded; 2], "[Rust, rtor.h] against tests/fixtures/abi.txt");
    }
    assert_eq!([rust.len(), c.len()], [recorded.len(); 2], "nothing is missing at the end");
}

#[test]
fn no_type_of_the_boundary_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/api/src");
    let mut declared = 0;
    for file in [
        "abi.rs",
        "addr.rs",
        "discovery/fact.rs",
        "discovery/raw.rs",
        "host.rs",
        "strategy/mod.rs",
        "strategy/swarm.rs",
        "strategy/urgency.rs",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).expect("a source of ours");
        declared += text.lines().filter(|line| *line == "#[repr(C)]").count();
    }
    let listed = types().iter().filter(|number| number.c.starts_with("sizeof")).count();
    assert_eq!(listed, declared);
}

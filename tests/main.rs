//! The integration tests: one binary, a module a feature.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an I/O room: tests start programs, make files and watch the clock"
)]
#![allow(unreachable_pub, reason = "the harness's public items are for the modules beside it")]

#[allow(dead_code, unused_imports, reason = "what a feature's tests need is there before they are")]
mod harness;

mod abi;
mod analyze;
mod analyze_data;
mod analyze_several;
mod assemble;
mod bad_input;
mod bench;
mod by_hand;
mod clients;
mod create;
mod decode;
mod demo;
mod engine;
mod interop;
mod manifest;
mod picker;
mod plugin_docs;
mod plugins;
mod scoreboard;
mod sim;
mod tidy;
mod urgency;
mod verify;

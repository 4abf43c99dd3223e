//! A TCP relay that stands for a line between a client and a seeder: delay, rate, stalls.
//!
//!     rtor-relay --link listen=10.77.1.1:7000,to=10.77.2.1:7000,rate=62500000,delay_ms=100
//!
//! For `scripts/bench`: a kernel without netem can't delay or stall. One process carries any number
//! of links. It prints `ready` when all of them listen, ends when its stdin does, and then says in
//! one line of JSON what each has carried. What a link does is in [`link`], its arithmetic in
//! [`mod@line`].
//!
//! What it is not: it ends one TCP connection and begins another, so there is no slow start and no
//! loss over the delay. It is a line whose TCP windows are always wide enough.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program of the bench, beside the house: sockets and a clock are what it is for"
)]

mod line;
mod link;

use clap::Parser;
use link::{Link, Settings};
use std::io::{self, Read};
use std::process::ExitCode;
use std::rc::Rc;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_blocking, spawn_local};

/// A TCP relay that stands for a line: delay, rate, stalls.
#[derive(Debug, Parser)]
struct Args {
    /// listen=ADDR:PORT,to=ADDR:PORT and what of rate=BYTES (a second, seeder to client),
    /// delay_ms=N (one way), stall_after=BYTES, drop_after=BYTES (seeder to client, in all)
    #[arg(long = "link", value_name = "KEY=VALUE,..", required = true)]
    links: Vec<Settings>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("no event loop: {why}")),
    };
    match runtime.block_on(LocalSet::new().run_until(run(args.links))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("relay: {why}");
    ExitCode::from(3)
}

async fn run(links: Vec<Settings>) -> Result<(), String> {
    let mut open = Vec::new();
    for settings in links {
        let link = Rc::new(Link::listen(settings)?);
        spawn_local(Rc::clone(&link).serve());
        open.push(link);
    }
    println!("ready");
    let wait = || io::stdin().read_to_end(&mut Vec::new());
    spawn_blocking(wait)
        .await
        .map_err(|why| format!("can't wait: {why}"))?
        .map_err(|why| format!("can't read stdin: {why}"))?;
    let said: Vec<String> = open.iter().map(|link| link.json()).collect();
    println!("[{}]", said.join(","));
    Ok(())
}

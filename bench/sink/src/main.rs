//! Leeches that ask one seeder for blocks as fast as it gives them, and drop what comes.
//!
//! ```text
//! rtor-sink --to 10.77.20.1:7000 --from 10.77.40.1,10.77.40.2 --info-hash HEX \
//!     --length 1073741824 --piece-length 1048576 --takes 1073741824
//! ```
//!
//! For `scripts/bench`: what loads a seeder under measurement must cost little, and be the same for
//! every seeder. One thread carries any number of leeches, each from an address of its own. When all
//! are connected and have heard that the seeder has everything it prints `ready`; at a line of its
//! stdin they become interested; when all together have taken what they are to take it prints `done`;
//! and when its stdin ends it says in one line of JSON what happened, and goes.
//!
//! What it is not: a client. It stores nothing, serves nobody, and of BitTorrent it speaks BEP 3 and
//! the handshake of BEP 10, in which its name and its limits stand.
#![expect(
    clippy::disallowed_types,
    reason = "a program of the bench, beside the house: sockets and files are what it is for"
)]

mod content;
mod frames;
mod leech;
mod wants;

use clap::Parser;
use content::Content;
use leech::{Crowd, Leech};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

/// Leeches that ask one seeder for blocks and drop them.
#[derive(Debug, Parser)]
struct Args {
    /// The seeder
    #[arg(long, value_name = "ADDR:PORT")]
    to: SocketAddr,
    /// The leeches: an address each
    #[arg(long, value_name = "ADDR,..", value_delimiter = ',', required = true)]
    from: Vec<IpAddr>,
    /// The torrent, in 40 digits
    #[arg(long, value_name = "HEX", value_parser = info_hash)]
    info_hash: [u8; 20],
    /// Bytes of the content
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    length: u64,
    /// Bytes of a piece
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    piece_length: u32,
    /// Bytes of blocks that all together take
    #[arg(long, value_name = "BYTES")]
    takes: u64,
    /// Requests that a leech has under way; fewer, if the seeder says that it queues fewer
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    requests: u32,
    /// The content, a file: one block of 64 is compared with it
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
}

fn info_hash(text: &str) -> Result<[u8; 20], String> {
    let none = || format!("`{text}` is no info hash");
    let mut found = [0; 20];
    if text.len() != 40 || !text.is_ascii() {
        return Err(none());
    }
    for (at, byte) in found.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| none())?;
    }
    Ok(found)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("no event loop: {why}")),
    };
    match runtime.block_on(LocalSet::new().run_until(run(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("sink: {why}");
    ExitCode::from(3)
}

async fn run(args: Args) -> Result<(), String> {
    let content = Content::open(args.content.as_deref(), args.length, args.piece_length)
        .map_err(|why| format!("can't read the content: {why}"))?;
    let crowd = Rc::new(Crowd::new(args.from.len(), args.takes, content));
    for (nth, from) in args.from.into_iter().enumerate() {
        let leech = Leech {
            nth: nth as u64,
            from,
            to: args.to,
            info_hash: args.info_hash,
            requests_max: args.requests as usize,
        };
        spawn_local(leech.attend(Rc::clone(&crowd)));
    }
    let stdin = pipe().map_err(|why| format!("can't read stdin: {why}"))?;
    let mut lines = BufReader::new(stdin).lines();
    let is_ready = tokio::select! {
        () = crowd.all_ready() => true,
        // Told to end before: whoever waits hears why.
        _ = lines.next_line() => false,
    };
    if is_ready {
        println!("ready");
    }
    if !is_ready || !matches!(lines.next_line().await, Ok(Some(_))) {
        println!("{}", crowd.json(0.0));
        return Ok(());
    }
    let began = Instant::now();
    crowd.go();
    let mut took_s = None;
    loop {
        tokio::select! {
            () = crowd.all_taken(), if took_s.is_none() => {
                took_s = Some(began.elapsed().as_secs_f64());
                println!("done");
            }
            _ = lines.next_line() => break,
        }
    }
    println!("{}", crowd.json(took_s.unwrap_or_default()));
    Ok(())
}

/// Stdin, which is a pipe here, without a thread that waits for it.
fn pipe() -> std::io::Result<impl AsyncRead> {
    tokio::net::unix::pipe::Receiver::from_file(std::fs::File::open("/dev/stdin")?)
}

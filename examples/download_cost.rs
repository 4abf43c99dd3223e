//! Measures a download: what `rtor get` costs when the seeder is no limit.
//!
//! `cargo build --release && cargo run --release --example download_cost [-- SHAPE ...]`, a shape
//! being `PIECE_KIB:MIB:FILES[:PEERS]`. Prints CPU seconds and wall seconds per GiB and the peak
//! of resident memory. `RTOR` names another binary, `RTOR_ARGS` more arguments for it: with
//! `--encryption require` the seeder speaks RC4.
//!
//! Every piece of its torrents has the same random bytes, so that the seeder answers from the
//! cache of its core and takes little from the one that is measured.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement: it has a clock, sockets, threads and a child"
)]

use bytes::BytesMut;
use rtor::wire::mse::{CHANCE_BYTES, Ciphers, Preference, Responder, Step};
use sha1::Digest as _;
use std::io::{IoSlice, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// What is measured if nothing is named: usual pieces, small ones, large ones, many files, many
/// peers.
const SHAPES: [&str; 5] =
    ["1024:1024:1", "64:1024:1", "16384:1024:1", "256:256:4000", "1024:1024:1:20"];
/// Requests that the seeder says it queues.
const REQQ: u32 = 2000;
/// Slices in one vectored write.
const SLICES_MAX: usize = 1024;
/// Slices that are encrypted for one write: eight blocks.
const SLICES_ENCRYPTED: usize = 16;

fn main() {
    let mut shapes: Vec<String> = std::env::args().skip(1).collect();
    if shapes.is_empty() {
        shapes = SHAPES.map(str::to_owned).to_vec();
    }
    println!("piece KiB : MiB : files : peers   CPU s/GiB (user + system)   wall s/GiB   RSS MiB");
    shapes.iter().for_each(|shape| measure(shape));
}

fn measure(shape: &str) {
    let mut numbers = shape.split(':').map(|number| number.parse::<u64>().expect("a number"));
    let mut next = |otherwise| numbers.next().unwrap_or(otherwise);
    let (piece_kib, mib, files, peers) = (next(1024), next(1024), next(1), next(1));
    let folder = tempfile::tempdir().expect("a folder");
    touch_pages(folder.path(), mib);
    let content = Arc::new(Content::new(piece_kib << 10, mib << 20, files));
    let torrent = folder.path().join("x.torrent");
    std::fs::write(&torrent, &content.torrent).expect("written");
    let mut command = Command::new("/usr/bin/time");
    let rtor = std::env::var_os("RTOR").map_or_else(beside, PathBuf::from);
    command.args(["-f", "%U %S %e %M"]).arg(rtor).args(["get", "--quiet", "--no-trackers"]);
    command.args(std::env::var("RTOR_ARGS").unwrap_or_default().split_whitespace());
    for _ in 0..peers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        command.arg("--peer").arg(listener.local_addr().expect("an address").to_string());
        let content = Arc::clone(&content);
        std::thread::spawn(move || content.serve(&listener));
    }
    let output = command
        .args(["--listen", "127.0.0.1:0", "-o"])
        .arg(folder.path().join("out"))
        .arg(&torrent)
        .output()
        .expect("`time` and `rtor` run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let figures: Vec<f64> = said
        .lines()
        .last()
        .expect("what `time` says")
        .split(' ')
        .map(|figure| figure.parse().expect("a number"))
        .collect();
    let gib = mib as f64 / 1024.0;
    let [user, system, wall] = [0, 1, 2].map(|i| figures[i] / gib);
    let (cpu, rss) = (user + system, figures[3] / 1024.0);
    println!("{shape:25} {cpu:8.2}   ({user:.2} + {system:.2})       {wall:12.2} {rss:12.1}");
}

/// The binary that was built with this example.
fn beside() -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    here.ancestors().nth(2).expect("a target folder").join("rtor")
}

/// Lets the system find memory for the page cache before the clock runs, not while it does.
fn touch_pages(folder: &Path, mib: u64) {
    let path = folder.join("pages");
    let mut file = std::fs::File::create(&path).expect("a file");
    let chunk = vec![1; 1 << 20];
    (0..mib).for_each(|_| file.write_all(&chunk).expect("room"));
    std::fs::remove_file(path).expect("removed");
}

/// A torrent all of whose pieces are alike, but for the last, which may be shorter.
struct Content {
    torrent: Vec<u8>,
    info_hash: [u8; 20],
    piece: Vec<u8>,
    pieces: usize,
}

impl Content {
    fn new(piece_length: u64, length: u64, files: u64) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let piece: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(piece_length as usize)
        .collect();
        let pieces = length.div_ceil(piece_length) as usize;
        let last = (length - (pieces as u64 - 1) * piece_length) as usize;
        let mut hashes = <[u8; 20]>::from(sha1::Sha1::digest(&piece)).repeat(pieces - 1);
        hashes.extend(<[u8; 20]>::from(sha1::Sha1::digest(&piece[..last])));
        let mut info = match files {
            1 => format!("d6:lengthi{length}e"),
            _ => {
                let each = |n: u64| {
                    let bytes = length * (n + 1) / files - length * n / files;
                    let name = format!("{n:06}");
                    format!("d6:lengthi{bytes}e4:pathl6:{name}ee")
                };
                format!("d5:filesl{}e", (0..files).map(each).collect::<String>())
            }
        }
        .into_bytes();
        let head = format!("4:name1:x12:piece lengthi{piece_length}e6:pieces{}:", hashes.len());
        info.extend(head.bytes().chain(hashes).chain(*b"e"));
        let info_hash = sha1::Sha1::digest(&info).into();
        let torrent = [b"d4:info", &info[..], b"e"].concat();
        Self { torrent, info_hash, piece, pieces }
    }

    /// Seeds to one peer.
    fn serve(&self, listener: &TcpListener) {
        let (mut stream, _) = listener.accept().expect("a peer");
        stream.set_nodelay(true).expect("a socket");
        let mut buffer = vec![0; 1 << 16];
        stream.read_exact(&mut buffer[..68]).expect("a handshake");
        let mut stream = match buffer.starts_with(b"\x13BitTorrent protocol") {
            true => Line { stream, ciphers: None, scratch: Vec::new() },
            false => Line::encrypted(stream, &buffer[..68], &self.info_hash),
        };
        let mut greeting = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0".to_vec();
        greeting.extend(self.info_hash.iter().chain(b"-XX0000-aaaaaaaaaaaa"));
        let extensions = format!("d1:mde4:reqqi{REQQ}ee");
        greeting.extend((extensions.len() as u32 + 2).to_be_bytes());
        greeting.extend([20, 0].iter().chain(extensions.as_bytes()));
        let mut bits = vec![0xff_u8; self.pieces.div_ceil(8)];
        let spare = bits.len() * 8 - self.pieces;
        *bits.last_mut().expect("a piece") <<= spare;
        greeting.extend((bits.len() as u32 + 1).to_be_bytes());
        greeting.extend([5].iter().chain(&bits));
        greeting.extend([0, 0, 0, 1, 1]);
        stream.write_all(&greeting).expect("a peer that reads");
        // The peer is done when it closes.
        let _ = self.answer(&mut stream, &mut buffer);
    }

    fn answer(&self, stream: &mut Line, buffer: &mut [u8]) -> std::io::Result<()> {
        let (mut filled, mut heads) = (0, Vec::new());
        loop {
            let count = stream.read(&mut buffer[filled..])?;
            if count == 0 {
                return Ok(());
            }
            filled += count;
            let mut at = 0;
            heads.clear();
            while let Some(prefix) = buffer[at..filled].first_chunk::<4>() {
                let size = 4 + u32::from_be_bytes(*prefix) as usize;
                let Some(frame) = buffer[at..filled].get(4..size) else { break };
                if let [6, spec @ ..] = frame {
                    let mut head = [0; 13];
                    let length = u32::from_be_bytes(*spec.last_chunk().expect("a length"));
                    head[..4].copy_from_slice(&(9 + length).to_be_bytes());
                    head[4] = 7;
                    head[5..].copy_from_slice(&spec[..8]);
                    heads.push((head, length as usize));
                }
                at += size;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
            let mut slices = Vec::new();
            for (head, length) in &heads {
                let offset = u32::from_be_bytes(*head.last_chunk().expect("an offset")) as usize;
                slices.push(IoSlice::new(head));
                slices.push(IoSlice::new(&self.piece[offset..offset + length]));
            }
            let mut rest = &mut slices[..];
            stream.write_slices(&mut rest)?;
        }
    }
}

/// A connection, encrypted or not.
struct Line {
    stream: TcpStream,
    ciphers: Option<Ciphers>,
    scratch: Vec<u8>,
}

impl Line {
    /// Answers who called with `received`; its handshake is taken off.
    fn encrypted(mut stream: TcpStream, received: &[u8], info_hash: &[u8; 20]) -> Self {
        let (mut received, mut out) = (BytesMut::from(received), Vec::new());
        let skeys = [*info_hash];
        // Nothing is to be hidden here.
        let chance = [7; CHANCE_BYTES];
        let mut responder = Responder::new(&chance, &skeys, Preference::Rc4Only);
        let ciphers = loop {
            out.clear();
            let step = responder.hear(&mut received, &mut out).expect("an encrypted handshake");
            stream.write_all(&out).expect("a peer that reads");
            responder = match step {
                Step::Done(agreed) => break agreed.ciphers,
                Step::More(same) => same,
            };
            let mut more = [0; 1 << 12];
            let count = stream.read(&mut more).expect("a peer that goes on");
            received.extend_from_slice(&more[..count]);
        };
        assert_eq!(received.len(), 68, "rtor says its handshake with its offer");
        Self { stream, ciphers, scratch: Vec::new() }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if let Some(ciphers) = &mut self.ciphers {
            ciphers.receiving.apply(&mut buffer[..count]);
        }
        Ok(count)
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_slices(&mut &mut [IoSlice::new(bytes)][..])
    }

    fn write_slices(&mut self, slices: &mut &mut [IoSlice<'_>]) -> std::io::Result<()> {
        if let Some(ciphers) = &mut self.ciphers {
            for some in slices.chunks(SLICES_ENCRYPTED) {
                self.scratch.clear();
                some.iter().for_each(|slice| self.scratch.extend_from_slice(slice));
                ciphers.sending.apply(&mut self.scratch);
                self.stream.write_all(&self.scratch)?;
            }
            return Ok(());
        }
        while !slices.is_empty() {
            let most = slices.len().min(SLICES_MAX);
            let written = self.stream.write_vectored(&slices[..most])?;
            IoSlice::advance_slices(slices, written);
        }
        Ok(())
    }
}

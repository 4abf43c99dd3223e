//! rtor: a BitTorrent toolkit for the command line.
//!
//! The rooms, in reading order. Rooms that think ([`torrent`], [`wire`], [`engine`]) have no
//! socket, file, clock, thread or lock; rooms that touch the world ([`net`], [`disk`], [`host`],
//! [`driver`]) decide nothing about BitTorrent. `docs/ARCHITECTURE.md` says why.

pub mod torrent;
pub mod wire;

pub mod engine;
pub mod sim;

pub mod disk;
pub mod host;
pub mod manifest;
pub mod net;

pub mod driver;

pub mod command;

pub mod cli;
pub mod env;
pub mod error;
pub mod sanitize;
pub mod table;

/// Runs the program: parses `env`'s arguments, does the verb, prints an error once.
#[must_use]
pub fn run(mut env: env::Env) -> error::Exit {
    use clap::Parser as _;
    let result = match cli::Cli::try_parse_from(env.args()) {
        Ok(cli) => cli.verb.run(&cli.globals, &mut env),
        Err(why) if why.use_stderr() => {
            env.say_lines(&why.to_string());
            return error::Exit::Input;
        }
        Err(help) => env.write(help.to_string().as_bytes()).map(|()| error::Exit::Done),
    };
    result.unwrap_or_else(|error| {
        env.say_lines(&format!("{error}\n"));
        error.exit()
    })
}

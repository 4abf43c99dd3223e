//! The binary: everything is in the library.

use rtor::env::Env;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(rtor::run(Env::of_process()).code())
}

//! The `tocsin` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tocsin::cli::main()
}

//! The `tocsin` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Alerts and messages are many small pieces of memory: with the system's allocator there were a tenth fewer alerts a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tocsin::cli::main()
}

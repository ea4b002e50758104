//! What the project needs beside cargo: `cargo xtask test`, `cargo xtask bench`.
#![forbid(unsafe_code)]

mod tools;

use std::process::{Command, ExitCode, Stdio};

use clap::{Parser, Subcommand};

/// Tasks of the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need (as root; else say how), and run everything; arguments go to `cargo test`
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure against the raw limit in the same run: email, sms, push, mqtt, plan, memory, points, places, approve, queue, consoles,
    /// alerts, large, polling, neighbours; all where none is named
    Bench {
        /// Which.
        name: Option<String>,
        /// One JSON object a line, nothing else.
        #[arg(long)]
        json: bool,
        /// Alternating runs; the medians are told.
        #[arg(long, default_value_t = 5)]
        runs: u32,
    },
    /// Read bytes that are almost right: with cargo-fuzz where it and a nightly toolchain are, else by a plain loop over cases and corpus
    Fuzz {
        /// For so many seconds.
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test { arguments } => test(&arguments),
        Task::Bench { name, json, runs } => bench(name.as_deref(), json, runs),
        Task::Fuzz { seconds } => fuzz(seconds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A test that waits for what never comes fails, after six times what the slowest program of tests takes; that program is named.
const LIMIT: &str = "target.'cfg(target_os = \"linux\")'.runner = ['timeout', '--foreground', '--verbose', '1800']";

fn test(arguments: &[String]) -> Result<(), String> {
    let schema = tools::prepare()?;
    // The servers that tests need are started by the tests themselves, on ports of their own, and stopped with them.
    let mut command = cargo();
    command
        .args(["test", "--config", LIMIT, "--workspace"])
        .args(arguments)
        .env("TOCSIN_CAP_XSD", schema)
        .env("INSTA_UPDATE", "no")
        .env("TOCSIN_TOOLS", "1");
    run(&mut command)?;
    if !arguments.is_empty() {
        return Ok(());
    }
    // What is off by default: passkeys, in a browser.
    let passkeys = ["--package", "tocsin", "--features", "passkeys", "--test", "passkeys"];
    run(cargo().args(["test", "--config", LIMIT]).args(passkeys))
}

fn bench(name: Option<&str>, json: bool, runs: u32) -> Result<(), String> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "--package", "tocsin", "--bench", "ratios", "--", "--runs", &runs.to_string()]);
    command.args(json.then_some("--json")).args(name);
    run(&mut command)
}

fn fuzz(seconds: u32) -> Result<(), String> {
    let there = |program: &str, arguments: &[&str]| {
        let asked = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    if !(there("cargo-fuzz", &["--version"]) && there("rustup", &["run", "nightly", "rustc", "--version"])) {
        println!("xtask: no cargo-fuzz on a nightly toolchain here; the plain loop does it");
        let seconds = seconds.to_string();
        let arguments = ["test", "--release", "--package", "tocsin", "--test", "fuzz", "--", "--seconds", &seconds];
        return run(cargo().args(arguments));
    }
    let each = (seconds / 5).max(1);
    for target in ["cap_read", "signatures", "feeds", "notices", "locate"] {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "fuzz", "run", target, "--", &format!("-max_total_time={each}")]);
        run(&mut command)?;
    }
    Ok(())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{:?} failed: {status}", command.get_program())) }
}

//! The fuzzer that needs nothing but a compiler: mutates real alerts, feeds and messages, and the project's cases, without end. What
//! `fuzz/` does with cargo-fuzz, this does blindly, so both say what they found of the same promises.
//!
//! `--seconds N` (2), `--seed N` (of the clock), and a target's name or none for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod mutate;
#[path = "../../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutate::Dice;

/// Longer seeds are cut: what can be found is found in little.
const LONGEST: usize = 24 * 1024;
/// Nothing so short may take so much of a processor; what others of the machine take is not counted.
const SLOW: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// No target is ahead of another by more of a processor's time.
const AHEAD: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let clock = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(1, |d| d.as_secs() ^ u64::from(d.subsec_nanos()) << 32)
    };
    let (seconds, seed) = (value("--seconds").unwrap_or(2), value("--seed").unwrap_or_else(clock));
    let wanted = |name: &str| {
        !targets::ALL.iter().any(|(one, _)| arguments.iter().any(|a| a == one)) || arguments.iter().any(|a| a == name)
    };
    let seeds = seeds();
    let all: Vec<_> = targets::ALL.into_iter().filter(|(name, _)| wanted(name)).collect();
    println!("fuzz: {} seeds, {seconds} s, --seed {seed}", seeds.len());
    // What is found is told once, with the bytes, not by each panic's own words.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut dice, began, mut found) = (Dice(seed), Instant::now(), 0);
    let mut counts = vec![0_u64; all.len()];
    let mut shares = vec![Duration::ZERO; all.len()];
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(seconds) {
        let bytes = mutate::mutated(&seeds, &mut dice);
        // Who takes long gets fewer inputs, not more time.
        let least = shares.iter().min().copied().unwrap_or_default();
        for (((name, target), count), share) in all.iter().zip(&mut counts).zip(&mut shares) {
            if *share > least + AHEAD {
                continue;
            }
            let start = spent();
            let done = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
            let took = spent().saturating_sub(start);
            slowest = slowest.max(took);
            *share += took;
            *count += 1;
            let why = match done {
                Err(error) => error
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| error.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_else(|| "a panic".into()),
                Ok(()) if took > SLOW => format!("it took {took:?}"),
                Ok(()) => continue,
            };
            found += 1;
            let path = keep(name, &bytes);
            println!("FOUND by {name}: {}: {}", path.display(), why.chars().take(300).collect::<String>());
        }
        if found >= 20 {
            break;
        }
    }
    for ((name, _), count) in all.iter().zip(&counts) {
        println!("fuzz: {name}: {count} inputs");
    }
    println!("fuzz: {found} found in {:.0} s; the slowest input took {slowest:?}", began.elapsed().as_secs_f64());
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this thread so far, where the system tells.
fn spent() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Keeps what was found, for a case of its own.
fn keep(target: &str, bytes: &[u8]) -> PathBuf {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let name: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let path = folder.join(format!("{target}-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Every case and every real alert, feed and message at hand.
fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for folder in ["tests/cases", "scenarios", "../shared/corpus"] {
        gather(&root.join(folder), &mut seeds);
    }
    if let Some(signed) = targets::SIGNED.as_ref() {
        // Often enough among so many others.
        for text in signed.texts.iter().cycle().take(40) {
            seeds.push(text.clone().into_bytes());
        }
    }
    for text in mutate::MESSAGES {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

fn gather(folder: &Path, seeds: &mut Vec<Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, seeds);
        } else if let Ok(mut bytes) = std::fs::read(&path) {
            bytes.truncate(LONGEST);
            seeds.push(bytes);
        }
    }
}

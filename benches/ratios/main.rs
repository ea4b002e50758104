//! Speed as a ratio to the raw limit, both measured in the same run, in turns: medians are told. The sinks are processes of
//! their own, so that their share of the processor can be told from ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot go on is INVALID, and stops"
)]

mod console;
mod intake;
mod ours;
mod process;
mod raw;
mod report;
mod still;

use report::{Goal, Line, print};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PEOPLE: u64 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    rustls::crypto::ring::default_provider().install_default().expect("the first provider");
    if let Some(kind) = arguments.first().and_then(|first| first.strip_prefix("sink=")) {
        return runtime.block_on(process::be_a_sink(kind));
    }
    if let Some(what) = arguments.first().and_then(|first| first.strip_prefix("consoles=")) {
        return runtime.block_on(console::be_consoles(what));
    }
    if let Some(address) = arguments.first().and_then(|first| first.strip_prefix("posts=")) {
        return runtime.block_on(intake::be_bureaus(address));
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let at = arguments.iter().position(|argument| argument == "--runs");
    let runs: u32 = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(5);
    let named = arguments
        .iter()
        .enumerate()
        .find(|(n, argument)| !argument.starts_with("--") && at.is_none_or(|at| *n != at + 1));
    let wanted = |name: &str| named.is_none_or(|(_, only)| only == name);
    let (mut known, mut held) = (false, true);
    for (name, goal) in [("email", 0.7), ("sms", 0.7), ("push", 0.7), ("mqtt", 0.5)] {
        if wanted(name) {
            known = true;
            let line = runtime.block_on(channel(name, runs));
            held &= print(json, &line.with_goal(Goal::AtLeast(goal)));
        }
    }
    for (name, goal) in [
        ("plan", Goal::AtMost(3.0)),
        ("memory", Goal::AtMost(64.0)),
        ("points", Goal::AtLeast(0.5)),
        ("places", Goal::AtMost(3.0)),
    ] {
        if wanted(name) {
            known = true;
            let line = match name {
                "plan" => runtime.block_on(still::plan(runs)),
                "places" => runtime.block_on(still::places(runs)),
                "memory" => runtime.block_on(still::memory()),
                _ => still::points(runs),
            };
            held &= print(json, &line.with_goal(goal));
        }
    }
    for (name, goal) in
        [("approve", Goal::AtMost(1_000.0)), ("queue", Goal::AtMost(50.0)), ("consoles", Goal::AtLeast(0.95))]
    {
        if wanted(name) {
            known = true;
            let line = match name {
                "approve" => runtime.block_on(console::approve()),
                "queue" => runtime.block_on(console::queue()),
                _ => runtime.block_on(console::consoles(runs)),
            };
            held &= print(json, &line.with_goal(goal));
        }
    }
    for (name, goal) in [
        ("alerts", Goal::AtLeast(0.5)),
        ("large", Goal::AtMost(50.0)),
        ("polling", Goal::AtMost(16.0)),
        ("neighbours", Goal::AtMost(1.0)),
    ] {
        if wanted(name) {
            known = true;
            let line = match name {
                "alerts" => runtime.block_on(intake::alerts(runs)),
                "large" => runtime.block_on(intake::large(runs)),
                "polling" => runtime.block_on(intake::polling()),
                _ => runtime.block_on(intake::neighbours(runs)),
            };
            held &= print(json, &line.with_goal(goal));
        }
    }
    if !known {
        eprintln!(
            "no such measurement: email, sms, push, mqtt, plan, memory, points, places, approve, queue, consoles, alerts, large, \
             polling, neighbours"
        );
        std::process::exit(2);
    }
    if !held {
        std::process::exit(1);
    }
}

/// 100,000 people on one channel: our whole way, durable, against the bare client.
async fn channel(name: &'static str, runs: u32) -> Line {
    let mut line = Line::new(name, "messages/s");
    for _ in 0..runs {
        let sink = process::Sink::start(name);
        let bare = raw::channel(name, sink.port, PEOPLE).await;
        drop(sink);
        let sink = process::Sink::start(name);
        let whole = ours::channel(name, &sink, PEOPLE).await;
        line.add(whole, bare);
    }
    line
}

//! Killed in the middle of 100,000 mails, ten times over: nobody is missed, the states add up, and no more is repeated than the
//! windows that were open.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::fmt::Write as _;

use support::{Cma, Server, write_config};
use tocsin_sinks::{Tally, smtp};

const PEOPLE: u64 = 100_000;
const KILLS: u64 = 10;
const WORKERS: u64 = 8;
const WINDOW: u64 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_miss_nobody() {
    let sink = smtp::start(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nworkers = {WORKERS}\nwindow = {WINDOW}\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        sink.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let people = folder.path().join("people.csv");
    let mut rows = String::from("region,email\n");
    (0..PEOPLE).for_each(|n| writeln!(rows, "310118,r{n}@example.org").unwrap());
    std::fs::write(&people, rows).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);

    let mut server = Server::start_in(folder);
    let (status, answer) = server.post(Cma::new("storm").xml()).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().unwrap().to_owned();
    for kill in 1..=KILLS {
        while sink.tally.counts().messages < kill * PEOPLE / (KILLS + 1) {
            tokio::task::yield_now().await;
        }
        server.kill();
        server.run();
    }
    let states = server
        .until(&id, |states| states["planned"] == true && states["channels"]["email"]["accepted"] == PEOPLE)
        .await;
    // The region's own topic waits for a broker that config does not name.
    assert_eq!(states["audience"], PEOPLE + 1, "{states}");
    let keys = sink.tally.keys();
    assert_eq!(keys.len() as u64, PEOPLE, "nobody is missed");
    let repeats = sink.tally.counts().repeats;
    assert!(repeats <= KILLS * WORKERS * WINDOW, "{repeats} mails twice over ten kills");
    println!("{repeats} of {PEOPLE} mails came twice over {KILLS} kills; at most {} may", KILLS * WORKERS * WINDOW);
}

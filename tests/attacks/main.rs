//! What a thief, a liar or a clumsy program tries, over HTTP against the real program, and what becomes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod doors;
mod fields;
mod record;
mod rights;
mod texts;

use support::{Cma, ORANGE, Server, write_config};
use tocsin_sinks::{Sink, Tally, smtp};

/// Posts an orange alert for Qingpu: it waits for one signature of Shanghai, as escalation 1 of a fresh server.
async fn orange(server: &Server) -> String {
    let (status, answer) = server.post(Cma { colour: ORANGE, ..Cma::new("orange") }.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Checks what a page answered, and gives the page.
fn says((got, page): (u16, String), status: u16, code: &str) -> String {
    assert_eq!(got, status, "{page}");
    assert!(page.contains(code), "{code} is not in: {page}");
    page
}

/// A server with a mail sink that behaves so, and these people in Qingpu: language and address.
async fn with_mail(tally: Tally, people: &[(&str, &str)]) -> (Server, Sink) {
    let mail = smtp::start(tally).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        mail.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let file = folder.path().join("people.csv");
    let rows: String = people.iter().map(|(language, email)| format!("310118,{language},{email}\n")).collect();
    std::fs::write(&file, format!("region,language,email\n{rows}")).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", file.to_str().unwrap()]).0);
    (Server::start_in(folder), mail)
}

//! Ways in that we go ourselves: feeds, topics and folders, and everybody who is slow, lying or hostile there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod absence;
mod content;
mod corpus;
mod folder;
mod foreign;
mod forms;
mod hostile;
mod mqtt;
mod named;
mod news;
mod site;
mod terms;

use std::time::Duration;

use serde_json::Value;
use support::Server;
use tocsin::store::{SourceRow, Store, StoreOptions};

/// The store of a running program, to look at what it writes.
pub async fn store(server: &Server) -> Store {
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap()
}

/// Waits until a question has an answer.
pub async fn until<T>(what: &str, server: &Server, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_200 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came to be: {what}\n{}", server.log());
}

/// Waits until a source is as wanted.
pub async fn until_source(
    server: &Server,
    store: &Store,
    name: &str,
    wanted: impl Fn(&SourceRow) -> bool,
) -> SourceRow {
    until(name, server, async || {
        let rows = store.source_rows().await.unwrap();
        rows.into_iter().find(|row| row.name == name && wanted(row))
    })
    .await
}

/// Waits until so many alerts are on record; gives them, newest first.
pub async fn alerts(server: &Server, n: usize) -> Vec<Value> {
    until(&format!("{n} alerts"), server, async || {
        let listed = server.json("/api/v1/alerts?limit=500").await;
        let listed = listed["alerts"].as_array().cloned().unwrap_or_default();
        (listed.len() >= n).then_some(listed)
    })
    .await
}

/// The code of what is wrong with a source.
pub fn code(row: &SourceRow) -> &str {
    row.problem.as_ref().and_then(|problem| problem["code"].as_str()).unwrap_or_default()
}

/// The codes of what was noticed about a source's newest answer.
pub fn findings(row: &SourceRow) -> Vec<&str> {
    row.findings.as_array().into_iter().flatten().filter_map(|finding| finding["code"].as_str()).collect()
}

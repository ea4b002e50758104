//! One damaged row on record costs no warning: whatever comes after it is taken, and tells everybody whom what can be read still names.

use sqlx::Connection as _;
use tocsin_sinks::{Tally, gateway};

use super::end_to_end::short_messages;
use super::support::{self, Cma, Server, tables, write_config};
use super::world::{Message, World};

/// What is damaged, and what of those told before is known by nothing else.
const DAMAGES: [(&str, bool); 14] = [
    ("UPDATE release SET audience = '?'", true),
    ("UPDATE release SET regions = '?'", true),
    ("UPDATE release SET channels = '?'", true),
    ("UPDATE release SET within = '?'", true),
    ("UPDATE release SET jurisdiction = ''", true),
    ("UPDATE release SET lane = 99", true),
    ("UPDATE release SET audience = 7, regions = 7, channels = 7, name = 7, lane = '?'", true),
    ("UPDATE alert SET state = '?'", true),
    ("UPDATE alert SET decision = '?'", true),
    ("UPDATE alert SET located = '?'", true),
    ("UPDATE alert_raw SET raw = X'00'", true),
    ("UPDATE alert SET findings = '?', headline = ''", true),
    ("UPDATE chunk SET body = X'FF'", false),
    ("UPDATE dispatch SET content = '?'", false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_an_alert_whose_row_is_damaged_is_taken_and_tells_its_people() {
    for (damage, known) in DAMAGES {
        for kind in ["Update", "Cancel"] {
            let world = World::start().await;
            world.people("310118", 2).await;
            world.people("310120", 2).await;
            let both = ["310118", "310120"];
            assert_eq!(world.post(&Message::new("old", 0).area(&both)).await.unwrap().warned, 4);
            let mut tables = sqlx::AnyConnection::connect(&world.url).await.unwrap();
            assert!(sqlx::query(damage).execute(&mut tables).await.unwrap().rows_affected() > 0);
            tables.close().await.unwrap();
            let new = Message::new("new", 10).kind(kind).names(&["old@0"]).area(&["310118"]);
            let told = world.post(&new).await.unwrap_or_else(|refused| panic!("{damage}, {kind}: {refused:?}"));
            let heard = (told.warned, told.lifted, told.ended);
            let wanted = match (kind, known) {
                ("Update", true) => (2, 2, 0),
                ("Update", false) => (2, 0, 0),
                (_, true) => (0, 0, 4),
                (_, false) => (0, 0, 0),
            };
            assert_eq!(heard, wanted, "{damage}, {kind}");
            let codes: Vec<u16> = told.receipt.unwrap().findings.iter().map(|finding| finding.code.number()).collect();
            assert_eq!(codes.contains(&4120), damage.starts_with("UPDATE release"), "{damage}, {kind}: {codes:?}");
            assert_eq!(world.heads().await, ["new"], "{damage}, {kind}: one event, one head");
            // Nothing stands still because of it: another danger is told at once.
            let other = Message::new("other", 20).area(&["310120"]);
            let other = Message { event: "暴雨".into(), ..other };
            assert_eq!(world.post(&other).await.unwrap().warned, 2, "{damage}, {kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_read_keeps_no_other_from_being_planned_and_sent() {
    let sms = gateway::start_sms(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let people = "region,phone\n310118,13812345678\n310120,13812345679\n";
    let config = write_config(folder.path(), &short_messages(folder.path(), sms.addr.port(), people));
    let people = folder.path().join("people.csv");
    let (well, _, error) = support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]);
    assert!(well, "{error}");
    let server = Server::start_in(folder);
    let told = |states: &serde_json::Value| states["states"]["accepted"] == 1;
    let (_, first) = server.post(Cma::new("first").xml()).await;
    server.until(first["id"].as_str().unwrap(), told).await;
    // It waits to be planned again, before whatever comes, and its counties are gone.
    let mut store = tables(server.folder.path()).await;
    sqlx::query("UPDATE release SET regions = '?', planned_at = NULL").execute(&mut store).await.unwrap();
    let next = Cma { code: "310120000000".into(), ..Cma::new("next") };
    let (_, next) = server.post(next.xml()).await;
    server.until(next["id"].as_str().unwrap(), told).await;
    assert_eq!(sms.tally.counts().messages, 2);
}

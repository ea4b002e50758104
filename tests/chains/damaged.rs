//! One damaged row on record costs no warning: whatever comes after it is taken, and tells everybody whom what can be read still names.

use sqlx::Connection as _;

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
    ("UPDATE alert SET raw = X'00'", true),
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

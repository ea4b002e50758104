//! Event chains: what becomes of alerts, updates, cancels and answers that come early, late, twice, forked, or naming nothing.
//! `docs/chains.md` says the same in words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod cases;
mod damaged;
mod end_to_end;
mod orders;
mod random;
#[path = "../sources/site.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod site;
#[path = "../support/mod.rs"]
mod support;
mod world;

use sqlx::Connection as _;
use tocsin::intake::RefusalCode;
use world::{Message, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_an_event_says_its_levels_and_why_each_alert_belongs_to_it() {
    let world = World::start().await;
    world.people("310118", 2).await;
    let blue = Message::new("blue", 0).colour("blue");
    let red = Message::new("red", 10).kind("Update").colour("red").names(&["blue@0"]);
    let ack = Message::new("ack", 12).kind("Ack").names(&["red@10"]);
    let again = Message::new("again", 20).colour("red").says("red");
    let end = Message::new("end", 30).kind("Cancel").names(&["again@20"]);
    for message in [&blue, &red, &ack, &again, &end] {
        world.post(message).await.unwrap();
    }
    let history = tocsin::intake::History::of(&world.store, &world.id("red")).await.unwrap().unwrap();
    let name = |id: &str| world.name(id);
    let levels: Vec<_> = history.levels.iter().map(|since| (since.level.as_deref(), name(&since.alert))).collect();
    assert_eq!(levels, [(Some("blue"), "blue".into()), (Some("red"), "red".into()), (None, "end".into())]);
    assert_eq!((history.head.as_deref().map(name), history.ended), (Some("end".into()), true));
    let why: Vec<_> = history
        .alerts
        .iter()
        .map(|link| {
            let joined: Vec<_> = link.joined.iter().map(|j| format!("{} {}", j.why.as_str(), name(&j.alert))).collect();
            (name(&link.id), joined.join(", "), link.changed.join(" "), link.repeats.as_deref().map(name))
        })
        .collect();
    let row = |id: &str, joined: &str, changed: &str, repeats: Option<&str>| {
        (id.to_owned(), joined.to_owned(), changed.to_owned(), repeats.map(str::to_owned))
    };
    assert_eq!(
        why,
        [
            row("blue", "", "", None),
            row("red", "references blue", "level words", None),
            row("ack", "answer red", "", None),
            row("again", "likeness red", "", Some("red")),
            row("end", "references again", "words", None),
        ]
    );
    assert!(tocsin::intake::History::of(&world.store, "aaaaaaaaaaaaaaaa").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_tells_those_who_have_not_heard_it_and_refreshes_what_machines_show() {
    let world = World::start().await;
    world.people("310118", 3).await;
    let alert = Message::new("a", 0).until(120);
    let told = world.post(&alert).await.unwrap();
    assert_eq!((told.warned, told.topics), (3, 1));
    world.people("310118", 2).await;
    // Two have signed up since; the first three keep their peace, the topic learns the later end.
    let told = world.post(&Message::new("b", 60).says("a").names(&["a@0"]).kind("Update").until(240)).await.unwrap();
    assert_eq!((told.warned, told.lifted, told.topics), (2, 0, 1));
    // A wider area, an earlier end, other words or another level are no repeat.
    let wider = Message::new("c", 70).says("a").names(&["b@60"]).kind("Update").until(240).area(&["310118", "310120"]);
    assert_eq!(world.post(&wider).await.unwrap().warned, 5);
    let told = world.post(&Message::new("d", 80).says("a").names(&["c@70"]).kind("Update").until(240)).await.unwrap();
    assert_eq!(told.warned, 5, "the narrower area is no repeat either");
    let told = world.post(&Message::new("e", 90).says("a").names(&["d@80"]).kind("Update").until(200)).await.unwrap();
    assert_eq!(told.warned, 5, "an earlier end");
    let told = world.post(&Message::new("f", 95).names(&["e@90"]).kind("Update").until(200)).await.unwrap();
    assert_eq!(told.warned, 5, "other words");
    let told = world.post(&Message::new("g", 100).kind("Cancel").names(&["f@95"])).await.unwrap();
    assert_eq!((told.ended, told.warned), (5, 0), "everyone told hears of the end once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_alert_said_is_known_without_reading_it_again_and_of_rows_from_before_by_reading_it() {
    let world = World::start().await;
    world.people("310118", 3).await;
    assert_eq!(world.post(&Message::new("a", 0)).await.unwrap().warned, 3);
    let mut tables = sqlx::AnyConnection::connect(&world.url).await.unwrap();
    sqlx::query("UPDATE alert_raw SET raw = X'00'").execute(&mut tables).await.unwrap();
    let again = Message::new("b", 10).says("a").names(&["a@0"]).kind("Update");
    assert_eq!(world.post(&again).await.unwrap().warned, 0, "a repeat of what cannot be read any more");
    sqlx::query("UPDATE alert SET says = NULL, ends = NULL").execute(&mut tables).await.unwrap();
    let again = Message::new("c", 20).says("a").names(&["b@10"]).kind("Update");
    assert_eq!(world.post(&again).await.unwrap().warned, 0, "a repeat, by the bytes");
    assert_eq!(world.heads().await, ["c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identifiers_are_frozen_with_the_first_transaction_and_never_used_again() {
    let world = World::start().await;
    let first = Message::new("same", 0);
    let second = Message::new("same", 0).says("something else");
    world.post(&first).await.unwrap();
    let refused = world.post(&second).await.unwrap_err();
    assert_eq!(refused, RefusalCode::IdTaken);
    let (raw, _) = world.store.alert_raw(&world.id("same")).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(raw).unwrap(), first.xml(), "the first is as it was");
    // Two at one moment: one is taken, the other is told clearly.
    let (a, b) = (Message::new("at once", 1).says("a"), Message::new("at once", 1).says("b"));
    let (a, b) = tokio::join!(world.post(&a), world.post(&b));
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|taken| **taken).count(), 1);
}

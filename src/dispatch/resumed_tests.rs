//! A part that was stopped, and goes on: nobody is told twice, and nobody not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tocsin_channels::{ChannelKind, Class};

use super::feeder::Desk;
use super::pace::Pace;
use super::plan::Planner;
use super::test_world::{Post, QINGPU, World, by};
use super::{EngineOptions, WaysOut};
use crate::clock::Clock as _;
use crate::delivery::pack_members;
use crate::messages::Variant;
use crate::residents::{Quiet, Wishes};
use crate::store::{Journal, Planned, Release, hold_release, plan_parts_again, resume_release};

const WUJIANG: &str = "320509";
const BOTH: [&str; 2] = ["310000", "320000"];
const MORNING: &str = "2026-07-01T22:45:00Z";

fn asleep(channel: ChannelKind) -> Wishes {
    Wishes { quiet: Some(Quiet { from: 44, to: 13, severe_wakes: false }), ..by(&[channel]) }
}

/// At night, before anybody is told: Qingpu's part is planned first, and those with a place in both provinces are left to it.
async fn night(people: &[(i64, &str, &[&str])]) -> World {
    let world = World::new().await;
    set_clock(&world, "2026-07-01T15:00:00Z");
    for (id, number, counties) in people {
        let places: Vec<_> = counties.iter().map(|county| ("家", *county, None, asleep(ChannelKind::Sms))).collect();
        world.person(*id, &[(ChannelKind::Sms, number)], &places).await;
    }
    world.release_parts("storm", &[QINGPU, WUJIANG], &BOTH, &[Variant::Warn], &[]).await;
    world
}

fn set_clock(world: &World, to: &str) {
    *world.clock.0.lock().unwrap() = to.parse().unwrap();
}

async fn first_part(world: &World) -> Release {
    world.store.releases_of(&["storm".to_owned()]).await.unwrap().remove(0)
}

async fn stop(world: &World) {
    stop_part(world, &first_part(world).await).await;
}

async fn stop_part(world: &World, part: &Release) {
    let (now, mut tx) = (world.clock.now(), world.store.begin().await.unwrap());
    hold_release(&mut tx, part.id, now).await.unwrap();
    plan_parts_again(&mut tx, "storm", now).unwrap();
    tx.commit().await.unwrap();
}

async fn go_on(world: &World) {
    let (part, now, mut tx) = (first_part(world).await, world.clock.now(), world.store.begin().await.unwrap());
    assert!(resume_release(&mut tx, &part).await.unwrap());
    plan_parts_again(&mut tx, "storm", now).unwrap();
    tx.commit().await.unwrap();
}

/// Plans alone, with nobody beside it who sends or ends anything.
fn planner(world: &World) -> Planner {
    let (journal, _) = Journal::start(world.store.clone());
    let options = EngineOptions { clock: world.clock.clone(), leave: WaysOut::default(), policy: None };
    let desk = |kind| {
        let channel = Arc::new(Post { kind, refused: Vec::new(), got: Arc::default() });
        let pace = Pace::new(None, Instant::now());
        Arc::new(Desk::new(String::new(), channel, world.store.clone(), journal.clone(), &options, pace, (1, 1)))
    };
    let desks = [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push].map(desk).into();
    let policy = Some(Arc::clone(&world.policy));
    Planner { store: world.store.clone(), clock: world.clock.clone(), desks, policy, lanes: 0..=3 }
}

/// Plans all that is to be planned; returns in how many rounds.
async fn plan_all(planner: &Planner) -> usize {
    let (mut put_off, mut rounds) = (BTreeMap::new(), 0);
    while rounds < 9 && planner.plan_next(&mut put_off).await.unwrap() {
        rounds += 1;
    }
    rounds
}

/// Waits until all is planned, for so many people.
async fn planned(world: &World, people: u64) {
    world
        .until(|| async {
            let states = world.store.states("storm").await.unwrap();
            let all: u64 = states.values().map(|counts| counts.total()).sum();
            world.store.is_planned("storm").await.unwrap() && all == people
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_by_another_part_while_theirs_is_stopped_is_not_told_again_when_it_goes_on() {
    for told_before in [false, true] {
        let both = [QINGPU, WUJIANG];
        let world = night(&[(1, "+8611", &[QINGPU]), (2, "+8622", &[WUJIANG]), (3, "+8633", &both)]).await;
        // In one province by one channel, in the other by another.
        let addresses = [(ChannelKind::Sms, "+8644"), (ChannelKind::Email, "d@example.org")];
        let places = [("家", QINGPU, ChannelKind::Sms), ("学校", WUJIANG, ChannelKind::Email)];
        let places = places.map(|(name, county, channel)| (name, county, None, asleep(channel)));
        world.person(4, &addresses, &places).await;
        let engine = world.engine(&[]).await;
        planned(&world, 4).await;
        stop(&world).await;
        planned(&world, 6).await;
        if told_before {
            set_clock(&world, MORNING);
            world.until(|| async { ["+8633", "d@example.org"].iter().all(|to| world.got(to).len() == 1) }).await;
        }
        go_on(&world).await;
        planned(&world, 4).await;
        set_clock(&world, MORNING);
        world.quiet("storm").await;
        engine.stop().await;
        let got = ["+8611", "+8622", "+8633", "+8644", "d@example.org"].map(|to| world.got(to).len());
        assert_eq!(got, [1, 1, 1, 0, 1], "told before it went on: {told_before}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_chunk_that_was_begun_those_who_were_tried_stay_and_the_others_are_looked_through() {
    let both = [QINGPU, WUJIANG];
    let world = night(&[(1, "+8611", &both), (2, "+8622", &both), (3, "+8633", &[QINGPU])]).await;
    let engine = world.engine(&[]).await;
    planned(&world, 3).await;
    // The first one was told when the officer came.
    let (part, mut tx) = (first_part(&world).await, world.store.begin().await.unwrap());
    let chunk = world.store.chunk_ids(part.id).await.unwrap()[0];
    let window = sqlx::query("INSERT INTO send_window (chunk, seq, members, at) VALUES ($1, 0, $2, 0)");
    window.bind(chunk).bind(pack_members(&[0])).execute(&mut tx).await.unwrap();
    let outcome = sqlx::query("INSERT INTO outcome (chunk, seq, classes, at) VALUES ($1, 0, $2, 0)");
    outcome.bind(chunk).bind(vec![Class::Accepted.code()]).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    stop(&world).await;
    planned(&world, 4).await;
    go_on(&world).await;
    planned(&world, 3).await;
    set_clock(&world, MORNING);
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(["+8611", "+8622", "+8633"].map(|to| world.got(to).len()), [0, 1, 1]);
    assert_eq!(world.store.states("storm").await.unwrap()[&ChannelKind::Sms].accepted, 3, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_through_goes_on_as_it_is() {
    let both = [QINGPU, WUJIANG];
    let world = night(&[(1, "+8611", &[QINGPU]), (3, "+8633", &both)]).await;
    plan_all(&planner(&world)).await;
    planned(&world, 2).await;
    stop(&world).await;
    plan_all(&planner(&world)).await;
    planned(&world, 3).await;
    let mut tx = world.store.begin().await.unwrap();
    let fails = "CREATE TRIGGER fails BEFORE DELETE ON chunk BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(fails).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    go_on(&world).await;
    let planner = planner(&world);
    planner.plan_next(&mut BTreeMap::new()).await.unwrap();
    assert!(planner.desks.iter().all(|desk| desk.more_urgent_than(3)), "those who send it know");
    set_clock(&world, MORNING);
    let engine = world.engine(&[]).await;
    world.until(|| async { world.got("+8611").len() == 1 }).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_while_it_is_planned_is_planned_once_more() {
    let world = night(&[(1, "+8611", &[QINGPU])]).await;
    let engine = world.engine(&[]).await;
    planned(&world, 1).await;
    engine.stop().await;
    stop(&world).await;
    go_on(&world).await;
    // A plan that was made before it went on.
    let part = first_part(&world).await;
    let old = Planned { release: part.id, lane: part.lane, chunks: Vec::new(), left_to: [].into() };
    world.store.end_plans(&[old], world.clock.now()).await.unwrap();
    set_clock(&world, MORNING);
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(world.got("+8611").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_and_is_over_before_it_is_planned_keeps_nothing_waiting() {
    let world = night(&[(1, "+8611", &[QINGPU])]).await;
    let engine = world.engine(&[]).await;
    planned(&world, 1).await;
    engine.stop().await;
    stop(&world).await;
    go_on(&world).await;
    world.release_parts("over", &[QINGPU, WUJIANG], &BOTH, &[Variant::Cancel], &["storm"]).await;
    let rounds = plan_all(&planner(&world)).await;
    for alert in ["storm", "over"] {
        assert!(world.store.is_planned(alert).await.unwrap(), "{alert}");
    }
    assert_eq!(rounds, 4, "each part once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_which_nobody_can_read_when_it_was_stopped_or_ended_counts_as_stopped_and_keeps_nobody_waiting() {
    for column in ["held_at", "superseded_at"] {
        let world = night(&[(1, "+8611", &[QINGPU, WUJIANG])]).await;
        let planner = planner(&world);
        assert!(planner.plan_next(&mut BTreeMap::new()).await.unwrap(), "Qingpu's part has them");
        let (part, mut tx) = (first_part(&world).await, world.store.begin().await.unwrap());
        let damage = sqlx::AssertSqlSafe(format!("UPDATE release SET {column} = '?' WHERE id = $1"));
        sqlx::query(damage).bind(part.id).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(plan_all(&planner).await, 1, "{column}: the other part, once");
        planned(&world, 2).await;
        set_clock(&world, MORNING);
        let engine = world.engine(&[]).await;
        world.until(|| async { world.got("+8611").len() == 1 }).await;
        // What can go no more is put away with what else is over.
        let put_away = || async { world.store.states("storm").await.unwrap()[&ChannelKind::Sms].superseded == 1 };
        if column == "superseded_at" {
            world.until(put_away).await;
        }
        engine.stop().await;
        assert_eq!(world.got("+8611").len(), 1, "{column}");
    }
}

/// Awake at the one place, asleep at the other: each of the two parts knows of one.
async fn half_asleep(awake: &str, asleep_at: &str) -> World {
    let world = night(&[]).await;
    let places = [("家", awake, None, by(&[ChannelKind::Sms])), ("学校", asleep_at, None, asleep(ChannelKind::Sms))];
    world.person(1, &[(ChannelKind::Sms, "+8611")], &places).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_to_be_told_at_once_is_left_to_no_part_that_lets_them_sleep() {
    let world = half_asleep(WUJIANG, QINGPU).await;
    let engine = world.engine(&[]).await;
    world.until(|| async { world.got("+8611").len() == 1 }).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_to_be_told_at_once_stays_in_a_part_that_goes_on_while_the_other_lets_them_sleep() {
    let world = half_asleep(QINGPU, WUJIANG).await;
    stop(&world).await;
    let planner = planner(&world);
    plan_all(&planner).await;
    planned(&world, 2).await;
    go_on(&world).await;
    plan_all(&planner).await;
    planned(&world, 2).await;
    let engine = world.engine(&[]).await;
    world.until(|| async { world.got("+8611").len() == 1 }).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_first_address_has_failed_is_told_by_the_next_whichever_part_is_stopped() {
    let world = night(&[]).await;
    let addresses = [(ChannelKind::Sms, "+8611"), (ChannelKind::Email, "a@example.org"), (ChannelKind::Push, "push1")];
    let places = [
        ("家", QINGPU, None, by(&[ChannelKind::Sms, ChannelKind::Email])),
        ("学校", WUJIANG, None, by(&[ChannelKind::Push])),
    ];
    world.person(1, &addresses, &places).await;
    let planner = planner(&world);
    plan_all(&planner).await;
    let engine = world.engine_by(&[ChannelKind::Sms], &["+8611"]).await;
    let mails = || async { world.store.states("storm").await.unwrap().get(&ChannelKind::Email).map(|all| all.waiting) };
    world.until(|| async { mails().await == Some(1) }).await;
    engine.stop().await;
    stop(&world).await;
    plan_all(&planner).await;
    go_on(&world).await;
    plan_all(&planner).await;
    stop_part(&world, &world.store.releases_of(&["storm".to_owned()]).await.unwrap()[1]).await;
    plan_all(&planner).await;
    let engine = world.engine(&[]).await;
    world.until(|| async { world.got("a@example.org").len() == 1 }).await;
    engine.stop().await;
    assert_eq!(world.got("push1"), [], "that part was stopped");
}

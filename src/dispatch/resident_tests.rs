//! People with places: whom an alert's exact shape concerns, what they wish, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tocsin_channels::{Answer, Channel, ChannelKind, Class, Window};

use super::test_world::{QINGPU, World, by, square};
use super::{Engine, EngineOptions, Provider, WaysOut};
use crate::cap::{Colour, Hazard, Point};
use crate::clock::Clock;
use crate::messages::{Language, Variant};
use crate::residents::{Hazards, Quiet, Wishes};
use crate::rules::{Audience, Lane};
use crate::store::{Deed, Done, hold_release, plan_parts_again, resume_release, supersede_release};

const WUJIANG: &str = "320509";
/// The provinces of Qingpu and Wujiang.
const BOTH: [&str; 2] = ["310000", "320000"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_inside_the_shape_are_told_where_its_edge_runs_through_a_county() {
    let world = World::new().await;
    let middle = world.at(QINGPU);
    let off = |lat: f64, lon: f64| Some(Point { lat: middle.lat + lat, lon: middle.lon + lon });
    let sms = || by(&[ChannelKind::Sms]);
    for (id, number, point) in
        [(1, "+8613800000001", off(0.0, 0.0)), (2, "+8613800000002", off(0.0, 0.015)), (3, "+8613800000003", None)]
    {
        world.person(id, &[(ChannelKind::Sms, number)], &[("家", QINGPU, point, sms())]).await;
    }
    world
        .release(
            "storm",
            Lane::MODERATE,
            Colour::Yellow,
            Some(&square(middle.lat, middle.lon, 0.01)),
            &[Variant::Warn],
            &[],
        )
        .await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(world.got("+8613800000001"), [(ChannelKind::Sms, "storm warn zh-CN".into())], "inside");
    assert_eq!(world.got("+8613800000002"), [], "outside, in the same county");
    assert_eq!(world.got("+8613800000003").len(), 1, "only the county is known: told with the county");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_with_several_places_and_addresses_is_told_once_by_the_first_channel_and_why() {
    let world = World::new().await;
    let both = Wishes { languages: Language::ALL.to_vec(), ..by(&[ChannelKind::Email, ChannelKind::Sms]) };
    world
        .person(
            1,
            &[(ChannelKind::Sms, "+8613800000001"), (ChannelKind::Email, "a@example.org")],
            &[("家", QINGPU, None, both.clone()), ("学校", QINGPU, None, by(&[ChannelKind::Sms]))],
        )
        .await;
    let far = by(&[ChannelKind::Sms]);
    world.person(2, &[(ChannelKind::Sms, "+8613800000002")], &[("父母", "320509", None, far)]).await;
    world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    let mut mails = world.got.lock().unwrap().remove("a@example.org").unwrap();
    mails.sort_by(|a, b| a.text.cmp(&b.text));
    let says: Vec<_> = mails.iter().map(|got| (got.text.as_str(), got.why.as_deref().unwrap())).collect();
    assert_eq!(
        says,
        [
            ("storm warn en", "You get this because you registered: 家, 学校"),
            ("storm warn zh-CN", "您收到此消息，因为您登记了：家、学校"),
        ],
        "once in each language they read"
    );
    assert_eq!(world.got("+8613800000001"), [], "not a second time by the other channel");
    assert_eq!(world.got("+8613800000002"), [], "another county");
}

/// What needs nobody's yes goes out in a part for each province: whoever has places in two of them is told as if it were one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_places_in_two_provinces_is_told_once_and_of_an_end_only_when_no_place_is_in_danger() {
    let world = World::new().await;
    for (id, number, home, school) in [(1, "+8611", QINGPU, WUJIANG), (2, "+8622", WUJIANG, QINGPU)] {
        let sms = || by(&[ChannelKind::Sms]);
        let places = [("家", home, None, sms()), ("学校", school, None, sms())];
        world.person(id, &[(ChannelKind::Sms, number)], &places).await;
    }
    let engine = world.engine(&[]).await;
    let mut told = Vec::new();
    let (update, end) = ([Variant::Warn, Variant::Lifted], [Variant::Cancel]);
    for (name, counties, variants, old) in [
        ("alert", &[QINGPU, WUJIANG][..], &[Variant::Warn][..], &[][..]),
        ("left", &[QINGPU], &update, &["alert"]),
        ("moved", &[WUJIANG], &update, &["alert", "left"]),
        ("over", &[WUJIANG], &end, &["alert", "left", "moved"]),
    ] {
        world.release_parts(name, counties, &BOTH, variants, old).await;
        engine.wake();
        world.quiet(name).await;
        told.push(format!("{name} {} zh-CN", variants[0].as_str()));
        for number in ["+8611", "+8622"] {
            let texts: Vec<_> = world.got(number).into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, told, "{number}");
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_left_to_a_part_that_stays_stopped_is_told_once_the_other_goes_on() {
    let world = World::new().await;
    *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
    let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
    let asleep = || Wishes { quiet: night, ..by(&[ChannelKind::Sms]) };
    for (id, number, counties) in [(1, "+8611", &[QINGPU][..]), (3, "+8633", &[QINGPU, WUJIANG])] {
        let places: Vec<_> = counties.iter().map(|county| ("家", *county, None, asleep())).collect();
        world.person(id, &[(ChannelKind::Sms, number)], &places).await;
    }
    world.release_parts("storm", &[QINGPU, WUJIANG], &BOTH, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.until(|| async { world.store.is_planned("storm").await.unwrap() }).await;
    let parts = world.store.releases_of(&["storm".to_owned()]).await.unwrap();
    let (now, mut tx) = (world.clock.now(), world.store.begin().await.unwrap());
    for part in &parts {
        hold_release(&mut tx, part.id, now).await.unwrap();
    }
    plan_parts_again(&mut tx, "storm", now).unwrap();
    tx.commit().await.unwrap();
    let other = parts.iter().find(|part| part.regions.iter().any(|code| code.as_str() == WUJIANG)).unwrap();
    let mut tx = world.store.begin().await.unwrap();
    resume_release(&mut tx, other).await.unwrap();
    plan_parts_again(&mut tx, "storm", now).unwrap();
    tx.commit().await.unwrap();
    engine.wake();
    let all = async || world.store.states("storm").await.unwrap()[&ChannelKind::Sms].total();
    world.until(|| async { world.store.is_planned("storm").await.unwrap() && all().await == 3 }).await;
    *world.clock.0.lock().unwrap() = "2026-07-01T22:45:00Z".parse().unwrap();
    engine.wake();
    world.until(|| async { !world.got("+8633").is_empty() }).await;
    engine.stop().await;
    assert_eq!(["+8611", "+8633"].map(|number| world.got(number).len()), [0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_left_to_a_part_that_is_stopped_is_told_by_the_one_that_stands() {
    for corrected in [false, true] {
        let world = World::new().await;
        *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
        let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
        let sms = || Wishes { quiet: night, ..by(&[ChannelKind::Sms]) };
        for (id, number, counties) in
            [(1, "+8611", &[QINGPU][..]), (2, "+8622", &[WUJIANG]), (3, "+8633", &[QINGPU, WUJIANG])]
        {
            let places: Vec<_> = counties.iter().map(|county| ("家", *county, None, sms())).collect();
            world.person(id, &[(ChannelKind::Sms, number)], &places).await;
        }
        world.release_parts("storm", &[QINGPU, WUJIANG], &BOTH, &[Variant::Warn], &[]).await;
        let engine = world.engine(&[]).await;
        let all = async || world.store.states("storm").await.unwrap()[&ChannelKind::Sms].total();
        world.until(|| async { world.store.is_planned("storm").await.unwrap() }).await;
        assert_eq!(all().await, 3, "each once, asleep");
        let parts = world.store.releases_of(&["storm".to_owned()]).await.unwrap();
        let first = parts.iter().find(|part| part.regions.iter().any(|code| code.as_str() == QINGPU)).unwrap();
        let mut tx = world.store.begin().await.unwrap();
        if corrected {
            supersede_release(&mut tx, first.id, world.clock.now()).await.unwrap();
        } else {
            hold_release(&mut tx, first.id, world.clock.now()).await.unwrap();
        }
        plan_parts_again(&mut tx, "storm", world.clock.now()).unwrap();
        tx.commit().await.unwrap();
        engine.wake();
        world.until(|| async { world.store.is_planned("storm").await.unwrap() && all().await == 4 }).await;
        *world.clock.0.lock().unwrap() = "2026-07-01T22:45:00Z".parse().unwrap();
        engine.wake();
        world.until(|| async { !world.got("+8622").is_empty() && !world.got("+8633").is_empty() }).await;
        engine.stop().await;
        let got = ["+8611", "+8622", "+8633"].map(|number| world.got(number).len());
        assert_eq!(got, [0, 1, 1], "corrected: {corrected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wishes_filter_and_quiet_hours_hold_a_message_until_the_morning() {
    let world = World::new().await;
    *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
    let sms = || by(&[ChannelKind::Sms]);
    let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
    for (id, number, wishes) in [
        (1, "+8613800000001", Wishes { hazards: Hazards::of([Hazard::Heat]), ..sms() }),
        (2, "+8613800000002", Wishes { lowest: Colour::Red, ..sms() }),
        (3, "+8613800000003", Wishes { quiet: night, ..sms() }),
        (4, "+8613800000004", sms()),
    ] {
        world.person(id, &[(ChannelKind::Sms, number)], &[("家", QINGPU, None, wishes)]).await;
    }
    world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.until(|| async { world.got("+8613800000004").len() == 1 }).await;
    let held = world.store.states("storm").await.unwrap()[&ChannelKind::Sms].waiting;
    assert_eq!((world.got("+8613800000003").len(), held), (0, 1), "asleep: planned, and not sent");
    *world.clock.0.lock().unwrap() = "2026-07-01T22:30:00Z".parse().unwrap();
    world.quiet("storm").await;
    engine.stop().await;
    let told: BTreeMap<_, _> = (1..=4).map(|n| (n, world.got(&format!("+861380000000{n}")).len())).collect();
    assert_eq!(told, [(1, 0), (2, 0), (3, 1), (4, 1)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_reaches_those_who_take_part_and_nobody_else() {
    let world = World::new().await;
    let takes_part = Wishes { drills: true, ..Wishes::default() };
    world.person(1, &[(ChannelKind::Sms, "+8611")], &[("家", QINGPU, None, takes_part)]).await;
    world.person(2, &[(ChannelKind::Sms, "+8622")], &[("家", QINGPU, None, Wishes::default())]).await;
    let size = async |list| {
        let sizes = world.store.audience_size([list], &[QINGPU.parse().unwrap()]).await.unwrap();
        sizes.values().sum::<u64>()
    };
    assert_eq!((size(Audience::Drill).await, size(Audience::Public).await), (1, 2), "what officers are told before");
    let engine = world.engine(&[]).await;
    world.release("drill", Lane::REST, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("drill").await;
    assert_eq!(world.got.lock().unwrap().keys().collect::<Vec<_>>(), ["+8611"]);
    world.release("earnest", Lane::REST, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("earnest").await;
    assert_eq!(world.got.lock().unwrap().len(), 2, "in earnest everybody is told");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_pauses_leaves_or_is_deleted_before_a_message_leaves_is_not_told() {
    let world = World::new().await;
    for n in 1..=4 {
        let number = format!("+861380000000{n}");
        world.person(n, &[(ChannelKind::Sms, number.as_str())], &[("家", QINGPU, None, by(&[ChannelKind::Sms]))]).await;
    }
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("INSERT INTO resident (subscriber, language, consent, consent_at, paused_until) VALUES (1, 'zh-CN', '1', 0, $1)")
        .bind(i64::MAX)
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    // Planned with no provider that could send yet.
    let options = EngineOptions {
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        leave: WaysOut::default(),
        policy: Some(Arc::clone(&world.policy)),
    };
    let closed = Arc::new(Shut);
    let provider = Provider { name: "shut".into(), channel: closed, rate: None, workers: 1, window: 1 };
    let engine = Engine::start(world.store.clone(), vec![provider], options).await.unwrap();
    world.until(|| async { world.store.is_planned("storm").await.unwrap() }).await;
    engine.stop().await;
    assert!(world.store.leave(20, world.clock.now()).await.unwrap());
    let mut tx = world.store.begin().await.unwrap();
    assert!(crate::store::remove_own_address(&mut tx, 3, 30).await.unwrap());
    tx.commit().await.unwrap();
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(5);
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    let told: Vec<_> = (1..=4).filter(|n| !world.got(&format!("+861380000000{n}")).is_empty()).collect();
    assert_eq!(told, [4]);
    let counts = world.store.states("storm").await.unwrap()[&ChannelKind::Sms];
    assert_eq!((counts.accepted, counts.opted_out, counts.total()), (1, 2, 3), "and the states say so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_place_in_the_new_area_is_warned_there_and_not_told_that_it_is_over() {
    let world = World::new().await;
    let sms = || by(&[ChannelKind::Sms]);
    let both = [("家", QINGPU, None, sms()), ("父母", "320509", None, sms())];
    world.person(1, &[(ChannelKind::Sms, "+8613800000001")], &both).await;
    world.person(2, &[(ChannelKind::Sms, "+8613800000002")], &[("家", QINGPU, None, sms())]).await;
    world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    let there = world.at("320509");
    let area = square(there.lat, there.lon, 0.01);
    let variants = [Variant::Warn, Variant::Lifted];
    world.release("moved", Lane::MODERATE, Colour::Yellow, Some(&area), &variants, &["storm"]).await;
    engine.wake();
    world.quiet("moved").await;
    engine.stop().await;
    let texts = |to: &str| world.got(to).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts("+8613800000001"), ["storm warn zh-CN", "moved warn zh-CN"]);
    assert_eq!(texts("+8613800000002"), ["storm warn zh-CN", "moved lifted zh-CN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_comes_to_a_place_that_says_at_once_waits_for_no_other_place() {
    let world = World::new().await;
    let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
    let (sms, asleep) = (|| by(&[ChannelKind::Sms]), || Wishes { quiet: night, ..by(&[ChannelKind::Sms]) });
    let there = world.at("320509");
    let outside = Some(Point { lat: there.lat, lon: there.lon - 0.2 });
    for (n, others) in [
        (1, vec![("外婆家", "320509", None, sms())]),
        (2, vec![]),
        (3, vec![("外婆家", "320509", None, asleep())]),
        (4, vec![("外婆家", "320509", outside, sms())]),
        (5, vec![("外婆家", "320509", None, Wishes { lowest: Colour::Red, ..sms() })]),
        // In the county that was warned before, where the shape comes only now.
        (6, vec![("外婆家", QINGPU, Some(world.at(QINGPU)), sms())]),
    ] {
        let places: Vec<_> = [("家", QINGPU, None, asleep())].into_iter().chain(others).collect();
        world.person(n, &[(ChannelKind::Sms, &format!("+86{n}"))], &places).await;
    }
    let home = world.at(QINGPU);
    let edge = square(home.lat + 0.1, home.lon, 0.06);
    world.release("storm", Lane::MODERATE, Colour::Yellow, Some(&edge), &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
    let both = square(home.lat, home.lon, (home.lon - there.lon) + 0.05);
    world
        .release("grown", Lane::MODERATE, Colour::Yellow, Some(&both), &[Variant::Warn, Variant::Lifted], &["storm"])
        .await;
    engine.wake();
    world.until(|| async { world.store.is_planned("grown").await.unwrap() }).await;
    let told = |name: &str| {
        let all = 1..=6_i64;
        all.filter(|n| world.got(&format!("+86{n}")).iter().any(|(_, text)| text.starts_with(name))).collect::<Vec<_>>()
    };
    assert_eq!(told("storm"), [1, 2, 3, 4, 5, 6]);
    world.until(|| async { world.store.states("grown").await.unwrap()[&ChannelKind::Sms].accepted >= 2 }).await;
    assert_eq!(told("grown"), [1, 6], "at once, at night");
    let why = |n: i64| world.got.lock().unwrap()[&format!("+86{n}")].last().unwrap().why.clone().unwrap();
    assert_eq!(why(1), "因“家、外婆家”");
    *world.clock.0.lock().unwrap() = "2026-07-01T22:30:00Z".parse().unwrap();
    world.quiet("grown").await;
    engine.stop().await;
    assert_eq!(told("grown"), [1, 2, 3, 4, 5, 6], "the others in the morning");
    assert_eq!([why(2), why(4), why(5)], ["因“家”"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_without_places_waits_for_nothing_that_only_places_need() {
    let world = World::new().await;
    world.person(1, &[(ChannelKind::Sms, "+8611")], &[]).await;
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE address SET region = $1").bind(QINGPU).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let set_raw = async |raw: Option<Vec<u8>>| {
        let mut tx = world.store.begin().await.unwrap();
        let sql = match &raw {
            Some(raw) => sqlx::query("UPDATE alert_raw SET raw = $1").bind(raw),
            None => sqlx::query("UPDATE alert_raw SET raw = 5"),
        };
        sql.execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    for (name, old) in [("storm", &[][..]), ("next", &["storm"])] {
        world.release(name, Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], old).await;
        // What the alert is cannot even be asked for.
        let (raw, _) = world.store.alert_raw(name).await.unwrap().unwrap();
        set_raw(None).await;
        let engine = world.engine(&[]).await;
        world.until(|| async { world.got("+8611").iter().any(|(_, text)| text.starts_with(name)) }).await;
        set_raw(Some(raw)).await;
        world.quiet(name).await;
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_holds_up_nobody_else() {
    let world = World::new().await;
    let middle = world.at(QINGPU);
    for n in 1..=3 {
        let number = format!("+861380000000{n}");
        let place = ("家", QINGPU, Some(middle), by(&[ChannelKind::Sms]));
        world.person(n, &[(ChannelKind::Sms, number.as_str())], &[place]).await;
    }
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE address SET value = ':AAAA' WHERE id = 10").execute(&mut tx).await.unwrap();
    sqlx::query("UPDATE place SET point = ':AAAA', name = ':AAAA' WHERE subscriber = 2")
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let polygon = square(middle.lat, middle.lon, 0.01);
    world.release("storm", Lane::MODERATE, Colour::Yellow, Some(&polygon), &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    let told: Vec<_> = (1..=3).filter(|n| !world.got(&format!("+861380000000{n}")).is_empty()).collect();
    assert_eq!(told, [2, 3]);
    let counts = world.store.states("storm").await.unwrap()[&ChannelKind::Sms];
    assert_eq!((counts.accepted, counts.failed), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_an_alert_told_is_forgotten_when_its_time_is_over_and_how_many_is_not() {
    let world = World::new().await;
    world.person(1, &[(ChannelKind::Sms, "+8611")], &[("家", QINGPU, None, by(&[ChannelKind::Sms]))]).await;
    world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    engine.stop().await;
    let release = world.store.releases_of(&["storm".to_owned()]).await.unwrap().remove(0);
    let (recipient, at) = (10, world.clock.now());
    world.store.acknowledge_all(&[Done { release: release.id, recipient, deed: Deed::Shown, at }]).await.unwrap();
    let left = async || {
        let mut left = Vec::new();
        for rows in ["chunk WHERE LENGTH(body) > 1", "chunk_why", "send_window", "outcome", "acknowledgement"] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {rows}"));
            if sqlx::query_scalar::<_, i64>(sql).fetch_one(&world.store.read).await.unwrap() > 0 {
                left.push(rows);
            }
        }
        left
    };
    assert_eq!(world.store.prune(release.expires).await.unwrap(), 0, "its time is not over yet");
    assert!(left().await.len() >= 4, "{:?}", left().await);
    assert_eq!(world.store.prune(release.expires + TimeDelta::seconds(1)).await.unwrap(), 1);
    assert_eq!(left().await, [""; 0]);
    assert_eq!(world.store.states("storm").await.unwrap()[&ChannelKind::Sms].accepted, 1);
}

/// Takes nothing, for now.
struct Shut;

#[async_trait::async_trait]
impl Channel for Shut {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Sms
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        vec![Answer::new(Class::Transient, "shut"); window.messages.len()]
    }
}

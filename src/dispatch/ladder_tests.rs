//! What happens when a channel fails, or when nobody sees what it brought.

use chrono::TimeDelta;
use tocsin_channels::ChannelKind;

use super::elsewhere::{Going, Hearing};
use super::test_world::{QINGPU, World, by};
use crate::cap::Colour;
use crate::clock::Clock as _;
use crate::delivery::{DeliveryState, Packer, Recipient};
use crate::messages::{Language, Variant};
use crate::residents::{Quiet, Wishes};
use crate::rules::Lane;

const PUSH: ChannelKind = ChannelKind::Push;
const SMS: ChannelKind = ChannelKind::Sms;
const EMAIL: ChannelKind = ChannelKind::Email;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_refuses_hands_on_at_once_and_each_is_told_once() {
    let world = World::new().await;
    let order = by(&[ChannelKind::Sms, ChannelKind::Email]);
    for n in 1..=3 {
        let (number, mail) = (format!("+861380000000{n}"), format!("r{n}@example.org"));
        let own = [(ChannelKind::Sms, number.as_str()), (ChannelKind::Email, mail.as_str())];
        world.person(n, &own, &[("家", QINGPU, None, order.clone())]).await;
    }
    world.release("storm", Lane::REST, Colour::Blue, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&["+8613800000002"]).await;
    world.until(|| async { !world.got("r2@example.org").is_empty() }).await;
    world.quiet("storm").await;
    // The end goes to each on the channel that told them.
    world.release("over", Lane::REST, Colour::Blue, None, &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    world.quiet("over").await;
    engine.stop().await;
    let kinds =
        |to: &str| world.got(to).iter().map(|(_, text)| text.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds("+8613800000001"), ["warn", "cancel"]);
    assert_eq!(kinds("r1@example.org"), Vec::<String>::new());
    assert_eq!(kinds("+8613800000002"), Vec::<String>::new());
    assert_eq!(kinds("r2@example.org"), ["warn", "cancel"]);
    assert_eq!(kinds("+8613800000003"), ["warn", "cancel"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_nobody_saw_goes_on_after_two_minutes_and_one_that_was_seen_does_not() {
    let world = World::new().await;
    let order = by(&[ChannelKind::Push, ChannelKind::Sms]);
    for n in 1..=2 {
        let (push, number) = (format!("push{n}"), format!("+861380000000{n}"));
        let own = [(ChannelKind::Push, push.as_str()), (ChannelKind::Sms, number.as_str())];
        world.person(n, &own, &[("家", QINGPU, None, order.clone())]).await;
    }
    world.release("storm", Lane::EXTREME, Colour::Red, None, &[Variant::Warn], &[]).await;
    let engine = world.engine(&[]).await;
    world.quiet("storm").await;
    let release = world.store.releases_of(&["storm".into()]).await.unwrap().remove(0).id;
    world.store.acknowledge(release, 10, world.clock.now()).await.unwrap();
    let due = world.store.due_ladders(world.clock.now() + TimeDelta::hours(1), 10).await.unwrap();
    assert_eq!(due.len(), 1, "one row for the whole chunk");
    *world.clock.0.lock().unwrap() += TimeDelta::seconds(119);
    engine.wake();
    world
        .until(|| async {
            // It has been looked at, and put off.
            world.store.due_ladders(world.clock.now(), 10).await.unwrap().is_empty()
        })
        .await;
    assert_eq!(world.got("+8613800000002"), [], "two minutes are not over");
    *world.clock.0.lock().unwrap() += TimeDelta::seconds(1);
    world.until(|| async { !world.got("+8613800000002").is_empty() }).await;
    world
        .until(|| async {
            world.store.due_ladders(world.clock.now() + TimeDelta::days(1), 10).await.unwrap().is_empty()
        })
        .await;
    engine.stop().await;
    assert_eq!(world.got("+8613800000001"), [], "seen");
    assert_eq!(world.got("push2").len(), 1);
}

fn texts(world: &World, to: &str) -> Vec<String> {
    let mut texts: Vec<_> = world.got(to).into_iter().map(|(_, text)| text).collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_browser_goes_with_the_end_or_an_update_itself_hears_of_it_by_their_next_channel_once() {
    for (variants, word) in [(vec![Variant::Cancel], "cancel"), (vec![Variant::Warn, Variant::Lifted], "warn")] {
        let world = World::new().await;
        let both = Wishes { languages: Language::ALL.to_vec(), ..by(&[PUSH, EMAIL, SMS]) };
        let person = async |n: i64, own: &[(ChannelKind, &str)], wishes: Wishes| {
            world.person(n, own, &[("家", QINGPU, None, wishes.clone()), ("学校", QINGPU, None, wishes)]).await;
        };
        person(1, &[(PUSH, "push1"), (SMS, "+8611"), (EMAIL, "r1@example.org")], both).await;
        person(2, &[(PUSH, "push2"), (SMS, "+8622"), (EMAIL, "bad@example.org")], by(&[PUSH, EMAIL, SMS])).await;
        person(3, &[(PUSH, "push3"), (SMS, "+8633")], by(&[PUSH, SMS])).await;
        person(4, &[(PUSH, "push4"), (SMS, "+8644")], by(&[PUSH])).await;
        let engine = world.engine(&[]).await;
        world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
        engine.wake();
        world.quiet("storm").await;
        engine.stop().await;
        let engine = world.engine(&["push1", "push2", "push4", "bad@example.org"]).await;
        world.release("next", Lane::MODERATE, Colour::Yellow, None, &variants, &["storm"]).await;
        engine.wake();
        world.until(|| async { texts(&world, "r1@example.org").len() == 2 && texts(&world, "+8622").len() == 1 }).await;
        world.climbed().await;
        engine.stop().await;
        let (zh, en) = (format!("next {word} zh-CN"), format!("next {word} en"));
        assert_eq!(texts(&world, "r1@example.org"), [en, zh.clone()], "in each language, in their order of channels");
        assert_eq!(texts(&world, "+8611"), [""; 0], "once");
        assert_eq!(texts(&world, "+8622").concat(), zh, "the next but one, where the next fails too");
        assert_eq!(texts(&world, "push3"), [zh, "storm warn zh-CN".into()]);
        assert_eq!(texts(&world, "+8633"), [""; 0], "whose browser lives");
        assert_eq!(texts(&world, "+8644"), [""; 0], "by no channel that they did not choose");
        let why = world.got.lock().unwrap()["+8622"][0].why.clone();
        assert!(why.is_some_and(|why| why.contains("家")), "and why they get it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_by_two_channels_hears_of_the_end_by_both_and_by_no_third_when_one_fails() {
    let world = World::new().await;
    for n in 1..=2 {
        let (push, sms, mail) = (format!("push{n}"), format!("+86{n}"), format!("r{n}@example.org"));
        let own = [(PUSH, push.as_str()), (SMS, sms.as_str()), (EMAIL, mail.as_str())];
        world.person(n, &own, &[("家", QINGPU, None, by(&[PUSH, SMS, EMAIL]))]).await;
    }
    let engine = world.engine(&[]).await;
    world.release("storm", Lane::EXTREME, Colour::Red, None, &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("storm").await;
    // Nobody saw the push: it went on by short message.
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(2);
    world.until(|| async { texts(&world, "+861").len() == 1 && texts(&world, "+862").len() == 1 }).await;
    world.climbed().await;
    engine.stop().await;
    let engine = world.engine(&["push1", "push2", "+862"]).await;
    world.release("over", Lane::EXTREME, Colour::Red, None, &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    world.until(|| async { texts(&world, "r2@example.org").len() == 1 }).await;
    world.climbed().await;
    engine.stop().await;
    assert_eq!(texts(&world, "+861"), ["over cancel zh-CN", "storm warn zh-CN"]);
    assert_eq!(texts(&world, "r1@example.org"), [""; 0]);
    assert_eq!(texts(&world, "r2@example.org"), ["over cancel zh-CN"], "neither of the two reached them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_to_red_that_nobody_saw_goes_on_too_and_an_end_that_nobody_saw_does_not() {
    let world = World::new().await;
    world.person(1, &[(PUSH, "push1"), (SMS, "+8611")], &[("家", QINGPU, None, by(&[PUSH, SMS]))]).await;
    let engine = world.engine(&[]).await;
    world.release("yellow", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("yellow").await;
    world.release("red", Lane::EXTREME, Colour::Red, None, &[Variant::Warn, Variant::Lifted], &["yellow"]).await;
    engine.wake();
    world.quiet("red").await;
    assert_eq!(texts(&world, "+8611"), [""; 0]);
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(2);
    world.until(|| async { texts(&world, "+8611") == ["red warn zh-CN"] }).await;
    world.climbed().await;
    world.release("over", Lane::EXTREME, Colour::Red, None, &[Variant::Cancel], &["red", "yellow"]).await;
    engine.wake();
    world.quiet("over").await;
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(2);
    world.climbed().await;
    engine.stop().await;
    assert_eq!(texts(&world, "+8611"), ["over cancel zh-CN", "red warn zh-CN"], "by the channels that told them");
    assert_eq!(texts(&world, "push1").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_grew_no_worse_and_an_end_wake_nobody_and_one_that_turned_red_does() {
    for (colour, variants, held) in [
        (Colour::Yellow, vec![Variant::Warn, Variant::Lifted], true),
        (Colour::Yellow, vec![Variant::Cancel], true),
        (Colour::Red, vec![Variant::Warn, Variant::Lifted], false),
    ] {
        let world = World::new().await;
        let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
        let asleep = Wishes { quiet: night, ..by(&[SMS]) };
        world.person(1, &[(SMS, "+8611")], &[("家", QINGPU, None, asleep)]).await;
        world.person(2, &[(SMS, "+8622")], &[("家", QINGPU, None, by(&[SMS]))]).await;
        let engine = world.engine(&[]).await;
        world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
        engine.wake();
        world.quiet("storm").await;
        *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
        world.release("next", Lane::MODERATE, colour, None, &variants, &["storm"]).await;
        engine.wake();
        world.until(|| async { texts(&world, "+8622").len() == 2 }).await;
        let waiting = world.store.states("next").await.unwrap()[&SMS].waiting;
        if held {
            assert_eq!((texts(&world, "+8611").len(), waiting), (1, 1), "planned, and not sent");
        }
        *world.clock.0.lock().unwrap() =
            if held { "2026-07-01T22:30:00Z" } else { "2026-07-01T15:00:00Z" }.parse().unwrap();
        world.quiet("next").await;
        engine.stop().await;
        assert_eq!(texts(&world, "+8611").len(), 2, "{colour:?} {variants:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_outlasts_the_longest_night_and_a_correction_or_what_is_over_by_morning_waits_for_none() {
    // The end waits for the morning, which comes; the others must not.
    for (variants, over_by_morning, at_once) in [
        (vec![Variant::Cancel], false, false),
        (vec![Variant::Correction], false, true),
        (vec![Variant::Warn, Variant::Lifted], false, false),
        (vec![Variant::Warn, Variant::Lifted], true, true),
    ] {
        let world = World::new().await;
        let long = Some(Quiet { from: 38, to: 37, severe_wakes: false });
        let asleep = Wishes { quiet: long, ..by(&[SMS]) };
        world.person(1, &[(SMS, "+8611")], &[("家", QINGPU, None, asleep)]).await;
        // Half an hour in which they are awake.
        *world.clock.0.lock().unwrap() = "2026-07-01T10:40:00Z".parse().unwrap();
        let engine = world.engine(&[]).await;
        world.release("storm", Lane::MODERATE, Colour::Yellow, None, &[Variant::Warn], &[]).await;
        engine.wake();
        world.quiet("storm").await;
        engine.stop().await;
        *world.clock.0.lock().unwrap() = "2026-07-01T11:10:00Z".parse().unwrap();
        world.release("next", Lane::MODERATE, Colour::Yellow, None, &variants, &["storm"]).await;
        let morning = "2026-07-02T10:30:00Z".parse().unwrap();
        if over_by_morning {
            let mut tx = world.store.begin().await.unwrap();
            let update = sqlx::query("UPDATE release SET expires = $1 WHERE alert = 'next'");
            update.bind(chrono::DateTime::timestamp_millis(&morning)).execute(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        }
        let engine = world.engine(&[]).await;
        world.until(|| async { world.store.is_planned("next").await.unwrap() }).await;
        if at_once {
            world.until(|| async { texts(&world, "+8611").len() == 2 }).await;
        } else {
            let waiting = world.store.states("next").await.unwrap()[&SMS].waiting;
            assert_eq!((texts(&world, "+8611").len(), waiting), (1, 1), "planned, and not sent: {variants:?}");
            *world.clock.0.lock().unwrap() = morning;
            world.quiet("next").await;
        }
        engine.stop().await;
        assert_eq!(texts(&world, "+8611").len(), 2, "{variants:?}");
    }
}

/// Some people with all three channels, told of a storm by push and, as nobody saw that, by short message.
async fn told_by_two_channels(world: &World, people: std::ops::RangeInclusive<i64>) {
    for n in people.clone() {
        let (push, sms, mail) = (format!("push{n}"), format!("+86{n}"), format!("r{n}@example.org"));
        let own = [(PUSH, push.as_str()), (SMS, sms.as_str()), (EMAIL, mail.as_str())];
        world.person(n, &own, &[("家", QINGPU, None, by(&[PUSH, SMS, EMAIL]))]).await;
    }
    let engine = world.engine(&[]).await;
    world.release("storm", Lane::EXTREME, Colour::Red, None, &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("storm").await;
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(2);
    world.until(|| async { people.clone().all(|n| texts(world, &format!("+86{n}")).len() == 1) }).await;
    world.climbed().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_a_red_update_that_nobody_saw_is_not_heard_when_the_short_message_fails_later() {
    let world = World::new().await;
    told_by_two_channels(&world, 1..=2).await;
    let engine = world.engine_by(&[PUSH, EMAIL], &[]).await;
    let variants = [Variant::Warn, Variant::Lifted];
    world.release("worse", Lane::EXTREME, Colour::Red, None, &variants, &["storm"]).await;
    engine.wake();
    world.until(|| async { (1..=2).all(|n| texts(&world, &format!("push{n}")).len() == 2) }).await;
    let release = world.store.releases_of(&["worse".into()]).await.unwrap().remove(0).id;
    world.store.acknowledge(release, 20, world.clock.now()).await.unwrap();
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(2);
    // The short message still waits: nobody is handed on, and the push has no more to say.
    world
        .until(|| async {
            let later = world.clock.now() + TimeDelta::days(1);
            world.store.is_planned("worse").await.unwrap()
                && world.store.due_ladders(later, 10).await.unwrap().is_empty()
        })
        .await;
    engine.stop().await;
    assert_eq!(texts(&world, "r1@example.org"), [""; 0]);
    *world.clock.0.lock().unwrap() += TimeDelta::minutes(3);
    let engine = world.engine(&["+861", "+862"]).await;
    world.until(|| async { texts(&world, "r1@example.org") == ["worse warn zh-CN"] }).await;
    world.climbed().await;
    engine.stop().await;
    assert_eq!(texts(&world, "r2@example.org"), [""; 0], "who saw the push has heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_handed_back_to_an_address_that_has_failed_already() {
    let world = World::new().await;
    told_by_two_channels(&world, 1..=1).await;
    let engine = world.engine_by(&[SMS, EMAIL], &["+861"]).await;
    let variants = [Variant::Warn, Variant::Lifted];
    world.release("next", Lane::MODERATE, Colour::Yellow, None, &variants, &["storm"]).await;
    engine.wake();
    // The push still waits, and will be heard as far as anybody knows.
    world
        .until(|| async {
            let planned = world.store.is_planned("next").await.unwrap();
            planned && world.store.states("next").await.unwrap().get(&SMS).is_some_and(|counts| counts.failed == 1)
        })
        .await;
    world.until(|| async { world.store.due_ladders(world.clock.now(), 10).await.unwrap().is_empty() }).await;
    engine.stop().await;
    assert_eq!(texts(&world, "r1@example.org"), [""; 0]);
    let engine = world.engine(&["push1"]).await;
    world.until(|| async { world.store.states("next").await.unwrap()[&PUSH].failed == 1 }).await;
    world.climbed().await;
    engine.stop().await;
    assert_eq!(texts(&world, "r1@example.org"), ["next warn zh-CN"]);
    assert_eq!(texts(&world, "+861"), ["storm warn zh-CN"]);
    assert_eq!(world.store.states("next").await.unwrap()[&SMS].total(), 1, "once in a release");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_a_chunk_is_read_once_and_where_they_stand_each_time() {
    let world = World::new().await;
    told_by_two_channels(&world, 1..=2).await;
    let engine = world.engine_by(&[PUSH], &["push1", "push2"]).await;
    world.release("over", Lane::MODERATE, Colour::Yellow, None, &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    world
        .until(|| async {
            let planned = world.store.is_planned("over").await.unwrap();
            planned && world.store.states("over").await.unwrap()[&PUSH].failed == 2
        })
        .await;
    engine.stop().await;
    let release = world.store.releases_of(&["over".into()]).await.unwrap().remove(0).id;
    let dispatches = world.store.dispatches(release).await.unwrap();
    let was = dispatches.iter().find(|d| d.content.kind() == PUSH && d.language == Language::Chinese).unwrap();
    let gone = |n: u64| Recipient { id: n * 10, region: 0, to: String::new() };
    let people = [gone(1), gone(2)];
    let mut hearing = Hearing::default();
    let ways = async |hearing: &mut Hearing| {
        hearing.look_again();
        let going: Vec<_> = people.iter().map(|recipient| Going { at: 0, recipient }).collect();
        hearing.ways(&world.store, (release, &dispatches), (was, false), &going).await.unwrap()
    };
    assert_eq!(ways(&mut hearing).await, [[], []], "the short message will reach them");
    // Read once more, this would be nobody.
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE chunk SET body = $1 WHERE release = $2")
        .bind(&[255_u8][..])
        .bind(release)
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ways(&mut hearing).await, [[], []]);
    let mut tx = world.store.begin().await.unwrap();
    let (failed, accepted) = (DeliveryState::Failed.code(), DeliveryState::Accepted.code());
    sqlx::query("UPDATE chunk SET state = 2, finals = $1 WHERE release = $2 AND channel = 'sms'")
        .bind(&[failed, accepted][..])
        .bind(release)
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ways(&mut hearing).await, [vec![(EMAIL, 12)], vec![]]);
    // A part that goes on is cut: the one stays, and the other is in it no more.
    let mut packer = Packer::new();
    packer.push(11, 0, "");
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE chunk SET n = 1, body = $1, state = 0, finals = NULL WHERE release = $2 AND channel = 'sms'")
        .bind(packer.take().0)
        .bind(release)
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ways(&mut hearing).await, [vec![], vec![(SMS, 21), (EMAIL, 22)]]);
    let mut tx = world.store.begin().await.unwrap();
    let gone = sqlx::query("DELETE FROM chunk WHERE release = $1 AND channel = 'sms'").bind(release);
    gone.execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ways(&mut hearing).await, [1, 2].map(|n| vec![(SMS, n * 10 + 1), (EMAIL, n * 10 + 2)]));
}

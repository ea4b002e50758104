//! People whose browser is gone hear of a danger, and of its end, elsewhere; a browser that moved meanwhile is not ended.

use std::sync::Arc;

use tocsin_channels::{Answer, Channel, ChannelKind, Window};

use super::test_world::{QINGPU, World, by};
use super::{Engine, EngineOptions, Provider, WaysOut};
use crate::cap::Colour;
use crate::clock::Clock;
use crate::delivery::Address;
use crate::messages::{Language, Variant};
use crate::residents::{Quiet, Wishes};
use crate::rules::Lane;
use crate::store::Store;

const PUSH: ChannelKind = ChannelKind::Push;
const SMS: ChannelKind = ChannelKind::Sms;
const EMAIL: ChannelKind = ChannelKind::Email;

/// Somebody with a browser and these other addresses; told as they wish.
async fn reader(world: &World, n: i64, others: &[(ChannelKind, &str)], wishes: Wishes) {
    let push = format!("push{n}");
    let own: Vec<_> = [(PUSH, push.as_str())].into_iter().chain(others.iter().copied()).collect();
    world.person(n, &own, &[("家", QINGPU, None, wishes)]).await;
}

async fn end(world: &World, address: u64, value: &str) -> u64 {
    world.store.end_gone(&[(address, value.to_owned())], world.clock.now()).await.unwrap()
}

async fn release(world: &World, name: &str, variants: &[Variant], old: &[&str]) {
    world.release(name, Lane::MODERATE, Colour::Yellow, None, variants, old).await;
}

fn texts(world: &World, to: &str) -> Vec<String> {
    let mut texts: Vec<_> = world.got(to).into_iter().map(|(_, text)| text).collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_held_for_the_morning_whose_browser_goes_meanwhile_is_told_by_the_next_channel_in_each_language() {
    let world = World::new().await;
    *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
    let night = Some(Quiet { from: 44, to: 13, severe_wakes: false });
    let asleep = || Wishes { quiet: night, languages: Language::ALL.to_vec(), ..by(&[PUSH, SMS]) };
    for (n, number) in [(1, "+8613800000001"), (2, "+8613800000002"), (3, "+8613800000003")] {
        reader(&world, n, &[(SMS, number)], asleep()).await;
    }
    let engine = world.engine(&[]).await;
    release(&world, "storm", &[Variant::Warn], &[]).await;
    engine.wake();
    world.until(|| async { world.store.is_planned("storm").await.unwrap() }).await;
    assert_eq!(end(&world, 10, "push1").await, 1);
    assert!(world.store.leave(20, world.clock.now()).await.unwrap());
    *world.clock.0.lock().unwrap() = "2026-07-01T22:30:00Z".parse().unwrap();
    world.until(|| async { texts(&world, "+8613800000001").len() == 2 }).await;
    world.quiet("storm").await;
    engine.stop().await;
    assert_eq!(texts(&world, "+8613800000001"), ["storm warn en", "storm warn zh-CN"]);
    assert_eq!((texts(&world, "push1").len(), texts(&world, "push3").len()), (0, 2));
    assert_eq!(texts(&world, "+8613800000002").len(), 0, "this one asked not to be told");
    let counts = world.store.states("storm").await.unwrap()[&PUSH];
    assert_eq!((counts.failed, counts.opted_out, counts.accepted), (2, 2, 2), "and the states say so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_warned_by_a_browser_that_is_gone_hears_of_the_end_elsewhere_and_once() {
    let world = World::new().await;
    let both = |order: &[ChannelKind]| Wishes { languages: Language::ALL.to_vec(), ..by(order) };
    reader(&world, 1, &[(SMS, "+8613800000001"), (EMAIL, "r1@example.org")], both(&[PUSH, EMAIL, SMS])).await;
    reader(&world, 2, &[(SMS, "+8613800000002")], by(&[PUSH, SMS])).await;
    reader(&world, 3, &[(SMS, "+8613800000003")], by(&[PUSH, SMS])).await;
    reader(&world, 4, &[], by(&[PUSH])).await;
    reader(&world, 5, &[(SMS, "+8613800000005")], by(&[PUSH])).await;
    let engine = world.engine(&[]).await;
    release(&world, "storm", &[Variant::Warn], &[]).await;
    engine.wake();
    world.quiet("storm").await;
    for n in [1, 4, 5] {
        assert_eq!(end(&world, n * 10, &format!("push{n}")).await, 1);
    }
    assert!(world.store.leave(20, world.clock.now()).await.unwrap());
    release(&world, "over", &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    world.quiet("over").await;
    assert_eq!(texts(&world, "r1@example.org"), ["over cancel en", "over cancel zh-CN"], "in their order of channels");
    assert_eq!(texts(&world, "+8613800000001"), [""; 0], "once");
    assert_eq!(texts(&world, "+8613800000002"), [""; 0], "this one asked not to be told");
    assert_eq!(texts(&world, "push3"), ["over cancel zh-CN", "storm warn zh-CN"]);
    assert_eq!(texts(&world, "+8613800000003"), [""; 0]);
    assert_eq!(texts(&world, "+8613800000005"), [""; 0], "by no channel that they did not choose");
    // Said again, they have heard it.
    release(&world, "over-again", &[Variant::Cancel], &["storm", "over"]).await;
    engine.wake();
    world.quiet("over-again").await;
    engine.stop().await;
    assert_eq!(texts(&world, "r1@example.org").len(), 2);
}

/// A push service whose subscription is changed while a message to the old one is on its way.
struct Late(Store);

#[async_trait::async_trait]
impl Channel for Late {
    fn kind(&self) -> ChannelKind {
        PUSH
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let push = |value: &str| Address { channel: PUSH, value: value.into() };
        let mut tx = self.0.begin().await.unwrap();
        assert!(self.0.swap_browser(&mut tx, 10, (&push("push1"), &push("new1"))).await.unwrap());
        tx.commit().await.unwrap();
        window.messages.iter().map(|_| Answer::gone("410")).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_word_that_the_old_subscription_is_gone_does_not_end_the_new_one() {
    let world = World::new().await;
    reader(&world, 1, &[], by(&[PUSH])).await;
    reader(&world, 2, &[], by(&[PUSH])).await;
    release(&world, "storm", &[Variant::Warn], &[]).await;
    let channel = Arc::new(Late(world.store.clone()));
    let provider = Provider { name: "late".into(), channel, rate: None, workers: 1, window: 50 };
    let options = EngineOptions {
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        leave: WaysOut::default(),
        policy: Some(Arc::clone(&world.policy)),
    };
    let engine = Engine::start(world.store.clone(), vec![provider], options).await.unwrap();
    world.quiet("storm").await;
    engine.stop().await;
    let values = world.store.values(&[10, 20]).await.unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), [(10, "new1".to_owned())], "the other one has ended");
    assert_eq!((end(&world, 10, "push1").await, end(&world, 10, "new1").await), (0, 1));
}

//! The engine over a real store and a channel that is told how to behave.

mod damaged;
mod told;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_channels::{Answer, Channel, ChannelKind, Class, Content, Message, SmsContent, Window};
use tokio::sync::{Notify, Semaphore};

use super::{Engine, EngineOptions, Provider, WaysOut};
use crate::clock::{Clock, SetClock, SystemClock};
use crate::delivery::StateCounts;
use crate::messages::{Language, Variant};
use crate::rules::{Lane, Reach};
use crate::store::{
    NewDispatch, NewRelease, ReleaseKind, Store, StoreOptions, hold_release, insert_release, resume_release, supersede,
    take_ids,
};

/// What to answer a message that comes for the n-th time.
type Script = Box<dyn Fn(&Message, usize) -> Class + Send + Sync>;

/// Answers as a script says, and remembers every message.
struct Scripted {
    answer: Script,
    seen: Mutex<HashMap<(String, String), usize>>,
    texts: Mutex<Vec<String>>,
    /// Windows wait for a permit each while this is held back.
    gate: Option<Semaphore>,
    entered: Notify,
    windows: AtomicUsize,
}

impl Scripted {
    fn new(answer: impl Fn(&Message, usize) -> Class + Send + Sync + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            seen: Mutex::default(),
            texts: Mutex::default(),
            gate: None,
            entered: Notify::new(),
            windows: AtomicUsize::new(0),
        }
    }

    fn gated(mut self) -> Self {
        self.gate = Some(Semaphore::new(0));
        self
    }

    fn open(&self, windows: usize) {
        if let Some(gate) = &self.gate {
            gate.add_permits(windows);
        }
    }

    fn people(&self, text: &str) -> HashMap<String, usize> {
        let seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.iter().filter(|((t, _), _)| t == text).map(|((_, to), n)| (to.clone(), *n)).collect()
    }
}

#[async_trait::async_trait]
impl Channel for Scripted {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Sms
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let Content::Sms(content) = window.content else { return Vec::new() };
        self.windows.fetch_add(1, Ordering::SeqCst);
        self.texts.lock().unwrap().push(content.text.clone());
        self.entered.notify_one();
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut answer = |message: &Message| {
            let times = seen.entry((content.text.clone(), message.to.clone())).or_default();
            *times += 1;
            match (self.answer)(message, *times) {
                Class::Accepted => Answer::ACCEPTED,
                class => Answer::new(class, "scripted"),
            }
        };
        window.messages.iter().map(&mut answer).collect()
    }
}

struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        Self { store, _folder: folder }
    }

    async fn people(&self, region: &str, n: i64) {
        let mut tx = self.store.begin().await.unwrap();
        let first = take_ids(&mut tx, "address", n).await.unwrap();
        for id in first..first + n {
            sqlx::query(
                "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
                 VALUES ($1, $1, 'public', 'sms', 'zh-CN', $2, $3, $3)",
            )
            .bind(id)
            .bind(region)
            .bind(format!("+86{id:011}"))
            .execute(&mut tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Releases a text to a region, replacing `old`; the text is the alert's id.
    async fn release(&self, text: &str, region: &str, lane: Lane, variants: &[Variant], old: &[&str]) {
        self.release_until(text, region, lane, variants, old, Utc::now() + Duration::from_secs(3600)).await;
    }

    async fn release_until(
        &self,
        text: &str,
        region: &str,
        lane: Lane,
        variants: &[Variant],
        old: &[&str],
        expires: DateTime<Utc>,
    ) {
        let mut tx = self.store.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO alert (id, sender, identifier, sent, msg_type, status, hazard, severity, headline, bureau,
             received_at, format, verdict, findings, state, chain)
             VALUES ($1, '', $1, 0, '', '', '', '', '', '', 0, '', '', '', 'released', '')",
        )
        .bind(text)
        .execute(&mut tx)
        .await
        .unwrap();
        for old in old {
            sqlx::query("INSERT INTO alert_reference (alert, refers_to) VALUES ($1, $2)")
                .bind(text)
                .bind(*old)
                .execute(&mut tx)
                .await
                .unwrap();
            supersede(&mut tx, old, text, Utc::now()).unwrap();
        }
        let content = |variant: &Variant| NewDispatch {
            language: Language::Chinese,
            variant: *variant,
            content: Content::Sms(SmsContent { text: format!("{text} {}", variant.as_str()) }),
        };
        let new = NewRelease {
            alert: text.into(),
            lane,
            name: format!("alert/{text}"),
            kind: ReleaseKind::Alert,
            jurisdiction: None,
            within: None,
            origin: None,
            reach: Reach::Live { public: true, officials: false },
            regions: vec![region.parse().unwrap()],
            channels: [ChannelKind::Sms].into(),
            expires,
            signed_by: "test".into(),
            dispatches: variants.iter().map(content).collect(),
            scene: None,
        };
        insert_release(&mut tx, &new, Utc::now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn engine(&self, channel: Arc<Scripted>, workers: usize, window: usize) -> Engine {
        self.engine_at(channel, workers, window, Arc::new(SystemClock)).await
    }

    async fn engine_at(&self, channel: Arc<Scripted>, workers: usize, window: usize, clock: Arc<dyn Clock>) -> Engine {
        let provider = Provider { name: "scripted".into(), channel, rate: None, workers, window };
        Engine::start(
            self.store.clone(),
            vec![provider],
            EngineOptions { clock, leave: WaysOut::default(), policy: None },
        )
        .await
        .unwrap()
    }

    async fn counts(&self, alert: &str) -> StateCounts {
        self.store.states(alert).await.unwrap().get(&ChannelKind::Sms).copied().unwrap_or_default()
    }

    /// Waits until all of an alert is in chunks.
    async fn planned(&self, alert: &str) {
        for _ in 0..3_000 {
            if self.store.is_planned(alert).await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{alert} is never planned");
    }

    /// Waits for the store to say so.
    async fn until(&self, alert: &str, done: impl Fn(&StateCounts) -> bool) -> StateCounts {
        for _ in 0..3_000 {
            let counts = self.counts(alert).await;
            if done(&counts) {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came to be: {:?}", self.counts(alert).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_in_the_region_is_told_once_and_nobody_else() {
    let world = World::new().await;
    world.people("310118", 2_500).await;
    world.people("320509", 100).await;
    world.release("storm", "310118", Lane::EXTREME, &[Variant::Warn], &[]).await;
    world.people("310118", 10).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 4, 64).await;
    let counts = world.until("storm", |counts| counts.accepted == 2_500).await;
    engine.stop().await;
    assert_eq!(counts.total(), 2_500, "the audience was frozen before ten more signed up");
    assert!(channel.people("storm warn").values().all(|times| *times == 1));
    assert_eq!(channel.people("storm warn").len(), 2_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_class_of_answer_ends_where_it_should() {
    let world = World::new().await;
    world.people("310118", 100).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    // The last two digits of the number say what becomes of it.
    let channel = Arc::new(Scripted::new(|message, times| match &message.to[message.to.len() - 2..] {
        "01" => Class::BadAddress,
        "02" => Class::OptedOut,
        "03" => Class::Content,
        "04" if times == 1 => Class::Transient,
        "05" if times == 1 => Class::Ambiguous,
        "06" if times < 3 => Class::Throttled,
        _ => Class::Accepted,
    }));
    let engine = world.engine(Arc::clone(&channel), 1, 10).await;
    let counts = world.until("storm", |counts| counts.open() == 0 && counts.total() == 100).await;
    engine.stop().await;
    assert_eq!((counts.accepted, counts.failed, counts.opted_out), (97, 2, 1));
    let told = channel.people("storm warn");
    assert_eq!(told["+8600000000004"], 2, "transient: tried again");
    assert_eq!(told["+8600000000005"], 2, "ambiguous in an upper lane: sent again under the same key");
    assert_eq!(told["+8600000000006"], 3);
    assert_eq!(told["+8600000000001"], 1, "a bad address is not tried again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_after_expires_and_the_states_say_so() {
    let world = World::new().await;
    world.people("310118", 300).await;
    let now = Utc::now();
    let clock = Arc::new(SetClock(Mutex::new(now)));
    let soon = now + Duration::from_secs(60);
    world.release_until("storm", "310118", Lane::EXTREME, &[Variant::Warn], &[], soon).await;
    let channel = Arc::new(Scripted::new(
        |message, _| {
            if message.to.ends_with('7') { Class::Accepted } else { Class::Transient }
        },
    ));
    let engine = world.engine_at(Arc::clone(&channel), 2, 50, Arc::<SetClock>::clone(&clock)).await;
    world.until("storm", |counts| counts.accepted == 30 && counts.total() == 300).await;
    let windows = channel.windows.load(Ordering::SeqCst);
    *clock.0.lock().unwrap() = soon;
    engine.wake();
    let counts = world.until("storm", |counts| counts.open() == 0).await;
    engine.stop().await;
    assert_eq!((counts.accepted, counts.expired), (30, 270));
    // What each of the two workers had in hand at that moment, or took just before.
    let more = channel.windows.load(Ordering::SeqCst) - windows;
    assert!(more <= 4, "windows opened after expires: {more}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_stops_the_old_at_once_and_goes_to_those_told_only() {
    let world = World::new().await;
    world.people("310118", 100).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted).gated());
    let engine = world.engine(Arc::clone(&channel), 1, 10).await;
    channel.open(2);
    world.until("storm", |counts| counts.accepted == 20 && counts.sending == 10).await;
    // Two windows are recorded, the third is in the provider's hands.
    world.release("over", "310118", Lane::SEVERE, &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    channel.open(100);
    let old = world.until("storm", |counts| counts.open() == 0).await;
    let new = world.until("over", |counts| counts.accepted == 30).await;
    engine.stop().await;
    assert_eq!((old.accepted, old.superseded, old.total()), (30, 70, 100));
    assert_eq!(new.total(), 30);
    assert_eq!(
        channel.people("storm warn").keys().collect::<std::collections::BTreeSet<_>>(),
        channel.people("over cancel").keys().collect()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_holds_all_but_the_windows_in_hand_and_they_are_a_second_long() {
    let world = World::new().await;
    world.people("310118", 1_000).await;
    world.release("storm", "310118", Lane::EXTREME, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted).gated());
    // Windows may be of 500; of a provider that is not known yet, the first holds what a second holds.
    let engine = world.engine(Arc::clone(&channel), 2, 500).await;
    world.until("storm", |counts| counts.sending == 32).await;
    let mut tx = world.store.begin().await.unwrap();
    hold_release(&mut tx, 1, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    channel.open(100);
    let held = world.until("storm", |counts| counts.accepted == 32 && counts.sending == 0).await;
    assert_eq!((held.waiting, channel.windows.load(Ordering::SeqCst)), (968, 2));
    let (release, mut tx) = (world.store.release(1).await.unwrap().unwrap(), world.store.begin().await.unwrap());
    resume_release(&mut tx, &release).await.unwrap();
    tx.commit().await.unwrap();
    engine.wake();
    world.until("storm", |counts| counts.accepted == 1_000).await;
    assert!(channel.people("storm warn").values().all(|times| *times == 1), "and nobody twice");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_panics_loses_nobody() {
    let world = World::new().await;
    world.people("310118", 20).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let first = AtomicBool::new(true);
    let channel = Arc::new(Scripted::new(move |_, _| {
        assert!(!first.swap(false, Ordering::SeqCst), "the adapter breaks once");
        Class::Accepted
    }));
    // The poisoned lock is the adapter's own affair.
    let engine = world.engine(Arc::clone(&channel), 1, 10).await;
    let counts = world.until("storm", |counts| counts.accepted == 20).await;
    engine.stop().await;
    assert_eq!(counts.total(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn red_overtakes_blue_within_the_windows_in_flight() {
    let world = World::new().await;
    world.people("310118", 5_000).await;
    world.people("320509", 30).await;
    world.release("blue", "310118", Lane::REST, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted).gated());
    let engine = world.engine(Arc::clone(&channel), 2, 10).await;
    channel.open(4);
    world.until("blue", |counts| counts.accepted >= 20 && counts.sending == 20).await;
    world.release("red", "320509", Lane::EXTREME, &[Variant::Warn], &[]).await;
    engine.wake();
    world.until("red", |counts| counts.total() == 30).await;
    let before = channel.texts.lock().unwrap().len();
    channel.open(1_000);
    world.until("red", |counts| counts.accepted == 30).await;
    let texts = channel.texts.lock().unwrap().clone();
    let red = texts.iter().skip(before).position(|text| text == "red warn").unwrap();
    // Two windows were in flight; a poll may let each worker start one more before it learns of the red one.
    assert!(red <= 4, "{red} windows went before the red alert");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_misses_nobody_and_repeats_at_most_its_open_windows() {
    let world = World::new().await;
    world.people("310118", 4_000).await;
    world.release("storm", "310118", Lane::EXTREME, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted).gated());
    for kill in 1..=5 {
        // The runtime is dropped with everything in flight, as a killed process would leave it.
        let (store, channel) = (world.store.clone(), Arc::clone(&channel));
        let stands = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let windows = channel.windows.load(Ordering::SeqCst);
            runtime.block_on(async {
                let provider =
                    Provider { name: "x".into(), channel: channel.clone(), rate: None, workers: 3, window: 50 };
                let options = EngineOptions { clock: Arc::new(SystemClock), leave: WaysOut::default(), policy: None };
                let _engine = Engine::start(store, vec![provider], options).await.unwrap();
                channel.open(7);
                while channel.windows.load(Ordering::SeqCst) < windows + 8 {
                    channel.entered.notified().await;
                }
            });
            runtime.shutdown_background();
        });
        stands.await.unwrap();
        assert_eq!(world.counts("storm").await.total() % 200, 0, "kill {kill}");
    }
    channel.open(10_000);
    let engine = world.engine(Arc::clone(&channel), 3, 50).await;
    let counts = world.until("storm", |counts| counts.accepted == 4_000).await;
    engine.stop().await;
    assert_eq!(counts.total(), 4_000);
    let people = channel.people("storm warn");
    assert_eq!(people.len(), 4_000, "nobody missed");
    let repeats: usize = people.values().map(|times| times - 1).sum();
    assert!(repeats <= 5 * 3 * 50, "{repeats} repeats over five kills");
}

//! People with places: whom an alert's exact shape concerns, by which channel, and what happens when a channel fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_channels::{
    Answer, Channel, ChannelKind, Class, Content, EmailContent, PushContent, SmsContent, Urgency, Window,
};

use super::{Engine, EngineOptions, Provider, WaysOut};
use crate::cap::{Colour, Hazard, Point};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Address;
use crate::messages::{Language, Variant};
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::residents::{Hazards, Quiet, Wishes};
use crate::rules::{Audience, Lane, Reach};
use crate::store::{NewDispatch, NewRelease, Place, ReleaseKind, Store, StoreOptions, insert_release, supersede};

/// A clock that a test sets.
#[derive(Debug)]
pub(super) struct SetClock(pub(super) Mutex<DateTime<Utc>>);

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// One message that reached somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    kind: ChannelKind,
    text: String,
    why: Option<String>,
}

/// A provider that refuses some addresses for good and remembers what it took.
pub(super) struct Post {
    pub(super) kind: ChannelKind,
    pub(super) refused: Vec<String>,
    pub(super) got: Arc<Mutex<HashMap<String, Vec<Got>>>>,
}

#[async_trait::async_trait]
impl Channel for Post {
    fn kind(&self) -> ChannelKind {
        self.kind
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let text = match window.content {
            Content::Sms(content) => &content.text,
            Content::Email(content) => &content.text,
            Content::Push(content) => &content.payload,
            Content::Mqtt(content) => &content.event,
        };
        let mut got = self.got.lock().unwrap();
        let mut take = |message: &tocsin_channels::Message| {
            if self.refused.contains(&message.to) {
                return Answer::new(Class::BadAddress, "scripted");
            }
            let one = Got { kind: self.kind, text: text.clone(), why: message.why.clone() };
            got.entry(message.to.clone()).or_default().push(one);
            Answer::ACCEPTED
        };
        window.messages.iter().map(&mut take).collect()
    }
}

pub(super) const QINGPU: &str = "310118";
const NOW: &str = "2026-07-01T04:00:00Z";

pub(super) struct World {
    pub(super) store: Store,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) clock: Arc<SetClock>,
    pub(super) got: Arc<Mutex<HashMap<String, Vec<Got>>>>,
    _folder: tempfile::TempDir,
}

/// A square round a point, closed, as GeoJSON-free JSON CAP writes polygons.
fn square(lat: f64, lon: f64, half: f64) -> String {
    let corner = |a: f64, b: f64| format!("{},{}", lat + a * half, lon + b * half);
    [corner(-1., -1.), corner(-1., 1.), corner(1., 1.), corner(1., -1.), corner(-1., -1.)].join(" ")
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&Config::default()).unwrap()));
        let clock = Arc::new(SetClock(Mutex::new(NOW.parse().unwrap())));
        Self { store, policy, clock, got: Arc::default(), _folder: folder }
    }

    fn at(&self, county: &str) -> Point {
        self.policy.load().map.middle(&county.parse().unwrap()).unwrap()
    }

    pub(super) async fn person(
        &self,
        id: i64,
        addresses: &[(ChannelKind, &str)],
        places: &[(&str, &str, Option<Point>, Wishes)],
    ) {
        let mut tx = self.store.begin().await.unwrap();
        for (at, (channel, value)) in (0_i64..).zip(addresses) {
            let address = Address { channel: *channel, value: (*value).into() };
            sqlx::query(
                "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
                 VALUES ($1, $2, 'public', $3, 'zh-CN', '', $4, $5)",
            )
            .bind(id * 10 + at)
            .bind(id)
            .bind(channel.as_str())
            .bind(self.store.seal(&address).unwrap())
            .bind(self.store.digest(&address))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        let place = |(name, region, point, wishes): &(&str, &str, Option<Point>, Wishes)| Place {
            id: 0,
            name: (*name).into(),
            region: region.parse().unwrap(),
            point: *point,
            wishes: wishes.clone(),
        };
        let places: Vec<_> = places.iter().map(|one| (id, place(one))).collect();
        self.store.insert_places(&mut tx, &places).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Releases a yellow (or other) typhoon in these areas: polygons as JSON CAP, or a county by its code where there is none.
    pub(super) async fn release(
        &self,
        name: &str,
        lane: Lane,
        colour: Colour,
        polygon: Option<&str>,
        variants: &[Variant],
        old: &[&str],
    ) {
        let area = match polygon {
            Some(polygon) => serde_json::json!({"areaDesc": "x", "polygon": polygon}),
            None => {
                serde_json::json!({"areaDesc": "x", "geocode": {"valueName": "CPEAS Geographic Code", "value": "310118000000"}})
            }
        };
        let raw = serde_json::json!({
            "identifier": name, "sender": "s", "sent": "2026-07-01T12:00:00+08:00", "status": "Actual", "msgType": "Alert", "scope": "Public",
            "info": {"language": "zh-CN", "category": "Met", "event": "台风", "headline": format!("台风{}预警", colour.name_zh()),
                "urgency": "Expected", "severity": colour.severity().as_str(), "certainty": "Likely", "area": area}
        })
        .to_string();
        let alert = crate::cap::read_json(raw.as_bytes()).alert.expect("an alert");
        let policy = self.policy.load();
        let located = policy.map.locate(&crate::approval::areas(&alert), &policy.locate);
        let regions: Vec<RegionCode> = located.counties.iter().map(|found| found.region.clone()).collect();
        let now = self.clock.now();
        let mut tx = self.store.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO alert (id, sender, identifier, sent, msg_type, status, hazard, severity, headline, bureau,
             received_at, format, raw, verdict, findings, state, chain, located)
             VALUES ($1, '', $1, 0, '', '', '', '', '', '', 0, 'json', $2, '', '', 'released', '', $3)",
        )
        .bind(name)
        .bind(raw.as_bytes())
        .bind(serde_json::to_string(&located).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
        for old in old {
            sqlx::query("INSERT INTO alert_reference (alert, refers_to) VALUES ($1, $2)")
                .bind(name)
                .bind(*old)
                .execute(&mut *tx)
                .await
                .unwrap();
            supersede(&mut tx, old, name, now).await.unwrap();
        }
        let mut dispatches = Vec::new();
        for (variant, language) in variants.iter().flat_map(|v| Language::ALL.map(|l| (*v, l))) {
            let text = format!("{name} {} {}", variant.as_str(), language.tag());
            let push = PushContent { payload: text.clone(), topic: "t".into(), urgency: Urgency::High };
            let mail = EmailContent { subject: text.clone(), text: text.clone(), html: text.clone(), picture: None };
            for content in [Content::Sms(SmsContent { text }), Content::Email(mail), Content::Push(push)] {
                dispatches.push(NewDispatch { language, variant, content });
            }
        }
        let new = NewRelease {
            alert: name.into(),
            lane,
            name: format!("alert/{name}"),
            kind: ReleaseKind::Alert,
            jurisdiction: None,
            within: None,
            origin: None,
            reach: if name.starts_with("drill") {
                Reach::Exercise
            } else {
                Reach::Live { public: true, officials: false }
            },
            regions,
            channels: [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push].into(),
            expires: now + TimeDelta::hours(24),
            signed_by: "test".into(),
            dispatches,
            scene: None,
        };
        insert_release(&mut tx, &new, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Everything set up, with addresses that are refused.
    pub(super) async fn engine(&self, refused: &[&str]) -> Engine {
        let provider = |kind: ChannelKind| {
            let refused = refused.iter().map(|to| (*to).to_owned()).collect();
            let channel = Arc::new(Post { kind, refused, got: Arc::clone(&self.got) });
            Provider { name: kind.to_string(), channel, rate: None, workers: 2, window: 50 }
        };
        let providers = [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push].map(provider).into();
        let options = EngineOptions {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            leave: WaysOut::default(),
            policy: Some(Arc::clone(&self.policy)),
        };
        Engine::start(self.store.clone(), providers, options).await.unwrap()
    }

    /// Waits until an alert is planned and nothing of it is open.
    pub(super) async fn quiet(&self, alert: &str) {
        self.until(|| async {
            // Planned first: what is counted before is not all of it.
            let planned = self.store.is_planned(alert).await.unwrap();
            let open: u64 = self.store.states(alert).await.unwrap().values().map(|counts| counts.open()).sum();
            planned && open == 0
        })
        .await;
    }

    pub(super) async fn until<F: Future<Output = bool>>(&self, done: impl Fn() -> F) {
        for _ in 0..3_000 {
            if done().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came to be: {:?}", self.got.lock().unwrap());
    }

    /// What somebody got: channel and text.
    pub(super) fn got(&self, to: &str) -> Vec<(ChannelKind, String)> {
        let got = self.got.lock().unwrap();
        got.get(to).into_iter().flatten().map(|one| (one.kind, one.text.clone())).collect()
    }
}

pub(super) fn by(channels: &[ChannelKind]) -> Wishes {
    Wishes { channels: channels.to_vec(), ..Wishes::default() }
}

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
        .execute(&mut *tx)
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
async fn a_damaged_row_holds_up_nobody_else() {
    let world = World::new().await;
    let middle = world.at(QINGPU);
    for n in 1..=3 {
        let number = format!("+861380000000{n}");
        let place = ("家", QINGPU, Some(middle), by(&[ChannelKind::Sms]));
        world.person(n, &[(ChannelKind::Sms, number.as_str())], &[place]).await;
    }
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE address SET value = ':AAAA' WHERE id = 10").execute(&mut *tx).await.unwrap();
    sqlx::query("UPDATE place SET point = ':AAAA', name = ':AAAA' WHERE subscriber = 2")
        .execute(&mut *tx)
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

//! What tests of people with places stand on: a store, a clock that is set, and providers that remember what they took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tocsin_channels::{
    Answer, Channel, ChannelKind, Class, Content, EmailContent, PushContent, SmsContent, Urgency, Window,
};

use super::{Engine, EngineOptions, Provider, WaysOut};
use crate::approval::{BY_RULE, CANCEL_HOLDS, HOLDS};
use crate::cap::{Colour, Point};
use crate::clock::{Clock, SetClock};
use crate::config::Config;
use crate::delivery::Address;
use crate::messages::{Language, Variant};
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::residents::Wishes;
use crate::rules::{Approval, Decision, Lane, Reach};
use crate::store::{NewDispatch, NewRelease, Place, ReleaseKind, Store, StoreOptions, insert_release, supersede};

/// One message that reached somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) kind: ChannelKind,
    pub(super) text: String,
    pub(super) why: Option<String>,
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
                return match self.kind {
                    ChannelKind::Push => Answer::gone("scripted"),
                    _ => Answer::new(Class::BadAddress, "scripted"),
                };
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
pub(super) fn square(lat: f64, lon: f64, half: f64) -> String {
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

    pub(super) fn at(&self, county: &str) -> Point {
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
            .execute(&mut tx)
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
            None => counties(&[QINGPU]),
        };
        self.release_in(name, (lane, colour), &area, &[], variants, old).await;
    }

    /// Releases a yellow typhoon in these counties, which needs nobody: a part for each of the provinces.
    pub(super) async fn release_parts(
        &self,
        name: &str,
        codes: &[&str],
        provinces: &[&str],
        variants: &[Variant],
        old: &[&str],
    ) {
        self.release_in(name, (Lane::MODERATE, Colour::Yellow), &counties(codes), provinces, variants, old).await;
    }

    pub(super) async fn release_in(
        &self,
        name: &str,
        (lane, colour): (Lane, Colour),
        area: &serde_json::Value,
        provinces: &[&str],
        variants: &[Variant],
        old: &[&str],
    ) {
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
             received_at, format, verdict, findings, state, chain, located, decision)
             VALUES ($1, '', $1, 0, '', '', '', '', '', '', 0, 'json', '', '', 'released', '', $2, $3)",
        )
        .bind(name)
        .bind(serde_json::to_string(&located).unwrap())
        .bind(serde_json::to_string(&decision(&regions)).unwrap())
        .execute(&mut tx)
        .await
        .unwrap();
        let sql = "INSERT INTO alert_raw (alert, raw) VALUES ($1, $2)";
        sqlx::query(sql).bind(name).bind(raw.as_bytes()).execute(&mut tx).await.unwrap();
        for old in old {
            sqlx::query("INSERT INTO alert_reference (alert, refers_to) VALUES ($1, $2)")
                .bind(name)
                .bind(*old)
                .execute(&mut tx)
                .await
                .unwrap();
            supersede(&mut tx, old, name, now).unwrap();
        }
        let new = self.new_release(name, lane, &regions, variants);
        if provinces.is_empty() {
            insert_release(&mut tx, &new, now).await.unwrap();
        }
        for province in provinces {
            insert_release(&mut tx, &self.part(&new, province), now).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// A release of an alert to these counties, which needs nobody.
    pub(super) fn new_release(
        &self,
        name: &str,
        lane: Lane,
        regions: &[RegionCode],
        variants: &[Variant],
    ) -> NewRelease {
        let mut dispatches = Vec::new();
        for (variant, language) in variants.iter().flat_map(|v| Language::ALL.map(|l| (*v, l))) {
            let text = format!("{name} {} {}", variant.as_str(), language.tag());
            let push = PushContent { payload: text.clone(), topic: "t".into(), urgency: Urgency::High };
            let mail = EmailContent { subject: text.clone(), text: text.clone(), html: text.clone(), picture: None };
            for content in [Content::Sms(SmsContent { text }), Content::Email(mail), Content::Push(push)] {
                dispatches.push(NewDispatch { language, variant, content });
            }
        }
        NewRelease {
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
            regions: regions.to_vec(),
            channels: [ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push].into(),
            expires: self.clock.now() + if variants == [Variant::Cancel] { CANCEL_HOLDS } else { HOLDS },
            signed_by: BY_RULE.into(),
            dispatches,
            scene: None,
        }
    }

    /// A province's part of a release.
    pub(super) fn part(&self, whole: &NewRelease, province: &str) -> NewRelease {
        let province: RegionCode = province.parse().unwrap();
        let policy = self.policy.load();
        let within: Vec<_> = policy.map.counties_below(&province).iter().map(|county| county.code.clone()).collect();
        NewRelease {
            name: format!("{}/{province}", whole.name),
            regions: whole.regions.iter().filter(|code| within.contains(code)).cloned().collect(),
            jurisdiction: Some(province),
            within: Some(within),
            ..whole.clone()
        }
    }

    /// Puts another release of an alert on record.
    pub(super) async fn insert(&self, new: &NewRelease) {
        let mut tx = self.store.begin().await.unwrap();
        insert_release(&mut tx, new, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Everything set up, with addresses that are refused.
    pub(super) async fn engine(&self, refused: &[&str]) -> Engine {
        self.engine_by(&[ChannelKind::Sms, ChannelKind::Email, ChannelKind::Push], refused).await
    }

    /// With providers of these channels only: what others are to bring waits.
    pub(super) async fn engine_by(&self, kinds: &[ChannelKind], refused: &[&str]) -> Engine {
        let provider = |kind: ChannelKind| {
            let refused = refused.iter().map(|to| (*to).to_owned()).collect();
            let channel = Arc::new(Post { kind, refused, got: Arc::clone(&self.got) });
            Provider { name: kind.to_string(), channel, rate: None, workers: 2, window: 50 }
        };
        let providers = kinds.iter().copied().map(provider).collect();
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

    /// Waits until nobody is left to be handed on now.
    pub(super) async fn climbed(&self) {
        // In one look: between two, a chunk may end, or a ladder make one.
        let sql = "SELECT (SELECT COUNT(*) FROM chunk WHERE state IN (0, 1))
             + (SELECT COUNT(*) FROM ladder JOIN chunk ON chunk.id = ladder.chunk WHERE due_at <= $1 AND state = 2)";
        self.until(|| async {
            let now = self.clock.now().timestamp_millis();
            sqlx::query_scalar::<_, i64>(sql).bind(now).fetch_one(&self.store.read).await.unwrap() == 0
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

/// What the rules say of an alert that tells these counties and needs nobody.
pub(super) fn decision(regions: &[RegionCode]) -> Decision {
    Decision {
        regions: regions.to_vec(),
        reach: Reach::Live { public: true, officials: false },
        channels: [ChannelKind::Sms].into(),
        lane: Lane::MODERATE,
        approval: Approval::none(),
        template: None,
        rules: Vec::new(),
        withheld: None,
    }
}

/// An area of counties that are named.
pub(super) fn counties(codes: &[&str]) -> serde_json::Value {
    let named =
        |code: &&str| serde_json::json!({"valueName": "CPEAS Geographic Code", "value": format!("{code}000000")});
    serde_json::json!({"areaDesc": "x", "geocode": codes.iter().map(named).collect::<Vec<_>>()})
}

pub(super) fn by(channels: &[ChannelKind]) -> Wishes {
    Wishes { channels: channels.to_vec(), ..Wishes::default() }
}

//! Residents' browsers against a push service of ours: signed up, moved, looked after, gone.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::Row as _;
use tocsin_channels::push::{Push, PushConfig, VapidKey, generate_key};
use tocsin_channels::{ChannelKind, Content};
use tocsin_sinks::{Fault, Faults, Sink, Tally, gateway};

use super::sign_up::{Ask, ResidentError, Residents};
use super::{Quiet, Receipts, Reported, SignUpLimits, Wishes};
use crate::clock::{Clock, SetClock};
use crate::config::Config;
use crate::delivery::{Address, receipt};
use crate::messages::Language;
use crate::policy::Policy;
use crate::store::{Deed, Place, SeenCount, Store, StoreOptions};

struct World {
    residents: Residents,
    store: Store,
    clock: Arc<SetClock>,
    service: Sink,
    _folder: tempfile::TempDir,
}

const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

fn subscription(endpoint: &str) -> String {
    let keys = serde_json::json!({"auth": "BTBZMqHH6r4Tts7J_aSIgg", "p256dh": P256DH});
    serde_json::json!({"endpoint": endpoint, "keys": keys}).to_string()
}

impl World {
    /// `gone`: the push service knows nobody any more.
    async fn new(gone: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let faults = Faults { every: u64::from(gone), with: Fault::Gone };
        let service = gateway::start_push(Tally::faulty(faults)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&Config::default()).unwrap()));
        let clock = Arc::new(SetClock(Mutex::new("2026-07-01T04:00:00Z".parse().unwrap())));
        let config = format!(
            "vapid_key_file = \"\"\ncontact = \"mailto:d@example.org\"\nallow_private = [\"{}\"]",
            service.addr
        );
        let key = VapidKey::from_pkcs8(&generate_key().unwrap()).unwrap();
        let push = Push::with_key(&toml::from_str::<PushConfig>(&config).unwrap(), key).unwrap();
        let channels = vec![ChannelKind::Sms, ChannelKind::Push];
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let site = ("https://warn.example.org", SignUpLimits::default());
        let residents = Residents::new(store.clone(), policy, time, site, channels, Arc::new(|| {}));
        Self { residents: residents.with_push(Some(Arc::new(push))), store, clock, service, _folder: folder }
    }

    fn later(&self, by: TimeDelta) {
        *self.clock.0.lock().unwrap() += by;
    }

    /// A subscription with the service of this world.
    fn here(&self, name: &str) -> String {
        subscription(&format!("http://{}/push/{name}", self.service.addr))
    }

    async fn ask(&self, to: &str, from: &str, account: Option<i64>) -> Result<String, ResidentError> {
        let channel = if to.starts_with('{') { ChannelKind::Push } else { ChannelKind::Sms };
        let address = Address::parse(channel, to).unwrap();
        let ask = Ask {
            address,
            language: Language::Chinese,
            tongue: "zh-CN".into(),
            places: Vec::new(),
            account,
            marks: Default::default(),
        };
        self.residents.ask(ask, from.parse::<IpAddr>().unwrap(), "").await
    }

    /// What was said last, and by which channel.
    async fn said(&self) -> (ChannelKind, String) {
        let row = sqlx::query("SELECT content FROM dispatch ORDER BY id DESC LIMIT 1");
        let text: String = row.fetch_one(&self.store.read).await.unwrap().get(0);
        let content: Content = serde_json::from_str(&text).unwrap();
        let kind = content.kind();
        match content {
            Content::Push(content) => (kind, content.payload),
            Content::Sms(content) => (kind, content.text),
            other => panic!("{other:?}"),
        }
    }

    /// The push service says of all of somebody's browsers that they are gone.
    async fn end(&self, owner: i64) {
        let own = self.store.own_addresses(owner).await.unwrap().into_iter();
        let browsers = own.filter(|(_, address)| address.channel == ChannelKind::Push);
        let gone: Vec<_> = browsers.map(|(id, address)| (id.unsigned_abs(), address.value)).collect();
        self.store.end_gone(&gone, self.clock.now()).await.unwrap();
    }

    /// Somebody with a number and a browser.
    async fn with_number(&self, number: &str, from: &str) -> i64 {
        let token = self.ask(number, from, None).await.unwrap();
        let text = self.said().await.1;
        let at = text.find("验证码").unwrap() + "验证码".len();
        let owner = self.residents.confirm_code(&token, &text[at..at + 6]).await.unwrap().subscriber;
        assert_eq!(self.sign_up(&self.here(number), Some(owner)).await, owner);
        owner
    }

    async fn write(&self, sql: &'static str, of: i64) {
        let mut tx = self.store.begin().await.unwrap();
        assert_ne!(sqlx::query(sql).bind(of).execute(&mut tx).await.unwrap().rows_affected(), 0);
        tx.commit().await.unwrap();
    }

    /// To how many people it was said that a browser of theirs is gone, from when and until when.
    async fn words_of_gone(&self) -> Vec<(String, DateTime<Utc>, DateTime<Utc>)> {
        let rows = sqlx::query(
            "SELECT release.name, chunk.not_before, release.expires FROM release JOIN chunk ON chunk.release = release.id
             WHERE release.name LIKE 'browser-gone/%' ORDER BY release.id",
        );
        let time = |at: i64| DateTime::from_timestamp_millis(at).unwrap();
        let rows = rows.fetch_all(&self.store.read).await.unwrap();
        rows.iter().map(|row| (row.get(0), time(row.get(1)), time(row.get(2)))).collect()
    }

    /// Signs a browser up, to an account or for itself; gives whose it is.
    async fn sign_up(&self, to: &str, account: Option<i64>) -> i64 {
        self.ask(to, "203.0.113.7", account).await.unwrap();
        let (kind, payload) = self.said().await;
        assert_eq!(kind, ChannelKind::Push);
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let link = payload["url"].as_str().unwrap().strip_prefix("/sign-up/confirm/").expect("a path of ours, no host");
        let link = link.split('?').next().unwrap();
        self.residents.confirm_link(link).await.unwrap().subscriber
    }
}

#[tokio::test]
async fn a_browser_is_signed_up_by_what_comes_to_it_and_moves_once_with_its_own_word() {
    let world = World::new(false).await;
    let (old, new) = (world.here("old"), world.here("new"));
    let owner = world.sign_up(&old, None).await;
    let word = world.residents.browser_word(owner, &old).await.unwrap().unwrap();
    assert_eq!(world.residents.browser_word(owner, &new).await.unwrap(), None, "not one of theirs");
    assert_eq!(world.residents.browser_word(owner + 1, &old).await.unwrap(), None, "somebody else's");
    let before = world.store.own_addresses(owner).await.unwrap();

    let foreign = world.residents.move_browser(&word, &old, &subscription("https://10.0.0.1/a")).await;
    assert!(matches!(foreign, Err(ResidentError::Endpoint)), "not into a private network");
    assert!(matches!(world.residents.move_browser("1-x", &old, &new).await, Err(ResidentError::Proof)));
    world.residents.move_browser(&word, &old, &new).await.unwrap();
    let after = world.store.own_addresses(owner).await.unwrap();
    assert_eq!(
        (after[0].0, after[0].1.value.clone()),
        (before[0].0, Address::parse(ChannelKind::Push, &new).unwrap().value)
    );
    let again = world.residents.move_browser(&word, &old, &world.here("third")).await;
    assert!(matches!(again, Err(ResidentError::Proof)), "a replay: the old one is nobody's any more");

    // Whoever has a browser signed up comes back with it.
    assert_eq!(world.sign_up(&new, None).await, owner);
    world.residents.browser_leaves(&word).await.unwrap();
    assert!(world.store.resident(owner).await.unwrap().is_none(), "with the last address everything goes");
    world.residents.browser_leaves(&word).await.unwrap();
    assert!(matches!(world.residents.browser_lives(&word).await, Err(ResidentError::Proof)));
}

#[tokio::test]
async fn a_browser_that_was_thought_gone_moves_with_its_own_word_and_lives_again() {
    let world = World::new(false).await;
    let (old, new) = (world.here("old"), world.here("new"));
    let owner = world.sign_up(&old, None).await;
    let word = world.residents.browser_word(owner, &old).await.unwrap().unwrap();
    world.end(owner).await;
    world.residents.tell_of_gone().await.unwrap();
    assert_eq!(world.store.gone_count().await.unwrap(), (1, 1));
    assert!(matches!(world.residents.browser_lives(&word).await, Err(ResidentError::Gone)), "it does not by itself");
    let wrong = world.residents.move_browser(&word, &world.here("guess"), &new).await;
    assert!(matches!(wrong, Err(ResidentError::Proof)), "whoever does not know the old one is not it");
    world.residents.move_browser(&word, &old, &new).await.unwrap();
    assert_eq!(world.store.gone_count().await.unwrap(), (0, 0));
    world.residents.browser_lives(&word).await.unwrap();
    world.later(TimeDelta::days(32));
    world.residents.forget_lost().await.unwrap();
    assert_eq!(world.store.own_addresses(owner).await.unwrap().len(), 1, "and nothing of theirs is erased");
    // Whoever has left has left.
    world.store.leave_by(&Address::parse(ChannelKind::Push, &new).unwrap(), world.clock.now()).await.unwrap();
    let left = world.residents.move_browser(&word, &new, &old).await;
    assert!(matches!(left, Err(ResidentError::Proof)));
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_is_made_again() {
    let world = World::new(false).await;
    let (old, new) = (world.here("old"), world.here("new"));
    let owner = world.sign_up(&old, None).await;
    let word = world.residents.browser_word(owner, &old).await.unwrap().unwrap();
    for _ in 0..2 {
        world.residents.move_browser(&word, &old, &new).await.unwrap();
    }
    let own = world.store.own_addresses(owner).await.unwrap();
    assert_eq!(
        own.into_iter().map(|(_, own)| own).collect::<Vec<_>>(),
        [Address::parse(ChannelKind::Push, &new).unwrap()]
    );
    let other = world.sign_up(&world.here("other"), None).await;
    assert_ne!(other, owner);
    let taken = world.residents.move_browser(&word, &new, &world.here("other")).await;
    assert!(matches!(taken, Err(ResidentError::Proof)), "another's");
}

#[tokio::test]
async fn the_word_of_a_browser_that_is_gone_holds_a_day_and_wakes_nobody() {
    let world = World::new(false).await;
    let (awake, asleep) =
        (world.with_number("13812345678", "203.0.113.7").await, world.with_number("13812345679", "203.0.113.8").await);
    let night = Quiet { from: 44, to: 13, severe_wakes: false };
    let place = Place {
        id: 0,
        name: "家".into(),
        region: "310118".parse().unwrap(),
        point: None,
        wishes: Wishes { quiet: Some(night), ..Wishes::default() },
    };
    let mut tx = world.store.begin().await.unwrap();
    world.store.insert_places(&mut tx, &[(asleep, place)]).await.unwrap();
    tx.commit().await.unwrap();
    *world.clock.0.lock().unwrap() = "2026-07-01T15:00:00Z".parse().unwrap();
    for owner in [awake, asleep] {
        world.end(owner).await;
    }
    world.residents.tell_of_gone().await.unwrap();
    let now = world.clock.now();
    let times: Vec<_> = world.words_of_gone().await.into_iter().map(|(_, from, until)| (from, until)).collect();
    let morning = "2026-07-01T22:30:00Z".parse().unwrap();
    assert_eq!(times, [(now, now + TimeDelta::days(1)), (morning, now + TimeDelta::days(1))]);
}

#[tokio::test]
async fn an_owner_whose_rows_are_damaged_holds_up_nobody_behind_them() {
    let world = World::new(false).await;
    let mut owners = Vec::new();
    for n in 1..=4 {
        owners.push(world.with_number(&format!("1381234567{n}"), &format!("203.0.113.{n}")).await);
        world.end(owners[n - 1]).await;
        world.later(TimeDelta::minutes(1));
    }
    // Not to be opened; of no channel; in no language.
    world.write("UPDATE address SET value = ':AAAA' WHERE subscriber = $1 AND channel = 'sms'", owners[0]).await;
    world.write("UPDATE address SET channel = 'pigeon' WHERE subscriber = $1 AND channel = 'sms'", owners[1]).await;
    world.write("UPDATE subscriber SET language = 'xx' WHERE id = $1", owners[2]).await;
    world.residents.tell_of_gone().await.unwrap();
    assert_eq!(world.words_of_gone().await.len(), 3, "all but the one of whom nobody knows by what");
    assert_eq!(world.store.gone_count().await.unwrap(), (4, 1), "who is counted");
    world.residents.tell_of_gone().await.unwrap();
    assert_eq!(world.words_of_gone().await.len(), 3, "once");
}

#[tokio::test]
async fn a_browser_may_move_ten_times_a_day() {
    let world = World::new(false).await;
    let owner = world.sign_up(&world.here("0"), None).await;
    let word = world.residents.browser_word(owner, &world.here("0")).await.unwrap().unwrap();
    let step = async |n: u32| {
        world.residents.move_browser(&word, &world.here(&n.to_string()), &world.here(&(n + 1).to_string())).await
    };
    for n in 0..10 {
        step(n).await.unwrap();
    }
    assert!(matches!(step(10).await, Err(ResidentError::Busy)));
    world.later(TimeDelta::days(1));
    step(10).await.unwrap();
}

#[tokio::test]
async fn once_a_month_a_quiet_browser_is_asked_about_and_one_that_spoke_is_not() {
    let world = World::new(false).await;
    let (quiet, speaks) = (world.here("quiet"), world.here("speaks"));
    world.sign_up(&quiet, None).await;
    let owner = world.sign_up(&speaks, None).await;
    let word = world.residents.browser_word(owner, &speaks).await.unwrap().unwrap();
    let check = async || {
        world.residents.check_browsers().await.unwrap();
        world.residents.check_browsers().await.unwrap();
        let mut asked: Vec<_> = world.service.tally.keys().into_iter().collect();
        asked.sort();
        asked
    };
    assert_eq!(check().await, [], "a new one has a month");
    world.later(TimeDelta::days(29));
    world.residents.browser_lives(&word).await.unwrap();
    assert_eq!(check().await, []);
    world.later(TimeDelta::days(2));
    assert_eq!(check().await, [("/push/quiet".to_owned(), 1)]);
    world.later(TimeDelta::days(29));
    assert_eq!(check().await, [("/push/quiet".to_owned(), 1), ("/push/speaks".to_owned(), 1)]);
    world.later(TimeDelta::days(2));
    assert_eq!(check().await, [("/push/quiet".to_owned(), 2), ("/push/speaks".to_owned(), 1)]);
    assert_eq!(world.store.gone_count().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_browser_that_is_gone_ends_and_its_owner_hears_of_it_once_where_they_can() {
    let world = World::new(true).await;
    let alone = world.sign_up(&world.here("alone"), None).await;
    let owner = world.with_number("13812345678", "203.0.113.7").await;
    world.residents.check_browsers().await.unwrap();
    world.later(TimeDelta::days(32));
    world.residents.check_browsers().await.unwrap();
    assert!(world.store.own_addresses(alone).await.unwrap().is_empty());
    assert_eq!(world.store.own_addresses(owner).await.unwrap().len(), 1, "the number stays");

    world.residents.tell_of_gone().await.unwrap();
    let (kind, text) = world.said().await;
    assert!(kind == ChannelKind::Sms && text.contains("您的一个浏览器收不到预警了"), "{text}");
    assert_eq!(world.store.gone_count().await.unwrap(), (2, 1), "of one the owner cannot be told; the metrics say so");
    let dispatches: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM dispatch").fetch_one(&world.store.read).await.unwrap();
    world.residents.tell_of_gone().await.unwrap();
    let again: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dispatch").fetch_one(&world.store.read).await.unwrap();
    assert_eq!(again, dispatches, "once");
    // Signed up anew it is as before.
    assert_eq!(world.sign_up(&world.here("alone"), None).await, alone);
    assert_eq!(world.store.gone_count().await.unwrap(), (1, 0));
    world.end(alone).await;
    world.later(TimeDelta::days(29));
    world.residents.forget_lost().await.unwrap();
    assert!(world.store.resident(alone).await.unwrap().is_some());
    world.later(TimeDelta::days(2));
    world.residents.forget_lost().await.unwrap();
    assert!(world.store.resident(alone).await.unwrap().is_none(), "nobody could open these settings any more");
    assert!(world.store.resident(owner).await.unwrap().is_some(), "a number is left to this one");
}

#[tokio::test]
async fn large_push_services_serve_everybody_and_another_host_is_knocked_at_twenty_times() {
    let world = World::new(false).await;
    for n in 0..25 {
        let to = subscription(&format!("https://fcm.googleapis.com/fcm/send/{n}"));
        world.ask(&to, &format!("198.51.{n}.1"), None).await.unwrap();
    }
    let knock = async |n: u32| {
        let to = subscription(&format!("https://victim.example/{n}"));
        world.ask(&to, &format!("192.0.{n}.1"), None).await.is_ok()
    };
    let mut let_through = 0;
    for n in 0..25 {
        let_through += u32::from(knock(n).await);
    }
    assert_eq!(let_through, 20);
}

#[tokio::test]
async fn a_receipt_is_kept_once_with_what_was_done_and_one_that_is_not_ours_is_not() {
    let world = World::new(false).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let (receipts, writing) = Receipts::new(world.store.clone(), clock, stop.clone());
    let writing = tokio::spawn(writing);
    let now = world.clock.now();
    let word = |recipient| receipt(&world.store.vault, 1, recipient, now + TimeDelta::hours(1));
    let all: Vec<_> = (0..2_500).map(|n| (word(n), receipts.clone())).collect();
    let tasks: Vec<_> = all
        .into_iter()
        .map(|(word, receipts)| tokio::spawn(async move { receipts.report(&word, Deed::Shown).await }))
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Reported::Yes);
    }
    for deed in [Deed::Opened, Deed::Safe, Deed::Shown, Deed::Opened] {
        assert_eq!(receipts.report(&word(7), deed).await, Reported::Yes);
    }
    assert_eq!(receipts.report("1-7-7fffffff-x", Deed::Safe).await, Reported::NotOurs);
    let row = sqlx::query("SELECT COUNT(*), COUNT(opened_at), COUNT(safe_at) FROM acknowledgement WHERE release = 1");
    let row = row.fetch_one(&world.store.read).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2)), (2_500, 1, 1));
    assert_eq!(world.store.seen("nothing").await.unwrap(), SeenCount::default());
    world.later(TimeDelta::hours(1));
    assert_eq!(receipts.report(&word(7), Deed::Safe).await, Reported::NotOurs, "it ends with the alert");
    stop.cancel();
    writing.await.unwrap();
}

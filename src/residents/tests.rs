//! Signing up, coming back and going for good; and those who would misuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use chrono::TimeDelta;
use sqlx::{Column as _, Row as _};
use tocsin_channels::{ChannelKind, Content};

use super::sign_up::{Ask, CONSENT, ResidentError, Residents};
use super::{SignUpLimits, Wishes, work};
use crate::cap::Point;
use crate::clock::{Clock, SetClock};
use crate::config::Config;
use crate::delivery::Address;
use crate::messages::Language;
use crate::policy::Policy;
use crate::store::{NewSubscriber, Place, Store, StoreOptions};

struct World {
    residents: Residents,
    store: Store,
    clock: Arc<SetClock>,
    _folder: tempfile::TempDir,
}

const HERE: &str = "203.0.113.7";

impl World {
    async fn new() -> Self {
        Self::with(SignUpLimits::default()).await
    }

    async fn with(limits: SignUpLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&Config::default()).unwrap()));
        let clock = Arc::new(SetClock(Mutex::new("2026-07-01T04:00:00Z".parse().unwrap())));
        let channels = vec![ChannelKind::Sms, ChannelKind::Email];
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let site = ("https://warn.example.org/", limits);
        let residents = Residents::new(store.clone(), policy, time, site, channels, Arc::new(|| {}));
        Self { residents, store, clock, _folder: folder }
    }

    fn later(&self, by: TimeDelta) {
        *self.clock.0.lock().unwrap() += by;
    }

    fn ask(address: &str) -> Ask {
        let channel = if address.contains('@') { ChannelKind::Email } else { ChannelKind::Sms };
        let home = Place {
            id: 0,
            name: "外婆家".into(),
            region: "310118".parse().unwrap(),
            point: Some(Point { lat: 31.123_456, lon: 121.054_321 }),
            wishes: Wishes::default(),
        };
        let address = Address::parse(channel, address).unwrap();
        Ask {
            address,
            language: Language::Chinese,
            tongue: "zh-CN".into(),
            places: vec![home],
            account: None,
            marks: String::new(),
        }
    }

    async fn send(&self, address: &str) -> Result<String, ResidentError> {
        self.residents.ask(Self::ask(address), HERE.parse().unwrap(), "").await
    }

    /// What went to single people so far, oldest first.
    async fn sent(&self) -> Vec<Content> {
        let rows = sqlx::query("SELECT content FROM dispatch ORDER BY id").fetch_all(&self.store.read).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(&row.get::<String, _>(0)).unwrap()).collect()
    }

    async fn text(&self) -> String {
        match self.sent().await.pop().expect("a message") {
            Content::Sms(content) => content.text,
            Content::Email(content) => content.text,
            other => panic!("{other:?}"),
        }
    }

    async fn code(&self) -> String {
        let text = self.text().await;
        let at = text.find("验证码").unwrap() + "验证码".len();
        text[at..at + 6].to_owned()
    }

    async fn link(&self) -> String {
        let text = self.text().await;
        let at = text.find("https://warn.example.org/sign-up/confirm/").expect("our own address");
        text[at..].lines().next().unwrap().rsplit('/').next().unwrap().to_owned()
    }

    async fn sign_up(&self, address: &str) -> i64 {
        let token = self.send(address).await.unwrap();
        let entered = match address.contains('@') {
            true => self.residents.confirm_link(&self.link().await).await,
            false => self.residents.confirm_code(&token, &self.code().await).await,
        };
        entered.unwrap().subscriber
    }
}

#[tokio::test]
async fn a_confirmed_sign_up_is_a_resident_and_a_second_one_opens_the_settings_of_the_first() {
    let world = World::new().await;
    let token = world.send("13812345678").await.unwrap();
    assert_eq!(world.store.address_counts().await.unwrap(), [], "nothing before it is confirmed");
    let first = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert!(first.new);
    let mine = world.residents.mine(first.subscriber).await.unwrap();
    assert_eq!(
        (mine.addresses.len(), mine.places[0].name.as_str(), mine.resident.consent.as_str()),
        (1, "外婆家", CONSENT)
    );
    assert_eq!(mine.places[0].point, Some(Point { lat: 31.123_456, lon: 121.054_321 }));
    let session = world.residents.session(&first.token).await.unwrap().unwrap();
    assert_eq!(session.subscriber, first.subscriber);

    let token = world.send("+86 138 1234 5678").await.unwrap();
    assert!(world.text().await.contains("您已登记"), "its owner learns that it is known; nobody else does");
    let again = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!((again.subscriber, again.new), (first.subscriber, false));
    assert_eq!(world.residents.mine(first.subscriber).await.unwrap().places.len(), 1, "the form changed nothing");
    world.later(TimeDelta::minutes(31));
    assert!(world.residents.session(&again.token).await.unwrap().is_none(), "sessions are short");
}

#[tokio::test]
async fn a_link_works_once_and_an_account_takes_a_second_address() {
    let world = World::new().await;
    let me = world.sign_up("li.ming@example.org").await;
    assert!(world.residents.confirm_link(&world.link().await).await.is_err(), "a replay");
    let ask = Ask { account: Some(me), places: Vec::new(), ..World::ask("13812345678") };
    let token = world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
    let entered = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!(entered.subscriber, me);
    assert_eq!(world.residents.mine(me).await.unwrap().addresses.len(), 2);
}

#[tokio::test]
async fn an_owners_click_gives_their_address_to_nobody_else() {
    let world = World::new().await;
    let (owner, thief) = (world.sign_up("li.ming@example.org").await, world.sign_up("13812345678").await);
    let ask = Ask { account: Some(thief), places: Vec::new(), ..World::ask("li.ming@example.org") };
    world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
    let entered = world.residents.confirm_link(&world.link().await).await.unwrap();
    assert_eq!(entered.subscriber, owner, "it opens their own settings");
    assert_eq!(world.residents.mine(owner).await.unwrap().addresses.len(), 1);
    assert_eq!(world.residents.mine(thief).await.unwrap().addresses.len(), 1);
}

#[tokio::test]
async fn an_imported_address_becomes_its_owners_under_its_old_id() {
    let world = World::new().await;
    let address = Address::parse(ChannelKind::Sms, "13812345678").unwrap();
    let imported = NewSubscriber {
        audience: crate::rules::Audience::Public,
        region: "320509".parse().unwrap(),
        language: Language::Chinese,
        addresses: vec![address.clone()],
    };
    world.store.add_subscribers(&[imported], world.clock.now()).await.unwrap();
    let me = world.sign_up("13812345678").await;
    let own = world.store.own_addresses(me).await.unwrap();
    assert_eq!(own, [(1, address)], "whoever was told by it is told of the end");
    assert_eq!(
        world.store.regions_of_addresses(&[1]).await.unwrap()[&1],
        ["310118".parse().unwrap()],
        "told for their place now"
    );
}

#[tokio::test]
async fn a_code_has_five_tries_and_ten_minutes() {
    let world = World::new().await;
    let token = world.send("13812345678").await.unwrap();
    let code = world.code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert!(matches!(world.residents.confirm_code(&token, wrong).await, Err(ResidentError::Proof)));
    }
    assert!(world.residents.confirm_code(&token, &code).await.is_err(), "the right one comes too late");
    let token = world.send("13812345678").await.unwrap();
    let code = world.code().await;
    world.later(TimeDelta::minutes(10));
    assert!(world.residents.confirm_code(&token, &code).await.is_err(), "ten minutes are over");
    assert!(world.residents.confirm_code("nobody's form", &code).await.is_err());
    assert_eq!(world.store.address_counts().await.unwrap(), []);
}

#[tokio::test]
async fn nobody_can_be_made_to_get_more_than_three_messages() {
    let world = World::new().await;
    for n in 0..8 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        let answer = world.residents.ask(World::ask("victim@example.org"), from, "").await;
        assert!(answer.is_ok(), "the answer is what it always is");
        world.later(TimeDelta::hours(3));
    }
    assert_eq!(world.sent().await.len(), 3);
    // Somebody who is known is no better target.
    let world = World::new().await;
    world.sign_up("victim@example.org").await;
    for n in 0..8 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("victim@example.org"), from, "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3);
}

#[tokio::test]
async fn ten_thousand_numbers_from_one_network_get_twenty_messages_an_hour() {
    let world = World::new().await;
    let mut refused = 0;
    for n in 0..10_000_u32 {
        let from: IpAddr = format!("203.0.113.{}", n % 254 + 1).parse().unwrap();
        // Far apart, so that the network alone gives them away.
        let ask = World::ask(&format!("13{:09}", (u64::from(n) + 1) * 79_999 % 1_000_000_000));
        refused += u32::from(matches!(world.residents.ask(ask, from, "").await, Err(ResidentError::Busy)));
    }
    assert!(!world.residents.task().await.unwrap().1, "and nobody else has to work for it");
    assert_eq!((world.sent().await.len(), refused), (20, 9_980));
}

#[tokio::test]
async fn numbers_in_a_row_from_many_networks_are_few_too_and_everybody_has_a_budget() {
    let quiet = SignUpLimits { work_above: u32::MAX, ..SignUpLimits::default() };
    let world = World::with(quiet.clone()).await;
    for n in 0..200 {
        let from: IpAddr = format!("198.{n}.100.1").parse().unwrap();
        let _ = world.residents.ask(World::ask(&format!("1381234{n:04}")), from, "").await;
    }
    assert_eq!(world.sent().await.len(), 20, "one block of numbers");

    let world = World::with(SignUpLimits { sms: 30, ..quiet }).await;
    for n in 0..60 {
        let from: IpAddr = format!("198.{n}.100.1").parse().unwrap();
        let _ = world.residents.ask(World::ask(&format!("138{:08}", n * 10_000)), from, "").await;
    }
    assert_eq!(world.sent().await.len(), 30, "all together");
}

#[tokio::test]
async fn under_load_each_sign_up_costs_work_and_a_solution_is_good_for_one() {
    let world = World::with(SignUpLimits { work_above: 2, without_work: 0, ..SignUpLimits::default() }).await;
    let from = |n: u8| IpAddr::from([198, 51, n, 1]);
    let ask = |n: u32| World::ask(&format!("138{:08}", n * 10_000));
    for n in 0..2 {
        assert!(!world.residents.task().await.unwrap().1, "a person without scripts can sign up");
        world.residents.ask(ask(n), from(0), "").await.unwrap();
    }
    let (task, needed) = world.residents.task().await.unwrap();
    assert!(needed);
    assert!(matches!(world.residents.ask(ask(3), from(1), "").await, Err(ResidentError::Work)));
    let solution = work::solve(&task);
    world.residents.ask(ask(3), from(2), &solution).await.unwrap();
    assert!(matches!(world.residents.ask(ask(4), from(3), &solution).await, Err(ResidentError::Busy)), "used");
    assert_eq!(world.sent().await.len(), 3);
}

#[tokio::test]
async fn a_known_and_an_unknown_address_leave_the_same_traces_behind() {
    let world = World::new().await;
    world.sign_up("known@example.org").await;
    let rows = async || {
        let mut rows = BTreeMap::new();
        for table in ["sign_up", "release", "dispatch", "chunk", "personal_release", "record"] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
            let n: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
            rows.insert(table, n);
        }
        rows
    };
    let grown = |before: &BTreeMap<&str, i64>, after: &BTreeMap<&str, i64>| {
        before.iter().map(|(table, n)| after[table] - n).collect::<Vec<_>>()
    };
    let start = rows().await;
    let known = world.send("known@example.org").await.unwrap();
    let middle = rows().await;
    let unknown = world.send("other@example.org").await.unwrap();
    let end = rows().await;
    assert_eq!(known.len(), unknown.len());
    assert_eq!(grown(&start, &middle), grown(&middle, &end), "the same rows are written");
}

#[tokio::test]
async fn what_nobody_confirmed_is_gone_after_a_day_with_everything_that_was_sent() {
    let world = World::new().await;
    world.send("13812345678").await.unwrap();
    world.send("li.ming@example.org").await.unwrap();
    world.later(TimeDelta::hours(25));
    let now = world.clock.now();
    assert_eq!(world.store.prune_residents(now - TimeDelta::hours(24), now).await.unwrap(), 2);
    assert!(world.sent().await.is_empty());
    for table in ["sign_up", "release", "chunk", "personal_release"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

/// Every cell of every table: as it stands, and opened where it is sealed.
async fn everything(store: &Store) -> Vec<(String, String)> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(&store.read).await.unwrap();
    let mut cells = Vec::new();
    for table in tables.iter().filter(|name| !name.starts_with("sqlite_") && !name.starts_with('_')) {
        let sql = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(sql).fetch_all(&store.read).await.unwrap() {
            for column in row.columns() {
                let at = column.name();
                let text = row
                    .try_get::<Option<String>, _>(at)
                    .map(Option::unwrap_or_default)
                    .or_else(|_| {
                        row.try_get::<Vec<u8>, _>(at).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    })
                    .or_else(|_| row.try_get::<i64, _>(at).map(|n| n.to_string()))
                    .unwrap_or_default();
                // A sealed text may stand inside a packed body.
                let sealed = text.split(|c: char| !(c.is_ascii_alphanumeric() || ":-_".contains(c)));
                let opened: Vec<String> = sealed
                    .filter_map(|part| part.find(':').map(|at| &part[at..]))
                    .filter_map(|part| store.vault.open(part).ok().filter(|open| open != part))
                    .collect();
                cells.push((format!("{table}.{at}"), format!("{text} {}", opened.join(" "))));
            }
        }
    }
    cells
}

#[tokio::test]
async fn nothing_readable_of_a_person_is_in_the_store_and_nothing_at_all_after_they_delete_it() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    let ask = Ask { account: Some(me), places: Vec::new(), ..World::ask("li.ming@example.org") };
    world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
    world.residents.confirm_link(&world.link().await).await.unwrap();
    world.residents.test(me).await.unwrap();
    world.residents.export(me).await.unwrap();
    // One more that is never confirmed.
    world.send("13812345678").await.unwrap();
    let marks = ["13812345678", "li.ming@example.org", "外婆家", "31123456", "31.123456"];
    let before = everything(&world.store).await;
    for mark in marks.iter().take(4) {
        assert!(before.iter().any(|(_, text)| text.contains(mark)), "the search finds what is there: {mark}");
    }
    let sealed = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    for (place, text) in &before {
        for mark in marks {
            assert!(!sealed(text).contains(mark), "readable in {place}");
        }
    }
    let digests = world.store.all_digests(me).await.unwrap();
    assert_eq!(digests.len(), 2);
    world.residents.erase(me).await.unwrap();
    for (place, text) in everything(&world.store).await {
        for mark in marks.iter().copied().chain(digests.iter().map(String::as_str)) {
            assert!(!text.contains(mark), "{mark} is left in {place}: {text}");
        }
        assert!(!(place.ends_with(".subscriber") && text.trim() == me.to_string()), "{place}");
    }
    assert!(world.residents.mine(me).await.is_err());
}

#[tokio::test]
async fn what_people_do_with_their_data_is_on_record_masked() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    world.residents.export(me).await.unwrap();
    world.residents.pause(me, "en", world.clock.now()).await.unwrap();
    world.residents.erase(me).await.unwrap();
    let lines = world.store.record_from(1, 100).await.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["resident.sign-up", "resident.export", "resident.pause", "resident.erase"]);
    assert!(lines[0].detail.contains("+861********78"), "{}", lines[0].detail);
}

#[tokio::test]
async fn stop_by_short_message_ends_a_number_and_is_confirmed_once() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    let hear = async |from: &str, text: &str| world.residents.hear(from, text).await.unwrap();
    assert_eq!(hear("13812345678", "谢谢").await, None);
    assert!(hear("+8613812345678", " 退订 ").await.is_some());
    assert_eq!(hear("+8613812345678", "STOP").await, None, "one confirmation, no more");
    assert_eq!(hear("13900000000", "STOP").await, None, "a number that nobody knows");
    assert_eq!(hear("<script>", "STOP").await, None);
    assert_eq!(world.store.own_addresses(me).await.unwrap(), []);
    // It is no prison: whoever signs up again is told again.
    assert_eq!(world.sign_up("13812345678").await, me);
    assert_eq!(world.store.own_addresses(me).await.unwrap().len(), 1);
}

#[tokio::test]
async fn tests_of_ones_own_channels_are_few_and_their_result_is_shown() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    assert!(world.residents.tested(me).await.unwrap().is_empty());
    for _ in 0..3 {
        world.residents.test(me).await.unwrap();
        world.later(TimeDelta::seconds(1));
    }
    assert!(matches!(world.residents.test(me).await, Err(ResidentError::Busy)));
    let tested = world.residents.tested(me).await.unwrap();
    assert_eq!(tested.len(), 1);
    assert_eq!((tested[0].channel, tested[0].address.as_str()), (ChannelKind::Sms, "+861********78"));
    assert_eq!(tested[0].state.as_str(), "waiting");
    assert!(!world.store.open_work().await.unwrap() || !world.sent().await.is_empty());
}

#[tokio::test]
async fn a_store_with_another_key_is_not_opened_and_old_plain_addresses_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    let options = StoreOptions { url, max_size_mib: None };
    let store = Store::open(&options).await.unwrap();
    // As an older version left it.
    let mut tx = store.begin().await.unwrap();
    for (id, value) in [(1_i64, "+8613812345678"), (2, "+8613812345679")] {
        sqlx::query(
            "INSERT INTO address (id, subscriber, audience, channel, language, region, value, digest)
             VALUES ($1, $1, 'public', 'sms', 'zh-CN', '310118', $2, $2)",
        )
        .bind(id)
        .bind(value)
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    sqlx::query("UPDATE counter SET value = 1 WHERE name = 'address_to_seal'").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let store = Store::open(&options).await.unwrap();
    let cells = everything(&store).await;
    assert!(!cells.iter().any(|(_, text)| text.split(' ').next().unwrap_or_default().contains("138123")));
    let values: BTreeSet<String> = store.values(&[1, 2]).await.unwrap().into_values().collect();
    assert_eq!(values, ["+8613812345678".into(), "+8613812345679".into()].into());
    store.close().await;
    std::fs::write(folder.path().join("residents.key"), [7; 32]).unwrap();
    let error = Store::open(&options).await.unwrap_err();
    assert!(matches!(error, crate::store::StoreError::WrongKey(_)), "{error}");
}

#[tokio::test]
async fn strangers_who_ask_again_and_again_do_not_shut_an_owner_out() {
    let world = World::new().await;
    let token = world.send("13812345678").await.unwrap();
    let owner = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    for n in 0..9 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("13812345678"), from, "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3, "strangers have used up what an address gets unasked");
    let ask = |marks: &str| Ask { marks: marks.into(), ..World::ask("13812345678") };
    for forged in ["", "x", "a.b.c", &owner.mark[1..]] {
        world.residents.ask(ask(forged), HERE.parse().unwrap(), "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3, "nobody makes up a mark");
    let token = world.residents.ask(ask(&format!("other.{}", owner.mark)), HERE.parse().unwrap(), "").await.unwrap();
    let again = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!(again.subscriber, owner.subscriber, "their own browser lets them in");
    // A mark is good for its own address alone, and not for ever more.
    let other = Ask { marks: owner.mark.clone(), ..World::ask("13912345678") };
    for _ in 0..9 {
        world.residents.ask(other.clone(), HERE.parse().unwrap(), "").await.unwrap();
        world.residents.ask(ask(&owner.mark), HERE.parse().unwrap(), "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3 + 1 + 3 + 4);
}

#[tokio::test]
async fn an_owner_without_the_browser_they_know_comes_in_by_writing_from_their_number() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    for n in 0..9 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("13812345678"), from, "").await.unwrap();
    }
    let before = world.sent().await.len();
    let link = async |answer: String| {
        let at = answer.find("https://warn.example.org/sign-up/confirm/").expect("our own address");
        let link = answer[at..].rsplit('/').next().unwrap();
        world.residents.confirm_link(link.split('?').next().unwrap()).await
    };
    let hear = async |from: &str, text: &str| world.residents.hear(from, text).await.unwrap();
    let answer = hear("+8613812345678", "登录").await.unwrap();
    assert_eq!(link(answer.clone()).await.unwrap().subscriber, me);
    assert!(link(answer).await.is_err(), "once");
    let late = hear("13812345678", "Open.").await.unwrap();
    world.later(TimeDelta::minutes(10));
    assert!(link(late).await.is_err(), "ten minutes");
    assert!(hear("13812345678", "设置").await.is_some());
    assert_eq!(hear("13812345678", "设置").await, None, "a sender may be forged: no more than anybody gets unasked");
    assert_eq!(hear("13912345678", "OPEN").await, None, "a number that nobody knows");
    assert_eq!(world.sent().await.len(), before, "it is the gateway that answers");
    world.later(TimeDelta::days(8));
    assert!(hear("13812345678", "open").await.is_some());
}

#[tokio::test]
async fn a_code_cannot_be_guessed_over_many_forms() {
    let many = 10_000;
    let world =
        World::with(SignUpLimits { sms: many, prefix: many, work_above: many, ..SignUpLimits::default() }).await;
    let mut tried = 0;
    for n in 0..200_u32 {
        let from: IpAddr = format!("198.{}.{}.1", n / 250, n % 250).parse().unwrap();
        let Ok(token) = world.residents.ask(World::ask("13812345678"), from, "").await else { continue };
        for guess in 0..20 {
            tried += 1;
            let guess = format!("{:06}", (n * 20 + guess) % 1_000_000);
            if world.residents.confirm_code(&token, &guess).await.is_ok() {
                assert!(world.code().await == guess, "one in a million");
            }
        }
    }
    let sql = "SELECT CAST(COALESCE(SUM(tries), 0) AS BIGINT) FROM sign_up";
    let counted: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
    assert!(
        tried > 1_000 && counted <= 15,
        "{counted} of {tried} guesses were at a code: three messages, five tries each"
    );
}

#[tokio::test]
async fn under_load_a_few_come_in_without_a_script() {
    let limits = SignUpLimits { work_above: 2, without_work: 3, network: 1_000, ..SignUpLimits::default() };
    let world = World::with(limits).await;
    let mut let_in = 0;
    for n in 0..20 {
        let ask = World::ask(&format!("138{:08}", n * 10_000));
        match world.residents.ask(ask, HERE.parse().unwrap(), "").await {
            Ok(_) => let_in += 1,
            Err(error) => assert!(matches!(error, ResidentError::Work), "{error}"),
        }
    }
    assert_eq!((let_in, world.sent().await.len()), (2 + 3, 5));
    world.later(TimeDelta::minutes(61));
    assert!(world.send("13900000000").await.is_ok(), "an hour later there is no load");
}

#[tokio::test]
async fn a_drawn_shape_becomes_its_middle_or_every_county_that_it_touches() {
    let world = World::new().await;
    let square = |lat: f64, lon: f64, half: f64| super::Where {
        shape: [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)]
            .map(|(a, b)| Point { lat: lat + a * half, lon: lon + b * half })
            .into(),
        ..super::Where::default()
    };
    let places = |place: &super::Where| world.residents.places("学校", place, &Wishes::default());
    let small = places(&square(31.15, 121.12, 0.001)).unwrap();
    assert_eq!(
        (small.len(), small[0].name.as_str(), small[0].region.as_str(), small[0].point.is_some()),
        (1, "学校", "310118", true)
    );
    let large = places(&square(31.15, 121.12, 0.2)).unwrap();
    assert!(large.len() > 1 && large.iter().all(|place| place.point.is_none()));
    assert!(large.iter().any(|place| place.name == "学校 青浦区"), "{large:?}");
    for (place, why) in [
        (square(0.0, 0.0, 0.1), "off the map"),
        (square(31.15, 121.12, 3.0), "too many counties"),
        (super::Where { shape: vec![Point { lat: 31.0, lon: 121.0 }; 2], ..super::Where::default() }, "3 to 200"),
        (super::Where { shape: vec![Point { lat: 31.0, lon: 121.0 }; 201], ..super::Where::default() }, "3 to 200"),
    ] {
        assert!(places(&place).unwrap_err().to_string().contains(why), "{why}");
    }
}

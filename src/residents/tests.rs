//! Signing up, coming back and going for good.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use sqlx::{Column as _, Row as _};
use tocsin_channels::ChannelKind;

use super::sign_up::{Ask, CONSENT, ResidentError};
use super::test_world::{HERE, World};
use super::{Brought, Wishes};
use crate::cap::Point;
use crate::clock::Clock as _;
use crate::delivery::Address;
use crate::messages::Language;
use crate::store::{Deed, Done, NewSubscriber, Place, Store, StoreOptions};

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
    assert_eq!(world.residents.mine(first.subscriber).await.unwrap().places.len(), 1, "no place twice");
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
async fn the_place_of_a_form_is_kept_whichever_mail_is_opened_first() {
    let world = World::new().await;
    let mut links = Vec::new();
    for ask in [Ask { places: Vec::new(), ..World::ask("li.ming@example.org") }, World::ask("li.ming@example.org")] {
        world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
        links.push(world.link().await);
    }
    let first = world.residents.confirm_link(&links[0]).await.unwrap();
    assert_eq!((first.new, first.brought), (true, Brought::Nothing));
    assert_eq!(world.residents.mine(first.subscriber).await.unwrap().places, []);
    let second = world.residents.confirm_link(&links[1]).await.unwrap();
    assert_eq!((second.subscriber, second.new, second.brought), (first.subscriber, false, Brought::Added));
    let mine = world.residents.mine(first.subscriber).await.unwrap();
    assert_eq!((mine.places.len(), mine.places[0].name.as_str()), (1, "外婆家"));
    let lines = world.store.record_from(1, 100).await.unwrap();
    assert!(lines.iter().any(|line| line.kind == "resident.change"), "it is on record");
}

#[tokio::test]
async fn a_place_typed_by_somebody_signed_up_is_added_once_and_as_far_as_the_limit_lets_it() {
    let world = World::new().await;
    let me = world.sign_up("li.ming@example.org").await;
    let home = World::ask("li.ming@example.org").places.remove(0);
    let at = |region: &str, point| Place { region: region.parse().unwrap(), point, ..home.clone() };
    let come = async |places: Vec<Place>| {
        // A mailbox gets few mails a day unasked.
        world.later(TimeDelta::days(2));
        let ask = Ask { places, ..World::ask("li.ming@example.org") };
        world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
        let entered = world.residents.confirm_link(&world.link().await).await.unwrap();
        assert_eq!((entered.subscriber, entered.new), (me, false));
        (entered.brought, world.residents.mine(me).await.unwrap().places.len())
    };
    let exact = home.point.map(|point| Point { lat: point.lat + 1e-9, ..point });
    assert_eq!(come(vec![at("310118", exact)]).await, (Brought::Nothing, 1), "the same spot");
    assert_eq!(come(vec![at("310118", None)]).await, (Brought::Added, 2), "the whole county");
    assert_eq!(come(vec![at("310118", None)]).await, (Brought::Nothing, 2));
    assert_eq!(come(vec![at("310117", None)]).await, (Brought::Added, 3));
    let many = |n: u32| (0..n).map(|n| at("310115", Some(Point { lat: 31.0 + f64::from(n) / 100.0, lon: 121.5 })));
    assert_eq!(come(many(8).collect()).await, (Brought::TooMany, 10));
    assert_eq!(come(vec![at("320509", None)]).await, (Brought::TooMany, 10));
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

#[tokio::test]
async fn sessions_and_counts_are_kept_no_longer_than_told() {
    let world = World::new().await;
    world.sign_up("li.ming@example.org").await;
    world.send("13812345678").await.unwrap();
    let left = async |days: i64| {
        world.later(TimeDelta::days(days));
        let now = world.clock.now();
        world.store.prune_residents(now - TimeDelta::hours(24), now).await.unwrap();
        let mut left = Vec::new();
        for table in ["sign_up", "resident_session", "usage_count", "unasked"] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
            if sqlx::query_scalar::<_, i64>(sql).fetch_one(&world.store.read).await.unwrap() > 0 {
                left.push(table);
            }
        }
        left
    };
    assert_eq!(left(0).await, ["sign_up", "resident_session", "usage_count", "unasked"]);
    assert_eq!(left(2).await, ["usage_count", "unasked"], "after a day");
    assert_eq!(left(7).await, ["unasked"], "after eight days");
    assert_eq!(left(392).await, [""; 0], "after 400 days");
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
    // For ever: nobody can have codes sent to it any more.
    let sent = world.sent().await.len();
    assert!(world.send("13812345678").await.is_ok(), "the usual answer");
    assert_eq!(world.sent().await.len(), sent);
    // It is no prison: whoever writes so and signs up again is told again.
    assert!(hear("13812345678", "登录").await.is_some());
    assert_eq!(world.sign_up("13812345678").await, me);
    assert_eq!(world.store.own_addresses(me).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_mailbox_is_one_however_its_host_is_spelled() {
    let world = World::new().await;
    let me = world.sign_up("Ann@example.org").await;
    for spelled in ["Ann@Example.ORG", " Ann@EXAMPLE.org "] {
        assert_eq!(world.sign_up(spelled).await, me, "{spelled}");
    }
    let own = world.store.own_addresses(me).await.unwrap();
    assert_eq!(own.into_iter().map(|(_, address)| address.value).collect::<Vec<_>>(), ["Ann@example.org"]);
    // Before the @ a host may tell capitals apart: its other mailbox must not open these settings.
    assert_ne!(world.sign_up("ann@example.org").await, me);
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
    assert_eq!((tested[0].state.as_str(), tested[0].shown), ("waiting", None));
    let release = world.store.tests_of(me, 1).await.unwrap()[0].0;
    let recipient = u64::try_from(world.store.own_addresses(me).await.unwrap()[0].0).unwrap();
    let done = Done { release, recipient, deed: Deed::Shown, at: world.clock.now() };
    world.store.acknowledge_all(&[done]).await.unwrap();
    let all = world.residents.export(me).await.unwrap();
    assert_eq!((all["reports"].as_array().unwrap().len(), &all["contact"]), (1, &serde_json::Value::Null), "{all}");
    let mut tx = world.store.begin().await.unwrap();
    let sealed = world.store.vault.seal("李明").unwrap();
    sqlx::query("INSERT INTO contact (subscriber, organisation, name, duty, source, entered_by) VALUES ($1, 'qp-port', $2, '安全员', 'f', 'shen')")
        .bind(me)
        .bind(sealed)
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let all = world.residents.export(me).await.unwrap();
    let contact = (&all["contact"]["name"], &all["contact"]["duty"], &all["contact"]["entered_by"]);
    assert_eq!(contact, (&"李明".into(), &"安全员".into(), &"shen".into()), "all that is kept of them");
    assert_eq!(world.residents.tested(me).await.unwrap()[0].shown, Some(world.clock.now()), "as its device says");
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
        .execute(&mut tx)
        .await
        .unwrap();
    }
    sqlx::query("UPDATE counter SET value = 1 WHERE name = 'address_to_seal'").execute(&mut tx).await.unwrap();
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

#[tokio::test]
async fn whoever_leaves_with_the_last_address_is_forgotten_after_a_month_and_no_list_brings_them_back() {
    let world = World::new().await;
    let (me, other) = (world.sign_up("13812345678").await, world.sign_up("13912345678").await);
    let address = Address::parse(ChannelKind::Sms, "13812345678").unwrap();
    let own = world.store.own_addresses(me).await.unwrap()[0].0;
    world.residents.leave(u64::try_from(own).unwrap()).await.unwrap();
    world.later(TimeDelta::days(29));
    world.residents.forget_lost().await.unwrap();
    assert!(world.store.resident(me).await.unwrap().is_some(), "they may change their mind");
    world.later(TimeDelta::days(2));
    world.residents.forget_lost().await.unwrap();
    assert!(world.store.resident(me).await.unwrap().is_none());
    assert!(world.store.resident(other).await.unwrap().is_some(), "who stays stays");
    for (place, text) in everything(&world.store).await {
        assert!(!text.contains("13812345678"), "{place}: {text}");
        assert!(!(place.ends_with(".subscriber") && text.trim() == me.to_string()), "{place}");
    }
    let imported = NewSubscriber {
        audience: crate::rules::Audience::Public,
        region: "310118".parse().unwrap(),
        language: Language::Chinese,
        addresses: vec![address],
    };
    let added = world.store.add_subscribers(&[imported], world.clock.now()).await.unwrap();
    assert_eq!((added.subscribers, added.repeated), (0, 1), "they left");
    // Themselves they can.
    let again = world.sign_up("13812345678").await;
    assert_eq!(world.store.own_addresses(again).await.unwrap()[0].1.value, "+8613812345678");
}

#[tokio::test]
async fn whoever_comes_back_just_before_the_month_is_over_keeps_everything() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    let own = world.store.own_addresses(me).await.unwrap()[0].0;
    world.residents.leave(u64::try_from(own).unwrap()).await.unwrap();
    world.later(TimeDelta::days(32));
    // Found; before they are deleted they ask for a code, and come in.
    let before = world.clock.now() - TimeDelta::days(31);
    assert_eq!(world.store.lost_residents(before, 10).await.unwrap(), [me]);
    let token = world.send("13812345678").await.unwrap();
    world.residents.erase_all(me, Some(before)).await.unwrap();
    assert!(world.store.resident(me).await.unwrap().is_some(), "a code is on its way");
    let entered = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!((entered.subscriber, entered.new), (me, false));
    world.residents.erase_all(me, Some(before)).await.unwrap();
    assert_eq!(world.residents.mine(me).await.unwrap().places.len(), 1, "they are back");
    // Left again, and not yet for a month.
    world.residents.leave(u64::try_from(own).unwrap()).await.unwrap();
    world.residents.erase_all(me, Some(before)).await.unwrap();
    assert!(world.store.resident(me).await.unwrap().is_some());
    let after = world.clock.now() + TimeDelta::seconds(1);
    world.residents.erase_all(me, Some(after)).await.unwrap();
    assert!(world.store.resident(me).await.unwrap().is_none());
}

#[tokio::test]
async fn leaving_by_the_link_of_a_message_is_on_record_once() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    let own = u64::try_from(world.store.own_addresses(me).await.unwrap()[0].0).unwrap();
    world.residents.leave(own).await.unwrap();
    world.residents.leave(own).await.unwrap();
    let lines = world.store.record_from(1, 100).await.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| (line.kind.as_str(), line.subject.as_str())).collect();
    assert_eq!(kinds[1..], [("resident.leave", "+861********78")]);
}

//! What a device says, and what follows of it, without a broker.

use chrono::{DateTime, TimeDelta, Utc};

use super::hear::{Counts, Ear};
use super::presence::{Presence, PresenceRule, Share, shares, shares_of_heard};
use super::said::{Refusal, Said, read, whose};
use super::{Device, DeviceKind};
use crate::cap::Colour;
use crate::regions::RegionMap;
use crate::store::DeviceRow;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn row(id: &str, region: &str, seen: Option<i64>, offline: Option<i64>) -> DeviceRow {
    DeviceRow {
        device: Device {
            id: id.parse().unwrap(),
            kind: DeviceKind::Siren,
            name: "屋顶".into(),
            region: region.parse().unwrap(),
            point: None,
            organisation: None,
            lowest: Colour::Orange,
            drills: false,
        },
        seen_at: seen.map(at),
        offline_at: offline.map(at),
        battery: None,
        firmware: None,
        refused: 0,
        problem: None,
    }
}

#[test]
fn what_a_device_says_is_read_strictly() {
    let beat = |battery, firmware: Option<&str>| Said::Heartbeat { battery, firmware: firmware.map(str::to_owned) };
    for (word, payload, means) in [
        ("state", "online", Ok(Said::Online)),
        ("state", "offline", Ok(Said::Offline)),
        ("state", "ONLINE", Err(Refusal::Content)),
        ("state", "", Err(Refusal::Content)),
        ("heartbeat", "", Ok(beat(None, None))),
        ("heartbeat", "{}", Ok(beat(None, None))),
        ("heartbeat", "{\"battery\":86.6,\"firmware\":\"2.1\",\"new\":[1]}", Ok(beat(Some(87), Some("2.1")))),
        ("heartbeat", "{\"battery\":101}", Err(Refusal::Content)),
        ("heartbeat", "{\"battery\":\"full\"}", Err(Refusal::Content)),
        ("heartbeat", "{\"firmware\":\"<script>\"}", Err(Refusal::Content)),
        ("heartbeat", "[]", Err(Refusal::Content)),
        ("heartbeat", "{", Err(Refusal::Content)),
        ("played", "{\"id\":\"abc234\"}", Ok(Said::Played { alert: "abc234".into() })),
        ("played", "{\"id\":\"' OR 1=1\"}", Err(Refusal::Content)),
        ("played", "{\"id\":\"\"}", Err(Refusal::Content)),
        ("played", "{}", Err(Refusal::Content)),
        ("alert", "{}", Err(Refusal::Topic)),
    ] {
        assert_eq!(read(word, payload.as_bytes()), means, "{word} {payload}");
    }
    assert_eq!(read("heartbeat", &[b'x'; 1_025]), Err(Refusal::TooLarge));
    assert_eq!(read("heartbeat", b"\xff\xfe"), Err(Refusal::Content));
}

#[test]
fn a_topic_is_of_one_device_or_of_none() {
    assert_eq!(whose("tocsin/v1/device/qp-1/state", "tocsin/v1"), Some(("qp-1", "state")));
    for topic in ["tocsin/v1/device/qp-1", "tocsin/v1/device/qp-1/alert/x", "other/device/qp-1/state", ""] {
        assert_eq!(whose(topic, "tocsin/v1"), None, "{topic}");
    }
}

#[test]
fn one_that_talks_without_end_is_not_listened_to_and_the_others_are() {
    let (mut ear, counts) = (Ear::default(), Counts::default());
    let mut hear =
        |id: &str, second| ear.hear("t", (&format!("t/device/{id}/heartbeat"), b"", false), &counts, at(second));
    assert_eq!((0..500).filter(|_| hear("loud", 0)).count(), 20);
    assert!(hear("calm", 0), "another one is heard");
    assert_eq!((0..500).filter(|_| hear("loud", 5)).count(), 5, "one a second after that");
    assert!((0..500).all(|second| hear("steady", second)), "one a second is always heard");
    assert_eq!(counts.all().find(|(reason, _)| *reason == "flood"), Some(("flood", 480 + 495)));
    let news = ear.take();
    assert_eq!((news["loud"].refused, news["loud"].problem.as_deref()), (975, Some("flood")));
    assert_eq!(news["calm"].refused, 0);
}

#[test]
fn a_device_is_silent_when_the_broker_says_so_or_it_says_nothing() {
    let rule = PresenceRule { heartbeat: TimeDelta::seconds(60), missed: 3 };
    let of = |seen, offline, listening: Option<i64>, now| {
        Presence::of(&row("a1", "310118", seen, offline), listening.map(at), rule, at(now))
    };
    assert_eq!(of(None, None, Some(0), 999), Presence::Never);
    assert_eq!(of(Some(100), None, Some(0), 280), Presence::Alive);
    assert_eq!(of(Some(100), None, Some(0), 281), Presence::Silent(at(100)));
    assert_eq!(of(Some(100), Some(110), Some(0), 111), Presence::Silent(at(110)), "the last will");
    assert_eq!(of(Some(100), None, Some(5_000), 5_100), Presence::Alive, "we were away, not the device");
    assert_eq!(of(Some(100), None, Some(5_000), 5_181), Presence::Silent(at(100)));
    assert_eq!(of(Some(100), None, None, 5_000), Presence::Unknown);
}

#[test]
fn after_a_break_nobody_is_back_before_we_know() {
    let rule = PresenceRule { heartbeat: TimeDelta::seconds(60), missed: 3 };
    assert!(!rule.knows_who_is_back(at(1_000), at(1_180)), "everybody seems alive so far");
    assert!(rule.knows_who_is_back(at(1_000), at(1_181)));
    let map = RegionMap::delta().unwrap();
    let rows = || {
        vec![
            (row("a1", "320509", Some(900), None), Presence::Alive),
            (row("a2", "320509", Some(1_001), None), Presence::Alive),
        ]
    };
    let silent = |now| shares_of_heard(rows(), at(1_000), rule, at(now), &map).values().next().unwrap().silent;
    assert_eq!((silent(1_010), silent(1_200)), (1, 0), "who was heard since is back at once");
}

#[test]
fn heartbeats_kept_while_we_were_away_do_not_drown_what_was_played() {
    let (mut ear, counts) = (Ear::default(), Counts::default());
    for _ in 0..60 {
        ear.hear("t", ("t/device/a1/heartbeat", b"", false), &counts, at(1));
    }
    assert!(ear.hear("t", ("t/device/a1/played", b"{\"id\":\"abc234\"}", false), &counts, at(1)));
}

#[test]
fn the_broker_s_memory_is_no_sign_of_life() {
    let (mut ear, counts) = (Ear::default(), Counts::default());
    let mut hear = |payload: &[u8], retained, second| {
        ear.hear("t", ("t/device/a1/state", payload, retained), &counts, at(second));
        ear.take().remove("a1").unwrap()
    };
    assert_eq!(hear(b"online", true, 1).seen, None, "it was there when it said so, whenever that was");
    assert_eq!(hear(b"online", false, 1).seen, Some(at(1)));
    assert_eq!(hear(b"offline", true, 2).offline, Some(at(2)));
}

#[test]
fn a_region_is_called_for_when_many_are_silent_not_when_one_is() {
    let map = RegionMap::delta().unwrap();
    let with = |silent: usize, alive: usize| {
        let silent = (0..silent).map(|n| (row(&format!("s{n}"), "320509", Some(1), None), Presence::Silent(at(1))));
        let alive = (0..alive).map(|n| (row(&format!("a{n}"), "320508", Some(1), None), Presence::Alive));
        let never = std::iter::once((row("n1", "320505", None, None), Presence::Never));
        shares(&silent.chain(alive).chain(never).collect::<Vec<_>>(), &map)
    };
    let share = with(3, 9);
    assert_eq!(share.len(), 1, "counties of one prefecture count together: {share:?}");
    assert_eq!(share.values().next(), Some(&Share { devices: 12, silent: 3 }));
    assert!(Share { devices: 12, silent: 3 }.is_grave(20, 3));
    assert!(!Share { devices: 15, silent: 3 }.is_grave(20, 3), "a fifth exactly");
    assert!(!Share { devices: 2, silent: 2 }.is_grave(20, 3), "two of two");
}

//! The officers' desk over a real store: clicks at the same moment, a crash at any moment, who is asked and who is called.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/bench.rs"]
mod bench;
mod calls;
mod damaged;
mod pages;
mod recall;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use bench::{Bench, count};
use chrono::TimeDelta;
use serde_json::Value;
use support::crew::{Crew, Officer};
use support::{Cma, ORANGE, RED, Server, YELLOW, write_config};
use tocsin::approval::{Act, Amendment, Correction, Effect, Escalation, Override, Rotation};
use tocsin::record::Line;
use tocsin::rules::{Position, Stage};
use tocsin::store::{AlertState, EscalationRow};
use tocsin::world::Live;

const SHANGHAI: [&str; 16] = [
    "310101", "310104", "310105", "310106", "310107", "310109", "310110", "310112", "310113", "310114", "310115",
    "310116", "310117", "310118", "310120", "310151",
];

const SHIPPED: &str = include_str!("../../rules/delta.toml");

fn amend(bench: &Bench, row: &EscalationRow<Live>, minutes: i64) -> Act {
    let amendment = Amendment { expires: Some(bench.now + TimeDelta::minutes(minutes)), ..Amendment::default() };
    Act::Amend { amendment, regions: row.escalation.regions.clone(), reason: "shorter".into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clicks_at_the_same_moment_leave_what_the_same_clicks_one_by_one_leave() {
    let bench = Arc::new(Bench::new(SHIPPED).await);
    let both = ["reviewer:310000", "signer:310000"];
    let mut officers = Vec::new();
    for login in ["o0", "o1", "o2", "o3"] {
        officers.push(Arc::new(bench.crew.officer(login, &both).await));
    }
    // One event a round: each over a county of its own.
    for (round, county) in SHANGHAI.into_iter().enumerate() {
        let alert = Cma { colour: RED, code: format!("{county}000000"), ..Cma::new(&format!("round-{round}")) };
        let receipt = bench.post(&alert).await;
        let before = bench.waiting(&receipt).await.remove(0);
        let releases = bench.releases().await;
        // Twenty clicks: in some rounds all the same, in others everything at once.
        let mut clicks = Vec::new();
        for n in 0_usize..20 {
            let officer = Arc::clone(&officers[if round % 4 == 0 { n % 2 } else { (n * 7 + round) % 4 }]);
            let act = match (round % 4, (n * 5 + round * 3) % 16) {
                (0, _) | (_, 0..=4) => Act::Approve(if n % 2 == 0 { Stage::Review } else { Stage::Sign }),
                (1, _) | (_, 5..=9) => Act::Approve(if n % 2 == 0 { Stage::Sign } else { Stage::Review }),
                (_, 10) => Act::Take,
                (2, 11) => Act::Return("why".into()),
                (_, 11 | 12) => amend(&bench, &before, 30),
                (3, 13) => Act::Reject("why".into()),
                (_, 13) => Act::Withdraw("why".into()),
                _ => Act::Take,
            };
            clicks.push((act, officer));
        }
        let start = Arc::new(tokio::sync::Barrier::new(clicks.len()));
        let tasks: Vec<_> = clicks
            .into_iter()
            .map(|(act, officer)| {
                let (bench, start, id) = (Arc::clone(&bench), Arc::clone(&start), before.id);
                tokio::spawn(async move {
                    start.wait().await;
                    bench.desk.act::<Live>(id, act, 0, &officer.row).await.is_ok()
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += usize::from(task.await.unwrap());
        }
        // The record says in which order they were: one by one, they lead to the same end.
        let all = bench.crew.store.record_from(1, 100_000).await.unwrap();
        let said: Vec<_> =
            all.iter().filter(|l| l.subject == receipt.id.as_str() && l.actor.starts_with('o')).collect();
        assert_eq!(said.len(), done, "each click that was taken has one line");
        let mut alone = before.escalation.clone();
        let mut released = 0;
        for line in &said {
            let officer = officers.iter().find(|o| o.row.login.as_str() == line.actor).unwrap();
            let act = act_of(line);
            for effect in alone.act(act, 0, &bench.desk.who(&officer.row, &alone.jurisdiction), bench.now).unwrap() {
                if let Effect::Release { by } = effect {
                    alone.released(by);
                    released += 1;
                }
            }
        }
        let after = bench.waiting(&receipt).await.remove(0).escalation;
        // Whether anybody could be called is what the desk finds out, not what a click says.
        alone.uncalled = after.uncalled;
        assert_eq!(after, alone, "round {round}: {said:?}");
        assert!(released <= 1 && bench.releases().await - releases == released, "one release at most");
        let mut by: Vec<_> = after.signatures.iter().map(|s| s.by).collect();
        by.dedup();
        assert_eq!(by.len(), after.signatures.len(), "one yes each");
        if round % 4 <= 1 {
            assert_eq!((released, after.state.as_str()), (1, "released"), "two of them said yes");
        }
    }
}

/// What a line of the record says that an officer did.
fn act_of(line: &Line) -> Act {
    let detail: Value = serde_json::from_str(&line.detail).unwrap();
    let said = &detail["said"];
    let reason = || said["reason"].as_str().unwrap().to_owned();
    match line.kind.as_str() {
        "escalation.take" => Act::Take,
        "escalation.approve" => Act::Approve(serde_json::from_value(said["stage"].clone()).unwrap()),
        "escalation.return" => Act::Return(reason()),
        "escalation.reject" => Act::Reject(reason()),
        "escalation.withdraw" => Act::Withdraw(reason()),
        "escalation.amend" => Act::Amend {
            amendment: serde_json::from_value(said["amendment"].clone()).unwrap(),
            regions: serde_json::from_value(said["regions"].clone()).unwrap(),
            reason: reason(),
        },
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_province_decides_for_its_own_and_none_waits_for_another() {
    let bench = Bench::new(SHIPPED).await;
    let (shanghai, zhejiang) =
        (bench.crew.officer("sh", &["signer:310000"]).await, bench.crew.officer("zj", &["signer:330000"]).await);
    let codes = "310118</value></geocode><geocode><valueName>GB/T 2260</valueName><value>330421</value></geocode><geocode><valueName>GB/T 2260</valueName><value>320509";
    let receipt = bench.post(&Cma { colour: ORANGE, code: codes.into(), ..Cma::new("three") }).await;
    assert_eq!(receipt.state, AlertState::Waiting);
    let rows = bench.waiting(&receipt).await;
    let places: BTreeMap<_, _> = rows.iter().map(|r| (r.escalation.jurisdiction.as_str(), r)).collect();
    assert_eq!(places.keys().copied().collect::<Vec<_>>(), ["310000", "320000", "330000"]);
    let sign = || Act::Approve(Stage::Sign);
    assert!(!bench.act(places["310000"].id, sign(), 0, &zhejiang).await);
    assert!(bench.act(places["310000"].id, sign(), 0, &shanghai).await);
    let state = async || bench.crew.store.alert(receipt.id.as_str()).await.unwrap().unwrap().state;
    assert_eq!(state().await, AlertState::Partly);
    assert!(bench.act(places["330000"].id, Act::Reject("not here".into()), 0, &zhejiang).await);
    assert_eq!((state().await, bench.releases().await), (AlertState::Partly, 1), "Jiangsu still thinks");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_asks_for_what_is_new_and_an_end_asks_nobody() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let reviewer = bench.crew.officer("reviewer", &["reviewer:310000"]).await;
    let first = Cma { colour: ORANGE, ..Cma::new("a") };
    let receipt = bench.post(&first).await;
    assert_eq!(receipt.state, AlertState::Waiting);
    assert!(bench.act(bench.waiting(&receipt).await[0].id, Act::Approve(Stage::Sign), 0, &signer).await);
    let same = Cma { colour: ORANGE, msg_type: "Update", ..Cma::new("b") }.refers_to(&first);
    assert_eq!(bench.post(&same).await.state, AlertState::Released, "no county, level, list or channel more");
    let wider = Cma { code: "310120000000".into(), ..Cma { identifier: "c".into(), ..same.clone() } }.refers_to(&same);
    let receipt = bench.post(&wider).await;
    assert_eq!(receipt.state, AlertState::Partly, "another county; where it is over, people hear so at once");
    let id = bench.waiting(&receipt).await[0].id;
    assert!(bench.act(id, Act::Approve(Stage::Sign), 0, &signer).await);
    let redder = Cma { colour: RED, identifier: "d".into(), ..wider.clone() }.refers_to(&wider);
    let receipt = bench.post(&redder).await;
    assert_eq!(receipt.state, AlertState::Waiting, "another level");
    let milder = Cma { colour: YELLOW, identifier: "e".into(), ..redder.clone() }.refers_to(&redder);
    assert_eq!(bench.post(&milder).await.state, AlertState::Released, "less needs nobody");
    let row = &bench.waiting(&receipt).await[0];
    assert_eq!(row.escalation.state.as_str(), "withdrawn", "what waits of the older one is over");
    let state = bench.crew.store.alert(receipt.id.as_str()).await.unwrap().unwrap().state;
    assert_eq!(state, AlertState::Closed, "and the alert does not say that it still waits");
    assert!(!bench.act(row.id, Act::Approve(Stage::Review), 0, &reviewer).await);
    let end = Cma { msg_type: "Cancel", identifier: "f".into(), ..milder.clone() }.refers_to(&milder);
    assert_eq!(bench.post(&end).await.state, AlertState::Released, "the end asks nobody");
    let quake = Cma { colour: RED, event: ("地震", "Earthquake"), ..Cma::new("quake") };
    assert_eq!(bench.post(&quake).await.state, AlertState::Released, "seconds count: earthquakes ask nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_set_may_ask_for_ends_too_and_then_in_the_green_channel() {
    let (head, cancel) = SHIPPED.split_at(SHIPPED.find("name = \"cancel\"").unwrap());
    let bench = Bench::new(&format!("{head}{}", cancel.replacen("\"none\"", "\"two\"", 1))).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let reviewer = bench.crew.officer("reviewer", &["reviewer:310000"]).await;
    let first = Cma::new("a");
    assert_eq!(bench.post(&first).await.state, AlertState::Released);
    let end = Cma { msg_type: "Cancel", ..Cma::new("b") }.refers_to(&first);
    let receipt = bench.post(&end).await;
    assert_eq!(receipt.state, AlertState::Waiting);
    let row = bench.waiting(&receipt).await.remove(0);
    assert!(row.escalation.approval.green);
    assert!(bench.act(row.id, Act::Approve(Stage::Sign), 0, &signer).await, "the signature may come first");
    assert!(bench.act(row.id, Act::Approve(Stage::Review), 0, &reviewer).await);
    assert_eq!(bench.waiting(&receipt).await[0].escalation.state.as_str(), "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roster_decides_who_is_called() {
    let bench = Bench::new(SHIPPED).await;
    let may = ["reviewer:310000"];
    let (li, wang, zhao) = (
        bench.crew.officer("li", &may).await,
        bench.crew.officer("wang", &may).await,
        bench.crew.officer("zhao", &["signer:310000"]).await,
    );
    bench.crew.officer("elsewhere", &["signer:330000"]).await;
    bench.crew.officer("auditor", &["auditor:310000"]).await;
    let mut n = 0;
    let mut called = async || {
        n += 1;
        bench.post(&Cma { colour: ORANGE, ..Cma::new(&format!("n{n}")) }).await;
        let line = bench.lines("page").await.pop().unwrap();
        let detail: Value = serde_json::from_str(&line.detail).unwrap();
        let names: Vec<_> =
            detail["called"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        (names.join(" "), detail["on_roster"].as_bool().unwrap())
    };
    assert_eq!(
        called().await,
        ("li·名 wang·名 zhao·名".into(), false),
        "nobody on the roster: everyone who could decide"
    );
    let jurisdiction = || "310000".parse().unwrap();
    let staff = &bench.crew.staff;
    let starts = bench.now - TimeDelta::days(10);
    let officers = vec![li.id(), wang.id()];
    let rotation =
        Rotation { id: 0, jurisdiction: jurisdiction(), position: Position::Primary, officers, days: 7, starts };
    staff.set_rotation(&rotation, &bench.crew.root.row).await.unwrap();
    assert_eq!(called().await, ("wang·名".into(), true), "the second week is Wang's");
    let stands_in = |from: i64, to: i64, who: &Officer| Override {
        id: 0,
        jurisdiction: jurisdiction(),
        position: Position::Primary,
        officer: who.id(),
        from: bench.now + TimeDelta::hours(from),
        to: bench.now + TimeDelta::hours(to),
    };
    staff.stand_in(&stands_in(1, 2, &li), &zhao.row).await.unwrap();
    assert_eq!(called().await, ("wang·名".into(), true), "not yet");
    staff.stand_in(&stands_in(-1, 1, &zhao), &zhao.row).await.unwrap();
    assert_eq!(called().await, ("zhao·名".into(), true));
    staff.suspend(zhao.id(), false, &bench.crew.root.row).await.unwrap();
    assert_eq!(called().await, ("li·名 wang·名".into(), false), "who cannot sign in is not counted on");
}

/// Approvals that go fast, one for each hazard that the test's bureau may speak of.
const HASTY: &str = r#"
[[approval]]
name = "climb"
stages = ["sign"]
steps = [
    { page = "primary", by = ["email"], within = "1s", then = "next" },
    { page = "secondary", by = ["email"], within = "1s", then = "release_signed" },
    { page = "chief", by = ["email"], within = "1s", then = "hold" },
]
[[approval]]
name = "auto"
stages = ["sign"]
steps = [
    { page = "primary", by = ["email"], within = "1s", then = "next" },
    { page = "chief", by = ["email"], within = "1s", then = "release" },
]
[[approval]]
name = "lapse"
stages = ["sign"]
steps = [{ page = "primary", by = ["email"], within = "2s", then = "lapse" }]
[[rule]]
name = "typhoon"
when = { hazard = ["typhoon"] }
audience = ["public"]
channels = ["email"]
priority = 0
approval = "climb"
[[rule]]
name = "rain"
when = { hazard = ["rainstorm"] }
audience = ["public"]
channels = ["email"]
priority = 1
approval = "auto"
[[rule]]
name = "surge"
when = { hazard = ["storm-surge"] }
audience = ["public"]
channels = ["email"]
priority = 2
approval = "lapse"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_commits_loses_no_deadline_and_repeats_no_release() {
    const EACH: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, HASTY).unwrap();
    write_config(folder.path(), &format!("[rules]\nfile = \"{}\"\n", rules.display()));
    let mut server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    crew.officer("li", &["signer:310000"]).await;
    let mut alerts: Vec<(&str, String)> = Vec::new();
    let mut kills = 0;
    let mut next_kill = 12;
    // The program dies again and again, a few commits further each time, while alerts come in and deadlines run.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(400);
    loop {
        assert!(std::time::Instant::now() < deadline, "never came to be: {}", server.log());
        if alerts.len() < 3 * EACH {
            let events = [("台风", "Typhoon"), ("暴雨", "Rainstorm"), ("风暴潮", "Storm surge")];
            let event = events[alerts.len() % 3];
            // Each over a county that its danger has not had: they are eighteen events.
            let code = format!("{}000000", SHANGHAI[alerts.len() / 3]);
            let alert = Cma { event, code, ..Cma::new(&format!("n{}", alerts.len())) };
            let (status, answer) = server.post(alert.xml()).await;
            assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
            alerts.push((event.1, answer["id"].as_str().unwrap().to_owned()));
        }
        let lines = crew.store.record_count().await.unwrap();
        if lines >= next_kill && kills < 6 {
            server.kill();
            server.run();
            (kills, next_kill) = (kills + 1, crew.store.record_count().await.unwrap() + 5 + kills);
        }
        if alerts.len() == 3 * EACH && kills == 6 && settled(&crew, &alerts).await {
            break;
        }
    }
    let record = crew.store.record_from(1, 100_000).await.unwrap();
    for (event, id) in &alerts {
        let of = |kind: &str| record.iter().filter(|line| line.subject == *id && line.kind == kind).collect::<Vec<_>>();
        let steps: Vec<i64> = of("page")
            .iter()
            .map(|line| serde_json::from_str::<Value>(&line.detail).unwrap()["step"].as_i64().unwrap())
            .collect();
        let climbed = steps.windows(2).all(|two| two[1] == two[0] + 1 || (two[0], two[1]) == (2, 2));
        assert!(climbed && steps.first() == Some(&0), "{event}: a step was left out or repeated: {steps:?}");
        let releases = of("release").len();
        match *event {
            "Typhoon" => assert!(steps.len() >= 4 && releases == 0, "{steps:?}"),
            "Rainstorm" => assert_eq!((steps.as_slice(), releases), (&[0, 1][..], 1)),
            _ => assert_eq!((steps.as_slice(), releases), (&[0][..], 0)),
        }
    }
    let sql = "SELECT COUNT(*) FROM release WHERE kind = 'alert'";
    assert_eq!(count(&server.folder.path().join("t.db"), sql).await, EACH as i64, "each once");
    let (well, out, _) = server.tocsin(&["audit", "verify"]);
    assert!(well, "{out}");
}

/// Whether every alert has come to where its approval leads when nobody says a word.
async fn settled(crew: &Crew, alerts: &[(&str, String)]) -> bool {
    for (event, id) in alerts {
        let rows = crew.store.escalations_of::<Live>(id).await.unwrap();
        let [row] = rows.as_slice() else { panic!("{event}: one part, for ever") };
        let machine: &Escalation<Live> = &row.escalation;
        let there = match *event {
            "Typhoon" => machine.overdue && machine.step == 2,
            "Rainstorm" => machine.state.as_str() == "released",
            _ => machine.state.as_str() == "expired",
        };
        if !there {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_correction_happens_once_however_often_it_is_clicked() {
    let bench = Arc::new(Bench::new(SHIPPED).await);
    let signer = Arc::new(bench.crew.officer("signer", &["signer:310000"]).await);
    let receipt = bench.post(&Cma { colour: ORANGE, ..Cma::new("wrong") }).await;
    let alert = receipt.id.to_string();
    assert!(bench.act(bench.waiting(&receipt).await[0].id, Act::Approve(Stage::Sign), 0, &signer).await);
    assert_eq!(bench.desk.stop::<Live>(&alert, "wrong", &signer.row).await.unwrap(), 1);
    assert_eq!(bench.desk.stop::<Live>(&alert, "wrong", &signer.row).await.unwrap(), 0, "stopped is stopped");
    let clicks: Vec<_> = (0..10)
        .map(|_| {
            let (bench, signer, alert) = (Arc::clone(&bench), Arc::clone(&signer), alert.clone());
            tokio::spawn(async move {
                let words = Correction { zh: "有误".into(), en: "wrong".into() };
                bench.desk.correct::<Live>(&alert, &words, &signer.row).await.map_err(|error| error.code())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for click in clicks {
        answers.push(click.await.unwrap().err());
    }
    answers.sort();
    assert_eq!(answers, [vec![None], vec![Some("T6002"); 9]].concat());
    assert_eq!(bench.releases().await, 2, "the alert and its one correction");
    let again = bench.desk.resend::<Live>(&alert, "x", &signer.row).await;
    assert_eq!(again.map_err(|error| error.code()), Err("T6002"), "what was wrong is not repeated");
    assert!(bench.lines("release.resend").await.is_empty(), "and the record does not say that it was");
}

const TWO_COUNTIES: &str = "310118</value></geocode><geocode><valueName>GB/T 2260</valueName><value>310120";
const TWO_PROVINCES: &str = "310118</value></geocode><geocode><valueName>GB/T 2260</valueName><value>330421";

/// An alert of two counties of one province: the first is released, the second, by its id, still waits.
async fn half_released(bench: &Bench, signer: &Officer) -> (String, i64) {
    let receipt = bench.post(&Cma { colour: ORANGE, code: TWO_COUNTIES.into(), ..Cma::new("half") }).await;
    let first = bench.waiting(&receipt).await[0].id;
    let second = bench.desk.split::<Live>(first, &["310120".parse().unwrap()], 0, &signer.row).await.unwrap();
    assert!(bench.act(first, Act::Approve(Stage::Sign), 1, signer).await);
    (receipt.id.to_string(), second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_holds_what_is_still_to_come_and_what_is_stopped_is_not_sent_again() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let (alert, second) = half_released(&bench, &signer).await;
    assert_eq!(bench.desk.stop::<Live>(&alert, "wait", &signer.row).await.unwrap(), 1);
    assert!(bench.act(second, Act::Approve(Stage::Sign), 1, &signer).await);
    let held = "SELECT COUNT(*) FROM release WHERE kind = 'alert' AND held_at IS NOT NULL";
    assert_eq!(count(&bench.folder.path().join("t.db"), held).await, 2);
    let again = bench.desk.resend::<Live>(&alert, "x", &signer.row).await;
    assert_eq!(again.map_err(|error| error.code()), Err("T6002"));
    assert_eq!(bench.desk.resume::<Live>(&alert, "right after all", &signer.row).await.unwrap(), 2);
    assert_eq!(bench.desk.resend::<Live>(&alert, "x", &signer.row).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_ends_what_still_waits_of_the_wrong_alert() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let (alert, second) = half_released(&bench, &signer).await;
    let words = Correction { zh: "有误".into(), en: "wrong".into() };
    let correction = bench.desk.correct::<Live>(&alert, &words, &signer.row).await.unwrap();
    assert!(!bench.act(second, Act::Approve(Stage::Sign), 1, &signer).await, "it is over");
    let row = bench.crew.store.alert(&alert).await.unwrap().unwrap();
    assert_eq!((row.state, row.superseded_by), (AlertState::Released, Some(correction.to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_corrected_leaves_the_event_to_its_bureau_and_all_parts_corrected_end_the_alert() {
    let bench = Bench::new(SHIPPED).await;
    let (shanghai, zhejiang) =
        (bench.crew.officer("sh", &["signer:310000"]).await, bench.crew.officer("zj", &["signer:330000"]).await);
    let words = Correction { zh: "有误".into(), en: "wrong".into() };
    for all in [false, true] {
        let before = Cma { colour: ORANGE, code: TWO_PROVINCES.into(), ..Cma::new(if all { "all" } else { "part" }) };
        let sent = before.sent - TimeDelta::minutes(if all { 10 } else { 20 });
        let first = Cma { sent, ..before };
        let receipt = bench.post(&first).await;
        for row in bench.waiting(&receipt).await {
            let officer = if row.escalation.jurisdiction.as_str() == "310000" { &shanghai } else { &zhejiang };
            assert!(bench.act(row.id, Act::Approve(Stage::Sign), 0, officer).await);
        }
        let alert = receipt.id.to_string();
        let over = async || bench.crew.store.alert(&alert).await.unwrap().unwrap().superseded_by;
        bench.desk.correct::<Live>(&alert, &words, &shanghai.row).await.unwrap();
        assert_eq!(over().await, None, "it stands in the other province");
        if all {
            let last = bench.desk.correct::<Live>(&alert, &words, &zhejiang.row).await.unwrap();
            assert_eq!(over().await, Some(last.to_string()));
        } else {
            // Sent before the correction, which is no part of the bureau's event: so it is not late.
            let sent = sent + TimeDelta::minutes(5);
            let end = Cma { msg_type: "Cancel", identifier: "end".into(), sent, ..first.clone() }.refers_to(&first);
            let receipt = bench.post(&end).await;
            assert_eq!(receipt.state, AlertState::Released);
            assert_eq!(over().await, Some(receipt.id.to_string()));
        }
    }
}

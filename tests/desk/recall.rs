//! Whoever is responsible for a place can stop and correct there what needed nobody's yes, and nowhere else.

use chrono::Utc;
use reqwest::Method;
use serde_json::Value;
use tocsin::approval::Correction;
use tocsin::store::AlertState;
use tocsin::world::Live;

use super::bench::{Bench, count};
use super::support::crew::{Browser, Crew, Officer};
use super::support::{Cma, ORANGE, RED, Server, YELLOW};
use super::{Act, SHIPPED, Stage, TimeDelta};

const THREE: [&str; 3] = ["310118", "320509", "330421"];

fn codes(counties: &[&str]) -> String {
    counties.join("</value></geocode><geocode><valueName>GB/T 2260</valueName><value>")
}

fn over(counties: &[&str], identifier: &str) -> Cma {
    let event = ("地震", "Earthquake");
    Cma { colour: RED, event, code: codes(counties), ..Cma::new(identifier) }
}

/// How many releases of officers' alerts are stopped, by jurisdiction.
async fn stopped(bench: &Bench) -> [i64; 2] {
    let file = bench.folder.path().join("t.db");
    let own = "SELECT COUNT(*) FROM release WHERE kind = 'alert' AND held_at IS NOT NULL AND jurisdiction = '310000'";
    let all = "SELECT COUNT(*) FROM release WHERE kind = 'alert' AND held_at IS NOT NULL";
    [count(&file, own).await, count(&file, all).await]
}

/// Stops and corrects as Shanghai's signer, and gives what of it is stopped, and the jurisdictions of the correction.
async fn recalled(bench: &Bench, alert: &str, signer: &Officer) -> ([i64; 2], Vec<Value>) {
    assert_eq!(bench.desk.stop::<Live>(alert, "wrong", &signer.row).await.unwrap(), 1);
    let held = stopped(bench).await;
    let words = Correction { zh: "有误".into(), en: "wrong".into() };
    let correction = bench.desk.correct::<Live>(alert, &words, &signer.row).await.unwrap();
    let own = bench.lines("release").await.into_iter().filter(|line| line.subject == correction.as_str());
    let place = |detail: &str| serde_json::from_str::<Value>(detail).unwrap()["jurisdiction"].clone();
    (held, own.map(|line| place(&line.detail)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earthquake_over_three_provinces_is_stopped_and_corrected_by_one_of_them_for_its_own_people() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("sh", &["signer:310000"]).await;
    let receipt = bench.post(&over(&THREE, "quake")).await;
    assert_eq!(
        (receipt.state, bench.releases().await),
        (AlertState::Released, 3),
        "one for each, and nobody was asked"
    );
    let (held, corrected) = recalled(&bench, receipt.id.as_str(), &signer).await;
    assert_eq!(held, [1, 1], "Shanghai's is held, and nobody else's");
    assert_eq!(corrected, ["310000"], "and corrected to Shanghai's people");
    let row = bench.crew.store.alert(receipt.id.as_str()).await.unwrap().unwrap();
    assert_eq!(row.superseded_by, None, "it stands in the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_all_clear_over_three_provinces_is_stopped_and_corrected_by_one_of_them() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("sh", &["signer:310000"]).await;
    let first = over(&THREE, "quake");
    bench.post(&first).await;
    let end = Cma { msg_type: "Cancel", ..over(&THREE, "end") }.refers_to(&first);
    let receipt = bench.post(&end).await;
    assert_eq!((receipt.state, bench.releases().await), (AlertState::Released, 6));
    let (held, corrected) = recalled(&bench, receipt.id.as_str(), &signer).await;
    assert_eq!((held, corrected), ([1, 1], vec!["310000".into()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_county_stops_the_wrong_all_clear_that_speaks_to_its_people_alone() {
    let bench = Bench::new(SHIPPED).await;
    let county = bench.crew.officer("qingpu", &["signer:310118"]).await;
    let other = bench.crew.officer("chongming", &["signer:310151"]).await;
    let first = Cma { colour: YELLOW, code: codes(&["310118"]), ..Cma::new("wind") };
    bench.post(&first).await;
    let receipt = bench.post(&Cma { msg_type: "Cancel", ..Cma::new("end") }.refers_to(&first)).await;
    let alert = receipt.id.as_str();
    let refused = bench.desk.stop::<Live>(alert, "not mine", &other.row).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("T6009"), "its neighbour may not");
    assert_eq!(bench.desk.stop::<Live>(alert, "wrong", &county.row).await.unwrap(), 1);
    let words = Correction { zh: "有误".into(), en: "wrong".into() };
    bench.desk.correct::<Live>(alert, &words, &county.row).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_what_still_waits_is_told_that_nothing_has_gone_out() {
    let bench = Bench::new(SHIPPED).await;
    let own = bench.crew.officer("shanghai", &["operator:310000"]).await;
    let other = bench.crew.officer("zhejiang", &["operator:330000"]).await;
    let receipt = bench.post(&Cma { colour: ORANGE, ..Cma::new("waits") }).await;
    let alert = receipt.id.as_str();
    for (officer, code) in [(&own, "T6002"), (&other, "T6009")] {
        let refused = bench.desk.stop::<Live>(alert, "wrong", &officer.row).await;
        assert_eq!(refused.map_err(|error| error.code()), Err(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_county_cannot_stop_what_goes_to_others_as_well() {
    let bench = Bench::new(SHIPPED).await;
    let county = bench.crew.officer("qingpu", &["signer:310118"]).await;
    let wide = Cma { colour: YELLOW, code: codes(&["310118", "310120"]), ..Cma::new("wind") };
    let receipt = bench.post(&wide).await;
    let refused = bench.desk.stop::<Live>(receipt.id.as_str(), "wrong here", &county.row).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("T6009"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_correct_are_offered_to_those_who_may() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let typhoon = Cma { colour: YELLOW, ..Cma::new("wind") };
    let (status, receipt) = server.post(typhoon.xml()).await;
    assert_eq!(status, 201, "{receipt}");
    let path = format!("/console/alerts/{}/live", receipt["id"].as_str().unwrap());
    for (login, grant, offered) in [("sh", "signer:310000", true), ("js", "signer:320000", false)] {
        let browser = crew.officer(login, &[grant]).await.browser(&server).await;
        let page = browser.send(Method::GET, &path, &[], &[]).await.text().await.unwrap();
        let forms = ["/stop\"", "/correct\"", "/resend\""].map(|form| page.contains(form));
        assert_eq!(forms, [offered; 3], "{login}");
    }
}

/// An alert over two counties as its sender and the console know it, each county released as a part of its own.
async fn in_two_parts(server: &Server, signer: &Browser) -> (Cma, String) {
    let alert = Cma { colour: ORANGE, code: codes(&["310118", "310120"]), ..Cma::new("two") };
    let page = parts_of(server, signer, &alert, &[1, 2]).await;
    (alert, page)
}

/// The page of an alert over two counties, each a part of its own, of which these are released; the first part is the first in this list.
async fn parts_of(server: &Server, signer: &Browser, alert: &Cma, released: &[u32]) -> String {
    let page = format!("/console/alerts/{}", server.post(alert.xml()).await.1["id"].as_str().unwrap());
    let (split, first) = ([("seen", "0"), ("region", "310120")], released[0]);
    assert_eq!(signer.post(&format!("/console/escalations/{first}/split"), &split).await.0, 303);
    for part in released {
        let yes = [("seen", "1"), ("stage", "sign"), ("word", "")];
        assert_eq!(signer.post(&format!("/console/escalations/{part}/approve"), &yes).await.0, 303);
    }
    page
}

const CORRECT: [(&str, &str); 3] = [("word", "CORRECT"), ("zh", "有误"), ("en", "wrong")];

/// Which of the three acts a live page offers.
fn offered(page: &str) -> [bool; 3] {
    ["/stop\"", "/correct\"", "/resend\""].map(|form| page.contains(form))
}

/// The id of the alert that a page links to after these words.
fn leads_to(page: &str, words: &str) -> String {
    let said = page.split(words).nth(1).unwrap_or_else(|| panic!("{words}: {page}"));
    let link = said.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    link.strip_prefix("/console/alerts/").unwrap_or_else(|| panic!("{link}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrected_leads_to_its_correction_and_offers_only_what_still_does_something() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let shanghai = crew.officer("sh", &["signer:310000"]).await.browser(&server).await;
    let qingpu = crew.officer("qingpu", &["signer:310118"]).await.browser(&server).await;
    let (_, alert) = in_two_parts(&server, &shanghai).await;
    let (live, stop) = (format!("{alert}/live"), format!("{alert}/stop"));

    // A county takes back what its own people were told.
    assert_eq!(qingpu.post(&format!("{alert}/correct"), &CORRECT).await.0, 303);
    let (_, page) = qingpu.get(&live).await;
    assert_eq!(offered(&page), [false; 3], "nothing of theirs goes on");
    let part = leads_to(&page, "Parts of it are corrected; others stand:");
    assert!(!alert.ends_with(&part), "{part}");
    let (status, refused) = qingpu.post(&stop, &[]).await;
    assert!(status == 409 && refused.contains(&format!("corrected by {part}")), "{status} {refused}");
    assert_eq!(offered(&shanghai.get(&live).await.1), [true; 3]);

    assert_eq!(shanghai.post(&format!("{alert}/correct"), &CORRECT).await.0, 303);
    for browser in [&shanghai, &qingpu] {
        let (_, page) = browser.get(&live).await;
        assert_eq!(offered(&page), [false; 3]);
        let whole = leads_to(&page, "It is corrected, and nothing more of it goes out:");
        assert!(whole != part && !alert.ends_with(&whole), "{whole}");
        assert!(!page.contains("A newer message of this event:"), "{page}");
    }
    let (status, refused) = shanghai.post(&stop, &[]).await;
    assert!(status == 409 && refused.contains("corrected by"), "{status} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_parts_that_nobody_corrected_the_live_page_says_what_is_true() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let shanghai = crew.officer("sh", &["signer:310000"]).await.browser(&server).await;
    let qingpu = crew.officer("qingpu", &["signer:310118"]).await.browser(&server).await;
    let unsent = "What went out of it is corrected; the rest has not gone out yet:";
    let whole = "It is corrected, and nothing more of it goes out:";
    let (others, stopped) =
        ("Parts of it are corrected; others stand:", "Parts of it are corrected; the others are stopped:");
    // Which danger and which parts of it are released, what is done about the rest, and what is said before and after.
    for (event, released, act, before, after) in [
        (("台风", "Typhoon"), vec![1], "/console/escalations/2/reject", unsent, whole),
        (("暴雨", "Rainstorm"), vec![3], "/console/escalations/4/withdraw", unsent, whole),
        (("风暴潮", "Storm surge"), vec![5, 6], "stop", others, stopped),
    ] {
        let alert = Cma { colour: ORANGE, event, code: codes(&["310118", "310120"]), ..Cma::new(event.1) };
        let page = parts_of(&server, &shanghai, &alert, &released).await;
        assert_eq!(qingpu.post(&format!("{page}/correct"), &CORRECT).await.0, 303);
        let live = format!("{page}/live");
        leads_to(&shanghai.get(&live).await.1, before);
        let path = if act == "stop" { format!("{page}/stop") } else { act.to_owned() };
        let (status, said) = shanghai.post(&path, &[("seen", "1"), ("reason", "wrong")]).await;
        assert_eq!(status, 303, "{act}: {said}");
        leads_to(&shanghai.get(&live).await.1, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_update_replaced_after_a_part_was_corrected_is_not_called_corrected() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let shanghai = crew.officer("sh", &["signer:310000"]).await.browser(&server).await;
    let qingpu = crew.officer("qingpu", &["signer:310118"]).await.browser(&server).await;
    let (first, alert) = in_two_parts(&server, &shanghai).await;
    assert_eq!(qingpu.post(&format!("{alert}/correct"), &CORRECT).await.0, 303);
    let sent = first.sent + TimeDelta::seconds(1);
    let update = Cma { msg_type: "Update", identifier: "b".into(), sent, ..first.clone() }.refers_to(&first);
    let (status, update) = server.post(update.xml()).await;
    assert_eq!(status, 201, "{update}");
    let update = update["id"].as_str().unwrap();

    let (_, page) = shanghai.get(&format!("{alert}/live")).await;
    assert_eq!(offered(&page), [false; 3]);
    assert!(!page.contains("It is corrected"), "{page}");
    let part = leads_to(&page, "Parts of it were corrected:");
    assert_eq!(leads_to(&page, "A newer message of this event:"), update);
    assert_ne!(part, update);
    // Each hears what has taken the place of their own people's message.
    for act in ["stop", "correct", "resend"] {
        for (browser, by) in [(&shanghai, format!("replaced by {update}")), (&qingpu, format!("corrected by {part}"))] {
            let (status, refused) = browser.post(&format!("{alert}/{act}"), &CORRECT).await;
            assert!(status == 409 && refused.contains("T6002") && refused.contains(&by), "{act} {by}: {refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_asks_about_the_counties_that_it_adds_and_the_others_hear_it_at_once() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let first = Cma { colour: ORANGE, code: codes(&["310118"]), ..Cma::new("a") };
    let receipt = bench.post(&first).await;
    assert!(bench.act(bench.waiting(&receipt).await[0].id, Act::Approve(Stage::Sign), 0, &signer).await);
    let sent = first.sent + TimeDelta::seconds(1);
    let wider = Cma { msg_type: "Update", code: codes(&["310118", "310120"]), sent, ..first.clone() };
    let wider = Cma { identifier: "b".into(), ..wider }.refers_to(&first);
    let receipt = bench.post(&wider).await;
    assert_eq!(
        (receipt.state, bench.releases().await),
        (AlertState::Partly, 2),
        "the county told before waits for nobody"
    );
    let mut waiting = bench.waiting(&receipt).await;
    assert_eq!(waiting.len(), 1);
    let part = waiting.remove(0).escalation;
    let counties = |codes: &[tocsin::regions::RegionCode]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(counties(&part.regions), ["310120"], "the new county alone is asked about");
    assert_eq!(counties(&part.within), ["310120"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_sends_asks_for_a_proof_of_presence_and_a_stop_for_nothing() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let officer = crew.officer("signer", &["signer:310000"]).await;
    let browser = officer.browser(&server).await;
    let (_, told) = server.post(Cma { colour: YELLOW, ..Cma::new("wind") }.xml()).await;
    let (_, waits) = server.post(Cma { colour: ORANGE, code: codes(&["310120"]), ..Cma::new("gale") }.xml()).await;
    let page = |alert: &Value| format!("/console/alerts/{}", alert["id"].as_str().unwrap());
    let (told, waits) = (page(&told), page(&waits));
    let long_ago = Utc::now() - TimeDelta::minutes(6);
    let mut tables = super::support::tables(server.folder.path()).await;
    let sql = "UPDATE session SET proved_at = $1";
    sqlx::query(sql).bind(long_ago.timestamp_millis()).execute(&mut tables).await.unwrap();
    assert_eq!(browser.post(&format!("{told}/stop"), &[]).await.0, 303, "a late stop cannot be made good");

    let live = format!("{told}/live");
    let words = [("reason", "so"), ("seen", "0"), ("stage", "sign"), ("word", ""), ("zh", "有误"), ("en", "wrong")];
    let corrects = [&words[..3], &[("word", "CORRECT")], &words[4..]].concat();
    let acts = [
        (&waits, "/console/escalations/1/approve".to_owned(), &words[..]),
        (&live, format!("{told}/resume"), &words[..]),
        (&live, format!("{told}/resend"), &words[..]),
        (&live, format!("{told}/correct"), &corrects[..]),
    ];
    for (page, path, form) in &acts {
        let shown = browser.get(page).await.1;
        let shown = shown.split(&format!("{path}\"")).nth(1).unwrap().split("</form>").next().unwrap();
        assert!(shown.contains("name=\"code\""), "the form asks for it: {shown}");
        let (status, answer) = browser.post(path, form).await;
        assert!(status == 403 && answer.contains("T6108"), "{path} {status}: {answer}");
    }
    // One proof is good for what follows at once.
    let code = officer.code().await;
    let (_, approve, form) = &acts[0];
    assert_eq!(browser.post(approve, &[*form, &[("code", code.as_str())][..]].concat()).await.0, 303);
    for (_, path, form) in &acts[1..] {
        assert_eq!(browser.post(path, form).await.0, 303, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_alert_takes_out_of_the_queue_and_what_is_refused_go_on_record() {
    let bench = Bench::new(SHIPPED).await;
    let first = Cma { colour: ORANGE, ..Cma::new("a") };
    let receipt = bench.post(&first).await;
    let end = Cma { msg_type: "Cancel", identifier: "b".into(), ..first.clone() }.refers_to(&first);
    let by = bench.post(&end).await;
    let line = bench.lines("escalation.replaced").await.pop().unwrap();
    let detail: Value = serde_json::from_str(&line.detail).unwrap();
    assert_eq!((line.subject.as_str(), line.actor.as_str()), (receipt.id.as_str(), "tocsin"));
    assert_eq!((detail["jurisdiction"].as_str(), detail["by"].as_str()), (Some("310000"), Some(by.id.as_str())));

    bench.refuse("<alert>").await;
    let line = bench.lines("alert.refuse").await.pop().unwrap();
    let detail: Value = serde_json::from_str(&line.detail).unwrap();
    assert_eq!(line.actor, "bureau:all");
    assert!(detail["code"].as_str().unwrap().starts_with("T40"), "{detail}");
    assert_eq!(detail["digest"].as_str(), Some(line.subject.as_str()), "by which what was sent is known again");
}

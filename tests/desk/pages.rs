//! What pages say of a decision, as officers fetch them.

use super::support::crew::Browser;
use super::*;

fn two(colour: (&'static str, &'static str, &'static str), identifier: &str) -> Cma {
    Cma { colour, code: TWO_COUNTIES.into(), ..Cma::new(identifier) }
}

async fn page_of(browser: &Browser, alert: &str) -> String {
    let (status, page) = browser.get(&format!("/console/alerts/{alert}")).await;
    assert_eq!(status, 200, "{page}");
    page
}

/// What the map shows.
fn on_the_map(page: &str) -> &str {
    page.split("data-regions=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_sees_which_counties_were_taken_away_and_why() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("au", &["author:310000"]).await.browser(&server).await;
    let signer = crew.officer("si", &["signer:310000"]).await.browser(&server).await;
    let (_, answer) = server.post(two(ORANGE, "n1").xml()).await;
    let alert = answer["id"].as_str().unwrap();
    let before = page_of(&signer, alert).await;
    assert_eq!(on_the_map(&before), "310118,310120");
    assert!(before.contains("Nobody could be called"), "nobody here has an address");
    let trim = [("seen", "0"), ("region", "310118"), ("reason", "奉贤已转晴")];
    assert_eq!(author.post("/console/escalations/1/amend", &trim).await.0, 303);
    let after = page_of(&signer, alert).await;
    assert_eq!(on_the_map(&after), "310118", "the map shows what is decided on");
    let (_, part) = after.split_once("Changed by officers").unwrap();
    assert!(part.contains("奉贤已转晴") && part.contains("<strong>Counties</strong> <del>Fengxian"), "{part}");
    assert_eq!(signer.post("/console/escalations/1/approve", &[("seen", "1"), ("stage", "sign")]).await.0, 303);
    let told = crew.store.alert(alert).await.unwrap().unwrap();
    assert_eq!(told.state, AlertState::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_shows_what_changed_since_the_alert() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("si", &["signer:310000"]).await.browser(&server).await;
    let mut first = Cma { colour: ORANGE, ..Cma::new("n1") };
    first.sent -= TimeDelta::minutes(1);
    server.post(first.xml()).await;
    let update = Cma { msg_type: "Update", ..two(RED, "n2") }.refers_to(&first);
    let (status, answer) = server.post(update.xml()).await;
    assert_eq!(status, 201, "{answer}");
    let page = page_of(&signer, answer["id"].as_str().unwrap()).await;
    let (_, since) = page.split_once("What changed since the one before").unwrap();
    let since = since.split("</section>").next().unwrap();
    assert!(since.contains("<strong>Counties</strong> <ins>Fengxian"), "{since}");
    assert!(since.contains("<strong>Level</strong>") && since.contains("<ins>Red"), "{since}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_on_one_draft_lose_nothing() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let wang = crew.officer("wang", &["author:310000"]).await.browser(&server).await;
    let li = crew.officer("li", &["author:310000"]).await.browser(&server).await;
    let form = |seen: &'static str, headline: &'static str| {
        let fixed =
            [("msg_type", "Alert"), ("hazard", "typhoon"), ("colour", "orange"), ("region", "310000"), ("shared", "1")];
        [fixed.as_slice(), &[("seen", seen), ("zh-CN.headline", headline)]].concat()
    };
    assert_eq!(wang.post("/console/compose/new/save", &form("0", "一稿")).await.0, 303);
    let seen = async |browser: &Browser| {
        let (_, page) = browser.get("/console/compose/1").await;
        page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let opened: &'static str = seen(&li).await.leak();
    assert_eq!(wang.post("/console/compose/1/save", &form(opened, "王的二稿")).await.0, 303);
    let (status, page) = li.post("/console/compose/1/save", &form(opened, "李的二稿")).await;
    assert!(
        status == 422 && page.contains("Somebody else saved this draft meanwhile") && page.contains("李的二稿"),
        "{page}"
    );
    assert!(wang.get("/console/compose/1").await.1.contains("王的二稿"), "what was saved first stands");
    // Who has read that may replace it.
    let newest: &'static str = seen(&wang).await.leak();
    assert!(page.contains(&format!("name=\"seen\" value=\"{newest}\"")));
    assert_eq!(li.post("/console/compose/1/save", &form(newest, "李的二稿")).await.0, 303);
    assert!(wang.get("/console/compose/1").await.1.contains("李的二稿"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_is_signed_under_its_own_texts() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("signer", &["signer:*"]).await.browser(&server).await;
    let (_, answer) = server.post(two(ORANGE, "n1").xml()).await;
    let alert = answer["id"].as_str().unwrap();
    assert_eq!(signer.post("/console/escalations/1/split", &[("seen", "0"), ("region", "310120")]).await.0, 303);
    let form = [("seen", "1"), ("reason", "r"), ("region", "310120"), ("zh-CN.description", "奉贤另有说法。")];
    assert_eq!(signer.post("/console/escalations/2/amend", &form).await.0, 303);
    let (_, page) = signer.get(&format!("/console/alerts/{alert}")).await;
    let (before, rest) = page.split_once("id=\"e1\"").unwrap();
    let (first, second) = rest.split_once("id=\"e2\"").unwrap();
    let reads = |part: &str| {
        let texts: Vec<_> = part.split("<figure").skip(1).map(|text| text.split("</figure>").next().unwrap()).collect();
        (texts.len(), texts.iter().any(|text| text.contains("奉贤另有说法")))
    };
    assert_eq!(reads(before), (0, false), "no text stands apart from what it is decided with");
    let ((n, first), (m, second)) = (reads(first), reads(second));
    assert!(n > 0 && m > 0, "each has its texts: {n}, {m}");
    assert_eq!((first, second), (false, true), "and they are its own");
}

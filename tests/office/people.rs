//! Who got it and who did not: numbers that add up; what an alert takes and costs.

use std::collections::BTreeMap;

use tocsin_sinks::{Fault, Faults, Sink, Tally, gateway};

use super::codes;
use super::support::crew::Crew;
use super::support::{self, Cma, ORANGE, Server, YELLOW, write_config};

const YELLOW_BY_TEXT: &str = r#"
[[approval]]
name = "none"
[[rule]]
name = "yellow"
when = { colour = ["yellow"] }
audience = ["public"]
channels = ["sms"]
priority = 2
approval = "none"
"#;

/// A server with an SMS gateway; people as `region,language,phone` lines.
async fn texting(tally: Tally, more: &str, people: &str) -> (Server, Sink) {
    let sms = gateway::start_sms(tally).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
        .replace("127.0.0.1:13013", &sms.addr.to_string())
        .replace("secrets/kannel-password", &password.display().to_string())
        .replace("answers = [", "answers = [\n    { status = \"410\", class = \"bad_address\" },");
    let config = write_config(folder.path(), &format!("{more}\n[channels.sms.via]\n{kannel}\n"));
    let file = folder.path().join("people.csv");
    std::fs::write(&file, format!("region,language,phone\n{people}")).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", file.to_str().unwrap()]).0);
    (Server::start_in(folder), sms)
}

/// The cells of a page's tables, row by row.
fn cells(page: &str) -> Vec<Vec<String>> {
    let text = |html: &str| -> String {
        let mut depth = 0;
        let plain = html.chars().filter(|c| {
            depth += i32::from(*c == '<');
            let outside = depth == 0;
            depth -= i32::from(*c == '>');
            outside
        });
        plain.collect::<String>().trim().to_owned()
    };
    let row = |html: &str| {
        html.split("<t")
            .filter(|cell| cell.starts_with("d") || cell.starts_with("h "))
            .map(|c| text(&format!("<t{c}")))
            .collect()
    };
    page.split("<tr").skip(1).map(|rest| row(rest.split("</tr>").next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_who_got_it_is_right_and_their_sum_is_the_audience() {
    let homes = [("310118", "Qingpu", 7_u64), ("310120", "Fengxian", 5)];
    let number = |county: &str, n: u64| format!("+86138{}{n:02}", &county[..6]);
    let mut people = String::new();
    for (county, _, count) in homes {
        for n in 0..count {
            people += &format!("{county},zh-CN,{}\n", number(county, n));
        }
    }
    // Every third number is nobody's.
    let faulty = Tally::faulty(Faults { every: 3, with: Fault::Gone });
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), YELLOW_BY_TEXT).unwrap();
    let more = format!("[rules]\nfile = \"{}\"\n[channels.sms]\nwindow = 4\nworkers = 1", rules.path().display());
    let (server, sms) = texting(faulty, &more, &people).await;
    let crew = Crew::of(&server).await;
    let operator = crew.officer("op", &["operator:310000"]).await.browser(&server).await;
    let area = codes(&["310118", "310120"]);
    let (status, answer) = server.post(Cma { colour: YELLOW, code: area, ..Cma::new("two") }.xml()).await;
    assert_eq!(status, 201, "{answer}");
    let alert = answer["id"].as_str().unwrap();
    let states = server
        .until(alert, |states| {
            states["planned"] == true && states["states"]["waiting"] == 0 && states["states"]["sending"] == 0
        })
        .await;
    assert_eq!(states["channels"]["sms"]["accepted"], 8, "{states}");

    let taken = sms.tally.keys();
    let told = |county: &str, count: u64| {
        let has = |n: &u64| {
            taken.keys().any(|target| {
                target.contains(&number(county, *n).replace('+', "%2B")) || target.contains(&number(county, *n))
            })
        };
        (0..count).filter(has).count() as u64
    };
    let (status, page) = operator.get(&format!("/console/alerts/{alert}/told")).await;
    assert_eq!(status, 200, "{page}");
    let table = cells(&page);
    let head = &table[0];
    let column = |name: &str| head.iter().position(|cell| cell == name).unwrap_or_else(|| panic!("{name}: {head:?}"));
    let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
    for (county, name, count) in homes {
        let row = table.iter().find(|row| row.first().is_some_and(|cell| cell.contains(name))).unwrap();
        let cell = |name: &str| row[column(name)].parse::<u64>().unwrap();
        let accepted = told(county, count);
        assert_eq!(cell("People"), count);
        assert_eq!((cell("handed over"), cell("refused")), (accepted, count - accepted), "{name}: {table:?}");
        let others: u64 = row.iter().skip(2).map(|cell| cell.parse::<u64>().unwrap()).sum();
        assert_eq!(others, count, "all states of a county add up to its people");
        for (n, cell) in row.iter().enumerate().skip(1) {
            *sums.entry(n).or_default() += cell.parse::<u64>().unwrap();
        }
    }
    assert_eq!((sums[&column("People")], sums[&column("handed over")], sums[&column("refused")]), (12, 8, 4));
    // The missed: four, masked, and the look is on record.
    let (status, page) = operator.post(&format!("/console/alerts/{alert}/missed"), &[]).await;
    assert_eq!((status, page.matches("<li><code>").count()), (200, 4), "{page}");
    assert!(!page.contains("+86138310"), "no number in full: {page}");
    let lines = crew.store.record_from(1, 10_000).await.unwrap();
    assert!(lines.iter().any(|line| line.kind == "person.view" && line.subject == alert));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_page_says_why_whom_it_reaches_how_long_it_takes_and_what_it_costs() {
    let people: String =
        (0..6_000).map(|n| format!("310118,{},+8613900{n:06}\n", if n % 3 == 0 { "en" } else { "zh-CN" })).collect();
    let (server, _sms) =
        texting(Tally::counting(), "[channels.sms]\nprice = 0.05\nrate = { per_second = 10 }", &people).await;
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "author:310000"]).await.browser(&server).await;
    let mails = server.folder.path().join("mails.csv");
    std::fs::write(&mails, "region,email\n310118,one@example.org\n").unwrap();
    assert!(server.tocsin(&["subscribers", "import", mails.to_str().unwrap()]).0);
    let (_, answer) = server.post(Cma { colour: ORANGE, ..Cma::new("dear") }.xml()).await;
    let (status, page) = li.get(&format!("/console/alerts/{}", answer["id"].as_str().unwrap())).await;
    assert_eq!(status, 200, "{page}");
    // Providers count parts: each language's text has its own.
    let parts = |language: &str| {
        let begin = format!("short message · {language} · parts: ");
        let rest = page.split(&begin).nth(1).unwrap_or_else(|| panic!("{begin}: {page}"));
        rest.split('<').next().unwrap().trim().parse::<u64>().unwrap()
    };
    let units = 4_000 * parts("中文") + 2_000 * parts("English");
    let table = cells(&page);
    let row = table.iter().find(|row| row.first().is_some_and(|cell| cell == "short message")).unwrap();
    let cost = format!("¥ {:.2}", units as f64 * 0.05);
    let minutes = format!("{} min", units / 10 / 60);
    assert_eq!(row[1..], ["6,000".to_owned(), minutes, cost.clone()], "{units} parts");
    let row = table.iter().find(|row| row.first().is_some_and(|cell| cell == "e-mail")).unwrap();
    assert_eq!(row[1..], ["0", "not set up; known: 1", "—"].map(str::to_owned), "it reaches nobody");
    assert!(page.contains("addresses: 6,000"), "what is not set up reaches nobody: {page}");
    let rule =
        |name: &str| page.split(name).nth(1).unwrap_or_else(|| panic!("{name}: {page}")).split("</details>").next();
    let why = rule("✓ orange</summary>").unwrap();
    assert!(why.contains("colour") && why.contains("orange"), "each rule says why: {why}");
    assert!(rule("✗ red</summary>").unwrap().contains("colour"), "also why not");
    // Whoever composes is told the same.
    let end = super::typed(chrono::Utc::now() + chrono::TimeDelta::hours(3));
    let form =
        [("hazard", "typhoon"), ("colour", "orange"), ("region", "310000"), ("expires", &*end), ("places", "310118")];
    let (status, check) = li.post("/console/compose/check", &form).await;
    assert!(status == 200 && check.contains("short message 6,000 (") && check.contains("¥ "), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_county_that_officers_took_away_hear_nothing() {
    let people = "310118,zh-CN,+8613831011800\n310120,zh-CN,+8613831012000\n";
    let (server, sms) = texting(Tally::keeping_keys(), "", people).await;
    let crew = Crew::of(&server).await;
    let reviewer = crew.officer("reviewer", &["reviewer:310000"]).await.browser(&server).await;
    let signer = crew.officer("signer", &["signer:310000"]).await.browser(&server).await;
    let area = codes(&["310118", "310120"]);
    let (status, answer) = server.post(Cma { colour: ORANGE, code: area, ..Cma::new("two") }.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let trim = [("seen", "0"), ("reason", "not there"), ("region", "310118")];
    super::posted(&reviewer, "/console/escalations/1/amend", &trim).await;
    super::posted(&signer, "/console/escalations/1/approve", &[("seen", "1"), ("stage", "sign"), ("word", "")]).await;
    let alert = answer["id"].as_str().unwrap();
    let over = |states: &serde_json::Value| {
        let sms = &states["channels"]["sms"];
        states["planned"] == true && sms["accepted"] == 1 && sms["waiting"] == 0 && sms["sending"] == 0
    };
    server.until(alert, over).await;
    let told: Vec<String> = sms.tally.keys().into_keys().collect();
    assert!(told.iter().all(|to| to.contains("13831011800")) && told.len() == 1, "{told:?}");
}

//! Whose a decision is at each level, and what a deadline makes of it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;
use tocsin::approval::Act;
use tocsin::rules::Stage;
use tocsin::store::AlertState;

use super::bench::Bench;
use super::support::{Cma, ORANGE, RED};
use super::{SHIPPED, codes};

fn signed_at(level: &str) -> String {
    format!(
        "[[approval]]\nname = \"local\"\nstages = [\"sign\"]\nby = \"{level}\"\n\
         steps = [{{ page = \"primary\", by = [\"email\"], within = \"30m\", then = \"hold\" }}]\n\
         [[rule]]\nname = \"orange\"\nwhen = {{ colour = [\"orange\"] }}\naudience = [\"public\"]\nchannels = [\"email\"]\n\
         priority = 1\napproval = \"local\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_by_prefecture_asks_each_prefecture_and_a_municipality_as_a_whole() {
    let bench = Bench::new(&signed_at("prefecture")).await;
    let area = codes(&["310118", "310120", "330402", "330421", "330106"]);
    let receipt = bench.post(&Cma { colour: ORANGE, code: area, ..Cma::new("five") }).await;
    let rows = bench.waiting(&receipt).await;
    let parts: BTreeMap<&str, Vec<&str>> = rows
        .iter()
        .map(|row| {
            (row.escalation.jurisdiction.as_str(), row.escalation.regions.iter().map(|code| code.as_str()).collect())
        })
        .collect();
    let expected =
        [("310000", vec!["310118", "310120"]), ("330100", vec!["330106"]), ("330400", vec!["330402", "330421"])];
    assert_eq!(parts, BTreeMap::from(expected), "Shanghai has no prefectures: its counties are decided on together");

    let id = |place: &str| rows.iter().find(|row| row.escalation.jurisdiction.as_str() == place).unwrap().id;
    let crew = &bench.crew;
    let (county, jiaxing, zhejiang) = (
        crew.officer("county", &["signer:330421"]).await,
        crew.officer("jiaxing", &["signer:330400"]).await,
        crew.officer("zhejiang", &["signer:330000"]).await,
    );
    let sign = || Act::Approve(Stage::Sign);
    assert!(!bench.act(id("330400"), sign(), 0, &county).await, "a county does not decide for its prefecture");
    assert!(!bench.act(id("330100"), sign(), 0, &jiaxing).await, "nor a prefecture for its neighbour");
    assert!(!bench.act(id("310000"), sign(), 0, &zhejiang).await, "nor a province for another");
    assert!(bench.act(id("330400"), sign(), 0, &jiaxing).await);
    assert!(bench.act(id("330100"), sign(), 0, &zhejiang).await, "the province may for what lies in it");
    let state = crew.store.alert(receipt.id.as_str()).await.unwrap().unwrap().state;
    assert_eq!((state, bench.releases().await), (AlertState::Partly, 2), "Shanghai has not said yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_by_county_asks_each_county_also_of_a_municipality() {
    let bench = Bench::new(&signed_at("county")).await;
    let area = codes(&["310118", "330402", "330421"]);
    let receipt = bench.post(&Cma { colour: ORANGE, code: area, ..Cma::new("three") }).await;
    let rows = bench.waiting(&receipt).await;
    let places: Vec<_> = rows.iter().map(|row| row.escalation.jurisdiction.as_str()).collect();
    assert_eq!(places, ["310118", "330402", "330421"]);
    let jiashan = bench.crew.officer("jiashan", &["signer:330421"]).await;
    let jiaxing = bench.crew.officer("jiaxing", &["signer:330400"]).await;
    let sign = || Act::Approve(Stage::Sign);
    assert!(!bench.act(rows[1].id, sign(), 0, &jiashan).await);
    assert!(bench.act(rows[2].id, sign(), 0, &jiashan).await);
    assert!(bench.act(rows[1].id, sign(), 0, &jiaxing).await, "whoever stands above may too");
    assert_eq!(bench.releases().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_six_minutes_one_signature_is_enough_and_none_is_not() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    let reviewer = bench.crew.officer("reviewer", &["reviewer:310000"]).await;
    let mut waiting = Vec::new();
    for county in ["310118", "310120", "310115"] {
        let alert = Cma { colour: RED, code: format!("{county}000000"), ..Cma::new(county) };
        waiting.push(bench.post(&alert).await);
    }
    let id = [bench.waiting(&waiting[0]).await[0].id, bench.waiting(&waiting[1]).await[0].id];
    assert!(bench.act(id[0], Act::Approve(Stage::Sign), 0, &signer).await);
    assert!(bench.act(id[1], Act::Approve(Stage::Review), 0, &reviewer).await);
    bench.pass(TimeDelta::seconds(181)).await;
    assert_eq!(bench.releases().await, 0, "the second step has its own time");
    bench.pass(TimeDelta::seconds(170)).await;
    assert_eq!(bench.releases().await, 0, "not a moment too soon");
    bench.pass(TimeDelta::seconds(11)).await;
    let mut states = Vec::new();
    for receipt in &waiting {
        let row = bench.waiting(receipt).await.remove(0).escalation;
        states.push((row.state.as_str().to_owned(), row.step));
    }
    let wanted = [("released", 1), ("released", 1), ("waiting", 2)].map(|(state, step)| (state.to_owned(), step));
    assert_eq!(states, wanted, "either signature is enough; where nobody signed the chief is called");
    let signed_by: Vec<String> = bench
        .lines("release")
        .await
        .iter()
        .map(|line| serde_json::from_str::<Value>(&line.detail).unwrap()["signed_by"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(signed_by, ["signer·名（two 时限）", "reviewer·名（two 时限）"], "and the release says so");
    // The chief's time passes too: it waits on, overdue, and nothing goes out.
    bench.pass(TimeDelta::seconds(300)).await;
    assert!(bench.waiting(&waiting[2]).await[0].escalation.overdue);
    assert_eq!(bench.releases().await, 2);
}

//! What stands open to everybody: only what was released, as it was released, until its end; in every format the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod filters;
mod formats;
mod lasting;
mod made;
mod officers;
mod pages;
mod served;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use support::{Cma, RED, Server, YELLOW};
use tocsin::approval::Amendment;
use tocsin::cap::{self, Alert};
use tocsin::publish::{Entry, Ground, Place, Publication, Source, make, standings};
use tocsin::regions::{LocateOptions, RegionCode, RegionMap};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));

static GROUND: LazyLock<Ground> = LazyLock::new(|| Ground::of(&MAP, 0.01));

fn place() -> Place {
    Place { base: "https://warn.example".into() }
}

fn codes(list: &[&str]) -> Vec<RegionCode> {
    list.iter().map(|code| code.parse().unwrap()).collect()
}

fn below(code: &str) -> Vec<RegionCode> {
    MAP.counties_below(&code.parse().unwrap()).iter().map(|county| county.code.clone()).collect()
}

/// A press of its own: publications of alerts, in order.
#[derive(Default)]
struct Desk {
    all: Vec<(Arc<Publication>, Vec<u8>)>,
}

/// How an alert is released.
#[derive(Default)]
struct How<'a> {
    regions: Option<Vec<RegionCode>>,
    within: Option<Vec<RegionCode>>,
    amendment: Amendment,
    replaces: &'a [&'a Alert],
    issuer: Option<&'a str>,
    signing: Option<&'a cap::SigningKey>,
    verified: bool,
}

impl Desk {
    fn release(&mut self, raw: &[u8], at: DateTime<Utc>, how: How<'_>) -> Option<(Arc<Publication>, Vec<u8>)> {
        let alert = cap::read(raw).alert.expect("an alert");
        let areas: Vec<_> = alert.infos.iter().flat_map(|info| info.areas.clone()).collect();
        let located = MAP.locate(&areas, &LocateOptions::default());
        let decided: Vec<RegionCode> = located.counties.iter().map(|found| found.region.clone()).collect();
        let regions = how.regions.unwrap_or_else(|| if alert.is_the_end() { Vec::new() } else { decided.clone() });
        let ids: Vec<_> = how.replaces.iter().map(|old| cap::AlertId::of(old)).collect();
        let so_far: Vec<_> = self.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
        let older: Vec<_> = standings(&so_far, &BTreeSet::new(), at)
            .into_iter()
            .filter(|entry| ids.contains(&entry.publication.alert) && entry.standing.by().is_none())
            .map(|entry| (Publication::clone(&entry.publication), entry.left))
            .collect();
        let source = Source {
            release: i64::try_from(self.all.len()).unwrap() + 1,
            at,
            expires: alert.expires().map_or(at + TimeDelta::hours(24), |end| end.to_utc()),
            regions: &regions,
            within: how.within.as_deref(),
            alert: &alert,
            raw: (raw, true),
            chain: "chain",
            bureau: "shanghai",
            verified: how.verified,
            decided: &decided,
            located: &located,
            amendment: &how.amendment,
            older: &older,
            sender: "tocsin.example",
            issuer: how.issuer,
            map: &MAP,
            signing: how.signing,
        };
        let (publication, cap) = make(&source).unwrap()?;
        self.all.push((Arc::new(publication), cap));
        self.all.last().cloned()
    }

    fn entries(&self, now: DateTime<Utc>) -> Vec<Entry> {
        let all: Vec<_> = self.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
        standings(&all, &BTreeSet::new(), now)
    }
}

fn read(raw: &str) -> Alert {
    cap::read(raw.as_bytes()).alert.unwrap()
}

fn sample() -> Vec<Entry> {
    let now = Utc::now();
    let mut desk = Desk::default();
    let shanghai = Cma { colour: RED, ..Cma::new("typhoon") };
    let rain = Cma { event: ("暴雨", "Rainstorm"), colour: YELLOW, code: "330400000000".into(), ..Cma::new("rain") };
    for alert in [&shanghai, &rain] {
        desk.release(alert.xml().as_bytes(), now, How::default()).unwrap();
    }
    let surge = Cma { event: ("风暴潮", "Storm surge"), colour: RED, code: "HZB".into(), ..Cma::new("surge") };
    let surge = surge.xml().replace("CPEAS Geographic Code", "TOCSIN Sea Area");
    desk.release(surge.as_bytes(), now, How::default()).unwrap();
    desk.entries(now)
}

/// xmllint agrees that it is well-formed.
fn well_formed(xml: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.xml");
    std::fs::write(&path, xml).unwrap();
    let out = std::process::Command::new("xmllint").args(["--noout", "--nonet"]).arg(&path).output().unwrap();
    assert!(out.status.success(), "{}\n{xml}", String::from_utf8_lossy(&out.stderr));
}

/// Asks until the answer is as wanted.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..6_000 {
        let answer = server.json(path).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{path} never came to be: {}\n{}", server.json(path).await, server.log());
}

fn ids(answer: &Value) -> Vec<String> {
    answer["features"].as_array().unwrap().iter().map(|f| f["properties"]["id"].as_str().unwrap().to_owned()).collect()
}

async fn text(server: &Server, path: &str) -> String {
    server.get(path).await.text().await.unwrap()
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A client that unpacks nothing and follows nothing.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A warning of its own: over another county than all the others.
fn elsewhere(n: usize) -> Cma {
    const COUNTIES: [&str; 12] = [
        "310101", "310104", "310105", "310106", "310107", "310109", "310110", "310112", "310113", "310114", "310115",
        "310116",
    ];
    Cma { code: format!("{}000000", COUNTIES[n]), ..Cma::new(&format!("a{n}")) }
}

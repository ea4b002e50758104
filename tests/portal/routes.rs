//! Every address of residents and everybody: it was looked at, or answers with no page of its own. A new one has to be put in its place.

use std::collections::BTreeSet;

use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::stage::Stage;

/// Where the program says which addresses it has.
const SOURCES: [&str; 3] = [
    include_str!("../../src/web/mod.rs"),
    include_str!("../../src/web/portal/mod.rs"),
    include_str!("../../src/web/public/mod.rs"),
];

/// What programs read, with an address that stands for it.
const MACHINES: [(&str, &str); 15] = [
    ("/assets/{*path}", "/assets/portal.css"),
    ("/sw.js", "/sw.js"),
    ("/manifest.webmanifest", "/manifest.webmanifest"),
    ("/regions.geojson", "/regions.geojson"),
    ("/alerts", "/alerts"),
    ("/alerts/active", "/alerts/active"),
    ("/alerts/active/count", "/alerts/active/count"),
    ("/alerts/active/area/{code}", "/alerts/active/area/SH"),
    ("/alerts/active/zone/{code}", "/alerts/active/zone/310118"),
    ("/alerts/active/region/{code}", "/alerts/active/region/HZB"),
    ("/alerts/types", "/alerts/types"),
    ("/alerts/{id}", "/alerts/aaaaaaaaaaaaaaaa"),
    ("/feeds/{feed}", "/feeds/atom.xml"),
    ("/feeds/{bureau}/{feed}", "/feeds/delta/atom.xml"),
    ("/feeds/region/{code}/{feed}", "/feeds/region/310118/atom.xml"),
];

/// What only acts: it leads back to a page, or says in the page of every refusal why it did not.
const ACTS: [&str; 11] = [
    "/app/receipt",
    "/app/subscription",
    "/app/alive",
    "/app/leave",
    "/me/browser",
    "/me/places",
    "/me/pause",
    "/me/test",
    "/me/address/remove",
    "/me/sign-out",
    "/inbound/sms/{secret}",
];

/// Officers' own, which the tests of the console look at.
const OFFICERS: [&str; 8] = [
    "/sign-in",
    "/sign-in/organisation",
    "/sign-in/organisation/again",
    "/sign-in/organisation/back",
    "/sign-out/everywhere",
    "/sign-out",
    "/stay",
    "/invitation/{token}",
];

fn routes() -> BTreeSet<&'static str> {
    let one = |part: &'static str| part.trim_start().strip_prefix('"')?.split('"').next();
    SOURCES.iter().flat_map(|text| text.split(".route(").skip(1)).filter_map(one).collect()
}

/// Whether a path is one of a route.
fn fits(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len() && route.iter().zip(&path).all(|(a, b)| a.starts_with('{') || a == b)
}

/// Each route is among the paths that were looked at, or is proved to be none that has a page.
pub async fn all_seen(stage: &Stage, seen: &BTreeSet<String>) {
    let routes = routes();
    assert!(routes.len() > 40, "{routes:?}");
    let mut left = Vec::new();
    for route in routes {
        let sample = MACHINES.iter().find(|(of, _)| *of == route).map(|(_, sample)| *sample);
        if let Some(sample) = sample {
            let request = stage.client.get(format!("{}{sample}", stage.server.url)).header(ACCEPT, "application/*");
            let answer = request.send().await.unwrap();
            let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap()).unwrap_or_default();
            assert!(!kind.is_empty() && !kind.starts_with("text/html"), "{route} is a page: {kind}");
        } else if ACTS.contains(&route) {
            let answer = stage.client.get(format!("{}{route}", stage.server.url)).send().await.unwrap();
            let page = answer.status().is_success() && answer.text().await.unwrap().contains("<html");
            assert!(!page || seen.iter().any(|path| fits(route, path)), "{route} shows a page");
        } else if !OFFICERS.contains(&route) && !seen.iter().any(|path| fits(route, path)) {
            left.push(route);
        }
    }
    assert!(left.is_empty(), "nobody has looked at {left:?}");
}

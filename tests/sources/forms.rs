//! Each form of list, from the first request to an alert on record; and what a server may say beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::site::{DAY, Page, Site, atom, inline, source};
use crate::support::{Cma, Server};
use crate::{alerts, code, store, until_source};

/// As WMO's members write RSS: the alert lies behind the item's link.
fn rss(site: &Site, items: &[&str]) -> String {
    let item = |name: &&str| {
        format!(
            "<item><title>{name}</title><link>{}</link><guid isPermaLink=\"false\">urn:{name}</guid>\
             <pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate><author>x@example.org</author></item>",
            site.url(&format!("/{name}.xml"))
        )
    };
    let items: String = items.iter().map(item).collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>w</title><link>x</link>{items}</channel></rss>"
    )
}

/// An envelope: one alert as XML, one packed.
fn envelope(inside: &str, packed: &str) -> String {
    let body = inside.split_once("?>").map_or(inside, |(_, body)| body);
    format!(
        "<?xml version=\"1.0\"?><EDXLDistribution xmlns=\"urn:oasis:names:tc:emergency:EDXL:DE:1.0\">\
         <distributionID>1</distributionID><senderID>x@example.org</senderID><dateTimeSent>2026-01-01T00:00:00+08:00</dateTimeSent>\
         <distributionStatus>Actual</distributionStatus><distributionType>Report</distributionType>\
         <combinedConfidentiality>none</combinedConfidentiality>\
         <contentObject><contentDescription>a</contentDescription><xmlContent><embeddedXMLContent>{body}</embeddedXMLContent></xmlContent></contentObject>\
         <contentObject><contentDescription>b</contentDescription><nonXMLContent><mimeType>application/cap+xml</mimeType>\
         <contentData>{}</contentData></nonXMLContent></contentObject></EDXLDistribution>",
        STANDARD.encode(packed)
    )
}

/// A weather service's list: one warning says where, the other leaves it to config.
fn services_list() -> String {
    let now = Utc::now();
    let warning = |id: &str, danger: &str| {
        json!({
            "id": id, "senderName": "上海市气象台", "issuedTime": now.to_rfc3339(),
            "messageType": {"code": "alert", "supersedes": []}, "eventType": {"name": danger}, "color": {"code": "blue"},
            "expireTime": (now + TimeDelta::hours(3)).to_rfc3339(), "headline": format!("上海市气象台发布{danger}蓝色预警信号"),
            "description": "预计未来6小时有影响。",
        })
    };
    let mut placed = warning("placed", "暴雨");
    placed["areas"] = json!([{"name": "松江区", "code": "310117000000"}]);
    json!({"code": "200", "updateTime": now.to_rfc3339(), "warning": [placed, warning("by-config", "台风")]})
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_behind_rss_in_an_envelope_and_in_a_services_list_are_taken() {
    let site = Site::start().await;
    let county = |name: &str, code: &str| Cma { code: format!("{code}000000"), ..Cma::new(name) }.xml();
    site.show("/behind.xml", county("behind", "310112"));
    site.show("/rss", rss(&site, &["behind"]));
    site.show("/edxl", envelope(&county("inside", "310113"), &county("packed", "310114")));
    site.show("/list", services_list());
    let config =
        [source(&site, "rss", ""), source(&site, "edxl", ""), source(&site, "list", "area = \"310118\"")].concat();
    let server = Server::start(&config);
    let taken = alerts(&server, 5).await;
    let mut told: Vec<_> =
        taken.iter().map(|alert| (alert["identifier"].as_str().unwrap(), alert["state"].as_str().unwrap())).collect();
    told.sort_unstable();
    let names = ["behind", "by-config", "inside", "packed", "placed"];
    assert_eq!(told, names.map(|name| (name, "released")));
    for (name, region) in [("placed", "310117"), ("by-config", "310118"), ("packed", "310114"), ("behind", "310112")] {
        let row = taken.iter().find(|alert| alert["identifier"] == name).unwrap();
        let whole = server.json(&format!("/api/v1/alerts/{}", row["id"].as_str().unwrap())).await;
        assert_eq!(whole["decision"]["regions"], json!([region]), "{name}");
    }
    // Asked again, the same lists hold nothing new.
    for path in ["/rss", "/edxl", "/list"] {
        site.asked(path, 2).await;
    }
    assert_eq!(alerts(&server, 5).await.len(), 5);
    assert_eq!(site.requests("/behind.xml").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_server_knows_no_etag_the_time_of_the_last_change_says_that_nothing_is_new() {
    let site = Site::start().await;
    let dated = |body: String, modified| Page::Dated { body: body.into_bytes(), modified };
    let one = inline(&Cma::new("one").xml());
    let two = inline(&Cma { code: "310117000000".into(), ..Cma::new("two") }.xml());
    site.put("/dated", dated(atom(&[("one", DAY, one.clone())]), "Thu, 01 Jan 2026 00:00:00 GMT"));
    let server = Server::start(&source(&site, "dated", ""));
    alerts(&server, 1).await;
    site.asked("/dated", 2).await;
    let asked = site.requests("/dated");
    assert!(!asked[0].head.contains("if-modified-since"), "{}", asked[0].head);
    assert!(asked[1..].iter().all(|request| request.status == 304 && !request.head.contains("if-none-match")));
    site.put("/dated", dated(atom(&[("one", DAY, one), ("two", DAY, two)]), "Thu, 01 Jan 2026 00:00:05 GMT"));
    assert!(alerts(&server, 2).await.iter().any(|alert| alert["identifier"] == "two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_be_left_alone_for_a_while_is() {
    let site = Site::start().await;
    let busy = |more: &str| {
        let head = format!("HTTP/1.1 503 Busy\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
        Page::Raw(head.into_bytes())
    };
    site.put("/later", busy("Retry-After: 900\r\n"));
    site.put("/dated", busy("Retry-After: Sat, 06 Nov 2094 08:49:37 GMT\r\n"));
    site.put("/busy", busy(""));
    let all = ["later", "dated", "busy"].map(|name| source(&site, name, ""));
    let server = Server::start(&all.concat());
    let store = store(&server).await;
    let row = until_source(&server, &store, "later", |row| row.failures > 0).await;
    assert_eq!(code(&row), "T8003");
    let pause = row.next_at.unwrap() - row.tried_at.unwrap();
    assert!((899..=901).contains(&pause.num_seconds()), "{pause}");
    let row = until_source(&server, &store, "dated", |row| row.failures > 0).await;
    let pause = row.next_at.unwrap() - row.tried_at.unwrap();
    assert!((3_599..=3_601).contains(&pause.num_seconds()), "nobody silences us for longer than an hour: {pause}");
    let row = until_source(&server, &store, "busy", |row| row.failures > 1).await;
    assert!((row.next_at.unwrap() - row.tried_at.unwrap()).num_seconds() < 60, "without a wish, soon");
    assert_eq!(
        ["/later", "/dated"].map(|path| site.requests(path).len()),
        [1, 1],
        "they were not asked again meanwhile"
    );
}

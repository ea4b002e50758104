//! What the running program answers, from the first alert to its end.

use chrono::DateTime;
use serde_json::Value;

use super::support::{Cma, RED, Server};
use super::{client, elsewhere, header, ids, text, until, well_formed};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_in_force_until_its_cancel_and_stays_listed_with_its_end() {
    let server = Server::start("");
    let yellow = Cma::new("y");
    let (_, answer) = server.post(yellow.xml()).await;
    let id = answer["id"].as_str().unwrap();
    let active = until(&server, "/alerts/active", |answer| !ids(answer).is_empty()).await;
    assert_eq!(ids(&active), [id]);
    assert_eq!(active["features"][0]["properties"]["state"], "in_force");
    assert_eq!(ids(&server.json("/alerts/active/area/310000").await), [id]);
    assert_eq!(ids(&server.json("/alerts/active/zone/310118").await), [id]);
    assert!(ids(&server.json("/alerts/active/zone/310120").await).is_empty());
    assert_eq!(server.json("/alerts/active/count").await["areas"]["310000"], 1);
    assert_eq!(server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap(), yellow.xml().as_bytes());

    let (_, answer) = server.post(Cma { msg_type: "Cancel", ..Cma::new("c") }.refers_to(&yellow).xml()).await;
    let cancel = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active/count", |answer| answer["total"] == 0).await;
    let one = server.json(&format!("/alerts/{id}.json")).await;
    assert_eq!(
        (one["state"].as_str(), one["endedBy"].as_str()),
        (Some("withdrawn"), Some(format!("/alerts/{cancel}").as_str()))
    );
    assert!(one["ended"].as_str().is_some_and(|at| DateTime::parse_from_rfc3339(at).is_ok()));
    assert_eq!(ids(&server.json("/alerts").await), [cancel, id]);
    assert_eq!(ids(&server.json("/alerts?active=false&message_type=alert").await), [id]);
    for feed in ["/feeds/atom.xml", "/feeds/rss.xml", "/feeds/shanghai/atom.xml", "/feeds/region/310000/rss.xml"] {
        let feed = text(&server, feed).await;
        well_formed(&feed);
        assert!(feed.contains("【已解除】") && feed.contains("【解除】") && feed.contains(id), "{feed}");
    }
    for page in ["/", "/regions/310118", "/sources/shanghai", &format!("/events/{id}")] {
        let page = text(&server, page).await;
        assert!(page.contains("已解除") && page.contains("上海中心气象台"), "{page}");
    }
    assert_eq!(server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap(), yellow.xml().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_officers_and_what_is_a_drill_is_nowhere_to_be_seen() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma { colour: RED, ..Cma::new("secret-red") }.xml()).await;
    assert_eq!(answer["state"], "waiting");
    let red = answer["id"].as_str().unwrap();
    let (_, answer) = server.post(Cma { status: "Exercise", ..Cma::new("secret-drill") }.xml()).await;
    let drill = answer["id"].as_str().unwrap();
    // When what came later is there, what came before has been looked at.
    let (_, answer) = server.post(elsewhere(0).xml()).await;
    let open = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [open]).await;
    for path in ["/alerts", "/alerts/active", "/feeds/atom.xml", "/feeds/rss.xml", "/", "/regions/310118"] {
        let text = text(&server, path).await;
        assert!(!text.contains("secret") && !text.contains(red) && !text.contains(drill), "{path}: {text}");
    }
    for id in [red, drill] {
        for path in [format!("/alerts/{id}"), format!("/alerts/{id}.cap"), format!("/events/{id}")] {
            assert_eq!(server.get(&path).await.status(), 404, "{path}");
        }
    }
}

/// While the bureau's Cancel waits for an officer, people still see the warning that they were told.
#[tokio::test(flavor = "multi_thread")]
async fn a_warning_stands_until_its_end_is_released() {
    let server = Server::start("");
    let (first, second) = (Cma::new("a"), Cma { msg_type: "Update", colour: RED, ..Cma::new("b") });
    let (_, answer) = server.post(first.xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let (_, answer) = server.post(second.refers_to(&first).xml()).await;
    assert_eq!(answer["state"], "waiting");
    let (_, answer) = server.post(Cma { code: "310120000000".into(), ..Cma::new("later") }.xml()).await;
    let later = answer["id"].as_str().unwrap();
    let active = until(&server, "/alerts/active", |answer| ids(answer).iter().any(|one| one == later)).await;
    assert!(ids(&active).iter().any(|one| one == id), "{active}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_asked_for_once_and_packed() {
    let server = Server::start("");
    server.post(Cma::new("y").xml()).await;
    until(&server, "/alerts/active", |answer| !ids(answer).is_empty()).await;
    let client = client();
    // What changed twice in a second has its date from the next second on.
    while header(&server.get("/").await, "last-modified").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for path in ["/alerts/active", "/feeds/atom.xml", "/", "/alerts"] {
        let url = format!("{}{path}", server.url);
        let first = client.get(&url).send().await.unwrap();
        let (tag, changed) = (header(&first, "etag"), header(&first, "last-modified"));
        assert_eq!(header(&first, "cache-control"), "public, max-age=30");
        assert!(tag.len() > 10 && changed.ends_with("GMT"), "{tag} {changed}");
        let whole = first.bytes().await.unwrap();
        for (name, value) in
            [("if-none-match", tag.clone()), ("if-none-match", format!("\"x\", {tag}")), ("if-modified-since", changed)]
        {
            let again = client.get(&url).header(name, value).send().await.unwrap();
            assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.clone()), "{path} {name}");
            assert!(again.bytes().await.unwrap().is_empty());
        }
        let other = client.get(&url).header("if-none-match", "\"other\"").send().await.unwrap();
        assert_eq!(other.status(), 200);
        let packed = client.get(&url).header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{path}");
        let packed = packed.bytes().await.unwrap();
        assert!(packed.len() * 2 < whole.len(), "{path}: {} of {}", packed.len(), whole.len());
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, whole);
        let plain = client.get(&url).header("accept-encoding", "gzip;q=0").send().await.unwrap();
        assert_eq!(header(&plain, "content-encoding"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_not_understood_get_a_problem_document() {
    let server = Server::start("");
    for (path, status) in [
        ("/alerts/active?colour=red", 400),
        ("/alerts/active?point=x", 400),
        ("/alerts?cursor=x", 400),
        ("/alerts/active/area/999999", 400),
        ("/alerts/active/zone/310000", 400),
        ("/alerts/active/region/310118", 400),
        ("/alerts/active/region/nowhere", 400),
        ("/alerts/active/region/HZB?area=310000", 400),
        ("/alerts/active/count?x=1", 400),
        ("/alerts/aaaaaaaaaaaaaaaa", 404),
        ("/alerts/nothing.cap", 404),
        ("/alerts/aaaaaaaaaaaaaaaa.exe", 404),
        ("/feeds/nothing.xml", 404),
        ("/feeds/nobody/atom.xml", 404),
        ("/feeds/region/999999/atom.xml", 404),
        ("/regions/999999", 404),
        ("/nowhere", 404),
        ("/sources/nobody", 404),
        ("/events/aaaaaaaaaaaaaaaa", 404),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        for member in ["type", "title", "status", "detail", "code", "zh", "en"] {
            assert!(problem.get(member).is_some(), "{path}: {problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_turns_its_pages_while_new_alerts_come() {
    let server = Server::start("");
    let mut sent = Vec::new();
    for n in 0..7 {
        let (_, answer) = server.post(elsewhere(n).xml()).await;
        sent.insert(0, answer["id"].as_str().unwrap().to_owned());
    }
    let mut page =
        until(&server, "/alerts?limit=3", |answer| answer["features"][0]["properties"]["id"] == sent[0]).await;
    let mut seen = ids(&page);
    let mut n = 7;
    while let Some(next) = page["pagination"]["next"].as_str() {
        let (_, answer) = server.post(elsewhere(n).xml()).await;
        n += 1;
        let new = answer["id"].as_str().unwrap().to_owned();
        until(&server, "/alerts?limit=1", |answer| ids(answer) == [new.clone()]).await;
        page = server.json(next).await;
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, sent, "each once, none of the new ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_alert_comes_as_the_asker_likes_it() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma::new("y").xml()).await;
    let id = answer["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [id]).await;
    let client = client();
    let url = format!("{}/alerts/{id}", server.url);
    for (accept, kind) in [
        ("*/*", "application/geo+json"),
        ("application/cap+xml", "application/cap+xml"),
        ("text/xml", "application/cap+xml"),
        ("application/json", "application/json"),
        ("application/geo+json", "application/geo+json"),
    ] {
        let answer = client.get(&url).header("accept", accept).send().await.unwrap();
        assert_eq!(header(&answer, "content-type"), kind, "{accept}");
    }
    let page = client.get(&url).header("accept", "text/html,application/xml;q=0.9,*/*;q=0.8").send().await.unwrap();
    assert_eq!((page.status().as_u16(), header(&page, "location")), (303, format!("/events/{id}#a-{id}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_as_the_asker_likes_it_with_the_same_alerts_in_each_form() {
    let server = Server::start("");
    let (_, answer) = server.post(Cma::new("y").xml()).await;
    let id = answer["id"].as_str().unwrap().to_owned();
    let (_, answer) = server.post(elsewhere(0).xml()).await;
    let other = answer["id"].as_str().unwrap().to_owned();
    until(&server, "/alerts/active", |answer| ids(answer).len() == 2).await;
    let client = client();
    let lists = ["/alerts", "/alerts/active", "/alerts/active/area/310000", "/alerts/active/zone/310118"];
    for path in lists {
        let (mut bodies, mut tags) = (Vec::new(), std::collections::BTreeSet::new());
        for (accept, kind) in [
            ("*/*", "application/geo+json"),
            ("application/json, text/plain, */*", "application/geo+json"),
            ("image/png", "application/geo+json"),
            ("application/ld+json", "application/ld+json"),
            ("application/atom+xml", "application/atom+xml; charset=utf-8"),
            ("application/cap+xml", "application/atom+xml; charset=utf-8"),
        ] {
            let answer =
                client.get(format!("{}{path}?limit=1", server.url)).header("accept", accept).send().await.unwrap();
            assert_eq!(header(&answer, "content-type"), kind, "{path} {accept}");
            assert!(header(&answer, "vary").contains("Accept"));
            tags.insert(header(&answer, "etag"));
            bodies.push(answer.text().await.unwrap());
        }
        assert_eq!(tags.len(), 3, "each form has a tag of its own: {path}");
        let newest = if path.ends_with("310118") { &id } else { &other };
        let linked: Value = serde_json::from_str(&bodies[3]).unwrap();
        assert_eq!(
            (&linked["@graph"][0]["id"], linked["@graph"].as_array().unwrap().len()),
            (&newest.as_str().into(), 1)
        );
        assert!(linked["@context"]["@vocab"].is_string() && linked["@graph"][0].get("geometry").is_none());
        well_formed(&bodies[4]);
        assert_eq!(bodies[4].matches("<entry>").count(), 1);
        assert!(bodies[4].contains(newest) && bodies[4].contains("<cap:event>"), "{}", bodies[4]);
    }
    // The archive's next page is named in each of them.
    for (accept, names) in [("application/ld+json", "\"next\":\""), ("application/atom+xml", "rel=\"next\"")] {
        let answer =
            client.get(format!("{}/alerts?limit=1", server.url)).header("accept", accept).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.contains(names) && text.contains("cursor=r"), "{text}");
    }
    let wrong = client.get(format!("{}/alerts/active?colour=red", server.url)).header("accept", "application/atom+xml");
    assert_eq!(wrong.send().await.unwrap().status(), 400);
}

/// Those who take part in a drill follow the link in its message; everybody else finds nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_link_in_a_drills_message_says_that_it_is_a_drill_and_nothing_else_leads_there() {
    let server = Server::start("");
    let drill = Cma { status: "Exercise", ..Cma::new("drill") };
    let (status, answer) = server.post(drill.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
    let id = answer["id"].as_str().unwrap();
    let (_, later) = server.post(Cma { code: "310120000000".into(), ..Cma::new("later") }.xml()).await;
    let later = later["id"].as_str().unwrap();
    until(&server, "/alerts/active", |answer| ids(answer) == [later]).await;
    let as_page = |path: String| client().get(format!("{}{path}", server.url)).header("accept", "text/html").send();
    let link = as_page(format!("/alerts/{id}")).await.unwrap();
    assert_eq!((link.status().as_u16(), header(&link, "location")), (303, format!("/drills/{id}")));
    for (tag, words) in [("zh-CN", "这是演练，没有发生任何险情"), ("en", "This is a drill. Nothing has happened.")]
    {
        let page = server.get(&format!("/drills/{id}?lang={tag}")).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains(words) && page.contains("noindex") && page.contains("演练"), "{page}");
    }
    // A warning has no page of a drill, and machines get nothing of one.
    for path in [
        format!("/drills/{later}"),
        "/drills/x".into(),
        format!("/alerts/{id}"),
        format!("/alerts/{id}.cap"),
        format!("/events/{id}"),
    ] {
        assert_eq!(server.get(&path).await.status(), 404, "{path}");
    }
    for path in [
        "/",
        "/alerts",
        "/alerts/active",
        "/feeds/atom.xml",
        "/feeds/rss.xml",
        "/feeds/shanghai/atom.xml",
        "/regions/310118",
    ] {
        assert!(!text(&server, path).await.contains(id), "{path}");
    }
}

/// As api.weather.gov's marine regions: what is at sea is asked for apart from land.
#[tokio::test(flavor = "multi_thread")]
async fn a_sea_area_is_a_region_and_no_county_is() {
    let server = Server::start("");
    let surge = Cma { event: ("风暴潮", "Storm surge"), code: "HZB".into(), ..Cma::new("surge") };
    server.post(surge.xml().replace("CPEAS Geographic Code", "TOCSIN Sea Area")).await;
    let (_, typhoon) = server.post(Cma::new("typhoon").xml()).await;
    // The bay's coast lies in two provinces: each has its part.
    until(&server, "/alerts/active", |answer| ids(answer).len() == 3).await;
    let at_sea = server.json("/alerts/active/region/HZB").await;
    assert_eq!(ids(&at_sea).len(), 2);
    assert!(!ids(&at_sea).iter().any(|id| *id == typhoon["id"].as_str().unwrap()));
    assert_eq!(ids(&server.json("/alerts/active?region=HZB").await), ids(&at_sea));
    let land = server.json("/alerts/active/region/310118").await;
    assert!(land["en"].as_str().is_some_and(|why| why.contains("not a sea area")), "{land}");
    assert!(land["zh"].as_str().is_some_and(|why| why.contains("不是海区")), "{land}");
}

/// JSON of other services says neither in a way that a reader of CAP knows.
#[tokio::test(flavor = "multi_thread")]
async fn json_of_other_services_is_published_with_the_national_code_and_the_colour() {
    let server = Server::start("");
    let at = chrono::Utc::now().with_timezone(&chrono::FixedOffset::east_opt(8 * 3_600).unwrap());
    let end = (at + chrono::TimeDelta::hours(6)).format("%Y-%m-%dT%H:%M+08:00").to_string();
    let list = serde_json::json!({"alertid": format!("31011841600000_{}", at.format("%Y%m%d%H%M%S")), "issuetime": at.format("%Y/%m/%d %H:%M").to_string(),
        "title": "上海市青浦区气象台发布暴雨蓝色预警[Ⅳ级/一般]", "pic": "https://image.example.org/alarm/p0002004.png"});
    let service = serde_json::json!({"id": "1", "senderName": "上海市嘉定区气象台", "issuedTime": at.format("%Y-%m-%dT%H:%M+08:00").to_string(),
        "messageType": {"code": "alert"}, "eventType": {"name": "暴雨", "code": "1003"}, "color": {"code": "blue"}, "expireTime": end,
        "headline": "上海市嘉定区气象台发布暴雨蓝色预警信号", "areas": [{"name": "嘉定区", "code": "310114000000"}]});
    for (json, codes, parameters) in
        [(list, vec!["11B03"], vec!["p0002004", "blue"]), (service, vec!["1003", "11B03"], vec!["blue"])]
    {
        let (status, answer) = server.post_as(super::support::TOKEN, "application/json", json.to_string()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        let id = answer["id"].as_str().unwrap();
        until(&server, "/alerts/active", |answer| ids(answer).iter().any(|known| known == id)).await;
        let alert =
            tocsin::cap::read(&server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap()).alert.unwrap();
        let values = |all: &[tocsin::cap::NamedValue]| all.iter().map(|pair| pair.value.clone()).collect::<Vec<_>>();
        assert_eq!(
            (values(&alert.infos[0].event_codes), values(&alert.infos[0].parameters)),
            (codes.iter().map(|s| (*s).to_owned()).collect(), parameters.iter().map(|s| (*s).to_owned()).collect())
        );
    }
}

//! What is new is taken once; what is known is not taken again, whatever happens in between.

use crate::site::{DAY, Page, Site, atom, inline, link, source};
use crate::support::{Cma, Server};
use crate::{alerts, code, findings, store, until, until_source};

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_read_once_and_then_asked_for_news_only_and_a_restart_changes_nothing() {
    let site = Site::start().await;
    site.show("/one.xml", Cma::new("one").xml());
    let two = Cma::new("two").xml();
    site.show("/feed", atom(&[("a", DAY, link("one.xml")), ("b", DAY, inline(&two))]));
    let mut server = Server::start(&source(&site, "feed", ""));
    let taken = alerts(&server, 2).await;
    assert!(taken.iter().all(|alert| alert["bureau"] == "shanghai" && alert["state"] == "released"), "{taken:?}");
    site.asked("/feed", 2).await;
    let asked = site.requests("/feed");
    assert_eq!((asked[0].status, asked.last().unwrap().status), (200, 304), "If-None-Match is sent, and 304 honoured");
    assert!(!asked[0].head.contains("if-none-match") && asked.last().unwrap().head.contains("if-none-match: \""));
    let store = store(&server).await;
    let row = until_source(&server, &store, "feed", |row| row.taken == 2).await;
    assert_eq!((row.entries, row.failures, row.problem), (2, 0, None));
    store.close().await;
    assert!(server.stop());
    let before = site.requests("/feed").len();
    server.run();
    site.asked("/feed", 2).await;
    let after = &site.requests("/feed")[before..];
    assert!(after.iter().all(|request| request.status == 304), "what was known before the restart is known after it");
    assert_eq!(site.requests("/one.xml").len(), 1, "the entry was fetched once");
    // The first answer anew, as from a server that knows no ETag: still nothing is new.
    let body = atom(&[("a", DAY, link("one.xml")), ("b", DAY, inline(&two))]).into_bytes();
    site.put("/feed", Page::Ok { body, etag: None });
    site.asked("/feed", 2).await;
    assert_eq!(site.requests("/one.xml").len(), 1);
    assert_eq!(alerts(&server, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_changed_in_place_is_fetched_again_whether_the_feed_says_so_or_not() {
    let site = Site::start().await;
    let first = Cma::new("first");
    site.show("/alert.xml", first.xml());
    site.show("/feed", atom(&[("a", DAY, link("alert.xml"))]));
    let server = Server::start(&source(&site, "feed", "recheck_seconds = 1"));
    alerts(&server, 1).await;
    site.asked("/alert.xml", 1).await;
    // The feed says nothing; the content behind the same link is another.
    let second = Cma { msg_type: "Update", ..Cma::new("second") }.refers_to(&first);
    site.show("/alert.xml", second.xml());
    let now = alerts(&server, 2).await;
    assert_eq!((now[0]["identifier"].as_str(), &now[1]["superseded_by"]), (Some("second"), &now[0]["id"]));
    assert!(site.requests("/alert.xml").iter().any(|request| request.status == 304), "looking again costs little");
    // The feed says that the entry was updated.
    site.show("/alert.xml", Cma { msg_type: "Cancel", ..Cma::new("third") }.refers_to(&second).xml());
    site.show("/feed", atom(&[("a", "2026-01-02T00:00:00Z", link("alert.xml"))]));
    assert_eq!(alerts(&server, 3).await[0]["msg_type"], "Cancel");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_other_content_is_refused_and_says_so() {
    let site = Site::start().await;
    let alert = Cma::new("same");
    site.show("/alert.xml", alert.xml());
    site.show("/feed", atom(&[("a", DAY, link("alert.xml"))]));
    let server = Server::start(&source(&site, "feed", "recheck_seconds = 1"));
    let first = alerts(&server, 1).await;
    site.show("/alert.xml", Cma { colour: crate::support::RED, ..alert }.xml());
    let store = store(&server).await;
    let row = until_source(&server, &store, "feed", |row| row.refused == 1).await;
    assert_eq!(findings(&row), ["T8016"]);
    assert!(row.findings[0]["en"].as_str().unwrap().contains("T4011"), "{}", row.findings);
    site.asked("/alert.xml", 3).await;
    assert_eq!(alerts(&server, 1).await, first, "what was taken stays as it is");
    assert_eq!(until_source(&server, &store, "feed", |_| true).await.refused, 1, "one content is refused once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_had_now_is_had_later() {
    let site = Site::start().await;
    site.fail("/alert.xml", 503);
    site.show("/feed", atom(&[("a", DAY, link("alert.xml")), ("b", DAY, inline(&Cma::new("other").xml()))]));
    let server = Server::start(&source(&site, "feed", "schedule = \"* * * * * *\""));
    alerts(&server, 1).await;
    let store = store(&server).await;
    let row = until_source(&server, &store, "feed", |row| !findings(row).is_empty()).await;
    assert_eq!((findings(&row), code(&row)), (vec!["T8003"], ""), "the source is well, one entry of it is not");
    site.show("/alert.xml", Cma::new("late").xml());
    alerts(&server, 2).await;
    until_source(&server, &store, "feed", |row| findings(row).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_each_source_is_shown_to_people_and_machines() {
    let site = Site::start().await;
    site.show("/well", atom(&[]));
    site.fail("/ill", 500);
    let config = [source(&site, "well", ""), source(&site, "ill", "")].concat();
    let mut server = Server::start(&config);
    let store = store(&server).await;
    until_source(&server, &store, "well", |row| row.good_at.is_some()).await;
    until_source(&server, &store, "ill", |row| row.failures >= 2).await;
    let (well, out, _) = server.tocsin(&["feeds"]);
    assert!(!well, "somebody should look");
    assert!(
        out.contains("failing since")
            && out.contains("T8003 answers HTTP 500; next try")
            && out.contains("回应 HTTP 500"),
        "{out}"
    );
    let (_, out, _) = server.tocsin(&["--json", "feeds"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let conditions: Vec<_> =
        told["sources"].as_array().unwrap().iter().map(|source| source["condition"].as_str()).collect();
    assert_eq!(conditions, [Some("ok"), Some("failing")]);
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("tocsin_source_condition{source=\"ill\",condition=\"failing\"} 1"), "{metrics}");
    site.show("/ill", atom(&[]));
    until_source(&server, &store, "ill", |row| row.failures == 0).await;
    until("all well", &server, async || server.tocsin(&["feeds"]).0.then_some(())).await;
    assert!(server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_begin_says_why_where_people_look() {
    let site = Site::start().await;
    let server = Server::start(&source(&site, "feed", "ca_file = \"/nowhere.pem\""));
    let store = store(&server).await;
    let row = until_source(&server, &store, "feed", |row| row.failing_since.is_some()).await;
    assert_eq!(code(&row), "T8021");
    assert!(server.tocsin(&["feeds"]).1.contains("/nowhere.pem"));
}

#[test]
fn what_cannot_be_in_config_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (more, says) in [
        ("kind = \"feed\"\nurl = \"ftp://a.example/\"", "neither http nor https"),
        ("kind = \"feed\"\nurl = \"nowhere\"", "is no URL"),
        ("kind = \"feed\"\nurl = \"http://a.example/\"\nschedule = \"* * *\"", "seconds first"),
        ("kind = \"feed\"\nurl = \"http://a.example/\"\nprivate = [\"home\"]", "no address or network"),
        ("kind = \"feed\"\nurl = \"http://a.example/\"\nurll = 1", "unknown field `urll`"),
        ("kind = \"mqtt\"\nhost = \"b.example\"\nport = 1883\ntopic = \"a\"\nusername = \"u\"", "in the clear"),
        ("kind = \"pigeon\"", "unknown variant"),
    ] {
        let config = crate::support::write_config(
            folder.path(),
            &format!("[[source]]\nname = \"s\"\nbureau = \"shanghai\"\n{more}"),
        );
        let (well, _, error) = crate::support::tocsin(&config, &["config", "check"]);
        assert!(!well && error.contains(says), "{more}: {error}");
    }
    let nobody = "[[source]]\nname = \"s\"\nbureau = \"nobody\"\nkind = \"folder\"\npath = \"x\"";
    let config = crate::support::write_config(folder.path(), nobody);
    let (_, _, error) = crate::support::tocsin(&config, &["config", "check"]);
    assert!(error.contains("there is no bureau `nobody`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_config_had_refused_is_tried_again_when_that_changes() {
    let site = Site::start().await;
    let alert = Cma { code: "330421000000".into(), ..Cma::new("jiashan") };
    site.show("/feed", atom(&[("a", DAY, inline(&alert.xml()))]));
    let mut server = Server::start(&source(&site, "feed", ""));
    let looking = store(&server).await;
    until_source(&server, &looking, "feed", |row| row.refused == 1).await;
    site.asked("/feed", 2).await;
    assert_eq!(until_source(&server, &looking, "feed", |_| true).await.refused, 1, "not again while nothing changes");
    looking.close().await;
    assert!(server.stop());
    let config = std::fs::read_to_string(server.config()).unwrap();
    std::fs::write(server.config(), config.replacen("\"310000\", \"HZB\"", "\"310000\", \"330000\", \"HZB\"", 1))
        .unwrap();
    server.run();
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "jiashan");
}

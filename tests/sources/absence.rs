//! An alert that is no longer listed: over only where the source ends alerts so, and only by whole and healthy answers.

use crate::site::{DAY, Page, Site, atom, inline, link, source};
use crate::support::{Cma, Server, tables};
use sqlx::Connection as _;

use crate::{alerts, code, findings, store, until, until_source};

const FIVE: [&str; 5] = ["v", "w", "x", "y", "z"];

/// Each is of a county of its own: of one county they would be one event, and the newest its only head.
fn own(name: &str) -> Cma {
    let counties = ["310112", "310114", "310115", "310117", "310118"];
    let at = FIVE.iter().position(|one| *one == name).unwrap();
    Cma { code: format!("{}000000", counties[at]), ..Cma::new(name) }
}

fn feed(alerts: &[(&str, String)], names: &[&str]) -> String {
    let listed = alerts.iter().filter(|(name, _)| names.contains(name));
    atom(&listed.map(|(name, xml)| (*name, DAY, inline(xml))).collect::<Vec<_>>())
}

struct Listing {
    site: Site,
    alerts: Vec<(&'static str, String)>,
    server: Server,
}

impl Listing {
    /// A feed of five alerts, all taken.
    async fn start(more: &str) -> Self {
        let site = Site::start().await;
        let alerts: Vec<_> = FIVE.iter().map(|name| (*name, own(name).xml())).collect();
        site.show("/list", feed(&alerts, &FIVE));
        let server = Server::start(&source(&site, "list", more));
        crate::alerts(&server, 5).await;
        Self { site, alerts, server }
    }

    fn feed(&self, names: &[&str]) -> String {
        feed(&self.alerts, names)
    }

    fn list(&self, names: &[&str]) {
        self.site.show("/list", self.feed(names));
    }

    /// Identifiers of the alerts that a Cancel has taken the place of.
    async fn ended(&self) -> Vec<String> {
        let listed = self.server.json("/api/v1/alerts?limit=500").await;
        let over = listed["alerts"].as_array().unwrap().iter().filter(|alert| !alert["superseded_by"].is_null());
        let mut names: Vec<_> = over.map(|alert| alert["identifier"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// How many whole answers in a row left this one out.
    async fn missed(&self, name: &str) -> i64 {
        let mut rows = tables(self.server.folder.path()).await;
        let missed = sqlx::query_scalar("SELECT missed FROM source_entry WHERE entry = $1").bind(name);
        let missed = missed.fetch_one(&mut rows).await.unwrap();
        rows.close().await.unwrap();
        missed
    }

    async fn until_ended(&self, n: usize) -> Vec<String> {
        until(&format!("{n} ended"), &self.server, async || {
            let ended = self.ended().await;
            (ended.len() >= n).then_some(ended)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_whole_answers_without_it_end_it_by_a_cancel_that_says_why() {
    let listing = Listing::start("ends_by_absence = true").await;
    listing.list(&["v", "w", "x", "y"]);
    assert_eq!(listing.until_ended(1).await, ["z"]);
    let newest = alerts(&listing.server, 6).await;
    let cancel = newest.iter().find(|alert| alert["msg_type"] == "Cancel").unwrap();
    assert_eq!((cancel["sender"].as_str(), cancel["state"].as_str()), (Some("tocsin"), Some("released")), "{cancel}");
    let path = format!("{}/api/v1/alerts/{}", listing.server.url, cancel["id"].as_str().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(path).bearer_auth(crate::support::TOKEN).header("accept", "application/cap+xml");
    let text = asked.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("<note>来源 list 连续多次的完整列表中已无此预警 / no longer in the complete list"), "{text}");
    // It comes back: it stays ended, and somebody is told.
    listing.list(&FIVE);
    let store = store(&listing.server).await;
    until_source(&listing.server, &store, "list", |row| findings(row).contains(&"T8019")).await;
    assert_eq!(listing.ended().await, ["z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_fail_are_cut_off_or_old_end_nothing() {
    let listing = Listing::start("ends_by_absence = true\nmax_entries = 10").await;
    let store = store(&listing.server).await;
    let four = listing.feed(&["v", "w", "x", "y"]);
    // Each bad answer comes more often than two whole ones would have to.
    listing.site.fail("/list", 500);
    until_source(&listing.server, &store, "list", |row| row.failures >= 2 && code(row) == "T8003").await;
    let cut = four.as_bytes()[..four.len() - 10].to_vec();
    listing.site.put("/list", Page::Ok { body: cut, etag: None });
    until_source(&listing.server, &store, "list", |row| row.failures >= 2 && code(row) == "T8009").await;
    // Well-formed, but with an entry that cannot be told.
    let strange = four.replace("</feed>", "<entry><title>?</title></entry></feed>");
    listing.site.put("/list", Page::Ok { body: strange.into_bytes(), etag: None });
    until_source(&listing.server, &store, "list", |row| row.failures == 0).await;
    listing.site.asked("/list", 3).await;
    // A copy that is older than what was there before.
    let dated = |feed: &str, at: &str| feed.replacen("<id>f</id>", &format!("<id>f</id><updated>{at}</updated>"), 1);
    listing.site.show("/list", dated(&listing.feed(&FIVE), "2026-01-02T00:00:00Z"));
    listing.site.asked("/list", 2).await;
    listing.site.put("/list", Page::Ok { body: dated(&four, DAY).into_bytes(), etag: None });
    until_source(&listing.server, &store, "list", |row| findings(row).contains(&"T8020")).await;
    listing.site.asked("/list", 3).await;
    // One whole answer, and then it is there again.
    let back = dated(&listing.feed(&FIVE), "2026-01-04T00:00:00Z");
    listing.site.show_times("/list", 1, dated(&four, "2026-01-03T00:00:00Z"));
    until_source(&listing.server, &store, "list", |row| row.failures >= 1).await;
    assert_eq!(listing.missed("z").await, 1, "it was counted");
    listing.site.show("/list", back);
    until_source(&listing.server, &store, "list", |row| row.failures == 0).await;
    listing.site.asked("/list", 3).await;
    assert_eq!(listing.missed("z").await, 0);
    assert_eq!(listing.ended().await, [""; 0], "{}", listing.server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_is_not_forgotten_however_long_the_source_was_away() {
    let mut listing = Listing::start("ends_by_absence = true").await;
    // What was listed is written down once all of it is taken.
    let before = store(&listing.server).await;
    until_source(&listing.server, &before, "list", |row| row.good_at.is_some()).await;
    before.close().await;
    assert!(listing.server.stop());
    // Nothing was heard of the source for eight days; the first answer after that is none either.
    let ago = chrono::Utc::now() - chrono::TimeDelta::days(8);
    let mut rows = tables(listing.server.folder.path()).await;
    let sql = "UPDATE source_entry SET seen_at = $1, fetched_at = $1";
    let done = sqlx::query(sql).bind(ago.timestamp_millis()).execute(&mut rows).await.unwrap();
    assert_eq!(done.rows_affected(), 5);
    rows.close().await.unwrap();
    listing.site.fail("/list", 500);
    listing.server.run();
    let store = store(&listing.server).await;
    until_source(&listing.server, &store, "list", |row| row.failures >= 2 && code(row) == "T8003").await;
    listing.list(&["v", "w", "x", "y"]);
    assert_eq!(listing.until_ended(1).await, ["z"], "it ended while the source was away");
}

#[tokio::test(flavor = "multi_thread")]
async fn most_of_the_list_gone_at_once_takes_five_answers() {
    let listing = Listing::start("ends_by_absence = true").await;
    listing.site.show_times("/list", 4, listing.feed(&["v", "w"]));
    let store = store(&listing.server).await;
    until_source(&listing.server, &store, "list", |row| row.failures >= 1).await;
    assert_eq!(listing.missed("z").await, 4);
    assert_eq!(listing.ended().await, [""; 0], "of one alert, two would be enough");
    listing.list(&["v", "w"]);
    assert_eq!(listing.until_ended(3).await, ["x", "y", "z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_word_in_config_absence_means_nothing() {
    let listing = Listing::start("").await;
    listing.list(&["v"]);
    listing.site.asked("/list", 7).await;
    assert_eq!(listing.ended().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_what_is_listed_instead_cannot_be_read_nothing_ends() {
    let listing = Listing::start("ends_by_absence = true").await;
    listing.site.fail("/u", 503);
    let four = listing.feed(&["v", "w", "x", "y"]);
    let instead = format!("<entry><id>u</id><title>u</title><updated>{DAY}</updated>{}</entry></feed>", link("/u"));
    listing.site.show("/list", four.replace("</feed>", &instead));
    listing.site.asked("/u", 1).await;
    listing.site.asked("/list", 4).await;
    assert_eq!(listing.ended().await, [""; 0], "the entry that answers 503 may be its Update");
    listing.site.show("/u", Cma { code: "310120000000".into(), ..Cma::new("u") }.xml());
    assert_eq!(listing.until_ended(1).await, ["z"], "it was another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_listed_under_another_name_is_not_gone() {
    let listing = Listing::start("ends_by_absence = true").await;
    let again = listing.alerts.iter().find(|(name, _)| *name == "z").unwrap().1.clone();
    let entry =
        format!("<entry><id>other</id><title>z</title><updated>{DAY}</updated>{}</entry></feed>", inline(&again));
    listing.site.show("/list", listing.feed(&["v", "w", "x", "y"]).replace("</feed>", &entry));
    listing.site.asked("/list", 5).await;
    assert_eq!(listing.ended().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_alert_whose_sender_is_ahead_of_the_clock_takes_its_place() {
    let site = Site::start().await;
    let mut alerts: Vec<_> = FIVE.iter().map(|name| (*name, own(name).xml())).collect();
    let ahead = Cma { sent: own("z").sent + chrono::TimeDelta::minutes(10), ..own("z") };
    alerts[4].1 = ahead.xml();
    site.show("/list", feed(&alerts, &FIVE));
    let server = Server::start(&source(&site, "list", "ends_by_absence = true"));
    crate::alerts(&server, 5).await;
    let listing = Listing { site, alerts, server };
    listing.list(&["v", "w", "x", "y"]);
    assert_eq!(listing.until_ended(1).await, ["z"]);
}

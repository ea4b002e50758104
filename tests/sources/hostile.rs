//! Sources that are broken, slow, lying or hostile: each is named, and none stalls another.

use std::io::Write as _;

use crate::site::{DAY, Page, Site, atom, inline, link, source};
use crate::support::{Cma, Server};
use crate::{alerts, code, findings, store, until_source};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn packed(body: &[u8]) -> Page {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Page::Raw([head.as_bytes(), body].concat())
}

/// Every bad source beside a good one: each is failing by its own name, and the good one's alert is taken meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn each_bad_source_is_named_and_stalls_no_other() {
    let site = Site::start().await;
    let other = Site::start().await;
    other.show("/inside", atom(&[("secret", DAY, inline(&Cma::new("secret").xml()))]));
    let feed = atom(&[("a", DAY, inline(&Cma::new("bad").xml()))]);
    let whole = gzip(feed.as_bytes());
    site.put("/truncated-gzip", packed(&whole[..whole.len() / 2]));
    site.put("/gzip-bomb", packed(&gzip(&vec![b' '; 64 << 20])));
    site.put("/no-gzip", packed(b"plain"));
    site.put("/endless", Page::Endless);
    site.put("/drip", Page::Drip);
    site.put("/silent", Page::Silent);
    site.put("/short", Page::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<feed>".to_vec()));
    site.put("/large", Page::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n<feed>".to_vec()));
    site.put("/not-http", Page::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()));
    site.put("/cut-off", Page::Ok { body: feed.as_bytes()[..feed.len() - 9].to_vec(), etag: None });
    site.put("/page", Page::Ok { body: b"<html><body>Maintenance</body></html>".to_vec(), etag: None });
    site.put("/bomb", Page::Ok { body: b"<!DOCTYPE f [<!ENTITY a 'aaaa'>]><feed>&a;</feed>".to_vec(), etag: None });
    site.put("/denied", Page::Ok { body: b"{\"code\": \"401\", \"warning\": []}".to_vec(), etag: None });
    site.redirect("/loop", "/loop");
    site.redirect("/inside", &other.url("/inside"));
    site.redirect("/metadata", "http://169.254.169.254/latest/meta-data");
    site.redirect("/file", "file:///etc/passwd");
    site.redirect("/nowhere", "http://[");
    site.fail("/error", 500);
    let cases = [
        ("truncated-gzip", "T8005"),
        ("gzip-bomb", "T8004"),
        ("no-gzip", "T8005"),
        ("endless", "T8004"),
        ("drip", "T8002"),
        ("silent", "T8002"),
        ("short", "T8005"),
        ("large", "T8004"),
        ("not-http", "T8001"),
        ("cut-off", "T8009"),
        ("page", "T8009"),
        ("bomb", "T8009"),
        ("denied", "T8009"),
        ("loop", "T8006"),
        ("inside", "T8007"),
        ("metadata", "T8007"),
        ("file", "T8007"),
        ("nowhere", "T8008"),
        ("error", "T8003"),
        ("gone", "T8003"),
    ];
    // Who is slow is given up soon; of the others it must show what else is wrong.
    let patience = |name: &str| if matches!(name, "drip" | "silent") { 3 } else { 60 };
    let mut config: String = cases
        .iter()
        .map(|(name, _)| source(&site, name, &format!("timeout_seconds = {}\nmax_mib = 8", patience(name))))
        .collect();
    // Nothing of a private network is open to a source that config does not say so of.
    config.push_str(&format!(
        "[[source]]\nname = \"closed\"\nkind = \"feed\"\nbureau = \"shanghai\"\nurl = \"{}\"\nevery_seconds = 1\n",
        other.url("/inside")
    ));
    config.push_str(&source(&site, "good", ""));
    site.show("/good", atom(&[("a", DAY, inline(&Cma::new("good").xml()))]));
    let server = Server::start(&config);
    alerts(&server, 1).await;
    let store = store(&server).await;
    for (name, wanted) in cases.into_iter().chain([("closed", "T8007")]) {
        let row = until_source(&server, &store, name, |row| row.failures > 0).await;
        assert_eq!(code(&row), wanted, "{name}: {:?}", row.problem);
        assert!(row.next_at > row.tried_at && row.failing_since.is_some(), "{name} is tried again, later");
        assert!(!row.problem.unwrap()["zh"].as_str().unwrap().is_empty());
    }
    assert_eq!(other.requests("/inside").len(), 0, "nobody was led inside");
    let good = until_source(&server, &store, "good", |row| row.good_at.is_some()).await;
    assert_eq!((good.failures, good.taken), (0, 1));
    site.asked("/good", 2).await;
    assert_eq!(alerts(&server, 1).await.len(), 1, "nothing of the bad ones was taken");
}

/// The same for the links of a feed that is itself well.
#[tokio::test(flavor = "multi_thread")]
async fn each_bad_link_is_named_and_stalls_no_other() {
    let site = Site::start().await;
    let other = Site::start().await;
    site.put("/slow.xml", Page::Drip);
    site.put("/huge.xml", Page::Ok { body: vec![b' '; 5 << 20], etag: None });
    site.put("/page.xml", Page::Ok { body: b"<html>404</html>".to_vec(), etag: None });
    site.put("/feed.xml", Page::Ok { body: atom(&[("x", DAY, link("good.xml"))]).into_bytes(), etag: None });
    site.show("/good.xml", Cma::new("good").xml());
    let feed = atom(&[
        ("slow", DAY, link("slow.xml")),
        ("huge", DAY, link("huge.xml")),
        ("page", DAY, link("page.xml")),
        ("feed", DAY, link("feed.xml")),
        ("inside", DAY, link(&other.url("/x"))),
        ("file", DAY, link("file:///etc/passwd")),
        ("nothing", DAY, String::new()),
        ("good", DAY, link("good.xml")),
    ]);
    site.show("/links", feed);
    let server = Server::start(&source(&site, "links", "timeout_seconds = 3"));
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "good");
    let store = store(&server).await;
    let row = until_source(&server, &store, "links", |row| row.good_at.is_some()).await;
    let mut told: Vec<_> = row
        .findings
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let path = finding["path"].as_str().unwrap_or_default();
            format!("{} {}", finding["code"].as_str().unwrap(), path.rsplit('/').next().unwrap())
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "T3007 entry[7]",
            "T8002 slow.xml",
            "T8004 huge.xml",
            "T8007 passwd",
            "T8007 x",
            "T8016 feed.xml",
            "T8016 page.xml"
        ]
    );
    assert_eq!(other.requests("/x").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_feed_of_a_hundred_thousand_entries_the_newest_are_taken_and_the_rest_is_counted() {
    let site = Site::start().await;
    let old: Vec<_> = (0..100_000)
        .map(|n| format!("<entry><id>{n}</id><updated>2020-01-01T00:00:00Z</updated><link href=\"{n}.xml\"/></entry>"))
        .collect();
    let new = inline(&Cma::new("newest").xml());
    let feed =
        format!("<feed>{}<entry><id>new</id><updated>2026-01-01T00:00:00Z</updated>{new}</entry></feed>", old.concat());
    site.put("/long", Page::Ok { body: feed.into_bytes(), etag: None });
    let server = Server::start(&source(&site, "long", "max_entries = 3"));
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "newest");
    let store = store(&server).await;
    let row = until_source(&server, &store, "long", |row| row.good_at.is_some()).await;
    assert_eq!((row.entries, findings(&row)[0]), (3, "T3006"));
    assert!(row.findings[0]["en"].as_str().unwrap().contains("99998 are not"), "{}", row.findings);
}

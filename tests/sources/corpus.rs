//! Real feeds and envelopes, served and read from end to end. Their alerts are of other countries, and years old: each must be
//! refused for exactly that, or for what is wrong with it, and none may be lost.

use std::path::Path;

use crate::site::{Page, Site, source};
use crate::support::Server;
use crate::{findings, store, until_source};

#[tokio::test(flavor = "multi_thread")]
async fn every_real_feed_is_read_and_each_of_its_entries_accounted_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
        return;
    };
    let wrapped =
        |name: &str| [".atom", ".rss", ".edxlde", ".rss.xml", "feed_example.xml"].iter().any(|end| name.ends_with(end));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| wrapped(name));
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let site = Site::start().await;
    let mut config = String::new();
    for name in &names {
        let mut body = std::fs::read(folder.join(name)).unwrap();
        // Links into the world lead to this machine instead, where nothing is: no test asks strangers.
        if let Ok(text) = String::from_utf8(body.clone()) {
            let here = format!("http://{}/", site.addr);
            body = text
                .replace("https://", &here)
                .replace("http://", &here)
                .replace(&format!("{here}{}/", site.addr), &here)
                .into_bytes();
            for namespace in ["www.w3.org/", "www.incident.com/cap/", "www.georss.org/"] {
                let kept = String::from_utf8(body)
                    .unwrap()
                    .replace(&format!("{here}{namespace}"), &format!("http://{namespace}"));
                body = kept.into_bytes();
            }
        }
        site.put(&format!("/{name}"), Page::Ok { body, etag: None });
        config
            .push_str(&source(&site, name, "max_entries = 30").replace("every_seconds = 1\n", "every_seconds = 600\n"));
    }
    let server = Server::start(&config);
    let store = store(&server).await;
    let mut lines = String::new();
    for name in &names {
        let row = until_source(&server, &store, name, |row| row.tried_at.is_some()).await;
        let problem = row.problem.as_ref().map(|problem| format!(" {}", problem["en"].as_str().unwrap()));
        let mut codes: Vec<_> = findings(&row);
        codes.dedup();
        lines.push_str(&format!(
            "{name}: {} entries, {} taken, {} refused{} {}\n",
            row.entries,
            row.taken,
            row.refused,
            problem.unwrap_or_default(),
            codes.join(" ")
        ));
        assert!(
            row.problem.is_some() || row.entries == 0 || row.taken + row.refused > 0 || !codes.is_empty(),
            "{name} is silent"
        );
    }
    insta::assert_snapshot!(lines);
}

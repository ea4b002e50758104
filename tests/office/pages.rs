//! Search, the record, who reads along, large forms, and the way in by HTTPS alone.

use chrono::TimeDelta;

use super::support::crew::{Browser, Crew};
use super::support::{Cma, ORANGE, RED, Server, write_config};
use super::typed;

async fn found(browser: &Browser, base: &str, words: &str, more: &str) -> (Vec<String>, String) {
    let words: String = form_urlencoded::byte_serialize(words.as_bytes()).collect();
    let (status, page) = browser.get(&format!("{base}/alerts?q={words}{more}")).await;
    assert_eq!(status, 200, "{page}");
    let link = format!("<td><a href=\"{base}/alerts/");
    let ids = page.split(&link).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    (ids, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_by_headline_number_sender_and_place_and_knows_no_other_world() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await.browser(&server).await;
    let mut ids = Vec::new();
    for (name, event, county, status) in [
        ("one-typhoon", ("台风", "Typhoon"), "310118", "Actual"),
        ("two-rain", ("暴雨", "Rainstorm"), "310120", "Actual"),
        ("three-surge", ("风暴潮", "Storm surge"), "310115", "Actual"),
        ("four-drill", ("台风", "Typhoon"), "310118", "Exercise"),
    ] {
        let alert = Cma { event, status, code: format!("{county}000000"), ..Cma::new(name) };
        let (code, answer) = server.post(alert.xml()).await;
        assert_eq!(code, 201, "{answer}");
        ids.push(answer["id"].as_str().unwrap().to_owned());
    }
    let [typhoon, rain, surge, drill] = ids.as_slice() else { panic!("{ids:?}") };
    let all = [surge, rain, typhoon].map(String::clone);
    for (words, expected) in [
        ("暴雨", vec![rain.clone()]),
        ("two-rain", vec![rain.clone()]),
        (rain.as_str(), vec![rain.clone()]),
        ("上海中心气象台", all.to_vec()),
        ("青浦区", vec![typhoon.clone()]),
        ("奉贤", vec![rain.clone()]),
        ("Fengxian", vec![rain.clone()]),
        ("310115", vec![surge.clone()]),
        ("上海市", all.to_vec()),
        ("Shanghai", all.to_vec()),
        ("杭州市", vec![]),
        ("%", all.to_vec()),
        ("four-drill", vec![]),
    ] {
        assert_eq!(found(&li, "/console", words, "").await.0, expected, "{words}");
    }
    for words in ["青浦", "台风", "four", drill.as_str()] {
        assert_eq!(found(&li, "/exercise", words, "").await.0, std::slice::from_ref(drill), "{words}");
    }
    for words in ["two-rain", "奉贤"] {
        assert!(found(&li, "/exercise", words, "").await.0.is_empty(), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_turns_its_pages_and_shows_each_once() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await.browser(&server).await;
    let mut before: Option<Cma> = None;
    let mut ids = Vec::new();
    for n in 0..57 {
        let sent = before
            .as_ref()
            .map_or_else(|| Cma::new("").sent - TimeDelta::minutes(30), |b| b.sent + TimeDelta::seconds(1));
        let alert = Cma { sent, ..Cma::new(&format!("page-{n}")) };
        let alert = match &before {
            Some(older) => Cma { msg_type: "Update", ..alert }.refers_to(older),
            None => alert,
        };
        let (status, answer) = server.post(alert.xml()).await;
        assert_eq!(status, 201, "{answer}");
        ids.push(answer["id"].as_str().unwrap().to_owned());
        before = Some(alert);
    }
    ids.reverse();
    let (first, page) = found(&li, "/console", "青浦", "").await;
    let next = page.split("&amp;before=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (second, page) = found(&li, "/console", "青浦", &format!("&before={next}")).await;
    assert_eq!((first.len(), second.len()), (50, 7));
    assert_eq!([first, second].concat(), ids);
    assert!(!page.contains("&amp;before="), "there is no third page");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_page_shows_a_broken_chain_and_gives_auditors_all_of_it() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let auditor = crew.officer("audit", &["auditor:*"]).await.browser(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await.browser(&server).await;
    // Whoever would be refused it is not offered it either; an administrator who keeps officers is no auditor.
    let root = crew.root.browser(&server).await;
    for (browser, status) in [(&auditor, 200), (&li, 403), (&root, 403)] {
        assert_eq!(browser.get("/console/record.csv").await.0, status, "the whole record is for auditors");
        let (_, page) = browser.get("/console/record").await;
        assert_eq!(page.contains("href=\"/console/record.csv\""), status == 200, "{page}");
    }
    let (_, page) = auditor.get("/console/record").await;
    assert!(page.contains("class=\"lamp up\"") && !page.contains("role=\"alert\">✕"), "{page}");
    // Each line in words, kinds and facts: nobody reads JSON.
    for part in ["officer invited <code class=\"quiet\">officer.invite</code>", "<span class=\"quiet\">roles</span>"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("&quot;:") && !page.contains("&#34;:"), "{page}");
    let lines = crew.store.record_from(1, 10_000).await.unwrap();
    let (status, csv) = auditor.get("/console/record.csv").await;
    assert_eq!(status, 200);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(head, ["seq", "at", "actor", "kind", "subject", "detail", "hash"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(rows.len() >= lines.len() && lines.len() >= 6, "{csv}");
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!((&row[0], &row[3], &row[6]), (&*line.seq.to_string(), line.kind.as_str(), line.hash.as_str()));
    }
    // Somebody changes who did it, behind the program's back.
    sqlx::any::install_default_drivers();
    let file = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let pool = sqlx::AnyPool::connect(&file).await.unwrap();
    sqlx::query("UPDATE record SET actor = 'nobody' WHERE seq = 3").execute(&pool).await.unwrap();
    pool.close().await;
    for (browser, who) in [(&auditor, "an auditor"), (&li, "everybody")] {
        let (_, page) = browser.get("/console/record").await;
        assert!(page.contains("role=\"alert\">✕") && !page.contains("class=\"lamp up\""), "{who} sees it: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_shows_the_kind_asked_for_and_turns_its_pages() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let auditor = crew.officer("audit", &["auditor:*"]).await.browser(&server).await;
    for n in 0..101 {
        let language = if n % 2 == 0 { "zh-CN" } else { "en" };
        assert_eq!(auditor.post("/console/me/language", &[("language", language)]).await.0, 303);
    }
    let (_, page) = auditor.get("/console/me").await;
    assert!(page.contains("<html lang=\"zh-CN\""), "pages come in the language chosen: {page}");
    let (status, page) = auditor.post("/console/me/tokens", &[("name", "display"), ("days", "9")]).await;
    assert!(status == 400 && page.contains("请至少勾选一项权限"), "{status} {page}");
    let (_, first) = auditor.get("/console/record?kind=officer.language").await;
    let next = first.split("before=").nth(1).unwrap().split(['"', '&']).next().unwrap();
    let (_, second) = auditor.get(&format!("/console/record?kind=officer.language&before={next}")).await;
    let lines = |page: &str| {
        let kinds = page.split("<code class=\"quiet\">").skip(1).map(|part| part.split('<').next().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(lines(&first), vec!["officer.language"; 100]);
    assert_eq!(lines(&second), ["officer.language"], "the first one");
    assert!(second.contains("中文") && !second.contains("before="), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_along_shows_how_far_behind_it_is_and_what_it_said_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of more than sixteen bytes").unwrap();
    let port = tocsin_sinks::real::free_port().unwrap();
    write_config(
        folder.path(),
        &format!(
            "[[webhook]]\nname = \"bigscreen\"\nurl = \"http://127.0.0.1:{port}/services/T0KEN?key=S3CRET\"\nsecret_file = \"{}\"\n\
             allow_private = [\"127.0.0.1:{port}\"]\ntimeout_seconds = 1\n",
            secret.display()
        ),
    );
    let server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["operator:310000"]).await.browser(&server).await;
    assert_eq!(server.post(Cma::new("first").xml()).await.0, 201);
    let mut page = String::new();
    for _ in 0..3_000 {
        page = li.get("/console/outlets").await.1;
        if page.contains("<td class=\"number\">1</td>") && !page.contains("<td>—</td>") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(page.contains("<th scope=\"row\">bigscreen</th>"), "{page}");
    assert!(page.contains(&format!("<code>http://127.0.0.1:{port}/…</code>")), "{page}");
    assert!(
        page.contains("<td class=\"number\">1</td><td><strong class=\"alarm\">"),
        "one waits, and how long: {page}"
    );
    assert!(!page.contains("<td>—</td>"), "what was said last: {page}");
    assert!(!page.contains("T0KEN") && !page.contains("S3CRET"), "{page}");
    assert_eq!(li.post("/console/outlets", &[]).await.0, 405, "it is only to look at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_outline_of_100_000_corners_is_thinned_and_one_more_is_refused_with_a_word() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["author:310000"]).await.browser(&server).await;
    let ring = |corners: usize| {
        let corner = |n: usize| {
            let angle = n as f64 / corners as f64 * std::f64::consts::TAU;
            format!("{:.12},{:.12}", 31.15 + 0.1 * angle.sin(), 121.1 + 0.1 * angle.cos())
        };
        (0..corners).map(corner).collect::<Vec<_>>().join(" ")
    };
    let end = typed(chrono::Utc::now() + TimeDelta::hours(3));
    let check = async |outline: String| {
        let form = [
            ("hazard", "typhoon"),
            ("colour", "red"),
            ("region", "310000"),
            ("expires", &*end),
            ("polygons", &*outline),
        ];
        li.post("/console/compose/check", &form).await
    };
    let (status, page) = check(ring(100_000)).await;
    assert!(status == 200 && page.contains("Corners of an outline were thinned: 100000 → "), "{status} {page}");
    assert!(page.contains("310118") && page.contains("It can be submitted"), "{page}");
    let (status, page) = check(ring(100_001)).await;
    assert!(
        status == 200 && page.contains("More outlines or corners than are read") && !page.contains("It can be"),
        "{page}"
    );
    let (status, page) = li.get("/console/compose/new").await;
    assert!(status == 200 && page.contains("Corners in all: 100000 at most."), "the limits are shown: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_came_by_https_is_told_to_come_by_https() {
    for (address, wanted) in [("https://warn.example.org", Some("max-age=31536000")), ("http://127.0.0.1", None)] {
        let folder = tempfile::tempdir().unwrap();
        let config = write_config(folder.path(), "");
        let text = std::fs::read_to_string(&config).unwrap();
        let server = format!("listen = \"127.0.0.1:0\"\npublic_url = \"{address}\"");
        std::fs::write(&config, text.replace("listen = \"127.0.0.1:0\"", &server)).unwrap();
        let server = Server::start_in(folder);
        for path in ["/", "/sign-in", "/assets/console.css", "/nowhere"] {
            let answer = server.get(path).await;
            let header = answer.headers().get("strict-transport-security").map(|value| value.to_str().unwrap());
            assert_eq!(header, wanted, "{address}{path}");
        }
    }
}

/// What the queue says of each card, in the order of their numbers.
async fn cards(browser: &Browser) -> Vec<String> {
    let (_, page) = browser.get("/console/queue").await;
    let mut cards: Vec<_> =
        page.split("<li class=\"card").skip(1).map(|card| card.split("</li>").next().unwrap()).collect();
    cards.sort_by_key(|card| card.split("#e").nth(1).unwrap().split('"').next().unwrap().parse::<u32>().unwrap());
    cards.into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_says_one_true_thing_of_its_time_and_of_who_answered() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let reviewer = crew.officer("reviewer", &["reviewer:310000"]).await.browser(&server).await;
    for county in ["310118", "310120", "310115"] {
        let red = Cma { colour: RED, code: format!("{county}000000"), ..Cma::new(county) };
        assert_eq!(server.post(red.xml()).await.1["state"], "waiting");
    }
    let yes = [("seen", "0"), ("stage", "review"), ("word", "Shanghai")];
    super::posted(&reviewer, "/console/escalations/3/approve", &yes).await;
    // Nobody here has an address, which is another matter.
    let mut store = super::support::tables(server.folder.path()).await;
    let sql = "UPDATE escalation SET body = json_set(body, '$.uncalled', json('false'))";
    sqlx::query(sql).execute(&mut store).await.unwrap();
    for card in cards(&reviewer).await {
        assert!(
            card.contains(" left</span>") && card.contains("<meter") && !card.contains("class=\"alarm\""),
            "{card}"
        );
    }
    // Steps go by: the first one's last, the others' first; of these somebody has signed the last.
    for (id, part) in [(1, "'$.overdue', json('true')"), (2, "'$.step', 1"), (3, "'$.step', 1")] {
        let sql = format!("UPDATE escalation SET body = json_set(body, {part}) WHERE id = {id}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut store).await.unwrap();
    }
    let says = [
        ["<strong class=\"alarm\">Overdue</strong>", ">called again in "],
        ["<strong class=\"alarm\">Nobody has answered</strong>", " left</span>"],
        ["<strong class=\"alarm\">Nobody else has answered</strong>", " left</span>"],
    ];
    for (card, said) in cards(&reviewer).await.iter().zip(says) {
        assert!(said.iter().all(|text| card.contains(text)), "{said:?}: {card}");
        assert_eq!(card.matches("class=\"alarm\"").count(), 1, "{card}");
        assert_eq!(card.contains("<meter"), !card.contains("Overdue"), "{card}");
        assert_eq!(card.contains(" left"), !card.contains("Overdue"), "no time is left of what is overdue: {card}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_offers_a_decision_to_those_alone_who_may_decide() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("signer", &["signer:310000"]).await.browser(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let administrator = crew.root.browser(&server).await;
    assert_eq!(server.post(Cma { colour: ORANGE, ..Cma::new("n1") }.xml()).await.1["state"], "waiting");
    let button = async |browser: &Browser| {
        let card = cards(browser).await.remove(0);
        card.split("class=\"button\"").nth(1).unwrap().split(['>', '<']).nth(1).unwrap().to_owned()
    };
    assert_eq!(button(&signer).await, "Look and decide");
    for reader in [&author, &administrator] {
        assert_eq!(button(reader).await, "Read it");
    }
    super::posted(&signer, "/console/escalations/1/return", &[("seen", "0"), ("reason", "where?")]).await;
    assert_eq!(button(&author).await, "Mend it");
    assert_eq!(button(&administrator).await, "Read it");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_no_field_is_shown_that_does_nothing_and_the_count_of_what_waits_is_said() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000", "signer:310000"]).await.browser(&server).await;
    let (_, page) = author.get("/console/compose/new").await;
    let label = page.split("type=\"file\"").next().unwrap().rsplit("<label").next().unwrap().to_owned();
    assert!(label.starts_with(" hidden>"), "the script reads the file, and shows its field: {label}");
    server.post(Cma { colour: ORANGE, ..Cma::new("n1") }.xml()).await;
    let (_, page) = author.get("/console").await;
    assert!(page.contains("role=\"status\" data-words=\"For you: {}\">For you: 1<"), "{page}");
}

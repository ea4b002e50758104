//! Organisations: contacts who have agreed, webhooks and rights bounded by regions, and who may keep what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use ring::hmac;
use serde_json::{Value, json};
use sqlx::Row as _;
use support::crew::Crew;
use support::{Cma, Server, YELLOW, tocsin, write_config};
use tocsin::store::RecordFilter;
use tocsin_sinks::{Tally, smtp};

const HEAD: &str = "code,name,kind,regions,contact,duty,consent,consent_at,phone,email,language,lowest\n";
const PORT: &str = "qp-port,青浦码头,port,310118,李明,安全员,2026-1,2026-03-01,,li@port.example,zh-CN,yellow\n\
    qp-port,,,,Anna Wang,night watch,2026-1,2026-03-02T22:00:00+08:00,,wang@port.example;anna@port.example,en,\n";

fn table(folder: &Path, rows: &str) -> PathBuf {
    let path = folder.join("organisations.csv");
    std::fs::write(&path, format!("{HEAD}{rows}")).unwrap();
    path
}

fn import(config: &Path, rows: &str, more: &[&str]) -> (bool, Value) {
    let path = table(config.parent().unwrap(), rows);
    let arguments = [&["--json", "organisations", "import", path.to_str().unwrap()], more].concat();
    let (well, out, error) = tocsin(config, &arguments);
    (well, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {error}")))
}

async fn rows(folder: &Path, sql: &'static str) -> Vec<sqlx::any::AnyRow> {
    sqlx::any::install_default_drivers();
    let mut connection =
        <sqlx::AnyConnection as sqlx::Connection>::connect(&format!("sqlite://{}", folder.join("t.db").display()))
            .await
            .unwrap();
    sqlx::query(sql).fetch_all(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_come_in_with_their_consent_and_a_table_brings_nobody_back() {
    let mail = smtp::start(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        mail.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let bad = "Bad Code,x,port,310118,a,b,2026-1,2026-03-01,,a@x.example,,\n\
        new-1,x,castle,310118,a,b,2026-1,2026-03-01,,a@x.example,,\n\
        new-2,x,port,999999,a,b,2026-1,2026-03-01,,a@x.example,,\n\
        new-3,x,port,310118,a,b,,2026-03-01,,a@x.example,,\n\
        new-4,x,port,310118,a,b,2026-1,2999-01-01,,a@x.example,,\n\
        new-5,x,port,310118,a,b,2026-1,yesterday,,a@x.example,,\n\
        new-6,x,port,310118,a,b,2026-1,2026-03-01,12345,,,\n\
        new-7,x,port,310118,a,b,2026-1,2026-03-01,,,,\n\
        new-8,x,port,310118,,b,2026-1,2026-03-01,,a@x.example,,\n\
        new-9,x,port,310118,a,b,2026-1,2026-03-01,,a@x.example,fr,\n";
    let (well, done) = import(&config, &format!("{PORT}{bad}"), &["--dry-run"]);
    let lines: Vec<u64> = done["bad"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!((well, lines), (false, (4..14).collect()), "{done:#}");
    assert_eq!((&done["organisations"], &done["contacts"], &done["dry"]), (&json!(1), &json!(2), &json!(true)));
    assert!(rows(folder.path(), "SELECT code FROM organisation").await.is_empty(), "a trial writes nothing");
    assert!(rows(folder.path(), "SELECT seq FROM record").await.is_empty());

    let (well, done) = import(&config, PORT, &[]);
    assert!(well, "{done}");
    let digest = done["digest"].as_str().unwrap().to_owned();
    let kept = rows(
        folder.path(),
        "SELECT consent, consent_at, source, entered_by, contact.name AS name FROM contact JOIN resident
         ON resident.subscriber = contact.subscriber ORDER BY contact.subscriber",
    )
    .await;
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].get::<String, _>("consent"), "2026-1");
    let agreed = chrono::DateTime::parse_from_rfc3339("2026-03-02T22:00:00+08:00").unwrap();
    assert_eq!(kept[1].get::<i64, _>("consent_at"), agreed.timestamp_millis());
    assert_eq!(
        (kept[0].get::<String, _>("source"), kept[0].get::<String, _>("entered_by")),
        (digest.clone(), "operator".into())
    );
    assert!(!kept[0].get::<String, _>("name").contains("李明"), "names are sealed");
    let record = rows(folder.path(), "SELECT kind, detail FROM record ORDER BY seq").await;
    let kinds: Vec<String> = record.iter().map(|row| row.get("kind")).collect();
    assert_eq!(kinds, ["organisation.create", "organisation.import"]);
    assert!(record[1].get::<String, _>("detail").contains(&digest));
    // Whoever asks whether numbers are known hears it from no trial, and is seen otherwise.
    let (_, trial) = import(&config, PORT, &["--dry-run"]);
    assert_eq!((&trial["contacts"], &trial["known"]), (&json!(2), &json!(0)), "{trial}");
    let (_, done) = import(&config, PORT, &[]);
    assert_eq!((&done["contacts"], &done["known"]), (&json!(0), &json!(2)), "the same again changes nothing");
    let record = rows(folder.path(), "SELECT detail FROM record WHERE kind = 'organisation.import' ORDER BY seq").await;
    assert!(record.len() == 2 && record[1].get::<String, _>("detail").contains("\"known\":2"));

    // Each is told in their own language, once, and nobody below the organisation's level.
    let server = Server::start_in(folder);
    let (_, answer) = server.post(Cma { colour: YELLOW, ..Cma::new("yellow") }.xml()).await;
    server.until(answer["id"].as_str().unwrap(), |states| states["channels"]["email"]["accepted"] == 2).await;
    let blue = Cma { colour: ("蓝色", "blue", "Minor"), event: ("暴雨", "Rainstorm"), ..Cma::new("blue") };
    let (_, answer) = server.post(blue.xml()).await;
    let marker =
        Cma { event: ("暴雨", "Rainstorm"), colour: YELLOW, code: "310117000000".into(), ..Cma::new("marker") };
    server.post(marker.xml()).await;
    let states = server.until(answer["id"].as_str().unwrap(), |states| !states.is_null()).await;
    assert_eq!(states["channels"]["email"]["accepted"].as_u64().unwrap_or(0), 0, "blue is below yellow: {states}");

    // One leaves: the same table does not bring them back.
    let crew = Crew::of(&server).await;
    let root = crew.root.browser(&server).await;
    let left = rows(server.folder.path(), "UPDATE address SET left_at = 1 WHERE language = 'zh-CN' RETURNING id").await;
    assert_eq!(left.len(), 1);
    let again = [("file", format!("{HEAD}{PORT}"))];
    let (status, page) = root.post("/console/organisations/import", &[("file", again[0].1.as_str())]).await;
    assert_eq!(status, 200, "{page}");
    let back = rows(server.folder.path(), "SELECT id FROM address WHERE left_at IS NOT NULL").await;
    assert_eq!(back.len(), 1, "who has left stays away");
    // Nor when what is left of the contact is taken away, or the organisation ends and is brought again.
    let contact = "SELECT subscriber AS id FROM address WHERE left_at IS NOT NULL";
    let id = rows(server.folder.path(), contact).await[0].get::<i64, _>("id").to_string();
    assert_eq!(root.post("/console/organisations/qp-port/contact-end", &[("id", &id)]).await.0, 303);
    for end in [false, true] {
        if end {
            assert_eq!(root.post("/console/organisations/qp-port/end", &[("word", "qp-port")]).await.0, 303);
        }
        assert_eq!(root.post("/console/organisations/import", &[("file", again[0].1.as_str())]).await.0, 200);
        let told =
            rows(server.folder.path(), "SELECT language FROM address WHERE left_at IS NULL AND subscriber > 0").await;
        let told: Vec<String> = told.iter().map(|row| row.get("language")).collect();
        assert_eq!(told, ["en", "en"], "the other contact is there with both addresses, who has left stays away");
    }
}

/// A program of the port.
#[derive(Clone, Default)]
struct Program(Arc<Mutex<Vec<Post>>>);

/// One post as it came.
#[derive(Clone)]
struct Post {
    path: String,
    signature: String,
    body: String,
}

impl Program {
    async fn start() -> (Self, u16) {
        let program = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(take).with_state(program.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (program, port)
    }

    /// The alerts that were posted there.
    fn alerts(&self, path: &str) -> Vec<String> {
        let alert =
            |post: &Post| serde_json::from_str::<Value>(&post.body).unwrap()["alert"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().iter().filter(|post| post.path == path).map(alert).collect()
    }

    async fn first(&self, path: &str) -> Vec<String> {
        for _ in 0..3_000 {
            if !self.alerts(path).is_empty() {
                return self.alerts(path);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing came to {path}");
    }
}

async fn take(State(program): State<Program>, uri: axum::http::Uri, headers: HeaderMap, body: Bytes) {
    let signature =
        headers.get("tocsin-signature").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (path, body) = (uri.path().to_owned(), String::from_utf8(body.to_vec()).unwrap());
    program.0.lock().unwrap().push(Post { path, signature, body });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_posted_what_concerns_its_organisation_from_the_day_it_is_set_to_the_day_it_ends() {
    let (program, port) = Program::start().await;
    let server = Server::start(&format!("[organisations]\nallow_private = [\"127.0.0.1:{port}\"]\n"));
    let (well, done) = import(&server.config(), PORT, &[]);
    assert!(well, "{done}");
    let url = format!("http://127.0.0.1:{port}/control");
    let (well, out, error) = server.tocsin(&["--json", "organisations", "hook", "qp-port", "control", &url]);
    assert!(well, "{error}");
    let secret = serde_json::from_str::<Value>(&out).unwrap()["secret"].as_str().unwrap().to_owned();
    for (bad, why) in
        [("http://169.254.169.254/latest", "https"), ("https://10.0.0.8/x", "private"), ("file:///etc/passwd", "https")]
    {
        let (well, _, error) = server.tocsin(&["organisations", "hook", "qp-port", "evil", bad]);
        assert!(!well && error.contains(why), "{bad}: {error}");
    }
    let seen =
        async || rows(server.folder.path(), "SELECT name FROM outlet WHERE name = 'webhook/qp-port.control'").await;
    while seen().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let send = async |alert: Cma| {
        let (status, answer) = server.post(alert.xml()).await;
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    };
    let rain = ("暴雨", "Rainstorm");
    send(Cma { code: "310117000000".into(), ..Cma::new("elsewhere") }).await;
    send(Cma { event: rain, colour: ("蓝色", "blue", "Minor"), ..Cma::new("below") }).await;
    let first = send(Cma::new("own")).await;
    assert_eq!(program.first("/control").await, std::slice::from_ref(&first));
    let Post { signature, body, .. } = program.0.lock().unwrap()[0].clone();
    let (time, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let tag: Vec<u8> = (0..tag.len() / 2).map(|at| u8::from_str_radix(&tag[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    assert!(hmac::verify(&key, format!("{time}.{body}").as_bytes(), &tag).is_ok(), "signed with the secret shown once");
    let stored = rows(server.folder.path(), "SELECT url, secret FROM organisation_hook").await;
    let text = format!("{}{}", stored[0].get::<String, _>("url"), stored[0].get::<String, _>("secret"));
    assert!(!text.contains(&secret) && !text.contains("127.0.0.1"), "both are sealed");

    // It ends: what comes after is not posted.
    assert!(server.tocsin(&["organisations", "hook", "qp-port", "control"]).0);
    let other = format!("http://127.0.0.1:{port}/other");
    assert!(server.tocsin(&["organisations", "hook", "qp-port", "other", &other]).0);
    let ready =
        async || rows(server.folder.path(), "SELECT name FROM outlet WHERE name = 'webhook/qp-port.other'").await;
    while ready().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last = send(Cma { event: rain, ..Cma::new("last") }).await;
    assert_eq!(program.first("/other").await, [last], "a new one begins with what comes next");
    assert_eq!(program.alerts("/control"), [first]);
    let (_, log, _) = server.tocsin(&["webhooks"]);
    assert!(log.contains("qp-port.control"), "the log of one that has ended stays: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_keep_their_own_regions_and_looking_is_on_record() {
    let server = Server::start("[organisations]\n");
    let (well, done) = import(&server.config(), PORT, &[]);
    assert!(well, "{done}");
    let crew = Crew::of(&server).await;
    let zhejiang = crew.officer("zhou", &["administrator:330000", "operator:330000"]).await.browser(&server).await;
    let author = crew.officer("auth", &["author:310000"]).await.browser(&server).await;
    let shanghai = crew.officer("shen", &["administrator:310000"]).await.browser(&server).await;
    let one =
        [("code", "sj-school"), ("name", "松江小学"), ("kind", "school"), ("regions", "310117"), ("lowest", "blue")];
    let device =
        [("id", "qp-1"), ("kind", "siren"), ("name", "楼顶"), ("region", "310118"), ("lowest", "red"), ("point", "")];
    let moved = [("code", "qp-port"), ("name", "x"), ("kind", "port"), ("regions", "330100"), ("lowest", "blue")];
    for stranger in [&zhejiang, &author] {
        for (path, form) in [
            ("/console/organisations", one.as_slice()),
            ("/console/organisations", moved.as_slice()),
            ("/console/organisations/qp-port/account", &[]),
            ("/console/organisations/qp-port/hook", &[("name", "x1"), ("url", "https://example.org/")]),
            ("/console/organisations/qp-port/contact-end", &[("id", "1")]),
            ("/console/organisations/qp-port/end", &[("word", "qp-port")]),
            ("/console/organisations/qp-port/look-up", &[]),
            ("/console/devices", device.as_slice()),
        ] {
            let (status, page) = stranger.post(path, form).await;
            assert_eq!(status, 403, "{path}: {page}");
            assert!(page.contains("T6009"), "{path}: {page}");
        }
    }
    let (status, page) = zhejiang.get("/console/organisations/qp-port").await;
    assert_eq!(status, 200);
    assert!(!page.contains("li@port.example") && !page.contains("李明"), "masked: {page}");

    let (status, page) = shanghai.post("/console/organisations/qp-port/look-up", &[]).await;
    assert!(status == 200 && page.contains("li@port.example") && page.contains("李明"), "{page}");
    let filter = RecordFilter { kind: Some("person.view".into()), ..RecordFilter::default() };
    let lines = crew.store.record_lines(&filter, 10).await.unwrap();
    assert_eq!((lines.len(), lines[0].actor.as_str(), lines[0].subject.as_str()), (1, "shen", "qp-port"));

    assert_eq!(shanghai.post("/console/organisations", &one).await.0, 303);
    let agreed = [
        ("name", "王老师"),
        ("duty", "校长"),
        ("phone", "13800000009"),
        ("language", "zh-CN"),
        ("consent", "2026-1"),
        ("consent_at", "2026-03-01T08:00"),
    ];
    assert_eq!(shanghai.post("/console/organisations/sj-school/contact", &agreed).await.0, 303);
    let (status, page) = shanghai.post("/console/organisations/sj-school/contact", &agreed).await;
    assert!(status == 400 && page.contains("T5003"), "the same number is not taken twice: {page}");
    let filter = RecordFilter { kind: Some("organisation.contact-known".into()), ..RecordFilter::default() };
    assert_eq!(crew.store.record_lines(&filter, 10).await.unwrap().len(), 1, "that it was asked for is on record");
    let (status, page) = shanghai.post("/console/organisations/sj-school/account", &[]).await;
    assert!(status == 200 && page.contains("org.sj-school"), "{page}");
    let (status, page) = shanghai.post("/console/devices", &device).await;
    assert!(status == 200 && page.contains("dev.qp-1"), "{page}");
    let stored = rows(server.folder.path(), "SELECT name, hash FROM broker_account ORDER BY name").await;
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|row| row.get::<String, _>("hash").starts_with("$7$101$")));
    assert_eq!(shanghai.post("/console/devices/qp-1/end", &[]).await.0, 303);

    // Where it moves, the contacts follow; when it ends, nothing of anybody is left.
    let wider = [
        ("code", "sj-school"),
        ("name", "松江小学"),
        ("kind", "school"),
        ("regions", "310117 310118"),
        ("lowest", "red"),
    ];
    assert_eq!(shanghai.post("/console/organisations", &wider).await.0, 303);
    let places = "SELECT place.id FROM place JOIN contact ON contact.subscriber = place.subscriber WHERE organisation = 'sj-school'";
    assert_eq!(rows(server.folder.path(), places).await.len(), 2);
    assert_eq!(shanghai.post("/console/organisations/sj-school/end", &[("word", "no")]).await.0, 409);
    assert_eq!(shanghai.post("/console/organisations/sj-school/end", &[("word", "sj-school")]).await.0, 303);
    assert!(rows(server.folder.path(), places).await.is_empty());
    let left = "SELECT name FROM broker_account UNION ALL SELECT code FROM organisation WHERE code = 'sj-school'";
    assert!(rows(server.folder.path(), left).await.is_empty());
}

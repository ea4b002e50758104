//! Who is told of what is published: receivers that fail, hang, redirect or come back are each told of everything, signed, and none
//! holds another up; a killed server forgets nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::{Cma, Server, write_config};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use ring::hmac;
use serde_json::Value;

const SECRET: &str = "a secret of more than sixteen bytes";

/// One post as it came.
#[derive(Debug, Clone)]
struct Post {
    path: String,
    id: String,
    signature: String,
    body: String,
    answered: u16,
}

/// A program of another organisation.
#[derive(Clone, Default)]
struct Other {
    posts: Arc<Mutex<Vec<Post>>>,
    broken: Arc<std::sync::atomic::AtomicBool>,
}

impl Other {
    async fn start() -> (Self, u16) {
        let other = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(take).with_state(other.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (other, port)
    }

    fn at(&self, path: &str) -> Vec<Post> {
        self.posts.lock().unwrap().iter().filter(|post| post.path == path).cloned().collect()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        for _ in 0..3_000 {
            if wanted(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: {:#?}", self.posts.lock().unwrap());
    }
}

async fn take(State(other): State<Other>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let path = uri.path().to_owned();
    let tries = other.at(&path).len();
    let answered = match path.as_str() {
        "/flaky" if tries < 2 => 500,
        "/redirect" => 302,
        "/refuses" => 403,
        "/broken" if other.broken.load(std::sync::atomic::Ordering::SeqCst) => 500,
        _ => 200,
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (id, signature) = (text("tocsin-id"), text("tocsin-signature"));
    other.posts.lock().unwrap().push(Post { path: path.clone(), id, signature, body, answered });
    if path == "/hang" {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(answered).unwrap();
    (status, [(header::LOCATION, "/trap")], "x".repeat(100_000)).into_response()
}

/// Checks a post as its receiver would: the time, and HMAC-SHA256 over time, dot and body.
fn signed(post: &Post) -> bool {
    let (time, tag) = post.signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let bytes: Vec<u8> =
        (0..tag.len() / 2).map(|at| u8::from_str_radix(&tag[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let age = chrono::Utc::now().timestamp() - time.parse::<i64>().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    (0..300).contains(&age) && hmac::verify(&key, format!("{time}.{}", post.body).as_bytes(), &bytes).is_ok()
}

fn hooks(folder: &Path, port: u16, names: &[&str]) -> String {
    let secret = folder.join("hook-secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let hook = |name: &&str| {
        // Who answers is given time to; who hangs is given up soon.
        let patience = if *name == "hang" { 1 } else { 60 };
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/{name}\"\nsecret_file = \"{}\"\n\
             allow_private = [\"127.0.0.1:{port}\"]\ntimeout_seconds = {patience}\n\n",
            secret.display()
        )
    };
    names.iter().map(hook).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_receiver_is_told_once_and_signed_however_the_others_behave() {
    let (other, port) = Other::start().await;
    let folder = tempfile::tempdir().unwrap();
    let more = hooks(folder.path(), port, &["hang", "refuses", "redirect", "flaky", "fine"]);
    write_config(folder.path(), &more);
    let server = Server::start_in(folder);
    let (_, answer) = server.post(Cma::new("1").xml()).await;
    let id = answer["id"].as_str().unwrap();
    other.until("the flaky one takes it", |other| other.at("/flaky").iter().any(|post| post.answered == 200)).await;
    let fine = other.at("/fine");
    assert_eq!(fine.len(), 1, "once is enough: {fine:#?}");
    let body: Value = serde_json::from_str(&fine[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["alert"].as_str()), (Some("alert.alert"), Some(id)));
    assert_eq!(
        (body["id"].as_str(), &body["feature"]["properties"]["id"]),
        (Some(fine[0].id.as_str()), &body["alert"])
    );
    let flaky = other.at("/flaky");
    assert_eq!(flaky.len(), 3);
    assert!(flaky.iter().all(|post| post.id == flaky[0].id && post.id != fine[0].id), "a repeat is known by its id");
    assert!(other.posts.lock().unwrap().iter().all(signed));
    let mut forged = fine[0].clone();
    forged.body.push(' ');
    assert!(!signed(&forged));
    assert!(other.at("/trap").is_empty(), "redirects are not followed");
    // The log says what each said.
    let log = |name: &str| {
        let (_, out, error) = server.tocsin(&["--json", "webhooks", name]);
        serde_json::from_str::<Value>(&out).unwrap_or_else(|_| panic!("{error}"))["log"][0].clone()
    };
    for _ in 0..3_000 {
        if log("flaky")["state"] == "done" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((log("fine")["state"].as_str(), log("flaky")["attempts"].as_i64()), (Some("done"), Some(3)));
    for (name, said) in [("refuses", "403"), ("redirect", "not followed")] {
        let line = log(name);
        assert_eq!(line["state"], "waiting", "{line}");
        assert!(line["detail"].as_str().unwrap().contains(said), "{line}");
    }
    let (_, out, _) = server.tocsin(&["webhooks"]);
    assert!(out.contains("webhook/hang") && out.contains("waiting"), "{out}");
    // A Cancel follows, to the hanging one as well.
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("2") };
    let sent: chrono::DateTime<chrono::FixedOffset> =
        serde_json::from_value(body["feature"]["properties"]["sent"].clone()).unwrap();
    server.post(cancel.refers_to(&Cma { sent, ..Cma::new("1") }).xml()).await;
    other.until("the cancel", |other| other.at("/fine").len() == 2).await;
    let body: Value = serde_json::from_str(&other.at("/fine")[1].body).unwrap();
    assert_eq!((body["type"].as_str(), body["chain"].as_str()), (Some("alert.cancel"), Some(id)));
    // What hangs is told of the alert again, after its end: it says so itself.
    let state =
        |post: &Post| serde_json::from_str::<Value>(&post.body).unwrap()["feature"]["properties"]["state"].clone();
    let alerts = || other.at("/hang").into_iter().filter(|post| post.id == other.at("/hang")[0].id);
    other.until("the alert once more", |_| alerts().any(|post| state(&post) == "withdrawn")).await;
    assert_eq!(state(&fine[0]), "in_force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_of_what_config_says_that_it_wants_and_of_what_changes_it() {
    let (other, port) = Other::start().await;
    let folder = tempfile::tempdir().unwrap();
    let only =
        |name: &str, more: &str| hooks(folder.path(), port, &[name]).trim_end().to_owned() + "\n" + more + "\n\n";
    let more = [
        only("all", ""),
        only("qingpu", "regions = [\"310118\"]"),
        only("rain", "hazards = [\"rainstorm\"]"),
        only("grave", "lowest = \"yellow\""),
        only("both", "regions = [\"310000\"]\nhazards = [\"typhoon\", \"fog\"]\nlowest = \"yellow\""),
        only("elsewhere", "regions = [\"330000\"]"),
    ];
    write_config(folder.path(), &more.concat());
    let server = Server::start_in(folder);
    let blue = ("蓝色", "blue", "Minor");
    let typhoon = Cma::new("typhoon");
    let rain = Cma { event: ("暴雨", "Rainstorm"), colour: blue, code: "310120000000".into(), ..Cma::new("rain") };
    // It grows less grave: whoever was told that it is grave must hear that.
    let less = Cma { msg_type: "Update", colour: blue, ..Cma::new("less") }.refers_to(&typhoon);
    let end = Cma { msg_type: "Cancel", colour: blue, ..Cma::new("end") }.refers_to(&less);
    let mut names = std::collections::BTreeMap::new();
    for alert in [&typhoon, &rain, &less, &end] {
        let (status, answer) = server.post(alert.xml()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        names.insert(answer["id"].as_str().unwrap().to_owned(), alert.identifier.clone());
        // Posts may overtake each other; here each has come before the next.
        let so_far = names.len();
        other.until("all of it", |other| other.at("/all").len() == so_far).await;
    }
    let told = |other: &Other, path: &str| -> Vec<String> {
        let name =
            |post: &Post| names[serde_json::from_str::<Value>(&post.body).unwrap()["alert"].as_str().unwrap()].clone();
        other.at(path).iter().map(name).collect()
    };
    for (path, wanted) in [
        ("/all", vec!["typhoon", "rain", "less", "end"]),
        ("/qingpu", vec!["typhoon", "less", "end"]),
        ("/rain", vec!["rain"]),
        ("/grave", vec!["typhoon", "less", "end"]),
        ("/both", vec!["typhoon", "less", "end"]),
        ("/elsewhere", vec![]),
    ] {
        other.until(path, |other| told(other, path).len() >= wanted.len()).await;
        assert_eq!(told(&other, path), wanted, "{path}");
    }
    // A receiver that config misspells is refused by its name.
    let folder = tempfile::tempdir().unwrap();
    let wrong = hooks(folder.path(), port, &["x"]).trim_end().to_owned() + "\nhazards = [\"tyfoon\"]\n";
    let (well, _, error) = super::support::tocsin(&write_config(folder.path(), &wrong), &["config", "check"]);
    assert!(!well && error.contains("tyfoon"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_forgets_no_receiver() {
    let (other, port) = Other::start().await;
    other.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &hooks(folder.path(), port, &["broken"]));
    let mut server = Server::start_in(folder);
    let mut sent = Vec::new();
    for round in 0..4 {
        for n in 0..5 {
            let (_, answer) = server.post(Cma::new(&format!("{round}-{n}")).xml()).await;
            sent.push(answer["id"].as_str().unwrap().to_owned());
        }
        // In the middle of whatever it does: the answer above is all that was promised.
        server.kill();
        if round == 3 {
            other.broken.store(false, std::sync::atomic::Ordering::SeqCst);
        }
        server.run();
    }
    let taken = |other: &Other| {
        let posts = other.at("/broken").into_iter().filter(|post| post.answered == 200);
        posts
            .map(|post| {
                (post.id, serde_json::from_str::<Value>(&post.body).unwrap()["alert"].as_str().unwrap().to_owned())
            })
            .collect::<Vec<_>>()
    };
    other
        .until("all twenty", |other| {
            let told: std::collections::BTreeSet<_> = taken(other).into_iter().map(|(_, alert)| alert).collect();
            sent.iter().all(|id| told.contains(id))
        })
        .await;
    // What came twice came under the same id.
    let told = taken(&other);
    let ids: std::collections::BTreeSet<_> = told.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), sent.len());
}

/// The machine's clock, and so many hours more.
struct Ahead(std::sync::atomic::AtomicI64);

impl tocsin::clock::Clock for Ahead {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now() + chrono::TimeDelta::hours(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

/// Waits until an outlet's newest errand is as wanted.
async fn until_errand(
    app: &tocsin::app::App,
    outlet: &str,
    wanted: impl Fn(&tocsin::store::Errand) -> bool,
) -> tocsin::store::Errand {
    for _ in 0..3_000 {
        if let Some(errand) = app.store.errands(outlet, 1).await.unwrap().pop().filter(&wanted) {
            return errand;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{outlet}: {:?}", app.store.errands(outlet, 5).await.unwrap());
}

async fn start(folder: &Path, more: &str) -> (tocsin::app::App, Arc<Ahead>, tocsin::config::BureauConfig) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = write_config(folder, more);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[server]\n", "[server]\npublic_url = \"https://warn.example\"\n")).unwrap();
    let config = tocsin::config::Config::load(&path).unwrap();
    let clock = Arc::new(Ahead(std::sync::atomic::AtomicI64::new(0)));
    let app = tocsin::app::App::start(&config, Arc::<Ahead>::clone(&clock)).await.unwrap();
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == "shanghai").unwrap().clone();
    (app, clock, bureau)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_officers_stop_waits_and_is_posted_once_when_they_let_it_go_on() {
    use tocsin::officers::{Grant, Grants, OfficerId};
    use tocsin::world::Live;
    let (other, port) = Other::start().await;
    other.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let folder = tempfile::tempdir().unwrap();
    let (app, _, bureau) = start(folder.path(), &hooks(folder.path(), port, &["broken"])).await;
    let raw = Cma::new("1").xml();
    let receipt = app.intake.accept(&bureau, raw.as_bytes(), tocsin::intake::Format::Xml).await.unwrap();
    until_errand(&app, "webhook/broken", |errand| errand.attempts > 0).await;
    let li = tocsin::store::OfficerRow {
        id: OfficerId(1),
        login: "li".parse().unwrap(),
        name: "li".into(),
        language: tocsin::messages::Language::Chinese,
        active: true,
        grants: Grants(["signer:*", "operator:*"].iter().filter_map(|text| Grant::parse(text)).collect()),
        created_at: chrono::Utc::now(),
    };
    app.desk.stop::<Live>(receipt.id.as_str(), "check", &li).await.unwrap();
    other.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    // A try that was in flight has ended once the errand is looked at without one.
    let mut last = app.store.errands("webhook/broken", 1).await.unwrap().remove(0);
    let mut looks = 0;
    while looks < 3 {
        let next = until_errand(&app, "webhook/broken", |errand| errand.changed > last.changed).await;
        looks = if next.attempts == last.attempts { looks + 1 } else { 0 };
        last = next;
    }
    assert_eq!(last.state, "waiting");
    let taken = || other.at("/broken").into_iter().filter(|post| post.answered == 200).count();
    assert_eq!(taken(), 0, "stopped is stopped");
    app.desk.resume::<Live>(receipt.id.as_str(), "right", &li).await.unwrap();
    until_errand(&app, "webhook/broken", |errand| errand.state == "done").await;
    assert_eq!(taken(), 1, "once");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_before_anybody_takes_it_is_given_up_and_in_the_log() {
    let (other, port) = Other::start().await;
    other.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let more = format!(
        "{}[publish.wis2]\ncentre_id = \"cn-shanghai-test\"\nvia = {{ host = \"127.0.0.1\", port = {closed} }}\n",
        hooks(folder.path(), port, &["broken"])
    );
    let (app, clock, bureau) = start(folder.path(), &more).await;
    let raw = Cma::new("1").xml();
    app.intake.accept(&bureau, raw.as_bytes(), tocsin::intake::Format::Xml).await.unwrap();
    for outlet in ["webhook/broken", "wis2"] {
        until_errand(&app, outlet, |errand| errand.attempts > 0).await;
    }
    clock.0.store(7, std::sync::atomic::Ordering::SeqCst);
    for outlet in ["webhook/broken", "wis2"] {
        let errand = until_errand(&app, outlet, |errand| errand.state != "waiting").await;
        assert_eq!(errand.state, "given_up");
        assert!(errand.detail.is_some_and(|said| !said.is_empty()), "what the other side said last stays in the log");
    }
    let posts = other.at("/broken").len();
    other.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    // What comes next goes out, and nothing of what was given up.
    let next = Cma { sent: Cma::new("x").sent + chrono::TimeDelta::hours(7), ..Cma::new("2") };
    app.intake.accept(&bureau, next.xml().as_bytes(), tocsin::intake::Format::Xml).await.unwrap();
    until_errand(&app, "webhook/broken", |errand| errand.state == "done").await;
    let later = other.at("/broken").split_off(posts);
    assert!(later.len() == 1 && later[0].body.contains("\"alert.alert\""), "{later:#?}");
    let counts = app.store.outlets().await.unwrap();
    let hook = counts.iter().find(|count| count.outlet == "webhook/broken").unwrap();
    assert_eq!((hook.given_up, hook.done, hook.waiting), (1, 1, 0));
    app.stop().await;
}

/// Late, because its row could not be read at first: whoever reads along is told of it too, though not in the order of releases.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_of_what_could_only_be_published_late() {
    use sqlx::Connection as _;
    let (other, port) = Other::start().await;
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &hooks(folder.path(), port, &["fine"]));
    let server = Server::start_in(folder);
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
    for statement in [
        "PRAGMA busy_timeout = 10000",
        "CREATE TABLE spare (id TEXT, decision TEXT)",
        "CREATE TRIGGER breaks AFTER INSERT ON alert WHEN NEW.identifier = 'late' BEGIN
             INSERT INTO spare VALUES (NEW.id, NEW.decision); UPDATE alert SET decision = '\"x\"' WHERE id = NEW.id; END",
    ] {
        sqlx::query(statement).execute(&mut store).await.unwrap();
    }
    let (_, late) = server.post(Cma::new("late").xml()).await;
    server.post(Cma { code: "310120000000".into(), ..Cma::new("next") }.xml()).await;
    other.until("the next", |other| other.at("/fine").len() == 1).await;
    for statement in
        ["DROP TRIGGER breaks", "UPDATE alert SET decision = (SELECT decision FROM spare) WHERE identifier = 'late'"]
    {
        sqlx::query(statement).execute(&mut store).await.unwrap();
    }
    other.until("the late one", |other| other.at("/fine").len() == 2).await;
    let body: Value = serde_json::from_str(&other.at("/fine")[1].body).unwrap();
    assert_eq!(body["alert"], late["id"]);
    server.post(Cma { code: "310115000000".into(), ..Cma::new("last") }.xml()).await;
    other.until("the last", |other| other.at("/fine").len() == 3).await;
}

/// One publication of an event cannot be read any more: what follows it is handed on all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_cannot_be_read_keeps_no_receiver_from_what_comes_after_it() {
    use sqlx::Connection as _;
    let (other, port) = Other::start().await;
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &hooks(folder.path(), port, &["fine"]));
    let server = Server::start_in(folder);
    let first = Cma::new("first");
    server.post(first.xml()).await;
    other.until("the first", |other| other.at("/fine").len() == 1).await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
    for statement in [
        "PRAGMA busy_timeout = 10000",
        "CREATE TRIGGER breaks AFTER INSERT ON publication BEGIN
             UPDATE publication SET body = '\"x\"' WHERE release < NEW.release; END",
    ] {
        sqlx::query(statement).execute(&mut store).await.unwrap();
    }
    let update = Cma { msg_type: "Update", ..Cma::new("second") }.refers_to(&first);
    let (_, second) = server.post(update.xml()).await;
    other.until("the second", |other| other.at("/fine").len() == 2).await;
    let body: Value = serde_json::from_str(&other.at("/fine")[1].body).unwrap();
    assert_eq!(body["alert"], second["id"]);
    assert!(server.log().contains("cannot be read, and is left out"));
}

#[test]
fn a_receiver_in_a_private_network_is_refused_unless_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (url, why) in [
        ("http://127.0.0.1:9/x", "https"),
        ("https://10.0.0.8/x", "private network"),
        ("https://169.254.169.254/latest", "private network"),
        ("ftp://example.org/", "https"),
        ("no address", "url"),
    ] {
        let more = hooks(folder.path(), 1, &["x"]).replace("http://127.0.0.1:1/x", url);
        let config = write_config(folder.path(), &more);
        let (well, _, error) = super::support::tocsin(&config, &["serve"]);
        assert!(!well && error.contains("webhook `x`") && error.contains(why), "{url}: {error}");
    }
    let config = write_config(folder.path(), &hooks(folder.path(), 1, &["x"]));
    std::fs::write(folder.path().join("hook-secret"), "short").unwrap();
    let (well, _, error) = super::support::tocsin(&config, &["serve"]);
    assert!(!well && error.contains("shorter than 16 bytes"), "{error}");
}

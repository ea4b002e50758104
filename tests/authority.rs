//! Who may say what where: levels, regions that are cut, clocks, certificates, rates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;
use support::{Cma, RED, Server, TOKEN, write_config};
use tocsin::app::App;
use tocsin::clock::SystemClock;
use tocsin::config::{BureauConfig, Config};
use tocsin::intake::{Format, RefusalCode};
use tocsin::store::AlertState;
use tocsin::world::Live;

/// The program without its HTTP server, and the bureau of this TOML.
async fn app(folder: &Path, bureau: &str) -> (App, BureauConfig) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::load(&write_config(folder, &format!("[[bureau]]\n{bureau}"))).unwrap();
    let bureau = config.bureaus.last().unwrap().clone();
    (App::start(&config, Arc::new(SystemClock)).await.unwrap(), bureau)
}

const CERTIFIED: &str = "certificate_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"";

fn two_provinces(identifier: &str) -> Cma {
    Cma {
        code: "310118000000</value></geocode><geocode><valueName>GB/T 2260</valueName><value>330421".into(),
        ..Cma::new(identifier)
    }
}

fn codes(findings: &[tocsin::cap::Finding]) -> Vec<u16> {
    findings.iter().map(|finding| finding.code.number()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_the_gravest_that_title_or_severity_names() {
    let folder = tempfile::tempdir().unwrap();
    let (app, bureau) =
        app(folder.path(), &format!("name = \"low\"\nregions = [\"310000\"]\nlevels = \"orange\"\n{CERTIFIED}")).await;
    let send = async |alert: &str| app.intake.accept(&bureau, alert.as_bytes(), Format::Xml).await;
    let refused = async |alert: &str| send(alert).await.unwrap_err();
    assert_eq!(refused(&Cma { colour: RED, ..Cma::new("red") }.xml()).await.code, RefusalCode::LevelNotYours);
    let hidden = Cma::new("hidden").xml().replace("Moderate", "Extreme");
    assert_eq!(refused(&hidden).await.code, RefusalCode::LevelNotYours, "a yellow title over an extreme severity");
    let silent = Cma::new("silent").xml().replace("Moderate", "Unknown").replace("黄色", "").replace("yellow", "");
    assert_eq!(refused(&silent).await.code, RefusalCode::LevelNotYours, "a level that nobody names");
    let yellow = Cma::new("yellow");
    assert!(send(&yellow.xml()).await.is_ok());
    let cancel = Cma { msg_type: "Cancel", colour: RED, ..Cma::new("end") }.refers_to(&yellow);
    assert!(send(&cancel.xml()).await.is_ok(), "the end has no level");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_regions_an_alert_is_refused_or_cut_and_the_neighbour_asked() {
    let folder = tempfile::tempdir().unwrap();
    let entry = format!("name = \"sh\"\nregions = [\"310000\"]\noutside = \"cut\"\n{CERTIFIED}");
    let (app, bureau) = app(folder.path(), &entry).await;
    let strict = BureauConfig { outside: tocsin::intake::Outside::Refuse, ..bureau.clone() };
    let alert = two_provinces("both");
    let refusal = app.intake.accept(&strict, alert.xml().as_bytes(), Format::Xml).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RegionNotYours);
    let receipt = app.intake.accept(&bureau, alert.xml().as_bytes(), Format::Xml).await.unwrap();
    assert_eq!(receipt.state, AlertState::Partly, "Shanghai's part is out, Zhejiang's waits");
    assert!(codes(&receipt.findings).contains(&4121), "{:?}", receipt.findings);
    let asked = app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap();
    let [one] = asked.as_slice() else { panic!("{} escalations", asked.len()) };
    assert_eq!(one.escalation.jurisdiction.as_str(), "330000");
    assert_eq!(one.escalation.regions.iter().map(|region| region.as_str()).collect::<Vec<_>>(), ["330421"]);
    assert_eq!(one.escalation.within, one.escalation.regions, "officers of Zhejiang decide on this county alone");
    assert!(one.escalation.approval.name.contains("asked by sh"), "{}", one.escalation.approval.name);
    assert_eq!(one.escalation.approval.officers(), 1);
    // Nothing of it is the bureau's.
    let foreign = Cma { code: "330421000000".into(), ..Cma::new("foreign") };
    let refusal = app.intake.accept(&bureau, foreign.xml().as_bytes(), Format::Xml).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RegionNotYours);
    // The end goes to whom it was told; nobody is asked, and what still waits is withdrawn.
    let cancel = Cma { msg_type: "Cancel", ..two_provinces("end") }.refers_to(&alert);
    let receipt = app.intake.accept(&bureau, cancel.xml().as_bytes(), Format::Xml).await.unwrap();
    assert_eq!(receipt.state, AlertState::Released);
    assert!(app.store.open_escalations::<Live>().await.unwrap().is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_province_a_countys_bureau_asks_for_the_county_next_door() {
    let folder = tempfile::tempdir().unwrap();
    let entry = format!("name = \"qingpu\"\nregions = [\"310118\"]\noutside = \"cut\"\n{CERTIFIED}");
    let (app, bureau) = app(folder.path(), &entry).await;
    let both = Cma {
        code: "310118000000</value></geocode><geocode><valueName>GB/T 2260</valueName><value>310117".into(),
        ..Cma::new("x")
    };
    let receipt = app.intake.accept(&bureau, both.xml().as_bytes(), Format::Xml).await.unwrap();
    assert_eq!(receipt.state, AlertState::Partly, "its own county is not kept waiting");
    let asked = app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap();
    let regions: Vec<_> =
        asked.iter().map(|row| row.escalation.regions.iter().map(|r| r.as_str()).collect::<Vec<_>>()).collect();
    assert_eq!(regions, [["310117"]]);
    app.stop().await;
}

/// A surge in Hangzhou Bay, whose coast belongs to Shanghai and Zhejiang, named by the sea's code.
fn surge(identifier: &str) -> String {
    let alert = Cma { event: ("风暴潮", "Storm surge"), code: "HZB".into(), ..Cma::new(identifier) };
    alert.xml().replace("CPEAS Geographic Code", "TOCSIN Sea Area")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_for_a_sea_warns_its_coast_and_who_does_not_asks_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let entry = format!("name = \"sea\"\nregions = [\"HZB\"]\nhazards = [\"storm-surge\"]\n{CERTIFIED}");
    let (app, owner) = app(folder.path(), &entry).await;
    let map = tocsin::regions::RegionMap::delta().unwrap();
    let coast: Vec<_> = map.coast_of(&"HZB".parse().unwrap()).map(|county| county.code.to_string()).collect();
    let (shanghai, zhejiang): (Vec<_>, Vec<_>) = coast.iter().cloned().partition(|code| code.starts_with("31"));
    assert!(
        shanghai.len() > 1 && zhejiang.len() > 1 && zhejiang.iter().all(|code| code.starts_with("33")),
        "{coast:?}"
    );
    let warned = async |id: &str| {
        let row = app.store.alert(id).await.unwrap().unwrap();
        let regions = row.decision["regions"].as_array().unwrap().clone();
        regions.iter().map(|code| code.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let receipt = app.intake.accept(&owner, surge("own").as_bytes(), Format::Xml).await.unwrap();
    assert_eq!((receipt.state, warned(receipt.id.as_str()).await), (AlertState::Released, coast.clone()));
    assert!(app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap().is_empty(), "nobody is asked");
    // The sea is not the land behind it: by its own code a coastal county is another's.
    let by_code = surge("land").replace("TOCSIN Sea Area", "GB/T 2260").replace("HZB", &shanghai[0]);
    let refusal = app.intake.accept(&owner, by_code.as_bytes(), Format::Xml).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RegionNotYours);

    // Who speaks for a part of the coast alone does not speak for the sea.
    let land = BureauConfig { name: "land".into(), regions: vec!["310000".parse().unwrap()], ..owner.clone() };
    let refusal = app.intake.accept(&land, surge("refused").as_bytes(), Format::Xml).await.unwrap_err();
    assert_eq!(refusal.code.as_str(), "T4004");
    let neighbourly = BureauConfig { outside: tocsin::intake::Outside::Cut, ..land };
    let receipt = app.intake.accept(&neighbourly, surge("cut").as_bytes(), Format::Xml).await.unwrap();
    assert_eq!(receipt.state, AlertState::Partly, "one's own coast is warned at once");
    assert!(codes(&receipt.findings).contains(&4121), "{:?}", receipt.findings);
    let asked = app.store.escalations_of::<Live>(receipt.id.as_str()).await.unwrap();
    let [one] = asked.as_slice() else { panic!("{} escalations", asked.len()) };
    let regions: Vec<_> = one.escalation.regions.iter().map(ToString::to_string).collect();
    assert_eq!((one.escalation.jurisdiction.as_str(), regions), ("330000", zhejiang));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_long_ago_waits_for_an_officer_and_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    let entry = format!("name = \"sh\"\nregions = [\"310000\"]\nmax_age = \"2h\"\n{CERTIFIED}");
    let (app, bureau) = app(folder.path(), &entry).await;
    let send = async |alert: &Cma| app.intake.accept(&bureau, alert.xml().as_bytes(), Format::Xml).await;
    let now = Cma::new("now");
    let old = Cma { sent: now.sent - TimeDelta::hours(3), expires: TimeDelta::hours(9), ..Cma::new("old") };
    let receipt = send(&old).await.unwrap();
    assert_eq!((receipt.state, codes(&receipt.findings).contains(&4122)), (AlertState::Waiting, true));
    assert!(send(&old).await.unwrap().repeat, "the same again is the same");
    let over = Cma { sent: now.sent - TimeDelta::hours(9), expires: TimeDelta::hours(6), ..Cma::new("over") };
    assert_eq!(send(&over).await.unwrap().state, AlertState::Withheld, "what has ended goes to nobody");
    assert_eq!(send(&now).await.unwrap().state, AlertState::Released);
    let early = Cma { sent: now.sent + TimeDelta::minutes(20), ..Cma::new("early") };
    assert_eq!(send(&early).await.unwrap_err().code, RefusalCode::FromTheFuture);
    let soon = Cma { sent: now.sent + TimeDelta::minutes(10), ..Cma::new("soon") };
    assert!(send(&soon).await.is_ok(), "a clock may be a little ahead");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_has_its_rate_its_size_and_its_profile() {
    let token = "small-token";
    let hash = sha256(token);
    let server = Server::start(&format!(
        "[[bureau]]\nname = \"small\"\ntoken_sha256 = \"{hash}\"\nregions = [\"310000\"]\n\
         max_bytes = 5000\nprofile = [\"google\"]\n\
         [[bureau]]\nname = \"slow\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\nrate = {{ per_minute = 1 }}\n",
        sha256("slow-token")
    ));
    let send = async |body: String| server.post_as(token, "application/cap+xml", body).await;
    let (status, answer) = send(Cma::new("plain").xml()).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("T4022")), "{answer}");
    let web = answer["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "T2101").unwrap();
    assert_eq!(
        (web["severity"].as_str(), web["source"].as_str()),
        (Some("error"), Some("Google Public Alerts CAP 1.0"))
    );
    let whole = |identifier: &str| {
        let web = "</description><instruction>留在室内</instruction><web>https://warn.example.org</web>";
        Cma::new(identifier).xml().replace("</description>", web)
    };
    assert_eq!(send(whole("whole")).await.0, 201);
    let (status, answer) = send(format!("{}<!--{}-->", whole("large"), "x".repeat(5_000))).await;
    assert_eq!((status, answer["code"].as_str()), (413, Some("T5004")), "{answer}");
    let alerts: Vec<_> = (0..8).map(|n| Cma::new(&format!("slow-{n}")).xml()).collect();
    let sent = alerts.into_iter().map(|alert| server.post_as("slow-token", "application/cap+xml", alert));
    let told = futures_util::future::join_all(sent).await;
    let held: Vec<_> = told.iter().filter(|(status, _)| *status == 429).collect();
    assert!(!held.is_empty() && held.len() < 8, "{told:?}");
    assert!(held.iter().all(|(_, answer)| answer["code"] == "T5011"), "{held:?}");
    assert_eq!(server.post(Cma::new("another").xml()).await.0, 201, "other bureaus are not held up");
    // The same by hand, before sending.
    let file = server.folder.path().join("alert.xml");
    std::fs::write(&file, Cma::new("plain").xml()).unwrap();
    let file = file.to_str().unwrap();
    let (well, out, error) = server.tocsin(&["check", "--source", "small", file]);
    assert!(!well && out.contains("T4022") && out.contains("T2101"), "{out}{error}");
    let (well, out, _) = server.tocsin(&["check", "--json", "--profile", "china,google", file]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert!(well && told["verdict"] == "refused" && told["findings"].to_string().contains("T2204"), "{told}");
    std::fs::write(file, two_provinces("two").xml()).unwrap();
    let (_, out, _) = server.tocsin(&["check", "--json", "--source", "shanghai", file]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["refusals"][0]["code"], "T4004", "{told}");
    let (well, _, error) = server.tocsin(&["check", "--source", "nobody", file]);
    assert!(!well && error.contains("names no bureau `nobody`") && error.contains("shanghai"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_takes_shapes_over_codes_reads_no_code_beside_a_shape() {
    let folder = tempfile::tempdir().unwrap();
    let entry = format!("name = \"sh\"\nregions = [\"310000\"]\nprofile = [\"cap-au\"]\n{CERTIFIED}");
    let (app, bureau) = app(folder.path(), &entry).await;
    // A circle in Qingpu, and the code of a county in Zhejiang beside it.
    let code = "<scope>Public</scope><code>urn:oasis:names:tc:emergency:cap:1.2:profile:CAP-AU:1.0</code>";
    let alert = Cma { code: "330421000000".into(), ..Cma::new("shape") };
    let text = alert
        .xml()
        .replace("<geocode>", "<circle>31.15,121.1 1</circle><geocode>")
        .replace("<scope>Public</scope>", code);
    let receipt = app.intake.accept(&bureau, text.as_bytes(), Format::Xml).await.unwrap();
    assert_eq!(receipt.state, AlertState::Released, "{:?}", receipt.findings);
    let plain = BureauConfig { profile: Vec::new(), ..bureau };
    let refusal = app.intake.accept(&plain, text.replace("shape", "union").as_bytes(), Format::Xml).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::RegionNotYours, "elsewhere codes and shapes add up");
    app.stop().await;
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes.as_ref());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn openssl(folder: &Path, line: &str) {
    let out = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A certificate of the CA in this folder.
fn issue(folder: &Path, ca: &str, name: &str) {
    openssl(
        folder,
        &format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 30 -copy_extensions copy -out {name}.pem"
        ),
    );
}

fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name}"
        ),
    );
}

/// What curl gets: the status, and the answer.
fn curl(folder: &Path, url: &str, more: &[&str]) -> (String, Value) {
    let out = Command::new("curl")
        .args([
            "-s",
            "--noproxy",
            "*",
            "--cacert",
            "ca.pem",
            "-w",
            "\n%{http_code}",
            "-X",
            "POST",
            "--data-binary",
            "@alert.xml",
        ])
        .args(["-H", "content-type: application/cap+xml"])
        .args(more)
        .arg(format!("{url}/api/v1/alerts"))
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or((&text, ""));
    (status.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_opens_the_door_as_a_token_does_and_a_strangers_does_not() {
    let keys = tempfile::tempdir().unwrap();
    let at = keys.path();
    authority(at, "ca");
    authority(at, "stranger");
    for name in ["server", "bureau", "unknown"] {
        issue(at, "ca", name);
    }
    issue(at, "stranger", "forged");
    openssl(at, "x509 -in bureau.pem -outform DER -out bureau.der");
    let digest = sha256(std::fs::read(at.join("bureau.der")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| at.join(name).display().to_string();
    let config = write_config(
        folder.path(),
        &format!("[[bureau]]\nname = \"certified\"\ncertificate_sha256 = \"{digest}\"\nregions = [\"310000\"]\n"),
    );
    let tls = format!(
        "[server]\ntls = {{ certificate = \"{}\", key = \"{}\", client_ca = \"{}\" }}\n",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let text = std::fs::read_to_string(&config).unwrap().replacen("[server]\n", &tls, 1);
    std::fs::write(&config, text).unwrap();
    let server = Server::start_in(folder);
    let url = server.url.replace("http:", "https:");
    std::fs::write(at.join("alert.xml"), Cma::new("a").xml()).unwrap();
    let bearer = format!("authorization: Bearer {TOKEN}");
    let (status, answer) = curl(at, &url, &["--cert", "bureau.pem", "--key", "bureau.key"]);
    assert_eq!((status.as_str(), answer["state"].as_str()), ("201", Some("released")), "{answer}");
    assert_eq!(curl(at, &url, &[]).0, "401", "neither");
    assert_eq!(
        curl(at, &url, &["--cert", "unknown.pem", "--key", "unknown.key"]).0,
        "401",
        "vouched for, but nobody's"
    );
    assert_eq!(curl(at, &url, &["--cert", "forged.pem", "--key", "forged.key"]).0, "000", "no handshake");
    std::fs::write(at.join("alert.xml"), Cma::new("b").xml()).unwrap();
    assert_eq!(curl(at, &url, &["-H", &bearer]).0, "201", "tokens go on working");
    let with_both = ["--cert", "unknown.pem", "--key", "unknown.key", "-H", &bearer];
    assert_eq!(curl(at, &url, &with_both).0, "200", "and so they do beside a certificate");
    let plain = curl(at, &server.url, &["-H", &bearer]).0;
    assert_eq!(plain, "000", "plain HTTP is not answered at a TLS door");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_answered_thirty_times_a_minute_and_a_right_token_always() {
    let server = Server::start("");
    let tokens: Vec<_> = (0..80).map(|n| format!("guess-{n}")).collect();
    let sent = tokens.iter().map(|token| server.post_as(token, "application/cap+xml", ""));
    let told: Vec<_> = futures_util::future::join_all(sent).await.into_iter().map(|(status, _)| status).collect();
    assert!(told.iter().filter(|status| **status == 401).count() >= 30, "{told:?}");
    assert!(told.contains(&429), "{told:?}");
    assert_eq!(server.post(Cma::new("right").xml()).await.0, 201, "a stranger's guesses shut nobody out");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_over_a_request_is_shown_the_door_and_seats_are_limited() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let text = std::fs::read_to_string(&config).unwrap().replacen("[server]\n", "[server]\nconnections = 1\n", 1);
    std::fs::write(&config, text).unwrap();
    let server = Server::start_in(folder);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    // The only seat is taken: the next one waits until the slow one is sent away.
    let begun = std::time::Instant::now();
    assert_eq!(server.get("/healthz").await.status(), 200);
    assert!(begun.elapsed() > std::time::Duration::from_secs(5), "it waited: {:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "the slow one was not answered");
}

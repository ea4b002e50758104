//! What a source can be refused for, each by its own number: brokers, folders, bureaus, the store, integrity; and the same bad
//! alerts by every door.

use std::path::Path;

use serde_json::json;
use sqlx::Connection as _;
use tocsin_sinks::real::{Mosquitto, Program, free_port, wait_for};

use crate::content::{cases, named};
use crate::mqtt::{publish, source as topic};
use crate::site::{DAY, Site, atom, inline, source};
use crate::support::{self, Cma, Server, TOKEN};
use crate::{alerts, code, findings, store, until, until_source};

fn folder(name: &str, path: &Path) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"folder\"\nbureau = \"shanghai\"\npath = \"{}\"\nevery_seconds = 1\n",
        path.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_or_does_not_know_us_is_named_and_a_password_lets_us_in() {
    let keys = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(keys.path(), Some("right")).unwrap();
    let nobody = free_port().unwrap();
    let secret = |name: &str| {
        let path = keys.path().join(name);
        std::fs::write(&path, format!("{name}\n")).unwrap();
        format!("username = \"tocsin\"\npassword_file = \"{}\"", path.display())
    };
    let of = |name: &str, port: u16, more: &str| {
        topic(&broker, more)
            .replace("\"bus\"", &format!("\"{name}\""))
            .replace(&broker.port.to_string(), &port.to_string())
    };
    let config = [
        of("right", broker.port, &secret("right")),
        of("wrong", broker.port, &secret("wrong")),
        of("nameless", broker.port, ""),
        of("nobody", nobody, ""),
        of("no-file", broker.port, "username = \"tocsin\"\npassword_file = \"/nowhere\""),
    ];
    let server = Server::start(&config.concat());
    let store = store(&server).await;
    for (name, wanted) in [("wrong", "T8013"), ("nameless", "T8013"), ("nobody", "T8013"), ("no-file", "T8021")] {
        let row = until_source(&server, &store, name, |row| row.failing_since.is_some()).await;
        assert_eq!(code(&row), wanted, "{name}: {:?}", row.problem);
    }
    until_source(&server, &store, "right", |row| row.good_at.is_some() && row.failures == 0).await;
    assert!(!server.log().contains("password"), "nor is it said in the log");
}

/// A certificate `s.pem` for this machine, of a CA of our own, `ca.pem`.
fn certify(folder: &Path) {
    let openssl = |line: &str| {
        let out = std::process::Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(out.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&out.stderr));
    };
    let key = "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 -newkey {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=ca"));
    openssl(&format!(
        "req -new -newkey {key} -keyout s.key -out s.csr -subj /CN=s -addext subjectAltName=IP:127.0.0.1"
    ));
    openssl("x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -copy_extensions copy -out s.pem");
}

/// Mosquitto behind TLS.
fn behind_tls(folder: &Path, port: u16) -> Program {
    certify(folder);
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "listener {port} 127.0.0.1\npersistence false\nallow_anonymous true\nuser root\ncertfile {}\nkeyfile {}\n",
        at("s.pem"),
        at("s.key")
    );
    std::fs::write(folder.join("tls.conf"), config).unwrap();
    let program = Program::start("mosquitto", &["-c", &at("tls.conf")], &folder.join("tls.log")).unwrap();
    wait_for(([127, 0, 0, 1], port).into()).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_behind_tls_is_believed_with_its_authority_and_not_without() {
    let keys = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let _broker = behind_tls(keys.path(), port);
    let of = |name: &str, more: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\nkind = \"mqtt\"\nbureau = \"shanghai\"\nhost = \"127.0.0.1\"\nport = {port}\ntopic = \"warn/#\"\n{more}\n"
        )
    };
    let trusted = format!("tls = true\nca_file = \"{}\"", keys.path().join("ca.pem").display());
    let config = [of("trusted", &trusted), of("strange", "tls = true"), of("plain", "")];
    let server = Server::start(&config.concat());
    let store = store(&server).await;
    until_source(&server, &store, "trusted", |row| row.good_at.is_some() && row.failures == 0).await;
    for name in ["strange", "plain"] {
        let row = until_source(&server, &store, name, |row| row.failures > 0).await;
        assert_eq!((code(&row), row.good_at), ("T8013", None), "{name}: {:?}", row.problem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_message_is_believed_with_the_sources_authority_and_not_without() {
    let keys = tempfile::tempdir().unwrap();
    certify(keys.path());
    let at = |name: &str| keys.path().join(name).display().to_string();
    std::fs::write(at("linked.xml"), Cma::new("linked").xml()).unwrap();
    let (broker, port) = (Mosquitto::start(keys.path(), None).unwrap(), free_port().unwrap());
    let (folder, accept) = (at(""), format!("127.0.0.1:{port}"));
    let (certificate, key) = (at("s.pem"), at("s.key"));
    let serve =
        format!("cd {folder} && exec openssl s_server -accept {accept} -cert {certificate} -key {key} -WWW -quiet");
    let _web = Program::start("sh", &["-c", &serve], &keys.path().join("web.log")).unwrap();
    wait_for(([127, 0, 0, 1], port).into()).unwrap();
    let of = |name: &str, more: &str| topic(&broker, more).replace("\"bus\"", &format!("\"{name}\""));
    let private = format!("private = [\"{accept}\"]");
    let trusted = format!("{private}\nca_file = \"{}\"", at("ca.pem"));
    let server = Server::start(&[of("trusted", &trusted), of("strange", &private)].concat());
    let store = store(&server).await;
    for name in ["trusted", "strange"] {
        until_source(&server, &store, name, |row| row.good_at.is_some()).await;
    }
    let link = json!({"rel": "canonical", "href": format!("https://{accept}/linked.xml")});
    publish(&broker, json!({"type": "Feature", "properties": {}, "links": [link]}).to_string().as_bytes()).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "linked");
    until_source(&server, &store, "trusted", |row| row.taken == 1).await;
    // Who does not know the authority tries again, for it may be mended.
    until("tried again", &server, async || {
        let log = server.log();
        let again = log.lines().find(|line| line.contains("tried again") && line.contains("\"source\":\"strange\""));
        again.map(|line| assert!(line.contains("T8001"), "{line}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_over_the_maximum_stops_nothing_and_a_check_that_nobody_knows_is_named() {
    let keys = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(keys.path(), None).unwrap();
    let server = Server::start(&topic(&broker, ""));
    let store = store(&server).await;
    until_source(&server, &store, "bus", |row| row.good_at.is_some()).await;
    // The broker is told what we take; larger packets it keeps to itself.
    let padded = |name: &str, mib: usize| {
        Cma::new(name).xml().replacen("<description>", &format!("<description>{}", "x".repeat(mib << 20)), 1)
    };
    let huge = padded("huge", 9);
    publish(&broker, huge.as_bytes()).await;
    // What we take as a packet, and not as an alert, is refused by name.
    let large = padded("large", 5);
    publish(&broker, large.as_bytes()).await;
    let row = until_source(&server, &store, "bus", |row| row.refused == 1).await;
    assert!(row.findings.to_string().contains("T1002"), "{}", row.findings);
    let xml = Cma::new("crc").xml();
    let integrity = json!({"method": "crc32", "value": "1"});
    let notice =
        json!({"type": "Feature", "properties": {"content": {"value": xml}, "integrity": integrity}, "links": []});
    publish(&broker, notice.to_string().as_bytes()).await;
    let row = until_source(&server, &store, "bus", |row| row.refused == 2).await;
    assert_eq!(findings(&row), ["T8011"]);
    publish(&broker, Cma::new("after").xml().as_bytes()).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_is_named_and_used_once_it_can_be() {
    let drop = tempfile::tempdir().unwrap();
    let path = drop.path().join("in");
    std::fs::write(&path, "a file in its place").unwrap();
    // Nobody can make anything there, not even root.
    let server = Server::start(&[folder("file", &path), folder("forbidden", Path::new("/proc/tocsin"))].concat());
    let store = store(&server).await;
    for name in ["file", "forbidden"] {
        let row = until_source(&server, &store, name, |row| row.failures > 0).await;
        assert_eq!(code(&row), "T8014", "{:?}", row.problem);
    }
    std::fs::remove_file(&path).unwrap();
    until_source(&server, &store, "file", |row| row.failures == 0 && row.good_at.is_some()).await;
    std::fs::write(path.join("a.xml"), Cma::new("a").xml()).unwrap();
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_that_is_not_agreed_to_yet_takes_nothing_and_loses_nothing() {
    let site = Site::start().await;
    let mut server = Server::start("");
    let crew = support::crew::Crew::of(&server).await;
    // With a second administrator, what is wider needs a yes.
    crew.officer("second", &["administrator:*"]).await;
    assert_eq!(server.get("/healthz").await.status(), 200);
    assert!(server.stop());
    // A further bureau waits for an administrator; its source is there already.
    site.show("/new", atom(&[("a", DAY, inline(&Cma { code: "320506000000".into(), ..Cma::new("a") }.xml()))]));
    let config = std::fs::read_to_string(server.config()).unwrap();
    let bureau = format!(
        "[[bureau]]\nname = \"suzhou\"\ntoken_sha256 = \"{}\"\nregions = [\"320500\"]\n",
        support::sha256("suzhou-token")
    );
    let source = source(&site, "new", "").replace("\"shanghai\"", "\"suzhou\"");
    std::fs::write(server.config(), format!("{config}\n{bureau}\n{source}")).unwrap();
    server.run();
    let looking = store(&server).await;
    let row = until_source(&server, &looking, "new", |row| !findings(row).is_empty()).await;
    assert_eq!((findings(&row), row.taken, row.refused), (vec!["T8017"], 0, 0));
    // Agreed to, it is heard; nothing was lost meanwhile.
    crew.staff.decide(crew.next_proposal(), true, &crew.root.row).await.unwrap();
    looking.close().await;
    assert!(server.stop());
    server.run();
    assert_eq!(alerts(&server, 1).await[0]["bureau"], "suzhou");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_does_not_answer_what_comes_waits() {
    let drop = tempfile::tempdir().unwrap();
    let server = Server::start(&folder("drop", drop.path()));
    let looking = store(&server).await;
    until_source(&server, &looking, "drop", |row| row.good_at.is_some()).await;
    // Somebody else holds the writer.
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let mut holder = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    std::fs::write(drop.path().join("a.xml"), Cma::new("a").xml()).unwrap();
    until("it is said", &server, async || server.log().contains("T8018").then_some(())).await;
    assert!(drop.path().join("working/a.xml").exists(), "the file is neither accepted nor refused");
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "a");
    until("put away", &server, async || drop.path().join("accepted/a.xml").exists().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_end_cannot_name_stays_open_and_somebody_is_told() {
    let site = Site::start().await;
    // No reference can name an identifier that holds a comma: CAP parts them by commas.
    let strange = Cma { code: "310117000000".into(), ..Cma::new("strange") }.xml();
    let strange = strange.replace("<identifier>strange", "<identifier>very,strange");
    let plain = |name: &str, code: &str| Cma { code: format!("{code}000000"), ..Cma::new(name) }.xml();
    let (b, c) = (plain("b", "310112"), plain("c", "310118"));
    let all = [("a", DAY, inline(&strange)), ("b", DAY, inline(&b)), ("c", DAY, inline(&c))];
    site.show("/list", atom(&all));
    let server = Server::start(&source(&site, "list", "ends_by_absence = true"));
    alerts(&server, 3).await;
    site.show("/list", atom(&all[1..]));
    let store = store(&server).await;
    until_source(&server, &store, "list", |row| findings(row).contains(&"T8022")).await;
    let listed = alerts(&server, 3).await;
    let open = listed.iter().find(|alert| alert["identifier"] == "very,strange").unwrap();
    assert!(open["superseded_by"].is_null(), "{open}");
}

/// Every alert of the table, by a door of its own kind: taken with its finding, or refused by its number.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_alert_has_the_same_answer_by_http_folder_and_topic() {
    let keys = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(keys.path(), None).unwrap();
    let drop = tempfile::tempdir().unwrap();
    let servers = [Server::start(""), Server::start(&folder("drop", drop.path())), Server::start(&topic(&broker, ""))];
    let [http, dropped, subscribed] = &servers;
    let looking = store(subscribed).await;
    until_source(subscribed, &looking, "bus", |row| row.good_at.is_some()).await;
    let cases = cases();
    for case in &cases {
        let body = named(case);
        std::fs::write(drop.path().join(format!("{}.xml", case.0)), &body).unwrap();
        // An empty message is no message: a retained one was cleared.
        if !body.is_empty() {
            publish(&broker, &body).await;
        }
        let (name, _, is_taken, wanted) = case;
        let (status, answer) = http.post_as(TOKEN, "application/cap+xml", body).await;
        assert_eq!(status == 201, *is_taken, "{name}: {answer}");
        assert!(answer.to_string().contains(wanted), "{name}: {answer}");
    }
    let taken = cases.iter().filter(|case| case.2).count();
    let row = until_source(subscribed, &looking, "bus", |row| row.entries + 1 == cases.len() as u64).await;
    assert_eq!((row.taken, row.refused + 1), (taken as u64, (cases.len() - taken) as u64));
    for (name, _, is_taken, wanted) in &cases {
        let place = if *is_taken { "accepted" } else { "refused" };
        let path = drop.path().join(place).join(format!("{name}.xml"));
        until(name, dropped, async || path.exists().then_some(())).await;
        if !*is_taken {
            let reason = std::fs::read_to_string(path.with_extension("xml.reason.txt")).unwrap();
            assert!(reason.contains(wanted), "{name}: {reason}");
        }
    }
    for server in [dropped, subscribed] {
        let listed = alerts(server, taken).await;
        for (name, _, is_taken, wanted) in &cases {
            let found = listed.iter().find(|alert| alert["identifier"] == *name);
            assert_eq!(found.is_some(), *is_taken, "{name}");
            assert!(found.is_none_or(|alert| alert["findings"].to_string().contains(wanted)), "{name}: {found:?}");
        }
    }
}

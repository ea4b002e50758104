//! A running `tocsin serve` on a store of its own, and alerts of this minute.
#![allow(dead_code, reason = "each test uses its part")]

pub mod axe;
pub mod browser;
pub mod crew;
pub mod mail;
pub mod muifa;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use reqwest::{Client, Response};
use serde_json::Value;

pub const TOKEN: &str = "tocsin_test-token";

/// The folder, config and program of one test.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub url: String,
    child: Option<Child>,
    client: Client,
}

/// A config with one bureau, Shanghai's, and what the test adds.
pub fn write_config(folder: &Path, more: &str) -> PathBuf {
    let hash = sha256(TOKEN);
    let other = sha256("tocsin_other-token");
    let text = format!(
        "[store]\nurl = \"sqlite://{}\"\n\n[server]\nlisten = \"127.0.0.1:0\"\n\n\
         [[bureau]]\nname = \"shanghai\"\ntoken_sha256 = \"{hash}\"\nregions = [\"310000\", \"HZB\"]\nhazards = [\"typhoon\", \"rainstorm\", \"storm-surge\"]\n\n\
         [[bureau]]\nname = \"zhejiang\"\ntoken_sha256 = \"{other}\"\nregions = [\"330000\"]\n\n{more}\n",
        folder.join("t.db").display()
    );
    let path = folder.join("config.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Of a text, in hex.
pub fn sha256(text: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs a command of the program to its end, and gives its standard output.
pub fn tocsin(config: &Path, arguments: &[&str]) -> (bool, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_tocsin")).arg("--config").arg(config).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout), text(&out.stderr))
}

/// The tables of a store themselves, to do to them what only a fault or a long time does.
pub async fn tables(folder: &Path) -> sqlx::AnyConnection {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    sqlx::AnyConnection::connect(&format!("sqlite://{}", folder.join("t.db").display())).await.unwrap()
}

impl Server {
    pub fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), more);
        Self::start_in(folder)
    }

    pub fn start_in(folder: tempfile::TempDir) -> Self {
        // The first test of a program installs it; the others find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut server =
            Self { folder, url: String::new(), child: None, client: Client::builder().no_proxy().build().unwrap() };
        server.run();
        server
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Starts the program, and waits until it listens.
    pub fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tocsin"))
            .arg("--config")
            .arg(self.config())
            .args(["--json", "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it did not start: {}", self.log()));
        self.url = format!("http://{}", ready["listening"].as_str().unwrap());
        self.child = Some(child);
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills the program as a power cut would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        child.wait().unwrap().success()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until its log says this.
    pub async fn logs(&self, part: &str) {
        for _ in 0..6_000 {
            if self.log().contains(part) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("it never says {part:?}:\n{}", self.log());
    }

    pub fn tocsin(&self, arguments: &[&str]) -> (bool, String, String) {
        tocsin(&self.config(), arguments)
    }

    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.post_as(TOKEN, "application/cap+xml", body).await
    }

    pub async fn post_as(&self, token: &str, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.client.post(format!("{}/api/v1/alerts", self.url)).bearer_auth(token);
        let response = request.header("content-type", kind).body(body).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(TOKEN).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.bytes().await.unwrap()).unwrap_or_default()
    }

    pub async fn states(&self, id: &str) -> Value {
        self.json(&format!("/api/v1/alerts/{id}/states")).await
    }

    /// Waits until an alert's deliveries are as wanted.
    pub async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..6_000 {
            let states = self.states(id).await;
            if wanted(&states) {
                return states;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("never came to be: {}\n{}", self.states(id).await, self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An alert as the weather service sends it: a code, no shape, Chinese and English.
#[derive(Clone)]
pub struct Cma {
    pub identifier: String,
    pub sent: DateTime<FixedOffset>,
    pub status: &'static str,
    pub msg_type: &'static str,
    pub event: (&'static str, &'static str),
    pub colour: (&'static str, &'static str, &'static str),
    pub code: String,
    pub expires: TimeDelta,
    pub references: String,
}

pub const YELLOW: (&str, &str, &str) = ("黄色", "yellow", "Moderate");
pub const ORANGE: (&str, &str, &str) = ("橙色", "orange", "Severe");
pub const RED: (&str, &str, &str) = ("红色", "red", "Extreme");

impl Cma {
    pub fn new(identifier: &str) -> Self {
        let beijing = FixedOffset::east_opt(8 * 3_600).unwrap();
        Self {
            identifier: identifier.into(),
            sent: Utc::now().with_timezone(&beijing),
            status: "Actual",
            msg_type: "Alert",
            event: ("台风", "Typhoon"),
            colour: YELLOW,
            code: "310118000000".into(),
            expires: TimeDelta::hours(6),
            references: String::new(),
        }
    }

    /// As others refer to it.
    pub fn reference(&self) -> String {
        format!("上海中心气象台,{},{}", self.identifier, self.sent.format("%Y-%m-%dT%H:%M:%S%:z"))
    }

    pub fn refers_to(mut self, old: &Self) -> Self {
        self.references = old.reference();
        self
    }

    pub fn xml(&self) -> String {
        let time = |at: DateTime<FixedOffset>| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let (zh, en) = self.event;
        let (colour_zh, colour_en, severity) = self.colour;
        let info = |language: &str, event: &str, sender: &str, headline: String, area: &str| {
            let codes = match self.code.as_str() {
                "" => String::new(),
                code => format!("<geocode><valueName>CPEAS Geographic Code</valueName><value>{code}</value></geocode>"),
            };
            format!(
                "<info><language>{language}</language><category>Met</category><event>{event}</event><urgency>Expected</urgency>\
                 <severity>{severity}</severity><certainty>Likely</certainty><expires>{}</expires><senderName>{sender}</senderName>\
                 <headline>{headline}</headline><description>{headline}</description><area><areaDesc>{area}</areaDesc>{codes}</area></info>",
                time(self.sent + self.expires)
            )
        };
        let references = match self.references.as_str() {
            "" => String::new(),
            list => format!("<references>{list}</references>"),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{}</identifier>\
             <sender>上海中心气象台</sender><sent>{}</sent><status>{}</status><msgType>{}</msgType><scope>Public</scope>{references}{}{}</alert>",
            self.identifier,
            time(self.sent),
            self.status,
            self.msg_type,
            info("zh-CN", zh, "上海中心气象台", format!("上海中心气象台发布{zh}{colour_zh}预警"), "青浦区"),
            info(
                "en-US",
                en,
                "Shanghai Observatory",
                format!("Shanghai Observatory issues a {colour_en} {en} warning"),
                "Qingpu"
            ),
        )
    }
}

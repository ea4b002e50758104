//! A server whose pushes go to the browser's push service and whose short messages go to a sink, and a resident with a browser.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Row as _;
use tocsin_sinks::autopush::{self, PushService};
use tocsin_sinks::{Sink, Tally, gateway};

use crate::firefox::{Firefox, Profile};
use crate::support::{self, Cma, Server};

/// Everything goes out at once: who must say yes is tested elsewhere.
const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"all\"\nwhen = { status = [\"Actual\"] }\n\
    audience = [\"public\"]\nchannels = [\"sms\", \"push\"]\npriority = 0\napproval = \"none\"\n";

pub struct Stage {
    pub server: Server,
    pub service: PushService,
    pub sms: Sink,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.server.log());
        }
    }
}

/// How short messages go out: as JSON.
const SMS: &str = "method = \"POST\"\nurl = \"http://GATEWAY/sms\"\nbody = { json = { to = \"{to}\", text = \"{text}\" } }\n\
    answers = [{ status = \"2\", class = \"accepted\" }]\n";

impl Stage {
    pub async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), RULES, SMS, "", "listen = \"127.0.0.1:0\"").await
    }

    /// With other rules, another way to the gateway, more in the config, and where it listens.
    pub async fn start_with(folder: tempfile::TempDir, rules: &str, via: &str, more: &str, server: &str) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (service, sms) =
            (autopush::start().await.unwrap(), gateway::start_sms(Tally::keeping_keys()).await.unwrap());
        std::fs::write(path("rules.toml"), rules).unwrap();
        let more = format!(
            "[rules]\nfile = \"{}\"\n\n[channels.push]\nvia = {{ vapid_key_file = \"{}\", contact = \"mailto:d@example.org\", allow_private = [\"{}\"] }}\n\n\
             [channels.sms.via]\n{}\n{more}",
            path("rules.toml"),
            path("vapid.der"),
            service.posts.addr,
            via.replace("GATEWAY", &sms.addr.to_string()),
        );
        let config = support::write_config(folder.path(), &more);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("listen = \"127.0.0.1:0\"", server)).unwrap();
        assert!(support::tocsin(&config, &["keys", "push", &path("vapid.der")]).0);
        Self { server: Server::start_in(folder), service, sms }
    }

    pub fn profile(&self) -> Profile {
        Profile::new(&format!("ws://{}", self.service.browsers.addr))
    }

    pub async fn open(&self, profile: &Profile, journey: &'static str) -> Firefox {
        Firefox::open(profile, &self.server.url, journey).await
    }

    /// Takes an alert in that goes out at once; gives its id.
    pub async fn release(&self, alert: &Cma) -> String {
        let (status, answer) = self.server.post(alert.xml()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Waits until this many were seen as wanted.
    pub async fn seen(&self, id: &str, what: &str, n: u64) {
        self.server.until(id, |states| states["seen"][what] == n).await;
    }

    /// What was last said by short message.
    pub fn last_text(&self) -> String {
        let said: Value = serde_json::from_str(&self.sms.tally.last_text()).unwrap_or_default();
        said["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a short message says this.
    pub async fn texted(&self, part: &str) -> String {
        self.eventually(part, || self.last_text().contains(part)).await;
        self.last_text()
    }

    pub async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < until, "never: {what}\n{:?}\n{}", self.service.posted(), self.server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The store's own tables, to let time go by in them.
    pub async fn tables(&self) -> sqlx::AnyConnection {
        support::tables(self.server.folder.path()).await
    }

    /// How many rows a table has that fit.
    pub async fn rows(&self, of: &'static str) -> i64 {
        sqlx::any::install_default_drivers();
        let path = self.server.folder.path().join("t.db").display().to_string();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{path}")).await.unwrap();
        let row =
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {of}"))).fetch_one(&pool).await.unwrap();
        let n = row.get(0);
        pool.close().await;
        n
    }

    /// A person of Qingpu signs up with this browser, and confirms it by what comes to it.
    pub async fn sign_up(&self, firefox: &Firefox) {
        self.sign_up_reading(firefox, &[]).await;
    }

    /// The same, by somebody who reads these languages too.
    pub async fn sign_up_reading(&self, firefox: &Firefox, also: &[&str]) {
        firefox.goto("/sign-up?lang=zh-CN").await;
        firefox.click("[data-push] button").await;
        let told = "return document.querySelector('[data-push] output').textContent";
        firefox.until("the browser is taken", told, |told| told.as_str().is_some_and(|t| t.starts_with('✓'))).await;
        firefox.set("[name=county]", "310118").await;
        firefox.set("[name=level]", "blue").await;
        for tag in also {
            firefox.set(&format!("[name=language][value={tag}]"), "").await;
        }
        firefox.set("[name=consent]", "1").await;
        firefox.shot("sign-up").await;
        firefox.follow("form[action='/sign-up'] button.wide").await;
        self.confirm(firefox).await;
    }

    /// Confirms by the push that comes.
    pub async fn confirm(&self, firefox: &Firefox) {
        let all = firefox.notified("the push that proves it", |all| all.iter().any(|n| n["tag"] == "confirm")).await;
        let link = all.iter().find(|n| n["tag"] == "confirm").unwrap()["url"].as_str().unwrap().to_owned();
        assert!(link.starts_with("/sign-up/confirm/"), "{link}");
        let shown =
            "const a = document.querySelector('[data-confirm]:not([hidden]) a'); return a?.getAttribute('href')";
        firefox.until("the page that waits says so too", shown, |href| href.as_str() == Some(link.as_str())).await;
        firefox.shot("awaits").await;
        firefox.follow("[data-confirm] a").await;
        firefox.shot("confirm").await;
        firefox.follow("form button.wide").await;
        firefox
            .until("this browser is known", "return document.querySelector('[data-on]')?.checkVisibility()", |on| {
                *on == true
            })
            .await;
        firefox.shot("settings").await;
        let kept = "return (await (await caches.open('tocsin-state')).match('/state/browser'))?.json()";
        firefox.until("its word", kept, |own| own["word"].is_string()).await;
    }
}

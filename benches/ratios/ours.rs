//! Our whole way: an alert through the front door, an audience frozen, every window recorded.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{FixedOffset, TimeDelta, Utc};
use tocsin::app::App;
use tocsin::clock::SystemClock;
use tocsin::config::{BureauConfig, Config};
use tocsin::intake::Format;
use tocsin::residents::import;

use crate::process::{Sink, Watch};
use crate::report::Rate;

pub(crate) const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
pub(crate) const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

/// The address of the n-th person on a channel.
pub(crate) fn address(name: &str, n: u64, port: u16) -> String {
    match name {
        "email" => format!("r{n}@example.org"),
        "sms" => format!("+86138{n:08}"),
        "mqtt" => format!("d{n}"),
        _ => format!(
            "{{\"endpoint\":\"http://127.0.0.1:{port}/push/{n}\",\"keys\":{{\"auth\":\"{AUTH}\",\"p256dh\":\"{P256DH}\"}}}}"
        ),
    }
}

fn config(folder: &std::path::Path, name: &str, port: u16) -> Config {
    let key = folder.join("vapid.der");
    std::fs::write(&key, tocsin_channels::push::generate_key().expect("a key")).expect("a file");
    let via = match name {
        "email" => format!(
            "via = {{ relays = [{{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}"
        ),
        "sms" => format!(
            "via = {{ method = \"POST\", url = \"http://127.0.0.1:{port}/sms\", body = {{ json = {{ to = \"{{to}}\", text = \"{{text}}\" }} }}, \
             answers = [{{ json = {{ at = \"/status\", is = \"accepted\" }}, class = \"accepted\" }}] }}"
        ),
        "mqtt" => format!("via = {{ host = \"127.0.0.1\", port = {port} }}"),
        _ => format!(
            "via = {{ vapid_key_file = \"{}\", contact = \"mailto:w@example.org\", allow_private = [\"127.0.0.1:{port}\"] }}",
            key.display()
        ),
    };
    let store = folder.join("bench.db").display().to_string();
    let channel = if name == "none" { String::new() } else { format!("[channels.{name}]\n{via}\n") };
    Config::parse(&format!("[store]\nurl = \"sqlite://{store}\"\n{channel}"), "bench").expect("a config")
}

/// A program with so many people on one channel, ready to warn them.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) app: Arc<App>,
}

impl Stage {
    pub(crate) async fn set(name: &str, people: u64, port: u16) -> Self {
        Self::set_with(name, if name == "none" { "email" } else { name }, people, port).await
    }

    async fn set_with(channel: &str, addresses: &str, people: u64, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let app = App::start(&config(folder.path(), channel, port), Arc::new(SystemClock)).await.expect("it starts");
        let app = Arc::new(app);
        let column = match addresses {
            "email" => "email",
            "sms" => "phone",
            "mqtt" => "device",
            _ => "push",
        };
        let counties = ["310118", "310120", "320509", "330421", "310115"];
        let file = folder.path().join("people.csv");
        let mut csv = format!("region,language,{column}\n");
        for n in 0..people {
            let county = counties[usize::try_from(n).expect("small") % counties.len()];
            writeln!(csv, "{county},zh-CN,\"{}\"", address(addresses, n, port).replace('"', "\"\"")).expect("memory");
        }
        std::fs::write(&file, csv).expect("a file");
        let reader = std::fs::File::open(&file).expect("a file");
        let report = import(&app.store, &app.policy.load().map, reader, Utc::now(), |_| {}).await.expect("an import");
        assert_eq!(report.addresses, people, "INVALID: {report:?}");
        Self { folder, app }
    }

    /// Warns everyone; returns when the alert is on disk.
    pub(crate) async fn warn(&self) {
        self.warn_as("bench", ("Moderate", "黄色"), &["310000000000", "320509000000", "330421000000"]).await;
    }

    /// Warns at a level (severity and colour) for places; gives the alert's id.
    pub(crate) async fn warn_as(&self, identifier: &str, (severity, colour): (&str, &str), places: &[&str]) -> String {
        let sent = Utc::now().with_timezone(&FixedOffset::east_opt(8 * 3_600).expect("Beijing"));
        let time = |at: chrono::DateTime<FixedOffset>| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let alert = serde_json::json!({
            "identifier": identifier, "sender": format!("观测台 {identifier}"), "sent": time(sent), "status": "Actual", "msgType": "Alert", "scope": "Public",
            "info": {"language": "zh-CN", "category": "Met", "event": "台风", "urgency": "Expected", "severity": severity,
                "certainty": "Likely", "expires": time(sent + TimeDelta::hours(6)), "headline": format!("上海中心气象台发布台风{colour}预警"),
                "area": {"areaDesc": "长三角", "geocode": places.iter().map(|code| serde_json::json!({"valueName": "CPEAS Geographic Code", "value": code})).collect::<Vec<_>>()}}
        });
        let regions = ["310000", "320000", "330000"].map(|code| code.parse().expect("a code")).to_vec();
        let bureau = BureauConfig { name: format!("bureau-{identifier}"), regions, ..BureauConfig::default() };
        let receipt = self.app.intake.accept(&bureau, alert.to_string().as_bytes(), Format::Json).await;
        self.app.engine.wake();
        receipt.expect("INVALID: the alert is refused").id.to_string()
    }

    pub(crate) async fn planned(&self) -> bool {
        let id = self.app.store.alerts(None, 1).await.expect("the store").remove(0).id;
        self.app.store.is_planned(&id).await.expect("the store")
    }

    /// Whether so many were accepted on a channel.
    async fn told(&self, name: &str, people: u64) -> bool {
        let states = self.app.store.states_of_all().await.expect("the store");
        let kind = name.parse().expect("a channel");
        // Regions' own topics are on top of the devices.
        states.get(&kind).is_some_and(|counts| counts.accepted >= people && counts.open() == 0)
    }

    pub(crate) async fn wait(&self, name: &str, people: u64) {
        while !self.told(name, people).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        Arc::into_inner(self.app).expect("nobody else holds it").stop().await;
    }
}

/// Everybody on one channel, from the alert's acceptance to the last recorded answer.
pub(crate) async fn channel(name: &str, sink: &Sink, people: u64) -> Rate {
    let stage = Stage::set(name, people, sink.port).await;
    let watch = Watch::start(sink.pid());
    stage.warn().await;
    stage.wait(name, people).await;
    let rate = watch.rate(people);
    stage.stop().await;
    rate
}

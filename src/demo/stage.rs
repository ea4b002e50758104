//! The stage: sinks on this machine, a store of its own, and the program set up to use both.

use std::path::PathBuf;
use std::sync::Arc;

use tocsin_sinks::broker::Broker;
use tocsin_sinks::{Counts, Sink, Tally, broker, gateway, smtp};

use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{BureauConfig, Config};
use crate::regions::{RegionKind, RegionMap};

/// Receivers for every channel.
pub(super) struct Sinks {
    pub(super) email: Sink,
    pub(super) sms: Sink,
    pub(super) push: Sink,
    pub(super) mqtt: Broker,
}

impl Sinks {
    pub(super) async fn start() -> std::io::Result<Self> {
        Ok(Self {
            email: smtp::start(Tally::counting()).await?,
            sms: gateway::start_sms(Tally::counting()).await?,
            push: gateway::start_push(Tally::counting()).await?,
            mqtt: broker::start(Tally::counting()).await?,
        })
    }

    /// What each has counted, by the channel's word.
    pub(super) fn counts(&self) -> [(&'static str, Counts); 4] {
        [
            ("sms", self.sms.tally.counts()),
            ("email", self.email.tally.counts()),
            ("mqtt", self.mqtt.sink.tally.counts()),
            ("push", self.push.tally.counts()),
        ]
    }
}

/// A folder that is gone when the demo is.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn make() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tocsin-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the demo's folder could not be removed");
        }
    }
}

/// A configuration that sends everything to the sinks.
pub(super) fn config(folder: &Folder, sinks: &Sinks) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
    let key = folder.0.join("vapid.der");
    std::fs::write(&key, tocsin_channels::push::generate_key()?)?;
    let text = format!(
        r#"
        [store]
        url = "sqlite://{store}"

        [channels.email]
        workers = 16
        via = {{ relays = [{{ host = "127.0.0.1", port = {smtp}, tls = "none" }}], from = "演练 EXERCISE <drill@example.org>", domain = "drill.example.org", list_id = "drill.example.org" }}

        [channels.sms]
        [channels.sms.via]
        method = "POST"
        url = "http://{sms}/sms"
        headers = {{ Idempotency-Key = "{{key}}" }}
        body = {{ json = {{ to = "{{to}}", text = "{{text}}" }} }}
        answers = [{{ json = {{ at = "/status", is = "accepted" }}, class = "accepted" }}]

        [channels.mqtt]
        via = {{ host = "127.0.0.1", port = {mqtt} }}

        [channels.push]
        via = {{ vapid_key_file = "{key}", contact = "mailto:drill@example.org", allow_private = ["{push}"] }}
        "#,
        store = folder.0.join("demo.db").display(),
        smtp = sinks.email.addr.port(),
        sms = sinks.sms.addr,
        mqtt = sinks.mqtt.sink.addr.port(),
        key = key.display(),
        push = sinks.push.addr,
    );
    Ok(Config::parse(&text, "the demo's configuration")?)
}

/// The demo's own bureau: it may warn everywhere.
pub(super) fn bureau(map: &RegionMap) -> BureauConfig {
    let whole = map.regions().filter(|region| matches!(region.kind, RegionKind::Province | RegionKind::Sea));
    BureauConfig {
        name: "drill".into(),
        regions: whole.map(|region| region.code.clone()).collect(),
        ..BureauConfig::default()
    }
}

/// The program, running.
pub(super) async fn app(config: &Config) -> Result<App, crate::app::StartError> {
    App::start(config, Arc::new(SystemClock)).await
}

//! A subscription: QoS 1, a session that the broker keeps while we are away, and no acknowledgement before the alert is on disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::config::MqttSource;
use super::door::{Delivered, Door};
use super::fetch::{FetchLimits, Fetched, Fetcher};
use super::health;
use super::links::Links;
use super::notice::{self, Notice};
use super::problem::{Problem, ProblemCode};
use super::schedule::{When, again, dice};
use crate::store::SourceRow;

/// Messages in hand at once: the broker sends no more before the first of them is acknowledged.
const IN_HAND: u16 = 16;
/// A message's size: an alert of 4 MiB in base64.
const MAX_PACKET: u32 = 8 * 1024 * 1024;
/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(60);
/// How often a healthy connection is noted down.
const BEAT: Duration = Duration::from_secs(60);

/// Keeps subscribed until told to stop.
pub(super) async fn run(config: MqttSource, door: Arc<Door>, stop: CancellationToken) {
    let (name, own) = (config.name.clone(), Arc::clone(&door));
    let mut tries = 0;
    let subscriber = loop {
        match Subscriber::new(config.clone(), Arc::clone(&door)).await {
            Ok(subscriber) => break Arc::new(subscriber),
            Err(problem) if health::waits(&mut tries, &name, &problem, &stop).await => {}
            Err(problem) => return health::give_up(&own.store, &name, "mqtt", &problem, own.now()).await,
        }
    };
    tokio::select! {
        () = Box::pin(Arc::clone(&subscriber).keep_subscribed()) => {}
        () = Box::pin(subscriber.follow_links()) => {}
        () = stop.cancelled() => {}
    }
}

pub(super) struct Subscriber {
    pub(super) config: MqttSource,
    options: MqttOptions,
    pub(super) door: Arc<Door>,
    fetcher: Fetcher,
    row: Mutex<SourceRow>,
    pub(super) links: Links,
}

/// What became of a message.
pub(super) enum Became {
    /// Its alert is on disk, or its refusal is.
    Settled,
    /// What it leads to does not answer; that may pass.
    Unreachable(Problem),
    /// Our own fault: it must be handed in again.
    NotNow(Problem),
}

impl Subscriber {
    pub(super) async fn new(config: MqttSource, door: Arc<Door>) -> Result<Self, Problem> {
        let fetcher = Fetcher::new(&config.private, config.ca_file.as_deref())?;
        let options = options(&config)?;
        let row = Mutex::new(health::known(&door.store, &config.name, "mqtt").await?);
        Ok(Self { config, options, door, fetcher, row, links: Links::default() })
    }

    async fn keep_subscribed(self: Arc<Self>) {
        let when = When::Every(TimeDelta::seconds(1));
        loop {
            // A new client for each connection: an acknowledgement must not reach a broker that has sent the message anew.
            let (client, events) = AsyncClient::new(self.options.clone(), usize::from(IN_HAND) * 2 + 8);
            let problem = Arc::clone(&self).listen(client, events).await;
            let mut row = self.row.lock().await;
            let now = self.door.now();
            let next = when.next(now, row.failures + 1, dice(), None);
            health::bad(&mut row, now, Some(next), &problem);
            self.save(&row).await;
            drop(row);
            tokio::time::sleep((next - now).to_std().unwrap_or_default()).await;
        }
    }

    /// Serves one connection until it ends; says why it did. What is in hand then comes again.
    async fn listen(self: Arc<Self>, client: AsyncClient, mut events: EventLoop) -> Problem {
        let mut in_hand = JoinSet::new();
        let mut beat = tokio::time::interval(BEAT);
        let mut subscribed = false;
        loop {
            let event = tokio::select! {
                event = events.poll() => event,
                Some(_) = in_hand.join_next() => continue,
                _ = beat.tick(), if subscribed => {
                    self.well().await;
                    continue;
                }
            };
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    if let Err(error) = client.try_subscribe(&self.config.topic, QoS::AtLeastOnce) {
                        return broker(error);
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => {
                    let refused =
                        answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
                    if let Some(code) = refused {
                        return broker(format!("SUBACK {code:?} {}", self.config.topic));
                    }
                    subscribed = true;
                    self.well().await;
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let (own, client) = (Arc::clone(&self), client.clone());
                    in_hand.spawn(async move {
                        let topic = String::from_utf8_lossy(&message.topic).into_owned();
                        tracing::info!(source = %own.config.name, topic, bytes = message.payload.len(), "a message came");
                        Box::pin(own.take(&message.payload, &topic)).await;
                        if let Err(error) = client.ack(&message).await {
                            tracing::warn!(%error, "a message could not be acknowledged; it will come again");
                        }
                    });
                }
                Ok(Event::Incoming(Packet::Disconnect(said))) => return broker(format!("{:?}", said.reason_code)),
                Ok(_) => {}
                Err(error) => return broker(error),
            }
        }
    }

    /// Takes a message in; returns when its alert is on disk, its refusal, or the message itself where it leads to an alert
    /// elsewhere: whoever is slow there holds up no other message.
    async fn take(&self, payload: &Bytes, topic: &str) {
        let mut tries = 0;
        loop {
            let problem = match self.keep_link(payload).await {
                Ok(true) => return,
                Ok(false) => match self.attempt(payload).await {
                    Became::Settled => return,
                    // No room to wait in.
                    Became::Unreachable(problem) => return self.refuse(payload, problem).await,
                    // It waits here, unacknowledged, for as long as it takes.
                    Became::NotNow(problem) => problem,
                },
                Err(error) => Problem::new(ProblemCode::Store, error),
            };
            tries += 1;
            tracing::warn!(source = %self.config.name, topic, %problem, "a message waits, and is tried again");
            tokio::time::sleep(again(tries, dice()).to_std().unwrap_or_default().min(LONGEST)).await;
        }
    }

    /// One try at what a message carries or leads to.
    pub(super) async fn attempt(&self, payload: &[u8]) -> Became {
        match self.open(payload).await {
            Ok(None) => Became::Settled,
            Ok(Some(document)) => {
                let delivered = self.door.deliver(self.config.voice(), &document, None).await;
                self.count(&delivered).await;
                delivered.not_now.map_or(Became::Settled, Became::NotNow)
            }
            Err(problem) => match problem.code {
                ProblemCode::Unreachable | ProblemCode::TooSlow | ProblemCode::Status | ProblemCode::Broken => {
                    Became::Unreachable(problem)
                }
                _ => {
                    self.refuse(payload, problem).await;
                    Became::Settled
                }
            },
        }
    }

    pub(super) async fn refuse(&self, payload: &[u8], problem: Problem) {
        tracing::warn!(source = %self.config.name, %problem, "a message was refused");
        self.door.keep_refusal(&self.config.bureau, &problem, payload).await;
        self.count(&Delivered { refused: vec![problem], ..Delivered::default() }).await;
    }

    /// The document that a message carries or leads to.
    async fn open(&self, payload: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        match notice::read(payload)? {
            Notice::Here(document) => Ok(Some(document)),
            Notice::Nothing(why) => {
                tracing::info!(source = %self.config.name, why, "a message was let go");
                Ok(None)
            }
            Notice::Link(url, integrity) => {
                let limits = FetchLimits { time: Duration::from_secs(self.config.timeout_seconds.into()), mib: 4 };
                let Fetched::New { body, .. } = self.fetcher.fetch(&url, None, limits).await? else {
                    return Err(Problem::new(ProblemCode::Status, 304));
                };
                if let Some(integrity) = integrity {
                    integrity.check(&body)?;
                }
                Ok(Some(body))
            }
        }
    }

    async fn count(&self, delivered: &Delivered) {
        let mut row = self.row.lock().await;
        row.taken += delivered.new_ones();
        row.refused += delivered.refused.len() as u64;
        row.entries += 1;
        if let Some(problem) = delivered.refused.first() {
            row.findings = serde_json::json!([problem.json()]);
        }
        self.save(&row).await;
    }

    async fn well(&self) {
        let mut row = self.row.lock().await;
        let now = self.door.now();
        health::good(&mut row, now, TimeDelta::from_std(BEAT).ok().map(|beat| now + beat));
        self.save(&row).await;
    }

    async fn save(&self, row: &SourceRow) {
        if let Err(error) = self.door.store.save_source(row, std::iter::empty(), &[]).await {
            tracing::error!(%error, source = %row.name, "what is known of a source could not be written");
        }
    }
}

fn broker(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemCode::Broker, error.to_string())
}

fn options(config: &MqttSource) -> Result<MqttOptions, Problem> {
    let setup = |why: String| Problem::new(ProblemCode::Setup, why);
    let id = config.client_id.clone().unwrap_or_else(|| format!("tocsin-{}", config.name));
    let mut options = MqttOptions::new(id, &config.host, config.port);
    options.set_keep_alive(Duration::from_secs(30));
    options.set_connection_timeout(10);
    options.set_clean_start(false);
    options.set_session_expiry_interval(Some(config.keep_hours.saturating_mul(3_600)));
    options.set_receive_maximum(Some(IN_HAND));
    options.set_max_packet_size(Some(MAX_PACKET));
    options.set_manual_acks(true);
    if let (Some(user), Some(path)) = (&config.username, &config.password_file) {
        let password = std::fs::read_to_string(path).map_err(|e| setup(format!("{}: {e}", path.display())))?;
        options.set_credentials(user, password.trim_end());
    }
    if config.tls {
        let tls = tocsin_channels::tls::client_config(config.ca_file.as_deref()).map_err(setup)?;
        options.set_transport(Transport::Tls(rumqttc::TlsConfiguration::Rustls(tls)));
    }
    Ok(options)
}

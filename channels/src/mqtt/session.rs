//! The connection to the broker: one task polls it, publishers hand their packets in under one lock, so that the n-th packet
//! handed in is the n-th that leaves, and its packet id leads back to who waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::{Semaphore, watch};

use super::acks::Slot;
use super::config::{MqttConfig, MqttError};
use super::states::{State, States};
use crate::{Answer, Class, http};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A publisher waits so long for a connection that is just coming up.
const PATIENCE: Duration = Duration::from_secs(3);

/// A packet to be published with QoS 1.
pub(super) struct Publication {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    /// When the broker may forget it; None for never.
    pub(super) expires: Option<SystemTime>,
    pub(super) key: Option<String>,
}

/// The connection. Clones share it.
#[derive(Clone)]
pub(super) struct Session {
    line: Arc<Line>,
    /// The newest word about the connection.
    status: watch::Receiver<Status>,
    prefix: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Status {
    Connecting,
    Up,
    Down(Answer),
    Closed,
}

struct Line {
    desk: Mutex<Desk>,
    room: Semaphore,
    states: States,
}

/// Packets on their way. Only under its lock are packets handed to the client.
#[derive(Default)]
struct Desk {
    client: Option<AsyncClient>,
    closing: bool,
    handed_in: VecDeque<Option<Slot>>,
    on_air: HashMap<u16, Option<Slot>>,
}

impl Session {
    pub(super) fn start(config: &MqttConfig, states: States) -> Result<Self, MqttError> {
        let options = options(config)?;
        let inflight = config.inflight.max(1);
        let desk = Mutex::new(Desk::default());
        let line = Arc::new(Line { desk, room: Semaphore::new(usize::from(inflight)), states });
        let (said, status) = watch::channel(Status::Connecting);
        let prefix = config.prefix.trim_end_matches('/').to_owned();
        let session = Self { line, status, prefix };
        tokio::spawn(session.clone().keep_connected(options, usize::from(inflight), said));
        Ok(session)
    }

    /// Publishes a packet; the slot is answered when its PUBACK comes, or when it cannot come any more.
    pub(super) async fn publish(&self, publication: Publication, slot: Slot) {
        if let Err(answer) = self.connected().await {
            return slot.answer(answer);
        }
        self.hand_in(publication, Some(slot)).await;
    }

    /// Publishes everything in force.
    pub(super) async fn publish_states(&self) {
        if self.connected().await.is_err() {
            // They are published as soon as the broker is back.
            return;
        }
        for (topic, state) in self.line.states.all(SystemTime::now()) {
            self.hand_in(retained(topic, Some(&state)), None).await;
        }
    }

    /// Shows a state on a topic, or nothing.
    pub(super) async fn show(&self, topic: &str, state: Option<&State>) {
        if self.connected().await.is_ok() {
            self.hand_in(retained(topic.to_owned(), state), None).await;
        }
    }

    /// Says that we leave, and leaves.
    pub(super) async fn close(&self) {
        if *self.status.borrow() == Status::Up {
            self.say_status("offline").await;
        }
        let leaving = {
            let mut desk = self.line.lock();
            desk.closing = true;
            desk.client.as_ref().is_some_and(|client| client.try_disconnect().is_ok())
        };
        if leaving {
            let mut status = self.status.clone();
            let closed = status.wait_for(|status| *status == Status::Closed);
            // A broker that does not answer any more is left without a word.
            let _ = tokio::time::timeout(PATIENCE, closed).await;
        }
    }

    async fn say_status(&self, word: &'static str) {
        let topic = format!("{}/status", self.prefix);
        let payload = Bytes::from_static(word.as_bytes());
        self.hand_in(Publication { topic, payload, retain: true, expires: None, key: None }, None).await;
    }

    /// Waits a little for a connection; the answer says why there is none.
    async fn connected(&self) -> Result<(), Answer> {
        let mut status = self.status.clone();
        let word = status.wait_for(|status| *status != Status::Connecting);
        match tokio::time::timeout(PATIENCE, word).await {
            Ok(Ok(status)) => match &*status {
                Status::Up => Ok(()),
                Status::Down(why) => Err(why.clone()),
                Status::Connecting | Status::Closed => Err(Answer::new(Class::Transient, "the connection is closed")),
            },
            _ => Err(Answer::new(Class::Transient, "the broker does not answer")),
        }
    }

    async fn hand_in(&self, publication: Publication, slot: Option<Slot>) {
        // The semaphore is never closed.
        let Ok(room) = self.line.room.acquire().await else { return };
        let properties = PublishProperties {
            message_expiry_interval: publication
                .expires
                .map(|at| u32::try_from(http::seconds_until(at)).unwrap_or(u32::MAX)),
            user_properties: publication.key.map(|key| ("tocsin-key".to_owned(), key)).into_iter().collect(),
            content_type: Some("application/json".into()),
            ..PublishProperties::default()
        };
        let (topic, retain, payload) = (publication.topic, publication.retain, publication.payload);
        let mut desk = self.line.lock();
        let handed = desk.client.as_ref().map(|client| {
            let handed = client.try_publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties);
            handed.map_err(|error| error.to_string())
        });
        match handed {
            Some(Ok(())) => {
                desk.handed_in.push_back(slot);
                // Given back when its PUBACK comes, or the connection ends.
                room.forget();
            }
            Some(Err(error)) => answer(slot, &Answer::new(Class::Content, error)),
            None => answer(slot, &Answer::new(Class::Transient, "the broker is not connected")),
        }
    }

    async fn keep_connected(self, options: MqttOptions, inflight: usize, said: watch::Sender<Status>) {
        let mut pause = FIRST_PAUSE;
        while Arc::strong_count(&self.line) > 1 {
            // A new client for each connection: nothing of the last one is left in its queues.
            let (client, mut events) = AsyncClient::new(options.clone(), inflight * 2 + 8);
            let why = self.listen(client, &mut events, &said, &mut pause).await;
            let closing = self.line.hang_up(&why);
            if closing {
                said.send_replace(Status::Closed);
                return;
            }
            said.send_replace(Status::Down(why.clone()));
            tracing::warn!(error = why.detail.as_deref().unwrap_or_default(), retry_in_ms = %pause.as_millis(),
                "no connection to the MQTT broker");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Polls one connection until it ends; says why it did.
    async fn listen(
        &self,
        client: AsyncClient,
        events: &mut EventLoop,
        said: &watch::Sender<Status>,
        pause: &mut Duration,
    ) -> Answer {
        let mut client = Some(client);
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    self.line.lock().client = client.take();
                    *pause = FIRST_PAUSE;
                    said.send_replace(Status::Up);
                    let session = self.clone();
                    tokio::spawn(async move {
                        session.say_status("online").await;
                        session.publish_states().await;
                    });
                }
                Ok(Event::Outgoing(Outgoing::Publish(id))) => self.line.left(id),
                Ok(Event::Incoming(Packet::PubAck(ack))) => self.line.acknowledged(ack.pkid, ack.reason),
                Ok(_) => {}
                Err(error) => return refusal(&error),
            }
        }
    }
}

impl Line {
    fn lock(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, id: u16) {
        let mut desk = self.lock();
        let slot = desk.handed_in.pop_front().flatten();
        desk.on_air.insert(id, slot);
    }

    fn acknowledged(&self, id: u16, reason: PubAckReason) {
        let slot = self.lock().on_air.remove(&id);
        if let Some(slot) = slot {
            self.room.add_permits(1);
            answer(slot, &meaning(reason));
        }
    }

    /// Ends a connection: what had left may have arrived, what had not is free to be sent again. True when we meant to leave.
    fn hang_up(&self, why: &Answer) -> bool {
        let mut desk = self.lock();
        desk.client = None;
        let on_air = std::mem::take(&mut desk.on_air);
        let handed_in = std::mem::take(&mut desk.handed_in);
        let closing = desk.closing;
        drop(desk);
        self.room.add_permits(on_air.len() + handed_in.len());
        // Slots of packets on air answer for themselves when they are dropped: nobody knows.
        drop(on_air);
        handed_in.into_iter().for_each(|slot| answer(slot, &Answer { class: Class::Transient, ..why.clone() }));
        closing
    }
}

/// A retained message that shows a state, or clears the topic.
fn retained(topic: String, state: Option<&State>) -> Publication {
    let payload = state.map(|state| state.payload.clone()).unwrap_or_default();
    Publication { topic, payload, retain: true, expires: state.map(|state| state.expires), key: None }
}

fn answer(slot: Option<Slot>, answer: &Answer) {
    if let Some(slot) = slot {
        slot.answer(answer.clone());
    }
}

/// MQTT 5 section 3.4.2.1.
fn meaning(reason: PubAckReason) -> Answer {
    let class = match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => return Answer::ACCEPTED,
        PubAckReason::QuotaExceeded => Class::Throttled,
        PubAckReason::NotAuthorized => Class::Policy,
        PubAckReason::TopicNameInvalid => Class::BadAddress,
        PubAckReason::PayloadFormatInvalid => Class::Content,
        PubAckReason::PacketIdentifierInUse
        | PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError => Class::Transient,
    };
    Answer::new(class, format!("PUBACK {reason:?}"))
}

/// What a connection that cannot be had means for what waits for it.
fn refusal(error: &ConnectionError) -> Answer {
    let class = match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::Banned
            | ConnectReturnCode::ClientIdentifierNotValid
            | ConnectReturnCode::BadAuthenticationMethod,
        ) => Class::Policy,
        _ => Class::Transient,
    };
    Answer::new(class, error.to_string())
}

/// How the channel connects: its last will says that it is gone.
fn options(config: &MqttConfig) -> Result<MqttOptions, MqttError> {
    let mut options = config.options(&config.client_id)?;
    let prefix = config.prefix.trim_end_matches('/');
    options.set_clean_start(true);
    options.set_last_will(LastWill::new(format!("{prefix}/status"), "offline", QoS::AtLeastOnce, true, None));
    Ok(options)
}

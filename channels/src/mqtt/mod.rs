//! MQTT 5 by `rumqttc`: the current state of each region retained, an event for each message, QoS 1 confirmed by the PUBACK of
//! that very packet.
//!
//! Topics: `PREFIX/event/REGION/HAZARD`, `PREFIX/current/REGION/HAZARD` (retained), `PREFIX/device/NAME/alert/EVENT` (the newest word
//! of an event, retained until it is over), `PREFIX/status` (retained, last will). A drill has the same below `PREFIX/exercise/`.

mod acks;
mod config;
mod session;
mod states;

use std::time::{Duration, SystemTime};

use acks::{Acks, Slot};
pub use config::{MqttConfig, MqttError};
use session::{Publication, Session};
pub use states::InForce;
use states::{State, States};

use crate::{Answer, Channel, ChannelKind, Class, Content, Message, MqttContent, Window};

/// The MQTT channel.
pub struct Mqtt {
    session: Session,
    states: States,
    prefix: String,
    ack_timeout: Duration,
}

impl Mqtt {
    /// An adapter that connects at once and keeps connected. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the configuration names what cannot be read.
    pub fn new(config: &MqttConfig) -> Result<Self, MqttError> {
        let states = States::default();
        let session = Session::start(config, states.clone())?;
        let prefix = config.prefix.trim_end_matches('/').to_owned();
        Ok(Self { session, states, prefix, ack_timeout: Duration::from_millis(config.ack_timeout_ms) })
    }

    /// Takes in what is in force, at the program's start: published now, and again after every reconnect.
    pub async fn restore(&self, in_force: Vec<InForce>) {
        for state in in_force {
            if let Some(Topics { current, .. }) = self.topics(&state.to, &state.hazard) {
                let shown = State { rank: state.rank, payload: state.payload.into(), expires: state.expires };
                self.states.change(&current, &state.chain, Some(shown));
            }
        }
        self.session.publish_states().await;
    }

    /// Ends the states of what is over: the topic shows what else is in force there, or nothing. Returns how many.
    pub async fn clear_expired(&self, now: SystemTime) -> usize {
        let over = self.states.take_expired(now);
        for (topic, shown) in &over {
            self.session.show(topic, shown.as_ref()).await;
        }
        over.len()
    }

    /// Publishes one message to a topic of somebody else's making, QoS 1; the answer is its PUBACK's.
    pub async fn publish_to(&self, topic: String, payload: Vec<u8>, expires: SystemTime) -> Answer {
        let acks = Acks::new(1);
        let publication =
            Publication { topic, payload: payload.into(), retain: false, expires: Some(expires), key: None };
        self.session.publish(publication, acks.slot(0)).await;
        let answer = acks.wait(self.ack_timeout).await.pop();
        answer.unwrap_or_else(|| Answer::new(Class::Ambiguous, "no PUBACK"))
    }

    /// The topics of a region; None when it cannot be part of one.
    fn topics(&self, to: &str, hazard: &str) -> Option<Topics> {
        let (kind, name) = to.split_once('/')?;
        let below = match kind {
            "region" => "",
            "drill" => "/exercise",
            _ => return None,
        };
        let prefix = &self.prefix;
        (is_level(name) && is_level(hazard)).then(|| Topics {
            event: format!("{prefix}{below}/event/{name}/{hazard}"),
            current: format!("{prefix}{below}/current/{name}/{hazard}"),
        })
    }

    /// The topic of an event at a device; None when it cannot be one.
    fn device_topic(&self, to: &str, content: &MqttContent) -> Option<String> {
        let name = to.strip_prefix("device/").filter(|name| is_level(name))?;
        let below = if content.exercise { "/exercise" } else { "" };
        is_level(&content.chain).then(|| format!("{}{below}/device/{name}/alert/{}", self.prefix, content.chain))
    }

    /// Publishes one message; what comes of it arrives in `acks`.
    async fn publish(&self, content: &MqttContent, expires: SystemTime, message: &Message, slot: Slot) {
        let key = message.key.to_base32();
        if let Some(topic) = self.device_topic(&message.to, content) {
            // One that was off finds the newest word when it comes back, and nothing that is over.
            let payload = content.device.as_ref().unwrap_or(&content.event).clone().into();
            let word = Publication { topic, payload, retain: true, expires: Some(expires), key: Some(key) };
            return self.session.publish(word, slot).await;
        }
        let Some(Topics { event, current }) = self.topics(&message.to, &content.hazard) else {
            return slot.answer(Answer::new(Class::BadAddress, "cannot be part of a topic"));
        };
        let place = current.strip_suffix(content.hazard.as_str()).unwrap_or(&current);
        for (stale, shown) in self.states.end_elsewhere(place, &current, &content.chain) {
            self.session.show(&stale, shown.as_ref()).await;
        }
        let own = content.state.as_ref().map(|payload| State {
            rank: content.rank,
            payload: payload.clone().into(),
            expires,
        });
        let shown = self.states.change(&current, &content.chain, own);
        let state = Publication {
            topic: current,
            expires: shown.as_ref().map(|state| state.expires),
            payload: shown.map(|state| state.payload).unwrap_or_default(),
            retain: true,
            key: Some(key.clone()),
        };
        let second = slot.and_another();
        self.session.publish(state, slot).await;
        let payload = content.event.clone().into();
        let event = Publication { topic: event, payload, retain: false, expires: Some(expires), key: Some(key) };
        self.session.publish(event, second).await;
    }
}

struct Topics {
    event: String,
    current: String,
}

/// Whether a text can be one level of a topic.
fn is_level(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '+', '#', '\0'])
}

#[async_trait::async_trait]
impl Channel for Mqtt {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Mqtt
    }

    fn at_once(&self) -> usize {
        // The whole window is published before the first acknowledgement is waited for.
        64
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let Content::Mqtt(content) = window.content else {
            return vec![Answer::new(Class::Content, "not an MQTT message"); window.messages.len()];
        };
        let acks = Acks::new(window.messages.len());
        for (at, message) in window.messages.iter().enumerate() {
            self.publish(content, window.expires, message, acks.slot(at)).await;
        }
        acks.wait(self.ack_timeout).await
    }

    async fn close(&self) {
        self.session.close().await;
    }
}

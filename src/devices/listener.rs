//! The subscription to what devices say: QoS 1, a session that the broker keeps while we are away, and no acknowledgement before
//! what was said is on disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tocsin_channels::mqtt::{MqttConfig, MqttError};
use tokio_util::sync::CancellationToken;

pub(crate) use super::hear::Counts;
use super::hear::Ear;
use super::registry::Devices;
use super::said::Refusal;
use crate::store::{StoreError, set_listening};

/// Messages in hand at once.
const IN_HAND: u16 = 1_000;
/// A packet's size; what a device sends is smaller, and what is larger is refused by its size.
const MAX_PACKET: u32 = 64 * 1_024;
/// What came is written this often.
const ROUND: Duration = Duration::from_millis(200);
/// A broker that is gone is tried again after this.
const PAUSE: Duration = Duration::from_secs(2);
/// While we are away the broker keeps what comes for so long, seconds.
const KEPT: u32 = 24 * 3_600;

/// What came and waits to be written.
#[derive(Default)]
struct Desk {
    ear: Ear,
    open: Vec<Publish>,
}

/// Listens until told to stop.
pub(crate) async fn listen(devices: Arc<Devices>, mqtt: MqttConfig, stop: CancellationToken) {
    let listening = async {
        let options = match options(&mqtt) {
            Ok(options) => options,
            // The channel itself says the same, and would not have started.
            Err(error) => return tracing::error!(%error, "devices cannot be listened to"),
        };
        let prefix = mqtt.prefix.trim_end_matches('/').to_owned();
        loop {
            note(&devices, false).await;
            // A new client for each connection: an acknowledgement must not reach a broker that has sent the message anew.
            let (client, events) = AsyncClient::new(options.clone(), usize::from(IN_HAND) * 2 + 8);
            let why = one_connection(&devices, &prefix, &client, events).await;
            tracing::warn!(error = why, "devices are not listened to; the broker is tried again");
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
    note(&devices, false).await;
}

/// Serves one connection until it ends; says why it did.
async fn one_connection(devices: &Arc<Devices>, prefix: &str, client: &AsyncClient, mut events: EventLoop) -> String {
    let desk = Arc::new(Mutex::new(Desk::default()));
    let writing = tokio::spawn(write(Arc::clone(devices), Arc::clone(&desk), client.clone()));
    let why = loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                for word in ["state", "heartbeat", "played"] {
                    if let Err(error) = client.try_subscribe(format!("{prefix}/device/+/{word}"), QoS::AtLeastOnce) {
                        tracing::error!(%error, "devices cannot be subscribed to");
                    }
                }
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                if let Some(code) =
                    ack.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)))
                {
                    break format!("SUBACK {code:?}");
                }
                note(devices, true).await;
            }
            Ok(Event::Incoming(Packet::Publish(message))) => take(devices, prefix, &desk, client, message),
            Ok(Event::Incoming(Packet::Disconnect(said))) => break format!("{:?}", said.reason_code),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    writing.abort();
    why
}

/// Takes a message in; one that is refused is acknowledged at once, and forgotten.
fn take(devices: &Devices, prefix: &str, desk: &Mutex<Desk>, client: &AsyncClient, message: Publish) {
    let topic = String::from_utf8_lossy(&message.topic).into_owned();
    let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
    let said = (topic.as_str(), message.payload.as_ref(), message.retain);
    if desk.ear.hear(prefix, said, &devices.counts, devices.clock.now()) {
        desk.open.push(message);
    } else if let Err(error) = client.try_ack(&message) {
        tracing::debug!(%error, "a refused message could not be acknowledged");
    }
}

/// Writes what came, round by round, and acknowledges it then.
async fn write(devices: Arc<Devices>, desk: Arc<Mutex<Desk>>, client: AsyncClient) {
    loop {
        tokio::time::sleep(ROUND).await;
        let (news, open) = {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            (desk.ear.take(), std::mem::take(&mut desk.open))
        };
        if news.is_empty() {
            continue;
        }
        let strangers = loop {
            match devices.store.note_devices(&news).await {
                Ok(strangers) => break strangers,
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "what devices said cannot be written, and is let go");
                    break std::collections::BTreeSet::new();
                }
                Err(error) => {
                    tracing::error!(%error, "what devices said cannot be written; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        for id in strangers {
            tracing::warn!(device = id, "a device that is not on record speaks");
            devices.counts.add(Refusal::Stranger);
        }
        for message in &open {
            if client.ack(message).await.is_err() {
                return;
            }
        }
    }
}

/// Notes that devices are listened to from now on, or no longer.
async fn note(devices: &Devices, listening: bool) {
    let now = devices.clock.now();
    let since = match devices.store.listening_since().await {
        Ok(since) if since.is_some() == listening => return,
        _ => listening.then_some(now),
    };
    if let Err(error) = set_listening(&devices.store, since).await {
        tracing::error!(%error, "since when devices are listened to could not be written");
    }
}

fn options(mqtt: &MqttConfig) -> Result<MqttOptions, MqttError> {
    let mut options = mqtt.options(&format!("{}-devices", mqtt.client_id))?;
    options.set_clean_start(false);
    options.set_session_expiry_interval(Some(KEPT));
    options.set_receive_maximum(Some(IN_HAND));
    options.set_max_packet_size(Some(MAX_PACKET));
    options.set_manual_acks(true);
    Ok(options)
}

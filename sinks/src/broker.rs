//! An MQTT 5 broker for publishers: takes QoS 1, keeps retained messages, and hands them to who subscribes.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, SubAck, SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Fault, Sink, Tally, listen};

const MAX_PACKET: u32 = 256 * 1024;

/// A broker, with what is retained there.
pub struct Broker {
    /// Where it listens, and how many event and device messages it took. Keys are topics with the message's own key.
    pub sink: Sink,
    retained: Retained,
}

type Retained = Arc<Mutex<HashMap<String, Bytes>>>;

impl Broker {
    /// What is retained, by topic.
    pub fn retained(&self) -> HashMap<String, Bytes> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts a broker.
///
/// # Errors
/// When no port can be had.
pub async fn start(tally: Tally) -> io::Result<Broker> {
    let retained = Retained::default();
    let kept = Arc::clone(&retained);
    let sink = listen(0, tally, move |socket, tally| serve(socket, tally, Arc::clone(&kept))).await?;
    Ok(Broker { sink, retained })
}

async fn serve(mut socket: TcpStream, tally: Tally, retained: Retained) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut out = BytesMut::with_capacity(16 * 1024);
    loop {
        loop {
            match Packet::read(&mut buffer, Some(MAX_PACKET)) {
                Ok(packet) => {
                    if !take(packet, &tally, &retained, &mut out)? {
                        return Ok(());
                    }
                }
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => break,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        if !out.is_empty() {
            socket.write_all_buf(&mut out).await?;
        }
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Handles a packet; false ends the connection.
fn take(packet: Packet, tally: &Tally, retained: &Retained, out: &mut BytesMut) -> io::Result<bool> {
    let answer = match packet {
        Packet::Connect(..) => {
            Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: None })
        }
        Packet::Publish(publish) => match tally.fault() {
            Some(Fault::Silence) => return Ok(false),
            Some(Fault::Throttle) => ack(publish.pkid, PubAckReason::QuotaExceeded),
            Some(Fault::Later) => ack(publish.pkid, PubAckReason::UnspecifiedError),
            Some(Fault::Gone) => ack(publish.pkid, PubAckReason::NotAuthorized),
            None => {
                let (id, qos) = (publish.pkid, publish.qos);
                record(&publish, tally, retained);
                if qos == QoS::AtMostOnce {
                    return Ok(true);
                }
                ack(id, PubAckReason::Success)
            }
        },
        Packet::Subscribe(subscribe) => {
            let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); subscribe.filters.len()];
            write(&Packet::SubAck(SubAck { pkid: subscribe.pkid, return_codes: codes, properties: None }), out)?;
            let kept = retained.lock().unwrap_or_else(PoisonError::into_inner);
            for (topic, payload) in kept.iter() {
                if subscribe.filters.iter().any(|filter| matches(&filter.path, topic)) {
                    let mut publish = Publish::new(topic.clone(), QoS::AtMostOnce, payload.clone(), None);
                    publish.retain = true;
                    write(&Packet::Publish(publish), out)?;
                }
            }
            return Ok(true);
        }
        Packet::PingReq(_) => Packet::PingResp(rumqttc::v5::mqttbytes::v5::PingResp),
        Packet::Disconnect(_) => return Ok(false),
        _ => return Ok(true),
    };
    write(&answer, out)?;
    Ok(true)
}

fn ack(id: u16, reason: PubAckReason) -> Packet {
    let mut ack = PubAck::new(id, None);
    ack.reason = reason;
    Packet::PubAck(ack)
}

fn write(packet: &Packet, out: &mut BytesMut) -> io::Result<()> {
    packet.write(out, None).map(drop).map_err(io::Error::other)
}

/// Counts events and device messages, and keeps or clears what is retained.
fn record(publish: &Publish, tally: &Tally, retained: &Retained) {
    let topic = String::from_utf8_lossy(&publish.topic);
    let own = publish.properties.iter().flat_map(|p| &p.user_properties).find(|(name, _)| name == "tocsin-key");
    if publish.retain {
        let mut kept = retained.lock().unwrap_or_else(PoisonError::into_inner);
        if publish.payload.is_empty() {
            kept.remove(topic.as_ref());
        } else {
            kept.insert(topic.clone().into_owned(), publish.payload.clone());
        }
        // A region's state goes beside its event; what is retained for a device is the message itself.
        if own.is_none() || topic.contains("/current/") {
            return;
        }
    }
    let key = match own {
        _ if !tally.wants_keys() => String::new(),
        own => format!("{topic} {}", own.map_or("", |(_, key)| key)),
    };
    tally.take(&key, &publish.payload);
}

/// MQTT 5 section 4.7.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

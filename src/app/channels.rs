//! The channels that config names, made ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use tocsin_channels::email::Email;
use tocsin_channels::mqtt::{InForce, Mqtt};
use tocsin_channels::push::Push;
use tocsin_channels::sms::Sms;
use tocsin_channels::{Channel, ChannelKind, Content};

use super::StartError;
use crate::clock::Clock;
use crate::config::{ChannelConfig, ChannelsConfig, Price};
use crate::dispatch::Provider;
use crate::rules::Audience;
use crate::store::{Store, StoreError};

/// What each allows a second, where it is limited.
pub(super) fn rates(config: &ChannelsConfig) -> BTreeMap<ChannelKind, u32> {
    let all = [
        (ChannelKind::Sms, config.sms.as_ref().and_then(|channel| channel.rate)),
        (ChannelKind::Email, config.email.as_ref().and_then(|channel| channel.rate)),
        (ChannelKind::Mqtt, config.mqtt.as_ref().and_then(|channel| channel.rate)),
        (ChannelKind::Push, config.push.as_ref().and_then(|channel| channel.rate)),
    ];
    all.into_iter().filter_map(|(kind, rate)| Some((kind, rate?.per_second.get()))).collect()
}

/// What one costs on each, where config says.
pub(super) fn prices(config: &ChannelsConfig) -> BTreeMap<ChannelKind, Price> {
    let all = [
        (ChannelKind::Sms, config.sms.as_ref().and_then(|channel| channel.price)),
        (ChannelKind::Email, config.email.as_ref().and_then(|channel| channel.price)),
        (ChannelKind::Mqtt, config.mqtt.as_ref().and_then(|channel| channel.price)),
        (ChannelKind::Push, config.push.as_ref().and_then(|channel| channel.price)),
    ];
    all.into_iter().filter_map(|(kind, price)| Some((kind, price?))).collect()
}

/// Who carries messages; the broker and the push service once more, for what else is asked of them.
pub(super) type Providers = (Vec<Provider>, Option<Arc<Mqtt>>, Option<Arc<Push>>);

pub(super) fn providers(config: &ChannelsConfig) -> Result<Providers, StartError> {
    let mut providers = Vec::new();
    if let Some(sms) = &config.sms {
        providers.push(provider(sms, Arc::new(Sms::new(&sms.via)?), 8));
    }
    if let Some(email) = &config.email {
        providers.push(provider(email, Arc::new(Email::new(&email.via)?), 16));
    }
    let mut broker = None;
    if let Some(mqtt) = &config.mqtt {
        let channel = Arc::new(Mqtt::new(&mqtt.via)?);
        broker = Some(Arc::clone(&channel));
        providers.push(provider(mqtt, channel, 4));
    }
    let mut service = None;
    if let Some(push) = &config.push {
        let channel = Arc::new(Push::new(&push.via)?);
        service = Some(Arc::clone(&channel));
        providers.push(provider(push, channel, 6));
    }
    Ok((providers, broker, service))
}

fn provider<T>(config: &ChannelConfig<T>, channel: Arc<dyn Channel>, workers: usize) -> Provider {
    let name = channel.kind().to_string();
    Provider { name, channel, rate: config.rate, workers: config.workers.unwrap_or(workers), window: config.window }
}

/// What MQTT must show: the newest warning of each region and hazard that is neither over nor replaced.
pub(super) async fn in_force(store: &Store, clock: &dyn Clock) -> Result<Vec<InForce>, StoreError> {
    let mut states = Vec::new();
    for (release, content) in store.in_force(clock.now()).await? {
        let Content::Mqtt(content) = content else { continue };
        let Some(payload) = content.state else { continue };
        for kind in release.reach.lists().into_iter().filter_map(|audience| match audience {
            Audience::Public => Some("region"),
            Audience::Drill => Some("drill"),
            Audience::Officials => None,
        }) {
            states.extend(release.regions.iter().map(|region| InForce {
                to: format!("{kind}/{region}"),
                hazard: content.hazard.clone(),
                chain: content.chain.clone(),
                rank: content.rank,
                payload: payload.clone(),
                expires: release.expires.into(),
            }));
        }
    }
    Ok(states)
}

//! Who is told: webhooks and WIS2.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_channels::Answer;
use tocsin_channels::mqtt::{Mqtt, MqttError};
use tocsin_channels::webhook::{Webhook, WebhookError};

use super::press::{Press, Shown};
use crate::config::{Config, WebhookConfig, Wis2Config};
use crate::organisations::Organisation;
use crate::publish::{Entry, HookFilter, Publication, feature, hook_body, notification, signature};
use crate::store::HookRow;

/// Why an outlet cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// Its address.
    #[error("webhook `{name}`: {why}")]
    Webhook {
        /// Which.
        name: String,
        /// Why not.
        why: WebhookError,
    },
    /// Its secret.
    #[error("webhook `{name}`: {path}: {why}")]
    Secret {
        /// Which.
        name: String,
        /// Which file.
        path: String,
        /// Why not.
        why: String,
    },
    /// WIS2's broker.
    #[error("publish.wis2: {0}")]
    Wis2(#[from] MqttError),
}

/// One who is told.
pub(crate) struct Receiver {
    /// As tables name it.
    pub(super) name: String,
    kind: Kind,
}

enum Kind {
    Hook { webhook: Webhook, secret: Vec<u8>, filter: HookFilter },
    Wis2 { mqtt: Mqtt, centre: String, metadata: Option<String> },
}

/// Everybody who is told.
pub(crate) struct Receivers(pub(super) Vec<Receiver>);

impl Receivers {
    /// Everybody that config names. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a webhook's address or secret cannot be used, or WIS2's broker not be set up.
    pub(crate) fn of(config: &Config) -> Result<Self, OutletError> {
        let hooks = config.webhooks.iter().map(hook);
        hooks.chain(config.publish.wis2.as_ref().map(wis2)).collect::<Result<_, _>>().map(Self)
    }
}

fn hook(config: &WebhookConfig) -> Result<Receiver, OutletError> {
    let name = config.name.clone();
    let bad =
        |why: String| OutletError::Secret { name: name.clone(), path: config.secret_file.display().to_string(), why };
    let mut secret = std::fs::read(&config.secret_file).map_err(|e| bad(e.to_string()))?;
    // An editor ends a file with a line's end that is no part of the secret.
    while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        secret.pop();
    }
    if secret.len() < 16 {
        return Err(bad("the secret is shorter than 16 bytes".into()));
    }
    let whole = Duration::from_secs(config.timeout_seconds.clamp(1, 60));
    let webhook = Webhook::new(&config.url, &config.allow_private, config.ca_file.as_deref(), whole)
        .map_err(|why| OutletError::Webhook { name: name.clone(), why })?;
    let filter = HookFilter { regions: config.regions.clone(), hazards: config.hazards.clone(), lowest: config.lowest };
    Ok(Receiver { name: format!("webhook/{}", config.name), kind: Kind::Hook { webhook, secret, filter } })
}

fn wis2(config: &Wis2Config) -> Result<Receiver, OutletError> {
    let mqtt = Mqtt::new(&config.via)?;
    let (centre, metadata) = (config.centre_id.clone(), config.metadata_id.clone());
    Ok(Receiver { name: "wis2".into(), kind: Kind::Wis2 { mqtt, centre, metadata } })
}

impl Receiver {
    /// An organisation's webhook: what concerns its regions, from its lowest level on.
    pub(super) fn of_organisation(
        name: &str,
        hook: &HookRow,
        organisation: &Organisation,
        allow_private: &[String],
    ) -> Result<Self, OutletError> {
        let webhook = Webhook::new(&hook.url, allow_private, None, Duration::from_secs(10))
            .map_err(|why| OutletError::Webhook { name: name.to_owned(), why })?;
        let regions = organisation.regions.clone();
        let filter = HookFilter { regions, hazards: Vec::new(), lowest: Some(organisation.lowest) };
        let secret = hook.secret.clone().into_bytes();
        Ok(Self { name: format!("webhook/{name}"), kind: Kind::Hook { webhook, secret, filter } })
    }

    /// Whether a publication is for it; `older` are those that it changes.
    pub(super) fn wants(&self, publication: &Publication, older: &[Publication], shown: &Shown) -> bool {
        match &self.kind {
            Kind::Hook { filter, .. } => filter.takes(publication, older, &shown.policy.map),
            Kind::Wis2 { .. } => publication.listed,
        }
    }

    /// Hands one publication on, as it stands now: what follows it may have overtaken it.
    pub(super) async fn hand_on(&self, press: &Press, (entry, cap): (&Entry, &[u8]), now: DateTime<Utc>) -> Answer {
        let (shown, place) = (press.shown(), press.place());
        match &self.kind {
            Kind::Hook { webhook, secret, .. } => {
                let key = key(&self.name, &entry.publication);
                let feature = feature(entry, &shown.policy.map, &shown.ground, place);
                let body = hook_body(&key, &entry.publication, &feature);
                let signature = signature(secret, now.timestamp(), &body);
                webhook.post(&key, &signature, body).await
            }
            Kind::Wis2 { mqtt, centre, metadata } => {
                let centre = (centre.as_str(), metadata.as_deref());
                let (topic, message) = notification(&entry.publication, cap, centre, &shown.ground, place, now);
                mqtt.publish_to(topic, message.to_string().into_bytes(), entry.publication.expires.into()).await
            }
        }
    }

    /// Says good-bye.
    pub(super) async fn close(&self) {
        if let Kind::Wis2 { mqtt, .. } = &self.kind {
            tocsin_channels::Channel::close(mqtt).await;
        }
    }
}

/// The same for every try at handing this publication to this receiver.
fn key(receiver: &str, publication: &Publication) -> String {
    let name = format!("{receiver}/{}/{}", publication.release, publication.id);
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    crate::hex(digest.as_ref().get(..16).unwrap_or_default())
}

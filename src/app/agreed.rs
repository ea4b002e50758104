//! What administrators agreed to, as this version of the program can use it.

use chrono::{DateTime, Utc};

use super::StartError;
use crate::clock::Clock;
use crate::config::{ChannelsConfig, Config};
use crate::grave::GraveSettings;
use crate::messages::TemplateError;
use crate::policy::{Policy, PolicyError};
use crate::staff::Staff;
use crate::store::{Entry, Store};

/// Whether this version of the program can use what was agreed to.
///
/// # Errors
/// When it cannot; what it is, and who agreed to it when, is said.
pub(crate) async fn use_agreed(config: &Config, agreed: &GraveSettings, staff: &Staff) -> Result<(), StartError> {
    agreed_policy(Policy::build(config)?, agreed, staff).await?;
    agreed_channels(agreed, config, staff).await?;
    Ok(())
}

async fn agreed_policy(
    policy: Policy,
    agreed: &GraveSettings,
    staff: &Staff,
) -> Result<(Policy, Option<TemplateError>), StartError> {
    let why = match policy.under(agreed) {
        Err(PolicyError::Rules(why)) => why.to_string(),
        done => return Ok(done?),
    };
    let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, agreed.rules.as_bytes()).as_ref());
    let rules = format!("the rule set in force (SHA-256 {digest}");
    Err(unusable(&rules, staff.since(|old| old.rules == agreed.rules).await?, why))
}

/// The channels that were agreed to.
pub(super) async fn agreed_channels(
    agreed: &GraveSettings,
    config: &Config,
    staff: &Staff,
) -> Result<ChannelsConfig, StartError> {
    match agreed.channels(config) {
        Ok(channels) => Ok(channels),
        Err(why) => {
            let since = staff.since(|old| old.channels == agreed.channels).await?;
            Err(unusable("the channels in force (", since, why.to_string()))
        }
    }
}

fn unusable(what: &str, since: Option<(DateTime<Utc>, Option<String>)>, why: String) -> StartError {
    let since = since.map_or_else(String::new, |(at, by)| {
        let by = by.map_or_else(|| "nobody had to agree".to_owned(), |by| format!("{by} agreed"));
        format!("; {by}, {}", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    });
    StartError::Agreed { what: format!("{what}{since})"), why }
}

/// A policy under what was agreed to; where words of it do for this version no more, that is on record.
pub(super) async fn under(
    policy: Policy,
    agreed: &GraveSettings,
    staff: &Staff,
    (store, clock): (&Store, &dyn Clock),
) -> Result<Policy, StartError> {
    let (policy, unused) = agreed_policy(policy, agreed, staff).await?;
    if let Some(error) = unused {
        tracing::error!(%error, "words that were agreed to cannot be used; the shipped ones are, until an administrator agrees to others");
        let detail = serde_json::json!({"error": error.to_string()});
        store.record_one(clock.now(), Entry::new("tocsin", "settings.words", "settings", detail)).await?;
    }
    Ok(policy)
}

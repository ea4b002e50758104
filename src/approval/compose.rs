//! From a decision to a release: regions, channels, and every rendering.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_channels::{ChannelKind, Content};

use crate::cap::{Alert, MsgType};
use crate::messages::{Facts, Language, TemplateError, Templates, Variant};
use crate::policy::Policy;
use crate::rules::{Audience, Decision, Lane};
use crate::store::{NewDispatch, NewRelease, Store, StoreError};

/// An alert without an end of its own is told for so long.
const HOLDS: TimeDelta = TimeDelta::hours(24);
/// So is a Cancel: its own `expires` is that of what it withdraws.
const CANCEL_HOLDS: TimeDelta = TimeDelta::hours(12);

/// Why a release cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A message cannot be made.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// What the released alerts that this one replaces have used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replaced {
    channels: BTreeSet<ChannelKind>,
    audience: BTreeSet<Audience>,
    lane: Option<Lane>,
}

impl Replaced {
    /// Reads the releases of everything that an alert on record replaces.
    pub(crate) async fn load(store: &Store, alert: &str) -> Result<Self, StoreError> {
        Self::of(store, &store.replaced_by(alert).await?).await
    }

    /// Reads the releases of these alerts.
    pub(crate) async fn of(store: &Store, alerts: &[String]) -> Result<Self, StoreError> {
        let mut replaced = Self::default();
        for release in store.releases_of(alerts).await? {
            replaced.lane = Some(replaced.lane.map_or(release.lane, |lane| lane.min(release.lane)));
            replaced.channels.extend(release.channels);
            replaced.audience.extend(release.audience);
        }
        Ok(replaced)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lane.is_none()
    }
}

/// The release of a decision, with a rendering for each channel, language and variant that its people may need.
pub(crate) fn compose(
    policy: &Policy,
    alert: &Alert,
    chain: &str,
    decision: &Decision,
    replaced: &Replaced,
    signed_by: &str,
    now: DateTime<Utc>,
) -> Result<NewRelease, ComposeError> {
    let variants: &[Variant] = match alert.msg_type {
        _ if alert.is_the_end() => &[Variant::Cancel],
        MsgType::Update => &[Variant::Warn, Variant::Lifted],
        _ => &[Variant::Warn],
    };
    let mut places = decision.regions.clone();
    if places.is_empty() {
        places =
            policy.map.locate(&areas(alert), &policy.locate).counties.into_iter().map(|found| found.region).collect();
    }
    let mut dispatches = Vec::new();
    for channel in decision.channels.union(&replaced.channels) {
        for language in Language::ALL {
            let facts = Facts::of(alert, chain, policy.map.name_places(&places, language), language);
            for variant in variants {
                let template = decision.template.as_deref();
                let content = render(policy, *channel, &facts, *variant, template)?;
                dispatches.push(NewDispatch { language, variant: *variant, content });
            }
        }
    }
    let cancel = alert.is_the_end();
    let expires = match alert.msg_type {
        _ if cancel => now + CANCEL_HOLDS,
        _ => alert.expires().map_or(now + HOLDS, |expires| expires.to_utc()),
    };
    Ok(NewRelease {
        alert: crate::cap::AlertId::of(alert).to_string(),
        // A Cancel goes in the lane of what it cancels.
        lane: match replaced.lane {
            Some(lane) if cancel => lane,
            Some(lane) => lane.min(decision.lane),
            None => decision.lane,
        },
        audience: if decision.audience.is_empty() { replaced.audience.clone() } else { decision.audience.clone() },
        regions: if cancel { Vec::new() } else { decision.regions.clone() },
        channels: if cancel { replaced.channels.clone() } else { decision.channels.clone() },
        expires,
        signed_by: signed_by.to_owned(),
        dispatches,
    })
}

/// A message; by the shipped templates where the configured ones fail, because a warning goes out.
fn render(
    policy: &Policy,
    channel: ChannelKind,
    facts: &Facts,
    variant: Variant,
    template: Option<&str>,
) -> Result<Content, TemplateError> {
    policy.templates.render(channel, facts, variant, template, &policy.messages).or_else(|error| {
        tracing::error!(%error, %channel, "a template failed; the shipped one is used");
        Templates::shipped()?.render(channel, facts, variant, None, &policy.messages)
    })
}

/// All areas of an alert; several languages name the same ones.
pub(crate) fn areas(alert: &Alert) -> Vec<crate::cap::Area> {
    alert.infos.iter().flat_map(|info| info.areas.iter().cloned()).collect()
}

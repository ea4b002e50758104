//! From a decision to a release: regions, channels, and every rendering.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_channels::{ChannelKind, Content};

use super::split::Part;
use crate::cap::{Alert, Colour, MsgType};
use crate::messages::{Facts, Language, Scene, TemplateError, Templates, Variant};
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::rules::{Decision, Lane, Reach};
use crate::store::{NewDispatch, NewRelease, ReleaseKind, Store, StoreError};

/// An alert without an end of its own is told for so long.
pub(crate) const HOLDS: TimeDelta = TimeDelta::hours(24);
/// A Cancel longer than anybody's quiet hours, which are less than a day: its own `expires` is that of what it withdraws.
pub(crate) const CANCEL_HOLDS: TimeDelta = TimeDelta::hours(26);

/// By whom a release is signed that needs nobody's yes.
pub(crate) const BY_RULE: &str = "rule";

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
    reach: Option<Reach>,
    lane: Option<Lane>,
    regions: BTreeSet<RegionCode>,
    guessed: bool,
    /// Alerts of which a release's row is damaged.
    damaged: BTreeSet<String>,
}

impl Replaced {
    /// That the new alert takes the place of these, nobody has said: what officers let go out then is no yes to it.
    #[must_use]
    pub(crate) fn guessed(mut self, guessed: bool) -> Self {
        self.guessed = guessed;
        self
    }

    /// Reads the releases of these alerts.
    pub(crate) async fn of(store: &Store, alerts: &[String]) -> Result<Self, StoreError> {
        let mut replaced = Self::default();
        for release in store.releases_of(alerts).await? {
            replaced.lane = Some(replaced.lane.map_or(release.lane, |lane| lane.min(release.lane)));
            replaced.channels.extend(release.channels);
            // Both are of one world: a reference to another world's alert is refused at the door.
            replaced.reach = replaced.reach.map_or(Some(release.reach), |reach| reach.with(release.reach));
            replaced.regions.extend(release.regions);
            if release.damaged {
                replaced.regions.extend(meant_for(store, &release.alert).await?);
                replaced.damaged.insert(release.alert);
            }
        }
        Ok(replaced)
    }

    /// Alerts of which a release's row is damaged: whom they were for is known by their chunks alone.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = &str> {
        self.damaged.iter().map(String::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lane.is_none()
    }

    pub(crate) fn lane(&self) -> Option<Lane> {
        self.lane
    }

    /// Counties that were told.
    pub(crate) fn regions(&self) -> BTreeSet<RegionCode> {
        self.regions.clone()
    }

    /// Whether everyone whom this decision reaches was reached, by the same channels.
    pub(crate) fn covers(&self, decision: &Decision) -> bool {
        !self.guessed
            && self.damaged.is_empty()
            && decision.channels.is_subset(&self.channels)
            && self.reach.is_some_and(|reach| reach.covers(decision.reach))
    }
}

/// The counties that an alert was decided to be for; those where it is, where the decision cannot be read.
async fn meant_for(store: &Store, alert: &str) -> Result<Vec<RegionCode>, StoreError> {
    let row = store.alert(alert).await?;
    let decision = row.and_then(|row| serde_json::from_value::<Decision>(row.decision).ok());
    if let Some(decision) = decision {
        return Ok(decision.regions);
    }
    let located = serde_json::from_value::<crate::regions::Located>(store.located(alert).await?).unwrap_or_default();
    Ok(located.counties.into_iter().map(|found| found.region).collect())
}

/// What a release is made of.
pub(crate) struct Draft<'a> {
    pub(crate) policy: &'a Policy,
    /// As it goes out: with what officers changed.
    pub(crate) alert: &'a Alert,
    pub(crate) chain: &'a str,
    pub(crate) decision: &'a Decision,
    pub(crate) replaced: &'a Replaced,
    pub(crate) part: &'a Part,
    /// Makes the release happen once.
    pub(crate) name: String,
    pub(crate) signed_by: &'a str,
    /// Its parts needed nobody's yes, and say the same everywhere.
    pub(crate) whole: bool,
    /// What was told before was wrong.
    pub(crate) correction: bool,
    /// What was made already of what it says.
    pub(crate) texts: &'a Texts,
}

/// Warnings that were made ahead: parts that say the same share them, and what an alert most likely says is made before its turn.
#[derive(Default)]
pub(crate) struct Texts(Vec<(Facts, ChannelKind, Content)>);

impl Texts {
    /// What a decision's channels carry where its alert warns all its places at once. What cannot be made here is tried again, and told
    /// of, when it is needed.
    pub(crate) fn ahead(policy: &Policy, alert: &Alert, chain: &str, decision: &Decision) -> Self {
        let mut made = Vec::new();
        if alert.is_the_end() {
            return Self(made);
        }
        let scene = scene(policy, &decision.regions, alert, decision);
        for facts in facts(policy, &decision.regions, (alert, chain), scene.is_some()) {
            for channel in &decision.channels {
                let template = decision.template.as_deref();
                let content = policy.templates.render(*channel, &facts, Variant::Warn, template, &policy.messages);
                made.extend(content.ok().map(|content| (facts.clone(), *channel, content)));
            }
        }
        Self(made)
    }

    fn find(&self, facts: &Facts, channel: ChannelKind, variant: Variant) -> Option<Content> {
        let mut found = self.0.iter().filter(|_| variant == Variant::Warn);
        found.find(|(of, by, _)| *by == channel && of == facts).map(|(_, _, content)| content.clone())
    }
}

/// One picture for all readers: their mails share it as they share the text.
fn scene(policy: &Policy, places: &[RegionCode], alert: &Alert, decision: &Decision) -> Option<Scene> {
    let mails = decision.channels.contains(&ChannelKind::Email);
    mails.then(|| Scene::of(&policy.map, places.to_vec(), Colour::of_alert(alert))).flatten()
}

/// An alert as it is told of these places, in every language.
fn facts(
    policy: &Policy,
    places: &[RegionCode],
    (alert, chain): (&Alert, &str),
    picture: bool,
) -> [Facts; Language::ALL.len()] {
    Language::ALL.map(|language| {
        let names = policy.map.name_places(places, language);
        Facts { picture, ..Facts::of(alert, chain, names, language).told_by(&policy.map) }
    })
}

impl Draft<'_> {
    fn variants(&self) -> &'static [Variant] {
        match self.alert.msg_type {
            _ if self.correction => &[Variant::Correction],
            _ if self.alert.is_the_end() => &[Variant::Cancel],
            MsgType::Update => &[Variant::Warn, Variant::Lifted],
            // An Alert that names nothing may take the place of another one all the same.
            _ if !self.replaced.is_empty() => &[Variant::Warn, Variant::Lifted],
            _ => &[Variant::Warn],
        }
    }

    /// The places that the messages name: the part's, or for a Cancel those that the alert itself names and the part reaches.
    pub(crate) fn places(&self) -> Vec<RegionCode> {
        if self.whole && !self.decision.regions.is_empty() && !self.alert.is_the_end() {
            return self.decision.regions.clone();
        }
        if !self.part.regions.is_empty() {
            return self.part.regions.clone();
        }
        let located = self.policy.map.locate(&areas(self.alert), &self.policy.locate).counties;
        let own =
            |code: &RegionCode| self.part.within.as_ref().is_none_or(|within| within.contains(code) || self.whole);
        located.into_iter().map(|found| found.region).filter(own).collect()
    }

    /// What each channel carries in each language and variant, mails with a place for the picture if there is one.
    pub(crate) fn render(&self, places: &[RegionCode], picture: bool) -> Result<Vec<NewDispatch>, ComposeError> {
        let facts = facts(self.policy, places, (self.alert, self.chain), picture);
        let mut dispatches = Vec::new();
        for channel in self.decision.channels.union(&self.replaced.channels) {
            for facts in &facts {
                for variant in self.variants() {
                    let template = self.decision.template.as_deref();
                    let content = match self.texts.find(facts, *channel, *variant) {
                        Some(made) => made,
                        None => render(self.policy, *channel, facts, *variant, template)?,
                    };
                    dispatches.push(NewDispatch { language: facts.language, variant: *variant, content });
                }
            }
        }
        Ok(dispatches)
    }

    /// The release, with a rendering for each channel, language and variant that its people may need.
    pub(crate) fn release(&self, now: DateTime<Utc>) -> Result<NewRelease, ComposeError> {
        let Self { alert, decision, replaced, part, .. } = self;
        let end = alert.is_the_end();
        let places = self.places();
        let scene = scene(self.policy, &places, alert, decision);
        Ok(NewRelease {
            name: self.name.clone(),
            kind: ReleaseKind::Alert,
            alert: crate::cap::AlertId::of(alert).to_string(),
            jurisdiction: part.jurisdiction.clone(),
            within: part.within.clone(),
            origin: None,
            // A Cancel goes in the lane of what it cancels.
            lane: match replaced.lane {
                Some(lane) if end => lane,
                Some(lane) => lane.min(decision.lane),
                None => decision.lane,
            },
            reach: if decision.reach.is_empty() { replaced.reach.unwrap_or(Reach::NOBODY) } else { decision.reach },
            regions: part.regions.clone(),
            channels: if end { replaced.channels.clone() } else { decision.channels.clone() },
            expires: match alert.msg_type {
                _ if end => now + CANCEL_HOLDS,
                _ => alert.expires().map_or(now + HOLDS, |expires| expires.to_utc()),
            },
            signed_by: self.signed_by.to_owned(),
            dispatches: self.render(&places, scene.is_some())?,
            scene,
        })
    }
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

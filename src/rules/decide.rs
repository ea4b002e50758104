//! From an alert, its regions and the rules to a decision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::approval::Approval;
use super::decision::{Audience, Decision, Lane, Reach, RuleVerdict, Withheld};
use super::rule::{Rule, RuleSet};
use crate::cap::{Alert, Colour, Hazard, Info, MsgType, Scope, Status};
use crate::regions::{Located, RegionCode, RegionMap};

/// What conditions look at.
pub struct Facts<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Its chief info: the gravest, the first of equals. Conditions on an info ask this one.
    pub info: Option<&'a Info>,
    /// The kind of danger.
    pub hazard: Hazard,
    /// The level.
    pub colour: Option<Colour>,
    /// Its regions.
    pub located: &'a Located,
    /// The map.
    pub map: &'a RegionMap,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What the rules say of an alert. All that match apply: regions, audiences and channels add up, the more urgent priority and
/// the stricter approval win, the first template named is taken.
///
/// Some things no rule can change (DESIGN section 5): an Exercise reaches the drill's list only and a real alert never does;
/// Test, System and Draft reach nobody; Private reaches nobody, Restricted officials at most; nothing goes out after its end.
pub fn decide(alert: &Alert, located: &Located, rules: &RuleSet, map: &RegionMap, now: DateTime<Utc>) -> Decision {
    let facts = Facts {
        alert,
        info: alert.infos.iter().min_by_key(|info| info.severity),
        hazard: Hazard::of_alert(alert),
        colour: Colour::of_alert(alert),
        located,
        map,
        now,
    };
    let judged: Vec<_> = rules.rules.iter().map(|rule| (rule, rule.when.judge(&facts))).collect();
    let matched: Vec<&Rule> = judged.iter().filter(|(_, (holds, _))| *holds).map(|(rule, _)| *rule).collect();
    let verdicts = judged
        .into_iter()
        .map(|(rule, (matched, why))| RuleVerdict { rule: rule.name.clone(), matched, why })
        .collect();
    let reach = reach(alert, &matched.iter().flat_map(|rule| rule.audience.iter().copied()).collect());
    let withheld = withheld(alert, located, now).or(reach.is_empty().then_some(Withheld::NoRule));
    let exercise = alert.status == Status::Exercise;
    let lane = matched.iter().map(|rule| rule.priority).min().unwrap_or(Lane::REST);
    let mut decision = Decision {
        regions: Vec::new(),
        reach: Reach::NOBODY,
        channels: BTreeSet::new(),
        lane: if exercise { Lane::REST } else { lane },
        approval: approval(&matched, rules, alert),
        template: matched.iter().find_map(|rule| rule.template.clone()),
        rules: verdicts,
        withheld,
    };
    if withheld.is_none() {
        decision.reach = reach;
        decision.channels = matched.iter().flat_map(|rule| rule.channels.iter().copied()).collect();
        decision.regions = regions(&matched, located, map);
    }
    decision
}

/// The strictest approval of the rules. An alert that speaks of several dangers at once is looked at by an officer: one message
/// cannot say both to everyone.
fn approval(matched: &[&Rule], rules: &RuleSet, alert: &Alert) -> Approval {
    let named = matched.iter().map(|rule| rules.approval(&rule.approval));
    let wanted = named.reduce(Approval::stricter).unwrap_or_else(|| rules.approval("one"));
    let dangers: BTreeSet<_> = alert.infos.iter().map(Hazard::of).filter(|hazard| *hazard != Hazard::Other).collect();
    let several = dangers.len() > 1 && alert.msg_type != MsgType::Cancel;
    if several { wanted.stricter(rules.approval("one")) } else { wanted }
}

/// What no rule can change about whether an alert goes out.
fn withheld(alert: &Alert, located: &Located, now: DateTime<Utc>) -> Option<Withheld> {
    match (alert.status, alert.msg_type) {
        (Status::System | Status::Test | Status::Draft, _) => return Some(Withheld::NotForPeople),
        (_, MsgType::Ack | MsgType::Error) => return Some(Withheld::NoWarning),
        _ => {}
    }
    if alert.scope == Scope::Private {
        return Some(Withheld::PrivateScope);
    }
    // A Cancel goes to those told before, wherever and whenever they were.
    if alert.msg_type == MsgType::Cancel {
        return None;
    }
    if alert.expires().is_some_and(|expires| expires.to_utc() <= now) {
        return Some(Withheld::Expired);
    }
    located.counties.is_empty().then_some(Withheld::NoRegion)
}

/// The lists that the rules may reach with this alert.
fn reach(alert: &Alert, wanted: &BTreeSet<Audience>) -> Reach {
    if alert.status == Status::Exercise {
        return if wanted.is_empty() { Reach::NOBODY } else { Reach::Exercise };
    }
    let public = alert.scope == Scope::Public && wanted.contains(&Audience::Public);
    Reach::Live { public, officials: wanted.contains(&Audience::Officials) }
}

fn regions(matched: &[&Rule], located: &Located, map: &RegionMap) -> Vec<RegionCode> {
    let mut regions = BTreeSet::new();
    for rule in matched {
        let own: Vec<_> = located.counties.iter().map(|found| found.region.clone()).collect();
        if rule.regions.neighbours {
            regions.extend(own.iter().flat_map(|county| map.neighbours(county)).map(|region| region.code.clone()));
        }
        if rule.regions.matched {
            regions.extend(own);
        }
        regions.extend(
            rule.regions.also.iter().flat_map(|code| map.counties_below(code)).map(|region| region.code.clone()),
        );
    }
    regions.into_iter().collect()
}

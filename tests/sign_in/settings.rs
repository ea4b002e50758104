//! Bureaus, rules and channels of the configuration: wider ones wait for an administrator, narrower ones do not.

use tocsin::app::App;
use tocsin::cap::Hazard;
use tocsin::clock::Clock as _;
use tocsin::config::Config;
use tocsin::grave::GraveSettings;
use tocsin::messages::{Language, Templates};
use tocsin::store::RecordFilter;

use crate::house::{Browser, House, Own, Page, sha256, tamper};
use crate::support::{Cma, tocsin};

const ADMINISTRATORS: &[(&str, &[&str])] = &[("li", &["administrator:*"]), ("wang", &["administrator:*"])];

/// One bureau, Zhejiang's.
fn bureau(regions: &str) -> String {
    format!("[[bureau]]\nname = \"zhejiang\"\ntoken_sha256 = \"{}\"\nregions = [{regions}]\n", sha256("token"))
}

fn regions(house: &House) -> Vec<String> {
    let policy = house.app().policy.load();
    policy.bureaus.iter().flat_map(|bureau| bureau.regions.iter().map(ToString::to_string)).collect()
}

async fn reload(house: &House, config: &str) {
    house.write(config);
    house.app().reload(&house.config()).await.unwrap();
}

async fn house_of(config: &str) -> (House, Own, Browser) {
    let house = House::start(config).await;
    let [li, _] = house.officers(ADMINISTRATORS).await.try_into().ok().unwrap();
    let browser = house.signed_in(&li).await;
    (house, li, browser)
}

/// A house whose words lie in a folder of its own, as they are shipped.
async fn with_own_words() -> House {
    let ready = |folder: &std::path::Path| {
        for (name, text) in Templates::shipped_files() {
            let path = folder.join("words").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    };
    House::start_with("[templates]\nfolder = \"{folder}/words\"\n", ready).await
}

/// Agrees to the first thing that waits.
async fn agree(browser: &Browser, code: &str) -> Page {
    let page = browser.get("/console/people").await;
    let (_, rest) = page.body.split_once("/console/people/proposals/").expect("something waits");
    let id = rest.split('"').next().unwrap();
    browser.act(&format!("/console/people/proposals/{id}"), &[("agree", "1"), ("code", code)]).await
}

/// What an alert for Shanghai, sent with the bureau's token, is answered.
async fn shanghai(house: &House, identifier: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/api/v1/alerts", house.url)).bearer_auth("token");
    request
        .header("content-type", "application/cap+xml")
        .body(Cma::new(identifier).xml())
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_bureau_is_silent_until_an_administrator_agrees_and_then_speaks_at_once() {
    let (house, li, browser) = house_of(&bureau("\"330000\"")).await;
    reload(&house, &bureau("\"330000\", \"310000\"")).await;
    assert_eq!(regions(&house), ["330000"]);
    assert_eq!(shanghai(&house, "1").await, 403);

    let page = browser.get("/console/people").await.body;
    assert!(page.contains("bureau zhejiang · regions"), "{page}");
    assert!(page.contains("<ins>310000 Shanghai"), "{page}");
    // Presence is proved anew: the sign-in is too long ago.
    house.clock.forward(chrono::TimeDelta::minutes(6));
    assert_eq!(agree(&browser, "").await.status, 403);
    assert_eq!(regions(&house), ["330000"]);
    let agreed = agree(&browser, &li.code()).await;
    assert_eq!(agreed.location.as_deref(), Some("/console/people"), "{}", agreed.body);
    assert_eq!(regions(&house), ["330000", "310000"]);
    assert_eq!(shanghai(&house, "2").await, 201);
    assert!(!browser.get("/console/people").await.body.contains("/console/people/proposals/"));

    let record = house.app().store.record_from(0, 1_000).await.unwrap();
    let of = |kind: &str| record.iter().find(|line| line.kind == kind && line.detail.contains("+310000"));
    assert_eq!(of("proposal").unwrap().actor, "operator");
    assert_eq!(of("proposal.agree").unwrap().actor, "li");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_bring_wider_settings_into_force() {
    let (mut house, _, _) = house_of(&bureau("\"330000\"")).await;
    let other = format!("[[bureau]]\nname = \"new\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\n", sha256("new"));
    let wide = bureau("\"330000\"").replace(&sha256("token"), &sha256("stolen")) + &other;
    for _ in 0..2 {
        house.stop().await;
        house.write(&wide);
        house.run().await;
        let policy = house.app().policy.load_full();
        let [kept] = policy.bureaus.as_slice() else { panic!("{:?}", policy.bureaus) };
        // The bureau's own token still speaks, the other one does not.
        assert_eq!((kept.name.as_str(), policy.bureau("token").is_some()), ("zhejiang", true));
        assert!(policy.bureau("stolen").is_none() && policy.bureau("new").is_none());
    }
    let (fine, said, _) = tocsin(&house.config(), &["config", "check"]);
    assert!(fine);
    for line in ["An administrator has to agree", "bureau new · regions: +310000", "bureau zhejiang · token_sha256"] {
        assert!(said.contains(line), "{said}");
    }
    // Asked for once, however often it is started.
    let record = house.app().store.record_from(0, 1_000).await.unwrap();
    assert_eq!(record.iter().filter(|line| line.kind == "proposal" && line.subject == "settings").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_authority_away_holds_at_once_and_giving_it_back_waits() {
    let (house, _, browser) = house_of(&bureau("\"310000\", \"330000\"")).await;
    reload(&house, &bureau("\"330100\"")).await;
    assert_eq!(regions(&house), ["330100"]);
    reload(&house, &bureau("\"310000\", \"330000\"")).await;
    assert_eq!(regions(&house), ["330100"]);
    reload(&house, "").await;
    assert!(regions(&house).is_empty());
    // What nobody asks for any more does not wait either.
    assert!(!browser.get("/console/people").await.body.contains("/console/people/proposals/"));
    reload(&house, &bureau("\"330100\"")).await;
    assert!(regions(&house).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_ask_fewer_officers_wait_and_a_comment_does_not() {
    let ready = |folder: &std::path::Path| std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    let house = House::start_with("[rules]\nfile = \"{folder}/rules.toml\"\n", ready).await;
    let [li, _] = house.officers(ADMINISTRATORS).await.try_into().ok().unwrap();
    let browser = house.signed_in(&li).await;
    let approval = |house: &House| {
        let policy = house.app().policy.load();
        policy.rules.rules.iter().map(|rule| rule.approval.clone()).collect::<Vec<_>>()
    };
    let before = approval(&house);
    let write = |text: &str| std::fs::write(house.folder.path().join("rules.toml"), text).unwrap();
    write(&format!("# A comment\n{RULES}"));
    house.app().reload(&house.config()).await.unwrap();
    assert!(!browser.get("/console/people").await.body.contains("/console/people/proposals/"));

    write(&RULES.replace("approval = \"two\"", "approval = \"none\""));
    house.app().reload(&house.config()).await.unwrap();
    assert_eq!(approval(&house), before);
    let page = browser.get("/console/people").await.body;
    assert!(page.contains("rule red · approval <del>two</del> <ins>none</ins>"), "{page}");
    agree(&browser, &li.code()).await;
    assert_eq!(approval(&house), ["none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_in_which_earthquakes_go_out_without_an_officer_wait_for_an_administrator() {
    let mut house = with_own_words().await;
    let [li, _] = house.officers(ADMINISTRATORS).await.try_into().ok().unwrap();
    let words = house.folder.path().join("words");
    let advice =
        |house: &House| house.app().policy.load().templates.advice(Hazard::Earthquake, Language::Chinese).unwrap();
    assert!(advice(&house).contains("伏地"));
    std::fs::write(words.join("common/zh-CN/advice.txt"), "请留在原地").unwrap();
    let quake = words.join("sms/zh-CN/message.earthquake.txt");
    std::fs::write(&quake, std::fs::read_to_string(&quake).unwrap() + "请转账\n").unwrap();
    house.app().reload(&house.config()).await.unwrap();
    assert!(advice(&house).contains("伏地"), "nobody has agreed");
    // Nor by a new start.
    house.stop().await;
    house.run().await;
    assert!(advice(&house).contains("伏地"));
    let browser = house.signed_in(&li).await;
    let page = browser.get("/console/people").await.body;
    assert!(page.contains("template sms/zh-CN/message.earthquake.txt") && page.contains("<ins>请转账</ins>"), "{page}");
    agree(&browser, &li.code()).await;
    assert_eq!(advice(&house), "请留在原地");
}

/// What was agreed to before words counted says nothing of them: those that are there at the update are agreed to with it.
#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_there_at_the_update_that_made_them_grave_hold_and_others_wait_from_then_on() {
    let mut house = with_own_words().await;
    let older =
        GraveSettings { templates: None, ..GraveSettings::of(&Config::load(&house.config()).unwrap()).unwrap() };
    let map = &house.app().policy.load_full().map;
    house.app().staff.take_settings(&older, map).await.unwrap();
    house.officers(ADMINISTRATORS).await;
    house.stop().await;
    let advice = house.folder.path().join("words/common/zh-CN/advice.txt");
    for (text, holds) in [("请留在原地", "请留在原地"), ("请转账", "请留在原地")] {
        std::fs::write(&advice, text).unwrap();
        house.run().await;
        let policy = house.app().policy.load_full();
        assert_eq!(policy.templates.advice(Hazard::Earthquake, Language::Chinese).unwrap(), holds);
        house.stop().await;
    }
}

/// A version that said less has left the words that were agreed to; this one says more.
#[tokio::test(flavor = "multi_thread")]
async fn words_agreed_to_before_this_version_stay_as_far_as_they_do_and_that_they_do_not_is_on_record() {
    let mut house = House::start("").await;
    let mut older = GraveSettings::of(&Config::load(&house.config()).unwrap()).unwrap();
    let words = older.templates.as_mut().unwrap();
    words.retain(|name, _| !name.ends_with("/description.txt"));
    words.insert("common/zh-CN/advice.txt".into(), "请留在原地".into());
    let map = &house.app().policy.load_full().map;
    house.app().staff.take_settings(&older, map).await.unwrap();
    house.officers(ADMINISTRATORS).await;
    house.stop().await;
    house.run().await;
    let policy = house.app().policy.load_full();
    assert_eq!(policy.templates.advice(Hazard::Earthquake, Language::Chinese).unwrap(), "请留在原地");
    let filter = RecordFilter { kind: Some("settings.words".into()), ..RecordFilter::default() };
    let lines = house.app().store.record_lines(&filter, 10).await.unwrap();
    assert!(lines.len() == 1 && lines[0].detail.contains("description.txt is missing"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_this_version_cannot_read_are_named_with_who_agreed_when_and_what_to_do() {
    let rules = |more: &str| format!("{RULES}{more}");
    let ready = |folder: &std::path::Path| std::fs::write(folder.join("rules.toml"), RULES).unwrap();
    let mut house = House::start_with("[rules]\nfile = \"{folder}/rules.toml\"\n", ready).await;
    let mut other = GraveSettings::of(&Config::load(&house.config()).unwrap()).unwrap();
    other.rules = rules("what_another_version_knew = 1\n");
    let digest = sha256(&other.rules);
    let map = &house.app().policy.load_full().map;
    house.app().staff.take_settings(&other, map).await.unwrap();
    // As if an administrator had agreed.
    house.officers(ADMINISTRATORS).await;
    let by_li = "UPDATE agreed SET by_officer = (SELECT id FROM officer WHERE login = 'li') WHERE id = (SELECT MAX(id) FROM agreed)";
    tamper(house.folder.path(), by_li).await;
    let agreed = house.clock.now();
    house.clock.forward(chrono::TimeDelta::days(3));
    house.stop().await;
    let config = Config::load(&house.config()).unwrap();
    let error = App::start(&config, std::sync::Arc::new(house.clock.clone())).await.err().unwrap().to_string();
    let since = format!("(SHA-256 {digest}; li agreed, {}", agreed.format("%Y-%m-%dT%H:%M"));
    for part in ["T9001: the rule set in force ", &since, "what_another_version_knew", "go back to the version before"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let (fine, said, why) = tocsin(&house.config(), &["config", "check"]);
    assert!(!fine && why.contains("T9001") && why.contains(&since), "known before a start: {said}{why}");
    let manual = include_str!("../../docs/operators.md");
    assert!(manual.contains("T9001") && manual.contains("**Another version**"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_is_not_offered_to_agree_and_another_administrator_is() {
    let house = House::start("").await;
    let all = [ADMINISTRATORS, &[("zhao", &["author:310000"] as &[&str])]].concat();
    let [li, wang, _] = house.officers(&all).await.try_into().ok().unwrap();
    let (li, wang) = (house.signed_in(&li).await, house.signed_in(&wang).await);
    let page = li.get("/console/people").await.body;
    let row = page.split("<td>zhao</td>").nth(1).unwrap();
    let role = row.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
    let asked = li.act(role, &[("role", "signer"), ("region", "310000"), ("give", "1")]).await;
    assert_eq!(asked.status, 303, "{}", asked.body);
    for (browser, agrees) in [(&li, false), (&wang, true)] {
        let page = browser.get("/console/people").await.body;
        assert!(page.contains("/console/people/proposals/") && page.contains("name=\"refuse\""), "{page}");
        assert_eq!(page.contains("name=\"agree\""), agrees, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_was_tampered_with_is_not_done() {
    let (house, li, browser) = house_of(&bureau("\"330000\"")).await;
    reload(&house, &bureau("\"330000\", \"310000\"")).await;
    let folder = house.folder.path();
    tamper(folder, "UPDATE proposal SET body = replace(body, '\"digest\":\"', '\"digest\":\"0') WHERE state = 'open'")
        .await;
    let page = agree(&browser, &li.code()).await;
    assert_eq!(page.status, 422, "{}", page.body);
    assert!(page.body.contains("not what was proposed"), "{}", page.body);
    assert_eq!(regions(&house), ["330000"]);
    // Nor settings that somebody wrote who has the store, and not the key.
    let sql = "UPDATE proposal SET body = replace(body, '\"sealed\":\"', '\"sealed\":\"AAAA') WHERE state = 'open'";
    tamper(folder, sql).await;
    assert_eq!(agree(&browser, &li.code()).await.status, 422);
    assert_eq!(regions(&house), ["330000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_keep_the_whole_service_agrees_to_nothing() {
    let house = House::start(&bureau("\"330000\"")).await;
    let all: &[(&str, &[&str])] =
        &[ADMINISTRATORS[0], ADMINISTRATORS[1], ("zhao", &["administrator:330000", "signer:*"])];
    let [_, _, zhao] = house.officers(all).await.try_into().ok().unwrap();
    reload(&house, &bureau("\"330000\", \"310000\"")).await;
    let browser = house.signed_in(&zhao).await;
    let page = browser.act("/console/people/proposals/1", &[("agree", "1"), ("code", &zhao.code())]).await;
    assert_eq!(page.status, 403);
    assert_eq!(regions(&house), ["330000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_administrator_nothing_waits() {
    let house = House::start(&bureau("\"330000\"")).await;
    house.officers(&[("li", &["administrator:*"]), ("zhao", &["administrator:330000"])]).await;
    reload(&house, &bureau("\"330000\", \"310000\"")).await;
    assert_eq!(regions(&house), ["330000", "310000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_through_the_provider_that_was_agreed_to_across_restarts() {
    let mail = |host: &str, rate: u32| {
        format!(
            "[channels.email]\nrate = {{ per_second = {rate} }}\n[channels.email.via]\nrelays = [{{ host = \"{host}\", port = 2525 }}]\n\
             from = \"warn@example.org\"\ndomain = \"example.org\"\n"
        )
    };
    let (mut house, li, browser) = house_of(&mail("127.0.0.1", 7)).await;
    let wanted = |house: &House| Config::load(&house.config()).unwrap();
    house.stop().await;
    house.write(&mail("127.0.0.2", 9));
    house.run().await;
    let standing = async |house: &House| {
        let wanted = GraveSettings::of(&wanted(house)).unwrap();
        let map = &house.app().policy.load_full().map;
        house.app().staff.standing(&wanted, map).await.unwrap()
    };
    // The pace is the operator's own; the provider is not.
    assert_eq!(house.app().rates.values().copied().collect::<Vec<_>>(), [9]);
    let stands = standing(&house).await;
    let via = stands.in_force.channels(&wanted(&house)).unwrap().email.unwrap().via;
    assert!(format!("{via:?}").contains("127.0.0.1"), "{via:?}");
    let page = browser.get("/console/people").await.body;
    assert!(page.contains("channel email · via.relays"), "{page}");
    assert!(page.contains("at the next start"), "{page}");
    agree(&browser, &li.code()).await;
    let stands = standing(&house).await;
    assert!(stands.waits.is_empty());
    let via = stands.in_force.channels(&wanted(&house)).unwrap().email.unwrap().via;
    assert!(format!("{via:?}").contains("127.0.0.2"), "{via:?}");
}

const RULES: &str = r#"
[[rule]]
name = "red"
when = { colour = ["red"] }
audience = ["public"]
channels = ["sms"]
priority = 0
approval = "two"
"#;

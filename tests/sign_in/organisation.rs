//! Sign-in through a real OpenID Connect provider, from the button to the console, and what an attacker tries on the way.

use std::path::Path;

use tocsin::officers::OfficerId;
use tocsin_sinks::real::{Program, free_port, wait_for};

use crate::house::{Browser, House, Own, Page};

const SECRET: &str = "a secret of forty letters and more, at least";

struct Provider {
    program: Program,
    url: String,
}

/// The provider, and the program that trusts it; None where npm's library is not there.
async fn set_up() -> Option<(Provider, House)> {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/node_modules/oidc-provider/lib/index.js");
    if !Path::new(library).exists() {
        eprintln!("skipped: npm's oidc-provider is not there; `cargo xtask test` installs it");
        return None;
    }
    let port = free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let ready = |folder: &Path| std::fs::write(folder.join("oidc"), format!("{SECRET}\n")).unwrap();
    let config = format!(
        "[console.oidc]\nissuer = \"{url}\"\nclient_id = \"tocsin\"\nclient_secret_file = \"{{folder}}/oidc\"\nname = \"City hall\"\n"
    );
    let house = House::start_with(&config, ready).await;
    // The provider keeps the machine's time; ours goes on with every code.
    house.clock.forward(-chrono::TimeDelta::minutes(10));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sign_in/provider.mjs");
    let back = format!("{}/sign-in/organisation/back", house.url);
    let arguments = [script, library, &port.to_string(), &back, SECRET];
    let program = Program::start("node", &arguments, &house.folder.path().join("provider.log")).unwrap();
    wait_for(([127, 0, 0, 1], port).into()).unwrap();
    Some((Provider { program, url }, house))
}

/// Two administrators, and an officer without a factor of their own who is tied to `zhang.san` at the provider.
async fn staff(house: &House) -> (Own, Own) {
    let new = tocsin::staff::NewOfficer {
        login: "zhang".parse().unwrap(),
        name: "Zhang".into(),
        language: tocsin::messages::Language::English,
        grants: vec![tocsin::officers::Grant::parse("signer:*").unwrap()],
    };
    house.app().staff.invite(&new, None).await.unwrap();
    let all: &[(&str, &[&str])] = &[("li", &["administrator:*"]), ("wang", &["administrator:*"])];
    let [li, wang] = house.officers(all).await.try_into().ok().unwrap();
    let zhang = house.app().store.officer_by_login(&"zhang".parse().unwrap()).await.unwrap().unwrap();
    tie(house, &li, &wang, zhang.id, "zhang.san").await;
    (li, wang)
}

/// One administrator ties, the other one agrees.
async fn tie(house: &House, one: &Own, other: &Own, officer: OfficerId, subject: &str) {
    let browser = house.signed_in(one).await;
    let tied = browser.act(&format!("/console/people/{officer}/tie"), &[("subject", subject)]).await;
    assert_eq!(tied.location.as_deref(), Some("/console/people"), "{}", tied.body);
    let browser = house.signed_in(other).await;
    let page = browser.get("/console/people").await.body;
    let Some((_, rest)) = page.split_once("/console/people/proposals/") else { return };
    let path = format!("/console/people/proposals/{}", rest.split('"').next().unwrap());
    let agreed = browser.act(&path, &[("agree", "1"), ("code", &other.code())]).await;
    assert_eq!(agreed.location.as_deref(), Some("/console/people"), "{}", agreed.body);
}

/// Goes on at the provider as a person would, until it sends the browser back; gives the address it sends to.
async fn at_the_provider(browser: &Browser, provider: &Provider, from: &Page, name: &str) -> String {
    let mut next = from.location.clone().unwrap_or_else(|| panic!("{}", from.body));
    for _ in 0..20 {
        if next.contains("/sign-in/organisation/back") {
            return next;
        }
        let url = if next.starts_with('/') { format!("{}{next}", provider.url) } else { next.clone() };
        let mut page = browser.get(&url).await;
        if page.location.is_none() {
            let form = page.body.split_once("action=\"").unwrap_or_else(|| panic!("{page:?}")).1;
            let action = form.split('"').next().unwrap().to_owned();
            let action = if action.starts_with('/') { format!("{}{action}", provider.url) } else { action };
            let prompt = page.field("prompt");
            page = browser.post(&action, &[("prompt", &prompt), ("login", name), ("password", "any")]).await;
        }
        next = page.location.clone().unwrap_or_else(|| panic!("{page:?}"));
    }
    panic!("the provider goes round in circles");
}

async fn leave(house: &House, browser: &Browser, next: &str) -> Page {
    let page = browser.get(&format!("/sign-in/organisation?next={next}")).await;
    assert!(page.location.is_some(), "{}\n{}", page.body, house.url);
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_comes_in_through_the_organisation_and_proves_presence_there() {
    let Some((provider, house)) = set_up().await else { return };
    let (li, wang) = staff(&house).await;
    let browser = house.browser();
    assert!(browser.get("/sign-in").await.body.contains("City hall"));
    let gone = leave(&house, &browser, "/console/duty").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    let page = browser.get(&back).await;
    assert_eq!(page.location.as_deref(), Some("/console/duty"), "{}", page.body);
    assert!(page.cookies.iter().any(|cookie| cookie.starts_with("tocsin-errand=;")), "{:?}", page.cookies);

    let session = async || {
        let token = browser.jar.lock().unwrap()[&(format!("localhost:{}", house.port), "tocsin".to_owned())].clone();
        house.app().staff.session(&token, false).await.unwrap().unwrap()
    };
    // Who signed in at the provider this morning has not proved to be there now.
    let fresh = session().await;
    assert_eq!((fresh.officer.login.as_str(), fresh.proved, fresh.factors.any()), ("zhang", false, false));
    assert!(house.app().staff.prove(&fresh, "").await.is_err());
    let gone = browser.get("/sign-in/organisation/again?next=/console").await;
    let asked = gone.location.clone().unwrap();
    assert!(asked.contains("max_age=0") && asked.contains("prompt=login"), "{asked}");
    // Somebody else at the provider proves nothing of this officer's.
    let other = house.app().store.officer_by_login(&"wang".parse().unwrap()).await.unwrap().unwrap();
    tie(&house, &li, &wang, other.id, "wang.wu").await;
    let ours = format!("localhost:{}", house.port);
    browser.jar.lock().unwrap().retain(|(host, _), _| *host == ours);
    let back = at_the_provider(&browser, &provider, &gone, "wang.wu").await;
    assert_eq!(browser.get(&back).await.status, 403);
    browser.jar.lock().unwrap().retain(|(host, _), _| *host == ours);
    assert!(!session().await.proved);
    let gone = browser.get("/sign-in/organisation/again?next=/console").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    let page = browser.get(&back).await;
    assert_eq!(page.location.as_deref(), Some("/console"), "{}", page.body);
    assert!(session().await.proved);
    house.app().staff.prove(&session().await, "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_code_of_their_own_proves_presence_with_it_and_not_at_the_provider() {
    let Some((provider, house)) = set_up().await else { return };
    let (li, wang) = staff(&house).await;
    let id = house.app().store.officer_by_login(&"li".parse().unwrap()).await.unwrap().unwrap().id;
    tie(&house, &wang, &li, id, "li.si").await;
    let browser = house.browser();
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "li.si").await;
    assert_eq!(browser.get(&back).await.location.as_deref(), Some("/console"));
    let gone = browser.get("/sign-in/organisation/again").await;
    let back = at_the_provider(&browser, &provider, &gone, "li.si").await;
    let page = browser.get(&back).await;
    assert_eq!(page.status, 422, "{}", page.body);
    assert!(page.body.contains("请使用您自己的动态码"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_to_this_browsers_question_are_refused() {
    let Some((provider, house)) = set_up().await else { return };
    staff(&house).await;
    let refused = |page: &Page| {
        assert_eq!(page.status, 403, "{}", page.body);
        assert!(page.body.contains("T6114"), "{}", page.body);
        assert!(!page.cookies.iter().any(|cookie| cookie.starts_with("tocsin=")), "{:?}", page.cookies);
    };
    // Another state.
    let browser = house.browser();
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    let state = back.split_once("state=").unwrap().1.split('&').next().unwrap();
    refused(&browser.get(&back.replace(state, "forged")).await);
    // The errand went with it: the right state comes too late.
    refused(&browser.get(&back).await);

    // Another browser gets nothing for a stolen address: neither without an errand nor with one of its own.
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    let thief = house.browser();
    refused(&thief.get(&back).await);
    leave(&house, &thief, "").await;
    refused(&thief.get(&back).await);

    // A code is good for once, even for the browser whose it was.
    let errand = browser.jar.lock().unwrap().clone();
    assert_eq!(browser.get(&back).await.location.as_deref(), Some("/console"));
    let again = house.browser();
    *again.jar.lock().unwrap() = errand;
    refused(&again.get(&back).await);

    // An errand grows old.
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    house.clock.forward(chrono::TimeDelta::minutes(11));
    refused(&browser.get(&back).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_stay_out_and_nobody_is_sent_to_another_site() {
    let Some((mut provider, house)) = set_up().await else { return };
    staff(&house).await;
    let browser = house.browser();
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "stranger").await;
    let page = browser.get(&back).await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("T6111") && page.body.contains("stranger"), "{}", page.body);

    let browser = house.browser();
    let gone = leave(&house, &browser, "https%3A%2F%2Fevil.example%2Fconsole").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    assert_eq!(browser.get(&back).await.location.as_deref(), Some("/console"));

    // Suspended here is suspended there.
    let li = house.app().store.officer_by_login(&"li".parse().unwrap()).await.unwrap().unwrap();
    let zhang = house.app().store.officer_by_login(&"zhang".parse().unwrap()).await.unwrap().unwrap();
    house.app().staff.suspend(zhang.id, false, &li).await.unwrap();
    let browser = house.browser();
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    assert_eq!(browser.get(&back).await.status, 403);

    // The provider goes down between question and answer.
    let gone = leave(&house, &browser, "").await;
    let back = at_the_provider(&browser, &provider, &gone, "zhang.san").await;
    provider.program.kill();
    let page = browser.get(&back).await;
    assert_eq!(page.status, 502);
    assert!(page.body.contains("T6112"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_does_not_keep_the_service_from_starting_and_says_so_when_asked() {
    let config = "[console.oidc]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"tocsin\"\n";
    let house = House::start(config).await;
    let page = house.browser().get("/sign-in/organisation").await;
    assert_eq!(page.status, 502);
    assert!(page.body.contains("T6112"), "{}", page.body);
    let without = House::start("").await;
    let page = without.browser().get("/sign-in/organisation").await;
    assert_eq!(page.status, 404);
}

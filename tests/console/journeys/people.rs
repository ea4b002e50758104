//! In, out, still there; who may do what, and who agrees to it.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin::messages::Language;
use tocsin::officers::Totp;

use crate::browser::{Browser, DESKTOP};
use crate::officers::{PASSWORD, next_code};
use crate::stage::{Props, UNPROVED};

/// The authenticator of a key as people type it.
fn authenticator(base32: &str) -> Totp {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<bool> = base32
        .chars()
        .map(|c| letters.find(c).unwrap())
        .flat_map(|five| (0..5).rev().map(move |bit| five >> bit & 1 == 1))
        .collect();
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect();
    Totp::new(bytes.try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_invited_comes_in_and_gets_a_grave_role_from_two_administrators() {
    let props = Props::new(None, 100).await;
    let roll = props.roll(UNPROVED).await;
    let mut first = roll.officer("admin", "管理员甲", Language::Chinese, "administrator:*").await;
    let mut second = roll.officer("admin2", "Administrator B", Language::English, "administrator:*").await;
    roll.close().await;
    let stage = props.start();
    let url = stage.server.url.clone();
    let (mut one, two, mut new) = tokio::join!(
        Browser::open(&url, "people-admin", DESKTOP),
        Browser::open(&url, "people-second", DESKTOP),
        Browser::open(&url, "people-new", DESKTOP),
    );
    one.forgive("status of 403");
    one.forgive("status of 409");
    new.forgive("status of 403");
    new.forgive("status of 422");

    // Signed in by password and code; nothing says which part was wrong.
    one.goto("/console").await;
    assert_eq!(one.place().await, "/sign-in?next=%2Fconsole");
    one.fill("[name=login]", "admin").await;
    one.fill("[name=password]", "not the password").await;
    one.fill("[name=code]", "000000").await;
    one.follow("main button").await;
    assert!(one.text("main [role=alert]").await.contains("不正确"));
    one.shot("wrong").await;
    one.fill("[name=password]", PASSWORD).await;
    one.fill("[name=code]", &first.code().await).await;
    one.follow("main button").await;
    assert_eq!(one.place().await, "/console");

    // Invited.
    one.goto("/console/people").await;
    one.fill("[name=login]", "li.ming").await;
    one.fill("[name=name]", "李明").await;
    one.fill("[name=grants]", "author:310000\nsigner:310000").await;
    one.follow("form[action='/console/people'] button").await;
    let link = one.text("#link").await;
    assert!(link.starts_with(&url), "{link}");
    one.shot("invited").await;
    // One's own proposal is not one's own to agree to.
    one.goto("/console/people").await;
    assert!(one.count("form[action*='/proposals/']").await > 0, "{}", one.text("main").await);
    assert_eq!(one.count("[name=agree]").await, 0, "it is not offered");

    // The invitation: a weak password first, then the same key holds.
    new.goto(&link).await;
    let totp = authenticator(&new.text("#secret").await);
    let mut used = DateTime::<Utc>::UNIX_EPOCH;
    new.shot("invitation").await;
    let code = next_code(&totp, &mut used).await;
    new.fill("[name=password]", "aaaaaaaaaaaa").await;
    new.fill("[name=code]", &code).await;
    new.follow("main button").await;
    assert!(!new.text("main [role=alert]").await.is_empty());
    new.shot("weak").await;
    new.fill("[name=password]", "three cranes over the lake").await;
    new.fill("[name=code]", &code).await;
    new.follow("main button").await;
    assert_eq!(new.place().await, "/sign-in");
    new.fill("[name=login]", "li.ming").await;
    new.fill("[name=password]", "three cranes over the lake").await;
    new.fill("[name=code]", &next_code(&totp, &mut used).await).await;
    new.follow("main button").await;
    assert_eq!(new.place().await, "/console", "{}", new.text("main").await);
    new.goto("/console/me").await;
    let roles = new.text("main p").await;
    assert!(roles.contains("撰写员") && !roles.contains("签发员"), "the grave role waits: {roles}");
    new.goto(&link).await;
    assert!(new.text("main").await.contains("T6105"), "a link works once");
    new.forgive("status of 404");

    // A token for programs, which waits for an administrator too.
    new.goto("/console/me").await;
    new.fill("form[action$='/tokens'] [name=name]", "排班大屏").await;
    new.click("[value=read]").await;
    new.follow("form[action$='/tokens'] button").await;
    let told = new.text("[role=status]").await;
    let token = told.split_whitespace().find(|word| word.contains("tocsin_")).unwrap();
    let token = &token[token.find("tocsin_").unwrap()..];
    new.shot("token").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let queue = || client.get(format!("{url}/api/v1/queue")).bearer_auth(token).send();
    assert_eq!(queue().await.unwrap().status(), 401, "not agreed to yet");

    // The second administrator agrees to both, with a code.
    two.enter(&second.session).await;
    two.goto("/console/people").await;
    assert_eq!(two.count("form[action*='/proposals/']").await, 2);
    two.shot("proposals").await;
    two.fill("form[action*='/proposals/'] [name=code]", &second.code().await).await;
    two.follow("[name=agree]").await;
    two.follow("[name=agree]").await;
    assert_eq!(two.count("form[action*='/proposals/']").await, 0, "{}", two.text("main").await);
    new.goto("/console/me").await;
    assert!(new.text("main p").await.contains("签发员"));
    assert_eq!(queue().await.unwrap().status(), 200);
    new.shot("me").await;
    new.follow("form[action$='/tokens/end'] button").await;
    assert_eq!(queue().await.unwrap().status(), 401, "ended");

    // Out: the page is gone, and so is what the cookie was good for.
    new.follow("form[action='/sign-out'] button").await;
    assert_eq!(new.place().await, "/sign-in");
    new.goto("/console/me").await;
    assert!(new.place().await.starts_with("/sign-in"));
    for browser in [&one, &two, &new] {
        browser.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_before_the_session_ends_can_be_answered() {
    let props = Props::new(None, 100).await;
    let roll = props.roll(TimeDelta::seconds(13 * 60 + 10)).await;
    let officer = roll.officer("li", "李明", Language::Chinese, "operator:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "idle", DESKTOP).await;
    browser.enter(&officer.session).await;
    // What a page asks for by itself keeps nobody signed in; a person who opens one would.
    browser.cdp("Network.enable", serde_json::json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", serde_json::json!({"headers": {"x-by-itself": "1"}})).await;
    browser.goto("/console").await;
    browser.cdp("Network.setExtraHTTPHeaders", serde_json::json!({"headers": {}})).await;
    browser.until("it asks", "return document.querySelector('#idle')?.open === true").await;
    browser.shot("asked").await;
    let before = browser.run("return Number(document.body.dataset.until) - Date.now()").await.as_f64().unwrap();
    assert!(before < 120_000.0, "{before}");
    browser.press(crate::browser::ENTER).await;
    browser.until("it is answered", "return document.querySelector('#idle').open === false").await;
    browser.goto("/console").await;
    let left = browser.run("return Number(document.body.dataset.until) - Date.now()").await.as_f64().unwrap();
    assert!(left > 800_000.0, "{left}");
    browser.assert_quiet().await;
}

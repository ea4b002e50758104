//! A queue that stays open; hands on the keyboard alone; no script at all.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP, ENTER, Look, TAB};
use crate::stage::{Props, Stage, UNPROVED, eventually, rules, step};
use crate::support::{Cma, RED};

async fn post(stage: &Stage, identifier: &str, event: (&'static str, &'static str)) {
    let mut alert = Cma::new(identifier);
    (alert.colour, alert.event) = (RED, event);
    let (status, answer) = stage.server.post(alert.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_queue_fills_by_itself_keeps_the_focus_counts_and_says_when_it_is_cut_off() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    let roll = props.roll(UNPROVED).await;
    let officer = roll.officer("li", "李明", Language::Chinese, "signer:310000").await;
    let elsewhere = roll.officer("su", "苏州", Language::Chinese, "signer:320000").await;
    roll.close().await;
    let mut stage = props.start();
    let (mut browser, other) = tokio::join!(
        Browser::open(&stage.server.url, "queue", DESKTOP),
        Browser::open(&stage.server.url, "queue-elsewhere", DESKTOP)
    );
    browser.enter(&officer.session).await;
    other.enter(&elsewhere.session).await;
    browser.goto("/console").await;
    other.goto("/console").await;
    assert!(!browser.title().await.starts_with('('));
    browser.shot("empty").await;
    post(&stage, "one", ("台风", "Typhoon")).await;
    browser
        .until(
            "it is there",
            "return document.querySelectorAll('.cards .card').length === 1 && document.title.startsWith('(1)')",
        )
        .await;
    other.until("others decide it", "return document.querySelectorAll('.others .card').length === 1").await;
    assert!(!other.title().await.starts_with('('), "nothing waits for Jiangsu: {}", other.title().await);

    // The focus stays where it is when more comes.
    browser.press("j").await;
    let focused = "return document.activeElement?.getAttribute('href') ?? ''";
    let before = browser.run(focused).await;
    assert_ne!(before, "");
    post(&stage, "two", ("暴雨", "Rainstorm")).await;
    browser
        .until(
            "it counts",
            "return document.title.startsWith('(2)') && document.querySelectorAll('.cards .card').length === 2",
        )
        .await;
    assert_eq!(browser.run(focused).await, before, "the focus is kept");
    browser.shot("two").await;

    // Who has it open is seen.
    other.follow(".cards a").await;
    browser.until("who has it open", "return document.querySelector('#queue').innerText.includes('苏州')").await;
    browser.shot("watched").await;
    // The bar empties.
    let value = "return document.querySelector('meter[data-due]').value";
    let full = browser.run(value).await.as_f64().unwrap();
    browser.until("the bar empties", &format!("return document.querySelector('meter[data-due]').value < {full}")).await;

    // Cut off, and back.
    browser.forgive("ERR_");
    browser.forgive("Failed to load resource");
    stage.server.stop();
    browser.until("it says so", "return document.querySelector('#offline').hidden === false").await;
    let bar = browser.run("return getComputedStyle(document.querySelector('#offline')).backgroundColor").await;
    assert_eq!(bar, "rgb(168, 13, 37)");
    assert!(browser.text("#offline").await.contains(':'), "since when: {}", browser.text("#offline").await);
    browser.shot("cut-off").await;
    stage.server.run();
    post(&stage, "three", ("风暴潮", "Storm surge")).await;
    browser
        .until("it is back", "return document.querySelector('#offline').hidden && document.title.startsWith('(3)')")
        .await;
    browser.shot("back").await;
    browser.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_reaches_and_does_an_approval() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    props.people("310118,zh-CN,public,13800000001,,");
    let roll = props.roll(UNPROVED).await;
    let mut officer = roll.officer("li", "Li Ming", Language::English, "reviewer:310000 signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "keyboard", Look { language: "en", ..DESKTOP }).await;
    browser.enter(&officer.session).await;
    post(&stage, "one", ("台风", "Typhoon")).await;
    post(&stage, "two", ("暴雨", "Rainstorm")).await;
    browser.goto("/console").await;
    browser.press("?").await;
    browser.until("help", "return document.querySelector('#help').open").await;
    browser.shot("help").await;
    browser.press(ENTER).await;
    browser.until("no help", "return !document.querySelector('#help').open").await;
    let headline = || browser.run("return document.activeElement.innerText");
    browser.press("j").await;
    let first = headline().await;
    browser.press("j").await;
    let second = headline().await;
    assert_ne!(first, second);
    browser.press("k").await;
    assert_eq!(headline().await, first);
    browser.shot("focus").await;
    browser.press(ENTER).await;
    browser
        .until(
            "the alert",
            "return location.pathname.startsWith('/console/alerts/') && document.readyState === 'complete'",
        )
        .await;
    browser.press("r").await;
    assert_eq!(browser.run("return document.activeElement.name").await, "reason");
    browser.run("document.activeElement.blur()").await;
    browser.press("a").await;
    assert_eq!(browser.run("return document.activeElement.name").await, "word");
    browser.press("Shanghai").await;
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.name").await, "code");
    browser.press(&officer.code().await).await;
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.className").await, "go");
    browser.shot("approving").await;
    browser.press(ENTER).await;
    eventually("the public is told", || stage.texts_to("+8613800000001").len() == 1).await;
    browser.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_an_officer_signs_in_and_approves() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    props.people("310118,zh-CN,public,13800000001,,");
    let roll = props.roll(UNPROVED).await;
    let mut officer = roll.officer("li", "李明", Language::Chinese, "signer:310000 author:310000").await;
    roll.close().await;
    let stage = props.start();
    post(&stage, "one", ("台风", "Typhoon")).await;
    let browser = Browser::open(&stage.server.url, "no-script", Look { script: false, ..DESKTOP }).await;
    browser.goto("/console").await;
    browser.fill("[name=login]", officer.login).await;
    browser.fill("[name=password]", crate::officers::PASSWORD).await;
    browser.fill("[name=code]", &officer.code().await).await;
    browser.click("main button").await;
    browser.find(".cards .act a").await;
    assert!(browser.has("#sound[hidden]").await, "the page's own script did not run");
    browser.click(".cards .act a").await;
    browser.fill("form.grave [name=word]", "上海市").await;
    browser.shot("approving").await;
    browser.click("form.grave button").await;
    eventually("the public is told", || stage.texts_to("+8613800000001").len() == 1).await;
    // A draft says what is wrong with it when it is saved.
    browser.goto("/console/compose/new").await;
    browser.fill("[name=places]", "亚特兰蒂斯").await;
    browser.click("#compose .submit button:not([formaction])").await;
    browser.find("#check li.alarm").await;
    let shown = browser.text("main").await;
    assert!(shown.contains("亚特兰蒂斯") && !shown.contains("点选区县"), "nothing that needs script is shown: {shown}");
    browser.shot("draft").await;
    browser.assert_quiet().await;
}

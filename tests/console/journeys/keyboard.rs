//! Writing, stopping and correcting without a mouse.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP, ENTER, TAB};
use crate::stage::{Props, UNPROVED, eventually};
use crate::support::Cma;

const DOWN: &str = "\u{e015}";

/// Goes on with the tabulator until this has the focus.
async fn tab_to(browser: &Browser, css: &str) {
    let there = format!("return document.activeElement?.matches(`{css}`) ?? false");
    let mut way = Vec::new();
    for _ in 0..120 {
        browser.press(TAB).await;
        if browser.run(&there).await == true {
            return;
        }
        way.push(browser.run("return document.activeElement?.outerHTML.slice(0, 60) ?? ''").await);
    }
    panic!("no key leads to {css}: {way:#?}");
}

/// Presses a button that has the focus, and waits for the page that follows.
async fn enter(browser: &Browser, what: &str) {
    browser.run("window.before = true").await;
    browser.press(ENTER).await;
    browser.until(what, "return window.before === undefined && document.readyState === 'complete'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_written_and_another_stopped_and_corrected_by_keys_alone() {
    let props = Props::new(None, 100).await;
    props.people("310118,en,public,13800000001,,");
    let roll = props.roll(UNPROVED).await;
    let mut signer = roll.officer("smith", "Jo Smith", Language::English, "author:310000 signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "keyboard", DESKTOP).await;
    browser.enter(&signer.session).await;

    let (status, answer) = stage.server.post(Cma::new("wrong").xml()).await;
    assert_eq!(status, 201, "{answer}");
    eventually("somebody is told", || stage.texts_to("+8613800000001").len() == 1).await;
    let alert = format!("/console/alerts/{}", answer["id"].as_str().unwrap());
    browser.goto(&alert).await;
    tab_to(&browser, "a[href$='/live']").await;
    enter(&browser, "the way there").await;
    tab_to(&browser, "button.stop").await;
    browser.shot("stopping").await;
    enter(&browser, "it is stopped").await;
    browser.until("it says so", "return !document.querySelector('[data-held]').hidden").await;
    tab_to(&browser, "form[action$='/correct'] [name=word]").await;
    browser.press("CORRECT").await;
    browser.press(TAB).await;
    browser.press(&signer.code().await).await;
    tab_to(&browser, "form[action$='/correct'] button.go").await;
    browser.shot("correcting").await;
    enter(&browser, "it is corrected").await;
    eventually("who was told is told that it was wrong", || stage.texts_to("+8613800000001").len() == 2).await;

    browser.goto("/console/compose/new").await;
    for field in ["hazard", "colour", "region"] {
        tab_to(&browser, &format!("select[name={field}]")).await;
        if browser.run("return document.activeElement.selectedIndex < 1 && document.activeElement.value === ''").await
            == true
        {
            browser.press(DOWN).await;
        }
    }
    tab_to(&browser, "[name=places]").await;
    browser.press("310118").await;
    tab_to(&browser, "button[formaction$='/submit']").await;
    browser.shot("submitting").await;
    enter(&browser, "it is submitted").await;
    assert!(browser.place().await.starts_with("/console/alerts/"), "{}", browser.text("main").await);
    browser.assert_quiet().await;
}

//! Everything by keys alone.

use super::{by_mail, by_phone};
use crate::browser::{Browser, ENTER, Look, TAB};
use crate::mail;
use crate::stage::{Stage, eventually};

const DOWN: &str = "\u{e015}";
const HOME: &str = "\u{e011}";
const HAND: Look = Look { size: (320, 640), script: true, language: "zh-CN" };

/// Goes on with the tabulator until something has the focus, as far as a page goes.
async fn to(browser: &Browser, css: &str) {
    for _ in 0..200 {
        browser.press(TAB).await;
        let found = browser.run(&format!("return document.activeElement.matches({})", serde_json::json!(css))).await;
        if found == true {
            let seen = "const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2";
            assert_eq!(browser.run(seen).await, true, "the focus is seen on {css}");
            return;
        }
    }
    panic!("no key leads to {css}");
}

/// Chooses in a list with the arrows, from its beginning.
async fn choose(browser: &Browser, css: &str, value: &str) {
    to(browser, css).await;
    browser.press(HOME).await;
    for _ in 0..300 {
        if browser.run("return document.activeElement.value").await == value {
            return;
        }
        browser.press(DOWN).await;
    }
    panic!("{value} is not in {css}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_chooses_places_and_wishes_and_leaves_by_keyboard_alone() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "keyboard", HAND).await;
    browser.goto("/sign-up").await;
    // The first key leads past the head.
    browser.press(TAB).await;
    assert_eq!(browser.run("return document.activeElement.getAttribute('href')").await, "#main");
    to(&browser, "[name=address]").await;
    browser.press("13812345678").await;
    to(&browser, "[name=name]").await;
    browser.press("Home").await;
    choose(&browser, "[name=county]", "310118").await;
    choose(&browser, "[name=level]", "yellow").await;
    to(&browser, "[name=language][value=en]").await;
    browser.press(" ").await;
    to(&browser, "details:has([name=hazard]) summary").await;
    browser.press(ENTER).await;
    to(&browser, "[name=hazard][value=typhoon]").await;
    browser.press(" ").await;
    to(&browser, "[name=consent]").await;
    browser.press(" ").await;
    browser.shot("form").await;
    to(&browser, "button.wide").await;
    browser.press(ENTER).await;
    browser.find("[name=code]").await;
    let code = stage.code("+8613812345678").await;
    assert_eq!(browser.run("return document.activeElement.name").await, "code", "the code's field waits for it");
    browser.press(&code).await;
    browser.press(ENTER).await;
    browser.find("#places").await;
    let chosen = "const v = n => document.querySelector(`[name$='${n}']`).value; \
                  return [v('-name'), v('-level'), document.querySelectorAll('[name$=-hazard]:checked').length]";
    assert_eq!(browser.run(chosen).await, serde_json::json!(["Home", "yellow", 1]));
    // A second place, from the map: arrows move it, a key takes what is under the cross.
    to(&browser, "details.card > summary").await;
    browser.press(ENTER).await;
    to(&browser, "[name=new-name]").await;
    browser.press("School").await;
    to(&browser, ".pick > button").await;
    browser.press(ENTER).await;
    browser.until("the map", "return document.querySelector('.pick').dataset.ready === '1'").await;
    to(&browser, ".chart").await;
    browser.press("++").await;
    browser.press(DOWN).await;
    to(&browser, "[data-here]").await;
    browser.press(ENTER).await;
    browser.until("a county", "return document.querySelector('[name=new-county]').value !== ''").await;
    browser.shot("map").await;
    browser.assert_fits().await;
    to(&browser, "#places button.wide").await;
    browser.press(ENTER).await;
    browser.until("two places", "return document.querySelectorAll('#places fieldset.card').length === 2").await;
    // And out.
    to(&browser, "[name=sure]").await;
    browser.press(" ").await;
    to(&browser, "button.grave").await;
    browser.press(ENTER).await;
    browser.until("all is deleted", "return document.body.innerText.includes('已全部删除')").await;
    browser.assert_quiet().await;
}

/// Goes to a button or link and uses it; waits for the page that it leads to.
async fn enter(browser: &Browser, css: &str) {
    to(browser, css).await;
    leads_on(browser).await;
}

/// Uses what has the focus.
async fn leads_on(browser: &Browser) {
    browser.run("window.stillHere = true").await;
    browser.press(ENTER).await;
    browser.until("another page", "return !window.stillHere && document.readyState === 'complete'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_somebody_may_change_later_is_changed_by_keyboard_alone() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "keyboard-later", HAND).await;
    by_phone(&stage, &browser, "13812345678").await;
    let places =
        "return [...document.querySelectorAll('#places fieldset.card > legend bdi:first-child')].map(l => l.innerText)";

    // A place of another name, with quiet hours.
    to(&browser, "[name$='-name']").await;
    browser.press("爷爷家").await;
    to(&browser, "details:has([name$='-from']) summary").await;
    browser.press(ENTER).await;
    choose(&browser, "[name$='-from']", "44").await;
    choose(&browser, "[name$='-to']", "13").await;
    to(&browser, "[name$='-wakes']").await;
    browser.press(" ").await;
    browser.shot("quiet").await;
    enter(&browser, "#places button.wide").await;
    assert_eq!(browser.run(places).await, serde_json::json!(["爷爷家"]));
    let quiet = "const v = n => document.querySelector(`#places fieldset.card [name$='${n}']`); \
                 return [v('-from').value, v('-to').value, v('-wakes').checked]";
    assert_eq!(browser.run(quiet).await, serde_json::json!(["44", "13", true]));

    // Another place from the list, and away with it.
    to(&browser, "details.card > summary").await;
    browser.press(ENTER).await;
    to(&browser, "[name=new-name]").await;
    browser.press("学校").await;
    choose(&browser, "[name=new-county]", "310117").await;
    enter(&browser, "#places button.wide").await;
    assert_eq!(browser.run(places).await, serde_json::json!(["爷爷家", "学校"]));
    to(&browser, "#places fieldset.card:nth-of-type(2) [name$='-remove']").await;
    browser.press(" ").await;
    enter(&browser, "#places button.wide").await;
    assert_eq!(browser.run(places).await, serde_json::json!(["爷爷家"]));

    // Does it reach me? And what would I have got?
    enter(&browser, "#test button").await;
    stage.text("+8613812345678", "测试").await;
    let result =
        "return document.querySelector('#test li') !== null && document.querySelector('[data-refresh]') === null";
    browser.until("a result", result).await;
    enter(&browser, "#year a.button").await;
    assert!(browser.has("#year p, #year li").await && !browser.has("#year a.button").await);

    // Paused, and on again.
    for (days, paused) in [("7", true), ("0", false)] {
        to(&browser, "[name=days]").await;
        browser.press(days).await;
        leads_on(&browser).await;
        assert_eq!(browser.has("main > .alarm").await, paused, "{days}");
    }

    // In another language, and back.
    for language in ["en", "zh-CN"] {
        choose(&browser, "#pause [name=lang]", language).await;
        enter(&browser, "#pause button").await;
        assert_eq!(browser.run("return document.documentElement.lang").await, language);
    }

    // Taken along.
    let folder = tempfile::tempdir().unwrap();
    let here = serde_json::json!({"behavior": "allow", "downloadPath": folder.path()});
    browser.cdp("Browser.setDownloadBehavior", here).await;
    to(&browser, "[action='/me/export'] button").await;
    browser.press(ENTER).await;
    let taken = eventually("the export", || std::fs::read_to_string(folder.path().join("tocsin-my-data.json")).ok());
    assert!(taken.await.contains("爷爷家"));

    // A mailbox more: its link is opened in the mail program, and confirmed here.
    to(&browser, "#addresses details summary").await;
    browser.press(ENTER).await;
    to(&browser, "#addresses [name=address]").await;
    browser.press("li@example.org").await;
    enter(&browser, "#addresses details button").await;
    browser.goto(&stage.link("li@example.org").await).await;
    leads_on(&browser).await;
    assert_eq!(browser.count("#addresses li").await, 2);
    enter(&browser, "[action='/me/address/remove'] button").await;
    assert_eq!(browser.count("#addresses li").await, 1);
    enter(&browser, "header form button").await;
    assert_eq!(browser.place().await, "/sign-up");
    browser.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_reads_of_an_event_and_leaves_by_the_link_of_a_mail_by_keyboard_alone() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "keyboard-leaves", HAND).await;
    by_mail(&stage, &browser, "li@example.org").await;
    enter(&browser, "header form button").await;
    let mut sent = Vec::new();
    stage.muifa("sh-typhoon-yellow", &mut sent).await;
    let letter = stage.mail("li@example.org", "台风").await;

    // From the first page, in another language and back, to a region by its name, and to the event.
    browser.goto("/").await;
    for language in ["en", "zh-CN"] {
        enter(&browser, &format!("header a[hreflang={language}]")).await;
        assert_eq!(browser.run("return document.documentElement.lang").await, language);
    }
    to(&browser, "[name=q]").await;
    browser.press("青浦").await;
    leads_on(&browser).await;
    assert!(browser.place().await.starts_with("/regions/310118"), "the only one of that name");
    enter(&browser, ".cards a[href^='/events/']").await;
    assert!(browser.text("main").await.contains("台风黄色预警"));

    browser.goto(&mail::leave(&letter)).await;
    enter(&browser, "form button").await;
    assert!(browser.text("main").await.contains("已退订"));
    browser.assert_quiet().await;
}

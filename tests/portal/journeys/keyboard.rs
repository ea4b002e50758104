//! Everything by keys alone.

use crate::browser::{Browser, ENTER, Look, TAB};
use crate::stage::Stage;

const DOWN: &str = "\u{e015}";
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

/// Chooses in a list with the arrow.
async fn choose(browser: &Browser, css: &str, value: &str) {
    to(browser, css).await;
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

//! The browser signs up, is confirmed, and leaves, by keys alone.

use crate::stage::Stage;

const ENTER: &str = "\u{e007}";
const DOWN: &str = "\u{e015}";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_signed_up_confirmed_and_leaves_in_the_app_by_keyboard_alone() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "keyboard").await;
    firefox.goto("/sign-up?lang=zh-CN").await;
    firefox
        .until("the button is there", "return !document.querySelector('[data-push]').hidden", |is| *is == true)
        .await;
    firefox.tab_to("[data-push] button").await;
    firefox.press(ENTER).await;
    let told = "return document.querySelector('[data-push] output').textContent";
    firefox.until("the browser is taken", told, |told| told.as_str().is_some_and(|t| t.starts_with('✓'))).await;
    firefox.tab_to("[name=county]").await;
    while firefox.run("return document.activeElement.value").await != "310118" {
        firefox.press(DOWN).await;
    }
    firefox.tab_to("[name=consent]").await;
    firefox.press(" ").await;
    firefox.tab_to("button.wide").await;
    firefox.press(ENTER).await;
    let come = "return document.activeElement.matches('[data-confirm] a') && document.activeElement.pathname";
    let come = firefox.until("the focus is on what has come", come, serde_json::Value::is_string).await;
    assert!(come.as_str().unwrap().starts_with("/sign-up/confirm/"), "{come}");
    firefox.press(ENTER).await;
    let asks = "return document.readyState === 'complete' && document.hasFocus() && document.activeElement.matches('form[action^=\"/sign-up/confirm/\"] button')";
    firefox.until("the focus is on the yes", asks, |is| *is == true).await;
    firefox.press(ENTER).await;
    let on = "return document.querySelector('[data-on]')?.checkVisibility()";
    firefox.until("this browser is known", on, |on| *on == true).await;
    let kept = "return (await (await caches.open('tocsin-state')).match('/state/browser'))?.json()";
    firefox.until("its word", kept, |own| own["word"].is_string()).await;
    firefox.tab_to("[data-on] a").await;
    firefox.press(ENTER).await;
    let there = "return document.querySelector('[data-yes]')?.checkVisibility()";
    firefox.until("the app's own page", there, |on| *on == true).await;
    firefox.tab_to("[data-leave]").await;
    firefox.press(ENTER).await;
    let left = "return document.querySelector('p[data-left]').textContent";
    firefox.until("left", left, |told| told.as_str().is_some_and(|told| told.contains("已退订"))).await;
    assert_eq!(stage.rows("address").await, 0);
    firefox.close().await;
}

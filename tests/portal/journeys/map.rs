//! Places from the map: a county, a spot, a shape; from the device; and from the list where there is no script.

use serde_json::json;

use super::by_phone;
use crate::browser::{Browser, DESKTOP, Look};
use crate::stage::Stage;

/// The places that the settings show.
async fn places(browser: &Browser) -> Vec<String> {
    let all = browser
        .run("return [...document.querySelectorAll('#places fieldset.card > legend')].map(l => l.innerText)")
        .await;
    all.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn open(browser: &Browser, name: &str) {
    browser.unfold("#places > details").await;
    browser.fill("[name=new-name]", name).await;
    browser.click(".pick > button").await;
    browser.until("the map", "return document.querySelector('.pick').dataset.ready === '1'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_comes_from_the_map_the_device_a_drawing_or_the_list() {
    let stage = Stage::start().await;
    let mut browser = Browser::open(&stage.server.url, "map", DESKTOP).await;
    by_phone(&stage, &browser, "13812345678").await;

    open(&browser, "学校").await;
    browser.click("[data-tool=spot]").await;
    browser.click_at(".chart", (20, 10)).await;
    browser.until("a spot", "return document.querySelector('[name=new-lat]').value !== ''").await;
    browser.shot("spot").await;
    browser.follow("#places button.wide").await;
    let after = places(&browser).await;
    assert!(after.len() == 2 && after[1].starts_with("学校") && after[1].contains("精确位置"), "{after:?}");

    // Across several counties: each that the shape touches.
    open(&browser, "上班路上").await;
    browser.click("[data-tool=draw]").await;
    for corner in [(0, 0), (12, 0), (12, 9), (0, 9)] {
        browser.click_at(".chart", corner).await;
    }
    browser.until("a shape", "return document.querySelector('[name=new-shape]').value.split(' ').length === 4").await;
    browser.shot("shape").await;
    // What is refused for something else keeps the shape; another county takes it away.
    browser.set("[name=new-from]", "44").await;
    browser.follow("#places button.wide").await;
    let shape = "return document.querySelector('[name=new-shape]').value.split(' ').length";
    assert!(browser.text("[role=alert]").await.starts_with("上班路上"));
    assert_eq!((browser.run(shape).await, browser.text(".pick > output").await), (json!(4), "角数： 4".to_owned()));
    browser.shot("refused").await;
    assert!(browser.has("details[open] > .row [name=new-to]").await, "what is to be mended stands open");
    browser.set("[name=new-to]", "13").await;
    browser.follow("#places button.wide").await;
    let drawn: Vec<String> = places(&browser).await.into_iter().filter(|name| name.starts_with("上班路上")).collect();
    assert!(drawn.len() >= 2 && !drawn.iter().any(|name| name.contains("精确")), "{drawn:?}");

    // Where the device is.
    let permission = json!({"permissions": ["geolocation"], "origin": stage.server.url});
    browser.cdp("Browser.grantPermissions", permission).await;
    let here = json!({"latitude": 31.15, "longitude": 121.12, "accuracy": 12});
    browser.cdp("Emulation.setGeolocationOverride", here).await;
    browser.unfold("#places > details").await;
    browser.fill("[name=new-name]", "现在").await;
    browser.click(".here button").await;
    browser.until("the device", "return document.querySelector('[name=new-lat]').value === '31.150000'").await;
    browser.set("[name=new-county]", "310115").await;
    browser.until("a county instead", "return document.querySelector('[name=new-lat]').value === ''").await;
    browser.click(".here button").await;
    browser.until("the device again", "return document.querySelector('[name=new-lat]').value === '31.150000'").await;
    browser.follow("#places button.wide").await;
    let after = places(&browser).await;
    assert!(after.last().unwrap().starts_with("现在 · 青浦区 · 精确位置"), "{after:?}");
    browser.forgive("422");
    browser.assert_quiet().await;

    let plain = Browser::open(&stage.server.url, "no-script", Look { script: false, ..DESKTOP }).await;
    by_phone(&stage, &plain, "13912345678").await;
    plain.shot("settings").await;
}

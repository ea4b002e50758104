//! The warnings of typhoon Muifa reach somebody's phone and somebody's mailbox: a warning, its update, its end.

use tocsin_channels::sms::encoding::parts as sms_parts;

use super::{by_mail, by_phone};
use crate::browser::{Browser, DESKTOP};
use crate::mail::{parts, said};
use crate::stage::Stage;
use crate::support::axe;

const PHONE: &str = "+8613812345678";
const MAIL: &str = "li@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_and_a_mailbox_sign_up_and_are_told_of_the_warning_its_update_and_its_end() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "muifa", DESKTOP).await;
    browser.goto("/sign-up").await;
    browser.shot("sign-up").await;
    by_phone(&stage, &browser, "13812345678").await;
    browser.shot("signed-up").await;
    // Both languages for this place.
    browser.click("[name$='language'][value=en]").await;
    browser.follow("#places button.wide").await;
    browser.follow("header form button").await;
    by_mail(&stage, &browser, MAIL).await;

    let mut sent = Vec::new();
    stage.muifa("sh-typhoon-yellow", &mut sent).await;
    let first = stage.text(PHONE, "台风黄色预警").await;
    let english = stage.text(PHONE, "Yellow typhoon warning").await;
    assert!(first.contains("因“家”"), "why: {first}");
    assert!(english.starts_with('[') && english.contains("Typhoon") | english.contains("typhoon"), "{english}");
    for text in [&first, &english] {
        assert!(sms_parts(text) <= 2, "{} parts: {text}", sms_parts(text));
    }
    // The link in it is short, on our own host, and leads to the event without script.
    let short = first.split_whitespace().find(|word| word.contains("http")).unwrap();
    let short = &short[short.find("http").unwrap()..];
    assert!(short.len() <= stage.server.url.len() + "/a/abcdefgh".len(), "{short}");
    // What is sent is published a moment later.
    let asked = loop {
        let asked = stage.client.get(short).send().await.unwrap();
        if asked.status() != 404 {
            break asked;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(asked.status(), 303);
    let to = asked.headers()["location"].to_str().unwrap().to_owned();
    assert!(to.starts_with("/events/"), "{to}");
    let page = stage.client.get(format!("{}{to}", stage.server.url)).send().await.unwrap();
    assert!(page.status() == 200 && page.text().await.unwrap().contains("上海中心气象台发布台风黄色预警"));
    browser.goto(short).await;
    browser.shot("event").await;
    browser.assert_fits().await;

    let mail = stage.mail(MAIL, "台风黄色预警").await;
    let text = said(&mail);
    assert!(text.contains("您登记了：学校") && text.contains("/leave/"), "{text}");
    let inside = parts(&mail);
    let html = inside.iter().find(|part| part.kind == "text/html").unwrap().text();
    assert!(html.contains("src=\"cid:picture\"") && html.contains("alt=\"预警区域地图"), "{html}");
    let picture = inside.iter().find(|part| part.kind == "image/png").unwrap();
    assert!(picture.bytes.starts_with(b"\x89PNG\r\n\x1a\n") && picture.bytes.len() < 10_000, "{}", picture.bytes.len());
    show(&browser, &html, picture.bytes.as_slice()).await;

    stage.muifa("sh-typhoon-orange", &mut sent).await;
    let update = stage.text(PHONE, "橙色").await;
    assert!(update.contains("更新"), "{update}");
    assert!(said(&stage.mail(MAIL, "橙色").await).contains("上海中心气象台更新台风橙色预警"));
    // The old link shows what holds now.
    until(&browser, short, "台风橙色").await;
    browser.shot("event-updated").await;

    stage.muifa("sh-typhoon-cancel", &mut sent).await;
    stage.text(PHONE, "解除").await;
    stage.mail(MAIL, "已解除").await;
    until(&browser, short, "解除").await;
    browser.shot("event-over").await;
    assert_eq!(stage.mails_to(MAIL).len(), 1 + 3, "each once, beside the link");
    assert_eq!(stage.texts_to(PHONE).len(), 1 + 3 * 2, "each once in each language, beside the code");
    browser.assert_quiet().await;
    let log = stage.server.log();
    for own in [PHONE.trim_start_matches("+86"), MAIL] {
        assert!(!log.contains(own), "addresses are masked in logs: {log}");
    }
}

/// Opens a page anew until its head says this.
async fn until(browser: &Browser, url: &str, says: &str) {
    browser.keep_nothing().await;
    for _ in 0..200 {
        browser.goto(url).await;
        if browser.text("article.head").await.contains(says) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{url} never says {says}: {}", browser.text("main").await);
}

/// Keeps pictures of a mail as a mail program shows it, by day and by night; it is as easy to read as a page.
async fn show(browser: &Browser, html: &str, picture: &[u8]) {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let inline = format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(picture));
    let file = folder.path().join("mail.html");
    std::fs::write(&file, html.replace("cid:picture", &inline)).unwrap();
    let here = browser.place().await;
    browser.goto(&format!("file://{}", file.display())).await;
    for dark in [false, true] {
        browser.dark(dark).await;
        browser.shot(if dark { "mail-dark" } else { "mail" }).await;
        if let Some(axe) = axe::script() {
            assert_eq!(
                axe::faults(browser, &axe, axe::GRAVE).await,
                [""; 0],
                "{}",
                if dark { "by night" } else { "by day" }
            );
        }
    }
    browser.dark(false).await;
    browser.goto(&here).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_page_does_its_work_and_lets_people_in() {
    let stage = Stage::start_with("[residents.limits]\nwork_above = 0\nwithout_work = 0").await;
    let browser = Browser::open(&stage.server.url, "work", DESKTOP).await;
    by_phone(&stage, &browser, "13812345678").await;
    browser.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_would_have_got_a_test_a_pause_and_ones_data() {
    let stage = Stage::start().await;
    let mut sent = Vec::new();
    stage.muifa("sh-typhoon-yellow", &mut sent).await;
    let browser = Browser::open(&stage.server.url, "settings", DESKTOP).await;
    by_phone(&stage, &browser, "13812345678").await;
    browser.follow("#year a").await;
    assert!(browser.text("#year").await.contains("上海中心气象台发布台风黄色预警"), "{}", browser.text("#year").await);
    browser.shot("last-year").await;
    // A red one only: nothing any more.
    browser.set("[name$='-level']", "red").await;
    browser.follow("#places button.wide").await;
    browser.follow("#year a").await;
    assert!(browser.text("#year").await.contains("一条也没有"));

    browser.follow("#test button").await;
    stage.text(PHONE, "测试").await;
    browser
        .until("the result shows by itself", "return document.querySelector('#test').innerText.includes('已交')")
        .await;
    browser.shot("tested").await;

    browser.fill("#pause [name=days]", "7").await;
    browser.follow("#pause button").await;
    assert!(browser.text("main").await.contains("暂停中"));
    browser.set("[name$='-level']", "blue").await;
    browser.follow("#places button.wide").await;
    stage.muifa("sh-typhoon-orange", &mut sent).await;
    stage.muifa("sh-rain-yellow", &mut sent).await;
    let other = Browser::open(&stage.server.url, "witness", DESKTOP).await;
    by_mail(&stage, &other, MAIL).await;
    stage.muifa("sh-rain-orange", &mut sent).await;
    stage.mail(MAIL, "暴雨橙色").await;
    assert_eq!(stage.texts_to(PHONE).len(), 2, "a code and a test: who pauses hears nothing");

    let data = browser
        .run("return (async () => { const f = document.querySelector(\"form[action='/me/export']\"); \
              const a = await fetch(f.action, {method: 'POST', body: new URLSearchParams(new FormData(f))}); return await a.text(); })()")
        .await;
    let data: serde_json::Value = serde_json::from_str(data.as_str().unwrap()).unwrap();
    assert_eq!((&data["addresses"][0]["address"], &data["places"][0]["name"]), (&PHONE.into(), &"家".into()));
    browser.assert_quiet().await;
}

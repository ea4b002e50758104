//! A drill beside the real thing: another place, other colours, another word.

use std::collections::BTreeSet;

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually, rules, step};
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_and_the_real_thing_cannot_be_mixed_up() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    props.people("310118,zh-CN,public,13800000001,public@example.org,public\n310118,zh-CN,drill,13800000009,drill@example.org,drill");
    let roll = props.roll(UNPROVED).await;
    let mut signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let mut browser = Browser::open(&stage.server.url, "drill", DESKTOP).await;
    browser.enter(&signer.session).await;
    browser.forgive("status of 409");
    browser.forgive("status of 404");

    let mut drill = Cma::new("drill");
    (drill.colour, drill.status) = (RED, "Exercise");
    let mut live = Cma::new("live");
    live.colour = RED;
    let (status, answer) = stage.server.post(drill.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let drill = answer["id"].as_str().unwrap().to_owned();
    let (_, answer) = stage.server.post(live.xml()).await;
    let live = answer["id"].as_str().unwrap().to_owned();

    browser.goto("/console").await;
    assert_eq!(browser.count(".cards .card").await, 1, "the live queue knows no drill");
    assert!(!browser.has(".band").await);
    browser.goto("/exercise").await;
    assert_eq!(browser.count(".cards .card").await, 1, "the drill's queue knows nothing live");
    assert!(browser.title().await.contains("演练 EXERCISE"));
    assert!(browser.text(".band").await.contains("演练 EXERCISE"));
    let look = "const s = getComputedStyle(document.body); return [s.borderTopColor, s.borderTopWidth, getComputedStyle(document.querySelector('.button')).backgroundColor]";
    assert_eq!(
        browser.run(look).await,
        serde_json::json!(["rgb(106, 27, 154)", "10px", "rgb(106, 27, 154)"]),
        "violet"
    );
    browser.shot("queue").await;

    // What is of one world is not there in the other.
    for lost in [
        format!("/exercise/alerts/{live}"),
        format!("/console/alerts/{drill}"),
        format!("/exercise/alerts/{live}/live"),
        format!("/console/alerts/{drill}/told"),
    ] {
        browser.goto(&lost).await;
        assert!(browser.text("main").await.contains("T6001"), "{lost}");
    }

    // The live word in the drill.
    let drill = format!("/exercise/alerts/{drill}");
    browser.goto(&drill).await;
    assert!(browser.text("form.grave").await.contains("演练"));
    let code = signer.code().await;
    browser.fill("form.grave [name=word]", "上海市").await;
    browser.fill("form.grave [name=code]", &code).await;
    browser.follow("form.grave button").await;
    assert!(browser.text("main").await.contains("T6014"));
    browser.goto(&drill).await;
    browser.fill("form.grave [name=word]", "演练").await;
    browser.fill("form.grave [name=code]", &code).await;
    browser.shot("approving").await;
    browser.follow("form.grave button").await;
    eventually("the drill's list is told", || {
        stage.texts_to("+8613800000009").len() == 1
            && stage.pushes_to("drill") == 1
            && stage.mails_to("drill@example.org") == 1
    })
    .await;
    assert!(stage.texts_to("+8613800000009").iter().all(|text| text.contains("演练") || text.contains("EXERCISE")));
    browser.follow("a[href$='/live']").await;
    browser.shot("live").await;
    assert!(
        browser.run("return getComputedStyle(document.querySelector('button.stop')).backgroundColor").await
            == "rgb(106, 27, 154)"
    );
    assert!(
        stage.texts_to("+8613800000001").is_empty()
            && stage.mails_to("public@example.org") == 0
            && stage.pushes_to("public") == 0
    );

    // The drill's word for the real thing.
    let live = format!("/console/alerts/{live}");
    browser.goto(&live).await;
    browser.fill("form.grave [name=word]", "演练").await;
    browser.follow("form.grave button").await;
    assert!(browser.text("main").await.contains("T6014"));
    assert!(stage.texts_to("+8613800000001").is_empty());
    browser.goto(&live).await;
    browser.fill("form.grave [name=word]", "上海市").await;
    browser.shot("real-thing").await;
    browser.follow("form.grave button").await;
    eventually("the public is told", || stage.texts_to("+8613800000001").len() == 1).await;
    assert_eq!(stage.texts_to("+8613800000009").len(), 1, "the drill's list hears nothing of it");
    assert!(!stage.texts_to("+8613800000001").iter().any(|text| text.contains("演练")));
    browser.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_composed_signed_stopped_and_corrected_apart_from_the_real_thing() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 5).await;
    let drill: String = (0..500).map(|n| format!("310118,zh-CN,drill,13800009{n:03},,\n")).collect();
    props.people(&(drill + "310118,zh-CN,public,13800000001,public@example.org,public"));
    let roll = props.roll(UNPROVED).await;
    let author = roll.officer("author", "林晓", Language::Chinese, "author:310000").await;
    let mut signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let (one, mut two) = tokio::join!(
        Browser::open(&stage.server.url, "drill-compose", DESKTOP),
        Browser::open(&stage.server.url, "drill-signer", DESKTOP)
    );
    one.enter(&author.session).await;
    two.enter(&signer.session).await;
    one.goto("/exercise/compose/new").await;
    assert!(one.text(".band").await.contains("演练 EXERCISE"));
    for (field, value) in [("hazard", "typhoon"), ("colour", "red"), ("region", "310000")] {
        one.set(&format!("[name={field}]"), value).await;
    }
    one.fill("[name=places]", "青浦区").await;
    one.until("all is well", "return document.querySelector('#check').innerText.includes('✓')").await;
    assert!(one.text("#check .phones").await.contains("演练"), "the preview says that it is a drill");
    one.shot("ready").await;
    one.follow("button[formaction$='/submit']").await;
    let alert = one.place().await;
    assert!(alert.starts_with("/exercise/alerts/"), "{alert} {}", one.text("main").await);
    let id = alert.rsplit('/').next().unwrap().to_owned();
    let said = stage.server.json(&format!("/api/v1/alerts/{id}")).await;
    assert_eq!(said["status"], "Exercise", "{said}");

    two.goto(&alert).await;
    two.fill("form.grave [name=word]", "演练").await;
    two.fill("form.grave [name=code]", &signer.code().await).await;
    two.follow("form.grave button").await;
    eventually("the drill's list is told", || stage.texts().len() > 2).await;
    two.follow("a[href$='/live']").await;
    two.follow("button.stop").await;
    two.until("it is stopped", "return !document.querySelector('[data-held]').hidden").await;
    let open = "Number(document.querySelector('tr[data-channel=sms] [data-state=sending]').textContent)";
    two.until("what was in hand is done", &format!("return {open} === 0")).await;
    let told: BTreeSet<String> = stage.texts().into_iter().map(|(to, _)| to).collect();
    assert!(told.len() < 500, "stopped in time: {}", told.len());
    // The live word corrects no drill.
    two.forgive("status of 409");
    let live = two.place().await;
    two.fill("form[action$='/correct'] [name=word]", "更正").await;
    two.follow("form[action$='/correct'] button").await;
    assert!(two.text("main").await.contains("T6014"));
    two.goto(&live).await;
    two.fill("form[action$='/correct'] [name=word]", "演练").await;
    two.shot("correcting").await;
    two.follow("form[action$='/correct'] button").await;
    eventually("those told hear that it was wrong", || stage.texts().len() == told.len() * 2).await;
    let waiting = "Number(document.querySelector('tr[data-channel=sms] [data-state=waiting]').textContent)";
    two.until("nobody waits", &format!("return {waiting} === 0")).await;
    let texts = stage.texts();
    let corrected: BTreeSet<String> =
        texts.iter().filter(|(_, text)| text.contains("更正")).map(|(to, _)| to.clone()).collect();
    assert_eq!(corrected, told, "exactly those");
    assert!(texts.iter().all(|(to, text)| to != "+8613800000001" && text.contains("演练")), "{texts:?}");
    assert!(stage.mails_to("public@example.org") == 0 && stage.pushes_to("public") == 0, "nothing crosses");
    two.shot("corrected").await;
    one.assert_quiet().await;
    two.assert_quiet().await;
}

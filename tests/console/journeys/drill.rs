//! A drill beside the real thing: another place, other colours, another word.

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

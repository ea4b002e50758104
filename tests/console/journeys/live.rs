//! Is it arriving? What the page says when it is not.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually};
use crate::support::Cma;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_nothing_shows_it_with_the_reason() {
    let props = Props::new(None, 100).await;
    let people: String = (0..40).map(|n| format!("310118,zh-CN,public,138000003{n:02},,\n")).collect();
    props.people(&(people + "310118,zh-CN,public,,li@example.org,"));
    let roll = props.roll(UNPROVED).await;
    let officer = roll.officer("li", "李明", Language::Chinese, "operator:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "down", DESKTOP).await;
    browser.enter(&officer.session).await;
    let (status, answer) = stage.server.post(Cma::new("first").xml()).await;
    assert_eq!(status, 201, "{answer}");
    eventually("all is well at first", || stage.texts().len() == 40).await;
    browser.goto(&format!("/console/alerts/{}/live", answer["id"].as_str().unwrap())).await;
    browser
        .until("the lamp is on", "return document.querySelector('[data-lamp=sms] .lamp.up').offsetParent !== null")
        .await;
    // The gateway is gone, and another warning wants to go out.
    drop(stage.sms);
    let mut second = Cma::new("second");
    second.event = ("暴雨", "Rainstorm");
    let (status, answer) = stage.server.post(second.xml()).await;
    assert_eq!(status, 201, "{answer}");
    browser.goto(&format!("/console/alerts/{}/live", answer["id"].as_str().unwrap())).await;
    browser
        .until("the lamp is out", "return document.querySelector('[data-lamp=sms] .lamp.down').offsetParent !== null")
        .await;
    browser
        .until(
            "and says why",
            "return /无法连接 \\d+/.test(document.querySelector('[data-lamp=sms] [data-reason]').textContent)",
        )
        .await;
    browser.until("the others go on", "return document.querySelector('[data-lamp=email] .lamp.up').offsetParent !== null && document.querySelector('tr[data-channel=email] [data-state=accepted]').textContent === '1'").await;
    browser.shot("lamp").await;
    browser.assert_quiet().await;
}

//! Two counties of one province, decided apart.

use std::time::Duration;

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually, rules, step};
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn a_county_taken_out_waits_on_while_the_other_is_told() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    props
        .people("310118,zh-CN,public,13800000001,qp@example.org,qp\n310120,zh-CN,public,13800000002,fx@example.org,fx");
    let roll = props.roll(UNPROVED).await;
    let mut signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "split", DESKTOP).await;
    browser.enter(&signer.session).await;
    let code = "310118</value></geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>310120000000";
    let alert = Cma { colour: RED, code: code.into(), ..Cma::new("two") };
    let (status, answer) = stage.server.post(alert.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let page = format!("/console/alerts/{}", answer["id"].as_str().unwrap());

    browser.goto(&page).await;
    browser.unfold("details:has(form[action$='/split'])").await;
    browser.click("form[action$='/split'] input[value='310120']").await;
    browser.shot("splitting").await;
    browser.follow("form[action$='/split'] button").await;
    assert_eq!(browser.count(".escalation").await, 2, "two parts");
    assert_eq!(browser.count("form.grave").await, 2, "each with a decision of its own");
    browser.shot("split").await;

    let told = || {
        [("+8613800000001", "qp"), ("+8613800000002", "fx")].map(|(number, name)| {
            (stage.texts_to(number).len(), stage.mails_to(&format!("{name}@example.org")), stage.pushes_to(name))
        })
    };
    browser.fill("#e1 form.grave [name=word]", "上海市").await;
    browser.fill("#e1 form.grave [name=code]", &signer.code().await).await;
    browser.follow("#e1 form.grave button").await;
    eventually("the first county is told by every channel", || told()[0] == (1, 1, 1)).await;
    browser.shot("one-approved").await;
    assert!(
        browser.text("#e1").await.contains("已发布") && browser.text("#e2").await.contains("待审批"),
        "{}",
        browser.text("main").await
    );
    // What would go out now would be there within this.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told()[1], (0, 0, 0), "the other one still waits");
    let topics: Vec<String> = stage.broker.sink.tally.keys().into_keys().collect();
    assert!(
        topics.iter().any(|topic| topic.contains("310118")) && !topics.iter().any(|topic| topic.contains("310120"))
    );

    browser.fill("#e2 form.grave [name=word]", "上海市").await;
    browser.follow("#e2 form.grave button").await;
    eventually("then the other one", || told() == [(1, 1, 1), (1, 1, 1)]).await;
    browser.assert_quiet().await;
}

//! Three provinces meet at one point: each decides for its own people.

use std::time::Duration;

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::officers::Officer;
use crate::stage::{DELTA, Props, Stage, UNPROVED, eventually, rules, step};
use crate::support::{Cma, RED};

async fn sign(browser: &Browser, officer: &mut Officer, place: &str) {
    browser.until("it is in the queue", "return document.querySelector('.cards:not(.others) .card') !== null").await;
    browser.follow(".cards:not(.others) .act a").await;
    browser.fill("form.grave [name=word]", place).await;
    browser.fill("form.grave [name=code]", &officer.code().await).await;
    browser.shot("approving").await;
    browser.follow("form.grave button").await;
}

/// Who has heard by any channel: Qingpu, Wujiang, Jiashan.
fn told(stage: &Stage) -> [bool; 3] {
    let topics: Vec<String> = stage.broker.sink.tally.keys().into_keys().collect();
    [("+8613800000001", "qp", "310118"), ("+8613800000002", "wj", "320509"), ("+8613800000003", "js", "330421")].map(
        |(number, name, code)| {
            let by = [
                !stage.texts_to(number).is_empty(),
                stage.mails_to(&format!("{name}@example.org")) > 0,
                stage.pushes_to(name) > 0,
                topics.iter().any(|topic| topic.contains(code)),
            ];
            by.iter().any(|b| *b)
        },
    )
}

fn wholly(stage: &Stage, number: &str, name: &str, code: &str) -> bool {
    stage.texts_to(number).len() == 1
        && stage.mails_to(&format!("{name}@example.org")) == 1
        && stage.pushes_to(name) == 1
        && stage.broker.sink.tally.keys().keys().any(|topic| topic.contains(code))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_province_tells_its_own_people_after_its_own_yes() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "lapse"))), 100).await;
    props.people(
        "310118,zh-CN,public,13800000001,qp@example.org,qp\n320509,zh-CN,public,13800000002,wj@example.org,wj\n\
         330421,zh-CN,public,13800000003,js@example.org,js",
    );
    let roll = props.roll(UNPROVED).await;
    let mut shanghai = roll.officer("shanghai", "沪签发", Language::Chinese, "signer:310000").await;
    let mut jiangsu = roll.officer("jiangsu", "Su Qianfa", Language::English, "signer:320000").await;
    let zhejiang = roll.officer("zhejiang", "浙签发", Language::Chinese, "signer:330000").await;
    roll.close().await;
    let stage = props.start();
    let url = stage.server.url.clone();
    let (one, two, three) = tokio::join!(
        Browser::open(&url, "provinces-shanghai", DESKTOP),
        Browser::open(&url, "provinces-jiangsu", DESKTOP),
        Browser::open(&url, "provinces-zhejiang", DESKTOP),
    );
    for (browser, officer) in [(&one, &shanghai), (&two, &jiangsu), (&three, &zhejiang)] {
        browser.enter(&officer.session).await;
        browser.goto("/console").await;
    }

    let mut alert = Cma::new("three");
    alert.colour = RED;
    let geocode =
        |code: &str| format!("<geocode><valueName>CPEAS Geographic Code</valueName><value>{code}</value></geocode>");
    let all = ["310118000000", "320509000000", "330421000000"].map(geocode).concat();
    let xml = alert.xml().replace(&geocode("310118000000"), &all);
    let (status, answer) = stage.server.post_as(DELTA, "application/cap+xml", xml).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let id = answer["id"].as_str().unwrap();

    sign(&one, &mut shanghai, "上海市").await;
    eventually("Qingpu is told by every channel", || wholly(&stage, "+8613800000001", "qp", "310118")).await;
    assert_eq!(told(&stage), [true, false, false], "Shanghai's yes is for Shanghai's people");
    one.shot("signed").await;
    assert!(one.text("main").await.contains("等待") || one.text("main").await.contains("待"), "the others still wait");

    sign(&two, &mut jiangsu, "Jiangsu Province").await;
    eventually("Wujiang is told by every channel", || wholly(&stage, "+8613800000002", "wj", "320509")).await;
    assert_eq!(told(&stage), [true, true, false], "Zhejiang has not said yes");

    three
        .until("it waits at Zhejiang", "return document.querySelector('.cards:not(.others) .card meter') !== null")
        .await;
    three.shot("bar").await;
    three.goto(&format!("/console/alerts/{id}")).await;
    assert!(three.has("form.grave").await, "Zhejiang could still decide");
    stage.let_due("330000").await;
    three.until("its time is over", "return document.querySelectorAll('form.grave').length === 0").await;
    assert!(three.text("main").await.contains("已过期"), "{}", three.text("main").await);
    three.shot("lapsed").await;
    // What would go out now would be there within this.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told(&stage), [true, true, false]);
    assert_eq!(stage.texts().len(), 2);
    for browser in [&one, &two, &three] {
        browser.assert_quiet().await;
    }
}

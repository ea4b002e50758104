//! Once more to those missed, and to nobody else.

use std::collections::BTreeSet;
use std::time::Duration;

use tocsin::messages::Language;
use tocsin_sinks::{Fault, Faults, Tally};

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually};
use crate::support::Cma;

#[tokio::test(flavor = "multi_thread")]
async fn those_missed_hear_it_when_it_is_sent_again_and_nobody_twice() {
    let faulty = Tally::faulty(Faults { every: 2, with: Fault::Gone });
    let props = Props::with_texts(faulty, None, 100).await;
    let people: String = (0..10).map(|n| format!("310118,zh-CN,public,138000004{n:02},,\n")).collect();
    props.people(&people);
    let roll = props.roll(UNPROVED).await;
    let mut operator = roll.officer("op", "Ops", Language::English, "operator:310000").await;
    let reviewer = roll.officer("rev", "Reviewer", Language::English, "reviewer:310000").await;
    roll.close().await;
    let stage = props.start();
    let (one, two) = tokio::join!(
        Browser::open(&stage.server.url, "missed", DESKTOP),
        Browser::open(&stage.server.url, "missed-reviewer", DESKTOP)
    );
    one.enter(&operator.session).await;
    two.enter(&reviewer.session).await;
    let (status, answer) = stage.server.post(Cma::new("first").xml()).await;
    assert_eq!(status, 201, "{answer}");
    let page = format!("/console/alerts/{}/live", answer["id"].as_str().unwrap());
    two.goto(&page).await;
    assert!(two.has("form[action$='/stop']").await && !two.has("form[action$='/resend']").await, "a reviewer may stop");
    two.shot("reviewer").await;
    one.goto(&page).await;
    let cell = |state: &str| {
        format!("Number(document.querySelector('tr[data-channel=sms] [data-state={state}]')?.textContent ?? -1)")
    };
    one.until("half of them are missed", &format!("return {} === 5 && {} === 5", cell("accepted"), cell("failed")))
        .await;
    let told: BTreeSet<String> = stage.texts().into_iter().map(|(to, _)| to).collect();
    assert_eq!(told.len(), 5);
    one.shot("missed").await;
    // Who they are, masked.
    one.follow("a[href$='/told']").await;
    one.follow("form[action$='/missed'] button").await;
    assert_eq!(one.count("ul.flat code").await, 5, "{}", one.text("main").await);
    one.shot("who").await;

    stage.sms.tally.heal();
    one.goto(&page).await;
    one.unfold("details:has(form[action$='/resend'])").await;
    one.fill("form[action$='/resend'] [name=reason]", "the gateway is mended").await;
    one.fill("form[action$='/resend'] [name=code]", &operator.code().await).await;
    one.shot("again").await;
    one.follow("form[action$='/resend'] button").await;
    eventually("everybody has heard it", || stage.texts().len() == 10).await;
    one.until("nobody waits", &format!("return {} + {} === 0", cell("waiting"), cell("sending"))).await;
    // What would come twice would be there within this.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all: Vec<String> = stage.texts().into_iter().map(|(to, _)| to).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 10, "each of them");
    assert_eq!(all.len(), 10, "and once: {all:?}");
    one.shot("heard").await;
    one.assert_quiet().await;
    two.assert_quiet().await;
}

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

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_in_a_hidden_tab_and_after_the_server_was_away() {
    const PEOPLE: usize = 900;
    let props = Props::new(None, 5).await;
    let people: String = (0..PEOPLE).map(|n| format!("310118,zh-CN,public,13800005{n:03},,\n")).collect();
    props.people(&people);
    let roll = props.roll(UNPROVED).await;
    let officer = roll.officer("li", "Li Ming", Language::English, "operator:310000").await;
    roll.close().await;
    let mut stage = props.start();
    let mut browser = Browser::open(&stage.server.url, "goes-on", DESKTOP).await;
    browser.enter(&officer.session).await;
    let (status, answer) = stage.server.post(Cma::new("long").xml()).await;
    assert_eq!(status, 201, "{answer}");
    eventually("it has begun", || !stage.texts().is_empty()).await;
    browser.goto(&format!("/console/alerts/{}/live", answer["id"].as_str().unwrap())).await;
    let accepted = "Number(document.querySelector('tr[data-channel=sms] [data-state=accepted]').textContent)";
    let lamp = |part: &str| format!("document.querySelector('[data-lamp=sms] {part}').textContent");
    browser.until("numbers go up", &format!("return {accepted} > 2")).await;
    // How fast, in words; and how long it takes at that.
    browser
        .until(
            "the rate and the time left have units",
            &format!(
                "return /^\\d+(\\.\\d)? a second$/.test({}) && /^\\d+ (s|sec|min) left$/.test({}) && /^\\d+ a second$/.test(document.querySelector('[data-rate]').textContent)",
                lamp("[data-pace]"),
                lamp("[data-time]")
            ),
        )
        .await;
    let both = format!(
        "return Number({}.replace(',', '')) + Number({}.replace(',', ''))",
        lamp("[data-accepted]"),
        lamp("[data-open]")
    );
    assert_eq!(browser.run(&both).await, PEOPLE, "handed over and still to go, of this alert");
    browser.shot("rate").await;

    // Another tab lies over it: what it counts goes on.
    browser
        .run(&format!(
            "window.seen = []; setInterval(() => window.seen.push([document.visibilityState, {accepted}]), 200); window.before = {accepted}"
        ))
        .await;
    let tab = browser.tab().await;
    browser.cover().await;
    let so_far = stage.texts().len();
    eventually("more go out meanwhile", || stage.texts().len() > so_far + 15).await;
    browser.turn_to(&tab).await;
    let hidden = browser
        .run("const hidden = window.seen.filter(([state]) => state === 'hidden').map(([, n]) => n); return [hidden.length > 1, Math.max(...hidden) > window.before]")
        .await;
    assert_eq!(hidden, serde_json::json!([true, true]), "{}", browser.run("return window.seen.slice(-20)").await);

    // The server goes, and comes back; the page was never loaded anew.
    browser.forgive("ERR_");
    browser.forgive("Failed to load resource");
    browser.run("window.stillHere = true").await;
    stage.server.stop();
    browser.until("it says so", "return document.querySelector('#offline').hidden === false").await;
    let before = browser.run(&format!("return {accepted}")).await.as_u64().unwrap();
    stage.server.run();
    browser.until("it is back", "return document.querySelector('#offline').hidden").await;
    browser.until("and numbers go on", &format!("return {accepted} > {before}")).await;
    assert_eq!(browser.run("return window.stillHere").await, true);
    browser.shot("back").await;
    browser.assert_quiet().await;
}

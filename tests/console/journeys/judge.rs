//! No, for good; taken back; and the sound of a new red one.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, Stage, UNPROVED, rules, step};
use crate::support::{Cma, RED};

/// A browser's sound, counted in place of heard.
const EARS: &str = "window.beeps = 0; window.AudioContext = class { \
    constructor() { window.beeps += 1; this.currentTime = 0; this.destination = {}; } \
    createOscillator() { return { frequency: {}, connect: (next) => next, start() {}, stop() {} }; } \
    createGain() { return { gain: {}, connect: (next) => next }; } };";

async fn red(stage: &Stage, county: &str) -> String {
    let alert = Cma { colour: RED, code: format!("{county}000000"), ..Cma::new(county) };
    let (status, answer) = stage.server.post(alert.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    format!("/console/alerts/{}", answer["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_or_withdrawn_is_over_and_tells_nobody() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    props.people("310118,zh-CN,public,13800000001,,\n310120,zh-CN,public,13800000002,,");
    let roll = props.roll(UNPROVED).await;
    let signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    let other = roll.officer("other", "周敏", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let (one, two) = tokio::join!(
        Browser::open(&stage.server.url, "judge", DESKTOP),
        Browser::open(&stage.server.url, "judge-other", DESKTOP)
    );
    one.enter(&signer.session).await;
    two.enter(&other.session).await;
    let (first, second) = (red(&stage, "310118").await, red(&stage, "310120").await);
    for (page, details, button, reason, state) in [
        (&first, "details[data-key=r]", "details[data-key=r] button.danger", "没有这样的危险", "已否决"),
        (&second, "details:has(form[action$='/withdraw'])", "form[action$='/withdraw'] button", "已另发", "已撤回"),
    ] {
        two.goto(page).await;
        assert!(two.has("form.grave").await);
        one.goto(page).await;
        one.unfold(details).await;
        let field = if button.contains("danger") {
            "details[data-key=r] textarea"
        } else {
            "form[action$='/withdraw'] [name=reason]"
        };
        // Without a reason the browser does not let it go.
        one.click(button).await;
        assert!(one.has("form.grave").await, "a reason is asked for");
        one.fill(field, reason).await;
        one.shot("saying-no").await;
        one.follow(button).await;
        let said = one.text(".escalation").await;
        assert!(said.contains(state) && said.contains(reason) && said.contains("何琳"), "{said}");
        assert!(!one.has(".acts").await, "there is nothing more to do");
        one.shot("said-no").await;
        // Whoever has it open sees it, and can no longer say yes.
        two.until("the other sees it", "return document.querySelectorAll('form.grave').length === 0").await;
        assert!(two.text(".escalation").await.contains(reason));
    }
    one.goto("/console").await;
    assert_eq!(one.count(".cards .card").await, 0, "nothing waits");
    assert!(stage.texts().is_empty(), "nobody was told: {:?}", stage.texts());
    one.assert_quiet().await;
    two.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_red_one_is_heard_where_somebody_asked_for_it() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    let roll = props.roll(UNPROVED).await;
    let officer = roll.officer("li", "李明", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    red(&stage, "310118").await;
    let browser = Browser::open(&stage.server.url, "sound", DESKTOP).await;
    browser.prepare(EARS).await;
    browser.enter(&officer.session).await;
    browser.goto("/console").await;
    let beeps = "return window.beeps";
    let cards = |n: usize| format!("return document.querySelectorAll('.cards .card').length === {n}");
    let pressed = "return document.querySelector('#sound').getAttribute('aria-pressed')";
    assert_eq!((browser.run(beeps).await, browser.run(pressed).await), (0.into(), "false".into()));
    red(&stage, "310120").await;
    browser.until("it is there", &cards(2)).await;
    assert_eq!(browser.run(beeps).await, 0, "nobody asked for a sound");
    browser.click("#sound").await;
    assert_eq!((browser.run(beeps).await, browser.run(pressed).await), (1.into(), "true".into()), "a test of it");
    browser.shot("on").await;
    red(&stage, "310115").await;
    browser.until("it is heard", "return window.beeps === 2").await;
    browser.until("and seen", &cards(3)).await;
    // The choice outlasts the page; what was there before makes no sound.
    browser.goto("/console").await;
    browser.until("the three are there", &cards(3)).await;
    assert_eq!((browser.run(beeps).await, browser.run(pressed).await), (0.into(), "true".into()));
    red(&stage, "310114").await;
    browser.until("it is heard again", "return window.beeps === 1").await;
    browser.click("#sound").await;
    red(&stage, "310113").await;
    browser.until("it is there", &cards(5)).await;
    assert_eq!(browser.run(beeps).await, 1, "silent again");
    browser.assert_quiet().await;
}

/// What the server says by itself, counted once the page has heard it.
const NEWS: &str = "window.news = 0; const Plain = window.EventSource; window.EventSource = class extends Plain { \
    set onmessage(told) { super.onmessage = (event) => { told(event); window.news += 1; }; } };";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_renews_itself_takes_back_nothing_that_is_on_its_way() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    let roll = props.roll(UNPROVED).await;
    let signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let browser = Browser::open(&stage.server.url, "leaving", DESKTOP).await;
    browser.enter(&signer.session).await;
    browser.prepare(NEWS).await;
    let alert = Cma { colour: RED, ..Cma::new("red") };
    let (_, answer) = stage.server.post(alert.xml()).await;
    browser.goto(&format!("/console/alerts/{}", answer["id"].as_str().unwrap())).await;
    browser.until("it listens", "return window.news > 0").await;
    // A click has just begun to lead elsewhere, and the alert's end comes before the next page.
    browser.run("window.stillHere = true; window.heard = window.news; dispatchEvent(new Event('beforeunload'))").await;
    let end = Cma { colour: RED, msg_type: "Cancel", ..Cma::new("end") }.refers_to(&alert);
    assert_eq!(stage.server.post(end.xml()).await.0, 201);
    browser.until("the word is there", "return window.news > window.heard").await;
    assert_eq!(browser.run("return window.stillHere === true").await, true, "the click goes on");
    // It led nowhere, a download perhaps: the page renews itself then.
    browser.until("it shows the end", "return window.stillHere === undefined && window.news > 0").await;
    browser.assert_quiet().await;
}

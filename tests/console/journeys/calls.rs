//! Officers called in their browser.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually, rules, step, subscription};
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_called_in_their_browser() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    let roll = props.roll(UNPROVED).await;
    let officer = roll.officer("li", "李明", Language::Chinese, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let mut browser = Browser::open(&stage.server.url, "calls", DESKTOP).await;
    browser.enter(&officer.session).await;
    browser.goto("/console/me").await;
    browser.until("the browser can be called", "return document.querySelector('#push').hidden === false").await;
    let key = browser.run("return document.querySelector('#push').dataset.key.length").await;
    assert_eq!(key, 87, "a point on P-256 in base64url");

    // What the browser's push service would have given; the real form carries it.
    let made = serde_json::json!(subscription(&stage.push, "li-phone"));
    browser.run(&format!("document.querySelector('#push [name=subscription]').value = {made}")).await;
    browser.follow("#push button").await;
    assert_eq!(browser.count("form[action$='/push/end']").await, 1);
    browser.shot("browser").await;
    // Telephone numbers set later leave it as it is.
    browser.fill("[name=sms]", "13900000001").await;
    browser.follow("form[action$='/addresses'] button").await;
    assert_eq!(browser.count("form[action$='/push/end']").await, 1);

    browser.goto("/console/duty").await;
    browser.follow("form[action='/console/duty/test'] button").await;
    assert!(browser.text("[role=status]").await.contains('2'), "two addresses were called");
    eventually("the test call arrives", || {
        stage.pushes_to("li-phone") == 1 && stage.texts_to("+8613900000001").len() == 1
    })
    .await;
    browser.shot("test").await;
    let mut alert = Cma::new("one");
    alert.colour = RED;
    assert_eq!(stage.server.post(alert.xml()).await.0, 201);
    eventually("a real call arrives", || stage.pushes_to("li-phone") == 2).await;

    // The worker itself: it can be registered under this policy, and shows what a call says.
    let active = "return navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(r => r.active !== null)";
    assert_eq!(browser.run(active).await, true);

    // A subscription that is none is refused; one that is not wanted any more is gone.
    browser.goto("/console/me").await;
    browser.forgive("status of 422");
    browser.run("document.querySelector('#push [name=subscription]').value = '{\"endpoint\": \"ftp://x\"}'").await;
    browser.follow("#push button").await;
    assert!(browser.text("main").await.contains("T6107"));
    browser.goto("/console/me").await;
    browser.follow("form[action$='/push/end'] button").await;
    assert_eq!(browser.count("form[action$='/push/end']").await, 0);
    assert_eq!(browser.run("return document.querySelector('[name=sms]').value").await, "+8613900000001");
    browser.assert_quiet().await;
}

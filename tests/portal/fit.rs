//! Every page for residents and everybody: fit for all eyes, in both languages, by day and by night, on a desk and in a small hand.

use std::collections::BTreeSet;

use serde_json::json;

use crate::browser::{Browser, DESKTOP, Look};
use crate::journeys::by_phone;
use crate::mail;
use crate::routes;
use crate::stage::Stage;
use crate::support::axe;

const SIZES: [(u32, u32); 2] = [DESKTOP.size, (320, 640)];

/// Addresses that lead to nothing, or to nothing any more.
const WHERE_NOTHING_IS: [(&str, &str); 8] = [
    ("missing", "/a/aaaaaaaa"),
    ("missing-event", "/events/aaaaaaaaaaaaaaaa"),
    ("missing-region", "/regions/000000"),
    ("missing-source", "/sources/nobody"),
    ("missing-drill", "/drills/aaaaaaaaaaaaaaaa"),
    ("find-nothing", "/regions?q=nowhere"),
    ("never-unknown", "/sign-up/never/forged"),
    ("leave-unknown", "/leave/forged"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_for_everybody_in_chinese() {
    walk("fit-zh", "zh-CN", "13812345678").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_for_everybody_in_english() {
    walk("fit-en", "en", "13812345678").await;
}

struct Walk {
    browser: Browser,
    axe: Option<String>,
    bad: Vec<String>,
    /// The paths that were looked at.
    seen: BTreeSet<String>,
}

impl Walk {
    /// Looks at the page that is open, in every light and size.
    async fn look(&mut self, name: &str) {
        let path = self.browser.run("return location.pathname").await;
        self.seen.insert(path.as_str().unwrap().to_owned());
        for dark in [false, true] {
            self.browser.dark(dark).await;
            for size in SIZES {
                self.browser.resize(size).await;
                self.browser.assert_fits().await;
                let look = format!("{name}-{}-{}", if dark { "dark" } else { "light" }, size.0);
                if let Some(axe) = &self.axe {
                    let faults = axe::faults(&self.browser, axe, axe::ALL).await;
                    self.bad.extend(faults.into_iter().map(|fault| format!("{look}: {fault}")));
                }
                self.browser.shot(&look).await;
            }
        }
        self.browser.dark(false).await;
    }

    async fn visit(&mut self, name: &str, path: &str) {
        self.browser.goto(path).await;
        self.look(name).await;
    }
}

async fn walk(journey: &'static str, language: &'static str, number: &str) {
    let stage = Stage::start().await;
    let mut browser = Browser::open(&stage.server.url, journey, Look { language, ..DESKTOP }).await;
    browser.forgive("status of 404");
    browser.forgive("status of 422");
    browser.forgive("status of 403");
    let axe = axe::script();
    if axe.is_none() {
        println!("skipped in part: npm's axe-core is not in target/tools (`cargo xtask test` fetches it)");
    }
    browser.keep_nothing().await;
    let mut walk = Walk { browser, axe, bad: Vec::new(), seen: BTreeSet::new() };
    walk.visit("home-calm", "/").await;
    walk.visit("sign-up", "/sign-up").await;
    // No push service is here that this browser knows: it says so, and a subscription made elsewhere stands in.
    walk.browser.click("[data-push] button").await;
    walk.browser.until("it says why", "return document.querySelector('[data-push] output').textContent !== ''").await;
    walk.look("sign-up-no-push").await;
    by_browser(&mut walk, &stage).await;
    walk.browser.goto("/sign-up").await;
    // A form that is not in order, then the code's page, a wrong code, the settings.
    walk.browser.fill("[name=address]", "12345").await;
    walk.browser.set("[name=county]", "310118").await;
    walk.browser.click("[name=consent]").await;
    walk.browser.follow("button.wide").await;
    walk.look("sign-up-refused").await;
    walk.browser.fill("[name=address]", number).await;
    walk.browser.click("[name=consent]").await;
    walk.browser.follow("button.wide").await;
    walk.look("code").await;
    walk.browser.fill("[name=code]", "000000").await;
    walk.browser.follow("button.wide").await;
    walk.look("code-wrong").await;
    let text = stage.texts_to(&format!("+86{number}")).pop();
    let text = match text {
        Some(text) => text,
        None => stage.text(&format!("+86{number}"), "10").await,
    };
    let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
    walk.browser.fill("[name=code]", &code).await;
    walk.browser.follow("button.wide").await;
    walk.look("settings-new").await;
    // A mailbox for the same account.
    walk.browser.unfold("#addresses details").await;
    walk.browser.fill("#addresses [name=address]", "li@example.org").await;
    walk.browser.follow("#addresses details button").await;
    walk.look("mail-on-its-way").await;
    walk.browser.goto(&stage.link("li@example.org").await).await;
    walk.look("confirm").await;
    walk.browser.follow("button.wide").await;
    let letter = mail::said(&stage.mail("li@example.org", "/sign-up/never/").await);
    let never = letter[letter.find("/sign-up/never/").unwrap()..].split_whitespace().next().unwrap();
    walk.visit("never", never).await;
    walk.browser.follow("button.wide").await;
    walk.look("never-again").await;
    walk.browser.goto("/me").await;
    walk.browser.set("[name$=by0]", "email").await;
    walk.browser.follow("#places button.wide").await;

    let mut sent = Vec::new();
    for id in ["sh-rain-yellow", "sh-typhoon-yellow", "sh-typhoon-orange", "nmefc-wave-red"] {
        stage.muifa(id, &mut sent).await;
    }
    let told = stage.mail("li@example.org", "/leave/").await;
    walk.browser.follow("#test button").await;
    // While a test is on its way the page reloads by itself.
    let result =
        "return document.querySelector('#test li') !== null && document.querySelector('[data-refresh]') === null";
    walk.browser.until("a result", result).await;
    walk.browser.goto("/me?year=1").await;
    walk.browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })").await;
    walk.browser.click(".pick > button").await;
    walk.browser.until("the map", "return document.querySelector('.pick').dataset.ready === '1'").await;
    walk.look("settings").await;
    walk.browser.run("document.querySelector('[data-on]').hidden = false").await;
    walk.look("settings-told-here").await;
    walk.browser.run("document.querySelector('#mine [name=csrf]').value = 'of another session'").await;
    walk.browser.follow("#mine [action='/me/export'] button").await;
    walk.look("stale").await;
    walk.browser.goto("/me").await;
    walk.browser.unfold("#places fieldset.card details:has([name$='-from'])").await;
    walk.browser.set("#places fieldset.card [name$='-from']", "44").await;
    walk.browser.follow("#places button.wide").await;
    walk.look("settings-refused").await;
    walk.browser.goto("/me").await;
    walk.browser.unfold("#addresses details").await;
    walk.browser.fill("#addresses [name=address]", "12345").await;
    walk.browser.follow("#addresses details button").await;
    walk.look("address-refused").await;
    walk.visit("app", "/app").await;
    walk.visit("offline", "/offline").await;
    let drill = stage.drill("nmc-yellow").await;
    walk.visit("drill", &format!("/drills/{drill}")).await;
    walk.visit("home", "/").await;
    walk.visit("region", "/regions/310118").await;
    walk.visit("province", "/regions/310000").await;
    walk.visit("find", "/regions?q=Qing").await;
    walk.visit("source", "/sources/delta").await;
    let event = "return document.querySelector('.cards a[href^=\"/events/\"]').getAttribute('href')";
    walk.browser.goto("/").await;
    let event = walk.browser.run(event).await;
    walk.visit("event", event.as_str().unwrap()).await;
    for (name, path) in WHERE_NOTHING_IS {
        walk.visit(name, path).await;
    }
    walk.visit("leave", &mail::leave(&told)).await;
    walk.browser.follow("button.wide").await;
    walk.look("left").await;
    // And with the number too: nothing reaches them now.
    assert!(!stage.hear(&format!("+86{number}"), "TD").await.is_empty());
    walk.visit("settings-left", "/me").await;
    assert!(!walk.browser.has("#addresses li").await);
    walk.browser.click("[name=sure]").await;
    walk.browser.follow("button.grave").await;
    walk.look("deleted").await;
    assert!(walk.bad.is_empty(), "{:#?}", walk.bad);
    walk.browser.assert_quiet().await;
    routes::all_seen(&stage, &walk.seen).await;
}

/// Signs up with a browser: the page that waits for the push, the same when it has come, and where it leads.
async fn by_browser(walk: &mut Walk, stage: &Stage) {
    walk.browser.goto("/sign-up").await;
    let subscribed = format!(
        "const form = document.querySelector('form[action=\"/sign-up\"]'); form.elements.subscription.value = {}; \
         form.elements.address.required = false;",
        json!(stage.subscription())
    );
    walk.browser.run(&subscribed).await;
    walk.browser.set("[name=county]", "310118").await;
    walk.browser.click("[name=consent]").await;
    walk.browser.follow("button.wide").await;
    walk.browser.find("[data-confirm]").await;
    walk.look("awaits").await;
    // As the worker says it, to a page that listens as soon as its script has run.
    let comes = "navigator.serviceWorker.dispatchEvent(new MessageEvent('message', \
                 {data: {confirm: '/sign-up/confirm/unknown?by=push'}})); \
                 return !document.querySelector('[data-confirm]').hidden";
    walk.browser.until("it says so", comes).await;
    walk.look("awaits-come").await;
    walk.browser.follow("[data-confirm] a").await;
    walk.look("confirm-push").await;
    walk.browser.follow("button.wide").await;
    walk.look("confirm-refused").await;
    walk.visit("confirm-sms", "/sign-up/confirm/unknown?by=sms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_hold_at_twice_the_letters() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "zoom", Look { size: (640, 900), ..DESKTOP }).await;
    by_phone(&stage, &browser, "13812345678").await;
    browser.run("document.documentElement.style.fontSize = '200%'").await;
    browser.assert_fits().await;
    browser.shot("settings").await;
}

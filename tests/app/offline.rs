//! Without a network: what was in force, and what came by push since.

use serde_json::json;

use crate::stage::Stage;
use crate::support::browser::{Browser, Look};
use crate::support::{Cma, ORANGE, axe};
use crate::worker;

const PHONE: Look = Look { size: (390, 844), script: true, language: "zh-CN" };

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_the_app_says_what_was_in_force_and_what_to_do_and_holds_nothing_personal() {
    let mut stage = Stage::start().await;
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("a") }).await;
    while !stage.server.get(&format!("/alerts/{id}.json")).await.status().is_success() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut browser = Browser::open(&stage.server.url, "offline", PHONE).await;
    browser.goto("/?lang=zh-CN").await;
    browser.until("the worker is in charge", "return Boolean(navigator.serviceWorker.controller)").await;
    let kept = "return caches.match('/offline?lang=zh-CN').then(r => r?.text()).then(t => Boolean(t?.includes('台风橙色预警')))";
    browser.until("what is in force is kept", kept).await;

    for path in ["/sign-up?lang=zh-CN", "/app?lang=zh-CN", "/me", "/console", "/alerts/active"] {
        browser.goto(path).await;
    }
    let all = "return caches.keys().then(names => Promise.all(names.map(n => caches.open(n).then(c => c.keys())))) \
               .then(lists => lists.flat().map(r => new URL(r.url).pathname + new URL(r.url).search).sort())";
    let all = browser.run(all).await;
    assert_eq!(
        all,
        json!([
            "/assets/icon-192.png",
            "/assets/icon.svg",
            "/assets/offline.js",
            "/assets/public.css",
            "/offline?lang=en",
            "/offline?lang=zh-CN",
            "/state/seen",
        ]),
        "bounded, and nobody's own"
    );

    browser.goto("/?lang=zh-CN").await;
    let errors = browser.cdp("Page.getInstallabilityErrors", json!({})).await["installabilityErrors"].clone();
    let errors: Vec<_> =
        errors.as_array().unwrap().iter().filter(|e| e["errorId"] != "in-incognito").cloned().collect();
    assert!(errors.is_empty(), "it can be installed: {errors:?}");
    let manifest = browser.cdp("Page.getAppManifest", json!({})).await;
    assert_eq!(manifest["errors"], json!([]));

    assert!(stage.server.stop());
    browser.forgive("Failed to load resource");
    browser.forgive("ERR_");
    // Pages that were not read before: what was is good for half a minute without asking.
    for (path, words) in [
        ("/regions/310118?lang=zh-CN", ["您已离线", "台风橙色预警"]),
        ("/regions/310118?lang=en", ["You are offline", "orange Typhoon warning"]),
    ] {
        browser.goto(path).await;
        browser
            .until("it says how old it is", "return /\\(.+\\)/.test(document.querySelector('[data-seen]').textContent)")
            .await;
        let text = browser.text("main").await;
        assert!(words.iter().all(|part| text.contains(part)), "{path}: {text}");
        assert!(browser.count(".steps li").await > 0, "what to do");
        browser.shot("offline").await;
    }
    // What was pushed since takes its event's place; what is over is said to be.
    let push = format!(
        "const told = [{{event: '{id}', title: '台风橙色预警解除｜青浦区', body: '上海中心气象台已解除预警。', variant: 'cancel', lang: 'zh-CN', at: Date.now() + 1000}}, \
           {{event: 'x', title: '▲ 暴雨黄色预警｜青浦区', body: '请勿外出', variant: 'warn', level: 'yellow', lang: 'zh-CN', at: Date.now() + 1000}}]; \
         return caches.open('tocsin-state').then(c => c.put('/state/told', new Response(JSON.stringify(told)))).then(() => true)"
    );
    browser.run(&push).await;
    browser.goto("/sources/shanghai?lang=zh-CN").await;
    browser.until("the pushes are there", "return document.querySelectorAll('.cards > li').length === 2").await;
    let text = browser.text("main").await;
    assert!(
        text.contains("台风橙色预警解除") && text.contains("暴雨黄色预警") && !text.contains("上海中心气象台发布"),
        "{text}"
    );
    browser.shot("pushed").await;
    browser.resize((320, 640)).await;
    let wide = browser.run("return document.documentElement.scrollWidth").await;
    assert!(wide.as_u64().unwrap() <= 320, "{wide}");
    browser.dark(true).await;
    browser.shot("dark").await;
    // The console is the browser's own affair: nothing stands in for it.
    let console = "return fetch('/console').then(() => 'an answer', () => 'none')";
    assert_eq!(browser.run(console).await, "none");
}

#[test]
fn a_page_in_a_language_that_nobody_here_reads_holds_up_no_installation() {
    for (reads, broken, kept) in [
        ("ja-JP", "/none", "en ja ko zh-CN"),
        ("ja-JP", "/offline?lang=ko", "en ja zh-CN"),
        ("en-GB", "/offline?lang=zh-CN", "en ja ko"),
        ("ja-JP", "/offline?lang=ja", "not installed"),
        ("ja-JP", "/offline?lang=en", "not installed"),
        ("ja-JP", "/assets/public.css", "not installed"),
    ] {
        assert_eq!(worker::run(include_str!("installs.js"), &[reads, broken]).trim(), kept, "{reads} {broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_own_pages_read_well_for_everybody_on_a_small_screen_in_light_and_dark() {
    let stage = Stage::start().await;
    stage.release(&Cma { colour: ORANGE, ..Cma::new("a") }).await;
    let browser = Browser::open(&stage.server.url, "pages", PHONE).await;
    browser.resize((320, 640)).await;
    let Some(axe) = axe::script() else {
        println!("skipped in part: npm's axe-core is not in target/tools (`cargo xtask test` fetches it)");
        return;
    };
    let mut bad = Vec::new();
    for path in ["/app?lang=zh-CN", "/app?lang=en", "/offline?lang=zh-CN", "/offline?lang=en"] {
        for dark in [false, true] {
            browser.dark(dark).await;
            browser.goto(path).await;
            browser.run(&format!("{axe}; window.axe = axe; window.found = null; axe.run(document, {{rules: {{'target-size': {{enabled: true}}}}}}).then((r) => {{ window.found = r.violations }})")).await;
            browser.until("axe is done", "return window.found !== null").await;
            let found =
                browser.run("return window.found.map((v) => v.id + ': ' + v.nodes[0].html.slice(0, 150))").await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            if found != json!([]) || wide.as_u64() > Some(320) {
                bad.push(format!("{path} dark {dark}: {found}, {wide} px wide"));
            }
        }
        browser.shot("page").await;
    }
    assert!(bad.is_empty(), "{bad:#?}");
    browser.assert_quiet().await;
}

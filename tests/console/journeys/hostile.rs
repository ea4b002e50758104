//! Words that would like to be more than words.

use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, rules, step};
use crate::support::{Cma, RED};

const EVIL: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{ 7*7 }}{% raw %} \"'` javascript:alert(1)";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_are_shown_as_words() {
    let props = Props::new(Some(&rules(&step("primary", "30m", "hold"))), 100).await;
    let roll = props.roll(UNPROVED).await;
    let officer = roll
        .officer("li", "<b>李</b>'\"", Language::Chinese, "signer:* author:* reviewer:* auditor:* operator:*")
        .await;
    roll.close().await;
    let stage = props.start();
    let mut alert = Cma::new("evil\"><script>");
    alert.colour = RED;
    let escaped = EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let xml = alert
        .xml()
        .replace("evil\"><script>", "evil&quot;&gt;&lt;script&gt;")
        .replace("<description>上海中心气象台发布台风红色预警", &format!("<description>{escaped}"));
    let xml = xml.replace("<headline>上海中心气象台发布台风红色预警", &format!("<headline>台风红色预警{escaped}"));
    let (status, answer) = stage.server.post(xml).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().unwrap();
    let mut browser = Browser::open(&stage.server.url, "hostile", DESKTOP).await;
    browser.enter(&officer.session).await;
    for page in [
        "/console".to_owned(),
        format!("/console/alerts/{id}"),
        "/console/alerts?q=%22%3E%3Cscript%3E".into(),
        format!("/console/record?subject={id}"),
    ] {
        browser.goto(&page).await;
        browser.find("main").await;
        assert_ne!(browser.title().await, "owned", "{page}");
        let made = browser
            .run("return [...document.querySelectorAll('main script, main [onerror], main b')].map(e => e.outerHTML)")
            .await;
        assert_eq!(made, serde_json::json!([]), "{page}");
        browser.shot("words").await;
    }
    browser.goto(&format!("/console/alerts/{id}")).await;
    let text = browser.text("main").await;
    assert!(text.contains("<script>document.title='owned'</script>") && text.contains("{{ 7*7 }}"), "{text}");
    // A reason, a draft and a name are words too.
    browser.unfold("details[data-key=r]").await;
    browser.fill("details[data-key=r] textarea", EVIL).await;
    browser.follow("details[data-key=r] button:not(.danger)").await;
    assert!(browser.text(".escalation").await.contains("<img src=x"));
    browser.goto("/console/compose/new").await;
    browser.fill("[name='zh-CN.headline']", EVIL).await;
    browser.fill("[name=places]", EVIL).await;
    browser.until("checked", "return document.querySelector('#check').innerText.includes('<script>')").await;
    assert!(!browser.has("#check script, #check img").await);
    browser.shot("draft").await;

    // The policy is strict, everywhere; a script that got in would not run.
    let ran = browser
        .run("const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); return window.ran === undefined")
        .await;
    assert_eq!(ran, true, "inline scripts are refused");
    browser.forgive("Content Security Policy");
    browser.forgive("Content-Security-Policy");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for page in ["/sign-in", "/console", "/assets/console.js", "/sw.js", "/api/v1/openapi.json", "/nowhere"] {
        let answer = client.get(format!("{}{page}", stage.server.url)).send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("script-src 'self'")
                && policy.contains("worker-src 'self'"),
            "{page}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
    }
    browser.assert_quiet().await;
}

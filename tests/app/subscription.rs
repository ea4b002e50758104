//! Subscriptions change, end, and are ended.

use crate::firefox::Firefox;
use crate::stage::Stage;
use crate::support::{Cma, ORANGE};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_subscription_is_taken_over_and_its_owner_leaves_with_one_click() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "change").await;
    stage.sign_up(&firefox).await;
    let old = stage.service.alive();
    stage.service.rotate();
    stage.eventually("the browser subscribes anew", || !stage.service.alive().is_empty()).await;
    let new = stage.service.alive();
    assert_ne!(old, new);
    firefox.notified("a quiet word", |all| all.iter().any(|n| n["tag"] == "renewed" && n["silent"] == true)).await;
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("after") }).await;
    stage.seen(&id, "shown", 1).await;
    assert_eq!(stage.service.posted().pop().unwrap().token, new[0], "the server knows the new one");
    assert_eq!(stage.rows("address").await, 1, "in the old one's place");

    firefox.goto("/app?lang=zh-CN").await;
    let on = "return document.querySelector('[data-yes]').checkVisibility()";
    firefox.until("it says that this browser is told", on, |on| *on == true).await;
    firefox.shot("app").await;
    firefox.click("[data-leave]").await;
    let left = "return document.querySelector('p[data-left]').textContent";
    firefox.until("left", left, |told| told.as_str().is_some_and(|told| told.contains("已退订"))).await;
    firefox.shot("left").await;
    let (posted, other) = (stage.service.posted().len(), Cma { event: ("暴雨", "Rainstorm"), ..Cma::new("later") });
    let id = stage.release(&other).await;
    stage.server.until(&id, |states| states["planned"] == true && states["audience"] == 0).await;
    assert_eq!(stage.service.posted().len(), posted, "nothing more comes");
    for table in ["resident", "address", "place", "subscriber", "resident_session", "acknowledgement"] {
        assert_eq!(stage.rows(table).await, 0, "it was the only address: {table} holds nothing of them");
    }
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_whose_subscription_changed_while_it_was_off_comes_back_though_it_was_thought_gone() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "off").await;
    stage.sign_up(&firefox).await;
    firefox.close().await;
    stage.service.rotate();
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("off") }).await;
    stage.server.until(&id, |states| states["channels"]["push"]["failed"] == 1).await;
    assert_eq!(stage.rows("address WHERE gone_at IS NOT NULL").await, 1);

    let firefox = stage.open(&profile, "off-back").await;
    firefox.goto("/app?lang=zh-CN").await;
    stage.eventually("the browser subscribes anew", || !stage.service.alive().is_empty()).await;
    firefox.notified("a quiet word", |all| all.iter().any(|n| n["tag"] == "renewed")).await;
    assert_eq!(stage.rows("address WHERE gone_at IS NULL AND left_at IS NULL").await, 1, "it lives again");
    let id = stage.release(&Cma { event: ("暴雨", "Rainstorm"), ..Cma::new("back") }).await;
    stage.seen(&id, "shown", 1).await;
    firefox.close().await;
}

/// What the page's script does on each visit, done now.
fn visits(n: usize) -> String {
    let visit = |n| format!("import('/assets/app.js?{n}')");
    format!("await Promise.all([{}]); return true;", (0..n).map(visit).collect::<Vec<_>>().join(", "))
}

/// What the browser keeps of itself, changed before.
fn own(change: &str) -> String {
    format!(
        "const cache = await caches.open('tocsin-state'); const own = await (await cache.match('/state/browser'))?.json(); \
         {change}; return own ?? null"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_subscription_lapses_a_new_one_takes_its_place_once_with_a_word_to_the_person() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "lapses").await;
    stage.sign_up(&firefox).await;
    let old = stage.service.alive();
    firefox.goto("/app?lang=zh-CN").await;
    // Firefox' own never end: these end so many days from now.
    let ends = |days: u32| {
        format!(
            "const old = (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).endpoint; \
             Object.defineProperty(PushSubscription.prototype, 'expirationTime', {{configurable: true, \
               get() {{ return this.endpoint === old ? Date.now() + {days} * 86_400_000 : null; }}}}); return true;"
        )
    };
    firefox.run(&ends(8)).await;
    firefox.run(&visits(1)).await;
    assert_eq!(stage.service.alive(), old, "there is time");
    firefox.run(&ends(6)).await;
    // Two tabs at once.
    firefox.run(&visits(2)).await;
    let new = stage.service.alive();
    assert_eq!((new.len(), new == old), (1, false));
    assert_eq!(stage.rows("record WHERE kind = 'resident.browser-moved'").await, 1, "the other one found it done");
    assert_eq!(stage.rows("address WHERE left_at IS NULL").await, 1);
    firefox.notified("a quiet word", |all| all.iter().any(|n| n["tag"] == "renewed" && n["silent"] == true)).await;
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("after") }).await;
    stage.seen(&id, "shown", 1).await;
    assert_eq!(stage.service.posted().pop().unwrap().token, new[0]);
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_held_as_gone_subscribes_anew_and_one_that_was_left_elsewhere_forgets_itself() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "held-as-gone").await;
    stage.sign_up(&firefox).await;
    // The browser does not hear of it.
    stage.service.end_all();
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("gone") }).await;
    stage.server.until(&id, |states| states["channels"]["push"]["failed"] == 1).await;
    assert_eq!(stage.rows("address WHERE gone_at IS NOT NULL").await, 1);

    // A hotel's network refuses too: that says nothing of the browser.
    firefox.goto("/?lang=zh-CN").await;
    let hotel = "globalThis.fetch = async () => new Response('Pay first', { status: 403 }); return true;";
    firefox.run(&own("await cache.put('/state/browser', new Response(JSON.stringify({ ...own, alive: 0 })))")).await;
    firefox.run(hotel).await;
    firefox.run(&visits(1)).await;
    assert!(firefox.run(&own("")).await["word"].is_string(), "it still knows whose it is");
    assert!(stage.service.alive().is_empty(), "and has not moved");

    // Its own page asks each time.
    firefox.goto("/app?lang=zh-CN").await;
    stage.eventually("the browser subscribes anew", || !stage.service.alive().is_empty()).await;
    firefox.notified("a quiet word", |all| all.iter().any(|n| n["tag"] == "renewed")).await;
    let on = "return document.querySelector('[data-yes]').checkVisibility()";
    firefox.until("it says that this browser is told", on, |on| *on == true).await;
    assert_eq!(stage.rows("address WHERE gone_at IS NULL AND left_at IS NULL").await, 1, "it lives again");
    let id = stage.release(&Cma { event: ("暴雨", "Rainstorm"), ..Cma::new("back") }).await;
    stage.seen(&id, "shown", 1).await;

    // Left from another device: what this one says is heard no more.
    let kept = firefox.run(&own("")).await;
    let left = format!(
        "return (await fetch('/app/leave', {{method: 'POST', body: new URLSearchParams({{word: {}}})}})).ok",
        kept["word"]
    );
    assert_eq!(firefox.run(&left).await, true);
    firefox.goto("/app?lang=zh-CN").await;
    firefox.until("it has forgotten itself", &own(""), serde_json::Value::is_null).await;
    firefox.until("it says so", "return document.querySelector('[data-no]').checkVisibility()", |no| *no == true).await;
    assert!(!stage.service.alive().is_empty(), "an officer may still be called by it");
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_browser_lives_is_asked_once_a_month_and_nobody_sees_it() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "asked").await;
    stage.sign_up(&firefox).await;
    let shown = firefox.run(Firefox::NOTIFICATIONS).await;
    let posted = stage.service.posted().len();
    // A month later.
    let mut tables = stage.tables().await;
    let due = "UPDATE address SET check_at = 1 WHERE channel = 'push'";
    assert_eq!(sqlx::query(due).execute(&mut tables).await.unwrap().rows_affected(), 1);
    stage.eventually("it is asked", || stage.service.posted().len() > posted).await;
    let asked = stage.service.posted().pop().unwrap();
    assert_eq!((asked.ttl, asked.topic.as_str()), (0, "check"), "kept for no browser that is away");
    stage.eventually("the browser has it", || stage.service.waiting() == 0).await;
    assert_eq!(firefox.run(Firefox::NOTIFICATIONS).await, shown, "nothing is shown");
    // What comes after it is shown, and nothing else: the browser still trusts the subscription.
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("after") }).await;
    stage.seen(&id, "shown", 1).await;
    let all = firefox.run(Firefox::NOTIFICATIONS).await;
    assert_eq!(all.as_array().unwrap().len(), shown.as_array().unwrap().len() + 1, "{all}");
    assert_eq!(stage.rows("address WHERE left_at IS NULL AND gone_at IS NULL").await, 1);
    assert_eq!(stage.service.posted().len(), posted + 2, "and it was asked once");
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_gone_is_found_out_and_its_owner_told_by_short_message() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "gone").await;
    firefox.goto("/sign-up?lang=zh-CN").await;
    for (field, value) in [("address", "138 1234 5678"), ("county", "310118"), ("level", "blue"), ("consent", "1")] {
        firefox.set(&format!("[name={field}]"), value).await;
    }
    firefox.follow("form[action='/sign-up'] button.wide").await;
    let text = stage.texted("验证码").await;
    let digits = text.split_once("验证码").unwrap().1;
    firefox.set("[name=code]", &digits[..6]).await;
    firefox.follow("form button.wide").await;
    // Another address: this browser.
    firefox.run("document.querySelector('#addresses [data-push]').scrollIntoView()").await;
    firefox.shot("add").await;
    firefox.follow("#addresses [data-push] button").await;
    stage.confirm(&firefox).await;
    assert_eq!(stage.rows("address").await, 2);

    stage.service.end_all();
    let id = stage.release(&Cma { colour: ORANGE, ..Cma::new("gone") }).await;
    stage.texted("您的一个浏览器收不到预警了").await;
    let states = stage.server.until(&id, |states| states["channels"]["sms"]["accepted"] == 1).await;
    assert_eq!(states["channels"]["push"]["failed"], 1, "{states}");
    assert_eq!(stage.rows("address WHERE channel = 'push' AND gone_at IS NOT NULL AND left_at IS NOT NULL").await, 1);
    let metrics = stage.server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("push_subscriptions_gone{told=\"yes\"} 1"), "{metrics}");
    firefox.close().await;
}

//! From a warning to the words on a screen, and back to who has seen it.

use chrono::TimeDelta;
use serde_json::Value;

use crate::stage::Stage;
use crate::support::{Cma, ORANGE, RED};

/// What each notification is about, in the order of its tag.
fn titles(all: &[Value]) -> Vec<&str> {
    all.iter().filter(|n| n["tag"] != "confirm").filter_map(|n| n["title"].as_str()).collect()
}

fn says<'a>(part: &'a str) -> impl Fn(&[Value]) -> bool + 'a {
    move |all| matches!(titles(all).as_slice(), [title] if title.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typhoon_is_read_in_chinese_its_update_takes_its_place_and_only_the_end_is_shown_when_the_browser_comes_back()
{
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "typhoon").await;
    stage.sign_up(&firefox).await;

    let first = Cma { colour: ORANGE, ..Cma::new("muifa-1") };
    let id = stage.release(&first).await;
    let up = firefox.notified("the warning", says("台风橙色预警")).await;
    let warning = up.iter().find(|n| n["tag"] != "confirm").unwrap();
    assert!(warning["title"].as_str().unwrap().contains("青浦区"), "{warning}");
    assert!(warning["body"].as_str().unwrap().starts_with("请"), "what to do stands first: {warning}");
    assert_eq!(
        (&warning["lang"], &warning["stays"], &warning["silent"]),
        (&"zh-CN".into(), &false.into(), &false.into())
    );
    assert_eq!(warning["url"], format!("/events/{id}?lang=zh-CN"));
    assert_eq!(warning["buttons"], serde_json::json!(["查看详情", "我安全"]), "{warning}");
    let tag = warning["tag"].clone();
    stage.seen(&id, "shown", 1).await;
    let posted = stage.service.posted().pop().unwrap();
    assert_eq!((Value::from(posted.topic), posted.urgency.as_str()), (tag.clone(), "high"));

    firefox.click_notification("台风橙色预警").await;
    stage.seen(&id, "opened", 1).await;
    while !firefox.has_tab(&format!("/events/{id}?lang=zh-CN")).await {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let second = Cma { msg_type: "Update", colour: RED, ..Cma::new("muifa-2") }.refers_to(&first);
    let id = stage.release(&second).await;
    let up = firefox.notified("the update", says("台风红色预警更新")).await;
    let update = up.iter().find(|n| n["tag"] == tag).unwrap();
    assert_eq!(
        (&update["stays"], &update["silent"]),
        (&true.into(), &false.into()),
        "the level rose: it rings, and stays"
    );
    stage.seen(&id, "shown", 1).await;

    let tabs = firefox.tabs().await;
    firefox.press_notification("台风红色预警更新", "safe").await;
    stage.seen(&id, "safe", 1).await;
    stage.seen(&id, "opened", 0).await;
    assert_eq!(firefox.tabs().await, tabs, "it opens nothing");
    firefox.notified("it is seen to", |all| titles(all).is_empty()).await;

    // Each ends earlier: what says the same, to last as long, is told to nobody again.
    let shorter =
        |hours, name| Cma { msg_type: "Update", colour: RED, expires: TimeDelta::hours(hours), ..Cma::new(name) };
    let third = shorter(5, "muifa-3").refers_to(&second);
    let id = stage.release(&third).await;
    stage.seen(&id, "shown", 1).await;
    let up = firefox.notified("another update", says("台风红色预警更新")).await;
    let update = up.iter().find(|n| n["tag"] == tag).unwrap();
    assert_eq!(update["silent"], true, "no second ring for the same level");

    firefox.close().await;
    stage.eventually("the browser is away", || !stage.service.connected()).await;
    let fourth = shorter(4, "muifa-4").refers_to(&third);
    let missed = stage.release(&fourth).await;
    let before = stage.service.posted().len();
    stage.eventually("it is posted", || stage.service.posted().len() >= before && stage.service.waiting() == 1).await;
    stage.server.until(&missed, |states| states["states"]["accepted"] == 1).await;
    let end = stage.release(&Cma { msg_type: "Cancel", colour: RED, ..Cma::new("muifa-5") }.refers_to(&fourth)).await;
    stage.server.until(&end, |states| states["states"]["accepted"] == 1).await;
    assert_eq!(stage.service.waiting(), 1, "the end took the update's place at the service");

    let firefox = stage.open(&profile, "typhoon-back").await;
    firefox.goto("/app?lang=zh-CN").await;
    let up = firefox.notified("the end", says("解除")).await;
    assert_eq!(up.iter().find(|n| n["tag"] == tag).unwrap()["stays"], false);
    stage.seen(&end, "shown", 1).await;
    stage.seen(&missed, "shown", 0).await;
    firefox.shot("app").await;
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_two_languages_gets_both_also_after_the_browser_was_closed_and_one_ring() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "languages").await;
    stage.sign_up_reading(&firefox, &["en"]).await;
    let both = |chinese: &'static str, english: &'static str| {
        move |all: &[Value]| {
            let all = titles(all);
            let has = |part: &str| all.iter().any(|title| title.contains(part));
            all.len() == 2 && has(chinese) && has(english)
        }
    };

    let first = Cma { colour: ORANGE, ..Cma::new("both-1") };
    let id = stage.release(&first).await;
    let up = firefox.notified("the warning in both", both("台风橙色预警", "Orange typhoon warning")).await;
    let rings = up.iter().filter(|n| n["tag"] != "confirm" && n["silent"] == false).count();
    assert_eq!(rings, 1, "{up:?}");
    stage.seen(&id, "shown", 2).await;

    firefox.close().await;
    stage.eventually("the browser is away", || !stage.service.connected()).await;
    let second = Cma { msg_type: "Update", colour: RED, ..Cma::new("both-2") }.refers_to(&first);
    let id = stage.release(&second).await;
    stage.server.until(&id, |states| states["states"]["accepted"] == 2).await;
    assert_eq!(stage.service.waiting(), 2, "neither took the other's place at the service");
    let firefox = stage.open(&profile, "languages-back").await;
    firefox.goto("/app?lang=zh-CN").await;
    firefox.notified("the update in both", both("台风红色预警", "Red typhoon warning")).await;
    stage.seen(&id, "shown", 2).await;
    let kept = "return (await (await (await caches.open('tocsin-state')).match('/state/told'))?.json())?.map((one) => one.lang).sort()";
    firefox.until("the offline page may tell both", kept, |kept| *kept == serde_json::json!(["en", "zh-CN"])).await;
    firefox.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_and_said_without_a_network_is_reported_when_there_is_one() {
    let stage = Stage::start().await;
    let profile = stage.profile();
    let firefox = stage.open(&profile, "unsent").await;
    stage.sign_up(&firefox).await;
    firefox.cut_off(Some("/app/receipt")).await;
    let id = stage.release(&Cma { colour: RED, ..Cma::new("unsent") }).await;
    firefox.notified("the warning", says("台风红色预警")).await;
    firefox.press_notification("台风红色预警", "safe").await;
    let kept = "return (await (await (await caches.open('tocsin-state')).match('/state/unsent'))?.json())?.map((one) => one.what).sort()";
    firefox.until("both are kept", kept, |kept| *kept == serde_json::json!(["safe", "shown"])).await;
    stage.seen(&id, "shown", 0).await;
    firefox.cut_off(None).await;
    firefox.goto("/?lang=zh-CN").await;
    stage.seen(&id, "safe", 1).await;
    stage.seen(&id, "shown", 1).await;
    firefox.until("nothing is left to say", kept, |kept| *kept == serde_json::json!([])).await;
    firefox.close().await;
}

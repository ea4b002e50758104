//! A danger at sea, written by officers of one province for the coast of two.

use serde_json::json;
use tocsin::messages::Language;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_sea_warns_its_coast_and_each_province_of_it_is_asked() {
    let props = Props::new(None, 100).await;
    props.people(
        "310116,zh-CN,public,13800000001,,\n330424,zh-CN,public,13800000002,,\n310118,zh-CN,public,13800000003,,",
    );
    let roll = props.roll(UNPROVED).await;
    let author = roll.officer("author", "Lin Xiao", Language::English, "author:310000").await;
    let mut shanghai = roll.officer("sh", "He Lin", Language::English, "signer:310000").await;
    let mut zhejiang = roll.officer("zj", "Zhe Jiang", Language::English, "signer:330000").await;
    roll.close().await;
    let stage = props.start();
    let url = stage.server.url.clone();
    let (one, two, three) = tokio::join!(
        Browser::open(&url, "sea", DESKTOP),
        Browser::open(&url, "sea-shanghai", DESKTOP),
        Browser::open(&url, "sea-zhejiang", DESKTOP),
    );
    for (browser, officer) in [(&one, &author), (&two, &shanghai), (&three, &zhejiang)] {
        browser.enter(&officer.session).await;
    }
    one.goto("/console/compose/new").await;
    one.until("the map is there", "return document.querySelector('#map')?.dataset.ready === '1'").await;
    // Danger and level come first; both languages stand in one row.
    let first = one.run("return [...document.querySelectorAll('#compose select, #compose input:not([type=hidden])')].slice(0, 2).map(f => f.name)").await;
    assert_eq!(first, json!(["hazard", "colour"]));
    let tops = one.run("return [...document.querySelectorAll('.languages fieldset')].map(f => Math.round(f.getBoundingClientRect().top))").await;
    let tops = tops.as_array().unwrap();
    assert!(tops.len() == 2 && tops[0] == tops[1], "{tops:?}");

    one.set("[name=hazard]", "storm-surge").await;
    one.set("[name=colour]", "orange").await;
    one.set("[name=region]", "310000").await;
    one.fill("[name=places]", "Hangzhou Bay").await;
    one.until("all is well", "return document.querySelector('#check').innerText.includes('✓')").await;
    let matched = one.run("return document.querySelector('[data-matched]').dataset.matched").await;
    let matched = matched.as_str().unwrap();
    for county in ["310116", "330424"] {
        assert!(matched.contains(county), "on the coast: {matched}");
    }
    assert!(!matched.contains("310118"), "Qingpu has no coast: {matched}");
    let remarks = one.text("#check").await;
    assert!(remarks.contains("Others are asked about their counties: Zhejiang Province"), "{remarks}");
    one.shot("checked").await;
    one.follow("button[formaction$='/submit']").await;
    let alert = one.place().await;
    assert!(alert.starts_with("/console/alerts/"), "{}", one.text("main").await);
    let parts = one.run("return [...document.querySelectorAll('.escalation h2')].map(h => h.innerText)").await;
    let parts: Vec<&str> = parts.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    assert!(parts.len() == 2 && parts[0].contains("Shanghai") && parts[1].contains("Zhejiang"), "{parts:?}");
    one.shot("submitted").await;

    for (browser, officer, place) in [(&two, &mut shanghai, "Shanghai"), (&three, &mut zhejiang, "Zhejiang Province")] {
        browser.goto(&alert).await;
        browser.find("form.grave").await;
        assert_eq!(browser.count("form.grave").await, 1, "each decides on its own part");
        if browser.has("form.grave [name=word]").await {
            browser.fill("form.grave [name=word]", place).await;
        }
        browser.fill("form.grave [name=code]", &officer.code().await).await;
        browser.follow("form.grave button").await;
        let number = if place == "Shanghai" { "+8613800000001" } else { "+8613800000002" };
        eventually("its coast is told", || stage.texts_to(number).len() == 1).await;
        if place == "Shanghai" {
            assert!(stage.texts_to("+8613800000002").is_empty(), "Zhejiang has not said yes");
        }
    }
    assert!(stage.texts_to("+8613800000003").is_empty());
    for browser in [&one, &two, &three] {
        browser.assert_quiet().await;
    }
}

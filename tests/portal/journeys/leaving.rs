//! Every way out works, and looking at one does nothing.

use super::{by_mail, by_phone};
use crate::browser::{Browser, DESKTOP};
use crate::mail;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn people_leave_by_the_link_by_one_click_by_answering_and_in_the_settings() {
    let stage = Stage::start().await;
    let browser = Browser::open(&stage.server.url, "leaving", DESKTOP).await;
    let (link, click, settings) = ("link@example.org", "click@example.org", "settings@example.org");
    for address in [link, click, settings] {
        by_mail(&stage, &browser, address).await;
        browser.follow("header form button").await;
    }
    for number in ["13800000001", "13800000002", "13800000003"] {
        by_phone(&stage, &browser, number).await;
        browser.follow("header form button").await;
    }
    let mut sent = Vec::new();
    stage.muifa("sh-typhoon-yellow", &mut sent).await;
    let mails = [stage.mail(link, "台风").await, stage.mail(click, "台风").await, stage.mail(settings, "台风").await];
    let text = stage.text("+8613800000001", "台风").await;
    assert!(text.contains("退订回TD"), "each message says how to leave: {text}");
    assert!(mails.iter().all(|one| mail::said(one).contains("不再接收：http")), "{}", mail::said(&mails[0]));

    // A GET never acts: mail programs look at links.
    let way = mail::leave(&mails[0]);
    for _ in 0..3 {
        assert_eq!(stage.client.get(&way).send().await.unwrap().status(), 200);
    }
    let looked = stage.client.get(mail::leave(&mails[1])).send().await.unwrap();
    assert!(looked.text().await.unwrap().contains("不再接收预警"));
    stage.muifa("sh-rain-yellow", &mut sent).await;
    stage.mail(link, "暴雨黄色").await;
    stage.mail(click, "暴雨黄色").await;

    // By the link, with a browser.
    browser.goto(&way).await;
    browser.shot("leave").await;
    browser.follow("form button").await;
    browser.shot("left").await;
    assert!(browser.text("main").await.contains("已退订"));
    // By a mail program's button (RFC 8058): no cookie, no origin, no page before.
    let one_click =
        stage.client.post(mail::leave(&mails[1])).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(one_click.body("List-Unsubscribe=One-Click").send().await.unwrap().status(), 200);
    assert!(mails[1].contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"));
    // By an answer.
    for (number, word) in [("+8613800000001", "STOP"), ("+8613800000002", "退订"), ("+8613800000003", "td")] {
        assert!(stage.hear(number, word).await.contains("已退订"), "{word}");
        assert_eq!(stage.hear(number, word).await, "", "confirmed once");
    }
    // In the settings, without a sign-in that lasts: the way back in is the address itself.
    browser.goto("/sign-up").await;
    browser.fill("[name=address]", settings).await;
    browser.click("[name=consent]").await;
    browser.follow("button.wide").await;
    let again = stage.mail(settings, "已登记").await;
    let again = mail::said(&again);
    browser.goto(again[again.find("http").unwrap()..].split_whitespace().next().unwrap()).await;
    browser.follow("button.wide").await;
    browser.click("[name=sure]").await;
    browser.follow("button.grave").await;
    browser.shot("deleted").await;

    // Somebody who stays is told of the next one; nobody else is.
    by_mail(&stage, &browser, "stays@example.org").await;
    stage.muifa("sh-rain-orange", &mut sent).await;
    stage.mail("stays@example.org", "暴雨橙色").await;
    for gone in [link, click, settings] {
        let orange = stage.mails_to(gone).iter().filter(|one| mail::said(one).contains("暴雨橙色")).count();
        assert_eq!(orange, 0, "{gone}");
    }
    for gone in ["+8613800000001", "+8613800000002", "+8613800000003"] {
        assert!(!stage.texts_to(gone).iter().any(|text| text.contains("暴雨橙色")), "{gone}");
    }
    // For ever, and again is no error.
    assert_eq!(stage.client.post(&way).send().await.unwrap().status(), 200);
    browser.assert_quiet().await;
}

//! From an empty form to people, and what officers do when it was wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use chrono::TimeDelta;
use tocsin::delivery::Address;
use tocsin::messages::Language;
use tocsin_channels::ChannelKind;

use crate::browser::{Browser, DESKTOP};
use crate::stage::{Props, UNPROVED, eventually};

/// At five texts a second, whatever a busy machine does meanwhile comes long before the last of them.
const PEOPLE: usize = 500;

/// Types a red typhoon for Qingpu, with every tool of the form on the way.
async fn compose(author: &Browser) {
    author.goto("/console/compose/new").await;
    author.until("the map is there", "return document.querySelector('#map')?.dataset.ready === '1'").await;
    assert!(!author.text("#check").await.contains('✓'), "an empty form cannot be submitted");
    author.set("[name=hazard]", "typhoon").await;
    author.set("[name=colour]", "red").await;
    author.set("[name=region]", "310000").await;

    author.fill("[name=places]", "青浦区、亚特兰蒂斯").await;
    author
        .until("the bad name is named", "return document.querySelector('#check').innerText.includes('亚特兰蒂斯')")
        .await;
    author.shot("bad-name").await;

    author.click("[data-tool=clear]").await;
    author.click_at("#map", (0, 0)).await;
    author
        .until(
            "a click on the map picks a county",
            "return /^\\d{6}$/.test(document.querySelector('[name=places]').value)",
        )
        .await;
    author
        .until("it is matched", "return document.querySelector('[data-matched]')?.dataset.matched.length === 6")
        .await;
    author.click_at("#map", (0, 0)).await;
    author.until("another click takes it out", "return document.querySelector('[name=places]').value === ''").await;

    author.click("[data-tool=polygon]").await;
    for corner in [(-60, -60), (60, -60), (60, 60), (-60, 60)] {
        author.click_at("#map", corner).await;
    }
    author.click("[data-tool=polygon]").await;
    author
        .until(
            "the outline is in its field",
            "return document.querySelector('[name=polygons]').value.split(' ').length === 4",
        )
        .await;
    author
        .until(
            "counties are matched",
            "return (document.querySelector('[data-matched]')?.dataset.matched ?? '').length > 6",
        )
        .await;
    author.click("[data-tool=circle]").await;
    author.click_at("#map", (80, 0)).await;
    author.click_at("#map", (100, 0)).await;
    author
        .until(
            "the circle is in its field",
            "return / \\d+\\.\\d$/.test(document.querySelector('[name=circles]').value)",
        )
        .await;
    author.shot("drawn").await;

    author.click("[data-tool=clear]").await;
    author.fill("[name=places]", "青浦区").await;
    author.fill("[name='zh-CN.description']", "预计今晚阵风十三级。").await;
    author
        .until("all is well", "const c = document.querySelector('#check'); return c.innerText.includes('✓') && c.querySelector('[data-matched]').dataset.matched === '310118'")
        .await;
    let preview = author.text("#check .phones").await;
    assert!(preview.contains("台风红色预警") && preview.contains("阵风十三级"), "{preview}");
    author.shot("ready").await;
    author.follow("#compose .submit button:not([formaction])").await;
    assert!(author.place().await.starts_with("/console/compose/"), "saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_written_returned_mended_signed_stopped_and_corrected() {
    let props = Props::new(None, 5).await;
    let people: String = (0..PEOPLE).map(|n| format!("310118,zh-CN,public,13800001{n:03},,\n")).collect();
    props.people(&(people + "310118,zh-CN,public,,li@example.org,li"));
    let roll = props.roll(UNPROVED).await;
    let author = roll.officer("author", "林晓", Language::Chinese, "author:310000").await;
    let mut reviewer = roll.officer("reviewer", "周敏", Language::Chinese, "reviewer:310000").await;
    let mut signer = roll.officer("signer", "何琳", Language::Chinese, "signer:310000").await;
    roll.call(&author, &[Address::parse(ChannelKind::Email, "lin@example.org").unwrap()]).await;
    roll.close().await;
    let stage = props.start();
    let url = stage.server.url.clone();
    let (mut one, mut two, mut three) = tokio::join!(
        Browser::open(&url, "compose-author", DESKTOP),
        Browser::open(&url, "compose-reviewer", DESKTOP),
        Browser::open(&url, "compose-signer", DESKTOP),
    );
    one.enter(&author.session).await;
    two.enter(&reviewer.session).await;
    three.enter(&signer.session).await;
    // A wrong word is refused on purpose.
    two.forgive("status of 409");
    one.forgive("status of 422");
    three.forgive("status of 422");

    compose(&one).await;
    one.follow("button[formaction$='/mail']").await;
    eventually("the summary is mailed", || stage.mails_to("lin@example.org") == 1).await;
    let mail = stage.mails().into_iter().find(|(to, _)| to == "lin@example.org").unwrap().1;
    assert!(mail.contains("multipart/related") && mail.contains("Content-ID: <picture>"), "{mail}");
    let picture = mail.split("Content-Type: image/png").nth(1).unwrap();
    let encoded: String = picture
        .split("\r\n\r\n")
        .nth(1)
        .or(picture.split("\n\n").nth(1))
        .unwrap()
        .split("--")
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let png = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 1_000, "a picture that mail programs show");

    one.follow("button[formaction$='/submit']").await;
    let alert = one.place().await;
    assert!(alert.starts_with("/console/alerts/"), "{alert}");
    assert!(one.text(".escalation").await.contains("他人审批"), "nobody approves their own words");
    assert!(!one.has("form.grave").await);
    one.shot("submitted").await;

    // The reviewer finds something.
    two.goto("/console").await;
    assert!(two.title().await.starts_with("(1)"), "{}", two.title().await);
    two.shot("queue").await;
    two.follow(".cards .act a").await;
    two.until("the map is drawn", "return document.querySelector('#map')?.dataset.ready === '1'").await;
    two.shot("alert").await;
    two.unfold("details[data-key=r]").await;
    two.fill("details[data-key=r] textarea", "请写明风力出现的时间").await;
    two.follow("details[data-key=r] button:not(.danger)").await;
    assert!(two.text(".escalation").await.contains("请写明风力出现的时间"));

    // Its author mends it.
    one.goto("/console").await;
    let card = one.text(".cards .card").await;
    assert!(card.contains("请写明风力出现的时间") && card.contains("修改"), "{card}");
    one.shot("returned").await;
    one.follow(".cards .act a").await;
    one.unfold("details:has(form[action$='/amend'])").await;
    one.fill("form[action$='/amend'] [name='zh-CN.description']", "预计今晚8时至明晨阵风十三级。").await;
    one.fill("form[action$='/amend'] [name=reason]", "补充时间").await;
    one.shot("amend").await;
    one.follow("form[action$='/amend'] button").await;
    let changed = one.text(".escalation .diff").await;
    assert!(changed.contains("8时至明晨"), "{changed}");

    // Reviewed, with the wrong word first.
    two.goto("/console").await;
    two.follow(".cards .act a").await;
    assert!(
        two.text(".escalation").await.contains(&(PEOPLE + 2).to_string()),
        "whom it reaches is said: {}",
        two.text(".escalation").await
    );
    two.fill("form.grave [name=word]", "上海").await;
    let code = reviewer.code().await;
    two.fill("form.grave [name=code]", &code).await;
    two.follow("form.grave button").await;
    assert!(two.text("main").await.contains("T6014"), "{}", two.text("main").await);
    two.shot("wrong-word").await;
    two.goto(&alert).await;
    two.fill("form.grave [name=word]", "上海市").await;
    two.fill("form.grave [name=code]", &code).await;
    two.shot("approving").await;
    two.follow("form.grave button").await;
    assert!(two.text(".escalation").await.contains("周敏"), "{}", two.text(".escalation").await);
    assert_eq!(stage.texts().len(), 0, "one signature is not enough");

    // Signed; the author's page, left open, shows it by itself.
    three.goto("/console").await;
    three.follow(".cards .act a").await;
    three.fill("form.grave [name=word]", "上海市").await;
    three.fill("form.grave [name=code]", &signer.code().await).await;
    three.follow("form.grave button").await;
    one.until("the author sees it", "return document.querySelector('.escalation').innerText.includes('何琳')").await;

    // Live: numbers go up.
    three.follow("a[href$='/live']").await;
    let accepted = "Number(document.querySelector('tr[data-channel=sms] [data-state=accepted]')?.textContent ?? 0)";
    three.until("texts are taken", &format!("return {accepted} > 2")).await;
    let first = three.run(&format!("return {accepted}")).await.as_u64().unwrap();
    three.until("and more", &format!("return {accepted} > {first}")).await;
    three.until("the share is drawn", "return Number(document.querySelector('#map').dataset.shares) === 1").await;
    three.shot("live").await;
    three.follow("button.stop").await;
    three.until("it is stopped", "return !document.querySelector('[data-held]').hidden").await;
    let open = "Number(document.querySelector('tr[data-channel=sms] [data-state=sending]').textContent)";
    three.until("what was in hand is done", &format!("return {open} === 0")).await;
    let told: BTreeSet<String> = stage.texts().into_iter().map(|(to, _)| to).collect();
    assert!(told.len() > 2 && told.len() < PEOPLE, "{}", told.len());
    // Ten more would have gone in this time.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.texts().len(), told.len(), "nothing more at the gateway");
    three.shot("stopped").await;

    // Corrected: exactly those told, everywhere.
    three.fill("form[action$='/correct'] [name=word]", "更正").await;
    three.shot("correcting").await;
    three.follow("form[action$='/correct'] button").await;
    eventually("all who were told are told that it was wrong", || stage.texts().len() == told.len() * 2).await;
    let corrected: BTreeSet<String> =
        stage.texts().into_iter().filter(|(_, text)| text.contains("更正")).map(|(to, _)| to).collect();
    assert_eq!(corrected, told);
    three
        .until(
            "nobody waits",
            "return Number(document.querySelector('tr[data-channel=sms] [data-state=waiting]').textContent) === 0",
        )
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.texts().len(), told.len() * 2, "and nobody else");
    three.shot("corrected").await;
    three.goto(&three.place().await.replace("/live", "")).await;
    assert!(three.text(".newer").await.contains("更正"), "{}", three.text(".head").await);
    three.shot("all-stages").await;
    for browser in [&one, &two, &three] {
        browser.assert_quiet().await;
    }
}

/// Signs what waits, right after sign-in.
async fn sign(signer: &Browser) {
    signer.goto("/console").await;
    signer.follow(".cards:not(.others) .act a").await;
    signer.shot("approving").await;
    if signer.has("form.grave [name=word]").await {
        signer.fill("form.grave [name=word]", "Shanghai").await;
    }
    signer.follow("form.grave button").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_all_clear_written_here_goes_to_those_who_were_told() {
    let props = Props::new(None, 5).await;
    let people: String = (0..PEOPLE).map(|n| format!("310118,zh-CN,public,13800002{n:03},,\n")).collect();
    props.people(&people);
    let roll = props.roll(TimeDelta::zero()).await;
    let author = roll.officer("author", "Lin Xiao", Language::English, "author:310000").await;
    let signer = roll.officer("signer", "He Lin", Language::English, "signer:310000").await;
    roll.close().await;
    let stage = props.start();
    let (browser, other) = tokio::join!(
        Browser::open(&stage.server.url, "all-clear", DESKTOP),
        Browser::open(&stage.server.url, "all-clear-signer", DESKTOP)
    );
    browser.enter(&author.session).await;
    other.enter(&signer.session).await;
    browser.goto("/console/compose/new").await;
    browser.set("[name=hazard]", "rainstorm").await;
    browser.set("[name=colour]", "yellow").await;
    browser.set("[name=region]", "310000").await;
    browser.fill("[name=places]", "Qingpu").await;
    browser.until("all is well", "return document.querySelector('#check').innerText.includes('✓')").await;
    browser.follow("button[formaction$='/submit']").await;
    assert!(browser.place().await.starts_with("/console/alerts/"), "{}", browser.text("main").await);
    // Whatever the level, what an officer wrote waits for another one.
    sign(&other).await;
    eventually("people are told", || stage.texts().len() > 3).await;
    browser.goto(&browser.place().await).await;
    browser.shot("released").await;
    browser.follow("a[href*='kind=Cancel']").await;
    browser.until("all is well", "return document.querySelector('#check').innerText.includes('✓')").await;
    assert_eq!(browser.run("return document.querySelector('[name=msg_type]').value").await, "Cancel");
    browser.shot("all-clear").await;
    browser.follow("button[formaction$='/submit']").await;
    sign(&other).await;
    other.assert_quiet().await;
    let ended = |stage: &crate::stage::Stage| -> (BTreeSet<String>, BTreeSet<String>) {
        let (ended, warned): (Vec<_>, Vec<_>) = stage.texts().into_iter().partition(|(_, text)| text.contains("解除"));
        (ended.into_iter().map(|(to, _)| to).collect(), warned.into_iter().map(|(to, _)| to).collect())
    };
    eventually("those told hear the end", || {
        let (ended, warned) = ended(&stage);
        ended.len() == warned.len()
    })
    .await;
    browser.follow("a[href$='/live']").await;
    browser.until("nobody waits", "return Number(document.querySelector('tr[data-channel=sms] [data-state=waiting]')?.textContent ?? 1) === 0").await;
    let (ended, warned) = ended(&stage);
    assert_eq!(ended, warned);
    assert!(warned.len() < PEOPLE, "the end overtook the rest: {}", warned.len());
    browser.shot("ended").await;
    browser.assert_quiet().await;
}

//! A call that nobody takes climbs.

use chrono::TimeDelta;
use tocsin::delivery::Address;
use tocsin::messages::Language;
use tocsin::rules::Position;
use tocsin_channels::ChannelKind;

use crate::browser::{Browser, DESKTOP};
use crate::officers::PASSWORD;
use crate::stage::{Props, eventually, rules, step};
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_takes_climbs_to_the_chief_and_the_card_turns_red() {
    let ladder =
        [step("primary", "30m", "next"), step("secondary", "30m", "next"), step("chief", "30m", "hold")].join(", ");
    let props = Props::new(Some(&rules(&ladder)), 100).await;
    let roll = props.roll(TimeDelta::minutes(2)).await;
    let admin = roll.officer("admin", "管理员", Language::Chinese, "administrator:*").await;
    let mut primary = roll.officer("first", "初班", Language::Chinese, "signer:310000").await;
    let secondary = roll.officer("second", "副班", Language::Chinese, "signer:310000").await;
    let chief = roll.officer("chief", "Chief Zhang", Language::English, "signer:310000").await;
    for (officer, position, digit) in
        [(&primary, Position::Primary, 1), (&secondary, Position::Secondary, 2), (&chief, Position::Chief, 3)]
    {
        let phone = Address::parse(ChannelKind::Sms, &format!("1390000000{digit}")).unwrap();
        let mail = Address::parse(ChannelKind::Email, &format!("officer{digit}@example.org")).unwrap();
        roll.call(officer, &[phone, mail]).await;
        roll.on_duty(&admin, "310000", position, officer).await;
    }
    roll.close().await;
    let stage = props.start();
    let (browser, other) = tokio::join!(
        Browser::open(&stage.server.url, "ladder", DESKTOP),
        Browser::open(&stage.server.url, "ladder-stranger", DESKTOP)
    );
    browser.enter(&primary.session).await;
    browser.goto("/console").await;

    let mut alert = Cma::new("climb");
    alert.colour = RED;
    let (status, answer) = stage.server.post(alert.xml()).await;
    assert_eq!(status, 201, "{answer}");
    let calls = |digit: u8| {
        let texts = stage.texts_to(&format!("+861390000000{digit}")).len();
        (texts, stage.mails_to(&format!("officer{digit}@example.org")))
    };
    eventually("the officer on duty is called by text and mail", || calls(1) == (1, 1)).await;
    assert_eq!((calls(2), calls(3)), ((0, 0), (0, 0)), "nobody else yet");
    browser.until("the card is there", "return document.querySelector('.cards .card meter') !== null").await;
    browser.shot("called").await;
    stage.let_due("310000").await;
    eventually("then the second", || calls(2) == (1, 1)).await;
    assert_eq!(calls(3), (0, 0), "not the chief yet");
    stage.let_due("310000").await;
    eventually("then the chief", || calls(3) == (1, 1)).await;
    assert_eq!((calls(1), calls(2)), ((1, 1), (1, 1)), "each is called once");
    stage.let_due("310000").await;
    // Every page says so from then on, whatever somebody is at.
    let at_duty = Browser::open(&stage.server.url, "ladder-duty", DESKTOP).await;
    at_duty.enter(&chief.session).await;
    at_duty.goto("/console/duty").await;
    at_duty.until("the page is red", "return !document.querySelector('#unanswered').hidden").await;
    assert!(at_duty.text("#unanswered").await.contains("What needs somebody now: 1"));
    at_duty.shot("unanswered").await;
    at_duty.assert_quiet().await;
    browser
        .until(
            "the card is overdue",
            "return document.querySelector('.cards .card.overdue')?.innerText.includes('已超时') ?? false",
        )
        .await;
    let outline = browser.run("return getComputedStyle(document.querySelector('.card.overdue')).outlineColor").await;
    assert_eq!(outline, "rgb(200, 16, 46)", "red");
    browser.shot("overdue").await;
    eventually("the chief is called again", || calls(3) == (2, 2)).await;

    // The link of a call leads to the decision, and only those who sign in get there.
    let text = stage.texts_to("+8613900000001").remove(0);
    let link = text.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    assert!(link.starts_with(&format!("{}/console/alerts/", stage.server.url)), "{text}");
    other.goto(&link).await;
    assert!(other.place().await.starts_with("/sign-in?next="), "{}", other.place().await);
    other.shot("sign-in").await;
    other.fill("[name=login]", primary.login).await;
    other.fill("[name=password]", PASSWORD).await;
    other.fill("[name=code]", &primary.code().await).await;
    other.follow("main button").await;
    assert!(other.place().await.starts_with("/console/alerts/"), "{}", other.place().await);
    assert!(other.has("form.grave").await);

    // Whoever takes it, by the call's other link, is seen by the others, and so is who has it open.
    let take = text.split_whitespace().filter(|word| word.contains("http://")).nth(1).unwrap();
    let take = &take[take.find("http://").unwrap()..];
    assert!(take.ends_with("/console/escalations/1/take"), "{text}");
    other.goto(take).await;
    other.shot("take").await;
    other.follow("form[action$='/take'] button").await;
    assert!(other.place().await.starts_with("/console/alerts/"), "{}", other.place().await);
    browser.until("it is taken", "return document.querySelector('.cards').innerText.includes('初班')").await;
    browser.shot("taken").await;
    browser.assert_quiet().await;
    other.assert_quiet().await;
}

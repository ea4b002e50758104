//! Nobody comes in as a signer or an administrator by one administrator's doing alone.

use chrono::TimeDelta;
use tocsin::clock::Clock as _;
use tocsin::messages::Language;
use tocsin::officers::Grant;
use tocsin::staff::NewOfficer;

use crate::house::{House, Page};

#[tokio::test(flavor = "multi_thread")]
async fn a_signers_new_link_and_new_name_hold_once_another_administrator_has_agreed() {
    let house = House::start("").await;
    let all: &[(&str, &[&str])] = &[
        ("li", &["administrator:*"]),
        ("wang", &["administrator:*"]),
        ("zhao", &["signer:*"]),
        ("qian", &["author:*"]),
    ];
    house.officers(all).await;
    let officer =
        async |login: &str| house.app().store.officer_by_login(&login.parse().unwrap()).await.unwrap().unwrap();
    let (li, wang, zhao, qian) =
        (officer("li").await, officer("wang").await, officer("zhao").await, officer("qian").await);
    let staff = &house.app().staff;

    let link = staff.invite_again(zhao.id, &li).await.unwrap();
    assert!(staff.invited(&link).await.is_err());
    assert!(staff.decide(1, true, &li).await.is_err(), "it is their own");
    staff.decide(1, true, &wang).await.unwrap();
    assert_eq!(staff.invited(&link).await.unwrap().0.login.as_str(), "zhao");

    staff.tie(zhao.id, "https://id.example z", &li).await.unwrap();
    assert!(staff.decide(2, true, &li).await.is_err(), "it is their own");
    // Who only writes is let in by one administrator, and no name has two officers.
    let link = staff.invite_again(qian.id, &li).await.unwrap();
    assert!(staff.invited(&link).await.is_ok());
    staff.tie(qian.id, "https://id.example z", &li).await.unwrap();
    assert!(staff.decide(2, true, &wang).await.is_err(), "the name is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_invitation_stays_until_it_is_accepted_however_often_one_fails_or_comes_back() {
    let house = House::start("").await;
    let new = |login: &str| NewOfficer {
        login: login.parse().unwrap(),
        name: login.to_uppercase(),
        language: Language::English,
        grants: vec![Grant::parse("author:*").unwrap()],
    };
    let staff = &house.app().staff;
    let link = staff.invite(&new("zhoujianguo"), None).await.unwrap();
    let path = format!("/invitation/{link}");
    let browser = house.browser();
    let first = browser.get(&path).await;
    assert!(first.body.contains("ten of them beside your login"), "{}", first.body);
    let shown = |page: &Page| page.body.split_once("<ol").unwrap().1.split_once("<form").unwrap().0.to_owned();
    let (key, password) = (shown(&first), "three cranes over the lake");
    let code = staff.carried(&link, &first.field("sealed")).unwrap().code(house.clock.now());

    let mut page = first;
    for (password, code, why) in [
        ("short", code.as_str(), "12 to 200 characters"),
        ("zhoujianguo123", &code, "ten characters or more beside the login"),
        (password, "000000", "the code is wrong"),
        ("short", "000000", "the code is wrong"),
    ] {
        page = browser.post(&path, &[("sealed", &page.field("sealed")), ("password", password), ("code", code)]).await;
        assert_eq!(page.status, 422, "{}", page.body);
        assert!(page.body.contains(why), "{why}: {}", page.body);
        assert_eq!(shown(&page), key, "{why}: the same key and picture");
        // Coming back to the link is no new beginning either.
        page = browser.get(&path).await;
        assert_eq!(shown(&page), key, "after {why}");
    }
    // Who else has the link does not learn the key, and another invitation in this browser has one of its own.
    assert_ne!(shown(&house.browser().get(&path).await), key);
    let other = staff.invite(&new("qian"), None).await.unwrap();
    let theirs = house.browser();
    theirs.jar.lock().unwrap().extend(browser.jar.lock().unwrap().clone());
    let others = theirs.get(&format!("/invitation/{other}")).await;
    assert!(!key.contains(&staff.carried(&other, &others.field("sealed")).unwrap().base32()));
    assert!(staff.carried(&other, &page.field("sealed")).is_err(), "bound to its invitation");

    let done = browser.post(&path, &[("sealed", &page.field("sealed")), ("password", password), ("code", &code)]).await;
    assert_eq!(done.location.as_deref(), Some("/sign-in"), "{}", done.body);
    assert!(done.cookies.iter().any(|cookie| cookie.starts_with("tocsin-key=;")), "{:?}", done.cookies);
    let used = browser.get(&path).await;
    assert_eq!(used.status, 404);
    assert!(used.body.contains("请直接登录，或请管理员重发链接"), "{}", used.body);
    // What the page keeps does not outlive the invitation.
    house.clock.forward(TimeDelta::hours(73));
    assert_eq!(theirs.get(&format!("/invitation/{other}")).await.status, 404);
}

//! Nobody comes in as a signer or an administrator by one administrator's doing alone.

use crate::house::House;

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

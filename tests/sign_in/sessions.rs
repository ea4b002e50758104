//! Cookies and sessions.

use chrono::TimeDelta;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_and_however_busy_after_a_watch() {
    let house = House::start("").await;
    let [li] = house.officers(&[("li", &["author:*"])]).await.try_into().ok().unwrap();
    let idle = house.signed_in(&li).await;
    assert_eq!(idle.get("/console/me").await.status, 200);
    house.clock.forward(TimeDelta::minutes(14));
    assert_eq!(idle.get("/console/me").await.status, 200);
    house.clock.forward(TimeDelta::minutes(16));
    assert!(idle.get("/console/me").await.location.unwrap().starts_with("/sign-in?next="));

    let busy = house.signed_in(&li).await;
    for _ in 0..12 * 6 - 1 {
        house.clock.forward(TimeDelta::minutes(10));
        busy.get("/console/me").await;
    }
    assert_eq!(busy.get("/console/me").await.status, 200);
    house.clock.forward(TimeDelta::minutes(12));
    assert_eq!(busy.get("/console/me").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_rests_twice_as_long_each_time_and_comes_back() {
    let house = House::start("").await;
    let [li] = house.officers(&[("li", &["author:*"])]).await.try_into().ok().unwrap();
    let attempt = async |password: &str| {
        let code = li.code();
        house.browser().post("/sign-in", &[("login", "li"), ("password", password), ("code", &code)]).await.status
    };
    let rests = async || {
        let lines = house.app().store.record_from(1, 1_000).await.unwrap();
        let failed = lines.iter().filter(|line| line.kind == "sign-in.failed");
        let rest = |detail: &str| serde_json::from_str::<serde_json::Value>(detail).unwrap()["rests_seconds"].as_i64();
        failed.filter_map(|line| rest(&line.detail)).collect::<Vec<_>>()
    };
    for _ in 0..5 {
        attempt("wrong").await;
    }
    assert_eq!(rests().await, [0, 0, 0, 0, 30]);
    for rest in [60, 120, 240, 480, 900, 900] {
        house.clock.forward(TimeDelta::seconds(i64::from(rest)));
        attempt("wrong").await;
        assert_eq!(rests().await.last(), Some(&i64::from(rest)));
    }
    assert_ne!(attempt(&li.password).await, 303, "it rests");
    house.clock.forward(TimeDelta::seconds(900));
    assert_eq!(attempt(&li.password).await, 303, "the right one comes in when the rest is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_every_session_of_mine_and_no_other() {
    let house = House::start("").await;
    let [li, wang] = house.officers(&[("li", &["author:*"]), ("wang", &["author:*"])]).await.try_into().ok().unwrap();
    let (desk, phone, other) = (house.signed_in(&li).await, house.signed_in(&li).await, house.signed_in(&wang).await);
    assert_eq!(desk.act("/sign-out/everywhere", &[]).await.location.as_deref(), Some("/sign-in"));
    assert_eq!(desk.get("/console/me").await.status, 303);
    assert_eq!(phone.get("/console/me").await.status, 303);
    assert_eq!(other.get("/console/me").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_planted_is_not_taken_over() {
    let house = House::start("").await;
    let [li] = house.officers(&[("li", &["author:*"])]).await.try_into().ok().unwrap();
    let browser = house.browser();
    let host = format!("localhost:{}", house.port);
    browser.jar.lock().unwrap().insert((host.clone(), "tocsin".into()), "planted".into());
    let code = li.code();
    browser.post("/sign-in", &[("login", "li"), ("password", &li.password), ("code", &code)]).await;
    let own = browser.jar.lock().unwrap()[&(host, "tocsin".to_owned())].clone();
    assert_ne!(own, "planted");
    assert!(house.app().staff.session("planted", true).await.unwrap().is_none());
    assert!(house.app().staff.session(&own, true).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_https_the_cookie_is_bound_to_this_host_alone() {
    let house = House::start("[server]\npublic_url = \"https://warn.example.org\"\n").await;
    let [li] = house.officers(&[("li", &["author:*"])]).await.try_into().ok().unwrap();
    let code = li.code();
    let fields = [("login", "li"), ("password", &li.password), ("code", code.as_str())];
    let page = house.browser().post("/sign-in", &fields).await;
    let [cookie] = page.cookies.as_slice() else { panic!("{:?}", page.cookies) };
    assert!(cookie.starts_with("__Host-tocsin="), "{cookie}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(part), "{cookie} has no {part}");
    }
    assert!(!cookie.contains("Domain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_codes_are_never_on_record() {
    let house = House::start("").await;
    let [li] = house.officers(&[("li", &["author:*"])]).await.try_into().ok().unwrap();
    let secret = "the password that somebody typed";
    house.browser().post("/sign-in", &[("login", "li"), ("password", secret), ("code", "123 456")]).await;
    house.browser().post("/sign-in", &[("login", secret), ("password", secret), ("code", "123 456")]).await;
    house.signed_in(&li).await;
    let lines = house.app().store.record_from(0, 1_000).await.unwrap();
    assert!(lines.iter().any(|line| line.kind == "sign-in.failed"));
    let all = format!("{lines:?}");
    for hidden in [secret, "123 456", "123456", li.password.as_str()] {
        assert!(!all.contains(hidden), "{hidden} is on record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_the_door_do_not_keep_a_signer_inside_from_proving_presence() {
    let house = House::start("").await;
    let [li] = house.officers(&[("li", &["signer:*"])]).await.try_into().ok().unwrap();
    let desk = house.signed_in(&li).await;
    let code = li.code();
    for _ in 0..6 {
        house.browser().post("/sign-in", &[("login", "li"), ("password", "wrong"), ("code", "000000")]).await;
    }
    let door = house.browser().post("/sign-in", &[("login", "li"), ("password", &li.password), ("code", &code)]).await;
    assert!(door.location.is_none(), "the account rests");
    let token = desk.jar.lock().unwrap().values().next().unwrap().clone();
    let session = house.app().staff.session(&token, false).await.unwrap().unwrap();
    house.app().staff.prove(&session, &code).await.unwrap();
    // Guesses inside end the session.
    for _ in 0..5 {
        assert!(house.app().staff.prove(&session, "000000").await.is_err());
    }
    assert!(house.app().staff.session(&token, false).await.unwrap().is_none());
}

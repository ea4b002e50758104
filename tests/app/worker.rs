//! The service worker by itself: what it asks the browser to show, and when it renews its subscription. Firefox reads back less of a
//! notification than other browsers heed.

use serde_json::{Value, json};

/// Runs the worker's own text in a world made for it, and what is done to it there; gives what that says.
pub fn run(what: &str, arguments: &[&str]) -> String {
    let words = r#"{ dir: "ltr", open: "Open", safe: "I am safe", renewed: ["Goes on", "Nothing to do"] }"#;
    let worker = [
        &format!("const VERSION = 't'; const TONGUES = {{ 'zh-CN': {words}, en: {words}, ja: {words}, ko: {words} }};"),
        include_str!("../../src/web/assets/worker/state.js"),
        include_str!("../../src/web/assets/worker/notifications.js"),
        include_str!("../../src/web/assets/worker/subscription.js"),
        include_str!("../../src/web/assets/worker/offline.js"),
    ]
    .join("\n");
    let script = format!("{}{what}", include_str!("world.js"));
    let mut node = std::process::Command::new("node");
    let said = node.args(["-e", &script, "--", &worker]).args(arguments).output().unwrap();
    assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// What the worker does at each push.
fn pushed(scene: &Value) -> Vec<Vec<Value>> {
    let said = run(include_str!("pushes.js"), &["zh-CN", &scene.to_string()]);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A push about an event.
fn about(event: &str, rank: u8, more: &Value) -> Value {
    let mut told =
        json!({"title": "t", "body": "b", "tag": event, "event": event, "lang": "en", "variant": "warn", "rank": rank});
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

#[test]
fn a_warning_rings_by_its_level_stays_if_it_is_red_and_rings_again_only_if_it_rose_or_was_wrong() {
    let buttons = json!([{"action": "open", "title": "Open"}, {"action": "safe", "title": "I am safe"}]);
    let (red, orange, blue) =
        (json!([500, 150, 500, 150, 500, 150, 900]), json!([400, 150, 400, 150, 400]), json!([200]));
    // What comes, and how: rings with a shake, stays, has buttons.
    let scenes = [
        (about("a", 1, &json!({})), Some(&orange), false, true),
        (about("a", 1, &json!({"lang": "zh-CN", "tag": "a-zh"})), None, false, true),
        (about("a", 0, &json!({})), Some(&red), true, true),
        (about("a", 0, &json!({})), None, true, true),
        (about("a", 1, &json!({})), None, false, true),
        (about("a", 9, &json!({"variant": "correction"})), Some(&blue), false, false),
        (about("b", 3, &json!({})), Some(&blue), false, true),
        (about("b", 3, &json!({"variant": "cancel"})), None, false, false),
        (about("b", 3, &json!({})), Some(&blue), false, true),
        (json!({"title": "t", "tag": "call", "variant": "page", "url": "/console"}), Some(&blue), true, false),
        (Value::Null, Some(&blue), false, false),
    ];
    let pushes: Vec<Value> = scenes.iter().map(|(told, ..)| told.clone()).collect();
    let all = pushed(&json!({"pushes": pushes}));
    assert_eq!(all.len(), scenes.len());
    for ((told, shake, stays, acts), did) in scenes.into_iter().zip(all) {
        let [shown] = did.as_slice() else { panic!("{told}: one notification each: {did:?}") };
        assert_eq!(shown.get("vibrate"), shake, "{told}");
        assert_eq!(shown.get("silent"), shake.is_none().then_some(&json!(true)), "{told}");
        // Without a tag a browser refuses to ring again.
        assert_eq!(shown["renotify"], shake.is_some() && told["tag"].is_string(), "{told}");
        assert_eq!(shown["requireInteraction"], stays, "{told}");
        assert_eq!(shown["actions"], if acts { buttons.clone() } else { json!([]) }, "{told}");
        assert_eq!(shown["badge"], "/assets/badge.png");
    }
}

#[test]
fn a_subscription_that_is_to_end_within_a_week_is_renewed_at_a_push_once_and_the_person_told_quietly() {
    let own = json!({"word": "w", "key": "BA", "lang": "en"});
    let two = [about("a", 1, &json!({})), about("b", 1, &json!({}))];
    let renews = |own: Value, ends: Value| {
        let all = pushed(&json!({"own": own, "ends": ends, "pushes": two}));
        let beside = |did: &Vec<Value>| did.iter().filter(|one| one["title"] != "t").cloned().collect::<Vec<_>>();
        all.iter().map(beside).collect::<Vec<_>>()
    };
    let renewed = renews(own.clone(), json!(6));
    let [first, second] = renewed.as_slice() else { panic!("{renewed:?}") };
    let shape = |endpoint: &str| json!({"endpoint": endpoint, "keys": {}}).to_string();
    let moved = json!({"posted": "/app/subscription", "word": "w", "old": shape("old"), "new": shape("new")});
    assert_eq!(
        first[..3],
        [json!({"unsubscribed": "old"}), json!({"subscribed": "new", "userVisibleOnly": true}), moved]
    );
    let [word] = &first[3..] else { panic!("{first:?}") };
    assert_eq!((&word["title"], &word["tag"], &word["silent"]), (&json!("Goes on"), &json!("renewed"), &json!(true)));
    assert!(second.is_empty(), "{second:?}");
    // There is time; it never ends; it is an officer's, which the console looks after.
    for (own, ends) in [(own.clone(), json!(8)), (own, Value::Null), (Value::Null, json!(6))] {
        let renewed = renews(own.clone(), ends.clone());
        assert!(renewed.len() == 2 && renewed.iter().all(Vec::is_empty), "{own} {ends}: {renewed:?}");
    }
}

#[test]
fn a_subscription_that_the_browser_changed_is_told_to_the_server_by_the_worker_alone_and_the_person_hears_of_it_quietly()
 {
    let own = json!({"word": "w", "key": "BA", "lang": "en"});
    let shape = |endpoint: &str| json!({"endpoint": endpoint, "keys": {}}).to_string();
    let moved = |new: &str| json!({"posted": "/app/subscription", "word": "w", "old": "old", "new": shape(new)});
    let anew = json!({"subscribed": "new", "userVisibleOnly": true});
    let word = json!("renewed");
    // What the browser gives, what the server says; what is done, and which subscription the worker goes on from.
    let scenes = [
        (json!({"own": own, "given": "given"}), vec![moved("given"), word.clone()], json!(shape("given"))),
        (json!({"own": own}), vec![anew.clone(), moved("new"), word], json!(shape("new"))),
        // A page that is opened later does it then.
        (json!({"own": own, "refused": 503}), vec![anew, moved("new")], json!("old")),
        // An officer's, which the console looks after.
        (json!({"given": "given"}), vec![], Value::Null),
    ];
    for (scene, does, known) in scenes {
        let said = run(include_str!("changes.js"), &["zh-CN", &scene.to_string()]);
        let mut did: Vec<Value> = serde_json::from_str(&said).unwrap();
        assert_eq!(did.pop().unwrap()["known"], known, "{scene}");
        for word in did.iter_mut().filter(|one| one["title"].is_string()) {
            assert_eq!((&word["title"], &word["silent"]), (&json!("Goes on"), &json!(true)), "{scene}");
            *word = word["tag"].take();
        }
        assert_eq!(did, does, "{scene}");
    }
}

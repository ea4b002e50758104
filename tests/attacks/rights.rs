//! Rights: what is another's, what is one's own, what takes two, what is of the other world.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_sinks::{Fault, Faults, Tally};

use super::support::crew::{Browser, Crew, Officer};
use super::support::{Cma, Server, write_config};
use super::{orange, says, with_mail};

#[tokio::test(flavor = "multi_thread")]
async fn officers_of_another_province_can_do_nothing_here() {
    let knows_nobody = Tally::faulty(Faults { every: 1, with: Fault::Gone });
    let people = [("zh-CN", "first@example.org"), ("en", "second@example.org")];
    let (server, _mail) = with_mail(knows_nobody, &people).await;
    let crew = Crew::of(&server).await;
    let everything = ["author:330000", "reviewer:330000", "signer:330000", "operator:330000"];
    let zhou = crew.officer("zhou", &everything).await;
    let token = crew.token(&zhou, &["read", "approve", "stop"], 1).await;
    let (thief, shen) = (zhou.browser(&server).await, crew.officer("shen", &["signer:310000"]).await);
    let alert = orange(&server).await;
    let more = [("seen", "0"), ("stage", "sign"), ("reason", "mine"), ("region", "310118"), ("word", "")];
    for act in ["take", "approve", "return", "reject", "withdraw", "amend", "split"] {
        says(thief.post(&format!("/console/escalations/1/{act}"), &more).await, 403, "T6009");
    }
    for act in ["take", "approve", "return", "reject", "withdraw"] {
        let said = json!({"seen": 0, "stage": "sign", "reason": "mine", "confirm": "上海市", "code": "000000"});
        let (status, answer) = thief.api(&token, &format!("escalations/1/{act}"), &said).await;
        assert_eq!((status, answer["code"].as_str()), (403, Some("T6009")), "{act}: {answer}");
    }
    let (_, queue) = thief.api(&token, "queue", &Value::Null).await;
    assert_eq!((&queue["queue"][0]["state"], &queue["queue"][0]["revision"]), (&json!("waiting"), &json!(0)));

    let own = shen.browser(&server).await;
    assert_eq!(own.post("/console/escalations/1/approve", &more).await.0, 303);
    server.until(&alert, |states| states["channels"]["email"]["failed"] == 2).await;
    for act in ["stop", "resume", "resend", "correct"] {
        let form = [("reason", "mine"), ("word", "CORRECT"), ("zh", "错"), ("en", "wrong")];
        says(thief.post(&format!("/console/alerts/{alert}/{act}"), &form).await, 403, "T6009");
    }
    for act in ["stop", "resume", "correct"] {
        let code = if act == "stop" { String::new() } else { zhou.code().await };
        let said = json!({"reason": "mine", "confirm": "更正", "zh": "错", "en": "wrong", "code": code});
        let (status, answer) = thief.api(&token, &format!("alerts/{alert}/{act}"), &said).await;
        assert_eq!((status, answer["code"].as_str()), (403, Some("T6009")), "{act}: {answer}");
    }
    let missed = |page: (u16, String)| (page.0, page.1.matches("@example.org").count());
    assert_eq!(
        missed(thief.post(&format!("/console/alerts/{alert}/missed"), &[]).await),
        (200, 0),
        "nobody of Shanghai"
    );
    assert_eq!(missed(own.post(&format!("/console/alerts/{alert}/missed"), &[]).await), (200, 2));
    assert!(!own.post(&format!("/console/alerts/{alert}/missed"), &[]).await.1.contains("first@"), "masked even so");
    let lines = crew.store.record_from(1, 1_000).await.unwrap();
    let views: Vec<_> = lines.iter().filter(|line| line.kind == "person.view").collect();
    let seen = |actor: &str| views.iter().filter(|line| line.actor == actor && line.subject == alert).count();
    assert_eq!((seen("zhou"), seen("shen")), (1, 2), "who looked is on record, and whoever tried");
    assert!(views.iter().all(|line| !line.detail.contains('@')), "without what they saw");
    // Duty elsewhere is not theirs to change either.
    let roster = [
        ("jurisdiction", "310000"),
        ("position", "primary"),
        ("officer", "2"),
        ("officers", "zhou"),
        ("days", "7"),
        ("starts", "2026-01-01T08:00"),
        ("from", "2026-01-01T08:00"),
        ("to", "2036-01-01T08:00"),
    ];
    for act in ["override", "rotation"] {
        says(thief.post(&format!("/console/duty/{act}"), &roster).await, 403, "T6104");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_their_own_words_and_a_form_works_once() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let (li, wang) = (crew.officer("li", &["signer:310000"]).await, crew.officer("wang", &["signer:310000"]).await);
    let (li, wang) = (li.browser(&server).await, wang.browser(&server).await);
    let alert = orange(&server).await;
    let words = [
        ("seen", "0"),
        ("reason", "clearer"),
        ("region", "310118"),
        ("zh-CN.headline", "台风橙色预警"),
        ("zh-CN.description", "请留在室内"),
        ("zh-CN.instruction", ""),
        ("en.headline", "Typhoon"),
        ("en.description", "Stay inside"),
        ("en.instruction", ""),
        ("expires", ""),
    ];
    assert_eq!(li.post("/console/escalations/1/amend", &words).await.0, 303);
    let approve = |seen| [("seen", seen), ("stage", "sign"), ("word", "")];
    says(li.post("/console/escalations/1/approve", &approve("1")).await, 409, "T6004");
    says(wang.post("/console/escalations/1/approve", &approve("0")).await, 409, "T6003");
    says(wang.post("/console/escalations/1/amend", &words).await, 409, "T6003");

    // The right form, from the wrong place.
    let form = [("seen", "1"), ("stage", "sign"), ("word", "")];
    let path = "/console/escalations/1/approve";
    let forged = [
        (None, vec![], "T6103"),
        (Some(li.csrf.as_str()), vec![], "T6103"),
        (Some(wang.csrf.as_str()), vec![("sec-fetch-site", "cross-site")], "T6102"),
        (Some(wang.csrf.as_str()), vec![("sec-fetch-site", "same-site")], "T6102"),
        (Some(wang.csrf.as_str()), vec![("origin", "https://evil.example")], "T6102"),
        (Some(wang.csrf.as_str()), vec![("origin", "null")], "T6102"),
    ];
    for (csrf, headers, code) in &forged {
        let fields: Vec<_> = csrf.iter().map(|csrf| ("csrf", *csrf)).chain(form).collect();
        let answer = wang.send(Method::POST, path, &fields, headers).await;
        says((answer.status().as_u16(), answer.text().await.unwrap()), 403, code);
    }
    let nobody = wang.with_cookie("");
    says(nobody.post(path, &form).await, 401, "T6101");
    let answer = nobody.send(Method::GET, &format!("/console/alerts/{alert}?x=1"), &[], &[]).await;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
        (303, format!("/sign-in?next=%2Fconsole%2Falerts%2F{alert}%3Fx%3D1").as_str()),
        "a stolen link asks who you are"
    );
    assert_eq!(
        server.json(&format!("/api/v1/alerts/{alert}")).await["state"],
        "waiting",
        "nothing of that did anything"
    );

    assert_eq!(wang.post(path, &form).await.0, 303);
    says(wang.post(path, &form).await, 409, "T6002");
    says(li.post("/console/escalations/1/reject", &[("seen", "1"), ("reason", "late")]).await, 409, "T6002");
    let record = crew.store.record_from(1, 1_000).await.unwrap();
    let count = |kind: &str| record.iter().filter(|line| line.kind == kind).count();
    assert_eq!((count("escalation.approve"), count("release")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_not_to_be_had_alone() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let local = crew.officer("local", &["administrator:310000"]).await.browser(&server).await;
    let li = crew.officer("li", &["reviewer:310000"]).await;
    let root = crew.root.browser(&server).await;
    let id = |officer: &Officer| officer.id().to_string();
    let (li_id, root_id) = (id(&li), id(&crew.root));
    // An administrator of one province keeps its duty, and no officers anywhere.
    for region in ["310000", "330000", "*"] {
        let form = [("role", "author"), ("region", region), ("give", "1")];
        says(local.post(&format!("/console/people/{li_id}/role"), &form).await, 403, "T6104");
    }
    let invite = [("login", "friend"), ("name", "x"), ("grants", "reviewer:310000")];
    says(local.post("/console/people", &invite).await, 403, "T6104");
    for act in ["active", "invite"] {
        says(local.post(&format!("/console/people/{li_id}/{act}"), &[("subject", "me")]).await, 403, "T6104");
    }
    let turn = |jurisdiction| {
        [
            ("jurisdiction", jurisdiction),
            ("position", "primary"),
            ("officers", "li"),
            ("days", "7"),
            ("starts", "2026-01-01T08:00"),
        ]
    };
    assert_eq!(local.post("/console/duty/rotation", &turn("310000")).await.0, 303);
    says(local.post("/console/duty/rotation", &turn("330000")).await, 403, "T6104");
    let li = li.browser(&server).await;
    says(
        li.post(&format!("/console/people/{li_id}/role"), &[("role", "signer"), ("region", "310000"), ("give", "1")])
            .await,
        403,
        "T6104",
    );

    // The only administrator cannot go.
    let own = format!("/console/people/{root_id}");
    says(root.post(&format!("{own}/role"), &[("role", "administrator"), ("region", "*")]).await, 422, "T6107");
    says(root.post(&format!("{own}/active"), &[]).await, 409, "T6106");
    says(root.post(&format!("{own}/invite"), &[]).await, 409, "T6106");

    // Grave roles take two: not the one who proposes, nor the one who gains.
    let second = crew.officer("second", &["administrator:*"]).await;
    let second_id = id(&second);
    let second = second.browser(&server).await;
    let give = |role| [("role", role), ("region", "310000"), ("give", "1")];
    assert_eq!(root.post(&format!("{own}/role"), &give("signer")).await.0, 303);
    assert_eq!(root.post(&format!("/console/people/{second_id}/role"), &give("signer")).await.0, 303);
    assert_eq!(root.post(&format!("/console/people/{li_id}/role"), &give("signer")).await.0, 303);
    let has = async |login: &str| {
        let row = crew.store.officer_by_login(&login.parse().unwrap()).await.unwrap().unwrap();
        row.grants.has(tocsin::officers::Role::Signer)
    };
    // Nor are these two offered it: they read that another administrator has to agree.
    for (browser, own, others) in [(&root, 3, 0), (&second, 1, 2)] {
        let (_, page) = browser.get("/console/people").await;
        let counts = ["Another administrator agrees to it.", "name=\"agree\"", "name=\"refuse\""];
        assert_eq!(counts.map(|part| page.matches(part).count()), [own, others, 3], "{page}");
    }
    let agree = [("agree", "1")];
    for proposal in 1..=3 {
        says(root.post(&format!("/console/people/proposals/{proposal}"), &agree).await, 409, "T6106");
        says(li.post(&format!("/console/people/proposals/{proposal}"), &agree).await, 403, "T6104");
        says(local.post(&format!("/console/people/proposals/{proposal}"), &agree).await, 403, "T6104");
    }
    says(second.post("/console/people/proposals/2", &agree).await, 409, "T6106");
    assert!(!has("root").await && !has("second").await && !has("li").await);
    assert_eq!(second.post("/console/people/proposals/3", &agree).await.0, 303);
    assert!(has("li").await);
    says(second.post("/console/people/proposals/3", &agree).await, 404, "T6105");
    assert_eq!(second.post("/console/people/proposals/1", &[]).await.0, 303, "one may refuse");
    assert!(!has("root").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_and_the_live_world_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let shipped = include_str!("../../rules/delta.toml");
    let (head, drill) = shipped.split_at(shipped.find("name = \"exercise\"").unwrap());
    std::fs::write(&rules, format!("{head}{}", drill.replace("approval = \"none\"", "approval = \"one\""))).unwrap();
    write_config(folder.path(), &format!("[rules]\nfile = \"{}\"\n", rules.display()));
    let server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "reviewer:310000", "operator:310000"]).await;
    let token = crew.token(&li, &["read", "approve", "stop"], 1).await;
    let officer = li.browser(&server).await;
    let live = orange(&server).await;
    let (_, answer) = server.post(Cma { status: "Exercise", ..Cma::new("drill") }.xml()).await;
    let drill = answer["id"].as_str().unwrap().to_owned();
    assert_eq!(answer["state"], "waiting");
    let form = [
        ("seen", "0"),
        ("stage", "sign"),
        ("word", "演练"),
        ("reason", "x"),
        ("region", "310118"),
        ("zh", "x"),
        ("en", "x"),
    ];
    for (base, other, escalation, alert) in [("/exercise", "/console", 1, &live), ("/console", "/exercise", 2, &drill)]
    {
        for page in ["", "/live", "/told", "/events", "/times.csv"] {
            assert_eq!(officer.get(&format!("{base}/alerts/{alert}{page}")).await.0, 404, "{base} {page}");
        }
        assert_eq!(officer.get(&format!("{other}/alerts/{alert}")).await.0, 200);
        for act in ["take", "approve", "return", "reject", "withdraw", "amend", "split"] {
            says(officer.post(&format!("{base}/escalations/{escalation}/{act}"), &form).await, 404, "T6001");
        }
        for act in ["stop", "resume", "resend", "missed"] {
            says(officer.post(&format!("{base}/alerts/{alert}/{act}"), &form).await, 404, "T6001");
        }
        let word = if base == "/exercise" { "演练" } else { "CORRECT" };
        says(
            officer.post(&format!("{base}/alerts/{alert}/correct"), &[("word", word), ("zh", "x"), ("en", "x")]).await,
            404,
            "T6001",
        );
        let world = if base == "/exercise" { "?exercise=true" } else { "" };
        for path in [format!("escalations/{escalation}/take{world}"), format!("alerts/{alert}/stop{world}")] {
            assert_eq!(officer.api(&token, &path, &json!({"seen": 0})).await.0, 404, "{path}");
        }
    }
    // The word of one world does nothing in the other.
    let wrong = |word| [("seen", "0"), ("stage", "sign"), ("word", word)];
    says(officer.post("/exercise/escalations/2/approve", &wrong("Shanghai")).await, 409, "T6014");
    says(officer.post("/console/escalations/1/approve", &wrong("演练")).await, 409, "T6014");
    assert_eq!(officer.post("/exercise/escalations/2/approve", &wrong("演练")).await.0, 303);
    assert_eq!(server.json(&format!("/api/v1/alerts/{live}")).await["state"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_a_warning_speaks_for_their_own_region_and_does_not_sign_it() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["author:310000", "signer:310000"]).await.browser(&server).await;
    let wang = crew.officer("wang", &["signer:310000"]).await.browser(&server).await;
    let end = (chrono::Utc::now() + chrono::TimeDelta::hours(13)).format("%Y-%m-%dT%H:%M").to_string();
    let form = |region: &'static str, places: &'static str| {
        let end = end.clone();
        async move |author: &Browser| {
            let form = [
                ("msg_type", "Alert"),
                ("hazard", "typhoon"),
                ("colour", "yellow"),
                ("region", region),
                ("places", places),
                ("expires", &end),
                ("zh-CN.headline", "台风黄色预警"),
                ("zh-CN.description", "请留在室内"),
                ("en.headline", "Typhoon"),
                ("en.description", "Stay inside"),
            ];
            let answer = author.post("/console/compose/new/submit", &form).await;
            (answer.0, answer.1)
        }
    };
    says(form("330000", "330421")(&li).await, 403, "T6009");
    says(form("310000", "330421")(&li).await, 422, "T4004");
    says(form("310000", "310118")(&wang).await, 403, "T6009");
    let (status, page) = form("310000", "310118")(&li).await;
    assert_eq!(status, 303, "{page}");
    let approve = [("seen", "0"), ("stage", "sign"), ("word", "")];
    says(li.post("/console/escalations/1/approve", &approve).await, 409, "T6004");
    assert_eq!(
        wang.post("/console/escalations/1/approve", &approve).await.0,
        303,
        "yellow too, when an officer wrote it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_others_is_for_auditors() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await.browser(&server).await;
    let auditor = crew.officer("auditor", &["auditor:*"]).await.browser(&server).await;
    let local = crew.officer("local", &["auditor:310000", "administrator:310000"]).await.browser(&server).await;
    let alert = orange(&server).await;
    for (path, own, audited) in [
        ("/console/record", false, true),
        ("/console/record?subject=root", false, true),
        ("/console/record?actor=root", false, true),
        ("/console/record?subject=officer/1&actor=operator", false, false),
    ] {
        assert_eq!(li.get(path).await.1.contains("<td>root</td>"), own, "{path}");
        assert_eq!(auditor.get(path).await.1.contains("<td>root</td>"), audited, "{path}");
        assert_eq!(local.get(path).await.1.contains("<td>root</td>"), own, "roles hold for their region alone: {path}");
    }
    let subject = format!("/console/record?subject={alert}");
    // Whoever does not see everything is told so.
    for (browser, path, told) in
        [(&li, "/console/record", true), (&auditor, "/console/record", false), (&li, &*subject, false)]
    {
        assert_eq!(browser.get(path).await.1.contains("You see your own lines only"), told, "{path}");
    }
    let (_, page) = li.get(&subject).await;
    assert!(
        page.contains("alert.accept") && page.contains("escalation.begin"),
        "what became of an alert is everyone's"
    );
    assert_eq!(li.get("/console/record.csv").await.0, 403);
    assert_eq!(local.get("/console/record.csv").await.0, 403);
    assert_eq!(auditor.get("/console/record.csv").await.0, 200);
    assert_eq!(li.get("/console/record?before=x").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mine_shows_first_however_much_waits_elsewhere() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let token = crew.token(&li, &["read"], 1).await;
    for n in 0..105 {
        let alert = Cma { colour: super::support::ORANGE, code: "330421000000".into(), ..Cma::new(&format!("zj{n}")) };
        let (status, answer) = server.post_as("tocsin_other-token", "application/cap+xml", alert.xml()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    }
    let own = orange(&server).await;
    let browser = li.browser(&server).await;
    let (_, page) = browser.get("/console").await;
    assert!(page.contains(&format!("/alerts/{own}")), "an officer's own is on their page");
    let (_, answer) = browser.api(&token, "queue", &Value::Null).await;
    assert_eq!(answer["queue"][0]["alert"], json!(own));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wrote_in_a_shared_draft_approves_none_of_it() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let both = ["author:310000", "signer:310000"];
    let li = crew.officer("li", &both).await.browser(&server).await;
    let wang = crew.officer("wang", &both).await.browser(&server).await;
    let chen = crew.officer("chen", &["signer:310000"]).await.browser(&server).await;
    let zhou = crew.officer("zhou", &["author:330000", "signer:330000"]).await.browser(&server).await;
    let end = (chrono::Utc::now() + chrono::TimeDelta::hours(13)).format("%Y-%m-%dT%H:%M").to_string();
    let form = [
        ("msg_type", "Alert"),
        ("hazard", "typhoon"),
        ("colour", "yellow"),
        ("region", "310000"),
        ("places", "310118"),
        ("expires", &end),
        ("shared", "on"),
        ("zh-CN.headline", "台风黄色预警"),
        ("zh-CN.description", "请留在室内"),
        ("en.headline", "Typhoon"),
        ("en.description", "Stay inside"),
    ];
    assert_eq!(li.post("/console/compose/new/save", &form).await.0, 303);
    says(zhou.get("/console/compose/1").await, 404, "T6001");
    assert!(
        !zhou.get("/console/compose").await.1.contains("/compose/1"),
        "shared with those who may write for the place"
    );
    assert!(wang.get("/console/compose").await.1.contains("/compose/1"));
    let (_, opened) = wang.get("/console/compose/1").await;
    let seen = opened.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [form.as_slice(), &[("seen", seen)]].concat();
    let (status, page) = wang.post("/console/compose/1/submit", &form).await;
    assert_eq!(status, 303, "{page}");
    let approve = [("seen", "0"), ("stage", "sign"), ("word", "")];
    says(wang.post("/console/escalations/1/approve", &approve).await, 409, "T6004");
    says(li.post("/console/escalations/1/approve", &approve).await, 409, "T6004");
    assert_eq!(chen.post("/console/escalations/1/approve", &approve).await.0, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_programs_ask_for_the_same_word_and_the_same_words_seen() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let (li, wang) = (crew.officer("li", &["signer:310000"]).await, crew.officer("wang", &["signer:310000"]).await);
    let token = crew.token(&li, &["read", "approve", "stop"], 1).await;
    let browser = wang.browser(&server).await;
    let alert = orange(&server).await;
    for act in ["approve", "return", "reject", "withdraw"] {
        let (status, answer) = browser.api(&token, &format!("escalations/1/{act}"), &json!({"reason": "x"})).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("T5003")), "{act}: {answer}");
    }
    let wrong = [("seen", "0"), ("stage", "sign"), ("word", "Hangzhou")];
    says(browser.post("/console/escalations/1/approve", &wrong).await, 409, "T6014");
    let said = json!({"seen": 0, "confirm": "杭州", "code": "000000"});
    assert_eq!(browser.api(&token, "escalations/1/approve", &said).await.1["code"], "T6014");
    // One officer's yes to an orange alert takes no word, of a page or of a program.
    let said = json!({"seen": 0, "code": li.code().await});
    let (status, answer) = browser.api(&token, "escalations/1/approve", &said).await;
    assert_eq!(status, 200, "{answer}");
    let long = "x\u{7}".repeat(2_000);
    assert_eq!(browser.api(&token, &format!("alerts/{alert}/stop"), &json!({"reason": long})).await.0, 200);
    let red = Cma { colour: super::support::RED, code: "310115000000".into(), ..Cma::new("red") };
    assert_eq!(server.post(red.xml()).await.0, 201);
    // A grave one takes the place's name, in either language.
    let grave = |word| [("seen", "0"), ("stage", "sign"), ("word", word)];
    says(browser.post("/console/escalations/2/approve", &grave("")).await, 409, "T6014");
    let (_, page) = browser.post("/console/escalations/2/approve", &grave("上海市")).await;
    assert!(!page.contains("T6014"), "{page}");
}

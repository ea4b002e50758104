//! What a thief, a liar or a clumsy program tries, over HTTP against the real program, and what becomes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::crew::{Browser, Crew, PASSWORD};
use support::{Cma, ORANGE, RED, Server, write_config};
use tocsin_sinks::{Fault, Faults, Tally, smtp};

/// Posts an orange alert for Qingpu: it waits for one signature of Shanghai, as escalation 1 of a fresh server.
async fn orange(server: &Server) -> String {
    let (status, answer) = server.post(Cma { colour: ORANGE, ..Cma::new("orange") }.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

fn says(answer: (u16, String), status: u16, code: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert!(answer.1.contains(code), "{code} is not in: {}", answer.1);
}

/// A server whose mail sink knows nobody, with two people in Qingpu.
async fn with_a_sink_that_knows_nobody() -> (Server, tocsin_sinks::Sink) {
    let mail = smtp::start(Tally::faulty(Faults { every: 1, with: Fault::Gone })).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        mail.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let people = folder.path().join("people.csv");
    std::fs::write(&people, "region,language,email\n310118,zh-CN,first@example.org\n310118,en,second@example.org\n")
        .unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);
    (Server::start_in(folder), mail)
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_of_another_province_can_do_nothing_here() {
    let (server, _mail) = with_a_sink_that_knows_nobody().await;
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
async fn what_was_stolen_dies_with_sign_out_and_suspension() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let token = crew.token(&li, &["read", "approve"], 1).await;
    let (root, thief) = (crew.root.browser(&server).await, li.browser(&server).await);
    let stolen = thief.clone();
    assert_eq!(stolen.get("/console").await.0, 200);
    assert_eq!(thief.post("/sign-out", &[]).await.0, 303);
    assert_eq!(stolen.get("/console").await.0, 303, "signed out is signed out, whoever holds the cookie");
    assert_eq!(stolen.post("/stay", &[]).await.0, 401);

    let again = li.browser(&server).await;
    let invitation = crew.staff.invite_again(li.id(), &crew.root.row).await.unwrap();
    assert_eq!(crew.next_proposal(), 2, "who gets a new link has grave roles only when a second administrator agrees");
    let grants = crew.store.officer(li.id()).await.unwrap().unwrap().grants;
    assert!(grants.0.is_empty(), "one administrator alone cannot become a signer by taking over an account");
    assert_eq!(root.post(&format!("/console/people/{}/active", li.id()), &[]).await.0, 303);
    assert_eq!(again.get("/console").await.0, 303, "suspended: the session is over");
    assert_eq!(again.api(&token, "queue", &Value::Null).await.0, 401, "and so is the token");
    assert_eq!(again.get(&format!("/invitation/{invitation}")).await.0, 404, "and no old invitation brings them back");
    let form = [("login", "li"), ("password", PASSWORD), ("code", &li.code().await)];
    assert_eq!(again.send(Method::POST, "/sign-in", &form, &[]).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_works_once() {
    let server = Server::start("");
    let (well, out, error) = server.tocsin(&[
        "--json",
        "officers",
        "invite",
        "chen",
        "--name",
        "陈",
        "--grant",
        "administrator:*",
        "auditor:310000",
        "--language",
        "en",
    ]);
    assert!(well, "{error}");
    let link: Value = serde_json::from_str(&out).unwrap();
    let path = link["link"].as_str().unwrap().rsplit_once("/invitation/").unwrap().1.to_owned();
    let path = format!("/invitation/{path}");
    let (one, other) = (Browser::new(&server), Browser::new(&server));
    let (_, page) = one.get(&path).await;
    let field = |page: &str, name: &str| {
        let from = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        from.split('"').next().unwrap().to_owned()
    };
    let sealed = field(&page, "sealed");
    let secret = page.split("secret=").nth(1).unwrap().split(['&', '"']).next().unwrap().to_owned();
    let totp = tocsin::officers::Totp::new(base32(&secret).try_into().unwrap());
    let accept =
        |password: &str, code: String| [("sealed", sealed.clone()), ("password", password.to_owned()), ("code", code)];
    let code = totp.code(chrono::Utc::now());
    let send = async |browser: &Browser, form: [(&str, String); 3]| {
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.send(Method::POST, &path, &form, &[]).await.status().as_u16()
    };
    assert_eq!(send(&one, accept("short", code.clone())).await, 422);
    assert_eq!(send(&one, accept(PASSWORD, "000000".into())).await, 422);
    let forged = [("sealed", "AAAA".to_owned()), ("password", PASSWORD.to_owned()), ("code", code.clone())];
    assert!(send(&other, forged).await >= 400, "an authenticator that is not ours");
    assert_eq!(send(&one, accept(PASSWORD, code.clone())).await, 303);
    assert_eq!(send(&other, accept("the thief's own password", code.clone())).await, 404);
    assert_eq!(other.get(&path).await.0, 404);
    let form = [("login", "chen"), ("password", PASSWORD), ("code", code.as_str())];
    assert_eq!(
        one.send(Method::POST, "/sign-in", &form, &[]).await.status(),
        403,
        "the invitation's code was used by it"
    );
    let (_, out, _) = server.tocsin(&["officers", "list"]);
    assert!(out.contains("administrator:*") && out.contains("auditor:310000"), "{out}");
    // With two administrators the command line has no more to say.
    let crew = Crew::of(&server).await;
    let (well, _, error) = server.tocsin(&["officers", "invite", "third", "--name", "x", "--grant", "administrator:*"]);
    assert!(!well && error.contains("two administrators"), "{error}");
    drop(crew);
}

fn base32(text: &str) -> Vec<u8> {
    let bits: String = text
        .bytes()
        .map(|b| format!("{:05b}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(char::from(b)).unwrap()))
        .collect();
    bits.as_bytes().chunks_exact(8).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_it_is_for_as_long_as_it_holds() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let browser = Browser::new(&server);
    let alert = orange(&server).await;
    let read = crew.token(&li, &["read"], 1).await;
    let approve = crew.token(&li, &["approve"], 1).await;
    let expired = crew.token_by(&crew.long_ago, &li, &["read", "approve", "stop"], 1).await;
    let waits = crew.staff.propose_token(&li.row, "x", &["read".to_owned()], 1).await.unwrap();
    let said = json!({"seen": 0, "confirm": "上海市", "code": li.code().await, "reason": "x"});
    let status = async |token: &str, path: &str| {
        let body = if path == "queue" { Value::Null } else { said.clone() };
        browser.api(token, path, &body).await.0
    };
    for (name, token) in
        [("expired", expired.as_str()), ("not agreed to", &waits), ("none", ""), ("a bureau's", support::TOKEN)]
    {
        for path in ["queue", "escalations/1/approve", &format!("alerts/{alert}/stop")] {
            assert_eq!(status(token, path).await, 401, "{name}: {path}");
        }
    }
    assert_eq!(status(&read, "queue").await, 200);
    assert_eq!(status(&read, "escalations/1/approve").await, 401, "a token to read does not approve");
    assert_eq!(status(&approve, "queue").await, 401);
    assert_eq!(status(&approve, &format!("alerts/{alert}/stop")).await, 401);
    assert_eq!(
        server.post_as(&read, "application/cap+xml", Cma::new("x").xml()).await.0,
        401,
        "officers are no bureau"
    );
    let without = json!({"confirm": "上海市", "code": "000000"});
    let (status, answer) = browser.api(&approve, "escalations/1/approve", &without).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("T5003")), "a yes names what was seen: {answer}");
    for bad in ["{", "[]", "{\"sen\":1}", "{\"seen\":-1}"] {
        let answer = browser.api(&approve, "escalations/1/approve", &json!(bad)).await;
        assert_eq!((answer.0, answer.1["code"].as_str()), (400, Some("T5003")), "{bad}: {}", answer.1);
    }
    let mut said = said.clone();
    let (status, answer) = browser.api(&approve, "escalations/1/approve", &said).await;
    assert_eq!((status, answer["state"].as_str()), (200, Some("released")), "{answer}");
    // The same code again, for anything.
    said["confirm"] = json!("CORRECT");
    let (status, answer) = browser.api(&approve, &format!("alerts/{alert}/correct"), &said).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("T6108")), "{answer}");
    assert!(answer["en"].as_str().unwrap().contains("used"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow_and_tells_nothing() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let thief = Browser::new(&server);
    let attempt = async |login: &str, password: &str, code: &str| {
        let answer = thief
            .send(Method::POST, "/sign-in", &[("login", login), ("password", password), ("code", code)], &[])
            .await;
        (answer.status().as_u16(), answer.text().await.unwrap().replace(&format!("value=\"{login}\""), ""))
    };
    // A code that was used signs nobody in, even with the right password.
    let code = li.code().await;
    assert_eq!(attempt("li", PASSWORD, &code).await.0, 303);
    let replayed = attempt("li", PASSWORD, &code).await;
    assert_eq!(replayed.0, 403);
    for _ in 0..4 {
        assert_eq!(attempt("li", "a wrong password", "000000").await, replayed, "it never says which part was wrong");
    }
    // The account rests now: the right answer is no more right, and looks like everyone else's.
    let resting = attempt("li", PASSWORD, &li.code().await).await;
    assert_eq!(resting, replayed);
    for login in ["nobody", "root'--", "李", ""] {
        assert_eq!(attempt(login, PASSWORD, "000000").await.0, 403);
    }
    assert_eq!(attempt("nobody", PASSWORD, "000000").await, resting, "whether a login exists is not told");
    let record = crew.store.record_from(1, 1_000).await.unwrap();
    let failed: Vec<Value> = record
        .iter()
        .filter(|l| l.kind == "sign-in.failed")
        .map(|l| serde_json::from_str(&l.detail).unwrap())
        .collect();
    let rests: Vec<_> = failed.iter().map(|detail| detail["rests_seconds"].as_i64().unwrap()).collect();
    assert_eq!(
        rests,
        [0, 0, 0, 0, 30],
        "what comes while it rests does not count, or a thief could lock everyone out for good"
    );
    // And one address has so many tries, whomever it tries.
    let mut tries = 12;
    while attempt("nobody", "x", "x").await.0 != 429 {
        tries += 1;
        assert!(tries < 60, "it could go on for ever");
    }
    assert!(tries >= 25, "officers behind one gate can all sign in: {tries}");
    let answer = thief.send(Method::POST, "/invitation/guess", &[("code", "1")], &[]).await;
    assert_eq!(answer.status(), 429, "invitations are guessed at no faster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_touched_is_found_out() {
    let mut server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    orange(&server).await;
    let browser = li.browser(&server).await;
    assert_eq!(
        browser.post("/console/escalations/1/approve", &[("seen", "0"), ("stage", "sign"), ("word", "")]).await.0,
        303
    );
    let (well, out, _) = server.tocsin(&["--json", "audit", "verify"]);
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert!(well && whole["whole"] == true, "while the server runs: {out}");
    crew.store.close().await;
    assert!(server.stop());
    let lines = whole["lines"].as_i64().unwrap();
    let note = format!("{lines}:{}", whole["last"].as_str().unwrap());
    assert!(lines >= 7);
    let last = lines.to_string();
    let cases: Vec<(&str, Vec<String>, Option<i64>)> = vec![
        ("untouched", vec![], None),
        ("who did it", vec!["UPDATE record SET actor = 'wang' WHERE seq = 3".into()], Some(3)),
        ("when", vec!["UPDATE record SET at = at + 1 WHERE seq = 4".into()], Some(4)),
        ("what", vec!["UPDATE record SET detail = '{}' WHERE seq = 2".into()], Some(2)),
        ("its hash", vec!["UPDATE record SET hash = 'x' WHERE seq = 2".into()], Some(2)),
        ("a line removed", vec!["DELETE FROM record WHERE seq = 3".into()], Some(3)),
        ("the first line removed", vec!["DELETE FROM record WHERE seq = 1".into()], Some(1)),
        ("the end cut off", vec![format!("DELETE FROM record WHERE seq = {last}")], Some(lines)),
        ("everything removed", vec!["DELETE FROM record".into()], Some(1)),
        (
            "a line added before the first",
            vec![
                "INSERT INTO record SELECT 0, at, actor, kind, subject, detail, hash FROM record WHERE seq = 1".into(),
            ],
            Some(1),
        ),
        (
            "a line added at the end",
            vec![format!(
                "INSERT INTO record SELECT seq + 1, at, actor, kind, subject, detail, hash FROM record WHERE seq = {last}"
            )],
            Some(lines + 1),
        ),
        (
            "two lines swapped",
            vec![
                "UPDATE record SET seq = -1 WHERE seq = 2".into(),
                "UPDATE record SET seq = 2 WHERE seq = 3".into(),
                "UPDATE record SET seq = 3 WHERE seq = -1".into(),
            ],
            Some(2),
        ),
    ];
    for (what, sql, broken) in cases {
        let folder = touched(&server, &sql).await;
        let (well, out, error) = support::tocsin(&folder.path().join("config.toml"), &["--json", "audit", "verify"]);
        let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{what}: {out} {error}"));
        assert_eq!((well, told["line"].as_i64()), (broken.is_none(), broken), "{what}: {out}");
        if let Some(line) = broken {
            let (_, out, _) = support::tocsin(&folder.path().join("config.toml"), &["audit", "verify"]);
            assert!(out.contains(&format!("broken at line {line}\n")), "{what}: {out}");
        }
    }
    // A whole new record with every hash right, or one cut off together with its count: only a note kept elsewhere shows it.
    let mut forged = server_lines(&server).await;
    forged[2].actor = "wang".into();
    let mut sql = Vec::new();
    let mut before = tocsin::record::GENESIS.to_owned();
    for line in &mut forged {
        line.hash = line.hash_after(&before);
        before.clone_from(&line.hash);
        sql.push(format!(
            "UPDATE record SET actor = '{}', hash = '{}' WHERE seq = {}",
            line.actor, line.hash, line.seq
        ));
    }
    let cut = vec![
        format!("DELETE FROM record WHERE seq = {last}"),
        "UPDATE counter SET value = value - 1 WHERE name = 'record'".into(),
    ];
    for sql in [sql, cut] {
        let folder = touched(&server, &sql).await;
        let config = folder.path().join("config.toml");
        assert!(support::tocsin(&config, &["audit", "verify"]).0);
        let (well, out, _) = support::tocsin(&config, &["audit", "verify", "--note", &note]);
        assert!(!well && out.contains(&format!("broken at line {last}\n")), "{out}");
    }
    assert!(server.tocsin(&["audit", "verify", "--note", &note]).0);
    // What is exported is the record.
    let (_, csv, _) = server.tocsin(&["audit", "export", "-"]);
    assert_eq!(csv.lines().count() as i64, lines + 1);
    let (_, json_lines, _) = server.tocsin(&["--json", "audit", "export", "-"]);
    let exported: Vec<Value> = json_lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len() as i64, lines);
    assert_eq!(exported.last().unwrap()["hash"], whole["last"]);
    let file = server.folder.path().join("out.csv");
    assert!(server.tocsin(&["audit", "export", file.to_str().unwrap()]).0);
    assert!(!server.tocsin(&["audit", "export", file.to_str().unwrap()]).0, "nothing is written over");
}

/// A copy of a server's store, changed behind the program's back.
async fn touched(server: &Server, sql: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "");
    std::fs::copy(server.folder.path().join("t.db"), folder.path().join("t.db")).unwrap();
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    for statement in sql {
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(&pool).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }
    pool.close().await;
    folder
}

async fn server_lines(server: &Server) -> Vec<tocsin::record::Line> {
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let store = tocsin::store::Store::open(&tocsin::store::StoreOptions { url, max_size_mib: None }).await.unwrap();
    let lines = store.record_from(1, 10_000).await.unwrap();
    store.close().await;
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_becomes_a_script_or_a_header() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let mail = smtp::start(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        mail.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let people = folder.path().join("people.csv");
    std::fs::write(&people, "region,language,email\n310118,en,first@example.org\n").unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);
    let server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "reviewer:310000", "auditor:*"]).await;
    let li = li.browser(&server).await;
    let escaped = EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let xml = Cma { colour: ORANGE, ..Cma::new("evil") }.xml();
    let headline = format!("<headline>{escaped}\r\nBcc: thief@example.org\r\n\r\n{escaped} ");
    let xml = xml.replace("<headline>", &headline).replace("<description>", &format!("<description>{escaped}"));
    let xml = xml
        .replace("<areaDesc>", &format!("<areaDesc>{escaped}"))
        .replace("<senderName>", &format!("<senderName>{escaped}"));
    let (status, answer) = server.post(xml).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let alert = answer["id"].as_str().unwrap();
    let root = crew.root.browser(&server).await;
    let invite = [("login", "evil"), ("name", EVIL), ("grants", "author:310000"), ("language", "en")];
    assert_eq!(root.post("/console/people", &invite).await.0, 200);
    assert_eq!(li.post("/console/escalations/1/take", &[("seen", "0")]).await.0, 303);
    says(li.post("/console/escalations/1/return", &[("seen", "0"), ("reason", EVIL)]).await, 303, "");
    let words = [
        ("seen", "0"),
        ("reason", EVIL),
        ("region", "310118"),
        ("zh-CN.headline", EVIL),
        ("zh-CN.description", EVIL),
        ("zh-CN.instruction", EVIL),
        ("en.headline", "Storm\r\nBcc: thief@example.org"),
        ("en.description", EVIL),
        ("en.instruction", EVIL),
    ];
    assert_eq!(li.post("/console/escalations/1/amend", &words).await.0, 303);
    let wang = crew.officer("wang", &["signer:310000"]).await.browser(&server).await;
    assert_eq!(
        wang.post("/console/escalations/1/approve", &[("seen", "1"), ("stage", "sign"), ("word", "")]).await.0,
        303
    );
    let query: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    for path in [
        "/console".to_owned(),
        "/console/queue".to_owned(),
        format!("/console/alerts/{alert}"),
        format!("/console/alerts/{alert}/live"),
        format!("/console/alerts/{alert}/told"),
        format!("/console/alerts?q={query}"),
        format!("/console/record?subject={alert}"),
        format!("/console/record?subject={query}&actor={query}&kind={query}"),
        "/console/people".to_owned(),
        "/console/duty".to_owned(),
        "/console/sources".to_owned(),
        "/console/compose".to_owned(),
        "/console/me".to_owned(),
        format!("/sign-in?next={query}"),
    ] {
        let (status, page) = li.get(&path).await;
        assert_eq!(status, 200, "{path}: {page}");
        let page = page.to_lowercase();
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
    }
    let (_, page) = li.post("/console/escalations/99/approve", &[("seen", EVIL)]).await;
    assert!(!page.contains("<script>alert"), "{page}");
    let (_, page) = li
        .post(
            "/console/duty/rotation",
            &[("jurisdiction", "310000"), ("position", "primary"), ("officers", EVIL), ("days", "1")],
        )
        .await;
    assert!(!page.contains("<script>alert"), "{page}");
    let (_, csv) = li.get("/console/record.csv").await;
    assert!(csv.lines().count() > 5 && !csv.contains(",=") && !csv.contains(",@"), "no cell is a formula");

    server.until(alert, |states| states["channels"]["email"]["accepted"] == 1).await;
    let text = mail.tally.last_text();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().lines().any(|line| line.starts_with("bcc:")), "{head}");
    let html = decoded(body);
    assert!(html.contains("&lt;script&gt;alert(1)") || html.contains("&lt;script"), "{html}");
    let html = html.split("<html").nth(1).unwrap_or_default().to_lowercase();
    assert!(!html.is_empty() && !html.contains("<script>alert") && !html.contains("<img src=x"), "{html}");

    for (path, header) in [
        ("/sign-in?next=/console%0d%0aSet-Cookie:%20evil=1", "set-cookie"),
        ("/console/alerts/%0d%0aSet-Cookie:%20evil=1", "set-cookie"),
        ("/console/map.json?x=%0d%0aevil:1", "evil"),
    ] {
        let answer = li.send(Method::GET, path, &[], &[]).await;
        assert!(!answer.headers().contains_key(header), "{path}");
    }
    let answer =
        li.send(Method::POST, "/console/alerts/%0d%0aSet-Cookie:%20evil=1/stop", &[("csrf", &li.csrf)], &[]).await;
    assert!(!answer.headers().contains_key("set-cookie") && answer.status() != 500, "{answer:?}");
}

/// The parts of a mail, with their transfer encoding undone.
fn decoded(body: &str) -> String {
    use base64::Engine as _;
    let mut all = String::new();
    for part in body.split("\r\n\r\n") {
        let block = part.split("\r\n--").next().unwrap_or_default();
        let joined: String = block.split_whitespace().collect();
        match base64::engine::general_purpose::STANDARD.decode(&joined) {
            Ok(bytes) => all.push_str(&String::from_utf8_lossy(&bytes)),
            Err(_) => {
                // Quoted-printable.
                let soft = block.replace("=\r\n", "");
                let mut bytes = Vec::new();
                let mut rest = soft.as_bytes();
                while let [first, tail @ ..] = rest {
                    let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
                    match (first, hex) {
                        (b'=', Some(byte)) => {
                            bytes.push(byte);
                            rest = &tail[2..];
                        }
                        _ => {
                            bytes.push(*first);
                            rest = tail;
                        }
                    }
                }
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_another_site() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let browser = Browser::new(&server);
    for (next, lands) in
        [("https://evil.example/console", "/console"), ("//evil.example", "/console"), ("/console/me", "/console/me")]
    {
        let form = [("login", "li"), ("password", PASSWORD), ("code", &li.code().await), ("next", next)];
        let answer = browser.send(Method::POST, "/sign-in", &form, &[]).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, lands), "{next}");
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    }
    for next in ["https://evil.example", "/%5cevil.example", "/console%2f%2fevil.example", "javascript:alert(1)"] {
        let (_, page) = browser.get(&format!("/sign-in?next={next}")).await;
        assert!(!page.contains("evil.example") && !page.contains("javascript:"), "{next}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_not_to_be_had_alone() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let local = crew.officer("local", &["administrator:310000"]).await.browser(&server).await;
    let li = crew.officer("li", &["reviewer:310000"]).await;
    let root = crew.root.browser(&server).await;
    let id = |officer: &support::crew::Officer| officer.id().to_string();
    let (li_id, root_id) = (id(&li), id(&crew.root));
    // An administrator of one province keeps its duty, and no officers anywhere.
    for region in ["310000", "330000", "*"] {
        let form = [("role", "author"), ("region", region), ("give", "1")];
        says(local.post(&format!("/console/people/{li_id}/role"), &form).await, 403, "T6104");
    }
    let invite = [("login", "friend"), ("name", "x"), ("grants", "reviewer:310000")];
    says(local.post("/console/people", &invite).await, 403, "T6104");
    for act in ["active", "invite", "tie"] {
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
    says(root.post(&format!("{own}/tie"), &[("subject", "x")]).await, 409, "T6106");

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
    let shipped = include_str!("../rules/delta.toml");
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
        for page in ["", "/live", "/told", "/told.json", "/events", "/times.csv"] {
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
async fn what_is_too_large_is_refused_readably_and_every_answer_is_guarded() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "author:310000"]).await;
    let token = crew.token(&li, &["approve"], 1).await;
    let browser = li.browser(&server).await;
    let long = "x".repeat(3 << 20);
    says(browser.post("/console/me/addresses", &[("sms", &long)]).await, 413, "T5004");
    says(browser.post("/console/compose/check", &[("title", &long)]).await, 413, "T5004");
    let (status, _) = browser.api(&token, "escalations/1/take", &json!({"reason": "x".repeat(5 << 20)})).await;
    assert!(matches!(status, 400 | 413), "{status}");
    let many: Vec<(&str, &str)> = (0..100_000).map(|_| ("region", "310118")).collect();
    says(browser.post("/console/escalations/1/split", &many).await, 404, "T6001");
    let red = Cma { colour: RED, ..Cma::new("r") };
    assert_eq!(server.post(red.xml()).await.0, 201);
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/console"),
        (Method::GET, "/exercise"),
        (Method::GET, "/sign-in"),
        (Method::POST, "/sign-in"),
        (Method::GET, "/nowhere"),
        (Method::GET, "/console/alerts/none"),
        (Method::DELETE, "/console"),
        (Method::GET, "/assets/console.js"),
        (Method::GET, "/assets/../config.toml"),
        (Method::GET, "/invitation/x"),
        (Method::GET, "/leave/x"),
        (Method::GET, "/healthz"),
        (Method::GET, "/api/v1/queue"),
        (Method::POST, "/api/v1/alerts"),
        (Method::GET, "/console/record.csv"),
        (Method::POST, "/stay"),
        (Method::GET, "/console/map.json"),
        (Method::GET, "/console/escalations/x/y"),
    ] {
        for cookie in ["", browser.cookie.as_str()] {
            let who = browser.with_cookie(cookie);
            let answer = who.send(method.clone(), path, &[], &[]).await;
            let header =
                |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
            let policy = header("content-security-policy");
            let at = format!("{method} {path} {}", answer.status());
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{at}: {policy}"
            );
            assert!(!policy.contains("script-src 'unsafe") && !policy.contains('*'), "{at}: {policy}");
            assert_eq!(
                (header("x-content-type-options"), header("x-frame-options")),
                ("nosniff".into(), "DENY".into()),
                "{at}"
            );
            assert_eq!(header("referrer-policy"), "no-referrer", "{at}");
            let shared = header("cache-control").contains("public");
            assert!(!shared && !header("cache-control").is_empty(), "{at}: kept by nobody else");
            assert_ne!(answer.status().as_u16(), 500, "{at}");
            let location = header("location");
            assert!(
                location.is_empty() || location.starts_with("/console") || location.starts_with("/sign-in"),
                "{at}: {location}"
            );
        }
    }
    assert!(!server.log().contains(PASSWORD) && !server.log().contains(&token), "secrets stay out of the log");
}

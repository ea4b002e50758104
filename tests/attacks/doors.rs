//! Doors: sessions, invitations, tokens, codes, guesses, and where one lands.

use reqwest::Method;
use serde_json::{Value, json};

use super::orange;
use super::support::crew::{Browser, Crew, PASSWORD};
use super::support::{self, Cma, Server};

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
    assert_eq!(crew.next_proposal(), 2, "a signer's new link waits for a second administrator");
    let path = format!("/invitation/{invitation}");
    assert_eq!(
        again.get(&path).await.0,
        404,
        "one administrator alone cannot become a signer by taking over an account"
    );
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
        assert!(tries < 1_000, "it could go on for ever");
    }
    assert!(tries >= 25, "officers behind one gate can all sign in: {tries}");
    let answer = thief.send(Method::POST, "/invitation/guess", &[("code", "1")], &[]).await;
    assert_eq!(answer.status(), 429, "invitations are guessed at no faster");
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
async fn a_stream_ends_with_the_session() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let browser = li.browser(&server).await;
    let alert = orange(&server).await;
    let mut streams = Vec::new();
    for path in ["/console/events".to_owned(), format!("/console/alerts/{alert}/events")] {
        let answer = browser.send(Method::GET, &path, &[], &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        streams.push(answer);
    }
    crew.staff.suspend(li.id(), false, &crew.root.row).await.unwrap();
    for mut stream in streams {
        let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("it ends within a minute");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn residents_who_sign_up_do_not_shut_officers_out() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let crowd = Browser::new(&server);
    let mut busy = 0;
    for _ in 0..40 {
        let answer = crowd.send(Method::POST, "/sign-up/code", &[("token", "x"), ("code", "1")], &[]).await;
        busy += usize::from(answer.status() == 429);
    }
    assert!(busy > 0, "the crowd itself has its limit");
    li.browser(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_back_from_suspension_by_the_way() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let chen = crew.officer("chen", &["author:310000"]).await;
    let other = crew.officer("other", &["administrator:*"]).await;
    let root = &crew.root.row;
    crew.staff.tie(li.id(), "li@id", root).await.unwrap();
    let tie = crew.next_proposal();
    crew.staff.invite_again(li.id(), root).await.unwrap();
    let link = crew.next_proposal();
    crew.staff.suspend(li.id(), false, root).await.unwrap();
    crew.staff.suspend(chen.id(), false, root).await.unwrap();
    for proposal in [tie, link] {
        assert!(crew.staff.decide(proposal, true, &other.row).await.is_err(), "it ended with the suspension");
    }
    for officer in [&li, &chen] {
        assert!(crew.staff.tie(officer.id(), "x@id", root).await.is_err());
        assert!(crew.staff.invite_again(officer.id(), root).await.is_err());
        assert!(!crew.store.officer(officer.id()).await.unwrap().unwrap().active);
    }
    crew.staff.suspend(li.id(), true, root).await.unwrap();
    assert!(crew.staff.invite_again(li.id(), root).await.is_ok(), "who is restored may have a link");
}

//! A mistyped word or code: nothing is done, and nothing that was typed is lost.

use chrono::{TimeDelta, Utc};
use reqwest::Method;

use super::support::crew::{Browser, Crew};
use super::support::{Cma, RED, Server, YELLOW, tables};

/// The form of a page that posts there.
fn form<'a>(page: &'a str, action: &str) -> &'a str {
    let start = page.split(&format!("action=\"{action}\"")).nth(1).unwrap_or_else(|| panic!("no {action} in {page}"));
    start.split("</form>").next().unwrap()
}

/// Everybody who is signed in proved to be there so long ago: more than five minutes, and it has to be done again.
async fn proved(server: &Server, ago: TimeDelta) {
    let mut store = tables(server.folder.path()).await;
    let sql = "UPDATE session SET proved_at = $1";
    sqlx::query(sql).bind((Utc::now() - ago).timestamp_millis()).execute(&mut store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_word_or_code_is_said_by_its_form_and_what_was_typed_stays() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("signer", &["signer:310000", "reviewer:310000"]).await.browser(&server).await;
    let red = Cma { colour: RED, code: "310120000000".into(), ..Cma::new("red") };
    let (_, waits) = server.post(red.xml()).await;
    assert_eq!(waits["state"], "waiting");
    let (_, told) = server.post(Cma { colour: YELLOW, ..Cma::new("wind") }.xml()).await;
    let page = |alert: &serde_json::Value| format!("/console/alerts/{}", alert["id"].as_str().unwrap());
    let (waits, told) = (page(&waits), page(&told));
    assert_eq!(signer.post(&format!("{told}/stop"), &[]).await.0, 303);
    let approve = "/console/escalations/1/approve".to_owned();
    let [resume, correct, resend] = ["resume", "correct", "resend"].map(|act| format!("{told}/{act}"));

    let refused = async |browser: &Browser,
                         (path, at): (&str, &str),
                         fields: &[(&str, &str)],
                         status: u16,
                         why: &str| {
        let (got, page) = browser.post(path, fields).await;
        assert_eq!(got, status, "{path}: {page}");
        let form = form(&page, path);
        assert!(form.contains("role=\"alert\"") && form.contains(why), "{path}: {form}");
        assert_eq!(page.matches(why).count(), 1, "there and nowhere else");
        for (name, typed) in fields.iter().filter(|(name, _)| !["seen", "stage"].contains(name)) {
            let field = form.split(&format!("name=\"{name}\"")).nth(1).unwrap().split("</label>").next().unwrap();
            assert_eq!(field.contains(typed), *name != "code", "{path}: what was typed stays, but for codes: {field}");
        }
        assert!(page.contains(&format!("data-at=\"{at}\"")), "where the script puts the page");
        form.to_owned()
    };
    let live = format!("{told}/live");
    let yes = [("seen", "0"), ("stage", "review")];
    let words = [("zh", "说错了"), ("en", "a slip of the pen")];
    let form = refused(&signer, (&approve, &waits), &[&yes[..], &[("word", "Shanghia")]].concat(), 409, "T6014").await;
    assert!(form.contains("the typed word is not the one asked for"), "{form}");
    refused(&signer, (&correct, &live), &[&words[..], &[("word", "CORECT")]].concat(), 409, "T6014").await;

    // Later their presence has to be proved again.
    proved(&server, TimeDelta::minutes(6)).await;
    let code = ("code", "000000");
    let why = [("reason", "it was right after all"), code];
    refused(&signer, (&approve, &waits), &[&yes[..], &[("word", "Shanghai"), code]].concat(), 403, "T6108").await;
    refused(&signer, (&correct, &live), &[&words[..], &[("word", "CORRECT"), code]].concat(), 403, "T6108").await;
    refused(&signer, (&resume, &live), &why, 403, "T6108").await;
    refused(&signer, (&resend, &live), &why, 403, "T6108").await;

    // Whoever has no such form is told at the page's top.
    let other = crew.officer("other", &["signer:320000"]).await.browser(&server).await;
    for (path, fields) in [(&approve, &yes[..]), (&correct, &words[..])] {
        let (status, page) = other.post(path, fields).await;
        assert!(status == 409 && page.contains("T6014") && !page.contains(&format!("action=\"{path}\"")), "{page}");
    }
    let kinds: Vec<_> = crew.store.record_from(1, 10_000).await.unwrap().into_iter().map(|line| line.kind).collect();
    for done in ["escalation.approve", "release.correct", "release.resume", "release.resend"] {
        assert!(!kinds.iter().any(|kind| kind == done), "nothing was done: {done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_signs_nothing_that_a_colleague_changed_since_the_first() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("signer", &["signer:310000", "reviewer:310000"]).await.browser(&server).await;
    let mender = crew.officer("mender", &["reviewer:310000"]).await.browser(&server).await;
    let reviewer = crew.officer("reviewer", &["reviewer:310000"]).await.browser(&server).await;
    let red = Cma { colour: RED, code: "310120000000".into(), ..Cma::new("red") };
    let alert = server.post(red.xml()).await.1["id"].as_str().unwrap().to_owned();
    let approve = "/console/escalations/1/approve";
    let yes = |seen, stage, word| [("seen", seen), ("stage", stage), ("word", word), ("code", "000000")];
    let look_again = async |typed: &[(&str, &str)]| {
        let (status, page) = signer.post(approve, typed).await;
        assert!(status == 409 && page.contains("T6003") && page.contains("look again"), "{status} {page}");
        assert!(!page.contains(approve), "no form that signs what was not seen: {page}");
    };

    let words = [("seen", "0"), ("reason", "clearer"), ("region", "310120"), ("en.headline", "Stay where you are")];
    assert_eq!(mender.post("/console/escalations/1/amend", &words).await.0, 303);
    look_again(&yes("0", "review", "Shanghia")).await;
    proved(&server, TimeDelta::minutes(6)).await;
    look_again(&yes("0", "review", "Shanghai")).await;

    // What is seen now may be tried again; but not after another's yes, for that would be the last one.
    let (status, page) = signer.post(approve, &yes("1", "review", "Shanghai")).await;
    assert!(status == 403 && form(&page, approve).contains("T6108"), "{status} {page}");
    proved(&server, TimeDelta::zero()).await;
    let review = [("seen", "1"), ("stage", "review"), ("word", "Shanghai")];
    assert_eq!(reviewer.post(approve, &review).await.0, 303);
    look_again(&yes("1", "review", "Shanghia")).await;

    assert_eq!(server.json(&format!("/api/v1/alerts/{alert}")).await["state"], "waiting", "nothing went out");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_wrong_code_is_answered_as_a_session_that_is_over() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let officer = crew.officer("signer", &["signer:310000", "reviewer:310000"]).await;
    let red = Cma { colour: RED, code: "310120000000".into(), ..Cma::new("red") };
    assert_eq!(server.post(red.xml()).await.1["state"], "waiting");
    let (_, told) = server.post(Cma { colour: YELLOW, ..Cma::new("wind") }.xml()).await;
    let told = format!("/console/alerts/{}", told["id"].as_str().unwrap());
    let form = [
        ("seen", "0"),
        ("stage", "review"),
        ("word", "Shanghai"),
        ("reason", "so"),
        ("zh", "有误"),
        ("en", "wrong"),
        ("code", "000000"),
    ];
    let correct: Vec<_> = form.map(|(name, typed)| (name, if name == "word" { "CORRECT" } else { typed })).into();
    let acts = [
        ("/console/escalations/1/approve".to_owned(), form.to_vec()),
        (format!("{told}/correct"), correct),
        (format!("{told}/resend"), form.to_vec()),
    ];
    for (path, form) in &acts {
        let browser = officer.browser(&server).await;
        for _ in 0..4 {
            let (status, page) = browser.post(path, form).await;
            assert!(status == 403 && page.contains("T6108") && page.contains(path), "{path} {status}: {page}");
        }
        let (status, page) = browser.post(path, form).await;
        assert!(status == 401 && page.contains("T6101") && page.contains("sign in again"), "{path} {status}: {page}");
        assert!(!page.contains("name=\"csrf\"") && !page.contains("<form"), "no form that cannot be sent: {page}");
        let answer = browser.send(Method::GET, &told, &[], &[]).await;
        let login = answer.headers()["location"].to_str().unwrap();
        assert!(answer.status() == 303 && login.starts_with("/sign-in"), "{login}");
    }
}

//! Officers at a terminal: what the console does, `tocsin` does, with the same proofs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use serde_json::Value;
use support::crew::Crew;
use support::{Cma, ORANGE, Server};

struct Terminal<'a> {
    server: &'a Server,
    token: String,
}

impl Terminal<'_> {
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let path = self.server.folder.path().join("token");
        std::fs::write(&path, format!("{}\n", self.token)).unwrap();
        let at = ["--server", &self.server.url, "--token-file", path.to_str().unwrap()];
        let (well, out, error) = self.server.tocsin(&[arguments, &at].concat());
        (well, out + &error)
    }

    fn yes(&self, arguments: &[&str], says: &str) -> String {
        let (well, out) = self.run(arguments);
        assert!(well && out.contains(says), "{arguments:?}: {out}");
        out
    }

    fn no(&self, arguments: &[&str], says: &str) {
        let (well, out) = self.run(arguments);
        assert!(!well && out.contains(says), "{arguments:?}: {out}");
    }
}

/// An orange alert for a county of Shanghai: alerts for one place would be one event.
async fn orange(server: &Server, name: &str, county: &str) -> String {
    let alert = Cma { colour: ORANGE, code: format!("{county}000000"), ..Cma::new(name) };
    let (status, answer) = server.post(alert.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_is_the_same_from_a_terminal() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let (li, wang) = (crew.officer("li", &["signer:310000"]).await, crew.officer("wang", &["signer:310000"]).await);
    let scopes = ["read", "approve", "stop"];
    let at_li = Terminal { server: &server, token: crew.token(&li, &scopes, 1).await };
    let at_wang = Terminal { server: &server, token: crew.token(&wang, &scopes, 1).await };

    assert_eq!(at_li.yes(&["queue"], "nothing waits"), "nothing waits\n");
    let first = orange(&server, "first", "310118").await;
    let out = at_li.yes(&["queue"], "sign");
    assert!(out.starts_with("id  level ") && out.contains("上海市"), "{out}");
    for part in ["Severe orange", first.as_str(), "青浦区 · 上海中心气象台发布台风橙色预警"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let told: Value = serde_json::from_str(&at_li.run(&["--json", "queue"]).1).unwrap();
    let row = &told["queue"][0];
    assert_eq!((row["alert"].as_str(), row["colour"].as_str()), (Some(first.as_str()), Some("orange")), "{row}");
    assert_eq!(
        (&row["counties"], &row["first_counties"][0]["name_en"]),
        (&1.into(), &"Qingpu District".into()),
        "{row}"
    );
    at_li.yes(&["take", "1"], "waiting for: sign");
    at_li.no(&["return", "1", "--reason", " "], "T6010");
    at_li.yes(&["return", "1", "--reason", "wrong county"], "returned");
    at_li.yes(&["queue"], "returned");
    at_li.yes(&["withdraw", "1", "--reason", "not needed"], "withdrawn");
    at_li.no(&["take", "1"], "T6002");
    orange(&server, "second", "310120").await;
    at_li.yes(&["reject", "2", "--reason", "no danger"], "rejected");

    // A yes is to the words that were seen.
    let alert = orange(&server, "third", "310115").await;
    let words = [
        ("seen", "0"),
        ("reason", "clearer"),
        ("region", "310115"),
        ("zh-CN.headline", "台风橙色预警"),
        ("en.headline", "Typhoon"),
    ];
    assert_eq!(li.browser(&server).await.post("/console/escalations/3/amend", &words).await.0, 303);
    at_wang.yes(&["queue"], "3.1");
    at_wang.no(&["approve", "3", "--confirm", "上海市", "--code", &wang.code().await], "T6003");
    let (well, out) = at_wang.run(&["--json", "approve", "3.1", "--confirm", "Shanghai", "--code", &wang.code().await]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(well && answer["state"] == "released", "{out}");

    at_wang.yes(&["stop", &alert, "--reason", "wait"], "stopped; releases: 1");
    at_wang.yes(&["stop", &alert, "--reason", "wait"], "stopped; releases: 0");
    at_wang.no(&["resume", &alert, "--reason", "go on", "--code", "000000"], "T6108");
    at_wang.yes(&["resume", &alert, "--reason", "go on", "--code", &wang.code().await], "goes on; releases: 1");
    let correct = |word: &'static str, code: &str| {
        let code = code.to_owned();
        let alert = alert.clone();
        move |at: &Terminal<'_>| {
            at.run(&["correct", &alert, "--zh", "有误", "--en", "wrong", "--confirm", word, "--code", &code])
        }
    };
    let (well, out) = correct("yes", "000000")(&at_li);
    assert!(!well && out.contains("T6014"), "{out}");
    let (well, out) = correct("更正", &li.code().await)(&at_li);
    assert!(well && out.contains("corrected by"), "{out}");
    let correction = out.trim().rsplit(' ').next().unwrap().to_owned();
    let (well, out) = correct("CORRECT", &li.code().await)(&at_li);
    assert!(!well && out.contains("T6002"), "once: {out}");
    let told = format!("it was corrected by {correction}; nothing of it goes out any more");
    at_li.no(&["stop", &alert, "--reason", "x"], &told);
    at_li.no(&["resume", &alert, "--reason", "x", "--code", &li.code().await], &told);

    at_li.yes(&["queue", "--exercise"], "nothing waits");
    at_li.no(&["take", "3", "--exercise"], "T6001");
    let nobody = Terminal { server: &server, token: "none".into() };
    nobody.no(&["queue"], "T5001");
    // A bureau's token opens another door, and the refusal says which one opens this.
    let bureau = Terminal { server: &server, token: support::TOKEN.into() };
    for says in [
        "需要值班员的令牌（可 read）",
        "“程序令牌”",
        "an officer's token that may read, not a bureau's",
        "\"Tokens for programs\"",
    ] {
        bureau.no(&["queue"], says);
    }
    bureau.no(&["take", "3"], "an officer's token that may approve");
    bureau.no(&["stop", "aaaabbbbccccdddd", "--reason", "x"], "an officer's token that may stop");
    let alert = server.folder.path().join("alert.xml");
    std::fs::write(&alert, Cma::new("by-an-officer").xml()).unwrap();
    at_li.no(&["submit", alert.to_str().unwrap()], "this takes a bureau's token");
    let (well, _, error) = server.tocsin(&["queue", "--server", "http://127.0.0.1:9"]);
    assert!(!well && error.contains("no token"), "{error}");
    let path = server.folder.path().join("token");
    let (well, _, error) =
        server.tocsin(&["queue", "--server", "http://127.0.0.1:9", "--token-file", path.to_str().unwrap()]);
    assert!(!well && error.contains("is `tocsin serve` running there?"), "{error}");

    let (_, verified, _) = server.tocsin(&["audit", "verify"]);
    let (_, officers, _) = server.tocsin(&["officers", "list"]);
    for line in at_li.run(&["queue"]).1.lines().chain(verified.lines()).chain(officers.lines()) {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
    }
}

/// The first help says which commands ask a server, and so does the guide; each of these, and no other, takes the server's address.
#[test]
fn what_asks_a_server_is_said_and_takes_its_address() {
    let config = std::path::Path::new("config.toml");
    let (_, help, _) = support::tocsin(config, &["--help"]);
    let said = help.split("--token-file FILE): ").nth(1).unwrap().split("All others").next().unwrap();
    let said: Vec<_> = said.split(|c: char| !c.is_ascii_lowercase()).collect();
    let guide = include_str!("../docs/officers.md").split("ask a server: ").nth(1).unwrap().split(';').next().unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let (mut all, mut asking) = (0, 0);
    for command in commands.filter(|name| !name.is_empty() && *name != "help") {
        let (_, own, _) = support::tocsin(config, &[command, "--help"]);
        let asks = own.contains("--server");
        assert_eq!(said.contains(&command), asks, "{command}: {help}");
        assert_eq!(guide.contains(&format!("`{command}`")), asks, "{command}: {guide}");
        (all, asking) = (all + 1, asking + usize::from(asks));
    }
    assert!(all > 25 && asking == 12, "{all} commands, {asking} of them ask a server");
}

#[test]
fn every_command_of_officers_explains_itself() {
    let config = std::path::Path::new("config.toml");
    for command in ["queue", "take", "approve", "return", "reject", "withdraw", "stop", "resume", "correct"] {
        let (well, out, _) = support::tocsin(config, &[command, "--help"]);
        assert!(well && out.contains("--json") && out.contains("--token-file") && out.contains("--exercise"), "{out}");
    }
    for command in [["officers", "invite"], ["officers", "list"], ["audit", "verify"], ["audit", "export"]] {
        let (well, out, _) = support::tocsin(config, &[command[0], command[1], "--help"]);
        assert!(well && out.contains("--json"), "{out}");
    }
    let (well, _, error) = support::tocsin(config, &["approve", "x", "--confirm", "a", "--code", "1"]);
    assert!(!well && error.contains("7.2 after two changes"), "{error}");
    let (well, _, error) = support::tocsin(config, &["officers", "invite", "li", "--name", "x", "--grant", "king:*"]);
    assert!(!well && error.contains("administrator"), "{error}");
    let (well, _, error) = support::tocsin(config, &["audit", "verify", "--note", "7"]);
    assert!(!well && error.contains("a colon"), "{error}");
}

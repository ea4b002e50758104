//! The command line as people and machines meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Cma, RED, Server, tocsin, write_config};

#[test]
fn check_gives_one_line_a_file() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if !corpus.exists() {
        println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
        return;
    }
    let (well, out, _) = tocsin(Path::new("config.toml"), &["check", "--json", corpus.to_str().unwrap()]);
    assert!(well);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 67);
    for line in &lines {
        assert!(matches!(line["verdict"].as_str(), Some("accepted" | "remarks" | "refused")), "{line}");
        assert!(line["file"].is_string() && line["findings"].is_array());
    }
}

#[test]
fn check_tells_people_what_is_off_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cancel.xml");
    std::fs::write(&file, Cma { msg_type: "Cancel", ..Cma::new("1 2") }.xml()).unwrap();
    let (well, out, _) = tocsin(Path::new("config.toml"), &["check", file.to_str().unwrap()]);
    assert!(well, "remarks are no refusal");
    insta::assert_snapshot!(out.replace(folder.path().to_str().unwrap(), ""));
    std::fs::write(&file, "<alert").unwrap();
    assert!(!tocsin(Path::new("config.toml"), &["check", file.to_str().unwrap()]).0, "a refusal is exit code 1");
    let (well, _, error) = tocsin(Path::new("config.toml"), &["check", "/nowhere.xml"]);
    assert!(!well && error.contains("cannot read /nowhere.xml"), "{error}");
}

#[test]
fn check_names_which_alert_of_several_it_speaks_of() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let warning = |id: &str, code: &str| {
        serde_json::json!({"id": id, "headline": "气象台发布台风黄色预警", "senderName": "气象台", "issuedTime": "2025-07-01T20:00+08:00",
            "messageType": "alert", "areas": [{"code": code}]})
    };
    let list = serde_json::json!([warning("w1", "310118"), {"title": 1}, warning("w3", "320100")]);
    // Regions of others: two refusals in one feed.
    let entry = |n: &str, code: &str| {
        let xml = Cma { code: code.into(), ..Cma::new(n) }.xml();
        format!("<entry><id>{n}</id><content>{}</content></entry>", xml.split_once("?>").unwrap().1)
    };
    let entries = entry("f1", "330400000000") + &entry("f2", "320100000000");
    let feed = format!("<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id>{entries}</feed>");
    for (name, text, wanted) in [
        ("list.json", list.to_string(), ["[2] 未写标识 / names no identifier", "[3] w3"]),
        ("feed.xml", feed, ["[1] f1\n  T4004", "[2] f2\n  T4004"]),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let (well, out, error) = tocsin(&config, &["check", "--source", "shanghai", file.to_str().unwrap()]);
        let at = |what: &str| out.find(what).unwrap_or_else(|| panic!("{what}: {out}{error}"));
        assert!(!well && at(wanted[0]) < at(wanted[1]), "{out}");
    }
    // One that would be refused among good ones is seen by the exit code; what JSON is called is nobody's business.
    let file = folder.path().join("list.txt");
    for (second, taken) in [(serde_json::json!({"title": 1}), false), (warning("w2", "310118"), true)] {
        std::fs::write(&file, serde_json::json!([warning("w1", "310118"), second]).to_string()).unwrap();
        let (well, out, _) = tocsin(&config, &["check", file.to_str().unwrap()]);
        assert_eq!(well, taken, "{out}");
    }
    let file = folder.path().join("list.json");
    let (_, out, _) = tocsin(&config, &["check", "--source", "shanghai", file.to_str().unwrap()]);
    let (second, third) = out.split_once("[3] w3").unwrap();
    assert!(second.contains("T2003") && third.contains("T4004") && !second.contains("T4004"), "{out}");
    let (_, out, _) = tocsin(&config, &["--json", "check", "--source", "shanghai", file.to_str().unwrap()]);
    let line: Value = serde_json::from_str(&out).unwrap();
    let refusal = &line["refusals"][0];
    assert_eq!(
        (&refusal["code"], &refusal["item"], &refusal["identifier"]),
        (&"T4004".into(), &3.into(), &"w3".into())
    );
    let of_second = line["findings"].as_array().unwrap().iter().find(|finding| finding["item"] == 2);
    assert!(of_second.is_some_and(|finding| finding["code"] == "T2003" && finding["identifier"].is_null()), "{line}");
}

#[test]
fn what_was_sent_long_ago_is_said_to_wait_for_an_officer_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let file = folder.path().join("old.xml");
    for (hours, said) in [(25, true), (23, false)] {
        let sent = Cma::new("").sent - chrono::TimeDelta::hours(hours);
        let old = Cma { sent, expires: chrono::TimeDelta::hours(hours + 3), ..Cma::new("old") };
        std::fs::write(&file, old.xml()).unwrap();
        for command in ["check", "explain"] {
            let (well, out, error) = tocsin(&config, &[command, "--source", "shanghai", file.to_str().unwrap()]);
            assert!(well && out.contains("T4122") == said, "{command} {hours}: {out}{error}");
        }
    }
}

#[test]
fn the_store_is_for_its_owner_and_a_busy_address_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = support::Server::start("");
    let mode = |name: &str| server.folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("t.db"), 0o600);
    let at = server.url.strip_prefix("http://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let (well, _, error) = tocsin(&config, &["serve", "--listen", at]);
    assert!(!well && error.contains(at), "{error}");
}

#[test]
fn a_token_file_that_holds_more_than_the_token_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let (token, alert) = (folder.path().join("token"), folder.path().join("alert.xml"));
    std::fs::write(&alert, Cma::new("1").xml()).unwrap();
    let at = ["--server", "http://127.0.0.1:1", "--token-file", token.to_str().unwrap()];
    // What `tocsin token` prints, kept as it is, is the usual way to it.
    let (_, printed, _) = tocsin(&config, &["token"]);
    for (held, fits) in [
        ("tocsin_a", true),
        ("\u{feff} tocsin_a \r\n\r\n", true),
        ("tocsin_a\r\n# of the port\r\n", false),
        ("tocsin_a # of the port", false),
        ("\"tocsin_a\"", false),
        (&printed, false),
        ("\n", false),
    ] {
        std::fs::write(&token, held).unwrap();
        for command in [vec!["submit", alert.to_str().unwrap()], vec!["queue"]] {
            let (well, _, error) = tocsin(&config, &[&command[..], &at].concat());
            let words =
                error.contains(&format!("{} 里应只有令牌本身", token.display())) && error.contains("the token alone");
            let sent = error.contains("does not answer");
            assert!(!well && (words, sent) == (!fits, fits) && !error.contains("builder"), "{held:?}: {error}");
            assert!(!error.contains("tocsin_"), "no secret is shown: {error}");
        }
    }
}

#[test]
fn a_channel_that_is_not_set_up_is_named_with_those_whom_nothing_reaches() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(
        folder.path(),
        "[channels.email.via]\nrelays = [{ host = \"127.0.0.1\", port = 25, tls = \"none\" }]\nfrom = \"t@example.org\"\n\
         domain = \"example.org\"\n",
    );
    let (well, out, error) = tocsin(&config, &["config", "check"]);
    let missing = "not set up: [channels.sms] (telephone numbers), [channels.mqtt] (sirens, signs, programs), [channels.push] (browsers); \
                   whoever has no other address is told nothing";
    assert!(well && out.contains(missing), "{out}{error}");
    let (_, out, _) = tocsin(&config, &["--json", "config", "check"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert!(found["remarks"].as_array().unwrap().contains(&missing.into()), "{out}");
}

#[test]
fn explain_shows_what_would_become_of_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "[messages]\nlink_base = \"https://t.example/a/\"");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cap/qingpu-typhoon-red.xml");
    let (well, out, error) = tocsin(&config, &["explain", file.to_str().unwrap(), "--at", "2022-09-14T12:00:00Z"]);
    assert!(well, "{error}");
    insta::assert_snapshot!(out);
    assert!(!folder.path().join("t.db").exists(), "explaining makes no store");
    let (_, out, _) = tocsin(&config, &["--json", "explain", file.to_str().unwrap(), "--at", "2022-09-16T12:00:00Z"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["decision"]["withheld"], "expired");
    // As a bureau's, what is agreed on with it holds.
    let as_of = |more: &[&str]| {
        let own = ["--json", "explain", file.to_str().unwrap(), "--at", "2022-09-14T12:00:00Z", "--source"];
        let (well, out, error) = tocsin(&config, &[&own[..], more].concat());
        (well, serde_json::from_str::<Value>(&out).unwrap_or_default(), error)
    };
    let (well, told, error) = as_of(&["shanghai"]);
    assert!(well && told["source"] == "shanghai" && told["asked"] == serde_json::json!([]), "{told}{error}");
    let (well, told, _) = as_of(&["zhejiang"]);
    assert!(!well && told["verdict"] == "refused" && told["refusal"]["code"] == "T4004", "{told}");
    let (well, told, _) = as_of(&["nobody"]);
    assert!(!well && told["error"].as_str().unwrap().contains("its bureaus: shanghai, zhejiang"), "{told}");
}

#[test]
fn a_broken_configuration_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "[channels.email]\nrat = 1\n");
    let (well, _, error) = tocsin(&config, &["config", "check"]);
    assert!(!well && error.contains("unknown field `rat`") && error.contains("line "), "{error}");
    let (well, _, error) = tocsin(Path::new("/nowhere.toml"), &["config", "check"]);
    assert!(!well && error.contains("cannot read /nowhere.toml"), "{error}");
    // What a start would refuse is refused here, and not at night.
    for (more, named) in [
        (
            "[[webhook]]\nname = \"metro\"\nurl = \"https://metro.example.org/\"\nsecret_file = \"secrets/missing\"\n",
            "secrets/missing",
        ),
        ("[residents]\ninbound_secret_file = \"secrets/nope\"\n", "secrets/nope"),
    ] {
        let config = write_config(folder.path(), more);
        let (well, _, error) = tocsin(&config, &["config", "check"]);
        assert!(!well && error.contains(named), "{more}: {error}");
    }
    let parsed = tocsin::config::Config::parse("[server]\npublic_url = \"x\"\n", "config.toml");
    assert!(parsed.is_err_and(|error| error.to_string().contains("public_url")));
    for code in ["+86", "", "86 ", "cn", "86138"] {
        let text = format!("[residents.limits]\ncountries = [\"852\", \"{code}\"]\n");
        let error = tocsin::config::Config::parse(&text, "config.toml").unwrap_err().to_string();
        assert!(error.contains("residents.limits: `countries`") && error.contains(&format!("`{code}`")), "{error}");
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let (well, out, _) = tocsin(&shipped, &["config", "check"]);
    assert!(well, "the shipped configuration runs as it is");
    assert!(out.contains("public_url is not set: calls to officers carry no link"), "{out}");
    // What it shows in comments holds too, once the files that it names are there.
    let text = std::fs::read_to_string(&shipped).unwrap();
    let shown: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                .unwrap_or(line)
                .to_owned()
                + "\n"
        })
        .collect();
    let parsed = tocsin::config::Config::parse(&shown, "config.toml with its comments taken in");
    assert!(
        parsed.as_ref().is_ok_and(|config| config.channels.push.is_some() && config.bureaus.len() == 1),
        "{parsed:?}"
    );
}

#[test]
fn whoever_reads_where_nothing_is_is_told_so_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tocsin"));
        let out = command.args(arguments).current_dir(folder.path()).output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
    };
    let reads: [&[&str]; 13] = [
        &["status"],
        &["status", "aaaabbbbccccdddd"],
        &["audit", "verify"],
        &["audit", "export", "record.csv"],
        &["webhooks"],
        &["feeds"],
        &["officers", "list"],
        &["subscribers", "count"],
        &["subscribers", "export", "people.csv"],
        &["organisations", "list"],
        &["organisations", "end", "port"],
        &["devices", "list"],
        &["--json", "status"],
    ];
    for arguments in reads {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("there is no config.toml in this folder, and no store at data/tocsin.db"), "{said}");
        assert!(said.contains("--config"), "what to do: {said}");
    }
    let (code, said) = run(&["config", "check"]);
    assert!(code == Some(1) && said.contains("there is no config.toml in this folder"), "{said}");
    let alert = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cap/qingpu-typhoon-red.xml");
    for command in ["check", "explain"] {
        let (code, said) = run(&[command, "--source", "shanghai", alert.to_str().unwrap()]);
        assert!(
            code == Some(1) && said.contains("there is no config.toml in this folder, so that no bureau"),
            "{said}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");

    // With a configuration, and before the first start.
    let config = write_config(folder.path(), "");
    for arguments in reads {
        let (code, said) = run(arguments);
        assert!(code == Some(1) && said.contains("t.db, which [store] url names: `tocsin serve` makes it"), "{said}");
    }
    let (code, said) = run(&["config", "check"]);
    assert_eq!((code, std::fs::read_dir(folder.path()).unwrap().count()), (Some(0), 1), "{said} {config:?}");

    // Accounts of no store would shut every organisation and device out of the broker.
    write_config(folder.path(), "[channels.mqtt]\nvia = { host = \"127.0.0.1\", port = 1 }\n");
    let (code, said) = run(&["mqtt", "accounts", "--out", "accounts"]);
    assert!(code == Some(1) && said.contains("there is no store at"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "neither a store nor accounts");
}

#[cfg(unix)]
#[test]
fn what_is_exported_is_for_its_owners_eyes_and_a_dash_is_the_screen() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let people = folder.path().join("people.csv");
    std::fs::write(&people, "region,email\n310118,one@example.org\n").unwrap();
    assert!(tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);
    for what in ["subscribers", "audit"] {
        let file = folder.path().join(format!("{what}.csv"));
        let (well, _, error) = tocsin(&config, &[what, "export", file.to_str().unwrap()]);
        assert!(well, "{error}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{what}");
        assert!(!tocsin(&config, &[what, "export", file.to_str().unwrap()]).0, "what is there is not written over");
        let (well, out, error) = tocsin(&config, &[what, "export", "-"]);
        assert!(well && out.lines().count() > 1, "{error}");
        assert!(what == "audit" || out == std::fs::read_to_string(&file).unwrap(), "the same, and nothing else");
    }
}

#[test]
fn whoever_has_read_enough_is_no_fault() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cap");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.arg("check").arg(folder).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut running = command.spawn().unwrap();
    drop(running.stdout.take());
    let done = running.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_and_status_speak_to_people_and_machines() {
    let server = Server::start("");
    let path = |name: &str| server.folder.path().join(name).display().to_string();
    std::fs::write(path("token"), support::TOKEN).unwrap();
    std::fs::write(path("alert.xml"), Cma::new("1").xml()).unwrap();
    let (well, out, error) =
        server.tocsin(&["submit", &path("alert.xml"), "--server", &server.url, "--token-file", &path("token")]);
    assert!(well && out.contains("accepted: released"), "{out}{error}");
    let id = out.split(' ').next().unwrap();
    let (_, out, _) = server.tocsin(&["status"]);
    assert!(out.contains(id) && out.contains("上海中心气象台发布台风黄色预警"), "{out}");
    let (_, out, _) = server.tocsin(&["--json", "status", id]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["alert"]["state"], "released");
    assert!(!server.tocsin(&["status", id]).1.contains("goes to nobody"));
    // Whatever stands still says why, at once and later.
    let submit = ["submit", &path("alert.xml"), "--server", &server.url, "--token-file", &path("token")];
    let red = |status| Cma { status, colour: RED, code: "310120000000".into(), ..Cma::new(status) };
    let nobody = "goes to nobody: 状态为 Test、System 或 Draft，只供机器，不发给公众 / its status is Test";
    for (status, state, at_once, later) in [
        ("Test", "withheld", nobody, nobody),
        ("Actual", "waiting", "", "waits for officers: see `tocsin queue`\n"),
        ("Exercise", "waiting", "", "waits for officers: see `tocsin queue --exercise`\n"),
    ] {
        // An exercise waits where nobody can tell how long it holds.
        let xml = red(status).xml().replace("<expires>", if status == "Exercise" { "<expires>x" } else { "<expires>" });
        std::fs::write(path("alert.xml"), xml).unwrap();
        let (_, out, error) = server.tocsin(&submit);
        assert!(out.contains(&format!(": {state}\n")) && out.contains(at_once), "{status}: {out}{error}");
        let (_, out, _) = server.tocsin(&["status", out.split(' ').next().unwrap()]);
        assert!(out.contains(later), "{status}: {out}");
    }
    // Of a list, each answer says whose it is.
    let list = serde_json::json!([{"identifier": "l1", "msgType": "Alert"}, {"title": 1}]);
    std::fs::write(path("list.json"), list.to_string()).unwrap();
    let (well, out, error) =
        server.tocsin(&["submit", &path("list.json"), "--server", &server.url, "--token-file", &path("token")]);
    let (first, second) =
        out.split_once("[2] 未写标识 / names no identifier\n").unwrap_or_else(|| panic!("{out}{error}"));
    assert!(!well && first.starts_with("[1] l1\nT4001") && second.starts_with("T4001"), "{out}");
    let address = "127.0.0.1:18460";
    let (well, _, error) = server.tocsin(&["submit", &path("alert.xml"), "--server", address]);
    assert!(!well && error.contains("http:// or https://"), "{error}");
    std::fs::write(path("alert.xml"), "<alert/>").unwrap();
    let (well, out, _) =
        server.tocsin(&["submit", &path("alert.xml"), "--server", &server.url, "--token-file", &path("token")]);
    assert!(!well && out.contains("T4001") && out.contains("identifier"), "{out}");
    let (well, _, error) = server.tocsin(&[
        "submit",
        &path("alert.xml"),
        "--server",
        "http://127.0.0.1:1",
        "--token-file",
        &path("token"),
    ]);
    assert!(!well && error.contains("is `tocsin serve` running there?"), "{error}");
    let (well, _, error) = server.tocsin(&["serve"]);
    assert!(!well && error.contains("in use by another running tocsin"), "{error}");
}

//! The whole program, with a gateway that counts.

use std::path::Path;

use super::support::{self, Cma, RED, Server, write_config};
use tocsin_sinks::{Counts, Tally, gateway};

const RULES: &str = r#"
[[approval]]
name = "none"

[[approval]]
name = "one"
stages = ["sign"]
by = "province"
steps = [{ page = "primary", by = ["email"], within = "3m", then = "hold" }]

[[rule]]
name = "all"
when = { status = ["Actual"] }
audience = ["public"]
channels = ["sms"]
priority = 1
approval = "none"
"#;

/// Config of a program that sends everything to everybody by a gateway at this port; `people.csv` holds them.
pub fn short_messages(folder: &Path, port: u16, people: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("password"), "secret").unwrap();
    std::fs::write(path("rules.toml"), RULES).unwrap();
    std::fs::write(path("people.csv"), people).unwrap();
    let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
        .replace("13013", &port.to_string())
        .replace("secrets/kannel-password", &path("password"));
    format!("[rules]\nfile = \"{}\"\n[channels.sms]\n[channels.sms.via]\n{kannel}\n", path("rules.toml"))
}

#[tokio::test(flavor = "multi_thread")]
async fn blue_red_red_again_and_the_end_are_three_short_messages_each() {
    let sms = gateway::start_sms(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let people = "region,phone\n310118,13812345678\n310118,13812345679\n";
    let config = write_config(folder.path(), &short_messages(folder.path(), sms.addr.port(), people));
    let people = folder.path().join("people.csv");
    let (well, _, error) = support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]);
    assert!(well, "{error}");
    let server = Server::start_in(folder);
    let message = |name: &str, msg_type: &'static str, colour, seconds: i64| {
        let plain = Cma::new(name);
        Cma { colour, msg_type, sent: plain.sent - chrono::TimeDelta::seconds(seconds), ..plain }
    };
    let blue = message("blue", "Alert", ("蓝色", "blue", "Minor"), 40);
    let red = message("red", "Update", RED, 30).refers_to(&blue);
    let again = message("again", "Update", RED, 20).refers_to(&red);
    let end = message("end", "Cancel", RED, 10).refers_to(&again);
    let mut last = String::new();
    for (message, sent) in [(&blue, 2), (&red, 4), (&again, 4), (&end, 6)] {
        let (status, answer) = server.post(message.xml()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        last = answer["id"].as_str().unwrap().to_owned();
        let done = |states: &serde_json::Value| {
            states["planned"] == true && states["states"]["waiting"] == 0 && states["states"]["sending"] == 0
        };
        server.until(&last, done).await;
        assert_eq!(sms.tally.counts(), Counts { messages: sent, repeats: 0, faults: 0 }, "{}", message.identifier);
    }
    let chain = server.json(&format!("/api/v1/chains/{last}")).await;
    assert_eq!((chain["head"].as_str(), chain["ended"].as_bool()), (Some(last.as_str()), Some(true)), "{chain}");
    let levels: Vec<_> = chain["levels"].as_array().unwrap().iter().map(|since| since["level"].as_str()).collect();
    assert_eq!(levels, [Some("blue"), Some("red"), None]);
}

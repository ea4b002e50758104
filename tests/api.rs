//! The API's description is true: every path in it is served, and nothing is served that it does not describe.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use serde_json::Value;
use support::{Cma, Server};

#[tokio::test(flavor = "multi_thread")]
async fn every_described_path_is_served_as_described() {
    let server = Server::start("");
    let described = server.json("/api/v1/openapi.json").await;
    assert_eq!(described["openapi"], "3.1.0");
    let (_, answer) = server.post(Cma::new("1").xml()).await;
    let id = answer["id"].as_str().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let id = if path.contains("escalations") { "1" } else { id };
        let filled = path.replace("{id}", id).replace("{token}", "x").replace("{act}", "take");
        let url = format!("{}{filled}", server.url);
        for (method, operation) in methods.as_object().unwrap() {
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            let status = client.request(method.clone(), &url).send().await.unwrap().status().as_u16();
            assert!(operation["responses"].get(status.to_string()).is_some(), "{method} {path} answers {status}");
            assert_eq!(status == 401, !open, "{method} {path} without a token");
        }
        let other = client.delete(&url).send().await.unwrap().status();
        assert_eq!(other, 405, "DELETE {path}");
    }
    let api = include_str!("../src/web/api/mod.rs");
    for route in api.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(described["paths"].get(route).is_some(), "{route} is not described");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_members_that_the_description_requires() {
    let server = Server::start("");
    let described = server.json("/api/v1/openapi.json").await;
    let required = |schema: &str, answer: &Value| {
        for member in described["components"]["schemas"][schema]["required"].as_array().unwrap() {
            assert!(answer.get(member.as_str().unwrap()).is_some(), "{schema} without {member}: {answer}");
        }
    };
    let (_, receipt) = server.post(Cma::new("1").xml()).await;
    required("Receipt", &receipt);
    let path = format!("/api/v1/alerts/{}", receipt["id"].as_str().unwrap());
    required("Alert", &server.json(&path).await);
    required("States", &server.json(&format!("{path}/states")).await);
    let (_, refusal) = server.post("<a/>").await;
    required("Refusal", &refusal);
    required("Finding", &refusal["findings"][0]);
    let (_, problem) = server.post_as("x", "text/xml", "").await;
    required("Problem", &problem);
    // The message itself comes back byte for byte.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let raw =
        client.get(format!("{}{path}", server.url)).bearer_auth(support::TOKEN).header("accept", "application/cap+xml");
    assert_eq!(
        raw.send().await.unwrap().text().await.unwrap(),
        Cma { sent: sent(&server, &path).await, ..Cma::new("1") }.xml()
    );
}

async fn sent(server: &Server, path: &str) -> chrono::DateTime<chrono::FixedOffset> {
    let text = server.json(path).await["sent"].as_str().unwrap().to_owned();
    let beijing = chrono::FixedOffset::east_opt(8 * 3_600).unwrap();
    chrono::DateTime::parse_from_rfc3339(&text).unwrap().with_timezone(&beijing)
}

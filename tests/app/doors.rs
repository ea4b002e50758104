//! What a browser's words can do, and what nobody can do without them.

use reqwest::header::{ALLOW, ORIGIN};
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::stage::Stage;

const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

fn subscription(endpoint: &str) -> String {
    json!({"endpoint": endpoint, "keys": {"p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_acts_nowhere_and_a_word_that_is_not_ours_opens_nothing() {
    let stage = Stage::start().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let old = subscription("https://push.example/a");
    for (path, fields) in [
        ("/app/receipt", vec![("receipt", "1-1-7fffffff-AAAAAAAAAAAAAAAAAAAAAA"), ("what", "shown")]),
        ("/app/subscription", vec![("word", "1-AAAAAAAAAAAAAAAAAAAAAA"), ("old", &old), ("new", &old)]),
        ("/app/alive", vec![("word", "1-AAAAAAAAAAAAAAAAAAAAAA")]),
        ("/app/leave", vec![("word", "1-AAAAAAAAAAAAAAAAAAAAAA")]),
    ] {
        let url = format!("{}{path}", stage.server.url);
        let got = client.get(&url).send().await.unwrap();
        assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(got.headers()[ALLOW], "POST", "{path}");
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        let post = || client.post(&url).header("content-type", kind).body(body.clone());
        assert_eq!(post().send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
        let foreign = post().header(ORIGIN, "https://evil.example").send().await.unwrap();
        assert!(foreign.text().await.unwrap().contains("T6102"), "{path}: another site");
    }
    assert_eq!(stage.rows("acknowledgement").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_leads_into_a_private_network_is_not_signed_up() {
    let stage = Stage::start().await;
    let client = Client::builder().no_proxy().build().unwrap();
    for endpoint in [
        "https://10.0.0.1/a",
        "http://127.0.0.1:9/a",
        "https://push.example:8443/a",
        "https://[::1]/a",
        "ftp://push.example/a",
    ] {
        let subscription = subscription(endpoint);
        let fields =
            [("subscription", subscription.as_str()), ("consent", "2026-1"), ("county", "310118"), ("lang", "zh-CN")];
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let post = client.post(format!("{}/sign-up", stage.server.url));
        let answer = post.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{endpoint}");
        assert!(answer.text().await.unwrap().contains("此浏览器的推送服务不能使用"), "{endpoint}");
    }
    assert_eq!(stage.rows("sign_up").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_is_described_in_two_languages_with_pictures_of_the_right_size() {
    let stage = Stage::start().await;
    for (tag, name) in [("zh-CN", "预警到我家"), ("en", "Warnings for my places")] {
        let answer = stage.server.get(&format!("/manifest.webmanifest?lang={tag}")).await;
        assert_eq!(answer.headers()["content-type"], "application/manifest+json");
        let manifest: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((&manifest["name"], &manifest["lang"]), (&name.into(), &tag.into()));
        for icon in manifest["icons"].as_array().unwrap() {
            let picture = stage.server.get(icon["src"].as_str().unwrap()).await;
            assert_eq!(picture.status(), 200);
            let bytes = picture.bytes().await.unwrap();
            assert!(bytes.len() < 16_000, "{icon}");
            let Some(size) = icon["sizes"].as_str().unwrap().split_once('x').filter(|_| icon["type"] == "image/png")
            else {
                continue;
            };
            let wide = u32::from_be_bytes(bytes[16..20].try_into().unwrap());
            assert_eq!(wide.to_string(), size.0, "{icon}");
        }
    }
}

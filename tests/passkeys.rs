//! Passkeys in a real browser with a virtual authenticator: registered, signed in with, and a proof of presence; and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "sign_in/house.rs"]
mod house;

use std::time::Duration;

use chrono::TimeDelta;
use house::{House, sha256};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tocsin_sinks::real::{Program, free_port, wait_for};

/// Chromium, driven by WebDriver, with an authenticator that says yes.
struct Chromium {
    _driver: Program,
    client: Client,
    session: String,
    authenticator: String,
}

impl Chromium {
    async fn start(house: &House) -> Self {
        let (port, folder) = (free_port().unwrap(), house.folder.path());
        let driver = Program::start("chromedriver", &[&format!("--port={port}")], &folder.join("driver.log")).unwrap();
        wait_for(([127, 0, 0, 1], port).into()).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", &profile];
        let options = json!({"browserName": "chrome", "goog:chromeOptions": {"args": arguments}});
        let base = format!("http://127.0.0.1:{port}/session");
        let mut chromium = Self { _driver: driver, client, session: base, authenticator: String::new() };
        let begun = chromium.ask(Method::POST, "", json!({"capabilities": {"alwaysMatch": options}})).await;
        chromium.session = format!("{}/{}", chromium.session, begun["sessionId"].as_str().unwrap());
        let authenticator = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let id = chromium.ask(Method::POST, "/webauthn/authenticator", authenticator).await;
        chromium.authenticator = format!("/webauthn/authenticator/{}", id.as_str().unwrap());
        chromium
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer["value"].clone()
    }

    async fn go(&self, url: &str) {
        self.ask(Method::POST, "/url", json!({"url": url})).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits for a script to say yes.
    async fn until(&self, script: &str) {
        for _ in 0..2_400 {
            if self.run(script).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.run("return document.location + document.documentElement.outerHTML").await;
        panic!("never: {script}\n{page}");
    }

    /// Tries to sign in with a passkey; the answer that was sent is given back.
    async fn sign_in(&self, house: &House) -> String {
        self.ask(Method::DELETE, "/cookie", json!({})).await;
        self.go(&format!("{}/sign-in?next=/console/duty", house.url)).await;
        self.run(
            "const real = window.fetch; window.fetch = (path, init) => {
               if (path === '/passkeys/signed-in') sessionStorage.setItem('sent', String(init.body));
               return real(path, init);
             };
             sessionStorage.removeItem('sent');
             const button = document.querySelector('[data-passkey=sign-in]');
             const click = () => button.hidden ? setTimeout(click, 20) : button.click();
             click();",
        )
        .await;
        self.until("return sessionStorage.getItem('sent') !== null").await;
        self.run("return sessionStorage.getItem('sent')").await.as_str().unwrap().to_owned()
    }

    async fn is_in(&self) {
        self.until("return document.location.pathname === '/console/duty'").await;
    }

    async fn is_refused(&self) {
        self.until("return !document.querySelector('[data-passkey-error]').hidden").await;
        assert_eq!(self.run("return document.location.pathname").await, "/sign-in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_registers_a_passkey_signs_in_and_proves_presence_with_it() {
    let bureau = |regions: &str| {
        format!("[[bureau]]\nname = \"zhejiang\"\ntoken_sha256 = \"{}\"\nregions = [{regions}]\n", sha256("token"))
    };
    let house = House::start(&bureau("\"330000\"")).await;
    let all: &[(&str, &[&str])] = &[("li", &["administrator:*"]), ("wang", &["administrator:*"])];
    let [li, _] = house.officers(all).await.try_into().ok().unwrap();
    let chromium = Chromium::start(&house).await;
    let press = |kind: &str| {
        format!(
            "const button = document.querySelector('[data-passkey={kind}]');
             const click = () => button.hidden ? setTimeout(click, 20) : button.click(); click();"
        )
    };

    // Registered, in a session that came in by password and code.
    let desk = house.signed_in(&li).await;
    let token = desk.jar.lock().unwrap().values().next().unwrap().clone();
    chromium.go(&format!("{}/sign-in", house.url)).await;
    chromium.ask(Method::POST, "/cookie", json!({"cookie": {"name": "tocsin", "value": token}})).await;
    chromium.go(&format!("{}/console/me", house.url)).await;
    chromium.run("document.querySelector('#passkey [name=name]').value = 'My laptop'").await;
    chromium.run(&press("register")).await;
    chromium.until("return document.body.textContent.includes('My laptop')").await;

    // Signed in with; an answer is good for once.
    let sent = chromium.sign_in(&house).await;
    chromium.is_in().await;
    let fields: Vec<(String, String)> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let again = house.browser().post("/passkeys/signed-in", &fields).await;
    assert_eq!(again.status, 400, "{}", again.body);
    assert!(again.cookies.is_empty());
    // Nor is it an answer to another question.
    let asked = house.browser().post("/passkeys/sign-in", &[]).await;
    let asked: Value = serde_json::from_str(&asked.body).unwrap();
    let swapped = [("ticket", asked["ticket"].as_str().unwrap()), fields[1]];
    assert_eq!(house.browser().post("/passkeys/signed-in", &swapped).await.status, 400);

    // A proof of presence, in place of the code.
    house.write(&bureau("\"330000\", \"310000\""));
    house.app().reload(&house.config()).await.unwrap();
    house.clock.forward(TimeDelta::minutes(6));
    chromium.go(&format!("{}/console/people", house.url)).await;
    chromium.run(&press("prove")).await;
    chromium.until("return document.querySelector('[data-passkey=prove]').disabled").await;
    chromium.run("document.querySelector('form[action*=proposals] [name=agree]').click()").await;
    chromium.until("return document.querySelector('form[action*=proposals]') === null").await;
    assert_eq!(house.app().policy.load().bureaus[0].regions.len(), 2);

    refused(&house, &chromium, &li).await;
}

async fn refused(house: &House, chromium: &Chromium, li: &house::Own) {
    // Another site on the same host asks for our question's answer.
    let other = House::start("").await;
    let asked = house.browser().post("/passkeys/sign-in", &[]).await;
    let asked: Value = serde_json::from_str(&asked.body).unwrap();
    chromium.go(&format!("{}/sign-in", other.url)).await;
    let script = "const done = arguments[1]; import('/assets/passkeys.js').then((m) => m.get(arguments[0])).then((a) => done(JSON.stringify(a)), (e) => done(String(e)))";
    let body = json!({"script": script, "args": [asked["options"]]});
    let answer = chromium.ask(Method::POST, "/execute/async", body).await;
    let answer = answer.as_str().unwrap();
    assert!(answer.contains("signature"), "{answer}");
    let fields = [("ticket", asked["ticket"].as_str().unwrap()), ("answer", answer)];
    let page = house.browser().post("/passkeys/signed-in", &fields).await;
    assert_eq!((page.status, page.cookies.len()), (400, 0), "{}", page.body);

    // A copy of the authenticator, which counts from an earlier time.
    let keys = format!("{}/credentials", chromium.authenticator);
    let mut key = chromium.ask(Method::GET, &keys, json!({})).await[0].clone();
    let count = key["signCount"].as_u64().unwrap();
    assert!(count >= 2, "{key}");
    let put = async |count: u64, key: &mut Value| {
        chromium.ask(Method::DELETE, &keys, json!({})).await;
        key["signCount"] = count.into();
        chromium.ask(Method::POST, &format!("{}/credential", chromium.authenticator), key.clone()).await;
    };
    put(0, &mut key).await;
    chromium.sign_in(house).await;
    chromium.is_refused().await;
    put(count + 10, &mut key).await;
    chromium.sign_in(house).await;
    chromium.is_in().await;

    // A removed one. Its removal takes a proof of presence.
    let desk = house.signed_in(li).await;
    let id = desk.get("/console/me").await.field("id");
    house.clock.forward(TimeDelta::minutes(6));
    assert_eq!(desk.act("/console/me/passkeys/end", &[("id", &id), ("code", "")]).await.status, 403);
    let ended = desk.act("/console/me/passkeys/end", &[("id", &id), ("code", &li.code())]).await;
    assert_eq!(ended.location.as_deref(), Some("/console/me"), "{}", ended.body);
    chromium.sign_in(house).await;
    chromium.is_refused().await;
}

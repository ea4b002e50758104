//! The residents' pages over HTTP, as a browser without scripts and as an attacker see them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod settings;
#[path = "../support/mod.rs"]
mod support;

use reqwest::header::{CONTENT_SECURITY_POLICY, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, redirect};
use sqlx::Row as _;
use support::Server;

const SECRET: &str = "inbound-secret-0123456789";
const PAGE: &str = "https://warn.example.org";

/// A server that could send by SMS and mail if anybody listened: nothing has to arrive for these tests.
struct Site {
    server: Server,
    client: Client,
}

/// What a browser got.
struct Got {
    status: u16,
    location: String,
    cookie: String,
    /// What the browser keeps of the addresses that it has proved.
    mark: String,
    body: String,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("inbound");
        std::fs::write(&secret, SECRET).unwrap();
        let nobody = tocsin_sinks::real::free_port().unwrap();
        let more = format!(
            "[residents]\ninbound_secret_file = \"{}\"\n\n[channels.sms.via]\nmethod = \"POST\"\nurl = \"http://127.0.0.1:{nobody}/sms\"\n\
             body = {{ json = {{ to = \"{{to}}\", text = \"{{text}}\" }} }}\nanswers = [{{ status = \"2xx\", class = \"accepted\" }}]\n\n\
             [channels.email.via]\nrelays = [{{ host = \"127.0.0.1\", port = {nobody}, tls = \"none\" }}]\nfrom = \"w@example.org\"\ndomain = \"w.example.org\"\n",
            secret.display()
        );
        let path = support::write_config(folder.path(), &more);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[server]\n", &format!("[server]\npublic_url = \"{PAGE}\"\n"));
        std::fs::write(&path, text).unwrap();
        let server = Server::start_in(folder);
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { server, client }
    }

    async fn read(answer: Response) -> Got {
        let header = |name| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let (location, cookie) = (header(LOCATION), header(SET_COOKIE));
        assert!(header(CONTENT_SECURITY_POLICY).contains("default-src 'none'"), "every page has its policy");
        let mut cookies = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
        let mark = cookies.find(|cookie| cookie.starts_with("__Host-tocsin_own=")).unwrap_or_default().to_owned();
        // Wherever a page leads to is here.
        assert!(location.is_empty() || (location.starts_with('/') && !location.starts_with("//")), "{location}");
        Got { status: answer.status().as_u16(), location, cookie, mark, body: answer.text().await.unwrap() }
    }

    async fn get(&self, path: &str, cookie: &str) -> Got {
        let request = self.client.get(format!("{}{path}", self.server.url)).header(COOKIE, cookie);
        Self::read(request.send().await.unwrap()).await
    }

    async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Got {
        self.post_with(path, cookie, fields, &[]).await
    }

    async fn post_with(
        &self,
        path: &str,
        cookie: &str,
        fields: &[(&str, &str)],
        headers: &[(reqwest::header::HeaderName, &str)],
    ) -> Got {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self
            .client
            .post(format!("{}{path}", self.server.url))
            .header(COOKIE, cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        Self::read(request.send().await.unwrap()).await
    }

    /// What was said to somebody last.
    async fn said(&self) -> String {
        sqlx::any::install_default_drivers();
        let path = self.server.folder.path().join("t.db").display().to_string();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{path}")).await.unwrap();
        let row = sqlx::query("SELECT content FROM dispatch ORDER BY id DESC LIMIT 1").fetch_one(&pool).await.unwrap();
        let text: String = row.get(0);
        pool.close().await;
        text
    }

    /// How many messages were sent so far.
    async fn messages(&self) -> i64 {
        sqlx::any::install_default_drivers();
        let path = self.server.folder.path().join("t.db").display().to_string();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{path}")).await.unwrap();
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM dispatch";
        let n: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        pool.close().await;
        n
    }

    async fn ask(&self, address: &str) -> Got {
        self.post("/sign-up", "", &form(address)).await
    }

    /// Signs a number up; gives the cookie.
    async fn sign_up(&self, number: &str) -> String {
        self.sign_up_by(&form(number)).await
    }

    /// Types the code that came for a form.
    async fn enter(&self, asked: &Got) -> Got {
        assert_eq!(asked.status, 200, "{}", asked.body);
        let said = self.said().await;
        let at = said.find("验证码").unwrap() + "验证码".len();
        let token = field(&asked.body, "token");
        self.post("/sign-up/code", "", &[("token", &token), ("code", &said[at..at + 6])]).await
    }

    /// Signs a number up by this form; gives the cookie.
    async fn sign_up_by(&self, form: &[(&str, &str)]) -> String {
        let entered = self.enter(&self.post("/sign-up", "", form).await).await;
        assert_eq!((entered.status, entered.location.starts_with("/me")), (303, true), "{}", entered.body);
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Max-Age=1800"] {
            assert!(entered.cookie.contains(part), "{}", entered.cookie);
        }
        entered.cookie.split(';').next().unwrap().to_owned()
    }
}

fn form(address: &str) -> Vec<(&str, &str)> {
    vec![
        ("lang", "zh-CN"),
        ("address", address),
        ("name", "家"),
        ("county", "310118"),
        ("level", "yellow"),
        ("by0", "sms"),
        ("by1", "email"),
        ("language", "zh-CN"),
        ("consent", "2026-1"),
    ]
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    page[at..].split('"').nth(3).unwrap().to_owned()
}

#[tokio::test]
async fn a_person_without_scripts_signs_up_changes_takes_along_and_deletes() {
    let site = Site::start();
    let first = site.get("/sign-up", "").await;
    assert!(first.status == 200 && first.body.contains("青浦区") && !first.body.contains(" style="));
    let me = site.sign_up("13812345678").await;
    let page = site.get("/me", &me).await.body;
    assert!(page.contains("+861********78") && !page.contains("13812345678"), "masked");
    let csrf = field(&page, "csrf");
    let place = page.split("name=\"p").nth(1).unwrap().split('-').next().unwrap().to_owned();
    let (name, level, language) = (format!("p{place}-name"), format!("p{place}-level"), format!("p{place}-language"));
    let changed = site
        .post(
            "/me/places",
            &me,
            &[
                ("csrf", &csrf),
                (&name, "老家"),
                (&level, "red"),
                (&language, "zh-CN"),
                ("new-name", "学校"),
                ("new-county", ""),
                ("new-lat", "31.151"),
                ("new-lon", "121.124"),
            ],
        )
        .await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    let page = site.get("/me?year=1", &me).await.body;
    assert!(
        page.contains("老家") && page.contains("<bdi>学校</bdi> · <bdi lang=\"zh-CN\">青浦区</bdi> · 精确位置"),
        "{page}"
    );
    let all: serde_json::Value =
        serde_json::from_str(&site.post("/me/export", &me, &[("csrf", &csrf)]).await.body).unwrap();
    assert_eq!(all["addresses"][0]["address"], "+8613812345678");
    assert_eq!(
        (&all["places"][0]["wishes"]["lowest"], &all["places"][1]["point"]["lat"]),
        (&"red".into(), &31.151.into())
    );
    assert_eq!(site.post("/me/test", &me, &[("csrf", &csrf)]).await.status, 303);
    let page = site.get("/me", &me).await.body;
    assert!(page.contains("短信 <bdi dir=\"ltr\">+861********78</bdi>: <strong>"), "the test's result is shown");
    assert_eq!(site.post("/me/delete", &me, &[("csrf", &csrf)]).await.status, 422, "not by a slip");
    assert_eq!(site.post("/me/delete", &me, &[("csrf", &csrf), ("sure", "1")]).await.status, 200);
    assert_eq!(site.get("/me", &me).await.location, "/sign-up", "nothing is left to see");
}

#[tokio::test]
async fn a_known_and_an_unknown_address_are_answered_alike() {
    let site = Site::start();
    site.sign_up("13812345678").await;
    let (known, unknown) = (site.ask("13812345678").await, site.ask("13912345678").await);
    let without = |got: &Got| got.body.replace(&field(&got.body, "token"), "TOKEN");
    assert_eq!((known.status, &known.cookie), (unknown.status, &unknown.cookie));
    assert_eq!(without(&known), without(&unknown));
    let (known, unknown) = (site.ask("a@example.org").await, site.ask("b@example.org").await);
    assert_eq!((known.status, known.body), (unknown.status, unknown.body));
    // A wrong code says the same of both.
    let wrong = async |number: &str| {
        let token = field(&site.ask(number).await.body, "token");
        let got = site.post("/sign-up/code", "", &[("token", &token), ("code", "000000")]).await;
        (got.status, got.body.replace(&token, "TOKEN"))
    };
    assert_eq!(wrong("13812345678").await, wrong("13912345678").await);
}

#[tokio::test]
async fn links_carry_our_own_address_whatever_host_is_named_and_following_one_does_nothing() {
    let site = Site::start();
    let asked = site.post_with("/sign-up", "", &form("a@example.org"), &[(HOST, "evil.example")]).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let said = site.said().await;
    assert!(said.contains(&format!("{PAGE}/sign-up/confirm/")) && !said.contains("evil"), "{said}");
    let link = said.split("/sign-up/confirm/").nth(1).unwrap().split("\\n").next().unwrap().to_owned();
    for _ in 0..2 {
        let looked = site.get(&format!("/sign-up/confirm/{link}"), "").await;
        assert_eq!(
            (looked.status, looked.cookie.as_str()),
            (200, ""),
            "a program that looks at mails confirms nothing"
        );
    }
    let confirmed = site.post(&format!("/sign-up/confirm/{link}"), "", &[]).await;
    assert_eq!((confirmed.status, confirmed.location.as_str()), (303, "/me?new=1"));
    assert_eq!(site.post(&format!("/sign-up/confirm/{link}"), "", &[]).await.status, 403, "a replay");
    assert_eq!(site.post("/sign-up/confirm/..%2f..%2fme", "", &[]).await.status, 403);
    for path in ["/sign-up?lang=//evil.example", "/me?next=https://evil.example", "/sign-up?next=//evil.example"] {
        site.get(path, "").await;
    }
}

#[tokio::test]
async fn no_header_and_no_spelling_of_a_path_leads_anybody_elsewhere() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let site = Site::start();
    for (n, header) in ["x-forwarded-host", "x-host", "forwarded", "x-original-url"].into_iter().enumerate() {
        let name = reqwest::header::HeaderName::from_static(header);
        let value = if header == "forwarded" { "host=evil.example;proto=https" } else { "evil.example" };
        let address = format!("a{n}@example.org");
        let asked = site.post_with("/sign-up", "", &form(&address), &[(name, value)]).await;
        assert_eq!(asked.status, 200, "{header}: {}", asked.body);
        let said = site.said().await;
        assert!(said.contains(&format!("{PAGE}/sign-up/confirm/")) && !said.contains("evil"), "{header}: {said}");
    }
    let host = site.server.url.strip_prefix("http://").unwrap();
    // As it stands on the wire: no client tidies it up.
    for (target, location) in [
        ("/me", "/sign-up"),
        ("http://evil.example/me", "/sign-up"),
        ("//evil.example/me", ""),
        ("/\\evil.example/me", ""),
        ("/%2f%2fevil.example", ""),
        ("/me?next=//evil.example", "/sign-up"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let found = answer.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("location: "));
        assert_eq!(found.unwrap_or_default(), location, "{target}: {answer}");
    }
}

#[tokio::test]
async fn another_site_and_a_stale_form_change_nothing() {
    let site = Site::start();
    let me = site.sign_up("13812345678").await;
    let csrf = field(&site.get("/me", &me).await.body, "csrf");
    for path in [
        "/me/delete",
        "/me/places",
        "/me/test",
        "/me/pause",
        "/me/export",
        "/me/address",
        "/me/address/remove",
        "/me/sign-out",
    ] {
        assert_eq!(site.post(path, &me, &[("csrf", "wrong"), ("sure", "1")]).await.status, 403, "{path}");
        let foreign = [(ORIGIN, "https://evil.example")];
        let got = site.post_with(path, &me, &[("csrf", &csrf), ("sure", "1")], &foreign).await;
        assert_eq!(got.status, 403, "{path}");
        assert_eq!(site.post(path, "", &[("csrf", &csrf)]).await.location, "/sign-up", "{path}: nobody");
    }
    assert_eq!(site.get("/me", &me).await.status, 200);
    // Somebody else's address is not theirs to remove.
    let other = site.sign_up("13912345678").await;
    let csrf = field(&site.get("/me", &other).await.body, "csrf");
    assert_eq!(site.post("/me/address/remove", &other, &[("csrf", &csrf), ("id", "1")]).await.status, 403);
}

#[tokio::test]
async fn bad_input_is_refused_in_words_and_kept_in_the_form() {
    let site = Site::start();
    let refused = async |fields: &[(&str, &str)]| {
        let got = site.post("/sign-up", "", fields).await;
        assert_eq!(got.status, 422, "{}", got.body);
        got.body
    };
    let with = |name: &'static str, value: &'static str| {
        let mut fields = form("13812345678");
        fields.retain(|(key, _)| *key != name);
        fields.push((name, value));
        fields
    };
    assert!(refused(&with("address", "12345<script>")).await.contains("请填写手机号"));
    let page = refused(&with("county", "999999")).await;
    assert!(page.contains("请选择所在区县") && page.contains("value=\"13812345678\""), "what was typed is still there");
    assert!(refused(&with("consent", "")).await.contains("请先同意"));
    let english = site.post("/sign-up", "", &[("lang", "en"), ("address", "x")]).await;
    assert!(english.body.contains("write a mobile number"), "{}", english.body);
}

#[tokio::test]
async fn the_first_load_is_small_and_only_these_pages_may_ask_where_they_are() {
    let site = Site::start();
    let mut bytes = 0;
    for path in ["/sign-up", "/assets/portal.css", "/assets/portal.js", "/assets/icon.svg"] {
        let answer = site.client.get(format!("{}{path}", site.server.url)).send().await.unwrap();
        let policy = answer.headers()["permissions-policy"].to_str().unwrap().to_owned();
        assert_eq!(policy.contains("geolocation=(self)"), path == "/sign-up", "{path}: {policy}");
        bytes += answer.bytes().await.unwrap().len();
    }
    assert!(bytes < 100_000, "{bytes} bytes");
}

#[tokio::test]
async fn a_gateway_brings_stop_by_either_form_and_nobody_else_can() {
    let site = Site::start();
    site.sign_up("13812345678").await;
    site.sign_up("13912345678").await;
    let wrong = site.get("/inbound/sms/wrong-secret-0123456789?from=%2B8613812345678&text=STOP", "").await;
    assert_eq!(wrong.status, 404);
    let kannel = format!("/inbound/sms/{SECRET}?from=%2B8613812345678&text=%E9%80%80%E8%AE%A2");
    let first = site.get(&kannel, "").await;
    assert!(first.status == 200 && first.body.contains("已退订"), "{}", first.body);
    assert_eq!(site.get(&kannel, "").await.body, "", "one confirmation");
    let url = format!("{}/inbound/sms/{SECRET}", site.server.url);
    let json = async |text: &str| {
        let body = serde_json::json!({"from": "+8613912345678", "text": text}).to_string();
        let request = site.client.post(&url).header("content-type", "application/json").body(body);
        serde_json::from_slice::<serde_json::Value>(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    };
    assert_eq!(json("hello").await["reply"], serde_json::Value::Null);
    // The way to one's settings, where strangers have used up the codes.
    assert!(site.ask("13912345678").await.body.contains("回复我们的任意短信“登录”"));
    let reply = json("登录").await["reply"].as_str().unwrap().to_owned();
    let path = &reply[reply.find("/sign-up/confirm/").unwrap()..];
    let page = site.get(path, "").await;
    assert!(page.status == 200 && page.body.contains("<h1>我的设置</h1>"), "{}", page.body);
    let entered = site.post(path.split('?').next().unwrap(), "", &[("lang", "zh-CN")]).await;
    assert_eq!((entered.status, entered.mark.is_empty()), (303, false), "this device is known from now on");
    assert!(json("td").await["reply"].as_str().unwrap().contains("Done"));
    assert_eq!(json("td").await["reply"], serde_json::Value::Null);
}

#[tokio::test]
async fn the_link_to_leave_by_speaks_the_language_that_was_asked_for_and_its_secret_is_made_once() {
    let mut site = Site::start();
    site.sign_up("13812345678").await;
    let secret = std::fs::read(site.server.folder.path().join("leave.key")).expect("made where config names none");
    let link = tocsin::delivery::LeaveLinks::new("/leave", &secret).link(1);
    for (tag, asks, done) in [("en", "No more warnings at this address?", "Done:"), ("zh-CN", "不再", "已退订")] {
        let path = format!("{link}?lang={tag}");
        assert!(site.get(&path, "").await.body.contains(asks), "{tag}");
        let left = site.post(&path, "", &[]).await;
        assert!(left.status == 200 && left.body.contains(done), "{tag}: {}", left.body);
    }
    assert!(site.server.stop());
    site.server.run();
    assert_eq!(site.post(&link, "", &[]).await.status, 200, "old links go on working");
}

#[tokio::test]
async fn a_mail_that_nobody_asked_for_can_be_the_last() {
    let site = Site::start();
    site.ask("victim@example.org").await;
    let said = site.said().await;
    let token = said.split("/sign-up/never/").nth(1).unwrap().split('?').next().unwrap().to_owned();
    let path = format!("/sign-up/never/{token}");
    let looked = site.get(&format!("{path}?lang=en"), "").await;
    assert!(looked.status == 200 && looked.body.contains("No more mails to confirm this mailbox?"), "{}", looked.body);
    assert_eq!(site.get("/sign-up/never/x.y", "").await.status, 404);
    let before = site.messages().await;
    site.ask("victim@example.org").await;
    assert_eq!(site.messages().await, before + 1, "looking does nothing");
    let done = site.post(&path, "", &[("lang", "en"), ("never", "1")]).await;
    assert!(done.body.contains("No such mails come to this mailbox."), "{}", done.body);
    assert_eq!(site.ask("victim@example.org").await.status, 200);
    assert_eq!(site.messages().await, before + 1);
}

#[tokio::test]
async fn the_browser_that_proved_an_address_is_let_in_whatever_strangers_asked_for() {
    let site = Site::start();
    let token = field(&site.ask("13812345678").await.body, "token");
    let said = site.said().await;
    let at = said.find("验证码").unwrap() + "验证码".len();
    let entered = site.post("/sign-up/code", "", &[("token", &token), ("code", &said[at..at + 6])]).await;
    assert_eq!(entered.status, 303, "{}", entered.body);
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Max-Age=34560000"] {
        assert!(entered.mark.contains(part), "{}", entered.mark);
    }
    let mark = entered.mark.split(';').next().unwrap();
    for _ in 0..8 {
        assert_eq!(site.ask("13812345678").await.status, 200);
    }
    let before = site.messages().await;
    let strangers = site.ask("13812345678").await;
    assert_eq!(site.messages().await, before, "strangers have used up what it gets unasked");
    let own = site.post("/sign-up", mark, &form("13812345678")).await;
    assert_eq!(site.messages().await, before + 1, "its own browser gets a code");
    let without = |got: &Got| got.body.replace(&field(&got.body, "token"), "TOKEN");
    assert_eq!((own.status, without(&own)), (strangers.status, without(&strangers)), "and nobody sees a difference");
    // With everything else that goes too.
    let me = site.sign_up("13912345678").await;
    let csrf = field(&site.get("/me", &me).await.body, "csrf");
    let gone = site.post("/me/delete", &me, &[("csrf", &csrf), ("sure", "1")]).await;
    assert!(gone.mark.starts_with("__Host-tocsin_own=;") && gone.mark.contains("Max-Age=0"), "{}", gone.mark);
}

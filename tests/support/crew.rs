//! Officers of a running server, with authenticators of their own, in a browser or with a token for programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tocsin::app::{key_file, store_options};
use tocsin::clock::Clock;
use tocsin::config::Config;
use tocsin::messages::Language;
use tocsin::officers::{Grant, OfficerId, SealKey, Totp};
use tocsin::policy::Policy;
use tocsin::staff::{NewOfficer, Staff};
use tocsin::store::{OfficerRow, Store};

use super::Server;

pub const PASSWORD: &str = "钟声在雾里响起，请回家。";

/// So much earlier: whoever accepts an invitation then has all of today's codes left.
struct Earlier(TimeDelta);

impl Clock for Earlier {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() - self.0
    }
}

/// The officers of a server's store.
pub struct Crew {
    pub store: Store,
    pub staff: Staff,
    /// As `staff`, two days ago.
    pub long_ago: Staff,
    pub root: Officer,
    proposals: AtomicI64,
}

/// An officer with password and authenticator.
pub struct Officer {
    pub row: OfficerRow,
    totp: Totp,
    last: AtomicI64,
}

impl Crew {
    /// Opens the server's own store beside it. There is one administrator, `root`.
    pub async fn of(server: &Server) -> Self {
        Self::open(&server.config()).await
    }

    /// Opens the store of a configuration.
    pub async fn open(config: &std::path::Path) -> Self {
        let config = Config::load(config).unwrap();
        let store = Store::open(&store_options(&config)).await.unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&config).unwrap()));
        let key = SealKey::of_file(&key_file(&config)).unwrap();
        let staff = |ago| Staff::new(store.clone(), Arc::clone(&policy), Arc::new(Earlier(ago)), key.clone());
        let (staff, long_ago) = (staff(TimeDelta::hours(1)), staff(TimeDelta::days(2)));
        let root = join(&staff, &store, "root", &["administrator:*"]).await;
        Self { store, staff, long_ago, root, proposals: AtomicI64::new(0) }
    }

    /// An officer who may do this: `signer:310000`.
    pub async fn officer(&self, login: &str, grants: &[&str]) -> Officer {
        join(&self.staff, &self.store, login, grants).await
    }

    /// A token for programs that an administrator has agreed to.
    pub async fn token(&self, officer: &Officer, scopes: &[&str], days: u16) -> String {
        self.token_by(&self.staff, officer, scopes, days).await
    }

    pub async fn token_by(&self, staff: &Staff, officer: &Officer, scopes: &[&str], days: u16) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let token = staff.propose_token(&officer.row, "desk", &scopes, days).await.unwrap();
        staff.decide(self.next_proposal(), true, &self.root.row).await.unwrap();
        token
    }

    /// The number of the newest proposal, counted as they are made.
    pub fn next_proposal(&self) -> i64 {
        self.proposals.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn join(staff: &Staff, store: &Store, login: &str, grants: &[&str]) -> Officer {
    let new = NewOfficer {
        login: login.parse().unwrap(),
        name: format!("{login}·名"),
        language: Language::English,
        grants: grants.iter().map(|grant| Grant::parse(grant).unwrap()).collect(),
    };
    let token = staff.invite(&new, None).await.unwrap();
    let (_, totp, sealed) = staff.invited(&token).await.unwrap();
    staff.accept(&token, &sealed, PASSWORD.into(), &totp.code(Utc::now() - TimeDelta::hours(1))).await.unwrap();
    let row = store.officer_by_login(&new.login).await.unwrap().unwrap();
    Officer { row, totp, last: AtomicI64::new(0) }
}

impl Officer {
    pub fn id(&self) -> OfficerId {
        self.row.id
    }

    /// A code that was not used yet; three of each half minute's neighbourhood are good, then it waits for the next.
    pub async fn code(&self) -> String {
        loop {
            let now = Utc::now().timestamp() / 30;
            let step = (self.last.load(Ordering::SeqCst) + 1).max(now - 1);
            // The earliest one may be gone before it arrives.
            let step = if step == now - 1 && Utc::now().timestamp() % 30 > 15 { now } else { step };
            if step <= now + 1 {
                self.last.store(step, Ordering::SeqCst);
                return self.totp.code(DateTime::from_timestamp(step * 30, 0).unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Signs in with a browser.
    pub async fn browser(&self, server: &Server) -> Browser {
        let mut browser = Browser::new(server);
        let login = self.row.login.as_str();
        let form = [("login", login), ("password", PASSWORD), ("code", &self.code().await)];
        let answer = browser.send(Method::POST, "/sign-in", &form, &[]).await;
        assert_eq!(answer.status(), 303, "{login} signs in: {}", answer.text().await.unwrap());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        let (_, page) = browser.get("/console/me").await;
        browser.csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        browser
    }
}

/// A browser: a cookie, and the token that forms carry.
#[derive(Clone)]
pub struct Browser {
    pub url: String,
    pub cookie: String,
    pub csrf: String,
    client: Client,
}

impl Browser {
    pub fn new(server: &Server) -> Self {
        let client = Client::builder().no_proxy().redirect(Redirects::none()).build().unwrap();
        Self { url: server.url.clone(), cookie: String::new(), csrf: String::new(), client }
    }

    /// The same browser with another cookie.
    pub fn with_cookie(&self, cookie: &str) -> Self {
        Self { cookie: cookie.to_owned(), ..self.clone() }
    }

    pub async fn send(&self, method: Method, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !form.is_empty() {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        request.send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(Method::GET, path, &[], &[]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Posts a form of our own pages.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let form = [&[("csrf", self.csrf.as_str())], form].concat();
        let answer = self.send(Method::POST, path, &form, &[("sec-fetch-site", "same-origin")]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks the API with a token for programs.
    pub async fn api(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1/{path}", self.url);
        let request = match body {
            Value::Null => self.client.get(url),
            body => self.client.post(url).header("content-type", "application/json").body(body.to_string()),
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }
}

//! The program with its console on a store and a clock of its own, officers, and browsers that keep cookies.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use tocsin::app::App;
use tocsin::clock::Clock;
use tocsin::config::{Config, ServerConfig};
use tocsin::messages::Language;
use tocsin::officers::{Grant, Totp};
use tocsin::staff::NewOfficer;
use tokio_util::sync::CancellationToken;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct Hand(Arc<Mutex<DateTime<Utc>>>);

impl Hand {
    pub fn now() -> Self {
        Self(Arc::new(Mutex::new(Utc::now())))
    }

    pub fn forward(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// An officer's own things.
pub struct Own {
    pub login: &'static str,
    pub password: String,
    totp: Totp,
    clock: Hand,
}

impl Own {
    /// A code that was not used; the clock goes on for it.
    pub fn code(&self) -> String {
        self.clock.forward(TimeDelta::seconds(30));
        self.totp.code(self.clock.now())
    }
}

pub struct House {
    pub folder: tempfile::TempDir,
    pub app: Option<Arc<App>>,
    pub clock: Hand,
    pub port: u16,
    pub url: String,
    stop: CancellationToken,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl House {
    /// Starts with a configuration; `{folder}` and `{port}` in it are filled in. The server's part is added.
    pub async fn start(config: &str) -> Self {
        Self::start_with(config, |_| {}).await
    }

    /// Starts in a folder that is made ready first.
    pub async fn start_with(config: &str, ready: impl FnOnce(&Path)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, port) = (tempfile::tempdir().unwrap(), tocsin_sinks::real::free_port().unwrap());
        let mut house = Self {
            folder,
            app: None,
            clock: Hand::now(),
            port,
            url: format!("http://localhost:{port}"),
            stop: CancellationToken::new(),
            serving: None,
        };
        ready(house.folder.path());
        house.write(config);
        house.run().await;
        house
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Writes the configuration; nobody reads it yet.
    pub fn write(&self, config: &str) {
        let server = if config.contains("[server]") {
            String::new()
        } else {
            format!("[server]\npublic_url = \"{}\"\n", self.url)
        };
        let folder = self.folder.path().display().to_string();
        let config = config.replace("{folder}", &folder).replace("{port}", &self.port.to_string());
        let text = format!("[store]\nurl = \"sqlite://{folder}/t.db\"\n\n{server}\n{config}\n");
        std::fs::write(self.config(), text).unwrap();
    }

    pub async fn run(&mut self) {
        let config = Config::load(&self.config()).unwrap();
        let app = Arc::new(App::start(&config, Arc::new(self.clock.clone())).await.unwrap());
        self.stop = CancellationToken::new();
        let (ready, listening) = tokio::sync::oneshot::channel();
        let (served, stop) = (Arc::clone(&app), self.stop.clone());
        let server = ServerConfig { listen: ([127, 0, 0, 1], self.port).into(), ..config.server.clone() };
        self.serving = Some(tokio::spawn(async move {
            tocsin::web::serve(served, &server, stop, |_| ready.send(()).unwrap()).await.unwrap();
        }));
        listening.await.unwrap();
        self.app = Some(app);
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Stops the program, and reads the configuration again at the next `run`.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        self.serving.take().unwrap().await.unwrap();
        let mut app = self.app.take().unwrap();
        // The last answers are on their way out of the server's tasks.
        let app = loop {
            match Arc::try_unwrap(app) {
                Ok(app) => break app,
                Err(shared) => app = shared,
            }
            tokio::task::yield_now().await;
        };
        app.stop().await;
    }

    /// Officers with their roles, all of them signed up.
    pub async fn officers(&self, all: &[(&'static str, &[&str])]) -> Vec<Own> {
        let staff = &self.app().staff;
        let mut links = Vec::new();
        for (login, grants) in all {
            let new = NewOfficer {
                login: login.parse().unwrap(),
                name: (*login).to_uppercase(),
                language: Language::English,
                grants: grants.iter().map(|grant| Grant::parse(grant).unwrap()).collect(),
            };
            links.push((*login, staff.invite(&new, None).await.unwrap()));
        }
        let mut own = Vec::new();
        for (login, link) in links {
            let (_, totp, sealed) = staff.invited(&link).await.unwrap();
            let password = format!("the bells of {} ring", login.len() * 7_919);
            staff.accept(&link, &sealed, password.clone(), &totp.code(self.clock.now())).await.unwrap();
            own.push(Own { login, password, totp, clock: self.clock.clone() });
        }
        own
    }

    pub fn browser(&self) -> Browser {
        Browser::at(&self.url)
    }

    /// A browser in which an officer is signed in.
    pub async fn signed_in(&self, own: &Own) -> Browser {
        let browser = self.browser();
        let code = own.code();
        let fields = [("login", own.login), ("password", &own.password), ("code", &code)];
        let page = browser.post("/sign-in", &fields).await;
        assert_eq!(page.location.as_deref(), Some("/console"), "{}", page.body);
        browser
    }
}

/// What came back; redirects are not followed.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    pub cookies: Vec<String>,
    pub body: String,
}

impl Page {
    /// The value of a field of the page's first form that has it.
    pub fn field(&self, name: &str) -> String {
        let from = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&from).unwrap_or_else(|| panic!("no {name} in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// Keeps cookies, by host and port.
pub struct Browser {
    base: String,
    client: reqwest::Client,
    pub jar: Mutex<BTreeMap<(String, String), String>>,
}

impl Browser {
    pub fn at(base: &str) -> Self {
        let policy = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
        Self { base: base.to_owned(), client, jar: Mutex::default() }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(reqwest::Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(reqwest::Method::POST, path, Some(body)).await
    }

    /// Posts with the session's own token.
    pub async fn act(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.get("/console/me").await.field("csrf");
        self.post(path, &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Option<String>) -> Page {
        let url: reqwest::Url =
            if path.contains("://") { path.into() } else { format!("{}{path}", self.base) }.parse().unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mine = self.jar.lock().unwrap().clone();
        let mine = mine.iter().filter(|((of, _), _)| *of == host).map(|((_, name), value)| format!("{name}={value}"));
        let mut request = self.client.request(method, url).header("cookie", mine.collect::<Vec<_>>().join("; "));
        if let Some(body) = body {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, location) = (response.status().as_u16(), header("location"));
        let set = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<String> = set.map(|value| value.to_str().unwrap().to_owned()).collect();
        for cookie in &cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            if value.is_empty() {
                self.jar.lock().unwrap().remove(&key)
            } else {
                self.jar.lock().unwrap().insert(key, value.to_owned())
            };
        }
        Page { status, location, cookies, body: response.text().await.unwrap() }
    }
}

/// SHA-256 of a token, as the configuration holds it.
pub fn sha256(text: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Changes the store behind the program's back.
pub async fn tamper(folder: &Path, sql: &'static str) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}/t.db", folder.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    assert_eq!(sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

//! A real browser, driven by WebDriver: as much of the protocol as the journeys need.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What a page has, to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// How a browser is started.
#[derive(Clone, Copy)]
pub struct Look {
    pub size: (u32, u32),
    pub script: bool,
    pub language: &'static str,
}

pub const DESKTOP: Look = Look { size: (1_280, 900), script: true, language: "zh-CN" };

/// Hands on a keyboard, as every protocol of browsers wants them.
pub fn hands(keys: &str) -> Value {
    let press = |key: String| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
    let actions: Vec<_> = keys.chars().map(String::from).flat_map(press).collect();
    json!({"type": "key", "id": "keys", "actions": actions})
}

/// Keeps a picture that a browser gave in base64, the next one of its journey.
pub fn keep(journey: &str, shots: &AtomicU32, name: &str, picture: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots").join(env!("CARGO_CRATE_NAME"));
    std::fs::create_dir_all(&folder).unwrap();
    let n = shots.fetch_add(1, Ordering::Relaxed) + 1;
    let path = folder.join(format!("{journey}-{n:02}-{name}.png"));
    std::fs::write(&path, base64::engine::general_purpose::STANDARD.decode(picture).unwrap()).unwrap();
}

/// A browser with a fresh profile; it ends with the test.
pub struct Browser {
    client: reqwest::Client,
    session: String,
    base: String,
    pid: Option<u64>,
    driver: Child,
    journey: &'static str,
    shots: AtomicU32,
    /// Errors on the console that a step of the test causes on purpose, as parts of their text.
    forgiven: Vec<&'static str>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a browser before the pages of `base`; screenshots are named after the journey.
    pub async fn open(base: &str, journey: &'static str, look: Look) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().unwrap();
        let port = tocsin_sinks::real::free_port().unwrap();
        let driver = Command::new("chromedriver")
            .args([&format!("--port={port}"), "--log-level=OFF"])
            .env("HOME", profile.path())
            .env("LANGUAGE", look.language)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (`cargo xtask test` installs chromium-driver)");
        tocsin_sinks::real::wait_for(([127, 0, 0, 1], port).into()).unwrap();
        // A connection that the driver closes while it is idle is not used again.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        let (width, height) = look.size;
        arguments.push(format!("--window-size={width},{height}"));
        arguments.push(format!("--accept-lang={}", look.language));
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let prefs =
            if look.script { json!({}) } else { json!({"profile.managed_default_content_settings.javascript": 2}) };
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments, "prefs": prefs},
        }}});
        let mut browser = Self {
            client,
            session: format!("http://127.0.0.1:{port}/session"),
            base: base.to_owned(),
            pid: None,
            driver,
            journey,
            shots: AtomicU32::new(0),
            forgiven: Vec::new(),
            _profile: profile,
        };
        let made = browser.post("", &wanted).await.expect("chromium starts (`cargo xtask test` installs it)");
        browser.pid = made["capabilities"]["goog:processID"].as_u64();
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().unwrap());
        // Pages are as wide as asked, whatever the window's own frame takes, and below a window's least width too.
        browser.resize(look.size).await;
        browser
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.post(format!("{}{path}", self.session)).body(body.to_string());
        Self::answer(request).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
        let response = request.send().await.map_err(|e| e.to_string())?;
        let well = response.status().is_success();
        let text = response.text().await.map_err(|e| e.to_string())?;
        let value = serde_json::from_str::<Value>(&text).unwrap_or_default()["value"].take();
        if well { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
    }

    /// A command of Chromium's own protocol.
    pub async fn cdp(&self, command: &str, params: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params})).await.unwrap()
    }

    pub async fn resize(&self, (width, height): (u32, u32)) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub async fn dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.cdp("Emulation.setEmulatedMedia", json!({"media": "", "features": features})).await;
    }

    /// Asks for everything anew from here on, also for what may be kept for a while.
    pub async fn keep_nothing(&self) {
        self.cdp("Network.enable", json!({})).await;
        self.cdp("Network.setCacheDisabled", json!({"cacheDisabled": true})).await;
    }

    /// Signed in with this session.
    pub async fn enter(&self, token: &str) {
        let cookie = json!({"name": "tocsin", "value": token, "url": self.base, "httpOnly": true, "sameSite": "Lax"});
        self.cdp("Network.setCookie", cookie).await;
    }

    /// Goes to a path of the server, or to a whole address.
    pub async fn goto(&self, path: &str) {
        let url = if path.contains("://") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.post("/url", &json!({"url": url})).await.unwrap();
    }

    /// The path, query and fragment of where it is.
    pub async fn place(&self) -> String {
        let url = Self::answer(self.client.get(format!("{}/url", self.session))).await.unwrap();
        url.as_str().unwrap().trim_start_matches(&self.base).to_owned()
    }

    pub async fn title(&self) -> String {
        let title = Self::answer(self.client.get(format!("{}/title", self.session))).await.unwrap();
        title.as_str().unwrap().to_owned()
    }

    /// What a function body gives in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
            .await
            .unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    async fn try_all(&self, css: &str) -> Vec<String> {
        let found = self.post("/elements", &json!({"using": "css selector", "value": css})).await.unwrap_or_default();
        let ids = found.as_array().cloned().unwrap_or_default();
        ids.iter().map(|element| element[ELEMENT].as_str().unwrap().to_owned()).collect()
    }

    /// Whether there is such an element now.
    pub async fn has(&self, css: &str) -> bool {
        self.count(css).await > 0
    }

    /// How many there are now.
    pub async fn count(&self, css: &str) -> usize {
        let counted = self.whole(&format!("document.querySelectorAll({}).length", json!(css))).await;
        usize::try_from(counted.as_u64().unwrap()).unwrap()
    }

    /// What is so now of the whole page; one that renews itself just then is asked when it is whole again.
    async fn whole(&self, what: &str) -> Value {
        let script = format!("return document.readyState === 'complete' ? {what} : null");
        let until = Instant::now() + PATIENCE;
        loop {
            match self.post("/execute/sync", &json!({"script": script, "args": []})).await {
                Ok(answer) if !answer.is_null() => return answer,
                answer => assert!(Instant::now() < until, "no whole page to tell {what}: {answer:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first such element, as soon as there is one.
    pub async fn find(&self, css: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.try_all(css).await.into_iter().next() {
                return found;
            }
            if Instant::now() > until {
                panic!("no {css} at {}: {}", self.place().await, self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until something about the page holds.
    pub async fn until(&self, what: &str, script: &str) {
        let until = Instant::now() + PATIENCE;
        // A page on its way to the next one cannot answer.
        while self.post("/execute/sync", &json!({"script": script, "args": []})).await != Ok(json!(true)) {
            if Instant::now() > until {
                self.shot("never").await;
                panic!("never: {what}, at {}: {}", self.place().await, self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The visible text of the first such element that is there now.
    pub async fn text(&self, css: &str) -> String {
        let text = self.whole(&format!("document.querySelector({})?.innerText ?? ''", json!(css))).await;
        text.as_str().unwrap().to_owned()
    }

    /// Does something to the first such element; what the page replaces meanwhile is looked up again.
    async fn act(&self, css: &str, what: &str, body: Value) {
        let until = Instant::now() + PATIENCE;
        loop {
            let id = self.find(css).await;
            match self.post(&format!("/element/{id}/{what}"), &body).await {
                Ok(_) => return,
                Err(error) if error.contains("stale element") && Instant::now() < until => {}
                Err(error) => panic!("{what} {css} at {}: {error}", self.place().await),
            }
        }
    }

    pub async fn click(&self, css: &str) {
        self.act(css, "click", json!({})).await;
    }

    /// Clicks what leads to another page, and waits until that is there.
    pub async fn follow(&self, css: &str) {
        self.run("window.stillHere = true").await;
        self.click(css).await;
        self.until("another page", "return !window.stillHere && document.readyState === 'complete'").await;
    }

    /// Opens a `details` that is shut.
    pub async fn unfold(&self, css: &str) {
        self.find(css).await;
        self.run(&format!("document.querySelector({}).open = true", json!(css))).await;
    }

    /// Types into an empty field.
    pub async fn fill(&self, css: &str, text: &str) {
        self.act(css, "clear", json!({})).await;
        self.act(css, "value", json!({"text": text})).await;
    }

    /// Sets a field that typing cannot (a date, a list), as a person's choice would.
    pub async fn set(&self, css: &str, value: &str) {
        self.find(css).await;
        let (css, value) = (json!(css), json!(value));
        let script = format!(
            "const f = document.querySelector({css}); f.value = {value}; \
             f.dispatchEvent(new Event('input', {{bubbles: true}})); f.dispatchEvent(new Event('change', {{bubbles: true}}));"
        );
        self.run(&script).await;
    }

    /// Chooses a file, as the browser's own dialogue would.
    pub async fn choose(&self, css: &str, file: &Path) {
        self.find(css).await;
        let expression = format!("document.querySelector({})", json!(css));
        let found = self.cdp("Runtime.evaluate", json!({"expression": expression})).await;
        let params = json!({"files": [file], "objectId": found["result"]["objectId"]});
        self.cdp("DOM.setFileInputFiles", params).await;
    }

    /// Runs a script in every page before its own.
    pub async fn prepare(&self, script: &str) {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// The tab that it is in.
    pub async fn tab(&self) -> String {
        let handle = Self::answer(self.client.get(format!("{}/window", self.session))).await.unwrap();
        handle.as_str().unwrap().to_owned()
    }

    /// Opens another tab before this one, which is hidden then.
    pub async fn cover(&self) {
        let made = self.post("/window/new", &json!({"type": "tab"})).await.unwrap();
        self.turn_to(made["handle"].as_str().unwrap()).await;
        self.cdp("Page.bringToFront", json!({})).await;
    }

    /// Goes on in another tab, wherever it stands.
    pub async fn turn_to(&self, tab: &str) {
        self.post("/window", &json!({"handle": tab})).await.unwrap();
    }

    /// Keys for whatever has the focus.
    pub async fn press(&self, keys: &str) {
        self.post("/actions", &json!({"actions": [hands(keys)]})).await.unwrap();
    }

    /// A click at a point of the first such element, from its middle.
    pub async fn click_at(&self, css: &str, (x, y): (i32, i32)) {
        let element = self.find(css).await;
        self.run(&format!("document.querySelector({}).scrollIntoView({{block: 'center'}})", json!(css))).await;
        let origin = json!({ELEMENT: element});
        let actions = json!([
            {"type": "pointerMove", "origin": origin, "x": x, "y": y, "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let source =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.post("/actions", &json!({"actions": [source]})).await.unwrap();
    }

    /// Keeps a picture of the whole page. Now and then the browser gives none on a busy machine: the journey goes on without.
    pub async fn shot(&self, name: &str) {
        let size = self.cdp("Page.getLayoutMetrics", json!({})).await;
        let (content, window) = (&size["cssContentSize"], &size["cssLayoutViewport"]);
        let tall = content["height"].as_f64().unwrap().max(window["clientHeight"].as_f64().unwrap()).min(6_000.0);
        let clip = json!({"x": 0, "y": 0, "width": window["clientWidth"], "height": tall, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let command = json!({"cmd": "Page.captureScreenshot", "params": params});
        match self.post("/goog/cdp/execute", &command).await {
            Ok(picture) => keep(self.journey, &self.shots, name, picture["data"].as_str().unwrap()),
            Err(error) => eprintln!("no picture {name}: {error}"),
        }
    }

    /// An error on the console that is caused on purpose from here on.
    pub fn forgive(&mut self, part: &'static str) {
        self.forgiven.push(part);
    }

    /// Everything on the console since last asked that is an error and was not caused on purpose.
    pub async fn console_errors(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({"type": "browser"})).await.unwrap();
        let lines = lines.as_array().cloned().unwrap_or_default();
        let bad = |line: &&Value| matches!(line["level"].as_str(), Some("SEVERE" | "WARNING"));
        let texts = lines.iter().filter(bad).map(|line| line["message"].as_str().unwrap_or_default().to_owned());
        texts.filter(|text| !self.forgiven.iter().any(|part| text.contains(part))).collect()
    }

    /// No script failed, nothing was refused by the page's own policy, nothing was missing.
    pub async fn assert_quiet(&self) {
        let errors = self.console_errors().await;
        assert!(errors.is_empty(), "{}: {errors:#?}", self.journey);
    }

    /// The page is no wider than the window.
    pub async fn assert_fits(&self) {
        let wide = self
            .run(
                "const w = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= w) return []; \
                 return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1 && \
                 !e.closest('.scroll, .map')).slice(0, 5).map(e => e.outerHTML.slice(0, 120))",
            )
            .await;
        assert_eq!(wide, json!([]), "wider than the window: {}", self.place().await);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // The browser outlives its driver otherwise.
            let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

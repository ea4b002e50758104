//! Debian's Firefox, headless, driven over WebDriver BiDi: as much of the protocol as the journeys need. Its profile outlives it, so that
//! a test can close the browser and open it again.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::browser::{hands, keep};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a page or a push has, to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A profile that knows our own push service and asks nobody else for anything.
pub struct Profile {
    folder: tempfile::TempDir,
}

impl Profile {
    pub fn new(push_service: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let off = [
            "app.normandy.enabled",
            "app.update.enabled",
            "browser.aboutwelcome.enabled",
            "browser.discovery.enabled",
            "browser.safebrowsing.downloads.enabled",
            "browser.safebrowsing.malware.enabled",
            "browser.safebrowsing.phishing.enabled",
            "browser.shell.checkDefaultBrowser",
            "browser.newtabpage.enabled",
            "datareporting.healthreport.uploadEnabled",
            "datareporting.policy.dataSubmissionEnabled",
            "extensions.getAddons.cache.enabled",
            "extensions.update.enabled",
            "network.captive-portal-service.enabled",
            "network.connectivity-service.enabled",
            // These switch pushes off.
            "remote.prefs.recommended",
            // No desktop is here to show notifications: the browser draws them itself.
            "alerts.useSystemBackend",
            "signon.autofillForms",
            "toolkit.telemetry.enabled",
        ];
        let mut prefs: Vec<(String, Value)> = off.iter().map(|name| ((*name).to_owned(), json!(false))).collect();
        for (name, value) in [
            ("browser.startup.homepage", json!("about:blank")),
            ("browser.startup.page", json!(0)),
            ("dom.push.enabled", json!(true)),
            ("dom.push.connection.enabled", json!(true)),
            ("dom.push.serverURL", json!(push_service)),
            ("dom.push.testing.allowInsecureServerURL", json!(true)),
            ("dom.push.retryBaseInterval", json!(200)),
            // Buttons of notifications, which other browsers have long had.
            ("dom.webnotifications.actions.enabled", json!(true)),
            ("permissions.default.desktop-notification", json!(1)),
            ("intl.accept_languages", json!("zh-CN,zh")),
            ("services.settings.server", json!("data:,")),
        ] {
            prefs.push((name.to_owned(), value));
        }
        let lines: String =
            prefs.iter().map(|(name, value)| format!("user_pref({}, {value});\n", json!(name))).collect();
        std::fs::write(folder.path().join("user.js"), lines).unwrap();
        Self { folder }
    }
}

/// A running browser with one page.
pub struct Firefox {
    socket: Mutex<Socket>,
    context: String,
    child: Child,
    journey: &'static str,
    shots: AtomicU32,
    next: AtomicU32,
    base: String,
}

impl Firefox {
    /// Opens a profile before the pages of `base`; screenshots are named after the journey.
    pub async fn open(profile: &Profile, base: &str, journey: &'static str) -> Self {
        let port = tocsin_sinks::real::free_port().unwrap();
        let home = profile.folder.path();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("stderr")).unwrap();
        let child = Command::new("firefox-esr")
            .args(["--headless", "--no-remote", "--new-instance", "--width", "900", "--height", "1000"])
            .args(["--remote-allow-system-access", "--remote-debugging-port", &port.to_string(), "--profile"])
            .arg(home)
            .env("HOME", home)
            .env("MOZ_DISABLE_CONTENT_SANDBOX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Firefox is installed (`cargo xtask test` installs firefox-esr)");
        tocsin_sinks::real::wait_for(([127, 0, 0, 1], port).into()).unwrap();
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}/session")).await.unwrap();
        let mut firefox = Self {
            socket: Mutex::new(socket),
            context: String::new(),
            child,
            journey,
            shots: AtomicU32::new(0),
            next: AtomicU32::new(0),
            base: base.to_owned(),
        };
        firefox.ask("session.new", json!({"capabilities": {}})).await.unwrap();
        let tree = firefox.ask("browsingContext.getTree", json!({})).await.unwrap();
        firefox.context = tree["contexts"][0]["context"].as_str().unwrap().to_owned();
        firefox
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut socket = self.socket.lock().await;
        let frame = json!({"id": id, "method": method, "params": params}).to_string();
        socket.send(Message::Text(frame.into())).await.map_err(|e| e.to_string())?;
        let answer = async {
            while let Some(said) = socket.next().await {
                let Ok(Message::Text(said)) = said else { continue };
                let said: Value = serde_json::from_str(&said).unwrap_or_default();
                if said["id"] == id {
                    return match said["type"].as_str() {
                        Some("success") => Ok(said["result"].clone()),
                        _ => Err(format!("{method}: {} {}", said["error"], said["message"])),
                    };
                }
            }
            Err(format!("{method}: Firefox hung up"))
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| format!("{method}: no answer"))?
    }

    /// Goes to a path of the server.
    pub async fn goto(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.ask("browsingContext.navigate", json!({"context": self.context, "url": url, "wait": "complete"}))
            .await
            .unwrap();
    }

    async fn try_run(&self, body: &str) -> Result<Value, String> {
        let expression = format!("(async () => JSON.stringify((await (async () => {{ {body} }})()) ?? null))()");
        let target = json!({"context": self.context});
        let params = json!({"expression": expression, "target": target, "awaitPromise": true, "userActivation": true});
        let found = self.ask("script.evaluate", params).await?;
        match found["result"]["value"].as_str() {
            Some(text) => Ok(serde_json::from_str(text).unwrap_or_default()),
            None => Err(format!("{body}: {}", found["exceptionDetails"]["text"])),
        }
    }

    /// What an asynchronous function's body gives in the page.
    pub async fn run(&self, body: &str) -> Value {
        self.try_run(body).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// Waits until what a body gives is as wanted; gives it.
    pub async fn until(&self, what: &str, body: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            // A page on its way to the next one cannot answer.
            let found = self.try_run(body).await;
            match &found {
                Ok(value) if wanted(value) => return found.unwrap_or_default(),
                _ if Instant::now() > until => {
                    self.shot("never").await;
                    let page = self.try_run("return location.href + ': ' + document.body.innerText").await;
                    panic!("{}: never: {what}: {found:?}, at {page:?}", self.journey);
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Clicks the first such element as soon as it is there and visible.
    pub async fn click(&self, css: &str) {
        let css = json!(css);
        let body = format!(
            "const it = document.querySelector({css}); if (!it?.checkVisibility() || it.disabled) return false; it.click(); return true;"
        );
        self.until(&format!("{css} to click"), &body, |done| *done == json!(true)).await;
    }

    /// Clicks what leads to another page, and waits until that is there.
    pub async fn follow(&self, css: &str) {
        self.run("window.stillHere = true").await;
        self.click(css).await;
        let there = "return !window.stillHere && document.readyState === 'complete'";
        self.until("another page", there, |there| *there == json!(true)).await;
    }

    /// Sets a field of a form.
    pub async fn set(&self, css: &str, value: &str) {
        let (css, value) = (json!(css), json!(value));
        let set = format!(
            "const f = document.querySelector({css}); if (!f) return false; if (f.type === 'checkbox') f.checked = true; else f.value = {value}; return true"
        );
        self.until(&format!("{css} to set"), &set, |done| *done == json!(true)).await;
    }

    /// Keys for whatever has the focus.
    pub async fn press(&self, keys: &str) {
        let params = json!({"context": self.context, "actions": [hands(keys)]});
        self.ask("input.performActions", params).await.unwrap();
    }

    /// Goes on with the tabulator until something has the focus.
    pub async fn tab_to(&self, css: &str) {
        for _ in 0..100 {
            self.press("\u{e004}").await;
            if self.run(&format!("return document.activeElement.matches({})", json!(css))).await == true {
                return;
            }
        }
        panic!("no key leads to {css}");
    }

    /// The notifications of this site that are up, with what a person sees of them.
    pub const NOTIFICATIONS: &str = "const worker = await navigator.serviceWorker.ready; \
        return (await worker.getNotifications()).map((n) => ({title: n.title, body: n.body, tag: n.tag, lang: n.lang, \
        stays: n.requireInteraction, silent: n.silent, url: n.data?.url, buttons: (n.actions ?? []).map((one) => one.title)}))";

    /// Waits until the notifications that are up are as wanted.
    pub async fn notified(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let found = self.until(what, Self::NOTIFICATIONS, |all| all.as_array().is_some_and(|all| wanted(all))).await;
        found.as_array().cloned().unwrap_or_default()
    }

    /// Clicks a notification as a person would, in the browser's own window of it.
    pub async fn click_notification(&self, title: &str) {
        self.act_on_notification(title, "w.onAlertClick()").await;
    }

    /// Presses a button of a notification. The browser's own window has no room for buttons, a desktop's has: what it says to the browser
    /// when one is pressed is said here.
    pub async fn press_notification(&self, title: &str, action: &str) {
        let press = format!(
            "const button = {{action: {}, title: '', iconURL: '', QueryInterface: ChromeUtils.generateQI(['nsIAlertAction'])}}; \
             w.gAlertListener.observe(button, 'alertclickcallback', w.gAlertCookie)",
            json!(action)
        );
        self.act_on_notification(title, &press).await;
    }

    async fn act_on_notification(&self, title: &str, act: &str) {
        let click = format!(
            "(() => {{ for (const w of Services.wm.getEnumerator('alert:alert')) {{ \
               if (!w.document.getElementById('alertTitleLabel')?.getAttribute('value').includes({})) continue; \
               {act}; return true; }} return false; }})()",
            json!(title)
        );
        let until = Instant::now() + PATIENCE;
        loop {
            if self.chrome(&click).await == true {
                return;
            }
            assert!(Instant::now() < until, "no notification to click: {title}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What an expression gives in the browser itself, outside any page.
    async fn chrome(&self, expression: &str) -> Value {
        let tree = self.ask("browsingContext.getTree", json!({"moz:scope": "chrome"})).await.unwrap();
        let target = json!({"context": tree["contexts"][0]["context"]});
        let params = json!({"expression": expression, "target": target, "awaitPromise": true});
        self.ask("script.evaluate", params).await.unwrap()["result"]["value"].clone()
    }

    /// From now on nothing comes through to a path of the server, or everything again.
    pub async fn cut_off(&self, path: Option<&str>) {
        let cut = format!(
            "(() => {{ globalThis.cutOff = {}; if (globalThis.cutter) return true; \
             globalThis.cutter = (subject) => {{ const channel = subject.QueryInterface(Ci.nsIHttpChannel); \
               if (channel.URI.filePath === globalThis.cutOff) channel.cancel(Cr.NS_ERROR_OFFLINE); }}; \
             Services.obs.addObserver(globalThis.cutter, 'http-on-modify-request'); return true; }})()",
            json!(path)
        );
        assert_eq!(self.chrome(&cut).await, true);
    }

    /// Where the tabs are.
    pub async fn tabs(&self) -> Vec<String> {
        let tree = self.ask("browsingContext.getTree", json!({})).await.unwrap();
        let all = tree["contexts"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one["url"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether some tab is at a path of the server.
    pub async fn has_tab(&self, path: &str) -> bool {
        self.tabs().await.contains(&format!("{}{path}", self.base))
    }

    /// Keeps a picture of the whole page.
    pub async fn shot(&self, name: &str) {
        let params = json!({"context": self.context, "origin": "document"});
        let picture = self.ask("browsingContext.captureScreenshot", params).await.unwrap_or_default();
        keep(self.journey, &self.shots, name, picture["data"].as_str().unwrap_or_default())
    }

    /// Closes the browser as its owner would, and waits until it has ended.
    pub async fn close(mut self) {
        let _ = self.ask("browser.close", json!({})).await;
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "Firefox does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

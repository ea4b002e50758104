//! The officers' side: from a signature to the first message, the queue's page, and what many consoles cost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use reqwest::Client;
use tocsin::config::ServerConfig;
use tocsin::messages::Language;
use tocsin::officers::Grant;
use tocsin::staff::{Ask, NewOfficer};
use tocsin_sinks::{Tally, gateway};
use tokio_util::sync::CancellationToken;

use crate::ours::Stage;
use crate::process::{Sink, Watch};
use crate::report::{Line, Rate};

/// Consoles that watch.
const CONSOLES: usize = 500;
/// Alerts that wait in the queue.
const WAITING: usize = 10_000;
const PASSWORD: &str = "a long sentence that nobody guesses";

/// A running console over a stage.
struct Console {
    url: String,
    client: Client,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), tocsin::web::ListenError>>,
}

/// Somebody who is signed in.
struct Officer {
    cookie: String,
    csrf: String,
}

impl Console {
    async fn open(stage: &Stage) -> Self {
        let stop = CancellationToken::new();
        let (said, ready) = tokio::sync::oneshot::channel();
        let (app, token) = (Arc::clone(&stage.app), stop.clone());
        let served = tokio::spawn(async move {
            let ready = |at: SocketAddr| said.send(at).expect("somebody waits");
            let server = ServerConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServerConfig::default() };
            tocsin::web::serve(app, &server, token, ready).await
        });
        let url = format!("http://{}", ready.await.expect("it listens"));
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Self { url, client: client.expect("a client"), stop, served }
    }

    async fn close(self) {
        self.stop.cancel();
        self.served.await.expect("it ends").expect("it served");
    }

    async fn get(&self, officer: &Officer, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.url)).header("cookie", &officer.cookie).send().await;
        let answer = answer.expect("an answer").error_for_status().expect("INVALID: a page is refused");
        answer.text().await.expect("a page")
    }

    /// Says yes to the one escalation of an alert, as a browser would.
    async fn approve(&self, officer: &Officer, alert: &str, stage: &str) {
        let page = self.get(officer, &format!("/console/alerts/{alert}")).await;
        let form = page.split("/console/escalations/").find_map(|rest| rest.split_once("/approve")).expect("a form").0;
        let body = format!("csrf={}&seen=0&stage={stage}&word=%E4%B8%8A%E6%B5%B7%E5%B8%82", officer.csrf);
        let answer = self
            .client
            .post(format!("{}/console/escalations/{form}/approve", self.url))
            .header("cookie", &officer.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send();
        assert_eq!(answer.await.expect("an answer").status(), 303, "INVALID: the yes is refused");
    }
}

/// An officer who may do everything, invited and signed in.
async fn officer(stage: &Stage, login: &str) -> Officer {
    let staff = &stage.app.staff;
    let new = NewOfficer {
        login: login.parse().expect("a login"),
        name: login.to_owned(),
        language: Language::Chinese,
        grants: ["reviewer:*", "signer:*"].into_iter().filter_map(Grant::parse).collect(),
    };
    let invitation = staff.invite(&new, None).await.expect("an invitation");
    let (_, totp, sealed) = staff.invited(&invitation).await.expect("it holds");
    let now = Utc::now();
    staff.accept(&invitation, &sealed, PASSWORD.to_owned(), &totp.code(now)).await.expect("accepted");
    // A code works once: the next one is taken a little early.
    let code = totp.code(now + TimeDelta::seconds(30));
    let ask = Ask { login: login.to_owned(), password: PASSWORD.to_owned(), code };
    let token = staff.sign_in(ask).await.expect("signed in");
    let csrf = staff.session(&token, false).await.expect("the store").expect("a session").csrf;
    Officer { cookie: format!("tocsin={token}"), csrf }
}

fn milliseconds(line: &mut Line, took: Duration) {
    let rate = |value: f64| Rate { per_second: value, cores: (0.0, 0.0) };
    line.add(rate(took.as_secs_f64() * 1_000.0), rate(1.0));
}

/// From the second officer's yes to the first message at the gateway, milliseconds.
pub(crate) async fn approve() -> Line {
    let mut line = Line::new("approve", "ms from yes to sink");
    let sink = gateway::start_sms(Tally::counting()).await.expect("a port");
    let stage = Stage::set("sms", 1_000, sink.addr.port()).await;
    let console = Console::open(&stage).await;
    let (li, wang) = (officer(&stage, "li").await, officer(&stage, "wang").await);
    for n in 0..20 {
        let alert = stage.warn_as(&format!("red-{n}"), ("Extreme", "红色"), &["310118000000"]).await;
        console.approve(&li, &alert, "review").await;
        let before = sink.tally.counts().messages;
        let began = Instant::now();
        let yes = console.approve(&wang, &alert, "sign");
        let arrives = async {
            while sink.tally.counts().messages == before {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            began.elapsed()
        };
        let ((), took) = tokio::join!(yes, arrives);
        milliseconds(&mut line, took);
        while sink.tally.counts().messages < before + 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    console.close().await;
    stage.stop().await;
    line
}

/// The queue's page while ten thousand alerts wait, milliseconds.
pub(crate) async fn queue() -> Line {
    let mut line = Line::new("queue", "ms, 10,000 alerts wait");
    let stage = Stage::set("none", 0, 0).await;
    for n in 0..WAITING {
        stage.warn_as(&format!("red-{n}"), ("Extreme", "红色"), &["310118000000"]).await;
    }
    let console = Console::open(&stage).await;
    let li = officer(&stage, "li").await;
    for _ in 0..50 {
        let began = Instant::now();
        let page = console.get(&li, "/console").await;
        milliseconds(&mut line, began.elapsed());
        assert!(page.contains("红色"), "INVALID: the page shows no alert");
    }
    console.close().await;
    stage.stop().await;
    line
}

/// Mailing 100,000 while five hundred consoles watch it live, against the same with nobody watching.
pub(crate) async fn consoles(runs: u32) -> Line {
    let mut line = Line::new("consoles", "messages/s, 500 watch");
    for _ in 0..runs {
        let alone = mailing(0).await;
        line.add(mailing(CONSOLES).await, alone);
    }
    line
}

async fn mailing(watching: usize) -> Rate {
    let sink = Sink::start("email");
    let stage = Stage::set("email", crate::PEOPLE, sink.port).await;
    let console = Console::open(&stage).await;
    let (li, wang) = (officer(&stage, "li").await, officer(&stage, "wang").await);
    let alert = stage.warn_as("red", ("Extreme", "红色"), &["310000000000"]).await;
    console.approve(&li, &alert, "review").await;
    let watchers = (watching > 0)
        .then(|| Consoles::start(&format!("{}/console/alerts/{alert}/events", console.url), &li.cookie, watching));
    console.approve(&wang, &alert, "sign").await;
    let watch = Watch::start(sink.pid());
    // Two of the five counties are in other provinces.
    let told = crate::PEOPLE * 3 / 5;
    stage.wait("email", told).await;
    let rate = watch.rate(told);
    drop(watchers);
    console.close().await;
    stage.stop().await;
    rate
}

/// Consoles as a process of their own.
struct Consoles(Child);

impl Consoles {
    /// Returns when all of them are connected.
    fn start(url: &str, cookie: &str, number: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a name"))
            .arg(format!("consoles={url} {cookie} {number}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says so");
        assert_eq!(line.trim(), "connected", "INVALID");
        Self(child)
    }
}

impl Drop for Consoles {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

/// Is so many consoles, until killed: `URL COOKIE NUMBER`.
pub(crate) async fn be_consoles(what: &str) {
    let parts: Vec<&str> = what.split(' ').collect();
    let number: usize = parts[2].parse().expect("a number");
    let client = Client::builder().no_proxy().build().expect("a client");
    let mut open = Vec::with_capacity(number);
    for _ in 0..number {
        let answer = client.get(parts[0]).header("cookie", parts[1]).send().await.expect("an answer");
        open.push(answer.error_for_status().expect("INVALID: a console is refused"));
    }
    println!("connected");
    std::io::stdout().flush().expect("somebody listens");
    let reading = open
        .into_iter()
        .map(|mut answer| tokio::spawn(async move { while answer.chunk().await.expect("it goes on").is_some() {} }));
    futures_util::future::join_all(reading).await;
}

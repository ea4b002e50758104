//! The ways in: how many alerts a second are on disk before they are answered, how long a huge one takes, and what a day of polling and
//! bad neighbours cost.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use tocsin::app::App;
use tocsin::clock::{Clock, SystemClock};
use tocsin::config::{BureauConfig, Config, ServerConfig};
use tocsin::intake::Format;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::process::{Watch, resident_mib};
use crate::report::{Line, Rate};

/// Alerts of a run.
const ALERTS: u64 = 3_000;
/// Bureaus that post at once.
const CONNECTIONS: usize = 64;
/// Rounds of a day of polling, one a minute.
const ROUNDS: u64 = 1_440;
/// Neighbours that are slow or hostile.
const HOSTILE: usize = 20;
/// Alerts of the good source.
const GOOD: usize = 8;
const TOKEN: &str = "tocsin_bench-token";

fn rate(value: f64) -> Rate {
    Rate { per_second: value, cores: (0.0, 0.0) }
}

fn config(folder: &Path, more: &str) -> Config {
    let digest = ring::digest::digest(&ring::digest::SHA256, TOKEN.as_bytes());
    let hash = digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    });
    let store = folder.join("bench.db").display().to_string();
    let text = format!(
        "[store]\nurl = \"sqlite://{store}\"\n[publish]\nkeep_hours = 1\n[[bureau]]\nname = \"bench\"\ntoken_sha256 = \"{hash}\"\n\
         regions = [\"310000\", \"320000\", \"330000\", \"340000\"]\n{more}"
    );
    Config::parse(&text, "bench").expect("a config")
}

/// An alert of its own event: each has a sender of its own.
fn alert(n: u64, sent: DateTime<Utc>, holds: TimeDelta) -> String {
    let beijing = sent.with_timezone(&FixedOffset::east_opt(8 * 3_600).expect("Beijing"));
    let time = |at: DateTime<FixedOffset>| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let county = ["310118", "310120", "320509", "330421", "310115"][usize::try_from(n).expect("small") % 5];
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>bench-{n}</identifier>\
         <sender>观测台{n}</sender><sent>{}</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\
         <info><language>zh-CN</language><category>Met</category><event>台风</event><urgency>Expected</urgency><severity>Moderate</severity>\
         <certainty>Likely</certainty><expires>{}</expires><senderName>观测台</senderName><headline>观测台发布台风黄色预警</headline>\
         <description>预计未来24小时内受台风影响，沿海平均风力可达8级以上。</description><area><areaDesc>长三角</areaDesc><geocode>\
         <valueName>CPEAS Geographic Code</valueName><value>{county}000000</value></geocode></area></info></alert>",
        time(beijing),
        time(beijing + holds)
    )
}

/// Alerts accepted over HTTP, each on disk before its answer, against the same program on a file system in memory, where an fsync costs
/// nothing.
pub(crate) async fn alerts(runs: u32) -> Line {
    let mut line = Line::new("alerts", "alerts/s");
    for _ in 0..runs.min(5) {
        let memory = post_all(Path::new("/dev/shm")).await;
        let disk = post_all(&std::env::temp_dir()).await;
        line.add(disk, memory);
    }
    line
}

async fn post_all(place: &Path) -> Rate {
    let folder = tempfile::tempdir_in(place).expect("a folder");
    let app = Arc::new(App::start(&config(folder.path(), ""), Arc::new(SystemClock)).await.expect("it starts"));
    let stop = CancellationToken::new();
    let (said, ready) = tokio::sync::oneshot::channel();
    let (own, token) = (Arc::clone(&app), stop.clone());
    let served = tokio::spawn(async move {
        let ready = |at: SocketAddr| said.send(at).expect("somebody waits");
        let server = ServerConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServerConfig::default() };
        tocsin::web::serve(own, &server, token, ready).await
    });
    let address = ready.await.expect("it listens");
    // The bureaus are a process of their own.
    let mut bureaus = Command::new(std::env::current_exe().expect("a name"))
        .arg(format!("posts={address}"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let watch = Watch::start(Some(bureaus.id()));
    let mut out = BufReader::new(bureaus.stdout.take().expect("piped"));
    let said = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        out.read_line(&mut text).expect("a line");
        text
    });
    let taken: u64 = said.await.expect("it ends").trim().parse().expect("INVALID: an alert is refused");
    let rate = watch.rate(taken);
    bureaus.wait().expect("it ends");
    stop.cancel();
    served.await.expect("it ends").expect("it served");
    // Let go of connections that end just now.
    while Arc::strong_count(&app) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(app.store.alerts(None, 1).await.expect("the store").len(), 1, "INVALID");
    Arc::into_inner(app).expect("nobody else holds it").stop().await;
    rate
}

/// Posts alerts over many connections, and says how many were accepted.
pub(crate) async fn be_bureaus(address: &str) {
    let next = Arc::new(AtomicU64::new(0));
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CONNECTIONS).build().expect("a client");
    let url = format!("http://{address}/api/v1/alerts");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, client, url) = (Arc::clone(&next), client.clone(), url.clone());
        tasks.spawn(async move {
            let mut taken = 0_u64;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= ALERTS {
                    return taken;
                }
                let body = alert(n, Utc::now(), TimeDelta::hours(6));
                let request = client.post(&url).bearer_auth(TOKEN).header("content-type", "application/cap+xml");
                let answer = request.body(body).send().await.expect("an answer");
                assert_eq!(answer.status(), 201, "INVALID: an alert is refused");
                let _ = answer.bytes().await.expect("a body");
                taken += 1;
            }
        });
    }
    let taken: u64 = tasks.join_all().await.into_iter().sum();
    println!("{taken}");
}

/// A real alert of 1.7 MB, from bytes to the answer: milliseconds, against reading it alone.
pub(crate) async fn large(runs: u32) -> Line {
    let mut line = Line::new("large", "ms for 1.7 MB");
    let name = "fpas-noaa-2.49.0.1.840.0.9b5195e635069329b12a7c697fad5934d144784a.001.1.xml";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(name);
    let raw = std::fs::read_to_string(path).expect("INVALID: the folder of real alerts, ../shared/corpus, is not here");
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(&config(folder.path(), ""), Arc::new(SystemClock)).await.expect("it starts");
    let identifier = raw.split("<identifier>").nth(1).and_then(|rest| rest.split('<').next()).expect("an identifier");
    let sent = raw.split("<sent>").nth(1).and_then(|rest| rest.split('<').next()).expect("a time");
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let bureau: BureauConfig = config(folder.path(), "").bureaus.remove(0);
    // It speaks of another continent; one code more, and it warns one of our counties.
    let here = "<geocode><valueName>CPEAS Geographic Code</valueName><value>310118000000</value></geocode></area>";
    let raw = raw.replacen("</area>", here, 1);
    for n in 0..runs.max(5) {
        let text = raw.replace(identifier, &format!("{identifier}-{n}")).replace(sent, &now);
        let began = Instant::now();
        let reading = tocsin::cap::read(text.as_bytes());
        let read = began.elapsed().as_secs_f64() * 1_000.0;
        assert!(reading.alert.is_some(), "INVALID");
        let began = Instant::now();
        let taken = app.intake.accept(&bureau, text.as_bytes(), Format::Xml).await;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        let receipt = taken.expect("INVALID: the alert is refused");
        eprintln!("large: read {read:.1} ms, answered after {took:.1} ms: {:?}", receipt.state);
        line.add(rate(took), rate(1.0));
    }
    app.stop().await;
    line
}

/// A clock by which pauses pass at once: a day of rounds takes as long as the rounds' work. It stops after so many pauses.
struct Fast {
    now: AtomicI64,
    left: AtomicI64,
}

impl Clock for Fast {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.load(Ordering::SeqCst)).unwrap_or_default()
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
                return std::future::pending().await;
            }
            self.now.fetch_add(i64::try_from(pause.as_millis()).unwrap_or(0), Ordering::SeqCst);
            tokio::task::yield_now().await;
        })
    }
}

/// A day of polling a feed that changes each minute: how much memory grows after the first quarter, MiB.
pub(crate) async fn polling() -> Line {
    let mut line = Line::new("polling", "MiB grown in a day of polling");
    let clock = Arc::new(Fast {
        now: AtomicI64::new(Utc::now().timestamp_millis()),
        left: AtomicI64::new(i64::try_from(ROUNDS).expect("small")),
    });
    let (time, asked) = (Arc::clone(&clock), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&asked);
    // The newest thirty alerts, one more each time.
    let site = Site::start(move |_| {
        let n = counted.fetch_add(1, Ordering::SeqCst);
        let oldest = n.saturating_sub(29);
        let entries = (oldest..=n).map(|k| {
            let ago = TimeDelta::minutes(i64::try_from(n - k).expect("small"));
            entry(k, &alert(k, time.now() - ago, TimeDelta::minutes(30)))
        });
        Page::Body(feed(&entries.collect::<String>()))
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path(), &site.source("day", 60));
    let app = App::start(&config, Arc::<Fast>::clone(&clock)).await.expect("it starts");
    let mut seen = Vec::new();
    while clock.left.load(Ordering::SeqCst) >= 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        seen.push((asked.load(Ordering::SeqCst), resident_mib()));
    }
    let at = |n: u64| seen.iter().find(|(asked, _)| *asked >= n).map_or(f64::NAN, |(_, mib)| *mib);
    let (quarter, end) = (at(ROUNDS / 4), seen.last().map_or(f64::NAN, |(_, mib)| *mib));
    let rows = app.store.source_rows().await.expect("the store").remove(0);
    eprintln!(
        "polling: {} rounds, {} alerts taken, {} shown at the end; {quarter:.1} MiB after a quarter, {:.1} after a half, {end:.1} at the end",
        asked.load(Ordering::SeqCst),
        rows.taken,
        app.press.shown().board.entries.len(),
        at(ROUNDS / 2)
    );
    assert!(rows.taken >= ROUNDS, "INVALID: {rows:?}");
    line.add(rate((end - quarter).max(0.0)), rate(1.0));
    app.stop().await;
    line
}

/// How much later a good source's alerts are taken among twenty that are slow, endless or lying: seconds.
pub(crate) async fn neighbours(runs: u32) -> Line {
    let mut line = Line::new("neighbours", "s later among 20 hostile");
    for _ in 0..runs.min(3) {
        let (alone, among) = (Box::pin(delay(0)).await, Box::pin(delay(HOSTILE)).await);
        eprintln!("neighbours: {alone:.3} s alone, {among:.3} s among {HOSTILE}");
        line.add(rate((among - alone).max(0.0)), rate(1.0));
    }
    line
}

/// The longest time from an alert's being shown to its being on disk.
async fn delay(hostile: usize) -> f64 {
    let shown: Arc<Mutex<String>> = Arc::default();
    let good = Arc::clone(&shown);
    let huge: String = (0..20_000).map(|n| format!("<entry><id>h{n}</id><title>x</title></entry>")).collect();
    let huge = feed(&huge);
    let site = Site::start(move |path| match path.trim_start_matches("/bad").parse::<usize>() {
        Ok(n) => match n % 5 {
            0 => Page::Silent,
            1 => Page::Drip,
            2 => Page::Endless,
            3 => Page::Again,
            _ => Page::Body(huge.clone()),
        },
        Err(_) => Page::Body(feed(&good.lock().expect("sound"))),
    })
    .await;
    let mut more = site.source("good", 1);
    for n in 0..hostile {
        more.push_str(&site.source(&format!("bad{n}"), 1));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(&config(folder.path(), &more), Arc::new(SystemClock)).await.expect("it starts");
    let mut longest = 0.0_f64;
    for n in 0..GOOD {
        // Everybody is in the midst of something.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let key = u64::try_from(n).expect("small");
        shown.lock().expect("sound").push_str(&entry(key, &alert(key, Utc::now(), TimeDelta::hours(1))));
        let began = Instant::now();
        while app.store.alerts(None, 50).await.expect("the store").len() <= n {
            assert!(began.elapsed() < Duration::from_secs(60), "INVALID: the good source is not read");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest = longest.max(began.elapsed().as_secs_f64());
    }
    app.stop().await;
    longest
}

fn feed(entries: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id><title>f</title>{entries}</feed>"
    )
}

fn entry(n: u64, alert: &str) -> String {
    let body = alert.split_once("?>").map_or(alert, |(_, body)| body);
    format!(
        "<entry><id>e{n}</id><title>{n}</title><updated>2026-01-01T00:00:00Z</updated><content type=\"text/xml\">{body}</content></entry>"
    )
}

/// What a site answers.
enum Page {
    Body(String),
    Silent,
    Drip,
    Endless,
    /// Sends back to itself.
    Again,
}

/// A web server that answers as it is told.
struct Site {
    addr: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn start(page: impl Fn(&str) -> Page + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let page = Arc::new(page);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let page = Arc::clone(&page);
                // Whoever hangs up first is as good.
                tokio::spawn(async move { drop(answer(stream, page.as_ref()).await) });
            }
        });
        Self { addr, task }
    }

    fn source(&self, name: &str, seconds: u32) -> String {
        format!(
            "[[source]]\nname = \"{name}\"\nkind = \"feed\"\nbureau = \"bench\"\nurl = \"http://{}/{name}\"\nevery_seconds = {seconds}\n\
             private = [\"{}\"]\n",
            self.addr, self.addr
        )
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, page: &(impl Fn(&str) -> Page + Sync)) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let begin = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    match page(path) {
        Page::Body(body) => {
            stream.write_all(format!("{begin}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Page::Silent => std::future::pending().await,
        Page::Drip => {
            stream.write_all(format!("{begin}\r\n<feed>").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Page::Endless => {
            stream.write_all(format!("{begin}\r\n<feed>").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 65_536]).await?;
            }
        }
        Page::Again => {
            let again =
                format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(again.as_bytes()).await?;
        }
    }
    stream.shutdown().await
}

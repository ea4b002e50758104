//! The push service that a browser of Mozilla's talks to: it registers over a WebSocket (hello, register, unregister, ack) and gets there
//! what application servers post (RFC 8030: TTL, Topic). For tests: it can forget a browser, and change its subscriptions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::{self, serve};
use crate::{Sink, Tally, listen};

const CREATED: &str = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
const UNKNOWN: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";

/// A running push service.
#[derive(Debug)]
pub struct PushService {
    /// Where browsers connect: `dom.push.serverURL`.
    pub browsers: Sink,
    /// Where application servers post.
    pub posts: Sink,
    shared: Shared,
}

/// What was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The endpoint's own part.
    pub token: String,
    /// Seconds that it may be kept.
    pub ttl: u64,
    /// What it replaces.
    pub topic: String,
    /// How urgent.
    pub urgency: String,
}

type Shared = Arc<Mutex<State>>;

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Browsers by their id; those that are connected with the way to them.
    agents: HashMap<String, Option<UnboundedSender<Value>>>,
    /// Subscriptions by the endpoint's own part.
    channels: HashMap<String, Subscribed>,
    kept: Vec<Kept>,
    posted: Vec<Posted>,
}

#[derive(Debug)]
struct Subscribed {
    agent: String,
    channel: String,
    gone: bool,
}

/// A message that no browser has acknowledged.
#[derive(Debug)]
struct Kept {
    token: String,
    topic: String,
    version: String,
    until: Instant,
    frame: Value,
}

/// Starts it.
///
/// # Errors
/// When no port can be had.
pub async fn start() -> std::io::Result<PushService> {
    let shared = Shared::default();
    let state = Arc::clone(&shared);
    let posts = listen(0, Tally::counting(), move |socket, tally| {
        let state = Arc::clone(&state);
        async move { serve(socket, |request| Some(post(&state, &tally, request))).await }
    })
    .await?;
    let (state, port) = (Arc::clone(&shared), posts.addr.port());
    let browsers = listen(0, Tally::counting(), move |socket, _| {
        let state = Arc::clone(&state);
        async move { talk(&state, port, socket).await.map_err(std::io::Error::other) }
    })
    .await?;
    Ok(PushService { browsers, posts, shared })
}

impl PushService {
    /// Everything that was posted, oldest first.
    pub fn posted(&self) -> Vec<Posted> {
        lock(&self.shared).posted.clone()
    }

    /// Endpoints that are known and not gone, by their own part.
    pub fn alive(&self) -> Vec<String> {
        let state = lock(&self.shared);
        state.channels.iter().filter(|(_, one)| !one.gone).map(|(token, _)| token.clone()).collect()
    }

    /// Whether a browser is connected.
    pub fn connected(&self) -> bool {
        lock(&self.shared).agents.values().any(Option::is_some)
    }

    /// How many messages wait for a browser.
    pub fn waiting(&self) -> usize {
        lock(&self.shared).kept.len()
    }

    /// Every subscription is gone: posts to it are answered 410.
    pub fn end_all(&self) {
        lock(&self.shared).channels.values_mut().for_each(|one| one.gone = true);
    }

    /// Forgets every browser and hangs up: each comes back as another one, and has to subscribe anew.
    pub fn rotate(&self) {
        let mut state = lock(&self.shared);
        state.agents.clear();
        state.channels.values_mut().for_each(|one| one.gone = true);
        state.kept.clear();
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A push of an application server.
fn post(shared: &Shared, tally: &Tally, request: &http::Request<'_>) -> &'static str {
    let Some(token) = request.target.strip_prefix("/wpush/").filter(|_| request.method == "POST") else { return BAD };
    let text = |name| request.header(name).unwrap_or_default().to_owned();
    let right = text("content-encoding") == "aes128gcm" && text("authorization").starts_with("vapid t=");
    let Some(ttl) = text("ttl").parse::<u64>().ok().filter(|_| right) else { return BAD };
    let mut state = lock(shared);
    let (agent, channel) = match state.channels.get(token) {
        None => return UNKNOWN,
        Some(one) if one.gone => return GONE,
        Some(one) => (one.agent.clone(), one.channel.clone()),
    };
    tally.take(token, request.body);
    let posted = Posted { token: token.to_owned(), ttl, topic: text("topic"), urgency: text("urgency") };
    state.next += 1;
    let version = format!("m{}", state.next);
    let frame = json!({
        "messageType": "notification", "channelID": channel, "version": version,
        "data": URL_SAFE_NO_PAD.encode(request.body), "headers": {"encoding": "aes128gcm"},
    });
    let sent = match state.agents.get(&agent).and_then(Option::as_ref) {
        Some(way) => way.send(frame.clone()).is_ok(),
        None => false,
    };
    let (token, topic) = (posted.token.clone(), posted.topic.clone());
    if !topic.is_empty() {
        state.kept.retain(|kept| kept.token != token || kept.topic != topic);
    }
    state.posted.push(posted);
    if sent || ttl > 0 {
        let until = Instant::now() + Duration::from_secs(ttl.clamp(1, 86_400 * 30));
        state.kept.push(Kept { token, topic, version, until, frame });
    }
    CREATED
}

/// One browser, until it hangs up or is forgotten.
async fn talk(shared: &Shared, port: u16, socket: TcpStream) -> Result<(), Error> {
    #[expect(clippy::result_large_err, reason = "the library's own shape")]
    let protocol = |_: &Request, mut answer: Response| -> Result<Response, ErrorResponse> {
        answer.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("push-notification"));
        Ok(answer)
    };
    let mut browser = tokio_tungstenite::accept_hdr_async(socket, protocol).await?;
    let mut agent = String::new();
    let mut inbox: Option<UnboundedReceiver<Value>> = None;
    loop {
        let pushed = async {
            match &mut inbox {
                Some(inbox) => inbox.recv().await,
                None => std::future::pending().await,
            }
        };
        let said = tokio::select! {
            pushed = pushed => match pushed {
                Some(frame) => { browser.send(text(&frame)).await?; continue }
                None => break,
            },
            said = browser.next() => match said {
                Some(said) => said?,
                None => break,
            },
        };
        let Message::Text(said) = said else { continue };
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let answer = match said["messageType"].as_str() {
            Some("hello") => {
                let (way, own) = unbounded_channel();
                inbox = Some(own);
                agent = hello(shared, said["uaid"].as_str().unwrap_or_default(), way);
                Some(
                    json!({"messageType": "hello", "status": 200, "uaid": agent, "use_webpush": true, "broadcasts": {}}),
                )
            }
            Some("register") => Some(register(shared, &agent, port, &said)),
            Some("unregister") => Some(unregister(shared, &agent, &said)),
            Some("ack") => {
                acknowledge(shared, &said);
                None
            }
            Some(_) => None,
            None => Some(json!({})),
        };
        if let Some(answer) = answer {
            browser.send(text(&answer)).await?;
        }
        if said["messageType"] == "hello" {
            for frame in waiting(shared, &agent) {
                browser.send(text(&frame)).await?;
            }
        }
    }
    drop(inbox);
    // It may have come back meanwhile, by another connection.
    if let Some(way) = lock(shared).agents.get_mut(&agent).filter(|way| way.as_ref().is_some_and(|way| way.is_closed()))
    {
        *way = None;
    }
    Ok(())
}

fn text(frame: &Value) -> Message {
    Message::Text(frame.to_string().into())
}

/// A browser that is known keeps its id; another one gets one.
fn hello(shared: &Shared, known: &str, way: UnboundedSender<Value>) -> String {
    let mut state = lock(shared);
    state.next += 1;
    let agent = if state.agents.contains_key(known) { known.to_owned() } else { format!("{:032x}", state.next) };
    state.agents.insert(agent.clone(), Some(way));
    agent
}

fn register(shared: &Shared, agent: &str, port: u16, said: &Value) -> Value {
    let mut state = lock(shared);
    state.next += 1;
    let (token, channel) = (format!("t{}", state.next), said["channelID"].as_str().unwrap_or_default().to_owned());
    let answer = json!({
        "messageType": "register", "channelID": channel, "status": 200,
        "pushEndpoint": format!("http://127.0.0.1:{port}/wpush/{token}"),
    });
    state.channels.insert(token, Subscribed { agent: agent.to_owned(), channel, gone: false });
    answer
}

fn unregister(shared: &Shared, agent: &str, said: &Value) -> Value {
    let mut state = lock(shared);
    let own = state.channels.values_mut().filter(|one| one.agent == agent && said["channelID"] == one.channel.as_str());
    own.for_each(|one| one.gone = true);
    json!({"messageType": "unregister", "channelID": said["channelID"], "status": 200})
}

fn acknowledge(shared: &Shared, said: &Value) {
    let done: Vec<&str> =
        said["updates"].as_array().into_iter().flatten().filter_map(|one| one["version"].as_str()).collect();
    lock(shared).kept.retain(|kept| !done.contains(&kept.version.as_str()));
}

/// What was kept for a browser while it was away.
fn waiting(shared: &Shared, agent: &str) -> Vec<Value> {
    let mut state = lock(shared);
    let now = Instant::now();
    state.kept.retain(|kept| kept.until > now);
    let own = |kept: &&Kept| state.channels.get(&kept.token).is_some_and(|one| one.agent == agent);
    state.kept.iter().filter(own).map(|kept| kept.frame.clone()).collect()
}

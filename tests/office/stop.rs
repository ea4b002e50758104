//! A stop holds what waits, in the eyes of the provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;

use super::support::crew::Crew;
use super::support::{self, Cma, Server, YELLOW, write_config};

const PEOPLE: usize = 400;
const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"yellow\"\nwhen = { colour = [\"yellow\"] }\naudience = [\"public\"]\nchannels = [\"sms\"]\n\
    priority = 2\napproval = \"none\"\n";

/// A gateway that answers as many messages as it is let, and counts those that came.
#[derive(Clone)]
struct Slow {
    came: Arc<AtomicUsize>,
    may: Arc<Semaphore>,
}

impl Slow {
    async fn start() -> (Self, std::net::SocketAddr) {
        let slow = Self { came: Arc::default(), may: Arc::new(Semaphore::new(0)) };
        let own = slow.clone();
        let take = move || {
            let own = own.clone();
            async move {
                own.came.fetch_add(1, Ordering::SeqCst);
                own.may.acquire().await.unwrap().forget();
                "ok"
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/sms", post(take))).await.unwrap() });
        (slow, at)
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_the_provider_gets_the_windows_in_hand_and_nothing_more_until_it_goes_on() {
    let (slow, at) = Slow::start().await;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rules = put("rules.toml", RULES);
    let config = write_config(
        folder.path(),
        &format!(
            "[rules]\nfile = \"{rules}\"\n[channels.sms]\nworkers = 2\nwindow = 100\n[channels.sms.via]\nmethod = \"POST\"\n\
             url = \"http://{at}/sms\"\nbody = {{ json = {{ to = \"{{to}}\", text = \"{{text}}\" }} }}\n\
             answers = [{{ status = \"2\", class = \"accepted\" }}]\n"
        ),
    );
    let people: String = (0..PEOPLE).map(|n| format!("310118,zh-CN,+86138{n:08}\n")).collect();
    let people = put("people.csv", &format!("region,language,phone\n{people}"));
    let (well, out, error) = support::tocsin(&config, &["subscribers", "import", &people]);
    assert!(well, "{out}{error}");
    let server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    let officer = crew.officer("op", &["operator:310000", "signer:310000"]).await;
    let browser = officer.browser(&server).await;
    let (status, answer) = server.post(Cma { colour: YELLOW, ..Cma::new("wind") }.xml()).await;
    assert_eq!(status, 201, "{answer}");
    let alert = answer["id"].as_str().unwrap();
    let n =
        |states: &serde_json::Value, state: &str| usize::try_from(states["states"][state].as_u64().unwrap()).unwrap();

    // The first windows are taken; with the next ones the provider takes its time, and most still wait.
    let first = server.until(alert, |states| states["planned"] == true && n(states, "sending") >= 32).await;
    slow.may.add_permits(n(&first, "sending"));
    server.until(alert, |states| n(states, "accepted") >= 32 && n(states, "sending") > 0).await;
    assert_eq!(browser.post(&format!("/console/alerts/{alert}/stop"), &[("reason", "wrong")]).await.0, 303);
    // What was in hand at that moment, at most: what has its intent on disk.
    let stopped = server.until(alert, |_| true).await;
    let in_hand = n(&stopped, "accepted") + n(&stopped, "sending");
    assert!(in_hand < PEOPLE / 2 && n(&stopped, "waiting") == PEOPLE - in_hand, "{stopped}");

    // The provider is quick again: the windows in hand end, and none begins.
    slow.may.add_permits(PEOPLE);
    let held = server.until(alert, |states| n(states, "sending") == 0).await;
    assert_eq!((n(&held, "accepted"), n(&held, "waiting")), (in_hand, PEOPLE - in_hand), "{held}");
    assert_eq!(slow.came(), in_hand, "nothing else is with the provider");
    // Another alert goes its way past it: the sending is alive, and holds this one alone.
    let other = Cma { colour: YELLOW, code: "310120000000".into(), event: ("暴雨", "Rainstorm"), ..Cma::new("rain") };
    let (_, other) = server.post(other.xml()).await;
    server.until(other["id"].as_str().unwrap(), |states| states["planned"] == true).await;
    assert_eq!(slow.came(), in_hand);

    let code = officer.code().await;
    let go_on = [("reason", "right after all"), ("code", code.as_str())];
    assert_eq!(browser.post(&format!("/console/alerts/{alert}/resume"), &go_on).await.0, 303);
    server.until(alert, |states| n(states, "accepted") == PEOPLE).await;
    assert_eq!(slow.came(), PEOPLE, "each once");
}

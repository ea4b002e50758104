//! A server whose channels lead to a gateway and a relay of the test.

use std::time::{Duration, Instant};

use tocsin::cap::{self, Alert, Status};
use tocsin_sinks::real::{SmtpSink, free_port};
use tocsin_sinks::{Sink, Tally, gateway};

use crate::support::mail::{self, said};
use crate::support::{Server, muifa, tocsin, write_config};

/// The word in the address that the gateway brings answers to.
pub const INBOUND: &str = "inbound-secret-0123456789";

/// Whatever is sent to the public goes out at once, and drills to those who take part.
const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"all\"\nwhen = { status = [\"Actual\"] }\n\
    audience = [\"public\"]\nchannels = [\"sms\", \"email\"]\npriority = 1\napproval = \"none\"\n\
    [[rule]]\nname = \"drills\"\nwhen = { status = [\"Exercise\"] }\naudience = [\"drill\"]\nchannels = [\"sms\"]\n\
    priority = 3\napproval = \"none\"\n";

pub struct Stage {
    pub server: Server,
    pub client: reqwest::Client,
    sms: Sink,
    push: Sink,
    mail: SmtpSink,
    _servers: tempfile::TempDir,
}

impl Stage {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more lines under `[server]`.
    pub async fn start_with(more: &str) -> Self {
        let (folder, servers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sms = gateway::start_sms(Tally::keeping_keys()).await.unwrap();
        let push = gateway::start_push(Tally::keeping_keys()).await.unwrap();
        let mail = SmtpSink::start(servers.path()).unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
            .replace("127.0.0.1:13013", &sms.addr.to_string())
            .replace("secrets/kannel-password", &put("password", "secret"));
        let (rules, inbound) = (put("rules.toml", RULES), put("inbound", INBOUND));
        let vapid = folder.path().join("vapid.der").display().to_string();
        let config = write_config(
            folder.path(),
            &format!(
                "{}[rules]\nfile = \"{rules}\"\n[residents]\ninbound_secret_file = \"{inbound}\"\n\
                 [channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"预警 <w@example.org>\", domain = \"w.example.org\" }}\n\
                 [channels.push]\nvia = {{ vapid_key_file = \"{vapid}\", contact = \"mailto:d@example.org\", allow_private = [\"{}\"] }}\n\
                 [channels.sms.via]\n{kannel}\n",
                muifa::bureau(),
                mail.port,
                push.addr,
            ),
        );
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let text = std::fs::read_to_string(&config).unwrap();
        let own = format!("listen = \"{listen}\"\npublic_url = \"http://{listen}\"\n{more}");
        std::fs::write(&config, text.replace("listen = \"127.0.0.1:0\"", &own)).unwrap();
        assert!(tocsin(&config, &["keys", "push", &vapid]).0);
        let server = Server::start_in(folder);
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { server, client, sms, push, mail, _servers: servers }
    }

    /// The texts that came to a number, in any order.
    pub fn texts_to(&self, number: &str) -> Vec<String> {
        mail::texts_to(&self.sms.tally, number)
    }

    /// The mails that came to an address, in any order.
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        mail::mails_to(&self.mail, address)
    }

    /// Waits for a text to a number that says this.
    pub async fn text(&self, number: &str, part: &str) -> String {
        eventually(&format!("a text to {number} that says {part}"), || {
            self.texts_to(number).into_iter().find(|text| text.contains(part))
        })
        .await
    }

    /// Waits for a mail to an address that says this.
    pub async fn mail(&self, address: &str, part: &str) -> String {
        eventually(&format!("a mail to {address} that says {part}"), || {
            self.mails_to(address).into_iter().find(|mail| said(mail).contains(part))
        })
        .await
    }

    /// The code of the newest text to a number that has not been seen yet.
    pub async fn code(&self, number: &str) -> String {
        let text = self.text(number, "验证码").await;
        text.split("验证码").nth(1).unwrap().chars().take(6).collect()
    }

    /// The link of a mail that proves an address.
    pub async fn link(&self, address: &str) -> String {
        let mail = said(&self.mail(address, "/sign-up/confirm/").await);
        let at = mail.find("http://").unwrap();
        mail[at..].split_whitespace().next().unwrap().to_owned()
    }

    /// Sends one of the recorded warnings of typhoon Muifa, as if it were now; it refers to those before it.
    pub async fn muifa(&self, id: &str, before: &mut Vec<Alert>) {
        let alert = muifa::alert(id, before, Status::Actual);
        self.release(&alert).await;
        before.push(alert);
    }

    /// Sends one of them as a drill of its own; gives its id.
    pub async fn drill(&self, id: &str) -> String {
        self.release(&muifa::alert(id, &[], Status::Exercise)).await
    }

    async fn release(&self, alert: &Alert) -> String {
        let xml = cap::write(alert).unwrap();
        let (status, answer) = self.server.post_as(muifa::TOKEN, "application/cap+xml", xml).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// A browser's subscription, with a push service that takes what comes and hands it to nobody.
    pub fn subscription(&self) -> String {
        let keys = serde_json::json!({
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        });
        serde_json::json!({"endpoint": format!("http://{}/a", self.push.addr), "keys": keys}).to_string()
    }

    /// A short message from somebody, as the gateway brings it; gives what it is to answer.
    pub async fn hear(&self, from: &str, text: &str) -> String {
        let url = format!("{}/inbound/sms/{INBOUND}", self.server.url);
        let body = serde_json::json!({"from": from, "text": text}).to_string();
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answer["reply"].as_str().unwrap_or_default().to_owned()
    }
}

/// Waits for something outside the browser.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

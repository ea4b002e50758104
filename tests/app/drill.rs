//! The drill of typhoon Muifa comes to those who take part, by mail, short message and push; and each way leads out.

use serde_json::Value;
use tocsin::cap::{self, Alert, Status};
use tocsin_sinks::real::{SmtpSink, free_port};

use crate::firefox::Firefox;
use crate::stage::Stage;
use crate::support::axe;
use crate::support::browser::{Browser, DESKTOP, Look};
use crate::support::mail::{self, mails_to, said, texts_to};
use crate::support::muifa;

const INBOUND: &str = "inbound-secret-0123456789";
const PHONE: &str = "+8613812345678";
const MAIL: &str = "li@example.org";
/// Takes part, and stays to the end.
const STAYS: &str = "+8613900000001";
/// Does not take part.
const OTHER: &str = "+8613900000002";

/// Drills go to those who take part, at once.
const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"drills\"\nwhen = { status = [\"Exercise\"] }\n\
    audience = [\"drill\"]\nchannels = [\"sms\", \"email\", \"push\"]\npriority = 3\napproval = \"none\"\n";

struct Drill {
    stage: Stage,
    mail: SmtpSink,
    sent: Vec<Alert>,
    _servers: tempfile::TempDir,
}

impl Drill {
    async fn start() -> Self {
        let (folder, servers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mail = SmtpSink::start(servers.path()).unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (inbound, leave) = (put("inbound", INBOUND), put("leave", "a-secret-that-signs-leave-links-0123456789"));
        let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
            .replace("127.0.0.1:13013", "GATEWAY")
            .replace("secrets/kannel-password", &put("password", "secret"));
        let more = format!(
            "{}[residents]\ninbound_secret_file = \"{inbound}\"\n[channels.email]\n\
             via = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"预警 <w@example.org>\", domain = \"w.example.org\" }}\n",
            muifa::bureau(),
            mail.port
        );
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let server = format!("public_url = \"http://{listen}\"\nleave_secret_file = \"{leave}\"\n");
        let config = format!("listen = \"{listen}\"\n{server}");
        let stage = Stage::start_with(folder, RULES, &kannel, &more, &config).await;
        Self { stage, mail, sent: Vec::new(), _servers: servers }
    }

    /// The next warning of the drill; gives its id.
    async fn warn(&mut self, id: &str) -> String {
        let alert = muifa::alert(id, &self.sent, Status::Exercise);
        let xml = cap::write(&alert).unwrap();
        let (status, answer) = self.stage.server.post_as(muifa::TOKEN, "application/cap+xml", xml).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        self.sent.push(alert);
        answer["id"].as_str().unwrap().to_owned()
    }

    fn texts(&self, number: &str) -> Vec<String> {
        texts_to(&self.stage.sms.tally, number)
    }

    async fn text(&self, number: &str, part: &str) -> String {
        let find = || self.texts(number).into_iter().find(|text| text.contains(part));
        self.stage.eventually(part, || find().is_some()).await;
        find().unwrap()
    }

    async fn letter(&self, part: &str) -> String {
        let find = || mails_to(&self.mail, MAIL).into_iter().find(|mail| said(mail).contains(part));
        self.stage.eventually(part, || find().is_some()).await;
        find().unwrap()
    }

    /// Somebody signs up with a number or mailbox, and takes part in drills or not.
    async fn sign_up(&self, firefox: &Firefox, address: &str, takes_part: bool) {
        firefox.goto("/sign-up?lang=zh-CN").await;
        for (field, value) in [("address", address), ("county", "310118"), ("level", "blue"), ("consent", "1")] {
            firefox.set(&format!("[name={field}]"), value).await;
        }
        if takes_part {
            firefox.set("[name=drills]", "1").await;
        }
        firefox.follow("form[action='/sign-up'] button.wide").await;
        if address.contains('@') {
            let letter = said(&self.letter("/sign-up/confirm/").await);
            let link = letter[letter.find("/sign-up/").unwrap()..].split_whitespace().next().unwrap().to_owned();
            firefox.goto(&link).await;
        } else {
            let text = self.text(address, "验证码").await;
            firefox.set("[name=code]", &text.split_once("验证码").unwrap().1[..6]).await;
        }
        firefox.follow("form button.wide").await;
        firefox.follow("header form button").await;
    }
}

/// The drill's page is fit for all eyes, in both languages and lights.
async fn fit(drill: &Drill, path: &str) {
    let Some(axe) = axe::script() else {
        println!("skipped in part: npm's axe-core is not in target/tools (`cargo xtask test` fetches it)");
        return;
    };
    let look = Look { size: (320, 640), ..DESKTOP };
    let browser = Browser::open(&drill.stage.server.url, "drill-page", look).await;
    for (lang, dark) in [("zh-CN", false), ("zh-CN", true), ("en", false), ("en", true)] {
        browser.dark(dark).await;
        browser.goto(&format!("{path}?lang={lang}")).await;
        assert_eq!(axe::faults(&browser, &axe, axe::ALL).await, [""; 0], "{lang} dark {dark}");
        browser.assert_fits().await;
        browser.shot("page").await;
    }
}

/// The drill's only notification.
fn up<'a>(all: &'a [Value], part: &str) -> Option<&'a Value> {
    let about: Vec<_> = all.iter().filter(|n| n["tag"] != "confirm").collect();
    let title = |n: &Value| n["title"].as_str().unwrap_or_default().to_owned();
    (about.len() == 1 && title(about[0]).contains("演练") && title(about[0]).contains(part)).then(|| about[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drill_comes_by_mail_short_message_and_push_its_update_takes_the_first_ones_place_and_each_way_leads_out() {
    let mut drill = Drill::start().await;
    let profile = drill.stage.profile();
    let firefox = drill.stage.open(&profile, "drill").await;
    drill.stage.sign_up(&firefox).await;
    firefox.set("[name$='-drills']", "1").await;
    firefox.follow("#places button.wide").await;
    firefox.shot("takes-part").await;
    firefox.follow("header form button").await;
    for (address, takes_part) in [(PHONE, true), (MAIL, true), (STAYS, true), (OTHER, false)] {
        drill.sign_up(&firefox, address, takes_part).await;
    }

    let first = drill.warn("sh-typhoon-yellow").await;
    let all = firefox.notified("the drill", |all| up(all, "台风黄色预警").is_some()).await;
    let tag = up(&all, "").unwrap()["tag"].clone();
    drill.stage.seen(&first, "shown", 1).await;
    let text = drill.text(PHONE, "台风黄色预警").await;
    assert!(text.contains("演练"), "{text}");
    let letter = said(&drill.letter("台风黄色预警").await);
    assert!(letter.contains("演练") && letter.contains("/leave/"), "{letter}");
    // It leads to a page that says so; no list has it.
    firefox.goto(all.iter().find(|n| n["tag"] == tag).unwrap()["url"].as_str().unwrap()).await;
    assert_eq!(firefox.run("return location.pathname").await, format!("/drills/{first}"));
    assert_eq!(firefox.run("return document.body.innerText.includes('演练')").await, true);
    firefox.shot("drill").await;
    fit(&drill, &format!("/drills/{first}")).await;
    firefox.goto("/?lang=zh-CN").await;
    firefox.shot("in-force").await;
    assert_eq!(firefox.run("return document.body.innerText.includes('台风黄色预警')").await, false);

    let second = drill.warn("sh-typhoon-orange").await;
    let all = firefox.notified("the update alone", |all| up(all, "台风橙色预警").is_some()).await;
    assert_eq!(up(&all, "").unwrap()["tag"], tag, "in the first one's place");
    drill.stage.seen(&second, "shown", 1).await;
    assert!(drill.text(PHONE, "橙色").await.contains("更新"));
    let letter = drill.letter("更新台风橙色预警").await;

    // Each way leads out: the app, the link in the mail, the answer to a short message.
    firefox.goto("/app?lang=zh-CN").await;
    firefox.click("[data-leave]").await;
    let left = "return document.querySelector('p[data-left]').textContent";
    firefox.until("left", left, |told| told.as_str().is_some_and(|told| told.contains("已退订"))).await;
    let way = mail::leave(&letter);
    firefox.goto(&way[way.find("/leave/").unwrap()..]).await;
    firefox.shot("leave").await;
    firefox.follow("form button").await;
    firefox.shot("left").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let heard = client
        .post(format!("{}/inbound/sms/{INBOUND}", drill.stage.server.url))
        .header("content-type", "application/json")
        .body(serde_json::json!({"from": PHONE, "text": "退订"}).to_string());
    assert!(heard.send().await.unwrap().text().await.unwrap().contains("已退订"));

    let end = drill.warn("sh-typhoon-cancel").await;
    drill.text(STAYS, "解除").await;
    let is = |states: &Value, state: &str| states["states"][state].as_u64().unwrap();
    drill.stage.server.until(&end, |states| is(states, "accepted") == 1 && is(states, "waiting") == 0).await;
    assert_eq!(drill.texts(PHONE).len(), 1 + 2, "a code, the warning, its update");
    assert_eq!(mails_to(&drill.mail, MAIL).len(), 1 + 2);
    assert_eq!(drill.stage.service.posted().len(), 1 + 2);
    assert_eq!(drill.texts(OTHER).len(), 1, "who does not take part has a code alone");
    firefox.close().await;
}

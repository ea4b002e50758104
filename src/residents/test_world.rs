//! What tests of signing up stand on: a desk over a store, and a clock that is set.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use chrono::TimeDelta;
use sqlx::Row as _;
use tocsin_channels::{ChannelKind, Content};

use super::sign_up::{Ask, ResidentError, Residents};
use super::{SignUpLimits, Wishes};
use crate::cap::Point;
use crate::clock::{Clock, SetClock};
use crate::config::Config;
use crate::delivery::Address;
use crate::messages::Language;
use crate::policy::Policy;
use crate::store::{Place, Store, StoreOptions};

pub(super) struct World {
    pub(super) residents: Residents,
    pub(super) store: Store,
    pub(super) clock: Arc<SetClock>,
    _folder: tempfile::TempDir,
}

pub(super) const HERE: &str = "203.0.113.7";

impl World {
    pub(super) async fn new() -> Self {
        Self::with(SignUpLimits::default()).await
    }

    pub(super) async fn with(limits: SignUpLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&Config::default()).unwrap()));
        let clock = Arc::new(SetClock(Mutex::new("2026-07-01T04:00:00Z".parse().unwrap())));
        let channels = vec![ChannelKind::Sms, ChannelKind::Email];
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let site = ("https://warn.example.org/", limits);
        let residents = Residents::new(store.clone(), policy, time, site, channels, Arc::new(|| {}));
        let residents = residents.with_answers(true);
        Self { residents, store, clock, _folder: folder }
    }

    pub(super) fn later(&self, by: TimeDelta) {
        *self.clock.0.lock().unwrap() += by;
    }

    pub(super) fn ask(address: &str) -> Ask {
        let channel = if address.contains('@') { ChannelKind::Email } else { ChannelKind::Sms };
        let home = Place {
            id: 0,
            name: "外婆家".into(),
            region: "310118".parse().unwrap(),
            point: Some(Point { lat: 31.123_456, lon: 121.054_321 }),
            wishes: Wishes::default(),
        };
        let address = Address::parse(channel, address).unwrap();
        Ask {
            address,
            language: Language::Chinese,
            tongue: "zh-CN".into(),
            places: vec![home],
            account: None,
            marks: String::new(),
        }
    }

    pub(super) async fn send(&self, address: &str) -> Result<String, ResidentError> {
        self.residents.ask(Self::ask(address), HERE.parse().unwrap(), "").await
    }

    /// What went to single people so far, oldest first.
    pub(super) async fn sent(&self) -> Vec<Content> {
        let rows = sqlx::query("SELECT content FROM dispatch ORDER BY id").fetch_all(&self.store.read).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(&row.get::<String, _>(0)).unwrap()).collect()
    }

    pub(super) async fn text(&self) -> String {
        match self.sent().await.pop().expect("a message") {
            Content::Sms(content) => content.text,
            Content::Email(content) => content.text,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn code(&self) -> String {
        let text = self.text().await;
        let at = text.find("验证码").unwrap() + "验证码".len();
        text[at..at + 6].to_owned()
    }

    pub(super) async fn link(&self) -> String {
        let text = self.text().await;
        let at = text.find("https://warn.example.org/sign-up/confirm/").expect("our own address");
        text[at..].lines().next().unwrap().rsplit('/').next().unwrap().to_owned()
    }

    /// What the link of the newest mail names by which its owner wants no more.
    pub(super) async fn never(&self) -> String {
        let text = self.text().await;
        let at = text.find("https://warn.example.org/sign-up/never/").expect("our own address");
        text[at..].lines().next().unwrap().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned()
    }

    pub(super) async fn sign_up(&self, address: &str) -> i64 {
        let token = self.send(address).await.unwrap();
        let entered = match address.contains('@') {
            true => self.residents.confirm_link(&self.link().await).await,
            false => self.residents.confirm_code(&token, &self.code().await).await,
        };
        entered.unwrap().subscriber
    }
}

//! Officers, set up in the store before the server starts, and their authenticators.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin::app::{key_file, store_options};
use tocsin::approval::Rotation;
use tocsin::clock::Clock;
use tocsin::config::Config;
use tocsin::delivery::Address;
use tocsin::messages::Language;
use tocsin::officers::{Grant, SealKey, Totp};
use tocsin::policy::Policy;
use tocsin::rules::Position;
use tocsin::staff::{Ask, NewOfficer, Staff};
use tocsin::store::{OfficerRow, Store};

/// What everybody's password is.
pub const PASSWORD: &str = "a bell in the harbour";

/// An officer with an authenticator.
pub struct Officer {
    pub login: &'static str,
    pub totp: Totp,
    pub row: OfficerRow,
    /// The cookie of a session.
    pub session: String,
    used: DateTime<Utc>,
}

/// A clock that is behind.
struct Behind(TimeDelta);

impl Clock for Behind {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() - self.0
    }
}

/// The staff of a store, as a test sets it up.
pub struct Roll {
    store: Store,
    staff: Staff,
    behind: TimeDelta,
}

impl Roll {
    /// Opens the store of a configuration; sessions begin so long ago. The last proof of presence is as old as its session.
    pub async fn open(config: &std::path::Path, behind: TimeDelta) -> Self {
        let config = Config::load(config).unwrap();
        let store = Store::open(&store_options(&config)).await.unwrap();
        let policy = Arc::new(arc_swap::ArcSwap::from_pointee(Policy::build(&config).unwrap()));
        let key = SealKey::of_file(&key_file(&config)).unwrap();
        let staff = Staff::new(store.clone(), policy, Arc::new(Behind(behind)), key);
        Self { store, staff, behind }
    }

    /// An officer who has accepted an invitation and is signed in.
    pub async fn officer(&self, login: &'static str, name: &str, language: Language, grants: &str) -> Officer {
        let grants = grants.split_whitespace().map(|grant| Grant::parse(grant).unwrap()).collect();
        let new = NewOfficer { login: login.parse().unwrap(), name: name.into(), language, grants };
        let token = self.staff.invite(&new, None).await.unwrap();
        let (_, totp, sealed) = self.staff.invited(&token).await.unwrap();
        let now = Utc::now() - self.behind;
        let before = now - TimeDelta::seconds(30);
        self.staff.accept(&token, &sealed, PASSWORD.into(), &totp.code(before)).await.unwrap();
        let ask = Ask { login: login.into(), password: PASSWORD.into(), code: totp.code(now) };
        let session = self.staff.sign_in(ask).await.unwrap();
        let row = self.store.officers().await.unwrap().into_iter().find(|row| row.login.as_str() == login).unwrap();
        Officer { login, totp, row, session, used: now }
    }

    /// How an officer is called.
    pub async fn call(&self, officer: &Officer, addresses: &[Address]) {
        self.staff.set_own_addresses(&officer.row, addresses).await.unwrap();
    }

    /// Puts an officer on duty, as an administrator would.
    pub async fn on_duty(&self, by: &Officer, jurisdiction: &str, position: Position, officer: &Officer) {
        let starts = Utc::now() - TimeDelta::hours(1);
        let jurisdiction = jurisdiction.parse().unwrap();
        let rotation = Rotation { id: 0, jurisdiction, position, officers: vec![officer.row.id], days: 7, starts };
        self.staff.set_rotation(&rotation, &by.row).await.unwrap();
    }

    pub async fn close(self) {
        drop(self.staff);
        self.store.close().await;
    }
}

impl Officer {
    /// The next code that the authenticator shows and that was not used; waits for it where it must.
    pub async fn code(&mut self) -> String {
        next_code(&self.totp, &mut self.used).await
    }
}

/// The next code of an authenticator after the one of `used`. One that is a step early is taken too.
pub async fn next_code(totp: &Totp, used: &mut DateTime<Utc>) -> String {
    let step = |at: DateTime<Utc>| at.timestamp() / 30;
    let next = step(*used).max(step(Utc::now()) - 1) + 1;
    while next > step(Utc::now()) + 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    *used = DateTime::from_timestamp(next * 30, 0).unwrap();
    totp.code(*used)
}

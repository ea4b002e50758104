//! The record on disk. Only this module knows SQL; one text serves SQLite and PostgreSQL.
//!
//! Writes go through one connection, each in a transaction that is on disk (fsync) before its call returns; alerts alone are committed
//! first and wait for the disk together (`sync`).

mod addresses;
mod agreed;
mod alerts;
mod audience;
mod browsers;
mod chains;
mod chunks;
mod devices;
mod dispatches;
mod drafts;
mod duty;
mod erasure;
mod escalations;
mod journal;
mod ladder;
mod later;
mod notices;
mod officers;
mod organisations;
#[cfg(feature = "passkeys")]
mod passkeys;
mod places;
mod publications;
mod readers;
mod record;
mod refusals;
mod releases;
mod reports;
mod residents;
mod sessions;
mod sources;
mod stops;
mod subscribers;
mod sync;
mod unasked;
mod unpublished;
mod writer;

pub(crate) use agreed::{insert_agreed, withdraw_settings};
pub use alerts::{AlertRow, AlertState};
pub(crate) use alerts::{NewAlert, WholeAlert, as_read, insert_alert, refresh_alert_state, supersede};
pub use browsers::{Deed, SeenCount};
pub(crate) use browsers::{Done, Gone, is_lost, told_of_end};
pub(crate) use chains::{
    Kin, Like, Newcomer, insert_incidents, insert_link, insert_repeat, kin, merge_chain, set_alert_state,
};
pub(crate) use chunks::NewChunk;
pub(crate) use devices::{
    DeviceRow, News, delete_device, insert_device, set_account, set_alarm, set_listening, touch_accounts,
};
pub(crate) use dispatches::{Dispatch, NewDispatch};
pub(crate) use drafts::{DraftRow, ProposalRow, decide_proposal, insert_proposal, open_proposal, open_proposals};
pub(crate) use duty::{end_override, end_rotation, insert_override, set_rotation};
pub(crate) use erasure::{erase_resident, keep_departures};
pub use escalations::{EscalationRow, OpenRow, QueueRow};
pub(crate) use escalations::{escalation_in, insert_escalation, is_open, update_escalation, withdraw_escalations};
pub(crate) use journal::{Claimed, Journal, Opened};
pub(crate) use ladder::{LadderRow, Rung};
pub(crate) use notices::NoticeRow;
pub use officers::OfficerRow;
pub(crate) use officers::{
    Credentials, administrators, count_failure, insert_officer, is_suspended, officer_named, set_active, set_addresses,
    set_credentials, set_failures, set_grant, set_language, set_subject, use_totp_step,
};
pub(crate) use organisations::{
    ContactRow, HookRow, NewContact, delete_contact, delete_hook, delete_organisation, insert_contact, insert_hook,
    put_organisation,
};
#[cfg(feature = "passkeys")]
pub(crate) use passkeys::{PasskeyRow, delete_passkey, insert_passkey, update_passkey};
pub use places::Place;
pub(crate) use places::replace_places;
pub use publications::{Errand, OutletCount};
pub(crate) use publications::{Printed, Released};
pub use record::RecordFilter;
pub(crate) use record::{Entry, record};
pub(crate) use releases::{
    NewRelease, Planned, Release, ReleaseKind, Unplanned, correction_name, escalation_of, insert_planned_chunk,
    insert_release,
};
pub(crate) use reports::{RegionCounts, SourceCount, Tally};
pub(crate) use residents::{
    NewSignUp, OWN, ResidentRow, end_resident_session, end_sign_up, give_address, insert_personal_release,
    insert_resident, insert_resident_session, remove_own_address, set_resident, test_name,
};
pub(crate) use sessions::{
    TokenRow, end_old, end_session, end_sessions, end_token, fail_session, insert_invitation, insert_session,
    insert_token, prove_session, use_invitation,
};
pub(crate) use sources::EntryRow;
pub use sources::SourceRow;
pub(crate) use stops::{Cut, SetAside, hold_release, is_stopped, plan_parts_again, resume_release, supersede_release};
pub use subscribers::AddressCount;
pub(crate) use subscribers::{NewSubscriber, Stored};
pub(crate) use unasked::{allow_again, forget_unasked, forget_unrefused, refuse};
pub use unpublished::Unpublished;
pub(crate) use writer::Tx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Connection as _, Executor, QueryBuilder, Row as _, SqlSafeStr};

use self::readers::{PATIENCE, READERS, Readers};
use self::sync::Syncer;
use self::writer::Writer;
use crate::seal::{SecretError, Vault};

/// The open store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) read: Readers,
    write: Writer,
    syncer: Syncer,
    pub(crate) vault: Vault,
}

/// What can go wrong with the record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file or server cannot be opened.
    #[error("cannot open the store {url}: {source}; check [store] url in config.toml and the folder's permissions")]
    Open {
        /// What was to be opened, without a password.
        url: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the store's schema up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The disk, or the size that config allows, is used up.
    #[error("the store is full: free disk space or raise [store] max_size_mib; nothing was recorded")]
    Full,
    /// Any other refusal of the database.
    #[error("the store refused: {0}")]
    Database(sqlx::Error),
    /// A row that this version did not write.
    #[error("the store holds a row that cannot be read: {what}")]
    Corrupt {
        /// Which.
        what: String,
    },
    /// The key of personal data.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The store was sealed with another key.
    #[error(
        "{0} is not the key that the store's addresses are sealed with; put the right file there ([residents] key_file)"
    )]
    WrongKey(String),
    /// The key is not there, and the store was sealed with it.
    #[error("the key {0} is missing, and the store's addresses are sealed with it; bring it back from its backup")]
    NoKey(String),
    /// The disk did not take what was written.
    #[error("the disk has failed; see to it, and start again")]
    Disk,
    /// The engine's writer has stopped.
    #[error("the store's writer has stopped")]
    Stopped,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_FULL is 13; PostgreSQL's disk_full is 53100.
        let full = error.as_database_error().and_then(|e| e.code().map(|code| code == "13" || code == "53100"));
        match error {
            _ if full == Some(true) => Self::Full,
            sqlx::Error::ColumnDecode { index, source } => Self::corrupt(format!("column {index}: {source}")),
            other => Self::Database(other),
        }
    }
}

impl StoreError {
    /// Whether nothing else can be read or written either.
    pub(crate) const fn is_of_all(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::Disk
                | Self::Stopped
                | Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        )
    }

    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.to_string() }
    }
}

/// What was read of a row. One that cannot be read is told, and left out: it holds up nothing else.
pub(crate) fn readable<T>(what: &str, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, what, "a row cannot be read, and is left out");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// The advisory lock of the one program that may run on a PostgreSQL store: "tocsin".
const CLAIM: i64 = 0x746f_6373_696e;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite://path/to/file.db`, or `postgres://…` in a build with that feature.
    pub url: String,
    /// The largest size that an SQLite file may grow to, MiB; None for as much as the disk holds.
    pub max_size_mib: Option<u32>,
}

impl Store {
    /// Opens the store, makes it if it does not exist, and brings its schema up to date. Personal data is sealed with the key file
    /// `residents.key` beside it.
    ///
    /// # Errors
    /// When it cannot be opened or its schema cannot be read, or the key is not its key.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        Self::open_with_key(options, &key_beside(&options.url)).await
    }

    /// Opens the store with the key file of personal data.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with_key(options: &StoreOptions, key: &Path) -> Result<Self, StoreError> {
        let pools = connect(options).await?;
        if !key.exists() && pools.is_sealed().await? {
            return Err(StoreError::NoKey(key.display().to_string()));
        }
        let store = pools.store(Vault::of_file(key)?);
        store.check_key(key).await?;
        store.seal_old_addresses().await?;
        Ok(store)
    }

    /// Opens the store without its key: what is sealed stays so. For whoever reads the record, of a copy too.
    ///
    /// # Errors
    /// When it cannot be opened or its schema cannot be read.
    pub async fn open_sealed(options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(connect(options).await?.store(Vault::of_nobody()?))
    }

    /// Begins a transaction of the writer; it waits its turn.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(self.write.begin().await?)
    }

    /// Begins a transaction whose commit others see before it is on disk: [`Store::on_disk`] is to be waited for before anybody is
    /// told. Other programs may write until its first statement.
    pub(crate) async fn begin_early(&self) -> Result<Tx, StoreError> {
        if self.syncer.is_there() { Ok(self.write.begin_early().await?) } else { self.begin().await }
    }

    /// Returns when everything that was committed before is on disk.
    pub(crate) async fn on_disk(&self) -> Result<(), StoreError> {
        self.syncer.wait().await
    }

    /// Folds what is in the write-ahead log into the database file, as far as nobody is hindered by that.
    pub(crate) async fn fold(&self) -> Result<(), StoreError> {
        // Of a disk that has failed, nothing in the log is believed.
        if self.syncer.is_there() && !self.syncer.has_failed() {
            // By a connection of its own: nobody waits for one meanwhile.
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_all(self.read.pool()).await?;
        }
        Ok(())
    }

    /// Whether the disk has failed: no alert is taken before a restart.
    pub fn disk_failed(&self) -> bool {
        self.syncer.has_failed()
    }

    /// As if the disk had failed.
    #[cfg(test)]
    pub(crate) fn fail_disk(&self) {
        self.syncer.fail();
    }

    /// Claims a PostgreSQL store for this program, as long as the connection lives; None when another program has claimed it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn claim(url: &str) -> Result<Option<AnyConnection>, StoreError> {
        let mut connection = AnyConnection::connect(url).await?;
        let sql = "SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END";
        let got: i32 = sqlx::query_scalar(sql).bind(CLAIM).fetch_one(&mut connection).await?;
        Ok((got == 1).then_some(connection))
    }

    /// Closes every connection; the WAL is folded into the database file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// The connections of a store that is not open yet.
struct Pools {
    write: Writer,
    read: Readers,
    syncer: Syncer,
}

impl Pools {
    fn store(self, vault: Vault) -> Store {
        Store { read: self.read, write: self.write, syncer: self.syncer, vault }
    }

    /// Whether a key has been used on it.
    async fn is_sealed(&self) -> Result<bool, StoreError> {
        let mark: Option<String> =
            sqlx::query_scalar("SELECT mark FROM seal LIMIT 1").fetch_optional(&self.read).await?;
        Ok(mark.is_some())
    }
}

/// Makes the file of a new store, for its owner's eyes alone; what SQLite makes beside it is like it. One that is there stays as it is.
fn own_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Connects, and brings the schema up to date.
async fn connect(options: &StoreOptions) -> Result<Pools, StoreError> {
    sqlx::any::install_default_drivers();
    let shown = options.url.split('@').next_back().unwrap_or_default().to_owned();
    let failed = |source| StoreError::Open { url: shown.clone(), source };
    let sqlite = options.url.starts_with("sqlite:");
    if let Some(path) = options.url.strip_prefix("sqlite://") {
        let folder = std::path::Path::new(path).parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| failed(sqlx::Error::Io(e)))?;
        }
        own_file(std::path::Path::new(path)).map_err(|e| failed(sqlx::Error::Io(e)))?;
    }
    let url = if sqlite { format!("{}?mode=rwc", options.url) } else { options.url.clone() };
    let connect: AnyConnectOptions = url.parse().map_err(failed)?;
    // SQLite counts its size in pages of 4 KiB.
    let pages = options.max_size_mib.map(|mib| u64::from(mib) * 256);
    let pool = |size: u32| {
        AnyPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(!sqlite)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                        connection.execute("PRAGMA synchronous = FULL").await?;
                        connection.execute("PRAGMA busy_timeout = 10000").await?;
                        // [`Store::fold`] is quicker: whoever commits does not wait for it.
                        connection.execute("PRAGMA wal_autocheckpoint = 16000").await?;
                        if let Some(pages) = pages {
                            let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
                            connection.execute(sqlx::raw_sql(limit)).await?;
                        }
                    }
                    Ok(())
                })
            })
    };
    let write = pool(1).connect_with(connect.clone()).await.map_err(failed)?;
    migrator().run(&write).await?;
    let read = Readers::new(pool(READERS).connect_with(connect).await.map_err(failed)?, sqlite);
    let syncer = match options.url.strip_prefix("sqlite://") {
        // Without it, each commit has an fsync of its own.
        Some(path) => Syncer::of(Path::new(path)).unwrap_or_else(|error| {
            tracing::warn!(%error, path, "the store's log cannot be synced for many at once; each alert waits for the disk by itself");
            Syncer::default()
        }),
        None => Syncer::default(),
    };
    Ok(Pools { write: Writer::new(write, sqlite), read, syncer })
}

/// Where the key of personal data lies if nobody says otherwise: beside the store's file.
fn key_beside(url: &str) -> PathBuf {
    let folder = url.strip_prefix("sqlite://").map(Path::new).and_then(Path::parent);
    folder.unwrap_or(Path::new("data")).join("residents.key")
}

/// Takes `n` ids of this kind and returns the first.
pub(crate) async fn take_ids(tx: &mut Tx, kind: &'static str, n: i64) -> Result<i64, StoreError> {
    let [first] = take_ids_of(tx, [(kind, n)]).await?;
    Ok(first)
}

/// Takes so many ids of each of these kinds, in one statement, and returns the first of each.
async fn take_ids_of<const N: usize>(tx: &mut Tx, kinds: [(&'static str, i64); N]) -> Result<[i64; N], StoreError> {
    let mut sql = QueryBuilder::new("INSERT INTO counter (name, value) ");
    sql.push_values(kinds, |mut values, (kind, n)| {
        values.push_bind(kind).push_bind(n);
    });
    sql.push(" ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING name, value");
    let mut last = BTreeMap::new();
    for row in sql.build().fetch_all(&mut *tx).await? {
        last.insert(row.try_get::<String, _>("name")?, row.try_get::<i64, _>("value")?);
    }
    let first = |(kind, n)| Some(last.get(kind)? - n + 1);
    let all: Vec<i64> = kinds.into_iter().filter_map(first).collect();
    all.try_into().map_err(|_| StoreError::corrupt("a counter is not there"))
}

fn migrator() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        step(1, "ground", include_str!("../../migrations/0001_ground.sql")),
        step(2, "officers", include_str!("../../migrations/0002_officers.sql")),
        step(3, "agreed", include_str!("../../migrations/0003_agreed.sql")),
        step(4, "publish", include_str!("../../migrations/0004_publish.sql")),
        step(5, "sources", include_str!("../../migrations/0005_sources.sql")),
        step(7, "chains", include_str!("../../migrations/0007_chains.sql")),
        step(8, "residents", include_str!("../../migrations/0008_residents.sql")),
        step(9, "browsers", include_str!("../../migrations/0009_browsers.sql")),
        step(11, "devices", include_str!("../../migrations/0011_devices.sql")),
        step(12, "queue", include_str!("../../migrations/0012_queue.sql")),
        step(13, "outlets", include_str!("../../migrations/0013_outlets.sql")),
        step(14, "speed", include_str!("../../migrations/0014_speed.sql")),
        step(15, "unasked", include_str!("../../migrations/0015_unasked.sql")),
        step(16, "says", include_str!("../../migrations/0016_says.sql")),
    ])
}

//! The files kept current: looked at whenever an account, a right or the map has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tocsin_channels::mqtt::MqttConfig;
use tokio_util::sync::CancellationToken;

use super::files::{Written, write};
use super::hash::steady_hash;
use super::rights::acl;
use crate::policy::Policy;
use crate::regions::RegionMap;
use crate::store::{Store, StoreError};

/// The store is asked this often whether anything has changed.
const ROUND: Duration = Duration::from_millis(500);

/// Why the broker's files cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Our own password.
    #[error("channels.mqtt: {0}: {1}")]
    Password(String, std::io::Error),
    /// The files.
    #[error("the broker's files: {0}")]
    Write(#[from] std::io::Error),
}

/// What the broker's two files must say: passwords, and rights.
///
/// # Errors
/// When the store or our own password's file cannot be read.
pub async fn account_files(store: &Store, map: &RegionMap, mqtt: &MqttConfig) -> Result<(String, String), BrokerError> {
    let (accounts, organisations) = (store.accounts().await?, store.organisations().await?);
    let devices: Vec<_> = store.devices().await?.into_iter().map(|row| row.device).collect();
    let mut passwords = String::new();
    if let (Some(name), Some(path)) = (&mqtt.username, &mqtt.password_file) {
        let password = std::fs::read_to_string(path);
        let password = password.map_err(|e| BrokerError::Password(path.display().to_string(), e))?;
        passwords.push_str(&format!("{name}:{}\n", steady_hash(name, password.trim_end())));
    }
    for (name, hash) in &accounts {
        passwords.push_str(&format!("{name}:{hash}\n"));
    }
    let prefix = mqtt.prefix.trim_end_matches('/');
    Ok((passwords, acl(prefix, mqtt.username.as_deref(), &accounts, &organisations, &devices, map)))
}

/// Keeps the files of a folder current until told to stop.
pub(crate) async fn keep(
    store: Store,
    policy: Arc<ArcSwap<Policy>>,
    mqtt: MqttConfig,
    folder: PathBuf,
    stop: CancellationToken,
) {
    let mut seen = None;
    loop {
        let round = async {
            let (version, now) = (store.accounts_version().await?, policy.load_full());
            if seen.as_ref().is_some_and(|(known, map)| *known == version && Arc::ptr_eq(map, &now)) {
                return Ok(());
            }
            let (passwords, acl) = account_files(&store, &now.map, &mqtt).await?;
            if write(&folder, &passwords, &acl)? == Written::Changed {
                tracing::info!(folder = %folder.display(), "the broker's accounts have changed: it must read its files again (SIGHUP)");
            }
            seen = Some((version, now));
            Ok::<(), BrokerError>(())
        };
        if let Err(error) = round.await {
            tracing::error!(%error, "the broker's accounts cannot be written; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => return,
        }
    }
}

//! What keeps house: retained MQTT states that are over are cleared, and neither personal data nor logs are kept longer than told.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use cron::Schedule;
use tocsin_channels::mqtt::Mqtt;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::HousekeepingConfig;
use crate::residents::LINK_HOLDS;
use crate::store::Store;

/// Retained states are looked through this often.
const ROUND: Duration = Duration::from_secs(5);

/// Sign-ups that nobody confirmed, and what went to one person alone, are looked through this often.
const SWEEP: TimeDelta = TimeDelta::minutes(10);

/// Keeps house until told to stop.
pub(crate) async fn keep(
    store: Store,
    mqtt: Option<Arc<Mqtt>>,
    clock: Arc<dyn Clock>,
    config: HousekeepingConfig,
    stop: CancellationToken,
) {
    let mut due = next(&config.schedule, clock.now());
    let mut swept = DateTime::<Utc>::UNIX_EPOCH;
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => return,
        }
        let now = clock.now();
        if let Some(mqtt) = &mqtt {
            let cleared = mqtt.clear_expired(now.into()).await;
            if cleared > 0 {
                tracing::info!(states = cleared, "MQTT states that are over were cleared");
            }
        }
        if now - swept >= SWEEP {
            swept = now;
            match store.prune_residents(now - LINK_HOLDS, now).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(sign_ups = gone, "sign-ups that nobody confirmed were thrown away"),
                Err(error) => tracing::error!(%error, "unconfirmed sign-ups could not be thrown away"),
            }
        }
        if due.is_some_and(|due| due <= now) {
            let before = now - TimeDelta::days(i64::from(config.keep_days));
            match store.prune(before).await {
                Ok(releases) => tracing::info!(releases, "addresses and outcomes of old releases were thrown away"),
                Err(error) => tracing::error!(%error, "housekeeping failed; it is tried again at its next time"),
            }
            match store.prune_logs(before).await {
                Ok(rows) => tracing::info!(rows, "old refusals and errands that are done were thrown away"),
                Err(error) => tracing::error!(%error, "old refusals and errands could not be thrown away"),
            }
            due = next(&config.schedule, now);
        }
    }
}

/// The store's log is folded into its file this often.
const FOLDED: Duration = Duration::from_secs(1);

/// Folds the store's log into its file until told to stop, so that no alert waits for it.
pub(crate) async fn fold(store: Store, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(FOLDED) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = store.fold().await {
            tracing::error!(%error, "the store's log could not be folded into its file; it is tried again");
        }
    }
}

/// The schedule's next time, read in China Standard Time.
fn next(schedule: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let beijing = FixedOffset::east_opt(8 * 3600)?;
    let schedule = Schedule::from_str(schedule).ok()?;
    schedule.after(&now.with_timezone(&beijing)).next().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_past_three_is_meant_in_beijing() {
        let now = "2026-07-01T00:00:00Z".parse().unwrap();
        assert_eq!(next("0 30 3 * * *", now), Some("2026-07-01T19:30:00Z".parse().unwrap()));
        assert_eq!(next("nonsense", now), None);
    }
}

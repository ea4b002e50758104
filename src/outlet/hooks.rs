//! Webhooks of organisations: they come, change and go while the program runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::errands;
use super::press::Press;
use super::receivers::Receiver;
use crate::organisations::Organisation;
use crate::store::{HookRow, StoreError};

/// The store is asked this often which there are.
const ROUND: Duration = Duration::from_secs(1);

/// One that runs, as it was when it began.
struct Running {
    hook: HookRow,
    organisation: Organisation,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Runs each webhook that is on record, until told to stop.
pub(super) async fn run(press: Arc<Press>, allow_private: Vec<String>, stop: CancellationToken) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    loop {
        if let Err(error) = look(&press, &allow_private, (&mut running, &mut refused), &stop).await {
            tracing::error!(%error, "the organisations' webhooks cannot be looked up; those that run go on");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => break,
        }
    }
    for one in running.into_values() {
        end(one).await;
    }
}

async fn look(
    press: &Arc<Press>,
    allow_private: &[String],
    (running, refused): (&mut BTreeMap<String, Running>, &mut BTreeMap<String, HookRow>),
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let organisations = press.store.organisations().await?;
    let organisations: BTreeMap<_, _> = organisations.into_iter().map(|one| (one.code.clone(), one)).collect();
    let hooks =
        press.store.hooks().await?.into_iter().map(|hook| (format!("{}.{}", hook.organisation, hook.name), hook));
    let hooks: BTreeMap<String, HookRow> = hooks.collect();
    let stale: Vec<String> = running
        .iter()
        .filter(|(name, one)| {
            hooks.get(*name) != Some(&one.hook) || organisations.get(&one.hook.organisation) != Some(&one.organisation)
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in stale {
        if let Some(one) = running.remove(&name) {
            end(one).await;
        }
    }
    for (name, hook) in hooks {
        let Some(organisation) = organisations.get(&hook.organisation).filter(|_| !running.contains_key(&name)) else {
            continue;
        };
        let receiver = match Receiver::of_organisation(&name, &hook, organisation, allow_private) {
            Ok(receiver) => receiver,
            Err(error) => {
                // Its address was good when it was written: the operator has closed a network since. Told once for each change.
                if refused.insert(name, hook.clone()).as_ref() != Some(&hook) {
                    tracing::warn!(%error, "an organisation's webhook cannot be used");
                }
                continue;
            }
        };
        let own = stop.child_token();
        let task = tokio::spawn(errands::run(Arc::clone(press), receiver, own.clone()));
        running.insert(name, Running { hook, organisation: organisation.clone(), stop: own, task });
    }
    Ok(())
}

async fn end(one: Running) {
    one.stop.cancel();
    // It only waits for timers, and for a post in flight.
    let _ = one.task.await;
}

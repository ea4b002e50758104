//! `tocsin config`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;
use tocsin_channels::ChannelKind;

use super::{Context, GO_THERE, NO_CONFIG, missing_store};
use crate::app::key_file;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::grave::{Change, GraveSettings};
use crate::officers::SealKey;
use crate::policy::Policy;
use crate::show::Failure;
use crate::sources::SourceTerms;
use crate::staff::Staff;

/// Reads everything that the configuration names; says whether it holds, and what of it would wait for an administrator.
pub(super) async fn check(context: &Context) -> Result<bool, Failure> {
    if context.lacks_config() {
        return Err(format!("{NO_CONFIG}, and nothing to check: {GO_THERE}").into());
    }
    let config = context.config()?;
    let policy = Policy::build(&config)?;
    crate::app::rehearse(&config)?;
    config.server.languages.as_deref().map(crate::web::load_languages).transpose()?;
    let (rules, bureaus) = (policy.rules.rules.len(), policy.bureaus.len());
    let waits = waits(context, &config, policy).await?;
    let remarks = remarks(&config);
    if context.json {
        let found = json!({"ok": true, "rules": rules, "bureaus": bureaus, "waits": waits, "remarks": remarks});
        println!("{found}");
        return Ok(true);
    }
    println!("{} holds: {rules} rules, {bureaus} bureaus, templates and map in order", context.path.display());
    for remark in remarks {
        println!("Mind: {remark}");
    }
    for source in config.sources.iter().filter(|source| source.terms().is_some()) {
        let asks = config.bureau_by(source).as_ref().map(SourceTerms::in_short).unwrap_or_default();
        println!("Source {} asks for more or less than its bureau {}: {asks}", source.name(), source.bureau());
    }
    if !waits.is_empty() {
        println!(
            "An administrator has to agree to what follows, on the console's page of people; until then the old holds:"
        );
        for change in waits {
            println!("  {change}");
        }
    }
    Ok(true)
}

/// What holds, and is better otherwise.
fn remarks(config: &Config) -> Vec<String> {
    let nowhere = config.server.public_url.is_none();
    let calls = "[server] public_url is not set: calls to officers carry no link to take or decide by";
    nowhere.then(|| calls.to_owned()).into_iter().chain(unreached(config)).collect()
}

/// Whom nothing reaches, because a channel is not set up.
fn unreached(config: &Config) -> Option<String> {
    let who = |kind| match kind {
        ChannelKind::Sms => "[channels.sms] (telephone numbers)",
        ChannelKind::Email => "[channels.email] (mailboxes)",
        ChannelKind::Mqtt => "[channels.mqtt] (sirens, signs, programs)",
        ChannelKind::Push => "[channels.push] (browsers)",
    };
    let missing: Vec<_> = ChannelKind::ALL.into_iter().filter(|kind| !config.channels.has(*kind)).map(who).collect();
    let missing = (!missing.is_empty()).then(|| missing.join(", "))?;
    Some(format!("not set up: {missing}; whoever has no other address is told nothing"))
}

/// What would wait; nothing where there is no store yet: the first configuration needs nobody.
async fn waits(context: &Context, config: &Config, policy: Policy) -> Result<Vec<Change>, Failure> {
    let key = key_file(config);
    if missing_store(config).is_some() || !key.exists() {
        return Ok(Vec::new());
    }
    let store = context.store().await?;
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let staff = Staff::new(store.clone(), Arc::clone(&policy), Arc::new(SystemClock), SealKey::of_file(&key)?);
    let waits: Result<Vec<Change>, Failure> = async {
        let standing = staff.standing(&GraveSettings::of(config)?, &policy.load().map).await?;
        crate::app::use_agreed(config, &standing.in_force, &staff).await?;
        Ok(standing.waits)
    }
    .await;
    store.close().await;
    waits
}

//! The program put together: store, policy, intake, engine, and what keeps house.

mod agreed;
mod channels;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tocsin_channels::ChannelKind;
use tocsin_channels::email::EmailError;
use tocsin_channels::mqtt::MqttError;
use tocsin_channels::push::PushError;
use tocsin_channels::sms::SmsError;
use tokio_util::sync::CancellationToken;

pub(crate) use agreed::use_agreed;
use agreed::{agreed_channels, under};
use channels::{in_force, prices, providers, rates};

use crate::approval::{self, Desk};
use crate::broker;
use crate::clock::Clock;
use crate::config::{ChannelsConfig, Config, ConfigError, Price};
use crate::delivery::LeaveLinks;
use crate::devices::{self, Devices};
use crate::dispatch::{Engine, EngineOptions, WaysOut};
use crate::grave::GraveSettings;
use crate::housekeeping;
use crate::intake::Intake;
use crate::officers::{SealKey, SecretError};
use crate::oidc::{Organisation, OrganisationError};
use crate::organisations::Organisations;
use crate::outlet::{self, OutletError, Press, Receivers};
#[cfg(feature = "passkeys")]
use crate::passkeys::Passkeys;
use crate::policy::{Policy, PolicyError};
use crate::residents::{self, Receipts, Residents};
use crate::seal::key_bytes;
use crate::sources::{self, Door, SourceConfig};
use crate::staff::{Staff, StaffError, Standing};
use crate::store::{Store, StoreError, StoreOptions, set_listening};

/// Everything that runs.
pub struct App {
    /// The record.
    pub store: Store,
    /// What may change while it runs.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The front door.
    pub intake: Arc<Intake>,
    /// Where we go for alerts ourselves.
    pub sources: Vec<SourceConfig>,
    /// Programs that are told of what is published: how tables name each, and its address.
    pub receivers: Vec<(String, String)>,
    /// The officers' desk.
    pub desk: Arc<Desk>,
    /// What sends.
    pub engine: Engine,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// One-click leave links, where they are set up.
    pub leave: Option<LeaveLinks>,
    /// Channels that are set up.
    pub channels: BTreeSet<ChannelKind>,
    /// What each allows a second, where it is limited.
    pub rates: BTreeMap<ChannelKind, u32>,
    /// What one costs on each, where config says.
    pub prices: BTreeMap<ChannelKind, Price>,
    /// The key that browsers are given when they subscribe, where pushes are sent.
    pub push_key: Option<String>,
    /// The officers.
    pub staff: Staff,
    /// The organisation's own sign-in, where it is set up.
    pub organisation: Option<Organisation>,
    /// Passkeys, where people reach this server by a name.
    #[cfg(feature = "passkeys")]
    pub passkeys: Option<Passkeys>,
    /// Residents who sign up themselves.
    pub residents: Arc<Residents>,
    /// What browsers report of the messages that they got.
    pub receipts: Receipts,
    /// Organisations.
    pub organisations: Organisations,
    /// Sirens, loudspeakers and signs.
    pub devices: Arc<Devices>,
    /// The secret word in the address that the SMS gateway brings answers to.
    pub inbound: Option<String>,
    /// Whether people reach this server by HTTPS.
    pub secure: bool,
    /// How people reach this server; empty where config does not say.
    pub base: String,
    /// What is published.
    pub press: Arc<Press>,
    config: tokio::sync::Mutex<Config>,
    stop: CancellationToken,
    keepers: Vec<tokio::task::JoinHandle<()>>,
    _lock: Lock,
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Map, rules, templates or bureaus.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another program uses the store.
    #[error("{0} is in use by another running tocsin; stop it first, or name another store")]
    InUse(String),
    /// The key that seals officers' secrets.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// Officers, and what they agreed to.
    #[error("the settings that were agreed to: {0}")]
    Staff(#[from] StaffError),
    /// What was agreed to for another version of the program.
    #[error(
        "T9001: {what} cannot be used by this version of the program: {why}. Nothing takes its place without an administrator: go back to \
         the version before, with the copy of the store from before the update, have one agree there to what both versions can read, and \
         update again (docs/operators.md, \"Another version\")"
    )]
    Agreed {
        /// Which part of it, since when it is in force, and who agreed.
        what: String,
        /// Why not.
        why: String,
    },
    /// The organisation's own sign-in.
    #[error(transparent)]
    Organisation(#[from] OrganisationError),
    /// The secret of leave links.
    #[error("server: {path}: {why}")]
    Secret {
        /// Which file.
        path: String,
        /// Why not.
        why: String,
    },
    /// A channel.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// A channel.
    #[error(transparent)]
    Sms(#[from] SmsError),
    /// A channel.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// A channel.
    #[error(transparent)]
    Push(#[from] PushError),
    /// A webhook, or WIS2.
    #[error(transparent)]
    Outlet(#[from] OutletError),
}

/// How the store is opened, as config says.
pub fn store_options(config: &Config) -> StoreOptions {
    StoreOptions { url: config.store.url.clone(), max_size_mib: config.store.max_size_mib }
}

/// Opens the store with the key of personal data, as config says.
///
/// # Errors
/// When it cannot be opened, or the key is not its key.
pub async fn open_store(config: &Config) -> Result<Store, StoreError> {
    match &config.residents.key_file {
        Some(key) => Store::open_with_key(&store_options(config), key).await,
        None => Store::open(&store_options(config)).await,
    }
}

/// Reads and makes everything that config names, as a start does, and lets it go again: what a start would refuse is refused here.
/// The broker is left alone, where a running server may be connected.
///
/// # Errors
/// When a part could not start.
pub fn rehearse(config: &Config) -> Result<(), StartError> {
    GraveSettings::of(config)?;
    Named::of(config, false)?;
    providers(&ChannelsConfig { mqtt: None, ..config.channels.clone() })?;
    Ok(())
}

/// What config names beside channels, read and made.
struct Named {
    leave: Option<LeaveLinks>,
    inbound: Option<String>,
    organisation: Option<Organisation>,
    receivers: Receivers,
}

impl Named {
    fn of(config: &Config, make: bool) -> Result<Self, StartError> {
        let public_url = config.server.public_url.as_deref();
        Ok(Self {
            leave: leave_links(config, make)?,
            inbound: inbound_secret(config)?,
            organisation: config.console.oidc.as_ref().map(|oidc| Organisation::new(oidc, public_url)).transpose()?,
            receivers: Receivers::of(config)?,
        })
    }
}

impl App {
    /// Starts everything but the HTTP server.
    ///
    /// # Errors
    /// When any part cannot start; nothing is sent then.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let wanted = GraveSettings::of(config)?;
        let policy = Policy::build(config)?;
        let key = SealKey::of_file(&key_file(config))?;
        let Named { leave, inbound, organisation, receivers } = Named::of(config, true)?;
        let store = open_store(config).await?;
        let lock = lock(&config.store.url).await?;
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let staff = Staff::new(store.clone(), Arc::clone(&policy), Arc::clone(&clock), key);
        let standing = staff.take_settings(&wanted, &policy.load().map).await?;
        tell(&standing);
        if standing.in_force != wanted {
            let under = under(Policy::build(config)?, &standing.in_force, &staff, (&store, clock.as_ref())).await?;
            policy.store(Arc::new(under));
        }
        let channels_config = agreed_channels(&standing.in_force, config, &staff).await?;
        let (providers, mqtt, push) = providers(&channels_config)?;
        let channels: BTreeSet<_> = providers.iter().map(|provider| provider.channel.kind()).collect();
        for missing in ChannelKind::ALL.into_iter().filter(|kind| !channels.contains(kind)) {
            tracing::warn!(channel = %missing, "the channel is not set up in config.toml: what rules send there waits, and expires");
        }
        if let Some(mqtt) = &mqtt {
            let (mqtt, states) = (Arc::clone(mqtt), in_force(&store, clock.as_ref()).await?);
            tokio::spawn(async move { mqtt.restore(states).await });
        }
        let options = EngineOptions {
            clock: Arc::clone(&clock),
            leave: WaysOut { links: leave.clone(), answers: inbound.is_some() },
            policy: Some(Arc::clone(&policy)),
        };
        let engine = Engine::start(store.clone(), providers, options).await?;
        let stop = CancellationToken::new();
        let keeper =
            housekeeping::keep(store.clone(), mqtt, Arc::clone(&clock), config.housekeeping.clone(), stop.clone());
        let base = config.server.public_url.as_deref().unwrap_or_default();
        let (held, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let rates = rates(&channels_config);
        let desk = Arc::new(Desk::new(store.clone(), held, time, base, engine.waker()));
        let intake = Arc::new(Intake::new(store.clone(), Arc::clone(&policy), Arc::clone(&clock), Arc::clone(&desk)));
        let mut keepers = vec![tokio::spawn(keeper), tokio::spawn(approval::watch(Arc::clone(&desk), stop.clone()))];
        keepers.push(tokio::spawn(housekeeping::fold(store.clone(), stop.clone())));
        let parts = (store.clone(), Arc::clone(&policy), Arc::clone(&clock));
        let press = Arc::new(Press::open(parts, Arc::clone(&desk), &config.publish, base).await?);
        keepers.extend(outlet::start(&press, receivers, &config.organisations.allow_private, &stop));
        let (held, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let door = Arc::new(Door::new(Arc::clone(&intake), held, store.clone(), time, engine.waker()));
        keepers.extend(sources::start(&config.sources, &door, &stop));
        let (held, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let organisations = Organisations::new(store.clone(), held, time, &config.organisations);
        let (held, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let devices = Arc::new(Devices::new(store.clone(), held, time, &config.devices.clone().unwrap_or_default()));
        // Whoever listened before has stopped; the listener says so when it is there again.
        set_listening(&store, None).await?;
        let mqtt = channels_config.mqtt.as_ref().map(|mqtt| &mqtt.via);
        keepers.extend(of_broker(config, mqtt, (&store, &policy), (&devices, &desk), &stop));
        let secure = base.starts_with("https://");
        let (held, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let (kinds, limits) = (channels.iter().copied().collect(), config.residents.limits.clone());
        let push_key = push.as_ref().map(|push| push.public_key());
        let residents =
            Residents::new(store.clone(), held, time, (base, limits), kinds, engine.waker()).with_push(push);
        let residents = residents.with_answers(inbound.is_some());
        let residents = Arc::new(residents);
        keepers.push(tokio::spawn(residents::watch(Arc::clone(&residents), stop.clone())));
        let (receipts, writing) = Receipts::new(store.clone(), Arc::clone(&clock), stop.clone());
        keepers.push(tokio::spawn(writing));
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            store,
            policy,
            intake,
            sources: config.sources.clone(),
            receivers: config
                .webhooks
                .iter()
                .map(|hook| (format!("webhook/{}", hook.name), hook.url.clone()))
                .collect(),
            desk,
            engine,
            clock,
            leave,
            channels,
            rates,
            prices: prices(&channels_config),
            push_key,
            staff,
            organisation,
            #[cfg(feature = "passkeys")]
            passkeys: Passkeys::new(config.server.public_url.as_deref()),
            residents,
            receipts,
            organisations,
            devices,
            inbound,
            secure,
            base,
            press,
            config: tokio::sync::Mutex::new(config.clone()),
            stop,
            keepers,
            _lock: lock,
        })
    }

    /// Reads map, rules, templates and bureaus again; what is broken is refused whole, and the old stays in force. What is wider than
    /// was agreed to waits for an administrator.
    ///
    /// # Errors
    /// When anything is wrong with the new.
    pub async fn reload(&self, path: &Path) -> Result<(), StartError> {
        let mut config = self.config.lock().await;
        let new = Config::load(path)?;
        let wanted = GraveSettings::of(&new)?;
        let policy = Policy::build(&new)?;
        let standing = self.staff.take_settings(&wanted, &policy.map).await?;
        let own = (&self.store, self.clock.as_ref());
        let policy = under(policy, &standing.in_force, &self.staff, own).await?;
        self.policy.store(Arc::new(policy));
        *config = new;
        tracing::info!(file = %path.display(), "rules, templates, map and bureaus were read again; channels and server need a restart");
        tell(&standing);
        Ok(())
    }

    /// An administrator has agreed to these settings: rules and bureaus come into force, channels at the next start.
    ///
    /// # Errors
    /// When map or templates on disk have been broken since.
    pub async fn take_up(&self, settings: &GraveSettings) -> Result<(), StartError> {
        let config = self.config.lock().await;
        let own = (&self.store, self.clock.as_ref());
        let policy = under(Policy::build(&config)?, settings, &self.staff, own).await?;
        self.policy.store(Arc::new(policy));
        tracing::info!("rules and bureaus that an administrator agreed to are in force; channels need a restart");
        Ok(())
    }

    /// Whether officers may come in with passkeys.
    pub const fn has_passkeys(&self) -> bool {
        #[cfg(feature = "passkeys")]
        return self.passkeys.is_some();
        #[cfg(not(feature = "passkeys"))]
        return false;
    }

    /// The link of an invitation.
    pub fn invitation_link(&self, token: &str) -> String {
        format!("{}/invitation/{token}", self.base)
    }

    /// Stops: windows in flight are recorded, what is left goes on at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        for keeper in self.keepers {
            // They only wait for timers.
            let _ = keeper.await;
        }
        // The desk wakes the engine: it is let go of first.
        drop((self.intake, self.desk, self.press, self.residents, self.devices));
        self.engine.stop().await;
        self.store.close().await;
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Policy(error.into())
    }
}

/// Says how the grave settings stand.
fn tell(standing: &Standing) {
    if !standing.asks {
        tracing::info!("there are fewer than two administrators: bureaus, rules and channels need nobody's yes");
    }
    for change in &standing.waits {
        tracing::warn!(%change, "waits for an administrator's yes on the console's page of people; what was agreed to before stays in force");
    }
}

/// What else goes on at the broker, as config says: accounts kept current, devices listened to and watched.
fn of_broker(
    config: &Config,
    mqtt: Option<&tocsin_channels::mqtt::MqttConfig>,
    (store, policy): (&Store, &Arc<ArcSwap<Policy>>),
    (devices, desk): (&Arc<Devices>, &Arc<Desk>),
    stop: &CancellationToken,
) -> Vec<tokio::task::JoinHandle<()>> {
    let Some(mqtt) = mqtt else { return Vec::new() };
    let mut tasks = Vec::new();
    if let Some(broker) = &config.broker {
        tasks.push(tokio::spawn(broker::keep(
            store.clone(),
            Arc::clone(policy),
            mqtt.clone(),
            broker.accounts.clone(),
            stop.clone(),
        )));
    }
    if config.devices.is_some() {
        tasks.push(tokio::spawn(devices::listen(Arc::clone(devices), mqtt.clone(), stop.clone())));
        tasks.push(tokio::spawn(devices::watch(Arc::clone(devices), Arc::clone(desk), stop.clone())));
    }
    tasks
}

/// What keeps a second program from the store.
enum Lock {
    File { _held: std::fs::File },
    Server { _held: Box<std::sync::Mutex<sqlx::AnyConnection>> },
}

/// One engine per store: the file beside the database, or a lock of the server, is held as long as the program runs.
async fn lock(url: &str) -> Result<Lock, StartError> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        // The address may hold a password.
        let claimed = Store::claim(url).await?.ok_or_else(|| StartError::InUse("the PostgreSQL store".into()))?;
        return Ok(Lock::Server { _held: Box::new(std::sync::Mutex::new(claimed)) });
    };
    let name = format!("{path}.lock");
    let file = std::fs::File::create(&name).map_err(|_| StartError::InUse(name.clone()))?;
    file.try_lock().map_err(|_| StartError::InUse(path.to_owned()))?;
    Ok(Lock::File { _held: file })
}

/// Each mail has a way out as soon as people can reach this server: where config names no secret, one is made beside the store. `make`
/// it, or only look.
fn leave_links(config: &Config, make: bool) -> Result<Option<LeaveLinks>, StartError> {
    let Some(url) = &config.server.public_url else {
        if config.channels.email.is_some() {
            tracing::warn!("mails carry no link to leave by: set public_url under [server]");
        }
        return Ok(None);
    };
    let own = config.server.leave_secret_file.clone();
    let path = own.clone().unwrap_or_else(|| beside_store(config, "leave.key"));
    let bad = |why: String| StartError::Secret { path: path.display().to_string(), why };
    let secret = match own {
        Some(path) => std::fs::read(&path).map_err(|e| bad(e.to_string()))?,
        None if make || path.exists() => key_bytes(&path)?,
        None => return Ok(None),
    };
    if secret.len() < 16 {
        return Err(bad("the secret is shorter than 16 bytes".into()));
    }
    Ok(Some(LeaveLinks::new(&format!("{}/leave", url.trim_end_matches('/')), &secret)))
}

fn inbound_secret(config: &Config) -> Result<Option<String>, StartError> {
    let Some(path) = &config.residents.inbound_secret_file else { return Ok(None) };
    let bad = |why: String| StartError::Secret { path: path.display().to_string(), why };
    let secret = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?.trim().to_owned();
    let plain = secret.len() >= 16 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if plain { Ok(Some(secret)) } else { Err(bad("it must hold 16 or more letters, digits, - or _".into())) }
}

/// Where the key lies that seals officers' secrets: where config says, else beside the store.
pub fn key_file(config: &Config) -> std::path::PathBuf {
    config.console.key_file.clone().unwrap_or_else(|| beside_store(config, "console.key"))
}

fn beside_store(config: &Config, name: &str) -> std::path::PathBuf {
    let store = config.store.url.strip_prefix("sqlite://").map(Path::new).and_then(Path::parent);
    store.unwrap_or(Path::new("data")).join(name)
}

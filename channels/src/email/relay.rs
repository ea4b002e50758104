//! Relays in order, and their idle connections.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::answer::Answers;
use super::config::{EmailConfig, EmailError, RelayConfig, Tls};
use super::connection::Connection;
use crate::{Answer, Class};

/// An idle connection older than this is not used again: relays close them after a minute or five.
const IDLE: Duration = Duration::from_secs(30);
/// A relay that failed is passed over for so long, while another is there.
const PASS_OVER: Duration = Duration::from_secs(15);

/// A relay, ready to be connected to.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    /// For STARTTLS.
    pub(super) parameters: Option<TlsParameters>,
    /// For TLS from the first byte.
    pub(super) implicit: Option<std::sync::Arc<rustls::ClientConfig>>,
    pub(super) credentials: Option<Credentials>,
    pub(super) hello: ClientId,
    pub(super) answers: Answers,
    pub(super) connect_timeout: Duration,
    pub(super) send_timeout: Duration,
    passed_over_until: Mutex<Option<Instant>>,
}

/// All relays.
pub(super) struct Relays {
    relays: Vec<std::sync::Arc<Relay>>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Relays {
    pub(super) fn new(config: &EmailConfig) -> Result<Self, EmailError> {
        if config.relays.is_empty() {
            return Err(EmailError::NoRelay);
        }
        let relays = config.relays.iter().map(|relay| relay_of(config, relay).map(std::sync::Arc::new));
        Ok(Self { relays: relays.collect::<Result<_, _>>()?, idle: Mutex::default() })
    }

    /// An idle connection, if one is fresh enough.
    pub(super) fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, since)) = idle.pop() {
            if since.elapsed() < IDLE {
                return Some(connection.reused());
            }
        }
        None
    }

    /// Keeps a good connection for the next window.
    pub(super) fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }

    /// A new connection to the first relay that can be reached.
    pub(super) async fn connection(&self) -> Result<Connection, Answer> {
        let now = Instant::now();
        let well = |relay: &std::sync::Arc<Relay>| relay.passed_over().is_none_or(|until| until <= now);
        let (well, ill): (Vec<_>, Vec<_>) = self.relays.iter().partition(|relay| well(relay));
        let mut answer = Answer::new(Class::Transient, "no relay is configured");
        for relay in well.into_iter().chain(ill) {
            match Connection::open(relay).await {
                Ok(connection) => return Ok(connection),
                Err(failed) => {
                    let text = failed.detail.as_deref().unwrap_or_default();
                    tracing::warn!(relay.host = %relay.host, error = text, "the relay cannot be used");
                    relay.pass_over(Instant::now() + PASS_OVER);
                    answer = failed;
                }
            }
        }
        Err(answer)
    }

    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for (connection, _) in idle {
            connection.quit().await;
        }
    }
}

impl Relay {
    fn passed_over(&self) -> Option<Instant> {
        *self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_over(&self, until: Instant) {
        *self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

fn relay_of(config: &EmailConfig, relay: &RelayConfig) -> Result<Relay, EmailError> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).map_err(|e| EmailError::File { path: path.clone(), why: e.to_string() })
    };
    let credentials = match (&relay.username, &relay.password_file) {
        (Some(user), Some(path)) => Some(Credentials::new(user.clone(), read(path)?.trim_end().to_owned())),
        _ => None,
    };
    let clear = match relay.tls {
        Tls::None => Some("none"),
        Tls::Opportunistic => Some("opportunistic"),
        Tls::Required | Tls::Implicit => None,
    };
    if let (Some(_), Some(tls)) = (&credentials, clear) {
        return Err(EmailError::ClearPassword { host: relay.host.clone(), tls });
    }
    let implicit = if relay.tls == Tls::Implicit {
        Some(crate::tls::client_config(relay.ca_file.as_deref()).map_err(EmailError::Mail)?)
    } else {
        None
    };
    let parameters = if matches!(relay.tls, Tls::None | Tls::Implicit) {
        None
    } else {
        let mut builder = TlsParameters::builder(relay.host.clone());
        if let Some(path) = &relay.ca_file {
            let bad = |e: lettre::transport::smtp::Error| EmailError::File { path: path.clone(), why: e.to_string() };
            builder = builder.add_root_certificate(Certificate::from_pem(read(path)?.as_bytes()).map_err(bad)?);
        }
        Some(builder.build().map_err(|e| EmailError::Mail(e.to_string()))?)
    };
    Ok(Relay {
        host: relay.host.clone(),
        port: relay.port,
        tls: relay.tls,
        parameters,
        implicit,
        credentials,
        hello: ClientId::Domain(config.domain.clone()),
        answers: Answers::new(&config.answers)?,
        connect_timeout: Duration::from_millis(config.connect_timeout_ms),
        send_timeout: Duration::from_millis(config.send_timeout_ms),
        passed_over_until: Mutex::new(None),
    })
}
